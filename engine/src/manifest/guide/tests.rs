use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::calls::Answers;
use crate::grant::Grants;
use crate::lint::lint;
use crate::manifest::{Caller, ManifestErrors, Manifests, Versions};
use crate::posture::identities_of;
use crate::scope::{Reason, Verdict};
use policy::context::Context;

const CATALOG: &str = r#"apiVersion: remit/v1
kind: ResourceCatalog
resources:
  customer_orders: {aws: ["arn:aws:dynamodb:eu-west-1:1:table/orders"]}
  order_status: {aws: ["arn:aws:dynamodb:eu-west-1:1:table/status"]}
"#;

const ROLES: &str = "roles:
  OrderProcessor:
    permissions:
      - read: customer_orders
      - write: order_status
";

const RULES: &str = r#"rules:
  - name: AI agents only read and write
    condition: identity.type == "ai-generated"
    actions:
      - deny: "*"
      - allow: [read, write]
  - condition: identity.age > 30 days
    actions:
      - delete: true
"#;

fn load(text: &str) -> Result<Manifests, ManifestErrors> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    fs::write(dir.path().join("resources.yaml"), CATALOG).unwrap();
    Manifests::load(dir.path(), "2026-11-21T00:00:00Z".parse().unwrap())
}

fn fault(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

fn verdict(manifests: &Manifests, agent: &str, permission: &str, arn: &str) -> (Verdict, Reason) {
    let agent = manifests.named(agent).unwrap();
    let verdict = agent.scope.verdict(permission, &[arn.to_owned()], true, &Context::partial());
    (verdict.verdict, verdict.reason)
}

fn caller(actor: &str) -> Caller<'_> {
    Caller { actor, ..Caller::default() }
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

const ORDERS: &str = "arn:aws:dynamodb:eu-west-1:1:table/orders";
const STATUS: &str = "arn:aws:dynamodb:eu-west-1:1:table/status";

#[test]
fn a_role_of_a_guide_is_an_agent() {
    let manifests = load(ROLES).unwrap();
    let of = |permission, arn| verdict(&manifests, "OrderProcessor", permission, arn);
    assert_eq!(of("dynamodb:GetItem", ORDERS), (Verdict::In, Reason::Declared));
    assert_eq!(of("dynamodb:PutItem", STATUS), (Verdict::In, Reason::Declared));
    assert_eq!(of("dynamodb:PutItem", ORDERS), (Verdict::Out, Reason::OtherResource));
    assert_eq!(of("dynamodb:DeleteTable", STATUS).0, Verdict::Out);
    assert_eq!(manifests.warnings, []);
}

#[test]
fn a_role_of_a_guide_is_known_in_any_account_and_on_any_path() {
    let manifests = load(ROLES).unwrap();
    let known = |arn| manifests.agent(&caller(arn)).is_some();
    for arn in [
        "arn:aws:iam::111122223333:role/OrderProcessor",
        "arn:aws:iam::444455556666:role/shop/eu/OrderProcessor",
        "arn:aws:iam::111122223333:user/OrderProcessor",
        "arn:aws:iam::111122223333:user/bots/OrderProcessor",
    ] {
        assert!(known(arn), "{arn}");
    }
    for arn in [
        "arn:aws:iam::111122223333:role/MyOrderProcessor",
        "arn:aws:iam::111122223333:role/OrderProcessor2",
        "arn:aws:iam::111122223333:role/OrderProcessor/x",
        "arn:aws:iam::111122223333:role/orderprocessor",
        "arn:aws:iam::111122223333:group/OrderProcessor",
    ] {
        assert!(!known(arn), "{arn}");
    }
}

#[test]
fn permissions_are_written_as_people_write_them() {
    for text in [
        "roles: {P: {permissions: [{read: customer_orders}, {read: order_status}]}}",
        "roles: {P: {permissions: [read: customer_orders, read: order_status]}}",
        "roles: {P: {permissions: [{read: [customer_orders, order_status]}], description: x}}",
        "roles: {P: {permissions: {read: [customer_orders, order_status]}}}",
    ] {
        let manifests = load(text).unwrap();
        assert_eq!(verdict(&manifests, "P", "dynamodb:GetItem", STATUS).0, Verdict::In, "{text}");
        assert_eq!(verdict(&manifests, "P", "dynamodb:PutItem", STATUS).0, Verdict::Out, "{text}");
    }
}

#[test]
fn the_verdict_names_the_line_of_the_guide() {
    let manifests = load(ROLES).unwrap();
    let agent = manifests.named("OrderProcessor").unwrap();
    let verdict = agent.scope.verdict("dynamodb:PutItem", &[STATUS.to_owned()], true, &Context::partial());
    assert!(verdict.statement.unwrap().ends_with("/a.yaml:5 write: order_status"));
    assert_eq!(agent.line, 2);
}

#[test]
fn a_role_without_permissions_may_do_nothing() {
    let manifests = load("roles: {P: {permissions: []}}").unwrap();
    assert_eq!(verdict(&manifests, "P", "dynamodb:GetItem", ORDERS), (Verdict::Out, Reason::NotDeclared));
}

#[test]
fn faults_in_a_guide_say_what_to_do() {
    let cases = [
        ("roles: {P: {permissions: [{read: customer_order}]}}", "Did you mean `customer_orders`?"),
        ("roles: {P: {permissions: [{raed: order_status}]}}", "Did you mean `read`?"),
        ("roles: {P: {permission: [{read: order_status}]}}", "Did you mean `permissions`?"),
        ("roles: {P: {permissions: read}}", "must be a list, not a text"),
        ("roles: [P]", "`roles` must be a map, not a list"),
        ("roles: {\"P*\": {permissions: []}}", "is no agent name"),
        ("roles: {}\nrule: []", "unknown key `rule` in `document`. Did you mean `rules`?"),
        ("rules: [{name: x, actions: [{delete: true}]}]", "needs a `condition` and `actions`"),
        ("rules: [{condition: identity.owner == x, actions: []}]", "Two forms are read"),
        ("rules: [{condition: identity.age > 30 days, actions: []}]", "needs an action"),
        ("rules: [{condition: identity.age > 30 days, actions: [{delet: true}]}]", "Did you mean `delete`?"),
        ("rules: [{condition: identity.age > 30 days, actions: [{delete: soon}]}]", "neither true nor false"),
        (
            "rules: [{condition: identity.age > 30 days, actions: [{delete: true}, {disable: true}]}]",
            "make it two rules",
        ),
        (
            "rules: [{condition: identity.type == ai-generated, actions: [{allow: raed}]}]",
            "is no verb. Did you mean `read`?",
        ),
        (
            "rules: [{condition: identity.type == ai-generated, actions: [{deny: \"*\"}, {allow: \"*\"}]}]",
            "the rule says nothing",
        ),
        (
            "rules: [{name: \"!\", condition: identity.type == ai-generated, actions: []}]",
            "no letter and no digit",
        ),
    ];
    for (text, expected) in cases {
        let told = fault(text);
        assert!(told.contains(expected), "{told}\n  does not have\n{expected}");
        assert!(told.contains("/a.yaml:"), "{told}");
    }
}

#[test]
fn a_guide_without_a_catalog_loads_and_what_it_names_is_unknown() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), ROLES).unwrap();
    let manifests = Manifests::load(dir.path(), "2026-11-21T00:00:00Z".parse().unwrap()).unwrap();
    let of = |permission: &str| {
        let scope = &manifests.named("OrderProcessor").unwrap().scope;
        scope.verdict(permission, &[ORDERS.to_owned()], true, &Context::partial())
    };
    let read = of("dynamodb:GetItem");
    assert_eq!(
        (read.verdict, read.missing),
        (Verdict::Unknown, vec!["resources.customer_orders".to_owned()])
    );
    assert_eq!(of("dynamodb:PutItem").missing, ["resources.order_status"]);
    // near-misses: what no word of it can mean
    assert_eq!(of("dynamodb:DeleteTable").reason, Reason::NotDeclared);
    assert_eq!(of("iam:AttachRolePolicy").reason, Reason::NotDeclared);
    assert_eq!(manifests.warnings.iter().filter(|one| one.message.contains("customer_orders")).count(), 1);
}

