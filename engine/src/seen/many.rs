//! Many events at once, shard by shard

use super::{Account, EventId, Key, SHARDS, Seen, SeenError, shard_of};

/// Fewer than this are inserted one by one: sorting them would cost more than it saves.
const SORTED_FROM: usize = 4 * SHARDS;

/// Events to insert together. Keeps its room, so that one can be filled again and again.
#[derive(Debug, Default)]
pub struct Events {
    keys: Vec<(u64, Key)>,
    /// Which of `keys`, by shard
    order: Vec<u32>,
}

impl Events {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.keys.clear();
    }

    /// Adds one; the account as `seen` numbers it.
    pub fn push(&mut self, seen: &Seen, account: &Account, id: EventId<'_>) {
        let key = Key::of(account, id);
        self.keys.push((seen.secret.hash(key.bytes()), key));
    }
}

impl Seen {
    /// Inserts the events in their order, and tells of each whether it was not in the set: as [`Seen::insert_id`] for each
    /// of them, but each shard is locked once, and what it holds is at hand for all that go there.
    ///
    /// # Errors
    /// As [`Seen::insert`]; some of the events are in the set then.
    pub fn insert_many(&self, events: &mut Events, is_new: &mut Vec<bool>) -> Result<(), SeenError> {
        let Events { keys, order } = events;
        is_new.clear();
        if keys.len() < SORTED_FROM {
            for (hash, key) in keys.iter() {
                is_new.push(self.insert_key(&mut self.shard(*hash), *hash, key)?);
            }
            return Ok(());
        }
        is_new.resize(keys.len(), false);
        by_shard(keys, order);
        let mut order = order.iter().filter_map(|at| {
            let at = *at as usize;
            Some((at, keys.get(at)?))
        });
        let mut next = order.next();
        while let Some((_, (first, _))) = next {
            let place = shard_of(*first);
            let mut shard = self.shard(*first);
            while let Some((at, (hash, key))) = next.filter(|(_, (hash, _))| shard_of(*hash) == place) {
                let answer = self.insert_key(&mut shard, *hash, key)?;
                if let Some(is_new) = is_new.get_mut(at) {
                    *is_new = answer;
                }
                next = order.next();
            }
        }
        Ok(())
    }
}

/// The numbers of the keys, those of one shard together and in their order: a counting sort.
fn by_shard(keys: &[(u64, Key)], order: &mut Vec<u32>) {
    let mut starts = [0_usize; SHARDS];
    for (hash, _) in keys {
        // What is counted for a shard is where the next one begins.
        if let Some(count) = starts.get_mut(shard_of(*hash) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    order.clear();
    order.resize(keys.len(), 0);
    for (at, (hash, _)) in keys.iter().enumerate() {
        if let Some(start) = starts.get_mut(shard_of(*hash)) {
            if let Some(place) = order.get_mut(*start) {
                *place = at as u32;
            }
            *start += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn many_at_once_are_what_they_are_one_by_one() {
        for count in [0, 1, SORTED_FROM - 1, SORTED_FROM, 5_000] {
            // A budget that is soon used up: some lie on disk.
            let seen = Seen::new(64 << 10);
            let mut plain = HashSet::new();
            let mut events = Events::default();
            let mut is_new = Vec::new();
            for turn in 0..3 {
                events.clear();
                let mut expected = Vec::new();
                for n in 0..count {
                    // Some come twice in a turn, some in two turns, and some are no UUIDs.
                    let number = (n * 7 / 8 + turn * count / 2) % (count + 1);
                    let account = ["111122223333", "444455556666"][number % 2];
                    let id = match number % 5 {
                        0 => format!("event {number}"),
                        _ => format!("0f8fad5b-d9cb-469f-a165-{number:012x}"),
                    };
                    events.push(&seen, &seen.account(account), EventId::parse(&id));
                    expected.push(plain.insert((account, id)));
                }
                seen.insert_many(&mut events, &mut is_new).unwrap();
                assert_eq!(is_new, expected, "{count} in turn {turn}");
            }
            assert_eq!(seen.len(), plain.len() as u64);
        }
    }
}
