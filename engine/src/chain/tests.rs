use std::collections::HashMap;

use ingest::{EventBatch, Limits, Redaction, read_record};
use serde_json::{Value, json};

use super::*;
use crate::calls::Brought;
use crate::grant::Grants;

const HUB: &str = "arn:aws:iam::111122223333:role/path/Hub";
const BOT: &str = "arn:aws:iam::444455556666:role/agents/Bot";

fn key(letter: char) -> String {
    format!("ASIA{}", letter.to_string().repeat(16))
}

fn session(role: &str, name: &str, key: Option<&str>) -> Value {
    let arn = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
    let (head, path) = arn.split_once(":assumed-role/").unwrap();
    let short = path.rsplit('/').next().unwrap();
    json!({"type": "AssumedRole", "principalId": format!("AROA{short}:{name}"), "accessKeyId": key,
        "arn": format!("{head}:assumed-role/{short}/{name}"), "accountId": role.split(':').nth(4),
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role}}})
}

fn bob() -> Value {
    json!({"type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::111122223333:user/staff/bob",
        "accountId": "111122223333", "accessKeyId": "AKIAEXAMPLE000000001"})
}

fn record(event: &str, minute: u32, who: Value, operation: &str, more: Value) -> Value {
    let (service, name) = operation.split_once(':').unwrap();
    let mut record = json!({"eventID": event, "eventTime": format!("2026-01-05T10:{minute:02}:00Z"),
        "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "userIdentity": who,
        "recipientAccountId": "111122223333", "requestID": format!("request-of-{event}")});
    for (key, value) in more.as_object().unwrap() {
        record[key.as_str()] = value.clone();
    }
    record
}

/// `who` takes a role and is given a key.
fn assume(event: &str, minute: u32, who: Value, role: &str, given: &str) -> Value {
    let arn = session(role, "run", None)["arn"].clone();
    let response = json!({"credentials": {"accessKeyId": given, "sessionToken": "secret"},
        "assumedRoleUser": {"assumedRoleId": "AROA9:run", "arn": arn}});
    record(event, minute, who, "sts:AssumeRole", json!({"responseElements": response}))
}

fn batch(record: &Value) -> EventBatch {
    read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap()
}

fn issued(record: &Value) -> Option<Issued> {
    Issued::of(&batch(record).view(), 0)
}

/// The links as the store keeps them, told slowly: of all that match, the least.
#[derive(Default)]
struct Links(Vec<Issued>);

impl Links {
    fn of<'a>(records: impl IntoIterator<Item = &'a Value>) -> Links {
        Links(records.into_iter().filter_map(issued).collect())
    }

    fn find(&self, ask: &Ask<'_>) -> Option<Asked> {
        let matching = self.0.iter().filter(|one| {
            one.holder == ask.holder && one.targets().any(|target| target == (ask.kind, ask.target))
        });
        matching.min_by_key(|one| one.order()).map(|one| one.by.clone())
    }

    fn chain(&self, call: &Value) -> Chain {
        let batch = batch(call);
        let view = batch.view();
        let step = Step {
            kind: StepKind::Call,
            actor: view.actor(0).unwrap().into(),
            session_name: view.session_name(0).map(CompactString::from),
            account: view.account(0).map(CompactString::from),
            at: view.time(0).unwrap(),
            event: view.event_id(0).into(),
            tool: None,
            client: None,
        };
        let mut walk = Walk::from(step, view.session(0), view.request_id(0));
        let mut asked = 0;
        while let Some(ask) = walk.ask() {
            asked += 1;
            assert!(asked <= 2 * STEPS_MAX, "it must end");
            let found = self.find(&ask);
            walk.answer(found);
        }
        walk.chain()
    }
}

fn told(chain: &Chain) -> Vec<String> {
    let short = |step: &Step| {
        format!("{} {} {}", step.kind.as_str(), step.actor.rsplit('/').next().unwrap(), step.event)
    };
    chain.steps.iter().map(short).collect()
}

fn get(event: &str, minute: u32, who: Value) -> Value {
    record(event, minute, who, "s3:GetObject", json!({}))
}

