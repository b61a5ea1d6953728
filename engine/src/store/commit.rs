//! The one transaction: objects done, event ids, baseline, findings, incidents, outbox.
//!
//! Many objects share it. Each keeps its own counts, event ids, quarantine rows and parts of findings; what merges is
//! summed first and written once.

use super::again::Origin;
use super::findings::{StoredFinding, read_findings, write_findings};
use super::incidents::{join_incident, refresh_incident};
use super::lake::LakeRows;
use super::sum::Sum;
use super::{ClaimToken, Readmitted, Store, StoreError, pieces};
use crate::baseline::{ANY_PERMISSION, BaselineDelta, BaselineRule, Days};
use crate::chain::Issued;
use crate::finding::{Finding, FindingState};
use crate::grant::{PolicyChange, Touch};
use crate::measure::Measures;
use crate::seen::EventIds;
use crate::time::{DAY, day_of};
use ingest::planted::{Bug, bug};
use ingest::quarantine::Quarantined;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::collections::{BTreeSet, HashMap};

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
    /// The events that were judged.
    pub events: &'a EventIds,
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
    /// What the events gave to later ones: keys, and tasks.
    pub issued: &'a [Issued],
    /// How the answers fell out.
    pub measures: &'a Measures,
    /// What was read of a log file that the ledger keeps.
    pub log: Option<&'a super::LogRead>,
    /// How the object can be judged again; `None` where it never will be.
    pub origin: Option<&'a Origin>,
    /// Grants of its callers changed since it was judged: it is to be judged again.
    pub is_outdated: bool,
    /// The object whose quarantined records these are, read again; `None` where it is an object of its own.
    pub readmitted: Option<&'a Readmitted>,
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
    /// Nothing of it was written: some of its events are known meanwhile, or another object of the same commit brought
    /// them. Take them out and judge the rest.
    Clash,
    /// Nothing of it was written: a later claim owns the object.
    Fenced,
    /// Nothing of it was written: its records do not add up, in these words. A fault of ours.
    Miscounted(String),
}

impl Store {
    /// Commits one judged object, wholly or not at all.
    ///
    /// # Errors
    /// [`StoreError::Sql`]; nothing was written then.
    pub async fn commit(&self, commit: &Commit<'_>) -> Result<Committed, StoreError> {
        let mut ended = self.commit_all(std::slice::from_ref(commit)).await?;
        Ok(ended.pop().unwrap_or(Committed::Fenced))
    }

