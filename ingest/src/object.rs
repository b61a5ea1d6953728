//! One object of a bucket or folder, from its bytes to its rows.
//!
//! The bytes are inflated under caps ([`mod@crate::inflate`]), the format is told by the content
//! ([`crate::formats`]), and each record becomes a row or is quarantined: `read = rows + quarantined`, always.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::digest::logs;
use crate::event::{Columns, EventBatch, EventBuilder};
use crate::fingerprint::hex;
use crate::formats;
use crate::formats::cloudtrail::verbatim::{BYTES_MAX, Verbatim};
use crate::formats::cloudtrail::{self, Fast, Slots};
use crate::formats::frames::{Cutter, Pause, Records, Shape, Window};
use crate::inflate::{Feed, Inflater, Limits, ObjectError};
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

/// How objects are read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions<'o> {
    /// Bounds on what one object may cost.
    pub limits: &'o Limits,
    /// Which keys hold secrets.
    pub redaction: &'o Redaction,
    /// Which columns can be asked for. What only others need is not computed.
    pub columns: Columns,
    /// Which of them are built at once, where the others are to be looked up in the records when somebody asks: worth it
    /// where few rows are asked for more. `None`: all are built.
    pub built: Option<Columns>,
    /// How many bytes of records a slice holds before it is handed on.
    pub slice_bytes: usize,
    /// Whether the inflated bytes are hashed too, as CloudTrail's digests attest them.
    pub content_hash: bool,
}

impl<'o> ReadOptions<'o> {
    /// Every column, in slices of 16 MiB.
    pub fn new(limits: &'o Limits, redaction: &'o Redaction) -> Self {
        Self {
            limits,
            redaction,
            columns: Columns::ALL,
            built: None,
            slice_bytes: 16 << 20,
            content_hash: false,
        }
    }

    /// Only some columns.
    #[must_use]
    pub fn columns(self, columns: Columns) -> Self {
        Self { columns, ..self }
    }
}

/// What reading needs and the next object can use again: the inflated bytes, above all. One for each worker.
#[derive(Default)]
pub struct Room {
    inflater: Inflater,
    slots: Slots,
    spare: Spare,
}

/// The records of the slice before, whose room can be used again once nobody looks anything up in them.
type Spare = Option<Arc<Verbatim>>;

/// A part of an object: the records between two points of it.
#[derive(Debug)]
pub struct Slice {
    /// The events that could be read, in the object's order; rows are numbered through the whole object.
    pub batch: EventBatch,
    /// What could not be read, and why.
    pub quarantined: Vec<Quarantined>,
}

/// What a whole object came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Records that went in: always rows and quarantined of all slices together.
    pub read: u64,
    /// SHA-256 of the inflated bytes of its one gzip member, in hexadecimal; where it was asked for.
    pub content_sha256: Option<String>,
    /// Why an object without records has none on purpose: `digest` or `empty`.
    pub ignored: Option<&'static str>,
    /// Rows of a major version of their format that we do not know.
    pub unfamiliar: u64,
}

/// Reads one object slice by slice, so that the memory of it is bounded however large it is.
///
/// Objects that inflate to 64 MiB at most are inflated, and checked to their last byte, before the first slice. Larger
/// ones are inflated as they are read: that such an object is damaged may turn out only at its end, and then nothing of
/// it may be committed. So commit after [`Self::finish`], or not at all.
pub struct ObjectReader<'a> {
    bytes: &'a [u8],
    feed: Feed<'a>,
    cutter: Cutter,
    rows: Rows<'a>,
    ended: bool,
    content_hash: bool,
}

