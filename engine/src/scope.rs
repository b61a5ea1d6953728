//! What an agent was declared able to do, and the verdict on one permission

use std::fmt;

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
    /// Matching took more steps than we spend on one answer
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

/// The scope of one agent.
#[derive(Debug, Default)]
pub struct Scope {}

impl Scope {
    /// The verdict on one permission.
    ///
    /// `resources`: the ARNs that the call touched. `known` false: they only bound it (`bucket/*`), or,
    /// when empty, nothing is known. Empty and known: the permission knows no resource.
    #[must_use]
    pub fn verdict(&self, _permission: &str, _resources: &[String], _known: bool) -> ScopeVerdict {
        ScopeVerdict {
            verdict: Verdict::Unknown,
            reason: Reason::PolicyUnparsed,
            statement: None,
            missing: Vec::new(),
        }
    }

    /// The verdict where it does not hang on the resource, so that it can be remembered.
    #[must_use]
    pub fn settled(&self, _permission: &str) -> Option<ScopeVerdict> {
        None
    }

    /// Whether only List and Read permissions are declared, and at least one.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        false
    }

    /// Whether some entry allows the permission on some resource and no entry denies it on all.
    #[must_use]
    pub fn declares(&self, _permission: &str) -> bool {
        false
    }

    /// Every known permission that is declared, sorted.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

pub mod iam;
pub mod wildcard;
