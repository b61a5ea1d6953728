//! Which rows of a batch detections ask to see, and how those are written

use arrow::array::RecordBatch;
use ingest::event::EventView;

use super::event::{self, Annotated};
use super::kinds::Kinds;
use super::signature::{APART, Heard};
use super::{CallFacts, Changes, Rules, elsewhere};
use crate::baseline::BaselineDelta;
use crate::measure::Measures;

/// What came of walking through a batch.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// The event and the signature of each row of `calls`, in order.
    pub(super) rows: Vec<(u32, u32)>,
    /// Events that were held against grants or a scope.
    pub(super) judged: Vec<u32>,
    pub(super) baseline: BaselineDelta,
    pub(super) measures: Measures,
}

impl Kinds {
    /// The first row of each signature of which no detection was asked.
    pub(crate) fn unheard(&self, walked: &Walked) -> Vec<usize> {
        let mut unheard: Vec<(u32, usize)> = Vec::new();
        for (row, (_, signature)) in walked.rows.iter().enumerate() {
            if self.signatures.heard.get(*signature as usize) == Some(&Heard::NotAsked) {
                unheard.push((*signature, row));
            }
        }
        unheard.sort_unstable();
        unheard.dedup_by_key(|(signature, _)| *signature);
        let mut rows: Vec<usize> = unheard.into_iter().map(|(_, row)| row).collect();
        rows.sort_unstable();
        rows
    }

    /// Keeps what detections said of one row of each of some signatures.
    pub(crate) fn hear(&mut self, walked: &Walked, rows: &[usize], is_loud: &[bool]) {
        for (row, is_loud) in rows.iter().zip(is_loud) {
            let Some((_, signature)) = walked.rows.get(*row) else { continue };
            if let Some(heard) = self.signatures.heard.get_mut(*signature as usize) {
                *heard = if *is_loud { Heard::Loud } else { Heard::Quiet };
            }
        }
    }

    /// The rows that some detection lets through.
    pub(crate) fn loud(&self, walked: &Walked) -> Vec<usize> {
        let is_loud = |signature: u32| self.signatures.heard.get(signature as usize) == Some(&Heard::Loud);
        let rows = walked.rows.iter().enumerate();
        rows.filter(|(_, (_, signature))| is_loud(*signature)).map(|(row, _)| row).collect()
    }

    /// Annotates rows, by their numbers in ascending order.
    pub(crate) fn write<'a>(
        &mut self,
        view: &EventView<'a>,
        rules: &'a Rules,
        changes: &Changes,
        walked: &Walked,
        rows: &[usize],
    ) -> (RecordBatch, Vec<CallFacts>) {
        let mut annotated = Annotated::with_capacity(rows.len());
        let event_of = |row: usize| walked.rows.get(row).map(|(event, _)| *event);
        for of_event in rows.chunk_by(|a, b| event_of(*a) == event_of(*b)) {
            let Some((first, event)) = of_event.first().and_then(|row| Some((*row, event_of(*row)?))) else {
                continue;
            };
            let before = (0..first).rev().take_while(|row| event_of(*row) == Some(event)).count();
            let start = first - before;
            let event = event as usize;
            let is_wanted = |place: usize| of_event.contains(&(start + place));
            if let Some(found) = elsewhere::found(view, event, start, rules, &mut self.answers) {
                found.write(view, &is_wanted, &mut annotated);
                continue;
            }
            let fault = changes.fault(event);
            event::annotate(view, event, start, &is_wanted, fault, rules, &mut self.answers, &mut annotated);
        }
        annotated.finish()
    }
}

impl Walked {
    /// Adds a row that is like no other.
    pub(super) fn push_apart(&mut self, event: usize) {
        self.rows.push((u32::try_from(event).unwrap_or(u32::MAX), APART));
    }

    /// Every row.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.rows.len()).collect()
    }
}
