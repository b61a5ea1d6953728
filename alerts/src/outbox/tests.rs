use super::*;
use crate::receiver::ReceiverConfig;
use crate::receivers::fake::{Answer, Fake};
use crate::samples::{self, START, commit, crowd, finding};
use engine::finding::{Finding, FindingState, Severity};
use engine::store::Close;
use engine::time::{DAY, HOUR, MINUTE, SECOND};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// A dispatcher with a store, a clock that stands still, and what it told its observer.
struct Desk {
    store: Store,
    clock: Arc<AtomicI64>,
    seen: Arc<Seen>,
    dispatcher: Dispatcher,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct Seen {
    sent: Mutex<Vec<(String, Outcome, u64)>>,
    told: Mutex<Vec<i64>>,
}

impl Observer for Seen {
    fn sent(&self, receiver: &str, outcome: Outcome, count: u64) {
        self.sent.lock().unwrap().push((receiver.to_owned(), outcome, count));
    }

    fn told(&self, event_time: i64, now: i64) {
        self.told.lock().unwrap().push(now - event_time);
    }
}

impl Seen {
    fn count(&self, receiver: &str, outcome: Outcome) -> u64 {
        self.sent
            .lock()
            .unwrap()
            .iter()
            .filter(|(r, o, _)| r == receiver && *o == outcome)
            .map(|(_, _, n)| n)
            .sum()
    }
}

impl Desk {
    async fn new(receivers: Vec<Receiver>) -> Desk {
        let (store, folder) = samples::store().await;
        Desk::on(store, folder, receivers, START + 5 * MINUTE)
    }

    fn on(store: Store, folder: tempfile::TempDir, receivers: Vec<Receiver>, now: i64) -> Desk {
        let clock = Arc::new(AtomicI64::new(now));
        let seen = Arc::new(Seen::default());
        let config = DispatchConfig { poll: Duration::from_millis(10), ..DispatchConfig::default() };
        let read = Arc::clone(&clock);
        let dispatcher = Dispatcher::new(store.clone(), receivers, config)
            .clocked(Arc::new(move || read.load(Ordering::SeqCst)))
            .observed(seen.clone());
        Desk { store, clock, seen, dispatcher, _folder: folder }
    }

    fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn later(&self, by: i64) {
        self.clock.fetch_add(by, Ordering::SeqCst);
    }

    async fn drain(&self) -> Drained {
        // As a server would: the work must be fit to move between threads.
        fn movable<T: Send>(work: T) -> T {
            work
        }
        movable(self.dispatcher.drain_once()).await.unwrap()
    }

