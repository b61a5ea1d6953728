use super::*;
use crate::assembly;
use crate::config::Config;
use engine::store::{Durability, FindingFilter, QuarantineFilter, QuarantineState, QuarantinedRow, Store};
use ingest::quarantine::reason;
use ingest::source::{DirectoryConfig, SourceConfig};
use ingest::{Limits, Quarantined, Redaction};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Somebody thins the logs: each such call is a finding of its own.
fn call(number: usize, operation: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": "2026-01-05T10:00:00Z", "eventSource": "cloudtrail.amazonaws.com",
        "eventName": operation, "awsRegion": "eu-west-1", "eventType": "AwsApiCall", "readOnly": false,
        "eventID": format!("00000000-0000-4000-8000-{number:012}"), "recipientAccountId": "111122223333",
        "managementEvent": true, "eventCategory": "Management",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/eve", "accountId": "111122223333",
                         "userName": "eve", "principalId": "AIDAEXAMPLE000000001"},
    })
}

struct World {
    folder: tempfile::TempDir,
    pipeline: Arc<Pipeline>,
    tools: Tools,
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::default();
        let store = Store::open(&folder.path().join("remit.db"), Durability::None).await.unwrap();
        let (manifests, grants) = assembly::dated_scopes(None, None).unwrap();
        let detections = assembly::detections().unwrap();
        let metrics = assembly::metrics(&config, &detections, manifests.latest()).unwrap();
        let rules = assembly::rules(manifests, grants, &config.baseline, &store).await.unwrap();
        let pipeline = Arc::new(Pipeline::new(store, rules, metrics, &detections, None, None).unwrap());
        let tools = pipeline.worker();
        World { folder, pipeline, tools }
    }

    fn file(&self, records: &[Value]) -> (ObjectRef, Vec<u8>) {
        let bytes = serde_json::to_vec(&json!({ "Records": records })).unwrap();
        std::fs::create_dir_all(self.folder.path().join("logs")).unwrap();
        std::fs::write(self.folder.path().join("logs/a.json"), &bytes).unwrap();
        let folder = self.folder.path().join("logs").canonicalize().unwrap();
        let version =
            ingest::object::read_object(&nowhere(), &bytes, &Limits::default(), &Redaction::default());
        let object = ObjectRef {
            source: "directory".into(),
            bucket: folder.to_str().unwrap().into(),
            key: "a.json".into(),
            version: version.unwrap().sha256,
        };
        (object, bytes)
    }

    /// Judges it as an older remit would that could read only these rows.
    async fn judged_before(&mut self, object: &ObjectRef, bytes: &[u8], readable: HashSet<u32>) {
        let Begun::Mine(claim) = self.pipeline.begin(object).await.unwrap() else { panic!() };
        let all = Unread {
            id: object.id(),
            derived: String::new(),
            object: object.clone(),
            sha256: String::new(),
            records: 0,
            quarantined: 0,
            rows: None,
            is_remembered: true,
        };
        let sheet = self.pipeline.judge_unread(&mut self.tools, &all, Some(&readable), &claim, bytes).await;
        let mut sheet = sheet.unwrap().unwrap();
        let unread = (0..sheet.read as u32).filter(|row| !readable.contains(row));
        let set_aside = |row| {
            Quarantined::new(Some(row), reason::WRONG_TYPE, "of an older remit", b"{}", &Redaction::default())
        };
        sheet.quarantined = unread.map(set_aside).collect();
        sheet.duplicates = 0;
        sheet.readmitted = None;
        // What could not be read was no row that could be left out.
        sheet.origin.as_mut().unwrap().left_out.clear();
        assert!(matches!(
            self.pipeline.commit(object, sheet).await.unwrap(),
            Written::Ended(Outcome::Done { .. })
        ));
    }

    async fn replay_all(&self) {
        let rows = self.rows().await;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        self.pipeline.store.want_back(&ids).await.unwrap();
        let source = SourceConfig::Directory(DirectoryConfig::once(self.folder.path().join("logs")));
        let fetcher = Fetcher::open(&source, &Limits::default()).await.unwrap();
        let readmitter = Readmitter { pipeline: self.pipeline.clone(), fetcher, source: "directory".into() };
        readmitter.drain(&CancellationToken::new()).await.unwrap();
    }

    async fn rows(&self) -> Vec<QuarantinedRow> {
        self.pipeline.store.quarantine_rows(&QuarantineFilter::default()).await.unwrap()
    }

    async fn account(&self) -> [i64; 5] {
        let totals = self.pipeline.store.object_totals().await.unwrap();
        [totals.objects, totals.read, totals.stored, totals.duplicates, totals.quarantined]
    }

    async fn calls_found(&self) -> i64 {
        let found = self.pipeline.store.findings(&FindingFilter::default()).await.unwrap();
        found.iter().map(|finding| finding.count).sum()
    }
}

