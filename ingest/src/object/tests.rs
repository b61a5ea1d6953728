use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;

fn object() -> ObjectRef {
    ObjectRef { source: "s".into(), bucket: "logs".into(), key: "k.json.gz".into(), version: String::new() }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn event(number: usize, more: &str) -> String {
    format!(
        r#"{{"eventID":"{number}","eventTime":"2026-01-05T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","userAgent":"é{}"{more}}}"#,
        "x".repeat(number % 300)
    )
}

fn records(count: usize, more: &str) -> String {
    let events: Vec<String> = (0..count).map(|number| event(number, more)).collect();
    format!("{{\"Records\":[{}]}}", events.join(","))
}

/// Ids and rows of all slices, and the reasons of what could not be read.
fn sliced(
    bytes: &[u8],
    options: ReadOptions<'_>,
) -> Result<(Vec<String>, Vec<&'static str>, Summary), ObjectError> {
    let mut room = Room::default();
    let mut reader = ObjectReader::open(&object(), bytes, options, &mut room)?;
    let (mut ids, mut reasons) = (Vec::new(), Vec::new());
    while let Some(slice) = reader.next()? {
        let view = slice.batch.view();
        ids.extend((0..view.rows()).map(|row| format!("{} at {:?}", view.event_id(row), view.row(row))));
        reasons.extend(slice.quarantined.iter().map(|quarantined| quarantined.reason));
    }
    Ok((ids, reasons, reader.finish()))
}

#[test]
fn slices_together_are_the_object() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    // More than one window of what is in memory, and letters of two bytes where windows are cut.
    let array = records(3000, "");
    let lines: String = (0..3000).map(|number| event(number, "") + "\n").collect();
    let broken = array.replace("\"eventID\":\"7\"", "\"eventID\":7");
    for text in [array, lines, broken] {
        let whole = read_object(&object(), text.as_bytes(), &limits, &redact).unwrap();
        for bytes in
            [text.clone().into_bytes(), gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).unwrap()]
        {
            for slice_bytes in [9_000, 300_000, usize::MAX] {
                let options = ReadOptions { slice_bytes, ..ReadOptions::new(&limits, &redact) };
                let (ids, reasons, summary) = sliced(&bytes, options).unwrap();
                let view = whole.batch.view();
                let expected: Vec<String> = (0..view.rows())
                    .map(|row| format!("{} at {:?}", view.event_id(row), view.row(row)))
                    .collect();
                assert_eq!(ids, expected, "slices of {slice_bytes}");
                assert_eq!(reasons.len(), whole.quarantined.len());
                assert_eq!((summary.read, summary.ignored), (3000, None));
            }
        }
    }
}

#[test]
fn an_object_larger_than_memory_should_be_is_inflated_as_it_is_read() {
    let (limits, redact) = (Limits { ratio_max: u64::MAX, ..Limits::default() }, Redaction::default());
    let padding = format!(r#","requestParameters":{{"a":"{}"}}"#, "pad ".repeat(100_000));
    // 80 MB, in records of 400 KB; the last but one is broken.
    let text = records(200, &padding).replace("\"eventID\":\"198\"", "\"eventID\":198");
    let options = ReadOptions::new(&limits, &redact).columns(Columns::of(["event_id", "row"]));
    for bytes in [gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).unwrap()] {
        let mut room = Room::default();
        let mut reader = ObjectReader::open(&object(), &bytes, options, &mut room).unwrap();
        let (mut slices, mut rows, mut reasons) = (0, 0, Vec::new());
        while let Some(slice) = reader.next().unwrap() {
            slices += 1;
            rows += slice.batch.rows();
            reasons.extend(slice.quarantined.iter().map(|quarantined| quarantined.reason));
        }
        assert_eq!((rows, reasons, reader.finish().read), (199, vec![reason::WRONG_TYPE], 200));
        assert!(slices >= 4, "{slices}");
        assert!(room.inflater.size() <= 40 << 20, "{}", room.inflater.size());
    }
    let mut damaged = gzip(text.as_bytes());
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    assert_eq!(sliced(&damaged, options).unwrap_err().reason(), reason::GZIP_CORRUPT, "told at the end");
    let trailing = [gzip(text.as_bytes()), gzip(b"{}")].concat();
    assert_eq!(sliced(&trailing, options).unwrap_err().reason(), reason::GZIP_TRAILING);
}

