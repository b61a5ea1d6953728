//! Takes what a source hands out through the pipeline, with several workers.

use crate::clouds;
use crate::halt::Halt;
use crate::health::{Health, Obstacle};
use crate::pipeline::{Outcome, Pipeline};
use crate::pulse::Pulse;
use crate::worker::Worker;
use dashboards::metrics::NotificationOutcome;
use engine::integrity::Integrity;
use engine::store::Refused;
use engine::time;
use ingest::quarantine::reason;
use ingest::source::{FetchError, Fetcher, Next, Source, Ticket, Unreadable};
use ingest::{ObjectRef, Quarantined};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Buckets with a finding of their own when a message names them and they are not allowed; the names are anybody's.
const FORBIDDEN_MAX: usize = 100;

/// How often it is looked whether a source's work goes on.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Objects under way for each worker. They wait for the store together, not one after the other.
const UNDER_WAY: usize = 64;

/// How often what a late policy change touches is judged again.
const AGAIN_EVERY: Duration = Duration::from_secs(2);

/// Objects that are asked of the store at once.
const AGAIN_MAX: i64 = 64;

/// The condition of readiness that sources set.
pub const SOURCES: &str = "sources";

/// Told of every object that ended.
pub type Watcher = Arc<dyn Fn(&ObjectRef, &Outcome) + Send + Sync>;

/// Workers that share a pipeline.
pub struct Intake {
    pub pipeline: Arc<Pipeline>,
    pub health: Health,
    pub halt: Halt,
    pub workers: usize,
    pub watcher: Watcher,
    /// Cancelled when what is under way is no longer waited for.
    pub deadline: CancellationToken,
    /// Places with a finding about what is not allowed.
    pub forbidden: Mutex<BTreeSet<String>>,
    pub pulse: Arc<Pulse>,
}

