use super::super::tests::{ROLE, load};
use super::*;
use crate::manifest::Manifests;

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:";

/// An agent in the role that is told by what follows.
fn agent(name: &str, told: &str) -> String {
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities:\n    - aws.role: {ROLE}\n{told}"
    )
}

fn all(agents: &[(&str, String)]) -> Manifests {
    let files: Vec<(String, String)> =
        agents.iter().map(|(name, told)| (format!("{name}.yaml"), agent(name, told))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    load(&files).unwrap()
}

fn name<'a>(manifests: &'a Manifests, session_name: Option<&str>, shown: Shown<'_>) -> Option<&'a str> {
    let caller = Caller { actor: ROLE, session_name, shown, ..Caller::default() };
    manifests.agent(&caller).map(|agent| agent.name.as_str())
}

#[test]
fn two_agents_in_one_role_are_told_apart_by_their_workload() {
    let told = |function: &str| format!("      workload: {FUNCTION}{function}*\n");
    let manifests = all(&[("triage", told("triage")), ("deploy", told("deploy")), ("rest", String::new())]);
    let by = |function: &str| {
        let workload = format!("{FUNCTION}{function}");
        name(&manifests, None, Shown { workload: Some(&workload), ..Shown::default() }).map(str::to_owned)
    };
    assert_eq!(by("triage").as_deref(), Some("triage"));
    assert_eq!(by("deploy:7").as_deref(), Some("deploy"));
    assert_eq!(by("other").as_deref(), Some("rest"), "none of the two");
    assert_eq!(name(&manifests, Some("triage"), Shown::default()), Some("rest"), "a name is no workload");
}

#[test]
fn the_stronger_sign_wins() {
    let manifests = all(&[
        ("client", "      client: claude-code\n".into()),
        ("mcp", "      via: mcp\n".into()),
        ("session", "      session: run-*\n".into()),
        ("source", "      source_identity: bot-*\n".into()),
        ("workload", format!("      workload: {FUNCTION}x\n")),
    ]);
    let workload = format!("{FUNCTION}x");
    let mut shown = Shown {
        workload: Some(&workload),
        source_identity: Some("bot-7"),
        user_agent: Some("claude-code/2.1"),
        via_mcp: true,
    };
    assert_eq!(name(&manifests, Some("run-1"), shown), Some("workload"));
    shown.workload = None;
    assert_eq!(name(&manifests, Some("run-1"), shown), Some("source"));
    shown.source_identity = None;
    assert_eq!(name(&manifests, Some("run-1"), shown), Some("session"));
    assert_eq!(name(&manifests, Some("else"), shown), Some("mcp"));
    shown.via_mcp = false;
    assert_eq!(name(&manifests, Some("else"), shown), Some("client"));
    shown.user_agent = Some("kiro/1");
    assert_eq!(name(&manifests, Some("else"), shown), None);
}

#[test]
fn an_agent_known_by_a_clients_words_alone_is_no_surer_than_they_are() {
    let manifests = all(&[
        ("forged", "      client: cursor\n".into()),
        ("both", "      client: kiro\n    - aws.role: arn:aws:iam::111122223333:role/agents/triage\n      via: mcp\n".into()),
        ("plain", "      session: run-*\n".into()),
    ]);
    let grade = |name: &str, session_name, shown| {
        let caller = Caller { actor: ROLE, session_name, shown, ..Caller::default() };
        manifests.named(name).unwrap().grade(&caller)
    };
    let words = |user_agent, via_mcp| Shown { user_agent: Some(user_agent), via_mcp, ..Shown::default() };
    assert_eq!(grade("forged", None, words("cursor/1", false)), Grade::Client);
    assert_eq!(grade("both", None, words("kiro/1", false)), Grade::Client);
    assert_eq!(grade("both", None, words("kiro/1", true)), Grade::Manifest);
    assert_eq!(grade("plain", Some("run-1"), Shown::default()), Grade::Manifest);
}

#[test]
fn equal_signs_are_a_conflict_and_others_are_none() {
    let equal = [agent("a", "      workload: w\n"), agent("b", "      workload: w\n")];
    let errors = load(&[("a.yaml", &equal[0]), ("b.yaml", &equal[1])]).unwrap_err().to_string();
    assert!(errors.contains("claim the same identity") && errors.contains("`workload`"), "{errors}");
    let other = agent("b", "      workload: v\n");
    assert!(load(&[("a.yaml", &equal[0]), ("b.yaml", &other)]).is_ok());
}
