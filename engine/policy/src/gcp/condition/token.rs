//! The words of an expression

/// Google allows twelve operators; no real condition is longer.
const BYTES_MAX: usize = 16_384;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    Text(String),
    Number(i64),
    /// Brackets, comma, point, operators
    Sign(&'a str),
}

const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "-", "+", "?", ":", "{",
    "}", "*", "/", "%",
];

/// `None` where something is no word of the language.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if first == '\'' || first == '"' {
            quoted(rest)?
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (Token::Number(rest.get(..end)?.parse().ok()?), rest.get(end..)?)
        } else if is_name(first) {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let after = rest.get(end..)?;
            // r'...' and b'...' read their text otherwise.
            if end == 1 && after.starts_with(['\'', '"']) {
                return None;
            }
            (Token::Name(rest.get(..end)?), after)
        } else if rest.starts_with("//") {
            // A comment, up to the end of its line.
            rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
            continue;
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            (Token::Sign(sign), rest.get(sign.len()..)?)
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Quotes of one character; of escapes only those that stand for themselves.
fn quoted(rest: &str) -> Option<(Token<'_>, &str)> {
    let quote = rest.chars().next()?;
    if rest.starts_with("'''") || rest.starts_with("\"\"\"") {
        return None;
    }
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next()?.1 {
                escaped @ ('\\' | '\'' | '"' | '/') => text.push(escaped),
                _ => return None,
            },
            '\n' | '\r' => return None,
            character if character == quote => return Some((Token::Text(text), rest.get(at + 1..)?)),
            character => text.push(character),
        }
    }
    None
}

/// The dotted names in a text that cannot be read, quotes left out: what its answer hangs on.
pub(super) fn names(text: &str) -> Vec<String> {
    const NAMES_MAX: usize = 20;
    let mut names: Vec<String> = Vec::new();
    let mut quote = None;
    let mut name = String::new();
    for character in text.chars().take(BYTES_MAX).chain([' ']) {
        if let Some(open) = quote {
            if character == open {
                quote = None;
            }
            continue;
        }
        if is_name(character) || (character == '.' && !name.is_empty()) {
            name.push(character);
            continue;
        }
        if matches!(character, '\'' | '"') {
            quote = Some(character);
        }
        let found = std::mem::take(&mut name);
        let found = found.trim_end_matches('.');
        let is_path = found.contains('.') && found.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_path && names.len() < NAMES_MAX && !names.iter().any(|known| known == found) {
            names.push(found.to_owned());
        }
    }
    names
}
