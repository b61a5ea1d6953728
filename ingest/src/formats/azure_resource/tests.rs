use serde_json::{Value, json};

use crate::inflate::Limits;
use crate::object::read_record;
use crate::redact::Redaction;

const ACCOUNT: &str = "/subscriptions/8d0f/resourceGroups/shop/providers/Microsoft.Storage/storageAccounts/notes/blobServices/default";

fn row(record: &Value) -> Value {
    read_record(&record.to_string(), &Limits::default(), &Redaction::default()).unwrap().view().to_json(0)
}

fn get_blob() -> Value {
    json!({"time": "2026-01-05T10:00:00Z", "resourceId": ACCOUNT, "category": "StorageRead", "operationName": "GetBlob",
        "statusCode": 200, "statusText": "Success", "callerIpAddress": "203.0.113.9:4711", "correlationId": "r1",
        "location": "westeurope", "uri": "https://notes.blob.core.windows.net/tickets/1.txt",
        "identity": {"type": "OAuth", "requester": {"objectId": "0B1", "appId": "A9", "tenantId": "7E", "upn": ""}},
        "properties": {"objectKey": "/notes/tickets/1.txt", "userAgentHeader": "claude-code/1.0", "tlsVersion": "TLS 1.3"}})
}

#[test]
fn a_read_blob_names_its_container() {
    let row = row(&get_blob());
    assert_eq!(row["resources"], json!([format!("{}/containers/tickets", ACCOUNT.to_lowercase())]));
    assert_eq!((&row["service"], &row["category"]), (&json!("Microsoft.Storage"), &json!("data")));
    assert_eq!(
        (&row["actor"], &row["workload"], &row["read_only"]),
        (&json!("0b1"), &json!("a9"), &json!(true))
    );
    assert_eq!((&row["source_ip"], &row["tls"]), (&json!("203.0.113.9"), &json!("TLS 1.3")));
    assert_eq!((&row["agent_hint"], &row["agent_evidence"]), (&json!("claude-code"), &json!("client")));
    assert_eq!(row["outcome"], "success");
}

#[test]
fn a_key_stands_for_the_account_and_nobody_else() {
    for (kind, expected) in [("SAS", "sas"), ("AccountKey", "account_key"), ("Anonymous", "anonymous")] {
        let mut record = get_blob();
        record["identity"] = json!({"type": kind, "tokenHash": "key1(ABC)"});
        record["uri"] = "https://notes.blob.core.windows.net/tickets/1.txt?sv=1&sig=SECRET".into();
        let row = row(&record);
        assert_eq!(row["credential_kind"], expected);
        assert_eq!(row["actor"], if kind == "Anonymous" { json!("anonymous") } else { Value::Null });
        assert!(!row.to_string().contains("SECRET"), "{row}");
    }
}

#[test]
fn a_refused_request_is_told_from_a_closed_network() {
    let outcome = |code: u16, text: &str| {
        let mut record = get_blob();
        (record["statusCode"], record["statusText"]) = (code.into(), text.into());
        let row = row(&record);
        (row["outcome"].clone(), row["denied_by"].clone())
    };
    assert_eq!(outcome(403, "AuthorizationPermissionMismatch"), (json!("denied"), Value::Null));
    assert_eq!(outcome(403, "IpAuthorizationError"), (json!("denied"), json!("network")));
    assert_eq!(outcome(404, "BlobNotFound").0, "failed");
}

#[test]
fn a_secret_of_a_vault_is_named_by_its_address() {
    let row = row(
        &json!({"time": "2026-01-05T10:00:00Z", "category": "AuditEvent", "operationName": "SecretGet",
        "resourceId": "/SUBSCRIPTIONS/8D0F/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/ACME",
        "resultType": "Success", "resultSignature": "OK", "identity": {"claim": {"oid": "0B1", "appid": "A9"}},
        "properties": {"id": "https://acme.vault.azure.net/secrets/payments/0123", "httpStatusCode": 200}}),
    );
    let expected =
        "/subscriptions/8d0f/resourcegroups/shop/providers/microsoft.keyvault/vaults/acme/secrets/payments";
    assert_eq!((&row["resources"], &row["service"]), (&json!([expected]), &json!("Microsoft.KeyVault")));
    assert_eq!((&row["actor"], &row["outcome"]), (&json!("0b1"), &json!("success")));
}
