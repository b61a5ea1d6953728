//! What the store promises: one transaction, one finding however its events come, alerts under one id.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

use engine::baseline::{ANY_PERMISSION, BaselineDelta, BaselineRule};
use engine::finding::{Evidence, Finding, FindingState, Sample, Severity};
use engine::grant::{Change, PolicyChange, PrincipalName, Tags, Touch};
use engine::incident::AlertKind;
use engine::manifest::UnparsedPolicy;
use engine::measure::{Measure, Measures};
use engine::seen::EventIds;
use engine::standing;
use engine::store::{
    AlertRule, Claim, ClaimToken, Close, Commit, Committed, DeliveryKey, Durability, FindingFilter, Origin,
    Store, StoredCommit, Terms, Wanted,
};
use engine::time::{DAY, HOUR, MINUTE, day_of};
use ingest::ObjectRef;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: i64 = 1_000 * DAY;
const BOT: &str = "arn:aws:iam::111122223333:role/agents/bot";

struct World {
    store: Store,
    objects: u32,
    _dir: tempfile::TempDir,
}

#[derive(Default)]
struct Part {
    events: Vec<String>,
    findings: Vec<Finding>,
    baseline: BaselineDelta,
    changes: Vec<PolicyChange>,
    touched: Vec<Touch>,
    measures: Measures,
    origin: Option<Origin>,
}

fn terms(settled: &BTreeSet<String>) -> Terms<'_> {
    Terms {
        settled,
        rule: BaselineRule { min_active_days: 2, lookback_days: 64 },
        alert_max_age: Some(DAY),
        now: NOW,
    }
}

