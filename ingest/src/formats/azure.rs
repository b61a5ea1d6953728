//! What the logs of Azure and Entra have in common: callers, outcomes, ids of resources.
//!
//! Claims: <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>, those of agents:
//! <https://learn.microsoft.com/entra/agent-id/agent-token-claims>

use crate::agent;
use crate::fingerprint::fingerprint;
use crate::formats::address::Address;
use crate::formats::fields::Fields;
use crate::formats::minified;
use crate::object::Unread;

const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const TENANT: &str = "http://schemas.microsoft.com/identity/claims/tenantid";
const METHODS: &str = "http://schemas.microsoft.com/claims/authnmethodsreferences";
const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";

/// Who called. Ids and sign-in names are in lower case: Entra knows no other difference.
#[derive(Debug, Default)]
pub(super) struct Caller {
    /// A person's sign-in name, else the object id, else the application id.
    pub actor: Option<String>,
    /// The object id.
    pub id: Option<String>,
    /// `User`, `ServicePrincipal`, `ManagedIdentity` or `AgentIdentity`.
    pub kind: Option<&'static str>,
    pub tenant: Option<String>,
    /// The application that the token was issued to.
    pub app: Option<String>,
    pub session: Option<String>,
    pub session_started: Option<i64>,
    pub credential_kind: Option<&'static str>,
    pub mfa: Option<bool>,
    pub on_behalf_of: Option<String>,
    pub hint: Option<(&'static str, &'static str)>,
    pub address: Option<String>,
}

impl Caller {
    /// By the claims of a token, and what the record says beside them.
    pub(super) fn of(record: &Fields<'_>) -> Result<Caller, Unread> {
        // Sign-in logs have a display name under `identity`.
        let identity = record.object_if_one(&["identity"])?;
        let claims = match record.has(&["claims"]) {
            true => record.object(&["claims"])?,
            // Key Vault says `claim`.
            false => identity.object(&["claims", "claim"])?,
        };
        let authorization = authorization(record, &identity)?;
        let evidence = authorization.object_if_one(&["evidence"])?;
        let requester = identity.object_if_one(&["requester"])?;
        let lower = |text: Option<String>| text.map(|text| text.to_ascii_lowercase());
        let principal_type = evidence.text(&["principalType"]).unwrap_or_default().to_ascii_lowercase();
        // Where a group has the role, the evidence names the group.
        let holder = evidence.text(&["principalId"]).filter(|_| !principal_type.contains("group"));
        let id = claims.text(&[OBJECT_ID, "oid"]).or_else(|| requester.text(&["objectId"])).or(holder);
        let told = record.strict(&["caller"])?;
        let name = claims.text(&[UPN, "upn", NAME, EMAIL, "name", "unique_name"]);
        let name = name.or_else(|| requester.text(&["upn"]));
        let app = claims.text(&["appid", "azp"]).or_else(|| requester.text(&["appId"]));
        let (id, told, name, app) = (lower(id), lower(told), lower(name), lower(app));

        let mut caller = Caller {
            tenant: lower(claims.text(&[TENANT, "tid"]).or_else(|| requester.text(&["tenantId"]))),
            session: claims.text(&["uti"]),
            session_started: claims.number(&["iat"]).and_then(|seconds| seconds.checked_mul(1_000_000)),
            mfa: claims.word(&[METHODS, "amr"]).map(|methods| methods.contains("mfa")),
            address: claims.text(&["ipaddr"]),
            ..Caller::default()
        };
        let facets = claims.text(&["xms_act_fct"]).unwrap_or_default();
        let is_agent = facets.split(' ').any(|facet| matches!(facet, AGENT_IDENTITY | AGENT_USER))
            || claims.has(&["xms_par_app_azp"]);
        let is_managed = claims.has(&["xms_mirid"]);
        let is_app = claims.text(&["idtyp"]).as_deref() == Some("app")
            || principal_type == "serviceprincipal"
            || is_managed
            || name.is_none() && app.is_some() && !told.as_deref().is_some_and(|told| told.contains('@'));
        let person = name.or_else(|| told.clone().filter(|told| told.contains('@')));
        caller.kind = match (is_app, is_managed) {
            _ if id.is_none() && told.is_none() && person.is_none() && app.is_none() => None,
            (true, _) if is_agent => Some("AgentIdentity"),
            (true, true) => Some("ManagedIdentity"),
            (true, false) => Some("ServicePrincipal"),
            (false, _) if person.is_some() || principal_type == "user" => Some("User"),
            (false, _) => Some("Principal"),
        };
        if is_agent {
            caller.hint = Some(("entra-agent", "cloud"));
            caller.on_behalf_of = person.clone().filter(|_| !is_app);
        }
        caller.actor = match is_app {
            true => id.clone().or(told).or_else(|| app.clone()),
            false => person.or_else(|| id.clone()).or(told).or_else(|| app.clone()),
        };
        caller.credential_kind = match claims.word(&["appidacr", "azpacr"]).as_deref() {
            _ if is_managed => Some("managed_identity"),
            Some("1") => Some("client_secret"),
            Some("2") => Some("certificate"),
            _ => None,
        };
        (caller.id, caller.app) = (id, app);
        Ok(caller)
    }

