//! What a call in Azure or Google Cloud needed, from its row of the event table

use ingest::event::EventView;
use serde_json::Value;

use super::foreign::{ENTRIES_MAX, at, push};
use super::{Needed, azure, gcp};
use crate::cloud::Cloud;
use policy::azure::Plane;

/// One call in another cloud than AWS. Every text is the log's own, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere<'a> {
    /// Whose row it is
    pub cloud: Cloud,
    /// Control or data plane
    pub plane: Plane,
    /// The permissions that it needed, certain ones first; of Google Cloud's each with the resources it was asked for
    pub needed: Vec<Needed>,
    /// Every name by which a manifest may know the caller, the actor first
    pub names: Vec<&'a str>,
    /// By which name grants know the caller: in Azure the object id, in Google Cloud the address
    pub principal: Option<&'a str>,
    /// What the resources lie in, where the log tells more than their names: `projects/p`
    pub within: Vec<String>,
}

/// Reads a row; `None` where it is AWS's.
#[must_use]
pub fn elsewhere<'a>(view: &EventView<'a>, row: usize) -> Option<Elsewhere<'a>> {
    let cloud = match view.provider(row)? {
        "azure" => Cloud::Azure,
        "gcp" => Cloud::Gcp,
        _ => return None,
    };
    // In Azure a call belongs to the application as well that made it, whoever it was made for.
    let names: Vec<&str> = match cloud {
        Cloud::Azure => {
            [view.actor(row), view.actor_id(row), view.workload(row)].into_iter().flatten().collect()
        }
        _ => [view.actor(row), view.actor_id(row)].into_iter().flatten().collect(),
    };
    let mut told = Elsewhere {
        cloud,
        plane: Plane::Control,
        needed: Vec::new(),
        principal: match cloud {
            Cloud::Azure => view.actor_id(row).or(view.actor(row)),
            _ => view.actor(row),
        },
        names,
        within: Vec::new(),
    };
    match cloud {
        Cloud::Azure => told.azure(view, row),
        _ => told.gcp(view, row),
    }
    Some(told)
}

impl Elsewhere<'_> {
    fn azure(&mut self, view: &EventView<'_>, row: usize) {
        let by_key = matches!(view.credential_kind(row), Some("sas" | "account_key" | "anonymous"));
        let authorization = field(view.granted(row));
        let (category, operation) =
            (view.event_type(row).unwrap_or_default(), view.operation(row).unwrap_or_default());
        // What somebody changed in the directory, and sign-ins, no role of Azure's grants.
        if !matches!(view.category(row), Some("signin" | "directory")) {
            let (plane, certain, possible) = azure::needed_by(category, operation, &authorization, by_key);
            self.plane = plane;
            let resources: Vec<String> = view.resources(row).into_iter().map(str::to_owned).collect();
            self.need(certain, true, &resources);
            self.need(possible, false, &resources);
        }
    }

    fn gcp(&mut self, view: &EventView<'_>, row: usize) {
        if view.category(row) == Some("data") {
            self.plane = Plane::Data;
        }
        self.within = within(view, row).into_iter().collect();
        let operation = view.operation(row).unwrap_or_default();
        if gcp::only_asks(operation) {
            return;
        }
        let checks = field(view.granted(row));
        let checks = match &checks {
            Value::Array(checks) => checks.as_slice(),
            one @ Value::Object(_) => std::slice::from_ref(one),
            _ => &[],
        };
        for check in checks.iter().take(ENTRIES_MAX) {
            let Some(permission) = at(check, &["permission"]) else { continue };
            let named = at(check, &["resource"]).or_else(|| at(check, &["resourceAttributes", "name"]));
            let named: Vec<String> = named.map(str::to_owned).into_iter().collect();
            match self.needed.iter_mut().find(|one| one.permission == permission) {
                Some(one) => {
                    named.iter().for_each(|resource| push(&mut one.resources, resource));
                    one.resources_known &= !named.is_empty();
                }
                None => self.need(vec![permission.to_owned()], true, &named),
            }
        }
        let resources: Vec<String> = view.resources(row).into_iter().map(str::to_owned).collect();
        for one in self.needed.iter_mut().filter(|one| one.resources.is_empty()) {
            one.resources_known = !resources.is_empty();
            one.resources.clone_from(&resources);
        }
        if self.needed.is_empty() && !gcp::is_end(field(view.additional(row)).get("operation")) {
            let guess = gcp::guess(view.service(row).unwrap_or_default(), operation);
            self.need(guess.into_iter().collect(), false, &resources);
        }
    }

    fn need(&mut self, permissions: Vec<String>, certain: bool, resources: &[String]) {
        self.needed.extend(permissions.into_iter().map(|permission| Needed {
            permission,
            certain,
            resources: resources.to_vec(),
            resources_known: !resources.is_empty(),
            one_of: false,
        }));
    }
}

/// An entry lies in the log of its resource's project, folder or organization.
fn within(view: &EventView<'_>, row: usize) -> Option<String> {
    let container = view.recipient_account(row)?;
    Some(if container.contains('/') { container.to_owned() } else { format!("projects/{container}") })
}

/// JSON of a log's field, or null. Nesting is bounded by serde_json.
fn field(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests;
