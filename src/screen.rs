//! Standard output: data, and nothing else.

use anyhow::Context;
use std::io::{ErrorKind, IsTerminal, Write};

/// Whether to colour: a terminal that did not refuse it (<https://no-color.org>).
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The same for standard error.
pub fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Writes text. A reader that went away (`| head`) is no error.
pub fn out(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the output"),
        _ => Ok(()),
    }
}

/// Writes one JSON value: on one line, or for people.
pub fn out_json(value: &serde_json::Value, pretty: bool) -> anyhow::Result<()> {
    let text = if pretty { format!("{value:#}\n") } else { format!("{value}\n") };
    out(&text)
}
