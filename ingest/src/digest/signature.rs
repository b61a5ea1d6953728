//! What lies beside a digest, and what is signed.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::document::{self, Document, SIGNATURE_ALGORITHM, algorithm, is_signature, shortened};
use super::problem::DigestProblem;
use crate::fingerprint::hex;

/// Larger metadata is none: S3 allows 2 KB (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>).
const METADATA_BYTES_MAX: usize = 64 << 10;

/// The metadata of a digest's object, as S3 keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// `x-amz-meta-signature`: hexadecimal.
    pub signature: Option<String>,
    /// `x-amz-meta-signature-algorithm`.
    pub algorithm: Option<String>,
    /// `x-amz-meta-backfill-generation-timestamp`: of backfill digests alone.
    pub backfill_generated: Option<String>,
}

impl Metadata {
    /// Reads metadata as JSON: the names with or without `x-amz-meta-`, alone or under `Metadata` as
    /// `aws s3api head-object` prints it.
    ///
    /// # Errors
    /// [`DigestProblem::SignatureMalformed`] where it is no such JSON, or says one thing twice.
    pub fn parse(json: &[u8]) -> Result<Self, DigestProblem> {
        let malformed = |problem: String| DigestProblem::SignatureMalformed(problem);
        if json.len() > METADATA_BYTES_MAX {
            return Err(malformed(format!("more than {METADATA_BYTES_MAX} bytes")));
        }
        let whole: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        let entries = match whole.get("Metadata") {
            Some(Value::Object(entries)) => entries,
            _ => &whole,
        };
        let mut metadata = Self::default();
        for (name, value) in entries {
            let name = name.to_ascii_lowercase();
            let slot = match name.strip_prefix("x-amz-meta-").unwrap_or(&name) {
                "signature" => &mut metadata.signature,
                "signature-algorithm" => &mut metadata.algorithm,
                "backfill-generation-timestamp" => &mut metadata.backfill_generated,
                _ => continue,
            };
            let Value::String(text) = value else {
                return Err(malformed(format!("`{}` is no text", shortened(&name))));
            };
            if slot.replace(text.clone()).is_some() {
                return Err(malformed(format!("`{}` is there twice", shortened(&name))));
            }
        }
        Ok(metadata)
    }

    /// The signature, checked for form.
    ///
    /// # Errors
    /// It is absent, malformed, or of an algorithm that CloudTrail does not use.
    pub fn signature(&self) -> Result<&str, DigestProblem> {
        let (Some(signature), Some(kind)) = (&self.signature, &self.algorithm) else {
            return Err(DigestProblem::Unsigned);
        };
        if kind != SIGNATURE_ALGORITHM {
            return Err(algorithm(kind));
        }
        if !is_signature(signature) {
            let problem = "the signature is not lower-case hexadecimal of a usual length";
            return Err(DigestProblem::SignatureMalformed(problem.to_owned()));
        }
        Ok(signature)
    }

    /// When a backfill digest was made.
    ///
    /// # Errors
    /// It does not say, or says no time.
    pub fn backfill_generated(&self) -> Result<DateTime<Utc>, DigestProblem> {
        let text = self.backfill_generated.as_deref().ok_or(DigestProblem::BackfillUndated)?;
        document::time(text).map_err(|_| DigestProblem::BackfillUndated)
    }
}

/// What CloudTrail signs: end, place and hash of the digest, and the signature before it.
///
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html>
pub(super) fn signed_text(document: &Document, sha256: &[u8; 32]) -> String {
    let previous = document.previous.as_ref().map_or("null", |previous| previous.signature.as_str());
    let (place, hash) = (&document.place, hex(sha256));
    format!("{}\n{}/{}\n{hash}\n{previous}", document.end_text, place.bucket, place.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::place::Place;

    #[test]
    fn what_is_signed_is_as_documented() {
        let mut document = Document {
            account: String::new(),
            start: DateTime::UNIX_EPOCH,
            end: DateTime::UNIX_EPOCH,
            end_text: "a".to_owned(),
            place: Place::new("b", "c"),
            fingerprint: String::new(),
            previous: None,
            logs: Vec::new(),
        };
        // SHA-256 of `abc`, as in FIPS 180-2.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha256 = document::unhex(hash).unwrap().try_into().unwrap();
        assert_eq!(signed_text(&document, &sha256), format!("a\nb/c\n{hash}\nnull"));
        let signature = "00".repeat(256);
        document.previous =
            Some(document::Previous { place: Place::new("x", "y"), sha256, signature: signature.clone() });
        assert_eq!(signed_text(&document, &sha256), format!("a\nb/c\n{hash}\n{signature}"));
    }

    #[test]
    fn metadata_is_read_however_a_tool_wrote_it() {
        let expected = Metadata {
            signature: Some("ab".to_owned()),
            algorithm: Some("SHA256withRSA".to_owned()),
            backfill_generated: None,
        };
        for text in [
            r#"{"signature": "ab", "signature-algorithm": "SHA256withRSA"}"#,
            r#"{"x-amz-meta-signature": "ab", "X-Amz-Meta-Signature-Algorithm": "SHA256withRSA", "other": 1}"#,
            r#"{"ETag": "e", "Metadata": {"signature": "ab", "signature-algorithm": "SHA256withRSA"}}"#,
        ] {
            assert_eq!(Metadata::parse(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn metadata_that_says_two_things_is_refused() {
        for text in [
            r#"{"signature": "ab", "x-amz-meta-signature": "cd"}"#,
            r#"{"signature": ["ab"]}"#,
            r#"["signature"]"#,
            "",
        ] {
            assert_eq!(Metadata::parse(text.as_bytes()).unwrap_err().code(), "signature_malformed", "{text}");
        }
    }

    #[test]
    fn a_signature_is_lower_case_hexadecimal() {
        let metadata = |signature: &str, algorithm: &str| Metadata {
            signature: Some(signature.to_owned()),
            algorithm: Some(algorithm.to_owned()),
            backfill_generated: None,
        };
        let good = "0a".repeat(256);
        assert_eq!(metadata(&good, "SHA256withRSA").signature(), Ok(good.as_str()));
        for bad in [&good.to_uppercase(), &good[1..], &good[..254], &"0g".repeat(256), ""] {
            let problem = metadata(bad, "SHA256withRSA").signature().unwrap_err();
            assert_eq!(problem.code(), "signature_malformed", "{bad}");
        }
        assert_eq!(metadata(&good, "SHA1withRSA").signature().unwrap_err().code(), "algorithm");
        assert_eq!(Metadata::default().signature(), Err(DigestProblem::Unsigned));
    }
}
