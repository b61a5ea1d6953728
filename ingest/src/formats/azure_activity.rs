//! Azure's Activity Log: what was done to resources.
//!
//! Exports of diagnostic settings (storage, Event Hub), the REST interface and `az monitor activity-log list`, and rows
//! of the table `AzureActivity`: <https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema>

use crate::event::{Event, EventBuilder};
use crate::formats::azure::{self, Caller, Outcome};
use crate::formats::fields::{Fields, decoded};
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;

/// Where an activity says when it happened.
pub(super) const TIME: &[&str] = &["time", "eventTimestamp", "TimeGenerated"];
/// What was asked. The table has a name for people in `OperationName`.
pub(super) const OPERATION: &[&str] = &["operationNameValue", "operationName"];
pub(super) const RESOURCE: &[&str] = &["resourceId", "resourceUri"];

pub(super) fn append(
    builder: &mut EventBuilder,
    record: &Fields<'_>,
    text: &str,
    place: Place<'_>,
    redact: &Redaction,
) -> Result<(), Unread> {
    let operation =
        record.strict(OPERATION)?.ok_or_else(|| Unread::new(reason::MISSING_FIELD, "operationName"))?;
    let time = record.time(TIME)?;
    let identity = record.object_if_one(&["identity"])?;
    let caller = Caller::of(record)?;
    let authorization = azure::authorization(record, &identity)?;
    let properties = record.object_if_one(&["properties"])?;
    let lower = |text: Option<String>| text.map(|text| text.to_ascii_lowercase());
    let resource = lower(record.text(RESOURCE));
    let scope = lower(authorization.text(&["scope"]));
    let subscription = azure::account_of(resource.as_deref()).or_else(|| azure::account_of(scope.as_deref()));
    let tenant = lower(record.text(&["tenantId"])).or_else(|| caller.tenant.clone());
    let account = subscription.or_else(|| lower(record.text(&["subscriptionId"]))).or_else(|| tenant.clone());
    let action = authorization.text(&["action"]);
    let service = [action.as_deref(), Some(&operation)]
        .into_iter()
        .flatten()
        .find_map(|operation| azure::provider_of(operation, None))
        .or_else(|| record.text(&["resourceProviderName", "resourceProviderValue"]))
        .or_else(|| azure::provider_of("", resource.as_deref()))
        .unwrap_or_else(|| "Microsoft.Resources".to_owned());
    let category =
        record.text(&["categoryValue", "category"]).or_else(|| properties.text(&["eventCategory"]));
    let correlation = record.text(&["correlationId"]);
    let result = Outcome::of(record, &properties);
    let http = record.object_if_one(&["httpRequest"])?;
    let told = record.text(&["callerIpAddress"]).or_else(|| http.text(&["clientIpAddress"]));
    let source = azure::address(told, &caller);
    let user_agent = properties.text(&["userAgentHeader", "userAgent", "clientInfo"]);
    let hint = caller.agent(user_agent.as_deref());
    let request = body(&properties, &["requestbody"]);
    let response = body(&properties, &["responseBody"]);
    let additional = raw_object(record, &["properties"]);
    let granted =
        raw_object(record, &["authorization"]).or_else(|| raw_object(&identity, &["authorization"]));
    let [request, response, additional, granted] =
        [&request, &response, &additional, &granted].map(|raw| redact.deep_option(raw.as_deref()));
    let resources: Vec<&str> = scope.as_deref().or(resource.as_deref()).into_iter().collect();

    builder.append(&Event {
        event_id: &azure::event_id(record.text(&["eventDataId"]), correlation.as_deref(), text),
        time,
        received: record
            .text(&["submissionTimestamp", "eventSubmissionTimestamp"])
            .and_then(|text| crate::time::micros(&text)),
        provider: "azure",
        account: account.as_deref(),
        recipient_account: account.as_deref(),
        region: record.text(&["location"]).or_else(|| properties.text(&["resourceLocation"])).as_deref(),
        category: category.as_deref().map(category_of).as_deref(),
        service: &service,
        operation: &operation,
        api_version: record.word(&["operationVersion"]).as_deref(),
        read_only: azure::read_only(action.as_deref().unwrap_or(&operation)),
        event_type: category.as_deref(),
        request_id: correlation.as_deref(),
        outcome: result.outcome,
        error_code: result.code.as_deref(),
        error_message: result.message.as_deref(),
        denied_by: result.denied_by,
        actor_type: caller.kind,
        actor: caller.actor.as_deref(),
        actor_id: caller.id.as_deref(),
        actor_account: caller.tenant.as_deref().or(tenant.as_deref()),
        session: caller.session.as_deref(),
        session_started: caller.session_started,
        credential_kind: caller.credential_kind,
        mfa: caller.mfa,
        on_behalf_of: caller.on_behalf_of.as_deref(),
        workload: caller.app.as_deref(),
        agent_hint: hint.map(|(hint, _)| hint),
        agent_evidence: hint.map(|(_, evidence)| evidence),
        source_ip: source.as_ref().map(|source| &*source.text),
        source_kind: source.as_ref().and_then(|source| source.kind),
        user_agent: user_agent.as_deref(),
        resources: &resources,
        request: request.as_deref(),
        response: response.as_deref(),
        additional: additional.as_deref(),
        granted: granted.as_deref(),
        object: place.object,
        row: place.row,
        ..Event::default()
    });
    Ok(())
}

/// `management` for what somebody did; the rest by its own name.
fn category_of(category: &str) -> String {
    let lower = category.to_ascii_lowercase();
    if lower == "administrative" { "management".to_owned() } else { lower }
}

/// A body is logged as text; JSON in it is shown as such.
fn body(properties: &Fields<'_>, names: &[&str]) -> Option<String> {
    raw_object(properties, names).or_else(|| properties.raw(names).map(str::to_owned))
}

/// An object's raw text, also where it is written into a string.
pub(super) fn raw_object(fields: &Fields<'_>, names: &[&str]) -> Option<String> {
    let raw = fields.raw(names)?;
    if raw.starts_with('{') {
        return Some(raw.to_owned());
    }
    let inner = decoded(raw)?;
    let inner = inner.trim();
    (inner.starts_with('{') && Fields::of(inner).is_ok()).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests;
