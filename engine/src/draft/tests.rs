use super::*;
use crate::manifest::Manifests;
use chrono::Utc;

const ROLE: &str = "arn:aws:iam::111122223333:role/agents/ant";

fn seen(used: &[(&str, &[&str])]) -> Seen {
    let mut seen = Seen { calls: 3, first: 0, last: 86_400_000_000, ..Seen::default() };
    for (name, resources) in used {
        let mut use_of = Used { calls: 3, last: 86_400_000_000, ..Used::default() };
        let resources: Vec<String> = resources.iter().map(|arn| (*arn).to_owned()).collect();
        use_of.places.add(&resources, true);
        seen.used.insert((*name).to_owned(), use_of);
    }
    seen
}

fn drafted(arn: &str, seen: Seen) -> Draft {
    drafts(&BTreeMap::from([(arn.to_owned(), seen)])).remove(0)
}

fn load(drafts: &[Draft]) -> Manifests {
    let folder = tempfile::tempdir().unwrap();
    for draft in drafts {
        std::fs::write(folder.path().join(format!("{}.yaml", draft.name)), &draft.yaml).unwrap();
    }
    Manifests::load(folder.path(), Utc::now()).unwrap()
}

#[test]
fn a_draft_is_a_manifest_that_declares_what_was_seen() {
    let draft =
        drafted(ROLE, seen(&[("s3:GetObject", &["arn:aws:s3:::acme/a"]), ("s3:ListAllMyBuckets", &[])]));
    assert_eq!((draft.name.as_str(), draft.permissions, draft.reviews), ("ant", 2, 0), "{}", draft.yaml);
    let manifests = load(&[draft]);
    assert_eq!(manifests.warnings, []);
    let agent = manifests.named("ant").unwrap();
    assert_eq!(agent.identities[0].arn, ROLE);
    assert_eq!(agent.scope.permissions(), ["s3:GetObject", "s3:ListAllMyBuckets"]);
}

#[test]
fn what_is_dangerous_is_marked() {
    let draft = drafted(
        ROLE,
        seen(&[
            ("iam:CreateAccessKey", &["arn:aws:iam::111122223333:user/x"]),
            ("s3:DeleteObject", &["arn:aws:s3:::acme/a"]),
            ("s3:GetObject", &["arn:aws:s3:::acme/a"]),
        ]),
    );
    let marked: Vec<&str> = draft.yaml.lines().filter(|line| line.contains("REVIEW: ")).collect();
    assert_eq!(marked.len(), 2, "{marked:#?}");
    assert!(marked.iter().all(|line| !line.contains("s3:GetObject")));
}

#[test]
fn the_words_of_a_log_do_not_break_out() {
    let mut odd = seen(&[
        ("s3:GetObject", &["arn:aws:s3:::acme/\"\n  deny: []\u{85}\u{2028}é"]),
        ("s3:Get*", &["*"]),
        ("s3:X\n  deny: []", &["*"]),
    ]);
    odd.denied.insert("s3:Y\nspec: {}".to_owned(), 1);
    odd.regions.insert("eu-west-1\nspec: {}".to_owned());
    let draft = drafted("arn:aws:iam::111122223333:role/a\"\nb", odd);
    let manifests = load(&[draft]);
    let agent = &manifests.agents[0];
    assert_eq!(agent.scope.permissions(), ["s3:GetObject"], "a wildcard in a log allows nothing");
    assert_eq!(agent.identities[0].arn, "arn:aws:iam::111122223333:role/a\"\nb");
}

#[test]
fn roles_of_one_name_are_told_apart_by_their_account() {
    let one = seen(&[("s3:GetObject", &["arn:aws:s3:::acme/a"])]);
    let other = ROLE.replace("111122223333", "444455556666");
    let drafts = drafts(&BTreeMap::from([(ROLE.to_owned(), one.clone()), (other, one)]));
    let names: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    assert_eq!(names, ["ant-111122223333", "ant-444455556666"]);
    assert_eq!(load(&drafts).agents.len(), 2);
}
