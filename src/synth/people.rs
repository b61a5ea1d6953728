//! Everybody else in the logs: people, builds, a vendor, and the services themselves. They have no
//! manifest, and all of it must stay quiet, the contractor's one evening excepted.

use super::company::{
    Act, Actor, DATA, Grant, Hours, IRELAND, Kind, PROD, Place, Rhythm, SHARED_KEY, STAGING, Start, VIRGINIA,
};
use super::target::On;

const BROWSER: &[&str] = &[
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
];

const fn other(name: &'static str, kind: Kind, home: Place, acts: &'static [Act]) -> Actor {
    Actor {
        name,
        agent: None,
        kind,
        home,
        rhythm: Rhythm { hours: Hours::Office, sessions: 3, calls: (5, 18), pace: (2, 50) },
        start: Start::Console,
        session: "",
        user_agents: BROWSER,
        network: "192.0.2",
        acts,
        monthly: &[],
        born: None,
        declares: None,
        grants: &[],
        boundary: None,
    }
}

const fn service(name: &'static str, kind: Kind, home: Place, sessions: u32, acts: &'static [Act]) -> Actor {
    Actor {
        rhythm: Rhythm { hours: Hours::Clock, sessions, calls: (2, 4), pace: (0, 2) },
        start: Start::Silent,
        session: "aws-service",
        ..other(name, kind, home, acts)
    }
}

const fn place(account: &'static str, region: &'static str) -> Place {
    Place { account, region }
}

