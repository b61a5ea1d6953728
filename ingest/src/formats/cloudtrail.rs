//! CloudTrail: files of `Records`, and single events on lines.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::agent::{self, Caller};
use crate::denial;
use crate::event::{Event, EventBuilder};
use crate::formats::frames::{Frame, Shape, frames};
use crate::inflate::Limits;
use crate::object::{Place, Rows, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;
use crate::time::micros;
use record::Record;

pub use crate::object::{ReadObject, read_object, read_record};

pub(crate) mod record;

/// Gives every record of an object to `rows`.
pub(crate) fn read(text: &[u8], rows: &mut Rows<'_>) -> Shape {
    let (limits, redact) = (rows.limits, rows.redact);
    frames(text, limits.records_max, &mut |frame| match frame {
        Frame::Record { text, depth } => {
            rows.record(text, |builder, place| append(builder, text, depth, place, limits, redact));
        }
        Frame::Broken { text, reason, detail } => rows.broken(reason, detail.into(), text),
    })
}

/// Makes a row of one record. `depth`: how deep it nests.
pub(crate) fn append(
    builder: &mut EventBuilder,
    text: &[u8],
    depth: usize,
    place: Place<'_>,
    limits: &Limits,
    redact: &Redaction,
) -> Result<(), Unread> {
    if text.len() > limits.record_bytes_max {
        return Err(Unread::new(reason::RECORD_TOO_BIG, format!("{} bytes", text.len())));
    }
    if depth > limits.depth_max {
        return Err(Unread::new(reason::TOO_DEEP, format!("nested {depth} deep")));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        Unread::new(reason::BAD_ENCODING, format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    // The derived readers would take a list for an object, its elements for the fields in their order.
    if !text.starts_with('{') {
        return Err(Unread::new(reason::WRONG_TYPE, "a record is an object"));
    }
    let record: Record<'_> = serde_json::from_str(text).map_err(unparsed)?;
    append_record(builder, &record, place, redact)
}

/// Names what the parser refused. Its words for a field told twice are part of serde's interface.
fn unparsed(error: serde_json::Error) -> Unread {
    let detail = error.to_string();
    let reason = if !error.is_data() {
        reason::BAD_JSON
    } else if detail.starts_with("duplicate field") {
        reason::DUPLICATE_KEY
    } else {
        reason::WRONG_TYPE
    };
    Unread::new(reason, detail)
}

fn append_record(
    builder: &mut EventBuilder,
    record: &Record<'_>,
    place: Place<'_>,
    redact: &Redaction,
) -> Result<(), Unread> {
    let missing = |field: &'static str| Unread::new(reason::MISSING_FIELD, field);
    let event_id = record.event_id().ok_or_else(|| missing("eventID"))?;
    let service = record.event_source().ok_or_else(|| missing("eventSource"))?;
    let operation = record.event_name().ok_or_else(|| missing("eventName"))?;
    let time = record.event_time().ok_or_else(|| missing("eventTime"))?;
    let time = micros(time).ok_or_else(|| Unread::new(reason::BAD_TIME, "eventTime is no time"))?;

    let caller = agent::caller(record);
    let hint = agent::agent_hint(record, &caller);
    let identity = record.user_identity.as_ref();
    let insight = record.event_type() == Some("AwsCloudTrailInsight");
    let category = category(record, insight);
    let outcome =
        if insight { "unknown" } else { denial::outcome(record.error_code(), record.error_message()) };
    let denied = outcome == "denied";
    let request = redact.option(record.request());
    let response = redact.option(record.response());
    let additional = redact.option(record.additional());
    let event_context = redact.option(record.event_context());
    let resources: Vec<&str> = record.resources().collect();
    let Caller { actor, actor_id, actor_account, session, session_name, credential_kind, .. } = &caller;

    builder.append(&Event {
        event_id,
        shared_event_id: record.shared_event_id(),
        time,
        // CloudTrail does not tell when it received a record.
        received: None,
        provider: "aws",
        account: identity.and_then(agent::account).or(record.recipient_account_id()),
        recipient_account: record.recipient_account_id(),
        region: record.aws_region(),
        category: category.as_deref(),
        service,
        operation,
        api_version: record.api_version(),
        read_only: record.read_only(),
        event_type: record.event_type(),
        request_id: record.request_id(),
        addendum: record.addendum(),
        outcome,
        error_code: record.error_code(),
        error_message: record.error_message(),
        denied_by: denied.then(|| denial::denied_by(record.error_code(), record.error_message())).flatten(),
        actor_type: identity.map(|identity| identity.kind()).filter(|kind| !kind.is_empty()),
        actor: actor.as_deref(),
        actor_id: *actor_id,
        actor_account: *actor_account,
        session: *session,
        session_name: *session_name,
        session_started: identity.and_then(|identity| identity.session_started()).and_then(micros),
        credential: identity.and_then(|identity| identity.access_key_id()),
        credential_kind: *credential_kind,
        mfa: record.mfa(),
        source_identity: identity.and_then(|identity| identity.source_identity()),
        invoked_by: identity.and_then(|identity| identity.invoked_by()),
        on_behalf_of: caller.on_behalf_of.as_deref(),
        workload: caller.workload.as_deref(),
        agent_hint: hint.map(|(hint, _)| hint),
        agent_evidence: hint.map(|(_, evidence)| evidence),
        source_ip: record.source_ip(),
        source_kind: source_kind(record),
        vpc_endpoint: record.vpc_endpoint_id(),
        user_agent: record.user_agent(),
        tls: record.tls_version(),
        resources: &resources,
        request: request.as_deref(),
        response: response.as_deref(),
        additional: additional.as_deref(),
        event_context: event_context.as_deref(),
        // CloudTrail tells only what was refused.
        granted: None,
        object: place.object,
        row: place.row,
    });
    Ok(())
}

/// The event's category. Records before version 1.07 do not name it.
fn category<'a>(record: &'a Record<'_>, insight: bool) -> Option<Cow<'a, str>> {
    let known = match (record.event_category(), record.management_event()) {
        (Some("Management"), _) | (None, Some(true)) => "management",
        (Some("Data"), _) | (None, Some(false)) => "data",
        (Some("NetworkActivity"), _) => "network",
        (Some("Insight"), _) => "insight",
        (None, None) if insight => "insight",
        // Kept and shown: a category that we do not know yet is no reason to lose the event.
        (Some(other), _) => return Some(Cow::Owned(other.to_ascii_lowercase())),
        (None, None) => return None,
    };
    Some(Cow::Borrowed(known))
}

fn source_kind(record: &Record<'_>) -> Option<&'static str> {
    let source = record.source_ip().unwrap_or_default();
    if source.ends_with(".amazonaws.com") || source == "AWS Internal" {
        return Some("service");
    }
    if record.vpc_endpoint_id().is_some() {
        return Some("vpce");
    }
    source.parse::<IpAddr>().is_ok().then_some("ip")
}

#[cfg(test)]
mod tests;
