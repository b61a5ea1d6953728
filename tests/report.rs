//! The report says the same in every form, gives away nothing, and proposes to remove only what is known unused.

use crate::support::browser::Browser;
use crate::support::eventually;
use crate::support::folder::{Config, Folder};
use crate::support::records::{self, Record};
use crate::support::remit::{Finished, Service, remit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A name that somebody who may write policies could choose.
const FORMULA: &str = "=HYPERLINK(evil.example)";

/// An agent that is granted four permissions and uses one.
fn stage() -> Folder {
    let folder = Folder::new();
    folder.agent("tidy", &[("ec2:DescribeInstances, s3:DeleteBucket", "*")]);
    let statement = |actions: &[&str]| json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    let mut conditional = statement(&["kms:CreateGrant"]);
    conditional["Condition"] = json!({"StringEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}});
    let observed = statement(&["ec2:DescribeInstances", "s3:DeleteBucket", "dynamodb:PutItem"]);
    let document = json!({"Version": "2012-10-17", "Statement": [observed, conditional]});
    let role = json!({
        "RoleName": "tidy", "RoleId": "AROA0000000000000004", "Arn": records::role("tidy"), "Path": "/agents/",
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
        "RolePolicyList": [{"PolicyName": FORMULA, "PolicyDocument": document}],
        "AttachedManagedPolicies": [], "InstanceProfileList": [], "Tags": [],
    });
    let export =
        json!({"RoleDetailList": [role], "UserDetailList": [], "GroupDetailList": [], "Policies": []});
    folder.write("policies/export.json", export.to_string());
    let uses: Vec<Record> = (0..3)
        .map(|day| {
            Record::of_agent("tidy", "ec2:DescribeInstances")
                .number(day)
                .minutes_ago(day as i64 * 24 * 60 + 5)
        })
        .collect();
    folder.log("logs/1.json.gz", &uses);
    let port = folder.configure(&Config::default().directory("logs", false));
    let service = Service::run(folder.path(), port);
    eventually("the log is judged", Duration::from_secs(60), || {
        service.metric("remit_objects_total", &["outcome=\"done\""]) == 1.0
    });
    folder
}

fn report(folder: &Folder, format: &str) -> Finished {
    remit(folder.path(), &["report", "-c", "remit.toml", "--format", format]).expect(0)
}

/// Every row of a permission in a JSON report, wherever it stands: permission and mark.
fn rows(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            if let (Some(Value::String(permission)), Some(Value::String(mark))) =
                (object.get("permission"), object.get("mark"))
            {
                found.push((permission.clone(), mark.clone()));
            }
            object.values().for_each(|value| rows(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| rows(value, found)),
        _ => {}
    }
}

/// The cells of a CSV text (RFC 4180).
fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => line.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                line.push(std::mem::take(&mut cell).trim_end_matches('\r').to_owned());
                lines.push(std::mem::take(&mut line));
            }
            other => cell.push(other),
        }
    }
    assert!(cell.is_empty() && line.is_empty(), "the last line ends");
    lines
}

#[test]
fn every_form_tells_the_same() {
    let folder = stage();
    let json = report(&folder, "json").json();
    let mut from_json = Vec::new();
    rows(&json, &mut from_json);
    from_json.sort();
    let marks: BTreeMap<&str, &str> =
        from_json.iter().map(|(name, mark)| (name.as_str(), mark.as_str())).collect();
    let expected = [
        ("dynamodb:PutItem", "unknowable"),
        ("ec2:DescribeInstances", "used"),
        ("kms:CreateGrant", "conditional"),
        ("s3:DeleteBucket", "unused"),
    ];
    assert_eq!(marks, BTreeMap::from(expected), "{json:#}");

    let table = cells(&report(&folder, "csv").stdout);
    let column = |name: &str| {
        table[0].iter().position(|cell| cell == name).unwrap_or_else(|| panic!("{:?}", table[0]))
    };
    let (permission, mark) = (column("permission"), column("mark"));
    let mut from_csv: Vec<_> =
        table[1..].iter().map(|row| (row[permission].clone(), row[mark].clone())).collect();
    from_csv.sort();
    assert_eq!(from_csv, from_json);
    assert!(table.iter().all(|row| row.len() == table[0].len()));
    for cell in table.iter().flatten() {
        assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']), "`{cell}` is a formula");
    }

    let markdown = report(&folder, "markdown").stdout;
    remit(folder.path(), &["report", "-c", "remit.toml", "--format", "html", "--out", "report.html"])
        .expect(0);
    let html = folder.read("report.html");
    for (permission, mark) in expected {
        for text in [&markdown, &html] {
            let at = text.match_indices(permission).any(|(at, _)| {
                let after: String = text[at..].chars().take(600).collect();
                after.to_lowercase().contains(mark)
            });
            assert!(at, "{permission} isn't {mark} in:\n{text}");
        }
    }
}

#[test]
fn the_html_report_is_one_file_that_asks_for_nothing() {
    let folder = stage();
    remit(folder.path(), &["report", "-c", "remit.toml", "--format", "html", "--out", "report.html"])
        .expect(0);
    let html = folder.read("report.html").to_lowercase();
    for forbidden in ["<script", " src=", "@import", "url(", "<link", "<iframe", "javascript:"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let mut browser = Browser::start();
    browser.open(&format!("file://{}", folder.path().join("report.html").display()));
    assert_eq!(browser.requests().len(), 1, "{:?}", browser.requests());
    assert_eq!(browser.complaints(), Vec::<&Value>::new());
    assert!(browser.value("document.body.innerText").as_str().unwrap().contains("tidy"));
}

/// The first object under a key, wherever it stands.
fn object<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => {
            let here = object.get(key).filter(|value| value.is_object());
            here.or_else(|| object.values().find_map(|value| self::object(value, key)))
        }
        Value::Array(list) => list.iter().find_map(|value| object(value, key)),
        _ => None,
    }
}

#[test]
fn the_proposed_policy_keeps_what_is_used_or_cannot_be_known() {
    let folder = stage();
    let json = report(&folder, "json").json();
    let policy =
        object(&json, "policy").unwrap_or_else(|| panic!("no policy is proposed: {json:#}")).to_string();
    assert!(policy.contains("ec2:DescribeInstances"), "{policy}");
    assert!(policy.contains("dynamodb:PutItem"), "its calls aren't logged: {policy}");
    assert!(!policy.contains("s3:DeleteBucket"), "unused and observable: {policy}");
}
