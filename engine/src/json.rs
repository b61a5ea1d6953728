//! JSON of a log's field, read where it stands
//!
//! A request is asked one or two questions, mostly of what stands at its top. So each level is laid out when it is first
//! asked for, and what nobody asks about is only passed over. Members stand by their keys in order, and of equal keys
//! the last one counts.
//!
//! The texts are parts of records that were validated when they were read. What is no JSON after all is read as far as
//! it goes. A text with a lone surrogate, which `serde_json` refuses, has U+FFFD in its place, as in the event table.

use std::cell::{OnceCell, RefCell};
use std::fmt::{self, Debug, Formatter};

use elsa::FrozenVec;
use ingest::escapes;
use ingest::keys::Keys;
use ingest::token::{balanced, skip_space, string_end};
use memchr::memchr;

/// Digits of a number that prints as it is written.
const DIGITS_MAX: usize = 15;

/// One text, and as much of it as was asked for.
pub(crate) struct Tape<'a> {
    text: &'a str,
    has_escapes: bool,
    laid: RefCell<Laid>,
    /// Texts that do not stand in `text` as they read.
    resolved: FrozenVec<Box<str>>,
    keys: OnceCell<Keys>,
}

impl Debug for Tape<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tape").field(&self.text).finish()
    }
}

/// Levels that are laid out, each in one piece.
#[derive(Debug, Default)]
struct Laid {
    nodes: Vec<Node>,
    /// Brackets that are open: scratch space.
    open: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    key: Piece,
    /// Of a list or map with its brackets, of a text without its quotes.
    text: Piece,
    /// The nodes inside, once they are laid out.
    inside: Option<(u32, u32)>,
}

/// A part of the text.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    start: u32,
    end: u32,
    reads: Reads,
}

/// How a piece is to be read.
#[derive(Debug, Clone, Copy, Default)]
enum Reads {
    #[default]
    AsItStands,
    /// It has escapes, and nobody asked for it yet
    Escaped,
    /// By its place among the resolved
    Resolved(u32),
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
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
pub(crate) struct Json<'t> {
    tape: &'t Tape<'t>,
    at: u32,
}

thread_local! {
    // Lists that are done with: a call is read and left before the next one.
    static SPARE: RefCell<Vec<Laid>> = const { RefCell::new(Vec::new()) };
}
/// Lists that are kept, and how long they may be.
const SPARE_MAX: usize = 8;
const SPARE_NODES_MAX: usize = 4_096;

impl Drop for Tape<'_> {
    fn drop(&mut self) {
        let laid = self.laid.take();
        if laid.nodes.capacity() == 0 || laid.nodes.capacity().max(laid.open.capacity()) > SPARE_NODES_MAX {
            return;
        }
        // A thread that ends has no spares any more.
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < SPARE_MAX
            {
                spare.push(laid);
            }
        });
    }
}

