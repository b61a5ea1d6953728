//! What the clouds' policies give each identity

//!
//! A folder of JSON files, read recursively:
//! - what `aws iam get-account-authorization-details` prints: users, groups, roles, their policies and boundaries;
//! - plain policy documents. `OrderProcessor.json` is granted to the role or user of that name, and so is every file
//!   in a folder `OrderProcessor`. Folders called `roles`, `users` or `policies` only group: there the file's name counts.

mod export;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::manifest::{UnparsedPolicy, files, short};
use crate::reference;
use crate::scope::concerns;
use policy::arn::Arn;
pub use policy::aws::Effect;
use policy::aws::{Answer, Decision, Layers, Policy, Request, Statement, decide};
use policy::context::Context;
use policy::wildcard::{Match, Target};

/// An export of a large account has some ten megabytes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The policies of every identity that a folder tells of.
#[derive(Debug, Default)]
pub struct Grants {
    /// Policies that cannot be read; their identities' grants are unknown
    pub unparsed: Vec<UnparsedPolicy>,
    /// By ARN (from exports) or by name (from plain documents)
    holders: BTreeMap<String, Holder>,
}

/// What one identity holds.
#[derive(Debug, Default, Clone)]
struct Holder {
    policies: Vec<Arc<Policy>>,
    boundary: Option<Vec<Arc<Policy>>>,
    /// Policies that it holds and that cannot be read
    unread: Vec<String>,
}

/// What the policies say to one permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// Granted on every resource of the call
    Allowed,
    /// Denied, or granted by no statement
    Denied,
    /// A condition, an unknown resource or an unknown policy decides
    Unknown,
}

impl Grant {
    /// `allowed`, `denied`, `unknown`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Grant::Allowed => "allowed",
            Grant::Denied => "denied",
            Grant::Unknown => "unknown",
        }
    }
}

/// A grant with what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantVerdict {
    /// Allowed, denied or unknown
    pub grant: Grant,
    /// `policy#Sid`, or a stable reason such as `no_policies_known`
    pub why: String,
}

/// One statement that an identity holds, for those who reason about policies.
#[derive(Debug, Clone)]
pub struct GrantedStatement {
    /// The policy's ARN or name, or the file
    pub policy: String,
    /// The `Sid`, else its place: `3`
    pub statement: String,
    /// Allow or Deny
    pub effect: Effect,
    /// Action patterns, or with `not_action` those that are left out
    pub actions: Vec<String>,
    /// The statement has `NotAction`
    pub not_action: bool,
    /// Resource patterns, or with `not_resource` those that are left out
    pub resources: Vec<String>,
    /// The statement has `NotResource`
    pub not_resource: bool,
    /// The statement has a `Condition`
    pub has_condition: bool,
    /// From a permissions boundary: it limits, it never grants
    pub boundary: bool,
    /// The statement as written
    pub raw: Value,
}

/// One permission that an identity is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// `s3:GetObject`
    pub permission: String,
    /// Only through statements that carry a condition
    pub conditional: bool,
    /// `policy#Sid`
    pub by: String,
}

/// A policy folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{file}`: {reason}")]
pub struct GrantError {
    /// File or folder
    pub file: String,
    /// Why, and what to do
    pub reason: String,
}

