//! Digests held against each other, trail by trail, whenever one came

use super::super::{Store, StoreError};
use super::digests::{damaged, digest_id};
use crate::ledger::Filed;
use ingest::digest::{Begins, Digest, DigestProblem, Linked, Place, link_since};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Digests of one trail that are linked at once: a year and more.
const LINKED_MAX: i64 = 10_000;

impl Store {
    /// Links the digests of every trail that something came of: what is attested, what is wrong, and the gaps. The same
    /// digests give the same, in whatever order they came. Gives how many trails that were.
    ///
    /// # Errors
    /// [`StoreError`]; what was done of other trails stays.
    pub async fn link_digests(&self, now: i64) -> Result<usize, StoreError> {
        let trails: Vec<String> = sqlx::query_scalar(
            "SELECT trail FROM ledger_digests WHERE linked = -1 AND state <> 'new'
             UNION SELECT stray_trail FROM ledger_digests
                   WHERE linked = -1 AND state = 'invalid' AND stray_trail IS NOT NULL",
        )
        .fetch_all(&self.reader)
        .await?;
        for trail in &trails {
            let mut tx = self.begin().await?;
            link_trail(&mut tx, trail, now).await?;
            tx.commit().await?;
        }
        Ok(trails.len())
    }
}

async fn link_trail(tx: &mut Transaction<'static, Sqlite>, trail: &str, now: i64) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT bucket, key, trail, state, linked, body, code, text, detail, signed_for FROM ledger_digests
         WHERE (trail = $1 OR stray_trail = $1) AND (body IS NOT NULL OR state = 'invalid')
         ORDER BY end_at DESC, sha256 LIMIT $2",
    )
    .bind(trail)
    .bind(LINKED_MAX)
    .fetch_all(&mut **tx)
    .await?;
    let mut found: BTreeMap<Place, Result<Digest, DigestProblem>> = BTreeMap::new();
    let mut begins = Begins::new();
    let mut was_linked = HashSet::new();
    let mut overwritten = Vec::new();
    let mut own = HashSet::new();
    for row in &rows {
        let (place, outcome) = read(row)?;
        if row.try_get::<String, _>("trail")? == trail {
            own.insert(place.clone());
        }
        if row.try_get::<i64, _>("linked")? == 1 {
            was_linked.insert(place.clone());
        }
        if let Ok(digest) = &outcome {
            let chain = digest.hour.chain.without_organization();
            let begin = begins.entry(chain).or_insert(digest.hour.start);
            *begin = digest.hour.start.min(*begin);
        }
        // A digest that was overwritten is there more than once: the signed one counts.
        match (found.get(&place), &outcome) {
            (None, _) => _ = found.insert(place, outcome),
            (Some(Ok(_)), Err(_)) => overwritten.push(place),
            (Some(Err(_)), Ok(_)) => {
                overwritten.push(place.clone());
                found.insert(place, outcome);
            }
            (Some(_), _) => {}
        }
    }
    // What is older is no longer linked, and what was said of it stays.
    let begin = begins.values().min().map_or(0, |begin| begin.timestamp_micros());
    let linked = link_since(found.into_iter().collect(), begins);
    let links: HashSet<&Place> = linked.hours.iter().map(|(_, hour)| &hour.digest).collect();
    sqlx::query(
        "UPDATE ledger_digests SET linked = 0 WHERE trail = $1 AND (body IS NOT NULL OR state = 'invalid')",
    )
    .bind(trail)
    .execute(&mut **tx)
    .await?;
    let mut changed = Vec::new();
    for place in &own {
        let is_linked = links.contains(place);
        if is_linked {
            sqlx::query(
                "UPDATE ledger_digests SET linked = 1 WHERE bucket = $1 AND key = $2 AND state = 'valid'",
            )
            .bind(&place.bucket)
            .bind(&place.key)
            .execute(&mut **tx)
            .await?;
        }
        if is_linked != was_linked.contains(place) {
            changed.push(place);
        }
    }
    let source = source_of(tx, trail).await?;
    for place in changed {
        attest(tx, place, &source, now).await?;
    }
    keep_problems(tx, trail, &linked, &overwritten, &source, (begin, now)).await?;
    keep_gaps(tx, trail, &linked, (begin, now)).await?;
    ask_again(tx, trail).await
}

