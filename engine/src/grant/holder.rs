//! What one identity holds from one moment on, and what that says to a permission

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use policy::aws::{Answer, Compiled, Decision, Effect, Layers, Policy, Request, Statement, decide};
use policy::context::Context;
use policy::wildcard::{ArnPattern, Match, Target};

use super::history::Session;
use super::{Grant, GrantDoubt, GrantVerdict, Granted, GrantedStatement};
use crate::reference;
use crate::scope::concerns;

/// The policies of one identity at one moment.
#[derive(Debug, Default)]
pub struct Holder {
    pub(super) serial: Serial,
    /// The layers of sessions that nothing narrows, made ready when first asked
    pub(super) compiled: OnceLock<Compiled>,
    pub(super) policies: Vec<Arc<Policy>>,
    /// ARNs of what is attached, readable or not
    pub(super) attached: BTreeSet<String>,
    pub(super) boundary: Option<Vec<Arc<Policy>>>,
    /// Service control policies, a list for each level
    pub(super) scps: Arc<[Vec<Arc<Policy>>]>,
    /// Policies that it holds and that cannot be read
    pub(super) unread: Vec<String>,
    /// The principal's tags; `None` where nothing tells them
    pub tags: Option<BTreeMap<String, String>>,
}

/// A number that no other holder has.
#[derive(Debug)]
pub(super) struct Serial(u64);

