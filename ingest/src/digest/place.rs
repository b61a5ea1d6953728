//! Where CloudTrail puts digests and log files, and what the names say.
//!
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html>

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// S3's own limit on keys: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
pub(super) const KEY_BYTES_MAX: usize = 1024;
/// S3's own limit on names of buckets, with what old buckets in us-east-1 may have.
pub(super) const BUCKET_BYTES_MAX: usize = 255;

/// A bucket and a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

impl Place {
    /// A place.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// What the key says, if it is named as CloudTrail names digests.
    pub fn digest_name(&self) -> Option<DigestName> {
        DigestName::parse(&self.key)
    }

    /// What the key says, if it is named as CloudTrail names log files.
    pub fn log_name(&self) -> Option<LogName> {
        LogName::parse(&self.key)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Whose digests follow each other: one chain for each account, region and trail. A trail may move to another bucket or
/// prefix in the midst of its chain, so these are no part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainId {
    /// The organization whose trail it is: `o-...`; none for a trail of one account.
    pub organization: Option<String>,
    /// The account whose calls are logged: twelve digits.
    pub account: String,
    /// The region whose calls are logged.
    pub region: String,
    /// The trail's name.
    pub trail: String,
    /// The region that the trail was made in.
    pub home_region: String,
    /// Whether it is the chain of digests that were made later than their hour.
    pub backfill: bool,
}

impl ChainId {
    /// The same trail as it was before it became an organization's.
    #[must_use]
    pub fn without_organization(&self) -> Self {
        Self { organization: None, ..self.clone() }
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(organization) = &self.organization {
            write!(out, "{organization}/")?;
        }
        write!(out, "{}/{}/{}", self.account, self.region, self.trail)?;
        if self.home_region != self.region {
            write!(out, " (of {})", self.home_region)?;
        }
        if self.backfill {
            write!(out, " (backfill)")?;
        }
        Ok(())
    }
}

/// Where the log files of an account and region lie; several trails may share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shelf {
    /// What is before `AWSLogs`, without its slash; often empty.
    pub prefix: String,
    /// The organization, where its trail logs.
    pub organization: Option<String>,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
}

impl Shelf {
    /// The shelf of a log file, or of what lies among them under any name.
    pub fn of_log(key: &str) -> Option<Self> {
        split(key, "CloudTrail").map(|(shelf, ..)| shelf)
    }

    /// The day that the folder of a log file stands for, whatever the file is called.
    pub fn day_of_log(key: &str) -> Option<NaiveDate> {
        let (_, [year, month, day], _) = split(key, "CloudTrail")?;
        NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }
}

/// What a digest's key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestName {
    /// Its chain.
    pub chain: ChainId,
    /// Where its trail's files lie.
    pub shelf: Shelf,
    /// When its hour ends.
    pub end: DateTime<Utc>,
}

impl DigestName {
    /// `[prefix/]AWSLogs/[o-id/]account/CloudTrail-Digest/region/Y/M/D/` and
    /// `account_CloudTrail-Digest_region_trail_home-region_20260105T110000Z[_backfill].json.gz`.
    pub fn parse(key: &str) -> Option<Self> {
        let (shelf, date, file) = split(key, "CloudTrail-Digest")?;
        let rest = named_for(file, &shelf, "CloudTrail-Digest")?;
        let (rest, backfill) = match rest.strip_suffix("_backfill") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rest, time) = rest.rsplit_once('_')?;
        // A trail's name may have underscores, a region's has none.
        let (trail, home_region) = rest.rsplit_once('_')?;
        if !is_trail(trail) || !is_region(home_region) {
            return None;
        }
        let end = at(time, "%Y%m%dT%H%M%SZ", "20260105T110000Z".len())?;
        if !is_on(date, end) {
            return None;
        }
        let chain = ChainId {
            organization: shelf.organization.clone(),
            account: shelf.account.clone(),
            region: shelf.region.clone(),
            trail: trail.to_owned(),
            home_region: home_region.to_owned(),
            backfill,
        };
        Some(Self { chain, shelf, end })
    }
}

/// What a log file's key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogName {
    /// Where it lies.
    pub shelf: Shelf,
    /// The minute that it was delivered in.
    pub delivered: DateTime<Utc>,
}

impl LogName {
    /// `[prefix/]AWSLogs/[o-id/]account/CloudTrail/region/Y/M/D/account_CloudTrail_region_20260105T1030Z_unique.json.gz`.
    pub fn parse(key: &str) -> Option<Self> {
        let (shelf, date, file) = split(key, "CloudTrail")?;
        let (time, unique) = named_for(file, &shelf, "CloudTrail")?.split_once('_')?;
        if unique.is_empty() {
            return None;
        }
        let delivered = at(time, "%Y%m%dT%H%MZ", "20260105T1030Z".len())?;
        is_on(date, delivered).then_some(Self { shelf, delivered })
    }
}

type Date<'a> = [&'a str; 3];

