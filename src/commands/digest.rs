//! `remit digest`: what CloudTrail signed, held against what is there.

mod folder;
mod verdict;

use crate::cli::{DigestCommand, VerifyArgs, VerifyOutput};
use crate::exit::{Exit, Usage};
use crate::screen;
use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use folder::Folder;
use ingest::digest::{Digest, DigestName, KeyRing, Metadata, link, logs};
use ingest::public_keys;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
pub(super) use verdict::Verdict;

/// Most that a file of keys may have.
const KEYS_BYTES_MAX: u64 = 64 << 20;
/// Most regions that keys are asked of; AWS has fewer.
const REGIONS_MAX: usize = 100;

pub async fn run(command: DigestCommand) -> anyhow::Result<Exit> {
    match command {
        DigestCommand::Verify(args) => verify(args).await,
    }
}

async fn verify(args: VerifyArgs) -> anyhow::Result<Exit> {
    let root = args.root.clone();
    let folder = tokio::task::spawn_blocking(move || Folder::read(&root)).await??;
    if folder.digests.is_empty() {
        let root = args.root.display();
        return Err(Usage::error(format!(
            "no digest under `{root}`: it must hold <bucket>/<key>, as <bucket>/AWSLogs/<account>/CloudTrail-Digest/..."
        )));
    }
    let keys = match &args.keys {
        Some(file) => keys_of(file)?,
        None => ask_for_keys(&folder, args.endpoint_url.as_deref()).await?,
    };
    let since = args.from;
    let verdict = tokio::task::spawn_blocking(move || judge(&folder, &keys, since)).await?;
    match args.output {
        VerifyOutput::Json => screen::out_json(&verdict.to_json(), true),
        VerifyOutput::Table => screen::out(&verdict.to_text(screen::colour())),
    }?;
    let is_bad = verdict.is_invalid() || (args.fail_on_gap && verdict.has_gaps());
    Ok(if is_bad { Exit::Findings } else { Exit::Done })
}

/// What is to be said of a folder.
pub(super) fn verdict(root: &Path, keys: &KeyRing, since: Option<DateTime<Utc>>) -> anyhow::Result<Verdict> {
    Ok(judge(&Folder::read(root)?, keys, since))
}

fn judge(folder: &Folder, keys: &KeyRing, since: Option<DateTime<Utc>>) -> Verdict {
    let digests = folder::in_parallel(&folder.digests, |found| {
        let verified = found.metadata.clone().and_then(|metadata| {
            let bytes = found.file.bytes()?;
            Digest::verify(&found.file.place, &bytes, &metadata, keys)
        });
        (found.file.place.clone(), verified)
    });
    let linked = link(digests, since);
    let contents = folder::in_parallel(&folder.logs, |file| (file.place.clone(), file.content_sha256()));
    let judged = logs::judge(&linked, contents);
    Verdict { linked, judged, unread: folder.unread.clone() }
}

fn keys_of(path: &Path) -> anyhow::Result<KeyRing> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(KEYS_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read the keys in `{}`", path.display()))?;
    if bytes.len() as u64 > KEYS_BYTES_MAX {
        return Err(Usage::error(format!("`{}` has more than {KEYS_BYTES_MAX} bytes", path.display())));
    }
    KeyRing::parse(&bytes).map_err(|error| Usage::error(format!("`{}`: {error}", path.display())))
}

/// The keys of each region and of the time that its digests were signed in.
async fn ask_for_keys(folder: &Folder, endpoint_url: Option<&str>) -> anyhow::Result<KeyRing> {
    let mut times: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)> = BTreeMap::new();
    for found in &folder.digests {
        let Some(name) = found.file.place.digest_name() else { continue };
        let (from, until) = signed_in(&name, found.metadata.as_ref().ok());
        times
            .entry(name.chain.region)
            .and_modify(|known| *known = (known.0.min(from), known.1.max(until)))
            .or_insert((from, until));
    }
    if times.len() > REGIONS_MAX {
        return Err(Usage::error(format!(
            "digests of more than {REGIONS_MAX} regions; give the keys by --keys"
        )));
    }
    let mut ring = KeyRing::default();
    for (region, (from, until)) in times {
        let listed = public_keys::list(&region, from, until, endpoint_url).await;
        for key in listed.context("give the keys by --keys, or let the service be asked")? {
            ring.add(key)?;
        }
    }
    Ok(ring)
}

/// When a digest was signed: within two hours after its own, or when a backfill digest says.
fn signed_in(name: &DigestName, metadata: Option<&Metadata>) -> (DateTime<Utc>, DateTime<Utc>) {
    let hour = TimeDelta::hours(1);
    let backfilled = metadata.filter(|_| name.chain.backfill);
    match backfilled.and_then(|metadata| metadata.backfill_generated().ok()) {
        Some(generated) => (generated - hour, generated + hour),
        None => (name.end - hour, name.end + hour * 2),
    }
}
