//! Times as logs write them.

use chrono::{DateTime, NaiveDateTime};

/// Microseconds since 1970, UTC: from RFC 3339, or from `2024-06-02 20:27:12.5` and `6/2/2024 8:27:12.5 PM` without a zone,
/// which are UTC in the copies that log tools make.
pub(crate) fn micros(text: &str) -> Option<i64> {
    if let Some(micros) = plain(text.as_bytes()) {
        return Some(micros);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    // The last two are Azure's tables and its portal's.
    let text = text.strip_suffix(" +00:00").unwrap_or(text);
    let naive = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%m/%d/%Y %I:%M:%S%.f %p",
        "%m/%d/%Y, %I:%M:%S%.f %p",
    ];
    naive
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc().timestamp_micros())
}

/// Bytes of `2026-01-05T10:00:00Z`.
const PLAIN_BYTES: usize = 20;

/// The time that was read last: the events of a file come in its order, many of them in one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    text: [u8; PLAIN_BYTES],
    micros: i64,
}

impl Clock {
    /// As [`micros`].
    #[inline]
    pub(crate) fn micros(&mut self, text: &str) -> Option<i64> {
        if text.as_bytes() == self.text {
            return Some(self.micros);
        }
        let micros = micros(text)?;
        if let Ok(text) = text.as_bytes().try_into() {
            *self = Self { text, micros };
        }
        Some(micros)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self { text: *b"1970-01-01T00:00:00Z", micros: 0 }
    }
}

/// `2026-01-05T10:00:00Z`, the only form that CloudTrail itself writes: not worth a general parser each time.
fn plain(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2, b'Z'] =
        text
    else {
        return None;
    };
    let pair = |tens: &u8, ones: &u8| {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        if tens > 9 || ones > 9 { i64::MAX } else { i64::from(tens) * 10 + i64::from(ones) }
    };
    let (century, years) = (pair(y1, y2), pair(y3, y4));
    let (month, day) = (pair(mo1, mo2), pair(d1, d2));
    let (hours, minutes, seconds) = (pair(h1, h2), pair(mi1, mi2), pair(s1, s2));
    // The days that every month has; the others are left to who knows the calendar.
    let is_plain = (19..=99).contains(&century)
        && years <= 99
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hours <= 23
        && minutes <= 59
        && seconds <= 59;
    if !is_plain {
        return None;
    }
    // Days since 1970, in years that begin in March: <https://howardhinnant.github.io/date_algorithms.html>
    let year = century * 100 + years - i64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_spelling_meet() {
        let expected = Some(1_767_607_200_000_000);
        for text in [
            "2026-01-05T10:00:00Z",
            "2026-01-05T10:00:00.000Z",
            "2026-01-05T11:00:00+01:00",
            "2026-01-05 10:00:00",
            "2026-01-05 10:00:00.000000000",
            "2026-01-05T10:00:00",
            "1/5/2026 10:00:00 AM +00:00",
            "01/05/2026, 10:00:00.000 AM",
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert_eq!(micros("2026-01-05T10:00:00.000001Z"), expected.map(|time| time + 1));
    }

    #[test]
    fn every_day_of_many_years_is_as_chrono_says() {
        let mut day = chrono::NaiveDate::from_ymd_opt(1895, 1, 1).unwrap();
        while chrono::Datelike::year(&day) < 2110 {
            let text = format!("{day}T23:59:58Z");
            let expected = DateTime::parse_from_rfc3339(&text).unwrap().timestamp_micros();
            assert_eq!(micros(&text), Some(expected), "{text}");
            day = day.succ_opt().unwrap();
        }
        for text in
            ["2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-00T00:00:00Z"]
        {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_remembers_nothing_wrong() {
        let mut clock = Clock::default();
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-01-05T10:00:00Z",
            "2026-01-05T10:00:00Z",
            "2026-01-05T10:00:01Z",
            "2026-01-05T10:00:01.5Z",
            "2026-01-05T10:00:61Z",
            "2026-01-05T10:00:01Z",
        ] {
            assert_eq!(clock.micros(text), micros(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-13-05T10:00:00Z",
            "2026-01-05T25:00:00Z",
            "2026-01-0xT10:00:00Z",
            "1767607200",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
