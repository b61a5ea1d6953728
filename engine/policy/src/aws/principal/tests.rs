use super::*;

const ACCOUNT: &str = "111122223333";

fn named(kind: &str, value: &str, principal: &Principal) -> Named {
    let mut principals = Principals::none(false);
    principals.add(kind, value).unwrap();
    principals.name(Some(principal), &Context::complete(), false)
}

fn arn(text: &str) -> Principal {
    Principal::parse(text).unwrap()
}

#[test]
fn a_session_is_named_by_itself_its_role_and_its_account() {
    let session = arn("arn:aws:sts::111122223333:assumed-role/triage/s1");
    let direct = named("AWS", "arn:aws:sts::111122223333:assumed-role/triage/s1", &session);
    assert_eq!((direct.directly, direct.role), (Truth::True, Truth::False));
    for role in ["arn:aws:iam::111122223333:role/triage", "arn:aws:iam::111122223333:role/agents/triage"] {
        let role = named("AWS", role, &session);
        assert_eq!((role.directly, role.role), (Truth::False, Truth::True));
    }
    for account in [ACCOUNT, "arn:aws:iam::111122223333:root"] {
        let account = named("AWS", account, &session);
        assert_eq!((account.directly, account.account), (Truth::False, Truth::True));
    }
    for other in [
        "arn:aws:sts::111122223333:assumed-role/triage/s2",
        "arn:aws:iam::111122223333:role/triage2",
        "arn:aws:iam::444455556666:role/triage",
        "arn:aws-cn:iam::111122223333:role/triage",
        "arn:aws:iam::111122223333:user/triage",
        "444455556666",
    ] {
        assert_eq!(named("AWS", other, &session).any(), Truth::False, "{other}");
    }
}

#[test]
fn a_role_that_is_known_is_compared_with_its_path() {
    let session = arn("arn:aws:sts::111122223333:assumed-role/triage/s1")
        .with_role("arn:aws:iam::111122223333:role/agents/triage");
    assert_eq!(named("AWS", "arn:aws:iam::111122223333:role/agents/triage", &session).role, Truth::True);
    assert_eq!(named("AWS", "arn:aws:iam::111122223333:role/triage", &session).role, Truth::False);
}

#[test]
fn everyone_takes_in_services_and_the_anonymous() {
    for principal in
        [Principal::anonymous(), Principal::service("sns.amazonaws.com"), arn("arn:aws:iam::1:user/a")]
    {
        assert_eq!(named("AWS", "*", &principal).directly, Truth::True);
    }
    assert_eq!(named("AWS", ACCOUNT, &Principal::anonymous()).any(), Truth::False);
}

#[test]
fn services_and_providers_are_named_whole() {
    let sns = Principal::service("sns.amazonaws.com");
    assert_eq!(named("Service", "sns.amazonaws.com", &sns).directly, Truth::True);
    assert_eq!(named("Service", "sqs.amazonaws.com", &sns).any(), Truth::False);
    assert_eq!(named("Federated", "sns.amazonaws.com", &sns).any(), Truth::False);
    let google = Principal::federated("accounts.google.com");
    assert_eq!(named("Federated", "accounts.google.com", &google).directly, Truth::True);
    let saml = arn("arn:aws:iam::111122223333:saml-provider/okta");
    assert_eq!(
        named("Federated", "arn:aws:iam::111122223333:saml-provider/okta", &saml).directly,
        Truth::True
    );
    assert_eq!(named("AWS", ACCOUNT, &saml).any(), Truth::False);
}

#[test]
fn a_deleted_users_id_is_compared_with_the_one_who_asks() {
    let mut principals = Principals::none(false);
    principals.add("AWS", "AIDACKCEVSQ6C2EXAMPLE").unwrap();
    let user = arn("arn:aws:iam::111122223333:user/ann");
    let mut context = Context::complete();
    assert_eq!(principals.name(Some(&user), &context, false).any(), Truth::False);
    context.set("aws:userid", Fact::one("AIDACKCEVSQ6C2EXAMPLE"));
    assert_eq!(principals.name(Some(&user), &context, false).directly, Truth::True);
    context.set("aws:userid", Fact::Unknown);
    assert_eq!(principals.name(Some(&user), &context, false).any(), Truth::Unknown);
    assert_eq!(principals.undecided(&context).collect::<Vec<_>>(), ["aws:userid"]);
}

