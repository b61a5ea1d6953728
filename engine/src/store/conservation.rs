//! Whether everything that came in is accounted for: identities that hold whatever happens, read from the store.

use super::{Commit, Store, StoreError};
use crate::time::DAY;
use sqlx::{Row, Sqlite, Transaction};

/// How long an object may be begun and not ended, beyond its lease, before it counts as lost (µs).
const UNENDED_MAX: i64 = DAY;

/// What must add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// Records read = stored + duplicates + quarantined, in every object.
    Records,
    /// Records that objects count as quarantined = records that quarantine has.
    Quarantine,
    /// Objects received = done + ignored + quarantined + in flight.
    Objects,
    /// Findings = alerted + alerting + silenced + below + ... + those that wake nobody.
    Findings,
    /// Alerts in = to be sent + delivered + dead + silenced + below + summarized.
    Outbox,
}

impl Identity {
    /// Every identity.
    pub const ALL: [Identity; 5] =
        [Identity::Records, Identity::Quarantine, Identity::Objects, Identity::Findings, Identity::Outbox];

    /// The lower-case name, as in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Identity::Records => "records",
            Identity::Quarantine => "quarantine",
            Identity::Objects => "objects",
            Identity::Findings => "findings",
            Identity::Outbox => "outbox",
        }
    }

    /// The whole, in words.
    #[must_use]
    pub fn whole(self) -> &'static str {
        match self {
            Identity::Records => "records read",
            Identity::Quarantine => "records not read",
            Identity::Objects => "objects received",
            Identity::Findings => "findings",
            Identity::Outbox => "alerts to receivers",
        }
    }

    /// Its parts, as in metrics. What falls into none of them is a breach.
    #[must_use]
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Identity::Records => &["stored", "duplicate", "quarantined"],
            Identity::Quarantine => &["waiting", "wanted", "resolved"],
            Identity::Objects => &["done", "ignored", "quarantined", "in_flight"],
            Identity::Findings => &[
                "alerted",
                "alerting",
                "given_up",
                "silenced",
                "below",
                "no_receiver",
                "forgotten",
                "history",
                "closed",
                "learning",
                "superseded",
                "canary",
            ],
            Identity::Outbox => {
                &["to_fan_out", "pending", "delivered", "summarized", "dead", "silenced", "below"]
            }
        }
    }
}

/// One identity as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub identity: Identity,
    /// The whole.
    pub whole: i64,
    /// What its parts come to, in the order of [`Identity::parts`].
    pub parts: Vec<i64>,
    /// Cases that break it; 0 where it holds.
    pub breaches: i64,
    /// One of them.
    pub example: Option<String>,
}

impl Account {
    fn new(identity: Identity, whole: i64, found: &[(String, i64)], also: (i64, Option<String>)) -> Account {
        let of = |part: &&str| found.iter().filter(|(name, _)| name == part).map(|(_, count)| count).sum();
        let parts: Vec<i64> = identity.parts().iter().map(of).collect();
        // What falls into no part, and what the parts have too much.
        let difference = (whole - parts.iter().sum::<i64>()).abs();
        Account { identity, whole, parts, breaches: difference.max(also.0), example: also.1 }
    }

    /// Whether everything is accounted for.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.breaches == 0
    }
}

/// What does not add up in an object that is to be committed; none where all does.
pub(super) fn miscount(commit: &Commit<'_>) -> Option<String> {
    let (stored, quarantined) = (commit.events.len() as i64, commit.quarantined.len() as i64);
    let parts = stored.saturating_add(commit.duplicates).saturating_add(quarantined);
    (commit.read != parts || commit.duplicates < 0).then(|| {
        format!(
            "a fault of remit: of {} records read {stored} would be stored, {} are duplicates and {quarantined} are \
             quarantined; nothing of it was committed",
            commit.read, commit.duplicates
        )
    })
}

impl Store {
    /// Every identity, as of one moment. `memory`: how long what was told is remembered (µs).
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn accounts(&self, now: i64, memory: i64) -> Result<Vec<Account>, StoreError> {
        let mut tx = self.reader.begin().await?;
        Ok(vec![
            records(&mut tx).await?,
            quarantine(&mut tx).await?,
            objects(&mut tx, now).await?,
            findings(&mut tx, now - memory + DAY).await?,
            outbox(&mut tx).await?,
        ])
    }
}

type Tx = Transaction<'static, Sqlite>;

async fn records(tx: &mut Tx) -> Result<Account, StoreError> {
    let row = sqlx::query(
        "SELECT coalesce(sum(read), 0) AS read, coalesce(sum(stored), 0) AS stored,
                coalesce(sum(duplicates), 0) AS duplicate, coalesce(sum(quarantined), 0) AS quarantined,
                count(CASE WHEN read <> stored + duplicates + quarantined OR stored < 0 OR duplicates < 0 OR quarantined < 0
                           THEN 1 END) AS breaches,
                min(CASE WHEN read <> stored + duplicates + quarantined THEN place END) AS example
         FROM objects WHERE state <> 'claimed' AND source <> 'remit:canary'",
    )
    .fetch_one(&mut **tx)
    .await?;
    let parts = ["stored", "duplicate", "quarantined"];
    let mut found = Vec::with_capacity(parts.len());
    for part in parts {
        found.push((part.to_owned(), row.try_get(part)?));
    }
    let also = (row.try_get("breaches")?, row.try_get("example")?);
    Ok(Account::new(Identity::Records, row.try_get("read")?, &found, also))
}

