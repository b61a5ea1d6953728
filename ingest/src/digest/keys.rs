//! CloudTrail's public keys: by fingerprint, region and time.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use md5::{Digest, Md5};
use serde::Deserialize;

use super::document::shortened;
use super::problem::DigestProblem;
use crate::fingerprint::hex;

/// Most keys at once: a region has a new one every few weeks.
pub const KEYS_MAX: usize = 50_000;
const KEY_BYTES_MAX: usize = 8 << 10;

/// A key as `ListPublicKeys` gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The region that it signs for; none where nobody said: then it is taken for any.
    pub region: Option<String>,
    /// MD5 of [`PublicKey::der`], in hexadecimal. Undocumented, but so for each key in the documentation.
    pub fingerprint: String,
    /// The key in DER: PKCS#1 `RSAPublicKey`, or X.509 `SubjectPublicKeyInfo`.
    pub der: Vec<u8>,
    /// From when on it is valid.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// Keys to verify with.
#[derive(Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, Vec<Entry>>,
    count: usize,
}

#[derive(Debug)]
struct Entry {
    region: Option<String>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Why it cannot be used, otherwise
    key: Result<ParsedPublicKey, String>,
}

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not the JSON that `aws cloudtrail list-public-keys` prints.
    #[error("the keys are not as `aws cloudtrail list-public-keys` prints them: {0}")]
    Format(String),
    /// Too many.
    #[error("more than {KEYS_MAX} keys; give those of the time in question")]
    TooMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Whole {
        #[serde(rename = "PublicKeyList")]
        keys: Vec<ListedKey>,
    },
    Bare(Vec<ListedKey>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedKey {
    fingerprint: String,
    value: String,
    validity_start_time: ListedTime,
    validity_end_time: ListedTime,
    /// Not of AWS: for files that hold the keys of several regions
    region: Option<String>,
}

/// aws-cli prints ISO 8601, older versions and the service itself seconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum ListedTime {
    Text(String),
    Seconds(f64),
}

impl ListedTime {
    fn read(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Text(text) => {
                DateTime::parse_from_rfc3339(text.get(..40.min(text.len()))?).ok().map(|time| time.to_utc())
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and a time that far away is none"
            )]
            Self::Seconds(seconds) => DateTime::from_timestamp_millis((seconds * 1000.0) as i64),
        }
    }
}

impl KeyRing {
    /// Reads what `aws cloudtrail list-public-keys` prints; each key may have a `Region` besides.
    ///
    /// # Errors
    /// It is something else. A key that cannot be used is kept as such, for the digests that name it.
    pub fn parse(json: &[u8]) -> Result<Self, KeysError> {
        let mut ring = Self::default();
        for key in Self::list(json)? {
            ring.add(key)?;
        }
        Ok(ring)
    }

    /// The keys that [`KeyRing::parse`] reads.
    ///
    /// # Errors
    /// As there.
    pub fn list(json: &[u8]) -> Result<Vec<PublicKey>, KeysError> {
        let listed: Listed =
            serde_json::from_slice(json).map_err(|error| KeysError::Format(error.to_string()))?;
        let (Listed::Whole { keys } | Listed::Bare(keys)) = listed;
        if keys.len() > KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let mut list = Vec::with_capacity(keys.len());
        for key in keys {
            let time = |time: &ListedTime| {
                let what = || format!("the key {} has no validity", shortened(&key.fingerprint));
                time.read().ok_or_else(|| KeysError::Format(what()))
            };
            let (from, until) = (time(&key.validity_start_time)?, time(&key.validity_end_time)?);
            // What is no base64 has no bytes, so its fingerprint will not hold.
            let der = STANDARD.decode(&key.value).unwrap_or_default();
            list.push(PublicKey { region: key.region, fingerprint: key.fingerprint, der, from, until });
        }
        Ok(list)
    }

    /// The keys as [`KeyRing::parse`] reads them.
    pub fn listed(keys: &[PublicKey]) -> serde_json::Value {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let listed = keys.iter().map(|key| {
            serde_json::json!({
                "Fingerprint": key.fingerprint,
                "Value": STANDARD.encode(&key.der),
                "ValidityStartTime": time(key.from),
                "ValidityEndTime": time(key.until),
                "Region": key.region,
            })
        });
        serde_json::json!({ "PublicKeyList": listed.collect::<Vec<_>>() })
    }

    /// Adds a key. One that cannot be used is kept as such.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, key: PublicKey) -> Result<(), KeysError> {
        if self.count >= KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        self.count += 1;
        let entry = Entry {
            region: key.region,
            from: key.from,
            until: key.until,
            key: usable(&key.der, &key.fingerprint),
        };
        self.keys.entry(key.fingerprint).or_default().push(entry);
        Ok(())
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The key with this fingerprint that `region` signed with at some time from `from` to `until`.
    pub(super) fn select(
        &self,
        fingerprint: &str,
        region: &str,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<&ParsedPublicKey, DigestProblem> {
        let named = self.keys.get(fingerprint).map(Vec::as_slice).unwrap_or_default();
        let mut late = None;
        for entry in named {
            if entry.region.as_deref().is_some_and(|of| of != region) {
                continue;
            }
            if entry.until < from || until < entry.from {
                late = Some(entry);
                continue;
            }
            return entry.key.as_ref().map_err(|cause| DigestProblem::KeyUnusable {
                fingerprint: fingerprint.to_owned(),
                cause: cause.clone(),
            });
        }
        let fingerprint = fingerprint.to_owned();
        Err(match late {
            Some(entry) => DigestProblem::KeyNotValid { fingerprint, from: entry.from, until: entry.until },
            None => DigestProblem::KeyUnknown { fingerprint, region: region.to_owned() },
        })
    }
}

fn usable(der: &[u8], fingerprint: &str) -> Result<ParsedPublicKey, String> {
    if der.is_empty() || der.len() > KEY_BYTES_MAX {
        return Err("its value is no base64 of a key".to_owned());
    }
    if hex(&Md5::digest(der)) != fingerprint {
        return Err("its value has another fingerprint".to_owned());
    }
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der)
        .map_err(|_| "its value is no RSA key in PKCS#1 or X.509".to_owned())
}
