//! JSON, one token at a time: every byte is validated, nothing is built.
//!
//! Strings are scanned 16 bytes at a time (`wide` keeps the intrinsics behind a safe API): most are shorter than 32, and
//! without AVX2 those would be two steps anyway. A vector that crosses a function call goes through memory, so windows
//! are passed as references. What is accepted is what `serde_json` accepts for a value that it skips.

use std::num::NonZeroU32;

use wide::u8x16;

use super::slots::Span;
use crate::keys::Keys;
use crate::redact;
use crate::token::skip_space;

/// How many bytes are compared with a key.
pub(super) const WINDOW: usize = 32;

/// How many bytes of a string are looked at together.
const STEP: usize = 16;

/// Deepest nesting that is followed. Recursion ends here, whatever the limits say.
const FOLLOWED_DEPTH_MAX: usize = 127;

/// Why a text is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A bracket, comma, colon or value is missing or misplaced, or the text ends.
    Structure,
    /// A control character in a string, an escape that is none, or a string that does not end.
    String,
    /// Not a number, or one that no number can hold.
    Number,
    /// Neither `true`, `false` nor `null`.
    Literal,
    /// Nested too deep.
    Depth,
    /// A known key has a value of another type.
    Type(&'static str),
    /// A known key comes twice.
    Duplicate(&'static str),
}

/// What was seen of the keys of a value.
#[derive(Default)]
pub(super) struct Seen {
    /// One has escapes, so that it may be a secret's.
    pub veiled: bool,
    pub keys: Keys,
}

/// A cursor on valid UTF-8.
pub(super) struct Scanner<'t> {
    pub text: &'t str,
    pub bytes: &'t [u8],
    pub pos: usize,
    /// The values of secrets' keys in values that are kept as they are.
    pub secrets: Vec<Span>,
    depth_max: usize,
}

impl<'t> Scanner<'t> {
    /// `secrets`: room for them.
    pub(super) fn new(text: &'t str, pos: usize, depth_max: usize, mut secrets: Vec<Span>) -> Self {
        secrets.clear();
        Self { text, bytes: text.as_bytes(), pos, secrets, depth_max: depth_max.min(FOLLOWED_DEPTH_MAX) }
    }

    /// Skips white space; the byte under the cursor, or 0 at the end (0 begins no token).
    #[inline(always)]
    pub(super) fn next_byte(&mut self) -> u8 {
        match self.bytes.get(self.pos) {
            Some(&byte) if byte > b' ' => byte,
            _ => self.next_after_space(),
        }
    }

