//! The ledger of log files: what three feeds told of, and what became of it.
//!
//! Facts are merged by min and max, so that their order is nothing; verdicts follow from them in [`Store::reckon`].

mod attestation;
mod chains;
mod digests;
mod findings;
mod hours;
mod reckoning;
mod report;

pub use attestation::Attestation;
pub use digests::{KeptKey, RawDigest, Verified};
pub use reckoning::Patience;
pub use report::{
    ChainLine, DigestLine, FileLine, GapLine, HourLine, LedgerReport, LedgerTotals, ProblemLine, SweepLine,
};

use super::{Store, StoreError, pieces};
use crate::ledger::{Filed, LEVEL_DIGEST, LEVEL_SIGNED};
use crate::time::MINUTE;
use ingest::ObjectRef;
use ingest::digest::Place;
use ingest::quarantine::reason;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

/// Rows of a file bound in one statement: it has many columns, and SQLite takes 32,766 parameters.
const FILES_MAX: usize = 1_024;

/// After how long what was announced and not read is fetched without its message.
const ANNOUNCED_PATIENCE: i64 = 15 * MINUTE;

/// How often a file is looked for before it is left to the sweep of a person.
const TRIES_MAX: i64 = 12;

/// What was read of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRead {
    /// The version that was read.
    pub object: ObjectRef,
    /// The hash that digests attest.
    pub content: Content,
}

/// The hash of a log file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// SHA-256 of the inflated bytes, hex.
    Sha256(String),
    /// It is not gzipped, so CloudTrail did not write it.
    NotGzip,
    /// Nobody asked.
    Unasked,
}

/// A file that is to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    /// Where it should be.
    pub place: Place,
    /// How often it was looked for before.
    pub tries: i64,
}

/// A fact about one file.
#[derive(Debug, Clone, Default)]
struct Fact<'a> {
    bucket: &'a str,
    key: &'a str,
    source: &'a str,
    announced_at: Option<i64>,
    listed_at: Option<i64>,
    ingested_at: Option<i64>,
    gone_at: Option<i64>,
    content: Option<&'a str>,
    sha256: Option<&'a str>,
    records: i64,
    damage: Option<&'a str>,
    trouble: Option<&'a str>,
    next_try: i64,
}

/// What a reader says of a file that is not as CloudTrail writes it.
const DAMAGE: [&str; 8] = [
    reason::GZIP_TRAILING,
    reason::GZIP_CORRUPT,
    reason::GZIP_TRUNCATED,
    reason::GZIP_RATIO,
    reason::INFLATED_TOO_BIG,
    reason::COMPRESSED_TOO_BIG,
    reason::BAD_ENCODING,
    reason::BAD_JSON,
];

impl Store {
    /// Notes objects that somebody told of.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing was noted then.
    pub async fn announced(&self, objects: &[ObjectRef], now: i64) -> Result<(), StoreError> {
        let facts = objects.iter().map(|object| Fact {
            announced_at: Some(now),
            next_try: now + ANNOUNCED_PATIENCE,
            ..Fact::of(object)
        });
        self.note(facts.collect()).await
    }

    /// Notes files that a sweep found. `settled_at`: from when on they are fetched if nobody told of them.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing was noted then.
    pub async fn listed(
        &self,
        source: &str,
        places: &[Place],
        settled_at: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        let facts = places.iter().map(|place| Fact {
            bucket: &place.bucket,
            key: &place.key,
            source,
            listed_at: Some(now),
            next_try: settled_at,
            ..Fact::default()
        });
        self.note(facts.collect()).await
    }

