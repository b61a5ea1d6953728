//! From a call in the log to the permissions that it needed, and on which resources

mod arn;
mod azure;
mod context;
mod elsewhere;
mod facts;
mod foreign;
mod gcp;
mod graded;
mod naming;
mod request;
mod resource;
mod tags;

use crate::reference;
pub use crate::reference::{AccessLevel, Logged};
pub use context::{CALLER_KEYS, context_for};
pub use elsewhere::{Elsewhere, elsewhere};
pub use facts::Facts;
pub use foreign::{Foreign, foreign};
use naming::Told;
pub(crate) use naming::{Named as Naming, Names, is_free, is_told, overrule};
pub(crate) use request::percent_decoded;

use ingest::keys::Keys;

/// One API call as the log tells it. Every field is the log's own text, unchecked.
#[derive(Debug, Clone, Default)]
pub struct Call<'a> {
    /// `eventSource`: `s3.amazonaws.com`
    pub service: &'a str,
    /// `eventName`: `GetObject`
    pub operation: &'a str,
    /// `eventType`: a service event or a sign-in needs no permission at all
    pub event_type: Option<&'a str>,
    /// `awsRegion`
    pub region: Option<&'a str>,
    /// The account whose resources are named: `recipientAccountId`
    pub account: Option<&'a str>,
    /// `requestParameters` as JSON
    pub request: Option<&'a str>,
    /// The keys of `requestParameters`, where they are known already
    pub request_keys: Option<Keys>,
    /// `responseElements` as JSON
    pub response: Option<&'a str>,
    /// The ARNs of `resources[]`
    pub resources: Vec<&'a str>,
    /// `errorMessage`: a denial names the true permission and resource
    pub error_message: Option<&'a str>,
    /// `additionalEventData` as JSON
    pub additional: Option<&'a str>,
    /// `eventContext` as JSON
    pub event_context: Option<&'a str>,
    /// When the call was made, µs UTC
    pub time: Option<i64>,
    /// The canonical identity: the role, never its session
    pub actor: Option<&'a str>,
    /// `userIdentity.type`: `AssumedRole`
    pub actor_type: Option<&'a str>,
    /// The identity's unique id: `AROA...`
    pub actor_id: Option<&'a str>,
    /// The account that owns the identity
    pub actor_account: Option<&'a str>,
    /// The session's name
    pub session_name: Option<&'a str>,
    /// When the session began, µs UTC
    pub session_started: Option<i64>,
    /// `long_lived`, `temporary`, ...
    pub credential_kind: Option<&'a str>,
    /// Whether a second factor was shown
    pub mfa: Option<bool>,
    /// The session's source identity
    pub source_identity: Option<&'a str>,
    /// The service that called on the caller's behalf
    pub invoked_by: Option<&'a str>,
    /// The address, or the service, that the call came from
    pub source_ip: Option<&'a str>,
    /// `ip`, `service` or `vpce`
    pub source_kind: Option<&'a str>,
    /// The VPC endpoint that the call went through
    pub vpc_endpoint: Option<&'a str>,
    /// The client's own words about itself
    pub user_agent: Option<&'a str>,
    /// The TLS version
    pub tls: Option<&'a str>,
    /// Who knows the ARN of what a request only names
    pub directory: Option<&'a dyn Directory>,
}

/// Looks up what a request only names: a snapshot of the account.
pub trait Directory: std::fmt::Debug + Sync {
    /// The ARN of an IAM resource: `role`, `user`, `group`, `policy` or `instance-profile`, by its name without path.
    fn arn(&self, account: &str, kind: &str, name: &str) -> Option<String>;
}

/// One permission that a call needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// `s3:GetObject`
    pub permission: String,
    /// False: the call may have needed it (tags given on creation, a role passed along), or its name is a guess
    pub certain: bool,
    /// ARNs of this permission's own resource types. Where `resources_known` is false they only bound
    /// it: `arn:aws:s3:::bucket/*` for a call whose keys the log leaves out. Empty and known: the
    /// permission knows no resource (`s3:ListAllMyBuckets`).
    pub resources: Vec<String>,
    /// Whether `resources` is the whole truth
    pub resources_known: bool,
    /// The call touched one resource, and `resources` lists what it may be: a role whose path the log does not tell.
    /// Otherwise it touched something of each. Never where `resources_known`. See [`Needed::alternatives`].
    pub one_of: bool,
}

