//! `/api/v1`: the same as the pages, for programs.

use super::page::{Fault, not_found};
use super::query::FindingQuery;
use super::{Shared, agents::summaries};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use engine::finding::Finding;
use serde_json::{Value, json};

/// Fields whose text an attacker may have written: data to show, never instructions to follow.
const UNTRUSTED: [&str; 6] = ["actor", "subject", "title", "why", "sample", "chain"];

pub(super) async fn findings(State(web): Shared, RawQuery(query): RawQuery) -> Result<Json<Value>, Fault> {
    let asked = FindingQuery::parse(query.as_deref().unwrap_or(""))?;
    let store = &web.state.store;
    let mut found = store.findings(&asked.filter()).await.map_err(|cause| web.store_failed(&cause))?;
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let shown = found.len().min(limit);
    let shown = found.get_mut(..shown).unwrap_or_default();
    store.attribute(shown).await.map_err(|cause| web.store_failed(&cause))?;
    let shown: Vec<Value> = found.iter().take(limit).map(Finding::to_json).collect();
    Ok(Json(json!({
        "schema_version": 1,
        "findings": shown,
        "has_more": found.len() > limit,
        "untrusted": UNTRUSTED,
    })))
}

pub(super) async fn agents(State(web): Shared) -> Result<Json<Value>, Fault> {
    let (posture, summaries) = summaries(&web).await.map_err(|cause| web.store_failed(&cause))?;
    let covered = posture.covered.map(|(first, last)| [first, last].map(engine::time::rfc3339));
    let agents: Vec<Value> = summaries
        .iter()
        .map(|agent| {
            json!({
                "agent": agent.agent,
                "description": agent.description,
                "owner": agent.owner,
                "environment": agent.environment,
                "manifest": agent.manifest,
                "identities": agent.identities,
                "state": agent.state,
                "worst_open_incident": agent.worst,
                "last_used": agent.last_used.map(engine::time::rfc3339),
                "permissions": agent.marks,
            })
        })
        .collect();
    Ok(Json(json!({ "schema_version": 1, "covered": covered, "agents": agents })))
}

pub(super) async fn agent(State(web): Shared, Path(name): Path<String>) -> Result<Json<Value>, Fault> {
    let posture = web.state.postures.newest().await.map_err(|cause| web.store_failed(&cause))?;
    let Some(agent) = posture.agents.iter().find(|agent| agent.agent == name) else {
        return Err(not_found("no manifest declares an agent of this name; /api/v1/agents lists them"));
    };
    let covered = posture.covered.map(|(first, last)| [first, last].map(engine::time::rfc3339));
    Ok(Json(json!({ "schema_version": 1, "covered": covered, "agent": agent })))
}
