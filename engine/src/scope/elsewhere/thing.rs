//! What an entry about Azure or GCP is on: a kind of thing, or a place and all that lies in it

use crate::cloud::Cloud;
use policy::wildcard::{ActionPattern, Match};

/// What an entry is about.
#[derive(Debug, Clone)]
pub(crate) enum Thing {
    /// A resource type, as an operation begins with it: `Microsoft.Compute/virtualMachines`, `compute.instances`
    Type {
        pattern: ActionPattern,
        /// Types below it are meant as well
        below: bool,
    },
    /// A scope or resource name and all below it: `/subscriptions/8d0f...`, `projects/acme-ops`
    Place(String),
}

/// Permissions in GCP do not nest as Azure's types do, though their things do: what a bucket or a data set holds.
/// <https://cloud.google.com/iam/docs/permissions-reference>
const INSIDE: &[(&str, &[&str])] = &[
    ("storage.buckets", &["storage.objects", "storage.folders", "storage.managedFolders"]),
    ("bigquery.datasets", &["bigquery.tables", "bigquery.models", "bigquery.routines"]),
    ("cloudsql.instances", &["cloudsql.databases", "cloudsql.users", "cloudsql.backupRuns"]),
    ("spanner.instances", &["spanner.databases", "spanner.backups"]),
    ("secretmanager.secrets", &["secretmanager.versions"]),
    ("cloudkms.cryptoKeys", &["cloudkms.cryptoKeyVersions"]),
    ("cloudkms.keyRings", &["cloudkms.cryptoKeys", "cloudkms.cryptoKeyVersions"]),
];
const AUTHORIZATION: &str = "microsoft.authorization/";
const MANAGEMENT_GROUPS: &str = "/providers/microsoft.management/managementgroups/";

impl Thing {
    /// As a manifest writes it.
    pub(in crate::scope) fn as_str(&self) -> &str {
        match self {
            Thing::Type { pattern, .. } => pattern.as_str(),
            Thing::Place(name) => name,
        }
    }

    pub(super) fn matches(&self, cloud: Cloud, operation: &str, place: Option<&str>) -> Match {
        match self {
            Thing::Type { pattern, below } => {
                let kind = type_of(cloud, operation);
                let found = matches_type(cloud, pattern, *below, kind);
                // Who may do what with a thing is asked of Microsoft.Authorization, at the thing.
                if found != Match::No || cloud != Cloud::Azure || !begins(kind, AUTHORIZATION) {
                    return found;
                }
                match place {
                    None => Match::Partly,
                    Some(place) => {
                        type_at(place).map_or(Match::No, |kind| matches_type(cloud, pattern, *below, &kind))
                    }
                }
            }
            Thing::Place(known) => match place {
                None => Match::Partly,
                Some(place) => within(cloud, known, place),
            },
        }
    }
}

fn matches_type(cloud: Cloud, pattern: &ActionPattern, below: bool, kind: &str) -> Match {
    let found = pattern.matches(kind);
    if !below || found == Match::Yes {
        return found;
    }
    if cloud == Cloud::Azure {
        return found.or(ActionPattern::new(&format!("{}/*", pattern.as_str())).matches(kind));
    }
    let inside = INSIDE.iter().filter(|(_, inner)| inner.contains(&kind));
    inside.fold(found, |found, (outer, _)| found.or(pattern.matches(outer)))
}

/// The type of what an operation is done to: `Microsoft.Compute/virtualMachines` of
/// `Microsoft.Compute/virtualMachines/start/action`, `compute.instances` of `compute.instances.delete`.
fn type_of(cloud: Cloud, operation: &str) -> &str {
    if cloud == Cloud::Gcp {
        return operation.rsplit_once('.').map_or(operation, |(kind, _)| kind);
    }
    let Some((head, last)) = operation.rsplit_once('/') else { return operation };
    if last.eq_ignore_ascii_case("action") {
        head.rsplit_once('/').map_or(head, |(kind, _)| kind)
    } else {
        head
    }
}

