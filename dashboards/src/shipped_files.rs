//! The Grafana and Prometheus files that we ship, held against the metrics that we export.

use crate::metrics::Standing;
use crate::{Labels, Metrics};
use engine::store::{Durability, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

fn read(below: &str) -> String {
    std::fs::read_to_string(path(below)).unwrap_or_else(|cause| panic!("{below}: {cause}"))
}

fn boards() -> Vec<(String, Value)> {
    let mut boards = vec![];
    for file in std::fs::read_dir(path("grafana/dashboards")).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        boards.push((name, serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap()));
    }
    assert!(boards.len() >= 2, "there are dashboards to look at");
    boards
}

/// The panels that show something: rows only divide.
fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

fn queries(board: &Value) -> Vec<(String, String)> {
    let mut queries = vec![];
    for panel in panels(board) {
        for target in panel["targets"].as_array().unwrap() {
            queries.push((
                panel["title"].as_str().unwrap().to_owned(),
                target["expr"].as_str().unwrap().to_owned(),
            ));
        }
    }
    queries
}

/// Every exported name with its type.
async fn exported() -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("remit.db"), Durability::None).await.unwrap();
    let labels = Labels {
        sources: vec!["trail".into()],
        receivers: vec!["slack".into()],
        detections: vec!["SC01".into()],
        reasons: vec!["bad_json".into()],
    };
    let metrics = Metrics::new("0.1.0", &labels).unwrap();
    let standing = Standing { agent: "bot".into(), active_days: 9, min_active_days: 7 };
    metrics.refresh(&store, &[standing]).await.unwrap();
    let text = metrics.render().unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Words of an expression that name a metric, or a recording rule.
fn names(expr: &str) -> BTreeSet<&str> {
    expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("remit_") || word.contains(":remit_"))
        .collect()
}

fn assert_known(place: &str, expr: &str, exported: &BTreeMap<String, String>) {
    assert!(!names(expr).is_empty(), "{place}: asks for no metric: {expr}");
    for name in names(expr) {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let is_histogram = |base: &str| exported.get(base).is_some_and(|kind| kind == "histogram");
        let is_known =
            exported.get(name).is_some_and(|kind| kind != "histogram") || base.is_some_and(is_histogram);
        assert!(is_known, "{place}: nothing exports `{name}`");
    }
}

/// The value of a `key: value` line of YAML, the block below it where the value is `|`.
fn values(yaml: &str, key: &str) -> Vec<String> {
    let lines: Vec<&str> = yaml.lines().collect();
    let mut values = vec![];
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start().trim_start_matches("- ");
        let Some(value) = trimmed.strip_prefix(&format!("{key}: ")) else { continue };
        let indent = line.len() - line.trim_start().len();
        let block = lines[at + 1..].iter().take_while(|l| l.len() - l.trim_start().len() > indent);
        values.push(if value == "|" {
            block.copied().collect::<Vec<_>>().join(" ")
        } else {
            value.to_owned()
        });
    }
    values
}

#[tokio::test]
async fn every_query_asks_for_metrics_that_exist() {
    let exported = exported().await;
    for (name, board) in boards() {
        for (title, expr) in queries(&board) {
            assert_known(&format!("{name}, {title}"), &expr, &exported);
        }
        for variable in board["templating"]["list"].as_array().unwrap() {
            if variable["type"] == "query" {
                assert_known(&name, variable["definition"].as_str().unwrap(), &exported);
            }
        }
    }
    for file in ["prometheus/rules.yaml", "prometheus/alerts.yaml"] {
        let exprs = values(&read(file), "expr");
        assert!(exprs.len() >= 10, "{file}: {} expressions", exprs.len());
        for expr in exprs {
            assert_known(file, &expr, &exported);
        }
    }
}

#[tokio::test]
async fn every_metric_is_looked_at_by_some_dashboard() {
    let asked: String =
        boards().iter().flat_map(|(_, board)| queries(board)).map(|(_, expr)| expr + " ").collect();
    for (name, _) in exported().await {
        assert!(asked.contains(&name), "no dashboard shows `{name}`");
    }
}

