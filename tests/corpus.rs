//! No bytes make remit stop, hang, swell or lose a good neighbour. `corpus/make.py` writes them, and what each is worth.

use crate::support::aws::{Aws, Faults};
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::remit::{Finished, Service, remit, run};
use crate::support::tally::Tally;
use ingest::{Limits, ObjectRef, Redaction};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How many times longer a byte of a bad file may take than one of a good log: a cost that grows with the square of
/// a length is far beyond it.
const SLOWER: u32 = 20;

/// The longest that a service may take for all of them on a busy machine.
const LONG: Duration = Duration::from_secs(400);

/// The most memory that reading them may take: what the process is by itself, and a few of the largest files.
const MEMORY: u64 = 700 << 20;

/// What one file is worth.
#[derive(Debug)]
struct Expected {
    file: String,
    /// Words for why nothing of it is read; any of them is right.
    refused: Option<String>,
    ignored: Option<String>,
    quarantined: BTreeMap<String, u64>,
    kept: Vec<String>,
    limited: bool,
}

/// Writes the corpus into a folder of its own.
fn corpus() -> (Folder, Vec<Expected>) {
    let folder = Folder::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/make.py");
    let made = Command::new("python3").arg(script).arg(folder.path()).output().expect("python3 is here");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let expected: Vec<Expected> = folder.read("expected.jsonl").lines().map(expected).collect();
    assert!(expected.len() >= 300, "{} files", expected.len());
    (folder, expected)
}

fn expected(line: &str) -> Expected {
    let line: Map<String, Value> = serde_json::from_str(line).unwrap();
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let counts = line["quarantined"].as_object().unwrap();
    let expected = Expected {
        file: text("file").unwrap(),
        refused: text("object_reason"),
        ignored: text("ignored"),
        quarantined: counts.iter().map(|(reason, count)| (reason.clone(), count.as_u64().unwrap())).collect(),
        kept: line["kept"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect(),
        limited: line["limited"] == true,
    };
    assert_eq!(line["rows"], expected.kept.len());
    assert_eq!(line["read"], expected.kept.len() as u64 + expected.quarantined.values().sum::<u64>());
    expected
}

/// Whether `reason` is one of the words of `promised`.
fn is_one_of(reason: &str, promised: &str) -> bool {
    promised.split('|').any(|word| word == reason)
}

/// The time that a processor spent on this thread: the machine may be busy with others.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// What reading a MiB of a good log takes here and now, and so what a MiB of any other may.
struct Pace(Duration);

impl Pace {
    fn measure() -> Pace {
        let record = |number: usize| {
            format!(
                r#"{{"eventVersion":"1.09","userIdentity":{{"type":"IAMUser","userName":"ann"}},"eventTime":"2026-11-02T07:41:05Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","requestParameters":{{"bucketName":"acme","key":"{number}"}},"eventID":"4f6a1b7e-0d2c-4a57-9f13-{number:012}","recipientAccountId":"111122223333"}}"#
            )
        };
        let records: Vec<String> = (0..4096).map(record).collect();
        let log = format!("{{\"Records\":[{}]}}", records.join(","));
        let took = (0..3).map(|_| took(|| read("good.json", log.as_bytes()).is_ok()).0).min().unwrap();
        Pace(took.mul_f64((1 << 20) as f64 / log.len() as f64))
    }

    /// The longest that so many bytes may take; whatever their number, a few milliseconds.
    fn longest(&self, bytes: usize) -> Duration {
        (self.0 * SLOWER).mul_f64(1.0 + bytes as f64 / (1 << 20) as f64)
    }
}

fn read(file: &str, bytes: &[u8]) -> Result<ingest::ReadObject, ingest::ObjectError> {
    let object = ObjectRef {
        source: "corpus".into(),
        bucket: "logs".into(),
        key: file.into(),
        version: String::new(),
    };
    ingest::read_object(&object, bytes, &Limits::default(), &Redaction::default())
}

/// What `work` comes to, behind the time that a processor spent on it.
fn took<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = processor_time();
    let done = work();
    (processor_time().saturating_sub(before), done)
}

