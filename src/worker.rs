//! What is done with one delivery: claimed, fetched, judged, committed; and what is done when one of these fails.
//!
//! A message stays hidden while its object waits for S3 or for the store: what passes by itself must not use up the receives
//! after which a queue gives a message to its dead letters.

use crate::desk::DeskError;
use crate::halt::Halt;
use crate::health::Progress;
use crate::intake::{Intake, Watcher, acknowledge};
use crate::patience::Patience;
use crate::pipeline::{Begun, Outcome, Pipeline, Read, Written};
use crate::pulse::Pulse;
use crate::slices::Tools;
use crate::turns::Turns;
use dashboards::metrics::ObjectOutcome;
use engine::integrity::{Integrity, is_trail_log};
use engine::lake::LakeError;
use engine::store::{ClaimToken, StoreError};
use futures::FutureExt;
use ingest::planted::{Bug, bug};
use ingest::quarantine::reason;
use ingest::source::{Delivery, FetchError, Fetcher, Source, Ticket};
use ingest::sources::s3_sqs::Listing;
use ingest::{ObjectRef, Quarantined, Redaction};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Deliveries of one object after which what may still pass (a missing object, a refused read) no longer may.
const ATTEMPTS_MAX: u32 = 5;

/// Objects in memory for each worker, being fetched or judged: more than one where fetching is waiting.
const FETCHED_FROM_AFAR: usize = 4;

/// Rounds of judging against duplicates that other workers committed meanwhile; each round leaves fewer.
const CLASHES_MAX: usize = 16;

/// Objects that wait beside the work, with their messages hidden; further ones go back to the queue.
const ASIDE_MAX: usize = 1_000;

/// How often one object may fail at a store that works for others.
const STORE_FAILURES_MAX: u32 = 5;

/// When a message comes back whose object is being worked on, with another delivery waiting already.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// An object that was open when the process ended is not opened before this one has run for so long: a process that is
/// ended from outside again and again must not make it look like poison.
const CALM: Duration = Duration::from_secs(5);

/// What is done with deliveries, for many at once.
pub struct Worker {
    pipeline: Arc<Pipeline>,
    halt: Halt,
    watcher: Watcher,
    pulse: Arc<Pulse>,
    fetcher: Fetcher,
    listing: Option<Listing>,
    /// None for a source whose objects come back by themselves.
    retry_for: Option<Duration>,
    /// One for each worker; the permits of `idle` say how many are free.
    tools: Vec<Mutex<Tools>>,
    idle: Semaphore,
    in_memory: Semaphore,
    turns: Arc<Turns>,
    pub progress: Arc<Progress>,
    aside: AtomicUsize,
    calm: Instant,
    cancel: CancellationToken,
    deadline: CancellationToken,
}

/// Whether too many rows wait for the lake: nothing failed, and there will be room.
fn is_no_room(cause: &anyhow::Error) -> bool {
    cause.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(DeskError::Lake(LakeError::Full { .. })))
            || matches!(cause.downcast_ref(), Some(LakeError::Full { .. }))
    })
}

/// How an attempt on an object went.
enum Tried {
    Ended(Outcome),
    Unfetched(FetchError),
    /// It was not begun, or not ended, because we stop.
    Stopped,
}

impl Worker {
    pub async fn of(intake: &Intake, source: &Source, cancel: &CancellationToken) -> anyhow::Result<Worker> {
        let mut tools = Vec::with_capacity(intake.workers);
        for _ in 0..intake.workers {
            tools.push(Mutex::new(intake.pipeline.worker()));
        }
        let fetched = if source.retry_for().is_some() { FETCHED_FROM_AFAR } else { 1 };
        Ok(Worker {
            pipeline: intake.pipeline.clone(),
            halt: intake.halt.clone(),
            watcher: intake.watcher.clone(),
            pulse: intake.pulse.clone(),
            fetcher: source.fetcher(),
            listing: source.listing(),
            retry_for: source.retry_for(),
            tools,
            idle: Semaphore::new(intake.workers),
            in_memory: Semaphore::new(intake.workers * fetched),
            turns: Arc::default(),
            progress: Arc::default(),
            aside: AtomicUsize::new(0),
            calm: Instant::now() + CALM,
            cancel: cancel.clone(),
            deadline: intake.deadline.clone(),
        })
    }

