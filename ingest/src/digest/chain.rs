//! Digests held against each other: which follow each other, which are missing, and what time nobody signed for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use chrono::{DateTime, TimeDelta, Utc};

use super::place::ChainId;
use super::problem::DigestProblem;
use super::{AttestedHour, Digest, Place, Shelf};

/// What links say about digests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Linked {
    /// The digests that are valid and rightly linked: by chain, in the order of time.
    pub hours: Vec<(Shelf, AttestedHour)>,
    /// What is wrong with others, in the order of places. A digest that is named by another and is not there is among
    /// them.
    pub problems: Vec<(Place, DigestProblem)>,
    /// What time no digest covers, by chain, in the order of time.
    pub gaps: Vec<Gap>,
}

/// A time of a chain that no digest covers. What was delivered then is attested by nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub chain: ChainId,
    /// What it comes from.
    pub kind: GapKind,
    /// The end of the last valid digest before it; none where there is none.
    pub from: Option<DateTime<Utc>>,
    /// The start of the next valid digest.
    pub to: DateTime<Utc>,
    /// The digest before it.
    pub after: Option<Place>,
    /// The digest after it; none at the end of a chain.
    pub before: Option<Place>,
    /// Whether backfill digests of the same trail cover all of it.
    pub is_backfilled: bool,
}

/// What a gap comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapKind {
    /// A starting digest in the midst of a chain: logging or validation was off, or the trail was made anew. The time
    /// may be nothing where it was but a moment.
    Restart,
    /// A digest is named by the next one and is not there.
    Missing,
    /// The links hold, or end in a digest that is invalid, and yet there is a time that no digest is for.
    Hole,
    /// Log files go on, digests do not.
    Silent,
}

impl GapKind {
    /// A short name that never changes, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Missing => "missing",
            Self::Hole => "hole",
            Self::Silent => "silent",
        }
    }
}

/// Digests come each hour; what is longer than so many, by more than this, has a hole.
const HOUR: TimeDelta = TimeDelta::hours(1);
const HOLE_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// More hours than a century has are none.
const HOURS_MAX: usize = 1_000_000;

/// Links digests, of any chains and in any order, each place at most once.
///
/// `since`: where what is given begins on purpose. A digest that ends at or before it is not missed; without it, each
/// digest that another names is.
pub fn link(found: Vec<(Place, Result<Digest, DigestProblem>)>, since: Option<DateTime<Utc>>) -> Linked {
    link_all(found, Links { since, ..Links::default() })
}

/// Where each chain begins on purpose, whatever organization it is of. What comes by and by has no common beginning.
pub type Begins = BTreeMap<ChainId, DateTime<Utc>>;

/// As [`link`], with a beginning for each chain; the chain's name without its organization.
pub fn link_since(found: Vec<(Place, Result<Digest, DigestProblem>)>, begins: Begins) -> Linked {
    link_all(found, Links { begins, ..Links::default() })
}

fn link_all(found: Vec<(Place, Result<Digest, DigestProblem>)>, mut links: Links) -> Linked {
    let mut chains: BTreeMap<ChainId, Vec<Digest>> = BTreeMap::new();
    for (place, verified) in found {
        match verified {
            Ok(digest) => {
                links.states.insert(place, State::Waiting);
                chains.entry(digest.hour.chain.clone()).or_default().push(digest);
            }
            Err(problem) => {
                links.strayed.extend(signed_elsewhere(&problem).cloned());
                links.refuse(place, problem);
            }
        }
    }
    for digests in chains.values_mut() {
        digests.sort_by(|a, b| (a.hour.end, &a.hour.digest).cmp(&(b.hour.end, &b.hour.digest)));
    }
    // By time over all chains: the digest that another names may be of a chain of another name, as when a trail becomes
    // an organization's.
    let mut waiting: Vec<Digest> = chains.into_values().flatten().collect();
    waiting.sort_by_key(|digest| digest.hour.end);
    for digest in waiting {
        links.take(digest);
    }
    links.finish()
}

/// The place of a signed digest that lies elsewhere: it is found, if not where it should be.
pub(super) fn signed_elsewhere(problem: &DigestProblem) -> Option<&Place> {
    match problem {
        DigestProblem::Moved(moved) | DigestProblem::Replayed(moved) | DigestProblem::Foreign(moved, _)
            if moved.is_signed =>
        {
            Some(&moved.from)
        }
        DigestProblem::Earlier { signed_for, .. } => signed_for.as_ref(),
        _ => None,
    }
}

