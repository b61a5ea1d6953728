//! The fast reader and `serde_json` read the same records: the same fields, the same refusals.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::keys::Slot;
use super::slots::Slots;
use super::{oracle, unread};
use crate::inflate::Limits;
use crate::keys::Keys;
use crate::redact::Redaction;

/// What the fast reader finds, in the oracle's order.
fn read(text: &str) -> Result<Vec<Option<String>>, &'static str> {
    let mut slots = Slots::default();
    let end = slots.read(text, 0, 127).map_err(|(fault, at)| unread(fault, at).reason)?;
    assert_eq!(end, text.len(), "{text}");
    let record = slots.record(text);
    let get = |slot| record.get(slot).map(str::to_owned);
    let flag = |slot| slots.fields.marks.flag(slot).map(|flag| flag.to_string());
    use Slot::*;
    let mut told: Vec<Option<String>> = [
        EventId,
        SharedEventId,
        EventTime,
        EventSource,
        EventName,
        EventType,
        EventCategory,
        ApiVersion,
        AwsRegion,
        RecipientAccount,
        RequestId,
        SourceIp,
        UserAgent,
        ErrorCode,
        ErrorMessage,
        VpcEndpointId,
    ]
    .map(get)
    .into();
    told.extend([ManagementEvent, ReadOnly, FromConsole].map(flag));
    told.extend([Identity, Issuer].map(|slot| Some(slots.fields.marks.has(slot).to_string())));
    let groups: [(Slot, &[Slot]); 9] = [
        (Identity, &[Kind, PrincipalId, Arn, AccountId, AccessKeyId, UserName, InvokedBy, IdentityProvider]),
        (SessionContext, &[SourceIdentity, SignInSession]),
        (Issuer, &[IssuerArn, IssuerPrincipalId, IssuerAccountId]),
        (Attributes, &[CreationDate, MfaAuthenticated]),
        (InScopeOf, &[CredentialsIssuedTo, SourceArn, IssuerType]),
        (OnBehalfOfObject, &[OnBehalfOf]),
        (Insight, &[InsightSource, InsightName]),
        (Tls, &[TlsVersion]),
        (Addendum, &[AddendumReason]),
    ];
    for (object, members) in groups {
        if slots.fields.marks.has(object) {
            told.extend(
                members.iter().map(|slot| if *slot == MfaAuthenticated { flag(*slot) } else { get(*slot) }),
            );
        }
    }
    told.extend([Request, Response, Additional, EventContext, Federation].map(get));
    for (slot, keys) in [(Request, record.request_keys()), (Additional, record.additional_keys())] {
        if let Some(raw) = record.get(slot) {
            assert_eq!(keys, Keys::of(raw), "{raw}");
        }
    }
    told.extend(record.resources().map(|arn| Some(arn.to_owned())));
    Ok(told)
}

/// Only texts that are one value are given to the readers: what balances is cut before.
fn agree(text: &str) -> Result<(), TestCaseError> {
    let whole = crate::token::balanced(text.as_bytes(), 0, &mut Vec::new());
    if !text.starts_with('{') || whole.is_none_or(|whole| whole.end != text.len() || whole.depth > 127) {
        return Ok(());
    }
    // An empty text says as little as a missing one.
    let filled = |told: Option<String>| told.filter(|text| !text.is_empty());
    let expected = oracle::read(text).map(|told| told.into_iter().map(filled).collect());
    prop_assert_eq!(read(text), expected, "{}", text);
    Ok(())
}

fn record() -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "principalId": "AROA:s", "arn": "arn:aws:sts::1:assumed-role/Bot/s",
            "accountId": "1", "accessKeyId": "ASIA1", "userName": "u", "identityProvider": "p",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROA", "arn": "arn:aws:iam::1:role/Bot",
                "accountId": "1", "userName": "Bot"}, "webIdFederationData": {"federatedProvider": "x"},
                "attributes": {"creationDate": "2026-01-05T09:30:00Z", "mfaAuthenticated": "false"},
                "sourceIdentity": "me", "signInSessionArn": "arn:x"},
            "invokedBy": "aws-mcp.amazonaws.com", "onBehalfOf": {"userId": "u-1", "identityStoreArn": "y"},
            "inScopeOf": {"sourceArn": "a", "issuerType": "b", "credentialsIssuedTo": "c"}},
        "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "GetObject",
        "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
        "userAgent": "a client \u{e9}\u{1F600} with \"quotes\" and \\ and \u{1}", "errorCode": "AccessDenied",
        "errorMessage": "User: x is not authorized to perform: s3:GetObject on resource: \"y\"",
        "requestParameters": {"policyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[]}", "n": [1, -2.5e3, null, true, {"a": {}}]},
        "responseElements": null, "additionalEventData": {"bytes": 0, "sessionToken": "x"}, "requestID": "R", "eventID": "E",
        "readOnly": true, "resources": [{"accountId": "1", "type": "t", "ARN": "arn:aws:s3:::b"}, {"ARN": "arn:aws:s3:::\u{e9}\n"}, null, {}],
        "eventType": "AwsApiCall", "apiVersion": "2006-03-01", "managementEvent": false, "recipientAccountId": "1",
        "sharedEventID": "S", "serviceEventDetails": {"a": 1}, "vpcEndpointId": "vpce-1", "vpcEndpointAccountId": "1",
        "eventCategory": "Data", "eventContext": {"tags": []},
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "c", "clientProvidedHostHeader": "h"},
        "sessionCredentialFromConsole": "true", "addendum": {"reason": "UPDATED_DATA"},
        "insightDetails": {"eventSource": "e", "eventName": "n"}
    })
}

