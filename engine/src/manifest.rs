//! The files that declare agents

mod agent;
mod approval;
mod catalog;
pub mod difference;
mod elsewhere;
mod entry;
mod from;
mod guide;
pub mod history;
mod identity;
mod limits;
mod matching;
mod outline;
mod reader;
mod schema;
mod signs;
mod versions;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::scope::{Bounds, Scope};
use catalog::Catalog;
pub use identity::{Principal, PrincipalKind};
use matching::Matchers;
pub use outline::{Outline, catalog_places, outlines};
use reader::Reader;
pub use schema::schema;
pub use signs::{Shown, Signs};
pub use versions::Versions;
use yaml::{Node, Shape};

/// Bounds on what a folder may hold.
const FILES_MAX: usize = 10_000;
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest file that a manifest refers to: a Terraform state.
const REFERENCE_BYTES_MAX: u64 = 32 * 1024 * 1024;
const FOLDERS_DEEP_MAX: usize = 16;

/// Every agent that a folder declares.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Sorted by name
    pub agents: Vec<Arc<Agent>>,
    /// What is not judged yet, expired, or otherwise worth a look
    pub warnings: Vec<Warning>,
    /// Policies that manifests refer to and that cannot be read; those scopes are unknown
    pub unparsed: Vec<UnparsedPolicy>,
    /// What shall become of old identities, as rules say it. Told, and done by nobody
    pub lifecycle: Vec<LifecycleRule>,
    matchers: Matchers,
}

/// What a rule asks for once an identity is older than so many days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    /// The rule's name
    pub name: String,
    /// Whole days since the identity was created
    pub older_than_days: u32,
    /// `delete`, `disable` or `review`
    pub action: String,
    /// The file that holds the rule
    pub file: String,
    /// From 1
    pub line: u64,
}

/// Something in a manifest that deserves a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The manifest's path
    pub file: String,
    /// From 1; 0 where no line applies
    pub line: u64,
    /// `spec.bounds.regions`
    pub key: String,
    /// What it means and what to do
    pub message: String,
}

/// A policy document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnparsedPolicy {
    /// The agent or identity whose scope is unknown for it
    pub subject: String,
    /// The file that holds, or names, the policy
    pub file: String,
    /// Where and why
    pub reason: String,
}

/// A file that a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// As the manifest names it; with the file's own name, where it names a folder
    pub path: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits
    pub sha256: String,
}

/// Who is told, as the manifest says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// `support-platform`
    pub team: Option<String>,
    /// `#support-platform`
    pub slack: Option<String>,
    /// `pagerduty:PSUPP01`
    pub oncall: Option<String>,
}

/// Hops between identities. `None`: the manifest says nothing of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assume {
    /// ARN patterns and services that may become this agent
    pub from: Option<Vec<String>>,
    /// ARN patterns of the roles that it may become
    pub to: Option<Vec<String>>,
}

/// An agent as its manifest declares it.
#[derive(Debug)]
pub struct Agent {
    /// `metadata.name`
    pub name: String,
    /// `metadata.description`
    pub description: Option<String>,
    /// `spec.environment`: `prod`
    pub environment: Option<String>,
    /// `spec.owner`
    pub owner: Owner,
    /// `spec.purpose`
    pub purpose: Option<String>,
    /// `spec.expires`, as `2027-03-31`
    pub expires: Option<String>,
    /// Patterns of the roles and users that are this agent
    pub identities: Vec<Identity>,
    /// Who is this agent outside AWS
    pub principals: Vec<Principal>,
    /// What it may do
    pub scope: Scope,
    /// Within what every call of it must stay
    pub bounds: Bounds,
    /// Who may become it, and whom it may become
    pub assume: Assume,
    /// The files that `from` refers to, as they were when they were read; sorted by path
    pub references: Vec<Reference>,
    /// The manifest's path
    pub file: String,
    /// Where the document begins
    pub line: u64,
}

impl Agent {
    /// Whether some identity can be found in a log.
    #[must_use]
    pub fn is_recognisable(&self) -> bool {
        !self.principals.is_empty() || !self.identities.is_empty()
    }
}

/// One way to recognise an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// ARN pattern of a role or user
    pub arn: String,
    /// Pattern of the role session's name
    pub session: Option<String>,
    /// Only in these accounts; empty: in any
    pub accounts: Vec<String>,
    /// Only with this tag, key and value; a caller whose tags are not known has none
    pub tag: Option<(String, String)>,
    /// What else tells it from others in the role
    pub signs: Signs,
}

