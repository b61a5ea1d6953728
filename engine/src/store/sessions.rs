//! Who gave whom credentials or a task, and chains followed back through it.

use super::findings::finding_of;
use super::{ROWS_MAX, Store, StoreError};
use crate::chain::{Ask, Asked, Chain, Issued, SESSION_MAX, Walk};
use crate::finding::Finding;
use crate::time::{DAY, HOUR};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    // One statement may touch a row once only.
    let mut least: BTreeMap<_, &Issued> = BTreeMap::new();
    for one in issued {
        for target in one.targets() {
            let known = least.entry((target, one.holder.as_str())).or_insert(one);
            if one.order() < known.order() {
                *known = one;
            }
        }
    }
    let mut rows = Vec::with_capacity(least.len());
    for ((target, _), one) in least {
        let body = serde_json::to_string(&one.by);
        rows.push((one, target, body.map_err(|cause| damaged("link", &one.by.step.event, &cause))?));
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

/// Gives each finding the chain that leads to its earliest event. All are followed back together, a step at a time.
pub(super) async fn attribute(db: &mut SqliteConnection, findings: &mut [Finding]) -> Result<(), StoreError> {
    let mut walks: Vec<(usize, Walk)> =
        findings.iter().enumerate().filter_map(|(at, finding)| Some((at, finding.walk()?))).collect();
    loop {
        let asks: Vec<Ask<'_>> = walks.iter().filter_map(|(_, walk)| walk.ask()).collect();
        if asks.is_empty() {
            break;
        }
        let links = look(db, &asks).await?;
        for (_, walk) in &mut walks {
            let Some(ask) = walk.ask() else { continue };
            let key = (ask.target.to_owned(), ask.kind.to_owned(), ask.holder.to_owned());
            walk.answer(links.get(&key).cloned());
        }
    }
    let mut chains: HashMap<usize, Chain> = walks.into_iter().map(|(at, walk)| (at, walk.chain())).collect();
    let written = written(db, findings).await?;
    for (at, finding) in findings.iter_mut().enumerate() {
        let followed = chains.remove(&at).unwrap_or_default();
        let earliest = finding.events.first().map(|event| event.event_id.as_str()).unwrap_or_default();
        let written = written.get(&finding.id).filter(|(event, _)| event == earliest).map(|(_, chain)| chain);
        // Links that arrive late may tell more than was written down.
        finding.sample.caller.chain = match written {
            Some(written) if written.steps.len() >= followed.steps.len() => written.clone(),
            _ => followed,
        };
    }
    Ok(())
}

/// Links by target, kind and holder.
type Links = HashMap<(String, String, String), Asked>;

async fn look(db: &mut SqliteConnection, asks: &[Ask<'_>]) -> Result<Links, StoreError> {
    let targets: BTreeSet<&str> = asks.iter().map(|ask| ask.target).collect();
    let targets: Vec<&str> = targets.into_iter().collect();
    let mut links = Links::new();
    for chunk in targets.chunks(ROWS_MAX) {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT target, kind, holder, body FROM issued WHERE target IN (");
        let mut list = query.separated(", ");
        for target in chunk {
            list.push_bind(*target);
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *db).await? {
            let target: String = row.try_get("target")?;
            let asked = read(&row, "link", &target)?;
            links.insert((target, row.try_get("kind")?, row.try_get("holder")?), asked);
        }
    }
    Ok(links)
}

/// Chains that were written down, with the event that each leads to, by finding.
async fn written(
    db: &mut SqliteConnection,
    findings: &[Finding],
) -> Result<HashMap<String, (String, Chain)>, StoreError> {
    let mut chains = HashMap::new();
    for chunk in findings.chunks(ROWS_MAX) {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT finding, event_id, body FROM chains WHERE finding IN (");
        let mut list = query.separated(", ");
        for finding in chunk {
            list.push_bind(finding.id.as_str());
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *db).await? {
            let finding: String = row.try_get("finding")?;
            let chain = read(&row, "chain", &finding)?;
            chains.insert(finding, (row.try_get("event_id")?, chain));
        }
    }
    Ok(chains)
}

fn read<T: DeserializeOwned>(row: &SqliteRow, what: &'static str, id: &str) -> Result<T, StoreError> {
    let body: String = row.try_get("body")?;
    serde_json::from_str(&body).map_err(|cause| damaged(what, id, &cause))
}

fn damaged(what: &'static str, id: &str, cause: &serde_json::Error) -> StoreError {
    StoreError::Damaged { what, id: id.to_owned(), cause: cause.to_string() }
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
        let mut findings = rows.iter().map(finding_of).collect::<Result<Vec<Finding>, StoreError>>()?;
        attribute(&mut tx, &mut findings).await?;
        for finding in &findings {
            write_down(&mut tx, finding).await?;
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

async fn write_down(tx: &mut Transaction<'static, Sqlite>, finding: &Finding) -> Result<(), StoreError> {
    let event = finding.events.first().map(|event| event.event_id.as_str()).unwrap_or_default();
    let chain = &finding.sample.caller.chain;
    let body = serde_json::to_string(chain).map_err(|cause| damaged("chain", &finding.id, &cause))?;
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

#[cfg(test)]
mod tests;
