//! What judging costs beside reading: event table to verdict, baseline and findings
//!
//! `cargo bench --workspace --bench judge`. The slow way writes a row of `calls` for every permission of every event and
//! asks every detection of it. Rounds of all ways are interleaved and the shortest of each counts, so that the ratios
//! mean the same on a busy machine.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up may stop")]

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use engine::baseline::{Baseline, BaselineRule};
use engine::calls::Rules;
use engine::detection;
use engine::grant::Grants;
use engine::judge::{Judge, Judged, Plans};
use engine::manifest::Manifests;
use engine::reference::{self, AccessLevel};
use futures::executor::block_on;
use ingest::{EventBatch, Limits, ObjectRef, Redaction, read_object};

const EVENTS: usize = 120_000;
const FILES: usize = 6;
const IDENTITIES: usize = 200;
const AGENTS: usize = 20;
const ROUNDS: usize = 7;

/// Numbers that look random and are the same in each run: xorshift, by Marsaglia.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// The first of many is met most often, the second half as often, and so on.
    fn zipf(&mut self, count: usize) -> usize {
        let at = ((count + 1) as f64).powf(self.below(1 << 20) as f64 / f64::from(1 << 20));
        (at as usize - 1).min(count - 1)
    }
}

/// An operation, with its request and the ARN in `resources`, where `%` is one of a few, `~` one of very many.
struct Shape {
    service: String,
    operation: String,
    request: String,
    resource: String,
}

