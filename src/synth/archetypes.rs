//! The company's agents: what each does, how often, what its manifest declares and what it was granted
//! beyond its work. Every row of a vocabulary lies inside the declaration of the same agent.

use super::company::{
    Act, Actor, DATA, Declaration, Grant, Hours, IRELAND, Kind, PROD, Place, Rhythm, SHARED_KEY, STAGING,
    Start, VIRGINIA,
};
use super::target::On;

const ECS: Start = Start::Service("ecs-tasks.amazonaws.com");
const LAMBDA: Start = Start::Service("lambda.amazonaws.com");
const BOTO: &[&str] = &[
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.13.5",
    "Boto3/1.40.18 md/Botocore#1.40.18 ua/2.1 os/linux#6.8 md/arch#aarch64 lang/python#3.13.5",
];
const CODING: &[&str] = &[
    "claude-code/2.0.14 Boto3/1.40.21 lang/python#3.13.5",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 terraform-provider-aws/6.14.1",
    "aws-cli/2.31.5 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 exec-env/coding-agent",
    // A user agent is whatever the caller says: every page and alert that shows it must escape it.
    "coding-agent/0.9 <script>alert('remit')</script> <!channel> =cmd|' /C calc'!A0",
];
const NOVA: On = On::Model("amazon.nova-lite-v1:0");

const fn place(account: &'static str, region: &'static str) -> Place {
    Place { account, region }
}

const fn around_the_clock(sessions: u32, calls: (u32, u32)) -> Rhythm {
    Rhythm { hours: Hours::Always, sessions, calls, pace: (1, 25) }
}

/// What most agents share: no monthly job, no extra grant, there from the first day.
const fn agent(name: &'static str, kind: Kind, home: Place, acts: &'static [Act]) -> Actor {
    Actor {
        name,
        agent: Some(name),
        kind,
        home,
        rhythm: around_the_clock(40, (3, 8)),
        start: LAMBDA,
        session: "run-######",
        user_agents: BOTO,
        network: "10.20.14",
        acts,
        monthly: &[],
        born: None,
        declares: None,
        grants: &[],
        boundary: None,
    }
}

