//! One object's way from its bytes to the store: claim, read, judge, commit.

use crate::calls_file::CallsFile;
use anyhow::Context;
use dashboards::Metrics;
use dashboards::metrics::ObjectOutcome;
use engine::baseline::BaselineRule;
use engine::calls::Rules;
use engine::detection::Detection;
use engine::grant::Touch;
use engine::judge::{Judge, JudgeError, Judged};
use engine::standing;
use engine::store::{
    Again, Claim, ClaimToken, Commit, Committed, ObjectEnd, Origin, Store, StoredCommit, Terms,
};
use engine::time::{self, MINUTE};
use ingest::event::EventView;
use ingest::{EventBatch, Limits, ObjectRef, Quarantined, ReadObject, Redaction};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tracing::{debug, warn};

/// How long a claim keeps other workers away. The process that owns the store ends stale ones at its start.
const CLAIM_LEASE: i64 = 15 * MINUTE;

/// Rounds of judging against duplicates that other workers committed meanwhile; each round leaves fewer.
const CLASHES_MAX: usize = 16;

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

/// Everything that objects pass through.
#[derive(Debug)]
pub struct Pipeline {
    pub store: Store,
    pub rules: Arc<Rules>,
    pub metrics: Arc<Metrics>,
    limits: Limits,
    redaction: Redaction,
    detections: Vec<Detection>,
    settled: BTreeSet<String>,
    rule: BaselineRule,
    alert_max_age: Option<i64>,
    calls: Option<CallsFile>,
    judges_again: bool,
}

impl Pipeline {
    pub fn new(
        store: Store,
        rules: Arc<Rules>,
        metrics: Arc<Metrics>,
        detections: Vec<Detection>,
        alert_max_age: Option<i64>,
    ) -> Pipeline {
        Pipeline {
            rule: rules.baseline.rule(),
            store,
            rules,
            metrics,
            limits: Limits::default(),
            redaction: Redaction::default(),
            settled: detections.iter().filter(|d| d.settled).map(|d| d.id.clone()).collect(),
            detections,
            alert_max_age,
            calls: None,
            judges_again: false,
        }
    }

    /// Plans the detections for one worker.
    pub async fn worker(&self) -> Result<Judge, JudgeError> {
        Judge::new(self.rules.clone(), &self.detections).await
    }

    /// Also writes one line per judged event.
    pub fn with_calls(mut self, calls: CallsFile) -> Pipeline {
        self.calls = Some(calls);
        self
    }

    /// Keeps what is needed to judge objects again when a policy change arrives late.
    pub fn judging_again(mut self) -> Pipeline {
        self.judges_again = true;
        self
    }

    /// Keeps a finding for each policy file that cannot be read, as long as that is so.
    pub async fn stand(&self) -> anyhow::Result<()> {
        let unparsed = self.rules.manifests.latest().unparsed.iter().chain(&self.rules.grants.unparsed);
        let findings = standing::unparsed_policies(unparsed, time::now());
        let stored = self.store.stand(standing::POLICY_UNPARSED, &findings, &self.terms()).await?;
        for finding in &stored.new_findings {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        Ok(())
    }

    fn terms(&self) -> Terms<'_> {
        Terms { settled: &self.settled, rule: self.rule, alert_max_age: self.alert_max_age, now: time::now() }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Ends the file of calls, if there is one.
    pub fn finish_calls(&self) -> anyhow::Result<()> {
        self.calls.as_ref().map_or(Ok(()), CallsFile::finish)
    }

    /// Claims an object.
    pub async fn begin(&self, object: &ObjectRef) -> anyhow::Result<Begun> {
        let place = object.display();
        let claim = self.store.claim(&object.id(), &object.source, &place, CLAIM_LEASE, time::now()).await?;
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

    /// Reads, judges and commits a claimed object.
    ///
    /// An error means that nothing was committed and that the claim should be released.
    pub async fn judge(
        &self,
        judge: &mut Judge,
        object: &ObjectRef,
        claim: &ClaimToken,
        bytes: &[u8],
    ) -> anyhow::Result<Outcome> {
        let read =
            tokio::task::block_in_place(|| ingest::read_object(object, bytes, &self.limits, &self.redaction));
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                let quarantined =
                    Quarantined::new(None, error.reason(), error.to_string(), bytes, &self.redaction);
                return self.quarantine(object, claim, &quarantined).await;
            }
        };
        if let Some(reason) = read.ignored {
            if !self.store.end_object(claim, ObjectEnd::Ignored, None, time::now()).await? {
                return Ok(Outcome::Held);
            }
            self.metrics.object(&object.source, ObjectOutcome::Ignored);
            return Ok(Outcome::Ignored(reason));
        }
        self.judge_records(judge, object, claim, &read).await
    }

