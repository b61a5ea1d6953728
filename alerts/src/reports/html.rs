//! One file for a browser: no script, no request, real tables; it prints, and it has a dark side.

use crate::alert::moment;
use crate::report::{
    AgentReport, Counts, GLOSSARY, IdentityReport, METHOD, Meaning, Report, ReportError, SCORE_FORMULA, day,
    day_or_dash, days_between, many, thousands,
};
use crate::reports::fold::{Fold, NAMES_MAX, fold, services};
use crate::text::plain;
use engine::posture::Mark;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::json;
use std::io::Write;

const TEMPLATE: &str = include_str!("report.html");

const NAME_MAX: usize = 300;
const WORDS_MAX: usize = 600;
/// Rows of one table; the rest is counted, and is in JSON and CSV.
const ROWS_MAX: usize = 200;

pub(crate) fn write(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The name's ending switches escaping on.
    environment.add_template("report.html", TEMPLATE)?;
    let numbers = &report.numbers;
    let all = &numbers.permissions;
    let page = json!({
        "generated": moment(report.generated_at),
        "from": day(report.window.0),
        "to": day(report.window.1),
        "summary": report.summary(),
        "cards": cards(report),
        "score": all.score,
        "bar": bar(all),
        "legend": legend(),
        "covered": report.coverage.covered.map(|(first, last)| format!("{} to {}", moment(first), moment(last))),
        "days": report.coverage.days,
        "data_events": report.coverage.data_events.iter().map(|s| plain(s, NAME_MAX)).collect::<Vec<_>>(),
        "caveats": report.coverage.caveats,
        "unparsed": report.coverage.unparsed.iter().take(ROWS_MAX).map(|s| plain(s, WORDS_MAX)).collect::<Vec<_>>(),
        "agents": report.agents.iter().zip(1..).map(|(agent, n)| agent_view(agent, n)).collect::<Result<Vec<_>, _>>()?,
        "findings": report.findings.iter().take(ROWS_MAX).map(|f| json!({
            "severity": f.severity.as_str(),
            "id": plain(&f.id, NAME_MAX),
            "first": moment(f.first_seen),
            "who": plain(f.who(), NAME_MAX),
            "detection": plain(&f.detection, 40),
            "title": plain(&f.title, NAME_MAX),
            "why": plain(&f.why, WORDS_MAX),
            "calls": f.count,
            "state": f.state.as_str(),
        })).collect::<Vec<_>>(),
        "findings_total": report.findings.len(),
        "by_severity": report.by_severity.iter().map(|(s, n)| format!("{n} {s}")).collect::<Vec<_>>().join(", "),
        "unclaimed": report.unclaimed.iter().take(ROWS_MAX).map(|u| json!({
            "identity": plain(&u.identity, NAME_MAX),
            "permissions": u.permissions,
            "uses": u.uses,
            "last": day(u.last_used),
        })).collect::<Vec<_>>(),
        "unclaimed_total": report.unclaimed.len(),
        "silences": report.silences.iter().take(ROWS_MAX).map(|s| json!({
            "id": plain(&s.id, NAME_MAX),
            "what": plain(&s.matchers.iter().map(|m| format!("{}={}", m.label, m.value)).collect::<Vec<_>>().join(" "), NAME_MAX),
            "by": plain(&s.author, NAME_MAX),
            "why": plain(&s.reason, WORDS_MAX),
            "from": day(s.starts_at),
            "until": day(s.ends_at),
            "days": days_between(s.starts_at, s.ends_at),
            "was_in_force": s.ends_at <= report.generated_at,
        })).collect::<Vec<_>>(),
        "method": METHOD,
        "formula": SCORE_FORMULA,
        "glossary": GLOSSARY.iter().map(|(term, text)| json!({"term": term, "text": text})).collect::<Vec<_>>(),
        "rows_max": ROWS_MAX,
    });
    let html = environment.get_template("report.html")?.render(Serde(page))?;
    out.write_all(html.as_bytes())?;
    Ok(())
}

#[derive(Serialize)]
struct Card {
    value: String,
    text: &'static str,
    note: String,
    is_bad: bool,
}

fn cards(report: &Report<'_>) -> Vec<Card> {
    let numbers = &report.numbers;
    let all = &numbers.permissions;
    let share = (100 * all.unused + all.granted / 2).checked_div(all.granted);
    vec![
        Card {
            value: thousands(numbers.agents),
            text: "agents",
            note: many(numbers.identities, "identity", "identities"),
            is_bad: false,
        },
        Card {
            value: thousands(all.undeclared),
            text: "used outside scope",
            note: match numbers.agents_outside_scope {
                0 => "by no agent".to_owned(),
                n => format!("permissions, by {}", many(n, "agent", "agents")),
            },
            is_bad: all.undeclared > 0,
        },
        Card {
            value: share.map_or_else(|| "–".to_owned(), |share| format!("{share}%")),
            text: "of grants unused",
            note: format!("{} of {}", thousands(all.unused), thousands(all.granted)),
            is_bad: false,
        },
        Card {
            value: thousands(numbers.findings),
            text: "findings",
            note: format!("{} open", thousands(numbers.findings_open)),
            is_bad: numbers.findings_open > 0,
        },
    ]
}

