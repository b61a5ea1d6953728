//! The records of a slice as they were written, for columns that are looked up when somebody asks.
//!
//! Of most events judging reads a dozen short columns. The others, most of the bytes, are asked of few: to copy each into
//! an array of its own costs more than to keep the record and where its fields stand. A large object's records stay where
//! they were inflated; others are copied.

use std::ops::Range;
use std::sync::Arc;

use super::keys::SLOTS;
use super::record::Record;
use super::row::Row;
use super::slots::{Marks, Slots, Span, Spans};
use crate::inflate::Shared;
use crate::object::Place;

/// Records, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Verbatim {
    /// Records that were copied; behind each record what does not stand in it as it is meant.
    text: String,
    /// The texts that the other records stand in.
    shared: Vec<Shared>,
    resources: Vec<(Span, bool)>,
    /// The first `rows` count; what others had is overwritten.
    kept: Vec<Kept>,
    /// Apart from what most questions are answered by: all of that stands close together.
    spans: Vec<Spans>,
    rows: usize,
    /// The object that they came in.
    object: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    marks: Marks,
    /// Its place among the shared texts, and one; 0 where it was copied.
    shared: u32,
    time: i64,
    /// Its index in the object.
    row: u32,
    resources: (u32, u32),
}

/// Bytes of a slice that can be kept: its places are told by 32 bits, and the last record may go beyond it.
pub(crate) const BYTES_MAX: usize = 1 << 30;

impl Verbatim {
    /// Forgets all records, and keeps the room that they took.
    pub(crate) fn clear(&mut self, object: Option<&str>) {
        self.text.clear();
        self.shared.clear();
        self.resources.clear();
        self.rows = 0;
        self.object = object.map(str::to_owned);
    }

    /// Keeps a copy of the record at `range` of `text`, which `slots` read last.
    pub(super) fn push(&mut self, slots: &Slots, text: &str, range: Range<usize>, time: i64, row: u32) {
        let moved = self.text.len().wrapping_sub(range.start);
        self.text.push_str(text.get(range).unwrap_or_default());
        self.keep(slots, moved, 0, time, row);
    }

    /// Keeps the record that `slots` read last from a text, and the text.
    #[inline]
    pub(super) fn push_shared(&mut self, slots: &Slots, text: &Shared, time: i64, row: u32) {
        let is_known = self.shared.last().is_some_and(|last| std::ptr::eq(*last.get(), *text.get()));
        if !is_known {
            self.shared.push(text.clone());
        }
        self.keep(slots, 0, self.shared.len() as u32, time, row);
    }

    /// `moved`: how far the record was moved; `shared`: see [`Kept`].
    #[inline]
    fn keep(&mut self, slots: &Slots, moved: usize, shared: u32, time: i64, row: u32) {
        let (aside, resources) = (self.text.len(), self.resources.len());
        self.text.push_str(&slots.aside);
        let arns = slots
            .resources
            .iter()
            .map(|(span, is_aside)| (span.plus(if *is_aside { aside } else { moved }), *is_aside));
        self.resources.extend(arns);
        if self.kept.len() == self.rows {
            self.kept.push(Kept::default());
            self.spans.push([Span::default(); SLOTS]);
        }
        if let (Some(kept), Some(spans)) = (self.kept.get_mut(self.rows), self.spans.get_mut(self.rows)) {
            slots.fields.copy_to(&mut kept.marks, spans, moved, aside);
            (kept.shared, kept.time, kept.row) = (shared, time, row);
            kept.resources = (resources as u32, self.resources.len() as u32);
            self.rows += 1;
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A record as a row.
    #[inline(always)]
    pub(crate) fn row(&self, at: usize) -> Option<Row<'_>> {
        let kept = self.kept.get(at).filter(|_| at < self.rows)?;
        let (from, to) = kept.resources;
        let resources = self.resources.get(from as usize..to as usize).unwrap_or_default();
        let text = match (kept.shared as usize).checked_sub(1) {
            None => self.text.as_str(),
            Some(at) => self.shared.get(at)?.get(),
        };
        let record = Record::new(text, &self.text, self.spans.get(at)?, &kept.marks, resources);
        Some(Row::new(record, kept.time, Place { object: self.object.as_deref(), row: kept.row }))
    }
}

/// Some rows of what was kept, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    verbatim: Arc<Verbatim>,
    /// Which; all of them where there is no list.
    places: Option<Arc<[u32]>>,
}

impl Lookup {
    pub(crate) fn new(verbatim: Arc<Verbatim>) -> Lookup {
        Lookup { verbatim, places: None }
    }

    #[inline(always)]
    pub(crate) fn row(&self, at: usize) -> Option<Row<'_>> {
        match &self.places {
            None => self.verbatim.row(at),
            Some(places) => self.verbatim.row(*places.get(at)? as usize),
        }
    }

    /// Those of its rows for which `keep` says so.
    pub(crate) fn only(&self, keep: impl Iterator<Item = bool>) -> Lookup {
        let places = keep.enumerate().filter(|(_, keep)| *keep).filter_map(|(at, _)| match &self.places {
            None => u32::try_from(at).ok(),
            Some(places) => places.get(at).copied(),
        });
        Lookup { verbatim: Arc::clone(&self.verbatim), places: Some(places.collect()) }
    }

    /// What it looks into, for who wants to use the room again.
    pub(crate) fn verbatim(&self) -> &Arc<Verbatim> {
        &self.verbatim
    }
}
