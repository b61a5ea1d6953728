//! JSON of a log's field, read where it stands
//!
//! Most requests are short, plain and asked one or two questions. They are laid out as one list of nodes that point into
//! the text; whatever is not plain (escapes, fractions, line breaks, deep nesting, many keys) is read by `serde_json`,
//! which also decides what is no JSON. Members stand by their keys in order, and of equal keys the last one counts.

use std::borrow::Cow;
use std::cell::RefCell;

use memchr::memchr;
use serde_json::Value;

/// Deeper is left to `serde_json`, and so are objects with more members: they are put in order one by one here.
const DEPTH_MAX: usize = 32;
const MEMBERS_MAX: usize = 64;
/// Longer text is left to `serde_json` too: places are kept in 32 bits.
const BYTES_MAX: usize = 1 << 24;
/// Digits of a number that prints as it is written.
const DIGITS_MAX: usize = 15;

/// One text, laid out.
#[derive(Debug)]
pub(super) struct Tape<'a> {
    text: Cow<'a, str>,
    nodes: Vec<Node>,
    /// With what letters keys begin, a bit each
    initials: u32,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    key: Span,
    text: Span,
    child: u32,
    next: u32,
}

type Span = (u32, u32);
const NONE: u32 = u32::MAX;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    False,
    True,
    Number,
    Text,
    List,
    Map,
}

/// A value of a tape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'t> {
    tape: &'t Tape<'t>,
    at: u32,
}

thread_local! {
    // Lists of nodes that are done with: a call is read and left before the next one.
    static SPARE: RefCell<Vec<Vec<Node>>> = const { RefCell::new(Vec::new()) };
}
/// Lists that are kept, and how long they may be.
const SPARE_MAX: usize = 8;
const SPARE_NODES_MAX: usize = 4_096;

impl Drop for Tape<'_> {
    fn drop(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        if nodes.capacity() == 0 || nodes.capacity() > SPARE_NODES_MAX {
            return;
        }
        // A thread that ends has no spares any more.
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < SPARE_MAX
            {
                spare.push(nodes);
            }
        });
    }
}

impl<'a> Tape<'a> {
    /// Reads a text; null where there is none, or where it is no JSON.
    pub(super) fn read(text: Option<&'a str>) -> Tape<'a> {
        let nodes = SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop()).ok().flatten();
        let mut tape = Tape {
            text: Cow::Borrowed(text.unwrap_or_default()),
            nodes: nodes.unwrap_or_default(),
            initials: 0,
        };
        tape.nodes.clear();
        let Some(text) = text else {
            tape.push(Kind::Null, (0, 0), (0, 0));
            return tape;
        };
        let plain = Plain { text: text.as_bytes() };
        if !plain.is_plain() || plain.whole(&mut tape).is_none() {
            tape.nodes.clear();
            tape.text = Cow::Owned(String::new());
            tape.add(&serde_json::from_str(text).unwrap_or(Value::Null), (0, 0));
        }
        tape
    }

    /// The value of the whole text.
    pub(super) fn root(&self) -> Json<'_> {
        Json { tape: self, at: 0 }
    }

    fn push(&mut self, kind: Kind, key: Span, text: Span) -> u32 {
        let at = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Node { kind, key, text, child: NONE, next: NONE });
        at
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn slice(&self, (start, end): Span) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Lays a value out that is read already. `serde_json` bounds how deep it is.
    fn add(&mut self, value: &Value, key: Span) -> u32 {
        let (kind, text) = match value {
            Value::Null => (Kind::Null, (0, 0)),
            Value::Bool(false) => (Kind::False, (0, 0)),
            Value::Bool(true) => (Kind::True, (0, 0)),
            Value::Number(number) => (Kind::Number, self.keep(&number.to_string())),
            Value::String(text) => (Kind::Text, self.keep(text)),
            Value::Array(_) => (Kind::List, (0, 0)),
            Value::Object(_) => (Kind::Map, (0, 0)),
        };
        let at = self.push(kind, key, text);
        let mut last = NONE;
        let mut link = |tape: &mut Tape<'_>, child: u32| {
            let node = if last == NONE {
                tape.nodes.get_mut(at as usize)
            } else {
                tape.nodes.get_mut(last as usize)
            };
            match node {
                Some(node) if last == NONE => node.child = child,
                Some(node) => node.next = child,
                None => {}
            }
            last = child;
        };
        match value {
            Value::Array(list) => {
                for one in list {
                    let child = self.add(one, (0, 0));
                    link(self, child);
                }
            }
            Value::Object(map) => {
                for (key, one) in map {
                    self.initials |= initial(key.as_bytes());
                    let key = self.keep(key);
                    let child = self.add(one, key);
                    link(self, child);
                }
            }
            _ => {}
        }
        at
    }

    fn keep(&mut self, text: &str) -> Span {
        let kept = self.text.to_mut();
        let start = kept.len();
        kept.push_str(text);
        let place = |at: usize| u32::try_from(at).unwrap_or(NONE);
        (place(start), place(kept.len()))
    }
}

