//! Findings as a person would want to read them in a terminal. Log text cannot move the cursor.

use crate::alert::{counted, moment, span};
use crate::text::plain;
use engine::chain::{Step, StepKind};
use engine::finding::{Finding, FindingState, Severity};
use engine::store::Attestation;
use std::fmt::Write;

const TITLE_MAX: usize = 200;
const WHY_MAX: usize = 600;
const NAME_MAX: usize = 160;

/// One finding in a few lines: what, why, what was allowed, who, when, and how to see more.
///
/// `colour`: whether to use ANSI colours; false where `NO_COLOR` is set or nobody watches.
#[must_use]
pub fn story(finding: &Finding, colour: bool) -> String {
    let sample = &finding.sample;
    let mut out = String::new();
    let state = match finding.state {
        FindingState::Open => String::new(),
        other => format!(" ({})", other.as_str()),
    };
    let _ = writeln!(
        out,
        "{}  {}{state}",
        badge(finding.severity, colour),
        bold(&plain(&finding.title, TITLE_MAX), colour)
    );
    let mut line = |label: &str, text: String| {
        if !text.trim().is_empty() {
            let _ = writeln!(out, "          {}  {}", dim(&format!("{label:<7}"), colour), text.trim());
        }
    };
    line("why", plain(&finding.why, WHY_MAX));
    let did = plain(sample.permission.as_deref().unwrap_or(&sample.operation), NAME_MAX);
    let on = sample.resources.first().map(|r| format!(" on {}", plain(r, NAME_MAX))).unwrap_or_default();
    let outcome =
        if sample.outcome.is_empty() { String::new() } else { format!(" ({})", plain(&sample.outcome, 40)) };
    line("did", format!("{did}{on}{outcome}"));
    line(
        "allowed",
        verdict(
            sample.scope.as_deref(),
            sample.scope_why.as_deref(),
            [("in", "declared"), ("out", "not declared")],
        ),
    );
    line(
        "could",
        verdict(
            sample.grant.as_deref(),
            sample.grant_why.as_deref(),
            [("allowed", "granted"), ("denied", "not granted")],
        ),
    );
    let session = sample
        .session_name
        .as_deref()
        .map(|s| format!(", session {}", plain(s, NAME_MAX)))
        .unwrap_or_default();
    line("who", format!("{}{session}", plain(&finding.actor, NAME_MAX)));
    let from = [sample.source_ip.as_deref(), sample.region.as_deref(), sample.environment.as_deref()];
    line("from", from.into_iter().flatten().map(|s| plain(s, NAME_MAX)).collect::<Vec<_>>().join(" · "));
    line("when", span(finding.first_seen, finding.last_seen));
    let more = format!(
        "{} · {} · remit findings show {}",
        counted(finding.count, "call"),
        plain(&finding.detection, 40),
        plain(&finding.id, NAME_MAX)
    );
    line("more", more);
    if let Some(by) = &finding.by {
        let reason =
            finding.close_reason.as_deref().map(|r| format!(" as {}", plain(r, 40))).unwrap_or_default();
        let note = finding.note.as_deref().map(|n| format!(": {}", plain(n, WHY_MAX))).unwrap_or_default();
        line(finding.state.as_str(), format!("by {}{reason}{note}", plain(by, NAME_MAX)));
    }
    out
}

/// Everything about one finding: its story, its evidence and its frameworks. `attestation`: how far the log files are
/// proved that it rests on.
#[must_use]
pub fn detail(finding: &Finding, attestation: &Attestation, colour: bool) -> String {
    let mut out = story(finding, colour);
    let shown = [("agent? ", agent(finding)), ("chain  ", chain(finding)), ("logs   ", logs(attestation))];
    for (label, text) in shown {
        if !text.is_empty() {
            let _ = writeln!(out, "          {}  {text}", dim(label, colour));
        }
    }
    if !finding.frameworks.is_empty() {
        let codes: Vec<String> = finding.frameworks.iter().take(20).map(|code| plain(code, 40)).collect();
        let _ = writeln!(out, "          {}  {}", dim("maps to", colour), codes.join(", "));
    }
    if let Some(incident) = &finding.incident {
        let _ = writeln!(out, "          {}  {}", dim("alert  ", colour), plain(incident, NAME_MAX));
    }
    let _ = writeln!(out, "\n{}", dim("evidence, earliest first", colour));
    for event in &finding.events {
        let _ = writeln!(out, "  {}  {}", moment(event.time), plain(&event.event_id, NAME_MAX));
    }
    let shown = i64::try_from(finding.events.len()).unwrap_or(i64::MAX);
    if finding.count > shown {
        let _ = writeln!(out, "  and {} more", finding.count - shown);
    }
    out
}