impl Part {
    fn of(findings: Vec<Finding>) -> Part {
        let events = findings.iter().flat_map(|f| &f.events).map(|e| e.event_id.clone()).collect();
        Part { events, findings, ..Part::default() }
    }
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        World { store, objects: 0, _dir: dir }
    }

    async fn claim(&mut self) -> ClaimToken {
        self.objects += 1;
        match self.store.claim(&format!("o{}", self.objects), "s", "place", HOUR, NOW).await.unwrap() {
            Claim::Mine(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    async fn claim_of(&self, object: &str) -> ClaimToken {
        match self.store.claim(object, "s", "place", HOUR, NOW).await.unwrap() {
            Claim::Mine(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    async fn commit_as(&self, claim: &ClaimToken, part: &Part) -> Committed {
        self.commit_together(&[(claim, part)]).await.remove(0)
    }

    async fn commit_together(&self, parts: &[(&ClaimToken, &Part)]) -> Vec<Committed> {
        let settled = BTreeSet::from(["BL02".to_owned()]);
        let events: Vec<EventIds> = parts
            .iter()
            .map(|(_, part)| part.events.iter().map(|id| ("111122223333", id)).collect())
            .collect();
        let commits = parts.iter().zip(&events).map(|((claim, part), events)| Commit {
            claim,
            place: "place",
            sha256: "",
            read: part.events.len() as i64,
            duplicates: 0,
            events,
            quarantined: &[],
            baseline: &part.baseline,
            findings: &part.findings,
            changes: &part.changes,
            touched: &part.touched,
            issued: &[],
            measures: &part.measures,
            log: None,
            origin: part.origin.as_ref(),
            is_outdated: false,
            readmitted: None,
            terms: terms(&settled),
        });
        self.store.commit_all(&commits.collect::<Vec<_>>()).await.unwrap()
    }

    async fn commit(&mut self, part: Part) -> StoredCommit {
        let claim = self.claim().await;
        match self.commit_as(&claim, &part).await {
            Committed::Stored(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    async fn commit_waiting(&self, waiting: &mut Vec<(ClaimToken, Part)>) {
        let together: Vec<(&ClaimToken, &Part)> = waiting.iter().map(|(claim, part)| (claim, part)).collect();
        let ended = self.commit_together(&together).await;
        assert!(ended.iter().all(|ended| matches!(ended, Committed::Stored(_))), "{ended:?}");
        waiting.clear();
    }

    async fn findings(&self) -> Vec<Finding> {
        let mut all = self.store.findings(&FindingFilter::default()).await.unwrap();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}

fn finding(detection: &str, permission: &str, event: &str, time: i64) -> Finding {
    let window_start = time.div_euclid(DAY) * DAY;
    Finding {
        id: Finding::id_of(detection, Some("bot"), BOT, permission, window_start),
        detection: detection.into(),
        family: detection.get(..2).unwrap().into(),
        severity: Severity::Medium,
        state: FindingState::Open,
        agent: Some("bot".into()),
        actor: BOT.into(),
        subject: permission.into(),
        window_start,
        title: format!("bot {permission} {event}"),
        why: String::new(),
        first_seen: time,
        last_seen: time,
        count: 1,
        events: vec![Evidence { time, event_id: event.into() }],
        frameworks: vec![],
        sample: Sample { permission: Some(permission.into()), ..Sample::default() },
        incident: None,
        close_reason: None,
        note: None,
        by: None,
    }
}

/// A use of a permission as a batch brings it: presence and the detection's candidate.
fn first_use(permission: &str, event: &str, time: i64) -> Part {
    let mut part = Part::of(vec![finding("BL02", permission, event, time)]);
    part.baseline.used(BOT, permission, time);
    part.baseline.used(BOT, ANY_PERMISSION, time);
    part
}

fn rule(min_severity: Severity) -> Vec<AlertRule> {
    vec![AlertRule { receiver: "soc".into(), min_severity }]
}

#[tokio::test]
async fn one_commit_writes_finding_incident_and_alert() {
    let mut world = World::new().await;
    let stored = world.commit(Part::of(vec![finding("SC01", "s3:ListBuckets", "a", NOW)])).await;
    assert_eq!((stored.new_findings.len(), stored.alerts), (1, 1));
    world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    let due = world.store.due("soc", NOW, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].kind, AlertKind::Trigger);
    assert_eq!(due[0].findings, world.findings().await);
}

#[tokio::test]
async fn a_known_event_is_told_and_nothing_is_written() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    let claim = world.claim().await;
    let twice = Part::of(vec![finding("SC01", "a:A", "e1", NOW), finding("SC01", "b:B", "e2", NOW)]);
    assert_eq!(world.commit_as(&claim, &twice).await, Committed::Clash);
    assert!(world.store.seen().contains("111122223333", "e1").unwrap());
    assert!(!world.store.seen().contains("111122223333", "e2").unwrap());
    assert_eq!(world.findings().await.len(), 1);
    let rest = Part::of(vec![finding("SC01", "b:B", "e2", NOW)]);
    assert!(matches!(world.commit_as(&claim, &rest).await, Committed::Stored(_)), "the claim still holds");
}

#[tokio::test]
async fn of_objects_that_commit_together_only_the_ones_at_fault_stay_behind() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "known", NOW)])).await;
    let slow = world.claim().await;
    let fast = match world.store.claim("o2", "s", "place", HOUR, NOW + 2 * HOUR).await.unwrap() {
        Claim::Suspect(claim) => claim,
        other => panic!("{other:?}"),
    };
    let others = [world.claim().await, world.claim().await, world.claim().await];
    let of = |event: &str| Part::of(vec![finding("SC01", "a:A", event, NOW)]);
    let (fenced, first, same, known, new) = (of("e2"), of("e2"), of("e2"), of("known"), of("e5"));
    let together =
        [(&slow, &fenced), (&fast, &first), (&others[0], &same), (&others[1], &known), (&others[2], &new)];
    let ended = world.commit_together(&together).await;
    assert_eq!([&ended[0], &ended[2], &ended[3]], [&Committed::Fenced, &Committed::Clash, &Committed::Clash]);
    assert!(matches!([&ended[1], &ended[4]], [Committed::Stored(_), Committed::Stored(_)]));
    let found = world.findings().await;
    assert_eq!((found.len(), found[0].count), (1, 3), "each event once");
    let totals = world.store.object_totals().await.unwrap();
    assert_eq!((totals.objects, totals.stored), (3, 3));
    assert_eq!(world.commit_as(&others[0], &of("e3")).await, Committed::Stored(StoredCommit::default()));
    assert_eq!(world.commit_as(&others[0], &of("e4")).await, Committed::Fenced, "once done, a claim is over");
}

#[tokio::test]
async fn objects_are_claimed_together_each_by_one() {
    let mut world = World::new().await;
    let done = world.claim().await;
    world.commit_as(&done, &Part::default()).await;
    let held = world.claim().await;
    let wanted = ["new", "o1", "o2", "new"].map(|object| Wanted { object, source: "s", place: "p" });
    let claims = world.store.claim_all(&wanted, HOUR, NOW).await.unwrap();
    assert!(matches!(&claims[0], Claim::Mine(claim) if claim.object == "new"));
    assert_eq!(claims[1..], [Claim::Done, Claim::Held, Claim::Held]);
    assert!(matches!(world.commit_as(&held, &Part::default()).await, Committed::Stored(_)));
}

#[tokio::test]
async fn events_are_known_when_the_store_is_opened_again_until_their_horizon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let knows =
        |store: &Store| [uuid, "odd", "new"].map(|id| store.seen().contains("111122223333", id).unwrap());
    let mut world =
        World { store: Store::open(&path, Durability::None).await.unwrap(), objects: 0, _dir: dir };
    world.commit(Part { events: vec![uuid.into(), "odd".into()], ..Part::default() }).await;
    world.store.close().await;
    world.store = {
        drop(world.store);
        Store::open(&path, Durability::None).await.unwrap()
    };
    assert_eq!(knows(&world.store), [true, true, false]);
    let claim = world.claim_of("o9").await;
    let again = Part { events: vec!["odd".into()], ..Part::default() };
    assert_eq!(world.commit_as(&claim, &again).await, Committed::Clash);
    assert_eq!(world.store.forget_events(NOW).await.unwrap(), 0, "the horizon is not over");
    assert_eq!(world.store.forget_events(NOW + 1).await.unwrap(), 1);
    world.store.close().await;
    drop(world.store);
    let reopened = Store::open(&path, Durability::None).await.unwrap();
    assert_eq!(knows(&reopened), [false; 3]);
}

#[tokio::test]
async fn a_worker_whose_lease_ran_out_is_fenced_off() {
    let mut world = World::new().await;
    let slow = world.claim().await;
    let held = world.store.claim("o1", "s", "place", HOUR, NOW + MINUTE).await.unwrap();
    assert_eq!(held, Claim::Held, "a minute later the lease still holds");
    let Claim::Suspect(fast) = world.store.claim("o1", "s", "place", HOUR, NOW + 2 * HOUR).await.unwrap()
    else {
        panic!("two hours later it does not");
    };
    let part = Part::of(vec![finding("SC01", "a:A", "e1", NOW)]);
    assert_eq!(world.commit_as(&slow, &part).await, Committed::Fenced);
    assert!(world.findings().await.is_empty());
    assert!(matches!(world.commit_as(&fast, &part).await, Committed::Stored(_)));
    assert_eq!(world.store.claim("o1", "s", "place", HOUR, NOW + 9 * HOUR).await.unwrap(), Claim::Done);
}

#[tokio::test]
async fn earlier_use_that_arrives_late_supersedes() {
    let mut world = World::new().await;
    for back in 3..6 {
        world.commit(first_use("s3:ListBuckets", &format!("old{back}"), NOW - back * DAY)).await;
    }
    world.commit(first_use("s3:DeleteBucket", "new", NOW)).await;
    let of = |all: &[Finding]| all.iter().filter(|f| f.subject == "s3:DeleteBucket").count();
    assert_eq!(of(&world.findings().await), 1);

    world.commit(first_use("s3:DeleteBucket", "late", NOW - 2 * DAY)).await;
    let now = world.findings().await;
    assert_eq!(of(&now), 1, "the late one takes its place: {now:#?}");
    assert_eq!(now.iter().find(|f| f.subject == "s3:DeleteBucket").unwrap().events[0].event_id, "late");
}

#[tokio::test]
async fn history_that_arrives_late_ends_the_learning() {
    let mut world = World::new().await;
    world.commit(first_use("s3:DeleteBucket", "new", NOW)).await;
    assert!(world.findings().await.is_empty(), "nothing is known of this identity yet");
    for back in 1..3 {
        world.commit(first_use("s3:ListBuckets", &format!("old{back}"), NOW - back * DAY)).await;
    }
    let told = world.findings().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].subject.as_str(), told[0].sample.active_days), ("s3:DeleteBucket", 2));
}

