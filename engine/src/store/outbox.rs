//! The outbox: what is to be told, to whom, and what became of it. Survives a kill at any point.

use super::findings::{finding_of, incident_of};
use super::notes::Note;
use super::silences::Silence;
use super::{Store, StoreError};
use crate::finding::{Finding, Severity};
use crate::incident::{Alert, AlertKind, Incident};
use crate::time::HOUR;
use ingest::planted::{Bug, bug};
use sqlx::{Row, Sqlite, Transaction};
use std::collections::BTreeMap;

/// No message waits for longer (µs): what a receiver may ask for is an hour.
const WAIT_MAX: i64 = 2 * HOUR;

/// Which incidents a receiver wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRule {
    /// The receiver's name.
    pub receiver: String,
    /// The least severity that it is told.
    pub min_severity: Severity,
}

/// What one fan-out did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FannedOut {
    /// Outbox rows turned into deliveries; there may be more where it is not 0.
    pub rows: u64,
    /// Deliveries that wait to be sent.
    pub waiting: u64,
    /// Deliveries that a silence ended, by receiver.
    pub silenced: BTreeMap<String, u64>,
}

/// One message to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    /// The incident's id.
    pub incident: String,
    /// The revision told.
    pub revision: i64,
    /// The receiver's name.
    pub receiver: String,
}

/// How much waits for a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverDepth {
    /// The receiver's name.
    pub receiver: String,
    /// Messages not ended yet.
    pub waiting: i64,
    /// Messages given up.
    pub dead: i64,
}

