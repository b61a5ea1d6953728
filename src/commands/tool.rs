//! `remit tool`: the engine's own parts on a pipe. One JSON line out for each line in.

use crate::cli::{Cloud, EventFormat, ToolCommand};
use crate::exit::Exit;
use anyhow::Context;
use engine::permission::{self, Call};
use ingest::event::EventBatch;
use ingest::{Limits, Notification, Redaction};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest line that is read. A longer one is skipped and answered with an error.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Read at once; a line in it waits for no flush.
const CHUNK_BYTES: usize = 256 * 1024;

type Answer = fn(&Value) -> Result<Value, String>;

pub fn run(command: &ToolCommand) -> anyhow::Result<Exit> {
    let answer: Answer = match command {
        ToolCommand::Decide { cloud } => match cloud {
            Cloud::Aws => |question| Ok(policy::tool::decide_aws(question)),
            Cloud::Azure => |question| Ok(policy::tool::decide_azure(question)),
            Cloud::Gcp => |question| Ok(policy::tool::decide_gcp(question)),
        },
        ToolCommand::Match(what) if what.operator => |question| Ok(policy::tool::match_operator(question)),
        ToolCommand::Match(_) => |question| Ok(policy::tool::match_resource(question)),
        ToolCommand::Notification => notification,
        ToolCommand::Permissions => permissions,
        ToolCommand::Events { format } => match format {
            EventFormat::Auto => |question| events(question, None),
            EventFormat::Cloudtrail => |question| events(question, Some("aws")),
            EventFormat::AzureActivity => |question| events(question, Some("azure")),
            EventFormat::GcpAudit => |question| events(question, Some("gcp")),
        },
    };
    let input = BufReader::with_capacity(CHUNK_BYTES, std::io::stdin().lock());
    let output = BufWriter::with_capacity(CHUNK_BYTES, std::io::stdout().lock());
    match answer_lines(input, output, answer) {
        // A reader that went away (`| head`) is no error.
        Err(Ended::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(Ended::Output(error)) => Err(error).context("cannot write the output"),
        Err(Ended::Input(error)) => Err(error).context("cannot read standard input"),
        Ok(()) => Ok(Exit::Done),
    }
}

enum Ended {
    Input(std::io::Error),
    Output(std::io::Error),
}

/// One line out for each line in that is not blank. Holds one line at a time, and keeps no answer back while it waits for
/// the next question.
fn answer_lines<R: Read>(
    mut input: BufReader<R>,
    mut output: impl Write,
    answer: Answer,
) -> Result<(), Ended> {
    let mut line = Vec::new();
    while let Some(is_whole) = next_line(&mut input, &mut line).map_err(Ended::Input)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let said = if is_whole {
            reply(&line, answer)
        } else {
            json!({ "id": null, "error": format!("longer than {LINE_BYTES_MAX} bytes: give it in parts") })
        };
        writeln!(output, "{said}").map_err(Ended::Output)?;
        if input.buffer().is_empty() {
            output.flush().map_err(Ended::Output)?;
        }
    }
    output.flush().map_err(Ended::Output)
}

/// Reads a line; `false` where it was too long and only its beginning is kept. `None` at the end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    if input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.len() < LINE_BYTES_MAX || line.ends_with(b"\n") {
        return Ok(Some(true));
    }
    line.truncate(1024);
    line.shrink_to_fit();
    let mut is_whole = true;
    loop {
        let rest = input.fill_buf()?;
        if rest.is_empty() {
            return Ok(Some(is_whole));
        }
        let end = rest.iter().position(|byte| *byte == b'\n');
        is_whole &= end == Some(0);
        let used = end.map_or(rest.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(Some(is_whole));
        }
    }
}

