//! Records of Azure and Google Cloud: which permissions a call needed, and whether it was let through

use serde_json::Value;

use super::{azure, gcp};
use crate::cloud::Cloud;
pub use policy::azure::Plane;

/// Entries that one record may bring; more are left out.
pub(super) const ENTRIES_MAX: usize = 1_000;

/// What a record of another cloud than AWS tells. Every text is the log's own, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Whose record it is
    pub cloud: Cloud,
    /// Permissions that the call needed, as the record or its operation names them
    pub certain: Vec<String>,
    /// Permissions that it may have needed: one of several that would do, or a name that was guessed
    pub possible: Vec<String>,
    /// What it touched: resource ids, or names without their service's host
    pub resources: Vec<String>,
    /// What the resources lie in, where the record tells more than their names: `projects/p`. A bucket's name does not
    /// tell its project
    pub within: Vec<String>,
    /// Who called: in Azure the object id where it is told, in Google Cloud the address or the subject
    pub actor: Option<String>,
    /// Every name that the record has for the caller, the actor first: application id, sign-in name, subject
    pub names: Vec<String>,
    /// Through whom: the service accounts or principals that were impersonated on the way, the first caller last
    pub through: Vec<String>,
    /// Whether the policies let the call through; `None` where the record does not tell
    pub granted: Option<bool>,
    /// Control or data plane
    pub plane: Plane,
    /// The role assignment that let it through, where the record names it
    pub assignment: Option<String>,
    /// The program that called, in its own words
    pub user_agent: Option<String>,
}

impl Foreign {
    pub(super) fn new(cloud: Cloud, plane: Plane) -> Foreign {
        Foreign {
            cloud,
            certain: Vec::new(),
            possible: Vec::new(),
            resources: Vec::new(),
            within: Vec::new(),
            actor: None,
            names: Vec::new(),
            through: Vec::new(),
            granted: None,
            plane,
            assignment: None,
            user_agent: None,
        }
    }

    pub(super) fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            push(&mut self.names, name);
        }
        if self.actor.is_none() {
            self.actor = self.names.first().cloned();
        }
    }
}

/// Reads a raw record; `None` where it is neither Azure's nor Google Cloud's.
///
/// Azure: items of diagnostic settings' `records[]`, and events as the REST interface, the portal and `az monitor
/// activity-log list` print them. Google Cloud: log entries with a `protoPayload`.
#[must_use]
pub fn foreign(record: &Value) -> Option<Foreign> {
    gcp::read(record).or_else(|| azure::read(record))
}

/// Adds a text that is not there yet.
pub(super) fn push(list: &mut Vec<String>, text: &str) {
    if !text.is_empty() && list.len() < ENTRIES_MAX && !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

/// A text at a path of fields.
pub(super) fn at<'a>(record: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter()
        .try_fold(record, |value, key| value.get(key))
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
