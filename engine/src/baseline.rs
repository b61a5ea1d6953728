//! What is usual: on which days each identity used each permission, and when first and last.
//!
//! Everything here merges (OR, min, max, sums over events counted once), so that any split or order of the
//! events gives the same state. A question about an event looks only at days before the event's own UTC day.

use crate::time::day_of;
use foldhash::HashMap;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The permission under which an identity's own activity is kept.
pub const ANY_PERMISSION: &str = "*";

/// Prefix of a permission that a successful call may have needed, or that a service used on the identity's behalf: never
/// new, but never unused either.
pub const POSSIBLE: &str = "~";

const DAYS_PER_BLOCK: i64 = 32;

/// When a baseline says that something is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaselineRule {
    /// Active days before the event's day that an identity needs before anything is new. Default 7.
    pub min_active_days: u32,
    /// Days before the event's day that count. Default 64.
    pub lookback_days: u32,
}

impl Default for BaselineRule {
    fn default() -> Self {
        BaselineRule { min_active_days: 7, lookback_days: 64 }
    }
}

/// A set of UTC days. Merges by OR.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days {
    // (block, bits), by block: day = 32 * block + bit.
    blocks: Vec<(i64, u32)>,
}

impl Days {
    /// Adds one day.
    pub fn insert(&mut self, day: i64) {
        self.merge_block(day.div_euclid(DAYS_PER_BLOCK), 1 << day.rem_euclid(DAYS_PER_BLOCK));
    }

    /// Adds the days of one block; false where they were there already.
    pub fn merge_block(&mut self, block: i64, bits: u32) -> bool {
        match self.blocks.binary_search_by_key(&block, |(b, _)| *b) {
            Ok(at) => {
                let Some((_, held)) = self.blocks.get_mut(at) else { return false };
                let before = *held;
                *held |= bits;
                *held != before
            }
            Err(at) => {
                self.blocks.insert(at, (block, bits));
                true
            }
        }
    }

    /// How many days of `from..until` are in the set.
    #[must_use]
    pub fn count_between(&self, from: i64, until: i64) -> u32 {
        if from >= until {
            return 0;
        }
        let mut count = 0;
        for &(block, bits) in &self.blocks {
            let start = block * DAYS_PER_BLOCK;
            // Bits of this block that lie in from..until.
            let low = (from - start).clamp(0, DAYS_PER_BLOCK) as u32;
            let high = (until - start).clamp(0, DAYS_PER_BLOCK) as u32;
            let mask = ((1u64 << high) - 1) & !((1u64 << low) - 1);
            count += (u64::from(bits) & mask).count_ones();
        }
        count
    }

    /// All days, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.blocks.iter().flat_map(|&(block, bits)| {
            (0..DAYS_PER_BLOCK).filter(move |bit| bits & (1 << bit) != 0).map(move |bit| block * 32 + bit)
        })
    }
}

/// What the baseline says of a use on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Novelty {
    /// The permission was not used on any day of the look-back before that day.
    pub first_use: bool,
    /// Days of the look-back before that day on which the identity used anything.
    pub active_days: u32,
}

impl BaselineRule {
    /// What is new on `day`, given the days of the permission and of the identity.
    #[must_use]
    pub fn novelty(&self, permission: &Days, identity: &Days, day: i64) -> Novelty {
        let from = day - i64::from(self.lookback_days);
        Novelty {
            first_use: permission.count_between(from, day) == 0,
            active_days: identity.count_between(from, day),
        }
    }
}

/// Use of one (identity, permission) within one block of 32 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Bit per day of the block.
    pub days: u32,
    /// Earliest use, µs UTC.
    pub first: i64,
    /// Latest use, µs UTC.
    pub last: i64,
    /// Events.
    pub uses: i64,
}

/// Denied calls of one (identity, permission).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denials {
    /// Earliest, µs UTC.
    pub first: i64,
    /// Latest, µs UTC.
    pub last: i64,
    /// Events.
    pub count: i64,
}

