//! Deletes messages by the batch: whatever waits while a call is under way goes into the next one together.
//!
//! A batch may fail in part (`Failed` of `DeleteMessageBatch`): each message has its own end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use crate::jitter::jitter;
use crate::lease::{Deleted, Queue};
use crate::planted::{Bug, bug};
use crate::source::SourceError;

/// Messages of one call: what SQS takes.
const BATCH_MESSAGES_MAX: usize = 10;

/// Calls at once: one that hangs does not hold up the others.
const CALLS_MAX: usize = 2;

/// How often a delete is tried before the message is left to come back.
pub(crate) const TRIES: u32 = 6;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Deletes that wait; whoever asks beyond it waits too.
const WAITING_MAX: usize = 1_024;

/// Takes messages to delete. Cheap to clone; ends with the last of its clones.
#[derive(Clone)]
pub(crate) struct Deletions {
    asks: mpsc::Sender<Ask>,
}

struct Ask {
    receipt: String,
    tried: u32,
    answer: oneshot::Sender<Result<(), SourceError>>,
}

impl Deletions {
    pub(crate) fn of(queue: &Arc<dyn Queue>) -> Self {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        let clerk = Clerk { queue: Arc::clone(queue), asks: asks.downgrade() };
        tokio::spawn(clerk.serve(asked));
        Self { asks }
    }

    /// Back when the message is deleted, or was tried often enough.
    pub(crate) async fn delete(&self, receipt: String) -> Result<(), SourceError> {
        let (answer, answered) = oneshot::channel();
        let gone = || SourceError::Setting { key: "sources", problem: "the deletions ended".to_owned() };
        self.asks.send(Ask { receipt, tried: 0, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[derive(Clone)]
struct Clerk {
    queue: Arc<dyn Queue>,
    // Weak: what is tried again must not keep the task alive.
    asks: mpsc::WeakSender<Ask>,
}

impl Clerk {
    async fn serve(self, mut asked: mpsc::Receiver<Ask>) {
        let calls = Arc::new(Semaphore::new(CALLS_MAX));
        // The semaphore is never closed.
        while let Ok(call) = Arc::clone(&calls).acquire_owned().await {
            let mut batch = Vec::with_capacity(BATCH_MESSAGES_MAX);
            if asked.recv_many(&mut batch, BATCH_MESSAGES_MAX).await == 0 {
                return;
            }
            let clerk = self.clone();
            tokio::spawn(async move {
                clerk.call(batch).await;
                drop(call);
            });
        }
    }

    async fn call(&self, batch: Vec<Ask>) {
        let receipts: Vec<String> = batch.iter().map(|ask| ask.receipt.clone()).collect();
        let mut ended = match self.queue.delete(&receipts).await {
            Ok(ended) => ended.into_iter(),
            Err(error) => vec![Deleted::Failed(error); batch.len()].into_iter(),
        };
        for mut ask in batch {
            ask.tried += 1;
            match ended.next() {
                Some(Deleted::Done) => {
                    let _ = ask.answer.send(Ok(()));
                }
                // It comes back when its time ends, and is found to be done already.
                Some(Deleted::Refused(error)) => {
                    let _ = ask.answer.send(Err(error));
                }
                Some(Deleted::Failed(error)) if ask.tried == TRIES => {
                    let _ = ask.answer.send(Err(error));
                }
                Some(Deleted::Failed(_)) if bug(Bug::DeleteFailureIgnored) => {
                    let _ = ask.answer.send(Ok(()));
                }
                // An answer that leaves a message out says nothing of it.
                Some(Deleted::Failed(_)) | None => self.again(ask),
            }
        }
    }

    /// Tries one again after a while; its neighbours do not wait for it.
    fn again(&self, ask: Ask) {
        let asks = self.asks.clone();
        tokio::spawn(async move {
            let longest =
                Duration::from_millis(200).saturating_mul(4u32.pow(ask.tried.min(8))).min(PAUSE_MAX);
            sleep(longest - jitter(longest / 2)).await;
            if let Some(asks) = asks.upgrade() {
                let _ = asks.send(ask).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::tests::FakeQueue;
    use futures::future::join_all;
    use std::sync::atomic::Ordering;

    fn deletions(queue: &Arc<FakeQueue>) -> Deletions {
        let queue: Arc<dyn Queue> = queue.clone();
        Deletions::of(&queue)
    }

    #[tokio::test(start_paused = true)]
    async fn one_alone_waits_for_nobody_and_many_share_calls() {
        let queue = Arc::new(FakeQueue::default());
        let deletions = deletions(&queue);
        deletions.delete("a".into()).await.unwrap();
        assert_eq!(queue.log(), ["delete a"]);
        let all = (0..25).map(|n| deletions.delete(format!("m{n}")));
        assert!(join_all(all).await.into_iter().all(|ended| ended.is_ok()));
        let calls: Vec<usize> = queue.log().iter().skip(1).map(|call| call.split(' ').count() - 1).collect();
        assert_eq!(calls.iter().sum::<usize>(), 25);
        assert!(calls.len() <= 5 && calls.iter().all(|messages| *messages <= 10), "{calls:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_fails_in_part_is_tried_again_for_that_part_only() {
        let queue = Arc::new(FakeQueue::default());
        queue.failing.lock().unwrap().insert("b".into(), 2);
        let deletions = deletions(&queue);
        let ended = join_all(["a", "b", "c"].map(|receipt| deletions.delete(receipt.into()))).await;
        assert!(ended.iter().all(Result::is_ok));
        let log = queue.log();
        assert_eq!(log.iter().filter(|call| call.contains(" a")).count(), 1, "{log:?}");
        assert_eq!(log.iter().filter(|call| call.contains(" b")).count(), 3, "{log:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receipt_that_is_no_longer_valid_is_not_tried_again() {
        let queue = Arc::new(FakeQueue::default());
        queue.failing.lock().unwrap().insert("gone".into(), usize::MAX);
        assert!(deletions(&queue).delete("gone".into()).await.is_err());
        assert_eq!(queue.log().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_queue_is_tried_again_but_not_for_ever() {
        let queue = Arc::new(FakeQueue::default());
        let deletions = deletions(&queue);
        queue.failing_deletes.store(TRIES as usize - 1, Ordering::Relaxed);
        deletions.delete("m".into()).await.unwrap();
        assert_eq!(queue.log().len(), TRIES as usize);
        queue.failing_deletes.store(TRIES as usize, Ordering::Relaxed);
        assert!(deletions.delete("n".into()).await.is_err());
        assert_eq!(queue.log().len(), 2 * TRIES as usize);
    }
}