#[tokio::test]
async fn history_wakes_nobody_until_something_fresh_joins_it() {
    let mut world = World::new().await;
    let old = world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW - 30 * HOUR)])).await;
    assert_eq!((old.new_findings.len(), old.alerts), (1, 0));
    let bridge = world.commit(Part::of(vec![finding("SC01", "b:B", "e2", NOW - 29 * HOUR - MINUTE)])).await;
    assert_eq!(bridge.alerts, 0);
    let fresh = world.commit(Part::of(vec![finding("SC01", "c:C", "e3", NOW)])).await;
    assert_eq!(fresh.alerts, 1);
}

#[tokio::test]
async fn two_families_in_one_hour_are_one_worse_incident() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    world.commit(Part::of(vec![finding("DS01", "a:A", "e2", NOW - 59 * MINUTE)])).await;
    let near = world.store.incidents(true, 10).await.unwrap();
    assert_eq!(near.len(), 1);
    assert_eq!((near[0].severity, near[0].revision), (Severity::High, 2));

    world.commit(Part::of(vec![finding("DS01", "b:B", "e3", NOW - 3 * HOUR)])).await;
    assert_eq!(world.store.incidents(true, 10).await.unwrap().len(), 2, "three hours apart are two stories");
}

#[tokio::test]
async fn a_receiver_hears_revisions_in_order_and_the_end_under_one_id() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    world.commit(Part::of(vec![finding("SC02", "b:B", "e2", NOW)])).await;
    for finding in world.findings().await {
        let close =
            Close { state: FindingState::Closed, reason: Some("fixed".into()), note: None, by: "ana".into() };
        world.store.close_finding(&finding.id, &close, NOW).await.unwrap();
    }
    world.store.fan_out(&rule(Severity::Medium), NOW).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..5 {
        for alert in world.store.due("soc", NOW, 10).await.unwrap() {
            let key = DeliveryKey {
                incident: alert.incident.id.clone(),
                revision: alert.revision,
                receiver: "soc".into(),
            };
            world.store.sending(&key).await.unwrap();
            world.store.delivered(&key, NOW).await.unwrap();
            heard.push((alert.incident.id, alert.kind));
        }
    }
    let kinds: Vec<AlertKind> = heard.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [AlertKind::Trigger, AlertKind::Update, AlertKind::Resolve]);
    assert_eq!(heard.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 1);
}

