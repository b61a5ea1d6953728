//! What Google Cloud's exports grant: roles, allow and deny policies, groups, and the hierarchy
//!
//! - `gcloud iam roles describe` (and `list`, which leaves the permissions out);
//! - `gcloud projects|folders|organizations get-iam-policy`, in a file called `project-<id>.json`, `folder-<id>.json`
//!   or `organization-<id>.json`, or wrapped as `{"resource": ..., "policy": ...}`;
//! - `gcloud asset search-all-iam-policies` and `gcloud asset list --content-type=iam-policy`;
//! - `gcloud iam policies get --kind=denypolicies`;
//! - `gcloud projects list`, `gcloud projects get-ancestors`, `gcloud resource-manager folders list`;
//! - `gcloud identity groups memberships list`, in a file called `group-<address>.json`.

use serde_json::Value;

use super::GrantVerdict;
use super::azure::{items, named, told, verdict};
use policy::context::Context;
use policy::gcp::{Item, Policies, Request, item};

/// Roles and policies of Google Cloud, from a folder of exports.
#[derive(Debug, Default)]
pub struct GcpGrants {
    policies: Policies,
    /// Files of which a part could not be read
    unread: Vec<String>,
}

impl GcpGrants {
    /// What the exports say to a permission of a principal on a resource.
    ///
    /// `hierarchy`: what the resource lies in, where the caller knows more than its name and the exports tell. A project
    /// whose policy was not exported is unknown, and so is everything where a part of the exports could not be read,
    /// save what is denied by name.
    #[must_use]
    pub fn verdict(
        &self,
        principal: &str,
        permission: &str,
        resource: &str,
        hierarchy: &[String],
        context: &Context,
    ) -> GrantVerdict {
        let request = Request { principal, permission, resource, hierarchy, context };
        let judgement = self.policies.decide(&request);
        let covered =
            self.policies.covers(resource) || hierarchy.iter().any(|node| self.policies.covers(node));
        verdict(&judgement, covered, &self.unread, "granted_by_no_binding")
    }

