//! The plain inventory of what each identity calls.

use crate::support::folder::Folder;
use crate::support::records::{self, Record};
use crate::support::remit::{Finished, remit};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn usage(folder: &Folder, more: &[&str]) -> Finished {
    let mut arguments = vec!["usage", "logs", "--output", "ndjson"];
    arguments.extend(more);
    remit(folder.path(), &arguments)
}

#[test]
fn each_identity_service_and_operation_is_one_row() {
    let folder = Folder::new();
    let get = |number, day: &str| Record::of_agent("ant", "s3:GetObject").number(number).at(time(day));
    let twice = get(2, "2026-01-06T10:00:00Z");
    folder.log("logs/a.json.gz", &[get(1, "2026-01-05T10:00:00Z"), twice.clone()]);
    folder.log(
        "logs/deep/b.json.gz",
        &[
            twice,
            get(3, "2026-01-04T10:00:00Z").denied(),
            // Nearly the same name, and the same operation of a person.
            Record::of_agent("ants", "s3:GetObject").number(4),
            Record::of_user("ant", "s3:CopyObject").number(5),
        ],
    );
    let told = usage(&folder, &[]).expect(0);
    let row = |identity: &str, operation: &str, permissions: Value, count, denied, first, last| {
        json!({
            "identity": identity, "service": "s3.amazonaws.com", "operation": operation,
            "permissions": permissions, "count": count, "denied": denied, "first": first, "last": last,
        })
    };
    let noon = "2026-01-05T10:00:00Z";
    assert_eq!(
        told.lines(),
        [
            row(
                &records::role("ant"),
                "GetObject",
                json!(["s3:GetObject"]),
                3,
                1,
                "2026-01-04T10:00:00Z",
                "2026-01-06T10:00:00Z"
            ),
            row(&records::role("ants"), "GetObject", json!(["s3:GetObject"]), 1, 0, noon, noon),
            row(
                &format!("arn:aws:iam::{}:user/ant", records::ACCOUNT),
                "CopyObject",
                json!(["s3:GetObject", "s3:PutObject"]),
                1,
                0,
                noon,
                noon
            ),
        ]
    );
    let totals = "6 read = 5 unique + 1 duplicates + 0 quarantined, in 2 files";
    assert!(told.stderr.trim_end().ends_with(totals), "{}", told.stderr);
}

