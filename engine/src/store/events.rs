//! Which events were judged, within the horizon of exact deduplication
//!
//! On disk an event is 16 bytes in the row of its object and account; whether one is known is asked of the set in memory,
//! which is filled from these rows when the store is opened. A unique index would touch a page of its own for each
//! random id: hundreds of times the bytes written.

use super::{Commit, Store, StoreError, pieces};
use crate::seen::{EventIds, OfAccount, Seen};
use crate::time::{DAY, day_of};
use futures::TryStreamExt;
use ingest::planted::{Bug, bug};
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool, Transaction};
use std::path::Path;
use tokio::sync::Mutex;
use tracing::warn;

/// Memory for the set; what does not fit lies in nameless files beside the store.
const MEMORY_MAX: usize = 128 << 20;

/// The set, and whose turn it is to add to it.
#[derive(Debug)]
pub(super) struct Events {
    pub seen: Seen,
    pub turn: Mutex<()>,
}

impl Events {
    pub(super) fn beside(path: &Path) -> Events {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Events { seen: Seen::within(folder, MEMORY_MAX), turn: Mutex::new(()) }
    }

    pub(super) async fn load(&self, pool: &SqlitePool) -> Result<(), StoreError> {
        if bug(Bug::DedupForgotten) {
            return Ok(());
        }
        let mut rows = sqlx::query("SELECT seen_at, account, uuids, texts FROM seen_events ORDER BY seen_at")
            .fetch(pool);
        while let Some(row) = rows.try_next().await? {
            let account: String = row.try_get("account")?;
            let texts: String = row.try_get("texts")?;
            let texts = serde_json::from_str(&texts).map_err(|cause| StoreError::Damaged {
                what: "list of events of account",
                id: account.clone(),
                cause: cause.to_string(),
            })?;
            self.turn_to(row.try_get("seen_at")?);
            let of = OfAccount { account, uuids: row.try_get("uuids")?, texts };
            // An older store may hold an event twice.
            self.seen.insert_of(&of)?;
        }
        Ok(())
    }

    /// Each day of our clock is a generation of the set.
    pub(super) fn turn_to(&self, now: i64) {
        if let Err(cause) = self.seen.turn_to(day_of(now).unsigned_abs()) {
            warn!(%cause, "event ids stay in memory for longer");
        }
    }

    /// Adds what is committed. It is in the set even if there is no room for it on disk.
    pub(super) fn add(&self, events: &EventIds) {
        if let Err(cause) = self.seen.add_all(events) {
            warn!(%cause, "the memory for event ids is over its budget");
        }
    }
}

impl Store {
    /// The events that were judged within the horizon.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.events.seen
    }

    /// Forgets events that were stored before `before` (µs), the horizon of exact deduplication: on disk at once, in
    /// memory when their whole day is over.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn forget_events(&self, before: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query("DELETE FROM seen_events WHERE seen_at < $1")
            .bind(before)
            .execute(&self.writer)
            .await?;
        self.events.seen.forget_before((before.div_euclid(DAY)).unsigned_abs());
        Ok(gone.rows_affected())
    }
}

pub(super) async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(commits.len());
    for commit in commits {
        for of in commit.events.accounts() {
            let texts = serde_json::to_string(&of.texts).map_err(|cause| StoreError::Damaged {
                what: "list of events of object",
                id: commit.claim.object.clone(),
                cause: cause.to_string(),
            })?;
            rows.push((*commit, of, texts));
        }
    }
    for piece in pieces(&rows) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO seen_events (object, seen_at, account, uuids, texts) ");
        insert.push_values(piece, |mut row, (commit, of, texts)| {
            row.push_bind(commit.claim.object.as_str())
                .push_bind(commit.terms.now)
                .push_bind(of.account.as_str())
                .push_bind(of.uuids.as_slice())
                .push_bind(texts.as_str());
        });
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}