#[test]
fn a_chain_leads_from_the_first_credentials_to_the_call_in_any_order() {
    let records = [
        assume("e1", 0, bob(), HUB, &key('A')),
        assume("e2", 5, session(HUB, "run", Some(&key('A'))), BOT, &key('B')),
        // Another session of the same role, which leads nowhere near.
        assume("e0", 4, session(HUB, "else", Some(&key('C'))), BOT, &key('D')),
    ];
    let call = get("e3", 9, session(BOT, "run", Some(&key('B'))));
    let chain = Links::of(&records).chain(&call);
    assert_eq!(told(&chain), ["assume_role bob e1", "assume_role Hub e2", "call Bot e3"]);
    assert_eq!(chain.cut, None, "it begins with a key that nobody gave");
    assert_eq!(Links::of(records.iter().rev()).chain(&call), chain);
    let alone = Links::default().chain(&call);
    assert!(alone.is_empty(), "the call itself is no chain");
}

#[test]
fn a_chain_whose_beginning_is_not_logged_says_so() {
    let links = Links::of(&[assume("e2", 5, session(HUB, "run", Some(&key('A'))), BOT, &key('B'))]);
    let chain = links.chain(&get("e3", 9, session(BOT, "run", Some(&key('B')))));
    assert_eq!(told(&chain), ["assume_role Hub e2", "call Bot e3"]);
    assert_eq!(chain.cut, Some(Cut::NotLogged));
}

#[test]
fn a_key_leads_only_to_whom_it_was_given_and_only_while_it_lives() {
    let links = Links::of(&[assume("e1", 30, bob(), HUB, &key('A'))]);
    let chain =
        |role: &str, minute| told(&links.chain(&get("e3", minute, session(role, "run", Some(&key('A'))))));
    assert_eq!(chain(HUB, 40).len(), 2);
    assert_eq!(chain(HUB, 16).len(), 2, "clocks differ a little");
    assert!(chain(HUB, 10).is_empty(), "used before it was given");
    assert!(chain(BOT, 40).is_empty(), "another account's record shows the same key");
    let mut late = get("e3", 40, session(HUB, "run", Some(&key('A'))));
    late["eventTime"] = json!("2026-01-07T10:00:00Z");
    assert!(links.chain(&late).is_empty(), "no session lives so long");
}

#[test]
fn one_role_taken_across_accounts_is_one_step_told_by_whoever_tells_more() {
    let mut caller_side = assume("e1", 0, session(HUB, "run", Some(&key('A'))), BOT, &key('B'));
    let stranger = json!({"type": "AWSAccount", "principalId": "AROAHub:run", "accountId": "111122223333"});
    let mut role_side = assume("e0", 0, stranger, BOT, &key('B'));
    role_side["recipientAccountId"] = json!("444455556666");
    for record in [&mut caller_side, &mut role_side] {
        record["sharedEventID"] = json!("shared-1");
    }
    let call = get("e3", 9, session(BOT, "run", Some(&key('B'))));
    for both in [[&caller_side, &role_side], [&role_side, &caller_side]] {
        let chain = Links::of(both).chain(&call);
        assert_eq!(told(&chain), ["assume_role Hub e1", "call Bot e3"]);
        assert_eq!(chain.steps[0].account.as_deref(), Some("111122223333"));
    }
    let half = Links::of([&role_side]).chain(&call);
    assert_eq!(told(&half), ["assume_role AROAHub e0", "call Bot e3"]);
    assert_eq!(half.cut, Some(Cut::NotLogged), "the other account's log is not read");
}

#[test]
fn what_was_refused_or_gives_no_key_leads_nowhere() {
    let good = assume("e1", 0, bob(), HUB, &key('A'));
    assert!(issued(&good).is_some());
    let with = |key: &str, value: Value| {
        let mut record = good.clone();
        record[key] = value;
        issued(&record)
    };
    assert_eq!(with("errorCode", json!("AccessDenied")), None);
    assert_eq!(with("responseElements", Value::Null), None);
    assert_eq!(with("responseElements", json!({"credentials": {"accessKeyId": "*"}})), None);
    assert_eq!(with("eventSource", json!("sts.evil.example")), None);
    assert_eq!(with("eventName", json!("GetCallerIdentity")), None);
    // A record that lies about its shape is passed over, never a panic.
    assert_eq!(with("responseElements", json!({"credentials": [1], "assumedRoleUser": "x"})), None);
}

