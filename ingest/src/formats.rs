//! What the providers write.

use std::borrow::Cow;

use crate::fingerprint::fingerprint;
use crate::inflate::{Limits, inflate};
use crate::object::{Rows, Unread};
use crate::quarantine::reason;
use crate::token::{skip_space, string_end};
use fields::Fields;
use frames::{Cutter, Records, Shape, Window};
use wraps::Content;

mod address;
mod azure;
mod azure_activity;
mod azure_entra;
mod azure_resource;
pub mod cloudtrail;
mod fields;
pub(crate) mod frames;
mod gcp_audit;
pub(crate) mod version;
pub(crate) mod wraps;

/// Largest content of one envelope when inflated: a record of Kinesis has 1 MiB at most.
const CONTENT_BYTES_MAX: u64 = 64 << 20;

/// Who wrote one record, told by its own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    CloudTrail,
    AzureActivity,
    AzureResource,
    Entra,
    GcpAudit,
    Unknown,
}

/// Takes a record that CloudTrail's reader `refused`: another cloud's, or an envelope. `level`: how many envelopes are
/// around it.
pub(crate) fn elsewhere(rows: &mut Rows<'_>, text: &[u8], level: usize, refused: Unread) {
    // What is too large, too deep or no JSON is nobody's.
    let may_be_other = matches!(
        refused.reason,
        reason::MISSING_FIELD | reason::WRONG_TYPE | reason::BAD_TIME | reason::DUPLICATE_KEY
    );
    let told = std::str::from_utf8(text).ok().filter(|text| may_be_other && text.starts_with('{'));
    let Some(record) = told else { return rows.quarantine(refused.reason, refused.detail, text) };
    let fields = match Fields::of(record) {
        Ok(fields) => fields,
        // CloudTrail's reader names its own field; a field of no account to it may still count for another.
        Err(unread) if refused.reason == reason::MISSING_FIELD => {
            return rows.quarantine(unread.reason, unread.detail, text);
        }
        Err(_) => return rows.quarantine(refused.reason, refused.detail, text),
    };
    let writer = writer(&fields);
    if matches!(writer, Writer::CloudTrail | Writer::Unknown)
        && let Some(content) = wraps::content(&fields)
    {
        return unwrap(rows, content, text, level);
    }
    let redact = rows.redact;
    rows.appended(text, |builder, place| match writer {
        Writer::CloudTrail => Err(refused),
        Writer::AzureActivity => azure_activity::append(builder, &fields, record, place, redact),
        Writer::AzureResource => azure_resource::append(builder, &fields, record, place, redact),
        Writer::Entra => azure_entra::append(builder, &fields, record, place, redact),
        Writer::GcpAudit => gcp_audit::append(builder, &fields, record, place, redact),
        Writer::Unknown => Err(Unread::new(
            reason::UNKNOWN_FORMAT,
            "no record of CloudTrail, Azure's Activity Log, Entra or Google Cloud's audit logs",
        )),
    });
}

/// Categories of the Activity Log.
const ACTIVITY: &[&str] = &[
    "administrative",
    "alert",
    "autoscale",
    "policy",
    "recommendation",
    "resourcehealth",
    "security",
    "servicehealth",
];

