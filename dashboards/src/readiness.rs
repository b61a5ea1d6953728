//! Whether remit can do its work now, and if not, why not.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Named conditions that must all hold. Cheap to clone; all clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    // None: the condition holds.
    conditions: Arc<RwLock<BTreeMap<&'static str, Option<String>>>>,
}

impl Readiness {
    /// Conditions of which none holds yet.
    #[must_use]
    pub fn new(conditions: &[&'static str]) -> Readiness {
        let waiting = conditions.iter().map(|name| (*name, Some("starting".to_owned()))).collect();
        Readiness { conditions: Arc::new(RwLock::new(waiting)) }
    }

    /// Notes that a condition holds.
    pub fn holds(&self, name: &'static str) {
        self.set(name, None);
    }

    /// Notes that a condition does not hold, and why. The reason is shown to anybody who asks: no secrets.
    pub fn fails(&self, name: &'static str, reason: impl Into<String>) {
        self.set(name, Some(reason.into()));
    }

    /// What does not hold, by name, with its reason; empty when ready.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, String> {
        let conditions = self.conditions.read().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter_map(|(name, reason)| Some((*name, reason.clone()?))).collect()
    }

    fn set(&self, name: &'static str, reason: Option<String>) {
        self.conditions.write().unwrap_or_else(PoisonError::into_inner).insert(name, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_only_when_every_condition_holds() {
        let readiness = Readiness::new(&["sources", "manifests"]);
        readiness.holds("manifests");
        assert_eq!(readiness.reasons(), BTreeMap::from([("sources", "starting".to_owned())]));

        readiness.clone().holds("sources");
        assert!(readiness.reasons().is_empty());

        readiness.fails("sources", "the queue does not answer");
        assert_eq!(readiness.reasons().get("sources").map(String::as_str), Some("the queue does not answer"));
    }
}