#[test]
fn a_bomb_of_zstd_is_stopped() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    let bomb = zstd::encode_all(vec![b' '; 64 << 20].as_slice(), 1).unwrap();
    let refused = |bytes: &[u8]| read_object(&object(), bytes, &limits, &redact).unwrap_err().reason();
    assert_eq!(refused(&bomb), reason::GZIP_RATIO);
    let good = zstd::encode_all(records(3, "").as_bytes(), 1).unwrap();
    assert_eq!(refused(&good[..good.len() - 3]), reason::GZIP_TRUNCATED);
    assert_eq!(read_object(&object(), &good, &limits, &redact).unwrap().read, 3);
}

#[test]
fn bytes_of_another_encoding_cost_only_their_record() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    let text = records(3000, "");
    let mut bytes = text.into_bytes();
    let at = bytes.len() / 2;
    let letter = at + bytes[at..].iter().position(|byte| *byte == 0xc3).unwrap();
    bytes[letter] = 0xff;
    let read = read_object(&object(), &gzip(&bytes), &limits, &redact).unwrap();
    assert_eq!(
        (read.read, read.batch.rows(), read.quarantined[0].reason),
        (3000, 2999, reason::BAD_ENCODING)
    );
}

#[test]
fn only_the_columns_that_are_wanted_are_built() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    let options =
        ReadOptions::new(&limits, &redact).columns(Columns::of(["operation", "event_id", "nonsense"]));
    let read = read_object_with(&object(), records(2, "").as_bytes(), options).unwrap();
    let names: Vec<_> =
        read.batch.table().schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["event_id", "operation"]);
    assert_eq!((read.batch.view().operation(1), read.batch.view().service(1)), (Some("GetObject"), None));
    let none =
        read_object_with(&object(), records(2, "").as_bytes(), options.columns(Columns::NONE)).unwrap();
    assert_eq!((none.batch.rows(), none.read), (2, 2));
}

