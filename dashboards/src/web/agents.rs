//! `/agents` and `/agents/{name}`: what each agent is declared, granted and seen to do.

use super::page::{Fault, Frame, not_found, page};
use super::{Shared, Web, templates, text};
use crate::metrics::{AgentState, Standing};
use axum::extract::{Path, RawQuery, State};
use axum::response::Html;
use engine::finding::{FindingState, Severity};
use engine::permission::AccessLevel;
use engine::posture::{AgentPosture, IdentityPosture, Mark, PermissionPosture, Posture};
use engine::store::{FindingFilter, Store, StoreError};
use minijinja::{Value, context};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one identity on a page.
const ROWS_MAX: usize = 500;

/// Identities of one agent on a page.
const IDENTITIES_MAX: usize = 50;

/// Agents, and identities without a manifest, on a page.
const AGENTS_MAX: usize = 500;
const UNCLAIMED_MAX: usize = 100;

/// Open incidents looked at for the agents' states.
const INCIDENTS_MAX: i64 = 10_000;

/// Findings of the agent on its page.
const FINDINGS_MAX: i64 = 5;

const LEVELS: [AccessLevel; 5] = [
    AccessLevel::List,
    AccessLevel::Read,
    AccessLevel::Write,
    AccessLevel::Tagging,
    AccessLevel::Permissions,
];

/// One agent in a line.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The manifest's name.
    pub agent: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it runs.
    pub environment: Option<String>,
    /// The file that declares it.
    pub manifest: String,
    /// How many identities it has.
    pub identities: usize,
    /// One of [`AgentState`].
    pub state: &'static str,
    /// The worst of its open incidents.
    pub worst: Option<Severity>,
    /// When it last used anything (µs UTC).
    pub last_used: Option<i64>,
    /// Rows of its identities by mark.
    pub marks: BTreeMap<&'static str, usize>,
}

impl Summary {
    fn of(agent: &AgentPosture, standing: &Standing, worst: Option<Severity>) -> Summary {
        Summary {
            agent: agent.agent.clone(),
            description: agent.description.clone(),
            owner: agent.owner.clone(),
            environment: agent.environment.clone(),
            manifest: agent.manifest.clone(),
            identities: agent.identities.len(),
            state: standing.state(worst).as_str(),
            worst,
            last_used: agent.identities.iter().filter_map(|identity| identity.last_used).max(),
            marks: Mark::ALL.into_iter().map(|mark| (mark.as_str(), agent.count(mark))).collect(),
        }
    }
}

/// Every agent in a line, as the page and the API tell it.
pub(super) async fn summaries(web: &Web) -> Result<(Arc<Posture>, Vec<Summary>), StoreError> {
    let posture = web.state.postures.newest().await?;
    let summaries = lines(&web.state.store, &posture, web.state.min_active_days).await?;
    Ok((posture, summaries))
}

/// Every agent of a posture in a line.
///
/// # Errors
/// [`StoreError`].
pub async fn lines(
    store: &Store,
    posture: &Posture,
    min_active_days: u32,
) -> Result<Vec<Summary>, StoreError> {
    let mut worst: BTreeMap<String, Severity> = BTreeMap::new();
    for incident in store.incidents(true, INCIDENTS_MAX).await? {
        let Some(agent) = incident.agent else { continue };
        let severity = worst.entry(agent).or_insert(incident.severity);
        *severity = (*severity).max(incident.severity);
    }
    let standings = Standing::of(posture, min_active_days);
    let summaries = posture
        .agents
        .iter()
        .zip(&standings)
        .map(|(agent, standing)| Summary::of(agent, standing, worst.get(&agent.agent).copied()))
        .collect();
    Ok(summaries)
}

pub(super) async fn list(State(web): Shared, RawQuery(query): RawQuery) -> Result<Html<String>, Fault> {
    let (posture, agents) = summaries(&web).await.map_err(|cause| web.store_failed(&cause))?;
    let states: Vec<_> = AgentState::ALL
        .iter()
        .map(|state| {
            let agents = agents.iter().filter(|agent| agent.state == state.as_str()).count();
            context! { name => state.as_str(), agents => agents }
        })
        .collect();
    let shown: Vec<_> = agents
        .iter()
        .take(AGENTS_MAX)
        .map(|agent| {
            let bar = bar(|mark| agent.marks.get(mark.as_str()).copied().unwrap_or(0));
            context! { bar => templates::value(bar), ..templates::value(agent) }
        })
        .collect();
    let context = context! {
        agents => shown,
        left => agents.len().saturating_sub(AGENTS_MAX),
        states,
        marks => Mark::ALL.map(Mark::as_str),
        covered => posture.covered,
        unclaimed => templates::value(posture.unclaimed.iter().take(UNCLAIMED_MAX).collect::<Vec<_>>()),
        unclaimed_left => posture.unclaimed.len().saturating_sub(UNCLAIMED_MAX),
        unparsed => templates::value(&posture.unparsed),
    };
    page("agents.html", &Frame::new(&web, "agents", "/agents", query.as_deref().unwrap_or("")), context)
}

/// A part of a bar of 100 units.
#[derive(Debug, PartialEq, Serialize)]
struct Part {
    mark: &'static str,
    rows: usize,
    x: f64,
    width: f64,
}

