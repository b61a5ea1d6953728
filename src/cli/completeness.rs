//! `remit completeness`.

use super::usage::instant;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  remit completeness --from 2026-11-20 --to 2026-11-21
  remit completeness --from 2026-11-01 --to 2026-12-01 --output json > november.json
  aws s3 sync s3://acme-trail ./copy/acme-trail   # and head-object of each digest as <key>.metadata.json
  remit completeness --check november.json --root ./copy

For each account, region and hour of delivery: how many log files CloudTrail signed for (expected), how many were read and judged (stored), how many with exactly the signed content (verified), how many are missing, and how many nobody signed or are not what was signed (extra). `verified through` is the time up to which a chain has no hole at all.

Level 2 is held against CloudTrail's signed digests. Level 1 (other logs, other clouds) is held against listings and notifications alone: it says that what was listed was read, and nobody signed for it.

It proves that what was delivered was judged, not that the cloud logged everything: event selectors, services that do not log, and parameters that CloudTrail leaves out are out of its sight.

--check verifies a report without the store: signatures with the keys in the report, over a folder that holds <bucket>/<key> as for `remit digest verify`, and its counts against the folder's.

Exit code 1: something is missing or extra, a digest is invalid, there is a gap or a chain went silent; with --check: the folder says otherwise. 4: nothing is known of that time.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletenessArgs {
    /// The configuration file
    #[arg(short, long, default_value = "remit.toml", env = "REMIT_CONFIG")]
    pub config: PathBuf,
    /// What was delivered at this time or later: 2026-11-20, or 2026-11-20T09:30:00Z; a day ago by default
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub from: Option<i64>,
    /// What was delivered before this time; now by default
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub to: Option<i64>,
    /// Check a report (`--output json`) instead of making one
    #[arg(long, value_name = "REPORT", requires = "root", conflicts_with_all = ["from", "to"])]
    pub check: Option<PathBuf>,
    /// With --check: the folder that holds <bucket>/<key>
    #[arg(long, value_name = "DIR", requires = "check")]
    pub root: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t = CompletenessOutput::Table)]
    pub output: CompletenessOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletenessOutput {
    Table,
    Json,
}
