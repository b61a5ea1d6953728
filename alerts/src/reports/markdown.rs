//! For a ticket, a pull request or a chat: names are code, everything else is escaped.

use crate::alert::moment;
use crate::report::{
    AgentReport, GLOSSARY, IdentityReport, METHOD, Report, ReportError, SCORE_FORMULA, day, day_or_dash, many,
};
use crate::reports::fold::{NAMES_MAX, fold};
use crate::text::{markdown, markdown_code, plain};
use std::io::Write;

const CELL_MAX: usize = 300;
/// Findings listed; the rest is counted.
const FINDINGS_MAX: usize = 100;
/// Rows of an identity's table; the rest is counted.
const ROWS_MAX: usize = 200;

pub(crate) fn write(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let numbers = &report.numbers;
    let all = &numbers.permissions;
    writeln!(out, "# What agents may do, and what they did\n")?;
    writeln!(
        out,
        "{} to {}, written {}\n",
        day(report.window.0),
        day(report.window.1),
        moment(report.generated_at)
    )?;
    writeln!(out, "{}\n", report.summary())?;
    writeln!(
        out,
        "| agents | findings | used outside scope | granted | unused | score |\n|---:|---:|---:|---:|---:|---:|"
    )?;
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} |\n",
        numbers.agents,
        numbers.findings,
        all.undeclared,
        all.granted,
        all.unused,
        score(all.score)
    )?;
    coverage(report, out)?;
    writeln!(out, "## Agents\n")?;
    writeln!(
        out,
        "| agent | owner | declared | granted | used | unused | unknowable | conditional | score |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|")?;
    for agent in &report.agents {
        let counts = &agent.counts;
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell(&agent.agent.agent),
            cell(agent.agent.owner.as_deref().unwrap_or("–")),
            counts.declared,
            counts.granted,
            counts.used,
            counts.unused,
            counts.unknowable,
            counts.conditional,
            score(counts.score)
        )?;
    }
    writeln!(out)?;
    for agent in &report.agents {
        write_agent(agent, out)?;
    }
    findings(report, out)?;
    unclaimed(report, out)?;
    silences(report, out)?;
    writeln!(out, "## Method\n\n{METHOD}\n\n{SCORE_FORMULA}\n")?;
    for (term, text) in GLOSSARY {
        writeln!(out, "- **{term}**: {text}")?;
    }
    Ok(())
}

fn score(score: Option<u64>) -> String {
    score.map_or_else(|| "–".to_owned(), |score| score.to_string())
}

fn cell(text: &str) -> String {
    markdown(text, CELL_MAX)
}

fn coverage(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "## How far to trust this\n")?;
    match report.coverage.covered {
        Some((first, last)) => {
            writeln!(
                out,
                "- Events from {} to {}, {} days.",
                moment(first),
                moment(last),
                report.coverage.days
            )?;
        }
        None => writeln!(out, "- No events yet.")?,
    }
    let services: Vec<String> =
        report.coverage.data_events.iter().map(|s| markdown_code(s, CELL_MAX)).collect();
    let services = if services.is_empty() { "none".to_owned() } else { services.join(", ") };
    writeln!(out, "- Data events logged in full: {services}.")?;
    for caveat in &report.coverage.caveats {
        writeln!(out, "- {caveat}")?;
    }
    for unparsed in report.coverage.unparsed {
        writeln!(out, "- Not read: {}", cell(unparsed))?;
    }
    writeln!(out)?;
    Ok(())
}

fn write_agent(agent: &AgentReport<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "### {}\n", cell(&agent.agent.agent))?;
    let about = [
        agent.agent.description.as_deref(),
        agent.agent.environment.as_deref(),
        Some(agent.agent.manifest.as_str()),
    ];
    let about: Vec<String> = about.into_iter().flatten().map(cell).collect();
    writeln!(out, "{}\n", about.join(" · "))?;
    for identity in &agent.identities {
        write_identity(identity, out)?;
    }
    Ok(())
}

