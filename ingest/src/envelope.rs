//! What a queue's message wraps: the objects that a notification names.
//!
//! Understood: S3 notifications, EventBridge's `Object Created`, and CloudTrail's own (`s3Bucket`, `s3ObjectKey`);
//! as they are, or inside SNS and SQS envelopes. No address in a message is ever fetched.

use serde_json::{Map, Value};

use crate::planted::{Bug, bug};
use crate::quarantine::reason;

/// Largest body, in bytes: what SQS carries.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Most envelopes around a notification.
const LEVELS_MAX: usize = 3;

/// Longest key that S3 accepts, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Objects to fetch: at least one.
    Objects(Vec<NotifiedObject>),
    /// Nothing to fetch, and why: `test_event`, `object_removed`, `not_created`, `subscription`, `empty`.
    Ignored(&'static str),
}

/// An object that a notification names. Keys are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifiedObject {
    /// The bucket's name.
    pub bucket: String,
    /// The key, as S3 knows it.
    pub key: String,
    /// The version's id, in buckets that keep versions.
    pub version: Option<String>,
    /// The ETag, without quotes.
    pub etag: Option<String>,
}

/// Why a message cannot be understood. It is quarantined, never just deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Larger than a message can be.
    #[error("the message has {bytes} bytes, more than {BODY_BYTES_MAX}")]
    TooBig {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// JSON of no known shape.
    #[error(
        "the message is no notification that we know ({0}); known are those of S3, of EventBridge (`Object Created`) \
         and of CloudTrail, as they are or inside SNS or SQS envelopes"
    )]
    UnknownShape(&'static str),
    /// A part of a known shape is missing or of another type.
    #[error("the notification has no usable `{0}`")]
    BadField(&'static str),
    /// A key that cannot be decoded.
    #[error("the notification's key cannot be decoded: {0}")]
    BadKey(&'static str),
    /// Envelopes in envelopes.
    #[error("the notification is wrapped more than {LEVELS_MAX} times")]
    TooDeep,
}

impl NotificationError {
    /// The reason it is counted under.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadKey(_) => reason::BAD_KEY,
            _ => reason::BAD_NOTIFICATION,
        }
    }
}

/// Reads a message's body.
///
/// # Errors
/// One bad part makes the whole message an error: an object that is not read for the sake of its neighbours would be
/// lost when they are acknowledged.
pub fn notification(body: &str) -> Result<Notification, NotificationError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(NotificationError::TooBig { bytes: body.len() });
    }
    let mut found = Found::default();
    found.text(body, 0)?;
    match found {
        Found { objects, .. } if !objects.is_empty() => Ok(Notification::Objects(objects)),
        Found { ignored: Some(why), .. } => Ok(Notification::Ignored(why)),
        Found { .. } => Ok(Notification::Ignored("empty")),
    }
}

#[derive(Default)]
struct Found {
    objects: Vec<NotifiedObject>,
    /// Why the last part that named no object to fetch did not.
    ignored: Option<&'static str>,
}

impl Found {
    fn text(&mut self, body: &str, level: usize) -> Result<(), NotificationError> {
        let body = serde_json::from_str(body.trim_start_matches('\u{feff}'))
            .map_err(|error| NotificationError::NotJson(error.to_string()))?;
        self.value(&body, level)
    }

    fn value(&mut self, body: &Value, level: usize) -> Result<(), NotificationError> {
        let Value::Object(body) = body else { return Err(NotificationError::UnknownShape("no object")) };
        if level > LEVELS_MAX {
            return Err(NotificationError::TooDeep);
        }
        if let Some(records) = body.get("Records") {
            let Value::Array(records) = records else { return Err(NotificationError::BadField("Records")) };
            let read = if bug(Bug::FirstRecordOnly) { 1 } else { records.len() };
            return records.iter().take(read).try_for_each(|record| self.record(record, level));
        }
        if let Some(kind @ ("Notification" | "SubscriptionConfirmation" | "UnsubscribeConfirmation")) =
            text(body, "Type")
        {
            return match (kind, body.get("Message")) {
                ("Notification", Some(message)) => self.wrapped(message, level),
                ("Notification", None) => Err(NotificationError::BadField("Message")),
                // Whoever subscribed the queue confirms it: no address from a message is visited.
                _ => self.ignore("subscription"),
            };
        }
        if body.contains_key("s3Bucket") || body.contains_key("s3ObjectKey") {
            return self.cloudtrail(body);
        }
        if body.contains_key("detail-type") {
            return self.eventbridge(body);
        }
        if text(body, "Event") == Some("s3:TestEvent") {
            return self.ignore("test_event");
        }
        if body.contains_key("s3") {
            return self.s3(body);
        }
        Err(NotificationError::UnknownShape("no such members"))
    }

    /// A message inside: text that holds JSON, or, from tools that unpacked it, the JSON itself.
    fn wrapped(&mut self, message: &Value, level: usize) -> Result<(), NotificationError> {
        match message {
            Value::String(message) => self.text(message, level + 1),
            message => self.value(message, level + 1),
        }
    }

