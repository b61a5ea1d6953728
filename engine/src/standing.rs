//! Findings that no event makes: they stand as long as their reason does

use crate::finding::{Finding, FindingState, Sample, Severity};
use crate::manifest::UnparsedPolicy;

/// The detection of policies that cannot be read, in files as in the stream.
pub const POLICY_UNPARSED: &str = "policy_unparsed";

/// The detection of a canary that did not come out as a finding.
pub const CANARY_LOST: &str = "canary_lost";

/// The finding that remit does not find what it planted itself. `why`: in words of ours; `now` (µs UTC).
#[must_use]
pub fn canary_lost(why: &str, now: i64) -> Finding {
    const SUBJECT: &str = "canary";
    Finding {
        id: Finding::id_of(CANARY_LOST, None, "remit", SUBJECT, 0),
        detection: CANARY_LOST.to_owned(),
        family: "watch".to_owned(),
        severity: Severity::Critical,
        state: FindingState::Open,
        agent: None,
        actor: "remit".to_owned(),
        subject: SUBJECT.to_owned(),
        title: "remit does not find what it planted itself: it may be blind".to_owned(),
        why: format!("a log file of its own must come out as a finding once a day, and did not: {why}"),
        window_start: 0,
        first_seen: now,
        last_seen: now,
        count: 1,
        events: Vec::new(),
        frameworks: Vec::new(),
        sample: Sample::default(),
        incident: None,
        close_reason: None,
        note: None,
        by: None,
    }
}

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
