//! Event time: µs since 1970, UTC, in every table and type.

use chrono::{DateTime, SecondsFormat};

/// One second in µs.
pub const SECOND: i64 = 1_000_000;
/// One minute in µs.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in µs.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in µs.
pub const DAY: i64 = 24 * HOUR;

/// The current time. The only clock that the engine reads; judging never does.
#[must_use]
pub fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// The UTC day of a time, counted from 1970-01-01.
#[must_use]
pub fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY)
}

/// `2026-11-03T14:02:11Z`; a time beyond the calendar is given as its number.
#[must_use]
pub fn rfc3339(time: i64) -> String {
    match DateTime::from_timestamp_micros(time) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => time.to_string(),
    }
}

/// `2026-11-03` of a day number.
#[must_use]
pub fn date(day: i64) -> String {
    match DateTime::from_timestamp(day.saturating_mul(86_400), 0) {
        Some(at) => at.date_naive().to_string(),
        None => day.to_string(),
    }
}

/// The time that a text gives, as `2026-11-03T14:02:11Z` or with another offset; `None` where it gives none.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_micros())
}
