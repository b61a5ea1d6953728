//! One digest touched: its content, its signature, its key.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::signer::{Sealed, Trail, gzip, sha256, signer};
use super::*;

#[test]
fn a_hash_in_a_digest_changed_to_that_of_a_forged_log_file() {
    let mut scene = scene();
    let log = scene.logs[4].clone();
    *scene.bytes(&log) = gzip(b"forged");
    scene.rewrite(|document| document["logFiles"][0]["hashValue"] = json!(sha256(b"forged")));
    scene.tells(one_digest("signature"));
}

#[test]
fn a_flipped_bit_of_a_digest() {
    let mut scene = scene();
    let digest = scene.digests[2].clone();
    let plain = String::from_utf8(scene.plain(&digest)).unwrap();
    // An event time, so that the form stays good.
    let changed =
        plain.replacen("\"oldestEventTime\":\"2026-01-05T12:1", "\"oldestEventTime\":\"2026-01-05T12:0", 1);
    assert_ne!(changed, plain);
    *scene.bytes(&digest) = gzip(changed.as_bytes());
    scene.tells(one_digest("signature"));
}

#[test]
fn a_log_file_struck_from_a_digest() {
    let mut scene = scene();
    scene.rewrite(|document| document["logFiles"] = json!([]));
    scene.tells(one_digest("signature"));
}

#[test]
fn a_digest_backdated() {
    let mut scene = scene();
    scene.rewrite(|document| document["digestStartTime"] = json!("2026-01-05T11:00:00Z"));
    scene.tells(one_digest("signature"));
    scene.rewrite(|document| document["digestEndTime"] = json!("2026-01-05T12:30:00Z"));
    scene.tells(one_digest("digest_contradiction"));
    scene.rewrite(|document| document["digestEndTime"] = json!("2026-01-05T10:30:00Z"));
    scene.tells(one_digest("digest_malformed"));
}

#[test]
fn a_digest_backdated_by_somebody_who_can_sign() {
    let scene = scene_but(|document| document["digestStartTime"] = json!("2026-01-05T11:30:00Z"));
    scene.tells(one_digest("overlap"));
    let scene = scene_but(|document| document["digestStartTime"] = json!("2026-01-05T12:10:00Z"));
    scene.tells(Told { gaps: vec!["hole"], ..Told::clean(5, 10) });
}

#[test]
fn a_signature_changed_cut_swapped_or_removed() {
    let digest = scene().digests[2].clone();
    type Change = fn(&mut Value, &Value);
    let changes: [(&str, Change); 6] = [
        ("signature", |own, _| {
            let text = own["signature"].as_str().unwrap();
            let last = if text.ends_with('0') { "1" } else { "0" };
            own["signature"] = json!(format!("{}{last}", &text[..text.len() - 1]));
        }),
        ("signature", |own, other| own["signature"] = other["signature"].clone()),
        ("signature_malformed", |own, _| own["signature"] = json!("0a")),
        ("signature_malformed", |own, _| {
            own["signature"] = json!(own["signature"].as_str().unwrap().to_uppercase());
        }),
        ("signature_missing", |own, _| *own = json!({})),
        ("algorithm", |own, _| own["signature-algorithm"] = json!("SHA1withRSA")),
    ];
    for (code, change) in changes {
        let mut scene = scene();
        let other = scene.bucket.metadata[&scene.digests[1]].clone();
        change(scene.bucket.metadata.get_mut(&digest).unwrap(), &other);
        scene.tells(one_digest(code));
    }
}

#[test]
fn a_digest_cut_short_or_added_to_or_unpacked() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("gzip_truncated", |bytes| bytes.truncate(bytes.len() - 9)),
        ("gzip_trailing", |bytes| bytes.extend(gzip(b"{}"))),
        ("digest_not_gzip", |bytes| *bytes = inflate(bytes, &Limits::default()).unwrap().into_owned()),
        ("digest_malformed", |bytes| *bytes = gzip(b"{}")),
    ];
    for (code, change) in changes {
        let mut scene = scene();
        let digest = scene.digests[2].clone();
        change(scene.bytes(&digest));
        scene.tells(one_digest(code));
    }
}

