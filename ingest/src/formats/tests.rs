use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::object::read_record;
use crate::redact::Redaction;

fn conformance(path: &str) -> Option<PathBuf> {
    let Ok(root) = std::env::var("REMIT_CONFORMANCE") else {
        println!("skipped: REMIT_CONFORMANCE is not set");
        return None;
    };
    Some(PathBuf::from(root).join(path))
}

/// The records of one line: `{id, record}`, `{name, event}` (one or a list), or the record itself.
fn records_of(line: &Value) -> Vec<(String, Value)> {
    let id = line.get("id").or(line.get("name")).and_then(Value::as_str).unwrap_or("bare").to_owned();
    let record =
        line.get("record").or(line.get("event").filter(|_| line.get("name").is_some())).unwrap_or(line);
    match record {
        Value::Array(list) => list.iter().map(|one| (id.clone(), one.clone())).collect(),
        one => vec![(id, one.clone())],
    }
}

#[test]
fn published_records_are_read() {
    let Some(folder) = conformance("records") else { return };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "jsonl")) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            for (id, record) in records_of(&serde_json::from_str(line).unwrap()) {
                let read = read_record(&record.to_string(), &Limits::default(), &Redaction::default());
                let what = match &read {
                    Ok(batch) => batch.view().provider(0).unwrap_or("nothing").to_owned(),
                    Err(bad) => format!("{}: {}", bad.reason, bad.detail),
                };
                if read.is_err() {
                    println!("{id}: {what}: {}", record.to_string().chars().take(300).collect::<String>());
                }
                *counts.entry(what).or_default() += 1;
            }
        }
        println!("== {}: {counts:#?}", file.file_name().unwrap().to_string_lossy());
    }
}
