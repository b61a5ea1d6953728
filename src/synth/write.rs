//! The files: events cut into gzipped objects as CloudTrail delivers them, and the folder around them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::thread;

use anyhow::{Context, bail};
use chrono::DateTime;
use flate2::{Compression, GzBuilder};
use serde::Serialize;

use super::archetypes::agents;
use super::chance::Chance;
use super::company::{ACCOUNTS, LOG_BUCKET, Place};
use super::month::{Calendar, everybody, history};
use super::operations::DEPLOY_POLICY;
use super::record::Event;
use super::truth::{AnswerKey, NearMiss, date};
use super::{Plan, Written, grants, manifests};

/// Seconds that one file covers. CloudTrail delivers every few minutes; a file of a few hours keeps a
/// month of a small company at a thousand objects.
const SPAN: i64 = 3 * 3600;

/// CloudTrail's files come some minutes after their last event.
const DELIVERY: i64 = 300;

/// Fast rather than small: the files live as long as a demonstration.
const LEVEL: u32 = 3;

/// The repeated file is one that would be noticed.
const REPEATED_MIN: usize = 40;

/// A record without an id and with a time that nobody can read.
const UNREADABLE: &[u8] = br#"{"eventVersion":"1.11","eventTime":"the day before yesterday","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","userIdentity":"unknown"}"#;

/// One object of the log bucket.
pub struct LogFile {
    /// Its key in the bucket.
    pub key: String,
    /// Its records, as JSON.
    pub records: Vec<Vec<u8>>,
    ids: Vec<String>,
    day: String,
}

/// Writes the whole company to `out`.
pub fn write(plan: &Plan, out: &Path) -> anyhow::Result<Written> {
    let logs = out.join("logs");
    if logs.exists() {
        bail!("`{}` already holds logs. Name a folder without, or remove it", logs.display());
    }
    let calendar = plan.calendar()?;
    let mut events = everyones_history(&calendar);
    let mut key = AnswerKey::plant(&calendar, &mut events);
    let count = events.len();
    let mut files = cut(events, calendar.seed);
    let duplicates = repeat_one(&mut files, calendar.seed, &mut key);
    let unreadable = spoil_one(&mut files, &mut key);

    write_logs(&logs.join(LOG_BUCKET), &files)?;
    write_texts(&out.join("agents"), manifests::files(plan.end))?;
    write_texts(&out.join("iam"), vec![("deploy-agent.json".to_owned(), DEPLOY_POLICY.to_owned())])?;
    let exports = ACCOUNTS.iter().map(|(account, _)| {
        let export = grants::export(account, plan.seed);
        (format!("{account}.json"), format!("{export:#}\n"))
    });
    write_texts(&out.join("policies"), exports.collect())?;
    let key = vec![
        ("truth.jsonl".to_owned(), lines(&key.planted)?),
        ("near_misses.jsonl".to_owned(), lines(&key.near_misses)?),
    ];
    write_texts(out, key)?;
    let agents = agents().filter(|actor| actor.declares.is_some()).count();
    Ok(Written { events: count, files: files.len(), agents, duplicates, unreadable })
}

/// The objects that `events` arrive in, sorted by key.
pub fn cut(events: Vec<Event>, seed: u64) -> Vec<LogFile> {
    let mut spans: BTreeMap<(Place, i64), Vec<Event>> = BTreeMap::new();
    for event in events {
        spans.entry((event.place, event.at.div_euclid(SPAN))).or_default().push(event);
    }
    let mut files: Vec<LogFile> = Vec::with_capacity(spans.len());
    for ((place, span), mut events) in spans {
        events.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let first = events.first().map(|event| event.id.clone()).unwrap_or_default();
        let last = events.last().map_or(span * SPAN, |event| event.at);
        let name = Chance::new(seed, &format!("file {first}")).name(16);
        files.push(LogFile {
            key: object_key(place, last + DELIVERY, &name),
            day: date(last),
            ids: events.iter().map(|event| event.id.clone()).collect(),
            records: events.into_iter().map(|event| event.json).collect(),
        });
    }
    files.sort_by(|a, b| a.key.cmp(&b.key));
    files
}

