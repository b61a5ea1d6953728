use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::object::HEADS_MAX;
use crate::source::ObjectRef;

use super::*;

fn object() -> ObjectRef {
    ObjectRef { source: "s".into(), bucket: "logs".into(), key: "k.json.gz".into(), version: String::new() }
}

fn read(bytes: impl AsRef<[u8]>) -> ReadObject {
    let read = read_object(&object(), bytes.as_ref(), &Limits::default(), &Redaction::default()).unwrap();
    assert_eq!(read.read, (read.batch.rows() + read.quarantined.len()) as u64, "everything is accounted for");
    read
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// An event with `changes` made to it; null takes a field away.
fn event(id: &str, changes: Value) -> Value {
    let mut event = json!({
        "eventVersion": "1.10", "eventID": id, "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "awsRegion": "us-east-1", "eventCategory": "Data", "readOnly": true,
        "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLE:run-7", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/OrderProcessor/run-7", "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE",
                "arn": "arn:aws:iam::111122223333:role/agents/OrderProcessor", "accountId": "111122223333"},
                "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-05T09:30:00Z"}}},
        "requestParameters": {"bucketName": "orders", "key": "a"},
        "resources": [{"ARN": "arn:aws:s3:::orders/a", "type": "AWS::S3::Object"}, {"ARNPrefix": "arn:aws:s3:::x/"}]
    });
    for (key, value) in changes.as_object().cloned().unwrap_or_default() {
        event[key.as_str()] = value;
    }
    event.as_object_mut().unwrap().retain(|_, value| value != &Value::String("(gone)".into()));
    event
}

fn records(events: &[String]) -> String {
    format!("{{\"Records\":[{}]}}", events.join(","))
}

/// The columns of one event.
fn columns(changes: Value) -> Value {
    let batch =
        read_record(&event("e", changes).to_string(), &Limits::default(), &Redaction::default()).unwrap();
    batch.view().to_json(0)
}

/// The reason for which a record is refused.
fn refused(record: &str) -> &'static str {
    let Err(quarantined) = read_record(record, &Limits::default(), &Redaction::default()) else {
        panic!("was read: {record}")
    };
    quarantined.reason
}

#[test]
fn an_event_becomes_a_row() {
    assert_eq!(
        columns(json!({})),
        json!({
            "event_id": "e", "time": "2026-01-05T10:00:00Z", "provider": "aws", "account": "111122223333",
            "recipient_account": "111122223333", "region": "us-east-1", "category": "data",
            "service": "s3.amazonaws.com", "operation": "GetObject", "read_only": true, "outcome": "success",
            "actor_type": "AssumedRole", "actor": "arn:aws:iam::111122223333:role/agents/OrderProcessor",
            "actor_id": "AROAEXAMPLE", "actor_account": "111122223333", "session": "ASIAEXAMPLE",
            "session_name": "run-7", "session_started": "2026-01-05T09:30:00Z", "credential": "ASIAEXAMPLE",
            "credential_kind": "temporary", "mfa": false, "source_ip": "198.51.100.7", "source_kind": "ip",
            "user_agent": "aws-cli/2", "resources": ["arn:aws:s3:::orders/a"],
            "request": r#"{"bucketName":"orders","key":"a"}"#, "row": 0
        })
    );
}

#[test]
fn a_file_is_read_in_any_of_its_shapes() {
    let events = [event("a", json!({})).to_string(), event("b", json!({})).to_string()];
    let shapes = [
        records(&events),
        format!("[{}]", events.join(",")),
        events.join("\n"),
        format!("\u{feff}{}", records(&events)),
    ];
    for shape in shapes {
        for bytes in [gzip(&shape), shape.into_bytes()] {
            let read = read(bytes);
            let view = read.batch.view();
            assert_eq!((read.batch.rows(), view.event_id(0), view.event_id(1)), (2, "a", "b"));
            assert_eq!((view.row(1), view.object(1)), (Some(1), Some("s3://logs/k.json.gz")));
            assert_eq!(read.ignored, None);
        }
    }
}

#[test]
fn nothing_is_no_events() {
    for text in ["", "\n", "{\"Records\":[]}"] {
        let read = read(text);
        assert_eq!((read.read, read.ignored), (0, Some("empty")));
    }
    assert_eq!(read(gzip("")).ignored, Some("empty"));
}

