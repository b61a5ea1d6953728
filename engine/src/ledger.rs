//! What should have come in, and what did: log files as notifications, listings and digests tell of them.

mod told;

pub use told::{DETECTION, FAMILY, is_silence};
pub(crate) use told::{
    SilentChain, ToldGap, WrongDigest, WrongFiles, digest_finding, file_finding, gap_finding, silent_finding,
};

use crate::time::HOUR;
use ingest::digest::{Place, Shelf};
use std::fmt;

/// What is known of a log file. A function of facts, whatever their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileVerdict {
    /// Read, with the content that CloudTrail signed for.
    Verified,
    /// Nothing is wrong so far: it is on its way, or no digest is.
    Pending,
    /// It should be there, and was not read.
    Missing,
    /// Its content is another than CloudTrail signed for.
    Mismatch,
    /// Read, and listed by no digest of its time: perhaps forged.
    Unattested,
    /// It was there by one of the feeds, and gone when it was to be read.
    DeletedBeforeIngest,
}

impl FileVerdict {
    /// Every verdict.
    pub const ALL: [Self; 6] = [
        Self::Verified,
        Self::Pending,
        Self::Missing,
        Self::Mismatch,
        Self::Unattested,
        Self::DeletedBeforeIngest,
    ];

    /// The lower-case name, as in the store, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Pending => "pending",
            Self::Missing => "missing",
            Self::Mismatch => "mismatch",
            Self::Unattested => "unattested",
            Self::DeletedBeforeIngest => "deleted_before_ingest",
        }
    }
}

impl fmt::Display for FileVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a digest is filed under.
pub const LEVEL_DIGEST: i64 = 0;
/// What can only be held against a listing: listed = stored.
pub const LEVEL_LISTED: i64 = 1;
/// What CloudTrail's digests attest.
pub const LEVEL_SIGNED: i64 = 2;

/// What was looked up: signed and listed by nobody.
pub const LEVEL_LOOKED_UP: i64 = 3;

/// The folder of what was looked up.
pub const LOOKED_UP: &str = "lookup-events";

/// How good the evidence of a level is, in words.
#[must_use]
pub fn evidence(level: i64) -> &'static str {
    match level {
        LEVEL_SIGNED => "signed",
        LEVEL_LISTED => "listed",
        LEVEL_LOOKED_UP => "looked up",
        _ => "digest",
    }
}

/// Whether an object was looked up.
#[must_use]
pub fn is_looked_up(key: &str) -> bool {
    key.starts_with("lookup-events/") || key.contains("/lookup-events/")
}

/// Under what an object is filed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filed {
    /// [`LEVEL_DIGEST`], [`LEVEL_LISTED`] or [`LEVEL_SIGNED`].
    pub level: i64,
    /// The account, where the key says so; else empty.
    pub account: String,
    /// The region, where the key says so; else empty.
    pub region: String,
    /// The hour of its delivery (µs UTC), where the key says so; else 0.
    pub hour: i64,
}

impl Filed {
    /// What a key says.
    #[must_use]
    pub fn of(place: &Place) -> Filed {
        if let Some(name) = place.digest_name() {
            let hour = hour_of(name.end.timestamp_micros());
            return Filed {
                level: LEVEL_DIGEST,
                account: name.shelf.account,
                region: name.shelf.region,
                hour,
            };
        }
        let unknown = |level| Filed { level, account: String::new(), region: String::new(), hour: 0 };
        if is_digest(&place.key) {
            return unknown(LEVEL_DIGEST);
        }
        if is_looked_up(&place.key) {
            return Filed { region: looked_up_region(&place.key), ..unknown(LEVEL_LOOKED_UP) };
        }
        let Some(shelf) = Shelf::of_log(&place.key) else { return unknown(LEVEL_LISTED) };
        let named = place.log_name().map(|name| name.delivered);
        let day = || Some(Shelf::day_of_log(&place.key)?.and_hms_opt(0, 0, 0)?.and_utc());
        let hour = named.or_else(day).map_or(0, |at| hour_of(at.timestamp_micros()));
        Filed { level: LEVEL_SIGNED, account: shelf.account, region: shelf.region, hour }
    }
}

/// The region of what was looked up: the folder that it lies in.
fn looked_up_region(key: &str) -> String {
    key.rsplit('/').nth(1).unwrap_or_default().chars().take(32).collect()
}

/// Whether an object lies where CloudTrail puts digests, or is named as one.
#[must_use]
pub fn is_digest(key: &str) -> bool {
    key.contains("/CloudTrail-Digest/") || key.contains("_CloudTrail-Digest_")
}

pub(crate) fn hour_of(time: i64) -> i64 {
    time.div_euclid(HOUR) * HOUR
}
