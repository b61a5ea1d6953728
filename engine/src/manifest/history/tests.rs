use super::*;
use std::fs;
use std::process::{Command, Stdio};

/// A repository with a folder `agents` beside a folder `iam`.
struct Repository(TempDir);

impl Repository {
    fn new() -> Repository {
        let repository = Repository(tempfile::tempdir().unwrap());
        repository.git(&["init", "-q", "-b", "main"], "2026-01-01T00:00:00Z");
        repository
    }

    fn agents(&self) -> PathBuf {
        self.0.path().join("agents")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str], time: &str) {
        let status = Command::new("git")
            .current_dir(self.0.path())
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_COMMITTER_DATE", time)
            .env("GIT_AUTHOR_DATE", time)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    fn commit(&self, time: &str) {
        self.git(&["add", "-A"], time);
        self.git(&["commit", "-q", "-m", "change"], time);
    }
}

fn manifest(action: &str) -> String {
    format!(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {{name: ant}}\nspec:\n  identities:\n    \
         - aws.role: arn:aws:iam::111122223333:role/ant\n  allow:\n    - aws: {{actions: [\"{action}\"]}}\n"
    )
}

fn micros(time: &str) -> i64 {
    DateTime::parse_from_rfc3339(time).unwrap().timestamp_micros()
}

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-02-01T00:00:00Z").unwrap().to_utc()
}

fn declares(manifests: &Manifests, permission: &str) -> bool {
    manifests.named("ant").unwrap().scope.declares(permission)
}

#[test]
fn each_revision_gives_the_manifests_of_its_time() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    repository.commit("2026-01-10T00:00:00Z");
    repository.write("agents/ant.yaml", &manifest("s3:PutObject"));
    repository.commit("2026-01-20T00:00:00Z");
    repository.write("elsewhere.txt", "no manifest");
    repository.commit("2026-01-25T00:00:00Z");

    let found = revisions(&repository.agents(), micros("2026-01-01T00:00:00Z")).unwrap();
    let times: Vec<i64> = found.iter().map(|one| one.time).collect();
    assert_eq!(
        times,
        [micros("2026-01-10T00:00:00Z"), micros("2026-01-20T00:00:00Z")],
        "only the folder counts"
    );
    assert!(declares(&load_at(&repository.agents(), &found[0].id).unwrap(), "s3:GetObject"));
    assert!(declares(&load_at(&repository.agents(), "HEAD").unwrap(), "s3:PutObject"));

    let late = revisions(&repository.agents(), micros("2026-01-15T00:00:00Z")).unwrap();
    assert_eq!(late.len(), 2, "the one that held then is there too");
    let last = revisions(&repository.agents(), micros("2026-01-21T00:00:00Z")).unwrap();
    assert_eq!(last.len(), 1);
}

#[test]
fn a_timeline_begins_at_the_beginning_and_ends_with_what_is_not_committed() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    repository.commit("2026-01-10T00:00:00Z");
    repository.write("agents/ant.yaml", "kind: [");
    repository.commit("2026-01-12T00:00:00Z");
    repository.write("agents/ant.yaml", &manifest("s3:PutObject"));
    repository.commit("2026-01-20T00:00:00Z");
    let versions = timeline(&repository.agents(), now()).unwrap();
    let times: Vec<i64> = versions.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [i64::MIN, micros("2026-01-20T00:00:00Z")], "what cannot be used is left out");
    assert!(declares(&versions[0].1, "s3:GetObject") && declares(&versions[1].1, "s3:PutObject"));

    repository.write("agents/ant.yaml", &manifest("s3:DeleteObject"));
    let versions = timeline(&repository.agents(), now()).unwrap();
    assert_eq!(versions.len(), 3);
    assert!(declares(&versions[2].1, "s3:DeleteObject"));
}

#[test]
fn a_commit_never_counts_from_before_what_it_builds_upon() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    repository.commit("2026-01-10T00:00:00Z");
    repository.write("agents/ant.yaml", &manifest("s3:*"));
    repository.commit("2020-01-01T00:00:00Z");
    repository.write("agents/ant.yaml", &manifest("s3:PutObject"));
    repository.commit("2026-01-20T00:00:00Z");
    let found = revisions(&repository.agents(), i64::MIN).unwrap();
    let times: Vec<i64> = found.iter().map(|one| one.time).collect();
    assert_eq!(times, ["2026-01-10T00:00:00Z", "2026-01-10T00:00:00Z", "2026-01-20T00:00:00Z"].map(micros));
}

