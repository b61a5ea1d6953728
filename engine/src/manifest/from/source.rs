//! The files behind a `from`, each read once within a bound, with its hash

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Problem;
use crate::manifest::Reference;

/// What is read for one entry.
pub(super) struct Source<'a> {
    /// The manifest's
    folder: &'a Path,
    /// Every file that was read, with its hash
    pub(super) read: Vec<Reference>,
}

impl<'a> Source<'a> {
    pub(super) fn new(folder: &'a Path) -> Source<'a> {
        Source { folder, read: Vec::new() }
    }

    /// Where a name leads, seen from the manifest.
    pub(super) fn path(&self, named: &str) -> PathBuf {
        self.folder.join(named)
    }

    /// The text of a file. It counts as read whatever it says.
    pub(super) fn file(&mut self, named: &str, bytes_max: u64) -> Result<String, Problem> {
        let cannot = |error: std::io::Error| Problem::Unparsed(format!("cannot read it: {error}"));
        let path = self.path(named);
        // A pipe or a device would never end.
        if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
            return Err(Problem::Unparsed("it is no file".to_owned()));
        }
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
            .map_err(cannot)?;
        if bytes.len() as u64 > bytes_max {
            return Err(Problem::Unparsed(format!("longer than {bytes_max} bytes, which we do not read")));
        }
        self.read.push(Reference { path: named.to_owned(), sha256: format!("{:x}", Sha256::digest(&bytes)) });
        // Windows' tools begin a file with a byte order mark.
        let text = String::from_utf8(bytes).map_err(|_| Problem::Unparsed("it is no UTF-8".to_owned()))?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    /// A file as JSON. `hint`: how to export it.
    pub(super) fn json(&mut self, named: &str, bytes_max: u64, hint: &str) -> Result<Value, Problem> {
        let text = self.file(named, bytes_max)?;
        serde_json::from_str(&text).map_err(|error| Problem::Unparsed(format!("no JSON: {error}. {hint}")))
    }
}

/// A field by its name, whatever the case of its first letter and whether its words are joined by `_`: `notActions`,
/// `NotActions`, `not_actions`.
pub(super) fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let wanted = plain(name);
    value.as_object()?.iter().find(|(key, _)| plain(key) == wanted).map(|(_, value)| value)
}

/// The texts of a list; nothing is an empty list, anything else is a fault.
pub(super) fn texts(value: &Value, name: &str) -> Result<Vec<String>, Problem> {
    let fault = || Problem::Unparsed(format!("`{name}` is no list of texts"));
    match field(value, name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(fault)).collect()
        }
        Some(_) => Err(fault()),
    }
}
