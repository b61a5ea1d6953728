//! What tells agents apart that share one role

use ingest::agent::client;
use ingest::event::EventView;
use policy::wildcard::ActionPattern;

use super::{Agent, Caller, Identity};
use crate::attribution::Grade;

/// What an identity asks of a call beside its role and session. `None` asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Signs {
    /// Pattern of what the credentials were issued to
    pub workload: Option<String>,
    /// Pattern of the session's source identity
    pub source_identity: Option<String>,
    /// The agent client that the user agent names: anybody may say so
    pub client: Option<String>,
    /// The call came through the cloud's own tool server
    pub via_mcp: bool,
}

impl Signs {
    /// The stronger sign makes an identity the more specific one: what the cloud tells, then what the session fixes, then
    /// what the client says.
    pub(super) fn rank(&self) -> (bool, bool, bool, bool) {
        (self.workload.is_some(), self.source_identity.is_some(), self.via_mcp, self.client.is_some())
    }

    /// The patterns' own text, without wildcards.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &str> {
        [&self.workload, &self.source_identity].into_iter().flatten().map(String::as_str)
    }
}

/// What a call shows of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown<'a> {
    /// What the credentials were issued to
    pub workload: Option<&'a str>,
    /// The session's source identity
    pub source_identity: Option<&'a str>,
    /// The client's own words
    pub user_agent: Option<&'a str>,
    /// The cloud's tool server made the call, or was called
    pub via_mcp: bool,
}

impl<'a> Shown<'a> {
    /// What an event shows.
    #[must_use]
    pub fn of(view: &EventView<'a>, row: usize) -> Shown<'a> {
        Shown {
            workload: view.workload(row),
            source_identity: view.source_identity(row),
            user_agent: view.user_agent(row),
            via_mcp: view.agent_hint(row) == Some("mcp") && view.agent_evidence(row) == Some("cloud"),
        }
    }

    /// The agent client that it names.
    #[must_use]
    pub fn client(&self) -> Option<&'static str> {
        self.user_agent.and_then(client)
    }
}

/// Signs made ready to be held against calls.
#[derive(Debug, Default)]
pub(super) struct SignMatcher {
    workload: Option<ActionPattern>,
    source_identity: Option<ActionPattern>,
    client: Option<String>,
    via_mcp: bool,
}

impl SignMatcher {
    pub(super) fn new(signs: &Signs) -> SignMatcher {
        let pattern = |text: &Option<String>| text.as_deref().map(ActionPattern::new);
        SignMatcher {
            workload: pattern(&signs.workload),
            source_identity: pattern(&signs.source_identity),
            client: signs.client.clone(),
            via_mcp: signs.via_mcp,
        }
    }

    pub(super) fn takes(&self, shown: &Shown<'_>) -> bool {
        let fits = |pattern: &Option<ActionPattern>, value: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| value.is_some_and(|value| pattern.matches_exactly(value)))
        };
        (!self.via_mcp || shown.via_mcp)
            && fits(&self.workload, shown.workload)
            && fits(&self.source_identity, shown.source_identity)
            && self.client.as_deref().is_none_or(|client| shown.client() == Some(client))
    }
}

impl Agent {
    /// How sure it is that a call is this agent's, by its manifest: where only the client's own words tell it from others
    /// in the role, no surer than they are.
    #[must_use]
    pub fn grade(&self, caller: &Caller<'_>) -> Grade {
        let by_words = |identity: &Identity| identity.signs.client.is_some();
        if !self.identities.iter().any(by_words) {
            return Grade::Manifest;
        }
        let surer = self.identities.iter().filter(|identity| !by_words(identity));
        let is_surer = surer.into_iter().any(|identity| super::matching::is_of(identity, caller));
        let is_by_id = self.principals.iter().any(|one| Some(one.id.as_str()) == caller.shown.workload);
        if is_surer || is_by_id { Grade::Manifest } else { Grade::Client }
    }
}

#[cfg(test)]
mod tests;
