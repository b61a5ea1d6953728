//! Reading a policy document: strict, bounded, and with the place of what is wrong

mod form;
mod json;

use serde_json::{Map, Value};

use super::Conditions;
use super::principal::Principals;
use super::statement::{Actions, Effect, Resources, Statement};
use crate::wildcard::{ActionPattern, ArnPattern};

/// The longest document that AWS itself publishes has some 160,000 characters; more is no policy.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
const STATEMENTS_MAX: usize = 2_000;
/// Patterns or principals of one statement.
const ENTRIES_MAX: usize = 20_000;

/// A policy document that was read.
#[derive(Debug)]
pub struct Policy {
    /// What answers call it: an ARN, a name or a file
    pub name: String,
    /// In the document's order
    pub statements: Vec<Statement>,
}

/// Where a document is put: each place takes other elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A user's, group's or role's permissions, and a boundary's
    Identity,
    /// What narrows one session
    Session,
    /// A service control policy
    ServiceControl,
    /// A resource control policy
    ResourceControl,
    /// A bucket's, key's, queue's own policy
    Resource,
    /// Who may assume a role
    Trust,
    /// A VPC endpoint's
    Endpoint,
}

impl Kind {
    /// Whether it says to whom it speaks.
    fn has_principal(self) -> bool {
        matches!(self, Kind::Resource | Kind::Trust | Kind::Endpoint | Kind::ResourceControl)
    }

    /// The principals of a statement that names none. Stored documents of these kinds can mean only everyone.
    fn unnamed(self) -> Option<Principals> {
        matches!(self, Kind::Endpoint | Kind::ResourceControl).then(Principals::everyone)
    }
}

/// A document that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy `{policy}`: {place}: {reason}")]
pub struct PolicyError {
    /// The policy's name
    pub policy: String,
    /// `Statement[3].Action`, or `line 4 column 7`
    pub place: String,
    /// What is wrong, and what to do
    pub reason: String,
}

impl Policy {
    /// Reads a document that is granted to an identity, or that limits one, as AWS reads what it has stored.
    ///
    /// Versions 2012-10-17, 2008-10-17 and none (without policy variables, as AWS has it).
    ///
    /// # Errors
    /// The place and the reason, at the first thing that AWS would not have stored.
    pub fn parse(name: &str, text: &str) -> Result<Policy, PolicyError> {
        Policy::parse_as(Kind::Identity, name, text)
    }

    /// The same from JSON that is parsed already; a key that was given twice cannot be seen in it.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_json(name: &str, document: &Value) -> Result<Policy, PolicyError> {
        Policy::from_json_as(Kind::Identity, name, document)
    }

    /// Reads a document of any kind, as [`Policy::parse`] does.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn parse_as(kind: Kind, name: &str, text: &str) -> Result<Policy, PolicyError> {
        named(name, text_of(text).and_then(|document| read(&document, kind, Reading::Stored)))
    }

    /// The same from JSON that is parsed already.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_json_as(kind: Kind, name: &str, document: &Value) -> Result<Policy, PolicyError> {
        named(name, read(document, kind, Reading::Stored))
    }
}

/// Whether IAM would take a document that is written today. Beside what [`Policy::parse_as`] asks: version 2012-10-17,
/// no statement id twice, and a principal wherever the kind has one. Not looked at are quotas on length, which hang on
/// where it is attached and can be raised, and the letters of statement ids: IAM's guide asks for letters and digits,
/// other services take more, and a policy means the same with any.
///
/// # Errors
/// The place and the reason, at the first thing that it would refuse.
pub fn validate(kind: Kind, name: &str, text: &str) -> Result<(), PolicyError> {
    named(name, text_of(text).and_then(|document| read(&document, kind, Reading::Written))).map(|_| ())
}

/// How strictly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// AWS has it already and evaluates it
    Stored,
    /// It is to be stored now
    Written,
}

/// Place and reason.
type Fault = (String, String);

fn fault<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, Fault> {
    Err((place.into(), reason.into()))
}

fn named(name: &str, read: Result<Vec<Statement>, Fault>) -> Result<Policy, PolicyError> {
    match read {
        Ok(statements) => Ok(Policy { name: name.to_owned(), statements }),
        Err((place, reason)) => Err(PolicyError { policy: name.to_owned(), place, reason }),
    }
}

