//! `remit digest`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum DigestCommand {
    /// Verify CloudTrail's digests and log files in a folder: signatures, chains, hashes, gaps
    Verify(VerifyArgs),
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  aws cloudtrail list-public-keys --start-time 2026-01-01 --end-time 2026-02-01 > keys.json
  remit digest verify --root ./copy --keys keys.json
  remit digest verify --root ./copy --keys keys.json --from 2026-01-05T00:00:00Z --output json

The folder holds <bucket>/<key> as CloudTrail delivered it: log files, and digests with <key>.metadata.json beside each: what `aws s3api head-object` prints, or its `Metadata` alone. Accounts, regions and trails may be many.

A gap is a time that no digest covers; it has a name and its times, and is no fault by itself.

Exit code 1: a digest or a log file is invalid, or there is a gap and --fail-on-gap. 2: there is no digest at all.";

#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// The folder that holds <bucket>/<key>
    #[arg(long)]
    pub root: PathBuf,
    /// CloudTrail's public keys, as `aws cloudtrail list-public-keys` prints them. Without it the service is asked, for
    /// each region that digests are of
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// Where CloudTrail is asked for keys, if not at AWS
    #[arg(long, conflicts_with = "keys")]
    pub endpoint_url: Option<String>,
    /// What the folder begins with on purpose, as 2026-01-05T00:00:00Z: digests that end by then are not missed
    #[arg(long)]
    pub from: Option<DateTime<Utc>>,
    /// Exit 1 for a gap too
    #[arg(long)]
    pub fail_on_gap: bool,
    /// What to print
    #[arg(long, value_enum, default_value_t = VerifyOutput::Table)]
    pub output: VerifyOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyOutput {
    Table,
    Json,
}
