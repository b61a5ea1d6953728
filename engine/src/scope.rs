//! What an agent was declared able to do, and the verdict on one permission

mod approval;
mod bounds;
mod concern;
mod elsewhere;
mod entry;
mod hours;
mod idle;
mod network;
mod reach;
mod statement;
mod verdict;
mod via;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, RwLock};

use crate::cloud::Cloud;
use crate::reference;
use policy::context::Context;
use policy::wildcard::{ArnPattern, Target};
use verdict::{Doubt, Said};

pub(crate) use approval::{Approval, Window};
pub use bounds::{Bound, BoundFacts, Bounds, Broken};
pub(crate) use concern::concerns;
pub use elsewhere::Plane;
pub(crate) use elsewhere::{Elsewhere, Operations, Thing};
pub(crate) use entry::Meaning;
pub use entry::{Entry, Says};
pub use hours::Hours;
pub(crate) use idle::idle;
pub use network::Network;
pub use reach::{Reach, Span};
pub(crate) use statement::{Grants, Kind, Statement, VerbActions};
pub use verdict::{Reason, ScopeVerdict, Verdict};

/// Permissions by which one identity becomes another.
pub(crate) const HOPS: [&str; 3] =
    ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"];

/// Permissions whose statements are remembered, for each agent: some 30 bytes and one for each statement.
const REMEMBERED_MAX: usize = 4_096;

/// The scope of one agent.
#[derive(Debug, Default)]
pub struct Scope {
    parts: Parts,
    /// Which statements cover a permission on some resource
    covering: RwLock<HashMap<String, Arc<[u32]>>>,
    read_only: OnceLock<bool>,
}

/// What a scope is made of.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// About AWS
    pub(crate) statements: Vec<Statement>,
    /// About other clouds
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// Denials that are no surprise
    pub(crate) expected: Vec<Statement>,
    /// Sources of permissions that are not at hand: what would be out there is unknown
    pub(crate) unread: Vec<(Cloud, String)>,
    /// Policies that cannot be read: everything there is unknown
    pub(crate) unparsed: Vec<(Cloud, String)>,
    /// `assume.to` is given: any other hop is undeclared
    pub(crate) hops: bool,
    /// The first moment that is too late, µs UTC
    pub(crate) expires: Option<i64>,
}

