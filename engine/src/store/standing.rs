//! Findings that stand as long as their reason does

use super::commit::tell;
use super::findings::{StoredFinding, finding_of, read_findings};
use super::{Store, StoreError, StoredCommit, Terms};
use crate::finding::{Finding, FindingState};
use std::collections::HashMap;

impl Store {
    /// Brings the standing findings of a detection (those without an event) in line with `findings`: new ones open,
    /// those whose reason is gone are superseded, and one that came back opens again.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`]; nothing was written then.
    pub async fn stand(
        &self,
        detection: &str,
        findings: &[Finding],
        terms: &Terms<'_>,
    ) -> Result<StoredCommit, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT id, state, incident, body FROM findings
             WHERE detection = $1 AND window_start = 0 AND state IN ('open', 'acknowledged')",
        )
        .bind(detection)
        .fetch_all(&mut *tx)
        .await?;
        let mut changed: HashMap<String, StoredFinding> = HashMap::new();
        for row in &rows {
            let mut finding = finding_of(row)?;
            if !findings.iter().any(|stands| stands.id == finding.id) {
                finding.state = FindingState::Superseded;
                let stored = StoredFinding { finding, settled: false, is_new: false };
                changed.insert(stored.finding.id.clone(), stored);
            }
        }
        let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
        let mut known: HashMap<String, StoredFinding> =
            read_findings(&mut tx, &ids).await?.into_iter().map(|f| (f.finding.id.clone(), f)).collect();
        for finding in findings {
            let stored = match known.remove(&finding.id) {
                None => StoredFinding { finding: finding.clone(), settled: false, is_new: true },
                Some(mut stored) if stored.finding.state == FindingState::Superseded => {
                    stored.finding.state = FindingState::Open;
                    stored.finding.incident = None;
                    stored.finding.last_seen = finding.last_seen;
                    stored
                }
                // The same, of more or less than before.
                Some(mut stored)
                    if stored.finding.state.is_live()
                        && (stored.finding.count, &stored.finding.why) != (finding.count, &finding.why) =>
                {
                    stored.finding.title.clone_from(&finding.title);
                    stored.finding.why.clone_from(&finding.why);
                    stored.finding.count = finding.count;
                    stored.finding.sample = finding.sample.clone();
                    stored.finding.last_seen = stored.finding.last_seen.max(finding.last_seen);
                    stored
                }
                Some(_) => continue,
            };
            changed.insert(finding.id.clone(), stored);
        }
        let stored = tell(&mut tx, terms, changed).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Keeps findings that no event makes, each once: one that is known stays as it is, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`]; nothing was written then.
    pub async fn keep_new(
        &self,
        findings: &[Finding],
        terms: &Terms<'_>,
    ) -> Result<StoredCommit, StoreError> {
        let mut tx = self.begin().await?;
        let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
        let known = read_findings(&mut tx, &ids).await?;
        let is_new = |finding: &&Finding| !known.iter().any(|known| known.finding.id == finding.id);
        let new = findings.iter().filter(is_new).map(|finding| {
            let stored = StoredFinding { finding: finding.clone(), settled: false, is_new: true };
            (finding.id.clone(), stored)
        });
        let new: HashMap<String, StoredFinding> = new.collect();
        if new.is_empty() {
            return Ok(StoredCommit::default());
        }
        let stored = tell(&mut tx, terms, new).await?;
        tx.commit().await?;
        Ok(stored)
    }
}
