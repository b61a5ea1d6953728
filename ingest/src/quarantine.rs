//! What could not be read, and why: nothing is dropped without a trace.

use crate::redact::Redaction;

/// Why a record, an object or a notification could not be read. Closed: these are the values of a metric's label.
pub mod reason {
    /// Not JSON, or JSON that breaks off.
    pub const BAD_JSON: &str = "bad_json";
    /// Not UTF-8.
    pub const BAD_ENCODING: &str = "bad_encoding";
    /// A field without which there is no event.
    pub const MISSING_FIELD: &str = "missing_field";
    /// A field of another type than the format says.
    pub const WRONG_TYPE: &str = "wrong_type";
    /// A time that is none.
    pub const BAD_TIME: &str = "bad_time";
    /// One field told twice: readers may disagree about which of them counts.
    pub const DUPLICATE_KEY: &str = "duplicate_key";
    /// JSON that no log we read writes.
    pub const UNKNOWN_FORMAT: &str = "unknown_format";
    /// Nested deeper than the limit.
    pub const TOO_DEEP: &str = "too_deep";
    /// A record larger than the limit.
    pub const RECORD_TOO_BIG: &str = "record_too_big";
    /// More records in one object than the limit.
    pub const TOO_MANY_RECORDS: &str = "too_many_records";
    /// Larger than the limit as stored.
    pub const COMPRESSED_TOO_BIG: &str = "compressed_too_big";
    /// Larger than the limit when inflated.
    pub const INFLATED_TOO_BIG: &str = "inflated_too_big";
    /// Inflates by more than the limit: a bomb.
    pub const GZIP_RATIO: &str = "gzip_ratio";
    /// The gzip stream breaks off.
    pub const GZIP_TRUNCATED: &str = "gzip_truncated";
    /// The gzip stream is damaged.
    pub const GZIP_CORRUPT: &str = "gzip_corrupt";
    /// Bytes after the gzip stream: somebody added to the file.
    pub const GZIP_TRAILING: &str = "gzip_trailing";
    /// A notification of no known shape.
    pub const BAD_NOTIFICATION: &str = "bad_notification";
    /// A notification that names an object in a way that cannot be decoded.
    pub const BAD_KEY: &str = "bad_key";
    /// A notification that names a bucket outside the allow list.
    pub const FORBIDDEN_BUCKET: &str = "forbidden_bucket";
    /// The object is not there.
    pub const MISSING_OBJECT: &str = "missing_object";
    /// The object may not be read.
    pub const ACCESS_DENIED: &str = "access_denied";
    /// The object was overwritten after its notification.
    pub const CHANGED_OBJECT: &str = "changed_object";
    /// The object lies in an archive tier.
    pub const ARCHIVED: &str = "archived";
    /// Its bytes could not be had whole, however often they were asked for.
    pub const FETCH_FAILED: &str = "fetch_failed";
    /// Reading it ended the process several times: it is no longer opened.
    pub const POISON: &str = "poison";
    /// What was read of it does not add up: a fault of ours, and better set aside than wrong.
    pub const MISCOUNTED: &str = "miscounted";

    /// Every reason, so that each has a series from the start.
    pub const ALL: &[&str] = &[
        BAD_JSON,
        BAD_ENCODING,
        MISSING_FIELD,
        WRONG_TYPE,
        BAD_TIME,
        DUPLICATE_KEY,
        UNKNOWN_FORMAT,
        TOO_DEEP,
        RECORD_TOO_BIG,
        TOO_MANY_RECORDS,
        COMPRESSED_TOO_BIG,
        INFLATED_TOO_BIG,
        GZIP_RATIO,
        GZIP_TRUNCATED,
        GZIP_CORRUPT,
        GZIP_TRAILING,
        BAD_NOTIFICATION,
        BAD_KEY,
        FORBIDDEN_BUCKET,
        MISSING_OBJECT,
        ACCESS_DENIED,
        CHANGED_OBJECT,
        ARCHIVED,
        FETCH_FAILED,
        POISON,
        MISCOUNTED,
    ];
}

/// Longest head that is kept, in bytes.
pub const HEAD_BYTES_MAX: usize = 4096;

/// Longest detail that is kept, in bytes.
const DETAIL_BYTES_MAX: usize = 256;

/// One record that could not be read, or the part of an object that no records could be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its index in the object; none where the object as a whole is meant.
    pub row: Option<u32>,
    /// One of [`reason::ALL`].
    pub reason: &'static str,
    /// What was wrong, for a person. At most 256 bytes; empty after the first 256 of an object.
    pub detail: String,
    /// How it begins: at most [`HEAD_BYTES_MAX`], redacted, undecodable bytes replaced. Empty after the first 256
    /// of an object.
    pub head: String,
}

impl Quarantined {
    /// Notes what could not be read. `bytes`: all of it, or its beginning.
    pub fn new(
        row: Option<u32>,
        reason: &'static str,
        detail: impl Into<String>,
        bytes: &[u8],
        redact: &Redaction,
    ) -> Self {
        let detail = shortened(detail.into(), DETAIL_BYTES_MAX);
        Self { row, reason, detail, head: head(bytes, redact) }
    }
}

/// The first [`HEAD_BYTES_MAX`] of `bytes` as text, without secrets.
pub fn head(bytes: &[u8], redact: &Redaction) -> String {
    // Cut first, with room for what redaction takes away: a record may have megabytes.
    let start = bytes.get(..HEAD_BYTES_MAX * 2).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    shortened(redact.deep(&text).into_owned(), HEAD_BYTES_MAX)
}

/// `text`, cut at a character's end to at most `bytes_max`.
pub(crate) fn shortened(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_short_and_has_no_secret() {
        let record = format!(r#"{{"password":"hunter2","pad":"{}"#, "é".repeat(10_000));
        let quarantined =
            Quarantined::new(Some(3), reason::BAD_JSON, "x", record.as_bytes(), &Redaction::default());
        assert!(quarantined.head.len() <= HEAD_BYTES_MAX);
        assert!(quarantined.head.starts_with(r#"{"password":"[redacted]","pad":"é"#));
    }

    #[test]
    fn a_secret_cut_by_the_limit_stays_secret() {
        let record = format!(r#"{{"password":"{}"#, "s".repeat(20_000));
        assert_eq!(head(record.as_bytes(), &Redaction::default()), r#"{"password":"[redacted]""#);
    }
}
