//! A folder of a user: a configuration, manifests, policies, logs.

use super::records::Record;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder that is deleted with its story.
pub struct Folder {
    path: PathBuf,
    // None: it lies within something that is deleted by another.
    _whole: Option<TempDir>,
}

impl Folder {
    /// An empty folder with empty `agents` and `policies`.
    pub fn new() -> Folder {
        let whole = tempfile::Builder::new().prefix("remit-story-").tempdir().unwrap();
        let path = Folder::at(whole.path()).path;
        Folder { path, _whole: Some(whole) }
    }

    /// As [`Folder::new`], in a folder that is there already and that another deletes.
    pub fn at(path: &Path) -> Folder {
        for name in ["agents", "policies"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        Folder { path: path.to_owned(), _whole: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file under it, with the folders above it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Reads a file of it.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes `records` as one gzipped log file.
    pub fn log(&self, name: &str, records: &[Record]) -> PathBuf {
        self.write(name, super::records::log_file(records))
    }

    /// A manifest of an agent that acts as the role `agents/<name>`; `allow` pairs actions with a resource.
    pub fn agent(&self, name: &str, allow: &[(&str, &str)]) {
        let manifest = super::records::manifest(name, allow);
        self.write(&format!("agents/{name}.yaml"), manifest);
    }

    /// Writes `remit.toml`: sources and receivers in TOML, and what else goes under `[alerts]`.
    pub fn configure(&self, config: &Config) -> u16 {
        let port = super::free_port();
        let Config { sources, receivers, alerts } = config;
        let text = format!(
            "{sources}\n[store]\npath = \"remit.db\"\n[scope]\nagents = \"agents\"\npolicies = \"policies\"\n\
             [web]\nlisten = \"127.0.0.1:{port}\"\n[alerts]\n{alerts}\n{receivers}\n",
        );
        self.write("remit.toml", text);
        port
    }
}

/// The parts of a configuration that differ from story to story.
#[derive(Default, Clone)]
pub struct Config {
    /// `[[sources]]` tables.
    pub sources: String,
    /// `[[alerts.receivers]]` tables.
    pub receivers: String,
    /// Keys of `[alerts]`.
    pub alerts: String,
}

impl Config {
    /// Adds a folder to read; `watch` keeps reading.
    pub fn directory(mut self, path: &str, watch: bool) -> Config {
        self.sources += &format!(
            "[[sources]]\ntype = \"directory\"\npath = \"{path}\"\nwatch = {watch}\npoll = \"200ms\"\n"
        );
        self
    }

    /// Adds a queue at `endpoint`.
    pub fn queue(self, endpoint: &str, queue_url: &str, bucket: &str) -> Config {
        self.queue_with(endpoint, queue_url, bucket, "")
    }

    /// As [`Config::queue`], with more keys in TOML.
    pub fn queue_with(mut self, endpoint: &str, queue_url: &str, bucket: &str, keys: &str) -> Config {
        self.sources += &format!(
            "[[sources]]\ntype = \"s3_sqs\"\nqueue_url = \"{queue_url}\"\nregion = \"eu-west-1\"\n\
             endpoint_url = \"{endpoint}\"\nbuckets = [\"{bucket}\"]\nvisibility = \"30s\"\nwait = \"1s\"\n{keys}\n"
        );
        self
    }

    /// Adds a receiver: its type, and its other keys in TOML.
    pub fn receiver(self, kind: &str, keys: &str) -> Config {
        self.receiver_named(kind, kind, keys)
    }

    /// As [`Config::receiver`], under a name of its own.
    pub fn receiver_named(mut self, name: &str, kind: &str, keys: &str) -> Config {
        self.receivers += &format!("[[alerts.receivers]]\nname = \"{name}\"\ntype = \"{kind}\"\n{keys}\n");
        self
    }

    /// Adds `[watch]`, or a table below it.
    pub fn watch(mut self, table: &str, keys: &str) -> Config {
        self.receivers += &format!("[{table}]\n{keys}\n");
        self
    }

    /// Adds a key of `[alerts]`.
    pub fn alerts(mut self, key: &str) -> Config {
        self.alerts += key;
        self.alerts += "\n";
        self
    }
}
