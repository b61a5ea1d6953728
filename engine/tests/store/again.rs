//! What was judged by what was known then, and is judged again.

use super::*;

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