#[test]
fn a_selection_lists_less_and_reads_all() {
    let folder = Folder::new();
    let call = |agent, number, day: &str| {
        Record::of_agent(agent, "s3:GetObject").number(number).at(time(&format!("{day}T10:00:00Z")))
    };
    folder.log("logs/a.json.gz", &[call("ant", 1, "2026-01-05"), call("ant", 2, "2026-01-06")]);
    folder.log("logs/b.json.gz", &[call("bee", 3, "2026-01-05")]);
    let select = |more: &[&str]| -> Vec<(String, u64)> {
        let told = usage(&folder, more).expect(0);
        assert!(told.stderr.contains("3 read = 3 unique"), "{}", told.stderr);
        let row =
            |row: &Value| (row["identity"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap());
        told.lines().iter().map(row).collect()
    };
    let [ant, bee] = ["ant", "bee"].map(records::role);
    assert_eq!(select(&["--from", "2026-01-06"]), [(ant.clone(), 1)]);
    assert_eq!(select(&["--to", "2026-01-06"]), [(ant.clone(), 1), (bee, 1)]);
    assert_eq!(select(&["--identity", "*/ant"]), [(ant, 2)]);
    assert_eq!(select(&["--identity", "ant"]), []);
    usage(&folder, &["--from", "soon"]).expect(2);
    usage(&folder, &["--from", "2026-01-06", "--to", "2026-01-05"]).expect(2);
    remit(folder.path(), &["usage", "nowhere"]).expect(3);
}

#[test]
fn rubbish_is_told_and_its_neighbours_are_counted() {
    let folder = Folder::new();
    let good = |number| Record::of_agent("ant", "s3:GetObject").number(number);
    folder.log("logs/good.json.gz", &[good(1)]);
    folder.log("logs/half.json.gz", &[good(2), good(3).set("eventTime", json!("yesterday")), good(4)]);
    folder.write("logs/rubbish.json.gz", "hello, this is no log");
    folder.write("logs/broken.json.gz", &records::log_file(&[good(5)])[..40]);
    folder.write("logs/empty.json", "");
    for threads in ["1", "3"] {
        let told = usage(&folder, &["--threads", threads]).expect(4);
        assert_eq!(told.lines().len(), 1);
        assert_eq!(told.lines()[0]["count"], 3);
        for said in
            ["1 quarantined as bad_time", "half.json.gz", "record 1", "as gzip_truncated", "rubbish.json.gz"]
        {
            assert!(told.stderr.contains(said), "`{said}` is not in:\n{}", told.stderr);
        }
        let totals = told.stderr.lines().last().unwrap();
        assert_eq!(totals, "remit: 6 read = 3 unique + 0 duplicates + 3 quarantined, in 5 files");
        assert!(!told.stderr.contains("panicked"));
    }
}

#[test]
fn a_spreadsheet_gets_no_formula() {
    let folder = Folder::new();
    let named = Record::of_user("ant", "s3:GetObject").set(
        "userIdentity",
        json!({"type": "IAMUser", "arn": "=HYPERLINK(\"http://evil\")", "principalId": "AIDA"}),
    );
    folder.log("logs/a.json.gz", &[named]);
    let told = remit(folder.path(), &["usage", "logs", "--output", "csv"]).expect(0);
    let lines: Vec<&str> = told.stdout.split("\r\n").collect();
    assert_eq!(lines[0], "identity,service,operation,permissions,count,denied,first,last");
    assert!(lines[1].starts_with("\"'=HYPERLINK("), "{}", told.stdout);
    assert_eq!(lines.len(), 3, "{}", told.stdout);
}

/// The slow obvious way: every record as a JSON value, one map.
fn counted(folder: &Folder) -> BTreeMap<[String; 3], (u64, u64, String, String)> {
    let mut seen = std::collections::BTreeSet::new();
    let mut counts: BTreeMap<[String; 3], (u64, u64, String, String)> = BTreeMap::new();
    let mut folders = vec![folder.path().join("company/logs")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text =
                std::io::read_to_string(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()))
                    .unwrap();
            let file: Value = serde_json::from_str(&text).unwrap();
            for record in file["Records"].as_array().unwrap() {
                let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
                let (Some(id), Some(account)) = (text("/eventID"), text("/recipientAccountId")) else {
                    continue;
                };
                if !seen.insert((account, id)) {
                    continue;
                }
                let identity = text("/userIdentity/sessionContext/sessionIssuer/arn")
                    .or_else(|| text("/userIdentity/arn"))
                    .or_else(|| text("/userIdentity/invokedBy"))
                    .or_else(|| text("/userIdentity/principalId"))
                    .unwrap_or_else(|| "unknown".to_owned());
                let at = text("/eventTime").unwrap();
                let key = [identity, text("/eventSource").unwrap(), text("/eventName").unwrap()];
                let denied = text("/errorCode")
                    .is_some_and(|code| code.contains("AccessDenied") || code.contains("Unauthorized"));
                let row = counts.entry(key).or_insert((0, 0, at.clone(), at.clone()));
                row.0 += 1;
                row.1 += u64::from(denied);
                row.2 = row.2.clone().min(at.clone());
                row.3 = row.3.clone().max(at);
            }
        }
    }
    counts
}

#[test]
fn a_slow_count_of_a_whole_company_agrees_on_any_number_of_threads() {
    let folder = Folder::new();
    remit(folder.path(), &["synth", "--seed", "7", "--days", "8", "--end", "2026-01-31", "--out", "company"])
        .expect(0);
    let naive = counted(&folder);
    assert!(naive.len() > 20, "{}", naive.len());
    let mut told = Vec::new();
    for threads in ["1", "2", "5"] {
        let arguments = ["usage", "company/logs", "--threads", threads, "--output", "ndjson"];
        // The company has one record that nobody can read.
        let finished = remit(folder.path(), &arguments).expect(4);
        told.push((finished.stdout, finished.stderr));
    }
    assert!(told.iter().all(|one| *one == told[0]), "threads change the answer");
    let rows: BTreeMap<_, _> = told[0]
        .0
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let number = |key: &str| row[key].as_u64().unwrap();
            (
                [text("identity"), text("service"), text("operation")],
                (number("count"), number("denied"), text("first"), text("last")),
            )
        })
        .collect();
    assert_eq!(rows, naive);
}