#[test]
fn sessions_of_users_of_providers_and_of_certificates_begin_chains_too() {
    let own = json!({"responseElements": {"credentials": {"accessKeyId": key('A')}}});
    let user = |kind: &str| {
        json!({"type": kind, "arn": "arn:aws:iam::111122223333:user/staff/bob", "accountId": "111122223333",
            "accessKeyId": key('A'), "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:user/staff/bob"}}})
    };
    let links = Links::of(&[record("e1", 0, bob(), "sts:GetSessionToken", own.clone())]);
    assert_eq!(
        told(&links.chain(&get("e2", 3, user("IAMUser")))),
        ["get_session_token bob e1", "call bob e2"]
    );
    let links = Links::of(&[record("e1", 0, bob(), "sts:GetFederationToken", own)]);
    assert_eq!(
        told(&links.chain(&get("e2", 3, user("FederatedUser")))),
        ["get_federation_token bob e1", "call bob e2"]
    );

    let call = get("e2", 3, session(HUB, "run", Some(&key('A'))));
    let arn = session(HUB, "run", None)["arn"].clone();
    let given = json!({"credentials": {"accessKeyId": key('A')}, "assumedRoleUser": {"arn": arn}});
    let pod = json!({"type": "WebIdentityUser", "principalId": "arn:aws:iam::1:oidc-provider/eks:sts.amazonaws.com:system:serviceaccount:a/b"});
    let token = record("e1", 0, pod, "sts:AssumeRoleWithWebIdentity", json!({"responseElements": given}));
    assert_eq!(
        told(&Links::of(&[token]).chain(&call)),
        ["assume_role_with_web_identity b e1", "call Hub e2"]
    );
    let host = json!({"type": "Unknown", "principalId": "arn:aws:rolesanywhere:eu-west-1:1:subject/s7"});
    let certificate = record(
        "e1",
        0,
        host,
        "rolesanywhere:CreateSession",
        json!({"responseElements": {"credentialSet": [given]}}),
    );
    assert_eq!(told(&Links::of(&[certificate]).chain(&call)), ["create_session s7 e1", "call Hub e2"]);
}

fn tool_call(event: &str, minute: u32, who: Value, requests: &[&str]) -> Value {
    let requests: Vec<Value> = requests
        .iter()
        .map(|id| json!({"apiName": "s3:GetObject", "requestId": id, "awsRegion": "us-east-1"}))
        .collect();
    record(
        event,
        minute,
        who,
        "aws-mcp:CallReadWriteTool",
        json!({
        "eventType": "AwsMcpEvent", "userAgent": "mcp-proxy-for-aws/1.7.0 claude-code/2.1",
        "requestParameters": {"method": "tools/call", "params": {"name": "aws___call_aws", "arguments": {"cli": "secret words"}}},
        "additionalEventData": {"downstreamRequests": requests}}),
    )
}

#[test]
fn a_tool_call_stands_between_the_session_and_the_call_that_it_led_to() {
    let me = session(HUB, "run", Some(&key('A')));
    // The tool's call is logged without a key, and when it ends: after the request.
    let tool = tool_call("e2", 6, session(HUB, "run", None), &["request-of-e3", "other"]);
    let links = Links::of(&[assume("e1", 0, bob(), HUB, &key('A')), tool]);
    let chain = links.chain(&get("e3", 5, me.clone()));
    assert_eq!(told(&chain), ["assume_role bob e1", "mcp Hub e2", "call Hub e3"]);
    let hop = &chain.steps[1];
    assert_eq!((hop.tool.as_deref(), hop.client.as_deref()), (Some("aws___call_aws"), Some("claude-code")));
    assert!(!chain.to_json().to_string().contains("secret words"), "what a tool was called with stays out");
    assert_eq!(
        told(&links.chain(&get("e4", 5, me))),
        ["assume_role bob e1", "call Hub e4"],
        "not the tool's doing"
    );
    let stranger = get("e3", 5, session(BOT, "run", Some(&key('B'))));
    assert!(links.chain(&stranger).is_empty(), "another identity's request of the same id");
}

