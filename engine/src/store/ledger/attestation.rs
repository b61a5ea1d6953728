//! How far the log files are proved that a finding rests on

use super::super::{Store, StoreError};
use crate::ledger::{FileVerdict, LEVEL_SIGNED, evidence};
use sqlx::Row;
use std::collections::BTreeMap;

/// Files that are named.
const NAMED_MAX: usize = 5;

/// What the ledger knows of the log files that a finding rests on. Files that it knows nothing of, or has summed up
/// since, are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attestation {
    /// How many files of each verdict; of those that nobody signs, how good the evidence is: `listed`.
    pub files: BTreeMap<String, i64>,
    /// The first of those that may be forged or changed: no digest lists them, or with another content.
    pub doubtful: Vec<String>,
}

impl Attestation {
    /// `{"files": {"verified": 3, "unattested": 1}, "doubtful": ["s3://..."]}`
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "files": self.files, "doubtful": self.doubtful })
    }
}

impl Store {
    /// What is known of the log files that a finding rests on.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn attestation(&self, finding: &str) -> Result<Attestation, StoreError> {
        // The key of a place is all behind its bucket, slashes and all.
        let rows = sqlx::query(
            "WITH places AS (
                 SELECT o.place AS place, substr(o.place, 6) AS rest FROM finding_objects f
                 JOIN objects o ON o.id = f.object
                 WHERE f.finding = $1 AND o.place LIKE 's3://%/%')
             SELECT place, level, verdict FROM places
             JOIN ledger_files l ON l.bucket = substr(rest, 1, instr(rest, '/') - 1)
                                AND l.key = substr(rest, instr(rest, '/') + 1)
             ORDER BY place",
        )
        .bind(finding)
        .fetch_all(&self.reader)
        .await?;
        let doubtful = [FileVerdict::Unattested, FileVerdict::Mismatch].map(FileVerdict::as_str);
        let mut attestation = Attestation::default();
        for row in rows {
            let (level, verdict): (i64, String) = (row.try_get("level")?, row.try_get("verdict")?);
            if doubtful.contains(&verdict.as_str()) && attestation.doubtful.len() < NAMED_MAX {
                attestation.doubtful.push(row.try_get("place")?);
            }
            let is_unsigned = level != LEVEL_SIGNED && verdict == FileVerdict::Pending.as_str();
            let known = if is_unsigned { evidence(level).to_owned() } else { verdict };
            *attestation.files.entry(known).or_default() += 1;
        }
        Ok(attestation)
    }
}
