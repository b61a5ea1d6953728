//! What went wrong for others, each as a story of ours. Those that need no service stand beside the code they are about:
//!
//! | thread | test |
//! |---|---|
//! | vector#4910, redpanda-connect#4468, beats#30140 (no heartbeat) | `lease::a_message_stays_hidden_while_it_is_judged_and_not_longer` |
//! | data-prepper#4812 (heartbeat begins with the work) | `s3_sqs::a_message_that_waits_to_be_taken_stays_hidden` |
//! | vector#20172 (ten taken, however few are free) | `s3_sqs::no_more_is_received_than_there_are_free_slots` |
//! | vector#16741, beats#24601 (in flight for ever) | `health::a_source_whose_work_never_ends_says_so_and_a_busy_one_does_not` |
//! | vector#17075 (silent after a broken connection) | `s3_sqs::a_queue_that_has_messages_and_gives_none_is_told` |
//! | beats#38961 (acknowledged before the end) | `lease::the_last_object_deletes_the_message` |
//! | data-prepper#5172 (memory) | `memory::a_large_object_waits_until_the_others_are_gone` |
//! | vector#7437, vector#8185, vector#14438, vector#15331 (keys and envelopes) | `envelope::tests` |
//! | logstash-s3-sns-sqs#48 (defaults other than the docs') | `sources::defaults_are_those_of_the_docs` |
//! | quickwit#5338 (a shard acquired twice) | `store::a_worker_whose_lease_ran_out_is_fenced_off` |
//! | vector#20314 (credentials renewed) | `bucket::refused`: `ExpiredToken` is tried again |

use crate::support::aws::Aws;
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::records::{self, Record};
use crate::support::remit::{Service, findings};
use serde_json::json;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);

/// One agent, one bucket, one queue.
pub struct Stage {
    pub aws: Aws,
    pub folder: Folder,
    pub port: u16,
}

impl Stage {
    /// `keys`: further keys of the source.
    pub fn with(keys: &str) -> Stage {
        let aws = Aws::start();
        let queue = aws.queue("q");
        aws.bucket("acme-logs", "q");
        let folder = Folder::new();
        folder.agent("ant", &[("s3:GetObject", "*")]);
        let mut config = Config::default().queue(&aws.url, &queue, "acme-logs");
        config.sources += keys;
        let port = folder.configure(&config);
        Stage { aws, folder, port }
    }

    pub fn run(&self) -> Service {
        Service::run(self.folder.path(), self.port)
    }

    /// Puts a log file with one call; the key.
    pub fn put(&self, number: usize) -> String {
        let key = records::key(number);
        self.aws.put("acme-logs", &key, log(number));
        key
    }

    pub fn found(&self, detection: &str) -> usize {
        findings(self.folder.path()).iter().filter(|finding| finding["detection"] == detection).count()
    }
}

pub fn log(number: usize) -> Vec<u8> {
    let record = Record::of_agent("ant", "s3:GetObject").object("acme-tickets", "k");
    records::log_file(&[record.number(number).minutes_ago(2)])
}

pub fn outcome(remit: &Service, outcome: &str) -> f64 {
    remit.metric("remit_objects_total", &[&format!("outcome=\"{outcome}\"")])
}

fn s3_message(keys: &[&str], size: u64) -> String {
    let record = |key: &&str| {
        json!({"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": {
            "bucket": {"name": "acme-logs"}, "object": {"key": key, "size": size}}})
    };
    json!({"Records": keys.iter().map(record).collect::<Vec<_>>()}).to_string()
}

/// vector#19711: what the sink rejected was deleted from the queue. beats#36630, data-prepper#3426: a shape that was not
/// known was deleted. <https://github.com/vectordotdev/vector/issues/19711>
#[test]
fn a_message_that_nobody_understands_is_not_deleted_before_it_is_in_quarantine() {
    let stage = Stage::with("receives_max = 3\n");
    let remit = stage.run();
    stage.aws.send("q", &json!({"source": "aws.securityhub", "detail-type": "Findings"}).to_string());
    eventually("it is in quarantine", SOON, || {
        remit.metric("remit_notifications_total", &["outcome=\"quarantined\""]) == 1.0
    });
    eventually("it is deleted", SOON, || stage.aws.messages("q") == (0, 0));
    let asked = stage.aws.log();
    let given_back = asked.iter().filter(|access| access.action == "ChangeMessageVisibility").count();
    assert!(given_back >= 2, "left to the queue's own rule twice, {given_back}");

    let patient = Stage::with("receives_max = 1000\n");
    let remit = patient.run();
    patient.aws.send("q", "no json");
    patient.put(1);
    eventually("its neighbour is judged", SOON, || outcome(&remit, "done") == 1.0);
    std::thread::sleep(Duration::from_secs(3));
    let (visible, hidden) = patient.aws.messages("q");
    assert_eq!(visible + hidden, 1, "left in the queue, for its dead letters");
}

