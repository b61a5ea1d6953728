//! The commands, as people type them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::finding::Severity;
use std::net::SocketAddr;
use std::path::PathBuf;

const EPILOGUE: &str = "\
Exit codes:
  0    done
  1    findings at or above --fail-on, or something else that was asked for is not so
  2    wrong usage, configuration, manifest or policy
  3    a file, the store or a service could not be reached
  4    done, but with incomplete data: some input could not be read
  130  interrupted

Data goes to standard output, messages to standard error. NO_COLOR turns colour off.";

/// Watches whether each AI agent in a company's clouds stays within its own remit.
///
/// remit reads audit logs, holds each call of each agent against its declared scope, its grants and its
/// baseline, and tells what does not fit. It detects; it does not block.
#[derive(Debug, Parser)]
#[command(version, after_help = EPILOGUE, max_term_width = 110)]
pub struct Cli {
    /// Say more on standard error; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole thing on a made-up company: a month of logs, incidents in it, then a live stream
    Demo(DemoArgs),
    /// Watch: read the configured sources, judge, tell
    Run(ConfigArgs),
    /// Judge past logs and print what would have been found; never alerts anybody
    Replay(ReplayArgs),
    /// Say what is declared, granted, used and unused, and propose smaller policies
    Report(ReportArgs),
    /// Ask what a scope says, check manifests, draft them, and see what a change means
    Scope {
        #[command(subcommand)]
        command: ScopeCommand,
    },
    /// Read and end findings
    Findings {
        #[command(subcommand)]
        command: FindingsCommand,
    },
    /// Say of what nobody wants to be told, for how long and why
    Silence {
        #[command(subcommand)]
        command: SilenceCommand,
    },
    /// Check configuration, manifests, policies and detections, then that what they name can be reached
    Validate(ValidateArgs),
    /// Print the schema of a configuration file or a manifest
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Write a made-up company's logs, manifests, policies and answer key
    Synth(SynthArgs),
    /// The engine's parts on a pipe: JSON lines in, JSON lines out
    Tool {
        #[command(subcommand)]
        command: ToolCommand,
    },
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file
    #[arg(short, long, default_value = "remit.toml", env = "REMIT_CONFIG")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Judge the month once, hold the findings against the answer key, and exit 1 if one is missed
    #[arg(long)]
    pub verify: bool,
    /// Where to put the company; a temporary folder by default
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Where the page and the metrics are served
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The same seed makes the same company
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Do not go on with a live stream after the month
    #[arg(long)]
    pub no_live: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files and folders of logs, gzipped or plain
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Folder of manifests
    #[arg(long)]
    pub agents: Option<PathBuf>,
    /// Folder of policies, as the clouds export them
    #[arg(long)]
    pub policies: Option<PathBuf>,
    /// Worker threads; the machine's cores by default
    #[arg(long)]
    pub threads: Option<usize>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Listing::Table)]
    pub output: Listing,
    /// Exit 1 when a finding is at least this bad
    #[arg(long)]
    pub fail_on: Option<Severity>,
    /// Write one JSON line per event with its permissions and verdicts
    #[arg(long)]
    pub calls: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to write
    #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
    pub format: ReportFormat,
    /// Where to; standard output by default
    #[arg(long)]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Html,
    Json,
    Csv,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    Table,
    Json,
    Ndjson,
}

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