    /// Whether no export of Google Cloud was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.unread.is_empty()
    }

    /// Who is named in allow policies, sorted: `user:`, `serviceAccount:`, `group:` and other members.
    #[must_use]
    pub fn members(&self) -> Vec<&str> {
        self.policies.members()
    }

    /// Roles that are bound and whose permissions no export tells, sorted.
    #[must_use]
    pub fn untold_roles(&self) -> Vec<&str> {
        self.policies.untold_roles()
    }

    /// Takes a file in if it is Google Cloud's. `None`: it is not. An error says what of it cannot be read.
    pub(super) fn offer(&mut self, file: &str, export: &Value) -> Option<Result<(), String>> {
        let items = items(export);
        if let Some(group) = named(file, "group-").filter(|name| name.contains('@')) {
            let key = |member: &Value, key: &str| Some(member.get(key)?.get("id")?.as_str()?.to_owned());
            let members: Vec<String> = items
                .iter()
                .filter_map(|member| {
                    key(member, "preferredMemberKey").or_else(|| Some(member.as_str()?.to_owned()))
                })
                .collect();
            if members.len() == items.len() {
                self.policies.set_members(group, members.iter().map(String::as_str));
                return Some(Ok(()));
            }
        }
        if self.places(items) {
            return Some(Ok(()));
        }
        let first = items.first()?;
        if item(first).is_none() && first.get("iamPolicy").is_none() {
            return None;
        }
        let mut faults = Vec::new();
        for (index, one) in items.iter().enumerate() {
            if let Err(fault) = self.add(file, one) {
                faults.push(format!("[{index}]: {fault}"));
            }
        }
        if faults.is_empty() {
            return Some(Ok(()));
        }
        self.unread.push(file.to_owned());
        Some(Err(told(&faults)))
    }

    fn add(&mut self, file: &str, one: &Value) -> Result<(), String> {
        let text = |key: &str| one.get(key).and_then(Value::as_str);
        if let (Some(name), Some(policy)) = (text("name"), one.get("iamPolicy")) {
            self.above(name, list(one, "ancestors"));
            return self.policies.add_allow_policy(name, policy).map_err(|error| error.to_string());
        }
        let added = match item(one) {
            Some(Item::Role) => self.policies.add_role(one),
            Some(Item::DenyPolicy) => self.policies.add_deny_policy(None, one),
            Some(Item::AttachedPolicy) => {
                let node = text("resource").ok_or("`resource` must be a text")?;
                let policy = one.get("policy").ok_or("`policy` is missing")?;
                let chain: Vec<&str> = text("project")
                    .into_iter()
                    .chain(list(one, "folders"))
                    .chain(text("organization"))
                    .collect();
                self.above(node, chain);
                self.policies.add_allow_policy(node, policy)
            }
            Some(Item::AllowPolicy) => {
                let node = node_of(file).ok_or(
                    "an allow policy does not tell whose it is: call the file `project-<id>.json`, \
                     `folder-<id>.json` or `organization-<id>.json`",
                )?;
                self.policies.add_allow_policy(&node, one)
            }
            None => return Err("neither role nor policy".into()),
        };
        added.map_err(|error| error.to_string())
    }

    /// What lies above a node; of a resource inside a project this is said of the project.
    fn above<'a>(&mut self, node: &str, chain: impl IntoIterator<Item = &'a str>) {
        let chain: Vec<&str> = chain.into_iter().collect();
        let path =
            node.strip_prefix("//").and_then(|full| full.split_once('/')).map_or(node, |(_, path)| path);
        let mut parts = path.split('/');
        let container = match (parts.next(), parts.next()) {
            (Some(kind @ ("projects" | "folders")), Some(name)) if name != "_" => format!("{kind}/{name}"),
            _ => match chain.split_first() {
                Some((first, rest)) => {
                    self.policies.set_ancestors(first, rest.iter().copied());
                    return;
                }
                None => return,
            },
        };
        self.policies.set_ancestors(&container, chain.iter().copied());
        // The number is the first of the chain: what holds of it holds of the id.
        if let Some((first, rest)) = chain.split_first() {
            self.policies.set_ancestors(first, rest.iter().copied().chain([container.as_str()]));
        }
    }

    /// Lists that tell where projects and folders lie; whether it was one.
    fn places(&mut self, items: &[Value]) -> bool {
        let text = |one: &Value, key: &str| Some(one.get(key)?.as_str()?.to_owned());
        let Some(first) = items.first() else { return false };
        if first.get("projectId").is_some() && first.get("projectNumber").is_some() {
            for project in items {
                let (Some(id), Some(number)) = (text(project, "projectId"), number(project)) else {
                    continue;
                };
                let parent = project.get("parent").and_then(|parent| {
                    Some(format!("{}s/{}", parent.get("type")?.as_str()?, parent.get("id")?.as_str()?))
                });
                let (id, number) = (format!("projects/{id}"), format!("projects/{number}"));
                self.policies.set_ancestors(&id, parent.as_deref().into_iter().chain([number.as_str()]));
                self.policies.set_ancestors(&number, [id.as_str()]);
            }
            return true;
        }
        if items.iter().all(|one| one.get("id").is_some() && is_kind(one.get("type"))) {
            let chain: Vec<String> = items
                .iter()
                .filter_map(|one| Some(format!("{}s/{}", text(one, "type")?, text(one, "id")?)))
                .collect();
            if let Some((first, rest)) = chain.split_first() {
                self.policies.set_ancestors(first, rest.iter().map(String::as_str));
            }
            return true;
        }
        let folder = |one: &Value| text(one, "name").is_some_and(|name| name.starts_with("folders/"));
        if items.iter().all(|one| folder(one) && text(one, "parent").is_some()) {
            for one in items {
                if let (Some(name), Some(parent)) = (text(one, "name"), text(one, "parent")) {
                    self.policies.set_ancestors(&name, [parent.as_str()]);
                }
            }
            return true;
        }
        false
    }
}

/// `gcloud` prints it as a text, the interface as a number.
fn number(project: &Value) -> Option<String> {
    match project.get("projectNumber")? {
        Value::String(number) => Some(number.clone()),
        number => number.as_u64().map(|number| number.to_string()),
    }
}

fn is_kind(kind: Option<&Value>) -> bool {
    matches!(kind.and_then(Value::as_str), Some("project" | "folder" | "organization"))
}

