//! The order in which AWS weighs the layers
//!
//! Any Deny that matches ends it. Then every organisation level, the endpoint, and one of several ways of being granted
//! must hold; which ways there are hangs on who asks and on whose the resource is ([`Way`]). Three-valued throughout:
//! what is not known leaves an answer unknown where it could turn it, and is never taken for an Allow.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use super::document::Policy;
use super::layers::{Layer, Layers, OnResource, Request};
use super::principal::{Named, Principal};
use super::statement::{Effect, Statement};
use crate::arn::Arn;
use crate::truth::Truth;
use crate::wildcard::Target;

/// AWS's answer, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Granted
    Allowed,
    /// Granted by nothing
    ImplicitlyDenied,
    /// A Deny matches
    ExplicitlyDenied,
    /// What is not known decides
    Unknown,
}

impl Answer {
    /// `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied`, `Unknown`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Allowed => "Allowed",
            Answer::ImplicitlyDenied => "ImplicitlyDenied",
            Answer::ExplicitlyDenied => "ExplicitlyDenied",
            Answer::Unknown => "Unknown",
        }
    }
}

/// A statement that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisive {
    /// `scp`, `rcp`, `boundary`, `session`, `identity`, `resource`, `endpoint`
    pub layer: &'static str,
    /// The policy's name
    pub policy: String,
    /// The statement's `Sid` or place
    pub statement: String,
}

/// An answer with what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// AWS's answer
    pub effect: Answer,
    /// The layers that deny, do not allow, or leave it unknown
    pub blocked_by: Vec<&'static str>,
    /// The statements that decided: every Deny that matches, one Allow for each layer that had to allow, or what
    /// leaves it unknown
    pub decisive: Vec<Decisive>,
    /// What would decide an unknown
    pub missing_keys: Vec<String>,
}

/// Weighs the layers.
#[must_use]
pub fn decide(layers: &Layers<'_>, request: &Request<'_>) -> Decision {
    if let Some(free) = needs_no_permission(request) {
        return free;
    }
    let mut weighing = Weighing::new(*layers, *request);
    for (layer, policies) in layers.lists() {
        if !weighing.applies(layer) {
            continue;
        }
        for policy in policies {
            for statement in &policy.statements {
                weighing.add(Found { layer, policy, statement });
            }
        }
    }
    weighing.decision()
}

/// `sts:GetCallerIdentity` needs no permission and cannot be denied.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
pub(super) fn needs_no_permission(request: &Request<'_>) -> Option<Decision> {
    request.action.eq_ignore_ascii_case("sts:GetCallerIdentity").then(|| Decision {
        effect: Answer::Allowed,
        blocked_by: Vec::new(),
        decisive: Vec::new(),
        missing_keys: Vec::new(),
    })
}

/// A statement in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub layer: Layer,
    pub policy: &'a Policy,
    pub statement: &'a Statement,
}

impl Found<'_> {
    fn decisive(&self) -> Decisive {
        Decisive {
            layer: self.layer.name(),
            policy: self.policy.name.clone(),
            statement: self.statement.label(),
        }
    }
}

/// What was found of one thing that may have to allow.
#[derive(Debug, Clone, Default)]
struct Slot<'a> {
    /// It does not exist, so it stands in nobody's way
    open: bool,
    /// The first Allow that matches
    allow: Option<Found<'a>>,
    /// Allows of which it is not known
    doubtful: Vec<Found<'a>>,
}

const IDENTITY: usize = 0;
const BOUNDARY: usize = 1;
const SESSION: usize = 2;
const ENDPOINT: usize = 3;
/// The resource's policy names who asks directly, by its role, or by its account.
const DIRECTLY: usize = 4;
const BY_ROLE: usize = 5;
const BY_ACCOUNT: usize = 6;
/// From here on the levels of service control policies, then those of resource control policies.
const LEVELS: usize = 7;

