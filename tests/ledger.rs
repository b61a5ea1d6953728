//! The ledger says the same in whatever order it is told, and what it says is what a look at the whole bucket says.

use crate::support::digests::{Bucket, Trail, gzip, public_keys};
use crate::support::runtime;
use engine::store::{
    Claim, Content, Durability, LedgerReport, LogRead, ObjectEnd, Patience, Store, Verified,
};
use engine::time::{DAY, HOUR, MINUTE};
use ingest::digest::logs::{content_sha256, judge};
use ingest::digest::{Digest, KeyRing, LogProblem, Metadata, Place, link};
use ingest::{Limits, ObjectRef, Quarantined, Redaction};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Some hours after the last digest of a scene.
const NOW: i64 = 1_767_700_000_000_000;
const GRACE: i64 = MINUTE;
const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];

/// How many scenes, each in several orders; more with `REMIT_LEDGER_SEEDS`.
fn seeds() -> u64 {
    std::env::var("REMIT_LEDGER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

fn is_log(key: &str) -> bool {
    !key.contains("CloudTrail-Digest")
}

fn keys() -> KeyRing {
    KeyRing::parse(public_keys().to_string().as_bytes()).unwrap()
}

/// Three accounts of six hours; of the first nothing is touched.
fn scene(dice: &mut ChaCha8Rng) -> (Bucket, Vec<String>) {
    let mut whole = Bucket::default();
    let mut done = Vec::new();
    for (number, account) in ACCOUNTS.into_iter().enumerate() {
        let mut bucket = Bucket::default();
        let mut trail = Trail { account: account.to_owned(), key: dice.random_range(0..2), ..Trail::new() };
        let restart = (number > 0 && dice.random_bool(0.2)).then(|| dice.random_range(1..6));
        for hour in 0..6 {
            if restart == Some(hour) {
                trail.restart();
                trail.now += chrono::TimeDelta::hours(dice.random_range(0..3));
                done.push(format!("restart {account}"));
            }
            let logs = dice.random_range(0..4);
            trail.hour(&mut bucket, logs);
        }
        for _ in 0..if number == 0 { 0 } else { dice.random_range(0..4) } {
            done.push(format!("{} {account}", tamper(&mut bucket, &mut trail, dice)));
        }
        whole.objects.extend(bucket.objects);
        whole.metadata.extend(bucket.metadata);
    }
    (whole, done)
}

/// Does something to a bucket; gives what.
fn tamper(bucket: &mut Bucket, trail: &mut Trail, dice: &mut ChaCha8Rng) -> &'static str {
    let names = |logs: bool| -> Vec<(String, String)> {
        bucket.objects.keys().filter(|(_, key)| is_log(key) == logs).cloned().collect()
    };
    let (logs, digests) = (names(true), names(false));
    let log = logs.choose(dice).cloned();
    let digest = digests.choose(dice).cloned().unwrap();
    match (dice.random_range(0..11), log) {
        (0, Some(log)) => {
            bucket.objects.remove(&log);
            "a log is gone"
        }
        (1, Some(log)) => {
            bucket.objects.insert(log, gzip(b"{\"Records\":[]}"));
            "a log is edited"
        }
        (2, Some(log)) => {
            bucket.objects.get_mut(&log).unwrap().extend(gzip(b"{}"));
            "a member is added"
        }
        (3, Some(log)) => {
            bucket.objects.insert(log, b"{\"Records\":[]}".to_vec());
            "a log is plain"
        }
        (4, Some(log)) => {
            let half = bucket.objects[&log].len() / 2;
            bucket.objects.get_mut(&log).unwrap().truncate(half);
            "a log is cut"
        }
        (5, _) => {
            bucket.objects.remove(&digest);
            "a digest is gone"
        }
        (6, _) => {
            bucket.objects.insert(digest, gzip(b"{}"));
            "a digest is emptied"
        }
        (7, _) => {
            bucket.metadata.get_mut(&digest).unwrap()["signature"] = "ab".repeat(256).into();
            "a signature is another"
        }
        (8, _) => {
            let other = digests.choose(dice).cloned().unwrap();
            let (bytes, metadata) = (bucket.objects[&digest].clone(), bucket.metadata[&digest].clone());
            bucket.objects.insert(other.clone(), bytes);
            bucket.metadata.insert(other, metadata);
            "a digest is replayed"
        }
        (9, _) => {
            bucket.metadata.remove(&digest);
            "a signature is gone"
        }
        _ => {
            let at = trail.now - chrono::TimeDelta::minutes(dice.random_range(10..400));
            trail.log(bucket, at);
            "a log is forged"
        }
    }
}

/// What the library says of a whole bucket: verdicts of files, what is wrong with digests, gaps.
#[derive(Debug, PartialEq, Eq, Default)]
struct Truth {
    verified: u64,
    files: BTreeMap<String, &'static str>,
    problems: BTreeSet<(String, String)>,
    gaps: BTreeSet<(String, String, i64)>,
}

fn truth(bucket: &Bucket) -> Truth {
    let mut truth = Truth::default();
    for account in ACCOUNTS {
        let of = |logs: bool| {
            let of_account = format!("/{account}/");
            bucket
                .objects
                .iter()
                .filter(move |((_, key), _)| key.contains(&of_account) && is_log(key) == logs)
        };
        let digests: Vec<_> = of(false)
            .map(|((at, key), bytes)| {
                let place = Place::new(at, key);
                let metadata = metadata(bucket, at, key);
                (place.clone(), Digest::verify(&place, bytes, &metadata, &keys()))
            })
            .collect();
        let begin = digests
            .iter()
            .filter_map(|(_, digest)| digest.as_ref().ok())
            .map(|digest| digest.hour.start)
            .min();
        let linked = link(digests, begin);
        let files = of(true).map(|((at, key), bytes)| {
            (Place::new(at, key), content_sha256(bytes.as_slice(), &Limits::default()))
        });
        let judged = judge(&linked, files.collect::<Vec<_>>());
        truth.verified += judged.valid;
        for (place, problem) in judged.problems {
            let verdict = match problem {
                LogProblem::NotFound { elsewhere } => {
                    // A copy of what is gone is a forgery too, where somebody should have signed it.
                    assert_eq!(elsewhere, None, "no scene moves a file");
                    "deleted_before_ingest"
                }
                LogProblem::Unattested | LogProblem::Copy(_) => "unattested",
                _ => "mismatch",
            };
            truth.files.insert(place.to_string(), verdict);
        }
        truth
            .problems
            .extend(linked.problems.iter().map(|(at, told)| (at.to_string(), told.code().to_owned())));
        truth.gaps.extend(
            linked
                .gaps
                .iter()
                .map(|gap| (gap.chain.to_string(), gap.kind.as_str().to_owned(), gap.to.timestamp_micros())),
        );
    }
    // What is damaged is told at once in the stream, whether or not a digest lists it.
    for ((at, key), bytes) in bucket.objects.iter().filter(|((_, key), _)| is_log(key)) {
        if content_sha256(bytes.as_slice(), &Limits::default()).is_err() {
            truth.files.insert(Place::new(at, key).to_string(), "mismatch");
        }
    }
    truth
}

fn metadata(bucket: &Bucket, at: &str, key: &str) -> Metadata {
    let found = bucket.metadata.get(&(at.to_owned(), key.to_owned()));
    found.map(|json| Metadata::parse(json.to_string().as_bytes()).unwrap()).unwrap_or_default()
}

/// A fact that reaches the ledger.
#[derive(Clone, Debug)]
enum Fact {
    Announced(Place),
    Listed(Place),
    Read(Place),
    /// Whatever waits is verified, linked and reckoned.
    Reckoned,
}

struct Ledger<'b> {
    store: Store,
    bucket: &'b Bucket,
    _dir: tempfile::TempDir,
}

