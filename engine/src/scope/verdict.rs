//! In, out or unknown, and why

use std::fmt;

/// The verdict on one permission of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Declared
    In,
    /// Not declared, or denied
    Out,
    /// The log does not show enough to tell, or a policy cannot be read
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
    /// An approval's window is open
    Approved,
    /// Needs no permission, or SDKs call it by themselves
    Implicit,
    /// No statement covers the permission
    NotDeclared,
    /// The permission is declared, but not on this resource
    OtherResource,
    /// It needs an approval, and no window is open for it
    OutsideApproval,
    /// A role that `assume.to` does not list
    UndeclaredHop,
    /// A `deny` entry covers it
    DeniedByManifest,
    /// It was declared, and the manifest had expired
    Expired,
    /// A statement names resources and the log does not name them all
    ResourceNotLogged,
    /// It hangs on a condition key that the log does not show, or on something that is not judged
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
            Reason::Approved => "approved",
            Reason::Implicit => "implicit",
            Reason::NotDeclared => "not_declared",
            Reason::OtherResource => "other_resource",
            Reason::OutsideApproval => "outside_approval",
            Reason::UndeclaredHop => "undeclared_hop",
            Reason::DeniedByManifest => "denied_by_manifest",
            Reason::Expired => "expired",
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
    /// What would have decided an unknown: `resource`, `via`, `aws:SourceIp`
    pub missing: Vec<String>,
}

impl ScopeVerdict {
    pub(super) fn new(verdict: Verdict, reason: Reason) -> ScopeVerdict {
        ScopeVerdict { verdict, reason, statement: None, missing: Vec::new() }
    }

    /// The call touched one of two resources: where the verdicts differ, it cannot be told.
    #[must_use]
    pub fn or(self, other: ScopeVerdict) -> ScopeVerdict {
        if self.verdict == other.verdict || self.verdict == Verdict::Unknown {
            return self;
        }
        if other.verdict == Verdict::Unknown {
            return other;
        }
        let statement = self.statement.or(other.statement);
        let missing = vec!["resource".to_owned()];
        ScopeVerdict { verdict: Verdict::Unknown, reason: Reason::ResourceNotLogged, statement, missing }
    }

    pub(super) fn by(mut self, origin: impl Into<String>) -> ScopeVerdict {
        self.statement = Some(origin.into());
        self
    }

    pub(super) fn hanging_on(mut self, keys: impl IntoIterator<Item = String>) -> ScopeVerdict {
        self.missing.extend(keys);
        self.missing.sort_unstable();
        self.missing.dedup();
        self
    }
}

/// What one entry says to one resource.
#[derive(Debug)]
pub(super) enum Said {
    No,
    Yes,
    Doubt(Doubt),
}

/// What an answer hangs on.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) reason: Reason,
    pub(super) keys: Vec<String>,
}
