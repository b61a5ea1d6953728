//! The policy changes of past logs, read before anything is judged.
//!
//! `replay` has its files at hand, so every call can be held against the grants of its own time whatever the order of
//! the files. Most files have no change in them and are only inflated.

use engine::grant::PolicyChange;
use ingest::source::{Next, Source};
use ingest::{Fetcher, Limits, ObjectRef, Redaction};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Reads the sources to their ends. What cannot be read here is told when it is judged.
pub async fn read(
    sources: Vec<(String, Source)>,
    limits: &Limits,
    threads: usize,
    cancel: &CancellationToken,
) -> anyhow::Result<Vec<PolicyChange>> {
    let limits = Arc::new(limits.clone());
    let mut changes = Vec::new();
    let mut reading: JoinSet<Vec<PolicyChange>> = JoinSet::new();
    for (_, mut source) in sources {
        let fetcher = source.fetcher();
        while let Some(next) = source.next().await? {
            if cancel.is_cancelled() {
                return Ok(changes);
            }
            let Next::Object(delivery) = next else { continue };
            // This source is of its own: what is acknowledged here is still there to be judged.
            delivery.ticket.acknowledge().await?;
            if reading.len() >= threads
                && let Some(read) = reading.join_next().await
            {
                changes.extend(read?);
            }
            reading.spawn(changes_of(delivery.object, fetcher.clone(), limits.clone()));
        }
    }
    while let Some(read) = reading.join_next().await {
        changes.extend(read?);
    }
    Ok(changes)
}

async fn changes_of(object: ObjectRef, fetcher: Fetcher, limits: Arc<Limits>) -> Vec<PolicyChange> {
    let Ok(bytes) = fetcher.fetch(&object).await else { return Vec::new() };
    tokio::task::block_in_place(|| {
        let Ok(inflated) = ingest::inflate(&bytes, &limits) else { return Vec::new() };
        if !PolicyChange::may_be_in(&inflated) {
            return Vec::new();
        }
        let Ok(read) = ingest::read_object(&object, &bytes, &limits, &Redaction::default()) else {
            return Vec::new();
        };
        let view = read.batch.view();
        (0..read.batch.rows()).filter_map(|row| PolicyChange::of(&view, row)).collect()
    })
}
