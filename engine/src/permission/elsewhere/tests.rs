use super::*;
use crate::permission::foreign;
use ingest::{Limits, Redaction, read_record};
use serde_json::json;

struct Seen {
    told: Option<Vec<Needed>>,
    names: Vec<String>,
    principal: Option<String>,
    within: Vec<String>,
}

fn of(record: &Value) -> Seen {
    let batch = read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap();
    let view = batch.view();
    let told = elsewhere(&view, 0);
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Seen {
        names: told.as_ref().map(|told| owned(&told.names)).unwrap_or_default(),
        principal: told.as_ref().and_then(|told| told.principal.map(str::to_owned)),
        within: told.as_ref().map(|told| told.within.clone()).unwrap_or_default(),
        told: told.map(|told| told.needed),
    }
}

#[test]
fn each_permission_of_google_cloud_keeps_its_own_resources() {
    let check = |permission: &str, resource: &str| json!({"permission": permission, "resource": resource, "granted": true});
    let seen = of(&json!({"insertId": "i", "timestamp": "2026-01-05T10:00:00Z",
        "logName": "folders/7/logs/cloudaudit.googleapis.com%2Factivity",
        "protoPayload": {"serviceName": "compute.googleapis.com", "methodName": "v1.compute.instances.insert",
            "resourceName": "projects/p/zones/z/instances/i",
            "authenticationInfo": {"principalEmail": "bot@p.iam.gserviceaccount.com"},
            "authorizationInfo": [check("compute.instances.create", "projects/p/zones/z/instances/i"),
                check("compute.disks.create", "projects/p/zones/z/disks/d"),
                json!({"permission": "compute.networks.use", "granted": true})]}}));
    let needed = seen.told.unwrap();
    let resources: Vec<(&str, &[String])> =
        needed.iter().map(|one| (one.permission.as_str(), one.resources.as_slice())).collect();
    assert_eq!(
        resources,
        [
            ("compute.instances.create", &["projects/p/zones/z/instances/i".to_owned()][..]),
            ("compute.disks.create", &["projects/p/zones/z/disks/d".to_owned()][..]),
            // The log does not say which network.
            (
                "compute.networks.use",
                &["projects/p/zones/z/instances/i".to_owned(), "projects/p/zones/z/disks/d".to_owned()][..]
            ),
        ]
    );
    assert!(needed.iter().all(|one| one.certain));
    assert_eq!(seen.within, ["folders/7"]);
}

#[test]
fn a_call_of_azure_belongs_to_its_application_too() {
    let seen = of(
        &json!({"time": "2026-01-05T10:00:00Z", "category": "Administrative", "resultType": "Success",
        "resourceId": "/subscriptions/s/resourceGroups/g", "operationName": "Microsoft.Resources/subscriptions/resourceGroups/delete",
        "identity": {"claims": {"oid": "0B1", "appid": "A9", "upn": "Ann@example.com"}}}),
    );
    assert_eq!(seen.names, ["ann@example.com", "0b1", "a9"]);
    assert_eq!(seen.principal.as_deref(), Some("0b1"), "roles are assigned to object ids");
}

#[test]
fn a_row_of_aws_is_left_to_others() {
    let record = json!({"eventID": "e", "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject"});
    assert!(of(&record).told.is_none());
}

#[test]
fn sign_ins_and_changes_of_the_directory_need_no_role() {
    for category in ["SignInLogs", "AuditLogs"] {
        let record = json!({"time": "2026-01-05T10:00:00Z", "category": category, "tenantId": "t",
            "operationName": "Microsoft.Authorization/elevateAccess/action",
            "properties": {"userPrincipalName": "ann@example.com"}});
        assert_eq!(of(&record).told, Some(Vec::new()), "{category}");
    }
}

/// The row keeps what the record told: both ways of reading it meet.
#[test]
fn rows_and_records_tell_the_same() {
    let Ok(root) = std::env::var("REMIT_CONFORMANCE") else {
        println!("skipped: REMIT_CONFORMANCE is not set");
        return;
    };
    let mut compared = 0;
    for file in std::fs::read_dir(std::path::Path::new(&root).join("records")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|kind| kind != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let record = line.get("record").or(line.get("event")).unwrap_or(&line);
            let Ok(batch) = read_record(&record.to_string(), &Limits::default(), &Redaction::default())
            else {
                continue;
            };
            let view = batch.view();
            let (Some(row), Some(told)) = (elsewhere(&view, 0), foreign(record)) else { continue };
            let names = |certain: bool| -> Vec<&str> {
                row.needed
                    .iter()
                    .filter(|one| one.certain == certain)
                    .map(|one| one.permission.as_str())
                    .collect()
            };
            assert_eq!(names(true), told.certain, "{}: {record}", line["id"]);
            // Rows know a service whose name was lost as well, and what is guessed from it.
            let same = told.possible.is_empty() || names(false) == told.possible;
            assert!(same, "{}: {:?} {record}", line["id"], names(false));
            assert_eq!(row.cloud, told.cloud, "{}: {record}", line["id"]);
            // Rows know the log's name in other spellings too.
            let same = told.within.is_empty() || row.within == told.within;
            assert!(same, "{}: {:?} {record}", line["id"], row.within);
            let mut resources: Vec<String> = row
                .needed
                .iter()
                .flat_map(|one| one.resources.clone())
                .map(|one| one.to_ascii_lowercase())
                .collect();
            resources.sort();
            resources.dedup();
            let mut expected: Vec<String> =
                told.resources.iter().map(|one| one.to_ascii_lowercase()).collect();
            expected.sort();
            if !row.needed.is_empty() {
                assert_eq!(resources, expected, "{}: {record}", line["id"]);
            }
            compared += 1;
        }
    }
    assert!(compared > 300, "{compared}");
}
