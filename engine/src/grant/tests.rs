use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, Value)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, value) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fs::write(path, text).unwrap();
    }
    dir
}

fn load(files: &[(&str, Value)]) -> Grants {
    Grants::load(folder(files).path()).unwrap()
}

fn allow(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Sid": "S", "Effect": "Allow", "Action": action, "Resource": resource}]})
}

fn role(name: &str, more: Value) -> Value {
    let mut role = json!({"RoleName": name, "Arn": format!("arn:aws:iam::111122223333:role/agents/{name}")});
    role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    role
}

const ROLE: &str = "arn:aws:iam::111122223333:role/agents/x";

fn grant(grants: &Grants, identity: &str, permission: &str, arn: &str) -> (Grant, String) {
    let verdict = grants.verdict(identity, permission, &[arn.to_owned()], true, &Context::partial());
    (verdict.grant, verdict.why)
}

#[test]
fn a_plain_document_is_granted_to_the_name_of_its_file_or_folder() {
    for file in ["x.json", "x/orders.json", "roles/x.json", "prod/x/a.json"] {
        let grants = load(&[(file, allow("s3:Get*", "arn:aws:s3:::acme/*"))]);
        assert_eq!(grant(&grants, ROLE, "s3:GetObject", "arn:aws:s3:::acme/k").0, Grant::Allowed, "{file}");
        assert_eq!(
            grant(&grants, ROLE, "s3:PutObject", "arn:aws:s3:::acme/k"),
            (Grant::Denied, "granted_by_no_statement".into())
        );
        assert_eq!(
            grant(&grants, "arn:aws:iam::1:role/y", "s3:GetObject", "arn:aws:s3:::acme/k"),
            (Grant::Unknown, "no_policies_known".into())
        );
    }
}

#[test]
fn an_export_brings_inline_and_attached_policies_and_the_boundary() {
    let encoded = allow("ec2:*", "*").to_string().replace('{', "%7B").replace('"', "%22");
    let export = json!({
        "RoleDetailList": [role("x", json!({
            "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": allow("s3:*", "*")}],
            "AttachedManagedPolicies": [{"PolicyName": "M", "PolicyArn": "arn:aws:iam::111122223333:policy/M"}],
            "PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/B"},
        }))],
        "Policies": [
            {"Arn": "arn:aws:iam::111122223333:policy/M", "DefaultVersionId": "v2", "PolicyVersionList": [
                {"VersionId": "v1", "IsDefaultVersion": false, "Document": allow("iam:*", "*")},
                {"VersionId": "v2", "IsDefaultVersion": true, "Document": encoded}]},
            {"Arn": "arn:aws:iam::111122223333:policy/B", "DefaultVersionId": "v1", "PolicyVersionList": [
                {"VersionId": "v1", "IsDefaultVersion": true, "Document": json!({"Statement": [
                    {"Effect": "Allow", "Action": ["s3:Get*", "ec2:Describe*"], "Resource": "*"}]}).to_string()}]},
        ],
    });
    let grants = load(&[("account.json", export)]);
    assert_eq!(grants.unparsed, []);
    assert_eq!(grant(&grants, ROLE, "s3:GetObject", "arn:aws:s3:::a/k"), (Grant::Allowed, "inline#S".into()));
    assert_eq!(
        grant(&grants, ROLE, "s3:PutObject", "arn:aws:s3:::a/k"),
        (Grant::Denied, "not_in_boundary".into())
    );
    assert_eq!(grant(&grants, ROLE, "ec2:DescribeInstances", "*").0, Grant::Allowed);
    assert_eq!(
        grant(&grants, ROLE, "iam:CreateUser", "*").0,
        Grant::Denied,
        "the old version counts no more"
    );
    assert_eq!(grants.policies_of(ROLE), ["inline", "arn:aws:iam::111122223333:policy/M"]);
    let granted: Vec<String> =
        grants.granted_permissions(ROLE).into_iter().map(|one| one.permission).collect();
    assert!(
        granted.contains(&"s3:GetObject".into())
            && !granted.contains(&"s3:PutObject".into())
            && granted.is_sorted()
    );
    let statements = grants.statements_of(ROLE);
    assert_eq!(statements.iter().map(|one| one.boundary).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((statements[0].policy.as_str(), statements[0].statement.as_str()), ("inline", "S"));
}

