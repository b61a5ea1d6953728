//! Known bugs are planted one by one: what checks the service must fail with each of them, and hold without.

use crate::support::aws::{Aws, Faults};
use crate::support::folder::{Config, Folder};
use crate::support::receivers::{Behaviour, Receiver};
use crate::support::remit::{Service, binary, findings};
use crate::support::tally::Tally;
use crate::support::world::{Call, Shape, World};
use crate::support::{eventually, oracle, records};
use ingest::planted::Bug;
use serde_json::json;
use std::time::{Duration, Instant};

/// A service with or without a bug, a well cloud, and a small world.
struct Trial {
    aws: Aws,
    folder: Folder,
    world: World,
    webhook: Receiver,
    port: u16,
    environment: Vec<(&'static str, &'static str)>,
}

type Verdict = Result<(), String>;

impl Trial {
    fn of(bug: Option<Bug>) -> Trial {
        let now = chrono::Utc::now().timestamp();
        let world = World::of(7, Shape { agents: 2, burst: 400, each_day: 1, now });
        let (aws, folder, webhook) = (Aws::start(), Folder::new(), Receiver::webhook("hush"));
        let queue = aws.queue("q");
        aws.bucket("acme-logs", "q");
        world.declare(&folder);
        let port = folder.configure(
            &Config::default()
                .queue(&aws.url, &queue, "acme-logs")
                .receiver("webhook", &format!("url = \"{}\"\nsecret = \"hush\"", webhook.url)),
        );
        let environment = bug.map(|bug| ("REMIT_PLANTED_BUG", bug.name())).into_iter().collect();
        Trial { aws, folder, world, webhook, port, environment }
    }

    fn start(&self) -> Service {
        Service::spawn_in(self.folder.path(), &["run", "-c", "remit.toml"], self.port, &self.environment)
            .ready()
    }

    fn put(&self, key: &str, calls: &[Call]) {
        self.aws.put("acme-logs", key, self.world.file(calls));
    }

    /// Until the queue is empty; whatever waits for its time is hurried on, but for what is being worked on.
    fn drained(&self) {
        eventually("the queue is empty", Duration::from_secs(120), || self.aws.messages("q") == (0, 0));
    }

    /// As [`Trial::drained`], without the pauses between tries.
    fn drained_soon(&self) {
        eventually("the queue is empty", Duration::from_secs(120), || {
            let is_empty = self.aws.messages("q") == (0, 0);
            self.aws.expire("q");
            std::thread::sleep(Duration::from_millis(500));
            is_empty
        });
    }

    fn tally(&self) -> Tally {
        Tally::of(self.folder.path())
    }

    /// Every event counts once, and the findings are those of the oracle.
    fn is_whole(&self) -> Verdict {
        self.counts_once()?;
        let found = oracle::of_listed(&findings(self.folder.path()));
        oracle::difference(&oracle::findings(&self.world), &found).map_or(Ok(()), Err)
    }

    fn counts_once(&self) -> Verdict {
        self.tally().difference(&self.world).map_or(Ok(()), Err)
    }

    fn until_fetched(&self, times: usize) {
        eventually("it is being fetched", Duration::from_secs(60), || self.aws.asked("GET") >= times);
    }
}

