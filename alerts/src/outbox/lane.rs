//! One receiver's way out: its order, its pace and its patience. Nothing here waits for another receiver.

use super::{DispatchConfig, Dispatcher, Drained, Outcome};
use crate::receiver::{Receiver, SendError};
use crate::summary::Summary;
use engine::incident::Alert;
use engine::store::{DeliveryKey, StoreError};
use engine::time::{MINUTE, SECOND};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Alerts read at a time: each holds up to a hundred findings.
const PAGE: i64 = 50;
/// Alerts in one summary; more than these wait for the next.
const SUMMARIZED_MAX: usize = 5_000;
/// The longest that a failing receiver is left alone before one message asks again.
const HOLD_MAX: Duration = Duration::from_secs(30);
/// How long alerts are put aside while the summary that tells them is written and sent (µs).
const SUMMARY_LEASE: i64 = 10 * MINUTE;

pub(super) struct Lane {
    receiver: Receiver,
    // None: no limit.
    max_per_minute: Option<usize>,
    pace: Mutex<Pace>,
}

/// What a lane remembers; losing it in a crash costs at most a few messages above the limit.
#[derive(Debug, Default)]
struct Pace {
    // Times of the last minute's messages, µs.
    sent: VecDeque<i64>,
    // The last time that more was due than the limit allows and one message told the rest.
    over: Option<i64>,
    hold_until: i64,
    // Failures since the last success: the receiver's, whatever message it was.
    failures: u32,
    // The last time that was looked, µs: an earlier one now means that the clock went back.
    looked: i64,
}

/// How one send ended, seen by the lane.
enum Sent {
    /// It is over: told, or given up.
    Ended,
    /// The receiver is not well: leave it alone for a while.
    Held,
}

impl Lane {
    pub(super) fn new(receiver: Receiver, common: u32) -> Lane {
        let max_per_minute = receiver.max_per_minute(common);
        Lane { receiver, max_per_minute, pace: Mutex::default() }
    }

    /// Sends what is due, until nothing is, the pace is reached, or the receiver fails.
    pub(super) async fn pass(
        &self,
        dispatcher: &Dispatcher,
        cancel: &CancellationToken,
    ) -> Result<Drained, StoreError> {
        let mut pace = self.pace.lock().await;
        let mut drained = Drained::default();
        let now = (dispatcher.clock)();
        pace.look(now);
        if now < pace.hold_until {
            return Ok(drained);
        }
        let waiting = dispatcher.store.due_count(self.receiver.name(), now).await?;
        let waiting = usize::try_from(waiting).unwrap_or(0);
        let room = pace.room(self.max_per_minute, now);
        // A single one too many takes the place of its summary.
        let is_over = waiting > room.saturating_add(usize::from(pace.may_go_over(now)));
        let individually = if is_over { room } else { waiting };
        let mut sent = 0;
        while sent < individually {
            let limit = PAGE.min(i64::try_from(individually - sent).unwrap_or(PAGE));
            let page = dispatcher.store.due(self.receiver.name(), now, limit).await?;
            if page.is_empty() {
                break;
            }
            for alert in page {
                if cancel.is_cancelled() {
                    return Ok(drained);
                }
                if sent == room && self.max_per_minute.is_some() {
                    pace.over = Some(now);
                }
                match self.tell(dispatcher, &mut pace, &alert, &mut drained).await? {
                    Sent::Ended => sent += 1,
                    Sent::Held => return Ok(drained),
                }
            }
        }
        if is_over && pace.may_go_over(now) && !cancel.is_cancelled() {
            self.summarize(dispatcher, &mut pace, &mut drained).await?;
        }
        Ok(drained)
    }

    async fn tell(
        &self,
        dispatcher: &Dispatcher,
        pace: &mut Pace,
        alert: &Alert,
        drained: &mut Drained,
    ) -> Result<Sent, StoreError> {
        let key = self.key(alert);
        let message = dispatcher.message(alert);
        dispatcher.store.sending(&key).await?;
        let answer = self.receiver.send(&message).await;
        let now = (dispatcher.clock)();
        match answer {
            Ok(()) => {
                dispatcher.store.delivered(&key, now).await?;
                if pace.failures > 0 {
                    // It is well again: nobody waits out a pause from before.
                    dispatcher.store.hasten(self.receiver.name(), now).await?;
                }
                pace.succeeded(now);
                drained.delivered += 1;
                self.count(dispatcher, Outcome::Delivered, 1);
                if let Some(event_time) = message.event_time() {
                    dispatcher.observer.told(event_time, now);
                }
                Ok(Sent::Ended)
            }
            Err(SendError::Refused { status, body }) => {
                let error = SendError::Refused { status, body }.to_string();
                tracing::error!(receiver = self.receiver.name(), incident = key.incident, %error, "alert given up");
                dispatcher.store.dead(&key, &error, now).await?;
                pace.succeeded(now);
                drained.dead += 1;
                self.count(dispatcher, Outcome::Refused, 1);
                Ok(Sent::Ended)
            }
            Err(SendError::Retry { after, cause, ambiguous }) => {
                let at = now + micros(wait(&dispatcher.config, after, alert.attempts, &key));
                tracing::warn!(
                    receiver = self.receiver.name(),
                    incident = key.incident,
                    cause,
                    ambiguous,
                    "alert not told yet"
                );
                dispatcher.store.retry(&key, at, &cause, ambiguous).await?;
                pace.failed(&dispatcher.config, after, now, &key);
                drained.retried += 1;
                self.count(dispatcher, if ambiguous { Outcome::Ambiguous } else { Outcome::Retried }, 1);
                Ok(Sent::Held)
            }
        }
    }

