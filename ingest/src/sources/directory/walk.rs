//! The log files below a folder, in the order of their paths.

use std::fs::{DirEntry, read_dir};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::path_error;
use crate::source::SourceError;

/// Deepest folder that is entered.
const FOLDERS_MAX: usize = 64;

const ENDINGS: [&str; 5] = [".json", ".jsonl", ".ndjson", ".log", ".gz"];

/// A file of a name that logs have.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size when it was found.
    pub bytes: u64,
    /// When it was last written, where the system tells.
    pub modified: Option<SystemTime>,
}

/// The log files at a path, in the order of their paths: those below a folder that are named as logs are, or the one
/// file, whatever its name. A folder that cannot be entered is an error in its place, and the others go on.
///
/// # Errors
/// There is nothing at the path.
pub fn log_files(
    path: &Path,
) -> Result<impl Iterator<Item = Result<LogFile, SourceError>> + use<>, SourceError> {
    let found = path.metadata().map_err(|error| path_error(path, &error))?;
    let root = path.to_path_buf();
    Ok(if found.is_dir() { Walk::of_folder(root) } else { Walk::of_file(root) })
}

/// Goes through a tree one folder at a time: what it remembers is one path of folders, not the tree.
///
/// Links are not followed: one that leads out of the tree must not be, and what lies in it is found without.
pub(super) struct Walk {
    root: PathBuf,
    single: bool,
    started: bool,
    open: Vec<std::vec::IntoIter<DirEntry>>,
}

impl Walk {
    pub(super) fn of_folder(root: PathBuf) -> Self {
        Self { root, single: false, started: false, open: Vec::new() }
    }

    /// A file that was named is read whatever its name.
    pub(super) fn of_file(root: PathBuf) -> Self {
        Self { root, single: true, started: false, open: Vec::new() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The same walk from its beginning.
    pub(super) fn again(&self) -> Self {
        Self { root: self.root.clone(), single: self.single, started: false, open: Vec::new() }
    }

    fn start(&mut self) -> Option<Result<LogFile, SourceError>> {
        if self.single {
            let found = self.root.metadata().map_err(|error| path_error(&self.root, &error));
            return Some(found.map(|found| LogFile {
                path: self.root.clone(),
                bytes: found.len(),
                modified: found.modified().ok(),
            }));
        }
        self.enter(&self.root.clone()).err().map(Err)
    }

    fn enter(&mut self, folder: &Path) -> Result<(), SourceError> {
        let entries: Result<Vec<DirEntry>, _> = read_dir(folder).and_then(Iterator::collect);
        let mut entries = entries.map_err(|error| path_error(folder, &error))?;
        entries.sort_by_cached_key(DirEntry::file_name);
        self.open.push(entries.into_iter());
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<LogFile, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.started {
            self.started = true;
            if let Some(first) = self.start() {
                return Some(first);
            }
        }
        loop {
            let Some(entry) = self.open.last_mut()?.next() else {
                self.open.pop();
                continue;
            };
            // The entry's own: of a link this is the link's, neither folder nor file.
            let Ok(found) = entry.metadata() else { continue };
            let path = entry.path();
            if found.is_dir() && self.open.len() < FOLDERS_MAX {
                match self.enter(&path) {
                    Err(error) if path.exists() => return Some(Err(error)),
                    _ => continue,
                }
            }
            if found.is_file() && has_log_name(&path) {
                return Some(Ok(LogFile { path, bytes: found.len(), modified: found.modified().ok() }));
            }
        }
    }
}

fn has_log_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
