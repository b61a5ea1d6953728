//! `*` and `?` as AWS reads them, in bounded steps
//!
//! Patterns come from policies and texts from logs; both may be written to cost us time. So: no regular
//! expression, no recursion, and a number of steps after which the answer is "unclear".

pub(crate) mod glob;

use crate::aws::variable::{Resolved, Template};
use crate::context::Context;
use crate::truth::Truth;
pub(crate) use glob::Outline;
use glob::{Case, MANY, ONE, PARTS, Steps, Text, glob, glob_of_parts, is_many, is_mark, overlap};

/// Whether a pattern matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// It matches, whatever is not known
    Yes,
    /// It does not, whatever is not known
    No,
    /// The resource is known only in part, and that part decides
    Partly,
    /// A policy variable decides: `${aws:username}`
    Variable,
    /// Over the step budget, or a form whose reading AWS does not document
    Unclear,
}

impl Match {
    /// The complement, for `NotAction` and `NotResource`.
    #[must_use]
    pub fn negate(self) -> Match {
        match self {
            Match::Yes => Match::No,
            Match::No => Match::Yes,
            doubt => doubt,
        }
    }

    /// One of several patterns: the first certain yes, else the first doubt.
    #[must_use]
    pub fn or(self, other: Match) -> Match {
        match (self, other) {
            (Match::Yes, _) | (_, Match::Yes) => Match::Yes,
            (Match::No, other) => other,
            (doubt, _) => doubt,
        }
    }
}

/// The resource that a call touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// Exactly this; `*` for a permission that knows no resource
    Exact(&'a str),
    /// Something that this pattern bounds: `arn:aws:s3:::bucket/*`, or `*` where nothing is known
    Within(&'a str),
}

/// A pattern for `service:Action`. Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionPattern {
    text: Box<str>,
    compiled: Box<[u8]>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Any,
    Exact,
    Prefix,
    Glob,
}

fn form(pattern: &[u8]) -> Form {
    if !pattern.is_empty() && pattern.iter().all(|byte| *byte == MANY) {
        return Form::Any;
    }
    match pattern.iter().position(|byte| is_mark(*byte)) {
        None => Form::Exact,
        Some(at) if at + 1 == pattern.len() && pattern.ends_with(&[MANY]) => Form::Prefix,
        Some(_) => Form::Glob,
    }
}

impl ActionPattern {
    /// Takes any text; `*` and `?` are wildcards.
    #[must_use]
    pub fn new(text: &str) -> ActionPattern {
        let compiled = glob::compiled(text);
        ActionPattern { form: form(&compiled), compiled, text: text.into() }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The service, where the pattern names exactly one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        let (service, _) = self.text.split_once(':')?;
        (!service.contains(['*', '?'])).then_some(service)
    }

    /// Whether the pattern has no wildcard.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }

    /// Whether it matches a permission. Over the step budget is a no for neither side: it is `Unclear`.
    #[must_use]
    pub fn matches(&self, permission: &str) -> Match {
        let (pattern, text) = (self.text.as_bytes(), permission.as_bytes());
        let hit = match self.form {
            Form::Any => true,
            Form::Exact => pattern.eq_ignore_ascii_case(text),
            Form::Prefix => {
                let head = pattern.len().saturating_sub(1);
                match (text.get(..head), pattern.get(..head)) {
                    (Some(start), Some(head)) => start.eq_ignore_ascii_case(head),
                    _ => false,
                }
            }
            Form::Glob => return self.glob(permission, Case::Fold),
        };
        if hit { Match::Yes } else { Match::No }
    }

    /// The same pattern over a text whose case matters, such as a session's name.
    #[must_use]
    pub fn matches_exactly(&self, text: &str) -> bool {
        self.glob(text, Case::Keep) == Match::Yes
    }

    fn glob(&self, text: &str, case: Case) -> Match {
        glob(&self.compiled, text.as_bytes(), case, Text::Plain, &mut Steps::new(Steps::PATTERN_MAX))
    }
}

