//! Which objects were claimed and done: an object is judged once.

use super::{Store, StoreError};
use sqlx::Row;

/// Claims of one object that may end without a word (a crash) before it is no longer opened.
const ATTEMPTS_MAX: i64 = 3;

/// A worker's right to commit one object. A later claim of the same object takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimToken {
    /// The object's id.
    pub object: String,
    /// Fencing token: larger for each claim.
    pub token: i64,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Judge it and commit with this token.
    Mine(ClaimToken),
    /// It was ended before: acknowledge and count a duplicate.
    Done,
    /// Another worker holds it: leave it.
    Held,
    /// It was begun [`ATTEMPTS_MAX`] times and never ended: quarantine it unopened with this token.
    Poison(ClaimToken),
}

/// How an object ended without events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectEnd {
    /// Nothing of ours, such as a digest.
    Ignored,
    /// It cannot be read; its quarantine row says why.
    Quarantined,
}

impl ObjectEnd {
    fn as_str(self) -> &'static str {
        match self {
            ObjectEnd::Ignored => "ignored",
            ObjectEnd::Quarantined => "quarantined",
        }
    }
}

/// Sums over all objects: `read = stored + duplicates + quarantined`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectTotals {
    /// Objects ended.
    pub objects: i64,
    /// Records read.
    pub read: i64,
    /// Unique events judged.
    pub stored: i64,
    /// Events seen before.
    pub duplicates: i64,
    /// Records that could not be read.
    pub quarantined: i64,
}

impl Store {
    /// Claims an object for `lease` µs from `now`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn claim(
        &self,
        object: &str,
        source: &str,
        place: &str,
        lease: i64,
        now: i64,
    ) -> Result<Claim, StoreError> {
        let mut tx = self.begin().await?;
        let claimed = sqlx::query(
            "INSERT INTO objects (id, source, place, state, token, lease_until, attempts)
             VALUES ($1, $2, $3, 'claimed', 1, $4, 1)
             ON CONFLICT (id) DO UPDATE
                SET token = objects.token + 1, attempts = objects.attempts + 1, lease_until = excluded.lease_until
                WHERE objects.state = 'claimed' AND objects.lease_until < $5
             RETURNING token, attempts",
        )
        .bind(object)
        .bind(source)
        .bind(place)
        .bind(now + lease)
        .bind(now)
        .fetch_optional(&mut *tx)
        .await?;
        let claim = match claimed {
            Some(row) => {
                let token = ClaimToken { object: object.to_owned(), token: row.try_get("token")? };
                let attempts: i64 = row.try_get("attempts")?;
                if attempts > ATTEMPTS_MAX { Claim::Poison(token) } else { Claim::Mine(token) }
            }
            None => {
                let state: String = sqlx::query_scalar("SELECT state FROM objects WHERE id = $1")
                    .bind(object)
                    .fetch_one(&mut *tx)
                    .await?;
                if state == "claimed" { Claim::Held } else { Claim::Done }
            }
        };
        tx.commit().await?;
        Ok(claim)
    }

    /// Gives a claim back: the object was not judged and nobody crashed on it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn release(&self, claim: &ClaimToken) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE objects SET lease_until = 0, attempts = attempts - 1
             WHERE id = $1 AND token = $2 AND state = 'claimed'",
        )
        .bind(&claim.object)
        .bind(claim.token)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Ends the leases that a killed process left behind. Only for the process that owns the file.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn end_stale_leases(&self) -> Result<u64, StoreError> {
        let ended =
            sqlx::query("UPDATE objects SET lease_until = 0 WHERE state = 'claimed' AND lease_until > 0")
                .execute(&self.writer)
                .await?;
        Ok(ended.rows_affected())
    }

    /// Ends an object that gave no events; one that cannot be read counts as one unreadable record. False when a
    /// later claim fenced this one off.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn end_object(
        &self,
        claim: &ClaimToken,
        end: ObjectEnd,
        quarantined: Option<&ingest::quarantine::Quarantined>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let ended = sqlx::query(
            "UPDATE objects SET state = $1, done_at = $2, read = $3, quarantined = $3
             WHERE id = $4 AND token = $5 AND state = 'claimed'",
        )
        .bind(end.as_str())
        .bind(now)
        .bind(i64::from(end == ObjectEnd::Quarantined))
        .bind(&claim.object)
        .bind(claim.token)
        .execute(&mut *tx)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(quarantined) = quarantined {
            let place: String = sqlx::query_scalar("SELECT place FROM objects WHERE id = $1")
                .bind(&claim.object)
                .fetch_one(&mut *tx)
                .await?;
            super::quarantine::insert(&mut tx, &claim.object, &place, std::slice::from_ref(quarantined), now)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Sums over all ended objects.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn object_totals(&self) -> Result<ObjectTotals, StoreError> {
        let row = sqlx::query(
            "SELECT count(*) AS objects, coalesce(sum(read), 0) AS read, coalesce(sum(stored), 0) AS stored,
                    coalesce(sum(duplicates), 0) AS duplicates, coalesce(sum(quarantined), 0) AS quarantined
             FROM objects WHERE state <> 'claimed'",
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(ObjectTotals {
            objects: row.try_get("objects")?,
            read: row.try_get("read")?,
            stored: row.try_get("stored")?,
            duplicates: row.try_get("duplicates")?,
            quarantined: row.try_get("quarantined")?,
        })
    }
}
