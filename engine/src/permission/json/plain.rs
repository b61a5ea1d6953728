//! JSON that needs nothing special, laid out in one pass

use memchr::{memchr, memchr2};

use super::{Kind, NONE, Span, Tape, span};

/// Deeper is left to `serde_json`, and so are objects with more members: they are put in order one by one here.
const DEPTH_MAX: usize = 32;
const MEMBERS_MAX: usize = 64;
/// Longer text is left to `serde_json` too: places are kept in 32 bits.
const BYTES_MAX: usize = 1 << 24;
/// Digits of a number that prints as it is written.
const DIGITS_MAX: usize = 15;

/// Text without control characters, so that what a string has in it need not be looked at.
pub(super) struct Plain<'a> {
    text: &'a [u8],
    has_escapes: bool,
}

impl<'a> Plain<'a> {
    pub(super) fn of(text: &'a str) -> Option<Plain<'a>> {
        let text = text.as_bytes();
        let is_plain = text.len() <= BYTES_MAX && !text.iter().any(|byte| *byte < b' ');
        is_plain.then(|| Plain { text, has_escapes: memchr(b'\\', text).is_some() })
    }

    pub(super) fn whole(&self, tape: &mut Tape<'_>) -> Option<()> {
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
                let (text, end) = self.string(tape, at)?;
                Some((tape.push(Kind::Text, key, text), end))
            }
            b'{' => self.map(tape, at, key, depth),
            b'[' => self.list(tape, at, key, depth),
            b't' if word(b"true") => Some((tape.push(Kind::True, key, (0, 0)), at + 4)),
            b'f' if word(b"false") => Some((tape.push(Kind::False, key, (0, 0)), at + 5)),
            b'n' if word(b"null") => Some((tape.push(Kind::Null, key, (0, 0)), at + 4)),
            b'-' | b'0'..=b'9' => {
                let (text, end) = self.number(tape, at)?;
                Some((tape.push(Kind::Number, key, text), end))
            }
            _ => None,
        }
    }

    /// A number as `serde_json` prints it, and where it ends.
    fn number(&self, tape: &mut Tape<'_>, at: usize) -> Option<(Span, usize)> {
        let rest = self.text.get(at..)?;
        let length = rest.iter().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
        let written = rest.get(..length)?;
        let end = at + length;
        let is_canonical = length <= DIGITS_MAX
            && (written == b"0" || !written.starts_with(b"0") && written.iter().all(u8::is_ascii_digit));
        if is_canonical {
            return Some((span(at, end), end));
        }
        let number: serde_json::Number = serde_json::from_slice(written).ok()?;
        Some((tape.keep_as_printed(&number), end))
    }

    /// The text between quotes, and where it ends behind them.
    fn string(&self, tape: &mut Tape<'_>, at: usize) -> Option<(Span, usize)> {
        let start = at + 1;
        if !self.has_escapes {
            let end = start + memchr(b'"', self.text.get(start..)?)?;
            return Some((span(start, end), end + 1));
        }
        let (mut end, mut is_escaped) = (start, false);
        loop {
            end += memchr2(b'"', b'\\', self.text.get(end..)?)?;
            if self.byte(end) == Some(b'"') {
                break;
            }
            // What follows is part of the escape, whatever it is.
            end += 2;
            is_escaped = true;
        }
        if !is_escaped {
            return Some((span(start, end), end + 1));
        }
        let text: String = serde_json::from_str(tape.text.get(at..=end)?).ok()?;
        Some((tape.keep(&text), end + 1))
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
            let (name, end) = self.string(tape, at)?;
            at = self.skip(end);
            if self.byte(at)? != b':' {
                return None;
            }
            let (child, end) = self.value(tape, self.skip(at + 1), name, depth + 1)?;
            put(tape, map, child, name)?;
            at = self.skip(end);
            match self.byte(at)? {
                b',' => at = self.skip(at + 1),
                b'}' => return Some((map, at + 1)),
                _ => return None,
            }
        }
        None
    }
}

/// Puts a member where its key belongs, instead of an earlier one of the same key.
fn put(tape: &mut Tape<'_>, map: u32, child: u32, name: Span) -> Option<()> {
    let mut keys = tape.keys;
    keys.add(tape.slice(name).as_bytes(), false);
    tape.keys = keys;
    let (mut before, mut at) = (NONE, tape.node(map)?.child);
    while at != NONE {
        let node = tape.node(at)?;
        match tape.slice(node.key).as_bytes().cmp(tape.slice(name).as_bytes()) {
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
