//! What the clouds' policies give each identity, and since when
//!
//! A folder of JSON files, read recursively:
//! - what `aws iam get-account-authorization-details` prints: users, groups, roles, their policies and boundaries;
//! - plain policy documents. `OrderProcessor.json` is granted to the role or user of that name, and so is every file
//!   in a folder `OrderProcessor`. Folders called `roles`, `users` or `policies` only group: there the file's name counts;
//! - `boundaries/OrderProcessor.json`: the permissions boundary of the role or user of that name;
//! - `scps/`: service control policies. Each folder in it is a level, each file directly in it belongs to the first one;
//! - an organisation with its accounts and the service control policies of each: see `grant/guardrail.rs`.
//! - what `az` and `gcloud` export: see [`AzureGrants`] and [`GcpGrants`].
//!
//! What the folder tells holds for all time, until a change that the log shows: from its own event time on the
//! change counts, whenever it arrives.

mod account;
mod azure;
mod change;
mod export;
mod foreign;
mod gcp;
mod guardrail;
mod history;
mod holder;
mod tags;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::manifest::{UnparsedPolicy, files, short};
use crate::permission::Directory;
use crate::time::now;
pub use account::{PrincipalKind, PrincipalName};
pub use azure::AzureGrants;
pub use change::{Change, PolicyChange};
pub use gcp::GcpGrants;
use guardrail::Guardrails;
use history::History;
pub use history::Session;
pub use holder::Holder;
pub use policy::aws::Effect;
use policy::aws::{Policy, Statement};
use policy::context::Context;
pub use tags::Tags;

/// An export of a large account has some ten megabytes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Identities whose holdings are kept at hand; then they are forgotten and made again when asked for.
const REMEMBERED_MAX: usize = 50_000;

/// Revisions of which it is remembered what they brought.
const RECENT_MAX: usize = 10_000;

/// The policies of every identity that a folder and the log tell of. Shared by workers; changes come in by
/// [`apply`](Grants::apply).
#[derive(Debug, Default)]
pub struct Grants {
    /// Policies that cannot be read; their identities' grants are unknown
    pub unparsed: Vec<UnparsedPolicy>,
    /// What Azure's exports grant
    pub azure: AzureGrants,
    /// What Google Cloud's exports grant
    pub gcp: GcpGrants,
    history: RwLock<History>,
    guardrails: Guardrails,
    remembered: RwLock<HashMap<String, Dated>>,
    revision: AtomicU64,
    holders_revision: AtomicU64,
    narrows_sessions: AtomicBool,
    /// What the last revisions brought
    recent: RwLock<VecDeque<(u64, Vec<PolicyChange>)>>,
}

/// An identity, or one session of it, whose grants changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch {
    /// `role x of 111122223333`, or `session ASIA...`
    pub principal: String,
    /// From when on, µs UTC
    pub from: i64,
}

impl Touch {
    /// How touches spell a session, by the access key id that its calls carry.
    #[must_use]
    pub fn session_of(access_key: &str) -> String {
        ["session ", access_key].concat()
    }

    /// How touches spell a role or user, by its ARN.
    #[must_use]
    pub fn principal_of(arn: &str) -> Option<String> {
        PrincipalName::of(arn).map(|name| name.to_string())
    }
}

/// What one identity holds from each moment (µs UTC) on, in order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Dated(Arc<[(i64, Arc<Holder>)]>);

impl Dated {
    /// What it held at a moment; `None`: nothing is known of it then.
    #[must_use]
    pub fn at(&self, when: i64) -> Option<&Arc<Holder>> {
        let after = self.0.partition_point(|(from, _)| *from <= when);
        after.checked_sub(1).and_then(|at| self.0.get(at)).map(|(_, holder)| holder)
    }
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

/// Why a grant cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantDoubt {
    /// No export and no document tells of the identity
    NoPoliciesKnown,
    /// It holds a policy that cannot be read, or is not known
    PolicyUnparsed,
    /// A condition hangs on a key that the log does not show
    ConditionNotLogged,
    /// A statement names resources and the log does not name them all
    ResourceNotLogged,
    /// Matching took more steps than we spend on one answer
    TooComplex,
}

