//! Work stops while the store cannot keep it: nothing is taken from a source, nothing acknowledged, until a write
//! succeeds again.

use anyhow::anyhow;
use dashboards::{Metrics, Readiness};
use engine::store::{ROOM_BYTES_MIN, Store, StoreError, Trouble};
use ingest::source::Valve;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The condition of readiness that the store sets.
pub const STORE: &str = "store";

/// How often it is looked whether there is room.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The longest pause between two tries to write.
const TRY_EVERY_MAX: Duration = Duration::from_secs(10);

/// Whether the store takes work. Clones are one.
#[derive(Clone)]
pub struct Halt {
    store: Store,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    /// Open as long as work goes on.
    gate: Valve,
    sources: Arc<Mutex<BTreeMap<String, Valve>>>,
    fatal: Arc<Mutex<Option<String>>>,
    end: CancellationToken,
}

impl Halt {
    /// `end` is cancelled when only a restart is safe.
    pub fn new(store: Store, readiness: Readiness, metrics: Arc<Metrics>, end: CancellationToken) -> Halt {
        readiness.holds(STORE);
        let (sources, fatal) = (Arc::default(), Arc::default());
        Halt { store, readiness, metrics, gate: Valve::default(), sources, fatal, end }
    }

    /// The way into a source, to be closed as long as work stands still.
    pub fn govern(&self, source: &str, valve: Valve) {
        valve.set(self.gate.is_open());
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), valve);
    }

    /// Whether an error was the store's own; if so, work stands still from now on. One row that is damaged is no reason.
    pub fn is_due_to(&self, error: &anyhow::Error) -> bool {
        let error = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
        let Some(error @ (StoreError::Sql(_) | StoreError::Seen(_))) = error else { return false };
        self.failed(error);
        true
    }

    /// The store failed: work stands still from now on.
    pub fn failed(&self, error: &StoreError) {
        self.metrics.store_error();
        match error.trouble() {
            Trouble::Untrustworthy => {
                let reason = format!("{error}; what is on the disk decides: start again");
                error!(%error, "the store cannot be trusted any more; ending");
                *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                self.close("it cannot be trusted any more; the service ends".to_owned());
                self.end.cancel();
            }
            Trouble::Full => self.close("the disk is full; nothing is taken until there is room".to_owned()),
            // Its words may hold a path.
            Trouble::Passing => self.close("it cannot be written; the log says why".to_owned()),
        }
    }

    /// Why the service had to end, where it had to.
    pub fn fatal(&self) -> Option<anyhow::Error> {
        let fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.as_ref().map(|reason| anyhow!("{reason}"))
    }

    /// Back when work may go on.
    pub async fn over(&self) {
        self.gate.open().await;
    }

    /// Watches the room that is left, and tries to write while work stands still; until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.watch()).await;
    }

    async fn watch(&self) {
        loop {
            sleep(LOOK_EVERY).await;
            if self.gate.is_open() && self.is_short_of(ROOM_BYTES_MIN) {
                self.close(full(&self.store));
            }
            if !self.gate.is_open() {
                self.resume().await;
            }
        }
    }

    /// Tries ever less often until a write succeeds.
    async fn resume(&self) {
        let since = Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            // More than it took to stop, or it would stop at once again.
            if self.is_short_of(2 * ROOM_BYTES_MIN) {
                self.readiness.fails(STORE, full(&self.store));
            } else {
                match self.store.probe().await {
                    Ok(()) => break,
                    Err(error) if error.trouble() == Trouble::Untrustworthy => return self.failed(&error),
                    Err(error) => warn!(%error, "the store still fails; trying again"),
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(TRY_EVERY_MAX);
        }
        info!(seconds = since.elapsed().as_secs(), "the store works again; going on");
        self.set(true);
        self.readiness.holds(STORE);
    }

    fn is_short_of(&self, bytes: u64) -> bool {
        self.store.room().is_some_and(|room| room < bytes)
    }

    fn close(&self, reason: String) {
        if self.gate.is_open() {
            error!(reason, "work stands still: the store cannot keep it");
        }
        self.set(false);
        self.readiness.fails(STORE, reason);
    }

    fn set(&self, is_open: bool) {
        self.gate.set(is_open);
        self.metrics.halted(!is_open);
        for valve in self.sources.lock().unwrap_or_else(PoisonError::into_inner).values() {
            valve.set(is_open);
        }
    }
}

fn full(store: &Store) -> String {
    let left = store.room().unwrap_or_default() >> 10;
    format!("the disk is full ({left} KiB left); nothing is taken until there is room")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashboards::Labels;
    use engine::store::Durability;

    #[tokio::test]
    async fn a_failing_store_stops_work_and_a_working_one_resumes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("remit.db"), Durability::None).await.unwrap();
        let readiness = Readiness::new(&[]);
        let metrics = Arc::new(Metrics::new("1", &Labels::default()).unwrap());
        let end = CancellationToken::new();
        let halt = Halt::new(store, readiness.clone(), metrics, end.clone());
        let source = Valve::default();
        halt.govern("trail", source.clone());
        halt.over().await;

        assert!(!halt.is_due_to(&anyhow!("a detection failed")), "nothing of the store");
        assert!(source.is_open() && readiness.reasons().is_empty());

        let row = StoreError::NotFound { what: "row", id: "1".into(), command: "findings" };
        assert!(!halt.is_due_to(&row.into()), "one row, and the others are well");
        halt.failed(&StoreError::NotFound { what: "row", id: "1".into(), command: "findings" });
        assert!(!source.is_open());
        assert_eq!(readiness.reasons()[STORE], "it cannot be written; the log says why");

        let watching = tokio::spawn(halt.clone().run(end.clone()));
        halt.over().await;
        assert!(source.is_open() && readiness.reasons().is_empty());
        assert!(halt.fatal().is_none() && !end.is_cancelled());
        end.cancel();
        watching.await.unwrap();
    }
}
