//! What was announced, listed or attested and never read is fetched in the normal way: claimed, judged, committed

use crate::pipeline::Pipeline;
use engine::store::{Content, LogRead, WantedFile, files_as_digest};
use engine::time;
use futures::StreamExt;
use ingest::digest::logs;
use ingest::quarantine::reason;
use ingest::sources::S3SqsConfig;
use ingest::sources::s3_sqs::Listing;
use ingest::{FetchError, Limits};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the ledger is asked what is wanted.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Files that are looked for in one round, and at once.
const WANTED_MAX: i64 = 256;
const AT_ONCE: usize = 16;
/// Log files that are hashed in one round.
const HASHED_MAX: i64 = 16;
/// The first pause before a file is looked for again.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Fetches what is wanted until it is told to stop.
pub async fn heal(pipeline: Arc<Pipeline>, listing: Listing, config: S3SqsConfig, cancel: CancellationToken) {
    // Without a list of buckets anything that a digest names could be asked for.
    if config.buckets.is_empty() {
        return;
    }
    let retry = if config.sweep.is_zero() { RETRY_MAX } else { config.sweep.min(RETRY_MAX) };
    let mut every = tokio::time::interval(ASK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        let retry = retry.as_micros() as i64;
        let wanted = pipeline.store.wanted_files(listing.name(), retry, time::now(), WANTED_MAX).await;
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(cause) => {
                pipeline.metrics.store_error();
                warn!(%cause, "the ledger could not be asked what is wanted; it is asked again");
                continue;
            }
        };
        let hashed = tokio::select! {
            () = cancel.cancelled() => return,
            hashed = hash(&pipeline, &listing, retry) => hashed,
        };
        if let Err(cause) = hashed {
            warn!(
                cause = format!("{cause:#}"),
                "log files read before could not be hashed; it is tried again"
            );
        }
        if wanted.is_empty() {
            continue;
        }
        let looked = futures::stream::iter(wanted).map(|file| look_for(&pipeline, &listing, file));
        let fetched = tokio::select! {
            () = cancel.cancelled() => return,
            fetched = looked.buffer_unordered(AT_ONCE).filter(|found| std::future::ready(*found)).count() => fetched,
        };
        if fetched > 0 {
            info!(source = listing.name(), files = fetched, "fetching what nobody told of");
            pipeline.metrics.recalled(listing.name(), fetched as u64);
        }
    }
}

/// Hashes log files that were read when nobody asked for that. Nothing is judged again: other bytes than were judged
/// then are an overwritten file.
async fn hash(pipeline: &Pipeline, listing: &Listing, retry: i64) -> anyhow::Result<()> {
    for place in pipeline.store.unhashed_files(listing.name(), retry, time::now(), HASHED_MAX).await? {
        let object = listing.find(&place).await?;
        let bytes = listing.fetch_log(&object).await?;
        let sha256 = hex(&Sha256::digest(&*bytes));
        let content = match tokio::task::block_in_place(|| logs::content_sha256(&*bytes, &Limits::default()))
        {
            Ok(content) => Content::Sha256(hex(&content)),
            Err(_) => Content::NotGzip,
        };
        pipeline.store.log_read(&LogRead { object, content }, &sha256, time::now()).await?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the file is there, and on its way.
async fn look_for(pipeline: &Pipeline, listing: &Listing, file: WantedFile) -> bool {
    let WantedFile { place, tries } = file;
    let attempt = u32::try_from(tries + 1).unwrap_or(u32::MAX);
    let noted = match listing.find(&place).await {
        // A digest gives no events: it is kept, not judged, and so needs no claim.
        Ok(object) if files_as_digest(&object) => match listing.fetch_digest(&object).await {
            Ok((bytes, metadata)) => {
                pipeline.store.keep_digest(&object, &bytes, &metadata, time::now()).await
            }
            Err(cause) => {
                warn!(%place, %cause, "a digest cannot be fetched; it is tried again");
                Ok(())
            }
        },
        Ok(object) => return listing.deliver(object, attempt).await,
        Err(FetchError::Missing) => pipeline.store.gone(listing.name(), &place, time::now()).await,
        Err(FetchError::Forbidden(_)) => {
            pipeline.store.unreachable(listing.name(), &place, reason::FORBIDDEN_BUCKET).await
        }
        Err(cause) => {
            warn!(%place, %cause, "a file that is wanted cannot be looked for; it is tried again");
            Ok(())
        }
    };
    if let Err(cause) = noted {
        pipeline.metrics.store_error();
        warn!(%cause, "the store failed; the file is looked for again");
    }
    false
}
