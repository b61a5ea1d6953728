//! What each page says.

use super::support::{HOSTILE, Page, client, finding};
use engine::finding::{Evidence, FindingState, Severity};
use engine::store::Close;
use engine::time::HOUR;

fn hostile(id: &str) -> engine::finding::Finding {
    let mut hostile = finding(id, Severity::Critical);
    hostile.agent = None;
    hostile.detection = "DS01".into();
    hostile.title = format!("destroyed {HOSTILE}");
    hostile.why = HOSTILE.into();
    hostile.actor = HOSTILE.into();
    hostile.subject = HOSTILE.into();
    hostile.events = vec![Evidence { time: 1, event_id: HOSTILE.into() }];
    hostile.sample.user_agent = Some(HOSTILE.into());
    hostile.sample.resources = vec![HOSTILE.into()];
    hostile.sample.outcome = HOSTILE.into();
    hostile.sample.scope_why = Some(HOSTILE.into());
    hostile.sample.scope = Some(HOSTILE.into());
    hostile
}

/// No markup of the log's, and nothing that hides: neither in a page nor in an attribute of one.
fn assert_harmless(html: &str) {
    assert!(!html.contains("<script"), "markup came through");
    assert!(html.contains("&lt;script&gt;"), "the text is shown");
    for hidden in ['\u{202e}', '\u{200b}'] {
        assert!(!html.contains(hidden), "U+{:04X} came through", hidden as u32);
    }
    assert!(html.contains(r#"<span class="cp">U+202E</span>"#));
}

#[tokio::test]
async fn an_empty_store_says_so_on_every_page() {
    let page = Page::open(None).await;
    for (path, says) in [
        ("/", "No incident is open"),
        ("/", "Nothing is open"),
        ("/?severity=high", "No finding fits"),
        ("/agents", "support-bot"),
        ("/coverage", "The sum holds, over 0 log objects"),
        ("/coverage", "Everything could be read"),
    ] {
        let (status, html) = page.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(html.contains(says), "{path} does not say: {says}");
    }
}

#[tokio::test]
async fn the_findings_and_their_numbers_are_shown() {
    let page = Page::open(None).await;
    page.judged(&[finding("aaa", Severity::High), finding("bbb", Severity::Low)], 40).await;
    let (_, html) = page.get("/").await;
    assert!(html.contains("/findings/aaa") && html.contains("/findings/bbb"));
    assert!(html.contains(r#"<a class="tile high" href="/?severity=high""#), "a severity with findings");
    assert!(html.contains(r#"<a class="tile critical zero""#), "and one without");
    assert!(html.contains("and 1 more"), "both are one incident's");

    let (_, html) = page.get("/coverage").await;
    for number in ["43", "40", "The sum holds, over 1 log object."] {
        assert!(html.contains(number), "{number}");
    }
    assert!(html.contains("bad_json") && html.contains("17"));
}

#[tokio::test]
async fn a_query_narrows_the_findings_and_keeps_the_counts() {
    let page = Page::open(None).await;
    let mut other = finding("other", Severity::High);
    other.agent = Some("coding-agent".into());
    other.detection = "DS01".into();
    page.judged(&[finding("aaa", Severity::High), finding("bbb", Severity::Low), other], 3).await;
    let listed = async |query: &str| {
        let (status, html) = page.get(&format!("/?{query}")).await;
        assert_eq!(status, 200, "{query}");
        let table = html.split("<tbody>").nth(1).unwrap_or("").to_owned();
        ["aaa", "bbb", "other"].map(|id| table.contains(&format!("/findings/{id}\"")))
    };
    assert_eq!(listed("severity=high").await, [true, false, true]);
    assert_eq!(listed("agent=coding-agent").await, [false, false, true]);
    assert_eq!(listed("detection=SC01").await, [true, true, false]);
    assert_eq!(listed("state=closed").await, [false, false, false]);

    let (status, html) = page.get("/?state=gone").await;
    assert_eq!(status, 400);
    assert!(html.contains("Known: live, open"));
}

#[tokio::test]
async fn more_findings_than_a_page_holds_are_announced() {
    let page = Page::open(None).await;
    let many: Vec<_> = (0..201).map(|n| finding(&format!("f{n:03}"), Severity::Low)).collect();
    page.judged(&many[..200], 1).await;
    assert!(!page.get("/").await.1.contains("The newest 200 are shown"));
    page.judged(&many[200..], 2).await;
    let (_, html) = page.get("/").await;
    assert!(html.contains("The newest 200 are shown"));
    assert_eq!(html.matches(r#"<tr class="edge low">"#).count(), 200);
}

#[tokio::test]
async fn a_finding_shows_its_evidence_and_its_neighbours() {
    let page = Page::open(None).await;
    let mut elsewhere = finding("elsewhere", Severity::Low);
    elsewhere.first_seen -= 10 * HOUR;
    elsewhere.last_seen -= 10 * HOUR;
    page.judged(&[finding("aaa", Severity::High), finding("bbb", Severity::Low), elsewhere], 9).await;
    let (status, html) = page.get("/findings/aaa").await;
    assert_eq!(status, 200);
    for shown in
        ["event-of-aaa", "payroll-exports", "out of scope", "ASI02", "198.51.100.7", "/findings/bbb\""]
    {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(!html.contains("/findings/elsewhere"), "another incident's finding stays there");
    assert!(html.contains("remit findings ack aaa"));

    let close = Close {
        state: FindingState::Closed,
        reason: Some("false-positive".into()),
        note: Some("the nightly export".into()),
        by: "ada".into(),
    };
    page.store.close_finding("aaa", &close, engine::time::now()).await.unwrap();
    let (_, html) = page.get("/findings/aaa").await;
    assert!(html.contains("the nightly export") && !html.contains("remit findings ack aaa"));
}

#[tokio::test]
async fn text_of_a_log_stays_text_on_every_page() {
    let page = Page::open(None).await;
    page.judged(&[hostile("bad"), hostile("worse")], 5).await;
    for path in ["/", "/findings/bad", "/agents", "/coverage"] {
        let (status, html) = page.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert_harmless(&html);
    }
}

#[tokio::test]
async fn what_a_reader_types_stays_text_too() {
    let page = Page::open(None).await;
    let typed = "%3Cscript%3E%22%3E%E2%80%AE";
    for path in [
        format!("/?agent={typed}&detection={typed}"),
        format!("/?state={typed}"),
        format!("/?live=0&x={typed}"),
        format!("/findings/{typed}"),
        format!("/agents/{typed}"),
        format!("/agents/support-bot?permission={typed}"),
        format!("/{typed}"),
    ] {
        let (_, html) = page.get(&path).await;
        assert!(!html.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_page_of_its_own() {
    let page = Page::open(None).await;
    for path in ["/findings/nothing", "/agents/nobody", "/nowhere", "/static/other.css", "/findings/"] {
        let (status, html) = page.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(html.contains("<h1>Nothing here</h1>"), "{path}");
    }
    let (status, json) = page.get("/api/v1/agents/nobody").await;
    assert_eq!((status, json.starts_with(r#"{"error":"no manifest"#)), (404, true));
}

#[tokio::test]
async fn an_agent_shows_declared_granted_and_used() {
    let page = Page::open(None).await;
    page.judged(&[finding("aaa", Severity::High)], 1).await;
    let (_, html) = page.get("/agents/support-bot").await;
    for shown in
        ["48\u{202f}213", "s3:DeleteObject", "unknowable", "not granted", "/findings/aaa", "violation"]
    {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(html.contains("Proposed policy: keeps 1, removes 1"));

    let (_, html) = page.get("/agents/support-bot?mark=unused").await;
    assert!(html.contains("s3:DeleteObject") && !html.contains("dynamodb:Query"));
    assert!(html.contains("2 of 10 permissions shown"));
    let (_, html) = page.get("/agents/support-bot?level=permissions").await;
    assert!(html.contains("1 of 10 permissions shown") && html.contains("iam:CreateAccessKey"));
    assert_eq!(page.get("/agents/support-bot?mark=odd").await.0, 400);

    let (_, html) = page.get("/agents").await;
    for state in ["violation", "silent", "ok"] {
        assert!(html.contains(&format!(r#"<td><span class="agent-state {state}">"#)), "{state}");
    }
}

#[tokio::test]
async fn programs_get_the_same_as_people() {
    let page = Page::open(None).await;
    page.judged(&[finding("aaa", Severity::High), hostile("bad")], 1).await;
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();

    let all = json(page.get("/api/v1/findings").await.1);
    assert_eq!((all["findings"].as_array().unwrap().len(), &all["has_more"]), (2, &false.into()));
    let bad = all["findings"].as_array().unwrap().iter().find(|f| f["id"] == "bad").unwrap();
    assert_eq!(bad["sample"]["user_agent"], HOSTILE, "JSON carries the text as it was");
    let one = json(page.get("/api/v1/findings?limit=1").await.1);
    assert_eq!((one["findings"].as_array().unwrap().len(), &one["has_more"]), (1, &true.into()));
    assert!(json(page.get("/api/v1/findings?limit=0").await.1)["error"].as_str().unwrap().contains("1000"));

    let agents = json(page.get("/api/v1/agents").await.1);
    assert_eq!(agents["agents"][2]["permissions"]["unused"], 2);
    assert_eq!(agents["agents"][2]["state"], "violation");
    let agent = json(page.get("/api/v1/agents/support-bot").await.1);
    assert_eq!(agent["agent"]["identities"][0]["permissions"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_page_reloads_itself_only_when_asked() {
    let page = Page::open(None).await;
    let reload = r#"<meta http-equiv="refresh" content="60">"#;
    assert!(!page.get("/?severity=high").await.1.contains(reload));
    let (_, html) = page.get("/?severity=high&live=1").await;
    assert!(html.contains(reload) && html.contains(r#"href="/?severity=high""#));
}

#[tokio::test]
async fn readiness_names_what_is_missing_and_health_does_not_care() {
    let page = Page::open(None).await;
    assert_eq!(page.get("/readyz").await, (200, r#"{"ready":true,"reasons":{}}"#.to_owned()));
    page.readiness.fails("sources", "the queue does not answer");
    let (status, json) = page.get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(json, r#"{"ready":false,"reasons":{"sources":"the queue does not answer"}}"#);
    assert_eq!(page.get("/healthz").await, (200, "alive\n".to_owned()));
    assert!(page.get("/").await.1.contains("sources: the queue does not answer"));

    page.readiness.holds("sources");
    page.store.close().await;
    let (status, json) = page.get("/readyz").await;
    assert_eq!((status, json.contains("store")), (503, true));
    let (status, html) = page.get("/").await;
    assert_eq!((status, html.contains("The store did not answer")), (503, true));
    assert_eq!(page.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn metrics_tell_what_the_store_holds() {
    let page = Page::open(None).await;
    page.judged(&[finding("aaa", Severity::High)], 1).await;
    let answer = client().get(page.url("/metrics")).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text().await.unwrap();
    for line in [
        r#"remit_findings_open{severity="high"} 1"#,
        r#"remit_incidents_open{severity="high"} 1"#,
        r#"remit_agent_state{agent="support-bot",state="violation"} 1"#,
        r#"remit_agent_state{agent="planner",state="silent"} 1"#,
        "remit_agents 3",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}
