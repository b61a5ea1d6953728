use super::*;
use engine::store::Durability;

fn labels() -> Labels {
    Labels {
        sources: vec!["trail".into()],
        receivers: vec!["soc-slack".into(), "pager".into()],
        detections: vec!["SC01".into()],
        reasons: vec!["bad_json".into()],
    }
}

fn metrics() -> Metrics {
    Metrics::new("0.1.0", &labels()).unwrap()
}

/// The names that dashboards and rules are written against.
const NAMES: [&str; 50] = [
    "remit_agent_state",
    "remit_agents",
    "remit_build_info",
    "remit_canary_last_success_timestamp_seconds",
    "remit_canary_lost_total",
    "remit_clock_jump_seconds",
    "remit_commit_duration_seconds",
    "remit_conservation_breaches",
    "remit_conservation_checked_timestamp_seconds",
    "remit_conservation_parts",
    "remit_detection_delay_seconds",
    "remit_events_duplicate_total",
    "remit_events_quarantined_total",
    "remit_events_total",
    "remit_events_unfamiliar_total",
    "remit_findings_open",
    "remit_findings_total",
    "remit_grant_agreement_total",
    "remit_heartbeats_total",
    "remit_incidents_open",
    "remit_incidents_silenced",
    "remit_ingest_backlog_objects",
    "remit_ingest_watermark_timestamp_seconds",
    "remit_judge_duration_seconds",
    "remit_lake_bytes_total",
    "remit_lake_commit_duration_seconds",
    "remit_lake_commit_failures_total",
    "remit_lake_commit_timestamp_seconds",
    "remit_lake_pending_rows",
    "remit_lake_rows_total",
    "remit_ledger_attested_through_timestamp_seconds",
    "remit_ledger_chains",
    "remit_ledger_digest_problems",
    "remit_ledger_files",
    "remit_ledger_gaps",
    "remit_ledger_recalled_total",
    "remit_ledger_sweeps_total",
    "remit_manifest_warnings",
    "remit_notifications_total",
    "remit_objects_total",
    "remit_receiver_dead_total",
    "remit_receiver_queue_depth",
    "remit_receiver_sends_total",
    "remit_source_oldest_object_seconds",
    "remit_source_paused",
    "remit_source_restarts_total",
    "remit_store_errors_total",
    "remit_store_halted",
    "remit_verdicts_total",
    "remit_verdicts_unknown_total",
];

fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.render().unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
    (dir, store)
}

fn standing(agent: &str, active_days: u32) -> Standing {
    Standing { agent: agent.into(), active_days, min_active_days: 7 }
}

#[tokio::test]
async fn every_name_is_there_from_the_start() {
    let (_dir, store) = store().await;
    let metrics = metrics();
    metrics.refresh(&store, &[standing("bot", 9)]).await.unwrap();
    let text = metrics.render().unwrap();
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    names.sort_unstable();
    assert_eq!(names, NAMES);
}

#[test]
fn known_series_start_at_zero() {
    let metrics = metrics();
    for series in [
        r#"remit_events_total{provider="aws",source="trail"}"#,
        r#"remit_events_quarantined_total{provider="aws",reason="bad_json"}"#,
        r#"remit_objects_total{outcome="failed",source="trail"}"#,
        r#"remit_notifications_total{outcome="quarantined"}"#,
        r#"remit_findings_total{detection="SC01",severity="critical"}"#,
        r#"remit_verdicts_total{verdict="unknown"}"#,
        r#"remit_receiver_sends_total{outcome="ambiguous",receiver="pager"}"#,
        r#"remit_receiver_dead_total{receiver="soc-slack"}"#,
        r#"remit_ingest_watermark_timestamp_seconds{provider="aws"}"#,
        "remit_detection_delay_seconds_count",
        "remit_store_errors_total",
    ] {
        assert_eq!(value(&metrics, series), Some(0.0), "{series}");
    }
    assert_eq!(value(&metrics, r#"remit_build_info{version="0.1.0"}"#), Some(1.0));
}

#[test]
fn what_is_not_known_is_counted_as_other_and_makes_no_series() {
    let metrics = metrics();
    metrics.quarantined("aws", "bad_json", 2);
    metrics.quarantined("aws", "<script>", 3);
    metrics.quarantined("mars", "bad_json", 4);
    metrics.events("trail", "aws", 5);
    metrics.events("nobody", "aws", 6);
    metrics.finding("ZZ99", Severity::High);
    for (series, n) in [
        (r#"remit_events_quarantined_total{provider="aws",reason="bad_json"}"#, 2.0),
        (r#"remit_events_quarantined_total{provider="aws",reason="other"}"#, 3.0),
        (r#"remit_events_quarantined_total{provider="other",reason="bad_json"}"#, 4.0),
        (r#"remit_events_total{provider="aws",source="trail"}"#, 5.0),
        (r#"remit_events_total{provider="aws",source="other"}"#, 6.0),
        (r#"remit_findings_total{detection="other",severity="high"}"#, 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(n), "{series}");
    }
    assert!(!metrics.render().unwrap().contains("script"));
}

#[test]
fn the_watermark_never_goes_back() {
    let metrics = metrics();
    let series = r#"remit_ingest_watermark_timestamp_seconds{provider="aws"}"#;
    assert_eq!(metrics.newest("aws"), None);
    metrics.watermark("aws", 2_000_000);
    metrics.watermark("aws", 1_000_000);
    assert_eq!((value(&metrics, series), metrics.newest("aws")), (Some(2.0), Some(2_000_000)));
}

#[test]
fn a_delay_is_counted_from_the_event_and_never_below_zero() {
    let metrics = metrics();
    metrics.told(0, 90_000_000);
    metrics.told(90_000_000, 0);
    assert_eq!(value(&metrics, "remit_detection_delay_seconds_sum"), Some(90.0));
    assert_eq!(value(&metrics, r#"remit_detection_delay_seconds_bucket{le="60"}"#), Some(1.0));
}

#[tokio::test]
async fn agents_beyond_the_cap_are_counted_together() {
    let (_dir, store) = store().await;
    let metrics = metrics();
    let many: Vec<Standing> =
        (0..AGENTS_MAX + 20).map(|n| standing(&format!("agent-{n:05}"), n as u32 % 2 * 9)).collect();
    metrics.refresh(&store, &many).await.unwrap();
    let text = metrics.render().unwrap();
    assert_eq!(text.lines().filter(|l| l.starts_with("remit_agent_state{")).count(), AGENTS_MAX + 2);
    assert_eq!(value(&metrics, r#"remit_agent_state{agent="other",state="silent"}"#), Some(10.0));
    assert_eq!(value(&metrics, "remit_agents"), Some((AGENTS_MAX + 20) as f64));

    metrics.refresh(&store, &many[..1]).await.unwrap();
    assert_eq!(
        value(&metrics, r#"remit_agent_state{agent="other",state="silent"}"#),
        None,
        "gone agents leave"
    );
}

#[test]
fn an_agent_is_in_its_worst_state() {
    for (days, worst, state) in [
        (0, None, AgentState::Silent),
        (6, None, AgentState::Learning),
        (7, None, AgentState::Ok),
        (7, Some(Severity::Medium), AgentState::Drift),
        (0, Some(Severity::High), AgentState::Violation),
    ] {
        assert_eq!(standing("bot", days).state(worst), state);
    }
}