#[tokio::test]
async fn a_send_whose_answer_was_lost_is_a_resend_and_a_refused_connection_is_not() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    let due = || async { world.store.due("soc", NOW + MINUTE, 10).await.unwrap().remove(0) };
    let alert = due().await;
    let key = DeliveryKey { incident: alert.incident.id, revision: alert.revision, receiver: "soc".into() };
    world.store.sending(&key).await.unwrap();
    assert!(due().await.is_resend, "killed while sending");
    world.store.retry(&key, NOW, "connection refused", false).await.unwrap();
    assert!(!due().await.is_resend);
    world.store.retry(&key, NOW + HOUR, "429", false).await.unwrap();
    assert!(world.store.due("soc", NOW + MINUTE, 10).await.unwrap().is_empty(), "not before its time");
}

#[tokio::test]
async fn a_silence_covers_an_incident_only_whole() {
    let mut world = World::new().await;
    let matchers = ["agent=bo*".parse().unwrap(), "detection=SC01".parse().unwrap()];
    world.store.add_silence(&matchers, "ana", "deploy", NOW - 1, NOW + HOUR, NOW).await.unwrap();
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    let silenced = world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    assert_eq!((silenced.waiting, silenced.silenced["soc"]), (0, 1));
    world.commit(Part::of(vec![finding("DS01", "b:B", "e2", NOW)])).await;
    let told = world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    assert_eq!((told.waiting, told.silenced.len()), (1, 0), "DS01 is not silenced");
}