    /// Notes that a file was looked for and is not there.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn gone(&self, source: &str, place: &Place, now: i64) -> Result<(), StoreError> {
        let fact =
            Fact { bucket: &place.bucket, key: &place.key, source, gone_at: Some(now), ..Fact::default() };
        self.note(vec![fact]).await
    }

    /// Notes that a file may not be looked for, and why.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn unreachable(&self, source: &str, place: &Place, why: &str) -> Result<(), StoreError> {
        let fact =
            Fact { bucket: &place.bucket, key: &place.key, source, trouble: Some(why), ..Fact::default() };
        self.note(vec![fact]).await
    }

    /// Notes what was read of a log file that held no events.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn log_read(&self, read: &LogRead, sha256: &str, now: i64) -> Result<(), StoreError> {
        self.note(vec![read.fact(sha256, 0, now)]).await
    }

    /// Notes how an object ended that was ended before, or could not be read: as the store knows it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn ended_before(&self, object: &ObjectRef, now: i64) -> Result<(), StoreError> {
        let row = sqlx::query("SELECT state, sha256, read, done_at FROM objects WHERE id = $1")
            .bind(object.id())
            .fetch_optional(&self.reader)
            .await?;
        let Some(row) = row else { return Ok(()) };
        let state: String = row.try_get("state")?;
        let sha256: Option<String> = row.try_get("sha256")?;
        let done_at = row.try_get::<Option<i64>, _>("done_at")?.unwrap_or(now);
        let why: Option<String> = match state.as_str() {
            "quarantined" => {
                sqlx::query_scalar(
                    "SELECT reason FROM quarantine WHERE object = $1 AND row IS NULL AND is_rest = 0
                     ORDER BY at, reason LIMIT 1",
                )
                .bind(object.id())
                .fetch_optional(&self.reader)
                .await?
            }
            "done" | "ignored" => None,
            _ => return Ok(()),
        };
        let mut fact = Fact::of(object);
        match why.as_deref() {
            Some(reason::MISSING_OBJECT) => fact.gone_at = Some(done_at),
            Some(why) if DAMAGE.contains(&why) => {
                (fact.damage, fact.ingested_at) = (Some(why), Some(done_at));
            }
            Some(why) => fact.trouble = Some(why),
            None if state == "quarantined" => fact.trouble = Some("quarantined"),
            None => {
                fact.ingested_at = Some(done_at);
                fact.sha256 = sha256.as_deref();
                fact.records = row.try_get("read")?;
            }
        }
        self.note(vec![fact]).await
    }

    async fn note(&self, facts: Vec<Fact<'_>>) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        note(&mut tx, &facts).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What was announced, listed or attested and not read, and is due to be looked for. Each is given once, and again
    /// later and later.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn wanted_files(
        &self,
        source: &str,
        retry: i64,
        now: i64,
        limit: i64,
    ) -> Result<Vec<WantedFile>, StoreError> {
        // The pause doubles, up to 2^10 times the first one.
        let rows = sqlx::query(
            "UPDATE ledger_files
             SET tries = tries + 1, next_try = $3 + $4 * (1 << CASE WHEN tries > 10 THEN 10 ELSE tries END)
             WHERE (bucket, key) IN (
                 SELECT bucket, key FROM ledger_files
                 WHERE ingested_at IS NULL AND next_try <= $3 AND source = $1 AND damage IS NULL
                   AND trouble IS NULL AND tries < $5 AND (announced_at IS NULL OR announced_at <= $6)
                 ORDER BY next_try LIMIT $2)
             RETURNING bucket, key, tries",
        )
        .bind(source)
        .bind(limit)
        .bind(now)
        .bind(retry)
        .bind(TRIES_MAX)
        // Its message is under way, and comes again if need be.
        .bind(now - ANNOUNCED_PATIENCE)
        .fetch_all(&self.writer)
        .await?;
        let wanted = |row: &sqlx::sqlite::SqliteRow| {
            Ok(WantedFile {
                place: Place::new(row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?),
                tries: row.try_get::<i64, _>("tries")? - 1,
            })
        };
        rows.iter().map(wanted).collect()
    }

    /// What was read before anybody asked for its hash, and is attested now: to be read again, for the hash alone.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn unhashed_files(
        &self,
        source: &str,
        retry: i64,
        now: i64,
        limit: i64,
    ) -> Result<Vec<Place>, StoreError> {
        let rows = sqlx::query(
            "UPDATE ledger_files SET tries = tries + 1, next_try = $3 + $4
             WHERE (bucket, key) IN (
                 SELECT bucket, key FROM ledger_files
                 WHERE content IS NULL AND expected IS NOT NULL AND ingested_at IS NOT NULL AND damage IS NULL
                   AND level = 2 AND next_try <= $3 AND source = $1 AND tries < $5
                 LIMIT $2)
             RETURNING bucket, key",
        )
        .bind(source)
        .bind(limit)
        .bind(now)
        .bind(retry)
        .bind(TRIES_MAX)
        .fetch_all(&self.writer)
        .await?;
        let place = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Place::new(row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?))
        };
        rows.iter().map(place).collect()
    }

    /// Notes how a sweep went.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn swept(&self, sweep: &SweepLine) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO ledger_sweeps (source, started_at, ended_at, requests, objects, problem)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (source) DO UPDATE SET started_at = excluded.started_at, ended_at = excluded.ended_at,
                requests = excluded.requests, objects = excluded.objects, problem = excluded.problem",
        )
        .bind(&sweep.source)
        .bind(sweep.started_at)
        .bind(sweep.ended_at)
        .bind(sweep.requests)
        .bind(sweep.objects)
        .bind(&sweep.problem)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

