//! What of an answer tells rows apart, and what of it is counted

use rustc_hash::FxHashMap;

use super::answers::Remembered;
use super::signature::{Reads, Signatures};
use crate::measure::Graded;

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
