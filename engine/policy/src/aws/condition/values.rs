//! The values that a policy asks for, read once

use std::net::IpAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::date;
use super::network::Network;
use super::number::Number;
use super::operator::{Comparison, Kind};
use crate::aws::variable::{Resolved, Template, Wildcards, is_literal};
use crate::context::Context;
use crate::truth::Truth;
use crate::wildcard::glob::{Case, MANY, Steps, Text, glob};
use crate::wildcard::{Match, Outline, six_parts};

/// The policy's values of one key. One that can match nothing, such as `abc` for a number, is not kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Text(How, Box<[Pattern]>),
    Numbers(Comparison, Box<[Number]>),
    Dates(Comparison, Box<[date::Instant]>),
    Bools(Box<[bool]>),
    Bytes(Box<[Vec<u8>]>),
    Networks(Box<[Network]>),
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Exactly,
    IgnoringCase,
    Like,
    Arn,
}

/// A text of the policy, ready to be compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pattern {
    /// Neither wildcard nor variable
    Literal(Box<str>),
    /// `head*`
    Prefix(Box<str>),
    /// An ARN without variables
    Arn(Outline, Box<[u8]>),
    Template(Template),
}

/// Whether the policy's values match one of the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    /// Some of them does
    matched: Truth,
    /// A policy variable in them has no value
    void: Truth,
}

impl Hit {
    const NO: Hit = Hit { matched: Truth::False, void: Truth::False };
    const UNKNOWN: Hit = Hit { matched: Truth::Unknown, void: Truth::False };

    /// Whether the value passes. A variable without a value makes the statement match in neither sense: AWS calls it
    /// invalid (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
    pub(super) fn passes(self, negated: bool) -> Truth {
        if negated { self.matched.or(self.void).negate() } else { self.matched }
    }

    fn or(self, other: Hit) -> Hit {
        Hit { matched: self.matched.or(other.matched), void: self.void.or(other.void) }
    }
}

impl From<bool> for Hit {
    fn from(found: bool) -> Hit {
        Hit { matched: found.into(), void: Truth::False }
    }
}

impl From<Match> for Hit {
    fn from(found: Match) -> Hit {
        match found {
            Match::Yes => true.into(),
            Match::No => Hit::NO,
            _ => Hit::UNKNOWN,
        }
    }
}

// Decoding must not hang on whether the writer kept the `=`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Values {
    /// `variables`: the policy's version has them.
    ///
    /// # Errors
    /// What is wrong with the first value that AWS would refuse.
    pub(super) fn read(kind: Kind, texts: &[&str], variables: bool) -> Result<Values, String> {
        let patterns = |how: How| {
            let wildcards = if matches!(how, How::Like | How::Arn) { Wildcards::Yes } else { Wildcards::No };
            let read = |text: &&str| Pattern::read(how, Template::read(text, wildcards, variables));
            Values::Text(how, texts.iter().map(read).collect())
        };
        Ok(match kind {
            Kind::StringEquals => patterns(How::Exactly),
            Kind::StringEqualsIgnoreCase => patterns(How::IgnoringCase),
            Kind::StringLike => patterns(How::Like),
            Kind::Arn => patterns(How::Arn),
            Kind::Numeric(comparison) => {
                Values::Numbers(comparison, texts.iter().filter_map(|text| Number::parse(text)).collect())
            }
            Kind::Date(comparison) => {
                let mut dates = Vec::with_capacity(texts.len());
                for text in texts {
                    let Some(date) = date::parse(text) else {
                        return Err(format!("`{text}` is no date. Write `2026-01-31T00:00:00Z`"));
                    };
                    dates.push(date);
                }
                Values::Dates(comparison, dates.into())
            }
            Kind::Bool | Kind::Null => Values::Bools(texts.iter().filter_map(|text| boolean(text)).collect()),
            Kind::BinaryEquals => {
                Values::Bytes(texts.iter().filter_map(|text| BASE64.decode(text).ok()).collect())
            }
            Kind::IpAddress => {
                Values::Networks(texts.iter().filter_map(|text| Network::parse(text)).collect())
            }
        })
    }

    /// Whether one of them matches a value of the request; a value of the wrong form matches none.
    pub(super) fn hit(&self, value: &str, context: &Context, steps: &mut Steps) -> Hit {
        let count = match self {
            Values::Text(how, patterns) => return of_texts(*how, patterns, value, context, steps),
            Values::Numbers(_, numbers) => numbers.len(),
            Values::Dates(_, dates) => dates.len(),
            Values::Bools(bools) => bools.len(),
            Values::Bytes(bytes) => bytes.len(),
            Values::Networks(networks) => networks.len(),
        };
        if !steps.take(count + 1) {
            return Hit::UNKNOWN;
        }
        let found = match self {
            Values::Text(..) => false,
            Values::Numbers(comparison, numbers) => Number::parse(value).is_some_and(|value| {
                numbers.iter().any(|number| value.order(*number).is_some_and(|order| comparison.holds(order)))
            }),
            Values::Dates(comparison, dates) => date::parse(value)
                .is_some_and(|value| dates.iter().any(|date| comparison.holds(value.cmp(date)))),
            Values::Bools(bools) => boolean(value).is_some_and(|value| bools.contains(&value)),
            Values::Bytes(wanted) => BASE64.decode(value).is_ok_and(|value| wanted.contains(&value)),
            Values::Networks(networks) => value
                .parse::<IpAddr>()
                .is_ok_and(|address| networks.iter().any(|network| network.contains(address))),
        };
        found.into()
    }

    /// Whether `Null` holds for a key that is there, or is not.
    pub(super) fn asks_for(&self, wanted: bool) -> bool {
        matches!(self, Values::Bools(bools) if bools.contains(&wanted))
    }

    /// The templates that have variables.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        let patterns = match self {
            Values::Text(_, patterns) => &**patterns,
            _ => &[],
        };
        patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Template(template) if template.has_variables() => Some(template),
            _ => None,
        })
    }
}

