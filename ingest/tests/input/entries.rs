//! Where strangers' bytes come in, and what is promised of any answer. Property tests ask these with inputs that they make,
//! `tests/fuzz` with whatever leads into code that was not reached yet.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use ingest::digest::{Digest, DigestName, KeyRing, LogName, Metadata, Place, Shelf};
use ingest::{
    EventBatch, Limits, Notification, ObjectError, ObjectReader, ObjectRef, ReadOptions, Redaction, Room,
    inflate, quarantine, read_object, read_record,
};
use serde_json::{Value, json};

/// One way in: it panics where a promise is broken.
pub type Entry = fn(&[u8]);

/// All of them, by the names that `tests/fuzz` has for them.
pub const ALL: [(&str, Entry); 7] = [
    ("object", object),
    ("record", record),
    ("notification", notification),
    ("key", key),
    ("names", names),
    ("digest", digest),
    ("redaction", redaction),
];

/// Small, so that small inputs reach them.
pub fn limits() -> Limits {
    Limits {
        compressed_bytes_max: 20_000,
        inflated_bytes_max: 50_000,
        record_bytes_max: 8_000,
        depth_max: 12,
        records_max: 40,
        ..Limits::default()
    }
}

/// Reads `bytes` and holds the answer against what is promised of any.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Value>, ObjectError> {
    let read = read_object(&nameless(), bytes, limits, &Redaction::default())?;
    let rows = read.batch.rows();
    assert_eq!(read.read, (rows + read.quarantined.len()) as u64, "everything is accounted for");
    assert!(read.ignored.is_none() || read.read == 0, "what is ignored has no records");
    assert!(rows <= limits.records_max as usize);
    let view = read.batch.view();
    let plain = inflate(bytes, limits)?.len();
    let mut events = Vec::new();
    let mut places: Vec<u32> = read.quarantined.iter().filter_map(|quarantined| quarantined.row).collect();
    for row in 0..rows {
        let event = view.to_json(row);
        for (column, value) in event.as_object().unwrap() {
            let bytes = value.as_str().map_or(0, str::len);
            // A surrogate alone (6 bytes) becomes three marks of 3; `"pin":1` may grow by the word for it.
            assert!(bytes <= 3 * plain + 64, "{column} has {bytes} bytes, of {plain}");
        }
        for required in ["event_id", "time", "service", "operation", "provider", "outcome"] {
            assert!(event.get(required).is_some(), "no {required}: {event}");
        }
        places.push(view.row(row).unwrap());
        events.push(event);
    }
    places.sort_unstable();
    assert_eq!(places, (0..read.read as u32).collect::<Vec<_>>(), "every record has a place of its own");
    for quarantined in &read.quarantined {
        assert!(quarantined.head.len() <= quarantine::HEAD_BYTES_MAX && quarantined.detail.len() <= 256);
        assert!(quarantine::reason::ALL.contains(&quarantined.reason), "{}", quarantined.reason);
    }
    Ok(events)
}

/// An object of any format and packing: everything in it is accounted for, and slices are the whole.
pub fn object(bytes: &[u8]) {
    let limits = limits();
    let whole = read(bytes, &limits);
    let (redaction, mut room, mut rows) = (Redaction::default(), Room::default(), Vec::new());
    let options = ReadOptions { slice_bytes: 1_000, ..ReadOptions::new(&limits, &redaction) };
    let told =
        |batch: &EventBatch| (0..batch.rows()).map(|row| batch.view().to_json(row)).collect::<Vec<_>>();
    let object = nameless();
    let sliced = ObjectReader::open(&object, bytes, options, &mut room).and_then(|mut reader| {
        while let Some(slice) = reader.next()? {
            rows.extend(told(&slice.batch));
        }
        Ok(())
    });
    assert_eq!(whole, sliced.map(|()| rows));
}

/// One record: it says the same as when `serde_json` spells it anew, without white space, escapes and order.
pub fn record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (limits, redaction) = (Limits::default(), Redaction::default());
    let (Ok(read), Ok(value)) = (read_record(text, &limits, &redaction), serde_json::from_str::<Value>(text))
    else {
        return;
    };
    if read.rows() != 1 || read.view().provider(0) != Some("aws") || value.get("eventID").is_none() {
        return;
    }
    let again = read_record(&value.to_string(), &limits, &redaction).unwrap();
    assert_eq!(essence(read.view().to_json(0)), essence(again.view().to_json(0)));
}

