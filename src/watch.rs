//! remit watches itself: whether everything is accounted for, and whether the dead man's switch hears of it.

use crate::config::HeartbeatConfig;
use crate::pipeline::Pipeline;
use crate::pulse::{Finger, Pulse, STUCK_AFTER};
use alerts::heartbeat::Heartbeat;
use dashboards::Readiness;
use dashboards::metrics::Beat;
use engine::store::Account;
use engine::time;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

/// The condition of readiness that the identities set.
pub const CONSERVATION: &str = "conservation";

/// How often the identities are held against the store.
const ACCOUNT_EVERY: Duration = Duration::from_secs(60);

/// Of the time at most one part in so many goes into it: a store of years takes long to add up.
const ACCOUNT_SHARE: u32 = 50;

/// Holds the identities against the store until `cancel`. `memory`: how long what was told is remembered (µs).
pub async fn accounts(pipeline: Arc<Pipeline>, readiness: Readiness, memory: i64, cancel: CancellationToken) {
    loop {
        let started = Instant::now();
        match pipeline.store.accounts(time::now(), memory).await {
            Ok(accounts) => {
                pipeline.metrics.accounts(&accounts, time::now());
                judge(&accounts, &readiness);
            }
            Err(cause) => {
                pipeline.metrics.store_error();
                warn!(%cause, "the identities could not be read; they are tried again");
            }
        }
        let pause = ACCOUNT_EVERY.max(started.elapsed() * ACCOUNT_SHARE);
        if tokio::time::timeout(pause, cancel.cancelled()).await.is_ok() {
            return;
        }
    }
}

fn judge(accounts: &[Account], readiness: &Readiness) {
    let mut broken = Vec::new();
    for account in accounts.iter().filter(|account| !account.holds()) {
        let name = account.identity.as_str();
        error!(
            identity = name,
            whole = account.whole,
            parts = ?account.identity.parts().iter().zip(&account.parts).collect::<Vec<_>>(),
            breaches = account.breaches,
            example = account.example.as_deref().unwrap_or_default(),
            "not everything is accounted for: a fault of remit"
        );
        broken.push(format!("{name} ({})", account.breaches));
    }
    if broken.is_empty() {
        readiness.holds(CONSERVATION);
    } else {
        let reason = format!(
            "not everything is accounted for: {}; `remit status` says where, and it is a fault of remit to report",
            broken.join(", ")
        );
        readiness.fails(CONSERVATION, reason);
    }
}

/// Tells the dead man's switch that remit is alive, as long as it is ready and gets on, until `cancel`.
pub async fn beat(
    heartbeat: Heartbeat,
    config: HeartbeatConfig,
    pipeline: Arc<Pipeline>,
    pulse: Arc<Pulse>,
    cancel: CancellationToken,
) {
    let mut finger = Finger::new(STUCK_AFTER, Instant::now());
    let mut every = tokio::time::interval(config.every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        let outcome = match may_beat(&heartbeat, &mut finger, &pulse).await {
            Err(why) => {
                warn!(why, "no heartbeat: the dead man's switch will tell");
                Beat::Withheld
            }
            Ok(()) => match heartbeat.beat().await {
                Ok(()) => Beat::Sent,
                Err(cause) => {
                    warn!(%cause, "the heartbeat was not heard");
                    Beat::Failed
                }
            },
        };
        debug!(outcome = outcome.as_str(), "heartbeat");
        pipeline.metrics.beat(outcome);
    }
}

async fn may_beat(heartbeat: &Heartbeat, finger: &mut Finger, pulse: &Pulse) -> Result<(), String> {
    if let Some(still) = finger.stuck(pulse, Instant::now()) {
        return Err(format!("objects are under way, and none has ended for {} s", still.as_secs()));
    }
    // Asked from outside, so that a page that hangs counts too.
    heartbeat.is_ready().await.map_err(|cause| format!("our own /readyz says no: {cause}"))
}
