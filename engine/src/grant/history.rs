//! The accounts as they were first told of, and every change since

use std::collections::{BTreeMap, BTreeSet, HashMap};

use policy::arn::Arn;
use policy::aws::Policy;

use super::Touch;
use super::account::{ManagedPolicy, Principal, PrincipalKind, PrincipalName, Written};
use super::change::{Change, PolicyChange};
use super::holder::Holder;
use crate::permission::percent_decoded;
use crate::time::now;

/// Moments at which what one identity holds may differ; later ones are not told apart any more, and then it is unknown.
const MOMENTS_MAX: usize = 10_000;

/// When a change holds: event time, then the event's id.
type Moment = (i64, String);

/// Everything that is known, and when it changed.
#[derive(Debug, Default)]
pub(super) struct History {
    principals: BTreeMap<PrincipalName, Principal>,
    managed: BTreeMap<String, ManagedPolicy>,
    /// Of policies that were given by themselves, for the identity of that name in any account
    named: BTreeMap<String, Principal>,
    changes: HashMap<Subject, BTreeMap<Moment, Change>>,
    /// When each session became known, by the clock: history that is read late is as fresh as any
    session_learned: HashMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Principal(PrincipalName),
    Policy(String),
    Session(String),
}

/// What one thing was like from each moment on; the first entry speaks for all time before.
type Dated<T> = Vec<(i64, T)>;

impl History {
    pub(super) fn principal(&mut self, name: PrincipalName) -> &mut Principal {
        self.principals.entry(name).or_default()
    }

    pub(super) fn managed(&mut self, arn: &str) -> &mut ManagedPolicy {
        self.managed.entry(arn.to_owned()).or_default()
    }

    pub(super) fn has_managed(&self, arn: &str) -> bool {
        self.managed.contains_key(arn)
    }

    pub(super) fn has_principal(&self, name: &PrincipalName) -> bool {
        self.principals.contains_key(name)
    }

    pub(super) fn named(&mut self, name: &str) -> &mut Principal {
        self.named.entry(name.to_owned()).or_default()
    }

    /// Takes a change in; false where it is known already.
    pub(super) fn add(&mut self, change: &PolicyChange) -> bool {
        let subject = match &change.what {
            Change::Version { policy, .. }
            | Change::Default { policy, .. }
            | Change::DeletePolicy { policy } => Subject::Policy(policy.clone()),
            Change::Session { session, .. } => {
                self.session_learned.insert(session.clone(), now());
                Subject::Session(session.clone())
            }
            what => {
                let Some(holder) = what.holder() else { return false };
                Subject::Principal(holder.clone())
            }
        };
        let moment = (change.time, change.event_id.clone());
        self.changes.entry(subject).or_default().insert(moment, change.what.clone()).is_none()
    }

    /// Whose grants changes touch, each once, sorted.
    pub(super) fn touched(&self, changes: &[PolicyChange]) -> Vec<Touch> {
        let touched: BTreeSet<Touch> = changes.iter().flat_map(|change| self.touched_by(change)).collect();
        touched.into_iter().collect()
    }

    fn touched_by(&self, change: &PolicyChange) -> Vec<Touch> {
        let holders: Vec<PrincipalName> = match &change.what {
            Change::Session { session, .. } => {
                return vec![Touch { principal: Touch::session_of(session), from: change.time }];
            }
            Change::Version { policy, .. }
            | Change::Default { policy, .. }
            | Change::DeletePolicy { policy } => self
                .principals()
                .into_iter()
                .filter(|name| {
                    self.states(name).iter().any(|(_, state)| {
                        state.attached.contains(policy) || state.boundary.as_ref() == Some(policy)
                    })
                })
                .collect(),
            what => what.holder().into_iter().cloned().collect(),
        };
        let mut touched: BTreeSet<String> = BTreeSet::new();
        for holder in holders {
            if holder.kind != PrincipalKind::Group {
                touched.insert(holder.to_string());
                continue;
            }
            let is_member = |user: &PrincipalName| {
                user.kind == PrincipalKind::User
                    && user.account == holder.account
                    && self.states(user).iter().any(|(_, state)| state.groups.contains(&holder.name))
            };
            touched.extend(self.principals().into_iter().filter(is_member).map(|user| user.to_string()));
        }
        touched.into_iter().map(|principal| Touch { principal, from: change.time }).collect()
    }

