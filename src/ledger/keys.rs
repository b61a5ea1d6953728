//! The keys that digests are verified with: from a file, from the service, and kept for years

use crate::config::LedgerConfig;
use crate::exit::Usage;
use chrono::{DateTime, TimeDelta, Utc};
use engine::store::{RawDigest, Store};
use ingest::digest::{KeyRing, PublicKey};
use ingest::public_keys;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::warn;

/// How long a region is not asked again for a time that it was asked for.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Regions that are remembered to have been asked; AWS has fewer.
const REGIONS_MAX: usize = 200;

pub struct Keys {
    ring: KeyRing,
    known: Vec<PublicKey>,
    endpoint_url: Option<String>,
    /// Whether the file is all there is.
    is_file: bool,
    /// When each region was asked, and for what time.
    asked: BTreeMap<String, (Instant, DateTime<Utc>, DateTime<Utc>)>,
}

impl Keys {
    pub async fn open(store: &Store, config: &LedgerConfig) -> anyhow::Result<Keys> {
        let mut known: Vec<PublicKey> = store.public_keys().await?.into_iter().map(|kept| kept.key).collect();
        if let Some(path) = &config.keys_file {
            let bytes = std::fs::read(path)
                .map_err(|error| Usage::error(format!("cannot read `{}`: {error}", path.display())))?;
            let keys = KeyRing::list(&bytes)
                .map_err(|error| Usage::error(format!("`{}`: {error}", path.display())))?;
            store.keep_public_keys(&keys).await?;
            known.extend(keys);
        }
        let mut keys = Keys {
            ring: KeyRing::default(),
            known: Vec::new(),
            endpoint_url: config.endpoint_url.clone(),
            is_file: config.keys_file.is_some(),
            asked: BTreeMap::new(),
        };
        keys.add(known)?;
        Ok(keys)
    }

    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    fn add(&mut self, keys: Vec<PublicKey>) -> anyhow::Result<()> {
        for key in keys {
            if !self.known.contains(&key) {
                self.ring.add(key.clone())?;
                self.known.push(key);
            }
        }
        Ok(())
    }

    /// Asks each region for the keys of the time in which these digests were signed, where none is known.
    pub async fn ask_for(&mut self, store: &Store, digests: &[RawDigest]) -> anyhow::Result<()> {
        if self.is_file {
            return Ok(());
        }
        let mut wanted: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)> = BTreeMap::new();
        for raw in digests {
            let Some(name) = raw.place.digest_name() else { continue };
            let hour = TimeDelta::hours(1);
            let (from, until) = match raw.metadata.backfill_generated() {
                Ok(generated) if name.chain.backfill => (generated - hour, generated + hour),
                // An hour before it begins until two after it ends: https://github.com/aws/aws-cli/pull/10072
                _ => (name.end - hour * 2, name.end + hour * 2),
            };
            wanted
                .entry(name.chain.region)
                .and_modify(|time| *time = (time.0.min(from), time.1.max(until)))
                .or_insert((from, until));
        }
        for (region, (from, until)) in wanted {
            let covers = |asked: &(Instant, DateTime<Utc>, DateTime<Utc>)| {
                asked.0.elapsed() < ASK_AGAIN_AFTER && asked.1 <= from && until <= asked.2
            };
            if self.knows(&region, from, until) || self.asked.get(&region).is_some_and(covers) {
                continue;
            }
            if self.asked.len() >= REGIONS_MAX {
                self.asked.clear();
            }
            self.asked.insert(region.clone(), (Instant::now(), from, until));
            match public_keys::list(&region, from, until, self.endpoint_url.as_deref()).await {
                Ok(keys) => {
                    store.keep_public_keys(&keys).await?;
                    self.add(keys)?;
                }
                Err(cause) => warn!(%cause, "digests of the region wait; or give `[ledger] keys_file`"),
            }
        }
        Ok(())
    }

    /// Whether a key is known that was valid all that time. A digest may still name another one.
    fn knows(&self, region: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        self.known
            .iter()
            .any(|key| key.region.as_deref() == Some(region) && key.from <= from && until <= key.until)
    }
}
