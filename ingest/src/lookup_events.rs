//! Events that CloudTrail still remembers, asked of it one page after the other: `cloudtrail:LookupEvents`.
//!
//! The lesser evidence: management events of the last 90 days, of one account and region, signed by nobody. For
//! accounts whose trail's bucket is out of reach.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata;
use aws_sdk_cloudtrail::primitives::DateTime as SdkTime;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, sleep_until};

/// Two requests a second are allowed, for each account and region.
const PACE: Duration = Duration::from_millis(520);
/// Events of one answer; the service gives no more.
const PAGE: i32 = 50;
/// Pages of one question; at that pace they take a day.
const PAGES_MAX: u32 = 160_000;
/// How often a question that was refused for its pace is asked again, and the first pause.
const TRIES_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_secs(1);

/// Why events cannot be looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The service refuses or does not answer.
    #[error("cannot look up events of {region}: {cause}; it needs cloudtrail:LookupEvents")]
    Service {
        /// Which region was asked.
        region: String,
        /// What came back.
        cause: String,
    },
    /// The service does not come to an end.
    #[error("CloudTrail gives events of {region} without end; ask for a shorter time")]
    Endless {
        /// Which region was asked.
        region: String,
    },
}

/// One region of one account, asked no faster than it allows.
pub struct Lookup {
    client: Client,
    region: String,
    next: Instant,
}

/// The events of a time, page by page.
pub struct Pages<'l> {
    lookup: &'l mut Lookup,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    token: Option<String>,
    pages: u32,
    ended: bool,
}

impl Lookup {
    /// For the account of `profile`, else of the environment. `endpoint_url`: where CloudTrail answers, if not at AWS.
    pub async fn open(region: &str, profile: Option<&str>, endpoint_url: Option<&str>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(30))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            // Tried again here, at the pace that is allowed.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let client = Client::new(&loader.load().await);
        Self { client, region: region.to_owned(), next: Instant::now() }
    }

    /// The events from `from` to `to`, both in whole seconds and included, the newest first.
    pub fn events(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Pages<'_> {
        Pages { lookup: self, from, to, token: None, pages: 0, ended: false }
    }
}

impl Pages<'_> {
    /// The next events as CloudTrail wrote them, each a JSON object; nothing at the end.
    ///
    /// # Errors
    /// The service refuses, does not answer, or answers without end.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, LookupError> {
        if self.ended {
            return Ok(None);
        }
        let answer = self.ask().await?;
        self.pages += 1;
        let token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_some() && (token == self.token || self.pages >= PAGES_MAX) {
            return Err(LookupError::Endless { region: self.lookup.region.clone() });
        }
        self.ended = token.is_none();
        self.token = token;
        let events = answer.events.unwrap_or_default();
        Ok(Some(events.into_iter().filter_map(|event| event.cloud_trail_event).collect()))
    }

    async fn ask(
        &mut self,
    ) -> Result<aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput, LookupError> {
        let sdk_time = |time: DateTime<Utc>| SdkTime::from_secs(time.timestamp());
        let mut tried = 1;
        loop {
            sleep_until(self.lookup.next).await;
            self.lookup.next = Instant::now() + PACE;
            let question = self
                .lookup
                .client
                .lookup_events()
                .start_time(sdk_time(self.from))
                .end_time(sdk_time(self.to))
                .max_results(PAGE)
                .set_next_token(self.token.clone());
            let error = match question.send().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let status = error.raw_response().map(|response| response.status().as_u16());
            let is_pace = error.code().is_some_and(|code| code.starts_with("Throttl"));
            // What was not answered, or not now, may be answered later.
            let may_pass = is_pace || status.is_none_or(|status| status >= 500);
            if !may_pass || tried >= TRIES_MAX {
                let cause = crate::public_keys::said(&error);
                return Err(LookupError::Service { region: self.lookup.region.clone(), cause });
            }
            sleep(PAUSE * 2u32.pow(tried - 1)).await;
            tried += 1;
        }
    }
}