/// Everybody without a manifest.
pub const OTHERS: &[Actor] = &[
    Actor {
        session: "j.doe@acme.example",
        ..other(
            "j.doe",
            Kind::Role("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Platform_1f2e3d4c5b6a7988"),
            place(PROD, IRELAND),
            &[
                Act::new("ec2:DescribeInstances", On::Request(r#"{"instancesSet":{},"filterSet":{}}"#), 30),
                Act::new(
                    "ec2:TerminateInstances",
                    On::Request(r#"{"instancesSet":{"items":[{"instanceId":"i-0c9d1e2f3a4b5c6d7"}]}}"#),
                    2,
                ),
                Act::new("s3:ListBuckets", On::Nothing, 15),
                Act::new("s3:DeleteObject", On::Object("acme-invoices", "drafts/"), 3),
                Act::new("dynamodb:DescribeTable", On::WholeTable("tickets"), 15),
                Act::new("dynamodb:DeleteTable", On::WholeTable("tickets-migration"), 1),
                Act::new("logs:FilterLogEvents", On::Request(r#"{"logGroupName":"/agents/executor"}"#), 20),
                Act::new("iam:ListRoles", On::Nothing, 8),
            ],
        )
    },
    Actor {
        session: "m.okafor@acme.example",
        ..other(
            "m.okafor",
            Kind::Role("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Developer_2a3b4c5d6e7f8091"),
            place(STAGING, IRELAND),
            &[
                Act::new("lambda:ListFunctions20150331", On::Nothing, 20),
                Act::new("lambda:GetFunction20150331v2", On::Function("checkout-staging"), 20),
                Act::new("logs:DescribeLogGroups", On::Nothing, 15),
                Act::new("cloudformation:DescribeStacks", On::Nothing, 15),
                Act::new("s3:ListObjects", On::Bucket("acme-staging-artifacts"), 10),
                Act::new("s3:DeleteObject", On::Object("acme-staging-artifacts", "builds/"), 4),
            ],
        )
    },
    Actor {
        session: "l.haddad@acme.example",
        ..other(
            "l.haddad",
            Kind::Role("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Analyst_3c4d5e6f70819203"),
            place(DATA, IRELAND),
            &[
                Act::new(
                    "athena:StartQueryExecution",
                    On::Request(r#"{"workGroup":"analysts","queryString":"***OMITTED***"}"#),
                    30,
                ),
                Act::new(
                    "athena:GetQueryResults",
                    On::Request(r#"{"queryExecutionId":"4b7c0f1a-2d3e-4f50-8a6b-9c7d8e0f1a2b"}"#),
                    30,
                ),
                Act::new("glue:GetTables", On::Request(r#"{"databaseName":"lake"}"#), 15),
                Act::new("s3:GetObject", On::Object("acme-lake-curated", "orders/"), 10),
            ],
        )
    },
    Actor {
        session: "s.auditor@acme.example",
        rhythm: Rhythm { hours: Hours::Office, sessions: 1, calls: (6, 14), pace: (5, 60) },
        ..other(
            "s.auditor",
            Kind::Role("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Audit_4d5e6f7081920314"),
            place(PROD, IRELAND),
            &[
                Act::new("cloudtrail:LookupEvents", On::Request(r#"{"maxResults":50}"#), 30),
                Act::new("cloudtrail:DescribeTrails", On::Nothing, 20),
                Act::new("iam:GenerateCredentialReport", On::Nothing, 5),
                Act::new("iam:GetCredentialReport", On::Nothing, 5),
            ],
        )
    },
    // Here for less than a week.
    Actor {
        session: "mk@contractor.example",
        network: "198.51.100",
        born: Some(5),
        grants: &[Grant {
            policy: "TemporaryOperator",
            managed: true,
            actions: &["ec2:*", "logs:*", "cloudtrail:*"],
            resources: &["*"],
            condition: None,
        }],
        rhythm: Rhythm { hours: Hours::Office, sessions: 2, calls: (4, 9), pace: (5, 60) },
        ..other(
            "contractor",
            Kind::Role("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Contractor_5e6f708192031425"),
            place(PROD, IRELAND),
            &[
                Act::new("ec2:DescribeInstances", On::Request(r#"{"instancesSet":{},"filterSet":{}}"#), 40),
                Act::new("cloudtrail:DescribeTrails", On::Nothing, 20),
                Act::new("logs:DescribeLogGroups", On::Nothing, 20),
            ],
        )
    },
    Actor {
        start: Start::Build,
        session: "GitHubActions",
        user_agents: &["aws-cli/2.31.5 md/awscrt#0.27.6 ua/2.1 os/linux#6.11 exec-env/AWS_ECR_GHA"],
        network: "203.0.113",
        rhythm: Rhythm { hours: Hours::Always, sessions: 10, calls: (5, 8), pace: (1, 9) },
        ..other(
            "checkout",
            Kind::Role("ci/build-checkout"),
            place(STAGING, IRELAND),
            &[
                Act::new("ecr:GetAuthorizationToken", On::Nothing, 20),
                Act::new(
                    "ecr:BatchCheckLayerAvailability",
                    On::Request(r#"{"repositoryName":"checkout"}"#),
                    30,
                ),
                Act::new(
                    "ecr:PutImage",
                    On::Request(r#"{"repositoryName":"checkout","imageTag":"main"}"#),
                    10,
                ),
                Act::new("s3:PutObject", On::Object("acme-staging-artifacts", "builds/"), 20),
            ],
        )
    },
    Actor {
        start: Start::Silent,
        session: "vendor-monitoring",
        user_agents: &["vendor-monitoring/7.2 Go-http-client/2.0"],
        network: "203.0.113",
        rhythm: Rhythm { hours: Hours::Clock, sessions: 24, calls: (2, 4), pace: (0, 2) },
        ..other(
            "vendor",
            Kind::Role("integrations/vendor-monitoring"),
            place(PROD, VIRGINIA),
            &[
                Act::new("ec2:DescribeInstances", On::Request(r#"{"instancesSet":{},"filterSet":{}}"#), 30),
                Act::new("monitoring:ListMetrics", On::Nothing, 30),
                Act::new(
                    "monitoring:GetMetricStatistics",
                    On::Request(r#"{"namespace":"AWS/Lambda","metricName":"Errors"}"#),
                    30,
                ),
            ],
        )
    },
    service(
        "trail",
        Kind::Service("cloudtrail.amazonaws.com"),
        place(PROD, IRELAND),
        24,
        &[
            Act::new("s3:GetBucketAcl", On::Bucket("acme-cloudtrail-logs"), 30),
            Act::new("kms:GenerateDataKey", On::Key(SHARED_KEY), 40),
        ],
    ),
    service(
        "config",
        Kind::Linked("config.amazonaws.com", "aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"),
        place(PROD, IRELAND),
        24,
        &[
            Act::new("ec2:DescribeVolumes", On::Nothing, 30),
            Act::new("ec2:DescribeNetworkInterfaces", On::Nothing, 30),
            Act::new("lambda:ListFunctions20150331", On::Nothing, 20),
            Act::new("rds:DescribeDBSnapshots", On::Nothing, 20),
        ],
    ),
    service(
        "autoscaling",
        Kind::Linked(
            "autoscaling.amazonaws.com",
            "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
        ),
        place(PROD, IRELAND),
        24,
        &[
            Act::new("ec2:DescribeInstanceStatus", On::Nothing, 40),
            Act::new(
                "ec2:TerminateInstances",
                On::Request(r#"{"instancesSet":{"items":[{"instanceId":"i-0a1b2c3d4e5f60718"}]}}"#),
                8,
            ),
            Act::new("elasticloadbalancing:DescribeTargetHealth", On::Nothing, 30),
        ],
    ),
    service(
        "backup",
        Kind::Linked("backup.amazonaws.com", "aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup"),
        place(DATA, IRELAND),
        6,
        &[
            Act::new("rds:DescribeDBClusters", On::Nothing, 20),
            Act::new("dynamodb:ListTables", On::Nothing, 20),
            Act::new("ec2:DeleteSnapshot", On::Request(r#"{"snapshotId":"snap-0f1e2d3c4b5a69788"}"#), 4),
        ],
    ),
];
