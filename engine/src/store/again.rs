//! Judging an object again when a policy change arrives late
//!
//! For a day after it was judged the store keeps how an object can be had again, whose calls are in it and what it
//! added to each finding. A change marks the objects whose callers it touches; judged again, an object's old parts
//! give way to the new ones. A finding that has no part left is superseded.

use super::commit::tell;
use super::findings::{StoredFinding, read_findings};
use super::{Commit, Store, StoreError, StoredCommit, Terms, pieces};
use crate::finding::{Finding, FindingState};
use crate::grant::{PolicyChange, Touch};
use crate::measure::{Measure, Measures};
use ingest::ObjectRef;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, Transaction};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How an object can be judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Where it can be fetched.
    pub object: ObjectRef,
    /// Its rows that were duplicates of events judged elsewhere.
    pub left_out: Vec<u32>,
    /// Its latest event, µs UTC.
    pub last_event: i64,
    /// The roles and users among its callers whose calls were judged, as [`Touch::principal`] spells them.
    pub callers: BTreeSet<String>,
}

/// An object to judge again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The object's id.
    pub id: String,
    /// Where it can be fetched.
    pub object: ObjectRef,
    /// SHA-256 of the bytes that were judged, hex.
    pub sha256: String,
    /// Its rows that were duplicates of events judged elsewhere.
    pub left_out: HashSet<u32>,
}