/// The record in the order of its keys as CloudTrail writes them, which a tree of `serde_json` does not keep.
fn in_order() -> String {
    let record = record();
    let keys = super::keys::RECORD.iter().map(|key| key.name);
    let members: Vec<String> =
        keys.filter_map(|key| Some(format!("{}:{}", json!(key), record.get(key)?))).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn every_field_is_found_in_any_order() {
    for text in [record().to_string(), in_order(), serde_json::to_string_pretty(&record()).unwrap()] {
        let told = read(&text).unwrap();
        assert_eq!(Ok(&told), oracle::read(&text).as_ref());
        assert!(
            told.iter().filter(|field| field.is_none()).count() <= 1,
            "only the response is null: {told:?}"
        );
    }
}

#[test]
fn every_refusal_is_the_same() {
    let values = [
        "null",
        "true",
        "false",
        "tru",
        "nul",
        "0",
        "-0",
        "01",
        "1.",
        "1e5",
        "1e999",
        "-1e999",
        "0e999",
        "-",
        "+1",
        "1x",
        "\"\"",
        "\"text\"",
        "\"true\"",
        "\"True\"",
        "\"TRUE\"",
        "\"tr\\u0075e\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\u{1}b\"",
        "\"a\tb\"",
        "\"a\\\"b\"",
        "{}",
        "[]",
        "{\"a\":1}",
        "[1,2]",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{1:2}",
        "[1 2]",
        "[{}]",
        "[null]",
        "[{\"ARN\":1}]",
        "[{\"ARN\":\"x\",\"ARN\":\"y\"}]",
        "[[]]",
        "{\"arn\":\"a\",\"arn\":\"b\"}",
        "{\"type\":7}",
        "{\"\\ud800\":1}",
        "NaN",
        "1 ",
        " [ ] ",
        "{\"sessionContext\":{\"attributes\":{\"mfaAuthenticated\":\"maybe\"}}}",
        "{\"sessionContext\":[]}",
        "",
    ];
    for key in super::keys::RECORD {
        for value in values {
            for text in [
                format!("{{\"{}\":{value}}}", key.name),
                format!("{{ \"{}\" : {value} , \"eventID\":\"e\"}}", key.name),
                format!("{{\"{}\":{value},\"{}\":{value}}}", key.name, key.name),
                format!("{{\"{}\":{value},\"{}\" {value}}}", key.name, key.name),
                format!(
                    "{{\"\\u{:04x}{}\":{value},\"{}\":null}}",
                    key.name.as_bytes()[0],
                    &key.name[1..],
                    key.name
                ),
            ] {
                agree(&text).unwrap();
            }
        }
    }
}

#[test]
fn strings_of_every_length_end_where_they_end() {
    for length in 0..100 {
        for special in ["", "\\n", "\\\"", "\\\\", "\u{1}", "é", "\\ud800"] {
            for at in [0, length / 2, length] {
                let text = format!("{}{special}{}", "x".repeat(at), "y".repeat(length - at));
                for record in [
                    format!("{{\"userAgent\":\"{text}\",\"eventID\":\"e\"}}"),
                    format!("{{\"requestParameters\":\"{text}\"}}"),
                    format!("{{\"{text}\":1}}"),
                ] {
                    agree(&record).unwrap();
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Byte(usize, u8),
    Insert(usize, &'static str),
    Cut(usize, usize),
    Copy(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let pieces = prop::sample::select(vec![
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "null",
        "true",
        "0",
        "1e999",
        "-",
        "\u{0}",
        "\u{1f}",
        "\\u0041",
        "\\ud800",
        "\"arn\":\"x\",",
        "\"eventName\":null,",
        "\"type\":1,",
        "{}",
        "[]",
        "[[[[",
        "é",
        "\"x\":{\"password\":1},",
    ]);
    let at = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte & 0x7f)),
        (at(), pieces).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at(), 0usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        (at(), 0usize..60, at()).prop_map(|(from, length, to)| Change::Copy(from, length, to)),
    ]
}

fn changed(mut text: String, changes: &[Change]) -> String {
    for change in changes {
        let place = |at: usize| text.floor_char_boundary(at % (text.len() + 1));
        let span = |at: usize, length: usize| {
            place(at)..text.ceil_char_boundary((place(at) + length).min(text.len()))
        };
        match *change {
            Change::Byte(at, byte) => {
                let at = span(at, 1);
                text.replace_range(at, &char::from(byte).to_string());
            }
            Change::Insert(at, piece) => text.insert_str(place(at), piece),
            Change::Cut(at, length) => text.replace_range(span(at, length), ""),
            Change::Copy(from, length, to) => {
                let piece = text[span(from, length)].to_owned();
                text.insert_str(place(to), &piece);
            }
        }
    }
    text
}

/// JSON of any shape, with white space between its parts.
fn tree() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<f64>().prop_map(|n| json!(n).to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|s| json!(s).to_string()),
        "[-0-9.eE+]{1,6}",
    ];
    let space = || prop::sample::select(vec!["", "", " ", "\n\t"]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), space())
                .prop_map(|(list, space)| format!("[{space}{}{space}]", list.join(&format!("{space},")))),
            (prop::collection::vec((name(), inner), 0..4), space()).prop_map(|(map, space)| {
                let members: Vec<_> =
                    map.iter().map(|(key, value)| format!("{key}{space}:{space}{value}")).collect();
                format!("{{{space}{}{space}}}", members.join(&format!("{space},")))
            }),
        ]
    })
}

