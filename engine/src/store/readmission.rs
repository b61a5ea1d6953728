//! What is in quarantine and wanted back: read again, and what now reads is added once.
//!
//! An object that was quarantined whole is claimed anew. Of one that was judged, the records that could not be read
//! are added by a commit of its own under a derived id: what the object has stored stays as it is, and the records move
//! from its account to that of the readmission, so that the sums over all objects stay what they were.

use super::quarantine::{Of, insert, replayed};
use super::{Store, StoreError};
use ingest::ObjectRef;
use ingest::quarantine::Quarantined;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::collections::HashSet;

/// Something to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readmission {
    /// An object of which nothing was read.
    Whole {
        /// Its id.
        id: String,
        /// Where it can be fetched.
        object: ObjectRef,
    },
    /// Records of an object that was judged.
    Records(Unread),
    /// A message that was not followed, or a file that was not opened.
    Message {
        /// The row's id.
        row: String,
        /// The object that it names, where that is known.
        object: Option<ObjectRef>,
        /// Its text, where it names none yet.
        body: String,
    },
}

/// What of a judged object is read after all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readmitted {
    /// The object's id.
    pub of: String,
    /// The rows that are added.
    pub rows: Vec<u32>,
}

/// Records of a judged object that were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The object's id.
    pub id: String,
    /// The id that the next commit of such records has.
    pub derived: String,
    /// Where it can be fetched.
    pub object: ObjectRef,
    /// SHA-256 of the bytes that were judged, hex.
    pub sha256: String,
    /// Records in the object.
    pub records: i64,
    /// Records of these that are not read.
    pub quarantined: i64,
    /// Which ones; none where some are only counted.
    pub rows: Option<HashSet<u32>>,
    /// Whether every event of the object is still remembered: what was stored is then known by its id.
    pub is_remembered: bool,
}

impl Store {
    /// Wants rows to be read again. Gives how many there now are to read: those that were read, and those of which
    /// nothing is known to read again, are left.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn want_back(&self, ids: &[&str]) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let mut wanted = 0;
        for piece in super::pieces(ids) {
            let mut update = QueryBuilder::<Sqlite>::new(
                "UPDATE quarantine SET state = 'wanted', outcome = '', ended_at = NULL
                 WHERE state IN ('waiting', 'resolved', 'wanted')
                   AND (key IS NOT NULL OR object IS NULL AND source <> '' AND head <> '') AND id IN (",
            );
            let mut list = update.separated(", ");
            for id in piece {
                list.push_bind(*id);
            }
            update.push(")");
            wanted += update.build().execute(&mut *tx).await?.rows_affected();
        }
        tx.commit().await?;
        Ok(wanted)
    }

