//! The plain inventory: which identity called what, how often, and when first and last
//!
//! ```
//! use engine::usage::{Selection, Usage};
//!
//! let mut usage = Usage::new(Selection::default());
//! usage.add(&ingest::EventBatch::empty(), &[])?;
//! assert!(usage.rows().is_empty());
//! # Ok::<(), engine::usage::UsageError>(())
//! ```

mod meeting;
mod needs;

#[cfg(test)]
mod tests;
mod words;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use ingest::EventBatch;
use policy::wildcard::ActionPattern;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use meeting::Meeting;
use words::{ABSENT, Words};

/// Rows that one inventory may have. Names are the attacker's to choose, so there must be an end; a row takes some 100
/// bytes, and its names.
pub const ROWS_MAX: usize = 2_000_000;

/// What the log calls nobody.
const NOBODY: &str = "unknown";

/// Why there is no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// More rows than are held.
    #[error(
        "the inventory has more than {ROWS_MAX} rows; list fewer identities with --identity, or less time with \
         --from and --to"
    )]
    TooManyRows,
}

/// Which calls are listed; by default all.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Not before this, µs UTC.
    pub from: Option<i64>,
    /// Before this, µs UTC.
    pub to: Option<i64>,
    /// Identities that match, case by case.
    pub identity: Option<ActionPattern>,
}

/// One row of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The canonical identity: the role, never its session. `unknown` where the log names nobody.
    pub identity: Arc<str>,
    /// The service, as logged.
    pub service: Arc<str>,
    /// The operation, as logged.
    pub operation: Arc<str>,
    /// What the operation certainly needs, whatever else its request asked for, and what its events named: a denial in AWS,
    /// any event elsewhere.
    pub permissions: Vec<String>,
    /// All calls, the denied ones too.
    pub count: u64,
    /// Calls that were refused for want of permission.
    pub denied: u64,
    /// The first call, µs UTC.
    pub first: i64,
    /// The last call, µs UTC.
    pub last: i64,
}

/// Counts calls, a batch at a time. Give each worker its own and [merge](Usage::merge) them at the end: the rows do not
/// depend on who counted what.
#[derive(Debug, Default)]
pub struct Usage {
    selection: Selection,
    words: Words,
    /// By the word's number: whether the identity is listed; filled as identities are met.
    listed: Vec<Option<bool>>,
    groups: FxHashMap<Key, Group>,
    named: BTreeMap<Key, needs::Named>,
    scratch: Scratch,
}

/// Numbers of words: who, which service, which operation, and what kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    actor: u32,
    service: u32,
    operation: u32,
    kind: u32,
    provider: u32,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    count: u64,
    denied: u64,
    first: i64,
    last: i64,
}

/// The numbers of one batch's words, row by row; kept so that a small batch allocates nothing.
#[derive(Debug, Default)]
struct Scratch {
    actor: Vec<u32>,
    service: Vec<u32>,
    operation: Vec<u32>,
    kind: Vec<u32>,
    provider: Vec<u32>,
    outcome: Vec<u32>,
}

/// The event table's columns that [`Usage::add`] and [`Meeting::of`] read; a batch needs no others.
pub const COLUMNS: [&str; 15] = [
    "event_id",
    "time",
    "provider",
    "account",
    "recipient_account",
    "addendum",
    "service",
    "operation",
    "event_type",
    "category",
    "outcome",
    "error_message",
    "actor",
    "credential_kind",
    "granted",
];

impl Usage {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(selection: Selection) -> Usage {
        Usage { selection, ..Usage::default() }
    }

    /// Counts the rows that are new, as [`Meeting::of`] tells them. A row without an answer is not counted.
    ///
    /// # Errors
    /// [`UsageError::TooManyRows`]; what was counted until then stays.
    pub fn add(&mut self, batch: &EventBatch, is_new: &[bool]) -> Result<(), UsageError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.words.number(batch.column("actor"), &mut scratch.actor, batch.rows());
        self.words.number(batch.column("service"), &mut scratch.service, batch.rows());
        self.words.number(batch.column("operation"), &mut scratch.operation, batch.rows());
        self.words.number(batch.column("event_type"), &mut scratch.kind, batch.rows());
        self.words.number(batch.column("provider"), &mut scratch.provider, batch.rows());
        self.words.number(batch.column("outcome"), &mut scratch.outcome, batch.rows());
        let [aws, denied] = ["aws", "denied"].map(|word| self.words.of(word));
        // AWS's records, which are nearly all, need no more than the columns here.
        let view = scratch.provider.iter().any(|provider| *provider != aws).then(|| batch.view());
        let times = batch
            .column("time")
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
            .map_or(&[][..], |times: &TimestampMicrosecondArray| times.values());
        let messages = batch.column("error_message").and_then(|column| column.as_string_view_opt());

