//! How far our own answers can be trusted, counted
//!
//! Two shares: of calls without a definite verdict (*unknown rate*, by reason), and of calls whose outcome says
//! otherwise than the grants do (*disagreement rate*). Each disagreement is evidence of an old snapshot, of a policy
//! that we do not see, or of our own fault.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::grant::{Grant, GrantVerdict};
use crate::scope::{Reason, ScopeVerdict, Verdict};
use crate::time::day_of;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Verdicts of scopes: `in`, `out`, or `unknown:` and why
    Scope,
    /// Verdicts of grants: `allowed`, `denied`, or `unknown:` and why
    Grant,
    /// Outcomes against grants: `agrees`, `succeeded_but_denied`, `denied_but_allowed`, and what other layers may explain
    Agreement,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Measure; 3] = [Measure::Scope, Measure::Grant, Measure::Agreement];

    /// Every answer that it counts.
    #[must_use]
    pub fn answers(self) -> &'static [&'static str] {
        match self {
            Measure::Scope => &[
                "in",
                "out",
                "unknown:resource_not_logged",
                "unknown:condition_not_logged",
                "unknown:policy_unparsed",
                "unknown:too_complex",
            ],
            Measure::Grant => &[
                "allowed",
                "denied",
                "unknown:no_policies_known",
                "unknown:policy_unparsed",
                "unknown:resource_not_logged",
                "unknown:condition_not_logged",
                "unknown:too_complex",
            ],
            Measure::Agreement => &[
                "agrees",
                "succeeded_but_denied",
                "denied_but_allowed",
                "resource_policy_may_allow",
                "resource_policy_may_deny",
                "denied_by_another_layer",
            ],
        }
    }

    /// `scope`, `grant`, `agreement`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::Scope => "scope",
            Measure::Grant => "grant",
            Measure::Agreement => "agreement",
        }
    }
}

/// Permissions that agents' calls surely needed, counted by UTC day, measure and answer. Counts merge by sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measures {
    /// By (day since 1970, measure, answer)
    pub counts: BTreeMap<(i64, Measure, &'static str), u64>,
}

/// What became of a call, as far as it tells about permissions.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Event time, µs UTC
    pub time: i64,
    /// `success`, `denied`; nothing else tells
    pub outcome: &'a str,
    /// The layer that the denial's text names: `scp`, `explicit:resource`
    pub denied_by: Option<&'a str>,
    /// `s3:GetObject`
    pub permission: &'a str,
}

/// As much of an answer as is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Graded {
    scope: &'static str,
    grant: &'static str,
    verdict: Grant,
}

impl Graded {
    pub(crate) fn of(scope: &ScopeVerdict, grant: &GrantVerdict) -> Graded {
        Graded { scope: scope_answer(scope), grant: grant.answer(), verdict: grant.grant }
    }
}

impl Measures {
    /// Counts the answers to one permission of one call.
    pub fn count(&mut self, scope: &ScopeVerdict, grant: &GrantVerdict, observed: &Observed<'_>) {
        self.add(Graded::of(scope, grant), observed, 1);
    }

    /// Counts the same answers of several calls that were observed alike.
    pub(crate) fn add(&mut self, graded: Graded, observed: &Observed<'_>, calls: u64) {
        let day = day_of(observed.time);
        let mut add = |measure, answer| *self.counts.entry((day, measure, answer)).or_default() += calls;
        add(Measure::Scope, graded.scope);
        add(Measure::Grant, graded.grant);
        if let Some(answer) = agreement(graded.verdict, observed) {
            add(Measure::Agreement, answer);
        }
    }

    /// Adds what another batch counted.
    pub fn merge(&mut self, other: &Measures) {
        for (key, count) in &other.counts {
            *self.counts.entry(*key).or_default() += count;
        }
    }
}

fn scope_answer(scope: &ScopeVerdict) -> &'static str {
    match (scope.verdict, scope.reason) {
        (Verdict::In, _) => "in",
        (Verdict::Out, _) => "out",
        (Verdict::Unknown, Reason::ResourceNotLogged) => "unknown:resource_not_logged",
        (Verdict::Unknown, Reason::PolicyUnparsed) => "unknown:policy_unparsed",
        (Verdict::Unknown, Reason::TooComplex) => "unknown:too_complex",
        (Verdict::Unknown, _) => "unknown:condition_not_logged",
    }
}

/// Services whose resources carry policies of their own that may grant what the identity's do not: S3, KMS and the like.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html>
const RESOURCE_POLICIES: [&str; 20] = [
    "acm-pca",
    "backup",
    "codeartifact",
    "dynamodb",
    "ecr",
    "elasticfilesystem",
    "es",
    "events",
    "glacier",
    "glue",
    "kinesis",
    "kms",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
    "vpc-lattice",
];

/// Whether outcome and grant say the same; `None` where they cannot be compared.
fn agreement(grant: Grant, observed: &Observed<'_>) -> Option<&'static str> {
    let service = observed.permission.split_once(':').map_or(observed.permission, |(service, _)| service);
    match (observed.outcome, grant) {
        ("success", Grant::Allowed) | ("denied", Grant::Denied) => Some("agrees"),
        ("success", Grant::Denied) if RESOURCE_POLICIES.contains(&service) => {
            Some("resource_policy_may_allow")
        }
        ("success", Grant::Denied) => Some("succeeded_but_denied"),
        ("denied", Grant::Allowed) => match observed.denied_by.map(|by| by.trim_start_matches("explicit:")) {
            // The text says that a layer denied which the exports of identities do not hold.
            Some("scp" | "rcp" | "resource" | "endpoint" | "session") => Some("denied_by_another_layer"),
            _ if RESOURCE_POLICIES.contains(&service) => Some("resource_policy_may_deny"),
            _ => Some("denied_but_allowed"),
        },
        _ => None,
    }
}

/// A measure over a span of days, for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trust {
    /// Verdicts of scopes by answer
    pub scope: BTreeMap<String, u64>,
    /// Verdicts of grants by answer
    pub grant: BTreeMap<String, u64>,
    /// Outcomes against grants by answer
    pub agreement: BTreeMap<String, u64>,
}

