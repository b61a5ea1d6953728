use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::*;
use crate::lease::tests::{FakeQueue, down};

fn config(in_flight: usize, buckets: &[&str]) -> S3SqsConfig {
    let buckets: Vec<_> = buckets.iter().map(|bucket| json!(bucket)).collect();
    serde_json::from_value(
        json!({"queue_url": "http://127.0.0.1:1/q", "region": "us-east-1", "visibility": "60s",
        "in_flight": in_flight, "buckets": buckets, "name": "logs"}),
    )
    .unwrap()
}

fn message(receipt: &str, keys: &[&str]) -> Message {
    let body = json!({"s3Bucket": "bucket", "s3ObjectKey": keys}).to_string();
    Message { receipt: receipt.into(), body, attempt: 1 }
}

fn start(config: &S3SqsConfig, answers: Vec<Result<Vec<Message>, SourceError>>) -> (S3Sqs, Arc<FakeQueue>) {
    let queue = Arc::new(FakeQueue { answers: Mutex::new(VecDeque::from(answers)), ..FakeQueue::default() });
    let shared = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let bucket = Bucket::new(&shared, config, &Limits::default());
    (S3Sqs::start(queue.clone(), config, bucket), queue)
}

async fn delivery(source: &mut S3Sqs) -> Delivery {
    match source.next().await.unwrap() {
        Next::Object(delivery) => delivery,
        _ => panic!("no object"),
    }
}

