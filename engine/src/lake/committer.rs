//! The one task that changes the table: it takes what waits, in sequence, and keeps the table in good order.

use super::maintenance::Keeper;
use super::parquet_file::{Files, Written};
use super::place::Place;
use super::spool::Spool;
use super::table::Table;
use super::{Lake, LakeConfig, LakeError};
use crate::store::{LakeDepth, PendingRows, Store};
use crate::time;
use ingest::planted::{Bug, bug};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Bytes of waiting files, compressed as they are, that become one version of the table.
const COMMIT_BYTES_MAX: u64 = 32 << 20;

/// Waiting files that become one version.
const COMMIT_FILES_MAX: u32 = 4_096;

/// Longest pause after failures: what waits takes room of a disk that may be short of it.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What a version added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Rows.
    pub rows: u64,
    /// Parquet files, and their bytes.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// From the first waiting file to the version.
    pub took: Duration,
}

/// Who is told how it goes.
pub trait LakeObserver: Send + Sync {
    /// Rows are in the table.
    fn committed(&self, committed: &Committed);
    /// It did not work; it is tried again.
    fn failed(&self, cause: &LakeError);
    /// What waits now.
    fn waits(&self, depth: LakeDepth);
}

/// Gives what waits to the table.
pub struct Committer {
    pub(super) store: Store,
    pub(super) table: Table,
    lake: Lake,
    shard: String,
    config: LakeConfig,
    keeper: Keeper,
    /// After a failure the table may be another than we know.
    is_stale: bool,
    rounds: u64,
}

impl Lake {
    /// [`Lake::open`] where one is configured.
    ///
    /// # Errors
    /// As of `open`.
    pub async fn open_if(
        store: &Store,
        config: Option<LakeConfig>,
    ) -> Result<(Option<Lake>, Option<Committer>), LakeError> {
        Ok(match config {
            Some(config) => {
                let (lake, committer) = Lake::open(store, config).await?;
                (Some(lake), Some(committer))
            }
            None => (None, None),
        })
    }

    /// Opens the lake and takes up what the last run left: makes the table or adds its new columns, forgets what the
    /// table holds already, deletes files that nothing names.
    ///
    /// # Errors
    /// [`LakeError`]; of a lake that cannot be reached as well.
    pub async fn open(store: &Store, config: LakeConfig) -> Result<(Lake, Committer), LakeError> {
        let place = Place::open(&config.at).await?;
        let table = Table::open_or_create(&place).await?;
        let spool = Spool::open(&config.spool)?;
        let (shard, next) = store.lake_shard().await?;
        let lake = Lake::new(spool, 0, config.pending_bytes_max);
        let keeper = Keeper::new(config.upkeep);
        let mut committer =
            Committer { store: store.clone(), table, lake, shard, config, keeper, is_stale: true, rounds: 0 };
        let held = committer.held().await?;
        if let Some(held) = held.filter(|held| *held >= next) {
            warn!(held, next, "the store is older than the lake: it goes on behind what the lake holds");
            store.skip_lake_sequences(held + 1).await?;
        }
        committer.take_up().await?;
        let named = store.lake_files().await?;
        let swept = committer.lake.spool.sweep(&named.iter().map(String::as_str).collect())?;
        let depth = store.lake_depth().await?;
        committer.lake = Lake::new(committer.lake.spool, depth.bytes, committer.config.pending_bytes_max);
        info!(
            place = place.shown,
            version = committer.table.version(),
            waits = depth.rows,
            swept,
            "lake opened"
        );
        Ok((committer.lake.clone(), committer))
    }
}

impl Committer {
    /// Runs until `stop` is ready; then gives over what waits, once.
    pub async fn run(mut self, observer: Arc<dyn LakeObserver>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut pause = Duration::ZERO;
        // What the last run left has waited long enough.
        let mut is_first = true;
        loop {
            let wake = async {
                match (is_first, pause.is_zero()) {
                    (true, _) => {}
                    (false, true) => self.is_due().await,
                    (false, false) => tokio::time::sleep(pause).await,
                }
            };
            let is_last = tokio::select! {
                () = &mut stop => true,
                () = wake => false,
            };
            is_first = false;
            match self.drain(&*observer).await {
                Ok(()) => pause = Duration::ZERO,
                Err(cause) => {
                    pause = (pause * 2).clamp(Duration::from_secs(1), PAUSE_MAX);
                    warn!(%cause, "rows wait for the lake; it is tried again");
                    observer.failed(&cause);
                }
            }
            if let Ok(depth) = self.store.lake_depth().await {
                observer.waits(depth);
            }
            if is_last {
                return;
            }
        }
    }

    /// Completes when something waits long enough, or much does.
    async fn is_due(&self) {
        self.lake.waiting.more.notified().await;
        let first = Instant::now();
        while let Some(left) = self.config.commit_every.checked_sub(first.elapsed()) {
            if self.store.lake_depth().await.is_ok_and(|depth| depth.rows >= self.config.commit_rows) {
                return;
            }
            // Asked now and then rather than at every commit: the store has other work.
            tokio::time::sleep(left.min(Duration::from_millis(250))).await;
        }
    }