    fn principals(&self) -> BTreeSet<PrincipalName> {
        let changed = self.changes.keys().filter_map(|subject| match subject {
            Subject::Principal(name) => Some(name.clone()),
            _ => None,
        });
        self.principals.keys().cloned().chain(changed).collect()
    }

    /// Roles and users that are known by ARN, and names that are known alone, sorted.
    pub(super) fn identities(&self) -> Vec<String> {
        let mut all: BTreeSet<String> = self.named.keys().cloned().collect();
        for name in self.principals().iter().filter(|name| name.kind != PrincipalKind::Group) {
            all.insert(self.arn_of(name));
        }
        all.into_iter().collect()
    }

    /// The ARN of a role, user, group or managed policy by its name, as far as exports and the log tell it.
    pub(super) fn arn(&self, account: &str, kind: &str, name: &str) -> Option<String> {
        let kind = match kind {
            "role" => PrincipalKind::Role,
            "user" => PrincipalKind::User,
            "group" => PrincipalKind::Group,
            "policy" => {
                let mut known = self.managed.keys().filter(|arn| {
                    Arn::parse(arn).is_some_and(|arn| arn.account == account && arn.name() == name)
                });
                return known.next().cloned();
            }
            _ => return None,
        };
        let name = PrincipalName { account: account.to_owned(), kind, name: name.to_owned() };
        self.principals.get(&name)?.arn.clone()
    }

    fn arn_of(&self, name: &PrincipalName) -> String {
        let created = self.changes.get(&Subject::Principal(name.clone())).and_then(|changes| {
            changes.values().rev().find_map(|change| match change {
                Change::Create { arn, .. } => arn.clone(),
                _ => None,
            })
        });
        let told = self.principals.get(name).and_then(|principal| principal.arn.clone());
        told.or(created).unwrap_or_else(|| {
            let kind = if name.kind == PrincipalKind::User { "user" } else { "role" };
            format!("arn:aws:iam::{}:{kind}/{}", name.account, name.name)
        })
    }

    /// What an identity (an ARN, or a name that is known alone) holds from each moment on. Empty: nothing is known.
    pub(super) fn holders(&self, identity: &str) -> Dated<Holder> {
        let Some(name) = PrincipalName::of(identity) else {
            let Some(alone) = self.named.get(identity) else { return Vec::new() };
            return vec![(i64::MIN, self.holder(None, identity, alone, i64::MIN))];
        };
        let own = self.states(&name);
        let mut moments: BTreeSet<i64> = own.iter().map(|(from, _)| *from).collect();
        let mut groups: BTreeSet<&str> = BTreeSet::new();
        let mut policies: BTreeSet<&str> = BTreeSet::new();
        for (_, state) in &own {
            groups.extend(state.groups.iter().map(String::as_str));
            policies.extend(state.attached.iter().chain(&state.boundary).map(String::as_str));
        }
        let groups: Vec<Dated<Principal>> =
            groups.iter().map(|group| self.states(&group_of(&name, group))).collect();
        for (from, state) in groups.iter().flatten() {
            moments.insert(*from);
            policies.extend(state.attached.iter().map(String::as_str));
        }
        for policy in policies {
            moments.extend(self.moments(&Subject::Policy(policy.to_owned())));
        }
        let mut holders: Dated<Holder> = Vec::new();
        for from in moments {
            let Some(state) = at(&own, from) else { continue };
            let mut holder = self.holder(Some(&name), identity, state, from);
            if holders.len() >= MOMENTS_MAX {
                holder = Holder::unknown(format!("it changed more than {MOMENTS_MAX} times"));
                holders.push((from, holder));
                break;
            }
            holders.push((from, holder));
        }
        holders
    }