async fn unreadable(source: &mut S3Sqs) -> Unreadable {
    match source.next().await.unwrap() {
        Next::Unreadable(unreadable) => unreadable,
        _ => panic!("readable"),
    }
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_deleted_when_all_its_objects_are_done() {
    let (mut source, queue) = start(&config(8, &[]), vec![Ok(vec![message("m", &["a", "b"])])]);
    let (first, second) = (delivery(&mut source).await, delivery(&mut source).await);
    assert_eq!((first.object.key.as_str(), second.object.key.as_str()), ("a", "b"));
    assert_eq!(first.object.source, "logs");
    first.ticket.acknowledge().await.unwrap();
    assert!(!queue.log().contains(&"delete m".into()));
    second.ticket.acknowledge().await.unwrap();
    assert!(queue.log().contains(&"delete m".into()));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_received_than_there_are_free_slots() {
    let answers = vec![Ok(vec![message("m", &["a"]), message("n", &["b"])])];
    let (mut source, queue) = start(&config(3, &[]), answers);
    let first = delivery(&mut source).await;
    settle().await;
    assert_eq!(queue.log(), ["receive 3", "receive 1"]);
    drop(first);
    let _held = delivery(&mut source).await;
    let (mut source, queue) = start(&config(1, &[]), vec![Ok(vec![message("m", &["a"])])]);
    let only = delivery(&mut source).await;
    settle().await;
    assert_eq!(queue.log(), ["receive 1"], "the slot is taken");
    only.ticket.acknowledge().await.unwrap();
    settle().await;
    assert_eq!(queue.log(), ["receive 1", "delete m", "receive 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_to_be_taken_stays_hidden() {
    let (_source, queue) = start(&config(2, &[]), vec![Ok(vec![message("m", &["a"])])]);
    sleep(Duration::from_secs(65)).await;
    assert_eq!(queue.log().iter().filter(|asked| *asked == "hide m 60s").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_can_be_cancelled_without_losing_a_message() {
    let (mut source, _) = start(&config(8, &[]), vec![Ok(vec![message("m", &["a", "b"])])]);
    for _ in 0..5 {
        tokio::select! { biased; _ = source.next() => panic!(), () = std::future::ready(()) => {} }
    }
    assert_eq!(delivery(&mut source).await.object.key, "a");
    assert_eq!(delivery(&mut source).await.object.key, "b");
}

#[tokio::test(start_paused = true)]
async fn a_failing_queue_is_asked_ever_less() {
    let (mut source, queue) = start(&config(8, &[]), (0..20).map(|_| Err(down())).collect());
    let began = Instant::now();
    for _ in 0..8 {
        assert!(source.next().await.is_err());
    }
    let waited = began.elapsed().as_secs();
    assert!((60..=123).contains(&waited), "1+2+4+8+16+32+60 s, at least half of it: {waited}");
    assert!(queue.log().len() <= 10);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_answers_empty_at_once_is_not_asked_in_a_hot_loop() {
    let (_source, queue) = start(&config(8, &[]), (0..1000).map(|_| Ok(Vec::new())).collect());
    sleep(Duration::from_secs(10)).await;
    assert!(queue.log().len() <= 12, "{}", queue.log().len());
}

#[tokio::test(start_paused = true)]
async fn what_asks_for_nothing_is_deleted_and_counted() {
    let test = Message { receipt: "t".into(), body: r#"{"Event":"s3:TestEvent"}"#.into(), attempt: 1 };
    let (mut source, queue) = start(&config(8, &[]), vec![Ok(vec![test])]);
    assert!(matches!(source.next().await, Ok(Next::Ignored("test_event"))));
    assert!(queue.log().contains(&"delete t".into()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_kept_until_it_is_in_quarantine() {
    let poison = Message { receipt: "p".into(), body: r#"{"password":"hunter2"}"#.into(), attempt: 3 };
    let (mut source, queue) = start(&config(8, &[]), vec![Ok(vec![poison])]);
    let unreadable = unreadable(&mut source).await;
    assert_eq!((unreadable.reason, unreadable.attempt), (reason::BAD_NOTIFICATION, 3));
    assert_eq!(unreadable.head, r#"{"password":"[redacted]"}"#);
    assert!(!queue.log().contains(&"delete p".into()));
    unreadable.ticket.acknowledge().await.unwrap();
    assert!(queue.log().contains(&"delete p".into()));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_outside_the_list_is_not_touched() {
    let (mut source, _) = start(&config(8, &["other"]), vec![Ok(vec![message("m", &["a"])])]);
    let unreadable = unreadable(&mut source).await;
    assert_eq!(unreadable.reason, reason::FORBIDDEN_BUCKET);
    let object = unreadable.object.unwrap();
    let refused = source.bucket().load(&object).await.unwrap_err().to_string();
    assert!(refused.starts_with("the bucket `bucket` is not in `buckets`; add it"), "{refused}");
    let (mut source, _) = start(&config(8, &["bucket"]), vec![Ok(vec![message("m", &["a"])])]);
    assert_eq!(delivery(&mut source).await.object.key, "a");
}

#[tokio::test(start_paused = true)]
async fn closing_gives_back_what_was_not_handed_out() {
    let messages = vec![message("m", &["a"]), message("n", &["b"])];
    let (mut source, queue) = start(&config(8, &[]), vec![Ok(messages)]);
    let taken = delivery(&mut source).await;
    source.close().await;
    assert!(queue.log().contains(&"hide n 0s".into()), "{:?}", queue.log());
    taken.ticket.acknowledge().await.unwrap();
    assert!(queue.log().contains(&"delete m".into()), "a ticket that is out stays valid");
}

// Others: vector#17075: after a broken connection the source is silent, and nobody is told.
// https://github.com/vectordotdev/vector/issues/17075
#[tokio::test(start_paused = true)]
async fn a_queue_that_has_messages_and_gives_none_is_told() {
    let empty = || (0..1000).map(|_| Ok(Vec::new())).collect();
    let (mut source, queue) = start(&config(8, &[]), empty());
    queue.waiting.store(12, Ordering::Relaxed);
    let began = Instant::now();
    let told = source.next().await.err().unwrap().to_string();
    assert!(told.contains("12 messages wait in the queue"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(150));
    let (mut source, _) = start(&config(8, &[]), empty());
    let quiet = timeout(Duration::from_secs(600), source.next()).await;
    assert!(quiet.is_err(), "a queue without messages is only quiet");
}

// Others: vector#20172: ten messages are taken at once, however few are worked on.
// https://github.com/vectordotdev/vector/issues/20172
#[tokio::test(start_paused = true)]
async fn nothing_is_received_while_the_valve_is_closed() {
    let (mut source, queue) = start(&config(8, &[]), vec![Ok(vec![message("m", &["a"])])]);
    let first = delivery(&mut source).await;
    source.valve().set(false);
    first.ticket.acknowledge().await.unwrap();
    sleep(Duration::from_secs(60)).await;
    let receives = queue.log().iter().filter(|asked| asked.starts_with("receive")).count();
    assert!(receives <= 2, "at most the one that was under way: {:?}", queue.log());
    assert!(!source.valve().is_open());
}

#[test]
fn an_etag_is_not_taken_for_a_version() {
    let notified = |version: Option<&str>, etag: Option<&str>| {
        let [version, etag] = [version, etag].map(|text| text.map(str::to_owned));
        ObjectRef::notified("s", NotifiedObject { bucket: "b".into(), key: "k".into(), version, etag })
            .version
    };
    assert_eq!(notified(Some("v"), Some("e")), "v");
    assert_eq!(notified(None, Some("e")), "\"e\"");
    assert_eq!(notified(None, None), "");
}

#[test]
fn an_address_that_is_none_is_refused() {
    assert_eq!(check(&config(8, &[])), Ok(()));
    let queue_url = "my-queue".to_owned();
    let error = check(&S3SqsConfig { queue_url, ..config(8, &[]) }).unwrap_err();
    assert_eq!(error.to_string(), "`queue_url`: `my-queue` is no URL; write https://sqs...");
    let endpoint_url = Some("localhost:5000".to_owned());
    assert!(check(&S3SqsConfig { endpoint_url, ..config(8, &[]) }).is_err());
}

#[test]
fn an_error_is_told_with_what_is_behind_it() {
    #[derive(Debug, thiserror::Error)]
    #[error("dispatch failure")]
    struct Outer(#[source] std::io::Error);
    assert_eq!(
        said(&Outer(std::io::Error::other("connection refused"))),
        "dispatch failure: connection refused"
    );
}
