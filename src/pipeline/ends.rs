//! How each step of an object's way can end.

use crate::desk::Sheet;
use engine::store::{ClaimToken, StoredCommit};

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Judged and committed.
    Done {
        /// Unique events in it.
        events: u64,
        /// What the commit changed.
        stored: Box<StoredCommit>,
    },
    /// It was ended before.
    Duplicate,
    /// Nothing of ours, and why.
    Ignored(&'static str),
    /// It cannot be read; the quarantine says why.
    Quarantined(&'static str),
    /// Another worker holds it.
    Held,
}

/// A claimed object, or what is to be said instead.
#[derive(Debug)]
pub enum Begun {
    Mine(ClaimToken),
    /// The last attempt on it ended the process.
    Suspect(ClaimToken),
    Ended(Outcome),
}

/// What judging a claimed object gave.
#[derive(Debug)]
pub enum Read {
    /// To be committed.
    Judged(Box<Sheet>),
    /// There was nothing to judge.
    Ended(Outcome),
    /// Its bytes end too early: they may have been lost on the way.
    Torn,
}

/// How a commit went.
#[derive(Debug)]
pub enum Written {
    /// The object's end.
    Ended(Outcome),
    /// Some of its events were judged elsewhere meanwhile: read it again.
    Clash,
}
