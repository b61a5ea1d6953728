//! A folder that holds `<bucket>/<key>`.

use anyhow::Context;
use ingest::Limits;
use ingest::digest::{DIGEST_BYTES_MAX, DigestProblem, LogName, LogProblem, Metadata, Place, logs};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exit::Usage;

/// Most files in one folder; 2 million names are some hundred MiB.
const FILES_MAX: usize = 2_000_000;
/// Deepest folder: a key of S3 has at most 1024 bytes.
const DEPTH_MAX: usize = 600;
const METADATA_BYTES_MAX: u64 = 64 << 10;
const METADATA: &str = ".metadata.json";

/// What is in it.
pub struct Folder {
    pub digests: Vec<FoundDigest>,
    /// All else below a bucket, in the order of places
    pub logs: Vec<FoundFile>,
    /// What could not be read or is no file: its path and why
    pub unread: Vec<(String, String)>,
}

pub struct FoundDigest {
    pub file: FoundFile,
    pub metadata: Result<Metadata, DigestProblem>,
}

pub struct FoundFile {
    pub place: Place,
    path: PathBuf,
}

impl Folder {
    /// Lists the folder. Follows no link: what it leads to is not what was delivered here.
    pub fn read(root: &Path) -> anyhow::Result<Folder> {
        let mut walk = Walk::default();
        walk.folder(root, root, 0)?;
        let Walk { mut files, unread } = walk;
        files.sort_by(|a, b| a.place.cmp(&b.place));
        let beside: BTreeSet<Place> = files.iter().filter_map(|file| described(&file.place)).collect();
        let mut folder = Folder { digests: Vec::new(), logs: Vec::new(), unread };
        for file in files {
            if is_digest(&file.place, &beside) {
                folder.digests.push(FoundDigest { metadata: file.metadata(), file });
            } else if described(&file.place).is_none() {
                folder.logs.push(file);
            }
        }
        Ok(folder)
    }
}

/// What a file of metadata describes.
fn described(place: &Place) -> Option<Place> {
    Some(Place::new(&place.bucket, place.key.strip_suffix(METADATA)?))
}

/// By its name, whatever its case; by metadata beside it, where it is not named as a log file.
fn is_digest(place: &Place, beside: &BTreeSet<Place>) -> bool {
    if described(place).is_some() {
        return false;
    }
    let key = place.key.to_ascii_lowercase();
    key.contains("/cloudtrail-digest/")
        || key.contains("_cloudtrail-digest_")
        || (beside.contains(place) && LogName::parse(&place.key).is_none())
}

#[derive(Default)]
struct Walk {
    files: Vec<FoundFile>,
    unread: Vec<(String, String)>,
}

impl Walk {
    fn folder(&mut self, root: &Path, path: &Path, depth: usize) -> anyhow::Result<()> {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => {
                return Err(error).with_context(|| format!("cannot read the folder `{}`", path.display()));
            }
            Err(error) => {
                self.unread(path, error);
                return Ok(());
            }
        };
        for entry in entries {
            let (path, kind) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok(found) => found,
                Err(error) => {
                    self.unread(path, error);
                    continue;
                }
            };
            if kind.is_dir() && depth < DEPTH_MAX {
                self.folder(root, &path, depth + 1)?;
            } else if kind.is_file() {
                match place(root, &path) {
                    Some(place) => self.files.push(FoundFile { place, path }),
                    // A file beside the buckets is nobody's.
                    None if depth == 0 => {}
                    None => self.unread(&path, "its name is no UTF-8, as keys are"),
                }
            } else {
                self.unread(&path, "it is neither a file nor a folder, or lies too deep");
            }
            if self.files.len() + self.unread.len() > FILES_MAX {
                return Err(Usage::error(format!(
                    "more than {FILES_MAX} files under `{}`; verify accounts or months one by one",
                    root.display()
                )));
            }
        }
        Ok(())
    }

    fn unread(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.unread.push((path.display().to_string(), why.to_string()));
    }
}

fn place(root: &Path, path: &Path) -> Option<Place> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    let (bucket, key) = parts.as_deref()?.split_first()?;
    (!key.is_empty()).then(|| Place::new(*bucket, key.join("/")))
}

impl FoundFile {
    /// All of it, if it is no larger than a digest may be.
    pub fn bytes(&self) -> Result<Vec<u8>, DigestProblem> {
        read(&self.path, DIGEST_BYTES_MAX).map_err(DigestProblem::Unreadable)
    }

    fn metadata(&self) -> Result<Metadata, DigestProblem> {
        let mut path = self.path.clone().into_os_string();
        path.push(METADATA);
        let path = PathBuf::from(path);
        // A link is not followed here either.
        match path.symlink_metadata() {
            Ok(kind) if kind.is_file() => {
                let json = read(&path, METADATA_BYTES_MAX).map_err(DigestProblem::SignatureMalformed)?;
                Metadata::parse(&json)
            }
            _ => Ok(Metadata::default()),
        }
    }

    /// SHA-256 of a log file's content.
    pub fn content_sha256(&self) -> Result<[u8; 32], LogProblem> {
        let file = File::open(&self.path).map_err(|error| LogProblem::Unreadable(error.to_string()))?;
        logs::content_sha256(BufReader::with_capacity(64 << 10, file), &Limits::default())
    }
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes));
    match read {
        Ok(read) if read as u64 > bytes_max => Err(format!("more than {bytes_max} bytes")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

/// Does the same with each, on all cores; the results in the order of the items.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { break };
                    own.push((number, work(item)));
                }
                // Nobody panics while holding it.
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(own);
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
