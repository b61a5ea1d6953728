//! Azure and Google Cloud: published roles, and laws that hold for any policy
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on fails")]

use std::path::Path;

use policy::tool::{decide_azure, decide_gcp};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn published_azure_roles_grant_what_they_grant() {
    let Ok(folder) = std::env::var("REMIT_CONFORMANCE") else {
        eprintln!("skipped: REMIT_CONFORMANCE is not set");
        return;
    };
    let cases = lines(&Path::new(&folder).join("policies/azure_rbac_sample.jsonl"));
    for case in &cases {
        let wanted = if case["expected"] == true { "Allowed" } else { "Denied" };
        let answer = decide_azure(case);
        assert_eq!(answer["decision"], wanted, "{} {} {}", case["id"], case["roleName"], case["operation"]);
    }
}

#[test]
fn every_published_azure_role_is_read() {
    let Ok(folder) = std::env::var("REMIT_REFERENCE") else {
        eprintln!("skipped: REMIT_REFERENCE is not set");
        return;
    };
    let text = std::fs::read_to_string(Path::new(&folder).join("azure_built_in_roles.json")).unwrap();
    let roles: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut policies = policy::azure::Policies::default();
    for role in &roles {
        assert_eq!(policy::azure::item(role), Some(policy::azure::Item::Definition));
        policies.add_definition(role).unwrap();
    }
}

/// How much an answer lets through.
fn width(answer: &Value) -> u8 {
    match answer["decision"].as_str().unwrap() {
        "Denied" => 0,
        "Unknown" => 1,
        "Allowed" => 2,
        other => panic!("{other}"),
    }
}

const SCOPES: [&str; 5] = [
    "/",
    "/providers/Microsoft.Management/managementGroups/g",
    "/subscriptions/s",
    "/subscriptions/s/resourceGroups/r",
    "/subscriptions/s/resourceGroups/r/providers/N/t/x",
];
const OPERATIONS: [&str; 5] = ["*", "N/t/*", "*/read", "N/t/read", "N/t/write"];
const CONDITIONS: [Option<&str>; 4] =
    [None, Some("ActionMatches{'*/read'}"), Some("@Request[x] BoolEquals true"), Some("unread able")];
const PEOPLE: [(&str, &str); 3] = [("ann", "User"), ("bob", "User"), ("ops", "Group")];

fn azure_permissions() -> impl Strategy<Value = Value> {
    let some = |most| prop::collection::vec(prop::sample::select(&OPERATIONS[..]), 0..most);
    (some(3), some(2)).prop_map(|(actions, not)| json!([{"actions": actions, "notActions": not}]))
}

fn azure_role() -> impl Strategy<Value = (Value, Value)> {
    let parts = (
        0..1_000_u32,
        azure_permissions(),
        prop::sample::select(&SCOPES[..]),
        prop::sample::select(&PEOPLE[..]),
        prop::sample::select(&CONDITIONS[..]),
        prop::bool::weighted(0.9),
    );
    parts.prop_map(|(name, permissions, scope, (who, kind), condition, known)| {
        let definition =
            json!({"id": format!("role{}{name}", if known { "" } else { "x" }), "permissions": permissions});
        let assignment = json!({"principalId": who, "principalType": kind, "scope": scope,
            "roleDefinitionId": format!("role{name}"), "condition": condition});
        (definition, assignment)
    })
}

fn azure_deny() -> impl Strategy<Value = Value> {
    let parts = (
        azure_permissions(),
        prop::sample::select(&SCOPES[..]),
        prop::sample::select(&PEOPLE[..]),
        prop::option::of(prop::sample::select(&PEOPLE[..])),
        any::<bool>(),
    );
    parts.prop_map(|(permissions, scope, (who, kind), except, only_here)| {
        let except: Vec<Value> = except.iter().map(|(id, kind)| json!({"id": id, "type": kind})).collect();
        json!({"denyAssignmentName": "d", "permissions": permissions, "scope": scope, "excludePrincipals": except,
            "principals": [{"id": who, "type": kind}], "doNotApplyToChildScopes": only_here})
    })
}

fn azure_question(roles: &[(Value, Value)], denies: &[Value], operation: &str) -> Value {
    let (definitions, assignments): (Vec<&Value>, Vec<&Value>) = roles.iter().map(|(d, a)| (d, a)).unzip();
    json!({"id": 1, "principal": "ann", "operation": operation, "plane": "control", "scope": SCOPES[4],
        "definitions": definitions, "assignments": assignments, "deny_assignments": denies})
}

const NODES: [&str; 5] = ["organizations/1", "folders/2", "projects/p", "projects/9", "projects/p/topics/t"];
const MEMBERS: [&str; 5] = [
    "user:ann@x.io",
    "user:bob@x.io",
    "group:ops@x.io",
    "allAuthenticatedUsers",
    "deleted:user:ann@x.io?uid=1",
];
const EXPRESSIONS: [Option<&str>; 4] =
    [None, Some("resource.name.endsWith('t')"), Some("resource.matchTag('a', 'b')"), Some("false")];