#[test]
fn a_role_taken_by_a_tool_goes_on_as_one_story() {
    let me = session(HUB, "run", Some(&key('A')));
    let records = [
        assume("e1", 0, bob(), HUB, &key('A')),
        tool_call("e3", 3, me.clone(), &["request-of-e2"]),
        assume("e2", 2, me, BOT, &key('B')),
    ];
    let chain = Links::of(&records).chain(&get("e4", 9, session(BOT, "run", Some(&key('B')))));
    assert_eq!(told(&chain), ["assume_role bob e1", "mcp Hub e3", "assume_role Hub e2", "call Bot e4"]);
}

#[test]
fn a_loop_and_a_chain_without_end_are_cut() {
    let names: Vec<char> = ('A'..='L').collect();
    let long: Vec<Value> = names
        .windows(2)
        .map(|pair| {
            let me = session(HUB, "run", Some(&key(pair[0])));
            assume(&format!("e{}", pair[0]), 1, me, HUB, &key(pair[1]))
        })
        .collect();
    let chain = Links::of(&long).chain(&get("last", 5, session(HUB, "run", Some(&key('L')))));
    assert_eq!((chain.steps.len(), chain.cut), (STEPS_MAX, Some(Cut::TooLong)));
    let circle = [
        assume("e1", 1, session(HUB, "run", Some(&key('A'))), BOT, &key('B')),
        assume("e2", 1, session(BOT, "run", Some(&key('B'))), HUB, &key('A')),
    ];
    let chain = Links::of(&circle).chain(&get("e3", 5, session(HUB, "run", Some(&key('A')))));
    assert_eq!((told(&chain).len(), chain.cut), (3, Some(Cut::Cycle)));
}

#[test]
fn a_list_of_requests_is_bounded() {
    let ids: Vec<String> = (0..10_000).map(|n| format!("r{n:05}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(issued(&tool_call("e", 0, bob(), &ids)), None, "no log has a list so long");
    let kept = issued(&tool_call("e", 0, bob(), &ids[..1_000])).unwrap();
    assert_eq!(kept.targets().count(), REQUESTS_MAX);
}

#[test]
fn a_batch_gives_what_its_rows_give() {
    let quiet: Vec<Value> = (0..5).map(|n| get(&format!("q{n}"), 1, bob())).collect();
    let loud =
        [assume("e1", 0, bob(), HUB, &key('A')), record("e2", 0, bob(), "sts:GetCallerIdentity", json!({}))];
    let tool = [tool_call("e3", 2, bob(), &["r1", "r2"])];
    for records in
        [[&quiet[..], &[], &[]], [&quiet, &loud, &[]], [&quiet, &[], &tool], [&quiet, &loud, &tool]]
    {
        let text = json!({"Records": records.concat()}).to_string();
        let object = ingest::ObjectRef {
            source: "s".into(),
            bucket: "b".into(),
            key: "k".into(),
            version: String::new(),
        };
        let read =
            ingest::read_object(&object, text.as_bytes(), &Limits::default(), &Redaction::default()).unwrap();
        let view = read.batch.view();
        let slow: Vec<Issued> = (0..read.batch.rows()).filter_map(|row| Issued::of(&view, row)).collect();
        assert_eq!(Brought::of(&read.batch, &view, &Grants::default()).issued, slow);
        assert_eq!(slow.len(), records.iter().skip(1).map(|some| some.len().min(1)).sum::<usize>());
    }
}

#[test]
fn the_slow_way_and_the_stores_way_agree_on_which_telling_counts() {
    let mut least: HashMap<CompactString, Issued> = HashMap::new();
    let records: Vec<Value> =
        (0..20).map(|n: u32| assume(&format!("e{}", n * 7 % 20), n % 3, bob(), HUB, &key('A'))).collect();
    for one in records.iter().filter_map(issued) {
        let slot = least.entry(one.holder.clone()).or_insert_with(|| one.clone());
        if one.order() < slot.order() {
            *slot = one;
        }
    }
    let slow =
        Links::of(&records).find(&Ask { kind: "key", target: &key('A'), holder: &holder_of(HUB) }).unwrap();
    assert_eq!(least[&*holder_of(HUB)].by, slow);
}
