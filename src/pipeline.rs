//! One object's way from its bytes to the store: claim, read, judge, commit.

use crate::desk::{Desk, Settling, Sheet};
use anyhow::Context;
use arrow::array::BooleanArray;
use dashboards::Metrics;
use dashboards::metrics::ObjectOutcome;
use engine::calls::Rules;
use engine::detection::Detection;
use engine::judge::{Judge, JudgeError, Judged};
use engine::seen::event_of;
use engine::standing;
use engine::store::{Again, Claim, ClaimToken, Committed, ObjectEnd, Origin, Store, StoredCommit};
use engine::time;
use ingest::event::EventView;
use ingest::{EventBatch, Limits, ObjectRef, Quarantined, ReadObject, Redaction};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tracing::{debug, warn};

/// Objects of fewer bytes are read and judged in about a millisecond: not worth telling the runtime.
const LONG_WORK_BYTES: usize = 32 << 10;

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Judged and committed.
    Done {
        /// Unique events in it.
        events: u64,
        /// What the commit changed.
        stored: Box<StoredCommit>,
    },
    /// It was ended before.
    Duplicate,
    /// Nothing of ours, and why.
    Ignored(&'static str),
    /// It cannot be read; the quarantine says why.
    Quarantined(&'static str),
    /// Another worker holds it.
    Held,
}

/// A claimed object, or what is to be said instead.
#[derive(Debug)]
pub enum Begun {
    Mine(ClaimToken),
    Ended(Outcome),
}

/// What judging a claimed object gave.
#[derive(Debug)]
pub enum Read {
    /// To be committed.
    Judged(Box<Sheet>),
    /// There was nothing to judge.
    Ended(Outcome),
}

/// How a commit went.
#[derive(Debug)]
pub enum Written {
    /// The object's end.
    Ended(Outcome),
    /// Some of its events were judged elsewhere meanwhile: read it again.
    Clash,
}

/// Everything that objects pass through.
#[derive(Debug)]
pub struct Pipeline {
    pub store: Store,
    pub rules: Arc<Rules>,
    pub metrics: Arc<Metrics>,
    desk: Desk,
    limits: Limits,
    redaction: Redaction,
    detections: Vec<Detection>,
    settling: Arc<Settling>,
}

impl Pipeline {
    pub fn new(
        store: Store,
        rules: Arc<Rules>,
        metrics: Arc<Metrics>,
        detections: Vec<Detection>,
        alert_max_age: Option<i64>,
    ) -> Pipeline {
        let settling = Arc::new(Settling::new(&detections, &rules, alert_max_age));
        Pipeline {
            desk: Desk::open(store.clone(), rules.clone(), metrics.clone(), settling.clone()),
            store,
            rules,
            metrics,
            limits: Limits::default(),
            redaction: Redaction::default(),
            detections,
            settling,
        }
    }

    /// Plans the detections for one worker.
    pub async fn worker(&self) -> Result<Judge, JudgeError> {
        Judge::new(self.rules.clone(), &self.detections).await
    }

    /// Keeps a finding for each policy file that cannot be read, as long as that is so.
    pub async fn stand(&self) -> anyhow::Result<()> {
        let unparsed = self.rules.manifests.latest().unparsed.iter().chain(&self.rules.grants.unparsed);
        let findings = standing::unparsed_policies(unparsed, time::now());
        let stored = self.store.stand(standing::POLICY_UNPARSED, &findings, &self.settling.terms()).await?;
        for finding in &stored.new_findings {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        Ok(())
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Claims an object.
    pub async fn begin(&self, object: &ObjectRef) -> anyhow::Result<Begun> {
        let claim = self.desk.claim(object).await?;
        Ok(match claim {
            Claim::Mine(claim) => Begun::Mine(claim),
            Claim::Done => {
                self.metrics.object(&object.source, ObjectOutcome::Duplicate);
                Begun::Ended(Outcome::Duplicate)
            }
            Claim::Held => Begun::Ended(Outcome::Held),
            Claim::Poison(claim) => {
                let detail = "reading it ended the process three times; it was not opened again";
                let poison =
                    Quarantined::new(None, ingest::quarantine::reason::POISON, detail, b"", &self.redaction);
                Begun::Ended(self.quarantine(object, &claim, &poison).await?)
            }
        })
    }

    /// Ends a claimed object whose bytes cannot be had or read.
    pub async fn quarantine(
        &self,
        object: &ObjectRef,
        claim: &ClaimToken,
        quarantined: &Quarantined,
    ) -> anyhow::Result<Outcome> {
        if !self.store.end_object(claim, ObjectEnd::Quarantined, Some(quarantined), time::now()).await? {
            return Ok(Outcome::Held);
        }
        warn!(object = %object.display(), reason = quarantined.reason, detail = %quarantined.detail, "object quarantined");
        self.metrics.object(&object.source, ObjectOutcome::Quarantined);
        self.metrics.quarantined("aws", quarantined.reason, 1);
        Ok(Outcome::Quarantined(quarantined.reason))
    }

    /// Reads and judges a claimed object.
    ///
    /// An error means that nothing changed and that the claim should be released.
    pub async fn judge(
        &self,
        judge: &mut Judge,
        object: &ObjectRef,
        claim: &ClaimToken,
        bytes: &[u8],
    ) -> anyhow::Result<Read> {
        let started = Instant::now();
        let read = run(bytes.len(), || ingest::read_object(object, bytes, &self.limits, &self.redaction));
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                let quarantined =
                    Quarantined::new(None, error.reason(), error.to_string(), bytes, &self.redaction);
                return Ok(Read::Ended(self.quarantine(object, claim, &quarantined).await?));
            }
        };
        if let Some(reason) = read.ignored {
            if !self.store.end_object(claim, ObjectEnd::Ignored, None, time::now()).await? {
                return Ok(Read::Ended(Outcome::Held));
            }
            self.metrics.object(&object.source, ObjectOutcome::Ignored);
            return Ok(Read::Ended(Outcome::Ignored(reason)));
        }
        let view = read.batch.view();
        let rows = read.batch.rows();
        let (is_new, events) = self.store.seen().unseen((0..rows).map(|row| event_of(&view, row)))?;
        let batch = only(&read.batch, is_new);
        let judged = judged(judge, &batch, bytes.len())
            .await
            .with_context(|| format!("cannot judge {}", object.display()))?;
        let view = batch.view();
        let sheet = Sheet {
            claim: claim.clone(),
            place: object.display(),
            origin: Some(origin(object, &read, &batch, &judged)),
            latest: (0..batch.rows()).filter_map(|row| view.time(row)).max(),
            duplicates: (rows - batch.rows()) as u64,
            sha256: read.sha256,
            read: read.read,
            events,
            quarantined: read.quarantined,
            findings: judged.findings,
            baseline: judged.calls.baseline,
            measures: judged.calls.measures,
            changes: judged.calls.changes,
            issued: judged.calls.issued,
            grants_revision: judged.calls.grants_revision,
        };
        self.metrics.judged(started.elapsed());
        Ok(Read::Judged(Box::new(sheet)))
    }

    /// Commits a judged object, together with whatever else waits.
    ///
    /// An error means that nothing was committed and that the claim should be released.
    pub async fn commit(&self, object: &ObjectRef, sheet: Box<Sheet>) -> anyhow::Result<Written> {
        let (sheet, committed) = self.desk.commit(sheet).await?;
        Ok(match committed? {
            Committed::Stored(stored) => {
                self.after_commit(object, &sheet, &stored);
                Written::Ended(Outcome::Done { events: sheet.events.len() as u64, stored: Box::new(stored) })
            }
            Committed::Clash => {
                debug!(object = %object.display(), "some of its events were judged elsewhere meanwhile");
                Written::Clash
            }
            Committed::Fenced => Written::Ended(Outcome::Held),
        })
    }

    /// Judges an object again under the grants as they are known now.
    ///
    /// An error means that nothing changed and that it waits on.
    pub async fn judge_again(&self, judge: &mut Judge, again: &Again, bytes: &[u8]) -> anyhow::Result<()> {
        let read =
            run(bytes.len(), || ingest::read_object(&again.object, bytes, &self.limits, &self.redaction));
        let read = match read {
            Ok(read) if read.sha256 == again.sha256 => read,
            _ => {
                warn!(object = %again.object.display(), "changed since it was judged; not judged again");
                return Ok(self.store.leave_again(&again.id).await?);
            }
        };
        let rows = read.batch.view();
        let counted = |at: usize| rows.row(at).is_none_or(|row| !again.left_out.contains(&row));
        let batch = only(&read.batch, (0..read.batch.rows()).map(counted).collect());
        let judged = judged(judge, &batch, bytes.len())
            .await
            .with_context(|| format!("cannot judge {} again", again.object.display()))?;
        let stored = self
            .store
            .commit_again(&again.id, &judged.findings, &judged.calls.measures, &self.settling.terms())
            .await?;
        for finding in stored.new_findings.iter().filter(|f| f.state.is_told()) {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        debug!(object = %again.object.display(), "judged again after a late policy change");
        Ok(())
    }

    fn after_commit(&self, object: &ObjectRef, sheet: &Sheet, stored: &StoredCommit) {
        self.rules.baseline.apply(&sheet.baseline);
        self.metrics.object(&object.source, ObjectOutcome::Done);
        self.metrics.events(&object.source, "aws", sheet.events.len() as u64);
        self.metrics.duplicates("aws", sheet.duplicates);
        for quarantined in &sheet.quarantined {
            self.metrics.quarantined("aws", quarantined.reason, 1);
        }
        for ((_, measure, answer), count) in &sheet.measures.counts {
            self.metrics.measured(*measure, answer, *count);
        }
        if let Some(latest) = sheet.latest {
            // An event from the future must not make everything else look late.
            self.metrics.watermark("aws", latest.min(time::now()));
        }
        for finding in stored.new_findings.iter().filter(|f| f.state.is_told()) {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        debug!(object = %object.display(), rows = sheet.events.len(), findings = sheet.findings.len(), "committed");
    }
}

/// Runs work of the CPU. Long work tells the runtime, so that other tasks of this thread, heartbeats among them, move on
/// meanwhile.
fn run<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LONG_WORK_BYTES { work() } else { block_in_place(work) }
}

async fn judged(judge: &mut Judge, batch: &EventBatch, bytes: usize) -> Result<Judged, JudgeError> {
    if bytes < LONG_WORK_BYTES {
        judge.judge(batch).await
    } else {
        block_in_place(|| Handle::current().block_on(judge.judge(batch)))
    }
}

/// The rows to keep.
pub fn only(batch: &EventBatch, keep: Vec<bool>) -> EventBatch {
    if keep.iter().all(|keep| *keep) { batch.clone() } else { batch.filter(&BooleanArray::from(keep)) }
}

/// How the object can be judged again.
fn origin(object: &ObjectRef, read: &ReadObject, judged_rows: &EventBatch, judged: &Judged) -> Origin {
    let (all, kept) = (read.batch.view(), judged_rows.view());
    let rows =
        |view: &EventView<'_>, n: usize| -> Vec<u32> { (0..n).filter_map(|at| view.row(at)).collect() };
    let kept_rows: HashSet<u32> = rows(&kept, judged_rows.rows()).into_iter().collect();
    let left_out = if judged_rows.rows() == read.batch.rows() {
        Vec::new()
    } else {
        rows(&all, read.batch.rows()).into_iter().filter(|row| !kept_rows.contains(row)).collect()
    };
    Origin {
        object: object.clone(),
        left_out,
        last_event: (0..judged_rows.rows()).filter_map(|at| kept.time(at)).max().unwrap_or_default(),
        callers: judged.calls.callers(&kept),
    }
}
