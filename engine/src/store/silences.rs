//! Silences: who wants not to be told of what, why, and until when.

use super::{Store, StoreError};
use crate::finding::Finding;
use policy::wildcard::{ActionPattern, Match};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use std::str::FromStr;

/// Labels that a matcher may name.
const LABELS: [&str; 5] = ["agent", "actor", "detection", "permission", "severity"];

/// `label=value`; the value may hold `*` and `?`, and its case does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// `agent`, `actor`, `detection`, `permission` or `severity`.
    pub label: String,
    /// The wanted value.
    pub value: String,
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((label, value)) = text.split_once('=') else {
            return Err(format!("`{text}` is no matcher; write label=value, for instance agent=support-bot"));
        };
        if !LABELS.contains(&label) {
            return Err(format!("unknown label `{label}` in `{text}`. Known: {}", LABELS.join(", ")));
        }
        if value.is_empty() {
            return Err(format!("the matcher `{text}` has no value"));
        }
        Ok(Matcher { label: label.to_owned(), value: value.to_owned() })
    }
}

impl Matcher {
    fn matches(&self, finding: &Finding) -> bool {
        let value = match self.label.as_str() {
            "agent" => finding.agent.as_deref(),
            "actor" => Some(finding.actor.as_str()),
            "detection" => Some(finding.detection.as_str()),
            "permission" => finding.sample.permission.as_deref(),
            _ => Some(finding.severity.as_str()),
        };
        value.is_some_and(|value| ActionPattern::new(&self.value).matches(value) == Match::Yes)
    }
}

/// A silence: every matcher must match every live finding of an incident for it to be covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// Who silenced it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// From when, µs UTC.
    pub starts_at: i64,
    /// Until when, µs UTC.
    pub ends_at: i64,
}

impl Silence {
    /// Whether nothing of an incident is left to tell: one finding outside the silence, and it is told.
    #[must_use]
    pub fn covers(&self, findings: &[Finding]) -> bool {
        let mut live = findings.iter().filter(|f| f.state.is_live()).peekable();
        let has_live = live.peek().is_some();
        let of = |f: &Finding| self.matchers.iter().all(|m| m.matches(f));
        if has_live { live.all(of) } else { findings.iter().all(of) }
    }
}

impl Store {
    /// Adds a silence and gives it with its id.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn add_silence(
        &self,
        matchers: &[Matcher],
        author: &str,
        reason: &str,
        starts_at: i64,
        ends_at: i64,
        now: i64,
    ) -> Result<Silence, StoreError> {
        let body = serde_json::to_string(matchers).map_err(|e| StoreError::Damaged {
            what: "silence",
            id: String::new(),
            cause: e.to_string(),
        })?;
        let times = [starts_at, ends_at, now].map(|time| time.to_string()).join(" ");
        let id = ingest::fingerprint(&[&body, author, reason, &times], 8);
        sqlx::query(
            "INSERT INTO silences (id, matchers, author, reason, starts_at, ends_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(&body)
        .bind(author)
        .bind(reason)
        .bind(starts_at)
        .bind(ends_at)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(Silence {
            id,
            matchers: matchers.to_vec(),
            author: author.to_owned(),
            reason: reason.to_owned(),
            starts_at,
            ends_at,
        })
    }

    /// All silences, the latest end first; expired ones are kept for the report.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn silences(&self) -> Result<Vec<Silence>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM silences ORDER BY ends_at DESC, id").fetch_all(&self.reader).await?;
        rows.iter().map(silence_of).collect()
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Sql`].
    pub async fn expire_silence(&self, id: &str, now: i64) -> Result<(), StoreError> {
        let ended = sqlx::query(
            "UPDATE silences SET ends_at = CASE WHEN ends_at < $1 THEN ends_at ELSE $1 END WHERE id = $2",
        )
        .bind(now)
        .bind(id)
        .execute(&self.writer)
        .await?;
        if ended.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "silence", id: id.to_owned(), command: "silence" });
        }
        Ok(())
    }
}

pub(super) async fn active(
    tx: &mut Transaction<'static, Sqlite>,
    now: i64,
) -> Result<Vec<Silence>, StoreError> {
    let rows = sqlx::query("SELECT * FROM silences WHERE starts_at <= $1 AND ends_at > $1")
        .bind(now)
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(silence_of).collect()
}

fn silence_of(row: &SqliteRow) -> Result<Silence, StoreError> {
    let id: String = row.try_get("id")?;
    let matchers: String = row.try_get("matchers")?;
    let matchers = serde_json::from_str(&matchers).map_err(|e| StoreError::Damaged {
        what: "silence",
        id: id.clone(),
        cause: e.to_string(),
    })?;
    Ok(Silence {
        id,
        matchers,
        author: row.try_get("author")?,
        reason: row.try_get("reason")?,
        starts_at: row.try_get("starts_at")?,
        ends_at: row.try_get("ends_at")?,
    })
}