/// Every identity of every agent.
pub const AGENTS: &[Actor] = &[
    Actor {
        rhythm: around_the_clock(62, (4, 8)),
        start: ECS,
        session: "ticket-5#####",
        declares: Some(Declaration {
            description: "Answers customer tickets day and night.",
            environment: "prod",
            purpose: "ticket replies; never touches billing",
            team: "support-platform",
            allow: &[
                "read: customer_tickets",
                "write: customer_tickets",
                "invoke: bedrock/nova",
                "aws: {actions: [kms:Decrypt], resources: [\"arn:aws:kms:eu-west-1:111122223333:key/5f0c7b52-6d1e-4a3f-9b60-0d8d3a4f7e11\"]}",
            ],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "LegacyS3Full",
            managed: true,
            actions: &["s3:*"],
            resources: &["*"],
            condition: None,
        }],
        ..agent(
            "support-bot",
            Kind::Role("agents/support-bot"),
            place(PROD, IRELAND),
            &[
                Act::new("dynamodb:GetItem", On::Table("tickets"), 30),
                Act::new("dynamodb:Query", On::Table("tickets"), 25),
                Act::new("dynamodb:UpdateItem", On::Table("tickets"), 12),
                Act::new("dynamodb:PutItem", On::Table("tickets"), 6),
                Act::new("kms:Decrypt", On::Key(SHARED_KEY), 15),
                Act::new("bedrock:InvokeModel", NOVA, 14),
                Act::new("bedrock:Converse", NOVA, 4),
            ],
        )
    },
    Actor {
        rhythm: around_the_clock(70, (3, 6)),
        network: "10.20.31",
        declares: Some(Declaration {
            description: "Reads new customer orders and writes their status.",
            environment: "prod",
            purpose: "order processing",
            team: "orders",
            allow: &["read: customer_orders", "write: order_status"],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "OrdersDynamoFull",
            managed: true,
            actions: &["dynamodb:*"],
            resources: &["arn:aws:dynamodb:us-east-1:111122223333:table/*"],
            condition: None,
        }],
        ..agent(
            "order-processor",
            Kind::Role("OrderProcessor"),
            place(PROD, VIRGINIA),
            &[
                Act::new("dynamodb:GetItem", On::Table("customer_orders"), 40),
                Act::new("dynamodb:Query", On::Table("customer_orders"), 20),
                Act::new("dynamodb:PutItem", On::Table("order_status"), 20),
                Act::new("dynamodb:UpdateItem", On::Table("order_status"), 20),
            ],
        )
    },
    Actor {
        rhythm: around_the_clock(65, (2, 6)),
        session: "chat-########",
        network: "10.20.15",
        declares: Some(Declaration {
            description: "Answers questions on the web site from tickets and the FAQ.",
            environment: "prod",
            purpose: "customer chat",
            team: "support-platform",
            allow: &["read: [customer_tickets, faq]"],
            deny: &[],
        }),
        grants: &[Grant {
            policy: "ChatFromTheOfficeOnly",
            managed: false,
            actions: &["dynamodb:Scan", "dynamodb:BatchGetItem"],
            resources: &["arn:aws:dynamodb:eu-west-1:111122223333:table/faq"],
            condition: Some(r#"{"IpAddress": {"aws:SourceIp": ["10.20.0.0/16"]}}"#),
        }],
        ..agent(
            "chatbot-support",
            Kind::Role("ChatbotSupport"),
            place(PROD, IRELAND),
            &[
                Act::new("dynamodb:GetItem", On::Table("tickets"), 30),
                Act::new("dynamodb:Query", On::Table("faq"), 40),
                Act::new("s3:GetObject", On::Object("acme-faq", "articles/"), 25),
                Act::new("s3:ListObjects", On::Bucket("acme-faq"), 5),
            ],
        )
    },
    Actor {
        rhythm: around_the_clock(48, (2, 5)),
        network: "10.20.32",
        declares: Some(Declaration {
            description: "Keeps the stock counts in step with orders and deliveries.",
            environment: "prod",
            purpose: "stock counts",
            team: "warehouse",
            allow: &["read: inventory", "write: inventory"],
            deny: &["\"*\": billing"],
        }),
        grants: &[Grant {
            policy: "InventoryTables",
            managed: false,
            actions: &["dynamodb:*Item", "dynamodb:Query", "dynamodb:Scan", "dynamodb:DescribeTable"],
            resources: &["arn:aws:dynamodb:us-east-1:111122223333:table/inventory"],
            condition: None,
        }],
        ..agent(
            "inventory-manager",
            Kind::Role("InventoryManager"),
            place(PROD, VIRGINIA),
            &[
                Act::new("dynamodb:GetItem", On::Table("inventory"), 40),
                Act::new("dynamodb:Query", On::Table("inventory"), 25),
                Act::new("dynamodb:UpdateItem", On::Table("inventory"), 30),
                Act::new("dynamodb:PutItem", On::Table("inventory"), 5),
            ],
        )
    },
    Actor {
        rhythm: around_the_clock(60, (2, 5)),
        network: "10.20.33",
        declares: Some(Declaration {
            description: "Tells other agents and the web site what a product is and costs.",
            environment: "prod",
            purpose: "product information",
            team: "catalogue",
            allow: &["read: product_catalog"],
            deny: &["\"*\": billing"],
        }),
        ..agent(
            "product-info-provider",
            Kind::Role("ProductInfoProvider"),
            place(PROD, VIRGINIA),
            &[
                Act::new("dynamodb:GetItem", On::Table("product_catalog"), 45),
                Act::new("dynamodb:Query", On::Table("product_catalog"), 35),
                Act::new("dynamodb:BatchGetItem", On::Table("product_catalog"), 5),
                Act::new("s3:GetObject", On::Object("acme-product-media", "thumbnails/"), 15),
            ],
        )
    },
    Actor {
        rhythm: around_the_clock(26, (3, 6)),
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
        rhythm: around_the_clock(30, (4, 8)),
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
        rhythm: Rhythm { hours: Hours::Clock, sessions: 72, calls: (3, 5), pace: (1, 4) },
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
        rhythm: Rhythm { hours: Hours::Office, sessions: 9, calls: (12, 60), pace: (1, 20) },
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
    Actor {
        rhythm: around_the_clock(14, (3, 6)),
        network: "10.20.51",
        born: Some(8),
        declares: Some(Declaration {
            description: "New: tells customers how to send something back.",
            environment: "prod",
            purpose: "returns",
            team: "support-platform",
            allow: &[
                "aws: {actions: [dynamodb:GetItem, dynamodb:Query], resources: [\"arn:aws:dynamodb:us-east-1:111122223333:table/returns\"]}",
            ],
            deny: &[],
        }),
        ..agent(
            "returns-assistant",
            Kind::Role("agents/returns-assistant"),
            place(PROD, VIRGINIA),
            &[
                Act::new("dynamodb:GetItem", On::Table("returns"), 60),
                Act::new("dynamodb:Query", On::Table("returns"), 40),
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
