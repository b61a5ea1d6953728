//! Hours of a week in a place of the world: `06:00-22:00 Europe/Dublin Mon-Sat`

use std::fmt;

use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Timelike, Weekday};
use chrono_tz::Tz;

/// Hours of some days of the week, by the clock of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    written: String,
    /// Minute of the day
    from: u32,
    /// Minute of the day; at or before `from`: of the day after
    to: u32,
    zone: Tz,
    /// Monday first
    days: [bool; 7],
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u32 = 24 * 60;

impl Hours {
    /// Reads `HH:MM-HH:MM`, a zone of the IANA database (UTC without one) and days (all without): `Mon-Fri`,
    /// `Mon,Wed`, `Sat-Sun`. `22:00-06:00` ends on the day after, which belongs to the day that it began on.
    ///
    /// # Errors
    /// Which part cannot be read, and how to write it.
    pub fn parse(text: &str) -> Result<Hours, String> {
        let mut words = text.split_whitespace();
        let span = words.next().unwrap_or_default();
        let fault =
            || format!("`{span}` is no span of hours. Write it like `06:00-22:00 Europe/Dublin Mon-Sat`");
        let (from, to) = span.split_once('-').ok_or_else(fault)?;
        let (from, to) = (minute(from).ok_or_else(fault)?, minute(to).ok_or_else(fault)?);
        if from == to || from == DAY_MINUTES {
            return Err(fault());
        }
        let (mut zone, mut days) = (None, None);
        for word in words {
            if let Some(found) = parse_days(word) {
                if days.replace(found).is_some() {
                    return Err(format!(
                        "`{word}` gives days a second time. Write them as one word: `Mon,Wed-Fri`"
                    ));
                }
            } else if let Ok(found) = word.parse::<Tz>() {
                if zone.replace(found).is_some() {
                    return Err(format!("`{word}` is a second time zone"));
                }
            } else {
                return Err(format!(
                    "`{word}` is neither a time zone (`Europe/Dublin`) nor days (`Mon-Sat`, `Mon,Wed`)"
                ));
            }
        }
        let (zone, days) = (zone.unwrap_or(Tz::UTC), days.unwrap_or([true; 7]));
        Ok(Hours { written: text.to_owned(), from, to, zone, days })
    }

    /// Whether a moment (µs UTC) lies in them. Summer time counts.
    #[must_use]
    pub fn contains(&self, time: i64) -> bool {
        let Some(local) = self.local(time) else { return false };
        let minute = local.hour() * 60 + local.minute();
        let on = |day: Weekday| {
            let at = usize::try_from(day.num_days_from_monday()).unwrap_or_default();
            self.days.get(at).copied().unwrap_or_default()
        };
        if self.from < self.to {
            return on(local.weekday()) && (self.from..self.to).contains(&minute);
        }
        let evening = minute >= self.from && on(local.weekday());
        evening || minute < self.to && on(local.weekday().pred())
    }

    /// `Sun 2026-11-22 23:10 Europe/Dublin`
    #[must_use]
    pub fn clock(&self, time: i64) -> String {
        match self.local(time) {
            Some(local) => format!("{} {}", local.format("%a %Y-%m-%d %H:%M"), self.zone.name()),
            None => time.to_string(),
        }
    }

    fn local(&self, time: i64) -> Option<DateTime<Tz>> {
        DateTime::from_timestamp_micros(time).map(|at| at.with_timezone(&self.zone))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn minute(text: &str) -> Option<u32> {
    if text == "24:00" {
        return Some(DAY_MINUTES);
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
    u32::try_from((time - NaiveTime::MIN).num_minutes())
        .ok()
        .filter(|_| time - NaiveTime::MIN < TimeDelta::days(1))
}

fn parse_days(word: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        DAYS.iter().position(|day| name.starts_with(day) && is_day(&name))
    };
    for part in word.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let mut at = first;
        loop {
            if let Some(on) = days.get_mut(at) {
                *on = true;
            }
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Some(days)
}

/// `mon`, `monday`
fn is_day(name: &str) -> bool {
    name.parse::<Weekday>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_rfc3339;

    fn holds(hours: &str, time: &str) -> bool {
        Hours::parse(hours).unwrap().contains(parse_rfc3339(time).unwrap())
    }

    #[test]
    fn the_clock_is_that_of_the_place() {
        let dublin = "06:00-22:00 Europe/Dublin Mon-Sat";
        assert!(holds(dublin, "2026-11-20T06:00:00Z") && !holds(dublin, "2026-11-20T05:59:59Z"));
        assert!(holds(dublin, "2026-11-20T21:59:59Z") && !holds(dublin, "2026-11-20T22:00:00Z"));
        // In July Dublin is an hour ahead.
        assert!(holds(dublin, "2026-07-20T05:00:00Z") && !holds(dublin, "2026-07-20T21:00:00Z"));
        assert!(!holds(dublin, "2026-11-22T12:00:00Z"), "a Sunday");
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_hour_of_the_clock() {
        let early = "01:00-02:00 Europe/Dublin";
        assert!(holds(early, "2026-10-25T00:30:00Z") && holds(early, "2026-10-25T01:30:00Z"));
        assert!(!holds(early, "2026-10-25T02:00:00Z"));
    }

    #[test]
    fn a_night_belongs_to_the_day_that_it_began_on() {
        let night = "22:00-06:00 UTC Fri";
        assert!(holds(night, "2026-11-20T23:00:00Z") && holds(night, "2026-11-21T05:59:00Z"));
        assert!(!holds(night, "2026-11-20T05:59:00Z") && !holds(night, "2026-11-21T23:00:00Z"));
        assert!(!holds(night, "2026-11-21T06:00:00Z"));
    }

    #[test]
    fn zone_and_days_may_be_left_out_and_swapped() {
        assert!(holds("00:00-24:00", "2026-11-22T23:59:59Z"));
        assert!(holds("09:00-17:00 Mon,Wed-Fri America/New_York", "2026-11-20T14:00:00Z"));
        assert!(!holds("09:00-17:00 Mon,Wed-Fri America/New_York", "2026-11-17T14:30:00Z"), "a Tuesday");
        assert!(holds("09:00-17:00 Sat-Mon", "2026-11-22T10:00:00Z"), "over the week's end");
    }

    #[test]
    fn what_cannot_be_read_says_how_to_write_it() {
        for (text, told) in [
            ("6-22", "`6-22` is no span"),
            ("06:00-25:00", "is no span"),
            ("06:00-06:00", "is no span"),
            ("06:00-22:00 Europe/Dubln", "`Europe/Dubln` is neither a time zone"),
            ("06:00-22:00 Mun-Sat", "`Mun-Sat` is neither"),
            ("06:00-22:00 Mon Tue", "second time"),
            ("06:00-22:00 UTC Europe/Dublin", "second time zone"),
            ("", "is no span"),
        ] {
            let error = Hours::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn the_clock_is_told_where_it_counts() {
        let hours = Hours::parse("06:00-22:00 Europe/Dublin").unwrap();
        let time = parse_rfc3339("2026-07-20T22:30:00Z").unwrap();
        assert_eq!(hours.clock(time), "Mon 2026-07-20 23:30 Europe/Dublin");
    }
}