impl LogRead {
    fn fact<'a>(&'a self, sha256: &'a str, records: i64, now: i64) -> Fact<'a> {
        let mut fact =
            Fact { ingested_at: Some(now), sha256: Some(sha256), records, ..Fact::of(&self.object) };
        match &self.content {
            Content::Sha256(hash) => fact.content = Some(hash),
            Content::NotGzip => fact.damage = Some("log_not_gzip"),
            Content::Unasked => {}
        }
        fact
    }
}

impl<'a> Fact<'a> {
    fn of(object: &'a ObjectRef) -> Fact<'a> {
        Fact { bucket: &object.bucket, key: &object.key, source: &object.source, ..Fact::default() }
    }
}

/// Notes what committed objects were read as.
pub(super) async fn note_reads(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&super::Commit<'_>],
) -> Result<(), StoreError> {
    let reads = commits
        .iter()
        .filter_map(|commit| Some(commit.log?.fact(commit.sha256, commit.read, commit.terms.now)));
    note(tx, &reads.collect::<Vec<_>>()).await
}

async fn note(tx: &mut Transaction<'static, Sqlite>, facts: &[Fact<'_>]) -> Result<(), StoreError> {
    let mut once: Vec<&Fact<'_>> = Vec::with_capacity(facts.len());
    let mut places = std::collections::HashSet::with_capacity(facts.len());
    let mut again = Vec::new();
    for fact in facts {
        // A statement may touch a row once.
        if places.insert((fact.bucket, fact.key)) { once.push(fact) } else { again.push(fact.clone()) }
    }
    for piece in pieces(&once) {
        note_piece(tx, piece).await?;
    }
    for fact in &again {
        note_piece(tx, &[fact]).await?;
    }
    Ok(())
}

async fn note_piece(tx: &mut Transaction<'static, Sqlite>, facts: &[&Fact<'_>]) -> Result<(), StoreError> {
    debug_assert!(facts.len() <= FILES_MAX);
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO ledger_files (bucket, key, source, level, account, region, hour, announced_at, listed_at,
                                   ingested_at, gone_at, content, sha256, records, damage, trouble, next_try) ",
    );
    insert.push_values(facts, |mut row, fact| {
        let Filed { level, account, region, hour } = Filed::of(&Place::new(fact.bucket, fact.key));
        // What is no log file is damaged in its own way; the quarantine tells of it.
        let damage = fact.damage.filter(|_| level == LEVEL_SIGNED);
        row.push_bind(fact.bucket)
            .push_bind(fact.key)
            .push_bind(fact.source)
            .push_bind(level)
            .push_bind(account)
            .push_bind(region)
            .push_bind(hour)
            .push_bind(fact.announced_at)
            .push_bind(fact.listed_at)
            .push_bind(fact.ingested_at)
            .push_bind(fact.gone_at)
            .push_bind(fact.content)
            .push_bind(fact.sha256)
            .push_bind(fact.records)
            .push_bind(damage)
            .push_bind(fact.trouble)
            .push_bind(fact.next_try);
    });
    insert.push(" ON CONFLICT (bucket, key) DO UPDATE SET stale = 1");
    for column in ["announced_at", "listed_at", "ingested_at", "gone_at"] {
        push_least(&mut insert, column);
    }
    for column in ["damage", "trouble"] {
        push_least(&mut insert, column);
    }
    insert.push(
        ", next_try = CASE WHEN excluded.next_try = 0 OR ledger_files.tries > 0 THEN ledger_files.next_try
                           WHEN excluded.next_try < ledger_files.next_try OR ledger_files.next_try = 0
                           THEN excluded.next_try ELSE ledger_files.next_try END,
           overwritten = CASE WHEN ledger_files.content <> excluded.content
                                OR (ledger_files.level = 2 AND ledger_files.sha256 <> excluded.sha256)
                              THEN 1 ELSE ledger_files.overwritten END",
    );
    push_least(&mut insert, "content");
    // Of two readings, hash and count are those of one: of that with the smaller hash.
    for column in ["records", "sha256"] {
        insert.push(format!(
            ", {column} = CASE WHEN ledger_files.sha256 IS NULL OR excluded.sha256 < ledger_files.sha256
                               THEN excluded.{column} ELSE ledger_files.{column} END"
        ));
    }
    insert.build().execute(&mut **tx).await?;
    Ok(())
}

/// The smaller of what is there and what comes; nothing is more than anything.
fn push_least(insert: &mut QueryBuilder<Sqlite>, column: &str) {
    insert.push(format!(
        ", {column} = CASE WHEN ledger_files.{column} IS NULL OR excluded.{column} < ledger_files.{column}
                           THEN excluded.{column} ELSE ledger_files.{column} END"
    ));
}

/// Whether a source's object is a digest, by its name.
#[must_use]
pub fn files_as_digest(object: &ObjectRef) -> bool {
    Filed::of(&Place::new(&object.bucket, &object.key)).level == LEVEL_DIGEST
}
