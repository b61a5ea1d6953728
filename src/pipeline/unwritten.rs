//! What the slices of an object add up to while it is judged.

use crate::clouds::Clouds;
use crate::desk::Sheet;
use crate::slices::{Take, new_rows, new_rows_of};
use engine::grant::PolicyChange;
use engine::judge::Judged;
use engine::lake::{Lake, Rows};
use engine::seen::{Meeting, SeenError};
use engine::store::{ClaimToken, LogRead, Origin, Readmitted, Sum};
use ingest::object::{Summary, sha256};
use ingest::{EventBatch, ObjectRef, Quarantined};
use std::collections::{BTreeSet, HashSet};

/// What the slices of an object add up to, before anything is written.
pub(super) struct Unwritten<'s> {
    pub(super) meeting: Meeting<'s>,
    pub(super) sum: Sum,
    pub(super) changes: Vec<PolicyChange>,
    /// The oldest that a slice was judged by.
    pub(super) grants_revision: u64,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) origin: Origin,
    pub(super) rows: usize,
    pub(super) clouds: Clouds,
    /// The only rows that count; none where all do.
    pub(super) only: Option<&'s HashSet<u32>>,
    pub(super) lake: Option<&'s Lake>,
    pub(super) kept: Rows,
    /// Whose records these are, read again, and which of them are new.
    pub(super) readmitted: Option<Readmitted>,
}

impl<'s> Unwritten<'s> {
    pub(super) fn of(object: &ObjectRef, meeting: Meeting<'s>, lake: Option<&'s Lake>) -> Self {
        Self {
            meeting,
            lake,
            kept: Rows::default(),
            sum: Sum::default(),
            changes: Vec::new(),
            grants_revision: u64::MAX,
            quarantined: Vec::new(),
            origin: Origin {
                object: object.clone(),
                left_out: Vec::new(),
                last_event: 0,
                callers: BTreeSet::new(),
            },
            rows: 0,
            clouds: Clouds::default(),
            only: None,
            readmitted: None,
        }
    }

    pub(super) fn sheet(
        self,
        object: &ObjectRef,
        claim: &ClaimToken,
        bytes: &[u8],
        summary: Summary,
        log: Option<LogRead>,
    ) -> Sheet {
        let events = self.meeting.ids();
        Sheet {
            claim: claim.clone(),
            place: object.display(),
            sha256: sha256(bytes),
            read: summary.read,
            duplicates: (self.rows - events.len()) as u64,
            events,
            quarantined: self.quarantined,
            findings: self.sum.findings.into_values().collect(),
            baseline: self.sum.baseline,
            measures: self.sum.measures,
            issued: self.sum.issued,
            changes: self.changes,
            grants_revision: self.grants_revision,
            readmitted: self.readmitted,
            is_canary: false,
            unfamiliar: summary.unfamiliar,
            origin: Some(Origin { last_event: self.clouds.latest().unwrap_or_default(), ..self.origin }),
            clouds: self.clouds,
            kept: self.kept,
            log,
        }
    }
}

impl Take for Unwritten<'_> {
    fn choose(&mut self, batch: &EventBatch, _is_sound: bool) -> Result<Vec<bool>, SeenError> {
        let is_new = match self.only {
            None => new_rows(&mut self.meeting, batch)?,
            Some(only) => new_rows_of(&mut self.meeting, batch, only)?,
        };
        let view = batch.view();
        if let Some(readmitted) = &mut self.readmitted {
            let new = is_new.iter().enumerate().filter(|(_, is_new)| **is_new);
            readmitted.rows.extend(new.filter_map(|(at, _)| view.row(at)));
        }
        let left_out = is_new.iter().enumerate().filter(|(_, is_new)| !**is_new);
        self.origin.left_out.extend(left_out.filter_map(|(at, _)| view.row(at)));
        Ok(is_new)
    }

    fn take(
        &mut self,
        all: &EventBatch,
        chosen: &EventBatch,
        judged: Judged,
        quarantined: Vec<Quarantined>,
    ) -> anyhow::Result<()> {
        let view = chosen.view();
        self.rows += all.rows();
        self.clouds.add(all, chosen);
        if let Some(lake) = self.lake {
            self.kept.add(chosen, &lake.spool)?;
        }
        self.origin.callers.append(&mut judged.calls.callers(&view));
        self.grants_revision = self.grants_revision.min(judged.calls.grants_revision);
        self.quarantined.extend(quarantined);
        self.changes.extend_from_slice(&judged.calls.changes);
        self.sum.add_judged(judged);
        Ok(())
    }
}

/// What an object adds to findings and measures when it is judged again.
pub(super) struct Rejudged<'a> {
    pub(super) left_out: &'a HashSet<u32>,
    pub(super) sum: Sum,
}

impl Take for Rejudged<'_> {
    fn choose(&mut self, batch: &EventBatch, _is_sound: bool) -> Result<Vec<bool>, SeenError> {
        let view = batch.view();
        let counted = |at: usize| view.row(at).is_none_or(|row| !self.left_out.contains(&row));
        Ok((0..batch.rows()).map(counted).collect())
    }

    fn take(
        &mut self,
        _all: &EventBatch,
        _chosen: &EventBatch,
        judged: Judged,
        _quarantined: Vec<Quarantined>,
    ) -> anyhow::Result<()> {
        self.sum.add_judged(judged);
        Ok(())
    }
}
