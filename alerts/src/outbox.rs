//! Carries what the store's outbox holds to every receiver: in order, at least once, however often it takes.

mod lane;

use crate::alert::Message;
use crate::receiver::Receiver;
use engine::store::{AlertRule, Store, StoreError};
use futures::future;
use lane::Lane;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Fan-outs of one drain; each takes up to 500 outbox rows.
const FAN_OUTS_MAX: usize = 1_000;

/// How alerts are carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchConfig {
    /// Base of the links in messages. Default `http://127.0.0.1:8080`.
    pub link: String,
    /// Messages a minute and receiver before the rest becomes one summary. Default 20.
    pub max_per_minute: u32,
    /// How often the outbox is looked at. Default 1s.
    pub poll: Duration,
    /// The wait after a first failure; it doubles with each further one. Default 5s.
    pub backoff_base: Duration,
    /// The longest such wait. Default 30s: what waits is told within a minute after its receiver is well again.
    pub backoff_max: Duration,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        DispatchConfig {
            link: "http://127.0.0.1:8080".to_owned(),
            max_per_minute: 20,
            poll: Duration::from_secs(1),
            backoff_base: Duration::from_secs(5),
            backoff_max: Duration::from_secs(30),
        }
    }
}

/// What became of one message to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// It will be sent again; it did not arrive.
    Retried,
    /// It will be sent again; it may have arrived.
    Ambiguous,
    /// The receiver does not accept it: given up.
    Refused,
    /// A silence covers it: never sent.
    Silenced,
    /// A summary told it.
    Summarized,
}

impl Outcome {
    /// Every outcome, for series that exist from the start.
    pub const ALL: [Outcome; 6] = [
        Outcome::Delivered,
        Outcome::Retried,
        Outcome::Ambiguous,
        Outcome::Refused,
        Outcome::Silenced,
        Outcome::Summarized,
    ];

    /// The lower-case name, as in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Retried => "retried",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Refused => "refused",
            Outcome::Silenced => "silenced",
            Outcome::Summarized => "summarized",
        }
    }
}

/// Hears what the dispatcher does, for metrics.
pub trait Observer: Send + Sync {
    /// `count` messages to a receiver ended this way.
    fn sent(&self, receiver: &str, outcome: Outcome, count: u64);

    /// An alert about an event at `event_time` was told at `now` (both µs UTC).
    fn told(&self, event_time: i64, now: i64);

    /// The store failed; the dispatcher goes on.
    fn store_failed(&self, _error: &StoreError) {}
}

/// For those who count nothing.
impl Observer for () {
    fn sent(&self, _receiver: &str, _outcome: Outcome, _count: u64) {}
    fn told(&self, _event_time: i64, _now: i64) {}
}

/// What one drain did, over all receivers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages that will be sent again.
    pub retried: u64,
    /// Messages given up.
    pub dead: u64,
    /// Messages that a summary told.
    pub summarized: u64,
    /// Messages that a silence covers.
    pub silenced: u64,
}

impl AddAssign for Drained {
    fn add_assign(&mut self, other: Drained) {
        self.delivered += other.delivered;
        self.retried += other.retried;
        self.dead += other.dead;
        self.summarized += other.summarized;
        self.silenced += other.silenced;
    }
}

/// The current time in µs UTC; tests bring their own.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Carries alerts from the store to the receivers. What it does survives a kill at any point: it is all in the store.
pub struct Dispatcher {
    store: Store,
    config: DispatchConfig,
    clock: Clock,
    observer: Arc<dyn Observer>,
    rules: Vec<AlertRule>,
    lanes: Vec<Lane>,
    /// Wakes the lanes when there is something new to send
    fanned_out: watch::Sender<()>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("config", &self.config)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Builds a dispatcher on the machine's clock that nobody observes.
    #[must_use]
    pub fn new(store: Store, receivers: Vec<Receiver>, config: DispatchConfig) -> Dispatcher {
        let rules = receivers.iter().map(Receiver::rule).collect();
        let lanes =
            receivers.into_iter().map(|receiver| Lane::new(receiver, config.max_per_minute)).collect();
        Dispatcher {
            store,
            config,
            clock: Arc::new(engine::time::now),
            observer: Arc::new(()),
            rules,
            lanes,
            fanned_out: watch::Sender::default(),
        }
    }

    /// Tells `observer` what is done.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Dispatcher {
        self.observer = observer;
        self
    }

    /// Runs on another clock.
    #[must_use]
    pub fn clocked(mut self, clock: Clock) -> Dispatcher {
        self.clock = clock;
        self
    }

    /// Names of the receivers, for series that exist from the start.
    pub fn receivers(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.receiver.as_str())
    }

    /// Carries alerts until cancelled; a send that has begun is waited for, at most ten seconds.
    ///
    /// A failing store is logged, told to the observer, and tried again.
    pub async fn run(&self, cancel: CancellationToken) {
        let lanes = self.lanes.iter().map(|lane| self.run_lane(lane, &cancel));
        future::join(self.run_fan_out(&cancel), future::join_all(lanes)).await;
    }

    /// Fans out what is new and sends what is due, once. For tests and for work that ends.
    ///
    /// # Errors
    /// [`StoreError`]; what was done until then is kept.
    pub async fn drain_once(&self) -> Result<Drained, StoreError> {
        let mut drained = Drained { silenced: self.fan_out().await?, ..Drained::default() };
        let cancel = CancellationToken::new();
        let mut passes = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            passes.push(lane.pass(self, &cancel));
        }
        for pass in future::join_all(passes).await {
            drained += pass?;
        }
        Ok(drained)
    }

    /// Gives the number of messages silenced.
    async fn fan_out(&self) -> Result<u64, StoreError> {
        let mut all_silenced = 0;
        for _ in 0..FAN_OUTS_MAX {
            let fanned = self.store.fan_out(&self.rules, (self.clock)()).await?;
            if fanned.waiting > 0 {
                self.fanned_out.send_replace(());
            }
            for (receiver, count) in &fanned.silenced {
                all_silenced += count;
                self.observer.sent(receiver, Outcome::Silenced, *count);
            }
            if fanned.rows == 0 {
                break;
            }
        }
        Ok(all_silenced)
    }

    async fn run_fan_out(&self, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            let done = self.fan_out().await.map(|_| ());
            self.rest(done, future::pending::<()>(), cancel).await;
        }
    }

    async fn run_lane(&self, lane: &Lane, cancel: &CancellationToken) {
        let mut fanned_out = self.fanned_out.subscribe();
        while !cancel.is_cancelled() {
            let done = lane.pass(self, cancel).await.map(|_| ());
            self.rest(done, fanned_out.changed(), cancel).await;
        }
    }

    /// Reports a failure and waits for the next round, for what makes it come earlier, or for the end.
    async fn rest(&self, done: Result<(), StoreError>, early: impl Future, cancel: &CancellationToken) {
        if let Err(error) = done {
            tracing::error!(%error, "the outbox cannot be read or written; trying again");
            self.observer.store_failed(&error);
        }
        tokio::select! {
            () = cancel.cancelled() => {}
            _ = early => {}
            () = tokio::time::sleep(self.config.poll) => {}
        }
    }

    fn message(&self, alert: &engine::incident::Alert) -> Message {
        Message::new(alert, &self.config.link)
    }
}

#[cfg(test)]
mod tests;
