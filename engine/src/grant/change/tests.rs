use super::*;
use ingest::{Limits, Redaction};
use serde_json::json;

fn read(event: Value) -> Option<PolicyChange> {
    let mut record = json!({
        "eventVersion": "1.11", "eventID": "e-1", "eventTime": "2026-11-03T14:02:11Z", "eventType": "AwsApiCall",
        "eventCategory": "Management", "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
        "sourceIPAddress": "203.0.113.7", "userAgent": "x", "eventSource": "iam.amazonaws.com",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "userName": "admin",
            "accountId": "111122223333", "arn": "arn:aws:iam::111122223333:user/admin"},
    });
    record.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    let batch = ingest::formats::cloudtrail::read_record(
        &record.to_string(),
        &Limits::default(),
        &Redaction::default(),
    )
    .unwrap();
    PolicyChange::of(&batch.view(), 0)
}

fn iam_event(operation: &str, request: Value, response: Value) -> Option<Change> {
    let event = json!({"eventName": operation, "requestParameters": request, "responseElements": response});
    read(event).map(|change| Change::clone(&change.what))
}

fn role(name: &str) -> PrincipalName {
    PrincipalName { account: "111122223333".into(), kind: PrincipalKind::Role, name: name.into() }
}

const POLICY: &str = "arn:aws:iam::111122223333:policy/p";

#[test]
fn each_operation_makes_its_change() {
    let user = PrincipalName { kind: PrincipalKind::User, ..role("ann") };
    let document = r#"{"Statement": []}"#;
    let cases = [
        (
            iam_event(
                "PutRolePolicy",
                json!({"roleName": "x", "policyName": "p", "policyDocument": document}),
                Value::Null,
            ),
            Change::Put { holder: role("x"), policy: "p".into(), document: Some(document.into()) },
        ),
        (
            iam_event("DeleteUserPolicy", json!({"userName": "ann", "policyName": "p"}), Value::Null),
            Change::Remove { holder: user.clone(), policy: "p".into() },
        ),
        (
            iam_event("DetachRolePolicy", json!({"roleName": "x", "policyArn": POLICY}), Value::Null),
            Change::Detach { holder: role("x"), policy: POLICY.into() },
        ),
        (
            iam_event("DeleteRolePermissionsBoundary", json!({"roleName": "x"}), Value::Null),
            Change::Bound { holder: role("x"), policy: None },
        ),
        (
            iam_event("AddUserToGroup", json!({"userName": "ann", "groupName": "devs"}), Value::Null),
            Change::Join { user, group: "devs".into() },
        ),
        (
            iam_event(
                "CreatePolicyVersion",
                json!({"policyArn": POLICY, "policyDocument": document, "setAsDefault": false}),
                json!({"policyVersion": {"versionId": "v3", "isDefaultVersion": false}}),
            ),
            Change::Version {
                policy: POLICY.into(),
                version: "v3".into(),
                document: Some(document.into()),
                is_default: false,
            },
        ),
        (
            iam_event(
                "CreatePolicy",
                json!({"policyName": "p", "policyDocument": document}),
                json!({"policy": {"arn": POLICY, "defaultVersionId": "v1"}}),
            ),
            Change::Version {
                policy: POLICY.into(),
                version: "v1".into(),
                document: Some(document.into()),
                is_default: true,
            },
        ),
        (
            iam_event(
                "CreateRole",
                json!({"roleName": "x", "path": "/agents/", "tags": [{"key": "Team", "value": "red"}]}),
                json!({"role": {"arn": "arn:aws:iam::111122223333:role/agents/x"}}),
            ),
            Change::Create {
                holder: role("x"),
                arn: Some("arn:aws:iam::111122223333:role/agents/x".into()),
                boundary: None,
                tags: [("Team".to_owned(), "red".to_owned())].into_iter().collect(),
            },
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(change, Some(expected));
    }
    assert_eq!(iam_event("ListRoles", json!({}), Value::Null), None);
    assert_eq!(
        iam_event("PutRolePolicy", json!({"policyName": "p"}), Value::Null),
        None,
        "whose is not said"
    );
}

#[test]
fn what_failed_changed_nothing() {
    let event = json!({"eventName": "DetachRolePolicy", "errorCode": "AccessDenied",
        "requestParameters": {"roleName": "x", "policyArn": POLICY}});
    assert_eq!(read(event), None);
}

#[test]
fn a_session_is_kept_where_something_narrows_it() {
    let assume = |parameters: Value| {
        read(
            json!({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "requestParameters": parameters,
            "responseElements": {"credentials": {"accessKeyId": "ASIAEXAMPLE"}}}),
        )
    };
    let arn = "arn:aws:iam::111122223333:role/x";
    assert_eq!(assume(json!({"roleArn": arn, "roleSessionName": "s"})), None);
    let narrowed = assume(
        json!({"roleArn": arn, "policyArns": [{"arn": POLICY}], "tags": [{"key": "k", "value": "v"}]}),
    );
    let expected = Change::Session {
        session: "ASIAEXAMPLE".into(),
        documents: vec![],
        policies: vec![POLICY.into()],
        tags: [("k".to_owned(), "v".to_owned())].into_iter().collect(),
    };
    assert_eq!(*narrowed.unwrap().what, expected);
}

#[test]
fn a_file_without_a_change_is_known_at_a_glance() {
    assert!(PolicyChange::may_be_in(br#"{"eventSource":"iam.amazonaws.com"}"#));
    assert!(PolicyChange::may_be_in(br#"{"eventName":"AssumeRole","requestParameters":{"policy":"{}"}}"#));
    assert!(!PolicyChange::may_be_in(br#"{"eventName":"AssumeRole","requestParameters":{}}"#));
    assert!(!PolicyChange::may_be_in(br#"{"eventSource":"s3.amazonaws.com"}"#));
}

#[test]
fn a_change_is_the_same_after_it_was_kept() {
    let change = PolicyChange {
        time: 7,
        event_id: "e".into(),
        what: Change::Bound { holder: role("x"), policy: None }.into(),
    };
    let kept = serde_json::to_string(&change).unwrap();
    assert_eq!(serde_json::from_str::<PolicyChange>(&kept).unwrap(), change);
}
