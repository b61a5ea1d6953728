//! The forms of published guides, taken as they stand: `roles` with permissions, and `rules` with conditions
//!
//! They have neither `apiVersion` nor `kind`, and are told by their top key. A role becomes an agent of its name; a rule
//! about identities that AI made becomes an agent of the rule's name; a rule about age is kept as a rule of life cycle.

mod condition;

use super::agent::{self, Draft, Setting};
use super::entry::grant;
use super::reader::{Reader, closest};
use super::yaml::{Entry, Node, Shape};
use super::{Agent, Identity, LifecycleRule, Signs, UnparsedPolicy};
use crate::scope::Kind;
use condition::Condition;

/// The tag by which the guides have identities marked that AI made.
/// An identity without it is nobody's, so that it cannot lend itself a scope by a name.
const AI_TAG: (&str, &str) = ("GeneratedBy", "AI");

/// Longest name of an agent.
const NAME_BYTES_MAX: usize = 128;

const KEYS: &[&str] = &["roles", "rules", "version", "name", "description"];

/// What one document declares.
#[derive(Default)]
pub(super) struct Guide {
    pub(super) agents: Vec<(Agent, Vec<UnparsedPolicy>)>,
    pub(super) lifecycle: Vec<LifecycleRule>,
}

/// Whether a document is one of these.
pub(super) fn is_one(entries: &[Entry]) -> bool {
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    !has("apiVersion") && !has("kind") && (has("roles") || has("rules"))
}

/// Reads one document. Faults go to the reader.
pub(super) fn read(reader: &mut Reader<'_>, document: &Node, setting: &Setting<'_>) -> Guide {
    let mut guide = Guide::default();
    for entry in reader.map(document, "document", KEYS) {
        match entry.key.as_str() {
            "roles" => {
                for role in reader.entries(&entry.value, "roles") {
                    guide.agents.extend(self::role(reader, role, setting));
                }
            }
            "rules" => {
                for item in reader.list(&entry.value, "rules") {
                    rule(reader, item, setting, &mut guide);
                }
            }
            _ => {
                reader.text(&entry.value, &entry.key);
            }
        }
    }
    guide
}

/// The agents that a document's roles declare, and the ARN patterns of their identities. Faults are told when it is read.
pub(super) fn identities_of(document: &Node) -> Vec<(String, Vec<String>)> {
    let Shape::Map(entries) = &document.shape else { return Vec::new() };
    if !is_one(entries) {
        return Vec::new();
    }
    let roles = entries.iter().find(|entry| entry.key == "roles").map(|entry| &entry.value.shape);
    let Some(Shape::Map(roles)) = roles else { return Vec::new() };
    let arns = |name: &str| named(name).into_iter().map(|identity| identity.arn).collect();
    roles.iter().map(|role| (role.key.clone(), arns(&role.key))).collect()
}

