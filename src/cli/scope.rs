//! `remit scope`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Where manifests and policies are.
#[derive(Debug, Clone, Args)]
pub struct ScopeArgs {
    /// The configuration file, whose `[scope]` names the folders
    #[arg(short, long, default_value = "remit.toml", env = "REMIT_CONFIG")]
    pub config: PathBuf,
    /// Folder of manifests, instead of the configuration's
    #[arg(long)]
    pub agents: Option<PathBuf>,
    /// Folder of policies, as the clouds export them, instead of the configuration's
    #[arg(long)]
    pub policies: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ScopeCommand {
    /// Say whether an agent may use a permission on a resource, and what decided it
    Explain(ExplainArgs),
    /// Say what somebody should look at in manifests and policies
    Lint(LintArgs),
    /// Say what a change of manifests widens, and what it narrows
    Diff(DiffArgs),
    /// Draft first manifests from logs
    Init(InitArgs),
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  remit scope explain support-bot dynamodb:GetItem arn:aws:dynamodb:eu-west-1:111122223333:table/tickets
  remit scope explain planner sts:AssumeRole '*' --agents ./agents --policies ./policies
  remit scope explain support-bot s3:GetObject arn:aws:s3:::acme/k --context aws:SourceIp=10.20.0.7 --at 2026-11-03T14:02:11Z

Exit code 1: the scope says no.";

#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// The agent's name
    pub agent: String,
    /// As its cloud spells it: s3:GetObject, Microsoft.Storage/storageAccounts/read, storage.objects.get
    pub permission: String,
    /// The resource's ARN or id; * for a permission that knows no resource
    pub resource: String,
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// A condition key of the call, for instance aws:SourceIp=10.20.0.7; may be given again. Others are unknown
    #[arg(long = "context", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub context: Vec<(String, String)>,
    /// When the call is made, as 2026-11-03T14:02:11Z or 2026-11-03: the manifest and the grants of that time count
    #[arg(long, value_parser = moment)]
    pub at: Option<i64>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Page::Table)]
    pub output: Page,
}

const LINT_EXAMPLES: &str = "\
Examples:
  remit scope lint ./agents --policies ./policies
  remit scope lint -c remit.toml --fail-on warning
  remit scope lint ./agents --output sarif > remit.sarif

Exit code 1: something is at least as bad as --fail-on.";

#[derive(Debug, Args)]
#[command(after_help = LINT_EXAMPLES)]
pub struct LintArgs {
    /// Folder of manifests; the configuration's by default
    pub dir: Option<PathBuf>,
    /// The configuration file, whose `[scope]` names the folders
    #[arg(short, long, default_value = "remit.toml", env = "REMIT_CONFIG")]
    pub config: PathBuf,
    /// Folder of policies, as the clouds export them
    #[arg(long)]
    pub policies: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t = LintOutput::Table)]
    pub output: LintOutput,
    /// Exit 1 when something is at least this bad
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    pub fail_on: FailOn,
    /// Do not look for this, by the rule's name; may be given again
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintOutput {
    Table,
    Json,
    /// SARIF 2.1.0, which code hosts show beside the changed line
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Note,
    Warning,
    Error,
    Never,
}

const DIFF_EXAMPLES: &str = "\
Examples:
  remit scope diff main..HEAD ./agents
  remit scope diff v1.4.. ./agents --fail-on widened       what is in the folder now, against v1.4
  remit scope diff --from ./old/agents --to ./agents --output json

Exit code 1: --fail-on widened, and an agent may do more than before.";

#[derive(Debug, Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub struct DiffArgs {
    /// Two git revisions; without the second, the folder as it is
    #[arg(value_name = "REV..[REV]", required_unless_present = "from", conflicts_with = "from")]
    pub revisions: Option<String>,
    /// Folder of manifests
    #[arg(default_value = "agents", conflicts_with = "from")]
    pub dir: PathBuf,
    /// A folder of manifests, as they were
    #[arg(long, requires = "to")]
    pub from: Option<PathBuf>,
    /// A folder of manifests, as they are to be
    #[arg(long, requires = "from")]
    pub to: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Page::Table)]
    pub output: Page,
    /// Exit 1 on this
    #[arg(long, value_enum)]
    pub fail_on: Option<DiffFailOn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFailOn {
    /// An agent may do more than before
    Widened,
}

const INIT_EXAMPLES: &str = "\
Examples:
  remit scope init --from-observed ./cloudtrail --out ./agents
  remit scope init --from-observed ./cloudtrail --agent-identity 'arn:aws:iam::*:role/agents/*'
  remit scope init --from-observed -c remit.toml --since 30d       from the store: permissions without resources

A draft says what was seen, not what is right: look at each line marked REVIEW.";

#[derive(Debug, Args)]
#[command(after_help = INIT_EXAMPLES)]
pub struct InitArgs {
    /// From what was seen; there is no other way yet
    #[arg(long, required = true)]
    pub from_observed: bool,
    /// Files and folders of logs; without them the configuration's store is asked
    pub paths: Vec<PathBuf>,
    /// The configuration file
    #[arg(short, long, default_value = "remit.toml", env = "REMIT_CONFIG")]
    pub config: PathBuf,
    /// Only what was done since: 30d, 12h
    #[arg(long, value_parser = ingest::duration::parse)]
    pub since: Option<std::time::Duration>,
    /// Only these identities, `*` and `?` match; may be given again. By default every role that nobody else claims
    #[arg(long, value_name = "ARN")]
    pub agent_identity: Vec<String>,
    /// Folder of manifests that exist: whom they claim needs no draft
    #[arg(long)]
    pub agents: Option<PathBuf>,
    /// Folder to write NAME.yaml into, never over a file; standard output by default
    #[arg(long)]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    Table,
    Json,
}

/// `aws:SourceIp=10.20.0.7`
fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, for instance aws:SourceIp=10.20.0.7".to_owned()),
    }
}

/// A time or a day, as µs UTC.
fn moment(text: &str) -> Result<i64, String> {
    let day = text.parse::<chrono::NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    if let Some(day) = day {
        return Ok(day.and_utc().timestamp_micros());
    }
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_micros())
        .map_err(|_| "write a time as 2026-11-03T14:02:11Z, or a day as 2026-11-03".to_owned())
}
