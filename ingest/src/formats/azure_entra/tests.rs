use serde_json::{Value, json};

use crate::inflate::Limits;
use crate::object::read_record;
use crate::redact::Redaction;

fn row(record: &Value) -> Value {
    read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap().view().to_json(0)
}

fn sign_in() -> Value {
    json!({"time": "2026-01-05T10:00:00Z", "resourceId": "/tenants/7e/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity", "category": "ServicePrincipalSignInLogs", "tenantId": "7E",
        "resultType": "0", "callerIpAddress": "203.0.113.9", "correlationId": "c1", "identity": "bot",
        "properties": {"id": "s1", "createdDateTime": "2026-01-05T09:59:58Z", "appId": "A9", "servicePrincipalId": "0B1",
            "uniqueTokenIdentifier": "u1", "servicePrincipalCredentialKeyId": "k1", "clientCredentialType": "clientSecret",
            "status": {"errorCode": 0}, "resourceServicePrincipalId": "r1"}})
}

#[test]
fn an_application_signs_in() {
    let row = row(&sign_in());
    assert_eq!(
        (&row["actor"], &row["actor_type"], &row["workload"]),
        (&json!("0b1"), &json!("ServicePrincipal"), &json!("a9"))
    );
    assert_eq!(
        (&row["event_id"], &row["session"], &row["credential"]),
        (&json!("s1"), &json!("u1"), &json!("k1"))
    );
    assert_eq!((&row["category"], &row["outcome"]), (&json!("signin"), &json!("success")));
    assert_eq!(row["credential_kind"], "client_secret");
    assert_eq!(row["agent_hint"], Value::Null);
}

#[test]
fn an_agents_sign_in_is_told_by_entra() {
    let hint = |kind: &str| {
        let mut record = sign_in();
        record["properties"]["agent"] = json!({"agentType": kind, "parentAppId": "b1"});
        let row = row(&record);
        (row["agent_hint"].clone(), row["actor_type"].clone())
    };
    assert_eq!(hint("agenticAppInstance"), (json!("entra-agent"), json!("AgentIdentity")));
    assert_eq!(hint("notAgentic"), (Value::Null, json!("ServicePrincipal")));
}

#[test]
fn a_sign_in_that_fails_is_told_from_one_that_is_refused() {
    let outcome = |code: i64, access: &str| {
        let mut record = sign_in();
        record["properties"]["status"] = json!({"errorCode": code, "failureReason": "why"});
        record["properties"]["conditionalAccessStatus"] = access.into();
        let row = row(&record);
        (row["outcome"].clone(), row["denied_by"].clone(), row["error_code"].clone())
    };
    assert_eq!(outcome(7_000_215, "notApplied"), (json!("failed"), Value::Null, json!("AADSTS7000215")));
    assert_eq!(
        outcome(53003, "failure"),
        (json!("denied"), json!("conditional_access"), json!("AADSTS53003"))
    );
}

#[test]
fn graph_prints_what_exports_put_under_properties() {
    let mut bare = sign_in()["properties"].clone();
    bare["ipAddress"] = "203.0.113.9".into();
    let (bare, export) = (row(&bare), row(&sign_in()));
    for column in ["event_id", "actor", "actor_id", "workload", "session", "outcome", "category", "source_ip"]
    {
        assert_eq!(bare[column], export[column], "{column}");
    }
}

#[test]
fn a_change_names_who_began_it_and_what_it_touched() {
    let change = json!({"time": "2026-01-05T10:00:00Z", "resourceId": "/tenants/7e/providers/Microsoft.aadiam",
        "operationName": "Add service principal credentials", "category": "AuditLogs", "tenantId": "7e", "correlationId": "c2",
        "properties": {"id": "d1", "result": "success", "activityDisplayName": "Add service principal credentials",
            "initiatedBy": {"user": {"id": "0B2", "userPrincipalName": "Ann@example.com", "ipAddress": "203.0.113.9"}},
            "targetResources": [{"id": "sp1", "type": "ServicePrincipal", "modifiedProperties": []}]}});
    let by_ann = row(&change);
    assert_eq!((&by_ann["actor"], &by_ann["actor_type"]), (&json!("ann@example.com"), &json!("User")));
    assert_eq!(
        (&by_ann["resources"], &by_ann["category"]),
        (&json!(["ServicePrincipal/sp1"]), &json!("directory"))
    );
    assert_eq!((&by_ann["outcome"], &by_ann["source_ip"]), (&json!("success"), &json!("203.0.113.9")));
    let mut refused = change;
    refused["properties"]["initiatedBy"] =
        json!({"app": {"servicePrincipalId": "0B1", "agentType": "agentIDuser"}});
    (refused["properties"]["result"], refused["properties"]["resultReason"]) =
        ("failure".into(), "Insufficient privileges to complete the operation.".into());
    let refused = row(&refused);
    assert_eq!((&refused["actor"], &refused["outcome"]), (&json!("0b1"), &json!("denied")));
    assert_eq!(refused["agent_hint"], "entra-agent");
}
