use serde_json::{Value, json};

use crate::event::EventBatch;
use crate::inflate::Limits;
use crate::object::read_record;
use crate::quarantine::reason;
use crate::redact::Redaction;

const VM: &str = "/subscriptions/8d0f0000-0000-4000-8000-000000000001/resourceGroups/Shop/providers/Microsoft.Compute/virtualMachines/web1";

fn read(record: &Value) -> EventBatch {
    read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap()
}

fn row(record: &Value) -> Value {
    read(record).view().to_json(0)
}

/// An item of `records[]`, as diagnostic settings export it.
fn exported() -> Value {
    json!({
        "time": "2026-01-05T10:00:00.1234567Z",
        "resourceId": VM.to_uppercase(),
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE",
        "category": "Administrative",
        "resultType": "Success",
        "resultSignature": "Succeeded.OK",
        "callerIpAddress": "203.0.113.9",
        "correlationId": "c1",
        "level": "Information",
        "location": "westeurope",
        "tenantId": "7E000000-0000-4000-8000-000000000001",
        "identity": {
            "authorization": {"scope": VM, "action": "Microsoft.Compute/virtualMachines/delete",
                "evidence": {"role": "Contributor", "roleAssignmentId": "a1",
                    "principalId": "0B000000-0000-4000-8000-000000000001", "principalType": "ServicePrincipal"}},
            "claims": {"appid": "A9000000-0000-4000-8000-000000000001", "appidacr": "1", "uti": "uti-1", "iat": "1767600000",
                "http://schemas.microsoft.com/identity/claims/objectidentifier": "0B000000-0000-4000-8000-000000000001"}},
        "properties": {"statusCode": "OK", "serviceRequestId": null}
    })
}

/// The same event as the REST interface prints it.
fn printed() -> Value {
    let export = exported();
    json!({
        "authorization": export["identity"]["authorization"],
        "caller": "0b000000-0000-4000-8000-000000000001",
        "claims": export["identity"]["claims"],
        "correlationId": "c1",
        "eventDataId": "e1",
        "eventName": {"value": "EndRequest", "localizedValue": "End request"},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "httpRequest": {"clientIpAddress": "203.0.113.9", "method": "DELETE"},
        "operationName": {"value": "Microsoft.Compute/virtualMachines/delete", "localizedValue": "Delete"},
        "resourceId": VM,
        "resourceProviderName": {"value": "Microsoft.Compute"},
        "status": {"value": "Succeeded"},
        "subStatus": {"value": "OK"},
        "eventTimestamp": "2026-01-05T10:00:00.1234567Z",
        "submissionTimestamp": "2026-01-05T10:02:00Z",
        "subscriptionId": "8d0f0000-0000-4000-8000-000000000001",
        "tenantId": "7e000000-0000-4000-8000-000000000001"
    })
}

#[test]
fn an_export_becomes_a_row() {
    let row = row(&exported());
    let expected = json!({
        "time": "2026-01-05T10:00:00.123456Z",
        "provider": "azure",
        "account": "8d0f0000-0000-4000-8000-000000000001",
        "service": "Microsoft.Compute",
        "operation": "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE",
        "category": "management",
        "event_type": "Administrative",
        "read_only": false,
        "outcome": "success",
        "actor": "0b000000-0000-4000-8000-000000000001",
        "actor_id": "0b000000-0000-4000-8000-000000000001",
        "actor_type": "ServicePrincipal",
        "actor_account": "7e000000-0000-4000-8000-000000000001",
        "workload": "a9000000-0000-4000-8000-000000000001",
        "session": "uti-1",
        "session_started": "2026-01-05T08:00:00Z",
        "credential_kind": "client_secret",
        "source_ip": "203.0.113.9",
        "source_kind": "ip",
        "region": "westeurope",
        "request_id": "c1",
        "resources": [VM.to_lowercase()],
    });
    for (column, value) in expected.as_object().unwrap() {
        assert_eq!(&row[column], value, "{column}");
    }
    assert!(
        row["event_id"].as_str().unwrap().starts_with("c1:"),
        "a correlation is shared by several events"
    );
    assert!(row["granted"].as_str().unwrap().contains("roleAssignmentId"));
}

#[test]
fn every_form_of_an_event_tells_the_same() {
    let export = row(&exported());
    let mut table = json!({"TimeGenerated": "1/5/2026 10:00:00.1234567 AM", "OperationNameValue": "Microsoft.Compute/virtualMachines/delete",
        "OperationName": "Delete Virtual Machine", "CategoryValue": "Administrative", "ActivityStatusValue": "Success",
        "CallerIpAddress": "203.0.113.9", "CorrelationId": "c1", "_ResourceId": VM.to_lowercase(), "ResourceId": VM,
        "SubscriptionId": "8d0f0000-0000-4000-8000-000000000001", "TenantId": "7e000000-0000-4000-8000-000000000001"});
    table["Authorization"] = exported()["identity"]["authorization"].to_string().into();
    table["Claims"] = exported()["identity"]["claims"].to_string().into();
    for other in [printed(), table] {
        let other = row(&other);
        for column in [
            "time",
            "provider",
            "account",
            "service",
            "category",
            "read_only",
            "outcome",
            "actor",
            "actor_id",
            "actor_type",
            "workload",
            "session",
            "credential_kind",
            "source_ip",
            "resources",
            "request_id",
        ] {
            assert_eq!(other[column], export[column], "{column}");
        }
    }
    assert_eq!(row(&printed())["event_id"], "e1", "Azure's own id where it tells one");
}

