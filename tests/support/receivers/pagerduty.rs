//! What PagerDuty documents of its Events API v2:
//! <https://developer.pagerduty.com/docs/events-api-v2-overview>.

use super::Received;
use serde_json::Value;

/// What a real PagerDuty would refuse or misunderstand. `earlier`: what came before.
pub fn violations(body: &Value, size: usize, routing_key: &str, earlier: &[Received]) -> Vec<String> {
    let mut found = Vec::new();
    let mut refuse = |is_wrong: bool, why: String| {
        if is_wrong {
            found.push(why);
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    refuse(size > 512 * 1024, format!("{size} bytes, at most 512 KB"));
    refuse(body["routing_key"] != routing_key, format!("routing_key {}", body["routing_key"]));
    let action = text(&body["event_action"]);
    refuse(
        !["trigger", "acknowledge", "resolve"].contains(&action.as_str()),
        format!("event_action `{action}`"),
    );
    let key = text(&body["dedup_key"]);
    refuse(key.is_empty() || key.chars().count() > 255, format!("dedup_key `{key}`"));
    if action == "trigger" {
        let payload = &body["payload"];
        let summary = text(&payload["summary"]).chars().count();
        refuse(summary == 0 || summary > 1024, format!("summary of {summary} characters"));
        refuse(text(&payload["source"]).is_empty(), "no source".to_owned());
        let severity = text(&payload["severity"]);
        let known = ["critical", "error", "warning", "info"];
        refuse(!known.contains(&severity.as_str()), format!("severity `{severity}`"));
    } else {
        let is_known = earlier.iter().any(|request| request.dedup_key() == key);
        refuse(!is_known, format!("{action} of `{key}`, which was never triggered"));
    }
    found
}
