use super::*;
use std::path::Path;
use tempfile::TempDir;

const ROLE: &str = "arn:aws:iam::111122223333:role/agents/ant";
const OWNED: &str = "owner: {team: tickets, oncall: pagerduty:P1}";

/// A folder with `agents` and `policies`.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        for folder in ["agents", "policies"] {
            std::fs::create_dir(files.0.path().join(folder)).unwrap();
        }
        files
    }

    fn write(self, name: &str, text: &str) -> Files {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    /// An agent `ant`; `spec` are further lines of its spec.
    fn ant(self, spec: &str) -> Files {
        let text = agent("ant", ROLE, spec);
        self.write("agents/ant.yaml", &text)
    }

    fn grant(self, actions: &str, resource: &str) -> Files {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Sid": "Work", "Effect": "Allow", "Action": {actions}, "Resource": "{resource}"}}]}}"#
        );
        self.write("policies/ant.json", &policy)
    }

    fn lints(&self) -> Vec<Lint> {
        let today = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let dir = |name: &str| -> std::path::PathBuf { Path::new(self.0.path()).join(name) };
        let now = today.and_hms_opt(0, 0, 0).unwrap().and_utc();
        let (manifests, errors) = Manifests::survey(&dir("agents"), now);
        let grants = Grants::load(&dir("policies")).unwrap();
        lint(&manifests, &errors.0, Some(&grants), today)
    }

    fn of(&self, rule: &Rule) -> Vec<Lint> {
        self.lints().into_iter().filter(|lint| lint.rule == rule.id).collect()
    }

    #[track_caller]
    fn one(&self, rule: &Rule) -> Lint {
        let mut found = self.of(rule);
        assert_eq!(found.len(), 1, "{}: {:#?}", rule.id, self.lints());
        found.remove(0)
    }

    #[track_caller]
    fn none(&self, rule: &Rule) {
        let found = self.of(rule);
        assert!(found.is_empty(), "{found:#?}");
    }
}

