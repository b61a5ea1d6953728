//! What detections can tell apart: rows that look alike to every filter are asked once

use arrow::datatypes::DataType;
use foldhash::HashMap;
use rustc_hash::FxHashMap;

use super::answers::Answer;
use super::schema;
use super::words::NONE;
use crate::grant::Grant;
use crate::scope::{Reason, Verdict};

/// How a filter reads a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Read {
    /// Not at all.
    #[default]
    No,
    /// Only whether it has a value.
    Presence,
    /// Its value.
    Value,
}

/// How the filters of all detections read the columns of `calls`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reads {
    columns: HashMap<String, Read>,
}

/// Columns with so many values that no row would look like another.
const MANY: [&str; 10] = [
    "call",
    "event_id",
    "time",
    "error_message",
    "credential",
    "session_name",
    "source_ip",
    "user_agent",
    "policy_fault",
    "bound_seen",
];

impl Reads {
    pub(crate) fn add(&mut self, column: &str, read: Read) {
        let known = self.columns.entry(column.to_owned()).or_default();
        *known = read.max(*known);
    }

    pub(crate) fn merge(&mut self, other: &Reads) {
        for (column, read) in &other.columns {
            self.add(column, *read);
        }
    }

    pub(crate) fn of(&self, column: &str) -> Read {
        debug_assert!(schema().column_with_name(column).is_some(), "{column}");
        self.columns.get(column).copied().unwrap_or_default()
    }

    /// Whether a column is read whose values are too many for rows to look alike.
    pub(crate) fn tells_every_row_apart(&self) -> bool {
        self.columns.iter().any(|(column, read)| {
            let schema = schema();
            let is_list = schema
                .field_with_name(column)
                .map_or(true, |field| matches!(field.data_type(), DataType::List(_)));
            *read == Read::Value && (is_list || MANY.contains(&column.as_str()))
        })
    }
}

impl Read {
    /// As much of a value's number as is read.
    pub(super) fn shown(self, id: u32) -> u32 {
        match self {
            Read::No => NONE,
            Read::Presence => u32::from(id != NONE),
            Read::Value => id,
        }
    }

    pub(super) fn is_read(self) -> bool {
        self != Read::No
    }
}

/// What is the same for all rows of a kind of call on one day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Fixed {
    pub(super) agent: u32,
    pub(super) environment: u32,
    pub(super) actor: u32,
    pub(super) permission: u32,
    pub(super) outcome: u32,
    /// Words of the log that need only be compared.
    pub(super) told: [u32; 9],
    pub(super) flags: u32,
    pub(super) active_days: u32,
}

/// What is read of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Said {
    scope: Option<Verdict>,
    reason: Option<Reason>,
    statement: Option<String>,
    grant: Option<Grant>,
    why: Option<String>,
}

/// What is read of one row: numbers of its [`Fixed`] and answer, and what is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Signature {
    pub(super) fixed: u32,
    /// The answer's part; 0 where there is none.
    pub(super) answer: u32,
    pub(super) bits: u32,
    /// The agent that the caller becomes.
    pub(super) hop: u32,
}

/// Which detections' filters let rows of a signature through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// They were not asked yet.
    NotAsked,
    /// These: mostly none.
    By(Hearers),
}

/// Some of the detections, by their places in the list of all; those from the 64th on are all or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hearers(u64);

impl Hearers {
    /// Every detection.
    pub(crate) const ALL: Hearers = Hearers(u64::MAX);

    fn bit(place: usize) -> u64 {
        1 << place.min(63)
    }

    pub(crate) fn add(&mut self, place: usize) {
        self.0 |= Hearers::bit(place);
    }

    pub(crate) fn has(self, place: usize) -> bool {
        self.0 & Hearers::bit(place) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn and(self, other: Hearers) -> Hearers {
        Hearers(self.0 | other.0)
    }
}

/// The signature of rows that are always written and asked one by one.
pub(super) const APART: u32 = 0;

/// Every signature that was met, and what came of asking.
#[derive(Debug)]
pub(super) struct Signatures {
    fixed: FxHashMap<Fixed, u32>,
    said: HashMap<Said, u32>,
    known: FxHashMap<Signature, u32>,
    pub(super) heard: Vec<Heard>,
}

impl Default for Signatures {
    fn default() -> Signatures {
        Signatures {
            fixed: FxHashMap::default(),
            said: HashMap::default(),
            known: FxHashMap::default(),
            // That of `APART`.
            heard: vec![Heard::By(Hearers::ALL)],
        }
    }
}

impl Signatures {
    pub(super) fn fixed(&mut self, part: Fixed) -> u32 {
        let next = self.fixed.len() as u32;
        *self.fixed.entry(part).or_insert(next)
    }

    /// The number of what is read of an answer. From 1: 0 is a row without one.
    pub(super) fn said(&mut self, answer: &Answer, reads: &Reads) -> u32 {
        let text = |column: &str, text: Option<&str>| match reads.of(column) {
            Read::No => None,
            Read::Presence => text.map(|_| String::new()),
            Read::Value => text.map(str::to_owned),
        };
        let scope = answer.scope.as_ref();
        let said = Said {
            scope: scope.filter(|_| reads.of("scope").is_read()).map(|scope| scope.verdict),
            reason: scope.filter(|_| reads.of("scope_reason").is_read()).map(|scope| scope.reason),
            statement: text("scope_statement", scope.and_then(|scope| scope.statement.as_deref())),
            grant: Some(answer.grant.grant).filter(|_| reads.of("grant").is_read()),
            why: text("grant_why", Some(&answer.grant.why)),
        };
        let next = self.said.len() as u32 + 1;
        *self.said.entry(said).or_insert(next)
    }

    pub(super) fn id(&mut self, signature: Signature) -> u32 {
        let next = self.heard.len() as u32;
        let id = *self.known.entry(signature).or_insert(next);
        if id == next {
            self.heard.push(Heard::NotAsked);
        }
        id
    }

    pub(super) fn len(&self) -> usize {
        self.heard.len() + self.fixed.len() + self.said.len()
    }
}

// What rows of a kind are told apart by.
pub(super) const FAULT: u32 = 1;
pub(super) const ERROR_MESSAGE: u32 = 1 << 1;
pub(super) const CREDENTIAL: u32 = 1 << 2;
pub(super) const SESSION_NAME: u32 = 1 << 3;
pub(super) const SOURCE_IP: u32 = 1 << 4;
pub(super) const USER_AGENT: u32 = 1 << 5;
pub(super) const OWN_IAM: u32 = 1 << 6;
pub(super) const EXPECTED_DENIAL: u32 = 1 << 7;
pub(super) const BOUND_GRAVE: u32 = 1 << 8;
pub(super) const BOUND_BROKEN: u32 = 9;
pub(super) const BOUND_UNKNOWN: u32 = 12;
