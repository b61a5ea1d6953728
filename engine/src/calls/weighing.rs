//! What of an answer tells rows apart, and what of it is counted

use rustc_hash::FxHashMap;

use super::answers::Remembered;
use super::signature::{Reads, Signatures};
use crate::measure::Graded;
use crate::permission::Needed;
use policy::wildcard::{ArnPattern, Match, Target};

/// As much of an answer as rows are told apart by and measures count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed {
    pub(super) said: u32,
    /// The number of what is counted of it.
    pub(super) graded: Option<u32>,
}

/// Answers by their number.
#[derive(Debug, Default)]
pub(super) struct Weighing {
    pub(super) known: FxHashMap<u64, Weighed>,
    /// What there is to count: few, since it holds no texts of a log.
    pub(super) grades: Vec<Graded>,
}

/// Answers that hang on the resource by a few patterns alone: decided once for each way in which those can match.
#[derive(Debug)]
pub(super) struct Alike {
    patterns: Vec<ArnPattern>,
    known: FxHashMap<u64, Weighed>,
}

/// Patterns whose matches fit into one number, three bits each, with room for two more.
const PATTERNS_MAX: usize = 20;
/// Ways of matching that are remembered; then it forgets them and begins again.
const WAYS_MAX: usize = 4_096;

impl Alike {
    /// `None` where there are too many patterns.
    pub(super) fn new(patterns: Vec<ArnPattern>) -> Option<Alike> {
        (patterns.len() <= PATTERNS_MAX).then(|| Alike { patterns, known: FxHashMap::default() })
    }

    /// How the patterns match what was needed; `None` where that is not one resource.
    pub(super) fn way(&self, needed: &Needed, expired: bool) -> Option<u64> {
        let [arn] = needed.resources.as_slice() else { return None };
        let target = if needed.resources_known { Target::Exact(arn) } else { Target::Within(arn) };
        let way = u64::from(needed.resources_known) << 1 | u64::from(expired);
        Some(self.patterns.iter().fold(way, |way, pattern| {
            let found = match pattern.matches(target) {
                Match::No => 0,
                Match::Yes => 1,
                Match::Partly => 2,
                Match::Variable => 3,
                Match::Unclear => 4,
            };
            way << 3 | found
        }))
    }

    pub(super) fn get(&self, way: u64) -> Option<Weighed> {
        self.known.get(&way).copied()
    }

    pub(super) fn insert(&mut self, way: u64, weighed: Weighed) {
        if self.known.len() >= WAYS_MAX {
            self.known.clear();
        }
        self.known.insert(way, weighed);
    }
}

impl Weighing {
    pub(super) fn of(
        &mut self,
        remembered: &Remembered,
        signatures: &mut Signatures,
        reads: &Reads,
    ) -> Weighed {
        *self.known.entry(remembered.number).or_insert_with(|| {
            let answer = &remembered.answer;
            let graded = answer.scope.as_ref().map(|scope| Graded::of(scope, &answer.grant));
            let grades = &mut self.grades;
            let graded = graded.map(|graded| {
                grades.iter().position(|known| *known == graded).unwrap_or_else(|| {
                    grades.push(graded);
                    grades.len() - 1
                }) as u32
            });
            Weighed { said: signatures.said(answer, reads), graded }
        })
    }
}
