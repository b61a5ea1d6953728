mod azure;
mod gcp;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::manifest::{Agent, Manifests};
use crate::scope::{Plane, Reason, Verdict};
use policy::context::Context;

const ACCOUNT: &str = "/subscriptions/8d0f";

/// A folder with an agent whose `allow` has one `from`, besides `s3:ListAllMyBuckets`.
struct Story {
    dir: TempDir,
    from: String,
}

impl Story {
    fn of(from: &str) -> Story {
        Story { dir: TempDir::new().unwrap(), from: from.to_owned() }
    }

    fn with(self, path: &str, text: impl ToString) -> Story {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.to_string()).unwrap();
        self
    }

    fn load(&self) -> Manifests {
        let text = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: janitor}}\nspec:\n  identities: [{{aws.role: \"arn:aws:iam::1:role/j\"}}]\n  allow:\n    - aws: {{actions: [\"s3:ListAllMyBuckets\"]}}\n    - from: {}\n",
            self.from
        );
        fs::create_dir_all(self.dir.path().join("agents")).unwrap();
        fs::write(self.dir.path().join("agents/a.yaml"), text).unwrap();
        Manifests::load(&self.dir.path().join("agents"), "2026-11-21T00:00:00Z".parse().unwrap())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn fault(&self) -> String {
        let text = format!(
            "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: janitor}}\nspec:\n  allow: [{{from: {}}}]\n",
            self.from
        );
        fs::write(self.dir.path().join("a.yaml"), text).unwrap();
        let errors = Manifests::load(self.dir.path(), "2026-11-21T00:00:00Z".parse().unwrap()).unwrap_err();
        errors.to_string()
    }

    /// What is said of one warning.
    fn warned(&self) -> String {
        let manifests = self.load();
        assert_eq!(manifests.warnings.len(), 1, "{:?}", manifests.warnings);
        let warning = &manifests.warnings[0];
        assert_eq!(warning.line, 8, "the entry's line");
        format!("{} {}", warning.key, warning.message)
    }
}

fn janitor(manifests: &Manifests) -> &Agent {
    manifests.named("janitor").unwrap()
}

fn aws(story: &Story, permission: &str, arn: &str) -> (Verdict, Reason) {
    let manifests = story.load();
    let verdict = janitor(&manifests).scope.verdict(permission, &[arn.to_owned()], true, &Context::partial());
    (verdict.verdict, verdict.reason)
}

fn azure(story: &Story, operation: &str, plane: Plane, place: &str) -> Verdict {
    let manifests = story.load();
    janitor(&manifests).scope.verdict_azure(operation, plane, Some(place), &Context::partial()).verdict
}

fn gcp(story: &Story, permission: &str, place: &str) -> Verdict {
    let manifests = story.load();
    janitor(&manifests).scope.verdict_gcp(permission, Some(place), &Context::partial()).verdict
}

const VM: &str = "/subscriptions/8d0f/resourceGroups/r/providers/Microsoft.Compute/virtualMachines/v";

/// A policy's text that lets objects of a bucket be read.
fn reading(bucket: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*")},
    ]})
    .to_string()
}

fn state(resources: Value) -> Value {
    json!({"version": 4, "terraform_version": "1.9.0", "serial": 7, "resources": resources})
}

/// A managed resource of a state with one instance.
fn managed(kind: &str, name: &str, attributes: Value) -> Value {
    json!({"mode": "managed", "type": kind, "name": name, "instances": [{"attributes": attributes}]})
}

/// A resource as a plan has it.
fn planned(address: &str, mode: &str, kind: &str, values: Value) -> Value {
    json!({"address": address, "mode": mode, "type": kind, "name": "x", "values": values})
}

fn plan(resources: Value, changes: Value) -> Value {
    json!({"format_version": "1.2", "planned_values": {"root_module": {"resources": resources}}, "resource_changes": changes})
}

