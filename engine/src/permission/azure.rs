//! Azure's Activity Log names the operation that was authorised; resource logs name the request
//!
//! <https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema>

mod data_plane;

use serde_json::Value;

use super::foreign::{Foreign, at, push};
use crate::cloud::Cloud;
use policy::azure::Plane;

const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";

/// Categories in which Azure speaks of itself: nobody was authorised for anything.
const OWN_CATEGORIES: &[&str] =
    &["policy", "recommendation", "security", "servicehealth", "resourcehealth", "autoscale", "alert"];

pub(super) fn read(record: &Value) -> Option<Foreign> {
    record.as_object()?;
    let operation = text(record, &["operationName", "operation_name"]).unwrap_or_default();
    let resource = text(record, &["resourceId", "resource_id", "ResourceId"]);
    let authorization = authorization(record);
    let is_azure = authorization.is_some_and(|one| one.get("action").is_some())
        || (!operation.is_empty()
            && (resource.is_some() || record.get("category").is_some() || record.get("tenantId").is_some()));
    if !is_azure {
        return None;
    }
    let category = text(record, &["category"]).unwrap_or_default();
    let mut told = Foreign::new(Cloud::Azure, Plane::Control);
    caller(record, authorization, &mut told);
    told.granted = granted(record);
    told.user_agent = at(record, &["properties", "userAgentHeader"])
        .or_else(|| at(record, &["properties", "clientInfo"]))
        .map(str::to_owned);
    if let Some(authorization) = authorization {
        told.assignment = at(authorization, &["evidence", "roleAssignmentId"]).map(str::to_owned);
        push(&mut told.resources, at(authorization, &["scope"]).unwrap_or_default());
    }

    if let Some(data) = data_plane::read(record, category, operation) {
        told.plane = data.plane;
        told.resources = data.resource.or_else(|| resource.map(str::to_owned)).into_iter().collect();
        (told.certain, told.possible) = (data.certain, data.possible);
        return Some(told);
    }
    if told.resources.is_empty() {
        push(&mut told.resources, resource.unwrap_or_default());
    }
    let action = authorization.and_then(|one| at(one, &["action"])).unwrap_or(operation);
    push(&mut told.certain, authorised(category, action).unwrap_or_default());
    Some(told)
}

/// The operation that somebody was authorised for; none where Azure speaks of itself.
fn authorised<'a>(category: &str, action: &'a str) -> Option<&'a str> {
    let own = OWN_CATEGORIES.iter().any(|own| category.eq_ignore_ascii_case(own))
        // What Azure Policy found out about a resource, not what somebody did.
        || starts_with(action, "microsoft.authorization/policies/");
    let known = category.is_empty() || category.eq_ignore_ascii_case("administrative");
    (known && !own && is_operation(action)).then_some(action)
}

/// What a row of the event table needed: of an activity what was authorised, of a request what it takes.
pub(super) fn needed_by(
    category: &str,
    operation: &str,
    authorization: &Value,
    by_key: bool,
) -> (Plane, Vec<String>, Vec<String>) {
    if let Some((_, needs)) = data_plane::needs(category, operation, by_key) {
        return (needs.plane, needs.certain, needs.possible);
    }
    let action = at(authorization, &["action"]).unwrap_or(operation);
    let certain = authorised(category, action).map(str::to_owned);
    (Plane::Control, certain.into_iter().collect(), Vec::new())
}

/// A field that is a text, or `{value, localizedValue}` as the REST interface prints it.
fn text<'a>(record: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let value = record.get(*name)?;
        value.as_str().or_else(|| value.get("value")?.as_str()).filter(|text| !text.is_empty())
    })
}

fn authorization(record: &Value) -> Option<&Value> {
    let nested = record.get("identity").and_then(|identity| identity.get("authorization"));
    record.get("authorization").or(nested).filter(|one| one.is_object())
}

