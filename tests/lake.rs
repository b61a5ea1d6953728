//! Every event is kept once, whatever happens to the process, and can be asked for.

use crate::support::cloud::Cloud;
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::moto::Moto;
use crate::support::records::{self, Record};
use crate::support::remit::{Finished, Service, findings, remit};
use chrono::{TimeZone, Utc};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const SEED: u64 = 20_261_121;
const EVENTS: usize = 4_000;
const FILES: usize = 80;
const LONG: Duration = Duration::from_secs(120);

/// A folder whose logs are watched, with what else goes under `[lake]`.
fn watched(lake: &str) -> (Folder, u16) {
    let folder = Folder::new();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    std::fs::create_dir_all(folder.path().join("logs")).unwrap();
    let port = folder.configure(&Config::default().directory("logs", true));
    add(&folder, lake);
    (folder, port)
}

fn add(folder: &Folder, lake: &str) {
    let config = folder.read("remit.toml");
    folder.write("remit.toml", format!("{config}\n[lake]\ncommit_every = \"200ms\"\n{lake}\n"));
}

fn ask(folder: &Folder, arguments: &[&str]) -> Finished {
    remit(folder.path(), &[&["query"], arguments].concat())
}

fn rows(folder: &Folder, sql: &str) -> Vec<Value> {
    ask(folder, &["--output", "ndjson", "--limit-rows", "100000", sql]).expect(0).lines()
}

fn count(folder: &Folder) -> u64 {
    let told = ask(folder, &["--output", "ndjson", "SELECT count(*) n FROM events"]);
    // Before the first events there is no lake, and between two starts of a busy machine nothing answers.
    if told.code == Some(0) { told.lines()[0]["n"].as_u64().unwrap() } else { 0 }
}

/// How often each event is in the lake.
fn kept(folder: &Folder) -> BTreeMap<String, u64> {
    let rows = rows(folder, "SELECT event_id, count(*) n FROM events GROUP BY event_id");
    rows.into_iter()
        .map(|row| (row["event_id"].as_str().unwrap().to_owned(), row["n"].as_u64().unwrap()))
        .collect()
}

#[test]
fn killed_at_any_moment_it_keeps_every_event_once() {
    let mut dice = ChaCha8Rng::seed_from_u64(SEED);
    let (folder, port) = watched("compact_files = 3");
    let days = [20, 21];
    let mut records: Vec<Record> = (0..EVENTS)
        .map(|number| {
            let time = Utc.with_ymd_and_hms(2026, 1, days[number % 2], 10, 0, 0).unwrap();
            Record::of_agent("ant", "s3:GetObject").number(number).at(time).object("acme", "k")
        })
        .collect();
    let mut expected: BTreeMap<String, u64> =
        records.iter().map(|record| (record.0["eventID"].as_str().unwrap().to_owned(), 1)).collect();
    assert_eq!(expected.len(), EVENTS);
    let again: Vec<Record> = records.iter().step_by(10).cloned().collect();
    records.extend(again);
    records.shuffle(&mut dice);
    let mut service = Service::run(folder.path(), port);
    let files: Vec<_> = records.chunks(records.len().div_ceil(FILES)).collect();
    let (mut kills, mut at_work) = (0, 0);
    for (number, file) in files.iter().enumerate() {
        folder.write(&format!("logs/{number}.json.gz"), records::log_file(file));
        if number % 10 == 9 {
            std::thread::sleep(Duration::from_millis(dice.random_range(50..900)));
            at_work += usize::from(count(&folder) < (EVENTS * number / FILES) as u64);
            service.kill();
            kills += 1;
            service.restart();
            service = service.ready();
        }
    }
    eventually("every event is in the lake", LONG, || count(&folder) >= EVENTS as u64);
    let kept = kept(&folder);
    expected.retain(|id, times| kept.get(id) != Some(times));
    assert!(expected.is_empty(), "seed {SEED}: {} events lost or repeated: {expected:?}", expected.len());
    assert_eq!(kept.len(), EVENTS, "seed {SEED}");
    assert!(kills >= 8, "{kills} kills, {at_work} at work");
    let dates = rows(&folder, "SELECT date, count(*) n FROM events GROUP BY 1 ORDER BY 1");
    let half = EVENTS / 2;
    let told: Vec<_> =
        dates.iter().map(|row| (row["date"].as_str().unwrap(), row["n"].as_u64().unwrap())).collect();
    assert_eq!(told, [("2026-01-20", half as u64), ("2026-01-21", half as u64)]);
    // What the last start found of the dead ones is gone.
    eventually("nothing waits", LONG, || service.metric("remit_lake_pending_rows", &[]) == 0.0);
    eventually("no file of rows is left", LONG, || {
        std::fs::read_dir(folder.path().join("remit.rows")).unwrap().count() == 0
    });
    assert_eq!(service.stop(), Some(0));
    assert!(!service.stderr().contains("panicked"), "{}", service.stderr());
}