impl Store {
    /// Every policy change that the log has shown, in order.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn policy_changes(&self) -> Result<Vec<PolicyChange>, StoreError> {
        let rows = sqlx::query("SELECT event_id, body FROM policy_changes ORDER BY time, event_id")
            .fetch_all(&self.reader)
            .await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let body: String = row.try_get("body")?;
            changes.push(serde_json::from_str(&body).map_err(|cause| StoreError::Damaged {
                what: "policy change",
                id: row.try_get("event_id").unwrap_or_default(),
                cause: cause.to_string(),
            })?);
        }
        Ok(changes)
    }

    /// Forgets sessions that were stored before `before` (µs): their calls are over.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn forget_sessions(&self, before: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query("DELETE FROM policy_changes WHERE session = 1 AND seen_at < $1")
            .bind(before)
            .execute(&self.writer)
            .await?;
        Ok(gone.rows_affected())
    }

    /// Marks an object that was judged before a change became known which touches it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn mark_again(&self, object: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE objects SET again = 1 WHERE id = $1").bind(object).execute(&self.writer).await?;
        Ok(())
    }

    /// Objects of a source that wait to be judged again, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn due_again(&self, source: &str, limit: i64) -> Result<Vec<Again>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.id, o.sha256, r.source, r.bucket, r.key, r.version, r.left_out
             FROM objects o JOIN origins r ON r.object = o.id
             WHERE o.again = 1 AND r.source = $1 ORDER BY r.done_at, o.id LIMIT $2",
        )
        .bind(source)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let id: String = row.try_get("id")?;
            let left_out: String = row.try_get("left_out")?;
            due.push(Again {
                object: ObjectRef {
                    source: row.try_get("source")?,
                    bucket: row.try_get("bucket")?,
                    key: row.try_get("key")?,
                    version: row.try_get("version")?,
                },
                sha256: row.try_get::<Option<String>, _>("sha256")?.unwrap_or_default(),
                left_out: serde_json::from_str(&left_out).map_err(|cause| damaged(&id, &cause))?,
                id,
            });
        }
        Ok(due)
    }

    /// Says that an object cannot be had again: what was judged of it stays.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn leave_again(&self, object: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE objects SET again = 2 WHERE id = $1").bind(object).execute(&self.writer).await?;
        Ok(())
    }

    /// Puts what an object says now in the place of what it said before.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`]; nothing was written then.
    pub async fn commit_again(
        &self,
        object: &str,
        findings: &[Finding],
        measures: &Measures,
        terms: &Terms<'_>,
    ) -> Result<StoredCommit, StoreError> {
        let mut tx = self.begin().await?;
        let was: Vec<String> = sqlx::query_scalar("SELECT finding FROM finding_parts WHERE object = $1")
            .bind(object)
            .fetch_all(&mut *tx)
            .await?;
        for table in ["finding_parts", "finding_objects"] {
            let forget = AssertSqlSafe(format!("DELETE FROM {table} WHERE object = $1"));
            sqlx::query(forget).bind(object).execute(&mut *tx).await?;
        }
        let ids: BTreeSet<&str> = was
            .iter()
            .map(String::as_str)
            .chain(findings.iter().map(|finding| finding.id.as_str()))
            .collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut known: HashMap<String, StoredFinding> =
            read_findings(&mut tx, &ids).await?.into_iter().map(|f| (f.finding.id.clone(), f)).collect();
        let mut changed = HashMap::new();
        let mut fresh = Vec::new();
        for id in ids {
            let part = findings.iter().find(|finding| finding.id == id);
            let stored = known.remove(id);
            let merged = merged_parts(&mut tx, id, part).await?;
            fresh.extend(part);
            let next = match (merged, stored) {
                (Some(merged), Some(mut stored)) => {
                    stored.finding = carried_over(merged, &stored.finding);
                    Some(stored)
                }
                (Some(finding), None) => {
                    let settled = terms.settled.contains(&finding.detection);
                    Some(StoredFinding { finding, settled, is_new: true })
                }
                (None, Some(mut stored)) if stored.finding.state != FindingState::Closed => {
                    stored.finding.state = FindingState::Superseded;
                    Some(stored)
                }
                (None, _) => None,
            };
            changed.extend(next.map(|finding| (id.to_owned(), finding)));
        }
        let stored = tell(&mut tx, terms, changed).await?;
        for part in fresh {
            write_part(&mut tx, object, part).await?;
        }
        replace_measures(&mut tx, object, measures).await?;
        sqlx::query("UPDATE objects SET again = 0 WHERE id = $1").bind(object).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Forgets how objects that were judged before `before` (µs) can be judged again.
    ///
    /// # Errors
    /// [`StoreError::Sql`] or [`StoreError::Damaged`].
    pub async fn forget_origins(&self, before: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // A finding that keeps other parts must keep the sum of these too.
        let findings: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT finding FROM finding_parts p
             WHERE object IN (SELECT object FROM origins WHERE done_at < $1)
               AND EXISTS (SELECT 1 FROM finding_parts q WHERE q.finding = p.finding AND q.object <> ''
                           AND q.object NOT IN (SELECT object FROM origins WHERE done_at < $1))",
        )
        .bind(before)
        .fetch_all(&mut *tx)
        .await?;
        for finding in findings {
            let bodies: Vec<String> = sqlx::query_scalar(
                "SELECT body FROM finding_parts WHERE finding = $2
                   AND (object = '' OR object IN (SELECT object FROM origins WHERE done_at < $1))",
            )
            .bind(before)
            .bind(&finding)
            .fetch_all(&mut *tx)
            .await?;
            if let Some(sum) = fold(&finding, &bodies, None)? {
                write_part(&mut tx, "", &sum).await?;
            }
        }
        sqlx::query(
            "DELETE FROM finding_parts WHERE object IN (SELECT object FROM origins WHERE done_at < $1)",
        )
        .bind(before)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM finding_parts WHERE object = ''
               AND NOT EXISTS (SELECT 1 FROM finding_parts q WHERE q.finding = finding_parts.finding AND q.object <> '')",
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM origins WHERE done_at < $1").bind(before).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Keeps how objects can be judged again.
pub(super) async fn keep_origins(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    let (mut origins, mut callers) = (Vec::new(), Vec::new());
    for commit in commits {
        let Some(origin) = commit.origin else { continue };
        let id = commit.claim.object.as_str();
        let left_out = serde_json::to_string(&origin.left_out).map_err(|cause| damaged(id, &cause))?;
        origins.push((id, origin, left_out, written(id, commit.measures)?, commit.terms.now));
        callers.extend(origin.callers.iter().map(|principal| (id, principal.as_str())));
    }
    for piece in pieces(&origins) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO origins (object, source, bucket, key, version, left_out, last_event, measures, done_at) ",
        );
        insert.push_values(piece, |mut row, (id, origin, left_out, measures, now)| {
            row.push_bind(*id)
                .push_bind(origin.object.source.as_str())
                .push_bind(origin.object.bucket.as_str())
                .push_bind(origin.object.key.as_str())
                .push_bind(origin.object.version.as_str())
                .push_bind(left_out.as_str())
                .push_bind(origin.last_event)
                .push_bind(measures.as_str())
                .push_bind(*now);
        });
        insert.build().execute(&mut **tx).await?;
    }
    for piece in pieces(&callers) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO callers (object, principal) ");
        insert.push_values(piece, |mut row, (id, principal)| {
            row.push_bind(*id).push_bind(*principal);
        });
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// Keeps changes of policies, and marks what was judged before they were known. The origins of objects of the same
/// commit are kept already, for one may touch another.
pub(super) async fn keep_changes(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    for commit in commits {
        for change in commit.changes {
            let body = serde_json::to_string(change).map_err(|cause| damaged(&change.event_id, &cause))?;
            sqlx::query(
                "INSERT INTO policy_changes (time, event_id, session, seen_at, body) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING",
            )
            .bind(change.time)
            .bind(&change.event_id)
            .bind(i64::from(change.is_of_a_session()))
            .bind(commit.terms.now)
            .bind(body)
            .execute(&mut **tx)
            .await?;
        }
        for Touch { principal, from } in commit.touched {
            sqlx::query(
                "UPDATE objects SET again = 1 WHERE id <> $1 AND id IN (
                     SELECT c.object FROM callers c JOIN origins r ON r.object = c.object
                     WHERE c.principal = $2 AND r.last_event >= $3)",
            )
            .bind(&commit.claim.object)
            .bind(principal)
            .bind(from)
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(())
}

/// Keeps what objects add to findings that are written already.
pub(super) async fn keep_parts(
    tx: &mut Transaction<'static, Sqlite>,
    commits: &[&Commit<'_>],
) -> Result<(), StoreError> {
    let kept = commits.iter().filter(|commit| commit.origin.is_some());
    let parts = kept.flat_map(|c| c.findings.iter().map(|part| (c.claim.object.as_str(), part)));
    write_parts(tx, &parts.collect::<Vec<_>>()).await
}

/// Keeps a finding that has no parts any more as the one that cannot be taken apart.
pub(super) async fn keep_remainder(
    tx: &mut Transaction<'static, Sqlite>,
    known: &Finding,
) -> Result<(), StoreError> {
    let parts: i64 = sqlx::query_scalar("SELECT count(*) FROM finding_parts WHERE finding = $1")
        .bind(&known.id)
        .fetch_one(&mut **tx)
        .await?;
    if parts == 0 && known.state != FindingState::Superseded {
        write_part(tx, "", known).await?;
    }
    Ok(())
}

async fn write_part(
    tx: &mut Transaction<'static, Sqlite>,
    object: &str,
    part: &Finding,
) -> Result<(), StoreError> {
    write_parts(tx, &[(object, part)]).await
}

async fn write_parts(
    tx: &mut Transaction<'static, Sqlite>,
    parts: &[(&str, &Finding)],
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(parts.len());
    for (object, part) in parts {
        rows.push((*object, *part, serde_json::to_string(part).map_err(|cause| damaged(&part.id, &cause))?));
    }
    for piece in pieces(&rows) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO finding_parts (finding, object, body) ");
        insert.push_values(piece, |mut row, (object, part, body)| {
            row.push_bind(part.id.as_str()).push_bind(*object).push_bind(body.as_str());
        });
        insert.push(" ON CONFLICT (finding, object) DO UPDATE SET body = excluded.body");
        insert.build().execute(&mut **tx).await?;
        let of_objects: Vec<_> = piece.iter().filter(|(object, ..)| !object.is_empty()).collect();
        if of_objects.is_empty() {
            continue;
        }
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO finding_objects (finding, object) ");
        insert.push_values(of_objects, |mut row, (object, part, _)| {
            row.push_bind(part.id.as_str()).push_bind(*object);
        });
        insert.push(" ON CONFLICT DO NOTHING").build().execute(&mut **tx).await?;
    }
    Ok(())
}

/// The sum of a finding's parts, one more among them; `None` where none is left.
async fn merged_parts(
    tx: &mut Transaction<'static, Sqlite>,
    id: &str,
    part: Option<&Finding>,
) -> Result<Option<Finding>, StoreError> {
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM finding_parts WHERE finding = $1 ORDER BY object")
            .bind(id)
            .fetch_all(&mut **tx)
            .await?;
    fold(id, &bodies, part)
}

fn fold(id: &str, bodies: &[String], part: Option<&Finding>) -> Result<Option<Finding>, StoreError> {
    let mut sum: Option<Finding> = part.cloned();
    for body in bodies {
        let part: Finding = serde_json::from_str(body).map_err(|cause| damaged(id, &cause))?;
        match &mut sum {
            Some(sum) => sum.merge(part),
            None => sum = Some(part),
        }
    }
    Ok(sum)
}

/// A finding made anew, with what people and the store said of it before.
fn carried_over(mut finding: Finding, was: &Finding) -> Finding {
    // One that comes back begins, or joins, an incident anew: the one that it was in may have ended.
    (finding.state, finding.incident) = match was.state {
        FindingState::Superseded => (FindingState::Open, None),
        state => (state, was.incident.clone()),
    };
    finding.close_reason.clone_from(&was.close_reason);
    finding.note.clone_from(&was.note);
    finding.by.clone_from(&was.by);
    finding
}

async fn replace_measures(
    tx: &mut Transaction<'static, Sqlite>,
    object: &str,
    measures: &Measures,
) -> Result<(), StoreError> {
    let was: Option<String> = sqlx::query_scalar("SELECT measures FROM origins WHERE object = $1")
        .bind(object)
        .fetch_optional(&mut **tx)
        .await?;
    let was: Vec<(i64, String, String, i64)> = match &was {
        Some(was) => serde_json::from_str(was).map_err(|cause| damaged(object, &cause))?,
        None => Vec::new(),
    };
    let taken: Vec<(i64, &str, &str, i64)> =
        was.iter().map(|(day, measure, answer, n)| (*day, measure.as_str(), answer.as_str(), -n)).collect();
    super::measures::add_rows(tx, &taken).await?;
    super::measures::add(tx, measures).await?;
    sqlx::query("UPDATE origins SET measures = $1 WHERE object = $2")
        .bind(written(object, measures)?)
        .bind(object)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn written(object: &str, measures: &Measures) -> Result<String, StoreError> {
    let row = |((day, measure, answer), n): (&(i64, Measure, &'static str), &u64)| {
        (*day, measure.as_str(), *answer, *n as i64)
    };
    let rows: Vec<_> = measures.counts.iter().map(row).collect();
    serde_json::to_string(&rows).map_err(|cause| damaged(object, &cause))
}

fn damaged(id: &str, cause: &serde_json::Error) -> StoreError {
    StoreError::Damaged { what: "object to judge again", id: id.to_owned(), cause: cause.to_string() }
}
