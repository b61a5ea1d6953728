//! `remit query`.

use super::ConfigArgs;
use clap::{Args, ValueEnum};
use std::time::Duration;

pub const EXAMPLES: &str = "\
Tables:
  events    every event once; one row for each, with `date` (UTC day of its time), by which it is stored
  findings  what was told: id, detection, severity, state, agent, actor, title, ..., event_ids
  agents    what the page shows of each agent: state, worst, last_used, and permissions by mark
  information_schema.columns lists their columns.

Examples:
  remit query \"SELECT operation, count(*) n FROM events WHERE date = '2026-11-20' GROUP BY 1 ORDER BY n DESC LIMIT 10\"
  remit query --output ndjson \"SELECT * FROM events WHERE event_id = '...'\"
  remit query \"SELECT agent, state, unused FROM agents ORDER BY unused DESC\"

Name a `date` where you can: other days are not read then. Bytes of memory that sorts and joins may take beyond
--memory go to the temporary folder, up to eight times as many.";

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The query: one SELECT
    pub sql: String,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to print
    #[arg(long, value_enum, default_value_t = QueryOutput::Table)]
    pub output: QueryOutput,
    /// At most so many rows
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_rows: u64,
    /// How long it may take: 500ms, 30s, 5m
    #[arg(long, default_value = "30s", value_parser = ingest::duration::parse)]
    pub timeout: Duration,
    /// How much memory it may take: 512MiB, 2GiB
    #[arg(long, default_value = "512MiB", value_name = "BYTES", value_parser = bytes)]
    pub memory: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueryOutput {
    /// For people; long texts are cut
    Table,
    /// For spreadsheets: no cell is a formula
    Csv,
    /// One JSON object for each row; nulls are left out
    Ndjson,
}

fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("`{text}` is no size; write a whole number and a unit: `64MiB`, `2GiB`");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| wrong())?;
    let size = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(size).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        for wrong in ["512", "MiB", "1.5GiB", "0MiB", "99999999999GiB", "5MB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
