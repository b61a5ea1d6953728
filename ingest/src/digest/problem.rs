//! What is wrong with a digest or a log file. Where aws-cli has words for it, ours begin with the same.

use chrono::{DateTime, Utc};

use super::place::Place;
use crate::inflate::ObjectError;

/// Why a digest proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestProblem {
    /// Another digest names it as its previous one, and it is not there.
    #[error("not found")]
    NotFound,
    /// It cannot be read from where it lies.
    #[error("cannot be read")]
    Unreadable(String),
    /// It does not inflate.
    #[error("invalid format: {}", .0.reason())]
    Object(ObjectError),
    /// It is not gzipped.
    #[error("invalid format: not gzipped")]
    NotGzip,
    /// It is not the document that CloudTrail writes.
    #[error("invalid format")]
    Malformed(String),
    /// Its name is not one that CloudTrail gives.
    #[error("invalid format: the name is not a digest's")]
    Name,
    /// Names, accounts or times in it contradict each other.
    #[error("invalid format: the content contradicts the name")]
    Contradiction(String),
    /// It was made for another place.
    #[error("has been moved from its original location")]
    Moved(Moved),
    /// It is an older or newer digest of the same trail.
    #[error("has been moved from its original location: it is the digest of another hour")]
    Replayed(Moved),
    /// It is a digest of another account, region or trail.
    #[error("has been moved from its original location: it is the digest of another {1}")]
    Foreign(Moved, &'static str),
    /// No signature beside it.
    #[error("signature verification failed: the metadata has no signature")]
    Unsigned,
    /// What is beside it is no signature.
    #[error("signature verification failed: the metadata is malformed")]
    SignatureMalformed(String),
    /// An algorithm that CloudTrail does not use.
    #[error("signature verification failed: the algorithm is not allowed")]
    Algorithm(String),
    /// A backfill digest does not say when it was made.
    #[error("invalid format: the metadata has no backfill-generation-timestamp")]
    BackfillUndated,
    /// No key has its fingerprint.
    #[error("public key not found")]
    KeyUnknown {
        /// The fingerprint.
        fingerprint: String,
        /// The region that signs.
        region: String,
    },
    /// The key is known, and was not in use when the digest was made.
    #[error("public key not valid at the time of the digest")]
    KeyNotValid {
        /// The fingerprint.
        fingerprint: String,
        /// From when on it is valid.
        from: DateTime<Utc>,
        /// Until when.
        until: DateTime<Utc>,
    },
    /// The key with its fingerprint cannot be used.
    #[error("public key cannot be used")]
    KeyUnusable {
        /// The fingerprint.
        fingerprint: String,
        /// Why.
        cause: String,
    },
    /// The signature is not of this digest by this key.
    #[error("signature verification failed")]
    Signature,
    /// The previous digest is valid, and is not the one that this was chained to.
    #[error("chain broken: the previous digest has another hash")]
    LinkHash(Place),
    /// The previous digest is valid, and has another signature than this was chained to.
    #[error("chain broken: the previous digest has another signature")]
    LinkSignature(Place),
    /// What it names as its previous digest is of another chain, or no digest.
    #[error("chain broken: the previous digest is of another chain")]
    LinkForeign(Place),
    /// Its hour begins before that of the previous digest ends.
    #[error("chain broken: the hours overlap")]
    Overlap(Place),
    /// What was wrong when it was looked at before, as it was kept.
    #[error("{text}")]
    Earlier {
        /// Its [`DigestProblem::code`].
        code: &'static str,
        /// In words.
        text: String,
        /// What else was said.
        detail: Option<String>,
        /// Where it belongs, if CloudTrail signed it for another place.
        signed_for: Option<Place>,
    },
}

/// Every code that a digest can have.
const CODES: [&str; 33] = [
    "digest_not_found",
    "digest_unreadable",
    "compressed_too_big",
    "inflated_too_big",
    "gzip_ratio",
    "gzip_truncated",
    "gzip_corrupt",
    "gzip_trailing",
    "bad_encoding",
    "bad_json",
    "digest_not_gzip",
    "digest_malformed",
    "digest_name",
    "digest_contradiction",
    "digest_moved",
    "digest_replayed",
    "digest_of_other_account",
    "digest_of_other_region",
    "digest_of_other_trail",
    "signature_missing",
    "signature_malformed",
    "algorithm",
    "backfill_undated",
    "key_unknown",
    "key_not_valid",
    "key_unusable",
    "signature",
    "link_hash",
    "link_signature",
    "link_foreign",
    "overlap",
    "digest_invalid",
    "digest_overwritten",
];

/// A digest that lies elsewhere than it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where it was made for.
    pub from: Place,
    /// Whether CloudTrail did sign it, for that place.
    pub is_signed: bool,
}

impl DigestProblem {
    /// A problem as it was kept. A code that is none of ours is `digest_invalid`.
    #[must_use]
    pub fn earlier(code: &str, text: String, detail: Option<String>, signed_for: Option<Place>) -> Self {
        let code = CODES.into_iter().find(|known| *known == code).unwrap_or("digest_invalid");
        Self::Earlier { code, text, detail, signed_for }
    }

    /// Where the digest belongs, if CloudTrail signed it for another place than it lies at.
    #[must_use]
    pub fn signed_for(&self) -> Option<&Place> {
        super::chain::signed_elsewhere(self)
    }

