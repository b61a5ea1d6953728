//! What an alert says to people, before any receiver gives it a form.

use engine::finding::{Finding, Severity};
use engine::incident::{Alert, AlertKind, Incident};
use engine::time::{self, MINUTE, SECOND};

/// Findings named one by one in a message for people; the page has them all.
pub const FINDINGS_NAMED_MAX: usize = 10;

/// One thing that a reader wants to know. Values hold log text: each receiver makes them safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// `Did`, `Allowed`, `Could it?` ...: ours.
    pub label: &'static str,
    /// A name to be shown exactly, such as a permission or an ARN.
    pub name: Option<String>,
    /// Words around it.
    pub words: String,
}

/// A link to a page of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it opens.
    pub text: String,
    /// Where it leads.
    pub url: String,
}

/// One incident at one revision, told so that nobody has to click to understand it.
///
/// Holds log text as it is: whoever writes it out calls [`crate::text`].
#[derive(Debug, Clone)]
pub struct Message {
    /// `<incident>.<revision>`: one for each message, the same when it is sent again.
    pub id: String,
    /// The incident: the alert's id at every receiver.
    pub incident: Incident,
    /// Trigger, update or resolve.
    pub kind: AlertKind,
    /// The revision told.
    pub revision: i64,
    /// True when an earlier send may have arrived.
    pub is_resend: bool,
    /// `CRITICAL · support-bot deleted objects`
    pub title: String,
    /// One line that stands alone: in notifications and lists.
    pub summary: String,
    /// Why it was told.
    pub why: String,
    /// What happened, what was allowed, could it, is it new, who, from where, when.
    pub facts: Vec<Fact>,
    /// What to do now, one to three steps.
    pub steps: Vec<&'static str>,
    /// Pages with more.
    pub links: Vec<Link>,
    /// Codes of the frameworks that its findings map to.
    pub frameworks: Vec<String>,
    /// Its findings, worst first.
    pub findings: Vec<Finding>,
}

impl Message {
    /// Words an alert. `link`: the base of the page's addresses, `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(alert: &Alert, link: &str) -> Message {
        let incident = &alert.incident;
        let live = alert.findings.iter().filter(|f| f.state.is_live()).count();
        let lead = alert.findings.iter().find(|f| f.state.is_live()).or_else(|| alert.findings.first());
        let what =
            lead.map_or_else(|| format!("{} did something worth a look", incident.who), |f| f.title.clone());
        let more = match alert.findings.len() {
            0 | 1 => String::new(),
            many => format!(" (and {} more)", many - 1),
        };
        let title = match alert.kind {
            AlertKind::Resolve => format!("RESOLVED · {what}{more}"),
            AlertKind::Update => {
                format!("UPDATE · {} · {what}{more}", incident.severity.as_str().to_uppercase())
            }
            AlertKind::Trigger => format!("{} · {what}{more}", incident.severity.as_str().to_uppercase()),
        };
        let events: i64 = alert.findings.iter().map(|f| f.count).sum();
        let place = lead.map_or_else(String::new, place);
        let summary = format!("{title} · agent {}, {}{place}", incident.who, counted(events, "call"));
        let why = match (alert.kind, &incident.resolved_because) {
            (AlertKind::Resolve, Some(because)) => format!("It is over: {because}."),
            (AlertKind::Resolve, None) => "It is over.".to_owned(),
            _ => lead.map(|f| f.why.clone()).unwrap_or_default(),
        };
        let mut facts = lead.map(facts).unwrap_or_default();
        if alert.findings.len() > 1 {
            facts.push(Fact {
                label: "Findings",
                name: None,
                words: format!("{} in this incident, {live} of them open", alert.findings.len()),
            });
        }
        let mut frameworks: Vec<String> = alert.findings.iter().flat_map(|f| f.frameworks.clone()).collect();
        frameworks.sort();
        frameworks.dedup();
        Message {
            id: format!("{}.{}", incident.id, alert.revision),
            incident: incident.clone(),
            kind: alert.kind,
            revision: alert.revision,
            is_resend: alert.is_resend,
            title,
            summary,
            why,
            facts,
            steps: if alert.kind == AlertKind::Resolve { Vec::new() } else { steps(lead) },
            links: links(lead, &alert.findings, link),
            frameworks,
            findings: alert.findings.clone(),
        }
    }

    /// Event time of what this message tells for the first time: its newest finding's first event, µs UTC.
    /// None for an end, which no event causes.
    #[must_use]
    pub fn event_time(&self) -> Option<i64> {
        if self.kind == AlertKind::Resolve {
            return None;
        }
        self.findings.iter().filter(|f| f.state.is_live()).map(|f| f.first_seen).max()
    }

    /// The page of the finding that leads it.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.links.first().map(|l| l.url.as_str())
    }

    /// The severity that receivers show.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.incident.severity
    }
}

