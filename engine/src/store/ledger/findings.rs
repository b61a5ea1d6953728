//! What of the ledger deserves a finding

use super::super::{Store, StoreError};
use super::Patience;
use crate::finding::Finding;
use crate::ledger::{
    SilentChain, ToldGap, WrongDigest, WrongFiles, digest_finding, file_finding, gap_finding, silent_finding,
};
use crate::time::HOUR;
use sqlx::Row;
use std::collections::BTreeMap;

/// Files that findings are made of; whoever forges more is told of by these.
const FILES_MAX: i64 = 20_000;
/// How often a file was fetched in vain before it is missing: what waits in a long queue is not.
const TRIES_MIN: i64 = 3;
/// Digests, gaps and chains that findings are made of.
const TOLD_MAX: i64 = 1_000;
/// Names that a finding keeps.
const PLACES_MAX: usize = 8;
/// A digest comes within an hour after its own; so much later, none will come.
const SILENCE: i64 = 2 * HOUR;

impl Store {
    /// The findings that the ledger stands for. Their ids are functions of names and times in the logs and digests alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger_findings(&self, patience: &Patience) -> Result<Vec<Finding>, StoreError> {
        let mut findings = self.file_findings(patience).await?;
        findings.extend(self.digest_findings(patience).await?);
        findings.extend(self.gap_findings(patience).await?);
        findings.extend(self.silent_findings(patience).await?);
        Ok(findings)
    }

    async fn file_findings(&self, patience: &Patience) -> Result<Vec<Finding>, StoreError> {
        let rows = sqlx::query(
            "SELECT account, region, hour, bucket, key, coalesce(attested_at, listed_at, announced_at, ingested_at) AS at,
                    CASE verdict WHEN 'unattested' THEN 'log_unattested'
                         WHEN 'mismatch' THEN coalesce(damage, CASE
                            WHEN conflict = 1 THEN 'log_conflict' WHEN foreign_to IS NOT NULL THEN 'log_foreign'
                            WHEN overwritten = 1 THEN 'log_overwritten' ELSE 'log_hash' END)
                         ELSE verdict END AS code
             FROM ledger_files
             WHERE verdict NOT IN ('verified', 'pending') AND level > 0
               AND (verdict IN ('mismatch', 'unattested')
                    OR (coalesce(attested_at, listed_at, announced_at) <= $1
                        AND (verdict <> 'missing' OR tries >= $3 OR trouble IS NOT NULL)))
             ORDER BY account, region, hour, key LIMIT $2",
        )
        .bind(patience.now - patience.grace)
        .bind(FILES_MAX)
        .bind(TRIES_MIN)
        .fetch_all(&self.reader)
        .await?;
        let mut wrong: BTreeMap<(String, String, i64, String), WrongFiles> = BTreeMap::new();
        for row in &rows {
            let (account, region, hour): (String, String, i64) =
                (row.try_get("account")?, row.try_get("region")?, row.try_get("hour")?);
            let code: String = row.try_get("code")?;
            let place =
                format!("s3://{}/{}", row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?);
            let at: i64 = row.try_get::<Option<i64>, _>("at")?.unwrap_or(patience.now);
            let files =
                wrong.entry((account.clone(), region.clone(), hour, code.clone())).or_insert(WrongFiles {
                    account,
                    region,
                    hour,
                    code,
                    count: 0,
                    places: Vec::new(),
                    first_at: at,
                    last_at: at,
                });
            files.count += 1;
            files.first_at = files.first_at.min(at);
            files.last_at = files.last_at.max(at);
            if files.places.len() < PLACES_MAX {
                files.places.push(place);
            }
        }
        Ok(wrong.values().map(file_finding).collect())
    }

    async fn digest_findings(&self, patience: &Patience) -> Result<Vec<Finding>, StoreError> {
        let rows = sqlx::query(
            "SELECT account, region, place, code, text, detail, first_at FROM ledger_problems
             WHERE code <> 'digest_not_found' OR first_at <= $1 ORDER BY place, code LIMIT $2",
        )
        .bind(patience.now - patience.grace)
        .bind(TOLD_MAX)
        .fetch_all(&self.reader)
        .await?;
        let mut findings = Vec::with_capacity(rows.len());
        for row in &rows {
            findings.push(digest_finding(&WrongDigest {
                account: row.try_get("account")?,
                region: row.try_get("region")?,
                place: row.try_get("place")?,
                code: row.try_get("code")?,
                text: row.try_get("text")?,
                detail: row.try_get("detail")?,
                first_at: row.try_get("first_at")?,
            }));
        }
        Ok(findings)
    }

    async fn gap_findings(&self, patience: &Patience) -> Result<Vec<Finding>, StoreError> {
        let rows = sqlx::query(
            "SELECT account, region, chain, kind, from_at, to_at, first_at FROM ledger_gaps
             WHERE backfilled = 0 AND first_at <= $1 ORDER BY chain, to_at LIMIT $2",
        )
        .bind(patience.now - patience.grace)
        .bind(TOLD_MAX)
        .fetch_all(&self.reader)
        .await?;
        let mut findings = Vec::with_capacity(rows.len());
        for row in &rows {
            findings.push(gap_finding(&ToldGap {
                account: row.try_get("account")?,
                region: row.try_get("region")?,
                chain: row.try_get("chain")?,
                kind: row.try_get("kind")?,
                from: row.try_get("from_at")?,
                to: row.try_get("to_at")?,
                first_at: row.try_get("first_at")?,
            }));
        }
        Ok(findings)
    }

    async fn silent_findings(&self, patience: &Patience) -> Result<Vec<Finding>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.account, d.region, d.chain, d.end_at FROM ledger_digests d
             JOIN (SELECT trail, max(end_at) AS newest FROM ledger_digests
                   WHERE backfill = 0 AND trail <> '' AND state <> 'invalid' GROUP BY trail) last
               ON last.trail = d.trail AND last.newest = d.end_at
             WHERE d.backfill = 0 AND d.state <> 'invalid' AND d.end_at < $1 AND coalesce(d.body, d.raw) IS NOT NULL
             GROUP BY d.trail ORDER BY d.chain LIMIT $2",
        )
        .bind(patience.now - SILENCE - patience.grace)
        .bind(TOLD_MAX)
        .fetch_all(&self.reader)
        .await?;
        let mut findings = Vec::with_capacity(rows.len());
        for row in &rows {
            findings.push(silent_finding(&SilentChain {
                account: row.try_get("account")?,
                region: row.try_get("region")?,
                chain: row.try_get("chain")?,
                since: row.try_get("end_at")?,
                told_at: patience.now,
            }));
        }
        Ok(findings)
    }
}
