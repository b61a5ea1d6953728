//! A bucket with CloudTrail's files in it, as S3, SQS and CloudTrail show it: objects with metadata, folders, a queue,
//! public keys, and events to look up.
//!
//! Everything at one endpoint; what nobody asks is refused.

use super::digests::{Bucket, signer};
use super::runtime;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The running fake.
pub struct TrailCloud {
    /// Its endpoint, for every service.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    bucket: Bucket,
    messages: VecDeque<String>,
    handed_out: u64,
    /// Messages that somebody holds, by receipt, and until when.
    held: BTreeMap<String, (String, Instant)>,
    /// What was asked: `GET bucket/key`, `LIST bucket/prefix`, `ListPublicKeys`.
    asked: Vec<String>,
    /// Events to look up, the newest first.
    events: Vec<Value>,
    lookups: Vec<Instant>,
}

impl TrailCloud {
    /// One with an empty bucket.
    pub fn start() -> TrailCloud {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let listener = runtime().block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(Arc::clone(&inner));
        let server = runtime().spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        TrailCloud { url, inner, server }
    }

    /// The queue's address.
    pub fn queue(&self) -> String {
        format!("{}/111122223333/trail", self.url)
    }

    /// Puts objects there, and tells of those that `tells` says.
    pub fn put(&self, objects: &Bucket, tells: impl Fn(&str) -> bool) {
        let mut inner = self.inner.lock().unwrap();
        for ((at, key), bytes) in &objects.objects {
            inner.bucket.objects.insert((at.clone(), key.clone()), bytes.clone());
            if tells(key) {
                inner.messages.push_back(json!({ "s3Bucket": at, "s3ObjectKey": [key] }).to_string());
            }
        }
        inner.bucket.metadata.extend(objects.metadata.clone());
    }

    /// Events that can be looked up, in any order.
    pub fn events(&self, mut events: Vec<Value>) {
        events.sort_by_key(|event| std::cmp::Reverse(event["eventTime"].as_str().unwrap().to_owned()));
        self.inner.lock().unwrap().events = events;
    }

    /// When events were looked up.
    pub fn lookups(&self) -> Vec<Instant> {
        self.inner.lock().unwrap().lookups.clone()
    }

    /// Everything that was asked.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().unwrap().asked.clone()
    }
}

impl Drop for TrailCloud {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some((service, action)) = target.split_once('.') {
        let question: Value = serde_json::from_slice(&body).unwrap_or_default();
        if action == "ReceiveMessage" && inner.lock().unwrap().messages.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (status, answer) = inner.lock().unwrap().answer(service, action, &question);
        return (status, [("content-type", "application/x-amz-json-1.0")], answer.to_string())
            .into_response();
    }
    let path = decoded(head.uri.path().trim_start_matches('/'));
    let query: BTreeMap<String, String> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    let mut inner = inner.lock().unwrap();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    if key.is_empty() {
        inner.asked.push(format!("LIST {bucket}/{}", query.get("prefix").cloned().unwrap_or_default()));
        return inner.list(bucket, &query).into_response();
    }
    inner.asked.push(format!("{} {path}", head.method));
    inner.object(bucket, key, head.method == "HEAD")
}

