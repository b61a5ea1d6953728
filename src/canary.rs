//! The canary: once a day a log file of our own goes the whole way, and must come out as a finding.
//!
//! It is claimed, read, judged and committed like any other, by the same desk into the same store. Its findings have a
//! state of their own, so that nobody is told of them and nothing counts them; it adds nothing to the baseline, to
//! measures, reports or counts of events. Who it is about is chosen at random each time: no log can bring a finding
//! that would be taken for the canary's.

use crate::halt::Halt;
use crate::pipeline::{Begun, Outcome, Pipeline, Read, Written};
use crate::slices::Tools;
use anyhow::{Context, bail, ensure};
use chrono::Utc;
use dashboards::Readiness;
use engine::standing;
use engine::store::CANARY_SOURCE;
use engine::time::{self, DAY, rfc3339};
use flate2::Compression;
use flate2::write::GzEncoder;
use ingest::ObjectRef;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The condition of readiness that the canary sets.
pub const CANARY: &str = "canary";

/// When it was last found, as the store remembers it.
pub const FOUND: &str = "canary_found";

/// When it was last lost, and why.
pub const LOST: &str = "canary_lost";

/// What it does is stop the log: whoever does that is told of.
const DETECTION: &str = "LG01";

/// An account that nobody has.
const ACCOUNT: &str = "000000000000";

/// How often it flies.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// How soon it flies again after it was lost.
const EVERY_LOST: Duration = Duration::from_secs(5 * 60);

/// How often work may stand still during a flight before the canary is lost by that.
const INTERRUPTED_MAX: u32 = 10;

/// How often the store is asked whether it has come out.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long its findings are kept (µs).
const MEMORY: i64 = 7 * DAY;

pub struct Canary {
    pub pipeline: Arc<Pipeline>,
    pub halt: Halt,
    pub readiness: Readiness,
    /// How soon it must come out.
    pub within: Duration,
}

impl Canary {
    /// Flies now and every day, until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        match self.pipeline.store.watched(FOUND).await {
            Ok(found) => self.pipeline.metrics.canary_found(found.map_or(0, |found| found.at)),
            Err(cause) => warn!(%cause, "when the canary was last found cannot be read"),
        }
        let mut tools = None;
        loop {
            let flown = cancel.run_until_cancelled(self.try_once(&mut tools)).await;
            let Some(is_found) = flown else { return };
            let pause = if is_found { EVERY } else { EVERY_LOST };
            if tokio::time::timeout(pause, cancel.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    /// One flight and what follows from it. True when it came out.
    ///
    /// While work stands still nothing can come out: that is told of as it is, and the canary flies when it is over.
    pub async fn try_once(&self, tools: &mut Option<Tools>) -> bool {
        let mut interrupted = 0;
        let (started, ended) = loop {
            self.halt.over().await;
            let started = Instant::now();
            let flight = async {
                let tools = tools.get_or_insert_with(|| self.pipeline.worker());
                self.fly(tools).await
            };
            let ended = tokio::time::timeout(self.within, flight).await.unwrap_or_else(|_| {
                Err(anyhow::anyhow!("it did not come out within {} s", self.within.as_secs()))
            });
            match &ended {
                Err(cause)
                    if interrupted < INTERRUPTED_MAX
                        && (self.halt.is_due_to(cause) || !self.halt.is_over()) =>
                {
                    interrupted += 1;
                    info!(cause = format!("{cause:#}"), "the canary waits until the store works again");
                }
                _ => break (started, ended),
            }
        };
        let told = match &ended {
            Ok(()) => self.found(started.elapsed()).await,
            Err(cause) => self.lost(&format!("{cause:#}")).await,
        };
        if let Err(cause) = told {
            self.pipeline.metrics.store_error();
            error!(cause = format!("{cause:#}"), "what became of the canary cannot be kept");
        }
        ended.is_ok()
    }

    async fn fly(&self, tools: &mut Tools) -> anyhow::Result<()> {
        let name = format!("remit-canary-{:032x}", rand::random::<u128>());
        let actor = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
        let bytes = log_file(&name, &actor)?;
        let object = ObjectRef {
            source: CANARY_SOURCE.to_owned(),
            bucket: "remit:/canary".to_owned(),
            key: format!("{name}.json.gz"),
            version: String::new(),
        };
        let claim = match self.pipeline.begin(&object).await.context("it was not claimed")? {
            Begun::Mine(claim) | Begun::Suspect(claim) => claim,
            Begun::Ended(outcome) => bail!("it was not claimed: {outcome:?}"),
        };
        let sheet = match self.pipeline.judge(tools, &object, &claim, &bytes, false).await? {
            Read::Judged(sheet) => Box::new(sheet.of_canary()),
            Read::Ended(outcome) => bail!("it was not read: {outcome:?}"),
            Read::Torn => bail!("it was not read: its bytes end too early"),
        };
        match self.pipeline.commit(&object, sheet).await.context("it was not committed")? {
            Written::Ended(Outcome::Done { events, .. }) => ensure!(events == 1, "{events} events of one"),
            other => bail!("it was not committed: {other:?}"),
        }
        while !self.pipeline.store.has_canary(DETECTION, &actor).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn found(&self, took: Duration) -> anyhow::Result<()> {
        let store = &self.pipeline.store;
        let now = time::now();
        store.watch(FOUND, now, &format!("after {} ms", took.as_millis())).await?;
        self.pipeline.stand_for(standing::CANARY_LOST, &[]).await?;
        store.forget_canaries(now - MEMORY).await?;
        self.pipeline.metrics.canary_found(now);
        self.readiness.holds(CANARY);
        info!(took_ms = took.as_millis(), "the canary came out as a finding");
        Ok(())
    }

    /// Somebody is told, as of any finding: it stands until the canary is found again.
    async fn lost(&self, why: &str) -> anyhow::Result<()> {
        error!(why, "the canary was lost: a log file of our own did not come out as a finding");
        self.pipeline.metrics.canary_lost();
        self.readiness.fails(CANARY, "a log file of our own did not come out as a finding; the log says why");
        let now = time::now();
        self.pipeline.store.watch(LOST, now, why).await?;
        self.pipeline.stand_for(standing::CANARY_LOST, &[standing::canary_lost(why, now)]).await
    }
}

/// A CloudTrail file in which somebody unheard of stops a trail.
fn log_file(name: &str, actor: &str) -> anyhow::Result<Vec<u8>> {
    let record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "principalId": "REMITCANARY", "arn": actor, "accountId": ACCOUNT, "userName": name,
        },
        "eventTime": Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": concat!("remit/", env!("CARGO_PKG_VERSION"), " canary"),
        "requestParameters": {"name": name},
        "responseElements": null,
        "requestID": name,
        "eventID": name,
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    });
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json!({ "Records": [record] }).to_string().as_bytes())?;
    Ok(gzip.finish()?)
}

/// When something of the canary happened, in words.
pub fn moment(at: i64) -> String {
    rfc3339(at - at.rem_euclid(time::SECOND))
}

#[cfg(test)]
mod tests;
