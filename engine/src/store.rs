//! What remit remembers: one SQL schema, in one SQLite file by default.
//!
//! Every statement is written so that PostgreSQL understands it too (`$n`, BIGINT, ON CONFLICT).

mod again;
mod commit;
mod conservation;
mod events;
mod findings;
mod incidents;
mod lake;
mod ledger;
mod measures;
mod notes;
mod objects;
mod opened;
mod outbox;
mod quarantine;
mod readmission;
mod room;
mod sessions;
mod silences;
mod standing;
mod sum;
mod trouble;
mod upkeep;
mod usage;
mod watch;

pub use again::{Again, Origin};
pub use commit::{Commit, Committed, StoredCommit, Terms};
pub use conservation::{Account, Identity};
pub use findings::{Close, FindingFilter, OpenCounts};
pub use lake::{LakeDepth, LakeRows, PendingRows};
pub use ledger::{
    Attestation, ChainLine, Content, DigestLine, FileLine, GapLine, HourLine, KeptKey, LedgerReport,
    LedgerTotals, LogRead, Patience, ProblemLine, RawDigest, SweepLine, Verified, WantedFile,
    files_as_digest,
};
pub use objects::{Claim, ClaimToken, ObjectEnd, ObjectTotals, Wanted};
pub use opened::Mark;
pub use outbox::{AlertRule, DeliveryKey, FannedOut, ReceiverDepth};
pub use quarantine::{QuarantineFilter, QuarantineState, QuarantinedRow, Refused};
pub use readmission::{Readmission, Readmitted, Unread};
pub use room::ROOM_BYTES_MIN;
pub use sessions::LINKS_KEPT;
pub use silences::{Matcher, Silence};
pub use sum::Sum;
pub use trouble::Trouble;
pub use usage::Use;
pub use watch::{CANARY_SOURCE, Watched};

use events::Events;
use notes::Notes;
use opened::Opened;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Rows bound in one statement, a power of [`PIECE_STEP`]; SQLite's limit is 32,766 parameters.
const ROWS_MAX: usize = 1_024;

/// How much longer each longer piece of rows is.
const PIECE_STEP: usize = 4;

/// Statements that stay prepared on each connection: every kind in every length of [`pieces`].
const STATEMENTS_KEPT: usize = 256;

/// What each connection keeps of the file, in negative KiB: <https://www.sqlite.org/pragma.html#pragma_cache_size>. The
/// system keeps its pages too: with sixteen times as much a million events were not replayed any faster.
const CACHE: &str = "-4096";

/// Rows in pieces of few lengths, so that the same few statements serve any number of them and stay prepared.
fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut length = ROWS_MAX;
        while length > rows.len() {
            length /= PIECE_STEP;
        }
        let (piece, rest) = rows.split_at_checked(length.max(1))?;
        rows = rest;
        Some(piece)
    })
}

/// Why the store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened, or its schema is from a newer remit.
    #[error("cannot open the store `{path}`: {cause}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database said.
        cause: sqlx::Error,
    },
    /// Another process owns the file.
    #[error(
        "the store `{path}` is in use by another remit; stop it first, or give this one a `[store] path` of its own",
        path = path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The lock beside the file cannot be made.
    #[error("cannot lock the store `{path}`: {cause}", path = path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The migrations do not fit the file.
    #[error("cannot bring the store up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("the store failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row cannot be read back.
    #[error("the store holds a damaged {what} `{id}`: {cause}")]
    Damaged {
        /// Kind of row.
        what: &'static str,
        /// Its id.
        id: String,
        /// What is wrong.
        cause: String,
    },
    /// The set of known events cannot be kept.
    #[error(transparent)]
    Seen(#[from] crate::seen::SeenError),
    /// Nothing has this id.
    #[error("no {what} has the id `{id}`; `remit {command} list` shows those that exist")]
    NotFound {
        /// Kind of row.
        what: &'static str,
        /// The id asked for.
        id: String,
        /// The command that lists them.
        command: &'static str,
    },
}