impl<'a> ObjectReader<'a> {
    /// Begins to read `bytes`, as stored: gzip, zstd or plain; the content decides, not the name.
    ///
    /// # Errors
    /// [`ObjectError`] when the object is refused as a whole.
    pub fn open(
        object: &ObjectRef,
        bytes: &'a [u8],
        options: ReadOptions<'a>,
        room: &'a mut Room,
    ) -> Result<Self, ObjectError> {
        let Room { inflater, slots, spare } = room;
        if let Some(spare) = spare.as_mut().and_then(Arc::get_mut) {
            // It may keep the inflated bytes of the object before, whose room is used again.
            spare.clear(None);
        }
        let feed = inflater.feed(bytes, options.limits)?;
        let bom = bom(feed.window().bytes)?;
        let content_hash = options.content_hash;
        let mut rows = Rows::new(Some(object.display()), options, slots, spare);
        rows.reserve(feed.left());
        Ok(Self {
            bytes,
            feed,
            cutter: Cutter::new(bom, options.limits.records_max),
            rows,
            ended: false,
            content_hash,
        })
    }

    /// Whether all of it is known to be undamaged: then its slices may be used as they come.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        matches!(self.feed, Feed::Whole { .. })
    }

    /// The next slice; none at the end. Only the last may be small, and only an object without records has none.
    ///
    /// # Errors
    /// [`ObjectError`] when the object turns out to be damaged: what was read of it must not be committed.
    #[expect(clippy::should_implement_trait, reason = "it borrows nothing, but it fails")]
    pub fn next(&mut self) -> Result<Option<Slice>, ObjectError> {
        while !self.ended {
            let window = self.feed.window();
            if self.rows.sliced {
                self.rows.reserve(self.feed.left());
            }
            match self.cutter.run(window, &mut self.rows) {
                Pause::Full => return Ok(Some(self.rows.slice())),
                Pause::More => {
                    let done = self.cutter.at();
                    self.feed.advance(done)?;
                    self.cutter.shift(done);
                }
                Pause::End => {
                    if self.cutter.shape() == Shape::Unknown {
                        return Err(ObjectError::BadJson);
                    }
                    self.feed.drain()?;
                    match self.feed.further() {
                        Some((bytes, _)) if !self.rows.may_be_in_members() => {
                            return Err(ObjectError::GzipTrailing { bytes });
                        }
                        Some((_, Some(fault))) => return Err(fault.clone()),
                        Some((_, None)) | None => {}
                    }
                    self.ended = true;
                }
            }
        }
        let more = self.rows.builder.rows() > 0 || !self.rows.quarantined.is_empty();
        Ok(more.then(|| self.rows.slice()))
    }

    /// What the object came to, after the last slice.
    pub fn finish(self) -> Summary {
        let content_sha256 = if self.content_hash { self.content_sha256() } else { None };
        let ignored = match self.cutter.shape() {
            Shape::Digest => Some("digest"),
            _ => (self.rows.row == 0).then_some("empty"),
        };
        let Rows { row, unfamiliar, .. } = self.rows;
        Summary { read: u64::from(row), content_sha256, ignored, unfamiliar }
    }

    fn content_sha256(&self) -> Option<String> {
        match &self.feed {
            Feed::Whole { plain: true, .. } => None,
            Feed::Whole { bytes, .. } => Some(hex(&logs::sha256(bytes))),
            // Inflated once more: such an object is rare, and its windows are gone.
            Feed::Stream(_) => logs::content_sha256(self.bytes, self.rows.limits).ok().map(|hash| hex(&hash)),
        }
    }
}

/// SHA-256 of an object's bytes as stored, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Reads one object. The same bytes give the same answer.
///
/// `bytes`: as stored, gzip, zstd or plain; the content decides, not the name. Shapes: `{"Records": [...]}`, an array,
/// one event, one of these on each line. A record that cannot be read is quarantined and its neighbours go on. All of it
/// is one batch: [`ObjectReader`] reads large objects in little memory.
///
/// # Errors
/// [`ObjectError`] when the object is refused as a whole; nothing of it may be committed then.
pub fn read_object(
    object: &ObjectRef,
    bytes: &[u8],
    limits: &Limits,
    redact: &Redaction,
) -> Result<ReadObject, ObjectError> {
    read_object_with(object, bytes, ReadOptions::new(limits, redact))
}

