//! `remit digest verify`: what CloudTrail signed is held against a folder.

use crate::support::conformance;
use crate::support::digests::{Bucket, Trail, gzip, public_keys, signer};
use crate::support::folder::Folder;
use crate::support::keys::KeyService;
use crate::support::remit::{Finished, remit};
use serde_json::{Value, json};
use std::path::Path;

/// A bucket as a folder, with the keys beside it.
fn folder(bucket: &Bucket) -> Folder {
    let folder = Folder::new();
    for ((at, key), bytes) in &bucket.objects {
        folder.write(&format!("copy/{at}/{key}"), bytes);
    }
    for ((at, key), metadata) in &bucket.metadata {
        folder.write(&format!("copy/{at}/{key}.metadata.json"), metadata.to_string());
    }
    folder.write("keys.json", public_keys().to_string());
    folder
}

fn verify(folder: &Folder, more: &[&str]) -> Finished {
    let command = ["digest", "verify", "--root", "copy", "--output", "json"];
    remit(folder.path(), &[&command, more].concat())
}

fn with_keys(folder: &Folder, more: &[&str]) -> Finished {
    verify(folder, &[&["--keys", "keys.json"], more].concat())
}

/// Two accounts, each with some hours.
fn two_accounts() -> (Bucket, Vec<String>) {
    let mut bucket = Bucket::default();
    let mut digests = Vec::new();
    for (account, key) in [("111122223333", 0), ("444455556666", 1)] {
        let mut trail = Trail { account: account.to_owned(), key, ..Trail::new() };
        for logs in [2, 0, 1] {
            digests.push(trail.hour(&mut bucket, logs).key);
        }
    }
    (bucket, digests)
}

fn counts(verdict: &Value) -> [u64; 5] {
    ["digests_valid", "digests_invalid", "logs_valid", "logs_invalid", "gaps"]
        .map(|name| verdict[name].as_u64().unwrap_or_else(|| panic!("{name}: {verdict:#}")))
}

fn codes(verdict: &Value) -> Vec<&str> {
    verdict["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap()).collect()
}

#[test]
fn a_clean_folder_of_two_accounts_is_valid() {
    let folder = folder(&two_accounts().0);
    let verdict = with_keys(&folder, &[]).expect(0).json();
    assert_eq!(counts(&verdict), [6, 0, 6, 0, 0]);
    assert_eq!(verdict["problems"], json!([]));
    let chains = verdict["chains"].as_array().unwrap();
    assert_eq!(chains.len(), 2);
    assert_eq!(chains[1]["account"], "444455556666");
    assert_eq!(
        (&chains[1]["from"], &chains[1]["through"]),
        (&json!("2026-01-05T10:00:00Z"), &json!("2026-01-05T13:00:00Z"))
    );
    let table =
        remit(folder.path(), &["digest", "verify", "--root", "copy", "--keys", "keys.json"]).expect(0);
    assert!(
        table.stdout.contains("digests: 6 valid, 0 invalid; log files: 6 valid, 0 invalid; gaps: 0"),
        "{}",
        table.stdout
    );
}

#[test]
fn what_was_touched_is_named_and_fails() {
    let (mut bucket, _) = two_accounts();
    let log = bucket.objects.keys().find(|(_, key)| key.contains("/CloudTrail/")).unwrap().clone();
    bucket.objects.insert(log.clone(), gzip(b"{}"));
    let folder = folder(&bucket);
    let verdict = with_keys(&folder, &[]).expect(1).json();
    assert_eq!(counts(&verdict), [6, 0, 5, 1, 0]);
    let problem = &verdict["problems"][0];
    assert_eq!(problem["object"], format!("s3://logs/{}", log.1));
    assert_eq!(
        (&problem["reason"], &problem["code"]),
        (&json!("hash value doesn't match"), &json!("log_hash"))
    );
}

#[test]
fn a_digest_removed_is_missed_and_its_time_is_a_gap() {
    let (mut bucket, digests) = two_accounts();
    bucket.objects.remove(&("logs".to_owned(), digests[1].clone()));
    let folder = folder(&bucket);
    let verdict = with_keys(&folder, &[]).expect(1).json();
    assert_eq!(counts(&verdict), [5, 1, 6, 0, 1]);
    assert_eq!(verdict["problems"][0]["object"], format!("s3://logs/{}", digests[1]));
    assert_eq!(verdict["problems"][0]["reason"], "not found");
    let gap = &verdict["gap_list"][0];
    assert_eq!((&gap["chain"], &gap["kind"]), (&json!("111122223333/eu-west-1/main"), &json!("missing")));
    assert_eq!((&gap["from"], &gap["to"]), (&json!("2026-01-05T11:00:00Z"), &json!("2026-01-05T12:00:00Z")));
}

#[test]
fn a_copy_that_begins_later_says_so() {
    let (mut bucket, digests) = two_accounts();
    for first in [0, 3] {
        bucket.objects.remove(&("logs".to_owned(), digests[first].clone()));
    }
    let folder = folder(&bucket);
    assert_eq!(counts(&with_keys(&folder, &[]).expect(1).json())[1], 2);
    let verdict = with_keys(&folder, &["--from", "2026-01-05T11:00:00Z"]).expect(0).json();
    assert_eq!(counts(&verdict), [4, 0, 2, 0, 0]);
}

#[test]
fn a_gap_alone_fails_only_where_that_is_asked_for() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    trail.hour(&mut bucket, 1);
    trail.restart();
    trail.hour(&mut bucket, 1);
    let folder = folder(&bucket);
    assert_eq!(counts(&with_keys(&folder, &[]).expect(0).json()), [2, 0, 2, 0, 1]);
    with_keys(&folder, &["--fail-on-gap"]).expect(1);
}

