//! The one transaction: object done, event ids, baseline, findings, incidents, outbox.

use super::again::Origin;
use super::findings::{StoredFinding, read_findings, write_finding};
use super::incidents::{join_incident, refresh_incident};
use super::{ClaimToken, ROWS_MAX, Store, StoreError};
use crate::baseline::{ANY_PERMISSION, BaselineDelta, BaselineRule, Days};
use crate::finding::{Finding, FindingState};
use crate::grant::{PolicyChange, Touch};
use crate::measure::Measures;
use crate::time::{DAY, day_of};
use ingest::quarantine::Quarantined;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Everything that one judged object changes.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The right to do so.
    pub claim: &'a ClaimToken,
    /// Where the object came from, for people.
    pub place: &'a str,
    /// SHA-256 of the exact bytes that were read, hex.
    pub sha256: &'a str,
    /// Records in the object, readable or not.
    pub read: i64,
    /// Events left out because they were seen before.
    pub duplicates: i64,
    /// Identity of each event that was judged.
    pub event_ids: &'a [String],
    /// Records that could not be read.
    pub quarantined: &'a [Quarantined],
    /// What the events add to the baseline.
    pub baseline: &'a BaselineDelta,
    /// What the detections said.
    pub findings: &'a [Finding],
    /// Changes of policies among the events.
    pub changes: &'a [PolicyChange],
    /// Whose grants they change: what was judged of them is judged again.
    pub touched: &'a [Touch],
    /// How the answers fell out.
    pub measures: &'a Measures,
    /// How the object can be judged again; `None` where it never will be.
    pub origin: Option<&'a Origin>,
    /// What settles and tells findings.
    pub terms: Terms<'a>,
}

/// What settles and tells findings.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Ids of detections whose findings follow from the baseline.
    pub settled: &'a BTreeSet<String>,
    /// When something is new.
    pub rule: BaselineRule,
    /// Findings whose latest event is older than this (µs) wake nobody; `None` never alerts.
    pub alert_max_age: Option<i64>,
    /// The commit's clock: decides only what is told, never what is found.
    pub now: i64,
}

/// What a commit changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct StoredCommit {
    /// Findings that did not exist before, as they now stand.
    pub new_findings: Vec<Finding>,
    /// Outbox rows written.
    pub alerts: u64,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Stored(StoredCommit),
    /// Nothing was written: these events are known already. Take them out and judge the rest.
    Clash(HashSet<String>),
    /// Nothing was written: a later claim owns the object.
    Fenced,
}

impl Store {
    /// Commits one judged object, wholly or not at all.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing was written then.
    pub async fn commit(&self, commit: &Commit<'_>) -> Result<Committed, StoreError> {
        let mut tx = self.begin().await?;
        if !end_claim(&mut tx, commit).await? {
            return Ok(Committed::Fenced);
        }
        if !insert_event_ids(&mut tx, commit).await? {
            // Dropping the transaction rolls it back; only then is it known which ids were there before.
            drop(tx);
            return Ok(Committed::Clash(self.known_events(commit.event_ids).await?));
        }
        super::quarantine::insert(
            &mut tx,
            &commit.claim.object,
            commit.place,
            commit.quarantined,
            commit.terms.now,
        )
        .await?;
        merge_presence(&mut tx, commit.baseline).await?;
        merge_denials(&mut tx, commit.baseline).await?;

        super::measures::add(&mut tx, commit.measures).await?;
        super::again::keep_origin(&mut tx, commit).await?;
        super::again::keep_changes(&mut tx, commit).await?;

        let mut changed = merge_findings(&mut tx, commit).await?;
        settle_past(&mut tx, commit, &mut changed).await?;
        let stored = tell(&mut tx, &commit.terms, changed).await?;
        super::again::keep_parts(&mut tx, commit).await?;
        tx.commit().await?;
        Ok(Committed::Stored(stored))
    }

