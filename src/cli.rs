//! The commands, as people type them.

mod backfill;
mod completeness;
mod digest;
mod quarantine;
mod query;
mod scope;
mod usage;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::finding::Severity;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use backfill::BackfillArgs;
pub use completeness::{CompletenessArgs, CompletenessOutput};
pub use digest::{DigestCommand, VerifyArgs, VerifyOutput};
pub use quarantine::{QuarantineCommand, QuarantineListArgs, QuarantineReplayArgs};
pub use query::{QueryArgs, QueryOutput};
pub use scope::{
    DiffArgs, DiffFailOn, ExplainArgs, FailOn, InitArgs, LintArgs, LintOutput, Page, ScopeArgs, ScopeCommand,
};
pub use usage::{UsageArgs, UsageListing};

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
    /// List what each identity calls: which operations, how often, and when first and last
    #[command(after_help = usage::EXAMPLES)]
    Usage(UsageArgs),
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
    /// Say whether everything that came in is accounted for, and whether the watch still sees; exit 1 where not
    #[command(after_help = STATUS)]
    Status(StatusArgs),
    /// Look at what could not be read, and have it read again
    #[command(after_help = quarantine::EXAMPLES)]
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Ask the lake and the store in SQL: tables `events`, `findings`, `agents`; reads only
    #[command(after_help = query::EXAMPLES)]
    Query(QueryArgs),
    /// Check configuration, manifests, policies and detections, then that what they name can be reached
    Validate(ValidateArgs),
    /// Hold logs against what CloudTrail signed
    Digest {
        #[command(subcommand)]
        command: DigestCommand,
    },
    /// Say whether all logs that were delivered were judged: by account, region and hour, against what CloudTrail signed
    Completeness(CompletenessArgs),
    /// Look up what CloudTrail still remembers of an account whose trail is out of reach: the lesser evidence
    Backfill(BackfillArgs),
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

const STATUS: &str = "\
Reads the store, beside a service that runs on it or without one. Five identities must hold:
  records     read = stored + duplicate + quarantined, in every object
  quarantine  records that objects count as quarantined = records in quarantine
  objects     received = done + ignored + quarantined + in flight
  findings    each is alerted, or one knows why not
  outbox      alerts to receivers = to be sent + delivered + dead + silenced + below + summarized
Exit code 1: one of them does not hold, or the canary was lost.";

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to print
    #[arg(long, value_enum, default_value_t = Listing::Table)]
    pub output: Listing,
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
        /// Only this state: open, acknowledged, closed, superseded, learning, canary
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
    /// Write so many events to measure with instead: only logs, and nothing planted in them
    #[arg(long, value_name = "EVENTS", conflicts_with_all = ["days", "end"])]
    pub load: Option<u64>,
    /// Files that the load lies in
    #[arg(long, requires = "load", default_value_t = 90)]
    pub files: u64,
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
    AzureActivity,
    GcpAudit,
}