/// What one batch adds to the baseline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaselineDelta {
    /// Successful uses by (identity, permission, block).
    pub uses: BTreeMap<(Arc<str>, Arc<str>, i64), Presence>,
    /// Denials by (identity, permission).
    pub denials: BTreeMap<(Arc<str>, Arc<str>), Denials>,
}

/// The block of 32 days that a day lies in, and its bit there.
pub(crate) fn block_of(day: i64) -> (i64, u32) {
    (day.div_euclid(DAYS_PER_BLOCK), 1 << day.rem_euclid(DAYS_PER_BLOCK))
}

impl Presence {
    /// Adds uses of the same identity and permission in the same block.
    pub fn merge(&mut self, other: &Presence) {
        self.days |= other.days;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.uses += other.uses;
    }
}

impl Denials {
    /// Adds denials of the same identity and permission.
    pub fn merge(&mut self, other: &Denials) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count += other.count;
    }
}

impl BaselineDelta {
    /// Counts one successful use.
    pub fn used(&mut self, identity: &str, permission: &str, time: i64) {
        let (block, days) = block_of(day_of(time));
        let one = Presence { days, first: time, last: time, uses: 1 };
        self.add_use((identity.into(), permission.into(), block), one);
    }

    /// Adds uses within one block of days.
    pub(crate) fn add_use(&mut self, key: (Arc<str>, Arc<str>, i64), uses: Presence) {
        self.uses.entry(key).and_modify(|known| known.merge(&uses)).or_insert(uses);
    }

    /// Counts one denied call.
    pub fn denied(&mut self, identity: &str, permission: &str, time: i64) {
        let one = Denials { first: time, last: time, count: 1 };
        self.add_denials((identity.into(), permission.into()), one);
    }

    /// Adds denied calls.
    pub(crate) fn add_denials(&mut self, key: (Arc<str>, Arc<str>), denials: Denials) {
        self.denials.entry(key).and_modify(|known| known.merge(&denials)).or_insert(denials);
    }

    /// The earliest day added to each identity.
    #[must_use]
    pub fn earliest_days(&self) -> BTreeMap<&str, i64> {
        let mut earliest = BTreeMap::new();
        for ((identity, _, block), presence) in &self.uses {
            let day = block * DAYS_PER_BLOCK + i64::from(presence.days.trailing_zeros());
            earliest.entry(&**identity).and_modify(|d: &mut i64| *d = (*d).min(day)).or_insert(day);
        }
        earliest
    }
}

/// The days of every identity and permission, in memory: a copy of the store's presence.
///
/// It may lag behind the store while a batch is judged; the commit settles what follows from it.
#[derive(Debug, Default)]
pub struct Baseline {
    rule: BaselineRule,
    identities: RwLock<HashMap<String, HashMap<String, Days>>>,
    revision: AtomicU64,
}

impl Baseline {
    /// An empty baseline.
    #[must_use]
    pub fn new(rule: BaselineRule) -> Baseline {
        Baseline { rule, ..Baseline::default() }
    }

    /// When something is new.
    #[must_use]
    pub fn rule(&self) -> BaselineRule {
        self.rule
    }

