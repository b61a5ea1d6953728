//! The same records in another guise: the same events, findings and inventory.

use crate::support::folder::Folder;
use crate::support::records::{self, Record};
use crate::support::remit::{Finished, remit};
use base64::Engine;
use chrono::{TimeDelta, TimeZone, Utc};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const EVENTS: usize = 240;

/// Twelve days of two agents, with something to tell in every week.
fn world() -> Vec<Record> {
    let start = Utc.with_ymd_and_hms(2026, 1, 5, 0, 0, 0).unwrap();
    let operations = ["s3:GetObject", "s3:PutObject", "dynamodb:GetItem", "s3:GetObject", "s3:DeleteObject"];
    (0..EVENTS)
        .map(|number| {
            let operation = if number % 41 == 40 { "iam:CreateAccessKey" } else { operations[number % 5] };
            let time = start + TimeDelta::minutes(number as i64 * 12 * 24 * 60 / EVENTS as i64);
            let record = Record::of_agent(["ant", "bee"][number % 2], operation).number(number).at(time);
            if operation.ends_with("Object") {
                record.object("acme-tickets", "k \"quoted\" é")
            } else {
                record
            }
        })
        .collect()
}

/// One file of `records`, in one of many guises.
fn guised(records: &[Record], guise: usize) -> Vec<u8> {
    let each =
        |wrap: &dyn Fn(&Value) -> Value| records.iter().map(|record| wrap(&record.0)).collect::<Vec<Value>>();
    let lines =
        |values: &[Value]| values.iter().map(|value| format!("{value}\n")).collect::<String>().into_bytes();
    let subscribed = || {
        let events = each(&|record| json!({"id": "1", "timestamp": 1, "message": record.to_string()}));
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logEvents": events}).to_string()
    };
    match guise % 10 {
        0 => records::log_file(records),
        1 => records::plain_file(records),
        2 => records::zstd(&records::plain_file(records)),
        3 => lines(&each(&Value::clone)),
        4 => records::gzip(json!(each(&Value::clone)).to_string().as_bytes()),
        5 => serde_json::to_vec_pretty(&json!({"Records": each(&Value::clone)})).unwrap(),
        6 => lines(&each(
            &|record| json!({"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": record}),
        )),
        7 => records::gzip(subscribed().as_bytes()),
        8 => {
            let data =
                base64::engine::general_purpose::STANDARD.encode(records::gzip(subscribed().as_bytes()));
            json!({"awslogs": {"data": data}}).to_string().into_bytes()
        }
        _ => {
            json!({"Events": each(&|record| json!({"EventId": "x", "CloudTrailEvent": record.to_string()}))})
                .to_string()
                .into_bytes()
        }
    }
}

/// What a replay and the inventory say of some files.
struct Told {
    findings: BTreeMap<String, Value>,
    /// One line for each event, without the order they came in.
    calls: Vec<String>,
    inventory: Vec<Value>,
    numbers: [u64; 4],
}

