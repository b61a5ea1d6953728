//! Why sources do not work, for readiness; and whether work on them goes on at all.

use crate::intake::SOURCES;
use dashboards::{Metrics, Readiness};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// How long objects may be under way without one of them ending.
const STALLED_AFTER: Duration = Duration::from_secs(300);

/// What can keep a source from working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// Its queue or folder does not answer.
    Silent,
    /// Its objects cannot be read.
    Unreadable,
    /// Objects are under way and none ends.
    Stalled,
    /// Its workers ended; they are started again.
    Ended,
}

/// The obstacles of all sources. Clones are one.
#[derive(Clone)]
pub struct Health {
    readiness: Readiness,
    metrics: Arc<Metrics>,
    obstacles: Arc<Mutex<BTreeMap<(String, Obstacle), String>>>,
}

impl Health {
    pub fn new(readiness: Readiness, metrics: Arc<Metrics>) -> Health {
        Health { readiness, metrics, obstacles: Arc::default() }
    }

    /// Something keeps a source from working. The reason is shown to anybody who asks: no secrets.
    pub fn hinders(&self, source: &str, obstacle: Obstacle, reason: String) {
        let mut obstacles = self.obstacles();
        let before = obstacles.insert((source.to_owned(), obstacle), reason.clone());
        if before.is_none() {
            warn!(source, reason, "the source does not work");
        }
        self.tell(&obstacles);
    }

    /// An obstacle is gone, or never was.
    pub fn is_past(&self, source: &str, obstacle: Obstacle) {
        let mut obstacles = self.obstacles();
        if obstacles.remove(&(source.to_owned(), obstacle)).is_some() {
            info!(source, obstacle = ?obstacle, "the source works again");
        }
        self.tell(&obstacles);
    }

    fn tell(&self, obstacles: &BTreeMap<(String, Obstacle), String>) {
        let reasons: Vec<String> =
            obstacles.iter().map(|((source, _), reason)| format!("{source}: {reason}")).collect();
        if reasons.is_empty() {
            self.readiness.holds(SOURCES);
        } else {
            self.readiness.fails(SOURCES, reasons.join("; "));
        }
    }

    fn obstacles(&self) -> MutexGuard<'_, BTreeMap<(String, Obstacle), String>> {
        self.obstacles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a source: what its objects wait for, and whether work on them goes on.
    pub fn look(&self, source: &str, trouble: Option<String>, progress: &Progress) {
        self.metrics.source_paused(source, trouble.is_some());
        self.metrics.source_oldest(source, progress.oldest().unwrap_or_default());
        match trouble {
            Some(reason) => {
                let reason =
                    format!("its objects cannot be read: {reason}; it goes on by itself when they can");
                self.hinders(source, Obstacle::Unreadable, reason);
            }
            None => self.is_past(source, Obstacle::Unreadable),
        }
        match progress.stalled() {
            Some(since) => {
                if !self.obstacles().contains_key(&(source.to_owned(), Obstacle::Stalled)) {
                    error!(source, minutes = since.as_secs() / 60, "objects are under way and none ends");
                }
                let minutes = since.as_secs() / 60;
                let reason = format!("objects are under way and none ended for {minutes} min");
                self.hinders(source, Obstacle::Stalled, reason);
            }
            None => self.is_past(source, Obstacle::Stalled),
        }
    }
}

/// Which objects of a source are under way, and since when.
#[derive(Debug)]
pub struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    next: u64,
    under_way: BTreeSet<(Instant, u64)>,
    last_end: Instant,
}

/// One object under way, as long as it lives.
#[derive(Debug)]
pub struct UnderWay {
    of: Arc<Progress>,
    key: (Instant, u64),
}

impl Default for Progress {
    fn default() -> Progress {
        Progress(Mutex::new(State { next: 0, under_way: BTreeSet::new(), last_end: Instant::now() }))
    }
}

impl Progress {
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.begin_at(Instant::now())
    }

    fn begin_at(self: &Arc<Self>, now: Instant) -> UnderWay {
        let mut state = self.state();
        state.next += 1;
        let key = (now, state.next);
        state.under_way.insert(key);
        UnderWay { of: Arc::clone(self), key }
    }

    /// How long the oldest is under way.
    pub fn oldest(&self) -> Option<Duration> {
        self.state().under_way.first().map(|(since, _)| since.elapsed())
    }

    /// For how long nothing ended, if that is too long for what is under way.
    pub fn stalled(&self) -> Option<Duration> {
        let state = self.state();
        let (since, _) = state.under_way.first()?;
        Some(since.elapsed().min(state.last_end.elapsed())).filter(|quiet| *quiet >= STALLED_AFTER)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.of.state();
        state.under_way.remove(&self.key);
        state.last_end = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashboards::Labels;

    fn health() -> (Health, Readiness) {
        let readiness = Readiness::new(&[SOURCES]);
        let metrics = Arc::new(Metrics::new("1", &Labels::default()).unwrap());
        (Health::new(readiness.clone(), metrics), readiness)
    }

    #[test]
    fn one_source_that_works_does_not_hide_another_that_does_not() {
        let (health, readiness) = health();
        health.hinders("trail", Obstacle::Silent, "the queue refuses".into());
        health.is_past("folder", Obstacle::Silent);
        assert_eq!(readiness.reasons()[SOURCES], "trail: the queue refuses");
        health.hinders("trail", Obstacle::Unreadable, "403".into());
        assert_eq!(readiness.reasons()[SOURCES], "trail: the queue refuses; trail: 403");
        health.is_past("trail", Obstacle::Silent);
        health.is_past("trail", Obstacle::Unreadable);
        assert!(readiness.reasons().is_empty());
    }

    // Others: vector#16741, beats#24601: everything in flight for ever, and the process looks healthy.
    // https://github.com/vectordotdev/vector/issues/16741
    #[test]
    fn a_source_whose_work_never_ends_says_so_and_a_busy_one_does_not() {
        let Some(long_ago) = Instant::now().checked_sub(2 * STALLED_AFTER) else {
            eprintln!("skipped: this machine runs for less than ten minutes");
            return;
        };
        let (health, readiness) = health();
        let progress = Arc::new(Progress::default());
        let _stuck = progress.begin_at(long_ago);
        health.look("trail", None, &progress);
        assert!(readiness.reasons().is_empty(), "old, and others ended beside it a moment ago");
        progress.state().last_end = long_ago;
        health.look("trail", None, &progress);
        assert_eq!(readiness.reasons()[SOURCES], "trail: objects are under way and none ended for 10 min");
        drop(progress.begin());
        health.look("trail", None, &progress);
        assert!(readiness.reasons().is_empty());
        let idle = Arc::new(Progress::default());
        idle.state().last_end = long_ago;
        assert_eq!(idle.stalled(), None, "nothing is under way: nothing can end");
    }
}
