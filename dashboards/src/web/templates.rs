//! The templates, and what they can say.

use super::page::Fault;
use super::text;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error, UndefinedBehavior, Value};
use serde::Serialize;
use std::sync::LazyLock;

/// Characters of a log shown in a cell of a table.
const CELL_MAX: usize = 160;

/// Characters of a sentence of ours that may quote a log.
const SENTENCE_MAX: usize = 1_000;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    // A name that no handler gives is a bug to hear of, not an empty cell.
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_loader(|name| Ok(source(name).map(str::to_owned)));
    templates.add_filter("log", log);
    templates.add_filter("log_lines", log_lines);
    templates.add_filter("plain", |value: String| Value::from_safe_string(text::plain(&value, SENTENCE_MAX)));
    templates.add_filter("when", when);
    templates.add_filter("ago", ago);
    templates.add_filter("n", n);
    templates.add_filter("url", |value: String| text::encode(&value));
    templates
});

fn source(name: &str) -> Option<&'static str> {
    Some(match name {
        "frame.html" => include_str!("../../web/templates/frame.html"),
        "parts.html" => include_str!("../../web/templates/parts.html"),
        "overview.html" => include_str!("../../web/templates/overview.html"),
        "finding.html" => include_str!("../../web/templates/finding.html"),
        "agents.html" => include_str!("../../web/templates/agents.html"),
        "agent.html" => include_str!("../../web/templates/agent.html"),
        "coverage.html" => include_str!("../../web/templates/coverage.html"),
        "error.html" => include_str!("../../web/templates/error.html"),
        _ => return None,
    })
}

/// Fills a template. Values are escaped; only [`text::log`] and our own macros make markup.
pub(super) fn render(template: &str, context: Value) -> Result<String, Fault> {
    TEMPLATES.get_template(template).and_then(|found| found.render(context)).map_err(|cause| {
        tracing::error!(template, cause = format!("{cause:#}"), "a page cannot be made");
        Fault::Broken
    })
}

/// What a template sees of anything that serializes.
pub(super) fn value<T: Serialize>(of: T) -> Value {
    Value::from(Serde(of))
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../web/static/remit.css"))
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("../../web/static/icon.svg"))
}

fn log(value: Value, options: Kwargs) -> Result<Value, Error> {
    let max = options.get::<Option<usize>>("max")?.unwrap_or(CELL_MAX);
    options.assert_all_used()?;
    Ok(match value.as_str() {
        Some(value) => Value::from_safe_string(text::log(value, max)),
        // Nothing was logged.
        None => Value::from_safe_string(r#"<span class="none">–</span>"#.to_owned()),
    })
}

fn log_lines(value: String, max: usize) -> Value {
    Value::from_safe_string(text::log_lines(&value, max))
}

/// `2026-11-03 14:02:11`, marked up as a time; all times on the page are UTC.
fn when(time: Option<i64>) -> Value {
    let Some(time) = time else {
        return Value::from_safe_string(r#"<span class="none">never</span>"#.to_owned());
    };
    let full = engine::time::rfc3339(time);
    let shown = DateTime::<Utc>::from_timestamp_micros(time)
        .map_or_else(|| full.clone(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string());
    Value::from_safe_string(format!(r#"<time datetime="{full}" title="{full}">{shown}</time>"#))
}

/// `3 h ago`, as seen from `now`.
fn ago(time: Option<i64>, now: i64) -> String {
    let Some(time) = time else { return String::new() };
    let seconds = now.saturating_sub(time) / engine::time::SECOND;
    match seconds {
        ..0 => "in the future".to_owned(),
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// `1 234 567`, with narrow spaces that do not break.
fn n(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = if number < 0 { "−".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, shown) in
            [(0, "0"), (999, "999"), (1_000, "1\u{202f}000"), (-1_234_567, "−1\u{202f}234\u{202f}567")]
        {
            assert_eq!(n(number), shown);
        }
    }

    #[test]
    fn ages_are_told_roughly() {
        let now = 1_000 * engine::time::DAY;
        for (age, told) in [
            (-1, "in the future"),
            (59, "just now"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (200_000, "2 days ago"),
        ] {
            assert_eq!(ago(Some(now - age * engine::time::SECOND), now), told);
        }
    }
}
