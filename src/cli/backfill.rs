//! `remit backfill`.

use super::usage::instant;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  remit backfill --from 2026-11-01 --to 2026-11-20 --region eu-west-1 --region us-east-1 --into backfill
  remit backfill --from 2026-11-01 --into backfill --region eu-west-1 --profile acquired-company

For accounts whose trail's bucket is out of reach: asks cloudtrail:LookupEvents, at two requests a second, and writes log files under DIR/lookup-events. `run` judges them where DIR is a `directory` source with watch = true, `replay` at once. What a trail's log files hold too counts once, by event id. A run that was cut off goes on where it stopped: whole hours are not asked for again.

It is the lesser evidence: management events of the last 90 days alone, no data events, signed by nobody. `remit completeness` shows such hours as `looked up`.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BackfillArgs {
    /// Events of this time or later: 2026-11-20, or 2026-11-20T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub from: i64,
    /// Events before this time; now by default
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub to: Option<i64>,
    /// Regions to ask; events of global services are in us-east-1
    #[arg(long = "region", required = true)]
    pub regions: Vec<String>,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// The profile of the account to ask, as in ~/.aws/config; the environment's credentials by default
    #[arg(long, alias = "account-profile")]
    pub profile: Option<String>,
    /// Where CloudTrail answers, if not at AWS
    #[arg(long)]
    pub endpoint_url: Option<String>,
}
