//! What is known of the roles, users, groups and managed policies of the accounts, at one moment

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use policy::arn::Arn;
use policy::aws::Policy;

/// What can hold policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A role
    Role,
    /// An IAM user
    User,
    /// A group of users
    Group,
}

/// A role, user or group. Its name is unique in its account, whatever its path: requests name it without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrincipalName {
    /// The account's 12 digits
    pub account: String,
    /// Role, user or group
    pub kind: PrincipalKind,
    /// Without its path
    pub name: String,
}

impl PrincipalName {
    /// From the ARN of a role, user or group.
    #[must_use]
    pub fn of(arn: &str) -> Option<PrincipalName> {
        let arn = Arn::parse(arn).filter(|arn| arn.service == "iam")?;
        let kind = match arn.resource.split('/').next() {
            Some("role") => PrincipalKind::Role,
            Some("user") => PrincipalKind::User,
            Some("group") => PrincipalKind::Group,
            _ => return None,
        };
        Some(PrincipalName { account: arn.account.to_owned(), kind, name: arn.name().to_owned() })
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PrincipalKind::Role => "role",
            PrincipalKind::User => "user",
            PrincipalKind::Group => "group",
        };
        write!(f, "{kind} {} of {}", self.name, self.account)
    }
}

/// A document as it was read, or why it could not be.
pub(super) type Written = Result<Arc<Policy>, String>;

/// One role, user or group at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Principal {
    /// As exports and responses give it, path included
    pub(super) arn: Option<String>,
    /// Inline policies by name
    pub(super) inline: BTreeMap<String, Written>,
    /// ARNs of attached policies
    pub(super) attached: BTreeSet<String>,
    /// Names of the groups of a user
    pub(super) groups: BTreeSet<String>,
    /// The permissions boundary's ARN
    pub(super) boundary: Option<String>,
    /// A boundary whose document was given by itself
    pub(super) plain_boundary: Option<Written>,
    /// Its tags; `None` where nothing tells them
    pub(super) tags: Option<BTreeMap<String, String>>,
    /// Its beginnings were not seen: it may hold more than is known
    pub(super) is_partial: bool,
    /// It was deleted
    pub(super) is_gone: bool,
}

/// A managed policy at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct ManagedPolicy {
    /// By version id: `v1`
    pub(super) versions: BTreeMap<String, Written>,
    /// The version that counts
    pub(super) default: Option<String>,
    /// It was deleted
    pub(super) is_gone: bool,
}

impl ManagedPolicy {
    /// The document that counts.
    pub(super) fn document(&self) -> Written {
        if self.is_gone {
            return Err("the policy was deleted".into());
        }
        let default = self.default.as_ref().and_then(|version| self.versions.get(version));
        default.cloned().unwrap_or_else(|| Err("its default version is not known".into()))
    }
}