    /// CloudTrail writes no white space.
    #[cold]
    #[inline(never)]
    fn next_after_space(&mut self) -> u8 {
        self.pos = skip_space(self.bytes, self.pos);
        self.peek()
    }

    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        ensure(self.next_byte() == byte, Fault::Structure)?;
        self.pos += 1;
        Ok(())
    }

    /// The next bytes, unless the text ends before.
    #[inline(always)]
    pub(super) fn window<const BYTES: usize>(&self) -> Option<&'t [u8; BYTES]> {
        self.bytes.get(self.pos..)?.first_chunk()
    }

    /// Moves over an opening bracket; `false` if the container is empty and thereby passed.
    #[inline(always)]
    pub(super) fn open(&mut self, close: u8, depth: usize) -> Result<bool, Fault> {
        ensure(depth <= self.depth_max, Fault::Depth)?;
        self.pos += 1;
        let empty = self.next_byte() == close;
        self.pos += usize::from(empty);
        Ok(!empty)
    }

    /// Moves over what follows a member: `true` after a comma, `false` after the closing bracket.
    #[inline(always)]
    pub(super) fn comma_or(&mut self, close: u8) -> Result<bool, Fault> {
        let byte = self.next_byte();
        ensure(byte == b',' || byte == close, Fault::Structure)?;
        self.pos += 1;
        Ok(byte == b',')
    }

    /// Validates a value that nobody wants.
    #[inline(always)]
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        self.value::<false>(depth, &mut Seen::default())
    }

    /// Validates a value whose text is kept, and looks at its keys.
    #[inline(always)]
    pub(super) fn raw(&mut self, depth: usize) -> Result<Seen, Fault> {
        let mut seen = Seen::default();
        self.value::<true>(depth, &mut seen)?;
        Ok(seen)
    }

    #[inline(always)]
    fn value<const KEYS: bool>(&mut self, depth: usize, seen: &mut Seen) -> Result<(), Fault> {
        match self.next_byte() {
            b'"' => {
                let escaped = self.string::<false>()?;
                if KEYS {
                    seen.keys.tell_escapes(escaped);
                }
                Ok(())
            }
            b'{' => self.container::<KEYS>(b'}', depth, seen),
            b'[' => self.container::<KEYS>(b']', depth, seen),
            _ => self.scalar(),
        }
    }

    /// The cursor is on the opening bracket. Recursion is safe: [`Self::open`] bounds it.
    fn container<const KEYS: bool>(&mut self, close: u8, depth: usize, seen: &mut Seen) -> Result<(), Fault> {
        let mut more = self.open(close, depth)?;
        while more {
            let mut is_secret = false;
            if close == b'}' {
                ensure(self.next_byte() == b'"', Fault::Structure)?;
                let start = self.pos + 1;
                let escaped = self.string::<false>()?;
                if KEYS {
                    let name = self.bytes.get(start..self.pos - 1).unwrap_or_default();
                    seen.veiled |= escaped;
                    seen.keys.add(name, escaped);
                    is_secret = redact::is_secret_key(name);
                }
                self.expect(b':')?;
            }
            if is_secret {
                self.secret(depth + 1, seen)?;
            } else {
                self.value::<KEYS>(depth + 1, seen)?;
            }
            more = self.comma_or(close)?;
        }
        Ok(())
    }

    /// Validates the value of a secret's key, and notes where it stands: as one, whatever secrets are in it.
    #[inline(never)]
    fn secret(&mut self, depth: usize, seen: &mut Seen) -> Result<(), Fault> {
        self.next_byte();
        let (start, before) = (self.pos, self.secrets.len());
        self.value::<true>(depth, seen)?;
        self.secrets.truncate(before);
        self.secrets.push(Span::new(start, self.pos));
        Ok(())
    }

    /// A number or a word.
    pub(super) fn scalar(&mut self) -> Result<(), Fault> {
        match self.next_byte() {
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Fault::Structure),
        }
    }

    #[inline(always)]
    pub(super) fn literal(&mut self, literal: &[u8]) -> Result<(), Fault> {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        ensure(rest.starts_with(literal), Fault::Literal)?;
        self.pos += literal.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.pos += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.pos += 1;
            ensure(!self.peek().is_ascii_digit(), Fault::Number)?;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.pos += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.pos += 1;
            self.pos += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn peek(&self) -> u8 {
        self.bytes.get(self.pos).copied().unwrap_or_default()
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.pos;
        while self.peek().is_ascii_digit() {
            self.pos += 1;
        }
        ensure(self.pos > start, Fault::Number)
    }

    /// Moves over a string (cursor on its opening quote): whether it has escapes.
    ///
    /// `LOOSE` lets control characters stand, as they do in a text that becomes a column: a caller who puts one into
    /// his user agent must not make his call unreadable.
    #[inline(always)]
    pub(super) fn string<const LOOSE: bool>(&mut self) -> Result<bool, Fault> {
        self.pos += 1;
        while let Some(step) = self.window() {
            let Special { quotes, others } = Special::of(step);
            let Some(quotes) = NonZeroU32::new(quotes) else {
                if others == 0 {
                    self.pos += STEP;
                    continue;
                }
                break;
            };
            let to_first = quotes.get() ^ (quotes.get() - 1);
            if others & to_first != 0 {
                break;
            }
            self.pos += quotes.trailing_zeros() as usize + 1;
            return Ok(false);
        }
        self.special_string(LOOSE)
    }

    /// The rest of a string that has escapes, is faulty or ends within the last bytes of the text. Not inlined: most
    /// strings are none of that, and their loop is faster without this code in it.
    #[inline(never)]
    fn special_string(&mut self, loose: bool) -> Result<bool, Fault> {
        let mut escaped = false;
        loop {
            if let Some(step) = self.window() {
                let Special { quotes, others } = Special::of(step);
                let Some(stops) = NonZeroU32::new(quotes | others) else {
                    self.pos += STEP;
                    continue;
                };
                self.pos += stops.trailing_zeros() as usize;
            }
            match self.bytes.get(self.pos) {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    self.escape()?;
                    escaped = true;
                }
                None => return Err(Fault::String),
                Some(0..0x20) if !loose => return Err(Fault::String),
                Some(_) => self.pos += 1,
            }
        }
    }

    /// Moves over one escape (cursor on its backslash).
    #[inline(always)]
    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.pos + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 2,
            Some(b'u') => match self.bytes.get(self.pos + 2..self.pos + 6) {
                Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => self.pos += 6,
                _ => return Err(Fault::String),
            },
            _ => return Err(Fault::String),
        }
        Ok(())
    }
}

/// What may end a string or must be looked at in it: a bit for each byte of a step.
struct Special {
    /// Apart from the rest: where the next token begins hangs on them alone, and it is what everything waits for.
    quotes: u32,
    /// Backslashes and control characters.
    others: u32,
}

impl Special {
    #[inline(always)]
    fn of(step: &[u8; STEP]) -> Special {
        let step = u8x16::new(*step);
        let backslash = step.simd_eq(u8x16::splat(b'\\'));
        let control = step.min(u8x16::splat(0x1f)).simd_eq(step);
        Special {
            quotes: step.simd_eq(u8x16::splat(b'"')).to_bitmask(),
            others: (backslash | control).to_bitmask(),
        }
    }
}

#[inline(always)]
pub(super) fn ensure(sound: bool, fault: Fault) -> Result<(), Fault> {
    if sound { Ok(()) } else { Err(fault) }
}
