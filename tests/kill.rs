//! The power may fail at any moment, and the cloud has bad days: nothing is lost, nothing is told twice.

use crate::support::aws::{Aws, Faults};
use crate::support::folder::{Config, Folder};
use crate::support::oracle;
use crate::support::receivers::{Behaviour, Received, Receiver};
use crate::support::records;
use crate::support::remit::{Service, findings, remit};
use crate::support::tally::{self, Tally};
use crate::support::world::{Shape, World};
use crate::support::{eventually, number, seed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long events flow and how many, and how often the power fails meanwhile.
struct Plan {
    seed: u64,
    events: u32,
    files: usize,
    agents: u16,
    flows: Duration,
    /// How long remit runs between two failures, in milliseconds.
    runs: std::ops::Range<u64>,
    /// Messages at once; each kill meets as many objects.
    in_flight: u32,
    faults: Faults,
    /// How long it may take to drain what is left, once the power stays.
    drains: Duration,
}

/// The stage: a cloud on a bad day, receivers that are slow to answer, and the world's files on disk.
struct Stage {
    aws: Aws,
    folder: Folder,
    webhook: Receiver,
    pagerduty: Receiver,
    port: u16,
    /// Keys and paths of the files, each as often as it is told of.
    told: Vec<(String, std::path::PathBuf)>,
}

impl Stage {
    fn of(world: &World, plan: &Plan, dice: &mut ChaCha8Rng) -> Stage {
        let aws = Aws::with_faults(plan.faults.clone());
        let queue = aws.queue("q");
        aws.bucket("acme-logs", "q");
        let (webhook, pagerduty) = (Receiver::webhook("hush"), Receiver::pagerduty("R1"));
        // Slow to answer, so that some kills fall between a message and its answer.
        for receiver in [&webhook, &pagerduty] {
            receiver.plan([Behaviour::Slow(Duration::from_millis(300)); 30]);
        }
        let folder = Folder::new();
        world.declare(&folder);
        let port = folder.configure(
            &Config::default()
                .queue_with(&aws.url, &queue, "acme-logs", &format!("in_flight = {}", plan.in_flight))
                .alerts("max_per_minute = 100000")
                .receiver("webhook", &format!("url = \"{}\"\nsecret = \"hush\"", webhook.url))
                .receiver("pagerduty", &format!("url = \"{}\"\nrouting_key = \"R1\"", pagerduty.url)),
        );
        let mut told = Vec::new();
        for (number, calls) in world.dealt(plan.files, 100, dice).iter().enumerate() {
            let path = folder.write(&format!("logs/{number}.json.gz"), world.file(calls));
            told.push((records::key(number), path));
        }
        Stage { aws, folder, webhook, pagerduty, port, told }
    }

    /// Stores and tells every file over the time that the plan gives, one in ten of them twice; kills meanwhile.
    fn flow(&self, plan: &Plan, dice: &mut ChaCha8Rng) -> (Service, Vec<Instant>) {
        let mut kills = Vec::new();
        let pause = plan.flows / self.told.len() as u32;
        let stage = self;
        let mut feeding = ChaCha8Rng::seed_from_u64(plan.seed + 1);
        let service = std::thread::scope(|scope| {
            let fed = scope.spawn(move || {
                let start = Instant::now();
                for (number, (key, path)) in stage.told.iter().enumerate() {
                    stage.aws.put_file("acme-logs", key, path);
                    if feeding.random_ratio(1, 10) {
                        stage.aws.tell_again("acme-logs", key);
                    }
                    std::thread::sleep((pause * (number as u32 + 1)).saturating_sub(start.elapsed()));
                }
            });
            let mut service = Service::run(self.folder.path(), self.port);
            while !fed.is_finished() {
                std::thread::sleep(Duration::from_millis(dice.random_range(plan.runs.clone())));
                service.kill();
                kills.push(Instant::now());
                // Whatever the dead one held comes back when its time is over; nobody wants to wait for that here.
                self.aws.expire("q");
                service.restart();
                service = service.ready();
            }
            service
        });
        self.aws.heal();
        eventually("the queue is empty", plan.drains, || {
            self.aws.expire("q");
            std::thread::sleep(Duration::from_millis(1500));
            self.aws.messages("q") == (0, 0)
        });
        eventually("everything is told", Duration::from_secs(120), || {
            service.metric("remit_receiver_queue_depth", &[]) == 0.0
        });
        (service, kills)
    }

    /// Every incident of today is told under its one id; no message comes again unless its answer was lost.
    fn is_told_once(&self, found: &[Value], kills: &[Instant]) {
        let today = found.iter().filter(|finding| finding["state"] == "open" && is_fresh(finding));
        let incidents: BTreeSet<&str> = today.filter_map(|finding| finding["incident"].as_str()).collect();
        let triggered = self.pagerduty.accepted();
        let keys: BTreeSet<&str> = triggered.iter().map(Received::dedup_key).collect();
        assert_eq!(keys, incidents, "each incident is told, under its one id");
        let hooked = self.webhook.accepted();
        let mut told: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
        for request in &hooked {
            told.entry(request.header("webhook-id")).or_default().push(request.at);
        }
        let (mut again, limit) = (0, Duration::from_secs(3));
        for (id, times) in &told {
            for pair in times.windows(2) {
                again += 1;
                // The kill that lost the answer: after the message, and before it could be noted.
                let is_lost =
                    kills.iter().any(|kill| *kill > pair[0] && *kill - pair[0] < limit && *kill < pair[1]);
                assert!(is_lost, "{id} came again after {:?}, and no answer was lost", pair[1] - pair[0]);
            }
        }
        println!("{} messages, {again} again after a lost answer", hooked.len());
        self.webhook.is_satisfied();
        self.pagerduty.is_satisfied();
    }
}

fn is_fresh(finding: &Value) -> bool {
    let last = chrono::DateTime::parse_from_rfc3339(finding["last_seen"].as_str().unwrap()).unwrap();
    chrono::Utc::now().signed_duration_since(last) < chrono::TimeDelta::hours(20)
}

/// Kills it through the plan, then holds what it has against the oracle and against `replay`.
fn survives(plan: &Plan) {
    let start = Instant::now();
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    let each_day = 10;
    let burst = plan.events - 10 * each_day * u32::from(plan.agents);
    let now = chrono::Utc::now().timestamp();
    let world = World::of(plan.seed, Shape { agents: plan.agents, burst, each_day, now });
    assert_eq!(world.calls.len(), plan.events as usize);
    let stage = Stage::of(&world, plan, &mut dice);
    println!("made {} events in {:?}", plan.events, start.elapsed());
    let (mut service, kills) = stage.flow(plan, &mut dice);
    println!("killed {} times; drained after {:?}", kills.len(), start.elapsed());

    let tally = Tally::of(stage.folder.path());
    println!("{} objects done, {} duplicates, {:?}", tally.done, tally.duplicates, tally.reasons);
    if let Some(difference) = tally.difference(&world) {
        panic!("seed {}: {difference}", plan.seed);
    }
    let whole = (u64::from(plan.events), u64::from(plan.events));
    let mut held = None;
    eventually("the lake holds every event once", plan.drains, || {
        held = tally::of_lake(stage.folder.path());
        held.as_ref().is_none_or(|held| *held == Ok(whole))
    });
    println!("lake: {held:?}");
    let expected = oracle::findings(&world);
    let found = findings(stage.folder.path());
    if let Some(difference) = oracle::difference(&expected, &oracle::of_listed(&found)) {
        panic!("seed {}: {difference}", plan.seed);
    }
    // A second opinion: the same files, read without a cloud and without a store.
    let replay = ["replay", "logs", "--agents", "agents", "--output", "ndjson"];
    let mut replayed = remit(stage.folder.path(), &replay).expect(0).lines();
    assert_eq!(replayed.pop().unwrap()["summary"]["unique"], plan.events);
    assert_eq!(oracle::difference(&expected, &oracle::of_listed(&replayed)), None, "replay agrees");
    stage.is_told_once(&found, &kills);
    let stderr = service.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
    service.kill();
    println!(
        "seed {}: {} events, {} kills, {} findings: ok in {:?}",
        plan.seed,
        plan.events,
        kills.len(),
        expected.len(),
        start.elapsed()
    );
}

#[test]
fn killed_at_any_moment_it_finds_everything_once_and_tells_it_under_one_id() {
    let seed = seed(20_261_120);
    survives(&Plan {
        seed,
        events: 50_000,
        files: 200,
        agents: 12,
        flows: Duration::from_secs(20),
        runs: 200..2000,
        in_flight: 16,
        faults: Faults { changed: 0.0, ..Faults::bad_day(seed) },
        drains: Duration::from_secs(120),
    });
}

#[test]
#[ignore = "long: `tests/endurance/run kill`"]
fn killed_for_minutes() {
    let minutes = number("REMIT_MINUTES").unwrap_or(10);
    let events = number("REMIT_EVENTS").unwrap_or(1_000_000) as u32;
    let first = seed(20_261_120);
    for round in 0..number("REMIT_SEEDS").unwrap_or(5) {
        survives(&Plan {
            seed: first + round,
            events,
            files: (events / 500) as usize,
            agents: 40,
            flows: Duration::from_secs(60 * minutes),
            runs: 200..2000,
            in_flight: 16,
            faults: Faults { changed: 0.0, ..Faults::bad_day(first + round) },
            drains: Duration::from_secs(600),
        });
    }
}
