//! A first manifest, drafted from what an identity was seen to do
//!
//! It says what was seen, not what is right: what a person has to look at is marked `REVIEW`. Judged by its own draft, the
//! log that it was drafted from has nothing out of scope.

mod observed;
mod places;

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::log_text::hides;
use crate::permission::{self, AccessLevel};
use crate::time::{date, day_of};
pub use observed::{Observed, Seen, Used};
use places::Places;
use policy::arn::Arn;

/// Longest text of a log that a comment repeats.
const COMMENT_MAX: usize = 160;

/// A drafted manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The agent's name; the file is called after it
    pub name: String,
    /// The YAML document
    pub yaml: String,
    /// Permissions that it allows
    pub permissions: usize,
    /// Lines that somebody must look at
    pub reviews: usize,
}

/// Drafts a manifest for each identity, by its ARN. Names are made unique by the account.
#[must_use]
pub fn drafts(seen: &BTreeMap<String, Seen>) -> Vec<Draft> {
    let plain = |arn: &str| clean_name(Arn::parse(arn).map_or(arn, |arn| arn.name()));
    let mut holders: BTreeMap<String, usize> = BTreeMap::new();
    for arn in seen.keys() {
        *holders.entry(plain(arn)).or_default() += 1;
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut drafts = Vec::new();
    for (arn, seen) in seen {
        let mut name = plain(arn);
        if holders.get(&name).is_some_and(|holders| *holders > 1)
            && let Some(account) = Arn::parse(arn).map(|arn| arn.account)
        {
            name = format!("{name}-{account}");
        }
        let again = taken.entry(name.clone()).or_default();
        *again += 1;
        if *again > 1 {
            name = format!("{name}-{again}");
        }
        drafts.push(draft(&name, arn, seen));
    }
    drafts
}

/// One entry of `allow` to be: permissions of one service on the same resources.
type Entries<'a> = BTreeMap<(String, Vec<String>), Vec<(&'a str, &'a Used)>>;

fn draft(name: &str, arn: &str, seen: &Seen) -> Draft {
    let mut text = Text::default();
    let (first, last) = (date(day_of(seen.first)), date(day_of(seen.last)));
    let calls = count(seen.calls, "call");
    text.line(&format!(
        "# Drafted by `remit scope init` from {calls}, {first} to {last}. It says what was seen, not"
    ));
    text.line(
        "# what is right: look at each line marked REVIEW, take out what should not be, and say who owns it.",
    );
    text.line("apiVersion: remit/v1\nkind: Agent\nmetadata:");
    text.line(&format!("  name: {}", quoted(name)));
    text.line("spec:");
    text.line("  # owner: {team: ..., slack: \"#...\", oncall: pagerduty:...}");
    text.line("  # environment: prod");
    text.line("  # review: {every: 90d, last: 2026-01-31, by: you@example.com}");
    if !seen.regions.is_empty() {
        let regions: Vec<String> = seen.regions.iter().take(20).map(|region| comment(region)).collect();
        text.line(&format!(
            "  # bounds: {{regions: [{}]}}   # all regions that were seen",
            regions.join(", ")
        ));
    }
    text.line("  identities:");
    let kind = if arn.contains(":user/") { "aws.user" } else { "aws.role" };
    text.line(&format!("    - {kind}: {}", quoted(arn)));

    let (entries, skipped) = entries(seen);
    text.line(if entries.is_empty() { "  allow: []" } else { "  allow:" });
    let mut permissions = 0;
    for ((service, resources), used) in &entries {
        entry(&mut text, service, resources, used);
        permissions += used.len();
    }
    aside(&mut text, "Denied when tried, so not allowed here", &seen.denied);
    aside(
        &mut text,
        "May have been needed as well; allow them where the agent does pass roles or tags",
        &seen.possible,
    );
    let skipped: BTreeMap<String, u64> = skipped.into_iter().map(|(name, used)| (name, used.calls)).collect();
    aside(&mut text, "REVIEW: in the log under a name that is no permission, so not allowed here", &skipped);
    Draft { name: name.to_owned(), permissions, reviews: text.reviews, yaml: text.text }
}

/// What goes into `allow`, and what has a name that cannot.
fn entries(seen: &Seen) -> (Entries<'_>, BTreeMap<String, &Used>) {
    let mut entries = Entries::new();
    let mut skipped = BTreeMap::new();
    for (name, used) in &seen.used {
        let Some((service, action)) = name.split_once(':').filter(|(service, action)| {
            let plain = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            };
            plain(service) && plain(action)
        }) else {
            skipped.insert(name.clone(), used);
            continue;
        };
        debug_assert!(!action.is_empty());
        entries.entry((service.to_owned(), used.places.patterns())).or_default().push((name, used));
    }
    (entries, skipped)
}

