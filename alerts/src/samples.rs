//! Findings, alerts and stores made by hand, for tests.

use engine::attribution::{Attribution, Grade};
use engine::baseline::{BaselineDelta, BaselineRule};
use engine::chain::{Chain, Cut, Step, StepKind};
use engine::finding::{Evidence, Finding, FindingState, Sample, Severity};
use engine::incident::{Alert, AlertKind, Incident, IncidentState};
use engine::measure::{Measures, Trust};
use engine::permission::AccessLevel;
use engine::posture::{
    AgentPosture, IdentityPosture, Mark, PermissionPosture, Posture, RightSized, Unclaimed,
};
use engine::seen::EventIds;
use engine::store::{Claim, Commit, Committed, Durability, Store, Terms};
use engine::time::{DAY, HOUR, MINUTE, SECOND};
use std::collections::BTreeSet;

/// 2026-11-03T00:53:20Z
pub const START: i64 = 1_793_667_200 * SECOND;

/// A finding of one agent, told apart by `n`.
pub fn finding(n: usize) -> Finding {
    Finding {
        id: format!("f{n}"),
        detection: "SC01".into(),
        family: "scope".into(),
        severity: Severity::Critical,
        state: FindingState::Open,
        agent: Some("support-bot".into()),
        actor: "arn:aws:iam::111122223333:role/support-bot".into(),
        subject: "s3:DeleteObject".into(),
        window_start: START - START % HOUR,
        title: "support-bot called s3:DeleteObject outside its scope".into(),
        why: "No statement of its manifest covers s3:DeleteObject.".into(),
        first_seen: START,
        last_seen: START + 3 * MINUTE + 4 * SECOND,
        count: 14,
        events: vec![Evidence { time: START, event_id: format!("e{n}") }],
        frameworks: vec!["ASI02".into(), "ASI03".into()],
        sample: Sample {
            permission: Some("s3:DeleteObject".into()),
            service: "s3.amazonaws.com".into(),
            operation: "DeleteObject".into(),
            resources: vec!["arn:aws:s3:::acme-invoices/a".into()],
            outcome: "success".into(),
            account: Some("111122223333".into()),
            region: Some("eu-west-1".into()),
            session_name: Some("run-8841".into()),
            source_ip: Some("203.0.113.24".into()),
            user_agent: Some("Boto3/1.34".into()),
            environment: Some("prod".into()),
            scope: Some("out".into()),
            scope_why: Some("agents/support-bot.yaml:31 read: tickets".into()),
            grant: Some("allowed".into()),
            grant_why: Some("LegacyS3Full#1".into()),
            active_days: 12,
            caller: Attribution::default(),
        },
        incident: Some("i-f0".into()),
        close_reason: None,
        note: None,
        by: None,
    }
}

/// A finding whose every text is long, hostile and as large as one can be.
pub fn hostile(n: usize) -> Finding {
    let evil = "<!channel> `*_~` =1+1 https://evil.example/a?b&c \u{202e}\u{1b}[2J\n&<>|\"' ".repeat(200);
    let mut finding = finding(n);
    finding.agent = Some(evil.clone());
    finding.actor.clone_from(&evil);
    finding.subject.clone_from(&evil);
    finding.title.clone_from(&evil);
    finding.why.clone_from(&evil);
    finding.frameworks = vec![evil.clone(); 20];
    finding.events = (0..50).map(|i| Evidence { time: START + i, event_id: evil.clone() }).collect();
    finding.sample = Sample {
        permission: Some(evil.clone()),
        service: evil.clone(),
        operation: evil.clone(),
        resources: vec![evil.clone(); 8],
        outcome: evil.clone(),
        account: Some(evil.clone()),
        region: Some(evil.clone()),
        session_name: Some(evil.clone()),
        source_ip: Some(evil.clone()),
        user_agent: Some(evil.clone()),
        environment: Some(evil.clone()),
        scope: Some(evil.clone()),
        scope_why: Some(evil.clone()),
        grant: Some(evil.clone()),
        grant_why: Some(evil.clone()),
        active_days: i64::MAX,
        caller: hostile_caller(&evil),
    };
    finding
}

fn hostile_caller(evil: &str) -> Attribution {
    let step = Step {
        kind: StepKind::Mcp,
        actor: evil.into(),
        session_name: Some(evil.into()),
        account: Some(evil.into()),
        at: START,
        event: evil.into(),
        tool: Some(evil.into()),
        client: Some(evil.into()),
    };
    let evil = || Some(evil.to_owned());
    Attribution {
        agent_hint: evil(),
        evidence: Some(Grade::Client),
        credential_kind: evil(),
        mfa: Some(false),
        source_identity: evil(),
        on_behalf_of: evil(),
        workload: evil(),
        invoked_by: evil(),
        session: evil(),
        request_id: evil(),
        chain: Chain { steps: vec![step; 8], cut: Some(Cut::NotLogged) },
    }
}

/// The first revision of an incident with so many findings.
pub fn alert(findings: usize) -> Alert {
    alert_of((0..findings).map(finding).collect())
}

