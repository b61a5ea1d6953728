//! A real Prometheus, and promtool.

use super::remit::Finished;
use super::{http, tools, until};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Runs promtool to its end.
pub fn promtool(arguments: &[&str], input: &str) -> Finished {
    let scratch = tempfile::tempdir().unwrap();
    let stdin = scratch.path().join("stdin");
    std::fs::write(&stdin, input).unwrap();
    let output = Command::new(tools::tool("promtool"))
        .args(arguments)
        .stdin(std::fs::File::open(stdin).unwrap())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Finished { code: output.status.code(), stdout, stderr, ..Finished::default() }
}

/// A running Prometheus. Dropped, it is killed with its data.
pub struct Prometheus {
    url: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes `127.0.0.1:<target>` every second as job `remit`, with these rule files.
    pub fn scraping(target: u16, rules: &[impl AsRef<Path>]) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let rules: Vec<_> = rules.iter().map(|rules| rules.as_ref().canonicalize().unwrap()).collect();
        let config = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "remit", "static_configs": [{"targets": [format!("127.0.0.1:{target}")]}]}],
        });
        // JSON is YAML too.
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let port = super::free_port();
        let child = Command::new(tools::tool("prometheus"))
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Prometheus { url: format!("http://127.0.0.1:{port}"), child, _folder: folder };
        until("Prometheus is ready", Duration::from_secs(60), || {
            http::try_get(&format!("{}/-/ready", prometheus.url), &[]).filter(|answer| answer.status == 200)
        });
        prometheus
    }

    /// What a query gives now: its series, or why it is none.
    pub fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let answer = http::get(&format!("{}/api/v1/query?query={}", self.url, percent_encoded(query))).json();
        match answer["status"].as_str() {
            Some("success") => match &answer["data"]["result"] {
                Value::Array(series) => Ok(series.clone()),
                other => Ok(vec![other.clone()]),
            },
            _ => Err(answer["error"].to_string()),
        }
    }

    /// Every rule as Prometheus sees it.
    pub fn rules(&self) -> Vec<Value> {
        let answer = http::get(&format!("{}/api/v1/rules", self.url)).json();
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
