//! What Prometheus reads: every name and label that remit exports.
//!
//! Label values come from closed sets that are known at the start; anything else is counted as `other`, so that
//! no text of a log ever becomes a series. Known series exist at 0 from the start.

mod lake;
mod ledger;
mod outcome;
mod registrar;
mod standing;
mod watch;

pub use lake::LakeMetrics;
pub use ledger::SweepOutcome;
pub use outcome::{NotificationOutcome, ObjectOutcome, SendOutcome};
pub use standing::{AgentState, Standing};
pub use watch::{Beat, Unfamiliar};

use engine::finding::Severity;
use engine::measure::Measure;
use engine::store::{Store, StoreError};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};
use registrar::Registrar;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Agents with a series of their own; the others are counted together as `other`.
pub const AGENTS_MAX: usize = 500;

/// The value of a label whose true value is not in its closed set.
pub const OTHER: &str = "other";

/// Providers whose logs can be read.
const PROVIDERS: [&str; 3] = ["aws", "azure", "gcp"];

/// Whose log it is was not to be told: nothing in it could be read.
const UNKNOWN: &str = "unknown";

/// Open incidents looked at for the agents' state.
const INCIDENTS_MAX: i64 = 10_000;

/// Milliseconds to half a minute: work on one object.
const WORK_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A second to a day: the clouds deliver their logs minutes late, and late ones hours.
const DELAY_BUCKETS: &[f64] = &[
    1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0,
    86_400.0,
];

/// The closed sets of label values, known at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Names of the configured sources.
    pub sources: Vec<String>,
    /// Names of the configured receivers.
    pub receivers: Vec<String>,
    /// Ids of the detections, `SC01`.
    pub detections: Vec<String>,
    /// Reasons of quarantine.
    pub reasons: Vec<String>,
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A name or label that the registry does not take.
    #[error("cannot set up the metrics: {0}")]
    Registry(#[from] prometheus::Error),
}

/// Every series that remit exports. Share it behind an `Arc`; all methods take `&self`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    known: Known,
    // Gauges read from the store change together: a scrape sees all of one refresh, or all of the one before.
    refreshing: Mutex<()>,
    events: IntCounterVec,
    events_duplicate: IntCounterVec,
    events_quarantined: IntCounterVec,
    objects: IntCounterVec,
    notifications: IntCounterVec,
    watermark: GaugeVec,
    backlog: IntGaugeVec,
    source_oldest: GaugeVec,
    source_paused: IntGaugeVec,
    source_restarts: IntCounterVec,
    halted: IntGauge,
    clock_jump: Gauge,
    judge: Histogram,
    detection_delay: Histogram,
    commit: Histogram,
    findings: IntCounterVec,
    findings_open: IntGaugeVec,
    incidents_open: IntGaugeVec,
    incidents_silenced: IntGauge,
    agents: IntGauge,
    agent_state: IntGaugeVec,
    verdicts: IntCounterVec,
    unknown: IntCounterVec,
    agreement: IntCounterVec,
    manifest_warnings: IntGauge,
    sends: IntCounterVec,
    queue_depth: IntGaugeVec,
    dead: IntCounterVec,
    store_errors: IntCounter,
    watch: watch::Watch,
    lake: LakeMetrics,
    ledger: ledger::Ledger,
}

#[derive(Debug)]
struct Known {
    sources: BTreeSet<String>,
    receivers: BTreeSet<String>,
    detections: BTreeSet<String>,
    reasons: BTreeSet<String>,
}