impl Store {
    /// Turns new outbox rows, at most 500, into a delivery per receiver, silenced and lower ones ended at once.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn fan_out(&self, rules: &[AlertRule], now: i64) -> Result<FannedOut, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "SELECT incident, revision, kind FROM outbox WHERE fanned_out = 0 ORDER BY created_at, revision LIMIT 500",
        )
        .fetch_all(&mut *tx)
        .await?;
        let silences = super::silences::active(&mut tx, now).await?;
        let mut fanned = FannedOut { rows: rows.len() as u64, ..FannedOut::default() };
        for row in rows {
            let id: String = row.try_get("incident")?;
            let revision: i64 = row.try_get("revision")?;
            let kind = AlertKind::parse(&row.try_get::<String, _>("kind")?);
            let (incident, findings) = story(&mut tx, &id).await?;
            let is_silenced = silences.iter().any(|s: &Silence| s.covers(&findings));
            for rule in rules {
                let was_told = was_told(&mut tx, &id, &rule.receiver).await?;
                let state = match kind {
                    // Whoever heard the beginning hears the end, silenced or not; nobody else does.
                    AlertKind::Resolve if was_told => "pending",
                    AlertKind::Resolve if is_silenced => "silenced",
                    AlertKind::Resolve => "below",
                    _ if is_silenced => "silenced",
                    _ if incident.severity < rule.min_severity && !was_told => "below",
                    _ => "pending",
                };
                match state {
                    "pending" => fanned.waiting += 1,
                    "silenced" => *fanned.silenced.entry(rule.receiver.clone()).or_default() += 1,
                    _ => {}
                }
                sqlx::query(
                    "INSERT INTO deliveries (incident, revision, receiver, kind, state, next_attempt, ended_at)
                     VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $5 = 'pending' THEN NULL ELSE $6 END)
                     ON CONFLICT (incident, revision, receiver) DO NOTHING",
                )
                .bind(&id)
                .bind(revision)
                .bind(&rule.receiver)
                .bind(kind.as_str())
                .bind(state)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            }
            sqlx::query("UPDATE outbox SET fanned_out = 1 WHERE incident = $1 AND revision = $2")
                .bind(&id)
                .bind(revision)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(fanned)
    }

    /// The next messages due for a receiver, oldest first: of one incident only its lowest waiting revision. One that would
    /// wait for longer than anybody asks for is due too: the clock was wrong when that was written.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn due(&self, receiver: &str, now: i64, limit: i64) -> Result<Vec<Alert>, StoreError> {
        let mut tx = self.reader.begin().await?;
        let rows = sqlx::query(
            "SELECT incident, revision, kind, state, attempts FROM deliveries AS d
             WHERE receiver = $1 AND state IN ('pending', 'sending') AND (next_attempt <= $2 OR next_attempt > $4)
               AND NOT EXISTS (SELECT 1 FROM deliveries AS e
                               WHERE e.incident = d.incident AND e.receiver = d.receiver
                                 AND e.revision < d.revision AND e.state IN ('pending', 'sending'))
             ORDER BY next_attempt, (SELECT created_at FROM incidents WHERE id = d.incident), incident LIMIT $3",
        )
        .bind(receiver)
        .bind(now)
        .bind(limit)
        .bind(now.saturating_add(WAIT_MAX))
        .fetch_all(&mut *tx)
        .await?;
        let mut alerts = Vec::with_capacity(rows.len());
        for row in rows {
            let id: String = row.try_get("incident")?;
            let (incident, mut findings) = story(&mut tx, &id).await?;
            super::sessions::attribute(&mut tx, &mut findings).await?;
            alerts.push(Alert {
                incident,
                findings,
                revision: row.try_get("revision")?,
                kind: AlertKind::parse(&row.try_get::<String, _>("kind")?),
                attempts: row.try_get("attempts")?,
                is_resend: row.try_get::<String, _>("state")? == "sending",
            });
        }
        Ok(alerts)
    }

    /// Messages of a receiver that are due now, those that wait behind an earlier revision included.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn due_count(&self, receiver: &str, now: i64) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT count(*) FROM deliveries
             WHERE receiver = $1 AND state IN ('pending', 'sending') AND (next_attempt <= $2 OR next_attempt > $3)",
        )
        .bind(receiver)
        .bind(now)
        .bind(now.saturating_add(WAIT_MAX))
        .fetch_one(&self.reader)
        .await?)
    }

    /// Makes whatever waits for a receiver due at once: it answers again.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn hasten(&self, receiver: &str, now: i64) -> Result<u64, StoreError> {
        let hastened = sqlx::query(
            "UPDATE deliveries SET next_attempt = $2
             WHERE receiver = $1 AND state IN ('pending', 'sending') AND next_attempt > $2",
        )
        .bind(receiver)
        .bind(now)
        .execute(&self.writer)
        .await?;
        Ok(hastened.rows_affected())
    }

    /// Notes that a send begins. A message found in this state later may have arrived: it is a resend.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn sending(&self, key: &DeliveryKey) -> Result<(), StoreError> {
        if bug(Bug::DeliveredBeforeSend) {
            return self.delivered(key, 0).await;
        }
        self.note_delivery(key, Note::Sending).await
    }

    /// Notes that the receiver has it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn delivered(&self, key: &DeliveryKey, now: i64) -> Result<(), StoreError> {
        self.note_delivery(key, Note::Ended { state: "delivered", error: None, now }).await
    }

    /// Gives a message up: the receiver refused it for good.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn dead(&self, key: &DeliveryKey, error: &str, now: i64) -> Result<(), StoreError> {
        self.note_delivery(key, Note::Ended { state: "dead", error: Some(error.to_owned()), now }).await
    }

    /// Notes that a summary told it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn summarized(&self, key: &DeliveryKey, now: i64) -> Result<(), StoreError> {
        self.note_delivery(key, Note::Ended { state: "summarized", error: None, now }).await
    }

    /// Puts a message back until `at`. `ambiguous`: the answer was lost, so it may have arrived.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn retry(
        &self,
        key: &DeliveryKey,
        at: i64,
        error: &str,
        ambiguous: bool,
    ) -> Result<(), StoreError> {
        let error = error.to_owned();
        self.note_delivery(key, Note::Retry { at, error, ambiguous }).await
    }

    /// Forgets what was told and ended before `before` (µs); what still waits is never forgotten.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn forget_deliveries(&self, before: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let gone =
            sqlx::query("DELETE FROM deliveries WHERE ended_at < $1").bind(before).execute(&mut *tx).await?;
        sqlx::query(
            "DELETE FROM outbox WHERE fanned_out = 1 AND created_at < $1 AND NOT EXISTS (
                SELECT 1 FROM deliveries AS d WHERE d.incident = outbox.incident AND d.revision = outbox.revision)",
        )
        .bind(before)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }

    /// How much waits for each receiver, and how much was given up.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn receiver_depths(&self) -> Result<Vec<ReceiverDepth>, StoreError> {
        let rows = sqlx::query(
            "SELECT receiver, coalesce(sum(CASE WHEN state IN ('pending', 'sending') THEN 1 ELSE 0 END), 0) AS waiting,
                    coalesce(sum(CASE WHEN state = 'dead' THEN 1 ELSE 0 END), 0) AS dead
             FROM deliveries GROUP BY receiver ORDER BY receiver",
        )
        .fetch_all(&self.reader)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ReceiverDepth {
                    receiver: row.try_get("receiver")?,
                    waiting: row.try_get("waiting")?,
                    dead: row.try_get("dead")?,
                })
            })
            .collect()
    }

    /// Incidents of which at least one message was silenced and that are still open.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn silenced_incidents(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT count(DISTINCT d.incident) FROM deliveries AS d JOIN incidents AS i ON i.id = d.incident
             WHERE d.state = 'silenced' AND i.state = 'open'",
        )
        .fetch_one(&self.reader)
        .await?)
    }
}

async fn story(
    tx: &mut Transaction<'static, Sqlite>,
    incident: &str,
) -> Result<(Incident, Vec<Finding>), StoreError> {
    let row =
        sqlx::query("SELECT * FROM incidents WHERE id = $1").bind(incident).fetch_one(&mut **tx).await?;
    let rows = sqlx::query(
        "SELECT id, state, incident, body FROM findings
         WHERE incident = $1 AND state NOT IN ('superseded', 'learning')
         ORDER BY severity DESC, first_seen, id LIMIT 100",
    )
    .bind(incident)
    .fetch_all(&mut **tx)
    .await?;
    Ok((incident_of(&row)?, rows.iter().map(finding_of).collect::<Result<_, _>>()?))
}

/// A receiver that was told of an incident hears its end too, even when its severity fell.
async fn was_told(
    tx: &mut Transaction<'static, Sqlite>,
    incident: &str,
    receiver: &str,
) -> Result<bool, StoreError> {
    let told: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM deliveries
         WHERE incident = $1 AND receiver = $2 AND state IN ('pending', 'sending', 'delivered', 'summarized')",
    )
    .bind(incident)
    .bind(receiver)
    .fetch_one(&mut **tx)
    .await?;
    Ok(told > 0)
}
