//! Decisions remembered: the same caller, permission, resources and conditions are decided once

use crate::grant::{Dated, GrantVerdict, Grants, Holder, Session};
use crate::manifest::{Agent, Caller, Manifests, Shown, Versions};
use crate::permission::Needed;
use crate::scope::ScopeVerdict;
use crate::time::rfc3339;
use foldhash::HashMap;
use policy::context::{Context, Fact};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

/// Entries of each kind that are remembered; then it forgets them all and begins again. Session names and
/// resources are the attacker's to choose, so there must be an end. An entry takes some 300 bytes, and the
/// length of its resources.
const ENTRIES_MAX: usize = 50_000;

/// What scope and grants say to one permission on its resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the agent declares; `None` where the caller is no declared agent.
    pub scope: Option<ScopeVerdict>,
    /// What the identity's policies say.
    pub grant: GrantVerdict,
}

/// Who calls, with what it declares and holds at that moment.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// The call's time, µs UTC.
    pub when: i64,
    /// Which version of the manifests declares the agent.
    pub version: usize,
    /// The declared agent.
    pub agent: Option<Arc<Agent>>,
    /// What the identity holds; `None` where nothing is known of it.
    pub holder: Option<Arc<Holder>>,
    /// What narrows the session, and the key that its calls carry.
    pub session: Option<(String, Arc<Session>)>,
}

impl Asker {
    /// Adds what is known of the principal's tags: those of its session go before its own.
    fn tell_tags(&self, keys: &[&str], context: &mut Context) {
        for key in keys {
            let Some(tag) = key.strip_prefix("aws:principaltag/") else { continue };
            let find = |tags: &BTreeMap<String, String>| {
                tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(tag)).map(|(_, value)| value.clone())
            };
            let session = self.session.as_ref().map(|(_, session)| &session.tags);
            let own = self.holder.as_ref().and_then(|holder| holder.tags.as_ref());
            if let Some(value) = session.and_then(find).or_else(|| own.and_then(find)) {
                context.set(key, Fact::one(value));
            } else if session.is_some() && own.is_some() {
                context.set(key, Fact::Absent);
            }
        }
    }
}

/// An answer with a number that no other one of the same [`Answers`] has.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) answer: Arc<Answer>,
    pub(super) number: u64,
}

/// Remembers decisions under fixed manifests, and grants as long as they do not change. Give each worker its own.
#[derive(Debug, Default)]
pub struct Answers {
    holders_revision: u64,
    agents: HashMap<Box<[u8]>, Option<Arc<Agent>>>,
    holders: HashMap<String, Dated>,
    sessions: HashMap<String, Arc<Session>>,
    /// Condition keys that the statements about a permission ask for
    keys: HashMap<Box<[u8]>, Arc<[String]>>,
    answers: HashMap<Box<[u8]>, Remembered>,
    /// How many answers were numbered
    numbered: u64,
    // The key that is looked up, kept so that a known one costs no allocation.
    key: Vec<u8>,
}

impl Answers {
    /// Who is behind a call at a moment (µs UTC). `session`: the access key id of temporary credentials.
    pub fn asker(
        &mut self,
        manifests: &Versions,
        grants: &Grants,
        caller: &Caller<'_>,
        session: Option<&str>,
        when: i64,
    ) -> Asker {
        if self.holders_revision != grants.holders_revision() {
            self.holders_revision = grants.holders_revision();
            self.holders.clear();
        }
        let (version, manifests) = manifests.at(when);
        let dated = match self.holders.get(caller.actor) {
            Some(dated) => dated,
            None => {
                bound(&mut self.holders);
                self.holders.entry(caller.actor.to_owned()).or_insert_with(|| grants.dated(caller.actor))
            }
        };
        let holder = dated.at(when).cloned();
        let tags = holder.as_ref().and_then(|holder| holder.tags.as_ref());
        let shown = if manifests.tells_by_signs() { caller.shown } else { Shown::default() };
        let caller = Caller { tags: tags.filter(|_| manifests.tells_by_tag()), shown, ..*caller };
        let agent = self.agent(version, manifests, &caller);
        let session =
            session.filter(|_| grants.narrows_sessions()).and_then(|session| self.narrowed(grants, session));
        Asker { when, version, agent, holder, session }
    }

    /// What narrows the session of an access key id.
    pub(super) fn narrowed(&mut self, grants: &Grants, session: &str) -> Option<(String, Arc<Session>)> {
        // Only what was found is remembered: the beginning of a session may arrive after its calls.
        let narrowed = match self.sessions.get(session) {
            Some(narrowed) => narrowed.clone(),
            None => {
                let narrowed = Arc::new(grants.session(session)?);
                bound(&mut self.sessions);
                self.sessions.insert(session.to_owned(), narrowed.clone());
                narrowed
            }
        };
        Some((session.to_owned(), narrowed))
    }

    fn agent(&mut self, version: usize, manifests: &Manifests, caller: &Caller<'_>) -> Option<Arc<Agent>> {
        let presence = |part: Option<&str>| if part.is_some() { "some" } else { "none" };
        let (session, account) = (caller.session_name, caller.account);
        self.begin_key(&[
            caller.actor,
            presence(session),
            session.unwrap_or_default(),
            presence(account),
            account.unwrap_or_default(),
        ]);
        // Writing to a text cannot fail.
        let _ = write!(self.key, "@{version}");
        for (key, value) in caller.tags.into_iter().flatten() {
            let _ = write!(self.key, "#{key:?}={value:?}");
        }
        if caller.shown != Shown::default() {
            let Shown { workload, source_identity, via_mcp, .. } = caller.shown;
            let client = caller.shown.client();
            let _ = write!(self.key, "&{workload:?}{source_identity:?}{client:?}{via_mcp}");
        }
        if let Some(agent) = self.agents.get(self.key.as_slice()) {
            return agent.clone();
        }
        bound(&mut self.agents);
        let agent = manifests.agent(caller).cloned();
        self.agents.insert(self.key.as_slice().into(), agent.clone());
        agent
    }

