//! `remit tool decide --cloud azure`

use serde_json::{Map, Value, json};

use super::line::{answered, context, items, text, texts, told};
use crate::azure::{Permissions, Plane, Policies, Request};
use crate::judgement::Answer;

/// Answers one request. A bad one is answered with its `id` and an `error`.
///
/// Short form, which asks a role's lists: `{id, permissions: [{actions, notActions, dataActions, notDataActions}],
/// operation, plane: "control" or "data"}`. Conditions on the entries are left out of the answer and are named in
/// `conditions`.
///
/// Full form: `{id, principal, operation, plane, scope, definitions, assignments, deny_assignments}`, each list as `az`
/// or the REST interface prints it (`{"value": [...]}` too), and where known
/// - `principal`: an object id, or `{id, groups: [every group's id]}`;
/// - `groups`: `{group id: [member ids]}`, all members of each named group;
/// - `hierarchy`: management groups from the scope's own up to the uppermost, by name or id, or `{child: parent}`;
/// - `context`: `{attribute: text or [text] or null}` for conditions, such as `@Environment[UtcNow]`; null: it has none.
///
/// An attribute or membership that is not told is unknown, not absent.
#[must_use]
pub fn decide(input: &Value) -> Value {
    answered(input, answer)
}

fn answer(input: &Value) -> Result<Value, String> {
    let Value::Object(input) = input else { return Err("a line is a JSON object".into()) };
    let operation = text(input, "operation")?;
    let plane = match input.get("plane") {
        None | Some(Value::Null) => Plane::Control,
        Some(word) => word.as_str().and_then(Plane::parse).ok_or("`plane` must be `control` or `data`")?,
    };
    if let Some(permissions) = input.get("permissions") {
        return short(permissions, operation, plane);
    }
    let mut policies = Policies::default();
    for (key, add) in [
        ("definitions", Policies::add_definition as fn(&mut Policies, &Value) -> _),
        ("assignments", Policies::add_assignment),
        ("deny_assignments", Policies::add_deny_assignment),
    ] {
        for (index, item) in items(input, key)?.iter().enumerate() {
            add(&mut policies, item).map_err(|error| format!("{key}[{index}]: {error}"))?;
        }
    }
    let scope = text(input, "scope")?;
    members(&mut policies, input)?;
    hierarchy(&mut policies, input, scope)?;
    let (principal, groups) = principal(input)?;
    let context = context(input)?;
    let request =
        Request { principal, groups: groups.as_deref(), operation, plane, scope, context: &context };
    Ok(told(&policies.decide(&request)))
}

fn short(permissions: &Value, operation: &str, plane: Plane) -> Result<Value, String> {
    let permissions = Permissions::from_json(permissions).map_err(|error| error.to_string())?;
    let answer = if permissions.list(operation, plane) { Answer::Allowed } else { Answer::Denied };
    let conditions = permissions.conditions(operation, plane);
    let mut told = json!({"decision": answer.as_str(), "decisive": [], "missing_keys": []});
    if !conditions.is_empty()
        && let Some(told) = told.as_object_mut()
    {
        told.insert("conditions".into(), json!(conditions));
    }
    Ok(told)
}

fn principal(input: &Map<String, Value>) -> Result<(&str, Option<Vec<String>>), String> {
    match input.get("principal") {
        Some(Value::String(id)) => Ok((id, None)),
        Some(Value::Object(principal)) => {
            let id = ["id", "principalId", "objectId"].iter().find_map(|key| principal.get(*key)?.as_str());
            let id = id.ok_or("`principal.id` is missing or no text")?;
            let groups = principal.get("groups").map(|groups| texts(groups, "principal.groups"));
            Ok((id, groups.transpose()?))
        }
        _ => Err("`principal` must be an object id, or `{id, groups}`".into()),
    }
}

fn members(policies: &mut Policies, input: &Map<String, Value>) -> Result<(), String> {
    match input.get("groups") {
        None | Some(Value::Null) => {}
        Some(Value::Object(groups)) => {
            for (group, list) in groups {
                let members = texts(list, &format!("groups.{group}"))?;
                policies.set_members(group, members.iter().map(String::as_str));
            }
        }
        Some(_) => return Err("`groups` must be an object: group id to list of member ids".into()),
    }
    Ok(())
}

fn hierarchy(policies: &mut Policies, input: &Map<String, Value>, scope: &str) -> Result<(), String> {
    let fault = "`hierarchy` must be a list of ids from the scope upward, or an object `{child: parent}`";
    match input.get("hierarchy") {
        None | Some(Value::Null) => {}
        Some(Value::Object(parents)) => {
            for (child, parent) in parents {
                policies.set_parent(child, parent.as_str().ok_or(fault)?);
            }
        }
        Some(Value::Array(chain)) => {
            let mut at = container(scope);
            let mut told = false;
            for node in chain {
                let node = node.as_str().or_else(|| node.get("id")?.as_str()).ok_or(fault)?;
                // Resources and resource groups are below their subscription by name already.
                let folded = node.to_ascii_lowercase();
                if folded.starts_with("/subscriptions/") || folded == at.to_ascii_lowercase() {
                    at = container(node);
                    continue;
                }
                policies.set_parent(&at, node);
                at = node.to_owned();
                told = true;
            }
            if told && at != "/" {
                policies.set_parent(&at, "/");
            }
        }
        Some(_) => return Err(fault.into()),
    }
    Ok(())
}

/// The subscription of a scope, else the scope itself.
fn container(scope: &str) -> String {
    let parts: Vec<&str> = scope.split('/').take(3).collect();
    match parts.as_slice() {
        ["", kind, _] if kind.eq_ignore_ascii_case("subscriptions") => parts.join("/"),
        _ => scope.to_owned(),
    }
}
