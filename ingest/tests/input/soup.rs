//! Inputs that are nearly right: the pieces that formats are made of in any order, and good ones with changes made.

use proptest::prelude::*;
use serde_json::{Value, json};

/// As many cases as `REMIT_CASES` says.
pub fn config() -> ProptestConfig {
    let cases = std::env::var("REMIT_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases.unwrap_or(300)) }
}

/// One change to some bytes; places and lengths are cut to what is there.
#[derive(Debug, Clone)]
pub enum Change {
    /// Another byte at a place.
    Set(usize, u8),
    /// Some bytes are gone.
    Cut(usize, usize),
    /// Some bytes come twice.
    Repeat(usize, usize),
    /// Other bytes come in.
    Insert(usize, Vec<u8>),
    /// The rest is gone.
    End(usize),
}

pub fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at % length] = *byte,
            Change::Cut(at, count) => {
                let at = at % length;
                bytes.drain(at..length.min(at + count));
            }
            Change::Repeat(at, count) => {
                let at = at % length;
                let part = bytes[at..length.min(at + count)].to_vec();
                bytes.splice(at..at, part);
            }
            Change::Insert(at, other) => {
                let at = at % length;
                bytes.splice(at..at, other.iter().copied());
            }
            Change::End(at) => bytes.truncate(at % length),
        }
    }
    bytes
}

pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = || 0usize..4_000;
    let change = prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (place(), 1usize..40).prop_map(|(at, count)| Change::Cut(at, count)),
        2 => (place(), 1usize..200).prop_map(|(at, count)| Change::Repeat(at, count)),
        4 => (place(), piece()).prop_map(|(at, piece)| Change::Insert(at, piece.into_bytes())),
        1 => place().prop_map(Change::End),
    ];
    prop::collection::vec(change, 1..5)
}

/// A name that some format knows.
pub fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "Records",
        "records",
        "eventID",
        "eventName",
        "eventSource",
        "eventTime",
        "userIdentity",
        "type",
        "arn",
        "requestParameters",
        "responseElements",
        "resources",
        "ARN",
        "readOnly",
        "sessionContext",
        "sharedEventID",
        "digestStartTime",
        "digestEndTime",
        "insightDetails",
        "addendum",
        "reason",
        "detail",
        "detail-type",
        "source",
        "logEvents",
        "message",
        "messageType",
        "data",
        "messageId",
        "body",
        "Message",
        "Type",
        "Notification",
        "Sns",
        "s3",
        "bucket",
        "name",
        "object",
        "key",
        "s3Bucket",
        "s3ObjectKey",
        "Event",
        "time",
        "operationName",
        "category",
        "categoryValue",
        "resourceId",
        "identity",
        "authorization",
        "claims",
        "callerIpAddress",
        "properties",
        "correlationId",
        "protoPayload",
        "insertId",
        "timestamp",
        "logName",
        "serviceName",
        "methodName",
        "authenticationInfo",
        "authorizationInfo",
        "serviceAccountDelegationInfo",
        "status",
        "code",
        "value",
        "entries",
        "CloudTrailEvent",
        "awslogs",
        "kinesis",
        "attributes",
        "password",
        "arguments",
        "downstreamRequests",
        "additionalEventData",
        "tags",
        "Policy",
        "roleArn",
        "credentials",
        "accessKeyId",
        "errorCode",
        "errorMessage",
    ];
    prop::sample::select(WORDS).prop_map(str::to_owned)
}