/// The address of a finding's page.
#[must_use]
pub fn finding_url(link: &str, id: &str) -> String {
    format!("{}/findings/{id}", link.trim_end_matches('/'))
}

/// `1 call`, `14 calls`.
pub(crate) fn counted(n: i64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `2026-11-03 00:53:20Z`, and when it went on `… for 3m 04s`.
pub(crate) fn span(first: i64, last: i64) -> String {
    let at = moment(first);
    let seconds = (last - first) / SECOND;
    match (last - first) / MINUTE {
        _ if seconds <= 0 => at,
        0 => format!("{at}, for {seconds}s"),
        minutes @ 1..60 => format!("{at}, for {minutes}m {:02}s", seconds % 60),
        minutes @ 60..2_880 => format!("{at}, for {}h {:02}m", minutes / 60, minutes % 60),
        minutes => format!("{at}, over {} days", minutes / 1_440),
    }
}

/// `2026-11-03 00:53:20Z`
pub(crate) fn moment(at: i64) -> String {
    // Whole seconds: a person compares them by eye.
    time::rfc3339(at - at.rem_euclid(SECOND)).replacen('T', " ", 1)
}

fn facts(finding: &Finding) -> Vec<Fact> {
    let sample = &finding.sample;
    let mut facts = Vec::new();
    let mut add = |label, name: Option<&str>, words: String| {
        facts.push(Fact { label, name: name.map(str::to_owned), words });
    };
    let did = sample.permission.as_deref().unwrap_or(&sample.operation);
    let outcome = if sample.outcome.is_empty() { "unknown" } else { &sample.outcome };
    add("Did", Some(did), format!("{}, first one {outcome}", counted(finding.count, "call")));
    if let Some(resource) = sample.resources.first() {
        let more = sample.resources.len() - 1;
        add("On", Some(resource), if more == 0 { String::new() } else { format!("and {more} more") });
    }
    if let Some(scope) = &sample.scope {
        add("Allowed?", sample.scope_why.as_deref(), scope_words(scope).to_owned());
    }
    if let Some(grant) = &sample.grant {
        add("Could it?", sample.grant_why.as_deref(), grant_words(grant).to_owned());
    }
    // Only the baseline's own findings know; the others of an incident stand beside them.
    if let Some(newness) = newness(finding) {
        add("New?", None, newness);
    }
    let session = sample.session_name.as_deref().map(|s| format!("session {s}")).unwrap_or_default();
    add("Who", Some(&finding.actor), session);
    let from = [
        sample.source_ip.clone(),
        sample.region.clone(),
        sample.user_agent.as_deref().map(|agent| format!("client {agent}")),
    ];
    let from: Vec<String> = from.into_iter().flatten().collect();
    if !from.is_empty() {
        add("From", None, from.join(" · "));
    }
    add("When", Some(&span(finding.first_seen, finding.last_seen)), String::new());
    let environment =
        [sample.environment.clone(), sample.account.as_deref().map(|account| format!("account {account}"))];
    let environment: Vec<String> = environment.into_iter().flatten().collect();
    if !environment.is_empty() {
        add("Environment", None, environment.join(" · "));
    }
    facts
}

fn scope_words(scope: &str) -> &'static str {
    match scope {
        "in" => "Declared",
        "out" => "Not declared",
        _ => "Cannot be known",
    }
}

fn grant_words(grant: &str) -> &'static str {
    match grant {
        "allowed" => "Yes, its policies grant it",
        "denied" => "No, its policies do not grant it",
        _ => "Cannot be known",
    }
}

fn newness(finding: &Finding) -> Option<String> {
    match finding.sample.active_days {
        0 => None,
        days => Some(format!("First time in {} of this identity", counted(days, "earlier active day"))),
    }
}

fn place(finding: &Finding) -> String {
    let sample = &finding.sample;
    let parts = [sample.environment.as_deref(), sample.account.as_deref(), sample.region.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(", {}", parts.join(" / ")) }
}

