//! Every panel, rule and alert has data behind it: a query of a metric that isn't there gives an empty answer and
//! no error, so a real Prometheus is asked.

use crate::support::folder::Folder;
use crate::support::prometheus::{Prometheus, promtool};
use crate::support::remit::Service;
use crate::support::{eventually, free_port};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .{ending} in {}", folder.display());
    files
}

fn dashboards() -> Vec<(PathBuf, Value)> {
    let read = |path: PathBuf| {
        let value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path, value)
    };
    files("grafana/dashboards", "json").into_iter().map(read).collect()
}

/// Rule files, without the Prometheus configuration that may stand beside them.
fn rule_files() -> Vec<PathBuf> {
    let mut files = files("prometheus", "yaml");
    files.retain(|path| {
        std::fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with("groups:"))
    });
    assert!(!files.is_empty());
    files
}

/// Every panel, also those within rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut all = Vec::new();
    let mut lists = vec![&dashboard["panels"]];
    while let Some(list) = lists.pop() {
        for panel in list.as_array().into_iter().flatten() {
            lists.push(&panel["panels"]);
            all.push(panel);
        }
    }
    all
}

/// Every query of a dashboard: of its panels, and of its variables.
fn queries(dashboard: &Value) -> Vec<String> {
    let targets =
        panels(dashboard).into_iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.filter_map(|target| target["expr"].as_str().map(str::to_owned)).collect()
}

/// A query as Grafana would send it, with every variable at All.
fn substituted(query: &str) -> String {
    let mut query = query.to_owned();
    for (variable, value) in [
        ("$__rate_interval", "5m"),
        ("$__interval", "1m"),
        ("$__range", "5m"),
        ("${__range}", "5m"),
        ("${__rate_interval}", "5m"),
    ] {
        query = query.replace(variable, value);
    }
    let mut out = String::new();
    let mut rest = query.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        out += ".*";
        rest = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map(|(_, rest)| rest).unwrap_or_default(),
            None => after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
        };
    }
    out + rest
}

/// The selectors of our own metrics in an expression: `remit_events_total{provider="aws"}`.
fn selectors(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut rest = expression;
    while let Some(at) = rest.find("remit_") {
        let begins = !rest[..at].ends_with(is_name);
        let name: String = rest[at..].chars().take_while(|&c| is_name(c)).collect();
        let after = &rest[at + name.len()..];
        if begins {
            let labels =
                after.strip_prefix('{').and_then(|labels| labels.split_once('}')).map(|(labels, _)| labels);
            found.insert(labels.map_or(name.clone(), |labels| format!("{name}{{{labels}}}")));
        }
        rest = after;
    }
    found
}

#[test]
fn promtool_has_nothing_to_say() {
    for path in rule_files() {
        promtool(&["check", "rules", path.to_str().unwrap()], "").expect(0);
    }
    for path in files("prometheus", "yaml") {
        if std::fs::read_to_string(&path).unwrap().contains("scrape_configs:") {
            promtool(&["check", "config", "--syntax-only", path.to_str().unwrap()], "").expect(0);
        }
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/prometheus/tests");
    if tests.is_dir() {
        for path in files("prometheus/tests", "yaml") {
            promtool(&["test", "rules", path.to_str().unwrap()], "").expect(0);
        }
    }
}

#[test]
fn every_dashboard_keeps_the_house_rules() {
    let mut uids = BTreeSet::new();
    for (path, dashboard) in dashboards() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let uid = dashboard["uid"].as_str().unwrap_or_default().to_owned();
        assert!((8..=40).contains(&uid.len()), "{name}: uid `{uid}` has 8 to 40 characters");
        assert!(uids.insert(uid), "{name}: its uid is another's");
        assert!(!dashboard["title"].as_str().unwrap_or_default().is_empty(), "{name}: a title");
        assert!(dashboard["id"].is_null(), "{name}: an id belongs to one Grafana");
        assert!(dashboard["schemaVersion"].is_u64(), "{name}: a schemaVersion");
        assert!(dashboard["__inputs"].is_null(), "{name}: __inputs is for sharing only");
        assert_eq!(dashboard["timezone"], "utc", "{name}");
        let variables = dashboard["templating"]["list"].as_array().cloned().unwrap_or_default();
        assert!(
            variables.iter().any(|variable| variable["type"] == "datasource"),
            "{name}: a datasource variable"
        );
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            if panel["type"] == "row" {
                continue;
            }
            assert!(!title.is_empty(), "{name}: a panel without a title: {panel}");
            let described = panel["description"].as_str().is_some_and(|text| !text.trim().is_empty());
            assert!(described, "{name}: `{title}` has no description");
            if panel["type"] == "text" {
                continue;
            }
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            assert!(unit.is_string(), "{name}: `{title}` has no unit");
            let source = panel["datasource"]["uid"].as_str().unwrap_or_default();
            assert!(source.starts_with('$'), "{name}: `{title}` names a datasource of its own: {source}");
        }
        for query in queries(&dashboard) {
            assert!(!query.contains("=\"$"), "{name}: `{query}` can't stand All: match variables with =~");
            let counters = selectors(&query).into_iter().filter(|selector| selector.contains("_total"));
            for selector in counters {
                let is_rated =
                    ["rate(", "increase(", "irate(", "delta("].iter().any(|rate| query.contains(rate));
                assert!(is_rated, "{name}: a counter, {selector}, is shown bare: `{query}`");
            }
        }
    }
}

