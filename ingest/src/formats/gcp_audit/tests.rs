use serde_json::{Value, json};

use crate::inflate::Limits;
use crate::object::read_record;
use crate::quarantine::reason;
use crate::redact::Redaction;

const BOT: &str = "bot@acme-ops.iam.gserviceaccount.com";

fn row(record: &Value) -> Value {
    read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap().view().to_json(0)
}

fn entry() -> Value {
    json!({"insertId": "i1", "timestamp": "2026-01-05T10:00:00.123456789Z", "receiveTimestamp": "2026-01-05T10:00:01Z",
        "logName": "projects/acme-ops/logs/cloudaudit.googleapis.com%2Fdata_access", "severity": "INFO",
        "resource": {"type": "gcs_bucket", "labels": {"project_id": "acme-ops", "location": "europe-west1", "bucket_name": "notes"}},
        "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "storage.googleapis.com",
            "methodName": "storage.objects.get", "resourceName": "projects/_/buckets/notes/objects/1.txt", "status": {},
            "authenticationInfo": {"principalEmail": BOT, "principalSubject": format!("serviceAccount:{BOT}")},
            "authorizationInfo": [{"resource": "projects/_/buckets/notes/objects/1.txt", "permission": "storage.objects.get",
                "granted": true, "permissionType": "DATA_READ"}],
            "requestMetadata": {"callerIp": "203.0.113.9", "callerSuppliedUserAgent": "google-api-go gemini-cli/0.3,gzip(gfe)"}}})
}

#[test]
fn an_entry_becomes_a_row() {
    let row = row(&entry());
    let expected = json!({
        "event_id": "i1@1767607200123456@projects/acme-ops/logs/cloudaudit.googleapis.com%2Fdata_access",
        "time": "2026-01-05T10:00:00.123456Z",
        "received": "2026-01-05T10:00:01Z",
        "provider": "gcp",
        "account": "acme-ops",
        "recipient_account": "acme-ops",
        "region": "europe-west1",
        "category": "data",
        "event_type": "data_access",
        "service": "storage.googleapis.com",
        "operation": "storage.objects.get",
        "read_only": true,
        "outcome": "success",
        "actor": BOT,
        "actor_type": "ServiceAccount",
        "actor_account": "acme-ops",
        "source_ip": "203.0.113.9",
        "source_kind": "ip",
        "agent_hint": "gemini-cli",
        "agent_evidence": "client",
        "resources": ["projects/_/buckets/notes/objects/1.txt"],
    });
    for (column, value) in expected.as_object().unwrap() {
        assert_eq!(&row[column], value, "{column}");
    }
    assert!(row["granted"].as_str().unwrap().contains("DATA_READ"));
}

#[test]
fn copies_with_other_names_tell_the_same() {
    let text = entry()
        .to_string()
        .replace("@type", "at_sign_type")
        .replace("insertId", "insertid")
        .replace("callerIp\"", "callerIP\"");
    let copy: Value = serde_json::from_str(&text.replace("protoPayload", "protopayload")).unwrap();
    assert_eq!(row(&copy), row(&entry()));
}

#[test]
fn who_is_behind_a_service_account_is_told() {
    let caller = |info: Value| {
        let mut record = entry();
        record["protoPayload"]["authenticationInfo"] = info;
        let row = row(&record);
        ["actor", "actor_type", "on_behalf_of", "credential_kind"]
            .map(|column| row[column].as_str().unwrap_or("-").to_owned())
    };
    let chain = json!([{"firstPartyPrincipal": {"principalEmail": "Ann@acme.io"}},
        {"principalSubject": "serviceAccount:hop@acme-ops.iam.gserviceaccount.com"}]);
    assert_eq!(
        caller(json!({"principalEmail": BOT, "serviceAccountDelegationInfo": chain})),
        [BOT, "ServiceAccount", "ann@acme.io", "temporary"]
    );
    assert_eq!(
        caller(
            json!({"principalEmail": BOT, "serviceAccountKeyName": "//iam.googleapis.com/projects/p/serviceAccounts/b/keys/1"})
        ),
        [BOT, "ServiceAccount", "-", "long_lived"]
    );
    let pool = "principal://iam.googleapis.com/projects/4711/locations/global/workloadIdentityPools/ci/subject/repo:acme";
    assert_eq!(caller(json!({"principalSubject": pool})), [pool, "WorkloadIdentity", "-", "federated"]);
    assert_eq!(caller(json!({"principalEmail": "Ann@Acme.io"})), ["ann@acme.io", "User", "-", "-"]);
    let agent = "service-4711@gcp-sa-aiplatform-re.iam.gserviceaccount.com";
    assert_eq!(caller(json!({"principalEmail": agent})), [agent, "ServiceAgent", "-", "service"]);
    assert_eq!(caller(json!({})), ["-", "-", "-", "-"]);
}

#[test]
fn a_refusal_says_whose_it_was() {
    let outcome = |status: Value, granted: Value| {
        let mut record = entry();
        record["protoPayload"]["status"] = status;
        record["protoPayload"]["authorizationInfo"][0]["granted"] = granted;
        let row = row(&record);
        ["outcome", "error_code", "denied_by"].map(|column| row[column].as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(outcome(json!({}), json!(true)), ["success", "-", "-"]);
    assert_eq!(
        outcome(json!({"code": 7, "message": "no"}), Value::Null),
        ["denied", "PERMISSION_DENIED", "-"]
    );
    assert_eq!(outcome(json!({}), json!(false)), ["denied", "-", "-"]);
    assert_eq!(outcome(json!({"code": 5}), json!(true)), ["failed", "NOT_FOUND", "-"]);
    let perimeter = json!({"code": 7, "details": [{"violations": [{"type": "VPC_SERVICE_CONTROLS"}]}]});
    assert_eq!(outcome(perimeter, Value::Null)[2], "perimeter");
}

#[test]
fn what_is_malformed_is_named() {
    let reason = |pointer: &str, value: Value| {
        let mut record = entry();
        *record.pointer_mut(pointer).unwrap() = value;
        read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap_err().reason
    };
    assert_eq!(reason("/protoPayload/methodName", Value::Null), reason::MISSING_FIELD);
    assert_eq!(reason("/protoPayload/methodName", json!(7)), reason::WRONG_TYPE);
    assert_eq!(reason("/protoPayload", json!("x")), reason::WRONG_TYPE);
    assert_eq!(reason("/protoPayload/authenticationInfo/principalEmail", json!({})), reason::WRONG_TYPE);
    assert_eq!(reason("/timestamp", json!("redacted")), reason::BAD_TIME);
    let twice = entry().to_string().replacen(
        "\"principalEmail\":",
        "\"principalEmail\":\"eve@x.io\",\"principalEmail\":",
        1,
    );
    let twice = read_record(&twice, &Limits::default(), &Redaction::default()).unwrap_err();
    assert_eq!(twice.reason, reason::DUPLICATE_KEY);
}

#[test]
fn a_log_entry_of_another_log_is_no_audit_record() {
    let mut record = entry();
    record.as_object_mut().unwrap().remove("protoPayload");
    record["textPayload"] = "hello".into();
    let refused = read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap_err();
    assert_eq!(refused.reason, reason::UNKNOWN_FORMAT);
}
