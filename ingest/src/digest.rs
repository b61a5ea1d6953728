//! CloudTrail's signed digests: what proves that a log file is the one that was delivered, and that none is missing.
//!
//! Bytes and metadata come in, verdicts go out; nothing here opens a file or a connection. [`Digest::verify`] checks one
//! digest, [`chain::link`] holds digests against each other and finds what is missing, [`logs::judge`] holds log files
//! against them. What is verified is an [`AttestedHour`].
//!
//! The algorithm is CloudTrail's
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html>). Stricter
//! than aws-cli: a gzip stream has one member and nothing after it (<https://github.com/aws/aws-cli/issues/10326>), a
//! key's fingerprint and validity are checked, the hash and signature of the previous digest are compared, time that no
//! digest covers is told whatever the links say (<https://github.com/aws/aws-cli/issues/7054>), and so is a log file
//! that no digest lists.

pub mod chain;
pub mod document;
pub mod keys;
pub mod logs;
pub mod place;
pub mod problem;
pub mod signature;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use chain::{Begins, Gap, GapKind, Linked, link, link_since};
pub use document::AttestedLog;
pub use keys::{KeyRing, KeysError, PublicKey};
pub use place::{ChainId, DigestName, LogName, Place, Shelf};
pub(crate) use place::{is_account, is_organization, is_region};
pub use problem::{DigestProblem, LogProblem};
pub use signature::Metadata;

use crate::inflate::{Limits, inflate, is_gzip};
use document::{Document, Previous};
use problem::Moved;

/// What reading one digest may cost: it lists some hundred bytes for each log file.
fn limits() -> Limits {
    Limits { compressed_bytes_max: 16 << 20, inflated_bytes_max: 128 << 20, ..Limits::default() }
}

/// The most bytes that a digest may have as stored.
pub const DIGEST_BYTES_MAX: u64 = 16 << 20;

/// A digest that CloudTrail signed, at the place that it was signed for.
///
/// It can be kept as JSON, and linked later with what came meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// What it attests.
    pub hour: AttestedHour,
    /// Where the files of its trail lie.
    pub shelf: Shelf,
    /// The digest before it; none in a starting digest.
    previous: Option<Previous>,
    /// SHA-256 of its inflated bytes.
    sha256: [u8; 32],
    signature: String,
}

/// An hour of an account, region and trail of which CloudTrail has signed what it delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedHour {
    /// Account, region and trail.
    pub chain: ChainId,
    /// When it begins, by delivery; events may be older.
    pub start: DateTime<Utc>,
    /// When it ends.
    pub end: DateTime<Utc>,
    /// The digest that says so.
    pub digest: Place,
    /// All log files that were delivered in it; none where nothing was.
    pub logs: Vec<AttestedLog>,
}

impl Digest {
    /// The same without the log files that it lists: links do not ask for them.
    #[must_use]
    pub fn without_logs(mut self) -> Self {
        self.hour.logs.clear();
        self
    }

    /// SHA-256 of its inflated bytes.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Verifies one digest by itself. Whether it follows the one before it is asked by [`chain::link`].
    ///
    /// `place`: where it lies. `bytes`: as stored. `keys`: those of its region and time.
    ///
    /// # Errors
    /// The first thing that is wrong with it: see [`DigestProblem`].
    pub fn verify(
        place: &Place,
        bytes: &[u8],
        metadata: &Metadata,
        keys: &KeyRing,
    ) -> Result<Self, DigestProblem> {
        if !is_gzip(bytes) {
            return Err(DigestProblem::NotGzip);
        }
        let plain = inflate(bytes, &limits()).map_err(DigestProblem::Object)?;
        let document = Document::parse(&plain)?;
        let sha256 = logs::sha256(&plain);
        if document.place != *place {
            let is_signed = document
                .place
                .digest_name()
                .is_some_and(|name| check_signature(&document, &name, &sha256, metadata, keys).is_ok());
            return Err(moved(place, Moved { from: document.place, is_signed }));
        }
        let name = place.digest_name().ok_or(DigestProblem::Name)?;
        contradictions(&document, &name)?;
        check_signature(&document, &name, &sha256, metadata, keys)?;
        let hour = AttestedHour {
            chain: name.chain,
            start: document.start,
            end: document.end,
            digest: document.place,
            logs: document.logs,
        };
        let signature = metadata.signature()?.to_owned();
        Ok(Self { hour, shelf: name.shelf, previous: document.previous, sha256, signature })
    }
}

fn contradictions(document: &Document, name: &DigestName) -> Result<(), DigestProblem> {
    let problem = if document.account != name.chain.account {
        format!("awsAccountId is `{}`", document::shortened(&document.account))
    } else if document.end != name.end && !name.chain.backfill {
        format!("digestEndTime is {}", document.end_text)
    } else {
        return Ok(());
    };
    Err(DigestProblem::Contradiction(problem))
}

fn check_signature(
    document: &Document,
    name: &DigestName,
    sha256: &[u8; 32],
    metadata: &Metadata,
    keys: &KeyRing,
) -> Result<(), DigestProblem> {
    let signature = metadata.signature()?;
    // When it may have been signed: a digest comes within two hours after its own, and is signed by the key of then
    // (<https://github.com/aws/aws-cli/pull/10072>); a backfill digest says when it was made.
    let (from, until) = if name.chain.backfill {
        let generated = metadata.backfill_generated()?;
        (generated - TimeDelta::hours(1), generated + TimeDelta::hours(1))
    } else {
        (document.start, document.end + TimeDelta::hours(2))
    };
    let key = keys.select(&document.fingerprint, &name.chain.region, from, until)?;
    let text = signature::signed_text(document, sha256);
    let signature = document::unhex(signature).ok_or(DigestProblem::Signature)?;
    key.verify_sig(text.as_bytes(), &signature).map_err(|_| DigestProblem::Signature)
}

/// What kind of move it is, by the two names.
fn moved(place: &Place, moved: Moved) -> DigestProblem {
    let (Some(here), Some(there)) = (place.digest_name(), moved.from.digest_name()) else {
        return DigestProblem::Moved(moved);
    };
    let (here_chain, there_chain) = (&here.chain, &there.chain);
    if here_chain.account != there_chain.account {
        DigestProblem::Foreign(moved, "account")
    } else if here_chain.region != there_chain.region {
        DigestProblem::Foreign(moved, "region")
    } else if here_chain != there_chain {
        DigestProblem::Foreign(moved, "trail")
    } else if here.end != there.end {
        DigestProblem::Replayed(moved)
    } else {
        DigestProblem::Moved(moved)
    }
}

#[cfg(test)]
mod tests;
