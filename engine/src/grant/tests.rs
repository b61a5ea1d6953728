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
    assert_eq!(
        grants.at(ROLE, i64::MAX).unwrap().policies(),
        ["inline", "arn:aws:iam::111122223333:policy/M"]
    );
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
    assert_eq!(grants.at(ROLE, i64::MAX).unwrap().unread(), ["arn:aws:iam::aws:policy/AdministratorAccess"]);
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
fn a_boundary_and_guardrails_may_be_given_alone() {
    let grants = load(&[
        ("x.json", allow("*", "*")),
        ("boundaries/x.json", allow("s3:*", "*")),
        ("scps/1-root/full.json", allow("*", "*")),
        ("scps/2-unit/reading.json", allow("s3:Get*", "*")),
    ]);
    assert_eq!(grant(&grants, ROLE, "s3:GetObject", "arn:aws:s3:::a/k").0, Grant::Allowed);
    assert_eq!(
        grant(&grants, ROLE, "s3:PutObject", "arn:aws:s3:::a/k"),
        (Grant::Denied, "not_in_scp".into())
    );
    assert_eq!(grant(&grants, ROLE, "ec2:RunInstances", "*").0, Grant::Denied);
}

fn role_name() -> PrincipalName {
    PrincipalName { account: "111122223333".into(), kind: PrincipalKind::Role, name: "x".into() }
}

fn change(time: i64, what: Change) -> PolicyChange {
    PolicyChange { time, event_id: format!("e{time}").into(), what: what.into() }
}

fn put(time: i64, policy: &str, document: &Value) -> PolicyChange {
    let document = Some(document.to_string().into());
    change(time, Change::Put { holder: role_name(), policy: policy.into(), document })
}

fn at(grants: &Grants, when: i64, permission: &str) -> Grant {
    let Some(holder) = grants.at(ROLE, when) else { return Grant::Unknown };
    holder.verdict(permission, &["arn:aws:s3:::acme/k".into()], true, &Context::partial(), None).grant
}

#[test]
fn a_change_counts_from_its_own_time_on_whenever_it_arrives() {
    let changes = [
        put(20, "x", &allow("s3:Put*", "*")),
        change(30, Change::Remove { holder: role_name(), policy: "x".into() }),
        put(10, "more", &allow("s3:Delete*", "*")),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let grants = load(&[("x.json", allow("s3:Get*", "*"))]);
        for one in order {
            // asked in between, so that what is remembered must be forgotten
            let _ = at(&grants, 25, "s3:PutObject");
            assert_eq!(grants.apply(&changes[one..=one]), 1);
        }
        assert_eq!(grants.apply(&changes), 0, "known already");
        let seen = |when| {
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
                .map(|one| at(&grants, when, one) == Grant::Allowed)
        };
        assert_eq!(seen(9), [true, false, false]);
        assert_eq!(seen(10), [true, false, true]);
        assert_eq!(seen(20), [false, true, true], "a document of that name was replaced");
        assert_eq!(seen(30), [false, false, true]);
    }
}

#[test]
fn a_managed_policy_is_followed_through_its_versions() {
    let arn = "arn:aws:iam::111122223333:policy/M";
    let version = |time, version: &str, document: &Value, is_default| {
        let document = Some(document.to_string().into());
        change(time, Change::Version { policy: arn.into(), version: version.into(), document, is_default })
    };
    let grants = load(&[("account.json", json!({"RoleDetailList": [role("x", json!({}))]}))]);
    grants.apply(&[
        version(10, "v1", &allow("s3:Get*", "*"), true),
        change(20, Change::Attach { holder: role_name(), policy: arn.into() }),
        version(30, "v2", &allow("s3:Put*", "*"), false),
        change(40, Change::Default { policy: arn.into(), version: "v2".into() }),
        change(50, Change::Detach { holder: role_name(), policy: arn.into() }),
    ]);
    let seen = |when| ["s3:GetObject", "s3:PutObject"].map(|one| at(&grants, when, one) == Grant::Allowed);
    assert_eq!(seen(19), [false, false]);
    assert_eq!(seen(20), [true, false]);
    assert_eq!(seen(30), [true, false], "the new version does not count yet");
    assert_eq!(seen(40), [false, true]);
    assert_eq!(seen(50), [false, false]);
}

