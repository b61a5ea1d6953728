use super::super::tests::{ROLE, agent, fault, load};
use crate::manifest::{Caller, Manifests, Shown};

const ID: &str = "6f1d2c3b-0000-4000-8000-5a5a5a5a5a5a";
const MAIL: &str = "ant@acme-ops.iam.gserviceaccount.com";

fn named(name: &str, identity: &str) -> String {
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities: [{{{identity}}}]\n"
    )
}

fn name<'a>(manifests: &'a Manifests, actor: &str) -> Option<&'a str> {
    let caller = Caller { actor, ..Caller::default() };
    manifests.agent(&caller).map(|agent| agent.name.as_str())
}

#[test]
fn an_id_of_azure_is_the_agents_whatever_its_case() {
    for key in ["azure.agent_identity", "azure.app", "azure.principal"] {
        let manifests = load(&[("a.yaml", &named("ant", &format!("{key}: {}", ID.to_uppercase())))]).unwrap();
        assert_eq!(name(&manifests, ID), Some("ant"), "{key}");
        assert_eq!(name(&manifests, &ID.to_uppercase()), Some("ant"), "{key}");
        assert_eq!(name(&manifests, "6f1d2c3b-0000-4000-8000-5a5a5a5a5a5b"), None, "{key}");
        assert_eq!(manifests.named("ant").unwrap().principals[0].kind.key(), key);
    }
}

#[test]
fn a_service_account_is_the_agents_however_a_log_writes_it() {
    let manifests = load(&[("a.yaml", &named("ant", &format!("gcp.service_account: {MAIL}")))]).unwrap();
    for actor in [
        MAIL.to_owned(),
        MAIL.to_uppercase(),
        format!("serviceAccount:{MAIL}"),
        format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{MAIL}"),
    ] {
        assert_eq!(name(&manifests, &actor), Some("ant"), "{actor}");
    }
    assert_eq!(name(&manifests, "bee@acme-ops.iam.gserviceaccount.com"), None);
    assert_eq!(name(&manifests, &format!("x{MAIL}")), None);
}

#[test]
fn one_agent_may_be_in_three_clouds() {
    let all = format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: ant}}\nspec:\n  identities:\n    - aws.role: {ROLE}\n    - azure.principal: {ID}\n      blueprint: x\n    - gcp.service_account: {MAIL}\n"
    );
    let manifests = load(&[("a.yaml", &all)]).unwrap();
    for actor in [ROLE, ID, MAIL] {
        assert_eq!(name(&manifests, actor), Some("ant"), "{actor}");
    }
    assert_eq!(manifests.warnings, []);
}

#[test]
fn two_agents_cannot_claim_one_id() {
    let one = named("ant", &format!("azure.app: {ID}"));
    let other = named("bee", &format!("azure.principal: {}", ID.to_uppercase()));
    let errors = load(&[("a.yaml", &one), ("b.yaml", &other)]).unwrap_err().to_string();
    assert!(errors.contains("claim the same identity `6f1d2c3b"), "{errors}");
    let apart = named("bee", "azure.principal: 6f1d2c3b-0000-4000-8000-5a5a5a5a5a5b");
    assert!(load(&[("a.yaml", &one), ("b.yaml", &apart)]).is_ok());
}

#[test]
fn a_spiffe_id_is_the_agents_in_whatever_role_its_session_is() {
    let spiffe = "spiffe://example.org/ant";
    let ant = named("ant", &format!("spiffe: \"{spiffe}\""));
    let manifests = load(&[("a.yaml", &ant), ("b.yaml", &agent("bee", ROLE, ""))]).unwrap();
    assert_eq!(manifests.named("ant").unwrap().principals[0].to_string(), format!("spiffe: {spiffe}"));
    assert_eq!(manifests.warnings, []);
    let by = |workload| {
        let shown = Shown { workload, ..Shown::default() };
        let found = manifests.agent(&Caller { actor: ROLE, shown, ..Caller::default() });
        found.map(|agent| agent.name.as_str())
    };
    assert_eq!(by(Some(spiffe)), Some("ant"));
    assert_eq!(by(Some("spiffe://example.org/ant/2")), Some("bee"));
    assert_eq!(by(None), Some("bee"));
    assert_eq!(name(&manifests, spiffe), None, "it is no identity that calls");
    let errors = load(&[("a.yaml", &ant), ("b.yaml", &named("bee", &format!("spiffe: \"{spiffe}\"")))]);
    assert!(errors.unwrap_err().to_string().contains("claim the same identity"));
}

#[test]
fn what_is_no_id_is_told() {
    for (identity, expected) in [
        ("azure.app: ant", "`ant` in `azure.app` is no id of Entra"),
        ("azure.app: 6f1d2c3b-0000-4000-8000-5a5a5a5a5a5", "is no id of Entra"),
        ("azure.principal: zf1d2c3b-0000-4000-8000-5a5a5a5a5a5a", "is no id of Entra"),
        ("gcp.service_account: ant", "is no service account's e-mail address"),
        ("gcp.service_account: \"*@acme.iam.gserviceaccount.com\"", "is no service account's e-mail address"),
        ("spiffe: example.org/ant", "is no SPIFFE id"),
        ("client: cursor", "an identity needs `aws.role`"),
        (
            "azure.app: 6f1d2c3b-0000-4000-8000-5a5a5a5a5a5a, workload: x",
            "go with `aws.role` and `aws.user` only",
        ),
        (
            "aws.role: arn:aws:iam::1:role/r, client: word",
            "unknown client `word`. Known clients: claude-code, kiro",
        ),
        ("aws.role: arn:aws:iam::1:role/r, via: ssh", "unknown way `ssh` in `via`. Known: mcp"),
        ("azure.ap: x", "Did you mean `azure.app`?"),
        ("gcp.service_acount: x", "Did you mean `gcp.service_account`?"),
        ("session: x", "an identity needs `aws.role`, `aws.user`, `azure.agent_identity`"),
    ] {
        let told = fault(&[("a.yaml", &named("ant", identity))]);
        assert!(told.contains(expected), "{told}\n  does not hold\n{expected}");
    }
    let both = named("ant", &format!("azure.app: {ID}, session: x"));
    assert!(fault(&[("a.yaml", &both)]).contains("go with `aws.role`"));
}

#[test]
fn a_role_is_still_matched_beside_ids() {
    let manifests =
        load(&[("a.yaml", &agent("ant", ROLE, "")), ("b.yaml", &named("bee", &format!("azure.app: {ID}")))])
            .unwrap();
    assert_eq!((name(&manifests, ROLE), name(&manifests, ID)), (Some("ant"), Some("bee")));
    assert_eq!(name(&manifests, "unknown"), None);
}
