//! The page tells what the store holds, and nothing else hears of it.

use crate::support::browser::Browser;
use crate::support::folder::{Config, Folder};
use crate::support::remit::{Service, findings, remit};
use crate::support::{eventually, free_port, http};
use serde_json::Value;
use std::time::Duration;

/// A company that stands still, its page on a port. Its folder gets a configuration for the commands.
fn demo(folder: &Folder) -> Service {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["demo", "--no-live", "--dir", "company", "--listen", &listen];
    let service = Service::spawn(folder.path(), &arguments, port);
    // It says where to look once the month is judged.
    let page = service.url("/");
    eventually("the month is judged", Duration::from_secs(200), || service.stdout().contains(&page));
    folder.write("company/remit.toml", "[store]\npath = \"remit.db\"\n");
    service
}

/// The distinct last parts of the links of the page that lead below `path`.
fn links(browser: &mut Browser, path: &str) -> Vec<String> {
    let script = format!(
        "[...new Set([...document.querySelectorAll('main a[href^=\"{path}\"]')].map(a => \
         decodeURIComponent(new URL(a.href).pathname.slice({}))))].sort()",
        path.len()
    );
    serde_json::from_value(browser.value(&script)).unwrap()
}

#[test]
fn the_page_shows_what_the_store_holds() {
    let folder = Folder::new();
    let service = demo(&folder);
    let mut browser = Browser::start();

    browser.open(&service.url("/"));
    assert!(browser.value("document.title").as_str().unwrap().contains("remit"));
    let live: Vec<Value> = findings(&folder.path().join("company"))
        .into_iter()
        .filter(|finding| finding["state"] == "open" || finding["state"] == "acknowledged")
        .collect();
    assert!(!live.is_empty());
    for severity in ["critical", "high", "medium", "low", "info"] {
        let expected = live.iter().filter(|finding| finding["severity"] == severity).count();
        let shown = browser.value(&format!("document.querySelector('.tile.{severity} .big').innerText"));
        let shown: String = shown.as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
        assert_eq!(shown, expected.to_string(), "{severity}");
    }
    let id = |finding: &Value| finding["id"].as_str().unwrap().to_owned();
    let shown = links(&mut browser, "/findings/");
    assert!(!shown.is_empty());
    assert!(shown.iter().all(|shown| live.iter().any(|finding| id(finding) == *shown)), "{shown:?}");
    let api = service.get("/api/v1/findings").json();
    let told = api["findings"].as_array().unwrap();
    assert!(told.iter().all(|told| live.contains(told)), "the API says what the command says");
    assert!(told.len() == live.len() || api["has_more"] == true);

    let finding = live.iter().find(|finding| id(finding) == shown[0]).unwrap();
    browser.open(&service.url(&format!("/findings/{}", shown[0])));
    let text = browser.value("document.body.innerText").as_str().unwrap().to_owned();
    for key in ["detection", "title", "why"] {
        let value = finding[key].as_str().unwrap();
        assert!(text.to_lowercase().contains(&value.to_lowercase()), "`{value}` isn't in:\n{text}");
    }
    assert!(text.contains(&finding["count"].to_string()));

    browser.open(&service.url("/agents"));
    let agents = service.get("/api/v1/agents").json();
    let mut names: Vec<String> = agents["agents"]
        .as_array()
        .unwrap_or_else(|| panic!("{agents}"))
        .iter()
        .map(|agent| agent["agent"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 12, "a dozen agents: {names:?}");
    assert_eq!(links(&mut browser, "/agents/"), names);
    browser.open(&service.url(&format!("/agents/{}", names[0])));
    let rows = browser.value("document.querySelectorAll('main table tbody tr').length");
    assert!(rows.as_u64().unwrap() > 0, "what is declared, granted and used is a table");

    assert_eq!(browser.complaints(), Vec::<&Value>::new());
    let own = service.url("/");
    let elsewhere: Vec<String> =
        browser.requests().into_iter().filter(|url| !url.starts_with(&own)).collect();
    assert_eq!(elsewhere, [] as [&str; 0], "no request leaves the machine");
    for path in ["/", "/agents", "/no-such-page"] {
        let policy = service.get(path).header("content-security-policy").to_owned();
        assert!(policy.contains("default-src") && !policy.contains("unsafe-"), "{path}: {policy}");
    }
    assert_eq!(service.get("/findings/no-such-finding").status, 404);
}

#[test]
fn off_loopback_it_starts_only_with_a_token_and_asks_for_it() {
    let folder = Folder::new();
    folder.write("logs/.keep", "");
    let config = Config::default().directory("logs", true);
    let port = folder.configure(&config);
    let open = folder.read("remit.toml").replace("127.0.0.1:", "0.0.0.0:");
    folder.write("remit.toml", &open);
    let refused = remit(folder.path(), &["run", "-c", "remit.toml"]).expect(2);
    assert!(refused.stderr.contains("token"), "{}", refused.stderr);

    let token = "correct-horse-battery-staple-2026";
    folder.write("remit.toml", open.replace("[web]\n", &format!("[web]\ntoken = \"{token}\"\n")));
    let service = Service::run(folder.path(), port);
    for path in ["/", "/agents", "/metrics", "/api/v1/findings"] {
        assert_eq!(service.get(path).status, 401, "{path}");
        let ask = |bearer: &str| {
            http::try_get(&service.url(path), &[("authorization", &format!("Bearer {bearer}"))])
                .unwrap()
                .status
        };
        assert_eq!((ask("wrong-horse"), ask(token)), (401, 200), "{path}");
    }
    assert_eq!(service.get("/healthz").status, 200, "whether it lives is no secret");
    assert!(!service.stderr().contains(token));
}

#[test]
fn asked_to_end_it_ends() {
    let folder = Folder::new();
    folder.write("logs/.keep", "");
    let port = folder.configure(&Config::default().directory("logs", true));
    let mut service = Service::run(folder.path(), port);
    let code = service.stop();
    assert!(matches!(code, Some(0 | 130)), "{code:?}: {}", service.stderr());
}
