use super::super::Durability;
use super::super::findings::{StoredFinding, write_findings};
use super::*;
use crate::attribution::Attribution;
use crate::chain::{Given, Step, StepKind};
use crate::finding::{Evidence, FindingState, Sample, Severity};
use crate::time::MINUTE;

const NOW: i64 = 1_000 * DAY;
const BOT: &str = "arn:aws:iam::111122223333:role/Bot";
const BOB: &str = "arn:aws:iam::111122223333:user/bob";

/// `actor` was given the key, or led to the requests, at the minute.
fn issued(given: Given, holder: &str, actor: &str, event: &str, minute: i64) -> Issued {
    let step = Step {
        kind: StepKind::AssumeRole,
        actor: actor.into(),
        session_name: None,
        account: None,
        at: NOW + minute * MINUTE,
        event: event.into(),
        tool: None,
        client: None,
    };
    let by = Asked { step, session: None, request_id: None };
    Issued { given, holder: holder.into(), is_half_told: false, by }
}

fn key(event: &str, minute: i64) -> Issued {
    issued(Given::Key("ASIA1".into()), BOT, BOB, event, minute)
}

fn finding(id: &str, minute: i64) -> Finding {
    let time = NOW + minute * MINUTE;
    Finding {
        id: id.into(),
        detection: "SC01".into(),
        family: "scope".into(),
        severity: Severity::High,
        state: FindingState::Open,
        agent: None,
        actor: BOT.into(),
        subject: "s3:GetObject".into(),
        window_start: 0,
        title: String::new(),
        why: String::new(),
        first_seen: time,
        last_seen: time,
        count: 1,
        events: vec![Evidence { time, event_id: format!("call-{id}") }],
        frameworks: vec![],
        sample: Sample {
            caller: Attribution { session: Some("ASIA1".into()), ..Attribution::default() },
            ..Sample::default()
        },
        incident: None,
        close_reason: None,
        note: None,
        by: None,
    }
}

struct World {
    store: Store,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        World { store, _dir: dir }
    }

    async fn keep(&self, issued: &[Issued], now: i64) {
        let mut tx = self.store.begin().await.unwrap();
        keep(&mut tx, issued, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn write(&self, finding: Finding, now: i64) {
        let mut tx = self.store.begin().await.unwrap();
        let stored = StoredFinding { finding, settled: false, is_new: true };
        write_findings(&mut tx, std::slice::from_ref(&stored), now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The events of a finding's chain.
    async fn chain(&self, finding: &Finding) -> Vec<String> {
        let mut findings = [finding.clone()];
        self.store.attribute(&mut findings).await.unwrap();
        let [finding] = findings;
        finding.sample.caller.chain.steps.into_iter().map(|step| step.event.into()).collect()
    }
}

#[tokio::test]
async fn the_earliest_telling_counts_whatever_comes_first_and_however_often() {
    let mut half = key("a", 0);
    half.is_half_told = true;
    for order in [["c", "b", "half"], ["half", "b", "c"], ["b", "half", "c"]] {
        let world = World::new().await;
        for event in order.into_iter().chain(order) {
            let one = if event == "half" { half.clone() } else { key(event, 1) };
            world.keep(&[one], NOW).await;
        }
        assert_eq!(world.chain(&finding("f", 5)).await, ["b", "call-f"], "{order:?}");
    }
}

#[tokio::test]
async fn many_findings_are_followed_back_together_each_by_its_own_links() {
    let world = World::new().await;
    let mut all = Vec::new();
    let mut links = Vec::new();
    for n in 0..1_500 {
        let mut one = finding(&format!("{n}"), 5);
        one.sample.caller.session = Some(format!("ASIA{n}"));
        one.sample.caller.request_id = Some(format!("r{n}"));
        all.push(one);
        if n % 3 == 0 {
            links.push(issued(Given::Key(format!("ASIA{n}").into()), BOT, BOB, &format!("key-{n}"), 1));
        }
        if n % 5 == 0 {
            links.push(issued(
                Given::Requests(vec![format!("r{n}").into()]),
                BOT,
                BOT,
                &format!("tool-{n}"),
                2,
            ));
        }
    }
    world.keep(&links, NOW).await;
    let mut together = all.clone();
    world.store.attribute(&mut together).await.unwrap();
    for (n, finding) in together.iter().enumerate() {
        let mut expected = Vec::new();
        expected.extend((n % 3 == 0).then(|| format!("key-{n}")));
        expected.extend((n % 5 == 0).then(|| format!("tool-{n}")));
        if !expected.is_empty() {
            expected.push(format!("call-{n}"));
        }
        let events: Vec<&str> = finding.sample.caller.chain.steps.iter().map(|s| s.event.as_str()).collect();
        assert_eq!(events, expected);
    }
}

#[tokio::test]
async fn a_finding_keeps_its_chain_when_its_links_are_forgotten() {
    let world = World::new().await;
    let old = finding("old", 5);
    world.write(old.clone(), NOW).await;
    world.keep(&[key("k", 1)], NOW).await;
    let later = NOW + 8 * DAY;
    world.keep(&[issued(Given::Key("ASIA2".into()), BOT, BOB, "young", 1)], later).await;

    assert_eq!(world.store.forget_links(NOW).await.unwrap(), 0, "not old enough");
    assert_eq!(world.store.forget_links(later - LINKS_KEPT).await.unwrap(), 1);
    assert_eq!(world.chain(&old).await, ["k", "call-old"]);
    let other = finding("other", 5);
    assert!(world.chain(&other).await.is_empty(), "it was not there when the link went");
    let mut moved = old.clone();
    moved.events[0].event_id = "earlier".into();
    assert!(world.chain(&moved).await.is_empty(), "what was written down leads to another event");
    let mut young = finding("young", 5);
    young.sample.caller.session = Some("ASIA2".into());
    assert_eq!(world.chain(&young).await, ["young", "call-young"]);
}

#[tokio::test]
async fn what_is_shown_of_a_chain_is_not_written_into_the_finding() {
    let world = World::new().await;
    world.keep(&[key("k", 1)], NOW).await;
    let mut shown = [finding("f", 5)];
    world.store.attribute(&mut shown).await.unwrap();
    let [shown] = shown;
    assert!(!shown.sample.caller.chain.is_empty());
    world.write(shown, NOW).await;
    assert!(world.store.finding("f").await.unwrap().sample.caller.chain.is_empty());
}
