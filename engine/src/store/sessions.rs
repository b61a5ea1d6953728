//! Who gave whom credentials or a task, and chains followed back through it.

use super::{ROWS_MAX, Store, StoreError};
use crate::chain::{Ask, Asked, Chain, Issued, SESSION_MAX};
use crate::finding::Finding;
use crate::time::{DAY, HOUR};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};

/// How long links are kept, by the clock: longer than any session lives, and most logs are late.
pub const LINKS_KEPT: i64 = 4 * DAY;

/// Links that are kept at most; the oldest go first. A row takes some 500 bytes.
const LINKS_MAX: i64 = 2_000_000;

/// Old links wait for so many others before they are forgotten together.
const ROUND_EVERY: i64 = 6 * HOUR;

/// Findings whose chains are written down in one transaction.
const CHAINS_AT_ONCE: i64 = 500;

/// Keeps what events gave. Any order, and any repetition, leaves the same.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Sqlite>,
    issued: &[Issued],
    now: i64,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for one in issued {
        let body = serde_json::to_string(&one.by).map_err(|cause| StoreError::Damaged {
            what: "link",
            id: one.by.step.event.clone(),
            cause: cause.to_string(),
        })?;
        rows.extend(one.targets().map(|target| (one, target, body.clone())));
    }
    for chunk in rows.chunks(ROWS_MAX) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO issued (kind, target, holder, half, time, event_id, body, seen_at) ",
        );
        insert.push_values(chunk, |mut row, (one, (kind, target), body)| {
            let (half, time, event_id) = one.order();
            row.push_bind(*kind)
                .push_bind(*target)
                .push_bind(one.holder.as_str())
                .push_bind(i64::from(half))
                .push_bind(time)
                .push_bind(event_id)
                .push_bind(body.as_str())
                .push_bind(now);
        });
        insert.push(
            " ON CONFLICT (target, kind, holder) DO UPDATE SET
                half = excluded.half, time = excluded.time, event_id = excluded.event_id, body = excluded.body
              WHERE (excluded.half, excluded.time, excluded.event_id) < (issued.half, issued.time, issued.event_id)",
        );
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Gives each finding the chain that leads to its earliest event.
pub(super) async fn attribute(db: &mut SqliteConnection, findings: &mut [Finding]) -> Result<(), StoreError> {
    for finding in findings {
        finding.sample.caller.chain = chain(db, finding).await?;
    }
    Ok(())
}

async fn chain(db: &mut SqliteConnection, finding: &Finding) -> Result<Chain, StoreError> {
    let (Some(mut walk), Some(earliest)) = (finding.walk(), finding.events.first()) else {
        return Ok(Chain::default());
    };
    while let Some(ask) = walk.ask() {
        let found = look(db, &ask).await?;
        walk.answer(found);
    }
    let followed = walk.chain();
    let written: Option<String> =
        sqlx::query_scalar("SELECT body FROM chains WHERE finding = $1 AND event_id = $2")
            .bind(&finding.id)
            .bind(&earliest.event_id)
            .fetch_optional(&mut *db)
            .await?;
    let Some(written) = written else { return Ok(followed) };
    let written: Chain = serde_json::from_str(&written).map_err(|cause| StoreError::Damaged {
        what: "chain",
        id: finding.id.clone(),
        cause: cause.to_string(),
    })?;
    // Links that arrive late may tell more than was written down.
    Ok(if followed.steps.len() > written.steps.len() { followed } else { written })
}

async fn look(db: &mut SqliteConnection, ask: &Ask<'_>) -> Result<Option<Asked>, StoreError> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM issued WHERE target = $1 AND kind = $2 AND holder = $3")
            .bind(ask.target)
            .bind(ask.kind)
            .bind(ask.holder)
            .fetch_optional(db)
            .await?;
    let asked = body.map(|body| serde_json::from_str(&body)).transpose();
    asked.map_err(|cause| StoreError::Damaged {
        what: "link",
        id: ask.target.to_owned(),
        cause: cause.to_string(),
    })
}

impl Store {
    /// Gives findings the chains that lead to their earliest events: who gave whom the credentials.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn attribute(&self, findings: &mut [Finding]) -> Result<(), StoreError> {
        let mut reader = self.reader.acquire().await?;
        attribute(&mut reader, findings).await
    }

    /// Forgets links that were kept before `before` (µs, by the clock), and the oldest beyond a number. What they tell of
    /// findings is written down first. Does so in rounds: most calls find nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn forget_links(&self, before: i64) -> Result<u64, StoreError> {
        let oldest: Option<i64> =
            sqlx::query_scalar("SELECT min(seen_at) FROM issued").fetch_one(&self.reader).await?;
        let beyond: Option<i64> =
            sqlx::query_scalar("SELECT seen_at FROM issued ORDER BY seen_at DESC LIMIT 1 OFFSET $1")
                .bind(LINKS_MAX)
                .fetch_optional(&self.reader)
                .await?;
        let is_due = oldest.is_some_and(|oldest| oldest < before.saturating_sub(ROUND_EVERY));
        if !is_due && beyond.is_none() {
            return Ok(0);
        }
        let before = before.max(beyond.unwrap_or(i64::MIN));
        let mut tx = self.begin().await?;
        // A finding may rest on links from before it; those that came after it lead to nothing of its own.
        let rows = sqlx::query(
            "SELECT id, state, incident, body FROM findings
             WHERE created_at < $1 AND NOT EXISTS (SELECT 1 FROM chains WHERE finding = findings.id)
             ORDER BY created_at LIMIT $2",
        )
        .bind(before.saturating_add(SESSION_MAX + SESSION_MAX))
        .bind(CHAINS_AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let finding = super::findings::finding_of(row)?;
            let chain = chain(&mut tx, &finding).await?;
            write_down(&mut tx, &finding, &chain).await?;
        }
        let mut gone = 0;
        // Else the next call goes on: nothing is forgotten that a finding still needs.
        if (rows.len() as i64) < CHAINS_AT_ONCE {
            let forgotten = sqlx::query("DELETE FROM issued WHERE seen_at <= $1").bind(before);
            gone = forgotten.execute(&mut *tx).await?.rows_affected();
        }
        tx.commit().await?;
        Ok(gone)
    }
}

async fn write_down(
    tx: &mut Transaction<'static, Sqlite>,
    finding: &Finding,
    chain: &Chain,
) -> Result<(), StoreError> {
    let event = finding.events.first().map(|event| event.event_id.as_str()).unwrap_or_default();
    let body = serde_json::to_string(chain).map_err(|cause| StoreError::Damaged {
        what: "chain",
        id: finding.id.clone(),
        cause: cause.to_string(),
    })?;
    sqlx::query(
        "INSERT INTO chains (finding, event_id, body) VALUES ($1, $2, $3)
         ON CONFLICT (finding) DO UPDATE SET event_id = excluded.event_id, body = excluded.body",
    )
    .bind(&finding.id)
    .bind(event)
    .bind(body)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
