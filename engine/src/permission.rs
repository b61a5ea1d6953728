//! From a call in the log to the permissions that it needed, and on which resources

use crate::reference;
pub use crate::reference::{AccessLevel, Logged};

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
    /// `responseElements` as JSON
    pub response: Option<&'a str>,
    /// The ARNs of `resources[]`
    pub resources: Vec<&'a str>,
    /// `errorMessage`: a denial names the true permission and resource
    pub error_message: Option<&'a str>,
}

/// One permission that a call needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// `s3:GetObject`
    pub permission: String,
    /// False: the call may have needed it (tags given on creation, a role passed along)
    pub certain: bool,
    /// ARNs of this permission's own resource types. Where `resources_known` is false they only bound
    /// it: `arn:aws:s3:::bucket/*` for a call whose keys the log leaves out. Empty and known: the
    /// permission knows no resource (`s3:ListAllMyBuckets`).
    pub resources: Vec<String>,
    /// Whether `resources` is the whole truth
    pub resources_known: bool,
}

/// The permissions that a call needed, certain ones first. Empty where AWS asks for none: service events,
/// sign-ins, the console's own bookkeeping.
#[must_use]
pub fn needed(_call: &Call<'_>) -> Vec<Needed> {
    Vec::new()
}

/// How AWS grades a permission; `None` where our table does not know it.
#[must_use]
pub fn level(permission: &str) -> Option<AccessLevel> {
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
    reference::is_destructive(permission)
}

/// Whether it makes a credential that outlives or leaves the caller's session (PR02).
#[must_use]
pub fn is_credential_minting(permission: &str) -> bool {
    reference::is_credential_minting(permission)
}

/// Whether it can blind or thin the logs (LG01).
#[must_use]
pub fn is_logging_tamper(permission: &str) -> bool {
    reference::is_logging_tamper(permission)
}

/// Graded Write by AWS, yet it only reads: a query started, a data key handed out (SC08).
#[must_use]
pub fn is_read_like(permission: &str) -> bool {
    reference::is_read_like(permission)
}

/// Calls that need no permission, or that SDKs make by themselves: never out of scope.
#[must_use]
pub fn is_implicit(permission: &str) -> bool {
    reference::is_implicit(permission)
}
