//! Laws that hold for every operator, over random values

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Positive operators with values of their kind, and the name of their negation.
const PAIRS: [(&str, &str); 7] = [
    ("StringEquals", "StringNotEquals"),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    ("StringLike", "StringNotLike"),
    ("NumericEquals", "NumericNotEquals"),
    ("DateEquals", "DateNotEquals"),
    ("IpAddress", "NotIpAddress"),
    ("ArnLike", "ArnNotLike"),
];
const PLAIN: [&str; 12] = [
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "NumericEquals",
    "NumericLessThan",
    "NumericGreaterThanEquals",
    "DateLessThanEquals",
    "DateGreaterThan",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "ArnEquals",
];

fn conditions(condition: Value) -> Conditions {
    Conditions::read(condition.as_object().unwrap(), true).unwrap()
}

fn context(facts: &[(&str, &Fact)]) -> Context {
    let mut context = Context::complete();
    facts.iter().for_each(|(key, fact)| context.set(key, (*fact).clone()));
    context
}

/// A value that any operator takes: as a policy's, dates must be dates.
fn wanted(operator: &str) -> BoxedStrategy<String> {
    if operator.contains("Date") { "(20(19|20)(-0[1-3])?|15778368[0-2]0)".boxed() } else { text() }
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[abAB*?]{0,4}",
        "[0-3]{1,2}(\\.[05])?",
        "20(19|20)(-0[1-3])?",
        "(true|false|QQ==|Qg)",
        "10\\.0\\.0\\.[0-3](/3[0-2])?",
        "arn:aws:s3:::[ab*]{1,2}",
        "\\$\\{k(, 'a')?\\}[ab*]?",
    ]
    .boxed()
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        Just(Fact::Absent),
        prop::collection::vec(text(), 0..3).prop_map(Fact::Values),
        text().prop_map(Fact::one),
    ]
}

fn quantified(name: &str, quantifier: usize, if_exists: bool) -> String {
    let quantifier = ["", "ForAllValues:", "ForAnyValue:"][quantifier % 3];
    format!("{quantifier}{name}{}", if if_exists { "IfExists" } else { "" })
}

fn any_operator() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> =
        PLAIN.iter().copied().chain(PAIRS.iter().flat_map(|pair| [pair.0, pair.1])).chain(["Null"]).collect();
    (prop::sample::select(names), 0..3_usize, any::<bool>())
        .prop_map(|(name, quantifier, if_exists)| quantified(name, quantifier, if_exists && name != "Null"))
}

