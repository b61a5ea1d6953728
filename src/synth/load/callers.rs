//! Who calls in a load, and what each of them usually calls.

use super::super::chance::Chance;
use super::operations::{self, Operation};

pub const ACCOUNTS: &[&str] = &[
    "111122223333",
    "444455556666",
    "777788889999",
    "123456789012",
    "210987654321",
    "345678901234",
    "456789012345",
    "567890123456",
    "678901234567",
    "789012345678",
    "890123456789",
    "901234567890",
];
pub const REGIONS: &[&str] =
    &["us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "ap-northeast-1", "ap-southeast-2"];

const IDENTITIES: usize = 200;

/// Sessions that one role has open.
const SESSIONS: usize = 3;

const TEAMS: [&str; 10] =
    ["agents", "platform", "data", "billing", "search", "ml", "support", "security", "web", "ops"];
const JOBS: [&str; 12] = [
    "planner",
    "indexer",
    "reporter",
    "deployer",
    "crawler",
    "triage-bot",
    "etl",
    "gateway",
    "auditor",
    "coding-agent",
    "backup",
    "scheduler",
];
const CLIENTS: [&str; 8] = [
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#6.8.0-1021-aws md/arch#x86_64 lang/python#3.13.5 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.40.21",
    "aws-sdk-go-v2/1.38.1 ua/2.1 os/linux lang/go#1.25.0 md/GOOS#linux md/GOARCH#arm64 api/s3#1.87.1 m/C,E,e,n",
    "aws-cli/2.31.5 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.13.7 md/pyimpl#CPython m/E,Z,b cfg/retry-mode#standard md/installer#exe md/prompt#off",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 (+https://www.terraform.io) terraform-provider-aws/6.14.1 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.38.1",
    "aws-sdk-java/2.33.4 md/io#async md/http#NettyNio ua/2.1 os/Linux#6.1.147-172.266.amzn2023.aarch64 lang/java#21.0.8 md/OpenJDK_64-Bit_Server_VM",
    "[aws-sdk-rust/1.3.3 os/linux lang/rust/1.95.0 md/http#hyper-1.x]",
    "claude-code/2.0.14 Boto3/1.40.21 lang/python#3.13.5",
    "aws-sdk-js/3.883.0 ua/2.1 os/linux#6.1 lang/js md/nodejs#22.18.0 exec-env/AWS_Lambda_nodejs22.x 東京-batch",
];
const SERVICES: [&str; 6] = [
    "autoscaling.amazonaws.com",
    "lambda.amazonaws.com",
    "config.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "cloudtrail.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
];

/// One identity.
pub struct Caller {
    /// Its account, in whose files its calls are.
    pub account: &'static str,
    /// How much it calls.
    pub weight: u32,
    /// `userIdentity` as JSON, one for each session.
    pub identities: Vec<String>,
    /// The ARNs that error messages name, beside them.
    pub arns: Vec<String>,
    /// `sourceIPAddress`.
    pub address: String,
    /// `userAgent`.
    pub client: &'static str,
    /// A service: its own name stands for address and client.
    pub is_service: bool,
    /// What it calls, with how often.
    pub operations: Vec<(Operation, u32)>,
}

/// All of them.
pub fn all(seed: u64) -> Vec<Caller> {
    let known = operations::all();
    (0..IDENTITIES).map(|number| caller(seed, number, &known)).collect()
}

/// One over the rank, as words and callers are: whole numbers, so that any machine deals alike.
fn weight(rank: usize) -> u32 {
    u32::try_from(1_000_000 / (rank + 1)).unwrap_or(1)
}

fn caller(seed: u64, number: usize, known: &[Operation]) -> Caller {
    let mut chance = Chance::new(seed, &format!("load caller {number}"));
    // Around the accounts, so that each has busy and quiet ones.
    let account = ACCOUNTS.get(number % ACCOUNTS.len()).copied().unwrap_or_default();
    let rank = number / ACCOUNTS.len();
    let (mut identities, mut arns) = (Vec::new(), Vec::new());
    let is_service = rank > 2 && number % 11 == 7;
    if is_service {
        let service = chance.pick(&SERVICES).copied().unwrap_or_default();
        identities.push(format!(r#"{{"type":"AWSService","invokedBy":"{service}"}}"#));
        arns.push(service.to_owned());
    } else if number % 5 == 4 {
        let name = format!("{}-{number}", chance.pick(&JOBS).unwrap_or(&"job"));
        let arn = format!("arn:aws:iam::{account}:user/{name}");
        identities.push(format!(
            r#"{{"type":"IAMUser","principalId":"{}","arn":"{arn}","accountId":"{account}","accessKeyId":"{}","userName":"{name}"}}"#,
            chance.aws_id("AIDA"),
            chance.aws_id("AKIA"),
        ));
        arns.push(arn);
    } else {
        let team = chance.pick(&TEAMS).copied().unwrap_or_default();
        let name = format!("{}-{number}", chance.pick(&JOBS).unwrap_or(&"job"));
        let id = chance.aws_id("AROA");
        for session in 0..SESSIONS {
            let session = format!("{name}-{session}-{}", chance.hex(8));
            let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
            identities.push(format!(
                r#"{{"type":"AssumedRole","principalId":"{id}:{session}","arn":"{arn}","accountId":"{account}","accessKeyId":"{}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{id}","arn":"arn:aws:iam::{account}:role/{team}/{name}","accountId":"{account}","userName":"{name}"}},"attributes":{{"creationDate":"2026-11-04T2{}:{}:17Z","mfaAuthenticated":"false"}}}}}}"#,
                chance.aws_id("ASIA"),
                chance.below(4),
                chance.between(10, 59),
            ));
            arns.push(arn);
        }
    }
    // A few dozen operations each, of all that there are; everybody has favourites of their own.
    let count = usize::try_from(8 + chance.below(40)).unwrap_or(8);
    let mut operations: Vec<(Operation, u32)> = Vec::with_capacity(count);
    while operations.len() < count {
        // The product of two chances favours the front of the list: the services that everybody calls.
        let bound = 1 + chance.below(known.len() as u64);
        let at = usize::try_from(chance.below(bound)).unwrap_or(0);
        if let Some(operation) = known.get(at)
            && !operations.iter().any(|(taken, _)| taken == operation)
        {
            operations.push((*operation, weight(operations.len())));
        }
    }
    Caller {
        account,
        weight: weight(rank),
        identities,
        arns,
        address: format!(
            "{}.{}",
            chance.pick(&["203.0.113", "198.51.100", "10.20.40", "192.0.2"]).unwrap_or(&"192.0.2"),
            chance.between(1, 254)
        ),
        client: chance.pick(&CLIENTS).copied().unwrap_or_default(),
        is_service,
        operations,
    }
}
