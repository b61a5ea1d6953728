//! Slack, through an incoming webhook: Block Kit under its limits, log text only as text.
//!
//! A webhook can neither edit nor thread, so updates and ends are messages of their own.
//! Source of the limits: <https://docs.slack.dev/reference/block-kit/blocks>; the total is ours, below the
//! undocumented one behind `msg_blocks_too_long`.

use crate::alert::{FINDINGS_NAMED_MAX, Fact, Link, Message};
use crate::receiver::SendError;
use crate::receivers::http::{Address, HttpClient};
use crate::summary::Summary;
use crate::text::{plain, slack, slack_code};
use engine::finding::Severity;
use engine::incident::AlertKind;
use serde_json::{Value, json};

/// Characters of a header.
const HEADER_MAX: usize = 150;
/// Characters of a section's text.
const SECTION_MAX: usize = 3_000;
/// Fields of a section.
const FIELDS_MAX: usize = 10;
/// Characters of a field: Slack allows 2,000; ten of those would pass the total.
const FIELD_MAX: usize = 420;
/// Elements of a context block.
const CONTEXT_MAX: usize = 10;
/// Characters of all texts together.
const TOTAL_MAX: usize = 10_000;

// What the parts of one message may take; together less than TOTAL_MAX.
const TEXT_MAX: usize = 600;
const WHY_MAX: usize = 1_000;
const LINE_MAX: usize = 170;
const FOOT_MAX: usize = 300;

const _: () = assert!(
    TEXT_MAX
        + HEADER_MAX
        + WHY_MAX
        + FIELDS_MAX * FIELD_MAX
        + (FINDINGS_NAMED_MAX + 1) * LINE_MAX
        + 3 * 200
        + FOOT_MAX
        < TOTAL_MAX
);
const _: () = assert!(WHY_MAX <= SECTION_MAX && (FINDINGS_NAMED_MAX + 1) * LINE_MAX <= SECTION_MAX);

#[derive(Debug)]
pub(crate) struct Slack {
    client: HttpClient,
    url: Address,
}

impl Slack {
    pub(crate) fn new(client: HttpClient, url: Address) -> Slack {
        Slack { client, url }
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.post(&body(message)).await
    }

    pub(crate) async fn send_summary(&self, summary: &Summary) -> Result<(), SendError> {
        self.post(&summary_body(summary)).await
    }

    async fn post(&self, body: &Value) -> Result<(), SendError> {
        self.client.post(&self.url, Default::default(), body.to_string().into_bytes(), &[]).await
    }
}

fn body(message: &Message) -> Value {
    let mut blocks = vec![header(&message.title)];
    if !message.why.is_empty() {
        blocks.push(section(&slack(&message.why, WHY_MAX)));
    }
    let fields: Vec<Value> = message.facts.iter().take(FIELDS_MAX).map(field).collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    if message.findings.len() > 1 {
        blocks.push(section(&finding_lines(message)));
    }
    if !message.steps.is_empty() {
        let steps: Vec<String> =
            message.steps.iter().zip(1..).map(|(step, n)| format!("{n}. {step}")).collect();
        blocks.push(section(&format!("*Do now*\n{}", steps.join("\n"))));
    }
    if let Some(actions) = actions(&message.links) {
        blocks.push(actions);
    }
    blocks.push(context(&foot(message)));
    whole(&message.summary, message.severity(), message.kind == AlertKind::Resolve, blocks)
}

fn summary_body(summary: &Summary) -> Value {
    let mut blocks = vec![header(&summary.title())];
    let lines: Vec<String> = summary
        .named()
        .iter()
        .map(|line| format!("• {} {}", line.severity, slack(&line.title, LINE_MAX - 15)))
        .collect();
    blocks.push(section(&lines.join("\n")));
    let link = Link { text: "Open findings".to_owned(), url: summary.link.clone() };
    blocks.extend(actions(&[link]));
    blocks.push(context(&format!(
        "More than {} messages a minute were due, so these {} became one · {}",
        summary.max_per_minute,
        summary.lines.len(),
        summary.id()
    )));
    whole(&summary.title(), summary.severity(), false, blocks)
}

/// Text at the top for notifications and screen readers; blocks beside a bar in the severity's colour.
fn whole(text: &str, severity: Severity, is_over: bool, blocks: Vec<Value>) -> Value {
    json!({
        "text": slack(text, TEXT_MAX),
        "unfurl_links": false,
        "unfurl_media": false,
        "link_names": false,
        "attachments": [{"color": if is_over { "#12B76A" } else { colour(severity) }, "blocks": blocks}],
    })
}

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "#D92D20",
        Severity::High => "#F79009",
        Severity::Medium => "#FDB022",
        Severity::Low => "#2E90FA",
        Severity::Info => "#98A2B3",
    }
}

fn header(title: &str) -> Value {
    json!({"type": "header", "text": {"type": "plain_text", "text": plain(title, HEADER_MAX), "emoji": false}})
}

/// `verbatim`: Slack links no addresses, channels or names by itself.
fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(text)})
}

fn context(text: &str) -> Value {
    const _: () = assert!(1 <= CONTEXT_MAX);
    json!({"type": "context", "elements": [mrkdwn(text)]})
}

fn field(fact: &Fact) -> Value {
    let room = FIELD_MAX - fact.label.len() - 4;
    let mut text = format!("*{}*\n", fact.label);
    if let Some(name) = &fact.name {
        text.push_str(&slack_code(name, room / 2));
        text.push(' ');
    }
    text.push_str(&slack(&fact.words, room / 2));
    mrkdwn(text.trim_end())
}

