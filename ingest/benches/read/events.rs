//! A seeded month of a company's CloudTrail: who calls what, how often, how it is written and how it packs.
//!
//! Shapes follow the published examples of each kind of record: calls of roles, users, services and federated people,
//! data events, `AssumeRole` with its credentials, policies as JSON within a string, names in many scripts, errors.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html>

#![expect(clippy::indexing_slicing, reason = "a bench: every index is one of a list of its own")]

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

pub struct File {
    /// Bytes when inflated.
    pub plain: usize,
    pub gz: Vec<u8>,
}

/// `events` in so many files of the shape that S3 holds.
pub fn files(events: usize, files: usize, seed: u64) -> Vec<File> {
    let mut chance = Chance(seed);
    let each = events.div_ceil(files);
    (0..files)
        .map(|file| {
            let mut text = String::from("{\"Records\":[");
            for event in (file * each)..((file + 1) * each).min(events) {
                if !text.ends_with('[') {
                    text.push(',');
                }
                record(&mut text, event, file as u64, &mut chance);
            }
            text.push_str("]}");
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            let gz = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
            File { plain: text.len(), gz }
        })
        .collect()
}

/// splitmix64: <https://prng.di.unimi.it/splitmix64.c>
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Small numbers come often, as few callers make most calls.
    fn few(&mut self, bound: u64) -> u64 {
        let (one, other) = (self.below(bound), self.below(bound));
        one * other / bound
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.few(list.len() as u64) as usize;
        list.get(at).copied().unwrap_or_default()
    }

    /// Text that does not pack, as tokens are.
    fn token(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..length).map(|_| char::from(LETTERS[self.below(64) as usize])).collect()
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

const CALLS: &[(&str, &str, bool)] = &[
    ("s3.amazonaws.com", "GetObject", true),
    ("s3.amazonaws.com", "PutObject", false),
    ("dynamodb.amazonaws.com", "Query", true),
    ("sts.amazonaws.com", "AssumeRole", true),
    ("kms.amazonaws.com", "Decrypt", true),
    ("ec2.amazonaws.com", "DescribeInstances", true),
    ("lambda.amazonaws.com", "Invoke", false),
    ("logs.amazonaws.com", "CreateLogStream", false),
    ("secretsmanager.amazonaws.com", "GetSecretValue", true),
    ("ssm.amazonaws.com", "GetParameter", true),
    ("iam.amazonaws.com", "PutRolePolicy", false),
    ("s3.amazonaws.com", "ListObjects", true),
    ("sqs.amazonaws.com", "ReceiveMessage", false),
    ("ecr.amazonaws.com", "BatchGetImage", true),
    ("bedrock.amazonaws.com", "InvokeModel", true),
    ("rds.amazonaws.com", "CreateDBInstance", false),
    ("ec2.amazonaws.com", "RunInstances", false),
    ("cloudformation.amazonaws.com", "DescribeStacks", true),
    ("iam.amazonaws.com", "ListRoles", true),
    ("eks.amazonaws.com", "DescribeCluster", true),
];
const REGIONS: &[&str] =
    &["us-east-1", "eu-central-1", "eu-west-1", "us-west-2", "ap-southeast-1", "sa-east-1"];
const CLIENTS: &[&str] = &[
    "[aws-sdk-java/2.25.11 Linux/5.10.209 OpenJDK_64-Bit_Server_VM/17.0.10 Java/17.0.10 vendor/Amazon io/sync http/Apache cfg/retry-mode/standard]",
    "Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#5.10.210 md/arch#x86_64 lang/python#3.12.2 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.51",
    "aws-sdk-go-v2/1.26.0 os/linux lang/go#1.22.1 md/GOOS#linux md/GOARCH#amd64 api/dynamodb#1.30.5",
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.10.209 exe/x86_64.amzn.2 prompt/off command/s3api.get-object",
    "claude-code/1.0.31 aws-sdk-js/3.540.0 ua/2.0 os/darwin#23.4.0 lang/js md/nodejs#20.11.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36",
];
const PEOPLE: &[&str] = &["alice", "bob", "zoë", "björn", "石川", "олег", "maría", "søren"];

