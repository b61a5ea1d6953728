//! What is declared, held against what the policies grant

use std::collections::BTreeMap;

use super::{DECLARED_NOT_GRANTED, GRANTED_NOT_DECLARED, GRANTED_WIDER, Level, Lint, some_of};
use crate::grant::{Effect, Grant, Grants};
use crate::manifest::Agent;
use crate::permission::{self, AccessLevel};
use crate::posture::identities_of;
use crate::scope::{Grants as Means, Meaning, Reason, concerns};
use policy::aws::Resources;
use policy::context::Context;
use policy::wildcard::{ActionPattern, ArnPattern, Match};

/// Permissions of one entry that are held against the policies: a verb on everything has thousands.
const PERMISSIONS_MAX: usize = 1_000;

pub(super) fn lints(agent: &Agent, entries: &[Meaning<'_>], grants: &Grants) -> Vec<Lint> {
    let mut identities: Vec<String> = identities_of(agent, grants, std::iter::empty()).into_iter().collect();
    // Of whom nothing is known, nothing is missing.
    identities.retain(|identity| grants.knows(identity));
    if identities.is_empty() {
        return Vec::new();
    }
    let mut found = not_granted(agent, entries, grants, &identities);
    for identity in &identities {
        found.extend(not_declared(agent, grants, identity));
        found.extend(wider(agent, grants, identity));
    }
    found
}

fn not_granted(agent: &Agent, entries: &[Meaning<'_>], grants: &Grants, identities: &[String]) -> Vec<Lint> {
    let mut found = Vec::new();
    for meaning in entries.iter().filter(|meaning| meaning.is_allow()) {
        let Meaning { statement, permissions } = meaning;
        let entry = meaning.entry();
        if permissions.len() > PERMISSIONS_MAX {
            continue;
        }
        let missing: Vec<&str> = permissions
            .iter()
            .map(|known| known.name.as_str())
            .filter(|name| {
                !identities.iter().any(|one| may_be_granted(grants, one, name, &statement.resources))
            })
            .collect();
        // A verb or a wildcard is wider than any policy on purpose: only one that finds nothing at all is told.
        let by_name = matches!(&statement.grants, Means::Named(actions)
            if !actions.not && actions.patterns.iter().all(ActionPattern::is_exact));
        if missing.is_empty() || (!by_name && missing.len() < permissions.len()) {
            continue;
        }
        let what = if missing.len() == permissions.len() { "nothing" } else { "not all" };
        let message = format!(
            "no policy of {} grants {} that `{}` allows",
            some_of(identities, 2),
            if missing.len() == permissions.len() { "anything".to_owned() } else { some_of(&missing, 5) },
            entry.text
        );
        let fix = format!("take out what is not needed, or grant it: {what} of this entry can be used today");
        found.push(Lint::of(DECLARED_NOT_GRANTED, agent, entry.line, message, fix).about(missing));
    }
    found
}

fn may_be_granted(grants: &Grants, identity: &str, permission: &str, resources: &Resources) -> bool {
    let context = Context::partial();
    let said =
        |on: &[String]| grants.verdict(identity, permission, on, false, &context).grant != Grant::Denied;
    if resources.not || resources.is_any() || resources.patterns.is_empty() {
        return said(&[]);
    }
    resources.patterns.iter().any(|one| said(&[one.as_str().to_owned()]))
}

/// Told once for each statement of a policy: that is what somebody has to change.
fn not_declared(agent: &Agent, grants: &Grants, identity: &str) -> Vec<Lint> {
    let mut by_statement: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for granted in grants.granted_permissions(identity) {
        let name = &granted.permission;
        if !agent.scope.declares(name) && !agent.scope.approves(name) && !permission::is_implicit(name) {
            by_statement.entry(granted.by).or_default().push(granted.permission);
        }
    }
    let tell = |(by, mut names): (String, Vec<String>)| {
        let changing = |name: &String| {
            matches!(permission::level(name), Some(AccessLevel::Write | AccessLevel::Permissions))
        };
        let changes = names.iter().filter(|name| changing(name)).count();
        // The worst first, so that what is shown is what matters.
        names.sort_by_key(|name| (!permission::is_destructive(name), !changing(name)));
        let aside = match changes {
            0 => String::new(),
            all if all == names.len() => ", to change something".to_owned(),
            some => format!(", {some} of them to change something"),
        };
        let message = format!(
            "`{by}` of `{identity}` grants {} that the manifest does not declare{aside}: {}",
            if names.len() == 1 { "1 permission".to_owned() } else { format!("{} permissions", names.len()) },
            some_of(&names, 5)
        );
        let fix = "take them from the policy (`remit report` proposes a smaller one), or declare them";
        let level = if changes > 0 { Level::Warning } else { Level::Note };
        Lint::of(GRANTED_NOT_DECLARED, agent, 0, message, fix).level(level).about(names)
    };
    by_statement.into_iter().map(tell).collect()
}

fn wider(agent: &Agent, grants: &Grants, identity: &str) -> Vec<Lint> {
    let declared: Vec<String> = (grants.granted_permissions(identity).into_iter())
        .map(|granted| granted.permission)
        .filter(|name| agent.scope.declares(name))
        .take(PERMISSIONS_MAX)
        .collect();
    let mut found = Vec::new();
    for held in grants.statements_of(identity) {
        if held.effect != Effect::Allow || held.boundary || held.not_action || held.has_condition {
            continue;
        }
        let actions: Vec<ActionPattern> = held.actions.iter().map(|text| ActionPattern::new(text)).collect();
        let everything = ["*".to_owned()];
        let resources = if held.not_resource { &everything[..] } else { &held.resources };
        let mut names = Vec::new();
        let mut wide: Vec<&str> = Vec::new();
        for name in &declared {
            if !actions.iter().any(|pattern| pattern.matches(name) == Match::Yes) {
                continue;
            }
            let over = resources.iter().filter(|one| is_wider(agent, name, one));
            let over: Vec<&str> = over.map(String::as_str).collect();
            if !over.is_empty() {
                names.push(name.clone());
                wide.extend(over);
            }
        }
        if names.is_empty() {
            continue;
        }
        wide.sort_unstable();
        wide.dedup();
        let message = format!(
            "`{}#{}` of `{identity}` grants {} on {}; the manifest declares less",
            held.policy,
            held.statement,
            some_of(&names, 5),
            some_of(&wide, 3)
        );
        let fix = "name the declared resources in the policy, or declare these";
        found.push(Lint::of(GRANTED_WIDER, agent, 0, message, fix).about(names));
    }
    found
}

/// Whether a granted resource reaches beyond what is declared of the permission.
fn is_wider(agent: &Agent, permission: &str, resource: &str) -> bool {
    let about = Resources { not: false, patterns: vec![ArnPattern::new(resource)] };
    if !concerns(&about, permission) {
        return false;
    }
    let answer = agent.scope.verdict(permission, &[resource.to_owned()], false, &Context::partial());
    matches!(answer.reason, Reason::ResourceNotLogged | Reason::OtherResource)
}
