use super::*;
use crate::manifest::history::snapshot_of;
use chrono::DateTime;

fn side(spec: &str) -> Snapshot {
    sides(&[("ant", spec)])
}

fn sides(agents: &[(&str, &str)]) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    for (name, spec) in agents {
        let spec = spec.lines().map(|line| format!("  {line}\n")).collect::<String>();
        let text = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities:\n    \
             - aws.role: arn:aws:iam::111122223333:role/{name}\n{spec}"
        );
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    }
    let now = DateTime::from_timestamp(1_763_600_000, 0).unwrap();
    snapshot_of(folder.path(), now).unwrap()
}

fn entry(actions: &str, resource: &str) -> String {
    format!("  - aws: {{actions: [{actions}], resources: [\"arn:aws:s3:::{resource}\"]}}\n")
}

#[track_caller]
fn one(before: &str, after: &str) -> AgentChange {
    let mut changes = difference(&side(before), &side(after));
    assert_eq!(changes.len(), 1, "{changes:#?}");
    changes.remove(0)
}

fn resources(changes: &[Change]) -> Vec<(Vec<&'static str>, Vec<String>)> {
    let resources = |change: &Change| match change {
        Change::Resources { permissions, resources, .. } => Some((permissions.clone(), resources.clone())),
        _ => None,
    };
    changes.iter().filter_map(resources).collect()
}

fn permissions(changes: &[Change]) -> Vec<&'static str> {
    let permissions = |change: &Change| match change {
        Change::Permissions { permissions } => Some(permissions.clone()),
        _ => None,
    };
    changes.iter().filter_map(permissions).flatten().collect()
}

#[test]
fn a_new_permission_widens_and_a_lost_one_narrows() {
    let before = format!("allow:\n{}", entry("\"s3:GetObject\", \"s3:GetObjectTagging\"", "acme/*"));
    let after = format!("allow:\n{}", entry("\"s3:GetObject\", \"s3:DeleteObject\"", "acme/*"));
    let change = one(&before, &after);
    assert_eq!(permissions(&change.widened), ["s3:DeleteObject"]);
    assert_eq!(permissions(&change.narrowed), ["s3:GetObjectTagging"]);
    let acme = vec!["arn:aws:s3:::acme/*".to_owned()];
    assert_eq!(resources(&change.widened), [(vec!["s3:DeleteObject"], acme.clone())]);
    assert_eq!(resources(&change.narrowed), [(vec!["s3:GetObjectTagging"], acme)]);
}

#[test]
fn another_resource_widens_without_a_new_permission() {
    let get = |resource: &str| format!("allow:\n{}", entry("\"s3:GetObject\"", resource));
    let change = one(&get("acme/a/*"), &get("acme/*"));
    assert_eq!((permissions(&change.widened).len(), change.narrowed.len()), (0, 0));
    assert_eq!(resources(&change.widened), [(vec!["s3:GetObject"], vec!["arn:aws:s3:::acme/*".to_owned()])]);
    let moved = one(&get("acme/*"), &get("other/*"));
    assert_eq!((resources(&moved.widened).len(), resources(&moved.narrowed).len()), (1, 1));
}

#[test]
fn words_that_mean_the_same_are_no_change() {
    let apart =
        format!("allow:\n{}{}", entry("\"s3:GetObject\"", "acme/*"), entry("\"s3:PutObject\"", "acme/*"));
    let together = format!("allow:\n{}", entry("\"s3:PutObject\", \"s3:GetObject\"", "acme/*"));
    assert_eq!(difference(&side(&apart), &side(&together)), []);
}

#[test]
fn a_deny_is_seen_for_what_it_takes_away() {
    let allow = format!("allow:\n{}", entry("\"s3:GetObject\", \"s3:PutObject\"", "acme/*"));
    let denied = format!("{allow}deny:\n{}", entry("\"s3:PutObject\"", "*"));
    let change = one(&allow, &denied);
    assert_eq!(change.widened, []);
    assert_eq!(resources(&change.narrowed), [(vec!["s3:PutObject"], vec!["arn:aws:s3:::acme/*".to_owned()])]);
    let useless = format!("{allow}deny:\n{}", entry("\"s3:PutObject\"", "other/*"));
    assert_eq!(difference(&side(&allow), &side(&useless)), [], "it takes nothing that was allowed");
}

#[test]
fn bounds_and_dates_widen_and_narrow_by_what_they_allow() {
    let key = |changes: &[Change]| -> Vec<String> {
        let key = |change: &Change| match change {
            Change::Key { key, .. } => key.clone(),
            _ => String::new(),
        };
        changes.iter().map(key).collect()
    };
    let narrow =
        "expires: 2026-12-31\nbounds: {regions: [eu-west-1], session_max: 1h, rate: {calls_per_minute: 90}}";
    let wide = "expires: 2027-12-31\nbounds: {regions: [eu-west-1, us-east-1], session_max: 12h, rate: {calls_per_minute: 300}}";
    let every = ["bounds.rate.calls_per_minute", "bounds.regions", "bounds.session_max", "expires"];
    let widened = one(narrow, wide);
    assert_eq!((key(&widened.widened), widened.narrowed.len()), (every.map(str::to_owned).to_vec(), 0));
    let narrowed = one(wide, narrow);
    assert_eq!((key(&narrowed.narrowed), narrowed.widened.len()), (every.map(str::to_owned).to_vec(), 0));
    assert_eq!(key(&one("purpose: x", narrow).narrowed).len(), 4, "a bound where there was none");
    assert_eq!(key(&one("purpose: x", "purpose: y").other), ["purpose"]);
}

#[test]
fn agents_come_and_go() {
    let read = format!("allow:\n{}", entry("\"s3:GetObject\"", "acme/*"));
    let (one, two) = (sides(&[("ant", &read)]), sides(&[("ant", &read), ("bee", &read)]));
    let come = difference(&one, &two);
    assert_eq!((come[0].agent.as_str(), come[0].fate), ("bee", Fate::Added));
    assert_eq!(permissions(&come[0].widened), ["s3:GetObject"]);
    let gone = difference(&two, &one);
    assert_eq!((gone.len(), gone[0].fate), (1, Fate::Removed));
    assert_eq!(permissions(&gone[0].narrowed), ["s3:GetObject"]);
}

#[test]
fn a_condition_that_became_another_is_told() {
    let with = |network: &str| {
        let folder = tempfile::tempdir().unwrap();
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {{"IpAddress": {{"aws:SourceIp": "{network}"}}}}}}]}}"#
        );
        std::fs::write(folder.path().join("ant.json"), policy).unwrap();
        let text = "apiVersion: remit/v1\nkind: Agent\nmetadata: {name: ant}\nspec:\n  \
                    identities: [{aws.role: \"arn:aws:iam::111122223333:role/ant\"}]\n  \
                    allow: [{from: {aws_policy: ant.json}}]\n";
        std::fs::write(folder.path().join("ant.yaml"), text).unwrap();
        snapshot_of(folder.path(), DateTime::from_timestamp(1_763_600_000, 0).unwrap()).unwrap()
    };
    let changes = difference(&with("10.0.0.0/8"), &with("0.0.0.0/0"));
    let Change::Condition { keys, .. } = &changes[0].other[0] else { panic!("{changes:#?}") };
    assert_eq!(keys, &["aws:SourceIp"]);
    assert_eq!(difference(&with("10.0.0.0/8"), &with("10.0.0.0/8")), []);
}
