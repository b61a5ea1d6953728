//! `remit quarantine`: what could not be read, and reading it after all.

use super::{attach, usage_if_not_found};
use crate::assembly;
use crate::cli::{Listing, QuarantineCommand, QuarantineListArgs, QuarantineReplayArgs};
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::pipeline::Pipeline;
use crate::readmission::Readmitter;
use crate::screen;
use alerts::text::plain;
use engine::lake::Lake;
use engine::store::{Durability, QuarantineFilter, QuarantineState, QuarantinedRow, Store, StoreError};
use engine::time::{self, rfc3339};
use ingest::source::Fetcher;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the store is asked what became of what is wanted.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const PLACE_MAX: usize = 300;
const TEXT_MAX: usize = 600;
const HEAD_MAX: usize = 2 * ingest::quarantine::HEAD_BYTES_MAX;

pub async fn run(command: QuarantineCommand) -> anyhow::Result<Exit> {
    match command {
        QuarantineCommand::List(args) => list(args).await,
        QuarantineCommand::Show { id, config, output } => {
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            let row = usage_if_not_found(store.quarantine_row(&id).await)?;
            match output {
                Listing::Table => screen::out(&detail(&row))?,
                Listing::Json | Listing::Ndjson => screen::out_json(&as_json(&row), output == Listing::Json)?,
            }
            Ok(Exit::Done)
        }
        QuarantineCommand::Replay(args) => replay(args).await,
        QuarantineCommand::Resolve { id, config, reason, by } => {
            if reason.trim().is_empty() {
                return Err(Usage::error("a row is resolved for a reason: --reason"));
            }
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            let why = format!("{by}: {reason}");
            usage_if_not_found(store.resolve_quarantined(&id, &why, time::now()).await)?;
            screen::out(&format!("{} is resolved\n", plain(&id, PLACE_MAX)))?;
            Ok(Exit::Done)
        }
    }
}

async fn list(args: QuarantineListArgs) -> anyhow::Result<Exit> {
    let store = attach(&Config::load(&args.config.config)?.store.path).await?;
    let filter = QuarantineFilter {
        states: args.state.into_iter().collect(),
        reason: args.reason,
        source: args.source,
        since: args.since.map(|since| time::now() - i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        limit: i64::from(args.limit),
    };
    print(&store.quarantine_rows(&filter).await?, args.output)?;
    Ok(Exit::Done)
}

async fn replay(args: QuarantineReplayArgs) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config.config)?;
    let store = attach(&config.store.path).await?;
    let rows = chosen(&store, &args).await?;
    let sources: BTreeSet<&str> = config.sources.iter().map(|source| source.name()).collect();
    let mut ids = Vec::new();
    let mut is_complete = true;
    for row in &rows {
        match cannot(row, &sources) {
            None => ids.push(row.id.as_str()),
            Some(why) => {
                is_complete = false;
                eprintln!("remit: {} cannot be read again: {why}", row.id);
            }
        }
    }
    store.want_back(&ids).await?;
    if !ids.is_empty() {
        match Store::open(&config.store.path, Durability::Full).await {
            Ok(own) => read_again(&config, own).await?,
            // A service runs on it, and reads again what is wanted.
            Err(StoreError::InUse { .. }) => wait(&store, &ids, args.wait).await?,
            Err(cause) => return Err(cause.into()),
        }
    }
    let mut ended = Vec::with_capacity(ids.len());
    for id in &ids {
        ended.push(store.quarantine_row(id).await?);
    }
    is_complete &= ended.iter().all(|row| row.state == QuarantineState::Replayed);
    if ended.iter().any(|row| row.state == QuarantineState::Wanted) {
        eprintln!(
            "remit: the service has not come to all of it; `remit quarantine list --state wanted` shows what it has left"
        );
    }
    print(&ended, args.output)?;
    Ok(if is_complete { Exit::Done } else { Exit::Incomplete })
}