#[test]
fn a_person_is_known_by_the_sign_in_name() {
    let mut record = exported();
    record["identity"] = json!({"claims": {"idtyp": "user", "oid": "0B2", "appid": "04b07795",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "Ann@Example.com",
        "http://schemas.microsoft.com/claims/authnmethodsreferences": "pwd,mfa"}});
    let row = row(&record);
    assert_eq!((&row["actor"], &row["actor_id"]), (&json!("ann@example.com"), &json!("0b2")));
    assert_eq!((&row["actor_type"], &row["mfa"]), (&json!("User"), &json!(true)));
    assert_eq!(row["agent_hint"], Value::Null);
}

#[test]
fn an_agents_token_says_so_and_for_whom() {
    let mut record = exported();
    record["identity"]["claims"]["xms_act_fct"] = "3 9 11".into();
    record["identity"]["claims"]["xms_par_app_azp"] = "b1".into();
    let alone = row(&record);
    assert_eq!((&alone["agent_hint"], &alone["agent_evidence"]), (&json!("entra-agent"), &json!("cloud")));
    assert_eq!((&alone["actor_type"], &alone["on_behalf_of"]), (&json!("AgentIdentity"), &Value::Null));
    record["identity"]["authorization"]["evidence"] = json!({});
    record["identity"]["claims"]["upn"] = "ann@example.com".into();
    record["identity"]["claims"]["idtyp"] = "user".into();
    let for_ann = row(&record);
    assert_eq!(
        (&for_ann["actor"], &for_ann["on_behalf_of"]),
        (&json!("ann@example.com"), &json!("ann@example.com"))
    );
    // Another application's facets are no agent's.
    record["identity"]["claims"]["xms_act_fct"] = "3 9".into();
    record["identity"]["claims"].as_object_mut().unwrap().remove("xms_par_app_azp");
    assert_eq!(row(&record)["agent_hint"], Value::Null);
}

#[test]
fn outcomes_are_told_apart() {
    let outcome = |status: &str, message: Value| {
        let mut record = exported();
        record["resultType"] = status.into();
        record["resultSignature"] = Value::Null;
        record["properties"] = json!({"statusMessage": message});
        let row = row(&record);
        (row["outcome"].as_str().unwrap().to_owned(), row["denied_by"].clone(), row["error_code"].clone())
    };
    let error = |code: &str| Value::String(json!({"error": {"code": code, "message": "m"}}).to_string());
    assert_eq!(outcome("Success", Value::Null), ("success".into(), Value::Null, Value::Null));
    assert_eq!(outcome("Start", Value::Null).0, "unknown", "it may still fail");
    assert_eq!(
        outcome("Failure", error("AuthorizationFailed")),
        ("denied".into(), Value::Null, json!("AuthorizationFailed"))
    );
    assert_eq!(outcome("Failed", error("RequestDisallowedByPolicy")).1, json!("azure_policy"));
    assert_eq!(outcome("Failed", error("ScopeLocked")).1, json!("lock"));
    assert_eq!(outcome("Failed", error("Conflict")), ("failed".into(), Value::Null, json!("Conflict")));
    assert_eq!(outcome("", Value::Null).0, "unknown");
}

#[test]
fn what_was_sent_is_shown_without_secrets() {
    let mut record = exported();
    record["properties"]["requestbody"] =
        json!({"properties": {"osProfile": {"adminPassword": "hunter2", "computerName": "web1"}}})
            .to_string()
            .into();
    let row = row(&record);
    assert!(row["request"].as_str().unwrap().contains("web1"));
    assert!(!row.to_string().contains("hunter2"), "{row}");
}

#[test]
fn what_is_malformed_is_named() {
    let reason = |field: &str, value: Value| {
        let mut record = exported();
        record[field] = value;
        read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap_err().reason
    };
    assert_eq!(reason("time", Value::Null), reason::MISSING_FIELD);
    assert_eq!(reason("time", json!("soon")), reason::BAD_TIME);
    assert_eq!(reason("time", json!(1_767_607_200)), reason::WRONG_TYPE);
    assert_eq!(reason("caller", json!(["a"])), reason::WRONG_TYPE);
    assert_eq!(reason("identity", json!({"claims": 7})), reason::WRONG_TYPE);
    let twice = exported().to_string().replacen("\"claims\":{", "\"claims\":{\"appid\":\"x\",", 1);
    let twice = read_record(&twice, &Limits::default(), &Redaction::default()).unwrap_err();
    assert_eq!(twice.reason, reason::DUPLICATE_KEY);
}
