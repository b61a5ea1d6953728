//! What was planted in the month: the incidents that must be found, and the near misses that must not.

use super::company::{Act, SHARED_KEY};
use super::operations::HOSTILE_AGENT;
use super::record::Outcome;
use super::target::On;

/// Something planted: an incident if it has findings, else a near miss.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Its name in the answer key; two scenes may tell one incident together.
    pub name: &'static str,
    /// What happened, in a sentence; for a near miss, why it is none.
    pub story: &'static str,
    /// The identity that acts.
    pub actor: &'static str,
    /// How many days before the last one it happens. Never 0: the last day may be cut short.
    pub days_before: u32,
    /// Hour and minute, UTC.
    pub time: (u32, u32),
    /// Seconds between two calls.
    pub pace: i64,
    /// The service that calls in the actor's name.
    pub through: Option<&'static str>,
    /// What the caller says it is, if not the usual.
    pub user_agent: Option<&'static str>,
    /// The calls.
    pub steps: &'static [Step],
    /// Detection and permission of every finding. `BL02` needs a history and is left out without one.
    pub findings: &'static [(&'static str, &'static str)],
    /// The live stream may show it again, without `BL02`: by then the permission is known.
    pub again: bool,
}

/// One kind of call in a scene.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The call.
    pub act: Act,
    /// How often.
    pub times: u32,
    /// How it ends.
    pub outcome: Outcome,
}

const fn done(call: &'static str, on: On, times: u32) -> Step {
    Step { act: Act::new(call, on, 1), times, outcome: Outcome::Success }
}

const fn refused(call: &'static str, on: On, times: u32) -> Step {
    Step { act: Act::new(call, on, 1), times, outcome: Outcome::Refused }
}

const fn failed(call: &'static str, on: On, times: u32, code: &'static str, message: &'static str) -> Step {
    Step { act: Act::new(call, on, 1), times, outcome: Outcome::Failed(code, message) }
}

const fn scene(name: &'static str, actor: &'static str, days_before: u32, time: (u32, u32)) -> Scene {
    Scene {
        name,
        story: "",
        actor,
        days_before,
        time,
        pace: 7,
        through: None,
        user_agent: None,
        steps: &[],
        findings: &[],
        again: false,
    }
}

