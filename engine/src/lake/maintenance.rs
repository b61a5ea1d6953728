//! What keeps the table quick: small files become large ones, removed files go. Run by the committer between commits,
//! so that nobody else changes the table meanwhile; checkpoints come with commits.

use super::LakeError;
use super::columns::{file_schema, fitted};
use super::committer::put;
use super::parquet_file::Files;
use super::table::{LakeFile, Table};
use crate::store::Store;
use crate::time;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::debug;

/// Files smaller than this are worth merging.
const SMALL_BYTES: u64 = 16 << 20;

/// Bytes of files that become one: what a round reads, and so how long a commit waits for it.
const MERGED_BYTES_MAX: u64 = 64 << 20;

/// Commits between two looks at the files.
const LOOK_EVERY: u64 = 8;

/// Bounds of the upkeep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Small files of a day that are merged into one; 0 for never.
    pub compact_files: usize,
    /// How often removed files are deleted. Zero for never.
    pub vacuum_every: Duration,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { compact_files: 24, vacuum_every: Duration::from_secs(24 * 3600) }
    }
}

/// When what was done.
#[derive(Debug)]
pub(super) struct Keeper {
    upkeep: Upkeep,
    looked: u64,
    vacuumed: Instant,
}

impl Keeper {
    pub fn new(upkeep: Upkeep) -> Keeper {
        Keeper { upkeep, looked: 0, vacuumed: Instant::now() }
    }

    /// Does what is due; at most one merge, so that commits do not wait long.
    pub async fn keep(&mut self, store: &Store, table: &mut Table, rounds: u64) -> Result<(), LakeError> {
        if rounds >= self.looked + LOOK_EVERY && self.upkeep.compact_files > 0 {
            self.looked = rounds;
            if let Some(files) = mergeable(table.files()?, self.upkeep.compact_files) {
                merge(store, table, files).await?;
            }
        }
        if !self.upkeep.vacuum_every.is_zero() && self.vacuumed.elapsed() >= self.upkeep.vacuum_every {
            self.vacuumed = Instant::now();
            let deleted = table.vacuum().await?;
            debug!(deleted, "removed files deleted");
        }
        Ok(())
    }
}

/// Small files of the day that has most of them.
pub(super) fn mergeable(files: Vec<LakeFile>, count_min: usize) -> Option<Vec<LakeFile>> {
    let mut days: BTreeMap<i32, Vec<LakeFile>> = BTreeMap::new();
    for file in files.into_iter().filter(|file| file.bytes < SMALL_BYTES) {
        days.entry(file.day).or_default().push(file);
    }
    let mut most = days.into_values().max_by_key(Vec::len).filter(|files| files.len() >= count_min.max(2))?;
    most.sort_by_key(|file| file.bytes);
    let mut bytes = 0;
    let fits = most.iter().take_while(|file| {
        bytes += file.bytes;
        bytes <= MERGED_BYTES_MAX
    });
    let fits = fits.count();
    most.truncate(fits);
    (most.len() > 1).then_some(most)
}

/// Writes the rows of files of one day as one file, and puts it in their place.
pub(super) async fn merge(store: &Store, table: &mut Table, files: Vec<LakeFile>) -> Result<(), LakeError> {
    let Some(day) = files.first().map(|file| file.day) else { return Ok(()) };
    let started = Instant::now();
    // By time: a reader that looks for an hour skips the rest.
    let mut files = files;
    files.sort_by_key(|file| file.times);
    let mut merged = Files::new(format!("merged-{:x}", time::now()));
    for file in &files {
        let read = table.place.store.get(&Path::from(file.path.as_str())).await;
        let bytes = match read {
            Ok(read) => read.bytes().await,
            Err(cause) => Err(cause),
        };
        let bytes = bytes.map_err(|cause| table.place.failed(cause))?;
        let expected = file.rows;
        merged = tokio::task::spawn_blocking(move || {
            let mut rows = 0;
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(8_192).build()? {
                let batch = batch?;
                rows += batch.num_rows() as u64;
                merged.add_day(day, &fitted(&batch, &file_schema())?)?;
            }
            if expected.is_some_and(|expected| expected != rows) {
                let cause = format!("{rows} rows, and the table says {expected:?}");
                return Err(LakeError::Damaged { what: "file of the lake", cause });
            }
            Ok(merged)
        })
        .await??;
    }
    let written = tokio::task::spawn_blocking(move || merged.finish()).await??;
    let [one] = written.as_slice() else { return Ok(()) };
    put(store, &table.place, &written).await?;
    table.replace(&files, &one.file).await?;
    store.end_lake_writes(None).await?;
    debug!(files = files.len(), rows = one.file.rows, took = ?started.elapsed(), "merged");
    Ok(())
}