#[tokio::test]
async fn whoever_heard_the_beginning_hears_the_end_silenced_or_not() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    let everything = ["agent=*".parse().unwrap()];
    world.store.add_silence(&everything, "ana", "deploy", NOW - 1, NOW + 9 * DAY, NOW).await.unwrap();
    world.commit(Part::of(vec![finding("SC01", "b:B", "e2", NOW - 5 * HOUR)])).await;
    world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    assert_eq!(world.store.resolve_quiet(NOW + 2 * DAY).await.unwrap(), 2);
    let ends = world.store.fan_out(&rule(Severity::Low), NOW + 2 * DAY).await.unwrap();
    assert_eq!(
        (ends.waiting, ends.silenced["soc"]),
        (1, 1),
        "the second incident was silenced from its start"
    );
}

#[tokio::test]
async fn what_was_told_long_ago_is_forgotten_and_what_waits_is_not() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    assert_eq!(world.store.forget_deliveries(NOW + DAY).await.unwrap(), 0);
    let alert = world.store.due("soc", NOW, 1).await.unwrap().remove(0);
    let key = DeliveryKey { incident: alert.incident.id, revision: alert.revision, receiver: "soc".into() };
    world.store.delivered(&key, NOW).await.unwrap();
    assert_eq!(world.store.forget_deliveries(NOW).await.unwrap(), 0);
    assert_eq!(world.store.forget_deliveries(NOW + DAY).await.unwrap(), 1);
}

#[tokio::test]
async fn a_quiet_day_resolves() {
    let mut world = World::new().await;
    world.commit(Part::of(vec![finding("SC01", "a:A", "e1", NOW)])).await;
    assert_eq!(world.store.resolve_quiet(NOW + 23 * HOUR).await.unwrap(), 0);
    assert_eq!(world.store.resolve_quiet(NOW + 25 * HOUR).await.unwrap(), 1);
    assert_eq!(world.store.resolve_quiet(NOW + 26 * HOUR).await.unwrap(), 0);
}

#[tokio::test]
async fn a_second_process_is_told_to_go_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    let first = Store::open(&path, Durability::Full).await.unwrap();
    let second = Store::open(&path, Durability::Full).await.unwrap_err();
    assert!(second.to_string().contains("in use by another remit"), "{second}");
    Store::attach(&path).await.expect("reading beside it is fine");
    drop(first);
}

/// What must be the same in every order: all that is told, without what depends on arrival.
fn essence(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        finding.incident = None;
    }
    findings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_order_and_split_of_the_uses_ends_in_the_same_findings(
        uses in prop::collection::vec((0i64..40, 0u8..3), 1..14),
        order in prop::collection::vec(any::<prop::sample::Index>(), 14),
        split in 1usize..4,
        together in 2usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parts: Vec<(i64, String, String)> = uses
            .iter()
            .enumerate()
            .map(|(at, (back, permission))| (NOW - back * DAY, format!("s3:P{permission}"), format!("e{at}")))
            .collect();
        let mut shuffled = parts.clone();
        for at in (1..shuffled.len()).rev() {
            let with = order[at % order.len()].index(at + 1);
            shuffled.swap(at, with);
        }
        let run = |parts: Vec<(i64, String, String)>, split: usize, together: usize| runtime.block_on(async {
            let mut world = World::new().await;
            let mut waiting: Vec<(ClaimToken, Part)> = Vec::new();
            let mut known = BaselineDelta::default();
            for batch in parts.chunks(split) {
                let mut joined = Part::default();
                for (time, permission, event) in batch {
                    // As the judge does: a candidate only where no earlier day is known to have used it.
                    let rule = BaselineRule { min_active_days: 2, lookback_days: 64 };
                    let baseline = engine::baseline::Baseline::new(rule);
                    baseline.apply(&known);
                    joined.events.push(event.clone());
                    if baseline.novelty(BOT, permission, day_of(*time)).first_use {
                        let candidate = finding("BL02", permission, event, *time);
                        match joined.findings.iter_mut().find(|f| f.id == candidate.id) {
                            Some(same) => same.merge(candidate),
                            None => joined.findings.push(candidate),
                        }
                    }
                    joined.baseline.used(BOT, permission, *time);
                    joined.baseline.used(BOT, ANY_PERMISSION, *time);
                }
                waiting.push((world.claim().await, joined));
                if waiting.len() == together {
                    world.commit_waiting(&mut waiting).await;
                    for (time, permission, _) in batch {
                        known.used(BOT, permission, *time);
                        known.used(BOT, ANY_PERMISSION, *time);
                    }
                }
            }
            world.commit_waiting(&mut waiting).await;
            essence(world.findings().await)
        });
        let mut in_order = parts;
        in_order.sort();
        let expected = run(in_order, 1, 1);
        prop_assert_eq!(&expected, &run(shuffled.clone(), split, 1));
        prop_assert_eq!(&expected, &run(shuffled, split, together), "many in one commit");
    }
}

