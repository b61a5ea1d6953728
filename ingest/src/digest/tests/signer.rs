//! Signs digests as CloudTrail does, with keys made here, and keeps all in memory as a bucket would.
//!
//! Stands alone, so that stories may use it too.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::{Compression, write::GzEncoder};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

/// A key, made once for all tests of a process: making one takes a moment.
pub struct Signer {
    pair: KeyPair,
    /// As `ListPublicKeys` gives it.
    pub der: Vec<u8>,
    /// MD5 of it.
    pub fingerprint: String,
}

/// The keys that tests sign with; all but the last are told, one of them as X.509.
pub fn signer(number: usize) -> &'static Signer {
    static SIGNERS: OnceLock<[Signer; 3]> = OnceLock::new();
    let signers = SIGNERS.get_or_init(|| [Signer::new(false), Signer::new(true), Signer::new(false)]);
    &signers[number]
}

impl Signer {
    fn new(x509: bool) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let der = if x509 { public.as_der().unwrap().as_ref().to_vec() } else { public.as_ref().to_vec() };
        let fingerprint = hex(&Md5::digest(&der));
        Self { pair, der, fingerprint }
    }

    /// The signature of a text, in hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        hex(&signature)
    }

    /// One of `PublicKeyList`.
    pub fn listed(&self, from: &str, until: &str) -> Value {
        json!({
            "Fingerprint": self.fingerprint,
            "Value": STANDARD.encode(&self.der),
            "ValidityStartTime": from,
            "ValidityEndTime": until,
        })
    }
}

/// Keys of numbers 0 and 1 for the month, as a file.
pub fn public_keys() -> Value {
    let list: Vec<Value> =
        (0..2).map(|key| signer(key).listed("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")).collect();
    json!({ "PublicKeyList": list })
}

/// Objects by bucket and key; metadata of a digest beside it.
#[derive(Clone, Default)]
pub struct Bucket {
    /// The bytes as stored.
    pub objects: BTreeMap<(String, String), Vec<u8>>,
    /// `{"signature": ..., ...}`.
    pub metadata: BTreeMap<(String, String), Value>,
}

/// A trail in an account and region, whose digests are made one after the other.
#[derive(Clone)]
pub struct Trail {
    pub bucket: String,
    /// With its slash, or empty.
    pub prefix: String,
    /// `o-.../`, or empty.
    pub organization: String,
    pub account: String,
    pub region: String,
    pub name: String,
    pub home_region: String,
    pub backfill: bool,
    /// Which key signs.
    pub key: usize,
    /// When the next hour begins.
    pub now: DateTime<Utc>,
    /// The digest before the next one
    pub previous: Option<Sealed>,
    /// Log files so far
    pub serial: u32,
}

/// What the next digest says of this one.
#[derive(Clone)]
pub struct Sealed {
    pub bucket: String,
    pub key: String,
    pub hash: String,
    pub signature: String,
}

impl Trail {
    /// A trail of 111122223333 in eu-west-1 that begins at ten.
    pub fn new() -> Self {
        Self {
            bucket: "logs".to_owned(),
            prefix: String::new(),
            organization: String::new(),
            account: "111122223333".to_owned(),
            region: "eu-west-1".to_owned(),
            name: "main".to_owned(),
            home_region: "eu-west-1".to_owned(),
            backfill: false,
            key: 0,
            now: "2026-01-05T10:00:00Z".parse().unwrap(),
            previous: None,
            serial: 0,
        }
    }

    fn file(&self, kind: &str, at: DateTime<Utc>, name: &str) -> String {
        let Self { prefix, organization, account, region, .. } = self;
        let date = at.format("%Y/%m/%d");
        format!(
            "{prefix}AWSLogs/{organization}{account}/{kind}/{region}/{date}/{account}_{kind}_{region}_{name}.json.gz"
        )
    }

    /// The key of a digest that ends then.
    pub fn digest_key(&self, end: DateTime<Utc>) -> String {
        let suffix = if self.backfill { "_backfill" } else { "" };
        let time = end.format("%Y%m%dT%H%M%SZ");
        self.file("CloudTrail-Digest", end, &format!("{}_{}_{time}{suffix}", self.name, self.home_region))
    }