#[test]
fn a_user_holds_the_policies_of_its_groups() {
    let export = json!({
        "UserDetailList": [{"UserName": "ann", "Arn": "arn:aws:iam::1:user/ann", "GroupList": ["devs"]}],
        "GroupDetailList": [{"GroupName": "devs", "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": allow("s3:GetObject", "*")}]}],
    });
    let grants = load(&[("account.json", export)]);
    assert_eq!(
        grant(&grants, "arn:aws:iam::1:user/ann", "s3:GetObject", "arn:aws:s3:::a/k"),
        (Grant::Allowed, "g#S".into())
    );
    assert_eq!(
        grant(&grants, "arn:aws:iam::1:user/bob", "s3:GetObject", "arn:aws:s3:::a/k").0,
        Grant::Unknown
    );
}

#[test]
fn a_policy_that_cannot_be_read_leaves_only_denials() {
    let deny = json!({"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]});
    let grants = load(&[("x/a.json", allow("ec2:*", "*")), ("x/b.json", json!("{")), ("x/c.json", deny)]);
    assert_eq!(grant(&grants, ROLE, "ec2:DescribeInstances", "*").0, Grant::Unknown);
    assert_eq!(grant(&grants, ROLE, "iam:CreateUser", "*").0, Grant::Unknown);
    assert_eq!(grant(&grants, ROLE, "s3:GetObject", "*").0, Grant::Denied);
    assert_eq!((grants.unparsed.len(), grants.unparsed[0].subject.as_str()), (1, "x"));
    assert!(grants.unparsed[0].file.ends_with("x/b.json") && grants.unparsed[0].reason.starts_with("line 1"));
}

#[test]
fn an_attached_policy_that_the_export_leaves_out_is_unknown_not_nothing() {
    let export = json!({"RoleDetailList": [role("x", json!({"AttachedManagedPolicies": [{"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}]}))], "Policies": []});
    let grants = load(&[("account.json", export)]);
    assert_eq!(grant(&grants, ROLE, "s3:GetObject", "arn:aws:s3:::a/k").0, Grant::Unknown);
    assert_eq!(grants.unread_of(ROLE), ["arn:aws:iam::aws:policy/AdministratorAccess"]);
}

#[test]
fn every_resource_must_be_granted() {
    let grants = load(&[("x.json", allow("s3:GetObject", "arn:aws:s3:::acme/*"))]);
    let both = ["arn:aws:s3:::acme/k".to_owned(), "arn:aws:s3:::other/k".to_owned()];
    assert_eq!(grants.verdict(ROLE, "s3:GetObject", &both, true, &Context::partial()).grant, Grant::Denied);
    assert_eq!(
        grants.verdict(ROLE, "s3:GetObject", &both[..1], true, &Context::partial()).grant,
        Grant::Allowed
    );
    assert_eq!(grants.verdict(ROLE, "s3:GetObject", &[], false, &Context::partial()).grant, Grant::Unknown);
}

#[test]
fn a_condition_makes_a_grant_conditional_and_never_an_allow() {
    let conditional = json!({"Statement": [
        {"Sid": "C", "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Sid": "P", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}]});
    let grants = load(&[("x.json", conditional)]);
    assert_eq!(grant(&grants, ROLE, "s3:PutObject", "arn:aws:s3:::a/k").0, Grant::Unknown);
    assert_eq!(grant(&grants, ROLE, "s3:GetObject", "arn:aws:s3:::a/k").0, Grant::Allowed);
    let granted = grants.granted_permissions(ROLE);
    let one = |name: &str| granted.iter().find(|one| one.permission == name);
    assert!(one("s3:PutObject").is_some_and(|one| one.conditional && one.by.ends_with("#C")));
    assert!(one("s3:GetObject").is_some_and(|one| !one.conditional && one.by.ends_with("#P")));
    assert!(one("s3:DeleteBucket").is_none());
}

#[test]
fn what_needs_a_star_is_not_granted_by_a_bucket() {
    let grants = load(&[("x.json", allow("s3:*", "arn:aws:s3:::acme/*"))]);
    let granted: Vec<String> =
        grants.granted_permissions(ROLE).into_iter().map(|one| one.permission).collect();
    assert!(granted.contains(&"s3:GetObject".into()));
    assert!(!granted.contains(&"s3:ListAllMyBuckets".into()) && !granted.contains(&"s3:ListBucket".into()));
}

#[test]
fn a_grant_without_a_named_resource_can_be_remembered() {
    let grants = load(&[("x.json", allow("s3:Get*", "*")), ("y.json", allow("s3:Get*", "arn:aws:s3:::a/*"))]);
    assert_eq!(grants.settled(ROLE, "s3:GetObject").map(|one| one.grant), Some(Grant::Allowed));
    assert_eq!(grants.settled(ROLE, "ec2:RunInstances").map(|one| one.grant), Some(Grant::Denied));
    assert_eq!(grants.settled("arn:aws:iam::1:role/y", "s3:GetObject"), None);
}
