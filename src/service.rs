//! The service that `run` and `demo` start: sources in, alerts and pages out, until it is told to stop.

use crate::assembly;
use crate::canary::Canary;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::halt::Halt;
use crate::health::{Health, Obstacle};
use crate::intake::{Intake, SOURCES, Watcher};
use crate::ledger::{self, Accountant, LedgerDesk};
use crate::pipeline::Pipeline;
use crate::pulse::Pulse;
use crate::readmission::Readmitter;
use crate::upkeep::{DELIVERY_MEMORY, Keeps, upkeep};
use crate::watch;
use alerts::heartbeat::Heartbeat;
use alerts::outbox::{DispatchConfig, Dispatcher, Observer, Outcome as Sent};
use alerts::receiver::Receiver;
use anyhow::Context;
use dashboards::metrics::SendOutcome;
use dashboards::web::{Server, WebError};
use dashboards::{Metrics, Postures, Readiness, Token, WebState};
use engine::lake::Lake;
use engine::posture::Posture;
use engine::store::{Durability, Store, StoreError};
use ingest::planted::{Bug, bug};
use ingest::source::{Source, SourceConfig};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long a stop may take; what is not done by then is given back by its lease.
const DRAIN_MAX: Duration = Duration::from_secs(16);

/// How long of that what is being judged is waited for; then it is given back too.
const JUDGING_MAX: Duration = Duration::from_secs(12);

/// How long the last steps of a stop may take.
const LAST_MAX: Duration = Duration::from_secs(2);

/// The longest pause before a source whose workers ended is started again.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How old a posture may be that the page shows.
const POSTURE_AGE_MAX: Duration = Duration::from_secs(5);

/// Everything that runs, started and not yet stopped.
pub struct Service {
    pub pipeline: Arc<Pipeline>,
    pub address: SocketAddr,
    config: Config,
    intake: Arc<Intake>,
    pub readiness: Readiness,
    halt: Halt,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    /// Ends after everything else, with what it was given.
    committer: Option<JoinHandle<()>>,
    last: CancellationToken,
}

/// Runs until a signal ends it.
pub async fn run(config: Config) -> anyhow::Result<Exit> {
    if config.sources.is_empty() {
        return Err(Usage::error(
            "no source is configured; add a `[[sources]]` with type = \"directory\" or \"s3_sqs\"",
        ));
    }
    let mut service = Service::start(config, Arc::new(|_, _| {})).await?;
    service.read_sources().await?;
    info!(address = %service.address, "remit runs");
    let ended = tokio::select! {
        signal = stop_signal() => signal,
        () = service.ended() => Ok(()),
    };
    info!("stopping: finishing what is under way");
    let fatal = service.halt.fatal();
    let exit = service.stop().await;
    fatal.map_or(ended.map(|()| exit), Err)
}

