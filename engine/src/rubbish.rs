//! Whatever stands in a manifest, an export or a caller's own parameters: it is read, or refused with a reason, and
//! nothing stops. `REMIT_CASES` sets how many inputs each property is tried on; 200 by default.

use std::time::{Duration, Instant};

use chrono::DateTime;
use ingest::{Limits, ObjectRef, Redaction, read_object};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chain::Issued;
use crate::grant::{Grants, PolicyChange};
use crate::manifest::Manifests;
use crate::permission::{self, Call};

fn config() -> ProptestConfig {
    let cases = std::env::var("REMIT_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases.unwrap_or(200)) }
}

const MANIFEST: &str = r#"apiVersion: remit/v1
kind: Agent
metadata: {name: ant, labels: {a: b}}
spec:
  owner: {team: shop}
  environment: prod
  expires: 2027-01-01
  identities:
    - aws.role: arn:aws:iam::111122223333:role/agents/ant
  allow:
    - aws: {actions: ["s3:Get*"], resources: ["arn:aws:s3:::b/*"]}
      conditions: {StringLike: {"aws:PrincipalTag/x": ["a*"]}}
  deny: [{aws: {actions: ["iam:*"]}}]
  bounds: {rate: 5/m, regions: [eu-west-1], hours: "08:00-18:00"}
"#;

fn exported() -> Value {
    let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    json!({
        "UserDetailList": [{"UserName": "ann", "Arn": "arn:aws:iam::1:user/ann", "GroupList": ["devs"],
            "UserPolicyList": [{"PolicyName": "p", "PolicyDocument": document}]}],
        "GroupDetailList": [{"GroupName": "devs", "Arn": "arn:aws:iam::1:group/devs", "AttachedManagedPolicies": []}],
        "RoleDetailList": [{"RoleName": "ant", "Arn": "arn:aws:iam::1:role/ant", "RolePolicyList": [],
            "AttachedManagedPolicies": [{"PolicyName": "m", "PolicyArn": "arn:aws:iam::1:policy/m"}],
            "PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::1:policy/m"}}],
        "Policies": [{"PolicyName": "m", "Arn": "arn:aws:iam::1:policy/m", "DefaultVersionId": "v1",
            "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true, "Document": document}]}],
    })
}

/// A text with some of it cut, repeated, or other pieces put in.
fn changed(text: &str, changes: &[(usize, usize, Option<String>, bool)]) -> String {
    let mut text = text.to_owned();
    for (at, count, piece, repeat) in changes {
        let at = text.floor_char_boundary(at % (text.len() + 1));
        let end = text.floor_char_boundary((at + count).min(text.len()));
        let part = text[at..end].to_owned();
        match piece {
            Some(piece) => text.insert_str(at, piece),
            None if *repeat => text.insert_str(at, &part),
            None => text.replace_range(at..end, ""),
        }
    }
    text
}

fn changes(
    pieces: &'static [&'static str],
) -> impl Strategy<Value = Vec<(usize, usize, Option<String>, bool)>> {
    let piece = prop::sample::select(pieces).prop_map(str::to_owned);
    prop::collection::vec((0usize..4_000, 0usize..60, prop::option::of(piece), any::<bool>()), 0..6)
}

const YAML: &[&str] = &[
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!binary ",
    "|\n",
    ">\n",
    "---\n",
    "...\n",
    "? ",
    "<<: ",
    "\"",
    "'",
    "#",
    "%YAML 9.9\n",
    "null",
    "~",
    "0x1f",
    ".inf",
    "2026-13-99",
    "é",
    "\u{feff}",
    "\u{0}",
    "allow:\n",
    "deny:\n",
    "via: ",
    "kind: Approval\n",
    "from: ",
    "aws.role: ",
    "gcp.serviceAccount: ",
    "actions: ",
    "'*'",
    "999999999999999999999d",
    "-1d",
    "../../etc/passwd",
];
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "1",
    "\"x\"",
    "\"Arn\":",
    "\"arn:aws:iam::\"",
    "\\u0000",
    "\\ud800",
    "%7B",
    "[]",
    "{}",
];

