//! `remit scope explain`: what a scope says, and what decided it.

use crate::assembly;
use crate::cli::ScopeCommand;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::screen;
use engine::grant::Grants;
use engine::manifest::Agent;
use engine::permission;
use engine::posture::identities_of;
use engine::scope::Verdict;
use policy::context::Context;
use std::fmt::Write;

pub fn run(command: ScopeCommand) -> anyhow::Result<Exit> {
    let ScopeCommand::Explain { agent, permission, resource, config } = command;
    let config = Config::load(&config.config)?;
    let (manifests, grants) = assembly::configured_scopes(&config)?;
    let Some(agent) = manifests.named(&agent) else {
        let known: Vec<&str> = manifests.agents.iter().map(|a| a.name.as_str()).collect();
        return Err(Usage::error(format!("no manifest declares `{agent}`. Known: {}", known.join(", "))));
    };
    if !permission.contains(':') {
        return Err(Usage::error(format!(
            "`{permission}` is no permission; write service:Action, for instance s3:GetObject"
        )));
    }
    if resource != "*" && !resource.starts_with("arn:") {
        return Err(Usage::error(format!(
            "`{resource}` is no ARN; write arn:..., or * for a permission that knows no resource"
        )));
    }
    let (text, verdict) = explain(agent, &grants, &permission, &resource)?;
    screen::out(&text)?;
    Ok(if verdict == Verdict::Out { Exit::Findings } else { Exit::Done })
}

fn explain(
    agent: &Agent,
    grants: &Grants,
    permission: &str,
    resource: &str,
) -> Result<(String, Verdict), std::fmt::Error> {
    let resources = if resource == "*" { vec![] } else { vec![resource.to_owned()] };
    let answer = agent.scope.verdict(permission, &resources, true, &Context::partial());
    let mut text = String::new();
    writeln!(text, "{} may use {permission} on {resource}?", agent.name)?;
    writeln!(text, "scope    {} ({})", answer.verdict, answer.reason)?;
    if let Some(statement) = &answer.statement {
        writeln!(text, "         decided by {statement}")?;
    }
    if !answer.missing.is_empty() {
        writeln!(text, "         would decide it: {}", answer.missing.join(", "))?;
    }
    writeln!(text, "manifest {}:{}", agent.file, agent.line)?;
    match permission::level(permission) {
        Some(level) => writeln!(text, "level    {}", level.as_str())?,
        None => writeln!(text, "level    not known: AWS publishes no permission of this name")?,
    }
    for identity in identities_of(agent, grants, std::iter::empty()) {
        let answer = grants.verdict(&identity, permission, &resources, true, &Context::partial());
        writeln!(text, "grant    {} for {identity} ({})", answer.grant.as_str(), answer.why)?;
    }
    Ok((text, answer.verdict))
}