#[test]
fn keys_are_asked_of_each_region_for_its_time() {
    let (mut bucket, _) = two_accounts();
    Trail { region: "us-east-1".to_owned(), ..Trail::new() }.hour(&mut bucket, 1);
    let folder = folder(&bucket);
    let listed = |key: usize| {
        let mut listed = signer(key).listed("", "");
        // As the service writes times.
        listed["ValidityStartTime"] = json!(1_767_225_600.0);
        listed["ValidityEndTime"] = json!(1_769_904_000.0);
        listed
    };
    let service = KeyService::start(vec![listed(2), listed(1), listed(0)]);
    let verdict = verify(&folder, &["--endpoint-url", &service.url]).expect(0).json();
    assert_eq!(counts(&verdict), [7, 0, 7, 0, 0]);
    let asked = service.asked();
    let regions: Vec<_> = asked.iter().map(|(region, _)| region.as_str()).collect();
    assert_eq!(regions, ["eu-west-1", "eu-west-1", "eu-west-1", "us-east-1", "us-east-1", "us-east-1"]);
    // From the start of the first hour until two hours after the last.
    let time = |name: &str| asked[0].1[name].as_f64().unwrap() as i64;
    assert_eq!(time("StartTime"), 1_767_607_200, "2026-01-05T10:00:00Z");
    assert_eq!(time("EndTime"), 1_767_625_200, "2026-01-05T15:00:00Z");
}

#[test]
fn a_service_that_refuses_is_told_with_what_to_do() {
    let folder = folder(&two_accounts().0);
    let service = KeyService::refusing("AccessDeniedException");
    let told = verify(&folder, &["--endpoint-url", &service.url]).expect(3);
    for words in ["--keys", "eu-west-1", "AccessDenied", "cloudtrail:ListPublicKeys"] {
        assert!(told.stderr.contains(words), "{words}: {}", told.stderr);
    }
    assert_eq!(told.stdout, "");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let folder = folder(&two_accounts().0);
    folder.write("bad.json", "{}");
    verify(&folder, &["--keys", "bad.json"]).expect(2);
    verify(&folder, &["--keys", "none.json"]).expect(3);
    with_keys(&folder, &["--endpoint-url", "http://127.0.0.1:1"]).expect(2);
    remit(folder.path(), &["digest", "verify", "--root", "none", "--keys", "keys.json"]).expect(3);
    let told =
        remit(folder.path(), &["digest", "verify", "--root", "agents", "--keys", "keys.json"]).expect(2);
    assert!(told.stderr.contains("no digest"), "{}", told.stderr);
}

#[cfg(unix)]
#[test]
fn a_link_is_no_file_and_a_name_steers_no_terminal() {
    let (mut bucket, digests) = two_accounts();
    let odd = digests[0].replace("CloudTrail-Digest_", "CloudTrail-Digest_\u{1b}[2J");
    bucket.objects.insert(("logs".to_owned(), odd), gzip(b"{}"));
    let folder = folder(&bucket);
    let log = bucket.objects.keys().find(|(_, key)| key.contains("/CloudTrail/")).unwrap();
    let path = folder.path().join("copy/logs").join(&log.1);
    std::fs::rename(&path, folder.path().join("outside")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("outside"), &path).unwrap();
    let verdict = with_keys(&folder, &[]).expect(1).json();
    assert_eq!(codes(&verdict), ["digest_malformed", "log_not_found"]);
    assert_eq!(verdict["unread"].as_array().unwrap().len(), 1);
    let table =
        remit(folder.path(), &["digest", "verify", "--root", "copy", "--keys", "keys.json"]).expect(1);
    assert!(!table.stdout.contains('\u{1b}'));
}

#[test]
fn the_published_cases_are_told_as_expected() {
    let Some(cases) = conformance() else {
        eprintln!("skipped: REMIT_CONFORMANCE is not set");
        return;
    };
    let mut count = 0;
    for case in std::fs::read_dir(cases.join("digests")).unwrap() {
        let case = case.unwrap().path();
        let expected = std::fs::read_to_string(case.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let code = i32::try_from(expected["exit"].as_i64().unwrap()).unwrap();
        let command =
            ["digest", "verify", "--root", "objects", "--keys", "public-keys.json", "--output", "json"];
        let verdict = remit(Path::new(&case), &command).expect(code).json();
        for name in ["digests_valid", "digests_invalid", "logs_valid", "logs_invalid"] {
            assert_eq!(verdict[name], expected[name], "{name} of {}", case.display());
        }
        assert_eq!(verdict["gaps"], expected.get("gap").cloned().unwrap_or(json!(0)), "{}", case.display());
        if let Some(reason) = expected.get("reason") {
            assert_eq!(verdict["problems"][0]["reason"], *reason);
        }
        count += 1;
    }
    assert!(count >= 3);
}
