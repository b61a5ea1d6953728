//! `kind: Agent`: one agent's identities and scope

use std::path::Path;

use chrono::{NaiveDate, TimeDelta};

use super::catalog::{Catalog, doubt_about};
use super::identity::identity;
use super::reader::Reader;
use super::yaml::{Entry, Node, Shape};
use super::{Agent, Owner, UnparsedPolicy};
use crate::scope::{Grants, Kind, Scope, Statement};
use policy::aws::{Actions, Conditions, Effect, Policy, Resources};
use policy::wildcard::{ActionPattern, ArnPattern};

/// Longest policy file that we read.
const POLICY_BYTES_MAX: u64 = 256 * 1024;

/// What reading one agent needs to know beside the document.
pub(super) struct Setting<'a> {
    pub(super) catalog: &'a Catalog,
    /// The folder of the manifest: policies are named relative to it
    pub(super) folder: &'a Path,
    pub(super) today: NaiveDate,
}

#[derive(Default)]
struct Draft {
    statements: Vec<Statement>,
    bounds: Vec<String>,
    unread: Vec<String>,
    unparsed: Vec<(String, String)>,
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
    let mut agent = Agent {
        name: String::new(),
        description: None,
        environment: None,
        owner: Owner::default(),
        purpose: None,
        expires: None,
        identities: Vec::new(),
        scope: Scope::default(),
        file: reader.file.to_owned(),
        line: document.line,
    };
    let mut draft = Draft::default();
    let mut named = false;
    for entry in reader.map(document, "Agent", &["apiVersion", "kind", "metadata", "spec"]) {
        match entry.key.as_str() {
            "metadata" => {
                for field in reader.map(&entry.value, "metadata", &["name", "description", "links"]) {
                    match field.key.as_str() {
                        "name" => named = name(reader, field, &mut agent),
                        "description" => {
                            agent.description = reader.text(&field.value, "metadata.description")
                        }
                        _ => {
                            reader.entries(&field.value, "metadata.links");
                        }
                    }
                }
            }
            "spec" => {
                for field in reader.map(&entry.value, "spec", SPEC) {
                    spec(reader, field, setting, &mut agent, &mut draft);
                }
            }
            _ => {}
        }
    }
    if !named {
        if agent.name.is_empty() {
            reader.error(document.line, "`metadata.name` is missing: the agent needs a name");
        }
        return None;
    }
    if agent.identities.is_empty() {
        let message =
            "no identity here is judged yet, so no call is this agent's. Add `aws.role` or `aws.user`";
        reader.warn(document.line, "spec.identities", message);
    }
    let unparsed = draft
        .unparsed
        .iter()
        .map(|(file, reason)| UnparsedPolicy {
            subject: agent.name.clone(),
            file: file.clone(),
            reason: reason.clone(),
        })
        .collect();
    let missing = draft.unparsed.into_iter().map(|(file, _)| file).collect();
    agent.scope = Scope::new(draft.statements, draft.bounds, draft.unread, missing);
    Some((agent, unparsed))
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
            agent.expires = Some(date.to_string());
        }
        "identities" => {
            for item in reader.list(node, &place) {
                agent.identities.extend(identity(reader, item));
            }
        }
        "allow" | "deny" => {
            let kind = if field.key == "deny" { Kind::Deny } else { Kind::Allow };
            for item in reader.list(node, &place) {
                grant(reader, item, &place, kind, setting, draft);
            }
        }
        "approvals" => approvals(reader, field, setting, draft),
        "bounds" => bounds(reader, node, draft),
        "assume" => assume(reader, field, draft),
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

/// One entry of `allow`, `deny` or an approval's `grant`.
fn grant(
    reader: &mut Reader<'_>,
    item: &Node,
    place: &str,
    kind: Kind,
    setting: &Setting<'_>,
    draft: &mut Draft,
) {
    let verbs = setting.catalog.verbs();
    for entry in reader.entries(item, place) {
        match entry.key.as_str() {
            "aws" => draft.statements.extend(raw(reader, entry, kind)),
            "from" if kind == Kind::Allow => from(reader, entry, setting, draft),
            verb => match setting.catalog.actions(verb) {
                Some(actions) => {
                    for (line, object) in reader.texts(&entry.value, &format!("{place}.{verb}")) {
                        let meaning = match setting.catalog.meaning(&object, kind == Kind::Deny) {
                            Ok(meaning) => meaning,
                            Err(message) => {
                                reader.error(line, message);
                                continue;
                            }
                        };
                        if meaning.elsewhere {
                            continue;
                        }
                        draft.statements.push(Statement {
                            kind,
                            grants: Grants::Verb(actions.clone()),
                            resources: meaning.resources,
                            conditions: Conditions::default(),
                            unjudged: meaning.unjudged,
                            origin: format!("{}:{} {verb}: {object}", reader.file, line),
                        });
                    }
                }
                None => {
                    let mut known = verbs.clone();
                    known.push("aws");
                    if kind == Kind::Allow {
                        known.push("from");
                    }
                    reader.unknown_key(entry, place, &known);
                }
            },
        }
    }
}

