//! What could not be read, kept with its reason until it can be read or somebody says that it need not be.
//!
//! Bounded: of one object at most [`ROWS_KEPT_MAX`] records are kept one by one, and of all objects together
//! [`ROWS_WAITING_MAX`] rows with their text; the rest is kept as a number for each reason. It can be read again all
//! the same: what is read again is the object.

use super::{Commit, Store, StoreError, pieces};
use ingest::ObjectRef;
use ingest::quarantine::Quarantined;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Records of one object that are kept one by one, each with its first bytes.
pub const ROWS_KEPT_MAX: usize = 256;

/// Waiting rows of all objects together; beyond it an object is kept as a number for each reason.
pub const ROWS_WAITING_MAX: i64 = 100_000;

/// What became of a quarantined row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineState {
    /// It could not be read, and waits for somebody.
    Waiting,
    /// Somebody wants it to be read again; the service does so.
    Wanted,
    /// It was read after all.
    Replayed,
    /// Somebody said that it need not be read.
    Resolved,
}

impl QuarantineState {
    /// Every state.
    pub const ALL: [QuarantineState; 4] = [
        QuarantineState::Waiting,
        QuarantineState::Wanted,
        QuarantineState::Replayed,
        QuarantineState::Resolved,
    ];

    /// The lower-case name, as in the store and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            QuarantineState::Waiting => "waiting",
            QuarantineState::Wanted => "wanted",
            QuarantineState::Replayed => "replayed",
            QuarantineState::Resolved => "resolved",
        }
    }
}

impl FromStr for QuarantineState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        QuarantineState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown state `{text}`. Known: waiting, wanted, replayed, resolved"))
    }
}

/// A quarantined record, object or notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// Its id, of 32 hexadecimal digits.
    pub id: String,
    /// The source that it came from; empty where an older remit kept it.
    pub source: String,
    /// The object, or the source for a notification that names none.
    pub place: String,
    /// The object's id, where it is about one that was claimed.
    pub object: Option<String>,
    /// Where it can be fetched again.
    pub pointer: Option<ObjectRef>,
    /// The record's index in its object; none for the object or message as a whole, and for several records.
    pub row: Option<i64>,
    /// How many records it stands for.
    pub records: i64,
    /// One of a closed set of reasons.
    pub reason: String,
    /// What was wrong.
    pub detail: String,
    /// Its first bytes, secrets redacted: an attacker's text.
    pub head: String,
    /// When it was quarantined, µs UTC.
    pub at: i64,
    /// How often it was seen so.
    pub seen: i64,
    /// When it was seen so last, µs UTC.
    pub last_seen: i64,
    /// What became of it.
    pub state: QuarantineState,
    /// The same in words; empty as long as nothing did.
    pub outcome: String,
    /// When it was read or resolved, µs UTC.
    pub ended_at: Option<i64>,
}

impl QuarantinedRow {
    /// Whether anything is known that can be read again.
    #[must_use]
    pub fn can_be_replayed(&self) -> bool {
        // A message that names no object is read again from its first bytes.
        self.pointer.is_some() || self.object.is_none() && !self.source.is_empty() && !self.head.is_empty()
    }
}

/// Which rows to list; empty fields do not narrow.
#[derive(Debug, Clone, Default)]
pub struct QuarantineFilter {
    /// Only these states; empty: all.
    pub states: Vec<QuarantineState>,
    /// Only this reason.
    pub reason: Option<String>,
    /// Only this source's.
    pub source: Option<String>,
    /// Only those quarantined since, µs UTC.
    pub since: Option<i64>,
    /// At most so many, newest first; 0: all.
    pub limit: i64,
}

/// A message that cannot be understood or followed, or a file that cannot be opened.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// By what it is known again.
    pub id: &'a str,
    /// The source that it came from.
    pub source: &'a str,
    /// Where it was, for people.
    pub place: &'a str,
    /// The object that it names, if it names one.
    pub object: Option<&'a ObjectRef>,
}

