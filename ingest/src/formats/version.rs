//! Whether a CloudTrail record has a major version that we do not know: it is read all the same, and counted.
//!
//! Of versions AWS says that a minor one adds fields, and that a major one may break what reads them:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;

/// How CloudTrail begins its records, so that nearly all are told by their first bytes.
const USUAL: &[u8] = b"{\"eventVersion\":\"1.";

/// The key, and its value as it is written without blanks.
const KEY: &[u8] = b"\"eventVersion\"";
const KNOWN: &[u8] = b":\"1.";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KEY));

/// `record`: one that was read as CloudTrail's.
#[inline]
pub(crate) fn is_unfamiliar(record: &[u8]) -> bool {
    !record.starts_with(USUAL) && is_unfamiliar_somewhere(record)
}

fn is_unfamiliar_somewhere(record: &[u8]) -> bool {
    let Some(at) = FINDER.find(record) else { return false };
    // The first may stand in what the caller sent, but so would another's; only a count hangs on it.
    let is_known = record.get(at + KEY.len()..).is_some_and(|rest| rest.starts_with(KNOWN));
    !is_known && is_told(record)
}

#[cold]
fn is_told(record: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(default, rename = "eventVersion")]
        version: Option<Value>,
    }
    match serde_json::from_slice::<Versioned>(record) {
        Ok(Versioned { version: Some(Value::String(version)) }) => version.split('.').next() != Some("1"),
        Ok(Versioned { version: None | Some(Value::Null) }) | Err(_) => false,
        Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_major_version_is_told_wherever_it_stands() {
        for unfamiliar in [
            r#"{"eventVersion":"2.0","eventName":"X"}"#,
            r#"{"eventName":"X","eventVersion":"10.1"}"#,
            r#"{ "eventName" : "X", "eventVersion" : "2" }"#,
            r#"{"eventVersion":3}"#,
        ] {
            assert!(is_unfamiliar(unfamiliar.as_bytes()), "{unfamiliar}");
        }
        for known in [
            r#"{"eventVersion":"1.11","eventName":"X"}"#,
            r#"{"eventName":"X", "eventVersion" : "1.99"}"#,
            r#"{"eventVersion":"1"}"#,
            r#"{"eventName":"X"}"#,
            r#"{"eventVersion":null}"#,
            r#"{"requestParameters":{"eventVersion":"2.0"},"eventName":"X"}"#,
            r#"{"userAgent":"\"eventVersion\":\"2.0\"","eventVersion":"1.08"}"#,
        ] {
            assert!(!is_unfamiliar(known.as_bytes()), "{known}");
        }
    }
}
