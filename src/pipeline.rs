//! One object's way from its bytes to the store: claim, read, judge, commit.

mod ends;
mod unwritten;

pub use ends::{Begun, Outcome, Read, Written};

use crate::clouds;
use crate::desk::{Desk, Settling, Sheet};
use crate::ledger::LedgerDesk;
use crate::slices::{Broken, Reading, Take, Tools};
use dashboards::Metrics;
use dashboards::metrics::{ObjectOutcome, Unfamiliar};
use engine::calls::Rules;
use engine::detection::Detection;
use engine::finding::Finding;
use engine::integrity::Integrity;
use engine::judge::{Judge, JudgeError, Plans};
use engine::lake::Lake;
use engine::standing;
use engine::store::{
    Again, Claim, ClaimToken, Committed, Content, LogRead, ObjectEnd, Readmitted, Store, StoreError,
    StoredCommit, Sum, Unread,
};
use engine::time;
use ingest::digest::Metadata;
use ingest::event::Columns;
use ingest::object::{Room, Summary, sha256};
use ingest::planted::{Bug, bug};
use ingest::quarantine::reason;
use ingest::{Limits, ObjectError, ObjectRef, Quarantined};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::block_in_place;
use tracing::{debug, error, warn};
use unwritten::{Rejudged, Unwritten};

/// Objects of fewer bytes are read and judged in about a millisecond: not worth telling the runtime.
const LONG_WORK_BYTES: usize = 32 << 10;

/// Everything that objects pass through.
#[derive(Debug)]
pub struct Pipeline {
    pub store: Store,
    pub rules: Arc<Rules>,
    pub metrics: Arc<Metrics>,
    lake: Option<Lake>,
    desk: Desk,
    reading: Reading,
    plans: Arc<Plans>,
    settling: Arc<Settling>,
    /// Claims that are to be given back and could not be: on a full disk even that is a write.
    unreleased: Mutex<Vec<ClaimToken>>,
    /// What is told to the ledger of log files.
    pub ledger: LedgerDesk,
}

impl Pipeline {
    pub fn new(
        store: Store,
        rules: Arc<Rules>,
        metrics: Arc<Metrics>,
        detections: &[Detection],
        alert_max_age: Option<i64>,
        lake: Option<Lake>,
    ) -> Result<Pipeline, JudgeError> {
        let plans = Arc::new(Plans::new(detections)?);
        let settling = Arc::new(Settling::new(detections, &rules, alert_max_age));
        let mut reading = Reading::default();
        if lake.is_some() {
            (reading.columns, reading.built) = (Columns::ALL, None);
        }
        Ok(Pipeline {
            desk: Desk::open(store.clone(), rules.clone(), metrics.clone(), settling.clone(), lake.clone()),
            store,
            rules,
            metrics,
            lake,
            reading,
            plans,
            settling,
            ledger: LedgerDesk::default(),
            unreleased: Mutex::default(),
        })
    }

    /// Gives a claim back: now, else as soon as somebody finds it held.
    pub async fn release(&self, claim: &ClaimToken) {
        self.unreleased.lock().await.push(claim.clone());
        self.release_all().await;
    }

    /// Whether any claim was given back.
    async fn release_all(&self) -> bool {
        let mut unreleased = self.unreleased.lock().await;
        let mut some = false;
        while let Some(claim) = unreleased.last() {
            if let Err(cause) = self.store.release(claim).await {
                warn!(%cause, claims = unreleased.len(), "not given back yet");
                break;
            }
            unreleased.pop();
            some = true;
        }
        some
    }

    /// The same with a ledger of the log files of some sources.
    pub fn with_ledger(mut self, ledger: LedgerDesk) -> Pipeline {
        self.reading.signed = ledger.signed().clone();
        self.ledger = ledger;
        self
    }