fn reply(line: &[u8], answer: Answer) -> Value {
    let question = match serde_json::from_slice::<Value>(line) {
        Ok(question) => question,
        Err(error) => return json!({ "id": null, "error": format!("not JSON: {error}") }),
    };
    let id = question.get("id").cloned().unwrap_or(Value::Null);
    // Nothing in the engine panics by intention. If something does, the other lines are still answered.
    let answered = catch_unwind(AssertUnwindSafe(|| answer(&question)));
    match answered.unwrap_or_else(|_| Err("this line met a fault of remit; please report it".to_owned())) {
        Ok(Value::Object(mut fields)) => {
            fields.insert("id".to_owned(), id);
            Value::Object(fields)
        }
        Ok(other) => json!({ "id": id, "answer": other }),
        Err(error) => json!({ "id": id, "error": error }),
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

/// `provider`: whose record it must be.
fn events(question: &Value, provider: Option<&str>) -> Result<Value, String> {
    let record = question.get("record").ok_or("the line has no `record`")?;
    // Some hold the record as a text in the line.
    let text = record.as_str().map_or_else(|| record.to_string(), str::to_owned);
    let batch = event(&text)?;
    let view = batch.view();
    let rows = 0..batch.rows();
    if let Some(found) = rows
        .clone()
        .filter_map(|row| view.provider(row))
        .find(|found| provider.is_some_and(|wanted| wanted != *found))
    {
        return Err(format!(
            "the record is of `{found}`, not of `{}`: ask with `--format auto`",
            provider.unwrap_or_default()
        ));
    }
    let mut events: Vec<Value> = rows.map(|row| view.to_json(row)).collect();
    match events.len() {
        0 => Err("the record is an envelope that holds no event".to_owned()),
        1 => Ok(json!({ "event": events.pop() })),
        // An envelope of several.
        _ => Ok(json!({ "event": events.first(), "events": events })),
    }
}

fn permissions(question: &Value) -> Result<Value, String> {
    let record = record_of(question, "event")?;
    if let Some(told) = permission::foreign(&record) {
        return Ok(json!({
            "certain": told.certain,
            "possible": told.possible,
            "resources": told.resources,
            "actor": told.actor,
            "agent_hint": hint_in(&record),
            "cloud": told.cloud.as_str(),
            "through": told.through,
            "granted": told.granted,
        }));
    }
    let batch = event(&whole(record).to_string())?;
    let view = batch.view();
    if batch.rows() == 0 {
        return Err("the record is an envelope that holds no event".to_owned());
    }
    let needed = match permission::elsewhere(&view, 0) {
        Some(told) => told.needed,
        None => permission::needed(&Call::of(&view, 0)),
    };
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

/// What looks like an agent, where the record is whole enough to be read.
fn hint_in(record: &Value) -> Option<String> {
    event(&record.to_string()).ok()?.view().agent_hint(0).map(str::to_owned)
}

/// The record of a line. Some hold it as a text, and `aws cloudtrail lookup-events` holds it in one.
fn record_of(question: &Value, key: &str) -> Result<Value, String> {
    let mut record = question.get(key).ok_or_else(|| format!("the line has no `{key}`"))?.clone();
    for _ in 0..2 {
        let text = match &record {
            Value::String(text) => text,
            Value::Object(fields) => match fields.get("CloudTrailEvent") {
                Some(Value::String(text)) => text,
                _ => break,
            },
            _ => break,
        };
        record = serde_json::from_str(text).map_err(|error| format!("`{key}` is no JSON: {error}"))?;
    }
    Ok(record)
}

/// What a call needed hangs neither on its id nor on its time: a record that was cut down to the rest is read all the same.
fn whole(mut record: Value) -> Value {
    if let Value::Object(fields) = &mut record
        && fields.contains_key("eventName")
        && fields.contains_key("eventSource")
    {
        fields.entry("eventID").or_insert_with(|| json!("00000000-0000-0000-0000-000000000000"));
        fields.entry("eventTime").or_insert_with(|| json!("1970-01-01T00:00:00Z"));
    }
    record
}

fn event(record: &str) -> Result<EventBatch, String> {
    ingest::read_record(record, &Limits::default(), &Redaction::default())
        .map_err(|quarantined| format!("{}: {}", quarantined.reason, quarantined.detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(input: &[u8], answer: Answer) -> Vec<Value> {
        let mut output = Vec::new();
        assert!(answer_lines(BufReader::with_capacity(8, input), &mut output, answer).is_ok());
        let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn every_line_has_its_answer_whatever_stands_beside_it() {
        let echo: Answer = |question| {
            question.get("ask").cloned().map(|ask| json!({ "said": ask })).ok_or_else(|| "no ask".into())
        };
        let said =
            answers(b"{\"id\": 1, \"ask\": 2}\n\n{torn\n\xff\n[]\n{\"id\": \"last\", \"ask\": 3}", echo);
        let ids: Vec<&Value> = said.iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, [&json!(1), &Value::Null, &Value::Null, &Value::Null, &json!("last")]);
        assert_eq!(said.iter().filter(|one| one["error"].is_string()).count(), 3);
    }

    #[test]
    fn a_line_without_end_is_skipped_and_the_next_is_answered() {
        let mut input = b"{\"id\": \"".to_vec();
        input.resize(LINE_BYTES_MAX + 100, b'x');
        input.extend(b"\"}\n{\"id\": 2}\n");
        let said = answers(&input, |_| Ok(json!({})));
        assert_eq!(said.len(), 2);
        assert!(said[0]["error"].as_str().unwrap().starts_with("longer than"));
        assert_eq!(said[1], json!({ "id": 2 }));
    }

    #[test]
    fn a_fault_in_one_line_does_not_stop_the_others() {
        let said = answers(b"{\"id\": 1}\n{\"id\": 2, \"ok\": true}\n", |question| {
            assert!(question["ok"].is_boolean(), "a fault on purpose");
            Ok(json!({ "fine": true }))
        });
        assert!(said[0]["error"].is_string());
        assert_eq!(said[1], json!({ "id": 2, "fine": true }));
    }
}
