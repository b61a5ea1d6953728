//! Deciding each kind of call once gives what deciding each call by itself gives
//!
//! Batches of calls made by chance are judged twice: as in service, and by writing a row of `calls` for every permission
//! of every event and asking every detection of all of them. Baseline and measures are counted here once more, call by
//! call, from those rows.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story that cannot go on fails")]

use engine::baseline::{ANY_PERMISSION, Baseline, BaselineDelta, BaselineRule, POSSIBLE};
use engine::calls::{COLUMNS, Calls, Rules};
use engine::detection::{self, Detection};
use engine::grant::Grants;
use engine::judge::{Judge, Plans};
use engine::manifest::Manifests;
use engine::measure::{Measures, Observed};
use engine::time::{DAY, HOUR, parse_rfc3339};
use futures::executor::block_on;
use ingest::EventBatch;
use ingest::event::{Event, EventBuilder, EventView};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const ACCOUNT: &str = "111122223333";

/// Agents that hang on conditions, on `via`, on what is denied and on what their sessions are called.
const AGENTS: &str = r#"
apiVersion: remit/v1
kind: Agent
metadata: {name: careful}
spec:
  identities: [{aws.role: "arn:aws:iam::111122223333:role/careful"}]
  allow:
    - aws: {actions: ["s3:*"], resources: ["arn:aws:s3:::tickets/*", "arn:aws:s3:::tickets"]}
    - aws: {actions: ["ec2:*"], conditions: {IpAddress: {"aws:SourceIp": "203.0.113.0/24"}}}
    - aws: {actions: ["iam:*"]}
    - aws: {actions: ["kms:*"], resources: ["arn:aws:kms:eu-west-1:111122223333:key/${aws:username}", "*"]}
  deny:
    - aws: {actions: ["s3:DeleteObject"], resources: ["arn:aws:s3:::tickets/kept/*"]}
    - aws: {actions: ["iam:DeleteRole"], resources: ["*"]}
---
apiVersion: remit/v1
kind: Agent
metadata: {name: one-of-two}
spec:
  identities: [{aws.role: "arn:aws:iam::111122223333:role/shared", session: "one-*"}]
  expires: 2026-11-04
  allow:
    - aws: {actions: ["s3:*", "dynamodb:*"], resources: ["*"]}
---
apiVersion: remit/v1
kind: Agent
metadata: {name: two-of-two}
spec:
  identities: [{aws.role: "arn:aws:iam::111122223333:role/sha*"}]
  allow:
    - aws: {actions: ["s3:GetObject"], resources: ["arn:aws:s3:::tickets/*"]}
"#;

