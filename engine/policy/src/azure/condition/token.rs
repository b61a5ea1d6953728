//! The words of a condition

/// Azure allows some 8 KB for a condition.
const BYTES_MAX: usize = 16_384;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `(`, `)`, `{`, `}`, `,`
    Sign(char),
    Not,
    And,
    Or,
    /// A quoted text
    Text(&'a str),
    /// `@Resource[...]`
    Attribute(&'a str),
    /// An operator, a function, a number, a GUID, `true`
    Word(&'a str),
}

/// `None` where something is no condition's word.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' | ')' | '{' | '}' | ',' => (Token::Sign(first), rest.get(1..)?),
            '!' => (Token::Not, rest.get(1..)?),
            '&' => (Token::And, rest.strip_prefix("&&")?),
            '|' => (Token::Or, rest.strip_prefix("||")?),
            '\'' => {
                let (quoted, after) = rest.get(1..)?.split_once('\'')?;
                (Token::Text(quoted), after)
            }
            '@' => {
                let end = rest.find(']')? + 1;
                (Token::Attribute(rest.get(..end)?), rest.get(end..)?)
            }
            _ => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.' | '_' | '+');
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                let word = rest.get(..end)?;
                let token = match word.to_ascii_lowercase().as_str() {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "not" => Token::Not,
                    _ => Token::Word(word),
                };
                (token, rest.get(end..)?)
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}
