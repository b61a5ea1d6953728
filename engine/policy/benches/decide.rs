//! What a decision costs: remembered, compiled, plain, and against a naive evaluator over JSON
//!
//! `cargo bench -p remit-policy --bench decide` ends with a table of nanoseconds a decision and of ratios, all of one run.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up may stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use policy::aws::{Answer, Compiled, Layers, Memo, Policy, Request, decide};
use policy::context::{Context, Fact};
use policy::wildcard::Target;
use serde_json::{Value, json};

const STATEMENTS: usize = 5_000;
const A_POLICY: usize = 50;

/// Statements of an account with many teams: each names what one team may do with its own things; a quarter of them
/// hang on a condition, one in ten denies, and a few speak of everything.
fn statements(spread: bool) -> Vec<Value> {
    let kinds = [
        (json!(["s3:GetObject", "s3:PutObject"]), "arn:aws:s3:::team-{n}/*"),
        (json!("dynamodb:*"), "arn:aws:dynamodb:*:111122223333:table/team-{n}-*"),
        (json!(["sqs:Send*", "sqs:Receive*"]), "arn:aws:sqs:eu-west-1:111122223333:team-{n}"),
        (json!("kms:Decrypt"), "arn:aws:kms:eu-west-1:111122223333:key/{n}"),
        (json!(["lambda:Invoke*", "lambda:Get*"]), "arn:aws:lambda:*:*:function:team-{n}*"),
        (json!(["ec2:StartInstances", "ec2:StopInstances"]), "arn:aws:ec2:*:*:instance/i-{n}"),
    ];
    let mut all = Vec::with_capacity(STATEMENTS);
    for n in 0..STATEMENTS {
        let (actions, resource) = &kinds[if spread { n % kinds.len() } else { 0 }];
        let mut statement = json!({
            "Effect": if n % 10 == 9 { "Deny" } else { "Allow" },
            "Action": actions,
            "Resource": resource.replace("{n}", &n.to_string()),
        });
        if n % 4 == 3 {
            statement["Condition"] = json!({"StringEquals": {"aws:PrincipalTag/team": format!("t{n}")}});
        }
        if n % 1_000 == 500 {
            statement = json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*"});
        }
        all.push(statement);
    }
    all
}

fn policies(statements: &[Value]) -> Vec<Arc<Policy>> {
    let read = |(index, statements): (usize, &[Value])| {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        Arc::new(Policy::from_json(&format!("policy-{index}"), &document).expect("a policy"))
    };
    statements.chunks(A_POLICY).enumerate().map(read).collect()
}

/// Some questions: most are granted, some fall to a condition, some to nothing.
fn questions() -> Vec<(&'static str, String)> {
    let mut questions = Vec::new();
    for n in (0..STATEMENTS).step_by(37) {
        questions.push(("s3:GetObject", format!("arn:aws:s3:::team-{n}/reports/2024/{n}.json")));
        questions.push((
            "dynamodb:Query",
            format!("arn:aws:dynamodb:eu-west-1:111122223333:table/team-{n}-orders"),
        ));
        questions.push((
            "lambda:InvokeFunction",
            format!("arn:aws:lambda:eu-west-1:111122223333:function:team-{n}-x"),
        ));
    }
    questions
}

fn context() -> Context {
    let mut context = Context::complete();
    for (key, value) in [
        ("aws:SourceIp", "10.1.2.3"),
        ("aws:PrincipalTag/team", "t1003"),
        ("aws:PrincipalArn", "arn:aws:iam::111122223333:role/team"),
        ("aws:PrincipalAccount", "111122223333"),
        ("aws:RequestedRegion", "eu-west-1"),
        ("aws:SecureTransport", "true"),
        ("aws:UserAgent", "Boto3/1.34"),
        ("aws:CurrentTime", "2024-05-01T10:00:00Z"),
    ] {
        context.set(key, Fact::one(value));
    }
    context
}

