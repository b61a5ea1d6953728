//! What is said in the end: for programs and for people.

use chrono::{DateTime, SecondsFormat, Utc};
use ingest::digest::chain::Gap;
use ingest::digest::logs::{JudgedLogs, LogNote};
use ingest::digest::{ChainId, Linked, Place};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

pub struct Verdict {
    pub linked: Linked,
    pub judged: JudgedLogs,
    /// Paths that could not be read, and why
    pub unread: Vec<(String, String)>,
}

/// What is proved of a chain.
struct Proved {
    from: DateTime<Utc>,
    through: DateTime<Utc>,
    digests: u64,
    logs: u64,
}

/// One line about something.
struct Said {
    object: String,
    reason: String,
    code: &'static str,
    detail: Option<String>,
}

impl Verdict {
    pub fn is_invalid(&self) -> bool {
        !self.linked.problems.is_empty() || !self.judged.problems.is_empty()
    }

    pub fn has_gaps(&self) -> bool {
        self.gaps().any(|gap| !gap.is_backfilled)
    }

    /// As `cli-contract.md` has it, and more.
    pub fn to_json(&self) -> Value {
        let problems = self.problems().map(|said| {
            json!({ "object": said.object, "reason": said.reason, "code": said.code, "detail": said.detail })
        });
        let notes = self.judged.notes.iter().map(
            |(place, note)| json!({ "object": place.to_string(), "note": note.text(), "code": note.as_str() }),
        );
        let chains = self.chains().into_iter().map(|(chain, proved)| {
            let Proved { from, through, digests, logs } = proved;
            let what =
                json!({ "from": time(from), "through": time(through), "digests": digests, "logs": logs });
            named(chain, what)
        });
        let gaps = self.gaps().map(|gap| {
            let what = json!({
                "kind": gap.kind.as_str(),
                "from": gap.from.map(time),
                "to": time(gap.to),
                "after": gap.after.as_ref().map(ToString::to_string),
                "before": gap.before.as_ref().map(ToString::to_string),
                "backfilled": gap.is_backfilled,
            });
            named(&gap.chain, what)
        });
        json!({
            "digests_valid": self.linked.hours.len(),
            "digests_invalid": self.linked.problems.len(),
            "logs_valid": self.judged.valid,
            "logs_invalid": self.judged.problems.len(),
            "gaps": self.gaps().filter(|gap| !gap.is_backfilled).count(),
            "problems": problems.collect::<Vec<_>>(),
            "gap_list": gaps.collect::<Vec<_>>(),
            "chains": chains.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
            "unread": self.unread.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect::<Vec<_>>(),
        })
    }

    pub fn to_text(&self, colour: bool) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let mut line = |line: String| _ = writeln!(text, "{line}");
        for (chain, proved) in self.chains() {
            let (from, through) = (time(proved.from), time(proved.through));
            let Proved { digests, logs, .. } = proved;
            line(format!("{chain}  {from} to {through}: {digests} digests, {logs} log files listed"));
        }
        for said in self.problems() {
            line(format!("{} {}", painted("INVALID", 31, colour), shown(&said.object)));
            line(format!("        {} [{}]", shown(&said.reason), said.code));
            if let Some(detail) = said.detail {
                line(format!("        {}", shown(&detail)));
            }
        }
        for gap in self.gaps() {
            let from = gap.from.map_or_else(|| "the beginning".to_owned(), time);
            let filled = if gap.is_backfilled { ", covered by backfill digests" } else { "" };
            let gap_line =
                format!("{}  {from} to {}: {}{filled}", gap.chain, time(gap.to), gap.kind.as_str());
            line(format!("{}     {gap_line}", painted("GAP", 33, colour)));
        }
        for (note, places) in self.notes() {
            let Some(first) = places.first() else { continue };
            let (count, first) = (places.len(), shown(&first.to_string()));
            line(format!(
                "{}    {count} log files: {} [{}]",
                painted("NOTE", 36, colour),
                note.text(),
                note.as_str()
            ));
            line(format!("        the first is {first}"));
        }
        for (path, why) in &self.unread {
            line(format!("{}    {}: {}", painted("NOTE", 36, colour), shown(path), shown(why)));
        }
        let gaps = self.gaps().filter(|gap| !gap.is_backfilled).count();
        line(format!(
            "digests: {} valid, {} invalid; log files: {} valid, {} invalid; gaps: {gaps}",
            self.linked.hours.len(),
            self.linked.problems.len(),
            self.judged.valid,
            self.judged.problems.len(),
        ));
        text
    }

    fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.linked.gaps.iter().chain(&self.judged.silent)
    }

    fn problems(&self) -> impl Iterator<Item = Said> {
        let digests = self.linked.problems.iter().map(|(place, problem)| Said {
            object: place.to_string(),
            reason: problem.to_string(),
            code: problem.code(),
            detail: problem.detail(),
        });
        let logs = self.judged.problems.iter().map(|(place, problem)| Said {
            object: place.to_string(),
            reason: problem.to_string(),
            code: problem.code(),
            detail: problem.detail(),
        });
        digests.chain(logs)
    }

    fn notes(&self) -> BTreeMap<LogNote, Vec<&Place>> {
        let mut notes: BTreeMap<LogNote, Vec<&Place>> = BTreeMap::new();
        for (place, note) in &self.judged.notes {
            notes.entry(*note).or_default().push(place);
        }
        notes
    }

    fn chains(&self) -> BTreeMap<&ChainId, Proved> {
        let mut chains = BTreeMap::new();
        for (_, hour) in &self.linked.hours {
            let proved = chains.entry(&hour.chain).or_insert(Proved {
                from: hour.start,
                through: hour.end,
                digests: 0,
                logs: 0,
            });
            proved.through = proved.through.max(hour.end);
            proved.digests += 1;
            proved.logs += hour.logs.len() as u64;
        }
        chains
    }
}

/// Something about a chain, with the chain's name whole and in its parts.
fn named(chain: &ChainId, mut what: Value) -> Value {
    let ChainId { organization, account, region, trail, home_region, backfill } = chain;
    if let (Value::Object(what), Value::Object(name)) = (
        &mut what,
        json!({
            "chain": chain.to_string(), "organization": organization, "account": account, "region": region,
            "trail": trail, "home_region": home_region, "backfill": backfill,
        }),
    ) {
        what.extend(name);
    }
    what
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn painted(word: &str, colour: u8, is_on: bool) -> String {
    if is_on { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Names of files are somebody else's text.
fn shown(text: &str) -> String {
    text.chars().map(|c| if engine::log_text::hides(c) { '\u{fffd}' } else { c }).collect()
}
