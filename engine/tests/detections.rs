//! Every detection fires on each line of its `fires.jsonl` and stays quiet on each of its `quiet.jsonl`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story that cannot go on fails"
)]

use engine::baseline::{ANY_PERMISSION, Baseline, BaselineDelta, BaselineRule};
use engine::calls::{BUILT, COLUMNS, Rules};
use engine::detection::{self, Detection};
use engine::grant::Grants;
use engine::judge::{Judge, Plans};
use engine::manifest::Manifests;
use engine::time::DAY;
use ingest::{EventBatch, Limits, ObjectReader, ObjectRef, ReadOptions, Redaction, Room};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ACCOUNT: &str = "111122223333";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("detections")
}

/// The whole record of a line: its `event` over a plain call by its `actor` (support-bot by default).
fn record(line: &Value) -> Value {
    let actor = line["actor"].as_str().unwrap_or("role/support-bot");
    let (kind, name) = actor.split_once('/').expect("an actor is role/NAME or user/NAME");
    let identity = match kind {
        "role" => json!({
            "type": "AssumedRole",
            "principalId": format!("AROAEXAMPLE:{name}-task-1"),
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/task-1"),
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAEXAMPLE000000001",
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": "AROAEXAMPLE", "userName": name, "accountId": ACCOUNT,
                "arn": format!("arn:aws:iam::{ACCOUNT}:role/agents/{name}"),
            }},
        }),
        _ => json!({
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "userName": name, "accountId": ACCOUNT,
            "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        }),
    };
    let mut record = json!({
        "eventVersion": "1.11", "eventID": "e-1", "eventTime": "2026-11-03T14:02:11Z", "eventType": "AwsApiCall",
        "eventCategory": "Management", "awsRegion": "eu-west-1", "recipientAccountId": ACCOUNT,
        "sourceIPAddress": "203.0.113.7", "userAgent": "Boto3/1.40", "userIdentity": identity,
    });
    merge(&mut record, &line["event"]);
    record
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn events(line: &Value) -> EventBatch {
    ingest::formats::cloudtrail::read_record(
        &record(line).to_string(),
        &Limits::default(),
        &Redaction::default(),
    )
    .unwrap_or_else(|q| panic!("{}: {q:?}", line["story"]))
}

/// The same, as a service reads it: most columns are only looked up.
fn looked_up(line: &Value) -> EventBatch {
    let (limits, redaction) = (Limits::default(), Redaction::default());
    let options =
        ReadOptions { built: Some(BUILT), ..ReadOptions::new(&limits, &redaction).columns(COLUMNS) };
    let object = ObjectRef {
        source: String::new(),
        bucket: String::new(),
        key: "one.json".to_owned(),
        version: String::new(),
    };
    let (text, mut room) = (record(line).to_string(), Room::default());
    let mut reader = ObjectReader::open(&object, text.as_bytes(), options, &mut room).unwrap();
    reader.next().unwrap().expect("a record").batch
}

fn rules(line: &Value, batch: &EventBatch) -> Arc<Rules> {
    let manifests = Manifests::load(&folder().join("company"), chrono::DateTime::UNIX_EPOCH).unwrap();
    let baseline = Baseline::new(BaselineRule::default());
    let view = batch.view();
    let mut delta = BaselineDelta::default();
    for back in 1..=line["history"]["active_days"].as_i64().unwrap_or(0) {
        let time = view.time(0).unwrap() - back * DAY;
        let actor = view.actor(0).unwrap();
        delta.used(actor, ANY_PERMISSION, time);
        for used in line["history"]["used"].as_array().unwrap() {
            delta.used(actor, used.as_str().unwrap(), time);
        }
    }
    baseline.apply(&delta);
    Arc::new(Rules { manifests: manifests.into(), grants: Grants::default(), baseline })
}

fn lines(name: &str, file: &str) -> Vec<Value> {
    let path = folder().join(name).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}/{file}: {e}: {line}")))
        .collect()
}

fn plans(detections: &[Detection]) -> Arc<Plans> {
    Arc::new(Plans::new(detections).unwrap())
}

#[tokio::test]
async fn a_call_is_judged_alike_whether_its_columns_are_built_or_looked_up() {
    let detections = detection::built_in().unwrap();
    let mut found = 0;
    for detection in &detections {
        let plans = plans(std::slice::from_ref(detection));
        for line in lines(&detection.name, "fires.jsonl").iter().chain(&lines(&detection.name, "quiet.jsonl"))
        {
            let batch = events(line);
            let mut judged = Vec::new();
            for batch in [&batch, &looked_up(line), &looked_up(line).whole()] {
                let mut judge = Judge::new(rules(line, batch), plans.clone());
                judged.push(judge.judge(batch).await.unwrap());
            }
            let told = |judged: &engine::judge::Judged| {
                let calls = &judged.calls;
                format!("{:?} {:?} {:?} {:?}", judged.findings, calls.baseline, calls.measures, calls.issued)
            };
            assert_eq!(told(&judged[1]), told(&judged[0]), "{}", line["story"]);
            assert_eq!(told(&judged[2]), told(&judged[0]), "{}", line["story"]);
            found += judged[0].findings.len();
        }
    }
    assert!(found >= detections.len(), "{found}");
}

