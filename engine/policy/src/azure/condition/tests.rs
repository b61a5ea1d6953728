use super::*;
use crate::truth::Truth;

const BLOB_READ: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";
const CONTAINER: &str = "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name]";
const NOTES: &str = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/a/blobServices/default/containers/notes";

fn ask(text: &str, operation: &str, scope: &str, set: &[(&str, &str)]) -> Belief {
    let mut context = Context::partial();
    for (key, value) in set {
        context.set(key, Fact::one(*value));
    }
    let facts = Facts { operation: &Operation::new(operation), scope: &Scope::new(scope), context: &context };
    Condition::parse(text).holds(&facts)
}

#[test]
fn another_operation_is_not_asked_for_its_attributes() {
    let text = format!("((!(ActionMatches{{'{BLOB_READ}'}})) OR ({CONTAINER} StringEquals 'drafts'))");
    assert_eq!(ask(&text, "Microsoft.Storage/storageAccounts/read", "/subscriptions/s", &[]), Belief::TRUE);
    let asked = ask(&text, BLOB_READ, "/subscriptions/s", &[]);
    assert_eq!((asked.truth, asked.missing), (Truth::Unknown, vec![CONTAINER.to_owned()]));
}

#[test]
fn the_resource_tells_its_own_name() {
    let drafts = format!("{CONTAINER} StringEquals 'drafts'");
    let notes = format!("{CONTAINER} StringEquals 'notes'");
    assert_eq!(ask(&drafts, BLOB_READ, NOTES, &[]), Belief::FALSE);
    assert_eq!(ask(&notes, BLOB_READ, NOTES, &[]), Belief::TRUE);
}

#[test]
fn an_id_does_not_keep_its_names_case() {
    let vault = "/subscriptions/s/resourceGroups/r/providers/Microsoft.KeyVault/vaults/v/secrets/PayMents";
    let name = "@Resource[Microsoft.KeyVault/vaults/secrets:name]";
    assert_eq!(ask(&format!("{name} StringEquals 'Payments'"), "x", vault, &[]).truth, Truth::Unknown);
    assert_eq!(ask(&format!("{name} StringEqualsIgnoreCase 'Payments'"), "x", vault, &[]), Belief::TRUE);
    assert_eq!(ask(&format!("{name} StringEquals 'Invoices'"), "x", vault, &[]), Belief::FALSE);
}

#[test]
fn quantifiers_go_over_both_sides() {
    let key = "@Request[tags]";
    let ask_values = |operator: &str, wanted: &str, values: &[&str]| {
        let mut context = Context::partial();
        context.set(key, Fact::Values(values.iter().map(|value| (*value).to_owned()).collect()));
        let (operation, scope) = (Operation::new("x"), Scope::new("/"));
        let facts = Facts { operation: &operation, scope: &scope, context: &context };
        Condition::parse(&format!("{key} {operator} {wanted}")).holds(&facts).truth
    };
    let any_any = "ForAnyOfAnyValues:StringEquals";
    assert_eq!(ask_values(any_any, "{'red', 'blue'}", &["green", "blue"]), Truth::True);
    assert_eq!(ask_values(any_any, "{'red', 'blue'}", &["green"]), Truth::False);
    let all_any = "ForAllOfAnyValues:StringEquals";
    assert_eq!(ask_values(all_any, "{'red', 'blue'}", &["red", "blue"]), Truth::True);
    assert_eq!(ask_values(all_any, "{'red', 'blue'}", &["red", "green"]), Truth::False);
    let any_all_not = "ForAnyOfAllValues:StringNotEquals";
    assert_eq!(ask_values(any_all_not, "{'red', 'blue'}", &["red", "green"]), Truth::True);
    assert_eq!(ask_values(any_all_not, "{'red', 'blue'}", &["red", "blue"]), Truth::False);
    let all_all_not = "ForAllOfAllValues:StringNotEquals";
    assert_eq!(ask_values(all_all_not, "{'red', 'blue'}", &["green", "black"]), Truth::True);
    assert_eq!(ask_values(all_all_not, "{'red', 'blue'}", &["green", "red"]), Truth::False);
}

#[test]
fn every_type_has_its_own_comparison() {
    let yes = [
        ("@Environment[UtcNow] DateTimeGreaterThan '2023-05-01T13:00:00.000Z'", "2023-05-01T13:00:01Z"),
        ("@Environment[UtcNow] DateTimeLessThanEquals '2023-05-01T13:00:00.000Z'", "2023-05-01T13:00:00"),
        ("@Environment[isPrivateLink] BoolEquals true", "True"),
        ("@Request[n] NumericLessThan 10", "9.5"),
        ("@Request[g] GuidEquals {b24988ac61804 2a0}", "x"),
        ("@Request[g] GuidEquals b24988ac-6180-42a0-ab88-20f7382dd24c", "B24988AC618042A0AB8820F7382DD24C"),
        ("@Request[p] StringLike 'logs/*/2024'", "logs/a/b/2024"),
        ("@Request[p] StringStartsWithIgnoreCase 'Logs/'", "logs/x"),
        ("@Request[p] StringNotEqualsIgnoreCase 'A'", "b"),
    ];
    for (text, value) in yes {
        let key = text.split(' ').next().unwrap();
        let found = ask(text, "x", "/", &[(key, value)]);
        // The one that cannot be read is unknown, never true.
        let wanted = if text.contains("804 2a0") { Belief::unknown("condition") } else { Belief::TRUE };
        assert_eq!(found, wanted, "{text}");
    }
    let no = [
        ("@Environment[UtcNow] DateTimeGreaterThan '2023-05-01T13:00:00.000Z'", "2023-05-01T12:59:59Z"),
        ("@Environment[isPrivateLink] BoolEquals true", "false"),
        ("@Request[n] NumericLessThan 10", "10"),
        ("@Request[p] StringLike 'logs/*/2024'", "logs/a/2025"),
        ("@Request[p] StringEquals 'a'", "A"),
        ("@Request[p] StringNotStartsWith 'a'", "abc"),
    ];
    for (text, value) in no {
        let key = text.split(' ').next().unwrap();
        assert_eq!(ask(text, "x", "/", &[(key, value)]), Belief::FALSE, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_unknown() {
    for text in [
        "",
        "(",
        "ActionMatches{'a/read'",
        "@Resource[x] StringSounds 'a'",
        "a OR",
        "'a' StringEquals",
        "@Resource[x",
        "ActionMatches{'a'} ActionMatches{'b'}",
        &"(".repeat(5_000),
        &"!".repeat(5_000),
    ] {
        assert_eq!(ask(text, "a/read", "/", &[]), Belief::unknown("condition"), "{text}");
    }
}

#[test]
fn a_part_that_decides_hides_one_that_is_not_known() {
    let open = "@Principal[team] StringEquals 'red'";
    assert_eq!(ask(&format!("{open} AND ActionMatches{{'a/write'}}"), "a/read", "/", &[]), Belief::FALSE);
    assert_eq!(ask(&format!("{open} || ActionMatches{{'a/read'}}"), "a/read", "/", &[]), Belief::TRUE);
    assert_eq!(ask("NOT Exists @Resource[tag]", "a", "/", &[("@resource[TAG]", "x")]), Belief::FALSE);
}
