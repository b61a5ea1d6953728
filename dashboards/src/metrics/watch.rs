//! What remit knows of its own health, as series.

use super::Registrar;
use engine::store::{Account, Identity};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// What became of a time to beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The other side heard it.
    Sent,
    /// It was sent, and not heard.
    Failed,
    /// It was not sent: remit is not ready, or does not get on.
    Withheld,
}

impl Beat {
    const ALL: [Beat; 3] = [Beat::Sent, Beat::Failed, Beat::Withheld];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Beat::Sent => "sent",
            Beat::Failed => "failed",
            Beat::Withheld => "withheld",
        }
    }
}

/// What an event may have that we do not know yet. It is kept and judged by what is understood of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfamiliar {
    /// A major version of its format.
    Version,
    /// A category of events.
    Category,
}

impl Unfamiliar {
    const ALL: [Unfamiliar; 2] = [Unfamiliar::Version, Unfamiliar::Category];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Unfamiliar::Version => "version",
            Unfamiliar::Category => "category",
        }
    }
}

/// The series of self-watching.
#[derive(Debug)]
pub(super) struct Watch {
    breaches: IntGaugeVec,
    accounted: IntGaugeVec,
    checked: IntGauge,
    canary_success: IntGauge,
    canary_lost: IntCounter,
    beats: IntCounterVec,
    unfamiliar: IntCounterVec,
}

impl Watch {
    pub(super) fn new(made: &Registrar) -> Result<Watch, prometheus::Error> {
        let watch = Watch {
            breaches: made.gauges(
                "remit_conservation_breaches",
                "Cases in the store that break an identity; anything but 0 is a fault of remit",
                &["identity"],
            )?,
            accounted: made.gauges(
                "remit_conservation_parts",
                "Where everything is that came in, by identity and part",
                &["identity", "part"],
            )?,
            checked: made.gauge(
                "remit_conservation_checked_timestamp_seconds",
                "When the identities were last held against the store; 0 before the first time",
            )?,
            canary_success: made.gauge(
                "remit_canary_last_success_timestamp_seconds",
                "When the event of the day last came out as a finding; 0 before the first time",
            )?,
            canary_lost: made.counter(
                "remit_canary_lost_total",
                "Events of the day that did not come out as a finding in time",
            )?,
            beats: made.counters(
                "remit_heartbeats_total",
                "Times to tell the dead man's switch that remit is alive, by what became of it",
                &["outcome"],
            )?,
            unfamiliar: made.counters(
                "remit_events_unfamiliar_total",
                "Events of a format version or category that remit does not know; kept, and judged as far as understood",
                &["what"],
            )?,
        };
        for identity in Identity::ALL {
            watch.breaches.with_label_values(&[identity.as_str()]);
            for part in identity.parts() {
                watch.accounted.with_label_values(&[identity.as_str(), part]);
            }
        }
        for beat in Beat::ALL {
            watch.beats.with_label_values(&[beat.as_str()]);
        }
        for what in Unfamiliar::ALL {
            watch.unfamiliar.with_label_values(&[what.as_str()]);
        }
        Ok(watch)
    }
}

impl super::Metrics {
    /// Sets where everything is that came in. `now`: µs UTC.
    pub fn accounts(&self, accounts: &[Account], now: i64) {
        let _one_at_a_time = self.lock();
        for account in accounts {
            let identity = account.identity.as_str();
            self.watch.breaches.with_label_values(&[identity]).set(account.breaches);
            for (part, count) in account.identity.parts().iter().zip(&account.parts) {
                self.watch.accounted.with_label_values(&[identity, part]).set(*count);
            }
        }
        self.watch.checked.set(now / engine::time::SECOND);
    }

    /// Notes when (µs UTC) the event of the day last came out as a finding.
    pub fn canary_found(&self, at: i64) {
        self.watch.canary_success.set(at / engine::time::SECOND);
    }

    /// Counts an event of the day that did not come out in time.
    pub fn canary_lost(&self) {
        self.watch.canary_lost.inc();
    }

    /// Counts a time to beat.
    pub fn beat(&self, beat: Beat) {
        self.watch.beats.with_label_values(&[beat.as_str()]).inc();
    }

    /// Counts events that have something we do not know.
    pub fn unfamiliar(&self, what: Unfamiliar, n: u64) {
        self.watch.unfamiliar.with_label_values(&[what.as_str()]).inc_by(n);
    }
}
