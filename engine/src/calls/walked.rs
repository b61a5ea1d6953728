//! Which rows of a batch detections ask to see, and how those are written

use arrow::array::RecordBatch;
use ingest::event::EventView;

use super::event::{self, Annotated};
use super::kinds::Kinds;
use super::signature::{APART, Heard, Hearers};
use super::{Brought, CallFacts, Rules, elsewhere};
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

    /// Keeps which detections let one row of each of some signatures through.
    pub(crate) fn hear(&mut self, walked: &Walked, rows: &[usize], heard_by: &[Hearers]) {
        for (row, heard_by) in rows.iter().zip(heard_by) {
            let Some((_, signature)) = walked.rows.get(*row) else { continue };
            if let Some(heard) = self.signatures.heard.get_mut(*signature as usize) {
                *heard = Heard::By(*heard_by);
            }
        }
    }

    /// The rows that some detection lets through, and the detections that do.
    pub(crate) fn loud(&self, walked: &Walked) -> (Vec<usize>, Hearers) {
        let mut all = Hearers::default();
        let mut rows = Vec::new();
        for (row, (_, signature)) in walked.rows.iter().enumerate() {
            if let Some(Heard::By(heard_by)) = self.signatures.heard.get(*signature as usize)
                && !heard_by.is_empty()
            {
                rows.push(row);
                all = all.and(*heard_by);
            }
        }
        (rows, all)
    }

    /// Annotates rows, by their numbers in ascending order.
    pub(crate) fn write<'a>(
        &mut self,
        view: &EventView<'a>,
        rules: &'a Rules,
        brought: &Brought,
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
            let fault = brought.fault(event);
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
