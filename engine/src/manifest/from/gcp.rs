//! `from: {gcp_role: ...}`: a role as `gcloud iam roles describe` prints it, or only its name

use serde_json::Value;

use super::source::{Source, field, texts};
use super::{POLICY_BYTES_MAX, Problem, Reference, entry_of};
use crate::cloud::Cloud;
use crate::manifest::agent::Draft;
use crate::manifest::reader::Reader;
use crate::scope::{Elsewhere, Operations, Thing};

pub(super) fn role(
    reader: &mut Reader<'_>,
    source: &mut Source<'_>,
    reference: &Reference<'_>,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let name = &reference.named;
    if !source.path(name).is_file()
        && let Some(export) = export(name)
    {
        return Err(Problem::Unread(format!(
            "it is a role's name. Export it with `{export} --format json > ROLE.json` and write `gcp_role: ROLE.json`"
        )));
    }
    let document = source.json(
        name,
        POLICY_BYTES_MAX,
        "Export it: `gcloud iam roles describe ROLE --project PROJECT --format json`",
    )?;
    draft.parts.elsewhere.extend(entry(reader, reference, &document)?);
    Ok(())
}

/// How a role of that name is exported; none where it is no role's name.
fn export(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').collect();
    if parts.iter().any(|part| part.is_empty() || part.contains(char::is_whitespace))
        || name.ends_with(".json")
    {
        return None;
    }
    match &parts[..] {
        ["roles", _] => Some(format!("gcloud iam roles describe {name}")),
        ["projects", project, "roles", role] => {
            Some(format!("gcloud iam roles describe {role} --project {project}"))
        }
        ["organizations", organization, "roles", role] => {
            Some(format!("gcloud iam roles describe {role} --organization {organization}"))
        }
        _ => None,
    }
}

/// The role's entry; none where it is switched off or deleted, and then grants nothing.
/// <https://cloud.google.com/iam/docs/roles-overview#role-launch-stages>
pub(super) fn entry(
    reader: &mut Reader<'_>,
    reference: &Reference<'_>,
    role: &Value,
) -> Result<Option<Elsewhere>, Problem> {
    let role = match role {
        Value::Array(roles) => match &roles[..] {
            [role] => role,
            more => {
                return Err(Problem::Unparsed(format!("it holds {} roles, and one is wanted", more.len())));
            }
        },
        role => role,
    };
    let key = ["includedPermissions", "permissions"].into_iter().find(|key| field(role, key).is_some());
    let Some(key) = key else {
        return Err(Problem::Unparsed(
            "it has no `includedPermissions`: a listing leaves them out, `gcloud iam roles describe` does not"
                .to_owned(),
        ));
    };
    let permissions = texts(role, key)?;
    let is_disabled = field(role, "stage").and_then(Value::as_str) == Some("DISABLED");
    if is_disabled || field(role, "deleted").and_then(Value::as_bool) == Some(true) {
        let message = format!("`{}` is disabled or deleted, so it grants nothing", reference.shown());
        reader.warn(reference.line, reference.key(), message);
        return Ok(None);
    }
    let name = ["name", "roleId"].iter().find_map(|key| field(role, key)?.as_str()).unwrap_or("role");
    let things = reference.place.iter().cloned().map(Thing::Place).collect();
    let mut entry = entry_of(Cloud::Gcp, things, reference.origin(reader, name));
    entry.operations.push(Operations::new(None, &permissions, &[]));
    Ok(Some(entry))
}
