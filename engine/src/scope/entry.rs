//! The entries of a scope in words: what each means, and what it says to one permission

use super::concern::concerns_within;
use super::verdict::Said;
use super::{Elsewhere, Grants, Kind, Operations, Scope, Statement};
use crate::cloud::Cloud;
use crate::reference;
use policy::context::Context;
use policy::wildcard::{ActionPattern, Match, Target};
use serde::Serialize;

/// One entry of a manifest, as it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `allow`, `deny` or `approval`
    pub kind: &'static str,
    /// `aws`, `azure`, `gcp`
    pub cloud: &'static str,
    /// The manifest's path
    pub file: String,
    /// From 1; 0 where no line is known
    pub line: u64,
    /// The entry's words: `read: customer_tickets`
    pub text: String,
    /// A verb of the catalog, where the entry uses one
    pub verb: Option<String>,
    /// The name that the verb is about
    pub name: Option<String>,
    /// Permission patterns and access levels (`level Read`) that it is about; `*` for all
    pub actions: Vec<String>,
    /// Those that the verb leaves out
    pub except: Vec<String>,
    /// It is about everything but `actions`
    pub not_actions: bool,
    /// Resource patterns
    pub resources: Vec<String>,
    /// It is about everything but `resources`
    pub not_resources: bool,
    /// Condition keys and keys of the manifest that it hangs on
    pub hangs_on: Vec<String>,
    /// What must be so of these, written so that the same means the same
    #[serde(skip)]
    pub circumstances: String,
}

/// What an entry says to one permission on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// It is meant
    Meant,
    /// What is not known decides: the keys
    Depends(Vec<String>),
    /// It is about other permissions
    OtherPermission,
    /// It means the permission, but none of its resources is of a kind that the permission can touch
    OtherKind,
    /// It means the permission, on other resources
    OtherResource,
    /// Its condition does not hold
    ConditionFails,
}

impl Says {
    /// The stable name, in snake_case.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Says::Meant => "meant",
            Says::Depends(_) => "depends",
            Says::OtherPermission => "other_permission",
            Says::OtherKind => "other_kind",
            Says::OtherResource => "other_resource",
            Says::ConditionFails => "condition_fails",
        }
    }
}

/// An entry with the known permissions that it is about.
pub(crate) struct Meaning<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) permissions: Vec<&'static reference::Permission>,
}

impl Meaning<'_> {
    pub(crate) fn is_allow(&self) -> bool {
        self.statement.kind == Kind::Allow
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry::of(self.statement)
    }
}

impl Entry {
    /// `agents/triage.yaml:22`
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    pub(super) fn of(statement: &Statement) -> Entry {
        let (file, line, text) = parts_of(&statement.origin);
        let (mut verb, mut name) = (None, None);
        let (mut actions, mut except, mut not_actions) = (Vec::new(), Vec::new(), false);
        match &statement.grants {
            Grants::Named(named) => {
                actions.extend(named.patterns.iter().map(|pattern| pattern.as_str().to_owned()));
                not_actions = named.not;
            }
            Grants::Verb(meaning) => {
                (verb, name) = text
                    .split_once(": ")
                    .map_or((None, None), |(verb, name)| (Some(verb.to_owned()), Some(name.to_owned())));
                if meaning.any {
                    actions.push("*".to_owned());
                }
                let named = |verb: &super::VerbActions| -> Vec<String> {
                    let levels = verb.levels.iter().map(|level| format!("level {}", level.as_str()));
                    levels.chain(verb.patterns.iter().map(|pattern| pattern.as_str().to_owned())).collect()
                };
                actions.extend(named(meaning));
                except.extend(meaning.except.iter().flat_map(named));
            }
        }
        let mut hangs_on = statement.unjudged.clone();
        hangs_on.extend(statement.keys().into_iter().map(str::to_owned));
        let mut resources: Vec<String> =
            statement.resources.patterns.iter().map(|one| one.as_str().to_owned()).collect();
        resources.extend(statement.aliases.iter().map(|alias| alias.as_str().to_owned()));
        Entry {
            kind: statement.kind.as_str(),
            file,
            line,
            text,
            verb,
            name,
            actions,
            except,
            not_actions,
            resources,
            not_resources: statement.resources.not,
            hangs_on,
            circumstances: format!("{:?} {:?} {:?}", statement.conditions, statement.via, statement.approval),
            cloud: Cloud::Aws.as_str(),
        }
    }

