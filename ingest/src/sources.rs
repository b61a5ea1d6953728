//! The kinds of sources, and how they are configured.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::duration::{Bounds, within};

pub mod directory;
pub mod s3_sqs;

/// One `[[sources]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SourceConfig {
    /// A folder.
    Directory(DirectoryConfig),
    /// A bucket whose new objects are told through a queue.
    S3Sqs(Box<S3SqsConfig>),
}

/// A folder of log files, read once or watched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// What metrics and findings call it. Default `directory`.
    #[serde(default = "directory_name")]
    pub name: String,
    /// The folder, or a single file.
    pub path: PathBuf,
    /// Whether to go on looking for new and changed files. Default false.
    #[serde(default)]
    pub watch: bool,
    /// How often to look. Default 2s. Range 100ms–1h.
    #[serde(default = "poll", deserialize_with = "within::<Poll, _>")]
    pub poll: Duration,
}

impl DirectoryConfig {
    /// A folder to read once, with the defaults.
    pub fn once(path: impl Into<PathBuf>) -> Self {
        Self { name: directory_name(), path: path.into(), watch: false, poll: poll() }
    }
}

/// An SQS queue that tells of objects in S3.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3SqsConfig {
    /// What metrics and findings call it. Default `s3_sqs`.
    #[serde(default = "s3_sqs_name")]
    pub name: String,
    /// The queue's URL.
    pub queue_url: String,
    /// The region of queue and bucket.
    pub region: String,
    /// Where S3 and SQS answer, if not at AWS. Buckets are then part of the path.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// The only buckets to read from, whatever a message says. Default empty: any.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// The only beginnings of keys to read, whatever a message says. Default empty: any.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// The only accounts to read: the twelve digits behind `AWSLogs/` in a key. Default empty: any, and other keys too.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// The account that must own the buckets; S3 refuses the request if another does. Default: not asked.
    #[serde(default)]
    pub bucket_owner: Option<String>,
    /// Whether to read from buckets whose reader pays. Default false: S3 refuses these.
    #[serde(default)]
    pub requester_pays: bool,
    /// How long an object is tried that is not there, or that alone cannot be read, until it is put into quarantine.
    /// Default 5m. Range 1s–15m.
    #[serde(default = "retry_for", deserialize_with = "within::<RetryFor, _>")]
    pub retry_for: Duration,
    /// How often a message that nobody understands is received, left to the queue's own dead-letter rule, until it is put
    /// into quarantine here. Default 5. Range 1–1000.
    #[serde(default = "receives_max", deserialize_with = "receives")]
    pub receives_max: u32,
    /// Most memory for the bytes of objects, in MiB; a larger object is read alone. Default 256. Range 16–65536.
    #[serde(default = "memory_mib", deserialize_with = "mebibytes")]
    pub memory_mib: u64,
    /// How long a message stays hidden while it is judged; extended at half of it. Default 5m. Range 30s–12h.
    #[serde(default = "visibility", deserialize_with = "within::<Visibility, _>")]
    pub visibility: Duration,
    /// Most messages judged at once. Default 8. Range 1–1000.
    #[serde(default = "in_flight", deserialize_with = "messages_in_flight")]
    pub in_flight: usize,
    /// How long one receive waits for a message. Default 20s. Range 0s–20s.
    #[serde(default = "wait", deserialize_with = "within::<Wait, _>")]
    pub wait: Duration,
    /// How often the last days of the buckets are listed, so that what nobody told of is read too; `0s`: never. Needs
    /// `buckets`. Default 15m. Range 0s–24h.
    #[serde(default = "sweep", deserialize_with = "within::<SweepEvery, _>")]
    pub sweep: Duration,
    /// How many days a sweep looks back, today included. Default 3. Range 1–31.
    #[serde(default = "sweep_days", deserialize_with = "days_back")]
    pub sweep_days: u32,
    /// Where a sweep looks: what stands before `AWSLogs/`, or a folder of each day as `azure/%Y/%m/%d/`. Default `[""]`.
    #[serde(default = "sweep_prefixes")]
    pub sweep_prefixes: Vec<String>,
    /// Whether CloudTrail's log files are held against its digests. Default true.
    #[serde(default = "digests")]
    pub digests: bool,
}

impl SourceConfig {
    /// What metrics and findings call the source.
    pub fn name(&self) -> &str {
        match self {
            Self::Directory(config) => &config.name,
            Self::S3Sqs(config) => &config.name,
        }
    }
}

fn directory_name() -> String {
    "directory".to_owned()
}

fn s3_sqs_name() -> String {
    "s3_sqs".to_owned()
}

fn poll() -> Duration {
    Duration::from_secs(2)
}

fn visibility() -> Duration {
    Duration::from_secs(5 * 60)
}

fn wait() -> Duration {
    Duration::from_secs(20)
}

fn retry_for() -> Duration {
    Duration::from_secs(5 * 60)
}

