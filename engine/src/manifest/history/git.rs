//! The `git` program, with nothing of the repository's own started

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::super::REFERENCE_BYTES_MAX;
use super::HistoryError;

/// What git may print before it counts as a fault.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// All files of one version together.
const VERSION_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Reads files of a repository one after the other.
pub(super) struct Contents {
    git: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    left: u64,
    dir: String,
}

impl Contents {
    pub(super) fn open(dir: &Path) -> Result<Contents, HistoryError> {
        let mut git = command(dir)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| HistoryError::NoGit(error.to_string()))?;
        let (Some(ask), Some(answers)) = (git.stdin.take(), git.stdout.take()) else {
            return Err(HistoryError::NoGit("it has no input or output".to_owned()));
        };
        let dir = dir.display().to_string();
        Ok(Contents { git, ask, answers: BufReader::new(answers), left: VERSION_BYTES_MAX, dir })
    }

    pub(super) fn read(&mut self, id: &str) -> Result<Vec<u8>, HistoryError> {
        let fault = |reason: String| HistoryError::Git { dir: self.dir.clone(), reason };
        writeln!(self.ask, "{id}")
            .and_then(|()| self.ask.flush())
            .map_err(|error| fault(error.to_string()))?;
        let mut head = String::new();
        self.answers.by_ref().take(1024).read_line(&mut head).map_err(|error| fault(error.to_string()))?;
        // `<id> blob <size>`, or `<id> missing`
        let size = head.trim_end().rsplit_once(' ').and_then(|(_, size)| size.parse::<u64>().ok());
        let Some(size) = size else {
            return Err(fault(format!("it does not have the object {id}: the clone is not complete")));
        };
        if size > self.left {
            return Err(HistoryError::TooMuch(format!(
                "more than {VERSION_BYTES_MAX} bytes in one revision"
            )));
        }
        self.left -= size;
        let mut bytes = Vec::new();
        let read = self.answers.by_ref().take(size + 1).read_to_end(&mut bytes);
        read.map_err(|error| HistoryError::Git { dir: self.dir.clone(), reason: error.to_string() })?;
        // The line's end after the content.
        bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        if size > REFERENCE_BYTES_MAX {
            // Kept as too long, so that reading it says so.
            bytes.truncate(usize::try_from(REFERENCE_BYTES_MAX).unwrap_or(usize::MAX).saturating_add(1));
        }
        Ok(bytes)
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // It may be in the middle of a file that nobody wants any more.
        let _ = self.git.kill();
        let _ = self.git.wait();
    }
}

/// Why git did not answer.
pub(super) enum Fault {
    Start(String),
    Told(String),
}

fn command(dir: &Path) -> Command {
    let mut git = Command::new("git");
    // What a repository's configuration could start stays off; nothing asks, writes or reaches the network.
    git.arg("--no-pager")
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args(["-c", "log.showSignature=false", "-c", "core.quotePath=false"])
        .arg("-C")
        .arg(dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("LC_ALL", "C");
    // A hook that runs us has these set for its own repository; the folder's own is meant.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_TRACE"] {
        git.env_remove(name);
    }
    git
}

/// Runs git to its end, and gives what it printed.
pub(super) fn run(dir: &Path, arguments: &[&str]) -> Result<Vec<u8>, Fault> {
    let mut child = command(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Fault::Start(error.to_string()))?;
    let told = child.stderr.take().map(|stderr| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let mut stderr = stderr;
            // Read to the end, so that it never waits for us; kept is the beginning.
            let _ = stderr.by_ref().take(64 * 1024).read_to_end(&mut text);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            text
        })
    });
    let mut out = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => {
            stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut out).map_err(|error| error.to_string())
        }
        None => Err("it has no output".to_owned()),
    };
    let is_too_long = out.len() as u64 > OUTPUT_BYTES_MAX;
    if is_too_long || read.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| Fault::Told(error.to_string()))?;
    let told = told.and_then(|reading| reading.join().ok()).unwrap_or_default();
    if is_too_long {
        return Err(Fault::Told(format!("it printed more than {OUTPUT_BYTES_MAX} bytes")));
    }
    read.map_err(Fault::Told)?;
    if !status.success() {
        let told = String::from_utf8_lossy(&told);
        let first = told.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(Fault::Told(first.trim_start_matches("fatal: ").to_owned()));
    }
    Ok(out)
}