#[tokio::test]
async fn each_detection_fires_and_stays_quiet_as_its_stories_say() {
    for detection in detection::built_in().unwrap() {
        let (fires, quiet) = (lines(&detection.name, "fires.jsonl"), lines(&detection.name, "quiet.jsonl"));
        assert!(
            !fires.is_empty() && quiet.len() >= 2,
            "{}: at least one hit and two near-misses",
            detection.name
        );
        let asked = plans(std::slice::from_ref(&detection));
        // The same question as a plan that cannot be run expression by expression.
        let sql = format!("SELECT * FROM (\n{}\n) ORDER BY call", detection.sql);
        let sorted = plans(&[Detection { sql, ..detection.clone() }]);
        for (line, should_fire) in fires.iter().map(|l| (l, true)).chain(quiet.iter().map(|l| (l, false))) {
            let story = format!(
                "{} {}: {}",
                detection.id,
                if should_fire { "fires" } else { "quiet" },
                line["story"]
            );
            let batch = events(line);
            let mut judge = Judge::new(rules(line, &batch), asked.clone());
            let judged = judge.judge(&batch).await.unwrap();
            let mut slow = Judge::new(rules(line, &batch), sorted.clone());
            assert_eq!(judged.findings, slow.judge(&batch).await.unwrap().findings, "{story}");
            assert_eq!(judged.findings.len(), usize::from(should_fire), "{story}: {:#?}", judged.findings);
            for finding in &judged.findings {
                assert_eq!(finding.severity.as_str(), line["severity"], "{story}");
                assert!(!finding.title.is_empty() && !finding.why.is_empty(), "{story}");
            }
        }
    }
}

#[tokio::test]
async fn judges_that_share_a_plan_see_their_own_batches_only() {
    let detection =
        detection::built_in().unwrap().into_iter().find(|one| one.name == "undeclared_permission");
    let detection = detection.unwrap();
    let sql = format!("SELECT * FROM (\n{}\n) ORDER BY call", detection.sql);
    let plans = plans(&[Detection { sql, ..detection }]);
    let (fires, quiet) = (
        &lines("undeclared_permission", "fires.jsonl")[0],
        &lines("undeclared_permission", "quiet.jsonl")[0],
    );
    let (of_fires, of_quiet) = (events(fires), events(quiet));
    let mut judge = Judge::new(rules(fires, &of_fires), plans.clone());
    let mut other = Judge::new(rules(quiet, &of_quiet), plans);
    for _ in 0..3 {
        let (judged, calm) = tokio::join!(judge.judge(&of_fires), other.judge(&of_quiet));
        assert_eq!((judged.unwrap().findings.len(), calm.unwrap().findings.len()), (1, 0));
    }
}

#[tokio::test]
async fn a_judge_can_be_asked_again_and_forgets_the_last_batch() {
    let line = &lines("undeclared_permission", "fires.jsonl")[0];
    let batch = events(line);
    let mut judge = Judge::new(rules(line, &batch), plans(&detection::built_in().unwrap()));
    let first = judge.judge(&batch).await.unwrap().findings;
    let nothing = judge.judge(&EventBatch::empty()).await.unwrap().findings;
    let second = judge.judge(&batch).await.unwrap().findings;
    assert!(nothing.is_empty());
    assert_eq!(first, second);
}

#[tokio::test]
async fn what_a_service_did_on_the_agents_behalf_is_not_its_own_use() {
    let call = |invoked_by: Option<&str>| {
        let mut line = json!({"event": {"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"}});
        if let Some(service) = invoked_by {
            line["event"]["userIdentity"] = json!({"invokedBy": service});
        }
        line
    };
    for (line, key) in
        [(call(None), "s3:ListAllMyBuckets"), (call(Some("athena.amazonaws.com")), "~s3:ListAllMyBuckets")]
    {
        let batch = events(&line);
        let mut judge = Judge::new(rules(&line, &batch), plans(&[]));
        let uses = judge.judge(&batch).await.unwrap().calls.baseline.uses;
        let used: Vec<&str> = uses.keys().map(|(_, permission, _)| &**permission).collect();
        assert_eq!(used, ["*", key], "it is kept, and kept apart");
    }
}

#[tokio::test]
async fn an_approved_call_is_in_scope_by_the_ticket_in_its_sessions_name() {
    let line = &lines("unapproved_call", "quiet.jsonl")[0];
    let batch = events(line);
    let mut judge = Judge::new(rules(line, &batch), plans(&[])).keeping_rows();
    let calls = judge.judge(&batch).await.unwrap().calls;
    let scope = calls.rows[0].answer.as_ref().unwrap().scope.clone().unwrap();
    assert_eq!(scope.reason.as_str(), "approved", "{scope:?}");
}