    fn moments(&self, subject: &Subject) -> impl Iterator<Item = i64> + '_ {
        self.changes.get(subject).into_iter().flat_map(|changes| changes.keys().map(|(time, _)| *time))
    }

    /// A role, user or group from each moment on; empty where nothing is known of it.
    fn states(&self, name: &PrincipalName) -> Dated<Principal> {
        let alone = (name.kind != PrincipalKind::Group).then(|| self.named.get(&name.name)).flatten();
        let mut state = match (self.principals.get(name), alone) {
            (Some(told), None) => Some(told.clone()),
            (None, Some(alone)) => Some(alone.clone()),
            (None, None) => None,
            // Both may tell of one identity: what it holds is the sum.
            (Some(told), Some(alone)) => {
                let mut sum = told.clone();
                sum.inline.extend(alone.inline.iter().map(|(name, policy)| (name.clone(), policy.clone())));
                sum.plain_boundary = sum.plain_boundary.or_else(|| alone.plain_boundary.clone());
                Some(sum)
            }
        };
        let mut states: Dated<Principal> = Vec::new();
        states.extend(state.clone().map(|state| (i64::MIN, state)));
        let changes = self.changes.get(&Subject::Principal(name.clone()));
        for ((time, _), change) in changes.into_iter().flatten() {
            let mut next =
                state.take().unwrap_or_else(|| Principal { is_partial: true, ..Principal::default() });
            next.apply(change);
            match states.last_mut() {
                Some((from, last)) if from == time => *last = next.clone(),
                _ => states.push((*time, next.clone())),
            }
            state = Some(next);
        }
        states
    }

    fn policy(&self, arn: &str, when: i64) -> Option<Written> {
        let mut state = self.managed.get(arn).cloned();
        let changes = self.changes.get(&Subject::Policy(arn.to_owned()));
        for ((time, _), change) in changes.into_iter().flatten() {
            if *time > when {
                break;
            }
            state.get_or_insert_default().apply(arn, change);
        }
        state.map(|state| state.document())
    }

    fn holder(&self, name: Option<&PrincipalName>, identity: &str, state: &Principal, when: i64) -> Holder {
        let mut holder = Holder { tags: state.tags.clone(), ..Holder::default() };
        if state.is_gone {
            holder.unread.push(format!("{identity} was deleted"));
            return holder;
        }
        if state.is_partial {
            holder.unread.push("policies from before the first change that was seen".into());
        }
        self.hold(&mut holder, state, when);
        for group in &state.groups {
            let states = name.map(|name| self.states(&group_of(name, group))).unwrap_or_default();
            match at(&states, when) {
                Some(group) => self.hold(&mut holder, group, when),
                None => holder.unread.push(format!("group {group}")),
            }
        }
        let boundary = state.boundary.as_ref().map(|arn| (arn.as_str(), self.policy(arn, when)));
        let boundary =
            boundary.map(|(arn, policy)| (arn, policy.unwrap_or_else(|| Err("is not known".into()))));
        let plain = state.plain_boundary.clone().map(|policy| ("boundary", policy));
        match boundary.or(plain) {
            Some((_, Ok(policy))) => holder.boundary = Some(vec![policy]),
            Some((arn, Err(_))) => holder.unread.push(arn.to_owned()),
            None => {}
        }
        holder
    }

    /// Inline and attached policies.
    fn hold(&self, holder: &mut Holder, state: &Principal, when: i64) {
        for (name, policy) in &state.inline {
            match policy {
                Ok(policy) => holder.policies.push(policy.clone()),
                Err(_) => holder.unread.push(name.clone()),
            }
        }
        for arn in &state.attached {
            holder.attached.insert(arn.clone());
            match self.policy(arn, when) {
                Some(Ok(policy)) => holder.policies.push(policy),
                _ => holder.unread.push(arn.clone()),
            }
        }
    }

    pub(super) fn forget_sessions(&mut self, before: i64) {
        let learned = &mut self.session_learned;
        learned.retain(|_, at| *at >= before);
        self.changes.retain(|subject, _| match subject {
            Subject::Session(session) => learned.contains_key(session),
            Subject::Principal(_) | Subject::Policy(_) => true,
        });
    }

    /// What narrows a session, if something does.
    pub(super) fn session(&self, session: &str) -> Option<Session> {
        let changes = self.changes.get(&Subject::Session(session.to_owned()))?;
        let ((from, _), Change::Session { documents, policies, tags, .. }) = changes.first_key_value()?
        else {
            return None;
        };
        let mut narrowed = Session { tags: tags.clone(), ..Session::default() };
        for (at, document) in documents.iter().enumerate() {
            let name = format!("session policy {at}");
            match document.as_ref().map(|document| read(&name, document)) {
                Some(Ok(policy)) => narrowed.policies.push(policy),
                _ => narrowed.unread.push(name),
            }
        }
        for arn in policies {
            match self.policy(arn, *from) {
                Some(Ok(policy)) => narrowed.policies.push(policy),
                _ => narrowed.unread.push(arn.clone()),
            }
        }
        Some(narrowed)
    }
}