    /// What is wanted back of a source: at most `limit` objects and messages.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn wanted_back(&self, source: &str, limit: i64) -> Result<Vec<Readmission>, StoreError> {
        let rows = sqlx::query(
            "SELECT min(q.id) AS row, q.object, q.bucket, q.key, q.version, min(q.head) AS head, o.state, o.sha256
             FROM quarantine q LEFT JOIN objects o ON o.id = q.object
             WHERE q.state = 'wanted' AND q.source = $1
             GROUP BY coalesce(q.object, q.id) ORDER BY min(q.at), 1 LIMIT $2",
        )
        .bind(source)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        let mut wanted = Vec::with_capacity(rows.len());
        for row in rows {
            let (bucket, key): (Option<String>, Option<String>) =
                (row.try_get("bucket")?, row.try_get("key")?);
            let version: Option<String> = row.try_get("version")?;
            let object = bucket.zip(key).map(|(bucket, key)| ObjectRef {
                source: source.to_owned(),
                bucket,
                key,
                version: version.unwrap_or_default(),
            });
            let id: Option<String> = row.try_get("object")?;
            let state: Option<String> = row.try_get("state")?;
            wanted.push(match (id, object, state.as_deref()) {
                (Some(id), Some(object), Some("done" | "ignored")) => {
                    let sha256: Option<String> = row.try_get("sha256")?;
                    Readmission::Records(self.unread(id, object, sha256.unwrap_or_default()).await?)
                }
                (Some(id), Some(object), _) => Readmission::Whole { id, object },
                (_, object, _) => {
                    Readmission::Message { row: row.try_get("row")?, object, body: row.try_get("head")? }
                }
            });
        }
        Ok(wanted)
    }

    async fn unread(&self, id: String, object: ObjectRef, sha256: String) -> Result<Unread, StoreError> {
        let sums = sqlx::query(
            "SELECT coalesce(sum(read), 0) AS records, coalesce(sum(quarantined), 0) AS quarantined,
                    sum(CASE WHEN replay_of IS NULL THEN 0 ELSE 1 END) AS replays, min(done_at) AS done_at
             FROM objects WHERE id = $1 OR replay_of = $1",
        )
        .bind(&id)
        .fetch_one(&self.reader)
        .await?;
        let rows =
            sqlx::query("SELECT row, is_rest FROM quarantine WHERE object = $1 AND state <> 'replayed'")
                .bind(&id)
                .fetch_all(&self.reader)
                .await?;
        let mut indexes = Some(HashSet::with_capacity(rows.len()));
        for row in rows {
            let at: Option<i64> = row.try_get("row")?;
            let is_rest = row.try_get::<i64, _>("is_rest")? != 0;
            match (at.and_then(|at| u32::try_from(at).ok()), &mut indexes) {
                (Some(at), Some(indexes)) if !is_rest => {
                    indexes.insert(at);
                }
                _ => indexes = None,
            }
        }
        // Event ids are forgotten oldest first: whatever was judged after the oldest that is left is known.
        let oldest: Option<i64> =
            sqlx::query_scalar("SELECT min(seen_at) FROM seen_events").fetch_one(&self.reader).await?;
        let done_at: Option<i64> = sums.try_get("done_at")?;
        let replays: i64 = sums.try_get("replays")?;
        Ok(Unread {
            derived: ingest::fingerprint(&[&id, "replay", &replays.to_string()], 32),
            id,
            object,
            sha256,
            records: sums.try_get("records")?,
            quarantined: sums.try_get("quarantined")?,
            rows: indexes,
            is_remembered: done_at.zip(oldest).is_some_and(|(done_at, oldest)| done_at >= oldest),
        })
    }

    /// Opens a quarantined object for another claim, as if it had never been begun.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn reopen(&self, object: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE objects SET state = 'claimed', lease_until = 0, attempts = 0, read = 0, quarantined = 0,
                                done_at = NULL
             WHERE id = $1 AND state = 'quarantined'",
        )
        .bind(object)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Takes a claim of a derived id back that nothing was committed under.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn withdraw(&self, claim: &super::ClaimToken) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM objects WHERE id = $1 AND token = $2 AND state = 'claimed'")
            .bind(&claim.object)
            .bind(claim.token)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Notes that records were read again and still cannot be; each with the reason that it has now.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing was written then.
    pub async fn still_unread(
        &self,
        unread: &Unread,
        quarantined: &[Quarantined],
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // Ids of an older remit are others: their rows give way to the ones below.
        replayed(&mut tx, &unread.id, "read again: listed anew", now).await?;
        let place = unread.object.display();
        insert(&mut tx, Of::object(&unread.id, &place, Some(&unread.object)), quarantined, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a wanted object or message could not be read again, and why: it waits on. `reason`: of an object or
    /// message as a whole, which then has that one.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn keep_waiting(
        &self,
        id: &str,
        reason: Option<&str>,
        outcome: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE quarantine SET state = 'waiting', outcome = $1, seen = seen + 1, last_seen = $2,
                    reason = CASE WHEN row IS NULL AND is_rest = 0 THEN coalesce($3, reason) ELSE reason END
             WHERE (object = $4 OR object IS NULL AND id = $4) AND state = 'wanted'",
        )
        .bind(outcome)
        .bind(now)
        .bind(reason)
        .bind(id)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Notes that what a row of a message asked for was read, or that nothing of an object is left to read.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn readmitted(&self, id: &str, outcome: &str, now: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE quarantine SET state = 'replayed', outcome = $1, ended_at = $2
             WHERE (object = $3 OR object IS NULL AND id = $3) AND state = 'wanted'",
        )
        .bind(outcome)
        .bind(now)
        .bind(id)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

/// Moves the unread records from an object's account, and from those of its earlier readmissions, to that of this one.
pub(super) async fn move_account(
    tx: &mut Transaction<'static, Sqlite>,
    readmitted: &Readmitted,
    derived: &str,
) -> Result<(), StoreError> {
    let original = readmitted.of.as_str();
    sqlx::query(
        "UPDATE objects SET read = read - quarantined, quarantined = 0 WHERE id = $1 OR replay_of = $1",
    )
    .bind(original)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE objects SET replay_of = $1 WHERE id = $2")
        .bind(original)
        .bind(derived)
        .execute(&mut **tx)
        .await?;
    // Judged again after a late policy change, the object does not count what its readmission counts.
    let left_out: Option<String> = sqlx::query_scalar("SELECT left_out FROM origins WHERE object = $1")
        .bind(original)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(left_out) = left_out else { return Ok(()) };
    let damaged = |cause: serde_json::Error| StoreError::Damaged {
        what: "origin",
        id: original.to_owned(),
        cause: cause.to_string(),
    };
    let mut rows: Vec<u32> = serde_json::from_str(&left_out).map_err(damaged)?;
    rows.extend_from_slice(&readmitted.rows);
    sqlx::query("UPDATE origins SET left_out = $1 WHERE object = $2")
        .bind(serde_json::to_string(&rows).map_err(damaged)?)
        .bind(original)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
