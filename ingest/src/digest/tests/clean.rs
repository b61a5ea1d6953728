//! What is as CloudTrail left it: nothing is told.

use chrono::TimeDelta;
use serde_json::json;

use super::signer::{Bucket, Trail, gzip, signer};
use super::*;

/// The hours of a trail, some of them with nothing in it.
fn run(trail: &mut Trail, bucket: &mut Bucket, hours: u32, logs: u32) {
    for hour in 0..hours {
        trail.hour(bucket, if hour % 5 == 3 { 0 } else { logs });
    }
}

#[test]
fn a_clean_chain_tells_nothing() {
    let mut bucket = Bucket::default();
    run(&mut Trail::new(), &mut bucket, 6, 3);
    assert_eq!(told(&bucket), Told::clean(6, 15));
}

#[test]
fn an_hour_says_what_it_attests() {
    let mut bucket = Bucket::default();
    Trail::new().hour(&mut bucket, 2);
    let linked = link(verified(&bucket, &keys()), None);
    let [(shelf, hour)] = linked.hours.as_slice() else { panic!("one hour") };
    assert_eq!(hour.chain.to_string(), "111122223333/eu-west-1/main");
    assert_eq!(hour.start.to_rfc3339(), "2026-01-05T10:00:00+00:00");
    assert_eq!(hour.end - hour.start, TimeDelta::hours(1));
    assert_eq!((hour.logs.len(), shelf.account.as_str()), (2, "111122223333"));
    let log = hour.logs.first().unwrap();
    let stored = &bucket.objects[&(log.place.bucket.clone(), log.place.key.clone())];
    assert_eq!(logs::content_sha256(stored.as_slice(), &Limits::default()), Ok(log.sha256));
}

#[test]
fn many_accounts_regions_and_trails_in_one_bucket_are_many_chains() {
    let mut bucket = Bucket::default();
    let mut digests = 0;
    let mut logs = 0;
    for account in ["111122223333", "444455556666", "777788889999"] {
        for (region, key) in [("eu-west-1", 0), ("us-east-1", 1)] {
            for (name, organization) in [("main", ""), ("all_of_it", "o-abcdef1234/")] {
                let mut trail = Trail {
                    account: account.to_owned(),
                    region: region.to_owned(),
                    organization: organization.to_owned(),
                    name: name.to_owned(),
                    key,
                    ..Trail::new()
                };
                run(&mut trail, &mut bucket, 8, 4);
                digests += 8;
                logs += 7 * 4;
            }
        }
    }
    assert_eq!(told(&bucket), Told::clean(digests, logs));
}

#[test]
fn a_key_may_change_within_a_chain_and_be_of_either_encoding() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 2, 1);
    trail.key = 1;
    run(&mut trail, &mut bucket, 2, 1);
    assert_eq!(told(&bucket), Told::clean(4, 4));
}

#[test]
fn a_key_that_begins_when_the_digest_is_signed_is_good() {
    let mut bucket = Bucket::default();
    run(&mut Trail::new(), &mut bucket, 1, 1);
    let with = |from: &str, until: &str| {
        let list = json!({ "PublicKeyList": [signer(0).listed(from, until)] });
        told_with(&bucket, &KeyRing::parse(list.to_string().as_bytes()).unwrap(), None)
    };
    // The hour is from ten to eleven, and its digest may come until one.
    assert_eq!(with("2026-01-05T12:30:00Z", "2026-02-01T00:00:00Z"), Told::clean(1, 1));
    assert_eq!(with("2026-01-01T00:00:00Z", "2026-01-05T10:00:00Z"), Told::clean(1, 1));
    assert_eq!(with("2026-01-05T13:00:01Z", "2026-02-01T00:00:00Z").codes, ["key_not_valid"]);
    assert_eq!(with("2026-01-01T00:00:00Z", "2026-01-05T09:59:59Z").codes, ["key_not_valid"]);
}

#[test]
fn a_trail_may_move_to_another_bucket_and_prefix() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 2, 1);
    trail.bucket = "new".to_owned();
    trail.prefix = "a/b/".to_owned();
    run(&mut trail, &mut bucket, 2, 1);
    assert_eq!(told(&bucket), Told::clean(4, 4));
}

#[test]
fn a_trail_that_becomes_an_organizations_goes_on() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 2, 1);
    trail.organization = "o-abcdef1234/".to_owned();
    run(&mut trail, &mut bucket, 2, 1);
    assert_eq!(told(&bucket), Told::clean(4, 4));
}

#[test]
fn a_restart_is_a_gap_and_no_fault() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 2, 1);
    trail.restart();
    trail.now += TimeDelta::hours(5);
    run(&mut trail, &mut bucket, 2, 1);
    assert_eq!(told(&bucket), Told { gaps: vec!["restart"], ..Told::clean(4, 4) });
    let gap = link(verified(&bucket, &keys()), None).gaps.remove(0);
    assert_eq!(gap.chain.to_string(), "111122223333/eu-west-1/main");
    assert_eq!(gap.from.unwrap().to_rfc3339(), "2026-01-05T12:00:00+00:00");
    assert_eq!(gap.to.to_rfc3339(), "2026-01-05T17:00:00+00:00");
}

