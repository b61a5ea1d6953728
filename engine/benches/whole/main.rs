//! The whole way of an event, one core: gzip, event table, verdict, baseline, findings
//!
//! `cargo bench --workspace --bench whole`. The yardsticks are inflating the same bytes with libdeflate, and `serde_json`
//! into the same table with the same judge behind it.
//!
//! `LOGS=FOLDER` judges the `.gz` files in it (`remit synth --load 1000000 --files 90 --seed 42 --out FOLDER`) instead of
//! a set of its own; nobody is a declared agent then. `ONLY=whole` runs one way alone, for a profiler.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up may stop")]

#[path = "../../../ingest/benches/read/events.rs"]
mod events;
#[path = "../../../ingest/benches/read/serde_reader.rs"]
mod serde_reader;
#[path = "../../../ingest/benches/read/ways.rs"]
mod ways;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::baseline::{Baseline, BaselineRule};
use engine::calls::{BUILT, COLUMNS, Rules};
use engine::detection;
use engine::grant::Grants;
use engine::judge::{Judge, Plans};
use engine::manifest::Manifests;
use events::File;
use futures::executor::block_on;
use ingest::{EventBatch, Limits, ObjectReader, ObjectRef, ReadOptions, Redaction, Room};
use libdeflater::Decompressor;
use ways::{Way, compare, inflate, timed};

// As in `remit`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROUNDS: usize = 5;
const EVENTS: usize = 104_000;
const FILES: usize = 15;
/// As `run` and `replay` read: see `src/slices.rs`.
const SLICE_BYTES: usize = 4 << 20;

/// Identities of the set that are declared agents; they make a quarter of the calls.
const AGENTS: std::ops::Range<u64> = 12..36;

fn main() {
    let files =
        std::env::var_os("LOGS").map_or_else(|| events::files(EVENTS, FILES, 42), |dir| logs(dir.as_ref()));
    let dir = tempfile::tempdir().expect("a folder");
    let detections = detection::built_in().expect("detections");
    let (limits, redaction) = (Limits::default(), Redaction::default());
    let object = ObjectRef {
        source: "bench".to_owned(),
        bucket: "logs".to_owned(),
        key: "a.json.gz".to_owned(),
        version: String::new(),
    };
    let options = ReadOptions::new(&limits, &redaction).columns(COLUMNS);
    let options = ReadOptions { built: Some(BUILT), slice_bytes: SLICE_BYTES, ..options };
    let read = |room: &mut Room, take: &mut dyn FnMut(&EventBatch)| {
        let mut rows = 0;
        for file in &files {
            let mut reader = ObjectReader::open(&object, &file.gz, options, room).expect("an object");
            while let Some(slice) = reader.next().expect("a slice") {
                rows += slice.batch.rows();
                take(black_box(&slice.batch));
            }
            black_box(reader.finish());
        }
        rows
    };
    let (mut first_room, mut second_room) = (Room::default(), Room::default());
    let (mut gzip, mut other_gzip) = (Decompressor::new(), Decompressor::new());
    let size = files.iter().map(|file| file.plain).max().unwrap_or_default();
    let (mut buffer, mut other_buffer) = (vec![0; size], vec![0; size]);
    let plans = Arc::new(Plans::new(&detections).expect("plans"));
    let judge = |room: &mut Room| {
        let rules = rules(dir.path());
        let mut judge = Judge::new(rules.clone(), plans.clone());
        // All of the set is of a day or two: what is called in it is usual here, as it is in a company's second month.
        read(room, &mut |batch| {
            let judged = block_on(judge.judge(batch)).expect("judged");
            for ((who, what, block), presence) in &judged.calls.baseline.uses {
                rules.baseline.learn(who, what, *block, presence.days >> 1);
            }
        });
        (judge, rules)
    };
    let (mut own_judge, own_rules) = judge(&mut first_room);
    let (mut other_judge, other_rules) = judge(&mut second_room);
    let judged = |judge: &mut Judge, rules: &Rules, batch: &EventBatch| {
        let judged = block_on(judge.judge(batch)).expect("judged");
        rules.baseline.apply(&judged.calls.baseline);
        black_box(judged.findings.len());
    };
    let other_judged = judged;
    let mut ways = [
        Way::new("inflate", || files.iter().map(|file| inflate(&mut gzip, &file.gz, &mut buffer)).sum()),
        Way::new("read", || read(&mut first_room, &mut |_| {})),
        Way::new("whole", || read(&mut second_room, &mut |batch| judged(&mut own_judge, &own_rules, batch))),
        Way::new("serde", || {
            let mut rows = 0;
            for file in &files {
                let size = inflate(&mut other_gzip, &file.gz, &mut other_buffer);
                let batch = serde_reader::read(&other_buffer[..size]);
                rows += batch.rows();
                other_judged(&mut other_judge, &other_rules, black_box(&batch));
            }
            rows
        }),
    ];
    if let Ok(only) = std::env::var("ONLY") {
        let way = ways.iter_mut().find(|way| way.name == only).expect("a way: inflate, read, whole, serde");
        for _ in 0..ROUNDS {
            println!("{} {:?}", (way.work)(), timed(&mut way.work));
        }
        return;
    }
    let events = (ways[1].work)();
    println!("{events} events, {} files", files.len());
    compare(&mut ways, ROUNDS, events);
}

/// The packed files below a folder.
fn logs(dir: &Path) -> Vec<File> {
    let (mut folders, mut files) = (vec![PathBuf::from(dir)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "gz") {
                let gz = fs::read(&path).expect("a file");
                // gzip's last four bytes: https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1
                let plain = gz.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
                files.push(File { plain, gz });
            }
        }
    }
    files
}

/// What the agents of the set may do; a third of it names resources.
fn rules(dir: &Path) -> Arc<Rules> {
    for who in AGENTS {
        let account = 111_122_223_333 + who % 12 * 1_000_003;
        let mut text = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: agent-{who}}}\nspec:\n  identities: [{{aws.role: \"arn:aws:iam::{account}:role/agents/agent-{who}\"}}]\n  allow:\n"
        );
        for granted in [
            r#"{actions: ["s3:Get*", "s3:Put*", "s3:List*"], resources: ["arn:aws:s3:::orders-*/*", "arn:aws:s3:::orders-*"]}"#,
            r#"{actions: ["dynamodb:*"], resources: ["arn:aws:dynamodb:*:*:table/orders-*"]}"#,
            r#"{actions: ["kms:Decrypt"], resources: ["arn:aws:kms:*:*:key/*"]}"#,
            r#"{actions: ["sts:AssumeRole"], resources: ["arn:aws:iam::*:role/agents/agent-*"]}"#,
            r#"{actions: ["ec2:*", "lambda:*", "logs:*", "secretsmanager:*", "ssm:*", "iam:*", "sqs:*", "ecr:*", "bedrock:*", "rds:*", "cloudformation:*", "eks:*"], resources: ["*"]}"#,
        ] {
            writeln!(text, "    - aws: {granted}").expect("a text");
        }
        fs::write(dir.join(format!("agent-{who}.yaml")), text).expect("a file");
    }
    let now = "2026-01-06T00:00:00Z".parse().expect("a time");
    let manifests = Manifests::load(dir, now).expect("manifests");
    let baseline = Baseline::new(BaselineRule::default());
    Arc::new(Rules { manifests: manifests.into(), grants: Grants::default(), baseline })
}