    async fn drain(&mut self, observer: &dyn LakeObserver) -> Result<(), LakeError> {
        while let Some(committed) = self.round().await? {
            observer.committed(&committed);
            self.rounds += 1;
        }
        let kept = self.keeper.keep(&self.store, &mut self.table, self.rounds).await;
        self.is_stale |= kept.is_err();
        kept
    }

    /// Gives what waits to the table, as one version; none where nothing waits.
    pub(super) async fn round(&mut self) -> Result<Option<Committed>, LakeError> {
        let started = Instant::now();
        if self.is_stale {
            self.take_up().await?;
        }
        let pending = self.store.lake_pending(COMMIT_BYTES_MAX, COMMIT_FILES_MAX).await?;
        let Some(last) = pending.last().map(|last| last.sequence) else { return Ok(None) };
        self.is_stale = true;
        let written = self.write(pending).await?;
        self.put(&written).await?;
        let files: Vec<_> = written.into_iter().map(|written| written.file).collect();
        // Asked each time, since the table itself takes the same number twice.
        if self.held().await?.is_none_or(|held| held < last) {
            self.table.append(&files, &self.shard, last).await?;
        }
        self.settle(Some(last)).await?;
        self.is_stale = false;
        Ok(Some(Committed {
            rows: files.iter().filter_map(|file| file.rows).sum(),
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
            took: started.elapsed(),
        }))
    }

    /// Makes Parquet of what waits, in memory.
    pub(super) async fn write(&self, pending: Vec<PendingRows>) -> Result<Vec<Written>, LakeError> {
        let spool = self.lake.spool.clone();
        let (first, last) =
            (pending.first().map_or(0, |p| p.sequence), pending.last().map_or(0, |p| p.sequence));
        // A file is never written twice under one name: what a lost attempt left behind is told apart.
        let prefix = format!("{}-{first}-{last}-{:x}", self.shard, time::now());
        let written = tokio::task::spawn_blocking(move || {
            let mut files = Files::new(prefix);
            for of in &pending {
                let mut rows = spool.read(&of.file, &of.left_out)?;
                let mut count = 0;
                while let Some(batch) = rows.next()? {
                    count += batch.num_rows() as u64;
                    files.add(&batch)?;
                }
                if count != of.rows {
                    let cause = format!("`{}` has {count} rows, and {} were committed", of.file, of.rows);
                    return Err(LakeError::Damaged { what: "file of rows", cause });
                }
            }
            files.finish()
        });
        written.await?
    }

    /// Writes files into the lake's place, noted in the store first.
    pub(super) async fn put(&self, written: &[Written]) -> Result<(), LakeError> {
        put(&self.store, &self.table.place, written).await
    }

    /// The last number that the table holds.
    async fn held(&self) -> Result<Option<i64>, LakeError> {
        if bug(Bug::LakeWithoutVersionCheck) {
            return Ok(None);
        }
        self.table.sequence(&self.shard).await
    }

    /// Forgets what the table holds.
    async fn settle(&mut self, held: Option<i64>) -> Result<(), LakeError> {
        for file in self.store.end_lake_writes(held).await? {
            self.lake.spool.remove(&file);
        }
        let depth = self.store.lake_depth().await?;
        let held = self.lake.waiting.bytes.load(std::sync::atomic::Ordering::Relaxed);
        self.lake.gone(held.saturating_sub(depth.bytes));
        Ok(())
    }

    /// After a crash or a failure: what the table holds is forgotten, and what it does not name is deleted.
    pub(super) async fn take_up(&mut self) -> Result<(), LakeError> {
        self.table.update().await?;
        let begun = self.store.lake_writes().await?;
        if !begun.is_empty() {
            let named = self.table.paths()?;
            drop_unnamed(&self.table.place, &begun, &named).await?;
        }
        let held = self.held().await?;
        self.settle(held).await?;
        self.is_stale = false;
        Ok(())
    }
}

pub(super) async fn put(store: &Store, place: &Place, written: &[Written]) -> Result<(), LakeError> {
    let paths: Vec<&str> = written.iter().map(|written| written.file.path.as_str()).collect();
    store.begin_lake_writes(&paths).await?;
    for Written { file, bytes } in written {
        let at = Path::from(file.path.as_str());
        let put = place.store.put(&at, PutPayload::from(bytes.clone())).await;
        put.map_err(|cause| place.failed(cause))?;
    }
    Ok(())
}

/// Deletes files that were begun and are in no version.
async fn drop_unnamed(place: &Place, begun: &[String], named: &HashSet<String>) -> Result<(), LakeError> {
    for path in begun.iter().filter(|path| !named.contains(*path)) {
        match place.store.delete(&Path::from(path.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(cause) => return Err(place.failed(cause)),
        }
    }
    Ok(())
}
