//! The disk is full at a bad moment: work waits and says why, and is done once there is room.

use crate::support::aws::Aws;
use crate::support::disk::Disk;
use crate::support::folder::{Config, Folder};
use crate::support::remit::{Service, findings};
use crate::support::tally::{self, Tally};
use crate::support::world::{Call, Shape, World};
use crate::support::{eventually, http, number, oracle, records, seed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long work may still be taken once nothing can be written.
const STOPS: Duration = Duration::from_secs(5);

/// How soon it goes on once there is room.
const RESUMES: Duration = Duration::from_secs(30);

/// What one full moment showed.
struct Moment {
    /// Until `/readyz` said no; none where it never did.
    said: Option<Duration>,
    reason: String,
    /// Messages that were taken after [`STOPS`].
    taken: u64,
    /// From when there was room until `/readyz` said yes.
    ready: Duration,
}

fn full(stage: &Stage, service: &Service, dice: &mut ChaCha8Rng) -> Moment {
    stage.disk.fill();
    let start = Instant::now();
    let lasts = STOPS + Duration::from_millis(dice.random_range(1000..3000));
    let (mut said, mut reason, mut taken_by_then) = (None, String::new(), None);
    while start.elapsed() < lasts {
        let answer = http::try_get(&service.url("/readyz"), &[]);
        if let Some(answer) = answer.filter(|answer| answer.status == 503)
            && said.is_none()
        {
            (said, reason) = (Some(start.elapsed()), answer.text);
        }
        if start.elapsed() >= STOPS {
            taken_by_then.get_or_insert_with(|| stage.aws.deliveries("q"));
        }
        // What little the service may free by itself is taken too.
        stage.disk.fill();
        std::thread::sleep(Duration::from_millis(50));
    }
    let taken = stage.aws.deliveries("q") - taken_by_then.unwrap_or_default();
    stage.disk.free();
    let start = Instant::now();
    eventually("it is ready again", Duration::from_secs(60), || {
        http::try_get(&service.url("/readyz"), &[]).is_some_and(|answer| answer.status == 200)
    });
    Moment { said, reason, taken, ready: start.elapsed() }
}

struct Stage {
    aws: Aws,
    disk: Disk,
    folder: Folder,
}

/// Says so when it goes, by a panic too: whoever waits for it must not wait for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Fills the disk at so many moments: each time it must say that it is not ready, and stop asking for messages.
fn fills(full_moments: usize) {
    // What is kept of the events needs room of its own.
    let Some(disk) = Disk::mount(96 + 3 * u32::try_from(full_moments).unwrap()) else {
        eprintln!("SKIPPED: this user may mount no file system; run as root, or with sudo that asks nothing");
        return;
    };
    let seed = seed(14);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let now = chrono::Utc::now().timestamp();
    let files = full_moments * 60;
    let world = World::of(seed, Shape { agents: 8, burst: files as u32 * 40, each_day: 8, now });
    let folder = Folder::at(disk.path());
    let stage = Stage { aws: Aws::start(), disk, folder };
    world.declare(&stage.folder);
    let queue = stage.aws.queue("q");
    stage.aws.bucket("acme-logs", "q");
    let port = stage.folder.configure(&Config::default().queue(&stage.aws.url, &queue, "acme-logs"));
    let mut service = Service::run(stage.folder.path(), port);
    let dealt: Vec<Vec<Call>> = world.dealt(files, 100, &mut dice);
    let (fed, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let moments: Vec<Moment> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for (number, calls) in dealt.iter().enumerate() {
                stage.aws.put("acme-logs", &records::key(number), world.file(calls));
                // Something always waits, until the last moment is over.
                while stage.aws.messages("q").0 > 20 && !done.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            fed.store(true, Ordering::Relaxed);
        });
        let over = Over(&done);
        let mut moments = Vec::new();
        for _ in 0..full_moments {
            std::thread::sleep(Duration::from_millis(dice.random_range(200..1500)));
            moments.push(full(&stage, &service, &mut dice));
            let before = Tally::of(stage.folder.path()).done;
            if !fed.load(Ordering::Relaxed) {
                eventually("work goes on once there is room", Duration::from_secs(60), || {
                    Tally::of(stage.folder.path()).done > before
                });
            }
        }
        drop(over);
        moments
    });
    eventually("the queue is empty", Duration::from_secs(120), || {
        stage.aws.expire("q");
        std::thread::sleep(Duration::from_millis(1500));
        stage.aws.messages("q") == (0, 0)
    });
    let mut held = None;
    eventually("the lake holds every event once", Duration::from_secs(60), || {
        held = tally::of_lake(stage.folder.path());
        held.as_ref().is_none_or(|held| *held == Ok((world.calls.len() as u64, world.calls.len() as u64)))
    });
    let tally = Tally::of(stage.folder.path());
    println!(
        "lake: {held:?}; {} objects done, {} duplicates, quarantine {:?}",
        tally.done, tally.duplicates, tally.reasons
    );
    assert_eq!(tally.difference(&world), None, "seed {seed}");
    let found = oracle::of_listed(&findings(stage.folder.path()));
    assert_eq!(oracle::difference(&oracle::findings(&world), &found), None, "seed {seed}");
    service.kill();
    let stderr = service.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");

    let silent = moments.iter().filter(|moment| moment.said.is_none()).count();
    let latest = moments.iter().filter_map(|moment| moment.said).max();
    let ready = moments.iter().map(|moment| moment.ready).max();
    let taken: u64 = moments.iter().map(|moment| moment.taken).sum();
    let reasons: Vec<&str> = moments.iter().map(|moment| moment.reason.as_str()).collect();
    println!(
        "{full_moments} full moments: {silent} unsaid, said after {latest:?} at most, {taken} messages taken later than \
         {STOPS:?}, ready again after {ready:?} at most"
    );
    assert_eq!((silent, taken), (0, 0), "seed {seed}: {reasons:?}");
    assert!(latest.is_some_and(|latest| latest <= STOPS), "seed {seed}: {latest:?}");
    assert!(reasons.iter().all(|reason| reason.contains("full")), "{reasons:?}");
    assert!(ready.is_some_and(|ready| ready <= RESUMES), "seed {seed}: {ready:?}");
}

#[test]
fn a_full_disk_stops_the_intake_says_so_and_loses_nothing() {
    fills(3);
}

#[test]
#[ignore = "long: `tests/endurance/run disk`"]
fn a_disk_that_is_full_again_and_again_loses_nothing() {
    fills(number("REMIT_MOMENTS").unwrap_or(100) as usize);
}
