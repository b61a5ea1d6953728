//! `remit.toml`.

use crate::lake::LakeSettings;
use alerts::Secret;
use alerts::heartbeat::Method;
use alerts::receiver::ReceiverConfig;
use engine::baseline::BaselineRule;
use engine::store::CANARY_SOURCE;
use ingest::duration::{Bounds, within};
use ingest::source::SourceConfig;
use serde::{Deserialize, Deserializer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration file. Paths in it are relative to the file's own folder.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where logs come from; `run` needs at least one.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub sources: Vec<SourceConfig>,
    /// What remit remembers.
    pub store: StoreConfig,
    /// Where events are kept.
    pub lake: LakeSettings,
    /// What agents are declared and granted.
    pub scope: ScopeConfig,
    /// What counts as usual.
    pub baseline: BaselineConfig,
    /// What should have come in.
    pub ledger: LedgerConfig,
    /// Who is told.
    pub alerts: AlertsConfig,
    /// The page, the API and the metrics.
    pub web: WebConfig,
    /// The report.
    pub report: ReportConfig,
    /// How remit watches itself.
    pub watch: WatchConfig,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The SQLite file. Default `remit.db`.
    pub path: PathBuf,
    /// How long an event is remembered from when it was judged: it counts once, however often it comes. Default 7d.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub event_horizon: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig { path: "remit.db".into(), event_horizon: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// `[scope]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeConfig {
    /// Folder of manifests.
    pub agents: Option<PathBuf>,
    /// Folder of policies, as the clouds export them.
    pub policies: Option<PathBuf>,
    /// How late a policy change may arrive and still have what was judged before it judged again. Default 24h.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub lateness: Duration,
}

impl Default for ScopeConfig {
    fn default() -> Self {
        Self { agents: None, policies: None, lateness: Duration::from_secs(24 * 3600) }
    }
}

/// `[baseline]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineConfig {
    /// Active days before anything is new for an identity. Default 7.
    #[schemars(range(min = 0, max = 128))]
    pub min_active_days: u32,
    /// Days that count. Default 64.
    #[schemars(range(min = 1, max = 400))]
    pub lookback_days: u32,
}

impl Default for BaselineConfig {
    fn default() -> Self {
        let rule = BaselineRule::default();
        BaselineConfig { min_active_days: rule.min_active_days, lookback_days: rule.lookback_days }
    }
}

impl BaselineConfig {
    pub fn rule(&self) -> BaselineRule {
        BaselineRule { min_active_days: self.min_active_days, lookback_days: self.lookback_days }
    }
}

/// `[ledger]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// How long what may still come is waited for before it is missed. Default 1h.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub grace: Duration,
    /// How long log files are kept one by one; then they are summed up by hours. Default 15d: as long as a queue can keep
    /// a message.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub detail: Duration,
    /// How long hours, gaps and what is wrong are kept. Default 90d.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub retention: Duration,
    /// CloudTrail's public keys, as `aws cloudtrail list-public-keys` prints them. Without it the service is asked.
    pub keys_file: Option<PathBuf>,
    /// Where CloudTrail is asked for keys, if not at AWS.
    pub endpoint_url: Option<String>,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig {
            grace: Duration::from_secs(3600),
            detail: Duration::from_secs(15 * 24 * 3600),
            retention: Duration::from_secs(90 * 24 * 3600),
            keys_file: None,
            endpoint_url: None,
        }
    }
}

impl LedgerConfig {
    /// How long files and hours are kept (µs).
    pub fn kept(&self) -> (i64, i64) {
        let micros = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4);
        (micros(self.detail), micros(self.retention.max(self.detail)))
    }
}

