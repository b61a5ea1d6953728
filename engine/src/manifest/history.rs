//! Manifests as they stood at other times: the revisions of a folder, through `git`
//!
//! A manifest is effective from the moment that it entered the branch that is checked out (the committer's time of the
//! commit that brought it there, never before its predecessor); what is not committed yet, from the time of its file.
//!
//! A repository is somebody else's text: no shell, no hook, no pager, no filter and no network is started by what it
//! says, and everything that is read has a bound.

mod git;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::from::is_candidate;
use super::outline::{Outline, outlines, referred};
use super::{FILES_MAX, ManifestErrors, Manifests};
use crate::time::{DAY, SECOND};
use git::{Contents, Fault, run};

/// Versions that a timeline holds at most; older ones are left out.
const REVISIONS_MAX: usize = 100;
/// How far a timeline goes back.
const TIMELINE: i64 = 90 * DAY;

/// One state of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The commit
    pub id: String,
    /// From when it counts, µs UTC
    pub time: i64,
}

/// A folder of manifests as it stood once.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The agents
    pub manifests: Manifests,
    /// What else their documents say, by agent
    pub outlines: BTreeMap<String, Outline>,
}

/// Why a folder's history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The folder is in no repository.
    #[error(
        "`{0}` is in no git repository: give two folders with `--from` and `--to`, or run it where the manifests are versioned"
    )]
    NoRepository(String),
    /// The program is not there.
    #[error("cannot run `git`: {0}. Install it, or give two folders with `--from` and `--to`")]
    NoGit(String),
    /// There is no such revision.
    #[error("`{revision}` is no revision of `{dir}`: name a commit, a branch or a tag")]
    NoRevision {
        /// As asked for
        revision: String,
        /// The folder
        dir: String,
    },
    /// There is nothing of the folder in the revision.
    #[error("revision `{revision}` has no folder `{dir}`")]
    NoFolder {
        /// As asked for
        revision: String,
        /// The folder
        dir: String,
    },
    /// Git failed otherwise.
    #[error("git failed in `{dir}`: {reason}")]
    Git {
        /// The folder
        dir: String,
        /// Its own words
        reason: String,
    },
    /// More than we read.
    #[error("{0}: name a folder that holds only manifests")]
    TooMuch(String),
    /// A file cannot be read or written here.
    #[error("cannot read `{0}`: {1}")]
    File(String, String),
    /// The manifests of a revision have faults.
    #[error("the manifests of {revision} cannot be used:\n{errors}")]
    Manifests {
        /// The revision or folder
        revision: String,
        /// What is wrong
        errors: ManifestErrors,
    },
}

/// The revisions in which something of the folder changed, oldest first: the one that held at `since` (µs UTC) and all
/// after it, of those at most the latest hundred.
///
/// # Errors
/// [`HistoryError`] where the folder is in no repository, or git is not there.
pub fn revisions(dir: &Path, since: i64) -> Result<Vec<Revision>, HistoryError> {
    let folder = Folder::open(dir)?;
    let max = (REVISIONS_MAX + 1).to_string();
    // What a merge brought counts from the merge on: until then the branch that is checked out did not have it.
    let out = folder.git(&["log", "--first-parent", "--format=%H %ct", "-n", &max, "HEAD", "--", "."])?;
    let mut found: Vec<Revision> = Vec::new();
    for line in String::from_utf8_lossy(&out).lines() {
        let Some((id, time)) = line.split_once(' ') else { continue };
        let time = time.parse::<i64>().unwrap_or_default().saturating_mul(SECOND);
        found.push(Revision { id: id.to_owned(), time });
        if time <= since {
            break;
        }
    }
    found.truncate(REVISIONS_MAX);
    found.reverse();
    // Clocks of committers disagree, and can be set: no change counts from before the one that it builds upon.
    let mut latest = i64::MIN;
    for revision in &mut found {
        latest = latest.max(revision.time);
        revision.time = latest;
    }
    Ok(found)
}

