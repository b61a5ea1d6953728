//! Statements by the service of their resources, and by what stands before the first wildcard of the sixth part
//!
//! Wildcards stay inside one part of an ARN, so a pattern can match only if the service is the same and the sixth part
//! begins with the pattern's: its head. Heads are sorted; the longest one that an ARN begins with is at or above the
//! last head that sorts before the ARN, and every shorter one lies above that.

use crate::aws::statement::Statement;
use crate::wildcard::{ArnPattern, Match};

/// No head lies above.
const NONE: u32 = u32::MAX;

/// Service, and the sixth part or its beginning.
type Head<'a> = (&'a [u8], &'a [u8]);

/// The heads of all statements' resources.
#[derive(Debug)]
pub(super) struct Index {
    text: Vec<u8>,
    /// Sorted, each once: where service and sixth part lie in `text`, and where they end
    heads: Vec<(u32, u32, u32)>,
    /// The statements of each head, as (head, statement), sorted
    members: Vec<(u32, u32)>,
    /// Statements that any resource may match
    anywhere: Vec<u32>,
}

/// What can match one action.
#[derive(Debug)]
pub(super) struct About {
    anywhere: Vec<u32>,
    /// One for each service that resources are of
    services: Vec<Service>,
    /// Sorted
    heads: Vec<Place>,
    members: Vec<u32>,
}

/// The heads of one service.
#[derive(Debug)]
struct Service {
    start: usize,
    end: usize,
    /// How many bytes of the sixth part all of them share
    shared: usize,
}

/// One head.
#[derive(Debug)]
struct Place {
    /// The eight bytes behind the shared ones, so that most comparisons need not follow the number
    next: u64,
    number: u32,
    /// The next shorter head here
    above: u32,
    /// Where its members begin
    start: u32,
}

/// The head of an ARN; all of it, if it is no pattern.
fn head_of(arn: &str) -> Head<'_> {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    (service.as_bytes(), parts.nth(2).unwrap_or_default().as_bytes())
}

fn begins(arn: Head<'_>, head: Head<'_>) -> bool {
    arn.1.starts_with(head.1) && arn.0 == head.0
}

impl Index {
    pub fn new<'a>(statements: impl Iterator<Item = &'a Statement>) -> Index {
        let mut anywhere = Vec::new();
        let mut found: Vec<(Head<'_>, u32)> = Vec::new();
        for (number, statement) in (0_u32..).zip(statements) {
            let patterns = &statement.resources.patterns;
            let heads: Option<Vec<Head<'_>>> = patterns.iter().map(ArnPattern::head).collect();
            match heads {
                // The complement of a head begins with anything.
                Some(heads) if !statement.resources.not => {
                    found.extend(heads.into_iter().map(|head| (head, number)));
                }
                _ => anywhere.push(number),
            }
        }
        found.sort_unstable();
        found.dedup();
        let mut index = Index { text: Vec::new(), heads: Vec::new(), members: Vec::new(), anywhere };
        let mut last: Option<Head<'_>> = None;
        for (head, number) in found {
            if last != Some(head) {
                let at = |text: &Vec<u8>| u32::try_from(text.len()).unwrap_or(u32::MAX);
                let start = at(&index.text);
                index.text.extend_from_slice(head.0);
                let middle = at(&index.text);
                index.text.extend_from_slice(head.1);
                index.heads.push((start, middle, at(&index.text)));
                last = Some(head);
            }
            let head = u32::try_from(index.heads.len() - 1).unwrap_or(NONE);
            index.members.push((head, number));
        }
        index
    }

    fn head(&self, number: u32) -> Head<'_> {
        let Some((start, middle, end)) = self.heads.get(number as usize) else { return Head::default() };
        let text = |from: u32, to: u32| self.text.get(from as usize..to as usize).unwrap_or_default();
        (text(*start, *middle), text(*middle, *end))
    }

    /// Sorts out the statements that can match an action. `statements`: all of them, by number.
    pub fn about<'a>(&self, statements: impl Iterator<Item = Option<&'a Statement>>, action: &str) -> About {
        let matching: Vec<bool> =
            statements.map(|one| one.is_some_and(|one| one.actions.matches(action) != Match::No)).collect();
        let is_matching = |number: &u32| matching.get(*number as usize) == Some(&true);
        let mut about = About {
            anywhere: self.anywhere.iter().copied().filter(is_matching).collect(),
            services: Vec::new(),
            heads: Vec::new(),
            members: Vec::new(),
        };
        // The heads that the one at hand begins with, shortest first.
        let mut above: Vec<u32> = Vec::new();
        for (head, number) in self.members.iter().filter(|(_, number)| is_matching(number)) {
            if about.heads.last().is_none_or(|last| last.number != *head) {
                let text = self.head(*head);
                while let Some(place) = above.last() {
                    let shorter = about.heads.get(*place as usize).map_or(NONE, |place| place.number);
                    if begins(text, self.head(shorter)) {
                        break;
                    }
                    above.pop();
                }
                let place = u32::try_from(about.heads.len()).unwrap_or(NONE);
                let start = u32::try_from(about.members.len()).unwrap_or(NONE);
                let longest = above.last().copied().unwrap_or(NONE);
                about.heads.push(Place { next: 0, number: *head, above: longest, start });
                above.push(place);
            }
            about.members.push(*number);
        }
        about.group(self);
        about
    }
}

