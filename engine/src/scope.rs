//! What an agent was declared able to do, and the verdict on one permission

mod concern;
mod entry;
mod idle;
mod reach;
mod statement;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};

use crate::reference;
pub(crate) use concern::concerns;
pub(crate) use entry::Meaning;
pub use entry::{Entry, Says};
pub(crate) use idle::idle;
use policy::context::Context;
use policy::wildcard::{Match, Target};
pub use reach::{Reach, Span};
pub(crate) use statement::{Grants, Kind, Statement, VerbActions};

/// The verdict on one permission of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Declared
    In,
    /// Not declared, or denied
    Out,
    /// The log does not show enough to tell, or a key is not judged yet
    Unknown,
}

impl Verdict {
    /// `in`, `out`, `unknown`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::In => "in",
            Verdict::Out => "out",
            Verdict::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A statement allows the permission on every resource of the call
    Declared,
    /// Needs no permission, or SDKs call it by themselves
    Implicit,
    /// No statement covers the permission
    NotDeclared,
    /// The permission is declared, but not on this resource
    OtherResource,
    /// A `deny` entry covers it
    DeniedByManifest,
    /// A statement names resources and the log does not name them all
    ResourceNotLogged,
    /// It hangs on a condition or key that is not judged yet
    ConditionNotJudged,
    /// A policy that the manifest refers to cannot be read
    PolicyUnparsed,
    /// Matching took more steps than we spend on one answer, or met a form that AWS does not document
    TooComplex,
}

impl Reason {
    /// The stable name, in snake_case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Declared => "declared",
            Reason::Implicit => "implicit",
            Reason::NotDeclared => "not_declared",
            Reason::OtherResource => "other_resource",
            Reason::DeniedByManifest => "denied_by_manifest",
            Reason::ResourceNotLogged => "resource_not_logged",
            Reason::ConditionNotJudged => "condition_not_judged",
            Reason::PolicyUnparsed => "policy_unparsed",
            Reason::TooComplex => "too_complex",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verdict with what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeVerdict {
    /// In, out or unknown
    pub verdict: Verdict,
    /// Why
    pub reason: Reason,
    /// The deciding entry: `agents/triage.yaml:22 read: customer_tickets`
    pub statement: Option<String>,
    /// What would have decided an unknown: `bounds.regions`, `via`, `aws:SourceIp`
    pub missing: Vec<String>,
}

impl ScopeVerdict {
    fn new(verdict: Verdict, reason: Reason) -> ScopeVerdict {
        ScopeVerdict { verdict, reason, statement: None, missing: Vec::new() }
    }

    fn by(mut self, statement: &Statement) -> ScopeVerdict {
        self.statement = Some(statement.origin.clone());
        self
    }