    /// Objects that wait beside the work.
    pub fn aside(&self) -> usize {
        self.aside.load(Ordering::Relaxed)
    }

    /// Why nothing can be read from the source now.
    pub fn trouble(&self) -> Option<String> {
        self.fetcher.trouble()
    }

    pub async fn deliver(&self, delivery: Delivery) {
        let Delivery { object, ticket, attempt } = delivery;
        let _under_way = self.pulse.begin();
        if ticket.is_message() {
            self.pipeline.ledger.announced(&object).await;
        }
        if bug(Bug::AckBeforeCommit) {
            acknowledge(ticket).await;
            let _ = self.attempt(&object, &mut None).await;
            return;
        }
        let id = object.id();
        let turn = self.turns.of(&id);
        let Some(turn) = self.cancel.run_until_cancelled(turn).await else { return ticket.give_back().await };
        let Some(_turn) = turn else { return ticket.come_back(AGAIN_AFTER).await };
        let mut patience = self.retry_for.map(Patience::of);
        // A claim that could not be given back, because the store failed.
        let mut stale = None;
        let mut store_failures = 0;
        while !self.cancel.is_cancelled() {
            if self.fetcher.trouble().is_some() {
                ticket.stand_aside();
            }
            match self.attempt(&object, &mut stale).await {
                Ok(Tried::Stopped) => break,
                Ok(Tried::Ended(Outcome::Held)) => return ticket.come_back(AGAIN_AFTER).await,
                Ok(Tried::Ended(outcome)) => return self.ended(&object, &outcome, ticket).await,
                Ok(Tried::Unfetched(cause)) => {
                    let pause = self.pause(&cause, patience.as_mut());
                    if let Some(pause) = pause {
                        warn!(object = %object.display(), %cause, "not fetched; it is tried again");
                        self.wait_aside(&ticket, sleep(pause)).await;
                        continue;
                    }
                    match self.unfetched(&object, attempt, &cause, &mut stale).await {
                        Ok(Some(outcome)) => return self.ended(&object, &outcome, ticket).await,
                        Ok(None) => {
                            warn!(object = %object.display(), attempt, %cause, "not fetched; it comes back");
                            self.pipeline.metrics.object(&object.source, ObjectOutcome::Failed);
                            return ticket.release().await;
                        }
                        Err(cause) if self.halt.is_due_to(&cause) => {
                            self.wait_aside(&ticket, self.halt.over()).await;
                        }
                        Err(cause) => return self.failed(&object, &cause, ticket, stale).await,
                    }
                }
                Err(cause) if store_failures < STORE_FAILURES_MAX && self.halt.is_due_to(&cause) => {
                    store_failures += 1;
                    warn!(object = %object.display(), cause = format!("{cause:#}"), "not stored; it is tried again");
                    self.wait_aside(&ticket, self.halt.over()).await;
                }
                Err(cause) if is_no_room(&cause) => {
                    self.wait_aside(&ticket, self.pipeline.room()).await;
                }
                Err(cause) => return self.failed(&object, &cause, ticket, stale).await,
            }
        }
        if let Some(claim) = &stale {
            self.pipeline.release(claim).await;
        }
        ticket.give_back().await;
    }

    async fn ended(&self, object: &ObjectRef, outcome: &Outcome, ticket: Ticket) {
        if let Err(cause) = self.hold_against_earlier(object, outcome).await {
            // It is judged and durable; only whether it replaced another is not known now.
            warn!(object = %object.display(), %cause, "not held against what was there before");
        }
        (self.watcher)(object, outcome);
        self.pipeline.ledger.ended(object, outcome).await;
        acknowledge(ticket).await;
    }

    async fn failed(
        &self,
        object: &ObjectRef,
        cause: &anyhow::Error,
        ticket: Ticket,
        stale: Option<ClaimToken>,
    ) {
        if let Some(claim) = &stale {
            // Else it would keep the object from everybody until its lease ends.
            self.pipeline.release(claim).await;
        }
        self.pipeline.metrics.object(&object.source, ObjectOutcome::Failed);
        error!(object = %object.display(), cause = format!("{cause:#}"), "not judged; it comes back");
        ticket.release().await;
    }

    /// Waits while the message stays hidden and others are taken in its place; ends early when we stop.
    async fn wait_aside(&self, ticket: &Ticket, over: impl Future<Output = ()>) {
        ticket.stand_aside();
        self.aside.fetch_add(1, Ordering::Relaxed);
        self.cancel.run_until_cancelled(over).await;
        self.aside.fetch_sub(1, Ordering::Relaxed);
    }

