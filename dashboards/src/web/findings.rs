//! `/findings/{id}`: everything about one finding.

use super::page::{Fault, Frame, not_found, page};
use super::{Shared, templates, text};
use axum::extract::{Path, RawQuery, State};
use axum::response::Html;
use engine::finding::{Finding, FindingState};
use engine::incident::Incident;
use engine::store::{FindingFilter, StoreError};
use minijinja::context;

/// Findings of the same agent among which those of the incident are looked for.
const NEIGHBOURS_MAX: i64 = 1_000;

/// Open and resolved incidents among which this finding's is looked for.
const INCIDENTS_MAX: i64 = 5_000;

pub(super) async fn show(
    State(web): Shared,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Html<String>, Fault> {
    let store = &web.state.store;
    let finding = match store.finding(&id).await {
        Ok(finding) => finding,
        Err(StoreError::NotFound { .. }) => return Err(not_found("No finding has this id")),
        Err(cause) => return Err(web.store_failed(&cause)),
    };
    let read = async {
        let neighbours = FindingFilter {
            states: FindingState::ALL.to_vec(),
            who: Some(finding.who().to_owned()),
            limit: NEIGHBOURS_MAX,
            ..FindingFilter::default()
        };
        Ok((store.incidents(false, INCIDENTS_MAX).await?, store.findings(&neighbours).await?))
    };
    let (incidents, neighbours) = read.await.map_err(|cause| web.store_failed(&cause))?;
    let incident: Option<Incident> =
        incidents.into_iter().find(|incident| Some(&incident.id) == finding.incident.as_ref());
    let mut others: Vec<&Finding> = neighbours
        .iter()
        .filter(|other| other.incident.is_some() && other.incident == finding.incident)
        .filter(|other| other.id != finding.id)
        .collect();
    others.sort_by_key(|other| (other.first_seen, -other.severity.rank()));

    let path = format!("/findings/{}", text::encode(&finding.id));
    let context = context! {
        finding => templates::value(&finding),
        incident => templates::value(&incident),
        others => templates::value(&others),
        left_out => finding.count.saturating_sub(finding.events.len() as i64),
    };
    page("finding.html", &Frame::new(&web, "findings", &path, query.as_deref().unwrap_or("")), context)
}
