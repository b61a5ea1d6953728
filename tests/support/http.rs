//! Asking over HTTP, with an end to every wait.

use super::runtime;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::Duration;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

impl Answer {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header's text, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Asks; none where nobody answers.
pub fn try_get(url: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    runtime().block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let mut request = client.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, text: response.text().await.ok()? })
    })
}

/// Asks, and must be answered.
pub fn get(url: &str) -> Answer {
    try_get(url, &[]).unwrap_or_else(|| panic!("no answer from {url}"))
}
