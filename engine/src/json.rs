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
use ingest::token::{skip_space, string, string_end};

/// Digits of a number that prints as it is written.
const DIGITS_MAX: usize = 15;

/// One text, and as much of it as was asked for.
pub(crate) struct Tape<'a> {
    text: &'a str,
    /// Levels that are laid out, each in one piece.
    nodes: RefCell<Vec<Node>>,
    /// Texts that do not stand in `text` as they read.
    resolved: FrozenVec<Box<str>>,
    keys: OnceCell<Keys>,
}

impl Debug for Tape<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tape").field(&self.text).finish()
    }
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    key: Piece,
    /// How its key begins: see [`rank`].
    rank: u64,
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
    static SPARE: RefCell<Vec<Vec<Node>>> = const { RefCell::new(Vec::new()) };
}
/// Lists that are kept, and how long they may be.
const SPARE_MAX: usize = 8;
const SPARE_NODES_MAX: usize = 4_096;

impl Drop for Tape<'_> {
    fn drop(&mut self) {
        let nodes = self.nodes.take();
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
        let mut nodes = spare.unwrap_or_default();
        nodes.clear();
        // Places are kept in 32 bits. No record is that long.
        let text = text.filter(|text| u32::try_from(text.len()).is_ok()).unwrap_or_default();
        let tape = Tape { text, nodes: RefCell::default(), resolved: FrozenVec::new(), keys };
        nodes.push(tape.whole().unwrap_or(Node::NULL));
        tape.nodes.replace(nodes);
        tape
    }

    /// The value of the whole text.
    pub(crate) fn root(&self) -> Json<'_> {
        Json { tape: self, at: 0 }
    }

    fn node(&self, at: u32) -> Node {
        self.nodes.borrow().get(at as usize).copied().unwrap_or(Node::NULL)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The value of the whole text, unread. Of a list or a map only its brackets are looked at.
    fn whole(&self) -> Option<Node> {
        let start = skip_space(self.text.as_bytes(), 0);
        let text = self.text.get(start..)?.trim_end_matches([' ', '\n', '\r', '\t']);
        let kind = match text.as_bytes() {
            [b'{', .., b'}'] => Kind::Map,
            [b'[', .., b']'] => Kind::List,
            [b'{' | b'[', ..] => return None,
            _ => {
                let (node, end) = self.value(start)?;
                return (end == start + text.len()).then_some(node);
            }
        };
        Some(Node { kind, text: Piece::new(start, start + text.len()), ..Node::NULL })
    }

    /// The value that starts at `at`, unread, and where it ends.
    fn value(&self, at: usize) -> Option<(Node, usize)> {
        let text = self.text.as_bytes();
        let (kind, word) = match self.byte(at)? {
            b'"' => {
                let (text, end) = self.string(at)?;
                return Some((Node { kind: Kind::Text, text, ..Node::NULL }, end));
            }
            b'{' => (Kind::Map, ""),
            b'[' => (Kind::List, ""),
            b't' => (Kind::True, "true"),
            b'f' => (Kind::False, "false"),
            b'n' => (Kind::Null, "null"),
            b'-' | b'0'..=b'9' => (Kind::Number, ""),
            _ => return None,
        };
        let end = match kind {
            Kind::Map | Kind::List => past_brackets(text, at)?,
            _ => {
                let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                at + text.get(at..)?.iter().take_while(|byte| inside(byte)).count()
            }
        };
        let is_word = word.is_empty() || text.get(at..end) == Some(word.as_bytes());
        is_word.then_some((Node { kind, text: Piece::new(at, end), ..Node::NULL }, end))
    }

    /// The text between the quotes that open at `at`, and where it ends behind them.
    fn string(&self, at: usize) -> Option<(Piece, usize)> {
        let (end, is_escaped) = string(self.text.as_bytes(), at)?;
        let mut piece = Piece::new(at + 1, end - 1);
        if is_escaped {
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
        let mut nodes = self.nodes.borrow_mut();
        let first = nodes.len();
        self.lay_out(&node, &mut nodes);
        if node.kind == Kind::Map {
            self.put_in_order(&mut nodes, first);
        }
        let count = |count: usize| u32::try_from(count).unwrap_or_default();
        let inside = (count(first), count(nodes.len() - first));
        if let Some(node) = nodes.get_mut(at as usize) {
            node.inside = Some(inside);
        }
        inside
    }

    /// Adds what is inside of a list or a map in the order of the text, as far as it is JSON.
    fn lay_out(&self, outer: &Node, nodes: &mut Vec<Node>) -> Option<()> {
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
                if let Reads::Escaped = key.reads {
                    key.reads = self.resolve(key).1;
                }
                at = skip_space(text, at);
                if self.byte(at)? != b':' {
                    return None;
                }
                at = skip_space(text, at + 1);
            }
            let (node, end) = self.value(at)?;
            nodes.push(Node { key, rank: rank(self.bytes(key)), ..node });
            at = skip_space(text, end);
            if self.byte(at)? != b',' {
                return None;
            }
            at += 1;
        }
    }

    /// Sorts the last members by key; of equal keys the last one stays.
    fn put_in_order(&self, nodes: &mut Vec<Node>, first: usize) {
        let order =
            |a: &Node, b: &Node| a.rank.cmp(&b.rank).then_with(|| self.bytes(a.key).cmp(self.bytes(b.key)));
        let Some(members) = nodes.get_mut(first..) else { return };
        if members.is_sorted_by(|a, b| order(a, b).is_lt()) {
            return;
        }
        members.sort_by(order);
        let mut kept = first;
        for at in first..nodes.len() {
            let Some(node) = nodes.get(at).copied() else { break };
            let last = kept.checked_sub(1).filter(|last| *last >= first).and_then(|last| nodes.get(last));
            kept += usize::from(last.is_none_or(|last| order(last, &node).is_lt()));
            if let Some(place) = nodes.get_mut(kept - 1) {
                *place = node;
            }
        }
        nodes.truncate(kept);
    }

    /// The bytes of a piece that needs no resolving any more.
    fn bytes(&self, piece: Piece) -> &[u8] {
        match piece.reads {
            Reads::Resolved(at) => self.resolved.get(at as usize).unwrap_or_default().as_bytes(),
            _ => self.text.as_bytes().get(piece.start as usize..piece.end as usize).unwrap_or_default(),
        }
    }
}

