//! Entra's logs: sign-ins of people, applications, managed identities and agents; what was changed in the directory;
//! and calls of Microsoft Graph.
//!
//! <https://learn.microsoft.com/graph/api/resources/signin>, <https://learn.microsoft.com/graph/api/resources/directoryaudit>,
//! agents: <https://learn.microsoft.com/entra/agent-id/identity-professional/sign-in-audit-logs-agents>

use crate::agent;
use crate::event::{Event, EventBuilder};
use crate::formats::address::Address;
use crate::formats::azure::{Outcome, account_of, event_id};
use crate::formats::azure_activity::{OPERATION, RESOURCE};
use crate::formats::fields::Fields;
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;

/// Where a record says when it happened, in the export and inside it.
const TIME: &[&str] = &["time", "TimeGenerated", "createdDateTime", "activityDateTime"];

pub(super) fn append(
    builder: &mut EventBuilder,
    record: &Fields<'_>,
    text: &str,
    place: Place<'_>,
    redact: &Redaction,
) -> Result<(), Unread> {
    // Graph prints what exports put under `properties`.
    let inner = if record.has(&["properties"]) { Some(record.object(&["properties"])?) } else { None };
    let said = inner.as_ref().unwrap_or(record);
    let category = record.text(&["category"]);
    let is_sign_in = is_sign_in(category.as_deref(), said);
    let operation =
        record.strict(OPERATION)?.or_else(|| said.text(&["activityDisplayName", "operationName"]));
    let operation = operation.or_else(|| is_sign_in.then(|| "Sign-in activity".to_owned()));
    let operation = operation.ok_or_else(|| Unread::new(reason::MISSING_FIELD, "operationName"))?;
    let time =
        if record.has(TIME) { record.time(TIME)? } else { said.time(TIME).or_else(|_| record.time(TIME))? };
    let who = Who::of(said, category.as_deref())?;
    let lower = |text: Option<String>| text.map(|text| text.to_ascii_lowercase());
    let resource = lower(record.text(RESOURCE)).filter(|id| id.starts_with('/'));
    let tenant = lower(record.text(&["tenantId"]).or_else(|| said.text(&["tenantId", "homeTenantId"])));
    let account = tenant.clone().or_else(|| account_of(resource.as_deref()));
    let result = if is_sign_in { signed_in(record, said)? } else { changed(record, said) };
    let correlation = record.text(&["correlationId"]).or_else(|| said.text(&["correlationId"]));
    let told = said.text(&["ipAddress"]).or_else(|| record.text(&["callerIpAddress", "ipAddress"]));
    let source = told.or_else(|| who.address.clone()).map(|told| Address::of(&told));
    let user_agent = said.text(&["userAgent"]);
    let hint = who.hint.or_else(|| agent::client(user_agent.as_deref()?).map(|hint| (hint, "client")));
    let resources: Vec<String> = match is_sign_in {
        true => said.text(&["resourceServicePrincipalId", "resourceId"]).into_iter().collect(),
        false => targets(said),
    };
    let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
    let mfa = said.text(&["authenticationRequirement"]).and_then(|told| match &*told {
        // Asked for is not shown: only a sign-in that went through has shown it.
        "multiFactorAuthentication" => (result.outcome == "success").then_some(true),
        "singleFactorAuthentication" => Some(false),
        _ => None,
    });
    let [request, additional] = [
        said.raw(&["targetResources"]),
        // Graph's own form has no such part: then the whole record is its properties.
        record.raw(&["properties"]).filter(|raw| raw.starts_with('{')),
    ]
    .map(|raw| redact.deep_option(raw));

    builder.append(&Event {
        event_id: &event_id(said.text(&["id"]), correlation.as_deref(), text),
        time,
        provider: "azure",
        account: account.as_deref(),
        recipient_account: account.as_deref(),
        category: Some(if is_sign_in { "signin" } else { "directory" }),
        service: "Microsoft.aadiam",
        operation: &operation,
        api_version: record.word(&["operationVersion"]).as_deref(),
        read_only: is_sign_in.then_some(false),
        event_type: category.as_deref(),
        request_id: correlation.as_deref(),
        outcome: result.outcome,
        error_code: result.code.as_deref(),
        error_message: result.message.as_deref(),
        denied_by: result.denied_by,
        actor_type: who.kind,
        actor: who.actor.as_deref(),
        actor_id: who.id.as_deref(),
        actor_account: lower(said.text(&["homeTenantId"])).or(tenant).as_deref(),
        session: said.text(&["uniqueTokenIdentifier"]).as_deref(),
        session_name: said.text(&["sessionId"]).as_deref(),
        credential: said.text(&["servicePrincipalCredentialKeyId", "federatedCredentialId"]).as_deref(),
        credential_kind: credential_kind(said, category.as_deref()),
        mfa,
        on_behalf_of: who.on_behalf_of.as_deref(),
        workload: who.app.as_deref(),
        agent_hint: hint.map(|(hint, _)| hint),
        agent_evidence: hint.map(|(_, evidence)| evidence),
        source_ip: source.as_ref().map(|source| &*source.text),
        source_kind: source.as_ref().and_then(|source| source.kind),
        user_agent: user_agent.as_deref(),
        resources: &resources,
        request: request.as_deref(),
        additional: additional.as_deref(),
        object: place.object,
        row: place.row,
        ..Event::default()
    });
    Ok(())
}