impl Needed {
    /// The resources to judge together. Several where only one of them is the truth: a verdict holds if all agree, and
    /// is unknown otherwise.
    pub fn alternatives(&self) -> impl Iterator<Item = &[String]> {
        let size = if self.one_of { 1 } else { self.resources.len().max(1) };
        let empty: &[String] = &[];
        self.resources.chunks(size).chain(self.resources.is_empty().then_some(empty))
    }

    /// Adds the resources of the same permission that the call needed for something else.
    fn add(&mut self, more: resource::Named) {
        self.resources_known &= more.known;
        self.one_of = false;
        for resource in more.resources {
            if !self.resources.contains(&resource) {
                self.resources.push(resource);
            }
        }
    }
}

/// The permissions that a call needed, certain ones first. Empty where AWS asks for none: service events,
/// sign-ins, the console's own bookkeeping.
///
/// The name comes from the tables of what AWS publishes, else from the operation itself with its date stripped.
/// A denial's own text names the true permission and overrules all.
#[must_use]
pub fn needed(call: &Call<'_>) -> Vec<Needed> {
    Facts::new(call.clone()).needed()
}

impl Facts<'_> {
    /// As [`needed`].
    #[must_use]
    pub fn needed(&self) -> Vec<Needed> {
        let naming = self.naming();
        naming.iter().map(|named| self.needed_of(named)).collect()
    }

    /// A permission that the call needed, with its resources.
    #[must_use]
    pub(crate) fn needed_of(&self, named: &Naming) -> Needed {
        let mut parts = named.parts.iter();
        let first = parts.next().copied().unwrap_or(resource::Part::Whole);
        let told = || Some(resource::Named::told(self.denial()?.resource?));
        if named.told == Told::Alone
            && let Some(told) = told()
        {
            return told.of(named.permission.to_string(), named.certain);
        }
        let mut one =
            self.resources(&named.permission, first).of(named.permission.to_string(), named.certain);
        for part in parts {
            one.add(self.resources(&named.permission, *part));
        }
        // Weaker than what the request says, stronger than nothing. Of two that a role may be, it tells which.
        if named.told == Told::Confirmed
            && !one.resources_known
            && (one.resources.is_empty() || one.one_of)
            && let Some(told) = told()
        {
            return told.of(one.permission, true);
        }
        one
    }
}

/// How AWS grades a permission, `None` where our table does not know it; those of other clouds by their last word.
#[must_use]
pub fn level(permission: &str) -> Option<AccessLevel> {
    if let Some(graded) = graded::of(permission) {
        return Some(graded.level);
    }
    reference::permission(permission).map(|known| known.level)
}

/// Whether, and how, CloudTrail can show the use of a permission.
#[must_use]
pub fn logged(permission: &str) -> Logged {
    reference::logged(permission)
}

/// Whether it destroys data or takes a service away (DS01).
#[must_use]
pub fn is_destructive(permission: &str) -> bool {
    graded::of(permission)
        .map_or_else(|| reference::is_destructive(permission), |graded| graded.is_destructive)
}

/// Whether it makes a credential that outlives or leaves the caller's session (PR02).
#[must_use]
pub fn is_credential_minting(permission: &str) -> bool {
    graded::of(permission)
        .map_or_else(|| reference::is_credential_minting(permission), |graded| graded.is_credential_minting)
}

/// Whether it can blind or thin the logs (LG01).
#[must_use]
pub fn is_logging_tamper(permission: &str) -> bool {
    graded::of(permission)
        .map_or_else(|| reference::is_logging_tamper(permission), |graded| graded.is_logging_tamper)
}

/// Graded Write by AWS, yet it only reads: a query started, a data key handed out (SC08).
#[must_use]
pub fn is_read_like(permission: &str) -> bool {
    graded::of(permission).is_none() && reference::is_read_like(permission)
}

/// Calls that need no permission, or that SDKs make by themselves: never out of scope.
#[must_use]
pub fn is_implicit(permission: &str) -> bool {
    graded::of(permission).is_none() && reference::is_implicit(permission)
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