    /// Adds days that the store knows.
    pub fn learn(&self, identity: &str, permission: &str, block: i64, days: u32) {
        let mut identities = self.identities.write().unwrap_or_else(PoisonError::into_inner);
        identities
            .entry(identity.to_owned())
            .or_default()
            .entry(permission.to_owned())
            .or_default()
            .merge_block(block, days);
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// Grows with everything that is new to it: what was asked under another one may be answered otherwise now.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Adds what a committed batch brought.
    pub fn apply(&self, delta: &BaselineDelta) {
        let mut identities = self.identities.write().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        for ((identity, permission, block), presence) in &delta.uses {
            if !identities.contains_key(&**identity) {
                identities.insert(identity.to_string(), HashMap::default());
            }
            let Some(permissions) = identities.get_mut(&**identity) else { continue };
            match permissions.get_mut(&**permission) {
                Some(days) => is_new |= days.merge_block(*block, presence.days),
                None => {
                    let mut days = Days::default();
                    is_new |= days.merge_block(*block, presence.days);
                    permissions.insert(permission.to_string(), days);
                }
            }
        }
        if is_new {
            self.revision.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether it is the first use: [`Novelty::first_use`] alone.
    pub(crate) fn is_first_use(&self, identity: &str, permission: &str, day: i64) -> bool {
        let identities = self.identities.read().unwrap_or_else(PoisonError::into_inner);
        let days = identities.get(identity).and_then(|permissions| permissions.get(permission));
        let from = day - i64::from(self.rule.lookback_days);
        days.is_none_or(|days| days.count_between(from, day) == 0)
    }

    /// What is new about a use of `permission` by `identity` on `day`.
    #[must_use]
    pub fn novelty(&self, identity: &str, permission: &str, day: i64) -> Novelty {
        let none = Days::default();
        let identities = self.identities.read().unwrap_or_else(PoisonError::into_inner);
        let permissions = identities.get(identity);
        let days = |of: &str| permissions.and_then(|p| p.get(of)).unwrap_or(&none);
        self.rule.novelty(days(permission), days(ANY_PERMISSION), day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_days_before_the_event_count() {
        let rule = BaselineRule { min_active_days: 1, lookback_days: 10 };
        let mut used = Days::default();
        used.insert(100);
        assert!(rule.novelty(&used, &used, 100).first_use, "the same day does not make it usual");
        assert!(!rule.novelty(&used, &used, 101).first_use);
        assert!(!rule.novelty(&used, &used, 110).first_use, "ten days back still counts");
        assert!(rule.novelty(&used, &used, 111).first_use, "eleven days back is forgotten");
    }

    #[test]
    fn a_thousand_calls_on_one_day_are_one_active_day() {
        let baseline = Baseline::new(BaselineRule::default());
        let mut delta = BaselineDelta::default();
        for second in 0..1000 {
            delta.used("bot", ANY_PERMISSION, second);
        }
        baseline.apply(&delta);
        assert_eq!(baseline.novelty("bot", "s3:GetObject", 1).active_days, 1);
        assert_eq!(delta.uses.values().next().map(|p| p.uses), Some(1000));
    }

    #[test]
    fn days_before_1970_are_days_too() {
        let mut delta = BaselineDelta::default();
        delta.used("bot", "s3:GetObject", -1);
        assert_eq!(delta.earliest_days().get("bot"), Some(&-1));
    }

    proptest! {
        #[test]
        fn counting_agrees_with_a_plain_set(days in prop::collection::vec(-200i64..200, 0..60), from in -250i64..250, len in 0i64..300) {
            let mut set = Days::default();
            days.iter().for_each(|d| set.insert(*d));
            let plain: BTreeSet<i64> = days.into_iter().collect();
            prop_assert_eq!(set.count_between(from, from + len) as usize, plain.range(from..from + len).count());
            prop_assert!(set.iter().eq(plain.into_iter()));
        }

        #[test]
        fn any_split_of_the_uses_gives_the_same_state(times in prop::collection::vec(-3 * DAY..90 * DAY, 1..40), cut in 0usize..40) {
            let cut = cut.min(times.len());
            let state = |parts: &[&[i64]]| {
                let baseline = Baseline::new(BaselineRule::default());
                for part in parts {
                    let mut delta = BaselineDelta::default();
                    part.iter().for_each(|t| delta.used("bot", "s3:GetObject", *t));
                    baseline.apply(&delta);
                }
                baseline.identities.into_inner().unwrap()
            };
            prop_assert_eq!(state(&[&times]), state(&[&times[cut..], &times[..cut]]));
        }
    }
}
