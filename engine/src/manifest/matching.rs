//! Whose call is whose: identities held against callers, and against each other

use std::collections::HashMap;
use std::sync::Arc;

use super::signs::{SignMatcher, Signs};
use super::{Agent, Caller, Identity, ManifestError, Manifests, PrincipalKind, Rank, identity};
use policy::arn::Arn;
use policy::wildcard::{ActionPattern, ArnPattern, Match, Target};

/// Identities by exact ARN, and those with a wildcard.
#[derive(Debug, Default)]
pub(super) struct Matchers {
    exact: HashMap<String, Vec<Matcher>>,
    patterns: Vec<(ArnPattern, Matcher)>,
    /// Some of them ask for a tag
    by_tag: bool,
    /// Some of them ask for more than a role and a session
    by_signs: bool,
    /// Agents by the id of a principal outside AWS
    principals: HashMap<String, usize>,
    /// Agents by SPIFFE id, in whatever role
    spiffe: HashMap<String, usize>,
}

/// What is left of an identity once its ARN matches.
#[derive(Debug)]
struct Matcher {
    agent: usize,
    session: Option<ActionPattern>,
    accounts: Vec<String>,
    tag: Option<(String, String)>,
    signs: SignMatcher,
    /// The signs ask for something.
    by_signs: bool,
    /// The more specific wins: a sign, a session pattern, then the longer text
    rank: Rank,
}

impl Manifests {
    /// Names and identities that two agents claim alike.
    pub(super) fn conflicts(&self) -> Vec<ManifestError> {
        let mut errors = Vec::new();
        let mut names: HashMap<&str, &Agent> = HashMap::new();
        let mut claims: HashMap<_, Vec<Claim<'_>>> = HashMap::new();
        let mut ids: HashMap<&str, &Agent> = HashMap::new();
        for agent in &self.agents {
            if let Some(other) = names.insert(&agent.name, agent) {
                let message = format!(
                    "agent `{}` is declared twice: {}:{} as well",
                    agent.name, other.file, other.line
                );
                errors.push(ManifestError { file: agent.file.clone(), line: agent.line, message });
            }
            for principal in &agent.principals {
                let first = ids.entry(&principal.id).or_insert(agent);
                if first.name != agent.name {
                    let message = format!(
                        "agents `{}` and `{}` ({}:{}) claim the same identity `{}`: one of them must go without",
                        agent.name, first.name, first.file, first.line, principal.id
                    );
                    errors.push(ManifestError { file: agent.file.clone(), line: agent.line, message });
                }
            }
            for identity in &agent.identities {
                let claim =
                    (&identity.arn, identity.session.as_deref(), identity.tag.as_ref(), &identity.signs);
                let claimed = claims.entry(claim).or_default();
                let rival = claimed
                    .iter()
                    .find(|(other, theirs)| other.name != agent.name && identity.shares_account(theirs));
                if let Some((other, _)) = rival {
                    let message = format!(
                        "agents `{}` and `{}` ({}:{}) claim the same identity `{}`: tell them apart by `workload`, `source_identity`, `session` or `accounts`",
                        agent.name, other.name, other.file, other.line, identity.arn
                    );
                    errors.push(ManifestError { file: agent.file.clone(), line: agent.line, message });
                }
                claimed.push((agent, identity));
            }
        }
        errors
    }

    /// The agent behind a call. Where several match, the more specific identity wins: a SPIFFE id goes before every role;
    /// of roles, one that asks for a workload, then for a source identity, a session, the cloud's tool server, a client;
    /// then the longer text, then the agent's name in order. Ids and e-mail addresses match whole, whatever their case.
    #[must_use]
    pub fn agent(&self, caller: &Caller<'_>) -> Option<&Arc<Agent>> {
        let by_spiffe = || caller.shown.workload.and_then(|workload| self.matchers.spiffe.get(workload));
        if let Some(agent) = by_spiffe().filter(|_| !self.matchers.spiffe.is_empty()) {
            return self.agents.get(*agent);
        }
        if !self.matchers.principals.is_empty() && !caller.actor.starts_with("arn:") {
            return self.agents.get(*self.matchers.principals.get(&identity::id_of(caller.actor))?);
        }
        self.best(caller, |matcher| matcher.is_of(caller))
    }

    /// The agent that a session of a role is, or would be. Whoever begins the session names it: under a name that is no
    /// agent's, it is taken for the one whose role it is.
    #[must_use]
    pub fn agent_of_role(&self, role: &str, session_name: Option<&str>) -> Option<&Arc<Agent>> {
        let caller = Caller { actor: role, session_name, ..Caller::default() };
        self.agent(&caller).or_else(|| self.best(&caller, |matcher| matcher.accepts(&caller)))
    }

