//! Whatever comes in, a reader answers: it does not panic, it accounts for every record, and what it gives is bounded
//! by what it was given. `REMIT_CASES` sets how many inputs each property is tried on; 300 by default.

use std::borrow::Cow;
use std::io::{Read, Write};

use crate::entries::{self, decoded_key, gzip, limits, nameless, read, s3_record};
use crate::soup::{Change, changed, changes, config, json_like, json_value, records, shaped, word};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use ingest::{Limits, Redaction, denial, inflate, read_object};
use proptest::prelude::*;
use serde_json::{Value, json};

/// How S3 writes a key, in the most careful way: every byte that is no letter or digit as `%XX`.
fn encoded(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes_of_any_kind_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0usize..6) {
        let start: &[u8] = match kind {
            0 => b"",
            1 => b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff",
            2 => b"\x28\xb5\x2f\xfd",
            3 => b"{\"Records\":[",
            4 => b"\xef\xbb\xbf{",
            _ => b"[{\"eventID\":\"",
        };
        let bytes = [start, &bytes].concat();
        let _ = read(&bytes, &limits());
        let _ = read(&gzip(&bytes), &limits());
    }

    #[test]
    fn text_that_looks_like_json_is_answered(text in json_like()) {
        let _ = read(text.as_bytes(), &limits());
        let _ = ingest::read_record(&text, &limits(), &Redaction::default());
    }

    #[test]
    fn good_objects_that_were_changed_are_answered(
        order in prop::collection::vec(0usize..5, 1..6), shape in 0usize..4, changes in changes(), packed in any::<bool>(),
    ) {
        let records = records();
        let chosen: Vec<String> = order.iter().map(|at| records[*at].clone()).collect();
        let bytes = changed(shaped(&chosen, shape).as_bytes(), &changes);
        let _ = read(&bytes, &limits());
        if packed {
            let _ = read(&changed(&gzip(&bytes), &changes[..1]), &limits());
        }
    }

    #[test]
    fn a_changed_line_takes_nobody_with_it(at in 0usize..5, changes in changes()) {
        let records = records();
        // A line ends where it ends: a change that brings another is another test's.
        let bad: Vec<u8> = changed(records[at].as_bytes(), &changes).into_iter().filter(|byte| *byte != b'\n').collect();
        let text = [records[0].replace("\"e\"", "\"first\"").as_bytes(), &bad, records[0].replace("\"e\"", "\"last\"").as_bytes()].join(&b'\n');
        let events = read(&text, &Limits::default()).unwrap();
        let ids: Vec<&str> = events.iter().filter_map(|event| event["event_id"].as_str()).collect();
        prop_assert_eq!((ids.first(), ids.last()), (Some(&"first"), Some(&"last")));
    }

    #[test]
    fn a_record_alone_reads_as_in_its_object(at in 0usize..5, changes in changes()) {
        let text = changed(records()[at].as_bytes(), &changes);
        let Ok(text) = std::str::from_utf8(&text) else { return Ok(()) };
        let limits = Limits::default();
        let Ok(alone) = ingest::read_record(text, &limits, &Redaction::default()) else { return Ok(()) };
        let within = read_object(&nameless(), format!("[{text}]").as_bytes(), &limits, &Redaction::default()).unwrap();
        let plain = |mut event: Value| { event.as_object_mut().unwrap().remove("object"); event };
        for row in 0..alone.rows().min(1) {
            prop_assert_eq!(plain(alone.view().to_json(row)), plain(within.batch.view().to_json(row)));
        }
    }

    #[test]
    fn values_of_any_kind_are_answered(fields in prop::collection::btree_map(word(), json_value(), 0..12), identity in json_value()) {
        let mut record: Value = serde_json::from_str(&records()[0]).unwrap();
        for (field, value) in fields {
            record[field.as_str()] = value;
        }
        if let Some(caller) = record["userIdentity"].as_object_mut() {
            caller.insert("sessionContext".to_owned(), identity);
        }
        let _ = read(record.to_string().as_bytes(), &Limits::default());
    }

    #[test]
    fn callers_of_any_name_are_attributed(
        kind in "AssumedRole|Role|IAMUser|Root|AWSService|AWSAccount|SAMLUser|WebIdentityUser|FederatedUser|\\PC{0,9}",
        texts in prop::collection::vec("arn:aws:(sts|iam)::[0-9]{0,12}:(assumed-role|role|user)/[a-z/:é]{0,12}|\\PC{0,30}|[A-Z:/@.]{0,20}", 10),
    ) {
        let mut record: Value = serde_json::from_str(&records()[0]).unwrap();
        record["userIdentity"] = json!({
            "type": kind, "arn": texts[0], "principalId": texts[1], "accountId": texts[2], "accessKeyId": texts[3],
            "userName": texts[4], "invokedBy": texts[5], "identityProvider": texts[8],
            "sessionContext": {"sourceIdentity": texts[6], "sessionIssuer": {"arn": texts[7], "principalId": texts[1]},
                "webIdFederationData": {"federatedProvider": texts[8], "attributes": {texts[9].clone(): texts[7]}}},
            "onBehalfOf": {"userId": texts[8]}, "inScopeOf": {"credentialsIssuedTo": texts[9]},
        });
        record["userAgent"] = texts[9].clone().into();
        record["additionalEventData"] = json!({texts[8].clone(): texts[9]});
        record["sharedEventID"] = texts[9].clone().into();
        prop_assert_eq!(read(record.to_string().as_bytes(), &Limits::default()).unwrap().len(), 1);
    }

    #[test]
    fn times_of_any_kind_are_read_or_refused(time in "[0-9TZ:.+ -]{0,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?(Z|[+-][0-9]{2}:[0-9]{2})?|\\PC{0,30}") {
        let mut record: Value = serde_json::from_str(&records()[0]).unwrap();
        record["eventTime"] = time.clone().into();
        let events = read(record.to_string().as_bytes(), &Limits::default()).unwrap();
        if let Ok(right) = chrono::DateTime::parse_from_rfc3339(&time) {
            prop_assert_eq!(events.len(), 1, "{} is a time", time);
            let read = chrono::DateTime::parse_from_rfc3339(events[0]["time"].as_str().unwrap()).unwrap();
            prop_assert_eq!(read.timestamp_micros(), right.timestamp_micros());
        }
    }

    #[test]
    fn denials_of_any_wording_are_answered(text in "(User: |is not authorized to perform|: |\\[|\\]|s3:Get|, | on resource: |arn:aws:|\"|with an explicit deny| in a |service control policy|because no |identity-based policy|é|\\PC){0,30}") {
        if let Some(told) = denial::parse(&text) {
            prop_assert!(told.permissions.len() <= 20 && told.permissions.iter().all(|name| name.len() <= 128));
            prop_assert!(told.resource.is_none_or(|arn| arn.len() <= 2_048));
        }
    }

    #[test]
    fn messages_that_look_like_notifications_are_answered(text in json_like()) {
        entries::notification(text.as_bytes());
    }

    #[test]
    fn notifications_that_were_changed_are_answered(which in 0usize..5, wraps in 0usize..5, changes in changes()) {
        let s3 = json!({"Records": [s3_record("a+b%20c"), s3_record("b")]});
        let mut body = match which {
            0 | 1 => s3,
            2 => json!({"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {"name": "logs"}, "object": {"key": "k"}}}),
            3 => json!({"s3Bucket": "logs", "s3ObjectKey": ["a", "b"]}),
            _ => json!({"Records": [{"eventSource": "aws:sqs", "body": s3.to_string()}]}),
        };
        for _ in 0..wraps {
            body = json!({"Type": "Notification", "Message": body.to_string(), "SubscribeURL": "https://attacker.example"});
        }
        let text = changed(body.to_string().as_bytes(), &changes);
        entries::notification(&text);
    }

    #[test]
    fn a_key_survives_being_written_as_s3_writes_it(key in "\\PC{1,60}|[a-z+% /.=&\\\\~\u{0}-\u{1f}]{1,40}") {
        prop_assume!(key.len() <= 1_024);
        prop_assert_eq!(decoded_key(&encoded(&key)), Some(key));
    }

    #[test]
    fn keys_are_decoded_once_or_refused(written in "[a-f0-9%+]{0,30}|(%[0-9a-fA-F]{2}|%|\\+|é|x){0,20}") {
        entries::key(written.as_bytes());
    }

    #[test]
    fn every_entry_answers_what_any_other_takes(text in json_like(), value in json_value(), at in 0usize..5, changes in changes()) {
        let changed = changed(records()[at].as_bytes(), &changes);
        for (_, entry) in entries::ALL {
            entry(text.as_bytes());
            entry(value.to_string().as_bytes());
            entry(&changed);
        }
    }

    #[test]
    fn no_secret_survives_redaction(value in json_value(), name in "password|MasterUserPassword|api_key|sessionToken|secret-access-key|passw\\\\u006frd", cut in any::<prop::sample::Index>()) {
        let secret = json!({"a": value, "b": ["CANARY", {"c": "CANARY"}]}).to_string();
        let text = format!("{{\"before\":[{value}],\"{name}\":{secret},\"after\":{value}}}");
        let redaction = Redaction::default();
        let redacted = redaction.text(&text);
        prop_assert!(!redacted.contains("CANARY"), "{}", redacted);
        prop_assert!(serde_json::from_str::<Value>(&redacted).is_ok(), "{}", redacted);
        // Cut anywhere, as a record in quarantine is.
        let cut = text.floor_char_boundary(cut.index(text.len()));
        prop_assert!(!redaction.text(&text[..cut]).contains("CANARY"));
    }

    #[test]
    fn inflating_never_disagrees_with_the_slow_way(plain in prop::collection::vec(any::<u8>(), 0..2_000), repeat in 1usize..40, changes in changes()) {
        let limits = Limits::default();
        let plain = plain.repeat(repeat);
        let packed = gzip(&plain);
        prop_assert_eq!(inflate(&packed, &limits).map(Cow::into_owned), Ok(plain.clone()));
        let broken = changed(&packed, &changes);
        if broken.starts_with(b"\x1f\x8b") && let Ok(fast) = inflate(&broken, &limits) {
            let mut slow = Vec::new();
            let mut decoder = GzDecoder::new(&broken[..]);
            match decoder.read_to_end(&mut slow) {
                Ok(_) => {
                    prop_assert_eq!(fast.as_ref(), slow);
                    prop_assert_eq!(decoder.into_inner(), b"", "what is behind is refused");
                }
                // A code that nothing uses may be damaged: one reader minds, and the sum still proves the text.
                Err(_) => prop_assert_eq!(fast.as_ref(), plain, "what is damaged is refused"),
            }
        }
    }

    #[test]
    fn nothing_behind_a_member_goes_unseen(
        plain in prop::collection::vec(any::<u8>(), 0..300), other in prop::collection::vec(any::<u8>(), 0..300),
        again in any::<bool>(), level in 0u32..3, noise in prop::collection::vec(any::<u8>(), 0..9), footers in 0usize..3,
    ) {
        let pack = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        // What the member ends with, also inside of it: whoever looks for its end by that must not be led astray.
        let whole = pack(&plain);
        let footer = &whole[whole.len() - 8..];
        let plain = [&plain[..], &footer.repeat(footers)].concat();
        let member = pack(&plain);
        prop_assert_eq!(inflate(&member, &Limits::default()).map(Cow::into_owned), Ok(plain));
        let footer = &member[member.len() - 8..];
        let behind = if again { member.clone() } else { pack(&other) };
        for behind in [behind, [&noise[..], footer].concat(), footer.repeat(2), [&noise[..], b"\0"].concat()] {
            let error = inflate(&[&member[..], &behind].concat(), &Limits::default()).unwrap_err();
            prop_assert_eq!(error.reason(), "gzip_trailing");
        }
    }

    #[test]
    fn nothing_inflates_beyond_the_limits(byte in any::<u8>(), megabytes in 1usize..6, says in any::<u32>(), noise in prop::collection::vec(any::<u8>(), 0..50)) {
        let mut packed = gzip(&vec![byte; megabytes << 20]);
        let end = packed.len();
        packed[end - 4..].copy_from_slice(&says.to_le_bytes());
        packed.extend(noise);
        let limits = Limits { inflated_bytes_max: 3 << 20, ..Limits::default() };
        let is_bounded = match inflate(&packed, &limits) {
            Ok(plain) => plain.len() as u64 <= limits.inflated_bytes_max,
            Err(_) => true,
        };
        prop_assert!(is_bounded);
    }
}

#[test]
fn changes_change() {
    let text = b"hello, world";
    assert_eq!(changed(text, &[Change::Set(0, b'j')]), b"jello, world");
    assert_eq!(changed(text, &[Change::Cut(5, 100)]), b"hello");
}