impl LogFile {
    /// The object as it lies in the bucket. The header names no time, so the same records give the
    /// same bytes.
    pub fn gzip(&self) -> anyhow::Result<Vec<u8>> {
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(LEVEL));
        gzip.write_all(br#"{"Records":["#)?;
        let mut separator: &[u8] = b"";
        for record in &self.records {
            gzip.write_all(separator)?;
            gzip.write_all(record)?;
            separator = b",";
        }
        gzip.write_all(b"]}")?;
        Ok(gzip.finish()?)
    }
}

fn everyones_history(calendar: &Calendar) -> Vec<Event> {
    let mut events = Vec::new();
    thread::scope(|scope| {
        let works: Vec<_> = everybody().map(|actor| scope.spawn(|| history(calendar, actor))).collect();
        for work in works {
            // A thread that panicked has said so; what it leaves out makes the tests fail.
            events.extend(work.join().unwrap_or_default());
        }
    });
    events.retain(|event| event.at < calendar.end);
    events
}

fn object_key(place: Place, delivered: i64, name: &str) -> String {
    let Place { account, region } = place;
    let at = DateTime::from_timestamp(delivered, 0).unwrap_or_default();
    let (day, minute) = (at.format("%Y/%m/%d"), at.format("%Y%m%dT%H%MZ"));
    format!(
        "AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}_{name}.json.gz"
    )
}

/// The same events a second time under another name, as CloudTrail delivers now and then.
fn repeat_one(files: &mut Vec<LogFile>, seed: u64, key: &mut AnswerKey) -> usize {
    let Some(file) = files.iter().skip(files.len() / 2).find(|file| file.records.len() >= REPEATED_MIN)
    else {
        return 0;
    };
    let stem = file.key.rsplit_once('_').map_or("", |(stem, _)| stem);
    let again = LogFile {
        key: format!("{stem}_{}.json.gz", Chance::new(seed, "the repeated file").name(16)),
        records: file.records.clone(),
        ids: file.ids.clone(),
        day: file.day.clone(),
    };
    key.near_misses.push(NearMiss {
        near_miss: "duplicate-file",
        story: "the events of one file come a second time under another name: each counts once",
        actor: None,
        day: again.day.clone(),
        file: Some(again.key.clone()),
        event_ids: again.ids.clone(),
    });
    let count = again.records.len();
    files.push(again);
    files.sort_by(|a, b| a.key.cmp(&b.key));
    count
}

/// A record among good ones that cannot be read: it goes to quarantine, its neighbours go on.
fn spoil_one(files: &mut [LogFile], key: &mut AnswerKey) -> usize {
    let at = files.len() / 3;
    let Some(file) = files.get_mut(at) else { return 0 };
    file.records.insert(file.records.len() / 2, UNREADABLE.to_vec());
    key.near_misses.push(NearMiss {
        near_miss: "unreadable-record",
        story: "one record has no id and no time: it is quarantined and its neighbours are judged",
        actor: None,
        day: file.day.clone(),
        file: Some(file.key.clone()),
        event_ids: Vec::new(),
    });
    1
}

fn write_logs(bucket: &Path, files: &[LogFile]) -> anyhow::Result<()> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let works: Vec<_> = files
            .chunks(share)
            .map(|files| {
                scope.spawn(move || -> anyhow::Result<()> {
                    for file in files {
                        store(&bucket.join(&file.key), &file.gzip()?)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for work in works {
            match work.join() {
                Ok(written) => written?,
                Err(_) => bail!("writing the logs stopped; see the message above"),
            }
        }
        Ok(())
    })
}

fn write_texts(folder: &Path, texts: Vec<(String, String)>) -> anyhow::Result<()> {
    for (name, text) in texts {
        store(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn store(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}

fn lines<T: Serialize>(rows: &[T]) -> anyhow::Result<String> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    Ok(text)
}
