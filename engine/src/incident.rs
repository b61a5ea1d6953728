//! An incident: findings of one agent (else actor) that follow each other, told as one story.

use crate::finding::{Finding, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Findings of one agent join an incident while less than this lies between them, in event time (µs).
pub const GAP: i64 = crate::time::HOUR;

/// An incident resolves when nothing joined it for this long (µs).
pub const QUIET: i64 = crate::time::DAY;

/// Open, or over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Findings in it are live.
    Open,
    /// A quiet day passed, or every finding in it was closed or superseded.
    Resolved,
}

/// Findings of one agent (else actor) within [`GAP`] of each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The alert's id at every receiver (`dedup_key`); may depend on arrival.
    pub id: String,
    /// The agent's name, else the actor.
    pub who: String,
    /// The agent, where it is a declared one.
    pub agent: Option<String>,
    /// The highest of its findings; one more when two families combine.
    pub severity: Severity,
    /// Open, or over.
    pub state: IncidentState,
    /// Time of its earliest event, µs UTC.
    pub first_seen: i64,
    /// Time of its latest event, µs UTC.
    pub last_seen: i64,
    /// Grows with everything worth telling.
    pub revision: i64,
    /// False for history that woke nobody.
    pub told: bool,
    /// Why it is over.
    pub resolved_because: Option<String>,
}

/// The severity of findings told as one story: the highest, one more when two families combine.
///
/// Only live findings count; `None` when there is none.
#[must_use]
pub fn severity(findings: &[Finding]) -> Option<Severity> {
    let live = || findings.iter().filter(|f| f.state.is_live());
    let highest = live().map(|f| f.severity).max()?;
    let families: BTreeSet<&str> = live().map(|f| f.family.as_str()).collect();
    Some(if families.len() > 1 { highest.raised() } else { highest })
}

/// What an outbox row tells its receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertKind {
    /// The incident is new.
    Trigger,
    /// A finding joined, or it became worse.
    Update,
    /// It is over.
    Resolve,
}

impl AlertKind {
    /// The lower-case name, as in the store and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::Trigger => "trigger",
            AlertKind::Update => "update",
            AlertKind::Resolve => "resolve",
        }
    }

    pub(crate) fn parse(text: &str) -> AlertKind {
        match text {
            "trigger" => AlertKind::Trigger,
            "resolve" => AlertKind::Resolve,
            _ => AlertKind::Update,
        }
    }
}

/// One incident at one revision for one receiver, with its findings as they stand now.
#[derive(Debug, Clone)]
pub struct Alert {
    /// The incident as it stands now.
    pub incident: Incident,
    /// Its told findings, worst first, then by time.
    pub findings: Vec<Finding>,
    /// The revision that this message tells.
    pub revision: i64,
    /// Trigger, update or resolve.
    pub kind: AlertKind,
    /// Sends begun before this one.
    pub attempts: i64,
    /// True when an earlier send may have arrived: its answer was lost.
    pub is_resend: bool,
}