fn text_of(text: &str) -> Result<Value, Fault> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return fault("document", format!("longer than {DOCUMENT_BYTES_MAX} bytes, which no policy is"));
    }
    json::read(text)
}

fn read(document: &Value, kind: Kind, reading: Reading) -> Result<Vec<Statement>, Fault> {
    let Value::Object(document) = document else {
        return fault("document", "a policy is a JSON object");
    };
    for (key, value) in document {
        match key.as_str() {
            "Id" if !value.is_string() => return fault("Id", "must be a text"),
            "Version" | "Id" | "Statement" => {}
            _ => return fault(key, "unknown element. Known: Version, Id, Statement"),
        }
    }
    let variables = match document.get("Version") {
        Some(Value::String(version)) if version == "2012-10-17" => true,
        None if reading == Reading::Stored => false,
        Some(Value::String(version)) if version == "2008-10-17" && reading == Reading::Stored => false,
        _ if reading == Reading::Stored => {
            return fault("Version", "must be \"2012-10-17\" or \"2008-10-17\"");
        }
        _ => return fault("Version", "must be \"2012-10-17\""),
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
    let mut statements: Vec<Statement> = Vec::with_capacity(written.len());
    let mut sids: Vec<&str> = Vec::new();
    for (index, raw) in written.into_iter().enumerate() {
        statements.push(Reader { index, kind, reading, variables }.statement(raw)?);
        sids.extend(raw.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty()));
    }
    // Some services store a resource's policy with ids that repeat.
    if !kind.has_principal() || reading == Reading::Written {
        sids.sort_unstable();
        if let Some([twice, _]) = sids.array_windows().find(|[one, next]| one == next) {
            return fault("Statement", format!("the Sid `{twice}` is given twice"));
        }
    }
    Ok(statements)
}

/// One of an element and its negation.
struct Element<'a> {
    not: bool,
    /// As it is called in the document
    key: &'static str,
    texts: Vec<&'a str>,
}

/// One statement being read.
struct Reader {
    index: usize,
    kind: Kind,
    reading: Reading,
    variables: bool,
}

impl Reader {
    fn at(&self, key: &str) -> String {
        format!("Statement[{}].{key}", self.index)
    }

    fn here<T>(&self, reason: impl Into<String>) -> Result<T, Fault> {
        fault(format!("Statement[{}]", self.index), reason)
    }

