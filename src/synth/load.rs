//! A load: files to measure with, of the sizes and shapes that a large organisation's trail has.
//!
//! Nothing is planted in it. 200 identities in 12 accounts and 6 regions call 199 operations of 40 services, the busy
//! ones far more often than the rest; a record has about 1.6 KB and packs to an eighth. Some five of a hundred calls
//! fail. There are policy documents in strings, session tokens, and letters beyond ASCII. The same seed gives the same
//! bytes on any number of threads: each file has its own stream of chance.

mod callers;
mod operations;
mod record;

use super::chance::Chance;
use anyhow::{Context, bail, ensure};
use callers::Caller;
use chrono::DateTime;
use flate2::{Compression, GzBuilder};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Events and files that a load may have at most.
const EVENTS_MAX: u64 = 1_000_000_000;
const FILES_MAX: u64 = 10_000_000;

/// Fewer events a file than this are dealt unevenly, as quiet accounts have them.
const EVEN_FROM: u64 = 8;

/// The level at which gzip packs these records to an eighth, as S3 holds them.
const LEVEL: u32 = 6;

/// 2026-11-05T00:00:00Z: when the first file begins.
const START: i64 = 1_793_836_800;

/// Seconds that one file covers: CloudTrail delivers about every five minutes.
const SPAN: i64 = 300;

/// Which load to make.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// All chance comes from here.
    pub seed: u64,
    /// Events in all files together.
    pub events: u64,
    /// Files.
    pub files: u64,
}

/// Writes the load's files below `out`, as a bucket holds them. Returns how many bytes they have, unpacked and packed.
pub fn write(load: &Load, out: &Path) -> anyhow::Result<[u64; 2]> {
    ensure!(
        load.files >= 1 && load.files <= FILES_MAX && load.events >= load.files && load.events <= EVENTS_MAX,
        "{} events in {} files cannot be: 1 to {FILES_MAX} files, at least one event in each, at most {EVENTS_MAX}",
        load.events,
        load.files
    );
    let logs = out.join("AWSLogs");
    if logs.exists() {
        bail!("`{}` already holds logs. Name a folder without, or remove it", logs.display());
    }
    let sizes = sizes(load);
    let callers = callers::all(load.seed);
    let next = AtomicU64::new(0);
    let work = || -> anyhow::Result<[u64; 2]> {
        let mut bytes = [0, 0];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(size) = usize::try_from(number).ok().and_then(|at| sizes.get(at)) else {
                return Ok(bytes);
            };
            let file = File::of(load.seed, number, *size, &callers);
            let path = out.join(&file.key);
            let packed = gzip(&file.text)?;
            path.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&path, &packed))
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            for (sum, more) in bytes.iter_mut().zip([file.text.len(), packed.len()]) {
                *sum += more as u64;
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut sums = [0, 0];
        for worker in workers {
            let bytes = worker.join().ok().context("a thread broke down")??;
            for (sum, more) in sums.iter_mut().zip(bytes) {
                *sum += more;
            }
        }
        Ok(sums)
    })
}

/// How many events each file has. Where there are few, nearly half of the files have one and the others up to six or so.
fn sizes(load: &Load) -> Vec<u64> {
    let even = load.events / load.files;
    let mut left = load.events % load.files;
    let mut sizes = vec![even; usize::try_from(load.files).unwrap_or(usize::MAX)];
    if even < EVEN_FROM {
        left = load.events - load.files;
        sizes.fill(1);
        let mut chance = Chance::new(load.seed, "load sizes");
        for size in &mut sizes {
            let most = left.min(if chance.per_mille(440) { 0 } else { 2 * even + 1 });
            let more = if most == 0 { 0 } else { 1 + chance.below(most) };
            *size += more;
            left -= more;
        }
    }
    // What is left over goes round.
    let count = sizes.len();
    let mut at = 0;
    while left > 0 {
        if let Some(size) = sizes.get_mut(at % count) {
            *size += 1;
        }
        left -= 1;
        at += 1;
    }
    sizes
}

/// One object of the bucket.
struct File {
    key: PathBuf,
    text: Vec<u8>,
}