#[test]
fn a_role_whose_beginnings_were_not_seen_is_unknown_where_nothing_denies() {
    let deny = json!({"Statement": [{"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}]});
    let grants = Grants::default();
    grants.apply(&[put(10, "p", &allow("s3:Get*", "*")), put(20, "q", &deny)]);
    assert_eq!(at(&grants, 5, "s3:GetObject"), Grant::Unknown);
    assert_eq!(at(&grants, 15, "s3:GetObject"), Grant::Unknown, "another policy may deny it");
    assert_eq!(at(&grants, 25, "s3:DeleteObject"), Grant::Denied);
    // near-miss: one that was seen being made
    let create =
        Change::Create { holder: role_name(), arn: Some(ROLE.into()), boundary: None, tags: Tags::default() };
    grants.apply(&[change(1, create)]);
    assert_eq!(
        (at(&grants, 5, "s3:GetObject"), at(&grants, 15, "s3:GetObject")),
        (Grant::Denied, Grant::Allowed)
    );
    assert_eq!(grants.identities(), [ROLE]);
}

#[test]
fn a_document_that_cannot_be_read_leaves_the_identity_unknown_from_then_on() {
    let grants = load(&[("x.json", allow("s3:Get*", "*"))]);
    grants.apply(&[put(10, "p", &json!({"Statement": "?"}))]);
    assert_eq!(
        (at(&grants, 9, "s3:GetObject"), at(&grants, 10, "s3:GetObject")),
        (Grant::Allowed, Grant::Unknown)
    );
    grants.apply(&[put(20, "p", &allow("ec2:*", "*"))]);
    assert_eq!(at(&grants, 20, "s3:GetObject"), Grant::Allowed);
}

#[test]
fn a_group_and_a_boundary_change_what_a_user_holds() {
    let user = PrincipalName { account: "1".into(), kind: PrincipalKind::User, name: "ann".into() };
    let export = json!({
        "UserDetailList": [{"UserName": "ann", "Arn": "arn:aws:iam::1:user/ann"}],
        "GroupDetailList": [{"GroupName": "devs", "Arn": "arn:aws:iam::1:group/devs", "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": allow("s3:*", "*")}]}],
        "Policies": [{"Arn": "arn:aws:iam::1:policy/B", "DefaultVersionId": "v1", "PolicyVersionList": [
            {"VersionId": "v1", "IsDefaultVersion": true, "Document": allow("s3:Get*", "*")}]}],
    });
    let grants = load(&[("account.json", export)]);
    let arn = "arn:aws:iam::1:policy/B";
    grants.apply(&[
        change(10, Change::Join { user: user.clone(), group: "devs".into() }),
        change(20, Change::Bound { holder: user.clone(), policy: Some(arn.into()) }),
        change(30, Change::Leave { user, group: "devs".into() }),
    ]);
    let seen = |when| {
        let holder = grants.at("arn:aws:iam::1:user/ann", when).unwrap();
        ["s3:GetObject", "s3:PutObject"].map(|one| {
            holder.verdict(one, &["arn:aws:s3:::a/k".into()], true, &Context::partial(), None).grant
        })
    };
    assert_eq!(seen(5), [Grant::Denied; 2]);
    assert_eq!(seen(10), [Grant::Allowed; 2]);
    assert_eq!(seen(20), [Grant::Allowed, Grant::Denied]);
    assert_eq!(seen(30), [Grant::Denied; 2]);
}

#[test]
fn a_session_policy_narrows_its_session_alone() {
    let grants = load(&[("x.json", allow("s3:*", "*"))]);
    let what = Change::Session {
        session: "ASIA1".into(),
        documents: vec![Some(allow("s3:Get*", "*").to_string().into())],
        policies: Vec::new(),
        tags: [("team".to_owned(), "red".to_owned())].into_iter().collect(),
    };
    grants.apply(&[change(10, what)]);
    let session = grants.session("ASIA1").unwrap();
    let holder = grants.at(ROLE, 20).unwrap();
    let asked = |permission: &str, session| {
        holder.verdict(permission, &["arn:aws:s3:::a/k".into()], true, &Context::partial(), session).grant
    };
    assert_eq!(
        (asked("s3:GetObject", Some(&session)), asked("s3:PutObject", Some(&session))),
        (Grant::Allowed, Grant::Denied)
    );
    assert_eq!(asked("s3:PutObject", None), Grant::Allowed);
    assert!(grants.session("ASIA2").is_none());
}

#[test]
fn a_session_touches_its_own_calls_alone_and_is_forgotten_in_time() {
    let grants = load(&[("x.json", allow("s3:*", "*"))]);
    let session = |key: &str, time| {
        let session = key.into();
        let tags = [("team".to_owned(), "red".to_owned())].into_iter().collect();
        change(time, Change::Session { session, documents: Vec::new(), policies: Vec::new(), tags })
    };
    let holders = grants.holders_revision();
    let began = session("ASIA1", 10);
    assert_eq!(grants.apply(std::slice::from_ref(&began)), 1);
    assert_eq!(grants.holders_revision(), holders, "what the role holds is as it was");
    assert_eq!(grants.touched(&[began]), [Touch { principal: "session ASIA1".into(), from: 10 }]);
    grants.forget_sessions(0);
    assert!(grants.session("ASIA1").is_some(), "its calls may still come");
    grants.forget_sessions(i64::MAX);
    assert!(grants.session("ASIA1").is_none());
    // near-miss: a change of the role itself
    assert_eq!(grants.apply(&[put(20, "p", &allow("ec2:*", "*"))]), 1);
    assert_ne!(grants.holders_revision(), holders);
}

#[test]
fn a_session_of_which_two_logs_tell_began_as_the_earlier_one_says() {
    let told = |time, team: &str| {
        let tags = [("team", team)].into_iter().collect();
        let session = "ASIA1".into();
        change(time, Change::Session { session, documents: Vec::new(), policies: Vec::new(), tags })
    };
    let [earlier, later] = [told(10, "red"), told(20, "blue")];
    for (order, new) in [([&earlier, &later], [1, 0]), ([&later, &earlier], [1, 1])] {
        let grants = load(&[("x.json", allow("s3:*", "*"))]);
        let revisions: Vec<u64> = order
            .into_iter()
            .zip(new)
            .map(|(change, new)| {
                assert_eq!(grants.apply(std::slice::from_ref(change)), new, "{change:?}");
                grants.revision()
            })
            .collect();
        assert_eq!(grants.session("ASIA1").unwrap().tags["team"], "red");
        let since = grants.touched_since(revisions[0]).unwrap();
        assert_eq!(since.iter().map(|touch| touch.from).collect::<Vec<i64>>(), [10].repeat(new[1]));
        assert_eq!(grants.apply(&[earlier.clone(), later.clone()]), 0, "known already");
    }
}

#[test]
fn a_change_makes_new_what_it_touches_and_no_more() {
    let arn = "arn:aws:iam::111122223333:policy/M";
    let other = "arn:aws:iam::111122223333:role/agents/y";
    let export = json!({
        "Policies": [{"Arn": arn, "DefaultVersionId": "v1", "PolicyVersionList": [
            {"VersionId": "v1", "IsDefaultVersion": true, "Document": allow("s3:Get*", "*")}]}],
        "RoleDetailList": [
            role("x", json!({"AttachedManagedPolicies": [{"PolicyArn": arn}]})),
            role("y", json!({"PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::1:policy/B"}})),
        ],
    });
    let grants = load(&[("account.json", export)]);
    let serials = || [ROLE, other].map(|identity| grants.at(identity, 90).unwrap().serial());
    let version = |time, policy: &str, document: &Value| {
        let (version, document) = (format!("v{time}"), Some(document.to_string().into()));
        change(time, Change::Version { policy: policy.into(), version, document, is_default: true })
    };

    let before = serials();
    grants.apply(&[version(10, arn, &allow("s3:Put*", "*"))]);
    let after = serials();
    assert_ne!(before[0], after[0], "told: it is attached");
    assert_eq!(before[1], after[1]);
    assert_eq!(at(&grants, 90, "s3:PutObject"), Grant::Allowed);

    grants.apply(&[version(20, "arn:aws:iam::1:policy/B", &allow("s3:*", "*"))]);
    assert_ne!(serials()[1], after[1], "it is the boundary of the other one");
    assert_eq!(serials()[0], after[0]);

    grants.apply(&[version(30, "arn:aws:iam::1:policy/none", &allow("s3:*", "*"))]);
    assert_eq!(serials()[0], after[0], "a policy that nobody holds");

    // an attachment that came by a change counts as a told one
    let late = "arn:aws:iam::1:policy/late";
    grants.apply(&[change(40, Change::Attach { holder: role_name(), policy: late.into() })]);
    let attached = serials();
    grants.apply(&[version(50, late, &allow("s3:Delete*", "*"))]);
    assert_ne!(serials()[0], attached[0]);
    assert_eq!(at(&grants, 90, "s3:DeleteObject"), Grant::Allowed);
}

#[test]
fn a_policy_that_changes_all_the_time_is_followed() {
    let arn = "arn:aws:iam::111122223333:policy/M";
    let grants = load(&[("x.json", allow("s3:List*", "*"))]);
    let mut changes = vec![change(1, Change::Attach { holder: role_name(), policy: arn.into() })];
    // Each moment once read every document before it: millions.
    for time in 2..3_000 {
        let verb = if time % 2 == 0 { "s3:Get*" } else { "s3:Put*" };
        changes.push(change(
            time,
            Change::Version {
                policy: arn.into(),
                version: format!("v{time}"),
                document: Some(allow(verb, "*").to_string().into()),
                is_default: true,
            },
        ));
    }
    grants.apply(&changes);
    for when in [2, 1_000, 2_998] {
        assert_eq!(at(&grants, when, "s3:GetObject"), Grant::Allowed, "{when}");
        assert_eq!(at(&grants, when + 1, "s3:GetObject"), Grant::Denied, "{when}");
    }
    let history = grants.history.read().unwrap();
    assert_eq!(history.documents_len(), 2, "each text is kept once");
}
