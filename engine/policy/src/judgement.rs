//! How Azure and Google Cloud come to an answer: denies first, then the union of what allows

use crate::belief::{Belief, merge};
use crate::truth::Truth;

/// What the policies say to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Something allows it, and nothing denies it
    Allowed,
    /// Something denies it, or nothing allows it
    Denied,
    /// What is not known decides
    Unknown,
}

impl Answer {
    /// `Allowed`, `Denied`, `Unknown`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Allowed => "Allowed",
            Answer::Denied => "Denied",
            Answer::Unknown => "Unknown",
        }
    }
}

/// One part of a policy that decided, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisive {
    /// `deny_assignment`, `assignment` or `role` in Azure; `deny`, `allow` or `role` in Google Cloud
    pub layer: &'static str,
    /// The assignment's or policy's name, or the node that it is attached to
    pub policy: String,
    /// The role, or the place of the rule
    pub statement: String,
}

/// An answer with what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Allowed, denied or unknown
    pub answer: Answer,
    /// What decided it; of an unknown answer what would. Empty where nothing is about the request
    pub decisive: Vec<Decisive>,
    /// What would have to be known; empty unless the answer is unknown
    pub missing_keys: Vec<String>,
}

/// What one assignment, binding or rule says to the request.
pub(crate) struct Voice {
    pub(crate) belief: Belief,
    pub(crate) by: Decisive,
}

/// Weighs what denies before what allows.
///
/// A deny that may hold leaves at most "unknown"; a deny that may hold against what nothing allows is still a denial.
pub(crate) fn judge(denies: impl Iterator<Item = Voice>, allows: impl FnOnce() -> Vec<Voice>) -> Judgement {
    let mut doubts: Vec<Voice> = Vec::new();
    for voice in denies {
        match voice.belief.truth {
            Truth::True => {
                return Judgement {
                    answer: Answer::Denied,
                    decisive: vec![voice.by],
                    missing_keys: Vec::new(),
                };
            }
            Truth::Unknown => doubts.push(voice),
            Truth::False => {}
        }
    }
    let mut granted = None;
    let mut possible: Vec<Voice> = Vec::new();
    for voice in allows() {
        match voice.belief.truth {
            Truth::True => {
                granted = Some(voice);
                break;
            }
            Truth::Unknown => possible.push(voice),
            Truth::False => {}
        }
    }
    match granted {
        Some(voice) if doubts.is_empty() => {
            return Judgement { answer: Answer::Allowed, decisive: vec![voice.by], missing_keys: Vec::new() };
        }
        Some(_) => {}
        None if possible.is_empty() => {
            return Judgement { answer: Answer::Denied, decisive: Vec::new(), missing_keys: Vec::new() };
        }
        None => doubts.extend(possible),
    }
    let mut unknown = Judgement { answer: Answer::Unknown, decisive: Vec::new(), missing_keys: Vec::new() };
    for voice in doubts {
        merge(&mut unknown.missing_keys, voice.belief.missing);
        unknown.decisive.push(voice.by);
    }
    unknown
}

/// A part of an export that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Malformed {
    /// `permissions[1].actions`
    pub place: String,
    /// What is wrong, and what to do
    pub reason: String,
}

impl Malformed {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Malformed {
        Malformed { place: place.into(), reason: reason.into() }
    }

    pub(crate) fn within(self, place: &str) -> Malformed {
        Malformed { place: format!("{place}.{}", self.place), reason: self.reason }
    }
}
