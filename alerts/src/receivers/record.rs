//! The JSON form of an alert, for programs: the webhook's body and the file's line.

use crate::alert::Message;
use crate::summary::Summary;
use engine::finding::Severity;
use engine::incident::AlertKind;
use engine::time::rfc3339;
use serde::Serialize;
use serde_json::Value;

/// Bytes of one record: findings are left out from the end, and counted, until it fits.
pub(crate) const RECORD_MAX: usize = 512 * 1024;

/// Fields whose text was written by whoever made the calls, for readers that hand them on to a model or a page.
const UNTRUSTED: [&str; 9] = [
    "summary",
    "why",
    "incident.who",
    "findings[].title",
    "findings[].why",
    "findings[].actor",
    "findings[].subject",
    "findings[].sample",
    "findings[].chain",
];

#[derive(Serialize)]
struct Record<'a> {
    // First, so that the file can be searched for it.
    id: &'a str,
    schema_version: u32,
    kind: AlertKind,
    summary: &'a str,
    why: &'a str,
    resend: bool,
    link: Option<&'a str>,
    incident: IncidentRecord<'a>,
    findings: Vec<Value>,
    findings_left_out: usize,
    steps: &'a [&'static str],
    frameworks: &'a [String],
    untrusted: [&'static str; 9],
}

#[derive(Serialize)]
struct IncidentRecord<'a> {
    id: &'a str,
    revision: i64,
    who: &'a str,
    agent: Option<&'a str>,
    severity: Severity,
    state: engine::incident::IncidentState,
    first_seen: String,
    last_seen: String,
    resolved_because: Option<&'a str>,
}

#[derive(Serialize)]
struct SummaryRecord<'a> {
    id: String,
    schema_version: u32,
    kind: &'static str,
    summary: String,
    link: &'a str,
    counts: std::collections::BTreeMap<&'static str, usize>,
    alerts: Vec<SummaryAlert<'a>>,
    untrusted: [&'static str; 1],
}

#[derive(Serialize)]
struct SummaryAlert<'a> {
    incident: &'a str,
    revision: i64,
    kind: AlertKind,
    severity: Severity,
    title: &'a str,
    link: Option<&'a str>,
}

/// One line of JSON without its line break.
pub(crate) fn record(message: &Message) -> Result<Vec<u8>, serde_json::Error> {
    let cut = |text: &str| text.chars().take(4_000).collect::<String>();
    let (summary, why, who) = (cut(&message.summary), cut(&message.why), cut(&message.incident.who));
    let agent = message.incident.agent.as_deref().map(cut);
    let mut findings = Vec::new();
    let mut size = 4 * (summary.len() + why.len() + who.len()) + 8 * 1024;
    for finding in &message.findings {
        let value = finding.to_json();
        size += value.to_string().len() + 1;
        if size > RECORD_MAX {
            break;
        }
        findings.push(value);
    }
    let frameworks: Vec<String> =
        message.frameworks.iter().take(50).map(|f| f.chars().take(40).collect()).collect();
    serde_json::to_vec(&Record {
        id: &message.id,
        schema_version: 1,
        kind: message.kind,
        summary: &summary,
        why: &why,
        resend: message.is_resend,
        link: message.url(),
        incident: IncidentRecord {
            id: &message.incident.id,
            revision: message.revision,
            who: &who,
            agent: agent.as_deref(),
            severity: message.severity(),
            state: message.incident.state,
            first_seen: rfc3339(message.incident.first_seen),
            last_seen: rfc3339(message.incident.last_seen),
            resolved_because: message.incident.resolved_because.as_deref(),
        },
        findings_left_out: message.findings.len() - findings.len(),
        findings,
        steps: &message.steps,
        frameworks: &frameworks,
        untrusted: UNTRUSTED,
    })
}

/// Many alerts in one line: every incident's id and title, so that a program misses none.
pub(crate) fn summary_record(summary: &Summary) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&SummaryRecord {
        id: summary.id(),
        schema_version: 1,
        kind: "summary",
        summary: summary.title(),
        link: &summary.link,
        counts: summary.counts().into_iter().map(|(severity, n)| (severity.as_str(), n)).collect(),
        alerts: summary
            .lines
            .iter()
            .map(|line| SummaryAlert {
                incident: &line.incident,
                revision: line.revision,
                kind: line.kind,
                severity: line.severity,
                title: &line.title,
                link: line.url.as_deref(),
            })
            .collect(),
        untrusted: ["alerts[].title"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_record_carries_the_whole_incident() {
        let line = record(&Message::new(&samples::alert(2), "http://x")).unwrap();
        assert!(line.starts_with(b"{\"id\":\"i-f0.1\",\"schema_version\":1,\"kind\":\"trigger\""));
        let record: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(record["incident"]["severity"], "critical");
        assert_eq!(record["findings"].as_array().unwrap().len(), 2);
        assert_eq!(record["findings"][0], samples::finding(0).to_json());
        assert_eq!(record["findings_left_out"], 0);
    }

    #[test]
    fn log_text_stays_exact_and_on_one_line() {
        let mut alert = samples::alert(1);
        let evil = "a\nb\u{202e}<script>\u{1b}";
        alert.findings[0].sample.user_agent = Some(evil.into());
        let line = record(&Message::new(&alert, "http://x")).unwrap();
        assert!(!line.contains(&b'\n'));
        let record: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(record["findings"][0]["sample"]["user_agent"], evil);
    }

    #[test]
    fn a_huge_incident_is_cut_and_says_so() {
        let message = Message::new(&samples::alert_of((0..100).map(samples::hostile).collect()), "http://x");
        let line = record(&message).unwrap();
        assert!(line.len() <= RECORD_MAX, "{}", line.len());
        let record: Value = serde_json::from_slice(&line).unwrap();
        let kept = record["findings"].as_array().unwrap().len();
        assert_eq!(record["findings_left_out"], 100 - kept);
    }
}
