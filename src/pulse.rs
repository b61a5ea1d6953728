//! Whether work gets on: what was begun ends, sooner or later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long work may be under way without any of it ending: a fetch has two minutes and four tries.
pub const STUCK_AFTER: Duration = Duration::from_secs(15 * 60);

/// Deliveries that were begun and that ended, however they did.
#[derive(Debug, Default)]
pub struct Pulse {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A delivery under way. Dropped, it has ended.
pub struct UnderWay<'p>(&'p Pulse);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pulse {
    /// A delivery begins.
    pub fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }
}

/// Looks at a pulse now and then.
#[derive(Debug)]
pub struct Finger {
    stuck_after: Duration,
    ended: u64,
    since: Instant,
}

impl Finger {
    pub fn new(stuck_after: Duration, now: Instant) -> Finger {
        Finger { stuck_after, ended: 0, since: now }
    }

    /// For how long nothing has ended although something is under way; none while work gets on, or there is none.
    pub fn stuck(&mut self, pulse: &Pulse, now: Instant) -> Option<Duration> {
        let ended = pulse.ended.load(Ordering::Relaxed);
        if ended != self.ended || pulse.begun.load(Ordering::Relaxed) <= ended {
            (self.ended, self.since) = (ended, now);
        }
        let still = now.saturating_duration_since(self.since);
        (still > self.stuck_after).then_some(still)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn work_that_never_ends_is_stuck_and_a_quiet_service_is_not() {
        let (pulse, start) = (Pulse::default(), Instant::now());
        let mut finger = Finger::new(10 * MINUTE, start);
        assert_eq!(finger.stuck(&pulse, start + 600 * MINUTE), None, "nothing to do");
        let first = pulse.begin();
        let at = start + 601 * MINUTE;
        assert_eq!(finger.stuck(&pulse, at), None, "just begun");
        assert_eq!(finger.stuck(&pulse, at + 9 * MINUTE), None, "it may take its time");
        assert_eq!(finger.stuck(&pulse, at + 11 * MINUTE), Some(12 * MINUTE), "since it was last seen idle");
        let second = pulse.begin();
        drop(first);
        assert_eq!(finger.stuck(&pulse, at + 12 * MINUTE), None, "something ended");
        drop(second);
        assert_eq!(finger.stuck(&pulse, at + 100 * MINUTE), None);
    }
}
