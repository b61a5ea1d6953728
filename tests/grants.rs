//! What policies grant changes while the logs flow: each call is held against what held at its own time.

use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::records::{Record, role};
use crate::support::remit::{Service, remit};
use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const POLICY: &str = "arn:aws:iam::111122223333:policy/orders";

fn start() -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

fn document(action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
        .to_string()
}

fn by_admin(operation: &str, parameters: Value) -> Record {
    Record::of_user("admin", operation).request(parameters)
}

/// The grant of each event, by its id.
fn grants(folder: &Folder) -> BTreeMap<String, String> {
    let replay = [
        "replay",
        "logs",
        "--agents",
        "agents",
        "--policies",
        "policies",
        "--calls",
        "calls.ndjson",
        "--output",
        "ndjson",
    ];
    remit(folder.path(), &replay).expect(0);
    let lines = folder.read("calls.ndjson");
    let line = |line: &str| -> (String, String) {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or("none").to_owned();
        (text("event_id"), text("grant"))
    };
    lines.lines().map(line).collect()
}

#[test]
fn a_policy_change_counts_from_its_own_time_on_whatever_the_order_of_the_files() {
    let at = |minutes| start() + TimeDelta::minutes(minutes);
    let get = |number: usize, minutes| {
        Record::of_agent("bee", "s3:GetObject").object("acme", "k").number(number).at(at(minutes))
    };
    let role_change = |operation: &str, number: usize, minutes, document: Option<String>| {
        let parameters = json!({"roleName": "bee", "policyName": "reading", "policyDocument": document});
        by_admin(operation, parameters).number(number).at(at(minutes))
    };
    let files = [
        vec![get(1, 0), get(2, 20)],
        vec![role_change("iam:PutRolePolicy", 3, 10, Some(document("s3:Get*")))],
        vec![get(4, 30), role_change("iam:DeleteRolePolicy", 5, 25, None)],
    ];
    let expected = [(1, "denied"), (2, "allowed"), (4, "denied")];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let folder = Folder::new();
        folder.agent("bee", &[("s3:GetObject", "*")]);
        folder.write("policies/bee.json", document("ec2:Describe*"));
        for (place, file) in order.into_iter().enumerate() {
            folder.log(&format!("logs/{place}.json.gz"), &files[file]);
        }
        let grants = grants(&folder);
        for (number, grant) in expected {
            assert_eq!(
                grants[&format!("00000000-0000-4000-8000-{number:012}")],
                grant,
                "{number} in order {order:?}"
            );
        }
    }
}

#[test]
fn the_policy_of_a_session_narrows_its_calls_and_no_others() {
    let session = |number: usize, key: &str| {
        let mut record =
            Record::of_agent("bee", "s3:GetObject").object("acme", "k").number(number).at(start());
        record.0["userIdentity"]["accessKeyId"] = json!(key);
        record
    };
    let assume = by_admin(
        "sts:AssumeRole",
        json!({"roleArn": role("bee"), "roleSessionName": "run-1", "policy": document("ec2:*")}),
    )
    .set("responseElements", json!({"credentials": {"accessKeyId": "ASIANARROW0000000001"}}))
    .number(9)
    .at(start() - TimeDelta::minutes(1));
    let folder = Folder::new();
    folder.agent("bee", &[("s3:GetObject", "*")]);
    folder.write("policies/bee.json", document("*"));
    folder.log("logs/1.json.gz", &[session(1, "ASIANARROW0000000001"), session(2, "ASIAWIDE00000000002")]);
    folder.log("logs/2.json.gz", &[assume]);
    let grants = grants(&folder);
    let grant = |number: usize| grants[&format!("00000000-0000-4000-8000-{number:012}")].as_str();
    assert_eq!((grant(1), grant(2)), ("denied", "allowed"));
}

#[test]
fn a_policy_change_that_arrives_late_has_what_it_touches_judged_again() {
    let folder = Folder::new();
    folder.agent("bee", &[("iam:CreatePolicyVersion", POLICY)]);
    folder.write("logs/.keep", "");
    let port = folder.configure(&Config::default().directory("logs", true));
    let service = Service::run(folder.path(), port);
    let own_policy_findings = || -> Vec<String> {
        let listed = remit(folder.path(), &["findings", "list", "--detection", "PR01", "--output", "json"])
            .expect(0)
            .json();
        let findings = listed["findings"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| listed.as_array().cloned().unwrap_or_default());
        findings.iter().filter_map(|finding| finding["state"].as_str().map(str::to_owned)).collect()
    };
    let judged = |files: f64| {
        eventually("the file is judged", Duration::from_secs(30), || {
            service.metric("remit_objects_total", &["outcome=\"done\""]) >= files
        });
    };
    let change = Record::of_agent("bee", "iam:CreatePolicyVersion")
        .request(json!({"policyArn": POLICY, "policyDocument": document("*"), "setAsDefault": true}))
        .set("responseElements", json!({"policyVersion": {"versionId": "v2", "isDefaultVersion": true}}));
    folder.log("logs/1.json.gz", &[change.number(1).minutes_ago(10)]);
    judged(1.0);
    assert!(own_policy_findings().is_empty(), "nothing tells that the policy is the agent's own");

    // Attached twenty minutes ago, delivered only now: the agent edited a policy of its own.
    let attached = |operation: &str| by_admin(operation, json!({"roleName": "bee", "policyArn": POLICY}));
    folder.log("logs/2.json.gz", &[attached("iam:AttachRolePolicy").number(2).minutes_ago(20)]);
    judged(2.0);
    eventually("the call is judged again", Duration::from_secs(30), || own_policy_findings() == ["open"]);

    // Detached fifteen minutes ago: it was not its own any more.
    folder.log("logs/3.json.gz", &[attached("iam:DetachRolePolicy").number(3).minutes_ago(15)]);
    judged(3.0);
    eventually("the finding is superseded", Duration::from_secs(30), || own_policy_findings().is_empty());
}

