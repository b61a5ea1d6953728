//! Text of a log is the attacker's: what must never be shown as it is.

/// Characters that steer a terminal, reorder or hide text: controls, direction marks, what has no width or looks like
/// nothing, tags, selectors and private ones. Every output shows them as their code points.
#[must_use]
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c as u32,
            0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164 | 0xE000..=0xF8FF | 0xFE00..=0xFE0F
            | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFF | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0x10FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_or_hides_is_known_and_letters_are_not() {
        for c in ['\u{1b}', '\n', '\u{202e}', '\u{200b}', '\u{feff}', '\u{e0041}', '\u{3164}'] {
            assert!(hides(c), "{c:?}");
        }
        for c in ['a', ' ', 'é', 'א', '漢', '\u{301}', '🙂'] {
            assert!(!hides(c), "{c:?}");
        }
    }
}