/// Text without escapes and control characters, so that every string ends at the next quote.
struct Plain<'a> {
    text: &'a [u8],
}

impl Plain<'_> {
    fn is_plain(&self) -> bool {
        self.text.len() <= BYTES_MAX
            && memchr(b'\\', self.text).is_none()
            && !self.text.iter().any(|byte| *byte < b' ')
    }

    fn whole(&self, tape: &mut Tape<'_>) -> Option<()> {
        let end = self.value(tape, self.skip(0), (0, 0), 0)?.1;
        (self.skip(end) == self.text.len()).then_some(())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn skip(&self, mut at: usize) -> usize {
        while self.byte(at) == Some(b' ') {
            at += 1;
        }
        at
    }

    /// The node, and where it ends. `None`: not plain, or no JSON.
    fn value(&self, tape: &mut Tape<'_>, at: usize, key: Span, depth: usize) -> Option<(u32, usize)> {
        if depth > DEPTH_MAX {
            return None;
        }
        let word = |word: &[u8]| self.text.get(at..at + word.len()) == Some(word);
        match self.byte(at)? {
            b'"' => {
                let (text, end) = self.string(at)?;
                Some((tape.push(Kind::Text, key, text), end))
            }
            b'{' => self.map(tape, at, key, depth),
            b'[' => self.list(tape, at, key, depth),
            b't' if word(b"true") => Some((tape.push(Kind::True, key, (0, 0)), at + 4)),
            b'f' if word(b"false") => Some((tape.push(Kind::False, key, (0, 0)), at + 5)),
            b'n' if word(b"null") => Some((tape.push(Kind::Null, key, (0, 0)), at + 4)),
            first @ b'0'..=b'9' => {
                let rest = self.text.get(at..)?;
                let digits =
                    rest.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
                let end = at + digits;
                let is_whole = matches!(self.byte(end), None | Some(b' ' | b',' | b'}' | b']'));
                let is_canonical = digits <= DIGITS_MAX && (first != b'0' || digits == 1);
                (is_whole && is_canonical).then(|| (tape.push(Kind::Number, key, span(at, end)), end))
            }
            _ => None,
        }
    }

    /// The text between quotes, and where it ends behind them.
    fn string(&self, at: usize) -> Option<(Span, usize)> {
        let start = at + 1;
        let end = start + memchr(b'"', self.text.get(start..)?)?;
        Some((span(start, end), end + 1))
    }

    fn list(&self, tape: &mut Tape<'_>, at: usize, key: Span, depth: usize) -> Option<(u32, usize)> {
        let list = tape.push(Kind::List, key, (0, 0));
        let mut at = self.skip(at + 1);
        if self.byte(at) == Some(b']') {
            return Some((list, at + 1));
        }
        let mut last = NONE;
        loop {
            let (child, end) = self.value(tape, at, (0, 0), depth + 1)?;
            match tape.nodes.get_mut(if last == NONE { list } else { last } as usize)? {
                node if last == NONE => node.child = child,
                node => node.next = child,
            }
            last = child;
            at = self.skip(end);
            match self.byte(at)? {
                b',' => at = self.skip(at + 1),
                b']' => return Some((list, at + 1)),
                _ => return None,
            }
        }
    }

    fn map(&self, tape: &mut Tape<'_>, at: usize, key: Span, depth: usize) -> Option<(u32, usize)> {
        let map = tape.push(Kind::Map, key, (0, 0));
        let mut at = self.skip(at + 1);
        if self.byte(at) == Some(b'}') {
            return Some((map, at + 1));
        }
        for _ in 0..MEMBERS_MAX {
            if self.byte(at)? != b'"' {
                return None;
            }
            let (name, end) = self.string(at)?;
            at = self.skip(end);
            if self.byte(at)? != b':' {
                return None;
            }
            let (child, end) = self.value(tape, self.skip(at + 1), name, depth + 1)?;
            self.put(tape, map, child, name)?;
            at = self.skip(end);
            match self.byte(at)? {
                b',' => at = self.skip(at + 1),
                b'}' => return Some((map, at + 1)),
                _ => return None,
            }
        }
        None
    }

    /// Puts a member where its key belongs, instead of an earlier one of the same key.
    fn put(&self, tape: &mut Tape<'_>, map: u32, child: u32, name: Span) -> Option<()> {
        let key = |(start, end): Span| self.text.get(start as usize..end as usize).unwrap_or_default();
        let name = key(name);
        tape.initials |= initial(name);
        let (mut before, mut at) = (NONE, tape.node(map)?.child);
        while at != NONE {
            let node = tape.node(at)?;
            match key(node.key).cmp(name) {
                std::cmp::Ordering::Less => (before, at) = (at, node.next),
                std::cmp::Ordering::Equal => {
                    at = node.next;
                    break;
                }
                std::cmp::Ordering::Greater => break,
            }
        }
        tape.nodes.get_mut(child as usize)?.next = at;
        match before {
            NONE => tape.nodes.get_mut(map as usize)?.child = child,
            before => tape.nodes.get_mut(before as usize)?.next = child,
        }
        Some(())
    }
}

