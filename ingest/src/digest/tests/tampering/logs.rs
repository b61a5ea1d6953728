//! Log files touched.

use chrono::TimeDelta;
use serde_json::json;

use super::super::signer::{Trail, gzip, sha256};
use super::*;

#[test]
fn a_flipped_bit_of_a_log_file() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let mut plain = scene.plain(&log);
    plain[20] ^= 1;
    *scene.bytes(&log) = gzip(&plain);
    scene.tells(one_log("log_hash"));
}

#[test]
fn a_flipped_bit_of_a_gzip_stream() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let bytes = scene.bytes(&log);
    let crc = bytes.len() - 8;
    bytes[crc] ^= 1;
    scene.tells(one_log("gzip_corrupt"));
}

#[test]
fn a_log_file_cut_short() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let bytes = scene.bytes(&log);
    bytes.truncate(bytes.len() / 2);
    scene.tells(one_log("gzip_truncated"));
}

#[test]
fn a_gzip_member_added_to_a_log_file() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    scene.bytes(&log).extend(gzip(b"{\"Records\": []}"));
    scene.tells(one_log("gzip_trailing"));
}

#[test]
fn a_log_file_unpacked_where_it_lies() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    *scene.bytes(&log) = scene.plain(&log);
    scene.tells(one_log("log_not_gzip"));
}

#[test]
fn a_bomb_for_a_log_file() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    *scene.bytes(&log) = gzip(&vec![b' '; 8 << 20]);
    // The same size packs better than 200:1 with the best compression alone; either way it is not what was signed.
    let Told { logs, codes, .. } = told(&scene.bucket);
    assert_eq!(logs, (9, 1));
    assert!(["gzip_ratio", "log_hash"].contains(&codes[0]), "{codes:?}");
}

#[test]
fn a_log_file_removed() {
    let mut scene = scene();
    scene.remove(&scene.logs[4].clone());
    scene.tells(one_log("log_not_found"));
}

#[test]
fn a_log_file_renamed() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let held = scene.remove(&log);
    scene.put((log.0.clone(), log.1.replace("_00", "_FF")), held);
    scene.tells(one_log("log_moved"));
}

#[test]
fn a_log_file_moved_to_another_bucket() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let held = scene.remove(&log);
    scene.put(("elsewhere".to_owned(), log.1), held);
    scene.tells(one_log("log_moved"));
}

#[test]
fn a_log_file_renamed_in_case_alone() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let held = scene.remove(&log);
    scene.put((log.0, log.1.replace("AWSLogs", "awslogs")), held);
    scene.tells(one_log("log_moved"));
}

#[test]
fn two_log_files_swapped() {
    let mut scene = scene();
    let [a, b] = [scene.logs[4].clone(), scene.logs[5].clone()];
    let held = scene.bytes(&a).clone();
    *scene.bytes(&a) = scene.bytes(&b).clone();
    *scene.bytes(&b) = held;
    scene.tells(Told { logs: (8, 2), codes: vec!["log_hash"; 2], ..Told::clean(5, 8) });
}

#[test]
fn a_log_file_forged() {
    let mut scene = scene();
    let mut forger = Trail { serial: 500, ..Trail::new() };
    let noon = forger.now + TimeDelta::hours(2);
    forger.log(&mut scene.bucket, noon + TimeDelta::minutes(30));
    scene.tells(Told { logs: (10, 1), codes: vec!["log_unattested"], ..Told::clean(5, 10) });
}

#[test]
fn a_forged_name_is_no_way_out() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    for name in ["_CloudTrail_", "T12"] {
        let odd = (log.0.clone(), log.1.replace(name, "-"));
        scene.put(odd, (gzip(name.as_bytes()), None));
    }
    scene.tells(Told { logs: (10, 2), codes: vec!["log_unattested"; 2], ..Told::clean(5, 10) });
}

#[test]
fn a_log_file_copied_under_another_name() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    let copy = (log.0.clone(), log.1.replace("_00", "_FF"));
    scene.copy(&log, copy);
    scene.tells(Told { logs: (10, 1), codes: vec!["log_copy"], ..Told::clean(5, 10) });
}

#[test]
fn a_log_file_listed_twice_is_odd_and_no_fault() {
    let scene = scene_but(|document| {
        let logs = document["logFiles"].as_array_mut().unwrap();
        logs.push(logs[0].clone());
    });
    scene.tells(Told { notes: vec!["log_listed_twice"], ..Told::clean(5, 10) });
}

#[test]
fn a_log_file_listed_with_two_hashes() {
    let scene = scene_but(|document| {
        let logs = document["logFiles"].as_array_mut().unwrap();
        let mut other = logs[0].clone();
        other["hashValue"] = json!(sha256(b"other"));
        logs.push(other);
    });
    scene.tells(one_log("log_conflict"));
}

#[test]
fn a_log_file_of_another_account_or_region_listed() {
    for (from, to, code) in [
        ("111122223333", "444455556666", "log_of_other_account"),
        ("eu-west-1", "us-east-1", "log_of_other_region"),
    ] {
        let mut scene = scene();
        let mut other = Trail::new();
        for part in [&mut other.account, &mut other.region] {
            *part = part.replace(from, to);
        }
        let (start, end) = (scene.trail.now, scene.trail.now + TimeDelta::hours(1));
        let log = other.log(&mut scene.bucket, start + TimeDelta::minutes(30));
        scene.trail.digest(&mut scene.bucket, start, end, vec![log], |_| {});
        scene.tells(Told { logs: (10, 1), codes: vec![code], ..Told::clean(6, 10) });
    }
}
