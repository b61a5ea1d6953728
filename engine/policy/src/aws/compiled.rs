//! Layers made ready for many requests
//!
//! [`Compiled`] finds the statements that can match a request without looking at the others; what it finds is weighed
//! by the same code as [`decide`](super::decide()), so the answers are the same. [`Memo`] remembers whole answers.

mod hash;
mod index;
mod memo;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

pub use memo::Memo;

use self::hash::Seed;
use self::index::{About, Index};
use super::decide::{Decision, Found, Weighing, needs_no_permission};
use super::document::Policy;
use super::layers::{Layer, Layers, OnResource, Request};
use super::statement::Statement;
use crate::wildcard::Target;

/// Actions whose statements are kept sorted out. More are sorted out again when they come back.
const ACTIONS_MAX: usize = 4_096;
/// Statements kept in all of those lists together; at 8 to 12 bytes each, some ten megabytes.
const KEPT_MAX: usize = 1_000_000;
/// A longer action is none, and is not remembered.
const ACTION_BYTES_MAX: usize = 256;

/// The policies of one request's layers, indexed by action and resource.
///
/// Memory: some 30 bytes and the text before the first wildcard for each resource pattern; and for each action that
/// was asked about, 8 to 12 bytes for each pattern of the statements that can match it, of which at most about ten
/// megabytes are kept for 4,096 actions.
#[derive(Debug)]
pub struct Compiled {
    identity: Vec<Arc<Policy>>,
    boundary: Option<Vec<Arc<Policy>>>,
    session: Option<Vec<Arc<Policy>>>,
    scps: Vec<Vec<Arc<Policy>>>,
    rcps: Vec<Vec<Arc<Policy>>>,
    resource: Own,
    endpoint: Vec<Arc<Policy>>,
    unjudged: Vec<&'static str>,
    /// Every policy, in the order of [`Layers::lists`]
    policies: Vec<(Layer, Arc<Policy>)>,
    /// Every statement in that order: its policy, and its place there
    statements: Vec<(u32, u32)>,
    index: Index,
    actions: RwLock<Actions>,
}

#[derive(Debug)]
enum Own {
    LeftAside,
    None,
    Policy(Arc<Policy>),
}

/// What can match each action that was asked about.
#[derive(Debug, Default)]
struct Actions {
    about: HashMap<Box<str>, Arc<About>, Seed>,
    kept: usize,
}

impl Compiled {
    /// Makes layers ready.
    #[must_use]
    pub fn new(layers: &Layers<'_>) -> Compiled {
        let mut policies: Vec<(Layer, Arc<Policy>)> = Vec::new();
        let mut statements = Vec::new();
        for (layer, list) in layers.lists() {
            for policy in list {
                let number = u32::try_from(policies.len()).unwrap_or(u32::MAX);
                statements.extend(
                    (0..policy.statements.len()).filter_map(|at| Some((number, u32::try_from(at).ok()?))),
                );
                policies.push((layer, Arc::clone(policy)));
            }
        }
        let index = Index::new(statements.iter().filter_map(|place| statement(&policies, *place)));
        Compiled {
            identity: layers.identity.to_vec(),
            boundary: layers.boundary.map(<[_]>::to_vec),
            session: layers.session.map(<[_]>::to_vec),
            scps: layers.scps.to_vec(),
            rcps: layers.rcps.to_vec(),
            resource: match layers.resource {
                OnResource::LeftAside => Own::LeftAside,
                OnResource::None => Own::None,
                OnResource::Policy(policy) => Own::Policy(Arc::clone(policy)),
            },
            endpoint: layers.endpoint.to_vec(),
            unjudged: layers.unjudged.to_vec(),
            policies,
            statements,
            index,
            actions: RwLock::default(),
        }
    }

    /// The layers as they were given.
    #[must_use]
    pub fn layers(&self) -> Layers<'_> {
        Layers {
            identity: &self.identity,
            boundary: self.boundary.as_deref(),
            session: self.session.as_deref(),
            scps: &self.scps,
            rcps: &self.rcps,
            resource: match &self.resource {
                Own::LeftAside => OnResource::LeftAside,
                Own::None => OnResource::None,
                Own::Policy(policy) => OnResource::Policy(policy),
            },
            endpoint: &self.endpoint,
            unjudged: &self.unjudged,
        }
    }

    /// Weighs the layers: the answer of [`decide`](super::decide()).
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        if let Some(free) = needs_no_permission(request) {
            return free;
        }
        let mut weighing = Weighing::new(self.layers(), *request);
        for number in self.candidates(request) {
            let Some(found) = self.found(number) else { continue };
            if weighing.applies(found.layer) {
                weighing.add(found);
            }
        }
        weighing.decision()
    }

    /// The statements that may match, in their order; every one that does match is among them.
    fn candidates(&self, request: &Request<'_>) -> Vec<u32> {
        let about = self.about(request.action);
        match request.resource {
            Target::Exact(arn) => about.on(&self.index, arn),
            Target::Within(_) => about.all(),
        }
    }

    fn found(&self, number: u32) -> Option<Found<'_>> {
        let place = self.statements.get(number as usize)?;
        let (layer, policy) = self.policies.get(place.0 as usize)?;
        Some(Found { layer: *layer, policy, statement: policy.statements.get(place.1 as usize)? })
    }

    fn about(&self, action: &str) -> Arc<About> {
        let known = self.actions.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(about) = known.about.get(action) {
            return Arc::clone(about);
        }
        drop(known);
        let all = self.statements.iter().map(|place| statement(&self.policies, *place));
        let about = Arc::new(self.index.about(all, action));
        if action.len() <= ACTION_BYTES_MAX {
            let mut known = self.actions.write().unwrap_or_else(PoisonError::into_inner);
            if known.about.len() >= ACTIONS_MAX || known.kept + about.len() > KEPT_MAX {
                *known = Actions::default();
            }
            known.kept += about.len();
            known.about.insert(action.into(), Arc::clone(&about));
        }
        about
    }
}

fn statement(policies: &[(Layer, Arc<Policy>)], place: (u32, u32)) -> Option<&Statement> {
    policies.get(place.0 as usize)?.1.statements.get(place.1 as usize)
}

#[cfg(test)]
mod tests;