fn writer(fields: &Fields<'_>) -> Writer {
    if gcp_audit::is_one(fields) {
        return Writer::GcpAudit;
    }
    let category = fields.text(&["categoryValue", "category"]).unwrap_or_default().to_ascii_lowercase();
    let operation = fields.text(azure_activity::OPERATION);
    let resource = fields.text(azure_activity::RESOURCE).unwrap_or_default().to_ascii_lowercase();
    if category.ends_with("signinlogs")
        || matches!(&*category, "auditlogs" | "microsoftgraphactivitylogs")
        || resource.contains("/providers/microsoft.aadiam")
        // As Graph prints them.
        || fields.has(&["activityDisplayName"]) && fields.has(&["initiatedBy"])
        || fields.has(&["createdDateTime"]) && fields.has(&["appId"]) && fields.has(&["ipAddress"])
    {
        return Writer::Entra;
    }
    let is_azure = fields.object(&["authorization"]).is_ok_and(|one| one.has(&["action"]))
        || operation.is_some()
            && (!resource.is_empty() || !category.is_empty() || fields.has(&["tenantId", "subscriptionId"]));
    if is_azure {
        let told = ACTIVITY.contains(&&*category);
        let is_path = operation.is_some_and(|operation| operation.split('/').count() >= 3);
        return if told || category.is_empty() && is_path {
            Writer::AzureActivity
        } else {
            Writer::AzureResource
        };
    }
    let marks = [
        "eventVersion",
        "userIdentity",
        "eventSource",
        "eventName",
        "eventID",
        "eventTime",
        "awsRegion",
        "eventType",
    ];
    // A record without a single key lacks everything, its writer too.
    if fields.is_empty() || marks.iter().any(|mark| fields.has(&[mark])) {
        return Writer::CloudTrail;
    }
    Writer::Unknown
}

/// Takes what an envelope holds: each record in it is one of the object's.
fn unwrap(rows: &mut Rows<'_>, content: Content<'_>, envelope: &[u8], level: usize) {
    if level >= wraps::LEVELS_MAX {
        let detail = format!("in more than {} envelopes", wraps::LEVELS_MAX);
        return rows.quarantine(reason::TOO_DEEP, detail.into(), envelope);
    }
    match content {
        Content::Nothing => {}
        Content::Broken(reason, detail) => rows.quarantine(reason, detail.into(), envelope),
        Content::Text(text) => inner(rows, text.as_bytes(), level),
        Content::List(list) => list.into_iter().for_each(|one| inner(rows, one.as_bytes(), level)),
        Content::Bytes(bytes) => {
            let limits =
                Limits { inflated_bytes_max: rows.left().min(CONTENT_BYTES_MAX), ..rows.limits.clone() };
            match inflate(&bytes, &limits) {
                Ok(plain) => inner(rows, &plain, level),
                Err(error) => rows.quarantine(error.reason(), error.to_string().into(), envelope),
            }
        }
    }
}

fn inner(rows: &mut Rows<'_>, text: &[u8], level: usize) {
    if !rows.takes(text.len()) {
        let detail = "the envelopes of the object hold more than the limit";
        return rows.quarantine(reason::INFLATED_TOO_BIG, detail.into(), text);
    }
    let mut cutter = Cutter::new(0, rows.limits.records_max.saturating_sub(rows.row));
    cutter.run(Window::of(text, true), &mut Inside { rows, level: level + 1 });
    if cutter.shape() == Shape::Unknown {
        rows.quarantine(reason::BAD_JSON, "the envelope holds no JSON".into(), text);
    }
}

/// Records inside `level` envelopes.
struct Inside<'r, 'l> {
    rows: &'r mut Rows<'l>,
    level: usize,
}

impl Records for Inside<'_, '_> {
    fn record(&mut self, window: Window<'_>, at: usize, end: usize) -> Option<usize> {
        self.rows.inner(window.bytes.get(..end)?, at, self.level)
    }

    fn broken(&mut self, text: &[u8], reason: &'static str, detail: &'static str) {
        self.rows.quarantine(reason, detail.into(), text);
    }
}

/// The id of an event that its cloud gave none: the same for the same record, however it is indented or wrapped.
pub(crate) fn synthetic_id(record: &str) -> String {
    format!("sha256:{}", fingerprint(&[&minified(record)], 32))
}

/// JSON without the white space between its parts.
pub(crate) fn minified(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while at < bytes.len() {
        at = skip_space(bytes, at);
        let end = match bytes.get(at) {
            Some(b'"') => string_end(bytes, at).unwrap_or(bytes.len()),
            Some(_) => {
                let rest = bytes.get(at..).unwrap_or_default();
                let plain = |byte: &u8| matches!(byte, b'"' | b' ' | b'\n' | b'\r' | b'\t');
                rest.iter().position(plain).map_or(bytes.len(), |length| at + length)
            }
            None => break,
        };
        out.push_str(json.get(at..end).unwrap_or_default());
        at = end;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