#[derive(Debug, Subcommand)]
pub enum FindingsCommand {
    /// List them, newest first
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// Only this agent's, or this identity's
        #[arg(long)]
        agent: Option<String>,
        /// Only this detection's
        #[arg(long)]
        detection: Option<String>,
        /// Only at least this bad
        #[arg(long)]
        severity: Option<Severity>,
        /// Only this state: open, acknowledged, closed, superseded, learning
        #[arg(long)]
        state: Option<engine::finding::FindingState>,
        /// At most so many; 0 for all
        #[arg(long, default_value_t = 0)]
        limit: u32,
        /// What to print
        #[arg(long, value_enum, default_value_t = Listing::Table)]
        output: Listing,
    },
    /// Show one with everything that is known of it
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// What to print
        #[arg(long, value_enum, default_value_t = Listing::Table)]
        output: Listing,
    },
    /// Say that somebody is looking at it
    Ack {
        /// Its id
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// What there is to say
        #[arg(long)]
        note: Option<String>,
        /// Who says so
        #[arg(long, env = "USER", default_value = "unknown")]
        by: String,
    },
    /// End it
    Close {
        /// Its id
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// Why
        #[arg(long, value_enum)]
        reason: CloseReason,
        /// What there is to say
        #[arg(long)]
        note: Option<String>,
        /// Who says so
        #[arg(long, env = "USER", default_value = "unknown")]
        by: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CloseReason {
    FalsePositive,
    Fixed,
    Accepted,
}

impl CloseReason {
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::FalsePositive => "false-positive",
            CloseReason::Fixed => "fixed",
            CloseReason::Accepted => "accepted",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Add one: alerts of incidents that it covers are not sent; findings are kept and counted all the same
    Add {
        #[command(flatten)]
        config: ConfigArgs,
        /// label=value, all must match; labels: agent, actor, detection, permission, severity; * and ? match
        #[arg(long = "match", required = true)]
        matchers: Vec<engine::store::Matcher>,
        /// Who silences
        #[arg(long)]
        author: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// For how long: 90m, 2h, 7d; at most 30d
        #[arg(long = "for", value_parser = ingest::duration::parse)]
        length: std::time::Duration,
    },
    /// List them, expired ones too
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// What to print
        #[arg(long, value_enum, default_value_t = Listing::Table)]
        output: Listing,
    },
    /// End one now
    Expire {
        /// Its id
        id: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only read files; reach nothing
    #[arg(long)]
    pub no_environment: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a JSON Schema for editors
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: SchemaOf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A manifest: `kind: Agent` and `kind: ResourceCatalog`
    Agent,
    /// remit.toml
    Config,
}

#[derive(Debug, Args)]
pub struct SynthArgs {
    /// The same seed makes the same company
    #[arg(long)]
    pub seed: u64,
    /// Days of logs
    #[arg(long, default_value_t = 30)]
    pub days: u32,
    /// The last day, as 2026-11-20; yesterday by default
    #[arg(long)]
    pub end: Option<chrono::NaiveDate>,
    /// The folder to write
    #[arg(long)]
    pub out: PathBuf,
}

const DECIDE_EXAMPLES: &str = "\
Examples:
  remit tool decide < aws.jsonl
  remit tool decide --cloud azure < azure.jsonl
  echo '{\"id\": 1, \"permissions\": [\"storage.objects.get\"], \"permission\": \"storage.objects.get\"}' | remit tool decide --cloud gcp

One line out for each line in, carrying its id. A bad line gives {id, error} and stops no other.";

const MATCH_EXAMPLES: &str = "\
Examples:
  echo '{\"id\": 1, \"operator\": \"StringLike\", \"policy_values\": [\"a*\"], \"value\": \"ab\", \"context\": {}}' | remit tool match --operator
  echo '{\"id\": 2, \"patterns\": [\"arn:aws:s3:::b/*\"], \"not\": false, \"arn\": \"arn:aws:s3:::b/k\", \"context\": {}}' | remit tool match --resource";

#[derive(Debug, Subcommand)]
pub enum ToolCommand {
    /// Decide requests by policies: {id, request, identity_policies, ...} gives {id, decision, ...}
    #[command(after_help = DECIDE_EXAMPLES)]
    Decide {
        /// Whose policies they are
        #[arg(long, value_enum, default_value_t = Cloud::Aws)]
        cloud: Cloud,
    },
    /// Match values or ARNs as policies do: gives {id, matches}
    #[command(after_help = MATCH_EXAMPLES)]
    Match(MatchArgs),
    /// Read notifications: {id, body} gives {id, objects}
    Notification,
    /// Say what calls needed: {id, event} gives {id, certain, possible, resources, actor, agent_hint}
    Permissions,
    /// Read events: {id, record} gives {id, event}
    Events {
        /// The format of the records
        #[arg(long, value_enum, default_value_t = EventFormat::Auto)]
        format: EventFormat,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cloud {
    Aws,
    Azure,
    Gcp,
}

/// What is matched: one of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct MatchArgs {
    /// Condition operators: {id, operator, policy_values, value, context}
    #[arg(long)]
    pub operator: bool,
    /// Resource patterns: {id, patterns, not, arn, context}
    #[arg(long)]
    pub resource: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    Auto,
    Cloudtrail,
}