/// How often a query without data is asked again.
const TRIES: usize = 15;

#[test]
fn every_query_and_rule_gives_data_of_a_running_demo() {
    let folder = Folder::new();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let service = Service::spawn(folder.path(), &["demo", "--dir", "company", "--listen", &listen], port);
    // It says where to look once the month is judged.
    let page = service.url("/");
    eventually("the month is judged", Duration::from_secs(200), || service.stdout().contains(&page));
    promtool(&["check", "metrics"], &service.get("/metrics").text).expect(0);

    let prometheus = Prometheus::scraping(port, &rule_files());
    eventually("three scrapes", Duration::from_secs(60), || {
        let scrapes = prometheus.query("count_over_time(up{job=\"remit\"}[5m])").unwrap();
        scrapes.first().is_some_and(|series| {
            series["value"][1].as_str().is_some_and(|count| count.parse::<u32>().unwrap() >= 4)
        })
    });
    eventually("every rule was evaluated", Duration::from_secs(30), || {
        let rules = prometheus.rules();
        !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
    });

    let mut empty = Vec::new();
    // One scrape that comes too late, on a busy machine, takes every series away until the next.
    let data = |query: &str| {
        let mut told = prometheus.query(query);
        for _ in 0..TRIES {
            if told.as_ref().is_ok_and(|series| !series.is_empty()) {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
            told = prometheus.query(query);
        }
        told
    };
    let mut ask = |whose: String, query: &str| match data(query) {
        Ok(series) if !series.is_empty() => {}
        Ok(_) => empty.push(format!("{whose}: no data: {query}")),
        Err(error) => empty.push(format!("{whose}: {error}: {query}")),
    };
    let mut asked = 0;
    for (path, dashboard) in dashboards() {
        for query in queries(&dashboard) {
            ask(path.file_name().unwrap().to_string_lossy().into_owned(), &substituted(&query));
            asked += 1;
        }
    }
    let rules = prometheus.rules();
    for rule in &rules {
        let name = rule["name"].as_str().unwrap();
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        if rule["type"] == "recording" {
            ask(format!("rule {name}"), name);
        }
        // An alert that is quiet gives nothing; what it looks at must be there all the same.
        for selector in selectors(rule["query"].as_str().unwrap()) {
            ask(format!("rule {name}"), &selector);
        }
        asked += 1;
    }
    assert!(asked > 10, "{asked} queries and rules are hardly all");
    assert!(empty.is_empty(), "{empty:#?}");
}

#[test]
fn grafana_finds_what_it_is_provisioned_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana/provisioning");
    for folder in ["datasources", "dashboards"] {
        let text: String = files(&format!("grafana/provisioning/{folder}"), "yaml")
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        assert!(text.contains("apiVersion: 1"), "{}", root.join(folder).display());
    }
}
