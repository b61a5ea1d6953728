//! The lake: every event once, in one Delta table (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md>).
//!
//! Rows pass three places, each durable before the one before it lets go:
//!
//! 1. A [`Spool`] file beside the store, written before the store's transaction and named in it with a sequence number.
//!    From then on the message of the object may be acknowledged.
//! 2. Parquet files in the lake's place, merged from many such files, one for each day; noted in the store before they
//!    are written, so that none is left behind.
//! 3. The table's next version, with the last sequence number that is in it (a `txn` action). Whoever starts after a
//!    crash asks the table for that number first: what it holds is never added again.

mod columns;
mod committer;
mod folder;
mod maintenance;
mod parquet_file;
mod place;
pub mod query;
mod rows;
mod scan;
mod spool;
mod table;
#[cfg(test)]
mod tests;

pub use committer::{Committed, Committer, LakeObserver};
pub use maintenance::Upkeep;
pub use place::LakeAt;
pub use rows::Rows;
pub use spool::{Spool, SpoolFile};

use crate::store::{StoreError, Trouble};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How a lake is kept.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// Where it lies.
    pub at: LakeAt,
    /// Folder of the rows that are not in it yet; on the store's disk.
    pub spool: PathBuf,
    /// How long rows wait at most before they are in the table.
    pub commit_every: Duration,
    /// Rows that wait for nothing more.
    pub commit_rows: u64,
    /// Bytes of waiting rows beyond which no more work is taken.
    pub pending_bytes_max: u64,
    /// Compaction and vacuum.
    pub upkeep: Upkeep,
}

impl LakeConfig {
    /// With the defaults of everything but the places.
    #[must_use]
    pub fn new(at: LakeAt, spool: PathBuf) -> LakeConfig {
        LakeConfig {
            at,
            spool,
            commit_every: Duration::from_secs(5),
            commit_rows: 100_000,
            pending_bytes_max: 1 << 30,
            upkeep: Upkeep::default(),
        }
    }
}

/// Why the lake could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The place cannot be used as it is configured.
    #[error("cannot open the lake `{place}`: {cause}")]
    Place {
        /// The folder or URL.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// The table failed, or cannot be reached.
    #[error("the lake `{place}` failed: {cause}")]
    Delta {
        /// The folder or URL.
        place: String,
        /// What the table said.
        cause: Box<deltalake_core::DeltaTableError>,
    },
    /// The table is of a newer version.
    #[error(
        "the lake `{place}` has columns that this version does not know ({columns}): a newer remit wrote it; update this one"
    )]
    Newer {
        /// The folder or URL.
        place: String,
        /// Which.
        columns: String,
    },
    /// The table is another's.
    #[error("`{place}` is no lake of remit: {why}; give `[lake]` another place")]
    Foreign {
        /// The folder or URL.
        place: String,
        /// How it shows.
        why: String,
    },
    /// There is no table.
    #[error("there is no lake in `{place}`; `remit run` makes it with the first events")]
    None {
        /// The folder or URL.
        place: String,
    },
    /// The folder of waiting rows failed.
    #[error("cannot keep rows for the lake in `{dir}`: {cause}", dir = dir.display())]
    Spool {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Too much waits.
    #[error(
        "{bytes} bytes of rows wait for the lake, more than are allowed; no work is taken until it answers"
    )]
    Full {
        /// How much.
        bytes: u64,
    },
    /// What waits is not what was written.
    #[error("a damaged {what} waits for the lake: {cause}")]
    Damaged {
        /// Kind of thing.
        what: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// Events without a column that they must have.
    #[error("events without the column `{column}` cannot be kept")]
    Column {
        /// Which.
        column: &'static str,
    },
    /// Rows cannot be read or cast.
    #[error("cannot read the rows: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A file cannot be written or read.
    #[error("cannot write or read a Parquet file: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task ended before its work did.
    #[error("a task of the lake ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl LakeError {
    /// What to do about it, where the store or its disk failed; rows wait on that disk.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            LakeError::Spool { cause, .. } => Some(match cause.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Trouble::Full,
                _ => Trouble::Passing,
            }),
            LakeError::Store(error) => error.is_of_all().then(|| error.trouble()),
            _ => None,
        }
    }
}

/// What gives rows to the lake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    /// Where rows wait.
    pub spool: Spool,
    waiting: Arc<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    bytes: AtomicU64,
    bytes_max: u64,
    /// For the committer: there is more.
    more: Notify,
    /// For the workers: there is room.
    room: Notify,
}

impl Lake {
    fn new(spool: Spool, bytes: u64, bytes_max: u64) -> Lake {
        let waiting = Waiting { bytes: bytes.into(), bytes_max, more: Notify::new(), room: Notify::new() };
        Lake { spool, waiting: Arc::new(waiting) }
    }

    /// Writes the rows of one commit to the disk.
    ///
    /// # Errors
    /// [`LakeError::Full`] when too much waits already, else [`LakeError::Spool`].
    pub fn keep(&self, parts: &[&Rows]) -> Result<Option<SpoolFile>, LakeError> {
        let bytes = self.waiting.bytes.load(Ordering::Relaxed);
        if bytes >= self.waiting.bytes_max {
            return Err(LakeError::Full { bytes });
        }
        self.spool.write(parts)
    }

    /// Notes that the store names a file.
    pub fn kept(&self, file: &SpoolFile) {
        self.waiting.bytes.fetch_add(file.bytes, Ordering::Relaxed);
        self.waiting.more.notify_one();
    }

    /// Removes a file that the store does not name.
    pub fn drop_file(&self, file: &SpoolFile) {
        self.spool.remove(&file.name);
    }

    /// Whether there is room for more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.bytes.load(Ordering::Relaxed) < self.waiting.bytes_max
    }

    /// Writes something where rows wait, and takes it away again: whether rows can be kept.
    ///
    /// # Errors
    /// [`LakeError::Spool`], as [`Lake::keep`] would have it.
    pub async fn probe(&self) -> Result<(), LakeError> {
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || spool.probe()).await?
    }

    /// Completes when there is room for more.
    pub async fn room(&self) {
        loop {
            let room = self.waiting.room.notified();
            if self.has_room() {
                return;
            }
            room.await;
        }
    }

    fn gone(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        let _ = self.waiting.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.waiting.room.notify_waiters();
    }
}

/// The folder of waiting rows of a store.
#[must_use]
pub fn spool_beside(store: &Path) -> PathBuf {
    store.with_extension("rows")
}