impl Metrics {
    /// A registry of its own with every known series at 0.
    ///
    /// # Errors
    /// [`MetricsError::Registry`]; only if a name is wrong, which a test holds against.
    pub fn new(version: &str, labels: &Labels) -> Result<Metrics, MetricsError> {
        let made = Registrar { registry: Registry::new() };
        let metrics = Metrics {
            events: made.counters(
                "remit_events_total",
                "Unique events judged and stored",
                &["provider", "source"],
            )?,
            events_duplicate: made.counters(
                "remit_events_duplicate_total",
                "Events left out because they were seen before",
                &["provider"],
            )?,
            events_quarantined: made.counters(
                "remit_events_quarantined_total",
                "Records, objects and notifications that could not be read, by reason",
                &["provider", "reason"],
            )?,
            objects: made.counters(
                "remit_objects_total",
                "Log objects by how they ended",
                &["source", "outcome"],
            )?,
            notifications: made.counters(
                "remit_notifications_total",
                "Notifications received, by what they were",
                &["outcome"],
            )?,
            watermark: made.gauge_vec(
                "remit_ingest_watermark_timestamp_seconds",
                "Time of the newest event judged; 0 before the first",
                &["provider"],
            )?,
            backlog: made.gauges(
                "remit_ingest_backlog_objects",
                "Log objects known to wait at a source",
                &["source"],
            )?,
            source_oldest: made.gauge_vec(
                "remit_source_oldest_object_seconds",
                "How long the oldest object that a source gave is under way",
                &["source"],
            )?,
            source_paused: made.gauges(
                "remit_source_paused",
                "1 while a source's objects cannot be read and it waits until they can",
                &["source"],
            )?,
            source_restarts: made.counters(
                "remit_source_restarts_total",
                "How often a source's workers ended and were started again",
                &["source"],
            )?,
            halted: made
                .gauge("remit_store_halted", "1 while nothing is taken because the store cannot keep it")?,
            clock_jump: made.plain_gauge(
                "remit_clock_jump_seconds",
                "How far the machine's clock jumped, as long as that is not believed; 0 else",
            )?,
            judge: made.histogram(
                "remit_judge_duration_seconds",
                "Time to judge the events of one object",
                WORK_BUCKETS,
            )?,
            detection_delay: made.histogram(
                "remit_detection_delay_seconds",
                "Time from an incident's latest event until it was told",
                DELAY_BUCKETS,
            )?,
            commit: made.histogram(
                "remit_commit_duration_seconds",
                "Time of one store transaction",
                WORK_BUCKETS,
            )?,
            findings: made.counters(
                "remit_findings_total",
                "New findings by detection and severity",
                &["detection", "severity"],
            )?,
            findings_open: made.gauges(
                "remit_findings_open",
                "Findings that are open or acknowledged",
                &["severity"],
            )?,
            incidents_open: made.gauges("remit_incidents_open", "Incidents that are open", &["severity"])?,
            incidents_silenced: made
                .gauge("remit_incidents_silenced", "Open incidents that a silence keeps quiet")?,
            agents: made.gauge("remit_agents", "Agents that manifests declare")?,
            agent_state: made.gauges(
                "remit_agent_state",
                "1 for the state that an agent is in; `other` counts the agents beyond the cap",
                &["agent", "state"],
            )?,
            verdicts: made.counters(
                "remit_verdicts_total",
                "Answers of scopes to agents' calls, one for each permission that a call surely needed",
                &["verdict"],
            )?,
            unknown: made.counters(
                "remit_verdicts_unknown_total",
                "Answers that cannot be given, by whose (scope or grant) and why",
                &["of", "reason"],
            )?,
            agreement: made.counters(
                "remit_grant_agreement_total",
                "Outcomes of agents' calls against what the known policies grant",
                &["answer"],
            )?,
            manifest_warnings: made
                .gauge("remit_manifest_warnings", "Warnings about manifests and policies")?,
            sends: made.counters(
                "remit_receiver_sends_total",
                "Messages to receivers by what became of them",
                &["receiver", "outcome"],
            )?,
            queue_depth: made.gauges(
                "remit_receiver_queue_depth",
                "Messages that wait for a receiver",
                &["receiver"],
            )?,
            dead: made.counters(
                "remit_receiver_dead_total",
                "Messages given up, over the store's life",
                &["receiver"],
            )?,
            store_errors: made.counter("remit_store_errors_total", "Store calls that failed")?,
            watch: watch::Watch::new(&made)?,
            lake: LakeMetrics::new(&made)?,
            ledger: ledger::Ledger::new(&made)?,
            known: Known {
                sources: labels.sources.iter().cloned().collect(),
                receivers: labels.receivers.iter().cloned().collect(),
                detections: labels.detections.iter().cloned().collect(),
                reasons: labels.reasons.iter().cloned().collect(),
            },
            refreshing: Mutex::new(()),
            registry: made.registry.clone(),
        };
        made.gauges("remit_build_info", "1, with the version", &["version"])?
            .with_label_values(&[version])
            .set(1);
        metrics.start_at_zero();
        Ok(metrics)
    }

