//! Whoever is to be told is told, though their service has a bad day; whoever is not, is left alone.

use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::receivers::{Behaviour, Receiver};
use crate::support::records::Record;
use crate::support::remit::{Service, findings, remit};
use serde_json::Value;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A folder whose `logs` are watched, and whose findings go to Slack, PagerDuty and a webhook.
struct Stage {
    folder: Folder,
    slack: Receiver,
    pagerduty: Receiver,
    webhook: Receiver,
}

impl Stage {
    fn new() -> Stage {
        let folder = Folder::new();
        folder.write("logs/.keep", "");
        let webhook = Receiver::webhook("hush");
        Stage { folder, slack: Receiver::slack(), pagerduty: Receiver::pagerduty("R1"), webhook }
    }

    fn start(&self, alerts: &str) -> Service {
        let config = Config::default()
            .directory("logs", true)
            .alerts(alerts)
            .receiver("slack", &format!("url = \"{}\"", self.slack.url))
            .receiver("pagerduty", &format!("url = \"{}\"\nrouting_key = \"R1\"", self.pagerduty.url))
            .receiver("webhook", &format!("url = \"{}\"\nsecret = \"hush\"", self.webhook.url));
        Service::run(self.folder.path(), self.folder.configure(&config))
    }

    fn are_satisfied(&self) {
        for receiver in [&self.slack, &self.pagerduty, &self.webhook] {
            receiver.is_satisfied();
        }
    }
}

/// An agent that may read tickets deletes invoices.
fn deletion(agent: &str, number: usize) -> Record {
    Record::of_agent(agent, "s3:DeleteObject").object("acme-invoices", "2026/1.pdf").number(number)
}

#[test]
fn a_bad_day_of_each_receiver_delays_only_its_own_alerts() {
    let stage = Stage::new();
    stage.folder.agent("ant", &[("s3:GetObject", "*")]);
    let later = Duration::from_secs(3);
    stage.slack.plan([Behaviour::Later(later)]);
    stage.pagerduty.plan([Behaviour::Broken, Behaviour::Broken]);
    stage.webhook.plan([Behaviour::Hang, Behaviour::Cut]);
    let service = stage.start("");
    stage.folder.log("logs/1.json.gz", &[deletion("ant", 1).minutes_ago(2)]);

    eventually("slack accepts", SOON, || !stage.slack.accepted().is_empty());
    let slack = stage.slack.received();
    assert!(slack[1].at - slack[0].at >= later, "429 says when to come back");

    eventually("pagerduty accepts", SOON, || !stage.pagerduty.accepted().is_empty());
    let keys: Vec<_> =
        stage.pagerduty.received().iter().map(|request| request.dedup_key().to_owned()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));

    eventually("the webhook accepts", SOON, || stage.webhook.count() == 3);
    let ids: Vec<_> =
        stage.webhook.received().iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "resent under the same id: {ids:?}");

    eventually("everything is told", SOON, || service.metric("remit_receiver_queue_depth", &[]) == 0.0);
    assert_eq!(stage.slack.accepted().len(), 1);
    assert_eq!(stage.pagerduty.accepted().len(), 1);
    assert!(service.metric("remit_receiver_sends_total", &["outcome=\"retried\""]) >= 3.0);
    assert!(service.metric("remit_receiver_sends_total", &["outcome=\"ambiguous\"", "webhook"]) >= 1.0);
    stage.are_satisfied();
}

#[test]
fn text_of_a_log_stays_text() {
    let stage = Stage::new();
    stage.folder.agent("ant", &[("s3:GetObject", "*")]);
    let _service = stage.start("");
    let hostile = [
        "<!channel> <@U024BE7LH> <http://evil.example|click me> *bold* `code` &amp;",
        "\u{1b}[31mred\u{7} \u{202e}desrever \u{200b}\u{0} ```\n> quote",
        &"\u{1f600}long ".repeat(300),
    ];
    for (number, text) in hostile.iter().enumerate() {
        let record = deletion("ant", number)
            .minutes_ago(2)
            .object("acme-invoices", &text.chars().take(900).collect::<String>())
            .set("userAgent", Value::from(*text))
            .set("awsRegion", Value::from(*text))
            .set("sourceIPAddress", Value::from(*text))
            .set("errorMessage", Value::from(*text));
        stage.folder.log(&format!("logs/{number}.json.gz"), &[record]);
    }
    let mut refused = deletion("ant", 9).minutes_ago(1).denied();
    refused = refused.set("errorMessage", Value::from(format!("{} <!here>", hostile[0])));
    stage.folder.log("logs/9.json.gz", &[refused]);
    for receiver in [&stage.slack, &stage.pagerduty, &stage.webhook] {
        eventually("told", SOON, || !receiver.accepted().is_empty());
    }
    eventually("all read", SOON, || {
        findings(stage.folder.path()).iter().any(|finding| finding["detection"] == "SC02")
    });
    std::thread::sleep(Duration::from_secs(2));
    stage.are_satisfied();
    let shown = remit(stage.folder.path(), &["findings", "list", "-c", "remit.toml"]).expect(0).stdout;
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{200b}']), "{shown:?}");
}

