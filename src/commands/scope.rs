//! `remit scope`: what manifests say, what is odd about them, what a change means, and a first draft.

mod diff;
mod explain;
mod init;
mod lint;

use crate::cli::{ScopeArgs, ScopeCommand};
use crate::config::Config;
use crate::exit::{Exit, Usage};
use std::path::{Path, PathBuf};

pub async fn run(command: ScopeCommand) -> anyhow::Result<Exit> {
    match command {
        ScopeCommand::Explain(args) => explain::run(&args).await,
        ScopeCommand::Lint(args) => lint::run(&args),
        ScopeCommand::Diff(args) => diff::run(&args),
        ScopeCommand::Init(args) => init::run(&args).await,
    }
}

/// The folders that a command looks at.
struct Folders {
    agents: PathBuf,
    policies: Option<PathBuf>,
    /// None where the folders were named without a configuration
    config: Option<Config>,
}

impl Folders {
    /// A folder that is named needs no configuration, and mixes with none.
    fn of(agents: Option<&Path>, policies: Option<&Path>, config: &Path) -> anyhow::Result<Folders> {
        if let Some(agents) = agents {
            return Ok(Folders {
                agents: agents.to_owned(),
                policies: policies.map(Path::to_owned),
                config: None,
            });
        }
        let loaded = Config::load(config)?;
        let Some(agents) = loaded.scope.agents.clone() else {
            return Err(Usage::error(format!(
                "`{}` names no folder of manifests: set `[scope] agents`, or name a folder",
                config.display()
            )));
        };
        let policies = policies.map(Path::to_owned).or_else(|| loaded.scope.policies.clone());
        Ok(Folders { agents, policies, config: Some(loaded) })
    }

    fn named(args: &ScopeArgs) -> anyhow::Result<Folders> {
        Folders::of(args.agents.as_deref(), args.policies.as_deref(), &args.config)
    }
}