/// What is known of a place.
#[derive(Debug)]
enum State {
    /// Signed; its links were not looked at.
    Waiting,
    /// Signed and linked.
    Valid(Box<Seal>),
    Invalid,
}

/// What the next digest must say of this one.
#[derive(Debug)]
struct Seal {
    chain: ChainId,
    end: DateTime<Utc>,
    sha256: [u8; 32],
    signature: String,
}

#[derive(Default)]
struct Links {
    since: Option<DateTime<Utc>>,
    begins: Begins,
    states: HashMap<Place, State>,
    /// Where signed digests should be that lie elsewhere
    strayed: HashSet<Place>,
    /// When the hours of invalid digests end
    invalid_ends: BTreeMap<ChainId, BTreeSet<DateTime<Utc>>>,
    /// The last valid digest of each chain
    last: BTreeMap<ChainId, (DateTime<Utc>, Place)>,
    hours: Vec<(Shelf, AttestedHour)>,
    problems: Vec<(Place, DigestProblem)>,
    gaps: Vec<Gap>,
}

impl Links {
    fn refuse(&mut self, place: Place, problem: DigestProblem) {
        // A signed digest that lies elsewhere is both: where it lies, and where it should.
        for place in [Some(&place), signed_elsewhere(&problem)].into_iter().flatten() {
            if let Some(name) = place.digest_name() {
                self.invalid_ends.entry(name.chain).or_default().insert(name.end);
            }
        }
        self.states.insert(place.clone(), State::Invalid);
        self.problems.push((place, problem));
    }

    fn take(&mut self, digest: Digest) {
        let place = digest.hour.digest.clone();
        match self.gap_before(&digest) {
            Ok(kind) => {
                if let Some(kind) = kind {
                    self.gap(&digest, kind);
                }
                self.last.insert(digest.hour.chain.clone(), (digest.hour.end, place.clone()));
                let seal = Seal {
                    chain: digest.hour.chain.clone(),
                    end: digest.hour.end,
                    sha256: digest.sha256,
                    signature: digest.signature,
                };
                self.states.insert(place, State::Valid(Box::new(seal)));
                self.hours.push((digest.shelf, digest.hour));
            }
            Err(problem) => self.refuse(place, problem),
        }
    }

    /// Whether there is a gap before a digest, if its link holds.
    fn gap_before(&mut self, digest: &Digest) -> Result<Option<GapKind>, DigestProblem> {
        let hour = &digest.hour;
        let last = self.last.get(&hour.chain).cloned();
        if let Some((end, place)) = &last
            && hour.start < *end
            && !hour.chain.backfill
        {
            return Err(DigestProblem::Overlap(place.clone()));
        }
        let Some(previous) = &digest.previous else {
            return Ok(last.map(|_| GapKind::Restart));
        };
        let named = || previous.place.clone();
        match self.states.get(&previous.place) {
            Some(State::Valid(seal)) => {
                if !is_same_trail(&seal.chain, &hour.chain) {
                    Err(DigestProblem::LinkForeign(named()))
                } else if seal.sha256 != previous.sha256 {
                    Err(DigestProblem::LinkHash(named()))
                } else if seal.signature != previous.signature {
                    Err(DigestProblem::LinkSignature(named()))
                } else if seal.end > hour.start && !hour.chain.backfill {
                    Err(DigestProblem::Overlap(named()))
                } else {
                    Ok((seal.end < hour.start).then_some(GapKind::Hole))
                }
            }
            // It ends after this one, or is this one.
            Some(State::Waiting) => Err(DigestProblem::Overlap(named())),
            Some(State::Invalid) => Ok(self.hole(hour, last)),
            None => {
                let name = previous.place.digest_name();
                let Some(name) = name.filter(|name| is_same_trail(&name.chain, &hour.chain)) else {
                    return Err(DigestProblem::LinkForeign(named()));
                };
                if name.end > hour.start && !hour.chain.backfill {
                    return Err(DigestProblem::Overlap(named()));
                }
                if self.strayed.contains(&previous.place) {
                    return Ok(self.hole(hour, last));
                }
                if self.begin(&hour.chain).is_some_and(|since| name.end <= since) {
                    return Ok(None);
                }
                self.refuse(named(), DigestProblem::NotFound);
                Ok(Some(GapKind::Missing))
            }
        }
    }

