//! remit watches itself: what came in is accounted for, a canary comes out once a day, and a dead man's switch hears
//! of it only as long as all is well.

use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::receivers::Receiver;
use crate::support::records::Record;
use crate::support::remit::{Service, findings, remit};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn status(folder: &Folder, code: i32) -> Value {
    remit(folder.path(), &["status", "-c", "remit.toml", "--output", "json"]).expect(code).json()
}

fn attacked(folder: &Folder) {
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let calls: Vec<Record> = (1..=3)
        .map(|at| Record::of_agent("ant", "s3:DeleteObject").object("acme", "k").number(at).minutes_ago(5))
        .collect();
    folder.log("logs/a.json.gz", &[calls.clone(), vec![calls[0].clone(), Record(Value::Null)]].concat());
}

#[test]
fn everything_that_came_in_is_accounted_for() {
    let folder = Folder::new();
    attacked(&folder);
    let port = folder
        .configure(&Config::default().directory("logs", true).receiver("ndjson", "path = \"alerts.ndjson\""));
    let mut service = Service::run(folder.path(), port);
    eventually("the alert is told", SOON, || folder.path().join("alerts.ndjson").exists());
    eventually("the canary came out", SOON, || {
        service.metric("remit_canary_last_success_timestamp_seconds", &[]) > 1e9
    });
    assert_eq!(service.metric("remit_conservation_breaches", &[]), 0.0);
    assert!(service.metric("remit_conservation_checked_timestamp_seconds", &[]) > 1e9);
    eventually("beside the service that runs, everything is somewhere", SOON, || {
        let told = status(&folder, 0);
        let part = |at: usize, part: &str| told["accounts"][at]["parts"][part].as_i64().unwrap();
        assert_eq!(
            [part(0, "stored"), part(0, "duplicate"), part(0, "quarantined"), part(1, "waiting")],
            [3, 1, 1, 1]
        );
        part(3, "alerted") > 0 && part(3, "canary") == 1 && part(4, "delivered") > 0
    });
    service.stop();
    let table = remit(folder.path(), &["status", "-c", "remit.toml"]).expect(0).stdout;
    assert!(
        table.contains("records     holds   5 records read = 3 stored + 1 duplicate + 1 quarantined"),
        "{table}"
    );
}

#[test]
fn the_canary_is_seen_by_nobody_who_looks_at_agents() {
    let folder = Folder::new();
    attacked(&folder);
    let port = folder
        .configure(&Config::default().directory("logs", true).receiver("ndjson", "path = \"alerts.ndjson\""));
    let service = Service::run(folder.path(), port);
    eventually("the canary came out", SOON, || {
        service.metric("remit_canary_last_success_timestamp_seconds", &[]) > 1e9
    });
    eventually("the file is judged", SOON, || {
        service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0
    });
    eventually("the alert is told", SOON, || folder.path().join("alerts.ndjson").exists());
    let list = |state: &str| {
        let arguments = ["findings", "list", "-c", "remit.toml", "--output", "ndjson", "--state", state];
        remit(folder.path(), &arguments).expect(0).lines()
    };
    assert_eq!(list("canary").iter().filter(|finding| finding["detection"] == "LG01").count(), 1);
    let pages = ["/", "/?state=all", "/agents", "/coverage", "/api/v1/findings?state=all"];
    let report = ["report", "-c", "remit.toml", "--format", "json"];
    let mut seen: Vec<String> = pages.iter().map(|page| service.get(page).text).collect();
    seen.push(remit(folder.path(), &report).expect(0).stdout);
    seen.push(folder.read("alerts.ndjson"));
    seen.push(findings(folder.path()).iter().map(Value::to_string).collect());
    for text in seen {
        assert!(!text.contains("remit-canary"), "{text}");
    }
    assert_eq!(service.metric("remit_events_total", &[]), 3.0);
    let without = Folder::new();
    let port =
        without.configure(&Config::default().directory("agents", true).watch("watch", "canary = false"));
    let service = Service::run(without.path(), port);
    eventually("the identities are read", SOON, || {
        service.metric("remit_conservation_checked_timestamp_seconds", &[]) > 1e9
    });
    assert_eq!(service.metric("remit_canary_last_success_timestamp_seconds", &[]), 0.0, "asked not to");
}

