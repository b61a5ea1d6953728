//! Runs the cases in `cases/*.jsonl`: a raw event, and what it must come to
//!
//! `{id, event, certain, possible, resources, context}`. `event` goes over [`base`]; a part that a case does not give is
//! not looked at. `context`: a text or a list, null for a key that is absent, `{"unknown": true}` for one that cannot be
//! known. It is that of the first permission, or of the one that `of` names.

use ingest::formats::cloudtrail::read_record;
use ingest::{Limits, Redaction};
use policy::context::Fact;
use serde_json::{Value, json};

use super::{Call, Facts};

const FILES: &[(&str, &str)] = &[
    ("permissions", include_str!("cases/permissions.jsonl")),
    ("resources", include_str!("cases/resources.jsonl")),
    ("context", include_str!("cases/context.jsonl")),
];

fn base() -> Value {
    json!({
        "eventVersion": "1.11", "eventID": "e", "eventTime": "2026-03-01T12:00:00Z", "eventType": "AwsApiCall",
        "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2", "tlsDetails": {"tlsVersion": "TLSv1.3"},
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:triage", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/support/triage", "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {
                "attributes": {"creationDate": "2026-03-01T11:30:00Z", "mfaAuthenticated": "false"},
                "sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE", "accountId": "111122223333",
                    "arn": "arn:aws:iam::111122223333:role/agents/support", "userName": "support"}
            }
        }
    })
}

fn texts(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> =
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    texts.sort();
    texts
}

fn wanted(value: &Value) -> Fact {
    match value {
        Value::Null => Fact::Absent,
        Value::String(one) => Fact::one(one),
        Value::Array(_) => Fact::Values(texts(value)),
        _ => Fact::Unknown,
    }
}

/// What is wrong with one case.
fn judge(case: &Value) -> Vec<String> {
    let mut event = base();
    for (key, value) in case["event"].as_object().unwrap() {
        event[key] = value.clone();
    }
    let batch = read_record(&event.to_string(), &Limits::default(), &Redaction::default()).unwrap();
    let call = Call::of(&batch.view(), 0);
    let facts = Facts::new(call.clone());
    let needed = facts.needed();
    let mut wrong = Vec::new();
    let mut compare = |what: &str, mut found: Vec<String>| {
        found.sort();
        found.dedup();
        if case.get(what).is_some_and(|wanted| texts(wanted) != found) {
            wrong.push(format!("{what}: {found:?}"));
        }
    };
    let names = |certain: bool| {
        needed.iter().filter(|one| one.certain == certain).map(|one| one.permission.clone()).collect()
    };
    compare("certain", names(true));
    compare("possible", names(false));
    let mark = |known: bool| if known { "" } else { "~" };
    let of = case["of"].as_str();
    let needed: Vec<_> = needed.into_iter().filter(|one| of.is_none_or(|of| one.permission == of)).collect();
    compare(
        "resources",
        needed
            .iter()
            .filter(|one| one.certain || of.is_some())
            .flat_map(|one| {
                one.resources.iter().map(move |arn| format!("{}{arn}", mark(one.resources_known)))
            })
            .collect(),
    );
    for (key, value) in case["context"].as_object().into_iter().flatten() {
        let mut found = facts.fact(&needed[0], key);
        if let Fact::Values(values) = &mut found {
            values.sort();
        }
        if found != wanted(value) {
            wrong.push(format!("{key}: {found:?}"));
        }
    }
    wrong
}

#[test]
fn every_case_comes_to_what_it_must() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (file, text) in FILES {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let case: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}"));
            count += 1;
            let found = judge(&case);
            if !found.is_empty() {
                wrong.push(format!("{file}/{}: {}", case["id"].as_str().unwrap(), found.join("; ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 120, "{count} cases");
}

/// Every real record that can be read has an answer to every key, and none panics.
#[test]
fn every_key_of_every_real_event_has_an_answer() {
    let Some(folder) = std::env::var_os("REMIT_CONFORMANCE").map(std::path::PathBuf::from) else {
        eprintln!("skipped: REMIT_CONFORMANCE is not set");
        return;
    };
    let (mut events, mut asked, mut unknown) = (0, 0, 0);
    let files = [
        "attacks/stratus_events.jsonl",
        "records/panther_aws_cloudtrail.jsonl",
        "records/plaso_aws_cloudtrail.jsonl",
    ];
    for file in files {
        for line in std::fs::read_to_string(folder.join(file)).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let Some(record) = line.get("event").or_else(|| line.get("record")) else { continue };
            let Ok(batch) = read_record(&record.to_string(), &Limits::default(), &Redaction::default())
            else {
                continue;
            };
            let call = Call::of(&batch.view(), 0);
            let facts = Facts::new(call.clone());
            events += 1;
            for needed in facts.needed() {
                for key in super::CALLER_KEYS {
                    asked += 1;
                    unknown += usize::from(facts.fact(&needed, key) == Fact::Unknown);
                }
                for key in [
                    "aws:RequestTag/a",
                    "aws:TagKeys",
                    "s3:prefix",
                    "kms:ViaService",
                    "iam:PassedToService",
                    "x",
                    ":",
                    "aws:/",
                ] {
                    let _ = facts.fact(&needed, key);
                }
                assert!(needed.alternatives().count() > 0);
            }
        }
    }
    eprintln!("{events} events: {unknown} of {asked} answers about the caller are unknown");
    assert!(events > 300 && unknown * 2 < asked);
}
