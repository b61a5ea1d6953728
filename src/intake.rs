//! Takes what a source hands out through the pipeline, with several workers.

use crate::clouds;
use crate::pipeline::{Begun, Outcome, Pipeline, Read, Written};
use crate::pulse::Pulse;
use crate::slices::Tools;
use dashboards::Readiness;
use dashboards::metrics::{NotificationOutcome, ObjectOutcome};
use engine::store::{ClaimToken, Refused};
use engine::time;
use ingest::planted::{Bug, bug};
use ingest::source::{Delivery, FetchError, Fetcher, Next, Source, Ticket, Unreadable};
use ingest::sources::s3_sqs::Listing;
use ingest::{ObjectRef, Quarantined, Redaction};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Deliveries of one object after which what may still pass (a missing object, a refused read) no longer may.
const ATTEMPTS_MAX: u32 = 5;

/// Objects under way for each worker. They wait for the store together, not one after the other.
const UNDER_WAY: usize = 64;

/// Objects in memory for each worker, being fetched or judged: more than one where fetching is waiting.
const FETCHED_FROM_AFAR: usize = 4;

/// Rounds of judging against duplicates that other workers committed meanwhile; each round leaves fewer.
const CLASHES_MAX: usize = 16;

/// How often what a late policy change touches is judged again.
const AGAIN_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Objects that are asked of the store at once.
const AGAIN_MAX: i64 = 64;

/// The condition of readiness that sources set.
pub const SOURCES: &str = "sources";

/// Told of every object that ended.
pub type Watcher = Arc<dyn Fn(&ObjectRef, &Outcome) + Send + Sync>;

/// Workers that share a pipeline.
pub struct Intake {
    pub pipeline: Arc<Pipeline>,
    pub readiness: Readiness,
    pub workers: usize,
    pub watcher: Watcher,
    pub pulse: Arc<Pulse>,
}

impl Intake {
    /// Runs a source until it has nothing left (a folder that is read once) or until `cancel`. What is under
    /// way when it is cancelled is finished; what is not begun is given back.
    pub async fn run(
        &self,
        mut source: Source,
        name: &str,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut tools = Vec::with_capacity(self.workers);
        for _ in 0..self.workers {
            tools.push(Mutex::new(self.pipeline.worker().await?));
        }
        let fetched = if matches!(source, Source::S3Sqs(_)) { FETCHED_FROM_AFAR } else { 1 };
        let worker = Arc::new(Worker {
            pipeline: self.pipeline.clone(),
            watcher: self.watcher.clone(),
            pulse: self.pulse.clone(),
            fetcher: source.fetcher(),
            listing: source.listing(),
            tools,
            idle: Semaphore::new(self.workers),
            in_memory: Semaphore::new(self.workers * fetched),
            cancel: cancel.clone(),
        });
        let again =
            Rejudge { pipeline: self.pipeline.clone(), fetcher: source.fetcher(), source: name.to_owned() };
        let stop = cancel.child_token();
        let upkeep = tokio::spawn(again.clone().run(stop.clone()));
        let mut under_way = JoinSet::new();
        let read = self.read(&mut source, name, &worker, &mut under_way, cancel).await;
        while let Some(ended) = under_way.join_next().await {
            ended?;
            self.pipeline.metrics.backlog(name, under_way.len() as u64);
        }
        stop.cancel();
        upkeep.await?;
        if !cancel.is_cancelled() {
            // A source that is read once ends here: what waits is not left for a round that never comes.
            again.drain().await?;
        }
        source.close().await;
        read
    }

