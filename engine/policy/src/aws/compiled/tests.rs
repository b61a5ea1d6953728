use serde_json::{Value, json};

use super::*;
use crate::aws::{Answer, decide};
use crate::context::{Context, Fact};

fn policies(statements: &[Value]) -> Vec<Arc<Policy>> {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    vec![Arc::new(Policy::from_json("p", &document).unwrap())]
}

fn allow(resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource, "Sid": resource.replace(':', "")})
}

/// Asks both, and counts the statements that the compiled form looked at.
fn both(held: &[Arc<Policy>], action: &str, resource: Target<'_>) -> (Decision, usize) {
    let context = Context::complete();
    let layers = Layers { identity: held, ..Layers::default() };
    let compiled = Compiled::new(&layers);
    let request = Request::new(action, resource, &context);
    let answer = compiled.decide(&request);
    assert_eq!(answer, decide(&layers, &request), "{action} {resource:?}");
    (answer, compiled.candidates(&request).len())
}

#[test]
fn only_heads_that_the_arn_begins_with_are_looked_at() {
    let heads = ["a", "ab*", "abc/*", "abc/d*", "abc/d/e/*", "abd/*", "b/*", "*", "abc/*/e"];
    let statements: Vec<Value> = heads.iter().map(|head| allow(&format!("arn:aws:s3:::{head}"))).collect();
    let held = policies(&statements);
    for (arn, looked) in [
        ("abc/d/e/f", 7),
        ("abc/d", 6),
        ("abc/", 5),
        ("ab", 3),
        ("abd/x", 4),
        ("b/x", 2),
        ("c", 1),
        ("a", 2),
        ("", 1),
        ("zzz", 1),
    ] {
        let arn = format!("arn:aws:s3:::{arn}");
        let (_, found) = both(&held, "s3:GetObject", Target::Exact(&arn));
        assert_eq!(found, looked, "{arn}");
    }
}

#[test]
fn every_pair_of_short_texts_is_answered_as_without_an_index() {
    // All texts of up to three letters, as heads with and without a star, against all texts of up to four.
    fn texts(longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..longest {
            let to = all.len();
            for at in from..to {
                let longer: Vec<String> =
                    ["a", "b", "/"].iter().map(|letter| format!("{}{letter}", all[at])).collect();
                all.extend(longer);
            }
            from = to;
        }
        all
    }
    let mut statements: Vec<Value> = Vec::new();
    for (number, text) in texts(3).iter().enumerate() {
        let star = ["*", "", "*/b", "?"][number % 4];
        let pattern = format!("arn:aws:s3:::{text}{star}");
        if !pattern.ends_with(':') {
            statements.push(allow(&pattern));
        }
    }
    let held = policies(&statements);
    for text in texts(4) {
        both(&held, "s3:GetObject", Target::Exact(&format!("arn:aws:s3:::{text}")));
    }
}

#[test]
fn what_may_match_anything_is_always_looked_at() {
    let held = policies(&[
        json!({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::secret/*"}),
        json!({"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}),
        allow("arn:aws:s3:::secret/public"),
        allow("arn:*:s3:::*/open"),
    ]);
    for (action, resource, expected) in [
        ("s3:GetObject", "arn:aws:s3:::other/k", Answer::Allowed),
        ("s3:GetObject", "arn:aws:s3:::secret/k", Answer::ImplicitlyDenied),
        ("s3:GetObject", "arn:aws:s3:::secret/public", Answer::Allowed),
        ("s3:GetObject", "arn:aws-cn:s3:::secret/open", Answer::Allowed),
        ("s3:DeleteObject", "arn:aws:s3:::other/k", Answer::ExplicitlyDenied),
        ("s3:GetObject", "*", Answer::Allowed),
        ("s3:GetObject", "not an arn", Answer::Allowed),
        ("", "", Answer::ImplicitlyDenied),
    ] {
        assert_eq!(both(&held, action, Target::Exact(resource)).0.effect, expected, "{action} {resource}");
    }
    assert_eq!(
        both(&held, "s3:GetObject", Target::Within("arn:aws:s3:::secret/*")).0.effect,
        Answer::Unknown
    );
}

#[test]
fn actions_are_remembered_up_to_a_bound() {
    let held = policies(&[allow("arn:aws:s3:::a/*")]);
    let compiled = Compiled::new(&Layers { identity: &held, ..Layers::default() });
    let context = Context::complete();
    for number in 0..ACTIONS_MAX * 2 + 10 {
        let action = format!("s3:Get{number}");
        let _ = compiled.decide(&Request::new(&action, Target::Exact("arn:aws:s3:::a/k"), &context));
        assert!(compiled.actions.read().unwrap().about.len() <= ACTIONS_MAX);
    }
    let long = "s3:".to_owned() + &"x".repeat(10_000);
    let before = compiled.actions.read().unwrap().about.len();
    let _ = compiled.decide(&Request::new(&long, Target::Exact("*"), &context));
    assert_eq!(compiled.actions.read().unwrap().about.len(), before);
}

#[test]
fn a_memo_tells_apart_what_a_statement_asks_for_and_nothing_else() {
    let mut statement = allow("arn:aws:s3:::a/*");
    statement["Condition"] = json!({"StringEquals": {"aws:PrincipalTag/team": "red"}});
    let held = policies(&[statement, allow("arn:aws:s3:::b/*")]);
    let mut memo = Memo::new(Arc::new(Compiled::new(&Layers { identity: &held, ..Layers::default() })), None);
    let mut ask = |arn: &str, team: Fact, hour: &str| {
        let mut context = Context::complete();
        context.set("aws:PrincipalTag/team", team);
        context.set("aws:CurrentTime", Fact::one(hour));
        memo.decide(&Request::new("s3:GetObject", Target::Exact(arn), &context)).effect
    };
    for hour in ["2024-05-01T10:00:00Z", "2024-05-01T11:00:00Z"] {
        assert_eq!(ask("arn:aws:s3:::a/k", Fact::one("red"), hour), Answer::Allowed);
        assert_eq!(ask("arn:aws:s3:::a/k", Fact::one("blue"), hour), Answer::ImplicitlyDenied);
        assert_eq!(ask("arn:aws:s3:::a/k", Fact::Unknown, hour), Answer::Unknown);
        assert_eq!(ask("arn:aws:s3:::a/k", Fact::Absent, hour), Answer::ImplicitlyDenied);
        assert_eq!(ask("arn:aws:s3:::b/k", Fact::one("blue"), hour), Answer::Allowed);
    }
    // More values than are kept for one question.
    for number in 0..100 {
        let expected = if number == 50 { Answer::Allowed } else { Answer::ImplicitlyDenied };
        let team = if number == 50 { "red".to_owned() } else { format!("t{number}") };
        assert_eq!(ask("arn:aws:s3:::a/k", Fact::one(team), "2024-05-01T10:00:00Z"), expected);
    }
    assert_eq!(memo.len(), 2);
}