    /// Tells everything that is still due in one message.
    async fn summarize(
        &self,
        dispatcher: &Dispatcher,
        pace: &mut Pace,
        drained: &mut Drained,
    ) -> Result<(), StoreError> {
        let now = (dispatcher.clock)();
        let store = &dispatcher.store;
        let mut summary = Summary::new(&dispatcher.config.link, self.max_per_minute.unwrap_or(usize::MAX));
        let mut told: Vec<(DeliveryKey, i64)> = Vec::new();
        let mut event_times = Vec::new();
        'pages: loop {
            let page = store.due(self.receiver.name(), now, PAGE).await?;
            let may_summarize: Vec<&Alert> =
                page.iter().filter(|a| self.receiver.may_summarize(a.kind)).collect();
            if may_summarize.is_empty() {
                break;
            }
            for alert in may_summarize {
                if told.len() == SUMMARIZED_MAX {
                    break 'pages;
                }
                let message = dispatcher.message(alert);
                let key = self.key(alert);
                store.sending(&key).await?;
                // Put aside, so that the next page is another; after a crash it comes back as a possible resend.
                store.retry(&key, now + SUMMARY_LEASE, "being told in a summary", true).await?;
                event_times.extend(message.event_time());
                summary.add(&message);
                told.push((key, alert.attempts));
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        let answer = self.receiver.send_summary(&summary).await;
        let now = (dispatcher.clock)();
        let count = told.len() as u64;
        match answer {
            Ok(()) => {
                for (key, _) in &told {
                    store.summarized(key, now).await?;
                }
                pace.succeeded(now);
                pace.over = Some(now);
                drained.summarized += count;
                self.count(dispatcher, Outcome::Summarized, count);
                for event_time in event_times {
                    dispatcher.observer.told(event_time, now);
                }
            }
            Err(SendError::Refused { status, body }) => {
                let error = SendError::Refused { status, body }.to_string();
                tracing::error!(receiver = self.receiver.name(), alerts = count, %error, "summary given up");
                for (key, _) in &told {
                    store.dead(key, &error, now).await?;
                }
                pace.succeeded(now);
                drained.dead += count;
                self.count(dispatcher, Outcome::Refused, count);
            }
            Err(SendError::Retry { after, cause, ambiguous }) => {
                tracing::warn!(
                    receiver = self.receiver.name(),
                    alerts = count,
                    cause,
                    ambiguous,
                    "summary not told yet"
                );
                for (key, attempts) in &told {
                    let at = now + micros(wait(&dispatcher.config, after, *attempts, key));
                    store.retry(key, at, &cause, ambiguous).await?;
                }
                if let Some((key, _)) = told.first() {
                    pace.failed(&dispatcher.config, after, now, key);
                }
                drained.retried += count;
                self.count(dispatcher, if ambiguous { Outcome::Ambiguous } else { Outcome::Retried }, count);
            }
        }
        Ok(())
    }

    fn key(&self, alert: &Alert) -> DeliveryKey {
        DeliveryKey {
            incident: alert.incident.id.clone(),
            revision: alert.revision,
            receiver: self.receiver.name().to_owned(),
        }
    }

    fn count(&self, dispatcher: &Dispatcher, outcome: Outcome, count: u64) {
        dispatcher.observer.sent(self.receiver.name(), outcome, count);
    }
}

impl Pace {
    /// Takes the clock as it is: when it went back, what was noted by the later one is moved back too, or it would keep
    /// everything waiting until that time comes again.
    fn look(&mut self, now: i64) {
        let back = self.looked.saturating_sub(now);
        if back > 0 {
            self.hold_until = self.hold_until.saturating_sub(back);
            self.over = self.over.map(|at| at.saturating_sub(back));
            self.sent.iter_mut().for_each(|at| *at = at.saturating_sub(back));
        }
        self.looked = now;
    }