/// A row with the JSON in it as a value. Numbers with a fraction are left out: spelled anew they may differ in the last digit.
fn essence(row: Value) -> Value {
    match row {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, essence(value))).collect(),
        Value::Array(values) => values.into_iter().map(essence).collect(),
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(&text).map_or(Value::String(text), essence)
        }
        Value::Number(number) if number.is_f64() => Value::Null,
        other => other,
    }
}

/// A message about objects is understood within bounds, or refused; wrapped once more it says the same.
pub fn notification(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let told = ingest::notification(text);
    if let Ok(Notification::Objects(objects)) = &told {
        assert!(objects.len() <= text.len());
        for object in objects {
            assert!(!object.key.is_empty() && object.key.len() <= 1_024);
            assert!(!object.bucket.is_empty() && object.bucket.len() <= 255 && !object.bucket.contains('/'));
        }
    }
    let wrapped = ingest::notification(&json!({"Type": "Notification", "Message": text}).to_string());
    // It may now be wrapped too often, or be too large.
    if wrapped.is_ok() {
        assert_eq!(wrapped, told);
    }
}

/// A key as a notification writes it is decoded once, or refused.
pub fn key(bytes: &[u8]) {
    let Ok(written) = std::str::from_utf8(bytes) else { return };
    let expected = slowly_decoded(written).and_then(|bytes| String::from_utf8(bytes).ok());
    assert_eq!(decoded_key(written), expected.filter(|key| !key.is_empty() && key.len() <= 1_024));
}

/// The names of files: a log's, a digest's, or nobody's.
pub fn names(bytes: &[u8]) {
    let Ok(key) = std::str::from_utf8(bytes) else { return };
    assert!(LogName::parse(key).is_none() || DigestName::parse(key).is_none(), "{key:?} is one of them");
    let place = Place::new("logs", key);
    assert_eq!(place.log_name().is_some(), LogName::parse(key).is_some());
    assert_eq!(place.digest_name().is_some(), DigestName::parse(key).is_some());
    let _ = (Shelf::of_log(key), Shelf::day_of_log(key));
}

/// A digest that nobody's key signed is never believed; lists of keys are read as they are written.
pub fn digest(bytes: &[u8]) {
    let told = |key: &str| Some(serde_json::from_slice::<Value>(bytes).ok()?.get(key)?.as_str()?.to_owned());
    let place =
        Place::new(told("digestS3Bucket").unwrap_or_default(), told("digestS3Object").unwrap_or_default());
    let metadata = Metadata {
        signature: Some("5a".repeat(256)),
        algorithm: Some("SHA256withRSA".to_owned()),
        ..Metadata::default()
    };
    assert!(Digest::verify(&place, &gzip(bytes), &metadata, &KeyRing::default()).is_err());
    let _ = Metadata::parse(bytes);
    if let Ok(keys) = KeyRing::list(bytes) {
        let listed = KeyRing::listed(&keys).to_string();
        assert_eq!(KeyRing::list(listed.as_bytes()).unwrap(), keys);
        let _ = KeyRing::parse(bytes);
    }
}

/// Text of any kind, without its secrets: bounded, JSON if it was some, and nothing more to take out.
pub fn redaction(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let redaction = Redaction::default();
    let redacted = redaction.text(text);
    assert!(redacted.len() <= 3 * text.len() + 64, "{} of {}", redacted.len(), text.len());
    assert_eq!(redaction.text(&redacted), redacted);
    if serde_json::from_str::<Value>(text).is_ok() {
        for redacted in [&redacted, &redaction.deep(text)] {
            assert!(serde_json::from_str::<Value>(redacted).is_ok(), "{redacted}");
        }
    }
}

/// What S3 sends of an object.
pub fn s3_record(key: &str) -> Value {
    json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "logs"}, "object": {"key": key, "eTag": "e"}}})
}

/// What a key is when S3 has written it like this.
pub fn decoded_key(written: &str) -> Option<String> {
    match ingest::notification(&json!({"Records": [s3_record(written)]}).to_string()) {
        Ok(Notification::Objects(objects)) => Some(objects[0].key.clone()),
        _ => None,
    }
}

/// What forms mean by a key, one letter at a time; none where `%` stands alone.
fn slowly_decoded(written: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = written.replace('+', " ").into_bytes();
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if letters[at] == b'%' {
            let digits = letters.get(at + 1..at + 3)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            at += 3;
        } else {
            bytes.push(letters[at]);
            at += 1;
        }
    }
    Some(bytes)
}

/// An object of no interest.
pub fn nameless() -> ObjectRef {
    ObjectRef { source: "s".into(), bucket: "b".into(), key: "k".into(), version: String::new() }
}

/// Packed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