/// Writes one record in CloudTrail's order of keys. A file is of one account and one region, as S3 holds them.
fn record(out: &mut String, number: usize, file: u64, chance: &mut Chance) {
    let (service, operation, reads) = CALLS[(chance.few(CALLS.len() as u64 * 2) as usize) % CALLS.len()];
    // 200 identities, each at home in one of 12 accounts.
    let who = chance.few(17) * 12 + file % 12;
    let account = 111_122_223_333 + file % 12 * 1_000_003;
    let region = REGIONS[(file / 12) as usize % REGIONS.len()];
    let second = number / 3 % 86_400;
    let time = format!("2026-01-05T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let by_service = chance.below(12) == 0;
    let _ = write!(out, r#"{{"eventVersion":"1.10","#);
    identity(out, (who, account), by_service, number, chance);
    let source = if by_service {
        service.to_owned()
    } else {
        format!("198.51.{}.{}", chance.below(100), chance.below(255))
    };
    let client = if by_service { service } else { chance.of(CLIENTS) };
    let _ = write!(
        out,
        r#","eventTime":"{time}","eventSource":"{service}","eventName":"{operation}","awsRegion":"{region}","sourceIPAddress":"{source}","userAgent":"{client}","#
    );
    if chance.below(20) == 0 {
        let _ = write!(
            out,
            r#""errorCode":"AccessDenied","errorMessage":"User: arn:aws:sts::{account}:assumed-role/agent-{}/run is not authorized to perform: {}:{operation} on resource: \"arn:aws:x:::thing\" because no identity-based policy allows the action","#,
            chance.few(100),
            service.trim_end_matches(".amazonaws.com"),
        );
    }
    parameters(out, service, operation, account, region, chance);
    let data = matches!(operation, "GetObject" | "PutObject" | "Query" | "Invoke" | "ListObjects");
    let _ =
        write!(out, r#","requestID":"{}","eventID":"{}","readOnly":{reads}"#, chance.uuid(), chance.uuid());
    if service.starts_with("s3") {
        let bucket = chance.few(60);
        let _ = write!(
            out,
            r#","resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::orders-{bucket}/2026/01/05/part-{:08x}.parquet"}},{{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::orders-{bucket}"}}]"#,
            chance.below(1 << 32)
        );
    } else if service.starts_with("kms") {
        let _ = write!(
            out,
            r#","resources":[{{"accountId":"{account}","type":"AWS::KMS::Key","ARN":"arn:aws:kms:{region}:{account}:key/0000{:04}-aaaa-4bbb-8ccc-123456789012"}}]"#,
            chance.few(40)
        );
    }
    let _ = write!(
        out,
        r#","eventType":"AwsApiCall","managementEvent":{},"recipientAccountId":"{account}","#,
        !data
    );
    if chance.below(6) == 0 {
        let _ = write!(out, r#""sharedEventID":"{}","#, chance.uuid());
    }
    if chance.below(8) == 0 {
        let _ = write!(
            out,
            r#""vpcEndpointId":"vpce-0abc{:04}","vpcEndpointAccountId":"{account}","#,
            chance.few(20)
        );
    }
    let _ = write!(out, r#""eventCategory":"{}""#, if data { "Data" } else { "Management" });
    if !by_service {
        let _ = write!(
            out,
            r#","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{}.{region}.amazonaws.com"}}"#,
            service.trim_end_matches(".amazonaws.com")
        );
    }
    out.push('}');
}

/// A tenth are users; each role has three sessions at a time, and begins new ones every 2,000 events.
fn identity(
    out: &mut String,
    (who, account): (u64, u64),
    by_service: bool,
    number: usize,
    chance: &mut Chance,
) {
    if by_service {
        out.push_str(r#""userIdentity":{"type":"AWSService","invokedBy":"lambda.amazonaws.com"}"#);
        return;
    }
    if who % 10 == 9 {
        let person = PEOPLE[who as usize % PEOPLE.len()];
        let _ = write!(
            out,
            r#""userIdentity":{{"type":"IAMUser","principalId":"AIDA{who:017}","arn":"arn:aws:iam::{account}:user/staff/{person}","accountId":"{account}","accessKeyId":"AKIA{who:016}","userName":"{person}"}}"#
        );
        return;
    }
    let session = number as u64 / 2000 * 3 + chance.below(3);
    let _ = write!(
        out,
        r#""userIdentity":{{"type":"AssumedRole","principalId":"AROA{who:017}:run-{session:08x}","arn":"arn:aws:sts::{account}:assumed-role/agent-{who}/run-{session:08x}","accountId":"{account}","accessKeyId":"ASIA{:016}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{who:017}","arn":"arn:aws:iam::{account}:role/agents/agent-{who}","accountId":"{account}","userName":"agent-{who}"}},"attributes":{{"creationDate":"2026-01-05T{:02}:30:00Z","mfaAuthenticated":"false"}}}}}}"#,
        session * 1000 + who,
        session % 24
    );
}

fn parameters(
    out: &mut String,
    service: &str,
    operation: &str,
    account: u64,
    region: &str,
    chance: &mut Chance,
) {
    let who = chance.few(100);
    let _ = match operation {
        "GetObject" | "PutObject" | "ListObjects" => write!(
            out,
            r#""requestParameters":{{"bucketName":"orders-{who}","Host":"orders-{who}.s3.{region}.amazonaws.com","key":"2026/01/05/{}/part-{:08x}.parquet","x-id":"{operation}"}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{}=","bytesTransferredOut":{}}}"#,
            chance.of(PEOPLE),
            chance.below(1 << 32),
            chance.token(75),
            chance.below(1 << 20)
        ),
        "AssumeRole" => write!(
            out,
            r#""requestParameters":{{"roleArn":"arn:aws:iam::{account}:role/agents/agent-{who}","roleSessionName":"run-{:08x}","durationSeconds":3600}},"responseElements":{{"credentials":{{"accessKeyId":"ASIA{:016}","sessionToken":"{}","expiration":"Jan 5, 2026, 11:30:00 AM"}},"assumedRoleUser":{{"assumedRoleId":"AROA{who:017}:run","arn":"arn:aws:sts::{account}:assumed-role/agent-{who}/run"}}}}"#,
            chance.below(1 << 32),
            chance.below(1 << 40),
            chance.token(420)
        ),
        "PutRolePolicy" => write!(
            out,
            r#""requestParameters":{{"roleName":"agent-{who}","policyName":"inline","policyDocument":"{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {{\n      \"Effect\": \"Allow\",\n      \"Action\": [\"s3:GetObject\", \"s3:ListBucket\", \"kms:Decrypt\"],\n      \"Resource\": [\"arn:aws:s3:::orders-{who}\", \"arn:aws:s3:::orders-{who}/*\"],\n      \"Condition\": {{\"StringEquals\": {{\"aws:RequestedRegion\": \"{region}\"}}}}\n    }}\n  ]\n}}"}},"responseElements":null"#
        ),
        "RunInstances" | "CreateDBInstance" | "DescribeInstances" => write!(
            out,
            r#""requestParameters":{{"instancesSet":{{"items":[{{"imageId":"ami-0{who:015}","minCount":1,"maxCount":{}}}]}},"instanceType":"m7g.large","masterUserPassword":"HIDDEN_DUE_TO_SECURITY_REASONS","tagSpecificationSet":{{"items":[{{"resourceType":"instance","tags":[{{"key":"Name","value":"zoë's étude {who}"}},{{"key":"team","value":"データ"}}]}}]}},"monitoring":{{"enabled":false}},"disableApiTermination":false,"clientToken":"{}"}},"responseElements":{{"requestId":"{}","reservationId":"r-0{who:015}","ownerId":"{account}","groupSet":{{}},"instancesSet":{{"items":[{{"instanceId":"i-{:016x}","currentState":{{"code":0,"name":"pending"}},"privateDnsName":"ip-10-0-0-{who}.ec2.internal","amiLaunchIndex":0,"placement":{{"availabilityZone":"{region}a","tenancy":"default"}}}}]}}}}"#,
            chance.below(5) + 1,
            chance.uuid(),
            chance.uuid(),
            chance.next()
        ),
        "Decrypt" => write!(
            out,
            r#""requestParameters":{{"encryptionContext":{{"aws:lambda:FunctionArn":"arn:aws:lambda:{region}:{account}:function:orders-{who}"}},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}},"responseElements":null,"additionalEventData":{{"keyMaterialId":"{:064x}"}}"#,
            who
        ),
        "Query" => write!(
            out,
            r##""requestParameters":{{"tableName":"orders-{who}","keyConditionExpression":"#id = :id","expressionAttributeNames":{{"#id":"customer"}},"consistentRead":false,"limit":{},"select":"ALL_ATTRIBUTES","returnConsumedCapacity":"NONE","scanIndexForward":true}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4"}}"##,
            chance.below(500)
        ),
        _ => write!(
            out,
            r#""requestParameters":{{"name":"/orders/{who}/{}","maxResults":{},"nextToken":"{}","filters":[{{"name":"{service}","values":["a-{who}","b-{who}"]}}],"includePublic":false}},"responseElements":{{"requestId":"{}","_return":true}}"#,
            chance.of(PEOPLE),
            chance.below(100),
            chance.token(60),
            chance.uuid()
        ),
    };
}
