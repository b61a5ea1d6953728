//! One POST and what its answer means, under limits.

use crate::receiver::SendError;
use crate::secret::Secret;
use crate::text;
use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url, redirect};
use std::net::IpAddr;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const TOTAL_MAX: Duration = Duration::from_secs(10);
/// Bytes read of an answer; a receiver that never ends cannot fill our memory.
const ANSWER_MAX: usize = 64 * 1024;
/// What a receiver may at most make us wait.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// What of an answer is kept, for a person to read.
const BODY_SHOWN_MAX: usize = 300;

/// Where a receiver listens: checked, and a secret, since such addresses often carry a token.
#[derive(Debug, Clone)]
pub(crate) struct Address(Secret);

impl Address {
    /// `https`, or `http` to this machine.
    pub(crate) fn secure(url: &Secret) -> Result<Address, String> {
        let parsed = Address::parse(url)?;
        if parsed.scheme() == "http" && !is_loopback(&parsed) {
            return Err("it must begin with `https://`; only a loopback address may be plain".to_owned());
        }
        Ok(Address(url.clone()))
    }

    /// `https` or `http`.
    pub(crate) fn any(url: &Secret) -> Result<Address, String> {
        Address::parse(url)?;
        Ok(Address(url.clone()))
    }

    fn parse(url: &Secret) -> Result<Url, String> {
        let url = Url::parse(url.expose()).map_err(|cause| format!("it is no address ({cause})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must begin with `https://`".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "it holds a user or password; addresses are logged by proxies, so use a token instead"
                    .to_owned(),
            );
        }
        // Cloud metadata services live here, and nothing that should hear of alerts does.
        let is_link_local = match host_ip(&url) {
            Some(IpAddr::V4(ip)) => ip.is_link_local(),
            Some(IpAddr::V6(ip)) => {
                ip.is_unicast_link_local()
                    || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_link_local())
                    || ip.segments().first() == Some(&0xfd00) && ip.segments().get(1) == Some(&0xec2)
            }
            None => false,
        };
        if is_link_local {
            return Err("it names a link-local address".to_owned());
        }
        Ok(url)
    }
}

fn host_ip(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || host_ip(url).is_some_and(|ip| ip.is_loopback())
}

/// Posts to receivers: no redirects, no kept connections, bounded in time and size.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Client);

impl HttpClient {
    pub(crate) fn new() -> Result<HttpClient, reqwest::Error> {
        HttpClient::with_timeout(TOTAL_MAX)
    }

    pub(crate) fn with_timeout(total: Duration) -> Result<HttpClient, reqwest::Error> {
        Ok(HttpClient(HttpClient::builder(total).build()?))
    }

    /// For this machine: whatever proxy there is for others.
    pub(crate) fn direct() -> Result<HttpClient, reqwest::Error> {
        Ok(HttpClient(HttpClient::builder(TOTAL_MAX).no_proxy().build()?))
    }

    fn builder(total: Duration) -> ClientBuilder {
        Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .timeout(total)
            // A kept connection may be dead: the failure would look as if the message had been sent.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("remit/", env!("CARGO_PKG_VERSION")))
    }

    /// Posts a JSON body. `secrets` are taken out of what is kept of an answer.
    pub(crate) async fn post(
        &self,
        to: &Address,
        headers: HeaderMap,
        body: Vec<u8>,
        secrets: &[&Secret],
    ) -> Result<(), SendError> {
        let request =
            self.0.post(to.0.expose()).header(CONTENT_TYPE, "application/json").headers(headers).body(body);
        self.send(to, request, secrets).await
    }

    /// Asks.
    pub(crate) async fn get(&self, from: &Address) -> Result<(), SendError> {
        self.send(from, self.0.get(from.0.expose()), &[]).await
    }

    async fn send(
        &self,
        to: &Address,
        request: RequestBuilder,
        secrets: &[&Secret],
    ) -> Result<(), SendError> {
        let response = match request.send().await {
            Ok(response) => response,
            // Without its address: that may be a secret.
            Err(error) => return Err(unanswered(&error.without_url())),
        };
        if response.status().is_success() {
            return Ok(());
        }
        let status = response.status();
        let after = wanted_wait(response.headers());
        let mut answer = text::plain(&answer(response).await, BODY_SHOWN_MAX * 4);
        for secret in secrets.iter().copied().chain([&to.0]) {
            answer = secret.redact(&answer);
        }
        Err(judge(status, after, text::plain(answer.trim(), BODY_SHOWN_MAX)))
    }
}

fn unanswered(error: &reqwest::Error) -> SendError {
    // The sentence of the innermost cause says most: `connection refused`, `operation timed out`.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = text::plain(&cause.to_string(), BODY_SHOWN_MAX);
    if error.is_connect() || error.is_builder() {
        return SendError::unsent(format!("cannot connect: {cause}"));
    }
    SendError::Retry { after: None, cause: format!("no answer: {cause}"), ambiguous: true }
}

