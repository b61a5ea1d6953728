//! Who really acted: sessions followed back to whoever asked for them, and how sure it is that an agent called.

use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::records::{ACCOUNT, Record, role};
use crate::support::remit::{Service, remit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const OTHER: &str = "444455556666";

fn key(letter: char) -> String {
    format!("ASIA{}", letter.to_string().repeat(16))
}

/// Whoever made `record` takes the agent's role and is given a key.
fn takes(record: Record, agent: &str, key: &str) -> Record {
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{agent}/run-1");
    record.request(json!({"roleArn": role(agent), "roleSessionName": "run-1"})).set(
        "responseElements",
        json!({"credentials": {"accessKeyId": key}, "assumedRoleUser": {"arn": arn}}),
    )
}

/// With this of `userIdentity` changed.
fn identity(mut record: Record, pointer: &str, value: Value) -> Record {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    record.0.pointer_mut(&format!("/userIdentity{parent}")).unwrap()[member] = value;
    record
}

fn replay(folder: &Folder) -> Vec<Value> {
    let arguments = ["replay", "logs", "--agents", "agents", "--calls", "calls.ndjson", "--output", "ndjson"];
    let told = remit(folder.path(), &arguments).expect(0);
    told.lines().into_iter().filter(|line| line.get("detection").is_some()).collect()
}

/// The calls by event id.
fn calls(folder: &Folder) -> BTreeMap<String, Value> {
    let lines = folder.read("calls.ndjson");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["event_id"].as_str().unwrap().to_owned(), line)).collect()
}

