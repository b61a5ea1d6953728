//! The tape against `serde_json`.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// What `serde_json` makes of a tape's value.
fn value(json: Json<'_>) -> Value {
    match json.kind() {
        Kind::Null => Value::Null,
        Kind::False | Kind::True => Value::Bool(json.flag().unwrap()),
        Kind::Number => Value::String(format!("number {}", json.scalar().unwrap_or_default())),
        Kind::Text => Value::String(json.text().unwrap().to_owned()),
        Kind::List => Value::Array(json.items().map(value).collect()),
        Kind::Map => Value::Object(json.members().map(|(key, one)| (key.to_owned(), value(one))).collect()),
    }
}

/// With numbers as they print.
fn printed(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(format!("number {number}")),
        Value::Array(list) => list.into_iter().map(printed).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, printed(value))).collect(),
        plain => plain,
    }
}

/// What is JSON is read as `serde_json` reads it; the rest is read somehow.
fn agrees(text: &str) {
    let tape = Tape::read(Some(text));
    let read = value(tape.root());
    if let Ok(expected) = serde_json::from_str(text) {
        assert_eq!(read, printed(expected), "{text}");
    }
    assert_eq!(value(tape.root()), read, "asked again: {text}");
    let keys: Vec<&str> = tape.root().members().map(|(key, _)| key).collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{text}");
}

#[test]
fn what_is_read_is_what_serde_json_reads() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "true",
        "0",
        "-0",
        "01",
        "1.0",
        "1e3",
        "1e999",
        "123456789012345678901",
        r#""""#,
        r#""a\u0062""#,
        "-1",
        "-01",
        "-",
        "[-12, -0, 0, 0.5, 0.50, 1E2, -1.5e-3, 1e400]",
        "1.",
        "--1",
        r#"{"\u0061b":"x","a":"\"","ab":"y\\"}"#,
        r#"{"policy":"{\n \"Statement\": []}","a":"\q"}"#,
        r#"{"a":"b\"}"#,
        r#"{"b":1,"a":[true,{}],"b":2}"#,
        r#"{"a":1,}"#,
        r#"[1,2"#,
        "[1 ,2 ]",
        "{\n\"a\": 1}",
        r#"{"a" : {"c":"x","b":[]}}x"#,
        "\"\u{1}\"",
        r#"{"a":"\ud800"}"#,
        "[[[]]]",
        "{1:2}",
    ] {
        agrees(text);
    }
    agrees(&"[".repeat(200));
    agrees(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
    let many: Vec<String> = (0..200).map(|at| format!("\"k{}\":{at}", at % 150)).collect();
    agrees(&format!("{{{}}}", many.join(",")));
}

#[test]
fn what_is_no_value_is_null() {
    for text in ["", " ", "nul", "nulls", "{", "[1,2", r#"{"a":1}x"#, "x", r#""a"#, "{]"] {
        assert!(Tape::read(Some(text)).root().is_null(), "{text}");
    }
    assert!(Tape::read(None).root().is_null());
}

#[test]
fn one_text_that_is_no_text_leaves_the_others() {
    let tape = Tape::read(Some(r#"{"a":"x\ud800","b":["\u0062",{"c\n":1}]}"#));
    assert_eq!(tape.root().get("a").unwrap().text(), Some("x\u{fffd}\u{fffd}\u{fffd}"));
    let list: Vec<Json<'_>> = tape.root().get("b").unwrap().items().collect();
    assert_eq!(list[0].text(), Some("b"));
    assert_eq!(list[1].get("c\n").unwrap().scalar().as_deref(), Some("1"));
}

#[test]
fn a_name_that_no_key_begins_like_is_ruled_out_at_any_depth() {
    let tape = Tape::read(Some(r#"{"list":[{"Bucket":"name"}]}"#));
    assert!(tape.root().may_name("bucket") && tape.root().may_name("label"));
    assert!(!tape.root().may_name("name"), "values are no keys");
}

#[test]
fn a_list_of_nodes_is_used_again() {
    for text in ["[1,2,3]", "{}", r#"{"a":{"b":1}}"#] {
        agrees(text);
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,3}[.eE]?[+-]?[0-9]{0,20}",
        "[a-c\"\\\\é ]{0,4}".prop_map(|text| Value::String(text).to_string()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(("([ab]|\\\\u006[12]|\\\\\"){0,2}", inner), 0..6).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_alike(text in json(), cut in 0usize..200, byte in "[\\[\\]{},:\"0 ]") {
        agrees(&text);
        let at = text.char_indices().map(|(at, _)| at).nth(cut % text.chars().count().max(1)).unwrap_or(0);
        agrees(&text[..at]);
        agrees(&format!("{}{byte}{}", &text[..at], &text[at..]));
    }
}