    /// A short name that never changes, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "digest_not_found",
            Self::Unreadable(_) => "digest_unreadable",
            Self::Object(error) => error.reason(),
            Self::NotGzip => "digest_not_gzip",
            Self::Malformed(_) => "digest_malformed",
            Self::Name => "digest_name",
            Self::Contradiction(_) => "digest_contradiction",
            Self::Moved(_) => "digest_moved",
            Self::Replayed(_) => "digest_replayed",
            Self::Foreign(_, "account") => "digest_of_other_account",
            Self::Foreign(_, "region") => "digest_of_other_region",
            Self::Foreign(..) => "digest_of_other_trail",
            Self::Unsigned => "signature_missing",
            Self::SignatureMalformed(_) => "signature_malformed",
            Self::Algorithm(_) => "algorithm",
            Self::BackfillUndated => "backfill_undated",
            Self::KeyUnknown { .. } => "key_unknown",
            Self::KeyNotValid { .. } => "key_not_valid",
            Self::KeyUnusable { .. } => "key_unusable",
            Self::Signature => "signature",
            Self::LinkHash(_) => "link_hash",
            Self::LinkSignature(_) => "link_signature",
            Self::LinkForeign(_) => "link_foreign",
            Self::Overlap(_) => "overlap",
            Self::Earlier { code, .. } => code,
        }
    }

    /// What else there is to say, for a person.
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable(cause)
            | Self::Malformed(cause)
            | Self::Contradiction(cause)
            | Self::SignatureMalformed(cause)
            | Self::Algorithm(cause) => cause.clone(),
            Self::Object(error) => error.to_string(),
            Self::Moved(moved) | Self::Replayed(moved) | Self::Foreign(moved, _) => {
                let signed = if moved.is_signed { "signed" } else { "not signed" };
                format!("it says that it belongs to {}, and is {signed} as such", moved.from)
            }
            Self::KeyUnknown { fingerprint, region } => {
                format!(
                    "no key of {region} has the fingerprint {fingerprint}; list the keys of that region and time"
                )
            }
            Self::KeyNotValid { fingerprint, from, until } => {
                format!("{fingerprint} is valid from {from:?} to {until:?}")
            }
            Self::KeyUnusable { fingerprint, cause } => format!("{fingerprint}: {cause}"),
            Self::LinkHash(place)
            | Self::LinkSignature(place)
            | Self::LinkForeign(place)
            | Self::Overlap(place) => {
                format!("the previous digest is {place}")
            }
            Self::Earlier { detail, .. } => return detail.clone(),
            _ => return None,
        })
    }
}

/// Why a log file is not what CloudTrail delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogProblem {
    /// A digest lists it, and it is not there.
    #[error("not found")]
    NotFound {
        /// Where the same content lies, if it does.
        elsewhere: Option<Place>,
    },
    /// Its content is another than the digest says.
    #[error("hash value doesn't match")]
    Hash {
        /// What the digest says.
        expected: [u8; 32],
        /// What the file has.
        found: [u8; 32],
    },
    /// Two digests say two things of it.
    #[error("hash value doesn't match: two digests list it with two hashes")]
    Conflict(Place),
    /// It cannot be read from where it lies.
    #[error("cannot be read")]
    Unreadable(String),
    /// It does not inflate, or has more than the one gzip member that the hash covers.
    #[error("invalid format: {}", .0.reason())]
    Object(ObjectError),
    /// It is not gzipped.
    #[error("invalid format: not gzipped")]
    NotGzip,
    /// The digest that lists it is of another account or region.
    #[error("is listed by the digest of another {0}")]
    Foreign(&'static str, Place),
    /// No digest lists it, though those of its hour are there and valid.
    #[error("is listed by no digest: forged, or of a trail without validation")]
    Unattested,
    /// The same, and its content is that of a log file that is listed.
    #[error("is listed by no digest: a copy of another log file")]
    Copy(Place),
}

impl LogProblem {
    /// A short name that never changes, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { elsewhere: None } => "log_not_found",
            Self::NotFound { elsewhere: Some(_) } => "log_moved",
            Self::Hash { .. } => "log_hash",
            Self::Conflict(_) => "log_conflict",
            Self::Unreadable(_) => "log_unreadable",
            Self::Object(error) => error.reason(),
            Self::NotGzip => "log_not_gzip",
            Self::Foreign("account", _) => "log_of_other_account",
            Self::Foreign(..) => "log_of_other_region",
            Self::Unattested => "log_unattested",
            Self::Copy(_) => "log_copy",
        }
    }

    /// What else there is to say, for a person.
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { elsewhere: Some(place) } => format!("the same content lies at {place}"),
            Self::Hash { expected, found } => {
                let hex = crate::fingerprint::hex;
                format!("the digest says {}, the content has {}", hex(expected), hex(found))
            }
            Self::Conflict(digest) => format!("the second is {digest}"),
            Self::Unreadable(cause) => cause.clone(),
            Self::Object(error) => error.to_string(),
            Self::Foreign(_, digest) => format!("the digest is {digest}"),
            Self::Copy(place) => format!("the same content is listed as {place}"),
            _ => return None,
        })
    }
}
