//! Where alerts are told: a fixed set of receivers behind one way of sending.

use crate::alert::Message;
use crate::receivers::http::{Address, HttpClient};
use crate::receivers::{ndjson::Ndjson, pagerduty::PagerDuty, slack::Slack, webhook::Webhook};
use crate::secret::Secret;
use crate::summary::Summary;
use engine::finding::Severity;
use engine::incident::AlertKind;
use engine::store::AlertRule;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME_MAX: usize = 64;

fn medium() -> Severity {
    Severity::Medium
}

fn pagerduty_url() -> Secret {
    Secret::new("https://events.pagerduty.com/v2/enqueue")
}

/// One `[[alerts.receivers]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReceiverConfig {
    /// A Slack incoming webhook.
    Slack {
        /// Its name here: in metrics, in `deliveries`.
        name: String,
        /// The least severity it is told. Default medium.
        #[serde(default = "medium")]
        min_severity: Severity,
        /// Messages a minute before the rest becomes one summary. Default `[alerts] max_per_minute`.
        max_per_minute: Option<u32>,
        /// The webhook's address; it is a secret.
        url: Secret,
    },
    /// PagerDuty, Events API v2.
    Pagerduty {
        /// Its name here.
        name: String,
        /// The least severity it is told. Default medium.
        #[serde(default = "medium")]
        min_severity: Severity,
        /// Messages a minute before the rest becomes one summary. Default `[alerts] max_per_minute`.
        max_per_minute: Option<u32>,
        /// The integration key of the service.
        routing_key: Secret,
        /// `https://events.eu.pagerduty.com/v2/enqueue` for the European region.
        #[serde(default = "pagerduty_url")]
        url: Secret,
    },
    /// Any HTTP endpoint, told with a signed JSON body.
    Webhook {
        /// Its name here.
        name: String,
        /// The least severity it is told. Default medium.
        #[serde(default = "medium")]
        min_severity: Severity,
        /// Messages a minute before the rest becomes one summary. Default `[alerts] max_per_minute`.
        max_per_minute: Option<u32>,
        /// The endpoint.
        url: Secret,
        /// The key of the signature; with the prefix `whsec_` it is read as base64.
        secret: Secret,
    },
    /// A file, one JSON line an alert.
    Ndjson {
        /// Its name here.
        name: String,
        /// The least severity it is told. Default medium.
        #[serde(default = "medium")]
        min_severity: Severity,
        /// Lines a minute before the rest becomes one summary. Default: no limit, since a file does not tire.
        max_per_minute: Option<u32>,
        /// The file; it is made when it is not there.
        path: PathBuf,
    },
}

impl ReceiverConfig {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            ReceiverConfig::Slack { name, .. }
            | ReceiverConfig::Pagerduty { name, .. }
            | ReceiverConfig::Webhook { name, .. }
            | ReceiverConfig::Ndjson { name, .. } => name,
        }
    }

    /// The same with its path, if it has one, taken as relative to `base`.
    #[must_use]
    pub fn relative_to(mut self, base: &Path) -> ReceiverConfig {
        if let ReceiverConfig::Ndjson { path, .. } = &mut self {
            *path = base.join(&path);
        }
        self
    }
}

/// What is wrong with a receiver's configuration.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The name cannot be a label.
    #[error(
        "the receiver name `{0}` in `[[alerts.receivers]]` is not 1 to 64 letters, digits, `-`, `_` or `.`"
    )]
    Name(String),
    /// Two share a name.
    #[error("two receivers in `[[alerts.receivers]]` are named `{0}`; give each a name of its own")]
    Twice(String),
    /// A value cannot be used. Never carries a secret.
    #[error("the receiver `{name}` cannot use its `{key}`: {reason}")]
    Value {
        /// The receiver.
        name: String,
        /// The configuration key.
        key: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// The TLS set-up of this machine cannot be used.
    #[error("cannot make an HTTPS client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Later may be better.
    #[error("{cause}")]
    Retry {
        /// When the receiver wants to be asked again.
        after: Option<Duration>,
        /// What happened.
        cause: String,
        /// True when the message may have arrived: it went out and its answer was lost.
        ambiguous: bool,
    },
    /// Never: the receiver does not accept this message.
    #[error("refused with status {status}: {body}")]
    Refused {
        /// The HTTP status; 0 where there is none.
        status: u16,
        /// The start of its answer, made safe, without our secrets.
        body: String,
    },
}

impl SendError {
    /// A failure before anything was sent.
    pub(crate) fn unsent(cause: impl Into<String>) -> SendError {
        SendError::Retry { after: None, cause: cause.into(), ambiguous: false }
    }
}