    /// How long to wait for an object that cannot be fetched; none when it is not waited for.
    fn pause(&self, cause: &FetchError, patience: Option<&mut Patience>) -> Option<Duration> {
        let may_pass = matches!(cause, FetchError::Missing | FetchError::Denied(_) | FetchError::Retry(_));
        if !may_pass || self.aside() >= ASIDE_MAX {
            return None;
        }
        let is_everything = !matches!(cause, FetchError::Missing) && self.fetcher.trouble().is_some();
        patience?.pause(is_everything)
    }

    /// One attempt; whatever goes wrong in it, its claim does not stay behind.
    async fn attempt(&self, object: &ObjectRef, stale: &mut Option<ClaimToken>) -> anyhow::Result<Tried> {
        if let Some(claim) = stale {
            self.pipeline.store.release(claim).await?;
            *stale = None;
        }
        let claimed = std::sync::Mutex::new(None);
        let _under_way = self.progress.begin();
        let trying = AssertUnwindSafe(self.tried(object, &claimed)).catch_unwind();
        let tried = self.deadline.run_until_cancelled(trying).await;
        let claim = claimed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(claim) = claim else {
            return match tried {
                Some(Ok(tried)) => tried,
                Some(Err(_)) => anyhow::bail!("the work on {} ended in a fault of ours", object.display()),
                None => Ok(Tried::Stopped),
            };
        };
        match tried {
            Some(Ok(Ok(tried @ Tried::Ended(_)))) => Ok(tried),
            Some(Ok(tried)) => {
                self.let_go(claim, stale).await;
                tried
            }
            Some(Err(_)) => {
                self.pipeline.store.lapse(&claim).await?;
                anyhow::bail!("the work on {} ended in a fault of ours", object.display())
            }
            None => {
                self.let_go(claim, stale).await;
                Ok(Tried::Stopped)
            }
        }
    }

    /// Gives a claim back, or keeps it to be given back when the store works again.
    async fn let_go(&self, claim: ClaimToken, stale: &mut Option<ClaimToken>) {
        if let Err(cause) = self.pipeline.store.release(&claim).await {
            self.halt.failed(&cause);
            *stale = Some(claim);
        }
    }

