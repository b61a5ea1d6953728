//! `remit report`: what is declared, granted, used and unused.

use super::attach;
use crate::assembly;
use crate::cli::{ReportArgs, ReportFormat};
use crate::config::Config;
use crate::exit::Exit;
use crate::screen;
use alerts::report::{Format, Report};
use anyhow::Context;
use engine::posture::Posture;
use engine::store::FindingFilter;
use engine::time;

pub async fn run(args: ReportArgs) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config.config)?;
    let (manifests, grants) = assembly::configured_scopes(&config)?;
    let store = attach(&config.store.path).await?;
    let posture = Posture::read(&store, &manifests, &grants, &config.report.data_events).await?;
    let findings = store.findings(&FindingFilter::default()).await?;
    let silences = store.silences().await?;
    let now = time::now();
    let window = posture.covered.map_or((0, now), |(first, last)| (first, last.max(now)));
    let report = Report::new(&posture, &findings, &silences, now, window);
    let text = report.render(match args.format {
        ReportFormat::Html => Format::Html,
        ReportFormat::Json => Format::Json,
        ReportFormat::Csv => Format::Csv,
        ReportFormat::Markdown => Format::Markdown,
    })?;
    match &args.out {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        None => screen::out(&text)?,
    }
    // A report on policies that cannot be read says so in its text and in its exit code.
    Ok(if posture.unparsed.is_empty() { Exit::Done } else { Exit::Incomplete })
}