/// The manifests of one revision: a commit, branch or tag.
///
/// # Errors
/// [`HistoryError`], with everything that is wrong with the manifests.
pub fn load_at(dir: &Path, revision: &str) -> Result<Manifests, HistoryError> {
    Ok(snapshot_at(dir, revision, Utc::now())?.manifests)
}

/// The same with the documents' outlines. `now` tells which manifests have expired.
///
/// # Errors
/// As [`load_at`].
pub fn snapshot_at(dir: &Path, revision: &str, now: DateTime<Utc>) -> Result<Snapshot, HistoryError> {
    let folder = Folder::open(dir)?;
    let extracted = folder.extract(revision)?;
    snapshot(&extracted.dir, &format!("revision `{revision}`"), now)
}

/// A folder as it stands.
///
/// # Errors
/// [`HistoryError::Manifests`] with everything that is wrong.
pub fn snapshot_of(dir: &Path, now: DateTime<Utc>) -> Result<Snapshot, HistoryError> {
    let named = std::fs::canonicalize(dir).map_err(|error| file_error(dir, &error))?;
    snapshot(&named, &format!("`{}`", dir.display()), now)
}

fn snapshot(dir: &Path, name: &str, now: DateTime<Utc>) -> Result<Snapshot, HistoryError> {
    let fault = |errors| HistoryError::Manifests { revision: name.to_owned(), errors };
    let manifests = Manifests::load(dir, now).map_err(fault)?;
    let outlines = outlines(dir).map_err(|error| fault(ManifestErrors(vec![error])))?;
    Ok(Snapshot { manifests, outlines })
}

/// Every version of the last 90 days, at most a hundred, oldest first, each with the time (µs UTC) from which it counts.
///
/// The first counts from the beginning of time: calls older than what is known are judged by the oldest that is known,
/// so that a first replay over past logs means something. A version whose manifests cannot be used is left out with a
/// warning, as a running service keeps the one that it had. A folder outside git has one version.
///
/// # Errors
/// [`HistoryError`] where the folder as it stands cannot be used.
pub fn timeline(dir: &Path, now: DateTime<Utc>) -> Result<Vec<(i64, Manifests)>, HistoryError> {
    let today = now.timestamp_micros();
    let present = || snapshot_of(dir, now).map(|snapshot| snapshot.manifests);
    let folder = match Folder::open(dir) {
        Ok(folder) => folder,
        Err(HistoryError::NoRepository(_) | HistoryError::NoGit(_)) => {
            return Ok(vec![(i64::MIN, present()?)]);
        }
        // Git looks into no repository that belongs to somebody else; the manifests themselves can be read.
        Err(error @ HistoryError::Git { .. }) => {
            tracing::warn!(%error, "the manifests' history is not read: every call is held against them as they are");
            return Ok(vec![(i64::MIN, present()?)]);
        }
        Err(error) => return Err(error),
    };
    let mut versions = Vec::new();
    for revision in revisions(dir, today.saturating_sub(TIMELINE)).unwrap_or_default() {
        match snapshot_at(dir, &revision.id, now) {
            Ok(snapshot) => versions.push((revision.time.min(today), snapshot.manifests)),
            Err(error) => {
                tracing::warn!(revision = revision.id, %error, "a version of the manifests is left out")
            }
        }
    }
    if versions.is_empty() || folder.is_changed().unwrap_or(true) {
        let written = folder.written().unwrap_or(today).min(today);
        let after = versions.last().map_or(i64::MIN, |(time, _)| *time);
        versions.push((written.max(after), present()?));
    }
    if let Some((time, _)) = versions.first_mut() {
        *time = i64::MIN;
    }
    Ok(versions)
}

/// A folder in a repository.
struct Folder {
    /// As asked for, for messages
    named: String,
    /// Absolute
    dir: PathBuf,
    /// The repository's top
    top: PathBuf,
    /// The folder from the top on; empty for the top itself
    inner: PathBuf,
}

