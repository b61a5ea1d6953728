//! Files on threads: each reads, judges and sums by itself, and hands its sum over now and then.

use crate::calls_file::CallsFile;
use crate::desk::Settling;
use crate::progress::Progress;
use crate::slices::{Broken, Reading, Take, Tools, new_rows, taken_rows};
use anyhow::Context;
use engine::calls::Rules;
use engine::detection::Detection;
use engine::judge::{Judge, Judged};
use engine::seen::{Meeting, Seen, SeenError};
use engine::store::{ObjectTotals, Store, Sum};
use ingest::object::{Room, Summary};
use ingest::quarantine::reason;
use ingest::source::SourceError;
use ingest::sources::directory::{LogFile, log_files};
use ingest::{EventBatch, Limits, ObjectRef, Quarantined};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Files that are looked at together, to begin with the largest: the last one to end should be a small one.
const WINDOW: usize = 4_096;

/// Small files that a thread takes at once, and the bytes that are enough for one turn.
const TURN_FILES: usize = 64;
const TURN_BYTES: u64 = 256 << 10;

/// Turns that lie ready for each thread.
const TURNS_READY: usize = 2;

/// Events after which a thread hands over what it summed: what is usual is known to all threads then.
const EVENTS_KEPT: usize = 10_000;

/// Rows of the common sum after which it is written to the store.
const ROWS_KEPT: usize = 200_000;

/// What all threads share.
pub struct Replay {
    pub rules: Arc<Rules>,
    pub detections: Vec<Detection>,
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
                .map(|_| scope.spawn(move || Thread::begin(self, runtime.clone())?.work(turns)))
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
            let mut files = log_files(root)?;
            loop {
                let mut window: Vec<LogFile> = Vec::new();
                for file in files.by_ref().take(WINDOW) {
                    match file {
                        Ok(file) => window.push(file),
                        Err(error) => unreadable(&mut totals, root, &error),
                    }
                }
                if window.is_empty() {
                    break;
                }
                window.sort_by_key(|file| std::cmp::Reverse(file.bytes));
                let mut turn = Vec::new();
                let mut bytes = 0;
                for file in window {
                    bytes += file.bytes;
                    turn.push(Found { folder: folder.clone(), path: file.path });
                    if turn.len() >= TURN_FILES || bytes >= TURN_BYTES {
                        bytes = 0;
                        if self.cancel.is_cancelled() || !take(std::mem::take(&mut turn)) {
                            return Ok(totals);
                        }
                    }
                }
                if !turn.is_empty() && !take(turn) {
                    return Ok(totals);
                }
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
    /// Plans the detections, which takes a while: each thread its own.
    fn begin(replay: &'r Replay, runtime: Handle) -> anyhow::Result<Self> {
        let judge = runtime.block_on(Judge::new(replay.rules.clone(), &replay.detections))?;
        let judge = if replay.calls.is_some() { judge.keeping_rows() } else { judge };
        Ok(Self {
            replay,
            runtime,
            tools: Tools { judge, room: Room::default() },
            sum: Sum::default(),
            unshared: 0,
            totals: ObjectTotals::default(),
            bytes: Vec::new(),
        })
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
        bytes.clear();
        if let Err(error) = read_file(&file.path, &replay.reading.limits, &mut bytes) {
            let reason = match error.kind() {
                ErrorKind::NotFound => reason::MISSING_OBJECT,
                ErrorKind::FileTooLarge => reason::COMPRESSED_TOO_BIG,
                _ => reason::ACCESS_DENIED,
            };
            self.quarantine(&file.path, reason, &error.to_string());
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
        // A large object is counted when it was read to its end; what others were faster with is taken out then.
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
            (sum.rows() >= ROWS_KEPT).then(|| std::mem::take(&mut *sum))
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
    fn choose(&mut self, batch: &EventBatch, is_whole: bool) -> Result<Vec<bool>, SeenError> {
        if is_whole && self.meeting.as_ref().is_some_and(|meeting| !meeting.is_again()) {
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

/// Reads a file into `bytes`, at most what the limits allow.
fn read_file(path: &Path, limits: &Limits, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.by_ref().take(2).read_to_end(bytes)?;
    let limit = limits.stored_bytes_max(bytes);
    if size <= limit {
        bytes.reserve(usize::try_from(size).unwrap_or_default());
        // The file may grow while it is read.
        file.take((limit + 1).saturating_sub(bytes.len() as u64)).read_to_end(bytes)?;
        if bytes.len() as u64 <= limit {
            return Ok(());
        }
    }
    Err(std::io::Error::new(
        ErrorKind::FileTooLarge,
        format!("the object has more bytes than the limit of {limit}"),
    ))
}
