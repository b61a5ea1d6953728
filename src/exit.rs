//! Exit codes, as `remit --help` lists them.

use std::process::ExitCode;

/// How a command ended, when it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Findings, or something else that was asked for is not so.
    Findings,
    /// Done, but some input could not be read.
    Incomplete,
    /// Interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::Incomplete => 4,
            Exit::Interrupted => 130,
        })
    }
}

/// Marks an error as the user's to mend: exit code 2 instead of 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    pub fn error(cause: impl std::fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Usage(cause.to_string()))
    }
}

/// The code of an error.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    let is_usage = error.chain().any(|cause| cause.is::<Usage>() || cause.is::<crate::config::ConfigError>());
    ExitCode::from(if is_usage { 2 } else { 3 })
}
