//! `remit config schema`: for editors.

use crate::cli::{ConfigCommand, SchemaOf};
use crate::config::Config;
use crate::exit::Exit;
use crate::screen;

pub fn run(command: ConfigCommand) -> anyhow::Result<Exit> {
    let ConfigCommand::Schema { of } = command;
    let schema = match of {
        SchemaOf::Agent => engine::manifest::schema(),
        SchemaOf::Config => serde_json::to_value(schemars::schema_for!(Config))?,
    };
    screen::out_json(&schema, true)?;
    Ok(Exit::Done)
}
