//! What is kept how long: files one by one for days, hours for months

use super::super::{Store, StoreError};
use sqlx::AssertSqlSafe;

/// What is rolled up: read, and nothing wrong with it. $1: what is older.
const ROLLED: &str = "verdict IN ('verified', 'pending') AND ingested_at IS NOT NULL AND stale = 0
    AND CASE WHEN hour > 0 THEN hour ELSE ingested_at END < $1";

impl Store {
    /// Sums up files of before `detail` by hours, and forgets what is older than `retention` (both µs UTC). Keys are kept.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was forgotten then.
    pub async fn roll_up_ledger(&self, detail: i64, retention: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO ledger_hours (source, level, account, region, hour, expected, stored, verified, pending, records)
             SELECT source, level, account, region, hour, count(coalesce(expected, listed_at, announced_at)), count(*),
                    sum(CASE verdict WHEN 'verified' THEN 1 ELSE 0 END),
                    sum(CASE verdict WHEN 'pending' THEN 1 ELSE 0 END), sum(records)
             FROM ledger_files WHERE level > 0 AND {ROLLED} GROUP BY source, level, account, region, hour
             ON CONFLICT (source, level, account, region, hour) DO UPDATE SET
                expected = ledger_hours.expected + excluded.expected, stored = ledger_hours.stored + excluded.stored,
                verified = ledger_hours.verified + excluded.verified, pending = ledger_hours.pending + excluded.pending,
                records = ledger_hours.records + excluded.records"
        )))
        .bind(detail)
        .execute(&mut *tx)
        .await?;
        for (statement, before) in [
            (format!("DELETE FROM ledger_files WHERE {ROLLED}"), detail),
            (
                "DELETE FROM ledger_listed WHERE digest IN
                    (SELECT id FROM ledger_digests WHERE end_at < $1 AND state <> 'new')"
                    .to_owned(),
                detail,
            ),
            ("UPDATE ledger_digests SET body = NULL WHERE end_at < $1 AND state = 'valid'".to_owned(), detail),
            ("DELETE FROM ledger_digests WHERE end_at < $1 AND first_at < $1".to_owned(), retention),
            (
                "DELETE FROM ledger_files WHERE coalesce(ingested_at, attested_at, listed_at, announced_at, gone_at) < $1"
                    .to_owned(),
                retention,
            ),
            ("DELETE FROM ledger_hours WHERE hour < $1".to_owned(), retention),
            ("DELETE FROM ledger_gaps WHERE to_at < $1 AND first_at < $1".to_owned(), retention),
            ("DELETE FROM ledger_problems WHERE first_at < $1".to_owned(), retention),
        ] {
            sqlx::query(AssertSqlSafe(statement)).bind(before).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
