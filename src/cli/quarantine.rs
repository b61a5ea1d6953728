//! `remit quarantine`, as people type it.

use super::{ConfigArgs, Listing};
use clap::{Args, Subcommand};
use engine::store::QuarantineState;
use std::time::Duration;

pub const EXAMPLES: &str = "\
Examples:
  remit quarantine list --state waiting
  remit quarantine replay --reason access_denied     after the role was given the right to read
  remit quarantine replay --all --output ndjson

What cannot be read is kept with where it was, why, and its first 4 KB without secrets. Nothing leaves by itself, save
rows that were read after all, 90 days later. Of one object at most 256 records are kept one by one, the rest as a
number for each reason; a replay reads the whole object again, so it covers those too.";

const REPLAY: &str = "\
The object, or the objects that the message names, is fetched again and goes the way of any other: claimed, read,
judged, committed. What was stored before is not added twice, and what still cannot be read waits on, with the reason
that it has now.

Where a service runs on the store, it does the work within seconds, and this command waits for it. Where none runs,
this command does it; alerts are told when the service runs again.

Exit codes: 0 all of it was read, 4 some of it still waits.";

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what could not be read, newest first
    List(QuarantineListArgs),
    /// Show one row with its first bytes
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// What to print
        #[arg(long, value_enum, default_value_t = Listing::Table)]
        output: Listing,
    },
    /// Read it again, and add what now reads
    #[command(after_help = REPLAY)]
    Replay(QuarantineReplayArgs),
    /// Say that a row need not be read, and why; it stays and is counted as not read
    Resolve {
        /// Its id
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// Why
        #[arg(long)]
        reason: String,
        /// Who says so
        #[arg(long, env = "USER", default_value = "unknown")]
        by: String,
    },
}

#[derive(Debug, Args)]
pub struct QuarantineListArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only this reason: bad_json, access_denied, ...
    #[arg(long)]
    pub reason: Option<String>,
    /// Only this state: waiting, wanted, replayed, resolved
    #[arg(long)]
    pub state: Option<QuarantineState>,
    /// Only of this source
    #[arg(long)]
    pub source: Option<String>,
    /// Only what was quarantined within so long: 90m, 24h, 7d
    #[arg(long, value_parser = ingest::duration::parse)]
    pub since: Option<Duration>,
    /// At most so many; 0 for all
    #[arg(long, default_value_t = 0)]
    pub limit: u32,
    /// What to print
    #[arg(long, value_enum, default_value_t = Listing::Table)]
    pub output: Listing,
}

#[derive(Debug, Args)]
pub struct QuarantineReplayArgs {
    /// Ids of rows
    #[arg(required_unless_present_any = ["reason", "all"], conflicts_with_all = ["reason", "all"])]
    pub ids: Vec<String>,
    /// Everything that waits for this reason
    #[arg(long, conflicts_with = "all")]
    pub reason: Option<String>,
    /// Everything that waits
    #[arg(long)]
    pub all: bool,
    /// How long to wait for the service
    #[arg(long, default_value = "60s", value_parser = ingest::duration::parse)]
    pub wait: Duration,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to print
    #[arg(long, value_enum, default_value_t = Listing::Table)]
    pub output: Listing,
}
