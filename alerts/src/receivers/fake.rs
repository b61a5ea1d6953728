//! A receiver on loopback that answers as told and remembers what it got.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the fake answers.
#[derive(Clone, Copy)]
pub enum Answer {
    /// With this status and body.
    Status(u16, &'static str),
    /// 429 with this `Retry-After`.
    Busy(&'static str),
    /// Takes the request and says nothing for five seconds.
    Hang,
    /// Takes the request and closes.
    Cut,
    /// This status with a body that does not stop.
    Endless(u16),
}

type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// The fake. Stops when it is dropped.
pub struct Fake {
    address: String,
    got: Got,
    answer: Arc<Mutex<Answer>>,
    task: JoinHandle<()>,
}

impl Fake {
    pub async fn start(answer: Answer) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Got::default();
        let answer = Arc::new(Mutex::new(answer));
        let is_cut = matches!(*answer.lock().unwrap(), Answer::Cut);
        let task = if is_cut {
            tokio::spawn(async move {
                while let Ok((mut socket, _)) = listener.accept().await {
                    let mut bytes = [0; 4096];
                    let _ = socket.read(&mut bytes).await;
                }
            })
        } else {
            let app = Router::new().fallback(reply).with_state((got.clone(), answer.clone()));
            tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
        };
        Fake { address, got, answer, task }
    }

    pub fn url(&self) -> String {
        self.address.clone()
    }

    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Headers and bodies, in the order they came.
    pub fn got(&self) -> Vec<(HeaderMap, Bytes)> {
        self.got.lock().unwrap().clone()
    }

    pub fn json(&self) -> Vec<serde_json::Value> {
        self.got().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    /// Closes the door and gives the address that nobody answers any more.
    pub async fn stop(mut self) -> String {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.address.clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reply(
    State((got, answer)): State<(Got, Arc<Mutex<Answer>>)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    got.lock().unwrap().push((headers, body));
    let answer = *answer.lock().unwrap();
    let (status, body) = match answer {
        Answer::Status(status, body) => (status, Body::from(body)),
        Answer::Busy(_) => (429, Body::empty()),
        Answer::Endless(status) => {
            let chunks =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8192])));
            (status, Body::from_stream(chunks))
        }
        Answer::Hang | Answer::Cut => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            (200, Body::empty())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Answer::Busy(after) = answer {
        response.headers_mut().insert("retry-after", HeaderValue::from_static(after));
    }
    if status == 302 {
        response.headers_mut().insert("location", HeaderValue::from_static("http://127.0.0.1:1/"));
    }
    response
}