#[test]
fn what_has_a_kind_or_a_version_is_no_guide() {
    assert!(fault("apiVersion: remit/v1\nroles: {}").contains("unknown kind ``"));
    assert!(fault("kind: Agent\nroles: {}").contains("`apiVersion` is ``"));
    assert!(fault("policies: {}").contains("`apiVersion` is ``"));
}

#[test]
fn a_guide_and_a_manifest_may_share_a_file_and_not_a_name() {
    let agent = |name: &str| {
        format!(
            "{ROLES}---\napiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities: [{{aws.role: \"arn:aws:iam::1:role/x\"}}]\n  assume: {{from: [OrderProcessor]}}\n"
        )
    };
    let manifests = load(&agent("other")).unwrap();
    let from = manifests.named("other").unwrap().assume.from.clone().unwrap();
    assert!(from.contains(&"arn:aws:iam::*:role/OrderProcessor".to_owned()), "{from:?}");
    assert_eq!(manifests.warnings, []);
    assert!(fault(&agent("OrderProcessor")).contains("declared twice"));
}

#[test]
fn a_manifest_of_an_exact_role_goes_before_a_guide() {
    let own = "---\napiVersion: remit/v1\nkind: Agent\nmetadata: {name: own}\nspec: {identities: [{aws.role: \"arn:aws:iam::111122223333:role/OrderProcessor\"}]}\n";
    let manifests = load(&format!("{ROLES}{own}")).unwrap();
    let name = |arn| manifests.agent(&caller(arn)).map(|agent| agent.name.as_str());
    assert_eq!(name("arn:aws:iam::111122223333:role/OrderProcessor"), Some("own"));
    assert_eq!(name("arn:aws:iam::444455556666:role/OrderProcessor"), Some("OrderProcessor"));
}

