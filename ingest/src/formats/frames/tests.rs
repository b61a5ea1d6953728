use super::*;

/// Records as they stand, broken pieces as `reason: text`.
fn cut(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let shape = frames(text.as_bytes(), 5, &mut |frame| {
        found.push(match frame {
            Frame::Record { text, .. } => String::from_utf8_lossy(text).into_owned(),
            Frame::Broken { text, reason, .. } => format!("{reason}: {}", String::from_utf8_lossy(text)),
        });
    });
    assert_eq!(shape, Shape::Events, "{text}");
    found
}

#[test]
fn every_shape_gives_its_records() {
    assert_eq!(cut(r#"{"Records": [ {"a":1} , {"b":[2]}]}"#), [r#"{"a":1}"#, r#"{"b":[2]}"#]);
    assert_eq!(cut(r#"{"x":{"Records":[1]},"Records":[{"a":1}],"y":2}"#), [r#"{"a":1}"#]);
    assert_eq!(cut(r#"{"records":[{"a":1}]}"#), [r#"{"a":1}"#]);
    assert_eq!(cut(r#"{"value":[{"a":1}],"nextLink":"x"}"#), [r#"{"a":1}"#]);
    assert_eq!(cut(r#"{"value":[1,2]}"#), [r#"{"value":[1,2]}"#], "a field like others");
    assert_eq!(cut(r#"[{"a":1},{"b":2}]"#), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(cut("{\"a\":1}\r\n\n{\"b\":2}\n"), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(cut(" {\n \"a\": {\n  \"b\": 1\n }\n}\n{\n}"), ["{\n \"a\": {\n  \"b\": 1\n }\n}", "{\n}"]);
    assert_eq!(cut("{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":2}]}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(cut("{\"Records\":[\n{\"a\":1},\n{\"b\":2}\n]}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(cut(" {\"a\":1}\n {\"b\":2}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(cut("[{\"a\":1}]\n[{\"b\":2}]\n{\"c\":3}"), [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
    assert_eq!(cut(r#"{"a":1}{"b":2} {"Records":[{"c":3}]}[]"#), [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
    assert_eq!(cut(r#"{"\u0052ecords":[{"a":1}]}"#), [r#"{"a":1}"#]);
}

#[test]
fn nothing_is_no_records() {
    for text in ["", " \n", "[]", r#"{"Records":[]}"#] {
        assert_eq!(cut(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_balanced_but_broken_record_leaves_its_neighbours() {
    assert_eq!(cut(r#"[{"a":1},{"b" 2,},{"c":3}]"#), [r#"{"a":1}"#, r#"{"b" 2,}"#, r#"{"c":3}"#]);
    assert_eq!(cut(r#"[{"a":1},7,{"c":3}]"#), [r#"{"a":1}"#, "7", r#"{"c":3}"#]);
}

#[test]
fn an_array_that_breaks_keeps_what_came_before() {
    assert_eq!(cut(r#"[{"a":1},{"b":{,{"c":3}]"#), [r#"{"a":1}"#, r#"bad_json: {"b":{,{"c":3}]"#]);
    assert_eq!(cut(r#"[{"a":1}},{"c":3}]"#), [r#"{"a":1}"#, r#"bad_json: },{"c":3}]"#]);
    assert_eq!(cut(r#"{"Records":[{"a":1},"#), [r#"{"a":1}"#, "bad_json: "]);
    assert_eq!(cut(r#"{"Records":[{"a":1}]"#), [r#"{"a":1}"#, "bad_json: "]);
}

#[test]
fn a_broken_line_leaves_the_others() {
    let found = cut("{\"a\":1}\n{\"b\":{\n{\"c\":\"cut\n{\"d\":4} x\n{\"e\":5}");
    let expected = [
        r#"{"a":1}"#,
        "bad_json: {\"b\":{\n",
        "bad_json: {\"c\":\"cut\n",
        r#"{"d":4}"#,
        "bad_json: x\n",
        r#"{"e":5}"#,
    ];
    assert_eq!(found, expected);
    assert_eq!(cut("noise\n{\"a\":1}"), ["bad_json: noise\n", r#"{"a":1}"#]);
}

#[test]
fn a_second_list_of_records_is_not_believed() {
    let found = cut(r#"{"Records":[{"a":1}],"Records":[{"b":2}]}"#);
    assert_eq!(found, [r#"{"a":1}"#, r#"duplicate_key: "Records":[{"b":2}]}"#]);
    let found = cut(r#"{"Records":[{"a":1}],"Rec\u006frds":[{"b":2}]}"#);
    assert_eq!(found, [r#"{"a":1}"#, r#"duplicate_key: "Rec\u006frds":[{"b":2}]}"#]);
    let found = cut(r#"{"Records":[{"a":1}],"records":[{"b":2}]}"#);
    assert_eq!(found, [r#"{"a":1}"#, r#"duplicate_key: "records":[{"b":2}]}"#]);
}

#[test]
fn too_many_records_end_the_object() {
    let five = ["{}"; 5].join(",");
    assert_eq!(cut(&format!("[{five}]")).len(), 5);
    assert_eq!(
        cut(&format!("[{five},{{}},{{}}]")).last().map(String::as_str),
        Some("too_many_records: {},{}]")
    );
    assert_eq!(cut(&"{}\n".repeat(8)).len(), 6);
}

#[test]
fn a_digest_is_no_log() {
    let none = &mut |_: Frame<'_>| panic!("a digest has no records");
    let digest = r#"{"awsAccountId":"1","digestStartTime":"a","digestEndTime":"b","logFiles":[]}"#;
    assert_eq!(frames(digest.as_bytes(), 5, none), Shape::Digest);
    assert_eq!(frames(b"\x00\x01binary", 5, none), Shape::Unknown);
}
