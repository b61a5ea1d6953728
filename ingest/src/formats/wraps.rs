//! What a record is wrapped in, and what it holds: buses and queues put whole records, and lists of them, into envelopes
//! of their own.
//!
//! Understood: EventBridge's `detail`; CloudWatch Logs subscriptions, as they are or inside Lambda's `awslogs`, Kinesis
//! and Firehose; SQS and SNS; `aws cloudtrail lookup-events` and queries of CloudTrail Lake; Pub/Sub, pushed and pulled;
//! lists as clouds name them.

use std::borrow::Cow;

use crate::formats::fields::{Fields, decoded, elements};
use crate::quarantine::reason;

/// Most envelopes around a record.
pub(crate) const LEVELS_MAX: usize = 3;

/// Lists that hold records, as CloudTrail (`Records`), diagnostic settings (`records`), REST interfaces (`value`,
/// `entries`), `lookup-events` (`Events`), subscriptions (`logEvents`), pulls (`receivedMessages`) and queues
/// (`Messages`) call them.
pub(crate) const LISTS: &[&str] =
    &["Records", "records", "value", "entries", "Events", "logEvents", "receivedMessages", "Messages"];

/// What an envelope holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'f> {
    /// JSON: one record, several, or another envelope.
    Text(Cow<'f, str>),
    /// Bytes as they were sent: perhaps gzip.
    Bytes(Vec<u8>),
    /// Records, one by one.
    List(Vec<&'f str>),
    /// Nothing on purpose: a message of the bus itself.
    Nothing,
    /// It is an envelope, but its content cannot be had.
    Broken(&'static str, &'static str),
}

/// What `fields` wraps; `None` where it is no envelope.
pub(super) fn content<'f>(fields: &'f Fields<'_>) -> Option<Content<'f>> {
    // By their own spelling: the keys of records are found in any.
    let string = |names: &[&str]| names.iter().find_map(|name| fields.exact(name)).and_then(decoded);
    // https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
    if fields.has(&["detail-type"]) {
        return object(fields, "detail");
    }
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    if fields.has(&["logEvents"]) && string(&["messageType"]).as_deref() == Some("CONTROL_MESSAGE") {
        return Some(Content::Nothing);
    }
    if let Some(name) = LISTS.iter().find(|name| has_list(fields, name)) {
        return fields.raw(&[name]).map(|list| Content::List(elements(list, usize::MAX)));
    }
    // https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Event.html
    if let Some(text) = string(&["CloudTrailEvent", "eventJson", "eventjson"]) {
        return Some(Content::Text(text));
    }
    // https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetQueryResults.html: a row is a list of columns.
    if has_list(fields, "QueryResultRows") {
        let rows = elements(fields.raw(&["QueryResultRows"])?, usize::MAX);
        return Some(Content::List(rows.into_iter().flat_map(|row| elements(row, usize::MAX)).collect()));
    }
    if has_object(fields, "awslogs") {
        return data(&fields.object_or_empty(&["awslogs"]));
    }
    if has_object(fields, "kinesis") {
        return data(&fields.object_or_empty(&["kinesis"]));
    }
    if has_object(fields, "Sns") {
        return object(fields, "Sns");
    }
    // An event of a log group, and lines that shippers put into one field.
    if let Some(text) = string(&["message"]) {
        let is_event =
            fields.has(&["timestamp"]) || fields.has(&["id"]) || text.trim_start().starts_with('{');
        return match text.starts_with("CWL CONTROL MESSAGE") {
            true => Some(Content::Nothing),
            false => is_event.then_some(Content::Text(text)),
        };
    }
    // https://cloud.google.com/pubsub/docs/reference/rest/v1/PubsubMessage, around it a push or a pull.
    if has_object(fields, "message") {
        return data(&fields.object_or_empty(&["message"]));
    }
    if fields.has(&["data"]) && fields.has(&["messageId", "recordId", "publishTime", "attributes"]) {
        return data(fields);
    }
    // https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
    match string(&["Type"]).as_deref() {
        Some("Notification") => return string(&["Message"]).map(Content::Text),
        Some("SubscriptionConfirmation" | "UnsubscribeConfirmation") => return Some(Content::Nothing),
        _ => {}
    }
    let is_message = fields.has(&["messageId", "receiptHandle", "EnqueuedTimeUtc", "SequenceNumber"]);
    match fields.raw(&["body"]).filter(|_| is_message)? {
        text if text.starts_with('"') => decoded(text).map(Content::Text),
        text => Some(Content::Text(Cow::Borrowed(text))),
    }
}

fn has_object(fields: &Fields<'_>, name: &str) -> bool {
    fields.exact(name).is_some_and(|value| value.starts_with('{'))
}

/// A list of objects: a list of anything else is a field like others.
fn has_list(fields: &Fields<'_>, name: &str) -> bool {
    let inner = fields.exact(name).and_then(|value| value.strip_prefix('['));
    inner.is_some_and(|inner| matches!(inner.trim_start().bytes().next(), Some(b'{' | b'[' | b']')))
}

fn object<'f>(fields: &'f Fields<'_>, name: &str) -> Option<Content<'f>> {
    fields.exact(name).filter(|value| value.starts_with('{')).map(|value| Content::Text(Cow::Borrowed(value)))
}

/// Base64 under `data`.
fn data<'f>(fields: &Fields<'_>) -> Option<Content<'f>> {
    let text = fields.raw(&["data"]).and_then(decoded)?;
    Some(match base64(text.as_bytes()) {
        Some(bytes) => Content::Bytes(bytes),
        None => Content::Broken(reason::BAD_ENCODING, "`data` is no base64"),
    })
}