impl Identity {
    /// The more specific wins: one with a stronger sign, then one with a session pattern, then the longer text.
    pub(crate) fn rank(&self) -> Rank {
        let literal = |text: &str| text.bytes().filter(|b| !matches!(b, b'*' | b'?')).count();
        let session = self.session.as_deref();
        let (workload, source_identity, via_mcp, client) = self.signs.rank();
        let text: usize = session.into_iter().chain(self.signs.patterns()).map(literal).sum();
        ((workload, source_identity, session.is_some()), (via_mcp, client), literal(&self.arn) + text)
    }

    /// Whether some account can be meant by both.
    pub(crate) fn shares_account(&self, other: &Identity) -> bool {
        self.accounts.is_empty()
            || other.accounts.is_empty()
            || self.accounts.iter().any(|account| other.accounts.contains(account))
    }
}

/// How specific an identity is.
pub(crate) type Rank = ((bool, bool, bool), (bool, bool), usize);

/// Who called, as the log tells it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// Role or user ARN, never a session's; in Azure an object's or app's id, in GCP an e-mail address
    pub actor: &'a str,
    /// `roleSessionName`
    pub session_name: Option<&'a str>,
    /// The caller's account
    pub account: Option<&'a str>,
    /// The tags of the role or user; `None` where nothing tells them
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// What tells it from others in the role
    pub shown: Shown<'a>,
}

/// One thing wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ManifestError {
    /// The manifest's path
    pub file: String,
    /// From 1; 0 where no line applies
    pub line: u64,
    /// What is wrong and what to do
    pub message: String,
}

/// Everything wrong with a folder of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestErrors(pub Vec<ManifestError>);

impl std::fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

impl Manifests {
    /// Reads every `.yaml` and `.yml` file below `dir`.
    ///
    /// `now` tells which manifests have expired.
    ///
    /// # Errors
    /// Every fault of every file, each with file, line and what to do.
    pub fn load(dir: &Path, now: DateTime<Utc>) -> Result<Manifests, ManifestErrors> {
        let (manifests, errors) = Manifests::survey(dir, now);
        if errors.0.is_empty() { Ok(manifests) } else { Err(errors) }
    }

    /// The same, but gives what can be read beside everything that is wrong. To look at, not to judge by.
    #[must_use]
    pub fn survey(dir: &Path, now: DateTime<Utc>) -> (Manifests, ManifestErrors) {
        let mut errors = Vec::new();
        let files = match files(dir, &["yaml", "yml"]) {
            Ok(files) => files,
            Err(error) => return (Manifests::default(), ManifestErrors(vec![error])),
        };
        let mut manifests = Manifests::default();
        let mut catalog = Catalog::default();
        let mut documents: Vec<(PathBuf, String, Kind, Node)> = Vec::new();
        let mut approvals: Vec<approval::Granted> = Vec::new();
        for path in files {
            let name = short(dir, &path);
            let mut reader = Reader::new(&name);
            for (kind, document) in read(&mut reader, &path) {
                match kind {
                    Kind::ResourceCatalog => catalog.read(&mut reader, &document),
                    Kind::Approval => approvals.extend(approval::read(&mut reader, &document)),
                    Kind::Agent | Kind::Guide => {
                        documents.push((path.clone(), name.clone(), kind, document));
                    }
                }
            }
            errors.append(&mut reader.errors);
            manifests.warnings.append(&mut reader.warnings);
        }
        let faults = catalog.check();
        errors.extend(faults.into_iter().map(|message| ManifestError {
            file: short(dir, dir),
            line: 0,
            message,
        }));
        let mut identities: BTreeMap<String, Vec<String>> =
            documents.iter().flat_map(|(.., document)| guide::identities_of(document)).collect();
        identities.extend(documents.iter().filter_map(|(.., document)| agent::identities_of(document)));
        for (path, name, kind, document) in &documents {
            let mut reader = Reader::new(name);
            let folder = path.parent().unwrap_or(dir);
            let setting = agent::Setting {
                catalog: &catalog,
                folder,
                today: now.date_naive(),
                approvals: &approvals,
                identities: &identities,
                is_guide: *kind == Kind::Guide,
            };
            let agents = if *kind == Kind::Guide {
                let guide = guide::read(&mut reader, document, &setting);
                manifests.lifecycle.extend(guide.lifecycle);
                guide.agents
            } else {
                agent::read(&mut reader, document, &setting).into_iter().collect()
            };
            for (agent, unparsed) in agents {
                manifests.agents.push(Arc::new(agent));
                manifests.unparsed.extend(unparsed);
            }
            errors.append(&mut reader.errors);
            manifests.warnings.append(&mut reader.warnings);
        }
        manifests.warnings.extend(approvals.iter().filter_map(|granted| granted.unmet(&identities)));
        manifests.agents.sort_by(|left, right| left.name.cmp(&right.name));
        errors.extend(manifests.conflicts());
        errors.sort_by(|left, right| (&left.file, left.line).cmp(&(&right.file, right.line)));
        manifests.matchers = Matchers::new(&manifests.agents);
        (manifests, ManifestErrors(errors))
    }