impl Trust {
    /// Sums rows of (measure, answer, count).
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = (String, String, u64)>) -> Trust {
        let mut trust = Trust::default();
        for (measure, answer, count) in rows {
            let counts = match measure.as_str() {
                "scope" => &mut trust.scope,
                "grant" => &mut trust.grant,
                "agreement" => &mut trust.agreement,
                _ => continue,
            };
            *counts.entry(answer).or_default() += count;
        }
        trust
    }

    /// What there is to say, in sentences: nothing where nothing was judged.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let reasons = |counts: &BTreeMap<String, u64>| -> String {
            let mut reasons: Vec<(&str, u64)> = counts
                .iter()
                .filter_map(|(answer, n)| Some((answer.strip_prefix("unknown:")?, *n)))
                .filter(|(_, n)| *n > 0)
                .collect();
            reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(*n), *reason));
            let words: Vec<String> =
                reasons.iter().map(|(reason, n)| format!("{} {n}", reason.replace('_', " "))).collect();
            if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
        };
        let mut sentences = Vec::new();
        if let Some(share) = self.scope_unknown_rate() {
            sentences.push(format!(
                "Unknown rate of scopes: {} of the permissions that agents' calls needed have no definite verdict{}.",
                percent(share),
                reasons(&self.scope)
            ));
        }
        if let Some(share) = self.grant_unknown_rate() {
            sentences.push(format!("Unknown rate of grants: {}{}.", percent(share), reasons(&self.grant)));
        }
        if let Some(share) = self.disagreement_rate() {
            let count = |answer: &str| self.agreement.get(answer).copied().unwrap_or_default();
            sentences.push(format!(
                "Disagreement rate: {} ({} calls succeeded that no known policy allows, {} were denied that the known \
                 policies allow). Each is evidence of an old export, of a policy that it does not hold, or of a fault of ours.",
                percent(share),
                count("succeeded_but_denied"),
                count("denied_but_allowed")
            ));
        }
        sentences
    }

    /// Share of scope verdicts that are unknown; `None` where nothing was judged.
    #[must_use]
    pub fn scope_unknown_rate(&self) -> Option<f64> {
        share(&self.scope, |answer| answer.starts_with("unknown"))
    }

    /// Share of grant verdicts that are unknown; `None` where nothing was judged.
    #[must_use]
    pub fn grant_unknown_rate(&self) -> Option<f64> {
        share(&self.grant, |answer| answer.starts_with("unknown"))
    }

    /// Share of comparable calls whose outcome contradicts the grants; `None` where none can be compared.
    #[must_use]
    pub fn disagreement_rate(&self) -> Option<f64> {
        let comparable = ["agrees", "succeeded_but_denied", "denied_but_allowed"];
        let counts: BTreeMap<String, u64> = self
            .agreement
            .iter()
            .filter(|(answer, _)| comparable.contains(&answer.as_str()))
            .map(|(a, n)| (a.clone(), *n))
            .collect();
        share(&counts, |answer| answer != "agrees")
    }
}

fn share(counts: &BTreeMap<String, u64>, is_meant: impl Fn(&str) -> bool) -> Option<f64> {
    let all: u64 = counts.values().sum();
    let meant: u64 = counts.iter().filter(|(answer, _)| is_meant(answer)).map(|(_, count)| count).sum();
    (all > 0).then(|| meant as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(outcome: &'a str, permission: &'a str, denied_by: Option<&'a str>) -> Observed<'a> {
        Observed { time: 0, outcome, denied_by, permission }
    }

    #[test]
    fn an_outcome_that_another_layer_may_explain_is_no_disagreement() {
        let cases = [
            (Grant::Allowed, seen("success", "ec2:RunInstances", None), Some("agrees")),
            (Grant::Denied, seen("denied", "ec2:RunInstances", None), Some("agrees")),
            (Grant::Denied, seen("success", "ec2:RunInstances", None), Some("succeeded_but_denied")),
            (Grant::Denied, seen("success", "s3:GetObject", None), Some("resource_policy_may_allow")),
            (
                Grant::Allowed,
                seen("denied", "ec2:RunInstances", Some("identity")),
                Some("denied_but_allowed"),
            ),
            (
                Grant::Allowed,
                seen("denied", "ec2:RunInstances", Some("explicit:scp")),
                Some("denied_by_another_layer"),
            ),
            (Grant::Unknown, seen("success", "ec2:RunInstances", None), None),
            (Grant::Allowed, seen("failed", "ec2:RunInstances", None), None),
        ];
        for (grant, observed, expected) in cases {
            assert_eq!(agreement(grant, &observed), expected, "{grant:?} {observed:?}");
        }
    }

    #[test]
    fn rates_are_shares_of_what_can_be_told() {
        let row = |measure: &str, answer: &str, count| (measure.to_owned(), answer.to_owned(), count);
        let trust = Trust::of([
            row("scope", "in", 6),
            row("scope", "out", 2),
            row("scope", "unknown:resource_not_logged", 2),
            row("agreement", "agrees", 3),
            row("agreement", "succeeded_but_denied", 1),
            row("agreement", "resource_policy_may_allow", 90),
        ]);
        assert_eq!((trust.scope_unknown_rate(), trust.disagreement_rate()), (Some(0.2), Some(0.25)));
        assert_eq!(trust.grant_unknown_rate(), None);
    }
}
