//! A message is ours for a while: hidden from others as long as any of its objects is being judged, deleted only when
//! all of them are done.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::deletions::Deletions;
use crate::planted::{Bug, bug};
use crate::source::SourceError;

/// SQS keeps a message hidden for at most 12 hours after it was received.
const HIDDEN_MAX: Duration = Duration::from_secs(12 * 3600);

/// A queue that hides what it hands out, as SQS does.
#[async_trait]
pub(crate) trait Queue: Send + Sync + 'static {
    async fn receive(&self, messages_max: usize) -> Result<Vec<Message>, SourceError>;
    /// Deletes at most ten; says of each, in their order, how it ended.
    async fn delete(&self, receipts: &[String]) -> Result<Vec<Deleted>, SourceError>;
    async fn hide(&self, receipt: &str, visibility: Duration) -> Result<Hidden, SourceError>;
    /// About how many messages wait to be received; none where it does not say.
    async fn waiting(&self) -> Option<u64>;
}

/// How the deletion of one message of a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deleted {
    Done,
    /// Later may be better.
    Failed(SourceError),
    /// Never: the receipt is not valid, or no longer.
    Refused(SourceError),
}

/// Whether a message is still ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    Still,
    /// Its time ended before we said so: somebody else may have it.
    NoLonger,
}

/// A message as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub receipt: String,
    pub body: String,
    /// How often it was received, this time included.
    pub attempt: u32,
}

/// Takes hold of a message that was just received, for `parts` objects, of which there is at least one.
///
/// Extends at half of `visibility`, from now on and not from when work begins: with ten messages received at once the
/// last may wait long. `slot` is free again when the message is no longer held.
pub(crate) fn lease(
    queue: &Arc<dyn Queue>,
    deletions: &Deletions,
    message: &Message,
    visibility: Duration,
    slot: OwnedSemaphorePermit,
    parts: usize,
) -> Vec<Share> {
    let heartbeat = tokio::spawn(extend(Arc::clone(queue), message.receipt.clone(), visibility));
    let lease = Arc::new(Lease {
        queue: Arc::clone(queue),
        deletions: deletions.clone(),
        receipt: message.receipt.clone(),
        attempt: message.attempt,
        open: AtomicUsize::new(parts),
        returned: AtomicBool::new(false),
        pause_millis: AtomicU64::new(0),
        dropped: AtomicBool::new(false),
        heartbeat: heartbeat.abort_handle(),
        slot: Mutex::new(Some(slot)),
    });
    (0..parts).map(|_| Share { lease: Arc::clone(&lease), settled: false }).collect()
}

/// One object's part in a message. Dropped without a word, the message comes back by itself when its time ends.
pub(crate) struct Share {
    lease: Arc<Lease>,
    settled: bool,
}

