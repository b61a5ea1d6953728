//! The ledger as it is shown

use super::super::{Store, StoreError};
use super::KeptKey;
use crate::time::HOUR;
use sqlx::Row;
use std::collections::BTreeMap;

/// Lines of what is wrong that a report shows at most.
const LINES_MAX: i64 = 10_000;

/// Everything between two times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// By account, region and hour of delivery.
    pub hours: Vec<HourLine>,
    /// Chains of digests.
    pub chains: Vec<ChainLine>,
    /// Every digest of that time.
    pub digests: Vec<DigestLine>,
    /// What no digest covers.
    pub gaps: Vec<GapLine>,
    /// What is wrong with digests.
    pub problems: Vec<ProblemLine>,
    /// Log files with which something is wrong.
    pub files: Vec<FileLine>,
    /// The last sweeps.
    pub sweeps: Vec<SweepLine>,
    /// The keys that digests were verified with.
    pub keys: Vec<KeptKey>,
}

/// An hour of an account and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HourLine {
    /// The source.
    pub source: String,
    /// 2: held against signed digests; 1: held against listings and notifications alone.
    pub level: i64,
    /// The account; empty where keys do not say.
    pub account: String,
    /// The region; empty where keys do not say.
    pub region: String,
    /// When it begins, µs UTC.
    pub hour: i64,
    /// Files that digests list; at level 1 that were announced or listed.
    pub expected: i64,
    /// Files that were read.
    pub stored: i64,
    /// Files that were read with the content that was signed.
    pub verified: i64,
    /// Files that should have been read and were not.
    pub missing: i64,
    /// Files that are not what was signed, or that nobody signed.
    pub extra: i64,
    /// Files of which nothing is wrong so far.
    pub pending: i64,
    /// Records in them.
    pub records: i64,
}

/// A chain of digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainLine {
    /// Its name.
    pub chain: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// When its first digest begins.
    pub from: i64,
    /// Until when all that was delivered was read as it was signed, without a gap.
    pub verified_through: Option<i64>,
    /// When its last digest ends.
    pub attested_through: i64,
    /// Its digests.
    pub digests: i64,
}

/// A digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestLine {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// When its hour begins.
    pub start: i64,
    /// When its hour ends.
    pub end: i64,
    /// How many log files it lists.
    pub logs: i64,
    /// SHA-256 of its inflated bytes.
    pub sha256: String,
    /// Whether it is signed and its links hold.
    pub is_valid: bool,
}

/// A time that no digest covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GapLine {
    /// The chain.
    pub chain: String,
    /// `restart`, `missing`, `hole`, ...
    pub kind: String,
    /// When the last digest before it ends.
    pub from: Option<i64>,
    /// When the next begins.
    pub to: i64,
    /// The digest before it.
    pub after: Option<String>,
    /// The digest after it.
    pub before: Option<String>,
    /// Whether backfill digests cover it.
    pub is_backfilled: bool,
}

/// What is wrong with a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProblemLine {
    /// Where it lies.
    pub place: String,
    /// A short name.
    pub code: String,
    /// In words.
    pub text: String,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// A log file with which something is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileLine {
    /// Where it lies.
    pub place: String,
    /// A [`crate::ledger::FileVerdict`].
    pub verdict: String,
    /// What was signed.
    pub expected: Option<String>,
    /// What was read.
    pub found: Option<String>,
    /// The digest that lists it.
    pub digest: Option<String>,
}

/// The last sweep of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepLine {
    /// The source.
    pub source: String,
    /// When it began, µs UTC.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// Requests that it took.
    pub requests: i64,
    /// Objects that it saw.
    pub objects: i64,
    /// Why it is not whole.
    pub problem: Option<String>,
}

/// The ledger in a few numbers, for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerTotals {
    /// Files by source and verdict.
    pub files: Vec<(String, String, i64)>,
    /// Chains of digests.
    pub chains: i64,
    /// The oldest end of a newest digest, over all chains: µs UTC.
    pub attested_through: Option<i64>,
    /// Gaps that no backfill covers.
    pub gaps: i64,
    /// Digests that prove nothing.
    pub problems: i64,
}

/// The hour of a file whose name does not say it is that in which it was first seen.
const HOUR_OF: &str = "CASE WHEN hour > 0 THEN hour ELSE coalesce(listed_at, announced_at, ingested_at) / 3600000000 * 3600000000 END";

