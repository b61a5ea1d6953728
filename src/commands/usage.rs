//! `remit usage`: what each identity calls, straight from the files: no store, no judgement.

mod listing;
mod reading;
mod totals;

use crate::cli::UsageArgs;
use crate::exit::{Exit, Usage as UserError};
use engine::usage::{Selection, Usage};
use policy::wildcard::ActionPattern;

/// More threads than any machine of today has; each costs a few buffers.
const THREADS_MAX: usize = 1024;

pub fn run(args: &UsageArgs, quiet: bool) -> anyhow::Result<Exit> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(UserError::error("--from is not before --to: no call can be listed"));
    }
    let selection = Selection {
        from: args.from,
        to: args.to,
        identity: args.identity.as_deref().map(ActionPattern::new),
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or_else(cores).clamp(1, THREADS_MAX);
    let (usage, totals) = reading::read(&args.paths, threads, || Usage::new(selection.clone()))?;
    listing::print(&usage.rows(), args.output)?;
    totals.tell(quiet);
    Ok(if totals.quarantined > 0 { Exit::Incomplete } else { Exit::Done })
}