fn told(files: &[(String, Vec<u8>)]) -> Told {
    let folder = Folder::new();
    for agent in ["ant", "bee"] {
        folder.agent(agent, &[("s3:GetObject, s3:PutObject, dynamodb:GetItem", "*")]);
    }
    for (name, bytes) in files {
        folder.write(&format!("logs/{name}"), bytes);
    }
    let replay =
        ["replay", "logs", "--agents", "agents", "--calls", "calls", "--output", "ndjson", "--threads", "3"];
    let mut lines = remit(folder.path(), &replay).expect(0).lines();
    let summary = lines.pop().unwrap()["summary"].clone();
    let numbers = ["read", "unique", "duplicates", "quarantined"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(numbers[0], numbers[1] + numbers[2] + numbers[3], "{summary}");
    let mut findings = BTreeMap::new();
    for mut finding in lines {
        // An incident's id may depend on which of its findings came first.
        finding.as_object_mut().unwrap().remove("incident");
        assert!(findings.insert(finding["id"].as_str().unwrap().to_owned(), finding).is_none());
    }
    let mut calls: Vec<String> = folder.read("calls").lines().map(str::to_owned).collect();
    calls.sort_unstable();
    let usage: Finished = remit(folder.path(), &["usage", "logs", "--output", "ndjson"]).expect(0);
    let said = usage.stderr.lines().last().unwrap();
    let [read, unique, duplicates, quarantined] = numbers;
    let totals =
        format!("{read} read = {unique} unique + {duplicates} duplicates + {quarantined} quarantined");
    assert!(said.contains(&totals), "the inventory counts as the replay does, {totals}: {said}");
    Told { findings, calls, inventory: usage.lines(), numbers }
}

#[track_caller]
fn assert_same(found: &Told, expected: &Told, duplicates: usize, what: &str) {
    assert_eq!(found.calls, expected.calls, "{what}");
    assert_eq!(found.findings, expected.findings, "{what}");
    assert_eq!(found.inventory, expected.inventory, "{what}");
    let (events, duplicates) = (EVENTS as u64, duplicates as u64);
    assert_eq!(found.numbers, [events + duplicates, events, duplicates, 0], "{what}");
}

#[test]
fn any_guise_and_split_tells_the_same() {
    let world = world();
    let expected = told(&[("all.json.gz".into(), records::log_file(&world))]);
    assert_same(&expected, &expected, 0, "nothing is lost");
    let detections: Vec<&str> =
        expected.findings.values().filter_map(|finding| finding["detection"].as_str()).collect();
    for detection in ["SC01", "DS01", "PR02"] {
        assert!(detections.contains(&detection), "{detection} has something to say here: {detections:?}");
    }
    for round in 0..4u64 {
        let mut dice = ChaCha8Rng::seed_from_u64(round);
        let mut order = world.clone();
        order.shuffle(&mut dice);
        let mut files = Vec::new();
        let mut left = order.as_slice();
        while !left.is_empty() {
            let (now, later) = left.split_at(dice.random_range(1..40).min(left.len()));
            let guise = dice.random_range(0..10);
            // No name says what is inside.
            files.push((format!("{:03}.json.gz", files.len()), guised(now, guise)));
            left = later;
        }
        assert_same(&told(&files), &expected, 0, &format!("round {round}: {} files", files.len()));
    }
}

#[test]
fn whatever_comes_again_counts_once() {
    let world = world();
    let all = |guise| guised(&world, guise);
    let expected = told(&[("all.json.gz".into(), all(0))]);
    let twice: Vec<Record> = world.iter().flat_map(|record| [record.clone(), record.clone()]).collect();
    assert_same(&told(&[("a.json".into(), guised(&twice, 1))]), &expected, EVENTS, "twice in one file");
    // Two trails of one account: other folders, other files, another split, and each in another guise.
    let mut trails = vec![("AWSLogs/111122223333/CloudTrail/eu-west-1/a.json.gz".to_owned(), all(0))];
    for (number, part) in world.chunks(50).enumerate() {
        trails.push((
            format!("AWSLogs/o-1/111122223333/CloudTrail/eu-west-1/{number}.json"),
            guised(part, number),
        ));
    }
    assert_same(&told(&trails), &expected, EVENTS, "through two trails");
    let delivered = [
        ("a.json.gz".to_owned(), all(0)),
        ("b.json.gz".to_owned(), all(6)),
        ("c.json.gz".to_owned(), all(7)),
    ];
    assert_same(&told(&delivered), &expected, 2 * EVENTS, "through a trail, a bus and a log group");
}

#[test]
fn what_only_looks_like_a_repetition_counts_twice() {
    let one = Record::of_agent("ant", "s3:GetObject").number(1);
    let elsewhere = one.clone().set("recipientAccountId", json!("444455556666"));
    let late = one.clone().set("addendum", json!({"reason": "UPDATED_DATA", "originalEventID": "x"}));
    let files = [
        ("a.json.gz".to_owned(), records::log_file(&[one.clone(), late])),
        ("b.json.gz".to_owned(), records::log_file(&[elsewhere, one])),
    ];
    assert_eq!(
        told(&files).numbers,
        [4, 3, 1, 0],
        "another account's copy, and a later revision, are events of their own"
    );
}