/// A key in quotes: a known one, also in escapes, or any.
fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "eventID",
        "eventName",
        "userIdentity",
        "sessionContext",
        "sessionIssuer",
        "arn",
        "type",
        "attributes",
        "mfaAuthenticated",
        "resources",
        "ARN",
        "tlsDetails",
        "tlsVersion",
        "readOnly",
        "requestParameters",
        "eventVersion",
        "addendum",
        "reason",
        "inScopeOf",
    ]);
    prop_oneof![
        4 => known.clone().prop_map(|name| format!("\"{name}\"")),
        1 => (known, any::<prop::sample::Index>()).prop_map(|(name, at)| {
            let at = at.index(name.len());
            format!("\"{}\\u{:04X}{}\"", &name[..at], name.as_bytes()[at], &name[at + 1..])
        }),
        1 => any::<String>().prop_map(|name| json!(name).to_string()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn records_that_somebody_changed(changes in prop::collection::vec(change(), 0..4), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&record()).unwrap() } else { in_order() };
        agree(&changed(text, &changes))?;
    }

    #[test]
    fn objects_of_any_members(members in prop::collection::vec((name(), tree()), 0..8)) {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        agree(&format!("{{{}}}", members.join(",")))?;
    }
}

/// Values with keys that are secrets', may be, or only sound so, within each other.
fn secretive() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 7] =
        ["password", "sessionToken", "hidden", "clientToken", "arguments", "Api_Key", "a"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        "[a-z\"\\\\{}:,é]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let key = prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn secrets_that_were_noted_are_those_that_are_found(
        request in secretive(), response in secretive(), spaced in any::<bool>(), veiled in any::<bool>(), own in any::<bool>(),
    ) {
        let written = |value: &Value| {
            let text = if spaced { format!("{value:#}") } else { value.to_string() };
            text.replace("\"hidden\"", if veiled { "\"passw\\u006frd\"" } else { "\"hidden\"" })
        };
        let (request, response) = (written(&request), written(&response));
        let record = format!(
            r#"{{"eventVersion":"1.11","eventID":"e","eventTime":"2026-01-05T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","requestParameters":{request},"responseElements":{response}}}"#
        );
        let redaction = if own { Redaction::with(["a"]) } else { Redaction::default() };
        let read = crate::read_record(&record, &Limits::default(), &redaction).unwrap();
        for (written, told) in [(request, read.view().request(0)), (response, read.view().response(0))] {
            // Of the space behind a number the one way takes more than the other.
            let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            let expected = (written != "null").then(|| redaction.text(&written).into_owned());
            prop_assert_eq!(told.map(parsed), expected.as_deref().map(parsed));
            prop_assert!(spaced || told == expected.as_deref());
        }
    }
}