/// Policies by role. Some hang on the resource where the agent's manifest does not.
const POLICIES: [(&str, &str); 6] = [
    (
        "careful",
        r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:Put*","NotResource":"arn:aws:s3:::tickets/*"}]}"#,
    ),
    (
        "human",
        r#"{"Statement":[{"Effect":"Allow","Action":["s3:*","iam:Get*"],"Resource":"*"},{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}"#,
    ),
    (
        "shared",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::tickets/a/1*","arn:aws:s3:::tickets/${aws:userid}/*"]},{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}]}"#,
    ),
    (
        "nightly",
        r#"{"Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::tickets/a/1*"}}"#,
    ),
    (
        "janitor",
        r#"{"Statement":{"Effect":"Allow","Action":["dynamodb:*","iam:*"],"NotResource":"arn:aws:dynamodb:*:*:table/tickets"}}"#,
    ),
    ("support-bot", r#"{"Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*"}}"#),
];

/// Detections of one's own: by few values, by many, over groups, without any filter, and by what is not there.
const OWN: [&str; 6] = [
    "SELECT call, coalesce(permission, '') AS subject, 'low' AS severity, scope AS title, grant_why AS why FROM calls
     WHERE grant = 'denied' AND outcome = 'success' AND scope IN ('in', 'out')",
    "SELECT call, concat(operation, coalesce(region, '')) AS subject, 'low' AS severity, 'x' AS title, 'y' AS why
     FROM calls WHERE account = '111122223333' AND region <> 'eu-west-1' AND error_code IS NULL",
    "SELECT call, actor AS subject, 'low' AS severity, 'x' AS title, coalesce(scope_statement, grant_why, '') AS why
     FROM calls WHERE active_days > 0 OR scope_statement LIKE '%deny%' OR bound_unknown IS NOT NULL",
    "SELECT call, actor AS subject, 'low' AS severity, 'x' AS title, 'y' AS why FROM calls WHERE user_agent LIKE 'curl%'",
    "SELECT min(call) AS call, actor AS subject, 'low' AS severity, 'x' AS title, 'y' AS why FROM calls GROUP BY actor",
    "SELECT call, coalesce(permission, operation) AS subject, 'info' AS severity, 'x' AS title, 'y' AS why FROM calls
     WHERE session_name IS NULL OR environment = 'prod'",
];

fn rules() -> Rules {
    let dir = tempfile::tempdir().unwrap();
    let (agents, policies) = (dir.path().join("agents"), dir.path().join("policies"));
    std::fs::create_dir_all(&agents).unwrap();
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(agents.join("more.yaml"), AGENTS).unwrap();
    let company = Path::new(env!("CARGO_MANIFEST_DIR")).join("detections/company/agents");
    for file in ["agents.yaml", "warden.yaml"] {
        std::fs::copy(company.join(file), agents.join(file)).unwrap();
    }
    for (role, policy) in POLICIES {
        std::fs::write(policies.join(format!("{role}.json")), policy).unwrap();
    }
    let now = "2026-11-03T00:00:00Z".parse().unwrap();
    Rules {
        manifests: Manifests::load(&agents, now).unwrap().into(),
        grants: Grants::load(&policies).unwrap(),
        baseline: Baseline::new(BaselineRule { min_active_days: 1, lookback_days: 10 }),
    }
}

/// A call by the numbers of its parts.
#[derive(Debug, Clone)]
struct Made {
    actor: usize,
    call: usize,
    ending: usize,
    session: usize,
    place: usize,
    source: usize,
    hours: i64,
    thing: usize,
    listed: bool,
}

const ACTORS: [Option<(&str, &str)>; 13] = [
    Some(("AssumedRole", "role/agents/support-bot")),
    Some(("AssumedRole", "role/agents/cost-reporter")),
    Some(("AssumedRole", "role/agents/janitor")),
    Some(("AssumedRole", "role/agents/warden")),
    Some(("AssumedRole", "role/agents/scheduler")),
    Some(("AssumedRole", "role/agents/retired")),
    Some(("AssumedRole", "role/agents/nightly")),
    Some(("AssumedRole", "role/careful")),
    Some(("AssumedRole", "role/shared")),
    Some(("AssumedRole", "role/human")),
    Some(("IAMUser", "user/support-bot")),
    Some(("AssumedRole", "role/nobody")),
    None,
];

const CALLS: &[(&str, &str, &str)] = &[
    ("s3", "GetObject", r#"{"bucketName":"tickets","key":"a/~"}"#),
    ("s3", "GetObject", r#"{"bucketName":"tickets","key":"a/~","versionId":"3"}"#),
    ("s3", "PutObject", r#"{"bucketName":"other","key":"~","x-amz-acl":"private"}"#),
    ("s3", "PutObject", r#"{"bucketName":"tickets","key":"~"}"#),
    ("s3", "DeleteObject", r#"{"bucketName":"tickets","key":"kept/~"}"#),
    ("s3", "DeleteObjects", r#"{"bucketName":"tickets"}"#),
    ("s3", "CopyObject", r#"{"bucketName":"tickets","key":"~","x-amz-copy-source":"/other/~"}"#),
    ("s3", "ListBuckets", "{}"),
    ("s3", "GetBucketPolicy", r#"{"bucketName":"other"}"#),
    ("dynamodb", "GetItem", r#"{"tableName":"tickets"}"#),
    ("dynamodb", "GetItem", r#"{"tableName":"other-~"}"#),
    ("dynamodb", "DeleteTable", r#"{"tableName":"tickets"}"#),
    ("dynamodb", "CreateTable", r#"{"tableName":"t","tags":[{"key":"a","value":"b"}]}"#),
    ("kms", "Decrypt", r#"{"keyId":"alias/tickets"}"#),
    ("ec2", "DescribeInstances", "{}"),
    ("ec2", "TerminateInstances", r#"{"instancesSet":{"items":[{"instanceId":"i-~"}]}}"#),
    (
        "ec2",
        "RunInstances",
        r#"{"iamInstanceProfile":{"name":"p"},"tagSpecificationSet":{"items":[{"tags":[{"key":"a","value":"b"}]}]}}"#,
    ),
    (
        "sts",
        "AssumeRole",
        r#"{"roleArn":"arn:aws:iam::111122223333:role/agents/warden","roleSessionName":"run-CHG0012345"}"#,
    ),
    (
        "sts",
        "AssumeRole",
        r#"{"roleArn":"arn:aws:iam::111122223333:role/agents/nightly","roleSessionName":"run-~"}"#,
    ),
    (
        "sts",
        "AssumeRole",
        r#"{"roleArn":"arn:aws:iam::444455556666:role/agents/warden-exec","roleSessionName":"x"}"#,
    ),
    (
        "sts",
        "AssumeRole",
        r#"{"roleArn":"arn:aws:iam::111122223333:role/careful","roleSessionName":"x","policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\"}}"}"#,
    ),
    ("sts", "GetCallerIdentity", ""),
    ("iam", "ListUsers", "{}"),
    ("iam", "CreateAccessKey", r#"{"userName":"support-bot"}"#),
    (
        "iam",
        "PutRolePolicy",
        r#"{"roleName":"careful","policyName":"more","policyDocument":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"ec2:*\",\"Resource\":\"*\"}}"}"#,
    ),
    (
        "iam",
        "PutRolePolicy",
        r#"{"roleName":"human","policyName":"more","policyDocument":"{\"Statement\":{\"Effect\":\"Al"}"#,
    ),
    (
        "iam",
        "AttachRolePolicy",
        r#"{"roleName":"janitor","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#,
    ),
    ("iam", "DeleteRole", r#"{"roleName":"careful"}"#),
    ("cloudtrail", "StopLogging", r#"{"name":"trail"}"#),
    (
        "lambda",
        "CreateFunction20150331",
        r#"{"functionName":"f","role":"arn:aws:iam::111122223333:role/careful","tags":{"a":"b"}}"#,
    ),
    ("lambda", "Invoke", r#"{"functionName":"f-~"}"#),
    ("newservice", "DeleteThing", r#"{"thing":"~"}"#),
    ("signin", "ConsoleLogin", ""),
];

/// Outcome, error code and message, and what denied.
type Ending = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);

const ENDINGS: [Ending; 7] = [
    ("success", None, None, None),
    ("success", None, None, None),
    ("success", Some("Client.DryRunOperation"), Some("Request would have succeeded"), None),
    ("failed", Some("NoSuchKey"), Some("The specified key does not exist"), None),
    ("denied", Some("AccessDenied"), Some("Access Denied"), None),
    (
        "denied",
        Some("AccessDenied"),
        Some(
            "User: arn:aws:sts::111122223333:assumed-role/x/y is not authorized to perform: s3:GetObjectTagging on resource: \"arn:aws:s3:::tickets/kept\" with an explicit deny in a service control policy",
        ),
        Some("explicit:scp"),
    ),
    (
        "denied",
        Some("UnauthorizedOperation"),
        Some(
            "User: arn:aws:sts::111122223333:assumed-role/x/y is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/careful because no identity-based policy allows the iam:PassRole action",
        ),
        Some("identity"),
    ),
];

/// Session's name, access key, kind of credential, and the service that called.
type Session = [Option<&'static str>; 4];

const SESSIONS: [Session; 6] = [
    [Some("run-CHG0012345"), Some("ASIA1"), Some("temporary"), None],
    [Some("one-7"), Some("ASIA2"), Some("temporary"), None],
    [Some("run-2"), Some("ASIA3"), Some("temporary"), None],
    [None, Some("AKIA1"), Some("long_lived"), None],
    [None, None, Some("long_lived"), None],
    [Some("x"), Some("ASIA1"), Some("temporary"), Some("athena.amazonaws.com")],
];

fn append(builder: &mut EventBuilder, number: usize, made: &Made) {
    let (service, operation, request) = CALLS[made.call];
    let (outcome, error_code, error_message, denied_by) = ENDINGS[made.ending];
    let [session_name, credential, credential_kind, invoked_by] = SESSIONS[made.session];
    let thing = made.thing.to_string();
    let request = request.replace('~', &thing);
    let service = format!("{service}.amazonaws.com");
    let object = format!("arn:aws:s3:::tickets/a/{thing}");
    let listed = [object.as_str(), "arn:aws:s3:::tickets"];
    let is_s3 = service.starts_with("s3.") && operation.ends_with("Object");
    let actor = ACTORS[made.actor].map(|(_, name)| format!("arn:aws:iam::{ACCOUNT}:{name}"));
    let time = parse_rfc3339("2026-11-03T12:00:00Z").unwrap() + made.hours * HOUR + number as i64;
    let region = ["eu-west-1", "us-east-1", ""][made.place];
    let response = format!(r#"{{"credentials":{{"accessKeyId":"ASIA{}"}}}}"#, made.thing % 3 + 1);
    builder.append(&Event {
        event_id: &format!("e-{number}-{time}"),
        time,
        provider: "aws",
        account: Some(ACCOUNT),
        recipient_account: (made.place == 1).then_some("444455556666").or(Some(ACCOUNT)),
        region: Some(region).filter(|region| !region.is_empty()),
        service: &service,
        operation,
        event_type: Some(if service.starts_with("signin") { "AwsConsoleSignIn" } else { "AwsApiCall" }),
        outcome,
        error_code,
        error_message,
        denied_by,
        actor_type: ACTORS[made.actor].map(|(kind, _)| kind).or(Some("AWSService")),
        actor: actor.as_deref(),
        actor_account: Some(ACCOUNT),
        actor_id: Some("AROAEXAMPLE"),
        session: credential.filter(|key| key.starts_with("ASIA")),
        session_name,
        session_started: session_name.map(|_| time - made.thing as i64 * HOUR / 2),
        credential,
        credential_kind,
        invoked_by,
        source_ip: [Some("203.0.113.7"), Some("198.51.100.1"), Some("athena.amazonaws.com"), None]
            [made.source],
        source_kind: [Some("ip"), Some("ip"), Some("service"), None][made.source],
        user_agent: [Some("Boto3/1.40"), Some("curl/8"), None, Some("curl/7")][made.source],
        tls: Some("TLSv1.3").filter(|_| made.source == 0),
        resources: if made.listed && is_s3 { &listed } else { &[] },
        request: Some(request.as_str()).filter(|request| !request.is_empty()),
        response: Some(response.as_str()).filter(|_| operation == "AssumeRole"),
        shared_event_id: Some("shared"),
        received: Some(time),
        api_version: Some("1"),
        read_only: Some(true),
        object: Some("object"),
        row: number as u32,
        ..Event::default()
    });
}

fn batch(made: &[Made]) -> EventBatch {
    let mut builder = EventBuilder::with_capacity(made.len());
    made.iter().enumerate().for_each(|(number, made)| append(&mut builder, number, made));
    builder.finish()
}

/// The same events with the columns alone that judging asks for.
fn narrow(made: &[Made]) -> EventBatch {
    let mut builder = EventBuilder::with_columns(made.len(), COLUMNS);
    made.iter().enumerate().for_each(|(number, made)| append(&mut builder, number, made));
    builder.finish()
}

fn calls() -> impl Strategy<Value = Made> {
    // Mostly what many may do and what succeeds, so that the same is met again.
    let call = prop_oneof![2 => 0..12usize, 1 => 0..CALLS.len()];
    let ending = prop_oneof![2 => Just(0), 1 => 0..ENDINGS.len()];
    let parts = (0..ACTORS.len(), call, ending, 0..SESSIONS.len(), 0..3usize);
    let hours = prop_oneof![-4i64..4, -60i64..60];
    (parts, 0..4usize, hours, 0..12usize, any::<bool>()).prop_map(
        |((actor, call, ending, session, place), source, hours, thing, listed)| Made {
            actor,
            call,
            ending,
            session,
            place,
            source,
            hours,
            thing,
            listed,
        },
    )
}

/// What the rows of a whole table add to baseline and measures, counted one by one.
fn counted(calls: &Calls, view: &EventView<'_>) -> (BaselineDelta, Measures) {
    let (mut baseline, mut measures) = (BaselineDelta::default(), Measures::default());
    for rows in calls.rows.chunk_by(|a, b| a.event == b.event) {
        let event = rows[0].event;
        let is_dry = view.error_code(event).is_some_and(|code| code.ends_with("DryRunOperation"));
        let outcome = if is_dry { "dry_run" } else { view.outcome(event).unwrap() };
        if outcome == "success" {
            baseline.used(&rows[0].actor, ANY_PERMISSION, rows[0].time);
        }
        for row in rows {
            let Some(needed) = &row.needed else { continue };
            let (permission, time) = (needed.permission.as_str(), row.time);
            let is_own = needed.certain && view.invoked_by(event).is_none();
            match outcome {
                "success" if is_own => baseline.used(&row.actor, permission, time),
                "success" => baseline.used(&row.actor, &format!("{POSSIBLE}{permission}"), time),
                "denied" if is_own => baseline.denied(&row.actor, permission, time),
                _ => {}
            }
            let Some(answer) = row.answer.as_ref().filter(|_| needed.certain) else { continue };
            let Some(scope) = &answer.scope else { continue };
            let observed = Observed { time, outcome, denied_by: view.denied_by(event), permission };
            measures.count(scope, &answer.grant, &observed);
        }
    }
    (baseline, measures)
}

fn own(sql: &str) -> Detection {
    let head = "-- id: OWN\n-- family: own\n-- about: own\n-- window: hour\n-- frameworks: A\n";
    Detection::parse("own", &format!("{head}{sql}")).unwrap()
}

fn hold_against_each_other(batches: &[Vec<Made>], detections: &[Detection]) -> usize {
    let (rules, obvious) = (Arc::new(rules()), Arc::new(rules()));
    let plans = Arc::new(Plans::new(detections).unwrap());
    let mut fast = Judge::new(rules.clone(), plans.clone());
    let mut slow = Judge::new(obvious.clone(), plans).keeping_rows();
    let mut found = 0;
    for made in batches {
        let batch = batch(made);
        let view = batch.view();
        let judged = block_on(fast.judge(&narrow(made))).unwrap();
        let slowly = block_on(slow.judge(&batch)).unwrap();
        assert_eq!(judged.findings, slowly.findings);
        found += judged.findings.len();
        let (baseline, measures) = counted(&slowly.calls, &view);
        for calls in [&judged.calls, &slowly.calls] {
            assert_eq!(calls.baseline, baseline);
            assert_eq!(calls.measures, measures);
            assert_eq!(calls.changes, slowly.calls.changes);
            assert_eq!(calls.callers(&view), slowly.calls.callers(&view));
        }
        rules.baseline.apply(&judged.calls.baseline);
        obvious.baseline.apply(&baseline);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_ships_finds_the_same(batches in prop::collection::vec(prop::collection::vec(calls(), 0..300), 4..8)) {
        let calls: usize = batches.iter().map(Vec::len).sum();
        let found = hold_against_each_other(&batches, &detection::built_in().unwrap());
        prop_assert!(found > 0 || calls < 50, "nothing found in {calls} calls: the test proves nothing");
    }

    #[test]
    fn a_detection_of_ones_own_finds_the_same(
        batches in prop::collection::vec(prop::collection::vec(calls(), 0..150), 2..4),
    ) {
        for sql in OWN {
            hold_against_each_other(&batches, &[own(sql)]);
        }
    }
}

#[test]
fn days_are_kept_apart() {
    let one = Made {
        actor: 7,
        call: 0,
        ending: 0,
        session: 2,
        place: 0,
        source: 0,
        hours: 0,
        thing: 1,
        listed: true,
    };
    let days: Vec<Made> = (0..40).map(|day| Made { hours: day * DAY / HOUR / 2, ..one.clone() }).collect();
    hold_against_each_other(&[days.clone(), days], &detection::built_in().unwrap());
}
