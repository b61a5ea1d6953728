//! A value that never shows itself.

use serde::Deserialize;
use std::fmt;

/// A password, key or address that grants something. It has no `Display` and cannot be serialised.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value itself. Never for logs, errors or answers.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Takes the value out of a text that came from elsewhere, such as a receiver's answer.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        // A short value would tear ordinary words apart and is no secret worth the name.
        if self.0.len() < 6 { text.to_owned() } else { text.replace(&self.0, "[secret]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hooks.slack.com/T0/B0/abc");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
        assert_eq!(secret.redact("no route hooks.slack.com/T0/B0/abc!"), "no route [secret]!");
        assert_eq!(Secret::new("ok").redact("it is ok"), "it is ok");
    }
}
