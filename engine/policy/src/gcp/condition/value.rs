//! Values, and the functions and comparisons that the language has for them

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::{Comparison, time};
use crate::belief::Belief;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
    Time(DateTime<Utc>),
    List(Vec<Value>),
    /// What would have to be known
    Unknown(Vec<String>),
}

/// A function, with what it is called on. What is not known here is unknown by its own name: `resource.matchTag`.
pub(super) fn call(on: Option<Value>, name: &str, arguments: &[Value], path: &str) -> Value {
    let mut missing: Vec<String> = Vec::new();
    for value in on.iter().chain(arguments) {
        if let Value::Unknown(names) = value {
            missing.extend(names.iter().cloned());
        }
    }
    let known = matches!(
        name,
        "startsWith"
            | "endsWith"
            | "contains"
            | "extract"
            | "size"
            | "timestamp"
            | "lowerAscii"
            | "upperAscii"
    ) || name.starts_with("get")
        && matches!(on, Some(Value::Time(_) | Value::Unknown(_)))
        && name != "getAttribute";
    if known && !missing.is_empty() {
        return Value::Unknown(missing);
    }
    let found = match (&on, name, arguments) {
        (Some(Value::Text(text)), "startsWith", [Value::Text(start)]) => {
            Some(Value::Bool(text.starts_with(start)))
        }
        (Some(Value::Text(text)), "endsWith", [Value::Text(end)]) => Some(Value::Bool(text.ends_with(end))),
        (Some(Value::Text(text)), "contains", [Value::Text(part)]) => Some(Value::Bool(text.contains(part))),
        (Some(Value::Text(text)), "extract", [Value::Text(template)]) => {
            extract(text, template).map(Value::Text)
        }
        (Some(Value::Text(text)), "lowerAscii", []) => Some(Value::Text(text.to_ascii_lowercase())),
        (Some(Value::Text(text)), "upperAscii", []) => Some(Value::Text(text.to_ascii_uppercase())),
        (Some(Value::Text(text)), "size", []) | (None, "size", [Value::Text(text)]) => {
            i64::try_from(text.chars().count()).ok().map(Value::Number)
        }
        (Some(Value::List(list)), "size", []) | (None, "size", [Value::List(list)]) => {
            i64::try_from(list.len()).ok().map(Value::Number)
        }
        (None, "timestamp", [Value::Text(text)]) => time::parse(text).map(Value::Time),
        (Some(Value::Time(at)), part, arguments) => time::part(*at, part, arguments),
        _ => None,
    };
    found.unwrap_or_else(|| Value::Unknown(vec![path.to_owned()]))
}

/// What `{name}` stands for in the first place where the template fits; empty where it does not.
/// <https://cloud.google.com/iam/docs/extract-from-resource-names>
fn extract(text: &str, template: &str) -> Option<String> {
    let (before, rest) = template.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let Some((_, tail)) = text.split_once(before) else { return Some(String::new()) };
    if after.is_empty() {
        return Some(tail.to_owned());
    }
    Some(tail.split_once(after).map_or("", |(found, _)| found).to_owned())
}

pub(super) fn compare(left: &Value, how: Comparison, right: &Value) -> Belief {
    if how == Comparison::In {
        let Value::List(items) = right else { return unknown(left, right) };
        return items.iter().fold(Belief::FALSE, |any, item| any.or(compare(left, Comparison::Equal, item)));
    }
    let ordering = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => return unknown(left, right),
    };
    let holds = match how {
        Comparison::Equal | Comparison::In => ordering == Ordering::Equal,
        Comparison::NotEqual => ordering != Ordering::Equal,
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    };
    holds.into()
}

fn unknown(left: &Value, right: &Value) -> Belief {
    let mut names = Vec::new();
    for value in [left, right] {
        if let Value::Unknown(missing) = value {
            names.extend(missing.iter().cloned());
        }
    }
    if names.is_empty() { Belief::unknown("condition") } else { Belief::unknown_of(names) }
}