const BUCKET_A: &str = "arn:aws:s3:::a/1";
const BUCKET_B: &str = "arn:aws:s3:::b/1";
const POLICY: &str = "{terraform: ../tf, address: aws_iam_role_policy.janitor}";
const IN: (Verdict, Reason) = (Verdict::In, Reason::Declared);
const UNREAD: (Verdict, Reason) = (Verdict::Unknown, Reason::PolicyUnparsed);

/// Its own entry holds whatever the reference says, unless the reference cannot be understood.
fn listing(story: &Story) -> (Verdict, Reason) {
    aws(story, "s3:ListAllMyBuckets", "arn:aws:s3:::*")
}

#[test]
fn a_policy_of_a_state_is_read() {
    let role = managed("aws_iam_role_policy", "janitor", json!({"policy": reading("a")}));
    let story = Story::of(POLICY).with("tf/terraform.tfstate", state(json!([role])));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_B), (Verdict::Out, Reason::OtherResource));
    assert_eq!(story.load().warnings, []);
}

#[test]
fn every_kind_of_policy_is_read() {
    for kind in ["aws_iam_policy", "aws_iam_role_policy", "aws_iam_user_policy", "aws_iam_group_policy"] {
        let from = format!("{{terraform: ../tf/x.tfstate, address: {kind}.p}}");
        let resource = managed(kind, "p", json!({"policy": reading("a")}));
        let story = Story::of(&from).with("tf/x.tfstate", state(json!([resource])));
        assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN, "{kind}");
    }
}

#[test]
fn the_verdict_names_file_address_and_statement() {
    let role = managed("aws_iam_role_policy", "janitor", json!({"policy": reading("a")}));
    let manifests = Story::of(POLICY).with("tf/x.tfstate", state(json!([role]))).load();
    let verdict =
        janitor(&manifests).scope.verdict("s3:GetObject", &[BUCKET_A.to_owned()], true, &Context::partial());
    assert_eq!(
        verdict.statement.as_deref(),
        Some("agents/a.yaml:8 from ../tf aws_iam_role_policy.janitor#Read")
    );
}

#[test]
fn a_deny_of_a_policy_denies() {
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}]});
    let role = managed("aws_iam_role_policy", "janitor", json!({"policy": policy.to_string()}));
    let story = Story::of(POLICY).with("tf/x.tfstate", state(json!([role])));
    assert_eq!(aws(&story, "s3:DeleteObject", BUCKET_A), (Verdict::Out, Reason::DeniedByManifest));
    assert_eq!(aws(&story, "s3:PutObject", BUCKET_A), IN);
}

#[test]
fn an_index_picks_one_instance_of_a_state() {
    let resource = json!({"module": "module.agents", "mode": "managed", "type": "aws_iam_role_policy", "name": "janitor", "instances": [
        {"index_key": 0, "attributes": {"policy": reading("a")}}, {"index_key": 1, "attributes": {"policy": reading("b")}}]});
    let of = |address: &str| {
        let from = format!("{{terraform: ../tf, address: '{address}'}}");
        Story::of(&from).with("tf/x.tfstate", state(json!([resource])))
    };
    let first = of("module.agents.aws_iam_role_policy.janitor[0]");
    assert_eq!(aws(&first, "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&first, "s3:GetObject", BUCKET_B).0, Verdict::Out);
    let all = of("module.agents.aws_iam_role_policy.janitor");
    assert_eq!(aws(&all, "s3:GetObject", BUCKET_B), IN);
    assert!(all.warned().contains("means 2 instances"), "{}", all.warned());
    let third = of("module.agents.aws_iam_role_policy.janitor[2]");
    assert_eq!(aws(&third, "s3:GetObject", BUCKET_A), UNREAD);
    // near-miss: outside the module there is none
    assert_eq!(aws(&of("aws_iam_role_policy.janitor[0]"), "s3:GetObject", BUCKET_A), UNREAD);
}

#[test]
fn a_key_picks_one_instance_whatever_is_in_it() {
    let resource = json!({"mode": "managed", "type": "aws_iam_role_policy", "name": "janitor", "instances": [
        {"index_key": "eu.west", "attributes": {"policy": reading("a")}}, {"index_key": "us", "attributes": {"policy": reading("b")}}]});
    let story = Story::of("{terraform: ../tf, address: 'aws_iam_role_policy.janitor[\"eu.west\"]'}")
        .with("tf/x.tfstate", state(json!([resource])));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_B).0, Verdict::Out);
}