#[test]
fn not_principal_excepts_the_most_specific_that_it_names() {
    let denied = |values: &[&str], principal: &str| {
        let mut principals = Principals::none(true);
        for value in values {
            principals.add("AWS", value).unwrap();
        }
        principals.name(Some(&arn(principal)), &Context::complete(), false).any() == Truth::True
    };
    let (bob, ann) = ("arn:aws:iam::111122223333:user/bob", "arn:aws:iam::111122223333:user/ann");
    let root = "arn:aws:iam::111122223333:root";
    assert!(!denied(&[bob, root], bob));
    assert!(denied(&[bob, root], ann));
    assert!(!denied(&[root], ann));
    assert!(denied(&[bob], ann));
    let role = "arn:aws:iam::111122223333:role/app";
    let (one, two) =
        ("arn:aws:sts::111122223333:assumed-role/app/one", "arn:aws:sts::111122223333:assumed-role/app/two");
    assert!(!denied(&[one, role, root], one));
    assert!(denied(&[one, role, root], two));
    assert!(!denied(&[role, root], two));
    assert!(denied(&["444455556666"], two));
}

#[test]
fn a_boundary_makes_every_exception_void() {
    let mut principals = Principals::none(true);
    principals.add("AWS", "arn:aws:iam::111122223333:user/bob").unwrap();
    let bob = arn("arn:aws:iam::111122223333:user/bob");
    assert_eq!(principals.name(Some(&bob), &Context::complete(), true).any(), Truth::True);
    assert_eq!(principals.name(Some(&bob), &Context::complete(), false).any(), Truth::False);
}

#[test]
fn aws_tells_of_who_asks_what_follows_from_the_arn() {
    let told = |principal: &Principal, key: &str| {
        let mut context = Context::complete();
        principal.tell(&mut context);
        context.fact(key).clone()
    };
    let session = arn("arn:aws:sts::111122223333:assumed-role/triage/s1");
    assert_eq!(told(&session, "aws:PrincipalArn"), Fact::one("arn:aws:iam::111122223333:role/triage"));
    assert_eq!(told(&session, "aws:PrincipalType"), Fact::one("AssumedRole"));
    assert_eq!(told(&session, "aws:username"), Fact::Absent);
    let user = arn("arn:aws:iam::111122223333:user/team/ann");
    assert_eq!(told(&user, "aws:username"), Fact::one("ann"));
    assert_eq!(told(&user, "aws:PrincipalAccount"), Fact::one(ACCOUNT));
    assert_eq!(
        told(&Principal::service("sns.amazonaws.com"), "aws:PrincipalIsAWSService"),
        Fact::one("true")
    );
    assert_eq!(told(&Principal::anonymous(), "aws:PrincipalArn"), Fact::Absent);
}

#[test]
fn service_linked_roles_are_known_by_path_or_name() {
    for linked in [
        "arn:aws:iam::111122223333:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForECS/ecs",
    ] {
        assert!(arn(linked).is_service_linked(), "{linked}");
    }
    assert!(!arn("arn:aws:sts::111122223333:assumed-role/ecs/ecs").is_service_linked());
}

#[test]
fn other_arns_are_no_principals() {
    for text in [
        "",
        "ann",
        "111122223333",
        "arn:aws:s3:::bucket",
        "arn:aws:iam::111122223333:group/g",
        "arn:aws:sts::111122223333:assumed-role/triage",
        "arn:aws:iam::111122223333:user/",
    ] {
        assert!(Principal::parse(text).is_err(), "{text}");
    }
    let mut principals = Principals::none(false);
    for text in ["arn:aws:iam::111122223333:role/*", "arn:aws:s3:::b", "ann", ""] {
        assert!(principals.add("AWS", text).is_err(), "{text}");
    }
    assert!(principals.add("Group", "g").unwrap_err().contains("Known: AWS"));
}
