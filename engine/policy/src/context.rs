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
    /// By hash and name. `aws:principaltag/*` speaks for every tag that is not named.
    facts: Vec<(Key, Fact)>,
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
        let key = Key::new(key);
        match self.facts.binary_search_by(|(known, _)| (known.hash, &known.name).cmp(&(key.hash, &key.name)))
        {
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
        let found = self.find(hash(folded()), |known| known.bytes().cmp(folded())).or_else(|| {
            let slash = key.bytes().position(|b| b == b'/')?;
            let family = || folded().take(slash).chain(FAMILY.bytes());
            self.find(hash(family()), |known| known.bytes().cmp(family()))
        });
        found.unwrap_or(&self.otherwise)
    }

    /// The same for who asks often.
    #[must_use]
    pub(crate) fn fact_of(&self, key: &Key) -> &Fact {
        let found = self.find(key.hash, |known| known.cmp(&key.name)).or_else(|| {
            let (slash, hash) = key.family?;
            self.find(hash, |known| known.bytes().cmp(key.name.bytes().take(slash).chain(FAMILY.bytes())))
        });
        found.unwrap_or(&self.otherwise)
    }

    // Equal hashes are told apart by name: whoever makes them collide makes a look-up no slower than one by name.
    fn find(&self, hash: u64, order: impl Fn(&str) -> Ordering) -> Option<&Fact> {
        let by = |(known, _): &(Key, Fact)| known.hash.cmp(&hash).then_with(|| order(&known.name));
        let at = self.facts.binary_search_by(by).ok()?;
        self.facts.get(at).map(|(_, fact)| fact)
    }
}

const FAMILY: &str = "/*";

/// A key's name, ready to be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    hash: u64,
    /// In lower case
    name: Box<str>,
    /// For `aws:principaltag/team` the length of `aws:principaltag`, and the hash of `aws:principaltag/*`
    family: Option<(usize, u64)>,
}

impl Key {
    pub(crate) fn new(name: &str) -> Key {
        let name: Box<str> = name.to_ascii_lowercase().into();
        let family = name
            .bytes()
            .position(|b| b == b'/')
            .map(|slash| (slash, hash(name.bytes().take(slash).chain(FAMILY.bytes()))));
        Key { hash: hash(name.bytes()), name, family }
    }

    /// In lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }
}

/// FNV-1a, as its authors give it: <http://www.isthe.com/chongo/tech/comp/fnv/>
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
    fn a_key_made_once_finds_what_any_spelling_finds() {
        let mut context = Context::partial();
        context.set("aws:RequestTag/*", Fact::Absent);
        context.set("aws:RequestTag/a/b", Fact::one("red"));
        context.set("aws:username", Fact::one("ann"));
        for key in ["aws:RequestTag/A/b", "aws:requesttag/other", "AWS:Username", "aws:UserId", ""] {
            assert_eq!(context.fact(key), context.fact_of(&Key::new(key)), "{key}");
        }
    }
}
