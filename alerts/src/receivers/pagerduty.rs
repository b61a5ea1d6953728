//! PagerDuty, Events API v2: one alert per incident, opened, updated and resolved under one key.
//!
//! Source: <https://developer.pagerduty.com/docs/send-alert-event>.

use crate::alert::{FINDINGS_NAMED_MAX, Message, moment};
use crate::receiver::SendError;
use crate::receivers::http::{Address, HttpClient};
use crate::secret::Secret;
use crate::summary::Summary;
use crate::text::plain;
use engine::finding::{Finding, Severity};
use engine::incident::AlertKind;
use engine::time::rfc3339;
use serde_json::{Map, Value, json};

/// Characters of the summary.
const SUMMARY_MAX: usize = 1_024;
/// Characters of the key.
const DEDUP_KEY_MAX: usize = 255;
/// Characters of any other text: a few dozen of them stay far below the 512 KB of an event.
const TEXT_MAX: usize = 600;
/// Characters of a short field.
const NAME_MAX: usize = 255;

#[derive(Debug)]
pub(crate) struct PagerDuty {
    client: HttpClient,
    url: Address,
    routing_key: Secret,
    // Every summary of this receiver updates one alert, instead of opening one a minute.
    summary_key: String,
}

impl PagerDuty {
    pub(crate) fn new(client: HttpClient, url: Address, routing_key: Secret, name: &str) -> PagerDuty {
        PagerDuty { client, url, routing_key, summary_key: format!("remit-summary-{name}") }
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.post(body(&self.routing_key, message)).await
    }

    pub(crate) async fn send_summary(&self, summary: &Summary) -> Result<(), SendError> {
        self.post(summary_body(&self.routing_key, &self.summary_key, summary)).await
    }

    async fn post(&self, body: Value) -> Result<(), SendError> {
        let body = body.to_string().into_bytes();
        self.client.post(&self.url, Default::default(), body, &[&self.routing_key]).await
    }
}

fn body(routing_key: &Secret, message: &Message) -> Value {
    let dedup_key = plain(&message.incident.id, DEDUP_KEY_MAX);
    if message.kind == AlertKind::Resolve {
        return json!({"routing_key": routing_key.expose(), "event_action": "resolve", "dedup_key": dedup_key});
    }
    let lead = message.findings.iter().find(|f| f.state.is_live()).or_else(|| message.findings.first());
    let mut payload = json!({
        "summary": plain(&message.summary, SUMMARY_MAX),
        "source": plain(&source(message, lead), NAME_MAX),
        "severity": severity(message.severity()),
        "timestamp": rfc3339(message.incident.first_seen),
        "component": plain(&message.incident.who, NAME_MAX),
        "custom_details": details(message),
    });
    if let (Some(lead), Value::Object(payload)) = (lead, &mut payload) {
        payload.insert("class".into(), plain(&lead.detection, NAME_MAX).into());
        if let Some(environment) = &lead.sample.environment {
            payload.insert("group".into(), plain(environment, NAME_MAX).into());
        }
    }
    let links: Vec<Value> =
        message.links.iter().map(|l| json!({"href": l.url, "text": plain(&l.text, NAME_MAX)})).collect();
    let mut event = json!({
        "routing_key": routing_key.expose(),
        // An update is a trigger under the same key: PagerDuty appends it to the open alert.
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "remit",
        "payload": payload,
        "links": links,
    });
    if let (Some(url), Value::Object(event)) = (message.url(), &mut event) {
        event.insert("client_url".into(), url.into());
    }
    event
}

fn summary_body(routing_key: &Secret, key: &str, summary: &Summary) -> Value {
    let counts: Map<String, Value> =
        summary.counts().iter().map(|(severity, n)| (severity.to_string(), (*n).into())).collect();
    let alerts: Vec<Value> = summary
        .named()
        .iter()
        .map(|line| json!({"incident": line.incident, "severity": line.severity, "title": plain(&line.title, TEXT_MAX)}))
        .collect();
    json!({
        "routing_key": routing_key.expose(),
        "event_action": "trigger",
        "dedup_key": plain(key, DEDUP_KEY_MAX),
        "client": "remit",
        "client_url": summary.link,
        "payload": {
            "summary": plain(&summary.title(), SUMMARY_MAX),
            "source": "remit",
            "severity": severity(summary.severity()),
            "class": "summary",
            "custom_details": {
                "id": summary.id(),
                "alerts": summary.lines.len(),
                "by_severity": counts,
                "worst": alerts,
                "why": format!("more than {} messages a minute were due", summary.max_per_minute),
            },
        },
        "links": [{"href": summary.link, "text": "Open findings"}],
    })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    }
}