impl Service {
    /// Opens the store, takes the address, starts alerts and upkeep. Reads no source yet.
    pub async fn start(config: Config, watcher: Watcher) -> anyhow::Result<Service> {
        let (manifests, grants) =
            assembly::dated_scopes(config.scope.agents.as_deref(), config.scope.policies.as_deref())?;
        let detections = assembly::detections()?;
        let metrics = assembly::metrics(&config, &detections, manifests.latest())?;
        let receivers = Receiver::build(config.alerts.receivers.clone()).map_err(Usage::error)?;
        let token = Token::parse(&config.web.token).map_err(Usage::error)?;

        let store = Store::open(&config.store.path, Durability::Full).await?;
        let stale = if bug(Bug::StaleLeasesKept) { 0 } else { store.end_stale_leases().await? };
        if stale > 0 {
            info!(objects = stale, "taking up what the last run left behind");
        }
        let rules = assembly::rules(manifests, grants, &config.baseline, &store).await?;
        let readiness = Readiness::new(&[SOURCES]);
        let postures = {
            let (store, rules, data_events) =
                (store.clone(), rules.clone(), config.report.data_events.clone());
            Postures::new(POSTURE_AGE_MAX, move || {
                let (store, rules, data_events) = (store.clone(), rules.clone(), data_events.clone());
                async move { Posture::read(&store, rules.manifests.latest(), &rules.grants, &data_events).await }
            })
        };
        let state = WebState {
            store: store.clone(),
            postures,
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            token,
            hosts: link_host(&config),
            min_active_days: config.baseline.min_active_days,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let server = Server::bind(config.web.listen, state).await.map_err(|error| match error {
            WebError::OffLoopback { .. } | WebError::BadToken => Usage::error(error),
            other => other.into(),
        })?;
        let address = server.address();

        let (lake, committer) = Lake::open_if(&store, config.lake.config(&config.store.path)).await?;
        let alert_max_age = Some(config.alerts.alert_max_age.as_micros() as i64);
        let pipeline =
            Pipeline::new(store.clone(), rules, metrics.clone(), &detections, alert_max_age, lake.clone())?;
        let (desk, facts) = LedgerDesk::open(&config.sources);
        let pipeline = pipeline.with_ledger(desk);
        let pipeline = Arc::new(pipeline);
        pipeline.stand().await?;
        let cancel = CancellationToken::new();
        let halt =
            Halt::new(store.clone(), readiness.clone(), metrics.clone(), cancel.clone()).with_lake(lake);
        let mut tasks = JoinSet::new();
        tasks.spawn(halt.clone().run(cancel.clone()));
        let dispatch = DispatchConfig {
            link: config.link(address),
            max_per_minute: config.alerts.max_per_minute,
            ..DispatchConfig::default()
        };
        let dispatcher = Dispatcher::new(store.clone(), receivers, dispatch)
            .observed(Arc::new(MetricsObserver { metrics: metrics.clone(), halt: halt.clone() }));
        let stop = cancel.clone();
        tasks.spawn(async move { dispatcher.run(stop).await });
        let stop = cancel.clone();
        tasks.spawn(async move {
            if let Err(cause) = server.run(stop.cancelled_owned()).await {
                error!(%cause, "the page is gone");
            }
        });
        let keeps = Keeps {
            events: config.store.event_horizon.as_micros() as i64,
            lateness: config.scope.lateness.as_micros() as i64,
        };
        let accountant = Accountant::open(pipeline.clone(), config.ledger.clone()).await?;
        tasks.spawn(accountant.run(halt.clone(), cancel.clone()));
        tasks.spawn(ledger::write_facts(pipeline.clone(), halt.clone(), facts, cancel.clone()));
        tasks.spawn(upkeep(pipeline.clone(), halt.clone(), keeps, cancel.clone()));
        let (accounted, is_ready, stop) = (pipeline.clone(), readiness.clone(), cancel.clone());
        tasks.spawn(watch::accounts(accounted, is_ready, DELIVERY_MEMORY, stop));
        if config.watch.canary {
            let (pipeline, halt, readiness) = (pipeline.clone(), halt.clone(), readiness.clone());
            let canary = Canary { pipeline, halt, readiness, within: config.watch.canary_within };
            tasks.spawn(canary.run(cancel.clone()));
        }
        let pulse = Arc::new(Pulse::default());
        if let Some(config) = config.watch.heartbeat.clone() {
            let heartbeat = Heartbeat::new(&config.url, config.method, address).map_err(Usage::error)?;
            tasks.spawn(watch::beat(heartbeat, config, pipeline.clone(), pulse.clone(), cancel.clone()));
        }
        let last = CancellationToken::new();
        let committer = committer.map(|committer| {
            let (observer, stop) = (Arc::new(metrics.lake()), last.clone());
            tokio::spawn(async move { committer.run(observer, stop.cancelled()).await })
        });
        let intake = Arc::new(Intake {
            pipeline: pipeline.clone(),
            health: Health::new(readiness.clone(), metrics),
            halt: halt.clone(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            watcher,
            deadline: CancellationToken::new(),
            forbidden: Mutex::default(),
            pulse,
        });
        Ok(Service { pipeline, address, config, intake, readiness, halt, cancel, tasks, committer, last })
    }

    /// Begins to read every configured source.
    pub async fn read_sources(&mut self) -> anyhow::Result<()> {
        let mut opened = Vec::new();
        for config in &self.config.sources {
            let source = Source::open(config, self.pipeline.limits())
                .await
                .with_context(|| format!("cannot open the source `{}`", config.name()))?;
            if let (SourceConfig::S3Sqs(config), Some(listing)) = (config, source.listing()) {
                let parts = || (self.pipeline.clone(), listing.clone(), config.clone(), self.cancel.clone());
                let (pipeline, listing, config, cancel) = parts();
                self.tasks.spawn(ledger::sweep(pipeline, listing, *config, cancel));
                let (pipeline, listing, config, cancel) = parts();
                self.tasks.spawn(ledger::heal(pipeline, listing, *config, cancel));
            }
            opened.push((config.clone(), source));
        }
        for (config, source) in opened {
            let readmitter = Readmitter {
                pipeline: self.pipeline.clone(),
                fetcher: source.fetcher(),
                source: config.name().to_owned(),
            };
            self.tasks.spawn(readmitter.run(self.cancel.clone()));
            self.tasks.spawn(keep_reading(self.intake.clone(), config, source, self.cancel.clone()));
        }
        self.readiness.holds(SOURCES);
        Ok(())
    }

    /// Reads one more source to its end.
    pub async fn read_once(&self, source: Source, name: &str) -> anyhow::Result<()> {
        self.intake.run(source, name, &self.cancel).await
    }

    /// Completes when something ended the service from inside.
    pub async fn ended(&self) {
        self.cancel.cancelled().await;
    }

    /// Ends everything: what is being judged is finished, for at most [`DRAIN_MAX`], and the rest is given back. A second
    /// signal ends it at once.
    pub async fn stop(self) -> Exit {
        tokio::select! {
            () = self.drain() => Exit::Done,
            Ok(()) = stop_signal() => {
                warn!("ending at once; what is under way comes back by itself");
                Exit::Interrupted
            }
        }
    }

    async fn drain(mut self) {
        self.cancel.cancel();
        let deadline = self.intake.deadline.clone();
        let late = tokio::spawn(async move {
            tokio::time::sleep(JUDGING_MAX).await;
            deadline.cancel();
        });
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, ended).await.is_err() {
            warn!("not everything ended in time; it comes back by itself");
        }
        late.abort();
        let last = async {
            self.tasks.shutdown().await;
            self.last.cancel();
            if let Some(committer) = self.committer {
                let _ = committer.await;
            }
            self.pipeline.store.close().await;
        };
        if tokio::time::timeout(LAST_MAX, last).await.is_err() {
            warn!("the store or the lake did not end in time; the next start takes up what waits");
        }
    }
}

/// Reads a source until `cancel`, and again when its workers end by a fault: the others and the alerts go on.
async fn keep_reading(intake: Arc<Intake>, config: SourceConfig, source: Source, cancel: CancellationToken) {
    let (name, limits) = (config.name(), intake.pipeline.limits());
    let mut failures = 0;
    let mut opened = Ok(source);
    loop {
        let began = Instant::now();
        let ended = match opened {
            Ok(source) => intake.run(source, name, &cancel).await,
            Err(cause) => Err(anyhow::Error::new(cause)),
        };
        let Err(cause) = ended else { return };
        if began.elapsed() > Duration::from_secs(600) {
            failures = 0;
        }
        failures += 1;
        error!(
            source = name,
            cause = format!("{cause:#}"),
            "the source's workers ended; starting them again"
        );
        let reason = "its workers ended and are started again; the log says why".to_owned();
        intake.health.hinders(name, Obstacle::Ended, reason);
        intake.pipeline.metrics.source_restarted(name);
        let pause = Duration::from_secs(1 << failures.min(6)).min(RESTART_PAUSE_MAX);
        if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        opened = Source::open(&config, limits).await;
        if opened.is_ok() {
            intake.health.is_past(name, Obstacle::Ended);
        }
    }
}

/// Completes at SIGTERM or Ctrl-C.
pub async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        _ = term.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt.context("cannot wait for Ctrl-C"),
    }
}

/// The page may be seen under the name that alerts link to.
fn link_host(config: &Config) -> Vec<String> {
    let host = config.alerts.link.as_deref().and_then(|link| link.split("://").nth(1));
    host.and_then(|rest| rest.split(['/', ':']).next()).map(str::to_owned).into_iter().collect()
}

struct MetricsObserver {
    metrics: Arc<Metrics>,
    halt: Halt,
}

impl Observer for MetricsObserver {
    fn sent(&self, receiver: &str, outcome: Sent, n: u64) {
        let outcome = match outcome {
            Sent::Delivered => SendOutcome::Delivered,
            Sent::Retried => SendOutcome::Retried,
            Sent::Refused => SendOutcome::Refused,
            Sent::Silenced => SendOutcome::Silenced,
            Sent::Summarized => SendOutcome::Summarized,
            Sent::Ambiguous => SendOutcome::Ambiguous,
        };
        self.metrics.sends(receiver, outcome, n);
    }

    fn told(&self, event_time: i64, now: i64) {
        self.metrics.told(event_time, now);
    }

    fn store_failed(&self, error: &StoreError) {
        self.halt.failed(error);
    }
}