impl About {
    /// Finds where each service begins, and what its heads share.
    fn group(&mut self, index: &Index) {
        let service = |place: &Place| index.head(place.number).0;
        let mut start = 0;
        for heads in self.heads.chunk_by_mut(|one, next| service(one) == service(next)) {
            // In a sorted list, what the first and the last share, all share.
            let ends = heads.first().zip(heads.last());
            let shared = ends.map_or(0, |(first, last)| {
                let (first, last) = (index.head(first.number).1, index.head(last.number).1);
                first.iter().zip(last).take_while(|(one, other)| one == other).count()
            });
            for place in heads.iter_mut() {
                place.next = eight(index.head(place.number).1, shared);
            }
            self.services.push(Service { start, end: start + heads.len(), shared });
            start += heads.len();
        }
    }

    /// Statements and heads held.
    pub fn len(&self) -> usize {
        self.anywhere.len() + self.heads.len() + self.members.len()
    }

    /// The statements that may match an ARN, in their order, each once.
    pub fn on(&self, index: &Index, arn: &str) -> Vec<u32> {
        let arn = head_of(arn);
        let mut found = Vec::with_capacity(self.anywhere.len() + 8);
        found.extend_from_slice(&self.anywhere);
        let mut place = self.longest(index, arn);
        while let Some(at) = place {
            let Some(head) = self.heads.get(at) else { break };
            if begins(arn, index.head(head.number)) {
                let end = self.heads.get(at + 1).map_or(self.members.len(), |next| next.start as usize);
                found.extend(self.members.get(head.start as usize..end).into_iter().flatten());
            }
            place = (head.above != NONE).then_some(head.above as usize);
        }
        sorted(found)
    }

    /// The last head that sorts before an ARN.
    fn longest(&self, index: &Index, arn: Head<'_>) -> Option<usize> {
        let heads = |service: &Service| self.heads.get(service.start..service.end).unwrap_or_default();
        let text = |place: &Place| index.head(place.number);
        let of = |service: &&Service| heads(service).first().is_some_and(|first| text(first).0 == arn.0);
        let service = self.services.iter().find(of)?;
        let next = eight(arn.1, service.shared);
        // Without what all share, it begins with none of them; the order below would be meaningless.
        let first = heads(service).first().map(|place| text(place).1)?;
        if arn.1.get(..service.shared) != first.get(..service.shared) {
            return None;
        }
        let before = heads(service).partition_point(|place| {
            if place.next == next { text(place).1 <= arn.1 } else { place.next < next }
        });
        before.checked_sub(1).map(|before| service.start + before)
    }

    /// Every statement that can match the action.
    pub fn all(&self) -> Vec<u32> {
        sorted(self.anywhere.iter().chain(&self.members).copied().collect())
    }
}

/// Eight bytes of a text from a place on, filled up with zeros, as a number that sorts like them.
fn eight(text: &[u8], from: usize) -> u64 {
    let rest = text.get(from..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*eight);
    }
    rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) << (8 * (8 - rest.len())).min(63)
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
