//! The way through one record: its keys in one forward pass, each value to its slot.
//!
//! Every byte of the record is validated, also in values that are kept raw or skipped, and each shortcut (the expected
//! key, the window of 32 bytes, a part that is known) falls back to a general path, so that any order of keys, white space
//! and escapes in keys read the same.

use std::borrow::Cow;

use super::keys::{Key, RECORD, RESOURCE, Slot, Target};
use super::repeats::{Part, Repeats, Sources, Told};
use super::scan::{Fault, Scanner, Seen, ensure};
use super::slots::{Fields, Marks, Slots, Span};
use crate::escapes;
use crate::token;

/// How many keys past the expected one are tried before a key is looked up by its name.
const AHEAD: usize = 6;

impl Slots {
    /// Reads the record that begins at `start` of `text`; just past it. `depth_max`: the record's own braces count.
    ///
    /// The first fault in the order of the text is told, and where it is.
    pub(super) fn read(
        &mut self,
        text: &str,
        start: usize,
        depth_max: usize,
    ) -> Result<usize, (Fault, usize)> {
        let Fields { marks: Marks { present, aside, .. }, sources, seen, veiled, .. } = &mut self.fields;
        (*present, *seen, *aside, *veiled, *sources) = (0, 0, 0, 0, Sources::default());
        self.marked = false;
        self.resources.clear();
        self.aside.clear();
        if self.depth_max != depth_max {
            // What was known is valid only under the limit that it was read by.
            self.repeats = Repeats::default();
            self.depth_max = depth_max;
        }
        ensure(u32::try_from(text.len()).is_ok(), Fault::Structure).map_err(|fault| (fault, start))?;
        let secrets = std::mem::take(&mut self.secrets);
        let mut walk = Walk { scan: Scanner::new(text, start, depth_max, secrets), slots: self };
        let read = if walk.scan.next_byte() == b'{' { walk.record() } else { Err(Fault::Type("a record")) };
        let Walk { scan: Scanner { pos, secrets, .. }, slots } = walk;
        slots.secrets = secrets;
        match read {
            Ok(()) => Ok(pos),
            Err(fault) => Err((fault, pos)),
        }
    }
}

struct Walk<'s, 't> {
    scan: Scanner<'t>,
    slots: &'s mut Slots,
}

/// A part of a record that was not known where it began, and what held then.
struct Begun {
    part: Part,
    place: usize,
    start: usize,
    seen: u64,
    own: (u64, u64, usize),
}

impl Begun {
    /// Whether a member with this key is its last. `more`: the record goes on.
    fn ends(&self, last: Option<&Key>, more: bool) -> bool {
        match self.part {
            Part::End => !more,
            Part::Call | Part::Caller => more && last.is_some_and(|key| key.slot == Slot::AwsRegion),
        }
    }
}