/// Reads one object, as [`read_object`] does, by `options`; as one slice.
///
/// # Errors
/// [`ObjectError`] when the object is refused as a whole.
pub fn read_object_with(
    object: &ObjectRef,
    bytes: &[u8],
    options: ReadOptions<'_>,
) -> Result<ReadObject, ObjectError> {
    thread_local! {
        static ROOM: RefCell<Room> = RefCell::default();
    }
    ROOM.with_borrow_mut(|room| {
        let options = ReadOptions { slice_bytes: usize::MAX, ..options };
        let mut reader = ObjectReader::open(object, bytes, options, room)?;
        let slice = reader.next()?.unwrap_or_else(|| reader.rows.slice());
        let Summary { read, ignored, .. } = reader.finish();
        room.inflater.shrink();
        let sha256 = sha256(bytes);
        Ok(ReadObject { batch: slice.batch, quarantined: slice.quarantined, read, sha256, ignored })
    })
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
    let (mut slots, mut spare) = (Slots::default(), None);
    let mut rows = Rows::new(None, ReadOptions::new(limits, redact), &mut slots, &mut spare);
    rows.inner(text, 0, 0);
    let slice = rows.slice();
    match slice.quarantined.into_iter().next() {
        Some(quarantined) => Err(quarantined),
        None => Ok(slice.batch),
    }
}

/// The rows of one object as they are found.
pub(crate) struct Rows<'l> {
    /// Where readable records are appended.
    pub builder: EventBuilder,
    /// The rest.
    pub quarantined: Vec<Quarantined>,
    /// The index of the next record.
    pub row: u32,
    /// The object's name for people.
    pub object: Option<String>,
    /// Rows of a version that we do not know.
    pub unfamiliar: u64,
    /// Bytes that its envelopes held.
    pub unwrapped: u64,
    pub limits: &'l Limits,
    pub redact: &'l Redaction,
    slots: &'l mut Slots,
    spare: &'l mut Spare,
    columns: Columns,
    built: Option<Columns>,
    /// Whether some rows are CloudTrail's, and some are others'.
    writers: Writers,
    /// Brackets that are open: scratch space.
    open: Vec<u8>,
    /// Quarantined records that kept their text.
    heads: usize,
    slice_bytes: usize,
    /// Bytes of the records in the slice.
    taken: usize,
    /// A slice was handed on, and the next not begun.
    sliced: bool,
}

#[derive(Clone, Copy, Default)]
struct Writers {
    cloudtrail: bool,
    others: bool,
}

impl<'l> Rows<'l> {
    fn new(
        object: Option<String>,
        options: ReadOptions<'l>,
        slots: &'l mut Slots,
        spare: &'l mut Spare,
    ) -> Self {
        Self {
            builder: EventBuilder::with_columns(0, options.columns),
            columns: options.columns,
            built: options.built.filter(|_| options.slice_bytes <= BYTES_MAX),
            quarantined: Vec::new(),
            row: 0,
            object,
            unfamiliar: 0,
            unwrapped: 0,
            limits: options.limits,
            redact: options.redaction,
            slots,
            spare,
            writers: Writers::default(),
            open: Vec::new(),
            heads: 0,
            slice_bytes: options.slice_bytes,
            taken: 0,
            sliced: false,
        }
    }

    /// Takes the value at `at` as a record inside `level` envelopes: CloudTrail's, or others are asked. Just past it; none
    /// where its brackets do not balance.
    pub(crate) fn inner(&mut self, text: &[u8], at: usize, level: usize) -> Option<usize> {
        let value = balanced(text, at, &mut self.open)?;
        let text = text.get(at..value.end)?;
        let place = Place { object: self.object.as_deref(), row: self.row };
        let Self { builder, slots, limits, redact, .. } = self;
        match cloudtrail::append(builder, slots, text, value.depth, place, limits, redact) {
            Ok(()) => {
                self.row += 1;
                self.writers.cloudtrail = true;
                self.unfamiliar += u64::from(formats::version::is_unfamiliar(text));
            }
            Err(unread) => formats::elsewhere(self, text, level, unread),
        }
        self.taken += text.len();
        Some(value.end)
    }