/// A piece of JSON, or of what pretends to be some.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        " ",
        "\r\n",
        "null",
        "true",
        "false",
        "1",
        "-0",
        "1e999",
        "NaN",
        "{}",
        "[]",
        "\"\"",
        "\"a\"",
        "\\u0000",
        "\\ud800",
        "\\u0061",
        "\u{feff}",
        "\u{202e}",
        "é",
        "\0",
        "//",
        "'",
        "\"2026-01-05T10:00:00Z\"",
        "\"eyJhIjoxfQ==\"",
        "\"H4sIAAAAAAAA/wMAAAAAAAAAAAA=\"",
        "{\"Records\":[",
        "]}",
        "}\n{",
        "},{",
        "\":\"",
        "[[[[[[[[[[[[[[",
        "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
    ];
    let key = word().prop_map(|word| format!("\"{word}\":"));
    let text = word().prop_map(|word| format!("\"{word}\""));
    prop_oneof![3 => prop::sample::select(PIECES).prop_map(str::to_owned), 2 => key, 1 => text]
}

/// Pieces in any order.
pub fn json_like() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

/// Any JSON, with the words of the formats in it.
pub fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}|2026-01-05T10:00:00Z|[a-z0-9:/*.@-]{0,24}".prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Records of every format, as good as they come.
pub fn records() -> Vec<String> {
    let cloudtrail = json!({
        "eventVersion": "1.11", "eventID": "e", "eventTime": "2026-01-05T10:00:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "awsRegion": "eu-west-1", "eventCategory": "Data", "readOnly": true,
        "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLE:run-7", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/Ant/run-7", "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/a/Ant"},
                "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-05T09:30:00Z"}}},
        "requestParameters": {"bucketName": "orders", "password": "x"}, "errorCode": "AccessDenied",
        "errorMessage": "User: x is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::orders/a because no identity-based policy allows the s3:GetObject action",
        "resources": [{"ARN": "arn:aws:s3:::orders/a", "type": "AWS::S3::Object"}]
    });
    let activity = json!({
        "time": "2026-01-05T10:00:00.1234567Z", "resourceId": "/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.STORAGE/STORAGEACCOUNTS/A",
        "operationName": "MICROSOFT.STORAGE/STORAGEACCOUNTS/LISTKEYS/ACTION", "category": "Administrative",
        "resultType": "Success", "resultSignature": "Succeeded.OK", "callerIpAddress": "198.51.100.7", "correlationId": "c",
        "identity": {"authorization": {"scope": "/subscriptions/0", "action": "Microsoft.Storage/storageAccounts/listKeys/action",
            "evidence": {"role": "Owner"}}, "claims": {"appid": "a", "oid": "o", "http://schemas.microsoft.com/identity/claims/objectidentifier": "o"}},
        "level": "Information", "properties": {"statusCode": "OK", "eventCategory": "Administrative"}
    });
    let audit = json!({
        "insertId": "i", "timestamp": "2026-01-05T10:00:00.123456789Z", "receiveTimestamp": "2026-01-05T10:00:01Z", "severity": "NOTICE",
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "resource": {"type": "gcs_bucket", "labels": {"project_id": "p"}},
        "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "storage.googleapis.com",
            "methodName": "storage.objects.get", "resourceName": "projects/_/buckets/b/objects/o", "status": {"code": 7, "message": "denied"},
            "authenticationInfo": {"principalEmail": "a@p.iam.gserviceaccount.com", "serviceAccountDelegationInfo": [{"firstPartyPrincipal": {"principalEmail": "b@x"}}]},
            "authorizationInfo": [{"resource": "projects/_/buckets/b", "permission": "storage.objects.get", "granted": true}],
            "requestMetadata": {"callerIp": "198.51.100.7", "callerSuppliedUserAgent": "gcloud"}}
    });
    let wrapped = json!({"version": "0", "id": "x", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": cloudtrail});
    let subscribed = json!({"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": [{"id": "1", "timestamp": 1, "message": cloudtrail.to_string()}]});
    [cloudtrail, activity, audit, wrapped, subscribed].iter().map(Value::to_string).collect()
}

/// The same records as an object of one of the shapes.
pub fn shaped(records: &[String], shape: usize) -> String {
    match shape % 4 {
        0 => format!("{{\"Records\":[{}]}}", records.join(",")),
        1 => format!("[{}]", records.join(",")),
        2 => records.join("\n"),
        _ => format!("{{\"records\":[{}]}}", records.join(",")),
    }
}
