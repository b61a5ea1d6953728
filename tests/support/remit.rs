//! The built binary, run as a user runs it.

use super::http::{self, Answer};
use super::until;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a command may take. The test profile is slow and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(120);

/// A command that came to its end.
#[derive(Debug, Default)]
pub struct Finished {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed as data.
    pub stdout: String,
    /// What it told.
    pub stderr: String,
    /// The most memory that it was seen to hold, in bytes.
    pub peak: u64,
}

impl Finished {
    /// It ended with this code; else the story stops and shows what it told.
    #[track_caller]
    pub fn expect(self, code: i32) -> Finished {
        assert_eq!(self.code, Some(code), "stderr:\n{}\nstdout:\n{}", self.stderr, self.stdout);
        self
    }

    /// Its output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }

    /// Its output as JSON lines.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}:\n{line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Runs `remit` in `folder` to its end.
pub fn remit(folder: &Path, arguments: &[&str]) -> Finished {
    run(folder, arguments, "", &[])
}

/// Runs `remit` in `folder` to its end, with input and environment.
pub fn run(folder: &Path, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Finished {
    let scratch = tempfile::tempdir().unwrap();
    let stdin = scratch.path().join("stdin");
    std::fs::write(&stdin, input).unwrap();
    let mut child = command(folder, arguments, scratch.path())
        .stdin(File::open(stdin).unwrap())
        .envs(environment.iter().copied())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(most_memory(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            panic!("`remit {}` did not end within {LIMIT:?}:\n{}", arguments.join(" "), told(scratch.path()));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Finished {
        code: status.code(),
        stdout: std::fs::read_to_string(scratch.path().join("stdout")).expect("UTF-8 on stdout"),
        stderr: told(scratch.path()),
        peak,
    }
}

/// The most memory that a process held so far, in bytes; 0 once it has ended, and where there is no `/proc`.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() * 1024
}

fn told(scratch: &Path) -> String {
    std::fs::read(scratch.join("stderr"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The program: the one built with the stories, or that of `REMIT_BIN`, by which a script measures another build.
pub fn binary() -> PathBuf {
    std::env::var_os("REMIT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_remit").into(), PathBuf::from)
}

fn command(folder: &Path, arguments: &[&str], scratch: &Path) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        // Files, not pipes: nobody needs to read while it runs, and a full pipe can't stop it.
        .stdout(File::create(scratch.join("stdout")).unwrap())
        .stderr(File::options().create(true).append(true).open(scratch.join("stderr")).unwrap())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command
}

/// `remit` as a service. Dropped, it is killed.
pub struct Service {
    child: Child,
    folder: PathBuf,
    scratch: tempfile::TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: u16,
}

impl Service {
    /// `remit run -c remit.toml` in `folder`; back once it says that it is ready.
    pub fn run(folder: &Path, port: u16) -> Service {
        let service = Service::spawn(folder, &["run", "-c", "remit.toml"], port);
        service.ready()
    }

    /// Starts any command that goes on, without waiting.
    pub fn spawn(folder: &Path, arguments: &[&str], port: u16) -> Service {
        Service::spawn_in(folder, arguments, port, &[])
    }

    /// As [`Service::spawn`], with variables in its environment.
    pub fn spawn_in(folder: &Path, arguments: &[&str], port: u16, environment: &[(&str, &str)]) -> Service {
        let scratch = tempfile::tempdir().unwrap();
        let child =
            command(folder, arguments, scratch.path()).envs(environment.iter().copied()).spawn().unwrap();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Service { child, folder: folder.to_owned(), scratch, arguments, environment, port }
    }

    /// The most memory that it has held since it was started last, in bytes.
    pub fn peak(&self) -> u64 {
        most_memory(self.child.id())
    }

    /// Waits until `/readyz` says yes.
    pub fn ready(mut self) -> Service {
        let url = self.url("/readyz");
        until("remit is ready", LIMIT, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("remit ended with {status}:\n{}", self.stderr());
            }
            http::try_get(&url, &[]).filter(|answer| answer.status == 200)
        });
        self
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would: no signal handler runs.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, without waiting until it is ready. What it told before is kept.
    pub fn restart(&mut self) {
        self.kill();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        self.child =
            command(&self.folder, &arguments, self.scratch.path()).envs(environment).spawn().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let ended =
            until("remit ends when asked to", Duration::from_secs(30), || self.child.try_wait().unwrap());
        ended.code()
    }

    /// Sends it a signal, `-TERM`, and does not wait.
    pub fn signal(&self, signal: &str) {
        let _ = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
    }

    /// An address of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Asks it.
    pub fn get(&self, path: &str) -> Answer {
        http::get(&self.url(path))
    }

    /// The sum of a metric over all its series that have every one of `labels`, `name="value"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.get("/metrics").text, name, labels)
    }

    /// What it told so far.
    pub fn stderr(&self) -> String {
        told(self.scratch.path())
    }

    /// What it printed as data so far.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("stdout")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // Shown by the test runner together with why the story failed.
            eprintln!("--- what remit told:\n{}", self.stderr());
        }
    }
}

fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let mut sum = 0.0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (found, of) = series.split_once('{').unwrap_or((series, ""));
        if found == name && labels.iter().all(|label| of.contains(label)) {
            sum += value.parse::<f64>().unwrap();
        }
    }
    sum
}

/// The findings of a store, as the command lists them.
pub fn findings(folder: &Path) -> Vec<Value> {
    remit(folder, &["findings", "list", "-c", "remit.toml", "--output", "ndjson"]).expect(0).lines()
}
