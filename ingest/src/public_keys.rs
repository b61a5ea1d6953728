//! CloudTrail's public keys, asked from the service: `cloudtrail:ListPublicKeys`.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::primitives::DateTime as SdkTime;
use chrono::{DateTime, Utc};

use crate::digest::PublicKey;
use crate::digest::keys::KEYS_MAX;

/// Most answers to one question: none has an end of its own, so ours has.
const PAGES_MAX: usize = 500;

/// Why keys could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListKeysError {
    /// The service refuses or does not answer.
    #[error("cannot list CloudTrail's public keys of {region}: {cause}; it needs cloudtrail:ListPublicKeys")]
    Service {
        /// Which region was asked.
        region: String,
        /// What came back.
        cause: String,
    },
    /// The service does not come to an end.
    #[error("CloudTrail lists keys of {region} without end; ask for a shorter time")]
    Endless {
        /// Which region was asked.
        region: String,
    },
}

/// The keys that `region` signed with at some time from `from` to `until`.
///
/// `endpoint_url`: where CloudTrail answers, if not at AWS.
///
/// # Errors
/// The service refuses, does not answer, or answers without end. A listed key without value, fingerprint or validity is
/// left out: a digest that names it says so.
pub async fn list(
    region: &str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    endpoint_url: Option<&str>,
) -> Result<Vec<PublicKey>, ListKeysError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_secs(60))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .timeout_config(timeouts);
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let client = Client::new(&loader.load().await);
    let sdk_time = |time: DateTime<Utc>| SdkTime::from_secs(time.timestamp());
    let mut keys = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let question = client
            .list_public_keys()
            .start_time(sdk_time(from))
            .end_time(sdk_time(until))
            .set_next_token(next.clone());
        let answer = question.send().await.map_err(|error| {
            let cause = said(&error);
            ListKeysError::Service { region: region.to_owned(), cause }
        })?;
        keys.extend(answer.public_key_list().iter().filter_map(|key| read(key, region)));
        let token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(keys);
        }
        if token == next || keys.len() > KEYS_MAX {
            break;
        }
        next = token;
    }
    Err(ListKeysError::Endless { region: region.to_owned() })
}

fn read(key: &aws_sdk_cloudtrail::types::PublicKey, region: &str) -> Option<PublicKey> {
    let time = |time: &SdkTime| DateTime::from_timestamp(time.secs(), time.subsec_nanos());
    Some(PublicKey {
        region: Some(region.to_owned()),
        fingerprint: key.fingerprint()?.to_owned(),
        der: key.value()?.as_ref().to_vec(),
        from: time(key.validity_start_time()?)?,
        until: time(key.validity_end_time()?)?,
    })
}

/// An error and what is behind it.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let more = error.to_string();
        if !words.ends_with(&more) {
            words = format!("{words}: {more}");
        }
        behind = error.source();
    }
    crate::quarantine::shortened(words, 500)
}