fn list<'a>(one: &'a Value, key: &str) -> Vec<&'a str> {
    one.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn node_of(file: &str) -> Option<String> {
    ["project", "folder", "organization"].iter().find_map(|kind| {
        let name = named(file, &format!("{kind}-")).or_else(|| named(file, &format!("{kind}s-")))?;
        (!name.is_empty()).then(|| format!("{kind}s/{name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Grant;
    use super::*;
    use serde_json::json;

    const BOT: &str = "bot@shop.iam.gserviceaccount.com";
    const BUCKET: &str = "projects/_/buckets/notes";

    fn roles() -> Value {
        json!([{"name": "roles/viewer2", "stage": "GA", "includedPermissions": ["storage.objects.get"]}])
    }

    fn policy(role: &str) -> Value {
        json!({"bindings": [{"role": role, "members": [format!("serviceAccount:{BOT}")]}], "etag": "x", "version": 1})
    }

    fn ask(grants: &GcpGrants, resource: &str, chain: &[&str]) -> (Grant, String) {
        let chain: Vec<String> = chain.iter().map(|node| (*node).to_owned()).collect();
        let verdict = grants.verdict(BOT, "storage.objects.get", resource, &chain, &Context::partial());
        (verdict.grant, verdict.why)
    }

    #[test]
    fn a_policy_is_its_files_nodes() {
        let mut grants = GcpGrants::default();
        assert_eq!(grants.offer("roles.json", &roles()), Some(Ok(())));
        assert_eq!(grants.offer("gcp/project-shop.json", &policy("roles/viewer2")), Some(Ok(())));
        assert_eq!(
            ask(&grants, BUCKET, &["projects/shop"]),
            (Grant::Allowed, "projects/shop#roles/viewer2".into())
        );
        assert_eq!(ask(&grants, "projects/shop/secrets/x", &[]).0, Grant::Allowed);
        assert_eq!(
            ask(&grants, "projects/blog/secrets/x", &[]),
            (Grant::Unknown, "no_policies_known".into())
        );
    }

    #[test]
    fn a_policy_without_a_node_is_told_so() {
        let mut grants = GcpGrants::default();
        let fault = grants.offer("policy.json", &policy("roles/viewer2")).unwrap().unwrap_err();
        assert!(fault.contains("project-<id>.json"), "{fault}");
        assert_eq!(
            ask(&grants, "projects/shop", &[]),
            (Grant::Unknown, "policy_unparsed: policy.json".into())
        );
    }

    #[test]
    fn an_inventory_tells_nodes_and_what_is_above_them() {
        let mut grants = GcpGrants::default();
        grants.offer("roles.json", &roles());
        let found = json!([
            {"resource": "//cloudresourcemanager.googleapis.com/projects/shop", "assetType": "x", "project": "projects/4711",
                "folders": ["folders/5"], "organization": "organizations/9", "policy": {"bindings": []}},
            {"resource": "//cloudresourcemanager.googleapis.com/folders/5", "organization": "organizations/9",
                "policy": policy("roles/viewer2")}]);
        assert_eq!(grants.offer("all.json", &found), Some(Ok(())));
        assert_eq!(
            ask(&grants, "projects/shop/secrets/x", &[]),
            (Grant::Allowed, "folders/5#roles/viewer2".into())
        );
        assert_eq!(ask(&grants, "projects/4711/secrets/x", &[]).0, Grant::Allowed);
        assert_ne!(ask(&grants, "projects/blog/secrets/x", &[]).0, Grant::Allowed);
    }

    #[test]
    fn a_projects_number_and_id_are_one_once_they_are_listed() {
        let mut grants = GcpGrants::default();
        grants.offer("roles.json", &roles());
        grants.offer("project-shop.json", &policy("roles/viewer2"));
        assert_eq!(ask(&grants, "projects/4711/secrets/x", &[]).0, Grant::Unknown);
        let projects =
            json!([{"projectId": "shop", "projectNumber": "4711", "parent": {"type": "folder", "id": "5"}}]);
        assert_eq!(grants.offer("projects.json", &projects), Some(Ok(())));
        assert_eq!(ask(&grants, "projects/4711/secrets/x", &[]).0, Grant::Allowed);
    }

    #[test]
    fn a_deny_policy_knows_its_own_place() {
        let mut grants = GcpGrants::default();
        grants.offer("roles.json", &roles());
        grants.offer("project-shop.json", &policy("roles/viewer2"));
        let deny = json!({"name": "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/d",
            "kind": "DenyPolicy", "rules": [{"denyRule": {"deniedPrincipals": ["principalSet://goog/public:all"],
                "deniedPermissions": ["storage.googleapis.com/objects.get"]}}]});
        assert_eq!(grants.offer("deny.json", &deny), Some(Ok(())));
        assert_eq!(ask(&grants, "projects/shop/secrets/x", &[]).0, Grant::Denied);
    }

    #[test]
    fn groups_come_from_files_of_their_own() {
        let mut grants = GcpGrants::default();
        grants.offer("roles.json", &roles());
        let group = json!({"bindings": [{"role": "roles/viewer2", "members": ["group:ops@example.com"]}]});
        grants.offer("project-shop.json", &group);
        assert_eq!(ask(&grants, "projects/shop", &[]).0, Grant::Unknown);
        let members =
            json!([{"name": "x", "preferredMemberKey": {"id": BOT}, "roles": [{"name": "MEMBER"}]}]);
        assert_eq!(grants.offer("group-ops@example.com.json", &members), Some(Ok(())));
        assert_eq!(ask(&grants, "projects/shop", &[]).0, Grant::Allowed);
    }

    #[test]
    fn roles_that_no_export_describes_are_told() {
        let mut grants = GcpGrants::default();
        grants.offer("project-shop.json", &policy("roles/editor"));
        assert_eq!(grants.untold_roles(), ["roles/editor"]);
        assert_eq!(
            ask(&grants, "projects/shop", &[]),
            (Grant::Unknown, "projects/shop#roles/editor hangs on roles/editor".into())
        );
    }

    #[test]
    fn what_is_not_googles_is_left_alone() {
        let mut grants = GcpGrants::default();
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        assert_eq!(grants.offer("OrderProcessor.json", &policy), None);
        assert_eq!(grants.offer("a.json", &json!([{"principalId": "x", "roleDefinitionId": "y"}])), None);
        assert_eq!(grants.offer("b.json", &json!([])), None);
        assert!(grants.is_empty());
    }
}
