//! What a person should look at in manifests and policies, before any call is judged by them
//!
//! Pure: the same files and the same day give the same list, so that a run in a pull request says what a run on a
//! laptop said.

mod entries;
mod granted;
mod identities;
mod reading;
mod record;
mod sarif;

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::Serialize;

use crate::grant::Grants;
use crate::manifest::{Agent, ManifestError, Manifests};
pub use sarif::sarif;

/// How bad it is. The words are SARIF's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing
    Note,
    /// Somebody should look
    Warning,
    /// Agents are judged wrongly, or not at all
    Error,
}

impl Level {
    /// `note`, `warning`, `error`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        [Level::Note, Level::Warning, Level::Error]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no level. Known: note, warning, error"))
    }
}

/// One thing that is looked for. Ids are for good: people switch them off by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `unknown-action`
    pub id: &'static str,
    /// What it is about, in one line
    pub about: &'static str,
    /// Why it matters
    pub help: &'static str,
    /// How bad it usually is
    pub level: Level,
}

macro_rules! rules {
    ($($name:ident $id:literal $level:ident $about:literal $help:literal)*) => {
        $(pub(crate) const $name: &Rule = &Rule { id: $id, about: $about, help: $help, level: Level::$level };)*
        /// Every rule, in the order in which documents list them.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    MANIFEST_INVALID "manifest-invalid" Error
        "a manifest cannot be read"
        "remit does not start with it, or keeps the one it had"
    UNKNOWN_RESOURCE "unknown-resource" Error
        "a name is in no ResourceCatalog"
        "an entry about nothing allows and denies nothing"
    OVERLAPPING_IDENTITY "overlapping-identity" Warning
        "two agents claim the same identity"
        "a call belongs to one agent; where two match, the more specific identity wins, else the first name"
    POLICY_UNPARSED "policy-unparsed" Error
        "a policy cannot be read"
        "what it decides is unknown: no alert says that it allowed a call, and none that it did not"
    UNKNOWN_ACTION "unknown-action" Warning
        "a permission is none that the cloud publishes"
        "a slip of the finger in a deny denies nothing"
    UNKNOWN_ROLE "unknown-role" Warning
        "the policies hold no such role or user"
        "no call will ever be this agent's, or its grants stay unknown"
    NO_IDENTITY "no-identity" Warning
        "an agent has no identity that is judged"
        "no call is this agent's"
    EXPIRED "expired" Error
        "a manifest has expired"
        "nobody stands behind what it declares any more"
    REVIEW_OVERDUE "review-overdue" Warning
        "a review is overdue"
        "scopes grow; reviews find what they have outgrown"
    NO_OWNER "no-owner" Warning
        "nobody owns the agent"
        "an alert needs somebody who knows what the agent was meant to do"
    NO_ON_CALL "no-on-call" Note
        "nobody is on call for the agent"
        "an alert at night needs somebody to wake"
    WILDCARD_WRITE_IN_PROD "wildcard-write-in-prod" Warning
        "an entry allows changes by a wildcard, in production"
        "what it will mean next year nobody has declared"
    SHADOWED_ALLOW "shadowed-allow" Warning
        "an allow entry can never decide"
        "it reads like a permission and is none, or says what another entry says already"
    SHADOWED_DENY "shadowed-deny" Warning
        "a deny entry can never decide"
        "it reads like a guard and guards nothing, or what another entry guards already"
    DECLARED_NOT_GRANTED "declared-not-granted" Note
        "an entry allows what no policy grants"
        "the agent cannot do it: the declaration is too wide, or a grant is missing"
    GRANTED_NOT_DECLARED "granted-not-declared" Warning
        "a policy grants what the manifest does not declare"
        "whoever takes the agent over gets it too"
    GRANTED_WIDER "granted-wider-than-declared" Note
        "a policy grants a permission on more than the manifest declares"
        "whoever takes the agent over reaches it too"
    LIFECYCLE "lifecycle" Note
        "a rule asks for something once an identity is old"
        "remit tells it and does nothing to identities itself"
    NOT_JUDGED "not-judged" Note
        "a key of a manifest is not judged yet"
        "what hangs on it is unknown or unchanged, as the text says"
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// The rule's id
    pub rule: &'static str,
    /// How bad it is here
    pub level: Level,
    /// The manifest or policy, from its folder's own name on
    pub file: String,
    /// From 1; 0 where no line is known
    pub line: u64,
    /// The agent that it is about
    pub agent: Option<String>,
    /// What is so
    pub message: String,
    /// What to do
    pub fix: String,
    /// The permissions that it is about, where it is about some
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
}

impl Lint {
    fn new(rule: &Rule, file: &str, line: u64, message: String, fix: impl Into<String>) -> Lint {
        Lint {
            rule: rule.id,
            level: rule.level,
            file: file.to_owned(),
            line,
            agent: None,
            message,
            fix: fix.into(),
            permissions: Vec::new(),
        }
    }

    fn of(rule: &Rule, agent: &Agent, line: u64, message: String, fix: impl Into<String>) -> Lint {
        let line = if line == 0 { agent.line } else { line };
        Lint { agent: Some(agent.name.clone()), ..Lint::new(rule, &agent.file, line, message, fix) }
    }

    fn level(mut self, level: Level) -> Lint {
        self.level = level;
        self
    }

    fn about(mut self, permissions: impl IntoIterator<Item = impl Into<String>>) -> Lint {
        self.permissions = permissions.into_iter().map(Into::into).collect();
        self
    }

    /// A name that stays the same while lines move: what it is about, not where it stands.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let agent = self.agent.as_deref().unwrap_or_default();
        ingest::fingerprint(&[self.rule, agent, &self.file, &self.message], 32)
    }
}

/// Looks at everything. `errors`: what [`Manifests::survey`] could not read; `grants`: none where no policies are known;
/// `today` tells what has expired.
///
/// Sorted by file and line, the worst first where both are the same.
#[must_use]
pub fn lint(
    manifests: &Manifests,
    errors: &[ManifestError],
    grants: Option<&Grants>,
    today: NaiveDate,
) -> Vec<Lint> {
    let mut found = reading::lints(manifests, errors, grants);
    found.extend(identities::lints(manifests, grants));
    for agent in &manifests.agents {
        found.extend(record::lints(agent, manifests, today));
        let entries = agent.scope.meanings();
        found.extend(entries::lints(agent, &entries));
        if let Some(grants) = grants {
            found.extend(granted::lints(agent, &entries, grants));
        }
    }
    found.sort_by(|one, other| {
        let place = (&one.file, one.line).cmp(&(&other.file, other.line));
        place
            .then(other.level.cmp(&one.level))
            .then_with(|| (one.rule, &one.message).cmp(&(other.rule, &other.message)))
    });
    found.dedup();
    found
}

/// `a, b, c and 9 more`
fn some_of<T: AsRef<str>>(names: &[T], shown: usize) -> String {
    let first: Vec<String> = names.iter().take(shown).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len().saturating_sub(shown) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
