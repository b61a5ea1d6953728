//! Where one record ends and the next begins, so that a broken one takes nobody with it.
//!
//! Shapes: `{"Records": [...]}`, `[...]`, one event, and one of these a line. After a break inside an array nothing can
//! be trusted: with a bracket too few or too many, what looks like the next record may be text that a caller put into a
//! request. The rest is one broken piece then. Between lines that begin with `{` the next line can be trusted.
//!
//! A [`Cutter`] stops between any two records and goes on later: when a slice is full, or when the window that it reads
//! has no more of the object. So a large object is never in memory as a whole.

use std::borrow::Cow;

use memchr::memchr;

use crate::formats::wraps::LISTS;
use crate::inflate::Shared;
use crate::quarantine::reason;
use crate::token::{balanced, skip_space, string_end};

/// The part of an object that is in memory.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub bytes: &'a [u8],
    /// The same as text, if all of it is UTF-8.
    pub text: Option<&'a str>,
    /// That text with what it stands in, if it may be kept.
    pub shared: Option<&'a Shared>,
    /// Nothing of the object comes after it, or nothing more of it may be taken into memory.
    pub last: bool,
}

impl<'a> Window<'a> {
    /// Bytes of which nothing is known yet.
    pub(crate) fn of(bytes: &'a [u8], last: bool) -> Self {
        Self { bytes, text: None, shared: None, last }
    }
}

/// Who takes what is cut.
pub(crate) trait Records {
    /// Reads the value at `at`, which ends before `end`, as a record. Just past it; none where its brackets do not
    /// balance, and then nothing was taken.
    fn record(&mut self, window: Window<'_>, at: usize, end: usize) -> Option<usize>;

    /// Like [`Self::record`], for the first value of a line: none also where it may be something else than an event.
    fn event(&mut self, _window: Window<'_>, _at: usize, _end: usize) -> Option<usize> {
        None
    }

    /// Takes what no record can be made of: from where the text breaks to where it can be trusted again.
    fn broken(&mut self, text: &[u8], reason: &'static str, detail: &'static str);

    /// Whether no more may come for now.
    fn is_full(&self) -> bool {
        false
    }
}

/// What the object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Events, in any of the shapes; perhaps none.
    Events,
    /// A digest: a signed list of log files, no events.
    Digest,
    /// Not JSON at all.
    Unknown,
}

/// Why a cutter stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Who takes the records is full.
    Full,
    /// The window ends within something.
    More,
    /// The object was cut to its end.
    End,
}

/// Cuts an object into records, at most as many as it was told.
pub(crate) struct Cutter {
    /// Everything of the window before was dealt with.
    at: usize,
    state: State,
    left: u32,
    shape: Shape,
    /// Brackets that are open: scratch space.
    open: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    /// Before an element of an array, or its bracket if it is the `first`.
    Element {
        list: List,
        first: bool,
    },
    /// After an element.
    Between(List),
    /// After the array of a `Records`, in its object.
    Wrapper(List),
    /// After the only array, where nothing may follow.
    Trailing,
    /// Where a line begins.
    Line,
    End,
}

/// An array of records.
#[derive(Debug, Clone, Copy)]
struct List {
    /// It is the value of `Records`.
    wrapped: bool,
    /// It ends here at the latest: with its line.
    line: Option<usize>,
}

/// What an object is, told by its own keys.
enum Object {
    /// `{"Records": [`; the array's first element is at `first`.
    Records {
        first: usize,
    },
    Digest,
    Event,
    Broken,
}

const BREAKS: &str = "the array breaks off here: the rest cannot be told apart";
const BREAKS_AFTER: &str = "the array breaks off after a record";
const WRAPPER_BREAKS: &str = "the object of `Records` breaks off";
const NO_OBJECT: &str = "the line is no JSON object";

impl Cutter {
    /// A cutter whose object begins at `at` of the first window.
    pub(crate) fn new(at: usize, records_max: u32) -> Self {
        Self { at, state: State::Start, left: records_max, shape: Shape::Events, open: Vec::new() }
    }