/// A pattern for an ARN. Case matters.
///
/// `*` and `?` stay inside their part between colons, but the resource part keeps its colons, and a `*` at the end
/// of a pattern with fewer parts takes all that follows.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnPattern {
    written: Box<str>,
    template: Template,
    form: Form,
    outline: Outline,
}

impl ArnPattern {
    /// Takes any text; `*` and `?` are wildcards, `${` is nothing special.
    #[must_use]
    pub fn new(text: &str) -> ArnPattern {
        ArnPattern::from_template(text, Template::plain(text))
    }

    /// The same for a policy whose version has variables: `${aws:username}`, and `${*}`, `${?}`, `${$}` for the
    /// characters themselves.
    #[must_use]
    pub fn with_variables(written: &str) -> ArnPattern {
        ArnPattern::from_template(written, Template::with_variables(written))
    }

    fn from_template(written: &str, template: Template) -> ArnPattern {
        let bytes = template.bytes();
        ArnPattern { written: written.into(), form: form(bytes), outline: Outline::of(bytes), template }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// What every match begins with: the service, and the sixth part up to its first wildcard or variable. `None` where
    /// the service is not plain.
    pub(crate) fn head(&self) -> Option<(&[u8], &[u8])> {
        let mut parts = self.template.bytes().splitn(PARTS, |byte| *byte == b':');
        let (scheme, service) = (parts.next()?, parts.nth(1)?);
        let resource = parts.nth(2).unwrap_or_default();
        if scheme != b"arn" || service.is_empty() || service.iter().any(|byte| is_mark(*byte)) {
            return None;
        }
        let plain = resource.iter().position(|byte| is_mark(*byte)).unwrap_or(resource.len());
        Some((service, resource.get(..plain).unwrap_or_default()))
    }

    /// Whether it is `*`: any resource, and none.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.form == Form::Any
    }

    /// The policy variables that it hangs on.
    #[must_use]
    pub fn variables(&self) -> &[String] {
        self.template.variables()
    }