    /// Messages that may still go out one by one within the minute that ends now.
    fn room(&mut self, max_per_minute: Option<usize>, now: i64) -> usize {
        let Some(max) = max_per_minute else { return usize::MAX };
        while self.sent.front().is_some_and(|at| *at <= now - MINUTE) {
            self.sent.pop_front();
        }
        max.saturating_sub(self.sent.len())
    }

    /// One message above the limit a minute: a summary, or a single alert in its place.
    fn may_go_over(&self, now: i64) -> bool {
        self.over.is_none_or(|at| at <= now - MINUTE)
    }

    fn succeeded(&mut self, now: i64) {
        self.failures = 0;
        self.hold_until = 0;
        self.sent.push_back(now);
        // Without a limit nobody takes the old ones out.
        if self.sent.len() > SUMMARIZED_MAX {
            self.sent.pop_front();
        }
    }

    fn failed(&mut self, config: &DispatchConfig, after: Option<Duration>, now: i64, key: &DeliveryKey) {
        let hold = match after {
            Some(_) => wait(config, after, 0, key),
            None => wait(config, None, i64::from(self.failures), key).min(HOLD_MAX),
        };
        self.failures = self.failures.saturating_add(1);
        self.hold_until = now + micros(hold);
    }
}

/// How long to wait after a failure: what the receiver wants, else the base doubled by each earlier attempt.
///
/// Of the wait a share of up to a half is left off, by key and attempt, so that messages do not come back in step.
fn wait(config: &DispatchConfig, after: Option<Duration>, attempts: i64, key: &DeliveryKey) -> Duration {
    if let Some(after) = after {
        // Zero would ask again in a loop.
        return after.max(config.backoff_base.min(Duration::from_secs(1)));
    }
    let doublings = u32::try_from(attempts.clamp(0, 30)).unwrap_or(30);
    let whole = config.backoff_base.saturating_mul(1 << doublings).min(config.backoff_max);
    let digest = Sha256::digest(format!("{} {} {} {attempts}", key.incident, key.revision, key.receiver));
    let share = u32::from(digest.first().copied().unwrap_or(0));
    whole - whole * share / 512
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(3_600 * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::time::DAY;

    fn key(incident: &str) -> DeliveryKey {
        DeliveryKey { incident: incident.into(), revision: 1, receiver: "soc".into() }
    }

    #[test]
    fn waits_double_from_five_seconds_to_half_a_minute() {
        let config = DispatchConfig::default();
        for (attempts, whole) in [(0, 5), (1, 10), (2, 20), (8, 30), (60, 30)] {
            let wait = wait(&config, None, attempts, &key("a")).as_secs_f64();
            assert!((f64::from(whole) / 2.0..=f64::from(whole)).contains(&wait), "{attempts}: {wait}");
        }
        let waits: Vec<Duration> = (0..20).map(|n| wait(&config, None, 3, &key(&n.to_string()))).collect();
        assert!(waits.iter().any(|w| *w != waits[0]), "not in step");
    }

    #[test]
    fn a_receiver_that_names_a_time_is_taken_at_its_word() {
        let config = DispatchConfig::default();
        assert_eq!(wait(&config, Some(Duration::from_secs(77)), 9, &key("a")), Duration::from_secs(77));
        assert_eq!(wait(&config, Some(Duration::ZERO), 0, &key("a")), Duration::from_secs(1));
    }

    #[test]
    fn a_clock_that_jumps_holds_nothing_up() {
        for jump in [DAY, 3_650 * DAY] {
            let (mut pace, config) = (Pace::default(), DispatchConfig::default());
            pace.look(jump);
            (0..3).for_each(|n| pace.succeeded(jump + n));
            pace.over = Some(jump);
            pace.failed(&config, None, jump, &key("a"));
            pace.look(MINUTE);
            assert!(pace.hold_until <= MINUTE + 5 * SECOND, "held as long as before the clock went back");
            assert_eq!(pace.room(Some(3), MINUTE), 0);
            assert_eq!(pace.room(Some(3), 2 * MINUTE + SECOND), 3);
            assert!(pace.may_go_over(2 * MINUTE + SECOND));
        }
    }

    #[test]
    fn room_returns_after_a_minute() {
        let mut pace = Pace::default();
        (0..3).for_each(|n| pace.succeeded(n * SECOND));
        assert_eq!(pace.room(Some(3), 30 * SECOND), 0);
        assert_eq!(pace.room(Some(3), MINUTE), 1);
        assert_eq!(pace.room(Some(3), 2 * MINUTE), 3);
        assert_eq!(pace.room(None, 0), usize::MAX);
    }
}