fn shapes() -> Vec<Shape> {
    let told = [
        (
            "s3",
            "GetObject",
            r#"{"bucketName":"orders-%","Host":"orders-%.s3.eu-west-1.amazonaws.com","key":"2026/01/05/part-~.parquet","x-id":"GetObject"}"#,
            "arn:aws:s3:::orders-%/2026/01/05/part-~.parquet",
        ),
        (
            "dynamodb",
            "GetItem",
            r#"{"tableName":"table-%","key":{"id":"~"},"consistentRead":false}"#,
            "arn:aws:dynamodb:eu-west-1:111122223333:table/table-%",
        ),
        (
            "kms",
            "Decrypt",
            r#"{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::orders-%"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
            "arn:aws:kms:eu-west-1:111122223333:key/0000000%-0000-4000-8000-000000000000",
        ),
        (
            "sts",
            "AssumeRole",
            r#"{"roleArn":"arn:aws:iam::111122223333:role/app-%","roleSessionName":"run-~","durationSeconds":3600}"#,
            "arn:aws:iam::111122223333:role/app-%",
        ),
        (
            "s3",
            "PutObject",
            r#"{"bucketName":"orders-%","Host":"orders-%.s3.eu-west-1.amazonaws.com","key":"2026/01/05/part-~.parquet","x-amz-server-side-encryption":"aws:kms"}"#,
            "arn:aws:s3:::orders-%/2026/01/05/part-~.parquet",
        ),
        ("lambda", "GetFunction20150331v2", r#"{"functionName":"function-%"}"#, ""),
        (
            "logs",
            "CreateLogStream",
            r#"{"logGroupName":"/aws/lambda/function-%","logStreamName":"2026/01/05/[$LATEST]~"}"#,
            "",
        ),
        (
            "secretsmanager",
            "GetSecretValue",
            r#"{"secretId":"arn:aws:secretsmanager:eu-west-1:111122223333:secret:app-%-AbCdEf"}"#,
            "",
        ),
        ("ec2", "DescribeInstances", r#"{"maxResults":100,"instancesSet":{},"filterSet":{}}"#, ""),
        (
            "sqs",
            "GetQueueAttributes",
            r#"{"queueUrl":"https://sqs.eu-west-1.amazonaws.com/111122223333/queue-%","attributeNames":["All"]}"#,
            "",
        ),
        (
            "dynamodb",
            "PutItem",
            r#"{"tableName":"table-%","key":{"id":"~"}}"#,
            "arn:aws:dynamodb:eu-west-1:111122223333:table/table-%",
        ),
        ("ssm", "GetParameter", r#"{"name":"/app-%/config","withDecryption":true}"#, ""),
        ("iam", "GetRole", r#"{"roleName":"app-%"}"#, ""),
        ("bedrock", "InvokeModel", r#"{"modelId":"anthropic.claude-%"}"#, ""),
    ];
    let mut shapes: Vec<Shape> = told
        .into_iter()
        .map(|(service, operation, request, resource)| Shape {
            service: format!("{service}.amazonaws.com"),
            operation: operation.to_owned(),
            request: request.to_owned(),
            resource: resource.to_owned(),
        })
        .collect();
    let services = [
        "acm",
        "athena",
        "autoscaling",
        "backup",
        "batch",
        "cloudformation",
        "cloudfront",
        "cloudtrail",
        "codebuild",
        "codepipeline",
        "cognito-idp",
        "config",
        "ecr",
        "ecs",
        "eks",
        "elasticache",
        "elasticfilesystem",
        "elasticloadbalancing",
        "events",
        "firehose",
        "glue",
        "guardduty",
        "inspector2",
        "kinesis",
        "lambda",
        "logs",
        "organizations",
        "rds",
        "redshift",
        "route53",
        "sagemaker",
        "ses",
        "sns",
        "sqs",
        "ssm",
        "states",
        "wafv2",
        "xray",
    ];
    for service in services {
        let known = reference::permissions_of(service).iter();
        let looks =
            known.filter(|one| one.operation && matches!(one.level, AccessLevel::List | AccessLevel::Read));
        for permission in looks.take(5) {
            if shapes.len() < 199 {
                shapes.push(Shape {
                    service: format!("{service}.amazonaws.com"),
                    operation: permission.name.split(':').nth(1).unwrap_or_default().to_owned(),
                    request: r#"{"maxResults":100,"name":"thing-%","nextToken":"~"}"#.to_owned(),
                    resource: String::new(),
                });
            }
        }
    }
    shapes
}

fn record(chance: &mut Chance, number: usize, shapes: &[Shape]) -> String {
    // Three events of ten are of one of the agents.
    let is_agent = chance.below(10) < 3;
    let who = if is_agent { chance.zipf(AGENTS) } else { AGENTS + chance.zipf(IDENTITIES - AGENTS) };
    // Everybody calls some 35 operations: a few that all call, and others of one's own.
    let shape = match chance.zipf(35) {
        common @ ..8 => &shapes[common],
        own => &shapes[8 + (own + who * 29) % (shapes.len() - 8)],
    };
    let id = chance.below(usize::MAX);
    let thing = chance.below(6).to_string();
    let fill = |text: &str| text.replace('%', &thing).replace('~', &format!("{id:016x}"));
    let (request, resource) = (fill(&shape.request), fill(&shape.resource));
    let resources = match resource.is_empty() {
        true => String::new(),
        false => {
            format!(r#""resources":[{{"accountId":"111122223333","type":"AWS::Thing","ARN":"{resource}"}}],"#)
        }
    };
    let is_denied = chance.below(50) == 0;
    let error = match is_denied {
        true => r#""errorCode":"AccessDenied","errorMessage":"Access Denied","#,
        false => "",
    };
    let session = chance.below(3000);
    format!(
        r#"{{"eventVersion":"1.10","userIdentity":{{"type":"AssumedRole","principalId":"AROA{who:016}:run-{session:x}","arn":"arn:aws:sts::111122223333:assumed-role/app-{who}/run-{session:x}","accountId":"111122223333","accessKeyId":"ASIA{session:016X}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{who:016}","arn":"arn:aws:iam::111122223333:role/app-{who}","accountId":"111122223333","userName":"app-{who}"}},"attributes":{{"creationDate":"2026-01-05T09:30:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-01-05T{:02}:{:02}:{:02}Z","eventSource":"{}","eventName":"{}",{error}"awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.{}","userAgent":"[aws-sdk-rust/1.3.3 os/linux lang/rust/1.95.0 md/http#hyper-1.x]","requestParameters":{request},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{id:x}{id:x}{id:x}=","bytesTransferredOut":{}}},"requestID":"{id:016X}","eventID":"{:08x}-0000-4000-8000-{number:012x}","readOnly":true,{resources}"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"orders.s3.eu-west-1.amazonaws.com"}}}}"#,
        10 + number / 36_000,
        number / 600 % 60,
        number / 10 % 60,
        shape.service,
        shape.operation,
        session % 250,
        id % 100_000,
        id >> 32,
    )
}

/// Twenty agents; a third of what they declare names resources, and nearly all that they call is declared.
fn rules(dir: &Path, shapes: &[Shape]) -> Arc<Rules> {
    for agent in 0..AGENTS {
        let mut text = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: agent-{agent}}}\nspec:\n  identities: [{{aws.role: \"arn:aws:iam::111122223333:role/app-{agent}\"}}]\n  allow:\n"
        );
        for resources in [
            r#"{actions: ["s3:Get*", "s3:Put*"], resources: ["arn:aws:s3:::orders-*/*", "arn:aws:s3:::orders-*"]}"#,
            r#"{actions: ["dynamodb:*"], resources: ["arn:aws:dynamodb:eu-west-1:111122223333:table/table-*"]}"#,
            r#"{actions: ["kms:Decrypt"], resources: ["arn:aws:kms:eu-west-1:111122223333:key/*"]}"#,
            r#"{actions: ["sts:AssumeRole"], resources: ["arn:aws:iam::111122223333:role/app-*"]}"#,
        ] {
            writeln!(text, "    - aws: {resources}").expect("a text");
        }
        let mut services: Vec<&str> =
            shapes.iter().filter_map(|shape| shape.service.split('.').next()).collect();
        services.sort_unstable();
        services.dedup();
        for service in services.iter().filter(|one| !["s3", "dynamodb", "kms", "sts"].contains(one)) {
            writeln!(text, "    - aws: {{actions: [\"{service}:*\"], resources: [\"*\"]}}").expect("a text");
        }
        std::fs::write(dir.join(format!("agent-{agent}.yaml")), text).expect("a file");
    }
    let now = "2026-01-06T00:00:00Z".parse().expect("a time");
    let manifests = Manifests::load(dir, now).expect("manifests");
    let baseline = Baseline::new(BaselineRule::default());
    Arc::new(Rules { manifests: manifests.into(), grants: Grants::default(), baseline })
}

/// The time that this thread has run, where the system tells (on Linux); else the clock.
fn now() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = told.as_deref().and_then(|text| text.split(' ').next()).and_then(|text| text.parse().ok());
    ran.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

/// What one way took at best, for all events.
fn shortest(rounds: &[Duration], events: usize) -> f64 {
    let best = rounds.iter().min().copied().unwrap_or_default();
    best.as_secs_f64() * 1e9 / events as f64
}

fn judged(judge: &mut Judge, batches: &[EventBatch]) -> Vec<Judged> {
    batches.iter().map(|batch| block_on(judge.judge(black_box(batch))).expect("judged")).collect()
}

fn main() {
    let shapes = shapes();
    let dir = tempfile::tempdir().expect("a folder");
    let rules = rules(dir.path(), &shapes);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let files: Vec<String> = (0..FILES)
        .map(|file| {
            let rows = EVENTS / FILES;
            let records: Vec<String> =
                (0..rows).map(|row| record(&mut chance, file * rows + row, &shapes)).collect();
            format!("{{\"Records\":[{}]}}", records.join(","))
        })
        .collect();
    let (limits, redact) = (Limits::default(), Redaction::default());
    let object = ObjectRef {
        source: "bench".to_owned(),
        bucket: "logs".to_owned(),
        key: "a.json".to_owned(),
        version: String::new(),
    };
    let read = || -> Vec<EventBatch> {
        let read =
            |file: &String| read_object(&object, file.as_bytes(), &limits, &redact).expect("read").batch;
        files.iter().map(read).collect()
    };
    let batches = read();
    // The baseline knows what is usual, so that not every call is new.
    let plans = Plans::new(&detection::built_in().expect("detections")).expect("plans");
    let plans = Arc::new(plans);
    let mut fast = Judge::new(rules.clone(), plans.clone());
    for judged in judged(&mut fast, &batches) {
        let usual = judged.calls.baseline.uses.iter();
        for ((who, what, block), presence) in usual {
            rules.baseline.learn(who, what, *block, presence.days >> 1);
        }
    }
    let mut slow = Judge::new(rules, plans).keeping_rows();

    // The calls of agents, and those of everybody else.
    let [agents, others] = [true, false].map(|agents| -> Vec<EventBatch> {
        let is_agent = |actor: &str| {
            actor
                .rsplit_once("app-")
                .and_then(|(_, number)| number.parse().ok())
                .is_some_and(|at: usize| at < AGENTS)
        };
        let part = |batch: &EventBatch| {
            let view = batch.view();
            let keep = (0..batch.rows()).map(|row| view.actor(row).is_some_and(is_agent) == agents);
            batch.filter(&BooleanArray::from(keep.collect::<Vec<bool>>()))
        };
        batches.iter().map(part).collect()
    });

    let only = std::env::var("REMIT_BENCH_ONLY").ok();
    let (mut reading, mut quick, mut slowly) = (Vec::new(), Vec::new(), Vec::new());
    let (mut of_agents, mut of_others) = (Vec::new(), Vec::new());
    let mut findings = 0;
    for _ in 0..ROUNDS * if only.is_some() { 20 } else { 1 } {
        if only.is_none() {
            let began = now();
            black_box(read());
            reading.push(now() - began);
            let began = now();
            black_box(judged(&mut slow, &batches));
            slowly.push(now() - began);
            for (part, rounds) in [(&agents, &mut of_agents), (&others, &mut of_others)] {
                let began = now();
                black_box(judged(&mut fast, part));
                rounds.push(now() - began);
            }
        }
        let began = now();
        let part = match only.as_deref() {
            Some("agents") => &agents,
            Some("others") => &others,
            _ => &batches,
        };
        let all = judged(&mut fast, part);
        quick.push(now() - began);
        findings = all.iter().flat_map(|judged| &judged.findings).map(|finding| finding.count).sum();
    }
    let rows = |part: &[EventBatch]| part.iter().map(EventBatch::rows).sum::<usize>();
    let of_agents = shortest(&of_agents, rows(&agents));
    let of_others = shortest(&of_others, rows(&others));
    let (reading, quick, slowly) =
        (shortest(&reading, EVENTS), shortest(&quick, EVENTS), shortest(&slowly, EVENTS));
    println!(
        "{EVENTS} events of {IDENTITIES} identities, {} operations, {findings} in findings",
        shapes.len()
    );
    println!("reading plain text into the table   {reading:8.0} ns an event");
    println!(
        "judging it                          {quick:8.0} ns an event, {:.3} of reading",
        quick / reading
    );
    println!("  an agent's call                   {of_agents:8.0} ns");
    println!("  anybody else's                    {of_others:8.0} ns");
    println!(
        "judging every row, every detection  {slowly:8.0} ns an event, {:.1} times as long",
        slowly / quick
    );
}
