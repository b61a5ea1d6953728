//! A folder of log files, read once or watched.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::fingerprint::hex;
use crate::inflate::Limits;
use crate::lease::pause_before_retry;
use crate::quarantine::reason;
use crate::source::{Delivery, FetchError, Next, ObjectRef, SourceError, Ticket, Unreadable};
use crate::sources::DirectoryConfig;
use walk::Walk;

mod walk;

pub use walk::{LogFile, log_files};

/// Most files that are watched.
const WATCHED_MAX: usize = 1_000_000;

/// Files that are looked up at once, so that a large tree needs no large list.
const AHEAD: usize = 256;

/// A folder as a source.
///
/// Read are regular files named `*.json`, `*.jsonl`, `*.ndjson`, `*.log` and `*.gz`, in the order of their paths; links
/// are not followed. Watched, a file is handed out when it was the same at two looks, and again when it changed.
pub struct Directory {
    name: String,
    files: Files,
    watch: Option<Duration>,
    look: Instant,
    state: Arc<Mutex<State>>,
}

/// What outlives a cancelled call.
struct State {
    walk: Walk,
    /// Found and not handed out yet.
    found: VecDeque<(PathBuf, u32)>,
    /// Given back, and when to hand it out again.
    returned: Vec<(Instant, PathBuf, u32)>,
    seen: HashMap<PathBuf, Seen>,
    /// The walk of a folder that is read once has ended.
    exhausted: bool,
}

struct Seen {
    mark: Mark,
    handed_out: bool,
    /// The look that saw it last.
    look: Instant,
}

/// By what a change is noticed without reading.
type Mark = (u64, Option<SystemTime>);

/// A file that was handed out. Dropped, it is handed out again after a pause.
pub(crate) struct Loan {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    attempt: u32,
    done: bool,
}

