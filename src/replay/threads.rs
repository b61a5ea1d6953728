//! Files on threads: each reads, judges and sums by itself, and hands its sum over now and then.

use crate::calls_file::CallsFile;
use crate::desk::Settling;
use crate::hand_out::hand_out;
use crate::progress::Progress;
use crate::slices::{Broken, Reading, Take, Tools, new_rows, taken_rows};
use anyhow::Context;
use engine::calls::Rules;
use engine::judge::{Judge, Judged, Plans};
use engine::seen::{Meeting, Seen, SeenError};
use engine::store::{ObjectTotals, Store, Sum};
use ingest::object::{Room, Summary};
use ingest::quarantine::reason;
use ingest::source::SourceError;
use ingest::sources::directory::{log_files, read_file};
use ingest::{EventBatch, ObjectRef, Quarantined};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Bytes of files that are enough for one turn.
const TURN_BYTES: u64 = 256 << 10;

/// Turns that lie ready for each thread.
const TURNS_READY: usize = 2;

/// Events after which a thread hands over what it summed: what is usual is known to all threads then.
const EVENTS_KEPT: usize = 10_000;

/// Rows of the common sum after which it is written to the store.
const ROWS_KEPT: usize = 200_000;

/// The same for what events gave to later ones: half a kilobyte each, and none of it is ever the same row again.
const ISSUED_KEPT: usize = 10_000;

/// What all threads share.
pub struct Replay {
    pub rules: Arc<Rules>,
    pub plans: Arc<Plans>,
    pub settling: Settling,
    pub store: Store,
    pub seen: Seen,
    pub reading: Reading,
    pub calls: Option<CallsFile>,
    pub progress: Progress,
    pub cancel: CancellationToken,
    pub sum: Mutex<Sum>,
}

impl Replay {
    /// Judges every file at the paths; what was found is in the store then.
    pub async fn read(self: Arc<Self>, paths: Vec<PathBuf>, threads: usize) -> anyhow::Result<ObjectTotals> {
        let runtime = Handle::current();
        let replay = self.clone();
        let totals = tokio::task::spawn_blocking(move || replay.share(&paths, threads, &runtime)).await??;
        let sum = std::mem::take(&mut *self.sum.lock().unwrap_or_else(PoisonError::into_inner));
        self.store.commit_sum(&sum, &self.settling.terms()).await?;
        Ok(totals)
    }

    fn share(&self, paths: &[PathBuf], threads: usize, runtime: &Handle) -> anyhow::Result<ObjectTotals> {
        let (send, receive) = sync_channel(threads * TURNS_READY);
        let turns = Mutex::new(receive);
        std::thread::scope(|scope| {
            let turns = &turns;
            let threads: Vec<_> = (0..threads)
                .map(|_| scope.spawn(move || Thread::begin(self, runtime.clone()).work(turns)))
                .collect();
            // This thread walks. A turn that nobody takes means that every thread ended, and its error says why.
            let walked = self.walk(paths, |turn| send.send(turn).is_ok());
            drop(send);
            let mut totals = walked?;
            for thread in threads {
                let of = thread.join().ok().context("a thread broke down")??;
                totals.objects += of.objects;
                totals.read += of.read;
                totals.stored += of.stored;
                totals.duplicates += of.duplicates;
                totals.quarantined += of.quarantined;
            }
            Ok(totals)
        })
    }

    /// Hands out the files, largest first within a window. Gives what cannot be entered.
    fn walk(
        &self,
        paths: &[PathBuf],
        mut take: impl FnMut(Vec<Found>) -> bool,
    ) -> anyhow::Result<ObjectTotals> {
        let mut totals = ObjectTotals::default();
        let mut roots: Vec<PathBuf> = Vec::new();
        for path in paths {
            let root = path.canonicalize().unwrap_or_else(|_| path.clone());
            // What is named twice is read once.
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        for root in &roots {
            let folder = Arc::new(if root.is_dir() {
                root.clone()
            } else {
                root.parent().map(Path::to_path_buf).unwrap_or_default()
            });
            let fault = |error: SourceError| unreadable(&mut totals, root, &error);
            let all = hand_out(log_files(root)?, TURN_BYTES, fault, |turn| {
                let found = turn.into_iter().map(|file| Found { folder: folder.clone(), path: file.path });
                Ok(!self.cancel.is_cancelled() && take(found.collect()))
            })?;
            if !all {
                break;
            }
        }
        Ok(totals)
    }
}

fn unreadable(totals: &mut ObjectTotals, place: &Path, error: &SourceError) {
    warn!(object = %place.display(), reason = reason::ACCESS_DENIED, detail = %error, "folder quarantined");
    totals.objects += 1;
    totals.read += 1;
    totals.quarantined += 1;
}

/// A file to judge.
struct Found {
    folder: Arc<PathBuf>,
    path: PathBuf,
}

struct Thread<'r> {
    replay: &'r Replay,
    runtime: Handle,
    tools: Tools,
    sum: Sum,
    /// Events in the sum.
    unshared: usize,
    totals: ObjectTotals,
    bytes: Vec<u8>,
}

impl<'r> Thread<'r> {
    fn begin(replay: &'r Replay, runtime: Handle) -> Self {
        let judge = Judge::new(replay.rules.clone(), replay.plans.clone());
        let judge = if replay.calls.is_some() { judge.keeping_rows() } else { judge };
        Self {
            replay,
            runtime,
            tools: Tools { judge, room: Room::default() },
            sum: Sum::default(),
            unshared: 0,
            totals: ObjectTotals::default(),
            bytes: Vec::new(),
        }
    }

