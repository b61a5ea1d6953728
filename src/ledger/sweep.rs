//! The listing sweep: what lies in the buckets of the last days, whether or not anybody told of it

use crate::pipeline::Pipeline;
use chrono::{Days, Utc};
use dashboards::metrics::SweepOutcome;
use engine::ledger::is_digest;
use engine::store::SweepLine;
use engine::time;
use ingest::digest::Place;
use ingest::sources::S3SqsConfig;
use ingest::sources::s3_sqs::{Listed, Listing};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long after the start the first sweep waits at most: what waits in the queue goes first.
const FIRST_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long an object may be there without anybody having told of it.
const SETTLED_AFTER_MAX: Duration = Duration::from_secs(60);

/// Sweeps until it is told to stop.
pub async fn sweep(
    pipeline: Arc<Pipeline>,
    listing: Listing,
    config: S3SqsConfig,
    cancel: CancellationToken,
) {
    if config.sweep.is_zero() || config.buckets.is_empty() {
        return;
    }
    let mut pause = config.sweep.min(FIRST_AFTER_MAX);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = config.sweep;
        let done = tokio::select! {
            () = cancel.cancelled() => return,
            done = once(&pipeline, &listing, &config) => done,
        };
        match done {
            Ok(line) => {
                let outcome =
                    if line.problem.is_some() { SweepOutcome::Partial } else { SweepOutcome::Whole };
                pipeline.metrics.swept(listing.name(), outcome);
                debug!(source = listing.name(), requests = line.requests, objects = line.objects, "swept");
            }
            Err(cause) => {
                pipeline.metrics.store_error();
                warn!(
                    source = listing.name(),
                    cause = format!("{cause:#}"),
                    "a sweep could not be kept; the next one is"
                );
            }
        }
    }
}

/// Lists everything once.
async fn once(pipeline: &Pipeline, listing: &Listing, config: &S3SqsConfig) -> anyhow::Result<SweepLine> {
    let settle = config.sweep.min(SETTLED_AFTER_MAX).as_micros() as i64;
    let mut line =
        SweepLine { source: listing.name().to_owned(), started_at: time::now(), ..SweepLine::default() };
    let today = Utc::now().date_naive();
    // Tomorrow too: CloudTrail's clock and ours are two.
    let days = (0..=u64::from(config.sweep_days))
        .filter_map(|back| today.checked_add_days(Days::new(1))?.checked_sub_days(Days::new(back)));
    let mut sweep = listing.sweep(days.collect());
    loop {
        match sweep.next().await {
            Ok(Some(listed)) => {
                line.objects += listed.len() as i64;
                let listed =
                    listed.into_iter().filter(|listed| config.digests || !is_digest(&listed.place.key));
                keep(pipeline, listing.name(), listed.collect(), settle).await?;
            }
            Ok(None) => break,
            Err(cause) => {
                warn!(source = listing.name(), %cause, "a folder was not swept");
                line.problem.get_or_insert(cause.to_string());
            }
        }
    }
    line.requests = i64::try_from(sweep.requests()).unwrap_or(i64::MAX);
    line.ended_at = time::now();
    pipeline.store.swept(&line).await?;
    Ok(line)
}

async fn keep(pipeline: &Pipeline, source: &str, listed: Vec<Listed>, settle: i64) -> anyhow::Result<()> {
    let now = time::now();
    // What was put there a moment ago has its notification under way.
    let is_fresh =
        |listed: &Listed| listed.modified.is_some_and(|modified| modified.timestamp_micros() > now - settle);
    let files = listed.into_iter().filter(|listed| !listed.place.key.ends_with('/'));
    let (fresh, settled): (Vec<Listed>, Vec<Listed>) = files.partition(is_fresh);
    let places = |listed: Vec<Listed>| listed.into_iter().map(|listed| listed.place).collect::<Vec<Place>>();
    pipeline.store.listed(source, &places(settled), now, now).await?;
    pipeline.store.listed(source, &places(fresh), now + settle, now).await?;
    Ok(())
}