/// The bit of a name's first letter, as names are compared: whatever its case, hyphens left out.
fn initial(name: &[u8]) -> u32 {
    let first = name.iter().find(|byte| !matches!(byte, b'-' | b'_'));
    first.map_or(0, |byte| 1 << (byte.to_ascii_lowercase() & 31))
}

fn span(start: usize, end: usize) -> Span {
    (u32::try_from(start).unwrap_or(NONE), u32::try_from(end).unwrap_or(NONE))
}

impl<'t> Json<'t> {
    pub(super) fn kind(self) -> Kind {
        self.tape.node(self.at).map_or(Kind::Null, |node| node.kind)
    }

    pub(super) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub(super) fn is_map(self) -> bool {
        self.kind() == Kind::Map
    }

    pub(super) fn is_list(self) -> bool {
        self.kind() == Kind::List
    }

    pub(super) fn text(self) -> Option<&'t str> {
        let node = self.tape.node(self.at).filter(|node| node.kind == Kind::Text)?;
        Some(self.tape.slice(node.text))
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self.kind() {
            Kind::False => Some(false),
            Kind::True => Some(true),
            _ => None,
        }
    }

    /// A text, flag or number as text.
    pub(super) fn scalar(self) -> Option<String> {
        match self.kind() {
            Kind::Text => self.text().map(str::to_owned),
            Kind::False => Some("false".to_owned()),
            Kind::True => Some("true".to_owned()),
            Kind::Number => self.tape.node(self.at).map(|node| self.tape.slice(node.text).to_owned()),
            _ => None,
        }
    }

    /// Null, false, and what holds nothing.
    pub(super) fn is_empty(self) -> bool {
        match self.kind() {
            Kind::Null | Kind::False => true,
            Kind::True | Kind::Number => false,
            Kind::Text => self.text().is_none_or(str::is_empty),
            Kind::List | Kind::Map => self.tape.node(self.at).is_none_or(|node| node.child == NONE),
        }
    }

    /// The values of a list; none of anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Json<'t>> + Clone {
        self.children(Kind::List)
    }

    /// Keys and values of a map, by key; none of anything else.
    pub(super) fn members(self) -> impl Iterator<Item = (&'t str, Json<'t>)> + Clone {
        let tape = self.tape;
        let key = move |one: Json<'t>| tape.node(one.at).map_or("", |node| tape.slice(node.key));
        self.children(Kind::Map).map(move |one| (key(one), one))
    }

    /// Whether a key that is called so, whatever its case and hyphens, may stand anywhere in the text: mostly not, and
    /// then there is nothing to look for.
    pub(super) fn may_name(self, name: &str) -> bool {
        self.tape.initials & initial(name.as_bytes()) != 0
    }

    /// A member of a map.
    pub(super) fn get(self, name: &str) -> Option<Json<'t>> {
        self.members().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn children(self, kind: Kind) -> impl Iterator<Item = Json<'t>> + Clone {
        let tape = self.tape;
        let first = tape.node(self.at).filter(|node| node.kind == kind).map_or(NONE, |node| node.child);
        std::iter::successors((first != NONE).then_some(first), move |at| {
            tape.node(*at).map(|node| node.next).filter(|next| *next != NONE)
        })
        .map(move |at| Json { tape, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `serde_json` makes of a tape's value.
    fn value(json: Json<'_>) -> Value {
        match json.kind() {
            Kind::Null => Value::Null,
            Kind::False | Kind::True => Value::Bool(json.flag().unwrap()),
            Kind::Number => Value::String(format!("number {}", json.scalar().unwrap())),
            Kind::Text => Value::String(json.text().unwrap().to_owned()),
            Kind::List => Value::Array(json.items().map(value).collect()),
            Kind::Map => {
                Value::Object(json.members().map(|(key, one)| (key.to_owned(), value(one))).collect())
            }
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

    fn agrees(text: &str) {
        let tape = Tape::read(Some(text));
        let expected = printed(serde_json::from_str(text).unwrap_or(Value::Null));
        assert_eq!(value(tape.root()), expected, "{text}");
        let keys: Vec<&str> = tape.root().members().map(|(key, _)| key).collect();
        assert!(keys.is_sorted(), "{text}");
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
            "[a-c\"\\\\é ]{0,4}".prop_map(|text| Value::String(text).to_string()),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(("[ab]{0,2}", inner), 0..6).prop_map(|members| {
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
}