fn event(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A person in one account takes the agent's role in another, through a hub; a tool call made the last call.
fn story() -> Vec<Record> {
    let hub_arn = format!("arn:aws:iam::{OTHER}:role/hub");
    let bob = identity(Record::of_user("bob", "sts:AssumeRole"), "/accountId", json!(OTHER));
    let bob = identity(bob, "/arn", json!(format!("arn:aws:iam::{OTHER}:user/bob")));
    let to_hub = bob.number(1).set(
        "responseElements",
        json!({
        "credentials": {"accessKeyId": key('H')},
        "assumedRoleUser": {"arn": format!("arn:aws:sts::{OTHER}:assumed-role/hub/bob")}}),
    );
    let by_hub = || {
        let record = Record::of_agent("hub", "sts:AssumeRole");
        let record = identity(record, "/sessionContext/sessionIssuer/arn", json!(hub_arn));
        let record = identity(record, "/sessionContext/sessionIssuer/accountId", json!(OTHER));
        identity(record, "/accessKeyId", json!(key('H')))
    };
    let caller_side = takes(by_hub(), "bee", &key('B')).number(2).set("sharedEventID", json!("shared"));
    let stranger = json!({"type": "AWSAccount", "principalId": "AROAHUB:bob", "accountId": OTHER});
    let role_side = takes(by_hub().set("userIdentity", stranger), "bee", &key('B'))
        .number(3)
        .set("sharedEventID", json!("shared"));
    let bee = |operation: &str| identity(Record::of_agent("bee", operation), "/accessKeyId", json!(key('B')));
    let tool = bee("aws-mcp:CallReadWriteTool")
        .number(4)
        .set("eventType", json!("AwsMcpEvent"))
        .set("requestID", json!("tool-request"))
        .set("userAgent", json!("mcp-proxy-for-aws/1.7.0 claude-code/2.1"))
        .set("requestParameters", json!({"method": "tools/call", "params": {"name": "aws___call_aws"}}))
        .set("additionalEventData", json!({"downstreamRequests": [{"requestId": "the-request"}]}));
    let call = identity(bee("s3:DeleteObject"), "/invokedBy", json!("aws-mcp.amazonaws.com"))
        .object("acme", "k")
        .number(5)
        .set("requestID", json!("the-request"));
    let near_miss = bee("s3:PutObject").object("acme", "k").number(6).set("requestID", json!("another"));
    vec![to_hub, caller_side, role_side, tool, call, near_miss]
}

#[test]
fn a_finding_tells_its_story_from_the_first_credentials_to_the_call_in_any_order() {
    let mut told = Vec::new();
    for reversed in [false, true] {
        let folder = Folder::new();
        folder.agent("bee", &[("s3:GetObject", "*")]);
        let mut records = story();
        if reversed {
            records.reverse();
        }
        for (number, record) in records.into_iter().enumerate() {
            folder.log(&format!("logs/{number}.json.gz"), &[record]);
        }
        let found = replay(&folder);
        let of = |number: usize| {
            let rests_on = |finding: &&Value| finding["events"] == json!([event(number)]);
            found
                .iter()
                .find(rests_on)
                .unwrap_or_else(|| panic!("no finding of event {number} in {found:#?}"))
        };
        let steps = |finding: &Value| -> Vec<(String, String)> {
            let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
            let steps = finding["chain"].as_array().unwrap();
            steps.iter().map(|step| (text(step, "kind"), text(step, "event"))).collect()
        };
        let expected = |numbers: &[(&str, usize)]| -> Vec<(String, String)> {
            numbers.iter().map(|(kind, number)| ((*kind).to_owned(), event(*number))).collect()
        };
        let call = of(5);
        let whole = [("assume_role", 1), ("assume_role", 2), ("mcp", 4), ("call", 5)];
        assert_eq!(steps(call), expected(&whole), "told in both accounts' logs, counted once");
        assert_eq!(call["chain"][0]["actor"], format!("arn:aws:iam::{OTHER}:user/bob"));
        assert_eq!(call["chain"][1]["account"], OTHER);
        assert_eq!(
            (&call["chain"][2]["tool"], &call["chain"][2]["client"]),
            (&json!("aws___call_aws"), &json!("claude-code"))
        );
        assert_eq!(call["chain_cut"], Value::Null);
        assert_eq!(call["sample"]["caller"]["evidence"], "cloud");
        let near_miss = of(6);
        assert_eq!(steps(near_miss), expected(&[("assume_role", 1), ("assume_role", 2), ("call", 6)]));
        assert_eq!(near_miss["sample"]["caller"]["evidence"], "manifest");
        told.push((call["chain"].clone(), near_miss["chain"].clone()));
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_call_through_the_tool_server_is_the_agents_own_and_one_that_a_service_made_is_not() {
    let folder = Folder::new();
    folder.agent("bee", &[("s3:GetObject", "*")]);
    let call = |number, by: &str| {
        let record = Record::of_agent("bee", "s3:DeleteObject").object("acme", "k").number(number);
        identity(record, "/invokedBy", json!(by))
    };
    folder
        .log("logs/1.json.gz", &[call(1, "aws-mcp.amazonaws.com"), call(2, "cloudformation.amazonaws.com")]);
    let found = replay(&folder);
    let events: Vec<&Value> =
        found.iter().filter(|f| f["detection"] == "SC01").map(|finding| &finding["events"]).collect();
    assert_eq!(events, [&json!([event(1)])]);
}

#[test]
fn two_agents_in_one_role_are_told_apart_by_what_their_credentials_were_issued_to() {
    let folder = Folder::new();
    let function = |name: &str| format!("arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}");
    for name in ["triage", "deploy"] {
        let manifest = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities:\n    \
             - aws.role: {}\n      workload: {}*\n  allow: []\n",
            role("shared"),
            function(name),
        );
        folder.write(&format!("agents/{name}.yaml"), manifest);
    }
    let of = |number, workload: Option<&str>| {
        let record = Record::of_agent("shared", "s3:GetObject").object("acme", "k").number(number);
        let scope = workload.map(
            |name| json!({"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": function(name)}),
        );
        identity(record, "/inScopeOf", scope.unwrap_or_default())
    };
    let forged = of(4, None).set("userAgent", json!("claude-code/2.1 triage"));
    folder
        .log("logs/1.json.gz", &[of(1, Some("triage")), of(2, Some("deploy")), of(3, Some("else")), forged]);
    replay(&folder);
    let calls = calls(&folder);
    let told = |number| {
        let call = &calls[&event(number)];
        (call["agent"].clone(), call["agent_hint"].clone(), call["agent_evidence"].clone())
    };
    assert_eq!(told(1), (json!("triage"), Value::Null, json!("manifest")));
    assert_eq!(told(2), (json!("deploy"), Value::Null, json!("manifest")));
    assert_eq!(told(3), (Value::Null, Value::Null, Value::Null));
    assert_eq!(told(4), (Value::Null, json!("claude-code"), json!("client")), "a user agent is only words");
}

#[test]
fn an_agent_that_is_told_from_a_person_by_the_clients_words_is_graded_by_them() {
    let folder = Folder::new();
    let manifest = |name: &str, sign: &str| {
        format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities:\n    \
             - aws.role: {}\n      {sign}\n  allow: []\n",
            role("admin"),
        )
    };
    folder.write("agents/claude.yaml", manifest("claude", "client: claude-code"));
    folder.write("agents/tools.yaml", manifest("tools", "via: mcp"));
    let admin = |number| Record::of_agent("admin", "s3:GetObject").object("acme", "k").number(number);
    let records = [
        admin(1),
        admin(2).set("userAgent", json!("aws-cli/2 claude-code/2.1")),
        identity(admin(3), "/invokedBy", json!("aws-mcp.amazonaws.com")),
    ];
    folder.log("logs/1.json.gz", &records);
    replay(&folder);
    let calls = calls(&folder);
    let told =
        |number| (calls[&event(number)]["agent"].clone(), calls[&event(number)]["agent_evidence"].clone());
    assert_eq!(told(1), (Value::Null, Value::Null), "the person's own call");
    assert_eq!(told(2), (json!("claude"), json!("client")), "spoofable, and graded so");
    assert_eq!(told(3), (json!("tools"), json!("cloud")));
}

#[test]
fn the_page_and_the_command_tell_who_acted_and_nothing_of_a_log_becomes_markup() {
    let folder = Folder::new();
    folder.agent("bee", &[("s3:GetObject", "*")]);
    let evil = "<script>alert(1)</script>\u{202e}";
    let mut records = story();
    for record in &mut records {
        record.0["eventTime"] = json!(chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    records[3].0["requestParameters"]["params"]["name"] = json!(evil);
    folder.log("logs/1.json.gz", &records);
    let port = folder.configure(&Config::default().directory("logs", true));
    let service = Service::run(folder.path(), port).ready();
    let list = || remit(folder.path(), &["findings", "list", "--output", "json"]).expect(0).json();
    eventually("the calls are judged", Duration::from_secs(60), || {
        list()["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["events"] == json!([event(5)])))
    });
    let found = list();
    let of_call = |f: &&Value| f["events"] == json!([event(5)]);
    let finding = found["findings"].as_array().unwrap().iter().find(of_call).unwrap();
    let id = finding["id"].as_str().unwrap();
    assert_eq!(finding["chain"].as_array().unwrap().len(), 4);
    assert_eq!(finding["chain"][2]["tool"], evil, "JSON keeps the text exact");

    let shown = remit(folder.path(), &["findings", "show", id]).expect(0).stdout;
    assert!(shown.contains("agent?   cloud: the cloud says so"), "{shown}");
    assert!(
        shown.contains("bob took a role > hub (run-1) took a role > bee (run-1) called a tool"),
        "{shown}"
    );
    assert!(!shown.contains('\u{202e}'));

    let page = service.get(&format!("/findings/{id}"));
    assert!(page.text.contains("Who acted") && page.text.contains("assume role"));
    assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script>alert"));
    let api = service.get("/api/v1/findings").json();
    assert!(api["findings"].as_array().unwrap().iter().any(|f| f == finding));
    assert!(api["untrusted"].as_array().unwrap().contains(&json!("chain")));
}
