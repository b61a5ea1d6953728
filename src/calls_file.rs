//! `replay --calls FILE`: one JSON line per judged event.

use anyhow::Context;
use engine::attribution::Grade;
use engine::calls::{CallFacts, Calls};
use ingest::event::EventView;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file, shared by workers.
#[derive(Debug)]
pub struct CallsFile {
    path: PathBuf,
    writer: Mutex<BufWriter<File>>,
}

impl CallsFile {
    pub fn create(path: &Path) -> anyhow::Result<CallsFile> {
        let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(CallsFile { path: path.to_owned(), writer: Mutex::new(BufWriter::new(file)) })
    }

    /// The lines of a judged batch. Rows of one event stand together.
    pub fn lines(view: &EventView<'_>, calls: &Calls, lines: &mut Vec<u8>) -> anyhow::Result<()> {
        for rows in calls.rows.chunk_by(|a, b| a.event == b.event) {
            serde_json::to_writer(&mut *lines, &line(view, rows))?;
            lines.push(b'\n');
        }
        Ok(())
    }

    /// Writes the lines of one object.
    pub fn write(&self, lines: &[u8]) -> anyhow::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(lines).with_context(|| self.cannot())
    }

    pub fn finish(&self) -> anyhow::Result<()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).flush().with_context(|| self.cannot())
    }

    fn cannot(&self) -> String {
        format!("cannot write `{}`", self.path.display())
    }
}

/// An event's verdict is its worst: one permission out of scope makes the call so.
fn line(view: &EventView<'_>, rows: &[CallFacts]) -> serde_json::Value {
    let worst = |of: &dyn Fn(&CallFacts) -> Option<&'static str>, order: [&'static str; 3]| {
        let said: Vec<&str> = rows.iter().filter_map(of).collect();
        order.into_iter().find(|verdict| said.contains(verdict))
    };
    let certain = |facts: &&CallFacts| facts.needed.as_ref().is_some_and(|n| n.certain);
    let mut reasons: Vec<String> = Vec::new();
    for scope in rows.iter().filter(certain).filter_map(|f| f.answer.as_ref()?.scope.as_ref()) {
        reasons.push(match &scope.statement {
            Some(statement) => format!("{}: {statement}", scope.reason),
            None => scope.reason.to_string(),
        });
    }
    reasons.dedup();
    let first = rows.first();
    json!({
        "event_id": first.map(|f| view.event_id(f.event)),
        "agent": first.and_then(|f| f.agent.as_ref()).map(|a| a.name.as_str()),
        "actor": first.map(|f| &*f.actor),
        "agent_hint": first.and_then(|f| view.agent_hint(f.event)),
        "agent_evidence": first.and_then(|f| Grade::of(view, f.event, f.declared(view))),
        "permissions": rows.iter().filter(certain).filter_map(|f| f.needed.as_ref()).map(|n| n.permission.as_str()).collect::<Vec<_>>(),
        "verdict": worst(&|f| f.answer.as_ref().filter(|_| certain(&f))?.scope.as_ref().map(|s| s.verdict.as_str()), ["out", "unknown", "in"]),
        "grant": worst(&|f| f.answer.as_ref().filter(|_| certain(&f)).map(|a| a.grant.grant.as_str()), ["denied", "unknown", "allowed"]),
        "score": null,
        "reasons": reasons,
    })
}
