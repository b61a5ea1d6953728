//! `remit scope init --from-observed`: first manifests from logs.

use crate::cli::InitArgs;
use crate::commands::attach;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::screen;
use anyhow::Context;
use chrono::Utc;
use engine::draft::{Draft, Observed, Seen, drafts};
use engine::manifest::{Caller, Manifests};
use engine::time;
use ingest::source::{DirectoryConfig, Next, Source, SourceConfig};
use ingest::{Limits, Redaction};
use policy::wildcard::{ArnPattern, Match, Target};
use std::io::{ErrorKind, Write};
use std::path::Path;
use tracing::warn;

pub async fn run(args: &InitArgs) -> anyhow::Result<Exit> {
    let since = args.since.map_or(i64::MIN, |length| {
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        time::now().saturating_sub(length)
    });
    let (observed, unread, configured) = if args.paths.is_empty() {
        let config = Config::load(&args.config)?;
        let uses = attach(&config.store.path).await?.uses().await?;
        warn!(
            "the store keeps no resources: the drafts allow every permission on any. Name PATHs of logs to have them"
        );
        (Observed::of_store(&uses, since), 0, config.scope.agents)
    } else {
        let (observed, unread) = read(args, since).await?;
        (observed, unread, None)
    };
    let agents = args.agents.as_ref().or(configured.as_ref());
    let manifests = match agents.filter(|dir| dir.is_dir()) {
        Some(dir) => Manifests::load(dir, Utc::now()).map_err(Usage::error)?,
        None => Manifests::default(),
    };
    let mut seen = observed.identities;
    let all = seen.len();
    seen.retain(|arn, seen| is_wanted(arn, seen, args, &manifests));
    if seen.is_empty() {
        return Err(Usage::error(format!(
            "{all} identities called, none of them a role without a manifest: name those to draft for with `--agent-identity`"
        )));
    }
    let drafts = drafts(&seen);
    match &args.out {
        Some(dir) => write(dir, &drafts)?,
        None => {
            let documents: Vec<&str> = drafts.iter().map(|draft| draft.yaml.as_str()).collect();
            screen::out(&documents.join("---\n"))?;
        }
    }
    let reviews: usize = drafts.iter().map(|draft| draft.reviews).sum();
    eprintln!(
        "{} drafts from {} events; {} other identities have none; {reviews} lines are marked REVIEW",
        drafts.len(),
        observed.events,
        all - drafts.len(),
    );
    if unread > 0 {
        eprintln!("{unread} records or files could not be read; nothing of them is in a draft");
    }
    Ok(if unread > 0 { Exit::Incomplete } else { Exit::Done })
}

/// Every event of the paths, and how many records and files could not be read.
async fn read(args: &InitArgs, since: i64) -> anyhow::Result<(Observed, u64)> {
    let (limits, redaction) = (Limits::default(), Redaction::default());
    let mut observed = Observed::default();
    let mut unread = 0;
    for path in &args.paths {
        let config = SourceConfig::Directory(DirectoryConfig::once(path));
        let mut source = Source::open(&config, &limits).await?;
        while let Some(next) = source.next().await? {
            let Next::Object(delivery) = next else { continue };
            let object = &delivery.object;
            let bytes = match source.fetch(object).await {
                Ok(bytes) => bytes,
                Err(cause) => {
                    warn!(object = %object.display(), %cause, "not read");
                    unread += 1;
                    delivery.ticket.acknowledge().await?;
                    continue;
                }
            };
            match ingest::read_object(object, &bytes, &limits, &redaction) {
                Ok(read) => {
                    unread += read.quarantined.len() as u64;
                    observed.read(&read.batch, since);
                }
                Err(cause) => {
                    warn!(object = %object.display(), %cause, "not read");
                    unread += 1;
                }
            }
            delivery.ticket.acknowledge().await?;
        }
        source.close().await;
    }
    observed.settle();
    Ok((observed, unread))
}

/// Those that were asked for; else whoever called itself an agent, and roles that neither people nor AWS itself sign in to.
fn is_wanted(arn: &str, seen: &Seen, args: &InitArgs, manifests: &Manifests) -> bool {
    if !args.agent_identity.is_empty() {
        let matches = |pattern: &String| ArnPattern::new(pattern).matches(Target::Exact(arn)) == Match::Yes;
        return args.agent_identity.iter().any(matches);
    }
    let claimed = manifests.agent(&Caller { actor: arn, ..Caller::default() }).is_some();
    let is_iam = arn.starts_with("arn:") && arn.split(':').nth(2) == Some("iam");
    let is_role = arn.contains(":role/")
        && !arn.contains(":role/aws-service-role/")
        && !arn.contains(":role/aws-reserved/");
    let is_user = arn.contains(":user/");
    is_iam && !claimed && (is_role || (is_user && seen.is_marked))
}

/// Never over a file: what a person wrote is worth more.
fn write(dir: &Path, drafts: &[Draft]) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make the folder `{}`", dir.display()))?;
    let paths: Vec<_> = drafts.iter().map(|draft| dir.join(format!("{}.yaml", draft.name))).collect();
    if let Some(taken) = paths.iter().find(|path| path.exists()) {
        return Err(Usage::error(format!(
            "`{}` exists already, and nothing was written: choose another `--out`",
            taken.display()
        )));
    }
    for (draft, path) in drafts.iter().zip(&paths) {
        let file = std::fs::File::options().write(true).create_new(true).open(path);
        let written = file.and_then(|mut file| file.write_all(draft.yaml.as_bytes()));
        if let Err(error) = written {
            let what = format!("cannot write `{}`", path.display());
            return Err(match error.kind() {
                ErrorKind::AlreadyExists => Usage::error(format!("{what}: it exists already")),
                _ => anyhow::Error::new(error).context(what),
            });
        }
        screen::out(&format!(
            "{}  {} permissions, {} to review\n",
            path.display(),
            draft.permissions,
            draft.reviews
        ))?;
    }
    Ok(())
}
