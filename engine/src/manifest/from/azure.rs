//! `from: {azure_role: ...}`: a role definition as `az role definition list` prints it, or as REST gives it

use serde_json::Value;

use super::source::{Source, field, texts};
use super::{POLICY_BYTES_MAX, Problem, Reference, entry_of};
use crate::cloud::Cloud;
use crate::manifest::agent::Draft;
use crate::manifest::reader::Reader;
use crate::scope::{Elsewhere, Operations, Plane, Thing};

const HINT: &str = "Export it: `az role definition list --name NAME --output json`";
/// More than any role has; one has one as a rule.
const BLOCKS_MAX: usize = 100;
/// A scope on which what lies below is named by its subscription: the log does not tell that it lies below.
const MANAGEMENT_GROUPS: &str = "/providers/microsoft.management/managementgroups/";

pub(super) fn role(
    reader: &Reader<'_>,
    source: &mut Source<'_>,
    reference: &Reference<'_>,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let document = source.json(&reference.named, POLICY_BYTES_MAX, HINT)?;
    draft.parts.elsewhere.extend(entries(reader, reference, &document)?);
    Ok(())
}

/// One entry for each permission block: `notActions` takes away from the `actions` beside it alone.
/// <https://learn.microsoft.com/en-us/azure/role-based-access-control/role-definitions#notactions>
pub(super) fn entries(
    reader: &Reader<'_>,
    reference: &Reference<'_>,
    document: &Value,
) -> Result<Vec<Elsewhere>, Problem> {
    let role = match document {
        Value::Array(roles) => match &roles[..] {
            [role] => role,
            // A list without a name holds every role there is, Owner among them.
            more => {
                let reason = format!("it holds {} roles, and one is wanted. {HINT}", more.len());
                return Err(Problem::Unparsed(reason));
            }
        },
        role => role,
    };
    let role = field(role, "properties").filter(|inner| inner.is_object()).unwrap_or(role);
    let blocks: &[Value] = match field(role, "permissions") {
        Some(Value::Array(blocks)) => blocks,
        None if field(role, "actions").is_some() || field(role, "dataActions").is_some() => {
            std::slice::from_ref(role)
        }
        _ => return Err(Problem::Unparsed(format!("it has no `permissions` and no `actions`. {HINT}"))),
    };
    if blocks.len() > BLOCKS_MAX {
        return Err(Problem::Unparsed(format!("more than {BLOCKS_MAX} blocks of permissions")));
    }
    let (things, doubt) = places(reference, role)?;
    let name = ["roleName", "name"].iter().find_map(|key| field(role, key)?.as_str()).unwrap_or("role");
    let mut found = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        if !block.is_object() {
            return Err(Problem::Unparsed("`permissions` holds something that is no map".to_owned()));
        }
        let operations = |plane, any, except| -> Result<Operations, Problem> {
            Ok(Operations::new(Some(plane), &texts(block, any)?, &texts(block, except)?))
        };
        let operations = vec![
            operations(Plane::Control, "actions", "notActions")?,
            operations(Plane::Data, "dataActions", "notDataActions")?,
        ];
        let part = if blocks.len() == 1 { name.to_owned() } else { format!("{name}[{at}]") };
        let mut entry = entry_of(Cloud::Azure, things.clone(), reference.origin(reader, &part));
        entry.operations = operations.into_iter().filter(|one| !one.any.is_empty()).collect();
        entry.unjudged.extend(doubt.clone());
        if field(block, "condition").and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
            entry.unjudged.push(format!("{}.condition", reference.key()));
        }
        found.push(entry);
    }
    Ok(found)
}

/// Where the role is given: as the manifest says, else where it can be given at all. With what is not judged.
/// <https://learn.microsoft.com/en-us/azure/role-based-access-control/role-definitions#assignablescopes>
fn places(reference: &Reference<'_>, role: &Value) -> Result<(Vec<Thing>, Option<String>), Problem> {
    let mut scopes = match &reference.place {
        Some(place) => vec![place.clone()],
        None => texts(role, "assignableScopes")?,
    };
    if scopes.is_empty() {
        scopes.extend(field(role, "scope").and_then(Value::as_str).map(str::to_owned));
    }
    if scopes.iter().any(|scope| scope == "/") {
        return Ok((Vec::new(), None));
    }
    if let Some(group) = scopes.iter().find(|one| one.to_ascii_lowercase().starts_with(MANAGEMENT_GROUPS)) {
        return Ok((Vec::new(), Some(format!("from.scope {group}"))));
    }
    Ok((scopes.into_iter().map(Thing::Place).collect(), None))
}
