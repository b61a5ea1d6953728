//! One object's way from its bytes to the store: claim, read, judge, commit.

use crate::clouds::Clouds;
use crate::desk::{Desk, Settling, Sheet};
use crate::slices::{Broken, Reading, Take, Tools, new_rows};
use dashboards::Metrics;
use dashboards::metrics::ObjectOutcome;
use engine::calls::Rules;
use engine::detection::Detection;
use engine::finding::Finding;
use engine::grant::PolicyChange;
use engine::integrity::Integrity;
use engine::judge::{Judge, JudgeError, Judged};
use engine::seen::{Meeting, SeenError};
use engine::standing;
use engine::store::{
    Again, Claim, ClaimToken, Committed, ObjectEnd, Origin, Store, StoreError, StoredCommit, Sum,
};
use engine::time;
use ingest::object::{Room, Summary};
use ingest::quarantine::reason;
use ingest::{EventBatch, Limits, ObjectRef, Quarantined};
use std::collections::{BTreeSet, HashSet};
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
    /// The last attempt on it ended the process.
    Suspect(ClaimToken),
    Ended(Outcome),
}

/// What judging a claimed object gave.
#[derive(Debug)]
pub enum Read {
    /// To be committed.
    Judged(Box<Sheet>),
    /// There was nothing to judge.
    Ended(Outcome),
    /// Its bytes end too early: they may have been lost on the way.
    Torn,
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
    reading: Reading,
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
            reading: Reading::default(),
            detections,
            settling,
        }
    }

    /// Plans the detections for one worker.
    pub async fn worker(&self) -> Result<Tools, JudgeError> {
        let judge = Judge::new(self.rules.clone(), &self.detections).await?;
        Ok(Tools { judge, room: Room::default() })
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

    /// Keeps a finding about the logs themselves, once for each place.
    pub async fn find_integrity(&self, kind: Integrity, source: &str, place: &str) -> Result<(), StoreError> {
        let finding = kind.finding(source, place, time::now());
        let stored = self.store.keep_new(&[finding], &self.settling.terms()).await?;
        for finding in &stored.new_findings {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        Ok(())
    }

    pub fn limits(&self) -> &Limits {
        &self.reading.limits
    }

    /// Claims an object.
    pub async fn begin(&self, object: &ObjectRef) -> anyhow::Result<Begun> {
        let claim = self.desk.claim(object).await?;
        Ok(match claim {
            Claim::Mine(claim) => Begun::Mine(claim),
            Claim::Suspect(claim) => Begun::Suspect(claim),
            Claim::Done => {
                self.metrics.object(&object.source, ObjectOutcome::Duplicate);
                Begun::Ended(Outcome::Duplicate)
            }
            Claim::Held => Begun::Ended(Outcome::Held),
            Claim::Poison(claim) => {
                let detail = "reading it ended the process twice; it was not opened again";
                let poison = Quarantined::new(None, reason::POISON, detail, b"", &self.reading.redaction);
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
    /// An error means that nothing changed and that the claim should be released. `may_be_torn`: bytes that end too early
    /// are told as such, to be fetched once more.
    pub async fn judge(
        &self,
        tools: &mut Tools,
        object: &ObjectRef,
        claim: &ClaimToken,
        bytes: &[u8],
        may_be_torn: bool,
    ) -> anyhow::Result<Read> {
        let started = Instant::now();
        let _open = self.store.mark_open(&claim.object);
        let mut judged = Unwritten::of(object, self.store.seen().meeting());
        let summary = match self.judge_slices(tools, object, bytes, &mut judged).await {
            Ok(summary) => summary,
            Err(Broken::Object(error)) if may_be_torn && error.reason() == reason::GZIP_TRUNCATED => {
                return Ok(Read::Torn);
            }
            Err(Broken::Object(error)) => {
                let quarantined =
                    Quarantined::new(None, error.reason(), error.to_string(), bytes, &self.reading.redaction);
                return Ok(Read::Ended(self.quarantine(object, claim, &quarantined).await?));
            }
            Err(Broken::Judge(error)) => {
                return Err(error.context(format!("cannot judge {}", object.display())));
            }
        };
        if let Some(reason) = summary.ignored {
            if !self.store.end_object(claim, ObjectEnd::Ignored, None, time::now()).await? {
                return Ok(Read::Ended(Outcome::Held));
            }
            self.metrics.object(&object.source, ObjectOutcome::Ignored);
            return Ok(Read::Ended(Outcome::Ignored(reason)));
        }
        self.metrics.judged(started.elapsed());
        Ok(Read::Judged(Box::new(judged.sheet(object, claim, summary))))
    }

    async fn judge_slices(
        &self,
        tools: &mut Tools,
        object: &ObjectRef,
        bytes: &[u8],
        take: &mut impl Take,
    ) -> Result<Summary, Broken> {
        let judging = self.reading.judge(tools, object, bytes, take);
        if bytes.len() < LONG_WORK_BYTES {
            judging.await
        } else {
            // The CPU's work: other tasks of this thread, heartbeats among them, move on meanwhile.
            block_in_place(|| Handle::current().block_on(judging))
        }
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
    pub async fn judge_again(&self, tools: &mut Tools, again: &Again, bytes: &[u8]) -> anyhow::Result<()> {
        let object = &again.object;
        let mut judged = Rejudged { left_out: &again.left_out, sum: Sum::default() };
        match self.judge_slices(tools, object, bytes, &mut judged).await {
            Ok(summary) if summary.sha256 == again.sha256 => {}
            Ok(_) | Err(Broken::Object(_)) => {
                warn!(object = %object.display(), "changed since it was judged; not judged again");
                return Ok(self.store.leave_again(&again.id).await?);
            }
            Err(Broken::Judge(error)) => {
                return Err(error.context(format!("cannot judge {} again", object.display())));
            }
        }
        let findings: Vec<Finding> = judged.sum.findings.into_values().collect();
        let stored = self
            .store
            .commit_again(&again.id, &findings, &judged.sum.measures, &self.settling.terms())
            .await?;
        for finding in stored.new_findings.iter().filter(|f| f.state.is_told()) {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        debug!(object = %object.display(), "judged again after a late policy change");
        Ok(())
    }

    fn after_commit(&self, object: &ObjectRef, sheet: &Sheet, stored: &StoredCommit) {
        self.rules.baseline.apply(&sheet.baseline);
        self.metrics.object(&object.source, ObjectOutcome::Done);
        for cloud in sheet.clouds.iter() {
            self.metrics.events(&object.source, &cloud.name, cloud.events);
            self.metrics.duplicates(&cloud.name, cloud.duplicates);
            if let Some(latest) = cloud.latest {
                // An event from the future must not make everything else look late.
                self.metrics.watermark(&cloud.name, latest.min(time::now()));
            }
        }
        for quarantined in &sheet.quarantined {
            self.metrics.quarantined(sheet.clouds.main(), quarantined.reason, 1);
        }
        for ((_, measure, answer), count) in &sheet.measures.counts {
            self.metrics.measured(*measure, answer, *count);
        }
        for finding in stored.new_findings.iter().filter(|f| f.state.is_told()) {
            self.metrics.finding(&finding.detection, finding.severity);
        }
        debug!(object = %object.display(), rows = sheet.events.len(), findings = sheet.findings.len(), "committed");
    }
}

/// What the slices of an object add up to, before anything is written.
struct Unwritten<'s> {
    meeting: Meeting<'s>,
    sum: Sum,
    changes: Vec<PolicyChange>,
    /// The oldest that a slice was judged by.
    grants_revision: u64,
    quarantined: Vec<Quarantined>,
    origin: Origin,
    rows: usize,
    clouds: Clouds,
}

impl<'s> Unwritten<'s> {
    fn of(object: &ObjectRef, meeting: Meeting<'s>) -> Self {
        Self {
            meeting,
            sum: Sum::default(),
            changes: Vec::new(),
            grants_revision: u64::MAX,
            quarantined: Vec::new(),
            origin: Origin {
                object: object.clone(),
                left_out: Vec::new(),
                last_event: 0,
                callers: BTreeSet::new(),
            },
            rows: 0,
            clouds: Clouds::default(),
        }
    }

    fn sheet(self, object: &ObjectRef, claim: &ClaimToken, summary: Summary) -> Sheet {
        let events = self.meeting.ids();
        Sheet {
            claim: claim.clone(),
            place: object.display(),
            sha256: summary.sha256,
            read: summary.read,
            duplicates: (self.rows - events.len()) as u64,
            events,
            quarantined: self.quarantined,
            findings: self.sum.findings.into_values().collect(),
            baseline: self.sum.baseline,
            measures: self.sum.measures,
            issued: self.sum.issued,
            changes: self.changes,
            grants_revision: self.grants_revision,
            origin: Some(Origin { last_event: self.clouds.latest().unwrap_or_default(), ..self.origin }),
            clouds: self.clouds,
        }
    }
}

impl Take for Unwritten<'_> {
    fn choose(&mut self, batch: &EventBatch, _is_whole: bool) -> Result<Vec<bool>, SeenError> {
        let is_new = new_rows(&mut self.meeting, batch)?;
        let view = batch.view();
        let left_out = is_new.iter().enumerate().filter(|(_, is_new)| !**is_new);
        self.origin.left_out.extend(left_out.filter_map(|(at, _)| view.row(at)));
        Ok(is_new)
    }

    fn take(
        &mut self,
        all: &EventBatch,
        chosen: &EventBatch,
        judged: Judged,
        quarantined: Vec<Quarantined>,
    ) -> anyhow::Result<()> {
        let view = chosen.view();
        self.rows += all.rows();
        self.clouds.add(all, chosen);
        self.origin.callers.append(&mut judged.calls.callers(&view));
        self.grants_revision = self.grants_revision.min(judged.calls.grants_revision);
        self.quarantined.extend(quarantined);
        self.changes.extend_from_slice(&judged.calls.changes);
        self.sum.add_judged(judged);
        Ok(())
    }
}

/// What an object adds to findings and measures when it is judged again.
struct Rejudged<'a> {
    left_out: &'a HashSet<u32>,
    sum: Sum,
}

impl Take for Rejudged<'_> {
    fn choose(&mut self, batch: &EventBatch, _is_whole: bool) -> Result<Vec<bool>, SeenError> {
        let view = batch.view();
        let counted = |at: usize| view.row(at).is_none_or(|row| !self.left_out.contains(&row));
        Ok((0..batch.rows()).map(counted).collect())
    }

    fn take(
        &mut self,
        _all: &EventBatch,
        _chosen: &EventBatch,
        judged: Judged,
        _quarantined: Vec<Quarantined>,
    ) -> anyhow::Result<()> {
        self.sum.add_judged(judged);
        Ok(())
    }
}
