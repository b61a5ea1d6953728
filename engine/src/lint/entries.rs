//! Entries of a scope: those that can never decide, and those that allow changes by a wildcard

use super::record::is_production;
use super::{Level, Lint, SHADOWED_ALLOW, SHADOWED_DENY, WILDCARD_WRITE_IN_PROD, some_of};
use crate::manifest::Agent;
use crate::reference::{AccessLevel, Permission};
use crate::scope::{Entry, Grants, Meaning, Statement, idle};

pub(super) fn lints(agent: &Agent, entries: &[Meaning<'_>]) -> Vec<Lint> {
    let mut found: Vec<Lint> = Vec::new();
    for idle in idle(entries) {
        let rule = if idle.entry.kind == "deny" { SHADOWED_DENY } else { SHADOWED_ALLOW };
        let (message, fix) = match &idle.behind {
            Some(other) => (
                format!(
                    "`{}` can never decide: `{}` ({}) always decides before it",
                    idle.entry.text,
                    other.text,
                    other.place(),
                ),
                format!("take out one of the two, the {} that you do not mean", idle.entry.kind),
            ),
            None => (
                format!("`{}` means no permission: none can touch its resources", idle.entry.text),
                "take it out, or name the resources that its permissions are about".to_owned(),
            ),
        };
        let lint = Lint::of(rule, agent, idle.entry.line, message, fix);
        // A policy that is read as it stands may say a thing twice: nobody wrote it for us.
        let is_copied = idle.entry.text.starts_with("from ");
        found.push(if is_copied { lint.level(Level::Note) } else { lint });
    }
    if is_production(agent) {
        found.extend(wildcard_writes(agent, entries));
    }
    found
}

fn wildcard_writes(agent: &Agent, entries: &[Meaning<'_>]) -> Vec<Lint> {
    let changes = |known: &Permission| matches!(known.level, AccessLevel::Write | AccessLevel::Permissions);
    let mut found = Vec::new();
    for meaning in entries.iter().filter(|meaning| meaning.is_allow()) {
        let (statement, entry) = (meaning.statement, meaning.entry());
        let permissions: Vec<&Permission> =
            meaning.permissions.iter().copied().filter(|known| changes(known)).collect();
        let by_action: Vec<&str> = names(&permissions, |known| is_wild(statement, known));
        let anywhere = statement.resources.not || statement.resources.is_any();
        let by_resource: Vec<&str> = names(&permissions, |known| anywhere && !known.types.is_empty());
        let (what, named, level) = match (by_action.is_empty(), by_resource.is_empty()) {
            (true, true) => continue,
            (false, false) => ("by a wildcard, on any resource", &by_action, Level::Error),
            (false, true) => ("by a wildcard", &by_action, Level::Warning),
            (true, false) => ("on any resource", &by_resource, Level::Warning),
        };
        let message = format!(
            "`{}` allows {} something, {what}: {}",
            entry.text,
            count(named.len()),
            some_of(named, 5)
        );
        let fix = fix(&entry);
        let lint = Lint::of(WILDCARD_WRITE_IN_PROD, agent, entry.line, message, fix);
        found.push(lint.level(level).about(named.iter().copied()));
    }
    found
}

fn names<'a>(permissions: &[&'a Permission], wanted: impl Fn(&Permission) -> bool) -> Vec<&'a str> {
    permissions.iter().filter(|known| wanted(known)).map(|known| known.name.as_str()).collect()
}

/// Whether the entry means the permission only through a wildcard. A verb on a thing is no wildcard: it means what the
/// catalog says.
fn is_wild(statement: &Statement, known: &Permission) -> bool {
    match &statement.grants {
        Grants::Verb(verb) => verb.any,
        Grants::Named(actions) => {
            actions.not
                || !actions
                    .patterns
                    .iter()
                    .any(|one| one.is_exact() && one.as_str().eq_ignore_ascii_case(&known.name))
        }
    }
}

fn fix(entry: &Entry) -> &'static str {
    match &entry.verb {
        Some(_) => "name the resources, or a verb that says what is meant",
        None => {
            "name the permissions and the resources that are used: `remit scope init --from-observed` lists them"
        }
    }
}

fn count(permissions: usize) -> String {
    match permissions {
        1 => "1 permission that changes".to_owned(),
        many => format!("{many} permissions that change"),
    }
}