impl Ledger<'_> {
    async fn open(bucket: &Bucket) -> Ledger<'_> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        Ledger { store, bucket, _dir: dir }
    }

    fn object(place: &Place) -> ObjectRef {
        ObjectRef {
            source: "trail".to_owned(),
            bucket: place.bucket.clone(),
            key: place.key.clone(),
            version: "v".to_owned(),
        }
    }

    async fn take(&self, fact: &Fact) {
        match fact {
            Fact::Announced(place) => self.store.announced(&[Self::object(place)], NOW).await.unwrap(),
            Fact::Listed(place) => {
                self.store.listed("trail", std::slice::from_ref(place), NOW, NOW).await.unwrap();
            }
            Fact::Read(place) => self.read(place).await,
            Fact::Reckoned => self.reckon(NOW).await,
        }
    }

    async fn read(&self, place: &Place) {
        let object = Self::object(place);
        let bytes = &self.bucket.objects[&(place.bucket.clone(), place.key.clone())];
        if !is_log(&place.key) {
            let metadata = metadata(self.bucket, &place.bucket, &place.key);
            return self.store.keep_digest(&object, bytes, &metadata, NOW).await.unwrap();
        }
        let content = match content_sha256(bytes.as_slice(), &Limits::default()) {
            Ok(hash) => Content::Sha256(hash.iter().map(|byte| format!("{byte:02x}")).collect()),
            Err(LogProblem::NotGzip) => Content::NotGzip,
            Err(problem) => {
                let claim = self.store.claim(&object.id(), "trail", "", HOUR, NOW).await.unwrap();
                if let Claim::Mine(claim) = claim {
                    let reason =
                        ingest::quarantine::reason::ALL.iter().find(|reason| **reason == problem.code());
                    let why = Quarantined::new(None, reason.unwrap(), "", b"", &Redaction::default());
                    self.store
                        .end_object(&claim, ObjectEnd::Quarantined, Some((&object, &why)), NOW)
                        .await
                        .unwrap();
                }
                return self.store.ended_before(&object, NOW).await.unwrap();
            }
        };
        self.store.log_read(&LogRead { object, content }, "sha256", NOW).await.unwrap();
    }

    async fn reckon(&self, now: i64) {
        let raw = self.store.unverified_digests(false, 1_000).await.unwrap();
        let verify = |raw: engine::store::RawDigest| {
            let outcome = Digest::verify(&raw.place, &raw.bytes, &raw.metadata, &keys());
            Verified { raw, outcome }
        };
        self.store.keep_verified(&raw.into_iter().map(verify).collect::<Vec<_>>()).await.unwrap();
        self.store.link_digests(now).await.unwrap();
        self.store.reckon(&Patience { now, grace: GRACE }).await.unwrap();
    }

    /// Looks for what is wanted until nothing is.
    async fn heal(&self) {
        for round in 1..100 {
            let now = NOW + HOUR * round;
            let wanted = self.store.wanted_files("trail", MINUTE, now, 1_000).await.unwrap();
            if wanted.is_empty() && round > 20 {
                return;
            }
            for file in wanted {
                let at = (file.place.bucket.clone(), file.place.key.clone());
                if self.bucket.objects.contains_key(&at) {
                    self.read(&file.place).await;
                } else {
                    self.store.gone("trail", &file.place, now).await.unwrap();
                }
            }
            self.reckon(now).await;
        }
    }

    async fn report(&self) -> LedgerReport {
        self.heal().await;
        self.reckon(NOW + 10 * DAY).await;
        self.store.ledger_report(0, NOW + 10 * DAY).await.unwrap()
    }
}

