//! One entry of `allow`, `deny` or an approval: a verb on a name, or raw permissions

use serde_json::{Map, Value};

use super::agent::{Draft, Setting};
use super::catalog::{Meaning, NoMeaning, doubt_about};
use super::elsewhere::{self, CLOUDS};
use super::from::from;
use super::reader::Reader;
use super::yaml::{Entry, Node};
use crate::cloud::Cloud;
use crate::scope::{Elsewhere, Grants, Kind, Statement};
use policy::aws::{Actions, Conditions, Resources};
use policy::wildcard::{ActionPattern, ArnPattern};

/// One entry of `allow`, `deny` or an approval's `grant`.
pub(super) fn grant(
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
            "aws" => draft.parts.statements.extend(raw(reader, entry, kind)),
            "azure" => draft.parts.elsewhere.extend(elsewhere::raw(reader, entry, Cloud::Azure, kind)),
            "gcp" => draft.parts.elsewhere.extend(elsewhere::raw(reader, entry, Cloud::Gcp, kind)),
            "from" if kind == Kind::Allow => from(reader, entry, setting, draft),
            verb => match setting.catalog.actions(verb) {
                Some(actions) => {
                    for (line, object) in reader.texts(&entry.value, &format!("{place}.{verb}")) {
                        let meaning = match setting.catalog.meaning(&object, kind == Kind::Deny) {
                            Ok(meaning) => meaning,
                            // A guide comes without a catalog: what it names may be anything until one says it.
                            Err(NoMeaning::Unnamed(message)) if setting.is_guide => {
                                let message =
                                    format!("{message}. Until one has it, what it decides is unknown");
                                reader.warn(line, format!("{place}.{verb}"), message);
                                Meaning::unjudged(format!("resources.{object}"))
                            }
                            Err(NoMeaning::Unnamed(message) | NoMeaning::Wrong(message)) => {
                                reader.error(line, message);
                                continue;
                            }
                        };
                        let origin = format!("{}:{} {verb}: {object}", reader.file, line);
                        draft.parts.elsewhere.extend(CLOUDS.into_iter().filter_map(|cloud| {
                            Some(Elsewhere {
                                kind,
                                cloud,
                                operations: vec![setting.catalog.operations(verb, cloud)?],
                                things: meaning.within(cloud)?,
                                approval: None,
                                unjudged: meaning.unjudged.clone(),
                                origin: origin.clone(),
                            })
                        }));
                        if meaning.resources.patterns.is_empty() {
                            continue;
                        }
                        let grants = Grants::Verb(actions.clone());
                        let statement = Statement::new(kind, grants, meaning.resources, origin);
                        draft.parts.statements.push(Statement { unjudged: meaning.unjudged, ..statement });
                    }
                }
                None => {
                    let mut known = verbs.clone();
                    known.extend(["aws", "azure", "gcp"]);
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
    let (mut actions, mut resources, unjudged) = (None, None, Vec::new());
    let (mut conditions, mut via, mut aliases) = (Conditions::default(), Vec::new(), Vec::new());
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
                    } else if text.starts_with("alias/") && field.key == "resources" {
                        // The log names the key behind it, by an id that only the account knows.
                        aliases.push(ActionPattern::new(&text));
                    } else {
                        reader.error(line, format!("`{text}` in `{place}` is neither an ARN, nor `*`, nor a key's `alias/...`"));
                    }
                }
                if resources.replace(Resources { not: field.key == "notResources", patterns }).is_some() {
                    reader.error(field.line, "`resources` and `notResources` exclude each other");
                }
            }
            "via" => via.extend(reader.texts(&field.value, &place).into_iter().map(|(_, service)| service)),
            _ => conditions = conditions_of(reader, field),
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
    let alone = if aliases.is_empty() { Resources::any() } else { Resources::default() };
    let resources = resources.filter(|one| !one.patterns.is_empty()).unwrap_or(alone);
    let statement = Statement::new(kind, Grants::Named(actions), resources, origin);
    Some(Statement { conditions, via, aliases, unjudged, ..statement })
}

/// `conditions: {StringEquals: {"aws:SourceVpc": vpc-1}}`: as a policy writes them.
fn conditions_of(reader: &mut Reader<'_>, field: &Entry) -> Conditions {
    let mut operators = Map::new();
    for operator in reader.entries(&field.value, "aws.conditions") {
        let mut tests = Map::new();
        for test in reader.entries(&operator.value, &format!("aws.conditions.{}", operator.key)) {
            let place = format!("aws.conditions.{}.{}", operator.key, test.key);
            let values = reader.texts(&test.value, &place).into_iter().map(|(_, text)| Value::String(text));
            tests.insert(test.key.clone(), Value::Array(values.collect()));
        }
        operators.insert(operator.key.clone(), Value::Object(tests));
    }
    match Conditions::read(&operators, true) {
        Ok(conditions) => conditions,
        Err((place, reason)) => {
            reader.error(field.line, format!("`aws.conditions.{place}` {reason}"));
            Conditions::default()
        }
    }
}
