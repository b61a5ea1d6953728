//! The stand-ins themselves: what they let pass, the real services would.

use crate::support::aws::{Aws, Faults};
use crate::support::cloud::Cloud;
use crate::support::eventually;
use crate::support::moto::Moto;
use crate::support::proxy::{Proxy, Trouble};
use crate::support::receivers::{Behaviour, Receiver};
use crate::support::runtime;
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "AWSLogs/a b+c=d/ü.json.gz";

/// What a customer sees: a test message, then one about the object, which can be fetched and deleted.
fn put_and_take(url: &str) {
    let cloud = Cloud::at(url);
    let queue = cloud.bucket_with_queue("logs", "logs-queue");
    cloud.put("logs", KEY, b"0123456789".repeat(5000));
    let mut bodies = Vec::new();
    eventually("both messages came", Duration::from_secs(20), || {
        bodies.extend(cloud.take(&queue));
        bodies.len() == 2
    });
    assert!(bodies.iter().any(|body| body["Event"] == "s3:TestEvent"), "{bodies:?}");
    let told = bodies.iter().find(|body| body["Records"].is_array()).unwrap();
    let object = &told["Records"][0]["s3"];
    assert_eq!(object["bucket"]["name"], "logs");
    let key = object["object"]["key"].as_str().unwrap().replace("%2F", "/");
    assert_eq!(key, "AWSLogs/a+b%2Bc%3Dd/%C3%BC.json.gz");
    assert_eq!(cloud.fetch("logs", KEY).unwrap(), b"0123456789".repeat(5000));
    assert_eq!(cloud.list("logs"), [KEY]);
    assert_eq!(cloud.messages(&queue), (0, 0));
}

#[test]
fn our_cloud_acts_as_moto_does() {
    put_and_take(&Aws::start().url);
    put_and_take(&Moto::start().url);
}

#[test]
fn a_faulty_cloud_fails_and_says_so_in_its_log() {
    let aws =
        Aws::with_faults(Faults { seed: 1, cut: 1.0, lost_delete: 1.0, duplicate: 1.0, ..Faults::default() });
    let queue = aws.queue("q");
    aws.bucket("logs", "q");
    aws.put("logs", "k", vec![7; 1000]);
    let cloud = Cloud::at(&aws.url);
    assert!(cloud.fetch("logs", "k").is_err(), "half an object is no object");
    assert_eq!(cloud.take(&queue).len(), 1);
    assert_eq!(aws.messages("q"), (1, 1), "delivered twice, and the deletion was lost");
    aws.heal();
    aws.expire("q");
    assert!(cloud.fetch("logs", "k").is_ok());
    assert_eq!(cloud.take(&queue).len() + cloud.take(&queue).len(), 2);
    assert_eq!(aws.messages("q"), (0, 0));
    assert!(aws.log().iter().any(|access| access.action == "GET" && access.what == "logs/k"));
}

#[test]
fn an_object_of_a_bad_day_is_late_or_stored_anew() {
    let aws = Aws::with_faults(Faults { seed: 1, missing: 1.0, ..Faults::default() });
    aws.queue("q");
    aws.bucket("logs", "q");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k");
    std::fs::write(&path, b"from a file").unwrap();
    aws.put_file("logs", "late", &path);
    let cloud = Cloud::at(&aws.url);
    let fetches: Vec<bool> = (0..3).map(|_| cloud.fetch("logs", "late").is_ok()).collect();
    assert_eq!(fetches, [false, false, true]);
    assert_eq!(cloud.fetch("logs", "late").unwrap(), b"from a file");
    aws.ail(Faults { changed: 1.0, ..Faults::default() });
    aws.put("logs", "anew", b"twice".to_vec());
    assert_eq!(aws.messages("q"), (2, 0));
    assert_eq!(cloud.fetch("logs", "anew").unwrap(), b"twice");
    assert_eq!(cloud.fetch("logs", "anew").unwrap(), b"twice");
    assert_eq!(aws.messages("q"), (3, 0), "stored anew once, and told so");
    aws.tell_again("logs", "anew");
    assert_eq!(aws.messages("q"), (4, 0));
}

#[test]
fn a_deletion_may_be_refused_in_a_batch_of_others() {
    let aws = Aws::start();
    let url = aws.queue("q");
    (0..30).for_each(|number| aws.send("q", &format!("{number}")));
    let cloud = Cloud::at(&aws.url);
    aws.ail(Faults { failed_delete: 0.5, ..Faults::default() });
    let (mut deleted, mut refused) = (0, 0);
    for _ in 0..3 {
        let (done, failed) = cloud.delete_ten(&url);
        deleted += done;
        refused += failed;
    }
    assert!(deleted > 0 && refused > 0 && deleted + refused == 30, "{deleted} deleted, {refused} refused");
    assert_eq!(aws.messages("q"), (0, refused));
}