    /// What the object turned out to hold.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Everything of the window before this was dealt with.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Tells that the window lost its first `bytes`, at most [`Self::at`].
    pub(crate) fn shift(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
        match &mut self.state {
            State::Element { list, .. } | State::Between(list) | State::Wrapper(list) => {
                list.line = list.line.map(|end| end.saturating_sub(bytes));
            }
            State::Start | State::Trailing | State::Line | State::End => {}
        }
    }

    /// Goes on until the object or the window ends, or `records` is full.
    pub(crate) fn run(&mut self, window: Window<'_>, records: &mut impl Records) -> Pause {
        loop {
            if records.is_full() {
                return Pause::Full;
            }
            let done = match self.state {
                State::Start => self.start(window),
                State::Element { list, first } => self.element(window, list, first, records),
                State::Between(list) => self.between(window, list, records),
                State::Wrapper(list) => self.wrapper(window, list, records),
                State::Trailing => self.trailing(window, records),
                State::Line => self.line(window, records),
                State::End => return Pause::End,
            };
            if done.is_none() {
                return Pause::More;
            }
        }
    }

    /// Each step is `None`, and changes nothing, where the window has too little.
    fn start(&mut self, window: Window<'_>) -> Option<()> {
        let start = skip_space(window.bytes, self.at);
        let state = match window.bytes.get(start) {
            None if window.last => State::End,
            None => return None,
            Some(b'[') => {
                self.at = start + 1;
                State::Element { list: List { wrapped: false, line: None }, first: true }
            }
            Some(b'{') => match self.object(window.bytes, start) {
                Object::Digest => {
                    self.shape = Shape::Digest;
                    State::End
                }
                Object::Records { first } => {
                    self.at = first;
                    State::Element { list: List { wrapped: true, line: None }, first: true }
                }
                Object::Broken if !window.last => return None,
                Object::Event | Object::Broken => State::Line,
            },
            Some(_) if next_line(window.bytes, start).is_some() => State::Line,
            Some(_) if !window.last => return None,
            Some(_) => {
                self.shape = Shape::Unknown;
                State::End
            }
        };
        self.state = state;
        Some(())
    }

    #[inline]
    fn element(
        &mut self,
        window: Window<'_>,
        list: List,
        first: bool,
        records: &mut impl Records,
    ) -> Option<()> {
        let end = list.end(window);
        let at = skip_space(window.bytes, self.at);
        if first && at < end && window.bytes.get(at) == Some(&b']') {
            self.at = at + 1;
            return self.after_array(window, list, records);
        }
        if !window.last && list.line.is_none() && self.is_cut(window.bytes, at) {
            return None;
        }
        let past = if self.left == 0 {
            // It counts only as a record too many if it is one.
            let text = window.bytes.get(..end).unwrap_or_default();
            balanced(text, at, &mut self.open).map(|value| value.end)
        } else {
            records.record(window, at, end)
        };
        match past {
            Some(_) if self.left == 0 => self.too_many(window, at, records),
            // Mostly the next record begins behind a comma: then the state stays what it is, and nothing need be written.
            Some(past) if !first && past < end && window.bytes.get(past) == Some(&b',') => {
                self.left -= 1;
                self.at = past + 1;
                Some(())
            }
            Some(past) => {
                self.left -= 1;
                self.at = past;
                self.state = State::Between(list);
                Some(())
            }
            None => self.breaks(window, list, at, records, reason::BAD_JSON, BREAKS),
        }
    }

    #[inline]
    fn between(&mut self, window: Window<'_>, list: List, records: &mut impl Records) -> Option<()> {
        let at = skip_space(window.bytes, self.at);
        match window.bytes.get(at).filter(|_| at < list.end(window)) {
            Some(b',') => {
                self.at = at + 1;
                self.state = State::Element { list, first: false };
                Some(())
            }
            Some(b']') => {
                self.at = at + 1;
                self.after_array(window, list, records)
            }
            Some(_) => self.broken(window, list, at, records, reason::BAD_JSON, BREAKS_AFTER),
            None => self.breaks(window, list, at, records, reason::BAD_JSON, BREAKS_AFTER),
        }
    }

