//! Google Cloud's audit logs: Admin Activity, Data Access, System Event and Policy Denied.
//!
//! <https://cloud.google.com/logging/docs/audit/understanding-audit-logs>,
//! <https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog>

use crate::agent;
use crate::event::{Event, EventBuilder};
use crate::formats::address::Address;
use crate::formats::fields::{Fields, decoded, joined};
use crate::formats::synthetic_id;
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;

/// Whether a record is a log entry of an audit log.
pub(super) fn is_one(fields: &Fields<'_>) -> bool {
    fields.has(&["protoPayload"])
}

pub(super) fn append(
    builder: &mut EventBuilder,
    entry: &Fields<'_>,
    record: &str,
    place: Place<'_>,
    redact: &Redaction,
) -> Result<(), Unread> {
    let missing = |field: &'static str| Unread::new(reason::MISSING_FIELD, field);
    let payload = entry.object(&["protoPayload"])?;
    let operation = payload.strict(&["methodName"])?.ok_or_else(|| missing("protoPayload.methodName"))?;
    let resource = entry.object_if_one(&["resource"])?;
    let labels = resource.object_if_one(&["labels"])?;
    let service = payload.strict(&["serviceName"])?.or_else(|| labels.text(&["service"]));
    // https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry: without its own time, an entry has that of
    // its receipt.
    let time = entry.time(&["timestamp", "receiveTimestamp"])?;
    let log = entry.strict(&["logName"])?.unwrap_or_default();
    let (container, log_id) = log_of(&log);
    let service =
        service.or_else(|| service_of(&operation)).ok_or_else(|| missing("protoPayload.serviceName"))?;

    let caller = Caller::of(&payload.object(&["authenticationInfo"])?)?;
    let checks: Vec<Fields<'_>> =
        payload.list(&["authorizationInfo"]).into_iter().map(Fields::of).collect::<Result<_, _>>()?;
    let mut resources: Vec<String> = Vec::new();
    for check in &checks {
        let named = check.text(&["resource"]).or_else(|| check.at(&["resourceAttributes", "name"]));
        resources.extend(named.filter(|named| !resources.contains(named)));
    }
    let resource_name = payload.text(&["resourceName"]);
    if resources.is_empty() {
        resources.extend(resource_name.clone());
    }
    let result = Outcome::of(entry, &payload, &checks, &operation)?;
    let project = labels.text(&["project_id"]).or_else(|| project_in(&container));
    let project = project.or_else(|| resource_name.as_deref().and_then(project_in));
    let recipient = project_in(&container).or_else(|| (!container.is_empty()).then(|| container.clone()));
    let account = project.or_else(|| recipient.clone());
    let request = payload.object_if_one(&["requestMetadata"])?;
    // Hosts of Google's own network have no address here: `private`, `gce-internal-ip`.
    let source = request.text(&["callerIp"]).map(|source| Address::of(&source));
    let user_agent = request.text(&["callerSuppliedUserAgent"]);
    let hint = caller.agent(user_agent.as_deref());
    let additional = joined(&[
        ("status", payload.raw(&["status"])),
        ("metadata", payload.raw(&["metadata"])),
        ("serviceData", payload.raw(&["serviceData"])),
        ("operation", entry.raw(&["operation"])),
        ("serviceAccountDelegationInfo", caller.delegation.as_deref()),
        ("labels", entry.raw(&["labels"])),
    ]);
    let [request_body, response, additional, granted] = [
        payload.raw(&["request"]),
        payload.raw(&["response"]),
        additional.as_deref(),
        payload.raw(&["authorizationInfo"]),
    ]
    .map(|raw| redact.deep_option(raw));
    let region = region_of(&labels, &payload, resource_name.as_deref());
    let resources: Vec<&str> = resources.iter().map(String::as_str).collect();

    builder.append(&Event {
        event_id: &event_id(entry, &log, time, record),
        time,
        received: entry.text(&["receiveTimestamp"]).and_then(|text| crate::time::micros(&text)),
        provider: "gcp",
        account: account.as_deref(),
        recipient_account: recipient.as_deref(),
        region: region.as_deref(),
        category: category(&log_id),
        service: &service,
        operation: &operation,
        read_only: read_only(&checks, &log_id),
        event_type: (!log_id.is_empty()).then_some(&*log_id),
        request_id: entry.at(&["operation", "id"]).as_deref(),
        outcome: result.outcome,
        error_code: result.code.as_deref(),
        error_message: result.message.as_deref(),
        denied_by: result.denied_by,
        actor_type: caller.kind,
        actor: caller.actor.as_deref(),
        actor_id: caller.subject.as_deref(),
        actor_account: caller.account.as_deref(),
        credential: caller.key.as_deref(),
        credential_kind: caller.credential_kind(),
        on_behalf_of: caller.first.as_deref(),
        workload: caller.workload.as_deref(),
        agent_hint: hint.map(|(hint, _)| hint),
        agent_evidence: hint.map(|(_, evidence)| evidence),
        source_ip: source.as_ref().map(|source| &*source.text),
        source_kind: source.as_ref().and_then(|source| source.kind),
        user_agent: user_agent.as_deref(),
        resources: &resources,
        request: request_body.as_deref(),
        response: response.as_deref(),
        additional: additional.as_deref(),
        granted: granted.as_deref(),
        object: place.object,
        row: place.row,
        ..Event::default()
    });
    Ok(())
}

