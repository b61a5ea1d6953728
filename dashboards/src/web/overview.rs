//! `/`: what is open, how the last weeks went, and the findings.

use super::page::{Fault, Frame, page};
use super::query::{FindingQuery, STATES};
use super::{Shared, templates, text};
use axum::extract::{RawQuery, State};
use axum::response::Html;
use engine::finding::{Finding, Severity};
use engine::incident::Incident;
use engine::store::FindingFilter;
use engine::time::day_of;
use minijinja::context;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// Findings that the chart and the incidents' stories are made from.
const RECENT_MAX: i64 = 2_000;

/// Open incidents read, and shown.
const INCIDENTS_MAX: i64 = 1_000;
const INCIDENTS_SHOWN: usize = 8;

/// Days in the chart.
const DAYS: i64 = 30;

/// Height of the chart's tallest bar, in its own units.
const BAR_MAX: f64 = 56.0;

pub(super) async fn show(State(web): Shared, RawQuery(query): RawQuery) -> Result<Html<String>, Fault> {
    let query = query.as_deref().unwrap_or("");
    let asked = FindingQuery::parse(query)?;
    let store = &web.state.store;
    let read = async {
        let counts = store.open_counts().await?;
        let incidents = store.incidents(true, INCIDENTS_MAX).await?;
        let recent = store.findings(&FindingFilter { limit: RECENT_MAX, ..FindingFilter::default() }).await?;
        let rows = store.findings(&asked.filter()).await?;
        Ok((counts, incidents, recent, rows))
    };
    let (counts, incidents, recent, mut rows) = read.await.map_err(|cause| web.store_failed(&cause))?;
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let is_cut = rows.len() > limit;
    rows.truncate(limit);

    let severities: Vec<_> = Severity::ALL
        .into_iter()
        .zip(counts.findings)
        .rev()
        .map(|(severity, findings)| context! { name => severity.as_str(), findings => findings })
        .collect();
    // Suggestions for the filter: who has findings, and every detection that found something.
    // A name that would show as another one is not suggested.
    let who: BTreeSet<&str> = recent.iter().map(Finding::who).filter(|who| text::is_plain(who)).collect();
    let detections: BTreeSet<&str> = recent.iter().map(|f| f.detection.as_str()).collect();
    let states: Vec<_> =
        STATES.iter().map(|(value, text)| context! { value => *value, text => *text }).collect();
    let context = context! {
        severities,
        live => counts.findings.iter().sum::<i64>(),
        incidents_open => counts.incidents.iter().sum::<i64>(),
        stories => templates::value(stories(incidents, &recent)),
        chart => templates::value(Chart::of(&recent, recent.len() as i64 == RECENT_MAX)),
        asked => templates::value(&asked),
        is_narrowed => asked.is_narrowed(),
        is_cut,
        findings => templates::value(&rows),
        who_known => templates::value(who),
        detections => templates::value(detections),
        states,
    };
    page("overview.html", &Frame::new(&web, "findings", "/", query), context)
}

/// An open incident as the page tells it.
#[derive(Debug, Serialize)]
struct Story {
    incident: Incident,
    /// Its live findings among the recent ones.
    findings: usize,
    /// The worst of them, then the earliest.
    worst: Option<Finding>,
}

#[derive(Debug, Serialize)]
struct Stories {
    shown: Vec<Story>,
    left: usize,
}

/// The worst open incidents, newest first within a severity.
fn stories(mut incidents: Vec<Incident>, recent: &[Finding]) -> Stories {
    let mut of: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for finding in recent.iter().filter(|f| f.state.is_live()) {
        if let Some(incident) = &finding.incident {
            of.entry(incident).or_default().push(finding);
        }
    }
    incidents.sort_by_key(|incident| (-incident.severity.rank(), -incident.last_seen));
    let left = incidents.len().saturating_sub(INCIDENTS_SHOWN);
    incidents.truncate(INCIDENTS_SHOWN);
    let shown = incidents
        .into_iter()
        .map(|incident| {
            let findings = of.get(incident.id.as_str()).map_or(&[][..], Vec::as_slice);
            let worst = findings.iter().min_by_key(|f| (-f.severity.rank(), f.first_seen)).copied().cloned();
            Story { findings: findings.len(), worst, incident }
        })
        .collect();
    Stories { shown, left }
}

/// Findings by day of their first event, the worst at the bottom of each bar.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Chart {
    bars: Vec<Bar>,
    first: String,
    last: String,
    most: i64,
    /// Older findings were left out.
    is_cut: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct Bar {
    at: i64,
    day: String,
    total: i64,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Part {
    severity: Severity,
    findings: i64,
    y: f64,
    height: f64,
}

impl Chart {
    fn of(findings: &[Finding], is_cut: bool) -> Chart {
        let Some(last) = findings.iter().map(|f| day_of(f.first_seen)).max() else { return Chart::default() };
        let mut counts: HashMap<(i64, Severity), i64> = HashMap::new();
        for finding in findings {
            *counts.entry((day_of(finding.first_seen), finding.severity)).or_default() += 1;
        }
        let of = |day, severity| counts.get(&(day, severity)).copied().unwrap_or(0);
        let total = |day| Severity::ALL.into_iter().map(|severity| of(day, severity)).sum::<i64>();
        let days = last - DAYS + 1..=last;
        let most = days.clone().map(total).max().unwrap_or(0).max(1);
        let bars = days
            .clone()
            .map(|day| {
                let mut top = BAR_MAX;
                let mut parts = vec![];
                for severity in Severity::ALL.into_iter().rev() {
                    let findings = of(day, severity);
                    let height = findings as f64 / most as f64 * BAR_MAX;
                    top -= height;
                    if findings > 0 {
                        parts.push(Part { severity, findings, y: top, height });
                    }
                }
                Bar { at: day - days.start(), day: engine::time::date(day), total: total(day), parts }
            })
            .collect();
        let (first, last) = (engine::time::date(*days.start()), engine::time::date(last));
        Chart { bars, first, last, most, is_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::finding;
    use engine::time::DAY;

    #[test]
    fn a_day_without_findings_is_an_empty_bar() {
        let mut old = finding("old", Severity::Low);
        old.first_seen = 100 * DAY;
        let mut new = finding("new", Severity::High);
        new.first_seen = 110 * DAY + 5;
        let chart = Chart::of(&[old, new.clone(), new], false);

        assert_eq!((chart.bars.len(), chart.most), (30, 2));
        let totals: Vec<_> = chart.bars.iter().filter(|b| b.total > 0).map(|b| (b.at, b.total)).collect();
        assert_eq!(totals, [(19, 1), (29, 2)]);
        assert_eq!(
            chart.bars[29].parts,
            [Part { severity: Severity::High, findings: 2, y: 0.0, height: BAR_MAX }]
        );
        assert_eq!(chart.last, "1970-04-21");
    }

    #[test]
    fn nothing_found_is_no_chart() {
        assert_eq!(Chart::of(&[], false), Chart::default());
    }
}