impl Grants {
    /// Reads every `.json` file below `dir`.
    ///
    /// # Errors
    /// A folder or file that cannot be read. A policy that cannot be parsed is no error: it makes its
    /// identity's grants unknown and is listed in `unparsed`.
    pub fn load(dir: &Path) -> Result<Grants, GrantError> {
        let fault = |file: String, reason: String| GrantError { file, reason };
        let mut grants = Grants::default();
        let mut named: BTreeMap<String, Holder> = BTreeMap::new();
        for path in files(dir, &["json"]).map_err(|error| fault(error.file, error.message))? {
            let file = short(dir, &path);
            let size =
                std::fs::metadata(&path).map_err(|error| fault(file.clone(), error.to_string()))?.len();
            if size > FILE_BYTES_MAX {
                return Err(fault(
                    file,
                    format!("longer than {FILE_BYTES_MAX} bytes: split the export by account"),
                ));
            }
            let text =
                std::fs::read_to_string(&path).map_err(|error| fault(file.clone(), error.to_string()))?;
            match export::parse(&text) {
                Some(export) => export::read(&export, &file, &mut grants),
                None => {
                    let Some(holder) = holder_of(dir, &path) else { continue };
                    let held = named.entry(holder.clone()).or_default();
                    match Policy::parse(&file, &text) {
                        Ok(policy) => held.policies.push(Arc::new(policy)),
                        Err(error) => {
                            held.unread.push(file.clone());
                            let reason = format!("{}: {}", error.place, error.reason);
                            grants.unparsed.push(UnparsedPolicy { subject: holder, file, reason });
                        }
                    }
                }
            }
        }
        // Both may tell of one identity: what it holds is the sum.
        for (arn, holder) in &mut grants.holders {
            if let Some(plain) = Arn::parse(arn).and_then(|arn| named.get(arn.name())) {
                holder.policies.extend(plain.policies.iter().cloned());
                holder.unread.extend(plain.unread.iter().cloned());
            }
        }
        grants.holders.extend(named);
        Ok(grants)
    }

    /// What the policies of `identity` say to a permission. `resources` and `known` as in
    /// [`Scope::verdict`](crate::scope::Scope::verdict).
    ///
    /// Service control, resource control and resource policies are not looked at: an Allow here is the identity's own.
    #[must_use]
    pub fn verdict(
        &self,
        identity: &str,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
    ) -> GrantVerdict {
        let Some(holder) = self.holder(identity) else {
            return GrantVerdict { grant: Grant::Unknown, why: "no_policies_known".into() };
        };
        let nothing = [if known { Target::Exact("*") } else { Target::Within("*") }];
        let named: Vec<Target<'_>> = resources
            .iter()
            .map(|arn| if known { Target::Exact(arn) } else { Target::Within(arn) })
            .collect();
        let targets = if named.is_empty() { &nothing[..] } else { &named };
        // Every resource must be granted: the worst answer is the call's.
        let mut worst: Option<GrantVerdict> = None;
        for target in targets {
            let verdict = holder.verdict(permission, *target, context);
            match (verdict.grant, &worst) {
                (Grant::Denied, _) => return verdict,
                (Grant::Unknown, _) | (Grant::Allowed, None) => worst = Some(verdict),
                (Grant::Allowed, Some(_)) => {}
            }
        }
        worst.unwrap_or(GrantVerdict { grant: Grant::Unknown, why: "no_policies_known".into() })
    }

    /// The verdict where it does not hang on the resource, so that it can be remembered.
    #[must_use]
    pub fn settled(&self, identity: &str, permission: &str) -> Option<GrantVerdict> {
        let Some(holder) = self.holder(identity) else {
            return Some(self.verdict(identity, permission, &[], false, &Context::partial()));
        };
        let mut about = holder
            .statements()
            .filter(|(_, statement, _)| statement.actions.matches(permission) != Match::No);
        about
            .all(|(_, statement, _)| statement.resources.is_any() && statement.conditions.is_empty())
            .then(|| holder.verdict(permission, Target::Within("*"), &Context::partial()))
    }

    /// The ARNs (from exports) and names (from plain documents) that have policies, sorted.
    #[must_use]
    pub fn identities(&self) -> Vec<&str> {
        self.holders.keys().map(String::as_str).collect()
    }

    /// Whether anything is known of an identity.
    #[must_use]
    pub fn knows(&self, identity: &str) -> bool {
        self.holder(identity).is_some()
    }