/// The first revision of an incident with these findings.
pub fn alert_of(findings: Vec<Finding>) -> Alert {
    Alert {
        incident: Incident {
            id: "i-f0".into(),
            who: findings.first().map_or("support-bot", Finding::who).into(),
            agent: findings.first().and_then(|f| f.agent.clone()),
            severity: Severity::Critical,
            state: IncidentState::Open,
            first_seen: START,
            last_seen: START + 3 * MINUTE,
            revision: 1,
            told: true,
            resolved_because: None,
        },
        findings,
        revision: 1,
        kind: AlertKind::Trigger,
        attempts: 0,
        is_resend: false,
    }
}

/// An empty store in a folder that lives as long as its guard.
pub async fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("remit.db"), Durability::None).await.unwrap();
    (store, folder)
}

/// Commits findings as one object read at `now`.
pub async fn commit(store: &Store, object: &str, findings: &[Finding], now: i64) {
    let Claim::Mine(claim) = store.claim(object, "test", object, MINUTE, now).await.unwrap() else {
        panic!("the object was claimed before");
    };
    let findings: Vec<Finding> = findings.iter().cloned().map(|f| Finding { incident: None, ..f }).collect();
    let commit = Commit {
        claim: &claim,
        place: object,
        sha256: "",
        read: 0,
        duplicates: 0,
        events: &EventIds::default(),
        quarantined: &[],
        baseline: &BaselineDelta::default(),
        findings: &findings,
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
            alert_max_age: Some(24 * HOUR),
            now,
        },
    };
    assert!(matches!(store.commit(&commit).await.unwrap(), Committed::Stored(_)));
}

/// `n` findings of `n` agents, each an incident of its own.
pub fn crowd(n: usize) -> Vec<Finding> {
    (0..n).map(|i| Finding { agent: Some(format!("bot-{i:03}")), ..finding(i) }).collect()
}

/// A permission of an identity whose policies are known.
pub fn permission(name: &str, mark: Mark, declared: bool, level: AccessLevel) -> PermissionPosture {
    let is_used = mark == Mark::Used;
    PermissionPosture {
        permission: name.into(),
        level: Some(level),
        declared,
        granted: Some(matches!(mark, Mark::Used | Mark::Unused | Mark::Unknowable | Mark::Conditional)),
        granted_by: vec!["LegacyS3Full#1".into()],
        uses: if is_used { 40 } else { 0 },
        days_used: if is_used { 12 } else { 0 },
        first_used: is_used.then_some(START - 20 * DAY),
        last_used: is_used.then_some(START),
        denied: if mark == Mark::Denied { 3 } else { 0 },
        mark,
        why: "because".into(),
    }
}

/// Two agents: one with every mark, one whose names are hostile and whose policies are not known.
pub fn posture() -> Posture {
    let mut undeclared = permission("s3:DeleteObject", Mark::Used, false, AccessLevel::Write);
    undeclared.granted = Some(false);
    let support = IdentityPosture {
        identity: "arn:aws:iam::111122223333:role/support-bot".into(),
        active_days: 12,
        first_used: Some(START - 20 * DAY),
        last_used: Some(START),
        permissions: vec![
            permission("iam:CreateUser", Mark::Denied, false, AccessLevel::Permissions),
            permission("iam:PassRole", Mark::Unused, false, AccessLevel::Permissions),
            permission("kms:Decrypt", Mark::Conditional, false, AccessLevel::Write),
            permission("logs:PutLogEvents", Mark::Unknowable, false, AccessLevel::Write),
            undeclared,
            permission("s3:GetObject", Mark::Used, true, AccessLevel::Read),
            permission("s3:PutObject", Mark::Unused, true, AccessLevel::Write),
            permission("sqs:SendMessage", Mark::NotGranted, true, AccessLevel::Write),
        ],
        right_sized: Some(RightSized {
            policy: serde_json::json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "Kept", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}),
            kept: [("s3:GetObject".to_owned(), "used on 12 days".to_owned())].into(),
            removed: [("iam:PassRole".to_owned(), "not used in 21 days".to_owned())].into(),
            notes: vec!["look at `kms:Decrypt` by hand".into()],
        }),
    };
    let mut hostile = permission("<img src=x>:*", Mark::Used, true, AccessLevel::Read);
    hostile.granted = None;
    let idle = IdentityPosture {
        identity: "arn:aws:iam::1:role/\"><script>alert(1)</script>\u{202e}".into(),
        active_days: 1,
        first_used: Some(START),
        last_used: Some(START),
        permissions: vec![hostile],
        right_sized: None,
    };
    let agent = |name: &str, identity| AgentPosture {
        agent: name.into(),
        description: Some("answers *tickets*".into()),
        owner: Some("support-platform".into()),
        environment: Some("prod".into()),
        declared: 0,
        manifest: format!("agents/{name}.yaml"),
        identities: vec![identity],
    };
    Posture {
        covered: Some((START - 20 * DAY, START)),
        agents: vec![agent("support-bot", support), agent("<b>idle</b>", idle)],
        unclaimed: vec![Unclaimed {
            identity: "arn:aws:iam::1:user/|x|".into(),
            permissions: 3,
            uses: 9,
            last_used: START,
        }],
        unparsed: vec!["policies/broken.json: `Action` is a number".into()],
        data_events: vec!["s3".into()],
        trust: Trust::of([
            ("scope".to_owned(), "in".to_owned(), 97),
            ("scope".to_owned(), "unknown:resource_not_logged".to_owned(), 3),
            ("agreement".to_owned(), "agrees".to_owned(), 9),
            ("agreement".to_owned(), "succeeded_but_denied".to_owned(), 1),
        ]),
    }
}