    /// Commits judged objects in one transaction, each wholly or not at all. Their terms are those of the first; either
    /// all of them have an origin or none has.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of any of them was written then.
    pub async fn commit_all(&self, commits: &[Commit<'_>]) -> Result<Vec<Committed>, StoreError> {
        self.commit_all_with(commits, None).await
    }

    /// As [`commit_all`](Self::commit_all), with the file that holds their rows for the lake.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of any of them was written then.
    pub async fn commit_all_with(
        &self,
        commits: &[Commit<'_>],
        lake: Option<LakeRows<'_>>,
    ) -> Result<Vec<Committed>, StoreError> {
        let Some(terms) = commits.first().map(|commit| commit.terms) else { return Ok(Vec::new()) };
        // From the question whether events are known to their being so: one commit at a time.
        let _turn = self.events.turn.lock().await;
        self.events.turn_to(terms.now);
        let mut tx = self.begin().await?;
        let mut ended = vec![Committed::Fenced; commits.len()];
        let held = held(&mut tx, commits).await?;
        let claimed: Vec<usize> = (0..commits.len()).filter(|at| held.get(*at) == Some(&true)).collect();
        let events = claimed.iter().filter_map(|at| Some(commits.get(*at)?.events)).collect::<Vec<_>>();
        let clashes = self.events.seen.clashes(events.into_iter())?;
        let mut winners = Vec::with_capacity(claimed.len());
        for (at, clash) in claimed.into_iter().zip(clashes) {
            let (Some(commit), Some(ended)) = (commits.get(at), ended.get_mut(at)) else { continue };
            if let Some(miscount) = super::conservation::miscount(commit) {
                *ended = Committed::Miscounted(miscount);
                continue;
            }
            *ended = if clash { Committed::Clash } else { Committed::Stored(StoredCommit::default()) };
            winners.extend((!clash).then_some(commit));
        }
        if winners.is_empty() {
            return Ok(ended);
        }
        for (of, claim) in winners.iter().filter_map(|winner| winner.readmitted.zip(Some(winner.claim))) {
            super::readmission::move_account(&mut tx, of, &claim.object).await?;
        }
        end_claims(&mut tx, &winners).await?;
        super::events::insert(&mut tx, &winners).await?;
        super::quarantine::insert_of(&mut tx, &winners).await?;
        super::ledger::note_reads(&mut tx, &winners).await?;
        super::again::keep_origins(&mut tx, &winners).await?;
        super::again::keep_changes(&mut tx, &winners).await?;
        let mut sum = Sum::default();
        for winner in &winners {
            sum.add(winner.baseline, winner.measures, winner.findings, winner.issued);
        }
        let keeps_parts = winners.iter().any(|winner| winner.origin.is_some());
        let told = write_sum(&mut tx, &sum, keeps_parts, &terms).await?;
        super::again::keep_parts(&mut tx, &winners).await?;
        if let Some(lake) = lake {
            super::lake::keep_rows(&mut tx, &lake, &ended, terms.now).await?;
        }
        tx.commit().await?;
        for winner in winners {
            self.events.add(winner.events);
        }
        share_out(told, commits, &mut ended);
        Ok(ended)
    }

    /// Writes what objects add together, for a private store that keeps no objects.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written then.
    pub async fn commit_sum(&self, sum: &Sum, terms: &Terms<'_>) -> Result<StoredCommit, StoreError> {
        let mut tx = self.begin().await?;
        let told = write_sum(&mut tx, sum, false, terms).await?;
        tx.commit().await?;
        Ok(told)
    }
}

/// Which objects are still claimed with the token of their commit.
async fn held(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[Commit<'_>],
) -> Result<Vec<bool>, StoreError> {
    let mut tokens: HashMap<String, i64> = HashMap::with_capacity(commits.len());
    for piece in pieces(commits) {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT id, token FROM objects WHERE state = 'claimed' AND id IN (");
        let mut list = query.separated(", ");
        for commit in piece {
            list.push_bind(commit.claim.object.as_str());
        }
        query.push(")");
        for row in query.build().fetch_all(&mut **tx).await? {
            tokens.insert(row.try_get("id")?, row.try_get("token")?);
        }
    }
    // Taken out: of two commits of one claim the second comes too late.
    let mut is_held = |commit: &Commit<'_>| {
        bug(Bug::ClaimWithoutFencing)
            || tokens.get(&commit.claim.object) == Some(&commit.claim.token)
                && tokens.remove(&commit.claim.object).is_some()
    };
    Ok(commits.iter().map(&mut is_held).collect())
}

async fn end_claims(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    for piece in pieces(commits) {
        let mut update = QueryBuilder::<Sqlite>::new(
            "WITH ended (id, sha256, read, stored, duplicates, quarantined, again, done_at) AS (",
        );
        update.push_values(piece, |mut row, commit| {
            row.push_bind(commit.claim.object.as_str())
                .push_bind(commit.sha256)
                .push_bind(commit.read)
                .push_bind(commit.events.len() as i64)
                .push_bind(commit.duplicates)
                .push_bind(commit.quarantined.len() as i64)
                .push_bind(i64::from(commit.is_outdated))
                .push_bind(commit.terms.now);
        });
        update.push(
            ") UPDATE objects SET state = 'done', done_at = ended.done_at, sha256 = ended.sha256,
                    read = ended.read, stored = ended.stored, duplicates = ended.duplicates,
                    quarantined = ended.quarantined, again = ended.again
             FROM ended WHERE objects.id = ended.id",
        );
        update.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Gives each object the findings that it was the first to bring; outbox rows are the first object's.
fn share_out(told: StoredCommit, commits: &[Commit<'_>], ended: &mut [Committed]) {
    let mut alerts = told.alerts;
    let mut new: HashMap<String, Finding> =
        told.new_findings.into_iter().map(|finding| (finding.id.clone(), finding)).collect();
    for (commit, ended) in commits.iter().zip(ended) {
        let Committed::Stored(stored) = ended else { continue };
        stored.alerts = std::mem::take(&mut alerts);
        stored.new_findings.extend(commit.findings.iter().filter_map(|finding| new.remove(&finding.id)));
    }
}

/// Writes what merges, settles what follows from it, and tells.
async fn write_sum(
    tx: &mut Transaction<'static, Sqlite>,
    sum: &Sum,
    keeps_parts: bool,
    terms: &Terms<'_>,
) -> Result<StoredCommit, StoreError> {
    merge_presence(tx, &sum.baseline).await?;
    merge_denials(tx, &sum.baseline).await?;
    super::measures::add(tx, &sum.measures).await?;
    super::sessions::keep(tx, &sum.issued, terms.now).await?;
    let mut changed = merge_findings(tx, sum, keeps_parts, terms).await?;
    settle_past(tx, &sum.baseline, &mut changed).await?;
    tell(tx, terms, changed).await
}

async fn merge_presence(
    tx: &mut Transaction<'static, Sqlite>,
    delta: &BaselineDelta,
) -> Result<(), StoreError> {
    let rows: Vec<_> = delta.uses.iter().collect();
    for piece in pieces(&rows) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO presence (identity, permission, block, days, first_used, last_used, uses) ",
        );
        insert.push_values(piece, |mut row, ((identity, permission, block), presence)| {
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
    for piece in pieces(&rows) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO denials (identity, permission, first_seen, last_seen, count) ",
        );
        insert.push_values(piece, |mut row, ((identity, permission), denials)| {
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
    sum: &Sum,
    keeps_parts: bool,
    terms: &Terms<'_>,
) -> Result<HashMap<String, StoredFinding>, StoreError> {
    let ids: Vec<&str> = sum.findings.keys().map(String::as_str).collect();
    let mut changed: HashMap<String, StoredFinding> =
        read_findings(tx, &ids).await?.into_iter().map(|f| (f.finding.id.clone(), f)).collect();
    for finding in sum.findings.values() {
        match changed.get_mut(&finding.id) {
            Some(known) => {
                if keeps_parts {
                    super::again::keep_remainder(tx, &known.finding).await?;
                }
                if !bug(Bug::MergedFindingLost) {
                    known.finding.merge(finding.clone());
                }
            }
            None => {
                let settled = terms.settled.contains(&finding.detection);
                changed.insert(
                    finding.id.clone(),
                    StoredFinding { finding: finding.clone(), settled, is_new: true },
                );
            }
        }
    }
    Ok(changed)
}

/// Adds older findings that follow from the baseline and whose past changed.
async fn settle_past(
    tx: &mut Transaction<'static, Sqlite>,
    baseline: &BaselineDelta,
    changed: &mut HashMap<String, StoredFinding>,
) -> Result<(), StoreError> {
    let earliest: Vec<(&str, i64)> = baseline.earliest_days().into_iter().collect();
    let mut unread = Vec::new();
    for piece in pieces(&earliest) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH earliest (actor, start) AS (");
        query.push_values(piece, |mut row, (actor, day)| {
            row.push_bind(*actor).push_bind(day * DAY);
        });
        query.push(
            ") SELECT f.id FROM earliest e JOIN findings f ON f.actor = e.actor AND f.window_start > e.start
              WHERE f.settled = 1 AND f.state IN ('open', 'acknowledged', 'learning')",
        );
        unread.extend(query.build_query_scalar::<String>().fetch_all(&mut **tx).await?);
    }
    unread.retain(|id| !changed.contains_key(id));
    let unread: Vec<&str> = unread.iter().map(String::as_str).collect();
    for finding in read_findings(tx, &unread).await? {
        changed.insert(finding.finding.id.clone(), finding);
    }
    Ok(())
}

/// Settles findings that changed, writes them, and brings their incidents in line.
pub(super) async fn tell(
    tx: &mut Transaction<'static, Sqlite>,
    terms: &Terms<'_>,
    mut changed: HashMap<String, StoredFinding>,
) -> Result<StoredCommit, StoreError> {
    let mut active = HashMap::new();
    for stored in changed.values_mut().filter(|f| f.settled) {
        settle(tx, terms.rule, &mut stored.finding, &mut active).await?;
    }
    // In an order of their own: which finding begins an incident must not be chance.
    let mut changed: Vec<StoredFinding> = changed.into_values().collect();
    changed.sort_by(|a, b| (a.finding.first_seen, &a.finding.id).cmp(&(b.finding.first_seen, &b.finding.id)));
    let mut stored = StoredCommit::default();
    let mut touched = BTreeSet::new();
    for finding in &mut changed {
        if finding.finding.state.is_live() && finding.finding.incident.is_none() {
            join_incident(tx, finding, terms.now).await?;
        }
        if finding.is_new {
            stored.new_findings.push(finding.finding.clone());
        }
        touched.extend(finding.finding.incident.clone());
    }
    write_findings(tx, &changed, terms.now).await?;
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
    active: &mut HashMap<String, Days>,
) -> Result<(), StoreError> {
    if matches!(finding.state, FindingState::Closed | FindingState::Superseded | FindingState::Canary) {
        return Ok(());
    }
    let Some(permission) = finding.sample.permission.clone() else { return Ok(()) };
    let used = days(tx, &finding.actor, &permission).await?;
    if !active.contains_key(&finding.actor) {
        active.insert(finding.actor.clone(), days(tx, &finding.actor, ANY_PERMISSION).await?);
    }
    let none = Days::default();
    let active = active.get(&finding.actor).unwrap_or(&none);
    let novelty = rule.novelty(&used, active, day_of(finding.window_start));
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
