//! AWS policy documents, and the order in which AWS weighs them
//!
//! Three-valued: a condition, a policy variable or a layer that is not judged yet makes an answer unknown where
//! it could turn it, and is never taken for an Allow.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

mod condition;
mod document;
pub(crate) mod variable;

use std::sync::Arc;

use serde_json::Value;

pub use condition::Conditions;

use crate::context::Context;
use crate::truth::Truth;
use crate::wildcard::{ActionPattern, ArnPattern, Match, Target};

/// What a statement does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Grants
    Allow,
    /// Takes away, whatever else grants
    Deny,
}

impl Effect {
    /// `Allow`, `Deny`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        }
    }
}

/// A policy document that was read.
#[derive(Debug)]
pub struct Policy {
    /// What answers call it: an ARN, a name or a file
    pub name: String,
    /// In the document's order
    pub statements: Vec<Statement>,
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
    /// Reads a document that is granted to an identity, or that limits one.
    ///
    /// Versions 2012-10-17, 2008-10-17 and none (without policy variables, as AWS has it).
    ///
    /// # Errors
    /// The place and the reason, at the first thing that AWS would not accept.
    pub fn parse(name: &str, text: &str) -> Result<Policy, PolicyError> {
        document::parse(name, text)
    }

    /// The same from JSON that is parsed already.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_json(name: &str, document: &Value) -> Result<Policy, PolicyError> {
        document::from_json(name, document)
    }
}

/// One statement of a policy.
#[derive(Debug, Clone)]
pub struct Statement {
    /// `Sid`, where it has one
    pub sid: Option<String>,
    /// Its place, from 0
    pub index: usize,
    /// Allow or Deny
    pub effect: Effect,
    /// `Action` or `NotAction`
    pub actions: Actions,
    /// `Resource` or `NotResource`
    pub resources: Resources,
    /// `Condition`; empty: it holds always
    pub conditions: Conditions,
    /// As written
    pub raw: Value,
}

impl Statement {
    /// The `Sid`, else the place.
    #[must_use]
    pub fn label(&self) -> String {
        self.sid.clone().filter(|sid| !sid.is_empty()).unwrap_or_else(|| self.index.to_string())
    }

    fn matches(&self, request: &Request<'_>) -> Matched {
        match (
            self.actions.matches(request.action),
            self.resources.matches_in(request.resource, request.context),
        ) {
            (Match::No, _) | (_, Match::No) => Matched::No,
            (action, resource) => {
                let truth = self.conditions.truth(request.context);
                if truth == Truth::False {
                    return Matched::No;
                }
                if (action, resource, truth) == (Match::Yes, Match::Yes, Truth::True) {
                    return Matched::Yes;
                }
                let mut keys = match truth {
                    Truth::Unknown => self.conditions.undecided(request.context),
                    _ => Vec::new(),
                };
                if resource == Match::Variable {
                    keys.extend(self.resources.unknown_variables(request.context));
                }
                if matches!(resource, Match::Partly) {
                    keys.push("resource".into());
                }
                if action == Match::Unclear || resource == Match::Unclear {
                    keys.push("step_budget".into());
                }
                Matched::Unknown(keys)
            }
        }
    }
}

enum Matched {
    Yes,
    No,
    Unknown(Vec<String>),
}

/// `Action`, or with `not` `NotAction`.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    /// All but these
    pub not: bool,
    /// As written
    pub patterns: Vec<ActionPattern>,
}

impl Actions {
    /// Whether a permission is meant.
    #[must_use]
    pub fn matches(&self, permission: &str) -> Match {
        let found =
            self.patterns.iter().fold(Match::No, |found, pattern| found.or(pattern.matches(permission)));
        if self.not { found.negate() } else { found }
    }
}

/// `Resource`, or with `not` `NotResource`.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// All but these
    pub not: bool,
    /// As written
    pub patterns: Vec<ArnPattern>,
}

impl Resources {
    /// Every resource, and none.
    #[must_use]
    pub fn any() -> Resources {
        Resources { not: false, patterns: vec![ArnPattern::new("*")] }
    }

    /// Whether it is every resource.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.not && self.patterns.iter().any(ArnPattern::is_any)
    }

    /// Whether what a call touched is meant.
    #[must_use]
    pub fn matches(&self, target: Target<'_>) -> Match {
        let found = self.patterns.iter().fold(Match::No, |found, pattern| found.or(pattern.matches(target)));
        if self.not { found.negate() } else { found }
    }

    /// The same with the policy variables read from the request: `Variable` where it does not know one that decides.
    ///
    /// A variable without a value matches nothing, and `NotResource` with one means nothing either.
    #[must_use]
    pub fn matches_in(&self, target: Target<'_>, context: &Context) -> Match {
        let found = self
            .patterns
            .iter()
            .fold(Match::No, |found, pattern| found.or(pattern.matches_in(target, context)));
        if !self.not {
            return found;
        }
        let resolvable =
            self.patterns.iter().fold(Truth::True, |all, pattern| all.and(pattern.resolvable(context)));
        match (found, resolvable) {
            (_, Truth::False) | (Match::Yes, _) => Match::No,
            (Match::No, Truth::Unknown) => Match::Variable,
            (found, _) => found.negate(),
        }
    }

    /// The policy variables of which the context does not know the value.
    pub fn unknown_variables<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = String> + 'a {
        self.patterns.iter().flat_map(|pattern| pattern.unknown_variables(context).map(str::to_owned))
    }
}

