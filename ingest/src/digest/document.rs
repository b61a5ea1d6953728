//! What a digest says.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::place::{BUCKET_BYTES_MAX, KEY_BYTES_MAX, Place};
use super::problem::DigestProblem;

/// Most log files that one digest may list.
const LOG_FILES_MAX: usize = 200_000;
/// The hex digits of the longest signature: RSA of 8192 bits.
const SIGNATURE_DIGITS_MAX: usize = 2048;

/// What a digest says, checked for form only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The account.
    pub account: String,
    /// When its hour begins: delivery times, not event times.
    pub start: DateTime<Utc>,
    /// When its hour ends.
    pub end: DateTime<Utc>,
    /// The same as it is written, as it is signed.
    pub end_text: String,
    /// Where it was put.
    pub place: Place,
    /// Which key signed.
    pub fingerprint: String,
    /// The digest before it; none in a starting digest.
    pub previous: Option<Previous>,
    /// The log files delivered in its hour.
    pub logs: Vec<AttestedLog>,
}

/// How a digest names the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Where it is.
    pub place: Place,
    /// SHA-256 of its inflated bytes.
    pub sha256: [u8; 32],
    /// Its signature as it is written, in hexadecimal.
    pub signature: String,
}

/// A log file as a digest attests it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedLog {
    /// Where it is.
    pub place: Place,
    /// SHA-256 of its inflated bytes.
    pub sha256: [u8; 32],
    /// The time of its oldest event.
    pub oldest: Option<DateTime<Utc>>,
    /// The time of its newest event.
    pub newest: Option<DateTime<Utc>>,
}

/// A key that must be there, though it may be null: a missing key is another document, not a starting digest.
fn present<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(source)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    aws_account_id: String,
    digest_start_time: String,
    digest_end_time: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    #[serde(deserialize_with = "present")]
    previous_digest_s3_bucket: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_s3_object: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_hash_value: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_hash_algorithm: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_signature: Option<String>,
    log_files: Vec<WrittenLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLog {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: String,
    newest_event_time: Option<String>,
    oldest_event_time: Option<String>,
}

impl Document {
    /// Reads a digest's inflated bytes.
    ///
    /// # Errors
    /// [`DigestProblem::Malformed`] where a key is missing, is there twice or has another form than CloudTrail writes;
    /// [`DigestProblem::Algorithm`] where a hash or signature is of another kind.
    pub fn parse(plain: &[u8]) -> Result<Self, DigestProblem> {
        let written: Written = serde_json::from_slice(plain).map_err(|error| malformed(error.to_string()))?;
        if written.digest_signature_algorithm != SIGNATURE_ALGORITHM {
            return Err(algorithm(&written.digest_signature_algorithm));
        }
        let [start, end] = [&written.digest_start_time, &written.digest_end_time].map(|text| time(text));
        let (start, end) = (start?, end?);
        if start >= end {
            return Err(malformed("digestStartTime is not before digestEndTime"));
        }
        let previous = previous(&written)?;
        if written.log_files.len() > LOG_FILES_MAX {
            return Err(malformed(format!("more than {LOG_FILES_MAX} log files")));
        }
        let logs = written.log_files.into_iter().map(attested).collect::<Result<_, _>>()?;
        if !is_hex(&written.digest_public_key_fingerprint, 32) {
            return Err(malformed("digestPublicKeyFingerprint is not 32 hexadecimal digits"));
        }
        Ok(Self {
            account: written.aws_account_id,
            start,
            end,
            end_text: written.digest_end_time,
            place: place(written.digest_s3_bucket, written.digest_s3_object)?,
            fingerprint: written.digest_public_key_fingerprint,
            previous,
            logs,
        })
    }
}

/// The only one that CloudTrail uses.
pub(super) const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";
const HASH_ALGORITHM: &str = "SHA-256";

fn previous(written: &Written) -> Result<Option<Previous>, DigestProblem> {
    let parts = [
        &written.previous_digest_s3_bucket,
        &written.previous_digest_s3_object,
        &written.previous_digest_hash_value,
        &written.previous_digest_hash_algorithm,
        &written.previous_digest_signature,
    ];
    let [Some(bucket), Some(key), Some(hash), Some(kind), Some(signature)] = parts else {
        return if parts.iter().all(|part| part.is_none()) {
            Ok(None)
        } else {
            Err(malformed("some, not all, of previousDigest... are null"))
        };
    };
    if kind != HASH_ALGORITHM {
        return Err(algorithm(kind));
    }
    if !is_signature(signature) {
        return Err(malformed("previousDigestSignature is no signature"));
    }
    Ok(Some(Previous {
        place: place(bucket.clone(), key.clone())?,
        sha256: sha256(hash)?,
        signature: signature.clone(),
    }))
}

fn attested(log: WrittenLog) -> Result<AttestedLog, DigestProblem> {
    if log.hash_algorithm != HASH_ALGORITHM {
        return Err(algorithm(&log.hash_algorithm));
    }
    let event_time = |text: Option<String>| text.as_deref().map(time).transpose();
    Ok(AttestedLog {
        place: place(log.s3_bucket, log.s3_object)?,
        sha256: sha256(&log.hash_value)?,
        oldest: event_time(log.oldest_event_time)?,
        newest: event_time(log.newest_event_time)?,
    })
}

fn place(bucket: String, key: String) -> Result<Place, DigestProblem> {
    let is_bucket = (1..=BUCKET_BYTES_MAX).contains(&bucket.len()) && !bucket.contains('/');
    if !is_bucket || !(1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Err(malformed("a bucket or key is empty or longer than S3 allows"));
    }
    Ok(Place { bucket, key })
}

/// As CloudTrail writes them: in whole seconds, UTC.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, DigestProblem> {
    let time = (text.len() <= 32 && text.ends_with('Z')).then(|| DateTime::parse_from_rfc3339(text).ok());
    match time.flatten() {
        Some(time) => Ok(time.to_utc()),
        None => Err(malformed(format!("`{}` is no time", shortened(text)))),
    }
}

fn sha256(text: &str) -> Result<[u8; 32], DigestProblem> {
    let bytes = is_hex(text, 64).then(|| unhex(text)).flatten().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| malformed(format!("`{}` is no SHA-256 in lower-case hexadecimal", shortened(text))))
}

/// CloudTrail writes lower case; what else decodes to the same bytes was not written by it.
pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether it can be a signature of RSA with 1024 to 8192 bits.
pub(super) fn is_signature(text: &str) -> bool {
    (256..=SIGNATURE_DIGITS_MAX).contains(&text.len())
        && text.len().is_multiple_of(2)
        && is_hex(text, text.len())
}

/// The bytes of lower-case hexadecimal.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|&[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok()).collect()
}

fn malformed(problem: impl Into<String>) -> DigestProblem {
    DigestProblem::Malformed(problem.into())
}

pub(super) fn algorithm(found: &str) -> DigestProblem {
    DigestProblem::Algorithm(format!("`{}`", shortened(found)))
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
