//! `kind: Agent`: one agent's identities and scope

use std::path::Path;

use chrono::{NaiveDate, TimeDelta};

use super::approval::{Granted, approvals};
use super::catalog::Catalog;
use super::entry::grant;
use super::identity::identity;
use super::limits::{assume, bounds, expected_denials};
use super::reader::Reader;
use super::yaml::{Entry, Node, Shape};
use super::{Agent, Assume, Identity, Owner, Reference, UnparsedPolicy};
use crate::cloud::Cloud;
use crate::scope::{Bounds, Kind, Parts, Scope};
use crate::time::parse_rfc3339;
use std::collections::BTreeMap;

/// What reading one agent needs to know beside the document.
pub(super) struct Setting<'a> {
    pub(super) catalog: &'a Catalog,
    /// The folder of the manifest: policies are named relative to it
    pub(super) folder: &'a Path,
    pub(super) today: NaiveDate,
    /// The windows of every `kind: Approval`
    pub(super) approvals: &'a [Granted],
    /// ARN patterns of every declared agent
    pub(super) identities: &'a BTreeMap<String, Vec<String>>,
    /// The document is a published guide's
    pub(super) is_guide: bool,
}

/// An agent's scope while it is read.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) parts: Parts,
    /// Cloud, file and reason
    pub(super) unparsed: Vec<(Cloud, String, String)>,
    /// Files that were read for it
    pub(super) references: Vec<Reference>,
}

const SPEC: &[&str] = &[
    "owner",
    "environment",
    "purpose",
    "review",
    "expires",
    "identities",
    "allow",
    "approvals",
    "deny",
    "expected_denials",
    "bounds",
    "assume",
    "tools",
    "baseline",
    "alerts",
];

/// Reads one document; `None` where it has no usable name. Faults go to the reader.
pub(super) fn read(
    reader: &mut Reader<'_>,
    document: &Node,
    setting: &Setting<'_>,
) -> Option<(Agent, Vec<UnparsedPolicy>)> {
    let mut agent = empty(reader.file, document.line);
    let mut draft = Draft::default();
    let mut named = false;
    let parts = reader.map(document, "Agent", &["apiVersion", "kind", "metadata", "spec"]);
    for entry in parts.iter().filter(|entry| entry.key == "metadata") {
        for field in reader.map(&entry.value, "metadata", &["name", "description", "links"]) {
            match field.key.as_str() {
                "name" => named = name(reader, field, &mut agent),
                "description" => agent.description = reader.text(&field.value, "metadata.description"),
                _ => {
                    reader.entries(&field.value, "metadata.links");
                }
            }
        }
    }
    // Its name first: approvals are given to it.
    for entry in parts.iter().filter(|entry| entry.key == "spec") {
        for field in reader.map(&entry.value, "spec", SPEC) {
            spec(reader, field, setting, &mut agent, &mut draft);
        }
    }
    if !named {
        if agent.name.is_empty() {
            reader.error(document.line, "`metadata.name` is missing: the agent needs a name");
        }
        return None;
    }
    if !agent.is_recognisable() {
        let message = "no identity here matches a call, so no call is this agent's. Add `aws.role` or another that a log names";
        reader.warn(document.line, "spec.identities", message);
    }
    Some(finish(agent, draft))
}

/// The agent with its scope, and the policies that cannot be read.
pub(super) fn finish(mut agent: Agent, mut draft: Draft) -> (Agent, Vec<UnparsedPolicy>) {
    let unparsed = draft
        .unparsed
        .iter()
        .map(|(_, file, reason)| UnparsedPolicy {
            subject: agent.name.clone(),
            file: file.clone(),
            reason: reason.clone(),
        })
        .collect();
    draft.parts.unparsed.extend(draft.unparsed.into_iter().map(|(cloud, file, _)| (cloud, file)));
    draft.references.sort();
    draft.references.dedup();
    agent.references = draft.references;
    agent.scope = Scope::new(draft.parts);
    (agent, unparsed)
}

/// An agent of which only its place is known.
pub(super) fn empty(file: &str, line: u64) -> Agent {
    Agent {
        name: String::new(),
        description: None,
        environment: None,
        owner: Owner::default(),
        purpose: None,
        expires: None,
        identities: Vec::new(),
        principals: Vec::new(),
        bounds: Bounds::default(),
        assume: Assume::default(),
        scope: Scope::default(),
        references: Vec::new(),
        file: file.to_owned(),
        line,
    }
}

/// The name of the agent that a document declares, and the ARN patterns of its identities. Faults are told when it is read.
pub(super) fn identities_of(document: &Node) -> Option<(String, Vec<String>)> {
    let mut reader = Reader::new("");
    let field = |node: &Node, key: &str| match &node.shape {
        Shape::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone()),
        _ => None,
    };
    let name = field(&field(document, "metadata")?, "name")?;
    let name = reader.text(&name, "metadata.name")?;
    let identities = field(document, "spec").and_then(|spec| field(&spec, "identities"));
    let items = identities.map(|list| reader.list(&list, "spec.identities").to_vec()).unwrap_or_default();
    let found = items.iter().filter_map(|item| identity(&mut reader, item).0);
    Some((name, found.flat_map(|one| in_accounts(&one)).collect()))
}

