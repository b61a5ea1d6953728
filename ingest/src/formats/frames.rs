//! Where one record ends and the next begins, so that a broken one takes nobody with it.

use std::borrow::Cow;

use crate::formats::wraps::LISTS;
use crate::quarantine::reason;
use crate::token::{balanced, skip_space, string_end};

/// A piece of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A value whose brackets balance, to be parsed.
    Record { text: &'a [u8], depth: usize },
    /// What no record can be made of: from where the text breaks to where it can be trusted again.
    Broken { text: &'a [u8], reason: &'static str, detail: &'static str },
}

/// What the object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Events, in any of the shapes below; perhaps none.
    Events,
    /// A digest: a signed list of log files, no events.
    Digest,
    /// Not JSON at all.
    Unknown,
}

/// Cuts `text` into frames and gives each to `each`, at most `records_max`.
///
/// Shapes: `{"Records": [...]}`, `[...]`, one event, and one of these a line. After a break inside an array nothing can
/// be trusted: with a bracket too few or too many, what looks like the next record may be text that a caller put
/// into a request. The rest is one broken frame then. Between lines that begin with `{` the next line can be trusted.
pub(crate) fn frames<'a>(text: &'a [u8], records_max: u32, each: &mut dyn FnMut(Frame<'a>)) -> Shape {
    let mut cutter = Cutter { text, left: records_max, full: false, open: Vec::new(), each };
    let start = skip_space(text, 0);
    match text.get(start) {
        None => Shape::Events,
        Some(b'[') => {
            if let Some(rest) = cutter.array(start + 1, text.len()) {
                cutter.lines(rest);
            }
            Shape::Events
        }
        Some(b'{') => {
            let rest = match cutter.object(start, text.len()) {
                Object::Digest => return Shape::Digest,
                Object::Records { first } => cutter.wrapper(first, text.len()),
                Object::Event { .. } | Object::Broken => Some(start),
            };
            if let Some(rest) = rest {
                cutter.lines(rest);
            }
            Shape::Events
        }
        Some(_) if next_line(text, start).is_some() => {
            cutter.lines(start);
            Shape::Events
        }
        Some(_) => Shape::Unknown,
    }
}

struct Cutter<'a, 'e> {
    text: &'a [u8],
    left: u32,
    /// There were more records than `left`; the rest was given as broken.
    full: bool,
    open: Vec<u8>,
    each: &'e mut dyn FnMut(Frame<'a>),
}

enum Object {
    /// `{"Records": [`; the array's first element is at `first`.
    Records {
        first: usize,
    },
    Digest,
    Event {
        end: usize,
        depth: usize,
    },
    Broken,
}