/// How the rows divide by mark; empty without rows.
fn bar(count: impl Fn(Mark) -> usize) -> Vec<Part> {
    let total: usize = Mark::ALL.into_iter().map(&count).sum();
    let mut x = 0.0;
    let mut parts = vec![];
    for mark in Mark::ALL {
        let rows = count(mark);
        if rows > 0 {
            let width = rows as f64 / total as f64 * 100.0;
            parts.push(Part { mark: mark.as_str(), rows, x, width });
            x += width;
        }
    }
    parts
}

/// Which rows of the table a reader asks for.
#[derive(Debug, Serialize)]
struct Narrow {
    mark: Option<&'static str>,
    level: Option<&'static str>,
    permission: Option<String>,
}

impl Narrow {
    fn parse(query: &str) -> Result<Narrow, Fault> {
        let value = |name| text::query_value(query, name).filter(|value| !value.is_empty());
        Ok(Narrow {
            mark: one_of("mark", value("mark"), &Mark::ALL.map(Mark::as_str))?,
            level: one_of("level", value("level"), &LEVELS.map(AccessLevel::as_str))?,
            permission: value("permission"),
        })
    }

    fn takes(&self, row: &PermissionPosture) -> bool {
        let holds = |part: &String| row.permission.to_lowercase().contains(&part.to_lowercase());
        self.mark.is_none_or(|mark| row.mark.as_str() == mark)
            && self.level.is_none_or(|level| row.level.is_some_and(|known| known.as_str() == level))
            && self.permission.as_ref().is_none_or(holds)
    }
}

fn one_of(name: &str, value: Option<String>, known: &[&'static str]) -> Result<Option<&'static str>, Fault> {
    let Some(value) = value else { return Ok(None) };
    match known.iter().find(|k| **k == value) {
        Some(known) => Ok(Some(*known)),
        None => Err(Fault::Query(format!("unknown {name} `{value}`. Known: {}", known.join(", ")))),
    }
}

pub(super) async fn show(
    State(web): Shared,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Html<String>, Fault> {
    let query = query.as_deref().unwrap_or("");
    let narrow = Narrow::parse(query)?;
    let failed = |cause: StoreError| web.store_failed(&cause);
    let (posture, summaries) = summaries(&web).await.map_err(failed)?;
    let of = |agent: &&AgentPosture| agent.agent == name;
    let Some(agent) = posture.agents.iter().find(of) else {
        return Err(not_found("No manifest declares an agent of this name"));
    };
    let findings = FindingFilter {
        states: [FindingState::Open, FindingState::Acknowledged].to_vec(),
        who: Some(name.clone()),
        limit: FINDINGS_MAX,
        ..FindingFilter::default()
    };
    let findings = web.state.store.findings(&findings).await.map_err(failed)?;
    let identities: Vec<_> =
        agent.identities.iter().take(IDENTITIES_MAX).map(|identity| identity_of(identity, &narrow)).collect();
    let marks: Vec<_> =
        Mark::ALL.iter().map(|mark| context! { name => mark.as_str(), rows => agent.count(*mark) }).collect();
    let path = format!("/agents/{}", text::encode(&name));
    let context = context! {
        agent => templates::value(summaries.iter().find(|summary| summary.agent == name)),
        identities,
        identities_left => agent.identities.len().saturating_sub(IDENTITIES_MAX),
        marks,
        bar_parts => templates::value(bar(|mark| agent.count(mark))),
        levels => LEVELS.map(AccessLevel::as_str),
        narrow => templates::value(&narrow),
        covered => posture.covered,
        findings => templates::value(&findings),
        findings_max => FINDINGS_MAX,
    };
    page("agent.html", &Frame::new(&web, "agents", &path, query), context)
}

fn identity_of(identity: &IdentityPosture, narrow: &Narrow) -> Value {
    let matching: Vec<&PermissionPosture> =
        identity.permissions.iter().filter(|row| narrow.takes(row)).collect();
    let rows: Vec<Value> = matching
        .iter()
        .take(ROWS_MAX)
        .map(|row| context! { level_name => row.level.map(AccessLevel::as_str), ..templates::value(row) })
        .collect();
    let policy = identity.right_sized.as_ref().map(|proposed| {
        let policy = serde_json::to_string_pretty(&proposed.policy).unwrap_or_default();
        context! {
            policy,
            kept => proposed.kept.len(),
            removed => templates::value(&proposed.removed),
            notes => templates::value(&proposed.notes),
        }
    });
    context! {
        identity => &identity.identity,
        active_days => identity.active_days,
        first_used => identity.first_used,
        last_used => identity.last_used,
        total => identity.permissions.len(),
        left => matching.len().saturating_sub(ROWS_MAX),
        rows,
        policy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_divides_by_mark_and_is_empty_without_rows() {
        let parts = bar(|mark| match mark {
            Mark::Used => 1,
            Mark::Denied => 3,
            _ => 0,
        });
        assert_eq!(
            parts,
            [
                Part { mark: "used", rows: 1, x: 0.0, width: 25.0 },
                Part { mark: "denied", rows: 3, x: 25.0, width: 75.0 },
            ]
        );
        assert!(bar(|_| 0).is_empty());
    }
}
