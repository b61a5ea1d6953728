//! One line in, one line out: what the questions of Azure and Google Cloud share

use serde_json::{Map, Value, json};

use crate::context::{Context, Fact};
use crate::judgement::Judgement;

/// The answer with the question's `id`; a fault in its place.
pub(super) fn answered(input: &Value, answer: fn(&Value) -> Result<Value, String>) -> Value {
    let id = input.get("id").cloned().unwrap_or(Value::Null);
    match answer(input) {
        Ok(Value::Object(mut answer)) => {
            answer.insert("id".into(), id);
            Value::Object(answer)
        }
        Ok(other) => other,
        Err(error) => json!({"id": id, "error": error}),
    }
}

pub(super) fn told(judgement: &Judgement) -> Value {
    let decisive: Vec<Value> = judgement
        .decisive
        .iter()
        .map(|one| json!({"layer": one.layer, "policy": one.policy, "statement": one.statement}))
        .collect();
    json!({
        "decision": judgement.answer.as_str(),
        "decisive": decisive,
        "missing_keys": judgement.missing_keys,
    })
}

pub(super) fn text<'a>(input: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    input.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing or no text"))
}

/// A list, or what the REST interface wraps one in.
pub(super) fn items<'a>(input: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match input.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(Value::Object(wrapped)) if wrapped.get("value").is_some_and(Value::is_array) => {
            Ok(wrapped.get("value").and_then(Value::as_array).map_or(&[], Vec::as_slice))
        }
        Some(_) => Err(format!("`{key}` must be a list")),
    }
}

pub(super) fn texts(value: &Value, key: &str) -> Result<Vec<String>, String> {
    let fault = || format!("`{key}` must be a list of texts");
    let list = value.as_array().ok_or_else(fault)?;
    list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(fault)).collect()
}

/// Each key is known as it stands; what is left out is unknown.
pub(super) fn context(input: &Map<String, Value>) -> Result<Context, String> {
    let mut context = Context::partial();
    match input.get("context") {
        None | Some(Value::Null) => {}
        Some(Value::Object(keys)) => {
            for (key, value) in keys {
                let fact = match value {
                    Value::Null => Fact::Absent,
                    Value::String(text) => Fact::one(text),
                    Value::Bool(_) | Value::Number(_) => Fact::one(value.to_string()),
                    list => Fact::Values(texts(list, &format!("context.{key}"))?),
                };
                context.set(key, fact);
            }
        }
        Some(_) => return Err("`context` must be an object".into()),
    }
    Ok(context)
}