/// `aws: {actions: [...], resources: [...]}`: raw permissions.
fn raw(reader: &mut Reader<'_>, entry: &Entry, kind: Kind) -> Option<Statement> {
    let mut kind = kind;
    let (mut actions, mut resources, mut unjudged) = (None, None, Vec::new());
    let faults = reader.errors.len();
    let keys = &["effect", "actions", "notActions", "resources", "notResources", "via", "conditions"];
    for field in reader.map(&entry.value, "aws", keys) {
        let place = format!("aws.{}", field.key);
        match field.key.as_str() {
            "effect" => match reader.text(&field.value, &place).as_deref() {
                Some("deny" | "Deny") => kind = Kind::Deny,
                Some("allow" | "Allow") if kind != Kind::Deny => {}
                Some(other) => reader.error(field.value.line, format!("`{other}` in `{place}`: an entry here can be `allow` or `deny`, and none below `deny` can allow")),
                None => {}
            },
            "actions" | "notActions" => {
                let mut patterns = Vec::new();
                for (line, text) in reader.texts(&field.value, &place) {
                    if !text.contains(':') && text != "*" {
                        reader.error(line, format!("`{text}` in `{place}` has no service. Write it like `s3:GetObject`"));
                        continue;
                    }
                    let pattern = ActionPattern::new(&text);
                    if let Some(doubt) = doubt_about(&pattern) {
                        reader.warn(line, place.clone(), doubt);
                    }
                    patterns.push(pattern);
                }
                if actions.replace(Actions { not: field.key == "notActions", patterns }).is_some() {
                    reader.error(field.line, "`actions` and `notActions` exclude each other");
                }
            }
            "resources" | "notResources" => {
                let mut patterns = Vec::new();
                for (line, text) in reader.texts(&field.value, &place) {
                    if text == "*" || text.starts_with("arn:") {
                        patterns.push(ArnPattern::with_variables(&text));
                    } else {
                        // `alias/tickets`: the log names the key behind it, by an id that only the account knows.
                        reader.warn(line, place.clone(), format!("`{text}` is no ARN and not judged yet: what hangs on it is unknown"));
                        unjudged.push(format!("{place}: {text}"));
                        patterns.push(ArnPattern::new("*"));
                    }
                }
                if resources.replace(Resources { not: field.key == "notResources", patterns }).is_some() {
                    reader.error(field.line, "`resources` and `notResources` exclude each other");
                }
            }
            _ => {
                reader.warn(field.line, place, "is not judged yet: what hangs on it is unknown");
                unjudged.push(field.key.clone());
            }
        }
    }
    let Some(actions) = actions.filter(|actions| !actions.patterns.is_empty()) else {
        if reader.errors.len() == faults {
            reader.error(entry.line, "`aws` needs `actions` or `notActions`");
        }
        return None;
    };
    let shown: Vec<&str> = actions.patterns.iter().map(ActionPattern::as_str).take(5).collect();
    let not = if actions.not { "not " } else { "" };
    let origin = format!("{}:{} aws: {not}{}", reader.file, entry.line, shown.join(", "));
    let resources = resources.unwrap_or_else(Resources::any);
    Some(Statement {
        kind,
        grants: Grants::Named(actions),
        resources,
        conditions: Conditions::default(),
        unjudged,
        origin,
    })
}