#[test]
fn a_digest_is_ignored_by_name() {
    let digest =
        r#"{"awsAccountId":"1","digestStartTime":"x","digestEndTime":"y","logFiles":[{"s3Object":"a"}]}"#;
    let read = read(gzip(digest));
    assert_eq!((read.read, read.ignored), (0, Some("digest")));
}

#[test]
fn an_object_that_is_no_log_is_refused() {
    let refused = |bytes: &[u8]| {
        read_object(&object(), bytes, &Limits::default(), &Redaction::default()).unwrap_err().reason()
    };
    assert_eq!(refused(b"PAR1 binary"), reason::BAD_JSON);
    assert_eq!(refused(b"\xff\xfe{\x00}\x00"), reason::BAD_ENCODING);
    assert_eq!(refused(&gzip("{}")[..15]), reason::GZIP_TRUNCATED);
    let twice = [gzip("{}"), gzip("{}")].concat();
    assert_eq!(refused(&twice), reason::GZIP_TRAILING);
}

#[test]
fn a_bad_record_leaves_its_neighbours() {
    let good = |id| event(id, json!({})).to_string();
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    let twice = good("x").replacen('{', "{\"eventName\":\"ListBuckets\",", 1);
    let bad = [
        (event("x", json!({"eventID": "(gone)"})).to_string(), reason::MISSING_FIELD),
        (event("x", json!({"eventName": ""})).to_string(), reason::MISSING_FIELD),
        (event("x", json!({"eventTime": "yesterday"})).to_string(), reason::BAD_TIME),
        (event("x", json!({"eventName": 7})).to_string(), reason::WRONG_TYPE),
        (event("x", json!({"userIdentity": "root"})).to_string(), reason::WRONG_TYPE),
        ("null".to_owned(), reason::WRONG_TYPE),
        (twice, reason::DUPLICATE_KEY),
        (
            good("x").replace("\"type\":", "\"arn\":\"arn:aws:iam::1:role/Admin\",\"type\":"),
            reason::DUPLICATE_KEY,
        ),
        (good("x").replace(":true", ":tru"), reason::BAD_JSON),
        (
            event("x", json!({"requestParameters": 0})).to_string().replace(":0", &format!(":{deep}")),
            reason::TOO_DEEP,
        ),
        (event("x", json!({"userAgent": "x".repeat(5 << 20)})).to_string(), reason::RECORD_TOO_BIG),
    ];
    for (bad, expected) in bad {
        let read = read(records(&[good("a"), bad, good("b")]));
        let view = read.batch.view();
        assert_eq!(
            (read.read, view.event_id(0), view.event_id(1), view.row(1)),
            (3, "a", "b", Some(2)),
            "{expected}"
        );
        let [quarantined] = read.quarantined.as_slice() else { panic!("{:?}", read.quarantined) };
        assert_eq!((quarantined.reason, quarantined.row), (expected, Some(1)), "{}", quarantined.detail);
        assert!(!quarantined.head.is_empty());
    }
}

#[test]
fn one_record_of_another_encoding_leaves_its_neighbours() {
    let mut bytes = records(&[
        event("a", json!({})).to_string(),
        "{\"eventID\":\"?\"}".into(),
        event("b", json!({})).to_string(),
    ])
    .into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xe9;
    let read = read(bytes);
    assert_eq!((read.batch.rows(), read.quarantined[0].reason), (2, reason::BAD_ENCODING));
    assert_eq!(read.quarantined[0].head, "{\"eventID\":\"\u{fffd}\"}");
}

#[test]
fn a_file_that_breaks_off_keeps_what_came_before() {
    let text = records(&[event("a", json!({})).to_string(), event("b", json!({})).to_string()]);
    let read = read(&text[..text.len() - 40]);
    assert_eq!((read.batch.rows(), read.read), (1, 2));
    assert_eq!((read.quarantined[0].reason, read.quarantined[0].row), (reason::BAD_JSON, Some(1)));
}

#[test]
fn limits_are_those_that_were_set() {
    let text = records(&vec![event("a", json!({})).to_string(); 5]);
    let limits = Limits { records_max: 3, ..Limits::default() };
    let few = read_object(&object(), text.as_bytes(), &limits, &Redaction::default()).unwrap();
    assert_eq!((few.batch.rows(), few.read, few.quarantined[0].reason), (3, 4, reason::TOO_MANY_RECORDS));
    let limits = Limits { depth_max: 3, ..Limits::default() };
    let shallow = read_object(&object(), text.as_bytes(), &limits, &Redaction::default()).unwrap();
    assert_eq!(shallow.quarantined[0].reason, reason::TOO_DEEP);
}