/// `projects/p` and `activity` of `projects/p/logs/cloudaudit.googleapis.com%2Factivity`.
fn log_of(log: &str) -> (String, String) {
    let (container, id) = log.split_once("/logs/").unwrap_or(("", log));
    let id = id.rsplit_once("%2F").or_else(|| id.rsplit_once("%2f")).or_else(|| id.rsplit_once('/'));
    (container.to_owned(), id.map_or_else(String::new, |(_, id)| id.to_owned()))
}

/// The project in `projects/p/...`; buckets and the like have `_` in its place.
fn project_in(name: &str) -> Option<String> {
    let rest = name.strip_prefix("//").and_then(|full| full.split_once('/')).map_or(name, |(_, rest)| rest);
    let project = rest.strip_prefix("projects/")?.split('/').next()?;
    (!project.is_empty() && project != "_").then(|| project.to_owned())
}

/// A copy that lost the service's name may tell it in the method's: `google.iam.admin.v1.CreateRole`,
/// `v1.compute.instances.insert`, `io.k8s.core.v1.pods.create`.
fn service_of(method: &str) -> Option<String> {
    if method.starts_with("io.k8s.") {
        return Some("k8s.io".to_owned());
    }
    let words: Vec<&str> = method.split('.').take(8).collect();
    let name = match words.as_slice() {
        ["google", "cloud" | "devtools" | "api", name, _, ..] | ["google", name, _, ..] => name,
        ["v1" | "beta" | "alpha", name, _, _] | [name, _, _] => name,
        _ => return None,
    };
    let is_plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_plain.then(|| format!("{name}.googleapis.com"))
}

fn category(log_id: &str) -> Option<&'static str> {
    match log_id {
        "activity" => Some("management"),
        "data_access" | "access_transparency" => Some("data"),
        "system_event" => Some("system"),
        "policy" => Some("policy"),
        _ => None,
    }
}

