use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::object::{ReadObject, read_object, read_record};
use crate::redact::Redaction;
use crate::source::ObjectRef;

fn read(bytes: &[u8], limits: &Limits) -> ReadObject {
    let object =
        ObjectRef { source: "s".into(), bucket: "logs".into(), key: "a".into(), version: String::new() };
    read_object(&object, bytes, limits, &Redaction::default()).unwrap()
}

/// Rows without their place in the object, which an envelope may change.
fn rows(bytes: &[u8]) -> Vec<Value> {
    let read = read(bytes, &Limits::default());
    assert!(read.quarantined.is_empty(), "{:?}", read.quarantined);
    let view = read.batch.view();
    (0..read.batch.rows())
        .map(|row| {
            let mut row = view.to_json(row);
            row.as_object_mut().unwrap().remove("row");
            row
        })
        .collect()
}

fn reasons(read: &ReadObject) -> Vec<&'static str> {
    read.quarantined.iter().map(|bad| bad.reason).collect()
}

fn cloudtrail(id: &str) -> Value {
    json!({"eventVersion": "1.08", "eventID": id, "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann"},
        "requestParameters": {"key": "a \"quoted\" \u{e9} key"}})
}

fn activity(id: &str) -> Value {
    json!({"time": "2026-01-05T10:00:00Z", "resourceId": "/subscriptions/s/resourceGroups/g", "category": "Administrative",
        "operationName": "Microsoft.Resources/subscriptions/resourceGroups/delete", "resultType": "Success",
        "correlationId": id, "identity": {"claims": {"appid": "a9"}}})
}

