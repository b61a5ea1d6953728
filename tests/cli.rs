//! The command line keeps its manners: data on standard output, messages on standard error, a code that says how
//! it ended.

use crate::support::conformance;
use crate::support::folder::{Config, Folder};
use crate::support::records::{self, Record};
use crate::support::remit::{Finished, remit, run};
use serde_json::{Value, json};

/// A folder with a log of one deletion out of scope, and one call within.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "arn:aws:s3:::acme-tickets/*")]);
    folder.log(
        "logs/1.json.gz",
        &[
            Record::of_agent("ant", "s3:DeleteObject").object("acme-tickets", "k").number(1),
            Record::of_agent("ant", "s3:GetObject").object("acme-tickets", "k").number(2),
        ],
    );
    folder
}

fn replay(folder: &Folder, more: &[&str]) -> Finished {
    remit(folder.path(), &[&["replay", "logs", "--agents", "agents"], more].concat())
}

#[test]
fn help_and_version_are_data() {
    let folder = Folder::new();
    let help = remit(folder.path(), &["--help"]).expect(0);
    for word in
        ["demo", "run", "replay", "report", "findings", "silence", "validate", "Exit codes", "NO_COLOR"]
    {
        assert!(help.stdout.contains(word), "{word}");
    }
    let version = remit(folder.path(), &["--version"]).expect(0);
    assert_eq!(version.stdout.trim(), concat!("remit ", env!("CARGO_PKG_VERSION")));
    assert_eq!((help.stderr, version.stderr), (String::new(), String::new()));
}

#[test]
fn the_exit_code_says_how_it_ended() {
    let folder = folder();
    replay(&folder, &[]).expect(0);
    replay(&folder, &["--fail-on", "critical"]).expect(1);
    folder.log(
        "logs/quiet/1.json.gz",
        &[Record::of_agent("ant", "s3:GetObject").object("acme-tickets", "k").number(3)],
    );
    remit(folder.path(), &["replay", "logs/quiet", "--agents", "agents", "--fail-on", "info"]).expect(0);

    remit(folder.path(), &["replay"]).expect(2);
    remit(folder.path(), &["no-such-command"]).expect(2);
    replay(&folder, &["--fail-on", "dreadful"]).expect(2);
    remit(folder.path(), &["replay", "no-such-folder"]).expect(3);
    replay(&folder, &["--calls", "no-such-folder/calls.jsonl"]).expect(3);

    folder.write("logs/rubbish.json.gz", "rubbish");
    let incomplete = replay(&folder, &["--output", "ndjson"]).expect(4);
    assert!(
        incomplete.lines().iter().any(|line| line["detection"] == "DS01"),
        "what could be read is judged"
    );
}

#[test]
fn data_is_on_stdout_and_has_no_colour_in_a_pipe() {
    let folder = folder();
    let lines = replay(&folder, &["--output", "ndjson"]).expect(0).lines();
    assert!(lines.last().unwrap()["summary"]["read"] == 2, "the summary is the last line");
    assert!(replay(&folder, &["--output", "json"]).expect(0).json().is_object());
    for environment in [&[][..], &[("NO_COLOR", "1")], &[("CLICOLOR_FORCE", "0"), ("TERM", "xterm-256color")]]
    {
        let table = run(folder.path(), &["replay", "logs", "--agents", "agents"], "", environment).expect(0);
        assert!(table.stdout.contains("s3:DeleteObject") && table.stdout.contains("ant"), "{}", table.stdout);
        assert!(!table.stdout.contains('\u{1b}') && !table.stderr.contains('\u{1b}'), "no escapes in a pipe");
    }
}

#[test]
fn a_calls_file_has_a_line_for_each_event() {
    let folder = folder();
    replay(&folder, &["--calls", "calls.jsonl", "--output", "ndjson"]).expect(0);
    let text = folder.read("calls.jsonl");
    let calls: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdict = |operation: &str| {
        let call = calls.iter().find(|call| call["permissions"].to_string().contains(operation)).unwrap();
        (call["agent"].clone(), call["verdict"].clone())
    };
    assert_eq!(calls.len(), 2);
    assert_eq!(verdict("s3:DeleteObject"), ("ant".into(), "out".into()));
    assert_eq!(verdict("s3:GetObject"), ("ant".into(), "in".into()));
}

#[test]
fn schemas_and_completions_are_complete() {
    let folder = Folder::new();
    let agent = remit(folder.path(), &["config", "schema", "agent"]).expect(0).json().to_string();
    for word in ["$schema", "identities", "allow", "deny", "aws.role"] {
        assert!(agent.contains(word), "{word}");
    }
    let config = remit(folder.path(), &["config", "schema", "config"]).expect(0).json().to_string();
    for word in ["sources", "alert_max_age", "receivers"] {
        assert!(config.contains(word), "{word}");
    }
    let completions = remit(folder.path(), &["completions", "bash"]).expect(0).stdout;
    assert!(completions.contains("complete ") && completions.contains("replay"));
    let dashed = run(folder.path(), &["completions", "tcsh"], "", &[]).expect(2);
    assert!(dashed.stderr.contains("bash"), "{}", dashed.stderr);
}

