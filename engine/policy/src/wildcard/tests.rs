use proptest::prelude::*;

use crate::context::Fact;

use super::glob::{Case, Steps, Text, compiled, glob, glob_of_parts, overlap};
use super::*;

fn arn(pattern: &str, text: &str) -> Match {
    ArnPattern::new(pattern).matches(Target::Exact(text))
}

fn within(pattern: &str, bound: &str) -> Match {
    ArnPattern::new(pattern).matches(Target::Within(bound))
}

#[test]
fn actions_ignore_case_and_take_wildcards() {
    let yes = [
        ("s3:getobject", "s3:GetObject"),
        ("S3:Get*", "s3:GetObject"),
        ("s3:Get?bject", "s3:GetObject"),
        ("*", "s3:GetObject"),
        ("*:Delete*", "ec2:DeleteTags"),
    ];
    for (pattern, permission) in yes {
        assert_eq!(ActionPattern::new(pattern).matches(permission), Match::Yes, "{pattern} {permission}");
    }
    let no = [
        ("s3:GetObject", "s3:GetObjectAcl"),
        ("s3:Get?", "s3:GetObject"),
        ("s3:Get*", "s3express:GetObject"),
        ("*:Delete*", "s3:GetDeleted"),
    ];
    for (pattern, permission) in no {
        assert_eq!(ActionPattern::new(pattern).matches(permission), Match::No, "{pattern} {permission}");
    }
}

#[test]
fn a_star_crosses_slashes_but_not_colons() {
    assert_eq!(arn("arn:aws:s3:::acme/*", "arn:aws:s3:::acme/a/b"), Match::Yes);
    assert_eq!(arn("arn:aws:iam::*:role/x", "arn:aws:iam::1:role/x"), Match::Yes);
    assert_eq!(arn("arn:aws:sns:*:1:t", "arn:aws:sns:eu-west-1:2:1:t"), Match::No);
}

#[test]
fn a_star_at_the_end_of_a_short_pattern_crosses_colons() {
    assert_eq!(arn("arn:aws:s3:*", "arn:aws:s3:::acme/a"), Match::Yes);
    assert_eq!(arn("arn:aws:*", "arn:aws:s3:::acme/a"), Match::Yes);
    assert_eq!(arn("arn:aws:s3:::acme*", "arn:aws:s3:::acme-b/x:y"), Match::Yes);
    // near-miss: a short pattern without the star
    assert_eq!(arn("arn:aws:s3", "arn:aws:s3:::acme/a"), Match::No);
    assert_eq!(arn("arn:aws:s3:*", "arn:aws:sns:eu-west-1:1:t"), Match::No);
}

#[test]
fn arns_keep_their_case() {
    assert_eq!(arn("arn:aws:s3:::Acme/*", "arn:aws:s3:::acme/x"), Match::No);
}

#[test]
fn a_wildcard_in_the_service_part_is_unclear() {
    assert_eq!(arn("arn:aws:s?:::acme", "arn:aws:s3:::acme"), Match::Unclear);
    assert_eq!(arn("arn:aws:*:::acme", "arn:aws:s3:::other"), Match::No);
}

#[test]
fn only_a_whole_star_matches_no_resource() {
    assert_eq!(arn("*", "*"), Match::Yes);
    assert_eq!(arn("arn:aws:s3:::*", "*"), Match::No);
}

#[test]
fn a_bound_is_covered_shared_or_foreign() {
    assert_eq!(within("arn:aws:s3:::acme/*", "arn:aws:s3:::acme/*"), Match::Yes);
    assert_eq!(within("arn:aws:s3:::*", "arn:aws:s3:::acme/*"), Match::Yes);
    assert_eq!(within("arn:aws:s3:::acme/drafts/*", "arn:aws:s3:::acme/*"), Match::Partly);
    assert_eq!(within("arn:aws:s3:::other/*", "arn:aws:s3:::acme/*"), Match::No);
    assert_eq!(within("arn:aws:s3:::acme/?", "arn:aws:s3:::acme/*"), Match::Partly);
    assert_eq!(within("arn:aws:s3:::other/*", "*"), Match::Partly);
    assert_eq!(within("*", "*"), Match::Yes);
}

#[test]
fn a_variable_makes_a_possible_match_hang_on_it() {
    let home = ArnPattern::with_variables("arn:aws:s3:::home/${aws:username}/*");
    assert_eq!(home.matches(Target::Exact("arn:aws:s3:::home/ann/x")), Match::Variable);
    assert_eq!(home.matches(Target::Exact("arn:aws:s3:::away/ann/x")), Match::No);
    assert_eq!(home.variables(), ["aws:username"]);
}

#[test]
fn a_question_mark_is_one_character_however_many_bytes() {
    assert_eq!(arn("arn:aws:s3:::b/?", "arn:aws:s3:::b/é"), Match::Yes);
    assert_eq!(arn("arn:aws:s3:::b/?", "arn:aws:s3:::b/éé"), Match::No);
}

#[test]
fn work_made_to_be_slow_ends_unclear() {
    let pattern = format!("arn:aws:s3:::*{}b", "a".repeat(400));
    let text = format!("arn:aws:s3:::{}", "a".repeat(4000));
    assert_eq!(arn(&pattern, &text), Match::Unclear);
}

