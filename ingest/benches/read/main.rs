//! Reading CloudTrail against inflating the same bytes: how much of the time is ours.
//!
//! Every round runs each way once, and the ways are compared by the median of their paired ratios of CPU time: so the
//! figures mean the same on any machine, and survive a noisy one. `serde_json` reads the same objects into the same
//! table, as a program would that is written without thought of speed.
//!
//! `cargo bench --bench read`; `EVENTS=20000` for fewer events, `ONLY=table` for one way alone (for a profiler).

#![expect(clippy::indexing_slicing, reason = "a bench: every index is one of a list of its own")]

mod events;
mod serde_reader;

use std::hint::black_box;
use std::time::Duration;

use ingest::{Columns, Limits, ObjectReader, ObjectRef, ReadOptions, Redaction, Room};
use libdeflater::Decompressor;
use sha2::{Digest, Sha256};

const ROUNDS: usize = 9;
const EVENTS: usize = 104_000;
const FILES: usize = 15;

/// What detections, verdicts and the baseline read, about: no texts that only people read.
const JUDGED: &[&str] = &[
    "event_id",
    "shared_event_id",
    "time",
    "provider",
    "account",
    "recipient_account",
    "region",
    "category",
    "service",
    "operation",
    "read_only",
    "event_type",
    "outcome",
    "error_code",
    "actor_type",
    "actor",
    "actor_id",
    "actor_account",
    "session",
    "session_name",
    "credential",
    "credential_kind",
    "mfa",
    "source_identity",
    "invoked_by",
    "workload",
    "agent_hint",
    "agent_evidence",
    "source_ip",
    "source_kind",
    "vpc_endpoint",
    "user_agent",
    "resources",
    "request",
    "row",
];

struct Way<'w> {
    name: &'static str,
    work: Box<dyn FnMut() -> usize + 'w>,
    seconds: Vec<f64>,
}

fn main() {
    let wanted = std::env::var("EVENTS").ok().and_then(|events| events.parse().ok()).unwrap_or(EVENTS);
    let files = events::files(wanted, FILES, 42);
    let plain: usize = files.iter().map(|file| file.plain).sum();
    let stored: usize = files.iter().map(|file| file.gz.len()).sum();
    println!(
        "{wanted} events, {FILES} files, {plain} bytes, {stored} as stored, {} each",
        plain / wanted.max(1)
    );

    let (limits, redaction) = (Limits::default(), Redaction::default());
    let all = ReadOptions::new(&limits, &redaction);
    let judged = all.columns(Columns::of(JUDGED.iter().copied()));
    let none = all.columns(Columns::NONE);
    let object = ObjectRef {
        source: "bench".to_owned(),
        bucket: "logs".to_owned(),
        key: "a.json.gz".to_owned(),
        version: String::new(),
    };
    let read = |options, room: &mut Room| {
        let mut rows = 0;
        for file in &files {
            let Ok(mut reader) = ObjectReader::open(&object, &file.gz, options, room) else { continue };
            while let Ok(Some(slice)) = reader.next() {
                rows += black_box(slice.batch).rows();
            }
            black_box(reader.finish());
        }
        rows
    };
    let (mut rooms, mut gzip) = ([Room::default(), Room::default(), Room::default()], Decompressor::new());
    let mut other_gzip = Decompressor::new();
    let [first, second, third] = &mut rooms;
    let mut buffer = vec![0; files.iter().map(|file| file.plain).max().unwrap_or_default()];
    let mut other_buffer = buffer.clone();
    let inflated: Vec<Vec<u8>> = files
        .iter()
        .map(|file| {
            let size = inflate(&mut gzip, &file.gz, &mut buffer);
            buffer[..size].to_vec()
        })
        .collect();
    let way = |name, work| Way { name, work, seconds: Vec::new() };
    let mut ways = [
        way(
            "inflate",
            Box::new(|| files.iter().map(|file| inflate(&mut gzip, &file.gz, &mut buffer)).sum())
                as Box<dyn FnMut() -> usize>,
        ),
        way(
            "sha256",
            Box::new(|| files.iter().map(|file| usize::from(Sha256::digest(&file.gz)[0] > 0)).sum()),
        ),
        way(
            "utf8",
            Box::new(|| inflated.iter().filter(|plain| simdutf8::basic::from_utf8(plain).is_ok()).count()),
        ),
        way("slots", Box::new(|| read(none, first))),
        way("judged", Box::new(|| read(judged, second))),
        way("table", Box::new(|| read(all, third))),
        way(
            "serde",
            Box::new(|| {
                files
                    .iter()
                    .map(|file| {
                        // Every object's bytes are hashed, whoever reads them.
                        black_box(Sha256::digest(&file.gz));
                        let size = inflate(&mut other_gzip, &file.gz, &mut other_buffer);
                        serde_reader::read(&other_buffer[..size]).rows()
                    })
                    .sum()
            }),
        ),
    ];
    let small = events::files(3000, 1000, 7);
    let mut fourth = Room::default();
    let mut tiny = |options| {
        let mut rows = 0;
        for file in &small {
            let Ok(mut reader) = ObjectReader::open(&object, &file.gz, options, &mut fourth) else {
                continue;
            };
            while let Ok(Some(slice)) = reader.next() {
                rows += black_box(slice.batch).rows();
            }
            black_box(reader.finish());
        }
        rows
    };
    for (name, options) in [("no column", none), ("judged", judged), ("table", all)] {
        let each =
            median((0..ROUNDS).map(|_| timed(&mut || tiny(options)).as_secs_f64())) / small.len() as f64;
        println!("a file of 3 events, {name}: {:.1} µs", each * 1e6);
    }
    if let Ok(only) = std::env::var("ONLY") {
        let mut chosen = ways.iter_mut().filter(|way| way.name == only);
        let Some(way) = chosen.next() else { return println!("no way is called {only}") };
        for _ in 0..ROUNDS {
            println!("{} {:?}", (way.work)(), timed(&mut way.work));
        }
        return;
    }
    for _ in 0..=ROUNDS {
        for way in &mut ways {
            let took = timed(&mut way.work);
            way.seconds.push(took.as_secs_f64());
        }
    }
    // The first round warmed up.
    let inflating = ways[0].seconds[1..].to_vec();
    let serde = ways[6].seconds[1..].to_vec();
    println!("{:10} {:>9} {:>12} {:>12} {:>10}", "", "µs/event", "events/s", "x inflating", "x serde");
    for way in &ways {
        let seconds = &way.seconds[1..];
        let each = median(seconds.iter().copied()) / wanted as f64;
        let against = |other: &[f64]| median(other.iter().zip(seconds).map(|(other, own)| other / own));
        println!(
            "{:10} {:9.3} {:12.0} {:12.3} {:10.2}",
            way.name,
            each * 1e6,
            1.0 / each,
            against(&inflating),
            against(&serde)
        );
    }
}

fn inflate(gzip: &mut Decompressor, gz: &[u8], buffer: &mut [u8]) -> usize {
    gzip.gzip_decompress(black_box(gz), buffer).unwrap_or_default()
}

fn timed(work: &mut dyn FnMut() -> usize) -> Duration {
    let began = cpu_time();
    black_box(work());
    cpu_time().saturating_sub(began)
}

/// CPU time of this thread: <https://docs.kernel.org/scheduler/sched-stats.html>
fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