/// What must hold for a request to be granted.
enum Way {
    Slot(usize),
    All(&'static [Way]),
    Any(&'static [Way]),
}

const I: Way = Way::Slot(IDENTITY);
const B: Way = Way::Slot(BOUNDARY);
const S: Way = Way::Slot(SESSION);
const D: Way = Way::Slot(DIRECTLY);
const R: Way = Way::Slot(BY_ROLE);
const A: Way = Way::Slot(BY_ACCOUNT);

/// Which way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// The identity's side alone
    Identity,
    /// Within one account either side may grant; what names user or session is limited by nothing else
    SameAccount,
    /// Keys and roles within one account: their own policy must grant, or hand on to the account
    OwnWord,
    /// Both sides must grant
    CrossAccount,
    /// Services, identity providers' subjects and the anonymous hold no policies
    Resource,
}

impl Case {
    fn way(self) -> &'static Way {
        match self {
            Case::Identity => &Way::All(&[I, B, S]),
            Case::SameAccount => &Way::Any(&[D, Way::All(&[Way::Any(&[R, I]), B, S])]),
            Case::OwnWord => &Way::Any(&[D, Way::All(&[R, B, S]), Way::All(&[A, I, B, S])]),
            Case::CrossAccount => &Way::All(&[I, B, S, Way::Any(&[D, R, A])]),
            Case::Resource => &Way::Any(&[D, R, A]),
        }
    }

    fn of(layers: &Layers<'_>, request: &Request<'_>) -> Case {
        if !request.principal.is_none_or(Principal::has_identity) {
            return Case::Resource;
        }
        if matches!(layers.resource, OnResource::LeftAside) {
            return Case::Identity;
        }
        let (own, other) = (request.principal.and_then(Principal::account), request.owner());
        if own.zip(other).is_some_and(|(own, other)| own != other) {
            return Case::CrossAccount;
        }
        if has_own_word(request) { Case::OwnWord } else { Case::SameAccount }
    }
}

/// Keys' policies and roles' trust policies: an identity's policy alone opens neither.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html>
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_compare-resource-policies.html>
fn has_own_word(request: &Request<'_>) -> bool {
    let Target::Exact(arn) = request.resource else { return false };
    let Some((service, action)) = request.action.split_once(':') else { return false };
    let on = |wanted: &str, form: &str| {
        service.eq_ignore_ascii_case(wanted)
            && Arn::parse(arn).is_some_and(|arn| arn.resource.starts_with(form))
    };
    const ASSUMES: [&str; 5] =
        ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "TagSession", "SetSourceIdentity"];
    on("kms", "key/")
        || on("sts", "role/") && ASSUMES.iter().any(|assume| assume.eq_ignore_ascii_case(action))
}

/// One request on its way through the statements.
pub(super) struct Weighing<'a> {
    layers: Layers<'a>,
    request: Request<'a>,
    case: Case,
    /// A boundary is set on who asks
    bounded: bool,
    slots: [Slot<'a>; LEVELS],
    levels: Vec<Slot<'a>>,
    denies: Vec<Found<'a>>,
    doubtful_denies: Vec<Found<'a>>,
}

