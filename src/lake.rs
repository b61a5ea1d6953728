//! `[lake]`: where events are kept, and the parts that keep them.

use crate::exit::Usage;
use engine::lake::{Committer, Lake, LakeAt, LakeConfig, Upkeep, spool_beside};
use engine::store::Store;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[lake]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LakeSettings {
    /// Whether events are kept at all. Default true; without, `remit query` has no `events`.
    pub enabled: bool,
    /// The folder. Default `lake`.
    pub path: PathBuf,
    /// `s3://bucket/prefix` instead of the folder. The server must honour conditional puts, as S3 does.
    pub url: Option<String>,
    /// The bucket's region; the environment's by default.
    pub region: Option<String>,
    /// Another server that speaks S3.
    pub endpoint_url: Option<String>,
    /// How long an event waits at most before it can be asked for. Default 5s.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub commit_every: Duration,
    /// Mebibytes that may wait on the store's disk while the lake does not answer; then no work is taken. Default 1024.
    #[schemars(range(min = 1))]
    pub pending_max_mib: u64,
    /// Small files of a day that are merged into one; 0 for never. Default 24.
    pub compact_files: usize,
    /// How often files that no version needs are deleted. Default 24h.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub vacuum_every: Duration,
}

impl Default for LakeSettings {
    fn default() -> Self {
        let upkeep = Upkeep::default();
        LakeSettings {
            enabled: true,
            path: "lake".into(),
            url: None,
            region: None,
            endpoint_url: None,
            commit_every: Duration::from_secs(5),
            pending_max_mib: 1_024,
            compact_files: upkeep.compact_files,
            vacuum_every: upkeep.vacuum_every,
        }
    }
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    ingest::duration::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl LakeSettings {
    /// A folder, with the defaults.
    pub fn folder(path: PathBuf) -> LakeSettings {
        LakeSettings { path, ..LakeSettings::default() }
    }

    /// What cannot be meant, as (key, reason).
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match &self.url {
            Some(url) if !url.starts_with("s3://") => Err((
                "url",
                "the lake's `url` is no `s3://bucket/prefix`; a folder is named by `path`".to_owned(),
            )),
            None if self.region.is_some() || self.endpoint_url.is_some() => {
                Err(("region", "the lake's `region` and `endpoint_url` need a `url`".to_owned()))
            }
            _ if self.pending_max_mib == 0 => {
                Err(("pending_max_mib", "`pending_max_mib` must be at least 1".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Where it lies.
    ///
    /// # Errors
    /// When there is none.
    pub fn at(&self) -> anyhow::Result<LakeAt> {
        if !self.enabled {
            return Err(Usage::error("`[lake] enabled` is false: no events are kept"));
        }
        Ok(match &self.url {
            Some(url) => LakeAt::S3 {
                url: url.clone(),
                region: self.region.clone(),
                endpoint_url: self.endpoint_url.clone(),
            },
            None => LakeAt::Folder(self.path.clone()),
        })
    }

    /// How it is kept; none where it is off.
    fn config(&self, store: &Path) -> Option<LakeConfig> {
        let at = self.at().ok()?;
        Some(LakeConfig {
            commit_every: self.commit_every,
            pending_bytes_max: self.pending_max_mib << 20,
            upkeep: Upkeep { compact_files: self.compact_files, vacuum_every: self.vacuum_every },
            ..LakeConfig::new(at, spool_beside(store))
        })
    }

    /// Opens it, with the part that gives it what waits; none where it is off.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub async fn open(&self, path: &Path, store: &Store) -> anyhow::Result<Option<(Lake, Committer)>> {
        let Some(config) = self.config(path) else { return Ok(None) };
        Ok(Some(Lake::open(store, config).await?))
    }
}