fn of_texts(how: How, patterns: &[Pattern], value: &str, context: &Context, steps: &mut Steps) -> Hit {
    let mut all = Hit::NO;
    for pattern in patterns {
        if !steps.take(1) {
            return all.or(Hit::UNKNOWN);
        }
        all = all.or(pattern.hit(how, value, context, steps));
        if all.matched == Truth::True {
            break;
        }
    }
    all
}

impl Pattern {
    fn read(how: How, template: Template) -> Pattern {
        let bytes = template.bytes();
        if how == How::Arn && !template.has_variables() {
            return Pattern::Arn(Outline::of(bytes), bytes.into());
        }
        if let Some(literal) = template.literal() {
            return Pattern::Literal(literal.into());
        }
        if let (How::Like, [head @ .., MANY]) = (how, bytes)
            && let Ok(head) = std::str::from_utf8(head)
        {
            return Pattern::Prefix(head.into());
        }
        Pattern::Template(template)
    }

    fn hit(&self, how: How, value: &str, context: &Context, steps: &mut Steps) -> Hit {
        let template = match self {
            Pattern::Literal(text) if how == How::IgnoringCase => {
                return same_ignoring_case(text, value).into();
            }
            Pattern::Literal(text) => return (**text == *value).into(),
            Pattern::Prefix(head) => return value.starts_with(&**head).into(),
            Pattern::Arn(outline, bytes) => return six_parts(bytes, *outline, value, steps).into(),
            Pattern::Template(template) => template,
        };
        if !template.has_variables() {
            return compare(how, template.bytes(), value, steps).into();
        }
        match template.resolve(context) {
            Resolved::Void => Hit { matched: Truth::False, void: Truth::True },
            Resolved::TooLong => Hit::UNKNOWN,
            Resolved::Text(bytes) => compare(how, &bytes, value, steps).into(),
            Resolved::Partial(bytes) => {
                // How an unknown value folds, or how many parts it has, is unknown too.
                let open = match how {
                    How::IgnoringCase => true,
                    How::Arn => bytes.iter().filter(|byte| **byte == b':').count() < 5,
                    How::Exactly | How::Like => false,
                };
                let no = !open && compare(how, &bytes, value, steps) == Match::No;
                let matched = if no { Truth::False } else { Truth::Unknown };
                Hit { matched, void: template.resolvable(context).negate() }
            }
        }
    }
}

fn compare(how: How, pattern: &[u8], value: &str, steps: &mut Steps) -> Match {
    match how {
        How::Exactly | How::IgnoringCase if is_literal(pattern) => {
            let same = match (how, std::str::from_utf8(pattern)) {
                (How::IgnoringCase, Ok(pattern)) => same_ignoring_case(pattern, value),
                _ => pattern == value.as_bytes(),
            };
            if same { Match::Yes } else { Match::No }
        }
        How::Arn => six_parts(pattern, Outline::of(pattern), value, steps),
        _ => glob(pattern, value.as_bytes(), Case::Keep, Text::Plain, steps),
    }
}

fn same_ignoring_case(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii())
            && one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase)))
}

/// AWS's examples write `true`, `True` and a JSON boolean.
fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
