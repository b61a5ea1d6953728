//! Who hears of an incident, and when: each receiver every revision once, in order, to its end.

use super::*;

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
