//! What Azure's exports grant: roles, assignments, deny assignments, groups and management groups
//!
//! - `az role definition list`, `az role assignment list --all --include-inherited`, and deny assignments as the REST
//!   interface lists them, each as a list, as `{"value": [...]}`, or one by one;
//! - `az ad group member list`, in a file called `group-<object id>.json`;
//! - `az account management-group entities list`.

use serde_json::Value;

use super::{Grant, GrantDoubt, GrantVerdict};
use policy::azure::{Item, Plane, Policies, Request, item};
use policy::context::Context;
use policy::judgement::{Answer, Judgement};

/// Roles and assignments of Azure, from a folder of exports.
#[derive(Debug, Default)]
pub struct AzureGrants {
    policies: Policies,
    /// Files of which a part could not be read
    unread: Vec<String>,
}

impl AzureGrants {
    /// What the exports say to an operation of a principal (by object id) at a scope.
    ///
    /// `groups`: all groups that it is in, where the caller knows them. A subscription that no export is about is
    /// unknown, and so is everything where a part of the exports could not be read, save what is denied by name.
    #[must_use]
    pub fn verdict(
        &self,
        principal: &str,
        groups: Option<&[String]>,
        operation: &str,
        plane: Plane,
        scope: &str,
        context: &Context,
    ) -> GrantVerdict {
        let request = Request { principal, groups, operation, plane, scope, context };
        let judgement = self.policies.decide(&request);
        verdict(&judgement, self.policies.covers(scope), &self.unread, "granted_by_no_assignment")
    }

    /// Whether no export of Azure was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.unread.is_empty()
    }

    /// The object ids that roles are assigned to, groups included, sorted.
    #[must_use]
    pub fn principals(&self) -> Vec<&str> {
        self.policies.principals().collect()
    }

    /// Takes a file in if it is Azure's. `None`: it is not. An error says what of it cannot be read.
    pub(super) fn offer(&mut self, file: &str, export: &Value) -> Option<Result<(), String>> {
        let items = items(export);
        if let Some(group) = named(file, "group-").filter(|name| !name.contains('@'))
            && items.iter().all(|member| member.get("id").is_some_and(Value::is_string))
        {
            self.policies.set_members(group, items.iter().filter_map(|member| member.get("id")?.as_str()));
            return Some(Ok(()));
        }
        let first = items.first()?;
        if is_group_entity(first) {
            for entity in items {
                let parent =
                    entity.get("parent").and_then(|parent| parent.get("id")?.as_str()).unwrap_or("/");
                if let Some(id) = entity.get("id").and_then(Value::as_str) {
                    self.policies.set_parent(id, parent);
                }
            }
            return Some(Ok(()));
        }
        item(first)?;
        let mut faults = Vec::new();
        for (index, one) in items.iter().enumerate() {
            let added = match item(one) {
                Some(Item::Definition) => self.policies.add_definition(one),
                Some(Item::Assignment) => self.policies.add_assignment(one),
                Some(Item::DenyAssignment) => self.policies.add_deny_assignment(one),
                None => {
                    faults.push(format!("[{index}]: neither role, assignment nor deny assignment"));
                    continue;
                }
            };
            if let Err(error) = added {
                faults.push(format!("[{index}].{error}"));
            }
        }
        if faults.is_empty() {
            return Some(Ok(()));
        }
        self.unread.push(file.to_owned());
        Some(Err(told(&faults)))
    }
}

fn is_group_entity(item: &Value) -> bool {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    item.get("parent").is_some() && (kind == "/subscriptions" || kind.ends_with("/managementgroups"))
}

/// A list, what the REST interface wraps one in, or one thing alone.
pub(super) fn items(export: &Value) -> &[Value] {
    match export {
        Value::Array(items) => items,
        export => match export.get("value") {
            Some(Value::Array(items)) => items,
            _ => std::slice::from_ref(export),
        },
    }
}

/// `ops@example.com` of `somewhere/group-ops@example.com.json`.
pub(super) fn named<'a>(file: &'a str, start: &str) -> Option<&'a str> {
    file.rsplit(['/', '\\']).next()?.strip_prefix(start)?.strip_suffix(".json")
}

