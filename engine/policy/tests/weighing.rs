//! A million questions, put to the evaluator, to its compiled form, to its memo, and to a slow and obvious one
//!
//! `REMIT_SEED=7` asks other questions.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on may stop"
)]

mod oracle;
mod world;

use std::sync::Arc;

use policy::aws::{Answer, Compiled, Memo, Policy, Request, decide};
use policy::context::{Context, Fact};
use policy::tool::decide_aws;
use policy::wildcard::Target;
use serde_json::{Value, json};

use world::{Random, Read, World};

const QUESTIONS: usize = 1_000_000;
/// Questions to one set of policies, and those that one principal asks.
const A_WORLD: usize = 32;
const A_PRINCIPAL: usize = 8;

fn seed() -> u64 {
    std::env::var("REMIT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

#[test]
fn a_million_answers_are_those_of_the_slow_and_obvious_evaluator() {
    let seed = seed();
    let mut told = std::collections::BTreeMap::new();
    for number in 0..QUESTIONS / A_WORLD {
        let mut random = Random::new(seed.wrapping_add(number as u64));
        let mut world = World::new(&mut random);
        let read = Read::new(&world.question);
        let layers = read.layers();
        let compiled = Arc::new(Compiled::new(&layers));
        for _ in 0..A_WORLD / A_PRINCIPAL {
            let principal = world::principal(&mut random);
            let asked = read.principal(&principal);
            let mut memo = Memo::new(Arc::clone(&compiled), asked.clone());
            for _ in 0..A_PRINCIPAL {
                world.ask(&principal, &mut random);
                let request = &world.question["request"];
                let context = world::context(request, asked.as_ref());
                let mut question = Request::new(
                    request["action"].as_str().unwrap(),
                    Target::Exact(request["resource"]["arn"].as_str().unwrap()),
                    &context,
                );
                question.principal = asked.as_ref();
                question.resource_account = request["resource"]["account"].as_str();
                let answer = decide(&layers, &question);
                let expected = oracle::decide(&world.question);
                assert_eq!(
                    answer.effect.as_str(),
                    expected,
                    "seed {seed}, world {number}: {}",
                    world.question
                );
                assert_eq!(
                    compiled.decide(&question),
                    answer,
                    "seed {seed}, world {number}: {}",
                    world.question
                );
                assert_eq!(
                    *memo.decide(&question),
                    answer,
                    "seed {seed}, world {number}: {}",
                    world.question
                );
                assert_eq!(
                    answer.effect == Answer::Unknown,
                    !answer.missing_keys.is_empty(),
                    "an unknown names what is missing: {}",
                    world.question
                );
                assert_eq!(
                    answer.effect == Answer::Allowed,
                    answer.blocked_by.is_empty(),
                    "{}",
                    world.question
                );
                *told.entry(expected).or_insert(0) += 1;
            }
        }
        // What the tool makes of the same JSON.
        if number % 8 == 0 {
            let answer = decide_aws(&world.question);
            assert_eq!(answer["decision"], oracle::decide(&world.question), "{}\n{answer}", world.question);
        }
    }
    eprintln!("{told:?}");
    assert!(told.len() == 4 && told.values().all(|count| *count > QUESTIONS / 40), "{told:?}");
}

/// Denied, unknown, allowed.
fn width(question: &Value) -> u8 {
    match decide_aws(question)["decision"].as_str().unwrap_or_else(|| panic!("{question}")) {
        "Allowed" => 2,
        "Unknown" => 1,
        _ => 0,
    }
}

/// Changes a question, and compares the answers.
fn law(
    name: &str,
    trials: u64,
    change: impl Fn(&mut Value, &mut Random) -> bool,
    holds: impl Fn(u8, u8) -> bool,
) {
    let seed = seed();
    let (mut tried, mut moved) = (0, 0);
    for number in 0..trials {
        let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(number));
        let mut world = World::new(&mut random);
        let principal = world::principal(&mut random);
        world.ask(&principal, &mut random);
        let before = width(&world.question);
        let original = world.question.clone();
        if !change(&mut world.question, &mut random) {
            continue;
        }
        let after = width(&world.question);
        assert!(
            holds(before, after),
            "{name}: seed {seed}: {before} -> {after}\n{original}\n{}",
            world.question
        );
        tried += 1;
        moved += usize::from(before != after);
    }
    assert!(tried > 1_000 && moved > 20, "{name} says nothing: {moved} of {tried} answers moved");
}

/// Some list of documents of the question, with the kind of statements it takes.
fn documents<'a>(question: &'a mut Value, random: &mut Random) -> Option<(&'a mut Vec<Value>, &'static str)> {
    let key = *random.of(&[
        "identity_policies",
        "boundaries",
        "session_policies",
        "scps",
        "rcps",
        "resource_policy",
    ]);
    if key == "resource_policy" {
        let document = question[key].as_object_mut()?;
        return Some((document["Statement"].as_array_mut()?, key));
    }
    let mut list = question[key].as_array_mut()?;
    if key == "scps" || key == "rcps" {
        let levels = list.len();
        list = list.get_mut(random.below(levels.max(1)))?.as_array_mut()?;
    }
    let at = random.below(list.len().max(1));
    Some((list.get_mut(at)?["Statement"].as_array_mut()?, key))
}

#[test]
fn adding_a_deny_never_widens() {
    let change = |question: &mut Value, random: &mut Random| {
        let family = world::family_of(question);
        let Some((statements, key)) = documents(question, random) else { return false };
        let mut deny = world::statement(family, world::names_principals(key), random);
        deny["Effect"] = json!("Deny");
        statements.push(deny);
        true
    };
    law("a Deny more", 20_000, change, |before, after| after <= before);
}