#[test]
fn what_waits_to_be_destroyed_is_not_declared() {
    let resource = json!({"mode": "managed", "type": "aws_iam_role_policy", "name": "janitor", "instances": [
        {"attributes": {"policy": reading("a")}}, {"deposed": "0f1e", "attributes": {"policy": reading("b")}}]});
    let story = Story::of(POLICY).with("tf/x.tfstate", state(json!([resource])));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_B).0, Verdict::Out);
}

#[test]
fn a_policy_of_a_plan_is_read() {
    let resources = json!([planned(
        "aws_iam_role_policy.janitor",
        "managed",
        "aws_iam_role_policy",
        json!({"policy": reading("a")})
    )]);
    let story = Story::of(POLICY).with("tf/plan.json", plan(resources, json!([])));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_B).0, Verdict::Out);
}

#[test]
fn modules_in_modules_of_a_plan_are_read() {
    let address = "module.a.module.b[\"k\"].aws_iam_role_policy.janitor[0]";
    let inner = planned(address, "managed", "aws_iam_role_policy", json!({"policy": reading("a")}));
    let plan = json!({"format_version": "1.2", "planned_values": {"root_module": {"child_modules": [
        {"address": "module.a", "child_modules": [{"address": "module.a.module.b[\"k\"]", "resources": [inner]}]}]}}});
    let of = |address: &str| {
        Story::of(&format!("{{terraform: ../tf/x.tfplan.json, address: '{address}'}}"))
            .with("tf/x.tfplan.json", &plan)
    };
    assert_eq!(aws(&of(address), "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&of("module.a.module.b.aws_iam_role_policy.janitor"), "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&of("module.a.aws_iam_role_policy.janitor"), "s3:GetObject", BUCKET_A), UNREAD);
}

#[test]
fn a_shown_state_is_read() {
    let shown = json!({"format_version": "1.0", "values": {"root_module": {"resources": [
        planned("aws_iam_role_policy.janitor", "managed", "aws_iam_role_policy", json!({"policy": reading("a")}))]}}});
    let story = Story::of(POLICY).with("tf/terraform.tfstate.json", shown);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
}

#[test]
fn what_is_known_only_after_apply_leaves_open_what_would_be_out() {
    let resources = json!([planned(
        "aws_iam_role_policy.janitor",
        "managed",
        "aws_iam_role_policy",
        json!({"role": "j"})
    )]);
    let changes =
        json!([{"address": "aws_iam_role_policy.janitor", "change": {"after_unknown": {"policy": true}}}]);
    let story = Story::of(POLICY).with("tf/plan.json", plan(resources, changes));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), UNREAD);
    assert_eq!(listing(&story), IN);
    assert!(story.warned().contains("known only after apply"), "{}", story.warned());
}

#[test]
fn a_state_without_the_policy_cannot_be_used() {
    let role = managed("aws_iam_role_policy", "janitor", json!({"role": "j"}));
    let story = Story::of(POLICY).with("tf/x.tfstate", state(json!([role])));
    assert_eq!(listing(&story), UNREAD);
    assert!(story.warned().contains("has no `policy`"), "{}", story.warned());
}

