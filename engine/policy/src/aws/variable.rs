//! Texts of a policy that may hold policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`
//!
//! Read once, when the policy is; filled in from the request. A value is inserted as literal text: neither is a `*`
//! in it a wildcard, nor a `${` in it another variable.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

use crate::context::{Context, Fact, Key};
use crate::truth::Truth;
use crate::wildcard::glob::{NEVER, VARIABLE, is_mark, mark};

/// A filled-in text that grows longer is not compared: a tag has 256 characters, an ARN 2,048, a policy's variables
/// are few.
const FILLED_BYTES_MAX: usize = 64 * 1024;

/// A text with its wildcards and variables told apart from its letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// As written, with [`mark`]s for wildcards, and [`VARIABLE`] for each variable in turn
    bytes: Box<[u8]>,
    variables: Box<[Variable]>,
    /// As written, each once
    names: Box<[String]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    key: Key,
    default: Option<Box<str>>,
}

/// A template for one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A variable has no value to insert: nothing matches
    Void,
    /// Only wildcards are left
    Text(Vec<u8>),
    /// Variables of which the value is not known are left too
    Partial(Vec<u8>),
    /// Made to be long
    TooLong,
}

/// Which characters are wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wildcards {
    Yes,
    No,
}

impl Template {
    /// `*` and `?` are wildcards, `${` is nothing special.
    pub(crate) fn plain(text: &str) -> Template {
        Template::read(text, Wildcards::Yes, false)
    }

    /// `*` and `?` are wildcards, and `${...}` is a variable or one of the characters `*`, `?` and `$`.
    pub(crate) fn with_variables(text: &str) -> Template {
        Template::read(text, Wildcards::Yes, true)
    }

    pub(crate) fn read(text: &str, wildcards: Wildcards, with_variables: bool) -> Template {
        let mut bytes = Vec::with_capacity(text.len());
        let mut variables = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut rest = text;
        let literal = |text: &str, bytes: &mut Vec<u8>| match wildcards {
            Wildcards::Yes => bytes.extend(text.bytes().map(mark)),
            Wildcards::No => bytes.extend(text.bytes()),
        };
        while let Some((head, tail)) = rest.split_once("${").filter(|_| with_variables) {
            // `${` that nothing closes is no variable.
            let Some((inside, after)) = close(tail) else { break };
            literal(head, &mut bytes);
            match inside {
                "*" | "?" | "$" => bytes.extend(inside.bytes()),
                _ => {
                    let (name, default) = named(inside);
                    variables.push(Variable { key: Key::new(name), default: default.map(Into::into) });
                    if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                        names.push(name.to_owned());
                    }
                    bytes.push(VARIABLE);
                }
            }
            rest = after;
        }
        literal(rest, &mut bytes);
        Template { bytes: bytes.into(), variables: variables.into(), names: names.into() }
    }

    /// Literals, and marks for wildcards and variables.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn has_variables(&self) -> bool {
        !self.variables.is_empty()
    }

    /// The keys of its variables as written, each once.
    pub(crate) fn variables(&self) -> &[String] {
        &self.names
    }

    /// The text, where it has neither wildcards nor variables.
    pub(crate) fn literal(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Fills in the variables. A value does not add parts to an ARN: one with a colon in front of the resource, of
    /// which the template shows the place, equals nothing.
    pub(crate) fn resolve(&self, context: &Context) -> Resolved {
        let in_parts = self.bytes.iter().filter(|byte| **byte == b':').count() >= 5;
        let mut filled = Vec::with_capacity(self.bytes.len().saturating_add(64));
        let mut variables = self.variables.iter();
        let (mut colons, mut partial) = (0, false);
        for byte in &self.bytes {
            if *byte != VARIABLE {
                colons += usize::from(*byte == b':');
                filled.push(*byte);
                continue;
            }
            match variables.next().map_or(Value::Void, |variable| variable.value(context)) {
                Value::Void => return Resolved::Void,
                Value::Unknown => {
                    partial = true;
                    filled.push(VARIABLE);
                }
                Value::Text(text) if in_parts && colons < 5 && text.contains(':') => filled.push(NEVER),
                Value::Text(text) if filled.len() + text.len() > FILLED_BYTES_MAX => {
                    return Resolved::TooLong;
                }
                Value::Text(text) => filled.extend(text.bytes()),
            }
        }
        if partial { Resolved::Partial(filled) } else { Resolved::Text(filled) }
    }

    /// Whether every variable has one value or a default.
    pub(crate) fn resolvable(&self, context: &Context) -> Truth {
        self.variables.iter().fold(Truth::True, |all, variable| {
            all.and(match variable.value(context) {
                Value::Text(_) => Truth::True,
                Value::Void => Truth::False,
                Value::Unknown => Truth::Unknown,
            })
        })
    }

    /// The keys, as written, of the variables that the context does not know.
    pub(crate) fn unknown<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = &'a str> + 'a {
        self.names.iter().map(String::as_str).filter(|name| *context.fact(name) == Fact::Unknown)
    }
}

