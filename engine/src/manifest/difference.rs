//! What a change of manifests widens, and what it narrows
//!
//! Entries are not compared as text: every permission on every resource pattern that either side allows is asked of both.
//! So a rewritten entry that means the same is no change, and a new `deny` is seen for what it takes away.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Agent;
use super::history::Snapshot;
use super::outline::Outline;
use crate::permission::{self, AccessLevel};
use crate::scope::{Entry, Reach, Scope, Span};

/// Permissions on resources that are compared for one agent on each side; of what is over it only the permissions are.
const SPANS_MAX: usize = 50_000;

/// What became of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is new
    Added,
    /// It is gone
    Removed,
    /// It is another
    Changed,
}

/// One agent's changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentChange {
    /// Its name
    pub agent: String,
    /// The manifest's place, on the side that has it last
    pub manifest: String,
    /// Added, removed or changed
    pub fate: Fate,
    /// What it may do now and might not before
    pub widened: Vec<Change>,
    /// What it might do and may not any more
    pub narrowed: Vec<Change>,
    /// What is neither
    pub other: Vec<Change>,
    /// Not every resource was compared: the manifest allows too many combinations
    pub is_partial: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// Permissions that one side declares and the other does not, on any resource
    Permissions {
        /// Sorted, what destroys or changes first
        permissions: Vec<&'static str>,
    },
    /// Permissions on resources
    Resources {
        /// Sorted, what destroys or changes first
        permissions: Vec<&'static str>,
        /// Resource patterns
        resources: Vec<String>,
        /// The entries that allow them
        places: Vec<String>,
    },
    /// An entry that cannot be asked permission by permission: one about another cloud
    Entry {
        /// `allow`, `deny` or `approval`
        kind: &'static str,
        /// Its words
        entry: String,
        /// Where it stands
        place: String,
    },
    /// An entry that holds under other circumstances than before
    Condition {
        /// Its words
        entry: String,
        /// Where it stands
        place: String,
        /// What it hangs on
        keys: Vec<String>,
    },
    /// A key of the manifest
    Key {
        /// `bounds.regions`
        key: String,
        /// Values that are gone
        before: Vec<String>,
        /// Values that are new
        after: Vec<String>,
    },
}

/// Holds two states of a folder against each other. Agents that mean the same on both sides are not listed.
#[must_use]
pub fn difference(before: &Snapshot, after: &Snapshot) -> Vec<AgentChange> {
    let agents = |side: &'_ Snapshot| -> BTreeMap<String, std::sync::Arc<Agent>> {
        side.manifests.agents.iter().map(|agent| (agent.name.clone(), agent.clone())).collect()
    };
    let (old, new) = (agents(before), agents(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let nothing = Scope::default();
    let blank = Outline::new();
    let mut changes = Vec::new();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        let Some(place) = is.or(was) else { continue };
        let fate = match (was, is) {
            (None, _) => Fate::Added,
            (_, None) => Fate::Removed,
            _ => Fate::Changed,
        };
        let mut change = AgentChange {
            agent: name.clone(),
            manifest: format!("{}:{}", place.file, place.line),
            fate,
            widened: Vec::new(),
            narrowed: Vec::new(),
            other: Vec::new(),
            is_partial: false,
        };
        let scope = |agent: Option<&'_ std::sync::Arc<Agent>>| agent.cloned();
        let (was_agent, is_agent) = (scope(was), scope(is));
        let was_scope = was_agent.as_ref().map_or(&nothing, |agent| &agent.scope);
        let is_scope = is_agent.as_ref().map_or(&nothing, |agent| &agent.scope);
        scopes(was_scope, is_scope, &mut change);
        if fate == Fate::Changed {
            let outline = |side: &'_ Snapshot| side.outlines.get(name).unwrap_or(&blank).clone();
            keys(&outline(before), &outline(after), &mut change);
        }
        let is_same = change.widened.is_empty() && change.narrowed.is_empty() && change.other.is_empty();
        if fate != Fate::Changed || !is_same {
            changes.push(change);
        }
    }
    changes
}

/// The entries without their places: most agents of a folder are as they were, and lines move.
fn words(scope: &Scope) -> Vec<Entry> {
    let words = |entry: Entry| Entry { file: String::new(), line: 0, ..entry };
    scope.described().into_iter().map(words).collect()
}

/// What asking for permissions does not show: conditions, and what lies in other clouds.
fn unasked(before: &[Entry], after: &[Entry], change: &mut AgentChange) {
    let is_same = |one: &Entry, other: &Entry| {
        (one.kind, one.cloud, &one.text, &one.actions, &one.except, &one.resources)
            == (other.kind, other.cloud, &other.text, &other.actions, &other.except, &other.resources)
    };
    for entry in after {
        let mut like = before.iter().filter(|other| is_same(entry, other)).peekable();
        if like.peek().is_some() && like.all(|other| other.circumstances != entry.circumstances) {
            change.other.push(Change::Condition {
                entry: entry.text.clone(),
                place: entry.place(),
                keys: entry.hangs_on.clone(),
            });
        }
    }
    let only = |of: &[Entry], not_of: &[Entry]| -> Vec<Entry> {
        let abroad = of.iter().filter(|entry| entry.cloud != "aws");
        abroad.filter(|entry| !not_of.iter().any(|other| is_same(entry, other))).cloned().collect()
    };
    for (entries, is_new) in [(only(after, before), true), (only(before, after), false)] {
        for entry in entries {
            let widens = (entry.kind == "deny") != is_new;
            let list = if widens { &mut change.widened } else { &mut change.narrowed };
            list.push(Change::Entry { kind: entry.kind, place: entry.place(), entry: entry.text });
        }
    }
}

