use std::fs;

use tempfile::TempDir;

use super::*;
use crate::scope::{Reason, Verdict};
use policy::context::Context;

pub(super) const ROLE: &str = "arn:aws:iam::111122223333:role/agents/triage";

/// Every key that a manifest may have.
const AGENT: &str = r##"apiVersion: remit/v1
kind: Agent
metadata:
  name: triage
  description: Reads tickets, drafts replies.
  links: {a2a: https://triage.internal/card.json}
spec:
  owner: {team: support, slack: "#support", oncall: pagerduty:P1}
  environment: prod
  purpose: ticket triage
  review: {every: 90d, last: 2026-10-02, by: j.doe@example.com}
  expires: 2027-03-31
  identities:
    - aws.role: arn:aws:iam::111122223333:role/agents/triage
      session: "run-*"
      accounts: [111122223333]
    - spiffe: spiffe://example.org/triage
    - azure.agent_identity: 6f1d2c3b-0000-4000-8000-5a5a5a5a5a5a
      blueprint: 0b7e9d11-0000-4000-8000-1b1b1b1b1b1b
    - gcp.service_account: triage@acme.iam.gserviceaccount.com
  allow:
    - read: [tickets, tickets/drafts]
    - write: tickets/drafts
    - invoke: bedrock/claude
    - aws: {actions: [kms:Decrypt], resources: [alias/tickets], via: dynamodb}
    - from: {gcp_role: projects/acme/roles/triage}
  approvals:
    - grant: {delete: tickets/drafts}
      by: [group:leads]
      ticket: CHG
      max: 2h
  deny:
    - "*": billing
    - admin: "*"
  assume: {from: [runner], to: []}
  tools: [search]
  baseline: {learn: 14d, sensitivity: normal, seasonality: weekly}
  alerts: {route: soc, notify_owner: true}
"##;

pub(super) const CATALOG: &str = r#"apiVersion: remit/v1
kind: ResourceCatalog
resources:
  tickets:
    sensitivity: confidential
    aws: ["arn:aws:dynamodb:eu-west-1:111122223333:table/tickets", "arn:aws:s3:::acme-tickets/*"]
  tickets/drafts:
    aws: ["arn:aws:dynamodb:eu-west-1:111122223333:table/drafts"]
  billing: {aws: ["arn:aws:s3:::acme-invoices*"]}
  idle: {tags: {idle: "true"}, aws: ["arn:aws:ec2:*:*:instance/*"], azure: [Microsoft.Compute/virtualMachines], gcp: [compute.googleapis.com/Instance]}
"#;

pub(super) fn now() -> DateTime<Utc> {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

pub(super) fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

pub(super) fn load(files: &[(&str, &str)]) -> Result<Manifests, ManifestErrors> {
    Manifests::load(folder(files).path(), now())
}

/// An agent `NAME` of role `ROLE`, with the rest of its spec.
pub(super) fn agent(name: &str, role: &str, rest: &str) -> String {
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities: [{{aws.role: \"{role}\"}}]\n{rest}"
    )
}

pub(super) fn verdict(manifests: &Manifests, agent: &str, permission: &str, arn: &str) -> (Verdict, Reason) {
    let verdict = manifests.named(agent).unwrap().scope.verdict(
        permission,
        &[arn.to_owned()],
        true,
        &Context::partial(),
    );
    (verdict.verdict, verdict.reason)
}

/// The one error, without its folder.
pub(super) fn fault(files: &[(&str, &str)]) -> String {
    let errors = load(files).unwrap_err().0;
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = &errors[0];
    format!("{}:{}: {}", error.file.rsplit('/').next().unwrap(), error.line, error.message)
}

#[test]
fn a_manifest_with_every_key_is_judged() {
    let manifests = load(&[("triage.yaml", AGENT), ("deep/er/resources.yml", CATALOG)]).unwrap();
    let triage = manifests.named("triage").unwrap();
    assert_eq!(
        (triage.environment.as_deref(), triage.owner.team.as_deref()),
        (Some("prod"), Some("support"))
    );
    assert_eq!(triage.expires.as_deref(), Some("2027-03-31"));
    let table = |name: &str| format!("arn:aws:dynamodb:eu-west-1:111122223333:table/{name}");
    let of = |permission: &str, arn: &str| verdict(&manifests, "triage", permission, arn);
    assert_eq!(of("dynamodb:GetItem", &table("tickets")), (Verdict::In, Reason::Declared));
    assert_eq!(of("dynamodb:PutItem", &table("drafts")), (Verdict::In, Reason::Declared));
    assert_eq!(of("dynamodb:PutItem", &table("tickets")), (Verdict::Out, Reason::OtherResource));
    assert_eq!(of("dynamodb:DeleteItem", &table("drafts")), (Verdict::Out, Reason::OutsideApproval));
    assert_eq!(of("dynamodb:GetItem", &table("salaries")), (Verdict::Out, Reason::OtherResource));
    assert_eq!(of("s3:GetObject", "arn:aws:s3:::acme-invoices/1"), (Verdict::Out, Reason::DeniedByManifest));
    assert_eq!(of("iam:CreateAccessKey", "arn:aws:iam::1:user/x").0, Verdict::Out);
    assert_eq!(
        of("bedrock:InvokeModel", "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-3"),
        (Verdict::In, Reason::Declared)
    );
    assert_eq!(
        of("bedrock:InvokeModel", "arn:aws:bedrock:eu-west-1::foundation-model/meta.llama3"),
        (Verdict::Out, Reason::OtherResource)
    );
    assert_eq!(
        of("kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:key/1"),
        (Verdict::Unknown, Reason::ConditionNotJudged)
    );
}

#[test]
fn a_verdict_names_its_entry_by_file_and_line() {
    let dir = folder(&[("triage.yaml", AGENT), ("resources.yaml", CATALOG)]);
    let manifests = Manifests::load(dir.path(), now()).unwrap();
    let verdict = manifests.named("triage").unwrap().scope.verdict(
        "s3:GetObject",
        &["arn:aws:s3:::acme-tickets/1".into()],
        true,
        &Context::partial(),
    );
    let statement = verdict.statement.unwrap();
    assert!(statement.ends_with("/triage.yaml:22 read: tickets"), "{statement}");
}

#[test]
fn what_is_not_judged_yet_is_warned_of_with_its_line() {
    let manifests = load(&[("triage.yaml", AGENT), ("resources.yaml", CATALOG)]).unwrap();
    let keys: Vec<&str> = manifests.warnings.iter().map(|warning| warning.key.as_str()).collect();
    for key in [
        "spec.assume.from",
        "spec.tools",
        "spec.baseline",
        "spec.alerts",
        "from.gcp_role",
        "resources.idle.tags",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    assert!(manifests.warnings.iter().all(|warning| warning.line > 0 && warning.file.contains(".yaml")));
    // near-misses: what only informs, and what is not due yet
    assert!(
        !keys.iter().any(|key| key.contains("purpose") || key.contains("review") || key.contains("expires"))
    );
}

#[test]
fn expiry_and_review_are_told_by_the_clock_that_is_given() {
    let old = agent("a", ROLE, "  expires: 2026-11-20\n  review: {every: 30d, last: 2026-10-01}\n");
    let manifests = load(&[("a.yaml", &old)]).unwrap();
    let keys: Vec<&str> = manifests.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["spec.expires", "spec.review"]);
    let fresh = agent("a", ROLE, "  expires: 2026-11-21\n  review: {every: 90d, last: 2026-10-01}\n");
    assert_eq!(load(&[("a.yaml", &fresh)]).unwrap().warnings, []);
}

#[test]
fn faults_name_file_line_and_what_to_do() {
    let with = |rest: &str| agent("a", ROLE, rest);
    let cases = [
        (with("  alow: []\n"), "a.yaml:6: unknown key `alow` in `spec`. Did you mean `allow`?"),
        (
            with("  allow:\n    - raed: x\n"),
            "a.yaml:7: unknown key `raed` in `spec.allow`. Did you mean `read`?",
        ),
        (
            with("  allow:\n    - read: ticket\n"),
            "a.yaml:7: `ticket` is in no ResourceCatalog. Did you mean `tickets`?",
        ),
        (with("  allow: {read: tickets}\n"), "a.yaml:6: `spec.allow` must be a list, not a map"),
        (
            with("  allow:\n    - aws: {actions: [GetObject]}\n"),
            "a.yaml:7: `GetObject` in `aws.actions` has no service",
        ),
        (with("  deny:\n    - from: {aws_policy: x.json}\n"), "a.yaml:7: unknown key `from` in `spec.deny`"),
        (with("  deny:\n    - admin: *\n"), "a.yaml:7:"),
        (with("  expires: soon\n"), "a.yaml:6: `soon` in `spec.expires` is no date"),
        (
            with("  bounds: {region: [x]}\n"),
            "a.yaml:6: unknown key `region` in `spec.bounds`. Did you mean `regions`?",
        ),
        (
            agent("a", "arn:aws:sts::1:assumed-role/x/s", ""),
            "a.yaml:5: `arn:aws:sts::1:assumed-role/x/s` is no role ARN",
        ),
        (agent("a b", ROLE, ""), "a.yaml:3: `a b` is no agent name"),
        ("apiVersion: remit/v2\nkind: Agent\n".into(), "a.yaml:1: `apiVersion` is `remit/v2`"),
        (
            "apiVersion: remit/v1\nkind: agent\n".into(),
            "a.yaml:2: unknown kind `agent`. Did you mean `Agent`?",
        ),
        ("- x\n".into(), "a.yaml:1: a manifest is a map, not a list"),
    ];
    for (text, expected) in cases {
        let told = fault(&[("a.yaml", &text), ("c.yaml", CATALOG)]);
        assert!(told.starts_with(expected), "{told}\n  is not\n{expected}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let errors = load(&[
        ("a.yaml", "apiVersion: remit/v1\nkind: Agent\nspec: {x: 1, y: 2}\n"),
        ("b.yaml", "kind: Agent\n"),
    ])
    .unwrap_err();
    assert_eq!(errors.0.len(), 4, "{errors}");
}

#[test]
fn a_policy_is_read_as_it_stands() {
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Sid": "Read", "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::acme/*"},
        {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}"#;
    let text = agent("a", ROLE, "  allow: [{from: {aws_policy: iam/p.json}}]\n");
    let manifests = load(&[("a.yaml", &text), ("iam/p.json", policy)]).unwrap();
    assert_eq!(
        verdict(&manifests, "a", "s3:GetObject", "arn:aws:s3:::acme/1"),
        (Verdict::In, Reason::Declared)
    );
    assert_eq!(
        verdict(&manifests, "a", "ec2:RunInstances", "arn:aws:ec2:r:1:instance/*"),
        (Verdict::Out, Reason::DeniedByManifest)
    );
    let put = manifests.named("a").unwrap().scope.verdict(
        "s3:PutObject",
        &["arn:aws:s3:::acme/1".into()],
        true,
        &Context::partial(),
    );
    assert_eq!((put.verdict, put.missing), (Verdict::Unknown, vec!["aws:SecureTransport".to_owned()]));
}

#[test]
fn a_policy_that_cannot_be_read_makes_everything_unknown_and_is_listed() {
    let text = agent("a", ROLE, "  allow: [{read: tickets}, {from: {aws_policy: p.json}}]\n");
    for policy in ["{", r#"{"Statement": []}"#] {
        let manifests = load(&[("a.yaml", &text), ("c.yaml", CATALOG), ("p.json", policy)]).unwrap();
        assert_eq!(
            verdict(&manifests, "a", "s3:GetObject", "arn:aws:s3:::acme-tickets/1"),
            (Verdict::Unknown, Reason::PolicyUnparsed)
        );
        assert_eq!(
            verdict(&manifests, "a", "s3:PutObject", "arn:aws:s3:::x/1"),
            (Verdict::Unknown, Reason::PolicyUnparsed)
        );
        assert_eq!((manifests.unparsed.len(), manifests.unparsed[0].subject.as_str()), (1, "a"));
    }
    // a file that is not there is no policy either
    assert_eq!(load(&[("a.yaml", &text), ("c.yaml", CATALOG)]).unwrap().unparsed.len(), 1);
}

#[test]
fn a_deny_of_a_name_holds_below_it_and_an_allow_does_not() {
    let text = agent("a", ROLE, "  allow: [{\"*\": \"*\"}]\n  deny: [{write: tickets}]\n");
    let manifests = load(&[("a.yaml", &text), ("c.yaml", CATALOG)]).unwrap();
    let drafts = "arn:aws:dynamodb:eu-west-1:111122223333:table/drafts";
    assert_eq!(verdict(&manifests, "a", "dynamodb:PutItem", drafts).1, Reason::DeniedByManifest);
    let text = agent("a", ROLE, "  allow: [{write: tickets}]\n");
    let manifests = load(&[("a.yaml", &text), ("c.yaml", CATALOG)]).unwrap();
    assert_eq!(verdict(&manifests, "a", "dynamodb:PutItem", drafts).1, Reason::OtherResource);
}

#[test]
fn a_catalog_may_say_what_a_verb_means() {
    let catalog =
        "apiVersion: remit/v1\nkind: ResourceCatalog\nverbs:\n  read: {aws: [List, \"s3:GetObject\"]}\n";
    let text = agent("a", ROLE, "  allow: [{read: \"arn:aws:s3:::acme/*\"}]\n");
    let manifests = load(&[("a.yaml", &text), ("c.yaml", catalog)]).unwrap();
    assert_eq!(verdict(&manifests, "a", "s3:GetObject", "arn:aws:s3:::acme/1").0, Verdict::In);
    assert_eq!(verdict(&manifests, "a", "s3:GetObjectAcl", "arn:aws:s3:::acme/1").0, Verdict::Out);
}

fn caller<'a>(actor: &'a str, session: Option<&'a str>) -> Caller<'a> {
    Caller { actor, session_name: session, account: Some("111122223333"), ..Caller::default() }
}

#[test]
fn a_role_is_matched_as_it_is_logged() {
    let manifests = load(&[("a.yaml", &agent("a", ROLE, ""))]).unwrap();
    let name = |actor| manifests.agent(&caller(actor, None)).map(|agent| agent.name.clone());
    assert_eq!(name(ROLE).as_deref(), Some("a"));
    assert_eq!(name("arn:aws:iam::111122223333:role/triage"), None);
    assert_eq!(name("arn:aws:iam::999999999999:role/agents/triage"), None);
}

#[test]
fn the_more_specific_identity_wins() {
    let any = agent("any", "arn:aws:iam::*:role/agents/*", "");
    let exact = agent("exact", ROLE, "");
    let session = format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: session}}\nspec:\n  identities:\n    - aws.role: {ROLE}\n      session: \"nightly-*\"\n"
    );
    let manifests = load(&[("a.yaml", &any), ("b.yaml", &exact), ("c.yaml", &session)]).unwrap();
    let name = |actor, session| manifests.agent(&caller(actor, session)).map(|agent| agent.name.as_str());
    assert_eq!(name(ROLE, Some("nightly-1")), Some("session"));
    assert_eq!(name(ROLE, Some("daily-1")), Some("exact"));
    assert_eq!(name("arn:aws:iam::111122223333:role/agents/other", None), Some("any"));
}

#[test]
fn accounts_narrow_an_identity_and_numbers_keep_their_zeros() {
    let text = "apiVersion: remit/v1\nkind: Agent\nmetadata: {name: a}\nspec:\n  identities:\n    - aws.role: \"arn:aws:iam::*:role/x\"\n      accounts: [\"011122223333\", 444455556666]\n";
    let manifests = load(&[("a.yaml", text)]).unwrap();
    let known =
        |account: &str| manifests.agent(&caller(&format!("arn:aws:iam::{account}:role/x"), None)).is_some();
    assert!(known("011122223333") && known("444455556666") && !known("111122223333"));
}

#[test]
fn two_agents_cannot_claim_one_identity() {
    let told = load(&[("a.yaml", &agent("a", ROLE, "")), ("b.yaml", &agent("b", ROLE, ""))])
        .unwrap_err()
        .to_string();
    assert!(told.contains("claim the same identity") && told.contains("session"), "{told}");
    let told =
        load(&[("a.yaml", &agent("a", ROLE, "")), ("b.yaml", &agent("a", "arn:aws:iam::1:role/y", ""))])
            .unwrap_err()
            .to_string();
    assert!(told.contains("declared twice"), "{told}");
}

#[test]
fn several_documents_may_share_a_file() {
    let both = format!("{}---\n{CATALOG}", agent("a", ROLE, "  allow: [{read: tickets}]\n"));
    assert_eq!(load(&[("all.yaml", &both)]).unwrap().agents.len(), 1);
}

#[test]
fn files_of_other_kinds_are_left_alone() {
    assert_eq!(load(&[("README.md", "# x"), ("p.json", "{")]).unwrap().agents.len(), 0);
    assert!(Manifests::load(Path::new("/nonexistent/agents"), now()).is_err());
}

/// As much of JSON Schema as ours uses.
fn fits(schema: &serde_json::Value, root: &serde_json::Value, value: &serde_json::Value) -> bool {
    if let Some(path) = schema["$ref"].as_str() {
        return fits(root.pointer(path.trim_start_matches('#')).unwrap(), root, value);
    }
    for (word, all) in [("oneOf", false), ("anyOf", true)] {
        if let Some(choices) = schema[word].as_array() {
            let fitting = choices.iter().filter(|choice| fits(choice, root, value)).count();
            return if all { fitting > 0 } else { fitting == 1 };
        }
    }
    let kind = match value {
        serde_json::Value::Object(_) => "object",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::Null => "null",
    };
    let kinds = &schema["type"];
    let typed = kinds.is_null()
        || kinds.as_str() == Some(kind)
        || kinds.as_array().is_some_and(|list| list.iter().any(|one| one == kind));
    let constant = schema.get("const").is_none_or(|constant| constant == value)
        && schema["enum"].as_array().is_none_or(|list| list.contains(value));
    let items = value.as_array().is_none_or(|list| {
        schema.get("items").is_none_or(|items| list.iter().all(|item| fits(items, root, item)))
    });
    let required = schema["required"]
        .as_array()
        .is_none_or(|list| list.iter().all(|key| value.get(key.as_str().unwrap()).is_some()));
    let fields = value.as_object().is_none_or(|map| {
        map.iter().all(|(key, value)| {
            match (schema["properties"].get(key), schema.get("additionalProperties")) {
                (Some(property), _) => fits(property, root, value),
                (None, Some(serde_json::Value::Bool(allowed))) => *allowed,
                (None, Some(other)) => fits(other, root, value),
                (None, None) => true,
            }
        })
    });
    typed && constant && items && required && fields
}

#[test]
fn the_schema_takes_what_the_loader_takes() {
    let schema = schema();
    let json = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).unwrap();
    assert!(fits(&schema, &schema, &json(AGENT)));
    assert!(fits(&schema, &schema, &json(CATALOG)));
    assert!(!fits(&schema, &schema, &json(&agent("a", ROLE, "  alow: []\n"))));
    assert!(!fits(&schema, &schema, &json("apiVersion: remit/v1\nkind: Robot\n")));
    for good in [
        "apiVersion: remit/v1\nkind: Approval\nspec: {agent: a, grant: 2, start: x, end: y, approver: ann}\n",
        "apiVersion: remit/v1\nkind: Approval\nspec: {agent: a, grant: {delete: idle}, start: x, end: y, approver: ann}\n",
        "roles: {Orders: {permissions: [{read: orders}, {write: status}]}}\n",
        "rules: [{condition: identity.age > 30 days, actions: [{delete: true}]}]\n",
    ] {
        assert!(fits(&schema, &schema, &json(good)), "{good}");
    }
    for bad in ["roles: {Orders: {permission: []}}\n", "rules: [{actions: []}]\n"] {
        assert!(!fits(&schema, &schema, &json(bad)), "{bad}");
    }
    let from = |from: &str| json(&agent("a", ROLE, &format!("  allow: [{{from: {from}}}]\n")));
    for good in [
        "{aws_policy: p.json}",
        "{terraform: ../tf, address: aws_iam_policy.a}",
        "{azure_role: r.json, scope: /subscriptions/1}",
        "{gcp_role: roles/viewer, resource: projects/x}",
    ] {
        assert!(fits(&schema, &schema, &from(good)), "{good}");
    }
    for bad in ["{terraform: ../tf}", "{aws_policy: p.json, gcp_role: roles/viewer}", "{gcp_rol: x}", "{}"] {
        assert!(!fits(&schema, &schema, &from(bad)), "{bad}");
    }
}