const RULE: &str = "ai-agents-only-read-and-write";

#[test]
fn a_rule_about_what_ai_made_is_a_scope() {
    let manifests = load(RULES).unwrap();
    let of = |permission, arn| verdict(&manifests, RULE, permission, arn).0;
    assert_eq!(of("dynamodb:GetItem", ORDERS), Verdict::In);
    assert_eq!(of("dynamodb:PutItem", "arn:aws:dynamodb:eu-west-1:1:table/any"), Verdict::In);
    assert_eq!(of("dynamodb:DeleteTable", ORDERS), Verdict::Out);
    assert_eq!(of("iam:PutRolePolicy", "arn:aws:iam::1:role/x"), Verdict::Out);
    let described = manifests.named(RULE).unwrap().description.as_deref();
    assert_eq!(described, Some("AI agents only read and write"));
}

#[test]
fn what_is_denied_by_name_is_denied_whatever_allows_it() {
    let rule = |actions: &str| {
        load(&format!("rules: [{{name: r, condition: identity.type == ai-generated, actions: {actions}}}]"))
            .unwrap()
    };
    let manifests = rule("[{allow: \"*\"}, {deny: [delete, {write: customer_orders}]}]");
    let of = |permission, arn| verdict(&manifests, "r", permission, arn);
    assert_eq!(of("dynamodb:DeleteTable", STATUS), (Verdict::Out, Reason::DeniedByManifest));
    assert_eq!(of("dynamodb:PutItem", ORDERS), (Verdict::Out, Reason::DeniedByManifest));
    assert_eq!(of("dynamodb:PutItem", STATUS), (Verdict::In, Reason::Declared));
    let manifests = rule("[{deny: \"*\"}]");
    assert_eq!(verdict(&manifests, "r", "dynamodb:GetItem", ORDERS).0, Verdict::Out);
}

#[test]
fn what_ai_made_is_known_by_its_tag() {
    let manifests = load(RULES).unwrap();
    let of = |actor, tags: Option<&BTreeMap<String, String>>| {
        manifests.agent(&Caller { actor, tags, ..Caller::default() }).map(|agent| agent.name.as_str())
    };
    let made = tags(&[("team", "x"), ("GeneratedBy", "AI")]);
    assert_eq!(of("arn:aws:iam::1:role/agents/x", Some(&made)), Some(RULE));
    assert_eq!(of("arn:aws:iam::1:user/x", Some(&made)), Some(RULE));
    for other in [tags(&[]), tags(&[("GeneratedBy", "human")]), tags(&[("generatedby", "AI")])] {
        assert_eq!(of("arn:aws:iam::1:role/agents/x", Some(&other)), None, "{other:?}");
    }
    // Nothing tells its tags: it is nobody's.
    assert_eq!(of("arn:aws:iam::1:role/agents/x", None), None);
    assert!(manifests.tells_by_tag() && !load(ROLES).unwrap().tells_by_tag());
}

#[test]
fn a_declared_agent_goes_before_a_rule() {
    let manifests = load(&format!("{ROLES}{RULES}")).unwrap();
    let made = tags(&[("GeneratedBy", "AI")]);
    let caller =
        Caller { actor: "arn:aws:iam::1:role/OrderProcessor", tags: Some(&made), ..Caller::default() };
    assert_eq!(manifests.agent(&caller).map(|agent| agent.name.as_str()), Some("OrderProcessor"));
}

