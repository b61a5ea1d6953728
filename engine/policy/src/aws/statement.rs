//! Statements: what one says to a request

use serde_json::Value;

use super::Conditions;
use super::layers::Request;
use super::principal::Principals;
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

/// One statement of a policy.
#[derive(Debug, Clone)]
pub struct Statement {
    /// `Sid`, where it has one
    pub sid: Option<String>,
    /// Its place, from 0
    pub index: usize,
    /// Allow or Deny
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`; none in what an identity holds
    pub principals: Option<Principals>,
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

    /// Whether action, resource and conditions match. Whom it names is asked of [`Principals`].
    #[must_use]
    pub fn truth(&self, request: &Request<'_>) -> Truth {
        let action = self.actions.matches(request.action);
        if action == Match::No {
            return Truth::False;
        }
        let resource = self.resources.matches_in(request.resource, request.context);
        if resource == Match::No {
            return Truth::False;
        }
        let certain =
            if (action, resource) == (Match::Yes, Match::Yes) { Truth::True } else { Truth::Unknown };
        certain.and(self.conditions.truth(request.context))
    }

    /// What would decide it, where [`Statement::truth`] is unknown.
    #[must_use]
    pub fn undecided(&self, request: &Request<'_>) -> Vec<String> {
        let action = self.actions.matches(request.action);
        let resource = self.resources.matches_in(request.resource, request.context);
        let mut keys = match self.conditions.truth(request.context) {
            Truth::Unknown => self.conditions.undecided(request.context),
            _ => Vec::new(),
        };
        if resource == Match::Variable {
            keys.extend(self.resources.unknown_variables(request.context));
        }
        if resource == Match::Partly {
            keys.push("resource".into());
        }
        if action == Match::Unclear || resource == Match::Unclear {
            keys.push("step_budget".into());
        }
        keys
    }
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

    /// The policy variables that they hang on.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().flat_map(|pattern| pattern.variables().iter().map(String::as_str))
    }
}
