//! What a call is made on, and how CloudTrail shows it: request, response, resources and category.

use serde::Serialize;
use serde_json::{Value, json};

use super::chance::Chance;
use super::company::Place;

/// The object of a call. Names are completed with the caller's own account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Nothing: the request is empty.
    Nothing,
    /// A request as it stands, without resources in the event.
    Request(&'static str),
    /// A DynamoDB table's items.
    Table(&'static str),
    /// A DynamoDB table as a whole.
    WholeTable(&'static str),
    /// An object under a prefix of a bucket.
    Object(&'static str, &'static str),
    /// A bucket's own listing.
    Bucket(&'static str),
    /// A KMS key.
    Key(&'static str),
    /// A Bedrock model.
    Model(&'static str),
    /// A Lambda function that is run.
    Run(&'static str),
    /// A Lambda function that is managed; a name or a whole ARN.
    Function(&'static str),
    /// An SQS queue.
    Queue(&'static str),
    /// A role to assume, as an ARN.
    Role(&'static str),
    /// A user to make an access key for.
    NewKey(&'static str),
}

/// An entry of an event's `resources`.
#[derive(Clone, Debug, Serialize)]
pub struct Resource {
    #[serde(rename = "accountId", skip_serializing_if = "Option::is_none")]
    account: Option<&'static str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ARN")]
    arn: String,
}

impl Resource {
    /// The resource's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }
}

/// How one call appears in its event.
#[derive(Debug, Default)]
pub struct Shape {
    /// `requestParameters`.
    pub request: Value,
    /// `responseElements` of a success.
    pub response: Value,
    /// `additionalEventData`.
    pub additional: Option<Value>,
    /// `resources`.
    pub resources: Vec<Resource>,
    /// A data event, not a management event.
    pub data: bool,
    /// `apiVersion`.
    pub api_version: Option<&'static str>,
}

impl On {
    /// The shape of a call `operation` on this, made from `place`.
    pub fn shape(self, operation: &str, place: Place, chance: &mut Chance) -> Shape {
        let Place { account, region } = place;
        match self {
            Self::Nothing => Shape::default(),
            Self::Request(text) => Shape { request: literal(text), ..Shape::default() },
            Self::Table(name) => Shape {
                request: item_request(name, operation, chance),
                resources: vec![owned(account, "AWS::DynamoDB::Table", table_arn(place, name))],
                data: true,
                api_version: Some("2012-08-10"),
                ..Shape::default()
            },
            Self::WholeTable(name) => Shape {
                request: json!({"tableName": name}),
                resources: vec![owned(account, "AWS::DynamoDB::Table", table_arn(place, name))],
                api_version: Some("2012-08-10"),
                ..Shape::default()
            },
            Self::Object(bucket, prefix) => object(bucket, prefix, operation, place, chance),
            Self::Bucket(bucket) => bucket_listing(bucket, place, chance),
            Self::Key(id) => Shape {
                request: json!({"encryptionAlgorithm": "SYMMETRIC_DEFAULT",
                    "encryptionContext": {"aws:dynamodb:subscriberId": account}}),
                resources: vec![owned(
                    account,
                    "AWS::KMS::Key",
                    format!("arn:aws:kms:{region}:{account}:key/{id}"),
                )],
                ..Shape::default()
            },
            Self::Model(id) => Shape {
                request: json!({"modelId": id}),
                additional: Some(json!({"inferenceRegion": region})),
                ..Shape::default()
            },
            Self::Run(name) => {
                let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
                Shape {
                    request: json!({"functionName": &arn, "invocationType": "RequestResponse"}),
                    resources: vec![owned(account, "AWS::Lambda::Function", arn)],
                    data: true,
                    ..Shape::default()
                }
            }
            Self::Function(name) => function(name, operation, place, chance),
            Self::Queue(name) => Shape {
                request: json!({"queueUrl": format!("https://sqs.{region}.amazonaws.com/{account}/{name}")}),
                resources: vec![owned(
                    account,
                    "AWS::SQS::Queue",
                    format!("arn:aws:sqs:{region}:{account}:{name}"),
                )],
                data: operation.ends_with("Message"),
                ..Shape::default()
            },
            Self::Role(arn) => assumed(arn, account, "planner-handover", &chance.aws_id("ASIA"), chance),
            Self::NewKey(user) => Shape {
                request: json!({"userName": user}),
                response: json!({"accessKey": {"userName": user, "status": "Active"}}),
                ..Shape::default()
            },
        }
    }
}

/// The shape of an `AssumeRole` whose session is then used with the access key `key`.
pub fn assumed(role: &str, account: &'static str, session: &str, key: &str, chance: &mut Chance) -> Shape {
    let name = role.rsplit('/').next().unwrap_or(role);
    Shape {
        request: json!({"roleArn": role, "roleSessionName": session, "durationSeconds": 3600}),
        response: json!({
            "credentials": {"accessKeyId": key, "sessionToken": chance.name(64)},
            "assumedRoleUser": {"arn": format!("arn:aws:sts::{account}:assumed-role/{name}/{session}")},
        }),
        resources: vec![owned(account, "AWS::IAM::Role", role.to_owned())],
        ..Shape::default()
    }
}

fn owned(account: &'static str, kind: &'static str, arn: String) -> Resource {
    Resource { account: Some(account), kind, arn }
}

fn table_arn(place: Place, name: &str) -> String {
    format!("arn:aws:dynamodb:{}:{}:table/{name}", place.region, place.account)
}

fn item_request(table: &str, operation: &str, chance: &mut Chance) -> Value {
    match operation {
        "Query" => json!({"tableName": table, "keyConditionExpression": "#pk = :pk", "limit": 25}),
        "BatchGetItem" => json!({"requestItems": {table: {"keys": [{"id": chance.digits("#######")}]}}}),
        "Scan" => json!({"tableName": table, "select": "ALL_ATTRIBUTES"}),
        _ => json!({"tableName": table, "key": {"id": chance.digits("#######")}}),
    }
}

fn object(bucket: &str, prefix: &str, operation: &str, place: Place, chance: &mut Chance) -> Shape {
    let key = format!("{prefix}{}-{}", chance.digits("####"), chance.hex(6));
    let host = format!("{bucket}.s3.{}.amazonaws.com", place.region);
    let out = if operation == "GetObject" { chance.between(900, 400_000) } else { 0 };
    Shape {
        resources: vec![
            Resource { account: None, kind: "AWS::S3::Object", arn: format!("arn:aws:s3:::{bucket}/{key}") },
            owned(place.account, "AWS::S3::Bucket", format!("arn:aws:s3:::{bucket}")),
        ],
        request: json!({"bucketName": bucket, "key": key, "Host": host}),
        additional: Some(json!({"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader",
            "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredIn": 0, "bytesTransferredOut": out})),
        data: true,
        ..Shape::default()
    }
}

fn bucket_listing(bucket: &str, place: Place, chance: &mut Chance) -> Shape {
    Shape {
        request: json!({"bucketName": bucket, "list-type": "2", "prefix": "",
            "Host": format!("{bucket}.s3.{}.amazonaws.com", place.region)}),
        resources: vec![owned(place.account, "AWS::S3::Bucket", format!("arn:aws:s3:::{bucket}"))],
        additional: Some(json!({"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader",
            "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredOut": chance.between(300, 9000)})),
        data: true,
        ..Shape::default()
    }
}

fn function(name: &str, operation: &str, place: Place, chance: &mut Chance) -> Shape {
    let request = if operation.starts_with("UpdateFunctionCode") {
        json!({"functionName": name, "publish": false, "dryRun": false,
            "s3Bucket": "acme-staging-artifacts", "s3Key": format!("builds/{}.zip", chance.hex(12))})
    } else {
        json!({"functionName": name})
    };
    let response = if operation.starts_with("Get") {
        Value::Null
    } else {
        let Place { account, region } = place;
        let arn = if name.starts_with("arn:") {
            name.to_owned()
        } else {
            format!("arn:aws:lambda:{region}:{account}:function:{name}")
        };
        let name = name.rsplit(':').next().unwrap_or(name);
        json!({"functionName": name, "runtime": "python3.13", "functionArn": arn})
    };
    Shape { request, response, ..Shape::default() }
}

/// The literals are ours and the tests read them all, so a broken one shows as null there.
fn literal(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