    /// Names of the policies that an identity holds, directly or through groups.
    #[must_use]
    pub fn policies_of(&self, identity: &str) -> Vec<String> {
        let policies = self.holder(identity).map_or(&[][..], |holder| &holder.policies);
        policies.iter().map(|policy| policy.name.clone()).collect()
    }

    /// Every statement that an identity holds, and those of its boundary.
    #[must_use]
    pub fn statements_of(&self, identity: &str) -> Vec<GrantedStatement> {
        let Some(holder) = self.holder(identity) else { return Vec::new() };
        let told = |(policy, statement, boundary): (&Policy, &Statement, bool)| GrantedStatement {
            policy: policy.name.clone(),
            statement: statement.label(),
            effect: statement.effect,
            actions: statement.actions.patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            not_action: statement.actions.not,
            resources: statement
                .resources
                .patterns
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect(),
            not_resource: statement.resources.not,
            has_condition: !statement.conditions.is_empty(),
            boundary,
            raw: statement.raw.clone(),
        };
        holder.statements().map(told).collect()
    }

    /// Every known permission that an identity is granted on some resource, sorted. A boundary limits it; a Deny takes
    /// away only what it denies everywhere and always.
    #[must_use]
    pub fn granted_permissions(&self, identity: &str) -> Vec<Granted> {
        self.holder(identity).map(Holder::granted).unwrap_or_default()
    }

    /// Policies that an identity holds and that cannot be read: what it is granted is then not the whole truth.
    #[must_use]
    pub fn unread_of(&self, identity: &str) -> &[String] {
        self.holder(identity).map_or(&[], |holder| &holder.unread)
    }

    fn holder(&self, identity: &str) -> Option<&Holder> {
        self.holders.get(identity).or_else(|| {
            let arn = Arn::parse(identity).filter(|arn| arn.service == "iam")?;
            self.holders.get(arn.name())
        })
    }
}

/// Whom a plain document is granted to.
fn holder_of(dir: &Path, path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let folder = path
        .parent()
        .filter(|folder| *folder != dir)
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    let folder = folder.filter(|name| !matches!(*name, "roles" | "users" | "policies"));
    Some(folder.unwrap_or(stem).to_owned())
}

impl Holder {
    /// Policy, statement, and whether it belongs to the boundary.
    fn statements(&self) -> impl Iterator<Item = (&Policy, &Statement, bool)> {
        let boundary = self.boundary.iter().flatten().map(|policy| (policy, true));
        let all = self.policies.iter().map(|policy| (policy, false)).chain(boundary);
        all.flat_map(|(policy, boundary)| {
            policy.statements.iter().map(move |statement| (&**policy, statement, boundary))
        })
    }

    fn verdict(&self, permission: &str, resource: Target<'_>, context: &Context) -> GrantVerdict {
        if permission.eq_ignore_ascii_case("sts:GetCallerIdentity") {
            return GrantVerdict { grant: Grant::Allowed, why: "needs_no_permission".into() };
        }
        let layers = Layers {
            identity: &self.policies,
            boundary: self.boundary.as_deref(),
            unjudged: if self.unread.is_empty() { &[] } else { &["policy"] },
            ..Layers::default()
        };
        let decision = decide(&layers, &Request::new(permission, resource, context));
        let grant = match decision.effect {
            Answer::Allowed => Grant::Allowed,
            Answer::ImplicitlyDenied | Answer::ExplicitlyDenied => Grant::Denied,
            Answer::Unknown => Grant::Unknown,
        };
        GrantVerdict { grant, why: self.why(&decision) }
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

    fn granted(&self) -> Vec<Granted> {
        let mut names: BTreeSet<&'static str> = BTreeSet::new();
        for (_, statement, boundary) in self.statements() {
            if boundary || statement.effect == Effect::Deny {
                continue;
            }
            if statement.actions.not {
                names.extend(
                    reference::permissions()
                        .iter()
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

#[cfg(test)]
mod tests;
