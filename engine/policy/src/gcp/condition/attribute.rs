//! What the request says of itself: from the context, else from the resource's name

use super::Facts;
use super::time;
use super::value::Value;
use crate::context::Fact;

/// Collections whose type is told by their last-but-one part.
/// <https://cloud.google.com/iam/docs/conditions-resource-attributes#resource-type>
const TYPES: &[(&str, &str, &str)] = &[
    ("storage.googleapis.com", "buckets", "Bucket"),
    ("storage.googleapis.com", "objects", "Object"),
    ("storage.googleapis.com", "managedFolders", "ManagedFolder"),
    ("compute.googleapis.com", "instances", "Instance"),
    ("compute.googleapis.com", "disks", "Disk"),
    ("compute.googleapis.com", "snapshots", "Snapshot"),
    ("compute.googleapis.com", "images", "Image"),
    ("bigquery.googleapis.com", "datasets", "Dataset"),
    ("bigquery.googleapis.com", "tables", "Table"),
    ("secretmanager.googleapis.com", "secrets", "Secret"),
    ("secretmanager.googleapis.com", "versions", "SecretVersion"),
    ("cloudkms.googleapis.com", "keyRings", "KeyRing"),
    ("cloudkms.googleapis.com", "cryptoKeys", "CryptoKey"),
    ("cloudkms.googleapis.com", "cryptoKeyVersions", "CryptoKeyVersion"),
    ("cloudresourcemanager.googleapis.com", "projects", "Project"),
];

pub(super) fn of(path: &str, facts: &Facts<'_>) -> Value {
    let known = match facts.context.fact(path) {
        Fact::Values(values) => match (path, values.as_slice()) {
            ("request.auth.access_levels", values) => {
                Value::List(values.iter().map(|value| Value::Text(value.clone())).collect())
            }
            (_, [value]) => Value::Text(value.clone()),
            (_, values) => Value::List(values.iter().map(|value| Value::Text(value.clone())).collect()),
        },
        // What a comparison with an attribute that is not there gives differs from service to service.
        Fact::Absent => Value::Unknown(vec![path.to_owned()]),
        Fact::Unknown => derived(path, facts).map_or(Value::Unknown(vec![path.to_owned()]), Value::Text),
    };
    match known {
        Value::Text(text) if path == "request.time" => {
            time::parse(&text).map_or(Value::Unknown(vec![path.to_owned()]), Value::Time)
        }
        known => known,
    }
}

fn derived(path: &str, facts: &Facts<'_>) -> Option<String> {
    match path {
        "resource.name" if !facts.name.is_empty() => Some(facts.name.to_owned()),
        "resource.service" => service(facts).map(str::to_owned),
        "resource.type" => {
            let service = service(facts)?;
            let collection = facts.name.rsplit('/').nth(1)?;
            // An object's name may hold slashes.
            let collection = match facts.name.split_once("/objects/") {
                Some(_) if service == "storage.googleapis.com" => "objects",
                _ => collection,
            };
            let (_, _, kind) = TYPES.iter().find(|(of, part, _)| *of == service && *part == collection)?;
            Some(format!("{service}/{kind}"))
        }
        _ => None,
    }
}

fn service<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    if let Some(full) = facts.full_name.trim().strip_prefix("//") {
        return full.split('/').next();
    }
    facts.name.starts_with("projects/_/buckets/").then_some("storage.googleapis.com")
}