fn judge(status: StatusCode, after: Option<Duration>, body: String) -> SendError {
    let told = if body.is_empty() { String::new() } else { format!(" ({body})") };
    let retry = |what: &str, ambiguous| SendError::Retry { after, cause: format!("{what}{told}"), ambiguous };
    match status.as_u16() {
        429 => retry("it asks for fewer messages, status 429", false),
        // A gateway lost the answer of what is behind it.
        code @ (502 | 504) => retry(&format!("its gateway failed with status {code}"), true),
        code @ 500..=599 => retry(&format!("it failed with status {code}"), false),
        408 => retry("it was too slow, status 408", true),
        // The address or the key is wrong, not the message: once somebody mends it, the message is wanted.
        code @ (401 | 403 | 404 | 405 | 407 | 410) => {
            retry(&format!("it answers {code}; check its address and key in `[[alerts.receivers]]`"), false)
        }
        code @ 300..=399 => retry(
            &format!("it answers {code} and redirects are not followed; configure the final address"),
            false,
        ),
        code => SendError::Refused { status: code, body },
    }
}

async fn answer(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_MAX {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        let room = ANSWER_MAX - bytes.len();
        bytes.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wanted_wait(headers: &HeaderMap) -> Option<Duration> {
    let value = |name| headers.get(name).and_then(|v| v.to_str().ok());
    // The receiver's own clock where it tells it: ours may differ.
    let now = value(DATE)
        .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
        .map_or_else(|| engine::time::now() / engine::time::SECOND, |date| date.timestamp());
    retry_after(value(RETRY_AFTER)?, now)
}

/// The wait that a `Retry-After` header asks for: seconds, or a date seen from `now` (seconds since 1970).
/// At most [`RETRY_AFTER_MAX`]; none where it cannot be read (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => u64::MAX,
        Err(_) => {
            let at = DateTime::parse_from_rfc2822(value).ok()?.timestamp();
            u64::try_from(at.saturating_sub(now)).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::fake::{Answer, Fake};

    async fn post(fake: &Fake, secret: &Secret) -> Result<(), SendError> {
        let client = HttpClient::with_timeout(Duration::from_secs(2)).unwrap();
        let address = Address::secure(&Secret::new(fake.url())).unwrap();
        client.post(&address, HeaderMap::new(), b"{}".to_vec(), &[secret]).await
    }

    fn ambiguous(result: Result<(), SendError>) -> bool {
        let Err(SendError::Retry { ambiguous, .. }) = result else { panic!("{result:?} is no retry") };
        ambiguous
    }

    #[test]
    fn a_wait_is_read_in_both_forms_and_bounded() {
        let wait = |value| retry_after(value, 1_445_412_000).map(|d| d.as_secs());
        assert_eq!(wait("30"), Some(30));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(480));
        assert_eq!(wait("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0), "a date that has passed");
        assert_eq!(wait("999999"), Some(3_600));
        assert_eq!(wait("99999999999999999999999999"), Some(3_600));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
    }

    #[tokio::test]
    async fn an_answer_decides() {
        let secret = Secret::new("R0UTINGKEY");
        let of = async |answer| post(&Fake::start(answer).await, &secret).await;
        assert_eq!(of(Answer::Status(202, "")).await, Ok(()));
        assert_eq!(
            of(Answer::Status(400, "bad key R0UTINGKEY\u{1b}[2J")).await,
            Err(SendError::Refused { status: 400, body: "bad key [secret]\\u{1b}[2J".into() })
        );
        assert!(matches!(of(Answer::Status(413, "")).await, Err(SendError::Refused { status: 413, .. })));
        assert!(!ambiguous(of(Answer::Status(500, "")).await));
        assert!(ambiguous(of(Answer::Status(504, "")).await));
        assert!(
            !ambiguous(of(Answer::Status(404, "no_service")).await),
            "a wrong address is mended by a person"
        );
        assert!(!ambiguous(of(Answer::Status(302, "")).await));
        let Err(SendError::Retry { after, .. }) = of(Answer::Busy("7")).await else { panic!() };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn a_lost_answer_is_ambiguous_and_a_closed_door_is_not() {
        let secret = Secret::new("R0UTINGKEY");
        assert!(ambiguous(post(&Fake::start(Answer::Hang).await, &secret).await));
        assert!(ambiguous(post(&Fake::start(Answer::Cut).await, &secret).await));
        let gone = Fake::start(Answer::Hang).await.stop().await;
        let client = HttpClient::new().unwrap();
        let address = Address::secure(&Secret::new(gone)).unwrap();
        let refused = client.post(&address, HeaderMap::new(), vec![], &[]).await;
        let Err(SendError::Retry { cause, ambiguous: false, .. }) = refused else { panic!("{refused:?}") };
        assert!(cause.starts_with("cannot connect: ") && !cause.contains("127.0.0.1"), "{cause}");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let endless = post(&Fake::start(Answer::Endless(400)).await, &Secret::new("x")).await;
        let Err(SendError::Refused { body, .. }) = endless else { panic!("{endless:?}") };
        assert!(body.len() <= BODY_SHOWN_MAX + 3);
    }
}