/// Findings, one line each, under a heading; `No findings.` where there are none.
#[must_use]
pub fn list(findings: &[Finding], colour: bool) -> String {
    if findings.is_empty() {
        return "No findings.\n".to_owned();
    }
    let who: Vec<String> = findings.iter().map(|f| plain(f.who(), 40)).collect();
    let width = who.iter().map(|w| w.chars().count()).max().unwrap_or(0).max("AGENT".len());
    let mut out = String::new();
    let heading = format!(
        "{:<8}  {:<24}  {:<20}  {:<width$}  {:>6}  WHAT",
        "SEVERITY", "ID", "FIRST SEEN", "AGENT", "CALLS"
    );
    let _ = writeln!(out, "{}", dim(&heading, colour));
    for (finding, who) in findings.iter().zip(&who) {
        let state = if finding.state == FindingState::Open {
            String::new()
        } else {
            format!(" ({})", finding.state.as_str())
        };
        let _ = writeln!(
            out,
            "{}  {:<24}  {:<20}  {who:<width$}  {:>6}  {}{state}",
            badge(finding.severity, colour),
            plain(&finding.id, NAME_MAX),
            moment(finding.first_seen),
            finding.count,
            plain(&finding.title, TITLE_MAX)
        );
    }
    out
}

/// What tells that an agent made the call, and what the credentials were given to; empty where nothing does.
fn agent(finding: &Finding) -> String {
    let caller = &finding.sample.caller;
    let Some(evidence) = caller.evidence else { return String::new() };
    let mut said = vec![format!("{evidence}: {}", evidence.words())];
    let mut say = |word: &str, value: &Option<String>| {
        said.extend(value.as_deref().map(|value| format!("{word} {}", plain(value, NAME_MAX))));
    };
    say("looks like", &caller.agent_hint);
    say("workload", &caller.workload);
    say("source identity", &caller.source_identity);
    say("for", &caller.on_behalf_of);
    say("through", &caller.invoked_by);
    said.join(" · ")
}

/// How far its log files are proved; empty where nothing is known of them.
fn logs(attestation: &Attestation) -> String {
    let Attestation { files, doubtful } = attestation;
    let counted = files.iter().map(|(known, count)| format!("{count} {}", known.replace('_', " ")));
    let mut said = counted.collect::<Vec<_>>().join(" · ");
    if !doubtful.is_empty() {
        let named: Vec<String> = doubtful.iter().map(|place| plain(place, WHY_MAX)).collect();
        let _ = write!(said, ": perhaps forged or changed: {}", named.join(", "));
    }
    said
}

/// From the first credentials to the call, on one line; empty where the call stands alone.
fn chain(finding: &Finding) -> String {
    let chain = &finding.sample.caller.chain;
    let step = |step: &Step| {
        let name = step.actor.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&step.actor);
        let mut said = plain(name, NAME_MAX);
        if let Some(session) = &step.session_name {
            let _ = write!(said, " ({})", plain(session, NAME_MAX));
        }
        if step.kind != StepKind::Call {
            let _ = write!(said, " {}", step.kind.words());
        }
        if let Some(tool) = &step.tool {
            let _ = write!(said, " {}", plain(tool, NAME_MAX));
        }
        if let Some(client) = &step.client {
            let _ = write!(said, " by {}", plain(client, NAME_MAX));
        }
        said
    };
    let mut said: Vec<String> = chain.steps.iter().map(step).collect();
    if let Some(cut) = chain.cut {
        said.insert(0, format!("({})", cut.words()));
    }
    said.join(" > ")
}

