//! Agents in Azure and Google Cloud are held to their manifest like those in AWS, whatever envelope the logs come in.

use crate::support::folder::Folder;
use crate::support::records::Record;
use crate::support::remit::{remit, run};
use serde_json::{Value, json};

const APP: &str = "a9000000-0000-4000-8000-000000000001";
const BOT: &str = "janitor@acme-ops.iam.gserviceaccount.com";
const SHOP: &str = "/subscriptions/8d0f0000-0000-4000-8000-000000000001/resourceGroups/shop";

fn manifest() -> String {
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: janitor}}\nspec:\n  \
         owner: {{team: ops, oncall: pagerduty:P1}}\n  environment: prod\n  \
         identities: [{{azure.app: {APP}}}, {{gcp.service_account: {BOT}}}]\n  allow:\n    \
         - azure: {{actions: [Microsoft.Compute/virtualMachines/start/action], scope: \"{SHOP}\"}}\n    \
         - gcp: {{permissions: [storage.objects.get], resource: projects/_/buckets/notes}}\n"
    )
}

/// A call of Azure's control plane, as diagnostic settings export it.
fn azure(app: &str, action: &str, scope: &str, minute: u32) -> Value {
    json!({"time": format!("2026-01-05T10:{minute:02}:00Z"), "resourceId": scope.to_uppercase(), "category": "Administrative",
        "operationName": action.to_uppercase(), "resultType": "Success", "correlationId": format!("c{minute}"),
        "identity": {"authorization": {"action": action, "scope": scope},
            "claims": {"appid": app, "idtyp": "app", "oid": format!("0b{app}")}}})
}

/// A checked call of Google Cloud.
fn gcp(who: &str, permission: &str, resource: &str, minute: u32) -> Value {
    json!({"insertId": format!("i{minute}"), "timestamp": format!("2026-01-05T10:{minute:02}:00Z"),
        "logName": "projects/acme-ops/logs/cloudaudit.googleapis.com%2Fdata_access",
        "protoPayload": {"serviceName": "storage.googleapis.com", "methodName": permission, "resourceName": resource,
            "authenticationInfo": {"principalEmail": who},
            "authorizationInfo": [{"permission": permission, "resource": resource, "granted": true}]}})
}

fn vm(group: &str) -> String {
    format!("{}/providers/Microsoft.Compute/virtualMachines/web1", SHOP.replace("shop", group))
}

const NOTE: &str = "projects/_/buckets/notes/objects/1.txt";
const OTHER: &str = "projects/_/buckets/payroll/objects/1.txt";

/// (detection, subject, events) of each finding, and the summary.
fn replay(folder: &Folder, more: &[&str]) -> (Vec<(String, String, usize)>, Value) {
    let arguments = [&["replay", "logs", "--agents", "agents", "--output", "ndjson"], more].concat();
    let mut lines = remit(folder.path(), &arguments).expect(0).lines();
    let summary = lines.pop().unwrap()["summary"].clone();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let mut findings: Vec<_> = lines
        .iter()
        .inspect(|line| assert_eq!(line["agent"], "janitor", "{line}"))
        .map(|line| {
            (text(line, "detection"), text(line, "subject"), line["events"].as_array().unwrap().len())
        })
        .collect();
    findings.sort();
    (findings, summary)
}

fn logs() -> (Vec<Value>, Vec<Value>) {
    let activity = vec![
        azure(APP, "Microsoft.Compute/virtualMachines/start/action", &vm("shop"), 0),
        azure(APP, "Microsoft.Compute/virtualMachines/start/action", &vm("bank"), 1),
        azure(APP, "Microsoft.Compute/virtualMachines/delete", &vm("shop"), 2),
        azure("another-app", "Microsoft.Compute/virtualMachines/delete", &vm("shop"), 3),
    ];
    let audit = vec![
        gcp(BOT, "storage.objects.get", NOTE, 10),
        gcp(BOT, "storage.objects.get", OTHER, 11),
        gcp(BOT, "storage.objects.delete", NOTE, 12),
        gcp("ann@acme.io", "storage.objects.delete", NOTE, 13),
    ];
    (activity, audit)
}

/// What is out of scope, and only that: the declared calls and other people's stand beside it.
fn expected() -> Vec<(String, String, usize)> {
    let found = [
        ("DS01", "Microsoft.Compute/virtualMachines/delete"),
        ("DS01", "storage.objects.delete"),
        ("SC01", "Microsoft.Compute/virtualMachines/delete"),
        ("SC01", "storage.objects.delete"),
        ("SC04", "Microsoft.Compute/virtualMachines/start/action"),
        ("SC04", "storage.objects.get"),
    ];
    found.map(|(detection, subject)| (detection.to_owned(), subject.to_owned(), 1)).to_vec()
}

fn without_baseline(findings: Vec<(String, String, usize)>) -> Vec<(String, String, usize)> {
    findings.into_iter().filter(|(detection, ..)| !detection.starts_with("BL")).collect()
}

