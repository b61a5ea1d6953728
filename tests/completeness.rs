//! Everything that was delivered was judged, and can be proved to have been; what was not is told.

use crate::support::digests::{Bucket, Trail, gzip, sha256};
use crate::support::folder::{Config, Folder};
use crate::support::records::{Record, log_file};
use crate::support::remit::{Service, findings, remit};
use crate::support::trail_cloud::TrailCloud;
use crate::support::{eventually, number};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use std::io::Read;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

/// A trail whose last of so many hours ends with the last full hour.
fn trail(account: &str, hours: i32) -> Trail {
    let now = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap() - TimeDelta::hours(1) * hours;
    Trail { account: account.to_owned(), now, ..Trail::new() }
}

fn hours(account: &str, hours: i32, logs: u32) -> (Bucket, Trail) {
    let (mut bucket, mut trail) = (Bucket::default(), trail(account, hours));
    for _ in 0..hours {
        trail.hour(&mut bucket, logs);
    }
    (bucket, trail)
}

/// A watch over the cloud's bucket that sweeps each second, and waits for what may still come for two.
fn watch(cloud: &TrailCloud) -> (Folder, Service) {
    watch_also(cloud, "")
}

/// The same with more keys of the source.
fn watch_also(cloud: &TrailCloud, keys: &str) -> (Folder, Service) {
    let folder = Folder::new();
    let port = crate::support::free_port();
    let text = format!(
        "[[sources]]\ntype = \"s3_sqs\"\nname = \"trail\"\nqueue_url = \"{}\"\nregion = \"eu-west-1\"\n\
         endpoint_url = \"{}\"\nbuckets = [\"logs\"]\nvisibility = \"30s\"\nwait = \"1s\"\nsweep = \"1s\"\n{keys}\
         [ledger]\ngrace = \"2s\"\nendpoint_url = \"{}\"\n[store]\npath = \"remit.db\"\n\
         [scope]\nagents = \"agents\"\npolicies = \"policies\"\n[web]\nlisten = \"127.0.0.1:{port}\"\n",
        cloud.queue(),
        cloud.url,
        cloud.url,
    );
    folder.write("remit.toml", text);
    let service = Service::run(folder.path(), port);
    (folder, service)
}

fn files(service: &Service, verdict: &str) -> f64 {
    service.metric("remit_ledger_files", &["source=\"trail\"", &format!("verdict=\"{verdict}\"")])
}

/// What was found about logs: the account and the kind of each finding.
fn told(folder: &Folder) -> Vec<(String, String)> {
    let found = findings(folder.path()).into_iter().filter(|finding| finding["detection"] == "LG02");
    let mut told: Vec<(String, String)> = found
        .map(|finding| {
            let kind = finding["subject"].as_str().unwrap().split(' ').next().unwrap().to_owned();
            (finding["actor"].as_str().unwrap().to_owned(), kind)
        })
        .collect();
    told.sort();
    told
}

fn report(folder: &Folder, code: i32) -> Value {
    let day = (Utc::now() - TimeDelta::days(2)).to_rfc3339();
    remit(folder.path(), &["completeness", "--from", &day, "--output", "json"]).expect(code).json()
}

fn is_log(key: &str) -> bool {
    !key.contains("CloudTrail-Digest")
}

/// Writes the bucket as a folder, as `digest verify` reads it.
fn copy(folder: &Folder, bucket: &Bucket) {
    for ((at, key), bytes) in &bucket.objects {
        folder.write(&format!("copy/{at}/{key}"), bytes);
    }
    for ((at, key), metadata) in &bucket.metadata {
        folder.write(&format!("copy/{at}/{key}.metadata.json"), metadata.to_string());
    }
}