#[test]
fn our_cloud_hands_out_thousands_of_messages_a_second() {
    let aws = Aws::start();
    let url = aws.queue("q");
    (0..5_000).for_each(|number| aws.send("q", &format!("{number}")));
    let cloud = Cloud::at(&aws.url);
    let start = std::time::Instant::now();
    for _ in 0..500 {
        assert_eq!(cloud.delete_ten(&url), (10, 0));
    }
    assert_eq!((aws.asked("ReceiveMessage"), aws.messages("q")), (500, (0, 0)));
    let rate = 5_000.0 / start.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second, one after the other");
    // One client, one request at a time, a test profile and a busy machine: a tenth of what it does alone.
    assert!(rate > 500.0, "{rate:.0} a second");
}

fn post(url: &str, body: &Value) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
    let send = async { client.post(url).json(body).send().await };
    runtime().block_on(send).ok().map(|response| response.status().as_u16())
}

#[test]
fn a_receiver_behaves_as_commanded() {
    let slack = Receiver::slack();
    slack.plan([
        Behaviour::Broken,
        Behaviour::Later(Duration::from_secs(7)),
        Behaviour::Cut,
        Behaviour::Hang,
    ]);
    let message = json!({"text": "hello"});
    let statuses: Vec<_> = (0..5).map(|_| post(&slack.url, &message)).collect();
    assert_eq!(statuses, [Some(500), Some(429), None, None, Some(200)]);
    assert_eq!((slack.count(), slack.accepted().len()), (5, 2));
    slack.is_satisfied();
}

#[test]
fn the_network_fails_as_commanded() {
    let slack = Receiver::slack();
    let proxy = Proxy::before(&slack.url);
    let message = json!({"text": "hello"});
    assert_eq!(post(&proxy.url, &message), Some(200));
    let cases = [
        // What the sender hears, and whether the receiver has it.
        (Trouble::Delay(Duration::from_millis(100)), Some(200), 1),
        (Trouble::Refuse, None, 0),
        (Trouble::Reset, None, 0),
        (Trouble::HalfOpen, None, 1),
        (Trouble::BlackHole, None, 0),
        (Trouble::CutAfter(10), None, 1),
        (Trouble::LoseAnswer, None, 1),
        (Trouble::None, Some(200), 1),
    ];
    for (trouble, heard, arrives) in cases {
        let before = slack.count();
        proxy.does(trouble);
        eventually("the trouble has begun", Duration::from_secs(5), || {
            let status = post(&proxy.url, &message);
            // Of two connections at once the first may still go the old way.
            status == heard && slack.count() >= before + arrives
        });
    }
    assert!(proxy.connections() >= 7);
}

#[test]
fn slack_refuses_what_would_act_or_is_too_long() {
    let section = |text: &str| json!({"text": "t", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]});
    let fine = ["&lt;!channel&gt;", "<http://127.0.0.1:8080/findings/1|open>", "<!date^1|then>"];
    let refused = ["<!channel>", "<@U1>", "<http://evil.example|click>"];
    for text in fine {
        let slack = Receiver::slack();
        assert_eq!(post(&slack.url, &section(text)), Some(200), "{text}");
    }
    for text in refused.map(str::to_owned).into_iter().chain(["x".repeat(3001)]) {
        let slack = Receiver::slack();
        assert_eq!(post(&slack.url, &section(&text)), Some(400), "{text}");
    }
    let plain = json!({"text": "t", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "<!channel>"}}]});
    assert_eq!(post(&Receiver::slack().url, &plain), Some(200), "plain text is shown as it is");
}

#[test]
fn pagerduty_wants_its_key_and_resolves_only_what_it_knows() {
    let event = |key: &str, action: &str| {
        let payload = json!({"summary": "s", "source": "remit", "severity": "critical"});
        json!({"routing_key": "r", "event_action": action, "dedup_key": key, "payload": payload})
    };
    let pagerduty = Receiver::pagerduty("r");
    assert_eq!(post(&pagerduty.url, &event("a", "trigger")), Some(202));
    assert_eq!(post(&pagerduty.url, &event("a", "resolve")), Some(202));
    pagerduty.is_satisfied();
    assert_eq!(post(&pagerduty.url, &event("b", "resolve")), Some(400));
    assert_eq!(post(&Receiver::pagerduty("other").url, &event("a", "trigger")), Some(400));
}

#[test]
fn a_webhook_without_a_fitting_signature_is_refused() {
    assert_eq!(post(&Receiver::webhook("secret").url, &json!({})), Some(400));
}
