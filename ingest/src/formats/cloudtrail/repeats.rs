//! Parts that stand in many records byte for byte: a session makes many calls, and its `userIdentity` is a third of each;
//! of an operation, what was called; and the end, that says to which account and how the call came.
//!
//! A part that begins where one is known is compared with it as a whole; if it is the same, it was validated before, and
//! its fields stand where they stood. What a record says never hangs on what others said: only the work is saved.

use std::hash::Hasher;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHasher;

use super::keys::{SLOTS, Slot};
use super::slots::Span;
use crate::event::Source;

/// How many of a part are kept. A power of two.
const KEPT: usize = 512;
/// Longest text that is kept.
const BYTES_MAX: usize = 2048;

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The value of `userIdentity`.
    Caller,
    /// From the value of `eventSource` to the comma behind that of `awsRegion`.
    Call,
    /// From the value of `eventType` to the brace that ends the record.
    End,
}

impl Part {
    /// The slots that it fills with texts or flags.
    const fn slots(self) -> RangeInclusive<usize> {
        match self {
            Part::Caller => Slot::Kind as usize..=Slot::Federation as usize,
            Part::Call => Slot::EventSource as usize..=Slot::AwsRegion as usize,
            Part::End => Slot::EventType as usize..=Slot::TlsVersion as usize,
        }
    }

    /// The bits of all slots that it may fill; one that fills others is not kept.
    pub(super) const fn bits(self) -> u64 {
        let slots = self.slots();
        let values = ((1 << (*slots.end() + 1)) - 1) & !((1 << *slots.start()) - 1);
        let objects = match self {
            Part::Caller => {
                Slot::SessionContext.bit()
                    | Slot::Issuer.bit()
                    | Slot::Attributes.bit()
                    | Slot::OnBehalfOfObject.bit()
                    | Slot::InScopeOf.bit()
            }
            Part::Call => 0,
            Part::End => Slot::Tls.bit(),
        };
        values | objects
    }

    /// The bits of those that it must fill to be kept, for the columns that are read from it alone.
    const fn required(self) -> u64 {
        match self {
            Part::Call => self.bits(),
            Part::Caller | Part::End => 0,
        }
    }

    /// Where the part that begins `rest` would be kept. `service`: what was read as its record's.
    #[inline(always)]
    pub(super) fn place(self, rest: &[u8], service: &str) -> Option<usize> {
        let mut hasher = FxHasher::default();
        match self {
            // Behind the type, up to the session's name.
            Part::Caller => hasher.write(rest.get(32..128)?),
            // The service and the operation; what comes behind the region is not reached.
            Part::Call => hasher.write(rest.first_chunk::<64>()?),
            // Whether it is a management event; and its host, by the service.
            Part::End => {
                hasher.write(service.as_bytes());
                hasher.write(rest.first_chunk::<40>()?);
            }
        }
        Some(hasher.finish() as usize % KEPT)
    }
}

/// What is kept of all parts.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    callers: Vec<Repeat>,
    calls: Vec<Repeat>,
    ends: Vec<Repeat>,
}

/// Where the columns of one record come from, part by part: only of parts that are known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sources {
    pub caller: Option<Source>,
    pub call: Option<Source>,
    pub end: Option<Source>,
}

/// Numbers never come again, whoever keeps parts: those of one worker's objects meet in one table.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// The most spans that a part has.
const SPANS: usize = Slot::Federation as usize - Slot::Kind as usize + 1;

/// One that was read, its spans from where it begins.
#[derive(Debug, Default, Clone)]
pub(super) struct Repeat {
    text: Vec<u8>,
    number: u64,
    spans: [Span; SPANS],
    pub told: Told,
}

/// What the marks of a record learn from a part.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Told {
    pub present: u64,
    pub seen: u64,
    pub truth: u64,
    /// The key that its last one is followed by, as the record's walk counts.
    pub before: usize,
}

impl Sources {
    #[inline(always)]
    pub(super) fn of(&mut self, part: Part) -> &mut Option<Source> {
        match part {
            Part::Caller => &mut self.caller,
            Part::Call => &mut self.call,
            Part::End => &mut self.end,
        }
    }
}

impl Repeats {
    #[inline(always)]
    fn of(&mut self, part: Part) -> &mut Vec<Repeat> {
        match part {
            Part::Caller => &mut self.callers,
            Part::Call => &mut self.calls,
            Part::End => &mut self.ends,
        }
    }

    /// The part kept at `place`, if `rest` begins with it.
    #[inline(always)]
    pub(super) fn known(&mut self, part: Part, place: usize, rest: &[u8]) -> Option<&Repeat> {
        let known = self.of(part).get(place).filter(|known| !known.text.is_empty())?;
        rest.starts_with(&known.text).then_some(known)
    }

    /// Keeps a part that was read, under a number of its own: `text` begins at `start` of what the spans are of.
    pub(super) fn keep(
        &mut self,
        part: Part,
        place: usize,
        text: &[u8],
        start: usize,
        spans: &[Span; SLOTS],
        told: Told,
    ) -> Option<Source> {
        let (bits, required) = (part.bits(), part.required());
        if text.len() > BYTES_MAX || told.seen & !bits != 0 || told.present & required != required {
            return None;
        }
        let kept = self.of(part);
        if kept.is_empty() {
            kept.resize(KEPT, Repeat::default());
        }
        let known = kept.get_mut(place)?;
        known.number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        known.text.clear();
        known.text.extend_from_slice(text);
        known.told = Told { present: told.present & bits, truth: told.truth & bits, ..told };
        for (own, span) in known.spans.iter_mut().zip(spans.iter().skip(*part.slots().start())) {
            *own = span.minus(start);
        }
        Some(Source { place, id: known.number })
    }
}

impl Repeat {
    /// Its bytes.
    #[inline(always)]
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// What columns know it by.
    #[inline(always)]
    pub(super) fn source(&self, place: usize) -> Source {
        Source { place, id: self.number }
    }

    /// Notes where its fields stand, given that it begins at `start`.
    #[inline(always)]
    pub(super) fn fill(&self, part: Part, start: usize, spans: &mut [Span; SLOTS]) {
        let own = spans.get_mut(part.slots()).unwrap_or_default();
        for (span, known) in own.iter_mut().zip(&self.spans) {
            *span = known.plus(start);
        }
    }
}
