//! A file: one JSON line an alert, on disk before it counts as told.

use crate::alert::Message;
use crate::receiver::SendError;
use crate::receivers::record::{RECORD_MAX, record, summary_record};
use crate::summary::Summary;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// How far back a line is looked for before it is written again: some of the largest lines.
const TAIL_MAX: u64 = 4 * RECORD_MAX as u64;

#[derive(Debug)]
pub(crate) struct Ndjson {
    path: Arc<PathBuf>,
    // One writer at a time, so that lines cannot run into each other.
    turn: Mutex<()>,
}

impl Ndjson {
    pub(crate) fn new(path: PathBuf) -> Ndjson {
        Ndjson { path: Arc::new(path), turn: Mutex::new(()) }
    }

    pub(crate) async fn send(&self, message: &Message) -> Result<(), SendError> {
        self.append(&message.id, record(message), message.is_resend).await
    }

    pub(crate) async fn send_summary(&self, summary: &Summary) -> Result<(), SendError> {
        self.append(&summary.id(), summary_record(summary), true).await
    }

    async fn append(
        &self,
        id: &str,
        line: Result<Vec<u8>, serde_json::Error>,
        may_be_there: bool,
    ) -> Result<(), SendError> {
        let line = line.map_err(|cause| SendError::unsent(format!("cannot write the line: {cause}")))?;
        let _turn = self.turn.lock().await;
        let (path, id) = (Arc::clone(&self.path), id.to_owned());
        let written = tokio::task::spawn_blocking(move || append(&path, &id, line, may_be_there)).await;
        let failed = |cause: String| SendError::Retry {
            after: None,
            cause: format!("cannot append to `{}`: {cause}", self.path.display()),
            // The line may be there: the next attempt looks for it first.
            ambiguous: true,
        };
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(cause)) => Err(failed(cause.to_string())),
            Err(cause) => Err(failed(cause.to_string())),
        }
    }
}

fn append(path: &Path, id: &str, mut line: Vec<u8>, may_be_there: bool) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let tail = tail(&mut file, if may_be_there { TAIL_MAX } else { 1 })?;
    if may_be_there && holds(&tail, id) {
        return Ok(());
    }
    // A line that a power cut tore stays as it is; ours begins a new one.
    if tail.last().is_some_and(|byte| *byte != b'\n') {
        file.write_all(b"\n")?;
    }
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()?;
    if is_new {
        // The name of a new file is safe only once its folder is.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn tail(file: &mut File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
    let mut tail = Vec::new();
    file.take(bytes_max).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Whether a whole line of this id is there.
fn holds(tail: &[u8], id: &str) -> bool {
    let start = format!("{{\"id\":{},", serde_json::Value::from(id));
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { return false };
    tail.get(..end)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn message(revision: i64, is_resend: bool) -> Message {
        let mut alert = samples::alert(1);
        alert.revision = revision;
        alert.is_resend = is_resend;
        Message::new(&alert, "http://x")
    }

    fn ids(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).map(|v| v["id"].to_string());
        text.lines().map(|line| id(line).unwrap_or_else(|_| "torn".into())).collect()
    }

    #[tokio::test]
    async fn a_line_sent_again_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        let file = Ndjson::new(path.clone());
        file.send(&message(1, false)).await.unwrap();
        file.send(&message(2, false)).await.unwrap();
        file.send(&message(1, true)).await.unwrap();
        assert_eq!(ids(&path), ["\"i-f0.1\"", "\"i-f0.2\""]);
        file.send(&message(12, true)).await.unwrap();
        assert_eq!(ids(&path).len(), 3, "revision 12 is not revision 1");
    }

    #[tokio::test]
    async fn a_torn_line_is_told_again_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.ndjson");
        std::fs::write(&path, "{\"id\":\"i-f0.1\",\"schema_ver").unwrap();
        Ndjson::new(path.clone()).send(&message(1, true)).await.unwrap();
        assert_eq!(ids(&path), ["torn", "\"i-f0.1\""]);
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let failed = Ndjson::new(folder.path().join("no/alerts.ndjson")).send(&message(1, false)).await;
        assert!(matches!(failed, Err(SendError::Retry { .. })), "{failed:?}");
    }
}
