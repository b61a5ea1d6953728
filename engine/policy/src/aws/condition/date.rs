//! Dates of date conditions: ISO 8601 as the W3C profiles it, or seconds since 1970

/// Nanoseconds since 1970, UTC.
pub(super) type Instant = i128;

const SECOND: i128 = 1_000_000_000;
/// AWS takes years as far as Java's clock in milliseconds goes.
const YEAR_MAX: i64 = 292_278_993;
const YEAR_MIN: i64 = -292_275_054;

/// Reads a date; `None` where it is none.
///
/// `2019`, `2019-07`, `2019-07-16`, `2019-07-16T19:20`, with `:30`, `.45`, `Z`, `+01:00`, `+01`; without a zone it is
/// UTC. Whole numbers are seconds since 1970, save four digits: those are a year.
/// <https://www.w3.org/TR/NOTE-datetime>
pub(super) fn parse(text: &str) -> Option<Instant> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_year = text.len() == 4;
    if !is_year && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<i64>().ok().map(|seconds| i128::from(seconds) * SECOND);
    }
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    let days = day(date)?;
    let (time, offset) = zone(time)?;
    let nanoseconds = if time.is_empty() { 0 } else { of_day(time)? };
    Some(i128::from(days) * 86_400 * SECOND + nanoseconds - i128::from(offset) * 60 * SECOND)
}

/// Days since 1970.
fn day(date: &str) -> Option<i64> {
    let (sign, unsigned) = match date.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, date),
    };
    let mut parts = unsigned.split('-');
    let year = sign * number(parts.next()?, 1, 9)?;
    let month = parts.next().map_or(Some(1), |text| number(text, 1, 2))?;
    let day = parts.next().map_or(Some(1), |text| number(text, 1, 2))?;
    let known = (YEAR_MIN..=YEAR_MAX).contains(&year) && (1..=12).contains(&month);
    (known && parts.next().is_none() && (1..=month_days(year, month)).contains(&day))
        .then(|| since_1970(year, month, day))
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The Gregorian calendar in eras of 400 years that begin in March, so that the leap day is the last of a year.
fn since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The time before its zone, and the zone in minutes.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (time, written) = (time.get(..at)?, time.get(at..)?);
    let (sign, written) = match written.strip_prefix('-') {
        Some(written) => (-1, written),
        None => (1, written.strip_prefix('+')?),
    };
    let (hours, minutes) = match written.split_once(':') {
        Some((hours, minutes)) => (number(hours, 2, 2)?, number(minutes, 2, 2)?),
        None if written.len() == 4 => (number(written.get(..2)?, 2, 2)?, number(written.get(2..)?, 2, 2)?),
        None => (number(written, 2, 2)?, 0),
    };
    (hours <= 23 && minutes <= 59).then_some((time, sign * (hours * 60 + minutes)))
}

/// Nanoseconds since midnight of `19`, `19:20`, `19:20:30.45`.
fn of_day(time: &str) -> Option<i128> {
    let mut parts = time.splitn(3, ':');
    let hour = number(parts.next()?, 1, 2)?;
    let minute = parts.next().map_or(Some(0), |text| number(text, 1, 2))?;
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(text) => match text.split_once(['.', ',']) {
            None => (number(text, 1, 2)?, 0),
            Some((second, fraction)) => {
                let places = u32::try_from(fraction.len()).ok()?;
                let value = number(fraction, 1, 9)?;
                (number(second, 1, 2)?, value * 10_i64.pow(9_u32.saturating_sub(places)))
            }
        },
    };
    (hour <= 23 && minute <= 59 && second <= 59)
        .then(|| i128::from(hour * 3_600 + minute * 60 + second) * SECOND + i128::from(fraction))
}

/// Digits only, so many of them.
fn number(text: &str, digits_min: usize, digits_max: usize) -> Option<i64> {
    let fits = (digits_min..=digits_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_the_w3c_is_read() {
        let whole = |text: &str| parse(text).map(|at| (at / SECOND, at % SECOND));
        for (text, expected) in [
            ("1997", 852_076_800),
            ("1997-07", 867_715_200),
            ("1997-07-16", 869_011_200),
            ("1997-07-16T19:20+01:00", 869_077_200),
            ("1997-07-16T19:20:30+01:00", 869_077_230),
            ("1997-07-16T19:20:30Z", 869_080_830),
            ("1997-07-16T14:20:30-05:00", 869_080_830),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("869080830", 869_080_830),
            ("0", 0),
            ("-1", -1),
            ("1969-12-31T23:59:59", -1),
        ] {
            assert_eq!(whole(text), Some((expected, 0)), "{text}");
        }
        assert_eq!(whole("1997-07-16T19:20:30.45+01:00"), Some((869_077_230, 450_000_000)));
    }

    #[test]
    fn what_aws_takes_beyond_the_profiles_is_read() {
        for text in ["01T", "-292275054", "2016-12-13t2:00:00.593194+23", "2016-12-13T21:20:37.593194+00:00"]
        {
            assert!(parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "-",
            "T",
            "sdfdsf",
            "234-13",
            "2019-02-29",
            "2019-06-31",
            "2019-00-01",
            "2019-01-01T24:00",
            "2019-01-01T10:60",
            "2016-12-13t2:00:00.593194+1",
            "2016-12-13t2:00:00.1999999999+10:59",
            "9223372036854775808",
            "2019-01-01T10:00:00+24:00",
            "2019-1-1-1",
            "2019-01-01*",
            "2019-01-01T10:00:00é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_calendar_agrees_with_chrono() {
        for days in (-800_000..800_000).step_by(97) {
            let date = chrono::DateTime::from_timestamp(days * 86_400, 0).unwrap().date_naive();
            let (year, month, day) = {
                use chrono::Datelike;
                (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()))
            };
            assert_eq!(since_1970(year, month, day), days, "{date}");
        }
    }
}
