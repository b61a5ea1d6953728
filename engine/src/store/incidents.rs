//! Incidents kept in line with their findings, and what is told of them

use super::findings::{StoredFinding, incident_findings};
use super::{Store, StoreError};
use crate::incident::{self, AlertKind};
use sqlx::{Row, Sqlite, Transaction};

impl Store {
    /// Resolves incidents that were quiet for a day. Gives the number of outbox rows written.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn resolve_quiet(&self, now: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let quiet: Vec<String> =
            sqlx::query_scalar("SELECT id FROM incidents WHERE state = 'open' AND last_seen < $1")
                .bind(now - incident::QUIET)
                .fetch_all(&mut *tx)
                .await?;
        let mut alerts = 0;
        for id in &quiet {
            alerts += resolve(&mut tx, id, "nothing joined it for a day", now).await?;
        }
        tx.commit().await?;
        Ok(alerts)
    }
}

/// Puts a finding into the open incident of its agent that lies within the gap, or into a new one.
pub(super) async fn join_incident(
    tx: &mut Transaction<'static, Sqlite>,
    stored: &mut StoredFinding,
    now: i64,
) -> Result<(), StoreError> {
    let finding = &mut stored.finding;
    let known: Option<String> = sqlx::query_scalar(
        "SELECT id FROM incidents
         WHERE who = $1 AND state = 'open' AND first_seen <= $2 AND last_seen >= $3
         ORDER BY first_seen, id LIMIT 1",
    )
    .bind(finding.who())
    .bind(finding.last_seen.saturating_add(incident::GAP))
    .bind(finding.first_seen.saturating_sub(incident::GAP))
    .fetch_optional(&mut **tx)
    .await?;
    let id = match known {
        Some(id) => id,
        None => {
            // One finding starts at most one incident, so its id makes a stable one.
            let id = format!("i-{}", finding.id);
            sqlx::query(
                "INSERT INTO incidents
                    (id, who, agent, severity, state, first_seen, last_seen, revision, told, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, 'open', $5, $6, 0, 0, $7, $7)
                 ON CONFLICT (id) DO UPDATE SET state = 'open', resolved_because = NULL, members = 0",
            )
            .bind(&id)
            .bind(finding.who())
            .bind(finding.agent.as_deref())
            .bind(finding.severity.rank())
            .bind(finding.first_seen)
            .bind(finding.last_seen)
            .bind(now)
            .execute(&mut **tx)
            .await?;
            id
        }
    };
    finding.incident = Some(id);
    Ok(())
}

/// Brings an incident in line with its findings. Gives the outbox rows written (0 or 1).
pub(super) async fn refresh_incident(
    tx: &mut Transaction<'static, Sqlite>,
    id: &str,
    alert_max_age: Option<i64>,
    now: i64,
) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT severity, state, revision, told, members FROM incidents WHERE id = $1")
        .bind(id)
        .fetch_one(&mut **tx)
        .await?;
    let was_severity: i64 = row.try_get("severity")?;
    let was_open = row.try_get::<String, _>("state")? == "open";
    let revision: i64 = row.try_get("revision")?;
    let was_told = row.try_get::<i64, _>("told")? != 0;
    let had_members: i64 = row.try_get("members")?;

    let findings = incident_findings(tx, id).await?;
    let Some(severity) = incident::severity(&findings) else {
        return if was_open {
            resolve(tx, id, "every finding in it is closed or superseded", now).await
        } else {
            Ok(0)
        };
    };
    let live = || findings.iter().filter(|f| f.state.is_live());
    let members = live().count() as i64;
    let first_seen = live().map(|f| f.first_seen).min().unwrap_or(now);
    let last_seen = live().map(|f| f.last_seen).max().unwrap_or(now);
    let worse = severity.rank() > was_severity || members > had_members;
    let is_fresh = alert_max_age.is_some_and(|age| last_seen >= now.saturating_sub(age));
    let tells = is_fresh && was_open && (worse || !was_told);
    sqlx::query(
        "UPDATE incidents SET severity = $1, first_seen = $2, last_seen = $3, members = $4,
                revision = $5, told = $6, updated_at = $7 WHERE id = $8",
    )
    .bind(severity.rank())
    .bind(first_seen)
    .bind(last_seen)
    .bind(members)
    .bind(if tells { revision + 1 } else { revision })
    .bind(i64::from(was_told || tells))
    .bind(now)
    .bind(id)
    .execute(&mut **tx)
    .await?;
    if !tells {
        return Ok(0);
    }
    let kind = if was_told { AlertKind::Update } else { AlertKind::Trigger };
    write_outbox(tx, id, revision + 1, kind, now).await?;
    Ok(1)
}

/// Ends an incident, and tells so where it was told at all.
pub(super) async fn resolve(
    tx: &mut Transaction<'static, Sqlite>,
    id: &str,
    because: &str,
    now: i64,
) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "UPDATE incidents SET state = 'resolved', resolved_because = $1, revision = revision + told, updated_at = $2
         WHERE id = $3 AND state = 'open' RETURNING revision, told",
    )
    .bind(because)
    .bind(now)
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(0) };
    if row.try_get::<i64, _>("told")? == 0 {
        return Ok(0);
    }
    write_outbox(tx, id, row.try_get("revision")?, AlertKind::Resolve, now).await?;
    Ok(1)
}

async fn write_outbox(
    tx: &mut Transaction<'static, Sqlite>,
    incident: &str,
    revision: i64,
    kind: AlertKind,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO outbox (incident, revision, kind, created_at) VALUES ($1, $2, $3, $4)")
        .bind(incident)
        .bind(revision)
        .bind(kind.as_str())
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