/// A grant with what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantVerdict {
    /// Allowed, denied or unknown
    pub grant: Grant,
    /// Why it is unknown
    pub doubt: Option<GrantDoubt>,
    /// `policy#Sid`, or a stable reason such as `no_policies_known`
    pub why: String,
}

impl GrantVerdict {
    /// Nothing tells of the identity.
    #[must_use]
    pub fn no_policies_known() -> GrantVerdict {
        let doubt = Some(GrantDoubt::NoPoliciesKnown);
        GrantVerdict { grant: Grant::Unknown, doubt, why: "no_policies_known".into() }
    }

    /// The call touched one of two resources: where the answers differ, it cannot be told.
    #[must_use]
    pub fn or(self, other: GrantVerdict) -> GrantVerdict {
        if self.grant == other.grant || self.grant == Grant::Unknown {
            return self;
        }
        GrantVerdict {
            grant: Grant::Unknown,
            doubt: Some(other.doubt.unwrap_or(GrantDoubt::ResourceNotLogged)),
            why: format!("{} hangs on resource", other.why),
        }
    }

    /// `allowed`, `denied`, or `unknown:` and why: few values, for counting.
    #[must_use]
    pub fn answer(&self) -> &'static str {
        match (self.grant, self.doubt) {
            (Grant::Allowed, _) => "allowed",
            (Grant::Denied, _) => "denied",
            (Grant::Unknown, Some(GrantDoubt::NoPoliciesKnown)) => "unknown:no_policies_known",
            (Grant::Unknown, Some(GrantDoubt::PolicyUnparsed)) => "unknown:policy_unparsed",
            (Grant::Unknown, Some(GrantDoubt::ResourceNotLogged)) => "unknown:resource_not_logged",
            (Grant::Unknown, Some(GrantDoubt::TooComplex)) => "unknown:too_complex",
            (Grant::Unknown, Some(GrantDoubt::ConditionNotLogged) | None) => "unknown:condition_not_logged",
        }
    }
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

