//! What the ledger has to say, as findings.

use crate::finding::{Finding, FindingState, Sample, Severity};
use crate::time;

/// The detection that tells of logs that are missing, forged or unsigned.
pub const DETECTION: &str = "LG02";
/// Its family.
pub const FAMILY: &str = "logging";

/// Names shown in one finding.
const SHOWN_MAX: usize = 3;

/// What a finding of the ledger is made of.
struct Told<'a> {
    account: &'a str,
    region: &'a str,
    subject: String,
    severity: Severity,
    title: String,
    why: String,
    count: i64,
    places: Vec<String>,
}

fn finding(told: Told<'_>, seen: (i64, i64)) -> Finding {
    let actor = if told.account.is_empty() { "unknown account" } else { told.account };
    let sample = Sample {
        service: "cloudtrail.amazonaws.com".to_owned(),
        resources: told.places,
        outcome: "unknown".to_owned(),
        account: (!told.account.is_empty()).then(|| told.account.to_owned()),
        region: (!told.region.is_empty()).then(|| told.region.to_owned()),
        ..Sample::default()
    };
    Finding {
        id: Finding::id_of(DETECTION, None, actor, &told.subject, 0),
        detection: DETECTION.to_owned(),
        family: FAMILY.to_owned(),
        severity: told.severity,
        state: FindingState::Open,
        agent: None,
        actor: actor.to_owned(),
        subject: told.subject,
        window_start: 0,
        title: told.title,
        why: told.why,
        first_seen: seen.0,
        last_seen: seen.1,
        count: told.count,
        events: Vec::new(),
        frameworks: ["AAI011", "MAESTRO-L5", "NIST-MS2.4", "T1562.008", "T1565.001"]
            .map(str::to_owned)
            .to_vec(),
        sample,
        incident: None,
        close_reason: None,
        note: None,
        by: None,
    }
}

/// Log files of one account, region and hour with which one thing is wrong.
pub(crate) struct WrongFiles {
    pub account: String,
    pub region: String,
    pub hour: i64,
    pub code: String,
    pub count: i64,
    /// The first of them.
    pub places: Vec<String>,
    pub first_at: i64,
    pub last_at: i64,
}

pub(crate) fn file_finding(wrong: &WrongFiles) -> Finding {
    let (severity, what, why) = match wrong.code.as_str() {
        "missing" => (
            Severity::Medium,
            "delivered, and not read yet",
            "a digest or a listing names them; they are fetched again and again",
        ),
        "deleted_before_ingest" => (
            Severity::High,
            "gone, and never read",
            "they were delivered, and deleted before they were read: a lifecycle rule, or somebody who hides what is in them",
        ),
        "log_unattested" => (
            Severity::High,
            "listed by no digest",
            "the digests of that time are there and valid: forged, or of a trail without validation. What was found in these files may not have happened",
        ),
        "log_hash" => (
            Severity::High,
            "not the content that CloudTrail signed for",
            "somebody edited them after they were delivered",
        ),
        "log_overwritten" => (
            Severity::High,
            "read with two contents",
            "CloudTrail never writes a log file twice: somebody overwrote them",
        ),
        "log_conflict" => (
            Severity::High,
            "listed by two digests with two hashes",
            "one of the two is not what was delivered",
        ),
        "log_foreign" => (
            Severity::High,
            "listed by the digest of another account or region",
            "digests list what lies on their own shelf",
        ),
        "gzip_trailing" => (
            Severity::High,
            "bytes behind the gzip member",
            "the hash that CloudTrail signs covers the first member alone: somebody added to the files (https://github.com/aws/aws-cli/issues/10326)",
        ),
        _ => {
            (Severity::High, "damaged", "they are not what CloudTrail writes, and nothing in them was judged")
        }
    };
    let WrongFiles { account, region, hour, code, count, places, .. } = wrong;
    let at = if *hour == 0 { "an unknown hour".to_owned() } else { time::rfc3339(*hour) };
    let whose = if account.is_empty() {
        "an account that the name does not say".to_owned()
    } else {
        format!("{account} in {region}")
    };
    let shown: Vec<&str> = places.iter().take(SHOWN_MAX).map(String::as_str).collect();
    let more = if *count as usize > shown.len() { ", ..." } else { "" };
    finding(
        Told {
            account,
            region,
            subject: format!("{code} {account}/{region} {at}"),
            severity,
            title: format!("{what}: {count} log file{} of {whose}", if *count == 1 { "" } else { "s" }),
            why: format!("{why}. Delivered in the hour of {at}: {}{more}", shown.join(", ")),
            count: *count,
            places: places.clone(),
        },
        (wrong.first_at, wrong.last_at),
    )
}