    async fn known_events(&self, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut known = HashSet::new();
        for chunk in ids.chunks(ROWS_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM event_ids WHERE id IN (");
            let mut list = query.separated(", ");
            for id in chunk {
                list.push_bind(id.as_str());
            }
            query.push(")");
            for row in query.build().fetch_all(&self.writer).await? {
                known.insert(row.try_get("id")?);
            }
        }
        Ok(known)
    }

    /// Forgets event ids that were stored before `before` (µs): the horizon of exact deduplication.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn forget_events(&self, before: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query("DELETE FROM event_ids WHERE seen_at < $1")
            .bind(before)
            .execute(&self.writer)
            .await?;
        Ok(gone.rows_affected())
    }
}

async fn end_claim(tx: &mut Transaction<'static, Sqlite>, commit: &Commit<'_>) -> Result<bool, StoreError> {
    let ended = sqlx::query(
        "UPDATE objects SET state = 'done', done_at = $1, sha256 = $2, read = $3, stored = $4,
                duplicates = $5, quarantined = $6
         WHERE id = $7 AND token = $8 AND state = 'claimed'",
    )
    .bind(commit.terms.now)
    .bind(commit.sha256)
    .bind(commit.read)
    .bind(commit.event_ids.len() as i64)
    .bind(commit.duplicates)
    .bind(commit.quarantined.len() as i64)
    .bind(&commit.claim.object)
    .bind(commit.claim.token)
    .execute(&mut **tx)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// False when at least one id was there before.
async fn insert_event_ids(
    tx: &mut Transaction<'static, Sqlite>,
    commit: &Commit<'_>,
) -> Result<bool, StoreError> {
    for chunk in commit.event_ids.chunks(ROWS_MAX) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO event_ids (id, seen_at) ");
        insert.push_values(chunk, |mut row, id| {
            row.push_bind(id.as_str()).push_bind(commit.terms.now);
        });
        insert.push(" ON CONFLICT (id) DO NOTHING");
        if insert.build().execute(&mut **tx).await?.rows_affected() < chunk.len() as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn merge_presence(
    tx: &mut Transaction<'static, Sqlite>,
    delta: &BaselineDelta,
) -> Result<(), StoreError> {
    let rows: Vec<_> = delta.uses.iter().collect();
    for chunk in rows.chunks(ROWS_MAX) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO presence (identity, permission, block, days, first_used, last_used, uses) ",
        );
        insert.push_values(chunk, |mut row, ((identity, permission, block), presence)| {
            row.push_bind(&**identity)
                .push_bind(&**permission)
                .push_bind(*block)
                .push_bind(i64::from(presence.days))
                .push_bind(presence.first)
                .push_bind(presence.last)
                .push_bind(presence.uses);
        });
        insert.push(
            " ON CONFLICT (identity, permission, block) DO UPDATE SET
                days = presence.days | excluded.days,
                first_used = CASE WHEN excluded.first_used < presence.first_used
                                  THEN excluded.first_used ELSE presence.first_used END,
                last_used = CASE WHEN excluded.last_used > presence.last_used
                                 THEN excluded.last_used ELSE presence.last_used END,
                uses = presence.uses + excluded.uses",
        );
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}

async fn merge_denials(
    tx: &mut Transaction<'static, Sqlite>,
    delta: &BaselineDelta,
) -> Result<(), StoreError> {
    let rows: Vec<_> = delta.denials.iter().collect();
    for chunk in rows.chunks(ROWS_MAX) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO denials (identity, permission, first_seen, last_seen, count) ",
        );
        insert.push_values(chunk, |mut row, ((identity, permission), denials)| {
            row.push_bind(&**identity)
                .push_bind(&**permission)
                .push_bind(denials.first)
                .push_bind(denials.last)
                .push_bind(denials.count);
        });
        insert.push(
            " ON CONFLICT (identity, permission) DO UPDATE SET
                first_seen = CASE WHEN excluded.first_seen < denials.first_seen
                                  THEN excluded.first_seen ELSE denials.first_seen END,
                last_seen = CASE WHEN excluded.last_seen > denials.last_seen
                                 THEN excluded.last_seen ELSE denials.last_seen END,
                count = denials.count + excluded.count",
        );
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}