impl Inner {
    fn answer(&mut self, service: &str, action: &str, question: &Value) -> (StatusCode, Value) {
        let answer = match (service, action) {
            ("AmazonSQS", "ReceiveMessage") => {
                let hold = hold(&question["VisibilityTimeout"]);
                let (dropped, held) = std::mem::take(&mut self.held)
                    .into_iter()
                    .partition::<BTreeMap<_, _>, _>(|(_, (_, until))| *until <= Instant::now());
                self.held = held;
                self.messages.extend(dropped.into_values().map(|(body, _)| body));
                let wanted = question["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
                let count = wanted.min(self.messages.len());
                let taken: Vec<String> = self.messages.drain(..count).collect();
                let messages = taken.into_iter().map(|body| {
                    self.handed_out += 1;
                    let receipt = format!("r-{}", self.handed_out);
                    self.held.insert(receipt.clone(), (body.clone(), Instant::now() + hold));
                    json!({ "MessageId": format!("m-{}", self.handed_out), "ReceiptHandle": receipt, "Body": body,
                        "Attributes": {"ApproximateReceiveCount": "1"} })
                });
                json!({ "Messages": messages.collect::<Vec<_>>() })
            }
            ("AmazonSQS", "DeleteMessageBatch" | "ChangeMessageVisibilityBatch") => {
                let entries = question["Entries"].as_array().unwrap();
                for entry in entries {
                    let receipt = entry["ReceiptHandle"].as_str().unwrap();
                    if action == "DeleteMessageBatch" {
                        self.held.remove(receipt);
                    } else if let Some((_, until)) = self.held.get_mut(receipt) {
                        *until = Instant::now() + hold(&entry["VisibilityTimeout"]);
                    }
                }
                let done = entries.iter().map(|entry| json!({ "Id": entry["Id"] }));
                json!({ "Successful": done.collect::<Vec<_>>(), "Failed": [] })
            }
            ("AmazonSQS", "GetQueueAttributes") => json!({ "Attributes": {"VisibilityTimeout": "30"} }),
            ("AmazonSQS", _) => json!({}),
            (_, "ListPublicKeys") => {
                self.asked.push("ListPublicKeys".to_owned());
                let keys = (0..2).map(|number| {
                    let mut listed = signer(number).listed("", "");
                    listed["ValidityStartTime"] = json!(1_767_225_600.0);
                    listed["ValidityEndTime"] = json!(2_082_758_400.0);
                    listed
                });
                json!({ "PublicKeyList": keys.collect::<Vec<_>>() })
            }
            (_, "LookupEvents") => {
                self.lookups.push(Instant::now());
                let page: usize = question["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let (from, to) = (&question["StartTime"], &question["EndTime"]);
                let is_in = |event: &&Value| {
                    let at = chrono::DateTime::parse_from_rfc3339(event["eventTime"].as_str().unwrap());
                    let at = at.unwrap().timestamp() as f64;
                    at >= from.as_f64().unwrap() && at <= to.as_f64().unwrap()
                };
                let found: Vec<Value> = self.events.iter().filter(is_in).cloned().collect();
                // As the service does where it is asked too often.
                if self.lookups.len() == 2 {
                    let error = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
                    return (StatusCode::BAD_REQUEST, error);
                }
                let events = found.iter().skip(page * 2).take(2).map(
                    |event| json!({ "EventId": event["eventID"], "CloudTrailEvent": event.to_string() }),
                );
                let mut answer = json!({ "Events": events.collect::<Vec<_>>() });
                if found.len() > (page + 1) * 2 {
                    answer["NextToken"] = json!((page + 1).to_string());
                }
                answer
            }
            _ => return (StatusCode::BAD_REQUEST, json!({ "__type": "UnknownOperationException" })),
        };
        (StatusCode::OK, answer)
    }

    fn object(&self, bucket: &str, key: &str, is_head: bool) -> Response {
        let at = (bucket.to_owned(), key.to_owned());
        let Some(bytes) = self.bucket.objects.get(&at) else {
            let body = if is_head { "" } else { "<Error><Code>NoSuchKey</Code></Error>" };
            return (StatusCode::NOT_FOUND, body).into_response();
        };
        let mut response = Response::builder()
            .header("content-length", bytes.len())
            .header("etag", etag(bytes))
            .header("last-modified", "Mon, 05 Jan 2026 10:00:00 GMT");
        for (name, value) in self.bucket.metadata.get(&at).and_then(Value::as_object).into_iter().flatten() {
            response = response.header(format!("x-amz-meta-{name}"), value.as_str().unwrap());
        }
        let body = if is_head { Bytes::new() } else { Bytes::copy_from_slice(bytes) };
        response.body(body.into()).unwrap()
    }

    /// Pages of a few keys, so that every story turns pages.
    fn list(&self, bucket: &str, query: &BTreeMap<String, String>) -> String {
        const PAGE: usize = 7;
        let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let (prefix, delimiter, after) = (field("prefix"), field("delimiter"), field("continuation-token"));
        let mut found: BTreeSet<(String, bool)> = BTreeSet::new();
        for (at, key) in self.bucket.objects.keys() {
            let Some(rest) = key.strip_prefix(prefix).filter(|_| at == bucket) else { continue };
            match rest.split_once('/').filter(|_| delimiter == "/") {
                Some((folder, _)) => found.insert((format!("{prefix}{folder}/"), true)),
                None => found.insert((key.clone(), false)),
            };
        }
        let mut rest = found.into_iter().filter(|(name, _)| name.as_str() > after);
        let page: Vec<_> = rest.by_ref().take(PAGE).collect();
        let mut text = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
        for (name, is_folder) in &page {
            let _ = if *is_folder {
                write!(text, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>")
            } else {
                write!(
                    text,
                    "<Contents><Key>{name}</Key><LastModified>2026-01-05T10:00:00.000Z</LastModified><Size>1</Size></Contents>"
                )
            };
        }
        let more = rest.next().is_some();
        let _ = write!(text, "<IsTruncated>{more}</IsTruncated>");
        if let Some((last, _)) = page.last().filter(|_| more) {
            let _ = write!(text, "<NextContinuationToken>{last}</NextContinuationToken>");
        }
        text + "</ListBucketResult>"
    }
}

/// How long a message is held, as it is asked for in seconds.
fn hold(seconds: &Value) -> Duration {
    Duration::from_secs(seconds.as_u64().unwrap_or(30))
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", super::digests::sha256(bytes))
}

/// `%41` is `A`; everything else stays.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
