//! The store's tables, as SQL sees them.

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use dashboards::AgentLine;
use engine::finding::{Finding, Severity};
use engine::posture::Mark;
use std::sync::Arc;

/// One row for each finding that is told.
pub fn findings(findings: &[Finding]) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&Finding) -> Option<&str>| texts(findings.iter().map(of));
    let time = |of: fn(&Finding) -> i64| times(findings.iter().map(|f| Some(of(f))));
    let list = |of: fn(&Finding) -> Vec<&str>| lists(findings.iter().map(of));
    RecordBatch::try_from_iter([
        ("id", text(|f| Some(&f.id))),
        ("detection", text(|f| Some(&f.detection))),
        ("family", text(|f| Some(&f.family))),
        ("severity", text(|f| Some(f.severity.as_str()))),
        ("state", text(|f| Some(f.state.as_str()))),
        ("agent", text(|f| f.agent.as_deref())),
        ("actor", text(|f| Some(&f.actor))),
        ("subject", text(|f| Some(&f.subject))),
        ("title", text(|f| Some(&f.title))),
        ("why", text(|f| Some(&f.why))),
        ("window_start", time(|f| f.window_start)),
        ("first_seen", time(|f| f.first_seen)),
        ("last_seen", time(|f| f.last_seen)),
        ("count", Arc::new(Int64Array::from_iter_values(findings.iter().map(|f| f.count)))),
        ("incident", text(|f| f.incident.as_deref())),
        ("permission", text(|f| f.sample.permission.as_deref())),
        ("service", text(|f| Some(&f.sample.service))),
        ("operation", text(|f| Some(&f.sample.operation))),
        ("outcome", text(|f| Some(&f.sample.outcome))),
        ("account", text(|f| f.sample.account.as_deref())),
        ("region", text(|f| f.sample.region.as_deref())),
        ("source_ip", text(|f| f.sample.source_ip.as_deref())),
        ("resources", list(|f| f.sample.resources.iter().map(String::as_str).collect())),
        ("frameworks", list(|f| f.frameworks.iter().map(String::as_str).collect())),
        ("event_ids", list(|f| f.events.iter().map(|event| event.event_id.as_str()).collect())),
        ("close_reason", text(|f| f.close_reason.as_deref())),
        ("note", text(|f| f.note.as_deref())),
        ("by", text(|f| f.by.as_deref())),
    ])
}

/// One row for each declared agent, as the page shows it.
pub fn agents(agents: &[AgentLine]) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&AgentLine) -> Option<&str>| texts(agents.iter().map(of));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("agent", text(|a| Some(&a.agent))),
        ("description", text(|a| a.description.as_deref())),
        ("owner", text(|a| a.owner.as_deref())),
        ("environment", text(|a| a.environment.as_deref())),
        ("manifest", text(|a| Some(&a.manifest))),
        ("state", text(|a| Some(a.state))),
        ("worst", text(|a| a.worst.map(Severity::as_str))),
        ("identities", Arc::new(Int64Array::from_iter_values(agents.iter().map(|a| a.identities as i64)))),
        ("last_used", times(agents.iter().map(|a| a.last_used))),
    ];
    for mark in Mark::ALL.map(Mark::as_str) {
        let rows = agents.iter().map(|agent| agent.marks.get(mark).map_or(0, |rows| *rows as i64));
        columns.push((mark, Arc::new(Int64Array::from_iter_values(rows))));
    }
    RecordBatch::try_from_iter(columns)
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

fn lists<'a>(values: impl Iterator<Item = Vec<&'a str>>) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    for value in values {
        list.append_value(value.into_iter().map(Some));
    }
    Arc::new(list.finish())
}
