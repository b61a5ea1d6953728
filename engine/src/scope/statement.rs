//! One entry of a scope: what it grants, on what, and what it hangs on

use std::borrow::Cow;
use std::sync::Arc;

use super::approval::Approval;
use super::concern::concerns_within;
use super::verdict::{Doubt, Reason, Said};
use super::via;
use crate::reference::{self, AccessLevel, Permission};
use policy::aws::{Actions, Conditions, Resources};
use policy::context::{Context, Fact};
use policy::truth::Truth;
use policy::wildcard::{ActionPattern, Match, Target};

/// The aliases of the key that a call used, where the log was told to add them; and the alias that it was asked for by.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-resource-aliases>
const ALIAS_KEYS: [&str; 2] = ["kms:ResourceAliases", "kms:RequestAlias"];

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Allow,
    Deny,
    /// Allows inside an approved window
    Approval,
    /// Allows nothing: a denied call that it covers is no surprise
    ExpectedDenial,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Allow => "allow",
            Kind::Deny => "deny",
            Kind::Approval => "approval",
            Kind::ExpectedDenial => "expected_denial",
        }
    }
}

/// One entry, ready to judge by.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) kind: Kind,
    pub(crate) grants: Grants,
    pub(crate) resources: Resources,
    /// KMS aliases that stand for keys: `alias/tickets`
    pub(crate) aliases: Vec<ActionPattern>,
    /// What must hold of the call
    pub(crate) conditions: Conditions,
    /// Services through one of which the call must come
    pub(crate) via: Vec<String>,
    /// When it holds, for an approval
    pub(crate) approval: Option<Arc<Approval>>,
    /// What is not judged
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
    /// An entry that hangs on nothing.
    pub(crate) fn new(kind: Kind, grants: Grants, resources: Resources, origin: String) -> Statement {
        Statement {
            kind,
            grants,
            resources,
            aliases: Vec::new(),
            conditions: Conditions::default(),
            via: Vec::new(),
            approval: None,
            unjudged: Vec::new(),
            origin,
        }
    }

    /// Whether it is about a permission on some resource.
    pub(super) fn covers(&self, permission: &str) -> bool {
        let about = match &self.grants {
            Grants::Named(actions) => actions.matches(permission),
            Grants::Verb(verb) => verb.matches(permission),
        };
        about != Match::No
            && (!self.aliases.is_empty()
                || concerns_within(&self.resources, permission, matches!(self.grants, Grants::Verb(_))))
    }

    /// Whether it says the same to every call.
    pub(super) fn is_unconditional(&self) -> bool {
        self.conditions.is_empty()
            && self.via.is_empty()
            && self.approval.is_none()
            && self.unjudged.is_empty()
    }

    /// Whether a resource is meant and what the entry asks for is given.
    pub(super) fn says(&self, target: Target<'_>, context: &Context) -> Said {
        let said = self.means(target, context);
        let Some(approval) = self.approval.as_ref().filter(|_| !matches!(said, Said::No)) else {
            return said;
        };
        match (approval.open(context), said) {
            ((Truth::False, _), _) => Said::No,
            ((Truth::True, _), said) => said,
            ((Truth::Unknown, keys), Said::Doubt(mut doubt)) => {
                doubt.keys.extend(keys);
                Said::Doubt(doubt)
            }
            ((Truth::Unknown, keys), _) => Said::Doubt(Doubt { reason: Reason::ConditionNotJudged, keys }),
        }
    }

    /// The same whatever the time, for an approval.
    pub(super) fn means(&self, target: Target<'_>, context: &Context) -> Said {
        let (found, alias) = self.finds(target, context);
        if found == Match::No {
            return Said::No;
        }
        let (holds, via) = (self.conditions.truth(context), via::truth(&self.via, context));
        if holds.and(via) == Truth::False {
            return Said::No;
        }
        let mut keys = self.unjudged.clone();
        if holds == Truth::Unknown {
            keys.extend(self.conditions.undecided(context));
        }
        if via == Truth::Unknown {
            let unknown = via::KEYS.into_iter().filter(|key| context.fact(key) == &Fact::Unknown);
            keys.extend(unknown.map(str::to_owned));
        }
        keys.extend(alias);
        if !keys.is_empty() || holds == Truth::Unknown {
            return Said::Doubt(Doubt { reason: Reason::ConditionNotJudged, keys });
        }
        match found {
            Match::Yes | Match::No => Said::Yes,
            Match::Partly => {
                Said::Doubt(Doubt { reason: Reason::ResourceNotLogged, keys: vec!["resource".to_owned()] })
            }
            Match::Variable => Said::Doubt(Doubt {
                reason: Reason::ConditionNotJudged,
                keys: self.variables().map(str::to_owned).collect(),
            }),
            Match::Unclear => Said::Doubt(Doubt { reason: Reason::TooComplex, keys: Vec::new() }),
        }
    }

    /// Whether a resource is meant. A key that may be the one behind an alias is, with the keys that would tell.
    pub(super) fn finds(&self, target: Target<'_>, context: &Context) -> (Match, Vec<String>) {
        let found = self.resources.matches_in(target, context);
        let (Target::Exact(arn) | Target::Within(arn)) = target;
        let is_key = arn.split(':').nth(2) == Some("kms") && !arn.contains(":alias/");
        if found != Match::No || self.aliases.is_empty() || !is_key {
            return (found, Vec::new());
        }
        let named = |fact: &Fact| match fact {
            Fact::Values(values) => Truth::from(
                values.iter().any(|value| self.aliases.iter().any(|alias| alias.matches_exactly(value))),
            ),
            Fact::Absent => Truth::False,
            Fact::Unknown => Truth::Unknown,
        };
        let [all, asked] = ALIAS_KEYS.map(|key| context.fact(key));
        // A key may have other aliases than the one that it was asked for by, so that one alone does not refuse.
        if named(all) == Truth::True || named(asked) == Truth::True {
            return (Match::Yes, Vec::new());
        }
        match named(all) {
            Truth::Unknown => {
                let unknown = ALIAS_KEYS.into_iter().filter(|key| context.fact(key) == &Fact::Unknown);
                (Match::Yes, unknown.map(str::to_owned).collect())
            }
            _ => (Match::No, Vec::new()),
        }
    }

    fn variables(&self) -> impl Iterator<Item = &str> {
        self.resources.patterns.iter().flat_map(|pattern| pattern.variables().iter().map(String::as_str))
    }

    /// The condition keys that it asks for, as written.
    pub(super) fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.conditions.keys().iter().map(String::as_str).collect();
        keys.extend(self.variables());
        if !self.via.is_empty() {
            keys.extend(via::KEYS);
        }
        if !self.aliases.is_empty() {
            keys.extend(ALIAS_KEYS);
        }
        keys.extend(self.approval.iter().flat_map(|approval| approval.keys()));
        keys
    }

    /// What decided: the entry, and the approval that opened it.
    pub(super) fn told(&self, context: &Context) -> Cow<'_, str> {
        match self.approval.as_ref().and_then(|approval| approval.opened(context)) {
            Some(window) => Cow::Owned(format!("{}, approved by {}", self.origin, window.origin)),
            None => Cow::Borrowed(&self.origin),
        }
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
            _ => Box::new(reference::permissions().filter(covered)),
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
