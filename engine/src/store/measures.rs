//! How far answers can be trusted, summed by day

use super::{Store, StoreError, pieces};
use crate::measure::{Measures, Trust};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

impl Store {
    /// The measures from a day (since 1970) on.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn trust(&self, from_day: i64) -> Result<Trust, StoreError> {
        let rows = sqlx::query(
            "SELECT measure, answer, sum(count) AS count FROM measures WHERE day >= $1 GROUP BY measure, answer",
        )
        .bind(from_day)
        .fetch_all(&self.reader)
        .await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            let count = u64::try_from(row.try_get::<i64, _>("count")?).unwrap_or_default();
            counts.push((row.try_get("measure")?, row.try_get("answer")?, count));
        }
        Ok(Trust::of(counts))
    }
}

pub(super) async fn add(
    tx: &mut Transaction<'static, Sqlite>,
    measures: &Measures,
) -> Result<(), StoreError> {
    let rows: Vec<_> = measures
        .counts
        .iter()
        .map(|((day, measure, answer), n)| (*day, measure.as_str(), *answer, *n as i64))
        .collect();
    add_rows(tx, &rows).await
}

/// Adds counts, which may be negative, by (day, measure, answer).
pub(super) async fn add_rows(
    tx: &mut Transaction<'static, Sqlite>,
    rows: &[(i64, &str, &str, i64)],
) -> Result<(), StoreError> {
    for piece in pieces(rows) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO measures (day, measure, answer, count) ");
        insert.push_values(piece, |mut row, (day, measure, answer, count)| {
            row.push_bind(*day).push_bind(*measure).push_bind(*answer).push_bind(*count);
        });
        insert.push(
            " ON CONFLICT (day, measure, answer) DO UPDATE SET count = measures.count + excluded.count",
        );
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}
