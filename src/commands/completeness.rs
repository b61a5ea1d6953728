//! `remit completeness`: what was delivered, held against what was judged.

mod check;
mod report;

use super::attach;
use crate::cli::{CompletenessArgs, CompletenessOutput};
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::screen;
use engine::time;
use report::Report;

pub async fn run(args: CompletenessArgs) -> anyhow::Result<Exit> {
    if let (Some(file), Some(root)) = (&args.check, &args.root) {
        return check::run(file, root, args.output).await;
    }
    let config = Config::load(&args.config)?;
    let now = time::now();
    let to = args.to.unwrap_or(now);
    let from = args.from.unwrap_or(to - time::DAY);
    if from >= to {
        return Err(Usage::error("`--from` must be before `--to`"));
    }
    let store = attach(&config.store.path).await?;
    let ledger = store.ledger_report(from, to).await?;
    let report = Report { from, to, now, grace: config.ledger.grace.as_micros() as i64, ledger };
    match args.output {
        CompletenessOutput::Json => screen::out_json(&report.to_json(), true),
        CompletenessOutput::Table => screen::out(&report.to_text(screen::colour())),
    }?;
    Ok(if report.is_empty() {
        Exit::Incomplete
    } else if report.is_whole() {
        Exit::Done
    } else {
        Exit::Findings
    })
}