async fn quarantine(tx: &mut Tx) -> Result<Account, StoreError> {
    let whole: i64 =
        sqlx::query_scalar("SELECT coalesce(sum(quarantined), 0) FROM objects WHERE state <> 'claimed'")
            .fetch_one(&mut **tx)
            .await?;
    // An object that is being read again counts when it has ended.
    let found = grouped(
        tx,
        "SELECT q.state AS part, sum(q.records) AS n FROM quarantine q LEFT JOIN objects o ON o.id = q.object
         WHERE q.object IS NOT NULL AND q.state <> 'replayed' AND coalesce(o.state, '') <> 'claimed' GROUP BY q.state",
    )
    .await?;
    Ok(Account::new(Identity::Quarantine, whole, &found, (0, None)))
}

async fn objects(tx: &mut Tx, now: i64) -> Result<Account, StoreError> {
    let found = grouped(
        tx,
        "SELECT CASE state WHEN 'claimed' THEN 'in_flight' ELSE state END AS part, count(*) AS n
         FROM objects WHERE replay_of IS NULL AND source <> 'remit:canary' GROUP BY 1",
    )
    .await?;
    let whole = found.iter().map(|(_, count)| count).sum();
    let unended = sqlx::query(
        "SELECT count(*) AS n, min(place) AS example FROM objects
         WHERE state = 'claimed' AND lease_until > 0 AND lease_until < $1",
    )
    .bind(now - UNENDED_MAX)
    .fetch_one(&mut **tx)
    .await?;
    Ok(Account::new(Identity::Objects, whole, &found, (unended.try_get("n")?, unended.try_get("example")?)))
}

/// A finding's class; `lost` is none of the parts. `$1`: what was told before may be forgotten.
const CLASSES: &str = "
    WITH told AS (
        SELECT incident, max(CASE WHEN state IN ('delivered', 'summarized') THEN 5
                                  WHEN state IN ('pending', 'sending') THEN 4 WHEN state = 'dead' THEN 3
                                  WHEN state = 'silenced' THEN 2 WHEN state = 'below' THEN 1 ELSE 0 END) AS best
        FROM deliveries GROUP BY incident),
    written AS (
        SELECT incident, min(fanned_out) AS is_fanned_out, max(revision) AS revision FROM outbox GROUP BY incident),
    classes AS (
        SELECT f.id, CASE
            WHEN f.state IN ('superseded', 'learning', 'canary') THEN f.state
            WHEN f.state NOT IN ('open', 'acknowledged', 'closed') THEN 'lost'
            WHEN f.incident IS NULL AND f.state = 'closed' THEN 'closed'
            WHEN i.id IS NULL THEN 'lost'
            WHEN i.told = 0 THEN 'history'
            -- What is to be told is written in the same transaction that says so.
            WHEN i.created_at >= $1 AND coalesce(w.revision, -1) <> i.revision THEN 'lost'
            WHEN t.best = 5 THEN 'alerted'
            WHEN t.best = 4 OR w.is_fanned_out = 0 THEN 'alerting'
            WHEN t.best = 3 THEN 'given_up'
            WHEN t.best = 2 THEN 'silenced'
            WHEN t.best = 1 THEN 'below'
            WHEN w.revision IS NOT NULL THEN 'no_receiver'
            ELSE 'forgotten' END AS part
        FROM findings f LEFT JOIN incidents i ON i.id = f.incident
        LEFT JOIN told t ON t.incident = f.incident LEFT JOIN written w ON w.incident = f.incident)
    SELECT part, count(*) AS n, min(id) AS example FROM classes GROUP BY part";

async fn findings(tx: &mut Tx, told_since: i64) -> Result<Account, StoreError> {
    let mut found = Vec::new();
    let mut lost = (0, None);
    for row in sqlx::query(CLASSES).bind(told_since).fetch_all(&mut **tx).await? {
        let part: String = row.try_get("part")?;
        let count: i64 = row.try_get("n")?;
        if part == "lost" {
            lost = (count, row.try_get("example")?);
        }
        found.push((part, count));
    }
    let whole = sqlx::query_scalar("SELECT count(*) FROM findings").fetch_one(&mut **tx).await?;
    Ok(Account::new(Identity::Findings, whole, &found, lost))
}

async fn outbox(tx: &mut Tx) -> Result<Account, StoreError> {
    let mut found = grouped(
        tx,
        "SELECT CASE state WHEN 'sending' THEN 'pending' ELSE state END AS part, count(*) AS n
         FROM deliveries GROUP BY 1",
    )
    .await?;
    let to_fan_out: i64 =
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE fanned_out = 0").fetch_one(&mut **tx).await?;
    let whole = to_fan_out + found.iter().map(|(_, count)| count).sum::<i64>();
    found.push(("to_fan_out".to_owned(), to_fan_out));
    // Told of nothing that was to be told, or ended and not: either could hide an alert that never left.
    let broken = sqlx::query(
        "SELECT count(*) AS n, min(d.incident) AS example FROM deliveries d
         LEFT JOIN outbox o ON o.incident = d.incident AND o.revision = d.revision
         WHERE o.incident IS NULL OR (d.state IN ('pending', 'sending')) = (d.ended_at IS NOT NULL)",
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Account::new(Identity::Outbox, whole, &found, (broken.try_get("n")?, broken.try_get("example")?)))
}

async fn grouped(tx: &mut Tx, sql: &'static str) -> Result<Vec<(String, i64)>, StoreError> {
    let mut found = Vec::new();
    for row in sqlx::query(sql).fetch_all(&mut **tx).await? {
        found.push((row.try_get("part")?, row.try_get("n")?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