    fn after_array(&mut self, window: Window<'_>, list: List, records: &mut impl Records) -> Option<()> {
        match list {
            List { wrapped: true, .. } => self.state = State::Wrapper(list),
            List { line: Some(end), .. } => {
                self.state = State::Line;
                self.after_value(window, end, records);
            }
            List { line: None, .. } => self.state = State::Trailing,
        }
        Some(())
    }

    /// Reads one of the keys behind a `Records`, or the brace of its object.
    fn wrapper(&mut self, window: Window<'_>, list: List, records: &mut impl Records) -> Option<()> {
        let text = window.bytes.get(..list.end(window)).unwrap_or_default();
        let at = skip_space(text, self.at);
        match text.get(at) {
            Some(b'}') => {
                self.at = at + 1;
                self.state = State::Line;
                if let Some(end) = list.line {
                    self.after_value(window, end, records);
                }
                return Some(());
            }
            Some(b',') => {}
            Some(_) => return self.broken(window, list, at, records, reason::BAD_JSON, WRAPPER_BREAKS),
            None => return self.breaks(window, list, at, records, reason::BAD_JSON, WRAPPER_BREAKS),
        }
        let next = skip_space(text, at + 1);
        let Some((key, value)) = key(text, next) else {
            return self.breaks(window, list, at, records, reason::BAD_JSON, WRAPPER_BREAKS);
        };
        if is_list(text, &key, value) {
            let detail = "a second list of records";
            return self.broken(window, list, next, records, reason::DUPLICATE_KEY, detail);
        }
        match balanced(text, value, &mut self.open) {
            // A number may go on where the window ends.
            Some(value) if value.end < text.len() || window.last || list.line.is_some() => {
                self.at = value.end;
                Some(())
            }
            _ => self.breaks(window, list, at, records, reason::BAD_JSON, WRAPPER_BREAKS),
        }
    }

    fn trailing(&mut self, window: Window<'_>, records: &mut impl Records) -> Option<()> {
        let end = window.bytes.len();
        let at = skip_space(window.bytes, self.at);
        if at == end && !window.last {
            return None;
        }
        self.state = State::End;
        self.after_value(window, end, records);
        Some(())
    }

    /// Reads a line; a value may go on over lines that do not begin with `{`.
    fn line(&mut self, window: Window<'_>, records: &mut impl Records) -> Option<()> {
        let next = next_line(window.bytes, self.at);
        if next.is_none() && !window.last {
            return None;
        }
        let end = next.unwrap_or(window.bytes.len());
        let start = skip_space(window.bytes, self.at);
        self.state = if next.is_some() { State::Line } else { State::End };
        self.at = end;
        if start >= end {
            return Some(());
        }
        if self.left > 0
            && let Some(past) = records.event(window, start, end)
        {
            self.left -= 1;
            self.at = past;
            self.after_value(window, end, records);
            return Some(());
        }
        let text = window.bytes.get(..end).unwrap_or_default();
        let past = match text.get(start) {
            Some(b'{') => match self.object(text, start) {
                Object::Records { first } => {
                    self.at = first;
                    let list = List { wrapped: true, line: Some(end) };
                    self.state = State::Element { list, first: true };
                    return Some(());
                }
                Object::Event if self.left == 0 => return self.too_many(window, start, records),
                Object::Event => records.record(window, start, end),
                Object::Digest | Object::Broken => None,
            },
            Some(b'[') => {
                self.at = start + 1;
                let list = List { wrapped: false, line: Some(end) };
                self.state = State::Element { list, first: true };
                return Some(());
            }
            _ => None,
        };
        match past {
            Some(past) => {
                self.left -= 1;
                self.at = past;
                self.after_value(window, end, records);
            }
            None => records.broken(text.get(start..).unwrap_or_default(), reason::BAD_JSON, NO_OBJECT),
        }
        Some(())
    }

    /// Whether a number or a word may go on where the text ends.
    fn is_cut(&mut self, text: &[u8], at: usize) -> bool {
        match text.get(at) {
            Some(b'{' | b'[' | b'"') => false,
            Some(_) => balanced(text, at, &mut self.open).is_some_and(|value| value.end == text.len()),
            None => true,
        }
    }

