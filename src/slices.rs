//! One object, judged slice by slice: its memory is that of a slice, however large it is.

use arrow::array::BooleanArray;
use engine::judge::{Judge, JudgeError, Judged};
use engine::seen::{Meeting, Seen, SeenError, event_of};
use ingest::digest::Shelf;
use ingest::event::Columns;
use ingest::object::{ObjectReader, ReadOptions, Room, Summary};
use ingest::{EventBatch, Limits, ObjectError, ObjectRef, Quarantined, Redaction};
use std::collections::{BTreeSet, HashSet};

/// Bytes of records that are judged at once: some thousand events, so that what each batch costs is shared.
const SLICE_BYTES: usize = 4 << 20;

/// What one worker reads and judges with.
pub struct Tools {
    pub judge: Judge,
    pub room: Room,
}

/// What every object is read by.
#[derive(Debug)]
pub struct Reading {
    pub limits: Limits,
    pub redaction: Redaction,
    /// What judging reads, and what is kept of events beyond it.
    pub columns: Columns,
    /// Which of them are built; `None`: all are.
    pub built: Option<Columns>,
    /// Sources whose log files are held against digests.
    pub signed: BTreeSet<String>,
}

impl Default for Reading {
    fn default() -> Self {
        // Beside what judging reads, a row's place in its object, by which it is left out when judged again.
        let columns = Columns { row: true, ..engine::calls::COLUMNS };
        Self {
            limits: Limits::default(),
            redaction: Redaction::default(),
            columns,
            built: Some(engine::calls::BUILT),
            signed: BTreeSet::new(),
        }
    }
}

/// Why an object was not judged to its end.
#[derive(Debug)]
pub enum Broken {
    /// It cannot be read: nothing of it counts.
    Object(ObjectError),
    /// Judging failed.
    Judge(anyhow::Error),
}

impl From<ObjectError> for Broken {
    fn from(error: ObjectError) -> Broken {
        Broken::Object(error)
    }
}

impl From<JudgeError> for Broken {
    fn from(error: JudgeError) -> Broken {
        Broken::Judge(error.into())
    }
}

impl From<SeenError> for Broken {
    fn from(error: SeenError) -> Broken {
        Broken::Judge(error.into())
    }
}

/// What is done with the slices of an object.
pub trait Take {
    /// Which rows are judged. `is_sound`: the object is known to be undamaged, so that they may be counted at once.
    fn choose(&mut self, batch: &EventBatch, is_sound: bool) -> Result<Vec<bool>, SeenError>;

    /// A slice that was judged: all of its rows, those that were chosen, and what could not be read.
    fn take(
        &mut self,
        all: &EventBatch,
        chosen: &EventBatch,
        judged: Judged,
        quarantined: Vec<Quarantined>,
    ) -> anyhow::Result<()>;
}

impl Reading {
    /// Whether an object's content is to be hashed as digests attest it.
    pub fn is_signed(&self, object: &ObjectRef) -> bool {
        self.signed.contains(&object.source) && Shelf::of_log(&object.key).is_some()
    }

    /// Judges an object. What `take` was given counts only if this succeeds.
    pub async fn judge(
        &self,
        tools: &mut Tools,
        object: &ObjectRef,
        bytes: &[u8],
        take: &mut impl Take,
    ) -> Result<Summary, Broken> {
        let Tools { judge, room } = tools;
        let options = ReadOptions::new(&self.limits, &self.redaction).columns(self.columns);
        let content_hash = self.is_signed(object);
        let options = ReadOptions { built: self.built, slice_bytes: SLICE_BYTES, content_hash, ..options };
        let mut reader = ObjectReader::open(object, bytes, options, room)?;
        let is_sound = reader.is_checked();
        while let Some(slice) = reader.next()? {
            let is_new = take.choose(&slice.batch, is_sound)?;
            let chosen = only(&slice.batch, is_new);
            let judged = judge.judge(&chosen).await?;
            take.take(&slice.batch, &chosen, judged, slice.quarantined).map_err(Broken::Judge)?;
        }
        Ok(reader.finish())
    }
}

/// The rows of a batch that its object's other events, and those of other objects, do not repeat.
pub fn new_rows(meeting: &mut Meeting<'_>, batch: &EventBatch) -> Result<Vec<bool>, SeenError> {
    let view = batch.view();
    meeting.meet((0..batch.rows()).map(|row| event_of(&view, row)))
}

/// The rows of `only` these places in their object that its other such rows, and other objects, do not repeat.
pub fn new_rows_of(
    meeting: &mut Meeting<'_>,
    batch: &EventBatch,
    only: &HashSet<u32>,
) -> Result<Vec<bool>, SeenError> {
    let view = batch.view();
    let asked: Vec<bool> =
        (0..batch.rows()).map(|at| view.row(at).is_some_and(|row| only.contains(&row))).collect();
    let among = asked.iter().enumerate().filter(|(_, asked)| **asked).map(|(at, _)| event_of(&view, at));
    let mut new = meeting.meet(among)?.into_iter();
    Ok(asked.into_iter().map(|asked| asked && new.next().unwrap_or(false)).collect())
}

/// As [`new_rows`], and the new ones are in the set then.
pub fn taken_rows(seen: &Seen, batch: &EventBatch) -> Result<Vec<bool>, SeenError> {
    let view = batch.view();
    seen.insert_all((0..batch.rows()).map(|row| event_of(&view, row)))
}

fn only(batch: &EventBatch, keep: Vec<bool>) -> EventBatch {
    if keep.iter().all(|keep| *keep) { batch.clone() } else { batch.filter(&BooleanArray::from(keep)) }
}
