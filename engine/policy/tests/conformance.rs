//! Documents and answers that others have published, read where they lie

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a case that cannot be read fails")]

use std::path::PathBuf;

use policy::aws::{Kind, Policy, validate};
use policy::tool::decide_aws;
use serde_json::{Map, Value, json};

/// The lines of a file below the folder that a variable names, or a word on the console that the test was skipped.
fn lines(variable: &str, file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os(variable).map(PathBuf::from) else {
        eprintln!("skipped: {variable} is not set");
        return None;
    };
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    Some(
        text.lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// One case of AWS's simulator as `remit tool decide` takes it. Its boundaries are one list that adds up.
fn asked(case: &Value) -> Value {
    let mut context = Map::new();
    for entry in case["request"]["context"].as_array().into_iter().flatten() {
        let values = &entry["ContextKeyValues"];
        let value = if values.as_array().is_some_and(|list| list.len() == 1) { &values[0] } else { values };
        context.insert(entry["ContextKeyName"].as_str().unwrap().to_owned(), value.clone());
    }
    json!({
        "id": case["id"],
        "request": {
            "principal": case["request"]["principal"],
            "action": case["request"]["action"],
            "resource": {"arn": case["request"]["resource"], "account": case["request"]["resourceOwner"]},
            "context": context,
        },
        "identity_policies": case["identityPolicies"],
        "boundaries": case["boundaryOrScpPolicies"],
        "resource_policy": case["resourcePolicy"],
    })
}

#[test]
fn the_simulators_answers_are_ours() {
    let Some(cases) = lines("REMIT_CONFORMANCE", "policies/politest_01_10.jsonl") else { return };
    for case in &cases {
        let expected = match case["expected"].as_str().unwrap() {
            "allowed" => "Allowed",
            "explicitDeny" => "ExplicitlyDenied",
            _ => "ImplicitlyDenied",
        };
        let answer = decide_aws(&asked(case));
        assert_eq!(answer["decision"], expected, "{case}\n{answer}");
        // As an organisation's level the same documents weigh the same.
        let mut level = asked(case);
        let documents = level["boundaries"].take();
        if documents.as_array().is_some_and(|list| !list.is_empty()) {
            level["scps"] = json!([documents]);
        }
        assert_eq!(decide_aws(&level)["decision"], expected, "{case}");
    }
    eprintln!("{} agree", cases.len());
}

#[test]
fn iams_refusals_are_ours() {
    let Some(cases) = lines("REMIT_CONFORMANCE", "policies/moto_policy_validation.jsonl") else { return };
    for case in &cases {
        let document = &case["document"];
        let text = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
        let written = validate(Kind::Identity, "p", &text);
        assert_eq!(Value::Bool(written.is_ok()), case["valid"], "{case}\n{written:?}");
        if let Err(error) = written {
            assert!(!error.place.is_empty() && !error.reason.is_empty(), "{case}");
        }
        // What AWS has stored may say an older version or none; nothing else is forgiven.
        let stored = Policy::parse("p", &text).is_ok();
        let by_version = case["error_message"].as_str().is_some_and(|text| text.contains("must be version"));
        let mut newer = document.clone();
        if by_version {
            newer["Version"] = json!("2012-10-17");
        }
        let expected =
            if by_version { Policy::from_json("p", &newer).is_ok() } else { case["valid"] == true };
        assert_eq!(stored, expected, "{case}");
        let answer = decide_aws(&json!({
            "id": case["id"],
            "request": {"action": "s3:ListBucket", "resource": {"arn": "arn:aws:s3:::example_bucket"}},
            "identity_policies": [document],
        }));
        assert_eq!(answer["error"].is_null(), stored, "{case}\n{answer}");
    }
    eprintln!("{} told apart", cases.len());
}

#[test]
fn every_managed_policy_is_read() {
    let Some(policies) = lines("REMIT_REFERENCE", "aws_managed_policies.jsonl") else { return };
    let mut refused = Vec::new();
    for policy in policies.iter().filter(|policy| policy["document"].is_object()) {
        let name = policy["name"].as_str().unwrap_or_default();
        refused.extend(validate(Kind::Identity, name, &policy["document"].to_string()).err());
    }
    assert_eq!(refused, []);
}