    async fn read(
        &self,
        source: &mut Source,
        name: &str,
        worker: &Arc<Worker>,
        under_way: &mut JoinSet<()>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let metrics = &self.pipeline.metrics;
        loop {
            while let Some(ended) = under_way.try_join_next() {
                ended?;
            }
            if under_way.len() >= self.workers * UNDER_WAY {
                // More would only hold messages hidden that another could take.
                under_way.join_next().await.transpose()?;
            }
            metrics.backlog(name, under_way.len() as u64);
            let next = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                next = source.next() => next,
            };
            let next = match next {
                Ok(Some(next)) => next,
                // A folder that is read once: what was given back meanwhile is there when the rest has ended.
                Ok(None) => match under_way.join_next().await.transpose()? {
                    Some(()) => continue,
                    None => return Ok(()),
                },
                Err(cause) => {
                    // The source waits longer after each failure by itself.
                    warn!(source = name, %cause, "the source does not answer");
                    self.readiness.fails(SOURCES, format!("{name}: {cause}"));
                    continue;
                }
            };
            self.readiness.holds(SOURCES);
            match next {
                Next::Object(delivery) => {
                    if delivery.ticket.is_message() {
                        metrics.notification(NotificationOutcome::Read);
                    }
                    let worker = worker.clone();
                    under_way.spawn(async move { worker.deliver(delivery).await });
                }
                Next::Ignored(reason) => {
                    metrics.notification(NotificationOutcome::Ignored);
                    info!(source = name, reason, "notification ignored");
                }
                Next::Unreadable(unreadable) => self.keep_unreadable(name, unreadable).await,
            }
        }
    }

    /// Puts a notification into quarantine; only then is it acknowledged.
    async fn keep_unreadable(&self, source: &str, unreadable: Unreadable) {
        let Unreadable { object, reason, detail, head, ticket, .. } = unreadable;
        let place = object.as_ref().map_or_else(|| source.to_owned(), |object| object.display());
        let id = ingest::fingerprint(&[source, &place, reason, &head], 32);
        let quarantined = Quarantined { row: None, reason, detail, head };
        let metrics = &self.pipeline.metrics;
        let refused = Refused { id: &id, source, place: &place, object: object.as_ref() };
        match self.pipeline.store.quarantine(&refused, &quarantined, time::now()).await {
            Ok(()) => {
                warn!(place, reason, detail = %quarantined.detail, "notification quarantined");
                metrics.notification(NotificationOutcome::Quarantined);
                let cloud = object.as_ref().map_or(clouds::UNKNOWN, |object| clouds::of_place(&object.key));
                metrics.quarantined(cloud, reason, 1);
                acknowledge(ticket).await;
            }
            Err(cause) => {
                metrics.store_error();
                error!(%cause, "the store failed; the notification comes back");
                ticket.release().await;
            }
        }
    }
}

/// Judges again what a late policy change touches.
#[derive(Clone)]
struct Rejudge {
    pipeline: Arc<Pipeline>,
    fetcher: Fetcher,
    source: String,
}

impl Rejudge {
    async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN_EVERY) => {}
            }
            if let Err(cause) = self.drain().await {
                self.pipeline.metrics.store_error();
                warn!(cause = format!("{cause:#}"), "judging again failed; it is tried again");
            }
        }
    }

    /// Until nothing of the source waits, or something fails.
    async fn drain(&self) -> anyhow::Result<()> {
        let mut tools = None;
        loop {
            let due = self.pipeline.store.due_again(&self.source, AGAIN_MAX).await?;
            if due.is_empty() {
                return Ok(());
            }
            let tools = match &mut tools {
                Some(tools) => tools,
                none => none.insert(self.pipeline.worker().await?),
            };
            for again in due {
                match self.fetcher.fetch(&again.object).await {
                    Ok(bytes) => self.pipeline.judge_again(tools, &again, &bytes).await?,
                    Err(FetchError::Retry(cause)) => anyhow::bail!("{}: {cause}", again.object.display()),
                    Err(cause) => {
                        warn!(object = %again.object.display(), %cause, "gone since it was judged; not judged again");
                        self.pipeline.store.leave_again(&again.id).await?;
                    }
                }
            }
        }
    }
}

/// What is done with a delivery, for many at once.
struct Worker {
    pipeline: Arc<Pipeline>,
    watcher: Watcher,
    pulse: Arc<Pulse>,
    fetcher: Fetcher,
    listing: Option<Listing>,
    /// One for each worker; the permits of `idle` say how many are free.
    tools: Vec<Mutex<Tools>>,
    idle: Semaphore,
    in_memory: Semaphore,
    cancel: CancellationToken,
}

