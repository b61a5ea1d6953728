//! Points in time, and the parts of one

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::value::Value;

/// RFC 3339, or a date alone.
pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(NaiveDateTime::new(date, NaiveTime::MIN).and_utc())
}

/// `getHours()` and its like. Months, days of the month and of the year count from 0, Sunday is 0.
/// <https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions>
///
/// Zones by name are not known here: only UTC and offsets such as `+02:00`.
pub(super) fn part(time: DateTime<Utc>, function: &str, arguments: &[Value]) -> Option<Value> {
    let shift = match arguments {
        [] => Duration::zero(),
        [Value::Text(zone)] => offset(zone)?,
        _ => return None,
    };
    let time = time.checked_add_signed(shift)?;
    let number = match function {
        "getFullYear" => i64::from(time.year()),
        "getMonth" => i64::from(time.month0()),
        "getDate" => i64::from(time.day()),
        "getDayOfMonth" => i64::from(time.day0()),
        "getDayOfWeek" => i64::from(time.weekday().num_days_from_sunday()),
        "getDayOfYear" => i64::from(time.ordinal0()),
        "getHours" => i64::from(time.hour()),
        "getMinutes" => i64::from(time.minute()),
        "getSeconds" => i64::from(time.second()),
        "getMilliseconds" => i64::from(time.timestamp_subsec_millis()),
        _ => return None,
    };
    Some(Value::Number(number))
}

fn offset(zone: &str) -> Option<Duration> {
    if matches!(zone, "UTC" | "Etc/UTC" | "Z" | "GMT") {
        return Some(Duration::zero());
    }
    let (sign, digits) = match zone.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, zone.strip_prefix('+').unwrap_or(zone)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    if !(0..=23).contains(&hours) || !(0..=59).contains(&minutes) {
        return None;
    }
    Some(Duration::minutes(sign * (hours * 60 + minutes)))
}