fn agent(name: &str, role: &str, spec: &str) -> String {
    let spec = spec.lines().map(|line| format!("  {line}\n")).collect::<String>();
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities: [{{aws.role: \"{role}\"}}]\n{spec}"
    )
}

const READS: &str = "allow:\n  - aws: {actions: [\"s3:GetObject\"], resources: [\"arn:aws:s3:::acme/*\"]}";

#[test]
fn a_sound_manifest_has_nothing_to_look_at() {
    let files =
        Files::new().ant(&format!("{OWNED}\n{READS}")).grant("\"s3:GetObject\"", "arn:aws:s3:::acme/*");
    assert_eq!(files.lints(), []);
}

#[test]
fn unknown_words_are_told_with_their_lines() {
    let spec = format!("{OWNED}\nallow:\n  - aws: {{actions: [\"s3:GetObjekt\"]}}\n  - read: tickts");
    let catalog =
        "apiVersion: remit/v1\nkind: ResourceCatalog\nresources: {tickets: {aws: [\"arn:aws:s3:::t/*\"]}}\n";
    let files = Files::new().ant(&spec).write("agents/resources.yaml", catalog);
    let action = files.one(UNKNOWN_ACTION);
    assert_eq!((action.file.as_str(), action.line, action.level), ("agents/ant.yaml", 8, Level::Warning));
    assert!(action.message.contains("s3:GetObject"), "{}", action.message);
    let name = files.one(UNKNOWN_RESOURCE);
    assert_eq!((name.line, name.level), (9, Level::Error));
    assert!(name.message.contains("Did you mean `tickets`"), "{}", name.message);
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let files = Files::new().ant(READS).write("agents/broken.yaml", "kind: [");
    assert_eq!(files.one(MANIFEST_INVALID).file, "agents/broken.yaml");
    files.one(NO_OWNER);
}

#[test]
fn identities_that_share_callers_are_told_and_those_apart_are_not() {
    let bee = |role: &str| agent("bee", role, OWNED);
    let both = |role: &str| Files::new().ant(OWNED).write("agents/bee.yaml", &bee(role));
    assert_eq!(both(ROLE).one(OVERLAPPING_IDENTITY).level, Level::Error);
    let general = both("arn:aws:iam::*:role/agents/*").one(OVERLAPPING_IDENTITY);
    assert_eq!(general.level, Level::Note, "the one in full wins, and that is told: {}", general.message);
    assert!(general.message.ends_with("`ant`'s"), "{}", general.message);
    both("arn:aws:iam::*:role/bees/*").none(OVERLAPPING_IDENTITY);
}

#[test]
fn agents_in_one_role_overlap_where_one_call_can_show_the_signs_of_both() {
    let told = |name: &str, signs: &str| {
        format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  identities: [{{aws.role: \"{ROLE}\", {signs}}}]\n"
        )
    };
    let both = |mine: &str, theirs: &str| {
        Files::new()
            .write("agents/ant.yaml", &told("ant", mine))
            .write("agents/bee.yaml", &told("bee", theirs))
    };
    both("workload: triage*", "workload: deploy*").none(OVERLAPPING_IDENTITY);
    both("client: cursor", "client: kiro").none(OVERLAPPING_IDENTITY);
    let exception = both("workload: triage*", "source_identity: bot-*").one(OVERLAPPING_IDENTITY);
    assert_eq!(exception.level, Level::Note);
    assert!(exception.message.ends_with("such a call is taken for `ant`'s"), "{}", exception.message);
    let draw = both("workload: \"tri*\"", "workload: \"*age\"").one(OVERLAPPING_IDENTITY);
    assert_eq!(draw.level, Level::Warning, "{}", draw.message);
}

#[test]
fn a_role_that_the_export_does_not_hold_is_told() {
    let export = |role: &str| {
        format!(
            r#"{{"RoleDetailList": [{{"RoleName": "x", "Arn": "{role}", "RolePolicyList": [], "AttachedManagedPolicies": []}}]}}"#
        )
    };
    let with = |role: &str| Files::new().ant(OWNED).write("policies/1.json", &export(role));
    with(ROLE).none(UNKNOWN_ROLE);
    assert_eq!(with("arn:aws:iam::111122223333:role/ant").one(UNKNOWN_ROLE).level, Level::Warning, "no path");
    let elsewhere = with("arn:aws:iam::444455556666:role/agents/ant").one(UNKNOWN_ROLE);
    assert_eq!(elsewhere.level, Level::Note, "that account was not exported");
    Files::new().ant(OWNED).none(UNKNOWN_ROLE);
}

#[test]
fn what_has_run_out_is_told() {
    let old = format!("{OWNED}\nexpires: 2026-11-19\nreview: {{every: 30d, last: 2026-10-20}}");
    let files = Files::new().ant(&old);
    assert_eq!(files.one(EXPIRED).line, 7);
    assert_eq!(files.one(REVIEW_OVERDUE).line, 8);
    let fresh = format!("{OWNED}\nexpires: 2026-11-20\nreview: {{every: 30d, last: 2026-10-21}}");
    let files = Files::new().ant(&fresh);
    files.none(EXPIRED);
    files.none(REVIEW_OVERDUE);
}

#[test]
fn somebody_must_own_an_agent_and_answer_at_night() {
    assert_eq!(Files::new().ant(OWNED).lints(), []);
    let files = Files::new().ant("environment: prod");
    files.one(NO_OWNER);
    assert_eq!(files.one(NO_ON_CALL).level, Level::Warning);
    assert_eq!(Files::new().ant("environment: dev").one(NO_ON_CALL).level, Level::Note);
}

#[test]
fn changes_by_a_wildcard_in_production_are_told() {
    let with = |environment: &str, entry: &str| {
        Files::new().ant(&format!("{OWNED}\nenvironment: {environment}\nallow:\n  - {entry}"))
    };
    let objects = "resources: [\"arn:aws:s3:::acme/*\"]";
    let wild = with("prod", &format!("aws: {{actions: [\"s3:*Object\"], {objects}}}"));
    let found = wild.one(WILDCARD_WRITE_IN_PROD);
    assert!(
        found.message.contains("s3:PutObject") && !found.permissions.contains(&"s3:GetObject".to_owned())
    );
    assert_eq!(with("prod", "aws: {actions: [\"s3:*\"]}").one(WILDCARD_WRITE_IN_PROD).level, Level::Error);
    with("prod", "aws: {actions: [\"s3:PutObject\"]}").one(WILDCARD_WRITE_IN_PROD);
    with("prod", "aws: {actions: [\"s3:Get*\"]}").none(WILDCARD_WRITE_IN_PROD);
    with("prod", &format!("aws: {{actions: [\"s3:PutObject\"], {objects}}}")).none(WILDCARD_WRITE_IN_PROD);
    with("dev", "aws: {actions: [\"s3:*\"]}").none(WILDCARD_WRITE_IN_PROD);
}

#[test]
fn an_entry_that_never_decides_is_told() {
    let get = "aws: {actions: [\"s3:GetObject\"], resources: [\"arn:aws:s3:::acme/a/*\"]}";
    let wide = "aws: {actions: [\"s3:Get*\"], resources: [\"arn:aws:s3:::acme/*\"]}";
    let with = |spec: String| Files::new().ant(&format!("{OWNED}\n{spec}"));
    let denied = with(format!("deny:\n  - {wide}\nallow:\n  - {get}")).one(SHADOWED_ALLOW);
    assert_eq!(denied.line, 10);
    assert!(denied.message.contains("agents/ant.yaml:8"), "{}", denied.message);
    with(format!("allow:\n  - {wide}\n  - {get}")).one(SHADOWED_ALLOW);
    with(format!("allow:\n  - {get}\n  - {get}")).one(SHADOWED_ALLOW);
    with(format!("deny:\n  - {get}\n  - {wide}")).one(SHADOWED_DENY);

    // near-misses: the narrow deny in a wide allow, the wide allow after the narrow, what has a condition before it
    let narrow = with(format!("deny:\n  - {get}\nallow:\n  - {wide}"));
    narrow.none(SHADOWED_ALLOW);
    narrow.none(SHADOWED_DENY);
    let conditional = wide.replace("{actions", "{via: dynamodb, actions");
    with(format!("deny:\n  - {conditional}\nallow:\n  - {get}")).none(SHADOWED_ALLOW);
}

#[test]
fn an_entry_whose_permissions_cannot_touch_its_resources_is_told() {
    let with = |entry: &str| Files::new().ant(&format!("{OWNED}\nallow:\n  - {entry}"));
    with("aws: {actions: [\"s3:ListAllMyBuckets\"], resources: [\"arn:aws:s3:::acme\"]}").one(SHADOWED_ALLOW);
    with("aws: {actions: [\"s3:ListBucket\"], resources: [\"arn:aws:s3:::acme\"]}").none(SHADOWED_ALLOW);
}

#[test]
fn declared_and_granted_are_held_against_each_other() {
    let declared = format!("{OWNED}\n{READS}\n  - aws: {{actions: [\"sqs:SendMessage\"]}}");
    let files = Files::new().ant(&declared).grant(r#"["s3:GetObject", "s3:DeleteObject"]"#, "*");
    let missing = files.one(DECLARED_NOT_GRANTED);
    assert_eq!((missing.line, missing.permissions.as_slice()), (9, &["sqs:SendMessage".to_owned()][..]));
    let more = files.one(GRANTED_NOT_DECLARED);
    assert_eq!(
        (more.level, more.permissions.as_slice()),
        (Level::Warning, &["s3:DeleteObject".to_owned()][..])
    );
    assert!(more.message.contains("#Work"), "{}", more.message);
    assert_eq!(files.one(GRANTED_WIDER).permissions, ["s3:GetObject"]);
    // near-miss: nothing is known of the agent's grants
    let unknown = Files::new().ant(&declared);
    unknown.none(DECLARED_NOT_GRANTED);
}

#[test]
fn a_policy_that_cannot_be_read_is_an_error() {
    let files =
        Files::new().ant(OWNED).write("policies/ant.json", r#"{"Version": "2012-10-17", "Statement": 7}"#);
    assert_eq!(files.one(POLICY_UNPARSED).file, "policies/ant.json");
    let from = Files::new()
        .ant(&format!("{OWNED}\nallow:\n  - from: {{aws_policy: gone.json}}"))
        .one(POLICY_UNPARSED);
    assert_eq!((from.file.as_str(), from.line), ("agents/ant.yaml", 8));
}

#[test]
fn sarif_points_to_rule_and_line() {
    let files = Files::new().ant(&format!("{OWNED}\nallow:\n  - aws: {{actions: [\"s3:GetObjekt\"]}}"));
    let lints = files.lints();
    let log = sarif(&lints, "1.0.0");
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!((log["version"].as_str(), results.len()), (Some("2.1.0"), lints.len()));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"agents/ant.yaml".into(), &8.into())
    );
}

#[test]
fn a_fingerprint_outlives_a_moved_line() {
    let entry = "allow:\n  - aws: {actions: [\"s3:GetObjekt\"]}";
    let here = Files::new().ant(&format!("{OWNED}\n{entry}")).one(UNKNOWN_ACTION);
    let below = Files::new().ant(&format!("{OWNED}\npurpose: x\n{entry}")).one(UNKNOWN_ACTION);
    assert_ne!(here.line, below.line);
    assert_eq!(here.fingerprint(), below.fingerprint());
}