/// `aws:111122223333:eu-west-1`, else who it is about.
fn source(message: &Message, lead: Option<&Finding>) -> String {
    let sample = lead.map(|f| &f.sample);
    match sample.and_then(|s| s.account.as_deref().zip(s.region.as_deref())) {
        Some((account, region)) => format!("aws:{account}:{region}"),
        None if message.incident.who.trim().is_empty() => "remit".to_owned(),
        None => message.incident.who.clone(),
    }
}

fn details(message: &Message) -> Value {
    let mut details = Map::new();
    details.insert("incident".into(), message.id.as_str().into());
    details.insert("why".into(), plain(&message.why, TEXT_MAX).into());
    for fact in &message.facts {
        let value = format!("{} {}", fact.name.as_deref().unwrap_or_default(), fact.words);
        let key = fact.label.trim_end_matches('?').to_lowercase().replace(' ', "_");
        details.insert(key, plain(value.trim(), TEXT_MAX).into());
    }
    details.insert("do_now".into(), message.steps.clone().into());
    details.insert("frameworks".into(), plain(&message.frameworks.join(", "), TEXT_MAX).into());
    details.insert("first_seen".into(), moment(message.incident.first_seen).into());
    details.insert("last_seen".into(), moment(message.incident.last_seen).into());
    let findings: Vec<Value> = message
        .findings
        .iter()
        .take(FINDINGS_NAMED_MAX)
        .map(|f| {
            json!({"id": f.id, "detection": plain(&f.detection, NAME_MAX), "severity": f.severity,
                   "state": f.state, "title": plain(&f.title, TEXT_MAX), "calls": f.count})
        })
        .collect();
    details.insert("finding_count".into(), message.findings.len().into());
    details.insert("findings".into(), findings.into());
    details.insert("resend".into(), message.is_resend.into());
    Value::Object(details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn event(findings: usize, kind: AlertKind) -> Value {
        let mut alert = samples::alert(findings);
        alert.kind = kind;
        body(&Secret::new("R0UTINGKEY"), &Message::new(&alert, "https://remit.example"))
    }

    #[test]
    fn begin_update_and_end_share_one_key() {
        let (begin, update, end) =
            (event(1, AlertKind::Trigger), event(2, AlertKind::Update), event(2, AlertKind::Resolve));
        let of = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        assert_eq!([&begin, &update, &end].map(|e| of(e, "dedup_key")), ["i-f0", "i-f0", "i-f0"]);
        assert_eq!([&begin, &update, &end].map(|e| of(e, "event_action")), ["trigger", "trigger", "resolve"]);
        assert_eq!([&begin, &update, &end].map(|e| of(e, "routing_key")), ["R0UTINGKEY"; 3]);
    }

    #[test]
    fn an_event_has_what_pagerduty_needs() {
        let event = event(1, AlertKind::Trigger);
        let payload = &event["payload"];
        assert_eq!(payload["severity"], "critical");
        assert_eq!(payload["source"], "aws:111122223333:eu-west-1");
        assert_eq!(
            (&payload["group"], &payload["class"], &payload["component"]),
            (&json!("prod"), &json!("SC01"), &json!("support-bot"))
        );
        assert_eq!(payload["timestamp"], "2026-11-03T00:53:20Z");
        assert_eq!(payload["custom_details"]["could_it"], "LegacyS3Full#1 Yes, its policies grant it");
        assert_eq!(event["links"][0]["href"], "https://remit.example/findings/f0");
        let map = Severity::ALL.map(severity);
        assert_eq!(map, ["info", "info", "warning", "error", "critical"]);
    }

    #[test]
    fn a_hundred_hostile_findings_stay_within_the_limits() {
        let mut alert = samples::alert_of((0..100).map(samples::hostile).collect());
        alert.incident.id = "i".repeat(5_000);
        let event = body(&Secret::new("R0UTINGKEY"), &Message::new(&alert, "https://remit.example"));
        assert!(event.to_string().len() < 64 * 1024, "{}", event.to_string().len());
        assert!(event["payload"]["summary"].as_str().unwrap().encode_utf16().count() <= SUMMARY_MAX);
        assert!(event["dedup_key"].as_str().unwrap().encode_utf16().count() <= DEDUP_KEY_MAX);
        assert!(!event["payload"]["summary"].as_str().unwrap().contains(['\n', '\u{1b}', '\u{202e}']));
    }

    #[test]
    fn an_account_that_is_not_known_still_gives_a_source() {
        let mut alert = samples::alert(1);
        alert.findings[0].sample.account = None;
        alert.incident.who = " ".into();
        let event = body(&Secret::new("k"), &Message::new(&alert, ""));
        assert_eq!(event["payload"]["source"], "remit");
    }
}