impl<'a> Tape<'a> {
    /// Takes a text; null where there is none, or where it is no JSON.
    pub(crate) fn read(text: Option<&'a str>) -> Tape<'a> {
        Tape::with_keys(text, OnceCell::new())
    }

    /// The same for a text whose keys are known.
    pub(crate) fn knowing(text: Option<&'a str>, keys: Keys) -> Tape<'a> {
        Tape::with_keys(text, OnceCell::from(keys))
    }

    fn with_keys(text: Option<&'a str>, keys: OnceCell<Keys>) -> Tape<'a> {
        let spare = SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop()).ok().flatten();
        let mut laid = spare.unwrap_or_default();
        laid.nodes.clear();
        // Places are kept in 32 bits. No record is that long.
        let text = text.filter(|text| u32::try_from(text.len()).is_ok()).unwrap_or_default();
        let has_escapes = memchr(b'\\', text.as_bytes()).is_some();
        let tape = Tape { text, has_escapes, laid: RefCell::default(), resolved: FrozenVec::new(), keys };
        let root = tape.value(skip_space(text.as_bytes(), 0), &mut laid.open);
        let root = root.filter(|(_, end)| skip_space(text.as_bytes(), *end) == text.len());
        laid.nodes.push(root.map_or(Node::NULL, |(node, _)| node));
        tape.laid.replace(laid);
        tape
    }

    /// The value of the whole text.
    pub(crate) fn root(&self) -> Json<'_> {
        Json { tape: self, at: 0 }
    }

    fn node(&self, at: u32) -> Node {
        self.laid.borrow().nodes.get(at as usize).copied().unwrap_or(Node::NULL)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The value that starts at `at`, unread, and where it ends.
    fn value(&self, at: usize, open: &mut Vec<u8>) -> Option<(Node, usize)> {
        let kind = match self.byte(at)? {
            b'"' => {
                let (text, end) = self.string(at)?;
                return Some((Node { kind: Kind::Text, text, ..Node::NULL }, end));
            }
            b'{' => Kind::Map,
            b'[' => Kind::List,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => return None,
        };
        let end = balanced(self.text.as_bytes(), at, open)?.end;
        let text = Piece::new(at, end);
        let word = match kind {
            Kind::True => "true",
            Kind::False => "false",
            Kind::Null => "null",
            _ => return Some((Node { kind, text, ..Node::NULL }, end)),
        };
        (self.text.get(at..end) == Some(word)).then_some((Node { kind, text, ..Node::NULL }, end))
    }

    /// The text between the quotes that open at `at`, and where it ends behind them.
    fn string(&self, at: usize) -> Option<(Piece, usize)> {
        let end = string_end(self.text.as_bytes(), at)?;
        let mut piece = Piece::new(at + 1, end - 1);
        let is_escaped =
            || self.text.as_bytes().get(at + 1..end).is_some_and(|text| memchr(b'\\', text).is_some());
        if self.has_escapes && is_escaped() {
            piece.reads = Reads::Escaped;
        }
        Some((piece, end))
    }

    /// The text of a piece, and how to read it the next time.
    fn resolve(&self, piece: Piece) -> (&str, Reads) {
        let written = self.text.get(piece.start as usize..piece.end as usize).unwrap_or_default();
        match piece.reads {
            Reads::AsItStands => (written, Reads::AsItStands),
            Reads::Resolved(at) => (self.resolved.get(at as usize).unwrap_or_default(), piece.reads),
            Reads::Escaped => {
                let mut text = String::with_capacity(written.len());
                escapes::resolve(written, &mut text);
                let at = u32::try_from(self.resolved.len()).map_or(Reads::Escaped, Reads::Resolved);
                (self.resolved.push_get(text.into_boxed_str()), at)
            }
        }
    }

    /// The nodes inside of a list or a map: the first, and how many.
    fn inside(&self, at: u32) -> (u32, u32) {
        let node = self.node(at);
        if let Some(known) = node.inside {
            return known;
        }
        let mut laid = self.laid.borrow_mut();
        let Laid { nodes, open } = &mut *laid;
        let first = nodes.len();
        self.lay_out(&node, nodes, open);
        if node.kind == Kind::Map {
            self.put_in_order(nodes, first);
        }
        let count = |count: usize| u32::try_from(count).unwrap_or_default();
        let inside = (count(first), count(nodes.len() - first));
        if let Some(node) = nodes.get_mut(at as usize) {
            node.inside = Some(inside);
        }
        inside
    }

    /// Adds what is inside of a list or a map in the order of the text, as far as it is JSON.
    fn lay_out(&self, outer: &Node, nodes: &mut Vec<Node>, open: &mut Vec<u8>) -> Option<()> {
        let text = self.text.as_bytes();
        let mut at = outer.text.start as usize + 1;
        loop {
            at = skip_space(text, at);
            let mut key = Piece::default();
            if outer.kind == Kind::Map {
                if self.byte(at)? != b'"' {
                    return None;
                }
                (key, at) = self.string(at)?;
                key.reads = self.resolve(key).1;
                at = skip_space(text, at);
                if self.byte(at)? != b':' {
                    return None;
                }
                at = skip_space(text, at + 1);
            }
            let (node, end) = self.value(at, open)?;
            nodes.push(Node { key, ..node });
            at = skip_space(text, end);
            if self.byte(at)? != b',' {
                return None;
            }
            at += 1;
        }
    }

    /// Sorts the last members by key; of equal keys the last one stays.
    fn put_in_order(&self, nodes: &mut Vec<Node>, first: usize) {
        let key = |node: &Node| self.resolve(node.key).0;
        let Some(members) = nodes.get_mut(first..) else { return };
        if members.is_sorted_by(|a, b| key(a) < key(b)) {
            return;
        }
        members.sort_by(|a, b| key(a).cmp(key(b)));
        let mut kept = first;
        for at in first..nodes.len() {
            let Some(node) = nodes.get(at).copied() else { break };
            let is_again = kept > first && nodes.get(kept - 1).is_some_and(|last| key(last) == key(&node));
            kept += usize::from(!is_again);
            if let Some(place) = nodes.get_mut(kept - 1) {
                *place = node;
            }
        }
        nodes.truncate(kept);
    }
}

impl Node {
    const NULL: Node = Node {
        kind: Kind::Null,
        key: Piece { start: 0, end: 0, reads: Reads::AsItStands },
        text: Piece { start: 0, end: 0, reads: Reads::AsItStands },
        inside: None,
    };
}

impl Piece {
    fn new(start: usize, end: usize) -> Piece {
        let place = |at: usize| u32::try_from(at).unwrap_or_default();
        Piece { start: place(start), end: place(end), reads: Reads::AsItStands }
    }
}

impl<'t> Json<'t> {
    pub(crate) fn kind(self) -> Kind {
        self.tape.node(self.at).kind
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub(crate) fn is_map(self) -> bool {
        self.kind() == Kind::Map
    }

    pub(crate) fn is_list(self) -> bool {
        self.kind() == Kind::List
    }

    pub(crate) fn text(self) -> Option<&'t str> {
        let node = self.tape.node(self.at);
        if node.kind != Kind::Text {
            return None;
        }
        let (text, reads) = self.tape.resolve(node.text);
        if matches!(node.text.reads, Reads::Escaped)
            && let Some(node) = self.tape.laid.borrow_mut().nodes.get_mut(self.at as usize)
        {
            node.text.reads = reads;
        }
        Some(text)
    }

    pub(crate) fn flag(self) -> Option<bool> {
        match self.kind() {
            Kind::False => Some(false),
            Kind::True => Some(true),
            _ => None,
        }
    }

    /// A text, flag or number as text; a number as `serde_json` prints it.
    pub(crate) fn scalar(self) -> Option<String> {
        match self.kind() {
            Kind::Text => self.text().map(str::to_owned),
            Kind::False => Some("false".to_owned()),
            Kind::True => Some("true".to_owned()),
            Kind::Number => {
                let written = self.written();
                let is_canonical = written.len() <= DIGITS_MAX
                    && (written == "0"
                        || !written.starts_with('0') && written.bytes().all(|b| b.is_ascii_digit()));
                if is_canonical {
                    return Some(written.to_owned());
                }
                serde_json::from_str::<serde_json::Number>(written).ok().map(|number| number.to_string())
            }
            _ => None,
        }
    }

    /// A list, map, number or word as it is written.
    pub(crate) fn written(self) -> &'t str {
        let Piece { start, end, .. } = self.tape.node(self.at).text;
        self.tape.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Null, false, and what holds nothing.
    pub(crate) fn is_empty(self) -> bool {
        match self.kind() {
            Kind::Null | Kind::False => true,
            Kind::True | Kind::Number => false,
            Kind::Text => self.text().is_none_or(str::is_empty),
            Kind::List | Kind::Map => self.tape.inside(self.at).1 == 0,
        }
    }

    /// The values of a list; none of anything else.
    pub(crate) fn items(self) -> impl Iterator<Item = Json<'t>> + Clone {
        self.children(Kind::List)
    }

    /// Keys and values of a map, by key; none of anything else.
    pub(crate) fn members(self) -> impl Iterator<Item = (&'t str, Json<'t>)> + Clone {
        let tape = self.tape;
        self.children(Kind::Map).map(move |one| (tape.resolve(tape.node(one.at).key).0, one))
    }

    /// Whether a key that is called so, whatever its case and hyphens, may stand anywhere in the text: mostly not, and
    /// then there is nothing to look for.
    pub(crate) fn may_name(self, name: &str) -> bool {
        self.tape.keys.get_or_init(|| Keys::of(self.tape.text)).may_begin(name)
    }

    /// A member of a map.
    pub(crate) fn get(self, name: &str) -> Option<Json<'t>> {
        self.members().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn children(self, kind: Kind) -> impl Iterator<Item = Json<'t>> + Clone {
        let tape = self.tape;
        let (first, count) = if self.kind() == kind { tape.inside(self.at) } else { (0, 0) };
        (first..first + count).map(move |at| Json { tape, at })
    }
}

#[cfg(test)]
mod tests;