fn write_identity(report: &IdentityReport<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let identity = report.identity;
    let days = many(usize::try_from(identity.active_days).unwrap_or(0), "day", "days");
    writeln!(out, "{}: active on {days}\n", markdown_code(&identity.identity, CELL_MAX))?;
    let (shown, folds) = fold(&report.lines);
    if !shown.is_empty() {
        writeln!(out, "| permission | declared | granted | used | last used | mark | why |")?;
        writeln!(out, "|---|:-:|:-:|---:|---|---|---|")?;
        for line in shown.iter().take(ROWS_MAX) {
            let p = line.permission;
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                markdown_code(&p.permission, CELL_MAX),
                tick(Some(p.declared)),
                tick(p.granted),
                p.uses,
                day_or_dash(p.last_used),
                p.mark.as_str().replace('_', " "),
                cell(&p.why)
            )?;
        }
        if shown.len() > ROWS_MAX {
            writeln!(out, "\n{} more rows are in the JSON and CSV reports.", shown.len() - ROWS_MAX)?;
        }
        writeln!(out)?;
    }
    for fold in folds {
        writeln!(out, "{} {}:\n", fold.rows, fold.mark.as_str().replace('_', " "))?;
        for service in &fold.services {
            let more = if service.rows > NAMES_MAX { " …" } else { "" };
            writeln!(
                out,
                "- {} {} ({}): {}{more}",
                markdown_code(service.name, CELL_MAX),
                service.rows,
                service.levels,
                markdown_code(&service.names.join(", "), 4 * CELL_MAX)
            )?;
        }
        writeln!(out)?;
    }
    let Some(proposal) = report.right_sized() else { return Ok(()) };
    let policy = serde_json::to_string_pretty(&proposal.policy)?;
    // A fence longer than any in the text cannot be closed by it.
    let fence = "`".repeat(3.max(longest_run(&policy) + 1));
    writeln!(
        out,
        "<details><summary>Proposed policy: keeps {}, removes {}</summary>\n\n{fence}json",
        proposal.kept.len(),
        proposal.removed.len()
    )?;
    for line in policy.lines() {
        writeln!(out, "{}", plain(line, 1_000))?;
    }
    writeln!(out, "{fence}\n")?;
    for note in &proposal.notes {
        writeln!(out, "- {}", cell(note))?;
    }
    writeln!(out, "\n</details>\n")?;
    Ok(())
}

fn tick(is: Option<bool>) -> &'static str {
    match is {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

fn findings(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    writeln!(out, "## Findings\n")?;
    if report.findings.is_empty() {
        writeln!(out, "None.\n")?;
        return Ok(());
    }
    let counts: Vec<String> =
        report.by_severity.iter().map(|(severity, n)| format!("{n} {severity}")).collect();
    writeln!(out, "{}\n", counts.join(", "))?;
    writeln!(out, "| severity | first seen | agent | what | calls | state |\n|---|---|---|---|---:|---|")?;
    for finding in report.findings.iter().take(FINDINGS_MAX) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            finding.severity,
            moment(finding.first_seen),
            cell(finding.who()),
            cell(&finding.title),
            finding.count,
            finding.state.as_str()
        )?;
    }
    if report.findings.len() > FINDINGS_MAX {
        writeln!(out, "\n{} more are in the JSON report.", report.findings.len() - FINDINGS_MAX)?;
    }
    writeln!(out)?;
    Ok(())
}

fn unclaimed(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.unclaimed.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Identities without a manifest\n")?;
    writeln!(out, "| identity | permissions used | calls | last used |\n|---|---:|---:|---|")?;
    for identity in report.unclaimed.iter().take(FINDINGS_MAX) {
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            markdown_code(&identity.identity, CELL_MAX),
            identity.permissions,
            identity.uses,
            day(identity.last_used)
        )?;
    }
    if report.unclaimed.len() > FINDINGS_MAX {
        writeln!(out, "\n{} more are in the JSON report.", report.unclaimed.len() - FINDINGS_MAX)?;
    }
    writeln!(out)?;
    Ok(())
}

fn silences(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    if report.silences.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Silences\n\n| id | what | by | why | from | until |\n|---|---|---|---|---|---|")?;
    for silence in report.silences.iter().take(FINDINGS_MAX) {
        let matchers: Vec<String> =
            silence.matchers.iter().map(|m| format!("{}={}", m.label, m.value)).collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            markdown_code(&silence.id, CELL_MAX),
            markdown_code(&matchers.join(" "), CELL_MAX),
            cell(&silence.author),
            cell(&silence.reason),
            day(silence.starts_at),
            day(silence.ends_at)
        )?;
    }
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Format;
    use crate::samples;

    #[test]
    fn hostile_names_are_text() {
        let posture = samples::posture();
        let findings = [samples::hostile(0)];
        let report = Report::new(&posture, &findings, &[], samples::START, (0, i64::MAX));
        let text = report.render(Format::Markdown).unwrap();
        assert!(
            !text.contains("<script>alert") || text.contains("`arn:aws:iam::1:role/\"><script>"),
            "only as code"
        );
        assert!(!text.contains("<b>idle") && text.contains("&lt;b&gt;idle"));
        assert!(!text.contains("://") && !text.contains('\u{202e}'));
        for row in text.lines().filter(|l| l.starts_with("| ")) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert!([7, 8, 10, 5].contains(&bars), "{bars}: {row}");
        }
    }

    #[test]
    fn a_fence_cannot_be_closed_from_within() {
        assert_eq!(longest_run("a `` b ```` c `"), 4);
    }
}