#[test]
fn a_manifest_counts_from_its_commit_on() {
    let folder = Folder::new();
    let git = |arguments: &[&str], hours_ago: i64| {
        let when = (Utc::now() - TimeDelta::hours(hours_ago)).to_rfc3339();
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_COMMITTER_DATE", &when)
            .env("GIT_AUTHOR_DATE", &when)
            .current_dir(folder.path().join("agents"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"], 0);
    for (action, hours_ago) in [("s3:PutObject", 30), ("s3:GetObject", 20)] {
        folder.agent("bee", &[(action, "*")]);
        git(&["add", "-A"], 0);
        git(&["commit", "-q", "-m", action], hours_ago);
    }
    let get = |number: usize, hours_ago: i64| {
        Record::of_agent("bee", "s3:GetObject").object("acme", "k").number(number).minutes_ago(hours_ago * 60)
    };
    folder.log("logs/1.json.gz", &[get(1, 40), get(2, 25), get(3, 10)]);
    let replay = ["replay", "logs", "--agents", "agents", "--calls", "calls.ndjson", "--output", "ndjson"];
    remit(folder.path(), &replay).expect(0);
    let calls = folder.read("calls.ndjson");
    let verdicts: Vec<Value> =
        calls.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["verdict"].clone()).collect();
    assert_eq!(
        verdicts,
        ["out", "out", "in"],
        "what is older than the first commit is held against that one"
    );
}

#[test]
fn a_condition_is_judged_by_what_the_event_shows() {
    let folder = Folder::new();
    folder.agent("bee", &[("s3:GetObject", "*")]);
    let condition = json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}});
    let statement = json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*", "Condition": condition});
    folder.write("policies/bee.json", json!({"Version": "2012-10-17", "Statement": statement}).to_string());
    let get = |number: usize, address: &str| {
        Record::of_agent("bee", "s3:GetObject")
            .object("acme", "k")
            .number(number)
            .set("sourceIPAddress", json!(address))
    };
    folder.log(
        "logs/1.json.gz",
        &[get(1, "203.0.113.24"), get(2, "198.51.100.7"), get(3, "athena.amazonaws.com")],
    );
    let grants = grants(&folder);
    let grant = |number: usize| grants[&format!("00000000-0000-4000-8000-{number:012}")].as_str();
    assert_eq!([1, 2, 3].map(grant), ["allowed", "denied", "unknown"]);
}

#[test]
fn in_whatever_order_changes_and_calls_arrive_the_findings_are_those_of_the_right_order() {
    let mut dice = ChaCha8Rng::seed_from_u64(11);
    let record = |dice: &mut ChaCha8Rng, number: usize| {
        let record = if number.is_multiple_of(3) {
            let operation = ["iam:AttachRolePolicy", "iam:DetachRolePolicy"][dice.random_range(0..2)];
            by_admin(operation, json!({"roleName": "bee", "policyArn": POLICY}))
        } else {
            Record::of_agent("bee", "iam:CreatePolicyVersion")
                .request(
                    json!({"policyArn": POLICY, "policyDocument": document("s3:*"), "setAsDefault": false}),
                )
                .set(
                    "responseElements",
                    json!({"policyVersion": {"versionId": format!("v{number}"), "isDefaultVersion": false}}),
                )
        };
        record.number(number).minutes_ago(dice.random_range(1..300))
    };
    let records: Vec<Record> = (0..60).map(|number| record(&mut dice, number)).collect();
    let folder = Folder::new();
    folder.agent("bee", &[("iam:CreatePolicyVersion", POLICY)]);
    folder.write("policies/bee.json", document("iam:*"));
    folder.write("logs/.keep", "");
    let port = folder.configure(&Config::default().directory("logs", true));
    let service = Service::run(folder.path(), port);
    let files = records.chunks(5);
    let count = files.len() as f64;
    for (number, records) in files.enumerate() {
        folder.log(&format!("logs/{number}.json.gz"), records);
        std::thread::sleep(Duration::from_millis(dice.random_range(0..400)));
    }
    eventually("all files are judged", Duration::from_secs(60), || {
        service.metric("remit_objects_total", &["outcome=\"done\""]) >= count
    });
    let told = |lines: Vec<Value>| -> BTreeMap<String, String> {
        let keys = ["detection", "subject", "count", "first_seen", "last_seen", "events"];
        let essence = |finding: &Value| keys.map(|key| finding[key].to_string()).join(" ");
        lines
            .iter()
            .filter(|one| one["id"].is_string())
            .map(|one| (one["id"].to_string(), essence(one)))
            .collect()
    };
    let replay = ["replay", "logs", "--agents", "agents", "--policies", "policies", "--output", "ndjson"];
    let expected = told(remit(folder.path(), &replay).expect(0).lines());
    assert!(expected.values().any(|finding| finding.contains("PR01")), "{expected:?}");
    let found = || told(remit(folder.path(), &["findings", "list", "--output", "ndjson"]).expect(0).lines());
    eventually("the findings are those of the right order", Duration::from_secs(30), || found() == expected);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(found(), expected);
}