/// The first eight bytes of a key as a number, which is ordered as the keys are.
fn rank(key: &[u8]) -> u64 {
    if let Some(start) = key.first_chunk::<8>() {
        return u64::from_be_bytes(*start);
    }
    let start = key.iter().fold(0, |start, byte| start << 8 | u64::from(*byte));
    start.checked_shl(64 - 8 * key.len() as u32).unwrap_or_default()
}

/// Just past the list or map that opens at `at`, by its brackets alone.
fn past_brackets(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

impl Node {
    const NULL: Node = Node {
        kind: Kind::Null,
        key: Piece { start: 0, end: 0, reads: Reads::AsItStands },
        rank: 0,
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
            && let Some(node) = self.tape.nodes.borrow_mut().get_mut(self.at as usize)
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
        let (first, count) = self.inside(Kind::Map);
        let (nodes, rank) = (self.tape.nodes.borrow(), rank(name.as_bytes()));
        let members = nodes.get(first as usize..)?.get(..count as usize)?;
        let is_it = |node: &Node| node.rank == rank && self.tape.bytes(node.key) == name.as_bytes();
        let place = u32::try_from(members.iter().position(is_it)?).ok()?;
        Some(Json { tape: self.tape, at: first + place })
    }

    fn inside(self, kind: Kind) -> (u32, u32) {
        if self.kind() == kind { self.tape.inside(self.at) } else { (0, 0) }
    }

    fn children(self, kind: Kind) -> impl Iterator<Item = Json<'t>> + Clone {
        let tape = self.tape;
        let (first, count) = self.inside(kind);
        (first..first + count).map(move |at| Json { tape, at })
    }
}

#[cfg(test)]
mod tests;