#[test]
fn calls_in_three_clouds_are_judged_alike() {
    let folder = Folder::new();
    folder.write("agents/janitor.yaml", manifest());
    let (activity, audit) = logs();
    folder.write("logs/azure.json", json!({"records": activity}).to_string());
    let lines: String = audit.iter().map(|entry| format!("{entry}\n")).collect();
    folder.write("logs/gcp.json", lines);
    folder.log("logs/aws.json.gz", &[Record::of_agent("nobody", "s3:DeleteObject").object("b", "k")]);
    let (findings, summary) = replay(&folder, &["--calls", "calls.ndjson"]);
    assert_eq!(without_baseline(findings), expected());
    assert_eq!(
        (&summary["read"], &summary["unique"], &summary["quarantined"]),
        (&json!(9), &json!(9), &json!(0))
    );

    let calls: Vec<Value> =
        folder.read("calls.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |permission: &str| -> Vec<String> {
        let wanted = calls.iter().filter(|call| call["permissions"][0] == permission);
        let mut verdicts: Vec<_> = wanted
            .map(|call| format!("{} {}", call["agent"].as_str().unwrap_or("-"), call["verdict"]))
            .collect();
        verdicts.sort();
        verdicts
    };
    assert_eq!(of("storage.objects.get"), ["janitor \"in\"", "janitor \"out\""]);
    assert_eq!(of("Microsoft.Compute/virtualMachines/delete"), ["- null", "janitor \"out\""]);
}

#[test]
fn an_envelope_changes_no_finding() {
    let folder = Folder::new();
    folder.write("agents/janitor.yaml", manifest());
    let (activity, audit) = logs();
    // A line each, of both clouds; and all of it a second time out of a subscription.
    let mixed: String = activity.iter().chain(&audit).map(|one| format!("{one}\n")).collect();
    folder.write("logs/mixed.json", mixed);
    let events: Vec<Value> = activity
        .iter()
        .chain(&audit)
        .map(|one| json!({"id": "1", "timestamp": 1, "message": one.to_string()}))
        .collect();
    folder.write("logs/again.json", json!({"messageType": "DATA_MESSAGE", "logEvents": events}).to_string());
    let (findings, summary) = replay(&folder, &[]);
    assert_eq!(without_baseline(findings), expected());
    let counts = ["read", "unique", "duplicates", "quarantined"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [16, 8, 8, 0]);
}

#[test]
fn what_exports_grant_is_told_for_each_cloud() {
    let folder = Folder::new();
    folder.write("agents/janitor.yaml", manifest());
    let (activity, audit) = logs();
    folder.write("logs/all.json", json!([activity, audit].concat()).to_string());
    let object_id = format!("0b{APP}");
    folder.write(
        "policies/azure/roles.json",
        json!([{"name": "r1", "roleName": "Starter", "assignableScopes": ["/"],
            "permissions": [{"actions": ["Microsoft.Compute/virtualMachines/start/action"]}]}])
        .to_string(),
    );
    folder.write(
        "policies/azure/assigned.json",
        json!([{"name": "a1", "principalId": object_id, "principalType": "ServicePrincipal", "roleDefinitionId": "r1", "scope": SHOP}])
            .to_string(),
    );
    folder.write(
        "policies/gcp/roles.json",
        json!([{"name": "roles/reader", "includedPermissions": ["storage.objects.get"]}]).to_string(),
    );
    folder.write(
        "policies/gcp/project-acme-ops.json",
        json!({"bindings": [{"role": "roles/reader", "members": [format!("serviceAccount:{BOT}")]}], "etag": "e"})
            .to_string(),
    );
    replay(&folder, &["--policies", "policies", "--calls", "calls.ndjson"]);
    let calls: Vec<Value> =
        folder.read("calls.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let grant = |id: &str| {
        let call = calls.iter().find(|call| call["event_id"].as_str().unwrap().starts_with(id)).unwrap();
        call["grant"].as_str().unwrap_or("-").to_owned()
    };
    assert_eq!([grant("c0:"), grant("c2:")], ["allowed", "denied"]);
    assert_eq!([grant("i10@"), grant("i12@")], ["allowed", "denied"]);
}

#[test]
fn a_tool_prints_what_was_understood() {
    let folder = Folder::new();
    let (activity, audit) = logs();
    let questions =
        [json!({"id": "azure", "record": activity[0]}), json!({"id": "gcp", "record": audit[0].to_string()})];
    let input: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let ask = |format: &str| -> Vec<Value> {
        let answers =
            run(folder.path(), &["tool", "events", "--format", format], &input, &[]).expect(0).lines();
        questions
            .iter()
            .map(|question| answers.iter().find(|answer| answer["id"] == question["id"]).unwrap().clone())
            .collect()
    };
    let all = ask("auto");
    assert_eq!(
        (&all[0]["event"]["provider"], &all[1]["event"]["provider"]),
        (&json!("azure"), &json!("gcp"))
    );
    assert_eq!(all[0]["event"]["workload"], APP);
    assert_eq!(all[1]["event"]["actor"], BOT);
    let one = ask("gcp-audit");
    assert!(one[0]["error"].is_string() && one[1]["event"].is_object(), "{one:?}");
}