/// opentelemetry-collector-contrib#45153: a message of several objects was deleted though some had failed.
/// panther#186: one bad notification could sink the batch.
/// <https://github.com/open-telemetry/opentelemetry-collector-contrib/issues/45153>
#[test]
fn a_message_with_several_objects_stays_until_all_of_them_have_ended() {
    let stage = Stage::with("retry_for = \"6s\"\n");
    stage.aws.bucket("acme-logs", "unwatched");
    stage.aws.queue("unwatched");
    let present = stage.put(1);
    stage.aws.send("q", &s3_message(&[&present, "AWSLogs/absent.json.gz"], 10));
    let remit = stage.run();
    eventually("one of both is judged", SOON, || outcome(&remit, "done") == 1.0);
    assert_eq!(stage.aws.messages("q"), (0, 1), "and the message is still held");
    eventually("the other is in quarantine", SOON, || outcome(&remit, "quarantined") == 1.0);
    eventually("only then it is deleted", SOON, || stage.aws.messages("q") == (0, 0));
}

/// vector#22947: a refused request was tried again in a hot loop. logstash: and its receives were used up.
/// <https://github.com/vectordotdev/vector/issues/22947>
#[test]
fn when_everything_is_denied_the_source_pauses_says_why_and_resumes_by_itself() {
    let stage = Stage::with("retry_for = \"2s\"\n");
    stage.aws.refuse("", 403, "AccessDenied");
    let remit = stage.run();
    (0..12).for_each(|number| {
        stage.put(number);
    });
    eventually("it says why", SOON, || {
        let ready = remit.get("/readyz");
        ready.status == 503 && ready.text.contains("S3 answered 403 AccessDenied")
    });
    assert_eq!(remit.metric("remit_source_paused", &[]), 1.0);
    let (before, began) = (stage.aws.reads("acme-logs/"), Instant::now());
    std::thread::sleep(Duration::from_secs(6));
    let reads = stage.aws.reads("acme-logs/") - before;
    assert!(reads as u64 <= 3 + began.elapsed().as_secs(), "{reads} requests");
    assert_eq!(outcome(&remit, "quarantined") + outcome(&remit, "failed"), 0.0, "no object is to blame");
    stage.aws.allow();
    eventually("it resumes", SOON, || outcome(&remit, "done") == 12.0);
    eventually("it is ready", SOON, || remit.get("/readyz").status == 200);
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
}

/// The near miss: one object alone that may not be read is put into quarantine, and the others go on.
#[test]
fn one_object_that_is_denied_holds_nobody_up() {
    let stage = Stage::with("retry_for = \"3s\"\n");
    let denied = records::key(99);
    stage.aws.refuse(&denied, 403, "AccessDenied");
    let remit = stage.run();
    stage.put(99);
    let mut put = 0;
    eventually("it is in quarantine", Duration::from_secs(120), || {
        stage.put(put);
        put += 1;
        std::thread::sleep(Duration::from_millis(100));
        outcome(&remit, "quarantined") == 1.0
    });
    assert_eq!(remit.metric("remit_events_quarantined_total", &["reason=\"access_denied\""]), 1.0);
    eventually("all others are judged", SOON, || outcome(&remit, "done") == f64::from(put as u32));
}

/// redpanda-connect#3221: 404 was a warning and an acknowledgement, and nobody could tell afterwards.
/// <https://github.com/redpanda-data/connect/issues/3221>
#[test]
fn an_object_that_is_gone_is_waited_for_and_then_a_finding() {
    let stage = Stage::with("retry_for = \"4s\"\n");
    let (late, gone) = (records::key(1), records::key(2));
    stage.aws.refuse(&late, 404, "NoSuchKey");
    let remit = stage.run();
    stage.put(1);
    eventually("it is asked for", SOON, || stage.aws.reads("acme-logs/") > 0);
    stage.aws.allow();
    stage.aws.refuse(&gone, 404, "NoSuchKey");
    stage.put(2);
    eventually("the late one is judged", SOON, || outcome(&remit, "done") == 1.0);
    eventually("the other is in quarantine", SOON, || outcome(&remit, "quarantined") == 1.0);
    assert_eq!(remit.metric("remit_events_quarantined_total", &["reason=\"missing_object\""]), 1.0);
    assert_eq!(stage.found("missing_object"), 1);
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
}