fn receives_max() -> u32 {
    5
}

fn memory_mib() -> u64 {
    256
}

fn in_flight() -> usize {
    8
}

fn sweep() -> Duration {
    Duration::from_secs(15 * 60)
}

fn sweep_days() -> u32 {
    3
}

fn sweep_prefixes() -> Vec<String> {
    vec![String::new()]
}

fn digests() -> bool {
    true
}

struct SweepEvery;
impl Bounds for SweepEvery {
    const NAME: &'static str = "sweep";
    const LEAST: Duration = Duration::ZERO;
    const MOST: Duration = Duration::from_secs(24 * 3600);
}

fn days_back<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if (1..=31).contains(&days) {
        return Ok(days);
    }
    Err(serde::de::Error::custom(format!("`sweep_days` must be from 1 to 31, not {days}")))
}

struct Poll;
impl Bounds for Poll {
    const NAME: &'static str = "poll";
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(3600);
}

// Shorter than the calls to extend it would not hold; 12 hours are SQS's own limit.
struct Visibility;
impl Bounds for Visibility {
    const NAME: &'static str = "visibility";
    const LEAST: Duration = Duration::from_secs(30);
    const MOST: Duration = Duration::from_secs(12 * 3600);
}

struct RetryFor;
impl Bounds for RetryFor {
    const NAME: &'static str = "retry_for";
    const LEAST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(15 * 60);
}

struct Wait;
impl Bounds for Wait {
    const NAME: &'static str = "wait";
    const LEAST: Duration = Duration::ZERO;
    const MOST: Duration = Duration::from_secs(20);
}

fn messages_in_flight<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if (1..=1000).contains(&number) {
        return Ok(number);
    }
    Err(serde::de::Error::custom(format!("`in_flight` must be from 1 to 1000, not {number}")))
}

fn receives<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(deserializer)?;
    if (1..=1000).contains(&number) {
        return Ok(number);
    }
    Err(serde::de::Error::custom(format!("`receives_max` must be from 1 to 1000, not {number}")))
}

fn mebibytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if (16..=65_536).contains(&number) {
        return Ok(number);
    }
    Err(serde::de::Error::custom(format!("`memory_mib` must be from 16 to 65536, not {number}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(config: Value) -> Result<SourceConfig, String> {
        serde_json::from_value(config).map_err(|error| error.to_string())
    }

    fn s3_sqs() -> Value {
        json!({"type": "s3_sqs", "queue_url": "https://sqs.us-east-1.amazonaws.com/1/q", "region": "us-east-1"})
    }

    #[test]
    fn defaults_are_those_of_the_docs() {
        let Ok(SourceConfig::S3Sqs(config)) = read(s3_sqs()) else { panic!() };
        assert_eq!((config.visibility, config.wait), (Duration::from_secs(300), Duration::from_secs(20)));
        assert_eq!((config.in_flight, config.buckets.len(), config.name.as_str()), (8, 0, "s3_sqs"));
        assert_eq!(
            (config.retry_for, config.receives_max, config.memory_mib),
            (Duration::from_secs(300), 5, 256)
        );
        assert!(config.prefixes.is_empty() && config.accounts.is_empty() && !config.requester_pays);
        let Ok(SourceConfig::Directory(config)) = read(json!({"type": "directory", "path": "/logs"})) else {
            panic!()
        };
        assert_eq!(config, DirectoryConfig::once("/logs"));
    }

    #[test]
    fn a_duration_out_of_range_is_refused_with_its_range() {
        let mut config = s3_sqs();
        config["visibility"] = "30s".into();
        assert!(read(config.clone()).is_ok());
        config["visibility"] = "29s".into();
        assert_eq!(read(config).unwrap_err(), "`visibility` must be from `30s` to `12h`, not `29s`");
        let config = json!({"type": "directory", "path": "/logs", "poll": "2"});
        assert!(read(config).unwrap_err().contains("`poll`: `2` is no duration"));
    }

    #[test]
    fn an_unknown_key_or_kind_is_refused() {
        let mut config = s3_sqs();
        config["visibilty"] = "5m".into();
        assert!(read(config).unwrap_err().contains("unknown field `visibilty`"));
        assert!(read(json!({"type": "kafka"})).unwrap_err().contains("`directory` or `s3_sqs`"));
        let mut config = s3_sqs();
        config["in_flight"] = 0.into();
        assert_eq!(read(config).unwrap_err(), "`in_flight` must be from 1 to 1000, not 0");
        let mut config = s3_sqs();
        config["memory_mib"] = 8.into();
        assert_eq!(read(config).unwrap_err(), "`memory_mib` must be from 16 to 65536, not 8");
        let mut config = s3_sqs();
        config["retry_for"] = "16m".into();
        assert_eq!(read(config).unwrap_err(), "`retry_for` must be from `1s` to `15m`, not `16m`");
    }
}
