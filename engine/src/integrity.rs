//! Findings about the logs themselves: what was announced and is not there, what was changed, what is none of ours.
//!
//! No event makes them, and none is made twice of the same thing: an id is of the kind and the place.

use crate::finding::{Finding, FindingState, Sample, Severity};

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// It was announced, and was gone before it could be read.
    MissingObject,
    /// It was overwritten: CloudTrail writes each file once.
    ChangedObject,
    /// A message named what is not allowed; nothing was asked for.
    ForbiddenBucket,
}

impl Integrity {
    /// Every kind.
    pub const ALL: [Integrity; 3] =
        [Integrity::MissingObject, Integrity::ChangedObject, Integrity::ForbiddenBucket];

    /// Its detection, named like the reason of quarantine.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Integrity::MissingObject => "missing_object",
            Integrity::ChangedObject => "changed_object",
            Integrity::ForbiddenBucket => "forbidden_bucket",
        }
    }

    /// The finding about `place`, of the source `source`. `now` (µs UTC): when it was seen; it is no part of the id.
    #[must_use]
    pub fn finding(self, source: &str, place: &str, now: i64) -> Finding {
        let is_trail = is_trail_log(place);
        let (severity, title, why) = match self {
            Integrity::MissingObject => (
                if is_trail { Severity::High } else { Severity::Medium },
                "a log was announced and is not there",
                "what it held was not judged; somebody may have deleted it before it could be read",
            ),
            Integrity::ChangedObject => (
                if is_trail { Severity::High } else { Severity::Medium },
                "a log was overwritten after it was announced",
                "the cloud writes each log file once; compare it with the digest and with whoever may write to the bucket",
            ),
            Integrity::ForbiddenBucket => (
                Severity::Medium,
                "a message named logs that are not allowed",
                "nothing was asked for; somebody may send forged notifications, or a bucket is missing in the configuration",
            ),
        };
        let (detection, actor) = (self.id(), format!("source {source}"));
        Finding {
            id: Finding::id_of(detection, None, &actor, place, 0),
            detection: detection.to_owned(),
            family: "integrity".to_owned(),
            severity,
            state: FindingState::Open,
            agent: None,
            actor,
            subject: place.to_owned(),
            window_start: 0,
            title: title.to_owned(),
            why: format!("{why}: {place}"),
            first_seen: now,
            last_seen: now,
            count: 1,
            events: Vec::new(),
            frameworks: vec!["MAESTRO-L5".to_owned(), "NIST-MS2.4".to_owned()],
            sample: Sample::default(),
            incident: None,
            close_reason: None,
            note: None,
            by: None,
        }
    }
}

/// Whether a place is that of a log which CloudTrail wrote.
#[must_use]
pub fn is_trail_log(place: &str) -> bool {
    place.contains("AWSLogs/") && place.contains("/CloudTrail/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_finding_of_each_kind_whenever_it_is_seen() {
        let place = "s3://logs/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/a.json.gz";
        let of = |kind: Integrity, place, now| kind.finding("trail", place, now);
        assert_eq!(of(Integrity::MissingObject, place, 1).id, of(Integrity::MissingObject, place, 2).id);
        assert_ne!(of(Integrity::MissingObject, place, 1).id, of(Integrity::ChangedObject, place, 1).id);
        assert_ne!(of(Integrity::MissingObject, place, 1).id, of(Integrity::MissingObject, "s3://x/y", 1).id);
        assert_eq!(of(Integrity::MissingObject, place, 1).severity, Severity::High);
        assert_eq!(of(Integrity::MissingObject, "s3://x/y", 1).severity, Severity::Medium);
    }
}