impl Loan {
    pub(crate) fn acknowledge(mut self) {
        self.done = true;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.done {
            let due = Instant::now() + pause_before_retry(self.attempt);
            lock(&self.state).returned.push((due, std::mem::take(&mut self.path), self.attempt + 1));
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory {
    /// Opens the folder, or the single file, of `config`.
    pub(crate) fn open(config: &DirectoryConfig, limits: &Limits) -> Result<Self, SourceError> {
        let unreadable = |error: std::io::Error| path_error(&config.path, &error);
        let path = config.path.canonicalize().map_err(unreadable)?;
        let is_file = path.metadata().map_err(unreadable)?.is_file();
        let walk = if is_file { Walk::of_file(path.clone()) } else { Walk::of_folder(path.clone()) };
        let root = if is_file { path.parent().map(Path::to_path_buf).unwrap_or_default() } else { path };
        let state = State {
            walk,
            found: VecDeque::new(),
            returned: Vec::new(),
            seen: HashMap::new(),
            exhausted: false,
        };
        Ok(Self {
            name: config.name.clone(),
            files: Files { root: Arc::new(root), limits: Arc::new(limits.clone()) },
            watch: config.watch.then_some(config.poll),
            look: Instant::now(),
            state: Arc::new(Mutex::new(state)),
        })
    }

    pub(crate) fn files(&self) -> Files {
        self.files.clone()
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Next>, SourceError> {
        loop {
            if let Some((path, attempt)) = self.waiting() {
                let next = self.identify(&path, attempt).await;
                // Taken only now: cancelled before, it is still waiting.
                self.take(&path);
                match next {
                    Some(next) => return Ok(Some(next)),
                    None => continue,
                }
            }
            let due = lock(&self.state).returned.iter().map(|(due, ..)| *due).min();
            if let Some(poll) = self.watch {
                sleep_until(due.map_or(self.look, |due| due.min(self.look))).await;
                if Instant::now() >= self.look {
                    self.look = Instant::now() + poll;
                    self.in_background(look).await?;
                }
            } else if !lock(&self.state).exhausted {
                self.in_background(find_more).await?;
            } else if let Some(due) = due {
                sleep_until(due).await;
            } else {
                return Ok(None);
            }
        }
    }

    /// The file to hand out next.
    fn waiting(&self) -> Option<(PathBuf, u32)> {
        let mut state = lock(&self.state);
        let now = Instant::now();
        if let Some(at) = state.returned.iter().position(|(due, ..)| *due <= now) {
            let (_, path, attempt) = state.returned.swap_remove(at);
            state.found.push_front((path, attempt));
        }
        state.found.front().cloned()
    }

    fn take(&self, path: &Path) {
        let mut state = lock(&self.state);
        if state.found.front().is_some_and(|(front, _)| front == path) {
            state.found.pop_front();
        }
    }

    /// Runs `work` on the state where it may block. It ends even if the caller is cancelled, so nothing is lost.
    async fn in_background(
        &self,
        work: fn(&mut State) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let state = Arc::clone(&self.state);
        let done = spawn_blocking(move || work(&mut lock(&state))).await;
        done.unwrap_or_else(|error| {
            Err(SourceError::Path { path: self.files.root.display().to_string(), cause: error.to_string() })
        })
    }

    /// Names the file by its content; none if it is gone.
    async fn identify(&self, path: &Path, attempt: u32) -> Option<Next> {
        let loan = || Loan { state: Arc::clone(&self.state), path: path.to_path_buf(), attempt, done: false };
        let unreadable = |object: Option<ObjectRef>, reason, detail: String| {
            let (ticket, head) = (Ticket::of_file(loan()), String::new());
            Some(Next::Unreadable(Unreadable { object, reason, detail, head, ticket, attempt }))
        };
        let below = path.strip_prefix(self.files.root.as_path()).unwrap_or(path);
        let (Some(bucket), Some(key)) = (self.files.root.to_str(), below.to_str()) else {
            let detail = format!("the path {} is not UTF-8: rename it", path.display());
            return unreadable(None, reason::BAD_KEY, detail);
        };
        let mut object = ObjectRef {
            source: self.name.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version: String::new(),
        };
        let file = path.to_path_buf();
        let hash = spawn_blocking(move || hash_of(&file)).await.unwrap_or_else(|error| Err(error.into()));
        match hash {
            Ok(hash) => {
                object.version = hash;
                Some(Next::Object(Delivery { object, ticket: Ticket::of_file(loan()), attempt }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                debug!(path = %path.display(), "a file went before it was read");
                None
            }
            Err(error) => unreadable(Some(object), reason::ACCESS_DENIED, error.to_string()),
        }
    }
}

fn hash_of(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// Reads on in a folder that is read once.
fn find_more(state: &mut State) -> Result<(), SourceError> {
    while state.found.len() < AHEAD {
        match state.walk.next() {
            Some(Ok(file)) => state.found.push_back((file.path, 1)),
            Some(Err(error)) => return Err(error),
            None => {
                state.exhausted = true;
                break;
            }
        }
    }
    Ok(())
}

/// Looks at everything in a folder that is watched.
fn look(state: &mut State) -> Result<(), SourceError> {
    let now = Instant::now();
    let mut problem = None;
    let mut changed = Vec::new();
    for file in state.walk.again() {
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                problem = Some(error);
                continue;
            }
        };
        let mark = (file.bytes, file.modified);
        let room = state.seen.len() < WATCHED_MAX;
        match state.seen.get_mut(&file.path) {
            Some(seen) => {
                seen.look = now;
                if seen.mark != mark {
                    (seen.mark, seen.handed_out) = (mark, false);
                } else if !seen.handed_out {
                    seen.handed_out = true;
                    changed.push((file.path, 1));
                }
            }
            None if room => {
                state.seen.insert(file.path, Seen { mark, handed_out: false, look: now });
            }
            None => {
                let path = state.walk.root().display().to_string();
                problem = Some(SourceError::TooManyFiles { path, limit: WATCHED_MAX });
            }
        }
    }
    state.found.extend(changed);
    state.seen.retain(|_, seen| seen.look == now);
    problem.map_or(Ok(()), Err)
}

fn path_error(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Path { path: path.display().to_string(), cause: error.to_string() }
}

/// The files below a folder.
#[derive(Clone)]
pub struct Files {
    root: Arc<PathBuf>,
    limits: Arc<Limits>,
}

impl Files {
    /// Reads a file that was handed out, if it is still the same.
    pub(crate) async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, FetchError> {
        let key = Path::new(&object.key);
        if !key.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(FetchError::Forbidden("the path leaves the folder".to_owned()));
        }
        let path = self.root.join(key);
        let limits = Arc::clone(&self.limits);
        let read = spawn_blocking(move || {
            let mut bytes = Vec::new();
            read_file(&path, &limits, &mut bytes).map(|()| bytes)
        })
        .await;
        let bytes = read.map_err(|error| FetchError::Retry(error.to_string()))??;
        // A file that could not be opened when it was found has no version: whatever it holds now is it.
        let is_it = object.version.is_empty() || hex(&Sha256::digest(&bytes)) == object.version;
        if is_it { Ok(bytes) } else { Err(FetchError::Changed) }
    }
}

/// Reads a log file into `bytes`, whose room is used again: at most what the limits allow for what it holds.
///
/// # Errors
/// [`FetchError`]: it is missing, may not be read, has too many bytes or failed to be read.
pub fn read_file(path: &Path, limits: &Limits, bytes: &mut Vec<u8>) -> Result<(), FetchError> {
    let problem = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => FetchError::Missing,
        ErrorKind::PermissionDenied => FetchError::Denied(error.to_string()),
        _ => FetchError::Retry(error.to_string()),
    };
    bytes.clear();
    let file = std::fs::File::open(path).map_err(problem)?;
    // A pipe tells none. What a file grows by while it is read comes next time.
    let size = file.metadata().map_err(problem)?.len();
    // So much may be read whatever it is; how much more, its beginning tells.
    let any = limits.compressed_bytes_max.min(limits.inflated_bytes_max);
    let first = if size == 0 { any + 1 } else { size.min(any + 1) };
    bytes.reserve(usize::try_from(size.min(any)).unwrap_or_default() + 1);
    let mut file = file.take(first);
    file.read_to_end(bytes).map_err(problem)?;
    let limit = limits.stored_bytes_max(bytes);
    if bytes.len() as u64 > any && size <= limit {
        let rest = if size == 0 { limit - any } else { size - first };
        file.set_limit(rest);
        bytes.reserve(usize::try_from(rest.min(size)).unwrap_or_default() + 1);
        file.read_to_end(bytes).map_err(problem)?;
    }
    if size > limit || bytes.len() as u64 > limit { Err(FetchError::TooLarge { limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