    fn best(&self, caller: &Caller<'_>, fits: impl Fn(&Matcher) -> bool) -> Option<&Arc<Agent>> {
        let exact = self.matchers.exact.get(caller.actor).map_or(&[][..], Vec::as_slice).iter();
        let patterns = self.matchers.patterns.iter();
        let patterns = patterns
            .filter(|(arn, _)| arn.matches(Target::Exact(caller.actor)) == Match::Yes)
            .map(|(_, matcher)| matcher);
        let matching = exact.chain(patterns).filter(|matcher| fits(matcher));
        let best = matching.max_by_key(|matcher| (matcher.rank, std::cmp::Reverse(matcher.agent)))?;
        self.agents.get(best.agent)
    }

    /// Whether an agent behind this actor is told by its session's name, or by what its calls show.
    #[must_use]
    pub(crate) fn tells_by_call(&self, actor: &str) -> bool {
        let exact = self.matchers.exact.get(actor).map_or(&[][..], Vec::as_slice).iter();
        let patterns = self.matchers.patterns.iter();
        let patterns = patterns
            .filter(|(arn, _)| arn.matches(Target::Exact(actor)) == Match::Yes)
            .map(|(_, matcher)| matcher);
        !self.matchers.spiffe.is_empty()
            || exact.chain(patterns).any(|matcher| matcher.session.is_some() || matcher.by_signs)
    }

    /// Whether some agent is known by a tag, so that a caller's tags matter.
    #[must_use]
    pub fn tells_by_tag(&self) -> bool {
        self.matchers.by_tag
    }

    /// Whether some agent is known by more than a role and a session, so that what a call shows matters.
    #[must_use]
    pub fn tells_by_signs(&self) -> bool {
        self.matchers.by_signs
    }
}

impl Matchers {
    pub(super) fn new(agents: &[Arc<Agent>]) -> Matchers {
        let mut matchers = Matchers::default();
        for (at, agent) in agents.iter().enumerate() {
            for principal in &agent.principals {
                let is_spiffe = principal.kind == PrincipalKind::Spiffe;
                matchers.by_signs |= is_spiffe;
                let ids = if is_spiffe { &mut matchers.spiffe } else { &mut matchers.principals };
                ids.entry(principal.id.clone()).or_insert(at);
            }
            for identity in &agent.identities {
                matchers.by_tag |= identity.tag.is_some();
                matchers.by_signs |= identity.signs != Signs::default();
                let matcher = Matcher::new(at, identity);
                if identity.arn.contains(['*', '?']) {
                    matchers.patterns.push((ArnPattern::new(&identity.arn), matcher));
                } else {
                    matchers.exact.entry(identity.arn.clone()).or_default().push(matcher);
                }
            }
        }
        matchers
    }
}

/// Whether an identity is the caller's.
pub(super) fn is_of(identity: &Identity, caller: &Caller<'_>) -> bool {
    ArnPattern::new(&identity.arn).matches(Target::Exact(caller.actor)) == Match::Yes
        && Matcher::new(0, identity).is_of(caller)
}

impl Matcher {
    fn new(agent: usize, identity: &Identity) -> Matcher {
        Matcher {
            agent,
            session: identity.session.as_deref().map(ActionPattern::new),
            accounts: identity.accounts.clone(),
            tag: identity.tag.clone(),
            signs: SignMatcher::new(&identity.signs),
            by_signs: identity.signs != Signs::default(),
            rank: identity.rank(),
        }
    }

    /// By everything but the ARN.
    fn is_of(&self, caller: &Caller<'_>) -> bool {
        self.accepts(caller) && self.takes(caller.session_name) && self.signs.takes(&caller.shown)
    }

    fn takes(&self, session_name: Option<&str>) -> bool {
        self.session
            .as_ref()
            .is_none_or(|pattern| session_name.is_some_and(|name| pattern.matches_exactly(name)))
    }

    /// By everything but the session's name and what its calls show.
    fn accepts(&self, caller: &Caller<'_>) -> bool {
        let own = Arn::parse(caller.actor).map(|arn| arn.account).filter(|account| !account.is_empty());
        let account = own.or(caller.account);
        let has_tag = self.tag.as_ref().is_none_or(|(key, value)| {
            caller.tags.and_then(|tags| tags.get(key)).is_some_and(|known| known == value)
        });
        has_tag
            && (self.accounts.is_empty()
                || account.is_some_and(|account| self.accounts.iter().any(|one| one == account)))
    }
}

/// An agent and one of its identities.
type Claim<'a> = (&'a Agent, &'a Identity);