/// The first faults of a file, and how many more there are.
pub(super) fn told(faults: &[String]) -> String {
    const SHOWN_MAX: usize = 3;
    let shown = faults.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
    match faults.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// One answer for both clouds.
pub(super) fn verdict(
    judgement: &Judgement,
    covered: bool,
    unread: &[String],
    nothing: &str,
) -> GrantVerdict {
    let by = judgement.decisive.first().map(|one| format!("{}#{}", one.policy, one.statement));
    let told = |grant, doubt, why| GrantVerdict { grant, doubt, why };
    match (judgement.answer, by) {
        // Denied by name: nothing that could not be read gives it back.
        (Answer::Denied, Some(by)) => told(Grant::Denied, None, by),
        _ if !unread.is_empty() => {
            let why = format!("policy_unparsed: {}", unread.join(", "));
            told(Grant::Unknown, Some(GrantDoubt::PolicyUnparsed), why)
        }
        (Answer::Denied, None) if covered => told(Grant::Denied, None, nothing.to_owned()),
        (Answer::Denied, None) => GrantVerdict::no_policies_known(),
        (Answer::Allowed, by) => told(Grant::Allowed, None, by.unwrap_or_default()),
        (Answer::Unknown, by) => {
            let why = format!("{} hangs on {}", by.unwrap_or_default(), judgement.missing_keys.join(", "));
            told(Grant::Unknown, Some(doubt(&judgement.missing_keys)), why)
        }
    }
}

/// What kind of thing is missing, by the first name: a role that no export describes, who is in a group, what lies above
/// a project or subscription, or an attribute of the request.
fn doubt(missing: &[String]) -> GrantDoubt {
    let first = missing.first().map_or("", String::as_str);
    let is = |start: &str| first.starts_with(start);
    if is("roleDefinition ") || is("roles/") || is("projects/") || is("organizations/") {
        GrantDoubt::PolicyUnparsed
    } else if is("group") || is("hierarchy ") || is("principal") {
        GrantDoubt::NoPoliciesKnown
    } else {
        GrantDoubt::ConditionNotLogged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SUBSCRIPTION: &str = "/subscriptions/s1";

    fn exports() -> AzureGrants {
        let mut grants = AzureGrants::default();
        let definitions = json!([{"id": "/providers/Microsoft.Authorization/roleDefinitions/r1", "name": "r1",
            "roleName": "Reader", "type": "Microsoft.Authorization/roleDefinitions",
            "assignableScopes": ["/"], "permissions": [{"actions": ["*/read"]}]}]);
        assert_eq!(grants.offer("definitions.json", &definitions), Some(Ok(())));
        let assignments = json!({"value": [
            {"id": "x", "name": "a1", "type": "Microsoft.Authorization/roleAssignments", "properties":
                {"principalId": "ann", "principalType": "User", "roleDefinitionId": "x/r1", "scope": SUBSCRIPTION}},
            {"id": "y", "name": "a2", "type": "Microsoft.Authorization/roleAssignments", "properties":
                {"principalId": "ops", "principalType": "Group", "roleDefinitionId": "x/r1",
                    "scope": "/providers/Microsoft.Management/managementGroups/prod"}}]});
        assert_eq!(grants.offer("assignments.json", &assignments), Some(Ok(())));
        grants
    }

    fn ask(grants: &AzureGrants, who: &str, operation: &str, scope: &str) -> (Grant, String) {
        let context = Context::partial();
        let verdict = grants.verdict(who, None, operation, Plane::Control, scope, &context);
        (verdict.grant, verdict.why)
    }

    #[test]
    fn an_assignment_grants_where_it_reaches() {
        let grants = exports();
        assert_eq!(
            ask(&grants, "ann", "N/t/read", "/subscriptions/s1/resourceGroups/r"),
            (Grant::Allowed, "a1#Reader".into())
        );
        assert_eq!(ask(&grants, "ann", "N/t/write", SUBSCRIPTION).0, Grant::Denied);
        // No export is about the other subscription.
        assert_eq!(
            ask(&grants, "ann", "N/t/write", "/subscriptions/s2"),
            (Grant::Unknown, "no_policies_known".into())
        );
    }

    #[test]
    fn groups_and_management_groups_come_from_files_of_their_own() {
        let mut grants = exports();
        assert_eq!(ask(&grants, "bob", "N/t/read", SUBSCRIPTION).0, Grant::Unknown);
        assert_eq!(
            grants.offer("azure/group-ops.json", &json!([{"id": "bob", "displayName": "Bob"}])),
            Some(Ok(()))
        );
        assert_eq!(ask(&grants, "bob", "N/t/read", SUBSCRIPTION).0, Grant::Unknown);
        let entities = json!([
            {"id": SUBSCRIPTION, "type": "/subscriptions", "parent": {"id": "/providers/Microsoft.Management/managementGroups/prod"}},
            {"id": "/providers/Microsoft.Management/managementGroups/prod", "type": "Microsoft.Management/managementGroups", "parent": {"id": null}}]);
        assert_eq!(grants.offer("entities.json", &entities), Some(Ok(())));
        assert_eq!(ask(&grants, "bob", "N/t/read", SUBSCRIPTION), (Grant::Allowed, "a2#Reader".into()));
        assert_eq!(ask(&grants, "eve", "N/t/read", SUBSCRIPTION).0, Grant::Denied);
    }

    #[test]
    fn a_broken_export_makes_answers_unknown_and_says_where() {
        let mut grants = exports();
        let broken = json!([{"denyAssignmentName": "d", "permissions": [{"actions": "*"}], "principals": [{}],
            "scope": SUBSCRIPTION}]);
        let fault = grants.offer("denies.json", &broken).unwrap().unwrap_err();
        assert!(fault.starts_with("[0].principals[0].id"), "{fault}");
        assert_eq!(
            ask(&grants, "ann", "N/t/read", SUBSCRIPTION),
            (Grant::Unknown, "policy_unparsed: denies.json".into())
        );
    }

    #[test]
    fn what_is_not_azures_is_left_alone() {
        let mut grants = AzureGrants::default();
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        assert_eq!(grants.offer("OrderProcessor.json", &policy), None);
        assert_eq!(grants.offer("project-p.json", &json!({"bindings": [], "etag": "x"})), None);
        assert_eq!(grants.offer("empty.json", &json!([])), None);
        assert!(grants.is_empty());
    }
}
