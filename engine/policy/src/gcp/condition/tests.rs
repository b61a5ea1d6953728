use super::*;
use crate::context::Fact;
use crate::truth::Truth;

const OBJECT: &str = "//storage.googleapis.com/projects/_/buckets/notes/objects/2024/a.txt";

fn ask_about(text: &str, resource: &str, set: &[(&str, &str)]) -> Belief {
    let mut context = Context::partial();
    for (key, value) in set {
        context.set(key, Fact::one(*value));
    }
    let name = resource.strip_prefix("//storage.googleapis.com/").unwrap_or(resource);
    Condition::parse(text).holds(&Facts { name, full_name: resource, context: &context })
}

fn ask(text: &str) -> Belief {
    ask_about(text, OBJECT, &[("request.time", "2024-03-05T22:30:00Z")])
}

#[test]
fn names_types_and_services_are_read_off_the_resource() {
    for yes in [
        "resource.name.startsWith('projects/_/buckets/notes/objects/2024')",
        "resource.name.endsWith(\".txt\")",
        "resource.type == 'storage.googleapis.com/Object'",
        "resource.service == 'storage.googleapis.com' && resource.type != 'storage.googleapis.com/Bucket'",
        "resource.name.extract('/objects/{year}/') == '2024'",
        "resource.name.extract('buckets/{b}/objects/') in ['drafts', 'notes']",
        "!(resource.name.contains('secret'))",
        "// only notes\nresource.name.startsWith('projects/_/buckets/notes')",
    ] {
        assert_eq!(ask(yes), Belief::TRUE, "{yes}");
    }
    for no in [
        "resource.name.startsWith('projects/_/buckets/drafts')",
        "resource.type == 'storage.googleapis.com/Bucket'",
        "resource.name.extract('/folders/{f}/') == '2024'",
        "resource.name == 'projects/_/buckets/notes'",
        "resource.service in ['compute.googleapis.com']",
    ] {
        assert_eq!(ask(no), Belief::FALSE, "{no}");
    }
}

#[test]
fn a_time_is_compared_and_taken_apart() {
    for yes in [
        "request.time < timestamp('2024-03-05T22:30:01Z')",
        "request.time >= timestamp('2024-03-05T23:30:00+01:00')",
        "request.time.getHours() == 22 && request.time.getMinutes() == 30",
        // A Tuesday, and in +02:00 a Wednesday already.
        "request.time.getDayOfWeek() == 2",
        "request.time.getDayOfWeek('+02:00') == 3",
        "request.time.getMonth() == 2 && request.time.getDate() == 5 && request.time.getDayOfMonth() == 4",
        "request.time.getFullYear() == 2024 && request.time.getDayOfYear() == 64",
    ] {
        assert_eq!(ask(yes), Belief::TRUE, "{yes}");
    }
    assert_eq!(ask("request.time < timestamp('2024-03-05T22:30:00Z')"), Belief::FALSE);
    assert_eq!(ask("request.time.getHours('-03:00') > 19"), Belief::FALSE);
    // Zones by name need a table of zones.
    assert_eq!(ask("request.time.getHours('Europe/Berlin') > 19").missing, ["request.time.getHours"]);
    let untold = ask_about("request.time < timestamp('2024-01-01T00:00:00Z')", OBJECT, &[]);
    assert_eq!(untold, Belief::unknown("request.time"));
}

#[test]
fn what_the_request_does_not_tell_is_named() {
    let cases = [
        ("resource.matchTag('123/env', 'prod')", "resource.matchTag"),
        ("'accessPolicies/1/accessLevels/x' in request.auth.access_levels", "request.auth.access_levels"),
        ("destination.port == 22", "destination.port"),
        ("resource.name.matches('^a+$')", "resource.name.matches"),
        (
            "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/viewer'])",
            "hasOnly",
        ),
        ("request.time - duration('1h') > timestamp('2024-01-01T00:00:00Z')", "request.time"),
        ("resource.name == 'a' ? true : false", "resource.name"),
    ];
    for (text, name) in cases {
        let answer = ask(text);
        assert_eq!(answer.truth, Truth::Unknown, "{text}");
        assert!(answer.missing.iter().any(|missing| missing == name), "{text}: {:?}", answer.missing);
    }
}

#[test]
fn a_part_that_decides_hides_one_that_is_not_known() {
    let open = "resource.matchTag('1/env', 'prod')";
    assert_eq!(ask(&format!("{open} && resource.name == 'x'")), Belief::FALSE);
    assert_eq!(ask(&format!("{open} || resource.name.startsWith('projects/')")), Belief::TRUE);
    assert_eq!(ask(&format!("!{open}")).truth, Truth::Unknown);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    for text in [
        "",
        "'open",
        "resource.name ==",
        "resource.name.startsWith('a'",
        "1 == 'a'",
        "true false",
        &"(".repeat(9_000),
        &"!".repeat(9_000),
        &format!("{}1{}", "size([".repeat(2_000), "])".repeat(2_000)),
        &format!("resource{}", ".a()".repeat(4_000)),
    ] {
        assert_eq!(ask(text).truth, Truth::Unknown, "{}", text.chars().take(40).collect::<String>());
    }
}

#[test]
fn constants_are_what_they_are() {
    assert_eq!(ask("true"), Belief::TRUE);
    assert_eq!(ask("false || (1 < 2 && !('a' == \"b\"))"), Belief::TRUE);
    assert_eq!(ask("-1 > 0"), Belief::FALSE);
}
