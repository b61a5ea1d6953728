//! Conditions in Google's Common Expression Language, as far as the request shows what they ask for
//!
//! Names, types and services of resources and the time of the request are compared; everything else is unknown and
//! named. What cannot be read is unknown by all the names in it.
//! <https://cloud.google.com/iam/docs/conditions-attribute-reference>

mod attribute;
mod parse;
mod time;
mod token;
mod value;

use crate::belief::Belief;
use crate::context::Context;
use value::Value;

/// A condition, read once.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    expression: Option<Expression>,
    /// What it names, should it be unreadable
    names: Vec<String>,
}

/// What a condition can ask.
pub(super) struct Facts<'a> {
    /// Without the service's host
    pub(super) name: &'a str,
    /// With it, where it was given
    pub(super) full_name: &'a str,
    pub(super) context: &'a Context,
}

/// Its depth is bounded by the parser.
#[derive(Debug, Clone)]
enum Expression {
    Value(Value),
    /// `resource.name`
    Path(String),
    List(Vec<Expression>),
    Call {
        on: Option<Box<Expression>>,
        name: String,
        arguments: Vec<Expression>,
    },
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Compare {
        left: Box<Expression>,
        how: Comparison,
        right: Box<Expression>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Condition {
    pub(super) fn parse(text: &str) -> Condition {
        Condition { expression: parse::parse(text), names: token::names(text) }
    }

    pub(super) fn holds(&self, facts: &Facts<'_>) -> Belief {
        match &self.expression {
            Some(expression) => expression.holds(facts),
            None if self.names.is_empty() => Belief::unknown("condition"),
            None => Belief::unknown_of(self.names.iter().cloned()),
        }
    }
}

impl Expression {
    fn holds(&self, facts: &Facts<'_>) -> Belief {
        match self {
            Expression::All(parts) => {
                parts.iter().fold(Belief::TRUE, |all, part| all.and_then(|| part.holds(facts)))
            }
            Expression::Any(parts) => parts.iter().fold(Belief::FALSE, |any, part| any.or(part.holds(facts))),
            Expression::Not(inner) => inner.holds(facts).negate(),
            Expression::Compare { left, how, right } => {
                value::compare(&left.value(facts), *how, &right.value(facts))
            }
            other => match other.value(facts) {
                Value::Bool(holds) => holds.into(),
                Value::Unknown(names) => Belief::unknown_of(names),
                _ => Belief::unknown("condition"),
            },
        }
    }

    fn value(&self, facts: &Facts<'_>) -> Value {
        match self {
            Expression::Value(value) => value.clone(),
            Expression::Path(path) => attribute::of(path, facts),
            Expression::List(items) => Value::List(items.iter().map(|item| item.value(facts)).collect()),
            Expression::Call { on, name, arguments } => {
                let on_value = on.as_ref().map(|on| on.value(facts));
                let arguments: Vec<Value> = arguments.iter().map(|one| one.value(facts)).collect();
                let path = match on.as_deref() {
                    Some(Expression::Path(path)) => format!("{path}.{name}"),
                    _ => name.clone(),
                };
                value::call(on_value, name, &arguments, &path)
            }
            boolean => match boolean.holds(facts) {
                Belief { truth: crate::truth::Truth::Unknown, missing } => Value::Unknown(missing),
                known => Value::Bool(known == Belief::TRUE),
            },
        }
    }
}

#[cfg(test)]
mod tests;
