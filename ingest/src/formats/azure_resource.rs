//! Azure's resource logs: requests to services themselves, the data plane.
//!
//! <https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema>, Storage:
//! <https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference>, Key Vault:
//! <https://learn.microsoft.com/azure/key-vault/general/logging>

use crate::event::{Event, EventBuilder};
use crate::formats::azure::{self, Caller, Outcome};
use crate::formats::azure_activity::{OPERATION, RESOURCE, TIME, raw_object};
use crate::formats::fields::Fields;
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;

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
    let properties = record.object_if_one(&["properties"])?;
    let identity = record.object_if_one(&["identity"])?;
    let caller = Caller::of(record)?;
    let lower = |text: Option<String>| text.map(|text| text.to_ascii_lowercase());
    let resource = lower(record.text(RESOURCE));
    let category = record.text(&["category"]);
    let tenant = lower(record.text(&["tenantId"])).or_else(|| caller.tenant.clone());
    let account = azure::account_of(resource.as_deref()).or_else(|| tenant.clone());
    let service = azure::provider_of(&operation, resource.as_deref())
        .or_else(|| {
            let is_storage = category.as_deref().is_some_and(|category| category.starts_with("Storage"));
            is_storage.then(|| "Microsoft.Storage".to_owned())
        })
        .or_else(|| record.text(&["resourceProvider"]))
        .unwrap_or_else(|| "Microsoft.Resources".to_owned());
    let correlation = record.text(&["correlationId"]);
    let result = Outcome::of(record, &properties);
    let told = record
        .text(&["callerIpAddress"])
        .or_else(|| properties.text(&["clientIpAddress", "callerIpAddress"]));
    let source = azure::address(told, &caller);
    let user_agent = properties.text(&["userAgentHeader", "clientInfo", "userAgent"]);
    let hint = caller.agent(user_agent.as_deref());
    let (key_kind, actor) = match credential(identity.text(&["type"]).as_deref()) {
        Some("anonymous") => (Some("anonymous"), Some("anonymous".to_owned())),
        kind => (kind, caller.actor.clone()),
    };
    let touched = touched(record, &properties, resource.as_deref());
    let resources: Vec<&str> = touched.as_deref().or(resource.as_deref()).into_iter().collect();
    let additional = raw_object(record, &["properties"]);
    let granted = identity.raw(&["authorization"]);
    let request = record.raw(&["uri", "requestUri"]);
    // A shared signature in an address is a secret.
    let request = request.filter(|uri| !uri.contains("sig=")).map(|uri| format!("{{\"uri\":{uri}}}"));
    let [request, additional, granted] =
        [request.as_deref(), additional.as_deref(), granted].map(|raw| redact.deep_option(raw));

    builder.append(&Event {
        event_id: &azure::event_id(record.text(&["eventDataId"]), correlation.as_deref(), text),
        time,
        provider: "azure",
        account: account.as_deref(),
        recipient_account: account.as_deref(),
        region: record.text(&["location"]).as_deref(),
        category: Some("data"),
        service: &service,
        operation: &operation,
        api_version: record.word(&["operationVersion"]).as_deref(),
        read_only: read_only(&operation, category.as_deref()),
        event_type: category.as_deref(),
        request_id: correlation.as_deref(),
        outcome: result.outcome,
        error_code: result.code.as_deref(),
        error_message: result.message.as_deref(),
        denied_by: result.denied_by,
        actor_type: caller.kind,
        actor: actor.as_deref(),
        actor_id: caller.id.as_deref(),
        actor_account: caller.tenant.as_deref().or(tenant.as_deref()),
        session: caller.session.as_deref(),
        session_started: caller.session_started,
        // The hash of the key or signature, as the log tells it.
        credential: identity.text(&["tokenHash"]).as_deref(),
        credential_kind: key_kind.or(caller.credential_kind),
        mfa: caller.mfa,
        on_behalf_of: caller.on_behalf_of.as_deref(),
        workload: caller.app.as_deref(),
        agent_hint: hint.map(|(hint, _)| hint),
        agent_evidence: hint.map(|(_, evidence)| evidence),
        source_ip: source.as_ref().map(|source| &*source.text),
        source_kind: source.as_ref().and_then(|source| source.kind),
        user_agent: user_agent.as_deref(),
        tls: properties.text(&["tlsVersion"]).as_deref(),
        resources: &resources,
        request: request.as_deref(),
        additional: additional.as_deref(),
        granted: granted.as_deref(),
        object: place.object,
        row: place.row,
        ..Event::default()
    });
    Ok(())
}

/// A key or a shared signature stands for the account, and no role is asked.
fn credential(kind: Option<&str>) -> Option<&'static str> {
    let kind = kind?.to_ascii_lowercase();
    if kind.contains("sas") {
        Some("sas")
    } else if kind.contains("key") {
        Some("account_key")
    } else if kind == "anonymous" {
        Some("anonymous")
    } else {
        None
    }
}

fn read_only(operation: &str, category: Option<&str>) -> Option<bool> {
    match category {
        Some("StorageRead") => Some(true),
        Some("StorageWrite" | "StorageDelete") => Some(false),
        _ => azure::read_only(operation),
    }
}

/// The id of what was touched, as role assignments would name it; in lower case. None where the record does not tell.
fn touched(record: &Fields<'_>, properties: &Fields<'_>, resource: Option<&str>) -> Option<String> {
    let id = resource?;
    if id.contains("/providers/microsoft.keyvault/vaults/") {
        // https://acme.vault.azure.net/secrets/payments/0123
        let address = properties.text(&["id"]).or_else(|| properties.text(&["requestUri"]))?;
        let mut parts = address.split_once("://")?.1.split(['/', '?']).skip(1);
        let (kind, name) = (parts.next()?, parts.next()?);
        return (!name.is_empty()).then(|| format!("{id}/{kind}/{name}").to_ascii_lowercase());
    }
    let collections =
        [("/blobservices/", "containers"), ("/queueservices/", "queues"), ("/tableservices/", "tables")];
    let (_, collection) = collections.iter().find(|(service, _)| id.contains(service))?;
    // /account/container/path of the blob
    let key = properties.text(&["objectKey"]).or_else(|| record.text(&["objectKey"]))?;
    let name = key.trim_start_matches('/').split('/').nth(1)?.to_ascii_lowercase();
    (!name.is_empty()).then(|| format!("{id}/{collection}/{name}"))
}

#[cfg(test)]
mod tests;
