//! Objects at S3, or at whatever speaks its protocol.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{ChecksumMode, RequestPayer};
use tokio::time::{Instant, sleep, timeout};

use super::allowed::Allowed;
use super::circuit::Circuit;
use super::memory::Memory;
use super::{jitter, said};
use crate::inflate::{Limits, is_gzip};
use crate::planted::{Bug, bug};
use crate::source::{FetchError, Loaded, ObjectRef};
use crate::sources::S3SqsConfig;

/// How often an object is tried before its failure is told.
const TRIES: u32 = 4;

/// Longest wait for an answer, and for the next piece of a body.
const STALL_MAX: Duration = Duration::from_secs(30);

/// A body must bring this many bytes in each stretch of this length: one that trickles holds a place for ever.
const FLOOR_BYTES: usize = 256 << 10;
const FLOOR_EVERY: Duration = Duration::from_secs(20);

/// Longest wait for a whole object, whatever its size.
const FETCH_MAX: Duration = Duration::from_secs(600);

/// What whoever put an object there wrote beside it.
pub(super) type UserMetadata = HashMap<String, String>;

/// The objects that may be read.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    allowed: Arc<Allowed>,
    owner: Option<String>,
    payer: Option<RequestPayer>,
    limits: Arc<Limits>,
    memory: Memory,
    circuit: Arc<Circuit>,
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
        Self {
            client: Client::from_conf(own),
            allowed: Arc::new(Allowed::of(config)),
            owner: config.bucket_owner.clone(),
            payer: config.requester_pays.then_some(RequestPayer::Requester),
            limits: Arc::new(limits.clone()),
            memory: Memory::of(config.memory_mib << 20),
            circuit: Arc::default(),
        }
    }

    pub(super) fn check(&self, object: &ObjectRef) -> Result<(), FetchError> {
        if bug(Bug::AnyBucket) { Ok(()) } else { self.allowed.check(object) }
    }

    pub(super) fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Why nothing is read now.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.circuit.why()
    }

    /// Whether nothing may be asked for under an account, for whoever walks the folders.
    pub(super) fn is_foreign(&self, account: &str) -> bool {
        self.allowed.is_foreign(account)
    }

    /// Fetches an object within the source's memory. Waits while S3 refuses everything.
    pub(crate) async fn load(&self, object: &ObjectRef) -> Result<Loaded, FetchError> {
        Ok(self.load_with(object, self.bytes_max()).await?.0)
    }

    /// The same, with the metadata that the object has; `bytes_max`: what is larger is refused.
    pub(super) async fn load_with(
        &self,
        object: &ObjectRef,
        bytes_max: u64,
    ) -> Result<(Loaded, UserMetadata), FetchError> {
        self.check(object)?;
        self.circuit.enter().await;
        self.tried(object, bytes_max).await
    }

    /// As [`Self::load`], at once.
    pub(crate) async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, FetchError> {
        self.check(object)?;
        Ok(self.tried(object, self.bytes_max()).await?.0.into_bytes())
    }

    /// Back when S3 is not known to refuse everything: what can wait asks nothing until then.
    pub(super) async fn calm(&self) {
        while let Some(pause) = self.circuit.pause() {
            sleep(pause.max(Duration::from_secs(1))).await;
        }
    }

    /// The version of an object that lies there now, as a notification of it would name it.
    pub(super) async fn version(&self, object: &ObjectRef) -> Result<String, FetchError> {
        self.check(object)?;
        self.calm().await;
        let head = self
            .client
            .head_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .set_expected_bucket_owner(self.owner.clone())
            .set_request_payer(self.payer.clone());
        let found = head.send().await.map_err(|error| refused(&error))?;
        let version = found.version_id().filter(|version| *version != "null").or(found.e_tag());
        Ok(version.unwrap_or_default().to_owned())
    }

    /// One page of what lies below a prefix; with `folders` the folders there, else every object.
    pub(super) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        folders: bool,
        page: Option<String>,
    ) -> Result<ListObjectsV2Output, String> {
        self.calm().await;
        let list = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_delimiter(folders.then(|| "/".to_owned()))
            .set_continuation_token(page)
            .set_expected_bucket_owner(self.owner.clone())
            .set_request_payer(self.payer.clone());
        let mut tried = 1;
        loop {
            match list.clone().send().await {
                Ok(answer) => return Ok(answer),
                Err(error) if tried < TRIES && matches!(refused(&error), FetchError::Retry(_)) => {
                    pause_after(tried).await;
                }
                Err(error) => return Err(said(&error)),
            }
            tried += 1;
        }
    }

    fn bytes_max(&self) -> u64 {
        self.limits.inflated_bytes_max.max(self.limits.compressed_bytes_max)
    }

    async fn tried(&self, object: &ObjectRef, bytes_max: u64) -> Result<(Loaded, UserMetadata), FetchError> {
        // While nothing works, each request is a question whether it does again: one is enough.
        let tries = if self.circuit.why().is_some() { 1 } else { TRIES };
        let mut tried = 1;
        loop {
            let fetched = timeout(FETCH_MAX, self.fetch_once(object, bytes_max)).await;
            match fetched.unwrap_or_else(|_| Err(FetchError::Retry("it took too long".to_owned()))) {
                Err(FetchError::Retry(_)) if tried < tries => pause_after(tried).await,
                done => {
                    match &done {
                        Ok(_) => self.circuit.succeeded(),
                        Err(FetchError::Denied(why)) => self.circuit.failed(why.clone(), true),
                        Err(FetchError::Retry(why)) => self.circuit.failed(why.clone(), false),
                        Err(_) => self.circuit.answered(),
                    }
                    return done;
                }
            }
            tried += 1;
        }
    }

    async fn fetch_once(&self, object: &ObjectRef, most: u64) -> Result<(Loaded, UserMetadata), FetchError> {
        let found = self.get(object).await?;
        let size = found.content_length().and_then(|size| u64::try_from(size).ok());
        if size.is_some_and(|size| size > most) {
            return Err(FetchError::TooLarge { limit: most });
        }
        // What a notification says of the size is anybody's word; this is S3's. Without it, as much as may come.
        let wanted = size.unwrap_or(most);
        let (mut found, room) = match self.memory.try_take(wanted) {
            Some(room) => (found, room),
            None => {
                // An answer that waits would break off: asked again when there is room.
                drop(found);
                let Some(room) = self.memory.take(wanted).await else {
                    return Err(FetchError::Retry("the source is closing".to_owned()));
                };
                let again = self.get(object).await?;
                if again.content_length().and_then(|size| u64::try_from(size).ok()) != size {
                    return Err(FetchError::Retry("its size changed meanwhile".to_owned()));
                }
                (again, room)
            }
        };
        let metadata = found.metadata.take().unwrap_or_default();
        Ok((Loaded::within(self.body(found, size).await?, room), metadata))
    }

    async fn get(&self, object: &ObjectRef) -> Result<GetObjectOutput, FetchError> {
        let mut get = self
            .client
            .get_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .checksum_mode(ChecksumMode::Enabled)
            .set_expected_bucket_owner(self.owner.clone())
            .set_request_payer(self.payer.clone());
        if object.version.starts_with('"') {
            get = get.if_match(&object.version);
        } else if !object.version.is_empty() {
            get = get.version_id(&object.version);
        }
        get.send().await.map_err(|error| refused(&error))
    }

    /// The body, under the cap that its first bytes ask for.
    async fn body(&self, mut found: GetObjectOutput, size: Option<u64>) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let mut floor = Floor::at(Instant::now());
        loop {
            let piece = timeout(STALL_MAX, found.body.next()).await;
            let piece = piece.map_err(|_| FetchError::Retry("the body stalled".to_owned()))?;
            let Some(piece) = piece else { break };
            bytes.extend_from_slice(&piece.map_err(|error| FetchError::Retry(said(&error)))?);
            let limit = self.limits.stored_bytes_max(&bytes);
            if bytes.len() as u64 > limit || is_gzip(&bytes) && size.is_some_and(|size| size > limit) {
                return Err(FetchError::TooLarge { limit });
            }
            if !floor.holds(bytes.len(), Instant::now()) {
                return Err(FetchError::Retry("the body came too slowly".to_owned()));
            }
        }
        // A prefix is never taken for the whole.
        if size.is_some_and(|size| size != bytes.len() as u64) {
            return Err(FetchError::Retry("the body broke off".to_owned()));
        }
        Ok(bytes)
    }
}

/// The pause before the next try; it doubles.
async fn pause_after(tried: u32) {
    let longest = Duration::from_millis(200) * 2u32.pow(tried);
    sleep(longest - jitter(longest / 2)).await;
}

/// The least that a body must bring.
struct Floor {
    since: Instant,
    had: usize,
}

impl Floor {
    fn at(now: Instant) -> Self {
        Self { since: now, had: 0 }
    }

    fn holds(&mut self, bytes: usize, now: Instant) -> bool {
        if now.duration_since(self.since) < FLOOR_EVERY {
            return true;
        }
        let brought = bytes - self.had;
        *self = Self { since: now, had: bytes };
        brought >= FLOOR_BYTES
    }
}

fn refused<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> FetchError {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_trickles_is_given_up_and_a_steady_one_is_not() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut steady = Floor::at(start);
        assert!((1..200).all(|second| steady.holds(second as usize * (FLOOR_BYTES / 15), after(second))));
        let mut trickle = Floor::at(start);
        assert!(trickle.holds(1, after(1)) && trickle.holds(19, after(19)), "its first moments are its own");
        assert!(!trickle.holds(21, after(21)));
    }
}
