//! The callers of the last records, as they are written: a session makes many calls, and its `userIdentity`, a third of
//! every record, stands in each of them byte for byte.
//!
//! An identity that begins where one is known is compared with it as a whole; if it is the same, it was validated
//! before, and its fields stand where they stood. What a record says never hangs on what others said: only the work is
//! saved.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHasher;

use super::keys::{SLOTS, Slot};
use super::slots::Span;

/// How many are kept. A power of two.
const KEPT: usize = 512;
/// The bytes by which they are told apart at first: behind the type, up to the session's name.
const TELLING: std::ops::Range<usize> = 32..128;
/// Longest identity that is kept.
const BYTES_MAX: usize = 2048;

/// The first and the last slot that are filled from an identity.
const FIRST: usize = Slot::Kind as usize;
const LAST: usize = Slot::Federation as usize;

#[derive(Debug, Default)]
pub(super) struct Identities {
    kept: Vec<Identity>,
}

/// Numbers never come again, whoever keeps identities: those of one worker's objects meet in one table.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// One that was read, its spans from where it begins.
#[derive(Debug, Default, Clone)]
pub(super) struct Identity {
    text: Vec<u8>,
    pub number: u64,
    spans: [Span; LAST - FIRST + 1],
    pub present: u64,
    pub seen: u64,
    pub truth: u64,
}

/// The bits of the slots that an identity fills.
pub(super) const BITS: u64 = {
    let values = ((1 << (LAST + 1)) - 1) & !((1 << FIRST) - 1);
    values
        | Slot::SessionContext.bit()
        | Slot::Issuer.bit()
        | Slot::Attributes.bit()
        | Slot::OnBehalfOfObject.bit()
        | Slot::InScopeOf.bit()
};

impl Identities {
    /// Where the identity that begins `rest` would be kept.
    #[inline]
    pub(super) fn place(rest: &[u8]) -> Option<usize> {
        let telling = rest.get(TELLING)?;
        let mut hasher = FxHasher::default();
        hasher.write(telling);
        Some(hasher.finish() as usize % KEPT)
    }

    /// The identity kept at `place`, if `rest` begins with it; and its length.
    #[inline]
    pub(super) fn known(&self, place: usize, rest: &[u8]) -> Option<(&Identity, usize)> {
        let known = self.kept.get(place).filter(|known| !known.text.is_empty())?;
        rest.starts_with(&known.text).then_some((known, known.text.len()))
    }

    /// Keeps an identity that was read, under a number of its own: `text` begins at `start` of what the spans are of.
    pub(super) fn keep(
        &mut self,
        place: usize,
        text: &[u8],
        start: usize,
        spans: &[Span; SLOTS],
        (present, seen, truth): (u64, u64, u64),
    ) -> Option<u64> {
        if text.len() > BYTES_MAX {
            return None;
        }
        if self.kept.is_empty() {
            self.kept.resize(KEPT, Identity::default());
        }
        let known = self.kept.get_mut(place)?;
        known.number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        known.text.clear();
        known.text.extend_from_slice(text);
        (known.present, known.seen, known.truth) = (present & BITS, seen & BITS, truth & BITS);
        for (own, span) in known.spans.iter_mut().zip(spans.iter().skip(FIRST)) {
            *own = span.minus(start);
        }
        Some(known.number)
    }
}

impl Identity {
    /// Notes where its fields stand, given that it begins at `start`.
    #[inline]
    pub(super) fn fill(&self, start: usize, spans: &mut [Span; SLOTS]) {
        for (own, span) in self.spans.iter().zip(spans.iter_mut().skip(FIRST)) {
            *span = own.plus(start);
        }
    }
}
