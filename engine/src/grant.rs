//! What the clouds' policies give each identity

use std::path::Path;

use serde_json::Value;

use crate::manifest::UnparsedPolicy;
pub use crate::scope::iam::Effect;

/// The policies of every identity that a folder tells of.
#[derive(Debug, Default)]
pub struct Grants {
    /// Policies that cannot be read; their identities' grants are unknown
    pub unparsed: Vec<UnparsedPolicy>,
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
    pub fn load(_dir: &Path) -> Result<Grants, GrantError> {
        Ok(Grants::default())
    }

    /// What the policies of `identity` say to a permission. `resources` and `known` as in
    /// [`Scope::verdict`](crate::scope::Scope::verdict).
    #[must_use]
    pub fn verdict(
        &self,
        _identity: &str,
        _permission: &str,
        _resources: &[String],
        _known: bool,
    ) -> GrantVerdict {
        GrantVerdict { grant: Grant::Unknown, why: "no_policies_known".into() }
    }

    /// The ARNs (from exports) and names (from plain documents) that have policies, sorted.
    #[must_use]
    pub fn identities(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether anything is known of an identity.
    #[must_use]
    pub fn knows(&self, _identity: &str) -> bool {
        false
    }

    /// Names of the policies that an identity holds, directly or through groups.
    #[must_use]
    pub fn policies_of(&self, _identity: &str) -> Vec<String> {
        Vec::new()
    }

    /// Every statement that an identity holds.
    #[must_use]
    pub fn statements_of(&self, _identity: &str) -> Vec<GrantedStatement> {
        Vec::new()
    }

    /// Every known permission that an identity is granted on some resource, sorted.
    #[must_use]
    pub fn granted_permissions(&self, _identity: &str) -> Vec<Granted> {
        Vec::new()
    }
}
