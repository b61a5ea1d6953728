//! What each identity used, as the baseline and the report read it back.

use super::{Store, StoreError};
use crate::baseline::{ANY_PERMISSION, Baseline, BaselineRule, Denials};
use sqlx::Row;
use std::collections::BTreeMap;

/// Use of one permission by one identity over all that the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Earliest, µs UTC.
    pub first: i64,
    /// Latest, µs UTC.
    pub last: i64,
    /// Successful events.
    pub uses: i64,
    /// Days on which it was used.
    pub days: u32,
}

impl Store {
    /// Reads the whole presence into memory.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn baseline(&self, rule: BaselineRule) -> Result<Baseline, StoreError> {
        let baseline = Baseline::new(rule);
        for row in sqlx::query("SELECT identity, permission, block, days FROM presence")
            .fetch_all(&self.reader)
            .await?
        {
            let identity: String = row.try_get("identity")?;
            let permission: String = row.try_get("permission")?;
            let days: i64 = row.try_get("days")?;
            baseline.learn(&identity, &permission, row.try_get("block")?, days as u32);
        }
        Ok(baseline)
    }

    /// What each identity used with success, by permission. The identity's own activity is under `*`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn uses(&self) -> Result<BTreeMap<String, BTreeMap<String, Use>>, StoreError> {
        let rows = sqlx::query(
            "SELECT identity, permission, days, first_used, last_used, uses FROM presence ORDER BY identity, permission",
        )
        .fetch_all(&self.reader)
        .await?;
        let mut all: BTreeMap<String, BTreeMap<String, Use>> = BTreeMap::new();
        for row in rows {
            let days = (row.try_get::<i64, _>("days")? as u32).count_ones();
            let (first, last, uses): (i64, i64, i64) =
                (row.try_get("first_used")?, row.try_get("last_used")?, row.try_get("uses")?);
            all.entry(row.try_get("identity")?)
                .or_default()
                .entry(row.try_get("permission")?)
                .and_modify(|u| {
                    u.first = u.first.min(first);
                    u.last = u.last.max(last);
                    u.uses += uses;
                    u.days += days;
                })
                .or_insert(Use { first, last, uses, days });
        }
        Ok(all)
    }

    /// What each identity was denied, by permission.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn denials(&self) -> Result<BTreeMap<String, BTreeMap<String, Denials>>, StoreError> {
        let rows = sqlx::query("SELECT identity, permission, first_seen, last_seen, count FROM denials")
            .fetch_all(&self.reader)
            .await?;
        let mut all: BTreeMap<String, BTreeMap<String, Denials>> = BTreeMap::new();
        for row in rows {
            let denials = Denials {
                first: row.try_get("first_seen")?,
                last: row.try_get("last_seen")?,
                count: row.try_get("count")?,
            };
            all.entry(row.try_get("identity")?).or_default().insert(row.try_get("permission")?, denials);
        }
        Ok(all)
    }

    /// Event time covered by the baseline: its first and last use of anything, µs UTC.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn covered(&self) -> Result<Option<(i64, i64)>, StoreError> {
        let row = sqlx::query(
            "SELECT min(first_used) AS first, max(last_used) AS last FROM presence WHERE permission = $1",
        )
        .bind(ANY_PERMISSION)
        .fetch_one(&self.reader)
        .await?;
        let first: Option<i64> = row.try_get("first")?;
        let last: Option<i64> = row.try_get("last")?;
        Ok(first.zip(last))
    }
}
