//! Google Cloud's audit logs name the permission that was checked, and what came of it
//!
//! <https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog>

use serde_json::Value;

use super::foreign::{ENTRIES_MAX, Foreign, at, push};
use crate::cloud::Cloud;
use policy::azure::Plane;

/// `google.rpc.Code.PERMISSION_DENIED`
const PERMISSION_DENIED: i64 = 7;

pub(super) fn read(record: &Value) -> Option<Foreign> {
    let payload = record.get("protoPayload").or_else(|| record.get("protopayload"))?;
    let method = at(payload, &["methodName"]);
    let is_audit = payload.get("authorizationInfo").is_some()
        || payload.get("authenticationInfo").is_some()
        || at(payload, &["@type"]).is_some_and(|kind| kind.ends_with(".AuditLog"));
    if method.is_none() && !is_audit {
        return None;
    }
    let log = at(record, &["logName"]).unwrap_or_default();
    // An entry lies in the log of its resource's project, folder or organization.
    let within = log.split_once("/logs/").map_or("", |(container, _)| container);
    let plane = if log.ends_with("data_access") { Plane::Data } else { Plane::Control };
    let mut told = Foreign::new(Cloud::Gcp, plane);
    push(&mut told.within, within);
    caller(payload, &mut told);
    told.user_agent = at(payload, &["requestMetadata", "callerSuppliedUserAgent"]).map(str::to_owned);

    let checks = match payload.get("authorizationInfo") {
        Some(Value::Array(checks)) => checks.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    for check in checks.iter().take(ENTRIES_MAX) {
        push(&mut told.certain, at(check, &["permission"]).unwrap_or_default());
        let resource = at(check, &["resource"]).or_else(|| at(check, &["resourceAttributes", "name"]));
        push(&mut told.resources, resource.unwrap_or_default());
    }
    if told.resources.is_empty() {
        push(&mut told.resources, at(payload, &["resourceName"]).unwrap_or_default());
    }
    told.granted = granted(payload, checks);

    let method = method.unwrap_or_default();
    if only_asks(method) {
        told.certain.clear();
    } else if told.certain.is_empty() && !is_end(record.get("operation")) {
        told.possible.extend(guess(at(payload, &["serviceName"]).unwrap_or_default(), method));
    }
    Some(told)
}

/// It asks what the caller may do, and uses none of it.
pub(super) fn only_asks(method: &str) -> bool {
    method.rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case("testIamPermissions"))
}

/// The last record of a long operation has no check of its own: it was made when the operation began.
pub(super) fn is_end(operation: Option<&Value>) -> bool {
    operation.is_some_and(|operation| {
        operation.get("last") == Some(&Value::Bool(true))
            && operation.get("first") != Some(&Value::Bool(true))
    })
}

fn caller(payload: &Value, told: &mut Foreign) {
    let Some(who) = payload.get("authenticationInfo") else { return };
    told.name(at(who, &["principalEmail"]));
    told.name(at(who, &["principalSubject"]));
    told.name(at(who, &["authoritySelector"]));
    let delegations = who.get("serviceAccountDelegationInfo").and_then(Value::as_array);
    for step in delegations.into_iter().flatten().take(ENTRIES_MAX) {
        let name = at(step, &["firstPartyPrincipal", "principalEmail"])
            .or_else(|| at(step, &["principalSubject"]))
            .or_else(|| at(step, &["thirdPartyPrincipal", "thirdPartyClaims", "sub"]));
        push(&mut told.through, name.unwrap_or_default());
    }
}

/// Whether every check let it through. A `granted` that is left out is false in this notation, or was never asked: then
/// the call's own status decides.
fn granted(payload: &Value, checks: &[Value]) -> Option<bool> {
    let flags: Vec<Option<bool>> =
        checks.iter().take(ENTRIES_MAX).map(|check| check.get("granted").and_then(Value::as_bool)).collect();
    if flags.contains(&Some(false)) {
        return Some(false);
    }
    if !flags.is_empty() && flags.iter().all(|flag| *flag == Some(true)) {
        return Some(true);
    }
    let status = payload.get("status");
    let code = status.and_then(|status| status.get("code")).and_then(Value::as_i64).unwrap_or(0);
    // A perimeter or an organization's policy refused: that is no word of IAM's.
    let by_perimeter =
        payload.get("metadata").and_then(|metadata| metadata.get("vpcServiceControlsUniqueId")).is_some()
            || status.is_some_and(names_a_perimeter);
    match code {
        PERMISSION_DENIED if by_perimeter => None,
        PERMISSION_DENIED => Some(false),
        _ => None,
    }
}

fn names_a_perimeter(status: &Value) -> bool {
    let details = status.get("details").and_then(Value::as_array);
    let violations = details
        .into_iter()
        .flatten()
        .take(ENTRIES_MAX)
        .filter_map(|detail| detail.get("violations")?.as_array())
        .flatten();
    violations
        .take(ENTRIES_MAX)
        .any(|violation| matches!(at(violation, &["type"]), Some("VPC_SERVICE_CONTROLS" | "ORG_POLICY")))
}

/// Where a method is called like its permission, or nearly.
pub(super) fn guess(service: &str, method: &str) -> Option<String> {
    let parts: Vec<&str> = method.split('.').take(8).collect();
    let plain = |service: &str, resource: &str, verb: &str| {
        let named = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        (named(resource) && named(verb)).then(|| format!("{service}.{resource}.{verb}"))
    };
    match (service, parts.as_slice()) {
        // https://cloud.google.com/storage/docs/audit-logging: methods are called like permissions.
        ("storage.googleapis.com", ["storage", resource, verb] | ["google", "storage", resource, verb]) => {
            plain("storage", resource, verb)
        }
        // https://cloud.google.com/compute/docs/access/iam-permissions: verbs of the interface against those of IAM.
        (
            "compute.googleapis.com",
            ["v1" | "beta" | "alpha", "compute", resource, verb] | ["compute", resource, verb],
        ) => {
            let verb = match *verb {
                "insert" => "create",
                "patch" => "update",
                "aggregatedList" => "list",
                verb => verb,
            };
            plain("compute", resource, verb)
        }
        // https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging
        ("k8s.io", ["io", "k8s", _, _, resource, verb]) => {
            let verb = if *verb == "patch" { "update" } else { verb };
            plain("container", resource, verb)
        }
        _ => None,
    }
}