    async fn waiting(&self, receiver: &str) -> i64 {
        let depths = self.store.receiver_depths().await.unwrap();
        depths.iter().find(|d| d.receiver == receiver).map_or(0, |d| d.waiting)
    }
}

fn hook(name: &str, fake: &Fake) -> Receiver {
    receiver(
        serde_json::json!({"type": "webhook", "name": name, "url": fake.url(), "secret": "shared secret"}),
    )
}

fn receiver(config: serde_json::Value) -> Receiver {
    Receiver::new(serde_json::from_value::<ReceiverConfig>(config).unwrap()).unwrap()
}

fn ids(fake: &Fake) -> Vec<String> {
    fake.json().iter().map(|body| body["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_alert_is_told_once_to_each_receiver() {
    let (one, two) = (Fake::start(Answer::Status(200, "")).await, Fake::start(Answer::Status(200, "")).await);
    let desk = Desk::new(vec![hook("one", &one), hook("two", &two)]).await;
    commit(&desk.store, "a", &[finding(0)], desk.now()).await;
    assert_eq!(desk.drain().await, Drained { delivered: 2, ..Drained::default() });
    assert_eq!(desk.drain().await, Drained::default());
    assert_eq!((ids(&one), ids(&two)), (vec!["i-f0.1".to_owned()], vec!["i-f0.1".to_owned()]));
    assert_eq!(*desk.seen.told.lock().unwrap(), [5 * MINUTE, 5 * MINUTE]);
}

#[tokio::test]
async fn begin_update_and_end_come_in_order() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &[finding(0)], desk.now()).await;
    let second = Finding { detection: "DS01".into(), family: "destructive".into(), ..finding(1) };
    commit(&desk.store, "b", &[second], desk.now()).await;
    for n in [0, 1] {
        let close =
            Close { state: FindingState::Closed, reason: Some("fixed".into()), note: None, by: "ana".into() };
        desk.store.close_finding(&format!("f{n}"), &close, desk.now()).await.unwrap();
    }
    desk.drain().await;
    let kinds: Vec<String> = fake.json().iter().map(|b| b["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["trigger", "update", "resolve"]);
    assert_eq!(ids(&fake), ["i-f0.1", "i-f0.2", "i-f0.3"]);
}

#[tokio::test]
async fn a_busy_receiver_is_asked_again_when_it_said() {
    let fake = Fake::start(Answer::Busy("120")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &crowd(3), desk.now()).await;
    assert_eq!(
        desk.drain().await.retried,
        1,
        "one answer speaks for the receiver: the others are not even tried"
    );
    desk.later(119 * SECOND);
    fake.answer(Answer::Status(200, ""));
    assert_eq!(desk.drain().await, Drained::default());
    desk.later(SECOND);
    assert_eq!(desk.drain().await.delivered, 3);
    assert_eq!(desk.seen.count("soc", Outcome::Retried), 1);
    assert_eq!(fake.got().len(), 4);
}

#[tokio::test]
async fn what_is_refused_is_given_up_and_its_neighbours_go_on() {
    let fake = Fake::start(Answer::Status(400, "invalid_payload")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &[finding(0)], desk.now()).await;
    assert_eq!(desk.drain().await, Drained { dead: 1, ..Drained::default() });
    fake.answer(Answer::Status(200, ""));
    commit(&desk.store, "b", &[Finding { agent: Some("other".into()), ..finding(1) }], desk.now()).await;
    assert_eq!(desk.drain().await, Drained { delivered: 1, ..Drained::default() });
    let depths = desk.store.receiver_depths().await.unwrap();
    assert_eq!((depths[0].waiting, depths[0].dead), (0, 1));
}

#[tokio::test]
async fn a_lost_answer_is_sent_again_under_the_same_id_and_marked() {
    let fake = Fake::start(Answer::Status(504, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &[finding(0)], desk.now()).await;
    assert_eq!(desk.drain().await.retried, 1);
    fake.answer(Answer::Status(200, ""));
    desk.later(HOUR);
    assert_eq!(desk.drain().await.delivered, 1);
    assert_eq!(ids(&fake), ["i-f0.1", "i-f0.1"]);
    assert_eq!(fake.json().iter().map(|b| b["resend"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(
        (desk.seen.count("soc", Outcome::Ambiguous), desk.seen.count("soc", Outcome::Delivered)),
        (1, 1)
    );
}

#[tokio::test]
async fn a_kill_after_sending_tells_it_again_as_a_resend() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let (store, folder) = samples::store().await;
    commit(&store, "a", &[finding(0)], START).await;
    let before = Desk::on(store, folder, vec![hook("soc", &fake)], START);
    before.dispatcher.fan_out().await.unwrap();
    let key = engine::store::DeliveryKey { incident: "i-f0".into(), revision: 1, receiver: "soc".into() };
    before.store.sending(&key).await.unwrap();
    // The process dies here, and another begins on the same file.
    let after = Desk::on(before.store.clone(), before._folder, vec![hook("soc", &fake)], START + SECOND);
    assert_eq!(after.drain().await.delivered, 1);
    assert_eq!(fake.json()[0]["resend"], true);
}

#[tokio::test]
async fn a_slow_receiver_delays_no_other() {
    let (slow, quick) = (Fake::start(Answer::Hang).await, Fake::start(Answer::Status(200, "")).await);
    let desk = Desk::new(vec![hook("slow", &slow), hook("quick", &quick)]).await;
    commit(&desk.store, "a", &crowd(5), desk.now()).await;
    let (cancel, begin) = (CancellationToken::new(), Instant::now());
    let (dispatcher, until) = (desk.dispatcher, cancel.clone());
    let running = tokio::spawn(async move { dispatcher.run(until).await });
    while quick.got().len() < 5 && begin.elapsed() < Duration::from_secs(4) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begin.elapsed();
    cancel.cancel();
    running.await.unwrap();
    assert_eq!(quick.got().len(), 5);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(slow.got().len(), 1);
}

#[tokio::test]
async fn what_is_fanned_out_is_sent_at_once_not_when_its_receiver_is_looked_at_next() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let mut desk = Desk::new(vec![hook("soc", &fake)]).await;
    desk.dispatcher.config.poll = Duration::from_secs(3600);
    commit(&desk.store, "a", &[finding(0)], desk.now()).await;
    let (cancel, begin) = (CancellationToken::new(), Instant::now());
    let (dispatcher, until) = (desk.dispatcher, cancel.clone());
    let running = tokio::spawn(async move { dispatcher.run(until).await });
    while fake.got().is_empty() && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    running.await.unwrap();
    assert_eq!(fake.got().len(), 1, "the receiver was looked at before there was anything, and then again");
}

#[tokio::test]
async fn after_an_hour_of_failures_the_only_alert_is_told_within_a_minute() {
    let fake = Fake::start(Answer::Status(500, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &[finding(0)], desk.now()).await;
    let end = desk.now() + HOUR;
    while desk.now() < end {
        desk.drain().await;
        desk.later(5 * SECOND);
    }
    assert!(fake.got().len() > 60, "asked {} times in an hour", fake.got().len());
    fake.answer(Answer::Status(200, ""));
    let mut delivered = 0;
    for _ in 0..12 {
        desk.later(5 * SECOND);
        delivered += desk.drain().await.delivered;
    }
    assert_eq!(delivered, 1, "it waited up to a quarter of an hour once");
}

#[tokio::test]
async fn a_flood_becomes_twenty_messages_and_one_summary() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &crowd(137), desk.now()).await;
    assert_eq!(desk.drain().await, Drained { delivered: 20, summarized: 117, ..Drained::default() });
    let bodies = fake.json();
    assert_eq!(bodies.len(), 21);
    assert_eq!(bodies[20]["kind"], "summary");
    assert_eq!(bodies[20]["counts"], serde_json::json!({"critical": 117}));
    let incidents: std::collections::BTreeSet<String> = bodies
        .iter()
        .flat_map(|b| match b["alerts"].as_array() {
            Some(alerts) => alerts.iter().map(|a| a["incident"].to_string()).collect(),
            None => vec![b["incident"]["id"].to_string()],
        })
        .collect();
    assert_eq!(incidents.len(), 137, "nothing is untold");
    commit(&desk.store, "b", &[Finding { agent: Some("late".into()), ..finding(900) }], desk.now()).await;
    assert_eq!(desk.drain().await, Drained::default(), "the minute is used up");
    desk.later(MINUTE);
    assert_eq!(desk.drain().await.delivered, 1);
}

#[tokio::test]
async fn one_too_many_is_told_itself_instead_of_a_summary() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &crowd(21), desk.now()).await;
    assert_eq!(desk.drain().await, Drained { delivered: 21, ..Drained::default() });
    commit(&desk.store, "b", &[Finding { agent: Some("late".into()), ..finding(900) }], desk.now()).await;
    assert_eq!(desk.drain().await, Drained::default());
}

#[tokio::test]
async fn a_summary_that_fails_is_told_later() {
    let fake = Fake::start(Answer::Status(500, "")).await;
    let one = receiver(serde_json::json!({
        "type": "webhook", "name": "soc", "url": fake.url(), "secret": "shared secret", "max_per_minute": 1}));
    let desk = Desk::new(vec![one]).await;
    commit(&desk.store, "a", &crowd(1), desk.now()).await;
    fake.answer(Answer::Status(200, ""));
    desk.drain().await;
    fake.answer(Answer::Status(500, ""));
    commit(&desk.store, "b", &crowd(4)[1..], desk.now()).await;
    assert_eq!(desk.drain().await, Drained { retried: 3, ..Drained::default() });
    fake.answer(Answer::Status(200, ""));
    desk.later(HOUR);
    assert_eq!(desk.drain().await, Drained { delivered: 1, summarized: 2, ..Drained::default() });
    assert_eq!(desk.waiting("soc").await, 0);
}

#[tokio::test]
async fn pagerduty_hears_every_end_even_in_a_flood() {
    let fake = Fake::start(Answer::Status(202, "")).await;
    let pagerduty = receiver(serde_json::json!({
        "type": "pagerduty", "name": "pd", "routing_key": "R0UTINGKEY", "url": fake.url(), "max_per_minute": 3}));
    let desk = Desk::new(vec![pagerduty]).await;
    commit(&desk.store, "a", &crowd(3), desk.now()).await;
    desk.drain().await;
    desk.later(2 * DAY);
    desk.store.resolve_quiet(desk.now()).await.unwrap();
    let fresh: Vec<Finding> = crowd(20)
        .into_iter()
        .skip(10)
        .map(|f| Finding { first_seen: desk.now(), last_seen: desk.now(), ..f })
        .collect();
    commit(&desk.store, "b", &fresh, desk.now()).await;
    for _ in 0..4 {
        desk.drain().await;
        desk.later(MINUTE);
    }
    let bodies = fake.json();
    let of = |action: &str| bodies.iter().filter(|b| b["event_action"] == action).count();
    assert_eq!(of("resolve"), 3);
    assert_eq!(desk.waiting("pd").await, 0);
    assert!(bodies.iter().any(|b| b["dedup_key"] == "remit-summary-pd"));
}

#[tokio::test]
async fn a_file_has_no_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.ndjson");
    let file = receiver(serde_json::json!({"type": "ndjson", "name": "file", "path": path}));
    let desk = Desk::new(vec![file]).await;
    commit(&desk.store, "a", &crowd(60), desk.now()).await;
    assert_eq!(desk.drain().await.delivered, 60);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 60);
}