impl<'a> Weighing<'a> {
    pub fn new(layers: Layers<'a>, request: Request<'a>) -> Weighing<'a> {
        let mut weighing = Weighing {
            layers,
            request,
            case: Case::of(&layers, &request),
            bounded: false,
            slots: Default::default(),
            levels: vec![Slot::default(); layers.scps.len() + layers.rcps.len()],
            denies: Vec::new(),
            doubtful_denies: Vec::new(),
        };
        weighing.bounded = layers.boundary.is_some() && weighing.applies(Layer::Boundary);
        let root = request.principal.is_some_and(Principal::is_root);
        let open = [
            (IDENTITY, root),
            (BOUNDARY, root || layers.boundary.is_none()),
            (SESSION, root || layers.session.is_none()),
            (ENDPOINT, layers.endpoint.is_empty()),
        ];
        for (slot, open) in open {
            weighing.slot(slot, |slot| slot.open = open);
        }
        let scps = weighing.applies(Layer::Scp(0));
        for level in 0..layers.scps.len() {
            weighing.slot(LEVELS + level, |slot| slot.open = !scps);
        }
        let rcps = weighing.applies(Layer::Rcp(0));
        for (level, policies) in layers.rcps.iter().enumerate() {
            let grants = |policy: &Policy| policy.statements.iter().any(|one| one.effect == Effect::Allow);
            let open = !rcps || !policies.iter().any(|policy| grants(policy));
            weighing.slot(LEVELS + layers.scps.len() + level, |slot| slot.open = open);
        }
        weighing
    }

    fn slot(&mut self, index: usize, set: impl FnOnce(&mut Slot<'a>)) {
        let slot = match index.checked_sub(LEVELS) {
            None => self.slots.get_mut(index),
            Some(level) => self.levels.get_mut(level),
        };
        if let Some(slot) = slot {
            set(slot);
        }
    }

    fn at(&self, index: usize) -> Option<&Slot<'a>> {
        match index.checked_sub(LEVELS) {
            None => self.slots.get(index),
            Some(level) => self.levels.get(level),
        }
    }

    /// Whether a layer reaches whoever asks.
    pub fn applies(&self, layer: Layer) -> bool {
        let held = self.request.principal.is_none_or(Principal::has_identity);
        let root = self.request.principal.is_some_and(Principal::is_root);
        let linked = self.request.principal.is_some_and(Principal::is_service_linked);
        match layer {
            Layer::Scp(_) => held && !linked,
            Layer::Rcp(_) => !linked,
            Layer::Identity | Layer::Boundary | Layer::Session => held && !root,
            Layer::Resource | Layer::Endpoint => true,
        }
    }

    /// Weighs one statement of a layer that applies.
    pub fn add(&mut self, found: Found<'a>) {
        let statement = found.statement;
        let allow = statement.effect == Effect::Allow;
        let slot = match found.layer {
            Layer::Identity => IDENTITY,
            Layer::Boundary => BOUNDARY,
            Layer::Session => SESSION,
            Layer::Endpoint => ENDPOINT,
            Layer::Resource => DIRECTLY,
            Layer::Scp(level) => LEVELS + level,
            Layer::Rcp(level) => LEVELS + self.layers.scps.len() + level,
        };
        // One Allow is enough, and the first is told.
        if allow && self.at(slot).is_some_and(|slot| slot.allow.is_some()) {
            return;
        }
        let truth = statement.truth(&self.request);
        if truth == Truth::False {
            return;
        }
        let named = match &statement.principals {
            None => Named::DIRECTLY,
            Some(principals) => {
                principals.name(self.request.principal, self.request.context, self.bounded && !allow)
            }
        };
        if !allow {
            match truth.and(named.any()) {
                Truth::True => self.denies.push(found),
                Truth::Unknown => self.doubtful_denies.push(found),
                Truth::False => {}
            }
        } else if found.layer == Layer::Resource {
            self.allow(DIRECTLY, truth.and(named.directly), found);
            self.allow(BY_ROLE, truth.and(named.role), found);
            self.allow(BY_ACCOUNT, truth.and(named.account), found);
        } else {
            self.allow(slot, truth.and(named.any()), found);
        }
    }

    fn allow(&mut self, slot: usize, truth: Truth, found: Found<'a>) {
        self.slot(slot, |slot| match truth {
            Truth::True if slot.allow.is_none() => slot.allow = Some(found),
            Truth::Unknown => slot.doubtful.push(found),
            _ => {}
        });
    }

    /// The answer, once every statement was added.
    pub fn decision(self) -> Decision {
        if !self.denies.is_empty() {
            return self.told(Answer::ExplicitlyDenied, &self.denies, &[]);
        }
        let way = self.case.way();
        let gates = (ENDPOINT..DIRECTLY).chain(LEVELS..LEVELS + self.levels.len());
        let granted = gates.clone().fold(self.truth(way), |all, gate| all.and(self.slot_truth(gate)));
        if granted == Truth::False {
            let mut blamed = self.blamed();
            blamed.extend(
                gates.filter(|gate| self.slot_truth(*gate) == Truth::False).map(|gate| self.name(gate)),
            );
            if self.layers.unjudged.is_empty() {
                return self.told(Answer::ImplicitlyDenied, &[], &blamed);
            }
            // A layer that is not judged may add an Allow (a resource's policy), so a lack of one is no answer either.
            blamed.extend(self.layers.unjudged);
            return self.told(Answer::Unknown, &[], &blamed);
        }
        let known =
            granted == Truth::True && self.doubtful_denies.is_empty() && self.layers.unjudged.is_empty();
        let wanted = if known { Truth::True } else { Truth::Unknown };
        let mut found: Vec<Found<'a>> = Vec::with_capacity(4);
        for gate in gates.filter(|gate| self.slot_truth(*gate) == wanted) {
            self.say(gate, known, &mut found);
        }
        self.collect(way, wanted, &mut |slot| self.say(slot, known, &mut found));
        if known {
            return self.told(Answer::Allowed, &found, &[]);
        }
        found.extend(&self.doubtful_denies);
        self.told(Answer::Unknown, &found, self.layers.unjudged)
    }

    fn told(&self, effect: Answer, found: &[Found<'a>], blamed: &[&'static str]) -> Decision {
        let mut decision =
            Decision { effect, blocked_by: blamed.to_vec(), decisive: Vec::new(), missing_keys: Vec::new() };
        for one in found {
            let decisive = one.decisive();
            if !decision.decisive.contains(&decisive) {
                decision.decisive.push(decisive);
            }
            if effect != Answer::Allowed {
                decision.blocked_by.push(one.layer.name());
            }
            if effect == Answer::Unknown {
                decision.missing_keys.extend(one.statement.undecided(&self.request));
                let principals = one.statement.principals.as_ref();
                decision
                    .missing_keys
                    .extend(principals.into_iter().flat_map(|p| p.undecided(self.request.context)));
            }
        }
        decision.blocked_by.sort_unstable();
        decision.blocked_by.dedup();
        decision.missing_keys.sort_unstable();
        decision.missing_keys.dedup();
        decision
    }

    fn slot_truth(&self, index: usize) -> Truth {
        match self.at(index) {
            Some(slot) if slot.open || slot.allow.is_some() => Truth::True,
            Some(slot) if !slot.doubtful.is_empty() => Truth::Unknown,
            _ => Truth::False,
        }
    }

    fn truth(&self, way: &Way) -> Truth {
        match way {
            Way::Slot(slot) => self.slot_truth(*slot),
            Way::All(ways) => ways.iter().fold(Truth::True, |all, way| all.and(self.truth(way))),
            Way::Any(ways) => ways.iter().fold(Truth::False, |any, way| any.or(self.truth(way))),
        }
    }

    /// The slots on which a truth rests: what is unknown beside what is false could turn nothing, and is left out.
    fn collect(&self, way: &Way, wanted: Truth, say: &mut impl FnMut(usize)) {
        match way {
            Way::Slot(slot) if self.slot_truth(*slot) == wanted => say(*slot),
            Way::Slot(_) => {}
            Way::All(ways) | Way::Any(ways) => {
                for way in ways.iter().filter(|way| self.truth(way) == wanted) {
                    self.collect(way, wanted, say);
                }
            }
        }
    }

    /// Adds what a slot holds: its Allow, or its doubts.
    fn say(&self, slot: usize, known: bool, found: &mut Vec<Found<'a>>) {
        let Some(slot) = self.at(slot) else { return };
        if known {
            found.extend(slot.allow);
        } else {
            found.extend(&slot.doubtful);
        }
    }

    /// What stands in the way of the way in: the side that is missing, else what limits it.
    fn blamed(&self) -> Vec<&'static str> {
        let lacks = |slot: usize| self.slot_truth(slot) == Truth::False;
        let unnamed = [DIRECTLY, BY_ROLE, BY_ACCOUNT].into_iter().all(lacks);
        let identity = match self.case {
            Case::Identity | Case::CrossAccount => lacks(IDENTITY),
            Case::SameAccount => lacks(IDENTITY) && lacks(BY_ROLE),
            Case::OwnWord => lacks(IDENTITY) && lacks(BY_ROLE) && !lacks(BY_ACCOUNT),
            Case::Resource => return if unnamed { vec!["resource"] } else { Vec::new() },
        };
        let resource = matches!(self.case, Case::OwnWord | Case::CrossAccount) && unnamed;
        let missing = [
            (resource, "resource"),
            (identity, "identity"),
            (lacks(BOUNDARY), "boundary"),
            (lacks(SESSION), "session"),
        ];
        // A way that is open is not to blame: another gate closed it.
        if self.truth(self.case.way()) != Truth::False {
            return Vec::new();
        }
        missing.into_iter().filter(|(lacking, _)| *lacking).map(|(_, name)| name).collect()
    }

    fn name(&self, slot: usize) -> &'static str {
        match slot {
            ENDPOINT => "endpoint",
            slot if slot < LEVELS + self.layers.scps.len() => "scp",
            _ => "rcp",
        }
    }
}