#[test]
fn a_file_of_nothing_but_noise_does_not_fill_the_memory() {
    let read = read(records(&vec!["{}".to_owned(); 1000]));
    assert_eq!(read.quarantined.len(), 1000);
    assert_eq!(read.quarantined.iter().filter(|quarantined| !quarantined.head.is_empty()).count(), HEADS_MAX);
}

#[test]
fn parameters_of_any_type_are_kept_raw() {
    for (value, raw) in
        [(json!("too large, omitted"), "\"too large, omitted\""), (json!([1, {"a": 2}]), r#"[1,{"a":2}]"#)]
    {
        assert_eq!(columns(json!({ "requestParameters": value }))["request"], raw);
    }
    assert_eq!(columns(json!({"requestParameters": null})).get("request"), None);
}

#[test]
fn secrets_are_taken_out_before_they_are_kept() {
    let row = columns(json!({
        "requestParameters": {"masterUserPassword": "hunter2", "clientToken": "kept"},
        "responseElements": {"credentials": {"accessKeyId": "ASIANEW", "sessionToken": "hunter2", "secretAccessKey": "hunter2"}},
        "additionalEventData": {"arguments": {"prompt": "hunter2"}}
    }));
    assert!(!row.to_string().contains("hunter2"));
    assert!(row["response"].as_str().unwrap().contains("ASIANEW"));
    assert!(row["request"].as_str().unwrap().contains("kept"));
}

#[test]
fn flags_may_be_written_as_text() {
    assert_eq!(columns(json!({"readOnly": "false"}))["read_only"], false);
    assert_eq!(refused(&event("e", json!({"readOnly": "perhaps"})).to_string()), reason::WRONG_TYPE);
}

#[test]
fn a_lone_surrogate_hides_no_call() {
    let record = event("e", json!({})).to_string().replace("aws-cli/2", "x\\ud800y");
    let batch = read_record(&record, &Limits::default(), &Redaction::default()).unwrap();
    assert!(batch.view().user_agent(0).unwrap().starts_with('x'));
}

#[test]
fn a_category_that_we_do_not_know_is_kept() {
    assert_eq!(columns(json!({"eventCategory": "Aggregated"}))["category"], "aggregated");
    assert_eq!(columns(json!({"eventCategory": "NetworkActivity"}))["category"], "network");
    assert_eq!(
        columns(json!({"eventCategory": "(gone)", "managementEvent": true}))["category"],
        "management"
    );
    assert_eq!(columns(json!({"eventCategory": "(gone)"})).get("category"), None);
}

#[test]
fn an_insight_names_its_call_in_its_details() {
    let row = columns(json!({
        "eventSource": "(gone)", "eventName": "(gone)", "userIdentity": "(gone)", "eventCategory": "Insight",
        "eventType": "AwsCloudTrailInsight",
        "insightDetails": {"state": "Start", "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}
    }));
    assert_eq!((&row["service"], &row["operation"]), (&json!("ec2.amazonaws.com"), &json!("RunInstances")));
    assert_eq!((&row["outcome"], &row["category"]), (&json!("unknown"), &json!("insight")));
    assert_eq!(row.get("actor"), None);
}

#[test]
fn a_denial_names_its_layer() {
    let message = "User: x is not authorized to perform: s3:GetObject with an explicit deny in a service control policy";
    let row = columns(json!({"errorCode": "AccessDenied", "errorMessage": message}));
    assert_eq!((&row["outcome"], &row["denied_by"]), (&json!("denied"), &json!("explicit:scp")));
    let row = columns(json!({"errorCode": "ThrottlingException", "errorMessage": message}));
    assert_eq!(row["outcome"], "denied", "AWS's text outweighs its code");
    let row = columns(json!({"errorCode": "ThrottlingException", "errorMessage": "Rate exceeded"}));
    assert_eq!((&row["outcome"], row.get("denied_by")), (&json!("failed"), None));
}

#[test]
fn where_a_call_comes_from_is_told_by_kind() {
    let kind = |changes| columns(changes).get("source_kind").cloned();
    assert_eq!(kind(json!({"sourceIPAddress": "2001:db8::1"})), Some("ip".into()));
    assert_eq!(kind(json!({"sourceIPAddress": "lambda.amazonaws.com"})), Some("service".into()));
    assert_eq!(kind(json!({"vpcEndpointId": "vpce-1"})), Some("vpce".into()));
    assert_eq!(kind(json!({"sourceIPAddress": "lambda.amazonaws.com.example"})), None);
}

#[test]
fn a_record_alone_must_be_alone() {
    for text in ["", "{} {}", "{", "[", "{\"a\":1}}"] {
        assert_eq!(refused(text), reason::BAD_JSON, "{text}");
    }
    assert_eq!(refused("{}"), reason::MISSING_FIELD);
    assert_eq!(
        refused(r#"["e",null,"2026-01-05T10:00:00Z","s3.amazonaws.com","GetObject"]"#),
        reason::WRONG_TYPE
    );
    assert!(
        read_record(&format!(" {} ", event("e", json!({}))), &Limits::default(), &Redaction::default())
            .is_ok()
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_object(&object(), &bytes, &Limits::default(), &Redaction::default());
    }

    #[test]
    fn no_json_like_text_panics(text in r#"([{}\[\],:"\\ \n]|"Records"|"eventID"|true|1|a){0,60}"#) {
        if let Ok(read) = read_object(&object(), text.as_bytes(), &Limits::default(), &Redaction::default()) {
            prop_assert_eq!(read.read, (read.batch.rows() + read.quarantined.len()) as u64);
        }
        let _ = Redaction::default().text(&text);
    }

    #[test]
    fn damage_anywhere_never_panics(at in 0usize..2000, byte in any::<u8>(), keep in 0usize..2000) {
        let mut bytes = records(&[event("a", json!({})).to_string(), event("b", json!({})).to_string()]).into_bytes();
        let (at, keep) = (at % bytes.len(), bytes.len() - keep % bytes.len());
        bytes[at] = byte;
        if let Ok(read) = read_object(&object(), &bytes[..keep], &Limits::default(), &Redaction::default()) {
            prop_assert_eq!(read.read, (read.batch.rows() + read.quarantined.len()) as u64);
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter(order in Just((0..16).collect::<Vec<usize>>()).prop_shuffle()) {
        let event = event("e", json!({}));
        let fields: BTreeMap<usize, String> = event.as_object().unwrap().iter().enumerate()
            .map(|(at, (key, value))| (order.get(at).copied().unwrap_or(at), format!("{}:{value}", json!(key)))).collect();
        let text = format!("{{{}}}", fields.into_values().collect::<Vec<_>>().join(","));
        let row = read_record(&text, &Limits::default(), &Redaction::default()).unwrap().view().to_json(0);
        prop_assert_eq!(row, columns(json!({})));
    }
}

fn conformance(path: &str) -> Option<PathBuf> {
    let Ok(root) = std::env::var("REMIT_CONFORMANCE") else {
        println!("skipped: REMIT_CONFORMANCE is not set");
        return None;
    };
    Some(PathBuf::from(root).join(path))
}

#[test]
fn every_recorded_attack_is_read() {
    let Some(path) = conformance("attacks/stratus_events.jsonl") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let events: Vec<String> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].to_string()).collect();
    let read = read(gzip(&records(&events)));
    assert_eq!(read.quarantined, []);
    assert_eq!(read.batch.rows(), events.len());
    let view = read.batch.view();
    for row in 0..view.rows() {
        let actor = view.actor(row);
        assert!(actor.is_some_and(|actor| !actor.contains("assumed-role")), "{}", view.to_json(row));
    }
}

#[test]
fn every_recorded_record_is_read_or_quarantined() {
    let Some(path) = conformance("records") else { return };
    for file in std::fs::read_dir(path).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let (mut rows, mut reasons) = (0, BTreeMap::new());
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let record = line.get("record").or(line.get("event")).unwrap_or(&line).to_string();
            match read_record(&record, &Limits::default(), &Redaction::default()) {
                Ok(batch) => rows += batch.rows(),
                Err(quarantined) => *reasons.entry(quarantined.reason).or_insert(0) += 1,
            }
        }
        println!("{}: {rows} rows, {reasons:?}", file.display());
    }
}