/// Any JSON, with the words that derivation looks for.
fn value() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "bucketName",
        "key",
        "x-amz-copy-source",
        "copySource",
        "roleArn",
        "roleName",
        "role",
        "policyArn",
        "policyDocument",
        "policyName",
        "userName",
        "groupName",
        "tableName",
        "transactItems",
        "requestItems",
        "get",
        "put",
        "statement",
        "functionName",
        "modelId",
        "instancesSet",
        "items",
        "instanceId",
        "resourceArn",
        "tagSpecificationSet",
        "tags",
        "key",
        "value",
        "delete",
        "objects",
        "versionId",
        "durationSeconds",
        "roleSessionName",
        "policy",
        "policyArns",
        "credentials",
        "accessKeyId",
        "assumedRoleUser",
        "arn",
        "keyId",
        "secretId",
        "topicArn",
        "queueUrl",
        "iamInstanceProfile",
        "setAsDefault",
    ];
    let word = || prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "arn:aws:[a-z0-9]{0,6}:[a-z0-9-]{0,6}:[0-9]{0,12}:[a-zA-Z0-9/:*?-]{0,16}|[a-z0-9/:*?.%{}\"-]{0,24}|\\PC{0,8}".prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..10)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const CALLS: &[(&str, &str)] = &[
    ("s3", "CopyObject"),
    ("s3", "DeleteObjects"),
    ("s3", "PutObject"),
    ("s3", "ListBuckets"),
    ("iam", "PutRolePolicy"),
    ("iam", "AttachUserPolicy"),
    ("iam", "CreatePolicyVersion"),
    ("iam", "PutUserPermissionsBoundary"),
    ("iam", "CreateRole"),
    ("iam", "UpdateAssumeRolePolicy"),
    ("sts", "AssumeRole"),
    ("sts", "AssumeRoleWithWebIdentity"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "BatchGetItem"),
    ("dynamodb", "ExecuteStatement"),
    ("ec2", "RunInstances"),
    ("ec2", "CreateTags"),
    ("lambda", "Invoke"),
    ("lambda", "CreateFunction20150331"),
    ("bedrock", "Converse"),
    ("kms", "Decrypt"),
    ("secretsmanager", "GetSecretValue"),
    ("sqs", "SendMessage"),
    ("apigateway", "CreateRestApi"),
    ("nobody", "Unheard"),
];

fn folder_with(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    folder
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn manifests_of_any_kind_are_read_or_refused(changes in changes(YAML)) {
        let text = changed(MANIFEST, &changes);
        let folder = folder_with("a.yaml", &text);
        let (_, errors) = Manifests::survey(folder.path(), DateTime::UNIX_EPOCH);
        prop_assert!(errors.to_string().len() <= 20 * text.len() + 5_000, "{}", errors);
    }

    #[test]
    fn exports_of_any_kind_are_read_or_refused(changes in changes(JSON), value in value()) {
        for text in [changed(&exported().to_string(), &changes), json!({"RoleDetailList": value, "Policies": [value], "UserDetailList": [value]}).to_string(), value.to_string()] {
            let folder = folder_with("account.json", &text);
            if let Ok(grants) = Grants::load(folder.path()) {
                for identity in grants.identities() {
                    let _ = (grants.granted_permissions(&identity), grants.statements_of(&identity));
                }
            }
        }
    }

    #[test]
    fn calls_with_any_parameters_are_understood(
        which in prop::sample::select(CALLS), request in value(), response in value(), event_type in "AwsApiCall|AwsServiceEvent|AwsConsoleSignIn",
    ) {
        let record = json!({
            "eventVersion": "1.11", "eventID": "e", "eventTime": "2026-01-05T10:00:00Z", "eventSource": format!("{}.amazonaws.com", which.0),
            "eventName": which.1, "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "eventType": event_type,
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann", "accountId": "111122223333"},
            "requestParameters": request, "responseElements": response,
        });
        let object = ObjectRef { source: String::new(), bucket: "b".into(), key: "k".into(), version: String::new() };
        let read = read_object(&object, record.to_string().as_bytes(), &Limits::default(), &Redaction::default()).unwrap();
        prop_assert_eq!(read.batch.rows(), 1);
        let view = read.batch.view();
        for needed in permission::needed(&Call::of(&view, 0)) {
            prop_assert!(needed.permission.contains(':') && needed.permission.len() <= 200, "{}", needed.permission);
        }
        let _ = Issued::of(&view, 0);
        if let Some(change) = PolicyChange::of(&view, 0) {
            let grants = Grants::default();
            let unknown = grants.fault(&change);
            grants.apply(&[change.clone(), change.clone()]);
            prop_assert_eq!(grants.fault(&change), unknown);
            for identity in grants.identities() {
                let _ = (grants.granted_permissions(&identity), grants.at(&identity, 0));
            }
        }
    }
}

#[test]
fn a_manifest_that_grows_when_it_is_read_is_refused_in_time() {
    let started = Instant::now();
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs += &format!("a{level}: &a{level} [{below}]\n");
    }
    let bombs = [
        format!("{MANIFEST}{laughs}"),
        format!("{laughs}{MANIFEST}"),
        format!("apiVersion: remit/v1\nkind: Agent\nspec: {}", "[".repeat(200_000)),
        format!("apiVersion: remit/v1\nkind: Agent\nspec: {}x", "{a: ".repeat(50_000)),
        format!("{MANIFEST}  owners: {}\n", "- ".repeat(50_000)),
        "kind: &a [*a]\n".to_owned(),
        format!("apiVersion: remit/v1\nkind: {}\n", "x".repeat(5_000_000)),
    ];
    for text in bombs {
        let folder = folder_with("a.yaml", &text);
        let (read, errors) = Manifests::survey(folder.path(), DateTime::UNIX_EPOCH);
        assert!(
            read.agents.is_empty() || !errors.0.is_empty() || text.len() < 10_000,
            "{} bytes",
            text.len()
        );
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