fn gcp_binding() -> impl Strategy<Value = Value> {
    let parts = (
        prop::sample::select(&NODES[..]),
        prop::sample::select(&["roles/a", "roles/b", "roles/untold"][..]),
        prop::collection::vec(prop::sample::select(&MEMBERS[..]), 1..3),
        prop::sample::select(&EXPRESSIONS[..]),
    );
    parts.prop_map(|(node, role, members, expression)| {
        let condition = expression.map(|text| json!({"expression": text}));
        json!({"node": node, "role": role, "members": members, "condition": condition})
    })
}

fn gcp_deny() -> impl Strategy<Value = Value> {
    let permissions = ["a.googleapis.com/b.c", "a.googleapis.com/*.*", "a.googleapis.com/b.d"];
    let parts = (
        prop::sample::select(&NODES[..]),
        prop::collection::vec(prop::sample::select(&MEMBERS[..]), 1..3),
        prop::option::of(prop::sample::select(&MEMBERS[..])),
        prop::sample::select(permissions.to_vec()),
        prop::sample::select(&EXPRESSIONS[..]),
    );
    parts.prop_map(|(node, members, except, permission, expression)| {
        let condition = expression.map(|text| json!({"expression": text}));
        let except: Vec<&str> = except.into_iter().collect();
        json!({"node": node, "name": "d", "rules": [{"denyRule": {"deniedPrincipals": members,
            "exceptionPrincipals": except, "deniedPermissions": [permission], "denialCondition": condition}}]})
    })
}

fn gcp_question(bindings: &[Value], denies: &[Value]) -> Value {
    json!({"id": 1, "principal": "user:ann@x.io", "permission": "a.b.c", "resource": NODES[4],
        "hierarchy": ["projects/p", "folders/2"], "bindings": bindings, "deny_policies": denies,
        "roles": [{"name": "roles/a", "includedPermissions": ["a.b.c"]}, {"name": "roles/b", "includedPermissions": ["a.b.d"]}]})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn in_azure_a_deny_never_widens_and_a_role_never_narrows(
        roles in prop::collection::vec(azure_role(), 0..4),
        denies in prop::collection::vec(azure_deny(), 0..2),
        role in azure_role(),
        deny in azure_deny(),
        operation in prop::sample::select(&OPERATIONS[3..]),
    ) {
        let before = width(&decide_azure(&azure_question(&roles, &denies, operation)));
        let denied: Vec<Value> = denies.iter().cloned().chain([deny]).collect();
        prop_assert!(width(&decide_azure(&azure_question(&roles, &denied, operation))) <= before);
        // Its definition might be one that was missing: then it settles a doubt, either way.
        let mut more = roles.clone();
        let fresh = roles.iter().all(|(_, one)| one["roleDefinitionId"] != role.1["roleDefinitionId"]);
        more.push(role);
        if fresh {
            prop_assert!(width(&decide_azure(&azure_question(&more, &denies, operation))) >= before);
        }
    }

    #[test]
    fn in_google_cloud_a_deny_never_widens_and_a_binding_never_narrows(
        bindings in prop::collection::vec(gcp_binding(), 0..4),
        denies in prop::collection::vec(gcp_deny(), 0..2),
        binding in gcp_binding(),
        deny in gcp_deny(),
    ) {
        let before = width(&decide_gcp(&gcp_question(&bindings, &denies)));
        let denied: Vec<Value> = denies.iter().cloned().chain([deny]).collect();
        prop_assert!(width(&decide_gcp(&gcp_question(&bindings, &denied))) <= before);
        let more: Vec<Value> = bindings.iter().cloned().chain([binding]).collect();
        prop_assert!(width(&decide_gcp(&gcp_question(&more, &denies))) >= before);
    }

    #[test]
    fn no_text_makes_a_condition_panic(text in "[a-z@\\[\\]{}()'!&|,.:<>= 0-9\"]{0,60}") {
        let azure = json!({"id": 1, "principal": "ann", "operation": "a/read", "plane": "control", "scope": "/",
            "definitions": [{"id": "r", "permissions": [{"actions": ["*"]}]}],
            "assignments": [{"principalId": "ann", "scope": "/", "roleDefinitionId": "r", "condition": text}]});
        prop_assert!(decide_azure(&azure).get("error").is_none());
        let binding = json!({"node": NODES[2], "role": "roles/a", "members": [MEMBERS[0]], "condition": {"expression": text}});
        prop_assert!(decide_gcp(&gcp_question(&[binding], &[])).get("error").is_none());
    }
}