impl GrantedStatement {
    fn of((policy, statement, boundary): (&Policy, &Statement, bool)) -> GrantedStatement {
        let written = |text: &str| text.to_owned();
        GrantedStatement {
            policy: policy.name.clone(),
            statement: statement.label(),
            effect: statement.effect,
            actions: statement.actions.patterns.iter().map(|pattern| written(pattern.as_str())).collect(),
            not_action: statement.actions.not,
            resources: statement.resources.patterns.iter().map(|pattern| written(pattern.as_str())).collect(),
            not_resource: statement.resources.not,
            has_condition: !statement.conditions.is_empty(),
            boundary,
            raw: statement.raw.clone(),
        }
    }
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
        let mut history = History::default();
        let mut guardrails = Guardrails::default();
        let mut unparsed: Vec<UnparsedPolicy> = Vec::new();
        let (mut azure, mut gcp) = (AzureGrants::default(), GcpGrants::default());
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
            if let Some(export) = export::parse(&text) {
                export::read(&export, &file, &mut history, &mut unparsed);
                continue;
            }
            if foreign::offer(&text, &file, &mut azure, &mut gcp, &mut unparsed) {
                continue;
            }
            if let Some(organization) = guardrail::organization(&text) {
                unparsed.extend(guardrails.read(&organization).into_iter().map(|(policy, reason)| {
                    let reason = format!("policy `{policy}`: {reason}");
                    UnparsedPolicy { subject: "every identity".to_owned(), file: file.clone(), reason }
                }));
                continue;
            }
            let Some(place) = place_of(dir, &path) else { continue };
            let read = Policy::parse(&file, &text).map(Arc::new);
            let read = read.map_err(|error| format!("{}: {}", error.place, error.reason));
            if let Err(reason) = &read {
                let subject = place.subject().to_owned();
                unparsed.push(UnparsedPolicy { subject, file, reason: reason.clone() });
            }
            match place {
                Place::Granted { holder, policy } => {
                    history.named(&holder).inline.insert(policy, read);
                }
                Place::Boundary { holder } => history.named(&holder).plain_boundary = Some(read),
                Place::Scp { level } => guardrails.add(level, read),
            }
        }
        history.relate_told();
        Ok(Grants { unparsed, azure, gcp, history: RwLock::new(history), guardrails, ..Grants::default() })
    }

    /// Takes changes in that the log shows, and gives the number of those that were not known before. The order
    /// in which they come does not matter.
    pub fn apply(&self, changes: &[PolicyChange]) -> usize {
        // Most batches bring none, and need not keep other workers from reading.
        if changes.is_empty() {
            return 0;
        }
        let mut history = self.history.write().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        let new: Vec<PolicyChange> = changes.iter().filter_map(|change| history.add(change, now)).collect();
        if changes.iter().any(PolicyChange::is_of_a_session) {
            self.narrows_sessions.store(true, Ordering::Release);
        }
        let count = new.len();
        if count > 0 {
            // A session narrows itself alone: what identities hold stays as it is remembered.
            if !new.iter().all(PolicyChange::is_of_a_session) {
                self.forget(&history.touched(new.iter().filter(|change| !change.is_of_a_session())));
                self.holders_revision.fetch_add(1, Ordering::Release);
            }
            let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
            if recent.len() >= RECENT_MAX {
                recent.pop_front();
            }
            recent.push_back((self.revision() + 1, new));
            self.revision.fetch_add(1, Ordering::Release);
        }
        count
    }

    /// Why the policy that a change brings cannot be read: `policy `more`: Statement: is missing`.
    #[must_use]
    pub fn fault(&self, change: &PolicyChange) -> Option<String> {
        let (policy, document) = change.what.written()?;
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        Some(format!("policy `{policy}`: {}", history.fault(policy, document)?))
    }

    /// Forgets what the touched identities hold, and no other's: it would be made again for every one that calls.
    fn forget(&self, touched: &[Touch]) {
        let touched: HashSet<&str> = touched.iter().map(|touch| touch.principal.as_str()).collect();
        let is_touched = |identity: &str| {
            Touch::principal_of(identity).is_some_and(|principal| touched.contains(principal.as_str()))
        };
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|identity, _| !is_touched(identity));
    }

    /// Whose grants changes touch, and from when on.
    #[must_use]
    pub fn touched(&self, changes: &[PolicyChange]) -> Vec<Touch> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).touched(changes.iter())
    }

    /// Whose grants were touched since a revision, each once; `None` where that is too long ago to be told.
    #[must_use]
    pub fn touched_since(&self, revision: u64) -> Option<Vec<Touch>> {
        if self.revision() == revision {
            return Some(Vec::new());
        }
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if recent.front().is_some_and(|(first, _)| *first > revision + 1) {
            return None;
        }
        let since = recent.iter().filter(|(at, _)| *at > revision).flat_map(|(_, changes)| changes);
        Some(history.touched(since))
    }

    /// Grows with every change of what identities hold: what was remembered of them under another one may not hold.
    #[must_use]
    pub fn holders_revision(&self) -> u64 {
        self.holders_revision.load(Ordering::Acquire)
    }

    /// Forgets sessions that became known before `before` (µs UTC, by the clock). None lives longer than 36 hours.
    pub fn forget_sessions(&self, before: i64) {
        self.history.write().unwrap_or_else(PoisonError::into_inner).forget_sessions(before);
    }

    /// Grows with every change that was taken in.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// What an identity (an ARN; or a name, where a document was given for it alone) held at a moment (µs UTC).
    /// `None`: nothing is known of it.
    #[must_use]
    pub fn at(&self, identity: &str, when: i64) -> Option<Arc<Holder>> {
        self.dated(identity).at(when).cloned()
    }

    /// What an identity holds from each moment on.
    #[must_use]
    pub fn dated(&self, identity: &str) -> Dated {
        if let Some(known) = self.remembered.read().unwrap_or_else(PoisonError::into_inner).get(identity) {
            return known.clone();
        }
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        let dated = history
            .holders(identity)
            .into_iter()
            .map(|(from, mut holder)| {
                holder.scps = self.guardrails.levels(identity);
                holder.unread.extend(self.guardrails.unread().iter().cloned());
                (from, Arc::new(holder))
            })
            .collect();
        let dated = Dated(dated);
        // Still under the history's lock: a change cannot come between what was read and what is remembered.
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(identity.to_owned(), dated.clone());
        dated
    }

    /// What an identity holds now.
    fn now(&self, identity: &str) -> Option<Arc<Holder>> {
        self.at(identity, i64::MAX)
    }

    /// Whether any session is known that something narrows.
    #[must_use]
    pub fn narrows_sessions(&self) -> bool {
        self.narrows_sessions.load(Ordering::Acquire)
    }

    /// The ARN of a role, user or group, path included, or of a managed policy, by its name.
    #[must_use]
    pub fn arn(&self, account: &str, kind: &str, name: &str) -> Option<String> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).arn(account, kind, name)
    }

    /// What narrows the session whose calls carry this access key id, if its beginning was seen.
    #[must_use]
    pub fn session(&self, access_key: &str) -> Option<Session> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).session(access_key)
    }

    /// What the policies of `identity` say now to a permission. `resources` and `known` as in
    /// [`Scope::verdict`](crate::scope::Scope::verdict).
    ///
    /// Resource policies are not looked at: an Allow here is the identity's own.
    #[must_use]
    pub fn verdict(
        &self,
        identity: &str,
        permission: &str,
        resources: &[String],
        known: bool,
        context: &Context,
    ) -> GrantVerdict {
        match self.now(identity) {
            Some(holder) => holder.verdict(permission, resources, known, context, None),
            None => GrantVerdict::no_policies_known(),
        }
    }

    /// The ARNs and the names (from plain documents) that have policies, sorted.
    #[must_use]
    pub fn identities(&self) -> Vec<String> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).identities()
    }

    /// Whether anything is known of an identity.
    #[must_use]
    pub fn knows(&self, identity: &str) -> bool {
        !self.dated(identity).0.is_empty()
    }

    /// Every statement that an identity holds now, and those of its boundary.
    #[must_use]
    pub fn statements_of(&self, identity: &str) -> Vec<GrantedStatement> {
        self.now(identity).map(|holder| holder.granted_statements()).unwrap_or_default()
    }

    /// Every known permission that an identity is granted now on some resource, sorted.
    #[must_use]
    pub fn granted_permissions(&self, identity: &str) -> Vec<Granted> {
        self.now(identity).map(|holder| holder.granted()).unwrap_or_default()
    }
}

