//! How an agent stands, in one word.

use engine::finding::Severity;
use engine::posture::Posture;

/// The one state that an agent is in, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentState {
    /// It has an open incident of high severity or above.
    Violation,
    /// It has an open incident of lower severity.
    Drift,
    /// Its baseline is too young to say what is new.
    Learning,
    /// It was never seen.
    Silent,
    /// None of these.
    Ok,
}

impl AgentState {
    /// Every state, worst first.
    pub const ALL: [AgentState; 5] =
        [AgentState::Violation, AgentState::Drift, AgentState::Learning, AgentState::Silent, AgentState::Ok];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AgentState::Violation => "violation",
            AgentState::Drift => "drift",
            AgentState::Learning => "learning",
            AgentState::Silent => "silent",
            AgentState::Ok => "ok",
        }
    }
}

/// What the state of one agent rests on, apart from its incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The manifest's name.
    pub agent: String,
    /// Days on which its most active identity used anything.
    pub active_days: u32,
    /// Active days that its baseline needs.
    pub min_active_days: u32,
}

impl Standing {
    /// The standing of every declared agent.
    #[must_use]
    pub fn of(posture: &Posture, min_active_days: u32) -> Vec<Standing> {
        posture
            .agents
            .iter()
            .map(|agent| Standing {
                agent: agent.agent.clone(),
                active_days: agent.identities.iter().map(|i| i.active_days).max().unwrap_or(0),
                min_active_days,
            })
            .collect()
    }

    /// The state, given the worst of its open incidents.
    #[must_use]
    pub fn state(&self, worst: Option<Severity>) -> AgentState {
        match worst {
            Some(severity) if severity >= Severity::High => AgentState::Violation,
            Some(_) => AgentState::Drift,
            None if self.active_days == 0 => AgentState::Silent,
            None if self.active_days < self.min_active_days => AgentState::Learning,
            None => AgentState::Ok,
        }
    }
}
