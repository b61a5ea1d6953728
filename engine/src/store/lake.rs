//! What waits for the lake: rows of files beside the store, in sequence, and files being written into the lake.

use super::{Committed, Store, StoreError, pieces};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// The rows of a commit, in one file that is on the disk.
#[derive(Debug, Clone, Copy)]
pub struct LakeRows<'a> {
    /// Its name in the folder of waiting rows.
    pub file: &'a str,
    /// Its length.
    pub bytes: u64,
    /// Pieces and rows of each commit, in their order.
    pub parts: &'a [(u32, u64)],
}

/// A file of rows that is not in the lake yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRows {
    /// Its place in the order of commits.
    pub sequence: i64,
    /// Its name.
    pub file: String,
    /// Rows that count.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Pieces of it that do not count.
    pub left_out: Vec<Range<u32>>,
    /// When it was committed (µs).
    pub added_at: i64,
}

/// What waits, in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LakeDepth {
    /// Files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Keeps the file of the commits that were stored; the others' pieces do not count. Nothing is kept where none counts.
pub(super) async fn keep_rows(
    tx: &mut Transaction<'static, Sqlite>,
    lake: &LakeRows<'_>,
    ended: &[Committed],
    now: i64,
) -> Result<(), StoreError> {
    let (mut rows, mut at, mut left_out) = (0, 0, Vec::new());
    for ((count, of_commit), ended) in lake.parts.iter().zip(ended) {
        match ended {
            Committed::Stored(_) => rows += of_commit,
            Committed::Clash | Committed::Fenced | Committed::Miscounted(_) if *count == 0 => {}
            Committed::Clash | Committed::Fenced | Committed::Miscounted(_) => left_out.push(at..at + count),
        }
        at += count;
    }
    if rows == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO lake_pending (sequence, file, rows, bytes, left_out, added_at)
         SELECT next_sequence, $1, $2, $3, $4, $5 FROM lake_shard WHERE id = 1",
    )
    .bind(lake.file)
    .bind(rows as i64)
    .bind(lake.bytes as i64)
    .bind(written(&left_out))
    .bind(now)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE lake_shard SET next_sequence = next_sequence + 1 WHERE id = 1")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn written(ranges: &[Range<u32>]) -> String {
    let ranges: Vec<_> = ranges.iter().map(|range| format!("{}-{}", range.start, range.end)).collect();
    ranges.join(",")
}

fn read(text: &str, sequence: i64) -> Result<Vec<Range<u32>>, StoreError> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-')?;
        Some(from.parse().ok()?..to.parse().ok()?)
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            range(part).ok_or_else(|| StoreError::Damaged {
                what: "file that waits for the lake",
                id: sequence.to_string(),
                cause: format!("`{text}` are no pieces"),
            })
        })
        .collect()
}

impl Store {
    /// Under which name this store counts what it gives to the lake, and the next number.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn lake_shard(&self) -> Result<(String, i64), StoreError> {
        // By chance: a store that is made anew must not take up the numbers of the old one.
        let chance = || RandomState::new().hash_one(crate::time::now());
        let name = format!("remit-{:016x}{:016x}", chance(), chance());
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO lake_shard (id, shard, next_sequence) VALUES (1, $1, 1) ON CONFLICT (id) DO NOTHING",
        )
        .bind(name)
        .execute(&mut *tx)
        .await?;
        let row = sqlx::query("SELECT shard, next_sequence FROM lake_shard WHERE id = 1")
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((row.try_get("shard")?, row.try_get("next_sequence")?))
    }

    /// Goes on with a later number: the lake holds those before it, of a life that this store does not remember.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn skip_lake_sequences(&self, next: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE lake_shard SET next_sequence = $1 WHERE id = 1 AND next_sequence < $1")
            .bind(next)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// What waits, in sequence: at least one file, further ones until they have so many bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lake_pending(&self, bytes_max: u64, files_max: u32) -> Result<Vec<PendingRows>, StoreError> {
        let rows = sqlx::query(
            "SELECT sequence, file, rows, bytes, left_out, added_at FROM lake_pending ORDER BY sequence LIMIT $1",
        )
        .bind(i64::from(files_max))
        .fetch_all(&self.reader)
        .await?;
        let (mut pending, mut bytes) = (Vec::new(), 0);
        for row in rows {
            let sequence = row.try_get("sequence")?;
            let left_out = read(row.try_get("left_out")?, sequence)?;
            let of_file = row.try_get::<i64, _>("bytes")? as u64;
            if !pending.is_empty() && bytes + of_file > bytes_max {
                break;
            }
            bytes += of_file;
            pending.push(PendingRows {
                sequence,
                file: row.try_get("file")?,
                rows: row.try_get::<i64, _>("rows")? as u64,
                bytes: of_file,
                left_out,
                added_at: row.try_get("added_at")?,
            });
        }
        Ok(pending)
    }

    /// How much waits.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn lake_depth(&self) -> Result<LakeDepth, StoreError> {
        let row = sqlx::query(
            "SELECT count(*) AS files, coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes FROM lake_pending",
        )
        .fetch_one(&self.reader)
        .await?;
        let number = |name: &str| row.try_get::<i64, _>(name).map(|number| number as u64);
        Ok(LakeDepth { files: number("files")?, rows: number("rows")?, bytes: number("bytes")? })
    }

    /// Every file that waits.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn lake_files(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT file FROM lake_pending").fetch_all(&self.reader).await?)
    }

    /// Whether a file waits. Asked by the writer's connection, so that what was just committed is seen.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn is_lake_file(&self, file: &str) -> Result<bool, StoreError> {
        let found = sqlx::query("SELECT 1 FROM lake_pending WHERE file = $1").bind(file);
        Ok(found.fetch_optional(&self.writer).await?.is_some())
    }

    /// Notes that files are being written into the lake.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn begin_lake_writes(&self, paths: &[&str]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for piece in pieces(paths) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO lake_writes (path) ");
            insert.push_values(piece, |mut row, path| {
                row.push_bind(*path);
            });
            insert.push(" ON CONFLICT (path) DO NOTHING");
            insert.build().execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Files that were begun and of whose end the store does not know.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn lake_writes(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT path FROM lake_writes").fetch_all(&self.writer).await?)
    }

    /// Notes that the lake holds everything up to a number, and that no file is being written. Gives the files whose rows
    /// are in the lake now.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing changed then.
    pub async fn end_lake_writes(&self, held: Option<i64>) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM lake_writes").execute(&mut *tx).await?;
        let done = sqlx::query_scalar("DELETE FROM lake_pending WHERE sequence <= $1 RETURNING file")
            .bind(held.unwrap_or(i64::MIN))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done)
    }
}
