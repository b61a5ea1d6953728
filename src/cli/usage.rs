//! `remit usage`, as people type it.

use clap::{Args, ValueEnum};
use engine::time;
use std::path::PathBuf;

pub const EXAMPLES: &str = "\
Examples:
  remit usage ./cloudtrail
  remit usage ./cloudtrail --identity '*:role/agents/*' --from 2026-11-01 --output csv > usage.csv
  remit usage 'AWSLogs/111122223333' one-file.json.gz --output ndjson | jq 'select(.denied > 0)'

One row for each identity (the role, never its session), service and operation:
  identity, service, operation, permissions, count, denied, first, last
`permissions` is what the operation certainly needs whatever else a request asks for, and what a denial named.
An event that comes twice counts once; the last line on standard error tells all that was read.";

#[derive(Debug, Args)]
pub struct UsageArgs {
    /// Files and folders of logs, compressed or plain
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Worker threads; the machine's cores by default
    #[arg(long)]
    pub threads: Option<usize>,
    /// Only calls made at this time or later: 2026-11-20, or 2026-11-20T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub from: Option<i64>,
    /// Only calls made before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub to: Option<i64>,
    /// Only identities like this; * and ? match
    #[arg(long, value_name = "GLOB")]
    pub identity: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = UsageListing::Table)]
    pub output: UsageListing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UsageListing {
    Table,
    Csv,
    Json,
    Ndjson,
}

/// A time, µs UTC: a day is its midnight.
pub(super) fn instant(text: &str) -> Result<i64, String> {
    time::parse_rfc3339(text)
        .or_else(|| time::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| format!("`{text}` is no time; write 2026-11-20 or 2026-11-20T09:30:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_a_moment() {
        assert_eq!(instant("1970-01-02"), Ok(time::DAY));
        assert_eq!(instant("1970-01-01T01:00:00+01:00"), Ok(0));
        for text in ["", "yesterday", "1970-01-32", "1970-01-01T25:00:00Z", "0"] {
            assert!(instant(text).is_err(), "{text}");
        }
    }
}