impl File {
    fn of(seed: u64, number: u64, events: u64, callers: &[Caller]) -> File {
        let mut chance = Chance::new(seed, &format!("load file {number}"));
        let account = pick_one(callers::ACCOUNTS, number);
        let region = pick_one(callers::REGIONS, number / callers::ACCOUNTS.len() as u64);
        let ours: Vec<&Caller> = callers.iter().filter(|caller| caller.account == account).collect();
        let start = START + i64::try_from(number).unwrap_or(0) * SPAN;
        let mut text = Vec::with_capacity(usize::try_from(events).unwrap_or(0) * 1_700);
        text.extend_from_slice(br#"{"Records":["#);
        for event in 0..events {
            if event > 0 {
                text.push(b',');
            }
            let at =
                start + i64::try_from(event).unwrap_or(0) * SPAN / i64::try_from(events.max(1)).unwrap_or(1);
            if let Some(caller) = chance.weighted(&ours, |caller| caller.weight) {
                record::write(&mut text, &mut chance, caller, region, at);
            }
        }
        text.extend_from_slice(b"]}");
        let end = DateTime::from_timestamp(start + SPAN, 0).unwrap_or_default();
        let key = format!(
            "AWSLogs/{account}/CloudTrail/{region}/{}/{account}_CloudTrail_{region}_{}_{}.json.gz",
            end.format("%Y/%m/%d"),
            end.format("%Y%m%dT%H%MZ"),
            chance.name(16)
        );
        File { key: PathBuf::from(key), text }
    }
}

/// One of a table, around and around.
fn pick_one(table: &[&'static str], number: u64) -> &'static str {
    let at = usize::try_from(number % table.len().max(1) as u64).unwrap_or(0);
    table.get(at).copied().unwrap_or_default()
}

fn gzip(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut gzip =
        GzBuilder::new().mtime(0).write(Vec::with_capacity(text.len() / 6), Compression::new(LEVEL));
    gzip.write_all(text)?;
    Ok(gzip.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn file(seed: u64, number: u64, events: u64) -> (PathBuf, Vec<u8>) {
        let file = File::of(seed, number, events, &callers::all(seed));
        (file.key, file.text)
    }

    #[test]
    fn the_same_seed_gives_the_same_file_and_another_does_not() {
        assert_eq!(file(1, 3, 50), file(1, 3, 50));
        assert_ne!(file(1, 3, 50).1, file(2, 3, 50).1);
    }

    #[test]
    fn sizes_add_up_and_are_small_where_files_are_many() {
        for (events, files) in
            [(1_000, 90), (53_667, 20_000), (20_000, 20_000), (7, 7), (100, 1), (40_001, 20_000)]
        {
            let sizes = sizes(&Load { seed: 7, events, files });
            assert_eq!((sizes.len() as u64, sizes.iter().sum::<u64>()), (files, events));
            assert!(
                sizes.iter().all(|size| *size >= 1 && *size <= events / files + 6),
                "{events} in {files}"
            );
        }
    }

    #[test]
    fn records_are_json_of_the_stated_size_with_keys_as_aws_writes_them() {
        let (_, text) = file(42, 0, 2_000);
        let size = text.len() / 2_000;
        assert!((1_450..1_750).contains(&size), "{size} bytes an event");
        let ratio = text.len() as f64 / gzip(&text).unwrap().len() as f64;
        assert!((7.0..9.5).contains(&ratio), "packs {ratio} to one");
        let all: Value = serde_json::from_slice(&text).unwrap();
        let records = all["Records"].as_array().unwrap();
        let ids: BTreeSet<&str> = records.iter().filter_map(|record| record["eventID"].as_str()).collect();
        assert_eq!(ids.len(), 2_000);
        let failed = records.iter().filter(|record| record.get("errorCode").is_some()).count();
        assert!((50..150).contains(&failed), "{failed} of 2000 failed");
        let first = String::from_utf8_lossy(&text).into_owned();
        let place = |key: &str| first.find(key).unwrap_or_else(|| panic!("no {key}"));
        let order =
            ["eventVersion", "userIdentity", "eventTime", "eventSource", "requestID", "eventID", "readOnly"];
        assert!(order.is_sorted_by_key(|key| place(key)));
        assert!(text.iter().any(|byte| *byte > 0x7f), "letters beyond ASCII");
        assert!(first.contains(r#""policyDocument":"{\""#) && first.contains(r#""sessionToken":""#));
    }
}