/// How a file was read, held against what it is worth; none where they agree.
fn difference(expected: &Expected, folder: &Path, pace: &Pace) -> Option<String> {
    let bytes = std::fs::read(folder.join(&expected.file)).unwrap();
    let (took, read) = took(|| read(&expected.file, &bytes));
    let limits = Limits::default();
    // What is refused was inflated as far as its ratio may go, and no further than a whole object's window.
    let most = ((1 << 20) + bytes.len() * limits.ratio_max as usize).min(64 << 20);
    let longest = pace.longest(ingest::inflate(&bytes, &limits).map_or(most, |plain| plain.len()));
    if took > longest {
        return Some(format!("took {took:?} of {longest:?}"));
    }
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            let is_right = expected.refused.as_ref().is_some_and(|word| is_one_of(error.reason(), word));
            return (!is_right).then(|| format!("refused: {} ({error})", error.reason()));
        }
    };
    let view = read.batch.view();
    let kept: Vec<&str> = (0..view.rows()).map(|row| view.event_id(row)).collect();
    let mut left = expected.quarantined.clone();
    let mut surprising = Vec::new();
    for quarantined in &read.quarantined {
        let found = left.iter_mut().find(|(word, count)| is_one_of(quarantined.reason, word) && **count > 0);
        match found {
            Some((_, count)) => *count -= 1,
            None => surprising.push(format!("{}: {}", quarantined.reason, quarantined.detail)),
        }
        assert!(quarantined.detail.len() <= 256 && quarantined.head.len() <= 4096, "{}", expected.file);
    }
    left.retain(|_, count| *count > 0);
    surprising.dedup();
    surprising.truncate(5);
    assert_eq!(read.read, (view.rows() + read.quarantined.len()) as u64, "{}", expected.file);
    let is_right = expected.refused.is_none()
        && read.ignored == expected.ignored.as_deref()
        && left.is_empty()
        && surprising.is_empty()
        && kept == expected.kept;
    (!is_right).then(|| {
        let lost: Vec<_> = expected.kept.iter().filter(|id| !kept.contains(&id.as_str())).take(5).collect();
        let forged: Vec<_> =
            kept.iter().filter(|id| !expected.kept.iter().any(|kept| kept == *id)).take(5).collect();
        format!(
            "read {} rows of {}; lost {lost:?}, forged {forged:?}; refused but should not be {surprising:?}, \
             should be refused {left:?}; ignored {:?}",
            kept.len(),
            expected.kept.len(),
            read.ignored,
        )
    })
}

#[test]
fn every_file_of_the_corpus_is_worth_what_it_says() {
    let (folder, expected) = corpus();
    let pace = Pace::measure();
    let mut wrong = Vec::new();
    for file in &expected {
        if let Some(difference) = difference(file, folder.path(), &pace) {
            wrong.push(format!("{}: expected refused {:?}: {difference}", file.file, file.refused));
        }
    }
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
}

/// What a run over the corpus may not do, whatever it is asked for.
#[track_caller]
fn stands(finished: &Finished) {
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(finished.peak < MEMORY, "held {} MiB", finished.peak >> 20);
    for text in [&finished.stdout, &finished.stderr] {
        let is_inert = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
        assert!(text.chars().all(is_inert), "control characters reach the terminal: {text:?}");
    }
}

/// Every event that is to be kept, whichever file it is in.
fn kept(expected: &[Expected]) -> BTreeSet<String> {
    expected.iter().flat_map(|file| file.kept.iter().cloned()).collect()
}

