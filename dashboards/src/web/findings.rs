//! `/findings/{id}`: everything about one finding.

use super::page::{Fault, Frame, not_found, page};
use super::{Shared, templates, text};
use axum::extract::{Path, RawQuery, State};
use axum::response::Html;
use engine::attribution::Grade;
use engine::chain::Cut;
use engine::finding::{Finding, FindingState};
use engine::incident::Incident;
use engine::store::{FindingFilter, StoreError};
use minijinja::context;

/// Findings that are shown of an incident.
const OTHERS_MAX: i64 = 1_000;

pub(super) async fn show(
    State(web): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Html<String>, Fault> {
    let store = &web.state.store;
    let mut finding = match store.finding(&id).await {
        Ok(finding) => finding,
        Err(StoreError::NotFound { .. }) => return Err(not_found("No finding has this id")),
        Err(cause) => return Err(web.store_failed(&cause)),
    };
    let attributed = store.attribute(std::slice::from_mut(&mut finding)).await;
    attributed.map_err(|cause| web.store_failed(&cause))?;
    let attestation = store.attestation(&finding.id).await.map_err(|cause| web.store_failed(&cause))?;
    let read = async {
        let Some(id) = &finding.incident else { return Ok((None, Vec::new())) };
        let of_incident = FindingFilter {
            states: FindingState::ALL.to_vec(),
            incident: Some(id.clone()),
            limit: OTHERS_MAX,
            ..FindingFilter::default()
        };
        Ok((store.incident(id).await?, store.findings(&of_incident).await?))
    };
    let (incident, mut others): (Option<Incident>, Vec<Finding>) =
        read.await.map_err(|cause| web.store_failed(&cause))?;
    others.retain(|other| other.id != finding.id);
    others.sort_by_key(|other| (other.first_seen, -other.severity.rank()));

    let path = format!("/findings/{}", text::encode(&finding.id));
    let context = context! {
        finding => templates::value(&finding),
        incident => templates::value(&incident),
        others => templates::value(&others),
        steps => templates::value(&finding.sample.caller.chain.steps),
        cut => finding.sample.caller.chain.cut.map(Cut::words),
        evidence => finding.sample.caller.evidence.map(Grade::words),
        attestation => templates::value(attestation.to_json()),
        left_out => finding.count.saturating_sub(finding.events.len() as i64),
    };
    page("finding.html", &Frame::new(&web, "findings", &path, query.as_deref().unwrap_or("")), context)
}
