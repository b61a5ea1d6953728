//! `remit query`: the lake and the store in SQL, beside the process that writes them.

mod print;
mod tables;

use super::attach;
use crate::assembly;
use crate::cli::QueryArgs;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use anyhow::Context;
use engine::lake::query::{QueryError, Question, Session};
use engine::posture::Posture;
use engine::store::FindingFilter;
use futures::StreamExt;
use print::Printer;

/// Findings that the table holds, newest first.
const FINDINGS_MAX: i64 = 200_000;

pub async fn run(args: QueryArgs) -> anyhow::Result<Exit> {
    let question = Question::parse(&args.sql).map_err(told)?;
    let config = Config::load(&args.config.config)?;
    let (longest, most) = (args.timeout, args.limit_rows);
    let Ok(answered) = tokio::time::timeout(longest, apart(args, config, question)).await else {
        anyhow::bail!(
            "the query took longer than {}; ask for less (one `date`, fewer columns), or allow more with --timeout",
            ingest::duration::text(longest)
        );
    };
    if answered? {
        eprintln!("remit: there are more than {most} rows; --limit-rows allows more");
    }
    Ok(Exit::Done)
}

/// Answers on a thread and a runtime of its own: a join computes for minutes without giving up its turn, and on a
/// machine with few cores it takes every worker of a shared runtime, and the clock that should end it with them.
async fn apart(args: QueryArgs, config: Config, question: Question) -> anyhow::Result<bool> {
    let (says, answered) = tokio::sync::oneshot::channel();
    let computes = move || {
        let runtime = tokio::runtime::Runtime::new()?;
        let answer = runtime.block_on(answer(&args, &config, question));
        runtime.shutdown_background();
        answer
    };
    // Whoever asked may be gone: the time was up.
    std::thread::Builder::new().name("query".into()).spawn(move || says.send(computes()).ok())?;
    answered.await.context("the query broke down")?
}

/// Prints the answer; whether there was more.
async fn answer(args: &QueryArgs, config: &Config, question: Question) -> anyhow::Result<bool> {
    let session = Session::new(args.memory).map_err(told)?;
    if question.names("events") {
        session.add_events(&config.lake.at()?).await.map_err(told)?;
    }
    if question.names("findings") || question.names("agents") {
        let store = attach(&config.store.path).await?;
        if question.names("findings") {
            let filter = FindingFilter { limit: FINDINGS_MAX, ..FindingFilter::default() };
            let findings = store.findings(&filter).await?;
            if findings.len() as i64 == FINDINGS_MAX {
                eprintln!("remit: `findings` holds the newest {FINDINGS_MAX} only");
            }
            session.add("findings", tables::findings(&findings)?).map_err(told)?;
        }
        if question.names("agents") {
            let (manifests, grants) = assembly::configured_scopes(config)?;
            let posture = Posture::read(&store, &manifests, &grants, &config.report.data_events).await?;
            let lines = dashboards::agent_lines(&store, &posture, config.baseline.min_active_days).await?;
            session.add("agents", tables::agents(&lines)?).map_err(told)?;
        }
        store.close().await;
    }
    let mut rows = session.ask(question).await.map_err(told)?;
    let mut printer = Printer::new(args.output, rows.schema());
    let mut left = args.limit_rows;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|cause| told(session.failed(&cause)))?;
        let fits = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
        printer.add(&batch.slice(0, fits)).context("cannot print the answer")?;
        left -= fits as u64;
        if fits < batch.num_rows() {
            printer.end()?;
            return Ok(true);
        }
    }
    printer.end()?;
    Ok(false)
}

/// What the person who asked can mend is said so by the exit code.
fn told(cause: QueryError) -> anyhow::Error {
    match cause {
        QueryError::Lake(cause) => cause.into(),
        // The text of the query comes back in it: it is the user's, but may quote a log.
        cause => Usage::error(alerts::text::plain(&cause.to_string(), 2_000)),
    }
}
