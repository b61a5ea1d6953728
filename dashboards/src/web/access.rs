//! Who may read what: methods, host names, the token, and the headers that every answer bears.

use super::page::Fault;
use super::token::Token;
use super::{PAGE_TIME_MAX, Shared, Web, text};
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const COOKIE_NAME: &str = "remit_web";

/// Half a day: one shift.
const COOKIE_SECONDS: u32 = 12 * 60 * 60;

/// On every answer. No script at all; style, icons and forms only of our own.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Lets a request through, or says why not; bounds how many are under way and for how long.
pub(super) async fn admit(State(web): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match check(&web, &request) {
        Err(refused) => refused.answer(&path),
        Ok(()) => through(&web, request, next).await.unwrap_or_else(|fault| fault.answer(&path)),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn through(web: &Web, request: Request, next: Next) -> Result<Response, Fault> {
    // Health must be told even when every page is under way.
    let is_health = matches!(request.uri().path(), "/healthz" | "/readyz");
    let _permit = if is_health { None } else { Some(web.pages.try_acquire().map_err(|_| Fault::Busy)?) };
    let mut response =
        tokio::time::timeout(PAGE_TIME_MAX, next.run(request)).await.map_err(|_| Fault::Busy)?;
    match response.extensions_mut().remove::<Arc<Fault>>().and_then(Arc::into_inner) {
        Some(fault) => Err(fault),
        None => Ok(response),
    }
}

enum Refused {
    Method,
    Host,
    Token,
    /// Not refused: the token becomes a cookie, and leaves the address.
    Enter(Box<Response>),
}

impl Refused {
    fn answer(self, path: &str) -> Response {
        match self {
            Refused::Method => {
                let mut answer = Fault::Method.answer(path);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
            Refused::Host => Fault::Host.answer(path),
            Refused::Token => {
                let mut answer = Fault::Token.answer(path);
                answer
                    .headers_mut()
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="remit""#));
                answer
            }
            Refused::Enter(answer) => *answer,
        }
    }
}

fn check(web: &Web, request: &Request) -> Result<(), Refused> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refused::Method);
    }
    if web.is_loopback && !is_own_host(request.uri(), request.headers(), &web.state.hosts) {
        return Err(Refused::Host);
    }
    let Some(token) = &web.state.token else { return Ok(()) };
    let path = request.uri().path();
    // The style sheet and the icon hold nothing, and the page that asks for the token wears them.
    if matches!(path, "/healthz" | "/readyz") || path.starts_with("/static/") {
        return Ok(());
    }
    if let Some(offered) = bearer(request.headers()) {
        return if token.is(offered) { Ok(()) } else { Err(Refused::Token) };
    }
    if let Some(offered) = text::query_value(request.uri().query().unwrap_or(""), "token") {
        let enter = || Refused::Enter(Box::new(entered(token, request)));
        return Err(if token.is(&offered) { enter() } else { Refused::Token });
    }
    if cookies(request.headers()).any(|offered| token.is_cookie(offered)) {
        return Ok(());
    }
    Err(Refused::Token)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

/// The same address without the token, which from now on is a cookie that no script and no other site can use.
fn entered(token: &Token, request: &Request) -> Response {
    let query = text::query_without(request.uri().query().unwrap_or(""), "token");
    // A path that begins with two slashes would be read as another host.
    let path = request.uri().path().trim_start_matches('/');
    let target = if query.is_empty() { format!("/{path}") } else { format!("/{path}?{query}") };
    let is_tls = request.headers().get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let cookie = format!(
        "{COOKIE_NAME}={}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict{}",
        token.cookie(),
        if is_tls { "; Secure" } else { "" }
    );
    (StatusCode::SEE_OTHER, [(LOCATION, target), (SET_COOKIE, cookie)]).into_response()
}

/// Whether the browser means this machine, and not a name that an attacker points at it.
fn is_own_host(uri: &Uri, headers: &HeaderMap, names: &[String]) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let is_own = |authority: &str| {
        let name = host_name(authority);
        ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str())
            || names.iter().any(|known| host_name(known) == name)
    };
    is_own(host) && uri.authority().is_none_or(|authority| is_own(authority.as_str()))
}

/// `Localhost:8080` is `localhost`; `[::1]:8080` is `[::1]`.
fn host_name(authority: &str) -> String {
    let end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority.get(..end).unwrap_or(authority).trim_end_matches('.').to_ascii_lowercase()
}

/// When to come again.
pub(super) fn come_again() -> (HeaderName, HeaderValue) {
    (RETRY_AFTER, HeaderValue::from_static("2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        is_own_host(&Uri::from_static("/"), &headers, &["remit.corp.example:443".to_owned()])
    }

    #[test]
    fn only_names_of_this_machine_are_answered_to() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:8080", "[::1]", "remit.corp.example"]
        {
            assert!(asked(own), "{own}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example",
            "remit.corp.example.evil",
        ] {
            assert!(!asked(other), "{other}");
        }
    }

    #[test]
    fn no_host_or_two_are_nobody() {
        let mut headers = HeaderMap::new();
        assert!(!is_own_host(&Uri::from_static("/"), &headers, &[]));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(is_own_host(&Uri::from_static("/"), &headers, &[]));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(!is_own_host(&Uri::from_static("/"), &headers, &[]));
    }

    #[test]
    fn an_absolute_address_is_held_to_the_same_names() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        assert!(!is_own_host(&Uri::from_static("http://evil.example/"), &headers, &[]));
    }
}