#[test]
fn events_of_an_unknown_version_or_category_are_judged_and_counted() {
    use serde_json::json;
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let call = |at| Record::of_agent("ant", "s3:DeleteObject").object("acme", "k").number(at);
    let new = call(1).set("eventVersion", json!("2.0"));
    let strange = call(2).set("eventCategory", json!("Telepathy"));
    folder.log("logs/a.json.gz", &[new, strange, call(3).set("eventVersion", json!("1.99"))]);
    let port = folder.configure(&Config::default().directory("logs", false));
    let service = Service::run(folder.path(), port);
    eventually("it is judged", SOON, || service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0);
    let unfamiliar =
        |what: &str| service.metric("remit_events_unfamiliar_total", &[&format!("what=\"{what}\"")]);
    assert_eq!((unfamiliar("version"), unfamiliar("category")), (1.0, 1.0));
    assert_eq!(service.metric("remit_events_quarantined_total", &[]), 0.0);
    let undeclared =
        findings(folder.path()).into_iter().find(|finding| finding["detection"] == "SC01").unwrap();
    assert_eq!(undeclared["count"], 3, "none is lost for it");
}

fn beating(folder: &Folder, switch: &Receiver) -> Service {
    std::fs::create_dir_all(folder.path().join("logs")).unwrap();
    let keys = format!("url = \"{}\"\nevery = \"1s\"", switch.url);
    let config = Config::default().directory("logs", true).watch("watch.heartbeat", &keys);
    let port = folder.configure(&config);
    Service::run(folder.path(), port)
}

fn signal(service: &Service, name: &str) {
    let process = service.process().to_string();
    assert!(Command::new("kill").args([name, &process]).status().unwrap().success());
}

#[test]
fn a_dead_mans_switch_hears_of_a_service_that_is_alive_and_of_no_other() {
    let (folder, switch) = (Folder::new(), Receiver::switch());
    let service = beating(&folder, &switch);
    eventually("it beats", SOON, || switch.count() >= 3);
    assert_eq!(switch.received()[0].body["status"], "alive");
    assert!(service.metric("remit_heartbeats_total", &["outcome=\"sent\""]) >= 2.0);

    // Stopped in its tracks, as by a hypervisor: the other side hears nothing, and cries out.
    signal(&service, "-STOP");
    let before = switch.count();
    std::thread::sleep(Duration::from_secs(4));
    assert!(switch.count() <= before + 1, "what was on its way may still arrive");
    signal(&service, "-CONT");
    let before = switch.count();
    eventually("it beats again", SOON, || switch.count() > before + 1);
}

#[test]
fn a_service_that_is_not_ready_does_not_beat() {
    let (folder, switch) = (Folder::new(), Receiver::switch());
    let service = beating(&folder, &switch);
    eventually("it beats", SOON, || switch.count() >= 2);
    // Its source is gone: nothing is watched any more.
    std::fs::rename(folder.path().join("logs"), folder.path().join("away")).unwrap();
    let withheld = || service.metric("remit_heartbeats_total", &["outcome=\"withheld\""]);
    eventually("it says that it is not ready", SOON, || service.get("/readyz").status == 503);
    eventually("the beat is withheld", SOON, || withheld() >= 2.0);
    let (before, more) = (switch.count(), withheld() + 2.0);
    eventually("again and again", SOON, || withheld() >= more);
    assert_eq!(switch.count(), before);
}

#[test]
fn a_switch_that_does_not_answer_is_counted_and_tried_again() {
    use crate::support::receivers::Behaviour;
    let (folder, switch) = (Folder::new(), Receiver::switch());
    switch.plan([Behaviour::Broken, Behaviour::Cut]);
    let service = beating(&folder, &switch);
    eventually("it beats all the same", SOON, || {
        service.metric("remit_heartbeats_total", &["outcome=\"sent\""]) >= 1.0
    });
    assert_eq!(service.metric("remit_heartbeats_total", &["outcome=\"failed\""]), 2.0);
}
