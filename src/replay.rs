//! `remit replay`: past logs judged as they would have been. Alerts nobody.
//!
//! Nothing is durable before the end, so files go through threads that share little: each event is counted once by a set
//! in memory, what merges is summed, and a private store settles and groups what was found.

mod threads;

use crate::assembly;
use crate::calls_file::CallsFile;
use crate::cli::{Listing, ReplayArgs};
use crate::commands::findings;
use crate::config::BaselineConfig;
use crate::desk::Settling;
use crate::exit::Exit;
use crate::policy_changes;
use crate::progress::Progress;
use crate::screen;
use crate::slices::Reading;
use anyhow::Context;
use engine::finding::Finding;
use engine::judge::Plans;
use engine::seen::Seen;
use engine::standing;
use engine::store::{Durability, FindingFilter, ObjectTotals, Store};
use engine::time;
use ingest::Limits;
use ingest::source::{DirectoryConfig, Source, SourceConfig};
use serde_json::json;
use std::sync::{Arc, Mutex};
use threads::Replay;
use tokio_util::sync::CancellationToken;

/// Memory for the events that were seen; the rest lies on disk.
const SEEN_MEMORY: usize = 40 << 20;

pub async fn run(args: ReplayArgs, quiet: bool) -> anyhow::Result<Exit> {
    let (manifests, grants) = assembly::dated_scopes(args.agents.as_deref(), args.policies.as_deref())?;
    if manifests.latest().agents.is_empty() {
        tracing::warn!("no manifests: every caller is a stranger; give a folder of them with --agents");
    }
    let detections = assembly::detections()?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder for the store")?;
    let store = Store::open(&folder.path().join("replay.db"), Durability::None).await?;
    let rules = assembly::rules(manifests, grants, &BaselineConfig::default(), &store).await?;
    let threads = args.threads.unwrap_or_else(cores).max(1);
    let settling = Settling::new(&detections, &rules, None);
    let unparsed = rules.manifests.latest().unparsed.iter().chain(&rules.grants.unparsed);
    let findings = standing::unparsed_policies(unparsed, time::now());
    store.stand(standing::POLICY_UNPARSED, &findings, &settling.terms()).await?;

    let progress = Progress::new("judged", quiet);
    let cancel = CancellationToken::new();
    let replay = Arc::new(Replay {
        rules,
        plans: Arc::new(Plans::new(&detections)?),
        settling,
        store: store.clone(),
        seen: Seen::new(SEEN_MEMORY),
        reading: Reading::default(),
        calls: args.calls.as_deref().map(CallsFile::create).transpose()?,
        progress: progress.clone(),
        cancel: cancel.clone(),
        sum: Mutex::default(),
    });
    let read = async {
        // Without exports nothing is known of what changes, so there is no need to know it first.
        if args.policies.is_some() {
            let ahead = open(&args, &replay.reading.limits).await?;
            let changes = policy_changes::read(ahead, &replay.reading.limits, threads, &cancel).await?;
            replay.rules.grants.apply(&changes);
        }
        replay.clone().read(args.paths.clone(), threads).await
    };
    tokio::pin!(read);
    let mut is_interrupted = false;
    let totals = loop {
        tokio::select! {
            totals = &mut read => break totals?,
            signal = crate::service::stop_signal(), if !is_interrupted => {
                signal?;
                is_interrupted = true;
                cancel.cancel();
            }
        }
    };
    progress.finish();
    replay.calls.as_ref().map_or(Ok(()), CallsFile::finish)?;
    if is_interrupted {
        tracing::warn!("interrupted; what follows covers only what was read before");
    }
    let mut found = store.findings(&FindingFilter::default()).await?;
    store.attribute(&mut found).await?;
    print(&found, totals, args.output)?;
    store.close().await;
    Ok(if is_interrupted {
        Exit::Interrupted
    } else if args.fail_on.is_some_and(|least| found.iter().any(|f| f.severity >= least)) {
        Exit::Findings
    } else if totals.quarantined > 0 {
        Exit::Incomplete
    } else {
        Exit::Done
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn open(args: &ReplayArgs, limits: &Limits) -> anyhow::Result<Vec<(String, Source)>> {
    let mut sources = Vec::new();
    for path in &args.paths {
        let config = SourceConfig::Directory(DirectoryConfig::once(path));
        let source = Source::open(&config, limits).await?;
        sources.push((path.display().to_string(), source));
    }
    Ok(sources)
}

fn print(found: &[Finding], totals: ObjectTotals, output: Listing) -> anyhow::Result<()> {
    let summary = json!({
        "read": totals.read,
        "unique": totals.stored,
        "duplicates": totals.duplicates,
        "quarantined": totals.quarantined,
        "objects": totals.objects,
        "findings": found.len(),
    });
    match output {
        Listing::Ndjson => {
            findings::print(found, output)?;
            screen::out_json(&json!({ "summary": summary }), false)
        }
        Listing::Json => {
            let all: Vec<_> = found.iter().map(Finding::to_json).collect();
            screen::out_json(&json!({ "schema_version": 1, "findings": all, "summary": summary }), true)
        }
        Listing::Table => {
            findings::print(found, output)?;
            screen::out(&format!(
                "{} events read: {} unique, {} duplicates, {} quarantined; {} findings\n",
                totals.read,
                totals.stored,
                totals.duplicates,
                totals.quarantined,
                found.len()
            ))
        }
    }
}
