//! While S3 refuses everything or answers nothing, it is asked ever less, and messages are left in the queue.
//!
//! One object that may not be read says nothing of the others; several failures with no success between them do. Then the
//! circuit is open: one request is let through at a time, after a pause that grows, and the first success closes it.
//! Whoever waits keeps its message hidden: a wrong key policy must not use up the receives that lead to a dead-letter
//! queue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::jitter::jitter;

/// Failures without a success between them that open it.
const FAILURES_MAX: u32 = 3;

/// The longest pause between two requests while it is open: the service resumes within it.
const PAUSE_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
pub(crate) struct Circuit {
    state: Mutex<State>,
    /// Held by whoever is next to try; others queue behind it in their order, so that no object is tried alone for ever.
    turn: tokio::sync::Mutex<()>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Since the last success.
    failures: u32,
    /// While it is open: when the next request may pass, and why it is open.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    pauses: u32,
    is_denied: bool,
    why: String,
}

impl Circuit {
    /// Back when a request may be made.
    pub(crate) async fn enter(&self) {
        if self.pause().is_none() {
            return;
        }
        let _turn = self.turn.lock().await;
        loop {
            // Made before the look, so that no closing between the two is missed.
            let closed = self.closed.notified();
            let Some(pause) = self.pause() else { return };
            if pause.is_zero() {
                return self.moved_on();
            }
            tokio::select! { () = sleep(pause) => {}, () = closed => {} }
        }
    }

    /// How long until a request may pass; none while it is closed.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let state = self.state();
        state.open.as_ref().map(|open| open.until.saturating_duration_since(Instant::now()))
    }

    /// Why it is open.
    pub(crate) fn why(&self) -> Option<String> {
        self.state().open.as_ref().map(|open| open.why.clone())
    }

    /// S3 answers again, though with no object: that ends an outage, not a denial.
    pub(crate) fn answered(&self) {
        if !self.state().open.as_ref().is_some_and(|open| open.is_denied) {
            self.succeeded();
        }
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.state();
        let was_open = state.open.is_some();
        *state = State::default();
        drop(state);
        if was_open {
            self.closed.notify_waiters();
        }
    }

    pub(crate) fn failed(&self, why: String, is_denied: bool) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if let Some(open) = &mut state.open {
            open.why = why;
            open.is_denied = is_denied;
        } else if state.failures >= FAILURES_MAX {
            state.open =
                Some(Open { until: Instant::now() + Duration::from_secs(1), pauses: 0, is_denied, why });
        }
    }

    /// Somebody passes: the next waits longer.
    fn moved_on(&self) {
        if let Some(open) = &mut self.state().open {
            let longest = Duration::from_secs(1 << open.pauses.min(10)).min(PAUSE_MAX);
            open.pauses = open.pauses.saturating_add(1);
            open.until = Instant::now() + longest - jitter(longest / 4);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn open() -> Circuit {
        let circuit = Circuit::default();
        (0..FAILURES_MAX).for_each(|_| circuit.failed("S3 answered 403 AccessDenied".into(), true));
        circuit
    }

    #[tokio::test(start_paused = true)]
    async fn one_object_that_is_denied_among_others_opens_nothing() {
        let circuit = Circuit::default();
        for _ in 0..100 {
            circuit.failed("denied".into(), true);
            circuit.failed("denied".into(), true);
            circuit.succeeded();
        }
        assert_eq!(circuit.why(), None);
        circuit.enter().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_asks_ever_less_and_says_why() {
        let circuit = open();
        assert_eq!(circuit.why().as_deref(), Some("S3 answered 403 AccessDenied"));
        let began = Instant::now();
        for _ in 0..10 {
            circuit.enter().await;
            circuit.failed("still".into(), true);
        }
        let waited = began.elapsed().as_secs();
        assert!(
            (60..=120).contains(&waited),
            "1+1+2+4+8+16+20+20... s, at least three quarters of it: {waited}"
        );
        assert_eq!(circuit.why().as_deref(), Some("still"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_an_object_ends_an_outage_and_no_denial() {
        let denied = open();
        denied.answered();
        assert!(denied.why().is_some());
        denied.failed("503".into(), false);
        denied.answered();
        assert_eq!(denied.why(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_wait_one_tries_and_its_success_lets_all_go_on() {
        let circuit = Arc::new(open());
        let passed = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let (circuit, passed) = (circuit.clone(), passed.clone());
            tokio::spawn(async move {
                circuit.enter().await;
                passed.fetch_add(1, Ordering::SeqCst);
            });
        }
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(passed.load(Ordering::SeqCst), 1, "one at a time");
        circuit.succeeded();
        sleep(Duration::from_millis(1)).await;
        assert_eq!((passed.load(Ordering::SeqCst), circuit.why()), (50, None));
    }
}