/// Every fact of a bucket, some told twice, some not at all: what is listed and lost is found.
fn facts(bucket: &Bucket, dice: &mut ChaCha8Rng) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, key) in bucket.objects.keys() {
        let place = Place::new(at, key);
        facts.push(Fact::Listed(place.clone()));
        if dice.random_bool(0.7) {
            facts.extend([Fact::Announced(place.clone()), Fact::Read(place.clone())]);
        }
        if dice.random_bool(0.1) {
            facts.extend([Fact::Announced(place.clone()), Fact::Read(place)]);
        }
    }
    facts.extend(std::iter::repeat_n(Fact::Reckoned, 5));
    facts.shuffle(dice);
    facts
}

fn told(report: &LedgerReport) -> Truth {
    Truth {
        verified: report.hours.iter().map(|line| line.verified as u64).sum(),
        files: report
            .files
            .iter()
            .map(|file| {
                let known = ["mismatch", "unattested", "deleted_before_ingest", "missing"];
                (file.place.clone(), *known.iter().find(|verdict| **verdict == file.verdict).unwrap())
            })
            .collect(),
        problems: report.problems.iter().map(|told| (told.place.clone(), told.code.clone())).collect(),
        gaps: report.gaps.iter().map(|gap| (gap.chain.clone(), gap.kind.clone(), gap.to)).collect(),
    }
}