#[test]
fn the_inline_policies_of_a_role_are_read_together() {
    let role = managed(
        "aws_iam_role",
        "janitor",
        json!({"inline_policy": [{"name": "one", "policy": reading("a")}, {"name": "two", "policy": reading("b")}, {"name": "", "policy": ""}]}),
    );
    let story = Story::of("{terraform: ../tf, address: aws_iam_role.janitor}")
        .with("tf/x.tfstate", state(json!([role])));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_B), IN);
    assert_eq!(aws(&story, "s3:PutObject", BUCKET_B).0, Verdict::Out);
}

#[test]
fn policies_that_are_attached_to_a_role_leave_open_what_would_be_out() {
    let role = managed(
        "aws_iam_role",
        "janitor",
        json!({"inline_policy": [], "managed_policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}),
    );
    let story = Story::of("{terraform: ../tf, address: aws_iam_role.janitor}")
        .with("tf/x.tfstate", state(json!([role])));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), UNREAD);
    assert_eq!(listing(&story), IN);
    assert!(story.warned().contains("ReadOnlyAccess"), "{}", story.warned());
}

#[test]
fn a_policy_document_is_read_from_what_the_plan_read_before() {
    let address = "data.aws_iam_policy_document.janitor";
    let data = planned(address, "data", "aws_iam_policy_document", json!({"json": reading("a")}));
    let mut plan = plan(json!([]), json!([]));
    plan["prior_state"] = json!({"values": {"root_module": {"resources": [data]}}});
    let story = Story::of(&format!("{{terraform: ../tf, address: {address}}}")).with("tf/plan.json", &plan);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    // near-miss: what is managed and only there is going to be destroyed
    let gone = planned(
        "aws_iam_role_policy.janitor",
        "managed",
        "aws_iam_role_policy",
        json!({"policy": reading("a")}),
    );
    plan["prior_state"] = json!({"values": {"root_module": {"resources": [gone]}}});
    let story = Story::of(POLICY).with("tf/plan.json", plan);
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), UNREAD);
}

#[test]
fn an_address_that_is_not_there_is_guessed() {
    let role = managed("aws_iam_role_policy", "janitors", json!({"policy": reading("a")}));
    let story = Story::of(POLICY).with("tf/x.tfstate", state(json!([role])));
    let told = story.warned();
    assert!(told.contains("Did you mean `aws_iam_role_policy.janitors`?"), "{told}");
    assert_eq!(listing(&story), IN);
}

#[test]
fn a_folder_of_hcl_alone_says_what_to_do() {
    let story = Story::of(POLICY).with("tf/main.tf", "resource {}");
    let told = story.warned();
    assert!(told.contains("it holds HCL") && told.contains("terraform show -json"), "{told}");
    assert_eq!((aws(&story, "s3:GetObject", BUCKET_A), listing(&story)), (UNREAD, IN));
    // near-miss: folders inside are not looked into
    let role = managed("aws_iam_role_policy", "janitor", json!({"policy": reading("a")}));
    let deeper = story.with("tf/env/x.tfstate", state(json!([role])));
    assert_eq!(aws(&deeper, "s3:GetObject", BUCKET_A), UNREAD);
}

#[test]
fn files_that_disagree_are_not_chosen_between() {
    let of = |bucket: &str| {
        state(json!([managed("aws_iam_role_policy", "janitor", json!({"policy": reading(bucket)}))]))
    };
    let story = Story::of(POLICY).with("tf/a.tfstate", of("a")).with("tf/b.tfstate", of("b"));
    assert!(story.warned().contains("say different things"), "{}", story.warned());
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), UNREAD);
    // near-misses: they agree, or the other does not have it
    let story = Story::of(POLICY).with("tf/a.tfstate", of("a")).with("tf/b.tfstate", of("a"));
    assert_eq!(aws(&story, "s3:GetObject", BUCKET_A), IN);
    let story = Story::of(POLICY).with("tf/a.tfstate", of("a")).with("tf/b.tfstate", state(json!([])));
    assert_eq!((aws(&story, "s3:GetObject", BUCKET_A), story.load().warnings.len()), (IN, 0));
}

