//! Who keeps the ledger of log files: sweeps, fetches what nobody told of, verifies digests, tells what is wrong.
//!
//! All of it runs beside judging. Nothing here delays a finding, and nothing here decides one of a detection.

mod heal;
mod keys;
mod sweep;

use crate::config::LedgerConfig;
use crate::halt::Halt;
use crate::pipeline::{Outcome, Pipeline};
use engine::finding::Finding;
use engine::ledger::{DETECTION, is_looked_up, is_silence};
use engine::store::{FindingFilter, Patience, Store, StoreError, Verified, files_as_digest};
use engine::time;
use ingest::ObjectRef;
use ingest::digest::{Digest, DigestProblem};
use ingest::source::SourceConfig;
use keys::Keys;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use heal::heal;
pub use sweep::sweep;

/// How often facts become verdicts.
const RECKON_EVERY: Duration = Duration::from_secs(1);
/// How often time alone is asked whether it made something late.
const LATE_EVERY: u32 = 5;
/// How often digests whose key was not known are tried again, and old hours are rolled up.
const AGAIN_EVERY: Duration = Duration::from_secs(15 * 60);
/// Digests that are verified at once.
const DIGESTS_MAX: i64 = 64;
/// Facts that wait to be written.
const FACTS_MAX: usize = 4_096;
/// How often facts are written that a store refuses which works for others.
const WRITES_MAX: usize = 5;
/// How long facts are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(100);

/// A fact that intake has for the ledger.
#[derive(Debug)]
pub enum Fact {
    /// Somebody told of it.
    Announced(ObjectRef),
    /// It ended without a commit of its own.
    Ended(ObjectRef),
}

/// Where intake tells the ledger. By default nobody listens.
#[derive(Debug, Clone, Default)]
pub struct LedgerDesk {
    kept: BTreeSet<String>,
    signed: BTreeSet<String>,
    facts: Option<mpsc::Sender<Fact>>,
}

impl LedgerDesk {
    /// A desk for the configured sources, and what is told at it.
    pub fn open(sources: &[SourceConfig]) -> (LedgerDesk, mpsc::Receiver<Fact>) {
        let (facts, told) = mpsc::channel(FACTS_MAX);
        let mut desk = LedgerDesk { facts: Some(facts), ..LedgerDesk::default() };
        for source in sources {
            let SourceConfig::S3Sqs(config) = source else { continue };
            if config.digests {
                desk.signed.insert(config.name.clone());
            }
            if config.digests || !config.sweep.is_zero() {
                desk.kept.insert(config.name.clone());
            }
        }
        (desk, told)
    }

    /// Sources whose log files are held against digests.
    pub fn signed(&self) -> &BTreeSet<String> {
        &self.signed
    }

    /// Whether the ledger keeps an object's source.
    pub fn keeps(&self, object: &ObjectRef) -> bool {
        self.kept.contains(&object.source) || (self.facts.is_some() && is_looked_up(&object.key))
    }

    /// Whether an object is a digest that the ledger verifies.
    pub fn takes(&self, object: &ObjectRef) -> bool {
        self.signed.contains(&object.source) && files_as_digest(object)
    }

    pub async fn announced(&self, object: &ObjectRef) {
        self.tell(object, Fact::Announced).await;
    }

    pub async fn ended(&self, object: &ObjectRef, outcome: &Outcome) {
        // What was committed told of itself in the same transaction, and so did a digest that was kept.
        if !files_as_digest(object)
            && matches!(outcome, Outcome::Duplicate | Outcome::Ignored(_) | Outcome::Quarantined(_))
        {
            self.tell(object, Fact::Ended).await;
        }
    }

    async fn tell(&self, object: &ObjectRef, fact: impl Fn(ObjectRef) -> Fact) {
        let is_kept = self.keeps(object) && (!files_as_digest(object) || self.takes(object));
        if let Some(facts) = self.facts.as_ref().filter(|_| is_kept) {
            // Nobody listens only while everything ends; the message comes back then.
            _ = facts.send(fact(object.clone())).await;
        }
    }
}

/// Writes what intake tells, many facts at once; those that find no room are written when there is some.
pub async fn write_facts(
    pipeline: Arc<Pipeline>,
    halt: Halt,
    mut told: mpsc::Receiver<Fact>,
    cancel: CancellationToken,
) {
    let mut facts = Vec::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            count = told.recv_many(&mut facts, FACTS_MAX) => if count == 0 { return },
        }
        tokio::time::sleep(GATHER).await;
        while facts.len() < FACTS_MAX
            && let Ok(fact) = told.try_recv()
        {
            facts.push(fact);
        }
        let written = async {
            for _ in 0..WRITES_MAX {
                halt.over().await;
                let Err(cause) = write(&pipeline.store, &facts).await else { return };
                warn!(%cause, facts = facts.len(), "what the ledger is told is not written yet");
                halt.failed(&cause);
            }
            // A listing or a repeated message tells of it again.
            warn!(facts = facts.len(), "the ledger missed some announcements");
        };
        if cancel.run_until_cancelled(written).await.is_none() {
            return;
        }
        facts.clear();
    }
}

