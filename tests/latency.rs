//! From a notification to the alert that somebody has: at a steady rate, and after three times too much.
//!
//! Long, and of the release: `tests/endurance/run latency`. The figures of a machine are in `tests/endurance/README.md`.

use crate::support::aws::Aws;
use crate::support::folder::{Config, Folder};
use crate::support::receivers::Receiver;
use crate::support::records::{self, Record};
use crate::support::remit::{Service, remit};
use crate::support::tally::Tally;
use crate::support::{eventually, number, seed};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Events of one object.
const OBJECT: u64 = 200;
/// Time between two alerts that are waited for.
const PROBE: Duration = Duration::from_millis(250);

/// Which part of a run a probe belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Steady,
    Overload,
    After,
}

struct Run {
    aws: Aws,
    webhook: Receiver,
    /// The load's objects that are not told of yet, the last first.
    load: Vec<PathBuf>,
    /// Agents of the probes, and when each was told of.
    told: Vec<(Part, String, Instant)>,
    /// Messages that waited, at each second of each part.
    waiting: Vec<(Part, usize)>,
}

impl Run {
    /// Tells of objects at so many events a second, and of a probe now and then; ends early where `is_over` says so.
    fn flows(&mut self, part: Part, rate: u64, lasts: Duration, is_over: impl Fn(usize) -> bool) {
        let start = Instant::now();
        let pause = Duration::from_secs_f64(OBJECT as f64 / rate as f64);
        let (mut next, mut probe, mut look) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        while start.elapsed() < lasts {
            let now = start.elapsed();
            while next <= now {
                let Some(path) = self.load.pop() else { panic!("the load is too small") };
                self.aws.put_file("acme-logs", &path.file_name().unwrap().to_string_lossy(), &path);
                next += pause;
            }
            if probe <= now {
                let number = self.told.len();
                let agent = format!("probe-{number:05}");
                let record =
                    Record::of_agent(&agent, "s3:DeleteObject").object("acme-invoices", "k").number(number);
                let log = records::log_file(&[record.minutes_ago(1)]);
                self.told.push((part, agent, Instant::now()));
                self.aws.put("acme-logs", &records::key(number), log);
                probe += PROBE;
            }
            if look <= now {
                let (visible, hidden) = self.aws.messages("q");
                self.waiting.push((part, visible));
                if is_over(visible + hidden) {
                    return;
                }
                look += Duration::from_secs(1);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How long each probe of a part took to be told.
    fn latencies(&self, part: Part) -> Vec<Duration> {
        let mut heard: BTreeMap<String, Instant> = BTreeMap::new();
        for request in self.webhook.accepted() {
            let agent =
                request.body["incident"]["agent"].as_str().or(request.body["findings"][0]["agent"].as_str());
            let agent = agent.unwrap_or_else(|| panic!("no agent in {}", request.body));
            heard.entry(agent.to_owned()).or_insert(request.at);
        }
        let of_part = self.told.iter().filter(|(of, ..)| *of == part);
        let mut took: Vec<Duration> =
            of_part.map(|(_, agent, at)| heard[agent].duration_since(*at)).collect();
        took.sort_unstable();
        took
    }
}

fn quantile(sorted: &[Duration], of_hundred: usize) -> Duration {
    sorted
        .get((sorted.len() * of_hundred / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[test]
#[ignore = "long: `tests/endurance/run latency`"]
fn an_alert_comes_in_time_and_an_overload_passes() {
    let seed = seed(21);
    let rate = number("REMIT_RATE").unwrap_or(10_000);
    let steady = Duration::from_secs(number("REMIT_SECONDS").unwrap_or(60));
    let overload = steady;
    // Steady, three times as much, and twice its time to recover while the usual goes on.
    let events = rate * steady.as_secs() * (1 + 3 + 2) + 20 * OBJECT;
    let files = events / OBJECT;
    let folder = Folder::new();
    let (of_events, of_files) = (files * OBJECT, files.to_string());
    let synth =
        ["synth", "--load", &of_events.to_string(), "--files", &of_files, "--seed", &seed.to_string()];
    remit(folder.path(), &[&synth[..], &["--out", "load"]].concat()).expect(0);
    let mut load = Vec::new();
    let mut folders = vec![folder.path().join("load")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { load.push(path) }
        }
    }
    let probes = (4 * (steady.as_secs() * 4 + 60)) as usize;
    for probe in 0..probes {
        folder.agent(&format!("probe-{probe:05}"), &[("s3:GetObject", "*")]);
    }
    let (aws, webhook) = (Aws::start(), Receiver::webhook("hush"));
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    let port = folder.configure(
        &Config::default()
            .queue_with(&aws.url, &queue, "acme-logs", "in_flight = 100")
            .alerts("max_per_minute = 1000000")
            .receiver("webhook", &format!("url = \"{}\"\nsecret = \"hush\"", webhook.url)),
    );
    let mut service = Service::run(folder.path(), port);
    let mut run = Run { aws, webhook, load, told: Vec::new(), waiting: Vec::new() };
    let had = run.load.len();

    run.flows(Part::Steady, rate, steady, |_| false);
    let usual = service.peak();
    let began = Instant::now();
    run.flows(Part::Overload, 3 * rate, overload, |_| false);
    let overloaded = Instant::now();
    // The usual number of messages: none but those that are being worked on.
    run.flows(Part::After, rate, 2 * overload, |waiting| waiting < 10);
    let recovered = overloaded.elapsed();
    println!("the overload of {:?} was worked off after {recovered:?}", overloaded - began);
    eventually("the queue is empty", Duration::from_secs(600), || run.aws.messages("q") == (0, 0));
    eventually("everything is told", Duration::from_secs(120), || {
        run.webhook.accepted().len() >= run.told.len()
    });

    for part in [Part::Steady, Part::Overload, Part::After] {
        let took = run.latencies(part);
        let most = run.waiting.iter().filter(|(of, _)| *of == part).map(|(_, waiting)| *waiting).max();
        println!(
            "{part:?}: {} alerts, p50 {:.2?}, p99 {:.2?}, most {:.2?}; at most {} messages waited",
            took.len(),
            quantile(&took, 50),
            quantile(&took, 99),
            quantile(&took, 100),
            most.unwrap_or_default(),
        );
    }
    println!("memory: {} MiB at most before the overload, {} MiB in all", usual >> 20, service.peak() >> 20);
    let told = (had - run.load.len()) as i64 * OBJECT as i64 + run.told.len() as i64;
    let tally = Tally::of(folder.path());
    assert_eq!((tally.stored, tally.quarantined, tally.repeated), (told, 0, 0), "nothing is lost");
    println!("{told} events, 0 lost");
    let peak = service.peak();
    service.kill();
    let took = run.latencies(Part::Steady);
    assert!(quantile(&took, 50) <= Duration::from_secs(1), "p50 {:?}", quantile(&took, 50));
    assert!(quantile(&took, 99) <= Duration::from_secs(5), "p99 {:?}", quantile(&took, 99));
    assert!(recovered <= 2 * overload, "worked off after {recovered:?}");
    assert!(peak < 1 << 30, "{} MiB", peak >> 20);
}
