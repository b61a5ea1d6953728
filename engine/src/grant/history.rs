//! The accounts as they were first told of, and every change since

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use compact_str::CompactString;
use foldhash::HashMap;
use policy::arn::Arn;
use policy::aws::Policy;

use super::Touch;
use super::account::{ManagedPolicy, Principal, PrincipalKind, PrincipalName, Written};
use super::change::{Change, PolicyChange};
use super::holder::Holder;
use crate::permission::percent_decoded;

/// Moments at which what one identity holds may differ; later ones are not told apart any more, and then it is unknown.
const MOMENTS_MAX: usize = 10_000;

/// Everything that is known, and when it changed.
#[derive(Debug, Default)]
pub(super) struct History {
    principals: BTreeMap<PrincipalName, Principal>,
    managed: BTreeMap<String, ManagedPolicy>,
    /// Of policies that were given by themselves, for the identity of that name in any account
    named: BTreeMap<String, Principal>,
    /// Each list is in order
    changes: HashMap<Subject, Vec<PolicyChange>>,
    sessions: HashMap<CompactString, Begun>,
    /// Each text once, since most documents are written again and again; with why it is no policy, once that was asked
    documents: HashMap<Arc<str>, OnceLock<Option<String>>>,
    /// Who ever held a managed policy, as told or by a change; by ARN
    ever_held: HashMap<String, BTreeSet<PrincipalName>>,
    /// Which users were ever in a group
    ever_members: HashMap<PrincipalName, BTreeSet<PrincipalName>>,
}

/// What is known of a session.
#[derive(Debug)]
struct Begun {
    /// When it became known, by the clock: history that is read late is as fresh as any
    learned: i64,
    /// The earliest of what tells of its beginning, which several accounts' logs may
    first: PolicyChange,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Principal(PrincipalName),
    Policy(String),
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

    /// Takes a change in, at `now` by the clock, and gives it as it is kept; `None` where it is known already, or counts for
    /// nothing beside what is.
    pub(super) fn add(&mut self, change: &PolicyChange, now: i64) -> Option<PolicyChange> {
        let kept = self.sharing_documents(change);
        let subject = match &*change.what {
            Change::Version { policy, .. }
            | Change::Default { policy, .. }
            | Change::DeletePolicy { policy } => Subject::Policy(policy.clone()),
            Change::Session { session, .. } => return self.begin(session, &kept, now).then_some(kept),
            what => Subject::Principal(what.holder()?.clone()),
        };
        let changes = self.changes.entry(subject).or_default();
        // Most come in order: last.
        let Err(place) = changes.binary_search_by(|one| one.moment().cmp(&change.moment())) else {
            return None;
        };
        changes.insert(place, kept.clone());
        self.relate(&change.what);
        Some(kept)
    }

    fn begin(&mut self, session: &CompactString, change: &PolicyChange, now: i64) -> bool {
        match self.sessions.entry(session.clone()) {
            Entry::Vacant(place) => {
                place.insert(Begun { learned: now, first: change.clone() });
                true
            }
            Entry::Occupied(known) => {
                let begun = known.into_mut();
                begun.learned = now;
                let is_earlier = change.moment() < begun.first.moment();
                if is_earlier {
                    begun.first = change.clone();
                }
                is_earlier
            }
        }
    }

    /// The change with each of its documents as it is kept already, or from now on.
    fn sharing_documents(&mut self, change: &PolicyChange) -> PolicyChange {
        let mut kept = change.clone();
        let known = |document: &Arc<str>| Some(Arc::clone(self.documents.get_key_value(document)?.0));
        if change.what.documents().any(|document| known(document).is_some()) {
            for document in Arc::make_mut(&mut kept.what).documents_mut() {
                *document = known(document).unwrap_or_else(|| Arc::clone(document));
            }
        }
        for document in kept.what.documents() {
            self.documents.entry(Arc::clone(document)).or_default();
        }
        kept
    }

    /// Why a policy that was written cannot be read.
    pub(super) fn fault(&self, policy: &str, document: Option<&str>) -> Option<String> {
        let look = || read_logged(policy, document).err();
        match document.and_then(|document| self.documents.get(document)) {
            Some(known) => known.get_or_init(look).clone(),
            None => look(),
        }
    }

