//! `remit silence`: of what nobody wants to be told, for how long and why.

use super::{attach, usage_if_not_found};
use crate::cli::{Listing, SilenceCommand};
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::screen;
use engine::store::Silence;
use engine::time::{self, rfc3339};
use serde_json::json;
use std::time::Duration;

/// A silence that outlives a month is a decision that nobody remembers.
const LENGTH_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

pub async fn run(command: SilenceCommand) -> anyhow::Result<Exit> {
    match command {
        SilenceCommand::Add { config, matchers, author, reason, length } => {
            if length > LENGTH_MAX || length.is_zero() {
                return Err(Usage::error(
                    "a silence lasts more than nothing and at most 30d; add it again when it ends",
                ));
            }
            if reason.trim().is_empty() || author.trim().is_empty() {
                return Err(Usage::error("a silence needs an author and a reason: --author, --reason"));
            }
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            let now = time::now();
            let length = length.as_micros() as i64;
            let silence = store.add_silence(&matchers, &author, &reason, now, now + length, now).await?;
            screen::out(&format!("{} until {}\n", silence.id, rfc3339(silence.ends_at)))?;
        }
        SilenceCommand::List { config, output } => {
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            print(&store.silences().await?, output)?;
        }
        SilenceCommand::Expire { id, config } => {
            let store = attach(&Config::load(&config.config)?.store.path).await?;
            usage_if_not_found(store.expire_silence(&id, time::now()).await)?;
            screen::out(&format!("{id} ended\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn print(silences: &[Silence], output: Listing) -> anyhow::Result<()> {
    let now = time::now();
    let state = |s: &Silence| if s.ends_at > now { "active" } else { "ended" };
    let matchers = |s: &Silence| {
        let all: Vec<String> = s.matchers.iter().map(|m| format!("{}={}", m.label, m.value)).collect();
        all.join(" ")
    };
    let json = |s: &Silence| {
        json!({
            "id": s.id, "state": state(s), "matchers": s.matchers, "author": s.author, "reason": s.reason,
            "starts": rfc3339(s.starts_at), "ends": rfc3339(s.ends_at),
        })
    };
    match output {
        Listing::Json => {
            let all: Vec<_> = silences.iter().map(json).collect();
            screen::out_json(&json!({ "schema_version": 1, "silences": all }), true)
        }
        Listing::Ndjson => silences.iter().try_for_each(|s| screen::out_json(&json(s), false)),
        Listing::Table if silences.is_empty() => screen::out("no silences\n"),
        Listing::Table => silences.iter().try_for_each(|s| {
            screen::out(&format!(
                "{}  {:6}  until {}  {}  ({}: {})\n",
                s.id,
                state(s),
                rfc3339(s.ends_at),
                matchers(s),
                s.author,
                s.reason
            ))
        }),
    }
}
