//! `remit tool decide --cloud gcp`

use serde_json::{Map, Value, json};

use super::line::{answered, context, items, text, texts, told};
use crate::gcp::{Policies, Request};
use crate::judgement::Answer;

/// Answers one request. A bad one is answered with its `id` and an `error`.
///
/// Short form, which asks a role's list: `{id, permissions: [granted permission names], permission}`.
///
/// Full form: `{id, principal, permission, resource, hierarchy, roles, bindings, deny_policies, context}`:
/// - `principal`: `user:`, `serviceAccount:`, `principal://...`, or a bare address; `anonymous` for nobody;
/// - `resource`: with its service's host (`//storage.googleapis.com/projects/_/buckets/b`) or without;
/// - `hierarchy`: what it lies in, itself first, up to the organization: names (`projects/p`), `{name}` objects, or
///   `{type, id}` as `gcloud projects get-ancestors` prints; a project's id and its number may both stand there;
/// - `roles`: as `gcloud iam roles describe` prints them, in a list;
/// - `bindings`: each `{node, role, members, condition}`, or a whole policy `{node, bindings}` or `{resource, policy}`;
///   `node` may also be called `resource` or `name`; without one it is attached to the resource itself;
/// - `deny_policies`: as `gcloud iam policies get --kind=denypolicies` prints them; the name tells where it is attached,
///   unless `node` does;
/// - `groups`: `{address: [members]}`, all members of each named group;
/// - `context`: `{"request.time": "...", ...}`.
///
/// What is not told is unknown: a group's members, a folder above a chain that ends before its organization, a role
/// that is not in `roles`, an attribute that is not in `context` and that the resource's name does not show.
#[must_use]
pub fn decide(input: &Value) -> Value {
    answered(input, answer)
}

fn answer(input: &Value) -> Result<Value, String> {
    let Value::Object(input) = input else { return Err("a line is a JSON object".into()) };
    let permission = text(input, "permission")?;
    if let Some(granted) = input.get("permissions") {
        let granted = texts(granted, "permissions")?;
        let answer =
            if granted.iter().any(|one| one == permission) { Answer::Allowed } else { Answer::Denied };
        return Ok(json!({"decision": answer.as_str(), "decisive": [], "missing_keys": []}));
    }
    let (principal, resource) = (text(input, "principal")?, text(input, "resource")?);
    let mut policies = Policies::default();
    for (index, role) in items(input, "roles")?.iter().enumerate() {
        policies.add_role(role).map_err(|error| format!("roles[{index}]: {error}"))?;
    }
    for (index, item) in items(input, "bindings")?.iter().enumerate() {
        bind(&mut policies, item, resource).map_err(|error| format!("bindings[{index}]: {error}"))?;
    }
    for (index, policy) in items(input, "deny_policies")?.iter().enumerate() {
        let added = policies.add_deny_policy(named(policy, &["node", "resource", "attachmentPoint"]), policy);
        added.map_err(|error| format!("deny_policies[{index}]: {error}"))?;
    }
    match input.get("groups") {
        None | Some(Value::Null) => {}
        Some(Value::Object(groups)) => {
            for (group, members) in groups {
                let members = texts(members, &format!("groups.{group}"))?;
                policies.set_members(group, members.iter().map(String::as_str));
            }
        }
        Some(_) => return Err("`groups` must be an object: address to list of members".into()),
    }
    let hierarchy = hierarchy(input)?;
    let context = context(input)?;
    let request = Request { principal, permission, resource, hierarchy: &hierarchy, context: &context };
    Ok(told(&policies.decide(&request)))
}

fn named<'a>(item: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| item.get(*key)?.as_str())
}

fn bind(policies: &mut Policies, item: &Value, resource: &str) -> Result<(), String> {
    let node = named(item, &["node", "resource", "name"]).unwrap_or(resource);
    let policy = item.get("policy").unwrap_or(item);
    let added = match policy.get("bindings") {
        Some(_) => policies.add_allow_policy(node, policy),
        None => policies.add_binding(node, policy),
    };
    added.map_err(|error| error.to_string())
}

fn hierarchy(input: &Map<String, Value>) -> Result<Vec<String>, String> {
    let mut chain = Vec::new();
    for (index, node) in items(input, "hierarchy")?.iter().enumerate() {
        let name = match node {
            Value::String(name) => Some(name.clone()),
            node => match (named(node, &["type"]), named(node, &["id"])) {
                (Some(kind), Some(id)) if !id.contains('/') => {
                    Some(format!("{}s/{id}", kind.trim_end_matches('s')))
                }
                _ => named(node, &["name", "resource", "node", "id"]).map(str::to_owned),
            },
        };
        let Some(name) = name else { return Err(format!("`hierarchy[{index}]` must be a resource's name")) };
        chain.push(name);
    }
    Ok(chain)
}
