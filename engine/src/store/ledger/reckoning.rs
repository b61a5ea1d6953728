//! Verdicts: what follows from the facts, and from time that passed

use super::super::{Store, StoreError, pieces};
use crate::ledger::LEVEL_SIGNED;
use chrono::DateTime;
use ingest::digest::logs::{Coverages, Unlisted};
use ingest::digest::{AttestedHour, Place, Shelf};
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqlitePool};

/// Shelves and files that are asked about in one round; what is left waits for the next.
const SHELVES_MAX: i64 = 500;
const ASKED_MAX: i64 = 5_000;

/// What a file is called that no digest of its time lists.
const UNATTESTED: &str = "log_unattested";

/// When something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The clock, µs UTC.
    pub now: i64,
    /// How long what may still come is waited for (µs).
    pub grace: i64,
}

/// What a file's verdict is. $1: what was listed before it should have been read.
const VERDICT: &str = "CASE
    WHEN level = 2 AND (damage IS NOT NULL OR overwritten = 1) THEN 'mismatch'
    WHEN expected IS NOT NULL AND (conflict = 1 OR foreign_to IS NOT NULL) THEN 'mismatch'
    WHEN expected IS NOT NULL AND content = expected THEN 'verified'
    WHEN expected IS NOT NULL AND content <> expected THEN 'mismatch'
    WHEN ingested_at IS NOT NULL AND expected IS NULL AND note = 'log_unattested' AND ingested_at <= $1 THEN 'unattested'
    WHEN ingested_at IS NOT NULL THEN 'pending'
    WHEN gone_at IS NOT NULL THEN 'deleted_before_ingest'
    WHEN expected IS NOT NULL THEN 'missing'
    WHEN listed_at IS NOT NULL AND listed_at <= $1 THEN 'missing'
    ELSE 'pending' END";

impl Store {
    /// Brings verdicts in line with facts and time. Gives whether any of them changed.
    ///
    /// # Errors
    /// [`StoreError`]; what was done before stays, and doing it again is harmless.
    pub async fn reckon(&self, patience: &Patience) -> Result<bool, StoreError> {
        self.ask_about_unlisted().await?;
        let before = patience.now - patience.grace;
        let changed = sqlx::query(AssertSqlSafe(format!(
            "UPDATE ledger_files SET stale = 0, verdict = {VERDICT} WHERE stale = 1"
        )))
        .bind(before)
        .execute(&self.writer)
        .await?;
        let late = sqlx::query(AssertSqlSafe(format!(
            "UPDATE ledger_files SET verdict = {VERDICT}
             WHERE (bucket, key) IN (
                SELECT bucket, key FROM ledger_files WHERE note = 'log_unattested' AND verdict = 'pending'
                UNION
                SELECT bucket, key FROM ledger_files
                WHERE ingested_at IS NULL AND verdict = 'pending' AND listed_at <= $1)
               AND verdict <> {VERDICT}"
        )))
        .bind(before)
        .execute(&self.writer)
        .await?;
        Ok(changed.rows_affected() + late.rows_affected() > 0)
    }

    /// Asks of files that no digest lists whether one should.
    async fn ask_about_unlisted(&self) -> Result<(), StoreError> {
        let shelves: Vec<(String, String)> = sqlx::query_as(
            "SELECT DISTINCT account, region FROM ledger_files
             WHERE expected IS NULL AND ingested_at IS NOT NULL AND note IS NULL AND level = 2 LIMIT $1",
        )
        .bind(SHELVES_MAX)
        .fetch_all(&self.reader)
        .await?;
        for (account, region) in shelves {
            let coverages = coverages(&self.reader, &account, &region).await?;
            let rows = sqlx::query(
                "SELECT bucket, key FROM ledger_files
                 WHERE account = $1 AND region = $2 AND expected IS NULL AND ingested_at IS NOT NULL
                   AND note IS NULL AND level = 2 LIMIT $3",
            )
            .bind(&account)
            .bind(&region)
            .bind(ASKED_MAX)
            .fetch_all(&self.reader)
            .await?;
            let mut answers = Vec::with_capacity(rows.len());
            for row in &rows {
                let place = Place::new(row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?);
                let note = match coverages.unlisted(&place) {
                    Some(Unlisted::Unattested) => UNATTESTED,
                    Some(Unlisted::Excused(note)) => note.as_str(),
                    None => "outside",
                };
                answers.push((place, note));
            }
            self.answer(&answers).await?;
        }
        Ok(())
    }

    async fn answer(&self, answers: &[(Place, &'static str)]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for piece in pieces(answers) {
            let mut update = QueryBuilder::<Sqlite>::new("WITH answered (bucket, key, note) AS (");
            update.push_values(piece, |mut row, (place, note)| {
                row.push_bind(place.bucket.as_str()).push_bind(place.key.as_str()).push_bind(*note);
            });
            // A digest that came meanwhile may list it: then nobody asks any more.
            update.push(
                ") UPDATE ledger_files SET note = answered.note, stale = 1 FROM answered
                  WHERE ledger_files.bucket = answered.bucket AND ledger_files.key = answered.key
                    AND ledger_files.expected IS NULL",
            );
            update.build().execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// What the linked digests of an account and region cover.
async fn coverages(reader: &SqlitePool, account: &str, region: &str) -> Result<Coverages, StoreError> {
    debug_assert_eq!(LEVEL_SIGNED, 2, "statements say it as a number");
    let rows = sqlx::query(
        "SELECT bucket, key, start_at, end_at FROM ledger_digests
         WHERE account = $1 AND region = $2 AND linked = 1 AND body IS NOT NULL",
    )
    .bind(account)
    .bind(region)
    .fetch_all(reader)
    .await?;
    let mut hours: Vec<(Shelf, AttestedHour)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let digest = Place::new(row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?);
        let Some(name) = digest.digest_name() else { continue };
        let time = |micros: i64| DateTime::from_timestamp_micros(micros).unwrap_or_default();
        let (start, end) = (time(row.try_get("start_at")?), time(row.try_get("end_at")?));
        hours.push((name.shelf, AttestedHour { chain: name.chain, start, end, digest, logs: Vec::new() }));
    }
    Ok(Coverages::of(hours.iter().map(|(shelf, hour)| (shelf, hour))))
}
