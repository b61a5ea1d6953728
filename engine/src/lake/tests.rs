//! The commit protocol, stopped at each of its steps and started again.

use super::place::Place;
use super::query::{Question, Session};
use super::table::Table;
use super::*;
use crate::baseline::{BaselineDelta, BaselineRule};
use crate::measure::Measures;
use crate::seen::{EventIds, Seen};
use crate::store::{self, Claim, ClaimToken, Commit, Durability, LakeRows, Store, Terms};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use ingest::EventBatch;
use ingest::event::{Event, EventBuilder};
use std::collections::BTreeSet;
use tempfile::TempDir;

const DAY: i64 = 86_400_000_000;

/// A store, its lake, and what was committed.
struct Bench {
    dir: TempDir,
    store: Store,
    lake: Lake,
    committer: Committer,
}

fn config(dir: &TempDir) -> LakeConfig {
    LakeConfig::new(LakeAt::Folder(dir.path().join("lake")), dir.path().join("remit.rows"))
}

impl Bench {
    async fn new() -> Bench {
        Bench::in_dir(tempfile::tempdir().unwrap()).await
    }

    async fn in_dir(dir: TempDir) -> Bench {
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        let (lake, committer) = Lake::open(&store, config(&dir)).await.unwrap();
        Bench { dir, store, lake, committer }
    }

    /// As after a crash: nothing in memory is left.
    async fn start_again(self) -> Bench {
        let Bench { dir, store, lake, committer } = self;
        drop((lake, committer));
        store.close().await;
        drop(store);
        Bench::in_dir(dir).await
    }

    async fn claim(&self, object: &str) -> ClaimToken {
        match self.store.claim(object, "logs", object, DAY, 0).await.unwrap() {
            Claim::Mine(claim) => claim,
            other => panic!("{object}: {other:?}"),
        }
    }

    /// Commits objects of these events together, as the desk does.
    async fn commit(&self, objects: &[(&ClaimToken, &EventBatch)]) -> Vec<store::Committed> {
        let parts: Vec<_> = objects.iter().map(|(_, events)| self.rows(events)).collect();
        let file = self.lake.keep(&parts.iter().collect::<Vec<_>>()).unwrap().unwrap();
        let counts: Vec<_> = parts.iter().map(|rows| (rows.pieces, rows.rows)).collect();
        let rows = LakeRows { file: &file.name, bytes: file.bytes, parts: &counts };
        let ids: Vec<_> = objects.iter().map(|(_, events)| ids(events)).collect();
        let (settled, baseline, measures) = (BTreeSet::new(), BaselineDelta::default(), Measures::default());
        let terms = Terms { settled: &settled, rule: BaselineRule::default(), alert_max_age: None, now: DAY };
        let commits = objects.iter().zip(&ids).map(|((claim, _), events)| Commit {
            claim,
            place: &claim.object,
            sha256: "",
            read: events.len() as i64,
            duplicates: 0,
            events,
            quarantined: &[],
            baseline: &baseline,
            findings: &[],
            changes: &[],
            touched: &[],
            issued: &[],
            measures: &measures,
            origin: None,
            is_outdated: false,
            readmitted: None,
            log: None,
            terms,
        });
        let ended = self.store.commit_all_with(&commits.collect::<Vec<_>>(), Some(rows)).await.unwrap();
        self.lake.kept(&file);
        ended
    }

    fn rows(&self, events: &EventBatch) -> Rows {
        let mut rows = Rows::default();
        rows.add(events, &self.lake.spool).unwrap();
        rows
    }

    async fn object(&self, name: &str, ids: &[&str]) {
        let claim = self.claim(name).await;
        let ended = self.commit(&[(&claim, &events(ids, 0))]).await;
        assert!(matches!(ended[..], [store::Committed::Stored(_)]), "{ended:?}");
    }

    async fn drain(&mut self) {
        while self.committer.round().await.unwrap().is_some() {}
    }

    /// The ids in the lake, each as often as it is there.
    async fn ids(&self) -> Vec<String> {
        let session = Session::new(64 << 20).unwrap();
        session.add_events(&config(&self.dir).at).await.unwrap();
        texts(&session, "SELECT event_id FROM events ORDER BY event_id").await
    }