    /// One of `Records`: an S3 event, or an envelope of SQS or SNS.
    fn record(&mut self, record: &Value, level: usize) -> Result<(), NotificationError> {
        let Value::Object(fields) = record else { return Err(NotificationError::BadField("Records")) };
        if fields.contains_key("s3") {
            return self.s3(fields);
        }
        if let Some(body) = fields.get("body") {
            return self.wrapped(body, level);
        }
        match fields.get("Sns") {
            Some(sns) => self.value(sns, level + 1),
            None => Err(NotificationError::UnknownShape("`Records` of neither S3, SNS nor SQS")),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    fn s3(&mut self, record: &Map<String, Value>) -> Result<(), NotificationError> {
        let event = text(record, "eventName").ok_or(NotificationError::BadField("eventName"))?;
        let event = event.strip_prefix("s3:").unwrap_or(event);
        if event.starts_with("ObjectRemoved:") || event.starts_with("LifecycleExpiration:") {
            return self.ignore("object_removed");
        }
        if !event.starts_with("ObjectCreated:") {
            return self.ignore("not_created");
        }
        let s3 = object(record, "s3")?;
        let what = object(s3, "object")?;
        let key = form_decoded(text(what, "key").ok_or(NotificationError::BadField("key"))?)?;
        self.object(text(object(s3, "bucket")?, "name"), key, text(what, "versionId"), text(what, "eTag"))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>; keys are as they are.
    fn eventbridge(&mut self, event: &Map<String, Value>) -> Result<(), NotificationError> {
        if text(event, "source") != Some("aws.s3") {
            return Err(NotificationError::UnknownShape(
                "an EventBridge event of a source other than `aws.s3`",
            ));
        }
        match text(event, "detail-type") {
            Some("Object Created") => {}
            Some("Object Deleted") => return self.ignore("object_removed"),
            Some(kind) if kind.starts_with("Object ") => return self.ignore("not_created"),
            _ => return Err(NotificationError::UnknownShape("an EventBridge event of another type")),
        }
        let detail = object(event, "detail")?;
        let what = object(detail, "object")?;
        let key = text(what, "key").ok_or(NotificationError::BadField("key"))?.to_owned();
        self.object(
            text(object(detail, "bucket")?, "name"),
            key,
            text(what, "version-id"),
            text(what, "etag"),
        )
    }

    /// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/configure-sns-notifications-for-cloudtrail.html>;
    /// keys are as they are.
    fn cloudtrail(&mut self, message: &Map<String, Value>) -> Result<(), NotificationError> {
        let bucket = text(message, "s3Bucket");
        let keys = match message.get("s3ObjectKey") {
            Some(Value::Array(keys)) => keys.as_slice(),
            Some(key @ Value::String(_)) => std::slice::from_ref(key),
            _ => return Err(NotificationError::BadField("s3ObjectKey")),
        };
        for key in keys {
            let key = key.as_str().ok_or(NotificationError::BadField("s3ObjectKey"))?;
            self.object(bucket, key.to_owned(), None, None)?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        bucket: Option<&str>,
        key: String,
        version: Option<&str>,
        etag: Option<&str>,
    ) -> Result<(), NotificationError> {
        let usable =
            |bucket: &&str| !bucket.is_empty() && bucket.len() <= 255 && !bucket.contains(unusable_in_bucket);
        let bucket = bucket.filter(usable).ok_or(NotificationError::BadField("bucket"))?.to_owned();
        if key.is_empty() {
            return Err(NotificationError::BadKey("it is empty"));
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(NotificationError::BadKey("it is longer than 1,024 bytes"));
        }
        let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let etag = some(etag.map(|etag| etag.trim_matches('"')));
        self.objects.push(NotifiedObject { bucket, key, version: some(version), etag });
        Ok(())
    }

    fn ignore(&mut self, why: &'static str) -> Result<(), NotificationError> {
        self.ignored = Some(why);
        Ok(())
    }
}

/// What would make a bucket's name part of a path.
fn unusable_in_bucket(letter: char) -> bool {
    matches!(letter, '/' | '\\' | '?' | '#' | '%') || letter.is_control() || letter.is_whitespace()
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name)?.as_str()
}

fn object<'a>(
    map: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a Map<String, Value>, NotificationError> {
    map.get(name).and_then(Value::as_object).ok_or(NotificationError::BadField(name))
}

/// Decodes once, as forms are: `+` is a space, then `%XX` is a byte.
fn form_decoded(key: &str) -> Result<String, NotificationError> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = rest.next() {
        match byte {
            b'+' if !bug(Bug::PlusNotDecoded) => bytes.push(b' '),
            b'%' => {
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(NotificationError::BadKey("`%` without two hexadecimal digits"));
                };
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| NotificationError::BadKey("it is not UTF-8"))
}

#[cfg(test)]
mod tests;
