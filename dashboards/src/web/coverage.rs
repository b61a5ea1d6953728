//! `/coverage`: what came in, whether all of it is accounted for, and what waits to go out.

use super::page::{Fault, Frame, page};
use super::{Shared, templates};
use axum::extract::{RawQuery, State};
use axum::response::Html;
use minijinja::context;

/// Quarantined rows on the page.
const QUARANTINED_MAX: i64 = 50;

pub(super) async fn show(State(web): Shared, RawQuery(query): RawQuery) -> Result<Html<String>, Fault> {
    let store = &web.state.store;
    let read = async {
        let totals = store.object_totals().await?;
        let quarantined = store.quarantined(QUARANTINED_MAX + 1).await?;
        let receivers = store.receiver_depths().await?;
        let silenced = store.silenced_incidents().await?;
        let covered = store.covered().await?;
        let posture = web.state.postures.newest().await?;
        Ok((totals, quarantined, receivers, silenced, covered, posture))
    };
    let (totals, quarantined, receivers, silenced, covered, posture) =
        read.await.map_err(|cause| web.store_failed(&cause))?;
    let shown = quarantined.iter().take(usize::try_from(QUARANTINED_MAX).unwrap_or(usize::MAX)).map(|row| {
        context! {
            place => &row.place, row => row.row, reason => &row.reason, detail => &row.detail,
            head => &row.head, at => row.at, records => row.records, seen => row.seen, state => row.state.as_str(),
            id => &row.id,
        }
    });
    let waiting = receivers
        .iter()
        .map(|depth| context! { name => &depth.receiver, waiting => depth.waiting, dead => depth.dead });
    let watermark =
        [web.state.metrics.newest("aws"), covered.map(|(_, last)| last)].into_iter().flatten().max();
    let trust: Vec<(String, String)> = posture
        .trust
        .sentences()
        .iter()
        .filter_map(|sentence| sentence.split_once(": "))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    let context = context! {
        totals => context! {
            objects => totals.objects, read => totals.read, stored => totals.stored,
            duplicates => totals.duplicates, quarantined => totals.quarantined,
        },
        missing => totals.read - totals.stored - totals.duplicates - totals.quarantined,
        quarantined => shown.collect::<Vec<_>>(),
        quarantined_more => quarantined.len() as i64 > QUARANTINED_MAX,
        receivers => waiting.collect::<Vec<_>>(),
        silenced,
        covered,
        watermark,
        data_events => templates::value(&posture.data_events),
        unparsed => templates::value(&posture.unparsed),
        trust,
    };
    page("coverage.html", &Frame::new(&web, "coverage", "/coverage", query.as_deref().unwrap_or("")), context)
}
