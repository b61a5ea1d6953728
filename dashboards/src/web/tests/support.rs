//! A small company's store, filled the way the pipeline fills it, behind a real socket.

use crate::metrics::{Labels, Metrics};
use crate::postures::Postures;
use crate::readiness::Readiness;
use crate::web::{Server, Token, WebState};
use engine::baseline::{BaselineDelta, BaselineRule};
use engine::finding::{Evidence, Finding, FindingState, Sample, Severity};
use engine::measure::{Measures, Trust};
use engine::permission::AccessLevel;
use engine::posture::{
    AgentPosture, IdentityPosture, Mark, PermissionPosture, Posture, RightSized, Unclaimed,
};
use engine::store::{Claim, Commit, Committed, Durability, Store, Terms};
use engine::time::{DAY, HOUR, MINUTE};
use ingest::quarantine::Quarantined;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A title that would run, and reorder the page, if it were markup.
pub const HOSTILE: &str = "<script>alert(1)</script>\u{202e}gnp.exe\u{200b}";

pub const TOKEN: &str = "0123456789abcdef0123";

/// A finding of `support-bot`, an hour before now, alone in its permission.
pub fn finding(id: &str, severity: Severity) -> Finding {
    let time = engine::time::now() - HOUR;
    let role = "arn:aws:iam::111122223333:role/agents/support-bot";
    Finding {
        id: id.into(),
        detection: "SC01".into(),
        family: "scope".into(),
        severity,
        state: FindingState::Open,
        agent: Some("support-bot".into()),
        actor: role.into(),
        subject: "s3:GetObject".into(),
        window_start: time - time.rem_euclid(DAY),
        title: format!("support-bot used s3:GetObject outside its scope ({id})"),
        why: "No statement of its manifest covers s3:GetObject, and the call succeeded.".into(),
        first_seen: time,
        last_seen: time,
        count: 1,
        events: vec![Evidence { time, event_id: format!("event-of-{id}") }],
        frameworks: vec!["ASI02".into(), "NHI5".into()],
        sample: Sample {
            permission: Some("s3:GetObject".into()),
            service: "s3.amazonaws.com".into(),
            operation: "GetObject".into(),
            resources: vec!["arn:aws:s3:::payroll-exports/2026/10.csv".into()],
            outcome: "success".into(),
            account: Some("111122223333".into()),
            region: Some("eu-central-1".into()),
            session_name: Some("ticket-4711".into()),
            source_ip: Some("198.51.100.7".into()),
            user_agent: Some("aws-sdk-python/1.40 agent-framework/2.1".into()),
            environment: Some("prod".into()),
            scope: Some("out".into()),
            scope_why: Some("no statement of agents/support-bot.yaml covers it".into()),
            grant: Some("allowed".into()),
            grant_why: Some("policies/support-bot.json, statement 3".into()),
            active_days: 21,
            ..Sample::default()
        },
        incident: None,
        close_reason: None,
        note: None,
        by: None,
    }
}

/// A server on a free loopback port over a store of its own.
pub struct Page {
    pub address: SocketAddr,
    pub store: Store,
    pub readiness: Readiness,
    _dir: TempDir,
}

impl Page {
    pub async fn open(token: Option<&str>) -> Page {
        Page::on("127.0.0.1:0", token).await
    }