fn object(key: &str) -> ObjectRef {
    let [source, bucket, key, version] = ["s", "logs", key, "1"].map(str::to_owned);
    ObjectRef { source, bucket, key, version }
}

/// A part of an object that can be judged again; `bot` called in it.
fn origin(key: &str, last_event: i64) -> Option<Origin> {
    let callers = Touch::principal_of(BOT).into_iter().collect();
    Some(Origin { object: object(key), left_out: vec![3], last_event, callers })
}

fn detached(time: i64) -> (PolicyChange, Touch) {
    let holder = PrincipalName::of(BOT).unwrap();
    let change = PolicyChange {
        time,
        event_id: format!("detached-{time}").into(),
        what: Change::Detach { holder, policy: "arn:aws:iam::111122223333:policy/p".into() }.into(),
    };
    (change, Touch { principal: Touch::principal_of(BOT).unwrap(), from: time })
}

async fn waiting(world: &World) -> Vec<String> {
    world.store.due_again("s", 10).await.unwrap().into_iter().map(|again| again.object.key).collect()
}

#[tokio::test]
async fn a_late_change_marks_what_its_identity_did_since_then_and_nothing_else() {
    let mut world = World::new().await;
    for (key, last_event, who) in
        [("before", 10, BOT), ("after", 30, BOT), ("other", 30, "arn:aws:iam::1:role/x")]
    {
        let mut part = Part::of(vec![]);
        part.origin = origin(key, last_event);
        part.origin.as_mut().unwrap().callers = Touch::principal_of(who).into_iter().collect();
        world.commit(part).await;
    }
    let (change, touch) = detached(20);
    let part = Part {
        changes: vec![change.clone()],
        touched: vec![touch],
        origin: origin("late", 20),
        ..Part::default()
    };
    world.commit(part).await;
    assert_eq!(waiting(&world).await, ["after"]);
    assert_eq!(world.store.policy_changes().await.unwrap(), [change]);
    let due = world.store.due_again("s", 10).await.unwrap();
    assert_eq!((due[0].object.clone(), due[0].left_out.clone()), (object("after"), [3].into()));
    world.store.leave_again(&due[0].id).await.unwrap();
    assert_eq!(waiting(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_object_judged_again_takes_back_its_part_of_a_finding_and_no_other() {
    let mut world = World::new().await;
    let (first, second) =
        (finding("SC01", "s3:GetObject", "a", NOW), finding("SC01", "s3:GetObject", "b", NOW + 1));
    for (key, part) in [("one", first.clone()), ("two", second.clone())] {
        let mut part = Part::of(vec![part]);
        part.origin = origin(key, NOW);
        world.commit(part).await;
    }
    assert_eq!(world.findings().await[0].count, 2);
    let settled = BTreeSet::new();
    let terms = terms(&settled);
    world.store.commit_again("o1", &[], &Measures::default(), &terms).await.unwrap();
    let left = world.findings().await;
    assert_eq!((left[0].count, left[0].events.clone()), (1, second.events.clone()));
    world.store.commit_again("o2", &[], &Measures::default(), &terms).await.unwrap();
    assert!(world.findings().await.is_empty(), "superseded");
    // and back again, with another beside it
    let more = finding("SC01", "s3:PutObject", "c", NOW);
    world
        .store
        .commit_again("o1", &[first.clone(), more.clone()], &Measures::default(), &terms)
        .await
        .unwrap();
    let back = world.findings().await;
    assert_eq!(back.iter().map(|finding| finding.count).collect::<Vec<_>>(), [1, 1]);
    assert!(back.iter().all(|finding| finding.state == FindingState::Open && finding.incident.is_some()));
    world.store.fan_out(&rule(Severity::Low), NOW).await.unwrap();
    let mut told = Vec::new();
    while let Some(alert) = world.store.due("soc", NOW, 1).await.unwrap().pop() {
        told.push((alert.kind, alert.findings.len()));
        let key =
            DeliveryKey { incident: alert.incident.id, revision: alert.revision, receiver: "soc".into() };
        world.store.delivered(&key, NOW).await.unwrap();
    }
    assert!(told.iter().any(|(kind, live)| *kind != AlertKind::Resolve && *live == 2), "{told:?}");
}

#[tokio::test]
async fn what_is_too_old_to_be_judged_again_stays_in_its_finding() {
    let mut world = World::new().await;
    let old = finding("SC01", "s3:GetObject", "a", NOW);
    world.commit(Part::of(vec![old.clone()])).await;
    for (key, event) in [("one", "b"), ("two", "c")] {
        let mut part = Part::of(vec![finding("SC01", "s3:GetObject", event, NOW)]);
        part.origin = origin(key, NOW);
        world.commit(part).await;
    }
    let settled = BTreeSet::new();
    let terms = terms(&settled);
    world.store.commit_again("o2", &[], &Measures::default(), &terms).await.unwrap();
    assert_eq!(world.findings().await[0].count, 2, "the first object was never to be judged again");
    world.store.forget_origins(NOW + 1).await.unwrap();
    let mut part = Part::of(vec![finding("SC01", "s3:GetObject", "d", NOW)]);
    part.origin = origin("three", NOW);
    world.commit(part).await;
    assert_eq!(world.findings().await[0].count, 3);
    world.store.commit_again("o4", &[], &Measures::default(), &terms).await.unwrap();
    assert_eq!(world.findings().await[0].count, 2, "what was forgotten counts on");
}

#[tokio::test]
async fn the_measures_of_an_object_are_replaced_with_it() {
    let mut world = World::new().await;
    let counted = |answer: &'static str, n| Measures { counts: [((1, Measure::Grant, answer), n)].into() };
    for key in ["one", "two"] {
        let part = Part { measures: counted("denied", 2), origin: origin(key, NOW), ..Part::default() };
        world.commit(part).await;
    }
    let settled = BTreeSet::new();
    world.store.commit_again("o1", &[], &counted("allowed", 3), &terms(&settled)).await.unwrap();
    let trust = world.store.trust(0).await.unwrap();
    assert_eq!(trust.grant, [("allowed".to_owned(), 3), ("denied".to_owned(), 2)].into());
}

#[tokio::test]
async fn a_standing_finding_lasts_as_long_as_its_reason() {
    let world = World::new().await;
    let standing = |file: &str| {
        let policy = UnparsedPolicy { subject: "x".into(), file: file.into(), reason: "line 1".into() };
        standing::unparsed_policies([&policy], NOW)
    };
    let settled = BTreeSet::new();
    let terms = terms(&settled);
    let stand = async |findings: &[Finding]| {
        world.store.stand(standing::POLICY_UNPARSED, findings, &terms).await.unwrap().new_findings.len()
    };
    let (a, b) = (standing("a.json"), standing("b.json"));
    assert_eq!((stand(&a).await, stand(&a).await), (1, 0), "told once");
    assert_eq!(stand(&b).await, 1);
    let left = world.findings().await;
    assert_eq!(left.iter().map(|finding| &finding.id).collect::<Vec<_>>(), [&b[0].id]);
    assert_eq!(stand(&a).await, 0);
    assert_eq!(world.findings().await[0].id, a[0].id, "opened again");
}

#[tokio::test]
async fn what_narrowed_a_session_is_forgotten_and_what_changed_a_role_is_not() {
    let mut world = World::new().await;
    let session = PolicyChange {
        time: NOW,
        event_id: "s".into(),
        what: Change::Session {
            session: "ASIA1".into(),
            documents: vec![],
            policies: vec![],
            tags: Tags::default(),
        }
        .into(),
    };
    let (detach, _) = detached(NOW);
    world.commit(Part { changes: vec![session, detach.clone()], ..Part::default() }).await;
    assert_eq!(world.store.forget_sessions(NOW).await.unwrap(), 0);
    assert_eq!(world.store.forget_sessions(NOW + 1).await.unwrap(), 1);
    assert_eq!(world.store.policy_changes().await.unwrap(), [detach]);
}