fn read(row: &SqliteRow) -> Result<(Place, Result<Digest, DigestProblem>), StoreError> {
    let place = Place::new(row.try_get::<String, _>("bucket")?, row.try_get::<String, _>("key")?);
    if let Some(body) = row.try_get::<Option<String>, _>("body")? {
        let digest = serde_json::from_str(&body).map_err(|error| damaged(&digest_id(&place), error))?;
        return Ok((place, Ok(digest)));
    }
    let signed_for: Option<String> = row.try_get("signed_for")?;
    let problem = DigestProblem::earlier(
        &row.try_get::<Option<String>, _>("code")?.unwrap_or_default(),
        row.try_get::<Option<String>, _>("text")?.unwrap_or_default(),
        row.try_get("detail")?,
        signed_for.and_then(|place| serde_json::from_str(&place).ok()),
    );
    Ok((place, Err(problem)))
}

async fn source_of(tx: &mut Transaction<'static, Sqlite>, trail: &str) -> Result<String, StoreError> {
    let source =
        sqlx::query_scalar("SELECT source FROM ledger_digests WHERE trail = $1 ORDER BY source LIMIT 1");
    Ok(source.bind(trail).fetch_optional(&mut **tx).await?.unwrap_or_default())
}

/// Brings what is expected in line with the digests that list it, after one of them was linked or no longer is.
async fn attest(
    tx: &mut Transaction<'static, Sqlite>,
    digest: &Place,
    source: &str,
    now: i64,
) -> Result<(), StoreError> {
    let id = digest_id(digest);
    sqlx::query(
        "UPDATE ledger_files SET expected = NULL, attested_at = NULL, digest = NULL, conflict = 0, foreign_to = NULL,
                note = NULL, stale = 1
         WHERE (bucket, key) IN (SELECT bucket, key FROM ledger_listed WHERE digest = $1)",
    )
    .bind(&id)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO ledger_files (bucket, key, source, level, account, region, hour, attested_at, expected, digest,
                                   conflict, foreign_to, next_try)
         SELECT all_of.bucket, all_of.key, $2, 2, min(all_of.account), min(all_of.region), min(all_of.hour), $3,
                min(all_of.sha256), min(all_of.digest),
                CASE WHEN min(all_of.sha256) <> max(all_of.sha256) THEN 1 ELSE 0 END, max(all_of.foreign_to), $3
         FROM ledger_listed this
         JOIN ledger_listed all_of ON all_of.bucket = this.bucket AND all_of.key = this.key
         JOIN ledger_digests d ON d.id = all_of.digest AND d.linked = 1
         WHERE this.digest = $1
         GROUP BY all_of.bucket, all_of.key
         ON CONFLICT (bucket, key) DO UPDATE SET attested_at = excluded.attested_at, expected = excluded.expected,
            digest = excluded.digest, conflict = excluded.conflict, foreign_to = excluded.foreign_to, stale = 1,
            next_try = CASE WHEN ledger_files.tries > 0 THEN ledger_files.next_try ELSE excluded.next_try END",
    )
    .bind(&id)
    .bind(source)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is wrong with digests of a trail; since when is kept.