fn verdict(answer: Option<&str>, why: Option<&str>, words: [(&str, &str); 2]) -> String {
    let Some(answer) = answer else { return String::new() };
    let words = words.iter().find(|(name, _)| *name == answer).map_or("cannot be known", |(_, words)| *words);
    match why {
        Some(why) if !why.is_empty() => format!("{words}: {}", plain(why, WHY_MAX)),
        _ => words.to_owned(),
    }
}

/// `CRITICAL`, eight wide: the word and its colour say the same.
fn badge(severity: Severity, colour: bool) -> String {
    let code = match severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "36",
        Severity::Info => "2",
    };
    paint(&format!("{:<8}", severity.as_str().to_uppercase()), code, colour)
}

fn bold(text: &str, colour: bool) -> String {
    paint(text, "1", colour)
}

fn dim(text: &str, colour: bool) -> String {
    paint(text, "2", colour)
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use engine::attribution::Grade;
    use engine::chain::{Chain, Cut};

    #[test]
    fn a_story_reads_like_one() {
        let story = story(&samples::finding(0), false);
        assert_eq!(
            story,
            "CRITICAL  support-bot called s3:DeleteObject outside its scope
          why      No statement of its manifest covers s3:DeleteObject.
          did      s3:DeleteObject on arn:aws:s3:::acme-invoices/a (success)
          allowed  not declared: agents/support-bot.yaml:31 read: tickets
          could    granted: LegacyS3Full#1
          who      arn:aws:iam::111122223333:role/support-bot, session run-8841
          from     203.0.113.24 · eu-west-1 · prod
          when     2026-11-03 00:53:20Z, for 3m 04s
          more     14 calls · SC01 · remit findings show f0
"
        );
    }

    #[test]
    fn colour_is_asked_for_and_never_from_a_log() {
        let hostile = samples::hostile(0);
        for plain in [
            story(&hostile, false),
            detail(&hostile, &Attestation::default(), false),
            list(std::slice::from_ref(&hostile), false),
        ] {
            assert!(!plain.contains(['\u{1b}', '\u{202e}']));
        }
        let coloured = story(&hostile, true);
        let ours = ["\u{1b}[1;31m", "\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m"];
        let rest = ours.iter().fold(coloured, |text, code| text.replace(code, ""));
        assert!(!rest.contains('\u{1b}'));
    }

    #[test]
    fn a_list_has_a_line_for_each() {
        let mut closed = samples::finding(1);
        closed.state = FindingState::Closed;
        let text = list(&[samples::finding(0), closed], false);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().nth(2).unwrap().ends_with("outside its scope (closed)"));
        assert_eq!(list(&[], true), "No findings.\n");
    }

    #[test]
    fn the_detail_tells_who_acted() {
        let mut finding = samples::finding(0);
        let step = |kind, actor: &str, tool: Option<&str>| Step {
            kind,
            actor: actor.into(),
            session_name: Some("alex".into()),
            account: None,
            at: finding.first_seen,
            event: "e".into(),
            tool: tool.map(Into::into),
            client: tool.map(|_| "claude-code".into()),
        };
        let steps = vec![
            step(StepKind::Mcp, "arn:aws:iam::1:role/a/Admin", Some("aws___call_aws")),
            step(StepKind::Call, "arn:aws:iam::1:role/a/Admin", None),
        ];
        finding.sample.caller.evidence = Some(Grade::Cloud);
        finding.sample.caller.agent_hint = Some("mcp".into());
        finding.sample.caller.chain = Chain { steps, cut: Some(Cut::NotLogged) };
        let text = detail(&finding, &Attestation::default(), false);
        assert!(text.contains("agent?   cloud: the cloud says so · looks like mcp\n"), "{text}");
        let chain = "chain    (who gave the first credentials is in no log that was read) > \
            Admin (alex) called a tool aws___call_aws by claude-code > Admin (alex)\n";
        assert!(text.contains(chain), "{text}");
        let alone = detail(&samples::finding(0), &Attestation::default(), false);
        assert!(
            !alone.contains("agent?") && !alone.contains("chain"),
            "nothing is said where nothing is known"
        );
    }

    #[test]
    fn the_detail_shows_the_evidence() {
        let text = detail(&samples::finding(0), &Attestation::default(), false);
        assert!(text.contains("maps to  ASI02, ASI03"));
        assert!(text.ends_with("  2026-11-03 00:53:20Z  e0\n  and 13 more\n"));
    }
}