/// What an AssumeRole gave its session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Its policies; empty: nothing narrows it
    pub(super) policies: Vec<std::sync::Arc<Policy>>,
    /// Its policies that cannot be read
    pub(super) unread: Vec<String>,
    /// Its tags
    pub tags: BTreeMap<String, String>,
}

fn group_of(user: &PrincipalName, group: &str) -> PrincipalName {
    PrincipalName { account: user.account.clone(), kind: PrincipalKind::Group, name: group.to_owned() }
}

/// The entry that holds at a moment.
fn at<T>(dated: &[(i64, T)], when: i64) -> Option<&T> {
    let after = dated.partition_point(|(from, _)| *from <= when);
    after.checked_sub(1).and_then(|at| dated.get(at)).map(|(_, state)| state)
}

fn read(name: &str, document: &str) -> Written {
    let text = document.trim_start();
    let decoded;
    let text = if text.starts_with('{') {
        text
    } else {
        decoded = percent_decoded(text);
        &decoded
    };
    Policy::parse(name, text)
        .map(std::sync::Arc::new)
        .map_err(|error| format!("{}: {}", error.place, error.reason))
}

pub(super) fn read_logged(name: &str, document: Option<&str>) -> Written {
    document.map_or_else(|| Err("the log leaves the document out".into()), |document| read(name, document))
}

impl Principal {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { arn, boundary, tags, .. } => {
                *self = Principal {
                    arn: arn.clone().or_else(|| self.arn.take()),
                    boundary: boundary.clone(),
                    tags: Some(tags.clone()),
                    ..Principal::default()
                };
            }
            Change::Delete { .. } => {
                *self = Principal { arn: self.arn.take(), is_gone: true, ..Principal::default() };
            }
            Change::Put { policy, document, .. } => {
                self.inline.insert(policy.clone(), read_logged(policy, document.as_deref()));
            }
            Change::Remove { policy, .. } => {
                self.inline.remove(policy);
            }
            Change::Attach { policy, .. } => {
                self.attached.insert(policy.clone());
            }
            Change::Detach { policy, .. } => {
                // A document that was given by itself bears the policy's name.
                let name = policy.rsplit('/').next().unwrap_or(policy);
                if !self.attached.remove(policy) {
                    self.inline.remove(name);
                }
            }
            Change::Bound { policy, .. } => {
                self.boundary = policy.clone();
                self.plain_boundary = None;
            }
            Change::Join { group, .. } => {
                self.groups.insert(group.clone());
            }
            Change::Leave { group, .. } => {
                self.groups.remove(group);
            }
            Change::Tag { tags, .. } => {
                // What was there before is known only where it was told.
                if let Some(known) = &mut self.tags {
                    known.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
            }
            Change::Untag { keys, .. } => {
                if let Some(known) = &mut self.tags {
                    known.retain(|key, _| !keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
                }
            }
            Change::Version { .. }
            | Change::Default { .. }
            | Change::DeletePolicy { .. }
            | Change::Session { .. } => {}
        }
    }
}

impl ManagedPolicy {
    fn apply(&mut self, arn: &str, change: &Change) {
        match change {
            Change::Version { version, document, is_default, .. } => {
                self.is_gone = false;
                self.versions.insert(version.clone(), read_logged(arn, document.as_deref()));
                if *is_default {
                    self.default = Some(version.clone());
                }
            }
            Change::Default { version, .. } => self.default = Some(version.clone()),
            Change::DeletePolicy { .. } => self.is_gone = true,
            _ => {}
        }
    }
}