#[test]
fn a_storm_is_told_as_one_summary() {
    let stage = Stage::new();
    let agents: Vec<String> = (0..40).map(|number| format!("agent-{number:02}")).collect();
    for agent in &agents {
        stage.folder.agent(agent, &[("s3:GetObject", "*")]);
    }
    let service = stage.start("max_per_minute = 5");
    let storm: Vec<Record> =
        agents.iter().enumerate().map(|(number, agent)| deletion(agent, number).minutes_ago(2)).collect();
    stage.folder.log("logs/1.json.gz", &storm);
    eventually("everything is told", Duration::from_secs(120), || {
        stage.slack.count() > 0 && service.metric("remit_receiver_queue_depth", &["slack"]) == 0.0
    });
    let told = stage.slack.accepted().len();
    assert!((2..=10).contains(&told), "{told} messages for 40 alerts at five a minute");
    assert!(service.metric("remit_receiver_sends_total", &["outcome=\"summarized\"", "slack"]) >= 30.0);
    assert_eq!(
        findings(stage.folder.path()).iter().filter(|finding| finding["detection"] == "DS01").count(),
        40
    );
    stage.are_satisfied();
}

#[test]
fn history_wakes_nobody_and_silence_is_kept() {
    let stage = Stage::new();
    for agent in ["ant", "bee", "cat"] {
        stage.folder.agent(agent, &[("s3:GetObject", "*")]);
    }
    let service = stage.start("");
    let silence = ["silence", "add", "-c", "remit.toml", "--match", "agent=bee", "--author", "story"];
    let silence = [&silence[..], &["--reason", "planned clean-up", "--for", "2h"]].concat();
    remit(stage.folder.path(), &silence).expect(0);
    stage.folder.log("logs/1.json.gz", &[deletion("ant", 1).minutes_ago(3 * 24 * 60)]);
    stage.folder.log("logs/2.json.gz", &[deletion("bee", 2).minutes_ago(5)]);
    let found = |agent: &str| findings(stage.folder.path()).iter().any(|finding| finding["agent"] == agent);
    eventually("both are found", SOON, || found("ant") && found("bee"));
    // The near miss, after them: fresh, and nobody asked for silence.
    stage.folder.log("logs/3.json.gz", &[deletion("cat", 3).minutes_ago(4)]);
    eventually("pagerduty is told", SOON, || !stage.pagerduty.accepted().is_empty());
    eventually("the silenced one is settled", SOON, || {
        service.metric("remit_receiver_queue_depth", &[]) == 0.0
            && service.metric("remit_receiver_sends_total", &["outcome=\"silenced\""]) >= 1.0
    });
    for receiver in [&stage.slack, &stage.pagerduty, &stage.webhook] {
        let told = receiver.accepted();
        assert_eq!(told.len(), 1, "{}", receiver.url);
        assert!(told[0].body.to_string().contains("cat"));
    }
    let listed =
        remit(stage.folder.path(), &["silence", "list", "-c", "remit.toml", "--output", "ndjson"]).lines();
    assert_eq!(listed[0]["reason"], "planned clean-up");
    let id = listed[0]["id"].as_str().unwrap();
    remit(stage.folder.path(), &["silence", "expire", id, "-c", "remit.toml"]).expect(0);
    // Its silence over, what it does next is told.
    stage
        .folder
        .log("logs/4.json.gz", &[Record::of_agent("bee", "iam:CreateAccessKey").number(4).minutes_ago(1)]);
    eventually("bee is told of", SOON, || stage.pagerduty.accepted().len() == 2);
    stage.are_satisfied();
}

#[test]
fn closing_the_findings_of_an_incident_resolves_its_alert() {
    let stage = Stage::new();
    stage.folder.agent("ant", &[("s3:GetObject", "*")]);
    let _service = stage.start("");
    stage.folder.log("logs/1.json.gz", &[deletion("ant", 1).minutes_ago(2)]);
    eventually("pagerduty is told", SOON, || !stage.pagerduty.accepted().is_empty());
    let open = |folder: &Folder| -> Vec<String> {
        let found = findings(folder.path());
        let open = found.iter().filter(|finding| finding["state"] == "open");
        open.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
    };
    let ids = open(&stage.folder);
    let (last, others) = ids.split_last().unwrap();
    let close = |id: &str| {
        let arguments =
            ["findings", "close", id, "-c", "remit.toml", "--reason", "false-positive", "--note", "a test"];
        remit(stage.folder.path(), &arguments).expect(0);
    };
    others.iter().for_each(|id| close(id));
    let is_resolved =
        || stage.pagerduty.accepted().iter().any(|request| request.body["event_action"] == "resolve");
    assert!(!is_resolved(), "one finding is still open");
    close(last);
    eventually("pagerduty is told that it is over", SOON, is_resolved);
    let keys: Vec<_> =
        stage.pagerduty.accepted().iter().map(|request| request.dedup_key().to_owned()).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(open(&stage.folder).is_empty());
    let shown =
        remit(stage.folder.path(), &["findings", "show", last, "-c", "remit.toml", "--output", "json"])
            .json();
    assert_eq!((&shown["close_reason"], &shown["note"]), (&"false-positive".into(), &"a test".into()));
    stage.are_satisfied();
}
