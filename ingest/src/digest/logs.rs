//! Log files held against the digests that attest them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};
use flate2::bufread::GzDecoder;

use super::chain::{Gap, GapKind, Linked, Spans};
use super::problem::LogProblem;
use super::{AttestedHour, ChainId, Place, Shelf};
use crate::inflate::{Limits, ObjectError};

/// What became of log files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JudgedLogs {
    /// Listed, there, and with the content that CloudTrail signed for.
    pub valid: u64,
    /// What is wrong with others, in the order of places.
    pub problems: Vec<(Place, LogProblem)>,
    /// What is odd and proves nothing, in the order of places.
    pub notes: Vec<(Place, LogNote)>,
    /// Times after the last digest in which log files were still delivered.
    pub silent: Vec<Gap>,
}

/// What is odd about a log file that need not be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogNote {
    /// Listed twice with the same hash.
    ListedTwice,
    /// Delivered after the last digest: the next one should list it.
    Pending,
    /// Delivered when there was no valid digest: in a gap, in the hour of an invalid digest, or at the edge of either.
    InGap,
    /// Delivered before the first digest.
    BeforeFirst,
    /// There are no digests of its account and region at all.
    NoDigests,
}

impl LogNote {
    /// A short name that never changes, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListedTwice => "log_listed_twice",
            Self::Pending => "log_pending",
            Self::InGap => "log_in_gap",
            Self::BeforeFirst => "log_before_first_digest",
            Self::NoDigests => "log_without_digests",
        }
    }

    /// The same for a person.
    pub fn text(self) -> &'static str {
        match self {
            Self::ListedTwice => "listed twice with the same hash",
            Self::Pending => "newer than the last digest, the next one should list it",
            Self::InGap => "delivered when no valid digest covers, attested by nobody",
            Self::BeforeFirst => "older than the first digest, attested by nobody",
            Self::NoDigests => "no digest of its account and region is there",
        }
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

const CHUNK_BYTES: usize = 128 << 10;
const MIB: u64 = 1 << 20;

/// SHA-256 of a log file's content, which is what digests attest: of the inflated bytes of its one gzip member. Never
/// holds more than a chunk of it.
///
/// # Errors
/// It is not gzipped, is damaged or too large, or something follows the gzip member: that would be read by some tools
/// and seen by no hash (<https://github.com/aws/aws-cli/issues/10326>).
pub fn content_sha256(mut stored: impl BufRead, limits: &Limits) -> Result<[u8; 32], LogProblem> {
    let unreadable = |error: std::io::Error| LogProblem::Unreadable(error.to_string());
    if stored.fill_buf().map_err(unreadable)?.first() != Some(&0x1f) {
        return Err(LogProblem::NotGzip);
    }
    let stored = Counted { stored, bytes: 0, failure: None };
    let mut member = GzDecoder::new(stored);
    let mut hash = Context::new(&SHA256);
    let mut inflated = 0u64;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match member.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => chunk.get(..read).unwrap_or_default(),
            Err(error) => {
                return Err(match (member.get_mut().failure.take(), error.kind()) {
                    (Some(failure), _) => LogProblem::Unreadable(failure),
                    (None, std::io::ErrorKind::UnexpectedEof) => {
                        LogProblem::Object(ObjectError::GzipTruncated)
                    }
                    (None, _) => LogProblem::Object(ObjectError::GzipCorrupt(error.to_string())),
                });
            }
        };
        hash.update(read);
        inflated += read.len() as u64;
        let stored = member.get_ref().bytes;
        if stored > limits.compressed_bytes_max {
            let limit = limits.compressed_bytes_max;
            return Err(LogProblem::Object(ObjectError::CompressedTooBig { bytes: stored, limit }));
        }
        if inflated > limits.inflated_bytes_max {
            let limit = limits.inflated_bytes_max;
            return Err(LogProblem::Object(ObjectError::InflatedTooBig { limit }));
        }
        if inflated > MIB && inflated > stored.saturating_mul(limits.ratio_max) {
            return Err(LogProblem::Object(ObjectError::GzipRatio { limit: limits.ratio_max }));
        }
    }
    let mut rest = member.into_inner();
    // Only whether, not how much: it may be much.
    let trailing = rest.fill_buf().map_err(unreadable)?.len() as u64;
    if trailing > 0 {
        return Err(LogProblem::Object(ObjectError::GzipTrailing { bytes: trailing }));
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    Ok(out)
}

/// Counts what was consumed, and keeps what went wrong with reading apart from what is wrong with the bytes.
struct Counted<R> {
    stored: R,
    bytes: u64,
    failure: Option<String>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.stored.read(out)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        match self.stored.fill_buf() {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                self.failure = Some(error.to_string());
                Err(error)
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.stored.consume(bytes);
    }
}

