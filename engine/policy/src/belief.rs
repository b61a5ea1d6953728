//! A truth with the names of what would decide it

use crate::truth::Truth;

/// Names kept for one answer; the rest adds nothing that a reader can use.
const NAMES_MAX: usize = 20;

/// Whether something holds, and where that is not known, what would tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Belief {
    pub(crate) truth: Truth,
    /// Empty unless the truth is unknown
    pub(crate) missing: Vec<String>,
}

impl Belief {
    pub(crate) const TRUE: Belief = Belief { truth: Truth::True, missing: Vec::new() };
    pub(crate) const FALSE: Belief = Belief { truth: Truth::False, missing: Vec::new() };

    pub(crate) fn unknown(name: impl Into<String>) -> Belief {
        Belief { truth: Truth::Unknown, missing: vec![name.into()] }
    }

    pub(crate) fn unknown_of(names: impl IntoIterator<Item = String>) -> Belief {
        let mut missing = Vec::new();
        merge(&mut missing, names);
        Belief { truth: Truth::Unknown, missing }
    }

    pub(crate) fn and(self, other: Belief) -> Belief {
        Belief::of(self.truth.and(other.truth), self, other)
    }

    pub(crate) fn or(self, other: Belief) -> Belief {
        Belief::of(self.truth.or(other.truth), self, other)
    }

    pub(crate) fn negate(self) -> Belief {
        Belief { truth: self.truth.negate(), missing: self.missing }
    }

    /// `self` unless it is certain that it does not hold; then `other` is not even asked.
    pub(crate) fn and_then(self, other: impl FnOnce() -> Belief) -> Belief {
        if self.truth == Truth::False { self } else { self.and(other()) }
    }

    fn of(truth: Truth, left: Belief, right: Belief) -> Belief {
        let mut missing = Vec::new();
        if truth == Truth::Unknown {
            missing = left.missing;
            merge(&mut missing, right.missing);
        }
        Belief { truth, missing }
    }
}

impl From<bool> for Belief {
    fn from(holds: bool) -> Belief {
        if holds { Belief::TRUE } else { Belief::FALSE }
    }
}

/// Adds names that are not there yet, up to the bound.
pub(crate) fn merge(names: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for name in more {
        if names.len() >= NAMES_MAX {
            return;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_asks_for_nothing() {
        let open = || Belief::unknown("request.time");
        assert_eq!(open().or(Belief::TRUE), Belief::TRUE);
        assert_eq!(open().and(Belief::FALSE), Belief::FALSE);
        assert_eq!(open().and(Belief::TRUE).missing, ["request.time"]);
        assert_eq!(open().and(Belief::unknown("resource.name")).missing, ["request.time", "resource.name"]);
    }
}