#[test]
fn a_clean_chain_is_verified_to_its_end_and_tells_nothing() {
    let cloud = TrailCloud::start();
    let (bucket, trail) = hours("111122223333", 24, 10);
    // Every second notification is lost, of digests too.
    let lost = |key: &str| key.bytes().map(u32::from).sum::<u32>() % 2 == 0;
    cloud.put(&bucket, |key| !lost(key));
    let (folder, service) = watch(&cloud);
    eventually("all of it is verified", LIMIT, || files(&service, "verified") == 240.0);
    assert!(service.metric("remit_ledger_recalled_total", &[]) > 0.0);
    assert_eq!(service.metric("remit_ledger_gaps", &[]), 0.0);
    assert_eq!(told(&folder), []);

    let report = report(&folder, 0);
    let sums = ["expected", "stored", "verified", "missing", "extra", "pending"];
    assert_eq!(sums.map(|name| report["totals"][name].as_i64().unwrap()), [240, 240, 240, 0, 0, 0]);
    let chain = &report["chains"][0];
    assert_eq!((chain["digests"].as_i64(), report["chains"].as_array().unwrap().len()), (Some(24), 1));
    let through: DateTime<Utc> = chain["verified_through"].as_str().unwrap().parse().unwrap();
    assert_eq!(through, trail.now);

    let day = (Utc::now() - TimeDelta::days(2)).to_rfc3339();
    let table = remit(folder.path(), &["completeness", "--from", &day]).expect(0).stdout;
    assert!(
        table.contains("log files: 240 expected, 240 stored, 240 verified, 0 missing, 0 extra"),
        "{table}"
    );

    // Whoever has a copy of the bucket needs neither store nor cloud.
    folder.write("report.json", report.to_string());
    copy(&folder, &bucket);
    let check = ["completeness", "--check", "report.json", "--root", "copy"];
    let said = remit(folder.path(), &check).expect(0);
    assert!(said.stdout.contains("24 digests") && said.stdout.contains("0 differences"), "{}", said.stdout);
    // A claim that the copy does not bear out.
    let (at, key) = bucket.objects.keys().find(|(_, key)| is_log(key)).unwrap();
    folder.write(&format!("copy/{at}/{key}"), gzip(b"{}"));
    let said = remit(folder.path(), &check).expect(1);
    assert!(said.stdout.contains("DIFFERS"), "{}", said.stdout);
}

fn account(number: u32) -> String {
    format!("{number:012}")
}

/// Log files of [`tampered`] that are in order, and those whose own digest is gone or forged.
const IN_ORDER: f64 = 71.0;
const UNSIGNED: f64 = 4.0;

/// Puts nine accounts of a few hours there, something done to each but the first; gives what is to be told.
fn tampered(cloud: &TrailCloud) -> Vec<(String, String)> {
    let scene = |number: u32| {
        let (bucket, trail) = hours(&account(number), 5, 2);
        let names = |is_log_name: bool| -> Vec<(String, String)> {
            let mut names: Vec<_> =
                bucket.objects.keys().filter(|(_, key)| is_log(key) == is_log_name).cloned().collect();
            names.sort_by(|a, b| a.1.cmp(&b.1));
            names
        };
        let (logs, digests) = (names(true), names(false));
        (bucket, trail, logs, digests)
    };
    // 1: nothing is done.
    cloud.put(&scene(1).0, |_| true);
    // 2: a log was deleted before anybody read it.
    let (mut bucket, _, logs, _) = scene(2);
    bucket.objects.remove(&logs[4]);
    cloud.put(&bucket, |_| true);
    // 3: a log that nobody signed, within a time that is signed.
    let (mut bucket, mut trail, _, _) = scene(3);
    let at = trail.now - TimeDelta::minutes(150);
    trail.log(&mut bucket, at);
    cloud.put(&bucket, |_| true);
    // 4: a log was edited.
    let (mut bucket, _, logs, _) = scene(4);
    bucket.objects.insert(logs[4].clone(), gzip(b"{\"Records\":[]}"));
    cloud.put(&bucket, |_| true);
    // 5: a digest in the midst was deleted.
    let (mut bucket, _, _, digests) = scene(5);
    bucket.objects.remove(&digests[2]);
    cloud.put(&bucket, |_| true);
    // 6: something was added behind the gzip member.
    let (mut bucket, _, logs, _) = scene(6);
    bucket.objects.get_mut(&logs[4]).unwrap().extend(gzip(b"{\"Records\":[]}"));
    cloud.put(&bucket, |_| true);
    // 7: no digest came for five hours.
    let (mut bucket, mut silent) = (Bucket::default(), trail_before(&account(7)));
    silent.hour(&mut bucket, 2);
    silent.hour(&mut bucket, 2);
    cloud.put(&bucket, |_| true);
    // 8: a digest was edited by somebody without a key.
    let (mut bucket, _, _, digests) = scene(8);
    let metadata = bucket.metadata.get_mut(&digests[2]).unwrap();
    metadata["signature"] = Value::from("ab".repeat(256));
    cloud.put(&bucket, |_| true);
    // 9: logging was off for three hours.
    let (mut bucket, mut trail) = (Bucket::default(), trail_of_nine());
    trail.hour(&mut bucket, 2);
    trail.restart();
    trail.now += TimeDelta::hours(3);
    trail.hour(&mut bucket, 2);
    cloud.put(&bucket, |_| true);
    [
        (2, "deleted_before_ingest"),
        (3, "log_unattested"),
        (4, "log_hash"),
        (5, "digest_not_found"),
        (5, "gap_missing"),
        (6, "gzip_trailing"),
        (7, "gap_silent"),
        (8, "signature"),
        (9, "gap_restart"),
    ]
    .map(|(number, kind)| (account(number), kind.to_owned()))
    .to_vec()
}

