//! Objects in S3, told by notifications in an SQS queue.
//!
//! A task of its own polls the queue, as many messages as there are free slots, so that waiting for the next delivery
//! can be cancelled at any moment without losing a message that was just received.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::deletions::Deletions;
use crate::envelope::{Notification, NotifiedObject, notification};
use crate::inflate::Limits;
use crate::jitter::jitter;
use crate::lease::{Message, Queue, Share, lease};
use crate::quarantine::{head, reason};
use crate::redact::Redaction;
use crate::source::{Delivery, Next, ObjectRef, SourceError, Ticket, Unreadable, Valve};
use crate::sources::S3SqsConfig;

pub use bucket::Bucket;
pub use listing::{Listed, Listing, Sweep};

mod allowed;
mod bucket;
mod circuit;
mod listing;
pub(crate) mod memory;
mod sqs;

/// Most messages that SQS gives at once.
const BATCH_MESSAGES_MAX: usize = 10;

/// Longest pause after failures of the queue.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Deliveries that wait to be taken; beyond it the poller waits.
const WAITING_MAX: usize = 16;

/// Longest wait for the answer to a receive, beyond the wait that it asks for. The client ends it earlier; this is for what
/// nobody thought of.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// How long a receive that is under way is waited for when we stop: what it brings would else stay hidden from others.
const LAST_RECEIVE_MAX: Duration = Duration::from_millis(1_500);

/// How long a queue may give nothing until it is asked whether it has something.
const SILENT_MAX: Duration = Duration::from_secs(120);

/// A queue and its bucket as a source.
pub struct S3Sqs {
    waiting: mpsc::Receiver<Result<Next, SourceError>>,
    bucket: Bucket,
    valve: Valve,
    retry_for: Duration,
    receives_max: u32,
    listing: Option<Box<Listing>>,
    out: mpsc::WeakSender<Result<Next, SourceError>>,
    stop: DropGuard,
}

impl S3Sqs {
    /// Starts to poll. Whether queue and bucket answer shows in `next`.
    pub(crate) async fn open(config: &S3SqsConfig, limits: &Limits) -> Result<Self, SourceError> {
        check(config)?;
        let shared = shared_config(config).await;
        let bucket = Bucket::new(&shared, config, limits);
        let queue = Arc::new(sqs::Sqs::new(&shared, config));
        let mut source = Self::start(queue, config, bucket);
        source.listing = Some(Box::new(Listing::new(source.bucket.clone(), config, source.out.clone())));
        Ok(source)
    }

    /// Its buckets alone, for objects that are known already.
    pub(crate) async fn bucket_of(config: &S3SqsConfig, limits: &Limits) -> Result<Bucket, SourceError> {
        check(config)?;
        Ok(Bucket::new(&shared_config(config).await, config, limits))
    }

    pub(crate) async fn probe(config: &S3SqsConfig) -> Result<(), SourceError> {
        check(config)?;
        sqs::Sqs::new(&shared_config(config).await, config).answers().await
    }

    fn start(queue: Arc<dyn Queue>, config: &S3SqsConfig, bucket: Bucket) -> Self {
        let (out, waiting) = mpsc::channel(WAITING_MAX);
        let stop = CancellationToken::new();
        let valve = Valve::default();
        let weak = out.downgrade();
        let poller = Poller {
            deletions: Deletions::of(&queue),
            valve: valve.clone(),
            queue,
            slots: Arc::new(Semaphore::new(config.in_flight)),
            name: config.name.clone(),
            bucket: bucket.clone(),
            visibility: config.visibility,
            receive_max: config.wait + ANSWER_MAX,
            stop: stop.clone(),
            out,
        };
        tokio::spawn(poller.run());
        let S3SqsConfig { retry_for, receives_max, .. } = *config;
        let (listing, out) = (None, weak);
        Self { waiting, bucket, valve, retry_for, receives_max, listing, out, stop: stop.drop_guard() }
    }

    pub(crate) fn listing(&self) -> Option<Listing> {
        self.listing.as_deref().cloned()
    }

    pub(crate) fn bucket(&self) -> Bucket {
        self.bucket.clone()
    }

    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    pub(crate) fn receives_max(&self) -> u32 {
        self.receives_max
    }

