//! A kind of call: all calls that agree in what an answer can hang on

use std::sync::Arc;

use super::answers::Asker;
use super::event;
use super::looked::Looked;
use super::shown::{Shown, TOLD};
use super::signature::{BOUND_BROKEN, BOUND_GRAVE, BOUND_UNKNOWN, Fixed, Signature, Signatures};
use super::weighing::{Alike, Weighed};
use super::words::{NONE, Words};
use crate::baseline::Baseline;
use crate::manifest::Agent;
use crate::permission::{self, AccessLevel, Naming, Needed};
use crate::scope::Bound;
use crate::time::day_of;

/// What tells one kind from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) holder: u64,
    pub(super) actor: u32,
    pub(super) agent: u32,
    pub(super) naming: u32,
    pub(super) outcome: u32,
    pub(super) denied_by: u32,
    pub(super) invoked: bool,
    pub(super) told: [u32; TOLD],
}

/// All calls that agree in their key.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) key: Key,
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) asker: Asker,
    pub(super) naming: Arc<[Naming]>,
    /// One for each name.
    pub(super) needs: Vec<Need>,
    pub(super) judged: bool,
    pub(super) bounded: bool,
    pub(super) expires: bool,
    pub(super) expects_denials: bool,
    /// The days of the batch at hand on which it was met.
    pub(super) days: Vec<Day>,
    /// For each day one for each need, or a single one where nothing is needed.
    pub(super) on_days: Vec<OnDay>,
    /// The day of which `on_days` tells from an earlier batch.
    pub(super) kept: Option<Kept>,
}

/// What an earlier batch found out of one day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    day: i64,
    /// Of the baseline, before it was asked
    revision: u64,
    /// Later batches may make it usual
    may_change: bool,
}

/// What every call of a kind looks at, close together in memory: there are many kinds, and a call needs little else.
#[derive(Debug)]
pub(super) struct Hot {
    pub(super) key: Key,
    /// Nothing of a call's own can change what it means, save for [`Signature::bits`], and it is one row.
    pub(super) is_plain: bool,
    /// The day that is counted here, and its place in [`Kind::days`].
    day: i64,
    at_day: usize,
    counts: Counts,
    /// The last plain row's bits, and its signature.
    pub(super) last: Option<(u32, u32)>,
}

/// Calls, and when the first and the last of them was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) events: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// No day.
const NEVER: i64 = i64::MIN;

impl Hot {
    pub(super) fn new(key: Key, is_plain: bool) -> Hot {
        Hot { key, is_plain, day: NEVER, at_day: 0, counts: Counts::NONE, last: None }
    }

    /// Counts a call of the day that is counted here; false where it is another day's.
    pub(super) fn count(&mut self, time: i64) -> bool {
        if self.day != day_of(time) {
            return false;
        }
        let counts = &mut self.counts;
        counts.events += 1;
        counts.first = counts.first.min(time);
        counts.last = counts.last.max(time);
        true
    }

    /// Whether the batch at hand has no call of the kind yet.
    pub(super) fn is_new(&self) -> bool {
        self.day == NEVER
    }

    /// The place of the day that is counted here.
    pub(super) fn at_day(&self) -> usize {
        self.at_day
    }

    /// Puts what was counted where the day's counts are kept.
    fn put_back(&self, kind: &mut Kind) {
        if let Some(day) = kind.days.get_mut(self.at_day).filter(|_| self.day != NEVER) {
            day.counts = self.counts;
        }
    }

    /// Turns to a day.
    pub(super) fn turn_to(&mut self, day: i64, at_day: usize, kind: &mut Kind) {
        self.put_back(kind);
        let counts = kind.days.get(at_day).map_or(Counts::NONE, |day| day.counts);
        (self.day, self.at_day, self.counts, self.last) = (day, at_day, counts, None);
    }

    /// Turns to no day, for the next batch.
    pub(super) fn turn_away(&mut self, kind: &mut Kind) {
        self.put_back(kind);
        (self.day, self.counts, self.last) = (NEVER, Counts::NONE, None);
    }
}

impl Counts {
    pub(super) const NONE: Counts = Counts { events: 0, first: i64::MAX, last: i64::MIN };
}

/// What one name of a kind means.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) permission: u32,
    /// As the baseline spells it.
    pub(super) used: u32,
    pub(super) level: Option<AccessLevel>,
    pub(super) certain: bool,
    pub(super) own: bool,
    /// Whether it could change the caller's own rights.
    pub(super) iam: bool,
    pub(super) hop: bool,
    /// What the tables say of the permission, in bits.
    pub(super) flags: u32,
    /// The answer where it is the same for all calls, before and after the manifest expires.
    pub(super) settled: Option<[Option<Weighed>; 2]>,
    /// The answers where they hang on the resource's own patterns alone.
    pub(super) alike: Option<Alike>,
}

/// Calls of a kind on one day.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) day: i64,
    pub(super) counts: Counts,
}