/// What a variable stands for in one request.
enum Value<'a> {
    Text(&'a str),
    /// No value, or several: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    Void,
    Unknown,
}

impl Variable {
    fn value<'a>(&'a self, context: &'a Context) -> Value<'a> {
        match context.fact_of(&self.key) {
            Fact::Unknown => Value::Unknown,
            Fact::Absent => self.default.as_deref().map_or(Value::Void, Value::Text),
            Fact::Values(values) => match values.as_slice() {
                [] => self.default.as_deref().map_or(Value::Void, Value::Text),
                [one] => Value::Text(one),
                _ => Value::Void,
            },
        }
    }
}

/// What stands before the brace that closes a variable, and what follows. A default in quotes may hold a brace.
fn close(tail: &str) -> Option<(&str, &str)> {
    let end = tail.find('}')?;
    let quoted = tail.find('\'').filter(|quote| *quote < end);
    let end = match quoted {
        Some(quote) => {
            let after = quote + 1;
            let closing = after + tail.get(after..)?.find('\'')?;
            closing + tail.get(closing..)?.find('}')?
        }
        None => end,
    };
    Some((tail.get(..end)?, tail.get(end + 1..)?))
}

/// Key and default of `aws:PrincipalTag/team, 'none'`.
fn named(inside: &str) -> (&str, Option<&str>) {
    let quoted = |text: &'_ str| -> Option<(usize, usize)> {
        let start = text.find('\'')?;
        Some((start, text.rfind('\'').filter(|end| *end > start)?))
    };
    if let Some((name, rest)) = inside.split_once(',')
        && let Some((start, end)) = quoted(rest)
    {
        return (name.trim(), rest.get(start + 1..end));
    }
    (inside.trim(), None)
}

/// Whether no wildcard or variable is left.
pub(crate) fn is_literal(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| is_mark(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, facts: &[(&str, &str)]) -> Option<String> {
        let mut context = Context::complete();
        facts.iter().for_each(|(key, value)| context.set(key, Fact::one(*value)));
        match Template::read(text, Wildcards::No, true).resolve(&context) {
            Resolved::Text(bytes) => Some(String::from_utf8(bytes).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn a_variable_has_a_key_and_may_have_a_default() {
        let facts = [("aws:username", "ann"), ("aws:PrincipalTag/cost center", "7")];
        for (text, expected) in [
            ("${aws:username}", Some("ann")),
            ("${ AWS:UserName }-", Some("ann-")),
            ("${aws:username, 'x'}", Some("ann")),
            ("${aws:PrincipalTag/cost center}", Some("7")),
            ("${aws:userid, 'nobody'}", Some("nobody")),
            ("${aws:userid,'nobody'}", Some("nobody")),
            ("${aws:userid, ''}", Some("")),
            ("${aws:userid, 'a, b}'}c", Some("a, b}c")),
            ("${aws:userid, nobody}", None),
            ("${aws:userid}", None),
            ("${}", None),
            ("${*}${?}${$}", Some("*?$")),
            ("$aws:username}", Some("$aws:username}")),
            ("a${", Some("a${")),
            ("${aws:username", Some("${aws:username")),
            ("$${aws:username}", Some("$ann")),
        ] {
            assert_eq!(filled(text, &facts).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_not_read_again() {
        assert_eq!(filled("${k}", &[("k", "${k}")]).as_deref(), Some("${k}"));
    }

    #[test]
    fn each_name_is_told_once() {
        let template = Template::with_variables("${aws:username}/${AWS:USERNAME}/${aws:userid, 'x'}");
        assert_eq!(template.variables(), ["aws:username", "aws:userid"]);
        assert!(!Template::plain("${aws:username}").has_variables());
    }
}
