//! The page: read-only, without script, for the people who look after agents.

mod access;
mod agents;
mod api;
mod coverage;
mod findings;
mod listener;
mod overview;
mod page;
mod query;
mod templates;
mod text;
mod token;

pub use agents::{Summary as AgentLine, lines as agent_lines};
pub use token::Token;

use crate::metrics::{Metrics, MetricsError, Standing};
use crate::postures::Postures;
use crate::readiness::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::store::{Store, StoreError};
use page::{Fault, not_found};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, oneshot};

/// Pages worked out at the same time; more are told to come again.
const PAGES_MAX: usize = 32;

/// How long a page may take.
const PAGE_TIME_MAX: Duration = Duration::from_secs(20);

/// Gauges are read from the store at most this often, however many scrape.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// How long requests under way may still take once serving ends.
const END_TIME_MAX: Duration = Duration::from_secs(3);

/// How long readiness waits for the store.
const PING_TIME_MAX: Duration = Duration::from_secs(2);

/// What the pages are made from.
#[derive(Debug, Clone)]
pub struct WebState {
    /// Findings, incidents, objects and queues.
    pub store: Store,
    /// Agents and what they use.
    pub postures: Postures,
    /// What `/metrics` gives.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` gives.
    pub readiness: Readiness,
    /// Asked of everybody when there is one; off loopback there must be one.
    pub token: Option<Token>,
    /// Host names, besides localhost, that a loopback page answers to (a proxy in front of it may keep its own).
    pub hosts: Vec<String>,
    /// Active days that a baseline needs, for the agents' state.
    pub min_active_days: u32,
    /// Shown on every page.
    pub version: String,
}

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Anybody who reaches the address could read everything.
    #[error(
        "refusing to serve the page on `{listen}` without a token: set `[web] token`, for instance to the output \
         of `openssl rand -hex 24`, or set `[web] listen` to a loopback address such as `127.0.0.1:8080`"
    )]
    OffLoopback {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// A token that could be guessed, or that no header can carry.
    #[error(
        "`[web] token` must be {min} to {max} visible ASCII characters; `openssl rand -hex 24` makes a good one",
        min = token::LENGTH_MIN,
        max = token::LENGTH_MAX
    )]
    BadToken,
    /// The address cannot be had.
    #[error("cannot serve the page on `{listen}`: {cause}; `[web] listen` names another address")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Serving ended.
    #[error("the page stopped: {0}")]
    Serve(std::io::Error),
}

/// Shared by every request.
struct Web {
    state: WebState,
    // Loopback: only names of this machine are answered to, so that no web page can reach in by rebinding its DNS.
    is_loopback: bool,
    pages: Semaphore,
    refreshed: Mutex<Option<Instant>>,
}

type Shared = State<Arc<Web>>;

/// The routes as a loopback address serves them. [`Server`] is what to use outside tests.
pub fn router(state: WebState) -> Router {
    routes(state, true)
}

fn routes(state: WebState, is_loopback: bool) -> Router {
    let web =
        Arc::new(Web { state, is_loopback, pages: Semaphore::new(PAGES_MAX), refreshed: Mutex::new(None) });
    Router::new()
        .route("/", get(overview::show))
        .route("/findings/{id}", get(findings::show))
        .route("/agents", get(agents::list))
        .route("/agents/{name}", get(agents::show))
        .route("/coverage", get(coverage::show))
        .route("/api/v1/findings", get(api::findings))
        .route("/api/v1/agents", get(api::agents))
        .route("/api/v1/agents/{name}", get(api::agent))
        .route("/metrics", get(metrics))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/static/remit.css", get(templates::style))
        .route("/static/icon.svg", get(templates::icon))
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(web.clone(), access::admit))
        .with_state(web)
}

/// An address that is held, and not served yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: WebState,
}

impl Server {
    /// Takes the address. Off loopback only with a token.
    ///
    /// # Errors
    /// [`WebError::OffLoopback`] or [`WebError::Bind`].
    pub async fn bind(listen: SocketAddr, state: WebState) -> Result<Server, WebError> {
        if !listen.ip().is_loopback() && state.token.is_none() {
            return Err(WebError::OffLoopback { listen });
        }
        let bind = |cause| WebError::Bind { listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Server { listener, address, state })
    }

    /// The address, with its port even where port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `cancelled` completes, then ends what is under way.
    ///
    /// # Errors
    /// [`WebError::Serve`].
    pub async fn run(self, cancelled: impl Future<Output = ()> + Send + 'static) -> Result<(), WebError> {
        let routes = routes(self.state, self.address.ip().is_loopback());
        let (tell, told) = oneshot::channel();
        let ending = async move {
            cancelled.await;
            let _ = tell.send(());
        };
        let late = async move {
            let _ = told.await;
            tokio::time::sleep(END_TIME_MAX).await;
        };
        let serving =
            axum::serve(listener::Bounded::new(self.listener), routes).with_graceful_shutdown(ending);
        tokio::select! {
            served = async { serving.await } => served.map_err(WebError::Serve),
            // Somebody's slow connection does not keep the whole service from ending.
            () = late => Ok(()),
        }
    }
}

/// Takes the address and serves it until `cancelled` completes.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`].
pub async fn serve(
    listen: SocketAddr,
    state: WebState,
    cancelled: impl Future<Output = ()> + Send + 'static,
) -> Result<(), WebError> {
    Server::bind(listen, state).await?.run(cancelled).await
}

impl Web {
    /// Logs and counts a failure of the store; the reader is told only that it failed.
    fn store_failed(&self, cause: &StoreError) -> Fault {
        self.state.metrics.store_error();
        tracing::warn!(%cause, "a page could not be read from the store");
        Fault::Store
    }

    async fn refresh_gauges(&self) {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < REFRESH_EVERY) {
            return;
        }
        let read = async {
            let posture = self.state.postures.newest().await?;
            let standings = Standing::of(&posture, self.state.min_active_days);
            self.state.metrics.refresh(&self.state.store, &standings).await
        };
        if let Err(cause) = read.await {
            self.store_failed(&cause);
        }
        *refreshed = Some(Instant::now());
    }
}

async fn metrics(State(web): Shared) -> Result<Response, Fault> {
    web.refresh_gauges().await;
    let text = web.state.metrics.render().map_err(|cause: MetricsError| {
        tracing::error!(%cause, "the metrics cannot be written");
        Fault::Broken
    })?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn ready(State(web): Shared) -> Response {
    let mut reasons = web.state.readiness.reasons();
    match tokio::time::timeout(PING_TIME_MAX, web.state.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            reasons.insert("store", "it does not answer; the log says why".to_owned());
        }
        Err(_) => {
            reasons.insert("store", format!("it does not answer within {} s", PING_TIME_MAX.as_secs()));
        }
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
    (status, axum::Json(body)).into_response()
}

async fn nothing_here() -> Fault {
    not_found("There is no page at this address")
}

#[cfg(test)]
mod tests;
