//! How far a scope reaches, whatever a call's circumstances: to hold two scopes against each other

use super::entry::Entry;
use super::{Kind, Scope, Statement};
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
    /// are all.
    #[must_use]
    pub fn spans(&self, max: usize) -> (Vec<Span>, bool) {
        let mut spans = Vec::new();
        for statement in self.statements.iter().filter(|statement| statement.kind == Kind::Allow) {
            let place = Entry::of(statement).place();
            for known in statement.permissions() {
                for resource in patterns(statement) {
                    if spans.len() >= max {
                        return (spans, false);
                    }
                    if reaches(statement, &known.name, resource) != Reach::None {
                        spans.push(Span {
                            permission: &known.name,
                            resource: resource.to_owned(),
                            place: place.clone(),
                        });
                    }
                }
            }
        }
        (spans, true)
    }

    /// How much of a resource pattern a permission reaches. Bounds are not looked at: they hold for all alike.
    #[must_use]
    pub fn reach(&self, permission: &str, resource: &str) -> Reach {
        let mut reach = Reach::None;
        let mut most = Reach::All;
        for statement in &self.statements {
            let one = reaches(statement, permission, resource);
            match (statement.kind, one) {
                (Kind::Deny, Reach::All) => return Reach::None,
                (Kind::Deny, Reach::Some) => most = Reach::Some,
                (Kind::Allow, one) => reach = reach.max(one),
                (Kind::Deny | Kind::Approval, _) => {}
            }
        }
        reach.min(most)
    }
}

/// The patterns of an entry; of one that leaves some out, everything.
fn patterns(statement: &Statement) -> Vec<&str> {
    if statement.resources.not {
        return vec!["*"];
    }
    statement.resources.patterns.iter().map(ArnPattern::as_str).collect()
}

fn reaches(statement: &Statement, permission: &str, resource: &str) -> Reach {
    if !statement.covers(permission) {
        return Reach::None;
    }
    let always = statement.conditions.is_empty() && statement.unjudged.is_empty();
    match statement.resources.matches(Target::Within(resource)) {
        Match::No => Reach::None,
        Match::Yes if always => Reach::All,
        _ => Reach::Some,
    }
}