#[test]
fn a_restart_within_a_moment_is_a_gap_too() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 2, 1);
    trail.restart();
    run(&mut trail, &mut bucket, 2, 1);
    assert_eq!(told(&bucket), Told { gaps: vec!["restart"], ..Told::clean(4, 4) });
}

#[test]
fn backfill_digests_are_a_chain_of_their_own_and_close_gaps() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 2, 1);
    let (start, mut late) = (trail.now, trail.clone());
    trail.restart();
    trail.now += TimeDelta::hours(3);
    run(&mut trail, &mut bucket, 2, 1);
    late.backfill = true;
    late.restart();
    late.now = start;
    late.hour(&mut bucket, 1);
    assert_eq!(told(&bucket), Told { gaps: vec!["restart"], ..Told::clean(5, 5) }, "one hour of three");
    late.hour(&mut bucket, 1);
    late.hour(&mut bucket, 1);
    assert_eq!(told(&bucket), Told::clean(7, 7));
}

#[test]
fn what_begins_later_on_purpose_misses_nothing() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    let first = trail.hour(&mut bucket, 0);
    let ended = trail.now;
    run(&mut trail, &mut bucket, 2, 1);
    bucket.objects.remove(&(first.bucket, first.key));
    assert_eq!(told_with(&bucket, &keys(), Some(ended)), Told::clean(2, 2));
    assert_eq!(told_with(&bucket, &keys(), Some(ended - TimeDelta::seconds(1))).codes, ["digest_not_found"]);
}

#[test]
fn log_files_before_after_and_between_digests_are_no_forgeries() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    let start = trail.now;
    trail.log(&mut bucket, start - TimeDelta::hours(2));
    run(&mut trail, &mut bucket, 2, 1);
    let stopped = trail.now;
    trail.restart();
    trail.now += TimeDelta::hours(5);
    trail.log(&mut bucket, stopped + TimeDelta::hours(2));
    run(&mut trail, &mut bucket, 2, 1);
    let end = trail.now;
    trail.log(&mut bucket, end + TimeDelta::minutes(30));
    let mut other = Trail { account: "444455556666".to_owned(), ..Trail::new() };
    other.log(&mut bucket, start + TimeDelta::minutes(30));
    let notes = vec!["log_before_first_digest", "log_in_gap", "log_pending", "log_without_digests"];
    assert_eq!(told(&bucket), Told { gaps: vec!["restart"], notes, ..Told::clean(4, 4) });
}

#[test]
fn two_trails_on_one_shelf_excuse_each_other() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    run(&mut trail, &mut bucket, 4, 1);
    let mut other = Trail { name: "second".to_owned(), ..Trail::new() };
    other.hour(&mut bucket, 0);
    let off = other.now;
    other.restart();
    other.now += TimeDelta::hours(2);
    other.hour(&mut bucket, 0);
    let before = told(&bucket);
    assert_eq!(before, Told { gaps: vec!["restart"], ..Told::clean(6, 3) });
    trail.log(&mut bucket, off + TimeDelta::minutes(60));
    assert_eq!(told(&bucket), Told { notes: vec!["log_in_gap"], ..before });
}

#[test]
fn the_same_content_gzipped_anew_is_the_same() {
    let mut bucket = Bucket::default();
    let log = Trail::new().log(&mut bucket, "2026-01-05T10:30:00Z".parse().unwrap());
    let key = ("logs".to_owned(), log["s3Object"].as_str().unwrap().to_owned());
    let plain = inflate(&bucket.objects[&key], &Limits::default()).unwrap().into_owned();
    let mut trail = Trail::new();
    let (start, end) = (trail.now, trail.now + TimeDelta::hours(1));
    trail.digest(&mut bucket, start, end, vec![log], |_| {});
    bucket.objects.insert(key, gzip(&plain));
    assert_eq!(told(&bucket), Told::clean(1, 1));
}

#[test]
fn more_that_aws_may_say_one_day_is_no_fault() {
    let mut bucket = Bucket::default();
    Trail::new().hour_but(&mut bucket, 1, |document| document["somethingNew"] = json!({"a": [1, null]}));
    assert_eq!(told(&bucket), Told::clean(1, 1));
}

#[test]
fn a_large_clean_bucket_raises_no_false_alarm() {
    let wanted = logs_wanted();
    let hours = (wanted / 50).clamp(8, 200);
    let mut bucket = Bucket::default();
    let mut digests = 0;
    let mut logs = 0;
    for (account, region, key) in [
        ("111122223333", "eu-west-1", 0),
        ("111122223333", "us-east-1", 1),
        ("444455556666", "eu-west-1", 0),
        ("777788889999", "ap-south-1", 1),
    ] {
        let each = wanted.div_ceil(hours * 4);
        let mut trail = Trail { account: account.to_owned(), region: region.to_owned(), key, ..Trail::new() };
        for hour in 0..hours {
            // Half-way the key changes.
            trail.key = if hour * 2 < hours { key } else { 1 - key };
            trail.hour(&mut bucket, each);
            digests += 1;
            logs += u64::from(each);
        }
    }
    let start = std::time::Instant::now();
    assert_eq!(told(&bucket), Told::clean(digests, logs));
    eprintln!("{digests} digests and {logs} log files verified in {:?}", start.elapsed());
}
