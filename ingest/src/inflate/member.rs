//! Whether a gzip object is one member and nothing else.

use libdeflater::crc32;
use memchr::memmem;

/// The shortest header of a member: <https://www.rfc-editor.org/rfc/rfc1952#section-2.3>
const HEADER_BYTES: usize = 10;

/// Whether the member that inflated to `plain` ends where `bytes` end.
///
/// The inflater checked the member's checksum and size, but does not say where it found them. They stand right behind
/// the member: so if the size stands at the end of `bytes`, and nowhere before with the right checksum in front of it,
/// that is where it was found. Who copies them behind bytes of his own is found out by the first copy.
pub(super) fn is_alone(bytes: &[u8], plain: &[u8]) -> bool {
    let size = (plain.len() as u32).to_le_bytes();
    let Some(before) = bytes.len().checked_sub(size.len()).filter(|_| bytes.ends_with(&size)) else {
        return false;
    };
    // All but the last byte: whatever is found then is another place.
    let Some(searched) = bytes.get(HEADER_BYTES..bytes.len() - 1) else { return false };
    let mut checksum = None;
    memmem::find_iter(searched, &size).map(|at| at + HEADER_BYTES).filter(|at| *at < before).all(|at| {
        let checksum = *checksum.get_or_insert_with(|| crc32(plain).to_le_bytes());
        bytes.get(..at).is_none_or(|before| !before.ends_with(&checksum))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_member_is_alone() {
        for plain in ["a", "hello", &"hello ".repeat(10_000)] {
            assert!(is_alone(&gzip(plain.as_bytes()), plain.as_bytes()), "{} bytes", plain.len());
        }
    }

    #[test]
    fn nothing_at_all_is_left_to_a_closer_look() {
        assert!(!is_alone(&gzip(b""), b""), "checksum and size are zeros, and may stand anywhere");
    }

    #[test]
    fn what_follows_is_seen_even_if_it_ends_like_the_member() {
        let member = gzip(b"hello");
        let footer = &member[member.len() - 8..];
        for more in [b"x".as_slice(), footer, &[b"added".as_slice(), footer].concat(), &member] {
            assert!(!is_alone(&[&member, more].concat(), b"hello"), "{more:?}");
        }
    }

    #[test]
    fn the_size_may_stand_anywhere_without_its_checksum() {
        // Stored, not packed: the plain bytes stand in the member as they are.
        let plain = [4u32.to_le_bytes(), 12u32.to_le_bytes(), 7u32.to_le_bytes()].concat();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&plain).unwrap();
        assert!(is_alone(&encoder.finish().unwrap(), &plain));
    }
}
