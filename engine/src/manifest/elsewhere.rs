//! Azure and GCP in manifests: what verbs mean there, how a catalog names things, and raw entries

use super::reader::Reader;
use super::yaml::Entry;
use crate::cloud::Cloud;
use crate::scope::{Elsewhere, Kind, Operations, Plane, Thing};
use policy::wildcard::ActionPattern;

/// The clouds beside AWS.
pub(super) const CLOUDS: [Cloud; 2] = [Cloud::Azure, Cloud::Gcp];

/// What verbs mean in Azure and in GCP unless a catalog says otherwise.
///
/// Keys open a thing to whoever holds them, so that to hand them out is `admin`, as a grant is.
/// <https://learn.microsoft.com/azure/role-based-access-control/permissions-reference>,
/// <https://cloud.google.com/iam/docs/permissions-reference>
const VERBS: &[(&str, &[&str], &[&str])] = &[
    (
        "read",
        &["*/read"],
        &[
            "*.get",
            "*.getData",
            "*.getIamPolicy",
            "*.list",
            "*.listTagBindings",
            "*.listEffectiveTags",
            "*.search",
            "*.searchAll",
        ],
    ),
    (
        "write",
        &["*/write"],
        &[
            "*.create*",
            "*.update*",
            "*.patch",
            "*.set*",
            "*.add*",
            "*.insert",
            "*.write*",
            "*.import*",
            "*.publish",
            "*.attach*",
            "*.detach*",
            "*.remove*",
            "*.move",
            "*.start*",
            "*.stop",
            "*.suspend",
            "*.resume",
            "*.reset",
            "*.resize",
            "*.restore",
            "*.enable",
            "*.disable",
        ],
    ),
    (
        "delete",
        &["*/delete", "*/delete*/action", "*/*Delete/action", "*/purge*/action"],
        &["*.delete*", "*.destroy*", "*.purge*"],
    ),
    (
        "admin",
        &[
            "Microsoft.Authorization/*/write",
            "Microsoft.Authorization/*/delete",
            "Microsoft.Authorization/*/action",
            "Microsoft.Authorization/elevateAccess/action",
            "Microsoft.KeyVault/vaults/accessPolicies/*",
            "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
            "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
            "*/list*Keys*/action",
            "*/list*Sas/action",
            "*/regenerate*Key*/action",
        ],
        &[
            "*.setIamPolicy",
            "iam.roles.create",
            "iam.roles.update",
            "iam.roles.delete",
            "iam.roles.undelete",
            "iam.denypolicies.create",
            "iam.denypolicies.update",
            "iam.denypolicies.delete",
            "iam.serviceAccounts.actAs",
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.getOpenIdToken",
            "iam.serviceAccounts.implicitDelegation",
            "iam.serviceAccounts.signBlob",
            "iam.serviceAccounts.signJwt",
            "iam.serviceAccountKeys.create",
            "orgpolicy.policy.set",
        ],
    ),
    (
        "invoke",
        &["*/action"],
        &[
            "*.invoke",
            "*.predict",
            "cloudfunctions.functions.call",
            "run.jobs.run",
            "run.jobs.runWithOverrides",
            "workflows.executions.create",
        ],
    ),
];

/// What a verb leaves out there whatever its catalog says: `*/write` would take who may do what with it, as no access
/// level of AWS does.
pub(super) fn never(verb: &str) -> &'static [&'static str] {
    match verb {
        "write" => &["admin"],
        "invoke" => &["admin", "delete"],
        _ => &[],
    }
}

/// The patterns of a verb that is built in.
pub(super) fn built_in(verb: &str, cloud: Cloud) -> Vec<String> {
    let found = VERBS.iter().find(|(name, _, _)| *name == verb);
    let patterns = found.map_or(&[][..], |(_, azure, gcp)| if cloud == Cloud::Azure { azure } else { gcp });
    patterns.iter().map(|text| (*text).to_owned()).collect()
}

/// A cloud by its key in manifests and catalogs.
pub(super) fn cloud_of(key: &str) -> Option<Cloud> {
    CLOUDS.into_iter().find(|cloud| cloud.as_str() == key)
}