/// The type of the thing that an id names, less what is granted on it: `Microsoft.Sql/servers/databases` of
/// `/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/a/databases/b`.
fn type_at(place: &str) -> Option<String> {
    let lower = place.to_ascii_lowercase();
    let own = lower.rfind(&format!("/providers/{AUTHORIZATION}")).unwrap_or(lower.len());
    let place = place.get(..own)?;
    let at = lower.get(..own)?.rfind("/providers/")? + "/providers/".len();
    let mut parts = place.get(at..)?.split('/');
    let mut kind = parts.next()?.to_owned();
    for part in parts.step_by(2) {
        kind.push('/');
        kind.push_str(part);
    }
    Some(kind)
}

/// Whether a place lies in another. Where a project's name and number, or a bucket without its project, meet, it cannot
/// be told; nor what lies in a folder or a management group.
fn within(cloud: Cloud, outer: &str, inner: &str) -> Match {
    let (outer, inner) = (tidy(cloud, outer), tidy(cloud, inner));
    if outer.is_empty() || outer == "*" {
        return Match::Yes;
    }
    let found = at_or_below(cloud, &outer, &inner);
    if found != Match::No {
        return found;
    }
    let doubtful = match cloud {
        Cloud::Gcp => {
            let grouped = ["folders/", "organizations/"];
            let in_a_group = begins(&inner, "projects/") || begins(&inner, "folders/");
            grouped.iter().any(|group| begins(&outer, group)) && in_a_group
        }
        _ => {
            let in_a_group = begins(&inner, "/subscriptions/") || begins(&inner, MANAGEMENT_GROUPS);
            begins(&outer, MANAGEMENT_GROUPS) && in_a_group
        }
    };
    if doubtful || (cloud == Cloud::Gcp && may_be_one_project(&outer, &inner)) {
        return Match::Partly;
    }
    Match::No
}

fn at_or_below(cloud: Cloud, outer: &str, inner: &str) -> Match {
    let matches = |pattern: &str| {
        let pattern = ActionPattern::new(pattern);
        match pattern.matches(inner) {
            // Azure's names ignore case; Google's do not.
            Match::Yes if cloud == Cloud::Gcp && !pattern.matches_exactly(inner) => Match::No,
            found => found,
        }
    };
    matches(outer).or(matches(&format!("{outer}/*")))
}

/// Whether two names are the same but for a project that one names by its id and the other by its number, or not at all
/// (`projects/_/buckets/acme`).
fn may_be_one_project(outer: &str, inner: &str) -> bool {
    let project = |text: &'_ str| -> Option<(String, String)> {
        let rest = text.strip_prefix("projects/")?;
        let (project, rest) = rest.split_once('/').unwrap_or((rest, ""));
        Some((project.to_owned(), rest.to_owned()))
    };
    let numeric = |text: &str| text == "_" || text.bytes().all(|b| b.is_ascii_digit());
    let (Some((ours, outer)), Some((theirs, inner))) = (project(outer), project(inner)) else {
        return false;
    };
    let same_rest = outer.is_empty() || at_or_below(Cloud::Gcp, &outer, &inner) != Match::No;
    let unnamed = ours == "_" || theirs == "_";
    ours != theirs && same_rest && (unnamed || numeric(&ours) != numeric(&theirs))
}

/// A name without its trailing slash and, in GCP, without its service:
/// <https://cloud.google.com/asset-inventory/docs/resource-name-format>
fn tidy(cloud: Cloud, text: &str) -> String {
    let text = text.trim_end_matches('/');
    if cloud != Cloud::Gcp {
        return text.to_owned();
    }
    if text.starts_with("https://") {
        return text.find("/projects/").and_then(|at| text.get(at + 1..)).unwrap_or(text).to_owned();
    }
    match text.strip_prefix("//").and_then(|text| text.split_once('/')) {
        // The only service whose full names leave the project out.
        Some(("storage.googleapis.com", name)) if !name.starts_with("projects/") => {
            match name.split_once('/') {
                Some((bucket, object)) if !object.starts_with("objects/") => {
                    format!("projects/_/buckets/{bucket}/objects/{object}")
                }
                _ => format!("projects/_/buckets/{name}"),
            }
        }
        Some((_, name)) => name.to_owned(),
        None => text.to_owned(),
    }
}

fn begins(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