/// The minute in a log file's name is that of its delivery, which digests go by; near an edge it may fall to either side.
const EDGE: TimeDelta = TimeDelta::minutes(15);
/// A digest comes within an hour after its own; so much later, none will come.
const SILENCE: TimeDelta = TimeDelta::hours(2);

/// Holds log files against verified hours.
///
/// `files`: each log file that is there, at most once, with what [`content_sha256`] said. A file that is listed and not
/// among them is missing; one that is among them and not listed is forged, if its hour is covered.
pub fn judge(
    linked: &Linked,
    files: impl IntoIterator<Item = (Place, Result<[u8; 32], LogProblem>)>,
) -> JudgedLogs {
    let mut judged = JudgedLogs::default();
    let mut expected = expectations(&linked.hours, &mut judged);
    let mut unlisted = Vec::new();
    let mut present = HashMap::new();
    for (place, content) in files {
        let Some(entry) = expected.get_mut(&place) else {
            unlisted.push((place, content));
            continue;
        };
        entry.is_there = true;
        match content {
            Ok(found) if found == entry.sha256 => {
                present.insert(found, place.clone());
                if !entry.is_told {
                    judged.valid += 1;
                }
            }
            Ok(found) if !entry.is_told => {
                judged.problems.push((place, LogProblem::Hash { expected: entry.sha256, found }));
            }
            Err(problem) if !entry.is_told => judged.problems.push((place, problem)),
            Ok(_) | Err(_) => {}
        }
    }
    let mut lost: HashMap<[u8; 32], Vec<Place>> = HashMap::new();
    for (place, entry) in expected {
        if !entry.is_there && !entry.is_told {
            lost.entry(entry.sha256).or_default().push(place);
        }
    }
    judge_unlisted(linked, unlisted, &present, lost, &mut judged);
    judged.problems.sort_by(|(a, _), (b, _)| a.cmp(b));
    judged.notes.sort();
    judged
}

struct Expectation {
    sha256: [u8; 32],
    is_there: bool,
    /// Whether what is wrong with it was already told
    is_told: bool,
}

fn expectations(hours: &[(Shelf, AttestedHour)], judged: &mut JudgedLogs) -> HashMap<Place, Expectation> {
    let mut expected: HashMap<Place, Expectation> = HashMap::new();
    let mut twice = HashSet::new();
    for (shelf, hour) in hours {
        for log in &hour.logs {
            if let Some(entry) = expected.get_mut(&log.place) {
                if entry.sha256 == log.sha256 {
                    if twice.insert(&log.place) {
                        judged.notes.push((log.place.clone(), LogNote::ListedTwice));
                    }
                } else if !entry.is_told {
                    entry.is_told = true;
                    let problem = LogProblem::Conflict(hour.digest.clone());
                    judged.problems.push((log.place.clone(), problem));
                }
                continue;
            }
            let foreign = foreign(shelf, &log.place);
            if let Some(what) = foreign {
                judged.problems.push((log.place.clone(), LogProblem::Foreign(what, hour.digest.clone())));
            }
            let entry = Expectation { sha256: log.sha256, is_there: false, is_told: foreign.is_some() };
            expected.insert(log.place.clone(), entry);
        }
    }
    expected
}

/// What a log file is of that is another's than the shelf of the digest that lists it: `account` or `region`.
pub fn foreign(shelf: &Shelf, log: &Place) -> Option<&'static str> {
    let name = log.log_name()?;
    if name.shelf.account != shelf.account {
        Some("account")
    } else {
        (name.shelf.region != shelf.region).then_some("region")
    }
}

/// What is covered of the files of one shelf in one bucket, by trail.
#[derive(Default)]
struct Coverage {
    trails: BTreeMap<ChainId, (Spans, Place)>,
    /// The newest delivery that no digest covers yet
    newest_pending: Option<DateTime<Utc>>,
}

/// What verified hours cover, by bucket and shelf.
#[derive(Default)]
pub struct Coverages(HashMap<(String, Shelf), Coverage>);

/// What a log file is that no digest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlisted {
    /// Its time is covered, or it lies among log files under a name that CloudTrail does not give.
    Unattested,
    /// There is another reason.
    Excused(LogNote),
}

