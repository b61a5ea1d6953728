//! Whatever stands in a policy, it is read, or refused with a reason, in time. `REMIT_CASES` sets how many inputs each
//! property is tried on; 300 by default. The text of Azure's and Google Cloud's conditions is tried in `clouds.rs`.

use policy::aws::{Policy, validate};
use policy::tool::{decide_aws, decide_azure, decide_gcp, match_operator, match_resource};
use policy::wildcard::{ActionPattern, ArnPattern};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn config() -> ProptestConfig {
    let cases = std::env::var("REMIT_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases.unwrap_or(300)) }
}

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":["s3:Get*","iam:PassRole"],
    "Resource":["arn:aws:s3:::b/${aws:username}/*","*"],"Condition":{"StringLike":{"aws:PrincipalTag/x":["a*","${*}"]},
    "IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}},
    {"Effect":"Deny","NotAction":"s3:*","NotResource":"arn:aws:s3:::c","Principal":{"AWS":["111122223333"]}}]}"#;

/// Pieces that policies are made of.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "null",
        "true",
        "1",
        "1e999",
        "\"Statement\":",
        "\"Effect\":",
        "\"Allow\"",
        "\"Action\":",
        "\"NotAction\":",
        "\"Resource\":",
        "\"Condition\":",
        "\"Principal\":",
        "\"*\"",
        "\"s3:*\"",
        "${",
        "$",
        "\"ForAllValues:StringLike\":",
        "\"IpAddress\":",
        "\"::/0\"",
        "\"10.0.0.0/99\"",
        "\"NumericLessThan\":",
        "\"Null\":",
        "\"DateEquals\":",
        "\"BinaryEquals\":",
        "\"aws:SourceIp\":",
        "\"Version\":",
        "\\u0000",
        "\\ud800",
        "é",
        "\u{202e}",
    ];
    prop::sample::select(PIECES).prop_map(str::to_owned)
}

/// A good document with some of its bytes changed, cut, repeated, or other pieces put in.
fn changed() -> impl Strategy<Value = String> {
    let change = (0usize..DOCUMENT.len(), 0usize..40, prop::option::of(piece()), any::<bool>());
    prop::collection::vec(change, 0..5).prop_map(|changes| {
        let mut text = DOCUMENT.to_owned();
        for (at, count, piece, repeat) in changes {
            let at = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((at + count).min(text.len()));
            let part = text.get(at..end).unwrap_or_default().to_owned();
            match piece {
                Some(piece) => text.insert_str(at, &piece),
                None if repeat => text.insert_str(at, &part),
                None => text.replace_range(at..end, ""),
            }
        }
        text
    })
}

fn value() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "Statement",
        "Effect",
        "Allow",
        "Deny",
        "Action",
        "Resource",
        "Condition",
        "Principal",
        "AWS",
        "StringEquals",
        "request",
        "action",
        "resource",
        "arn",
        "context",
        "identity_policies",
        "scps",
        "boundaries",
        "principal",
        "permissions",
        "permission",
        "actions",
        "notActions",
        "dataActions",
        "operation",
        "plane",
        "scope",
        "definitions",
        "assignments",
        "deny_assignments",
        "roles",
        "bindings",
        "members",
        "hierarchy",
        "deny_policies",
        "condition",
        "expression",
        "patterns",
        "operator",
        "policy_values",
        "value",
        "unknown_keys",
    ];
    let word = || prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z0-9:/*?${}.@=<>&|()' -]{0,24}|\\PC{0,8}".prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn documents_of_any_kind_are_read_or_refused(text in prop_oneof![changed(), prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())]) {
        let read = Policy::parse("rubbish", &text);
        if let Err(error) = &read {
            prop_assert!(error.to_string().len() <= 4 * text.len() + 1_000, "{}", error);
        }
        for kind in [policy::aws::Kind::Identity, policy::aws::Kind::Resource] {
            let _ = validate(kind, "rubbish", &text);
            let _ = Policy::parse_as(kind, "rubbish", &text);
        }
        // What is read is weighed too.
        if read.is_ok() {
            let document: Value = serde_json::from_str(&text).unwrap();
            let question = json!({"id": 1, "identity_policies": [document], "request": {"principal": "arn:aws:iam::111122223333:role/a",
                "action": "s3:GetObject", "resource": {"arn": "arn:aws:s3:::b/k", "account": "111122223333"}, "context": {}}});
            prop_assert!(decide_aws(&question)["decision"].is_string());
        }
    }

    #[test]
    fn questions_of_any_kind_are_answered(question in value(), request in value(), policies in value()) {
        let mut asked = question;
        if let Some(fields) = asked.as_object_mut() {
            fields.insert("request".to_owned(), request);
            fields.insert("identity_policies".to_owned(), policies.clone());
            fields.insert("permissions".to_owned(), policies);
        }
        for answer in [decide_aws, decide_azure, decide_gcp, match_operator, match_resource] {
            prop_assert!(answer(&asked).is_object());
        }
    }

    #[test]
    fn patterns_of_any_kind_are_matched(pattern in "\\PC{0,40}|[a:*?$\\{\\}]{0,40}", text in "\\PC{0,40}|[a:*?]{0,40}") {
        let _ = ActionPattern::new(&pattern).matches(&text);
        let _ = ArnPattern::with_variables(&pattern).may_share(&text);
    }
}

#[test]
fn a_pattern_of_stars_costs_no_more_than_its_length_times_the_texts() {
    let started = Instant::now();
    let pattern = "a*".repeat(2_000) + "b";
    let text = "a".repeat(10_000);
    let _ = ActionPattern::new(&pattern).matches_exactly(&text);
    let _ = ArnPattern::new(&format!("arn:aws:s3:::{pattern}")).may_share(&format!("arn:aws:s3:::{text}"));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn documents_that_never_end_are_refused_in_time() {
    let started = Instant::now();
    let statements = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},"#.repeat(20_000);
    let endless = [
        "[".repeat(1_000_000),
        "{\"Statement\":".repeat(100_000),
        format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.trim_end_matches(',')),
        format!(
            "{{\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":[{}\"a\"]}}]}}",
            "\"s3:*\",".repeat(200_000)
        ),
        format!("{{\"Statement\":\"{}\"}}", "x".repeat(5_000_000)),
    ];
    for text in endless {
        let _ = Policy::parse("endless", &text);
    }
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