fn audit(id: &str) -> Value {
    json!({"insertId": id, "timestamp": "2026-01-05T10:00:00Z", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "protoPayload": {"serviceName": "compute.googleapis.com", "methodName": "v1.compute.instances.delete",
            "authenticationInfo": {"principalEmail": "bot@p.iam.gserviceaccount.com"}}})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

/// Around records, one envelope of each kind.
fn wrapped(records: &[Value]) -> Vec<(&'static str, String)> {
    let each = |wrap: &dyn Fn(&Value) -> Value| records.iter().map(wrap).collect::<Vec<Value>>();
    let lines = |list: &[Value]| list.iter().map(|one| format!("{one}\n")).collect::<String>();
    let log_events = each(&|one| json!({"id": "1", "timestamp": 1, "message": one.to_string()}));
    let subscription =
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logEvents": log_events});
    let sent = base64(&gzip(subscription.to_string().as_bytes()));
    let plain = |one: &Value| base64(one.to_string().as_bytes());
    vec![
        ("a list", json!(records).to_string()),
        ("lines", lines(records)),
        ("Records", json!({"Records": records}).to_string()),
        ("records", json!({ "records": records }).to_string()),
        ("lines of lists", lines(&each(&|one| json!({"records": [one]})))),
        ("a list of lists", json!(each(&|one| json!({"records": [one]}))).to_string()),
        ("a page", json!({"value": records, "nextLink": "x"}).to_string()),
        ("entries", json!({"entries": records}).to_string()),
        ("EventBridge", lines(&each(&|one| json!({"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": one})))),
        ("CloudWatch Logs", subscription.to_string()),
        ("Lambda", json!({"awslogs": {"data": sent}}).to_string()),
        ("Kinesis", json!({"Records": [{"kinesis": {"data": sent}, "eventSource": "aws:kinesis"}]}).to_string()),
        ("Firehose", json!({"records": [{"recordId": "r", "data": sent}]}).to_string()),
        ("lookup-events", json!({"Events": each(&|one| json!({"EventId": "x", "EventName": "y", "CloudTrailEvent": one.to_string()}))}).to_string()),
        ("Lake", json!({"QueryResultRows": each(&|one| json!([{"eventJson": one.to_string()}]))}).to_string()),
        ("SQS", json!({"Records": each(&|one| json!({"messageId": "m", "body": one.to_string()}))}).to_string()),
        ("SNS in SQS", json!({"Records": each(&|one| json!({"messageId": "m",
            "body": json!({"Type": "Notification", "Message": one.to_string()}).to_string()}))}).to_string()),
        ("Pub/Sub pushed", lines(&each(&|one| json!({"message": {"data": plain(one), "messageId": "1"}, "subscription": "s"})))),
        ("Pub/Sub pulled", json!({"receivedMessages": each(&|one| json!({"ackId": "a", "message": {"data": plain(one)}}))}).to_string()),
        ("gcloud pull", json!(each(&|one| json!({"ackId": "a", "message": {"data": plain(one)}}))).to_string()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_record_is_the_same_row_in_any_envelope(
        kinds in prop::collection::vec((0..3u8, "[a-z]{1,8}"), 1..5),
        compressed: bool,
    ) {
        let make = |(index, (kind, id)): (usize, &(u8, String))| {
            let id = format!("{id}{index}");
            match kind { 0 => cloudtrail(&id), 1 => activity(&id), _ => audit(&id) }
        };
        let records: Vec<Value> = kinds.iter().enumerate().map(make).collect();
        let alone: Vec<Value> =
            records.iter().flat_map(|record| rows(record.to_string().as_bytes())).collect();
        prop_assert_eq!(alone.len(), records.len());
        for (name, text) in wrapped(&records) {
            let bytes = if compressed { gzip(text.as_bytes()) } else { text.into_bytes() };
            prop_assert_eq!(rows(&bytes), alone.clone(), "{}", name);
        }
    }

    #[test]
    fn no_text_panics_and_every_record_is_accounted_for(
        key in prop::sample::select(vec!["message", "data", "detail", "Records", "protoPayload", "identity", "logEvents",
            "CloudTrailEvent", "authorization", "properties", "kinesis", "awslogs", "body", "Type"]),
        value in "[\\[\\]{}\":,a-zA-Z0-9=\\\\]{0,60}",
    ) {
        for text in [
            format!("{{\"{key}\":{value}}}"),
            format!("{{\"messageId\":\"m\",\"operationName\":\"a\",\"category\":\"b\",\"{key}\":\"{value}\"}}"),
            format!("{{\"{key}\":{{\"data\":\"{value}\",\"{key}\":[{{\"{value}\":1}}]}}}}"),
        ] {
            let read = read(text.as_bytes(), &Limits::default());
            prop_assert_eq!(read.read, read.batch.rows() as u64 + read.quarantined.len() as u64);
        }
    }
}

#[test]
fn one_file_may_hold_records_of_three_clouds() {
    let text = format!("{}\n{}\n{{\"who\":\"knows\"}}\n{}\n", cloudtrail("1"), activity("2"), audit("3"));
    let read = read(text.as_bytes(), &Limits::default());
    let view = read.batch.view();
    let providers: Vec<_> = (0..3).map(|row| view.provider(row).unwrap()).collect();
    assert_eq!(providers, ["aws", "azure", "gcp"]);
    assert_eq!((0..3).map(|row| view.row(row).unwrap()).collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!((reasons(&read), read.read), (vec![reason::UNKNOWN_FORMAT], 4));
}

#[test]
fn a_broken_record_in_an_envelope_leaves_its_neighbours() {
    let message = |text: &str| json!({"id": "1", "timestamp": 1, "message": text});
    let text = json!({"messageType": "DATA_MESSAGE", "logEvents": [
        message(&cloudtrail("1").to_string()), message("{\"eventID\":"), message("plain words"),
        message(&cloudtrail("2").to_string())]});
    let read = read(text.to_string().as_bytes(), &Limits::default());
    assert_eq!((read.batch.rows(), reasons(&read)), (2, vec![reason::BAD_JSON, reason::BAD_JSON]));
}

#[test]
fn messages_of_the_bus_itself_are_no_records() {
    let control = json!({"messageType": "CONTROL_MESSAGE", "logEvents": [
        {"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose."}]});
    let read = read(control.to_string().as_bytes(), &Limits::default());
    assert_eq!((read.read, read.ignored), (0, Some("empty")));
}

#[test]
fn envelopes_end_at_the_third() {
    let sns = |inner: String| json!({"Type": "Notification", "Message": inner}).to_string();
    let mut text = cloudtrail("1").to_string();
    for _ in 0..3 {
        text = sns(text);
    }
    assert_eq!(rows(text.as_bytes()).len(), 1);
    let read = read(sns(text).as_bytes(), &Limits::default());
    assert_eq!((read.batch.rows(), reasons(&read)), (0, vec![reason::TOO_DEEP]));
}

#[test]
fn a_bomb_in_an_envelope_is_one() {
    let bomb = base64(&gzip(&vec![b' '; 32 << 20]));
    let text = json!({"Records": [{"kinesis": {"data": bomb}}, cloudtrail("1")]}).to_string();
    let found = read(text.as_bytes(), &Limits::default());
    assert_eq!((found.batch.rows(), reasons(&found)), (1, vec![reason::GZIP_RATIO]));
    let limits = Limits { inflated_bytes_max: 3 << 20, ratio_max: 10_000, ..Limits::default() };
    let found = read(text.as_bytes(), &limits);
    assert_eq!((found.batch.rows(), reasons(&found)), (1, vec![reason::INFLATED_TOO_BIG]));
    let torn = &gzip(b"{}")[..12];
    let text = json!({"Records": [{"kinesis": {"data": base64(torn)}}]}).to_string();
    assert_eq!(reasons(&read(text.as_bytes(), &Limits::default())), [reason::GZIP_TRUNCATED]);
}

#[test]
fn envelopes_count_towards_the_records_of_an_object() {
    let limits = Limits { records_max: 2, ..Limits::default() };
    let list: Vec<Value> = (0..4).map(|id| cloudtrail(&id.to_string())).collect();
    let text = json!({"Type": "Notification", "Message": json!(list).to_string()}).to_string();
    let read = read(text.as_bytes(), &limits);
    assert_eq!((read.batch.rows(), reasons(&read)), (2, vec![reason::TOO_MANY_RECORDS]));
}

#[test]
fn an_event_without_an_id_has_one_of_its_own_however_it_is_indented() {
    let mut record = audit("x");
    record.as_object_mut().unwrap().remove("insertId");
    let id = |text: &str| rows(text.as_bytes())[0]["event_id"].clone();
    let plain = id(&record.to_string());
    assert_eq!(plain, id(&serde_json::to_string_pretty(&record).unwrap()));
    record["severity"] = "NOTICE".into();
    assert_ne!(plain, id(&record.to_string()));
}

#[test]
fn other_logs_are_told_as_such() {
    for other in [
        json!({"bucket": "b", "remoteip": "203.0.113.9", "operation": "REST.GET.OBJECT"}),
        json!({"schemaType": "ModelInvocationLog", "modelId": "m", "operation": "InvokeModel"}),
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "get"}),
    ] {
        let refused = read_record(&other.to_string(), &Limits::default(), &Redaction::default()).unwrap_err();
        assert_eq!(refused.reason, reason::UNKNOWN_FORMAT, "{other}");
    }
    let cut = json!({"eventName": "GetObject", "awsRegion": "eu-west-1"});
    let refused = read_record(&cut.to_string(), &Limits::default(), &Redaction::default()).unwrap_err();
    assert_eq!(refused.reason, reason::MISSING_FIELD, "CloudTrail's, and not whole");
}

fn conformance(path: &str) -> Option<PathBuf> {
    let Ok(root) = std::env::var("REMIT_CONFORMANCE") else {
        println!("skipped: REMIT_CONFORMANCE is not set");
        return None;
    };
    Some(PathBuf::from(root).join(path))
}

/// The records of one line: `{id, record}`, `{name, event}` (one or a list), or the record itself.
fn records_of(line: &Value) -> Vec<(String, Value)> {
    let id = line.get("id").or(line.get("name")).and_then(Value::as_str).unwrap_or("bare").to_owned();
    let record = line.get("record").or(line.get("event").filter(|_| line.get("name").is_some()));
    match record.unwrap_or(line) {
        Value::Array(list) => list.iter().map(|one| (id.clone(), one.clone())).collect(),
        one => vec![(id, one.clone())],
    }
}

/// Whether a record lacks on purpose what no event is without, or is of another log.
fn is_cut_down(record: &Value, reason: &str) -> bool {
    let has =
        |keys: &[&str]| keys.iter().any(|key| record.pointer(key).is_some_and(|value| !value.is_null()));
    let timed = has(&[
        "/time",
        "/timestamp",
        "/receiveTimestamp",
        "/receivetimestamp",
        "/eventTime",
        "/p_event_time",
        "/eventTimestamp",
        "/event_timestamp",
    ]);
    let payload = record.get("protoPayload").or(record.get("protopayload"));
    match (reason, payload) {
        (reason::UNKNOWN_FORMAT, None) => {
            !has(&["/operationName", "/operation_name"]) || record.get("resourceId").is_none()
        }
        (reason::MISSING_FIELD, Some(payload)) => {
            let whole = ["methodName", "serviceName"].iter().all(|key| payload.get(key).is_some());
            !timed || !whole
        }
        (reason::MISSING_FIELD, None) => {
            let is_event =
                ["/eventID", "/eventSource", "/eventName", "/eventTime"].iter().all(|key| has(&[key]));
            !is_event && (!timed || !has(&["/operationName", "/operation_name"]))
        }
        // Two whose times were struck out, and one whose lists were printed by Python.
        (reason::BAD_TIME | reason::WRONG_TYPE, _) => true,
        _ => false,
    }
}

#[test]
fn published_records_are_read() {
    let Some(folder) = conformance("records") else { return };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "jsonl")) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            for (id, record) in records_of(&serde_json::from_str(line).unwrap()) {
                let read = read_record(&record.to_string(), &Limits::default(), &Redaction::default());
                let what = match &read {
                    Ok(batch) => batch.view().provider(0).unwrap_or("nothing"),
                    Err(bad) => {
                        assert!(
                            is_cut_down(&record, bad.reason),
                            "{id}: {} {}: {record}",
                            bad.reason,
                            bad.detail
                        );
                        bad.reason
                    }
                };
                *counts.entry(what.to_owned()).or_default() += 1;
            }
        }
        println!("{}: {counts:?}", file.file_name().unwrap().to_string_lossy());
    }
}