/// The shelf, the date and the file's name of a key below the folder `kind`.
fn split<'a>(key: &'a str, kind: &str) -> Option<(Shelf, Date<'a>, &'a str)> {
    if key.len() > KEY_BYTES_MAX {
        return None;
    }
    let mut backwards = key.rsplit('/');
    let mut next = || backwards.next();
    let (file, day, month, year) = (next()?, next()?, next()?, next()?);
    let (region, found, account, mut above) = (next()?, next()?, next()?, next()?);
    if found != kind || !is_account(account) || !is_region(region) {
        return None;
    }
    let organization = is_organization(above).then(|| above.to_owned());
    if organization.is_some() {
        above = next()?;
    }
    if above != "AWSLogs" {
        return None;
    }
    let mut prefix: Vec<&str> = backwards.collect();
    prefix.reverse();
    let shelf = Shelf {
        prefix: prefix.join("/"),
        organization,
        account: account.to_owned(),
        region: region.to_owned(),
    };
    Some((shelf, [year, month, day], file))
}

/// What follows the account, the kind and the region in a file's name: they are in the folders too and must agree.
fn named_for<'a>(file: &'a str, shelf: &Shelf, kind: &str) -> Option<&'a str> {
    let mut rest = file.strip_suffix(".json.gz")?;
    for part in [&shelf.account, kind, &shelf.region] {
        rest = rest.strip_prefix(part)?.strip_prefix('_')?;
    }
    Some(rest)
}

fn at(text: &str, form: &str, length: usize) -> Option<DateTime<Utc>> {
    if text.len() != length {
        return None;
    }
    NaiveDateTime::parse_from_str(text, form).ok().map(|time| time.and_utc())
}

fn is_on([year, month, day]: Date<'_>, time: DateTime<Utc>) -> bool {
    let is = |text: &str, digits: usize, number: u32| text.len() == digits && text.parse() == Ok(number);
    u32::try_from(time.year()).is_ok_and(|number| is(year, 4, number))
        && is(month, 2, time.month())
        && is(day, 2, time.day())
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `us-east-1`, `us-gov-west-1`. Strict, because a region becomes part of an address that keys are asked from.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let Some((number, words)) = parts.split_last() else { return false };
    text.len() <= 32
        && words.len() >= 2
        && words.iter().all(word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) fn is_organization(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.strip_prefix("o-").is_some_and(|id| (10..=32).contains(&id.len()) && id.bytes().all(is_part))
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html>
fn is_trail(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2026/01/05/111122223333_CloudTrail-Digest_us-east-2_my_trail_eu-west-1_20260105T110131Z.json.gz";
    const LOG: &str = "AWSLogs/111122223333/CloudTrail/us-east-2/2026/01/05/111122223333_CloudTrail_us-east-2_20260105T1055Z_Mu0KsOhtH1ar15ZZ.json.gz";

    #[test]
    fn a_digest_is_known_by_its_name() {
        let name = DigestName::parse(DIGEST).unwrap();
        assert_eq!(name.chain.to_string(), "111122223333/us-east-2/my_trail (of eu-west-1)");
        assert_eq!(name.end.to_rfc3339(), "2026-01-05T11:01:31+00:00");
        assert!(!name.chain.backfill);
        let backfill = DigestName::parse(&DIGEST.replace("Z.json", "Z_backfill.json")).unwrap();
        assert!(backfill.chain.backfill);
        assert_eq!((backfill.end, backfill.chain.trail), (name.end, name.chain.trail));
    }

    #[test]
    fn a_prefix_and_an_organization_stand_before_the_account() {
        let key = DIGEST.replace("AWSLogs/", "a/b/AWSLogs/o-abcdef1234/");
        let name = DigestName::parse(&key).unwrap();
        assert_eq!(name.shelf.prefix, "a/b");
        assert_eq!(name.chain.organization.as_deref(), Some("o-abcdef1234"));
        assert_eq!(name.shelf.account, "111122223333");
    }

    #[test]
    fn a_log_is_known_by_its_name_and_on_the_shelf_of_its_digest() {
        let log = LogName::parse(LOG).unwrap();
        assert_eq!(log.delivered.to_rfc3339(), "2026-01-05T10:55:00+00:00");
        assert_eq!(log.shelf, DigestName::parse(DIGEST).unwrap().shelf);
        assert_eq!(DigestName::parse(LOG), None);
        assert_eq!(LogName::parse(DIGEST), None);
    }

    #[test]
    fn a_name_that_disagrees_with_its_folders_is_none() {
        let changes = [
            ("/111122223333/", "/111122223334/"),
            ("/us-east-2/", "/us-east-1/"),
            ("/2026/01/05/", "/2026/01/06/"),
            ("/2026/01/05/", "/2026/1/05/"),
            ("CloudTrail-Digest/", "cloudtrail-digest/"),
            ("_CloudTrail-Digest_", "_cloudtrail-digest_"),
            ("T110131Z", "T110131"),
            ("T110131Z", "T250131Z"),
            ("eu-west-1", "EU-WEST-1"),
            ("_my_trail_", "_"),
            (".json.gz", ".json"),
            ("AWSLogs", "awslogs"),
        ];
        for (from, to) in changes {
            let key = DIGEST.replace(from, to);
            assert_ne!(key, DIGEST);
            assert_eq!(DigestName::parse(&key), None, "{key}");
        }
    }

    #[test]
    fn a_region_is_no_address() {
        for region in ["us-east-1", "us-gov-west-1", "cn-north-1", "ap-southeast-12"] {
            assert!(is_region(region), "{region}");
        }
        for region in
            ["", "-", "us", "us-east", "us-east-1.evil.example", "us-east-1/", "a@b-c-1", "us-east-123"]
        {
            assert!(!is_region(region), "{region}");
        }
    }
}