impl Store {
    /// What the ledger says of what was delivered from `from` until before `to` (µs UTC).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger_report(&self, from: i64, to: i64) -> Result<LedgerReport, StoreError> {
        let (chains, digests) = self.chain_lines(from, to).await?;
        Ok(LedgerReport {
            hours: self.hour_lines(from, to).await?,
            chains,
            digests,
            gaps: self.gap_lines(from, to).await?,
            problems: self.problem_lines(from, to).await?,
            files: self.file_lines(from, to).await?,
            sweeps: self.sweep_lines().await?,
            keys: self.public_keys().await?,
        })
    }

    async fn hour_lines(&self, from: i64, to: i64) -> Result<Vec<HourLine>, StoreError> {
        let statement = format!(
            "SELECT source, level, account, region, at, sum(expected) AS expected, sum(stored) AS stored,
                    sum(verified) AS verified, sum(missing) AS missing, sum(extra) AS extra, sum(pending) AS pending,
                    sum(records) AS records
             FROM (SELECT source, level, account, region, {HOUR_OF} AS at,
                          CASE WHEN level = 2 THEN count(expected)
                               ELSE count(coalesce(listed_at, announced_at)) END AS expected,
                          count(ingested_at) AS stored,
                          sum(CASE verdict WHEN 'verified' THEN 1 ELSE 0 END) AS verified,
                          sum(CASE WHEN verdict IN ('missing', 'deleted_before_ingest') THEN 1 ELSE 0 END) AS missing,
                          sum(CASE WHEN verdict IN ('mismatch', 'unattested') THEN 1 ELSE 0 END) AS extra,
                          sum(CASE verdict WHEN 'pending' THEN 1 ELSE 0 END) AS pending, sum(records) AS records
                   FROM ledger_files WHERE level > 0 GROUP BY source, level, account, region, {HOUR_OF}
                   UNION ALL
                   SELECT source, level, account, region, hour, expected, stored, verified, 0, 0, pending, records
                   FROM ledger_hours)
             WHERE at >= $1 AND at < $2
             GROUP BY source, level, account, region, at ORDER BY account, region, level, source, at"
        );
        let rows =
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(from).bind(to).fetch_all(&self.reader).await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            lines.push(HourLine {
                source: row.try_get("source")?,
                level: row.try_get("level")?,
                account: row.try_get("account")?,
                region: row.try_get("region")?,
                hour: row.try_get("at")?,
                expected: row.try_get("expected")?,
                stored: row.try_get("stored")?,
                verified: row.try_get("verified")?,
                missing: row.try_get("missing")?,
                extra: row.try_get("extra")?,
                pending: row.try_get("pending")?,
                records: row.try_get("records")?,
            });
        }
        Ok(lines)
    }

    async fn chain_lines(&self, from: i64, to: i64) -> Result<(Vec<ChainLine>, Vec<DigestLine>), StoreError> {
        let rows = sqlx::query(
            "SELECT d.bucket, d.key, d.chain, d.account, d.region, d.start_at, d.end_at, d.logs, d.content, d.linked,
                    (SELECT count(*) FROM ledger_listed l JOIN ledger_files f ON f.bucket = l.bucket AND f.key = l.key
                     WHERE l.digest = d.id AND f.verdict <> 'verified') AS unverified
             FROM ledger_digests d WHERE d.state <> 'new' AND d.trail <> '' AND d.end_at > $1 AND d.start_at < $2
             ORDER BY d.chain, d.end_at, d.key, d.state DESC",
        )
        // An hour more on either side: at its edge a file may be listed by the digest before or after.
        .bind(from - HOUR)
        .bind(to + HOUR)
        .fetch_all(&self.reader)
        .await?;
        let mut chains: BTreeMap<String, (ChainLine, bool)> = BTreeMap::new();
        let mut digests = Vec::with_capacity(rows.len());
        for row in &rows {
            let line = DigestLine {
                bucket: row.try_get("bucket")?,
                key: row.try_get("key")?,
                start: row.try_get("start_at")?,
                end: row.try_get("end_at")?,
                logs: row.try_get("logs")?,
                sha256: row.try_get::<Option<String>, _>("content")?.unwrap_or_default(),
                is_valid: row.try_get::<i64, _>("linked")? == 1,
            };
            let name: String = row.try_get("chain")?;
            let (chain, is_whole) = chains.entry(name.clone()).or_insert((
                ChainLine {
                    chain: name,
                    account: row.try_get("account")?,
                    region: row.try_get("region")?,
                    from: line.start,
                    ..ChainLine::default()
                },
                true,
            ));
            // All of its hour, and no time before it, is accounted for.
            let follows = chain.verified_through.is_none_or(|through| line.start <= through);
            let is_first = chain.verified_through.is_none() && chain.digests == 0;
            let is_good = line.is_valid && row.try_get::<i64, _>("unverified")? == 0;
            *is_whole = *is_whole && is_good && (is_first || follows);
            if *is_whole {
                chain.verified_through = Some(line.end);
            }
            if line.is_valid {
                chain.attested_through = chain.attested_through.max(line.end);
                chain.digests += 1;
            }
            digests.push(line);
        }
        Ok((chains.into_values().map(|(chain, _)| chain).collect(), digests))
    }

    async fn gap_lines(&self, from: i64, to: i64) -> Result<Vec<GapLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM ledger_gaps WHERE to_at >= $1 AND coalesce(from_at, to_at) < $2
             ORDER BY chain, to_at LIMIT $3",
        )
        .bind(from)
        .bind(to)
        .bind(LINES_MAX)
        .fetch_all(&self.reader)
        .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            lines.push(GapLine {
                chain: row.try_get("chain")?,
                kind: row.try_get("kind")?,
                from: row.try_get("from_at")?,
                to: row.try_get("to_at")?,
                after: row.try_get("after")?,
                before: row.try_get("before")?,
                is_backfilled: row.try_get::<i64, _>("backfilled")? != 0,
            });
        }
        Ok(lines)
    }

    async fn problem_lines(&self, from: i64, to: i64) -> Result<Vec<ProblemLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT place, code, text, detail FROM ledger_problems
             WHERE end_at = 0 OR (end_at > $1 AND end_at - 3600000000 < $2) ORDER BY place, code LIMIT $3",
        )
        .bind(from)
        .bind(to)
        .bind(LINES_MAX)
        .fetch_all(&self.reader)
        .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            lines.push(ProblemLine {
                place: row.try_get("place")?,
                code: row.try_get("code")?,
                text: row.try_get("text")?,
                detail: row.try_get("detail")?,
            });
        }
        Ok(lines)
    }

    async fn file_lines(&self, from: i64, to: i64) -> Result<Vec<FileLine>, StoreError> {
        let statement = format!(
            "SELECT bucket, key, verdict, expected, coalesce(content, damage) AS found, digest FROM ledger_files
             WHERE verdict NOT IN ('verified', 'pending') AND level > 0 AND {HOUR_OF} >= $1 AND {HOUR_OF} < $2
             ORDER BY bucket, key LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(from)
            .bind(to)
            .bind(LINES_MAX)
            .fetch_all(&self.reader)
            .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            let (bucket, key): (String, String) = (row.try_get("bucket")?, row.try_get("key")?);
            lines.push(FileLine {
                place: format!("s3://{bucket}/{key}"),
                verdict: row.try_get("verdict")?,
                expected: row.try_get("expected")?,
                found: row.try_get("found")?,
                digest: row.try_get::<Option<String>, _>("digest")?.map(|digest| format!("s3://{digest}")),
            });
        }
        Ok(lines)
    }

    async fn sweep_lines(&self) -> Result<Vec<SweepLine>, StoreError> {
        let rows = sqlx::query("SELECT * FROM ledger_sweeps ORDER BY source").fetch_all(&self.reader).await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            lines.push(SweepLine {
                source: row.try_get("source")?,
                started_at: row.try_get("started_at")?,
                ended_at: row.try_get("ended_at")?,
                requests: row.try_get("requests")?,
                objects: row.try_get("objects")?,
                problem: row.try_get("problem")?,
            });
        }
        Ok(lines)
    }

    /// The ledger in a few numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger_totals(&self) -> Result<LedgerTotals, StoreError> {
        let files = sqlx::query_as(
            "SELECT source, verdict, count(*) FROM ledger_files WHERE level > 0 GROUP BY source, verdict",
        )
        .fetch_all(&self.reader)
        .await?;
        let row = sqlx::query(
            "SELECT count(*) AS chains, min(newest) AS through FROM
                (SELECT max(end_at) AS newest FROM ledger_digests
                 WHERE linked = 1 AND backfill = 0 AND body IS NOT NULL GROUP BY trail)",
        )
        .fetch_one(&self.reader)
        .await?;
        let gaps = sqlx::query_scalar("SELECT count(*) FROM ledger_gaps WHERE backfilled = 0");
        let problems = sqlx::query_scalar("SELECT count(*) FROM ledger_problems");
        Ok(LedgerTotals {
            files,
            chains: row.try_get("chains")?,
            attested_through: row.try_get("through")?,
            gaps: gaps.fetch_one(&self.reader).await?,
            problems: problems.fetch_one(&self.reader).await?,
        })
    }
}
