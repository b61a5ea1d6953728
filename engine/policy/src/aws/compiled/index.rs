//! Statements by the service of their resources, and by what stands before the first wildcard of the sixth part
//!
//! Wildcards stay inside one part of an ARN, so a pattern can match only if the service is the same and the sixth part
//! begins with the pattern's: its head. Heads are sorted; the longest one that an ARN begins with is at or above the
//! last head that sorts before the ARN, and every shorter one lies above that.

use crate::aws::statement::Statement;
use crate::wildcard::Match;

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
    /// Heads, sorted: the head's number, the place of the next shorter one here, and where its members begin
    heads: Vec<(u32, u32, u32)>,
    members: Vec<u32>,
}

/// The head of an ARN; all of it, if it is no pattern.
fn head_of(arn: &str) -> Head<'_> {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    (service.as_bytes(), parts.nth(2).unwrap_or_default().as_bytes())
}

/// The head of a pattern; `None` where any ARN may match.
fn head_of_pattern(pattern: &str) -> Option<Head<'_>> {
    let (service, resource) = head_of(pattern);
    let is_wild = |byte: &u8| matches!(byte, b'*' | b'?');
    if !pattern.starts_with("arn:") || service.is_empty() || service.iter().any(is_wild) {
        return None;
    }
    let plain = resource.iter().position(is_wild).unwrap_or(resource.len());
    Some((service, resource.get(..plain).unwrap_or_default()))
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
            let heads: Option<Vec<Head<'_>>> =
                patterns.iter().map(|pattern| head_of_pattern(pattern.widest())).collect();
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
            heads: Vec::new(),
            members: Vec::new(),
        };
        // The heads that the one at hand begins with, shortest first.
        let mut above: Vec<u32> = Vec::new();
        for (head, number) in self.members.iter().filter(|(_, number)| is_matching(number)) {
            if about.heads.last().is_none_or(|(last, ..)| last != head) {
                let text = self.head(*head);
                while let Some(place) = above.last() {
                    let shorter = about.heads.get(*place as usize).map_or(NONE, |(head, ..)| *head);
                    if begins(text, self.head(shorter)) {
                        break;
                    }
                    above.pop();
                }
                let place = u32::try_from(about.heads.len()).unwrap_or(NONE);
                let start = u32::try_from(about.members.len()).unwrap_or(NONE);
                about.heads.push((*head, above.last().copied().unwrap_or(NONE), start));
                above.push(place);
            }
            about.members.push(*number);
        }
        about
    }
}

impl About {
    /// Statements and heads held.
    pub fn len(&self) -> usize {
        self.anywhere.len() + self.heads.len() + self.members.len()
    }

    /// The statements that may match an ARN, in their order, each once.
    pub fn on(&self, index: &Index, arn: &str) -> Vec<u32> {
        let arn = head_of(arn);
        let mut found = Vec::with_capacity(self.anywhere.len() + 8);
        found.extend_from_slice(&self.anywhere);
        let mut place = self.heads.partition_point(|(head, ..)| index.head(*head) <= arn).checked_sub(1);
        while let Some(at) = place {
            let Some((head, above, start)) = self.heads.get(at) else { break };
            if begins(arn, index.head(*head)) {
                let end = self.heads.get(at + 1).map_or(self.members.len(), |(.., end)| *end as usize);
                found.extend(self.members.get(*start as usize..end).into_iter().flatten());
            }
            place = (*above != NONE).then_some(*above as usize);
        }
        sorted(found)
    }

    /// Every statement that can match the action.
    pub fn all(&self) -> Vec<u32> {
        sorted(self.anywhere.iter().chain(&self.members).copied().collect())
    }
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
