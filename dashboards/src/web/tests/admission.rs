//! Who is let in.

use super::support::{Page, TOKEN, client, state};
use crate::web::{Server, WebError};
use axum::http::Method;
use engine::store::{Durability, Store};

const PATHS: [&str; 11] = [
    "/",
    "/findings/x",
    "/agents",
    "/agents/support-bot",
    "/coverage",
    "/api/v1/findings",
    "/api/v1/agents",
    "/api/v1/agents/support-bot",
    "/metrics",
    "/nowhere",
    "/?token=wrong-wrong-wrong",
];

#[tokio::test]
async fn off_loopback_needs_a_token_and_says_which_key_to_set() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Server::bind(everywhere, state(store.clone(), None)).await.unwrap_err();
    assert!(matches!(refused, WebError::OffLoopback { .. }));
    assert!(refused.to_string().contains("`[web] token`"), "{refused}");
    Server::bind(everywhere, state(store, Some(TOKEN))).await.unwrap();
}

#[tokio::test]
async fn with_a_token_nothing_is_read_without_it() {
    let page = Page::open(Some(TOKEN)).await;
    for path in PATHS {
        let plain = client().get(page.url(path));
        let wrong = client().get(page.url(path)).bearer_auth("0123456789abcdef0124");
        let cookie = client().get(page.url(path)).header("cookie", format!("remit_web={TOKEN}"));
        for request in [plain, wrong, cookie] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{path}");
            assert_eq!(answer.headers()["www-authenticate"], r#"Bearer realm="remit""#);
            assert!(!answer.text().await.unwrap().contains("customers"), "{path}");
        }
    }
    for open in ["/healthz", "/readyz", "/static/remit.css", "/static/icon.svg"] {
        assert_eq!(page.get(open).await.0, 200, "{open}");
    }
}

#[tokio::test]
async fn the_right_token_lets_programs_in() {
    let page = Page::open(Some(TOKEN)).await;
    for path in ["/", "/metrics", "/api/v1/findings"] {
        let answer = client().get(page.url(path)).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_token_in_the_address_becomes_a_cookie_and_leaves_the_address() {
    let page = Page::open(Some(TOKEN)).await;
    let entry = format!("/agents?live=1&token={TOKEN}");
    let answer = client().get(page.url(&entry)).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/agents?live=1");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");

    let pair = cookie.split(';').next().unwrap();
    let with = |value: String| client().get(page.url("/agents")).header("cookie", value).send();
    assert_eq!(with(format!("theme=dark; {pair}")).await.unwrap().status(), 200);
    assert_eq!(with(pair.replace("remit_web", "other")).await.unwrap().status(), 401);
    let other_host = client().get(page.url(&format!("//evil.example/?token={TOKEN}"))).send().await.unwrap();
    assert_eq!(other_host.headers()["location"], "/evil.example/", "the way back stays on this host");
}

#[tokio::test]
async fn a_name_that_is_not_this_machines_is_not_answered_to() {
    let page = Page::open(None).await;
    let as_host = async |host: &str| {
        client().get(page.url("/")).header("host", host).send().await.unwrap().status().as_u16()
    };
    assert_eq!(as_host("localhost").await, 200);
    assert_eq!(as_host("rebound.evil.example").await, 421);
    let health = client().get(page.url("/readyz")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(health.status(), 421);
}

#[tokio::test]
async fn only_reading_is_answered() {
    let page = Page::open(None).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        for path in ["/", "/findings/x", "/api/v1/findings", "/metrics", "/nowhere"] {
            let answer = client().request(method.clone(), page.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], "GET, HEAD");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_page() {
    let page = Page::open(None).await;
    for (path, status) in [("/", 200), ("/metrics", 200), ("/api/v1/agents", 200), ("/findings/x", 404)] {
        let answer = client().head(page.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn every_answer_bears_the_headers() {
    let page = Page::open(Some(TOKEN)).await;
    for path in ["/", "/healthz", "/static/remit.css", "/nowhere", &format!("/?token={TOKEN}")] {
        for request in [client().get(page.url(path)), client().post(page.url(path))] {
            let answer = request.send().await.unwrap();
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            let policy = header("content-security-policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
            assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("cache-control"), "no-store");
        }
    }
}

#[test]
fn no_template_holds_a_script_or_a_style_of_its_own() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/web/templates");
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for forbidden in
            ["<script", "style=", "<style", "javascript:", "onclick", "http://", "https://", "|safe"]
        {
            assert!(!text.contains(forbidden), "{} holds {forbidden}", path.display());
        }
    }
}