    async fn judge_records(
        &self,
        judge: &mut Judge,
        object: &ObjectRef,
        claim: &ClaimToken,
        read: &ReadObject,
    ) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        let mut known = HashSet::new();
        for _ in 0..CLASHES_MAX {
            let (batch, event_ids) = unique_events(&read.batch, &known);
            // The CPU's work: other tasks of this thread, heartbeats among them, move on meanwhile.
            let judged = tokio::task::block_in_place(|| Handle::current().block_on(judge.judge(&batch)))
                .with_context(|| format!("cannot judge {}", object.display()))?;
            let duplicates = read.batch.rows() - batch.rows();
            let origin = self.judges_again.then(|| origin(object, read, &batch, &judged));
            let commit = Commit {
                claim,
                place: &object.display(),
                sha256: &read.sha256,
                read: read.read as i64,
                duplicates: duplicates as i64,
                event_ids: &event_ids,
                quarantined: &read.quarantined,
                baseline: &judged.calls.baseline,
                findings: &judged.findings,
                changes: &judged.calls.changes,
                touched: &self.rules.grants.touched(&judged.calls.changes),
                issued: &judged.calls.issued,
                measures: &judged.calls.measures,
                origin: origin.as_ref(),
                terms: self.terms(),
            };
            let committing = Instant::now();
            match self.store.commit(&commit).await? {
                Committed::Stored(stored) => {
                    self.metrics.committed(committing.elapsed());
                    self.metrics.judged(committing.duration_since(started));
                    self.after_commit(object, read, &batch, &judged, duplicates, &stored)?;
                    if let Some(origin) = &origin {
                        self.mark_if_outdated(claim, origin, judged.calls.grants_revision).await?;
                    }
                    return Ok(Outcome::Done { events: batch.rows() as u64, stored: Box::new(stored) });
                }
                Committed::Clash(ids) => {
                    debug!(object = %object.display(), clashes = ids.len(), "events were known before");
                    known.extend(ids);
                }
                Committed::Fenced => return Ok(Outcome::Held),
            }
        }
        anyhow::bail!(
            "{} lost {CLASHES_MAX} races against other workers; it will be tried again",
            object.display()
        )
    }

    /// Marks an object whose callers' grants changed between its judgement and its commit.
    async fn mark_if_outdated(
        &self,
        claim: &ClaimToken,
        origin: &Origin,
        revision: u64,
    ) -> anyhow::Result<()> {
        let touches =
            |touch: &Touch| touch.from <= origin.last_event && origin.callers.contains(&touch.principal);
        let touched = self.rules.grants.touched_since(revision);
        if touched.is_none_or(|touched| touched.iter().any(touches)) {
            self.store.mark_again(&claim.object).await?;
        }
        Ok(())
    }

    /// Judges an object again under the grants as they are known now.
    ///
    /// An error means that nothing changed and that it waits on.
    pub async fn judge_again(&self, judge: &mut Judge, again: &Again, bytes: &[u8]) -> anyhow::Result<()> {
        let read = tokio::task::block_in_place(|| {
            ingest::read_object(&again.object, bytes, &self.limits, &self.redaction)
        });
        let read = match read {
            Ok(read) if read.sha256 == again.sha256 => read,
            _ => {
                warn!(object = %again.object.display(), "changed since it was judged; not judged again");
                return Ok(self.store.leave_again(&again.id).await?);
            }
        };
        let rows = read.batch.view();
        let counted = |at: usize| rows.row(at).is_none_or(|row| !again.left_out.contains(&row));
        let keep: Vec<bool> = (0..read.batch.rows()).map(counted).collect();
        let batch = read.batch.filter(&arrow::array::BooleanArray::from(keep));
        let judged = tokio::task::block_in_place(|| Handle::current().block_on(judge.judge(&batch)))
            .with_context(|| format!("cannot judge {} again", again.object.display()))?;
        let stored = self
            .store
            .commit_again(&again.id, &judged.findings, &judged.calls.measures, &self.terms())
            .await?;
        for finding in stored.new_findings.iter().filter(|f| f.state.is_told()) {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        debug!(object = %again.object.display(), "judged again after a late policy change");
        Ok(())
    }

    fn after_commit(
        &self,
        object: &ObjectRef,
        read: &ReadObject,
        batch: &EventBatch,
        judged: &Judged,
        duplicates: usize,
        stored: &StoredCommit,
    ) -> anyhow::Result<()> {
        self.rules.baseline.apply(&judged.calls.baseline);
        self.metrics.object(&object.source, ObjectOutcome::Done);
        self.metrics.events(&object.source, "aws", batch.rows() as u64);
        self.metrics.duplicates("aws", duplicates as u64);
        for quarantined in &read.quarantined {
            self.metrics.quarantined("aws", quarantined.reason, 1);
        }
        for ((_, measure, answer), count) in &judged.calls.measures.counts {
            self.metrics.measured(*measure, answer, *count);
        }
        let view = batch.view();
        if let Some(latest) = (0..batch.rows()).filter_map(|row| view.time(row)).max() {
            // An event from the future must not make everything else look late.
            self.metrics.watermark("aws", latest.min(time::now()));
        }
        for finding in stored.new_findings.iter().filter(|f| f.state.is_told()) {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        if let Some(calls) = &self.calls {
            calls.write(&view, &judged.calls)?;
        }
        debug!(object = %object.display(), rows = batch.rows(), findings = judged.findings.len(), "batch judged");
        Ok(())
    }
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

/// The first of each event that is not known yet, with its identity.
fn unique_events(batch: &EventBatch, known: &HashSet<String>) -> (EventBatch, Vec<String>) {
    let view = batch.view();
    let mut seen = HashSet::with_capacity(batch.rows());
    let mut ids = Vec::with_capacity(batch.rows());
    let mut keep = Vec::with_capacity(batch.rows());
    for row in 0..batch.rows() {
        // An event that was delivered again with more in it (`addendum`) is another one: it is judged anew.
        let id = format!(
            "{}:{}{}{}",
            view.recipient_account(row).or(view.account(row)).unwrap_or_default(),
            view.event_id(row),
            if view.addendum(row).is_some() { "+" } else { "" },
            view.addendum(row).unwrap_or_default(),
        );
        let is_new = !known.contains(&id) && seen.insert(id.clone());
        if is_new {
            ids.push(id);
        }
        keep.push(is_new);
    }
    if ids.len() == batch.rows() {
        return (batch.clone(), ids);
    }
    (batch.filter(&arrow::array::BooleanArray::from(keep)), ids)
}