async fn chosen(store: &Store, args: &QuarantineReplayArgs) -> anyhow::Result<Vec<QuarantinedRow>> {
    let mut rows = Vec::with_capacity(args.ids.len());
    for id in &args.ids {
        rows.push(usage_if_not_found(store.quarantine_row(id).await)?);
    }
    if args.ids.is_empty() {
        let states = vec![QuarantineState::Waiting, QuarantineState::Wanted];
        let filter = QuarantineFilter { states, reason: args.reason.clone(), ..QuarantineFilter::default() };
        rows = store.quarantine_rows(&filter).await?;
    }
    // Read already: there is nothing to do, and that is no failure.
    rows.retain(|row| row.state != QuarantineState::Replayed);
    Ok(rows)
}

fn cannot(row: &QuarantinedRow, sources: &BTreeSet<&str>) -> Option<String> {
    if !row.can_be_replayed() {
        return Some("where it lies was not kept; have it delivered again".to_owned());
    }
    if !sources.contains(row.source.as_str()) {
        return Some(format!("its source `{}` is not configured", plain(&row.source, PLACE_MAX)));
    }
    None
}

/// Does what the service would do.
async fn read_again(config: &Config, store: Store) -> anyhow::Result<()> {
    let (manifests, grants) =
        assembly::dated_scopes(config.scope.agents.as_deref(), config.scope.policies.as_deref())?;
    let detections = assembly::detections()?;
    let metrics = assembly::metrics(config, &detections, manifests.latest())?;
    let rules = assembly::rules(manifests, grants, &config.baseline, &store).await?;
    let alert_max_age = i64::try_from(config.alerts.alert_max_age.as_micros()).ok();
    let lake_metrics = Arc::new(metrics.lake());
    let (lake, committer) = Lake::open_if(&store, config.lake.config(&config.store.path)).await?;
    let pipeline = Arc::new(Pipeline::new(store, rules, metrics, &detections, alert_max_age, lake)?);
    for source in &config.sources {
        let fetcher = Fetcher::open(source, pipeline.limits()).await?;
        let readmitter = Readmitter { pipeline: pipeline.clone(), fetcher, source: source.name().to_owned() };
        readmitter.drain(&CancellationToken::new()).await?;
    }
    if let Some(committer) = committer {
        committer.run(lake_metrics, std::future::ready(())).await;
    }
    pipeline.store.close().await;
    Ok(())
}

async fn wait(store: &Store, ids: &[&str], longest: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        let states = vec![QuarantineState::Wanted];
        let wanted =
            store.quarantine_rows(&QuarantineFilter { states, ..QuarantineFilter::default() }).await?;
        if !wanted.iter().any(|row| ids.contains(&row.id.as_str())) || started.elapsed() > longest {
            return Ok(());
        }
        // A long list takes long to read, and the service needs the store too.
        tokio::time::sleep(LOOK_EVERY.max(asked.elapsed() * 5)).await;
    }
}

fn print(rows: &[QuarantinedRow], output: Listing) -> anyhow::Result<()> {
    match output {
        Listing::Table => screen::out(&table(rows)),
        Listing::Json => {
            let all: Vec<Value> = rows.iter().map(as_json).collect();
            screen::out_json(&json!({ "schema_version": 1, "quarantine": all }), true)
        }
        Listing::Ndjson => rows.iter().try_for_each(|row| screen::out_json(&as_json(row), false)),
    }
}

/// What of its object a row is about.
fn part(row: &QuarantinedRow) -> String {
    match (row.row, row.records) {
        (Some(at), _) => format!("record {at}"),
        (None, 1) => "all of it".to_owned(),
        (None, records) => format!("{records} records"),
    }
}

