//! Entries that can never decide anything

use super::entry::{Entry, Meaning};
use super::{Grants, Kind, Statement};
use crate::reference;
use policy::aws::Resources;
use policy::wildcard::{Match, Target};

/// Questions that one entry may cost: of one over it nothing is said.
const STEPS_MAX: usize = 200_000;

/// An entry that can never decide, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idle {
    /// The entry
    pub(crate) entry: Entry,
    /// The entry that always decides before it; none where it means no permission at all
    pub(crate) behind: Option<Entry>,
}

/// Entries that can be taken out without changing one verdict on a permission that we know.
///
/// Says nothing where that cannot be shown: an entry behind a condition may decide one day.
pub(crate) fn idle(entries: &[Meaning<'_>]) -> Vec<Idle> {
    let mut idle = Vec::new();
    for (at, Meaning { statement, permissions }) in entries.iter().enumerate() {
        if permissions.is_empty() {
            if means_something(statement) {
                idle.push(Idle { entry: Entry::of(statement), behind: None });
            }
            continue;
        }
        let before: Vec<&Statement> = entries
            .iter()
            .enumerate()
            .filter(|(other, one)| *other != at && is_before(one.statement, *other, statement, at))
            .map(|(_, one)| one.statement)
            .collect();
        if before.is_empty() || before.len().saturating_mul(permissions.len()) > STEPS_MAX {
            continue;
        }
        let behind = |name: &str| before.iter().find(|one| one.covers(name));
        if permissions.iter().all(|known| behind(&known.name).is_some()) {
            let first = permissions.first().and_then(|known| behind(&known.name));
            let behind = first.map(|statement| Entry::of(statement));
            idle.push(Idle { entry: Entry::of(statement), behind });
        }
    }
    idle
}

/// Whether its words mean permissions that we know, though none that can touch its resources. Words that mean none at all
/// are told elsewhere.
fn means_something(statement: &Statement) -> bool {
    match &statement.grants {
        Grants::Verb(_) => !statement.resources.patterns.is_empty(),
        Grants::Named(actions) => {
            actions.not
                || actions.patterns.iter().any(|pattern| reference::matching(pattern).next().is_some())
        }
    }
}

/// Whether `first` decides wherever both are about the permission.
fn is_before(first: &Statement, first_at: usize, then: &Statement, then_at: usize) -> bool {
    let always = first.is_unconditional();
    let outranks = match (first.kind, then.kind) {
        (Kind::Deny, Kind::Deny) | (Kind::Allow, Kind::Allow) => {
            always && (first_at < then_at || !within(&first.resources, &then.resources))
        }
        (Kind::Deny, Kind::Allow | Kind::Approval) => always,
        _ => false,
    };
    // Which key an alias stands for only the account knows.
    outranks && then.aliases.is_empty() && within(&then.resources, &first.resources)
}

/// Whether all of `inner` lies in `outer`.
fn within(inner: &Resources, outer: &Resources) -> bool {
    outer.is_any()
        || (!inner.not
            && !outer.not
            && !inner.is_any()
            && inner.patterns.iter().all(|one| {
                one.variables().is_empty() && outer.matches(Target::Within(one.as_str())) == Match::Yes
            }))
}