/// logstash-input-s3-sns-sqs#60: an object that was read and deleted was asked for without an end when its message came
/// again. <https://github.com/cherweg/logstash-input-s3-sns-sqs/issues/60>
#[test]
fn an_object_that_was_read_and_is_gone_since_is_a_duplicate() {
    let stage = Stage::with("retry_for = \"2s\"\n");
    let remit = stage.run();
    let key = stage.put(1);
    eventually("it is judged", SOON, || outcome(&remit, "done") == 1.0);
    stage.aws.refuse(&key, 404, "NoSuchKey");
    // Told again, in CloudTrail's own words, which name no version.
    stage.aws.send("q", &json!({"s3Bucket": "acme-logs", "s3ObjectKey": [key]}).to_string());
    eventually("it is a duplicate", SOON, || outcome(&remit, "duplicate") == 1.0);
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
    assert_eq!(stage.found("missing_object"), 0);
}

/// panther#2730: the size in a notification said 0, and every file was taken for empty. vector#7710: a file of no bytes was
/// tried again until the queue forgot it. <https://github.com/panther-labs/panther/issues/2730>
#[test]
fn a_size_in_a_message_is_nobodys_word_and_an_empty_file_has_an_end() {
    let stage = Stage::with("");
    stage.aws.queue("unwatched");
    let remit = stage.run();
    stage.aws.put("acme-logs", "AWSLogs/empty.json.gz", Vec::new());
    eventually("the empty one has its end", SOON, || outcome(&remit, "ignored") == 1.0);
    let key = stage.put(1);
    eventually("judged", SOON, || outcome(&remit, "done") == 1.0);
    stage.aws.send("q", &s3_message(&[&key], 0));
    // Under a name without a version it is another object, whose events are known.
    eventually("read, though it says that it has no bytes", SOON, || {
        remit.metric("remit_events_duplicate_total", &[]) == 1.0
    });
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
}

/// elastic/integrations#9289: of two readers of one queue each deleted what was the other's. fluent-plugin-s3#418: what
/// matched no expression was discarded. <https://github.com/elastic/integrations/issues/9289>
#[test]
fn what_is_not_ours_is_kept_in_quarantine_and_never_asked_for() {
    let stage = Stage::with("prefixes = [\"AWSLogs/\"]\naccounts = [\"111122223333\"]\n");
    let remit = stage.run();
    let forged = |bucket: &str, key: &str| {
        stage.aws.send("q", &json!({"s3Bucket": bucket, "s3ObjectKey": [key]}).to_string());
    };
    forged("acme-secrets", "AWSLogs/111122223333/CloudTrail/a.json.gz");
    forged("acme-logs", "other/AWSLogs/111122223333/CloudTrail/a.json.gz");
    forged("acme-logs", "AWSLogs/999988887777/CloudTrail/a.json.gz");
    forged("acme-logs", "AWSLogs/../../acme-secrets/a.json.gz");
    forged("169.254.169.254", "AWSLogs/111122223333/latest");
    let ours = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/ours.json.gz";
    stage.aws.put("acme-logs", ours, log(1));
    eventually("ours is judged", SOON, || outcome(&remit, "done") == 1.0);
    eventually("the others are kept", SOON, || {
        remit.metric("remit_events_quarantined_total", &["reason=\"forbidden_bucket\""]) == 5.0
    });
    assert_eq!(stage.aws.reads(""), 1, "no request leaves for them: {:?}", stage.aws.log());
    assert_eq!(stage.found("forbidden_bucket"), 3, "one for each bucket");
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
}

/// CloudTrail writes a file once. One that is written again is read, and is a finding.
#[test]
fn a_log_that_is_overwritten_is_a_finding_and_both_are_read() {
    let stage = Stage::with("");
    let remit = stage.run();
    let key = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/a.json.gz";
    stage.aws.put("acme-logs", key, log(1));
    eventually("the first is read", SOON, || outcome(&remit, "done") == 1.0);
    assert_eq!(stage.found("changed_object"), 0);
    stage.aws.put("acme-logs", key, log(2));
    eventually("the second too", SOON, || outcome(&remit, "done") == 2.0);
    eventually("it is a finding", SOON, || stage.found("changed_object") == 1);
}
