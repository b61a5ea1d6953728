//! What surrounds the entries of a scope: bounds, hops and expected denials

use std::time::Duration;

use super::agent::{Draft, Setting};
use super::entry::grant;
use super::reader::Reader;
use super::yaml::{Entry, Node, Shape};
use super::{Agent, Assume};
use crate::scope::{Bounds, HOPS, Hours, Kind, Network, Statement};
use policy::aws::{Actions, Resources};
use policy::wildcard::{ActionPattern, ArnPattern};

/// `bounds: {regions, hours, networks, session_max, rate}`
pub(super) fn bounds(reader: &mut Reader<'_>, node: &Node) -> Bounds {
    let mut bounds = Bounds::default();
    for entry in reader.map(node, "spec.bounds", &["regions", "hours", "networks", "session_max", "rate"]) {
        let place = format!("spec.bounds.{}", entry.key);
        if entry.key == "rate" {
            bounds.calls_per_minute = rate(reader, entry);
            continue;
        }
        for (line, text) in reader.texts(&entry.value, &place) {
            let fault = match entry.key.as_str() {
                "regions" => {
                    bounds.regions.push(text);
                    None
                }
                "hours" => Hours::parse(&text).map(|hours| bounds.hours.push(hours)).err(),
                "networks" => Network::parse(&text).map(|network| bounds.networks.push(network)).err(),
                _ => session_max(&text).map(|most| bounds.session_max = Some(most)).err(),
            };
            if let Some(fault) = fault {
                reader.error(line, format!("`{place}`: {fault}"));
            }
        }
    }
    bounds
}

fn session_max(text: &str) -> Result<Duration, String> {
    ingest::duration::parse(text)
        .map_err(|_| format!("`{text}` is no length of time. Write it like `1h` or `30m`"))
}

fn rate(reader: &mut Reader<'_>, entry: &Entry) -> Option<u32> {
    let mut most = None;
    for field in reader.map(&entry.value, "spec.bounds.rate", &["calls_per_minute"]) {
        let Some(text) = reader.text(&field.value, "spec.bounds.rate.calls_per_minute") else { continue };
        most = text.parse().ok();
        if most.is_none() {
            reader.error(
                field.value.line,
                format!("`{text}` in `spec.bounds.rate.calls_per_minute` is no number. Write it like 300"),
            );
        }
    }
    // Calls arrive in parts and late, so a count of one part says nothing about a minute.
    reader.warn(entry.line, "spec.bounds.rate", "is shown and not judged: no call is a finding for it");
    most
}

/// `assume: {from: [...], to: [...]}`: which agent, role or service may become this one, and which it may become.
pub(super) fn assume(
    reader: &mut Reader<'_>,
    field: &Entry,
    setting: &Setting<'_>,
    agent: &mut Agent,
    draft: &mut Draft,
) {
    let mut assume = Assume::default();
    for entry in reader.map(&field.value, "spec.assume", &["from", "to"]) {
        let place = format!("spec.assume.{}", entry.key);
        let listed = if matches!(&entry.value.shape, Shape::List(list) if list.is_empty()) {
            Vec::new()
        } else {
            reader.texts(&entry.value, &place)
        };
        let mut patterns = Vec::new();
        for (line, text) in listed {
            match who(reader, line, &text, &place, setting) {
                Some(found) if entry.key == "to" => {
                    let origin = format!("{}:{line} assume to: {text}", reader.file);
                    let actions = HOPS.iter().map(|hop| ActionPattern::new(hop)).collect();
                    let grants = crate::scope::Grants::Named(Actions { not: false, patterns: actions });
                    let roles = found.iter().map(|arn| ArnPattern::new(arn)).collect();
                    let resources = Resources { not: false, patterns: roles };
                    draft.parts.statements.push(Statement::new(Kind::Allow, grants, resources, origin));
                    patterns.extend(found);
                }
                Some(found) => patterns.extend(found),
                None => {}
            }
        }
        let slot = if entry.key == "to" { &mut assume.to } else { &mut assume.from };
        *slot = Some(patterns);
    }
    draft.parts.hops = assume.to.is_some();
    agent.assume = assume;
}

/// The ARN patterns behind an entry: itself, a service, or the identities of an agent.
fn who(
    reader: &mut Reader<'_>,
    line: u64,
    text: &str,
    place: &str,
    setting: &Setting<'_>,
) -> Option<Vec<String>> {
    if text == "*" || text.starts_with("arn:") || text.contains(".amazonaws.com") {
        return Some(vec![text.to_owned()]);
    }
    if let Some(identities) = setting.identities.get(text) {
        return Some(identities.clone());
    }
    // Who is no agent here may still be one that is declared elsewhere: its hops cannot be told from others.
    let known: Vec<&str> = setting.identities.keys().map(String::as_str).collect();
    let guess = super::reader::closest(text, &known).map(|guess| format!(" Did you mean `{guess}`?"));
    reader.warn(
        line,
        place.to_owned(),
        format!(
            "`{text}` is no agent that is declared here, no ARN and no service, so nothing matches it.{}",
            guess.unwrap_or_default()
        ),
    );
    None
}

/// `expected_denials: [{aws: {actions: [...]}}]`: what the agent asks for and knows to be refused.
pub(super) fn expected_denials(
    reader: &mut Reader<'_>,
    node: &Node,
    setting: &Setting<'_>,
    draft: &mut Draft,
) {
    let mut expected = Draft::default();
    for item in reader.list(node, "spec.expected_denials") {
        grant(reader, item, "spec.expected_denials", Kind::ExpectedDenial, setting, &mut expected);
    }
    draft.parts.expected.extend(expected.parts.statements);
}
