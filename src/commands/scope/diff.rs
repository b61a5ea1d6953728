//! `remit scope diff`: what a change of manifests widens, and what it narrows.

use crate::cli::{DiffArgs, DiffFailOn, Page};
use crate::exit::{Exit, Usage};
use crate::screen;
use chrono::Utc;
use engine::log_text::hides;
use engine::manifest::difference::{AgentChange, Change, Fate, difference};
use engine::manifest::history::{HistoryError, Snapshot, snapshot_at, snapshot_of};
use engine::permission;
use serde_json::json;
use std::fmt::Write;

/// Names that one line shows.
const SHOWN_MAX: usize = 12;

pub fn run(args: &DiffArgs) -> anyhow::Result<Exit> {
    let (before, after, from, to) = sides(args)?;
    let changes = difference(&before, &after);
    let is_wider = changes.iter().any(|change| !change.widened.is_empty());
    match args.output {
        Page::Table => screen::out(&table(&changes, &from, &to))?,
        Page::Json => {
            let value = json!({
                "schema_version": 1, "from": from, "to": to, "widened": is_wider, "agents": changes,
            });
            screen::out_json(&value, true)?;
        }
    }
    let fails = args.fail_on == Some(DiffFailOn::Widened) && is_wider;
    Ok(if fails { Exit::Findings } else { Exit::Done })
}

fn sides(args: &DiffArgs) -> anyhow::Result<(Snapshot, Snapshot, String, String)> {
    let now = Utc::now();
    if let (Some(from), Some(to)) = (&args.from, &args.to) {
        let before = snapshot_of(from, now).map_err(usage)?;
        let after = snapshot_of(to, now).map_err(usage)?;
        return Ok((before, after, from.display().to_string(), to.display().to_string()));
    }
    let revisions = args.revisions.as_deref().unwrap_or_default();
    let Some((from, to)) =
        revisions.split_once("..").filter(|(from, to)| !from.is_empty() && !to.starts_with('.'))
    else {
        return Err(Usage::error(format!(
            "`{revisions}` names no two revisions: write FROM..TO, for instance main..HEAD, or FROM.. for the folder as it is"
        )));
    };
    let before = snapshot_at(&args.dir, from, now).map_err(usage)?;
    let (after, to) = if to.is_empty() {
        (snapshot_of(&args.dir, now).map_err(usage)?, "the folder as it is".to_owned())
    } else {
        (snapshot_at(&args.dir, to, now).map_err(usage)?, to.to_owned())
    };
    Ok((before, after, from.to_owned(), to))
}

/// What git itself cannot do is no usage error.
fn usage(error: HistoryError) -> anyhow::Error {
    match error {
        HistoryError::NoGit(_) | HistoryError::Git { .. } => error.into(),
        other => Usage::error(other),
    }
}

fn table(changes: &[AgentChange], from: &str, to: &str) -> String {
    let mut text = String::new();
    if changes.is_empty() {
        return format!("{from} to {to}: no agent may do more or less\n");
    }
    for change in changes {
        let fate = match change.fate {
            Fate::Added => ", new",
            Fate::Removed => ", gone",
            Fate::Changed => "",
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{} ({}){fate}", change.agent, clean(&change.manifest));
        section(&mut text, "widened", "+", &change.widened);
        section(&mut text, "narrowed", "-", &change.narrowed);
        section(&mut text, "changed", "~", &change.other);
        if change.is_partial {
            text.push_str("  not every resource was compared: the manifest allows too many combinations\n");
        }
        text.push('\n');
    }
    let wider = changes.iter().filter(|change| !change.widened.is_empty()).count();
    let narrower = changes.iter().filter(|change| !change.narrowed.is_empty()).count();
    let _ =
        writeln!(text, "{from} to {to}: {wider} of the changed agents may do more, {narrower} may do less");
    text
}

fn section(text: &mut String, title: &str, sign: &str, changes: &[Change]) {
    for change in changes {
        let line = match change {
            Change::Permissions { permissions } => {
                format!("{}: {}", count(permissions.len()), names(permissions, true))
            }
            Change::Resources { permissions, resources, places } => {
                format!(
                    "{} on {} ({})",
                    names(permissions, false),
                    names(resources, false),
                    names(places, false)
                )
            }
            Change::Entry { kind, entry, place } => format!("{kind} {entry} ({place})"),
            Change::Condition { entry, place, keys } => {
                format!("the circumstances of {entry} ({place}): {}", names(keys, false))
            }
            Change::Key { key, before, after } => match (before.is_empty(), after.is_empty()) {
                (true, _) => format!("{key}: {}", names(after, false)),
                (_, true) => format!("{key}: without {}", names(before, false)),
                _ => format!("{key}: {} instead of {}", names(after, false), names(before, false)),
            },
        };
        let _ = writeln!(text, "  {title:<8} {sign} {}", clean(&line));
    }
}

fn count(permissions: usize) -> String {
    format!("{permissions} permission{}", if permissions == 1 { "" } else { "s" })
}

/// The first names; with `graded`, what each can do where that matters.
fn names<T: AsRef<str>>(all: &[T], graded: bool) -> String {
    let shown = |name: &T| {
        let name = name.as_ref();
        let grade = match permission::level(name) {
            _ if permission::is_destructive(name) => " (destroys)".to_owned(),
            Some(level) => format!(" ({})", level.as_str()),
            None => String::new(),
        };
        if graded { format!("{name}{grade}") } else { name.to_owned() }
    };
    let first: Vec<String> = all.iter().take(SHOWN_MAX).map(shown).collect();
    match all.len().saturating_sub(SHOWN_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Names in files are somebody else's text.
fn clean(text: &str) -> String {
    text.chars().map(|c| if hides(c) { '\u{fffd}' } else { c }).collect()
}
