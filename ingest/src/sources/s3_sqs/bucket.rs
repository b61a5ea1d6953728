//! Objects at S3, or at whatever speaks its protocol.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use tokio::time::{sleep, timeout};

use super::{jitter, said};
use crate::inflate::{Limits, is_gzip};
use crate::planted::{Bug, bug};
use crate::source::{FetchError, ObjectRef};
use crate::sources::S3SqsConfig;

/// How often an object is tried before its message is given back.
const TRIES: u32 = 4;

/// Longest wait for the next piece of a body.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Longest wait for a whole object.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// The buckets that may be read.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    allowed: Arc<Vec<String>>,
    limits: Arc<Limits>,
}

impl Bucket {
    pub(super) fn new(shared: &SdkConfig, config: &S3SqsConfig, limits: &Limits) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(STALL_MAX)
            .operation_attempt_timeout(STALL_MAX)
            .build();
        let own = aws_sdk_s3::config::Builder::from(shared)
            .timeout_config(timeouts)
            // Tried again here, where a body that breaks off counts as a failure too.
            .retry_config(RetryConfig::disabled())
            .force_path_style(config.endpoint_url.is_some())
            .build();
        let client = Client::from_conf(own);
        Self { client, allowed: Arc::new(config.buckets.clone()), limits: Arc::new(limits.clone()) }
    }

    /// Whether `bucket` may be read: it is in the list, or the list is empty.
    pub(super) fn allows(&self, bucket: &str) -> bool {
        bug(Bug::AnyBucket) || self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == bucket)
    }

    pub(crate) async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, FetchError> {
        if !self.allows(&object.bucket) {
            return Err(FetchError::Forbidden(object.bucket.clone()));
        }
        let mut tried = 1;
        loop {
            let fetched = timeout(FETCH_MAX, self.fetch_once(object)).await;
            match fetched.unwrap_or_else(|_| Err(FetchError::Retry("it took too long".to_owned()))) {
                Err(FetchError::Retry(_)) if tried < TRIES => {
                    let longest = Duration::from_millis(200) * 2u32.pow(tried);
                    sleep(longest - jitter(longest / 2)).await;
                }
                done => return done,
            }
            tried += 1;
        }
    }

    async fn fetch_once(&self, object: &ObjectRef) -> Result<Vec<u8>, FetchError> {
        let mut get = self.client.get_object().bucket(&object.bucket).key(&object.key);
        if object.version.starts_with('"') {
            get = get.if_match(&object.version);
        } else if !object.version.is_empty() {
            get = get.version_id(&object.version);
        }
        let found = get.send().await.map_err(|error| refused(&error))?;
        self.body(found).await
    }

    /// The body, under the cap that its first bytes ask for.
    async fn body(&self, mut found: GetObjectOutput) -> Result<Vec<u8>, FetchError> {
        let size = found.content_length().and_then(|size| u64::try_from(size).ok());
        // Of no kind may more be read than this; what is gzip may have less.
        let most = self.limits.inflated_bytes_max.max(self.limits.compressed_bytes_max);
        if size.is_some_and(|size| size > most) {
            return Err(FetchError::TooLarge { limit: most });
        }
        let mut bytes = Vec::new();
        loop {
            let piece = timeout(STALL_MAX, found.body.next()).await;
            let piece = piece.map_err(|_| FetchError::Retry("the body stalled".to_owned()))?;
            let Some(piece) = piece else { break };
            bytes.extend_from_slice(&piece.map_err(|error| FetchError::Retry(said(&error)))?);
            let limit = self.limits.stored_bytes_max(&bytes);
            if bytes.len() as u64 > limit || is_gzip(&bytes) && size.is_some_and(|size| size > limit) {
                return Err(FetchError::TooLarge { limit });
            }
        }
        if size.is_some_and(|size| size != bytes.len() as u64) {
            return Err(FetchError::Retry("the body broke off".to_owned()));
        }
        Ok(bytes)
    }
}

fn refused(error: &SdkError<GetObjectError>) -> FetchError {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default();
    let words = || match status {
        Some(status) => format!("S3 answered {status} {code}"),
        None => said(error),
    };
    match (status, code) {
        (_, "InvalidObjectState") => FetchError::Archived,
        // Short troubles under codes that look final: keys that were just replaced, a clock that is being set.
        (_, "ExpiredToken" | "RequestTimeout" | "RequestTimeTooSkewed" | "SlowDown") => {
            FetchError::Retry(words())
        }
        // 405 is what a delete marker answers.
        (Some(404 | 405), _) => FetchError::Missing,
        (Some(412), _) => FetchError::Changed,
        (Some(408 | 429), _) => FetchError::Retry(words()),
        (Some(301), _) => FetchError::Denied("the bucket is in another region; set `region`".to_owned()),
        (Some(400..=499), _) => FetchError::Denied(words()),
        _ => FetchError::Retry(words()),
    }
}