#[test]
fn only_what_was_asked_for_is_looked_up_and_never_a_secret() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    let more = r#","requestParameters":{"password":"hunter2"},"sourceIPAddress":"192.0.2.1""#;
    let text = records(1, more);
    let read = |columns: Columns| {
        let options = ReadOptions {
            built: Some(Columns::of(["operation"])),
            slice_bytes: 1 << 20,
            ..ReadOptions::new(&limits, &redact).columns(columns)
        };
        let mut room = Room::default();
        ObjectReader::open(&object(), text.as_bytes(), options, &mut room)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .batch
    };
    let batch = read(Columns::ALL);
    assert!(batch.column("request").is_none());
    assert_eq!(batch.view().request(0), Some(r#"{"password":"[redacted]"}"#));
    assert_eq!(batch.view().source_ip(0), Some("192.0.2.1"));
    let batch = read(Columns::of(["operation", "source_ip"]));
    let view = batch.view();
    assert_eq!((view.request(0), view.event_id(0), view.source_ip(0)), (None, "", Some("192.0.2.1")));
    assert_eq!(batch.table().num_columns(), 2);
}

#[test]
fn a_column_alone_says_what_it_says_among_all() {
    let more = r#","userIdentity":{"type":"AssumedRole","principalId":"AROA1:s","accountId":"1","accessKeyId":"ASIA1","arn":"arn:aws:sts::1:assumed-role/Bot/s","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/Bot"},"attributes":{"creationDate":"2026-01-05T09:00:00Z"}},"invokedBy":"aws-mcp.amazonaws.com","inScopeOf":{"sourceArn":"w"},"onBehalfOf":{"userId":"u"}},"errorCode":"AccessDenied","errorMessage":"x is not authorized to perform: s3:GetObject with an explicit deny in a service control policy","eventCategory":"Data","sourceIPAddress":"198.51.100.7","requestParameters":{"password":"p"},"resources":[{"ARN":"arn:aws:s3:::b"}]"#;
    let (limits, redact) = (Limits::default(), Redaction::default());
    let all = ReadOptions::new(&limits, &redact);
    let text = records(1, more);
    let whole = read_object_with(&object(), text.as_bytes(), all).unwrap().batch.view().to_json(0);
    for field in crate::event::schema().fields() {
        let one = all.columns(Columns::of([field.name().as_str()]));
        let read = read_object_with(&object(), text.as_bytes(), one).unwrap();
        assert_eq!(
            read.batch.view().to_json(0).get(field.name()),
            whole.get(field.name()),
            "{}",
            field.name()
        );
    }
}

#[test]
fn what_is_known_of_a_caller_is_his_alone() {
    let identity = |kind: &str, issuer: &str| {
        format!(
            r#","userIdentity":{{"type":"{kind}","principalId":"AROAEXAMPLE:session-of-a-long-name","arn":"arn:aws:sts::111122223333:assumed-role/Bot/session-of-a-long-name","accountId":"111122223333","sessionContext":{{"sessionIssuer":{{"arn":"{issuer}"}}}}}}"#
        )
    };
    // The same bytes where callers are told apart at first, and something else behind.
    let (one, other) =
        (identity("AssumedRole", "arn:aws:iam::1:role/a"), identity("AssumedRole", "arn:aws:iam::1:role/b"));
    let events: Vec<String> = [&one, &one, &other, &one, &other, &other]
        .iter()
        .enumerate()
        .map(|(at, who)| event(at, who))
        .collect();
    let text = format!("[{}]", events.join(","));
    let read = read_object(&object(), text.as_bytes(), &Limits::default(), &Redaction::default()).unwrap();
    let view = read.batch.view();
    let actors: Vec<_> = (0..6).filter_map(|row| view.actor(row)?.chars().last()).collect();
    assert_eq!(actors, ['a', 'a', 'b', 'a', 'b', 'b']);
    // What was read under one limit is not believed under a stricter one.
    let strict = Limits { depth_max: 3, ..Limits::default() };
    let read = read_object(&object(), text.as_bytes(), &strict, &Redaction::default()).unwrap();
    assert_eq!((read.batch.rows(), read.quarantined[0].reason), (0, reason::TOO_DEEP));
}

#[test]
fn what_is_looked_up_outlives_its_object() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    let built = Some(Columns::of(["operation"]));
    let options = ReadOptions { built, slice_bytes: 1 << 20, ..ReadOptions::new(&limits, &redact) };
    // Large enough that records are left where they were inflated; a text in escapes and a secret stand beside them.
    let more = |who: &str| {
        let pad = "pad ".repeat(500);
        format!(
            r#","requestParameters":{{"password":"x","who":"{who}"}},"sourceIPAddress":"\u0041 {who}{pad}","resources":[{{"ARN":"{who}"}},{{"ARN":"\u0042 {who}"}}]"#
        )
    };
    let mut room = Room::default();
    let mut kept = Vec::new();
    for who in ["one", "two", "three"] {
        let bytes = gzip(records(1500, &more(who)).as_bytes());
        let mut reader = ObjectReader::open(&object(), &bytes, options, &mut room).unwrap();
        while let Some(slice) = reader.next().unwrap() {
            kept.push((who, slice.batch));
        }
        assert_eq!(reader.finish().read, 1500);
    }
    assert!(kept.len() > 6, "{}", kept.len());
    assert_eq!(kept.iter().map(|(_, batch)| batch.rows()).sum::<usize>(), 4500);
    let bytes = gzip(records(1500, &more("four")).as_bytes());
    let mut places = Vec::new();
    for _ in 0..3 {
        let mut reader = ObjectReader::open(&object(), &bytes, options, &mut room).unwrap();
        while reader.next().unwrap().is_some() {}
        places.push(room.inflater.place());
    }
    assert!(places.iter().all(|place| *place == places[0]), "what nobody keeps is used again: {places:?}");
    for (who, batch) in kept {
        let view = batch.view();
        for row in 0..batch.rows() {
            let told = (view.request(row).unwrap(), view.source_ip(row).unwrap(), view.event_id(row));
            assert_eq!(told.0, format!(r#"{{"password":"[redacted]","who":"{who}"}}"#));
            assert!(told.1.starts_with(&format!("A {who}pad ")), "{}", told.1);
            assert_eq!(view.resources(row), [who, &format!("B {who}")]);
            assert_eq!(Some(told.2), view.row(row).map(|row| row.to_string()).as_deref());
        }
        assert_eq!(batch.whole().view().request(0), view.request(0));
    }
}

#[test]
fn other_clouds_may_write_gzip_in_members_and_cloudtrail_may_not() {
    let (limits, redact) = (Limits::default(), Redaction::default());
    let google = |number: usize| {
        let entry = serde_json::json!({
            "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "insertId": format!("i{number}"),
            "timestamp": "2026-01-05T10:00:00Z", "resource": {"type": "gcs_bucket"},
            "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog",
                "serviceName": "storage.googleapis.com", "methodName": "storage.objects.get",
                "authenticationInfo": {"principalEmail": "bot@p.iam.gserviceaccount.com"}},
        });
        format!("{entry}\n")
    };
    let read = |bytes: &[u8]| -> Result<Vec<String>, ObjectError> {
        let read = read_object(&object(), bytes, &limits, &redact)?;
        let view = read.batch.view();
        Ok((0..view.rows()).map(|row| view.event_id(row).to_owned()).collect::<Vec<_>>())
    };
    let all: String = (0..5).map(google).collect();
    let members: Vec<u8> = (0..5).flat_map(|number| gzip(google(number).as_bytes())).collect();
    let whole = read(&gzip(all.as_bytes())).unwrap();
    assert_eq!(whole.len(), 5);
    assert_eq!(read(&members), Ok(whole), "a record for each member, as if they were one");
    // cut within a record
    let (start, end) = all.as_bytes().split_at(all.len() / 2);
    assert_eq!(read(&[gzip(start), gzip(end)].concat()).map(|ids| ids.len()), Ok(5));

    let ours = records(1, "");
    let line = format!("{}\n", ours.replace('\n', ""));
    for added in [gzip(line.as_bytes()), b"x".to_vec(), vec![0; 8]] {
        let after = [&members[..], &added].concat();
        assert_eq!(read(&after).unwrap_err().reason(), reason::GZIP_TRAILING, "{added:?}");
        let before = [gzip(line.as_bytes()), members.clone()].concat();
        assert_eq!(read(&before).unwrap_err().reason(), reason::GZIP_TRAILING);
    }
    let nothing = [gzip(b"{\"Records\":[]}"), gzip(b"\n")].concat();
    assert_eq!(read(&nothing).unwrap_err().reason(), reason::GZIP_TRAILING, "whose it is cannot be told");
    let half = gzip(line.as_bytes());
    let half = [gzip(line.as_bytes()), half[..half.len() / 2].to_vec()].concat();
    assert_eq!(read(&half).unwrap_err().reason(), reason::GZIP_TRAILING, "half a member is one too many");
    let cut = &members[..members.len() - 3];
    assert_eq!(read(cut).unwrap_err().reason(), reason::GZIP_TRUNCATED);
}
