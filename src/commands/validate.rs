//! `remit validate`: would `run` start, and with what?

use crate::assembly;
use crate::cli::ValidateArgs;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::screen;
use alerts::heartbeat::Heartbeat;
use alerts::receiver::Receiver;
use dashboards::Token;
use engine::judge::Plans;
use engine::store::{Durability, Store, StoreError};
use ingest::Limits;
use ingest::source::Source;

pub async fn run(args: ValidateArgs) -> anyhow::Result<Exit> {
    let config = Config::load(&args.config.config)?;
    screen::out(&format!(
        "configuration {}: {} sources, {} receivers\n",
        args.config.config.display(),
        config.sources.len(),
        config.alerts.receivers.len()
    ))?;
    let (manifests, grants) = assembly::configured_scopes(&config)?;
    let doubts = manifests.warnings.len() + manifests.unparsed.len() + grants.unparsed.len();
    screen::out(&format!(
        "scope         {} agents, {} identities with policies, {doubts} warnings\n",
        manifests.agents.len(),
        grants.identities().len()
    ))?;
    let unparsed = manifests.unparsed.len() + grants.unparsed.len();
    if unparsed > 0 {
        // `run` starts all the same: their answers are unknown, and everything else is watched.
        return Err(Usage::error(format!(
            "{unparsed} policies cannot be parsed; the warnings above say where"
        )));
    }
    let receivers = Receiver::build(config.alerts.receivers.clone()).map_err(Usage::error)?;
    screen::out(&format!("receivers     {} can be built\n", receivers.len()))?;
    if let Some(heartbeat) = &config.watch.heartbeat {
        Heartbeat::new(&heartbeat.url, heartbeat.method, config.web.listen).map_err(Usage::error)?;
        screen::out("heartbeat     can be built\n")?;
    }
    let token = Token::parse(&config.web.token).map_err(Usage::error)?;
    if token.is_none() && !config.web.listen.ip().is_loopback() {
        return Err(Usage::error(format!(
            "`[web] listen` is {}, off loopback, and there is no `[web] token`: `run` would not start",
            config.web.listen
        )));
    }
    let detections = assembly::detections()?;
    Plans::new(&detections)?;
    screen::out(&format!("detections    {} planned\n", detections.len()))?;
    if args.no_environment {
        return Ok(Exit::Done);
    }
    for source in &config.sources {
        Source::probe(source, &Limits::default()).await?;
        screen::out(&format!("source        {} answers\n", source.name()))?;
    }
    match Store::open(&config.store.path, Durability::Full).await {
        Ok(store) => store.close().await,
        // The service that it is meant for runs already.
        Err(StoreError::InUse { .. }) => {}
        Err(cause) => return Err(cause.into()),
    }
    screen::out(&format!("store         {} can be used\n", config.store.path.display()))?;
    Ok(Exit::Done)
}