fn is(so: bool, otherwise: &str) -> Verdict {
    if so { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// With the bug the check fails, without it holds.
fn catches(bug: Bug, check: fn(&Trial) -> Verdict) {
    if !cfg!(debug_assertions) || std::env::var_os("REMIT_BIN").is_some() {
        eprintln!("skipped: a release has no planted bugs");
        return;
    }
    let (well, ill) = std::thread::scope(|scope| {
        let well = scope.spawn(|| check(&Trial::of(None)));
        let ill = scope.spawn(|| check(&Trial::of(Some(bug))));
        (well.join(), ill.join())
    });
    assert_eq!(well.unwrap(), Ok(()), "without a bug");
    let why = ill.unwrap().expect_err("the bug is not noticed");
    println!("{}: {why}", bug.name());
}

#[test]
fn acknowledging_before_the_commit_is_noticed() {
    catches(Bug::AckBeforeCommit, |trial| {
        trial.aws.ail(Faults { trickle: Duration::from_secs(8), ..Faults::default() });
        let mut service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.until_fetched(1);
        service.kill();
        trial.aws.heal();
        trial.aws.expire("q");
        service.restart();
        let _service = service.ready();
        trial.drained();
        trial.counts_once()
    });
}

#[test]
fn reading_only_the_first_record_of_a_notification_is_noticed() {
    catches(Bug::FirstRecordOnly, |trial| {
        // Told of in one message, as S3 may and SNS does.
        let mut told = Vec::new();
        for (number, calls) in trial.world.calls.chunks(200).enumerate() {
            let key = format!("{number}.json.gz");
            trial.aws.bucket("acme-logs", "unheard");
            trial.aws.queue("unheard");
            trial.put(&key, calls);
            let object = json!({"bucket": {"name": "acme-logs"}, "object": {"key": key, "size": 1}});
            told.push(json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": object}));
        }
        trial.aws.send("q", &json!({"Records": told}).to_string());
        let _service = trial.start();
        trial.drained();
        trial.is_whole()
    });
}

#[test]
fn a_plus_that_is_not_decoded_is_noticed() {
    catches(Bug::PlusNotDecoded, |trial| {
        let _service = trial.start();
        trial.put("AWSLogs/a blank/1.json.gz", &trial.world.calls);
        trial.drained_soon();
        trial.is_whole()
    });
}

/// A file that takes 40 s to come: longer than its message is hidden without being asked for more.
fn stays_hidden(trial: &Trial) -> Verdict {
    trial.aws.ail(Faults { trickle: Duration::from_secs(40), ..Faults::default() });
    let service = trial.start();
    trial.put("1.json.gz", &trial.world.calls);
    trial.drained();
    let times = trial.aws.deliveries("q");
    is(times == 1, &format!("its message was delivered {times} times"))?;
    let asked = trial.aws.asked("ChangeMessageVisibility") + trial.aws.asked("ChangeMessageVisibilityBatch");
    is(asked >= 2, &format!("hidden for 30 s, and kept hidden {asked} times in 40 s"))?;
    is(service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0, "not done")
}

#[test]
fn a_message_that_is_not_kept_hidden_is_noticed() {
    catches(Bug::NoHeartbeat, stays_hidden);
}

#[test]
fn a_message_that_is_kept_hidden_only_once_is_noticed() {
    catches(Bug::LeaseExtendedOnce, stays_hidden);
}

#[test]
fn dropping_what_cannot_be_read_is_noticed() {
    catches(Bug::DropOnParseError, |trial| {
        let mut bytes = trial.world.file(&trial.world.calls);
        bytes.truncate(bytes.len() / 2);
        trial.aws.put("acme-logs", "1.json.gz", bytes);
        let _service = trial.start();
        trial.drained();
        let tally = trial.tally();
        is(tally.quarantined == 1 && tally.reasons.len() == 1, "an object that cannot be read left no trace")
    });
}

#[test]
fn an_alert_that_counts_as_told_before_it_is_sent_is_noticed() {
    catches(Bug::DeliveredBeforeSend, |trial| {
        trial.webhook.plan([Behaviour::Hang]);
        let mut service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        eventually("the receiver is asked", Duration::from_secs(60), || trial.webhook.count() == 1);
        service.kill();
        service.restart();
        let _service = service.ready();
        eventually("nothing is left to tell", Duration::from_secs(120), || trial.tally().untold == 0);
        let (asked, taken) = (trial.webhook.received(), trial.webhook.accepted());
        let first = asked[0].header("webhook-id");
        is(taken.iter().any(|told| told.header("webhook-id") == first), "an alert was lost on its way")
    });
}

#[test]
fn a_claim_that_fences_nobody_off_is_noticed() {
    catches(Bug::ClaimWithoutFencing, |trial| {
        trial.aws.ail(Faults { trickle: Duration::from_secs(4), ..Faults::default() });
        let _service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.aws.tell_again("acme-logs", "1.json.gz");
        trial.drained_soon();
        trial.counts_once()?;
        is(trial.aws.asked("GET") == 1, "two workers fetched it side by side")
    });
}

#[test]
fn a_failed_deletion_that_nobody_looks_at_is_noticed() {
    catches(Bug::DeleteFailureIgnored, |trial| {
        trial.aws.ail(Faults { failed_delete: 1.0, ..Faults::default() });
        let service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        // The SDK tries three times by itself, but for entries of a batch.
        let deletions = || trial.aws.asked("DeleteMessage") + 3 * trial.aws.asked("DeleteMessageBatch");
        eventually("its deletion is refused", Duration::from_secs(60), || deletions() >= 3);
        trial.aws.heal();
        trial.drained();
        let again = service.metric("remit_objects_total", &["outcome=\"duplicate\""]);
        is(again == 0.0, "the message came again")
    });
}

#[test]
fn the_beginning_of_a_truncated_file_that_is_committed_is_noticed() {
    catches(Bug::PrefixOfTruncated, |trial| {
        // More than one window of 16 MiB: the first is judged before the end is missed.
        let now = chrono::Utc::now().timestamp();
        let large = World::of(8, Shape { agents: 2, burst: 20_000, each_day: 1, now });
        let mut packed = records::zstd(&large.text(&large.calls));
        packed.truncate(packed.len() - 100);
        trial.aws.put("acme-logs", "1.json.zst", packed);
        let _service = trial.start();
        trial.drained();
        let tally = trial.tally();
        is(tally.events.is_empty(), &format!("{} events of a truncated file are kept", tally.events.len()))?;
        is(tally.quarantined == 1, "a truncated file is not in quarantine")
    });
}

#[test]
fn forgetting_events_at_a_restart_is_noticed() {
    catches(Bug::DedupForgotten, |trial| {
        let mut service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.drained();
        service.kill();
        service.restart();
        let _service = service.ready();
        trial.put("2.json.gz", &trial.world.calls);
        trial.drained();
        trial.is_whole()
    });
}

#[test]
fn losing_what_another_object_adds_to_a_finding_is_noticed() {
    catches(Bug::MergedFindingLost, |trial| {
        let _service = trial.start();
        for (number, calls) in trial.world.calls.chunks(60).enumerate() {
            trial.put(&format!("{number}.json.gz"), calls);
            // One after the other: what comes together is summed before it is written.
            trial.drained();
        }
        trial.is_whole()
    });
}

#[test]
fn leases_of_the_dead_that_live_on_are_noticed() {
    catches(Bug::StaleLeasesKept, |trial| {
        trial.aws.ail(Faults { trickle: Duration::from_secs(8), ..Faults::default() });
        let mut service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.until_fetched(1);
        service.kill();
        trial.aws.heal();
        service.restart();
        let _service = service.ready();
        let start = Instant::now();
        let limit = Duration::from_secs(if trial.environment.is_empty() { 90 } else { 20 });
        while start.elapsed() < limit && trial.tally().done == 0 {
            trial.aws.expire("q");
            std::thread::sleep(Duration::from_millis(500));
        }
        trial.is_whole()
    });
}

#[test]
fn a_request_to_a_bucket_that_is_not_ours_is_noticed() {
    catches(Bug::AnyBucket, |trial| {
        trial.aws.bucket("somebody-elses", "q");
        trial.aws.put("somebody-elses", "1.json.gz", trial.world.file(&trial.world.calls));
        let _service = trial.start();
        trial.drained();
        let foreign = |what: &str| what.starts_with("somebody-elses");
        is(
            !trial.aws.log().iter().any(|access| foreign(&access.what)),
            "a bucket that is not listed was asked",
        )
    });
}

#[test]
fn every_bug_has_a_story_and_a_release_has_none() {
    let story = include_str!("planted.rs");
    for bug in Bug::ALL {
        assert!(story.contains(&format!("catches(Bug::{bug:?},")), "no story for {bug:?}");
    }
    // That a release cannot have them is asserted where they are, when it is compiled. If one lies here, look at it too.
    let here = binary();
    let release = here.parent().unwrap().with_file_name("release").join("remit");
    let Ok(bytes) = std::fs::read(&release) else {
        eprintln!("skipped: no release at {}", release.display());
        return;
    };
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!has("REMIT_PLANTED_BUG") && !has("ack-before-commit"), "{}", release.display());
    assert!(has("remit.toml"), "it can be looked through");
}