/// A place where alerts are told.
#[derive(Debug)]
pub struct Receiver {
    name: String,
    min_severity: Severity,
    max_per_minute: Option<u32>,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Slack(Slack),
    PagerDuty(PagerDuty),
    Webhook(Webhook),
    Ndjson(Ndjson),
}

impl Receiver {
    /// Builds every receiver of the configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// The first [`ReceiverError`].
    pub fn build(configs: Vec<ReceiverConfig>) -> Result<Vec<Receiver>, ReceiverError> {
        let mut names = BTreeSet::new();
        let mut receivers = Vec::with_capacity(configs.len());
        for config in configs {
            let receiver = Receiver::new(config)?;
            if !names.insert(receiver.name.clone()) {
                return Err(ReceiverError::Twice(receiver.name));
            }
            receivers.push(receiver);
        }
        Ok(receivers)
    }

    /// Builds one receiver.
    ///
    /// # Errors
    /// [`ReceiverError`] where a value cannot be used.
    pub fn new(config: ReceiverConfig) -> Result<Receiver, ReceiverError> {
        match config {
            ReceiverConfig::Slack { name, min_severity, max_per_minute, url } => {
                let name = checked(name)?;
                let url = Address::secure(&url).map_err(|reason| value(&name, "url", reason))?;
                let target = Target::Slack(Slack::new(HttpClient::new()?, url));
                Ok(Receiver { name, min_severity, max_per_minute, target })
            }
            ReceiverConfig::Pagerduty { name, min_severity, max_per_minute, routing_key, url } => {
                let name = checked(name)?;
                let key = present(&name, "routing_key", routing_key)?;
                let url = Address::secure(&url).map_err(|reason| value(&name, "url", reason))?;
                let target = Target::PagerDuty(PagerDuty::new(HttpClient::new()?, url, key, &name));
                Ok(Receiver { name, min_severity, max_per_minute, target })
            }
            ReceiverConfig::Webhook { name, min_severity, max_per_minute, url, secret } => {
                let name = checked(name)?;
                let secret = present(&name, "secret", secret)?;
                let url = Address::any(&url).map_err(|reason| value(&name, "url", reason))?;
                let target = Webhook::new(HttpClient::new()?, url, secret)
                    .map_err(|reason| value(&name, "secret", reason))?;
                Ok(Receiver { name, min_severity, max_per_minute, target: Target::Webhook(target) })
            }
            ReceiverConfig::Ndjson { name, min_severity, max_per_minute, path } => {
                let name = checked(name)?;
                if path.as_os_str().is_empty() {
                    return Err(value(&name, "path", "it is empty; name a file".to_owned()));
                }
                Ok(Receiver { name, min_severity, max_per_minute, target: Target::Ndjson(Ndjson::new(path)) })
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which incidents it wants, as the store asks.
    #[must_use]
    pub fn rule(&self) -> AlertRule {
        AlertRule { receiver: self.name.clone(), min_severity: self.min_severity }
    }

    /// Messages a minute before the rest is summarised; `common` is the configuration's `[alerts] max_per_minute`.
    #[must_use]
    pub fn max_per_minute(&self, common: u32) -> Option<usize> {
        let limit = match (&self.target, self.max_per_minute) {
            (_, Some(own)) => Some(own),
            (Target::Ndjson(_), None) => None,
            _ => Some(common),
        };
        // At least one, or nothing would ever be told.
        limit.map(|limit| usize::try_from(limit.max(1)).unwrap_or(usize::MAX))
    }

    /// Whether a summary may stand for a message of this kind.
    ///
    /// PagerDuty pairs an end with its beginning by key: an end inside a summary would leave the first open for ever.
    #[must_use]
    pub fn may_summarize(&self, kind: AlertKind) -> bool {
        !(matches!(self.target, Target::PagerDuty(_)) && kind == AlertKind::Resolve)
    }

    /// Tells one alert. Returns when the receiver has answered; at most ten seconds.
    ///
    /// # Errors
    /// [`SendError`]: retry, or refused for good.
    pub async fn send(&self, message: &Message) -> Result<(), SendError> {
        match &self.target {
            Target::Slack(slack) => slack.send(message).await,
            Target::PagerDuty(pagerduty) => pagerduty.send(message).await,
            Target::Webhook(webhook) => webhook.send(message).await,
            Target::Ndjson(ndjson) => ndjson.send(message).await,
        }
    }

    /// Tells many alerts in one message.
    ///
    /// # Errors
    /// [`SendError`]: retry, or refused for good.
    pub async fn send_summary(&self, summary: &Summary) -> Result<(), SendError> {
        match &self.target {
            Target::Slack(slack) => slack.send_summary(summary).await,
            Target::PagerDuty(pagerduty) => pagerduty.send_summary(summary).await,
            Target::Webhook(webhook) => webhook.send_summary(summary).await,
            Target::Ndjson(ndjson) => ndjson.send_summary(summary).await,
        }
    }
}

fn value(name: &str, key: &'static str, reason: String) -> ReceiverError {
    ReceiverError::Value { name: name.to_owned(), key, reason }
}

fn checked(name: String) -> Result<String, ReceiverError> {
    let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_label) {
        return Err(ReceiverError::Name(name.escape_default().take(NAME_MAX).collect()));
    }
    Ok(name)
}

fn present(name: &str, key: &'static str, secret: Secret) -> Result<Secret, ReceiverError> {
    if secret.expose().trim().is_empty() {
        let reason = "it is empty; is the variable it comes from set?".to_owned();
        return Err(value(name, key, reason));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> Result<ReceiverConfig, String> {
        serde_json::from_value(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_receiver_is_read_with_its_defaults() {
        let slack = serde_json::json!({"type": "slack", "name": "soc", "url": "https://hooks.slack.com/services/T/B/x"});
        let receiver = Receiver::new(config(slack).unwrap()).unwrap();
        assert_eq!(receiver.rule(), AlertRule { receiver: "soc".into(), min_severity: Severity::Medium });
        assert_eq!(receiver.max_per_minute(20), Some(20));
        let file =
            serde_json::json!({"type": "ndjson", "name": "file", "path": "a.ndjson", "min_severity": "low"});
        let file = Receiver::new(config(file).unwrap()).unwrap();
        assert_eq!((file.rule().min_severity, file.max_per_minute(20)), (Severity::Low, None));
    }

    #[test]
    fn what_is_wrong_is_named_without_the_secret() {
        let unknown = config(serde_json::json!({"type": "slak", "name": "soc"})).unwrap_err();
        assert!(unknown.contains("`slak`") && unknown.contains("`slack`"), "{unknown}");
        let typo = config(
            serde_json::json!({"type": "slack", "name": "soc", "url": "https://x/", "min_severty": "low"}),
        );
        assert!(typo.unwrap_err().contains("min_severty"));
        for url in [
            "http://hooks.slack.com/sEcReT",
            "ftp://x/sEcReT",
            "sEcReT",
            "https://u:sEcReT@x/",
            "https://169.254.169.254/sEcReT",
        ] {
            let slack = serde_json::json!({"type": "slack", "name": "soc", "url": url});
            let error = Receiver::new(config(slack).unwrap()).unwrap_err().to_string();
            assert!(error.starts_with("the receiver `soc` cannot use its `url`"), "{error}");
            assert!(!error.contains("sEcReT"), "{error}");
        }
        let empty = serde_json::json!({"type": "webhook", "name": "hook", "url": "https://x/", "secret": ""});
        let error = Receiver::new(config(empty).unwrap()).unwrap_err().to_string();
        assert!(error.contains("`secret`") && error.contains("variable"), "{error}");
    }

    #[test]
    fn names_are_labels_and_unique() {
        let ndjson =
            |name: &str| config(serde_json::json!({"type": "ndjson", "name": name, "path": "x"})).unwrap();
        assert!(matches!(Receiver::build(vec![ndjson("a"), ndjson("a")]), Err(ReceiverError::Twice(_))));
        assert!(matches!(Receiver::build(vec![ndjson("a b")]), Err(ReceiverError::Name(_))));
        assert_eq!(Receiver::build(vec![ndjson("a"), ndjson("b")]).unwrap().len(), 2);
    }

    #[test]
    fn debug_output_hides_every_secret() {
        let all = serde_json::json!([
            {"type": "slack", "name": "s", "url": "https://hooks.slack.com/sEcReT"},
            {"type": "pagerduty", "name": "p", "routing_key": "sEcReT"},
            {"type": "webhook", "name": "w", "url": "https://x/sEcReT", "secret": "sEcReT"},
        ]);
        let configs: Vec<ReceiverConfig> = serde_json::from_value(all).unwrap();
        let shown = format!("{configs:?}");
        let receivers = Receiver::build(configs).unwrap();
        assert!(!shown.contains("sEcReT") && !format!("{receivers:?}").contains("sEcReT"));
    }
}
