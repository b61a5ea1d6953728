use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::company::permission;
use super::{LiveStream, Plan, Written, write};

/// What a reader of the folder sees.
struct Company {
    written: Written,
    /// Every record in the order of the files.
    records: Vec<Value>,
    truth: Vec<Value>,
    near_misses: Vec<Value>,
    manifests: BTreeMap<String, String>,
    policies: Vec<Value>,
}

/// The month of the demonstration, written once for all stories.
static MONTH: LazyLock<Company> = LazyLock::new(|| company(&plan(7, 30)));

fn plan(seed: u64, days: u32) -> Plan {
    let end = DateTime::parse_from_rfc3339("2025-11-21T00:00:00Z").unwrap().to_utc();
    Plan { seed, days, end }
}

fn company(plan: &Plan) -> Company {
    let folder = tempfile::tempdir().unwrap();
    let written = write(plan, folder.path()).unwrap();
    let files = files(folder.path());
    let of = |start: &str| files.iter().filter(move |(name, _)| name.starts_with(start)).collect::<Vec<_>>();
    Company {
        written,
        records: of("logs/").iter().flat_map(|(_, bytes)| records(bytes)).collect(),
        truth: lines(&files["truth.jsonl"]),
        near_misses: lines(&files["near_misses.jsonl"]),
        manifests: of("agents/").iter().map(|(name, bytes)| ((*name).clone(), text(bytes))).collect(),
        policies: of("policies/").iter().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect(),
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

fn records(gzipped: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(gzipped).read_to_string(&mut text).unwrap();
    let Value::Array(records) = serde_json::from_str::<Value>(&text).unwrap()["Records"].take() else {
        panic!("no records")
    };
    records
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(line: &Value) -> Vec<&str> {
    line["event_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

fn identity(record: &Value) -> &str {
    let who = &record["userIdentity"];
    [&who["sessionContext"]["sessionIssuer"]["arn"], &who["arn"], &who["principalId"], &who["invokedBy"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap()
}

fn needs(record: &Value) -> String {
    let service = record["eventSource"].as_str().unwrap().split('.').next().unwrap();
    permission(service, record["eventName"].as_str().unwrap())
}

fn day(record: &Value) -> &str {
    &record["eventTime"].as_str().unwrap()[..10]
}

fn readable(company: &Company) -> impl Iterator<Item = &Value> {
    company.records.iter().filter(|record| record["eventID"].is_string())
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_gives_others() {
    let bytes = |seed| {
        let folder = tempfile::tempdir().unwrap();
        write(&plan(seed, 2), folder.path()).unwrap();
        files(folder.path())
    };
    let first = bytes(1);
    assert_eq!(first, bytes(1));
    assert_ne!(first, bytes(2));
}

#[test]
fn every_record_but_the_planted_one_has_what_a_reader_needs() {
    let fields = [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "requestParameters",
        "responseElements",
        "requestID",
        "eventID",
        "readOnly",
        "eventType",
        "managementEvent",
        "recipientAccountId",
        "eventCategory",
    ];
    let mut unreadable = 0;
    for record in &MONTH.records {
        if record["eventID"].is_null() {
            unreadable += 1;
            continue;
        }
        for field in fields {
            assert!(record.get(field).is_some(), "{field} is missing in {record}");
        }
        let time = record["eventTime"].as_str().unwrap();
        assert!(DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
    }
    assert_eq!(unreadable, MONTH.written.unreadable);
}

#[test]
fn records_are_events_and_duplicates_and_the_unreadable_one() {
    let Written { events, agents, duplicates, unreadable, .. } = MONTH.written;
    let distinct: BTreeSet<&str> = readable(&MONTH).filter_map(|record| record["eventID"].as_str()).collect();
    assert_eq!(distinct.len(), events);
    assert_eq!(MONTH.records.len(), events + duplicates + unreadable);
    assert!((60_000..90_000).contains(&events), "{events} events");
    assert!(duplicates > 0);
    assert_eq!(agents, 13);
}

#[test]
fn the_answer_key_names_calls_of_its_actor_its_permission_and_its_day() {
    let events: BTreeMap<&str, &Value> =
        readable(&MONTH).map(|record| (record["eventID"].as_str().unwrap(), record)).collect();
    let mut seen = BTreeSet::new();
    for line in &MONTH.truth {
        assert!(!ids(line).is_empty(), "{line}");
        for id in ids(line) {
            let event = events[id];
            assert_eq!(line["actor"], identity(event));
            assert_eq!(line["subject_permission"], needs(event));
            assert_eq!(line["day"], day(event));
        }
        let subject = (line["detection"].clone(), line["actor"].clone(), line["subject_permission"].clone());
        let unique = format!("{subject:?} {}", line["day"]);
        assert!(seen.insert(unique), "told twice: {line}");
    }
    let detections: BTreeSet<&str> =
        MONTH.truth.iter().map(|line| line["detection"].as_str().unwrap()).collect();
    let all = ["BL02", "DS01", "ID05", "LG01", "PR01", "PR02", "SC01", "SC02", "SC04", "SC08"];
    assert_eq!(detections, BTreeSet::from(all));
    for line in &MONTH.near_misses {
        assert!(ids(line).iter().all(|id| events.contains_key(id)), "{line}");
    }
}

#[test]
fn a_call_on_the_right_thing_is_no_evidence_against_one_on_the_wrong_thing() {
    let payroll =
        MONTH.truth.iter().find(|line| line["detection"] == "SC04" && line["agent"] == "order-processor");
    assert_eq!(ids(payroll.unwrap()).len(), 9);
}

#[test]
fn only_the_minted_key_is_a_long_lived_one() {
    let planted: BTreeSet<&str> =
        MONTH.truth.iter().filter(|line| line["detection"] == "ID05").flat_map(ids).collect();
    let signed: BTreeSet<&str> = readable(&MONTH)
        .filter(|record| {
            record["userIdentity"]["accessKeyId"].as_str().is_some_and(|key| key.starts_with("AKIA"))
        })
        .map(|record| record["eventID"].as_str().unwrap())
        .collect();
    assert_eq!(signed, planted);
    let keys: BTreeSet<&str> = readable(&MONTH)
        .filter(|record| {
            record["eventName"] == "CreateAccessKey" || signed.contains(record["eventID"].as_str().unwrap())
        })
        .flat_map(|record| {
            [&record["userIdentity"]["accessKeyId"], &record["responseElements"]["accessKey"]["accessKeyId"]]
        })
        .filter_map(Value::as_str)
        .filter(|key| key.starts_with("AKIA"))
        .collect();
    assert_eq!(keys.len(), 1, "the key that was minted is the key that was used");
}

#[test]
fn nothing_is_new_to_anybody_after_the_first_days_but_what_the_key_calls_new() {
    let planted: BTreeSet<&str> = MONTH.truth.iter().flat_map(ids).collect();
    // Identities that never come to seven earlier active days are new in all they do.
    let mut uses: BTreeMap<&str, BTreeMap<String, BTreeSet<&str>>> = BTreeMap::new();
    for record in readable(&MONTH) {
        let through_service = record["userIdentity"]["type"] == "AssumedRole"
            && record["userIdentity"]["invokedBy"] == "dynamodb.amazonaws.com";
        let failed = record["errorCode"].is_string();
        if planted.contains(record["eventID"].as_str().unwrap()) || failed || through_service {
            continue;
        }
        uses.entry(identity(record)).or_default().entry(needs(record)).or_default().insert(day(record));
    }
    for (identity, permissions) in uses {
        let days: BTreeSet<&str> = permissions.values().flatten().copied().collect();
        let first = days.first().copied().unwrap();
        let date = |day: &str| day.parse::<chrono::NaiveDate>().unwrap();
        for (permission, used) in permissions {
            let late = (date(used.first().unwrap()) - date(first)).num_days();
            assert!(late < 5, "{identity} first used {permission} after {late} days");
        }
    }
}

#[test]
fn the_monthly_job_runs_once_after_the_first_days() {
    let tagging: BTreeSet<&str> =
        readable(&MONTH).filter(|record| record["eventName"] == "PutObjectTagging").map(day).collect();
    assert_eq!(tagging.len(), 2, "{tagging:?}");
    assert_eq!(tagging.last(), Some(&"2025-11-18"));
}

#[test]
fn a_short_history_has_no_new_permissions_to_find() {
    let week = company(&plan(7, 6));
    assert!(!week.truth.is_empty());
    assert!(week.truth.iter().all(|line| line["detection"] != "BL02"));
}

#[test]
fn a_history_that_ends_at_noon_has_nothing_after_noon() {
    let noon = plan(7, 3).end + TimeDelta::hours(12);
    let cut_short = company(&Plan { end: noon, ..plan(7, 3) });
    let last = readable(&cut_short).map(|record| record["eventTime"].as_str().unwrap()).max();
    assert!(
        last.is_some_and(|last| ("2025-11-21T11:00:00Z".."2025-11-21T12:00:00Z").contains(&last)),
        "{last:?}"
    );
}

#[test]
fn logs_are_never_mixed_with_older_ones() {
    let folder = tempfile::tempdir().unwrap();
    write(&plan(7, 1), folder.path()).unwrap();
    let error = write(&plan(7, 1), folder.path()).unwrap_err().to_string();
    assert!(error.contains("already holds logs"), "{error}");
    assert!(write(&plan(7, 0), &folder.path().join("other")).is_err());
}

#[test]
fn every_manifest_is_yaml_and_names_an_identity_that_the_logs_know() {
    let known: BTreeSet<&str> = readable(&MONTH).map(identity).collect();
    assert_eq!(MONTH.manifests.len(), 14);
    for (name, yaml) in &MONTH.manifests {
        let manifest: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{name}: {error}"));
        if manifest["kind"] == "ResourceCatalog" {
            continue;
        }
        for identity in manifest["spec"]["identities"].as_array().unwrap() {
            let arn = identity["aws.role"].as_str().or_else(|| identity["aws.user"].as_str()).unwrap();
            assert!(known.contains(arn), "{arn} of {name}");
        }
        assert!(!manifest["spec"]["allow"].as_array().unwrap().is_empty());
    }
}

#[test]
fn every_role_of_an_agent_is_in_the_policy_exports() {
    let roles: BTreeSet<&str> = MONTH
        .policies
        .iter()
        .flat_map(|export| export["RoleDetailList"].as_array().unwrap())
        .map(|role| role["Arn"].as_str().unwrap())
        .collect();
    for line in MONTH.truth.iter().filter(|line| line["detection"] != "ID05") {
        assert!(roles.contains(line["actor"].as_str().unwrap()), "{}", line["actor"]);
    }
    assert!(roles.contains("arn:aws:iam::111122223333:role/agents/retired-scraper"));
}

#[test]
fn text_that_wants_to_be_markup_is_in_the_logs() {
    let texts = |field: &str, text: &str| {
        readable(&MONTH).filter(|record| record[field].as_str().is_some_and(|own| own.contains(text))).count()
    };
    assert!(texts("userAgent", "<script>") > 0);
    assert!(texts("errorMessage", "<!channel>") > 0);
}

fn stretch(live: &LiveStream, from: DateTime<Utc>, to: DateTime<Utc>) -> BTreeMap<String, Value> {
    let stretch = live.between(from, to).unwrap();
    let events: BTreeMap<String, Value> = stretch
        .files
        .iter()
        .flat_map(|(_, bytes)| records(bytes))
        .map(|record| (record["eventID"].as_str().unwrap().to_owned(), record))
        .collect();
    assert_eq!(events.len(), stretch.events);
    for planted in &stretch.planted {
        assert!(planted.event_ids.iter().all(|id| events.contains_key(id)), "{planted:?}");
    }
    events
}

#[test]
fn the_stream_is_the_same_however_it_is_cut() {
    let plan = plan(7, 30);
    let live = LiveStream::new(&plan).unwrap();
    let at = |seconds| plan.end + TimeDelta::seconds(seconds);
    let whole = stretch(&live, at(0), at(600));
    let mut pieces = stretch(&live, at(-900), at(131));
    pieces.append(&mut stretch(&live, at(131), at(600)));
    assert!(whole == pieces, "{} events whole, {} in pieces", whole.len(), pieces.len());
    assert!((600..3000).contains(&whole.len()), "{} events", whole.len());
    assert!(stretch(&live, at(-900), at(0)).is_empty(), "before its end the history speaks");
}

#[test]
fn the_stream_shows_incidents_and_calls_none_of_them_new() {
    let plan = plan(7, 30);
    let hour = LiveStream::new(&plan).unwrap().between(plan.end, plan.end + TimeDelta::hours(1)).unwrap();
    assert!(hour.planted.len() >= 30);
    assert!(hour.planted.iter().all(|planted| planted.detection != "BL02"));
}