    /// The service part, where it is plain.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        let service = self.template.bytes().split(|byte| *byte == b':').nth(2)?;
        std::str::from_utf8(service).ok()
    }

    /// Whether it matches what a call touched. One that could and has a policy variable answers `Variable`:
    /// [`ArnPattern::matches_in`] knows their values.
    #[must_use]
    pub fn matches(&self, target: Target<'_>) -> Match {
        match self.of_bytes(self.template.bytes(), self.outline, target) {
            Match::Yes | Match::Partly if self.template.has_variables() => Match::Variable,
            found => found,
        }
    }

    /// Whether it matches what a call touched, with its policy variables read from the request.
    ///
    /// `No` where a variable has neither a value nor a default, or several values; `Variable` where the context does
    /// not know one that decides ([`ArnPattern::unknown_variables`] names them).
    #[must_use]
    pub fn matches_in(&self, target: Target<'_>, context: &Context) -> Match {
        let found = self.matches(target);
        if found != Match::Variable {
            return found;
        }
        match self.template.resolve(context) {
            Resolved::Void => Match::No,
            Resolved::TooLong => Match::Unclear,
            Resolved::Text(bytes) => self.of_bytes(&bytes, Outline::of(&bytes), target),
            Resolved::Partial(bytes) => match self.of_bytes(&bytes, Outline::of(&bytes), target) {
                Match::Yes | Match::Partly => Match::Variable,
                found => found,
            },
        }
    }

    /// Whether each of its variables has one value or a default: true for a pattern without any.
    #[must_use]
    pub fn resolvable(&self, context: &Context) -> Truth {
        self.template.resolvable(context)
    }

    /// Its variables of which the context does not know the value.
    pub fn unknown_variables<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = &'a str> + 'a {
        self.template.unknown(context)
    }

    fn of_bytes(&self, pattern: &[u8], outline: Outline, target: Target<'_>) -> Match {
        match target {
            Target::Exact(arn) => self.exact(pattern, outline, arn),
            Target::Within(bound) => self.within(pattern, outline, bound),
        }
    }

    fn exact(&self, pattern: &[u8], outline: Outline, arn: &str) -> Match {
        match self.form {
            Form::Any => Match::Yes,
            Form::Exact if pattern == arn.as_bytes() => Match::Yes,
            Form::Exact => Match::No,
            // The only wildcard ends it: it is in the resource, or takes all parts that follow.
            Form::Prefix if pattern.get(..outline.plain) == arn.as_bytes().get(..outline.plain) => Match::Yes,
            Form::Prefix => Match::No,
            Form::Glob if outline.colons < PARTS - 1 && !pattern.last().is_some_and(|b| is_many(*b)) => {
                Match::No
            }
            Form::Glob => {
                let mut steps = Steps::new(Steps::PATTERN_MAX);
                let found = glob_of_parts(pattern, outline, arn.as_bytes(), &mut steps);
                // AWS takes no wildcard in the service part and does not say what one means there.
                if found == Match::Yes && odd_service(pattern) { Match::Unclear } else { found }
            }
        }
    }

    /// Yes where the pattern covers all that the bound allows, no where they share nothing.
    fn within(&self, pattern: &[u8], outline: Outline, bound: &str) -> Match {
        if self.form == Form::Any {
            return Match::Yes;
        }
        if bound == "*" {
            return Match::Partly;
        }
        let shared =
            bound.bytes().position(|b| b == b'*' || b == b'?').unwrap_or(bound.len()).min(outline.plain);
        if bound.as_bytes().get(..shared) != pattern.get(..shared) {
            return Match::No;
        }
        let covers = |pattern: &[u8], text: &[u8]| {
            glob(pattern, text, Case::Keep, Text::Pattern, &mut Steps::new(Steps::PATTERN_MAX))
        };
        match by_parts(pattern, bound, covers) {
            Match::Yes => Match::Yes,
            Match::Unclear => Match::Unclear,
            _ => match by_parts(pattern, bound, shares) {
                Match::Yes => Match::Partly,
                other => other,
            },
        }
    }

    /// Whether some text is matched by both patterns.
    #[must_use]
    pub fn may_share(&self, other: &str) -> bool {
        self.form == Form::Any || other == "*" || by_parts(self.template.bytes(), other, shares) != Match::No
    }
}

fn shares(pattern: &[u8], text: &[u8]) -> Match {
    overlap(pattern, text, &mut Steps::new(Steps::PATTERN_MAX))
}

/// Splits both sides at their colons and asks `one` about each pair of parts.
fn by_parts(pattern: &[u8], text: &str, mut one: impl FnMut(&[u8], &[u8]) -> Match) -> Match {
    // As many as an ARN has at most; the resource keeps its colons.
    let parts = pattern.splitn(PARTS, |byte| *byte == b':').count();
    if parts < PARTS && !pattern.last().is_some_and(|byte| is_many(*byte)) {
        return Match::No;
    }
    let mut all = Match::Yes;
    let mut patterns = pattern.splitn(parts, |byte| *byte == b':');
    let mut texts = text.as_bytes().splitn(parts, |byte| *byte == b':');
    for _ in 0..parts {
        let (Some(pattern), Some(text)) = (patterns.next(), texts.next()) else { return Match::No };
        match one(pattern, text) {
            Match::No => return Match::No,
            Match::Yes => {}
            doubt => all = doubt,
        }
    }
    all
}

/// Each of exactly six parts by itself, for condition values: no part is left out, and no wildcard crosses a colon
/// save inside the resource.
pub(crate) fn six_parts(pattern: &[u8], outline: Outline, text: &str, steps: &mut Steps) -> Match {
    if outline.colons < PARTS - 1 {
        return Match::No;
    }
    glob_of_parts(pattern, outline, text.as_bytes(), steps)
}

fn odd_service(pattern: &[u8]) -> bool {
    let mut parts = pattern.splitn(PARTS, |byte| *byte == b':');
    let service = parts.nth(2).unwrap_or_default();
    parts.count() == 3 && service.iter().any(|byte| matches!(*byte, MANY | ONE))
}

#[cfg(test)]
mod tests;
