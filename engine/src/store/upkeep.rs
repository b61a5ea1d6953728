//! Up to when upkeep may forget.

use super::{Store, StoreError};
use std::time::Duration;

/// How much faster than time itself it may catch up: a service that was off for a week forgets a week later.
const PACE: u32 = 2;

impl Store {
    /// The time (µs) that counts as now for what is forgotten, `passed` after it was last asked.
    ///
    /// A clock that was set ten years ahead makes everything look old; it must not make remit forget it. So this
    /// time is remembered, and moves by what really passed. It follows a clock that goes back.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn upkeep_now(&self, now: i64, passed: Duration) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let known: Option<i64> =
            sqlx::query_scalar("SELECT upto FROM upkeep WHERE id = 1").fetch_optional(&mut *tx).await?;
        let step = i64::try_from(passed.saturating_mul(PACE).as_micros()).unwrap_or(i64::MAX);
        let upto = known.map_or(now, |known| known.saturating_add(step).min(now));
        sqlx::query("INSERT INTO upkeep (id, upto) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET upto = excluded.upto")
            .bind(upto)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(upto)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Durability, Store};
    use crate::time::{DAY, MINUTE};
    use std::time::Duration;

    #[tokio::test]
    async fn what_a_jumped_clock_makes_look_old_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remit.db");
        let store = Store::open(&path, Durability::None).await.unwrap();
        let (now, minute) = (20_000 * DAY, Duration::from_secs(60));
        assert_eq!(store.upkeep_now(now, minute).await.unwrap(), now);
        let later = now + MINUTE;
        assert_eq!(store.upkeep_now(later, minute).await.unwrap(), later, "as time goes by");
        for minutes in 1..=60 {
            let upto = store.upkeep_now(later + 3_650 * DAY, minute).await.unwrap();
            assert_eq!(
                upto,
                later + 2 * minutes * MINUTE,
                "an hour at most, though the clock says ten years"
            );
        }
        // So is it after a restart under the wrong clock.
        store.close().await;
        drop(store);
        let store = Store::open(&path, Durability::None).await.unwrap();
        assert!(store.upkeep_now(later + 3_650 * DAY, minute).await.unwrap() < later + DAY);
        assert_eq!(store.upkeep_now(later - DAY, minute).await.unwrap(), later - DAY, "back with the clock");
    }
}
