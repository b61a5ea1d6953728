//! One pattern against one text, in bounded steps

use super::Match;

/// Marks in a compiled pattern. No UTF-8 text holds these bytes, so a literal `*` is never taken for a wildcard.
pub(crate) const MANY: u8 = 0xFF;
/// `?`
pub(crate) const ONE: u8 = 0xFE;
/// A policy variable whose value is not known: any text.
pub(crate) const VARIABLE: u8 = 0xFD;
/// Equals no character.
pub(crate) const NEVER: u8 = 0xFC;

/// Whether a byte of a compiled pattern stands for something else than itself.
pub(crate) fn is_mark(byte: u8) -> bool {
    byte >= NEVER
}

/// Whether it takes any number of characters.
pub(crate) fn is_many(byte: u8) -> bool {
    matches!(byte, MANY | VARIABLE)
}

/// `*` and `?` of a text as marks.
pub(crate) fn compiled(text: &str) -> Box<[u8]> {
    text.bytes().map(mark).collect()
}

pub(crate) fn mark(byte: u8) -> u8 {
    match byte {
        b'*' => MANY,
        b'?' => ONE,
        literal => literal,
    }
}

/// What one question may cost.
#[derive(Debug)]
pub(crate) struct Steps(u32);

impl Steps {
    /// For one pattern: the longest real ARN against the longest real pattern needs a few thousand.
    pub(crate) const PATTERN_MAX: u32 = 50_000;

    pub(crate) fn new(steps_max: u32) -> Steps {
        Steps(steps_max)
    }

    /// Takes so many; false where they are used up.
    pub(crate) fn take(&mut self, steps: usize) -> bool {
        let left = u32::try_from(steps).ok().and_then(|steps| self.0.checked_sub(steps));
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Fold,
    Keep,
}

/// Whether the text is plain, or itself a pattern of which every reading must match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Plain,
    Pattern,
}

/// Two pointers and one place to come back to: at most pattern × text steps, and never more than the budget.
pub(crate) fn glob(pattern: &[u8], text: &[u8], case: Case, kind: Text, steps: &mut Steps) -> Match {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if !steps.take(1) {
            return Match::Unclear;
        }
        let wanted = pattern.get(p).copied();
        let found = text.get(t).copied().unwrap_or_default();
        if wanted.is_some_and(is_many) {
            star = Some((p, t));
            p += 1;
        } else if wanted.is_some_and(|wanted| one(wanted, found, case, kind)) {
            p += 1;
            t += 1;
            // `?` is one character, which may be several bytes.
            while wanted == Some(ONE) && text.get(t).is_some_and(|b| b & 0xC0 == 0x80) {
                t += 1;
            }
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return Match::No;
        }
    }
    let rest = pattern.get(p..).unwrap_or_default();
    if rest.iter().all(|byte| is_many(*byte)) { Match::Yes } else { Match::No }
}

fn one(wanted: u8, found: u8, case: Case, kind: Text) -> bool {
    // A wildcard of the text stands for many texts: only a wildcard at least as wide takes them all.
    if kind == Text::Pattern && matches!(found, b'*' | b'?') {
        return found == b'?' && wanted == ONE;
    }
    match (wanted, case) {
        (ONE, _) => true,
        (wanted, Case::Fold) => wanted.eq_ignore_ascii_case(&found),
        (wanted, Case::Keep) => wanted == found,
    }
}

/// Parts of an ARN. The last is the resource, which keeps its colons.
pub(crate) const PARTS: usize = 6;

/// What is known of an ARN's pattern before it meets a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Bytes before the first wildcard or variable
    pub(crate) plain: usize,
    /// Colons, up to the resource
    pub(crate) colons: usize,
    /// Of them in front of the first wildcard
    colons_plain: usize,
}

impl Outline {
    pub(crate) fn of(pattern: &[u8]) -> Outline {
        let plain = pattern.iter().position(|byte| is_mark(*byte)).unwrap_or(pattern.len());
        let colons = |part: &[u8]| part.iter().filter(|byte| **byte == b':').take(PARTS - 1).count();
        let colons_plain = colons(pattern.get(..plain).unwrap_or_default());
        Outline { plain, colons: colons(pattern), colons_plain }
    }
}

/// [`glob`] for each part of an ARN by itself, in one walk: in front of the last part that the pattern has, a
/// wildcard takes no colon, and a colon met on both sides ends what a star may still take.
pub(crate) fn glob_of_parts(pattern: &[u8], outline: Outline, text: &[u8], steps: &mut Steps) -> Match {
    if pattern.get(..outline.plain) != text.get(..outline.plain) {
        return Match::No;
    }
    let (mut p, mut t, mut colons) = (outline.plain, outline.plain, outline.colons_plain);
    let mut star: Option<(usize, usize)> = None;
    while let Some(found) = text.get(t).copied() {
        if !steps.take(1) {
            return Match::Unclear;
        }
        let (wanted, last) = (pattern.get(p).copied(), colons >= outline.colons);
        match wanted {
            Some(wanted) if is_many(wanted) => {
                // At the end of the last part it takes all that is left.
                if last && p + 1 == pattern.len() {
                    return Match::Yes;
                }
                star = Some((p, t));
                p += 1;
            }
            Some(b':') if found == b':' && !last => {
                colons += 1;
                star = None;
                p += 1;
                t += 1;
            }
            Some(ONE) if last || found != b':' => {
                p += 1;
                t += 1;
                while text.get(t).is_some_and(|b| b & 0xC0 == 0x80) {
                    t += 1;
                }
            }
            Some(wanted) if wanted == found => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) if last || text.get(from) != Some(&b':') => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                _ => return Match::No,
            },
        }
    }
    let rest = pattern.get(p..).unwrap_or_default();
    if rest.iter().all(|byte| is_many(*byte)) { Match::Yes } else { Match::No }
}

/// Whether a compiled pattern and a pattern as written have a text in common: a table of suffix against suffix,
/// one row kept.
pub(crate) fn overlap(left: &[u8], right: &[u8], steps: &mut Steps) -> Match {
    if !steps.take(left.len().saturating_mul(right.len())) {
        return Match::Unclear;
    }
    let width = right.len();
    // below[j]: left[i+1..] and right[j..] share a text
    let mut below = vec![false; width + 1];
    for i in (0..=left.len()).rev() {
        let mut row = vec![false; width + 1];
        for j in (0..=width).rev() {
            let (a, b) = (left.get(i).copied(), right.get(j).copied().map(mark));
            let down = below.get(j).copied().unwrap_or(false);
            let along = row.get(j + 1).copied().unwrap_or(false);
            let both = below.get(j + 1).copied().unwrap_or(false);
            let shared = match (a, b) {
                (None, None) => true,
                (Some(a), _) if is_many(a) => down || along,
                (_, Some(MANY)) => along || down,
                // `?` takes a character of several bytes: it may stay for the next of them.
                (Some(ONE), Some(b)) => both || (long(b) && along),
                (Some(a), Some(ONE)) => both || (long(a) && down),
                (Some(a), Some(b)) => a == b && both,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if let Some(cell) = row.get_mut(j) {
                *cell = shared;
            }
        }
        below = row;
    }
    if below.first() == Some(&true) { Match::Yes } else { Match::No }
}

/// Part of a character of several bytes.
fn long(byte: u8) -> bool {
    !byte.is_ascii() && !is_mark(byte)
}
