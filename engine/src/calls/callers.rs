//! Who calls: the agent and the holdings behind an actor, found once

use rustc_hash::FxHashMap;
use std::sync::Arc;

use super::answers::Answers;
use super::looked::Looked;
use super::{Rules, caller_of};
use crate::grant::Dated;
use crate::manifest::Agent;

/// What is known of each actor that was met.
#[derive(Debug, Default)]
pub(super) struct Callers {
    actors: FxHashMap<u32, Actor>,
    agents: Vec<Arc<Agent>>,
    /// By version of the manifests and address: agents live as long as their manifests.
    numbers: FxHashMap<(usize, usize), u32>,
    /// By version: whether some agent lists who may become it.
    listing: FxHashMap<usize, bool>,
}

#[derive(Debug, Default)]
struct Actor {
    holders_revision: u64,
    dated: Dated,
    /// By version of the manifests: whether the session's name, or what a call shows, matters.
    by_call: FxHashMap<usize, bool>,
    /// The last answer, and to which account, version and holder.
    last: Option<((u32, usize, u64), u32)>,
}

/// Who made one call, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    /// The declared agent; 0 for none.
    pub(super) agent: u32,
    /// The holder's serial; 0 where nothing is known of it.
    pub(super) holder: u64,
    /// Which version of the manifests counts.
    pub(super) version: usize,
}

impl Callers {
    /// Who made a call. `actor` and `account`: their words' numbers.
    pub(super) fn who(
        &mut self,
        actor: u32,
        account: u32,
        time: i64,
        event: &Looked<'_, '_>,
        rules: &Rules,
        answers: &mut Answers,
    ) -> Who {
        let (version, manifests) = rules.manifests.at(time);
        let known = self.actors.entry(actor).or_default();
        let revision = rules.grants.holders_revision() + 1;
        if known.holders_revision != revision {
            known.holders_revision = revision;
            known.dated = rules.grants.dated(caller_of(event.view, event.row).actor);
        }
        let holder = known.dated.at(time).map_or(0, |holder| holder.serial());
        let asked = (account, version, holder);
        if let Some((last, agent)) = known.last
            && last == asked
        {
            return Who { agent, holder, version };
        }
        let by_call = *known
            .by_call
            .entry(version)
            .or_insert_with(|| manifests.tells_by_call(caller_of(event.view, event.row).actor));
        let agent = answers
            .asker(&rules.manifests, &rules.grants, &caller_of(event.view, event.row), None, time)
            .agent;
        let agent = agent.map_or(0, |agent| {
            let next = self.agents.len() as u32 + 1;
            let number = *self.numbers.entry((version, Arc::as_ptr(&agent).addr())).or_insert(next);
            if number == next {
                self.agents.push(agent);
            }
            number
        });
        if !by_call {
            known.last = Some((asked, agent));
        }
        Who { agent, holder, version }
    }

    /// The agent of a number.
    pub(super) fn agent(&self, number: u32) -> Option<&Arc<Agent>> {
        self.agents.get(number.checked_sub(1)? as usize)
    }

    /// Whether in a version of the manifests some agent lists who may become it.
    pub(super) fn lists_who_becomes(&mut self, version: usize, time: i64, rules: &Rules) -> bool {
        *self.listing.entry(version).or_insert_with(|| {
            let (_, manifests) = rules.manifests.at(time);
            manifests.agents.iter().any(|agent| agent.assume.from.is_some())
        })
    }

    pub(super) fn len(&self) -> usize {
        self.actors.len()
    }
}