    /// The key of a log file that was delivered then.
    pub fn log_key(&self, at: DateTime<Utc>, unique: &str) -> String {
        self.file("CloudTrail", at, &format!("{}_{unique}", at.format("%Y%m%dT%H%MZ")))
    }

    /// Delivers a log file; its key and what a digest says of it.
    pub fn log(&mut self, into: &mut Bucket, at: DateTime<Utc>) -> Value {
        self.serial += 1;
        let serial = self.serial;
        let key = self.log_key(at, &format!("{serial:016X}"));
        let record = json!({"Records": [{"eventVersion": "1.11", "eventTime": at.to_rfc3339(), "eventID": serial,
            "awsRegion": self.region, "recipientAccountId": self.account, "eventName": "GetObject"}]});
        let plain = record.to_string();
        into.objects.insert((self.bucket.clone(), key.clone()), gzip(plain.as_bytes()));
        let seconds = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        json!({"s3Bucket": self.bucket, "s3Object": key, "hashValue": sha256(plain.as_bytes()), "hashAlgorithm": "SHA-256",
            "newestEventTime": seconds(at), "oldestEventTime": seconds(at - TimeDelta::minutes(5))})
    }

    /// One hour with so many log files, and its digest.
    pub fn hour(&mut self, into: &mut Bucket, logs: u32) -> Sealed {
        self.hour_but(into, logs, |_| {})
    }

    /// One hour whose digest is changed before it is signed.
    pub fn hour_but(&mut self, into: &mut Bucket, logs: u32, change: impl FnOnce(&mut Value)) -> Sealed {
        let (start, end) = (self.now, self.now + TimeDelta::hours(1));
        let step = TimeDelta::hours(1) / i32::try_from(logs + 1).unwrap();
        let listed =
            (1..=logs).map(|nth| self.log(into, start + step * i32::try_from(nth).unwrap())).collect();
        self.now = end;
        self.digest(into, start, end, listed, change)
    }

    /// A digest of any time.
    pub fn digest(
        &mut self,
        into: &mut Bucket,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        logs: Vec<Value>,
        change: impl FnOnce(&mut Value),
    ) -> Sealed {
        let seconds = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let key = self.digest_key(end);
        let signer = signer(self.key);
        let previous = self.previous.as_ref();
        let times = logs.first().map(|log| log["newestEventTime"].clone());
        let mut document = json!({
            "awsAccountId": self.account,
            "digestStartTime": seconds(start),
            "digestEndTime": seconds(end),
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": signer.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": times,
            "oldestEventTime": times,
            "previousDigestS3Bucket": previous.map(|previous| &previous.bucket),
            "previousDigestS3Object": previous.map(|previous| &previous.key),
            "previousDigestHashValue": previous.map(|previous| &previous.hash),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.map(|previous| &previous.signature),
            "logFiles": logs,
        });
        change(&mut document);
        let plain = document.to_string();
        let hash = sha256(plain.as_bytes());
        let text = |name: &str| document[name].as_str().unwrap_or("null").to_owned();
        let [ends, in_bucket, object, before] =
            ["digestEndTime", "digestS3Bucket", "digestS3Object", "previousDigestSignature"].map(text);
        let signature = signer.sign(&format!("{ends}\n{in_bucket}/{object}\n{hash}\n{before}"));
        let mut metadata = json!({ "signature": signature, "signature-algorithm": "SHA256withRSA" });
        if self.backfill {
            metadata["backfill-generation-timestamp"] = json!(seconds(end + TimeDelta::days(3)));
        }
        let place = (self.bucket.clone(), key.clone());
        into.objects.insert(place.clone(), gzip(plain.as_bytes()));
        into.metadata.insert(place, metadata);
        let sealed = Sealed { bucket: self.bucket.clone(), key, hash, signature };
        self.previous = Some(sealed.clone());
        sealed
    }

    /// The next digest is a starting digest.
    pub fn restart(&mut self) {
        self.previous = None;
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// One gzip member.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
