//! A CloudTrail that knows one question: `ListPublicKeys`.

use super::runtime;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The running fake. It gives one key a page.
pub struct KeyService {
    /// Its endpoint.
    pub url: String,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

struct Inner {
    keys: Vec<Value>,
    /// What it answers instead, if anything
    refusal: Option<&'static str>,
    asked: Mutex<Vec<(String, Value)>>,
}

impl KeyService {
    /// One that lists these keys.
    pub fn start(keys: Vec<Value>) -> KeyService {
        KeyService::with(keys, None)
    }

    /// One that refuses with this error.
    pub fn refusing(error: &'static str) -> KeyService {
        KeyService::with(Vec::new(), Some(error))
    }

    fn with(keys: Vec<Value>, refusal: Option<&'static str>) -> KeyService {
        let inner = Arc::new(Inner { keys, refusal, asked: Mutex::default() });
        let listener = runtime().block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let server = runtime().spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        KeyService { url, inner, server }
    }

    /// The region that each question was signed for, and the question.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.inner.asked.lock().unwrap().clone()
    }
}

impl Drop for KeyService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(header("x-amz-target").ends_with("CloudTrail_20131101.ListPublicKeys"));
    // Credential=id/20260105/region/cloudtrail/aws4_request
    let region = header("authorization").split('/').nth(2).unwrap_or_default().to_owned();
    let question: Value = serde_json::from_slice(&body).unwrap();
    inner.asked.lock().unwrap().push((region, question.clone()));
    if let Some(error) = inner.refusal {
        return (StatusCode::BAD_REQUEST, json!({ "__type": error, "message": "not you" }).to_string());
    }
    let page: usize = question["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let mut found = json!({ "PublicKeyList": inner.keys.get(page).into_iter().collect::<Vec<_>>() });
    if page + 1 < inner.keys.len() {
        found["NextToken"] = json!((page + 1).to_string());
    }
    (StatusCode::OK, found.to_string())
}