    pub async fn on(listen: &str, token: Option<&str>) -> Page {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        let state = state(store.clone(), token);
        let readiness = state.readiness.clone();
        let server = Server::bind(listen.parse().unwrap(), state).await.unwrap();
        let address = server.address();
        tokio::spawn(server.run(std::future::pending()));
        Page { address, store, readiness, _dir: dir }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = client().get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Commits findings as one judged object with `events` events, two duplicates and one unreadable record.
    pub async fn judged(&self, findings: &[Finding], events: i64) {
        commit(&self.store, findings, events).await;
    }
}

pub fn state(store: Store, token: Option<&str>) -> WebState {
    let labels = Labels {
        sources: vec!["trail".into()],
        receivers: vec!["soc-slack".into()],
        detections: vec!["SC01".into(), "DS01".into()],
        reasons: vec!["bad_json".into()],
    };
    let readiness = Readiness::new(&["sources"]);
    readiness.holds("sources");
    WebState {
        store,
        postures: Postures::new(Duration::from_secs(60), || async { Ok(posture()) }),
        metrics: Arc::new(Metrics::new("0.1.0", &labels).unwrap()),
        readiness,
        token: token.map(|token| Token::parse(token).unwrap().unwrap()),
        hosts: vec![],
        min_active_days: 7,
        version: "0.1.0".into(),
    }
}

/// Follows no redirect and keeps no cookie: each story says itself what the browser does.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

pub async fn commit(store: &Store, findings: &[Finding], events: i64) {
    let now = engine::time::now();
    let object = format!("{:032x}", now as u128 ^ (events as u128) << 64);
    let place = "s3://org-trail/AWSLogs/111122223333/CloudTrail/eu-central-1/2026/11/20/a.json.gz";
    let claim = match store.claim(&object, "trail", place, MINUTE, now).await.unwrap() {
        Claim::Mine(claim) => claim,
        other => panic!("{other:?}"),
    };
    let event_ids = (0..events).map(|n| ("111122223333", format!("{object}-{n}"))).collect();
    let mut baseline = BaselineDelta::default();
    baseline.used("arn:aws:iam::111122223333:role/agents/support-bot", "*", now - HOUR);
    let quarantined = [Quarantined {
        row: Some(17),
        reason: "bad_json",
        detail: "expected `,` or `}` at column 81".into(),
        head: format!(r#"{{"eventName":"{HOSTILE}""#),
    }];
    let committed = store
        .commit(&Commit {
            claim: &claim,
            place,
            sha256: "00",
            read: events + 3,
            duplicates: 2,
            events: &event_ids,
            quarantined: &quarantined,
            baseline: &baseline,
            findings,
            changes: &[],
            touched: &[],
            issued: &[],
            measures: &Measures::default(),
            origin: None,
            log: None,
            is_outdated: false,
            readmitted: None,
            terms: Terms {
                settled: &BTreeSet::new(),
                rule: BaselineRule::default(),
                alert_max_age: Some(DAY),
                now,
            },
        })
        .await
        .unwrap();
    assert!(matches!(committed, Committed::Stored(_)), "{committed:?}");
}

fn permission(name: &str, level: AccessLevel, mark: Mark, uses: i64) -> PermissionPosture {
    let last = engine::time::now() - HOUR;
    let seen = uses > 0;
    PermissionPosture {
        permission: name.into(),
        level: Some(level),
        declared: matches!(mark, Mark::Used | Mark::NotGranted),
        granted: Some(!matches!(mark, Mark::NotGranted | Mark::Denied)),
        granted_by: vec!["policies/support-bot.json, statement 1".into()],
        uses,
        days_used: if seen { 19 } else { 0 },
        first_used: seen.then_some(last - 28 * DAY),
        last_used: seen.then_some(last),
        denied: if mark == Mark::Denied { 3 } else { 0 },
        mark,
        why: match mark {
            Mark::Unused => "granted for all of 30 days and never called".into(),
            Mark::Unknowable => "S3 data events are off for this bucket".into(),
            _ => String::new(),
        },
    }
}

fn agent(
    name: &str,
    description: &str,
    environment: &str,
    permissions: Vec<PermissionPosture>,
) -> AgentPosture {
    let uses: i64 = permissions.iter().map(|p| p.uses).sum();
    let last = engine::time::now() - HOUR;
    let days = if uses > 0 { 26 } else { 0 };
    AgentPosture {
        agent: name.into(),
        description: Some(description.into()),
        owner: Some("support-platform".into()),
        environment: Some(environment.into()),
        declared: 0,
        manifest: format!("agents/{name}.yaml"),
        identities: vec![IdentityPosture {
            identity: format!("arn:aws:iam::111122223333:role/agents/{name}"),
            active_days: days,
            first_used: (uses > 0).then_some(last - 28 * DAY),
            last_used: (uses > 0).then_some(last),
            right_sized: Some(RightSized {
                policy: serde_json::json!({"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Action": ["dynamodb:GetItem", "s3:GetObject"], "Resource": "*"}]}),
                kept: BTreeMap::from([("dynamodb:GetItem".into(), "used on 19 days".into())]),
                removed: BTreeMap::from([("s3:DeleteObject".into(), "unused in 30 days".into())]),
                notes: vec![
                    "S3 data events are off: s3:GetObject is kept because its use cannot be seen.".into(),
                ],
            }),
            permissions,
        }],
    }
}

pub fn posture() -> Posture {
    let now = engine::time::now();
    let bot = vec![
        permission("bedrock:InvokeModel", AccessLevel::Read, Mark::Used, 48_213),
        permission("dynamodb:GetItem", AccessLevel::Read, Mark::Used, 9_120),
        permission("dynamodb:Query", AccessLevel::Read, Mark::Used, 804),
        permission("iam:CreateAccessKey", AccessLevel::Permissions, Mark::Denied, 0),
        permission("kms:Decrypt", AccessLevel::Write, Mark::Conditional, 0),
        permission("s3:DeleteObject", AccessLevel::Write, Mark::Unused, 0),
        permission("s3:GetObject", AccessLevel::Read, Mark::Unknowable, 0),
        permission("s3:ListBucket", AccessLevel::List, Mark::Used, 77),
        permission("s3:PutObjectTagging", AccessLevel::Tagging, Mark::Unused, 0),
        permission("sns:Publish", AccessLevel::Write, Mark::NotGranted, 0),
    ];
    let coder = vec![
        permission("ecr:GetAuthorizationToken", AccessLevel::Read, Mark::Used, 310),
        permission("lambda:UpdateFunctionCode", AccessLevel::Write, Mark::Used, 22),
        permission("s3:*", AccessLevel::Write, Mark::Unused, 0),
    ];
    let idle = vec![permission("sqs:ReceiveMessage", AccessLevel::Read, Mark::Unused, 0)];
    Posture {
        covered: Some((now - 30 * DAY, now - HOUR)),
        agents: vec![
            agent("coding-agent", "Opens pull requests and deploys to staging", "staging", coder),
            agent("planner", "Plans what the executors do", "prod", idle),
            agent("support-bot", "Answers customers' tickets from the knowledge base", "prod", bot),
        ],
        unclaimed: vec![Unclaimed {
            identity: format!("arn:aws:iam::111122223333:role/tmp-{HOSTILE}"),
            permissions: 14,
            uses: 2_001,
            last_used: now - 2 * HOUR,
        }],
        unparsed: vec!["policies/legacy.json: line 12: unknown condition operator `StringMaybe`".into()],
        data_events: vec!["dynamodb".into()],
        trust: Trust::of([
            ("scope".to_owned(), "in".to_owned(), 97),
            ("scope".to_owned(), "unknown:resource_not_logged".to_owned(), 3),
            ("agreement".to_owned(), "agrees".to_owned(), 9),
            ("agreement".to_owned(), "succeeded_but_denied".to_owned(), 1),
        ]),
    }
}
