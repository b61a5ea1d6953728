//! One record as the places of its fields in the text: nothing is copied.
//!
//! Every field becomes a [`Span`]; only a text with escapes is written out, beside the record.

use super::keys::{RECORD, SLOTS, Slot};
use super::record::Record;
use super::repeats::{Repeats, Sources};
use crate::keys::Keys;
use crate::redact;
use crate::time::Clock;

/// The bits of the slots that hold text.
const TEXTS: u64 = (1 << SLOTS) - 1;

/// Keys of a record whose followers are remembered; one more than the keys, for the first.
const FOLLOWS: usize = RECORD.len() + 1;

/// A range of the text. 32 bits: half the memory, and no window of an object is larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Callers see to it that a text is no longer than 32 bits can tell.
    #[inline(always)]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The same range, counted from `start`. What is not counted is no matter: its slot is not present.
    #[inline(always)]
    pub(super) fn minus(self, start: usize) -> Self {
        Self { start: self.start.wrapping_sub(start as u32), end: self.end.wrapping_sub(start as u32) }
    }

    #[inline(always)]
    pub(super) fn plus(self, start: usize) -> Self {
        Self { start: self.start.wrapping_add(start as u32), end: self.end.wrapping_add(start as u32) }
    }

    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.start >= self.end
    }

    fn is_in(self, other: Self) -> bool {
        other.start <= self.start && self.end <= other.end
    }

    #[inline(always)]
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Where the fields of a record stand. A span counts only while its field is marked as present.
pub(super) type Spans = [Span; SLOTS];

/// What is known of a record without a look at its text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// The value is there: not `null`, and no empty text, which says as little as a missing one.
    pub(super) present: u64,
    /// The text stands beside the record: its escapes resolved, or written by us.
    pub(super) aside: u64,
    /// The flag is true.
    pub(super) truth: u64,
    /// The keys of the request, and of the additional data.
    pub(super) request_keys: Keys,
    pub(super) additional_keys: Keys,
}

/// The fields of one record while it is read.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) spans: Spans,
    pub(super) marks: Marks,
    /// Which of its parts are known.
    pub(super) sources: Sources,
    /// The key was seen.
    pub(super) seen: u64,
    /// A key inside of the raw value has escapes, so that it may be a secret's.
    pub(super) veiled: u64,
}

/// Reads records one by one, each into the same places.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(super) fields: Fields,
    pub(super) resources: Vec<(Span, bool)>,
    /// Texts that do not stand in the record as they are meant.
    pub(super) aside: String,
    pub(super) repeats: Repeats,
    /// The values of secrets' keys in the text, in its order, none in another.
    pub(super) secrets: Vec<Span>,
    pub(super) clock: Clock,
    pub(super) depth_max: usize,
    /// The key that came after each key of the last record: records of a kind leave the same ones out.
    pub(super) follows: [u8; FOLLOWS],
    /// `Records`, or a key of a digest, was among the keys: this may be no event.
    pub(super) marked: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            spans: [Span::default(); SLOTS],
            marks: Marks::default(),
            sources: Sources::default(),
            seen: 0,
            veiled: 0,
        }
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            fields: Fields::default(),
            resources: Vec::new(),
            aside: String::new(),
            repeats: Repeats::default(),
            secrets: Vec::new(),
            clock: Clock::default(),
            depth_max: 0,
            follows: std::array::from_fn(|at| at as u8),
            marked: false,
        }
    }
}

impl Marks {
    #[inline(always)]
    pub(super) fn flag(&self, slot: Slot) -> Option<bool> {
        self.has(slot).then_some(self.truth & slot.bit() != 0)
    }

    /// Whether the value is there.
    #[inline(always)]
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.present & slot.bit() != 0
    }

    /// Whether a text that is there stands beside the record.
    #[inline(always)]
    pub(super) fn is_aside(&self, slot: Slot) -> bool {
        self.aside & slot.bit() != 0
    }
}

impl Fields {
    /// Gives the fields to what is kept of the record. `of_text`: how far it was moved; `of_aside`: where what stood beside
    /// it is now.
    ///
    /// One by one: they were written so just now, and a wide load must wait until all those have arrived.
    #[inline]
    pub(super) fn copy_to(&self, marks: &mut Marks, spans: &mut Spans, of_text: usize, of_aside: usize) {
        let Marks { present, aside, truth, request_keys, additional_keys } = &self.marks;
        let mut left = present & TEXTS;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            if let (Some(own), Some(span)) = (spans.get_mut(at), self.spans.get(at)) {
                *own = span.plus(if aside & 1 << at == 0 { of_text } else { of_aside });
            }
            left &= left - 1;
        }
        (marks.present, marks.truth, marks.aside) = (*present, *truth, *aside);
        (marks.request_keys, marks.additional_keys) = (*request_keys, *additional_keys);
    }

    /// Whether a raw value must be looked through for secrets: not all of their places are known.
    pub(super) fn is_veiled(&self, slot: Slot) -> bool {
        self.veiled & slot.bit() != 0
    }
}

impl Slots {
    /// The record that was read last, from `text`.
    pub(super) fn record<'a>(&'a self, text: &'a str) -> Record<'a> {
        Record::new(text, &self.aside, &self.fields.spans, &self.fields.marks, &self.resources)
    }

    /// Writes a text beside the record, in the place of what stands in it.
    pub(super) fn put(&mut self, slot: Slot, text: &str) {
        let from = self.aside.len();
        self.aside.push_str(text);
        self.stands_aside(slot, from);
    }

    /// Writes a raw value of `text` beside the record without its secrets, whose places are all known.
    pub(super) fn put_redacted(&mut self, slot: Slot, text: &str) {
        let value = self.fields.spans.get(slot as usize).copied();
        let Some(value) = value.filter(|_| self.fields.marks.has(slot)) else { return };
        let from = self.aside.len();
        let mut left = value;
        for secret in self.secrets.iter().filter(|secret| secret.is_in(value)) {
            if !redact::may_stay(secret.of(text).as_bytes().first()) {
                self.aside.push_str(Span { end: secret.start, ..left }.of(text));
                self.aside.push_str(redact::REDACTED);
                left.start = secret.end;
            }
        }
        if left != value {
            self.aside.push_str(left.of(text));
            self.stands_aside(slot, from);
        }
    }

    /// Notes that what was written beside the record since `from` is the value.
    fn stands_aside(&mut self, slot: Slot, from: usize) {
        if let Some(span) = self.fields.spans.get_mut(slot as usize) {
            *span = Span::new(from, self.aside.len());
        }
        self.fields.marks.present |= slot.bit();
        self.fields.marks.aside |= slot.bit();
    }
}
