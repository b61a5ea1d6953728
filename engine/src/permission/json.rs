//! JSON of a log's field, read where it stands
//!
//! Most requests are short, plain and asked one or two questions. They are laid out as one list of nodes that point into
//! the text; whatever is not plain (line breaks, deep nesting, many keys) is read by `serde_json`, which also
//! decides what is no JSON. Members stand by their keys in order, and of equal keys the last one counts.

mod plain;

use std::cell::RefCell;
use std::fmt::{Display, Write};

use ingest::keys::Keys;
use plain::Plain;
use serde_json::Value;

/// One text, laid out.
#[derive(Debug)]
pub(super) struct Tape<'a> {
    text: &'a str,
    /// Texts that do not stand in `text` as they read; their places go on where its own end.
    decoded: String,
    nodes: Vec<Node>,
    keys: Keys,
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
            text: text.unwrap_or_default(),
            decoded: String::new(),
            nodes: nodes.unwrap_or_default(),
            keys: Keys::default(),
        };
        tape.nodes.clear();
        let Some(text) = text else {
            tape.push(Kind::Null, (0, 0), (0, 0));
            return tape;
        };
        if Plain::of(text).and_then(|plain| plain.whole(&mut tape)).is_none() {
            tape.nodes.clear();
            tape.decoded.clear();
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
        let (start, end) = (start as usize, end as usize);
        let told = match start.checked_sub(self.text.len()) {
            None => self.text.get(start..end),
            Some(start) => self.decoded.get(start..end - self.text.len()),
        };
        told.unwrap_or_default()
    }

    /// Lays a value out that is read already. `serde_json` bounds how deep it is.
    fn add(&mut self, value: &Value, key: Span) -> u32 {
        let (kind, text) = match value {
            Value::Null => (Kind::Null, (0, 0)),
            Value::Bool(false) => (Kind::False, (0, 0)),
            Value::Bool(true) => (Kind::True, (0, 0)),
            Value::Number(number) => (Kind::Number, self.keep_as_printed(number)),
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
                    self.keys.add(key.as_bytes(), false);
                    let key = self.keep(key);
                    let child = self.add(one, key);
                    link(self, child);
                }
            }
            _ => {}
        }
        at
    }

    fn keep_as_printed(&mut self, value: &impl Display) -> Span {
        let start = self.text.len() + self.decoded.len();
        // Writing to a text cannot fail.
        let _ = write!(self.decoded, "{value}");
        span(start, self.text.len() + self.decoded.len())
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.text.len() + self.decoded.len();
        self.decoded.push_str(text);
        span(start, start + text.len())
    }
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
        self.tape.keys.may_begin(name)
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
mod tests;