    /// Remembers who holds a policy or is in a group by this change.
    fn relate(&mut self, change: &Change) {
        match change {
            Change::Create { holder, boundary: Some(policy), .. }
            | Change::Attach { holder, policy }
            | Change::Bound { holder, policy: Some(policy) } => {
                self.ever_held.entry(policy.clone()).or_default().insert(holder.clone());
            }
            Change::Join { user, group } => {
                self.ever_members.entry(group_of(user, group)).or_default().insert(user.clone());
            }
            _ => {}
        }
    }

    /// Takes in who holds what by what was told. To be called once all is told.
    pub(super) fn relate_told(&mut self) {
        for (name, told) in &self.principals {
            for policy in told.attached.iter().chain(&told.boundary) {
                self.ever_held.entry(policy.clone()).or_default().insert(name.clone());
            }
            for group in &told.groups {
                self.ever_members.entry(group_of(name, group)).or_default().insert(name.clone());
            }
        }
    }

    /// Whose grants changes touch, each once, sorted.
    pub(super) fn touched<'a>(&self, changes: impl Iterator<Item = &'a PolicyChange>) -> Vec<Touch> {
        let mut touched = Vec::new();
        changes.for_each(|change| self.touch(change, &mut touched));
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    fn touch(&self, change: &PolicyChange, touched: &mut Vec<Touch>) {
        let holders: Vec<&PrincipalName> = match &*change.what {
            Change::Session { session, .. } => {
                return touched.push(Touch { principal: Touch::session_of(session), from: change.time });
            }
            Change::Version { policy, .. }
            | Change::Default { policy, .. }
            | Change::DeletePolicy { policy } => self.ever_held.get(policy).into_iter().flatten().collect(),
            what => what.holder().into_iter().collect(),
        };
        let touch = |name: &PrincipalName| Touch { principal: name.to_string(), from: change.time };
        for holder in holders {
            match holder.kind {
                PrincipalKind::Group => {
                    touched.extend(self.ever_members.get(holder).into_iter().flatten().map(touch));
                }
                PrincipalKind::Role | PrincipalKind::User => touched.push(touch(holder)),
            }
        }
    }

    fn principals(&self) -> BTreeSet<PrincipalName> {
        let changed = self.changes.keys().filter_map(|subject| match subject {
            Subject::Principal(name) => Some(name.clone()),
            Subject::Policy(_) => None,
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
            changes.iter().rev().find_map(|change| match &*change.what {
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
        let name = PrincipalName::of(identity);
        let own = match &name {
            Some(name) => self.states(name),
            None => self.named.get(identity).map(|alone| (i64::MIN, alone.clone())).into_iter().collect(),
        };
        let mut moments: BTreeSet<i64> = own.iter().map(|(from, _)| *from).collect();
        let mut around = Around::default();
        for group in own.iter().flat_map(|(_, state)| &state.groups) {
            around.groups.entry(group).or_insert_with(|| {
                name.as_ref().map(|name| self.states(&group_of(name, group))).unwrap_or_default()
            });
        }
        moments.extend(around.groups.values().flatten().map(|(from, _)| *from));
        let groups = around.groups.values().flatten().map(|(_, group)| group);
        let policies: BTreeSet<&str> = own
            .iter()
            .map(|(_, state)| state)
            .chain(groups)
            .flat_map(|state| state.attached.iter().chain(&state.boundary))
            .map(String::as_str)
            .collect();
        for policy in policies {
            let documents = self.documents(policy);
            moments.extend(documents.iter().map(|(from, _)| *from));
            around.policies.insert(policy.to_owned(), documents);
        }
        let mut holders: Dated<Holder> = Vec::new();
        for from in moments {
            let Some(state) = at(&own, from) else { continue };
            if holders.len() >= MOMENTS_MAX {
                let holder = Holder::unknown(format!("it changed more than {MOMENTS_MAX} times"));
                holders.push((from, holder));
                break;
            }
            holders.push((from, around.holder(identity, state, from)));
        }
        holders
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
        for PolicyChange { time, what, .. } in changes.into_iter().flatten() {
            let mut next =
                state.take().unwrap_or_else(|| Principal { is_partial: true, ..Principal::default() });
            next.apply(what);
            match states.last_mut() {
                Some((from, last)) if from == time => *last = next.clone(),
                _ => states.push((*time, next.clone())),
            }
            state = Some(next);
        }
        states
    }

    /// A managed policy's document that counts from each moment on; empty where nothing is known of it.
    fn documents(&self, arn: &str) -> Dated<Written> {
        let told = self.managed.get(arn).cloned();
        let mut documents: Dated<Written> = Vec::new();
        documents.extend(told.as_ref().map(|policy| (i64::MIN, policy.document())));
        let mut policy = told.unwrap_or_default();
        let changes = self.changes.get(&Subject::Policy(arn.to_owned())).into_iter().flatten();
        for PolicyChange { time, what, .. } in changes {
            policy.apply(arn, what);
            match documents.last_mut() {
                Some((from, last)) if from == time => *last = policy.document(),
                _ => documents.push((*time, policy.document())),
            }
        }
        documents
    }

    pub(super) fn forget_sessions(&mut self, before: i64) {
        self.sessions.retain(|_, begun| begun.learned >= before);
        self.documents.retain(|document, _| Arc::strong_count(document) > 1);
    }

    #[cfg(test)]
    pub(super) fn documents_len(&self) -> usize {
        self.documents.len()
    }

    /// What narrows a session, if something does.
    pub(super) fn session(&self, session: &str) -> Option<Session> {
        let PolicyChange { time: from, what, .. } = &self.sessions.get(session)?.first;
        let Change::Session { documents, policies, tags, .. } = &**what else { return None };
        let mut narrowed = Session { tags: tags.to_map(), ..Session::default() };
        for (at, document) in documents.iter().enumerate() {
            let name = format!("session policy {at}");
            match document.as_ref().map(|document| read(&name, document)) {
                Some(Ok(policy)) => narrowed.policies.push(policy),
                _ => narrowed.unread.push(name),
            }
        }
        for arn in policies {
            match at(&self.documents(arn), *from) {
                Some(Ok(policy)) => narrowed.policies.push(policy.clone()),
                _ => narrowed.unread.push(arn.clone()),
            }
        }
        Some(narrowed)
    }
}

/// The groups and managed policies that an identity ever held, with what they were like from each moment on.
#[derive(Default)]
struct Around<'a> {
    groups: BTreeMap<&'a str, Dated<Principal>>,
    policies: BTreeMap<String, Dated<Written>>,
}

impl Around<'_> {
    fn document(&self, arn: &str, when: i64) -> Option<&Written> {
        at(self.policies.get(arn)?, when)
    }

    fn holder(&self, identity: &str, state: &Principal, when: i64) -> Holder {
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
            match self.groups.get(group.as_str()).and_then(|states| at(states, when)) {
                Some(group) => self.hold(&mut holder, group, when),
                None => holder.unread.push(format!("group {group}")),
            }
        }
        let unknown = Err("is not known".to_owned());
        let boundary =
            state.boundary.as_ref().map(|arn| (&**arn, self.document(arn, when).unwrap_or(&unknown)));
        match boundary.or(state.plain_boundary.as_ref().map(|policy| ("boundary", policy))) {
            Some((_, Ok(policy))) => holder.boundary = Some(vec![policy.clone()]),
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
            match self.document(arn, when) {
                Some(Ok(policy)) => holder.policies.push(policy.clone()),
                _ => holder.unread.push(arn.clone()),
            }
        }
    }
}

/// What an AssumeRole gave its session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Its policies; empty: nothing narrows it
    pub(super) policies: Vec<Arc<Policy>>,
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
    Policy::parse(name, text).map(Arc::new).map_err(|error| format!("{}: {}", error.place, error.reason))
}

fn read_logged(name: &str, document: Option<&str>) -> Written {
    document.map_or_else(|| Err("the log leaves the document out".into()), |document| read(name, document))
}

impl Principal {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { arn, boundary, tags, .. } => {
                *self = Principal {
                    arn: arn.clone().or_else(|| self.arn.take()),
                    boundary: boundary.clone(),
                    tags: Some(tags.to_map()),
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
                    known.extend(tags.to_map());
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