impl<'a> Cutter<'a, '_> {
    /// What the object at `start` is, told by its own keys.
    fn object(&mut self, start: usize, end: usize) -> Object {
        let Some(text) = self.text.get(..end) else { return Object::Broken };
        let mut at = skip_space(text, start + 1);
        let mut depth = 1;
        let mut digest_keys = 0;
        if text.get(at) == Some(&b'}') {
            return Object::Event { end: at + 1, depth };
        }
        loop {
            let Some((key, value)) = key(text, at) else { return Object::Broken };
            if is_list(text, &key, value) {
                return Object::Records { first: value + 1 };
            }
            match (&*key, text.get(value)) {
                (b"digestStartTime" | b"digestEndTime", _) => digest_keys += 1,
                _ => {}
            }
            let Some(value) = balanced(text, value, &mut self.open) else { return Object::Broken };
            depth = depth.max(value.depth + 1);
            at = skip_space(text, value.end);
            match text.get(at) {
                Some(b',') => at = skip_space(text, at + 1),
                Some(b'}') if digest_keys >= 2 => return Object::Digest,
                Some(b'}') => return Object::Event { end: at + 1, depth },
                _ => return Object::Broken,
            }
        }
    }

    /// Reads a `Records` array and the keys behind it; just past the wrapper, none where it broke.
    fn wrapper(&mut self, first: usize, end: usize) -> Option<usize> {
        let text = self.text.get(..end)?;
        let mut at = skip_space(text, self.array(first, end)?);
        loop {
            match text.get(at) {
                Some(b'}') => return Some(at + 1),
                Some(b',') => {}
                _ => return self.broken(at, end, reason::BAD_JSON, "the object of `Records` breaks off"),
            }
            let next = skip_space(text, at + 1);
            let Some((key, value)) = key(text, next) else {
                return self.broken(at, end, reason::BAD_JSON, "the object of `Records` breaks off");
            };
            if is_list(text, &key, value) {
                return self.broken(next, end, reason::DUPLICATE_KEY, "a second list of records");
            }
            let Some(value) = balanced(text, value, &mut self.open) else {
                return self.broken(at, end, reason::BAD_JSON, "the object of `Records` breaks off");
            };
            at = skip_space(text, value.end);
        }
    }

    /// Reads the elements of an array whose first is at `at`; just past its bracket, none where it broke.
    fn array(&mut self, mut at: usize, end: usize) -> Option<usize> {
        let text = self.text.get(..end)?;
        at = skip_space(text, at);
        if text.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        loop {
            let Some(value) = balanced(text, at, &mut self.open) else {
                return self.broken(
                    at,
                    end,
                    reason::BAD_JSON,
                    "the array breaks off here: the rest cannot be told apart",
                );
            };
            self.record(at, value.end, value.depth)?;
            at = skip_space(text, value.end);
            match text.get(at) {
                Some(b',') => at = skip_space(text, at + 1),
                Some(b']') => return Some(at + 1),
                _ => return self.broken(at, end, reason::BAD_JSON, "the array breaks off after a record"),
            }
        }
    }

    /// Reads what is left as lines that begin with `{`; a value may go on over lines that begin otherwise.
    fn lines(&mut self, from: usize) {
        let mut next = Some(from);
        while let Some(start) = next {
            next = next_line(self.text, start);
            self.values(start, next.unwrap_or(self.text.len()));
            if self.full {
                return;
            }
        }
    }

    /// Reads one value behind the other: on lines that do not begin with their bracket, or on one line, as Firehose
    /// joins them. No comma stands between them, so that no place inside a record looks like the end of one.
    fn values(&mut self, from: usize, end: usize) {
        let mut at = skip_space(self.text, from);
        let mut detail = "the line is no JSON object";
        while at < end {
            let past = match self.text.get(at) {
                Some(b'{') => match self.object(at, end) {
                    Object::Records { first } => self.wrapper(first, end),
                    Object::Event { end: past, depth } => self.record(at, past, depth).map(|()| past),
                    Object::Digest | Object::Broken => self.broken(at, end, reason::BAD_JSON, detail),
                },
                Some(b'[') => self.array(at + 1, end),
                _ => self.broken(at, end, reason::BAD_JSON, detail),
            };
            let Some(past) = past else { return };
            detail = "text follows the record";
            at = skip_space(self.text, past);
        }
    }

    /// One record; none when there are too many.
    fn record(&mut self, start: usize, past: usize, depth: usize) -> Option<()> {
        if self.left == 0 {
            self.full = true;
            let rest = self.text.len();
            return self.broken(
                start,
                rest,
                reason::TOO_MANY_RECORDS,
                "the object has more records than the limit",
            );
        }
        self.left -= 1;
        if let Some(text) = self.text.get(start..past) {
            (self.each)(Frame::Record { text, depth });
        }
        Some(())
    }

    fn broken<T>(
        &mut self,
        from: usize,
        end: usize,
        reason: &'static str,
        detail: &'static str,
    ) -> Option<T> {
        (self.each)(Frame::Broken { text: self.text.get(from..end).unwrap_or_default(), reason, detail });
        None
    }
}

/// The key at `at`, its escapes resolved, and where its value starts.
fn key(text: &[u8], at: usize) -> Option<(Cow<'_, [u8]>, usize)> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let past = string_end(text, at)?;
    let colon = skip_space(text, past);
    let value = (text.get(colon) == Some(&b':')).then(|| skip_space(text, colon + 1))?;
    let name = text.get(at + 1..past - 1)?;
    // Another reader would know `\u0052ecords` for what it is.
    if memchr::memchr(b'\\', name).is_some()
        && let Ok(name) = serde_json::from_slice::<String>(text.get(at..past)?)
    {
        return Some((Cow::Owned(name.into_bytes()), value));
    }
    Some((Cow::Borrowed(name), value))
}

/// Whether the value of `key` is a list of records. `Records` is one whatever it holds; other names are common words, and
/// mean records only where they list objects.
fn is_list(text: &[u8], key: &[u8], value: usize) -> bool {
    if text.get(value) != Some(&b'[') {
        return false;
    }
    let first = skip_space(text, value + 1);
    key == b"Records"
        || LISTS.iter().any(|list| list.as_bytes() == key) && matches!(text.get(first), Some(b'{' | b']'))
}

/// The next line after `from` that begins with `{`.
fn next_line(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += 1 + text.get(at..)?.iter().position(|byte| *byte == b'\n')?;
        if text.get(at) == Some(&b'{') {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            cut(" {\n \"a\": {\n  \"b\": 1\n }\n}\n{\n}"),
            ["{\n \"a\": {\n  \"b\": 1\n }\n}", "{\n}"]
        );
        assert_eq!(cut("{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":2}]}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(cut("{\"Records\":[\n{\"a\":1},\n{\"b\":2}\n]}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(cut(" {\"a\":1}\n {\"b\":2}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(cut("[{\"a\":1}]\n[{\"b\":2}]\n{\"c\":3}"), [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
        assert_eq!(
            cut(r#"{"a":1}{"b":2} {"Records":[{"c":3}]}[]"#),
            [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]
        );
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
}
