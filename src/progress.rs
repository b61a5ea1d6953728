//! How far a long command is: a bar on a terminal, a line every ten seconds elsewhere.

use crate::intake::Watcher;
use crate::pipeline::Outcome;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Objects between two looks at the clock.
const TOLD_EVERY: u64 = 16;

/// Counts objects and events as they end.
#[derive(Clone)]
pub struct Progress {
    inner: Arc<Inner>,
}

struct Inner {
    verb: &'static str,
    bar: ProgressBar,
    has_lines: bool,
    started: Instant,
    objects: AtomicU64,
    events: AtomicU64,
    last_line: Mutex<Instant>,
}

impl Progress {
    pub fn new(verb: &'static str, quiet: bool) -> Progress {
        let is_terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = ProgressBar::with_draw_target(
            None,
            if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Progress {
            inner: Arc::new(Inner {
                verb,
                bar,
                has_lines: !is_terminal && !quiet,
                started: now,
                objects: AtomicU64::new(0),
                events: AtomicU64::new(0),
                last_line: Mutex::new(now),
            }),
        }
    }

    /// What [`crate::intake::Intake`] tells of each object.
    pub fn watcher(&self) -> Watcher {
        let progress = self.clone();
        Arc::new(move |_, outcome| progress.count(outcome))
    }

    /// Events judged so far.
    pub fn events(&self) -> u64 {
        self.inner.events.load(Ordering::Relaxed)
    }

    pub fn elapsed(&self) -> Duration {
        self.inner.started.elapsed()
    }

    pub fn finish(&self) {
        self.inner.bar.finish_and_clear();
    }

    fn count(&self, outcome: &Outcome) {
        self.ended(if let Outcome::Done { events, .. } = outcome { *events } else { 0 });
    }

    /// Counts one object that ended, and its events.
    pub fn ended(&self, events: u64) {
        let inner = &self.inner;
        inner.events.fetch_add(events, Ordering::Relaxed);
        if !inner.objects.fetch_add(1, Ordering::Relaxed).is_multiple_of(TOLD_EVERY) {
            return;
        }
        inner.bar.set_message(self.text());
        inner.bar.tick();
        if inner.has_lines {
            let mut last = inner.last_line.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= LINE_EVERY {
                *last = Instant::now();
                eprintln!("{}", self.text());
            }
        }
    }

    fn text(&self) -> String {
        let inner = &self.inner;
        let events = self.events();
        let rate = events as f64 / inner.started.elapsed().as_secs_f64().max(0.001);
        format!(
            "{events} events of {} files {}, {rate:.0} a second",
            inner.objects.load(Ordering::Relaxed),
            inner.verb
        )
    }
}
