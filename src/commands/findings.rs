//! `remit findings`: read findings, take them, end them.

use super::{attach, usage_if_not_found};
use crate::cli::{FindingsCommand, Listing};
use crate::config::Config;
use crate::exit::Exit;
use crate::screen;
use engine::finding::{Finding, FindingState};
use engine::store::{Close, FindingFilter};
use engine::time;

pub async fn run(command: FindingsCommand) -> anyhow::Result<Exit> {
    match command {
        FindingsCommand::List { config, agent, detection, severity, state, limit, output } => {
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            let filter = FindingFilter {
                states: state.into_iter().collect(),
                who: agent,
                detection,
                min_severity: severity,
                limit: i64::from(limit),
                ..FindingFilter::default()
            };
            let mut findings = store.findings(&filter).await?;
            store.attribute(&mut findings).await?;
            print(&findings, output)
        }
        FindingsCommand::Show { id, config, output } => {
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            let mut finding = usage_if_not_found(store.finding(&id).await)?;
            store.attribute(std::slice::from_mut(&mut finding)).await?;
            let attestation = store.attestation(&finding.id).await?;
            match output {
                Listing::Table => {
                    screen::out(&alerts::terminal::detail(&finding, &attestation, screen::colour()))
                }
                Listing::Json | Listing::Ndjson => {
                    let mut json = finding.to_json();
                    if let Some(fields) = json.as_object_mut() {
                        fields.insert("attestation".to_owned(), attestation.to_json());
                    }
                    screen::out_json(&json, output == Listing::Json)
                }
            }
        }
        FindingsCommand::Ack { id, config, note, by } => {
            let close = Close { state: FindingState::Acknowledged, reason: None, note, by };
            end(&config.config, &id, close).await
        }
        FindingsCommand::Close { id, config, reason, note, by } => {
            let reason = Some(reason.as_str().to_owned());
            end(&config.config, &id, Close { state: FindingState::Closed, reason, note, by }).await
        }
    }?;
    Ok(Exit::Done)
}

async fn end(config: &std::path::Path, id: &str, close: Close) -> anyhow::Result<()> {
    let store = attach(&Config::load(config)?.store.path).await?;
    let finding = usage_if_not_found(store.close_finding(id, &close, time::now()).await)?;
    screen::out(&format!("{} is {}\n", finding.id, finding.state.as_str()))
}

/// Prints findings in one of the listing's forms.
pub fn print(findings: &[Finding], output: Listing) -> anyhow::Result<()> {
    match output {
        Listing::Table => screen::out(&alerts::terminal::list(findings, screen::colour())),
        Listing::Json => {
            let all: Vec<_> = findings.iter().map(Finding::to_json).collect();
            screen::out_json(&serde_json::json!({ "schema_version": 1, "findings": all }), true)
        }
        Listing::Ndjson => findings.iter().try_for_each(|f| screen::out_json(&f.to_json(), false)),
    }
}
