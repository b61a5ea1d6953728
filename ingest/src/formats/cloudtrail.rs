//! CloudTrail: what its records say, as rows.
//!
//! A record is read in one forward pass that notes where its fields stand ([`slots`]; the keys and their order:
//! [`keys`], the tokens: [`scan`]), and what the columns hold is taken from there ([`record`]). Nothing is searched
//! twice, nothing is copied but into a column, and what nobody asked for is not computed. `serde_json` reads the same
//! records in the tests and must find the same rows and the same faults.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::agent::{self, Caller};
use crate::denial;
use crate::event::{Event, EventBuilder};
use crate::formats::frames::Window;
use crate::inflate::Limits;
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;
use crate::time::micros;
use keys::Slot;
use record::Record;
use scan::Fault;

pub use crate::object::{ReadObject, read_object, read_record};
pub(crate) use slots::Slots;

mod escapes;
mod identities;
mod keys;
pub(crate) mod record;
mod scan;
mod slots;

/// Where the record at `at` of a window leads to.
pub(crate) enum Fast {
    /// It is a row now, and ends here.
    Row(usize),
    /// It must be looked at more closely.
    Unclear,
}

/// Makes a row of the record at `at`, if all is well with it and it ends before `end`.
#[inline]
pub(crate) fn append_at(
    builder: &mut EventBuilder,
    slots: &mut Slots,
    window: Window<'_>,
    (at, end): (usize, usize),
    place: Place<'_>,
    limits: &Limits,
    redact: &Redaction,
) -> Fast {
    let Some(text) = window.text.and_then(|text| text.get(..end)) else { return Fast::Unclear };
    let Ok(past) = slots.read(text, at, limits.depth_max) else { return Fast::Unclear };
    if slots.marked || past - at > limits.record_bytes_max {
        return Fast::Unclear;
    }
    match append_record(builder, &Record::new(text, slots), place, redact) {
        Ok(()) => Fast::Row(past),
        Err(_) => Fast::Unclear,
    }
}

/// Makes a row of one record, or says why it cannot. `depth`: how deep it nests.
pub(crate) fn append(
    builder: &mut EventBuilder,
    slots: &mut Slots,
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
    if !text.starts_with('{') {
        return Err(Unread::new(reason::WRONG_TYPE, "a record is an object"));
    }
    slots.read(text, 0, limits.depth_max).map_err(|(fault, at)| unread(fault, at))?;
    append_record(builder, &Record::new(text, slots), place, redact)
}

/// Names what the reader refused.
fn unread(fault: Fault, at: usize) -> Unread {
    let (reason, what) = match fault {
        Fault::Structure => {
            (reason::BAD_JSON, "a bracket, comma, colon or value is missing or misplaced".into())
        }
        Fault::String => (reason::BAD_JSON, "a string that is none".into()),
        Fault::Number => (reason::BAD_JSON, "a number that is none".into()),
        Fault::Literal => (reason::BAD_JSON, "neither `true`, `false` nor `null`".into()),
        Fault::Depth => (reason::TOO_DEEP, "nested too deep".into()),
        Fault::Type(name) => (reason::WRONG_TYPE, format!("`{name}` is of another type")),
        Fault::Duplicate(name) => (reason::DUPLICATE_KEY, format!("`{name}` is there twice")),
    };
    Unread::new(reason, format!("{what}, at byte {at}"))
}

/// So many resources of a record need no memory of their own.
const RESOURCES_FEW: usize = 8;

fn append_record<'r>(
    builder: &mut EventBuilder,
    record: &'r Record<'r>,
    place: Place<'_>,
    redact: &Redaction,
) -> Result<(), Unread> {
    let missing = |field: &'static str| Unread::new(reason::MISSING_FIELD, field);
    let event_id = record.event_id().ok_or_else(|| missing("eventID"))?;
    let service = record.event_source().ok_or_else(|| missing("eventSource"))?;
    let operation = record.event_name().ok_or_else(|| missing("eventName"))?;
    let time = record.event_time().ok_or_else(|| missing("eventTime"))?;
    let time = micros(time).ok_or_else(|| Unread::new(reason::BAD_TIME, "eventTime is no time"))?;

    let columns = builder.columns();
    let caller = if columns.wants_caller() { agent::caller(record) } else { Caller::default() };
    let hint =
        (columns.agent_hint || columns.agent_evidence).then(|| agent::agent_hint(record, &caller)).flatten();
    let identity = record.user_identity.as_ref();
    let insight = record.event_type() == Some("AwsCloudTrailInsight");
    let category = columns.category.then(|| category(record, insight)).flatten();
    let outcome = if insight || !(columns.outcome || columns.denied_by) {
        "unknown"
    } else {
        denial::outcome(record.error_code(), record.error_message())
    };
    let denied = outcome == "denied";
    let raw = |wanted: bool, value: Option<(&'r str, bool)>| {
        let (json, may_hide) = value.filter(|_| wanted)?;
        Some(if may_hide || redact.has_own() { redact.text(json) } else { Cow::Borrowed(json) })
    };
    let request = raw(columns.request, record.raw(Slot::Request));
    let response = raw(columns.response, record.raw(Slot::Response));
    let additional = raw(columns.additional, record.raw(Slot::Additional));
    let event_context = raw(columns.event_context, record.raw(Slot::EventContext));
    let mut few = [""; RESOURCES_FEW];
    let many: Vec<&str>;
    let resources = if !columns.resources {
        &[]
    } else if let Some(few) = few.get_mut(..record.resources().len()) {
        few.iter_mut().zip(record.resources()).for_each(|(place, arn)| *place = arn);
        &*few
    } else {
        many = record.resources().collect();
        &many
    };
    let Caller { actor, actor_id, actor_account, session, session_name, credential_kind, .. } = &caller;

    let event = Event {
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
        denied_by: (denied && columns.denied_by)
            .then(|| denial::denied_by(record.error_code(), record.error_message()))
            .flatten(),
        actor_type: identity.map(|identity| identity.kind()).filter(|kind| !kind.is_empty()),
        actor: actor.as_deref(),
        actor_id: *actor_id,
        actor_account: *actor_account,
        session: *session,
        session_name: *session_name,
        session_started: identity
            .filter(|_| columns.session_started)
            .and_then(|identity| identity.session_started())
            .and_then(micros),
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
        source_kind: columns.source_kind.then(|| source_kind(record)).flatten(),
        vpc_endpoint: record.vpc_endpoint_id(),
        user_agent: record.user_agent(),
        tls: record.tls_version(),
        resources,
        request: request.as_deref(),
        response: response.as_deref(),
        additional: additional.as_deref(),
        event_context: event_context.as_deref(),
        // CloudTrail tells only what was refused.
        granted: None,
        object: place.object,
        row: place.row,
    };
    builder.append_by(&event, record.caller());
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
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
