//! The agents that keep the company running: automation, data, costs, and changes in staging.

use super::archetypes::{ECS, NOVA, agent, around_the_clock, place};
use super::company::{
    Act, Actor, DATA, Declaration, Grant, Hours, IRELAND, Kind, PROD, Rhythm, SHARED_KEY, STAGING, Start,
};
use super::target::On;

const CODING: &[&str] = &[
    "claude-code/2.0.14 Boto3/1.40.21 lang/python#3.13.5",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 terraform-provider-aws/6.14.1",
    "aws-cli/2.31.5 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 exec-env/coding-agent",
    HOSTILE_AGENT,
];

/// A user agent is whatever the caller says: every page and alert that shows it must escape it.
pub const HOSTILE_AGENT: &str =
    "coding-agent/0.9 <script>alert('remit')</script> <!channel> =cmd|' /C calc'!A0";

/// Every identity of these agents.
pub const AGENTS: &[Actor] = &[
    Actor {
        rhythm: around_the_clock(15, (3, 6)),
        start: ECS,
        session: "plan-######",
        network: "10.20.40",
        declares: Some(Declaration {
            description: "Breaks a goal into tasks and hands them to the executor.",
            environment: "prod",
            purpose: "planning of internal automation",
            team: "automation",
            allow: &[
                "read: agent_runs",
                "invoke: bedrock/nova",
                "aws: {actions: [sqs:SendMessage], resources: [\"arn:aws:sqs:eu-west-1:111122223333:agent-tasks\"]}",
                "aws: {actions: [sts:AssumeRole], resources: [\"arn:aws:iam::111122223333:role/agents/executor\"]}",
            ],
            deny: &["\"*\": billing"],
        }),
        grants: &[Grant {
            policy: "PlannerBootstrap",
            managed: false,
            actions: &["iam:PassRole", "iam:CreateRole", "iam:PutRolePolicy", "lambda:CreateFunction"],
            resources: &["*"],
            condition: None,
        }],
        ..agent(
            "planner",
            Kind::Role("agents/planner"),
            place(PROD, IRELAND),
            &[
                Act::new("bedrock:InvokeModel", NOVA, 40),
                Act::new("sqs:SendMessage", On::Queue("agent-tasks"), 30),
                Act::new("dynamodb:Query", On::Table("agent_runs"), 20),
                Act::new("sts:AssumeRole", On::Role("arn:aws:iam::111122223333:role/agents/executor"), 10),
            ],
        )
    },
    Actor {
        rhythm: around_the_clock(18, (4, 8)),
        start: Start::Agent("planner"),
        session: "task-######",
        network: "10.20.41",
        declares: Some(Declaration {
            description: "Takes tasks from the planner's queue and runs them.",
            environment: "prod",
            purpose: "execution of internal automation",
            team: "automation",
            allow: &[
                "invoke: task_functions",
                "aws: {actions: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes], resources: [\"arn:aws:sqs:eu-west-1:111122223333:agent-tasks\"]}",
                "aws: {actions: [dynamodb:PutItem, dynamodb:UpdateItem], resources: [\"arn:aws:dynamodb:eu-west-1:111122223333:table/agent_runs\"]}",
                "aws: {actions: [kms:Decrypt], resources: [\"arn:aws:kms:eu-west-1:111122223333:key/5f0c7b52-6d1e-4a3f-9b60-0d8d3a4f7e11\"]}",
            ],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "OpsHelper",
            managed: true,
            actions: &["iam:CreateAccessKey", "iam:ListAccessKeys", "iam:DeleteAccessKey"],
            resources: &["arn:aws:iam::111122223333:user/*"],
            condition: None,
        }],
        ..agent(
            "executor",
            Kind::Role("agents/executor"),
            place(PROD, IRELAND),
            &[
                Act::new("sqs:ReceiveMessage", On::Queue("agent-tasks"), 25),
                Act::new("sqs:DeleteMessage", On::Queue("agent-tasks"), 20),
                Act::new("sqs:GetQueueAttributes", On::Queue("agent-tasks"), 5),
                Act::new("lambda:Invoke", On::Run("task-runner"), 25),
                Act::new("dynamodb:PutItem", On::Table("agent_runs"), 15),
                Act::new("dynamodb:UpdateItem", On::Table("agent_runs"), 10),
                Act::new("kms:Decrypt", On::Key(SHARED_KEY), 10),
            ],
        )
    },
    // The executor's forgotten user of its first weeks: no key of its own, until somebody mints one.
    Actor {
        agent: Some("executor"),
        rhythm: Rhythm { hours: Hours::Never, sessions: 0, calls: (0, 0), pace: (1, 1) },
        start: Start::Silent,
        session: "",
        network: "198.51.100",
        user_agents: &["aws-cli/2.31.5 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 lang/python#3.13.7"],
        ..agent(
            "executor-cli",
            Kind::User("agents/executor-cli"),
            place(PROD, IRELAND),
            &[Act::new("dynamodb:PutItem", On::Table("agent_runs"), 1)],
        )
    },
    Actor {
        rhythm: Rhythm { hours: Hours::Clock, sessions: 48, calls: (3, 5), pace: (1, 4) },
        session: "watch-######",
        network: "10.20.42",
        declares: Some(Declaration {
            description: "Watches the planner's and executor's logs and metrics; changes nothing.",
            environment: "prod",
            purpose: "monitoring of internal automation",
            team: "automation",
            allow: &[
                "aws: {actions: [logs:FilterLogEvents, logs:GetLogEvents, logs:DescribeLogGroups], resources: [\"*\"]}",
                "aws: {actions: [cloudwatch:DescribeAlarms, cloudwatch:ListMetrics, cloudwatch:GetMetricData], resources: [\"*\"]}",
            ],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "WatcherReadEverything",
            managed: true,
            actions: &["logs:*", "cloudwatch:*", "ec2:Describe*", "rds:Describe*", "s3:ListAllMyBuckets"],
            resources: &["*"],
            condition: None,
        }],
        ..agent(
            "monitor",
            Kind::Role("agents/monitor"),
            place(PROD, IRELAND),
            &[
                Act::new(
                    "logs:FilterLogEvents",
                    On::Request(r#"{"logGroupName":"/agents/executor","limit":100}"#),
                    30,
                ),
                Act::new(
                    "logs:GetLogEvents",
                    On::Request(r#"{"logGroupName":"/agents/planner","logStreamName":"main"}"#),
                    25,
                ),
                Act::new("logs:DescribeLogGroups", On::Request(r#"{"logGroupNamePrefix":"/agents/"}"#), 10),
                Act::new("monitoring:DescribeAlarms", On::Request(r#"{"alarmNamePrefix":"agents-"}"#), 20),
                Act::new("monitoring:ListMetrics", On::Request(r#"{"namespace":"Agents"}"#), 15),
            ],
        )
    },
    Actor {
        rhythm: Rhythm { hours: Hours::Clock, sessions: 24, calls: (10, 16), pace: (1, 40) },
        start: Start::Service("glue.amazonaws.com"),
        session: "GlueJobRunnerSession",
        network: "10.60.7",
        monthly: &[
            Act::new("s3:PutObjectTagging", On::Object("acme-lake-curated", "closed/"), 1),
            Act::new(
                "glue:UpdatePartition",
                On::Request(
                    r#"{"databaseName":"lake","tableName":"orders","partitionValueList":["closed"]}"#,
                ),
                1,
            ),
            Act::new(
                "athena:BatchGetQueryExecution",
                On::Request(r#"{"queryExecutionIds":["7f3d2c1e-month-end"]}"#),
                1,
            ),
        ],
        declares: Some(Declaration {
            description: "Loads the lake every hour and closes the books once a month.",
            environment: "prod",
            purpose: "the data lake",
            team: "data-platform",
            allow: &[
                "read: lake/raw",
                "write: lake/curated",
                "delete: lake/tmp",
                "aws: {actions: [athena:StartQueryExecution, athena:GetQueryExecution, athena:GetQueryResults, athena:BatchGetQueryExecution], resources: [\"*\"]}",
                "aws: {actions: [glue:GetTable, glue:GetPartitions, glue:BatchCreatePartition, glue:UpdatePartition, glue:StartJobRun, glue:GetJobRun], resources: [\"*\"]}",
            ],
            deny: &["admin: \"*\""],
        }),
        grants: &[Grant {
            policy: "LakeAdmin",
            managed: true,
            actions: &["glue:*", "athena:*", "lakeformation:*", "redshift:*"],
            resources: &["*"],
            condition: None,
        }],
        ..agent(
            "data-pipeline",
            Kind::Role("agents/data-pipeline"),
            place(DATA, IRELAND),
            &[
                Act::new("s3:ListObjects", On::Bucket("acme-lake-raw"), 10),
                Act::new("s3:GetObject", On::Object("acme-lake-raw", "orders/"), 40),
                Act::new("s3:PutObject", On::Object("acme-lake-curated", "orders/"), 25),
                Act::new("s3:DeleteObject", On::Object("acme-lake-tmp", "spill/"), 6),
                Act::new("glue:GetTable", On::Request(r#"{"databaseName":"lake","name":"orders"}"#), 10),
                Act::new(
                    "glue:GetPartitions",
                    On::Request(r#"{"databaseName":"lake","tableName":"orders"}"#),
                    8,
                ),
                Act::new(
                    "glue:BatchCreatePartition",
                    On::Request(r#"{"databaseName":"lake","tableName":"orders"}"#),
                    4,
                ),
                Act::new("glue:StartJobRun", On::Request(r#"{"jobName":"orders-hourly"}"#), 3),
                Act::new(
                    "glue:GetJobRun",
                    On::Request(r#"{"jobName":"orders-hourly","runId":"jr_9c1f"}"#),
                    6,
                ),
                Act::new(
                    "athena:StartQueryExecution",
                    On::Request(r#"{"workGroup":"lake","queryString":"***OMITTED***"}"#),
                    5,
                ),
                Act::new(
                    "athena:GetQueryExecution",
                    On::Request(r#"{"queryExecutionId":"0d2b7e64-5a0c-4a1e-8d0f-0f6a8c1d2e3f"}"#),
                    8,
                ),
                Act::new(
                    "athena:GetQueryResults",
                    On::Request(r#"{"queryExecutionId":"0d2b7e64-5a0c-4a1e-8d0f-0f6a8c1d2e3f"}"#),
                    5,
                ),
            ],
        )
    },
    Actor {
        rhythm: Rhythm { hours: Hours::Office, sessions: 8, calls: (10, 50), pace: (1, 20) },
        start: Start::Silent,
        session: "claude-code-session-####",
        user_agents: CODING,
        network: "203.0.113",
        declares: Some(Declaration {
            description: "Writes and applies infrastructure code in staging.",
            environment: "staging",
            purpose: "infrastructure changes in staging",
            team: "platform",
            allow: &[
                "aws: {actions: [\"ec2:Describe*\", \"rds:Describe*\", \"lambda:List*\", lambda:GetFunction, \"iam:List*\", iam:GetRole, logs:FilterLogEvents, cloudformation:DescribeStacks, sts:GetCallerIdentity], resources: [\"*\"]}",
                "aws: {actions: [s3:GetObject, s3:PutObject], resources: [\"arn:aws:s3:::acme-staging-tfstate/*\"]}",
                "aws: {actions: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:DeleteItem], resources: [\"arn:aws:dynamodb:eu-west-1:444455556666:table/tf-locks\"]}",
            ],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "TerraformApply",
            managed: true,
            actions: &["iam:*Role*", "dynamodb:*", "ec2:*", "lambda:*", "cloudformation:*"],
            resources: &["*"],
            condition: None,
        }],
        ..agent(
            "coding-agent",
            Kind::Role("agents/coding-agent"),
            place(STAGING, IRELAND),
            &[
                Act::new("ec2:DescribeInstances", On::Request(r#"{"instancesSet":{},"filterSet":{}}"#), 14),
                Act::new("ec2:DescribeVpcs", On::Request(r#"{"vpcSet":{},"filterSet":{}}"#), 8),
                Act::new("ec2:DescribeSubnets", On::Request(r#"{"subnetSet":{},"filterSet":{}}"#), 8),
                Act::new(
                    "ec2:DescribeSecurityGroups",
                    On::Request(r#"{"securityGroupSet":{},"filterSet":{}}"#),
                    8,
                ),
                Act::new("rds:DescribeDBInstances", On::Nothing, 5),
                Act::new("lambda:ListFunctions20150331", On::Nothing, 7),
                Act::new("lambda:GetFunction20150331v2", On::Function("checkout-staging"), 9),
                Act::new("iam:GetRole", On::Request(r#"{"roleName":"checkout-staging"}"#), 8),
                Act::new("iam:ListRoles", On::Nothing, 3),
                Act::new(
                    "iam:ListAttachedRolePolicies",
                    On::Request(r#"{"roleName":"checkout-staging"}"#),
                    6,
                ),
                Act::new(
                    "logs:FilterLogEvents",
                    On::Request(r#"{"logGroupName":"/aws/lambda/checkout-staging"}"#),
                    8,
                ),
                Act::new(
                    "cloudformation:DescribeStacks",
                    On::Request(r#"{"stackName":"checkout-staging"}"#),
                    6,
                ),
                Act::new("sts:GetCallerIdentity", On::Nothing, 8),
                Act::new("s3:GetObject", On::Object("acme-staging-tfstate", "checkout/"), 10),
                Act::new("s3:PutObject", On::Object("acme-staging-tfstate", "checkout/"), 4),
                Act::new("dynamodb:GetItem", On::Table("tf-locks"), 5),
                Act::new("dynamodb:PutItem", On::Table("tf-locks"), 5),
                Act::new("dynamodb:DeleteItem", On::Table("tf-locks"), 5),
            ],
        )
    },
    Actor {
        rhythm: Rhythm { hours: Hours::Office, sessions: 8, calls: (7, 14), pace: (2, 30) },
        start: Start::Build,
        session: "deploy-#####",
        user_agents: &["aws-sdk-js/3.899.0 ua/2.1 os/linux#6.11 lang/js md/nodejs#22.19.0 deploy-agent/3"],
        network: "203.0.113",
        declares: Some(Declaration {
            description: "Rolls new builds out to staging, and to staging only.",
            environment: "staging",
            purpose: "staging deployments",
            team: "platform",
            allow: &["from: {aws_policy: ../iam/deploy-agent.json}"],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "DeployAnywhere",
            managed: true,
            actions: &["lambda:*", "cloudformation:*", "s3:*"],
            resources: &["*"],
            condition: None,
        }],
        boundary: Some("StagingBoundary"),
        ..agent(
            "deploy-agent",
            Kind::Role("agents/deploy-agent"),
            place(STAGING, IRELAND),
            &[
                Act::new("s3:GetObject", On::Object("acme-staging-artifacts", "builds/"), 20),
                Act::new("lambda:GetFunction20150331v2", On::Function(STAGING_CHECKOUT), 20),
                Act::new("lambda:UpdateFunctionCode20150331v2", On::Function(STAGING_CHECKOUT), 12),
                Act::new("lambda:PublishVersion20150331", On::Function(STAGING_CHECKOUT), 8),
                Act::new(
                    "cloudformation:DescribeStacks",
                    On::Request(r#"{"stackName":"checkout-staging"}"#),
                    20,
                ),
                Act::new(
                    "cloudformation:DescribeStackEvents",
                    On::Request(r#"{"stackName":"checkout-staging"}"#),
                    15,
                ),
                Act::new(
                    "cloudformation:ExecuteChangeSet",
                    On::Request(r#"{"stackName":"checkout-staging","changeSetName":"deploy"}"#),
                    5,
                ),
            ],
        )
    },
    Actor {
        rhythm: Rhythm { hours: Hours::Clock, sessions: 4, calls: (4, 8), pace: (1, 6) },
        network: "10.60.9",
        declares: Some(Declaration {
            description: "Reports what the clouds cost; reads only.",
            environment: "prod",
            purpose: "cost reports",
            team: "finops",
            allow: &[
                "aws: {actions: [ce:GetCostAndUsage, ce:GetCostForecast, organizations:ListAccounts], resources: [\"*\"]}",
                "aws: {actions: [s3:ListBucket, s3:GetObject], resources: [\"arn:aws:s3:::acme-cost-reports\", \"arn:aws:s3:::acme-cost-reports/*\"]}",
            ],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "ReportsBucketFull",
            managed: false,
            actions: &["s3:*"],
            resources: &["arn:aws:s3:::acme-cost-reports", "arn:aws:s3:::acme-cost-reports/*"],
            condition: None,
        }],
        ..agent(
            "cost-reporter",
            Kind::Role("agents/cost-reporter"),
            place(DATA, IRELAND),
            &[
                Act::new(
                    "ce:GetCostAndUsage",
                    On::Request(r#"{"granularity":"DAILY","metrics":["UnblendedCost"]}"#),
                    40,
                ),
                Act::new(
                    "ce:GetCostForecast",
                    On::Request(r#"{"granularity":"MONTHLY","metric":"UNBLENDED_COST"}"#),
                    15,
                ),
                Act::new("organizations:ListAccounts", On::Nothing, 15),
                Act::new("s3:ListObjects", On::Bucket("acme-cost-reports"), 10),
                Act::new("s3:GetObject", On::Object("acme-cost-reports", "daily/"), 20),
            ],
        )
    },
];

const STAGING_CHECKOUT: &str = "arn:aws:lambda:eu-west-1:444455556666:function:checkout-staging";

/// What the deploy agent's manifest refers to: an IAM policy, read as it is.
pub const DEPLOY_POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Functions",
      "Effect": "Allow",
      "Action": ["lambda:GetFunction", "lambda:UpdateFunctionCode", "lambda:PublishVersion"],
      "Resource": "arn:aws:lambda:eu-west-1:444455556666:function:*"
    },
    {
      "Sid": "Stacks",
      "Effect": "Allow",
      "Action": ["cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents", "cloudformation:ExecuteChangeSet"],
      "Resource": "*"
    },
    {
      "Sid": "Builds",
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::acme-staging-artifacts/*"
    }
  ]
}
"#;
