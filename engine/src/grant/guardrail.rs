//! Service control policies: what bounds every identity of an organisation

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::aws::Policy;

use super::account::Written;

/// The levels from the root down; each must allow.
#[derive(Debug, Default)]
pub(super) struct Guardrails {
    by_level: BTreeMap<String, Vec<Arc<Policy>>>,
    levels: Arc<[Vec<Arc<Policy>>]>,
    unread: Vec<String>,
}

impl Guardrails {
    /// Takes a policy of a level in, or that there is one which cannot be read.
    pub(super) fn add(&mut self, level: String, policy: Written) {
        match policy {
            Ok(policy) => self.by_level.entry(level).or_default().push(policy),
            Err(reason) => self.unread.push(format!("scp: {reason}")),
        }
        self.levels = self.by_level.values().cloned().collect();
    }

    pub(super) fn levels(&self) -> Arc<[Vec<Arc<Policy>>]> {
        self.levels.clone()
    }

    pub(super) fn unread(&self) -> &[String] {
        &self.unread
    }
}