async fn write(store: &Store, facts: &[Fact]) -> Result<(), StoreError> {
    let mut announced = Vec::new();
    let mut ended = Vec::new();
    for fact in facts {
        match fact {
            Fact::Announced(object) => announced.push(object.clone()),
            Fact::Ended(object) => ended.push(object),
        }
    }
    store.announced(&announced, time::now()).await?;
    for object in ended {
        store.ended_before(object, time::now()).await?;
    }
    Ok(())
}

/// Turns facts into verdicts and verdicts into findings.
pub struct Accountant {
    pipeline: Arc<Pipeline>,
    config: LedgerConfig,
    keys: Keys,
    /// Since when it listens.
    since: i64,
    /// What was told last; nothing before the first time.
    told: Option<Vec<Finding>>,
}

impl Accountant {
    /// Takes up the ledger where it was left.
    pub async fn open(pipeline: Arc<Pipeline>, config: LedgerConfig) -> anyhow::Result<Accountant> {
        let keys = Keys::open(&pipeline.store, &config).await?;
        Ok(Accountant { pipeline, config, keys, since: time::now(), told: None })
    }

    pub async fn run(mut self, halt: Halt, cancel: CancellationToken) {
        let mut every = tokio::time::interval(RECKON_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut again = Instant::now();
        let mut rounds: u32 = 0;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                // Not while the store cannot keep it.
                () = async { every.tick().await; halt.over().await; } => {}
            }
            let is_late = rounds.is_multiple_of(LATE_EVERY);
            rounds = rounds.wrapping_add(1);
            let is_again = again.elapsed() >= AGAIN_EVERY;
            if is_again {
                again = Instant::now();
            }
            // A stop does not wait for a service that does not answer; what was begun is done again.
            let done = tokio::select! {
                () = cancel.cancelled() => return,
                done = self.round(is_late, is_again) => done,
            };
            if let Err(cause) = done {
                self.pipeline.metrics.store_error();
                warn!(
                    cause = format!("{cause:#}"),
                    "the ledger could not be brought up to date; it is tried again"
                );
            }
        }
    }

    async fn round(&mut self, is_late: bool, is_again: bool) -> anyhow::Result<()> {
        let store = self.pipeline.store.clone();
        let verified = self.verify(is_again).await?;
        let linked = store.link_digests(time::now()).await?;
        let patience = Patience { now: time::now(), grace: self.config.grace.as_micros() as i64 };
        let changed = store.reckon(&patience).await?;
        if changed || verified > 0 || linked > 0 || is_late {
            self.tell(&patience).await?;
            self.pipeline.metrics.ledger(&store.ledger_totals().await?);
        }
        if is_again {
            let (detail, retention) = self.config.kept();
            store.roll_up_ledger(patience.now - detail, patience.now - retention).await?;
        }
        Ok(())
    }

    /// Verifies the digests that came. One whose key nobody knows waits, for as long as something may still come.
    async fn verify(&mut self, again: bool) -> anyhow::Result<usize> {
        let mut raw = self.pipeline.store.unverified_digests(false, DIGESTS_MAX).await?;
        if again {
            raw.extend(self.pipeline.store.unverified_digests(true, DIGESTS_MAX).await?);
        }
        if raw.is_empty() {
            return Ok(0);
        }
        self.keys.ask_for(&self.pipeline.store, &raw).await?;
        let patient_until = time::now() - self.config.grace.as_micros() as i64;
        let ring = self.keys.ring();
        let mut verified = Vec::with_capacity(raw.len());
        for raw in raw {
            let outcome = Digest::verify(&raw.place, &raw.bytes, &raw.metadata, ring);
            let may_pass = matches!(outcome, Err(DigestProblem::KeyUnknown { .. }));
            if may_pass && raw.first_at > patient_until {
                continue;
            }
            if let Err(problem) = &outcome {
                warn!(digest = %raw.place, %problem, "a digest proves nothing");
            }
            verified.push(Verified { raw, outcome });
        }
        self.pipeline.store.keep_verified(&verified).await?;
        Ok(verified.len())
    }

    async fn tell(&mut self, patience: &Patience) -> anyhow::Result<()> {
        let mut findings = self.pipeline.store.ledger_findings(patience).await?;
        if patience.now < self.since.saturating_add(patience.grace) {
            // What came while nobody listened is still on its way: silence of that time is not told, nor taken back.
            let filter = FindingFilter { detection: Some(DETECTION.to_owned()), ..FindingFilter::default() };
            let known: BTreeSet<String> =
                self.pipeline.store.findings(&filter).await?.into_iter().map(|finding| finding.id).collect();
            findings.retain(|finding| !is_silence(finding) || known.contains(&finding.id));
        }
        if self.told.as_ref().is_some_and(|told| is_same(&findings, told)) {
            return Ok(());
        }
        let stored = self.pipeline.store.stand(DETECTION, &findings, &self.pipeline.terms()).await?;
        for finding in &stored.new_findings {
            info!(finding = %finding.id, title = %finding.title, "the logs are not whole");
            self.pipeline.metrics.finding(&finding.detection, finding.severity);
        }
        self.told = Some(findings);
        Ok(())
    }
}

/// Whether the same was told before; since when is no matter.
fn is_same(a: &[Finding], b: &[Finding]) -> bool {
    let said = |finding: &Finding| (finding.id.clone(), finding.count, finding.why.clone());
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| said(a) == said(b))
}