#[test]
fn every_kind_of_tampering_is_told_and_its_neighbours_are_not() {
    let cloud = TrailCloud::start();
    let expected = tampered(&cloud);
    let (folder, service) = watch(&cloud);
    // What is on its way may be missed for a moment: two seconds are a short grace.
    eventually("everything is told, and nothing else", LIMIT, || told(&folder) == expected);
    assert_eq!(files(&service, "unattested"), 1.0);
    assert_eq!(files(&service, "mismatch"), 2.0);
    assert_eq!(files(&service, "deleted_before_ingest"), 1.0);

    let report = report(&folder, 1);
    let verdicts: Vec<&str> =
        report["files"].as_array().unwrap().iter().map(|file| file["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["deleted_before_ingest", "unattested", "mismatch", "mismatch"]);
    assert_eq!(report["gaps"].as_array().unwrap().len(), 2);
    // Told once: a restart finds the same.
    let mut service = service;
    service.restart();
    let service = service.ready();
    eventually("it is known again", LIMIT, || files(&service, "unattested") == 1.0);
    assert_eq!(told(&folder), expected);
}

/// Long: `tests/endurance/run digests`.
#[test]
#[ignore = "minutes"]
fn ten_thousand_signed_files_are_verified_through_kills_and_lost_notifications() {
    const ACCOUNTS: u32 = 10;
    const HOURS: i32 = 20;
    let files_wanted = number("REMIT_FILES").unwrap_or(10_000);
    let logs = u32::try_from(files_wanted).unwrap() / (ACCOUNTS * HOURS.unsigned_abs());
    let cloud = TrailCloud::start();
    let mut lost = 0;
    for number in 0..ACCOUNTS {
        let (bucket, _) = hours(&account(100 + number), HOURS, logs);
        let is_lost = |key: &str| key.bytes().map(u32::from).sum::<u32>() % 2 == 0;
        lost += bucket.objects.keys().filter(|(_, key)| is_lost(key)).count();
        cloud.put(&bucket, |key| !is_lost(key));
    }
    let expected = tampered(&cloud);
    let (folder, mut service) = watch(&cloud);
    let start = Instant::now();
    for kills in 1..=5 {
        let some = f64::from(logs * ACCOUNTS) * f64::from(HOURS) * f64::from(kills) / 6.0;
        eventually("some more of it is verified", LIMIT * 5, || files(&service, "verified") >= some);
        service.kill();
        service.restart();
        service = service.ready();
    }
    let clean = logs * ACCOUNTS * HOURS.unsigned_abs();
    eventually("everything is told, and nothing else", LIMIT * 5, || {
        files(&service, "verified") == f64::from(clean) + IN_ORDER && told(&folder) == expected
    });
    assert_eq!((files(&service, "missing"), files(&service, "pending")), (0.0, UNSIGNED));
    let took = start.elapsed();
    let report = report(&folder, 1);
    let of_clean =
        |chain: &&Value| chain["account"].as_str().is_some_and(|account| account.starts_with("0000000001"));
    let chains: Vec<&Value> = report["chains"].as_array().unwrap().iter().filter(of_clean).collect();
    assert_eq!(chains.len(), ACCOUNTS as usize);
    for chain in chains {
        assert_eq!(chain["digests"].as_i64(), Some(i64::from(HOURS)), "{chain}");
    }
    assert_eq!(report["totals"]["verified"].as_f64(), Some(f64::from(clean) + IN_ORDER));
    eprintln!("{clean} clean log files, {lost} files nobody told of, 5 kills: all told in {took:?}");
}

#[test]
fn a_finding_says_how_far_its_log_files_are_proved() {
    let cloud = TrailCloud::start();
    let (mut bucket, mut trail) = (Bucket::default(), trail("111122223333", 2));
    let stops = |user: &str| {
        let record = Record::of_user(user, "cloudtrail:StopLogging").minutes_ago(90);
        log_file(&[record.set("eventID", format!("of-{user}").into())])
    };
    let (start, end) = (trail.now, trail.now + TimeDelta::hours(1));
    let mut signed = trail.log(&mut bucket, start + TimeDelta::minutes(20));
    let key = |log: &Value| ("logs".to_owned(), log["s3Object"].as_str().unwrap().to_owned());
    let content = stops("ant");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(content.as_slice()).read_to_end(&mut plain).unwrap();
    signed["hashValue"] = sha256(&plain).into();
    bucket.objects.insert(key(&signed), content);
    trail.digest(&mut bucket, start, end, vec![signed], |_| {});
    trail.now = end;
    trail.hour(&mut bucket, 1);
    let forged = trail.log(&mut bucket, start + TimeDelta::minutes(30));
    bucket.objects.insert(key(&forged), stops("bee"));
    cloud.put(&bucket, |_| true);
    let (folder, service) = watch(&cloud);
    eventually("the digests are read", LIMIT, || {
        (files(&service, "verified"), files(&service, "unattested")) == (2.0, 1.0)
    });
    let shown = |agent: &str, output: &str| {
        let all = findings(folder.path());
        let of = all.iter().find(|finding| {
            finding["detection"] != "LG02"
                && finding["actor"].as_str().unwrap().ends_with(&format!("/{agent}"))
        });
        let id = of.unwrap_or_else(|| panic!("{agent}: {all:?}"))["id"].as_str().unwrap().to_owned();
        remit(folder.path(), &["findings", "show", &id, "--output", output]).expect(0)
    };
    assert_eq!(shown("ant", "json").json()["attestation"]["files"], serde_json::json!({"verified": 1}));
    let table = shown("ant", "table").stdout;
    assert!(table.contains("logs     1 verified\n"), "{table}");
    let doubtful = &shown("bee", "json").json()["attestation"]["doubtful"];
    assert_eq!(doubtful, &serde_json::json!([format!("s3://logs/{}", key(&forged).1)]));
    let table = shown("bee", "table").stdout;
    assert!(table.contains("logs     1 unattested: perhaps forged or changed: s3://logs/"), "{table}");
}

/// A trail whose digests ended hours ago.
fn trail_before(account: &str) -> Trail {
    let mut trail = trail(account, 8);
    trail.account = account.to_owned();
    trail
}

fn trail_of_nine() -> Trail {
    trail("000000000009", 5)
}

#[test]
fn a_bucket_that_is_not_configured_is_never_asked_whatever_a_digest_lists() {
    let cloud = TrailCloud::start();
    let (mut bucket, mut trail) = (Bucket::default(), trail("111122223333", 2));
    trail.hour(&mut bucket, 1);
    trail.bucket = "elsewhere".to_owned();
    let listed = trail.log(&mut bucket, trail.now + TimeDelta::minutes(20));
    trail.bucket = "logs".to_owned();
    let (start, end) = (trail.now, trail.now + TimeDelta::hours(1));
    trail.digest(&mut bucket, start, end, vec![listed], |_| {});
    cloud.put(&bucket, |key| !is_log(key));
    let (_folder, service) = watch(&cloud);
    eventually("the other log is verified", LIMIT, || files(&service, "verified") == 1.0);
    eventually("what lies elsewhere is missed", LIMIT, || files(&service, "missing") == 1.0);
    assert!(cloud.asked().iter().all(|asked| !asked.contains("elsewhere")), "{:?}", cloud.asked());
}

#[test]
fn a_sweep_asks_for_no_more_than_a_message_may() {
    let cloud = TrailCloud::start();
    let (ours, _) = hours("111122223333", 2, 2);
    let (theirs, _) = hours("999988887777", 2, 2);
    cloud.put(&ours, |_| false);
    cloud.put(&theirs, |_| false);
    let (_folder, service) = watch_also(&cloud, "accounts = [\"111122223333\"]\nprefixes = [\"AWSLogs/\"]\n");
    eventually("ours is verified, though nobody told of it", LIMIT, || files(&service, "verified") == 4.0);
    let sweeps = || service.metric("remit_ledger_sweeps_total", &["outcome=\"whole\""]);
    let before = sweeps();
    eventually("another sweep went by", LIMIT, || sweeps() > before + 1.0);
    assert!(cloud.asked().iter().all(|asked| !asked.contains("999988887777")), "{:?}", cloud.asked());
}

#[test]
fn what_was_read_before_digests_were_asked_for_is_verified_without_being_judged_again() {
    let cloud = TrailCloud::start();
    let (bucket, _) = hours("111122223333", 3, 2);
    cloud.put(&bucket, is_log);
    let (folder, mut service) = watch_also(&cloud, "digests = false\n");
    eventually("all of it is read", LIMIT, || {
        service.metric("remit_objects_total", &["outcome=\"done\""]) >= 6.0
    });
    service.kill();
    let text = folder.read("remit.toml").replace("digests = false", "digests = true");
    folder.write("remit.toml", text);
    service.restart();
    let service = service.ready();
    eventually("all of it is verified", LIMIT, || files(&service, "verified") == 6.0);
    assert_eq!(service.metric("remit_objects_total", &["outcome=\"done\""]), 0.0);
}

#[test]
fn logs_that_nobody_signs_are_held_against_listings_and_named_so() {
    let cloud = TrailCloud::start();
    let day = Utc::now().format("%Y/%m/%d");
    let mut bucket = Bucket::default();
    let record = Record::of_agent("ops-bot", "s3:GetObject").object("acme", "k").minutes_ago(5);
    for number in 0..3 {
        let log = log_file(&[record.clone().set("eventID", format!("lost-{number}").into())]);
        bucket.objects.insert(("logs".to_owned(), format!("exports/{day}/{number}.json.gz")), log);
    }
    cloud.put(&bucket, |_| false);
    let (folder, service) = watch_also(&cloud, "sweep_prefixes = [\"\", \"exports/%Y/%m/%d/\"]\n");
    eventually("all of it is read", LIMIT, || service.metric("remit_events_total", &[]) == 3.0);
    eventually("and known to be", LIMIT, || files(&service, "pending") == 3.0);
    let report = report(&folder, 0);
    let line = &report["hours"][0];
    assert_eq!((&line["evidence"], &line["level"]), (&Value::from("listed"), &Value::from(1)));
    assert_eq!((&line["expected"], &line["stored"], &line["verified"]), (&3.into(), &3.into(), &0.into()));
    // Nothing asks for keys where nothing is signed.
    assert!(!cloud.asked().contains(&"ListPublicKeys".to_owned()));
}

#[test]
fn what_cloudtrail_remembers_is_looked_up_at_its_pace_and_judged_as_the_lesser_evidence() {
    let cloud = TrailCloud::start();
    let start = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap() - TimeDelta::hours(4);
    let event = |number: i64| {
        let at = (start + TimeDelta::minutes(20 * number)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let record = Record::of_user("ops-bot", "cloudtrail:StopLogging");
        record.set("eventTime", at.into()).set("eventID", format!("known-{number}").into()).0
    };
    cloud.events((0..5).map(event).collect());
    let folder = Folder::new();
    let (from, to) = (start.to_rfc3339(), (start + TimeDelta::hours(2)).to_rfc3339());
    let command = [
        "backfill",
        "--from",
        &from,
        "--to",
        &to,
        "--region",
        "eu-west-1",
        "--into",
        "kept",
        "--endpoint-url",
        &cloud.url,
    ];
    let said = remit(folder.path(), &command).expect(0);
    assert!(said.stdout.starts_with("5 events of 2 hours"), "{}", said.stdout);
    let asked = cloud.lookups();
    // Two pages for each hour, and one that was asked too early.
    assert_eq!(asked.len(), 4);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(450)), "{asked:?}");
    let said = remit(folder.path(), &command).expect(0);
    assert!(
        said.stdout.starts_with("0 events") && said.stdout.contains("2 hours were there"),
        "{}",
        said.stdout
    );
    assert_eq!(cloud.lookups().len(), 4);

    let port = folder.configure(&Config::default().directory("kept", true));
    let service = Service::run(folder.path(), port);
    eventually("it is judged", LIMIT, || service.metric("remit_events_total", &[]) == 5.0);
    eventually("it is in the ledger", LIMIT, || report(&folder, 0)["hours"][0]["records"] == 5);
    let line = &report(&folder, 0)["hours"][0];
    assert_eq!((&line["evidence"], &line["region"]), (&Value::from("looked up"), &Value::from("eu-west-1")));
    assert!(findings(folder.path()).iter().any(|finding| finding["detection"] == "LG01"));
}
