//! What could not be read is kept, told, and read after all once its cause is gone.

use crate::support::aws::Aws;
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::records::{self, Record};
use crate::support::remit::{Service, findings, remit};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn rows(folder: &Folder, filter: &[&str]) -> Vec<Value> {
    let arguments = [&["quarantine", "list", "-c", "remit.toml", "--output", "ndjson"], filter].concat();
    remit(folder.path(), &arguments).expect(0).lines()
}

fn deleted(number: usize) -> Record {
    Record::of_agent("ant", "s3:DeleteObject").object("acme-invoices", "k").number(number)
}

/// A notification of a bucket that is not configured: set aside, and followed once somebody says that it is ours.
fn forgotten_bucket() -> (Aws, Folder, String) {
    let aws = Aws::start();
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    aws.bucket("other-logs", "q");
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    aws.put("acme-logs", &records::key(1), records::log_file(&[deleted(1)]));
    aws.put("other-logs", &records::key(2), records::log_file(&[deleted(2), deleted(3)]));
    let port = folder.configure(&Config::default().queue(&aws.url, &queue, "acme-logs"));
    let mut service = Service::run(folder.path(), port);
    eventually("one is read and one set aside", SOON, || {
        service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0
            && service.metric("remit_notifications_total", &["outcome=\"quarantined\""]) == 1.0
    });
    let by_cloud = ["provider=\"aws\"", "reason=\"forbidden_bucket\""];
    assert_eq!(service.metric("remit_events_quarantined_total", &by_cloud), 1.0, "the key is a trail's");
    service.stop();
    (aws, folder, queue)
}

#[test]
fn a_bucket_that_was_forgotten_is_read_after_all() {
    let (aws, folder, queue) = forgotten_bucket();
    let waiting = rows(&folder, &["--state", "waiting", "--reason", "forbidden_bucket", "--since", "1h"]);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["pointer"]["bucket"], "other-logs");
    assert_eq!(waiting[0]["seen"], 1);
    let id = waiting[0]["id"].as_str().unwrap();
    let shown = remit(folder.path(), &["quarantine", "show", id, "-c", "remit.toml"]).expect(0).stdout;
    assert!(shown.contains("s3://other-logs/") && shown.contains("its first bytes"), "{shown}");

    // As long as nobody allows it, it stays, and no request leaves.
    let still = remit(folder.path(), &["quarantine", "replay", id, "-c", "remit.toml"]).expect(4).stdout;
    assert!(still.contains("waiting") && still.contains("is not in `buckets`"), "{still}");
    assert!(aws.log().iter().all(|access| !access.what.starts_with("other-logs")), "{:?}", aws.log());

    // Two buckets now. The service that runs does the work; the command waits for it.
    let port = folder.configure(&Config::default().queue(&aws.url, &queue, "acme-logs\", \"other-logs"));
    let service = Service::run(folder.path(), port);
    let all = ["quarantine", "replay", "--all", "-c", "remit.toml", "--output", "ndjson"];
    let told = remit(folder.path(), &all).expect(0).lines();
    assert_eq!((&told[0]["state"], &told[0]["id"]), (&json!("replayed"), &json!(id)), "{told:?}");
    let calls: i64 =
        findings(folder.path()).iter().filter_map(|finding| finding["count"].as_i64()).max().unwrap();
    assert_eq!(calls, 3, "one agent, one day, one finding of each kind");
    assert_eq!(service.metric("remit_events_total", &[]), 2.0, "what this run added");
    assert_eq!(rows(&folder, &["--state", "waiting"]).len(), 0);
    remit(folder.path(), &all).expect(0);
    assert_eq!(service.metric("remit_events_total", &[]), 2.0, "and only once");
}

#[test]
fn an_object_that_changed_back_is_read_and_nothing_twice() {
    let aws = Aws::start();
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let (first, second) = (records::log_file(&[deleted(1)]), records::log_file(&[deleted(1), deleted(2)]));
    aws.put("acme-logs", &records::key(1), first.clone());
    aws.put("acme-logs", &records::key(1), second);
    let port = folder.configure(&Config::default().queue(&aws.url, &queue, "acme-logs"));
    let mut service = Service::run(folder.path(), port);
    eventually("what was overwritten is set aside", SOON, || {
        service.metric("remit_objects_total", &["outcome=\"quarantined\""]) == 1.0
            && service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0
    });
    service.stop();
    aws.put("acme-logs", &records::key(1), first);
    // No service runs: the command does it itself.
    let arguments = ["quarantine", "replay", "--reason", "changed_object", "-c", "remit.toml"];
    let told = remit(folder.path(), &arguments).expect(0).stdout;
    assert!(told.contains("replayed") && told.contains("0 events added, 1 seen before"), "{told}");
    assert_eq!(findings(folder.path()).iter().filter_map(|f| f["count"].as_i64()).max(), Some(2));
    let unknown = remit(folder.path(), &["quarantine", "replay", "00", "-c", "remit.toml"]).expect(2);
    assert!(unknown.stderr.contains("remit quarantine list"), "{}", unknown.stderr);
}

#[test]
fn a_file_of_nothing_but_rubbish_is_bounded_and_counted_and_can_be_resolved() {
    let folder = Folder::new();
    let bad: Vec<Record> = (0..1000)
        .map(|at| Record(json!({"eventName": "\u{1b}[2J", "password": "hunter2", "n": at})))
        .collect();
    folder.log("logs/a.json.gz", &bad);
    let port = folder.configure(&Config::default().directory("logs", false));
    let mut service = Service::run(folder.path(), port);
    eventually("it is judged", SOON, || service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0);
    service.stop();
    let all = rows(&folder, &[]);
    assert_eq!(all.iter().map(|row| row["records"].as_i64().unwrap()).sum::<i64>(), 1000);
    assert!(all.len() < 300, "{} rows", all.len());
    assert!(all.iter().all(|row| !row["head"].as_str().unwrap().contains("hunter2")));
    let table = remit(folder.path(), &["quarantine", "list", "-c", "remit.toml"]).expect(0).stdout;
    assert!(!table.contains('\u{1b}'), "a log's text does not reach the terminal as it is");

    // All that a replay can do is to look again: nothing reads, nothing is lost.
    remit(folder.path(), &["quarantine", "replay", "--all", "-c", "remit.toml"]).expect(4);
    let again = rows(&folder, &["--state", "waiting"]);
    assert_eq!(again.iter().map(|row| row["records"].as_i64().unwrap()).sum::<i64>(), 1000);
    let id = again[0]["id"].as_str().unwrap();
    let resolve =
        ["quarantine", "resolve", id, "-c", "remit.toml", "--reason", "a test of the bucket", "--by", "ana"];
    remit(folder.path(), &resolve).expect(0);
    let resolved = rows(&folder, &["--state", "resolved"]);
    assert_eq!(resolved[0]["outcome"], "ana: a test of the bucket");
}