/// `[alerts]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// Findings whose latest event is older wake nobody. Default `24h`.
    #[serde(deserialize_with = "length")]
    #[schemars(with = "String")]
    pub alert_max_age: Duration,
    /// Alerts a minute above which a receiver gets one summary. Default 20.
    #[schemars(range(min = 1))]
    pub max_per_minute: u32,
    /// Where the page is seen from outside, for links. Default `http://` and `[web] listen`.
    pub link: Option<String>,
    /// Who is told.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub receivers: Vec<ReceiverConfig>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        AlertsConfig {
            alert_max_age: Duration::from_secs(24 * 3600),
            max_per_minute: 20,
            link: None,
            receivers: Vec::new(),
        }
    }
}

/// `[web]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Address and port. Default `127.0.0.1:8080`. Off loopback it starts only with a token.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The token that callers must show; empty for none.
    pub token: String,
}

impl Default for WebConfig {
    fn default() -> Self {
        WebConfig { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), token: String::new() }
    }
}

/// `[report]`
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Services, as in permissions (`s3`, `dynamodb`), whose data events are logged in full: only of these can
    /// a data-plane permission be called unused.
    pub data_events: Vec<String>,
}

/// `[watch]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WatchConfig {
    /// Whether a log file of remit's own goes the whole way once a day and must come out as a finding. Default true.
    pub canary: bool,
    /// How soon it must come out. Default 5m. Range 1s–1h.
    #[serde(deserialize_with = "within::<CanaryWithin, _>")]
    #[schemars(with = "String")]
    pub canary_within: Duration,
    /// A dead man's switch that is told that remit is alive, as long as it is.
    pub heartbeat: Option<HeartbeatConfig>,
}

impl Default for WatchConfig {
    fn default() -> Self {
        WatchConfig { canary: true, canary_within: Duration::from_secs(300), heartbeat: None }
    }
}

/// `[watch.heartbeat]`
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// The address that counts each request as a sign of life; it is a secret. `https`, or loopback.
    #[schemars(with = "String")]
    pub url: Secret,
    /// `post` or `get`. Default post.
    #[serde(default)]
    #[schemars(with = "String")]
    pub method: Method,
    /// How often. Default 5m. Range 1s–1h.
    #[serde(default = "beat_every", deserialize_with = "within::<BeatEvery, _>")]
    #[schemars(with = "String")]
    pub every: Duration,
}

fn beat_every() -> Duration {
    Duration::from_secs(300)
}

struct CanaryWithin;
impl Bounds for CanaryWithin {
    const NAME: &'static str = "canary_within";
    const LEAST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(3600);
}

struct BeatEvery;
impl Bounds for BeatEvery {
    const NAME: &'static str = "every";
    const LEAST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(3600);
}

/// A configuration that cannot be used. The text holds no value of the file: values may be secrets.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration `{path}`: {cause}; name another with -c", path = path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{path}:{line}: {reason}", path = path.display())]
    Fault { path: PathBuf, line: usize, reason: String },
}

