//! The same events give the same findings, in whatever order, files and number they come.

use crate::support::folder::Folder;
use crate::support::records::Record;
use crate::support::remit::remit;
use chrono::{TimeDelta, TimeZone, Utc};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;

const EVENTS: usize = 600;

/// Twelve days of three agents: enough for a baseline, and something new at its end.
fn records() -> Vec<Record> {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let start = Utc.with_ymd_and_hms(2026, 1, 5, 0, 0, 0).unwrap();
    let usual = ["s3:GetObject", "dynamodb:GetItem", "s3:PutObject"];
    let unusual = ["s3:DeleteObject", "ec2:TerminateInstances", "iam:CreateAccessKey", "kms:Decrypt"];
    (0..EVENTS)
        .map(|number| {
            let agent = ["ant", "bee", "cat"][number % 3];
            let time = start + TimeDelta::minutes(number as i64 * 12 * 24 * 60 / EVENTS as i64);
            let is_unusual = number > EVENTS * 3 / 4 && dice.random_bool(0.3);
            let operation =
                if is_unusual { unusual[dice.random_range(0..4)] } else { usual[dice.random_range(0..3)] };
            let record = Record::of_agent(agent, operation).number(number).at(time);
            if operation.ends_with("Object") { record.object("acme-tickets", "k") } else { record }
        })
        .collect()
}

/// Writes `files`, replays them, and gives every finding without what may depend on arrival, and the summary.
fn replayed(files: &[Vec<Record>], threads: &str) -> (BTreeMap<String, Value>, Value) {
    let folder = Folder::new();
    for agent in ["ant", "bee", "cat"] {
        folder.agent(agent, &[("s3:GetObject, s3:PutObject, dynamodb:GetItem", "*")]);
    }
    for (number, records) in files.iter().enumerate() {
        folder.log(&format!("logs/{number:03}.json.gz"), records);
    }
    let replay = ["replay", "logs", "--agents", "agents", "--threads", threads, "--output", "ndjson"];
    let mut lines = remit(folder.path(), &replay).expect(0).lines();
    let summary = lines.pop().unwrap()["summary"].clone();
    assert_eq!(summary["findings"], lines.len());
    let number = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(number("read"), number("unique") + number("duplicates") + number("quarantined"), "{summary}");
    let mut findings = BTreeMap::new();
    for mut finding in lines {
        // An incident's id may depend on which of its findings came first.
        finding.as_object_mut().unwrap().remove("incident");
        assert!(findings.insert(finding["id"].as_str().unwrap().to_owned(), finding).is_none());
    }
    (findings, summary)
}

#[test]
fn order_files_and_repetition_change_nothing() {
    let records = records();
    let (expected, summary) = replayed(std::slice::from_ref(&records), "1");
    assert_eq!((summary["unique"].as_u64(), summary["duplicates"].as_u64()), (Some(EVENTS as u64), Some(0)));
    let detections: Vec<&str> =
        expected.values().filter_map(|finding| finding["detection"].as_str()).collect();
    for detection in ["SC01", "DS01", "PR02", "BL02"] {
        assert!(detections.contains(&detection), "{detection} has something to say here: {detections:?}");
    }

    let mut dice = ChaCha8Rng::seed_from_u64(8);
    let mut reversed = records.clone();
    reversed.reverse();
    let mut shuffled = records.clone();
    shuffled.shuffle(&mut dice);
    let split = |records: &[Record], size: usize| -> Vec<Vec<Record>> {
        records.chunks(size).map(<[Record]>::to_vec).collect()
    };
    let mut repeated = split(&shuffled, 97);
    repeated.extend(split(&reversed, 150));
    let cases = [
        ("backwards, one file", vec![reversed.clone()], "1", 0),
        ("shuffled into many files", split(&shuffled, 23), "4", 0),
        ("twice, in different files", repeated, "4", EVENTS as u64),
    ];
    for (name, files, threads, duplicates) in cases {
        let (findings, summary) = replayed(&files, threads);
        assert_eq!(findings, expected, "{name}");
        assert_eq!(summary["unique"].as_u64(), Some(EVENTS as u64), "{name}");
        assert_eq!(summary["duplicates"].as_u64(), Some(duplicates), "{name}");
    }
}

#[test]
fn the_summary_accounts_for_what_could_not_be_read() {
    let folder = Folder::new();
    let whole = Record::of_agent("ant", "s3:GetObject").number(1);
    let nameless = Record::of_agent("ant", "s3:GetObject").number(2).set("eventName", Value::Null);
    folder.log("logs/1.json.gz", &[whole.clone(), nameless, whole]);
    let mut lines = remit(folder.path(), &["replay", "logs", "--output", "ndjson"]).expect(4).lines();
    let summary = lines.pop().unwrap()["summary"].clone();
    let numbers = ["read", "unique", "duplicates", "quarantined"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(numbers, [3, 1, 1, 1]);
}
