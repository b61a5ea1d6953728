//! What remit knows of its own health: when something last went well, and the canary's findings.

use super::{Store, StoreError};
use crate::finding::FindingState;
use sqlx::Row;

/// The source of the events that remit makes itself. No configured source can have this name.
pub const CANARY_SOURCE: &str = "remit:canary";

/// When something happened last, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// µs UTC.
    pub at: i64,
    /// Why, how long it took.
    pub detail: String,
}

impl Store {
    /// Notes that something of this name happened.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn watch(&self, name: &str, at: i64, detail: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO watch (name, at, detail) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET at = excluded.at, detail = excluded.detail",
        )
        .bind(name)
        .bind(at)
        .bind(detail)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// What happened last under this name.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn watched(&self, name: &str) -> Result<Option<Watched>, StoreError> {
        let row = sqlx::query("SELECT at, detail FROM watch WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.reader)
            .await?;
        row.map(|row| Ok(Watched { at: row.try_get("at")?, detail: row.try_get("detail")? })).transpose()
    }

    /// Whether a detection found a canary.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn has_canary(&self, detection: &str, actor: &str) -> Result<bool, StoreError> {
        let found: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM findings WHERE actor = $1 AND detection = $2 AND state = $3",
        )
        .bind(actor)
        .bind(detection)
        .bind(FindingState::Canary.as_str())
        .fetch_one(&self.reader)
        .await?;
        Ok(found > 0)
    }

    /// Forgets canaries made before `before` (µs).
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing was forgotten then.
    pub async fn forget_canaries(&self, before: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for sql in [
            "DELETE FROM chains WHERE finding IN (SELECT id FROM findings WHERE state = 'canary' AND created_at < $1)",
            "DELETE FROM finding_objects WHERE finding IN (SELECT id FROM findings WHERE state = 'canary' AND created_at < $1)",
            "DELETE FROM findings WHERE state = 'canary' AND created_at < $1",
            "DELETE FROM objects WHERE source = 'remit:canary' AND state = 'done' AND done_at < $1",
        ] {
            sqlx::query(sql).bind(before).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