/// What is wrong with a verb's pattern or a raw entry's operation.
pub(super) fn doubt_about(cloud: Cloud, pattern: &str) -> Option<&'static str> {
    match cloud {
        _ if pattern == "*" => None,
        Cloud::Azure if !pattern.contains('/') || pattern.starts_with('/') => {
            Some("is no operation. Write it like `Microsoft.Compute/virtualMachines/read`, or `*/read`")
        }
        Cloud::Gcp if !pattern.contains('.') || pattern.contains('/') => {
            Some("is no permission. Write it like `compute.instances.get`, or `*.get`")
        }
        _ => None,
    }
}

/// What a catalog's word stands for. `below`: what lies below a type is meant as well.
///
/// # Errors
/// What can stand there.
pub(super) fn thing(cloud: Cloud, text: &str, below: bool) -> Result<Thing, &'static str> {
    let kind = |text: &str| Ok(Thing::Type { pattern: ActionPattern::new(text), below });
    let place = |text: &str| Ok(Thing::Place(text.to_owned()));
    if text == "*" {
        return place("*");
    }
    if text.contains(char::is_whitespace) {
        return Err(if cloud == Cloud::Azure { AZURE_FORMS } else { GCP_FORMS });
    }
    if cloud == Cloud::Azure {
        return match text.split_once('/') {
            Some(("", rest)) if !rest.is_empty() => place(text),
            Some((provider, rest)) if provider.contains('.') && !rest.is_empty() => kind(text),
            None if text.contains('.') => kind(&format!("{text}/*")),
            _ => Err(AZURE_FORMS),
        };
    }
    if let Some(rest) = text.strip_prefix("gs://").filter(|rest| !rest.is_empty()) {
        return place(&match rest.trim_end_matches('/').split_once('/') {
            Some((bucket, object)) => format!("projects/_/buckets/{bucket}/objects/{object}"),
            None => format!("projects/_/buckets/{}", rest.trim_end_matches('/')),
        });
    }
    let is_name = ["//", "https://", "projects/", "folders/", "organizations/"];
    if is_name.iter().any(|start| text.strip_prefix(start).is_some_and(|rest| !rest.is_empty())) {
        return place(text);
    }
    match text.split_once('/') {
        Some((service, name)) if is_service(service) && name.contains('/') => place(&format!("//{text}")),
        Some((service, name)) if is_service(service) && !name.is_empty() => {
            kind(&format!("{}.{}", service_of(service), plural(service, name)))
        }
        None if is_service(text) => kind(&format!("{}.*", service_of(text))),
        None if text.contains('.') && !text.ends_with('.') => kind(text),
        _ => Err(GCP_FORMS),
    }
}

/// What can stand in a catalog.
const AZURE_FORMS: &str =
    "is neither a resource type (`Microsoft.Compute/virtualMachines`) nor a scope (`/subscriptions/...`)";
const GCP_FORMS: &str = "is neither a resource type (`compute.googleapis.com/Instance`, `compute.instances`) nor a \
    resource's name (`projects/...`, `//storage.googleapis.com/...`, `gs://...`)";

fn is_service(text: &str) -> bool {
    text.ends_with(".googleapis.com") || text == "k8s.io" || text.ends_with(".k8s.io")
}

/// The first word of a service's permissions, where it is not its host's.
/// <https://cloud.google.com/iam/docs/permissions-reference>
fn service_of(host: &str) -> &str {
    match host.strip_suffix(".googleapis.com") {
        Some("sqladmin") => "cloudsql",
        Some("cloudresourcemanager") => "resourcemanager",
        Some("bigtableadmin") => "bigtable",
        Some("firestore") => "datastore",
        Some(service) => service,
        None => "container",
    }
}

/// A type's word in permissions: `instances` of `Instance`, `urlMaps` of `URLMap`.
fn plural(host: &str, kind: &str) -> String {
    if kind == "*" {
        return kind.to_owned();
    }
    let kind = match host {
        "cloudfunctions.googleapis.com" => kind.trim_start_matches("Cloud"),
        "logging.googleapis.com" if kind != "LogMetric" => kind.trim_start_matches("Log"),
        _ => kind,
    };
    let capitals = kind.chars().take_while(char::is_ascii_uppercase).count();
    let lowered = if capitals > 1 && capitals < kind.chars().count() { capitals - 1 } else { capitals };
    let mut word: String = (kind.chars().enumerate())
        .map(|(at, letter)| if at < lowered { letter.to_ascii_lowercase() } else { letter })
        .collect();
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if word.ends_with('y') && !ends(&["ay", "ey", "oy", "uy"]) {
        word.pop();
        word.push_str("ies");
    } else if ends(&["s", "x", "ch", "sh"]) {
        word.push_str("es");
    } else {
        word.push('s');
    }
    word
}