/// Slow and obvious: tries every length for a star.
fn oracle(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
        Some(('?', rest)) => !text.is_empty() && oracle(rest, &text[1..]),
        Some((c, rest)) => text.first() == Some(c) && oracle(rest, &text[1..]),
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

proptest! {
    #[test]
    fn the_fast_matcher_agrees_with_the_obvious_one(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        let fast = glob(&compiled(&pattern), text.as_bytes(), Case::Keep, Text::Plain, &mut Steps::new(Steps::PATTERN_MAX));
        prop_assert_eq!(fast == Match::Yes, oracle(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn what_covers_a_bound_matches_all_of_it(pattern in "[ab*?]{0,6}", bound in "[ab*?]{0,6}", text in "[ab]{0,7}") {
        let covers = glob(&compiled(&pattern), bound.as_bytes(), Case::Keep, Text::Pattern, &mut Steps::new(Steps::PATTERN_MAX)) == Match::Yes;
        if covers && oracle(&chars(&bound), &chars(&text)) {
            prop_assert!(oracle(&chars(&pattern), &chars(&text)));
        }
    }

    #[test]
    fn what_shares_nothing_has_no_text_in_common(left in "[ab*?]{0,6}", right in "[ab*?]{0,6}", text in "[ab]{0,7}") {
        if oracle(&chars(&left), &chars(&text)) && oracle(&chars(&right), &chars(&text)) {
            prop_assert_eq!(overlap(&compiled(&left), right.as_bytes(), &mut Steps::new(Steps::PATTERN_MAX)), Match::Yes);
        }
    }
}

fn with(key: &str, fact: Fact) -> Context {
    let mut context = Context::complete();
    context.set(key, fact);
    context
}

#[test]
fn a_variable_is_read_from_the_request() {
    let home = ArnPattern::with_variables("arn:aws:s3:::home/${aws:username}/*");
    let ann = Target::Exact("arn:aws:s3:::home/ann/x");
    assert_eq!(home.matches_in(ann, &with("aws:username", Fact::one("ann"))), Match::Yes);
    assert_eq!(home.matches_in(ann, &with("aws:username", Fact::one("bob"))), Match::No);
    assert_eq!(home.matches_in(ann, &Context::complete()), Match::No);
    assert_eq!(home.matches_in(ann, &Context::partial()), Match::Variable);
    assert_eq!(home.unknown_variables(&Context::partial()).collect::<Vec<_>>(), ["aws:username"]);
    // what is known in part only
    let within = |bound| home.matches_in(Target::Within(bound), &with("aws:username", Fact::one("ann")));
    assert_eq!(within("arn:aws:s3:::home/ann/*"), Match::Yes);
    assert_eq!(within("arn:aws:s3:::home/*"), Match::Partly);
    assert_eq!(within("arn:aws:s3:::home/bob/*"), Match::No);
}

#[test]
fn a_text_without_variables_is_not_read_for_them() {
    let old = ArnPattern::new("arn:aws:s3:::home/${aws:username}/*");
    assert_eq!(old.matches(Target::Exact("arn:aws:s3:::home/${aws:username}/x")), Match::Yes);
    assert!(old.variables().is_empty());
}

#[test]
fn an_escaped_wildcard_covers_no_wildcard_of_a_bound() {
    let star = ArnPattern::with_variables("arn:aws:s3:::b/${*}");
    assert_eq!(star.matches(Target::Exact("arn:aws:s3:::b/*")), Match::Yes);
    assert_eq!(star.matches(Target::Within("arn:aws:s3:::b/*")), Match::Partly);
    assert_eq!(star.matches(Target::Within("arn:aws:s3:::b/?")), Match::Partly);
    assert_eq!(star.matches(Target::Within("arn:aws:s3:::b/x")), Match::No);
}

#[test]
fn a_variable_made_to_be_long_is_unclear() {
    let long = ArnPattern::with_variables(&format!("arn:aws:s3:::{}*", "${k}".repeat(1_000)));
    let context = with("k", Fact::one("a".repeat(1_000)));
    assert_eq!(long.matches_in(Target::Exact("arn:aws:s3:::b"), &context), Match::Unclear);
}

proptest! {
    #[test]
    fn a_value_is_inserted_as_it_is(value in "[ab*?$:{}/é]{0,6}", other in "[ab*?$:{}/é]{0,6}") {
        let pattern = ArnPattern::with_variables("arn:aws:s3:::b/${k}");
        let context = with("k", Fact::one(value.clone()));
        let expected = if value == other { Match::Yes } else { Match::No };
        prop_assert_eq!(pattern.matches_in(Target::Exact(&format!("arn:aws:s3:::b/{other}")), &context), expected);
    }

    #[test]
    fn learning_a_variable_never_turns_an_answer(pattern in "[ab*?]{0,2}(\\$\\{k\\}|\\$\\{k, 'a'\\})[ab*?]{0,2}", value in "[ab:]{0,3}", text in "[ab:*]{0,6}", bound in any::<bool>()) {
        let pattern = ArnPattern::with_variables(&format!("arn:aws:s3:::{pattern}"));
        let text = format!("arn:aws:s3:::{text}");
        let target = if bound { Target::Within(&text) } else { Target::Exact(&text) };
        let guessed = pattern.matches_in(target, &Context::partial());
        let known = pattern.matches_in(target, &with("k", Fact::one(value)));
        prop_assert!(guessed == Match::Variable || guessed == known);
        prop_assert!(known != Match::Variable);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn one_walk_agrees_with_each_part_by_itself(pattern in "[ab:é]{0,3}[ab:*?]{0,12}[ab:é*]{0,3}", text in "[ab:é]{0,14}") {
        let compiled = compiled(&pattern);
        let outline = Outline::of(&compiled);
        let walked = glob_of_parts(&compiled, outline, text.as_bytes(), &mut Steps::new(Steps::PATTERN_MAX));
        let parts = pattern.splitn(6, ':').count();
        let obvious = text.splitn(parts, ':').count() == parts
            && pattern.splitn(parts, ':').zip(text.splitn(parts, ':')).all(|(pattern, text)| oracle(&chars(pattern), &chars(text)));
        prop_assert_eq!(walked == Match::Yes, obvious);
    }
}