impl Default for Serial {
    fn default() -> Serial {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Serial(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Holder {
    /// Of whom nothing can be said.
    pub(super) fn unknown(why: String) -> Holder {
        Holder { unread: vec![why], ..Holder::default() }
    }

    /// What the policies say to a permission. `resources` and `known` as in
    /// [`Scope::verdict`](crate::scope::Scope::verdict); `session`: what narrows the session that calls.
    #[must_use]
    pub fn verdict(
        &self,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
        session: Option<&Session>,
    ) -> GrantVerdict {
        let nothing = [if known { Target::Exact("*") } else { Target::Within("*") }];
        let named: Vec<Target<'_>> = resources
            .iter()
            .map(|arn| if known { Target::Exact(arn) } else { Target::Within(arn) })
            .collect();
        let targets = if named.is_empty() { &nothing[..] } else { &named };
        // Every resource must be granted: the worst answer is the call's.
        let mut worst: Option<GrantVerdict> = None;
        for target in targets {
            let verdict = self.verdict_on(permission, *target, context, session);
            match (verdict.grant, &worst) {
                (Grant::Denied, _) => return verdict,
                (Grant::Unknown, _) | (Grant::Allowed, None) => worst = Some(verdict),
                (Grant::Allowed, Some(_)) => {}
            }
        }
        worst.unwrap_or_else(GrantVerdict::no_policies_known)
    }

    /// The whole answer of the policies on one resource: every layer that blocks, every statement that decides.
    #[must_use]
    pub fn decision(
        &self,
        permission: &str,
        resource: Target<'_>,
        context: &Context,
        session: Option<&Session>,
    ) -> Decision {
        let request = Request::new(permission, resource, context);
        match session.filter(|session| !session.policies.is_empty() || !session.unread.is_empty()) {
            None => self.compiled.get_or_init(|| Compiled::new(&self.layers(None))).decide(&request),
            // A session lives for hours and asks little: not worth an index of its own.
            narrowed => decide(&self.layers(narrowed), &request),
        }
    }

    fn layers<'a>(&'a self, narrowed: Option<&'a Session>) -> Layers<'a> {
        let is_unread = !self.unread.is_empty() || narrowed.is_some_and(|session| !session.unread.is_empty());
        Layers {
            identity: &self.policies,
            boundary: self.boundary.as_deref(),
            session: narrowed.map(|session| session.policies.as_slice()),
            scps: &self.scps,
            unjudged: if is_unread { &["policy"] } else { &[] },
            // What the resource's side says is not known here: this is the identity's own answer.
            ..Layers::default()
        }
    }

    fn verdict_on(
        &self,
        permission: &str,
        resource: Target<'_>,
        context: &Context,
        session: Option<&Session>,
    ) -> GrantVerdict {
        if permission.eq_ignore_ascii_case("sts:GetCallerIdentity") {
            return GrantVerdict { grant: Grant::Allowed, doubt: None, why: "needs_no_permission".into() };
        }
        let is_unread = !self.unread.is_empty() || session.is_some_and(|session| !session.unread.is_empty());
        let decision = self.decision(permission, resource, context, session);
        let grant = match decision.effect {
            Answer::Allowed => Grant::Allowed,
            Answer::ImplicitlyDenied | Answer::ExplicitlyDenied => Grant::Denied,
            Answer::Unknown => Grant::Unknown,
        };
        let hangs_on = |key: &str| decision.missing_keys.iter().any(|missing| missing == key);
        let doubt = (grant == Grant::Unknown).then(|| match () {
            () if is_unread => GrantDoubt::PolicyUnparsed,
            () if hangs_on("step_budget") => GrantDoubt::TooComplex,
            () if hangs_on("resource") => GrantDoubt::ResourceNotLogged,
            () => GrantDoubt::ConditionNotLogged,
        });
        GrantVerdict { grant, doubt, why: self.why(&decision) }
    }

    /// Tells this holder from every other of this process.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial.0
    }

    /// The condition keys that the statements about a permission ask for, in lower case.
    #[must_use]
    pub fn keys(&self, permission: &str) -> BTreeSet<String> {
        let scps = self.scps.iter().flatten().flat_map(|policy| &policy.statements);
        keys_of(self.statements().map(|(_, statement, _)| statement).chain(scps), permission)
    }

    /// Whether the answer to a permission is the same for every resource and every call of a session that nothing
    /// narrows.
    #[must_use]
    pub fn is_settled(&self, permission: &str) -> bool {
        let scps = self.scps.iter().flatten().flat_map(|policy| &policy.statements);
        let mut all = self.statements().map(|(_, statement, _)| statement).chain(scps);
        all.all(|statement| {
            statement.actions.matches(permission) == Match::No
                || statement.conditions.is_empty()
                    && !statement.resources.not
                    && statement.resources.patterns.iter().all(ArnPattern::is_any)
        })
    }

    /// Whether a managed policy is attached, directly or through a group.
    #[must_use]
    pub fn has_attached(&self, policy: &str) -> bool {
        self.attached.contains(policy)
    }

    /// Names of the policies, inline and attached.
    #[must_use]
    pub fn policies(&self) -> Vec<String> {
        self.policies.iter().map(|policy| policy.name.clone()).collect()
    }

    /// Every statement, and those of the boundary.
    #[must_use]
    pub fn granted_statements(&self) -> Vec<GrantedStatement> {
        self.statements().map(GrantedStatement::of).collect()
    }

    /// Policies that cannot be read.
    #[must_use]
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Policy, statement, and whether it belongs to the boundary.
    fn statements(&self) -> impl Iterator<Item = (&Policy, &Statement, bool)> {
        let boundary = self.boundary.iter().flatten().map(|policy| (policy, true));
        let all = self.policies.iter().map(|policy| (policy, false)).chain(boundary);
        all.flat_map(|(policy, boundary)| {
            policy.statements.iter().map(move |statement| (&**policy, statement, boundary))
        })
    }

    fn why(&self, decision: &Decision) -> String {
        let statement = decision
            .decisive
            .iter()
            .find(|one| one.layer == "identity")
            .or_else(|| decision.decisive.first());
        let statement = statement.map(|one| format!("{}#{}", one.policy, one.statement));
        match decision.effect {
            Answer::Allowed | Answer::ExplicitlyDenied => statement.unwrap_or_default(),
            Answer::ImplicitlyDenied if decision.blocked_by.contains(&"identity") => {
                "granted_by_no_statement".into()
            }
            Answer::ImplicitlyDenied => {
                format!("not_in_{}", decision.blocked_by.first().unwrap_or(&"boundary"))
            }
            Answer::Unknown if !self.unread.is_empty() => {
                format!("policy_unparsed: {}", self.unread.join(", "))
            }
            Answer::Unknown => {
                format!("{} hangs on {}", statement.unwrap_or_default(), decision.missing_keys.join(", "))
            }
        }
    }

    /// Every known permission that is granted on some resource, sorted. A boundary limits it; a Deny takes away only
    /// what it denies everywhere and always.
    #[must_use]
    pub fn granted(&self) -> Vec<Granted> {
        let mut names: BTreeSet<&'static str> = BTreeSet::new();
        for (_, statement, boundary) in self.statements() {
            if boundary || statement.effect == Effect::Deny {
                continue;
            }
            if statement.actions.not {
                names.extend(
                    reference::permissions()
                        .filter(|known| statement.actions.matches(&known.name) == Match::Yes)
                        .map(|known| known.name.as_str()),
                );
            } else {
                names.extend(
                    statement
                        .actions
                        .patterns
                        .iter()
                        .flat_map(reference::matching)
                        .map(|known| known.name.as_str()),
                );
            }
        }
        names.into_iter().filter_map(|permission| self.granted_one(permission)).collect()
    }

    /// One permission: taken away, limited, conditional or plain.
    fn granted_one(&self, permission: &str) -> Option<Granted> {
        let mut plain: Option<String> = None;
        let mut conditional: Option<String> = None;
        let (mut limited, mut limited_plainly) = (self.boundary.is_some(), self.boundary.is_none());
        for (policy, statement, boundary) in self.statements() {
            if statement.actions.matches(permission) != Match::Yes
                || !concerns(&statement.resources, permission)
            {
                continue;
            }
            let always = statement.conditions.is_empty();
            match (statement.effect, boundary) {
                (Effect::Deny, _) if always && statement.resources.is_any() => return None,
                (Effect::Deny, _) => {}
                (Effect::Allow, true) => {
                    limited = false;
                    limited_plainly |= always;
                }
                (Effect::Allow, false) => {
                    let by = format!("{}#{}", policy.name, statement.label());
                    let slot = if always { &mut plain } else { &mut conditional };
                    slot.get_or_insert(by);
                }
            }
        }
        if limited {
            return None;
        }
        let always = plain.is_some() && limited_plainly;
        let by = plain.or(conditional)?;
        Some(Granted { permission: permission.to_owned(), conditional: !always, by })
    }
}

/// The condition keys, those of policy variables included, of the statements about a permission, in lower case.
fn keys_of<'a>(statements: impl Iterator<Item = &'a Statement>, permission: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for statement in statements.filter(|statement| statement.actions.matches(permission) != Match::No) {
        let variables = statement.resources.patterns.iter().flat_map(|pattern| pattern.variables());
        keys.extend(statement.conditions.keys().iter().chain(variables).map(|key| key.to_ascii_lowercase()));
    }
    keys
}

impl Session {
    /// The condition keys that its statements about a permission ask for, in lower case.
    #[must_use]
    pub fn keys(&self, permission: &str) -> BTreeSet<String> {
        keys_of(self.policies.iter().flat_map(|policy| &policy.statements), permission)
    }
}