/// A need on one day.
#[derive(Debug)]
pub(super) struct OnDay {
    pub(super) fixed: u32,
    /// The last row's signature, since the next one's is mostly the same.
    pub(super) last: Option<(Signature, u32)>,
}

impl Kind {
    /// Forgets the days of a batch; what a single one of them showed may hold for the next batch.
    pub(super) fn end_batch(&mut self) {
        if self.days.len() > 1 {
            self.kept = None;
        }
        self.days.clear();
    }

    /// The place of a day among those of the batch.
    pub(super) fn on(
        &mut self,
        day: i64,
        shown: &Shown,
        words: &Words,
        signatures: &mut Signatures,
        baseline: &Baseline,
    ) -> usize {
        if let Some(known) = self.days.iter().position(|known| known.day == day) {
            return known;
        }
        let revision = baseline.revision();
        let is_first = self.days.is_empty();
        if let Some(kept) = self.kept.take().filter(|_| is_first)
            && kept.day == day
            && (!kept.may_change || kept.revision == revision)
        {
            self.kept = Some(kept);
            self.days.push(Day { day, counts: Counts::NONE });
            return 0;
        }
        if is_first {
            self.on_days.clear();
        }
        // A use that is not the first stays none: days are only ever added. Of active days there may be more.
        let mut may_change = shown.active_days;
        for place in 0..self.needs.len().max(1) {
            let fixed = self.fixed(place, day, shown, words, baseline);
            may_change |= fixed.flags & FIRST_USE != 0;
            self.on_days.push(OnDay { fixed: signatures.fixed(fixed), last: None });
        }
        self.kept = is_first.then_some(Kept { day, revision, may_change });
        self.days.push(Day { day, counts: Counts::NONE });
        self.days.len() - 1
    }

    pub(super) fn fixed(
        &self,
        place: usize,
        day: i64,
        shown: &Shown,
        words: &Words,
        baseline: &Baseline,
    ) -> Fixed {
        let need = self.needs.get(place);
        let mut fixed = Fixed::default();
        let agent = self.agent.as_deref();
        let place_of = agent.and_then(|agent| agent.environment.as_deref());
        fixed.agent = shown.agent.shown(self.key.agent);
        // Several agents may share one; what tells the agents apart tells it too.
        fixed.environment = shown.environment.shown(if place_of.is_some() { self.key.agent } else { NONE });
        fixed.actor = shown.actor.shown(self.key.actor);
        fixed.permission = shown.permission.shown(need.map_or(NONE, |need| need.permission));
        fixed.outcome = shown.outcome.shown(self.key.outcome);
        fixed.told = self.key.told;
        if shown.flags {
            let read_only = agent.map_or(0, |agent| 1 + u32::from(agent.scope.is_read_only()));
            fixed.flags = need.map_or(0, |need| need.flags) << 2 | read_only;
        }
        if let Some(named) = self.naming.get(place) {
            let actor = words.text(self.key.actor);
            if shown.active_days {
                fixed.active_days = baseline.novelty(actor, &named.permission, day).active_days;
            }
            if shown.first_use {
                let first_use = baseline.is_first_use(actor, &named.permission, day);
                fixed.flags |= u32::from(first_use) * FIRST_USE;
            }
        }
        fixed
    }
}

/// Above what the tables say.
const FIRST_USE: u32 = 1 << 12;

/// Never 0: that is a row that needs nothing.
pub(super) fn flags_of(permission: &str, certain: bool, level: Option<AccessLevel>) -> u32 {
    let bits = [
        true,
        certain,
        permission::is_destructive(permission),
        permission::is_credential_minting(permission),
        permission::is_logging_tamper(permission),
        permission::is_read_like(permission),
    ];
    let bits = bits.into_iter().enumerate().map(|(at, is_set)| u32::from(is_set) << at);
    bits.sum::<u32>() | level.map_or(0, |level| level as u32 + 1) << 6
}

/// What needs the name alone: the answer does not hang on the resource.
pub(super) fn bare(named: &Naming) -> Needed {
    Needed {
        permission: named.permission.to_string(),
        certain: named.certain,
        resources: Vec::new(),
        resources_known: false,
        one_of: false,
    }
}

/// The first bound that is broken, whether gravely, and the first of which it cannot be told.
pub(super) fn bound_bits(kind: &Kind, event: &Looked<'_, '_>, time: i64) -> u32 {
    let Some(agent) = &kind.agent else { return 0 };
    let number = |bound: Bound| match bound {
        Bound::Networks => 1,
        Bound::Regions => 2,
        Bound::Hours => 3,
        Bound::SessionMax => 4,
    };
    let mut bits = 0;
    let found = agent.bounds.broken(&event::bound_facts(event.view, event.row, time));
    if let Some(broken) = found.iter().find(|one| one.certain) {
        bits |= (number(broken.bound) << BOUND_BROKEN) | (u32::from(broken.is_grave) * BOUND_GRAVE);
    }
    if let Some(unknown) = found.iter().find(|one| !one.certain) {
        bits |= number(unknown.bound) << BOUND_UNKNOWN;
    }
    bits
}