#[test]
fn adding_an_allow_never_narrows() {
    let change = |question: &mut Value, random: &mut Random| {
        let family = world::family_of(question);
        let Some((statements, key)) = documents(question, random) else { return false };
        // Whoever writes the first Allow of an RCP level is taken at his word: see `Layers::rcps`.
        if key == "rcps" {
            return false;
        }
        let mut allow = world::statement(family, world::names_principals(key), random);
        allow["Effect"] = json!("Allow");
        statements.push(allow);
        true
    };
    law("an Allow more", 20_000, change, |before, after| after >= before);
}

#[test]
fn removing_an_allow_never_widens() {
    let change = |question: &mut Value, random: &mut Random| {
        let Some((statements, key)) = documents(question, random) else { return false };
        let at = random.below(statements.len());
        if key == "rcps" || statements.len() < 2 || statements[at]["Effect"] != "Allow" {
            return false;
        }
        statements.remove(at);
        true
    };
    law("an Allow less", 20_000, change, |before, after| after <= before);
}

#[test]
fn a_boundary_never_widens_and_neither_does_a_session_policy_or_a_level_more() {
    for key in ["boundaries", "session_policies", "endpoint_policies", "scps", "rcps"] {
        let change = |question: &mut Value, random: &mut Random| {
            let family = world::family_of(question);
            let list = question[key].as_array_mut().unwrap();
            // Documents of one boundary add up; one where there was none narrows.
            if !list.is_empty() && !key.ends_with("cps") {
                return false;
            }
            // An endpoint's statements name resources, which a role's own do not.
            let family = if key == "endpoint_policies" { world::Family::Queue } else { family };
            let document = world::document(family, world::names_principals(key), random);
            list.push(if key.ends_with("cps") { json!([document]) } else { document });
            true
        };
        law(key, 20_000, change, |before, after| after <= before);
    }
}

#[test]
fn if_exists_is_at_least_as_permissive() {
    let change = |question: &mut Value, random: &mut Random| {
        let Some((statements, _)) = documents(question, random) else { return false };
        let at = random.below(statements.len());
        let statement = &mut statements[at];
        let Some(tests) = statement["Condition"].get("StringEquals").cloned() else { return false };
        if statement["Effect"] != "Allow" {
            return false;
        }
        statement["Condition"] = json!({"StringEqualsIfExists": tests});
        true
    };
    law("IfExists", 100_000, change, |before, after| after >= before);
}

#[test]
fn learning_a_key_never_takes_a_certain_answer_back() {
    let change = |question: &mut Value, random: &mut Random| {
        let Some(key) = question["request"]["unknown_keys"].as_array_mut().and_then(Vec::pop) else {
            return false;
        };
        let key = key.as_str().unwrap().replace('*', "team");
        let context = &mut question["request"]["context"];
        if random.below(3) > 0 && context.get(&key).is_none() {
            context[key] = world::value(random);
        }
        true
    };
    law("a key more", 20_000, change, |before, after| before == 1 || before == after);
}

#[test]
fn the_answer_for_a_bound_covers_every_resource_in_it() {
    let seed = seed();
    let mut certain = 0;
    for number in 0..5_000_u64 {
        let mut random = Random::new(seed.wrapping_mul(77).wrapping_add(number));
        let mut world = World::new(&mut random);
        let principal = world::principal(&mut random);
        world.ask(&principal, &mut random);
        let read = Read::new(&world.question);
        let asked = read.principal(&principal);
        let context = world::context(&world.question["request"], asked.as_ref());
        let layers = read.layers();
        let mut bound = Request::new("s3:GetObject", Target::Within("arn:aws:s3:::a/*"), &context);
        bound.principal = asked.as_ref();
        let answer = decide(&layers, &bound);
        assert_eq!(Compiled::new(&layers).decide(&bound), answer, "{}", world.question);
        if answer.effect == Answer::Unknown {
            continue;
        }
        certain += 1;
        for arn in ["arn:aws:s3:::a/k", "arn:aws:s3:::a/ann/k", "arn:aws:s3:::a/"] {
            let exact = Request { resource: Target::Exact(arn), ..bound };
            let exact = decide(&layers, &exact).effect;
            // One of what is not granted may be denied outright.
            let both_deny = answer.effect == Answer::ImplicitlyDenied && exact == Answer::ExplicitlyDenied;
            assert!(exact == answer.effect || both_deny, "{arn}: {}", world.question);
        }
    }
    assert!(certain > 1_000, "{certain}");
}

#[test]
fn a_memo_keeps_within_its_bound() {
    let policy =
        Policy::from_json("p", &json!({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}));
    let held = [Arc::new(policy.unwrap())];
    let layers = policy::aws::Layers { identity: &held, ..Default::default() };
    let mut memo = Memo::new(Arc::new(Compiled::new(&layers)), None);
    let mut context = Context::complete();
    context.set("aws:username", Fact::one("ann"));
    for number in 0..200_000 {
        let arn = format!("arn:aws:s3:::b/{number}");
        let answer = memo.decide(&Request::new("s3:GetObject", Target::Exact(&arn), &context)).effect;
        assert_eq!(answer, Answer::Allowed);
        assert!(memo.len() <= 65_536);
    }
    let long = format!("arn:aws:s3:::b/{}", "x".repeat(100_000));
    let before = memo.len();
    assert_eq!(
        memo.decide(&Request::new("s3:GetObject", Target::Exact(&long), &context)).effect,
        Answer::Allowed
    );
    assert_eq!(memo.len(), before);
}
