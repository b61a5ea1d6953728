//! Chains that were signed here, and what becomes of them when somebody touches them.

mod clean;
mod parts;
mod signer;
mod tampering;

use super::*;
use signer::{Bucket, public_keys};

/// Everything in short: counts, the codes of what is wrong, gaps, notes.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    digests: (usize, usize),
    logs: (u64, usize),
    codes: Vec<&'static str>,
    gaps: Vec<&'static str>,
    notes: Vec<&'static str>,
}

impl Told {
    fn clean(digests: usize, logs: u64) -> Self {
        Self { digests: (digests, 0), logs: (logs, 0), codes: vec![], gaps: vec![], notes: vec![] }
    }
}

fn keys() -> KeyRing {
    KeyRing::parse(public_keys().to_string().as_bytes()).unwrap()
}

fn is_digest(key: &str) -> bool {
    key.to_ascii_lowercase().contains("digest/")
}

fn verified(bucket: &Bucket, keys: &KeyRing) -> Vec<(Place, Result<Digest, DigestProblem>)> {
    let digests = bucket.objects.iter().filter(|((_, key), _)| is_digest(key));
    digests
        .map(|((at, key), bytes)| {
            let place = Place::new(at, key);
            let metadata = bucket.metadata.get(&(at.clone(), key.clone()));
            let metadata = match metadata.map(|json| Metadata::parse(json.to_string().as_bytes())) {
                None => Ok(Metadata::default()),
                Some(metadata) => metadata,
            };
            let digest = metadata.and_then(|metadata| Digest::verify(&place, bytes, &metadata, keys));
            (place, digest)
        })
        .collect()
}

fn contents(bucket: &Bucket) -> Vec<(Place, Result<[u8; 32], LogProblem>)> {
    let logs = bucket.objects.iter().filter(|((_, key), _)| !is_digest(key));
    logs.map(|((at, key), bytes)| {
        (Place::new(at, key), logs::content_sha256(bytes.as_slice(), &Limits::default()))
    })
    .collect()
}

/// How many log files large tests have: some hundreds; 10,000 with `REMIT_DIGEST_LOGS=10000`.
fn logs_wanted() -> u32 {
    std::env::var("REMIT_DIGEST_LOGS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// Verifies all that is in a bucket.
fn told(bucket: &Bucket) -> Told {
    told_with(bucket, &keys(), None)
}

fn told_with(bucket: &Bucket, keys: &KeyRing, since: Option<DateTime<Utc>>) -> Told {
    let linked = link(verified(bucket, keys), since);
    let judged = logs::judge(&linked, contents(bucket));
    let mut codes: Vec<_> = linked.problems.iter().map(|(_, problem)| problem.code()).collect();
    codes.extend(judged.problems.iter().map(|(_, problem)| problem.code()));
    let gaps = linked.gaps.iter().filter(|gap| !gap.is_backfilled).chain(&judged.silent);
    Told {
        digests: (linked.hours.len(), linked.problems.len()),
        logs: (judged.valid, judged.problems.len()),
        codes,
        gaps: gaps.map(|gap| gap.kind.as_str()).collect(),
        notes: judged.notes.iter().map(|(_, note)| note.as_str()).collect(),
    }
}