impl<'t> Walk<'_, 't> {
    /// Walks the record itself: like [`Self::object`], but the key that is expected is the one that came last time.
    fn record(&mut self) -> Result<(), Fault> {
        let mut before = 0;
        let mut begun = None;
        let mut more = self.scan.open(b'}', 1)?;
        while more {
            let expected = usize::from(self.slots.follows.get(before).copied().unwrap_or_default());
            let found = match (self.scan.window(), RECORD.get(expected)) {
                (Some(window), Some(key)) if key.begins(window) => {
                    self.scan.pos += key.length;
                    Some((expected, key))
                }
                _ => {
                    let found = self.key(RECORD, before)?;
                    if let Some((at, _)) = found
                        && let Some(follows) = self.slots.follows.get_mut(before)
                    {
                        *follows = at as u8;
                    }
                    found
                }
            };
            match found {
                Some((at, key)) => {
                    before = at + 1;
                    let part = match key.slot {
                        Slot::EventSource => Some(Part::Call),
                        Slot::EventType => Some(Part::End),
                        _ => None,
                    };
                    if let Some(part) = part {
                        match self.known(part) {
                            Ok(_) if part == Part::End => return Ok(()),
                            Ok(last) => {
                                before = last;
                                continue;
                            }
                            Err(new) => begun = new,
                        }
                    }
                    self.member(key, 2)?;
                }
                None => self.scan.skip(2)?,
            }
            more = self.scan.comma_or(b'}')?;
            if let Some(new) = &begun
                && new.ends(RECORD.get(before.wrapping_sub(1)), more)
            {
                self.keep(new, before);
                begun = None;
            }
        }
        Ok(())
    }

    /// Moves over a part that is known: the place of its last key, and one. Else the part as it has begun, unless it
    /// cannot be kept.
    #[inline(always)]
    fn known(&mut self, part: Part) -> Result<usize, Option<Begun>> {
        let start = self.scan.pos;
        let rest = self.scan.bytes.get(start..).unwrap_or_default();
        let Slots { repeats, fields, .. } = &mut *self.slots;
        let service = fields.spans.get(Slot::EventSource as usize).copied().unwrap_or_default();
        let Some(place) = part.place(rest, service.of(self.scan.text)) else { return Err(None) };
        if fields.seen & part.bits() != 0 {
            // Some of what it tells was told elsewhere.
            return Err(None);
        }
        let Some(known) = repeats.known(part, place, rest) else {
            let seen = fields.seen;
            return Err(Some(Begun { part, place, start, seen, own: self.own() }));
        };
        known.fill(part, start, &mut fields.spans);
        *fields.sources.of(part) = Some(known.source(place));
        let Told { present, seen, truth, before } = known.told;
        fields.marks.present |= present;
        fields.marks.truth = fields.marks.truth & !present | truth;
        fields.seen |= seen;
        self.scan.pos += known.length();
        Ok(before)
    }

    /// What grows with what only this record has: texts beside it, keys with escapes, places of secrets.
    fn own(&self) -> (u64, u64, usize) {
        let fields = &self.slots.fields;
        (fields.marks.aside, fields.veiled, self.scan.secrets.len())
    }

    /// Keeps a part that ends here. `before`: the place of its last key, and one.
    fn keep(&mut self, begun: &Begun, before: usize) {
        let Begun { part, place, start, seen, own } = *begun;
        if self.own() != own || self.slots.marked {
            return;
        }
        let Slots { repeats, fields, .. } = &mut *self.slots;
        let Some(text) = self.scan.bytes.get(start..self.scan.pos) else { return };
        let Marks { present, truth, .. } = fields.marks;
        let told = Told { present, seen: fields.seen & !seen, truth, before };
        *fields.sources.of(part) = repeats.keep(part, place, text, start, &fields.spans, told);
    }

    /// Walks an object whose keys matter. The cursor is on its brace.
    fn object(&mut self, keys: &'static [Key], depth: usize) -> Result<(), Fault> {
        let mut expected = 0;
        let mut more = self.scan.open(b'}', depth)?;
        while more {
            match self.key(keys, expected)? {
                Some((at, key)) => {
                    expected = at + 1;
                    self.member(key, depth + 1)?;
                }
                None => self.scan.skip(depth + 1)?,
            }
            more = self.scan.comma_or(b'}')?;
        }
        Ok(())
    }

    /// Reads a key with its colon; `None` if the table does not list it.
    #[inline(always)]
    fn key(&mut self, keys: &'static [Key], expected: usize) -> Result<Option<(usize, &'static Key)>, Fault> {
        let (Some(window), Some(key)) = (self.scan.window(), keys.get(expected)) else {
            return self.key_by_name(keys);
        };
        // The first comparison has a branch of its own: it is nearly always right.
        if key.begins(window) {
            self.scan.pos += key.length;
            return Ok(Some((expected, key)));
        }
        for (at, key) in keys.iter().enumerate().skip(expected + 1).take(AHEAD) {
            if key.begins(window) {
                self.scan.pos += key.length;
                return Ok(Some((at, key)));
            }
        }
        self.key_by_name(keys)
    }

    /// The general way: any order, white space, escapes in the key.
    #[inline(never)]
    fn key_by_name(&mut self, keys: &'static [Key]) -> Result<Option<(usize, &'static Key)>, Fault> {
        ensure(self.scan.next_byte() == b'"', Fault::Structure)?;
        let name = self.unquoted()?;
        let known = keys.iter().enumerate().find(|(_, key)| key.name == name);
        if let Some((_, key)) = known {
            // Before whatever is wrong behind it.
            self.is_new(key)?;
        }
        self.scan.expect(b':')?;
        Ok(known)
    }

    /// Whether a key whose value counts is there for the first time.
    #[inline(always)]
    fn is_new(&self, key: &'static Key) -> Result<(), Fault> {
        let counts = !matches!(key.target, Target::Skip | Target::Marker);
        ensure(!counts || self.slots.fields.seen & key.slot.bit() == 0, Fault::Duplicate(key.name))
    }

    /// Reads the value of a known key.
    #[inline(always)]
    fn member(&mut self, key: &'static Key, depth: usize) -> Result<(), Fault> {
        match key.target {
            Target::Skip => return self.scan.skip(depth),
            Target::Marker => {
                self.slots.marked = true;
                return self.scan.skip(depth);
            }
            _ => {}
        }
        self.is_new(key)?;
        let bit = key.slot.bit();
        self.slots.fields.seen |= bit;
        let next = self.scan.next_byte();
        if next == b'n' {
            return self.scan.literal(b"null");
        }
        match (key.target, next) {
            (Target::Text, b'"') => {
                let (span, escaped) = self.text()?;
                if let Some(slot) = self.slots.fields.spans.get_mut(key.slot as usize) {
                    *slot = span;
                }
                if span.is_empty() {
                    return Ok(());
                }
                self.slots.fields.marks.aside |= if escaped { bit } else { 0 };
            }
            (Target::Raw, _) => {
                let start = self.scan.pos;
                let Seen { veiled, mut keys } = self.scan.raw(depth)?;
                keys.tell_object(next == b'{');
                match key.slot {
                    Slot::Request => self.slots.fields.marks.request_keys = keys,
                    Slot::Additional => self.slots.fields.marks.additional_keys = keys,
                    _ => {}
                }
                if let Some(slot) = self.slots.fields.spans.get_mut(key.slot as usize) {
                    *slot = Span::new(start, self.scan.pos);
                }
                self.slots.fields.veiled |= if veiled { bit } else { 0 };
            }
            (Target::Flag, b't' | b'f' | b'"') => self.flag(key)?,
            (Target::Object(keys), b'{') if key.slot as u8 == Slot::Identity as u8 => {
                self.identity(keys, depth)?
            }
            (Target::Object(keys), b'{') => self.object(keys, depth)?,
            (Target::Resources, b'[') => self.resources(depth)?,
            (Target::Arn, b'"') => {
                let (span, escaped) = self.text()?;
                if !span.is_empty() {
                    self.slots.resources.push((span, escaped));
                }
            }
            _ => return Err(self.mistyped(key.name)),
        }
        self.slots.fields.marks.present |= bit;
        Ok(())
    }

    /// Reads the caller, or knows him again.
    #[inline]
    fn identity(&mut self, keys: &'static [Key], depth: usize) -> Result<(), Fault> {
        let begun = match self.known(Part::Caller) {
            Ok(_) => return Ok(()),
            Err(begun) => begun,
        };
        self.object(keys, depth)?;
        if let Some(begun) = begun {
            self.keep(&begun, 0);
        }
        Ok(())
    }

    /// A text, and whether it stands beside the record.
    #[inline(always)]
    fn text(&mut self) -> Result<(Span, bool), Fault> {
        let start = self.scan.pos + 1;
        let escaped = self.scan.string::<true>()?;
        let span = Span::new(start, self.scan.pos - 1);
        if !escaped {
            return Ok((span, false));
        }
        let from = self.slots.aside.len();
        escapes::resolve(span.of(self.scan.text), &mut self.slots.aside);
        Ok((Span::new(from, self.slots.aside.len()), true))
    }

    /// The string that the cursor is on, without its quotes and escapes.
    fn unquoted(&mut self) -> Result<Cow<'t, str>, Fault> {
        let start = self.scan.pos;
        let escaped = self.scan.string::<false>()?;
        let quoted = self.scan.text.get(start..self.scan.pos).unwrap_or_default();
        if escaped {
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Fault::String);
        }
        Ok(Cow::Borrowed(quoted.get(1..quoted.len() - 1).unwrap_or_default()))
    }

    /// `true`, or `"true"`: CloudTrail writes both.
    fn flag(&mut self, key: &'static Key) -> Result<(), Fault> {
        let truth = match self.scan.next_byte() {
            b't' => {
                self.scan.literal(b"true")?;
                true
            }
            b'f' => {
                self.scan.literal(b"false")?;
                false
            }
            _ => match &*self.unquoted()? {
                "true" | "True" => true,
                "false" | "False" => false,
                _ => return Err(Fault::Type(key.name)),
            },
        };
        let bit = key.slot.bit();
        let marks = &mut self.slots.fields.marks;
        marks.truth = marks.truth & !bit | if truth { bit } else { 0 };
        Ok(())
    }

    fn resources(&mut self, depth: usize) -> Result<(), Fault> {
        let mut more = self.scan.open(b']', depth)?;
        while more {
            match self.scan.next_byte() {
                b'{' => {
                    // Each element begins anew.
                    self.slots.fields.seen &= !Slot::ResourceArn.bit();
                    self.object(RESOURCE, depth + 1)?;
                }
                b'n' => self.scan.literal(b"null")?,
                _ => return Err(self.mistyped("resources")),
            }
            more = self.scan.comma_or(b']')?;
        }
        Ok(())
    }

    /// What to say about a value of another type; one that is no value at all is bad JSON first.
    #[cold]
    fn mistyped(&mut self, name: &'static str) -> Fault {
        let start = self.scan.pos;
        match self.scan.next_byte() {
            b'{' | b'[' => Fault::Type(name),
            b'"' => {
                let end = token::string_end(self.scan.bytes, start);
                let quoted = end.and_then(|end| self.scan.text.get(start..end));
                match quoted.map(serde_json::from_str::<String>) {
                    Some(Ok(_)) => Fault::Type(name),
                    _ => Fault::String,
                }
            }
            _ => match self.scan.scalar() {
                Err(fault) => fault,
                Ok(()) => {
                    let scalar = self.scan.text.get(start..self.scan.pos).unwrap_or_default();
                    match scalar.parse::<f64>() {
                        Ok(number) if number.is_infinite() => Fault::Number,
                        _ => Fault::Type(name),
                    }
                }
            },
        }
    }
}