fn entry(text: &mut Text, service: &str, resources: &[String], used: &[(&str, &Used)]) {
    let calls: u64 = used.iter().map(|(_, used)| used.calls).sum();
    let last = used.iter().map(|(_, used)| used.last).max().unwrap_or_default();
    text.line(&format!("    # {service}: {}, last {}", count(calls, "call"), date(day_of(last))));
    text.line("    - aws:\n        actions:");
    for (name, used) in used {
        let mut about = format!("{}, last {}", count(used.calls, "call"), date(day_of(used.last)));
        if used.indirect > 0 {
            let _ = write!(about, "; {} through another service", used.indirect);
        }
        if let Some(why) = danger(name) {
            let _ = write!(about, "; REVIEW: {why}");
        }
        text.line(&format!("          - {name}  # {about}"));
    }
    text.line("        resources:");
    for resource in resources {
        let about = about(resource, used);
        let about = if about.is_empty() { about } else { format!("  # {about}") };
        text.line(&format!("          - {}{about}", quoted(resource)));
    }
}

/// What a person should know of a resource pattern.
fn about(resource: &str, used: &[(&str, &Used)]) -> String {
    let any = |of: fn(&Places) -> bool| used.iter().any(|(_, used)| of(&used.places));
    if resource == "*" {
        return match (any(Places::is_unknown), any(Places::names_nothing)) {
            (true, _) => "REVIEW: the log does not tell the resources: name them".to_owned(),
            (false, true) => "the permission knows no resource".to_owned(),
            (false, false) => "REVIEW: many unlike resources: name those that are meant".to_owned(),
        };
    }
    if !resource.contains('*') {
        return String::new();
    }
    let seen = used.iter().map(|(_, used)| used.places.count()).max().unwrap_or_default();
    let wide = resource.split(':').nth(5).is_none_or(|rest| rest.starts_with('*'));
    match (seen, wide) {
        (_, true) => "REVIEW: many unlike resources: name those that are meant".to_owned(),
        (0, false) => "as far as the log tells".to_owned(),
        (seen, false) => {
            format!("REVIEW: stands for {} that were seen, and allows more", count(seen, "resource"))
        }
    }
}

/// Why a permission should never be allowed without a look.
fn danger(name: &str) -> Option<&'static str> {
    if permission::is_logging_tamper(name) {
        Some("it can blind or thin the logs")
    } else if permission::is_credential_minting(name) {
        Some("it makes credentials that outlive the session")
    } else if permission::is_destructive(name) {
        Some("it destroys data or takes a service away")
    } else if permission::level(name) == Some(AccessLevel::Permissions) {
        Some("it manages permissions")
    } else if name.starts_with("iam:") || name.starts_with("organizations:") {
        Some("it is about identities")
    } else if permission::level(name).is_none() {
        Some("it is no permission that we know")
    } else {
        None
    }
}

fn aside(text: &mut Text, title: &str, names: &BTreeMap<String, u64>) {
    if names.is_empty() {
        return;
    }
    text.line(&format!("  # {title}:"));
    for (name, calls) in names.iter().take(200) {
        text.line(&format!("  #   {} ({})", comment(name), count(*calls, "call")));
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Letters, digits, `-`, `_` and `.`, as a manifest wants its name.
fn clean_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = text.chars().take(100).map(plain).collect();
    if name.is_empty() { "agent".to_owned() } else { name }
}

/// The log's text in a comment: one line, nothing that hides.
fn comment(text: &str) -> String {
    text.chars().take(COMMENT_MAX).map(|c| if hides(c) { '?' } else { c }).collect()
}

/// A text in double quotes, whatever is in it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            other => {
                // Writing to a text cannot fail.
                let _ = write!(out, "\\U{:08X}", u32::from(other));
            }
        }
    }
    out.push('"');
    out
}

/// The document as it grows.
#[derive(Default)]
struct Text {
    text: String,
    reviews: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.reviews += usize::from(line.contains("REVIEW: "));
        self.text.push_str(line);
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests;