/// The policies that bear on one principal. A layer that does not exist is `None` or empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layers<'a> {
    /// Of the identity itself, and of its groups
    pub identity: &'a [Arc<Policy>],
    /// The permissions boundary
    pub boundary: Option<&'a [Arc<Policy>]>,
    /// The session's policies
    pub session: Option<&'a [Arc<Policy>]>,
    /// Service control policies, one list for each level; every level must allow
    pub scps: &'a [Vec<Arc<Policy>>],
    /// Layers that exist and are not judged: `rcp`, `resource`, `endpoint`, or a policy that cannot be read
    pub unjudged: &'a [&'static str],
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `s3:GetObject`
    pub action: &'a str,
    /// What it touches
    pub resource: Target<'a>,
    /// What is known of its condition keys
    pub context: &'a Context,
}

/// AWS's answer, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Granted
    Allowed,
    /// Granted by nothing
    ImplicitlyDenied,
    /// A Deny matches
    ExplicitlyDenied,
    /// What is not known decides
    Unknown,
}

impl Answer {
    /// `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied`, `Unknown`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Allowed => "Allowed",
            Answer::ImplicitlyDenied => "ImplicitlyDenied",
            Answer::ExplicitlyDenied => "ExplicitlyDenied",
            Answer::Unknown => "Unknown",
        }
    }
}

/// A statement that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisive {
    /// `identity`, `boundary`, `session`, `scp`
    pub layer: &'static str,
    /// The policy's name
    pub policy: String,
    /// The statement's `Sid` or place
    pub statement: String,
}

/// An answer with what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// AWS's answer
    pub effect: Answer,
    /// The layers that deny, do not allow, or leave it unknown
    pub blocked_by: Vec<&'static str>,
    /// The statements that decided
    pub decisive: Vec<Decisive>,
    /// What would decide an unknown
    pub missing_keys: Vec<String>,
}

/// What one layer says.
#[derive(Default)]
struct Layer {
    allow: Option<Decisive>,
    doubtful: Vec<Decisive>,
    missing: Vec<String>,
}

/// Weighs the layers: any Deny ends it, then every layer must allow.
#[must_use]
pub fn decide(layers: &Layers<'_>, request: &Request<'_>) -> Decision {
    let mut answer = Decision {
        effect: Answer::Allowed,
        blocked_by: Vec::new(),
        decisive: Vec::new(),
        missing_keys: Vec::new(),
    };
    // A deny may hang on something unknown: kept until we know whether all else allows.
    let mut doubtful_denies: Vec<(Decisive, Vec<String>)> = Vec::new();
    let mut judged: Vec<(&'static str, Layer)> = Vec::new();

    let mut lists: Vec<(&'static str, &[Arc<Policy>])> =
        layers.scps.iter().map(|level| ("scp", level.as_slice())).collect();
    lists.push(("identity", layers.identity));
    lists.extend(layers.boundary.map(|list| ("boundary", list)));
    lists.extend(layers.session.map(|list| ("session", list)));

    for (name, policies) in lists {
        let mut layer = Layer::default();
        for policy in policies {
            for statement in &policy.statements {
                let matched = statement.matches(request);
                if matches!(matched, Matched::No) {
                    continue;
                }
                let decisive =
                    Decisive { layer: name, policy: policy.name.clone(), statement: statement.label() };
                match (statement.effect, matched) {
                    (Effect::Deny, Matched::Yes) => {
                        return Decision {
                            effect: Answer::ExplicitlyDenied,
                            blocked_by: vec![name],
                            decisive: vec![decisive],
                            missing_keys: Vec::new(),
                        };
                    }
                    (Effect::Deny, Matched::Unknown(keys)) => doubtful_denies.push((decisive, keys)),
                    (Effect::Allow, Matched::Yes) if layer.allow.is_none() => layer.allow = Some(decisive),
                    (Effect::Allow, Matched::Unknown(keys)) => {
                        layer.doubtful.push(decisive);
                        layer.missing.extend(keys);
                    }
                    _ => {}
                }
            }
        }
        judged.push((name, layer));
    }

    let denied: Vec<&'static str> = judged
        .iter()
        .filter(|(_, layer)| layer.allow.is_none() && layer.doubtful.is_empty())
        .map(|(name, _)| *name)
        .collect();
    // A layer that is not judged may add an Allow (a resource's policy), so a lack of one is no answer either.
    if !denied.is_empty() && layers.unjudged.is_empty() {
        answer.effect = Answer::ImplicitlyDenied;
        answer.blocked_by = denied;
        answer.blocked_by.dedup();
        return answer;
    }
    for (name, layer) in judged {
        match layer.allow {
            Some(decisive) => answer.decisive.push(decisive),
            None => {
                answer.effect = Answer::Unknown;
                answer.blocked_by.push(name);
                answer.decisive.extend(layer.doubtful);
                answer.missing_keys.extend(layer.missing);
            }
        }
    }
    for (decisive, keys) in doubtful_denies {
        answer.effect = Answer::Unknown;
        answer.blocked_by.push(decisive.layer);
        answer.decisive.push(decisive);
        answer.missing_keys.extend(keys);
    }
    if !layers.unjudged.is_empty() {
        answer.effect = Answer::Unknown;
        answer.blocked_by.extend(layers.unjudged);
    }
    answer.blocked_by.sort_unstable();
    answer.blocked_by.dedup();
    answer.missing_keys.sort_unstable();
    answer.missing_keys.dedup();
    answer
}

#[cfg(test)]
mod tests;
