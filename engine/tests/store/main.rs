//! What the store promises: one transaction, one finding however its events come, alerts under one id.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

mod again;
mod alerts;
mod commits;

use engine::baseline::{ANY_PERMISSION, BaselineDelta, BaselineRule};
use engine::finding::{Evidence, Finding, FindingState, Sample, Severity};
use engine::grant::{Change, PolicyChange, PrincipalName, Tags, Touch};
use engine::incident::AlertKind;
use engine::manifest::UnparsedPolicy;
use engine::measure::{Measure, Measures};
use engine::seen::EventIds;
use engine::standing;
use engine::store::{
    AlertRule, Claim, ClaimToken, Close, Commit, Committed, DeliveryKey, Durability, FindingFilter, Origin,
    Store, StoredCommit, Terms, Wanted,
};
use engine::time::{DAY, HOUR, MINUTE, day_of};
use ingest::ObjectRef;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: i64 = 1_000 * DAY;
const BOT: &str = "arn:aws:iam::111122223333:role/agents/bot";

struct World {
    store: Store,
    objects: u32,
    _dir: tempfile::TempDir,
}

#[derive(Default)]
struct Part {
    events: Vec<String>,
    findings: Vec<Finding>,
    baseline: BaselineDelta,
    changes: Vec<PolicyChange>,
    touched: Vec<Touch>,
    measures: Measures,
    origin: Option<Origin>,
}

fn terms(settled: &BTreeSet<String>) -> Terms<'_> {
    Terms {
        settled,
        rule: BaselineRule { min_active_days: 2, lookback_days: 64 },
        alert_max_age: Some(DAY),
        now: NOW,
    }
}

impl Part {
    fn of(findings: Vec<Finding>) -> Part {
        let events = findings.iter().flat_map(|f| &f.events).map(|e| e.event_id.clone()).collect();
        Part { events, findings, ..Part::default() }
    }
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
        World { store, objects: 0, _dir: dir }
    }

    async fn claim(&mut self) -> ClaimToken {
        self.objects += 1;
        match self.store.claim(&format!("o{}", self.objects), "s", "place", HOUR, NOW).await.unwrap() {
            Claim::Mine(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    async fn claim_of(&self, object: &str) -> ClaimToken {
        match self.store.claim(object, "s", "place", HOUR, NOW).await.unwrap() {
            Claim::Mine(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    async fn commit_as(&self, claim: &ClaimToken, part: &Part) -> Committed {
        self.commit_together(&[(claim, part)]).await.remove(0)
    }

    async fn commit_together(&self, parts: &[(&ClaimToken, &Part)]) -> Vec<Committed> {
        let settled = BTreeSet::from(["BL02".to_owned()]);
        let events: Vec<EventIds> = parts
            .iter()
            .map(|(_, part)| part.events.iter().map(|id| ("111122223333", id)).collect())
            .collect();
        let commits = parts.iter().zip(&events).map(|((claim, part), events)| Commit {
            claim,
            place: "place",
            sha256: "",
            read: part.events.len() as i64,
            duplicates: 0,
            events,
            quarantined: &[],
            baseline: &part.baseline,
            findings: &part.findings,
            changes: &part.changes,
            touched: &part.touched,
            issued: &[],
            measures: &part.measures,
            log: None,
            origin: part.origin.as_ref(),
            is_outdated: false,
            readmitted: None,
            terms: terms(&settled),
        });
        self.store.commit_all(&commits.collect::<Vec<_>>()).await.unwrap()
    }

    async fn commit(&mut self, part: Part) -> StoredCommit {
        let claim = self.claim().await;
        match self.commit_as(&claim, &part).await {
            Committed::Stored(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    async fn commit_waiting(&self, waiting: &mut Vec<(ClaimToken, Part)>) {
        let together: Vec<(&ClaimToken, &Part)> = waiting.iter().map(|(claim, part)| (claim, part)).collect();
        let ended = self.commit_together(&together).await;
        assert!(ended.iter().all(|ended| matches!(ended, Committed::Stored(_))), "{ended:?}");
        waiting.clear();
    }

    async fn findings(&self) -> Vec<Finding> {
        let mut all = self.store.findings(&FindingFilter::default()).await.unwrap();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}

fn finding(detection: &str, permission: &str, event: &str, time: i64) -> Finding {
    let window_start = time.div_euclid(DAY) * DAY;
    Finding {
        id: Finding::id_of(detection, Some("bot"), BOT, permission, window_start),
        detection: detection.into(),
        family: detection.get(..2).unwrap().into(),
        severity: Severity::Medium,
        state: FindingState::Open,
        agent: Some("bot".into()),
        actor: BOT.into(),
        subject: permission.into(),
        window_start,
        title: format!("bot {permission} {event}"),
        why: String::new(),
        first_seen: time,
        last_seen: time,
        count: 1,
        events: vec![Evidence { time, event_id: event.into() }],
        frameworks: vec![],
        sample: Sample { permission: Some(permission.into()), ..Sample::default() },
        incident: None,
        close_reason: None,
        note: None,
        by: None,
    }
}

/// A use of a permission as a batch brings it: presence and the detection's candidate.
fn first_use(permission: &str, event: &str, time: i64) -> Part {
    let mut part = Part::of(vec![finding("BL02", permission, event, time)]);
    part.baseline.used(BOT, permission, time);
    part.baseline.used(BOT, ANY_PERMISSION, time);
    part
}

fn rule(min_severity: Severity) -> Vec<AlertRule> {
    vec![AlertRule { receiver: "soc".into(), min_severity }]
}
