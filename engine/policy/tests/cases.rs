//! Small cases, one a line: `{id, about, ...a question of remit tool..., expected}`
//!
//! A file's name up to its first underscore says which question its lines ask. Of an answer only the fields of
//! `expected` are compared; `"error": true` there means any error.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a case that cannot be read fails"
)]

use std::path::Path;

use policy::aws::{Kind, Policy, PolicyError, validate};
use serde_json::{Value, json};

/// Asks every line of the files of one family.
fn family(prefix: &str, cases_min: usize, ask: fn(&Value) -> Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut cases, mut wrong, mut ids) = (0, Vec::new(), std::collections::HashSet::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.split('_').next() != Some(prefix) || !name.ends_with(".jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, written) in text.lines().enumerate().filter(|(_, written)| !written.trim().is_empty()) {
            let place = format!("{name}:{}", line + 1);
            let case: Value =
                serde_json::from_str(written).unwrap_or_else(|error| panic!("{place}: {error}"));
            let expected = case["expected"].as_object().unwrap_or_else(|| panic!("{place}: no `expected`"));
            assert!(case["about"].is_string(), "{place}: no `about`");
            assert!(ids.insert(case["id"].to_string()), "{place}: id {} is given twice", case["id"]);
            let answer = ask(&case);
            cases += 1;
            let differs = expected.iter().any(|(field, wanted)| match (field.as_str(), wanted) {
                ("error", Value::Bool(wanted)) => answer["error"].is_string() != *wanted,
                (field, wanted) => answer.get(field) != Some(wanted),
            });
            // An answer is no error unless one is expected.
            if differs || (answer.get("error").is_some() && !expected.contains_key("error")) {
                wrong
                    .push(format!("{place}: {}: expected {}, got {answer}", case["about"], case["expected"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases >= cases_min, "{prefix}: only {cases} cases");
    eprintln!("{prefix}: {cases} cases");
}

#[test]
fn operators_hold_as_the_documentation_says() {
    family("condition", 300, policy::tool::match_operator);
}

#[test]
fn resources_match_as_the_documentation_says() {
    family("match", 80, policy::tool::match_resource);
}

#[test]
fn requests_are_decided_as_the_documentation_says() {
    family("decide", 300, policy::tool::decide_aws);
}

/// Whether AWS would have stored a document, whether it would take it today, and the place of what is wrong.
fn document(case: &Value) -> Value {
    let kind = match case["kind"].as_str().unwrap_or("identity") {
        "identity" => Kind::Identity,
        "session" => Kind::Session,
        "service_control" => Kind::ServiceControl,
        "resource_control" => Kind::ResourceControl,
        "resource" => Kind::Resource,
        "trust" => Kind::Trust,
        "endpoint" => Kind::Endpoint,
        other => panic!("no kind `{other}`"),
    };
    let text = case["document"].as_str().map_or_else(|| case["document"].to_string(), str::to_owned);
    let stored = Policy::parse_as(kind, "p", &text);
    let written = validate(kind, "p", &text);
    let place = |error: &PolicyError| error.place.clone();
    json!({
        "stored": stored.is_ok(),
        "written": written.is_ok(),
        "place": stored.as_ref().err().or(written.as_ref().err()).map(place),
    })
}

#[test]
fn documents_are_told_apart_as_the_documentation_says() {
    family("document", 100, document);
}

#[test]
fn azure_is_weighed_as_the_documentation_says() {
    family("azure", 130, policy::tool::decide_azure);
}

#[test]
fn google_cloud_is_weighed_as_the_documentation_says() {
    family("gcp", 130, policy::tool::decide_gcp);
}