/// What to do now, by the family of the finding that leads.
fn steps(lead: Option<&Finding>) -> Vec<&'static str> {
    let Some(lead) = lead else { return Vec::new() };
    // The two letters of a detection's id are its family's stable name.
    match lead.detection.get(..2).unwrap_or_default() {
        "SC" if lead.sample.outcome == "denied" => vec![
            "Ask the owner what the agent was trying to do; a guardrail stopped it this time.",
            "If the task needs it, declare and grant it; if not, look for what led the agent there.",
        ],
        "SC" => vec![
            "Ask the owner whether the task needs this.",
            "If it does, declare it in the manifest; if not, remove the grant that allowed it.",
            "If nobody can explain it, end the role's sessions (deny `aws:TokenIssueTime` before now).",
        ],
        "DS" => vec![
            "Stop the agent: end the role's sessions (deny `aws:TokenIssueTime` before now).",
            "Restore what was deleted from versions, snapshots or backups.",
            "Ask the owner for the change this belongs to; without one, treat it as an incident.",
        ],
        "PR" => vec![
            "Undo the change: delete the new credential, or put the earlier policy version back.",
            "End the role's sessions, and those of whatever was made.",
            "Look for every call made with the new power since.",
        ],
        "LG" => vec![
            "Switch logging on again and check that events arrive.",
            "Treat the gap as unobserved: look at what else this session did before it.",
        ],
        "ID" => vec![
            "Find where the credential is used, and replace a long-lived key with a role.",
            "Deactivate the key once nothing needs it.",
        ],
        "BL" => vec![
            "Ask the owner whether the agent has a new task or a new release.",
            "If it is expected, declare it and close the finding as `accepted`.",
        ],
        _ => vec!["Ask the agent's owner whether this was intended."],
    }
}

fn links(lead: Option<&Finding>, findings: &[Finding], link: &str) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    if let Some(lead) = lead {
        links.push(Link { text: "Open finding".to_owned(), url: finding_url(link, &lead.id) });
    }
    for finding in findings.iter().filter(|f| lead.is_none_or(|l| l.id != f.id)).take(2) {
        links.push(Link {
            text: format!("{} finding", finding.detection),
            url: finding_url(link, &finding.id),
        });
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn an_alert_answers_without_a_click() {
        let message = Message::new(&samples::alert(1), "http://127.0.0.1:8080/");
        assert_eq!(message.id, "i-f0.1");
        assert_eq!(message.title, "CRITICAL · support-bot called s3:DeleteObject outside its scope");
        assert!(message.summary.ends_with("agent support-bot, 14 calls, prod / 111122223333 / eu-west-1"));
        let fact = |label| {
            let fact = message.facts.iter().find(|f| f.label == label).unwrap();
            format!("{}|{}", fact.name.clone().unwrap_or_default(), fact.words)
        };
        assert_eq!(fact("Did"), "s3:DeleteObject|14 calls, first one success");
        assert_eq!(fact("Allowed?"), "agents/support-bot.yaml:31 read: tickets|Not declared");
        assert_eq!(fact("Could it?"), "LegacyS3Full#1|Yes, its policies grant it");
        assert_eq!(fact("New?"), "|First time in 12 earlier active days of this identity");
        assert_eq!(fact("When"), "2026-11-03 00:53:20Z, for 3m 04s|");
        assert_eq!(message.url(), Some("http://127.0.0.1:8080/findings/f0"));
        assert!((1..=3).contains(&message.steps.len()));
    }

    #[test]
    fn an_update_and_an_end_say_so() {
        let mut alert = samples::alert(3);
        alert.kind = AlertKind::Update;
        assert!(Message::new(&alert, "").title.starts_with("UPDATE · CRITICAL · "));
        assert!(Message::new(&alert, "").title.ends_with(" (and 2 more)"));
        alert.kind = AlertKind::Resolve;
        alert.incident.resolved_because = Some("nothing joined it for a day".into());
        let end = Message::new(&alert, "");
        assert!(end.title.starts_with("RESOLVED · "));
        assert_eq!(end.why, "It is over: nothing joined it for a day.");
        assert_eq!((end.steps.len(), end.event_time()), (0, None));
    }

    #[test]
    fn an_incident_without_told_findings_still_makes_a_message() {
        let mut alert = samples::alert(1);
        alert.findings.clear();
        let message = Message::new(&alert, "http://x");
        assert_eq!((message.url(), message.facts.len()), (None, 0));
        assert!(message.title.contains("support-bot"));
    }
}
