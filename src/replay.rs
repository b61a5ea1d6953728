//! `remit replay`: past logs through the same pipeline, in a private store. Alerts nobody.

use crate::assembly;
use crate::calls_file::CallsFile;
use crate::cli::{Listing, ReplayArgs};
use crate::commands::findings;
use crate::config::{BaselineConfig, Config};
use crate::exit::Exit;
use crate::intake::Intake;
use crate::pipeline::Pipeline;
use crate::policy_changes;
use crate::progress::Progress;
use crate::screen;
use anyhow::Context;
use dashboards::Readiness;
use engine::finding::Finding;
use engine::store::{Durability, FindingFilter, ObjectTotals, Store};
use ingest::source::{DirectoryConfig, Source, SourceConfig};
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub async fn run(args: ReplayArgs, quiet: bool) -> anyhow::Result<Exit> {
    let (manifests, grants) = assembly::dated_scopes(args.agents.as_deref(), args.policies.as_deref())?;
    if manifests.latest().agents.is_empty() {
        tracing::warn!("no manifests: every caller is a stranger; give a folder of them with --agents");
    }
    let detections = assembly::detections()?;
    let metrics = assembly::metrics(&Config::default(), &detections, manifests.latest())?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder for the store")?;
    let store = Store::open(&folder.path().join("replay.db"), Durability::None).await?;
    let rules = assembly::rules(manifests, grants, &BaselineConfig::default(), &store).await?;
    let threads = args.threads.unwrap_or_else(cores).max(1);
    let mut pipeline = Pipeline::new(store.clone(), rules, metrics, detections, None);
    if let Some(path) = &args.calls {
        pipeline = pipeline.with_calls(CallsFile::create(path)?);
    }
    let pipeline = Arc::new(pipeline);
    pipeline.stand().await?;

    let progress = Progress::new("judged", quiet);
    let cancel = CancellationToken::new();
    let intake = Intake {
        pipeline: pipeline.clone(),
        readiness: Readiness::default(),
        workers: threads,
        watcher: progress.watcher(),
    };
    let sources = open(&args, &pipeline).await?;
    let read = async {
        // Without exports nothing is known of what changes, so there is no need to know it first.
        if args.policies.is_some() {
            let ahead = open(&args, &pipeline).await?;
            let changes = policy_changes::read(ahead, pipeline.limits(), threads, &cancel).await?;
            pipeline.rules.grants.apply(&changes);
        }
        for (name, source) in sources {
            intake.run(source, &name, &cancel).await?;
        }
        anyhow::Ok(())
    };
    let is_interrupted = tokio::select! {
        read = read => { read?; false }
        signal = crate::service::stop_signal() => { signal?; true }
    };
    progress.finish();
    pipeline.finish_calls()?;
    if is_interrupted {
        tracing::warn!("interrupted; what follows covers only what was read before");
    }
    let mut found = store.findings(&FindingFilter::default()).await?;
    store.attribute(&mut found).await?;
    let totals = store.object_totals().await?;
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

async fn open(args: &ReplayArgs, pipeline: &Pipeline) -> anyhow::Result<Vec<(String, Source)>> {
    let mut sources = Vec::new();
    for path in &args.paths {
        let config = SourceConfig::Directory(DirectoryConfig::once(path));
        let source = Source::open(&config, pipeline.limits()).await?;
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