/// How much a commit may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced to disk before a commit returns: what is acknowledged survives a power cut.
    Full,
    /// For a private store that is thrown away.
    None,
}

/// The store. Cheap to clone; writes are one at a time, reads run beside them.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
    events: Arc<Events>,
    notes: Arc<Notes>,
    // None beside the process that owns the file.
    opened: Option<Arc<Opened>>,
    path: Arc<PathBuf>,
    // Held as long as any clone lives: one remit per file.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens or makes the file and brings its schema up to date. One process at a time may own it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another remit runs on it, else [`StoreError::Open`] or [`StoreError::Migrate`].
    pub async fn open(path: &Path, durability: Durability) -> Result<Store, StoreError> {
        let lock_path = path.with_extension("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|cause| StoreError::Lock { path: lock_path.clone(), cause })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(cause)) => return Err(StoreError::Lock { path: lock_path, cause }),
        }
        let mut store = Store::connect(path, durability, Some(Arc::new(lock))).await?;
        store.opened = Some(Arc::new(Opened::beside(path)));
        sqlx::migrate!("./migrations").run(&store.writer).await?;
        store.events.load(&store.reader).await?;
        Ok(store)
    }

    /// Opens an existing file beside the process that owns it, for `findings`, `silence` and `report`.
    ///
    /// # Errors
    /// [`StoreError::Open`] when there is none, or none that this version can read.
    pub async fn attach(path: &Path) -> Result<Store, StoreError> {
        if !path.is_file() {
            let cause = sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "there is no such file; `remit run` makes it, and `[store] path` in the configuration names it",
            ));
            return Err(StoreError::Open { path: path.to_owned(), cause });
        }
        let store = Store::connect(path, Durability::Full, None).await?;
        // Brings a file of an older version up to date; one of a newer version is refused as it is.
        sqlx::migrate!("./migrations").run(&store.writer).await?;
        Ok(store)
    }

    async fn connect(
        path: &Path,
        durability: Durability,
        lock: Option<Arc<File>>,
    ) -> Result<Store, StoreError> {
        let open = |cause| StoreError::Open { path: path.to_owned(), cause };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(20))
            // A statement's own journal goes to memory: as a file it would be made and removed for every commit.
            .pragma("temp_store", "memory")
            .pragma("cache_size", CACHE)
            .statement_cache_capacity(STATEMENTS_KEPT)
            .synchronous(match durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::None => SqliteSynchronous::Off,
            });
        let writer =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(open)?;
        let reader =
            SqlitePoolOptions::new().max_connections(4).connect_lazy_with(options.create_if_missing(false));
        let (events, path) = (Arc::new(Events::beside(path)), Arc::new(path.to_owned()));
        Ok(Store { writer, reader, events, notes: Arc::default(), opened: None, path, _lock: lock })
    }

    /// Closes the connections; what was committed is in the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Answers whether the store can be read at all, for readiness.
    ///
    /// # Errors
    /// [`StoreError::Sql`] with the reason.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    // IMMEDIATE: the write lock is taken at the start, so that what is read in it cannot be stale when it is written.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        match self.writer.begin_with("BEGIN IMMEDIATE").await {
            // Where the disk is full SQLite may end a transaction by itself (<https://www.sqlite.org/lang_transaction.html>).
            // Rolled back once more that fails, and the connection counts itself within a transaction for ever: every later
            // one would be refused, however much room there is. It is the only writer, so it makes place for a new one.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            begun => Ok(begun?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_the_database_ended_by_itself_does_not_stop_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("remit.db"), Durability::Full).await.unwrap();
        let mut ended = store.begin().await.unwrap();
        // As SQLite does on a full disk.
        sqlx::query("ROLLBACK").execute(&mut *ended).await.unwrap();
        ended.commit().await.unwrap_err();
        for _ in 0..2 {
            let next = store.begin().await.unwrap();
            next.commit().await.unwrap();
        }
    }
}