#[test]
fn any_order_of_the_feeds_says_what_the_whole_bucket_says() {
    for seed in 0..seeds() {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (bucket, done) = scene(&mut dice);
        let truth = truth(&bucket);
        let mut first = None;
        for order in 0..3 {
            let facts = facts(&bucket, &mut dice);
            let (report, ids) = runtime().block_on(async {
                let ledger = Ledger::open(&bucket).await;
                for fact in &facts {
                    ledger.take(fact).await;
                }
                let report = ledger.report().await;
                let patience = Patience { now: NOW + 10 * DAY, grace: GRACE };
                let findings = ledger.store.ledger_findings(&patience).await.unwrap();
                let ids: BTreeSet<(String, i64)> =
                    findings.into_iter().map(|finding| (finding.id, finding.count)).collect();
                (report, ids)
            });
            let what = format!("seed {seed}, order {order}, done: {done:?}");
            assert_eq!(told(&report), truth, "{what}");
            assert!(
                report.hours.iter().all(|line| line.account != ACCOUNTS[0] || line.extra + line.missing == 0)
            );
            let sums: Vec<_> = report
                .hours
                .iter()
                .map(|line| (line.hour, line.expected, line.stored, line.verified))
                .collect();
            let chains = report.chains.clone();
            let all = (sums, chains, ids);
            assert_eq!(*first.get_or_insert(all.clone()), all, "{what}");
        }
    }
}

#[test]
fn what_is_rolled_up_is_counted_as_before() {
    let mut bucket = Bucket::default();
    let mut trail = Trail::new();
    for _ in 0..6 {
        trail.hour(&mut bucket, 3);
    }
    let (before, after) = runtime().block_on(async {
        let ledger = Ledger::open(&bucket).await;
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for fact in facts(&bucket, &mut dice) {
            ledger.take(&fact).await;
        }
        let before = ledger.report().await;
        ledger.store.roll_up_ledger(trail.now.timestamp_micros() - 2 * HOUR, 0).await.unwrap();
        ledger.store.roll_up_ledger(trail.now.timestamp_micros() - HOUR, 0).await.unwrap();
        (before, ledger.store.ledger_report(0, NOW).await.unwrap())
    });
    assert_eq!(before.hours.len(), 6);
    assert_eq!(before.hours, after.hours);
    assert_eq!(before.chains, after.chains);
}

#[test]
fn what_is_gone_is_looked_for_later_and_later() {
    let place = Place::new("logs", Trail::new().log_key(Trail::new().now, "x"));
    runtime().block_on(async {
        let bucket = Bucket::default();
        let ledger = Ledger::open(&bucket).await;
        let store = &ledger.store;
        store.listed("trail", std::slice::from_ref(&place), NOW, NOW).await.unwrap();
        let mut times = Vec::new();
        for second in 0..20_000 {
            let now = NOW + second * MINUTE / 6;
            if !store.wanted_files("trail", MINUTE, now, 10).await.unwrap().is_empty() {
                times.push(second / 6);
            }
            if times.len() == 6 {
                break;
            }
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 31], "minutes");
        assert!(store.wanted_files("other", MINUTE, NOW + DAY, 10).await.unwrap().is_empty());
    });
}
