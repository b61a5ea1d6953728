//! CloudTrail: files of `Records`, and single events on lines.

use std::borrow::Cow;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::agent::{self, Caller};
use crate::denial;
use crate::event::{Event, EventBatch, EventBuilder};
use crate::fingerprint::hex;
use crate::inflate::{Limits, ObjectError, inflate};
use crate::quarantine::{Quarantined, reason};
use crate::redact::Redaction;
use crate::source::ObjectRef;
use crate::time::micros;
use crate::token::{balanced, skip_space};
use frames::{Frame, Shape, frames};
use record::Record;

mod frames;
pub(crate) mod record;

/// Quarantined records of one object that keep their text: a file of nothing else must not fill the memory.
const HEADS_MAX: usize = 256;

/// What one object held.
#[derive(Debug)]
pub struct ReadObject {
    /// The events that could be read, in the object's order.
    pub batch: EventBatch,
    /// What could not be read, and why.
    pub quarantined: Vec<Quarantined>,
    /// Records that went in: always rows and quarantined together.
    pub read: u64,
    /// SHA-256 of the bytes as stored, in hexadecimal.
    pub sha256: String,
    /// Why an object without records has none on purpose: `digest` or `empty`.
    pub ignored: Option<&'static str>,
}

/// Reads one object. The same bytes give the same answer.
///
/// `bytes`: as stored, gzip or plain; the content decides, not the name. Shapes: `{"Records": [...]}`, an array, one
/// event, one of these on each line. A record that cannot be read is quarantined and its neighbours go on.
///
/// # Errors
/// [`ObjectError`] when the object is refused as a whole; nothing of it may be committed then.
pub fn read_object(
    object: &ObjectRef,
    bytes: &[u8],
    limits: &Limits,
    redact: &Redaction,
) -> Result<ReadObject, ObjectError> {
    let plain = inflate(bytes, limits)?;
    let text = without_bom(&plain)?;
    let mut reader = Reader {
        builder: EventBuilder::with_capacity(text.len() / 1500),
        quarantined: Vec::new(),
        row: 0,
        object: object.display(),
        limits,
        redact,
    };
    let shape = frames(text, limits.records_max, &mut |frame| reader.frame(frame));
    let ignored = match shape {
        Shape::Unknown => return Err(ObjectError::BadJson),
        Shape::Digest => Some("digest"),
        Shape::Events => (reader.row == 0).then_some("empty"),
    };
    let sha256 = hex(&Sha256::digest(bytes));
    let Reader { builder, quarantined, row, .. } = reader;
    Ok(ReadObject { batch: builder.finish(), quarantined, read: u64::from(row), sha256, ignored })
}

/// Reads one raw record into a batch of one row, or says why it cannot.
///
/// # Errors
/// The quarantined record, as [`read_object`] would give it.
pub fn read_record(record: &str, limits: &Limits, redact: &Redaction) -> Result<EventBatch, Quarantined> {
    let text = record.as_bytes();
    let bad = |reason, detail: &str| Quarantined::new(Some(0), reason, detail, text, redact);
    let start = skip_space(text, 0);
    let value = balanced(text, start, &mut Vec::new());
    let Some(value) = value.filter(|value| skip_space(text, value.end) == text.len()) else {
        return Err(bad(reason::BAD_JSON, "not one JSON value"));
    };
    let mut builder = EventBuilder::with_capacity(1);
    let text = text.get(start..value.end).unwrap_or_default();
    append(&mut builder, text, value.depth, Place { object: None, row: 0 }, limits, redact)
        .map_err(|unread| bad(unread.reason, &unread.detail))?;
    Ok(builder.finish())
}

struct Reader<'l> {
    builder: EventBuilder,
    quarantined: Vec<Quarantined>,
    row: u32,
    object: String,
    limits: &'l Limits,
    redact: &'l Redaction,
}

impl Reader<'_> {
    fn frame(&mut self, frame: Frame<'_>) {
        match frame {
            Frame::Record { text, depth } => {
                let place = Place { object: Some(&self.object), row: self.row };
                if let Err(unread) = append(&mut self.builder, text, depth, place, self.limits, self.redact) {
                    self.quarantine(unread.reason, unread.detail, text);
                }
            }
            Frame::Broken { text, reason, detail } => self.quarantine(reason, detail.into(), text),
        }
        self.row += 1;
    }

    fn quarantine(&mut self, reason: &'static str, detail: Cow<'static, str>, text: &[u8]) {
        let row = Some(self.row);
        self.quarantined.push(if self.quarantined.len() < HEADS_MAX {
            Quarantined::new(row, reason, detail, text, self.redact)
        } else {
            Quarantined { row, reason, detail: String::new(), head: String::new() }
        });
    }
}

/// Where a record stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    object: Option<&'a str>,
    row: u32,
}

struct Unread {
    reason: &'static str,
    detail: Cow<'static, str>,
}

impl Unread {
    fn new(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

fn append(
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
    let Caller { actor, actor_id, actor_account, session, session_name, credential_kind, workload } = &caller;

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
        on_behalf_of: identity.and_then(|identity| identity.on_behalf_of()),
        workload: *workload,
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

fn without_bom(text: &[u8]) -> Result<&[u8], ObjectError> {
    match text {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(rest),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(ObjectError::BadEncoding),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests;
