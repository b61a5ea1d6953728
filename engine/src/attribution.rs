//! What tells who really made a call, and how sure it is that an agent did

use std::fmt;

use compact_str::CompactString;
use ingest::agent::MCP_HOST;
use ingest::event::EventView;
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Step, StepKind, Walk};

/// Longest text that is kept.
const TEXT_BYTES_MAX: usize = 1_024;

/// How an agent is known, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// The cloud itself marks the call
    Cloud,
    /// What the credentials were issued to
    Workload,
    /// What whoever began the session fixed for all of it: its tags, its source identity
    Session,
    /// A manifest declares the identity
    Manifest,
    /// The session's name, which the caller chose
    Name,
    /// The client's own words, which anybody may say
    Client,
}

impl Grade {
    /// The lower-case name, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Cloud => "cloud",
            Grade::Workload => "workload",
            Grade::Session => "session",
            Grade::Manifest => "manifest",
            Grade::Name => "name",
            Grade::Client => "client",
        }
    }

    /// What it rests on, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Grade::Cloud => "the cloud says so",
            Grade::Workload => "its credentials were issued to one",
            Grade::Session => "its session is marked so",
            Grade::Manifest => "a manifest declares the identity",
            Grade::Name => "by the name of its session alone",
            Grade::Client => "by the client's own words alone",
        }
    }

    fn parse(text: &str) -> Option<Grade> {
        [Grade::Cloud, Grade::Workload, Grade::Session, Grade::Manifest, Grade::Name, Grade::Client]
            .into_iter()
            .find(|grade| grade.as_str() == text)
    }

    /// The strongest that tells that an agent made the call. `declared`: how a manifest knows its agent, if one does.
    #[must_use]
    pub fn of(view: &EventView<'_>, row: usize, declared: Option<Grade>) -> Option<Grade> {
        let logged = view.agent_evidence(row).and_then(Grade::parse);
        logged.into_iter().chain(declared).min()
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The service that made a call by its own lights with the caller's rights: the caller caused the call and did not ask
/// for it. The cloud's tool server makes the very calls that an agent asks it for: they are the agent's own.
/// <https://docs.aws.amazon.com/agent-toolkit/latest/userguide/logging-using-cloudtrail.html>
#[must_use]
pub fn caused_by<'a>(view: &EventView<'a>, row: usize) -> Option<&'a str> {
    view.invoked_by(row).filter(|service| *service != MCP_HOST)
}

/// What the earliest event of a finding tells of its caller, beside the identity. Every text in it is a log's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attribution {
    /// What kind of agent it looks like: `mcp`, `claude-code`.
    pub agent_hint: Option<String>,
    /// What tells that an agent made the call; none where nothing does.
    pub evidence: Option<Grade>,
    /// `long_lived`, `temporary`, `console`...
    pub credential_kind: Option<String>,
    /// Whether a second factor was shown.
    pub mfa: Option<bool>,
    /// The source identity, which a session cannot change.
    pub source_identity: Option<String>,
    /// The person for whom the call was made.
    pub on_behalf_of: Option<String>,
    /// What the credentials were issued to.
    pub workload: Option<String>,
    /// The service that made the call with the caller's rights: caused by the caller, not typed.
    pub invoked_by: Option<String>,
    /// The key, or sign-in, that the call was made with.
    pub session: Option<String>,
    /// The call's request.
    pub request_id: Option<String>,
    /// From the first credentials to the call. Followed when it is shown, and kept nowhere.
    #[serde(skip)]
    pub chain: Chain,
}

impl Attribution {
    /// What one event tells. `declared`: how a manifest knows its agent, if one does.
    #[must_use]
    pub fn of(view: &EventView<'_>, row: usize, declared: Option<Grade>) -> Attribution {
        let text = |value: Option<&str>| value.filter(|text| text.len() <= TEXT_BYTES_MAX).map(str::to_owned);
        Attribution {
            agent_hint: text(view.agent_hint(row)),
            evidence: Grade::of(view, row, declared),
            credential_kind: text(view.credential_kind(row)),
            mfa: view.mfa(row),
            source_identity: text(view.source_identity(row)),
            on_behalf_of: text(view.on_behalf_of(row)),
            workload: text(view.workload(row)),
            invoked_by: text(view.invoked_by(row)),
            session: text(view.session(row)),
            request_id: text(view.request_id(row)),
            chain: Chain::default(),
        }
    }
}

impl crate::finding::Finding {
    /// The way back from its earliest event; `None` where it rests on none, or nothing leads back.
    #[must_use]
    pub fn walk(&self) -> Option<Walk> {
        let earliest = self.events.first()?;
        let caller = &self.sample.caller;
        if caller.session.is_none() && caller.request_id.is_none() {
            return None;
        }
        let call = Step {
            kind: StepKind::Call,
            actor: self.actor.as_str().into(),
            session_name: self.sample.session_name.as_deref().map(CompactString::from),
            account: self.sample.account.as_deref().map(CompactString::from),
            at: earliest.time,
            event: earliest.event_id.as_str().into(),
            tool: None,
            client: None,
        };
        Some(Walk::from(call, caller.session.as_deref(), caller.request_id.as_deref()))
    }
}
