//! What a verdict costs, against a walk over the manifest's words that remembers nothing
//!
//! `cargo bench -p remit-engine --bench scope`

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up may stop")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use engine::grant::Grants;
use engine::manifest::Manifests;
use engine::permission::{Call, needed};
use policy::context::Context;

const CATALOG: &str = "apiVersion: remit/v1\nkind: ResourceCatalog\nresources:\n  tickets: {aws: [\"arn:aws:dynamodb:eu-west-1:111122223333:table/tickets\", \"arn:aws:s3:::acme-tickets/*\"]}\n";

/// An agent with `count` raw entries and a few verbs, and its role's policy with as many statements.
fn write(dir: &Path, count: usize) {
    let mut agent = String::from(
        "apiVersion: remit/v1\nkind: Agent\nmetadata: {name: a}\nspec:\n  identities: [{aws.role: \"arn:aws:iam::111122223333:role/a\"}]\n  allow:\n    - read: tickets\n",
    );
    let mut statements = Vec::new();
    for n in 0..count {
        agent.push_str(&format!("    - aws: {{actions: [\"s3:Get*\", \"ec2:Describe*\"], resources: [\"arn:aws:s3:::bucket-{n}/*\"]}}\n"));
        statements.push(format!(r#"{{"Effect":"Allow","Action":["s3:Get*","ec2:Describe*"],"Resource":"arn:aws:s3:::bucket-{n}/*"}}"#));
    }
    std::fs::create_dir_all(dir.join("agents")).expect("a folder");
    std::fs::create_dir_all(dir.join("policies")).expect("a folder");
    std::fs::write(dir.join("agents/a.yaml"), agent).expect("a file");
    std::fs::write(dir.join("agents/c.yaml"), CATALOG).expect("a file");
    std::fs::write(dir.join("policies/a.json"), format!(r#"{{"Statement":[{}]}}"#, statements.join(",")))
        .expect("a file");
}

/// Every statement, every pattern, byte by byte, as JSON has them.
fn naive(statements: &[serde_json::Value], permission: &str, arn: &str) -> bool {
    fn hit(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| hit(rest, &text[n..])),
            Some((byte, rest)) => text.first() == Some(byte) && hit(rest, &text[1..]),
        }
    }
    let any = |value: &serde_json::Value, text: &str| match value {
        serde_json::Value::String(pattern) => hit(pattern.as_bytes(), text.as_bytes()),
        value => value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one.as_str())
            .any(|one| hit(one.as_bytes(), text.as_bytes())),
    };
    let mut allowed = false;
    for statement in statements {
        if any(&statement["Action"], permission) && any(&statement["Resource"], arn) {
            allowed |= statement["Effect"] == "Allow";
        }
    }
    allowed
}

fn bench(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), 200);
    let now = "2026-11-21T00:00:00Z".parse().expect("a time");
    let manifests = Manifests::load(&dir.path().join("agents"), now).expect("manifests");
    let grants = Grants::load(&dir.path().join("policies")).expect("policies");
    let text = std::fs::read_to_string(dir.path().join("policies/a.json")).expect("a file");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let statements = document["Statement"].as_array().cloned().unwrap_or_default();
    let scope = &manifests.agents[0].scope;
    let table = ["arn:aws:dynamodb:eu-west-1:111122223333:table/tickets".to_owned()];
    let object = ["arn:aws:s3:::bucket-199/k".to_owned()];
    let role = "arn:aws:iam::111122223333:role/a";

    criterion.bench_function("scope, one statement covers it", |b| {
        b.iter(|| black_box(scope.verdict("dynamodb:GetItem", &table, true, &Context::partial())))
    });
    criterion.bench_function("scope, 200 statements cover it", |b| {
        b.iter(|| black_box(scope.verdict("s3:GetObject", &object, true, &Context::partial())))
    });
    criterion.bench_function("scope, no statement covers it", |b| {
        b.iter(|| black_box(scope.verdict("iam:CreateUser", &object, true, &Context::partial())))
    });
    criterion.bench_function("grant, 200 statements cover it", |b| {
        b.iter(|| black_box(grants.verdict(role, "s3:GetObject", &object, true, &Context::partial())))
    });
    criterion.bench_function("naive walk over JSON, 200 statements", |b| {
        b.iter(|| black_box(naive(&statements, "s3:GetObject", &object[0])))
    });
    criterion.bench_function("naive walk over JSON, no statement covers it", |b| {
        b.iter(|| black_box(naive(&statements, "iam:CreateUser", &object[0])))
    });
    let call = Call {
        service: "dynamodb.amazonaws.com",
        operation: "GetItem",
        region: Some("eu-west-1"),
        account: Some("111122223333"),
        request: Some(r#"{"tableName":"tickets","key":{"id":{}}}"#),
        ..Call::default()
    };
    criterion.bench_function("call to permission, resource from the request", |b| {
        b.iter(|| black_box(needed(&call)))
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
