//! A log file is put into a bucket; a minute later somebody knows what was done.

use crate::support::aws::Aws;
use crate::support::cloud::Cloud;
use crate::support::folder::{Config, Folder};
use crate::support::moto::Moto;
use crate::support::oracle;
use crate::support::receivers::Receiver;
use crate::support::records::{self, Record};
use crate::support::remit::{Service, findings};
use crate::support::tally::Tally;
use crate::support::world::{Shape, World};
use crate::support::{conformance, eventually};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::time::Duration;

/// Somebody stops the trail: an event of a real attack, moved to now; our own where the cases are absent.
fn attack() -> Record {
    let ours = Record::of_user("ops-bot", "cloudtrail:StopLogging")
        .request(serde_json::json!({"name": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit"}));
    let Some(cases) = conformance() else {
        eprintln!("REMIT_CONFORMANCE is unset: told with an event of our own");
        return ours.minutes_ago(2);
    };
    let text = std::fs::read_to_string(cases.join("attacks/stratus_events.jsonl")).unwrap();
    let mut events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let event = events.find(|case| case["technique"] == "aws.defense-evasion.cloudtrail-stop").unwrap();
    Record(event["event"].clone()).minutes_ago(2)
}

/// The attacker is an agent of ours that may look at trails, and no more.
fn told_once(url: &str) {
    let attack = attack();
    let cloud = Cloud::at(url);
    let queue = cloud.bucket_with_queue("acme-logs", "acme-logs-queue");
    let slack = Receiver::slack();
    let folder = Folder::new();
    let user = attack.0["userIdentity"]["arn"].as_str().unwrap();
    let manifest = records::manifest("ops-bot", &[("cloudtrail:DescribeTrails", "*")])
        .replace(&format!("aws.role: {}", records::role("ops-bot")), &format!("aws.user: {user}"));
    folder.write("agents/ops-bot.yaml", manifest);
    let port = folder.configure(
        &Config::default()
            .queue(url, &queue, "acme-logs")
            .receiver("slack", &format!("url = \"{}\"", slack.url)),
    );
    let remit = Service::run(folder.path(), port);
    cloud.put("acme-logs", &records::key(1), records::log_file(std::slice::from_ref(&attack)));

    eventually("slack is told", Duration::from_secs(60), || !slack.accepted().is_empty());
    eventually("the queue is empty", Duration::from_secs(30), || cloud.messages(&queue) == (0, 0));
    let told = slack.accepted();
    assert_eq!(told.len(), 1, "one incident is one alert");
    let text = told[0].body.to_string();
    assert!(text.contains("cloudtrail:StopLogging") && text.contains("ops-bot"), "{text}");
    slack.is_satisfied();

    let found = findings(folder.path());
    let stopped = found.iter().find(|finding| finding["detection"] == "LG01").unwrap();
    assert_eq!(stopped["severity"], "critical");
    assert_eq!(stopped["events"][0], attack.0["eventID"]);
    assert_eq!(remit.metric("remit_objects_total", &["outcome=\"done\""]), 1.0);
    assert_eq!(remit.metric("remit_events_total", &[]), 1.0);
    assert_eq!(remit.metric("remit_events_quarantined_total", &[]), 0.0);
}

#[test]
fn an_attack_in_a_bucket_of_moto_reaches_slack() {
    told_once(&Moto::start().url);
}

#[test]
fn an_attack_in_a_bucket_of_our_own_reaches_slack() {
    told_once(&Aws::start().url);
}

/// Killed three times while notifications come twice: as the longer runs do it, and against any cloud.
fn killed_and_whole(url: &str) {
    let now = chrono::Utc::now().timestamp();
    let world = World::of(3, Shape { agents: 3, burst: 900, each_day: 2, now });
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let cloud = Cloud::at(url);
    let queue = cloud.bucket_with_queue("acme-logs", "acme-logs-queue");
    let folder = Folder::new();
    world.declare(&folder);
    let port = folder.configure(&Config::default().queue(url, &queue, "acme-logs"));
    let mut service = Service::run(folder.path(), port);
    for (number, calls) in world.dealt(30, 20, &mut dice).iter().enumerate() {
        let key = format!("AWSLogs/a blank+{number}/é.json.gz");
        cloud.put("acme-logs", &key, world.file(calls));
        if number % 5 == 0 {
            cloud.put("acme-logs", &key, world.file(calls));
        }
        if number % 10 == 9 {
            service.kill();
            service.restart();
            service = service.ready();
        }
    }
    // What the dead ones held comes back after its 30 s.
    eventually("the queue is empty", Duration::from_secs(180), || cloud.messages(&queue) == (0, 0));
    assert_eq!(Tally::of(folder.path()).difference(&world), None);
    let found = oracle::of_listed(&findings(folder.path()));
    assert_eq!(oracle::difference(&oracle::findings(&world), &found), None);
}

#[test]
fn killed_three_times_before_moto_it_finds_everything_once() {
    killed_and_whole(&Moto::start().url);
}

#[test]
fn killed_three_times_before_our_own_cloud_it_finds_everything_once() {
    killed_and_whole(&Aws::start().url);
}

#[test]
fn an_object_told_twice_is_judged_once() {
    let aws = Aws::start();
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    let folder = Folder::new();
    folder.agent("ops-bot", &[("s3:GetObject", "*")]);
    let port = folder.configure(&Config::default().queue(&aws.url, &queue, "acme-logs"));
    let remit = Service::run(folder.path(), port);
    let log = records::log_file(&[Record::of_agent("ops-bot", "s3:DeleteObject").object("acme", "k")]);
    let key = "AWSLogs/with blank+plus/ü=1.json.gz";
    aws.put("acme-logs", key, log.clone());
    eventually("the object is done", Duration::from_secs(60), || {
        remit.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0
    });
    // The same bytes under the same key are the same object; only its notification comes again.
    aws.put("acme-logs", key, log);
    eventually("its second notification is a duplicate", Duration::from_secs(30), || {
        remit.metric("remit_objects_total", &["outcome=\"duplicate\""]) == 1.0
    });
    eventually("the queue is empty", Duration::from_secs(30), || aws.messages("q") == (0, 0));
    assert!(findings(folder.path()).iter().all(|finding| finding["count"] == 1));
    assert_eq!(remit.metric("remit_events_total", &[]), 1.0);
}