    async fn tried(
        &self,
        object: &ObjectRef,
        claimed: &std::sync::Mutex<Option<ClaimToken>>,
    ) -> anyhow::Result<Tried> {
        let keep = |claim: &ClaimToken| {
            *claimed.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim.clone());
        };
        let claim = match self.pipeline.begin(object).await? {
            Begun::Mine(claim) => {
                keep(&claim);
                claim
            }
            Begun::Suspect(claim) => {
                keep(&claim);
                info!(object = %object.display(), "it was open when the last process ended; waiting for a calm moment");
                let calm = sleep_until(self.calm);
                if self.cancel.run_until_cancelled(calm).await.is_none() {
                    return Ok(Tried::Stopped);
                }
                claim
            }
            Begun::Ended(outcome) => return Ok(Tried::Ended(outcome)),
        };
        // What was torn on the way is whole the next time; what was stored so is not.
        let mut may_be_torn = self.retry_for.is_some();
        for _ in 0..CLASHES_MAX {
            let read = match self.read(object, &claim, may_be_torn).await? {
                Ok(read) => read,
                Err(tried) => return Ok(tried),
            };
            let written = match read {
                Read::Judged(sheet) => self.pipeline.commit(object, sheet).await?,
                Read::Ended(outcome) => Written::Ended(outcome),
                Read::Torn => {
                    warn!(object = %object.display(), "its bytes end too early; fetching them once more");
                    may_be_torn = false;
                    continue;
                }
            };
            if let Written::Ended(outcome) = written {
                return Ok(Tried::Ended(outcome));
            }
        }
        anyhow::bail!(
            "{} lost {CLASHES_MAX} races against other workers; it will be tried again",
            object.display()
        )
    }

    /// Fetches and judges; when it returns, the object is out of memory.
    async fn read(
        &self,
        object: &ObjectRef,
        claim: &ClaimToken,
        may_be_torn: bool,
    ) -> anyhow::Result<Result<Read, Tried>> {
        let _space = self.in_memory.acquire().await?;
        if let Some(listing) = &self.listing
            && self.pipeline.ledger.takes(object)
        {
            let fetched = self.cancel.run_until_cancelled(listing.fetch_digest(object)).await;
            return match fetched {
                None => Ok(Err(Tried::Stopped)),
                Some(Err(cause)) => Ok(Err(Tried::Unfetched(cause))),
                Some(Ok((bytes, metadata))) => {
                    self.pipeline.keep_digest(object, claim, &bytes, &metadata).await.map(Ok)
                }
            };
        }
        let Some(loaded) = self.cancel.run_until_cancelled(self.fetcher.load(object)).await else {
            return Ok(Err(Tried::Stopped));
        };
        let bytes = match loaded {
            Ok(bytes) => bytes,
            Err(cause) => return Ok(Err(Tried::Unfetched(cause))),
        };
        let _permit = self.idle.acquire().await?;
        if self.cancel.is_cancelled() {
            return Ok(Err(Tried::Stopped));
        }
        let mut tools = self.free_tools().await;
        self.pipeline.judge(&mut tools, object, claim, &bytes, may_be_torn).await.map(Ok)
    }

    async fn free_tools(&self) -> MutexGuard<'_, Tools> {
        loop {
            if let Some(free) = self.tools.iter().find_map(|tools| tools.try_lock().ok()) {
                return free;
            }
            // Its holder gave the permit back and is about to let it go.
            tokio::task::yield_now().await;
        }
    }

    /// What becomes of an object that is not waited for any longer; none: it comes back.
    async fn unfetched(
        &self,
        object: &ObjectRef,
        attempt: u32,
        cause: &FetchError,
        stale: &mut Option<ClaimToken>,
    ) -> anyhow::Result<Option<Outcome>> {
        if let Some(claim) = stale {
            self.pipeline.store.release(claim).await?;
            *stale = None;
        }
        let was_waited_for = self.retry_for.is_some() && self.aside() < ASIDE_MAX;
        let reason = match cause {
            FetchError::Missing | FetchError::Denied(_) if was_waited_for => cause.reason(),
            FetchError::Missing | FetchError::Denied(_) => cause.reason().filter(|_| attempt >= ATTEMPTS_MAX),
            FetchError::Retry(_) => Some(reason::FETCH_FAILED).filter(|_| attempt >= ATTEMPTS_MAX),
            cause => cause.reason(),
        };
        let Some(reason) = reason else { return Ok(None) };
        let (store, place) = (&self.pipeline.store, object.display());
        if matches!(cause, FetchError::Missing) && store.ended_elsewhere(&place, &object.id()).await? {
            // Announced in two ways, judged, and deleted since.
            self.pipeline.metrics.object(&object.source, ObjectOutcome::Duplicate);
            return Ok(Some(Outcome::Duplicate));
        }
        let claim = match self.pipeline.begin(object).await? {
            Begun::Mine(claim) | Begun::Suspect(claim) => claim,
            Begun::Ended(outcome) => return Ok(Some(outcome)),
        };
        let kind = match cause {
            FetchError::Missing => Some(Integrity::MissingObject),
            FetchError::Changed => Some(Integrity::ChangedObject),
            _ => None,
        };
        let kept = async {
            if let Some(kind) = kind.filter(|_| self.retry_for.is_some()) {
                self.pipeline.find_integrity(kind, &object.source, &place).await?;
            }
            let quarantined = Quarantined::new(None, reason, cause.to_string(), b"", &Redaction::default());
            self.pipeline.quarantine(object, &claim, &quarantined).await
        };
        match kept.await {
            Ok(outcome) => Ok(Some(outcome)),
            Err(cause) => {
                self.let_go(claim, stale).await;
                Err(cause)
            }
        }
    }

    /// A log of CloudTrail that replaced another, with other bytes, is a finding: CloudTrail never writes one again.
    async fn hold_against_earlier(&self, object: &ObjectRef, outcome: &Outcome) -> Result<(), StoreError> {
        let is_read = matches!(outcome, Outcome::Done { .. } | Outcome::Duplicate);
        let place = object.display();
        if !is_read || self.retry_for.is_none() || !is_trail_log(&place) {
            return Ok(());
        }
        if self.pipeline.store.overwrote(&object.id()).await? {
            self.pipeline.find_integrity(Integrity::ChangedObject, &object.source, &place).await?;
        }
        Ok(())
    }
}