#[test]
fn a_lake_that_does_not_answer_loses_nothing_and_gets_it_later() {
    let (folder, port) = watched("");
    let event = |number| Record::of_agent("ant", "s3:GetObject").number(number).minutes_ago(5);
    let service = Service::run(folder.path(), port);
    folder.log("logs/1.json.gz", &[event(1)]);
    eventually("the first is kept", LONG, || count(&folder) == 1);
    let (log, away) = (folder.path().join("lake/_delta_log"), folder.path().join("away"));
    std::fs::rename(&log, &away).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    folder.log("logs/2.json.gz", &[event(2)]);
    eventually("it says so", LONG, || service.metric("remit_lake_commit_failures_total", &[]) > 0.0);
    assert_eq!(service.metric("remit_events_total", &[]), 2.0, "judged all the same");
    assert_eq!(service.metric("remit_lake_pending_rows", &[]), 1.0);
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&away, &log).unwrap();
    eventually("the second is kept", LONG, || count(&folder) == 2);
}

#[test]
fn a_stop_leaves_nothing_waiting() {
    let (folder, port) = watched("");
    let config = folder.read("remit.toml").replace("commit_every = \"200ms\"", "commit_every = \"1h\"");
    folder.write("remit.toml", config);
    let mut service = Service::run(folder.path(), port);
    folder.log("logs/1.json.gz", &[Record::of_agent("ant", "s3:GetObject").minutes_ago(5)]);
    eventually("it is judged", LONG, || service.metric("remit_events_total", &[]) == 1.0);
    assert_eq!(count(&folder), 0);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(count(&folder), 1);
}

#[test]
fn a_bucket_is_a_lake() {
    let moto = Moto::start();
    let cloud = Cloud::at(&moto.url);
    cloud.bucket_with_queue("acme-lake", "unused");
    let (folder, port) = watched(&format!(
        "url = \"s3://acme-lake/remit/events\"\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"",
        moto.url
    ));
    let mut service = Service::run(folder.path(), port);
    for number in 0..3 {
        folder.log(
            &format!("logs/{number}.json.gz"),
            &[Record::of_agent("ant", "s3:GetObject").number(number).minutes_ago(5)],
        );
        eventually("it is kept", LONG, || count(&folder) == number as u64 + 1);
        service.kill();
        service.restart();
        service = service.ready();
    }
    assert!(kept(&folder).values().all(|times| *times == 1));
    let names = cloud.list("acme-lake");
    assert!(names.iter().all(|name| name.starts_with("remit/events/")), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".parquet")).count(), 3, "{names:?}");
    assert!(!folder.path().join("lake").exists());
}

/// A log of one event that says of itself what would hurt a terminal and a spreadsheet.
fn asked() -> (Folder, Service) {
    let (folder, port) = watched("");
    let hostile = "=cmd|' /C calc'!A0 \u{1b}[31mred\u{202e}";
    let event = Record::of_agent("ant", "s3:DeleteObject")
        .at(Utc.with_ymd_and_hms(2026, 1, 20, 10, 0, 0).unwrap())
        .object("acme", "k")
        .set("userAgent", hostile.into());
    let service = Service::run(folder.path(), port);
    folder.log("logs/1.json.gz", &[event, Record::of_agent("ant", "s3:GetObject").number(7)]);
    eventually("it is kept", LONG, || count(&folder) == 2);
    (folder, service)
}

#[test]
fn what_is_kept_is_asked_for_while_it_runs() {
    let (folder, _service) = asked();
    let table =
        ask(&folder, &["SELECT operation, resources[1] r, time FROM events WHERE date = '2026-01-20'"]);
    let table = table.expect(0).stdout;
    assert!(table.starts_with("operation     r "), "{table}");
    assert!(table.contains("DeleteObject  arn:aws:s3:::acme/k  2026-01-20T10:00:00Z"), "{table}");

    let finding = rows(
        &folder,
        "SELECT f.detection, e.operation FROM findings f, events e
        WHERE e.event_id = f.event_ids[1] AND f.detection = 'SC01'",
    );
    assert_eq!(finding, [serde_json::json!({"detection": "SC01", "operation": "DeleteObject"})]);
    let agents = rows(&folder, "SELECT agent, state, used FROM agents");
    assert_eq!((agents.len(), &agents[0]["agent"]), (1, &"ant".into()));
    let columns =
        rows(&folder, "SELECT column_name FROM information_schema.columns WHERE table_name = 'nothing'");
    assert!(columns.is_empty());
}