/// A part of a bar, in hundredths of its width.
#[derive(Serialize)]
struct Part {
    class: &'static str,
    x: String,
    width: String,
}

#[derive(Serialize)]
struct Bar {
    label: String,
    parts: Vec<Part>,
}

const BAR_MARKS: [Mark; 4] = [Mark::Used, Mark::Unused, Mark::Conditional, Mark::Unknowable];

fn bar(counts: &Counts) -> Bar {
    let total: usize = BAR_MARKS.iter().map(|mark| counts.of(*mark)).sum();
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    let mut x = 0.0;
    for mark in BAR_MARKS.into_iter().filter(|_| total > 0) {
        let width = 100.0 * counts.of(mark) as f64 / total as f64;
        labels.push(format!("{} {}", thousands(counts.of(mark)), mark.as_str()));
        if width > 0.0 {
            parts.push(Part { class: mark.as_str(), x: format!("{x:.2}"), width: format!("{width:.2}") });
        }
        x += width;
    }
    Bar {
        label: if labels.is_empty() { "no permissions known".to_owned() } else { labels.join(", ") },
        parts,
    }
}

fn legend() -> Vec<&'static str> {
    BAR_MARKS.iter().map(|mark| mark.as_str()).collect()
}

#[derive(Serialize)]
struct AgentView {
    anchor: String,
    name: String,
    description: Option<String>,
    owner: Option<String>,
    environment: Option<String>,
    manifest: String,
    counts: Counts,
    bar: Bar,
    identities: Vec<IdentityView>,
}

#[derive(Serialize)]
struct IdentityView {
    identity: String,
    active_days: u32,
    last: String,
    counts: Counts,
    rows: Vec<Row>,
    rows_left_out: usize,
    folds: Vec<FoldView>,
    proposal: Option<Proposal>,
}

#[derive(Serialize)]
struct Row {
    permission: String,
    level: &'static str,
    declared: &'static str,
    granted: &'static str,
    used: i64,
    last: String,
    mark: &'static str,
    meaning: String,
    is_violation: bool,
    why: String,
    by: String,
}

#[derive(Serialize)]
struct FoldView {
    mark: &'static str,
    rows: usize,
    services: Vec<ServiceView>,
    services_left_out: usize,
}

#[derive(Serialize)]
struct ServiceView {
    name: String,
    rows: usize,
    levels: String,
    names: String,
    left_out: usize,
}

#[derive(Serialize)]
struct Proposal {
    policy: String,
    kept: Vec<(String, String)>,
    kept_total: usize,
    removed: Vec<(String, String)>,
    removed_total: usize,
    removed_services: Vec<ServiceView>,
    notes: Vec<String>,
}

fn agent_view(report: &AgentReport<'_>, n: usize) -> Result<AgentView, ReportError> {
    let agent = report.agent;
    let shown = |text: &Option<String>| text.as_deref().map(|text| plain(text, WORDS_MAX));
    Ok(AgentView {
        // By number: a name is not fit for an address.
        anchor: format!("agent-{n}"),
        name: plain(&agent.agent, NAME_MAX),
        description: shown(&agent.description),
        owner: shown(&agent.owner),
        environment: shown(&agent.environment),
        manifest: plain(&agent.manifest, NAME_MAX),
        counts: report.counts,
        bar: bar(&report.counts),
        identities: report.identities.iter().map(identity_view).collect::<Result<_, _>>()?,
    })
}

fn identity_view(report: &IdentityReport<'_>) -> Result<IdentityView, ReportError> {
    let (shown, folds) = fold(&report.lines);
    let left_out = shown.len().saturating_sub(ROWS_MAX);
    let rows = shown
        .into_iter()
        .take(ROWS_MAX)
        .map(|line| {
            let p = line.permission;
            Row {
                permission: plain(&p.permission, NAME_MAX),
                level: p.level.map_or("–", |level| level.as_str()),
                declared: if p.declared { "yes" } else { "no" },
                granted: match p.granted {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "?",
                },
                used: p.uses,
                last: day_or_dash(p.last_used),
                mark: p.mark.as_str(),
                meaning: match line.meaning {
                    Meaning::Unknown => String::new(),
                    known => known.as_str().replace('_', " "),
                },
                is_violation: line.meaning == Meaning::Violation,
                why: plain(&p.why, WORDS_MAX),
                by: plain(&p.granted_by.join(", "), WORDS_MAX),
            }
        })
        .collect();
    Ok(IdentityView {
        identity: plain(&report.identity.identity, NAME_MAX),
        active_days: report.identity.active_days,
        last: day_or_dash(report.identity.last_used),
        counts: report.counts,
        rows,
        rows_left_out: left_out,
        folds: folds.iter().map(fold_view).collect(),
        proposal: proposal(report)?,
    })
}