#[test]
fn a_scope_explains_itself() {
    let folder = folder();
    folder.configure(&Config::default().directory("logs", false));
    let explain = |permission: &str, resource: &str| {
        remit(folder.path(), &["scope", "explain", "ant", permission, resource, "-c", "remit.toml"])
    };
    let within = explain("s3:GetObject", "arn:aws:s3:::acme-tickets/k").expect(0).stdout;
    assert!(within.contains("ant.yaml") && within.contains(" in"), "{within}");
    let elsewhere = explain("s3:GetObject", "arn:aws:s3:::acme-invoices/k").expect(1).stdout;
    assert!(elsewhere.contains(" out"), "{elsewhere}");
    explain("GetObject", "*").expect(2);
    let unknown =
        remit(folder.path(), &["scope", "explain", "bee", "s3:GetObject", "*", "-c", "remit.toml"]).expect(2);
    assert!(unknown.stderr.contains("ant"), "it says who is known: {}", unknown.stderr);
}

/// Asks a tool; a bad line stands between the good ones.
fn ask(tool: &[&str], questions: &[Value]) -> Vec<Value> {
    let mut input = String::from("{\"id\": \"torn\", \n");
    for question in questions {
        input += &format!("{question}\n");
    }
    input += "\n[1]\n";
    let folder = Folder::new();
    let answers = run(folder.path(), &[&["tool"], tool].concat(), &input, &[]).expect(0).lines();
    assert_eq!(answers.len(), questions.len() + 2, "one line for each: {answers:#?}");
    assert_eq!(answers.iter().filter(|answer| answer["error"].is_string()).count(), 2);
    let answer =
        |question: &Value| answers.iter().find(|answer| answer["id"] == question["id"]).unwrap().clone();
    questions.iter().map(answer).collect()
}

#[test]
fn tools_answer_each_line() {
    let record = Record::of_agent("ant", "s3:DeleteObject").object("acme-tickets", "k").0;
    let events = ask(&["events"], &[json!({"id": 1, "record": record})]);
    assert_eq!(events[0]["event"]["operation"], "DeleteObject");
    assert_eq!(events[0]["event"]["actor"], records::role("ant"));

    let permissions = ask(&["permissions"], &[json!({"id": "a", "event": record})]);
    assert_eq!(permissions[0]["certain"], json!(["s3:DeleteObject"]));
    assert_eq!(permissions[0]["resources"], json!(["arn:aws:s3:::acme-tickets/k"]));

    let object = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Bc"}}}]});
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
    let bodies = [("n1", object), ("n2", test)].map(|(id, body)| json!({"id": id, "body": body.to_string()}));
    let objects = ask(&["notification"], &bodies);
    assert_eq!(
        (&objects[0]["objects"][0]["bucket"], &objects[0]["objects"][0]["key"]),
        (&json!("b"), &json!("a b+c"))
    );
    assert_eq!(objects[1]["objects"], json!([]));
    assert!(objects[1]["ignored"].is_string());

    let policy = |effect: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "s3:*", "Resource": "*"}]});
    let request = json!({
        "principal": records::role("ant"), "action": "s3:GetObject", "context": {}, "unknown_keys": [],
        "resource": {"arn": "arn:aws:s3:::b/k", "account": records::ACCOUNT},
    });
    let question =
        |id: &str, policies: &[Value]| json!({"id": id, "request": request, "identity_policies": policies});
    let decisions = ask(
        &["decide"],
        &[
            question("allowed", &[policy("Allow")]),
            question("denied", &[policy("Allow"), policy("Deny")]),
            question("nothing", &[]),
        ],
    );
    let decisions: Vec<&str> = decisions.iter().map(|answer| answer["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["Allowed", "ExplicitlyDenied", "ImplicitlyDenied"]);
}

#[test]
fn notifications_of_every_shape_are_read() {
    let Some(cases) = conformance() else {
        eprintln!("skipped: REMIT_CONFORMANCE is unset");
        return;
    };
    let text = std::fs::read_to_string(cases.join("notifications/sqs_bodies.jsonl")).unwrap();
    let folder = Folder::new();
    let answers = run(folder.path(), &["tool", "notification"], &text, &[]).expect(0).lines();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let answer = answers.iter().find(|answer| answer["id"] == case["id"]).unwrap();
        let Some(expected) = case["expected"].as_array() else {
            assert!(answer["error"].is_string(), "{answer} for {case}");
            continue;
        };
        let place = |object: &Value| (object["bucket"].clone(), object["key"].clone());
        let objects = answer["objects"].as_array().unwrap_or_else(|| panic!("{answer} for {case}"));
        let objects: Vec<_> = objects.iter().map(place).collect();
        assert_eq!(objects, expected.iter().map(place).collect::<Vec<_>>(), "{case}");
    }
}
