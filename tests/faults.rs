//! Whatever happens to disk, process and S3: nothing is lost, the service says what is wrong, and it goes on by itself.

use crate::others_bugs::{Stage, log, outcome};
use crate::support::aws::{Aws, Faults};
use crate::support::records::{self, Record};
use crate::support::remit::Service;
use crate::support::{eventually, until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);

/// A small disk of its own; taken away with its story. None where this machine does not let us.
struct Disk(PathBuf);

impl Disk {
    fn of(folder: &Path, mebibytes: u32) -> Option<Disk> {
        let place = folder.join("disk");
        std::fs::create_dir(&place).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&place).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Disk(place));
        }
        eprintln!("SKIPPED: no tmpfs can be mounted here, so no disk can be filled");
        None
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        let piece = vec![7; 64 << 10];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&piece[..512]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the service may end a moment later.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_the_work_says_so_and_loses_nothing() {
    let stage = Stage::with("");
    let Some(disk) = Disk::of(stage.folder.path(), 48) else { return };
    let config = stage.folder.read("remit.toml").replace("\"remit.db\"", "\"disk/remit.db\"");
    stage.folder.write("remit.toml", config);
    let remit = stage.run();
    let mut put = 0;
    for round in 0..3 {
        for _ in 0..5 {
            stage.put(put);
            put += 1;
        }
        if round == 1 {
            // While idle, and while at work.
            eventually("all is judged", SOON, || outcome(&remit, "done") == f64::from(put as u32));
        }
        disk.fill();
        let began = Instant::now();
        eventually("it says so", SOON, || {
            let ready = remit.get("/readyz");
            ready.status == 503 && ready.text.contains("the disk is full")
        });
        // Within 5 s on a machine of one's own; this one may be busy.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        let done = outcome(&remit, "done");
        for _ in 0..5 {
            stage.put(put);
            put += 1;
        }
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(outcome(&remit, "done"), done, "nothing is taken");
        let left = stage.aws.messages("q");
        assert_eq!(left.0 + left.1, put - done as usize, "nothing is acknowledged that is not stored");
        disk.empty();
        let began = Instant::now();
        eventually("it goes on by itself", SOON, || remit.get("/readyz").status == 200);
        eprintln!("ready {:?} after there was room", began.elapsed());
        eventually("nothing is lost", SOON, || outcome(&remit, "done") == f64::from(put as u32));
    }
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
    assert_eq!(remit.metric("remit_events_total", &[]), f64::from(put as u32));
    assert_eq!(outcome(&remit, "quarantined"), 0.0);
}

/// A service that holds messages it cannot work on: S3 refuses everything.
fn holding(stage: &Stage) -> Service {
    stage.aws.refuse("", 503, "SlowDown");
    let remit = stage.run();
    for number in 0..20 {
        stage.put(number);
    }
    eventually("it holds messages", SOON, || stage.aws.messages("q").1 >= 8);
    remit
}

#[test]
fn asked_to_end_it_gives_back_what_it_holds_at_once() {
    let stage = Stage::with("");
    let mut remit = holding(&stage);
    let began = Instant::now();
    assert_eq!(remit.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(stage.aws.messages("q"), (20, 0), "another worker can have them now");
    stage.aws.allow();
    remit.restart();
    let remit = remit.ready();
    eventually("nothing is lost", SOON, || outcome(&remit, "done") == 20.0);
}

/// A log file that takes seconds to judge.
fn large() -> Vec<u8> {
    let record = |number| {
        Record::of_agent("ant", "s3:GetObject").object("acme-tickets", "k").number(number).minutes_ago(2)
    };
    records::log_file(&(0..24_000).map(record).collect::<Vec<_>>())
}

/// Whether some object is being judged now, or was when the process ended.
fn is_open(stage: &Stage) -> bool {
    let list = std::fs::read_to_string(stage.folder.path().join("remit.open")).unwrap_or_default();
    list.lines().any(|line| !line.trim().is_empty())
}

#[test]
fn asked_twice_it_ends_at_once() {
    let stage = Stage::with("");
    let mut remit = stage.run();
    stage.aws.put("acme-logs", "AWSLogs/large.json.gz", large());
    eventually("it is at work", SOON, || is_open(&stage));
    remit.signal("-INT");
    eventually("it began to end", SOON, || remit.stderr().contains("finishing what is under way"));
    let began = Instant::now();
    assert_eq!(remit.stop(), Some(130), "not what was asked for first");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    stage.aws.expire("q");
    remit.restart();
    let remit = remit.ready();
    eventually("nothing is lost", Duration::from_secs(120), || outcome(&remit, "done") == 1.0);
    assert_eq!(remit.metric("remit_events_total", &[]), 24_000.0);
}

#[test]
fn what_really_ends_the_process_twice_is_not_opened_a_third_time() {
    let stage = Stage::with("");
    // It flies at every start, and is what is open then for a moment.
    let config = stage.folder.read("remit.toml") + "[watch]\ncanary = false\n";
    stage.folder.write("remit.toml", config);
    let mut remit = stage.run();
    stage.put(1);
    eventually("an innocent one is judged", SOON, || outcome(&remit, "done") == 1.0);
    stage.aws.put("acme-logs", "AWSLogs/poison.json.gz", large());
    for crash in 1..=2 {
        until(&format!("it is open, {crash}"), SOON, || is_open(&stage).then_some(()));
        remit.kill();
        assert!(is_open(&stage), "it was being judged when the process ended");
        stage.aws.expire("q");
        remit.restart();
        remit = remit.ready();
    }
    stage.put(2);
    eventually("it is in quarantine", SOON, || {
        remit.metric("remit_events_quarantined_total", &["reason=\"poison\""]) == 1.0
    });
    eventually("its neighbour is judged", SOON, || outcome(&remit, "done") == 1.0);
    assert!(!is_open(&stage));
    eventually("the queue is empty", SOON, || stage.aws.messages("q") == (0, 0));
}

/// Cut and slow bodies, a service that is often not available, lost deletes, messages that come back too early.
#[test]
fn on_a_bad_day_of_s3_and_sqs_everything_is_judged_once() {
    let faults = Faults {
        seed: 7,
        unavailable: 0.15,
        slow: 0.2,
        cut: 0.2,
        duplicate: 0.2,
        lost_delete: 0.2,
        early_expiry: 0.2,
        ..Faults::default()
    };
    let stage = Stage { aws: Aws::with_faults(faults), ..Stage::with("") };
    let queue = stage.aws.queue("q");
    stage.aws.bucket("acme-logs", "q");
    let config = crate::support::folder::Config::default().queue(&stage.aws.url, &queue, "acme-logs");
    let stage = Stage { port: stage.folder.configure(&config), ..stage };
    let remit = stage.run();
    for number in 0..100 {
        stage.aws.put("acme-logs", &records::key(number), log(number));
    }
    eventually("everything is judged", Duration::from_secs(120), || outcome(&remit, "done") == 100.0);
    stage.aws.heal();
    eventually("the queue is empty", Duration::from_secs(120), || {
        stage.aws.expire("q");
        std::thread::sleep(Duration::from_millis(1000));
        stage.aws.messages("q") == (0, 0)
    });
    assert_eq!(remit.metric("remit_events_total", &[]), 100.0);
    assert_eq!(outcome(&remit, "quarantined"), 0.0);
}