impl Store {
    /// Keeps what could not be read outside any claimed object, such as a notification.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn quarantine(
        &self,
        refused: &Refused<'_>,
        quarantined: &Quarantined,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let Refused { id, source, place, object } = *refused;
        let of = Of { base: id, object: None, source, place, pointer: object };
        insert(&mut tx, of, std::slice::from_ref(quarantined), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest rows that were not read since, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn quarantined(&self, limit: i64) -> Result<Vec<QuarantinedRow>, StoreError> {
        let states = vec![QuarantineState::Waiting, QuarantineState::Wanted, QuarantineState::Resolved];
        self.quarantine_rows(&QuarantineFilter { states, limit, ..QuarantineFilter::default() }).await
    }

    /// Quarantined rows, newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn quarantine_rows(
        &self,
        filter: &QuarantineFilter,
    ) -> Result<Vec<QuarantinedRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM quarantine WHERE 1 = 1");
        if !filter.states.is_empty() {
            query.push(" AND state IN (");
            let mut states = query.separated(", ");
            for state in &filter.states {
                states.push_bind(state.as_str());
            }
            query.push(")");
        }
        if let Some(reason) = &filter.reason {
            query.push(" AND reason = ").push_bind(reason.as_str());
        }
        if let Some(source) = &filter.source {
            query.push(" AND source = ").push_bind(source.as_str());
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(since);
        }
        query.push(" ORDER BY at DESC, place, row, id");
        if filter.limit > 0 {
            query.push(" LIMIT ").push_bind(filter.limit);
        }
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(row_of).collect()
    }

    /// One row.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn quarantine_row(&self, id: &str) -> Result<QuarantinedRow, StoreError> {
        let row = sqlx::query("SELECT * FROM quarantine WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.reader)
            .await?
            .ok_or_else(|| not_found(id))?;
        row_of(&row)
    }

    /// Says that a row need not be read, and why. It stays, and counts as not read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Sql`].
    pub async fn resolve_quarantined(&self, id: &str, why: &str, now: i64) -> Result<(), StoreError> {
        let ended = sqlx::query(
            "UPDATE quarantine SET state = 'resolved', outcome = $1, ended_at = $2
             WHERE id = $3 AND state <> 'replayed'",
        )
        .bind(why)
        .bind(now)
        .bind(id)
        .execute(&self.writer)
        .await?;
        if ended.rows_affected() == 0 { Err(not_found(id)) } else { Ok(()) }
    }

    /// Forgets rows that were read before `before` (µs). What was not read is never forgotten.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn forget_replayed(&self, before: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query("DELETE FROM quarantine WHERE state = 'replayed' AND ended_at < $1")
            .bind(before)
            .execute(&self.writer)
            .await?;
        Ok(gone.rows_affected())
    }
}

fn not_found(id: &str) -> StoreError {
    StoreError::NotFound { what: "waiting row", id: id.to_owned(), command: "quarantine" }
}

fn row_of(row: &SqliteRow) -> Result<QuarantinedRow, StoreError> {
    let id: String = row.try_get("id")?;
    let state: String = row.try_get("state")?;
    let source: String = row.try_get("source")?;
    let (bucket, key): (Option<String>, Option<String>) = (row.try_get("bucket")?, row.try_get("key")?);
    let version: Option<String> = row.try_get("version")?;
    let pointer = bucket.zip(key).map(|(bucket, key)| ObjectRef {
        source: source.clone(),
        bucket,
        key,
        version: version.unwrap_or_default(),
    });
    Ok(QuarantinedRow {
        state: state.parse().map_err(|cause| StoreError::Damaged {
            what: "quarantined row",
            id: id.clone(),
            cause,
        })?,
        id,
        source,
        place: row.try_get("place")?,
        object: row.try_get("object")?,
        pointer,
        row: row.try_get("row")?,
        records: row.try_get("records")?,
        reason: row.try_get("reason")?,
        detail: row.try_get("detail")?,
        head: row.try_get("head")?,
        at: row.try_get("at")?,
        seen: row.try_get("seen")?,
        last_seen: row.try_get("last_seen")?,
        outcome: row.try_get("outcome")?,
        ended_at: row.try_get("ended_at")?,
    })
}

/// What rows are of.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    /// What their ids are made of: the object, or the message.
    pub base: &'a str,
    /// The object's id, where it was claimed.
    pub object: Option<&'a str>,
    pub source: &'a str,
    pub place: &'a str,
    pub pointer: Option<&'a ObjectRef>,
}

impl<'a> Of<'a> {
    /// A claimed object's; `pointer` names it.
    pub fn object(id: &'a str, place: &'a str, pointer: Option<&'a ObjectRef>) -> Of<'a> {
        let source = pointer.map_or("", |pointer| pointer.source.as_str());
        Of { base: id, object: Some(id), source, place, pointer }
    }
}

struct Entry<'a> {
    of: Of<'a>,
    id: String,
    row: Option<u32>,
    records: i64,
    is_rest: bool,
    reason: &'a str,
    detail: &'a str,
    head: &'a str,
}

/// What of an object is kept: at most `rows_max` records one by one, the others as a number for each reason.
fn kept<'a>(of: Of<'a>, quarantined: &'a [Quarantined], rows_max: usize) -> Vec<Entry<'a>> {
    let (single, rest) = quarantined.split_at(rows_max.min(quarantined.len()));
    let mut entries: Vec<Entry<'a>> = Vec::with_capacity(single.len());
    for one in single {
        let at = one.row.map_or_else(|| "whole".to_owned(), |row| row.to_string());
        let id = ingest::fingerprint(&[of.base, &at], 32);
        let (reason, detail, head) = (one.reason, one.detail.as_str(), one.head.as_str());
        entries.push(Entry { of, id, row: one.row, records: 1, is_rest: false, reason, detail, head });
    }
    let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
    for one in rest {
        *numbers.entry(one.reason).or_default() += 1;
    }
    for (reason, records) in numbers {
        let id = ingest::fingerprint(&[of.base, "rest", reason], 32);
        let (detail, head) = ("more records of this object, counted only", "");
        entries.push(Entry { of, id, row: None, records, is_rest: true, reason, detail, head });
    }
    entries
}