fn scopes(before: &Scope, after: &Scope, change: &mut AgentChange) {
    if words(before) == words(after) {
        return;
    }
    unasked(&before.described(), &after.described(), change);
    let names = |scope: &Scope| scope.permissions().into_iter().collect::<BTreeSet<&'static str>>();
    let (old, new) = (names(before), names(after));
    let only = |one: &BTreeSet<&'static str>, other: &BTreeSet<&'static str>| {
        let names = worst_first(one.difference(other).copied().collect());
        (!names.is_empty()).then_some(Change::Permissions { permissions: names })
    };
    change.widened.extend(only(&new, &old));
    change.narrowed.extend(only(&old, &new));
    let (had, all_had) = before.spans(SPANS_MAX);
    let (has, all_has) = after.spans(SPANS_MAX);
    change.is_partial = !all_had || !all_has;
    change.widened.extend(reached(&has, before, after));
    change.narrowed.extend(reached(&had, after, before));
}

/// Of what `here` allows, that which `there` reaches less of.
fn reached(spans: &[Span], there: &Scope, here: &Scope) -> Vec<Change> {
    // By resource, then resources with the same permissions together: few lines for many pairs.
    let mut by_resource: BTreeMap<&str, (BTreeSet<&'static str>, BTreeSet<&str>)> = BTreeMap::new();
    for span in spans {
        let reach = here.reach(span.permission, &span.resource);
        if reach > Reach::None && there.reach(span.permission, &span.resource) < reach {
            let (permissions, places) = by_resource.entry(&span.resource).or_default();
            permissions.insert(span.permission);
            places.insert(&span.place);
        }
    }
    let mut grouped: BTreeMap<BTreeSet<&'static str>, (Vec<String>, BTreeSet<&str>)> = BTreeMap::new();
    for (resource, (permissions, places)) in by_resource {
        let group = grouped.entry(permissions).or_default();
        group.0.push(resource.to_owned());
        group.1.extend(places);
    }
    grouped
        .into_iter()
        .map(|(permissions, (resources, places))| Change::Resources {
            permissions: worst_first(permissions.into_iter().collect()),
            resources,
            places: places.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}

fn worst_first(mut names: Vec<&'static str>) -> Vec<&'static str> {
    names.sort_by_key(|name| {
        let changes = matches!(permission::level(name), Some(AccessLevel::Write | AccessLevel::Permissions));
        (!permission::is_destructive(name), !changes, *name)
    });
    names
}

/// What a key's values allow more of.
enum Meaning {
    /// The more values, the more is allowed
    More,
    /// The same, and none at all allows everything
    Limit,
    /// The greater, the more; none allows everything
    Greatest,
    /// Nothing that a verdict hangs on
    Nothing,
}

fn meaning(key: &str) -> Meaning {
    match key {
        "bounds.session_max" | "expires" => Meaning::Greatest,
        _ if key.starts_with("bounds.rate") => Meaning::Greatest,
        "bounds.regions" | "bounds.networks" => Meaning::Limit,
        _ if ["identities", "approvals", "tools", "assume.from", "assume.to"].contains(&key) => Meaning::More,
        _ => Meaning::Nothing,
    }
}

fn keys(before: &Outline, after: &Outline, change: &mut AgentChange) {
    let none = Vec::new();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in names {
        let (was, is) = (before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none));
        let gone: Vec<String> = was.iter().filter(|value| !is.contains(value)).cloned().collect();
        let come: Vec<String> = is.iter().filter(|value| !was.contains(value)).cloned().collect();
        if gone.is_empty() && come.is_empty() {
            continue;
        }
        let told = |before: &[String], after: &[String]| Change::Key {
            key: key.clone(),
            before: before.to_vec(),
            after: after.to_vec(),
        };
        match meaning(key) {
            Meaning::More => {
                if !come.is_empty() {
                    change.widened.push(told(&[], &come));
                }
                if !gone.is_empty() {
                    change.narrowed.push(told(&gone, &[]));
                }
            }
            Meaning::Limit if was.is_empty() => change.narrowed.push(told(&[], &come)),
            Meaning::Limit if is.is_empty() => change.widened.push(told(&gone, &[])),
            Meaning::Limit => {
                if !come.is_empty() {
                    change.widened.push(told(&[], &come));
                }
                if !gone.is_empty() {
                    change.narrowed.push(told(&gone, &[]));
                }
            }
            Meaning::Greatest => {
                let both = told(&gone, &come);
                match (was.first().map(|text| size(text)), is.first().map(|text| size(text))) {
                    (None, _) => change.narrowed.push(both),
                    (_, None) => change.widened.push(both),
                    (Some(was), Some(is)) if is > was => change.widened.push(both),
                    (Some(_), Some(_)) => change.narrowed.push(both),
                }
            }
            Meaning::Nothing => change.other.push(told(&gone, &come)),
        }
    }
}

/// A length, a number or a date, each comparable with its like.
fn size(text: &str) -> (u64, String) {
    let length = ingest::duration::parse(text).ok().map(|length| length.as_secs());
    match text.parse::<u64>().ok().or(length) {
        Some(size) => (size, String::new()),
        None => (0, text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