fn test() -> impl Strategy<Value = (String, Vec<String>)> {
    any_operator().prop_flat_map(|operator| {
        let values = prop::collection::vec(wanted(&operator), 0..3);
        (Just(operator), values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn if_exists_is_at_least_as_permissive(
        (name, values) in prop::sample::select(&PLAIN[..]).prop_flat_map(|name| (Just(name), prop::collection::vec(wanted(name), 0..3))),
        quantifier in 0..3_usize, key in fact(), variable in fact(),
    ) {
        let context = context(&[("key", &key), ("k", &variable)]);
        let plain = conditions(json!({quantified(name, quantifier, false): {"key": values}})).truth(&context);
        let soft = conditions(json!({quantified(name, quantifier, true): {"key": values}})).truth(&context);
        prop_assert!(soft == plain || (plain, soft) == (Truth::False, Truth::True));
        if key != Fact::Absent && key != Fact::Values(vec![]) {
            prop_assert_eq!(soft, plain);
        }
    }

    #[test]
    fn a_negation_is_the_complement(
        (pair, values) in prop::sample::select(&PAIRS[..]).prop_flat_map(|pair| (Just(pair), prop::collection::vec(wanted(pair.0), 0..3))),
        key in fact(),
    ) {
        // a variable with a value: one without makes both false
        let context = context(&[("key", &key), ("k", &Fact::one("a"))]);
        let plain = conditions(json!({pair.0: {"key": values}})).truth(&context);
        let negated = conditions(json!({pair.1: {"key": values}})).truth(&context);
        prop_assert_eq!(plain.negate(), negated);
        // of a set, all fail what not any passes
        let none = conditions(json!({format!("ForAllValues:{}", pair.1): {"key": values}})).truth(&context);
        let any = conditions(json!({format!("ForAnyValue:{}", pair.0): {"key": values}})).truth(&context);
        prop_assert_eq!(any.negate(), none);
    }

    #[test]
    fn learning_a_fact_never_turns_an_answer(
        tests in prop::collection::vec(test(), 1..4), facts in prop::array::uniform3(fact()), hidden in prop::array::uniform3(any::<bool>()),
    ) {
        let names = ["a", "b", "k"];
        let mut written = Map::new();
        for (index, (operator, values)) in tests.iter().enumerate() {
            written.insert(operator.clone(), json!({names[index % 2]: values}));
        }
        let conditions = conditions(Value::Object(written));
        let whole = context(&[(names[0], &facts[0]), (names[1], &facts[1]), (names[2], &facts[2])]);
        let mut partial = whole.clone();
        for (name, hidden) in names.iter().zip(hidden) {
            if hidden {
                partial.set(name, Fact::Unknown);
            }
        }
        let known = conditions.truth(&whole);
        let guessed = conditions.truth(&partial);
        prop_assert!(guessed == Truth::Unknown || guessed == known, "{:?} {:?}", guessed, known);
        prop_assert_ne!(known, Truth::Unknown);
        // and what it says would decide does
        if guessed == Truth::Unknown {
            let missing = conditions.undecided(&partial);
            prop_assert!(!missing.is_empty());
            for name in missing {
                let at = names.iter().position(|known| *known == name);
                prop_assert!(at.is_some_and(|at| hidden[at]), "{}", name);
                partial.set(&name, facts[at.unwrap()].clone());
            }
            // it may lead to the next one that is hidden, never to another answer
            let then = conditions.truth(&partial);
            prop_assert!(then == Truth::Unknown || then == known);
        }
    }
}

#[test]
fn operators_and_keys_must_all_hold() {
    let both = conditions(json!({
        "StringEquals": {"aws:username": "ann", "aws:PrincipalTag/team": ["red", "blue"]},
        "Bool": {"aws:SecureTransport": "true"},
    }));
    let of = |name: &str, team: &str, secure: &str| {
        both.truth(&context(&[
            ("aws:username", &Fact::one(name)),
            ("aws:PrincipalTag/team", &Fact::one(team)),
            ("aws:SecureTransport", &Fact::one(secure)),
        ]))
    };
    assert_eq!(of("ann", "blue", "true"), Truth::True);
    assert_eq!(of("ann", "blue", "false"), Truth::False);
    assert_eq!(of("bob", "blue", "true"), Truth::False);
    assert_eq!(of("ann", "green", "true"), Truth::False);
}

#[test]
fn the_keys_are_told_once_with_those_of_variables() {
    let written = conditions(json!({
        "StringEquals": {"aws:ResourceTag/team": ["${aws:PrincipalTag/team}", "${aws:username, 'x'}"]},
        "Null": {"AWS:resourcetag/TEAM": "false"},
    }));
    // in the order of the document's operators as JSON keeps them
    let mut keys = written.keys().to_vec();
    keys.sort();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().any(|key| key.eq_ignore_ascii_case("aws:resourcetag/team")));
    assert!(keys.contains(&"aws:PrincipalTag/team".to_owned()) && keys.contains(&"aws:username".to_owned()));
    assert!(conditions(json!({})).is_empty());
}

#[test]
fn only_what_would_decide_is_missing() {
    let asked = conditions(json!({
        "StringEquals": {"aws:username": "ann", "aws:PrincipalOrgID": "o-1"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    }));
    let mut log = Context::partial();
    log.set("aws:SourceIp", Fact::one("10.1.1.1"));
    assert_eq!(asked.truth(&log), Truth::Unknown);
    let mut missing = asked.undecided(&log);
    missing.sort();
    assert_eq!(missing, ["aws:PrincipalOrgID", "aws:username"]);
    // near-miss: one that fails decides, and nothing is missing
    log.set("aws:SourceIp", Fact::one("192.0.2.1"));
    assert_eq!(asked.truth(&log), Truth::False);
}

#[test]
fn work_made_to_be_slow_ends_unknown() {
    let pattern = format!("*{}b*", "a".repeat(500));
    let slow = conditions(json!({"StringLike": {"key": [pattern.clone(), pattern]}}));
    let context = context(&[("key", &Fact::one("a".repeat(10_000)))]);
    assert_eq!(slow.truth(&context), Truth::Unknown);
    assert_eq!(slow.undecided(&context), ["step_budget"]);
}

#[test]
fn a_variable_made_to_be_long_ends_unknown() {
    let long = conditions(json!({"StringLike": {"key": "${k}".repeat(1_000) + "*"}}));
    let context = context(&[("key", &Fact::one("x")), ("k", &Fact::one("a".repeat(1_000)))]);
    assert_eq!(long.truth(&context), Truth::Unknown);
    assert_eq!(long.undecided(&context), ["step_budget"]);
}

#[test]
fn many_values_against_many_end_unknown_and_few_do_not() {
    let list = |count: usize| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>();
    let all = conditions(json!({"ForAllValues:StringEquals": {"key": list(2_000)}}));
    assert_eq!(all.truth(&context(&[("key", &Fact::Values(list(2_000)))])), Truth::Unknown);
    assert_eq!(all.truth(&context(&[("key", &Fact::Values(list(20)))])), Truth::True);
}

#[test]
fn what_aws_would_refuse_tells_its_place() {
    let refused = |condition: Value| Conditions::read(condition.as_object().unwrap(), true).unwrap_err();
    for (condition, place) in [
        (json!({"StringEquals": "b"}), "StringEquals"),
        (json!({"StringEquals": []}), "StringEquals"),
        (json!({"x": {"a": "1"}}), "x"),
        (json!({"ForAnyValue::StringEquals": {"a": "1"}}), "ForAnyValue::StringEquals"),
        (json!({"DateGreaterThan": {"a": {}}}), "DateGreaterThan.a"),
        (json!({"DateGreaterThan": {"a": "sdfdsf"}}), "DateGreaterThan.a"),
        (json!({"StringEquals": {"aws:username": null}}), "StringEquals.aws:username"),
        (
            json!({"StringEquals": {"a": (0..=VALUES_MAX).map(|n| n.to_string()).collect::<Vec<_>>()}}),
            "StringEquals.a",
        ),
    ] {
        assert_eq!(refused(condition.clone()).0, place, "{condition}");
    }
    // near-misses that AWS takes
    for condition in [json!({}), json!({"a": {}}), json!({"DateGreaterThan": {"a": []}})] {
        assert!(Conditions::read(condition.as_object().unwrap(), true).is_ok(), "{condition}");
    }
}
