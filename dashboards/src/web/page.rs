//! What every page bears, and the pages that tell what went wrong.

use super::{Web, access, templates, text};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Value, context};
use serde::Serialize;
use std::sync::Arc;

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing is there; what was looked for.
    NotFound(String),
    /// The query cannot be understood; what to write instead.
    Query(String),
    /// Not GET or HEAD.
    Method,
    /// A host name that is not this machine's.
    Host,
    /// No token, or a wrong one.
    Token,
    /// Too many pages at once, or one that took too long.
    Busy,
    /// The store failed; the log says why.
    Store,
    /// A bug of ours; the log says why.
    Broken,
}

pub(super) fn not_found(what: impl Into<String>) -> Fault {
    Fault::NotFound(what.into())
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Fault::NotFound(_) => StatusCode::NOT_FOUND,
            Fault::Query(_) => StatusCode::BAD_REQUEST,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Host => StatusCode::MISDIRECTED_REQUEST,
            Fault::Token => StatusCode::UNAUTHORIZED,
            Fault::Busy | Fault::Store => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Fault::NotFound(_) => "Nothing here",
            Fault::Query(_) => "This address cannot be read",
            Fault::Method => "This page only shows",
            Fault::Host => "Not the name of this machine",
            Fault::Token => "A token is needed",
            Fault::Busy => "Too much at once",
            Fault::Store => "The store did not answer",
            Fault::Broken => "This page is broken",
        }
    }

    fn text(&self) -> &str {
        match self {
            Fault::NotFound(what) | Fault::Query(what) => what,
            Fault::Method => {
                "Only GET and HEAD are answered; `remit findings` and `remit silence` change things"
            }
            Fault::Host => {
                "On loopback only localhost, 127.0.0.1, [::1] and the host of `[alerts] link` are answered to"
            }
            Fault::Token => {
                "Send `Authorization: Bearer` with the value of `[web] token`, or enter it here once"
            }
            Fault::Busy => {
                "Too many pages are being worked out, or this one took too long. Try again in a moment"
            }
            Fault::Store => {
                "The findings are safe, but cannot be read at the moment; the log of remit says why"
            }
            Fault::Broken => "The log of remit says why",
        }
    }

    /// The answer for `path`: JSON for the API, a line for machines, a page for people.
    pub(super) fn answer(self, path: &str) -> Response {
        let status = self.status();
        let mut answer = if path.starts_with("/api/") {
            (status, axum::Json(serde_json::json!({ "error": self.text() }))).into_response()
        } else if matches!(path, "/metrics" | "/healthz" | "/readyz") {
            (status, format!("{}\n", self.text())).into_response()
        } else {
            (status, self.page(path)).into_response()
        };
        if matches!(self, Fault::Busy) {
            let (name, value) = access::come_again();
            answer.headers_mut().insert(name, value);
        }
        answer
    }

    fn page(&self, path: &str) -> Response {
        let context = context! {
            title => self.title(),
            text => self.text(),
            path => if matches!(self, Fault::Token) { path } else { "" },
        };
        match templates::render("error.html", context) {
            Ok(html) => Html(html).into_response(),
            Err(_) => self.text().to_owned().into_response(),
        }
    }
}

impl IntoResponse for Fault {
    // The middleware knows the path; it answers for what a handler could not.
    fn into_response(self) -> Response {
        let mut answer = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        answer.extensions_mut().insert(Arc::new(self));
        answer
    }
}

/// What the frame of every page shows.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    /// Which entry of the navigation it is.
    here: &'static str,
    version: String,
    /// What keeps remit from being ready.
    reasons: Vec<String>,
    now: i64,
    /// Reloads itself every minute.
    is_live: bool,
    /// The address that switches that.
    live_toggle: String,
}

impl Frame {
    pub(super) fn new(web: &Web, here: &'static str, path: &str, query: &str) -> Frame {
        let is_live = text::query_value(query, "live").is_some_and(|value| value == "1");
        let rest = text::query_without(query, "live");
        let live_toggle = match (is_live, rest.is_empty()) {
            (true, true) => path.to_owned(),
            (true, false) => format!("{path}?{rest}"),
            (false, true) => format!("{path}?live=1"),
            (false, false) => format!("{path}?{rest}&live=1"),
        };
        let reasons = web.state.readiness.reasons();
        Frame {
            here,
            version: web.state.version.clone(),
            reasons: reasons.into_iter().map(|(name, reason)| format!("{name}: {reason}")).collect(),
            now: engine::time::now(),
            is_live,
            live_toggle,
        }
    }
}

/// Fills a template for people.
pub(super) fn page(template: &str, frame: &Frame, context: Value) -> Result<Html<String>, Fault> {
    let context = context! { frame => templates::value(frame), ..context };
    templates::render(template, context).map(Html)
}