/// Both alphabets, with or without padding; white space is passed over. None for anything else.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    let mut padded = false;
    for letter in text {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                padded = true;
                continue;
            }
            b' ' | b'\n' | b'\r' | b'\t' => continue,
            _ => return None,
        };
        if padded {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    // A single letter at the end is no byte.
    (count < 6).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        let fields = Fields::of(text).unwrap_or_default();
        content(&fields).map(|content| match content {
            Content::Text(text) => text.into_owned(),
            Content::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Content::List(list) => list.join("|"),
            Content::Nothing => "nothing".to_owned(),
            Content::Broken(reason, _) => reason.to_owned(),
        })
    }

    #[test]
    fn every_envelope_gives_what_it_holds() {
        let inner = r#"{"a":1}"#;
        for wrapped in [
            r#"{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{"a":1}}"#,
            r#"{"id":"1","timestamp":1,"message":"{\"a\":1}"}"#,
            r#"{"EventId":"x","CloudTrailEvent":"{\"a\":1}"}"#,
            r#"{"eventjson":"{\"a\":1}"}"#,
            r#"{"Type":"Notification","Message":"{\"a\":1}"}"#,
            r#"{"messageId":"m","body":"{\"a\":1}"}"#,
            r#"{"message":{"data":"eyJhIjoxfQ==","messageId":"1"},"subscription":"s"}"#,
            r#"{"ackId":"x","message":{"data":"eyJhIjoxfQ"}}"#,
            r#"{"kinesis":{"data":"eyJhIjoxfQ=="}}"#,
            r#"{"recordId":"r","data":"eyJhIjoxfQ=="}"#,
            r#"{"awslogs":{"data":"eyJhIjoxfQ=="}}"#,
            r#"{"records":[{"a":1}]}"#,
            r#"{"QueryResultRows":[[{"a":1}]]}"#,
        ] {
            assert_eq!(of(wrapped).as_deref(), Some(inner), "{wrapped}");
        }
    }

    #[test]
    fn what_only_looks_like_an_envelope_is_none() {
        for text in [
            r#"{"eventID":"1","eventName":"x"}"#,
            r#"{"message":"in a bottle"}"#,
            r#"{"records":["a","b"]}"#,
            r#"{"data":"eyJhIjoxfQ=="}"#,
            r#"{"body":"{}"}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn messages_of_the_bus_itself_hold_nothing() {
        for text in [
            r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"x"}]}"#,
            r#"{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}"#,
            r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"https://attacker.example"}"#,
        ] {
            assert_eq!(of(text).as_deref(), Some("nothing"), "{text}");
        }
    }

    #[test]
    fn base64_is_read_in_both_alphabets_and_nothing_else() {
        assert_eq!(base64(b"-_-_"), base64(b"+/+/"));
        assert_eq!(base64(b"aGk="), Some(b"hi".to_vec()));
        assert_eq!(base64(b"aG\nk"), Some(b"hi".to_vec()));
        for bad in [&b"a"[..], b"aGk=a", b"a*k="] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
        assert_eq!(of(r#"{"kinesis":{"data":"*"}}"#).as_deref(), Some(reason::BAD_ENCODING));
    }
}
