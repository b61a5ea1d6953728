//! How a condition compares an attribute with values
//!
//! <https://learn.microsoft.com/azure/role-based-access-control/conditions-format#function-operators>

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{Attribute, Facts};
use crate::belief::Belief;
use crate::context::Fact;
use crate::wildcard::ActionPattern;

/// Pairs that one comparison may cost.
const PAIRS_MAX: usize = 10_000;

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Attribute(Attribute),
    Values(Vec<String>),
}

#[derive(Debug, Clone)]
pub(super) struct Comparison {
    left: Operand,
    right: Operand,
    /// Every value of the left must fit, not only some
    all_left: bool,
    /// It must fit every value of the right, not only some
    all_right: bool,
    test: Test,
    negated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Text(How, Fold),
    Guid,
    Bool,
    Number(Order),
    Time(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Equals,
    StartsWith,
    Like,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Keep,
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equals,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// `None` for an operator that is not known.
    pub(super) fn new(left: Operand, operator: &str, right: Operand) -> Option<Comparison> {
        let folded = operator.to_ascii_lowercase();
        let (quantifier, plain) = folded.split_once(':').unwrap_or(("", &folded));
        let (all_left, all_right) = match quantifier {
            "" | "foranyofanyvalues" => (false, false),
            "forallofanyvalues" => (true, false),
            "foranyofallvalues" => (false, true),
            "forallofallvalues" => (true, true),
            _ => return None,
        };
        let (test, negated) = test(plain)?;
        Some(Comparison { left, right, all_left, all_right, test, negated })
    }

    pub(super) fn holds(&self, facts: &Facts<'_>) -> Belief {
        let left = match values(&self.left, facts) {
            Ok(values) => values,
            Err(belief) => return belief,
        };
        let right = match values(&self.right, facts) {
            Ok(values) => values,
            Err(belief) => return belief,
        };
        if left.len().saturating_mul(right.len()) > PAIRS_MAX {
            return Belief::unknown("condition");
        }
        let mut undecided = false;
        let folded = [&self.left, &self.right].iter().any(|operand| is_folded(operand, facts));
        let mut pair = |a: &String, b: &String| match self.test.of(a, b, folded) {
            Some(holds) => holds != self.negated,
            None => {
                undecided = true;
                false
            }
        };
        let mut against = |a: &String| match self.all_right {
            true => right.iter().all(|b| pair(a, b)),
            false => right.iter().any(|b| pair(a, b)),
        };
        let holds = match self.all_left {
            true => left.iter().all(&mut against),
            false => left.iter().any(&mut against),
        };
        // A value of another type than the operator's: Azure does not say what that gives.
        if undecided { Belief::unknown("condition") } else { holds.into() }
    }
}

/// Whether the value was read off the resource's id, whose case logs do not keep.
fn is_folded(operand: &Operand, facts: &Facts<'_>) -> bool {
    match operand {
        Operand::Attribute(attribute) => *facts.context.fact(&attribute.text) == Fact::Unknown,
        Operand::Values(_) => false,
    }
}

fn values(operand: &Operand, facts: &Facts<'_>) -> Result<Vec<String>, Belief> {
    match operand {
        Operand::Values(values) => Ok(values.clone()),
        Operand::Attribute(attribute) => match attribute.values(facts) {
            Fact::Values(values) => Ok(values),
            // What a comparison with a missing attribute gives is documented for some attributes only.
            Fact::Absent | Fact::Unknown => Err(Belief::unknown(&attribute.text)),
        },
    }
}

fn test(operator: &str) -> Option<(Test, bool)> {
    let (kind, rest) = ["string", "guid", "boolean", "bool", "numeric", "datetime"]
        .iter()
        .find_map(|kind| operator.strip_prefix(kind).map(|rest| (*kind, rest)))?;
    let (negated, rest) = match rest.strip_prefix("not") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let test = match kind {
        "string" => {
            let (how, fold) = match rest.strip_suffix("ignorecase") {
                Some(how) => (how, Fold::Ignore),
                None => (rest, Fold::Keep),
            };
            let how = match how {
                "equals" => How::Equals,
                "startswith" => How::StartsWith,
                "like" => How::Like,
                _ => return None,
            };
            Test::Text(how, fold)
        }
        "guid" if rest == "equals" => Test::Guid,
        "bool" | "boolean" if rest == "equals" => Test::Bool,
        "numeric" => Test::Number(order(rest)?),
        "datetime" => Test::Time(order(rest)?),
        _ => return None,
    };
    Some((test, negated))
}

fn order(word: &str) -> Option<Order> {
    Some(match word {
        "equals" => Order::Equals,
        "lessthan" => Order::Less,
        "lessthanequals" | "lessthanorequals" => Order::LessOrEqual,
        "greaterthan" => Order::Greater,
        "greaterthanequals" | "greaterthanorequals" => Order::GreaterOrEqual,
        _ => return None,
    })
}

impl Test {
    /// As [`holds`](Test::holds); of a folded value `None` also where its case decides.
    fn of(self, found: &str, wanted: &str, folded: bool) -> Option<bool> {
        let exact = self.holds(found, wanted)?;
        match self {
            Test::Text(how, Fold::Keep) if folded => {
                (Test::Text(how, Fold::Ignore).holds(found, wanted)? == exact).then_some(exact)
            }
            _ => Some(exact),
        }
    }

    /// `None` where a value is not of the test's type.
    fn holds(self, found: &str, wanted: &str) -> Option<bool> {
        Some(match self {
            Test::Text(how, fold) => {
                let folded = |text: &str| match fold {
                    Fold::Keep => text.to_owned(),
                    Fold::Ignore => text.to_ascii_lowercase(),
                };
                let (found, wanted) = (folded(found), folded(wanted));
                match how {
                    How::Equals => found == wanted,
                    How::StartsWith => found.starts_with(&wanted),
                    // `\` escapes a wildcard, which the matcher does not know.
                    How::Like if wanted.contains('\\') => return None,
                    How::Like => ActionPattern::new(&wanted).matches_exactly(&found),
                }
            }
            Test::Guid => guid(found) == guid(wanted),
            Test::Bool => boolean(found)? == boolean(wanted)?,
            Test::Number(order) => {
                order.holds(found.parse::<f64>().ok()?.partial_cmp(&wanted.parse::<f64>().ok()?)?)
            }
            Test::Time(order) => order.holds(time(found)?.cmp(&time(wanted)?)),
        })
    }
}

impl Order {
    fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Equals => ordering.is_eq(),
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Conditions write GUIDs with and without dashes.
fn guid(text: &str) -> String {
    text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// RFC 3339; without a zone it is UTC.
pub(in crate::azure) fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc())
}
