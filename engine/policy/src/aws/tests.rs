use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::context::Context;
use crate::wildcard::Target;

fn policy(statements: Value) -> Arc<Policy> {
    Arc::new(Policy::from_json("p", &json!({"Version": "2012-10-17", "Statement": statements})).unwrap())
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

fn deny(action: &str, resource: &str) -> Value {
    json!({"Effect": "Deny", "Action": action, "Resource": resource})
}

const OBJECT: &str = "arn:aws:s3:::acme/k";

fn ask<'a>(action: &'a str, resource: &'a str) -> Request<'a> {
    Request::new(action, Target::Exact(resource), Box::leak(Box::new(Context::partial())))
}

fn identity(statements: Value, action: &str, resource: &str) -> Decision {
    let policies = [policy(statements)];
    decide(&Layers { identity: &policies, ..Layers::default() }, &ask(action, resource))
}

#[test]
fn an_allow_grants_what_it_names_and_nothing_beside() {
    let granted = json!([allow("s3:Get*", "arn:aws:s3:::acme/*")]);
    assert_eq!(identity(granted.clone(), "s3:GetObject", OBJECT).effect, Answer::Allowed);
    let put = identity(granted.clone(), "s3:PutObject", OBJECT);
    assert_eq!((put.effect, put.blocked_by), (Answer::ImplicitlyDenied, vec!["identity"]));
    assert_eq!(identity(granted, "s3:GetObject", "arn:aws:s3:::acme").effect, Answer::ImplicitlyDenied);
}

#[test]
fn a_deny_beats_any_allow() {
    let both = json!([allow("*", "*"), deny("s3:Delete*", "arn:aws:s3:::acme/*")]);
    let denied = identity(both.clone(), "s3:DeleteObject", OBJECT);
    assert_eq!((denied.effect, denied.decisive[0].statement.as_str()), (Answer::ExplicitlyDenied, "1"));
    assert_eq!(identity(both, "s3:DeleteObject", "arn:aws:s3:::other/k").effect, Answer::Allowed);
}

#[test]
fn not_action_and_not_resource_are_complements() {
    let all_but = json!([{"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::acme/*"}]);
    assert_eq!(identity(all_but.clone(), "s3:GetObject", "arn:aws:s3:::other/k").effect, Answer::Allowed);
    assert_eq!(identity(all_but.clone(), "s3:GetObject", OBJECT).effect, Answer::ImplicitlyDenied);
    assert_eq!(identity(all_but, "IAM:CreateUser", "arn:aws:s3:::other/k").effect, Answer::ImplicitlyDenied);
}

#[test]
fn a_condition_is_never_an_allow() {
    let conditional = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]);
    let answer = identity(conditional.clone(), "s3:GetObject", OBJECT);
    assert_eq!(
        (answer.effect, answer.missing_keys),
        (Answer::Unknown, vec!["aws:SecureTransport".to_owned()])
    );
    // near-miss: the condition of a statement that does not match asks for nothing
    assert_eq!(identity(conditional, "ec2:RunInstances", "*").effect, Answer::ImplicitlyDenied);
}

