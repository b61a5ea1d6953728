//! The same table by `serde_json`: what one would write first. Texts are borrowed, large parts stay raw.

use std::borrow::Cow;

use chrono::DateTime;
use ingest::event::{Event, EventBuilder};
use ingest::{EventBatch, Redaction};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Borrowed where it has no escapes: a `Cow` in an `Option` would always be copied.
#[derive(Deserialize)]
struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

type Text<'a> = Option<Str<'a>>;

#[derive(Deserialize, Default)]
struct File<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Record<'a> {
    #[serde(borrow, rename = "eventID")]
    event_id: Text<'a>,
    #[serde(borrow, rename = "sharedEventID")]
    shared_event_id: Text<'a>,
    #[serde(borrow)]
    event_time: Text<'a>,
    #[serde(borrow)]
    event_source: Text<'a>,
    #[serde(borrow)]
    event_name: Text<'a>,
    #[serde(borrow)]
    event_type: Text<'a>,
    #[serde(borrow)]
    event_category: Text<'a>,
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    aws_region: Text<'a>,
    #[serde(borrow)]
    recipient_account_id: Text<'a>,
    #[serde(borrow, rename = "requestID")]
    request_id: Text<'a>,
    #[serde(borrow, rename = "sourceIPAddress")]
    source_ip: Text<'a>,
    #[serde(borrow)]
    user_agent: Text<'a>,
    #[serde(borrow)]
    error_code: Text<'a>,
    #[serde(borrow)]
    error_message: Text<'a>,
    #[serde(borrow)]
    vpc_endpoint_id: Text<'a>,
    read_only: Option<bool>,
    #[serde(borrow)]
    user_identity: Option<Identity<'a>>,
    #[serde(borrow)]
    tls_details: Option<Tls<'a>>,
    #[serde(borrow)]
    resources: Option<Vec<Resource<'a>>>,
    #[serde(borrow)]
    request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    response_elements: Option<&'a RawValue>,
    #[serde(borrow)]
    additional_event_data: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Identity<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    principal_id: Text<'a>,
    #[serde(borrow)]
    arn: Text<'a>,
    #[serde(borrow)]
    account_id: Text<'a>,
    #[serde(borrow)]
    access_key_id: Text<'a>,
    #[serde(borrow)]
    invoked_by: Text<'a>,
    #[serde(borrow)]
    session_context: Option<Session<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Session<'a> {
    #[serde(borrow)]
    session_issuer: Option<Issuer<'a>>,
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
    #[serde(borrow)]
    source_identity: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Issuer<'a> {
    #[serde(borrow)]
    principal_id: Text<'a>,
    #[serde(borrow)]
    arn: Text<'a>,
    #[serde(borrow)]
    account_id: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Attributes<'a> {
    #[serde(borrow)]
    creation_date: Text<'a>,
    #[serde(borrow)]
    mfa_authenticated: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Tls<'a> {
    #[serde(borrow)]
    tls_version: Text<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, rename = "ARN", default)]
    arn: Text<'a>,
}

/// The events that `plain` holds, all of them in a table.
pub fn read(plain: &[u8]) -> EventBatch {
    let file = serde_json::from_slice::<File<'_>>(plain).unwrap_or_default();
    let mut builder = EventBuilder::with_capacity(file.records.len());
    let redaction = Redaction::default();
    file.records
        .iter()
        .enumerate()
        .for_each(|(row, record)| append(&mut builder, record, row as u32, &redaction));
    builder.finish()
}

fn append(builder: &mut EventBuilder, record: &Record<'_>, row: u32, redaction: &Redaction) {
    let redacted = |raw: Option<&'_ RawValue>| raw.map(|raw| redaction.text(raw.get()).into_owned());
    let empty = Identity::default();
    let identity = record.user_identity.as_ref().unwrap_or(&empty);
    let session = identity.session_context.as_ref();
    let issuer = session.and_then(|session| session.session_issuer.as_ref());
    let attributes = session.and_then(|session| session.attributes.as_ref());
    let resources: Vec<&str> =
        record.resources.iter().flatten().filter_map(|one| one.arn.as_deref()).collect();
    let category = record.event_category.as_deref().map(str::to_ascii_lowercase);
    let (request, response) = (redacted(record.request_parameters), redacted(record.response_elements));
    let additional = redacted(record.additional_event_data);
    let failed = record.error_code.is_some();
    builder.append(&Event {
        event_id: record.event_id.as_deref().unwrap_or_default(),
        shared_event_id: record.shared_event_id.as_deref(),
        time: micros(record.event_time.as_deref()).unwrap_or_default(),
        provider: "aws",
        account: identity.account_id.as_deref().or(record.recipient_account_id.as_deref()),
        recipient_account: record.recipient_account_id.as_deref(),
        region: record.aws_region.as_deref(),
        category: category.as_deref(),
        service: record.event_source.as_deref().unwrap_or_default(),
        operation: record.event_name.as_deref().unwrap_or_default(),
        api_version: record.api_version.as_deref(),
        read_only: record.read_only,
        event_type: record.event_type.as_deref(),
        request_id: record.request_id.as_deref(),
        outcome: if failed { "denied" } else { "success" },
        error_code: record.error_code.as_deref(),
        error_message: record.error_message.as_deref(),
        actor_type: identity.kind.as_deref(),
        actor: issuer
            .and_then(|issuer| issuer.arn.as_deref())
            .or(identity.arn.as_deref())
            .or(identity.invoked_by.as_deref()),
        actor_id: issuer
            .and_then(|issuer| issuer.principal_id.as_deref())
            .or(identity.principal_id.as_deref()),
        actor_account: issuer.and_then(|issuer| issuer.account_id.as_deref()),
        session: identity.access_key_id.as_deref(),
        session_name: identity.arn.as_deref().and_then(|arn| arn.rsplit('/').next()),
        session_started: attributes.and_then(|attributes| micros(attributes.creation_date.as_deref())),
        credential: identity.access_key_id.as_deref(),
        credential_kind: identity.access_key_id.is_some().then_some("temporary"),
        mfa: attributes
            .and_then(|attributes| attributes.mfa_authenticated.as_deref())
            .map(|mfa| mfa == "true"),
        source_identity: session.and_then(|session| session.source_identity.as_deref()),
        invoked_by: identity.invoked_by.as_deref(),
        source_ip: record.source_ip.as_deref(),
        source_kind: Some("ip"),
        vpc_endpoint: record.vpc_endpoint_id.as_deref(),
        user_agent: record.user_agent.as_deref(),
        tls: record.tls_details.as_ref().and_then(|tls| tls.tls_version.as_deref()),
        resources: &resources,
        request: request.as_deref(),
        response: response.as_deref(),
        additional: additional.as_deref(),
        object: Some("s3://logs/a.json.gz"),
        row,
        ..Event::default()
    });
}

fn micros(time: Option<&str>) -> Option<i64> {
    DateTime::parse_from_rfc3339(time?).ok().map(|time| time.timestamp_micros())
}
