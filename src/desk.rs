//! Where workers claim and commit: whatever waits while one transaction is written goes into the next.
//!
//! An object that arrives alone waits for nobody; when many arrive, a transaction that costs milliseconds is shared by
//! hundreds of them.

use crate::clouds::Clouds;
use anyhow::Context;
use dashboards::Metrics;
use engine::baseline::{BaselineDelta, BaselineRule};
use engine::calls::Rules;
use engine::chain::Issued;
use engine::detection::Detection;
use engine::finding::{Finding, FindingState};
use engine::grant::{PolicyChange, Touch};
use engine::lake::{Lake, LakeError, Rows};
use engine::measure::Measures;
use engine::seen::EventIds;
use engine::store::{
    Claim, ClaimToken, Commit, Committed, LakeRows, LogRead, Origin, Readmitted, Store, StoreError, Terms,
    Wanted,
};
use engine::time::{self, MINUTE};
use ingest::{ObjectRef, Quarantined};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;
use tracing::{debug, warn};

/// How long a claim keeps other workers away. The process that owns the store ends stale ones at its start.
const CLAIM_LEASE: i64 = 15 * MINUTE;

/// Objects and events of one transaction: enough to share its costs, and a stop or a page does not wait long.
const OBJECTS_MAX: usize = 1_024;
const EVENTS_MAX: usize = 250_000;

/// A judged object, ready to be committed.
#[derive(Debug)]
pub struct Sheet {
    pub claim: ClaimToken,
    pub place: String,
    pub sha256: String,
    /// Records in the object, readable or not.
    pub read: u64,
    /// Events left out because they were seen before.
    pub duplicates: u64,
    /// Whose events they are.
    pub clouds: Clouds,
    pub events: EventIds,
    pub quarantined: Vec<Quarantined>,
    pub baseline: BaselineDelta,
    pub measures: Measures,
    pub findings: Vec<Finding>,
    pub changes: Vec<PolicyChange>,
    pub issued: Vec<Issued>,
    /// The revision of the grants that it was judged by.
    pub grants_revision: u64,
    pub origin: Option<Origin>,
    /// The object whose quarantined records these are, read again.
    pub readmitted: Option<Readmitted>,
    /// Events of a version that we do not know.
    pub unfamiliar: u64,
    /// It is of our own making: nothing but its findings is kept of it.
    pub is_canary: bool,
    /// Its events for the lake; none where there is no lake.
    pub kept: Rows,
    /// What the ledger keeps of it.
    pub log: Option<LogRead>,
}

impl Sheet {
    /// The same as the canary's: only its findings are written, under a state that nobody is told of.
    pub fn of_canary(self) -> Sheet {
        let mut findings = self.findings;
        for finding in &mut findings {
            finding.state = FindingState::Canary;
        }
        Sheet {
            is_canary: true,
            findings,
            baseline: BaselineDelta::default(),
            measures: Measures::default(),
            changes: Vec::new(),
            issued: Vec::new(),
            origin: None,
            kept: Rows::default(),
            log: None,
            ..self
        }
    }
}

enum Ask {
    Claim { object: ObjectRef, answer: oneshot::Sender<Result<Claim, StoreError>> },
    Commit { sheet: Box<Sheet>, answer: oneshot::Sender<Answered> },
}

/// How the commit of a sheet ended, and the sheet back.
pub type Answered = (Box<Sheet>, Result<Committed, DeskError>);

/// Why a commit failed: nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the rows could not be written: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Takes claims and commits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    asks: mpsc::Sender<Ask>,
}

/// What settles and tells findings, but for the clock.
#[derive(Debug, Clone)]
pub struct Settling {
    pub settled: BTreeSet<String>,
    pub rule: BaselineRule,
    pub alert_max_age: Option<i64>,
}