#[test]
fn a_conditional_deny_leaves_an_allow_unknown_and_a_lack_of_one_denied() {
    let condition = json!({"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}});
    let answer = identity(json!([allow("s3:*", "*"), condition]), "s3:GetObject", OBJECT);
    assert_eq!((answer.effect, answer.missing_keys), (Answer::Unknown, vec!["aws:SourceIp".to_owned()]));
    assert_eq!(identity(json!([condition]), "s3:GetObject", OBJECT).effect, Answer::ImplicitlyDenied);
}

#[test]
fn a_boundary_limits_and_never_grants() {
    let (all, reads) = ([policy(json!([allow("*", "*")]))], [policy(json!([allow("s3:Get*", "*")]))]);
    let layers = Layers { identity: &all, boundary: Some(&reads), ..Layers::default() };
    assert_eq!(decide(&layers, &ask("s3:GetObject", OBJECT)).effect, Answer::Allowed);
    let put = decide(&layers, &ask("s3:PutObject", OBJECT));
    assert_eq!((put.effect, put.blocked_by), (Answer::ImplicitlyDenied, vec!["boundary"]));
    let alone = Layers { boundary: Some(&reads), ..Layers::default() };
    assert_eq!(decide(&alone, &ask("s3:GetObject", OBJECT)).effect, Answer::ImplicitlyDenied);
}

#[test]
fn every_level_of_service_control_policies_must_allow() {
    let all = [policy(json!([allow("*", "*")]))];
    let level = |action: &str| vec![policy(json!([allow(action, "*")]))];
    let scps = [level("*"), level("s3:*")];
    let layers = Layers { identity: &all, scps: &scps, ..Layers::default() };
    assert_eq!(decide(&layers, &ask("s3:GetObject", OBJECT)).effect, Answer::Allowed);
    assert_eq!(decide(&layers, &ask("ec2:RunInstances", "*")).blocked_by, ["scp"]);
    // within one level the policies add up
    let scps = [[level("ec2:*"), level("s3:*")].concat()];
    let layers = Layers { identity: &all, scps: &scps, ..Layers::default() };
    assert_eq!(decide(&layers, &ask("ec2:RunInstances", "*")).effect, Answer::Allowed);
}

#[test]
fn a_session_policy_narrows() {
    let (all, one) = ([policy(json!([allow("*", "*")]))], [policy(json!([allow("s3:GetObject", OBJECT)]))]);
    let layers = Layers { identity: &all, session: Some(&one), ..Layers::default() };
    assert_eq!(decide(&layers, &ask("s3:GetObject", OBJECT)).effect, Answer::Allowed);
    assert_eq!(decide(&layers, &ask("s3:GetObject", "arn:aws:s3:::acme/other")).blocked_by, ["session"]);
}

#[test]
fn a_layer_that_is_not_judged_leaves_only_explicit_denials() {
    let policies = [policy(json!([allow("s3:Get*", "*"), deny("s3:DeleteObject", "*")]))];
    let layers = Layers { identity: &policies, unjudged: &["resource"], ..Layers::default() };
    for (action, expected) in [
        ("s3:GetObject", Answer::Unknown),
        ("s3:PutObject", Answer::Unknown),
        ("s3:DeleteObject", Answer::ExplicitlyDenied),
    ] {
        assert_eq!(decide(&layers, &ask(action, OBJECT)).effect, expected, "{action}");
    }
}

#[test]
fn variables_count_only_in_the_newer_version() {
    let statement = json!([allow("s3:GetObject", "arn:aws:s3:::home/${aws:username}/*")]);
    let new = identity(statement.clone(), "s3:GetObject", "arn:aws:s3:::home/ann/x");
    assert_eq!((new.effect, new.missing_keys), (Answer::Unknown, vec!["aws:username".to_owned()]));
    let old = [Arc::new(
        Policy::from_json("p", &json!({"Version": "2008-10-17", "Statement": statement})).unwrap(),
    )];
    let layers = Layers { identity: &old, ..Layers::default() };
    assert_eq!(
        decide(&layers, &ask("s3:GetObject", "arn:aws:s3:::home/ann/x")).effect,
        Answer::ImplicitlyDenied
    );
}

#[test]
fn a_malformed_policy_tells_its_place() {
    let cases = [
        (json!({"Statement": []}), "Statement"),
        (json!({"Version": "2013-10-17", "Statement": allow("*", "*")}), "Version"),
        (json!({"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}), "Statement[0].Effect"),
        (
            json!({"Statement": [allow("*", "*"), {"Effect": "Allow", "Action": "GetObject", "Resource": "*"}]}),
            "Statement[1].Action",
        ),
        (json!({"Statement": {"Effect": "Allow", "Action": "*"}}), "Statement[0]"),
        (
            json!({"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}}),
            "Statement[0]",
        ),
        (
            json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "bucket"}}),
            "Statement[0].Resource",
        ),
        (
            json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}),
            "Statement[0].Principal",
        ),
        (json!({"Statement": allow("*", "*"), "Extra": 1}), "Extra"),
    ];
    for (document, place) in cases {
        assert_eq!(Policy::from_json("p", &document).unwrap_err().place, place, "{document}");
    }
    let twice = r#"{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    assert!(Policy::parse("p", twice).unwrap_err().reason.contains("twice"));
    assert_eq!(Policy::parse("p", "{").unwrap_err().place, "line 1 column 1");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Policy::parse("p", &deep).is_err());
}

#[test]
fn the_tool_answers_a_bad_line_and_goes_on() {
    let line = json!({"id": 7, "request": {"action": "s3:GetObject", "resource": {"arn": OBJECT}}, "identity_policies": [{"Statement": allow("s3:*", "*")}]});
    let answer = crate::tool::decide_aws(&line);
    assert_eq!((&answer["id"], &answer["decision"]), (&json!(7), &json!("Allowed")));
    assert!(crate::tool::decide_aws(&json!({"id": 8, "request": {}}))["error"].is_string());
    assert!(crate::tool::decide_aws(&json!(3))["error"].is_string());
}

/// The slow and obvious evaluator: two effects, no conditions, one layer.
fn obvious(statements: &[(bool, String, String)], action: &str, resource: &str) -> Answer {
    let hit = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => text == pattern,
    };
    let matching: Vec<bool> = statements
        .iter()
        .filter(|(_, a, r)| hit(a, action) && hit(r, resource))
        .map(|(deny, ..)| *deny)
        .collect();
    match (matching.contains(&true), matching.contains(&false)) {
        (true, _) => Answer::ExplicitlyDenied,
        (_, true) => Answer::Allowed,
        _ => Answer::ImplicitlyDenied,
    }
}

proptest! {
    #[test]
    fn the_evaluator_agrees_with_the_obvious_one(
        statements in prop::collection::vec((any::<bool>(), "(s3:(Get|Put|G)?\\*|s3:Get|\\*)", "(arn:aws:s3:::(a|b)?(/k)?\\*|\\*)"), 1..6),
        action in "s3:(Get|Put|Got)", resource in "arn:aws:s3:::(a|b|ab)/(k|kk)"
    ) {
        let json: Vec<Value> = statements.iter().map(|(d, a, r)| if *d { deny(a, r) } else { allow(a, r) }).collect();
        prop_assert_eq!(identity(json!(json), &action, &resource).effect, obvious(&statements, &action, &resource));
    }

    #[test]
    fn adding_a_deny_never_widens(action in "s3:(Get|Put)", denied in "s3:(Get|Put|\\*)", resource in "(arn:aws:s3:::a/\\*|\\*)") {
        let before = identity(json!([allow("s3:*", "*")]), &action, "arn:aws:s3:::a/k").effect;
        let after = identity(json!([allow("s3:*", "*"), deny(&denied, &resource)]), &action, "arn:aws:s3:::a/k").effect;
        prop_assert!(after == before || after == Answer::ExplicitlyDenied);
    }
}