struct Lease {
    queue: Arc<dyn Queue>,
    deletions: Deletions,
    receipt: String,
    attempt: u32,
    /// Shares that are not settled yet.
    open: AtomicUsize,
    /// One of the shares was given back: the message is not to be deleted.
    returned: AtomicBool,
    /// How long it then stays hidden: the longest that a share asked for.
    pause_millis: AtomicU64,
    /// One of the shares was dropped: as above, but nobody asked for it soon.
    dropped: AtomicBool,
    heartbeat: AbortHandle,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Share {
    /// Done with this part; with the last one the message goes.
    pub(crate) async fn acknowledge(mut self) -> Result<(), SourceError> {
        self.settled = true;
        if self.lease.is_last() { self.lease.end().await } else { Ok(()) }
    }

    /// Not done: the message shall come back, at once the first time, later after each failure.
    pub(crate) async fn release(self) {
        let pause = pause_before_retry(self.lease.attempt);
        self.come_back(pause).await;
    }

    /// Not done and not tried: the message shall come back after `pause`, however often it was received.
    pub(crate) async fn come_back(mut self, pause: Duration) {
        self.settled = true;
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.lease.pause_millis.fetch_max(millis, Ordering::AcqRel);
        self.lease.returned.store(true, Ordering::Release);
        if self.lease.is_last()
            && let Err(error) = self.lease.end().await
        {
            warn!(%error, "a message could not be given back; it returns when its time ends");
        }
    }

    /// Waits for something else than work: others may be received meanwhile, while this message stays hidden.
    pub(crate) fn stand_aside(&self) {
        self.lease.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.settled {
            self.lease.dropped.store(true, Ordering::Release);
            self.lease.is_last();
        }
    }
}

impl Lease {
    fn is_last(&self) -> bool {
        self.open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// What becomes of the message once every share is settled. It stays hidden until that is said.
    async fn end(&self) -> Result<(), SourceError> {
        let ended = if self.returned.load(Ordering::Acquire) {
            self.heartbeat.abort();
            let pause = Duration::from_millis(self.pause_millis.load(Ordering::Acquire));
            self.queue.hide(&self.receipt, pause).await.map(|_| ())
        } else if self.dropped.load(Ordering::Acquire) {
            Ok(())
        } else {
            self.deletions.delete(self.receipt.clone()).await
        };
        self.heartbeat.abort();
        ended
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// How long a message that was given back stays hidden, by how often it was received: not at all, then 2 s, 4 s, ...
/// up to 5 minutes.
pub(crate) fn pause_before_retry(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        attempt => Duration::from_secs(1u64 << (attempt - 1).min(9)).min(Duration::from_secs(300)),
    }
}

async fn extend(queue: Arc<dyn Queue>, receipt: String, visibility: Duration) {
    if bug(Bug::NoHeartbeat) {
        return;
    }
    let received = Instant::now();
    let mut pause = visibility / 2;
    loop {
        sleep(pause).await;
        if received.elapsed() + visibility > HIDDEN_MAX {
            warn!("a message is held for 12 hours, which is all that SQS gives; it returns");
            return;
        }
        pause = match queue.hide(&receipt, visibility).await {
            Ok(Hidden::Still) => visibility / 2,
            Ok(Hidden::NoLonger) => {
                // Whoever has it now finds the object held or done; what is committed is committed once.
                warn!("a message's time ended early; it comes again");
                return;
            }
            Err(error) => {
                warn!(%error, "a message could not be kept hidden; trying again soon");
                visibility / 8
            }
        };
        if bug(Bug::LeaseExtendedOnce) {
            return;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use tokio::sync::Semaphore;

    use super::*;

    /// A queue that does as it is told and writes down what it was asked.
    #[derive(Default)]
    pub(crate) struct FakeQueue {
        pub(crate) asked: Mutex<Vec<String>>,
        pub(crate) answers: Mutex<VecDeque<Result<Vec<Message>, SourceError>>>,
        /// Calls that fail as a whole.
        pub(crate) failing_deletes: AtomicUsize,
        /// How often the deletion of a message fails within its batch; `usize::MAX`: its receipt is not valid.
        pub(crate) failing: Mutex<BTreeMap<String, usize>>,
        /// What it says that it has.
        pub(crate) waiting: AtomicUsize,
        /// Messages that are no longer hidden.
        pub(crate) expired: AtomicBool,
    }

    impl FakeQueue {
        pub(crate) fn log(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }

        fn note(&self, what: String) {
            self.asked.lock().unwrap().push(what);
        }
    }

    pub(crate) fn down() -> SourceError {
        SourceError::Queue { what: "ask", queue: "q".into(), cause: "down".into() }
    }

    #[async_trait]
    impl Queue for FakeQueue {
        async fn receive(&self, messages_max: usize) -> Result<Vec<Message>, SourceError> {
            self.note(format!("receive {messages_max}"));
            let answer = self.answers.lock().unwrap().pop_front();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
        async fn delete(&self, receipts: &[String]) -> Result<Vec<Deleted>, SourceError> {
            self.note(format!("delete {}", receipts.join(" ")));
            let failing = self.failing_deletes.load(Ordering::Relaxed);
            if failing > 0 {
                self.failing_deletes.store(failing - 1, Ordering::Relaxed);
                return Err(down());
            }
            let mut failing = self.failing.lock().unwrap();
            let ended = receipts.iter().map(|receipt| match failing.get_mut(receipt) {
                Some(&mut usize::MAX) => Deleted::Refused(down()),
                Some(left @ 1..) => {
                    *left -= 1;
                    Deleted::Failed(down())
                }
                _ => Deleted::Done,
            });
            Ok(ended.collect())
        }
        async fn hide(&self, receipt: &str, visibility: Duration) -> Result<Hidden, SourceError> {
            self.note(format!("hide {receipt} {}s", visibility.as_secs()));
            Ok(if self.expired.load(Ordering::Relaxed) { Hidden::NoLonger } else { Hidden::Still })
        }
        async fn waiting(&self) -> Option<u64> {
            Some(self.waiting.load(Ordering::Relaxed) as u64)
        }
    }

    async fn shares(queue: &Arc<FakeQueue>, attempt: u32, parts: usize) -> (Vec<Share>, Arc<Semaphore>) {
        let slots = Arc::new(Semaphore::new(1));
        let slot = slots.clone().acquire_owned().await.unwrap();
        let message = Message { receipt: "m".into(), body: String::new(), attempt };
        let queue: Arc<dyn Queue> = queue.clone();
        let deletions = Deletions::of(&queue);
        (lease(&queue, &deletions, &message, Duration::from_secs(60), slot, parts), slots)
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_object_deletes_the_message() {
        let queue = Arc::new(FakeQueue::default());
        let (mut shares, slots) = shares(&queue, 1, 2).await;
        shares.pop().unwrap().acknowledge().await.unwrap();
        assert_eq!(queue.log(), Vec::<String>::new(), "the other is still being judged");
        assert_eq!(slots.available_permits(), 0);
        shares.pop().unwrap().acknowledge().await.unwrap();
        assert_eq!(queue.log(), ["delete m"]);
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_object_given_back_keeps_the_message() {
        let queue = Arc::new(FakeQueue::default());
        let (mut shares, _) = shares(&queue, 1, 2).await;
        shares.pop().unwrap().release().await;
        assert_eq!(queue.log(), Vec::<String>::new());
        shares.pop().unwrap().acknowledge().await.unwrap();
        assert_eq!(queue.log(), ["hide m 0s"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_object_dropped_keeps_the_message() {
        let queue = Arc::new(FakeQueue::default());
        let (mut shares, slots) = shares(&queue, 1, 2).await;
        drop(shares.pop());
        shares.pop().unwrap().acknowledge().await.unwrap();
        sleep(Duration::from_secs(600)).await;
        assert_eq!(queue.log(), Vec::<String>::new(), "neither deleted nor kept hidden");
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_stays_hidden_while_it_is_judged_and_not_longer() {
        let queue = Arc::new(FakeQueue::default());
        let (shares, _) = shares(&queue, 1, 1).await;
        sleep(Duration::from_secs(95)).await;
        assert_eq!(queue.log(), ["hide m 60s"; 3], "every 30 s, from the receive on");
        drop(shares);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(queue.log().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_not_held_longer_than_sqs_allows() {
        let queue = Arc::new(FakeQueue::default());
        let (_shares, _) = shares(&queue, 1, 1).await;
        sleep(Duration::from_secs(13 * 3600)).await;
        let held = queue.log().len() * 30;
        assert!((12 * 3600 - 90..=12 * 3600).contains(&held), "{held}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_stays_hidden_until_its_delete_is_answered() {
        let queue = Arc::new(FakeQueue::default());
        queue.failing_deletes.store(5, Ordering::Relaxed);
        let (mut some, slots) = shares(&queue, 1, 1).await;
        some.pop().unwrap().acknowledge().await.unwrap();
        let hidden = queue.log().iter().filter(|asked| asked.starts_with("hide")).count();
        assert!(hidden >= 1, "the deletes failed for longer than the message is hidden: {:?}", queue.log());
        assert_eq!(slots.available_permits(), 1);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(queue.log().iter().filter(|asked| asked.starts_with("hide")).count(), hidden);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_whose_time_ended_early_is_no_longer_held_but_its_work_goes_on() {
        let queue = Arc::new(FakeQueue::default());
        queue.expired.store(true, Ordering::Relaxed);
        let (mut some, _) = shares(&queue, 1, 1).await;
        sleep(Duration::from_secs(600)).await;
        assert_eq!(queue.log(), ["hide m 60s"], "asked once, not for ever");
        some.pop().unwrap().acknowledge().await.unwrap();
        assert_eq!(queue.log().last().unwrap(), "delete m", "deleting it is right still");
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_aside_gives_its_slot_up_and_stays_hidden() {
        let queue = Arc::new(FakeQueue::default());
        let (mut some, slots) = shares(&queue, 3, 2).await;
        some[0].stand_aside();
        assert_eq!(slots.available_permits(), 1);
        sleep(Duration::from_secs(65)).await;
        assert_eq!(queue.log(), ["hide m 60s"; 2]);
        some.pop().unwrap().come_back(Duration::ZERO).await;
        some.pop().unwrap().come_back(Duration::from_secs(20)).await;
        assert_eq!(queue.log().last().unwrap(), "hide m 20s", "as long as the most patient wants");
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_waits_longer() {
        let pauses: Vec<u64> =
            (1..=5).chain([40]).map(|attempt| pause_before_retry(attempt).as_secs()).collect();
        assert_eq!(pauses, [0, 2, 4, 8, 16, 300]);
        let queue = Arc::new(FakeQueue::default());
        let (mut some, _) = shares(&queue, 4, 1).await;
        some.pop().unwrap().release().await;
        assert_eq!(queue.log(), ["hide m 8s"]);
    }
}
