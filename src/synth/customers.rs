//! The agents that serve customers and their orders, all in production.

use super::archetypes::{ECS, NOVA, agent, around_the_clock, place};
use super::company::{Act, Actor, Declaration, Grant, IRELAND, Kind, PROD, SHARED_KEY, VIRGINIA};
use super::target::On;

/// Every identity of these agents.
pub const AGENTS: &[Actor] = &[
    Actor {
        rhythm: around_the_clock(36, (4, 8)),
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
        rhythm: around_the_clock(40, (3, 6)),
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
        rhythm: around_the_clock(38, (2, 6)),
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
        rhythm: around_the_clock(28, (2, 5)),
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
        rhythm: around_the_clock(34, (2, 5)),
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
        rhythm: around_the_clock(8, (3, 6)),
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
