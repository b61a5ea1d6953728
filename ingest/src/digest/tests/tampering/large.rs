//! Everything at once, in a large bucket: each is told by its own name, at its own place, and nothing else is.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;

use super::super::logs::judge;
use super::super::logs_wanted;
use super::super::signer::{Trail, gzip, signer};
use super::*;

/// The hours of one trail in the midst of many.
struct Hours<'a> {
    bucket: &'a mut Bucket,
    trail: Trail,
    digests: Vec<At>,
    /// The log files of each hour
    logs: Vec<Vec<At>>,
}

impl Hours<'_> {
    fn plain(&self, at: &At) -> Vec<u8> {
        inflate(&self.bucket.objects[at], &Limits::default()).unwrap().into_owned()
    }

    fn store(&mut self, at: &At, bytes: Vec<u8>) {
        self.bucket.objects.insert(at.clone(), bytes);
    }

    fn take(&mut self, at: &At) -> Vec<u8> {
        self.bucket.objects.remove(at).unwrap()
    }

    fn sign(&mut self, at: &At, change: impl FnOnce(&mut Value)) {
        change(self.bucket.metadata.get_mut(at).unwrap());
    }
}

/// Does one thing to the fourth hour; gives where it is told.
type Tampering = fn(&mut Hours<'_>) -> At;

const KINDS: [(&str, Tampering); 20] = [
    ("log_hash", |hours| {
        let log = hours.logs[3][0].clone();
        let mut plain = hours.plain(&log);
        plain[9] ^= 4;
        hours.store(&log, gzip(&plain));
        log
    }),
    ("gzip_trailing", |hours| {
        let log = hours.logs[3][0].clone();
        hours.bucket.objects.get_mut(&log).unwrap().extend(gzip(b"{}"));
        log
    }),
    ("gzip_truncated", |hours| {
        let log = hours.logs[3][0].clone();
        hours.bucket.objects.get_mut(&log).unwrap().truncate(40);
        log
    }),
    ("log_not_gzip", |hours| {
        let log = hours.logs[3][0].clone();
        let plain = hours.plain(&log);
        hours.store(&log, plain);
        log
    }),
    ("log_not_found", |hours| {
        let log = hours.logs[3][0].clone();
        hours.take(&log);
        log
    }),
    ("log_moved", |hours| {
        let log = hours.logs[3][0].clone();
        let bytes = hours.take(&log);
        hours.store(&(log.0.clone(), log.1.replace("_00", "_AA")), bytes);
        log
    }),
    ("log_copy", |hours| {
        let log = hours.logs[3][0].clone();
        let copy = (log.0.clone(), log.1.replace("_00", "_BB"));
        hours.store(&copy, hours.bucket.objects[&log].clone());
        copy
    }),
    ("log_unattested", |hours| {
        let log = hours.logs[3][0].clone();
        let forged = (log.0, log.1.replace("_00", "_CC"));
        hours.store(&forged, gzip(forged.1.as_bytes()));
        forged
    }),
    ("signature", |hours| {
        let digest = hours.digests[3].clone();
        let plain = String::from_utf8(hours.plain(&digest)).unwrap();
        let changed = plain.replacen("SHA-256\",\"hashValue\":\"", "SHA-256\",\"hashValue\":\"0", 1);
        // One digit more in front, one less behind.
        let at = changed.find("hashValue\":\"").unwrap() + "hashValue\":\"".len() + 64;
        hours.store(&digest, gzip(format!("{}{}", &changed[..at], &changed[at + 1..]).as_bytes()));
        digest
    }),
    ("signature_missing", |hours| {
        let digest = hours.digests[3].clone();
        hours.bucket.metadata.remove(&digest);
        digest
    }),
    ("signature_malformed", |hours| {
        let digest = hours.digests[3].clone();
        hours.sign(&digest, |metadata| metadata["signature"] = json!("00"));
        digest
    }),
    ("algorithm", |hours| {
        let digest = hours.digests[3].clone();
        hours.sign(&digest, |metadata| metadata["signature-algorithm"] = json!("none"));
        digest
    }),
    ("digest_not_gzip", |hours| {
        let digest = hours.digests[3].clone();
        let plain = hours.plain(&digest);
        hours.store(&digest, plain);
        digest
    }),
    ("digest_malformed", |hours| {
        let digest = hours.digests[3].clone();
        hours.store(&digest, gzip(b"{\"Records\":[]}"));
        digest
    }),
    ("digest_not_found", |hours| {
        let digest = hours.digests[3].clone();
        hours.take(&digest);
        digest
    }),
    ("digest_moved", |hours| {
        let digest = hours.digests[3].clone();
        let to = (digest.0.clone(), format!("old/{}", digest.1));
        let bytes = hours.take(&digest);
        hours.store(&to, bytes);
        let metadata = hours.bucket.metadata.remove(&digest).unwrap();
        hours.bucket.metadata.insert(to.clone(), metadata);
        to
    }),
    ("digest_replayed", |hours| {
        let [old, digest] = [hours.digests[1].clone(), hours.digests[3].clone()];
        hours.store(&digest, hours.bucket.objects[&old].clone());
        let metadata = hours.bucket.metadata[&old].clone();
        hours.bucket.metadata.insert(digest.clone(), metadata);
        digest
    }),
    ("digest_contradiction", |hours| {
        let digest = hours.digests[3].clone();
        let plain = String::from_utf8(hours.plain(&digest)).unwrap();
        let account = format!("\"awsAccountId\":\"{}\"", hours.trail.account);
        let changed = plain.replace(&account, "\"awsAccountId\":\"999999999999\"");
        assert_ne!(changed, plain);
        hours.store(&digest, gzip(changed.as_bytes()));
        digest
    }),
    ("key_unknown", |hours| {
        let digest = hours.digests[3].clone();
        let plain = String::from_utf8(hours.plain(&digest)).unwrap();
        let known = &signer(hours.trail.key).fingerprint;
        hours.store(&digest, gzip(plain.replace(known.as_str(), &"ab".repeat(16)).as_bytes()));
        digest
    }),
    ("digest_of_other_trail", |hours| {
        let digest = hours.digests[3].clone();
        let mut other = Trail { name: "other".to_owned(), ..hours.trail.clone() };
        other.restart();
        other.now -= TimeDelta::hours(1);
        let foreign = at(other.hour(hours.bucket, 0));
        hours.store(&digest, hours.bucket.objects[&foreign].clone());
        let metadata = hours.bucket.metadata[&foreign].clone();
        hours.bucket.metadata.insert(digest.clone(), metadata);
        // Only its copy is to be told of.
        hours.bucket.objects.remove(&foreign);
        digest
    }),
];

#[test]
fn each_of_twenty_kinds_is_told_by_its_name_and_place_and_nothing_else_is() {
    let hours = 8;
    let each = logs_wanted().div_ceil(hours * u32::try_from(KINDS.len()).unwrap()).max(2);
    let mut bucket = Bucket::default();
    let mut expected = BTreeMap::new();
    let mut digests = 0;
    for (number, (code, tamper)) in KINDS.into_iter().enumerate() {
        let region = ["eu-west-1", "us-east-1", "ap-south-1"][number % 3];
        let mut trail = Trail {
            account: format!("1111222233{number:02}"),
            region: region.to_owned(),
            key: number % 2,
            ..Trail::new()
        };
        let mut digests_of = Vec::new();
        let mut logs_of = Vec::new();
        for _ in 0..hours {
            let mut own = Bucket::default();
            digests_of.push(at(trail.hour(&mut own, each)));
            logs_of.push(own.objects.keys().filter(|(_, key)| !is_digest(key)).cloned().collect());
            bucket.objects.extend(own.objects);
            bucket.metadata.extend(own.metadata);
            digests += 1;
        }
        let mut hours = Hours { bucket: &mut bucket, trail, digests: digests_of, logs: logs_of };
        let (at, key) = tamper(&mut hours);
        expected.insert(Place::new(at, key), code);
    }
    let linked = link(verified(&bucket, &keys()), None);
    let judged = judge(&linked, contents(&bucket));
    let digests_told = linked.problems.iter().map(|(place, problem)| (place.clone(), problem.code()));
    let logs_told = judged.problems.iter().map(|(place, problem)| (place.clone(), problem.code()));
    assert_eq!(digests_told.chain(logs_told).collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(linked.problems.len() + judged.problems.len(), KINDS.len());
    assert_eq!(linked.hours.len() + linked.problems.len(), digests);
    // The removed one alone: where a digest lies that is wrong, that is what is told.
    let gaps: Vec<_> = linked.gaps.iter().map(|gap| gap.kind.as_str()).collect();
    assert_eq!(gaps, ["missing"]);
}
