//! A finding: one answer of a detection, told once however its events arrive.

use crate::attribution::Attribution;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Evidence kept per finding: the smallest by (time, event id), so that every order keeps the same.
pub const EVIDENCE_MAX: usize = 50;

/// How bad it is. Ordered: `Info < Low < Medium < High < Critical`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the report only.
    Info,
    /// Worth a look this week.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// Every severity, lowest first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The lower-case name, as in configuration, metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// 0 for info to 4 for critical: the number the store sorts by.
    #[must_use]
    pub fn rank(self) -> i64 {
        self as i64
    }

    /// The severity of a [`rank`](Self::rank); ranks out of range are the nearest end.
    #[must_use]
    pub fn from_rank(rank: i64) -> Severity {
        match rank {
            i64::MIN..=0 => Severity::Info,
            1 => Severity::Low,
            2 => Severity::Medium,
            3 => Severity::High,
            _ => Severity::Critical,
        }
    }

    /// One step up, at most critical.
    #[must_use]
    pub fn raised(self) -> Severity {
        Severity::from_rank(self.rank() + 1)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Severity::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("unknown severity `{text}`. Known: info, low, medium, high, critical"))
    }
}

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// Waiting for somebody.
    Open,
    /// Somebody is looking.
    Acknowledged,
    /// Ended by hand, with a reason.
    Closed,
    /// An earlier event arrived late and took its reason away.
    Superseded,
    /// The baseline is too young to say so; becomes open if late history shows that it was not.
    Learning,
    /// Of an event that remit made to see whether it still sees: told to nobody, part of nothing.
    Canary,
}

impl FindingState {
    /// Every state.
    pub const ALL: [FindingState; 6] = [
        FindingState::Open,
        FindingState::Acknowledged,
        FindingState::Closed,
        FindingState::Superseded,
        FindingState::Learning,
        FindingState::Canary,
    ];

    /// The lower-case name, as in the store and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FindingState::Open => "open",
            FindingState::Acknowledged => "acknowledged",
            FindingState::Closed => "closed",
            FindingState::Superseded => "superseded",
            FindingState::Learning => "learning",
            FindingState::Canary => "canary",
        }
    }

    /// Open or acknowledged: it still counts against its incident.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, FindingState::Open | FindingState::Acknowledged)
    }

    /// Told to people at all: neither superseded nor still learning, and no canary.
    #[must_use]
    pub fn is_told(self) -> bool {
        !matches!(self, FindingState::Superseded | FindingState::Learning | FindingState::Canary)
    }
}

impl FromStr for FindingState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        FindingState::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| {
            format!("unknown state `{text}`. Known: open, acknowledged, closed, superseded, learning, canary")
        })
    }
}

/// One event that a finding rests on. Ordered by time, then id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// Event time, µs UTC.
    pub time: i64,
    /// The cloud's event id.
    pub event_id: String,
}

/// What the earliest event of a finding shows. Every text in it is a log's: the attacker's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The permission that was judged, `s3:GetObject`.
    pub permission: Option<String>,
    /// The service as logged, `s3.amazonaws.com`.
    pub service: String,
    /// The operation as logged.
    pub operation: String,
    /// The resource ARNs of the call, at most eight.
    pub resources: Vec<String>,
    /// `success`, `denied`, `failed` or `unknown`.
    pub outcome: String,
    /// The account the call was made in.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The session's name.
    pub session_name: Option<String>,
    /// The address the call came from.
    pub source_ip: Option<String>,
    /// The client's own description of itself.
    pub user_agent: Option<String>,
    /// The agent's environment, by its manifest.
    pub environment: Option<String>,
    /// The scope's answer: `in`, `out` or `unknown`.
    pub scope: Option<String>,
    /// Why the scope says so, with the manifest's file and line where one decided it.
    pub scope_why: Option<String>,
    /// The grant's answer: `allowed`, `denied` or `unknown`.
    pub grant: Option<String>,
    /// Which policy and statement decided the grant.
    pub grant_why: Option<String>,
    /// Earlier days on which this identity was active, within the look-back; 0 where the detection does not ask.
    pub active_days: i64,
    /// Who really made the call, and how sure it is that an agent did.
    #[serde(default)]
    pub caller: Attribution,
}

/// One answer of a detection about one agent (else actor), subject and window of event time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A function of detection, agent (else actor), subject and window: never of batch, order or clock.
    pub id: String,
    /// The detection's id, `SC01`.
    pub detection: String,
    /// The detection's family, `scope`; two families in one incident raise its severity.
    pub family: String,
    /// The highest of its events.
    pub severity: Severity,
    /// Where it stands.
    pub state: FindingState,
    /// The manifest's name for who acted; none where the caller is no declared agent.
    pub agent: Option<String>,
    /// Canonical identity of its earliest event.
    pub actor: String,
    /// What the detection is about, mostly a permission.
    pub subject: String,
    /// Start of its window of event time, µs UTC.
    pub window_start: i64,
    /// One line for people.
    pub title: String,
    /// Why it was told, in a sentence or two.
    pub why: String,
    /// Time of its earliest event, µs UTC.
    pub first_seen: i64,
    /// Time of its latest event, µs UTC.
    pub last_seen: i64,
    /// Events that it stands for.
    pub count: i64,
    /// The smallest [`EVIDENCE_MAX`] events by (time, id).
    pub events: Vec<Evidence>,
    /// Codes of the frameworks it maps to, `ASI02`.
    pub frameworks: Vec<String>,
    /// What its earliest event shows.
    pub sample: Sample,
    /// The incident it belongs to.
    pub incident: Option<String>,
    /// Why it was closed: `false-positive`, `fixed`, `accepted`.
    pub close_reason: Option<String>,
    /// What the person who closed or acknowledged it wrote.
    pub note: Option<String>,
    /// Who acknowledged or closed it.
    pub by: Option<String>,
}