impl Coverages {
    /// What these hours cover.
    pub fn of<'h>(hours: impl IntoIterator<Item = (&'h Shelf, &'h AttestedHour)>) -> Self {
        let mut coverages = Self::default();
        for (shelf, hour) in hours {
            coverages.add(shelf, hour);
        }
        coverages
    }

    /// What a file is that no digest lists; none where it lies outside of CloudTrail's folders.
    pub fn unlisted(&self, place: &Place) -> Option<Unlisted> {
        let shelf = Shelf::of_log(&place.key)?;
        let Some(coverage) = self.0.get(&(place.bucket.clone(), shelf)) else {
            return Some(Unlisted::Excused(LogNote::NoDigests));
        };
        let excuse = place.log_name().and_then(|name| coverage.excuse(name.delivered));
        Some(excuse.map_or(Unlisted::Unattested, Unlisted::Excused))
    }

    /// The file was delivered after the last digest.
    fn pending(&mut self, place: &Place) {
        let (Some(shelf), Some(name)) = (Shelf::of_log(&place.key), place.log_name()) else { return };
        if let Some(coverage) = self.0.get_mut(&(place.bucket.clone(), shelf)) {
            coverage.newest_pending = coverage.newest_pending.max(Some(name.delivered));
        }
    }

    fn add(&mut self, shelf: &Shelf, hour: &AttestedHour) {
        let trail = ChainId { backfill: false, ..hour.chain.clone() };
        let coverage = self.0.entry((hour.digest.bucket.clone(), shelf.clone())).or_default();
        let (spans, newest) =
            coverage.trails.entry(trail).or_insert_with(|| (Spans::default(), hour.digest.clone()));
        if spans.bounds().is_none_or(|(_, end)| end < hour.end) {
            *newest = hour.digest.clone();
        }
        spans.add(hour.start, hour.end);
    }
}

impl Coverage {
    /// What a delivery is that no digest lists; none where one should.
    fn excuse(&self, delivered: DateTime<Utc>) -> Option<LogNote> {
        let (from, to) = (delivered - EDGE, delivered + EDGE);
        let bounds = || self.trails.values().filter_map(|(spans, _)| spans.bounds());
        let is_covered = self.trails.values().any(|(spans, _)| spans.cover(from, to));
        // A trail that has a gap there may have delivered it; one that began later or ended long before has not.
        let may_be_of_another = self.trails.values().any(|(spans, _)| {
            let Some((first, last)) = spans.bounds() else { return false };
            !spans.cover(from, to) && to >= first && from <= last + SILENCE
        });
        if is_covered && !may_be_of_another {
            return None;
        }
        Some(if bounds().all(|(_, last)| last < to) {
            LogNote::Pending
        } else if bounds().all(|(first, _)| from < first) {
            LogNote::BeforeFirst
        } else {
            LogNote::InGap
        })
    }

    fn silence(&self) -> Option<Gap> {
        let newest = self.newest_pending?;
        let ends = self.trails.iter().filter_map(|(chain, (spans, place))| {
            let (_, end) = spans.bounds()?;
            Some((end, chain, place))
        });
        let (end, chain, place) = ends.max()?;
        (newest > end + SILENCE).then(|| Gap {
            chain: chain.clone(),
            kind: GapKind::Silent,
            from: Some(end),
            to: newest,
            after: Some(place.clone()),
            before: None,
            is_backfilled: false,
        })
    }
}

fn judge_unlisted(
    linked: &Linked,
    unlisted: Vec<(Place, Result<[u8; 32], LogProblem>)>,
    present: &HashMap<[u8; 32], Place>,
    mut lost: HashMap<[u8; 32], Vec<Place>>,
    judged: &mut JudgedLogs,
) {
    let mut coverages = Coverages::of(linked.hours.iter().map(|(shelf, hour)| (shelf, hour)));
    for (place, content) in unlisted {
        let content = content.ok();
        if let Some(original) = content.and_then(|sha256| lost.get_mut(&sha256)).and_then(Vec::pop) {
            judged.problems.push((original, LogProblem::NotFound { elsewhere: Some(place) }));
            continue;
        }
        match coverages.unlisted(&place) {
            None => {}
            Some(Unlisted::Excused(note)) => {
                if note == LogNote::Pending {
                    coverages.pending(&place);
                }
                judged.notes.push((place, note));
            }
            Some(Unlisted::Unattested) => {
                let original = content.and_then(|sha256| present.get(&sha256));
                let problem =
                    original.map_or(LogProblem::Unattested, |place| LogProblem::Copy(place.clone()));
                judged.problems.push((place, problem));
            }
        }
    }
    judged.silent = coverages.0.values().filter_map(Coverage::silence).collect();
    judged.silent.sort_by(|a, b| a.chain.cmp(&b.chain));
    for place in lost.into_values().flatten() {
        judged.problems.push((place, LogProblem::NotFound { elsewhere: None }));
    }
}
