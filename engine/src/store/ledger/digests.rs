//! Digests as they come in, what verifying them gave, and the keys that they were verified with

use super::super::{Store, StoreError, pieces};
use super::{Fact, note};
use crate::ledger::Filed;
use ingest::ObjectRef;
use ingest::digest::{Digest, DigestName, DigestProblem, Metadata, Place, PublicKey, logs};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::fmt::Write;

/// A digest that waits to be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDigest {
    /// Where it lies.
    pub place: Place,
    /// SHA-256 of its bytes, hex: an overwritten digest is two.
    pub sha256: String,
    /// The bytes as stored.
    pub bytes: Vec<u8>,
    /// What is signed beside it.
    pub metadata: Metadata,
    /// The source that it came from.
    pub source: String,
    /// When it came, µs UTC.
    pub first_at: i64,
}

/// A digest and what verifying it gave.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The digest.
    pub raw: RawDigest,
    /// What it says, or what is wrong with it.
    pub outcome: Result<Digest, DigestProblem>,
}

/// A key that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptKey {
    /// The region that it signs for.
    pub region: String,
    /// The key.
    pub key: PublicKey,
}

impl Store {
    /// Keeps a digest until it is verified. The same bytes at the same place are one digest, however often they come.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was kept then.
    pub async fn keep_digest(
        &self,
        object: &ObjectRef,
        bytes: &[u8],
        metadata: &Metadata,
        now: i64,
    ) -> Result<(), StoreError> {
        let place = Place::new(&object.bucket, &object.key);
        let filed = Filed::of(&place);
        let name = place.digest_name();
        let sha256 = sha256(bytes);
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO ledger_digests (bucket, key, sha256, source, trail, chain, account, region, backfill,
                                         start_at, end_at, state, raw, metadata, first_at, id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 'new', $11, $12, $13, $14)
             ON CONFLICT (bucket, key, sha256) DO NOTHING",
        )
        .bind(&object.bucket)
        .bind(&object.key)
        .bind(&sha256)
        .bind(&object.source)
        .bind(name.as_ref().map(trail_of).unwrap_or_default())
        .bind(name.as_ref().map(|name| name.chain.to_string()).unwrap_or_default())
        .bind(&filed.account)
        .bind(&filed.region)
        .bind(name.as_ref().is_some_and(|name| name.chain.backfill))
        .bind(name.as_ref().map_or(0, |name| name.end.timestamp_micros()))
        .bind(bytes)
        .bind(metadata_json(metadata))
        .bind(now)
        .bind(digest_id(&place))
        .execute(&mut *tx)
        .await?;
        let fact = Fact { ingested_at: Some(now), sha256: Some(&sha256), ..Fact::of(object) };
        note(&mut tx, &[fact]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Digests that wait to be verified, the oldest hours first; or, `again`, those whose key was not known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unverified_digests(&self, again: bool, limit: i64) -> Result<Vec<RawDigest>, StoreError> {
        let rows = sqlx::query(
            "SELECT bucket, key, sha256, raw, metadata, source, first_at FROM ledger_digests
             WHERE state = $2 AND raw IS NOT NULL ORDER BY end_at, key LIMIT $1",
        )
        .bind(limit)
        .bind(if again { "invalid" } else { "new" })
        .fetch_all(&self.reader)
        .await?;
        let raw = |row: &sqlx::sqlite::SqliteRow| -> Result<RawDigest, StoreError> {
            let metadata: String = row.try_get("metadata")?;
            Ok(RawDigest {
                place: Place::new(row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?),
                sha256: row.try_get("sha256")?,
                bytes: row.try_get::<Option<Vec<u8>>, _>("raw")?.unwrap_or_default(),
                metadata: Metadata::parse(metadata.as_bytes()).unwrap_or_default(),
                source: row.try_get("source")?,
                first_at: row.try_get("first_at")?,
            })
        };
        rows.iter().map(raw).collect()
    }

    /// Keeps what verifying gave: what a digest lists is expected once its links hold.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was kept then.
    pub async fn keep_verified(&self, verified: &[Verified]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for Verified { raw, outcome } in verified {
            match outcome {
                Ok(digest) => keep_valid(&mut tx, raw, digest).await?,
                Err(problem) => keep_invalid(&mut tx, raw, problem).await?,
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// The keys that are known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn public_keys(&self) -> Result<Vec<KeptKey>, StoreError> {
        let rows = sqlx::query("SELECT * FROM ledger_keys ORDER BY region, fingerprint")
            .fetch_all(&self.reader)
            .await?;
        let kept = |row: &sqlx::sqlite::SqliteRow| -> Result<KeptKey, StoreError> {
            let region: String = row.try_get("region")?;
            let time = |micros: i64| chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
            let key = PublicKey {
                region: (!region.is_empty()).then(|| region.clone()),
                fingerprint: row.try_get("fingerprint")?,
                der: row.try_get("der")?,
                from: time(row.try_get("from_at")?),
                until: time(row.try_get("until_at")?),
            };
            Ok(KeptKey { region, key })
        };
        rows.iter().map(kept).collect()
    }

    /// Keeps keys: what they signed can be checked for years.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_public_keys(&self, keys: &[PublicKey]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for key in keys {
            sqlx::query(
                "INSERT INTO ledger_keys (region, fingerprint, der, from_at, until_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (region, fingerprint) DO NOTHING",
            )
            .bind(key.region.as_deref().unwrap_or_default())
            .bind(&key.fingerprint)
            .bind(&key.der)
            .bind(key.from.timestamp_micros())
            .bind(key.until.timestamp_micros())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn keep_valid(
    tx: &mut Transaction<'static, Sqlite>,
    raw: &RawDigest,
    digest: &Digest,
) -> Result<(), StoreError> {
    let listed = &digest.hour.logs;
    let at = digest_id(&raw.place);
    for piece in pieces(listed) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO ledger_listed (digest, bucket, key, sha256, account, region, hour, foreign_to) ",
        );
        insert.push_values(piece, |mut row, log| {
            let Filed { account, region, hour, .. } = Filed::of(&log.place);
            row.push_bind(at.as_str())
                .push_bind(log.place.bucket.as_str())
                .push_bind(log.place.key.as_str())
                .push_bind(hex(&log.sha256))
                .push_bind(account)
                .push_bind(region)
                .push_bind(hour)
                .push_bind(logs::foreign(&digest.shelf, &log.place));
        });
        // A digest that lists one file twice: what it says first counts, the rest is the same or signed nonsense.
        insert.push(" ON CONFLICT (digest, bucket, key) DO NOTHING");
        insert.build().execute(&mut **tx).await?;
    }
    let count = listed.len() as i64;
    let (start, end) = (digest.hour.start.timestamp_micros(), digest.hour.end.timestamp_micros());
    let body = serde_json::to_string(&digest.clone().without_logs()).map_err(|error| damaged(&at, error))?;
    sqlx::query(
        "UPDATE ledger_digests SET state = 'valid', linked = -1, raw = NULL, body = $1, logs = $2, start_at = $3,
                end_at = $4, content = $5 WHERE bucket = $6 AND key = $7 AND sha256 = $8",
    )
    .bind(body)
    .bind(count)
    .bind(start)
    .bind(end)
    .bind(hex(digest.sha256()))
    .bind(&raw.place.bucket)
    .bind(&raw.place.key)
    .bind(&raw.sha256)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn keep_invalid(
    tx: &mut Transaction<'static, Sqlite>,
    raw: &RawDigest,
    problem: &DigestProblem,
) -> Result<(), StoreError> {
    let signed_for = problem.signed_for();
    let place = |place: &Place| serde_json::to_string(place).unwrap_or_default();
    sqlx::query(
        "UPDATE ledger_digests SET state = 'invalid', linked = -1,
                raw = CASE WHEN $1 = 'key_unknown' THEN raw END, code = $1, text = $2, detail = $3,
                signed_for = $4, stray_trail = $5 WHERE bucket = $6 AND key = $7 AND sha256 = $8",
    )
    .bind(problem.code())
    .bind(problem.to_string())
    .bind(problem.detail())
    .bind(signed_for.map(place))
    .bind(signed_for.and_then(Place::digest_name).as_ref().map(trail_of))
    .bind(&raw.place.bucket)
    .bind(&raw.place.key)
    .bind(&raw.sha256)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is linked together: all chains of one trail, an organization's or not, late or in time.
pub(super) fn trail_of(name: &DigestName) -> String {
    let chain = &name.chain;
    format!("{}/{}/{}/{}", chain.account, chain.region, chain.trail, chain.home_region)
}

/// How a digest is named in the ledger.
pub(super) fn digest_id(place: &Place) -> String {
    format!("{}/{}", place.bucket, place.key)
}

pub(super) fn damaged(id: &str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: "digest", id: id.to_owned(), cause: cause.to_string() }
}

fn metadata_json(metadata: &Metadata) -> String {
    let mut entries = serde_json::Map::new();
    let mut add = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            entries.insert(name.to_owned(), value.clone().into());
        }
    };
    add("signature", &metadata.signature);
    add("signature-algorithm", &metadata.algorithm);
    add("backfill-generation-timestamp", &metadata.backfill_generated);
    serde_json::Value::Object(entries).to_string()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text cannot fail.
        _ = write!(text, "{byte:02x}");
    }
    text
}