impl Finding {
    /// The id of (detection, agent else actor, subject, window start).
    #[must_use]
    pub fn id_of(
        detection: &str,
        agent: Option<&str>,
        actor: &str,
        subject: &str,
        window_start: i64,
    ) -> String {
        let (kind, who) = agent.map_or(("actor", actor), |name| ("agent", name));
        ingest::fingerprint(&[detection, kind, who, subject, &window_start.to_string()], 24)
    }

    /// Who it is about: the agent, else the actor.
    #[must_use]
    pub fn who(&self) -> &str {
        self.agent.as_deref().unwrap_or(&self.actor)
    }

    /// Joins what another part of the events says about the same finding. Any order gives the same.
    ///
    /// State, incident and what people wrote are kept from `self`.
    pub fn merge(&mut self, other: Finding) {
        let earliest = |f: &Finding| f.events.first().cloned();
        if earliest(&other) < earliest(self) {
            self.actor = other.actor;
            self.title = other.title;
            self.why = other.why;
            self.sample = other.sample;
        }
        self.severity = self.severity.max(other.severity);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.count += other.count;
        self.events.extend(other.events);
        self.events.sort();
        self.events.dedup();
        self.events.truncate(EVIDENCE_MAX);
    }

    /// The line that `replay --output ndjson`, the API and the ndjson receiver give.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let chain = &self.sample.caller.chain;
        serde_json::json!({
            "schema_version": 1,
            "id": self.id,
            "detection": self.detection,
            "severity": self.severity,
            "state": self.state,
            "agent": self.agent,
            "actor": self.actor,
            "subject": self.subject,
            "title": self.title,
            "why": self.why,
            "first_seen": crate::time::rfc3339(self.first_seen),
            "last_seen": crate::time::rfc3339(self.last_seen),
            "count": self.count,
            "events": self.events.iter().map(|e| e.event_id.as_str()).collect::<Vec<_>>(),
            "frameworks": self.frameworks,
            "incident": self.incident,
            "sample": self.sample,
            "chain": chain.to_json(),
            "chain_cut": chain.cut,
            "close_reason": self.close_reason,
            "note": self.note,
            "by": self.by,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(time: i64, event: &str, title: &str) -> Finding {
        Finding {
            id: Finding::id_of("SC01", Some("bot"), "arn", "s3:GetObject", 0),
            detection: "SC01".into(),
            family: "scope".into(),
            severity: Severity::Medium,
            state: FindingState::Open,
            agent: Some("bot".into()),
            actor: "arn".into(),
            subject: "s3:GetObject".into(),
            window_start: 0,
            title: title.into(),
            why: String::new(),
            first_seen: time,
            last_seen: time,
            count: 1,
            events: vec![Evidence { time, event_id: event.into() }],
            frameworks: vec![],
            sample: Sample::default(),
            incident: None,
            close_reason: None,
            note: None,
            by: None,
        }
    }

    #[test]
    fn merging_gives_the_same_in_any_order() {
        let parts = [finding(3, "c", "third"), finding(1, "b", "tie b"), finding(1, "a", "tie a")];
        let orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]];
        let merged = orders.map(|order| {
            let mut all = parts[order[0]].clone();
            all.merge(parts[order[1]].clone());
            all.merge(parts[order[2]].clone());
            all
        });
        assert!(merged.iter().all(|m| *m == merged[0]));
        assert_eq!((merged[0].title.as_str(), merged[0].count), ("tie a", 3));
    }

    #[test]
    fn an_id_depends_on_the_agent_and_not_on_its_actor() {
        let of = |agent, actor| Finding::id_of("SC01", agent, actor, "s3:GetObject", 0);
        assert_eq!(of(Some("bot"), "arn:1"), of(Some("bot"), "arn:2"));
        assert_ne!(of(None, "arn:1"), of(None, "arn:2"));
        assert_ne!(of(Some("arn:1"), "x"), of(None, "arn:1"), "an agent may not pose as an actor");
    }

    #[test]
    fn evidence_is_the_smallest_and_bounded() {
        let mut all = finding(1000, "z", "last");
        for time in 0..100 {
            all.merge(finding(time, "e", "more"));
        }
        assert_eq!(all.events.len(), EVIDENCE_MAX);
        assert_eq!(all.events.last().map(|e| e.time), Some(49));
        assert_eq!(all.count, 101);
    }
}