#[tokio::test]
async fn counters_are_asked_for_their_growth_and_never_over_a_fixed_time() {
    let exported = exported().await;
    for (board, json) in boards() {
        for (title, expr) in queries(&json) {
            let place = format!("{board}, {title}");
            // What was given up over the store's life is a number to see as it is.
            let is_total = title == "Given up";
            for name in
                names(&expr).into_iter().filter(|name| name.ends_with("_total") || name.ends_with("_bucket"))
            {
                let base = name.strip_suffix("_bucket").unwrap_or(name);
                assert!(matches!(exported[base].as_str(), "counter" | "histogram"), "{place}");
                let grows = ["rate(", "increase("].iter().any(|f| expr.contains(&format!("{f}{name}{{")));
                assert!(grows || is_total, "{place}: `{name}` is not under rate or increase");
            }
            for range in expr.split('[').skip(1).filter_map(|rest| rest.split(']').next()) {
                assert!(["$__rate_interval", "$__range"].contains(&range), "{place}: fixed range [{range}]");
            }
        }
    }
}

#[test]
fn dashboards_keep_the_conventions() {
    let mut uids = BTreeSet::new();
    for (name, board) in boards() {
        let uid = board["uid"].as_str().unwrap();
        assert!((8..=40).contains(&uid.len()) && uids.insert(uid.to_owned()), "{name}: uid `{uid}`");
        assert!(
            board["id"].is_null() && board.get("__inputs").is_none(),
            "{name}: made to be imported, not provisioned"
        );
        for (key, value) in [
            ("schemaVersion", 39.into()),
            ("editable", false.into()),
            ("timezone", "utc".into()),
            ("refresh", "1m".into()),
            ("tags", serde_json::json!(["remit"])),
        ] {
            assert_eq!(board[key], value, "{name}: {key}");
        }
        assert!(!board["links"].as_array().unwrap().is_empty(), "{name}: no links");
        let variables: Vec<_> = board["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].as_str().unwrap())
            .collect();
        assert_eq!(variables, ["datasource", "job", "instance", "page"], "{name}");
        for variable in
            board["templating"]["list"].as_array().unwrap().iter().filter(|v| v["type"] == "query")
        {
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
        }
    }
}

#[test]
fn panels_say_what_they_show() {
    for (name, board) in boards() {
        let mut titles = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_i64().unwrap()), "{name}: two panels have one id");
            let place = &panel["gridPos"];
            assert!(
                place["x"].as_i64().unwrap() + place["w"].as_i64().unwrap() <= 24,
                "{name}: beyond the grid"
            );
        }
        for panel in panels(&board) {
            let title = panel["title"].as_str().unwrap();
            assert!(titles.insert(title), "{name}: `{title}` twice");
            let text = |value: &Value| value.as_str().unwrap_or("").len();
            assert!(text(&panel["description"]) > 15, "{name}, {title}: no description");
            assert!(text(&panel["fieldConfig"]["defaults"]["unit"]) > 0, "{name}, {title}: no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}, {title}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}, {title}");
                let expr = target["expr"].as_str().unwrap();
                let selectors = expr.matches(r#"job=~"$job", instance=~"$instance""#).count();
                let metrics: usize =
                    names(expr).iter().map(|name| expr.matches(&format!("{name}{{")).count()).sum();
                assert_eq!(selectors, metrics, "{name}, {title}: a selector without job and instance");
            }
        }
    }
}

#[test]
fn the_data_source_that_dashboards_start_with_is_provisioned() {
    let provisioned = values(&read("grafana/provisioning/datasources/remit.yaml"), "uid");
    for (name, board) in boards() {
        let uid = board["templating"]["list"][0]["current"]["value"].as_str().unwrap();
        assert_eq!(provisioned, [uid], "{name}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do_and_has_a_story() {
    let (alerts, stories, readme) =
        (read("prometheus/alerts.yaml"), read("prometheus/tests/alerts.yaml"), read("README.md"));
    let names = values(&alerts, "alert");
    for key in ["severity", "summary", "description", "runbook_url"] {
        assert_eq!(values(&alerts, key).len(), names.len(), "{key}");
    }
    for (name, runbook) in names.iter().zip(values(&alerts, "runbook_url")) {
        assert_eq!(runbook, format!("dashboards/README.md#{}", name.to_lowercase()));
        assert!(readme.lines().any(|line| line == format!("### {name}")), "{name} has no runbook");
        assert!(stories.contains(&format!("alertname: {name}\n")), "no story fires {name}");
    }
}

#[test]
fn recording_rules_are_named_level_metric_operation() {
    let rules = read("prometheus/rules.yaml");
    let records = values(&rules, "record");
    assert_eq!(records.len(), values(&rules, "expr").len());
    for record in records {
        let parts: Vec<&str> = record.split(':').collect();
        assert!(parts.len() == 3 && parts[1].starts_with("remit_"), "{record}");
    }
}
