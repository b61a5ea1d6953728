//! The secret that opens the page.

use super::WebError;
use sha2::{Digest, Sha256};
use std::fmt;
use std::hint::black_box;

pub(super) const LENGTH_MIN: usize = 16;
pub(super) const LENGTH_MAX: usize = 256;

/// The secret that opens the page. Never printed; only its digests are kept.
#[derive(Clone)]
pub struct Token {
    token: [u8; 32],
    cookie: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

impl Token {
    /// Reads `[web] token`; an empty one is none.
    ///
    /// # Errors
    /// [`WebError::BadToken`] when it is short enough to be guessed, or cannot stand in a header.
    pub fn parse(text: &str) -> Result<Option<Token>, WebError> {
        if text.is_empty() {
            return Ok(None);
        }
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(WebError::BadToken);
        }
        // Cookies are shared by all ports of a host: another service there must not learn the token from ours.
        let cookie = digest("cookie", text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(Token { token: digest("token", text), cookie }))
    }

    /// Whether `offered` is the token, in a time that does not tell how much of it is right.
    #[must_use]
    pub fn is(&self, offered: &str) -> bool {
        are_equal(&digest("token", offered), &self.token)
    }

    pub(super) fn is_cookie(&self, offered: &str) -> bool {
        are_equal(&digest("", offered), &digest("", &self.cookie))
    }

    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }
}

fn digest(purpose: &str, text: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update("remit web ");
    hash.update(purpose);
    hash.update([0]);
    hash.update(text);
    hash.finalize().into()
}

fn are_equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0u8, |seen, (a, b)| black_box(seen | (a ^ b)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::parse(GOOD).unwrap().unwrap();
        assert!(token.is(GOOD));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0"] {
            assert!(!token.is(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_cookie_does_not_hold_the_token_and_is_not_one() {
        let token = Token::parse(GOOD).unwrap().unwrap();
        assert!(token.is_cookie(token.cookie()));
        assert!(!token.is_cookie(GOOD) && !token.is(token.cookie()));
    }

    #[test]
    fn a_short_or_unprintable_token_is_refused_and_an_empty_one_is_none() {
        assert!(Token::parse("").unwrap().is_none());
        for bad in ["short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdeé"]
        {
            assert!(matches!(Token::parse(bad), Err(WebError::BadToken)), "{bad}");
        }
    }

    #[test]
    fn it_is_never_printed() {
        assert_eq!(format!("{:?}", Token::parse(GOOD).unwrap()), "Some(Token([redacted]))");
    }
}
