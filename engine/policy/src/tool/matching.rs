//! `remit tool match`: one operator against one value, or resource patterns against one ARN

use serde_json::{Map, Value, json};

use crate::aws::{Conditions, Resources};
use crate::context::{Context, Fact};
use crate::truth::Truth;
use crate::wildcard::{ArnPattern, Match, Target};

/// Patterns that one line may hold.
const PATTERNS_MAX: usize = 20_000;
/// What the tested value is called where the line does not say: a key that no service has.
const TESTED: &str = "remit:TestedValue";

/// Answers whether an operator holds: `{id, operator, policy_values, value, context}` to `{id, matches}`.
///
/// `value`: a text, number, boolean or list of them; null for a key that the request lacks. `context`: the keys that
/// policy variables read, a text or a list each; a key that it does not name is absent, save those of the list
/// `unknown_keys`. `version`: the policy's, `2012-10-17` unless said. Where it cannot be told, `matches` is null
/// and `missing_keys` says what would decide. A bad line is answered with its `id` and an `error`.
#[must_use]
pub fn match_operator(input: &Value) -> Value {
    reply(input, operator)
}

/// Answers whether a resource is meant: `{id, patterns, not, arn, context}` to `{id, matches}`.
///
/// `not`: the patterns stand in `NotResource`. The rest is as for [`match_operator`].
#[must_use]
pub fn match_resource(input: &Value) -> Value {
    reply(input, resource)
}

/// The answer, and where it cannot be told what would decide.
type Answer = (Truth, Vec<String>);

fn reply(input: &Value, answer: fn(&Map<String, Value>) -> Result<Answer, String>) -> Value {
    let id = input.get("id").cloned().unwrap_or(Value::Null);
    let Value::Object(input) = input else { return json!({"id": id, "error": "a line is a JSON object"}) };
    match answer(input) {
        Ok((Truth::True, _)) => json!({"id": id, "matches": true}),
        Ok((Truth::False, _)) => json!({"id": id, "matches": false}),
        Ok((Truth::Unknown, mut missing)) => {
            missing.sort_unstable();
            missing.dedup();
            json!({"id": id, "matches": null, "missing_keys": missing})
        }
        Err(error) => json!({"id": id, "error": error}),
    }
}

fn operator(input: &Map<String, Value>) -> Result<Answer, String> {
    let operator = text(input, "operator")?;
    let wanted = input.get("policy_values").ok_or("`policy_values` is missing")?;
    let key = match input.get("key") {
        None | Some(Value::Null) => TESTED,
        Some(_) => text(input, "key")?,
    };
    let mut context = context(input)?;
    if !unknown_keys(input)?.any(|unknown| unknown.eq_ignore_ascii_case(key)) {
        context.set(key, fact("value", input.get("value").unwrap_or(&Value::Null))?);
    }
    let test = Map::from_iter([(operator.to_owned(), json!({key: wanted}))]);
    let conditions = Conditions::read(&test, variables(input)?)
        .map_err(|(place, reason)| format!("`{place}`: {reason}"))?;
    let truth = conditions.truth(&context);
    let missing = if truth == Truth::Unknown { conditions.undecided(&context) } else { Vec::new() };
    Ok((truth, missing))
}

fn resource(input: &Map<String, Value>) -> Result<Answer, String> {
    let arn = text(input, "arn")?;
    let with_variables = variables(input)?;
    let written = match input.get("patterns") {
        Some(Value::Array(list)) if list.len() > PATTERNS_MAX => {
            return Err(format!("`patterns` holds more than {PATTERNS_MAX}"));
        }
        Some(Value::Array(list)) => list.as_slice(),
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        _ => return Err("`patterns` is missing or no list of texts".into()),
    };
    let mut patterns = Vec::with_capacity(written.len());
    for pattern in written {
        let pattern = pattern.as_str().ok_or("`patterns` must hold texts only")?;
        patterns.push(if with_variables {
            ArnPattern::with_variables(pattern)
        } else {
            ArnPattern::new(pattern)
        });
    }
    let not = match input.get("not") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(not)) => *not,
        Some(_) => return Err("`not` must be true or false".into()),
    };
    let context = context(input)?;
    let resources = Resources { not, patterns };
    Ok(match resources.matches_in(Target::Exact(arn), &context) {
        Match::Yes => (Truth::True, Vec::new()),
        Match::No => (Truth::False, Vec::new()),
        Match::Variable => (Truth::Unknown, resources.unknown_variables(&context).collect()),
        Match::Partly => (Truth::Unknown, vec!["resource".into()]),
        Match::Unclear => (Truth::Unknown, vec!["step_budget".into()]),
    })
}

/// What a line says of the request: complete, but for `unknown_keys`.
fn context(input: &Map<String, Value>) -> Result<Context, String> {
    let mut context = Context::complete();
    match input.get("context") {
        None | Some(Value::Null) => {}
        Some(Value::Object(keys)) => {
            for (key, value) in keys {
                context.set(key, fact(key, value)?);
            }
        }
        Some(_) => return Err("`context` must be an object of keys".into()),
    }
    unknown_keys(input)?.for_each(|key| context.set(key, Fact::Unknown));
    Ok(context)
}

fn unknown_keys(input: &Map<String, Value>) -> Result<impl Iterator<Item = &str>, String> {
    let list = match input.get("unknown_keys") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => list.as_slice(),
        Some(_) => return Err("`unknown_keys` must be a list of texts".into()),
    };
    Ok(list.iter().filter_map(Value::as_str))
}

fn fact(name: &str, value: &Value) -> Result<Fact, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(format!("`{name}` must be a text, a number, a boolean or a list of them")),
    };
    Ok(match value {
        Value::Null => Fact::Absent,
        Value::Array(list) => Fact::Values(list.iter().map(one).collect::<Result<_, String>>()?),
        value => Fact::Values(vec![one(value)?]),
    })
}

fn variables(input: &Map<String, Value>) -> Result<bool, String> {
    match input.get("version") {
        None | Some(Value::Null) => Ok(true),
        Some(Value::String(version)) if version == "2012-10-17" => Ok(true),
        Some(Value::String(version)) if version == "2008-10-17" => Ok(false),
        Some(_) => Err("`version` must be \"2012-10-17\" or \"2008-10-17\"".into()),
    }
}

fn text<'a>(input: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    input.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing or no text"))
}
