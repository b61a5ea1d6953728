//! Short names made of what a thing consists of: the same parts, the same name, on every machine and every day.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The first `digits` hexadecimal digits (at most 64) of the SHA-256 of all parts, each with its length before it, so
/// that no two lists of parts run into the same bytes.
#[must_use]
pub fn fingerprint(parts: &[&str], digits: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut name = hex(&hash.finalize());
    name.truncate(digits);
    name
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a text cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_reaches_into_the_next() {
        assert_ne!(fingerprint(&["ab", "c"], 32), fingerprint(&["a", "bc"], 32));
        assert_ne!(fingerprint(&["a"], 32), fingerprint(&["a", ""], 32));
    }

    #[test]
    fn it_is_sha_256_and_as_long_as_asked() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint(&[], 64), empty);
        assert_eq!(fingerprint(&[], 8), "e3b0c442");
    }
}