#[test]
fn a_digest_whose_form_is_not_cloudtrails() {
    let forms: [(&str, &str, Value); 8] = [
        ("digest_malformed", "logFiles", Value::Null),
        ("digest_malformed", "previousDigestSignature", Value::Null),
        ("digest_malformed", "previousDigestHashValue", json!("A".repeat(64))),
        ("digest_malformed", "digestStartTime", json!("2026-01-05")),
        ("digest_malformed", "digestPublicKeyFingerprint", json!("ab")),
        ("algorithm", "digestSignatureAlgorithm", json!("none")),
        ("algorithm", "previousDigestHashAlgorithm", json!("MD5")),
        ("digest_contradiction", "awsAccountId", json!("444455556666")),
    ];
    for (code, key, value) in forms {
        let mut scene = scene();
        scene.rewrite(|document| document[key] = value.clone());
        scene.tells(one_digest(code));
    }
    for key in ["previousDigestSignature", "logFiles", "digestEndTime"] {
        let mut scene = scene();
        scene.rewrite(|document| _ = document.as_object_mut().unwrap().remove(key));
        scene.tells(one_digest("digest_malformed"));
    }
}

#[test]
fn a_key_said_twice() {
    let mut scene = scene();
    let digest = scene.digests[2].clone();
    let plain = String::from_utf8(scene.plain(&digest)).unwrap();
    let twice = plain.replacen('{', "{\"logFiles\": [],", 1);
    *scene.bytes(&digest) = gzip(twice.as_bytes());
    scene.tells(one_digest("digest_malformed"));
}

#[test]
fn a_digest_signed_by_a_key_that_is_not_cloudtrails() {
    let mut scene = scene();
    let document = scene.document(&scene.digests[2].clone());
    let mut forger = Trail {
        key: 2,
        now: scene.trail.now - TimeDelta::hours(3),
        previous: Some(Sealed {
            bucket: "logs".to_owned(),
            key: scene.digests[1].1.clone(),
            hash: document["previousDigestHashValue"].as_str().unwrap().to_owned(),
            signature: document["previousDigestSignature"].as_str().unwrap().to_owned(),
        }),
        ..Trail::new()
    };
    forger.hour(&mut scene.bucket, 0);
    scene.tells(one_digest("key_unknown"));
    // Under the name of a good key.
    forger.now -= TimeDelta::hours(1);
    forger.hour_but(&mut scene.bucket, 0, |document| {
        document["digestPublicKeyFingerprint"] = json!(signer(0).fingerprint);
    });
    scene.tells(one_digest("signature"));
}

#[test]
fn a_key_of_another_region_time_or_fingerprint() {
    let scene = scene();
    let whole = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    let with = |change: fn(&mut Value)| {
        let mut key = signer(0).listed(whole.0, whole.1);
        change(&mut key);
        let ring = KeyRing::parse(json!([key]).to_string().as_bytes()).unwrap();
        told_with(&scene.bucket, &ring, None)
    };
    let all = |code| Told {
        digests: (0, 5),
        codes: vec![code; 5],
        notes: vec!["log_without_digests"; 10],
        ..Told::clean(0, 0)
    };
    assert_eq!(with(|_| {}), Told::clean(5, 10));
    assert_eq!(with(|key| key["Region"] = json!("eu-west-1")), Told::clean(5, 10));
    assert_eq!(with(|key| key["Region"] = json!("us-east-1")), all("key_unknown"));
    assert_eq!(with(|key| key["Fingerprint"] = json!("ab".repeat(16))), all("key_unknown"));
    assert_eq!(with(|key| key["ValidityEndTime"] = json!(1_767_000_000)), all("key_not_valid"));
    assert_eq!(with(|key| key["Value"] = json!("AAAA")), all("key_unusable"));
    // Another key's bytes under this fingerprint.
    let swapped = with(|key| key["Value"] = signer(2).listed("", "")["Value"].clone());
    assert_eq!(swapped, all("key_unusable"));
}