    pub(super) fn elsewhere(entry: &Elsewhere) -> Entry {
        let (file, line, text) = parts_of(&entry.origin);
        let own = |(verb, _): &(&str, &str)| !["azure", "gcp", "from"].contains(verb) && !verb.contains(' ');
        let (verb, name) = text
            .split_once(": ")
            .filter(own)
            .map_or((None, None), |(verb, name)| (Some(verb.to_owned()), Some(name.to_owned())));
        let words = |pick: fn(&Operations) -> &[ActionPattern]| -> Vec<String> {
            let patterns = entry.operations.iter().flat_map(pick);
            patterns.map(|pattern| pattern.as_str().to_owned()).collect()
        };
        let mut resources: Vec<String> = entry.things.iter().map(|one| one.as_str().to_owned()).collect();
        if resources.is_empty() {
            resources.push("*".to_owned());
        }
        Entry {
            kind: entry.kind.as_str(),
            cloud: entry.cloud.as_str(),
            file,
            line,
            verb,
            name,
            actions: words(|one| &one.any),
            except: words(|one| &one.except),
            not_actions: false,
            resources,
            not_resources: false,
            hangs_on: entry.unjudged.clone(),
            circumstances: format!("{:?}", entry.approval),
            text,
        }
    }
}

/// File, line and words of `agents/triage.yaml:22 read: customer_tickets`.
fn parts_of(origin: &str) -> (String, u64, String) {
    for (at, _) in origin.match_indices(':') {
        let Some((line, text)) = origin.get(at + 1..).and_then(|rest| rest.split_once(' ')) else { continue };
        if let Ok(line) = line.parse() {
            return (origin.get(..at).unwrap_or_default().to_owned(), line, text.to_owned());
        }
    }
    (String::new(), 0, origin.to_owned())
}

impl Scope {
    /// The entries as they were understood: about AWS in the manifest's order, then about other clouds.
    #[must_use]
    pub fn described(&self) -> Vec<Entry> {
        let aws = self.parts.statements.iter().map(Entry::of);
        aws.chain(self.parts.elsewhere.iter().map(Entry::elsewhere)).collect()
    }

    /// What each entry by itself says to a permission on a resource; `None`: the permission knows no resource.
    #[must_use]
    pub fn considered(
        &self,
        permission: &str,
        resource: Option<&str>,
        context: &Context,
    ) -> Vec<(Entry, Says)> {
        let target = Target::Exact(resource.unwrap_or("*"));
        let said = |statement| (Entry::of(statement), says(statement, permission, target, context));
        self.parts.statements.iter().map(said).collect()
    }

    /// Whether an approval is about the permission on some resource.
    #[must_use]
    pub fn approves(&self, permission: &str) -> bool {
        self.parts.statements.iter().any(|one| one.kind == Kind::Approval && one.covers(permission))
    }

    /// Every entry with the known permissions that it is about. Costly: to be asked once.
    pub(crate) fn meanings(&self) -> Vec<Meaning<'_>> {
        let meaning =
            |statement| Meaning { statement, permissions: Statement::permissions(statement).collect() };
        self.parts.statements.iter().map(meaning).collect()
    }
}

fn says(statement: &Statement, permission: &str, target: Target<'_>, context: &Context) -> Says {
    let about = match &statement.grants {
        Grants::Named(actions) => actions.matches(permission),
        Grants::Verb(verb) => verb.matches(permission),
    };
    if about == Match::No {
        return Says::OtherPermission;
    }
    if !concerns_within(&statement.resources, permission, matches!(statement.grants, Grants::Verb(_))) {
        return Says::OtherKind;
    }
    match statement.says(target, context) {
        Said::No if statement.finds(target, context).0 == Match::No => Says::OtherResource,
        Said::No => Says::ConditionFails,
        Said::Doubt(doubt) => Says::Depends(doubt.keys),
        Said::Yes => Says::Meant,
    }
}

#[cfg(test)]
mod tests {
    use super::parts_of;

    #[test]
    fn a_place_is_told_from_the_words() {
        let whole = |file: &str, line, text: &str| (file.to_owned(), line, text.to_owned());
        assert_eq!(parts_of("agents/a.yaml:22 read: tickets"), whole("agents/a.yaml", 22, "read: tickets"));
        assert_eq!(parts_of("a b:c.yaml:3 aws: s3:GetObject"), whole("a b:c.yaml", 3, "aws: s3:GetObject"));
        assert_eq!(parts_of("no place"), whole("", 0, "no place"));
    }
}
