//! Work stops while the store cannot keep it: nothing is taken from a source, nothing acknowledged, until a write
//! succeeds again.

use crate::desk::DeskError;
use anyhow::anyhow;
use dashboards::{Metrics, Readiness};
use engine::lake::{Lake, LakeError};
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

/// The condition of readiness that the lake's waiting room sets.
pub const LAKE: &str = "lake";

/// How often it is looked whether there is room.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The longest pause between two tries to write.
const TRY_EVERY_MAX: Duration = Duration::from_secs(10);

/// Whether the store takes work. Clones are one.
#[derive(Clone)]
pub struct Halt {
    store: Store,
    /// Its rows wait on the store's disk.
    lake: Option<Lake>,
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
        Halt { store, lake: None, readiness, metrics, gate: Valve::default(), sources, fatal, end }
    }

    /// The same for a store beside which rows wait for a lake.
    pub fn with_lake(self, lake: Option<Lake>) -> Halt {
        Halt { lake, ..self }
    }

    /// The way into a source, to be closed as long as work stands still.
    pub fn govern(&self, source: &str, valve: Valve) {
        valve.set(self.takes());
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), valve);
    }

    /// Whether an error was the store's own, or that of the rows beside it; if so, work stands still from now on. One row
    /// that is damaged is no reason.
    pub fn is_due_to(&self, error: &anyhow::Error) -> bool {
        let Some(trouble) = error.chain().find_map(trouble_in) else { return false };
        self.stop(trouble, format!("{error:#}"));
        true
    }

    /// The store failed: work stands still from now on.
    pub fn failed(&self, error: &StoreError) {
        self.stop(error.trouble(), error.to_string());
    }

    fn stop(&self, trouble: Trouble, error: String) {
        self.metrics.store_error();
        match trouble {
            Trouble::Untrustworthy => {
                let reason = format!("{error}; what is on the disk decides: start again");
                error!(%error, "the store cannot be trusted any more; ending");
                *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                self.close("it cannot be trusted any more; the service ends".to_owned());
                self.end.cancel();
            }
            Trouble::Full => self.close("the disk is full; nothing is taken until there is room".to_owned()),
            // Not every way in which a full disk fails says so.
            Trouble::Passing if self.is_short_of(ROOM_BYTES_MIN) => self.close(full(&self.store)),
            // Its words may hold a path.
            Trouble::Passing => self.close("it cannot be written; the log says why".to_owned()),
        }
    }

    /// Why the service had to end, where it had to.
    pub fn fatal(&self) -> Option<anyhow::Error> {
        let fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.as_ref().map(|reason| anyhow!("{reason}"))
    }

    /// Whether work goes on now.
    pub fn is_over(&self) -> bool {
        self.gate.is_open()
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
            self.look_at_lake();
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
                match self.probe().await {
                    Ok(()) => break,
                    Err(DeskError::Store(error)) if error.trouble() == Trouble::Untrustworthy => {
                        return self.failed(&error);
                    }
                    Err(error) => warn!(%error, "the store still fails; trying again"),
                }
            }
            self.look_at_lake();
            sleep(pause).await;
            pause = (pause * 2).min(TRY_EVERY_MAX);
        }
        info!(seconds = since.elapsed().as_secs(), "the store works again; going on");
        self.set(true);
        self.readiness.holds(STORE);
    }

    async fn probe(&self) -> Result<(), DeskError> {
        self.store.probe().await?;
        if let Some(lake) = &self.lake {
            lake.probe().await?;
        }
        Ok(())
    }

    /// Nothing is received either while there is no room for rows: what is held would only be hidden from others.
    fn look_at_lake(&self) {
        match &self.lake {
            Some(lake) if !lake.has_room() => {
                let reason = "too many rows wait for the lake, which does not answer or is slow; nothing is taken until \
                              there is room; the log says why";
                self.readiness.fails(LAKE, reason);
            }
            Some(_) => self.readiness.holds(LAKE),
            None => return,
        }
        self.open_or_close();
    }

    /// Whether anything may be received.
    fn takes(&self) -> bool {
        self.gate.is_open() && self.lake.as_ref().is_none_or(Lake::has_room)
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
        self.open_or_close();
    }

    fn open_or_close(&self) {
        let is_open = self.takes();
        for valve in self.sources.lock().unwrap_or_else(PoisonError::into_inner).values() {
            valve.set(is_open);
        }
    }
}

/// What of an error is a trouble of all work. What passes an error on says its own cause, not that error, so each that
/// does is asked for itself.
fn trouble_in(cause: &(dyn std::error::Error + 'static)) -> Option<Trouble> {
    let of_store = |error: &StoreError| error.is_of_all().then(|| error.trouble());
    match (
        cause.downcast_ref::<DeskError>(),
        cause.downcast_ref::<StoreError>(),
        cause.downcast_ref::<LakeError>(),
    ) {
        (Some(DeskError::Store(error)), ..) | (_, Some(error), _) => of_store(error),
        (Some(DeskError::Lake(error)), ..) | (.., Some(error)) => error.trouble(),
        _ => None,
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
    use engine::lake::{LakeAt, LakeConfig};
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

    #[tokio::test]
    async fn whoever_passes_an_error_on_it_is_known() {
        let full = || {
            let cause = std::io::Error::from(std::io::ErrorKind::StorageFull);
            LakeError::Spool { dir: "remit.rows".into(), cause }
        };
        let found = |error: anyhow::Error| error.chain().find_map(trouble_in);
        assert_eq!(found(full().into()), Some(Trouble::Full), "rows wait on the same disk");
        assert_eq!(found(DeskError::Lake(full()).into()), Some(Trouble::Full));
        assert_eq!(found(LakeError::Full { bytes: 1 }.into()), None, "that is the lake's, not the disk's");

        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("remit.db"), Durability::None).await.unwrap();
        store.close().await;
        let closed = store.ping().await.unwrap_err();
        assert_eq!(
            found(anyhow::Error::from(DeskError::Store(closed)).context("why")),
            Some(Trouble::Passing)
        );
        let closed = store.ping().await.unwrap_err();
        assert_eq!(found(LakeError::Store(closed).into()), Some(Trouble::Passing));
        let row = || StoreError::NotFound { what: "row", id: "1".into(), command: "findings" };
        assert_eq!(found(DeskError::Store(row()).into()), None);
        assert_eq!(found(row().into()), None);
    }

    #[tokio::test]
    async fn nothing_is_received_while_too_much_waits_for_the_lake() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("remit.db"), Durability::None).await.unwrap();
        for (pending_bytes_max, takes) in [(0, false), (1 << 20, true)] {
            let at = LakeAt::Folder(folder.path().join("lake"));
            let config = LakeConfig::new(at, folder.path().join("remit.rows"));
            let (lake, _) = Lake::open(&store, LakeConfig { pending_bytes_max, ..config }).await.unwrap();
            let readiness = Readiness::new(&[]);
            let metrics = Arc::new(Metrics::new("1", &Labels::default()).unwrap());
            let halt = Halt::new(store.clone(), readiness.clone(), metrics, CancellationToken::new());
            let halt = halt.with_lake(Some(lake));
            let source = Valve::default();
            halt.govern("trail", source.clone());
            halt.look_at_lake();
            assert_eq!(source.is_open(), takes);
            assert_eq!(readiness.reasons().contains_key(LAKE), !takes);
            halt.over().await;
        }
    }
}
