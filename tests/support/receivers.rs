//! Stand-ins for the services that alerts are told to.
//!
//! Each remembers every request, checks what the real service documents, and behaves as a story commands.

mod pagerduty;
mod slack;
mod webhook;

use super::runtime;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a receiver does with one request. It always remembers it first.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// Accepts it.
    Accept,
    /// Accepts it, and takes its time to say so.
    Slow(Duration),
    /// Says 429 and when to come back.
    Later(Duration),
    /// Says 500.
    Broken,
    /// Never answers.
    Hang,
    /// Has it, and cuts the line before it says so.
    Cut,
}

/// One request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
    /// When.
    pub at: Instant,
    /// What was done with it.
    pub behaviour: Behaviour,
}

impl Received {
    /// The alert's id there: PagerDuty's `dedup_key`.
    pub fn dedup_key(&self) -> &str {
        self.body["dedup_key"].as_str().unwrap_or_default()
    }

    /// A header, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

#[derive(Clone)]
enum Kind {
    Slack,
    PagerDuty { routing_key: String },
    Webhook { secret: String },
    Switch,
}

#[derive(Default)]
struct Record {
    received: Vec<Received>,
    plan: VecDeque<Behaviour>,
    /// What it does when the plan is over, if not accepting.
    always: Option<Behaviour>,
    violations: Vec<String>,
}

/// One stand-in.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    record: Arc<Mutex<Record>>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// A Slack incoming webhook.
    pub fn slack() -> Receiver {
        Receiver::start(Kind::Slack)
    }

    /// PagerDuty's Events API v2, for one integration.
    pub fn pagerduty(routing_key: &str) -> Receiver {
        Receiver::start(Kind::PagerDuty { routing_key: routing_key.to_owned() })
    }

    /// A webhook that knows the secret.
    pub fn webhook(secret: &str) -> Receiver {
        Receiver::start(Kind::Webhook { secret: secret.to_owned() })
    }

    /// A dead man's switch: any request is a sign of life.
    pub fn switch() -> Receiver {
        Receiver::start(Kind::Switch)
    }

    fn start(kind: Kind) -> Receiver {
        let record = Arc::new(Mutex::new(Record::default()));
        let listener = runtime().block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let path = match kind {
            Kind::Slack => "services/T0/B0/x",
            Kind::PagerDuty { .. } => "v2/enqueue",
            Kind::Webhook { .. } => "hook",
            Kind::Switch => "ping/0000",
        };
        let url = format!("http://{}/{path}", listener.local_addr().unwrap());
        let shared = Arc::clone(&record);
        let server = runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kind, shared) = (kind.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    // A client that goes away in the middle is the client's story.
                    let _ = converse(stream, &kind, &shared).await;
                });
            }
        });
        Receiver { url, record, server }
    }

    /// What it does with the next requests, in this order; afterwards it accepts.
    pub fn plan(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.record.lock().unwrap().plan.extend(behaviours);
    }

    /// What it does with every request from now on, once what was planned is over; none: it accepts.
    pub fn always(&self, behaviour: Option<Behaviour>) {
        self.record.lock().unwrap().always = behaviour;
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.record.lock().unwrap().received.clone()
    }

    /// Every request that it accepted, or had when the line was cut.
    pub fn accepted(&self) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|request| {
            matches!(request.behaviour, Behaviour::Accept | Behaviour::Slow(_) | Behaviour::Cut)
        });
        received
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.record.lock().unwrap().received.len()
    }

    /// Every request kept to what the service documents.
    #[track_caller]
    pub fn is_satisfied(&self) {
        let record = self.record.lock().unwrap();
        assert!(record.violations.is_empty(), "{}: {:#?}", self.url, record.violations);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn converse(mut stream: TcpStream, kind: &Kind, shared: &Mutex<Record>) -> std::io::Result<()> {
    while let Some((headers, bytes)) = read_request(&mut stream).await? {
        let (behaviour, accepted) = remember(kind, shared, headers, bytes);
        if let Behaviour::Slow(wait) = behaviour {
            tokio::time::sleep(wait).await;
        }
        match behaviour {
            Behaviour::Accept | Behaviour::Slow(_) => match accepted {
                Ok((status, body)) => answer(&mut stream, status, "", &body).await?,
                Err(why) => answer(&mut stream, "400 Bad Request", "", &why).await?,
            },
            Behaviour::Later(after) => {
                let header = format!("retry-after: {}\r\n", after.as_secs());
                answer(&mut stream, "429 Too Many Requests", &header, "slow down").await?;
            }
            Behaviour::Broken => answer(&mut stream, "500 Internal Server Error", "", "broken").await?,
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Cut => return Ok(()),
        }
    }
    Ok(())
}

async fn answer(stream: &mut TcpStream, status: &str, header: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    stream
        .write_all(format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\n\r\n{body}").as_bytes())
        .await
}

type Accepted = Result<(&'static str, String), String>;

fn remember(
    kind: &Kind,
    shared: &Mutex<Record>,
    headers: BTreeMap<String, String>,
    bytes: Vec<u8>,
) -> (Behaviour, Accepted) {
    let mut record = shared.lock().unwrap();
    let behaviour = record.plan.pop_front().or(record.always).unwrap_or(Behaviour::Accept);
    let parsed = serde_json::from_slice(&bytes);
    let violations = match &parsed {
        Ok(body) => match kind {
            Kind::Slack => slack::violations(body),
            Kind::PagerDuty { routing_key } => {
                pagerduty::violations(body, bytes.len(), routing_key, &record.received)
            }
            Kind::Webhook { secret } => webhook::violations(&headers, &bytes, secret),
            Kind::Switch => Vec::new(),
        },
        Err(error) => vec![format!("not JSON: {error}")],
    };
    let body: Value = parsed.unwrap_or_default();
    let accepted = match kind {
        _ if !violations.is_empty() => Err(violations.join("; ")),
        Kind::Slack | Kind::Switch => Ok(("200 OK", "ok".to_owned())),
        Kind::Webhook { .. } => Ok(("204 No Content", String::new())),
        Kind::PagerDuty { .. } => {
            let key = &body["dedup_key"];
            let text =
                format!("{{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":{key}}}");
            Ok(("202 Accepted", text))
        }
    };
    record.violations.extend(violations);
    record.received.push(Received { headers, body, at: Instant::now(), behaviour });
    (behaviour, accepted)
}

/// One HTTP/1.1 request, or none at the end of the connection. Read by hand: a server library cannot cut the
/// line between a request and its answer.
async fn read_request(
    stream: &mut TcpStream,
) -> std::io::Result<Option<(BTreeMap<String, String>, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let headers: BTreeMap<String, String> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((headers, body)))
}
