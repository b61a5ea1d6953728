//! Findings and incidents as people read and end them.

use super::{Store, StoreError, pieces};
use crate::finding::{Finding, FindingState, Severity};
use crate::incident::{Incident, IncidentState};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

/// Which findings to list; empty fields do not narrow.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Only these states; empty: all that are told (neither superseded nor learning).
    pub states: Vec<FindingState>,
    /// Only this agent or actor.
    pub who: Option<String>,
    /// Only this detection.
    pub detection: Option<String>,
    /// Only those of this incident.
    pub incident: Option<String>,
    /// Only this severity and above.
    pub min_severity: Option<Severity>,
    /// At most so many, newest first; 0: all.
    pub limit: i64,
}

/// How a person ends or takes a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Acknowledged or closed.
    pub state: FindingState,
    /// `false-positive`, `fixed` or `accepted`, for closed ones.
    pub reason: Option<String>,
    /// Free text.
    pub note: Option<String>,
    /// Who says so.
    pub by: String,
}

/// Live findings and open incidents by severity rank (0 info to 4 critical).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenCounts {
    /// Live findings by rank.
    pub findings: [i64; 5],
    /// Open incidents by rank.
    pub incidents: [i64; 5],
}

pub(super) struct StoredFinding {
    pub finding: Finding,
    pub settled: bool,
    pub is_new: bool,
}

impl Store {
    /// Findings, worst and newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn findings(&self, filter: &FindingFilter) -> Result<Vec<Finding>, StoreError> {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT id, state, incident, body FROM findings WHERE state IN (");
        let mut states = query.separated(", ");
        if filter.states.is_empty() {
            for state in FindingState::ALL.iter().filter(|s| s.is_told()) {
                states.push_bind(state.as_str());
            }
        } else {
            for state in &filter.states {
                states.push_bind(state.as_str());
            }
        }
        query.push(")");
        if let Some(who) = &filter.who {
            query.push(" AND coalesce(agent, actor) = ").push_bind(who.as_str());
        }
        if let Some(detection) = &filter.detection {
            query.push(" AND detection = ").push_bind(detection.as_str());
        }
        if let Some(incident) = &filter.incident {
            query.push(" AND incident = ").push_bind(incident.as_str());
        }
        if let Some(severity) = filter.min_severity {
            query.push(" AND severity >= ").push_bind(severity.rank());
        }
        query.push(" ORDER BY last_seen DESC, severity DESC, id");
        if filter.limit > 0 {
            query.push(" LIMIT ").push_bind(filter.limit);
        }
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(finding_of).collect()
    }

    /// One finding.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn finding(&self, id: &str) -> Result<Finding, StoreError> {
        let row = sqlx::query("SELECT id, state, incident, body FROM findings WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?
            .ok_or_else(|| not_found(id))?;
        finding_of(&row)
    }

    /// Acknowledges or closes a finding. An incident whose findings are all ended resolves, and says so.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn close_finding(&self, id: &str, close: &Close, now: i64) -> Result<Finding, StoreError> {
        let mut tx = self.begin().await?;
        let mut stored = read_findings(&mut tx, &[id]).await?.pop().ok_or_else(|| not_found(id))?;
        let finding = &mut stored.finding;
        finding.state = close.state;
        finding.close_reason.clone_from(&close.reason);
        finding.note.clone_from(&close.note);
        finding.by = Some(close.by.clone());
        write_findings(&mut tx, std::slice::from_ref(&stored), now).await?;
        if let Some(incident) = &stored.finding.incident {
            super::incidents::refresh_incident(&mut tx, incident, None, now).await?;
        }
        tx.commit().await?;
        Ok(stored.finding)
    }

    /// Incidents, newest first, at most `limit`; only open ones if asked.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn incidents(&self, only_open: bool, limit: i64) -> Result<Vec<Incident>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM incidents WHERE state = 'open' OR $1 = 0 ORDER BY last_seen DESC, id LIMIT $2",
        )
        .bind(i64::from(only_open))
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(incident_of).collect()
    }

    /// One incident, if there is one of this id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError> {
        let row = sqlx::query("SELECT * FROM incidents WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(incident_of).transpose()
    }

    /// Live findings and open incidents by severity.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        let mut counts = OpenCounts::default();
        let findings = "SELECT severity, count(*) AS n FROM findings
                        WHERE state IN ('open', 'acknowledged') GROUP BY severity";
        let incidents =
            "SELECT severity, count(*) AS n FROM incidents WHERE state = 'open' GROUP BY severity";
        for (sql, into) in [(findings, &mut counts.findings), (incidents, &mut counts.incidents)] {
            for row in sqlx::query(sql).fetch_all(&self.reader).await? {
                let severity: i64 = row.try_get("severity")?;
                if let Some(slot) = usize::try_from(severity).ok().and_then(|at| into.get_mut(at)) {
                    *slot = row.try_get("n")?;
                }
            }
        }
        Ok(counts)
    }
}