/// `azure: {actions: [...], scope: ...}` and `gcp: {permissions: [...], resource: ...}`: raw permissions.
pub(super) fn raw(reader: &mut Reader<'_>, entry: &Entry, cloud: Cloud, kind: Kind) -> Option<Elsewhere> {
    let name = cloud.as_str();
    let mut kind = kind;
    let (mut control, mut data) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut things = Vec::new();
    let faults = reader.errors.len();
    let keys: &[&str] = match cloud {
        Cloud::Azure => &["effect", "actions", "notActions", "dataActions", "notDataActions", "scope"],
        _ => &["effect", "permissions", "resource"],
    };
    let fields = reader.map(&entry.value, name, keys);
    // First: what lies below a type is meant by a deny only.
    for field in fields.iter().filter(|field| field.key == "effect") {
        effect(reader, field, &format!("{name}.effect"), &mut kind);
    }
    for field in fields {
        let place = format!("{name}.{}", field.key);
        match field.key.as_str() {
            "effect" => {}
            "scope" | "resource" => {
                for (line, text) in reader.texts(&field.value, &place) {
                    match thing(cloud, &text, kind == Kind::Deny) {
                        Ok(found @ Thing::Place(_)) => things.push(found),
                        Ok(found) if cloud == Cloud::Gcp => things.push(found),
                        Ok(_) => {
                            let help = "is no scope. Write it like `/subscriptions/...`; the type of a thing goes into `actions`";
                            reader.error(line, format!("`{text}` in `{place}` {help}"));
                        }
                        Err(help) => reader.error(line, format!("`{text}` in `{place}` {help}")),
                    }
                }
            }
            key => {
                let slot = match key {
                    "notActions" => &mut control.1,
                    "dataActions" => &mut data.0,
                    "notDataActions" => &mut data.1,
                    _ => &mut control.0,
                };
                for (line, text) in reader.texts(&field.value, &place) {
                    match doubt_about(cloud, &text) {
                        Some(doubt) => reader.error(line, format!("`{text}` in `{place}` {doubt}")),
                        None => slot.push(text),
                    }
                }
            }
        }
    }
    // A subtraction from nothing would silently mean nothing.
    if control.0.is_empty() && data.0.is_empty() {
        if reader.errors.len() == faults {
            let needed = if cloud == Cloud::Azure { "`actions` or `dataActions`" } else { "`permissions`" };
            reader.error(entry.line, format!("`{name}` needs {needed}"));
        }
        return None;
    }
    for (plane, less, from) in [("actions", "notActions", &control), ("dataActions", "notDataActions", &data)]
    {
        if from.0.is_empty() && !from.1.is_empty() {
            reader.error(entry.line, format!("`{name}.{less}` takes from `{plane}`, and there are none"));
        }
    }
    let shown: Vec<&str> = control.0.iter().chain(&data.0).map(String::as_str).take(5).collect();
    let origin = format!("{}:{} {name}: {}", reader.file, entry.line, shown.join(", "));
    let plane = |plane| (cloud == Cloud::Azure).then_some(plane);
    let mut operations = Vec::new();
    for (of, (any, except)) in [(Plane::Control, control), (Plane::Data, data)] {
        if !any.is_empty() {
            operations.push(Operations::new(plane(of), &any, &except));
        }
    }
    Some(Elsewhere { kind, cloud, operations, things, approval: None, unjudged: Vec::new(), origin })
}

fn effect(reader: &mut Reader<'_>, field: &Entry, place: &str, kind: &mut Kind) {
    match reader.text(&field.value, place).as_deref() {
        Some("deny" | "Deny") => *kind = Kind::Deny,
        Some("allow" | "Allow") if *kind != Kind::Deny => {}
        Some(other) => reader.error(
            field.value.line,
            format!("`{other}` in `{place}`: an entry here can be `allow` or `deny`, and none below `deny` can allow"),
        ),
        None => {}
    }
}

#[cfg(test)]
mod tests;