#[test]
fn what_is_neither_plan_nor_state_cannot_be_used() {
    let files = [
        ("{", "no JSON"),
        ("{}", "neither a plan nor a state"),
        ("{\"version\": 3, \"modules\": []}", "version 3"),
        ("{\"encrypted_data\": \"x\"}", "encrypted"),
        ("{\"@level\":\"info\"}\n{\"@level\":\"info\"}", "no JSON"),
    ];
    for (text, expected) in files {
        let story = Story::of(POLICY).with("tf/terraform.tfstate", text);
        assert_eq!(listing(&story), UNREAD, "{text}");
        assert!(story.warned().contains(expected), "{}", story.warned());
        assert_eq!(story.load().unparsed.len(), 1);
    }
}

#[test]
fn a_policy_that_is_no_policy_cannot_be_used() {
    let role = managed("aws_iam_role_policy", "janitor", json!({"policy": "{\"Statement\": []}"}));
    let story = Story::of(POLICY).with("tf/x.tfstate", state(json!([role])));
    assert_eq!(listing(&story), UNREAD);
}

#[test]
fn a_file_that_is_not_there_cannot_be_used() {
    for from in [POLICY, "{aws_policy: gone.json}"] {
        let story = Story::of(from);
        assert_eq!((listing(&story), story.load().unparsed.len()), (UNREAD, 1), "{from}");
    }
}

#[test]
fn a_file_without_end_is_not_read() {
    if Path::new("/dev/zero").exists() {
        assert!(Story::of("{aws_policy: /dev/zero}").warned().contains("it is no file"));
    }
    let long = " ".repeat(3 * 1024 * 1024);
    let story = Story::of("{aws_policy: long.json}").with("agents/long.json", long);
    assert!(story.warned().contains("longer than"), "{}", story.warned());
}

#[test]
fn every_file_that_is_read_is_recorded_with_its_hash() {
    let role = managed("aws_iam_role_policy", "janitor", json!({"policy": reading("a")}));
    let manifests = Story::of(POLICY).with("tf/x.tfstate", state(json!([role]))).load();
    let references = &janitor(&manifests).references;
    assert_eq!((references.len(), references[0].path.as_str()), (1, "../tf/x.tfstate"));
    assert_eq!(references[0].sha256.len(), 64);
    // The hash of an empty file is known to everybody; that it is no policy changes nothing.
    let manifests = Story::of("{aws_policy: ../p.json}").with("p.json", "").load();
    assert_eq!(
        janitor(&manifests).references[0].sha256,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let manifests = Story::of("{gcp_role: roles/viewer}").load();
    assert_eq!(janitor(&manifests).references, []);
}

#[test]
fn a_reference_is_written_in_one_of_four_ways() {
    let cases = [
        ("{address: aws_iam_policy.a}", "`from` names no source"),
        ("{terraform: x}", "needs an `address`"),
        ("{aws_policy: x, address: aws_iam_policy.a}", "`address` goes with `terraform`"),
        ("{aws_policy: x, gcp_role: y}", "names one source"),
        ("{aws_policy: x, scope: /subscriptions/1}", "take `scope` out"),
        ("{terraform: x, address: aws_iam_policy.a, scope: y}", "take `scope` out"),
        ("{gcp_role: x, scope: a, resource: b}", "one thing"),
        ("{terraform: x, address: janitor}", "no address of a resource"),
        ("{terraform: x, address: aws_iam_role_polcy.a}", "Did you mean `aws_iam_role_policy`?"),
        ("{terraform: x, address: aws_s3_bucket.a}", "no type whose permissions are read"),
        ("{terraform: x, address: data.aws_iam_policy.a}", "alone is read"),
        ("{azure_rol: x}", "Did you mean `azure_role`?"),
    ];
    for (from, expected) in cases {
        let told = Story::of(from).fault();
        assert!(told.contains(expected), "{told}\n  does not have\n{expected}");
    }
}
