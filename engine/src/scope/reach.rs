//! How far a scope reaches, whatever a call's circumstances: to hold two scopes against each other

use super::entry::Entry;
use super::{Kind, Scope, Statement, concerns};
use policy::aws::Resources;
use policy::context::Context;
use policy::wildcard::{ArnPattern, Match, Target};

/// How much of a resource pattern a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Nothing of it
    None,
    /// Some of it, or all of it under a condition
    Some,
    /// All of it
    All,
}

/// A permission on a resource pattern, as an entry allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// `s3:GetObject`
    pub permission: &'static str,
    /// `arn:aws:s3:::acme/*`, or `*`
    pub resource: String,
    /// The entry's place: `agents/triage.yaml:22`
    pub place: String,
}

impl Scope {
    /// What the entries allow, permission by permission and pattern by pattern: at most `max` of them, and whether these
    /// are all. Sorted by permission.
    #[must_use]
    pub fn spans(&self, max: usize) -> (Vec<Span>, bool) {
        let mut spans = Vec::new();
        let mut is_all = true;
        'statements: for statement in
            self.parts.statements.iter().filter(|statement| statement.kind == Kind::Allow)
        {
            let place = Entry::of(statement).place();
            let patterns = patterns(statement);
            for known in statement.permissions() {
                for pattern in &patterns {
                    if spans.len() >= max {
                        is_all = false;
                        break 'statements;
                    }
                    // A table in the same entry is nothing that an object's permission reaches.
                    let alone = || Resources { not: false, patterns: vec![pattern.clone()] };
                    if patterns.len() > 1 && !concerns(&alone(), &known.name) {
                        continue;
                    }
                    spans.push(Span {
                        permission: &known.name,
                        resource: pattern.as_str().to_owned(),
                        place: place.clone(),
                    });
                }
            }
        }
        // One permission after the other, so that what is remembered of it is there.
        spans.sort_unstable();
        (spans, is_all)
    }

    /// How much of a resource pattern a permission reaches. Bounds are not looked at: they hold for all alike.
    #[must_use]
    pub fn reach(&self, permission: &str, resource: &str) -> Reach {
        let mut reach = Reach::None;
        let mut most = Reach::All;
        let covering = self.covering(permission);
        for statement in covering.iter().filter_map(|at| self.parts.statements.get(*at as usize)) {
            let one = reaches(statement, resource);
            match (statement.kind, one) {
                (Kind::Deny, Reach::All) => return Reach::None,
                (Kind::Deny, Reach::Some) => most = Reach::Some,
                (Kind::Allow, one) => reach = reach.max(one),
                (Kind::Deny | Kind::Approval | Kind::ExpectedDenial, _) => {}
            }
        }
        reach.min(most)
    }
}

/// The patterns of an entry; of one that leaves some out, everything.
fn patterns(statement: &Statement) -> Vec<ArnPattern> {
    if statement.resources.not {
        return vec![ArnPattern::new("*")];
    }
    statement.resources.patterns.clone()
}

/// What an entry about the permission says to a resource pattern.
fn reaches(statement: &Statement, resource: &str) -> Reach {
    match statement.finds(Target::Within(resource), &Context::partial()).0 {
        Match::No => Reach::None,
        Match::Yes if statement.is_unconditional() && statement.aliases.is_empty() => Reach::All,
        _ => Reach::Some,
    }
}
