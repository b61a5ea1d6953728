//! Puts the parts together that several commands need.

use crate::config::{BaselineConfig, Config};
use crate::exit::Usage;
use anyhow::Context;
use dashboards::{Labels, Metrics};
use engine::calls::Rules;
use engine::detection::{self, Detection};
use engine::grant::Grants;
use engine::manifest::{Manifests, Versions, history};
use engine::store::Store;
use std::path::Path;
use std::sync::Arc;
use tracing::{info, warn};

/// Reads manifests and policies; what deserves a look is logged. `None` for a folder that is not given.
pub fn scopes(agents: Option<&Path>, policies: Option<&Path>) -> anyhow::Result<(Manifests, Grants)> {
    let manifests = match agents {
        Some(dir) => Manifests::load(dir, chrono::Utc::now()).map_err(Usage::error)?,
        None => Manifests::default(),
    };
    let grants = grants(policies)?;
    tell_doubts(&manifests, &grants);
    Ok((manifests, grants))
}

/// The same with the manifests as they stood at each moment: by their commits where the folder is versioned, so
/// that a call is held against what was declared at its own time.
pub fn dated_scopes(agents: Option<&Path>, policies: Option<&Path>) -> anyhow::Result<(Versions, Grants)> {
    let manifests: Versions = match agents {
        Some(dir) => {
            // Said as a fault of the folder that was named, not of a revision of it.
            Manifests::load(dir, chrono::Utc::now()).map_err(Usage::error)?;
            history::timeline(dir, chrono::Utc::now()).map_err(Usage::error)?.into_iter().collect()
        }
        None => Versions::default(),
    };
    let grants = grants(policies)?;
    tell_doubts(manifests.latest(), &grants);
    if manifests.count() > 1 {
        info!(versions = manifests.count(), "calls are held against the manifests of their own time");
    }
    Ok((manifests, grants))
}

fn grants(policies: Option<&Path>) -> anyhow::Result<Grants> {
    policies.map_or_else(|| Ok(Grants::default()), |dir| Grants::load(dir).map_err(Usage::error))
}

fn tell_doubts(manifests: &Manifests, grants: &Grants) {
    for warning in &manifests.warnings {
        warn!("{}:{}: {}: {}", warning.file, warning.line, warning.key, warning.message);
    }
    for unparsed in manifests.unparsed.iter().chain(&grants.unparsed) {
        warn!("{}: {}; what it decides for {} is unknown", unparsed.file, unparsed.reason, unparsed.subject);
    }
}

/// The scopes of a configuration file.
pub fn configured_scopes(config: &Config) -> anyhow::Result<(Manifests, Grants)> {
    scopes(config.scope.agents.as_deref(), config.scope.policies.as_deref())
}

/// What calls are held against, with the store's baseline in memory.
pub async fn rules(
    manifests: Versions,
    grants: Grants,
    baseline: &BaselineConfig,
    store: &Store,
) -> anyhow::Result<Arc<Rules>> {
    let baseline = store.baseline(baseline.rule()).await?;
    grants.apply(&store.policy_changes().await?);
    Ok(Arc::new(Rules { manifests, grants, baseline }))
}

/// The detections that remit ships.
pub fn detections() -> anyhow::Result<Vec<Detection>> {
    detection::built_in().context("remit was built with a broken detection")
}

/// Metrics with every series that these parts can have.
pub fn metrics(
    config: &Config,
    detections: &[Detection],
    manifests: &Manifests,
) -> anyhow::Result<Arc<Metrics>> {
    let labels = Labels {
        sources: config.sources.iter().map(|s| s.name().to_owned()).collect(),
        receivers: config.alerts.receivers.iter().map(|r| r.name().to_owned()).collect(),
        detections: detections
            .iter()
            .map(|d| d.id.clone())
            .chain([engine::ledger::DETECTION.to_owned()])
            .collect(),
        reasons: ingest::quarantine::reason::ALL.iter().map(|r| (*r).to_owned()).collect(),
    };
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), &labels)?;
    metrics.manifest_warnings(manifests.warnings.len() + manifests.unparsed.len());
    Ok(Arc::new(metrics))
}
