//! The text that a JSON string with escapes stands for.

/// What stands for one byte that no text can hold.
const REPLACEMENT: char = '\u{fffd}';

/// Appends what `raw`, the validated inside of a JSON string, stands for.
///
/// A lone surrogate becomes U+FFFD, once for each of the three bytes that it would have had: a caller who puts one into
/// his user agent must not make his call unreadable.
pub fn resolve(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('u') => {
                let (char, length) = unicode(chars.as_str());
                match char {
                    Some(char) => out.push(char),
                    None => out.extend([REPLACEMENT; 3]),
                }
                rest = chars.as_str().get(length..).unwrap_or_default();
                continue;
            }
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            // A quote, a slash or a backslash: itself.
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// The character whose digits follow `\u`, maybe as a pair of surrogates, and how many bytes tell it.
fn unicode(text: &str) -> (Option<char>, usize) {
    let Some(first) = hex(text) else { return (None, text.len().min(4)) };
    if let Some(char) = char::from_u32(first) {
        return (Some(char), 4);
    }
    let second = text.get(4..6).filter(|mark| *mark == "\\u").and_then(|_| text.get(6..)).and_then(hex);
    match (first, second) {
        (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) => {
            (char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)), 10)
        }
        _ => (None, 4),
    }
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolved(raw: &str) -> String {
        let mut out = String::new();
        resolve(raw, &mut out);
        out
    }

    #[test]
    fn every_escape_stands_for_itself() {
        assert_eq!(resolved(r#"a\"b\\c\/d\b\f\n\r\t"#), "a\"b\\c/d\u{8}\u{c}\n\r\t");
        assert_eq!(resolved(r"\u00e9\uD83D\uDE00é"), "é😀é");
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_its_neighbours_stay() {
        assert_eq!(resolved(r"x\ud800y"), "x\u{fffd}\u{fffd}\u{fffd}y");
        assert_eq!(resolved(r"\ud800\ud83d\ude00"), "\u{fffd}\u{fffd}\u{fffd}😀");
        assert_eq!(resolved(r"\ude00\u0041"), "\u{fffd}\u{fffd}\u{fffd}A");
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_comes_back(text in any::<String>()) {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(resolved(&quoted[1..quoted.len() - 1]), text);
        }

        #[test]
        fn any_units_are_read_as_serde_json_reads_them(units in prop::collection::vec(any::<u16>(), 0..6)) {
            let raw: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            if let Ok(text) = serde_json::from_str::<String>(&format!("\"{raw}\"")) {
                prop_assert_eq!(resolved(&raw), text);
            }
        }
    }
}
