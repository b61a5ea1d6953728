//! Durations as people write them in a configuration: `250ms`, `20s`, `5m`, `24h`, `7d`.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write a whole number and a unit: `250ms`, `20s`, `5m`, `24h`, `7d`")]
pub struct DurationError(String);

/// Reads a duration.
///
/// # Errors
/// Without a unit, with a fraction, or too long to count.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let wrong = || DurationError(text.chars().take(40).collect());
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// A duration as [`parse`] reads it, with the largest unit that leaves no rest.
pub fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| millis >= *size && millis.is_multiple_of(*size));
    unit.map_or_else(|| format!("{millis}ms"), |(size, unit)| format!("{}{unit}", millis / size))
}

/// The range of a configured duration, and its name in the error.
pub trait Bounds {
    /// The key.
    const NAME: &'static str;
    /// The shortest that is taken.
    const LEAST: Duration;
    /// The longest that is taken.
    const MOST: Duration;
}

/// Reads a duration within the bounds `B`.
///
/// # Errors
/// No duration, or one out of bounds; the words name the key and the bounds.
pub fn within<'de, B: Bounds, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Seen<B>(PhantomData<B>);
    impl<B: Bounds> Visitor<'_> for Seen<B> {
        type Value = Duration;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a duration from `{}` to `{}` for `{}`", text(B::LEAST), text(B::MOST), B::NAME)
        }
        fn visit_str<E: Error>(self, written: &str) -> Result<Duration, E> {
            let duration = parse(written).map_err(|error| E::custom(format!("`{}`: {error}", B::NAME)))?;
            if duration < B::LEAST || duration > B::MOST {
                let (least, most) = (text(B::LEAST), text(B::MOST));
                return Err(E::custom(format!(
                    "`{}` must be from `{least}` to `{most}`, not `{written}`",
                    B::NAME
                )));
            }
            Ok(duration)
        }
    }
    deserializer.deserialize_str(Seen::<B>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (written, millis) in
            [("250ms", 250), ("20s", 20_000), ("5m", 300_000), ("24h", 86_400_000), ("0s", 0)]
        {
            assert_eq!(parse(written), Ok(Duration::from_millis(millis)), "{written}");
        }
        assert_eq!(text(Duration::from_secs(300)), "5m");
        assert_eq!(text(Duration::from_secs(90)), "90s");
        assert_eq!(text(Duration::from_secs(86_400)), "1d");
        assert_eq!(text(Duration::ZERO), "0ms");
    }

    #[test]
    fn what_is_no_duration_says_what_would_be() {
        for written in ["", "5", "m", "1.5h", "-1s", "5 m", "5M", "99999999999999999d"] {
            assert!(parse(written).unwrap_err().to_string().contains("`5m`"), "{written}");
        }
    }
}