pub(super) fn not_found(id: &str) -> StoreError {
    StoreError::NotFound { what: "finding", id: id.to_owned(), command: "findings" }
}

pub(super) fn finding_of(row: &SqliteRow) -> Result<Finding, StoreError> {
    let id: String = row.try_get("id")?;
    let body: String = row.try_get("body")?;
    let state: String = row.try_get("state")?;
    let damaged = |cause: String| StoreError::Damaged { what: "finding", id: id.clone(), cause };
    let mut finding: Finding = serde_json::from_str(&body).map_err(|e| damaged(e.to_string()))?;
    finding.state = state.parse().map_err(damaged)?;
    finding.incident = row.try_get("incident")?;
    Ok(finding)
}

pub(super) fn incident_of(row: &SqliteRow) -> Result<Incident, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(Incident {
        id: row.try_get("id")?,
        who: row.try_get("who")?,
        agent: row.try_get("agent")?,
        severity: Severity::from_rank(row.try_get("severity")?),
        state: if state == "open" { IncidentState::Open } else { IncidentState::Resolved },
        first_seen: row.try_get("first_seen")?,
        last_seen: row.try_get("last_seen")?,
        revision: row.try_get("revision")?,
        told: row.try_get::<i64, _>("told")? != 0,
        resolved_because: row.try_get("resolved_because")?,
    })
}

pub(super) async fn read_findings(
    tx: &mut Transaction<'static, Sqlite>,
    ids: &[&str],
) -> Result<Vec<StoredFinding>, StoreError> {
    let mut found = Vec::new();
    for piece in pieces(ids) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT id, state, incident, settled, body FROM findings WHERE id IN (",
        );
        let mut list = query.separated(", ");
        for id in piece {
            list.push_bind(*id);
        }
        query.push(")");
        for row in query.build().fetch_all(&mut **tx).await? {
            found.push(StoredFinding {
                finding: finding_of(&row)?,
                settled: row.try_get::<i64, _>("settled")? != 0,
                is_new: false,
            });
        }
    }
    Ok(found)
}

/// The findings of an incident in any state.
pub(super) async fn incident_findings(
    tx: &mut Transaction<'static, Sqlite>,
    incident: &str,
) -> Result<Vec<Finding>, StoreError> {
    let rows = sqlx::query("SELECT id, state, incident, body FROM findings WHERE incident = $1 ORDER BY id")
        .bind(incident)
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(finding_of).collect()
}

pub(super) async fn write_findings(
    tx: &mut Transaction<'static, Sqlite>,
    stored: &[StoredFinding],
    now: i64,
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(stored.len());
    for stored in stored {
        let body = serde_json::to_string(&stored.finding).map_err(|e| StoreError::Damaged {
            what: "finding",
            id: stored.finding.id.clone(),
            cause: e.to_string(),
        })?;
        rows.push((stored, body));
    }
    for piece in pieces(&rows) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO findings (id, detection, family, severity, state, agent, actor, permission, settled,
                                   window_start, first_seen, last_seen, body, incident, created_at, updated_at) ",
        );
        insert.push_values(piece, |mut row, (stored, body)| {
            let finding = &stored.finding;
            row.push_bind(finding.id.as_str())
                .push_bind(finding.detection.as_str())
                .push_bind(finding.family.as_str())
                .push_bind(finding.severity.rank())
                .push_bind(finding.state.as_str())
                .push_bind(finding.agent.as_deref())
                .push_bind(finding.actor.as_str())
                .push_bind(finding.sample.permission.as_deref())
                .push_bind(i64::from(stored.settled))
                .push_bind(finding.window_start)
                .push_bind(finding.first_seen)
                .push_bind(finding.last_seen)
                .push_bind(body.as_str())
                .push_bind(finding.incident.as_deref())
                .push_bind(now)
                .push_bind(now);
        });
        insert.push(
            " ON CONFLICT (id) DO UPDATE SET
                severity = excluded.severity, state = excluded.state, actor = excluded.actor,
                permission = excluded.permission, first_seen = excluded.first_seen,
                last_seen = excluded.last_seen, body = excluded.body, incident = excluded.incident,
                updated_at = excluded.updated_at",
        );
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}
