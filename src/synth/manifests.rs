//! The declarations: a manifest for each agent and the catalogue of the company's resources.

use std::fmt::Write;

use chrono::{DateTime, Days, Utc};

use super::archetypes::agents;
use super::company::{Actor, Declaration, Kind};

/// Name in `agents/` and text of every manifest, the catalogue included.
pub fn files(end: DateTime<Utc>) -> Vec<(String, String)> {
    let mut files = vec![("resources.yaml".to_owned(), CATALOG.to_owned())];
    for actor in agents() {
        if let Some(declares) = &actor.declares {
            files.push((format!("{}.yaml", actor.name), manifest(actor, declares, end)));
        }
    }
    files
}

fn manifest(actor: &Actor, declares: &Declaration, end: DateTime<Utc>) -> String {
    let Declaration { description, environment, purpose, team, allow, deny } = declares;
    let name = actor.name;
    let today = end.date_naive();
    let reviewed = today.checked_sub_days(Days::new(20)).unwrap_or(today);
    let expires = today.checked_add_days(Days::new(180)).unwrap_or(today);
    let mut yaml = format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata:\n  name: {name}\n  description: \"{description}\"\n\
         spec:\n  owner: {{team: {team}, slack: \"#{team}\"}}\n  environment: {environment}\n  \
         purpose: {purpose}\n  review: {{every: 90d, last: {reviewed}, by: j.doe@acme.example}}\n  \
         expires: {expires}\n  identities:\n"
    );
    for identity in agents().filter(|other| other.agent == Some(name)) {
        let kind = if matches!(identity.kind, Kind::User(_)) { "aws.user" } else { "aws.role" };
        push(&mut yaml, &format!("    - {kind}: {}", identity.identity()));
    }
    push(&mut yaml, "  allow:");
    for line in *allow {
        push(&mut yaml, &format!("    - {line}"));
    }
    if !deny.is_empty() {
        push(&mut yaml, "  deny:");
    }
    for line in *deny {
        push(&mut yaml, &format!("    - {line}"));
    }
    yaml
}

fn push(yaml: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(yaml, "{line}");
}

const CATALOG: &str = r#"apiVersion: remit/v1
kind: ResourceCatalog
resources:
  customer_tickets:
    sensitivity: confidential
    aws: ["arn:aws:dynamodb:eu-west-1:111122223333:table/tickets"]
  faq:
    aws: ["arn:aws:dynamodb:eu-west-1:111122223333:table/faq", "arn:aws:s3:::acme-faq", "arn:aws:s3:::acme-faq/*"]
  customer_orders:
    sensitivity: confidential
    aws: ["arn:aws:dynamodb:us-east-1:111122223333:table/customer_orders"]
  order_status:
    aws: ["arn:aws:dynamodb:us-east-1:111122223333:table/order_status"]
  inventory:
    aws: ["arn:aws:dynamodb:us-east-1:111122223333:table/inventory"]
  product_catalog:
    aws: ["arn:aws:dynamodb:us-east-1:111122223333:table/product_catalog", "arn:aws:s3:::acme-product-media/*"]
  payroll:
    sensitivity: restricted
    aws: ["arn:aws:dynamodb:us-east-1:111122223333:table/payroll"]
  billing:
    sensitivity: restricted
    aws: ["arn:aws:s3:::acme-invoices", "arn:aws:s3:::acme-invoices/*"]
  bedrock/nova:
    aws: ["arn:aws:bedrock:*::foundation-model/amazon.nova-*"]
  agent_runs:
    aws: ["arn:aws:dynamodb:eu-west-1:111122223333:table/agent_runs"]
  task_functions:
    aws: ["arn:aws:lambda:eu-west-1:111122223333:function:task-*"]
  lake/raw:
    aws: ["arn:aws:s3:::acme-lake-raw", "arn:aws:s3:::acme-lake-raw/*"]
  lake/curated:
    aws: ["arn:aws:s3:::acme-lake-curated", "arn:aws:s3:::acme-lake-curated/*"]
  lake/tmp:
    aws: ["arn:aws:s3:::acme-lake-tmp/*"]
"#;
