use super::*;
use crate::assembly;
use crate::config::Config;
use engine::detection::Detection;
use engine::finding::FindingState;
use engine::store::{Durability, FindingFilter, Store};

async fn world(detections: Vec<Detection>) -> (tempfile::TempDir, Canary) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::default();
    let store = Store::open(&folder.path().join("remit.db"), Durability::None).await.unwrap();
    let (manifests, grants) = assembly::dated_scopes(None, None).unwrap();
    let metrics = assembly::metrics(&config, &detections, manifests.latest()).unwrap();
    let rules = assembly::rules(manifests, grants, &config.baseline, &store).await.unwrap();
    let pipeline = Arc::new(Pipeline::new(store, rules, metrics, &detections, Some(DAY), None).unwrap());
    let readiness = Readiness::new(&[]);
    let halt = halt_of(&pipeline);
    (folder, Canary { pipeline, halt, readiness, within: Duration::from_secs(60) })
}

fn halt_of(pipeline: &Pipeline) -> Halt {
    let (readiness, end) = (Readiness::new(&[]), CancellationToken::new());
    Halt::new(pipeline.store.clone(), readiness, pipeline.metrics.clone(), end)
}

async fn findings(canary: &Canary, states: &[FindingState]) -> Vec<(String, FindingState)> {
    let filter = FindingFilter { states: states.to_vec(), ..FindingFilter::default() };
    let found = canary.pipeline.store.findings(&filter).await.unwrap();
    found.into_iter().map(|finding| (finding.detection, finding.state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_out_as_a_finding_and_leaves_no_other_trace() {
    let (_folder, canary) = world(assembly::detections().unwrap()).await;
    let (mut tools, store) = (None, &canary.pipeline.store);
    assert!(canary.try_once(&mut tools).await && canary.try_once(&mut tools).await);
    let flown = findings(&canary, &[FindingState::Canary]).await;
    assert_eq!(
        flown.iter().filter(|(detection, _)| detection == DETECTION).count(),
        2,
        "each is one of its own"
    );
    assert!(store.watched(FOUND).await.unwrap().is_some());
    assert!(canary.readiness.reasons().is_empty());

    assert_eq!(findings(&canary, &[]).await, [], "nobody is told");
    assert_eq!(store.incidents(false, 10).await.unwrap().len(), 0);
    assert_eq!(store.object_totals().await.unwrap().objects, 0);
    assert_eq!(store.covered().await.unwrap(), None, "no use is known of anybody");
    let text = canary.pipeline.metrics.render().unwrap();
    assert!(!text.contains("remit:canary") && !text.contains("000000000000"));
    let events = |line: &str| line.starts_with("remit_events_total") && !line.ends_with(" 0");
    assert!(!text.lines().any(events), "{text}");
    assert!(store.accounts(time::now(), DAY).await.unwrap().iter().all(|account| account.holds()));

    store.forget_canaries(time::now() + DAY).await.unwrap();
    assert_eq!(findings(&canary, &[FindingState::Canary]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_does_not_see_it_says_so_until_it_does() {
    // A detection is gone: all the rest goes well, and nothing comes out.
    let mut detections = assembly::detections().unwrap();
    detections.retain(|detection| detection.id != DETECTION);
    let (_folder, canary) = world(detections).await;
    let canary = Canary { within: Duration::from_secs(2), ..canary };
    assert!(!canary.try_once(&mut None).await);
    assert!(canary.readiness.reasons().contains_key(CANARY));
    assert_eq!(findings(&canary, &[]).await, [(standing::CANARY_LOST.to_owned(), FindingState::Open)]);
    let told = canary.pipeline.store.incidents(true, 10).await.unwrap();
    assert!(told.len() == 1 && told[0].told, "{told:?}");
    assert!(!canary.try_once(&mut None).await);
    assert_eq!(canary.pipeline.store.incidents(false, 10).await.unwrap().len(), 1, "told once");

    let store = canary.pipeline.store.clone();
    let (manifests, grants) = assembly::dated_scopes(None, None).unwrap();
    let detections = assembly::detections().unwrap();
    let metrics = assembly::metrics(&Config::default(), &detections, manifests.latest()).unwrap();
    let rules = assembly::rules(manifests, grants, &Config::default().baseline, &store).await.unwrap();
    let pipeline = Arc::new(Pipeline::new(store, rules, metrics, &detections, Some(DAY), None).unwrap());
    let (halt, readiness) = (halt_of(&pipeline), Readiness::new(&[]));
    let mended = Canary { pipeline, halt, readiness, within: Duration::from_secs(60) };
    assert!(mended.try_once(&mut None).await);
    assert_eq!(findings(&mended, &[FindingState::Open]).await, []);
    assert_eq!(mended.pipeline.store.incidents(true, 10).await.unwrap().len(), 0, "and its end is told");
}