    fn statement(&self, raw: &Value) -> Result<Statement, Fault> {
        let Value::Object(map) = raw else { return self.here("must be an object") };
        self.known(map)?;
        let sid = match map.get("Sid") {
            None => None,
            Some(Value::String(sid)) => Some(sid.clone()),
            Some(_) => return fault(self.at("Sid"), "must be a text"),
        };
        let effect = match map.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return fault(self.at("Effect"), "must be \"Allow\" or \"Deny\""),
        };
        Ok(Statement {
            sid,
            index: self.index,
            effect,
            principals: self.principals(map)?,
            actions: self.actions(map)?,
            resources: self.resources(map)?,
            conditions: self.conditions(map)?,
            raw: raw.clone(),
        })
    }

    fn known(&self, map: &Map<String, Value>) -> Result<(), Fault> {
        const KNOWN: &str =
            "unknown element. Known: Sid, Effect, Action, NotAction, Resource, NotResource, Condition";
        for key in map.keys() {
            match key.as_str() {
                "Sid" | "Effect" | "Action" | "NotAction" | "Condition" => {}
                "Resource" | "NotResource" if self.kind != Kind::Trust => {}
                "Resource" | "NotResource" => {
                    return fault(self.at(key), "a trust policy is about its role alone: leave it out");
                }
                "Principal" | "NotPrincipal" if self.kind.has_principal() => {}
                "Principal" | "NotPrincipal" => {
                    return fault(
                        self.at(key),
                        "names a principal: this is a resource's policy, and none that an identity holds",
                    );
                }
                _ if self.kind.has_principal() => {
                    return fault(self.at(key), format!("{KNOWN}, Principal, NotPrincipal"));
                }
                _ => return fault(self.at(key), KNOWN),
            }
        }
        Ok(())
    }

    fn actions(&self, map: &Map<String, Value>) -> Result<Actions, Fault> {
        let Some(Element { not, key, texts }) = self.either(map, "Action", "NotAction")? else {
            return self.here("has neither Action nor NotAction");
        };
        for text in &texts {
            form::action(text).map_err(|reason| (self.at(key), reason))?;
        }
        Ok(Actions { not, patterns: texts.iter().map(|text| ActionPattern::new(text)).collect() })
    }

    fn resources(&self, map: &Map<String, Value>) -> Result<Resources, Fault> {
        let Some(Element { not, key, texts }) = self.either(map, "Resource", "NotResource")? else {
            // A trust policy, and some services' own policies, are about what they are attached to.
            return match self.kind {
                Kind::Trust | Kind::Resource => Ok(Resources::any()),
                _ => self.here("has neither Resource nor NotResource"),
            };
        };
        for text in &texts {
            form::resource(text, self.kind).map_err(|reason| (self.at(key), reason))?;
        }
        let pattern = |text: &&str| {
            if self.variables { ArnPattern::with_variables(text) } else { ArnPattern::new(text) }
        };
        Ok(Resources { not, patterns: texts.iter().map(pattern).collect() })
    }

    fn either<'a>(
        &self,
        map: &'a Map<String, Value>,
        plain: &'static str,
        negated: &'static str,
    ) -> Result<Option<Element<'a>>, Fault> {
        let (not, key, value) = match (map.get(plain), map.get(negated)) {
            (Some(value), None) => (false, plain, value),
            (None, Some(value)) => (true, negated, value),
            (Some(_), Some(_)) => return self.here(format!("has both {plain} and {negated}")),
            (None, None) => return Ok(None),
        };
        // AWS accepts a null among resources and ignores it.
        let texts = self.texts(key, value, plain == "Resource")?;
        Ok(Some(Element { not, key, texts }))
    }

    fn texts<'a>(&self, key: &str, value: &'a Value, nulls: bool) -> Result<Vec<&'a str>, Fault> {
        let texts: Vec<&str> = match value {
            Value::String(text) => vec![text],
            Value::Array(list) => {
                let mut texts = Vec::with_capacity(list.len());
                for one in list {
                    match one {
                        Value::String(text) => texts.push(text.as_str()),
                        Value::Null if nulls => {}
                        _ => return fault(self.at(key), "must hold texts only"),
                    }
                }
                texts
            }
            _ => return fault(self.at(key), "must be a text or a list of texts"),
        };
        if texts.is_empty() {
            return fault(self.at(key), "is empty");
        }
        if texts.len() > ENTRIES_MAX {
            return fault(self.at(key), format!("more than {ENTRIES_MAX} entries"));
        }
        Ok(texts)
    }

    fn principals(&self, map: &Map<String, Value>) -> Result<Option<Principals>, Fault> {
        let (not, key, value) = match (map.get("Principal"), map.get("NotPrincipal")) {
            (Some(value), None) => (false, "Principal", value),
            (None, Some(value)) => (true, "NotPrincipal", value),
            (Some(_), Some(_)) => return self.here("has both Principal and NotPrincipal"),
            (None, None) if !self.kind.has_principal() => return Ok(None),
            (None, None) => {
                return match self.kind.unnamed().filter(|_| self.reading == Reading::Stored) {
                    Some(everyone) => Ok(Some(everyone)),
                    None => self.here("has neither Principal nor NotPrincipal"),
                };
            }
        };
        let mut principals = Principals::none(not);
        match value {
            Value::String(text) if text == "*" => {
                principals.add("AWS", text).map_err(|reason| (self.at(key), reason))?;
            }
            Value::Object(kinds) if !kinds.is_empty() => {
                for (kind, named) in kinds {
                    let place = format!("{key}.{kind}");
                    for text in self.texts(&place, named, false)? {
                        principals.add(kind, text).map_err(|reason| (self.at(&place), reason))?;
                    }
                }
            }
            _ => {
                return fault(self.at(key), "must be \"*\" or an object such as {\"AWS\": \"111122223333\"}");
            }
        }
        if self.kind == Kind::ResourceControl && !principals.is_everyone() {
            return fault(
                self.at(key),
                "a resource control policy is about everyone: write \"Principal\": \"*\"",
            );
        }
        Ok(Some(principals))
    }

    fn conditions(&self, map: &Map<String, Value>) -> Result<Conditions, Fault> {
        let place = self.at("Condition");
        match map.get("Condition") {
            None => Ok(Conditions::default()),
            Some(Value::Object(operators)) => Conditions::read(operators, self.variables)
                .map_err(|(inner, reason)| (format!("{place}.{inner}"), reason)),
            Some(_) => fault(place, "must be an object of operators"),
        }
    }
}