    /// The hint of the cloud, else the client's own words.
    pub(super) fn agent(&self, user_agent: Option<&str>) -> Option<(&'static str, &'static str)> {
        self.hint.or_else(|| agent::client(user_agent?).map(|hint| (hint, "client")))
    }
}

/// Facets of an actor in a token: an agent's identity, and the user account of one.
const AGENT_IDENTITY: &str = "11";
const AGENT_USER: &str = "13";

/// What was asked and which assignment granted it: `authorization` of the REST interface, `identity.authorization` of
/// exports.
///
/// # Errors
/// As [`Fields::object`].
pub(super) fn authorization<'a>(
    record: &'a Fields<'_>,
    identity: &'a Fields<'_>,
) -> Result<Fields<'a>, Unread> {
    if record.has(&["authorization"]) {
        record.object(&["authorization"])
    } else {
        identity.object(&["authorization"])
    }
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Outcome {
    pub outcome: &'static str,
    pub code: Option<String>,
    pub message: Option<String>,
    pub denied_by: Option<&'static str>,
}

impl Outcome {
    /// Of an activity or a request to a service. The words differ from service to service, so all of them are asked.
    pub(super) fn of(record: &Fields<'_>, properties: &Fields<'_>) -> Outcome {
        let status = record.word(&["resultType", "status", "activityStatusValue", "activityStatus"]);
        let signature = record.word(&["resultSignature", "subStatus", "activitySubstatusValue"]);
        let text = properties.text(&["statusMessage"]);
        let told = text.clone().or_else(|| record.text(&["resultDescription", "statusText"]));
        let answered = properties.text(&["metricResponseType", "statusCode"]);
        let numbers = [
            record.number(&["statusCode"]),
            signature.as_deref().and_then(|text| text.trim().parse().ok()),
            properties.number(&["httpStatusCode", "statusCode", "responseStatusCode"]),
        ];
        let number = numbers.into_iter().flatten().find(|code| (100..600).contains(code));
        let words = [&status, &signature, &told, &answered, &record.text(&["statusText"])];
        let words: Vec<String> = words.into_iter().flatten().map(|word| head_of(word)).collect();
        let any = |marks: &[&str]| words.iter().any(|word| marks.iter().any(|mark| word.contains(mark)));
        let is = |known: &[&str]| {
            let said = status.as_deref().or(answered.as_deref()).unwrap_or_default();
            known.iter().any(|word| said.eq_ignore_ascii_case(word))
        };
        let inner = told.as_deref().and_then(error_in);
        let denied_by = if any(&["requestdisallowedbypolicy"]) {
            Some("azure_policy")
        } else if any(&["scopelocked"]) {
            Some("lock")
        } else if any(&["denyassignment"]) {
            Some("explicit:deny_assignment")
        } else if any(&["authorizationfailure", "ipauthorizationerror"]) {
            Some("network")
        } else {
            None
        };
        let is_denied = denied_by.is_some()
            || matches!(number, Some(401 | 403))
            || any(&["authorizationfailed", "authorizationpermissionmismatch", "forbidden", "unauthorized"])
            || any(&["authorizationerror", "authenticationerror", "accessdenied"]);
        let outcome = if is_denied {
            "denied"
        } else if let Some(code) = number {
            if code < 400 { began(is(STARTED)) } else { "failed" }
        } else if is(STARTED) {
            "unknown"
        } else if is(DONE) {
            "success"
        } else if status.is_some() || answered.is_some() {
            if is(FAILED) || any(&["error", "fail"]) { "failed" } else { "unknown" }
        } else {
            "unknown"
        };
        let failed = matches!(outcome, "denied" | "failed");
        let code = inner.as_ref().map(|(code, _)| code.clone()).or_else(|| {
            let texts = [record.text(&["statusText"]), signature, answered, status];
            texts.into_iter().flatten().find(|text| text.parse::<u64>().is_err() && !text.is_empty())
        });
        let code = code.or_else(|| number.map(|code| code.to_string()));
        let message = inner.map(|(_, message)| message).filter(|text| !text.is_empty()).or(told);
        Outcome {
            outcome,
            code: code.filter(|_| failed),
            message: message.filter(|_| failed),
            denied_by: denied_by.filter(|_| failed),
        }
    }
}

