//! The files that declare agents, and whose call is whose

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::scope::Scope;

/// Every agent that a folder declares.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Sorted by name
    pub agents: Vec<Arc<Agent>>,
    /// What is not judged yet, expired, or otherwise worth a look
    pub warnings: Vec<Warning>,
    /// Policies that manifests refer to and that cannot be read; those scopes are unknown
    pub unparsed: Vec<UnparsedPolicy>,
}

/// Something in a manifest that deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The manifest's path
    pub file: String,
    /// From 1; 0 where no line applies
    pub line: u64,
    /// `spec.bounds.regions`
    pub key: String,
    /// What it means and what to do
    pub message: String,
}

/// A policy document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnparsedPolicy {
    /// The agent or identity whose scope is unknown for it
    pub subject: String,
    /// The file that holds, or names, the policy
    pub file: String,
    /// Where and why
    pub reason: String,
}

/// Who is told, as the manifest says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// `support-platform`
    pub team: Option<String>,
    /// `#support-platform`
    pub slack: Option<String>,
    /// `pagerduty:PSUPP01`
    pub oncall: Option<String>,
}

/// An agent as its manifest declares it.
#[derive(Debug)]
pub struct Agent {
    /// `metadata.name`
    pub name: String,
    /// `metadata.description`
    pub description: Option<String>,
    /// `spec.environment`: `prod`
    pub environment: Option<String>,
    /// `spec.owner`
    pub owner: Owner,
    /// `spec.purpose`
    pub purpose: Option<String>,
    /// `spec.expires`, as `2027-03-31`
    pub expires: Option<String>,
    /// Patterns of the roles and users that are this agent
    pub identities: Vec<Identity>,
    /// What it may do
    pub scope: Scope,
    /// The manifest's path
    pub file: String,
    /// Where the document begins
    pub line: u64,
}

/// One way to recognise an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// ARN pattern of a role or user
    pub arn: String,
    /// Pattern of the role session's name
    pub session: Option<String>,
    /// Only in these accounts; empty: in any
    pub accounts: Vec<String>,
}

/// Who called, as the log tells it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// Role or user ARN, never a session's
    pub actor: &'a str,
    /// `roleSessionName`
    pub session_name: Option<&'a str>,
    /// The caller's account
    pub account: Option<&'a str>,
}

/// One thing wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ManifestError {
    /// The manifest's path
    pub file: String,
    /// From 1; 0 where no line applies
    pub line: u64,
    /// What is wrong and what to do
    pub message: String,
}

/// Everything wrong with a folder of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestErrors(pub Vec<ManifestError>);

impl std::fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

impl Manifests {
    /// Reads every `.yaml` and `.yml` file below `dir`.
    ///
    /// `now` tells which manifests have expired.
    ///
    /// # Errors
    /// Every fault of every file, each with file, line and what to do.
    pub fn load(_dir: &Path, _now: DateTime<Utc>) -> Result<Manifests, ManifestErrors> {
        Ok(Manifests::default())
    }

    /// The agent behind a call; the most specific identity wins.
    #[must_use]
    pub fn agent(&self, _caller: &Caller<'_>) -> Option<&Arc<Agent>> {
        None
    }

    /// An agent by name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.iter().find(|agent| agent.name == name)
    }
}

/// The JSON Schema of a manifest, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::Value::Null
}
