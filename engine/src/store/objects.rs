//! Which objects were claimed and done: an object is judged once.

use super::{Store, StoreError, pieces};
use ingest::planted::{Bug, bug};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::collections::HashMap;

/// Attempts on one object that may end without a word (a crash) before it is no longer opened.
const CRASHES_MAX: i64 = 2;

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
    /// The same, and the last attempt on it ended the process.
    Suspect(ClaimToken),
    /// It was ended before: acknowledge and count a duplicate.
    Done,
    /// Another worker holds it: leave it.
    Held,
    /// It was open [`CRASHES_MAX`] times when the process ended: quarantine it unopened with this token.
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

/// An object to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its id.
    pub object: &'a str,
    /// The source that it comes from.
    pub source: &'a str,
    /// Where it is, for people.
    pub place: &'a str,
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
        let wanted = [Wanted { object, source, place }];
        let mut claims = self.claim_all(&wanted, lease, now).await?;
        Ok(claims.pop().unwrap_or(Claim::Held))
    }

    /// Claims objects for `lease` µs from `now`, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing is claimed then.
    pub async fn claim_all(
        &self,
        wanted: &[Wanted<'_>],
        lease: i64,
        now: i64,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut tx = self.begin().await?;
        let mut once = HashMap::with_capacity(wanted.len());
        let distinct: Vec<Wanted<'_>> =
            wanted.iter().filter(|want| once.insert(want.object, ()).is_none()).copied().collect();
        let mut claims = HashMap::with_capacity(distinct.len());
        for piece in pieces(&distinct) {
            claim_piece(&mut tx, piece, lease, now, &mut claims).await?;
        }
        tx.commit().await?;
        // Asked for twice at once, the first has it.
        Ok(wanted.iter().map(|want| claims.remove(want.object).unwrap_or(Claim::Held)).collect())
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

    /// Ends an object that gave no events; one that cannot be read counts as one unreadable record. False when a
    /// later claim fenced this one off.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn end_object(
        &self,
        claim: &ClaimToken,
        end: ObjectEnd,
        quarantined: Option<(&ingest::ObjectRef, &ingest::quarantine::Quarantined)>,
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
        if claim.token > 1 {
            super::quarantine::replayed(
                &mut tx,
                &claim.object,
                "read again: nothing in it is to be read",
                now,
            )
            .await?;
        }
        if let Some((object, quarantined)) = quarantined {
            let place = object.display();
            let of = super::quarantine::Of::object(&claim.object, &place, Some(object));
            super::quarantine::insert(&mut tx, of, std::slice::from_ref(quarantined), now).await?;
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
            "SELECT count(*) - count(replay_of) AS objects, coalesce(sum(read), 0) AS read, coalesce(sum(stored), 0) AS stored,
                    coalesce(sum(duplicates), 0) AS duplicates, coalesce(sum(quarantined), 0) AS quarantined
             FROM objects WHERE state <> 'claimed' AND source <> 'remit:canary'",
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

impl Store {
    /// Whether an object at `place` other than `id` was ended: another version of it, or the same under another name.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn ended_elsewhere(&self, place: &str, id: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM objects WHERE place = $1 AND id <> $2 AND state IN ('done', 'ignored') LIMIT 1",
        )
        .bind(place)
        .bind(id)
        .fetch_optional(&self.reader)
        .await?;
        Ok(found.is_some())
    }

    /// Whether an ended object was stored over another with other bytes.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn overwrote(&self, id: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM objects AS o JOIN objects AS e ON e.place = o.place AND e.id <> o.id
             WHERE o.id = $1 AND o.state = 'done' AND e.state = 'done' AND e.sha256 <> o.sha256 LIMIT 1",
        )
        .bind(id)
        .fetch_optional(&self.reader)
        .await?;
        Ok(found.is_some())
    }
}

async fn claim_piece<'w>(
    tx: &mut Transaction<'static, Sqlite>,
    wanted: &[Wanted<'w>],
    lease: i64,
    now: i64,
    claims: &mut HashMap<&'w str, Claim>,
) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO objects (id, source, place, state, token, lease_until, attempts) ",
    );
    insert.push_values(wanted, |mut row, want| {
        row.push_bind(want.object).push_bind(want.source).push_bind(want.place);
        row.push("'claimed'").push("1").push_bind(now + lease).push("1");
    });
    insert.push(
        " ON CONFLICT (id) DO UPDATE
            SET token = objects.token + 1, attempts = objects.attempts + 1, lease_until = excluded.lease_until
            WHERE objects.state = 'claimed' AND objects.lease_until < ",
    );
    let now = if bug(Bug::ClaimWithoutFencing) { i64::MAX } else { now };
    insert.push_bind(now).push(" RETURNING id, token, attempts");
    let mut claimed: HashMap<String, (i64, i64)> = HashMap::with_capacity(wanted.len());
    for row in insert.build().fetch_all(&mut **tx).await? {
        claimed.insert(row.try_get("id")?, (row.try_get("token")?, row.try_get("attempts")?));
    }
    for want in wanted {
        let claim = match claimed.remove(want.object) {
            Some((token, attempts)) => {
                let token = ClaimToken { object: want.object.to_owned(), token };
                match attempts {
                    ..=1 => Claim::Mine(token),
                    2..=CRASHES_MAX => Claim::Suspect(token),
                    _ => Claim::Poison(token),
                }
            }
            None => {
                let state: String = sqlx::query_scalar("SELECT state FROM objects WHERE id = $1")
                    .bind(want.object)
                    .fetch_one(&mut **tx)
                    .await?;
                if state == "claimed" { Claim::Held } else { Claim::Done }
            }
        };
        claims.insert(want.object, claim);
    }
    Ok(())
}
