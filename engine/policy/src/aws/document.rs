//! Reading a policy document: strict, bounded, and with the place of what is wrong

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Actions, Conditions, Effect, Policy, PolicyError, Resources, Statement};
use crate::wildcard::{ActionPattern, ArnPattern};

/// AWS takes at most some 33,000 characters (a key policy); more is no policy.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
const STATEMENTS_MAX: usize = 2_000;
/// Patterns of one statement.
const PATTERNS_MAX: usize = 20_000;

pub(super) fn parse(name: &str, text: &str) -> Result<Policy, PolicyError> {
    let fault = |place: String, reason: String| PolicyError { policy: name.to_owned(), place, reason };
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(fault(
            "document".into(),
            format!("longer than {DOCUMENT_BYTES_MAX} bytes, which no policy is"),
        ));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let document = Once.deserialize(&mut json).and_then(|document| json.end().map(|()| document));
    let document = document.map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
        fault(place, reason)
    })?;
    from_json(name, &document)
}

pub(super) fn from_json(name: &str, document: &Value) -> Result<Policy, PolicyError> {
    let fault = |(place, reason): Fault| PolicyError { policy: name.to_owned(), place, reason };
    read(document).map(|statements| Policy { name: name.to_owned(), statements }).map_err(fault)
}

/// Place and reason.
type Fault = (String, String);

fn fault<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, Fault> {
    Err((place.into(), reason.into()))
}

fn read(document: &Value) -> Result<Vec<Statement>, Fault> {
    let Value::Object(document) = document else {
        return fault("document", "a policy is a JSON object");
    };
    for key in document.keys() {
        if !matches!(key.as_str(), "Version" | "Id" | "Statement") {
            return fault(key, "unknown element. Known: Version, Id, Statement");
        }
    }
    let variables = match document.get("Version") {
        None => false,
        Some(Value::String(version)) if version == "2008-10-17" => false,
        Some(Value::String(version)) if version == "2012-10-17" => true,
        Some(_) => return fault("Version", "must be \"2012-10-17\" or \"2008-10-17\""),
    };
    let written: Vec<&Value> = match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        Some(_) => return fault("Statement", "must be an object or a list of objects"),
        None => return fault("Statement", "is missing"),
    };
    if written.is_empty() {
        return fault("Statement", "is empty");
    }
    if written.len() > STATEMENTS_MAX {
        return fault("Statement", format!("more than {STATEMENTS_MAX} statements"));
    }
    let mut statements = Vec::with_capacity(written.len());
    for (index, raw) in written.into_iter().enumerate() {
        statements.push(statement(index, raw, variables)?);
    }
    Ok(statements)
}

fn statement(index: usize, raw: &Value, variables: bool) -> Result<Statement, Fault> {
    let at = |key: &str| format!("Statement[{index}].{key}");
    let Value::Object(map) = raw else {
        return fault(format!("Statement[{index}]"), "must be an object");
    };
    for key in map.keys() {
        match key.as_str() {
            "Sid" | "Effect" | "Action" | "NotAction" | "Resource" | "NotResource" | "Condition" => {}
            "Principal" | "NotPrincipal" => {
                return fault(
                    at(key),
                    "names a principal: this is a resource's policy, and none that an identity holds",
                );
            }
            _ => {
                return fault(
                    at(key),
                    "unknown element. Known: Sid, Effect, Action, NotAction, Resource, NotResource, Condition",
                );
            }
        }
    }
    let sid = match map.get("Sid") {
        None => None,
        Some(Value::String(sid)) => Some(sid.clone()),
        Some(_) => return fault(at("Sid"), "must be a text"),
    };
    let effect = match map.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return fault(at("Effect"), "must be \"Allow\" or \"Deny\""),
    };
    let (not_action, actions) = either(map, "Action", "NotAction", index)?;
    let (not_resource, resources) = either(map, "Resource", "NotResource", index)?;
    for action in &actions {
        let Some((service, name)) = action.split_once(':') else {
            if !action.is_empty() && action.bytes().all(|b| b == b'*') {
                continue;
            }
            return fault(
                at("Action"),
                format!("`{action}` has no service. Write `service:{action}`, or `*`"),
            );
        };
        if service.is_empty() || name.is_empty() {
            return fault(at("Action"), format!("`{action}` is no `service:action`"));
        }
    }
    for resource in &resources {
        // `a*` may grow into an ARN; AWS accepts it where its beginning is an ARN's.
        let head = resource.trim_end_matches('*');
        let grows = head.len() < resource.len() && "arn:".starts_with(head);
        if !grows && !resource.starts_with("arn:") && !resource.starts_with("${") {
            return fault(at("Resource"), format!("`{resource}` is neither an ARN nor `*`"));
        }
    }
    let pattern =
        |text: &String| if variables { ArnPattern::with_variables(text) } else { ArnPattern::new(text) };
    Ok(Statement {
        sid,
        index,
        effect,
        actions: Actions {
            not: not_action,
            patterns: actions.iter().map(|text| ActionPattern::new(text)).collect(),
        },
        resources: Resources { not: not_resource, patterns: resources.iter().map(pattern).collect() },
        conditions: conditions(map, index, variables)?,
        raw: raw.clone(),
    })
}

/// One of an element and its negation, as a list of texts.
fn either(
    map: &Map<String, Value>,
    plain: &str,
    negated: &str,
    index: usize,
) -> Result<(bool, Vec<String>), Fault> {
    let (not, key, value) = match (map.get(plain), map.get(negated)) {
        (Some(value), None) => (false, plain, value),
        (None, Some(value)) => (true, negated, value),
        (Some(_), Some(_)) => {
            return fault(format!("Statement[{index}]"), format!("has both {plain} and {negated}"));
        }
        (None, None) => {
            return fault(format!("Statement[{index}]"), format!("has neither {plain} nor {negated}"));
        }
    };
    let place = || format!("Statement[{index}].{key}");
    let texts = match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => {
            let mut texts = Vec::new();
            for one in list {
                match one {
                    Value::String(text) => texts.push(text.clone()),
                    // AWS accepts a null among resources and ignores it.
                    Value::Null => {}
                    _ => return fault(place(), "must hold texts only"),
                }
            }
            texts
        }
        _ => return fault(place(), "must be a text or a list of texts"),
    };
    if texts.is_empty() {
        return fault(place(), "is empty");
    }
    if texts.len() > PATTERNS_MAX {
        return fault(place(), format!("more than {PATTERNS_MAX} entries"));
    }
    Ok((not, texts))
}

fn conditions(map: &Map<String, Value>, index: usize, variables: bool) -> Result<Conditions, Fault> {
    let place = format!("Statement[{index}].Condition");
    match map.get("Condition") {
        None => Ok(Conditions::default()),
        Some(Value::Object(operators)) => Conditions::read(operators, variables)
            .map_err(|(inner, reason)| (format!("{place}.{inner}"), reason)),
        Some(_) => fault(place, "must be an object of operators"),
    }
}

/// Reads JSON and refuses a key given twice: one of the two would silently not count.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Once)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Once)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("`{key}` is given twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
