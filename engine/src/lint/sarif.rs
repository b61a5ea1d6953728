//! SARIF 2.1.0, which code hosts show beside the changed line
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Lint, RULES};

/// The log file. `version` is remit's own.
#[must_use]
pub fn sarif(lints: &[Lint], version: &str) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": name(rule.id),
                "shortDescription": {"text": rule.about},
                "fullDescription": {"text": format!("{}: {}.", rule.about, rule.help)},
                "help": {"text": rule.help},
                "defaultConfiguration": {"level": rule.level.as_str()},
            })
        })
        .collect();
    let results: Vec<Value> = lints.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "remit",
                "semanticVersion": version,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(lint: &Lint) -> Value {
    let mut location = json!({"artifactLocation": {"uri": uri(&lint.file)}});
    // Lines begin at 1: what has none is about the file.
    if lint.line > 0
        && let Some(fields) = location.as_object_mut()
    {
        fields.insert("region".to_owned(), json!({"startLine": lint.line}));
    }
    json!({
        "ruleId": lint.rule,
        "ruleIndex": RULES.iter().position(|rule| rule.id == lint.rule),
        "level": lint.level.as_str(),
        "message": {"text": format!("{}. To do: {}", lint.message, lint.fix)},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"remit/v1": lint.fingerprint()},
        "properties": {"agent": lint.agent, "permissions": lint.permissions},
    })
}

/// `unknown-action` as `UnknownAction`: the specification wants one word that people can read.
fn name(id: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    id.split('-').map(capital).collect()
}

/// A path as a relative reference: what is no plain letter of a path is written as its bytes.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_as_sarif_wants_them() {
        assert_eq!(name("unknown-action"), "UnknownAction");
        assert_eq!(uri("agents/a b#1.yaml"), "agents/a%20b%231.yaml");
    }
}