/// Writes rows of one object or message; what is seen again is the same row.
pub(super) async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    of: Of<'_>,
    quarantined: &[Quarantined],
    now: i64,
) -> Result<(), StoreError> {
    insert_rows(tx, &[(of, quarantined)], now).await
}

/// The object that a commit is about.
fn object_of<'a>(commit: &Commit<'a>) -> &'a str {
    commit.readmitted.map_or(commit.claim.object.as_str(), |readmitted| readmitted.of.as_str())
}

/// Writes what judged objects hold that could not be read, after what could not before and now can.
pub(super) async fn insert_of(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    let now = commits.first().map_or(0, |commit| commit.terms.now);
    for commit in commits {
        // The first claim of an object has nothing in quarantine yet.
        if commit.readmitted.is_some() || commit.claim.token > 1 {
            let object = object_of(commit);
            let outcome = format!(
                "read again: {} events added, {} seen before, {} records still not read",
                commit.events.len(),
                commit.duplicates,
                commit.quarantined.len()
            );
            replayed(tx, object, &outcome, now).await?;
        }
    }
    let rows: Vec<_> = commits
        .iter()
        .filter(|commit| !commit.quarantined.is_empty())
        .map(|commit| {
            let object = object_of(commit);
            let pointer = commit.origin.map(|origin| &origin.object);
            (Of::object(object, commit.place, pointer), commit.quarantined)
        })
        .collect();
    insert_rows(tx, &rows, now).await
}

/// Notes that nothing of an object is unread any more. Rows that still are come back in the same transaction.
pub(super) async fn replayed(
    tx: &mut Transaction<'static, Sqlite>,
    object: &str,
    outcome: &str,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE quarantine SET state = 'replayed', outcome = $1, ended_at = $2
         WHERE object = $3 AND state <> 'replayed'",
    )
    .bind(outcome)
    .bind(now)
    .bind(object)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_rows(
    tx: &mut Transaction<'static, Sqlite>,
    rows: &[(Of<'_>, &[Quarantined])],
    now: i64,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM quarantine WHERE state <> 'replayed'")
        .fetch_one(&mut **tx)
        .await?;
    let mut room = usize::try_from(ROWS_WAITING_MAX - waiting).unwrap_or(0);
    let mut entries = Vec::new();
    for (of, quarantined) in rows {
        // The object as a whole is one row whatever the room.
        let is_whole = quarantined.iter().all(|one| one.row.is_none());
        let rows_max = if is_whole { ROWS_KEPT_MAX } else { ROWS_KEPT_MAX.min(room) };
        room = room.saturating_sub(quarantined.len().min(rows_max));
        entries.extend(kept(*of, quarantined, rows_max));
    }
    for piece in pieces(&entries) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO quarantine (id, place, row, reason, detail, head, at, object, source, bucket, key, version,
                                     records, is_rest, last_seen) ",
        );
        insert.push_values(piece, |mut row, entry| {
            let Entry { of, id, row: at, records, is_rest, reason, detail, head } = entry;
            row.push_bind(id.as_str())
                .push_bind(of.place)
                .push_bind(at.map(i64::from))
                .push_bind(*reason)
                .push_bind(*detail)
                .push_bind(*head)
                .push_bind(now)
                .push_bind(of.object)
                .push_bind(of.source)
                .push_bind(of.pointer.map(|pointer| pointer.bucket.as_str()))
                .push_bind(of.pointer.map(|pointer| pointer.key.as_str()))
                .push_bind(of.pointer.map(|pointer| pointer.version.as_str()))
                .push_bind(*records)
                .push_bind(i64::from(*is_rest))
                .push_bind(now);
        });
        insert.push(
            " ON CONFLICT (id) DO UPDATE SET
                reason = excluded.reason, detail = excluded.detail, head = excluded.head,
                records = excluded.records, seen = quarantine.seen + 1, last_seen = excluded.last_seen,
                state = 'waiting', outcome = 'seen again, and still not to be read', ended_at = NULL",
        );
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(row: u32, reason: &'static str) -> Quarantined {
        Quarantined { row: Some(row), reason, detail: "d".into(), head: "h".into() }
    }

    #[test]
    fn what_is_too_much_of_one_object_is_counted_by_reason() {
        let all: Vec<Quarantined> =
            (0..10).map(|row| record(row, if row % 2 == 0 { "bad_json" } else { "bad_time" })).collect();
        let of = Of::object("o", "s3://b/k", None);
        let entries = kept(of, &all, 4);
        let told: Vec<_> = entries.iter().map(|e| (e.row, e.reason, e.records, e.head)).collect();
        assert_eq!(told[..2], [(Some(0), "bad_json", 1, "h"), (Some(1), "bad_time", 1, "h")]);
        assert_eq!(told[4..], [(None, "bad_json", 3, ""), (None, "bad_time", 3, "")]);
        assert_eq!(entries.iter().map(|entry| entry.records).sum::<i64>(), 10);
        assert_eq!(kept(of, &all, 10).len(), 10, "no more than fits: each is kept");
    }

    #[test]
    fn a_state_is_known_by_its_name() {
        for state in QuarantineState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("gone".parse::<QuarantineState>().unwrap_err().contains("waiting"));
    }
}
