//! What cannot be read is set aside with its reason, and its neighbours go on.

use crate::support::aws::Aws;
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::records::{self, Record};
use crate::support::remit::{Service, findings, remit};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn good(number: usize) -> Record {
    Record::of_agent("ant", "s3:DeleteObject").object("acme-invoices", "k").number(number)
}

/// Blanks, packed about a thousand to one.
fn bomb() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; 16 << 20]).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn rubbish_is_quarantined_by_reason_and_its_neighbours_are_judged() {
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let whole = records::log_file(&[good(100)]);
    let two_members = [records::log_file(&[good(101)]), records::log_file(&[good(102)])].concat();
    let deep = format!("{{\"Records\":[{}1{}]}}", "[".repeat(5000), "]".repeat(5000));
    let cases: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("no_records", records::gzip(b"{\"Records\":[]}")),
        ("not_json", b"hello, this is no log".to_vec()),
        ("truncated", whole[..whole.len() / 2].to_vec()),
        (
            "corrupt",
            whole.iter().enumerate().map(|(at, byte)| if at == 30 { byte ^ 0xff } else { *byte }).collect(),
        ),
        ("bomb", bomb()),
        ("deep", deep.into_bytes()),
        ("latin1", b"{\"Records\":[{\"eventID\":\"\xe9\"}]}".to_vec()),
        ("trailing", two_members),
    ];
    for (name, bytes) in &cases {
        folder.write(&format!("logs/{name}.json.gz"), bytes);
    }
    let bad = [
        good(1).set("eventID", Value::Null),
        good(2).set("eventTime", json!("yesterday")),
        good(3).set("eventName", json!(17)),
        Record(json!("not a record")),
        Record(json!({})),
        Record(Value::Null),
    ];
    let mut records = vec![good(10)];
    records.extend(bad.clone());
    records.push(good(11));
    folder.log("logs/mixed.json.gz", &records);

    let port = folder.configure(&Config::default().directory("logs", false));
    let service = Service::run(folder.path(), port);
    let ended = ["done", "ignored", "quarantined"];
    eventually("every object is ended", SOON, || {
        let count =
            |outcome: &str| service.metric("remit_objects_total", &[&format!("outcome=\"{outcome}\"")]);
        ended.iter().map(|outcome| count(outcome)).sum::<f64>() >= (cases.len() + 1) as f64
    });
    let quarantined =
        |reason: &str| service.metric("remit_events_quarantined_total", &[&format!("reason=\"{reason}\"")]);
    for reason in ["gzip_truncated", "gzip_ratio", "gzip_trailing", "missing_field", "bad_time"] {
        assert!(quarantined(reason) >= 1.0, "{reason}:\n{}", service.get("/metrics").text);
    }
    assert!(service.metric("remit_events_quarantined_total", &[]) >= (bad.len() + 5) as f64);
    assert!(
        service.metric("remit_objects_total", &["outcome=\"ignored\""]) >= 1.0,
        "empty is nothing to read"
    );
    let deletion =
        findings(folder.path()).into_iter().find(|finding| finding["detection"] == "DS01").unwrap();
    let events = deletion["events"].to_string();
    assert!(events.contains("000000000010") && events.contains("000000000011"), "{events}");
    assert!(!events.contains("000000000100"), "nothing of half a file is judged: {events}");
    let stderr = service.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn forged_and_broken_notifications_fetch_nothing_that_is_not_ours() {
    let aws = Aws::start();
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    aws.bucket("somebody-elses", "other");
    aws.queue("other");
    aws.put("somebody-elses", "secret.json.gz", records::log_file(&[good(1)]));
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let port = folder.configure(&Config::default().queue(&aws.url, &queue, "acme-logs"));
    let told = |bucket: &str, key: &str| {
        let object = json!({"bucket": {"name": bucket}, "object": {"key": key, "size": 1}});
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": object}]})
            .to_string()
    };
    aws.send("q", "rubbish");
    aws.send("q", "{\"Records\": 7}");
    aws.send("q", &told("somebody-elses", "secret.json.gz"));
    aws.send("q", &told("acme-logs", "..%2F..%2Fetc%2Fpasswd"));
    aws.send("q", &told("acme-logs", "no-such-object.json.gz"));
    aws.send("q", "{\"Service\": \"Amazon S3\", \"Event\": \"s3:TestEvent\", \"Bucket\": \"acme-logs\"}");
    aws.put("acme-logs", "good.json.gz", records::log_file(&[good(2)]));
    let service = Service::run(folder.path(), port);
    let quarantined =
        |reason: &str| service.metric("remit_events_quarantined_total", &[&format!("reason=\"{reason}\"")]);
    eventually("the good one is judged", SOON, || {
        findings(folder.path()).iter().any(|finding| finding["detection"] == "DS01")
    });
    eventually("the bad ones are counted", SOON, || {
        // Received again and again, as a real queue would deliver it over hours.
        aws.expire("q");
        std::thread::sleep(Duration::from_millis(300));
        quarantined("bad_notification") >= 1.0 && quarantined("forbidden_bucket") >= 1.0
    });
    let foreign: Vec<_> =
        aws.log().into_iter().filter(|access| access.what.starts_with("somebody-elses")).collect();
    assert_eq!(foreign, [], "not one request to a bucket that isn't listed");
    assert!(!service.stderr().contains("panicked"), "{}", service.stderr());
}