fn fold_view(fold: &Fold<'_>) -> FoldView {
    FoldView {
        mark: fold.mark.as_str(),
        rows: fold.rows,
        services: fold.services.iter().take(ROWS_MAX).map(service_view).collect(),
        services_left_out: fold.services.len().saturating_sub(ROWS_MAX),
    }
}

fn service_view(service: &crate::reports::fold::Service<'_>) -> ServiceView {
    ServiceView {
        name: plain(service.name, NAME_MAX),
        rows: service.rows,
        levels: service.levels.clone(),
        names: plain(&service.names.join(", "), 4_000),
        left_out: service.rows.saturating_sub(NAMES_MAX),
    }
}

fn proposal(report: &IdentityReport<'_>) -> Result<Option<Proposal>, ReportError> {
    let Some(proposal) = report.right_sized() else { return Ok(None) };
    let policy = serde_json::to_string_pretty(&proposal.policy)?;
    let policy: Vec<String> = policy.lines().map(|line| plain(line, 1_000)).collect();
    let pairs = |of: &std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
        of.iter().take(ROWS_MAX).map(|(p, why)| (plain(p, NAME_MAX), plain(why, WORDS_MAX))).collect()
    };
    // Where much goes, what goes is told by service.
    let is_folded = proposal.removed.len() > crate::reports::fold::ROWS_MAX;
    let removed: Vec<_> =
        report.lines.iter().filter(|l| proposal.removed.contains_key(&l.permission.permission)).collect();
    Ok(Some(Proposal {
        policy: policy.join("\n"),
        kept: pairs(&proposal.kept),
        kept_total: proposal.kept.len(),
        removed: if is_folded { Vec::new() } else { pairs(&proposal.removed) },
        removed_total: proposal.removed.len(),
        removed_services: if is_folded {
            services(&removed).iter().take(ROWS_MAX).map(service_view).collect()
        } else {
            Vec::new()
        },
        notes: proposal.notes.iter().take(ROWS_MAX).map(|note| plain(note, WORDS_MAX)).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use crate::report::{Format, Report};
    use crate::samples;
    use engine::permission::AccessLevel;
    use engine::posture::Mark;

    fn html(report: &Report<'_>) -> String {
        report.render(Format::Html).unwrap()
    }

    #[test]
    fn hostile_text_makes_no_element() {
        let posture = samples::posture();
        let calm = html(&Report::new(&posture, &[samples::finding(0)], &[], samples::START, (0, i64::MAX)));
        let findings = [samples::hostile(0)];
        let hostile = html(&Report::new(&posture, &findings, &[], samples::START, (0, i64::MAX)));
        let elements = |html: &str| {
            let mut names: Vec<String> = html
                .split('<')
                .skip(1)
                .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect())
                .collect();
            names.sort();
            names
        };
        assert_eq!(elements(&calm), elements(&hostile), "the same elements, whatever the text");
        assert!(!hostile.contains("<script") && !hostile.contains("<img") && !hostile.contains("<b>idle"));
        assert!(hostile.contains("&lt;b&gt;idle"));
        assert!(!hostile.contains(['\u{202e}', '\u{1b}']));
    }

    #[test]
    fn it_asks_nobody_for_anything() {
        let posture = samples::posture();
        let html = html(&Report::new(&posture, &[samples::finding(0)], &[], samples::START, (0, i64::MAX)));
        assert!(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
        // Text has no `<`: what lies between `<` and `>` is ours.
        let tags: String = html.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect();
        for asks in ["src=", "http:", "https:", "onclick", "script", "iframe", "form", "link", "action="] {
            assert!(!tags.contains(asks), "{asks}");
        }
        assert!(!html.contains("url(") && !html.contains("@import"));
        assert!(html.matches("href=").count() == html.matches("href=\"#").count());
    }

    #[test]
    fn an_administrator_stays_readable() {
        let mut posture = samples::posture();
        let identity = &mut posture.agents[0].identities[0];
        for n in 0..15_000 {
            let name = format!("svc{}:Operation{n}", n % 300);
            identity.permissions.push(samples::permission(&name, Mark::Unused, false, AccessLevel::Write));
            if let Some(proposal) = &mut identity.right_sized {
                proposal.removed.insert(name, "not used".into());
            }
        }
        let report = Report::new(&posture, &[], &[], samples::START, (0, i64::MAX));
        let html = html(&report);
        assert!(html.len() < 2_000_000, "{}", html.len());
        assert!(html.contains("data-unused=\"15002\""), "folded, and still counted");
        assert_eq!(report.render(Format::Csv).unwrap().lines().count(), 15_010);
    }
}