#[test]
fn a_merge_counts_from_the_merge_on() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    repository.commit("2026-01-10T00:00:00Z");
    repository.git(&["checkout", "-q", "-b", "wider"], "2026-01-11T00:00:00Z");
    repository.write("agents/ant.yaml", &manifest("s3:PutObject"));
    repository.commit("2026-01-11T00:00:00Z");
    repository.git(&["checkout", "-q", "main"], "2026-01-11T00:00:00Z");
    repository.git(&["merge", "-q", "--no-ff", "--no-edit", "wider"], "2026-01-18T00:00:00Z");
    let found = revisions(&repository.agents(), i64::MIN).unwrap();
    assert_eq!(found.last().unwrap().time, micros("2026-01-18T00:00:00Z"));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_policy_beside_the_folder_comes_along() {
    let repository = Repository::new();
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]}"#;
    repository.write("iam/ant.json", policy);
    let from = manifest("s3:GetObject") + "    - from: {aws_policy: ../iam/ant.json}\n";
    repository.write("agents/ant.yaml", &from);
    repository.commit("2026-01-10T00:00:00Z");
    fs::remove_dir_all(repository.0.path().join("iam")).unwrap();
    let manifests = load_at(&repository.agents(), "main").unwrap();
    assert!(declares(&manifests, "sqs:SendMessage"), "{:?}", manifests.warnings);
    let agent = manifests.named("ant").unwrap();
    assert_eq!(agent.file, "agents/ant.yaml", "places are told as in the folder itself");
}

#[test]
fn a_state_in_a_folder_beside_comes_along_and_nothing_else_of_it() {
    let repository = Repository::new();
    let policy = r#"{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"sqs:SendMessage\", \"Resource\": \"*\"}]}"#;
    let state = format!(
        r#"{{"version": 4, "resources": [{{"mode": "managed", "type": "aws_iam_policy", "name": "ant", "instances": [{{"attributes": {{"policy": "{policy}"}}}}]}}]}}"#
    );
    repository.write("tf/terraform.tfstate", &state);
    repository.write("tf/provider.bin", "x");
    let from = manifest("s3:GetObject") + "    - from: {terraform: ../tf, address: aws_iam_policy.ant}\n";
    repository.write("agents/ant.yaml", &from);
    repository.commit("2026-01-10T00:00:00Z");
    fs::remove_dir_all(repository.0.path().join("tf")).unwrap();
    let manifests = load_at(&repository.agents(), "main").unwrap();
    assert!(declares(&manifests, "sqs:SendMessage"), "{:?}", manifests.warnings);
    let extracted = Folder::open(&repository.agents()).unwrap().extract("main").unwrap();
    let beside = extracted.dir.parent().unwrap().join("tf");
    assert!(beside.join("terraform.tfstate").exists() && !beside.join("provider.bin").exists());
}

#[test]
fn what_is_no_revision_is_told_and_starts_nothing() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    repository.commit("2026-01-10T00:00:00Z");
    for odd in ["no-such", "--output=/tmp/x", "-h", "", "HEAD\nHEAD", "HEAD:agents"] {
        let error = load_at(&repository.agents(), odd).unwrap_err();
        assert!(matches!(error, HistoryError::NoRevision { .. }), "{odd}: {error}");
    }
    repository.write("empty/x.txt", "");
    repository.commit("2026-01-11T00:00:00Z");
    let error = load_at(&repository.0.path().join("empty"), "HEAD").unwrap_err();
    assert!(matches!(error, HistoryError::NoFolder { .. }), "{error}");
}

#[test]
fn a_link_in_a_repository_leads_nowhere() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    std::os::unix::fs::symlink("/etc/passwd", repository.agents().join("link.yaml")).unwrap();
    repository.commit("2026-01-10T00:00:00Z");
    assert_eq!(load_at(&repository.agents(), "HEAD").unwrap().agents.len(), 1);
}

#[test]
fn a_folder_outside_git_has_one_version_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ant.yaml"), manifest("s3:GetObject")).unwrap();
    let versions = timeline(folder.path(), now()).unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].0, i64::MIN);
    assert!(matches!(revisions(folder.path(), 0), Err(HistoryError::NoRepository(_))));
}

#[test]
fn a_repository_that_git_does_not_read_gives_the_folder_as_it_is() {
    let repository = Repository::new();
    repository.write("agents/ant.yaml", &manifest("s3:GetObject"));
    fs::write(repository.0.path().join(".git/config"), "[core\n").unwrap();
    assert!(matches!(revisions(&repository.agents(), 0), Err(HistoryError::Git { .. })));
    assert_eq!(timeline(&repository.agents(), now()).unwrap().len(), 1);
}

#[test]
fn names_that_lead_out_of_the_repository_are_not_followed() {
    assert_eq!(below_top(Path::new("agents"), "../iam/x.json"), Some("iam/x.json".into()));
    assert_eq!(below_top(Path::new("agents"), "../../x.json"), None);
    assert_eq!(below_top(Path::new("agents"), "/etc/passwd"), None);
}
