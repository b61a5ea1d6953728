//! Conditions on role assignments, as far as the request shows what they ask for
//!
//! Operations are compared (`ActionMatches`), and attributes that the context or the resource's own id tells.
//! Everything else is unknown, named by its attribute. What cannot be read is unknown as a whole: `condition`.
//! <https://learn.microsoft.com/azure/role-based-access-control/conditions-format>

mod comparison;
mod parse;
mod token;

use super::operation::{Operation, OperationPattern};
use super::scope::Scope;
use crate::belief::Belief;
use crate::context::{Context, Fact};
use comparison::Comparison;
pub(super) use comparison::time;

/// A condition as written, and what it says where it could be read.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    text: Box<str>,
    expression: Option<Expression>,
}

/// What a condition can ask.
pub(super) struct Facts<'a> {
    pub(super) operation: &'a Operation,
    pub(super) scope: &'a Scope,
    pub(super) context: &'a Context,
}

/// Its depth is bounded by the parser.
#[derive(Debug, Clone)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Operation(OperationPattern),
    /// `SubOperationMatches{'Blob.List'}`
    SubOperation(String),
    Exists(Attribute),
    Comparison(Comparison),
}

/// `@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name]`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    text: String,
}

impl Condition {
    pub(super) fn parse(text: &str) -> Condition {
        Condition { text: text.into(), expression: parse::parse(text) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn holds(&self, facts: &Facts<'_>) -> Belief {
        match &self.expression {
            Some(expression) => expression.holds(facts),
            None => Belief::unknown("condition"),
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
            Expression::Operation(pattern) => pattern.matches(facts.operation).into(),
            Expression::SubOperation(wanted) => match facts.context.fact("SubOperation") {
                Fact::Values(found) => found.iter().any(|found| found.eq_ignore_ascii_case(wanted)).into(),
                Fact::Absent => Belief::FALSE,
                Fact::Unknown => Belief::unknown("SubOperation"),
            },
            Expression::Exists(attribute) => match attribute.values(facts) {
                Fact::Values(_) => Belief::TRUE,
                Fact::Absent => Belief::FALSE,
                Fact::Unknown => Belief::unknown(&attribute.text),
            },
            Expression::Comparison(comparison) => comparison.holds(facts),
        }
    }
}

impl Attribute {
    fn values(&self, facts: &Facts<'_>) -> Fact {
        match facts.context.fact(&self.text) {
            Fact::Unknown => {}
            known => return known.clone(),
        }
        let folded = self.text.to_ascii_lowercase();
        let named = folded.strip_prefix("@resource[").and_then(|rest| rest.strip_suffix(']'));
        match named.and_then(|attribute| facts.scope.resource_name(attribute)) {
            Some(name) => Fact::one(name),
            None => Fact::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