impl Settling {
    pub fn new(detections: &[Detection], rules: &Rules, alert_max_age: Option<i64>) -> Settling {
        let settled = detections.iter().filter(|d| d.settled).map(|d| d.id.clone()).collect();
        Settling { settled, rule: rules.baseline.rule(), alert_max_age }
    }

    pub fn terms(&self) -> Terms<'_> {
        let Settling { settled, rule, alert_max_age } = self;
        Terms { settled, rule: *rule, alert_max_age: *alert_max_age, now: time::now() }
    }
}

impl Desk {
    /// Opens the desk; it closes when the last of its clones is gone.
    pub fn open(
        store: Store,
        rules: Arc<Rules>,
        metrics: Arc<Metrics>,
        settling: Arc<Settling>,
        lake: Option<Lake>,
    ) -> Desk {
        let (asks, asked) = mpsc::channel(OBJECTS_MAX);
        tokio::spawn(Clerk { store, rules, metrics, settling, lake }.serve(asked));
        Desk { asks }
    }

    pub async fn claim(&self, object: &ObjectRef) -> anyhow::Result<Claim> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask::Claim { object: object.clone(), answer };
        self.asks.send(ask).await.ok().context("the store's desk is closed")?;
        Ok(answered.await.context("the store's desk is closed")??)
    }

    pub async fn commit(&self, sheet: Box<Sheet>) -> anyhow::Result<Answered> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Commit { sheet, answer }).await.ok().context("the store's desk is closed")?;
        answered.await.context("the store's desk is closed")
    }
}

/// Who sits at the desk.
struct Clerk {
    store: Store,
    rules: Arc<Rules>,
    metrics: Arc<Metrics>,
    settling: Arc<Settling>,
    lake: Option<Lake>,
}

type Claiming = (ObjectRef, oneshot::Sender<Result<Claim, StoreError>>);
type Committing = (Box<Sheet>, oneshot::Sender<Answered>);

impl Clerk {
    async fn serve(self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(first) = asked.recv().await {
            let (mut claims, mut commits): (Vec<Claiming>, Vec<Committing>) = Default::default();
            let mut events = 0;
            let mut next = Some(first);
            while let Some(ask) = next {
                match ask {
                    Ask::Claim { object, answer } => claims.push((object, answer)),
                    Ask::Commit { sheet, answer } => {
                        events += sheet.events.len();
                        commits.push((sheet, answer));
                    }
                }
                let is_full = claims.len() + commits.len() >= OBJECTS_MAX || events >= EVENTS_MAX;
                next = if is_full { None } else { asked.try_recv().ok() };
            }
            if !commits.is_empty() {
                self.commit(commits).await;
            }
            if !claims.is_empty() {
                self.claim(claims).await;
            }
        }
    }

