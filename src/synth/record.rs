//! One CloudTrail record, in the shape and field order that AWS writes (event version 1.11).
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use std::sync::Arc;

use chrono::DateTime;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::chance::Chance;
use super::company::{Place, permission};
use super::target::{Resource, Shape};

/// One event, ready to be filed.
#[derive(Clone, Debug)]
pub struct Event {
    /// Event time in whole seconds, as CloudTrail has it.
    pub at: i64,
    /// The account and region whose file it belongs in.
    pub place: Place,
    /// `eventID`.
    pub id: String,
    /// The caller whatever its session.
    pub identity: Arc<str>,
    /// Part of the monthly job.
    pub monthly: bool,
    /// The record.
    pub json: Vec<u8>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused: no policy allows it.
    Refused,
    /// It was refused by an explicit deny of an organisation's policy.
    RefusedByGuardrail,
    /// It failed for another reason: code and message.
    Failed(&'static str, &'static str),
}

/// Who calls, as `userIdentity` and the fields beside it show.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The role's or user's ARN, or the service's host name.
    pub stable: Arc<str>,
    /// The ARN that an error message names, with the session.
    pub arn: String,
    /// `userIdentity`.
    pub identity: UserIdentity,
    /// `sourceIPAddress`.
    pub address: String,
    /// `userAgent`.
    pub user_agent: &'static str,
}

/// `userIdentity`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `AROA...:session`, `AIDA...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    /// The caller's ARN, with its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The caller's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<&'static str>,
    /// `ASIA...` or `AKIA...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The user's name, or the build's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Issuer and attributes of an assumed role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_context: Option<Box<RawValue>>,
    /// Who vouches for a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The service that calls in the caller's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_by: Option<&'static str>,
}

/// One call to be logged.
pub struct Call<'a> {
    /// The event source without its domain.
    pub service: &'a str,
    /// `eventName`.
    pub operation: &'a str,
    /// Request, response and resources.
    pub shape: Shape,
    /// Where it is logged.
    pub place: Place,
    /// When, in seconds.
    pub at: i64,
    /// How it ended.
    pub outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'static str,
    user_identity: &'a UserIdentity,
    event_time: String,
    event_source: String,
    event_name: &'a str,
    aws_region: &'static str,
    #[serde(rename = "sourceIPAddress")]
    source_address: &'a str,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    request_parameters: Value,
    response_elements: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<Value>,
    #[serde(rename = "requestID")]
    request_id: String,
    #[serde(rename = "eventID")]
    event_id: &'a str,
    read_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource>,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    management_event: bool,
    recipient_account_id: &'static str,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_details: Option<TlsDetails>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TlsDetails {
    tls_version: &'static str,
    cipher_suite: &'static str,
    client_provided_host_header: String,
}

impl Caller {
    /// The event that a call of this caller leaves.
    pub fn log(&self, call: Call<'_>, chance: &mut Chance) -> Event {
        let Call { service, operation, shape, place, at, outcome } = call;
        let (error_code, error_message) = self.error(service, operation, &shape, outcome);
        // A request refused before it was read has no parameters in the log; data events keep theirs.
        let unread = matches!(outcome, Outcome::Refused | Outcome::RefusedByGuardrail) && !shape.data;
        let id = chance.uuid();
        let record = Record {
            event_version: "1.11",
            user_identity: &self.identity,
            event_time: timestamp(at),
            event_source: format!("{service}.amazonaws.com"),
            event_name: operation,
            aws_region: place.region,
            source_address: &self.address,
            user_agent: self.user_agent,
            error_code,
            error_message,
            request_parameters: if unread { Value::Null } else { shape.request },
            response_elements: if error_code.is_none() { shape.response } else { Value::Null },
            additional_event_data: shape.additional,
            request_id: chance.uuid(),
            event_id: &id,
            read_only: reads(operation),
            resources: shape.resources,
            event_type: if operation == "ConsoleLogin" { "AwsConsoleSignIn" } else { "AwsApiCall" },
            api_version: shape.api_version,
            management_event: !shape.data,
            recipient_account_id: place.account,
            event_category: if shape.data { "Data" } else { "Management" },
            tls_details: self.identity.invoked_by.is_none().then(|| TlsDetails {
                tls_version: "TLSv1.3",
                cipher_suite: "TLS_AES_128_GCM_SHA256",
                client_provided_host_header: host(service, place.region),
            }),
        };
        // Strings, numbers and maps with string keys always serialise; the tests read every record back.
        let json = serde_json::to_vec(&record).unwrap_or_default();
        Event { at, place, id, identity: Arc::clone(&self.stable), monthly: false, json }
    }

    fn error(
        &self,
        service: &str,
        operation: &str,
        shape: &Shape,
        outcome: Outcome,
    ) -> (Option<&'static str>, Option<String>) {
        let permission = permission(service, operation);
        let because = match outcome {
            Outcome::Success => return (None, None),
            Outcome::Failed(code, message) => return (Some(code), Some(message.to_owned())),
            Outcome::Refused => format!("because no identity-based policy allows the {permission} action"),
            Outcome::RefusedByGuardrail => "with an explicit deny in a service control policy".to_owned(),
        };
        let named = shape.request.get("functionName").and_then(Value::as_str).unwrap_or("*");
        let resource = shape.resources.first().map_or(named, Resource::arn);
        let user = &self.arn;
        let message = format!(
            "User: {user} is not authorized to perform: {permission} on resource: {resource} {because}"
        );
        (Some("AccessDenied"), Some(message))
    }
}

/// `2025-11-20T00:53:20Z`.
pub fn timestamp(at: i64) -> String {
    DateTime::from_timestamp(at, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What AWS logs as `readOnly`: not the same as the permission's access level.
fn reads(operation: &str) -> bool {
    const READING: &[&str] = &[
        "Get",
        "List",
        "Describe",
        "Query",
        "Scan",
        "BatchGet",
        "BatchCheck",
        "Filter",
        "Head",
        "Assume",
        "Decrypt",
        "GenerateDataKey",
        "InvokeModel",
        "Converse",
        "ReceiveMessage",
        "Lookup",
    ];
    READING.iter().any(|prefix| operation.starts_with(prefix))
}

fn host(service: &str, region: &str) -> String {
    match service {
        "iam" | "organizations" => format!("{service}.amazonaws.com"),
        "signin" => "signin.aws.amazon.com".to_owned(),
        "bedrock" => format!("bedrock-runtime.{region}.amazonaws.com"),
        _ => format!("{service}.{region}.amazonaws.com"),
    }
}