/// `from: {aws_policy: file}`: read as it stands.
fn from(reader: &mut Reader<'_>, entry: &Entry, setting: &Setting<'_>, draft: &mut Draft) {
    let fields = reader.map(
        &entry.value,
        "from",
        &["aws_policy", "terraform", "address", "azure_role", "scope", "gcp_role"],
    );
    for field in fields {
        let Some(text) = reader.text(&field.value, &format!("from.{}", field.key)) else { continue };
        match field.key.as_str() {
            "aws_policy" => match policy(&setting.folder.join(&text), &text) {
                Ok(policy) => draft.statements.extend(policy.statements.iter().map(|statement| Statement {
                    kind: if statement.effect == Effect::Deny { Kind::Deny } else { Kind::Allow },
                    grants: Grants::Named(statement.actions.clone()),
                    resources: statement.resources.clone(),
                    conditions: statement.conditions.clone(),
                    unjudged: Vec::new(),
                    origin: format!("{}:{} from {text}#{}", reader.file, field.line, statement.label()),
                })),
                Err(reason) => {
                    reader.warn(
                        field.line,
                        "from.aws_policy",
                        format!(
                            "`{text}` cannot be used, so every verdict of this agent is unknown: {reason}"
                        ),
                    );
                    draft.unparsed.push((text, format!("{}:{}: {reason}", reader.file, field.line)));
                }
            },
            "terraform" => {
                reader.warn(
                    field.line,
                    "from.terraform",
                    "is not read yet: what would be out of scope is unknown",
                );
                draft.unread.push("from.terraform".into());
            }
            "azure_role" | "gcp_role" => reader.warn(
                field.line,
                format!("from.{}", field.key),
                "is not read yet: it says nothing about calls in AWS",
            ),
            _ => {}
        }
    }
}

fn policy(path: &Path, name: &str) -> Result<Policy, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot read it: {error}"))?.len();
    if size > POLICY_BYTES_MAX {
        return Err(format!("longer than {POLICY_BYTES_MAX} bytes, which no policy is"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))?;
    Policy::parse(name, &text).map_err(|error| format!("{}: {}", error.place, error.reason))
}

/// Windows are not judged yet, so what they might allow is unknown.
fn approvals(reader: &mut Reader<'_>, field: &Entry, setting: &Setting<'_>, draft: &mut Draft) {
    for item in reader.list(&field.value, "spec.approvals") {
        for entry in reader.map(item, "spec.approvals", &["grant", "by", "ticket", "max"]) {
            if entry.key != "grant" {
                reader.texts(&entry.value, &format!("spec.approvals.{}", entry.key));
                continue;
            }
            let from = draft.statements.len();
            grant(reader, &entry.value, "spec.approvals.grant", Kind::Approval, setting, draft);
            for statement in draft.statements.iter_mut().skip(from) {
                statement.unjudged.push("approvals".into());
            }
        }
    }
    reader.warn(field.line, "spec.approvals", "windows are not judged yet: what they might allow is unknown");
}

fn bounds(reader: &mut Reader<'_>, node: &Node, draft: &mut Draft) {
    for entry in reader.map(node, "spec.bounds", &["regions", "hours", "networks", "session_max", "rate"]) {
        let place = format!("bounds.{}", entry.key);
        if entry.key == "rate" {
            reader.map(&entry.value, "spec.bounds.rate", &["calls_per_minute"]);
        } else {
            reader.texts(&entry.value, &format!("spec.{place}"));
        }
        reader.warn(
            entry.line,
            format!("spec.{place}"),
            "is not judged yet: what would be in scope is unknown",
        );
        draft.bounds.push(place);
    }
}

/// Hops are judged by themselves, later; a hop that is declared must not be out of scope meanwhile.
fn assume(reader: &mut Reader<'_>, field: &Entry, draft: &mut Draft) {
    for entry in reader.map(&field.value, "spec.assume", &["from", "to"]) {
        let place = format!("spec.assume.{}", entry.key);
        for (line, text) in if matches!(entry.value.shape, Shape::List(ref list) if list.is_empty()) {
            Vec::new()
        } else {
            reader.texts(&entry.value, &place)
        } {
            if entry.key != "to" {
                continue;
            }
            let pattern = if text.starts_with("arn:") { text.as_str() } else { "*" };
            draft.statements.push(Statement {
                kind: Kind::Allow,
                grants: Grants::Named(Actions {
                    not: false,
                    patterns: vec![ActionPattern::new("sts:AssumeRole")],
                }),
                resources: Resources { not: false, patterns: vec![ArnPattern::new(pattern)] },
                conditions: Conditions::default(),
                unjudged: vec!["assume.to".into()],
                origin: format!("{}:{line} assume to: {text}", reader.file),
            });
        }
    }
    reader.warn(field.line, "spec.assume", "hops are not judged yet: an AssumeRole that it names is unknown");
}