    async fn claim(&self, claims: Vec<Claiming>) {
        let texts: Vec<_> = claims.iter().map(|(object, _)| (object.id(), object.display())).collect();
        let wanted = claims.iter().zip(&texts).map(|((object, _), (id, place))| Wanted {
            object: id,
            source: &object.source,
            place,
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        let claimed = match self.store.claim_all(&wanted, CLAIM_LEASE, time::now()).await {
            Ok(claimed) => claimed.into_iter().map(Ok).collect(),
            Err(cause) if wanted.len() == 1 => vec![Err(cause)],
            Err(cause) => {
                warn!(%cause, objects = wanted.len(), "not claimed together; each is tried alone");
                let mut claimed = Vec::with_capacity(wanted.len());
                for Wanted { object, source, place } in wanted {
                    claimed.push(self.store.claim(object, source, place, CLAIM_LEASE, time::now()).await);
                }
                claimed
            }
        };
        for ((_, answer), claim) in claims.into_iter().zip(claimed) {
            // Whoever asked may have been stopped; the claim ends with its lease.
            let _ = answer.send(claim);
        }
    }

    async fn commit(&self, commits: Vec<Committing>) {
        let sheets: Vec<&Sheet> = commits.iter().map(|(sheet, _)| &**sheet).collect();
        let ended = match self.keep(&sheets).await {
            Ok(ended) => ended.into_iter().map(Ok).collect(),
            Err(cause) if sheets.len() == 1 => vec![Err(cause)],
            Err(cause) => {
                warn!(%cause, objects = sheets.len(), "not committed together; each is tried alone");
                let mut ended = Vec::with_capacity(sheets.len());
                for sheet in sheets {
                    let alone = self.keep(&[sheet]).await;
                    ended.push(alone.map(|mut ended| ended.pop().unwrap_or(Committed::Fenced)));
                }
                ended
            }
        };
        for ((sheet, answer), committed) in commits.into_iter().zip(ended) {
            let _ = answer.send((sheet, committed));
        }
    }

    /// Writes sheets, their events for the lake first: what the store names is on the disk.
    async fn keep(&self, sheets: &[&Sheet]) -> Result<Vec<Committed>, DeskError> {
        let Some(lake) = &self.lake else { return Ok(self.write(sheets, None).await?) };
        let kept: Vec<&Rows> = sheets.iter().map(|sheet| &sheet.kept).collect();
        let Some(file) = block_in_place(|| lake.keep(&kept))? else {
            return Ok(self.write(sheets, None).await?);
        };
        let parts: Vec<_> = kept.iter().map(|rows| (rows.pieces, rows.rows)).collect();
        let rows = LakeRows { file: &file.name, bytes: file.bytes, parts: &parts };
        let ended = self.write(sheets, Some(rows)).await;
        // After a failure only the store knows; what it cannot say now, it says at the next start.
        let is_named = match &ended {
            Ok(ended) => ended
                .iter()
                .zip(&parts)
                .any(|(ended, (_, rows))| matches!(ended, Committed::Stored(_)) && *rows > 0),
            Err(_) => self.store.is_lake_file(&file.name).await.unwrap_or(true),
        };
        if is_named {
            lake.kept(&file);
        } else {
            lake.drop_file(&file);
        }
        Ok(ended?)
    }

    async fn write(
        &self,
        sheets: &[&Sheet],
        lake: Option<LakeRows<'_>>,
    ) -> Result<Vec<Committed>, StoreError> {
        let started = Instant::now();
        let terms = self.settling.terms();
        let touched: Vec<Vec<Touch>> =
            sheets.iter().map(|sheet| self.rules.grants.touched(&sheet.changes)).collect();
        let commits = sheets.iter().zip(&touched).map(|(sheet, touched)| Commit {
            claim: &sheet.claim,
            place: &sheet.place,
            sha256: &sheet.sha256,
            read: sheet.read as i64,
            duplicates: sheet.duplicates as i64,
            events: &sheet.events,
            quarantined: &sheet.quarantined,
            baseline: &sheet.baseline,
            findings: &sheet.findings,
            changes: &sheet.changes,
            touched,
            issued: &sheet.issued,
            measures: &sheet.measures,
            origin: sheet.origin.as_ref(),
            log: sheet.log.as_ref(),
            is_outdated: self.is_outdated(sheet),
            readmitted: sheet.readmitted.as_ref(),
            terms,
        });
        let ended = self.store.commit_all_with(&commits.collect::<Vec<_>>(), lake).await?;
        self.metrics.committed(started.elapsed());
        debug!(objects = sheets.len(), "committed together");
        Ok(ended)
    }

    /// Whether grants of the object's callers changed since it was judged. A change that becomes known after this is in an
    /// object that is committed later, and marks this one then.
    fn is_outdated(&self, sheet: &Sheet) -> bool {
        let Some(origin) = &sheet.origin else { return false };
        let touches =
            |touch: &Touch| touch.from <= origin.last_event && origin.callers.contains(&touch.principal);
        let touched = self.rules.grants.touched_since(sheet.grants_revision);
        touched.is_none_or(|touched| touched.iter().any(touches))
    }
}