    /// What scope and grants say. `context` gives what the event tells of the keys that it is asked for (lower case).
    pub(super) fn of(
        &mut self,
        asker: &Asker,
        needed: &Needed,
        context: impl Fn(&[&str]) -> Context,
    ) -> Remembered {
        let agent = asker.agent.as_deref();
        let session = asker.session.as_ref();
        self.begin_key(&[
            agent.map_or("", |agent| agent.name.as_str()),
            session.map_or("", |(key, _)| key.as_str()),
            &needed.permission,
        ]);
        let serial = asker.holder.as_ref().map_or(0, |holder| holder.serial());
        self.key.extend(serial.to_le_bytes());
        self.key.extend(asker.version.to_le_bytes());
        let keys = match self.keys.get(self.key.as_slice()) {
            Some(keys) => keys.clone(),
            None => {
                bound(&mut self.keys);
                let keys: Arc<[String]> = keys_of(asker, &needed.permission).into_iter().collect();
                self.keys.insert(self.key.as_slice().into(), keys.clone());
                keys
            }
        };
        self.add_to_key(match (needed.resources_known, needed.one_of) {
            (true, _) => "known",
            (false, false) => "bounded",
            (false, true) => "one of",
        });
        // How many, so that none of them can pass for what follows.
        self.key.extend(needed.resources.len().to_le_bytes());
        for resource in &needed.resources {
            self.add_to_key(resource);
        }
        // The time itself would make every question a new one.
        let has_expired = agent.is_some_and(|agent| agent.scope.has_expired(asker.when));
        if has_expired {
            self.add_to_key("expired");
        }
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut context = if asked.is_empty() { Context::partial() } else { context(&asked) };
        asker.tell_tags(&asked, &mut context);
        if has_expired {
            context.set("aws:CurrentTime", Fact::one(rfc3339(asker.when)));
        }
        for key in keys.iter() {
            match context.fact(key) {
                Fact::Unknown => self.add_to_key("?"),
                Fact::Absent => self.add_to_key("-"),
                Fact::Values(values) => {
                    self.key.push(b'=');
                    self.key.extend(values.len().to_le_bytes());
                    for value in values {
                        self.add_to_key(value);
                    }
                }
            }
        }
        if let Some(answer) = self.answers.get(self.key.as_slice()) {
            return answer.clone();
        }
        bound(&mut self.answers);
        self.numbered += 1;
        let answer = Arc::new(judge(asker, needed, &context));
        let answer = Remembered { answer, number: self.numbered };
        self.answers.insert(self.key.as_slice().into(), answer.clone());
        answer
    }

    /// Whether a call that was denied is one that the manifest expects to be.
    pub fn expects_denial(
        &self,
        asker: &Asker,
        needed: &Needed,
        context: impl Fn(&[&str]) -> Context,
    ) -> bool {
        let Some(agent) = &asker.agent else { return false };
        let keys = agent.scope.expected_keys();
        let context = context(&keys);
        agent.scope.expects_denial(&needed.permission, &needed.resources, needed.resources_known, &context)
    }

    fn begin_key(&mut self, parts: &[&str]) {
        self.key.clear();
        for part in parts {
            self.add_to_key(part);
        }
    }

    // With its length before it no part can reach into the next.
    fn add_to_key(&mut self, part: &str) {
        self.key.extend(part.len().to_le_bytes());
        self.key.extend(part.as_bytes());
    }
}

fn judge(asker: &Asker, needed: &Needed, context: &Context) -> Answer {
    let (permission, known) = (&needed.permission, needed.resources_known);
    let session = asker.session.as_ref().map(|(_, session)| &**session);
    let mut answer: Option<Answer> = None;
    for resources in needed.alternatives() {
        let next = Answer {
            scope: asker
                .agent
                .as_ref()
                .map(|agent| agent.scope.verdict(permission, resources, known, context)),
            grant: match &asker.holder {
                Some(holder) => holder.verdict(permission, resources, known, context, session),
                None => GrantVerdict::no_policies_known(),
            },
        };
        answer = Some(match answer {
            None => next,
            Some(before) => before.or(next),
        });
    }
    answer.unwrap_or(Answer { scope: None, grant: GrantVerdict::no_policies_known() })
}

impl Answer {
    /// The call touched one of two resources: where the answers differ, it cannot be told.
    fn or(self, other: Answer) -> Answer {
        let scope = match (self.scope, other.scope) {
            (Some(one), Some(other)) => Some(one.or(other)),
            (one, other) => one.or(other),
        };
        Answer { scope, grant: self.grant.or(other.grant) }
    }
}

fn keys_of(asker: &Asker, permission: &str) -> BTreeSet<String> {
    let mut keys = asker.agent.as_ref().map(|agent| agent.scope.keys(permission)).unwrap_or_default();
    keys.extend(asker.holder.iter().flat_map(|holder| holder.keys(permission)));
    keys.extend(asker.session.iter().flat_map(|(_, session)| session.keys(permission)));
    keys
}

fn bound<K, T>(entries: &mut HashMap<K, T>) {
    if entries.len() >= ENTRIES_MAX {
        entries.clear();
    }
}
