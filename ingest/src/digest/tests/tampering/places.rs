//! Digests removed, moved or put in another's place, and links that do not hold.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::signer::{Trail, sha256};
use super::*;

#[test]
fn a_digest_removed() {
    let mut scene = scene();
    scene.remove(&scene.digests[2].clone());
    scene.tells(Told { gaps: vec!["missing"], ..one_digest("digest_not_found") });
    let gap = link(verified(&scene.bucket, &keys()), None).gaps.remove(0);
    assert_eq!(gap.from.unwrap().to_rfc3339(), "2026-01-05T12:00:00+00:00");
    assert_eq!(gap.to.to_rfc3339(), "2026-01-05T13:00:00+00:00");
}

/// aws-cli tells of one: <https://github.com/aws/aws-cli/issues/7054>.
#[test]
fn three_digests_in_a_row_removed() {
    let mut scene = scene();
    for digest in 1..4 {
        scene.remove(&scene.digests[digest].clone());
    }
    scene.tells(Told {
        digests: (2, 1),
        codes: vec!["digest_not_found"],
        gaps: vec!["missing"],
        notes: vec!["log_in_gap"; 6],
        ..Told::clean(0, 4)
    });
    let gap = link(verified(&scene.bucket, &keys()), None).gaps.remove(0);
    assert_eq!(gap.to - gap.from.unwrap(), TimeDelta::hours(3), "all three, though only one has a name");
}

#[test]
fn the_first_digest_removed() {
    let mut scene = scene();
    scene.remove(&scene.digests[0].clone());
    scene.tells(Told {
        gaps: vec!["missing"],
        notes: vec!["log_before_first_digest"; 2],
        ..one_digest("digest_not_found")
    });
}

#[test]
fn the_newest_digests_removed_while_log_files_go_on() {
    let mut scene = scene();
    scene.remove(&scene.digests[4].clone());
    let pending = Told { notes: vec!["log_pending"; 2], ..Told::clean(4, 8) };
    scene.tells(pending);
    for digest in [3, 2] {
        scene.remove(&scene.digests[digest].clone());
    }
    scene.tells(Told { gaps: vec!["silent"], notes: vec!["log_pending"; 6], ..Told::clean(2, 4) });
}

#[test]
fn a_digest_removed_beside_an_invalid_one() {
    let mut scene = scene();
    scene.remove(&scene.digests[1].clone());
    scene.rewrite(|document| document["logFiles"] = json!([]));
    // What the third says of the second is nobody's word now, but an hour more is gone than the third had.
    scene.tells(Told {
        digests: (3, 1),
        codes: vec!["signature"],
        gaps: vec!["hole"],
        notes: vec!["log_in_gap"; 4],
        ..Told::clean(0, 6)
    });
}

#[test]
fn a_digest_renamed() {
    let mut scene = scene();
    let digest = scene.digests[2].clone();
    let held = scene.remove(&digest);
    // In case alone, to another folder, to another bucket.
    for to in [
        (digest.0.clone(), digest.1.replace("CloudTrail-Digest", "cloudtrail-digest")),
        (digest.0.clone(), format!("moved/{}", digest.1)),
        ("elsewhere".to_owned(), digest.1.clone()),
    ] {
        scene.put(to.clone(), held.clone());
        scene.tells(one_digest("digest_moved"));
        scene.remove(&to);
    }
}

#[test]
fn all_moved_to_another_bucket() {
    let mut scene = scene();
    for at in scene.digests.clone().into_iter().chain(scene.logs.clone()) {
        let held = scene.remove(&at);
        scene.put(("elsewhere".to_owned(), at.1), held);
    }
    scene.tells(Told {
        digests: (0, 5),
        codes: vec!["digest_moved"; 5],
        notes: vec!["log_without_digests"; 10],
        ..Told::clean(0, 0)
    });
}

#[test]
fn an_older_digest_in_the_place_of_a_newer() {
    let mut scene = scene();
    let [old, new] = [scene.digests[1].clone(), scene.digests[2].clone()];
    scene.copy(&old, new);
    scene.tells(one_digest("digest_replayed"));
}

#[test]
fn a_digest_of_another_account_region_or_trail() {
    for (from, to, code) in [
        ("111122223333", "444455556666", "digest_of_other_account"),
        ("eu-west-1", "us-east-1", "digest_of_other_region"),
        ("main", "second", "digest_of_other_trail"),
    ] {
        let mut scene = scene();
        let mut other = Trail { now: scene.trail.now - TimeDelta::hours(3), ..Trail::new() };
        for part in [&mut other.account, &mut other.region, &mut other.name] {
            *part = part.replace(from, to);
        }
        let foreign = at(other.hour(&mut scene.bucket, 0));
        scene.copy(&foreign, scene.digests[2].clone());
        scene.tells(Told { digests: (5, 1), ..one_digest(code) });
    }
}

#[test]
fn links_that_do_not_hold() {
    let links: [(&str, &str, Value); 4] = [
        ("link_hash", "previousDigestHashValue", json!(sha256(b"other"))),
        ("link_signature", "previousDigestSignature", json!("0a".repeat(256))),
        ("link_foreign", "previousDigestS3Object", json!("some/key")),
        (
            "link_foreign",
            "previousDigestS3Object",
            json!(Trail { name: "x".to_owned(), ..Trail::new() }.digest_key(Trail::new().now)),
        ),
    ];
    for (code, key, value) in links {
        scene_but(|document| document[key] = value.clone()).tells(one_digest(code));
    }
}

#[test]
fn a_link_to_itself_or_to_the_future() {
    for hours in [3, 4] {
        let trail = Trail::new();
        let key = trail.digest_key(trail.now + TimeDelta::hours(hours));
        let scene = scene_but(|document| document["previousDigestS3Object"] = json!(key));
        scene.tells(one_digest("overlap"));
    }
}

#[test]
fn a_starting_digest_in_the_midst() {
    let scene = scene_but(|document| {
        for part in ["S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature"] {
            document[format!("previousDigest{part}")] = Value::Null;
        }
    });
    scene.tells(Told { gaps: vec!["restart"], ..Told::clean(5, 10) });
    // By somebody without a key.
    let mut forged = super::scene();
    forged.rewrite(|document| {
        for part in ["S3Bucket", "S3Object", "HashValue", "HashAlgorithm", "Signature"] {
            document[format!("previousDigest{part}")] = Value::Null;
        }
    });
    forged.tells(one_digest("signature"));
}

#[test]
fn a_backfill_digest_that_does_not_say_when_it_was_made() {
    let mut scene = scene();
    let mut late = Trail { backfill: true, now: scene.trail.now - TimeDelta::hours(3), ..Trail::new() };
    let digest = at(late.hour(&mut scene.bucket, 0));
    scene.tells(Told::clean(6, 10));
    let metadata = scene.bucket.metadata.get_mut(&digest).unwrap();
    metadata["backfill-generation-timestamp"] = json!("2026-03-01T00:00:00Z");
    scene.tells(Told { digests: (5, 1), codes: vec!["key_not_valid"], ..Told::clean(5, 10) });
    let metadata = scene.bucket.metadata.get_mut(&digest).unwrap();
    metadata.as_object_mut().unwrap().remove("backfill-generation-timestamp");
    scene.tells(Told { digests: (5, 1), codes: vec!["backfill_undated"], ..Told::clean(5, 10) });
}