impl Worker {
    async fn deliver(&self, delivery: Delivery) {
        let Delivery { object, ticket, attempt } = delivery;
        let _under_way = self.pulse.begin();
        if self.cancel.is_cancelled() {
            return ticket.release().await;
        }
        if ticket.is_message() {
            self.pipeline.ledger.announced(&object).await;
        }
        if bug(Bug::AckBeforeCommit) {
            acknowledge(ticket).await;
            let _ = self.outcome(&object, attempt).await;
            return;
        }
        match self.outcome(&object, attempt).await {
            Ok(Some(Outcome::Held)) => ticket.release().await,
            Ok(Some(outcome)) => {
                (self.watcher)(&object, &outcome);
                self.pipeline.ledger.ended(&object, &outcome).await;
                acknowledge(ticket).await;
            }
            Ok(None) => {
                self.pipeline.metrics.object(&object.source, ObjectOutcome::Failed);
                ticket.release().await;
            }
            Err(cause) => {
                self.pipeline.metrics.store_error();
                self.pipeline.metrics.object(&object.source, ObjectOutcome::Failed);
                error!(object = %object.display(), cause = format!("{cause:#}"), "not judged; it comes back");
                ticket.release().await;
            }
        }
    }

    /// None: not now, it should come back.
    async fn outcome(&self, object: &ObjectRef, attempt: u32) -> anyhow::Result<Option<Outcome>> {
        let claim = match self.pipeline.begin(object).await? {
            Begun::Mine(claim) => claim,
            Begun::Ended(outcome) => return Ok(Some(outcome)),
        };
        match self.claimed(object, &claim, attempt).await {
            Ok(outcome) => Ok(outcome),
            Err(cause) => {
                self.pipeline.release(&claim).await;
                Err(cause)
            }
        }
    }

    async fn claimed(
        &self,
        object: &ObjectRef,
        claim: &ClaimToken,
        attempt: u32,
    ) -> anyhow::Result<Option<Outcome>> {
        for _ in 0..CLASHES_MAX {
            let Some(read) = self.read(object, claim, attempt).await? else { return Ok(None) };
            let written = match read {
                Read::Judged(sheet) => self.pipeline.commit(object, sheet).await?,
                Read::Ended(outcome) => Written::Ended(outcome),
            };
            if let Written::Ended(outcome) = written {
                return Ok(Some(outcome));
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
        attempt: u32,
    ) -> anyhow::Result<Option<Read>> {
        let _space = self.in_memory.acquire().await?;
        if self.cancel.is_cancelled() {
            self.pipeline.release(claim).await;
            return Ok(Some(Read::Ended(Outcome::Held)));
        }
        let fetched = match &self.listing {
            Some(listing) if self.pipeline.ledger.takes(object) => match listing.fetch_digest(object).await {
                Ok((bytes, metadata)) => {
                    return self.pipeline.keep_digest(object, claim, &bytes, &metadata).await.map(Some);
                }
                Err(cause) => Err(cause),
            },
            _ => self.fetcher.fetch(object).await,
        };
        let bytes = match fetched {
            Ok(bytes) => bytes,
            Err(cause) => return Ok(self.unfetched(object, claim, attempt, &cause).await?.map(Read::Ended)),
        };
        let _permit = self.idle.acquire().await?;
        let mut tools = self.free_tools().await;
        self.pipeline.judge(&mut tools, object, claim, &bytes).await.map(Some)
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

    async fn unfetched(
        &self,
        object: &ObjectRef,
        claim: &ClaimToken,
        attempt: u32,
        cause: &FetchError,
    ) -> anyhow::Result<Option<Outcome>> {
        let may_pass = matches!(cause, FetchError::Missing | FetchError::Denied(_) | FetchError::Retry(_));
        if let Some(reason) = cause.reason().filter(|_| !may_pass || attempt >= ATTEMPTS_MAX) {
            let quarantined = Quarantined::new(None, reason, cause.to_string(), b"", &Redaction::default());
            return self.pipeline.quarantine(object, claim, &quarantined).await.map(Some);
        }
        warn!(object = %object.display(), attempt, %cause, "not fetched; it comes back");
        self.pipeline.release(claim).await;
        Ok(None)
    }
}

async fn acknowledge(ticket: Ticket) {
    if let Err(cause) = ticket.acknowledge().await {
        // Harmless: it comes back and is a duplicate then.
        warn!(%cause, "the message could not be deleted");
    }
}
