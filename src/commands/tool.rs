//! `remit tool`: the engine's own parts on a pipe. One JSON line out for each line in.

use crate::cli::ToolCommand;
use crate::exit::Exit;
use crate::screen;
use anyhow::Context;
use engine::permission::{self, Call};
use ingest::event::EventBatch;
use ingest::{Limits, Notification, Redaction};
use serde_json::{Value, json};
use std::io::BufRead;

pub fn run(command: &ToolCommand) -> anyhow::Result<Exit> {
    let answer: fn(&Value) -> Result<Value, String> = match command {
        ToolCommand::Decide => |question| Ok(policy::tool::decide_aws(question)),
        ToolCommand::Notification => notification,
        ToolCommand::Permissions => permissions,
        ToolCommand::Events { .. } => events,
    };
    let mut lines = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).context("cannot read standard input")? == 0 {
            return Ok(Exit::Done);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let out = match serde_json::from_slice::<Value>(&line) {
            Err(error) => json!({ "id": null, "error": format!("not JSON: {error}") }),
            Ok(question) => {
                let id = question.get("id").cloned().unwrap_or(Value::Null);
                match answer(&question) {
                    Ok(Value::Object(mut fields)) => {
                        fields.insert("id".to_owned(), id);
                        Value::Object(fields)
                    }
                    Ok(other) => json!({ "id": id, "answer": other }),
                    Err(error) => json!({ "id": id, "error": error }),
                }
            }
        };
        screen::out_json(&out, false)?;
    }
}

fn notification(question: &Value) -> Result<Value, String> {
    let body = question.get("body").and_then(Value::as_str).ok_or("the line has no text `body`")?;
    match ingest::notification(body).map_err(|error| error.to_string())? {
        Notification::Objects(objects) => {
            let objects: Vec<Value> = objects
                .iter()
                .map(|o| json!({ "bucket": o.bucket, "key": o.key, "version": o.version, "etag": o.etag }))
                .collect();
            Ok(json!({ "objects": objects }))
        }
        Notification::Ignored(reason) => Ok(json!({ "objects": [], "ignored": reason })),
    }
}

fn events(question: &Value) -> Result<Value, String> {
    Ok(json!({ "event": read(question, "record")?.view().to_json(0) }))
}

fn permissions(question: &Value) -> Result<Value, String> {
    let batch = read(question, "event")?;
    let view = batch.view();
    let call = Call::of(&view, 0);
    let needed = permission::needed(&call);
    let names = |certain: bool| -> Vec<&str> {
        needed.iter().filter(|n| n.certain == certain).map(|n| n.permission.as_str()).collect()
    };
    let mut resources: Vec<&str> =
        needed.iter().flat_map(|n| n.resources.iter().map(String::as_str)).collect();
    resources.sort_unstable();
    resources.dedup();
    Ok(json!({
        "certain": names(true),
        "possible": names(false),
        "resources": resources,
        "actor": view.actor(0),
        "agent_hint": view.agent_hint(0),
    }))
}

fn read(question: &Value, key: &str) -> Result<EventBatch, String> {
    let record = question.get(key).ok_or_else(|| format!("the line has no `{key}`"))?;
    // Some hold the record as a text in the line.
    let text = match record {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    ingest::formats::cloudtrail::read_record(&text, &Limits::default(), &Redaction::default())
        .map_err(|quarantined| format!("{}: {}", quarantined.reason, quarantined.detail))
}
