//! Posture: per agent and identity, what is declared, granted and used, and what follows from it.

use crate::permission::AccessLevel;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a row of the three-way table means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Used with success.
    Used,
    /// Granted, observable in the logs, and not used in the time covered.
    Unused,
    /// Granted and not seen, but the logs cannot show its use: never a reason to remove it.
    Unknowable,
    /// Granted under a condition or a resource limit that is not judged: look before removing it.
    Conditional,
    /// Declared, but no policy that we know grants it.
    NotGranted,
    /// Only ever denied.
    Denied,
}

impl Mark {
    /// Every mark, as reports list them.
    pub const ALL: [Mark; 6] =
        [Mark::Used, Mark::Unused, Mark::Unknowable, Mark::Conditional, Mark::NotGranted, Mark::Denied];

    /// The snake_case name, as in JSON and CSV.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::Used => "used",
            Mark::Unused => "unused",
            Mark::Unknowable => "unknowable",
            Mark::Conditional => "conditional",
            Mark::NotGranted => "not_granted",
            Mark::Denied => "denied",
        }
    }
}

/// One permission of one identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PermissionPosture {
    /// `s3:GetObject`.
    pub permission: String,
    /// Its access level, where AWS publishes one.
    pub level: Option<AccessLevel>,
    /// Whether the manifest declares it (for at least some resource).
    pub declared: bool,
    /// Whether a policy grants it; none where no policy of the identity is known.
    pub granted: Option<bool>,
    /// The policies and statements that grant it.
    pub granted_by: Vec<String>,
    /// Successful calls.
    pub uses: i64,
    /// Days on which it was used.
    pub days_used: u32,
    /// Earliest use, µs UTC.
    pub first_used: Option<i64>,
    /// Latest use, µs UTC.
    pub last_used: Option<i64>,
    /// Denied calls.
    pub denied: i64,
    /// What follows.
    pub mark: Mark,
    /// Why, in a few words.
    pub why: String,
}

/// One identity of an agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdentityPosture {
    /// Canonical ARN.
    pub identity: String,
    /// Days on which it used anything.
    pub active_days: u32,
    /// Earliest use of anything, µs UTC.
    pub first_used: Option<i64>,
    /// Latest use of anything, µs UTC.
    pub last_used: Option<i64>,
    /// Every permission that is declared by name, granted, used or was denied, by name.
    pub permissions: Vec<PermissionPosture>,
    /// The policy that keeps what is used and what cannot be known, where grants are known.
    pub right_sized: Option<RightSized>,
}

/// A proposed IAM policy at action level. Never wider than what it replaces.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RightSized {
    /// The IAM policy document.
    pub policy: serde_json::Value,
    /// Why each permission stays.
    pub kept: BTreeMap<String, String>,
    /// Why each permission goes.
    pub removed: BTreeMap<String, String>,
    /// What a person should know before using it.
    pub notes: Vec<String>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentPosture {
    /// The manifest's name.
    pub agent: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its environment.
    pub environment: Option<String>,
    /// The manifest's file.
    pub manifest: String,
    /// Its identities that were seen or are granted something.
    pub identities: Vec<IdentityPosture>,
}

impl AgentPosture {
    /// Rows of all identities that bear a mark.
    #[must_use]
    pub fn count(&self, mark: Mark) -> usize {
        self.identities.iter().flat_map(|i| &i.permissions).filter(|p| p.mark == mark).count()
    }
}

/// An identity that acts but that no manifest claims.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unclaimed {
    /// Canonical ARN.
    pub identity: String,
    /// Permissions it used.
    pub permissions: usize,
    /// Successful calls.
    pub uses: i64,
    /// Latest, µs UTC.
    pub last_used: i64,
}

/// Everything that the report and the page show of agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Posture {
    /// Event time covered, µs UTC; none when nothing was read yet.
    pub covered: Option<(i64, i64)>,
    /// Agents by name.
    pub agents: Vec<AgentPosture>,
    /// Acting identities without a manifest, busiest first.
    pub unclaimed: Vec<Unclaimed>,
    /// Policies and manifests that could not be read, so that what they decide is unknown.
    pub unparsed: Vec<String>,
    /// Services whose data events are logged in full, as configured.
    pub data_events: Vec<String>,
}