    /// An agent by name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.iter().find(|agent| agent.name == name)
    }
}

/// Every file below a folder with one of the endings, sorted, so that the result does not depend on the disk.
pub(crate) fn files(dir: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, ManifestError> {
    let fault =
        |path: &Path, message: String| ManifestError { file: path.display().to_string(), line: 0, message };
    let mut found = Vec::new();
    let mut waiting = vec![(dir.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let entries = std::fs::read_dir(&folder)
            .map_err(|error| fault(&folder, format!("cannot read the folder: {error}")))?;
        for entry in entries {
            let path =
                entry.map_err(|error| fault(&folder, format!("cannot read the folder: {error}")))?.path();
            if path.is_dir() {
                if depth < FOLDERS_DEEP_MAX {
                    waiting.push((path, depth + 1));
                }
            } else if path
                .extension()
                .and_then(|ending| ending.to_str())
                .is_some_and(|ending| endings.contains(&ending))
            {
                found.push(path);
            }
        }
        if found.len() > FILES_MAX {
            return Err(fault(dir, format!("more than {FILES_MAX} files: name a folder that holds less")));
        }
    }
    found.sort();
    Ok(found)
}

/// The path from the folder's own name on: the same on every machine.
pub(crate) fn short(dir: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(dir).unwrap_or(path);
    let outer = dir.file_name().map(PathBuf::from).unwrap_or_default();
    outer.join(inner).display().to_string().trim_end_matches('/').to_owned()
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Agent,
    ResourceCatalog,
    Approval,
    /// Without `kind`, as published guides write it
    Guide,
}

const KINDS: [(&str, Kind); 3] =
    [("Agent", Kind::Agent), ("ResourceCatalog", Kind::ResourceCatalog), ("Approval", Kind::Approval)];

/// The documents of one file whose version and kind we know.
fn read(reader: &mut Reader<'_>, path: &Path) -> Vec<(Kind, Node)> {
    let text = match std::fs::metadata(path).map(|meta| meta.len()) {
        Ok(size) if size > FILE_BYTES_MAX => {
            Err(format!("longer than {FILE_BYTES_MAX} bytes, which no manifest is"))
        }
        Ok(_) => std::fs::read_to_string(path).map_err(|error| format!("cannot read the file: {error}")),
        Err(error) => Err(format!("cannot read the file: {error}")),
    };
    let documents = match text.map(|text| yaml::documents(&text)) {
        Ok(Ok(documents)) => documents,
        Ok(Err((line, message))) => {
            reader.error(line, message);
            return Vec::new();
        }
        Err(message) => {
            reader.error(0, message);
            return Vec::new();
        }
    };
    let mut known = Vec::new();
    for document in documents {
        let Shape::Map(entries) = &document.shape else {
            reader.error(document.line, format!("a manifest is a map, not {}", document.shape.name()));
            continue;
        };
        if guide::is_one(entries) {
            known.push((Kind::Guide, document));
            continue;
        }
        let field = |name: &str| match entries
            .iter()
            .find(|entry| entry.key == name)
            .map(|entry| (entry.line, &entry.value.shape))
        {
            Some((line, Shape::Text(text))) => (line, text.as_str()),
            Some((line, _)) => (line, ""),
            None => (document.line, ""),
        };
        let ((version_line, version), (kind_line, kind)) = (field("apiVersion"), field("kind"));
        if version != "remit/v1" {
            reader.error(version_line, format!("`apiVersion` is `{version}`: write `apiVersion: remit/v1`"));
            continue;
        }
        let Some((_, found)) = KINDS.into_iter().find(|(name, _)| *name == kind) else {
            let names = KINDS.map(|(name, _)| name);
            let guess = reader::closest(kind, &names)
                .map(|guess| format!(" Did you mean `{guess}`?"))
                .unwrap_or_default();
            let known = names.join(", ");
            reader.error(kind_line, format!("unknown kind `{kind}`.{guess} Known kinds: {known}"));
            continue;
        };
        known.push((found, document));
    }
    known
}

#[cfg(test)]
mod tests;
