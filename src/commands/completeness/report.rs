//! The report: for programs and for people

use engine::ledger::{LEVEL_LOOKED_UP, LEVEL_SIGNED, evidence};
use engine::store::{ChainLine, HourLine, LedgerReport};
use engine::time::{HOUR, rfc3339};
use ingest::digest::{KeyRing, PublicKey};
use serde_json::{Value, json};
use std::fmt::Write;

/// What the report does not say.
pub const LIMITS: [&str; 6] = [
    "It proves that what was delivered to the bucket was read and judged, not that the cloud logged everything: event selectors, services that do not log and parameters that CloudTrail leaves out are out of its sight.",
    "Hours are those of delivery, as digests have them; an event may be older.",
    "Level 1 (no digests) says that what was announced or listed was read. Nobody signed for it: what was deleted before it was listed is not missed.",
    "Level 0 (looked up) is what CloudTrail remembered of the last 90 days when it was asked: management events alone, signed and listed by nobody.",
    "What was delivered before the first digest that was seen, in a gap, or without digest validation is attested by nobody.",
    "The keys in it are those that CloudTrail gave when they were asked for; whoever checks it may ask `cloudtrail:ListPublicKeys` again.",
];

/// A digest comes within an hour after its own; so much later, none will come.
const SILENCE: i64 = 2 * HOUR;

/// What the ledger says of a time, and when it was asked.
pub struct Report {
    pub from: i64,
    pub to: i64,
    pub now: i64,
    pub grace: i64,
    pub ledger: LedgerReport,
}

/// Sums over hours.
#[derive(Default)]
struct Sum {
    expected: i64,
    stored: i64,
    verified: i64,
    missing: i64,
    extra: i64,
    pending: i64,
    records: i64,
}

impl Sum {
    fn add(&mut self, line: &HourLine) {
        self.expected += line.expected;
        self.stored += line.stored;
        self.verified += line.verified;
        self.missing += line.missing;
        self.extra += line.extra;
        self.pending += line.pending;
        self.records += line.records;
    }

    fn to_json(&self) -> Value {
        let Self { expected, stored, verified, missing, extra, pending, records } = self;
        json!({ "expected": expected, "stored": stored, "verified": verified, "missing": missing, "extra": extra,
            "pending": pending, "records": records })
    }
}

impl Report {
    pub fn is_empty(&self) -> bool {
        self.ledger.hours.is_empty() && self.ledger.digests.is_empty()
    }

    pub fn is_whole(&self) -> bool {
        let sum = self.sum();
        sum.missing == 0
            && sum.extra == 0
            && self.ledger.problems.is_empty()
            && self.ledger.gaps.iter().all(|gap| gap.is_backfilled)
            && !self.ledger.chains.iter().any(|chain| self.is_silent(chain))
    }

    fn is_silent(&self, chain: &ChainLine) -> bool {
        !chain.chain.ends_with("(backfill)")
            && chain.attested_through + SILENCE + self.grace < self.now.min(self.to)
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        self.ledger.hours.iter().for_each(|line| sum.add(line));
        sum
    }

    pub fn to_json(&self) -> Value {
        let time = |micros: i64| rfc3339(micros);
        let ledger = &self.ledger;
        let hours = ledger.hours.iter().map(|line| {
            let mut sum = Sum::default();
            sum.add(line);
            let mut value = sum.to_json();
            let name = json!({ "source": line.source, "level": line.level % LEVEL_LOOKED_UP, "evidence": evidence(line.level), "account": line.account,
                "region": line.region, "hour": time(line.hour) });
            if let (Value::Object(value), Value::Object(name)) = (&mut value, name) {
                value.extend(name);
            }
            value
        });
        let chains = ledger.chains.iter().map(|chain| {
            json!({ "chain": chain.chain, "account": chain.account, "region": chain.region,
                "from": time(chain.from), "verified_through": chain.verified_through.map(time),
                "attested_through": time(chain.attested_through), "digests": chain.digests,
                "silent": self.is_silent(chain) })
        });
        let digests = ledger.digests.iter().map(|digest| {
            json!({ "object": format!("s3://{}/{}", digest.bucket, digest.key), "start": time(digest.start),
                "end": time(digest.end), "logs": digest.logs, "sha256": digest.sha256, "valid": digest.is_valid })
        });
        let gaps = ledger.gaps.iter().map(|gap| {
            json!({ "chain": gap.chain, "kind": gap.kind, "from": gap.from.map(time), "to": time(gap.to),
                "after": gap.after, "before": gap.before, "backfilled": gap.is_backfilled })
        });
        let problems = ledger.problems.iter().map(|problem| {
            json!({ "object": problem.place, "code": problem.code, "reason": problem.text, "detail": problem.detail })
        });
        let files = ledger.files.iter().map(|file| {
            json!({ "object": file.place, "verdict": file.verdict, "expected": file.expected, "found": file.found,
                "digest": file.digest })
        });
        let sweeps = ledger.sweeps.iter().map(|sweep| {
            json!({ "source": sweep.source, "ended": time(sweep.ended_at), "requests": sweep.requests,
                "objects": sweep.objects, "problem": sweep.problem })
        });
        json!({
            "schema_version": 1,
            "from": time(self.from),
            "to": time(self.to),
            "made": time(self.now),
            "whole": self.is_whole(),
            "totals": self.sum().to_json(),
            "hours": hours.collect::<Vec<_>>(),
            "chains": chains.collect::<Vec<_>>(),
            "gaps": gaps.collect::<Vec<_>>(),
            "problems": problems.collect::<Vec<_>>(),
            "files": files.collect::<Vec<_>>(),
            "digests": digests.collect::<Vec<_>>(),
            "sweeps": sweeps.collect::<Vec<_>>(),
            "public_keys": KeyRing::listed(&self.keys()),
            "limits": LIMITS,
        })
    }

