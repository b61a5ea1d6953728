//! Rows that are durable and not yet in the lake: files beside the store, each named by a row of it.
//!
//! They lie here and not in the lake's place, so that a commit costs one sync of a disk and never a round to S3, and
//! so that many small commits become few large files.

use super::LakeError;
use super::columns::{file_schema, fitted};
use super::folder::sync_folder;
use super::rows::{Pieces, Rows, head};
use arrow::array::RecordBatch;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ENDING: &str = ".rows";

/// What a probe writes: about as much as a commit of some objects.
const PROBE_BYTES: usize = 256 << 10;

/// The folder of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
    /// Names are this run's and a number.
    run: Arc<str>,
    next: Arc<AtomicU64>,
}

/// A file of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

impl Spool {
    /// Opens the folder; makes it where there is none.
    ///
    /// # Errors
    /// [`LakeError::Spool`].
    pub fn open(dir: &Path) -> Result<Spool, LakeError> {
        let run = format!("{:x}-{}", crate::time::now(), std::process::id()).into();
        let spool = Spool { dir: dir.to_owned(), run, next: Arc::default() };
        std::fs::create_dir_all(dir).map_err(|cause| spool.failed(cause))?;
        if let Some(parent) = dir.canonicalize().ok().as_deref().and_then(Path::parent) {
            sync_folder(parent).map_err(|cause| spool.failed(cause))?;
        }
        Ok(spool)
    }

    /// Writes the rows of one commit; when it returns they are on the disk. None where there are no rows.
    ///
    /// # Errors
    /// [`LakeError::Spool`]; nothing is left then.
    pub fn write(&self, parts: &[&Rows]) -> Result<Option<SpoolFile>, LakeError> {
        if parts.iter().all(|part| part.pieces == 0) {
            return Ok(None);
        }
        let name = format!("{}-{}{ENDING}", self.run, self.next.fetch_add(1, Ordering::Relaxed));
        let path = self.dir.join(&name);
        let head = head()?;
        let written = (|| {
            let mut out = BufWriter::new(File::options().write(true).create_new(true).open(&path)?);
            out.write_all(&head)?;
            let mut bytes = head.len() as u64;
            for part in parts {
                bytes += part.write_to(&mut out)?;
            }
            // After a failed sync the pages are gone, written or not: it is never asked twice, the file is.
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            sync_folder(&self.dir)?;
            Ok(bytes)
        })();
        match written {
            Ok(bytes) => Ok(Some(SpoolFile { name, bytes })),
            Err(cause) => {
                let _ = std::fs::remove_file(&path);
                Err(self.failed(cause))
            }
        }
    }

    /// Reads a file's rows in the lake's columns, without the pieces that were left out.
    pub(super) fn read(&self, name: &str, left_out: &[Range<u32>]) -> Result<SpooledRows, LakeError> {
        let file = File::open(self.dir.join(name)).map_err(|cause| self.failed(cause))?;
        Ok(SpooledRows { pieces: Pieces::open(BufReader::new(file))?, left_out: left_out.to_vec() })
    }

    /// Removes a file that nothing names any more.
    pub(super) fn remove(&self, name: &str) {
        match std::fs::remove_file(self.dir.join(name)) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                tracing::warn!(name, %cause, "rows that are in the lake stay on the disk; the next start removes them");
            }
            _ => {}
        }
    }

    /// Removes every file that the store does not name.
    pub(super) fn sweep(&self, named: &HashSet<&str>) -> Result<usize, LakeError> {
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.dir).map_err(|cause| self.failed(cause))? {
            let name = entry.map_err(|cause| self.failed(cause))?.file_name();
            let Some(name) = name.to_str().filter(|name| name.ends_with(ENDING)) else { continue };
            if !named.contains(name) {
                self.remove(name);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// A file that goes with its last holder.
    pub(super) fn nameless(&self) -> Result<File, LakeError> {
        tempfile::tempfile_in(&self.dir).map_err(|cause| self.failed(cause))
    }

    /// Writes something and takes it away again.
    pub(super) fn probe(&self) -> Result<(), LakeError> {
        let mut file = self.nameless()?;
        let written = file.write_all(&vec![0; PROBE_BYTES]).and_then(|()| file.sync_all());
        written.map_err(|cause| self.failed(cause))
    }

    pub(super) fn failed(&self, cause: std::io::Error) -> LakeError {
        LakeError::Spool { dir: self.dir.clone(), cause }
    }
}

/// The rows of one file, piece by piece.
#[derive(Debug)]
pub(super) struct SpooledRows {
    pieces: Pieces<BufReader<File>>,
    left_out: Vec<Range<u32>>,
}

impl SpooledRows {
    pub fn next(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        while let Some((at, batch)) = self.pieces.next()? {
            if !self.left_out.iter().any(|left_out| left_out.contains(&at)) {
                // A file of an older version lacks what was added since.
                return Ok(Some(fitted(&batch, &file_schema())?));
            }
        }
        Ok(None)
    }
}
