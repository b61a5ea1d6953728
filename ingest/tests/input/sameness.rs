//! The same records give the same rows, however they are split, ordered, repeated, shaped, packed and sliced.
//!
//! Envelopes are tried beside their reader, in `ingest/src/formats`.

use std::collections::BTreeMap;

use arrow::array::BooleanArray;
use ingest::{Columns, EventBatch, Limits, ObjectReader, ReadOptions, Redaction, Room, read_object};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::entries::{gzip, nameless};
use crate::soup::{changed, changes, config, records, shaped};

/// Records of every format, each with an id and a time of its own.
fn world(count: usize) -> Vec<String> {
    let (made, ids) = (records(), ["eventID", "correlationId", "insertId", "", ""]);
    let of = |number: usize| {
        // Envelopes are not put into lists here.
        let kind = number % 3;
        let mut record: Value = serde_json::from_str(&made[kind]).unwrap();
        record[ids[kind]] = json!(format!("event-{number}"));
        let time = ["eventTime", "time", "timestamp"][kind];
        record[time] = json!(format!("2026-01-05T{:02}:{:02}:00Z", number / 60 % 24, number % 60));
        record.to_string()
    };
    (0..count).map(of).collect()
}

/// A row without its place.
fn essence(mut row: Value) -> String {
    let fields = row.as_object_mut().unwrap();
    fields.remove("row");
    fields.remove("object");
    row.to_string()
}

/// The rows of an object, and how often each is in it.
fn rows(bytes: &[u8]) -> BTreeMap<String, usize> {
    let read = read_object(&nameless(), bytes, &Limits::default(), &Redaction::default()).unwrap();
    assert_eq!(read.quarantined, []);
    let view = read.batch.view();
    let mut rows = BTreeMap::new();
    for row in 0..view.rows() {
        *rows.entry(essence(view.to_json(row))).or_default() += 1;
    }
    rows
}

fn packed(text: &str, how: usize) -> Vec<u8> {
    match how % 3 {
        0 => text.as_bytes().to_vec(),
        1 => gzip(text.as_bytes()),
        _ => zstd::encode_all(text.as_bytes(), 1).unwrap(),
    }
}

/// The same record with white space between; one of CloudTrail, whose id is its own, also with its keys in another order,
/// in escapes, and with keys that nobody knows. What is kept raw stays as it is.
fn spread(record: &str, how: usize) -> String {
    let value: Value = serde_json::from_str(record).unwrap();
    let fields = value.as_object().unwrap().iter();
    let spaced = |(key, value): (&String, &Value)| format!("{}\t:\r {value}", json!(key));
    let is_cloudtrail = value.get("eventID").is_some();
    match how {
        0 => record.to_owned(),
        1 if is_cloudtrail => format!(" {{ {} }} ", fields.rev().map(spaced).collect::<Vec<_>>().join(" , ")),
        2 if is_cloudtrail => record.replacen('{', "{\"neverHeardOf\":[1,{\"eventID\":\"x\"}],", 1),
        3 if is_cloudtrail => record.replacen("\"event", "\"\\u0065vent", 1),
        _ => format!(" {{ {} }} ", fields.map(spaced).collect::<Vec<_>>().join(" , ")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases.clamp(200, 2_000), ..config() })]

    #[test]
    fn any_guise_gives_the_same_rows(
        count in 1usize..40,
        order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
        guises in prop::collection::vec(0usize..4, 40),
        files in prop::collection::vec((1usize..12, 0usize..4, 0usize..3), 40),
        repeated in prop::collection::vec(0usize..40, 0..8),
    ) {
        let world = world(count);
        let mut expected = rows(world.join("\n").as_bytes());
        prop_assert_eq!(expected.len(), count, "every record is one of its own");
        let mut chosen: Vec<usize> = order.into_iter().filter(|at| *at < count).collect();
        for at in repeated.into_iter().filter(|at| *at < count) {
            chosen.push(at);
            *expected.get_mut(rows(world[at].as_bytes()).keys().next().unwrap()).unwrap() += 1;
        }
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let (mut left, mut file) = (chosen.as_slice(), 0);
        while !left.is_empty() {
            let (size, shape, pack) = files[file % files.len()];
            let (now, later) = left.split_at(size.min(left.len()));
            let guised: Vec<String> = now.iter().map(|at| spread(&world[*at], guises[*at])).collect();
            for (row, times) in rows(&packed(&shaped(&guised, shape), pack)) {
                *found.entry(row).or_default() += times;
            }
            (left, file) = (later, file + 1);
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn slices_are_the_whole(
        order in prop::collection::vec(0usize..5, 1..12), shape in 0usize..4, pack in 0usize..3,
        changes in prop::option::of(changes()), slice in 1usize..6_000,
        built in prop::option::of(prop::collection::vec(any::<prop::sample::Index>(), 0..20)),
        keep in prop::collection::vec(any::<bool>(), 1..4),
    ) {
        let made = records();
        let chosen: Vec<String> = order.iter().map(|at| made[*at].clone()).collect();
        let text = shaped(&chosen, shape).into_bytes();
        let text = changes.map_or(text.clone(), |changes| changed(&text, &changes));
        let bytes = if pack == 0 { text } else { gzip(&text) };
        let (limits, redaction) = (Limits::default(), Redaction::default());
        let whole = read_object(&nameless(), &bytes, &limits, &redaction);
        let mut room = Room::default();
        // Whether a column is built or looked up, it says the same.
        let schema = ingest::event::schema();
        let name = |at: &prop::sample::Index| schema.field(at.index(schema.fields().len())).name().as_str();
        let built = built.map(|built| Columns::of(built.iter().map(name)));
        let options = ReadOptions { built, slice_bytes: slice, ..ReadOptions::new(&limits, &redaction) };
        let mut rows = Vec::new();
        let mut quarantined = Vec::new();
        let told = |batch: &EventBatch| {
            let view = batch.view();
            (0..view.rows()).map(|row| view.to_json(row)).collect::<Vec<_>>()
        };
        let sliced = ObjectReader::open(&nameless(), &bytes, options, &mut room).and_then(|mut reader| {
            while let Some(slice) = reader.next()? {
                let found = told(&slice.batch);
                assert_eq!(told(&slice.batch.whole()), found);
                let kept: Vec<bool> = keep.iter().copied().cycle().take(found.len()).collect();
                let some = slice.batch.filter(&BooleanArray::from(kept.clone()));
                let expected: Vec<_> = found.iter().zip(&kept).filter(|(_, keep)| **keep).map(|(row, _)| row).collect();
                assert_eq!(told(&some).iter().collect::<Vec<_>>(), expected);
                assert_eq!(told(&some.whole()), told(&some));
                rows.extend(found);
                quarantined.extend(slice.quarantined);
            }
            Ok(reader.finish())
        });
        match (whole, sliced) {
            (Ok(whole), Ok(sliced)) => {
                let view = whole.batch.view();
                prop_assert_eq!(rows, (0..view.rows()).map(|row| view.to_json(row)).collect::<Vec<_>>());
                prop_assert_eq!(quarantined, whole.quarantined);
                prop_assert_eq!((sliced.read, sliced.ignored), (whole.read, whole.ignored));
            }
            (whole, sliced) => prop_assert_eq!(whole.err(), sliced.err()),
        }
    }
}