impl Directory for Grants {
    fn arn(&self, account: &str, kind: &str, name: &str) -> Option<String> {
        Grants::arn(self, account, kind, name)
    }
}

/// What a plain document is, by where it lies.
enum Place {
    Granted { holder: String, policy: String },
    Boundary { holder: String },
    Scp { level: String },
}

impl Place {
    fn subject(&self) -> &str {
        match self {
            Place::Granted { holder, .. } | Place::Boundary { holder } => holder,
            Place::Scp { .. } => "every identity",
        }
    }
}

fn place_of(dir: &Path, path: &Path) -> Option<Place> {
    let stem = path.file_stem()?.to_str()?.to_owned();
    let folders: Vec<&str> = path
        .strip_prefix(dir)
        .ok()?
        .parent()?
        .components()
        .filter_map(|component| component.as_os_str().to_str())
        .collect();
    if let Some(at) = folders.iter().position(|folder| *folder == "scps") {
        let level = folders.get(at + 1..).unwrap_or_default().join("/");
        return Some(Place::Scp { level });
    }
    Some(match folders.last() {
        Some(&"boundaries") => Place::Boundary { holder: stem },
        None | Some(&("roles" | "users" | "policies")) => {
            Place::Granted { holder: stem.clone(), policy: stem }
        }
        Some(folder) => Place::Granted { holder: (*folder).to_owned(), policy: stem },
    })
}

#[cfg(test)]
mod tests;