#[test]
fn a_replay_of_the_corpus_keeps_every_good_event_and_counts_every_bad_one() {
    let (folder, expected) = corpus();
    folder.agent("ant", &[("s3:GetObject", "arn:aws:s3:::acme-invoices/*")]);
    let replay =
        ["replay", "logs", "--agents", "agents", "--threads", "2", "--calls", "calls", "--output", "ndjson"];
    // Some input could not be read, and the exit code says so.
    let finished = remit(folder.path(), &replay).expect(4);
    stands(&finished);
    let mut judged = BTreeSet::new();
    for line in folder.read("calls").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        judged.insert(line["event_id"].as_str().unwrap().to_owned());
    }
    let kept = kept(&expected);
    assert_eq!(judged.symmetric_difference(&kept).take(9).collect::<Vec<_>>(), Vec::<&String>::new());
    let summary = finished.lines().pop().unwrap()["summary"].clone();
    let number = |key: &str| summary[key].as_u64().unwrap();
    let refused = expected.iter().filter(|file| file.refused.is_some()).count() as u64;
    let quarantined: u64 = expected.iter().flat_map(|file| file.quarantined.values()).sum();
    assert_eq!(number("quarantined"), quarantined + refused, "{summary}");
    assert_eq!(number("read"), number("unique") + number("duplicates") + number("quarantined"), "{summary}");
    let rows: usize = expected.iter().map(|file| file.kept.len()).sum();
    assert_eq!(number("unique") + number("duplicates"), rows as u64, "{summary}");
    let table = remit(folder.path(), &["replay", "logs", "--agents", "agents"]).expect(4);
    stands(&table);
}

