//! A detection: a question in SQL that is asked of the `calls` of every batch.
//!
//! A folder `engine/detections/<name>/` holds `detection.sql`, with a head of `-- key: value` lines, and the
//! events that it fires on (`fires.jsonl`) and stays quiet on (`quiet.jsonl`).

use std::str::FromStr;

/// The window of event time that makes one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A clock hour, UTC.
    Hour,
    /// A day, UTC.
    Day,
}

impl Window {
    /// The start of the window that `time` (µs UTC) lies in.
    #[must_use]
    pub fn start(self, time: i64) -> i64 {
        let length = match self {
            Window::Hour => crate::time::HOUR,
            Window::Day => crate::time::DAY,
        };
        time.div_euclid(length) * length
    }
}

/// One detection as its file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// `SC01`
    pub id: String,
    /// `undeclared_permission`, the folder's name.
    pub name: String,
    /// `scope`; two families in one incident raise its severity.
    pub family: String,
    /// One line on what it finds.
    pub about: String,
    /// The window of one finding.
    pub window: Window,
    /// True when its findings hang on the baseline, so that late events can take them back.
    pub settled: bool,
    /// Codes of the frameworks it maps to.
    pub frameworks: Vec<String>,
    /// The query over `calls`: columns `call`, `subject`, `severity`, `title`, `why`.
    pub sql: String,
}

/// A detection's file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("detection `{name}`: {reason}")]
pub struct DetectionError {
    /// The folder's name.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

const KEYS: [&str; 6] = ["id", "family", "about", "window", "settled", "frameworks"];

impl Detection {
    /// Reads the text of `<name>/detection.sql`.
    ///
    /// # Errors
    /// [`DetectionError`] for a missing, unknown or unreadable key in the head.
    pub fn parse(name: &str, text: &str) -> Result<Detection, DetectionError> {
        let error = |reason: String| DetectionError { name: name.to_owned(), reason };
        let mut values: [Option<&str>; KEYS.len()] = [None; KEYS.len()];
        for line in text.lines().map_while(|line| line.strip_prefix("-- ")) {
            // A line of the head that is no `key: value` is a comment.
            let Some((key, value)) = line.split_once(": ") else { continue };
            if key.contains(' ') {
                continue;
            }
            let slot = KEYS.iter().zip(values.iter_mut()).find(|(known, _)| **known == key);
            let Some((_, slot)) = slot else {
                return Err(error(format!("unknown key `{key}`. Known: {}", KEYS.join(", "))));
            };
            *slot = Some(value.trim());
        }
        let [id, family, about, window, settled, frameworks] = values;
        let need = |key: &str, value: Option<&str>| {
            value.map(str::to_owned).ok_or_else(|| error(format!("the head lacks `-- {key}: ...`")))
        };
        Ok(Detection {
            id: need("id", id)?,
            name: name.to_owned(),
            family: need("family", family)?,
            about: need("about", about)?,
            window: need("window", window)?.parse().map_err(error)?,
            settled: match settled {
                None => false,
                Some("baseline") => true,
                Some(other) => return Err(error(format!("`settled: {other}`; only `baseline` is known"))),
            },
            frameworks: need("frameworks", frameworks)?.split_whitespace().map(str::to_owned).collect(),
            sql: text.to_owned(),
        })
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hour" => Ok(Window::Hour),
            "day" => Ok(Window::Day),
            other => Err(format!("unknown window `{other}`. Known: hour, day")),
        }
    }
}

macro_rules! folders {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../detections/", $name, "/detection.sql")))),+]
    };
}

/// The detections that remit ships, by id.
///
/// # Errors
/// [`DetectionError`] never happens in a tested build: each file is read in the tests.
pub fn built_in() -> Result<Vec<Detection>, DetectionError> {
    let mut detections = folders![
        "undeclared_permission",
        "denied_out_of_scope",
        "undeclared_resource",
        "read_only_writes",
        "destructive_call",
        "own_iam_change",
        "credential_minting",
        "logging_tampered",
        "long_lived_key",
        "new_permission",
        "policy_unparsed",
        "bound_broken",
        "session_too_old",
        "undeclared_hop",
        "unapproved_call",
        "expired_manifest",
    ]
    .into_iter()
    .map(|(name, text)| Detection::parse(name, text))
    .collect::<Result<Vec<_>, _>>()?;
    detections.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(detections)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "-- id: X1\n-- family: x\n-- about: y\n-- window: day\n-- frameworks: A B\nSELECT 1";

    #[test]
    fn the_head_is_read_and_the_rest_is_sql() {
        let detection = Detection::parse("x", HEAD).unwrap();
        assert_eq!((detection.id.as_str(), detection.window, detection.settled), ("X1", Window::Day, false));
        assert_eq!(detection.frameworks, ["A", "B"]);
    }

    #[test]
    fn a_head_that_lacks_or_misspells_a_key_says_which() {
        let missing = Detection::parse("x", &HEAD.replace("-- window: day\n", "")).unwrap_err();
        assert_eq!(missing.to_string(), "detection `x`: the head lacks `-- window: ...`");
        let misspelt = Detection::parse("x", &HEAD.replace("window", "widow")).unwrap_err();
        assert!(misspelt.reason.starts_with("unknown key `widow`"), "{misspelt}");
        let week = Detection::parse("x", &HEAD.replace("day", "week")).unwrap_err();
        assert_eq!(week.reason, "unknown window `week`. Known: hour, day");
    }

    #[test]
    fn every_shipped_detection_has_an_id_of_its_own() {
        let detections = built_in().unwrap();
        let ids: std::collections::BTreeSet<_> = detections.iter().map(|d| d.id.clone()).collect();
        assert_eq!(ids.len(), detections.len());
        assert_eq!(detections.iter().filter(|d| d.settled).count(), 1, "only BL02 hangs on the baseline");
    }
}
