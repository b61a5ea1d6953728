//! The unused-permission report: one model of what is declared, granted and used, told in several formats.

mod counts;

pub use counts::{Counts, Meaning, PermissionLine, Risk, SCORE_FORMULA};

use crate::reports;
use engine::finding::{Finding, Severity};
use engine::measure::Trust;
use engine::posture::{AgentPosture, IdentityPosture, Posture, RightSized, Unclaimed};
use engine::store::Silence;
use engine::time::{DAY, day_of, rfc3339};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// What the report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One file for a browser, without scripts or requests.
    Html,
    /// Everything, for programs.
    Json,
    /// One row per agent, identity and permission.
    Csv,
    /// For a ticket or a pull request.
    Markdown,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 4] = [Format::Html, Format::Json, Format::Csv, Format::Markdown];

    /// The lower-case name, as on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Html => "html",
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Markdown => "markdown",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Format::ALL
            .into_iter()
            .find(|f| f.as_str() == text)
            .ok_or_else(|| format!("unknown report format `{text}`. Known: html, json, csv, markdown"))
    }
}

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Where it goes does not take it.
    #[error("cannot write the report: {0}")]
    Write(#[from] io::Error),
    /// It cannot be put as JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The page's template fails.
    #[error("cannot write the report as HTML: {0}")]
    Html(#[from] minijinja::Error),
}

/// One identity.
#[derive(Debug, Clone)]
pub struct IdentityReport<'a> {
    /// What is known of it.
    pub identity: &'a IdentityPosture,
    /// Its permissions counted.
    pub counts: Counts,
    /// Every permission.
    pub lines: Vec<PermissionLine<'a>>,
}

impl<'a> IdentityReport<'a> {
    /// The policy proposed for it.
    #[must_use]
    pub fn right_sized(&self) -> Option<&'a RightSized> {
        self.identity.right_sized.as_ref()
    }
}

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentReport<'a> {
    /// What is known of it.
    pub agent: &'a AgentPosture,
    /// Its permissions counted, over all identities.
    pub counts: Counts,
    /// Its identities.
    pub identities: Vec<IdentityReport<'a>>,
}

/// How far the numbers can be trusted.
#[derive(Debug, Clone)]
pub struct Coverage<'a> {
    /// First and last event time read, µs UTC.
    pub covered: Option<(i64, i64)>,
    /// UTC days from the first to the last.
    pub days: i64,
    /// Services whose data events are logged in full.
    pub data_events: &'a [String],
    /// What could not be read.
    pub unparsed: &'a [String],
    /// Unknown verdicts, and outcomes that contradict the grants.
    pub trust: &'a Trust,
    /// In words: what to keep in mind.
    pub caveats: Vec<String>,
}

/// The numbers of the whole report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Declared agents.
    pub agents: usize,
    /// Their identities.
    pub identities: usize,
    /// Identities that act without a manifest.
    pub unclaimed: usize,
    /// Agents that used something they had not declared.
    pub agents_outside_scope: usize,
    /// Findings of the window.
    pub findings: usize,
    /// Of them, those nobody has ended.
    pub findings_open: usize,
    /// Permissions counted.
    #[serde(flatten)]
    pub permissions: Counts,
}

/// The report. Borrows what it tells of; every format is written from it, so that all agree.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// When it was made, µs UTC.
    pub generated_at: i64,
    /// The time it is about, µs UTC.
    pub window: (i64, i64),
    /// The numbers.
    pub numbers: Numbers,
    /// How far to trust them.
    pub coverage: Coverage<'a>,
    /// Agents, the highest score first.
    pub agents: Vec<AgentReport<'a>>,
    /// Acting identities without a manifest.
    pub unclaimed: &'a [Unclaimed],
    /// Findings of the window, worst first.
    pub findings: Vec<&'a Finding>,
    /// Findings of the window by severity, worst first.
    pub by_severity: Vec<(Severity, usize)>,
    /// Silences in force in the window.
    pub silences: Vec<&'a Silence>,
}