fn finding_lines(message: &Message) -> String {
    let mut lines: Vec<String> = message
        .findings
        .iter()
        .take(FINDINGS_NAMED_MAX)
        .map(|f| {
            let state = if f.state.is_live() { "" } else { " (closed)" };
            format!("• {} {} ×{}{state}", f.severity, slack(&f.title, LINE_MAX - 50), f.count)
        })
        .collect();
    if message.findings.len() > FINDINGS_NAMED_MAX {
        lines.push(format!("… and {} more on the page", message.findings.len() - FINDINGS_NAMED_MAX));
    }
    lines.join("\n")
}

/// Buttons need no interactivity as long as they only open an address.
fn actions(links: &[Link]) -> Option<Value> {
    let buttons: Vec<Value> = links
        .iter()
        // Slack refuses a whole message for one address that is too long or no web address.
        .filter(|l| l.url.len() <= 3_000 && (l.url.starts_with("https://") || l.url.starts_with("http://")))
        .take(3)
        .enumerate()
        .map(|(n, link)| {
            json!({"type": "button", "action_id": format!("open_{n}"), "url": link.url,
                   "text": {"type": "plain_text", "text": plain(&link.text, 75), "emoji": false}})
        })
        .collect();
    (!buttons.is_empty()).then(|| json!({"type": "actions", "elements": buttons}))
}

fn foot(message: &Message) -> String {
    let mut parts = vec![format!("incident {}", slack_code(&message.id, 80))];
    if !message.frameworks.is_empty() {
        parts.push(slack(&message.frameworks.join(", "), 120));
    }
    if message.is_resend {
        parts.push("sent again: the first answer was lost".to_owned());
    }
    parts.push("names and text come from the log".to_owned());
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::text::tests::slack_is_inert;

    /// Every text of a message, with the limit of the place it is in.
    fn texts(value: &Value, out: &mut Vec<(String, usize)>) {
        match value {
            Value::Object(map) => {
                let kind = map.get("type").and_then(Value::as_str);
                if let (Some("plain_text" | "mrkdwn"), Some(Value::String(text))) = (kind, map.get("text")) {
                    let max = if kind == Some("plain_text") { HEADER_MAX } else { SECTION_MAX };
                    out.push((text.clone(), max));
                }
                map.values().for_each(|v| texts(v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| texts(v, out)),
            _ => {}
        }
    }

    fn assert_limits(body: &Value) {
        let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        let mut all = vec![(body["text"].as_str().unwrap().to_owned(), SECTION_MAX)];
        texts(body, &mut all);
        for block in blocks {
            if let Some(fields) = block["fields"].as_array() {
                assert!(fields.len() <= 10);
                assert!(fields.iter().all(|f| f["text"].as_str().unwrap().encode_utf16().count() <= 2_000));
            }
            assert!(block["elements"].as_array().is_none_or(|e| e.len() <= 10));
        }
        let units = |text: &String| text.encode_utf16().count();
        for (text, max) in &all {
            assert!(units(text) <= *max && !text.trim().is_empty(), "{} of {max}: {text}", units(text));
        }
        assert!(all.iter().map(|(text, _)| units(text)).sum::<usize>() <= TOTAL_MAX);
    }

    #[test]
    fn an_alert_reads_well() {
        let body = body(&Message::new(&samples::alert(1), "http://127.0.0.1:8080"));
        assert_limits(&body);
        let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
        assert_eq!(body["attachments"][0]["color"], "#D92D20");
        assert_eq!(
            blocks[0]["text"]["text"],
            "CRITICAL · support-bot called s3:DeleteObject outside its scope"
        );
        assert_eq!(blocks[2]["fields"][0]["text"], "*Did*\n`s3:DeleteObject` 14 calls, first one success");
        assert_eq!(blocks[4]["elements"][0]["url"], "http://127.0.0.1:8080/findings/f0");
        assert!(body["text"].as_str().unwrap().starts_with("CRITICAL · support-bot called"));
    }

    #[test]
    fn a_hundred_hostile_findings_stay_within_the_limits_and_inert() {
        let mut alert = samples::alert_of((0..100).map(samples::hostile).collect());
        alert.is_resend = true;
        for kind in [AlertKind::Trigger, AlertKind::Update, AlertKind::Resolve] {
            alert.kind = kind;
            alert.incident.resolved_because = Some("x".repeat(50_000));
            let body = body(&Message::new(&alert, "https://remit.example"));
            assert_limits(&body);
            let mut all = Vec::new();
            texts(&body, &mut all);
            for (text, max) in all.iter().filter(|(_, max)| *max == SECTION_MAX) {
                // Bold labels, code and line breaks are ours; nothing else may be left.
                let ours = text.replace("*Do now*\n", "");
                let rest: String = ours.split('`').step_by(2).collect();
                let rest =
                    rest.lines().filter(|l| !(l.starts_with('*') && l.ends_with('*'))).collect::<String>();
                assert!(slack_is_inert(&rest), "{max}: {text}");
                assert!(!text.contains("<!") && !text.contains("<@") && !text.contains("<http"));
            }
        }
    }

    #[test]
    fn a_summary_stays_within_the_limits() {
        let mut summary = Summary::new("https://remit.example", 20);
        for n in 0..5_000 {
            let alert = samples::alert_of(vec![samples::hostile(n % 3)]);
            summary.add(&Message::new(&alert, "https://remit.example"));
        }
        assert_limits(&summary_body(&summary));
    }

    #[test]
    fn a_link_that_slack_would_refuse_is_left_out() {
        let body = body(&Message::new(&samples::alert(1), "soc.internal"));
        assert!(!body.to_string().contains("\"actions\""));
    }
}
