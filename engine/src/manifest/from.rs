//! `from:`: policies and roles that a manifest refers to, read as they stand

mod azure;
mod gcp;
mod source;
mod terraform;

use super::agent::{Draft, Setting};
use super::reader::Reader;
use super::yaml::Entry;
use crate::scope::{Cloud, Elsewhere, Grants, Kind, Statement, Thing};
use policy::aws::{Effect, Policy};
use source::Source;
pub(super) use terraform::is_candidate;

/// Longest policy or role file that we read. AWS takes 10 KiB of policy; the longest published role has 300 KiB.
const POLICY_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Where permissions can come from; one entry names one.
const SOURCES: [&str; 4] = ["aws_policy", "terraform", "azure_role", "gcp_role"];

const NO_PLACE: &str = "a policy in AWS names its resources itself: take `scope` out of `from`";

/// Why a source says nothing.
enum Problem {
    /// It is there and cannot be understood: everything in its cloud is unknown
    Unparsed(String),
    /// It is not there yet, or only by name: what would be out in its cloud is unknown
    Unread(String),
}

/// What a manifest's `from` says, before anything is read.
struct Reference<'a> {
    /// `terraform`
    source: &'a str,
    /// File, folder or name, as written
    named: String,
    line: u64,
    /// The resource's address in Terraform
    address: Option<String>,
    /// Where the role is given: `/subscriptions/8d0f...`, `projects/acme-ops`
    place: Option<String>,
}

impl Reference<'_> {
    /// `from.terraform`
    fn key(&self) -> String {
        format!("from.{}", self.source)
    }

    /// `../tf aws_iam_role_policy.janitor`
    fn shown(&self) -> String {
        match &self.address {
            Some(address) => format!("{} {address}", self.named),
            None => self.named.clone(),
        }
    }

    fn origin(&self, reader: &Reader<'_>, part: &str) -> String {
        format!("{}:{} from {}#{part}", reader.file, self.line, self.shown())
    }
}

/// `from: {aws_policy: FILE}`, `{terraform: PATH, address: ADDRESS}`, `{azure_role: FILE, scope: SCOPE}` or
/// `{gcp_role: FILE or NAME, resource: PLACE}`.
pub(super) fn from(reader: &mut Reader<'_>, entry: &Entry, setting: &Setting<'_>, draft: &mut Draft) {
    let Some(reference) = written(reader, entry) else { return };
    let mut source = Source::new(setting.folder);
    let (cloud, read) = match reference.source {
        "aws_policy" => (Cloud::Aws, aws_policy(reader, &mut source, &reference, draft)),
        "azure_role" => (Cloud::Azure, azure::role(reader, &mut source, &reference, draft)),
        "gcp_role" => (Cloud::Gcp, gcp::role(reader, &mut source, &reference, draft)),
        _ => match terraform::Wanted::of(reference.address.as_deref().unwrap_or_default()) {
            Ok(wanted) if wanted.cloud() == Cloud::Aws && reference.place.is_some() => {
                return reader.error(reference.line, NO_PLACE);
            }
            Ok(wanted) => (wanted.cloud(), terraform::read(reader, &mut source, &reference, &wanted, draft)),
            Err(reason) => return reader.error(reference.line, reason),
        },
    };
    draft.references.append(&mut source.read);
    let shown = reference.shown();
    match read {
        Ok(()) => {}
        Err(Problem::Unread(reason)) => {
            let message = format!(
                "`{shown}` is not read, so what would be out of scope in {cloud} is unknown: {reason}"
            );
            reader.warn(reference.line, reference.key(), message);
            draft.parts.unread.push((cloud, shown));
        }
        Err(Problem::Unparsed(reason)) => {
            let message = format!(
                "`{shown}` cannot be used, so every verdict of this agent in {cloud} is unknown: {reason}"
            );
            reader.warn(reference.line, reference.key(), message);
            draft.unparsed.push((cloud, shown, format!("{}:{}: {reason}", reader.file, reference.line)));
        }
    }
}

/// Reads the map; what is wrong with it is told.
fn written<'e>(reader: &mut Reader<'_>, entry: &'e Entry) -> Option<Reference<'e>> {
    let faults = reader.errors.len();
    let (mut source, mut address, mut place) = (None::<Reference<'e>>, None, None);
    let keys = [&SOURCES[..], &["address", "scope", "resource"]].concat();
    for field in reader.map(&entry.value, "from", &keys) {
        let Some(text) = reader.text(&field.value, &format!("from.{}", field.key)) else { continue };
        let text = (field.line, text);
        match field.key.as_str() {
            "address" => address = Some(text),
            "scope" | "resource" if place.is_some() => {
                reader.error(field.line, "`scope` and `resource` are one thing in `from`: write one of them");
            }
            "scope" | "resource" => place = Some(text),
            key if source.is_some() => {
                let named = source.as_ref().map_or("", |source| source.source);
                reader.error(
                    field.line,
                    format!("`from` names one source: make `{named}` and `{key}` two entries"),
                );
            }
            key => {
                let (line, named) = text;
                source = Some(Reference { source: key, named, line, address: None, place: None });
            }
        }
    }
    if reader.errors.len() > faults {
        return None;
    }
    let Some(mut source) = source else {
        reader.error(entry.line, format!("`from` names no source. Write one of {}", SOURCES.join(", ")));
        return None;
    };
    let is_terraform = source.source == "terraform";
    match &address {
        Some((line, _)) if !is_terraform => {
            reader.error(*line, "`address` goes with `terraform` in `from`");
            return None;
        }
        None if is_terraform => {
            let message = "`from.terraform` needs an `address`, like `aws_iam_role_policy.janitor`";
            reader.error(source.line, message);
            return None;
        }
        _ => {}
    }
    if let Some((line, _)) = &place
        && source.source == "aws_policy"
    {
        reader.error(*line, NO_PLACE);
        return None;
    }
    source.address = address.map(|(_, text)| text);
    source.place = place.map(|(_, text)| text);
    Some(source)
}

fn aws_policy(
    reader: &Reader<'_>,
    source: &mut Source<'_>,
    reference: &Reference<'_>,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let text = source.file(&reference.named, POLICY_BYTES_MAX)?;
    policy(reader, reference, "", &text, draft)
}

/// Takes every statement of a policy in. `inner`: its name, where its source holds several.
fn policy(
    reader: &Reader<'_>,
    reference: &Reference<'_>,
    inner: &str,
    text: &str,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let policy = Policy::parse(&reference.named, text)
        .map_err(|error| Problem::Unparsed(format!("{inner}{}: {}", error.place, error.reason)))?;
    draft.parts.statements.extend(policy.statements.iter().map(|statement| {
        let kind = if statement.effect == Effect::Deny { Kind::Deny } else { Kind::Allow };
        let origin = reference.origin(reader, &format!("{inner}{}", statement.label()));
        let grants = Grants::Named(statement.actions.clone());
        Statement {
            conditions: statement.conditions.clone(),
            ..Statement::new(kind, grants, statement.resources.clone(), origin)
        }
    }));
    Ok(())
}

/// A role's entry, without what it grants.
fn entry_of(cloud: Cloud, things: Vec<Thing>, origin: String) -> Elsewhere {
    Elsewhere {
        kind: Kind::Allow,
        cloud,
        operations: Vec::new(),
        things,
        approval: None,
        unjudged: Vec::new(),
        origin,
    }
}

#[cfg(test)]
mod tests;
