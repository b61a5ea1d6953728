//! One entry of a scope: what it grants, on what, and what it hangs on

use super::concern::concerns_within;
use super::{Doubt, Reason};
use crate::reference::{self, AccessLevel, Permission};
use policy::aws::{Actions, Conditions, Resources};
use policy::context::Context;
use policy::truth::Truth;
use policy::wildcard::{ActionPattern, Match, Target};

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Allow,
    Deny,
    /// Allows inside an approved window
    Approval,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Allow => "allow",
            Kind::Deny => "deny",
            Kind::Approval => "approval",
        }
    }
}

/// One entry, ready to judge by.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) kind: Kind,
    pub(crate) grants: Grants,
    pub(crate) resources: Resources,
    /// What must hold of the call
    pub(crate) conditions: Conditions,
    /// Keys that are not judged yet
    pub(crate) unjudged: Vec<String>,
    /// `agents/triage.yaml:22 read: customer_tickets`
    pub(crate) origin: String,
}

/// Which permissions an entry is about.
#[derive(Debug, Clone)]
pub(crate) enum Grants {
    /// Named, as a policy does
    Named(Actions),
    /// A verb of the catalog
    Verb(VerbActions),
}

/// A verb: access levels and patterns, less those of another verb.
#[derive(Debug, Clone, Default)]
pub(crate) struct VerbActions {
    pub(crate) any: bool,
    pub(crate) levels: Vec<AccessLevel>,
    pub(crate) patterns: Vec<ActionPattern>,
    pub(crate) except: Vec<VerbActions>,
}

impl VerbActions {
    pub(super) fn matches(&self, permission: &str) -> Match {
        let level = reference::permission(permission).map(|known| known.level);
        let levelled = self.any || level.is_some_and(|level| self.levels.contains(&level));
        let start = if levelled { Match::Yes } else { Match::No };
        let found = self.patterns.iter().fold(start, |found, pattern| found.or(pattern.matches(permission)));
        if found == Match::Yes && self.except.iter().any(|verb| verb.matches(permission) != Match::No) {
            return Match::No;
        }
        found
    }
}

impl Statement {
    /// Whether it is about a permission on some resource.
    pub(super) fn covers(&self, permission: &str) -> bool {
        let about = match &self.grants {
            Grants::Named(actions) => actions.matches(permission),
            Grants::Verb(verb) => verb.matches(permission),
        };
        about != Match::No
            && concerns_within(&self.resources, permission, matches!(self.grants, Grants::Verb(_)))
    }

    /// Whether a resource is meant, and what that hangs on.
    pub(super) fn says(&self, target: Target<'_>, context: &Context) -> (Match, Option<Doubt>) {
        let found = self.resources.matches(target);
        let truth = if found == Match::No { Truth::False } else { self.conditions.truth(context) };
        if truth == Truth::False {
            return (Match::No, None);
        }
        let doubt = |reason, keys| Some(Doubt { reason, keys });
        let doubt = match found {
            Match::No => None,
            _ if !self.unjudged.is_empty() || truth == Truth::Unknown => {
                let mut keys = self.unjudged.clone();
                if truth == Truth::Unknown {
                    keys.extend(self.conditions.undecided(context));
                }
                doubt(Reason::ConditionNotJudged, keys)
            }
            Match::Yes => None,
            Match::Partly => doubt(Reason::ResourceNotLogged, vec!["resource".to_owned()]),
            Match::Variable => {
                let variables =
                    self.resources.patterns.iter().flat_map(|pattern| pattern.variables().iter().cloned());
                doubt(Reason::ConditionNotJudged, variables.collect())
            }
            Match::Unclear => doubt(Reason::TooComplex, Vec::new()),
        };
        (found, doubt)
    }

    /// The known permissions that it is about.
    pub(super) fn permissions(&self) -> Box<dyn Iterator<Item = &'static Permission> + '_> {
        let covered = move |known: &&'static Permission| self.covers(&known.name);
        match &self.grants {
            Grants::Named(actions) if !actions.not => {
                Box::new(actions.patterns.iter().flat_map(reference::matching).filter(covered))
            }
            Grants::Verb(_)
                if !self.resources.is_any()
                    && !self.resources.not
                    && self.resources.patterns.iter().all(|one| one.service().is_some()) =>
            {
                let services = self.resources.patterns.iter().filter_map(|pattern| pattern.service());
                Box::new(services.flat_map(reference::permissions_of).filter(covered))
            }
            _ => Box::new(reference::permissions().iter().filter(covered)),
        }
    }

    /// Whether everything that it grants is graded List or Read. A name that we do not know may do anything.
    pub(super) fn grants_only_reading(&self) -> bool {
        let unknown = match &self.grants {
            Grants::Named(actions) => {
                !actions.not
                    && actions.patterns.iter().any(|pattern| {
                        pattern.is_exact() && reference::permission(pattern.as_str()).is_none()
                    })
            }
            Grants::Verb(_) => false,
        };
        !unknown && self.permissions().all(|known| known.level <= AccessLevel::Read)
    }
}
