//! Findings that no event makes: they stand as long as their reason does

use crate::finding::{Finding, FindingState, Sample, Severity};
use crate::manifest::UnparsedPolicy;

/// The detection of policies that cannot be read, in files as in the stream.
pub const POLICY_UNPARSED: &str = "policy_unparsed";

/// A finding for each policy file that cannot be read. `now` (µs UTC): when it was seen; it is no part of the id.
#[must_use]
pub fn unparsed_policies<'a>(
    unparsed: impl IntoIterator<Item = &'a UnparsedPolicy>,
    now: i64,
) -> Vec<Finding> {
    let finding = |policy: &UnparsedPolicy| {
        let subject = format!("{}: {}", policy.file, policy.reason);
        Finding {
            id: Finding::id_of(POLICY_UNPARSED, None, &policy.subject, &subject, 0),
            detection: POLICY_UNPARSED.to_owned(),
            family: "policy".to_owned(),
            severity: Severity::Medium,
            state: FindingState::Open,
            agent: None,
            actor: policy.subject.clone(),
            title: format!("a policy of {} cannot be read", policy.subject),
            why: format!(
                "until it is read, what it decides is unknown and no finding is made of it: {subject}"
            ),
            subject,
            window_start: 0,
            first_seen: now,
            last_seen: now,
            count: 1,
            events: Vec::new(),
            frameworks: vec!["MAESTRO-L6".to_owned(), "NIST-MS2.4".to_owned()],
            sample: Sample::default(),
            incident: None,
            close_reason: None,
            note: None,
            by: None,
        }
    };
    let mut findings: Vec<Finding> = unparsed.into_iter().map(finding).collect();
    findings.sort_by(|a, b| a.id.cmp(&b.id));
    findings.dedup_by(|a, b| a.id == b.id);
    findings
}