    fn start_at_zero(&self) {
        self.ledger.start_at_zero(&self.known);
        for provider in PROVIDERS {
            self.events_duplicate.with_label_values(&[provider]);
            self.watermark.with_label_values(&[provider]);
            for source in &self.known.sources {
                self.events.with_label_values(&[provider, source]);
            }
        }
        for provider in PROVIDERS.into_iter().chain([UNKNOWN]) {
            for reason in &self.known.reasons {
                self.events_quarantined.with_label_values(&[provider, reason]);
            }
        }
        for source in &self.known.sources {
            self.backlog.with_label_values(&[source]);
            self.source_oldest.with_label_values(&[source]);
            self.source_paused.with_label_values(&[source]);
            self.source_restarts.with_label_values(&[source]);
            for outcome in ObjectOutcome::ALL {
                self.objects.with_label_values(&[source, outcome.as_str()]);
            }
        }
        for outcome in NotificationOutcome::ALL {
            self.notifications.with_label_values(&[outcome.as_str()]);
        }
        for severity in Severity::ALL {
            self.findings_open.with_label_values(&[severity.as_str()]);
            self.incidents_open.with_label_values(&[severity.as_str()]);
            for detection in &self.known.detections {
                self.findings.with_label_values(&[detection.as_str(), severity.as_str()]);
            }
        }
        for measure in Measure::ALL {
            for answer in measure.answers() {
                self.measured(measure, answer, 0);
            }
        }
        // Otherwise there from the first unknown only, under one of its reasons.
        self.verdicts.with_label_values(&["unknown"]);
        for receiver in &self.known.receivers {
            self.queue_depth.with_label_values(&[receiver]);
            self.dead.with_label_values(&[receiver]);
            for outcome in SendOutcome::ALL {
                self.sends.with_label_values(&[receiver.as_str(), outcome.as_str()]);
            }
        }
    }

    /// The lake's part.
    #[must_use]
    pub fn lake(&self) -> LakeMetrics {
        self.lake.clone()
    }

    /// Counts unique events judged and stored.
    pub fn events(&self, source: &str, provider: &str, n: u64) {
        self.events.with_label_values(&[provider_of(provider), of(&self.known.sources, source)]).inc_by(n);
    }

    /// Counts events seen before.
    pub fn duplicates(&self, provider: &str, n: u64) {
        self.events_duplicate.with_label_values(&[provider_of(provider)]).inc_by(n);
    }

    /// Counts what could not be read.
    pub fn quarantined(&self, provider: &str, reason: &str, n: u64) {
        let reason = of(&self.known.reasons, reason);
        self.events_quarantined.with_label_values(&[provider_of(provider), reason]).inc_by(n);
    }

    /// Counts one object.
    pub fn object(&self, source: &str, outcome: ObjectOutcome) {
        self.objects.with_label_values(&[of(&self.known.sources, source), outcome.as_str()]).inc();
    }