#[tokio::test]
async fn silenced_and_lower_alerts_are_not_told() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    let quiet = vec!["agent=bot-000".parse().unwrap()];
    desk.store
        .add_silence(&quiet, "ana", "known", desk.now() - HOUR, desk.now() + HOUR, desk.now())
        .await
        .unwrap();
    let mut findings = crowd(3);
    findings[1].severity = Severity::Low;
    commit(&desk.store, "a", &findings, desk.now()).await;
    assert_eq!(desk.drain().await, Drained { delivered: 1, silenced: 1, ..Drained::default() });
    assert_eq!(ids(&fake), ["i-f2.1"]);
    assert_eq!(desk.seen.count("soc", Outcome::Silenced), 1);
}

#[tokio::test]
async fn what_waited_is_told_at_once_when_the_receiver_is_well_again() {
    let fake = Fake::start(Answer::Status(500, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    commit(&desk.store, "a", &crowd(3), desk.now()).await;
    for _ in 0..240 {
        desk.drain().await;
        desk.later(15 * SECOND);
    }
    assert_eq!(desk.waiting("soc").await, 3, "an hour long");
    fake.answer(Answer::Status(200, ""));
    for _ in 0..4 {
        desk.later(15 * SECOND);
        desk.drain().await;
    }
    assert_eq!(desk.waiting("soc").await, 0, "within a minute");
    assert_eq!(fake.json().len() as u64 - desk.seen.count("soc", Outcome::Retried), 3, "each once");
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_loses_and_delays_nothing() {
    let fake = Fake::start(Answer::Status(200, "")).await;
    let desk = Desk::new(vec![hook("soc", &fake)]).await;
    let right = desk.now();
    desk.later(3_650 * DAY);
    commit(&desk.store, "a", &[finding(0)], right).await;
    // Fanned out under the wrong clock, and not sent before it is right again.
    desk.store.fan_out(&desk.dispatcher.rules, desk.now()).await.unwrap();
    desk.clock.store(right, Ordering::SeqCst);
    assert_eq!(desk.drain().await.delivered, 1);
    commit(&desk.store, "b", &[Finding { agent: Some("late".into()), ..finding(900) }], right).await;
    desk.later(-1_825 * DAY);
    assert_eq!(desk.drain().await.delivered, 1, "five years back");
    assert_eq!(ids(&fake).len(), 2);
}