/// The ARN pattern of an identity, once for each account that it is narrowed to.
fn in_accounts(identity: &Identity) -> Vec<String> {
    let parts: Vec<&str> = identity.arn.splitn(6, ':').collect();
    match parts[..] {
        [arn, partition, iam, region, "*", name] if !identity.accounts.is_empty() => {
            let one = |account: &String| [arn, partition, iam, region, account, name].join(":");
            identity.accounts.iter().map(one).collect()
        }
        _ => vec![identity.arn.clone()],
    }
}

/// Names reach labels, links and file names: letters, digits, `-`, `_` and `.`.
fn name(reader: &mut Reader<'_>, field: &Entry, agent: &mut Agent) -> bool {
    let Some(name) = reader.text(&field.value, "metadata.name") else { return false };
    let plain = name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !plain {
        reader.error(
            field.value.line,
            format!("`{name}` is no agent name: use at most 128 letters, digits, `-`, `_` and `.`"),
        );
    }
    agent.name = name;
    plain
}

fn spec(reader: &mut Reader<'_>, field: &Entry, setting: &Setting<'_>, agent: &mut Agent, draft: &mut Draft) {
    let place = format!("spec.{}", field.key);
    let node = &field.value;
    match field.key.as_str() {
        "owner" => agent.owner = owner(reader, node),
        "environment" => agent.environment = reader.text(node, &place),
        "purpose" => agent.purpose = reader.text(node, &place),
        "review" => review(reader, field, setting.today),
        "expires" => {
            let Some(date) = date(reader, node, &place) else { return };
            if date < setting.today {
                reader.warn(
                    field.line,
                    place,
                    format!("the manifest expired on {date}. Review it and set a new date"),
                );
            }
            // A day belongs to it whole.
            let after = date.checked_add_signed(TimeDelta::days(1)).map(|after| format!("{after}T00:00:00Z"));
            draft.parts.expires = after.and_then(|after| parse_rfc3339(&after));
            agent.expires = Some(date.to_string());
        }
        "identities" => {
            for item in reader.list(node, &place) {
                let (own, elsewhere) = identity(reader, item);
                agent.identities.extend(own);
                agent.principals.extend(elsewhere);
            }
        }
        "allow" | "deny" => {
            let kind = if field.key == "deny" { Kind::Deny } else { Kind::Allow };
            for item in reader.list(node, &place) {
                grant(reader, item, &place, kind, setting, draft);
            }
        }
        "approvals" => approvals(reader, field, setting, &agent.name, draft),
        "expected_denials" => expected_denials(reader, node, setting, draft),
        "bounds" => agent.bounds = bounds(reader, node),
        "assume" => assume(reader, field, setting, agent, draft),
        "tools" => {
            reader.texts(node, &place);
            reader.warn(field.line, place, "is not used yet: it changes no verdict");
        }
        "baseline" => {
            reader.map(node, &place, &["learn", "sensitivity", "seasonality"]);
            reader.warn(field.line, place, "is not used yet: it changes no verdict");
        }
        "alerts" => {
            reader.map(node, &place, &["route", "notify_owner"]);
            reader.warn(field.line, place, "is not used yet: it changes no verdict");
        }
        _ => {}
    }
}

fn owner(reader: &mut Reader<'_>, node: &Node) -> Owner {
    if let Shape::Text(team) = &node.shape {
        return Owner { team: Some(team.clone()), ..Owner::default() };
    }
    let mut owner = Owner::default();
    for field in reader.map(node, "spec.owner", &["team", "slack", "oncall"]) {
        let text = reader.text(&field.value, &format!("spec.owner.{}", field.key));
        match field.key.as_str() {
            "team" => owner.team = text,
            "slack" => owner.slack = text,
            _ => owner.oncall = text,
        }
    }
    owner
}

fn date(reader: &mut Reader<'_>, node: &Node, place: &str) -> Option<NaiveDate> {
    let text = reader.text(node, place)?;
    // A timestamp's day counts.
    let day = text.get(..10).unwrap_or(&text);
    let date = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok();
    if date.is_none() {
        reader.error(node.line, format!("`{text}` in `{place}` is no date. Write it like 2027-03-31"));
    }
    date
}

fn review(reader: &mut Reader<'_>, field: &Entry, today: NaiveDate) {
    let (mut every, mut last) = (None, None);
    for entry in reader.map(&field.value, "spec.review", &["every", "last", "by"]) {
        let place = format!("spec.review.{}", entry.key);
        match entry.key.as_str() {
            "last" => last = date(reader, &entry.value, &place),
            "every" => {
                let Some(text) = reader.text(&entry.value, &place) else { continue };
                every = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
                if every.is_none() {
                    reader.error(
                        entry.value.line,
                        format!("`{text}` in `{place}` is no number of days. Write it like 90d"),
                    );
                }
            }
            _ => {
                reader.text(&entry.value, &place);
            }
        }
    }
    let due =
        every.zip(last).and_then(|(every, last)| last.checked_add_signed(TimeDelta::days(i64::from(every))));
    if let Some(due) = due.filter(|due| *due < today) {
        reader.warn(
            field.line,
            "spec.review",
            format!("the review was due on {due}. Review the manifest and set `last`"),
        );
    }
}