/// By the checks' own grading; Admin Activity holds nothing that only reads.
fn read_only(checks: &[Fields<'_>], log_id: &str) -> Option<bool> {
    let kinds: Vec<String> = checks.iter().filter_map(|check| check.text(&["permissionType"])).collect();
    if kinds.iter().any(|kind| kind.ends_with("_WRITE")) {
        return Some(false);
    }
    if !kinds.is_empty() && kinds.iter().all(|kind| kind.ends_with("_READ")) {
        return Some(true);
    }
    matches!(log_id, "activity" | "system_event").then_some(false)
}

fn region_of(labels: &Fields<'_>, payload: &Fields<'_>, resource: Option<&str>) -> Option<String> {
    labels
        .text(&["location", "region", "zone"])
        .or_else(|| {
            let places = payload.object_or_empty(&["resourceLocation"]);
            let current = places.list(&["currentLocations"]).into_iter().next()?.to_owned();
            decoded(&current).map(|text| text.into_owned())
        })
        .or_else(|| {
            let mut parts = resource?.split('/');
            parts.find(|part| matches!(*part, "locations" | "regions" | "zones"))?;
            parts.next().map(str::to_owned)
        })
}

/// `insertId` names an entry only together with its time and log.
/// <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>
fn event_id(entry: &Fields<'_>, log: &str, time: i64, record: &str) -> String {
    match entry.text(&["insertId"]) {
        Some(insert) => format!("{insert}@{time}@{log}"),
        None => synthetic_id(record),
    }
}

/// What came of it.
struct Outcome {
    outcome: &'static str,
    code: Option<String>,
    message: Option<String>,
    denied_by: Option<&'static str>,
}

impl Outcome {
    fn of(
        entry: &Fields<'_>,
        payload: &Fields<'_>,
        checks: &[Fields<'_>],
        operation: &str,
    ) -> Result<Outcome, Unread> {
        let status = payload.object_if_one(&["status"])?;
        // Copies that were cut down have the status beside the payload.
        let beside = entry.object_if_one(&["status"])?;
        let code = status.number(&["code"]).or_else(|| beside.number(&["code"])).unwrap_or_default();
        let message = status.text(&["message"]).or_else(|| beside.text(&["message"]));
        let refused = checks.iter().any(|check| check.flag(&["granted"]) == Some(false));
        let denied_by = denied_by(payload, &status);
        let severity = entry.text(&["severity"]);
        let outcome = match code {
            7 | 16 => "denied",
            0 if refused || (denied_by.is_some() && code == 0) => "denied",
            0 if operation.ends_with("loginFailure") => "failed",
            0 if matches!(severity.as_deref(), Some("ERROR" | "CRITICAL" | "ALERT" | "EMERGENCY")) => {
                "failed"
            }
            0 => "success",
            _ => "failed",
        };
        let code = (code != 0).then(|| code_name(code));
        Ok(Outcome { outcome, code, message, denied_by: denied_by.filter(|_| outcome == "denied") })
    }
}

/// A service perimeter or an organisation policy refuses without asking who holds which role.
fn denied_by(payload: &Fields<'_>, status: &Fields<'_>) -> Option<&'static str> {
    let metadata = payload.object_or_empty(&["metadata"]);
    if metadata.has(&["vpcServiceControlsUniqueId"]) && !metadata.flag(&["dryRun"]).unwrap_or(false) {
        return Some("perimeter");
    }
    for detail in status.list(&["details"]) {
        let detail = Fields::of(detail).unwrap_or_default();
        for violation in detail.list(&["violations"]) {
            match Fields::of(violation).unwrap_or_default().text(&["type"]).as_deref() {
                Some("VPC_SERVICE_CONTROLS") => return Some("perimeter"),
                Some("ORG_POLICY") => return Some("org_policy"),
                _ => {}
            }
        }
    }
    None
}

/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>
fn code_name(code: i64) -> String {
    let name = match code {
        1 => "CANCELLED",
        2 => "UNKNOWN",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// Who called.
#[derive(Default)]
struct Caller {
    actor: Option<String>,
    subject: Option<String>,
    kind: Option<&'static str>,
    account: Option<String>,
    key: Option<String>,
    /// Who began the chain of impersonations.
    first: Option<String>,
    /// The chain, raw.
    delegation: Option<String>,
    workload: Option<String>,
}

impl Caller {
    fn of(who: &Fields<'_>) -> Result<Caller, Unread> {
        let email = who.strict(&["principalEmail"])?.map(|email| email.to_ascii_lowercase());
        let subject = who.strict(&["principalSubject"])?;
        let bare = subject.as_deref().map(bare_subject);
        let actor = email.or(bare).or(who.text(&["authoritySelector"]));
        let kind = actor.as_deref().map(|actor| kind_of(actor));
        let chain: Vec<String> = who
            .list(&["serviceAccountDelegationInfo"])
            .into_iter()
            .filter_map(|step| {
                let step = Fields::of(step).ok()?;
                step.at(&["firstPartyPrincipal", "principalEmail"])
                    .or_else(|| step.text(&["principalSubject"]))
                    .or_else(|| step.at(&["thirdPartyPrincipal", "thirdPartyClaims", "sub"]))
            })
            .map(|name| bare_subject(&name))
            .collect();
        // The chain stands in the order in which it was delegated. Whoever is no service account began it, whatever the
        // order of a copy.
        let person = chain.iter().find(|name| !name.ends_with(".gserviceaccount.com"));
        let first = person.or(chain.first()).cloned();
        let account = actor.as_deref().and_then(account_of);
        let workload = subject.clone().filter(|subject| subject.starts_with("principal://"));
        Ok(Caller {
            kind,
            account,
            key: who.text(&["serviceAccountKeyName"]),
            first,
            delegation: who.raw(&["serviceAccountDelegationInfo"]).map(str::to_owned),
            workload,
            actor,
            subject,
        })
    }

    fn credential_kind(&self) -> Option<&'static str> {
        if self.key.is_some() {
            return Some("long_lived");
        }
        if self.first.is_some() {
            return Some("temporary");
        }
        match self.kind? {
            "ServiceAgent" | "System" => Some("service"),
            "WorkloadIdentity" | "WorkforceIdentity" => Some("federated"),
            _ => None,
        }
    }

    fn agent(&self, user_agent: Option<&str>) -> Option<(&'static str, &'static str)> {
        let actor = self.actor.as_deref().unwrap_or_default();
        // https://cloud.google.com/agent-builder/agent-engine/agent-identity,
        // https://cloud.google.com/iam/docs/service-agents: the runtime's own names, not the caller's.
        let subject = self.subject.as_deref().unwrap_or_default();
        if actor.ends_with("@gcp-sa-aiplatform-re.iam.gserviceaccount.com") {
            return Some(("vertex-agent-engine", "cloud"));
        }
        if subject.starts_with("principal://agents.") || subject.contains("/reasoningEngines/") {
            return Some(("vertex-agent-engine", "workload"));
        }
        let name = actor.split('@').next().unwrap_or_default();
        agent::client(name)
            .map(|hint| (hint, "name"))
            .or_else(|| agent::client(user_agent?).map(|hint| (hint, "client")))
    }
}

/// `a@b` of `user:a@b` and `serviceAccount:a@b`, in lower case; other subjects as they are.
fn bare_subject(subject: &str) -> String {
    let bare =
        ["user:", "serviceAccount:"].iter().find_map(|kind| subject.strip_prefix(kind)).unwrap_or(subject);
    if bare.contains("://") { bare.to_owned() } else { bare.to_ascii_lowercase() }
}

/// Google's own projects that hold service agents and are not called `gcp-sa-...`.
const AGENT_PROJECTS: &[&str] = &[
    "compute-system",
    "container-engine-robot",
    "containerregistry",
    "dataflow-service-producer-prod",
    "dataproc-accounts",
    "gcf-admin-robot",
    "gs-project-accounts",
    "serverless-robot-prod",
];

fn kind_of(actor: &str) -> &'static str {
    if actor.contains("/workloadIdentityPools/") {
        return "WorkloadIdentity";
    }
    if actor.contains("/workforcePools/") {
        return "WorkforceIdentity";
    }
    // Kubernetes writes its own components so.
    if actor == "system@google.com" || actor.starts_with("system:") {
        return "System";
    }
    let Some((name, host)) = actor.split_once('@') else { return "Principal" };
    // https://cloud.google.com/iam/docs/service-account-types#google-managed
    let project = host.strip_suffix(".iam.gserviceaccount.com").unwrap_or_default();
    let is_agent = project.starts_with("gcp-sa-")
        || host == "cloudservices.gserviceaccount.com"
        || name.starts_with("service-") && AGENT_PROJECTS.contains(&project);
    match host.ends_with(".gserviceaccount.com") {
        true if is_agent => "ServiceAgent",
        true => "ServiceAccount",
        false => "User",
    }
}

/// The project that owns a service account, as its address tells: by id, or by number.
fn account_of(actor: &str) -> Option<String> {
    let (name, host) = actor.split_once('@')?;
    if let Some(project) = host.strip_suffix(".iam.gserviceaccount.com") {
        let is_agents = project.starts_with("gcp-sa-");
        return (!is_agents).then(|| project.to_owned());
    }
    match host {
        "appspot.gserviceaccount.com" => Some(name.to_owned()),
        "developer.gserviceaccount.com" => name.strip_suffix("-compute").map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
