//! Any HTTP endpoint: the whole alert as JSON, signed as <https://www.standardwebhooks.com> describes.

use crate::alert::Message;
use crate::receiver::SendError;
use crate::receivers::http::{Address, HttpClient};
use crate::receivers::record::{record, summary_record};
use crate::secret::Secret;
use crate::summary::Summary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use std::fmt;

pub(crate) struct Webhook {
    client: HttpClient,
    url: Address,
    secret: Secret,
    signer: Hmac<Sha256>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    pub(crate) fn new(client: HttpClient, url: Address, secret: Secret) -> Result<Webhook, String> {
        let key = match secret.expose().strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
                "what follows `whsec_` is no base64; leave the prefix out to use the text itself".to_owned()
            })?,
            None => secret.expose().as_bytes().to_vec(),
        };
        let signer = Hmac::new_from_slice(&key).map_err(|_| "it is no key".to_owned())?;
        Ok(Webhook { client, url, secret, signer })
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.post(&message.id, record(message)).await
    }

    pub(crate) async fn send_summary(&self, summary: &Summary) -> Result<(), SendError> {
        self.post(&summary.id(), summary_record(summary)).await
    }

    async fn post(&self, id: &str, body: Result<Vec<u8>, serde_json::Error>) -> Result<(), SendError> {
        let body = body.map_err(|cause| SendError::unsent(format!("cannot write the body: {cause}")))?;
        let at = engine::time::now() / engine::time::SECOND;
        let headers = self.headers(id, at, &body)?;
        self.client.post(&self.url, headers, body, &[&self.secret]).await
    }

    fn headers(&self, id: &str, at: i64, body: &[u8]) -> Result<HeaderMap, SendError> {
        let header = |value: String| {
            HeaderValue::try_from(value)
                .map_err(|_| SendError::unsent("the incident's id does not fit a header"))
        };
        Ok(HeaderMap::from_iter([
            (HeaderName::from_static("webhook-id"), header(id.to_owned())?),
            (HeaderName::from_static("webhook-timestamp"), header(at.to_string())?),
            (HeaderName::from_static("webhook-signature"), header(self.signature(id, at, body))?),
        ]))
    }

    /// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    fn signature(&self, id: &str, at: i64, body: &[u8]) -> String {
        let mut mac = self.signer.clone();
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::fake::{Answer, Fake};
    use crate::samples;

    fn webhook(url: &str, secret: &str) -> Result<Webhook, String> {
        let url = Address::any(&Secret::new(url)).unwrap();
        Webhook::new(HttpClient::new().unwrap(), url, Secret::new(secret))
    }

    #[test]
    fn the_published_example_signs_the_same() {
        // The example of the Standard Webhooks libraries.
        let hook = webhook("http://localhost/", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            hook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(webhook("http://localhost/", "whsec_no base64!").is_err());
        assert!(webhook("http://localhost/", "any other text").is_ok());
    }

    #[tokio::test]
    async fn what_arrives_can_be_verified() {
        let fake = Fake::start(Answer::Status(200, "")).await;
        let hook = webhook(&fake.url(), "a shared secret").unwrap();
        hook.send(&Message::new(&samples::alert(1), "http://x")).await.unwrap();
        let (headers, body) = fake.got().remove(0);
        let header = |name| headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("webhook-id"), "i-f0.1");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a shared secret").unwrap();
        mac.update(format!("i-f0.1.{}.", header("webhook-timestamp")).as_bytes());
        mac.update(&body);
        assert_eq!(
            header("webhook-signature"),
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        );
    }
}
