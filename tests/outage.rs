//! Receivers go down, each in its own way, and come back: nothing is lost, nobody is told twice, others do not wait.

use crate::support::folder::{Config, Folder};
use crate::support::proxy::{Proxy, Trouble};
use crate::support::receivers::{Behaviour, Receiver};
use crate::support::records::Record;
use crate::support::remit::Service;
use crate::support::{eventually, number, seed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How a receiver is down.
#[derive(Debug, Clone, Copy)]
enum Down {
    Network(Trouble),
    Service(Behaviour),
}

/// Every way to be down, by the receiver's name.
fn ways() -> [(&'static str, Down); 7] {
    [
        ("refuses", Down::Network(Trouble::Refuse)),
        ("black-hole", Down::Network(Trouble::BlackHole)),
        ("resets", Down::Network(Trouble::Reset)),
        ("broken", Down::Service(Behaviour::Broken)),
        ("busy", Down::Service(Behaviour::Later(Duration::from_secs(3)))),
        ("hangs", Down::Service(Behaviour::Hang)),
        ("answer-lost", Down::Network(Trouble::LoseAnswer)),
    ]
}

/// A receiver that is down for a while.
struct Sick {
    name: &'static str,
    way: Down,
    receiver: Receiver,
    proxy: Proxy,
}

impl Sick {
    fn of(name: &'static str, way: Down) -> Sick {
        let receiver = Receiver::webhook("hush");
        let proxy = Proxy::before(&receiver.url);
        Sick { name, way, receiver, proxy }
    }

    fn falls(&self) {
        match self.way {
            Down::Network(trouble) => self.proxy.does(trouble),
            Down::Service(behaviour) => self.receiver.always(Some(behaviour)),
        }
    }

    fn recovers(&self) {
        self.proxy.does(Trouble::None);
        self.receiver.always(None);
    }

    fn told(&self) -> BTreeMap<String, usize> {
        told(&self.receiver)
    }
}

/// How often each incident was told, by its id.
fn told(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for request in receiver.accepted() {
        *told.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
    told
}

/// When the healthy receiver heard of an agent, after its log was there.
fn waits(healthy: &Receiver, written: &[(String, Instant)]) -> Vec<Duration> {
    let heard: Vec<(String, Instant)> =
        healthy.accepted().into_iter().map(|request| (request.body.to_string(), request.at)).collect();
    let wait = |(agent, at): &(String, Instant)| {
        let name = format!("\"{agent}\"");
        let heard = heard.iter().find(|(body, _)| body.contains(&name)).map(|(_, heard)| *heard);
        heard.map(|heard| heard.duration_since(*at))
    };
    let mut waits: Vec<Duration> = written.iter().filter_map(wait).collect();
    waits.sort_unstable();
    waits
}

/// One alert a time, for the whole of the outage and some time before it.
fn outlast(outage: Duration, pause: Duration, before: usize) {
    let seed = seed(5);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let folder = Folder::new();
    folder.write("logs/.keep", "");
    let healthy = Receiver::webhook("hush");
    let sick: Vec<Sick> = ways().map(|(name, way)| Sick::of(name, way)).into();
    let alerts = before + (outage.as_secs_f64() / pause.as_secs_f64()) as usize;
    for number in 0..alerts {
        folder.agent(&format!("agent-{number:05}"), &[("s3:GetObject", "*")]);
    }
    let mut config = Config::default()
        .directory("logs", true)
        .alerts("max_per_minute = 100000")
        .receiver_named("healthy", "webhook", &format!("url = \"{}\"\nsecret = \"hush\"", healthy.url));
    for Sick { name, proxy, .. } in &sick {
        let keys = format!("url = \"{}\"\nsecret = \"hush\"", proxy.url);
        config = config.receiver_named(name, "webhook", &keys);
    }
    let port = folder.configure(&config);
    let mut service = Service::run(folder.path(), port);

    let mut written = Vec::new();
    let tell = |number: usize, written: &mut Vec<(String, Instant)>| {
        let agent = format!("agent-{number:05}");
        let record = Record::of_agent(&agent, "s3:DeleteObject").object("acme-invoices", "k").number(number);
        let file = folder.log(&format!("made/{number}.json.gz"), &[record.minutes_ago(1)]);
        written.push((agent, Instant::now()));
        // Whole at once: a file that is being written is read later, and that is not what is measured.
        std::fs::rename(file, folder.path().join(format!("logs/{number}.json.gz"))).unwrap();
        std::thread::sleep(pause);
    };
    (0..before).for_each(|number| tell(number, &mut written));
    eventually("everybody heard of the first", Duration::from_secs(60), || {
        sick.iter().all(|sick| sick.told().len() == before) && told(&healthy).len() == before
    });

    sick.iter().for_each(Sick::falls);
    let (first, second) = (alerts - (alerts - before) * 2 / 3, alerts - (alerts - before) / 3);
    let mut restarts = Vec::new();
    for number in before..alerts {
        if number == first || number == second {
            // Once as a power cut would end it, once as an operator would.
            if number == first {
                std::thread::sleep(Duration::from_millis(dice.random_range(0..500)));
                service.kill();
            } else {
                service.stop();
            }
            service.restart();
            service = service.ready();
            restarts.push(number);
        }
        tell(number, &mut written);
    }
    eventually("the healthy one heard of all", Duration::from_secs(60), || told(&healthy).len() == alerts);
    let quiet = waits(&healthy, &written[..before]);
    // But for those that wait for a restart.
    let during: Vec<(String, Instant)> = written[before..]
        .iter()
        .enumerate()
        .filter(|(at, _)| !restarts.iter().any(|restart| (before + at).abs_diff(*restart) <= 2))
        .map(|(_, told)| told.clone())
        .collect();
    let during = waits(&healthy, &during);
    let (usual, slowed) = (quiet[quiet.len() / 2], during[during.len() / 2]);
    println!(
        "the healthy receiver: {usual:?} before, {slowed:?} during (medians); at most {:?}",
        during.last()
    );
    assert!(slowed < usual + Duration::from_secs(2), "others are slowed: {usual:?}, then {slowed:?}");

    let recovered = Instant::now();
    sick.iter().for_each(Sick::recovers);
    let (mut late, mut is_said) = (BTreeMap::new(), false);
    eventually("everybody heard of all", Duration::from_secs(150), || {
        for sick in &sick {
            if sick.told().len() == alerts {
                late.entry(sick.name).or_insert(recovered.elapsed());
            }
        }
        // What a failure is understood by.
        if recovered.elapsed() > Duration::from_secs(60) && !is_said {
            is_said = true;
            for sick in &sick {
                eprintln!("{}: {} of {alerts} told after a minute", sick.name, sick.told().len());
            }
            eprintln!(
                "{}",
                service
                    .get("/metrics")
                    .text
                    .lines()
                    .filter(|line| line.contains("receiver"))
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
        late.len() == sick.len()
    });
    println!("all of {alerts} heard after {late:.1?}");
    assert!(
        late.values().all(|late| *late < Duration::from_secs(60)),
        "seed {seed}: within a minute: {late:?}"
    );
    eventually("nothing is left to tell", Duration::from_secs(60), || {
        service.metric("remit_receiver_queue_depth", &[]) == 0.0
    });
    let ids: BTreeSet<String> = told(&healthy).into_keys().collect();
    assert_eq!(ids.len(), alerts);
    assert!(told(&healthy).values().all(|times| *times == 1), "{:?}", told(&healthy));
    for sick in &sick {
        let told = sick.told();
        assert!(told.keys().eq(ids.iter()), "{} heard of others", sick.name);
        let again: usize = told.values().map(|times| times - 1).sum();
        println!("{}: {} requests, {again} again", sick.name, sick.receiver.count());
        let loses_answers = matches!(sick.way, Down::Network(Trouble::LoseAnswer));
        assert!(again == 0 || loses_answers, "{} was told again: {told:?}", sick.name);
        sick.receiver.is_satisfied();
    }
    let stderr = service.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn receivers_that_were_down_hear_of_everything_once_and_others_do_not_wait() {
    outlast(Duration::from_secs(12), Duration::from_millis(500), 4);
}

#[test]
#[ignore = "long: `tests/endurance/run outage`"]
fn receivers_that_were_down_for_long_hear_of_everything_once() {
    let outage = Duration::from_secs(60 * number("REMIT_MINUTES").unwrap_or(60));
    outlast(outage, outage / 900, 8);
}
