//! Reading CloudTrail against inflating alone: how much of the time is ours.
//!
//! The ratio is taken in one run, so that it means the same on any machine.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use flate2::{Compression, write::GzEncoder};
use ingest::{Limits, ObjectRef, Redaction, inflate, read_object};

const EVENTS: u64 = 20_000;

const SERVICES: [(&str, &str); 6] = [
    ("s3.amazonaws.com", "GetObject"),
    ("s3.amazonaws.com", "PutObject"),
    ("dynamodb.amazonaws.com", "Query"),
    ("sts.amazonaws.com", "AssumeRole"),
    ("kms.amazonaws.com", "Decrypt"),
    ("ec2.amazonaws.com", "DescribeInstances"),
];

/// A record of the size and shape that CloudTrail writes for an assumed role.
fn record(number: u64) -> String {
    let (service, operation) =
        SERVICES.iter().copied().cycle().nth((number % 6) as usize).unwrap_or_default();
    let role = number % 40;
    // Ids that gzip cannot fold, as real ones.
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        r#"{{"eventVersion":"1.10","userIdentity":{{"type":"AssumedRole","principalId":"AROA{role:016}:run-{id:x}","arn":"arn:aws:sts::111122223333:assumed-role/agent-{role}/run-{id:x}","accountId":"111122223333","accessKeyId":"ASIA{id:016X}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{role:016}","arn":"arn:aws:iam::111122223333:role/agents/agent-{role}","accountId":"111122223333","userName":"agent-{role}"}},"attributes":{{"creationDate":"2026-01-05T09:30:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-01-05T10:{:02}:{:02}Z","eventSource":"{service}","eventName":"{operation}","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.{}","userAgent":"[aws-sdk-rust/1.3.3 os/linux lang/rust/1.95.0 md/http#hyper-1.x]","requestParameters":{{"bucketName":"orders-{role}","Host":"orders-{role}.s3.us-east-1.amazonaws.com","key":"2026/01/05/part-{id:016x}.parquet","x-id":"{operation}"}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{id:x}{id:x}{id:x}=","bytesTransferredOut":{}}},"requestID":"{id:016X}","eventID":"{id:08x}-0000-4000-8000-{number:012x}","readOnly":true,"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::orders-{role}/2026/01/05/part-{id:016x}.parquet"}},{{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::orders-{role}"}}],"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"orders-{role}.s3.us-east-1.amazonaws.com"}}}}"#,
        number / 60 % 60,
        number % 60,
        number % 250,
        number % 100_000,
    )
}

fn object() -> (ObjectRef, Vec<u8>) {
    let records: Vec<String> = (0..EVENTS).map(record).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes());
    let bytes = written.and_then(|()| encoder.finish()).unwrap_or_default();
    let object = ObjectRef {
        source: "bench".to_owned(),
        bucket: "logs".to_owned(),
        key: "a.json.gz".to_owned(),
        version: String::new(),
    };
    (object, bytes)
}

/// The shortest of several runs: what the work costs when nothing else disturbs it.
fn shortest(mut work: impl FnMut()) -> Duration {
    let run = |_| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    (0..10).map(run).min().unwrap_or_default()
}

fn main() {
    let (object, bytes) = object();
    let (limits, redact) = (Limits::default(), Redaction::default());
    let read = || {
        let read = read_object(&object, black_box(&bytes), &limits, &redact);
        assert!(read.is_ok_and(|read| read.batch.rows() as u64 == EVENTS));
    };
    let inflated = || {
        let plain = inflate(black_box(&bytes), &limits);
        assert!(plain.is_ok_and(|plain| !plain.is_empty()));
    };

    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("cloudtrail");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("inflate", |bench| bench.iter(inflated));
    group.bench_function("read_object", |bench| bench.iter(read));
    group.finish();
    criterion.final_summary();

    let (read, inflated) = (shortest(read), shortest(inflated));
    println!(
        "read_object takes {:.2} times as long as inflating alone, {:.0} events/s on one core",
        read.as_secs_f64() / inflated.as_secs_f64(),
        EVENTS as f64 / read.as_secs_f64()
    );
}
