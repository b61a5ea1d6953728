//! `remit backfill`: events that CloudTrail still remembers, written as log files.

use crate::cli::BackfillArgs;
use crate::exit::{Exit, Usage};
use crate::screen;
use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use engine::ledger::LOOKED_UP;
use engine::time::{self, DAY, HOUR};
use flate2::Compression;
use flate2::write::GzEncoder;
use ingest::lookup_events::Lookup;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// How long CloudTrail remembers.
const REMEMBERED: i64 = 90 * DAY;
/// Events come so late; an hour that is younger is asked for again.
const LATE: i64 = HOUR;
/// Events of one file.
const FILE_EVENTS_MAX: usize = 10_000;
/// Who has no profile has one account: the environment's.
const DEFAULT_PROFILE: &str = "default";

#[derive(Default)]
struct Written {
    events: u64,
    hours: u64,
    known: u64,
}

pub async fn run(args: BackfillArgs) -> anyhow::Result<Exit> {
    let now = time::now();
    let to = args.to.unwrap_or(now).min(now);
    if args.from >= to {
        return Err(Usage::error("`--from` must be before `--to`, and not in the future"));
    }
    for name in args.regions.iter().chain(&args.profile) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_name) {
            return Err(Usage::error(format!(
                "`{name}` is no region or profile; it becomes the name of a folder"
            )));
        }
    }
    let from = args.from.max(now - REMEMBERED);
    if from > args.from {
        warn!("CloudTrail remembers 90 days; nothing before {} can be looked up", time::rfc3339(from));
    }
    let whose = args.profile.as_deref().unwrap_or(DEFAULT_PROFILE);
    let mut written = Written::default();
    for region in &args.regions {
        let folder = args.into.join(LOOKED_UP).join(whose).join(region);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let mut lookup = Lookup::open(region, args.profile.as_deref(), args.endpoint_url.as_deref()).await;
        // The newest first: what is forgotten soonest is not what matters most.
        let mut hour = (to - 1).div_euclid(HOUR) * HOUR;
        while hour + HOUR > from {
            let (begin, end) = (hour.max(from), (hour + HOUR).min(to));
            one_hour(&mut lookup, &folder, (begin, end), now, &mut written).await?;
            hour -= HOUR;
        }
        info!(region, events = written.events, "looked up");
    }
    let Written { events, hours, known } = written;
    screen::out(&format!(
        "{events} events of {hours} hours under {}; {known} hours were there before\n",
        args.into.join(LOOKED_UP).display()
    ))?;
    Ok(Exit::Done)
}

/// Looks up an hour, if it is not there in whole.
async fn one_hour(
    lookup: &mut Lookup,
    folder: &Path,
    (begin, end): (i64, i64),
    now: i64,
    written: &mut Written,
) -> anyhow::Result<()> {
    let at = |micros: i64| DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    let name = at(begin).format("%Y%m%dT%H%M%SZ").to_string();
    let is_whole = begin % HOUR == 0 && end == begin + HOUR && end + LATE < now;
    let done = folder.join(format!("{name}.done"));
    if is_whole && done.exists() {
        written.known += 1;
        return Ok(());
    }
    let mut pages = lookup.events(at(begin), at(end) - TimeDelta::seconds(1));
    let mut events: Vec<String> = Vec::new();
    let mut part = 0;
    loop {
        let page = pages.next().await?;
        let is_end = page.is_none();
        events.extend(page.unwrap_or_default());
        if events.len() >= FILE_EVENTS_MAX || (is_end && !events.is_empty()) {
            write(&folder.join(format!("{name}_{part:04}.json.gz")), &events)?;
            written.events += events.len() as u64;
            events.clear();
            part += 1;
        }
        if is_end {
            break;
        }
    }
    written.hours += 1;
    if is_whole {
        fs::write(&done, "").with_context(|| format!("cannot write `{}`", done.display()))?;
    }
    Ok(())
}

/// A log file as a trail writes it, there at once or not at all.
fn write(path: &Path, events: &[String]) -> anyhow::Result<()> {
    let mut unfinished = PathBuf::from(path);
    unfinished.set_extension("part");
    let put = || -> std::io::Result<()> {
        let mut file = GzEncoder::new(fs::File::create(&unfinished)?, Compression::default());
        file.write_all(b"{\"Records\":[")?;
        for (at, event) in events.iter().enumerate() {
            if at > 0 {
                file.write_all(b",")?;
            }
            file.write_all(event.as_bytes())?;
        }
        file.write_all(b"]}")?;
        file.finish()?.sync_all()?;
        fs::rename(&unfinished, path)
    };
    put().with_context(|| format!("cannot write `{}`", path.display()))
}
