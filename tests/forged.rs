//! Whoever may write to the queue may write anything: not one request leaves for a bucket that is not configured.

use crate::support::aws::Aws;
use crate::support::cloud::Cloud;
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::moto::Moto;
use crate::support::records::{self, Record};
use crate::support::remit::Service;
use crate::support::tally::Tally;
use serde_json::{Value, json};
use std::time::Duration;

/// The bucket that exists and is somebody else's, and names that are only like ours.
const BUCKETS: [&str; 12] = [
    "somebody-elses",
    "acme-logs-evil",
    "acme-log",
    "acme-logs.evil.example",
    "ACME-LOGS",
    "acme-logs/../somebody-elses",
    "somebody-elses/acme-logs",
    "arn:aws:s3:::somebody-elses",
    "arn:aws:s3:eu-west-1:999988887777:accesspoint/acme-logs",
    "169.254.169.254",
    "acme-logs?x=somebody-elses",
    "acme-logs@somebody-elses",
];

/// What nobody understands is quarantined the first time, and what is not there is hardly waited for.
pub const AT_ONCE: &str = "receives_max = 1\nretry_for = \"1s\"\nsweep = \"0s\"";

/// Forged notifications, each with what it is.
pub fn messages() -> Vec<(String, String)> {
    let key = "secret.json.gz";
    let s3 = |bucket: &str| {
        let object = json!({"bucket": {"name": bucket, "arn": "arn:aws:s3:::acme-logs"},
            "object": {"key": key, "size": 1, "eTag": "0", "versionId": "1"}});
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "eu-west-1", "s3": object}]})
    };
    let sns = |inner: &Value| {
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:999988887777:t", "Message": inner.to_string(),
            "SubscribeURL": "http://169.254.169.254/", "SigningCertURL": "http://somebody-elses/cert"})
    };
    let mut messages = Vec::new();
    for bucket in BUCKETS {
        let plain = s3(bucket);
        let mixed = {
            let mut mixed = s3("acme-logs");
            mixed["Records"][0]["s3"]["object"]["key"] = json!("absent.json.gz");
            mixed["Records"].as_array_mut().unwrap().push(plain["Records"][0].clone());
            mixed
        };
        let event = json!({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "account": "999988887777",
            "detail": {"bucket": {"name": bucket}, "object": {"key": key, "etag": "0"}}});
        let trail = json!({"s3Bucket": bucket, "s3ObjectKey": [key, "other.json.gz"]});
        let shapes = [
            ("S3", plain.clone()),
            ("SNS", sns(&plain)),
            ("EventBridge", event),
            ("CloudTrail", trail),
            ("mixed", mixed),
        ];
        messages.extend(shapes.map(|(shape, body)| (format!("{shape} {bucket}"), body.to_string())));
    }
    messages
}

/// Everything that was asked is of our queue and our bucket.
#[track_caller]
pub fn asks_for_nothing(aws: &Aws) {
    let is_ours = |what: &str| what == "q" || what.starts_with("acme-logs/");
    let foreign: Vec<_> = aws.log().into_iter().filter(|access| !is_ours(&access.what)).collect();
    assert_eq!(foreign, [], "not one request to a bucket that isn't listed");
}

#[test]
fn sixty_forged_messages_ask_for_nothing_and_are_kept_as_evidence() {
    let forged = messages();
    assert_eq!(forged.len(), 60);
    let aws = Aws::start();
    let queue = aws.queue("q");
    for bucket in ["somebody-elses", "acme-logs-evil", "acme-log"] {
        aws.bucket(bucket, "other");
        aws.queue("other");
        aws.put(bucket, "secret.json.gz", records::log_file(&[Record::of_agent("ant", "s3:DeleteObject")]));
    }
    aws.bucket("acme-logs", "q");
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let keys = format!("in_flight = 64\n{AT_ONCE}");
    let port = folder.configure(&Config::default().queue_with(&aws.url, &queue, "acme-logs", &keys));
    let service = Service::run(folder.path(), port);
    for (number, (_, body)) in forged.iter().enumerate() {
        aws.send("q", body);
        if number % 10 == 0 {
            let good = Record::of_agent("ant", "s3:GetObject").number(number);
            aws.put("acme-logs", &records::key(number), records::log_file(&[good]));
        }
    }
    eventually("the queue is empty", Duration::from_secs(120), || {
        // The mixed ones name one absent object, and those that find it held come back later.
        aws.expire("q");
        std::thread::sleep(Duration::from_millis(500));
        aws.messages("q") == (0, 0)
    });
    asks_for_nothing(&aws);
    let tally = Tally::of(folder.path());
    assert_eq!((tally.stored, tally.events.len()), (6, 6), "the good ones between them are judged");
    let kept: i64 = tally.reasons.values().sum();
    println!("{:?}", tally.reasons);
    assert!(kept >= 48, "evidence of each: {:?}", tally.reasons);
    assert!(tally.reasons.get("forbidden_bucket").is_some_and(|count| *count >= 12), "{:?}", tally.reasons);
    assert!(!service.stderr().contains("panicked"), "{}", service.stderr());
}

#[test]
fn forged_messages_in_a_queue_of_moto_are_kept_as_evidence_too() {
    let moto = Moto::start();
    let cloud = Cloud::at(&moto.url);
    let queue = cloud.bucket_with_queue("acme-logs", "q");
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let forged: Vec<_> = messages().into_iter().filter(|(shape, _)| !shape.starts_with("mixed")).collect();
    forged.iter().for_each(|(_, body)| cloud.send(&queue, body));
    cloud.put("acme-logs", &records::key(1), records::log_file(&[Record::of_agent("ant", "s3:GetObject")]));
    let port = folder.configure(&Config::default().queue_with(&moto.url, &queue, "acme-logs", AT_ONCE));
    let _service = Service::run(folder.path(), port);
    eventually("the queue is empty", Duration::from_secs(120), || cloud.messages(&queue) == (0, 0));
    let tally = Tally::of(folder.path());
    assert_eq!(tally.stored, 1);
    // CloudTrail's own tell of two objects each; where the bucket's name can be none, the message is one bad thing.
    let bad = tally.reasons.get("bad_notification").copied().unwrap_or_default();
    let foreign = tally.reasons.get("forbidden_bucket").copied().unwrap_or_default();
    assert_eq!((bad % 4, foreign), (0, (12 - bad / 4) * 5), "{:?}", tally.reasons);
}
