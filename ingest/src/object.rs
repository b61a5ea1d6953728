//! One object of a bucket or folder, from its bytes to its rows.
//!
//! The bytes are inflated under caps ([`mod@crate::inflate`]), the format is told by the content
//! ([`crate::formats`]), and each record becomes a row or is quarantined: `read = rows + quarantined`, always.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::event::{EventBatch, EventBuilder};
use crate::fingerprint::hex;
use crate::formats::{self, Format, cloudtrail, frames::Shape};
use crate::inflate::{Limits, ObjectError, inflate};
use crate::quarantine::{Quarantined, reason};
use crate::redact::Redaction;
use crate::source::ObjectRef;
use crate::token::{balanced, skip_space};

/// Quarantined records of one object that keep their text: a file of nothing else must not fill the memory.
pub(crate) const HEADS_MAX: usize = 256;

/// What one object held.
#[derive(Debug)]
pub struct ReadObject {
    /// The events that could be read, in the object's order.
    pub batch: EventBatch,
    /// What could not be read, and why.
    pub quarantined: Vec<Quarantined>,
    /// Records that went in: always rows and quarantined together.
    pub read: u64,
    /// SHA-256 of the bytes as stored, in hexadecimal.
    pub sha256: String,
    /// Why an object without records has none on purpose: `digest` or `empty`.
    pub ignored: Option<&'static str>,
}

/// Reads one object. The same bytes give the same answer.
///
/// `bytes`: as stored, gzip or plain; the content decides, not the name. Shapes: `{"Records": [...]}`, an array, one
/// event, one of these on each line. A record that cannot be read is quarantined and its neighbours go on.
///
/// # Errors
/// [`ObjectError`] when the object is refused as a whole; nothing of it may be committed then.
pub fn read_object(
    object: &ObjectRef,
    bytes: &[u8],
    limits: &Limits,
    redact: &Redaction,
) -> Result<ReadObject, ObjectError> {
    let plain = inflate(bytes, limits)?;
    let text = without_bom(&plain)?;
    let mut rows = Rows {
        builder: EventBuilder::with_capacity(text.len() / 1500),
        quarantined: Vec::new(),
        row: 0,
        object: Some(object.display()),
        unwrapped: 0,
        limits,
        redact,
    };
    let ignored = match Format::of(text).read(text, &mut rows) {
        Shape::Unknown => return Err(ObjectError::BadJson),
        Shape::Digest => Some("digest"),
        Shape::Events => (rows.row == 0).then_some("empty"),
    };
    let sha256 = hex(&Sha256::digest(bytes));
    let Rows { builder, quarantined, row, .. } = rows;
    Ok(ReadObject { batch: builder.finish(), quarantined, read: u64::from(row), sha256, ignored })
}

/// Reads one raw record into a batch of one row, or says why it cannot. An envelope gives a row for each record in it,
/// perhaps none.
///
/// # Errors
/// The quarantined record, as [`read_object`] would give it.
pub fn read_record(record: &str, limits: &Limits, redact: &Redaction) -> Result<EventBatch, Quarantined> {
    let text = record.as_bytes();
    let bad = |reason, detail: &str| Quarantined::new(Some(0), reason, detail, text, redact);
    let start = skip_space(text, 0);
    let value = balanced(text, start, &mut Vec::new());
    let Some(value) = value.filter(|value| skip_space(text, value.end) == text.len()) else {
        return Err(bad(reason::BAD_JSON, "not one JSON value"));
    };
    let text = text.get(start..value.end).unwrap_or_default();
    let mut rows = Rows {
        builder: EventBuilder::with_capacity(1),
        quarantined: Vec::new(),
        row: 0,
        object: None,
        unwrapped: 0,
        limits,
        redact,
    };
    rows.record(text, |builder, place| cloudtrail::append(builder, text, value.depth, place, limits, redact));
    let Rows { builder, quarantined, .. } = rows;
    match quarantined.into_iter().next() {
        Some(quarantined) => Err(quarantined),
        None => Ok(builder.finish()),
    }
}

/// The rows of one object as its format finds them.
pub(crate) struct Rows<'l> {
    /// Where readable records are appended.
    pub builder: EventBuilder,
    /// The rest.
    pub quarantined: Vec<Quarantined>,
    /// The index of the next record.
    pub row: u32,
    /// The object's name for people.
    pub object: Option<String>,
    /// Bytes that its envelopes held.
    pub unwrapped: u64,
    pub limits: &'l Limits,
    pub redact: &'l Redaction,
}

impl Rows<'_> {
    /// Takes one record: `append` makes a row of it or says why it cannot; then others are asked.
    pub(crate) fn record(
        &mut self,
        text: &[u8],
        append: impl FnOnce(&mut EventBuilder, Place<'_>) -> Result<(), Unread>,
    ) {
        self.inner(text, 0, append);
    }

    /// As [`Rows::record`], of a record inside `level` envelopes.
    pub(crate) fn inner(
        &mut self,
        text: &[u8],
        level: usize,
        append: impl FnOnce(&mut EventBuilder, Place<'_>) -> Result<(), Unread>,
    ) {
        let place = Place { object: self.object.as_deref(), row: self.row };
        match append(&mut self.builder, place) {
            Ok(()) => self.row += 1,
            Err(unread) => formats::elsewhere(self, text, level, unread),
        }
    }

    /// As [`Rows::inner`], of a record whose writer is known.
    pub(crate) fn appended(
        &mut self,
        text: &[u8],
        append: impl FnOnce(&mut EventBuilder, Place<'_>) -> Result<(), Unread>,
    ) {
        let place = Place { object: self.object.as_deref(), row: self.row };
        match append(&mut self.builder, place) {
            Ok(()) => self.row += 1,
            Err(unread) => self.broken(unread.reason, unread.detail, text),
        }
    }

    /// How many bytes more its envelopes may hold.
    pub(crate) fn left(&self) -> u64 {
        self.limits.inflated_bytes_max.saturating_sub(self.unwrapped)
    }

    /// Counts what an envelope held; false where it is too much.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        self.unwrapped = self.unwrapped.saturating_add(bytes as u64);
        self.unwrapped <= self.limits.inflated_bytes_max
    }

    /// Takes a piece that no row can be made of.
    pub(crate) fn broken(&mut self, reason: &'static str, detail: Cow<'static, str>, text: &[u8]) {
        let row = Some(self.row);
        self.row += 1;
        self.quarantined.push(if self.quarantined.len() < HEADS_MAX {
            Quarantined::new(row, reason, detail, text, self.redact)
        } else {
            Quarantined { row, reason, detail: String::new(), head: String::new() }
        });
    }
}

/// Where a record stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub object: Option<&'a str>,
    pub row: u32,
}

/// Why a record cannot be read.
pub(crate) struct Unread {
    pub reason: &'static str,
    pub detail: Cow<'static, str>,
}

impl Unread {
    pub(crate) fn new(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

fn without_bom(text: &[u8]) -> Result<&[u8], ObjectError> {
    match text {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(rest),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..] => Err(ObjectError::BadEncoding),
        // Without a mark the zeros of wider units tell: https://www.rfc-editor.org/rfc/rfc4627#section-3
        [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..] | [0, 0, 0, b'{' | b'[', ..] => {
            Err(ObjectError::BadEncoding)
        }
        _ => Ok(text),
    }
}