impl Config {
    /// Reads a file, puts `${VAR}` in from the environment and makes paths absolute.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
        let mut config = Config::parse(&text, |name| std::env::var(name).ok())
            .map_err(|(line, reason)| ConfigError::Fault { path: path.to_owned(), line, reason })?;
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        config.store.path = base.join(&config.store.path);
        config.lake.path = base.join(&config.lake.path);
        config.scope.agents = config.scope.agents.map(|dir| base.join(dir));
        config.scope.policies = config.scope.policies.map(|dir| base.join(dir));
        config.ledger.keys_file = config.ledger.keys_file.map(|file| base.join(file));
        for source in &mut config.sources {
            if let SourceConfig::Directory(directory) = source {
                directory.path = base.join(&directory.path);
            }
        }
        config.alerts.receivers =
            config.alerts.receivers.into_iter().map(|receiver| receiver.relative_to(&base)).collect();
        Ok(config)
    }

    fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Config, (usize, String)> {
        let text = interpolate(text, env)?;
        let config: Config = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            // Only the message: the full display quotes the line, which may hold a secret.
            (line, error.message().to_owned())
        })?;
        config.check().map_err(|(key, reason)| {
            let line = text.lines().position(|l| l.trim_start().starts_with(key)).map_or(1, |at| at + 1);
            (line, reason)
        })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        self.lake.check()?;
        let mut names = std::collections::BTreeSet::new();
        for receiver in &self.alerts.receivers {
            if !names.insert(receiver.name()) {
                return Err(("name", format!("two receivers are called `{}`; rename one", receiver.name())));
            }
        }
        let mut names = std::collections::BTreeSet::new();
        for source in &self.sources {
            if source.name() == CANARY_SOURCE {
                return Err((
                    "name",
                    format!("the source name `{CANARY_SOURCE}` is remit's own; take another"),
                ));
            }
            if !names.insert(source.name()) {
                return Err((
                    "name",
                    format!("two sources are called `{}`; give each a `name`", source.name()),
                ));
            }
        }
        for source in &self.sources {
            if let SourceConfig::S3Sqs(source) = source
                && self.ledger.detail.as_secs() < (u64::from(source.sweep_days) + 2) * 24 * 3600
            {
                let days = source.sweep_days + 2;
                return Err((
                    "detail",
                    format!("`detail` must be at least `{days}d`: two days more than a sweep"),
                ));
            }
        }
        if self.baseline.lookback_days == 0 {
            return Err(("lookback_days", "`lookback_days` must be at least 1".to_owned()));
        }
        if self.alerts.max_per_minute == 0 {
            return Err(("max_per_minute", "`max_per_minute` must be at least 1".to_owned()));
        }
        Ok(())
    }

    /// The base of links in alerts; `address` is where the page is really served.
    pub fn link(&self, address: SocketAddr) -> String {
        self.alerts.link.clone().unwrap_or_else(|| format!("http://{address}"))
    }
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    ingest::duration::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// Replaces `${NAME}` outside comments; the value is escaped for a basic (double-quoted) string.
fn interpolate(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<String, (usize, String)> {
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        if line.trim_start().starts_with('#') {
            out.push_str(line);
            continue;
        }
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                return Err((at + 1, "`${` without `}`".to_owned()));
            };
            let Some(value) = env(name) else {
                return Err((at + 1, format!("the environment variable `{name}` is not set")));
            };
            for c in value.chars() {
                match c {
                    '"' | '\\' => out.extend(['\\', c]),
                    c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
                    c => out.push(c),
                }
            }
            rest = tail;
        }
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, (usize, String)> {
        Config::parse(text, |name| (name == "SECRET").then(|| "a\"b\\c".to_owned()))
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.alerts.alert_max_age, Duration::from_secs(86_400));
        assert!(config.web.listen.ip().is_loopback());
    }

    #[test]
    fn the_environment_fills_in_and_cannot_break_out() {
        let config = parse("[web]\ntoken = \"x-${SECRET}\"\n# ${UNSET} in a comment is nothing").unwrap();
        assert_eq!(config.web.token, "x-a\"b\\c");
        let unset = parse("[web]\n\ntoken = \"${UNSET}\"").unwrap_err();
        assert_eq!(unset, (3, "the environment variable `UNSET` is not set".to_owned()));
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line() {
        let (line, reason) = parse("[alerts]\nalert_max_age = \"24h\"\nmax_per_minuet = 3").unwrap_err();
        assert_eq!(line, 3);
        assert!(reason.contains("max_per_minuet") && reason.contains("max_per_minute"), "{reason}");
    }

    #[test]
    fn an_error_never_shows_the_value() {
        let (_, reason) = parse("[web]\ntoken = \"hunter2\"\nlisten = \"hunter2\"").unwrap_err();
        assert!(!reason.contains("token"), "{reason}");
        let (line, reason) = parse("[alerts]\nalert_max_age = \"soon\"").unwrap_err();
        assert!(line == 2 && reason.contains("24h"), "{line} {reason}");
    }
}
