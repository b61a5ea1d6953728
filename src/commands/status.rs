//! `remit status`: is everything accounted for, and does the watch still see?

use super::attach;
use crate::canary::{FOUND, LOST, moment};
use crate::cli::{Listing, StatusArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::screen;
use crate::upkeep::DELIVERY_MEMORY;
use alerts::text::plain;
use engine::store::{Account, Watched};
use engine::time;
use serde_json::{Map, Value, json};
use std::fmt::Write;

const EXAMPLE_MAX: usize = 300;

pub async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let store = attach(&Config::load(&args.config.config)?.store.path).await?;
    let accounts = store.accounts(time::now(), DELIVERY_MEMORY).await?;
    let canary = Canary { found: store.watched(FOUND).await?, lost: store.watched(LOST).await? };
    match args.output {
        Listing::Table => screen::out(&table(&accounts, &canary))?,
        output => screen::out_json(&as_json(&accounts, &canary), output == Listing::Json)?,
    }
    let is_well = accounts.iter().all(Account::holds) && canary.loss().is_none();
    Ok(if is_well { Exit::Done } else { Exit::Findings })
}

struct Canary {
    found: Option<Watched>,
    lost: Option<Watched>,
}

impl Canary {
    /// How it was lost, if it was not found since.
    fn loss(&self) -> Option<&Watched> {
        let found = self.found.as_ref().map_or(i64::MIN, |found| found.at);
        self.lost.as_ref().filter(|lost| lost.at > found)
    }
}

fn table(accounts: &[Account], canary: &Canary) -> String {
    let mut out = String::new();
    for account in accounts {
        let identity = account.identity;
        // A part that is nothing says nothing, but the identity is to be seen as a sum.
        let some = identity.parts().iter().zip(&account.parts).filter(|(_, count)| **count != 0);
        let sum: Vec<String> =
            some.map(|(part, count)| format!("{count} {}", part.replace('_', " "))).collect();
        let sum = if sum.is_empty() { "0".to_owned() } else { sum.join(" + ") };
        let verdict = if account.holds() { "holds" } else { "BROKEN" };
        let _ = writeln!(
            out,
            "{:<10}  {verdict:<6}  {} {} = {sum}",
            identity.as_str(),
            account.whole,
            identity.whole()
        );
        if !account.holds() {
            let example = account.example.as_deref().map(|e| plain(e, EXAMPLE_MAX)).unwrap_or_default();
            let such = if example.is_empty() { String::new() } else { format!(", such as {example}") };
            let _ = writeln!(
                out,
                "                    {} unaccounted for{such}: a fault of remit; please report it",
                account.breaches
            );
        }
    }
    let (verdict, said) = match (canary.loss(), &canary.found) {
        (Some(lost), _) => ("LOST", format!("{}: {}", moment(lost.at), plain(&lost.detail, EXAMPLE_MAX))),
        (None, Some(found)) => {
            ("found", format!("{}, {}", moment(found.at), plain(&found.detail, EXAMPLE_MAX)))
        }
        (None, None) => ("-", "has not flown yet".to_owned()),
    };
    let _ = writeln!(out, "{:<10}  {verdict:<6}  {said}", "canary");
    out
}

fn as_json(accounts: &[Account], canary: &Canary) -> Value {
    let account = |account: &Account| {
        let parts: Map<String, Value> = account
            .identity
            .parts()
            .iter()
            .zip(&account.parts)
            .map(|(part, count)| ((*part).to_owned(), json!(count)))
            .collect();
        json!({
            "identity": account.identity.as_str(), "holds": account.holds(), "whole": account.whole, "parts": parts,
            "breaches": account.breaches, "example": account.example,
        })
    };
    let watched =
        |watched: Option<&Watched>| watched.map(|w| json!({"at": moment(w.at), "detail": w.detail}));
    json!({
        "schema_version": 1,
        "accounts": accounts.iter().map(account).collect::<Vec<_>>(),
        "canary": {
            "found": watched(canary.found.as_ref()), "lost": watched(canary.lost.as_ref()),
            "is_lost": canary.loss().is_some(),
        },
    })
}