/// What the allowing statements say to one resource.
enum Coverage<'a> {
    Yes(&'a Statement),
    Doubt(&'a Statement, Doubt),
    No,
}

impl Scope {
    pub(crate) fn new(parts: Parts) -> Scope {
        Scope { parts, ..Scope::default() }
    }

    /// The verdict on one permission in AWS. `deny` comes before open `approvals`, and those before `allow`.
    ///
    /// `resources`: the ARNs that the call touched. `known` false: they only bound it (`bucket/*`), or,
    /// when empty, nothing is known. Empty and known: the permission knows no resource. `context`: what is known of
    /// the call's condition keys; [`Scope::keys`] names those that matter. Without `aws:CurrentTime` the scope is
    /// judged as if it had not expired.
    #[must_use]
    pub fn verdict(
        &self,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
    ) -> ScopeVerdict {
        let verdict = self.undated(permission, resources, known, context);
        self.unless_expired(verdict, context)
    }

    /// What is declared is declared until the manifest expires. What is out is out for its own reason.
    fn unless_expired(&self, verdict: ScopeVerdict, context: &Context) -> ScopeVerdict {
        let late = self.parts.expires.is_some()
            && verdict.reason != Reason::Implicit
            && verdict.verdict != Verdict::Out
            && approval::time_of(context).is_some_and(|time| self.has_expired(time));
        if !late {
            return verdict;
        }
        ScopeVerdict { verdict: Verdict::Out, reason: Reason::Expired, missing: Vec::new(), ..verdict }
    }

    /// Whether the manifest had expired at a moment (µs UTC).
    #[must_use]
    pub fn has_expired(&self, when: i64) -> bool {
        self.parts.expires.is_some_and(|expires| when >= expires)
    }

    fn undated(
        &self,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
    ) -> ScopeVerdict {
        if reference::is_implicit(permission) {
            return ScopeVerdict::new(Verdict::In, Reason::Implicit);
        }
        let unparsed = self.named(&self.parts.unparsed, Cloud::Aws);
        if !unparsed.is_empty() {
            return ScopeVerdict::new(Verdict::Unknown, Reason::PolicyUnparsed).hanging_on(unparsed);
        }
        let covering = self.covering(permission);
        let statements: Vec<&Statement> =
            covering.iter().filter_map(|at| self.parts.statements.get(*at as usize)).collect();
        let nothing = [if known { Target::Exact("*") } else { Target::Within("*") }];
        let named = targets_of(resources, known);
        let targets = if named.is_empty() { &nothing[..] } else { &named };

        let mut doubt: Option<(&Statement, Doubt)> = None;
        for statement in statements.iter().copied().filter(|statement| statement.kind == Kind::Deny) {
            for target in targets {
                match statement.says(*target, context) {
                    Said::Yes => {
                        return ScopeVerdict::new(Verdict::Out, Reason::DeniedByManifest)
                            .by(&statement.origin);
                    }
                    Said::No => {}
                    Said::Doubt(found) => doubt = doubt.or(Some((statement, found))),
                }
            }
        }
        let mut allowed: Option<&Statement> = None;
        for target in targets {
            match coverage(&statements, *target, context) {
                Coverage::Yes(statement) => allowed = allowed.or(Some(statement)),
                Coverage::Doubt(statement, found) => doubt = doubt.or(Some((statement, found))),
                Coverage::No => return self.outside(permission, &statements, *target, context),
            }
        }
        match (allowed, doubt) {
            (_, Some((statement, doubt))) => {
                ScopeVerdict::new(Verdict::Unknown, doubt.reason).by(&statement.origin).hanging_on(doubt.keys)
            }
            (Some(statement), None) if statement.kind == Kind::Approval => {
                ScopeVerdict::new(Verdict::In, Reason::Approved).by(statement.told(context))
            }
            (Some(statement), None) => ScopeVerdict::new(Verdict::In, Reason::Declared).by(&statement.origin),
            // Every target is allowed, in doubt or outside, and there is one at least.
            (None, None) => ScopeVerdict::new(Verdict::Out, Reason::NotDeclared),
        }
    }

    /// Out, unless something that is not at hand might have declared it.
    fn outside(
        &self,
        permission: &str,
        covering: &[&Statement],
        target: Target<'_>,
        context: &Context,
    ) -> ScopeVerdict {
        let unread = self.named(&self.parts.unread, Cloud::Aws);
        if !unread.is_empty() {
            return ScopeVerdict::new(Verdict::Unknown, Reason::PolicyUnparsed).hanging_on(unread);
        }
        let closed = covering.iter().find(|statement| {
            statement.kind == Kind::Approval && !matches!(statement.means(target, context), Said::No)
        });
        if let Some(statement) = closed {
            return ScopeVerdict::new(Verdict::Out, Reason::OutsideApproval).by(&statement.origin);
        }
        let granting = covering.iter().filter(|statement| statement.kind != Kind::Deny);
        let granting = granting.min_by_key(|statement| statement.kind == Kind::Approval);
        let hop = self.parts.hops && HOPS.iter().any(|hop| hop.eq_ignore_ascii_case(permission));
        match granting {
            _ if hop => ScopeVerdict::new(Verdict::Out, Reason::UndeclaredHop),
            Some(statement) => ScopeVerdict::new(Verdict::Out, Reason::OtherResource).by(&statement.origin),
            None => ScopeVerdict::new(Verdict::Out, Reason::NotDeclared),
        }
    }

    fn named(&self, sources: &[(Cloud, String)], cloud: Cloud) -> Vec<String> {
        sources.iter().filter(|(of, _)| *of == cloud).map(|(_, name)| name.clone()).collect()
    }

    /// Whether the manifest expects any denial at all.
    #[must_use]
    pub fn expects_denials(&self) -> bool {
        !self.parts.expected.is_empty()
    }

    /// The condition keys that expected denials ask for.
    #[must_use]
    pub fn expected_keys(&self) -> Vec<&str> {
        self.parts.expected.iter().flat_map(Statement::keys).collect()
    }

    /// Whether a call that was denied is one that the manifest expects to be: the agent asks for it knowingly.
    #[must_use]
    pub fn expects_denial(
        &self,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
    ) -> bool {
        let named = targets_of(resources, known);
        let nothing = [Target::Exact("*")];
        let targets = if named.is_empty() { &nothing[..] } else { &named };
        let expected = |target: &Target<'_>| {
            self.parts.expected.iter().any(|statement| {
                statement.covers(permission) && matches!(statement.says(*target, context), Said::Yes)
            })
        };
        !self.parts.expected.is_empty() && targets.iter().all(expected)
    }

    /// Whether the verdict on a permission is the same for every resource and every call, as long as the manifest
    /// does not expire.
    #[must_use]
    pub fn is_settled(&self, permission: &str) -> bool {
        let covering = self.covering(permission);
        let mut statements = covering.iter().filter_map(|at| self.parts.statements.get(*at as usize));
        reference::is_implicit(permission)
            || !self.named(&self.parts.unparsed, Cloud::Aws).is_empty()
            || statements.all(|statement| statement.resources.is_any() && statement.is_unconditional())
    }

    /// The patterns on which alone the verdict on a permission hangs: resources that they match alike get the same.
    /// `None` where it hangs on more.
    #[must_use]
    pub fn patterns(&self, permission: &str) -> Option<Vec<ArnPattern>> {
        let mut patterns: Vec<ArnPattern> = Vec::new();
        for at in self.covering(permission).iter() {
            let statement = self.parts.statements.get(*at as usize)?;
            if !statement.is_unconditional() || !statement.aliases.is_empty() {
                return None;
            }
            for pattern in &statement.resources.patterns {
                if !pattern.variables().is_empty() {
                    return None;
                }
                if !patterns.iter().any(|known| known.as_str() == pattern.as_str()) {
                    patterns.push(pattern.clone());
                }
            }
        }
        Some(patterns)
    }

    /// The verdict where it does not hang on the resource, so that it can be remembered.
    #[must_use]
    pub fn settled(&self, permission: &str) -> Option<ScopeVerdict> {
        self.is_settled(permission).then(|| self.verdict(permission, &[], false, &Context::partial()))
    }

    /// Whether the manifest expires at all.
    #[must_use]
    pub fn expires(&self) -> bool {
        self.parts.expires.is_some()
    }

    /// The condition keys that the entries about a permission ask for, in lower case. `aws:currenttime` is among them
    /// where an approval is; that the manifest expires is asked of [`Scope::has_expired`].
    #[must_use]
    pub fn keys(&self, permission: &str) -> BTreeSet<String> {
        let covering = self.covering(permission);
        let statements = covering.iter().filter_map(|at| self.parts.statements.get(*at as usize));
        statements.flat_map(Statement::keys).map(str::to_ascii_lowercase).collect()
    }

    /// Whether only List and Read permissions are declared, and at least one. An approval to write is no reading.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let parts = &self.parts;
        *self.read_only.get_or_init(|| {
            let mut granting = parts.statements.iter().filter(|statement| statement.kind != Kind::Deny);
            let grants = |kind: Kind| matches!(kind, Kind::Allow | Kind::Approval);
            let mut elsewhere = parts.elsewhere.iter().filter(|entry| grants(entry.kind));
            (granting.clone().next().is_some() || elsewhere.clone().next().is_some())
                && parts.unread.is_empty()
                && parts.unparsed.is_empty()
                && granting.all(Statement::grants_only_reading)
                && elsewhere.all(Elsewhere::grants_only_reading)
        })
    }

    /// Whether some entry allows the permission on some resource and no entry denies it on all.
    #[must_use]
    pub fn declares(&self, permission: &str) -> bool {
        let covering = self.covering(permission);
        let statements = covering.iter().filter_map(|at| self.parts.statements.get(*at as usize));
        let mut declared = false;
        for statement in statements {
            match statement.kind {
                Kind::Allow => declared = true,
                Kind::Deny if statement.resources.is_any() && statement.is_unconditional() => return false,
                Kind::Deny | Kind::Approval | Kind::ExpectedDenial => {}
            }
        }
        declared
    }

    /// Every known permission that is declared, sorted.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        let mut declared: BTreeSet<&'static str> = BTreeSet::new();
        for statement in self.parts.statements.iter().filter(|statement| statement.kind == Kind::Allow) {
            declared.extend(statement.permissions().map(|known| known.name.as_str()));
        }
        declared.into_iter().filter(|permission| self.declares(permission)).collect()
    }

    /// The entries of the scope, as `explain` shows them: kind, then `file:line text`.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, &str)> {
        let aws = self.parts.statements.iter().chain(&self.parts.expected);
        let aws = aws.map(|statement| (statement.kind.as_str(), statement.origin.as_str()));
        let other = self.parts.elsewhere.iter().map(|entry| (entry.kind.as_str(), entry.origin.as_str()));
        aws.chain(other).collect()
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
            .zip(&self.parts.statements)
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

fn targets_of(resources: &[String], known: bool) -> Vec<Target<'_>> {
    resources.iter().map(|arn| if known { Target::Exact(arn) } else { Target::Within(arn) }).collect()
}

/// What open approvals, and then allowing statements, say to one resource. Any certain yes is enough.
fn coverage<'a>(statements: &[&'a Statement], target: Target<'_>, context: &Context) -> Coverage<'a> {
    let mut best = Coverage::No;
    for kind in [Kind::Approval, Kind::Allow] {
        for statement in statements.iter().copied().filter(|statement| statement.kind == kind) {
            match statement.says(target, context) {
                Said::No => {}
                Said::Yes => return Coverage::Yes(statement),
                Said::Doubt(doubt) => {
                    if matches!(best, Coverage::No) {
                        best = Coverage::Doubt(statement, doubt);
                    }
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests;