fn table(rows: &[QuarantinedRow]) -> String {
    if rows.is_empty() {
        return "Nothing in quarantine.\n".to_owned();
    }
    let mut out = format!("{:<32}  {:<20}  {:<8}  {:<18}  WHERE\n", "ID", "SINCE", "STATE", "REASON");
    for row in rows {
        let _ = writeln!(
            out,
            "{:<32}  {:<20}  {:<8}  {:<18}  {}, {}",
            row.id,
            moment(row.at),
            row.state.as_str(),
            plain(&row.reason, 40),
            plain(&row.place, PLACE_MAX),
            part(row)
        );
        let said = if row.outcome.is_empty() { &row.detail } else { &row.outcome };
        if !said.is_empty() {
            let _ = writeln!(out, "{:<32}  {}", "", plain(said, TEXT_MAX));
        }
    }
    out
}

fn detail(row: &QuarantinedRow) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "{label:<9}  {text}");
        }
    };
    line("id", &row.id);
    line("where", &format!("{}, {}", plain(&row.place, PLACE_MAX), part(row)));
    line("source", &plain(&row.source, PLACE_MAX));
    line("version", &row.pointer.as_ref().map(|p| plain(&p.version, PLACE_MAX)).unwrap_or_default());
    line("reason", &plain(&row.reason, 40));
    line("detail", &plain(&row.detail, TEXT_MAX));
    line("since", &moment(row.at));
    if row.seen > 1 {
        line("seen", &format!("{} times, last {}", row.seen, moment(row.last_seen)));
    }
    line("state", row.state.as_str());
    line("outcome", &plain(&row.outcome, TEXT_MAX));
    line("ended", &row.ended_at.map(moment).unwrap_or_default());
    if !row.head.is_empty() {
        let _ = writeln!(out, "\nits first bytes, secrets redacted; whoever wrote the log wrote them:\n");
        // A line break is the only character of it that may act, and it only ends a line of ours.
        for line in row.head.lines() {
            let _ = writeln!(out, "  {}", plain(line, HEAD_MAX));
        }
    }
    out
}

/// To the second.
fn moment(time: i64) -> String {
    rfc3339(time - time.rem_euclid(time::SECOND))
}

fn as_json(row: &QuarantinedRow) -> Value {
    json!({
        "id": row.id, "state": row.state.as_str(), "reason": row.reason, "detail": row.detail,
        "source": row.source, "place": row.place, "row": row.row, "records": row.records,
        "pointer": row.pointer.as_ref().map(|p| json!({"bucket": p.bucket, "key": p.key, "version": p.version})),
        "head": row.head, "at": rfc3339(row.at), "seen": row.seen, "last_seen": rfc3339(row.last_seen),
        "outcome": row.outcome, "ended_at": row.ended_at.map(rfc3339),
        "untrusted": ["detail", "place", "pointer", "head"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(head: &str) -> QuarantinedRow {
        QuarantinedRow {
            id: "0f".repeat(16),
            source: "trail".into(),
            place: "s3://logs/a\u{1b}]0;x\u{7}.json".into(),
            object: None,
            pointer: None,
            row: Some(3),
            records: 1,
            reason: "bad_json".into(),
            detail: "\u{202e}gone".into(),
            head: head.into(),
            at: 1_767_607_200_000_000,
            seen: 2,
            last_seen: 1_767_607_260_000_000,
            state: QuarantineState::Waiting,
            outcome: String::new(),
            ended_at: None,
        }
    }

    #[test]
    fn a_logs_text_moves_no_cursor() {
        let row = row("{\"a\":\"\u{1b}[2J\"}\r\n\u{9b}31m\u{200b}");
        for shown in [table(std::slice::from_ref(&row)), detail(&row)] {
            let is_plain = |c: char| c == '\n' || !c.is_control() && !matches!(c, '\u{202e}' | '\u{200b}');
            assert!(shown.chars().all(is_plain), "{shown:?}");
        }
    }

    #[test]
    fn what_has_no_way_back_is_said() {
        let known = BTreeSet::from(["trail"]);
        assert_eq!(cannot(&row("{}"), &known), None, "a message is read again from its text");
        assert!(cannot(&row(""), &known).unwrap().contains("not kept"));
        assert!(cannot(&row("{}"), &BTreeSet::new()).unwrap().contains("`trail` is not configured"));
    }
}
