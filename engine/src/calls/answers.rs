//! Decisions remembered: the same caller, permission and resources are decided once.

use crate::grant::{Grant, Grants};
use crate::manifest::{Agent, Caller, Manifests};
use crate::permission::Needed;
use crate::scope::{Reason, Verdict};
use policy::context::Context;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Entries of each kind that are remembered; then it forgets them all and begins again. Session names and
/// resources are the attacker's to choose, so there must be an end.
const ENTRIES_MAX: usize = 50_000;

/// What scope and grants say to one permission on its resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The scope's verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The manifest's entry that decided it.
    pub statement: Option<String>,
    /// What the identity's policies say.
    pub grant: Grant,
    /// The policy and statement that decided it.
    pub grant_why: String,
}

/// Remembers decisions under fixed manifests and grants. Give each worker its own.
#[derive(Debug, Default)]
pub struct Answers {
    agents: HashMap<String, Option<Arc<Agent>>>,
    answers: HashMap<String, Arc<Answer>>,
    // The key that is looked up, kept so that a known one costs no allocation.
    key: String,
}

impl Answers {
    /// The agent behind a call.
    pub fn agent(&mut self, manifests: &Manifests, caller: &Caller<'_>) -> Option<Arc<Agent>> {
        let presence = |part: Option<&str>| if part.is_some() { "some" } else { "none" };
        let (session, account) = (caller.session_name, caller.account);
        self.begin_key(&[
            caller.actor,
            presence(session),
            session.unwrap_or_default(),
            presence(account),
            account.unwrap_or_default(),
        ]);
        if let Some(agent) = self.agents.get(&self.key) {
            return agent.clone();
        }
        if self.agents.len() >= ENTRIES_MAX {
            self.agents.clear();
        }
        let agent = manifests.agent(caller).cloned();
        self.agents.insert(self.key.clone(), agent.clone());
        agent
    }

    /// What the agent's scope and the identity's grants say.
    pub fn of(&mut self, agent: &Agent, grants: &Grants, actor: &str, needed: &Needed) -> Arc<Answer> {
        let known = if needed.resources_known { "known" } else { "bounded" };
        self.begin_key(&[&agent.name, actor, &needed.permission, known]);
        for resource in &needed.resources {
            self.add_to_key(resource);
        }
        if let Some(answer) = self.answers.get(&self.key) {
            return answer.clone();
        }
        if self.answers.len() >= ENTRIES_MAX {
            self.answers.clear();
        }
        let context = &Context::partial();
        let (permission, resources) = (&needed.permission, &needed.resources);
        let scope = agent.scope.verdict(permission, resources, needed.resources_known, context);
        let grant = grants.verdict(actor, permission, resources, needed.resources_known, context);
        let answer = Arc::new(Answer {
            verdict: scope.verdict,
            reason: scope.reason,
            statement: scope.statement,
            grant: grant.grant,
            grant_why: grant.why,
        });
        self.answers.insert(self.key.clone(), answer.clone());
        answer
    }

    fn begin_key(&mut self, parts: &[&str]) {
        self.key.clear();
        for part in parts {
            self.add_to_key(part);
        }
    }

    // With its length before it no part can reach into the next.
    fn add_to_key(&mut self, part: &str) {
        // Writing to a text cannot fail.
        let _ = write!(self.key, "{}:{part}", part.len());
    }
}