async fn merge_findings(
    tx: &mut Transaction<'static, Sqlite>,
    commit: &Commit<'_>,
) -> Result<HashMap<String, StoredFinding>, StoreError> {
    let ids: Vec<&str> = commit.findings.iter().map(|f| f.id.as_str()).collect();
    let mut changed: HashMap<String, StoredFinding> =
        read_findings(tx, &ids).await?.into_iter().map(|f| (f.finding.id.clone(), f)).collect();
    for finding in commit.findings {
        match changed.get_mut(&finding.id) {
            Some(known) => {
                if commit.origin.is_some() {
                    super::again::keep_remainder(tx, &known.finding).await?;
                }
                known.finding.merge(finding.clone());
            }
            None => {
                let settled = commit.terms.settled.contains(&finding.detection);
                changed.insert(
                    finding.id.clone(),
                    StoredFinding { finding: finding.clone(), settled, is_new: true },
                );
            }
        }
    }
    Ok(changed)
}

/// Adds older findings that follow from the baseline and whose past this batch changed.
async fn settle_past(
    tx: &mut Transaction<'static, Sqlite>,
    commit: &Commit<'_>,
    changed: &mut HashMap<String, StoredFinding>,
) -> Result<(), StoreError> {
    for (identity, day) in commit.baseline.earliest_days() {
        let rows = sqlx::query_scalar::<_, String>(
            "SELECT id FROM findings WHERE settled = 1 AND actor = $1 AND window_start > $2
                AND state IN ('open', 'acknowledged', 'learning')",
        )
        .bind(identity)
        .bind(day * DAY)
        .fetch_all(&mut **tx)
        .await?;
        let unread: Vec<&str> =
            rows.iter().map(String::as_str).filter(|id| !changed.contains_key(*id)).collect();
        for finding in read_findings(tx, &unread).await? {
            changed.insert(finding.finding.id.clone(), finding);
        }
    }
    Ok(())
}

/// Settles findings that changed, writes them, and brings their incidents in line.
pub(super) async fn tell(
    tx: &mut Transaction<'static, Sqlite>,
    terms: &Terms<'_>,
    mut changed: HashMap<String, StoredFinding>,
) -> Result<StoredCommit, StoreError> {
    for stored in changed.values_mut().filter(|f| f.settled) {
        settle(tx, terms.rule, &mut stored.finding).await?;
    }
    let mut stored = StoredCommit::default();
    let mut touched = BTreeSet::new();
    for finding in changed.values_mut() {
        if finding.finding.state.is_live() && finding.finding.incident.is_none() {
            join_incident(tx, finding, terms.now).await?;
        }
        write_finding(tx, finding, terms.now).await?;
        if finding.is_new {
            stored.new_findings.push(finding.finding.clone());
        }
        touched.extend(finding.finding.incident.clone());
    }
    for id in touched {
        stored.alerts += refresh_incident(tx, &id, terms.alert_max_age, terms.now).await?;
    }
    Ok(stored)
}

/// Holds a finding that follows from the baseline against the presence as it now is.
async fn settle(
    tx: &mut Transaction<'static, Sqlite>,
    rule: BaselineRule,
    finding: &mut Finding,
) -> Result<(), StoreError> {
    if matches!(finding.state, FindingState::Closed | FindingState::Superseded) {
        return Ok(());
    }
    let Some(permission) = finding.sample.permission.clone() else { return Ok(()) };
    let used = days(tx, &finding.actor, &permission).await?;
    let active = days(tx, &finding.actor, ANY_PERMISSION).await?;
    let novelty = rule.novelty(&used, &active, day_of(finding.window_start));
    finding.sample.active_days = i64::from(novelty.active_days);
    if !novelty.first_use {
        finding.state = FindingState::Superseded;
    } else if novelty.active_days < rule.min_active_days {
        finding.state = FindingState::Learning;
    } else if finding.state == FindingState::Learning {
        finding.state = FindingState::Open;
    }
    Ok(())
}

async fn days(
    tx: &mut Transaction<'static, Sqlite>,
    identity: &str,
    permission: &str,
) -> Result<Days, StoreError> {
    let rows = sqlx::query("SELECT block, days FROM presence WHERE identity = $1 AND permission = $2")
        .bind(identity)
        .bind(permission)
        .fetch_all(&mut **tx)
        .await?;
    let mut days = Days::default();
    for row in rows {
        days.merge_block(row.try_get("block")?, row.try_get::<i64, _>("days")? as u32);
    }
    Ok(days)
}