    /// What the object at `start` is.
    fn object(&mut self, text: &[u8], start: usize) -> Object {
        let mut at = skip_space(text, start + 1);
        let mut digest_keys = 0;
        if text.get(at) == Some(&b'}') {
            return Object::Event;
        }
        loop {
            let Some((key, value)) = key(text, at) else { return Object::Broken };
            if is_list(text, &key, value) {
                return Object::Records { first: value + 1 };
            }
            if matches!(&*key, b"digestStartTime" | b"digestEndTime") {
                digest_keys += 1;
            }
            let Some(value) = balanced(text, value, &mut self.open) else { return Object::Broken };
            at = skip_space(text, value.end);
            match text.get(at) {
                Some(b',') => at = skip_space(text, at + 1),
                Some(b'}') if digest_keys >= 2 => return Object::Digest,
                Some(b'}') => return Object::Event,
                _ => return Object::Broken,
            }
        }
    }

    fn too_many(&mut self, window: Window<'_>, at: usize, records: &mut impl Records) -> Option<()> {
        let rest = window.bytes.get(at..).unwrap_or_default();
        records.broken(rest, reason::TOO_MANY_RECORDS, "the object has more records than the limit");
        self.state = State::End;
        Some(())
    }

    /// What stands behind a value, before `end`: the next value, on a line of its own that does not begin with `{`, or on
    /// the same one, as Firehose joins them. No comma stands between, so that no place inside of a record looks like this.
    fn after_value(&mut self, window: Window<'_>, end: usize, records: &mut impl Records) {
        let rest = skip_space(window.bytes, self.at);
        let text = window.bytes.get(rest..end).unwrap_or_default();
        if let Some(b'{' | b'[') = text.first() {
            self.state = State::Line;
            self.at = rest;
            return;
        }
        if !text.is_empty() {
            records.broken(text, reason::BAD_JSON, "text follows the record");
        }
        self.at = end;
    }

    /// A list that breaks off, unless it may go on behind the window.
    fn breaks(
        &mut self,
        window: Window<'_>,
        list: List,
        from: usize,
        records: &mut impl Records,
        reason: &'static str,
        detail: &'static str,
    ) -> Option<()> {
        if !window.last && list.line.is_none() {
            return None;
        }
        self.broken(window, list, from, records, reason, detail)
    }

    fn broken(
        &mut self,
        window: Window<'_>,
        list: List,
        from: usize,
        records: &mut impl Records,
        reason: &'static str,
        detail: &'static str,
    ) -> Option<()> {
        let end = list.end(window);
        records.broken(window.bytes.get(from..end).unwrap_or_default(), reason, detail);
        self.at = end;
        self.state = if list.line.is_some() { State::Line } else { State::End };
        Some(())
    }
}

impl List {
    fn end(self, window: Window<'_>) -> usize {
        self.line.unwrap_or(window.bytes.len())
    }
}

/// A piece of a text that is in memory as a whole.
#[cfg(test)]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A value whose brackets balance, to be parsed.
    Record { text: &'a [u8], depth: usize },
    /// What no record can be made of.
    Broken { text: &'a [u8], reason: &'static str, detail: &'static str },
}

#[cfg(test)]
/// Cuts `text` into frames and gives each to `each`, at most `records_max`.
pub(crate) fn frames(text: &[u8], records_max: u32, each: &mut dyn FnMut(Frame<'_>)) -> Shape {
    struct Each<'e> {
        each: &'e mut dyn FnMut(Frame<'_>),
        open: Vec<u8>,
    }
    impl Records for Each<'_> {
        fn record(&mut self, window: Window<'_>, at: usize, end: usize) -> Option<usize> {
            let value = balanced(window.bytes.get(..end)?, at, &mut self.open)?;
            (self.each)(Frame::Record { text: window.bytes.get(at..value.end)?, depth: value.depth });
            Some(value.end)
        }
        fn broken(&mut self, text: &[u8], reason: &'static str, detail: &'static str) {
            (self.each)(Frame::Broken { text, reason, detail });
        }
    }
    let mut cutter = Cutter::new(0, records_max);
    cutter.run(Window::of(text, true), &mut Each { each, open: Vec::new() });
    cutter.shape()
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
    if memchr(b'\\', name).is_some()
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
        at += 1 + memchr(b'\n', text.get(at..)?)?;
        if text.get(at) == Some(&b'{') {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
