//! What is known of a request's condition keys

use std::cmp::Ordering;

/// Keys that one request can carry; more are not kept, and then every other key is unknown.
const KEYS_MAX: usize = 1_000;

/// What a request says of one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// It carries the key with these values; none of them for an empty set
    Values(Vec<String>),
    /// It does not carry the key
    Absent,
    /// Whether it does, or with which values, cannot be told
    Unknown,
}

impl Fact {
    /// One value.
    #[must_use]
    pub fn one(value: impl Into<String>) -> Fact {
        Fact::Values(vec![value.into()])
    }
}

/// The condition keys of one request. Names ignore case, tag keys included (`aws:PrincipalTag/Team`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Context {
    /// Lower-case names, sorted. `aws:principaltag/*` speaks for every tag that is not named.
    facts: Vec<(Box<str>, Fact)>,
    otherwise: Fact,
}

impl Context {
    /// A request that carries nothing else than what is set: how a simulator asks.
    #[must_use]
    pub fn complete() -> Context {
        Context { facts: Vec::new(), otherwise: Fact::Absent }
    }

    /// A request of which nothing else is known than what is set: how a log tells.
    #[must_use]
    pub fn partial() -> Context {
        Context { facts: Vec::new(), otherwise: Fact::Unknown }
    }

    /// Says what is known of a key; `aws:PrincipalTag/*` for all tags that are not set by name.
    pub fn set(&mut self, key: &str, fact: Fact) {
        let key = fold(key);
        match self.facts.binary_search_by(|(known, _)| known.as_ref().cmp(&key)) {
            Ok(at) => {
                if let Some((_, known)) = self.facts.get_mut(at) {
                    *known = fact;
                }
            }
            Err(_) if self.facts.len() >= KEYS_MAX => self.otherwise = Fact::Unknown,
            Err(at) => self.facts.insert(at, (key, fact)),
        }
    }

    /// What is known of a key, whatever its case.
    #[must_use]
    pub fn fact(&self, key: &str) -> &Fact {
        let folded = || key.bytes().map(|b| b.to_ascii_lowercase());
        if let Some(found) = self.find(|known| known.bytes().cmp(folded())) {
            return found;
        }
        let family = key.bytes().position(|b| b == b'/').and_then(|slash| {
            self.find(|known| known.bytes().cmp(folded().take(slash).chain(FAMILY.bytes())))
        });
        family.unwrap_or(&self.otherwise)
    }

    /// The same for a key in lower case: whoever asks often folds it once.
    #[must_use]
    pub(crate) fn fact_folded(&self, key: &str) -> &Fact {
        if let Some(found) = self.find(|known| known.cmp(key)) {
            return found;
        }
        let family = key.split_once('/').and_then(|(family, _)| {
            self.find(|known| known.bytes().cmp(family.bytes().chain(FAMILY.bytes())))
        });
        family.unwrap_or(&self.otherwise)
    }

    fn find(&self, order: impl Fn(&str) -> Ordering) -> Option<&Fact> {
        let at = self.facts.binary_search_by(|(known, _)| order(known)).ok()?;
        self.facts.get(at).map(|(_, fact)| fact)
    }
}

const FAMILY: &str = "/*";

/// A key's name as the context keeps it.
pub(crate) fn fold(key: &str) -> Box<str> {
    key.to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_absent_or_unknown() {
        let mut log = Context::partial();
        log.set("aws:SourceIp", Fact::one("10.0.0.1"));
        assert_eq!(log.fact("AWS:sourceip"), &Fact::one("10.0.0.1"));
        assert_eq!(log.fact("aws:PrincipalOrgID"), &Fact::Unknown);
        assert_eq!(Context::complete().fact("aws:PrincipalOrgID"), &Fact::Absent);
    }

    #[test]
    fn a_family_speaks_for_the_tags_that_are_not_named() {
        let mut context = Context::partial();
        context.set("aws:RequestTag/*", Fact::Absent);
        context.set("aws:RequestTag/team", Fact::one("red"));
        assert_eq!(context.fact("aws:RequestTag/Team"), &Fact::one("red"));
        assert_eq!(context.fact("aws:RequestTag/other"), &Fact::Absent);
        assert_eq!(context.fact("aws:PrincipalTag/team"), &Fact::Unknown);
    }

    #[test]
    fn a_folded_key_finds_what_any_spelling_finds() {
        let mut context = Context::partial();
        context.set("aws:RequestTag/*", Fact::Absent);
        context.set("aws:RequestTag/a/b", Fact::one("red"));
        context.set("aws:username", Fact::one("ann"));
        for key in ["aws:RequestTag/A/b", "aws:requesttag/other", "AWS:Username", "aws:UserId", ""] {
            assert_eq!(context.fact(key), context.fact_folded(&fold(key)), "{key}");
        }
    }
}