    fn parquet_files(&self) -> usize {
        let days = std::fs::read_dir(self.dir.path().join("lake")).unwrap();
        let days = days.map(|day| day.unwrap().path()).filter(|day| day.to_string_lossy().contains("date="));
        days.map(|day| std::fs::read_dir(day).unwrap().count()).sum()
    }

    fn waiting_files(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("remit.rows")).unwrap().count()
    }
}

async fn texts(session: &Session, sql: &str) -> Vec<String> {
    let answer = session.ask(Question::parse(sql).unwrap()).await.unwrap();
    let batches: Vec<_> = answer.try_collect().await.unwrap();
    let texts = batches.iter().flat_map(|batch| batch.column(0).as_string_view().iter());
    texts.map(|text| text.unwrap().to_owned()).collect()
}

async fn number(session: &Session, sql: &str) -> i64 {
    let answer = session.ask(Question::parse(sql).unwrap()).await.unwrap();
    let batches: Vec<_> = answer.try_collect().await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

fn events(ids: &[&str], time: i64) -> EventBatch {
    let mut builder = EventBuilder::with_capacity(ids.len());
    for id in ids {
        builder.append(&Event {
            event_id: id,
            time,
            provider: "aws",
            account: Some("111122223333"),
            service: "s3.amazonaws.com",
            operation: "GetObject",
            outcome: "success",
            resources: &["arn:aws:s3:::a"],
            request: Some("{\"bucketName\":\"a\"}"),
            ..Event::default()
        });
    }
    builder.finish()
}

fn ids(batch: &EventBatch) -> EventIds {
    let seen = Seen::new(1 << 20);
    let mut meeting = seen.meeting();
    let view = batch.view();
    meeting.meet((0..batch.rows()).map(|row| crate::seen::event_of(&view, row))).unwrap();
    meeting.ids()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_in_the_lake_once_and_waits_nowhere() {
    let mut bench = Bench::new().await;
    bench.object("one", &["a", "b"]).await;
    bench.object("two", &["c"]).await;
    assert_eq!(bench.waiting_files(), 2);
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a", "b", "c"]);
    assert_eq!((bench.waiting_files(), bench.parquet_files()), (0, 1), "small commits become one file");
    let bench = bench.start_again().await;
    assert_eq!(bench.ids().await, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_who_lost_a_race_are_not_in_it() {
    let mut bench = Bench::new().await;
    let (first, second, fenced) =
        (bench.claim("first").await, bench.claim("second").await, bench.claim("third").await);
    let stale = ClaimToken { token: fenced.token - 1, ..fenced };
    let (one, two, three) = (events(&["a", "b"], 0), events(&["b", "c"], 0), events(&["d"], 0));
    let ended = bench.commit(&[(&first, &one), (&second, &two), (&stale, &three)]).await;
    assert!(matches!(
        ended[..],
        [store::Committed::Stored(_), store::Committed::Clash, store::Committed::Fenced]
    ));
    bench.commit(&[(&second, &events(&["c"], 0))]).await;
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_losers_alone_leaves_nothing() {
    let bench = Bench::new().await;
    let claim = bench.claim("one").await;
    let stale = ClaimToken { token: claim.token - 1, ..claim };
    bench.commit(&[(&stale, &events(&["a"], 0))]).await;
    assert_eq!(bench.store.lake_depth().await.unwrap().files, 0);
    let bench = bench.start_again().await;
    assert_eq!(bench.waiting_files(), 0, "the start removes what the store does not name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_step_loses_and_repeats_nothing() {
    for step in 0..5 {
        let mut bench = Bench::new().await;
        bench.object("zero", &["z"]).await;
        bench.drain().await;
        bench.object("one", &["a", "b"]).await;
        bench.object("two", &["c"]).await;
        let pending = bench.store.lake_pending(1 << 30, 100).await.unwrap();
        let last = pending.last().unwrap().sequence;
        let committer = &mut bench.committer;
        if step > 0 {
            let written = committer.write(pending).await.unwrap();
            if step == 1 {
                // Noted, and cut off before the files are whole.
                let paths: Vec<_> = written.iter().map(|written| written.file.path.as_str()).collect();
                committer.store.begin_lake_writes(&paths).await.unwrap();
            } else {
                committer.put(&written).await.unwrap();
            }
            if step > 2 {
                let files: Vec<_> = written.into_iter().map(|written| written.file).collect();
                let shard = bench.store.lake_shard().await.unwrap().0;
                committer.table.append(&files, &shard, last).await.unwrap();
            }
            if step > 3 {
                // All but the removal of what waited.
                bench.store.end_lake_writes(Some(last)).await.unwrap();
            }
        }
        let mut bench = bench.start_again().await;
        bench.drain().await;
        assert_eq!(bench.ids().await, ["a", "b", "c", "z"], "step {step}");
        assert_eq!(
            (bench.waiting_files(), bench.parquet_files()),
            (0, 2),
            "step {step}: nothing is left behind"
        );
        bench.object("three", &["d"]).await;
        bench.drain().await;
        assert_eq!(bench.ids().await, ["a", "b", "c", "d", "z"], "step {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_not_made_twice() {
    let mut bench = Bench::new().await;
    bench.object("one", &["a"]).await;
    bench.committer.take_up().await.unwrap();
    let pending = bench.store.lake_pending(1 << 30, 100).await.unwrap();
    let written = bench.committer.write(pending).await.unwrap();
    bench.committer.put(&written).await.unwrap();
    // The version is there, and the committer does not know: it holds the table as it was before.
    let shard = bench.store.lake_shard().await.unwrap().0;
    let mut unseen = Table::open(&place(&bench.dir).await).await.unwrap().unwrap();
    unseen.append(&[written[0].file.clone()], &shard, 1).await.unwrap();
    let first = bench.committer.round().await;
    if let Err(cause) = &first {
        assert!(matches!(cause, LakeError::Delta { .. }), "{cause}");
    }
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a"]);
    assert_eq!(bench.parquet_files(), 1, "what the second attempt wrote is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_writer_is_no_obstacle() {
    let mut bench = Bench::new().await;
    bench.object("one", &["a"]).await;
    let mut other = Table::open(&place(&bench.dir).await).await.unwrap().unwrap();
    other.append(&[], "somebody-else", 7).await.unwrap();
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a"]);
}

async fn place(dir: &TempDir) -> Place {
    Place::open(&config(dir).at).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_fails_keeps_everything_for_later() {
    let mut bench = Bench::new().await;
    bench.object("one", &["a"]).await;
    let log = bench.dir.path().join("lake/_delta_log");
    let away = bench.dir.path().join("away");
    std::fs::rename(&log, &away).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    for _ in 0..3 {
        bench.committer.round().await.unwrap_err();
    }
    assert_eq!(bench.store.lake_depth().await.unwrap().rows, 1);
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&away, &log).unwrap();
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a"]);
    assert_eq!(bench.parquet_files(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_a_backup_goes_on_behind_the_lake() {
    let mut bench = Bench::new().await;
    bench.object("one", &["a"]).await;
    bench.drain().await;
    let shard = bench.store.lake_shard().await.unwrap().0;
    bench.committer.table.append(&[], &shard, 40).await.unwrap();
    let mut bench = bench.start_again().await;
    assert_eq!(bench.store.lake_shard().await.unwrap().1, 41);
    bench.object("two", &["b"]).await;
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_waiting_stops_the_work_until_there_is_room() {
    let mut bench = Bench::new().await;
    bench.lake = Lake::new(bench.lake.spool.clone(), 0, 1);
    bench.object("one", &["a"]).await;
    let full = bench.lake.keep(&[&bench.rows(&events(&["b"], 0))]).unwrap_err();
    assert!(matches!(full, LakeError::Full { .. }), "{full}");
    let room = tokio::time::timeout(Duration::from_millis(50), bench.lake.room()).await;
    assert!(room.is_err(), "no room");
    bench.lake.gone(1 << 20);
    tokio::time::timeout(Duration::from_secs(60), bench.lake.room()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_and_no_row_changes() {
    let mut bench = Bench::new().await;
    let names: Vec<String> = (0..6).map(|at| format!("e{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        let claim = bench.claim(name).await;
        bench.commit(&[(&claim, &events(&[name], at as i64 * 1_000))]).await;
        bench.drain().await;
    }
    let files = bench.committer.table.files().unwrap();
    assert_eq!(files.len(), 6);
    assert!(maintenance::mergeable(files.clone(), 7).is_none(), "too few");
    let files = maintenance::mergeable(files, 6).unwrap();
    maintenance::merge(&bench.store, &mut bench.committer.table, files).await.unwrap();
    let merged = bench.committer.table.files().unwrap();
    assert_eq!((merged.len(), merged[0].rows, merged[0].times), (1, Some(6), Some((0, 5_999))));
    assert_eq!(bench.ids().await, names);
    bench.object("late", &["z"]).await;
    bench.drain().await;
    assert_eq!(bench.ids().await.len(), 7);
    bench.committer.table.vacuum().await.unwrap();
    assert_eq!(bench.ids().await.len(), 7, "what is read is not deleted");
    let bench = bench.start_again().await;
    assert_eq!(bench.ids().await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_partitions_and_others_are_not_read() {
    let mut bench = Bench::new().await;
    for (name, day) in [("a", 0), ("b", 1), ("c", 400)] {
        let claim = bench.claim(name).await;
        bench.commit(&[(&claim, &events(&[name], day * DAY + 5))]).await;
    }
    bench.drain().await;
    assert_eq!(bench.parquet_files(), 3);
    for date in ["date=1970-01-01", "date=1971-02-05"] {
        // Were it read, the query would fail.
        let folder = bench.dir.path().join("lake").join(date);
        std::fs::remove_dir_all(folder).unwrap();
    }
    let session = Session::new(64 << 20).unwrap();
    session.add_events(&config(&bench.dir).at).await.unwrap();
    for sql in [
        "SELECT event_id FROM events WHERE date = '1970-01-02'",
        "SELECT event_id FROM events WHERE date > '1970-01-01' AND date < '1971-01-01'",
        "SELECT event_id FROM events WHERE time >= '1970-01-02T00:00:00Z' AND time < '1970-01-03T00:00:00Z'",
    ] {
        assert_eq!(texts(&session, sql).await, ["b"], "{sql}");
    }
    assert_eq!(number(&session, "SELECT count(*) FROM events").await, 3, "told by the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_fewer_columns_gets_the_new_ones_and_of_more_is_refused() {
    let bench = Bench::new().await;
    let log = bench.dir.path().join("lake/_delta_log/00000000000000000000.json");
    let whole = std::fs::read_to_string(&log).unwrap();
    let column = r#",{\"name\":\"tls\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}"#;
    assert!(whole.contains(column), "{whole}");
    std::fs::write(&log, whole.replace(column, "")).unwrap();
    let mut bench = bench.start_again().await;
    bench.object("one", &["a"]).await;
    bench.drain().await;
    let session = Session::new(64 << 20).unwrap();
    session.add_events(&config(&bench.dir).at).await.unwrap();
    assert_eq!(number(&session, "SELECT count(*) FROM events WHERE tls IS NULL").await, 1);

    let newer = column.replace("tls", "from_the_future");
    std::fs::remove_dir_all(bench.dir.path().join("lake")).unwrap();
    let bench = bench.start_again().await;
    let whole = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, whole.replace(column, &format!("{column}{newer}"))).unwrap();
    let refused = Session::new(64 << 20).unwrap().add_events(&config(&bench.dir).at).await.unwrap_err();
    assert!(refused.to_string().contains("(from_the_future): a newer remit wrote it"), "{refused}");
    let refused = Table::open_or_create(&place(&bench.dir).await).await.unwrap_err();
    assert!(matches!(refused, LakeError::Newer { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_told_and_nothing_of_it_is_taken() {
    let mut bench = Bench::new().await;
    bench.object("one", &["a", "b"]).await;
    let file =
        std::fs::read_dir(bench.dir.path().join("remit.rows")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    for at in [3, whole.len() / 2, whole.len() - 3] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xFF;
        std::fs::write(&file, &damaged).unwrap();
        let error = bench.committer.round().await.unwrap_err();
        assert!(matches!(error, LakeError::Damaged { .. } | LakeError::Arrow(_)), "{at}: {error}");
    }
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    bench.committer.round().await.unwrap_err();
    std::fs::write(&file, &whole).unwrap();
    bench.drain().await;
    assert_eq!(bench.ids().await, ["a", "b"]);
}