/// The files of one revision, on disk while it lives.
struct Extracted {
    _scratch: TempDir,
    dir: PathBuf,
}

/// A file of a revision.
struct Blob {
    id: String,
    path: PathBuf,
}

impl Folder {
    fn open(dir: &Path) -> Result<Folder, HistoryError> {
        let named = dir.display().to_string();
        let dir = std::fs::canonicalize(dir).map_err(|error| file_error(dir, &error))?;
        let out = run(&dir, &["rev-parse", "--show-toplevel"]).map_err(|fault| match fault {
            Fault::Start(reason) => HistoryError::NoGit(reason),
            Fault::Told(reason) if reason.contains("not a git repository") => {
                HistoryError::NoRepository(named.clone())
            }
            Fault::Told(reason) => HistoryError::Git { dir: named.clone(), reason },
        })?;
        let top = PathBuf::from(String::from_utf8_lossy(&out).trim_end_matches(['\n', '\r']));
        let top = std::fs::canonicalize(&top).map_err(|error| file_error(&top, &error))?;
        let inner = dir.strip_prefix(&top).map(Path::to_owned).unwrap_or_default();
        Ok(Folder { named, dir, top, inner })
    }

    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, HistoryError> {
        run(&self.dir, arguments).map_err(|fault| match fault {
            Fault::Start(reason) => HistoryError::NoGit(reason),
            Fault::Told(reason) => HistoryError::Git { dir: self.named.clone(), reason },
        })
    }

