use super::*;
use crate::reference::AccessLevel;
use policy::aws::{Actions, Resources};
use policy::context::Context;
use policy::wildcard::{ActionPattern, ArnPattern};

const BUCKET: &str = "arn:aws:s3:::acme/*";
const KEY: &str = "arn:aws:s3:::acme/k";

fn entry(kind: Kind, actions: &[&str], resources: &[&str]) -> Statement {
    let named = |texts: &[&str]| texts.iter().map(|text| ActionPattern::new(text)).collect();
    let grants = Grants::Named(Actions { not: false, patterns: named(actions) });
    let patterns = resources.iter().map(|text| ArnPattern::new(text)).collect();
    let origin = format!("a.yaml:1 {}", actions.join(" "));
    Statement::new(kind, grants, Resources { not: false, patterns }, origin)
}

fn reading(resources: &[&str]) -> Statement {
    let verb = VerbActions { levels: vec![AccessLevel::List, AccessLevel::Read], ..VerbActions::default() };
    Statement { grants: Grants::Verb(verb), ..entry(Kind::Allow, &[], resources) }
}

fn scope(statements: Vec<Statement>) -> Scope {
    Scope::new(Parts { statements, ..Parts::default() })
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
fn what_is_not_at_hand_may_have_declared_what_would_be_out() {
    let statements = vec![entry(Kind::Allow, &["s3:GetObject"], &["*"])];
    let unread = vec![(Cloud::Aws, "from.terraform".to_owned())];
    let unread = Scope::new(Parts { statements, unread, ..Parts::default() });
    assert_eq!(verdict(&unread, "s3:GetObject", &[KEY], true).0, Verdict::In);
    assert_eq!(verdict(&unread, "s3:PutObject", &[KEY], true), (Verdict::Unknown, Reason::PolicyUnparsed));
}

fn at(time: &str) -> Context {
    let mut context = Context::partial();
    context.set("aws:CurrentTime", policy::context::Fact::one(time));
    context
}

fn window(actions: &[&str]) -> Statement {
    let time = |text| crate::time::parse_rfc3339(text).unwrap();
    let (start, end) = (time("2026-11-20T10:00:00Z"), time("2026-11-20T12:00:00Z"));
    let approved = Window { start, end, ticket: None, origin: "a.yaml:9, ann".to_owned() };
    let approval = Some(Arc::new(Approval { ticket: false, windows: vec![approved] }));
    Statement { approval, ..entry(Kind::Approval, actions, &["*"]) }
}

#[test]
fn an_approval_allows_inside_its_window_and_a_deny_beats_it() {
    let asked = |scope: &Scope, context: &Context| {
        let verdict = scope.verdict("ec2:TerminateInstances", &[], true, context);
        (verdict.verdict, verdict.reason)
    };
    let approved = scope(vec![window(&["ec2:TerminateInstances"])]);
    assert_eq!(asked(&approved, &at("2026-11-20T11:00:00Z")), (Verdict::In, Reason::Approved));
    assert_eq!(asked(&approved, &at("2026-11-20T12:00:00Z")), (Verdict::Out, Reason::OutsideApproval));
    assert_eq!(asked(&approved, &Context::partial()), (Verdict::Unknown, Reason::ConditionNotJudged));
    // what is allowed anyway needs no window
    let both = scope(vec![window(&["ec2:TerminateInstances"]), entry(Kind::Allow, &["ec2:*"], &["*"])]);
    assert_eq!(asked(&both, &at("2026-11-20T12:00:00Z")), (Verdict::In, Reason::Declared));
    let denied =
        scope(vec![window(&["ec2:TerminateInstances"]), entry(Kind::Deny, &["ec2:Terminate*"], &["*"])]);
    assert_eq!(asked(&denied, &at("2026-11-20T11:00:00Z")).1, Reason::DeniedByManifest);
}

#[test]
fn what_was_declared_is_out_once_the_manifest_expired() {
    let statements = vec![entry(Kind::Allow, &["s3:GetObject"], &["*"])];
    let expires = crate::time::parse_rfc3339("2026-11-20T00:00:00Z");
    let scope = Scope::new(Parts { statements, expires, ..Parts::default() });
    let asked = |permission: &str, time: &str| {
        let verdict = scope.verdict(permission, &[KEY.to_owned()], true, &at(time));
        (verdict.verdict, verdict.reason)
    };
    assert_eq!(asked("s3:GetObject", "2026-11-19T23:59:59Z"), (Verdict::In, Reason::Declared));
    assert_eq!(asked("s3:GetObject", "2026-11-20T00:00:00Z"), (Verdict::Out, Reason::Expired));
    assert_eq!(asked("s3:PutObject", "2026-11-20T00:00:00Z"), (Verdict::Out, Reason::NotDeclared));
}

#[test]
fn a_hop_that_is_not_listed_is_out_for_that_reason() {
    let parts = || Parts {
        statements: vec![entry(Kind::Allow, &["sts:AssumeRole"], &["arn:aws:iam::1:role/a"])],
        hops: true,
        ..Parts::default()
    };
    let scope = Scope::new(parts());
    let hop = |arn: &str| verdict(&scope, "sts:AssumeRole", &[arn], true);
    assert_eq!(hop("arn:aws:iam::1:role/a"), (Verdict::In, Reason::Declared));
    assert_eq!(hop("arn:aws:iam::1:role/b"), (Verdict::Out, Reason::UndeclaredHop));
    let unsaid = Scope::new(Parts { hops: false, ..parts() });
    assert_eq!(verdict(&unsaid, "sts:AssumeRole", &["arn:aws:iam::1:role/b"], true).1, Reason::OtherResource);
}

#[test]
fn a_denial_may_be_expected() {
    let expected = vec![entry(Kind::ExpectedDenial, &["s3:ListAllMyBuckets"], &["*"])];
    let scope = Scope::new(Parts { expected, ..Parts::default() });
    assert!(scope.expects_denial("s3:ListAllMyBuckets", &[], true, &Context::partial()));
    assert!(!scope.expects_denial("s3:GetObject", &[KEY.to_owned()], true, &Context::partial()));
    assert_eq!(
        verdict(&scope, "s3:ListAllMyBuckets", &[], true).0,
        Verdict::Out,
        "it is not declared for that"
    );
}

#[test]
fn a_policy_that_cannot_be_read_allows_nothing() {
    let statements = vec![entry(Kind::Allow, &["*"], &["*"])];
    let unparsed = vec![(Cloud::Aws, "p.json".to_owned())];
    let scope = Scope::new(Parts { statements, unparsed, ..Parts::default() });
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