        let keys = scratch.actor.iter().zip(&scratch.service).zip(&scratch.operation);
        let keys =
            keys.zip(&scratch.kind).zip(&scratch.provider).zip(&scratch.outcome).zip(times).zip(is_new);
        for (row, (((((((actor, service), operation), kind), provider), outcome), time), is_new)) in
            keys.enumerate()
        {
            if !is_new || !self.selects(*actor, *time) {
                continue;
            }
            let [actor, service, operation, kind, provider] =
                [*actor, *service, *operation, *kind, *provider];
            let key = Key { actor, service, operation, kind, provider };
            let group = self.groups.entry(key).or_insert(Group::EMPTY);
            group.add(*time);
            if provider != aws
                && let Some(view) = &view
            {
                self.named.entry(key).or_default().elsewhere(view, row);
            }
            if *outcome == denied {
                group.denied += 1;
                if let Some(messages) = messages.filter(|messages| messages.is_valid(row)) {
                    self.named.entry(key).or_default().denial(messages.value(row));
                }
            }
        }
        self.scratch = scratch;
        self.bounded()
    }

    /// Adds what another has counted of the same selection.
    ///
    /// # Errors
    /// [`UsageError::TooManyRows`].
    pub fn merge(&mut self, other: Usage) -> Result<(), UsageError> {
        let numbers = self.words.take_in(&other.words);
        let own = |theirs: u32| numbers.get(theirs as usize).copied().unwrap_or(ABSENT);
        let own_key = |key: Key| Key {
            actor: own(key.actor),
            service: own(key.service),
            operation: own(key.operation),
            kind: own(key.kind),
            provider: own(key.provider),
        };
        for (key, group) in other.groups {
            self.groups.entry(own_key(key)).or_insert(Group::EMPTY).merge(group);
        }
        for (key, named) in other.named {
            self.named.entry(own_key(key)).or_default().merge(named);
        }
        self.bounded()
    }

    /// The inventory, by identity, service and operation.
    #[must_use]
    pub fn rows(&self) -> Vec<UsageRow> {
        let mut needs = needs::Needs::default();
        let mut rows: BTreeMap<[&Arc<str>; 3], UsageRow> = BTreeMap::new();
        for (key, group) in &self.groups {
            let [service, operation] = [self.words.text(key.service), self.words.text(key.operation)];
            let identity = if key.actor == ABSENT { self.words.nobody() } else { self.words.text(key.actor) };
            let row = rows.entry([identity, service, operation]).or_insert_with(|| UsageRow {
                identity: identity.clone(),
                service: service.clone(),
                operation: operation.clone(),
                permissions: Vec::new(),
                count: 0,
                denied: 0,
                first: i64::MAX,
                last: i64::MIN,
            });
            row.count += group.count;
            row.denied += group.denied;
            row.first = row.first.min(group.first);
            row.last = row.last.max(group.last);
            let kind = [self.words.text(key.provider), self.words.text(key.kind)];
            needs.of(kind, [service, operation], self.named.get(key), &mut row.permissions);
        }
        let mut rows: Vec<UsageRow> = rows.into_values().collect();
        for row in &mut rows {
            row.permissions.sort_unstable();
        }
        rows
    }

    /// Whether an identity's call at a time is listed.
    fn selects(&mut self, actor: u32, time: i64) -> bool {
        if self.selection.from.is_some_and(|from| time < from)
            || self.selection.to.is_some_and(|to| time >= to)
        {
            return false;
        }
        let Some(pattern) = &self.selection.identity else { return true };
        let at = actor as usize;
        if self.listed.len() <= at {
            self.listed.resize(at + 1, None);
        }
        let Some(listed) = self.listed.get_mut(at) else { return false };
        let text = if actor == ABSENT { NOBODY } else { self.words.text(actor) };
        *listed.get_or_insert_with(|| pattern.matches_exactly(text))
    }

    fn bounded(&self) -> Result<(), UsageError> {
        // Words of rows that are not listed count as well: they are held all the same.
        if self.groups.len() > ROWS_MAX || self.words.len() > 2 * ROWS_MAX {
            return Err(UsageError::TooManyRows);
        }
        Ok(())
    }
}

impl Group {
    const EMPTY: Group = Group { count: 0, denied: 0, first: i64::MAX, last: i64::MIN };

    fn add(&mut self, time: i64) {
        self.count += 1;
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    fn merge(&mut self, other: Group) {
        self.count += other.count;
        self.denied += other.denied;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// A row as JSON: times are RFC 3339.
impl Serialize for UsageRow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut row = serializer.serialize_struct("UsageRow", 8)?;
        row.serialize_field("identity", &*self.identity)?;
        row.serialize_field("service", &*self.service)?;
        row.serialize_field("operation", &*self.operation)?;
        row.serialize_field("permissions", &self.permissions)?;
        row.serialize_field("count", &self.count)?;
        row.serialize_field("denied", &self.denied)?;
        row.serialize_field("first", &crate::time::rfc3339(self.first))?;
        row.serialize_field("last", &crate::time::rfc3339(self.last))?;
        row.end()
    }
}
