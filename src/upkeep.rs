//! What must be done from time to time: incidents end, and what is old is forgotten.

use crate::halt::Halt;
use crate::pipeline::Pipeline;
use engine::store::{LINKS_KEPT, StoreError};
use engine::time::{self, DAY, SECOND};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long it is remembered what narrows a session: its longest life, and time for its calls to arrive (µs).
const SESSION_MEMORY: i64 = 4 * DAY;

/// How long what was told to whom is remembered (µs).
pub const DELIVERY_MEMORY: i64 = 90 * DAY;

/// How often it is done.
const EVERY: Duration = Duration::from_secs(60);

/// How long what is configured is kept (µs).
#[derive(Clone, Copy)]
pub struct Keeps {
    /// Event ids, for exact deduplication.
    pub events: i64,
    /// What it takes to judge an object again.
    pub lateness: i64,
}

/// Does it until cancelled.
pub async fn upkeep(pipeline: Arc<Pipeline>, halt: Halt, keeps: Keeps, cancel: CancellationToken) {
    let mut every = tokio::time::interval(EVERY);
    let (mut last, mut jump) = (Instant::now(), None);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        jump = tell_jump(&pipeline, jump);
        let passed = std::mem::replace(&mut last, Instant::now()).elapsed();
        let done = cancel.run_until_cancelled(keep(&pipeline, keeps, passed)).await;
        if let Some(Err(cause)) = done {
            warn!(%cause, "upkeep failed; it is tried again in a minute");
            halt.failed(&cause);
        }
    }
}

async fn keep(pipeline: &Pipeline, keeps: Keeps, passed: Duration) -> Result<(), StoreError> {
    let store = &pipeline.store;
    store.resolve_quiet(time::now()).await?;
    // Not the clock: what a wrong date makes look old is not forgotten.
    let now = store.upkeep_now(time::now(), passed).await?;
    store.forget_events(now - keeps.events).await?;
    store.forget_origins(now - keeps.lateness).await?;
    store.forget_sessions(now - SESSION_MEMORY).await?;
    store.forget_links(now - LINKS_KEPT).await?;
    pipeline.rules.grants.forget_sessions(now - SESSION_MEMORY);
    store.forget_replayed(now - DELIVERY_MEMORY).await?;
    store.forget_deliveries(now - DELIVERY_MEMORY).await?;
    Ok(())
}

/// Tells once that the machine's clock jumped, and once that it did not stay so.
fn tell_jump(pipeline: &Pipeline, before: Option<i64>) -> Option<i64> {
    // Asking for the time is what notices a jump.
    let _ = time::now();
    let jump = time::jump();
    pipeline.metrics.clock_jump(jump);
    match (before, jump) {
        (None, Some(by)) => warn!(
            seconds = by / SECOND,
            "the machine's clock jumped; going on with the time that passed, until it has stayed so for an hour"
        ),
        (Some(_), None) => info!("the machine's clock is followed again"),
        _ => {}
    }
    jump
}
