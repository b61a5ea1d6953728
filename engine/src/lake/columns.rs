//! The lake's columns: the event table's, as plain types that every reader of Delta knows, and the day.

use super::LakeError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// The partition: the UTC day of the event's time.
pub const DATE: &str = "date";

/// Days since 1970 of the first and the last day that a date is written of; events beyond lie in the nearest.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

const DAY: i64 = 86_400_000_000;

/// The columns that lie in files: those of the event table. Every one may be null, so that one can be added.
pub fn file_schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    let of = || {
        let fields = ingest::event::schema().fields().iter().map(|field| plain(field)).collect::<Vec<_>>();
        Arc::new(Schema::new(fields))
    };
    SCHEMA.get_or_init(of).clone()
}

/// Delta knows neither dictionaries nor unsigned numbers
/// (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md#primitive-types>).
fn plain(field: &Field) -> Field {
    let kind = match field.data_type() {
        DataType::Dictionary(_, _) | DataType::Utf8View => DataType::Utf8,
        DataType::UInt32 => DataType::Int64,
        DataType::List(_) => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => other.clone(),
    };
    Field::new(field.name(), kind, true)
}

/// Events as the lake keeps them. A column that the batch lacks is null.
pub fn plain_batch(events: &RecordBatch) -> Result<RecordBatch, LakeError> {
    fitted(events, &file_schema())
}

/// A batch in another schema: columns by name, those that it lacks null.
pub fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let column = |field: &Arc<Field>| -> Result<ArrayRef, LakeError> {
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => Ok(cast(column, field.data_type())?),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// A batch of the lake by day, in days since 1970.
pub fn by_day(batch: &RecordBatch) -> Result<Vec<(i32, RecordBatch)>, LakeError> {
    let times = batch.column_by_name("time").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(times) = times else { return Err(LakeError::Column { column: "time" }) };
    let day = |at: usize| {
        let time = if times.is_valid(at) { times.value(at) } else { 0 };
        time.div_euclid(DAY).clamp(*DAYS.start(), *DAYS.end()) as i32
    };
    let days: BTreeSet<i32> = (0..batch.num_rows()).map(day).collect();
    if days.len() == 1 {
        return Ok(days.into_iter().map(|day| (day, batch.clone())).collect());
    }
    let of_day = |wanted: i32| {
        let is_of = BooleanArray::from_iter((0..batch.num_rows()).map(|at| Some(day(at) == wanted)));
        Ok((wanted, filter_record_batch(batch, &is_of)?))
    };
    days.into_iter().map(of_day).collect()
}

/// The earliest and the latest time of a batch (µs).
pub fn times(batch: &RecordBatch) -> Option<(i64, i64)> {
    let times = batch.column_by_name("time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    Some((arrow::compute::min(times)?, arrow::compute::max(times)?))
}

/// A day as partitions name it: `2026-11-20`.
pub fn date_of(day: i32) -> String {
    let date = chrono::DateTime::UNIX_EPOCH.date_naive() + chrono::TimeDelta::days(i64::from(day));
    date.format("%Y-%m-%d").to_string()
}

/// The day of a partition's name.
pub fn day_of(date: &str) -> Option<i32> {
    let date = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(chrono::DateTime::UNIX_EPOCH.date_naive()).num_days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest::event::{Event, EventBuilder};

    fn events(times: &[i64]) -> RecordBatch {
        let mut builder = EventBuilder::with_capacity(times.len());
        for time in times {
            builder.append(&Event {
                event_id: "e",
                time: *time,
                provider: "aws",
                service: "s3.amazonaws.com",
                operation: "GetObject",
                outcome: "success",
                resources: &["arn:aws:s3:::a"],
                ..Event::default()
            });
        }
        builder.finish().table()
    }

    #[test]
    fn every_column_becomes_a_plain_one() {
        let batch = plain_batch(&events(&[5])).unwrap();
        assert_eq!(batch.num_columns(), ingest::event::schema().fields().len());
        for field in batch.schema().fields() {
            let is_plain = match field.data_type() {
                DataType::List(element) => element.data_type() == &DataType::Utf8,
                kind => {
                    matches!(kind, DataType::Utf8 | DataType::Boolean | DataType::Int64)
                        || *kind == DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
                }
            };
            assert!(is_plain, "{field:?}");
        }
    }

    #[test]
    fn a_day_is_that_of_the_events_time_in_utc() {
        let batch = plain_batch(&events(&[DAY - 1, DAY, -1, 2 * DAY - 1])).unwrap();
        let days = by_day(&batch).unwrap();
        let rows: Vec<_> = days.iter().map(|(day, rows)| (date_of(*day), rows.num_rows())).collect();
        assert_eq!(
            rows,
            [("1969-12-31".to_owned(), 1), ("1970-01-01".to_owned(), 1), ("1970-01-02".to_owned(), 2)]
        );
        assert_eq!(day_of("1970-01-02"), Some(1));
    }

    #[test]
    fn a_time_beyond_every_calendar_has_a_day() {
        let batch = plain_batch(&events(&[i64::MAX, i64::MIN])).unwrap();
        let days: Vec<_> = by_day(&batch).unwrap().into_iter().map(|(day, _)| date_of(day)).collect();
        assert_eq!(days, ["0001-01-01", "9999-12-31"]);
    }

    #[test]
    fn columns_that_were_added_are_null_in_older_rows() {
        let old = plain_batch(&events(&[5])).unwrap();
        let fields: Vec<_> = file_schema()
            .fields()
            .iter()
            .cloned()
            .chain([Arc::new(Field::new("new", DataType::Utf8, true))])
            .collect();
        let new = fitted(&old, &Arc::new(Schema::new(fields))).unwrap();
        assert!(new.column_by_name("new").unwrap().is_null(0));
        assert_eq!(new.column_by_name("event_id"), old.column_by_name("event_id"));
    }
}