    /// Counts one notification.
    pub fn notification(&self, outcome: NotificationOutcome) {
        self.notifications.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Notes the time (µs UTC) of an event judged. The watermark only moves forward.
    pub fn watermark(&self, provider: &str, time: i64) {
        let _one_at_a_time = self.lock();
        self.raise_watermark(provider_of(provider), time);
    }

    /// The newest event judged, µs UTC; none before the first.
    #[must_use]
    pub fn newest(&self, provider: &str) -> Option<i64> {
        let seconds = self.watermark.with_label_values(&[provider_of(provider)]).get();
        (seconds > 0.0).then_some((seconds * 1e6) as i64)
    }

    /// Sets how many objects wait at a source.
    pub fn backlog(&self, source: &str, objects: u64) {
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        self.backlog.with_label_values(&[of(&self.known.sources, source)]).set(objects);
    }

    /// Sets how long a source's oldest object is under way.
    pub fn source_oldest(&self, source: &str, age: Duration) {
        self.source_oldest.with_label_values(&[of(&self.known.sources, source)]).set(age.as_secs_f64());
    }

    /// Sets whether a source waits until its objects can be read.
    pub fn source_paused(&self, source: &str, is_paused: bool) {
        self.source_paused.with_label_values(&[of(&self.known.sources, source)]).set(i64::from(is_paused));
    }

    /// Counts one more start of a source's workers.
    pub fn source_restarted(&self, source: &str) {
        self.source_restarts.with_label_values(&[of(&self.known.sources, source)]).inc();
    }

    /// Sets whether nothing is taken because the store cannot keep it.
    pub fn halted(&self, is_halted: bool) {
        self.halted.set(i64::from(is_halted));
    }

    /// Sets how far (µs) the machine's clock jumped; none where it did not.
    pub fn clock_jump(&self, by: Option<i64>) {
        self.clock_jump.set(by.unwrap_or_default() as f64 / 1e6);
    }

    /// Notes how long one object took to judge.
    pub fn judged(&self, took: Duration) {
        self.judge.observe(took.as_secs_f64());
    }

    /// Notes how long one store transaction took.
    pub fn committed(&self, took: Duration) {
        self.commit.observe(took.as_secs_f64());
    }

    /// Notes how long after its event (both µs UTC) an alert was told. A clock behind the event's counts as 0.
    pub fn told(&self, event_time: i64, now: i64) {
        self.detection_delay.observe(now.saturating_sub(event_time).max(0) as f64 / 1e6);
    }

    /// Counts one new finding.
    pub fn finding(&self, detection: &str, severity: Severity) {
        let detection = of(&self.known.detections, detection);
        self.findings.with_label_values(&[detection, severity.as_str()]).inc();
    }

    /// Counts answers about agents' calls. `answer`: one of the measure's own.
    pub fn measured(&self, measure: Measure, answer: &'static str, n: u64) {
        let unknown = answer.strip_prefix("unknown:");
        match measure {
            Measure::Scope => {
                self.verdicts.with_label_values(&[unknown.map_or(answer, |_| "unknown")]).inc_by(n)
            }
            Measure::Grant => {}
            Measure::Agreement => self.agreement.with_label_values(&[answer]).inc_by(n),
        }
        if let Some(reason) = unknown {
            self.unknown.with_label_values(&[measure.as_str(), reason]).inc_by(n);
        }
    }

    /// Sets the number of warnings about manifests and policies.
    pub fn manifest_warnings(&self, warnings: usize) {
        self.manifest_warnings.set(i64::try_from(warnings).unwrap_or(i64::MAX));
    }

    /// Counts messages to a receiver.
    pub fn sends(&self, receiver: &str, outcome: SendOutcome, n: u64) {
        self.sends.with_label_values(&[of(&self.known.receivers, receiver), outcome.as_str()]).inc_by(n);
    }

    /// Counts one store call that failed.
    pub fn store_error(&self) {
        self.store_errors.inc();
    }

    /// Reads the gauges from the store: open findings and incidents, queues, the watermark, the agents' states.
    ///
    /// # Errors
    /// [`StoreError`]; what was read before stays as it was.
    pub async fn refresh(&self, store: &Store, agents: &[Standing]) -> Result<(), StoreError> {
        let open = store.open_counts().await?;
        let silenced = store.silenced_incidents().await?;
        let depths = store.receiver_depths().await?;
        let covered = store.covered().await?;
        let mut worst: BTreeMap<String, Severity> = BTreeMap::new();
        for incident in store.incidents(true, INCIDENTS_MAX).await? {
            let Some(agent) = incident.agent else { continue };
            let severity = worst.entry(agent).or_insert(incident.severity);
            *severity = (*severity).max(incident.severity);
        }

        let _one_at_a_time = self.lock();
        for (severity, n) in Severity::ALL.into_iter().zip(open.findings) {
            self.findings_open.with_label_values(&[severity.as_str()]).set(n);
        }
        for (severity, n) in Severity::ALL.into_iter().zip(open.incidents) {
            self.incidents_open.with_label_values(&[severity.as_str()]).set(n);
        }
        self.incidents_silenced.set(silenced);
        if let Some((_, newest)) = covered {
            self.raise_watermark("aws", newest);
        }
        self.set_queues(&depths);
        self.set_agents(agents, &worst);
        Ok(())
    }

    fn set_queues(&self, depths: &[engine::store::ReceiverDepth]) {
        // A receiver that left the configuration may still have messages in the store: told together, as `other`.
        let mut by_receiver: BTreeMap<&str, (i64, u64)> =
            self.known.receivers.iter().map(|receiver| (receiver.as_str(), (0, 0))).collect();
        for depth in depths {
            let sum = by_receiver.entry(of(&self.known.receivers, &depth.receiver)).or_default();
            sum.0 += depth.waiting;
            sum.1 += u64::try_from(depth.dead).unwrap_or(0);
        }
        for (receiver, (waiting, dead)) in by_receiver {
            self.queue_depth.with_label_values(&[receiver]).set(waiting);
            let counter = self.dead.with_label_values(&[receiver]);
            counter.inc_by(dead.saturating_sub(counter.get()));
        }
    }

    fn set_agents(&self, agents: &[Standing], worst: &BTreeMap<String, Severity>) {
        self.agents.set(i64::try_from(agents.len()).unwrap_or(i64::MAX));
        self.agent_state.reset();
        for (at, standing) in agents.iter().enumerate() {
            let state = standing.state(worst.get(&standing.agent).copied());
            let agent = if at < AGENTS_MAX { standing.agent.as_str() } else { OTHER };
            self.agent_state.with_label_values(&[agent, state.as_str()]).inc();
        }
    }

    fn raise_watermark(&self, provider: &str, time: i64) {
        let gauge = self.watermark.with_label_values(&[provider]);
        let seconds = time as f64 / 1e6;
        if seconds > gauge.get() {
            gauge.set(seconds);
        }
    }

    /// The Prometheus text format.
    ///
    /// # Errors
    /// [`MetricsError::Registry`] if a series cannot be written.
    pub fn render(&self) -> Result<String, MetricsError> {
        let families = {
            let _one_at_a_time = self.lock();
            self.registry.gather()
        };
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.refreshing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<'a>(known: &BTreeSet<String>, value: &'a str) -> &'a str {
    if known.contains(value) { value } else { OTHER }
}

fn provider_of(provider: &str) -> &'static str {
    PROVIDERS.into_iter().chain([UNKNOWN]).find(|known| *known == provider).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests;
