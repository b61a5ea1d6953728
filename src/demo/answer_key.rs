//! `remit demo --verify`: the findings against what was planted.

use crate::exit::Exit;
use crate::progress::Progress;
use crate::screen;
use anyhow::Context;
use engine::finding::Finding;
use engine::store::ObjectTotals;
use engine::time;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

#[derive(Deserialize)]
struct Planted {
    incident: String,
    detection: String,
    agent: Option<String>,
    actor: String,
    subject_permission: String,
    day: String,
    event_ids: Vec<String>,
}

impl Planted {
    fn is_told_by(&self, finding: &Finding) -> bool {
        let who = self.agent.as_ref().unwrap_or(&self.actor);
        finding.detection == self.detection
            && finding.who() == who
            && time::date(time::day_of(finding.window_start)) == self.day
            && finding.events.iter().any(|e| self.event_ids.contains(&e.event_id))
    }
}

/// Prints found, missed and false. One that is missed or false makes the exit code 1.
pub fn compare(
    key: &Path,
    findings: &[Finding],
    totals: ObjectTotals,
    progress: &Progress,
) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(key).with_context(|| format!("cannot read `{}`", key.display()))?;
    let planted: Vec<Planted> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("the answer key is broken")?;
    let (report, exit) = judge(&planted, findings)?;
    let seconds = progress.elapsed().as_secs_f64();
    screen::out(&format!(
        "{report}{} events read: {} unique, {} duplicates, {} quarantined; {:.0} a second\n",
        totals.read,
        totals.stored,
        totals.duplicates,
        totals.quarantined,
        totals.read as f64 / seconds,
    ))?;
    Ok(exit)
}

fn judge(planted: &[Planted], findings: &[Finding]) -> anyhow::Result<(String, Exit)> {
    let mut told = BTreeSet::new();
    let mut text = String::new();
    let mut missed = 0;
    for plant in planted {
        let hit = findings.iter().find(|f| !told.contains(f.id.as_str()) && plant.is_told_by(f));
        match hit {
            Some(finding) => {
                told.insert(finding.id.as_str());
            }
            None => {
                missed += 1;
                let who = plant.agent.as_ref().unwrap_or(&plant.actor);
                writeln!(
                    text,
                    "missed  {} {} {who} {} {}",
                    plant.day, plant.detection, plant.subject_permission, plant.incident
                )?;
            }
        }
    }
    let alarms: Vec<&Finding> = findings.iter().filter(|f| !told.contains(f.id.as_str())).collect();
    for alarm in &alarms {
        writeln!(text, "false   {} {} {} ({})", alarm.id, alarm.detection, alarm.title, alarm.why)?;
    }
    writeln!(text, "{} found, {missed} missed, {} false", told.len(), alarms.len())?;
    Ok((text, if missed == 0 && alarms.is_empty() { Exit::Done } else { Exit::Findings }))
}