    /// Takes a record whose writer is known.
    pub(crate) fn appended(
        &mut self,
        text: &[u8],
        append: impl FnOnce(&mut EventBuilder, Place<'_>) -> Result<(), Unread>,
    ) {
        let place = Place { object: self.object.as_deref(), row: self.row };
        match append(&mut self.builder, place) {
            Ok(()) => {
                self.row += 1;
                self.writers.others = true;
            }
            Err(unread) => self.quarantine(unread.reason, unread.detail, text),
        }
    }

    /// Whether they may lie in several gzip members: other clouds' export services append, CloudTrail never does.
    fn may_be_in_members(&self) -> bool {
        self.writers.others && !self.writers.cloudtrail
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
    pub(crate) fn quarantine(&mut self, reason: &'static str, detail: Cow<'static, str>, text: &[u8]) {
        let row = Some(self.row);
        self.row += 1;
        self.quarantined.push(if self.heads < HEADS_MAX {
            self.heads += 1;
            Quarantined::new(row, reason, detail, text, self.redact)
        } else {
            Quarantined { row, reason, detail: String::new(), head: String::new() }
        });
    }

    /// Makes room for the rows of so many bytes, or of a slice of them.
    fn reserve(&mut self, bytes: usize) {
        self.sliced = false;
        let rows = bytes.min(self.slice_bytes) / RECORD_BYTES + 1;
        self.builder = match self.built {
            None => EventBuilder::with_columns(rows, self.columns),
            Some(built) => {
                let mut verbatim = self.spare.take().and_then(Arc::into_inner).unwrap_or_default();
                verbatim.clear(self.object.as_deref());
                EventBuilder::looking_up(rows, self.columns, built, Box::new(verbatim))
            }
        };
    }

    fn slice(&mut self) -> Slice {
        self.taken = 0;
        self.sliced = true;
        let batch = self.builder.finish();
        *self.spare = batch.verbatim().cloned();
        Slice { batch, quarantined: std::mem::take(&mut self.quarantined) }
    }

    fn fast(&mut self, window: Window<'_>, at: usize, end: usize) -> Fast {
        let place = Place { object: self.object.as_deref(), row: self.row };
        let Self { builder, slots, limits, redact, .. } = self;
        let fast = cloudtrail::append_at(builder, slots, window, (at, end), place, limits, redact);
        if let Fast::Row(past) = fast {
            self.row += 1;
            self.writers.cloudtrail = true;
            self.taken += past - at;
            let record = window.bytes.get(at..past).unwrap_or_default();
            self.unfamiliar += u64::from(formats::version::is_unfamiliar(record));
        }
        fast
    }
}

impl Records for Rows<'_> {
    #[inline]
    fn record(&mut self, window: Window<'_>, at: usize, end: usize) -> Option<usize> {
        if let Fast::Row(past) = self.fast(window, at, end) {
            return Some(past);
        }
        self.inner(window.bytes.get(..end)?, at, 0)
    }

    fn event(&mut self, window: Window<'_>, at: usize, end: usize) -> Option<usize> {
        match self.fast(window, at, end) {
            Fast::Row(past) => Some(past),
            Fast::Unclear => None,
        }
    }

    fn broken(&mut self, text: &[u8], reason: &'static str, detail: &'static str) {
        self.quarantine(reason, detail.into(), text);
        self.taken += text.len();
    }

    fn is_full(&self) -> bool {
        self.taken >= self.slice_bytes
    }
}

/// About what a record has: the first guess of how many there are.
const RECORD_BYTES: usize = 1200;

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

/// How long the mark is that says that the text is UTF-8.
fn bom(text: &[u8]) -> Result<usize, ObjectError> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..] => Err(ObjectError::BadEncoding),
        // Without a mark the zeros of wider units tell: https://www.rfc-editor.org/rfc/rfc4627#section-3
        [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..] | [0, 0, 0, b'{' | b'[', ..] => {
            Err(ObjectError::BadEncoding)
        }
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests;