    /// What settles and tells findings now.
    pub fn terms(&self) -> engine::store::Terms<'_> {
        self.settling.terms()
    }

    /// What the ledger keeps of an object that was read.
    fn log_read(&self, object: &ObjectRef, summary: &Summary) -> Option<LogRead> {
        let content = match &summary.content_sha256 {
            _ if !self.reading.is_signed(object) => Content::Unasked,
            Some(hash) => Content::Sha256(hash.clone()),
            None => Content::NotGzip,
        };
        self.ledger.keeps(object).then(|| LogRead { object: object.clone(), content })
    }

    /// What one worker reads and judges with.
    pub fn worker(&self) -> Tools {
        Tools { judge: Judge::new(self.rules.clone(), self.plans.clone()), room: Room::default() }
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

    /// Keeps the findings of a detection that no event makes, as long as they are given; people are told of them.
    pub async fn stand_for(&self, detection: &str, findings: &[Finding]) -> anyhow::Result<()> {
        self.store.stand(detection, findings, &self.settling.terms()).await?;
        Ok(())
    }

    /// Completes when what is taken now can be kept.
    pub async fn room(&self) {
        if let Some(lake) = &self.lake {
            lake.room().await;
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.reading.limits
    }

    /// Claims an object.
    pub async fn begin(&self, object: &ObjectRef) -> anyhow::Result<Begun> {
        let mut claim = self.desk.claim(object).await?;
        if matches!(claim, Claim::Held) && self.release_all().await {
            // It may have been ours, from when the store could not take it back.
            claim = self.desk.claim(object).await?;
        }
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
        let end = Some((object, quarantined));
        if !self.store.end_object(claim, ObjectEnd::Quarantined, end, time::now()).await? {
            return Ok(Outcome::Held);
        }
        warn!(object = %object.display(), reason = quarantined.reason, detail = %quarantined.detail, "object quarantined");
        self.metrics.object(&object.source, ObjectOutcome::Quarantined);
        self.metrics.quarantined(clouds::of_place(&object.key), quarantined.reason, 1);
        Ok(Outcome::Quarantined(quarantined.reason))
    }

    /// Ends a claimed object that is a digest: the ledger verifies it in its own time, and no finding waits for that.
    pub async fn keep_digest(
        &self,
        object: &ObjectRef,
        claim: &ClaimToken,
        bytes: &[u8],
        metadata: &Metadata,
    ) -> anyhow::Result<Read> {
        self.store.keep_digest(object, bytes, metadata, time::now()).await?;
        if !self.store.end_object(claim, ObjectEnd::Ignored, None, time::now()).await? {
            return Ok(Read::Ended(Outcome::Held));
        }
        self.metrics.object(&object.source, ObjectOutcome::Ignored);
        Ok(Read::Ended(Outcome::Ignored("digest")))
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
        let mut judged = Unwritten::of(object, self.store.seen().meeting(), self.lake.as_ref());
        let summary = match self.judge_slices(tools, object, bytes, &mut judged).await {
            Ok(summary) => summary,
            Err(Broken::Object(error)) if may_be_torn && error.reason() == reason::GZIP_TRUNCATED => {
                return Ok(Read::Torn);
            }
            Err(Broken::Object(_)) if bug(Bug::DropOnParseError) => {
                self.store.end_object(claim, ObjectEnd::Ignored, None, time::now()).await?;
                return Ok(Read::Ended(Outcome::Ignored("dropped")));
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
        let log = self.log_read(object, &summary);
        if let Some(reason) = summary.ignored {
            if let Some(log) = &log {
                self.store.log_read(log, &sha256(bytes), time::now()).await?;
            }
            if !self.store.end_object(claim, ObjectEnd::Ignored, None, time::now()).await? {
                return Ok(Read::Ended(Outcome::Held));
            }
            self.metrics.object(&object.source, ObjectOutcome::Ignored);
            return Ok(Read::Ended(Outcome::Ignored(reason)));
        }
        self.metrics.judged(started.elapsed());
        Ok(Read::Judged(Box::new(judged.sheet(object, claim, bytes, summary, log))))
    }

    /// Reads and judges the records of a judged object that were not read, of `only` these rows where they are known.
    ///
    /// An error means that nothing changed.
    pub async fn judge_unread(
        &self,
        tools: &mut Tools,
        unread: &Unread,
        only: Option<&HashSet<u32>>,
        claim: &ClaimToken,
        bytes: &[u8],
    ) -> anyhow::Result<Result<Box<Sheet>, ObjectError>> {
        let object = &unread.object;
        let readmitted = Some(Readmitted { of: unread.id.clone(), rows: Vec::new() });
        let meeting = self.store.seen().meeting();
        let mut judged = Unwritten { only, readmitted, ..Unwritten::of(object, meeting, self.lake.as_ref()) };
        match self.judge_slices(tools, object, bytes, &mut judged).await {
            Ok(summary) => Ok(Ok(Box::new(judged.sheet(object, claim, bytes, summary, None)))),
            Err(Broken::Object(error)) => Ok(Err(error)),
            Err(Broken::Judge(error)) => {
                Err(error.context(format!("cannot judge {} again", object.display())))
            }
        }
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
            Committed::Miscounted(miscount) => {
                error!(object = %object.display(), miscount, "not committed");
                let reason = reason::MISCOUNTED;
                let fault = Quarantined::new(None, reason, miscount, b"", &self.reading.redaction);
                // Records read again wait on as they are.
                let is_whole = sheet.readmitted.is_none();
                Written::Ended(match is_whole {
                    true => self.quarantine(object, &sheet.claim, &fault).await?,
                    false => Outcome::Quarantined(reason),
                })
            }
        })
    }

    /// Judges an object again under the grants as they are known now.
    ///
    /// An error means that nothing changed and that it waits on.
    pub async fn judge_again(&self, tools: &mut Tools, again: &Again, bytes: &[u8]) -> anyhow::Result<()> {
        let object = &again.object;
        let mut judged = Rejudged { left_out: &again.left_out, sum: Sum::default() };
        match self.judge_slices(tools, object, bytes, &mut judged).await {
            Ok(_) if sha256(bytes) == again.sha256 => {}
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
        if sheet.is_canary {
            return;
        }
        self.rules.baseline.apply(&sheet.baseline);
        // What is read again was counted when it came: only its events are new.
        let is_first = sheet.readmitted.is_none();
        if is_first {
            self.metrics.object(&object.source, ObjectOutcome::Done);
        }
        self.metrics.unfamiliar(Unfamiliar::Version, if is_first { sheet.unfamiliar } else { 0 });
        for cloud in sheet.clouds.iter() {
            self.metrics.unfamiliar(Unfamiliar::Category, cloud.unfamiliar);
            self.metrics.events(&object.source, &cloud.name, cloud.events);
            if is_first {
                self.metrics.duplicates(&cloud.name, cloud.duplicates);
            }
            if let Some(latest) = cloud.latest {
                // An event from the future must not make everything else look late.
                self.metrics.watermark(&cloud.name, latest.min(time::now()));
            }
        }
        for quarantined in sheet.quarantined.iter().filter(|_| is_first) {
            let cloud = sheet.clouds.main().unwrap_or_else(|| clouds::of_place(&object.key));
            self.metrics.quarantined(cloud, quarantined.reason, 1);
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