/// `Provider/type/verb`: three parts at least, the last one a verb.
fn is_operation(text: &str) -> bool {
    let verb = text.rsplit('/').next().unwrap_or_default();
    let verbs = ["read", "write", "delete", "action"];
    text.split('/').count() >= 3
        && text.contains('.')
        && verbs.iter().any(|one| verb.eq_ignore_ascii_case(one))
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Role assignments name object ids; so these come first.
fn caller(record: &Value, authorization: Option<&Value>, told: &mut Foreign) {
    let identity = record.get("identity").unwrap_or(&Value::Null);
    // Key Vault says `claim`.
    let claims = record.get("claims").or_else(|| identity.get("claims")).or_else(|| identity.get("claim"));
    let claims = claims.unwrap_or(&Value::Null);
    let requester = identity.get("requester").unwrap_or(&Value::Null);
    let claim = |keys: &[&str]| keys.iter().find_map(|key| at(claims, &[key]));
    told.name(claim(&[OBJECT_ID, "oid"]));
    told.name(at(requester, &["objectId"]));
    told.name(at(record, &["properties", "initiatedBy", "user", "id"]));
    told.name(at(record, &["properties", "initiatedBy", "app", "servicePrincipalId"]));
    // Where a group has the role, the evidence names the group.
    if let Some(evidence) = authorization.and_then(|one| one.get("evidence"))
        && !at(evidence, &["principalType"]).is_some_and(|kind| kind.to_ascii_lowercase().contains("group"))
    {
        told.name(at(evidence, &["principalId"]).map(str::to_owned).as_deref());
    }
    told.name(at(record, &["caller"]));
    told.name(claim(&[UPN, "upn", NAME, EMAIL, "name"]));
    told.name(at(requester, &["upn"]));
    told.name(at(record, &["properties", "initiatedBy", "user", "userPrincipalName"]));
    told.name(claim(&["appid", "azp"]));
    told.name(at(requester, &["appId"]));
}

/// What the record says of its outcome, as far as authorisation goes: a failure of another kind came after it, but not
/// every service checks in that order, so it tells nothing.
fn granted(record: &Value) -> Option<bool> {
    let properties = record.get("properties").unwrap_or(&Value::Null);
    let words = [
        text(record, &["resultType", "status"]),
        text(record, &["resultSignature", "subStatus", "sub_status"]),
        at(properties, &["statusCode"]),
        at(record, &["statusText"]),
        at(properties, &["statusMessage"]),
        at(record, &["resultDescription"]),
        at(properties, &["metricResponseType"]),
    ];
    let code = ["statusCode", "resultSignature"].iter().find_map(|key| number(record.get(*key)?));
    let code = code.or_else(|| number(properties.get("httpStatusCode")?));
    let any = |marks: &[&str]| {
        words.iter().flatten().any(|word| {
            let head: String = word.chars().take(4_096).collect::<String>().to_ascii_lowercase();
            marks.iter().any(|mark| head.contains(mark))
        })
    };
    // Azure Policy, a lock and a firewall refuse as well, and RBAC has no part in it.
    if any(&["requestdisallowedbypolicy", "scopelocked", "authorizationfailure", "ipauthorizationerror"]) {
        return None;
    }
    let denied =
        ["authorizationfailed", "linkedauthorizationfailed", "forbidden", "authorizationpermissionmismatch"];
    if code == Some(403) || any(&denied) {
        return Some(false);
    }
    if let Some(code) = code {
        return (200..400).contains(&code).then_some(true);
    }
    let done = ["success", "succeeded", "accept", "accepted", "start", "started"];
    let status = text(record, &["resultType", "status"]).or_else(|| at(properties, &["metricResponseType"]));
    status.is_some_and(|status| done.iter().any(|word| status.eq_ignore_ascii_case(word))).then_some(true)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    }
}

#[cfg(test)]
pub(super) fn data_operations() -> Vec<(Plane, String)> {
    data_plane::all()
}