#[test]
fn a_bad_configuration_manifest_or_policy_is_named_with_its_place() {
    let ok = "[store]\npath = \"remit.db\"\n[scope]\nagents = \"agents\"\npolicies = \"policies\"\n";
    let manifest = records::manifest("ant", &[("s3:GetObject", "*")]);
    // What is written where, and what the message must name.
    let cases: [(&str, String, &[&str]); 7] = [
        (
            "remit.toml",
            format!("{ok}[alerts]\nalert_max_agee = \"24h\"\n"),
            &["remit.toml", "7", "alert_max_agee"],
        ),
        (
            "remit.toml",
            format!("{ok}[alerts]\nalert_max_age = \"soon\"\n"),
            &["remit.toml", "7", "soon", "24h"],
        ),
        (
            "remit.toml",
            format!("{ok}[[alerts.receivers]]\nname = \"x\"\ntype = \"slak\"\n"),
            &["slak", "slack"],
        ),
        ("agents/ant.yaml", format!("{manifest}  alow: []\n"), &["ant.yaml", "alow"]),
        ("agents/ant.yaml", "kind: Agent\nmetadata: [\n".to_owned(), &["ant.yaml:"]),
        ("agents/ant.yaml", manifest.replace("s3:GetObject", "GetObject"), &["ant.yaml", "GetObject"]),
        ("policies/ant.json", "{\"Version\": \"2012-10-17\", \"Statement\": [".to_owned(), &["ant.json"]),
    ];
    for (file, contents, named) in cases {
        let folder = Folder::new();
        folder.write("agents/ant.yaml", &manifest);
        folder.write("remit.toml", ok);
        remit(folder.path(), &["validate", "-c", "remit.toml", "--no-environment"]).expect(0);
        folder.write(file, &contents);
        let told = remit(folder.path(), &["validate", "-c", "remit.toml", "--no-environment"]).expect(2);
        for word in named {
            assert!(told.stderr.contains(word), "`{word}` isn't in:\n{}\nof:\n{contents}", told.stderr);
        }
        assert!(!told.stderr.contains("panicked"));
    }
}

#[test]
fn a_configuration_without_a_file_is_the_users_to_mend() {
    let folder = Folder::new();
    let told = remit(folder.path(), &["run", "-c", "nowhere.toml"]).expect(2);
    assert!(told.stderr.contains("nowhere.toml"), "{}", told.stderr);
}
