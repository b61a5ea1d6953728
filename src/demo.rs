//! `remit demo`: the newcomer's first minute. A made-up company through the same service that `run` starts.

mod answer_key;

use crate::cli::DemoArgs;
use crate::config::{AlertsConfig, Config, ReportConfig, ScopeConfig, StoreConfig, WebConfig};
use crate::exit::Exit;
use crate::intake::{SOURCES, Watcher};
use crate::lake::LakeSettings;
use crate::pipeline::Outcome;
use crate::progress::Progress;
use crate::screen;
use crate::service::{self, Service};
use crate::synth::{self, LiveStream, Plan};
use alerts::receiver::ReceiverConfig;
use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use engine::finding::{Finding, Severity};
use engine::store::FindingFilter;
use ingest::source::{DirectoryConfig, Source, SourceConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DAYS: u32 = 30;

/// Findings that the first screen shows.
const SHOWN: usize = 5;

/// Longest title of the first finding, in UTF-16 units.
const TITLE_MAX: usize = 200;

/// How much time one file of the live stream covers: CloudTrail takes minutes, a newcomer has none.
const STRETCH: Duration = Duration::from_secs(5);

pub async fn run(args: DemoArgs, quiet: bool) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let company = Company::make(&args).await?;
    let progress = Progress::new("judged", quiet);
    let mut config = company.config(&args);
    if args.verify {
        // It must not stand in the way of a demo that runs already.
        config.web.listen.set_port(0);
    }
    let watcher = if args.verify { progress.watcher() } else { first_finding(started, progress.watcher()) };
    let mut service = Service::start(config, watcher).await?;
    let month = SourceConfig::Directory(DirectoryConfig::once(company.folder.join("logs")));
    let name = month.name().to_owned();
    let month = Source::open(&month, service.pipeline.limits()).await?;
    let is_interrupted = tokio::select! {
        read = service.read_once(month, &name) => { read?; false }
        signal = service::stop_signal() => { signal?; true }
    };
    progress.finish();
    if is_interrupted {
        service.stop().await;
        return Ok(Exit::Interrupted);
    }
    let found = service.pipeline.store.findings(&FindingFilter::default()).await?;
    if args.verify {
        let totals = service.pipeline.store.object_totals().await?;
        let exit = answer_key::compare(&company.folder.join("truth.jsonl"), &found, totals, &progress)?;
        service.stop().await;
        return Ok(exit);
    }
    screen::out(&company.story(&service, &found, &progress, started.elapsed()))?;
    if args.no_live {
        // The month was the only source, and it is read.
        service.readiness.holds(SOURCES);
    } else {
        service.read_sources().await?;
    }
    let live = company.live(args.no_live);
    let ended = tokio::select! {
        ended = live => ended,
        signal = service::stop_signal() => signal,
        () = service.ended() => Ok(()),
    };
    service.stop().await;
    ended.map(|()| Exit::Done)
}

/// Says the first finding as soon as there is one: a month takes a few seconds.
fn first_finding(started: Instant, watcher: Watcher) -> Watcher {
    let is_told = AtomicBool::new(false);
    Arc::new(move |object, outcome| {
        watcher(object, outcome);
        let Outcome::Done { stored, .. } = outcome else { return };
        let Some(finding) = stored.new_findings.iter().find(|finding| finding.state.is_told()) else {
            return;
        };
        if !is_told.swap(true, Ordering::Relaxed) {
            let title = alerts::text::plain(&finding.title, TITLE_MAX);
            let line = format!(
                "First finding after {:.1} s: {}, {title}\n\n",
                started.elapsed().as_secs_f64(),
                finding.severity
            );
            if let Err(cause) = screen::out(&line) {
                tracing::warn!("{cause:#}");
            }
        }
    })
}

struct Company {
    folder: PathBuf,
    plan: Plan,
    // Removed with everything in it when the demo ends.
    _temporary: Option<tempfile::TempDir>,
}

