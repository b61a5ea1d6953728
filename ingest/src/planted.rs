//! Known bugs that can be planted, so that the tests can show that they would catch them.
//!
//! `REMIT_PLANTED_BUG=ack-before-commit` plants one, in a build with debug assertions. A release has no such switch:
//! there [`bug`] is a constant, and the end of this file does not compile where it is any other than false.

/// A bug that somebody's log pipeline had, or that ours could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A message is deleted before what it tells of is committed.
    AckBeforeCommit,
    /// Of a notification's records only the first is read.
    FirstRecordOnly,
    /// `+` in a key stays what it is.
    PlusNotDecoded,
    /// A message that is worked on is not kept hidden.
    NoHeartbeat,
    /// It is, but once only.
    LeaseExtendedOnce,
    /// What cannot be read is dropped, and nobody hears of it.
    DropOnParseError,
    /// An alert counts as delivered before it is sent.
    DeliveredBeforeSend,
    /// Claims keep nobody away and fence nobody off.
    ClaimWithoutFencing,
    /// That a message could not be deleted is not looked at.
    DeleteFailureIgnored,
    /// Of a file that ends too early the beginning is committed.
    PrefixOfTruncated,
    /// After a restart all events are new.
    DedupForgotten,
    /// What another object adds to a finding is lost.
    MergedFindingLost,
    /// What a killed process held stays held.
    StaleLeasesKept,
    /// Objects are fetched from whatever bucket a message names.
    AnyBucket,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 14] = [
        Bug::AckBeforeCommit,
        Bug::FirstRecordOnly,
        Bug::PlusNotDecoded,
        Bug::NoHeartbeat,
        Bug::LeaseExtendedOnce,
        Bug::DropOnParseError,
        Bug::DeliveredBeforeSend,
        Bug::ClaimWithoutFencing,
        Bug::DeleteFailureIgnored,
        Bug::PrefixOfTruncated,
        Bug::DedupForgotten,
        Bug::MergedFindingLost,
        Bug::StaleLeasesKept,
        Bug::AnyBucket,
    ];

    /// Its name in the environment.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Bug::AckBeforeCommit => "ack-before-commit",
            Bug::FirstRecordOnly => "first-record-only",
            Bug::PlusNotDecoded => "plus-not-decoded",
            Bug::NoHeartbeat => "no-heartbeat",
            Bug::LeaseExtendedOnce => "lease-extended-once",
            Bug::DropOnParseError => "drop-on-parse-error",
            Bug::DeliveredBeforeSend => "delivered-before-send",
            Bug::ClaimWithoutFencing => "claim-without-fencing",
            Bug::DeleteFailureIgnored => "delete-failure-ignored",
            Bug::PrefixOfTruncated => "prefix-of-truncated",
            Bug::DedupForgotten => "dedup-forgotten",
            Bug::MergedFindingLost => "merged-finding-lost",
            Bug::StaleLeasesKept => "stale-leases-kept",
            Bug::AnyBucket => "any-bucket",
        }
    }
}

/// Whether this bug is planted.
#[cfg(debug_assertions)]
#[must_use]
pub fn bug(bug: Bug) -> bool {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| {
        let name = std::env::var("REMIT_PLANTED_BUG").ok()?;
        tracing::error!(bug = name, "a bug is planted: this is a test");
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    });
    *planted == Some(bug)
}

/// Never, in a release.
#[cfg(not(debug_assertions))]
#[must_use]
pub const fn bug(_: Bug) -> bool {
    false
}

#[cfg(not(debug_assertions))]
const _: () =
    assert!(!bug(Bug::AckBeforeCommit), "`bug` looks at nothing, least of all at which bug is asked for");