impl Intake {
    /// Runs a source until it has nothing left (a folder that is read once) or until `cancel`. What is being judged when
    /// it is cancelled is finished; everything else is given back.
    pub async fn run(
        &self,
        mut source: Source,
        name: &str,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        let worker = Arc::new(Worker::of(self, &source, cancel).await?);
        self.halt.govern(name, source.valve());
        let again =
            Rejudge { pipeline: self.pipeline.clone(), fetcher: source.fetcher(), source: name.to_owned() };
        let stop = cancel.child_token();
        let upkeep = tokio::spawn(again.clone().run(stop.clone()));
        let watch = tokio::spawn(watch(self.health.clone(), name.to_owned(), worker.clone(), stop.clone()));
        let mut under_way = JoinSet::new();
        let read = self.read(&mut source, name, &worker, &mut under_way, cancel).await;
        let mut source = Some(source);
        if cancel.is_cancelled()
            && let Some(source) = source.take()
        {
            // Before the rest is waited for: what nobody here will begin, another can have now.
            source.close().await;
        }
        while let Some(ended) = under_way.join_next().await {
            note(ended);
            self.pipeline.metrics.backlog(name, under_way.len() as u64);
        }
        stop.cancel();
        watch.await?;
        upkeep.await?;
        if !cancel.is_cancelled() {
            // A source that is read once ends here: what waits is not left for a round that never comes.
            again.drain().await?;
        }
        if let Some(source) = source {
            source.close().await;
        }
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
                note(ended);
            }
            if under_way.len() >= self.workers * UNDER_WAY + worker.aside()
                && let Some(ended) = under_way.join_next().await
            {
                // More would only hold messages hidden that another could take.
                note(ended);
            }
            metrics.backlog(name, under_way.len() as u64);
            let next = async {
                self.halt.over().await;
                self.pipeline.room().await;
                source.next().await
            };
            let Some(next) = cancel.run_until_cancelled(next).await else { return Ok(()) };
            let next = match next {
                Ok(Some(next)) => next,
                // A folder that is read once: what was given back meanwhile is there when the rest has ended.
                Ok(None) => match under_way.join_next().await {
                    Some(ended) => {
                        note(ended);
                        continue;
                    }
                    None => return Ok(()),
                },
                Err(cause) => {
                    // The source waits longer after each failure by itself.
                    self.health.hinders(name, Obstacle::Silent, cause.to_string());
                    continue;
                }
            };
            self.health.is_past(name, Obstacle::Silent);
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
                Next::Unreadable(unreadable) => {
                    let receives_max = source.receives_max();
                    self.keep_unreadable(name, unreadable, receives_max, cancel).await;
                }
            }
        }
    }

    /// Puts a notification into quarantine; only then is it acknowledged. One that nobody understands is left to the
    /// queue's own rule first.
    async fn keep_unreadable(
        &self,
        source: &str,
        unreadable: Unreadable,
        receives_max: u32,
        cancel: &CancellationToken,
    ) {
        let Unreadable { object, reason, detail, head, ticket, attempt } = unreadable;
        let is_unknown = matches!(reason, reason::BAD_NOTIFICATION | reason::BAD_KEY);
        if is_unknown && attempt < receives_max {
            info!(source, reason, attempt, detail, "a message that is not understood is left in the queue");
            return ticket.release().await;
        }
        let bucket = object.as_ref().map(|object| object.bucket.clone());
        let place = object.as_ref().map_or_else(|| source.to_owned(), |object| object.display());
        let id = ingest::fingerprint(&[source, &place, reason, &head], 32);
        let quarantined = Quarantined { row: None, reason, detail, head };
        let metrics = &self.pipeline.metrics;
        loop {
            let kept = async {
                if let (reason::FORBIDDEN_BUCKET, Some(bucket)) = (reason, &bucket) {
                    self.find_forbidden(source, bucket).await?;
                }
                let refused = Refused { id: &id, source, place: &place, object: object.as_ref() };
                self.pipeline.store.quarantine(&refused, &quarantined, time::now()).await
            };
            let Err(cause) = kept.await else { break };
            self.halt.failed(&cause);
            tokio::select! {
                () = self.halt.over() => {}
                () = cancel.cancelled() => return ticket.give_back().await,
            }
        }
        warn!(place, reason, detail = %quarantined.detail, "notification quarantined");
        metrics.notification(NotificationOutcome::Quarantined);
        let cloud = object.as_ref().map_or(clouds::UNKNOWN, |object| clouds::of_place(&object.key));
        metrics.quarantined(cloud, reason, 1);
        acknowledge(ticket).await;
    }

    /// A finding for each bucket that messages name and nobody allowed, up to a number.
    async fn find_forbidden(&self, source: &str, bucket: &str) -> Result<(), engine::store::StoreError> {
        let place = {
            let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
            let place = format!("{source}: s3://{bucket}");
            if forbidden.contains(&place) {
                return Ok(());
            }
            let place =
                if forbidden.len() < FORBIDDEN_MAX { place } else { format!("{source}: other buckets") };
            if !forbidden.insert(place.clone()) {
                return Ok(());
            }
            place
        };
        let kept = self.pipeline.find_integrity(Integrity::ForbiddenBucket, source, &place).await;
        if kept.is_err() {
            self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        }
        kept
    }
}

/// Looks at a source's work until it is stopped.
async fn watch(health: Health, source: String, worker: Arc<Worker>, stop: CancellationToken) {
    let watching = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            health.look(&source, worker.trouble(), &worker.progress);
        }
    };
    stop.run_until_cancelled(watching).await;
}

/// Failures of one object's work are caught where they happen; here only what cannot be is left to say.
fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(cause) = ended {
        error!(%cause, "the work on an object ended; its message comes back");
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
            let Some(drained) = stop.run_until_cancelled(self.drain()).await else { return };
            if let Err(cause) = drained {
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
            let tools = tools.get_or_insert_with(|| self.pipeline.worker());
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

/// Ends a delivery whose every part is durable.
pub async fn acknowledge(ticket: Ticket) {
    if let Err(cause) = ticket.acknowledge().await {
        // Harmless: it comes back and is a duplicate then.
        warn!(%cause, "the message could not be deleted");
    }
}