fn is_sign_in(category: Option<&str>, said: &Fields<'_>) -> bool {
    match category {
        Some(category) if category.to_ascii_lowercase().contains("signin") => true,
        Some("AuditLogs" | "MicrosoftGraphActivityLogs") => false,
        _ => {
            said.has(&["createdDateTime"]) && said.has(&["appId", "userPrincipalName", "servicePrincipalId"])
        }
    }
}

/// Who signed in, or changed something.
#[derive(Default)]
struct Who {
    actor: Option<String>,
    id: Option<String>,
    kind: Option<&'static str>,
    app: Option<String>,
    on_behalf_of: Option<String>,
    hint: Option<(&'static str, &'static str)>,
    address: Option<String>,
}

impl Who {
    fn of(said: &Fields<'_>, category: Option<&str>) -> Result<Who, Unread> {
        let lower = |text: Option<String>| text.map(|text| text.to_ascii_lowercase());
        let initiated = said.object(&["initiatedBy"])?;
        let (user, app) = (initiated.object(&["user"])?, initiated.object(&["app"])?);
        // Sign-ins name the caller at the top, changes under who initiated them.
        let person = said.text(&["userPrincipalName"]).or_else(|| user.text(&["userPrincipalName"]));
        let person_id = said.text(&["userId"]).or_else(|| user.text(&["id"]));
        let principal = said.text(&["servicePrincipalId"]).or_else(|| app.text(&["servicePrincipalId"]));
        let application = said.text(&["appId"]).or_else(|| app.text(&["appId"]));
        let app_name = app.text(&["servicePrincipalName", "displayName"]);
        let (person, person_id) = (lower(person), lower(person_id));
        let (principal, application) = (lower(principal), lower(application));
        let category = category.unwrap_or_default().to_ascii_lowercase();
        let is_managed = category.starts_with("managedidentity");
        let is_app =
            is_managed || category.starts_with("serviceprincipal") || person.is_none() && person_id.is_none();

        let agent = said.object_or_empty(&["agent"]);
        let kinds = [agent.text(&["agentType"]), user.text(&["agentType"]), app.text(&["agentType"])];
        let is_agent = kinds.into_iter().flatten().any(|kind| !kind.eq_ignore_ascii_case("notAgentic"));
        let mut who = Who {
            hint: is_agent.then_some(("entra-agent", "cloud")),
            on_behalf_of: person.clone().filter(|_| is_agent && !is_app),
            address: user.text(&["ipAddress"]),
            app: application.clone(),
            ..Who::default()
        };
        if is_app {
            who.kind = (principal.is_some() || application.is_some() || app_name.is_some()).then_some(
                match (is_agent, is_managed) {
                    (true, _) => "AgentIdentity",
                    (false, true) => "ManagedIdentity",
                    (false, false) => "ServicePrincipal",
                },
            );
            who.id = principal.clone();
            who.actor = principal.or(application).or(app_name);
        } else {
            who.kind = Some("User");
            who.actor = person.or_else(|| person_id.clone());
            who.id = person_id;
        }
        Ok(who)
    }
}

