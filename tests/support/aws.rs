//! Our own S3 and SQS: fast enough for load, and faulty on command.
//!
//! It knows what remit and the stories ask, in the shapes of AWS; everything else is refused. The same stories
//! run against moto too, so that our reading of the protocols is not only our own.

mod bucket;
mod queue;
mod refusal;

use super::runtime;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bucket::Buckets;
use queue::Queues;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// How often what goes wrong, each from 0 to 1.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The same seed gives the same throws of the dice, though not the same requests.
    pub seed: u64,
    /// Any request is answered with 503.
    pub unavailable: f64,
    /// Any request is answered with 500.
    pub broken: f64,
    /// An object is not there yet: its first two fetches find nothing.
    pub missing: f64,
    /// An object is stored again between its notification and its first fetch: another ETag, and told anew.
    pub changed: f64,
    /// An object comes slowly.
    pub slow: f64,
    /// How long every object takes to come, in pieces.
    pub trickle: Duration,
    /// An object's bytes end too early.
    pub cut: f64,
    /// A message is delivered, and stays visible.
    pub duplicate: f64,
    /// A deletion is confirmed and does not happen.
    pub lost_delete: f64,
    /// A deletion is refused: alone as an error, in a batch as a failed entry beside others that succeed.
    pub failed_delete: f64,
    /// A message comes back long before its time. It has another receipt then, and the old one deletes nothing.
    pub early_expiry: f64,
    /// A message is delivered out of order.
    pub shuffled: f64,
}

impl Faults {
    /// Every fault now and then, as on a bad day of the cloud; none of them loses anything.
    pub fn bad_day(seed: u64) -> Faults {
        Faults {
            seed,
            unavailable: 0.01,
            broken: 0.005,
            missing: 0.02,
            changed: 0.01,
            slow: 0.1,
            trickle: Duration::ZERO,
            cut: 0.03,
            duplicate: 0.1,
            lost_delete: 0.05,
            failed_delete: 0.05,
            early_expiry: 0.03,
            shuffled: 0.3,
        }
    }
}

/// One request, as an access log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `ReceiveMessage`, `GET`, ...
    pub action: String,
    /// The queue, or bucket and key.
    pub what: String,
    /// Status of the answer.
    pub status: u16,
}

struct Cloud {
    buckets: Mutex<Buckets>,
    queues: Mutex<Queues>,
    sent: Notify,
    faults: Mutex<(Faults, ChaCha8Rng)>,
    log: Mutex<Vec<Access>>,
    refusals: Mutex<refusal::Refusals>,
}

impl Cloud {
    /// Throws the dice for one kind of fault.
    fn goes_wrong(&self, rate: impl Fn(&Faults) -> f64) -> bool {
        let mut faults = self.faults.lock().unwrap();
        let rate = rate(&faults.0);
        rate > 0.0 && faults.1.random_bool(rate)
    }

    /// One of so many.
    fn any_of(&self, count: usize) -> usize {
        self.faults.lock().unwrap().1.random_range(0..count)
    }
}

/// The running fake.
pub struct Aws {
    /// Its endpoint, for both services.
    pub url: String,
    cloud: Arc<Cloud>,
    server: tokio::task::JoinHandle<()>,
}

impl Aws {
    /// A cloud in which nothing goes wrong.
    pub fn start() -> Aws {
        Aws::with_faults(Faults::default())
    }

    /// A cloud with faults.
    pub fn with_faults(faults: Faults) -> Aws {
        let dice = ChaCha8Rng::seed_from_u64(faults.seed);
        let cloud = Arc::new(Cloud {
            buckets: Mutex::default(),
            queues: Mutex::default(),
            sent: Notify::new(),
            faults: Mutex::new((faults, dice)),
            log: Mutex::default(),
            refusals: Mutex::default(),
        });
        let listener = runtime().block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(Arc::clone(&cloud));
        let server = runtime().spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Aws { url, cloud, server }
    }

    /// Everything goes well from now on.
    pub fn heal(&self) {
        self.ail(Faults::default());
    }

    /// What goes wrong from now on; the dice go on as they are.
    pub fn ail(&self, faults: Faults) {
        self.cloud.faults.lock().unwrap().0 = faults;
    }

    /// A queue; gives its URL.
    pub fn queue(&self, name: &str) -> String {
        self.cloud.queues.lock().unwrap().create(name, &serde_json::Value::Null);
        queue::url(&self.url, name)
    }

    /// A bucket that tells a queue of every object.
    pub fn bucket(&self, name: &str, queue: &str) {
        self.cloud.buckets.lock().unwrap().create(name, Some(queue.to_owned()));
    }

    /// Stores an object and tells the bucket's queue.
    pub fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        self.store(bucket, key, bucket::Contents::Bytes(bytes.into()));
    }

    /// As [`Aws::put`], of a file that stays on disk: a million events' objects need no memory.
    pub fn put_file(&self, bucket: &str, key: &str, path: &Path) {
        self.store(bucket, key, bucket::Contents::file(path));
    }

    fn store(&self, bucket: &str, key: &str, contents: bucket::Contents) {
        let told = self.cloud.buckets.lock().unwrap().put(bucket, key, contents).unwrap();
        if let Some((queue, body)) = told.notification {
            self.send(&queue, &body);
        }
    }

    /// Tells the bucket's queue of an object once more.
    pub fn tell_again(&self, bucket: &str, key: &str) {
        let told = self.cloud.buckets.lock().unwrap().told_of(bucket, key);
        if let Some((queue, body)) = told {
            self.send(&queue, &body);
        }
    }

    /// Sends a message as it is.
    pub fn send(&self, queue: &str, body: &str) {
        self.cloud.queues.lock().unwrap().send(queue, body, Duration::ZERO).unwrap();
        self.cloud.sent.notify_waiters();
    }

    /// Messages waiting, and messages that somebody is working on.
    pub fn messages(&self, queue: &str) -> (usize, usize) {
        self.cloud.queues.lock().unwrap().count(queue)
    }

    /// How often messages were handed out, each as often as it was.
    pub fn deliveries(&self, queue: &str) -> u64 {
        self.cloud.queues.lock().unwrap().deliveries(queue)
    }

    /// Time passes: whatever was being worked on is visible again.
    pub fn expire(&self, queue: &str) {
        self.cloud.queues.lock().unwrap().expire_all(queue);
        self.cloud.sent.notify_waiters();
    }

    /// How often one action was asked.
    pub fn asked(&self, action: &str) -> usize {
        self.cloud.log.lock().unwrap().iter().filter(|access| access.action == action).count()
    }

    /// Everything that was asked.
    pub fn log(&self) -> Vec<Access> {
        self.cloud.log.lock().unwrap().clone()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 256 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = header("x-amz-target").to_owned();
    let (action, what, response) = match target.strip_prefix("AmazonSQS.") {
        Some(action) => {
            let request = serde_json::from_slice(&body).unwrap_or_default();
            let (what, response) = queue::answer(&cloud, action, &request, header("host")).await;
            (action.to_owned(), what, response)
        }
        None => {
            let (what, response) = bucket::answer(&cloud, &head, body).await;
            (head.method.to_string(), what, response)
        }
    };
    let status = response.status().as_u16();
    cloud.log.lock().unwrap().push(Access { action, what, status });
    response
}

fn respond(status: StatusCode, kind: &str, body: impl Into<Bytes>) -> Response {
    Response::builder().status(status).header("content-type", kind).body(Body::from(body.into())).unwrap()
}