#[test]
fn two_rules_cannot_be_about_the_same_identities() {
    let rule = |name: &str| {
        format!(
            "  - {{name: {name}, condition: identity.type == ai-generated, actions: [{{allow: read}}]}}\n"
        )
    };
    let told = fault(&format!("rules:\n{}{}", rule("a"), rule("b")));
    assert!(told.contains("claim the same identity"), "{told}");
}

#[test]
fn that_the_tag_decides_is_told() {
    let manifests = load(RULES).unwrap();
    let keys: Vec<(&str, u64)> =
        manifests.warnings.iter().map(|warning| (warning.key.as_str(), warning.line)).collect();
    assert_eq!(keys, [("rules.condition", 2)]);
    assert!(manifests.warnings[0].message.contains("`GeneratedBy=AI`"));
}

#[test]
fn a_rule_about_age_is_kept_and_listed() {
    let manifests = load(RULES).unwrap();
    assert_eq!(manifests.lifecycle.len(), 1);
    let rule = &manifests.lifecycle[0];
    assert_eq!(
        (rule.name.as_str(), rule.older_than_days, rule.action.as_str()),
        ("older-than-30-days", 30, "delete")
    );
    assert_eq!(rule.line, 7);
    let lints = lint(&manifests, &[], None, "2026-11-21".parse().unwrap());
    let told: Vec<&str> =
        lints.iter().filter(|lint| lint.rule == "lifecycle").map(|lint| lint.message.as_str()).collect();
    assert_eq!(told, ["rule `older-than-30-days`: delete an identity after 30 days"]);
}

#[test]
fn a_rule_about_age_changes_no_verdict() {
    let manifests =
        load("rules: [{name: old, condition: identity.age > 30 days, actions: [{delete: true}]}]").unwrap();
    assert!(manifests.agents.is_empty() && manifests.warnings.is_empty());
}

#[test]
fn a_rule_overlaps_with_nobody_in_lint() {
    let manifests = load(&format!("{ROLES}{RULES}")).unwrap();
    let lints = lint(&manifests, &[], None, "2026-11-21".parse().unwrap());
    assert!(lints.iter().all(|lint| lint.rule != "overlapping-identity"), "{lints:?}");
}

/// An export of one account, with a role of that name and tags.
fn grants(name: &str, tags: &[(&str, &str)]) -> (TempDir, Grants) {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    let export = json!({
        "UserDetailList": [], "GroupDetailList": [], "Policies": [],
        "RoleDetailList": [{"RoleName": name, "Arn": format!("arn:aws:iam::111122223333:role/{name}"), "Tags": tags, "RolePolicyList": []}]});
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("account.json"), export.to_string()).unwrap();
    let grants = Grants::load(dir.path()).unwrap();
    (dir, grants)
}

#[test]
fn the_tag_is_taken_from_the_export() {
    let actor = "arn:aws:iam::111122223333:role/maker";
    let of = |tags: &[(&str, &str)]| {
        let manifests = Versions::from(load(RULES).unwrap());
        let (_dir, grants) = grants("maker", tags);
        let asker = Answers::default().asker(&manifests, &grants, &caller(actor), None, 0);
        asker.agent.map(|agent| agent.name.clone())
    };
    assert_eq!(of(&[("GeneratedBy", "AI")]).as_deref(), Some(RULE));
    assert_eq!(of(&[("GeneratedBy", "hand")]), None);
}

#[test]
fn whoever_has_the_tag_is_the_rules_and_nobody_else() {
    let manifests = load(RULES).unwrap();
    let agent = manifests.named(RULE).unwrap();
    let of = |tags: &[(&str, &str)]| identities_of(agent, &grants("maker", tags).1, std::iter::empty()).len();
    assert_eq!((of(&[("GeneratedBy", "AI")]), of(&[])), (1, 0));
}

#[test]
fn the_forms_of_one_name_are_doubted_together() {
    let manifests = load(ROLES).unwrap();
    let of = |name| {
        let (_dir, grants) = grants(name, &[]);
        let lints = lint(&manifests, &[], Some(&grants), "2026-11-21".parse().unwrap());
        lints.iter().filter(|lint| lint.rule == "unknown-role").count()
    };
    assert_eq!((of("OrderProcessor"), of("Other")), (0, 1));
}
