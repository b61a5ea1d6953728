//! Files on threads: each takes the next few files, and has buffers of its own that it uses again.

use super::totals::Totals;
use crate::hand_out::hand_out;
use anyhow::Context;
use engine::seen::Seen;
use engine::usage::{COLUMNS, Meeting, Usage};
use ingest::event::Columns;
use ingest::object::{ObjectReader, ReadOptions, Room, Slice};
use ingest::quarantine::reason;
use ingest::source::SourceError;
use ingest::sources::directory::{LogFile, log_files, read_file};
use ingest::{Limits, ObjectError, ObjectRef, Redaction};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Bytes of files that are enough for one turn.
const TURN_BYTES: u64 = 1 << 20;

/// Memory for the ids of events; the rest lies on disk.
const SEEN_BYTES: usize = 20 << 20;

/// A slice of an object: small enough to stay near the processor.
const SLICE_BYTES: usize = 2 << 20;

/// Rows need not say where they lie.
const NOWHERE: ObjectRef =
    ObjectRef { source: String::new(), bucket: String::new(), key: String::new(), version: String::new() };

/// Turns that lie ready for each thread.
const TURNS_READY: usize = 4;

/// Reads all files at the paths. `empty`: where each thread begins to count.
pub fn read(
    paths: &[PathBuf],
    threads: usize,
    empty: impl Fn() -> Usage + Sync,
) -> anyhow::Result<(Usage, Totals)> {
    let seen = Seen::new(SEEN_BYTES);
    let (limits, redaction) = (Limits::default(), Redaction::default());
    let columns = Columns::of(COLUMNS);
    let options =
        ReadOptions { slice_bytes: SLICE_BYTES, ..ReadOptions::new(&limits, &redaction).columns(columns) };
    let found = paths.iter().map(|path| log_files(path)).collect::<Result<Vec<_>, _>>()?;
    let files = found.into_iter().flatten();
    let mut walk_faults = Totals::default();
    let fault = |error: SourceError| {
        walk_faults.refuse("", reason::ACCESS_DENIED, &error.to_string());
    };
    if threads == 1 {
        let mut worker = Worker::new(&seen, empty(), options);
        hand_out(files, TURN_BYTES, fault, |turn| worker.read(&turn).map(|()| true))?;
        let Counted { usage, mut totals, .. } = worker.counted;
        totals.merge(walk_faults);
        return Ok((usage, totals));
    }
    let (sender, receiver) = sync_channel(threads * TURNS_READY);
    let receiver = Mutex::new(receiver);
    let mut usage = empty();
    let mut totals = Totals::default();
    std::thread::scope(|scope| {
        let work = || Worker::new(&seen, empty(), options).work(&receiver);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // This thread walks; a refused turn means that every worker has ended, and its error tells why.
        let walked = hand_out(files, TURN_BYTES, fault, |turn| Ok(sender.send(turn).is_ok()));
        drop(sender);
        for worker in workers {
            let (counted, read) = worker.join().ok().context("a worker thread broke down")??;
            usage.merge(counted)?;
            totals.merge(read);
        }
        walked.map(|_| ())
    })?;
    totals.merge(walk_faults);
    Ok((usage, totals))
}

/// One thread's share.
struct Worker<'s> {
    options: ReadOptions<'s>,
    bytes: Vec<u8>,
    room: Room,
    counted: Counted<'s>,
}

/// What a thread counted.
struct Counted<'s> {
    seen: &'s Seen,
    meeting: Meeting,
    usage: Usage,
    totals: Totals,
}

impl<'s> Worker<'s> {
    fn new(seen: &'s Seen, usage: Usage, options: ReadOptions<'s>) -> Worker<'s> {
        let counted = Counted { seen, meeting: Meeting::default(), usage, totals: Totals::default() };
        Worker { options, bytes: Vec::new(), room: Room::default(), counted }
    }

    /// Takes turns until there are none.
    fn work(mut self, turns: &Mutex<Receiver<Vec<LogFile>>>) -> anyhow::Result<(Usage, Totals)> {
        loop {
            let turn = turns.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(turn) = turn else { return Ok((self.counted.usage, self.counted.totals)) };
            self.read(&turn)?;
        }
    }

    fn read(&mut self, turn: &[LogFile]) -> anyhow::Result<()> {
        let Worker { options, bytes, room, counted } = self;
        for file in turn {
            counted.totals.files += 1;
            let read = read_file(&file.path, options.limits, bytes)
                .map_err(|error| (error.reason().unwrap_or(reason::FETCH_FAILED), error.to_string()))
                .and_then(|()| {
                    let object = counted.object(&file.path, bytes, *options, room);
                    object.map_err(|error| (error.reason(), error.to_string()))
                });
            match read {
                Ok(counted) => counted?,
                Err((reason, detail)) => {
                    counted.totals.refuse(&file.path.to_string_lossy(), reason, &detail);
                }
            }
        }
        Ok(())
    }
}

impl Counted<'_> {
    /// The outer error refuses the object, and nothing of it was counted then; the inner one ends it all.
    fn object(
        &mut self,
        path: &Path,
        bytes: &[u8],
        options: ReadOptions<'_>,
        room: &mut Room,
    ) -> Result<anyhow::Result<()>, ObjectError> {
        let mut reader = ObjectReader::open(&NOWHERE, bytes, options, room)?;
        if !reader.is_checked() {
            // Known as undamaged at its end only: it is read to there, and then again.
            while reader.next()?.is_some() {}
            reader = ObjectReader::open(&NOWHERE, bytes, options, room)?;
        }
        while let Some(slice) = reader.next()? {
            if let Err(error) = self.add(path, &slice) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    fn add(&mut self, path: &Path, slice: &Slice) -> anyhow::Result<()> {
        let Slice { batch, quarantined } = slice;
        self.totals.read += (batch.rows() + quarantined.len()) as u64;
        if !quarantined.is_empty() {
            self.totals.quarantine(&path.to_string_lossy(), quarantined);
        }
        let is_new = self.meeting.of(batch, self.seen)?;
        let unique = is_new.iter().filter(|is_new| **is_new).count() as u64;
        self.totals.unique += unique;
        self.totals.duplicates += batch.rows() as u64 - unique;
        self.usage.add(batch, is_new)?;
        Ok(())
    }
}