#[test]
fn a_logs_text_hurts_neither_terminal_nor_spreadsheet() {
    let (folder, _service) = asked();
    let sql = "SELECT user_agent FROM events WHERE operation = 'DeleteObject'";
    for output in ["table", "csv", "ndjson"] {
        let told = ask(&folder, &["--output", output, sql]).expect(0).stdout;
        assert!(told.contains("cmd") && !told.contains(['\u{1b}', '\u{202e}']), "{output}: {told:?}");
        if output == "csv" {
            assert!(told.contains("\"'=cmd"), "{told}");
        }
    }
    // JSON is exact: what reads it gets the text as it was logged.
    let exact = rows(&folder, sql);
    assert_eq!(exact[0]["user_agent"], "=cmd|' /C calc'!A0 \u{1b}[31mred\u{202e}");
    let wrong = ask(&folder, &["SELECT \"\u{1b}[31m\" FROM events"]).expect(2);
    assert!(!wrong.stderr.contains('\u{1b}'), "{}", wrong.stderr);
}

#[test]
fn a_query_reads_and_does_nothing_else() {
    let (folder, _service) = asked();
    let secret = folder.write("secret.csv", "a\n1\n");
    let secret = secret.to_str().unwrap();
    for sql in [
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{secret}'"),
        format!("COPY events TO '{}'", folder.path().join("out.csv").display()),
        "INSERT INTO events SELECT * FROM events".to_owned(),
        "SET datafusion.catalog.information_schema = false".to_owned(),
        "CREATE TABLE t AS SELECT * FROM events".to_owned(),
        "DROP TABLE events".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM read_csv('{secret}')"),
        "SELECT nothing_like_it FROM events".to_owned(),
    ] {
        let refused = ask(&folder, &[&sql]).expect(2);
        assert!(
            refused.stdout.is_empty() && refused.stderr.starts_with("remit: "),
            "{sql}: {}",
            refused.stderr
        );
    }
    assert!(!folder.path().join("out.csv").exists());
    assert_eq!(count(&folder), 2);
}

#[test]
fn a_query_has_bounds() {
    let (folder, _service) = asked();
    let cut =
        ask(&folder, &["--limit-rows", "1", "--output", "ndjson", "SELECT event_id FROM events"]).expect(0);
    assert_eq!(cut.lines().len(), 1);
    assert!(cut.stderr.contains("more than 1 rows; --limit-rows"), "{}", cut.stderr);
    let whole =
        ask(&folder, &["--limit-rows", "2", "--output", "ndjson", "SELECT event_id FROM events"]).expect(0);
    assert!(whole.stderr.is_empty(), "{}", whole.stderr);

    let endless =
        "SELECT sum(a.value * b.value) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b";
    let late = ask(&folder, &["--timeout", "1s", endless]).expect(3);
    assert!(late.stderr.contains("longer than 1s") && late.stderr.contains("--timeout"), "{}", late.stderr);

    let wide =
        "SELECT a.value v, array_agg(a.value) FROM generate_series(1, 5000000) a GROUP BY v ORDER BY v DESC";
    let large = ask(&folder, &["--memory", "2MiB", wide]).expect(2);
    assert!(large.stderr.contains("--memory"), "{}", large.stderr);
}

#[test]
fn without_a_lake_there_are_no_events_and_all_else_is_there() {
    let (folder, port) = watched("enabled = false");
    let service = Service::run(folder.path(), port);
    folder.log("logs/1.json.gz", &[Record::of_agent("ant", "s3:DeleteObject").minutes_ago(5)]);
    eventually("it is judged", LONG, || service.metric("remit_events_total", &[]) == 1.0);
    let none = ask(&folder, &["SELECT * FROM events"]).expect(2);
    assert!(none.stderr.contains("`[lake] enabled` is false"), "{}", none.stderr);
    assert_eq!(rows(&folder, "SELECT id FROM findings").len(), findings(folder.path()).len());
    assert!(!folder.path().join("lake").exists());
}