const STARTED: &[&str] = &["start", "started", "inprogress", "in progress", "running"];
const DONE: &[&str] =
    &["success", "succeeded", "accept", "accepted", "active", "resolved", "updated", "ok", "created"];
const FAILED: &[&str] = &["failure", "failed", "canceled", "cancelled"];

/// A call that only began may still fail; its end is told in a record of its own.
fn began(started: bool) -> &'static str {
    if started { "unknown" } else { "success" }
}

fn head_of(word: &str) -> String {
    word.chars().take(4_096).collect::<String>().to_ascii_lowercase()
}

/// `{"error": {"code": ..., "message": ...}}`, as services answer.
fn error_in(text: &str) -> Option<(String, String)> {
    let whole = Fields::of(text.trim()).ok()?;
    let inner = whole.object_or_empty(&["error"]);
    let error = if inner.has(&["code"]) { &inner } else { &whole };
    Some((error.text(&["code"])?, error.text(&["message"]).unwrap_or_default()))
}

/// The subscription that a resource lies in, or the tenant.
pub(super) fn account_of(resource: Option<&str>) -> Option<String> {
    let lower = resource?.to_ascii_lowercase();
    let mut parts = lower.trim_start_matches('/').split('/');
    match (parts.next()?, parts.next()?) {
        ("subscriptions" | "tenants", id) if !id.is_empty() => Some(id.to_owned()),
        _ => None,
    }
}

/// The resource provider of an operation, or of the last resource of an id: `Microsoft.Compute`.
pub(super) fn provider_of(operation: &str, resource: Option<&str>) -> Option<String> {
    let from_operation = operation.split_once('/').map(|(provider, _)| provider);
    let provider = from_operation.filter(|provider| provider.contains('.')).or_else(|| {
        let resource = resource?;
        let at = resource.to_ascii_lowercase().rfind("/providers/")? + "/providers/".len();
        resource.get(at..)?.split('/').next()
    })?;
    (!provider.is_empty()).then(|| spelled(provider))
}

/// Exports write ids in capitals. Providers that logs name often, as Azure spells them.
const PROVIDERS: &[&str] = &[
    "Microsoft.aadiam",
    "Microsoft.ApiManagement",
    "Microsoft.App",
    "Microsoft.Authorization",
    "Microsoft.Automation",
    "Microsoft.Billing",
    "Microsoft.BotService",
    "Microsoft.CognitiveServices",
    "Microsoft.Compute",
    "Microsoft.ContainerInstance",
    "Microsoft.ContainerRegistry",
    "Microsoft.ContainerService",
    "Microsoft.DataFactory",
    "Microsoft.DBforMySQL",
    "Microsoft.DBforPostgreSQL",
    "Microsoft.Devices",
    "Microsoft.DocumentDB",
    "Microsoft.EventGrid",
    "Microsoft.EventHub",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.Logic",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Management",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.PolicyInsights",
    "Microsoft.RecoveryServices",
    "Microsoft.Resources",
    "Microsoft.Search",
    "Microsoft.Security",
    "Microsoft.SecurityInsights",
    "Microsoft.ServiceBus",
    "Microsoft.Sql",
    "Microsoft.Storage",
    "Microsoft.Synapse",
    "Microsoft.Web",
];

fn spelled(provider: &str) -> String {
    let known = PROVIDERS.iter().find(|known| known.eq_ignore_ascii_case(provider));
    known.map_or_else(|| provider.to_owned(), |known| (*known).to_owned())
}

/// Azure's own id of the event, else one made of what was logged: a correlation id alone is shared by all the events of
/// one operation.
pub(super) fn event_id(told: Option<String>, correlation: Option<&str>, record: &str) -> String {
    if let Some(told) = told {
        return told;
    }
    let made = fingerprint(&[&minified(record)], 32);
    match correlation {
        Some(correlation) => format!("{correlation}:{made}"),
        None => format!("sha256:{made}"),
    }
}

/// Where the call came from: what the record says, else the token.
pub(super) fn address(told: Option<String>, caller: &Caller) -> Option<Address> {
    told.or_else(|| caller.address.clone()).map(|told| Address::of(&told))
}

/// The operation that an activity's last word tells to be a read or not.
pub(super) fn read_only(operation: &str) -> Option<bool> {
    let verb = operation.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    match &*verb {
        "read" => Some(true),
        "write" | "delete" | "action" => Some(false),
        _ => None,
    }
}