async fn keep_problems(
    tx: &mut Transaction<'static, Sqlite>,
    trail: &str,
    linked: &Linked,
    overwritten: &[Place],
    source: &str,
    (begin, now): (i64, i64),
) -> Result<(), StoreError> {
    let before: HashMap<(String, String), i64> = sqlx::query_as::<_, (String, String, i64)>(
        "SELECT place, code, first_at FROM ledger_problems WHERE trail = $1",
    )
    .bind(trail)
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(|(place, code, at)| ((place, code), at))
    .collect();
    sqlx::query("DELETE FROM ledger_problems WHERE trail = $1 AND (end_at >= $2 OR end_at = 0)")
        .bind(trail)
        .bind(begin)
        .execute(&mut **tx)
        .await?;
    let problem = DigestProblem::earlier("digest_overwritten", "was overwritten".to_owned(), None, None);
    let overwritten = overwritten.iter().map(|place| (place, &problem));
    let problems = linked.problems.iter().map(|(place, problem)| (place, problem)).chain(overwritten);
    for (place, problem) in problems {
        // One that lies in another trail's folder is told there.
        if place.digest_name().is_some_and(|name| super::digests::trail_of(&name) != trail) {
            continue;
        }
        let (at, code, filed) = (place.to_string(), problem.code(), Filed::of(place));
        let first_at = before.get(&(at.clone(), code.to_owned())).copied().unwrap_or(now);
        sqlx::query(
            "INSERT INTO ledger_problems (trail, place, code, text, detail, first_at, account, region, end_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (trail, place, code) DO NOTHING",
        )
        .bind(trail)
        .bind(&at)
        .bind(code)
        .bind(problem.to_string())
        .bind(problem.detail())
        .bind(first_at)
        .bind(filed.account)
        .bind(filed.region)
        .bind(place.digest_name().map_or(0, |name| name.end.timestamp_micros()))
        .execute(&mut **tx)
        .await?;
        if *problem == DigestProblem::NotFound {
            look_for(tx, place, source, now).await?;
        }
    }
    Ok(())
}

/// A digest that another names is looked for, as a log file is that a digest names.
async fn look_for(
    tx: &mut Transaction<'static, Sqlite>,
    place: &Place,
    source: &str,
    now: i64,
) -> Result<(), StoreError> {
    let Filed { level, account, region, hour } = Filed::of(place);
    sqlx::query(
        "INSERT INTO ledger_files (bucket, key, source, level, account, region, hour, attested_at, next_try)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (bucket, key) DO UPDATE SET next_try = CASE WHEN ledger_files.tries > 0
            THEN ledger_files.next_try ELSE excluded.next_try END",
    )
    .bind(&place.bucket)
    .bind(&place.key)
    .bind(source)
    .bind(level)
    .bind(account)
    .bind(region)
    .bind(hour)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn keep_gaps(
    tx: &mut Transaction<'static, Sqlite>,
    trail: &str,
    linked: &Linked,
    (begin, now): (i64, i64),
) -> Result<(), StoreError> {
    let before: HashMap<(String, String, i64), i64> = sqlx::query_as::<_, (String, String, i64, i64)>(
        "SELECT chain, kind, to_at, first_at FROM ledger_gaps WHERE trail = $1",
    )
    .bind(trail)
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(|(chain, kind, to, at)| ((chain, kind, to), at))
    .collect();
    sqlx::query("DELETE FROM ledger_gaps WHERE trail = $1 AND to_at >= $2")
        .bind(trail)
        .bind(begin)
        .execute(&mut **tx)
        .await?;
    for gap in &linked.gaps {
        let (chain, kind, to) = (gap.chain.to_string(), gap.kind.as_str(), gap.to.timestamp_micros());
        let first_at = before.get(&(chain.clone(), kind.to_owned(), to)).copied().unwrap_or(now);
        sqlx::query(
            "INSERT INTO ledger_gaps (trail, chain, kind, from_at, to_at, after, before, backfilled, first_at,
                                      account, region)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (chain, kind, to_at) DO NOTHING",
        )
        .bind(trail)
        .bind(&chain)
        .bind(kind)
        .bind(gap.from.map(|from| from.timestamp_micros()))
        .bind(to)
        .bind(gap.after.as_ref().map(ToString::to_string))
        .bind(gap.before.as_ref().map(ToString::to_string))
        .bind(gap.is_backfilled)
        .bind(first_at)
        .bind(&gap.chain.account)
        .bind(&gap.chain.region)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// What no digest lists on the shelves of a trail is asked about anew: its time may be covered now.
async fn ask_again(tx: &mut Transaction<'static, Sqlite>, trail: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE ledger_files SET note = NULL, stale = 1
         WHERE expected IS NULL AND ingested_at IS NOT NULL AND note IS NOT NULL AND level = 2
           AND (account, region) IN (SELECT DISTINCT account, region FROM ledger_digests WHERE trail = $1)",
    )
    .bind(trail)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
