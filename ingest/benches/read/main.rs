//! Reading CloudTrail against inflating the same bytes: how much of the time is ours.
//!
//! `serde_json` reads the same objects into the same table, as a program would that is written without thought of speed.
//!
//! `cargo bench --bench read`; `EVENTS=20000` for fewer events, `ONLY=table` for one way alone (for a profiler).

#![expect(clippy::indexing_slicing, reason = "a bench: every index is one of a list of its own")]

mod events;
mod serde_reader;
mod ways;

use std::hint::black_box;

use ingest::{Columns, Limits, ObjectReader, ObjectRef, ReadOptions, Redaction, Room};
use libdeflater::Decompressor;
use ways::{Way, compare, inflate, median, timed};

const ROUNDS: usize = 9;
const EVENTS: usize = 104_000;
const FILES: usize = 15;

/// What judging has built; the rest it looks up.
const BUILT: [&str; 15] = [
    "time",
    "provider",
    "account",
    "recipient_account",
    "region",
    "service",
    "operation",
    "event_type",
    "outcome",
    "error_code",
    "denied_by",
    "actor_type",
    "actor",
    "credential_kind",
    "invoked_by",
];

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
    let looked_up = ReadOptions { built: Some(Columns::of(BUILT)), slice_bytes: 4 << 20, ..all };
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
    let mut ways = [
        Way::new("inflate", || files.iter().map(|file| inflate(&mut gzip, &file.gz, &mut buffer)).sum()),
        Way::new("utf8", || {
            inflated.iter().filter(|plain| simdutf8::basic::from_utf8(plain).is_ok()).count()
        }),
        Way::new("slots", || read(none, first)),
        Way::new("looked up", || read(looked_up, second)),
        Way::new("table", || read(all, third)),
        Way::new("serde", || {
            files
                .iter()
                .map(|file| {
                    let size = inflate(&mut other_gzip, &file.gz, &mut other_buffer);
                    serde_reader::read(&other_buffer[..size]).rows()
                })
                .sum()
        }),
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
    for (name, options) in [("no column", none), ("looked up", looked_up), ("table", all)] {
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
    compare(&mut ways, ROUNDS, wanted);
}