/// A sign-in's error codes are those of AADSTS; 0 is none.
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
fn signed_in(record: &Fields<'_>, said: &Fields<'_>) -> Result<Outcome, Unread> {
    let status = said.object_if_one(&["status"])?;
    let code = status.number(&["errorCode"]).or_else(|| record.number(&["resultType"]));
    let code = code.or_else(|| said.number(&["resultType", "errorCode"]));
    let message = status.text(&["failureReason"]).or_else(|| record.text(&["resultDescription"]));
    let refused =
        said.text(&["conditionalAccessStatus"]).is_some_and(|told| told.eq_ignore_ascii_case("failure"));
    let outcome = match code {
        Some(0) => "success",
        Some(_) if refused => "denied",
        // Blocked by conditional access, by the tenant's policy, or not assigned to the application.
        Some(53000..=53004 | 50105 | 500_021 | 500_213 | 65001 | 90094) => "denied",
        Some(_) => "failed",
        None if record
            .text(&["resultSignature"])
            .is_some_and(|told| told.eq_ignore_ascii_case("success")) =>
        {
            "success"
        }
        None => "unknown",
    };
    let failed = matches!(outcome, "denied" | "failed");
    Ok(Outcome {
        outcome,
        code: code.filter(|_| failed).map(|code| format!("AADSTS{code}")),
        message: message.filter(|_| failed),
        denied_by: (outcome == "denied" && refused).then_some("conditional_access"),
    })
}

/// A change says how it ended in words; a call of Graph in HTTP's status.
fn changed(record: &Fields<'_>, said: &Fields<'_>) -> Outcome {
    let result = said.text(&["result"]).or_else(|| record.text(&["result", "resultType"]));
    let result =
        result.or_else(|| record.text(&["resultSignature"])).unwrap_or_default().to_ascii_lowercase();
    let number = said.number(&["responseStatusCode"]).or_else(|| record.number(&["resultSignature"]));
    let why = said.text(&["resultReason"]).or_else(|| record.text(&["resultDescription"]));
    let words = why.as_deref().unwrap_or_default().to_ascii_lowercase();
    let refused = [
        "insufficient privileges",
        "authorization_requestdenied",
        "access denied",
        "unauthorized",
        "forbidden",
    ];
    let outcome = match (&*result, number) {
        (_, Some(401 | 403)) => "denied",
        ("success" | "succeeded", _) | (_, Some(200..400)) => "success",
        ("failure" | "failed" | "clienterror" | "timeout", _) | (_, Some(400..600)) => {
            if refused.iter().any(|word| words.contains(word)) { "denied" } else { "failed" }
        }
        _ => "unknown",
    };
    let failed = matches!(outcome, "denied" | "failed");
    Outcome {
        outcome,
        code: number.filter(|_| failed).map(|code| code.to_string()),
        message: why.filter(|_| failed),
        denied_by: None,
    }
}

/// `User/6f1d...` of each thing that was changed.
fn targets(said: &Fields<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for target in said.list(&["targetResources"]) {
        let target = Fields::of(target).unwrap_or_default();
        let Some(id) = target.text(&["id", "displayName"]) else { continue };
        let named = target.text(&["type"]).map_or_else(|| id.clone(), |kind| format!("{kind}/{id}"));
        if !found.contains(&named) {
            found.push(named);
        }
    }
    found
}

/// <https://learn.microsoft.com/graph/api/resources/signin#properties>, `clientCredentialType`
fn credential_kind(said: &Fields<'_>, category: Option<&str>) -> Option<&'static str> {
    if category.is_some_and(|category| category.starts_with("ManagedIdentity")) {
        return Some("managed_identity");
    }
    let told = said.text(&["clientCredentialType"]).unwrap_or_default().to_ascii_lowercase();
    match &*told {
        "clientsecret" => Some("client_secret"),
        "certificate" | "clientcertificate" | "clientassertion" => Some("certificate"),
        "federatedidentitycredential" => Some("federated"),
        "managedidentity" => Some("managed_identity"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
