//! The power may fail at any moment, and the cloud has bad days: nothing is lost, nothing is told twice.

use crate::support::aws::{Aws, Faults};
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::receivers::{Behaviour, Receiver};
use crate::support::records::{self, Record};
use crate::support::remit::{Service, findings, remit};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SEED: u64 = 20_261_120;
const FILES: usize = 60;
const EVENTS: usize = 3000;
const AGENTS: [&str; 6] = ["ant", "bee", "cat", "dog", "elk", "fox"];
const OPERATIONS: [&str; 8] = [
    "s3:GetObject",
    "s3:GetObject",
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "ec2:TerminateInstances",
    "iam:CreateAccessKey",
    "cloudtrail:StopLogging",
];

/// Most calls are within scope, some are not, one in twenty is logged twice.
fn files(dice: &mut ChaCha8Rng) -> Vec<Vec<Record>> {
    let mut records: Vec<Record> = (0..EVENTS)
        .map(|number| {
            let agent = AGENTS[dice.random_range(0..AGENTS.len())];
            let operation = OPERATIONS[dice.random_range(0..OPERATIONS.len())];
            // Within half an hour: one incident for each agent, in whatever order the files come.
            let record =
                Record::of_agent(agent, operation).number(number).minutes_ago(dice.random_range(5..35));
            if operation.ends_with("Object") { record.object("acme-tickets", "k") } else { record }
        })
        .collect();
    let again: Vec<Record> = records.iter().step_by(20).cloned().collect();
    records.extend(again);
    records.shuffle(dice);
    records.chunks(records.len().div_ceil(FILES)).map(<[Record]>::to_vec).collect()
}

/// What must be the same however often the power failed.
fn essence(findings: &[Value]) -> BTreeMap<String, String> {
    let mut essence = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding["state"] == "open") {
        let id = finding["id"].as_str().unwrap().to_owned();
        let keys =
            ["detection", "severity", "agent", "subject", "count", "first_seen", "last_seen", "events"];
        let text = keys.map(|key| finding[key].to_string()).join(" ");
        assert!(essence.insert(id, text).is_none(), "a finding exists once");
    }
    essence
}

#[test]
fn killed_at_any_moment_it_finds_everything_once_and_tells_it_under_one_id() {
    let mut dice = ChaCha8Rng::seed_from_u64(SEED);
    let aws = Aws::with_faults(Faults {
        seed: SEED,
        unavailable: 0.01,
        slow: 0.1,
        cut: 0.03,
        duplicate: 0.1,
        lost_delete: 0.05,
        early_expiry: 0.03,
    });
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    let webhook = Receiver::webhook("hush");
    let pagerduty = Receiver::pagerduty("R1");
    // Slow to answer, so that some kills fall between a message and its answer.
    for receiver in [&webhook, &pagerduty] {
        receiver.plan([Behaviour::Slow(Duration::from_millis(500)); 20]);
    }
    let folder = Folder::new();
    for agent in AGENTS {
        folder.agent(agent, &[("s3:GetObject, s3:PutObject", "arn:aws:s3:::acme-tickets/*")]);
    }
    let port = folder.configure(
        &Config::default()
            .queue(&aws.url, &queue, "acme-logs")
            .receiver("webhook", &format!("url = \"{}\"\nsecret = \"hush\"", webhook.url))
            .receiver("pagerduty", &format!("url = \"{}\"\nrouting_key = \"R1\"", pagerduty.url)),
    );
    let files = files(&mut dice);
    for (number, records) in files.iter().enumerate() {
        let log = records::log_file(records);
        folder.write(&format!("logs/{number}.json.gz"), &log);
        aws.put("acme-logs", &records::key(number), log);
    }

    let mut service = Service::run(folder.path(), port);
    let (mut kills, mut at_work) = (0, 0);
    while kills < 6 {
        std::thread::sleep(Duration::from_millis(dice.random_range(100..1800)));
        service.kill();
        kills += 1;
        at_work += usize::from(aws.messages("q").1 > 0);
        // Whatever the dead worker held comes back when its time is over; nobody wants to wait for that here.
        aws.expire("q");
        service.restart();
        service = service.ready();
    }
    assert!(at_work >= 3, "{at_work} of {kills} kills met it at work");
    aws.heal();
    eventually("the queue is empty", Duration::from_secs(120), || {
        aws.expire("q");
        std::thread::sleep(Duration::from_millis(1500));
        aws.messages("q") == (0, 0)
    });
    eventually("everything is told", Duration::from_secs(60), || {
        service.metric("remit_receiver_queue_depth", &[]) == 0.0
    });

    let replay = ["replay", "logs", "--agents", "agents", "--policies", "policies", "--output", "ndjson"];
    let mut expected = remit(folder.path(), &replay).expect(0).lines();
    let summary = expected.pop().unwrap()["summary"].clone();
    assert_eq!(summary["unique"], EVENTS);
    let found = findings(folder.path());
    let (expected, actual) = (essence(&expected), essence(&found));
    assert!(!expected.is_empty());
    assert_eq!(actual, expected, "seed {SEED}");

    let incidents: BTreeSet<&str> = found.iter().filter_map(|finding| finding["incident"].as_str()).collect();
    assert_eq!(incidents.len(), AGENTS.len());
    let triggered = pagerduty.accepted();
    let keys: BTreeSet<&str> = triggered.iter().map(|request| request.dedup_key()).collect();
    assert_eq!(keys, incidents, "each incident is told, under its one id");
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let hooked = webhook.accepted();
    for request in &hooked {
        *told.entry(request.header("webhook-id")).or_default() += 1;
    }
    let repeated: usize = told.values().map(|times| times - 1).sum();
    assert!(repeated <= kills, "{repeated} messages came again after {kills} kills: {told:#?}");
    webhook.is_satisfied();
    pagerduty.is_satisfied();
    let stderr = service.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
}