#[test]
fn the_inventory_of_the_corpus_counts_the_same_events() {
    let (folder, expected) = corpus();
    let finished = remit(folder.path(), &["usage", "logs", "--threads", "2", "--output", "ndjson"]).expect(4);
    stands(&finished);
    let counted: u64 = finished.lines().iter().map(|row| row["count"].as_u64().unwrap()).sum();
    let number = |what: &str| -> u64 {
        let totals = finished.stderr.lines().last().unwrap();
        let (before, _) =
            totals.split_once(&format!(" {what}")).unwrap_or_else(|| panic!("{what}: {totals}"));
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let refused = expected.iter().filter(|file| file.refused.is_some()).count() as u64;
    let quarantined: u64 = expected.iter().flat_map(|file| file.quarantined.values()).sum();
    assert_eq!(number("quarantined"), quarantined + refused);
    assert_eq!(number("read"), number("unique") + number("duplicates") + number("quarantined"));
    // A call of nobody has no identity to be listed under.
    assert!(
        counted <= number("unique") && counted * 2 > number("unique"),
        "{counted} of {}",
        number("unique")
    );
}

#[test]
fn the_tools_answer_every_line_of_the_corpus() {
    let (folder, expected) = corpus();
    let mut lines = String::new();
    let mut asked = 0;
    for file in expected.iter().filter(|file| !file.limited) {
        let bytes = std::fs::read(folder.path().join(&file.file)).unwrap();
        let plain = ingest::inflate(&bytes, &Limits::default());
        let Ok(plain) = plain.as_deref().map(|plain| String::from_utf8_lossy(plain)) else { continue };
        let short = plain.get(..plain.floor_char_boundary(50_000)).unwrap_or_default();
        for part in [short, short.strip_prefix("{\"Records\":[").unwrap_or_default()] {
            let line = serde_json::json!({"id": asked, "record": part, "body": part, "event": part});
            lines += &format!("{line}\n");
            asked += 1;
        }
        // As it is, one piece a line: most of them are no questions at all.
        for line in short.lines().filter(|line| !line.trim().is_empty()).take(20) {
            lines += line;
            lines.push('\n');
        }
    }
    let questions = lines.split('\n').filter(|line| !line.trim_ascii().is_empty()).count();
    for tool in ["events", "permissions", "notification", "decide"] {
        let finished = run(folder.path(), &["tool", tool], &lines, &[]).expect(0);
        stands(&finished);
        let answers = finished.lines();
        assert_eq!(answers.len(), questions, "{tool}: one line out for each line in");
        let faults = answers.iter().filter(|answer| answer["error"].to_string().contains("a fault of remit"));
        assert_eq!(faults.count(), 0, "{tool}");
    }
}

#[test]
fn a_service_counts_the_corpus_by_reason() {
    let (folder, expected) = corpus();
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let port = folder.configure(&Config::default().directory("logs", false));
    let service = Service::run(folder.path(), port);
    counts_by_reason(&service, &expected);
}

#[test]
fn a_service_counts_the_corpus_by_reason_as_a_queue_tells_of_it() {
    let (folder, expected) = corpus();
    let expected = some_of_each(&folder, expected);
    folder.agent("ant", &[("s3:GetObject", "*")]);
    let aws = Aws::with_faults(Faults { slow: 0.05, shuffled: 1.0, ..Faults::default() });
    let queue = aws.queue("q");
    aws.bucket("acme-logs", "q");
    // The mixed ones all name one absent object, for which one waits and the others come back: one will do.
    let mut forged = crate::forged::messages();
    forged.retain(|(what, _)| !what.starts_with("mixed") || what == "mixed somebody-elses");
    forged.iter().for_each(|(_, body)| aws.send("q", body));
    for file in &expected {
        aws.put_file("acme-logs", &file.file, &folder.path().join(&file.file));
    }
    let keys = format!("in_flight = 32\n{}", crate::forged::AT_ONCE);
    let port = folder.configure(&Config::default().queue_with(&aws.url, &queue, "acme-logs", &keys));
    let service = Service::run(folder.path(), port);
    eventually("the queue is empty", LONG, || aws.messages("q") == (0, 0));
    let tally = Tally::of(folder.path());
    let rows: usize = expected.iter().map(|file| file.kept.len()).sum();
    assert_eq!(tally.stored + tally.duplicates, rows as i64, "{:?}", tally.reasons);
    assert_eq!(tally.stored, kept(&expected).len() as i64, "every good event, and each once");
    assert_eq!(tally.read, tally.stored + tally.duplicates + tally.quarantined);
    crate::forged::asks_for_nothing(&aws);
    assert!(!service.stderr().contains("panicked"), "{}", service.stderr());
    let refused = expected.iter().filter(|file| file.refused.is_some()).count() as u64;
    let bad: u64 = expected.iter().flat_map(|file| file.quarantined.values()).sum();
    let absent = 1;
    assert_eq!(tally.quarantined as u64, bad + refused + absent);
}

/// The smallest files of each kind: the folder's story reads them all.
fn some_of_each(folder: &Folder, mut expected: Vec<Expected>) -> Vec<Expected> {
    const OF_EACH: usize = 4;
    expected.sort_by_key(|file| folder.path().join(&file.file).metadata().unwrap().len());
    let mut taken: BTreeMap<_, usize> = BTreeMap::new();
    expected.retain(|file| {
        let reasons: Vec<String> = file.quarantined.keys().cloned().collect();
        let kind = (file.refused.clone(), file.ignored.clone(), reasons, file.kept.is_empty());
        let taken = taken.entry(kind).or_default();
        *taken += 1;
        *taken <= OF_EACH
    });
    println!("{} files of {} kinds", expected.len(), taken.len());
    expected
}

fn counts_by_reason(service: &Service, expected: &[Expected]) {
    eventually("every file is ended", LONG, || {
        let ended = ["done", "ignored", "quarantined"]
            .map(|outcome| service.metric("remit_objects_total", &[&format!("outcome=\"{outcome}\"")]));
        ended.iter().sum::<f64>() >= expected.len() as f64
    });
    let mut promised: BTreeMap<&str, u64> = BTreeMap::new();
    for file in expected {
        let refused = file.refused.iter().map(|words| (words.as_str(), 1));
        for (words, count) in
            refused.chain(file.quarantined.iter().map(|(words, count)| (words.as_str(), *count)))
        {
            *promised.entry(words).or_default() += count;
        }
    }
    let metrics = service.get("/metrics").text;
    let counted =
        |reason: &str| service.metric("remit_events_quarantined_total", &[&format!("reason=\"{reason}\"")]);
    // Where the promise leaves the word open, only the sum is fixed.
    for (reason, count) in promised.iter().filter(|(words, _)| !words.contains('|')) {
        let open: u64 = promised
            .iter()
            .filter(|(words, _)| words.contains('|') && is_one_of(reason, words))
            .map(|(_, count)| count)
            .sum();
        let counted = counted(reason) as u64;
        assert!(
            (*count..=count + open).contains(&counted),
            "{reason}: {counted} of {count} to {}\n{metrics}",
            count + open
        );
    }
    let all: u64 = promised.values().sum();
    assert_eq!(service.metric("remit_events_quarantined_total", &[]) as u64, all);
    assert!(!service.stderr().contains("panicked"), "{}", service.stderr());
}
