use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn s3(key: &str) -> Value {
    json!({"eventVersion": "2.4", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "logs"}, "object": {"key": key, "size": 0, "eTag": "e1", "versionId": "v1"}}})
}

fn removed() -> Value {
    json!({"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": "logs"}, "object": {"key": "k"}}})
}

fn records(records: &[Value]) -> Value {
    json!({ "Records": records })
}

fn sns(message: &Value) -> Value {
    json!({"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "Message": message.to_string(),
        "SigningCertURL": "https://attacker.example/x.pem"})
}

fn keys(body: &Value) -> Vec<String> {
    match notification(&body.to_string()) {
        Ok(Notification::Objects(objects)) => objects.into_iter().map(|object| object.key).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_s3_notification_names_its_objects() {
    let expected = NotifiedObject {
        bucket: "logs".into(),
        key: "a/b.json.gz".into(),
        version: Some("v1".into()),
        etag: Some("e1".into()),
    };
    assert_eq!(
        notification(&records(&[s3("a/b.json.gz")]).to_string()),
        Ok(Notification::Objects(vec![expected]))
    );
    assert_eq!(keys(&records(&[s3("one"), s3("two")])), ["one", "two"]);
}

#[test]
fn keys_of_s3_are_decoded_once() {
    for (written, key) in
        [("a+b", "a b"), ("a%2Bb", "a+b"), ("a%252Bb", "a%2Bb"), ("%C3%A9%2f+", "é/ "), ("é", "é")]
    {
        assert_eq!(keys(&records(&[s3(written)])), [key]);
    }
    for written in ["a%", "a%2", "a%zz", "%ff", ""] {
        let error = notification(&records(&[s3(written)]).to_string()).unwrap_err();
        assert_eq!(error.reason(), reason::BAD_KEY, "{written}");
    }
}

#[test]
fn keys_of_eventbridge_are_as_they_are() {
    let event = |kind: &str, key: &str| {
        json!({"detail-type": kind, "source": "aws.s3",
            "detail": {"bucket": {"name": "logs"}, "object": {"key": key, "etag": "e", "version-id": "v"}}})
    };
    assert_eq!(keys(&event("Object Created", "a+b%20c")), ["a+b%20c"]);
    let ignored = |kind| notification(&event(kind, "k").to_string());
    assert_eq!(ignored("Object Deleted"), Ok(Notification::Ignored("object_removed")));
    assert_eq!(ignored("Object Tags Added"), Ok(Notification::Ignored("not_created")));
    assert!(ignored("Bucket Sold").is_err());
}

#[test]
fn cloudtrail_names_many_objects_at_once() {
    let native = json!({"s3Bucket": "logs", "s3ObjectKey": ["a+1.json.gz", "b.json.gz"]});
    assert_eq!(keys(&native), ["a+1.json.gz", "b.json.gz"]);
    assert_eq!(keys(&sns(&native)), ["a+1.json.gz", "b.json.gz"]);
    assert!(notification(&json!({"s3Bucket": "logs", "s3ObjectKey": ["a", 5]}).to_string()).is_err());
}

#[test]
fn envelopes_are_opened_three_deep_and_no_deeper() {
    let mut body = records(&[s3("k")]);
    for _ in 0..3 {
        body = sns(&body);
        assert_eq!(keys(&body), ["k"]);
    }
    assert_eq!(notification(&sns(&body).to_string()), Err(NotificationError::TooDeep));
}

#[test]
fn envelopes_of_lambda_are_opened_too() {
    let sqs = json!({"Records": [{"eventSource": "aws:sqs", "body": sns(&records(&[s3("k")])).to_string()}]});
    assert_eq!(keys(&sqs), ["k"]);
    let sns = json!({"Records": [{"EventSource": "aws:sns", "Sns": sns(&records(&[s3("k")]))}]});
    assert_eq!(keys(&sns), ["k"]);
}

#[test]
fn what_asks_for_nothing_is_ignored_with_a_reason() {
    let ignored = |body: Value| notification(&body.to_string());
    assert_eq!(ignored(json!({"Event": "s3:TestEvent"})), Ok(Notification::Ignored("test_event")));
    assert_eq!(ignored(sns(&json!({"Event": "s3:TestEvent"}))), Ok(Notification::Ignored("test_event")));
    assert_eq!(ignored(records(&[removed()])), Ok(Notification::Ignored("object_removed")));
    assert_eq!(ignored(records(&[])), Ok(Notification::Ignored("empty")));
    let subscribe = json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://attacker.example"});
    assert_eq!(ignored(subscribe), Ok(Notification::Ignored("subscription")));
    assert_eq!(keys(&records(&[removed(), s3("k")])), ["k"], "what is left counts");
}

#[test]
fn one_bad_record_makes_the_message_an_error() {
    for bad in
        [json!({}), json!(7), json!({"eventName": "ObjectCreated:Put", "s3": {}}), json!({"s3": {"x": 1}})]
    {
        assert!(notification(&records(&[s3("good"), bad.clone()]).to_string()).is_err(), "{bad}");
    }
}

#[test]
fn a_bucket_cannot_be_a_path() {
    for bucket in ["", "a/b", "..\\x", "b?x", "a b"] {
        let mut record = s3("k");
        record["s3"]["bucket"]["name"] = bucket.into();
        assert_eq!(
            notification(&records(&[record]).to_string()),
            Err(NotificationError::BadField("bucket")),
            "{bucket}"
        );
    }
}

#[test]
fn what_is_no_notification_is_an_error() {
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    for body in ["", "{not json", "[]", "7", "{}", r#"{"source":"aws.ec2","detail-type":"x"}"#, &huge] {
        assert!(notification(body).is_err());
    }
}

proptest! {
    #[test]
    fn no_text_panics(body in ".{0,200}") {
        let _ = notification(&body);
    }
}

fn conformance(path: &str) -> Option<PathBuf> {
    let Ok(root) = std::env::var("REMIT_CONFORMANCE") else {
        println!("skipped: REMIT_CONFORMANCE is not set");
        return None;
    };
    Some(PathBuf::from(root).join(path))
}

#[test]
fn published_bodies_are_understood() {
    let Some(path) = conformance("notifications/sqs_bodies.jsonl") else { return };
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let found = match notification(case["body"].as_str().unwrap()) {
            Ok(Notification::Objects(objects)) => {
                objects.iter().map(|object| json!({"bucket": object.bucket, "key": object.key})).collect()
            }
            Ok(Notification::Ignored(_)) => json!([]),
            Err(_) => Value::Null,
        };
        assert_eq!(found, case["expected"], "{}", case["id"]);
    }
}

/// Every message in the recordings, however deep it is put away in their own wrapping.
fn messages(recording: &Value, each: &mut dyn FnMut(&Value)) {
    match recording {
        Value::Object(map)
            if ["Records", "s3", "Type", "detail-type", "Event"].iter().any(|key| map.contains_key(*key)) =>
        {
            each(recording);
        }
        Value::Object(map) => map.values().for_each(|value| messages(value, each)),
        Value::Array(list) => list.iter().for_each(|value| messages(value, each)),
        _ => {}
    }
}

#[test]
fn recorded_messages_are_understood() {
    for folder in ["notifications/recorded", "notifications/raw"] {
        let Some(path) = conformance(folder) else { return };
        for file in std::fs::read_dir(path).unwrap() {
            let file = file.unwrap().path();
            let recording: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            messages(&recording, &mut |message| {
                let found = notification(&message.to_string());
                if folder.ends_with("recorded") && !file.to_string_lossy().contains("lambda") {
                    assert!(found.is_ok(), "{}: {found:?}: {message}", file.display());
                }
            });
        }
    }
}
