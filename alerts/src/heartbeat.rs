//! A dead man's switch: an address that is told again and again that remit is alive, and cries out when it is not.
//!
//! Works with whatever counts a request as a sign of life: healthchecks.io, Dead Man's Snitch, Cronitor, an uptime
//! monitor's push address, or one's own.

use crate::receiver::{ReceiverError, SendError};
use crate::receivers::http::{Address, HttpClient};
use crate::secret::Secret;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use std::net::SocketAddr;

/// How the address wants to be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// With a small JSON body.
    #[default]
    Post,
    /// Without a body.
    Get,
}

/// The switch, and the page of our own that must answer before it is told anything.
#[derive(Debug)]
pub struct Heartbeat {
    client: HttpClient,
    url: Address,
    method: Method,
    own_client: HttpClient,
    own: Address,
}

impl Heartbeat {
    /// `page`: where our own page is served.
    ///
    /// # Errors
    /// [`ReceiverError::Value`] where the address cannot be used.
    pub fn new(url: &Secret, method: Method, page: SocketAddr) -> Result<Heartbeat, ReceiverError> {
        let value = |reason| ReceiverError::Value { name: "heartbeat".to_owned(), key: "url", reason };
        let url = Address::secure(url).map_err(value)?;
        // A page that listens everywhere listens here too.
        let host = match page {
            SocketAddr::V4(at) if at.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], at.port())),
            SocketAddr::V6(at) if at.ip().is_unspecified() => {
                SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, at.port()))
            }
            at => at,
        };
        let own = Address::any(&Secret::new(format!("http://{host}/readyz"))).map_err(value)?;
        Ok(Heartbeat { client: HttpClient::new()?, url, method, own_client: HttpClient::direct()?, own })
    }

    /// Asks our own page whether remit is ready, as anybody could: a page that hangs is a service that does.
    ///
    /// # Errors
    /// [`SendError`] with what it answered.
    pub async fn is_ready(&self) -> Result<(), SendError> {
        self.own_client.get(&self.own).await
    }

    /// Says that remit is alive.
    ///
    /// # Errors
    /// [`SendError`]; the next beat is the next try.
    pub async fn beat(&self) -> Result<(), SendError> {
        match self.method {
            Method::Get => self.client.get(&self.url).await,
            Method::Post => {
                let body = concat!(r#"{"remit":""#, env!("CARGO_PKG_VERSION"), r#"","status":"alive"}"#);
                self.client.post(&self.url, HeaderMap::new(), body.into(), &[]).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_being_shown() {
        let page = SocketAddr::from(([0, 0, 0, 0], 8080));
        let beat = |url: &str| Heartbeat::new(&Secret::new(url), Method::Get, page);
        let error = beat("http://hc.example.com/sEcReT").unwrap_err().to_string();
        assert!(error.contains("`heartbeat`") && !error.contains("sEcReT"), "{error}");
        assert!(beat("https://hc.example.com/sEcReT").is_ok());
        assert!(!format!("{:?}", beat("https://hc.example.com/sEcReT")).contains("sEcReT"));
    }
}