/// Every statement, every pattern, byte by byte, as JSON has them; conditions on equality only.
fn naive(documents: &[Vec<Value>], action: &str, arn: &str, facts: &Value) -> Answer {
    fn hit(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| hit(rest, &text[n..])),
            Some((byte, rest)) => text.first() == Some(byte) && hit(rest, &text[1..]),
        }
    }
    let any = |value: &Value, text: &str| match value {
        Value::String(pattern) => hit(pattern.as_bytes(), text.as_bytes()),
        value => value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|one| hit(one.as_bytes(), text.as_bytes())),
    };
    let mut allowed = false;
    for statement in documents.iter().flatten() {
        let holds = |tests: &Value| {
            let tests = tests["StringEquals"].as_object();
            tests.into_iter().flatten().all(|(key, value)| facts[key.as_str()] == *value)
        };
        if any(&statement["Action"], action)
            && any(&statement["Resource"], arn)
            && statement.get("Condition").is_none_or(holds)
        {
            if statement["Effect"] == "Deny" {
                return Answer::ExplicitlyDenied;
            }
            allowed = true;
        }
    }
    if allowed { Answer::Allowed } else { Answer::ImplicitlyDenied }
}

/// Nanoseconds of one call, over at least a third of a second, best of three.
fn nanoseconds(questions: &[(&str, String)], mut ask: impl FnMut(&str, &str)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let (begin, mut asked) = (Instant::now(), 0_u32);
        while begin.elapsed() < Duration::from_millis(350) {
            for (action, arn) in questions {
                ask(action, arn);
            }
            asked += u32::try_from(questions.len()).expect("few");
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e9 / f64::from(asked));
    }
    best
}

fn ask<'a>(action: &'a str, arn: &'a str, context: &'a Context) -> Request<'a> {
    Request::new(action, Target::Exact(arn), context)
}

fn decisions(bench: &mut Criterion) {
    for (name, spread) in [("six services", true), ("one action", false)] {
        let statements = statements(spread);
        let policies = policies(&statements);
        let layers = Layers { identity: &policies, ..Layers::default() };
        let compiled = Arc::new(Compiled::new(&layers));
        let mut memo = Memo::new(Arc::clone(&compiled), None);
        let (questions, context) = (questions(), context());
        let facts = json!({"aws:PrincipalTag/team": "t1003"});
        let documents: Vec<Vec<Value>> = statements.chunks(A_POLICY).map(<[Value]>::to_vec).collect();
        let context = &context;
        for (action, arn) in &questions {
            let answer = compiled.decide(&ask(action, arn, context));
            assert_eq!(answer.effect, naive(&documents, action, arn, &facts), "{action} {arn}");
            assert_eq!(*memo.decide(&ask(action, arn, context)), answer, "{action} {arn}");
        }
        let figures = [
            (
                "remembered",
                nanoseconds(&questions, |a, r| {
                    black_box(memo.decide(&ask(a, r, context)));
                }),
            ),
            (
                "compiled",
                nanoseconds(&questions, |a, r| {
                    black_box(compiled.decide(&ask(a, r, context)));
                }),
            ),
            (
                "plain",
                nanoseconds(&questions[..12], |a, r| {
                    black_box(decide(&layers, &ask(a, r, context)));
                }),
            ),
            (
                "naive",
                nanoseconds(&questions[..12], |a, r| {
                    black_box(naive(&documents, a, r, &facts));
                }),
            ),
        ];
        let slowest = figures[3].1;
        println!("\n{STATEMENTS} statements, a quarter conditional, {name}, {} questions:", questions.len());
        for (how, nanoseconds) in figures {
            println!("  {how:<12}{nanoseconds:>12.1} ns {:>12.1} x naive", slowest / nanoseconds);
        }
        let mut group = bench.benchmark_group(name);
        group
            .sample_size(20)
            .measurement_time(Duration::from_secs(1))
            .warm_up_time(Duration::from_millis(200));
        let (action, arn) = (questions[99].0, questions[99].1.as_str());
        group.bench_function("remembered", |b| {
            b.iter(|| memo.decide(&ask(black_box(action), arn, context)).effect)
        });
        group.bench_function("compiled", |b| {
            b.iter(|| compiled.decide(&ask(black_box(action), arn, context)))
        });
        group.finish();
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