    fn hanging_on(mut self, keys: impl IntoIterator<Item = String>) -> ScopeVerdict {
        self.missing.extend(keys);
        self.missing.sort_unstable();
        self.missing.dedup();
        self
    }
}

/// Permissions whose statements are remembered, for each agent: some 30 bytes and one for each statement.
const REMEMBERED_MAX: usize = 4_096;

/// The scope of one agent.
#[derive(Debug, Default)]
pub struct Scope {
    statements: Vec<Statement>,
    /// Bounds that are not judged yet: what would be in is unknown
    bounds: Vec<String>,
    /// Sources of permissions that are not read yet: what would be out is unknown
    unread: Vec<String>,
    /// Policies that cannot be read: everything is unknown
    unparsed: Vec<String>,
    /// Which statements cover a permission on some resource
    covering: RwLock<HashMap<String, Arc<[u32]>>>,
    read_only: OnceLock<bool>,
}

/// What the allowing statements say to one resource.
enum Coverage<'a> {
    Yes(&'a Statement),
    Doubt(&'a Statement, Doubt),
    No,
}

struct Doubt {
    reason: Reason,
    keys: Vec<String>,
}

impl Scope {
    pub(crate) fn new(
        statements: Vec<Statement>,
        bounds: Vec<String>,
        unread: Vec<String>,
        unparsed: Vec<String>,
    ) -> Scope {
        Scope { statements, bounds, unread, unparsed, ..Scope::default() }
    }

    /// The verdict on one permission. `deny` comes before `approvals`, and those before `allow`.
    ///
    /// `resources`: the ARNs that the call touched. `known` false: they only bound it (`bucket/*`), or,
    /// when empty, nothing is known. Empty and known: the permission knows no resource. `context`: what is known of
    /// the call's condition keys.
    #[must_use]
    pub fn verdict(
        &self,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
    ) -> ScopeVerdict {
        if reference::is_implicit(permission) {
            return ScopeVerdict::new(Verdict::In, Reason::Implicit);
        }
        if !self.unparsed.is_empty() {
            return ScopeVerdict::new(Verdict::Unknown, Reason::PolicyUnparsed)
                .hanging_on(self.unparsed.iter().cloned());
        }
        let covering = self.covering(permission);
        let statements: Vec<&Statement> =
            covering.iter().filter_map(|at| self.statements.get(*at as usize)).collect();
        let nothing = [if known { Target::Exact("*") } else { Target::Within("*") }];
        let named: Vec<Target<'_>> = resources
            .iter()
            .map(|arn| if known { Target::Exact(arn) } else { Target::Within(arn) })
            .collect();
        let targets = if named.is_empty() { &nothing[..] } else { &named };

        let mut doubt: Option<(&Statement, Doubt)> = None;
        for statement in statements.iter().copied().filter(|statement| statement.kind == Kind::Deny) {
            for target in targets {
                match statement.says(*target, context) {
                    (Match::Yes, None) => {
                        return ScopeVerdict::new(Verdict::Out, Reason::DeniedByManifest).by(statement);
                    }
                    (Match::No, _) => {}
                    (_, doubtful) => doubt = doubt.or(doubtful.map(|doubtful| (statement, doubtful))),
                }
            }
        }
        let mut allowed: Option<&Statement> = None;
        for target in targets {
            match coverage(&statements, *target, context) {
                Coverage::Yes(statement) => allowed = allowed.or(Some(statement)),
                Coverage::Doubt(statement, doubtful) => doubt = doubt.or(Some((statement, doubtful))),
                Coverage::No => return self.outside(&statements),
            }
        }
        if let Some((statement, doubt)) = doubt {
            return ScopeVerdict::new(Verdict::Unknown, doubt.reason).by(statement).hanging_on(doubt.keys);
        }
        let verdict = if self.bounds.is_empty() {
            ScopeVerdict::new(Verdict::In, Reason::Declared)
        } else {
            ScopeVerdict::new(Verdict::Unknown, Reason::ConditionNotJudged)
                .hanging_on(self.bounds.iter().cloned())
        };
        match allowed {
            Some(statement) => verdict.by(statement),
            None => verdict,
        }
    }

    /// Out, unless something that is not read yet might have declared it.
    fn outside(&self, covering: &[&Statement]) -> ScopeVerdict {
        if !self.unread.is_empty() {
            return ScopeVerdict::new(Verdict::Unknown, Reason::ConditionNotJudged)
                .hanging_on(self.unread.iter().cloned());
        }
        match covering.iter().find(|statement| statement.kind != Kind::Deny) {
            Some(statement) => ScopeVerdict::new(Verdict::Out, Reason::OtherResource).by(statement),
            None => ScopeVerdict::new(Verdict::Out, Reason::NotDeclared),
        }
    }

    /// The verdict where it does not hang on the resource, so that it can be remembered.
    #[must_use]
    pub fn settled(&self, permission: &str) -> Option<ScopeVerdict> {
        let covering = self.covering(permission);
        let mut statements = covering.iter().filter_map(|at| self.statements.get(*at as usize));
        statements
            .all(|statement| statement.resources.is_any() && statement.conditions.is_empty())
            .then(|| self.verdict(permission, &[], false, &Context::partial()))
    }

    /// Whether only List and Read permissions are declared, and at least one. An approval to write is no reading.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        *self.read_only.get_or_init(|| {
            let mut granting =
                self.statements.iter().filter(|statement| statement.kind != Kind::Deny).peekable();
            granting.peek().is_some()
                && self.unread.is_empty()
                && self.unparsed.is_empty()
                && granting.all(|statement| statement.grants_only_reading())
        })
    }

    /// Whether some entry allows the permission on some resource and no entry denies it on all.
    #[must_use]
    pub fn declares(&self, permission: &str) -> bool {
        let covering = self.covering(permission);
        let statements = covering.iter().filter_map(|at| self.statements.get(*at as usize));
        let mut declared = false;
        for statement in statements {
            match statement.kind {
                Kind::Allow => declared = true,
                Kind::Deny
                    if statement.resources.is_any()
                        && statement.conditions.is_empty()
                        && statement.unjudged.is_empty() =>
                {
                    return false;
                }
                Kind::Deny | Kind::Approval => {}
            }
        }
        declared
    }

    /// Every known permission that is declared, sorted.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        let mut declared: BTreeSet<&'static str> = BTreeSet::new();
        for statement in self.statements.iter().filter(|statement| statement.kind == Kind::Allow) {
            declared.extend(statement.permissions().map(|known| known.name.as_str()));
        }
        declared.into_iter().filter(|permission| self.declares(permission)).collect()
    }

    /// The condition keys that the entries about a permission ask for, in lower case.
    #[must_use]
    pub fn keys(&self, permission: &str) -> BTreeSet<String> {
        let covering = self.covering(permission);
        let statements = covering.iter().filter_map(|at| self.statements.get(*at as usize));
        let mut keys = BTreeSet::new();
        for statement in statements {
            let variables = statement.resources.patterns.iter().flat_map(|pattern| pattern.variables());
            keys.extend(
                statement.conditions.keys().iter().chain(variables).map(|key| key.to_ascii_lowercase()),
            );
        }
        keys
    }

    /// The entries of the scope, as `explain` shows them: kind, then `file:line text`.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, &str)> {
        self.statements.iter().map(|statement| (statement.kind.as_str(), statement.origin.as_str())).collect()
    }

    /// The statements that cover a permission on some resource, remembered.
    fn covering(&self, permission: &str) -> Arc<[u32]> {
        // A poisoned lock only means that another thread panicked while it held plain data: go on without memory.
        if let Ok(remembered) = self.covering.read()
            && let Some(found) = remembered.get(permission)
        {
            return Arc::clone(found);
        }
        let found: Arc<[u32]> = (0u32..)
            .zip(&self.statements)
            .filter(|(_, statement)| statement.covers(permission))
            .map(|(at, _)| at)
            .collect();
        if let Ok(mut remembered) = self.covering.write() {
            // Names in a log are endless only if somebody makes them so: then forget and start again.
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            remembered.insert(permission.to_owned(), Arc::clone(&found));
        }
        found
    }
}

/// What approvals and allowing statements say to one resource. An approval outranks an allow: outside its window the
/// call is not allowed, and windows are not judged yet.
fn coverage<'a>(statements: &[&'a Statement], target: Target<'_>, context: &Context) -> Coverage<'a> {
    let mut best = Coverage::No;
    for statement in statements.iter().copied() {
        if statement.kind == Kind::Deny {
            continue;
        }
        match statement.says(target, context) {
            (Match::No, _) => {}
            (Match::Yes, None) => {
                if matches!(best, Coverage::No | Coverage::Doubt(Statement { kind: Kind::Allow, .. }, _)) {
                    best = Coverage::Yes(statement);
                }
            }
            (_, Some(doubt)) => {
                if statement.kind == Kind::Approval || matches!(best, Coverage::No) {
                    best = Coverage::Doubt(statement, doubt);
                }
            }
            (_, None) => {}
        }
    }
    best
}

#[cfg(test)]
mod tests;