impl<'a> Report<'a> {
    /// Makes the model. `findings`: any; those whose events lie in `window` (µs UTC, both ends within) are told.
    #[must_use]
    pub fn new(
        posture: &'a Posture,
        findings: &'a [Finding],
        silences: &'a [Silence],
        generated_at: i64,
        window: (i64, i64),
    ) -> Report<'a> {
        let mut agents: Vec<AgentReport<'a>> = posture.agents.iter().map(agent_report).collect();
        agents.sort_by(|a, b| {
            let rank =
                |r: &AgentReport<'_>| (std::cmp::Reverse(r.counts.score), std::cmp::Reverse(r.counts.unused));
            rank(a).cmp(&rank(b)).then_with(|| a.agent.agent.cmp(&b.agent.agent))
        });
        let (from, to) = window;
        let mut told: Vec<&Finding> = findings
            .iter()
            .filter(|f| f.state.is_told() && f.last_seen >= from && f.first_seen <= to)
            .collect();
        told.sort_by(|a, b| (b.severity, a.first_seen, &a.id).cmp(&(a.severity, b.first_seen, &b.id)));
        let mut by_severity: BTreeMap<Severity, usize> = BTreeMap::new();
        for finding in &told {
            *by_severity.entry(finding.severity).or_default() += 1;
        }
        let mut numbers = Numbers {
            agents: agents.len(),
            identities: agents.iter().map(|a| a.identities.len()).sum(),
            unclaimed: posture.unclaimed.len(),
            agents_outside_scope: agents.iter().filter(|a| a.counts.undeclared > 0).count(),
            findings: told.len(),
            findings_open: told.iter().filter(|f| f.state.is_live()).count(),
            permissions: Counts::default(),
        };
        for agent in &agents {
            numbers.permissions.merge(&agent.counts);
        }
        Report {
            generated_at,
            window,
            coverage: coverage(posture, &agents, &numbers.permissions),
            numbers,
            agents,
            unclaimed: &posture.unclaimed,
            findings: told,
            by_severity: by_severity.into_iter().rev().collect(),
            silences: silences.iter().filter(|s| s.starts_at <= to && s.ends_at >= from).collect(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ReportError`] where `out` fails.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> Result<(), ReportError> {
        match format {
            Format::Html => reports::html::write(self, out),
            Format::Json => reports::json::write(self, out),
            Format::Csv => reports::csv::write(self, out),
            Format::Markdown => reports::markdown::write(self, out),
        }
    }

    /// Gives it as text.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn render(&self, format: Format) -> Result<String, ReportError> {
        let mut out = Vec::new();
        self.write(format, &mut out)?;
        String::from_utf8(out).map_err(|cause| ReportError::Write(io::Error::other(cause)))
    }

    /// The report in a few sentences. Holds no log text.
    #[must_use]
    pub fn summary(&self) -> String {
        let numbers = &self.numbers;
        let all = &numbers.permissions;
        let mut sentences = vec![match self.coverage.covered {
            Some((first, last)) => format!(
                "{} with {} were watched over {} ({} to {}).",
                many(numbers.agents, "agent", "agents"),
                many(numbers.identities, "identity", "identities"),
                many(usize::try_from(self.coverage.days).unwrap_or(0), "day", "days"),
                day(first),
                day(last)
            ),
            None => "No events have been read yet, so nothing can be said about use.".to_owned(),
        }];
        if all.granted > 0 {
            sentences.push(format!(
                "Their policies grant {}. Used: {}; not used: {}; not to be judged from these logs: {}.",
                many(all.granted, "permission", "permissions"),
                thousands(all.used_of_granted),
                thousands(all.unused),
                thousands(all.unknowable + all.conditional)
            ));
        } else {
            sentences.push("No policies are known, so what is granted but unused cannot be told.".to_owned());
        }
        if numbers.agents_outside_scope > 0 {
            sentences.push(format!(
                "{} used permissions that no manifest declares.",
                many(numbers.agents_outside_scope, "agent", "agents")
            ));
        }
        if numbers.unclaimed > 0 {
            sentences.push(format!(
                "{} without a manifest.",
                match numbers.unclaimed {
                    1 => "1 identity acts".to_owned(),
                    n => format!("{} identities act", thousands(n)),
                }
            ));
        }
        sentences.join(" ")
    }
}

fn agent_report(agent: &AgentPosture) -> AgentReport<'_> {
    let mut report = AgentReport { agent, counts: Counts::default(), identities: Vec::new() };
    for identity in &agent.identities {
        let lines: Vec<PermissionLine<'_>> = identity.permissions.iter().map(PermissionLine::new).collect();
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.add(line));
        report.counts.merge(&counts);
        report.identities.push(IdentityReport { identity, counts, lines });
    }
    report
}

fn coverage<'a>(posture: &'a Posture, agents: &[AgentReport<'_>], all: &Counts) -> Coverage<'a> {
    let days = posture.covered.map_or(0, |(first, last)| day_of(last) - day_of(first) + 1);
    let mut caveats = Vec::new();
    if days < 90 {
        caveats.push(format!(
            "{} are covered. Work that comes once a quarter may not have happened yet: wait for 90 before you remove what it needs.",
            many(usize::try_from(days).unwrap_or(0), "day", "days")
        ));
    }
    if posture.data_events.is_empty() {
        caveats.push(
            "No service is declared to log data events (`[report] data_events`), so reads and writes of single objects and \
             items cannot be seen. Permissions for them are marked unknowable and never proposed for removal."
                .to_owned(),
        );
    }
    if all.unknowable > 0 {
        caveats.push(format!(
            "The use of {} cannot be seen in these logs.",
            many(all.unknowable, "granted permission", "granted permissions")
        ));
    }
    let is_unknown = |i: &&IdentityReport<'_>| i.lines.iter().all(|l| l.permission.granted.is_none());
    let without_grants = agents.iter().flat_map(|a| &a.identities).filter(is_unknown).count();
    if without_grants > 0 {
        caveats.push(format!(
            "For {} no policy is known, so nothing is said about unused grants there.",
            many(without_grants, "identity", "identities")
        ));
    }
    if !posture.unparsed.is_empty() {
        caveats.push(format!(
            "{} could not be read; what it decides is unknown.",
            many(posture.unparsed.len(), "policy or manifest", "policies or manifests")
        ));
    }
    caveats.extend(posture.trust.sentences());
    Coverage {
        covered: posture.covered,
        days,
        data_events: &posture.data_events,
        unparsed: &posture.unparsed,
        trust: &posture.trust,
        caveats,
    }
}

/// Terms of the report, in the order a reader meets them.
pub(crate) const GLOSSARY: [(&str, &str); 10] = [
    ("agent", "who acts, as its manifest names it"),
    ("identity", "a role or user of an agent"),
    ("declared", "named by the agent's manifest"),
    ("granted", "given by the policies of the identity, as exported"),
    ("used", "called with success at least once in the time covered"),
    ("unused", "granted, visible in the logs, and not called in the time covered"),
    ("unknowable", "granted, and the logs cannot show its use: never a reason to remove it"),
    (
        "conditional",
        "granted under a condition or for some resources only, which is not judged here: look before you remove it",
    ),
    ("not granted", "declared, but no known policy gives it"),
    ("denied", "tried, and only ever refused"),
];

/// How the numbers come about.
pub(crate) const METHOD: &str = "Each successful call in the logs is mapped to the permissions it needed and set against the manifests (declared) and \
     the exported policies (granted). A denied call is no use. The proposed policies keep what was used, what is declared \
     under conditions, and what cannot be known; they are never wider than what they replace, and nothing applies them: \
     a person does.";

/// `2026-11-03`
pub(crate) fn day(time: i64) -> String {
    engine::time::date(day_of(time))
}

/// Last use in words a table has room for: a day.
pub(crate) fn day_or_dash(time: Option<i64>) -> String {
    time.map_or_else(|| "–".to_owned(), day)
}

/// RFC 3339, or nothing.
pub(crate) fn instant(time: Option<i64>) -> Option<String> {
    time.map(rfc3339)
}

/// `1 agent`, `1,204 agents`
pub(crate) fn many(n: usize, one: &str, more: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { more })
}

/// `1204` as `1,204`
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Whole days between two times, for silences.
pub(crate) fn days_between(from: i64, to: i64) -> i64 {
    (to - from) / DAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use engine::posture::Mark;
    use serde_json::Value;

    #[test]
    fn the_score_is_the_share_of_unused_weight() {
        let posture = samples::posture();
        let report = Report::new(&posture, &[], &[], 0, (0, 0));
        // support-bot: used and granted read (1); unused write (4), unused admin (10); unknowable counts nowhere.
        let support = report.agents.iter().find(|a| a.agent.agent == "support-bot").unwrap();
        assert_eq!(support.counts.score, Some(93), "{:?}", support.counts);
        let idle = report.agents.iter().find(|a| a.agent.agent == "<b>idle</b>").unwrap();
        assert_eq!(idle.counts.score, None, "no policy is known");
    }

    #[test]
    fn declared_granted_and_used_have_a_meaning() {
        let posture = samples::posture();
        let report = Report::new(&posture, &[], &[], 0, (0, 0));
        let support = report.agents.iter().find(|a| a.agent.agent == "support-bot").unwrap();
        let meaning = |name: &str| {
            let line = support.identities[0].lines.iter().find(|l| l.permission.permission == name).unwrap();
            line.meaning.as_str()
        };
        assert_eq!(meaning("s3:GetObject"), "healthy");
        assert_eq!(meaning("s3:PutObject"), "over_declared");
        assert_eq!(meaning("iam:PassRole"), "latent_risk");
        assert_eq!(meaning("s3:DeleteObject"), "violation");
        assert_eq!(meaning("sqs:SendMessage"), "broken");
        assert_eq!(meaning("iam:CreateUser"), "denied_probe");
        assert_eq!(meaning("logs:PutLogEvents"), "unknown");
    }

    #[test]
    fn only_findings_of_the_window_are_told() {
        let posture = samples::posture();
        let mut superseded = samples::finding(1);
        superseded.state = engine::finding::FindingState::Superseded;
        let findings = [samples::finding(0), superseded];
        let within = Report::new(&posture, &findings, &[], 0, (samples::START, samples::START));
        assert_eq!((within.numbers.findings, within.numbers.findings_open), (1, 1));
        let before = Report::new(&posture, &findings, &[], 0, (0, samples::START - 1));
        assert_eq!(before.numbers.findings, 0);
    }

    #[test]
    fn every_format_tells_the_same_numbers() {
        let posture = samples::posture();
        let findings = [samples::finding(0), samples::hostile(1)];
        let report = Report::new(&posture, &findings, &[], samples::START, (0, i64::MAX));
        let json: Value = serde_json::from_str(&report.render(Format::Json).unwrap()).unwrap();
        let csv = report.render(Format::Csv).unwrap();
        let html = report.render(Format::Html).unwrap();
        let markdown = report.render(Format::Markdown).unwrap();
        let all = report.numbers.permissions;
        for mark in Mark::ALL {
            let name = mark.as_str();
            let n = all.of(mark);
            assert!(n > 0, "the sample has no {name}");
            assert_eq!(json["numbers"][name], n, "{name}");
            assert_eq!(csv.lines().filter(|l| l.contains(&format!("\"{name}\""))).count(), n, "{name}");
            let of_html: usize = html
                .split(&format!("data-{}=\"", name.replace('_', "-")))
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().parse::<usize>().unwrap())
                .sum();
            assert_eq!(of_html, n, "{name}");
        }
        assert_eq!(json["numbers"]["score"], all.score.unwrap());
        assert!(html.contains(&format!("data-score=\"{}\"", all.score.unwrap())));
        assert!(markdown.contains(&report.summary()) && html.contains(&report.summary()));
        assert_eq!(json["summary"], report.summary());
        let lines: usize = report.agents.iter().flat_map(|a| &a.identities).map(|i| i.lines.len()).sum();
        assert_eq!(csv.lines().count(), lines + 1);
        let league = markdown.lines().find(|l| l.starts_with("| support-bot |")).unwrap();
        assert_eq!(league, "| support-bot | support-platform | 3 | 5 | 2 | 2 | 1 | 1 | 93 |");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(many(1, "identity", "identities"), "1 identity");
        assert_eq!(days_between(0, 3 * DAY + 5), 3);
    }

    #[test]
    fn a_report_about_nothing_is_still_a_report() {
        let posture = Posture {
            covered: None,
            agents: vec![],
            unclaimed: vec![],
            unparsed: vec![],
            data_events: vec![],
            trust: Trust::default(),
        };
        let report = Report::new(&posture, &[], &[], 0, (0, 0));
        for format in Format::ALL {
            assert!(!report.render(format).unwrap().is_empty(), "{format}");
        }
        assert!(report.summary().starts_with("No events have been read yet"));
    }
}
