//! What could not be read, kept with its reason.

use super::{Commit, Store, StoreError, pieces};
use ingest::quarantine::Quarantined;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

/// A quarantined record, object or notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// The object, or the queue for a notification.
    pub place: String,
    /// The record's index in its object.
    pub row: Option<i64>,
    /// One of a closed set of reasons.
    pub reason: String,
    /// What was wrong.
    pub detail: String,
    /// Its first bytes, secrets redacted: an attacker's text.
    pub head: String,
    /// When it was quarantined, µs UTC.
    pub at: i64,
}

impl Store {
    /// Keeps what could not be read outside any object, such as a notification.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn quarantine(
        &self,
        id: &str,
        place: &str,
        quarantined: &Quarantined,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, id, place, std::slice::from_ref(quarantined), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest quarantined rows, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn quarantined(&self, limit: i64) -> Result<Vec<QuarantinedRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT place, row, reason, detail, head, at FROM quarantine ORDER BY at DESC, id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(QuarantinedRow {
                    place: row.try_get("place")?,
                    row: row.try_get("row")?,
                    reason: row.try_get("reason")?,
                    detail: row.try_get("detail")?,
                    head: row.try_get("head")?,
                    at: row.try_get("at")?,
                })
            })
            .collect()
    }
}

/// Writes rows of one object; the same object, row and reason is one row however often it comes.
pub(super) async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    object: &str,
    place: &str,
    quarantined: &[Quarantined],
    now: i64,
) -> Result<(), StoreError> {
    let rows: Vec<_> = quarantined.iter().map(|q| (object, place, q)).collect();
    insert_rows(tx, &rows, now).await
}

/// Writes what judged objects hold that could not be read.
pub(super) async fn insert_of(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    let rows: Vec<_> = commits
        .iter()
        .flat_map(|c| c.quarantined.iter().map(|q| (c.claim.object.as_str(), c.place, q)))
        .collect();
    insert_rows(tx, &rows, commits.first().map_or(0, |commit| commit.terms.now)).await
}

async fn insert_rows(
    tx: &mut Transaction<'static, Sqlite>,
    rows: &[(&str, &str, &Quarantined)],
    now: i64,
) -> Result<(), StoreError> {
    for piece in pieces(rows) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO quarantine (id, place, row, reason, detail, head, at) ");
        insert.push_values(piece, |mut row, (object, place, q)| {
            let at = q.row.map_or_else(|| "whole".to_owned(), |row| row.to_string());
            row.push_bind(ingest::fingerprint(&[object, &at, q.reason], 32))
                .push_bind(*place)
                .push_bind(q.row.map(i64::from))
                .push_bind(q.reason)
                .push_bind(q.detail.as_str())
                .push_bind(q.head.as_str())
                .push_bind(now);
        });
        insert.push(" ON CONFLICT (id) DO NOTHING");
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}