    /// The commit that a name means.
    fn resolve(&self, revision: &str) -> Result<String, HistoryError> {
        let unknown = || HistoryError::NoRevision { revision: revision.to_owned(), dir: self.named.clone() };
        // What begins with a dash would be an option, whatever git's version makes of `--end-of-options`.
        if revision.is_empty() || revision.starts_with('-') || revision.contains(['\0', '\n']) {
            return Err(unknown());
        }
        let commit = format!("{revision}^{{commit}}");
        let out = self
            .git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])
            .map_err(|error| if matches!(error, HistoryError::Git { .. }) { unknown() } else { error })?;
        let id = String::from_utf8_lossy(&out).trim().to_owned();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit()) { Err(unknown()) } else { Ok(id) }
    }

    /// Writes the manifests of a revision, and the policies that they refer to, below a scratch folder.
    fn extract(&self, revision: &str) -> Result<Extracted, HistoryError> {
        let commit = self.resolve(revision)?;
        let scratch =
            tempfile::tempdir().map_err(|error| file_error(Path::new("a temporary folder"), &error))?;
        // Places in messages begin with the folder's own name: here too.
        let root = scratch.path().join(self.top.file_name().unwrap_or("repository".as_ref()));
        let dir = root.join(&self.inner);
        let blobs = self.blobs(&commit, std::slice::from_ref(&self.inner))?;
        let blobs: Vec<Blob> = blobs.into_iter().filter(|blob| is_wanted(&blob.path)).collect();
        if blobs.is_empty() {
            return Err(HistoryError::NoFolder { revision: revision.to_owned(), dir: self.named.clone() });
        }
        let mut contents = Contents::open(&self.dir)?;
        let mut outside: BTreeSet<PathBuf> = BTreeSet::new();
        for blob in &blobs {
            let bytes = contents.read(&blob.id)?;
            let is_manifest = blob.path.extension().is_some_and(|ending| ending != "json");
            if is_manifest && let Ok(text) = std::str::from_utf8(&bytes) {
                let folder = blob.path.parent().unwrap_or(Path::new(""));
                let named = referred(text).into_iter().filter_map(|name| below_top(folder, &name));
                outside.extend(named.filter(|path| !path.starts_with(&self.inner) || !is_wanted(path)));
            }
            write_below(&root, &blob.path, &bytes)?;
        }
        if !outside.is_empty() && outside.len() <= FILES_MAX {
            let outside: Vec<PathBuf> = outside.into_iter().collect();
            // Of a folder, what a plan or a state is called: it may be a whole repository's.
            let is_read = |blob: &Blob| {
                let name = blob.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                outside.contains(&blob.path) || is_candidate(name)
            };
            for blob in self.blobs(&commit, &outside)?.into_iter().filter(is_read) {
                let bytes = contents.read(&blob.id)?;
                write_below(&root, &blob.path, &bytes)?;
            }
        }
        Ok(Extracted { _scratch: scratch, dir })
    }

    /// The plain files of a commit below some paths.
    fn blobs(&self, commit: &str, below: &[PathBuf]) -> Result<Vec<Blob>, HistoryError> {
        let mut found = Vec::new();
        // Command lines have an end.
        for some in below.chunks(500) {
            let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", commit, "--"];
            arguments.extend(some.iter().filter_map(|path| path.to_str()).filter(|path| !path.is_empty()));
            let out = self.git(&arguments)?;
            for entry in out.split(|byte| *byte == 0) {
                // `<mode> blob <id>\t<path>`; 12xxxx is a link, which could lead anywhere, and 16xxxx another repository.
                let Ok(entry) = std::str::from_utf8(entry) else { continue };
                let Some((about, path)) = entry.split_once('\t') else { continue };
                let mut words = about.split(' ');
                if let (Some(mode), Some("blob"), Some(id)) = (words.next(), words.next(), words.next())
                    && mode.starts_with("100")
                {
                    found.push(Blob { id: id.to_owned(), path: path.into() });
                }
            }
            if found.len() > FILES_MAX * 2 {
                return Err(HistoryError::TooMuch(format!("more than {} files", FILES_MAX * 2)));
            }
        }
        Ok(found)
    }

    /// Whether the folder differs from what is committed. Compared here: `git status` may run filters.
    fn is_changed(&self) -> Result<bool, HistoryError> {
        let committed = self.blobs(&self.resolve("HEAD")?, std::slice::from_ref(&self.inner))?;
        let committed: Vec<Blob> = committed.into_iter().filter(|blob| is_wanted(&blob.path)).collect();
        let present = super::files(&self.dir, &["yaml", "yml", "json"])
            .map_err(|error| HistoryError::File(error.file, error.message))?;
        let links = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
        if present.iter().filter(|path| links(path)).count() != committed.len() {
            return Ok(true);
        }
        let mut contents = Contents::open(&self.dir)?;
        for blob in committed {
            let written = std::fs::read(self.top.join(&blob.path)).unwrap_or_default();
            if contents.read(&blob.id)? != written {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// When something of the folder was last written, µs UTC.
    fn written(&self) -> Option<i64> {
        let files = super::files(&self.dir, &["yaml", "yml", "json"]).ok()?;
        let time = |path: &Path| std::fs::metadata(path).ok()?.modified().ok();
        let latest = files.iter().filter_map(|path| time(path)).chain(time(&self.dir)).max()?;
        let since = latest.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_micros()).ok()
    }
}

/// Manifests, catalogs, and policies beside them.
fn is_wanted(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| matches!(ending, "yaml" | "yml" | "json"))
}

/// The path from the repository's top on that a name means, seen from a folder; none where it leads out of it.
fn below_top(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in folder.join(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path).filter(|path| !path.as_os_str().is_empty())
}

fn write_below(root: &Path, path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
    // Git refuses such names itself; a repository made by hand might not.
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(HistoryError::File(path.display().to_string(), "it leads out of its folder".to_owned()));
    }
    let target = root.join(path);
    let folder = target.parent().unwrap_or(root);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&target, bytes))
        .map_err(|error| file_error(&target, &error))
}

fn file_error(path: &Path, error: &std::io::Error) -> HistoryError {
    HistoryError::File(path.display().to_string(), error.to_string())
}

#[cfg(test)]
mod tests;