    pub(crate) fn valve(&self) -> Valve {
        self.valve.clone()
    }

    pub(crate) async fn next(&mut self) -> Result<Next, SourceError> {
        match self.waiting.recv().await {
            Some(next) => next,
            // The poller ends only by a panic of its own.
            None => {
                Err(SourceError::Setting { key: "sources", problem: "the poller ended; restart".to_owned() })
            }
        }
    }

    pub(crate) async fn close(mut self) {
        drop(self.stop);
        // Until the poller has ended: whatever it still receives is given back here too.
        while let Some(next) = self.waiting.recv().await {
            match next {
                Ok(Next::Object(delivery)) => delivery.ticket.give_back().await,
                Ok(Next::Unreadable(unreadable)) => unreadable.ticket.give_back().await,
                Ok(Next::Ignored(_)) | Err(_) => {}
            }
        }
    }
}

fn check(config: &S3SqsConfig) -> Result<(), SourceError> {
    let address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    let problem = |key, problem: String| Err(SourceError::Setting { key, problem });
    if !address(&config.queue_url) {
        return problem("queue_url", format!("`{}` is no URL; write https://sqs...", config.queue_url));
    }
    if config.region.is_empty() {
        return problem("region", "it is empty; write the region of queue and bucket".to_owned());
    }
    if let Some(account) = config.accounts.iter().chain(&config.bucket_owner).find(|id| !is_account(id)) {
        return problem("accounts", format!("`{account}` is no account; write its twelve digits"));
    }
    match &config.endpoint_url {
        Some(url) if !address(url) => {
            problem("endpoint_url", format!("`{url}` is no URL; write http://host:port"))
        }
        _ => Ok(()),
    }
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

async fn shared_config(config: &S3SqsConfig) -> SdkConfig {
    // Every call has an end, and none before its long poll has.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(config.wait + Duration::from_secs(10))
        .operation_attempt_timeout(config.wait + Duration::from_secs(15))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .timeout_config(timeouts);
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

struct Poller {
    queue: Arc<dyn Queue>,
    deletions: Deletions,
    valve: Valve,
    slots: Arc<Semaphore>,
    name: String,
    bucket: Bucket,
    visibility: Duration,
    /// Longest wait for an answer of the queue.
    receive_max: Duration,
    stop: CancellationToken,
    out: mpsc::Sender<Result<Next, SourceError>>,
}

impl Poller {
    /// Polls until nobody wants more.
    async fn run(self) {
        let mut failures = 0;
        let mut last_message = Instant::now();
        while let Some(slots) = self.stop.run_until_cancelled(self.ready()).await.flatten() {
            let asked = Instant::now();
            match self.receive(slots.len()).await {
                Ok(messages) if messages.is_empty() => {
                    failures = 0;
                    // A queue that does not wait (`wait = "0s"`, or so many messages in flight that SQS answers
                    // empty at once) is not asked in a hot loop.
                    if asked.elapsed() < Duration::from_millis(500) {
                        self.rest(Duration::from_secs(1)).await;
                    }
                    if last_message.elapsed() > SILENT_MAX {
                        last_message = Instant::now();
                        if let Some(error) = self.silent().await
                            && self.out.send(Err(error)).await.is_err()
                        {
                            return;
                        }
                    }
                }
                Ok(messages) => {
                    failures = 0;
                    last_message = Instant::now();
                    if self.deliver(messages, slots).await.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    failures += 1;
                    drop(slots);
                    if self.out.send(Err(error)).await.is_err() {
                        return;
                    }
                    self.rest(pause_after(failures)).await;
                }
            }
        }
    }

    /// Waits until something may be received, and gives the slots for it.
    async fn ready(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut slots = self.free_slots().await?;
        self.valve.open().await;
        if let Some(pause) = self.bucket.circuit().pause() {
            // One more at a time: it may be readable, and then so are the others.
            slots.truncate(1);
            sleep(pause.max(Duration::from_secs(1))).await;
        }
        Some(slots)
    }

    async fn receive(&self, messages_max: usize) -> Result<Vec<Message>, SourceError> {
        let receive = timeout(self.receive_max, self.queue.receive(messages_max));
        tokio::pin!(receive);
        let received = tokio::select! {
            received = &mut receive => received,
            () = self.stop.cancelled() => match timeout(LAST_RECEIVE_MAX, receive).await {
                Ok(received) => received,
                Err(_) => return Ok(Vec::new()),
            },
        };
        let hung =
            |_| SourceError::Setting { key: "sources", problem: "the queue did not answer".to_owned() };
        received.map_err(hung)?
    }

    /// What is wrong with a queue that gave nothing for a while, though it has messages: others may hold so many that it gives
    /// no more, which SQS does not say
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
    async fn silent(&self) -> Option<SourceError> {
        let waiting = self.queue.waiting().await.filter(|waiting| *waiting > 0)?;
        let problem = format!("{waiting} messages wait in the queue, and none of them came for two minutes");
        Some(SourceError::Setting { key: "sources", problem })
    }

    async fn rest(&self, pause: Duration) {
        self.stop.run_until_cancelled(sleep(pause)).await;
    }

    /// At least one slot, at most as many as one receive can fill.
    async fn free_slots(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut slots = vec![Arc::clone(&self.slots).acquire_owned().await.ok()?];
        while slots.len() < BATCH_MESSAGES_MAX
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            slots.push(slot);
        }
        Some(slots)
    }

    /// Hands the messages out; none when nobody wants them any more.
    async fn deliver(&self, messages: Vec<Message>, slots: Vec<OwnedSemaphorePermit>) -> Option<()> {
        // All are held before the first is waited with.
        let held: Vec<_> =
            messages.into_iter().zip(slots).map(|(message, slot)| self.hold(message, slot)).collect();
        for (message, understood, shares) in held {
            match understood {
                Ok(Notification::Objects(objects)) => {
                    for (object, share) in objects.into_iter().zip(shares) {
                        self.out.send(Ok(self.next(object, share, &message))).await.ok()?;
                    }
                }
                Ok(Notification::Ignored(why)) => {
                    for share in shares {
                        let deleted = share.acknowledge().await;
                        self.out.send(deleted.map(|()| Next::Ignored(why))).await.ok()?;
                    }
                }
                Err(error) => {
                    for share in shares {
                        let unreadable = unreadable(None, error.reason(), error.to_string(), share, &message);
                        self.out.send(Ok(unreadable)).await.ok()?;
                    }
                }
            }
        }
        Some(())
    }

    fn hold(&self, message: Message, slot: OwnedSemaphorePermit) -> (Message, Understood, Vec<Share>) {
        let understood = notification(&message.body);
        let parts = match &understood {
            Ok(Notification::Objects(objects)) => objects.len(),
            _ => 1,
        };
        let shares = lease(&self.queue, &self.deletions, &message, self.visibility, slot, parts);
        (message, understood, shares)
    }

    fn next(&self, notified: NotifiedObject, share: Share, message: &Message) -> Next {
        let object = ObjectRef::notified(&self.name, notified);
        if let Err(forbidden) = self.bucket.check(&object) {
            return unreadable(Some(object), reason::FORBIDDEN_BUCKET, forbidden.to_string(), share, message);
        }
        Next::Object(Delivery { object, ticket: Ticket::of_message(share), attempt: message.attempt })
    }
}

type Understood = Result<Notification, crate::envelope::NotificationError>;

fn unreadable(
    object: Option<ObjectRef>,
    reason: &'static str,
    detail: String,
    share: Share,
    message: &Message,
) -> Next {
    let head = head(message.body.as_bytes(), &Redaction::default());
    Next::Unreadable(Unreadable {
        object,
        reason,
        detail,
        head,
        ticket: Ticket::of_message(share),
        attempt: message.attempt,
    })
}

/// 1 s, 2 s, 4 s, ... up to a minute, less up to half of it so that many workers do not come at once.
fn pause_after(failures: u32) -> Duration {
    let longest = Duration::from_secs(1 << (failures - 1).min(6)).min(PAUSE_MAX);
    longest - jitter(longest / 2)
}

/// An error and what is behind it, in words; the SDK's own chain has the words one by one.
fn said(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let more = error.to_string();
        if !words.ends_with(&more) {
            words = format!("{words}: {more}");
        }
        behind = error.source();
    }
    crate::quarantine::shortened(words, 500)
}

#[cfg(test)]
mod tests;
