use super::*;
use crate::reference::AccessLevel;
use policy::aws::{Actions, Conditions, Resources};
use policy::context::Context;
use policy::wildcard::{ActionPattern, ArnPattern};

const BUCKET: &str = "arn:aws:s3:::acme/*";
const KEY: &str = "arn:aws:s3:::acme/k";

fn entry(kind: Kind, actions: &[&str], resources: &[&str]) -> Statement {
    Statement {
        kind,
        grants: Grants::Named(Actions {
            not: false,
            patterns: actions.iter().map(|text| ActionPattern::new(text)).collect(),
        }),
        resources: Resources {
            not: false,
            patterns: resources.iter().map(|text| ArnPattern::new(text)).collect(),
        },
        conditions: Conditions::default(),
        unjudged: Vec::new(),
        origin: format!("a.yaml:1 {}", actions.join(" ")),
    }
}

fn reading(resources: &[&str]) -> Statement {
    let verb = VerbActions { levels: vec![AccessLevel::List, AccessLevel::Read], ..VerbActions::default() };
    Statement { grants: Grants::Verb(verb), ..entry(Kind::Allow, &[], resources) }
}

fn scope(statements: Vec<Statement>) -> Scope {
    Scope::new(statements, Vec::new(), Vec::new(), Vec::new())
}

fn verdict(scope: &Scope, permission: &str, resources: &[&str], known: bool) -> (Verdict, Reason) {
    let resources: Vec<String> = resources.iter().map(|arn| (*arn).to_owned()).collect();
    let verdict = scope.verdict(permission, &resources, known, &Context::partial());
    (verdict.verdict, verdict.reason)
}

#[test]
fn what_is_declared_is_in_and_what_is_not_is_out() {
    let scope = scope(vec![entry(Kind::Allow, &["s3:GetObject"], &[BUCKET])]);
    assert_eq!(verdict(&scope, "s3:GetObject", &[KEY], true), (Verdict::In, Reason::Declared));
    assert_eq!(verdict(&scope, "s3:PutObject", &[KEY], true), (Verdict::Out, Reason::NotDeclared));
    assert_eq!(
        verdict(&scope, "s3:GetObject", &["arn:aws:s3:::other/k"], true),
        (Verdict::Out, Reason::OtherResource)
    );
}

#[test]
fn every_resource_of_a_call_must_be_declared() {
    let scope = scope(vec![entry(Kind::Allow, &["s3:GetObject"], &[BUCKET])]);
    assert_eq!(verdict(&scope, "s3:GetObject", &[KEY, "arn:aws:s3:::acme/l"], true).0, Verdict::In);
    assert_eq!(
        verdict(&scope, "s3:GetObject", &[KEY, "arn:aws:s3:::other/l"], true).1,
        Reason::OtherResource
    );
}

#[test]
fn a_deny_beats_any_allow() {
    let scope = scope(vec![entry(Kind::Allow, &["*"], &["*"]), entry(Kind::Deny, &["s3:*"], &[BUCKET])]);
    assert_eq!(verdict(&scope, "s3:GetObject", &[KEY], true), (Verdict::Out, Reason::DeniedByManifest));
    assert_eq!(verdict(&scope, "s3:GetObject", &["arn:aws:s3:::other/k"], true).0, Verdict::In);
}

#[test]
fn a_resource_that_is_not_logged_is_unknown_only_where_it_decides() {
    let some = scope(vec![entry(Kind::Allow, &["s3:DeleteObject"], &["arn:aws:s3:::acme/drafts/*"])]);
    assert_eq!(
        verdict(&some, "s3:DeleteObject", &[BUCKET], false),
        (Verdict::Unknown, Reason::ResourceNotLogged)
    );
    assert_eq!(verdict(&some, "s3:DeleteObject", &[], false), (Verdict::Unknown, Reason::ResourceNotLogged));
    assert_eq!(
        verdict(&some, "s3:DeleteObject", &["arn:aws:s3:::other/*"], false),
        (Verdict::Out, Reason::OtherResource)
    );
    let whole = scope(vec![entry(Kind::Allow, &["s3:DeleteObject"], &[BUCKET])]);
    assert_eq!(verdict(&whole, "s3:DeleteObject", &[BUCKET], false).0, Verdict::In);
    let any = scope(vec![entry(Kind::Allow, &["s3:DeleteObject"], &["*"])]);
    assert_eq!(verdict(&any, "s3:DeleteObject", &[], false).0, Verdict::In);
}

#[test]
fn a_deny_on_a_resource_that_may_be_touched_leaves_an_allow_unknown() {
    let scope = scope(vec![
        entry(Kind::Allow, &["s3:*"], &["*"]),
        entry(Kind::Deny, &["s3:*"], &["arn:aws:s3:::acme/secret/*"]),
    ]);
    assert_eq!(
        verdict(&scope, "s3:DeleteObject", &[BUCKET], false),
        (Verdict::Unknown, Reason::ResourceNotLogged)
    );
    assert_eq!(verdict(&scope, "s3:DeleteObject", &["arn:aws:s3:::other/*"], false).0, Verdict::In);
}

#[test]
fn a_permission_that_knows_no_resource_needs_a_star() {
    let named = scope(vec![entry(Kind::Allow, &["s3:*"], &[BUCKET])]);
    assert_eq!(verdict(&named, "s3:ListAllMyBuckets", &[], true), (Verdict::Out, Reason::NotDeclared));
    let any = scope(vec![entry(Kind::Allow, &["s3:*"], &["*"])]);
    assert_eq!(verdict(&any, "s3:ListAllMyBuckets", &[], true).0, Verdict::In);
}

