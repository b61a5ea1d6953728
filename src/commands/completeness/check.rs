//! A report checked against a folder, without the store

use super::super::digest::{self, Verdict};
use super::report::shown;
use crate::cli::CompletenessOutput;
use crate::exit::{Exit, Usage};
use crate::screen;
use anyhow::Context;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use ingest::digest::KeyRing;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

const REPORT_BYTES_MAX: u64 = 512 << 20;
/// Differences that are shown.
const SHOWN_MAX: usize = 1_000;

/// What is read of a report; the rest of it is for people.
#[derive(Deserialize)]
struct Told {
    schema_version: u32,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    hours: Vec<ToldHour>,
    digests: Vec<ToldDigest>,
    public_keys: Value,
}

#[derive(Deserialize)]
struct ToldHour {
    level: i64,
    account: String,
    region: String,
    hour: DateTime<Utc>,
    expected: i64,
    verified: i64,
}

#[derive(Deserialize)]
struct ToldDigest {
    object: String,
    start: DateTime<Utc>,
    logs: i64,
    valid: bool,
}

type Hour = (String, String, DateTime<Utc>);

pub async fn run(file: &Path, root: &Path, output: CompletenessOutput) -> anyhow::Result<Exit> {
    let told = read(file)?;
    if told.schema_version != 1 {
        return Err(Usage::error(format!("`{}` is a report of another version of remit", file.display())));
    }
    let keys = KeyRing::parse(told.public_keys.to_string().as_bytes())
        .map_err(|error| Usage::error(format!("`{}`: {error}", file.display())))?;
    // What ended before the first digest of the report began is not missed.
    let since = told.digests.iter().map(|digest| digest.start).min().unwrap_or(told.from);
    let root = root.to_owned();
    let verdict = tokio::task::spawn_blocking(move || digest::verdict(&root, &keys, Some(since))).await??;
    let differences = differences(&told, &verdict);
    let digests = told.digests.iter().filter(|digest| digest.valid).count();
    match output {
        CompletenessOutput::Json => screen::out_json(
            &json!({
                "agrees": differences.is_empty(),
                "digests": digests,
                "differences": differences.iter().take(SHOWN_MAX).collect::<Vec<_>>(),
                "difference_count": differences.len(),
                "folder": verdict.to_json(),
            }),
            true,
        ),
        CompletenessOutput::Table => {
            let mut text = String::new();
            for difference in differences.iter().take(SHOWN_MAX) {
                // Writing to a text cannot fail.
                _ = writeln!(text, "DIFFERS {}", shown(difference));
            }
            let hours = told.hours.iter().filter(|hour| hour.level == 2).count();
            _ = writeln!(
                text,
                "{digests} digests and {hours} hours checked with the keys of the report; {} differences",
                differences.len()
            );
            screen::out(&text)
        }
    }?;
    Ok(if differences.is_empty() { Exit::Done } else { Exit::Findings })
}

fn read(file: &Path) -> anyhow::Result<Told> {
    let context = || format!("cannot read the report `{}`", file.display());
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .with_context(context)?
        .take(REPORT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    if bytes.len() as u64 > REPORT_BYTES_MAX {
        return Err(Usage::error(format!("`{}` has more than {REPORT_BYTES_MAX} bytes", file.display())));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Usage::error(format!(
            "`{}` is no report of `remit completeness --output json`: {error}",
            file.display()
        ))
    })
}

/// What the report says and the folder does not, or the other way round.
fn differences(told: &Told, verdict: &Verdict) -> Vec<String> {
    let mut differences = Vec::new();
    let listed: BTreeMap<String, &ToldDigest> = told
        .digests
        .iter()
        .filter(|digest| digest.valid)
        .map(|digest| (digest.object.clone(), digest))
        .collect();
    let bad: BTreeSet<_> = verdict.judged.problems.iter().map(|(place, _)| place).collect();
    let mut found: BTreeMap<Hour, (i64, i64)> = BTreeMap::new();
    let mut valid = BTreeSet::new();
    for (_, hour) in &verdict.linked.hours {
        let digest = hour.digest.to_string();
        let Some(told_digest) = listed.get(&digest) else { continue };
        if told_digest.logs != hour.logs.len() as i64 {
            let (told, found) = (told_digest.logs, hour.logs.len());
            differences.push(format!("{digest}: the report says {told} log files, the digest lists {found}"));
        }
        valid.insert(digest);
        for log in &hour.logs {
            let Some(name) = log.place.log_name() else { continue };
            let Ok(at) = name.delivered.duration_trunc(TimeDelta::hours(1)) else { continue };
            if at < told.from || at >= told.to {
                continue;
            }
            let counts = found.entry((name.shelf.account, name.shelf.region, at)).or_default();
            counts.0 += 1;
            counts.1 += i64::from(!bad.contains(&log.place));
        }
    }
    for digest in listed.keys().filter(|digest| !valid.contains(*digest)) {
        differences.push(format!("{digest}: valid by the report, and not in the folder"));
    }
    let mut claimed: BTreeMap<Hour, (i64, i64)> = BTreeMap::new();
    for hour in told.hours.iter().filter(|hour| hour.level == 2) {
        let key = (hour.account.clone(), hour.region.clone(), hour.hour);
        let counts = claimed.entry(key).or_default();
        counts.0 += hour.expected;
        counts.1 += hour.verified;
    }
    let hours: BTreeSet<&Hour> = claimed.keys().chain(found.keys()).collect();
    for hour in hours {
        let (claimed, found) =
            (claimed.get(hour).copied().unwrap_or_default(), found.get(hour).copied().unwrap_or_default());
        let (account, region, at) = hour;
        if claimed.0 != found.0 {
            differences.push(format!(
                "{account} {region} {at:?}: the report says {} log files expected, the digests list {}",
                claimed.0, found.0
            ));
        }
        if claimed.1 > found.1 {
            differences.push(format!(
                "{account} {region} {at:?}: the report says {} log files verified, in the folder {} are as signed",
                claimed.1, found.1
            ));
        }
    }
    differences
}
