//! A hash for short texts: fast, and seeded, since attackers choose the texts

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashers that agree with each other and with nobody else's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed {
    start: u64,
    factor: u64,
}

impl Default for Seed {
    fn default() -> Seed {
        let random = RandomState::new();
        Seed { start: random.hash_one(0_u8), factor: random.hash_one(1_u8) | 1 }
    }
}

impl BuildHasher for Seed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { state: self.start, factor: self.factor }
    }
}

/// Multiplies to 128 bits and folds, sixteen bytes at a time, as wyhash does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folding {
    state: u64,
    factor: u64,
}

impl Folding {
    fn fold(&mut self, one: u64, other: u64) {
        let wide = u128::from(self.state ^ one) * u128::from(self.factor ^ other);
        self.state = wide as u64 ^ (wide >> 64) as u64;
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            self.fold(low(pair), high(pair));
        }
        // The last bytes overlap the pairs where there are enough: no byte is moved by itself.
        let length = (bytes.len() as u64).rotate_left(32);
        match (rest.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => {
                self.fold(u64::from_le_bytes(*first), u64::from_le_bytes(*last) ^ length)
            }
            (None, Some(last)) => self.fold(length, u64::from_le_bytes(*last)),
            _ => self.fold(length, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(u64::from(byte), 1);
    }

    fn finish(&self) -> u64 {
        self.state ^ self.state >> 32
    }
}

fn low(pair: &[u8; 16]) -> u64 {
    pair.first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}

fn high(pair: &[u8; 16]) -> u64 {
    pair.last_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_the_length_count() {
        let seed = Seed::default();
        let text: Vec<u8> = (0..40).collect();
        let mut seen = std::collections::HashSet::new();
        for length in 0..=text.len() {
            assert!(seen.insert(seed.hash_one(&text[..length])), "{length}");
            for at in 0..length {
                let mut other = text[..length].to_vec();
                other[at] ^= 0x80;
                assert!(seen.insert(seed.hash_one(&other)), "{length} {at}");
            }
        }
    }
}