    /// Where a chain begins on purpose.
    fn begin(&self, chain: &ChainId) -> Option<DateTime<Utc>> {
        self.since.or_else(|| self.begins.get(&chain.without_organization()).copied())
    }

    /// Whether more than the invalid digests is missing since the last valid one.
    fn hole(&self, hour: &AttestedHour, last: Option<(DateTime<Utc>, Place)>) -> Option<GapKind> {
        let (end, _) = last.filter(|(end, _)| *end < hour.start)?;
        let between = (Bound::Excluded(end), Bound::Included(hour.start));
        let ends = self.invalid_ends.get(&hour.chain).map_or(0, |ends| ends.range(between).count());
        let excused = HOUR * i32::try_from(ends.min(HOURS_MAX)).unwrap_or(i32::MAX) + HOLE_TOLERANCE;
        (hour.start - end > excused).then_some(GapKind::Hole)
    }

    fn gap(&mut self, digest: &Digest, kind: GapKind) {
        let hour = &digest.hour;
        // Backfill digests are for what is missing elsewhere; time between them is nothing.
        if hour.chain.backfill && kind != GapKind::Missing {
            return;
        }
        let last = self.last.get(&hour.chain);
        self.gaps.push(Gap {
            chain: hour.chain.clone(),
            kind,
            from: last.map(|(end, _)| *end),
            to: hour.start,
            after: last.map(|(_, place)| place.clone()),
            before: Some(hour.digest.clone()),
            is_backfilled: false,
        });
    }

    fn finish(mut self) -> Linked {
        let mut backfilled: BTreeMap<ChainId, Spans> = BTreeMap::new();
        for (_, hour) in self.hours.iter().filter(|(_, hour)| hour.chain.backfill) {
            let regular = ChainId { backfill: false, ..hour.chain.clone() };
            backfilled.entry(regular).or_default().add(hour.start, hour.end);
        }
        for gap in &mut self.gaps {
            let (Some(from), Some(spans)) = (gap.from, backfilled.get(&gap.chain)) else { continue };
            gap.is_backfilled = from < gap.to && spans.cover(from, gap.to);
        }
        self.hours.sort_by(|(_, a), (_, b)| (&a.chain, a.start, a.end).cmp(&(&b.chain, b.start, b.end)));
        self.problems.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.gaps.sort_by(|a, b| (&a.chain, a.to).cmp(&(&b.chain, b.to)));
        Linked { hours: self.hours, problems: self.problems, gaps: self.gaps }
    }
}

/// Whether one may follow the other. A trail that becomes an organization's goes on under the organization's folder.
fn is_same_trail(a: &ChainId, b: &ChainId) -> bool {
    a.without_organization() == b.without_organization()
}

/// Times, kept apart and in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans(BTreeMap<DateTime<Utc>, DateTime<Utc>>);

impl Spans {
    pub(super) fn add(&mut self, mut from: DateTime<Utc>, mut to: DateTime<Utc>) {
        while let Some((&start, &end)) = self.0.range(..=to).next_back() {
            if end < from {
                break;
            }
            self.0.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.0.insert(from, to);
    }

    /// Whether all of a time is in one span.
    pub(super) fn cover(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        self.0.range(..=from).next_back().is_some_and(|(_, &end)| to <= end)
    }

    pub(super) fn bounds(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        Some((*self.0.first_key_value()?.0, *self.0.last_key_value()?.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_grow_together_where_they_touch() {
        let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
        let mut spans = Spans::default();
        for (from, to) in [(10, 20), (30, 40), (0, 5), (20, 25)] {
            spans.add(at(from), at(to));
        }
        assert!(spans.cover(at(10), at(25)));
        assert!(!spans.cover(at(10), at(30)), "25 to 30 is nobody's");
        spans.add(at(24), at(31));
        assert!(spans.cover(at(10), at(40)));
        assert!(!spans.cover(at(4), at(11)));
        assert_eq!(spans.bounds(), Some((at(0), at(40))));
    }
}
