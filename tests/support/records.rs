//! CloudTrail records, as the cloud would write them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write;

/// The account everything happens in.
pub const ACCOUNT: &str = "111122223333";

/// One record; the methods change it and give it back.
#[derive(Clone, Debug)]
pub struct Record(pub Value);

impl Record {
    /// A call with success that the role `agents/<agent>` makes: `s3:GetObject` is service and operation.
    pub fn of_agent(agent: &str, operation: &str) -> Record {
        let role = role(agent);
        Record::call(operation).set(
            "userIdentity",
            json!({
                "type": "AssumedRole",
                "principalId": format!("AROA{:0>16}:run-1", agent.len()),
                "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{agent}/run-1"),
                "accountId": ACCOUNT,
                "accessKeyId": "ASIAEXAMPLE000000001",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role", "principalId": format!("AROA{:0>16}", agent.len()), "arn": role,
                        "accountId": ACCOUNT, "userName": agent,
                    },
                    "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"},
                },
            }),
        )
    }

    /// A call with success that a person makes with a long-lived key.
    pub fn of_user(user: &str, operation: &str) -> Record {
        Record::call(operation).set(
            "userIdentity",
            json!({
                "type": "IAMUser", "principalId": "AIDAEXAMPLE000000001", "userName": user,
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/{user}"),
                "accountId": ACCOUNT, "accessKeyId": "AKIAEXAMPLE000000001",
            }),
        )
    }

    fn call(operation: &str) -> Record {
        let (service, name) = operation.split_once(':').expect("`service:Operation`");
        let reads =
            ["Get", "List", "Describe", "Head", "Query", "Scan"].iter().any(|verb| name.starts_with(verb));
        let is_data = name.ends_with("Object") || name.ends_with("Item");
        Record(json!({
            "eventVersion": "1.11",
            "eventTime": "2026-01-05T10:00:00Z",
            "eventSource": format!("{service}.amazonaws.com"),
            "eventName": name,
            "awsRegion": "eu-west-1",
            "sourceIPAddress": "203.0.113.24",
            "userAgent": "Boto3/1.40 agent-runtime",
            "requestParameters": null,
            "responseElements": null,
            "requestID": "R0000000000000001",
            "eventID": "00000000-0000-4000-8000-000000000001",
            "readOnly": reads,
            "eventType": "AwsApiCall",
            "managementEvent": !is_data,
            "recipientAccountId": ACCOUNT,
            "eventCategory": if is_data { "Data" } else { "Management" },
        }))
    }

    /// Gives it its own id.
    pub fn number(self, number: usize) -> Record {
        self.set("eventID", json!(format!("00000000-0000-4000-8000-{number:012}")))
    }

    /// When it happened.
    pub fn at(self, time: DateTime<Utc>) -> Record {
        self.set("eventTime", json!(time.to_rfc3339_opts(SecondsFormat::Secs, true)))
    }

    /// It happened this many minutes ago.
    pub fn minutes_ago(self, minutes: i64) -> Record {
        self.at(Utc::now() - TimeDelta::minutes(minutes))
    }

    /// It was on this object of a bucket.
    pub fn object(self, bucket: &str, key: &str) -> Record {
        self.set("requestParameters", json!({"bucketName": bucket, "key": key})).set(
            "resources",
            json!([
                {"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/{key}")},
                {"type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}"), "accountId": ACCOUNT},
            ]),
        )
    }

    /// It was asked with these parameters.
    pub fn request(self, parameters: Value) -> Record {
        self.set("requestParameters", parameters)
    }

    /// It was refused by a service control policy.
    pub fn denied(self) -> Record {
        let (service, name) = (self.text("eventSource"), self.text("eventName"));
        let permission = format!("{}:{name}", service.trim_end_matches(".amazonaws.com"));
        let who = self.0.pointer("/userIdentity/arn").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.set("errorCode", json!("AccessDenied")).set(
            "errorMessage",
            json!(format!(
                "User: {who} is not authorized to perform: {permission} \
                 with an explicit deny in a service control policy"
            )),
        )
    }

    /// Sets a top-level key.
    pub fn set(mut self, key: &str, value: Value) -> Record {
        self.0.as_object_mut().unwrap().insert(key.to_owned(), value);
        self
    }

    fn text(&self, key: &str) -> String {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// The ARN of an agent's role.
pub fn role(agent: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/agents/{agent}")
}

/// A manifest of an agent that acts as the role `agents/<name>`; `allow` pairs actions with a resource.
pub fn manifest(name: &str, allow: &[(&str, &str)]) -> String {
    let allow: String = allow
        .iter()
        .map(|(actions, resource)| {
            format!(
                "    - aws: {{actions: [\"{}\"], resources: [\"{resource}\"]}}\n",
                actions.replace(", ", "\", \"")
            )
        })
        .collect();
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata:\n  name: {name}\nspec:\n  owner: {{team: support-platform}}\n  \
         environment: prod\n  identities:\n    - aws.role: {}\n  allow:\n{allow}",
        role(name),
    )
}

/// A CloudTrail file, not compressed.
pub fn plain_file(records: &[Record]) -> Vec<u8> {
    let records: Vec<&Value> = records.iter().map(|record| &record.0).collect();
    serde_json::to_vec(&json!({ "Records": records })).unwrap()
}

/// A CloudTrail file as the cloud delivers it.
pub fn log_file(records: &[Record]) -> Vec<u8> {
    gzip(&plain_file(records))
}

/// Compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A zstd frame of blocks that are not compressed. <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1>
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let blocks = bytes.chunks(100 << 10);
    let last = blocks.len() - 1;
    for (number, block) in blocks.enumerate() {
        let head = (block.len() as u32) << 3 | u32::from(number == last);
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}

/// A key as the cloud names its files.
pub fn key(number: usize) -> String {
    format!(
        "AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/2026/01/05/{ACCOUNT}_CloudTrail_eu-west-1_20260105T1000Z_{number:016}.json.gz"
    )
}