/// `OrderProcessor: {permissions: [{read: customer_orders}]}`: an agent that is the role, or the user, of that name.
fn role(
    reader: &mut Reader<'_>,
    entry: &Entry,
    setting: &Setting<'_>,
) -> Option<(Agent, Vec<UnparsedPolicy>)> {
    let place = format!("roles.{}", entry.key);
    let mut agent = agent::empty(reader.file, entry.line);
    let mut draft = Draft::default();
    for field in reader.map(&entry.value, &place, &["permissions", "description"]) {
        let place = format!("{place}.{}", field.key);
        match &field.value.shape {
            _ if field.key == "description" => agent.description = reader.text(&field.value, &place),
            // One map says the same as a list of maps with one key each.
            Shape::Map(_) => grant(reader, &field.value, &place, Kind::Allow, setting, &mut draft),
            _ => {
                for item in reader.list(&field.value, &place) {
                    grant(reader, item, &place, Kind::Allow, setting, &mut draft);
                }
            }
        }
    }
    // The name goes into patterns: a wildcard in it would claim the roles of others.
    if !is_plain(&entry.key) {
        reader.error(
            entry.line,
            format!(
                "`{}` in `roles` is no agent name: use at most {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`",
                entry.key
            ),
        );
        return None;
    }
    agent.name.clone_from(&entry.key);
    agent.identities = named(&entry.key);
    Some(agent::finish(agent, draft))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A role or user of a name, in any account and on any path.
fn named(name: &str) -> Vec<Identity> {
    let forms = ["role/", "role/*/", "user/", "user/*/"];
    let arns = forms.map(|form| format!("arn:aws:iam::*:{form}{name}"));
    arns.map(|arn| Identity { arn, session: None, accounts: Vec::new(), tag: None, signs: Signs::default() })
        .into()
}

/// Every role and user that has the tag.
fn tagged((key, value): (&str, &str)) -> Vec<Identity> {
    let identity = |form: &str| Identity {
        arn: format!("arn:aws:iam::*:{form}*"),
        session: None,
        accounts: Vec::new(),
        tag: Some((key.to_owned(), value.to_owned())),
        signs: Signs::default(),
    };
    vec![identity("role/"), identity("user/")]
}

/// `{name, condition, actions}`
fn rule(reader: &mut Reader<'_>, item: &Node, setting: &Setting<'_>, guide: &mut Guide) {
    let faults = reader.errors.len();
    let (mut name, mut description, mut condition, mut actions) = (None, None, None, None);
    for field in reader.map(item, "rules", &["name", "description", "condition", "actions"]) {
        let place = format!("rules.{}", field.key);
        match field.key.as_str() {
            "name" => name = reader.text(&field.value, &place),
            "description" => description = reader.text(&field.value, &place),
            "condition" => {
                let Some(text) = reader.text(&field.value, &place) else { continue };
                match Condition::parse(&text) {
                    Ok(found) => condition = Some(found),
                    Err(message) => reader.error(field.value.line, message),
                }
            }
            _ => actions = Some(&field.value),
        }
    }
    if reader.errors.len() > faults {
        return;
    }
    let (Some(condition), Some(actions)) = (condition, actions) else {
        reader.error(item.line, "a rule needs a `condition` and `actions`");
        return;
    };
    match condition {
        Condition::MadeByAi => {
            let shown = name.unwrap_or_else(|| "ai-generated".to_owned());
            let slug = slug(&shown);
            if slug.is_empty() {
                reader.error(item.line, format!("`{shown}` in `rules.name` has no letter and no digit"));
                return;
            }
            let mut agent = agent::empty(reader.file, item.line);
            agent.description = description.or(Some(shown).filter(|shown| *shown != slug));
            agent.name = slug;
            agent.identities = tagged(AI_TAG);
            let mut draft = Draft::default();
            scope(reader, actions, setting, &mut draft);
            let (key, value) = AI_TAG;
            reader.warn(
                item.line,
                "rules.condition",
                format!("is about tags: an identity counts as AI-generated where the policies folder shows its tag `{key}={value}`; without exports of it the rule is about nobody"),
            );
            guide.agents.push(agent::finish(agent, draft));
        }
        Condition::OlderThan { days } => {
            let name = name.unwrap_or_else(|| format!("older-than-{days}-days"));
            if let Some(action) = ending(reader, actions) {
                guide.lifecycle.push(LifecycleRule {
                    name,
                    older_than_days: days,
                    action,
                    file: reader.file.to_owned(),
                    line: item.line,
                });
            }
        }
    }
}

/// Lower-case letters and digits, joined by `-`.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= NAME_BYTES_MAX {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// `[{deny: "*"}, {allow: [read, write]}]`: what is allowed is carved out of `deny: "*"`, which is how every scope
/// begins anyway; a verb that is denied by its name is denied whatever allows it.
fn scope(reader: &mut Reader<'_>, actions: &Node, setting: &Setting<'_>, draft: &mut Draft) {
    let (mut denies_all, mut allows_all) = (None, None);
    for item in reader.list(actions, "rules.actions") {
        for entry in reader.map(item, "rules.actions", &["deny", "allow"]) {
            let place = format!("rules.actions.{}", entry.key);
            let kind = if entry.key == "deny" { Kind::Deny } else { Kind::Allow };
            let single = std::slice::from_ref(&entry.value);
            let listed = if let Shape::List(items) = &entry.value.shape { items } else { single };
            for item in listed {
                match &item.shape {
                    Shape::Text(verb) if verb == "*" && kind == Kind::Deny => denies_all = Some(item.line),
                    Shape::Text(verb) => {
                        if verb == "*" {
                            allows_all = Some(item.line);
                        }
                        verb_on_anything(reader, item.line, verb, &place, kind, setting, draft);
                    }
                    _ => grant(reader, item, &place, kind, setting, draft),
                }
            }
        }
    }
    if denies_all.is_some()
        && let Some(line) = allows_all
    {
        let message = "`allow: \"*\"` takes back `deny: \"*\"` whole, so the rule says nothing: name the verbs that are allowed";
        reader.error(line, message);
    }
}

/// `read` is `read: "*"`.
fn verb_on_anything(
    reader: &mut Reader<'_>,
    line: u64,
    verb: &str,
    place: &str,
    kind: Kind,
    setting: &Setting<'_>,
    draft: &mut Draft,
) {
    if setting.catalog.actions(verb).is_none() {
        let known = setting.catalog.verbs();
        let guess =
            closest(verb, &known).map(|guess| format!(" Did you mean `{guess}`?")).unwrap_or_default();
        let known = known.join(", ");
        reader.error(line, format!("`{verb}` in `{place}` is no verb.{guess} Known verbs: {known}"));
        return;
    }
    let anything = Node { line, shape: Shape::Text("*".to_owned()) };
    let entry = Entry { key: verb.to_owned(), line, value: anything };
    grant(reader, &Node { line, shape: Shape::Map(vec![entry]) }, place, kind, setting, draft);
}

/// `[{delete: true}]`: what shall become of an identity. `None` where nothing is asked for, or it is wrong.
fn ending(reader: &mut Reader<'_>, actions: &Node) -> Option<String> {
    let mut asked = None;
    for item in reader.list(actions, "rules.actions") {
        for entry in reader.map(item, "rules.actions", &["delete", "disable", "review"]) {
            let place = format!("rules.actions.{}", entry.key);
            let text = reader.text(&entry.value, &place)?;
            match text.as_str() {
                "true" if asked.is_none() => asked = Some(entry.key.clone()),
                "true" => {
                    reader.error(entry.line, "a rule about age asks for one action: make it two rules");
                    return None;
                }
                "false" => {}
                _ => {
                    reader.error(entry.line, format!("`{text}` in `{place}` is neither true nor false"));
                    return None;
                }
            }
        }
    }
    if asked.is_none() {
        reader.error(actions.line, "a rule about age needs an action: write `actions: [{delete: true}]`");
    }
    asked
}

#[cfg(test)]
mod tests;
