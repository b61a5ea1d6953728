//! What Slack documents of a message with blocks: <https://docs.slack.dev/reference/block-kit/blocks>.

use serde_json::Value;

/// Slack refuses messages whose blocks are too long in all; the limit is not documented, so ours is well below.
const TOTAL_MAX: usize = 10_000;

/// What a real Slack would refuse, or what would let log text act in a channel.
pub fn violations(body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if body["text"].as_str().is_none_or(|text| text.trim().is_empty()) {
        found.push("no top-level `text`: notifications and screen readers show nothing".to_owned());
    }
    let mut lists = vec![&body["blocks"]];
    lists
        .extend(body["attachments"].as_array().into_iter().flatten().map(|attachment| &attachment["blocks"]));
    let blocks: Vec<&Value> = lists.into_iter().filter_map(Value::as_array).flatten().collect();
    at_most("blocks", blocks.len(), 50, &mut found);
    for block in &blocks {
        check_block(block, &mut found);
    }
    let mut texts = Vec::new();
    collect_texts(body, &mut texts);
    at_most(
        "characters in all",
        texts.iter().map(|(_, text)| text.chars().count()).sum(),
        TOTAL_MAX,
        &mut found,
    );
    for (is_plain, text) in texts {
        if !is_plain {
            check_markup(text, &mut found);
        }
    }
    found
}

fn check_block(block: &Value, found: &mut Vec<String>) {
    let length = |text: &Value| text["text"].as_str().unwrap_or_default().chars().count();
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    match block["type"].as_str() {
        Some("header") => {
            at_most("characters of a header", length(&block["text"]), 150, found);
            if block["text"]["type"] != "plain_text" {
                found.push("a header is not plain_text".to_owned());
            }
        }
        Some("section") => {
            at_most("characters of a section", length(&block["text"]), 3000, found);
            at_most("fields of a section", count(&block["fields"]), 10, found);
            for field in block["fields"].as_array().into_iter().flatten() {
                at_most("characters of a field", length(field), 2000, found);
            }
            if block["text"].is_null() && count(&block["fields"]) == 0 {
                found.push("a section without text and fields".to_owned());
            }
        }
        Some("context") => at_most("elements of a context", count(&block["elements"]), 10, found),
        Some("actions") => at_most("elements of actions", count(&block["elements"]), 25, found),
        Some("divider" | "rich_text" | "markdown") => {}
        other => found.push(format!("unknown block {other:?}")),
    }
}

fn at_most(what: &str, count: usize, limit: usize, found: &mut Vec<String>) {
    if count > limit {
        found.push(format!("{count} {what}, at most {limit}"));
    }
}

/// Every `text` of the message, and whether Slack shows it as it is.
fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<(bool, &'a str)>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get("text") {
                texts.push((object.get("type").is_some_and(|kind| kind == "plain_text"), text));
            }
            object.values().for_each(|value| collect_texts(value, texts));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// In mrkdwn, `<...>` is the only way to mention, link or call a channel. Ours may link to the page and say a date.
fn check_markup(text: &str, found: &mut Vec<String>) {
    for part in text.split('<').skip(1) {
        let is_ours = part.starts_with("!date^") || part.starts_with("http://127.0.0.1");
        if !is_ours {
            found.push(format!("markup `<{}` in a message", part.chars().take(40).collect::<String>()));
        }
    }
}