/// A digest that proves nothing.
pub(crate) struct WrongDigest {
    pub account: String,
    pub region: String,
    pub place: String,
    pub code: String,
    pub text: String,
    pub detail: Option<String>,
    pub first_at: i64,
}

pub(crate) fn digest_finding(wrong: &WrongDigest) -> Finding {
    let WrongDigest { account, region, place, code, text, detail, first_at } = wrong;
    // Without its key a digest may still be good: somebody has to give it.
    let severity = if code.starts_with("key_") { Severity::Medium } else { Severity::High };
    let whose = if account.is_empty() { String::new() } else { format!(" of {account} in {region}") };
    let detail = detail.as_ref().map_or_else(String::new, |detail| format!(" ({detail})"));
    finding(
        Told {
            account,
            region,
            subject: format!("{code} {place}"),
            severity,
            title: format!("a digest{whose} proves nothing: {text}"),
            why: format!("{text}{detail}: {place}. The log files of its hour are attested by nobody"),
            count: 1,
            places: vec![place.clone()],
        },
        (*first_at, *first_at),
    )
}

/// A time that no digest covers.
pub(crate) struct ToldGap {
    pub account: String,
    pub region: String,
    pub chain: String,
    pub kind: String,
    pub from: Option<i64>,
    pub to: i64,
    pub first_at: i64,
}

pub(crate) fn gap_finding(gap: &ToldGap) -> Finding {
    let ToldGap { account, region, chain, kind, from, to, first_at } = gap;
    let (severity, why) = match kind.as_str() {
        "restart" => (
            Severity::Medium,
            "logging or validation was off, or the trail was made anew: what was called meanwhile may not be in any log",
        ),
        "missing" => (Severity::High, "a digest that the next one names is not there: somebody deleted it"),
        _ => (Severity::High, "no digest is for that time"),
    };
    let from_text = from.map_or_else(|| "its beginning".to_owned(), time::rfc3339);
    let to_text = time::rfc3339(*to);
    finding(
        Told {
            account,
            region,
            subject: format!("gap_{kind} {chain} {from_text} {to_text}"),
            severity,
            title: format!("nobody signed for the logs of {chain} from {from_text} to {to_text}"),
            why: why.to_owned(),
            count: 1,
            places: Vec::new(),
        },
        (*first_at, *first_at),
    )
}

/// Whether a finding says that a chain went silent.
#[must_use]
pub fn is_silence(finding: &Finding) -> bool {
    finding.detection == DETECTION && finding.subject.starts_with("gap_silent ")
}

/// A chain whose digests no longer come.
pub(crate) struct SilentChain {
    pub account: String,
    pub region: String,
    pub chain: String,
    pub since: i64,
    pub told_at: i64,
}

pub(crate) fn silent_finding(silent: &SilentChain) -> Finding {
    let SilentChain { account, region, chain, since, told_at } = silent;
    let since_text = time::rfc3339(*since);
    finding(
        Told {
            account,
            region,
            subject: format!("gap_silent {chain} {since_text}"),
            severity: Severity::High,
            title: format!("no digest of {chain} since {since_text}"),
            why: "CloudTrail delivers a digest each hour, even where nothing was called: logging or validation is off, the newest digests were deleted, or they no longer reach the bucket".to_owned(),
            count: 1,
            places: Vec::new(),
        },
        (*told_at, *told_at),
    )
}