    /// Those that digests of this time may have been signed with.
    fn keys(&self) -> Vec<PublicKey> {
        let may_sign = |key: &&PublicKey| {
            key.from.timestamp_micros() <= self.now.max(self.to)
                && key.until.timestamp_micros() >= self.from - HOUR
        };
        self.ledger.keys.iter().map(|kept| &kept.key).filter(may_sign).cloned().collect()
    }

    pub fn to_text(&self, colour: bool) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let mut line = |line: String| _ = writeln!(text, "{line}");
        let painted = |word: &str, number: u8| {
            if colour { format!("\u{1b}[{number}m{word}\u{1b}[0m") } else { word.to_owned() }
        };
        line(format!("delivered from {} to {}", rfc3339(self.from), rfc3339(self.to)));
        for chain in &self.ledger.chains {
            let through = chain.verified_through.map_or_else(|| "nothing".to_owned(), rfc3339);
            let silent =
                if self.is_silent(chain) { painted("  SILENT since then", 31) } else { String::new() };
            line(format!(
                "{}  verified through {through}; {} digests, the last ends {}{silent}",
                chain.chain,
                chain.digests,
                rfc3339(chain.attested_through)
            ));
        }
        line(format!(
            "{:<14} {:<15} {:<17} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "ACCOUNT",
            "REGION",
            "HOUR",
            "EVIDENCE",
            "EXPECTED",
            "STORED",
            "VERIFIED",
            "MISSING",
            "EXTRA",
            "PENDING"
        ));
        for hour in &self.ledger.hours {
            let name = |text: &str| if text.is_empty() { "-".to_owned() } else { shown(text) };
            line(format!(
                "{:<14} {:<15} {:<17} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
                name(&hour.account),
                name(&hour.region),
                rfc3339(hour.hour).get(..16).unwrap_or_default(),
                evidence(hour.level),
                hour.expected,
                hour.stored,
                if hour.level == LEVEL_SIGNED { hour.verified.to_string() } else { "-".to_owned() },
                hour.missing,
                hour.extra,
                hour.pending
            ));
        }
        for gap in &self.ledger.gaps {
            let from = gap.from.map_or_else(|| "the beginning".to_owned(), rfc3339);
            let filled = if gap.is_backfilled { ", covered by backfill digests" } else { "" };
            line(format!(
                "{} {}  {from} to {}: {}{filled}",
                painted("GAP", 33),
                gap.chain,
                rfc3339(gap.to),
                gap.kind
            ));
        }
        for problem in &self.ledger.problems {
            let (place, reason) = (shown(&problem.place), shown(&problem.text));
            line(format!("{} {place}: {reason} [{}]", painted("INVALID", 31), problem.code));
        }
        for file in &self.ledger.files {
            line(format!("{} {}", painted(&file.verdict.to_uppercase(), 31), shown(&file.place)));
        }
        for sweep in self.ledger.sweeps.iter().filter(|sweep| sweep.problem.is_some()) {
            let problem = sweep.problem.as_deref().unwrap_or_default();
            line(format!(
                "{} the last sweep of {} is not whole: {}",
                painted("NOTE", 36),
                sweep.source,
                shown(problem)
            ));
        }
        let sum = self.sum();
        line(format!(
            "log files: {} expected, {} stored, {} verified, {} missing, {} extra, {} pending; {} records; gaps: {}",
            sum.expected,
            sum.stored,
            sum.verified,
            sum.missing,
            sum.extra,
            sum.pending,
            sum.records,
            self.ledger.gaps.iter().filter(|gap| !gap.is_backfilled).count(),
        ));
        if self.is_empty() {
            line("nothing is known of that time".to_owned());
        }
        line(
            "It proves that what was delivered was judged, not that the cloud logged everything.".to_owned(),
        );
        text
    }
}

/// Names of files are somebody else's text.
pub fn shown(text: &str) -> String {
    text.chars().map(|c| if engine::log_text::hides(c) { '\u{fffd}' } else { c }).collect()
}
