//! Everything, for programs. Fields are added, never renamed.

use crate::report::{
    AgentReport, Counts, GLOSSARY, IdentityReport, METHOD, Meaning, PermissionLine, Report, ReportError,
    Risk, SCORE_FORMULA, instant,
};
use engine::posture::{Mark, RightSized};
use engine::time::rfc3339;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

pub(crate) fn write(report: &Report<'_>, out: &mut dyn Write) -> Result<(), ReportError> {
    let body = Body {
        schema_version: 1,
        generated_at: rfc3339(report.generated_at),
        window: Span::of(Some(report.window)),
        summary: report.summary(),
        numbers: report.numbers,
        coverage: json!({
            "covered": report.coverage.covered.map(|(first, last)| json!({"from": rfc3339(first), "to": rfc3339(last)})),
            "days": report.coverage.days,
            "data_events": report.coverage.data_events,
            "unparsed": report.coverage.unparsed,
            "caveats": report.coverage.caveats,
            "trust": {
                "scope": report.coverage.trust.scope,
                "grant": report.coverage.trust.grant,
                "agreement": report.coverage.trust.agreement,
                "scope_unknown_rate": report.coverage.trust.scope_unknown_rate(),
                "grant_unknown_rate": report.coverage.trust.grant_unknown_rate(),
                "disagreement_rate": report.coverage.trust.disagreement_rate(),
            },
        }),
        agents: report.agents.iter().map(agent).collect(),
        unclaimed: report
            .unclaimed
            .iter()
            .map(|u| {
                json!({"identity": u.identity, "permissions": u.permissions, "uses": u.uses,
                       "last_used": rfc3339(u.last_used)})
            })
            .collect(),
        findings_by_severity: report
            .by_severity
            .iter()
            .map(|(severity, n)| (severity.as_str(), *n))
            .collect(),
        findings: report.findings.iter().map(|f| f.to_json()).collect(),
        silences: report
            .silences
            .iter()
            .map(|s| {
                json!({"id": s.id, "matchers": s.matchers, "author": s.author, "reason": s.reason,
                       "starts_at": rfc3339(s.starts_at), "ends_at": rfc3339(s.ends_at)})
            })
            .collect(),
        method: json!({
            "text": METHOD,
            "score": SCORE_FORMULA,
            "weights": {"admin": Risk::Admin.weight(), "write": Risk::Write.weight(), "read": Risk::Read.weight()},
            "glossary": GLOSSARY.iter().map(|(term, text)| (*term, *text)).collect::<BTreeMap<_, _>>(),
        }),
    };
    serde_json::to_writer(&mut *out, &body)?;
    writeln!(out)?;
    Ok(())
}

#[derive(Serialize)]
struct Body<'a> {
    schema_version: u32,
    generated_at: String,
    window: Option<Span>,
    summary: String,
    numbers: crate::report::Numbers,
    coverage: Value,
    agents: Vec<Agent<'a>>,
    unclaimed: Vec<Value>,
    findings_by_severity: BTreeMap<&'static str, usize>,
    findings: Vec<Value>,
    silences: Vec<Value>,
    method: Value,
}

#[derive(Serialize)]
struct Span {
    from: String,
    to: String,
}

impl Span {
    fn of(times: Option<(i64, i64)>) -> Option<Span> {
        times.map(|(from, to)| Span { from: rfc3339(from), to: rfc3339(to) })
    }
}

#[derive(Serialize)]
struct Agent<'a> {
    agent: &'a str,
    description: Option<&'a str>,
    owner: Option<&'a str>,
    environment: Option<&'a str>,
    manifest: &'a str,
    counts: Counts,
    identities: Vec<Identity<'a>>,
}

#[derive(Serialize)]
struct Identity<'a> {
    identity: &'a str,
    active_days: u32,
    used: Option<Span>,
    counts: Counts,
    #[serde(serialize_with = "permissions")]
    permissions: &'a [PermissionLine<'a>],
    right_sized: Option<&'a RightSized>,
}

fn agent<'a>(report: &'a AgentReport<'a>) -> Agent<'a> {
    Agent {
        agent: &report.agent.agent,
        description: report.agent.description.as_deref(),
        owner: report.agent.owner.as_deref(),
        environment: report.agent.environment.as_deref(),
        manifest: &report.agent.manifest,
        counts: report.counts,
        identities: report.identities.iter().map(identity).collect(),
    }
}

fn identity<'a>(report: &'a IdentityReport<'a>) -> Identity<'a> {
    Identity {
        identity: &report.identity.identity,
        active_days: report.identity.active_days,
        used: Span::of(report.identity.first_used.zip(report.identity.last_used)),
        counts: report.counts,
        permissions: &report.lines,
        right_sized: report.right_sized(),
    }
}

#[derive(Serialize)]
struct Permission<'a> {
    permission: &'a str,
    level: Option<&'static str>,
    risk: Risk,
    declared: bool,
    granted: Option<bool>,
    granted_by: &'a [String],
    used: bool,
    uses: i64,
    days_used: u32,
    first_used: Option<String>,
    last_used: Option<String>,
    denied: i64,
    mark: Mark,
    meaning: Meaning,
    why: &'a str,
}

/// One at a time: an administrator's identity has some fifteen thousand.
fn permissions<S: Serializer>(lines: &[PermissionLine<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lines.iter().map(|line| {
        let p = line.permission;
        Permission {
            permission: &p.permission,
            level: p.level.map(|level| level.as_str()),
            risk: line.risk,
            declared: p.declared,
            granted: p.granted,
            granted_by: &p.granted_by,
            used: p.uses > 0,
            uses: p.uses,
            days_used: p.days_used,
            first_used: instant(p.first_used),
            last_used: instant(p.last_used),
            denied: p.denied,
            mark: p.mark,
            meaning: line.meaning,
            why: &p.why,
        }
    }))
}

#[cfg(test)]
mod tests {
    use crate::report::{Format, Report};
    use crate::samples;
    use serde_json::Value;

    #[test]
    fn it_is_complete_and_exact() {
        let posture = samples::posture();
        let findings = [samples::finding(0)];
        let report = Report::new(&posture, &findings, &[], samples::START, (0, i64::MAX));
        let json: Value = serde_json::from_str(&report.render(Format::Json).unwrap()).unwrap();
        assert_eq!(json["schema_version"], 1);
        let agents = json["agents"].as_array().unwrap();
        let support = agents.iter().find(|a| a["agent"] == "support-bot").unwrap();
        let permissions = support["identities"][0]["permissions"].as_array().unwrap();
        assert_eq!(permissions.len(), posture.agents[0].identities[0].permissions.len());
        let get = permissions.iter().find(|p| p["permission"] == "s3:GetObject").unwrap();
        assert_eq!(
            (&get["mark"], &get["uses"], &get["last_used"]),
            (&"used".into(), &40.into(), &"2026-11-03T00:53:20Z".into())
        );
        assert_eq!(support["identities"][0]["right_sized"]["kept"]["s3:GetObject"], "used on 12 days");
        assert!(agents.iter().any(|a| a["agent"] == "<b>idle</b>"), "JSON keeps text as it is");
        assert_eq!(json["findings"][0]["id"], "f0");
    }
}
