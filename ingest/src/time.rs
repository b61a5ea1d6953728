//! Times as logs write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

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

/// `2026-01-05T10:00:00Z`, the only form that CloudTrail itself writes: not worth a general parser each time.
fn plain(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2, b'Z'] =
        text
    else {
        return None;
    };
    let number = |digits: &[&u8]| {
        digits
            .iter()
            .try_fold(0u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(**digit - b'0')))
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[mo1, mo2])?, number(&[d1, d2])?)?;
    let time = date.and_hms_opt(number(&[h1, h2])?, number(&[mi1, mi2])?, number(&[s1, s2])?)?;
    Some(time.and_utc().timestamp_micros())
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