fn nowhere() -> ObjectRef {
    ObjectRef { source: String::new(), bucket: String::new(), key: String::new(), version: String::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_now_read_are_added_once() {
    let mut world = World::new().await;
    let (object, bytes) =
        world.file(&[call(1, "StopLogging"), call(2, "DeleteTrail"), call(3, "UpdateTrail")]);
    world.judged_before(&object, &bytes, HashSet::from([0])).await;
    assert_eq!(world.account().await, [1, 3, 1, 0, 2]);
    assert_eq!(world.calls_found().await, 1);

    world.replay_all().await;
    assert_eq!(world.account().await, [1, 3, 3, 0, 0], "one object, and every record is accounted for");
    assert_eq!(world.calls_found().await, 3);
    let rows = world.rows().await;
    assert!(rows.iter().all(|row| row.state == QuarantineState::Replayed), "{rows:?}");
    assert!(rows[0].outcome.contains("2 events added"), "{}", rows[0].outcome);

    world.replay_all().await;
    assert_eq!(world.account().await, [1, 3, 3, 0, 0], "once is enough");
    assert_eq!(world.calls_found().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_cannot_be_read_waits_with_the_reason_of_now() {
    let mut world = World::new().await;
    let bad = json!({"eventVersion": "1.11", "eventName": "StopLogging", "eventTime": "yesterday"});
    let (object, bytes) = world.file(&[call(1, "StopLogging"), bad, call(3, "UpdateTrail")]);
    world.judged_before(&object, &bytes, HashSet::from([0])).await;

    world.replay_all().await;
    assert_eq!(world.account().await, [1, 3, 2, 0, 1]);
    let rows = world.rows().await;
    let waiting: Vec<_> = rows.iter().filter(|row| row.state == QuarantineState::Waiting).collect();
    assert_eq!(waiting.len(), 1, "{rows:?}");
    assert_eq!((waiting[0].row, waiting[0].seen), (Some(1), 2));
    assert_ne!(waiting[0].reason, reason::WRONG_TYPE, "not the one of then");

    world.replay_all().await;
    assert_eq!(world.account().await, [1, 3, 2, 0, 1], "nothing changed, and nothing was counted twice");
    assert_eq!(world.calls_found().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_does_not_add_up_is_set_aside_whole_and_read_once_it_does() {
    let mut world = World::new().await;
    let (object, bytes) = world.file(&[call(1, "StopLogging"), call(2, "DeleteTrail")]);
    let Begun::Mine(claim) = world.pipeline.begin(&object).await.unwrap() else { panic!() };
    let Read::Judged(mut sheet) =
        world.pipeline.judge(&mut world.tools, &object, &claim, &bytes, false).await.unwrap()
    else {
        panic!()
    };
    // A fault of ours: a record that was read is nowhere.
    sheet.read += 1;
    let written = world.pipeline.commit(&object, sheet).await.unwrap();
    assert!(matches!(written, Written::Ended(Outcome::Quarantined(reason::MISCOUNTED))), "{written:?}");
    assert_eq!(world.account().await, [1, 1, 0, 0, 1], "nothing of it was written");
    assert_eq!(world.calls_found().await, 0);
    let rows = world.rows().await;
    assert!(rows[0].detail.contains("of 3 records read 2 would be stored"), "{}", rows[0].detail);

    world.replay_all().await;
    assert_eq!(world.account().await, [1, 2, 2, 0, 0]);
    assert_eq!(world.calls_found().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn judged_again_an_object_does_not_count_what_was_readmitted() {
    let mut world = World::new().await;
    let (object, bytes) =
        world.file(&[call(1, "StopLogging"), call(2, "DeleteTrail"), call(3, "StopLogging")]);
    world.judged_before(&object, &bytes, HashSet::from([0])).await;
    world.replay_all().await;
    let count = world.calls_found().await;
    let store = &world.pipeline.store;
    let derived = ingest::fingerprint(&[&object.id(), "replay", "0"], 32);
    for id in [object.id(), derived] {
        store.mark_again(&id).await.unwrap();
    }
    let due = store.due_again("directory", 10).await.unwrap();
    assert_eq!(due.len(), 2, "each for its own records");
    for again in due {
        world.pipeline.judge_again(&mut world.tools, &again, &bytes).await.unwrap();
    }
    assert_eq!(world.calls_found().await, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_changed_is_not_trusted() {
    let mut world = World::new().await;
    let (object, bytes) = world.file(&[call(1, "StopLogging"), call(2, "DeleteTrail")]);
    world.judged_before(&object, &bytes, HashSet::from([0])).await;
    world.file(&[call(1, "StopLogging"), call(9, "DeleteTrail")]);
    world.replay_all().await;
    assert_eq!(world.account().await, [1, 2, 1, 0, 1]);
    let rows = world.rows().await;
    assert!(rows[0].state == QuarantineState::Waiting && rows[0].outcome.contains("no longer the version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_never_read_is_read_as_if_it_had_just_come() {
    let mut world = World::new().await;
    let (object, _) = world.file(&[call(1, "StopLogging"), call(2, "DeleteTrail")]);
    let Begun::Mine(claim) = world.pipeline.begin(&object).await.unwrap() else { panic!() };
    let gone = Quarantined::new(None, reason::MISSING_OBJECT, "not there", b"", &Redaction::default());
    world.pipeline.quarantine(&object, &claim, &gone).await.unwrap();
    assert_eq!(world.account().await, [1, 1, 0, 0, 1]);
    assert!(matches!(world.pipeline.begin(&object).await.unwrap(), Begun::Ended(Outcome::Duplicate)));

    world.replay_all().await;
    assert_eq!(world.account().await, [1, 2, 2, 0, 0]);
    assert_eq!(world.rows().await[0].state, QuarantineState::Replayed);
    // Its other records are told apart by their ids: another file that repeats them adds nothing.
    let (again, bytes) =
        world.file(&[call(1, "StopLogging"), call(2, "DeleteTrail"), call(3, "UpdateTrail")]);
    let Begun::Mine(claim) = world.pipeline.begin(&again).await.unwrap() else { panic!() };
    let Read::Judged(sheet) =
        world.pipeline.judge(&mut world.tools, &again, &claim, &bytes, false).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((sheet.events.len(), sheet.duplicates), (1, 2));
}