impl Company {
    async fn make(args: &DemoArgs) -> anyhow::Result<Company> {
        let (folder, temporary) = match &args.dir {
            Some(dir) => {
                let is_fresh = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
                anyhow::ensure!(
                    is_fresh,
                    crate::exit::Usage(format!(
                        "`{}` is not empty; name a folder that can be filled",
                        dir.display()
                    ))
                );
                std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
                (dir.clone(), None)
            }
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("remit-demo-")
                    .tempdir()
                    .context("cannot make a temporary folder for the demo; --dir names another")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let plan = Plan { seed: args.seed, days: DAYS, end: Utc::now() };
        let out = folder.clone();
        tokio::task::spawn_blocking(move || synth::write(&plan, &out)).await??;
        std::fs::create_dir_all(folder.join("live")).context("cannot make the folder of the live stream")?;
        Ok(Company { folder, plan, _temporary: temporary })
    }

    fn config(&self, args: &DemoArgs) -> Config {
        let live = DirectoryConfig {
            watch: true,
            poll: Duration::from_secs(1),
            ..DirectoryConfig::once(self.folder.join("live"))
        };
        Config {
            sources: vec![SourceConfig::Directory(live)],
            store: StoreConfig { path: self.folder.join("remit.db"), ..StoreConfig::default() },
            lake: LakeSettings::folder(self.folder.join("lake")),
            scope: ScopeConfig {
                agents: Some(self.folder.join("agents")),
                policies: Some(self.folder.join("policies")),
                ..ScopeConfig::default()
            },
            alerts: AlertsConfig {
                receivers: vec![ReceiverConfig::Ndjson {
                    name: "alerts".to_owned(),
                    min_severity: Severity::Medium,
                    max_per_minute: None,
                    path: self.folder.join("alerts.ndjson"),
                }],
                ..AlertsConfig::default()
            },
            web: WebConfig { listen: args.listen, ..WebConfig::default() },
            report: ReportConfig::default(),
            ..Config::default()
        }
    }

    fn story(&self, service: &Service, found: &[Finding], progress: &Progress, took: Duration) -> String {
        let mut worst: Vec<&Finding> = found.iter().collect();
        worst.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.last_seen.cmp(&a.last_seen)));
        let shown: Vec<Finding> = worst.into_iter().take(SHOWN).cloned().collect();
        let agents = service.pipeline.rules.manifests.latest().agents.len();
        let page = format!("http://{}", service.address);
        format!(
            "A made-up company: {agents} agents, {DAYS} days, {} calls judged, {} findings after {:.1} s.\n\
             The worst of them:\n\n{}\n\
             Look at:\n\
             \x20 {page}/            every finding, and what it rests on\n\
             \x20 {page}/agents      what each agent declares, is granted and uses\n\
             \x20 {page}/metrics     what Prometheus would scrape\n\
             \x20 {}   the manifests, the logs, and truth.jsonl: what was planted\n\n\
             New calls keep coming in, and an incident every two minutes. Ctrl-C ends it.\n",
            progress.events(),
            found.len(),
            took.as_secs_f64(),
            alerts::terminal::list(&shown, screen::colour()),
            self.folder.display(),
        )
    }

    /// Delivers what the company goes on doing, as files that appear whole. Never ends by itself.
    async fn live(&self, is_off: bool) -> anyhow::Result<()> {
        if is_off {
            std::future::pending::<()>().await;
        }
        let stream = LiveStream::new(&self.plan)?;
        let mut from: DateTime<Utc> = self.plan.end;
        let mut every = tokio::time::interval(STRETCH);
        loop {
            every.tick().await;
            // A machine that slept does not wake up to a day of events.
            let to = Utc::now();
            let from_at_most = from.max(to - TimeDelta::minutes(5));
            for (path, bytes) in stream.between(from_at_most, to)?.files {
                deliver(&self.folder, Path::new("live").join(path).as_path(), &bytes)?;
            }
            from = to;
        }
    }
}

fn deliver(folder: &Path, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let whole = folder.join(path);
    let cannot = || format!("cannot write `{}`", whole.display());
    if let Some(parent) = whole.parent() {
        std::fs::create_dir_all(parent).with_context(cannot)?;
    }
    let part = folder.join("live.part");
    std::fs::write(&part, bytes).with_context(cannot)?;
    std::fs::rename(&part, &whole).with_context(cannot)
}
