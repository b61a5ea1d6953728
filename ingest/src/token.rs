//! Where a piece of JSON ends: strings, brackets and space, without reading what is inside.

use wide::u8x16;

/// Deepest nesting that is followed to its end; what is deeper cannot be told from its neighbours.
const FOLLOWED_DEPTH_MAX: usize = 65_536;

/// Bytes that are looked at together: three quarters of a log is inside strings, and most of them are short.
const STEP: usize = 16;

/// Just past the string whose quote opens at `open`, and whether it has escapes; none if it never closes.
#[must_use]
#[inline]
pub fn string(text: &[u8], open: usize) -> Option<(usize, bool)> {
    let mut at = open + 1;
    let mut escaped = false;
    loop {
        while let Some(step) = text.get(at..).and_then(|rest| rest.first_chunk::<STEP>()) {
            let step = u8x16::new(*step);
            let stops = step.simd_eq(u8x16::splat(b'"')) | step.simd_eq(u8x16::splat(b'\\'));
            let stops = stops.to_bitmask();
            if stops != 0 {
                at += stops.trailing_zeros() as usize;
                break;
            }
            at += STEP;
        }
        match text.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
}

/// Just past the string whose quote opens at `open`; none if it never closes.
#[must_use]
#[inline]
pub fn string_end(text: &[u8], open: usize) -> Option<usize> {
    string(text, open).map(|(end, _)| end)
}

/// The first place from `at` that is not JSON's white space.
#[must_use]
#[inline]
pub fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// A value whose brackets and quotes balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Balanced {
    /// Just past it.
    pub end: usize,
    /// How deep it nests: 0 for a scalar, 1 for `{}`.
    pub depth: usize,
}

/// The value that starts at `start`; none if it does not balance before the text ends. `open` is scratch space.
pub(crate) fn balanced(text: &[u8], start: usize, open: &mut Vec<u8>) -> Option<Balanced> {
    open.clear();
    let mut at = start;
    let mut depth = 0;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                if open.is_empty() {
                    return Some(Balanced { end: at, depth });
                }
                continue;
            }
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            close @ (b'}' | b']') => {
                if open.pop() != Some(*close) {
                    return None;
                }
                if open.is_empty() {
                    return Some(Balanced { end: at + 1, depth });
                }
            }
            // Only strings have it: somewhere before, a quote is missing.
            b'\\' => return None,
            _ if open.is_empty() => return scalar_end(text, at).map(|end| Balanced { end, depth }),
            _ => {}
        }
        if open.len() > depth {
            depth = open.len();
            if depth > FOLLOWED_DEPTH_MAX {
                return None;
            }
        }
        at += 1;
    }
}

/// Just past a number, `true`, `false` or `null`; whether it is one of them is for the parser to say.
fn scalar_end(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    let length = rest.iter().position(|byte| !inside(byte)).unwrap_or(rest.len());
    (length > 0).then_some(start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Option<(usize, usize)> {
        balanced(text.as_bytes(), 0, &mut Vec::new()).map(|found| (found.end, found.depth))
    }

    #[test]
    fn strings_end_at_their_own_quote() {
        assert_eq!(string_end(br#""a" b"#, 0), Some(3));
        assert_eq!(string_end(br#""a long text with \" in it" b"#, 0), Some(27));
        assert_eq!(string_end(br#""\\" b"#, 0), Some(4));
        assert_eq!(string_end(br#""never closed \""#, 0), None);
        assert_eq!(string_end(b"\"\\", 0), None);
    }

    #[test]
    fn every_length_agrees_with_the_slow_way() {
        for length in 0..40 {
            for special in [b'"', b'\\'] {
                let mut text = vec![b'"'];
                text.extend(std::iter::repeat_n(0xa2, length));
                text.extend([special, b'"', b'"']);
                let expected = if special == b'"' { length + 2 } else { length + 4 };
                assert_eq!(string_end(&text, 0), Some(expected), "{length} before {}", char::from(special));
            }
        }
    }

    #[test]
    fn values_end_where_their_brackets_balance() {
        assert_eq!(end(r#"{"a":[1,{"b":"}"}]},"#), Some((19, 3)));
        assert_eq!(end("{}x"), Some((2, 1)));
        assert_eq!(end("12.5e3,"), Some((6, 0)));
        assert_eq!(end(r#""a",1"#), Some((3, 0)));
        for broken in [r#"{"a":[1}"#, "{", "]", "", ",", r#"{"a":"b}"#] {
            assert_eq!(end(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_bottomless_is_given_up() {
        assert_eq!(end(&"[".repeat(100_000)), None);
    }
}
