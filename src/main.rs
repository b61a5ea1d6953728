//! remit: watches whether each AI agent in a company's clouds stays within its own remit.

mod assembly;
mod calls_file;
mod canary;
mod cli;
mod clouds;
mod commands;
mod config;
mod demo;
mod desk;
mod exit;
mod halt;
mod hand_out;
mod health;
mod intake;
mod lake;
mod ledger;
mod patience;
mod pipeline;
mod policy_changes;
mod progress;
mod pulse;
mod readmission;
mod replay;
mod screen;
mod service;
mod slices;
mod synth;
mod turns;
mod upkeep;
mod watch;
mod worker;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use exit::Exit;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

// Batches are made by one thread and let go by another: after 2.4 million events in three minutes the system's allocator
// held 2.7 GiB, mimalloc 1.3. At 30,000 events a second for 20 s mimalloc peaked at 506 and 629 MiB, this one at 418
// and 436.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Two are linked; who asks for none must find one. It fails only where one is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    start_log(&cli);
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("remit: {error:#}");
            exit::code_of(&error)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    // Needs no runtime: it reads files on threads of its own, and is done before a runtime would stand.
    if let Command::Usage(args) = &cli.command {
        return commands::usage::run(args, cli.quiet);
    }
    // One worker thread where one is asked for, so that what is measured on one core runs on one.
    let threads = match &cli.command {
        Command::Replay(args) => args.threads,
        _ => None,
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        runtime.worker_threads(threads.max(1));
    }
    let runtime = runtime.enable_all().build()?;
    let ended = runtime.block_on(dispatch(cli));
    // What is still computing (one large object) would be waited for without an end; nothing of it is lost.
    runtime.shutdown_background();
    ended
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Demo(args) => demo::run(args, cli.quiet).await,
        Command::Run(args) => service::run(config::Config::load(&args.config)?).await,
        Command::Replay(args) => replay::run(args, cli.quiet).await,
        Command::Usage(args) => commands::usage::run(&args, cli.quiet),
        Command::Report(args) => commands::report::run(args).await,
        Command::Scope { command } => commands::scope::run(command).await,
        Command::Findings { command } => commands::findings::run(command).await,
        Command::Silence { command } => commands::silence::run(command).await,
        Command::Quarantine { command } => commands::quarantine::run(command).await,
        Command::Status(args) => commands::status::run(args).await,
        Command::Query(args) => commands::query::run(args).await,
        Command::Validate(args) => commands::validate::run(args).await,
        Command::Digest { command } => commands::digest::run(command).await,
        Command::Backfill(args) => commands::backfill::run(args).await,
        Command::Completeness(args) => commands::completeness::run(args).await,
        Command::Config { command } => commands::schema::run(command),
        Command::Synth(args) => commands::synth::run(&args),
        Command::Tool { command } => commands::tool::run(&command),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "remit", &mut std::io::stdout());
            Ok(Exit::Done)
        }
    }
}

/// Messages go to standard error: text on a terminal, JSON elsewhere, so that no line break in a log's text can
/// make a second entry.
fn start_log(cli: &Cli) {
    use std::io::IsTerminal;
    let default = match (cli.quiet, cli.verbose, &cli.command) {
        (true, _, _) => "error",
        (_, 0, Command::Run(_)) => "info",
        (_, 0, _) => "warn",
        (_, 1, _) => "info,remit=debug,ingest=debug,engine=debug,alerts=debug,dashboards=debug",
        (_, _, _) => "debug",
    };
    // The table's library tells as errors what it recovers from, such as a lost race; the lake says what matters itself.
    let default = format!("{default},buoyant_kernel=off,buoyant_kernel_engine=off,deltalake_core=off");
    let filter = EnvFilter::try_from_env("REMIT_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if matches!(cli.command, Command::Run(_)) && !std::io::stderr().is_terminal() {
        log.json().init();
    } else {
        log.without_time().with_target(false).with_ansi(screen::colour_on_stderr()).init();
    }
}