#[test]
fn what_is_not_judged_makes_unknown_exactly_what_it_decides() {
    let via = Statement { unjudged: vec!["via".into()], ..entry(Kind::Allow, &["kms:Decrypt"], &["*"]) };
    let one = scope(vec![via, entry(Kind::Allow, &["s3:GetObject"], &["*"])]);
    let decrypt = one.verdict("kms:Decrypt", &[], false, &Context::partial());
    assert_eq!(
        (decrypt.verdict, decrypt.reason, decrypt.missing),
        (Verdict::Unknown, Reason::ConditionNotJudged, vec!["via".to_owned()])
    );
    assert_eq!(verdict(&one, "s3:GetObject", &[KEY], true).0, Verdict::In);
    assert_eq!(verdict(&one, "s3:PutObject", &[KEY], true).0, Verdict::Out);
}

#[test]
fn bounds_make_unknown_what_would_be_in_and_unread_sources_what_would_be_out() {
    let statements = || vec![entry(Kind::Allow, &["s3:GetObject"], &["*"])];
    let bounded = Scope::new(statements(), vec!["bounds.regions".into()], Vec::new(), Vec::new());
    assert_eq!(
        verdict(&bounded, "s3:GetObject", &[KEY], true),
        (Verdict::Unknown, Reason::ConditionNotJudged)
    );
    assert_eq!(verdict(&bounded, "s3:PutObject", &[KEY], true), (Verdict::Out, Reason::NotDeclared));
    let unread = Scope::new(statements(), Vec::new(), vec!["from.terraform".into()], Vec::new());
    assert_eq!(verdict(&unread, "s3:GetObject", &[KEY], true).0, Verdict::In);
    assert_eq!(
        verdict(&unread, "s3:PutObject", &[KEY], true),
        (Verdict::Unknown, Reason::ConditionNotJudged)
    );
}

#[test]
fn an_approval_outranks_an_allow_and_a_deny_both() {
    let window = || Statement {
        conditions: Conditions::default(),
        unjudged: vec!["approvals".into()],
        ..entry(Kind::Approval, &["ec2:TerminateInstances"], &["*"])
    };
    let both = scope(vec![entry(Kind::Allow, &["ec2:*"], &["*"]), window()]);
    assert_eq!(
        verdict(&both, "ec2:TerminateInstances", &[], false),
        (Verdict::Unknown, Reason::ConditionNotJudged)
    );
    assert_eq!(verdict(&both, "ec2:StopInstances", &[], false).0, Verdict::In);
    let denied = scope(vec![window(), entry(Kind::Deny, &["ec2:Terminate*"], &["*"])]);
    assert_eq!(verdict(&denied, "ec2:TerminateInstances", &[], false).1, Reason::DeniedByManifest);
}

#[test]
fn a_policy_that_cannot_be_read_allows_nothing() {
    let scope =
        Scope::new(vec![entry(Kind::Allow, &["*"], &["*"])], Vec::new(), Vec::new(), vec!["p.json".into()]);
    assert_eq!(verdict(&scope, "s3:GetObject", &[KEY], true), (Verdict::Unknown, Reason::PolicyUnparsed));
    assert!(!scope.is_read_only());
}

#[test]
fn what_needs_no_permission_is_in() {
    assert_eq!(
        verdict(&scope(Vec::new()), "sts:GetCallerIdentity", &[], true),
        (Verdict::In, Reason::Implicit)
    );
    assert_eq!(verdict(&scope(Vec::new()), "sts:AssumeRole", &[], true), (Verdict::Out, Reason::NotDeclared));
}

#[test]
fn reading_is_list_and_read_of_the_things_own_service() {
    let scope = scope(vec![reading(&[BUCKET, "arn:aws:dynamodb:*:*:table/tickets"])]);
    assert!(scope.declares("s3:GetObject") && scope.declares("dynamodb:Query"));
    assert!(
        !scope.declares("s3:PutObject")
            && !scope.declares("s3:ListBucket")
            && !scope.declares("dynamodb:ListTables")
    );
    let permissions = scope.permissions();
    assert!(permissions.contains(&"dynamodb:GetItem") && permissions.is_sorted());
}

#[test]
fn read_only_is_nothing_but_list_and_read() {
    assert!(scope(vec![reading(&[BUCKET])]).is_read_only());
    assert!(scope(vec![entry(Kind::Allow, &["s3:Get*", "s3:List*"], &["*"])]).is_read_only());
    assert!(
        !scope(vec![reading(&[BUCKET]), entry(Kind::Allow, &["s3:PutObject"], &[BUCKET])]).is_read_only()
    );
    assert!(!scope(vec![entry(Kind::Allow, &["s3:NotYetKnown"], &["*"])]).is_read_only());
    assert!(!scope(Vec::new()).is_read_only());
}

#[test]
fn a_verdict_without_a_named_resource_can_be_remembered() {
    let scope = scope(vec![
        entry(Kind::Allow, &["s3:Get*"], &["*"]),
        entry(Kind::Allow, &["s3:PutObject"], &[BUCKET]),
    ]);
    assert_eq!(scope.settled("s3:GetObject").map(|one| one.verdict), Some(Verdict::In));
    assert_eq!(scope.settled("ec2:RunInstances").map(|one| one.reason), Some(Reason::NotDeclared));
    assert_eq!(scope.settled("s3:PutObject"), None);
}
