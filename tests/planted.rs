//! Known bugs are planted one by one: what checks the service must fail with each of them, and hold without.

use crate::support::aws::{Aws, Faults};
use crate::support::folder::{Config, Folder};
use crate::support::receivers::{Behaviour, Receiver};
use crate::support::remit::{Service, binary, findings, remit};
use crate::support::tally::Tally;
use crate::support::world::{Call, Shape, World};
use crate::support::{eventually, oracle, records};
use ingest::planted::Bug;
use serde_json::json;
use std::time::{Duration, Instant};

/// What is waited for is not waited for long, and nothing is looked for that no message tells of.
const SHORT: &str = "retry_for = \"1s\"\nreceives_max = 1\nsweep = \"0s\"";

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
                .queue_with(&aws.url, &queue, "acme-logs", SHORT)
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

    /// Until the queue is empty.
    fn drained(&self) {
        eventually("the queue is empty", Duration::from_secs(120), || self.aws.messages("q") == (0, 0));
    }

    /// As [`Trial::drained`]; whatever waits for its time is hurried on.
    fn drained_soon(&self, queue: &str) {
        eventually("the queue is empty", Duration::from_secs(120), || {
            let is_empty = self.aws.messages(queue) == (0, 0);
            self.aws.expire(queue);
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

/// With each of the bugs the check fails, without them it holds.
fn catches(bugs: &[Bug], check: fn(&Trial) -> Verdict) {
    if !cfg!(debug_assertions) || std::env::var_os("REMIT_BIN").is_some() {
        eprintln!("skipped: a release has no planted bugs");
        return;
    }
    std::thread::scope(|scope| {
        let well = scope.spawn(|| check(&Trial::of(None)));
        let ill: Vec<_> =
            bugs.iter().map(|bug| (bug, scope.spawn(|| check(&Trial::of(Some(*bug)))))).collect();
        assert_eq!(well.join().unwrap(), Ok(()), "without a bug");
        for (bug, verdict) in ill {
            let noticed = verdict.join().unwrap();
            println!("{}: {noticed:?}", bug.name());
            assert!(noticed.is_err(), "{} is not noticed", bug.name());
        }
    });
}

#[test]
fn acknowledging_before_the_commit_is_noticed() {
    catches(&[Bug::AckBeforeCommit], |trial| {
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
    catches(&[Bug::FirstRecordOnly], |trial| {
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
    catches(&[Bug::PlusNotDecoded], |trial| {
        let _service = trial.start();
        trial.put("AWSLogs/a blank/1.json.gz", &trial.world.calls);
        trial.drained_soon("q");
        trial.is_whole()
    });
}

/// A file that takes 34 s to come: longer than its message is hidden without being asked for more.
#[test]
fn a_message_that_is_not_kept_hidden_or_only_once_is_noticed() {
    catches(&[Bug::NoHeartbeat, Bug::LeaseExtendedOnce], |trial| {
        trial.aws.ail(Faults { trickle: Duration::from_secs(34), ..Faults::default() });
        let service = trial.start();
        // Too large to be taken for a body that comes too slowly.
        let mut text = trial.world.text(&trial.world.calls);
        text.extend(std::iter::repeat_n(b' ', 4 << 20));
        trial.aws.put("acme-logs", "1.json", text);
        trial.drained();
        let times = trial.aws.deliveries("q");
        is(times == 1, &format!("its message was delivered {times} times"))?;
        let asked =
            ["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"].map(|what| trial.aws.asked(what));
        let asked: usize = asked.iter().sum();
        is(asked >= 2, &format!("hidden for 30 s, and kept hidden {asked} times in 34 s"))?;
        is(service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0, "not done")
    });
}

#[test]
fn dropping_what_cannot_be_read_is_noticed() {
    catches(&[Bug::DropOnParseError], |trial| {
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
    catches(&[Bug::DeliveredBeforeSend], |trial| {
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

/// Told of by two queues, as when a bucket was given a new one: what one source works on, the other leaves alone.
#[test]
fn a_claim_that_fences_nobody_off_is_noticed() {
    catches(&[Bug::ClaimWithoutFencing], |trial| {
        let other = trial.aws.queue("other");
        let config = trial.folder.read("remit.toml");
        let keys = format!("name = \"other\"\n{SHORT}");
        let source = Config::default().queue_with(&trial.aws.url, &other, "acme-logs", &keys).sources;
        trial.folder.write("remit.toml", format!("{source}\n{config}"));
        trial.aws.ail(Faults { trickle: Duration::from_secs(4), ..Faults::default() });
        let _service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.aws.bucket("acme-logs", "other");
        trial.aws.tell_again("acme-logs", "1.json.gz");
        for queue in ["q", "other"] {
            trial.drained_soon(queue);
        }
        trial.counts_once()?;
        is(trial.aws.asked("GET") == 1, "two sources fetched it side by side")
    });
}

#[test]
fn a_failed_deletion_that_nobody_looks_at_is_noticed() {
    catches(&[Bug::DeleteFailureIgnored], |trial| {
        trial.aws.ail(Faults { failed_delete: 1.0, ..Faults::default() });
        let service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        // The SDK tries three times by itself, but for entries of a batch.
        let deletions = || trial.aws.asked("DeleteMessage") + 3 * trial.aws.asked("DeleteMessageBatch");
        eventually("its deletion is refused", Duration::from_secs(60), || deletions() >= 3);
        trial.aws.heal();
        // Tried again within a second; one that nobody tries again stays until it comes back, after 30 s.
        let start = Instant::now();
        while trial.aws.messages("q") != (0, 0) && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(50));
        }
        is(trial.aws.messages("q") == (0, 0), "the message is still there")?;
        let again = service.metric("remit_objects_total", &["outcome=\"duplicate\""]);
        is(again == 0.0, "the message came again")
    });
}

#[test]
fn the_beginning_of_a_truncated_file_that_is_committed_is_noticed() {
    catches(&[Bug::PrefixOfTruncated], |trial| {
        // More than one window of 16 MiB: the first is judged before the end is missed.
        let now = chrono::Utc::now().timestamp();
        let large = World::of(8, Shape { agents: 2, burst: 25_000, each_day: 1, now });
        let text = large.text(&large.calls);
        assert!(text.len() > 18 << 20, "{} bytes", text.len());
        let mut packed = records::zstd(&text);
        packed.truncate(packed.len() - 100);
        trial.aws.put("acme-logs", "1.json.zst", packed);
        let _service = trial.start();
        trial.drained();
        let tally = trial.tally();
        is(tally.events.is_empty(), &format!("{} events of a truncated file are kept", tally.events.len()))?;
        is(
            tally.reasons.keys().eq(["gzip_truncated"]),
            &format!("a truncated file is kept as {:?}", tally.reasons),
        )
    });
}

#[test]
fn forgetting_events_at_a_restart_is_noticed() {
    catches(&[Bug::DedupForgotten], |trial| {
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
    catches(&[Bug::MergedFindingLost], |trial| {
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
    catches(&[Bug::StaleLeasesKept], |trial| {
        trial.aws.ail(Faults { trickle: Duration::from_secs(8), ..Faults::default() });
        let mut service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.until_fetched(1);
        service.kill();
        trial.aws.heal();
        service.restart();
        let _service = service.ready();
        let start = Instant::now();
        let limit = Duration::from_secs(if trial.environment.is_empty() { 90 } else { 12 });
        while start.elapsed() < limit && trial.tally().done == 0 {
            trial.aws.expire("q");
            std::thread::sleep(Duration::from_millis(500));
        }
        trial.is_whole()
    });
}

#[test]
fn a_request_to_a_bucket_that_is_not_ours_is_noticed() {
    catches(&[Bug::AnyBucket], |trial| {
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

/// A crash between the lake's commit and the store's note of it: the store as it was before, the lake as after.
#[test]
fn giving_the_lake_what_it_holds_is_noticed() {
    catches(&[Bug::LakeWithoutVersionCheck], |trial| {
        let config = trial.folder.read("remit.toml");
        trial.folder.write("remit.toml", format!("{config}\n[lake]\ncommit_every = \"24h\"\n"));
        let (state, before) = (trial.folder.path(), trial.folder.path().join("before"));
        let files = || {
            let entries = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("remit.db"))
        };
        let rows = || std::fs::read_dir(state.join("remit.rows")).unwrap().map(|entry| entry.unwrap().path());
        let mut service = trial.start();
        trial.put("1.json.gz", &trial.world.calls);
        trial.drained();
        service.kill();
        std::fs::create_dir_all(before.join("remit.rows")).unwrap();
        for path in files() {
            std::fs::copy(&path, before.join(path.file_name().unwrap())).unwrap();
        }
        for path in rows() {
            std::fs::copy(&path, before.join("remit.rows").join(path.file_name().unwrap())).unwrap();
        }
        let given = |service: &Service| {
            eventually("the lake has it", Duration::from_secs(120), || {
                service.metric("remit_lake_pending_rows", &[]) == 0.0 && rows().next().is_none()
            });
        };
        service.restart();
        service = service.ready();
        given(&service);
        service.kill();
        for path in files() {
            std::fs::remove_file(path).unwrap();
        }
        for entry in std::fs::read_dir(&before).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() {
                std::fs::copy(&entry, state.join(entry.file_name().unwrap())).unwrap();
            }
        }
        for entry in std::fs::read_dir(before.join("remit.rows")).unwrap().map(|entry| entry.unwrap().path())
        {
            std::fs::copy(&entry, state.join("remit.rows").join(entry.file_name().unwrap())).unwrap();
        }
        service.restart();
        let service = service.ready();
        given(&service);
        let sql = "SELECT count(*) n, count(DISTINCT event_id) once FROM events";
        let told = remit(state, &["query", "--output", "ndjson", sql]).expect(0).lines();
        is(told[0]["n"] == told[0]["once"] && told[0]["n"] != 0, &format!("in the lake: {}", told[0]))
    });
}

#[test]
fn every_bug_has_a_story_and_a_release_has_none() {
    let story = include_str!("planted.rs");
    for bug in Bug::ALL {
        assert!(story.contains(&format!("Bug::{bug:?}")), "no story for {bug:?}");
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