/// The incidents, newest first.
pub const INCIDENTS: &[Scene] = &[
    Scene {
        story: "at night the support bot, talked into it by a ticket, deletes invoices that its legacy S3 policy lets it reach",
        steps: &[
            done("dynamodb:GetItem", On::Table("tickets"), 2),
            done("s3:DeleteObject", On::Object("acme-invoices", "2025/"), 14),
        ],
        findings: &[("SC01", "s3:DeleteObject"), ("DS01", "s3:DeleteObject"), ("BL02", "s3:DeleteObject")],
        again: true,
        ..scene("support-bot-deletes-invoices", "support-bot", 1, (2, 14))
    },
    Scene {
        story: "the coding agent, stopped by a missing right, attaches AdministratorAccess to its own role",
        steps: &[
            done("sts:GetCallerIdentity", On::Nothing, 1),
            done(
                "iam:AttachRolePolicy",
                On::Request(
                    r#"{"roleName":"coding-agent","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#,
                ),
                1,
            ),
        ],
        findings: &[
            ("PR01", "iam:AttachRolePolicy"),
            ("SC01", "iam:AttachRolePolicy"),
            ("BL02", "iam:AttachRolePolicy"),
        ],
        ..scene("coding-agent-promotes-itself", "coding-agent", 2, (10, 41))
    },
    Scene {
        story: "on a last evening the contractor stops the organisation's trail",
        pace: 30,
        steps: &[
            done("cloudtrail:DescribeTrails", On::Nothing, 1),
            done(
                "cloudtrail:StopLogging",
                On::Request(r#"{"name":"arn:aws:cloudtrail:eu-west-1:111122223333:trail/acme-org"}"#),
                1,
            ),
        ],
        findings: &[("LG01", "cloudtrail:StopLogging")],
        ..scene("contractor-stops-the-trail", "contractor", 3, (18, 47))
    },
    Scene {
        story: "the returns assistant, four days old, tries one door after another and finds them locked",
        pace: 20,
        steps: &[
            refused("iam:ListUsers", On::Nothing, 2),
            refused("s3:ListBuckets", On::Nothing, 2),
            refused("secretsmanager:ListSecrets", On::Nothing, 3),
            refused("dynamodb:PutItem", On::Table("customer_orders"), 4),
        ],
        findings: &[
            ("SC02", "iam:ListUsers"),
            ("SC02", "s3:ListAllMyBuckets"),
            ("SC02", "secretsmanager:ListSecrets"),
            ("SC02", "dynamodb:PutItem"),
            ("SC08", "dynamodb:PutItem"),
        ],
        ..scene("returns-assistant-tries-doors", "returns-assistant", 4, (13, 5))
    },
    Scene {
        story: "the cost reporter, which only reads, overwrites the reports it was asked to read",
        steps: &[
            done("s3:GetObject", On::Object("acme-cost-reports", "daily/"), 2),
            done("s3:PutObject", On::Object("acme-cost-reports", "daily/"), 3),
        ],
        findings: &[("SC01", "s3:PutObject"), ("SC08", "s3:PutObject"), ("BL02", "s3:PutObject")],
        again: true,
        ..scene("cost-reporter-writes", "cost-reporter", 5, (6, 12))
    },
    Scene {
        story: "half an hour later the minted key writes to the run table from an address outside",
        steps: &[done("dynamodb:PutItem", On::Table("agent_runs"), 5)],
        findings: &[("ID05", "dynamodb:PutItem")],
        again: true,
        ..scene("executor-mints-a-key", "executor-cli", 6, (15, 37))
    },
    Scene {
        story: "the executor mints a long-lived access key for its own forgotten user",
        steps: &[
            done("sqs:ReceiveMessage", On::Queue("agent-tasks"), 1),
            done("iam:CreateAccessKey", On::NewKey("executor-cli"), 1),
        ],
        findings: &[
            ("PR02", "iam:CreateAccessKey"),
            ("SC01", "iam:CreateAccessKey"),
            ("BL02", "iam:CreateAccessKey"),
        ],
        ..scene("executor-mints-a-key", "executor", 6, (15, 8))
    },
    Scene {
        story: "the order processor, declared for customer orders, reads the payroll table with the same call",
        steps: &[
            done("dynamodb:GetItem", On::Table("customer_orders"), 2),
            done("dynamodb:GetItem", On::Table("payroll"), 9),
        ],
        findings: &[("SC04", "dynamodb:GetItem")],
        again: true,
        ..scene("order-processor-reads-payroll", "order-processor", 7, (11, 22))
    },
    Scene {
        story: "the inventory manager scans its whole table, which it may and never did",
        steps: &[
            done("dynamodb:GetItem", On::Table("inventory"), 1),
            done("dynamodb:Scan", On::Table("inventory"), 6),
        ],
        findings: &[("BL02", "dynamodb:Scan")],
        ..scene("inventory-manager-scans", "inventory-manager", 8, (3, 33))
    },
    Scene {
        story: "the coding agent deletes a staging table in order to make it anew",
        user_agent: Some(HOSTILE_AGENT),
        steps: &[
            done("cloudformation:DescribeStacks", On::Request(r#"{"stackName":"checkout-staging"}"#), 1),
            done("dynamodb:DeleteTable", On::WholeTable("checkout-carts"), 1),
        ],
        findings: &[
            ("SC01", "dynamodb:DeleteTable"),
            ("DS01", "dynamodb:DeleteTable"),
            ("BL02", "dynamodb:DeleteTable"),
        ],
        ..scene("coding-agent-deletes-a-table", "coding-agent", 9, (16, 2))
    },
    Scene {
        story: "the deploy agent, limited to staging, puts a build on the production checkout",
        steps: &[done(
            "lambda:UpdateFunctionCode20150331v2",
            On::Function("arn:aws:lambda:eu-west-1:111122223333:function:checkout"),
            1,
        )],
        findings: &[("SC04", "lambda:UpdateFunctionCode")],
        again: true,
        ..scene("deploy-agent-touches-production", "deploy-agent", 10, (12, 19))
    },
];

/// The near misses: each looks like something above and is not.
pub const NEAR_MISSES: &[Scene] = &[
    Scene {
        story: "a burst of throttled writes: failed, not denied, and within the scope",
        pace: 1,
        steps: &[failed(
            "dynamodb:UpdateItem",
            On::Table("inventory"),
            90,
            "ThrottlingException",
            "Throughput exceeds the current capacity for your table or index",
        )],
        ..scene("throttled-burst", "inventory-manager", 4, (9, 0))
    },
    Scene {
        story: "a dry run of a call that is not declared: nothing was done and nothing was refused",
        steps: &[failed(
            "ec2:StopInstances",
            On::Request(r#"{"instancesSet":{"items":[{"instanceId":"i-0f1e2d3c4b5a69788"}]},"force":false}"#),
            2,
            "Client.DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.",
        )],
        ..scene("dry-run", "coding-agent", 3, (14, 25))
    },
    Scene {
        story: "DynamoDB decrypts its table in the name of the chatbot, which made no such call itself",
        through: Some("dynamodb.amazonaws.com"),
        steps: &[done("kms:Decrypt", On::Key(SHARED_KEY), 3)],
        ..scene("service-calls-in-an-agents-name", "chatbot-support", 5, (8, 30))
    },
    Scene {
        story: "a person deletes drafts, a table and an instance, as on other days",
        steps: &[
            done("s3:DeleteObject", On::Object("acme-invoices", "drafts/"), 25),
            done("dynamodb:DeleteTable", On::WholeTable("tickets-migration"), 1),
            done(
                "ec2:TerminateInstances",
                On::Request(r#"{"instancesSet":{"items":[{"instanceId":"i-0c9d1e2f3a4b5c6d7"}]}}"#),
                2,
            ),
        ],
        ..scene("a-person-deletes", "j.doe", 2, (15, 50))
    },
    Scene {
        story: "a deployment within the scope is refused by the organisation's guardrail: the scope was kept",
        steps: &[Step {
            act: Act::new(
                "lambda:UpdateFunctionCode20150331v2",
                On::Function("arn:aws:lambda:eu-west-1:444455556666:function:checkout-staging"),
                1,
            ),
            times: 3,
            outcome: Outcome::RefusedByGuardrail,
        }],
        ..scene("refused-within-the-scope", "deploy-agent", 5, (10, 10))
    },
    Scene {
        story: "an error text and a user agent full of markup: attackers write the log's text",
        user_agent: Some(HOSTILE_AGENT),
        steps: &[failed(
            "dynamodb:GetItem",
            On::Table("tf-locks"),
            2,
            "ValidationException",
            "1 validation error: Value '<!channel> <@U0> <img src=x onerror=alert(1)> *bold* `code`' at 'key'",
        )],
        ..scene("hostile-text", "coding-agent", 6, (11, 11))
    },
    Scene {
        story: "the pipeline clears its own spill area: a declared delete",
        steps: &[done("s3:DeleteObject", On::Object("acme-lake-tmp", "spill/"), 60)],
        pace: 1,
        ..scene("declared-delete", "data-pipeline", 2, (4, 0))
    },
];
