//! Where an assignment reaches: the root, a management group, a subscription, a resource group, a resource

use std::collections::BTreeMap;

use crate::belief::Belief;

/// Azure allows six levels of management groups below the root.
/// <https://learn.microsoft.com/azure/governance/management-groups/overview>
const LEVELS_MAX: usize = 16;
const MANAGEMENT_GROUPS: &str = "/providers/microsoft.management/managementgroups/";

/// A scope, folded: Azure's ids ignore case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn new(text: &str) -> Scope {
        let folded = text.trim().to_ascii_lowercase();
        let trimmed = folded.trim_end_matches('/');
        // `az account management-group list` also names groups bare.
        if trimmed.is_empty() || trimmed.starts_with('/') {
            return Scope(trimmed.to_owned());
        }
        match trimmed.strip_prefix("subscriptions/") {
            Some(_) => Scope(format!("/{trimmed}")),
            None => Scope(format!("{MANAGEMENT_GROUPS}{trimmed}")),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The management group that this is, not something inside one.
    fn is_management_group(&self) -> bool {
        self.0.strip_prefix(MANAGEMENT_GROUPS).is_some_and(|name| !name.contains('/'))
    }

    /// Equal, or inside by name alone.
    fn is_below_by_name(&self, ancestor: &Scope) -> bool {
        self.0.strip_prefix(ancestor.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The management group or subscription that it lies in by name.
    pub(super) fn container(&self) -> Option<Scope> {
        let levels = match self.0.strip_prefix(MANAGEMENT_GROUPS) {
            Some(_) => 4,
            None if self.0.starts_with("/subscriptions/") => 2,
            None => return None,
        };
        let mut parts = self.0.split('/').skip(1);
        let named: Vec<&str> = parts.by_ref().take(levels).collect();
        (named.len() == levels).then(|| Scope(format!("/{}", named.join("/"))))
    }

    /// A name of the resource by its type, as conditions ask for it: `microsoft.storage/storageaccounts:name`.
    pub(super) fn resource_name(&self, attribute: &str) -> Option<&str> {
        let wanted = attribute.strip_suffix(":name")?;
        let (_, resource) = self.0.rsplit_once("/providers/")?;
        let mut parts = resource.split('/');
        let mut kind = parts.next()?.to_owned();
        while let (Some(level), Some(name)) = (parts.next(), parts.next()) {
            kind.push('/');
            kind.push_str(level);
            if kind == wanted {
                return Some(name);
            }
        }
        None
    }
}

/// What is known of management groups: the parent of each subscription and group.
#[derive(Debug, Default, Clone)]
pub(super) struct Hierarchy {
    /// The uppermost group's parent is the root
    parents: BTreeMap<Scope, Scope>,
}

impl Hierarchy {
    pub(super) fn put(&mut self, child: Scope, parent: Scope) {
        self.parents.insert(child, parent);
    }

    /// Whether what is assigned at `ancestor` holds at `scope`.
    pub(super) fn covers(&self, ancestor: &Scope, scope: &Scope) -> Belief {
        if ancestor.is_root() || scope.is_below_by_name(ancestor) {
            return Belief::TRUE;
        }
        if !ancestor.is_management_group() {
            return Belief::FALSE;
        }
        // Nothing above the root, and what lies outside of subscriptions and groups is in none.
        let Some(mut at) = scope.container() else { return Belief::FALSE };
        for _ in 0..LEVELS_MAX {
            match self.parents.get(&at) {
                Some(parent) if parent == ancestor => return Belief::TRUE,
                Some(parent) if parent.is_root() => return Belief::FALSE,
                Some(parent) => at = parent.clone(),
                None => break,
            }
        }
        Belief::unknown(format!("hierarchy above {}", at.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Truth;

    fn covers(chain: &[(&str, &str)], ancestor: &str, scope: &str) -> Truth {
        let mut hierarchy = Hierarchy::default();
        for (child, parent) in chain {
            hierarchy.put(Scope::new(child), Scope::new(parent));
        }
        hierarchy.covers(&Scope::new(ancestor), &Scope::new(scope)).truth
    }

    #[test]
    fn a_scope_reaches_down_by_whole_parts() {
        assert_eq!(covers(&[], "/subscriptions/S1", "/subscriptions/s1/resourceGroups/rg"), Truth::True);
        assert_eq!(covers(&[], "/", "/subscriptions/s1"), Truth::True);
        assert_eq!(covers(&[], "/subscriptions/s1/resourceGroups/rg", "/subscriptions/s1"), Truth::False);
        assert_eq!(
            covers(&[], "/subscriptions/s1/resourceGroups/rg", "/subscriptions/s1/resourceGroups/rg2"),
            Truth::False
        );
    }

    #[test]
    fn a_management_group_covers_what_is_told_to_be_below_it() {
        let group = "/providers/Microsoft.Management/managementGroups/prod";
        let chain = [("/subscriptions/s1", group), ("prod", "root-group"), ("root-group", "/")];
        assert_eq!(covers(&chain, group, "/subscriptions/s1/resourceGroups/rg"), Truth::True);
        assert_eq!(covers(&chain, "root-group", "/subscriptions/s1"), Truth::True);
        assert_eq!(covers(&chain, "dev", "/subscriptions/s1"), Truth::False);
        assert_eq!(covers(&[], group, "/subscriptions/s1"), Truth::Unknown);
        assert_eq!(covers(&chain, group, "/subscriptions/s2"), Truth::Unknown);
    }

    #[test]
    fn names_of_resources_are_read_by_their_type() {
        let scope = Scope::new(
            "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/acct/blobServices/default/containers/notes",
        );
        assert_eq!(
            scope.resource_name("microsoft.storage/storageaccounts/blobservices/containers:name"),
            Some("notes")
        );
        assert_eq!(scope.resource_name("microsoft.storage/storageaccounts:name"), Some("acct"));
        assert_eq!(scope.resource_name("microsoft.storage/storageaccounts/queues:name"), None);
    }
}