    /// Takes turns until there are none.
    fn work(mut self, turns: &Mutex<Receiver<Vec<Found>>>) -> anyhow::Result<ObjectTotals> {
        loop {
            let turn = turns.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(turn) = turn else { break };
            for file in turn {
                if self.replay.cancel.is_cancelled() {
                    break;
                }
                self.file(&file)?;
            }
        }
        self.hand_over()?;
        Ok(self.totals)
    }

    fn file(&mut self, file: &Found) -> anyhow::Result<()> {
        let replay = self.replay;
        let Some(key) = file.path.strip_prefix(file.folder.as_path()).ok().and_then(Path::to_str) else {
            self.quarantine(&file.path, reason::BAD_KEY, "the path is not UTF-8: rename it");
            return Ok(());
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Err(error) = read_file(&file.path, &replay.reading.limits, &mut bytes) {
            self.quarantine(&file.path, error.reason().unwrap_or(reason::FETCH_FAILED), &error.to_string());
            return Ok(());
        }
        let object = ObjectRef {
            source: String::new(),
            bucket: file.folder.to_string_lossy().into_owned(),
            key: key.to_owned(),
            version: String::new(),
        };
        let judged = self.judge(&object, &bytes);
        self.bytes = bytes;
        judged
    }

    fn judge(&mut self, object: &ObjectRef, bytes: &[u8]) -> anyhow::Result<()> {
        let replay = self.replay;
        let mut judged = Judging::new(replay, replay.seen.meeting());
        let mut summary = self.slices(object, bytes, &mut judged);
        // What may be damaged is counted when it was read to its end; what others were faster with is taken out then.
        if let (Ok(_), Some(meeting)) = (&summary, judged.meeting.take()) {
            let ids = meeting.ids();
            let lost = replay.seen.take(&ids)?;
            if !lost.is_empty() {
                judged = Judging::new(replay, replay.seen.meeting_again(&ids, &lost));
                summary = self.slices(object, bytes, &mut judged);
            }
        }
        let summary = match summary {
            Ok(summary) => summary,
            Err(Broken::Object(error)) => {
                self.quarantine(Path::new(&object.display()), error.reason(), &error.to_string());
                return Ok(());
            }
            Err(Broken::Judge(error)) => {
                return Err(error.context(format!("cannot judge {}", object.display())));
            }
        };
        let Judging { sum, lines, rows, unique, quarantined, .. } = judged;
        if let Some(file) = &replay.calls {
            file.write(&lines)?;
        }
        self.sum.merge(sum);
        self.totals.objects += 1;
        self.totals.read += summary.read as i64;
        self.totals.stored += unique as i64;
        self.totals.duplicates += (rows - unique) as i64;
        self.totals.quarantined += quarantined as i64;
        replay.progress.ended(unique as u64);
        self.unshared += unique;
        if self.unshared >= EVENTS_KEPT { self.hand_over() } else { Ok(()) }
    }

    fn slices(
        &mut self,
        object: &ObjectRef,
        bytes: &[u8],
        judged: &mut Judging<'_>,
    ) -> Result<Summary, Broken> {
        self.runtime.block_on(self.replay.reading.judge(&mut self.tools, object, bytes, judged))
    }

    /// Adds this thread's sum to that of all.
    fn hand_over(&mut self) -> anyhow::Result<()> {
        let replay = self.replay;
        let mine = std::mem::take(&mut self.sum);
        self.unshared = 0;
        replay.rules.baseline.apply(&mine.baseline);
        let full = {
            let mut sum = replay.sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.merge(mine);
            let is_full = sum.rows() >= ROWS_KEPT || sum.issued.len() >= ISSUED_KEPT;
            is_full.then(|| std::mem::take(&mut *sum))
        };
        if let Some(full) = full {
            self.runtime.block_on(replay.store.commit_sum(&full, &replay.settling.terms()))?;
        }
        Ok(())
    }

    fn quarantine(&mut self, place: &Path, reason: &str, detail: &str) {
        warn!(object = %place.display(), reason, detail, "object quarantined");
        self.totals.objects += 1;
        self.totals.read += 1;
        self.totals.quarantined += 1;
        self.replay.progress.ended(0);
    }
}

/// What an object adds up to.
struct Judging<'r> {
    replay: &'r Replay,
    /// None once the events are counted.
    meeting: Option<Meeting<'r>>,
    sum: Sum,
    lines: Vec<u8>,
    rows: usize,
    unique: usize,
    quarantined: usize,
}

impl<'r> Judging<'r> {
    fn new(replay: &'r Replay, meeting: Meeting<'r>) -> Self {
        let (sum, lines) = (Sum::default(), Vec::new());
        Self { replay, meeting: Some(meeting), sum, lines, rows: 0, unique: 0, quarantined: 0 }
    }
}

impl Take for Judging<'_> {
    fn choose(&mut self, batch: &EventBatch, is_sound: bool) -> Result<Vec<bool>, SeenError> {
        if is_sound {
            self.meeting = None;
        }
        match &mut self.meeting {
            Some(meeting) => new_rows(meeting, batch),
            None => taken_rows(&self.replay.seen, batch),
        }
    }

    fn take(
        &mut self,
        all: &EventBatch,
        chosen: &EventBatch,
        judged: Judged,
        quarantined: Vec<Quarantined>,
    ) -> anyhow::Result<()> {
        self.rows += all.rows();
        self.unique += chosen.rows();
        self.quarantined += quarantined.len();
        if self.replay.calls.is_some() {
            CallsFile::lines(&chosen.view(), &judged.calls, &mut self.lines)?;
        }
        self.sum.add_judged(judged);
        Ok(())
    }
}
