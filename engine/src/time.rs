//! Event time: µs since 1970, UTC, in every table and type.

use chrono::{DateTime, SecondsFormat};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use steady::Steady;

mod steady;

/// One second in µs.
pub const SECOND: i64 = 1_000_000;
/// One minute in µs.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in µs.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in µs.
pub const DAY: i64 = 24 * HOUR;

/// The current time. The only clock that the engine reads; judging never does.
///
/// A jump of the machine's clock is not followed for an hour: see [`jump`].
#[must_use]
pub fn now() -> i64 {
    let (wall, mut clock) = (chrono::Utc::now().timestamp_micros(), clock());
    clock.now(wall, passed())
}

/// How far (µs) the machine's clock jumped, as long as that is not believed.
#[must_use]
pub fn jump() -> Option<i64> {
    clock().jump()
}

fn clock() -> MutexGuard<'static, Steady> {
    static CLOCK: LazyLock<Mutex<Steady>> =
        LazyLock::new(|| Mutex::new(Steady::new(chrono::Utc::now().timestamp_micros(), passed())));
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time since this process first asked, in µs.
fn passed() -> i64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    i64::try_from(START.elapsed().as_micros()).unwrap_or(i64::MAX)
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
