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

/// Multiplies to 128 bits and folds, eight bytes at a time, as wyhash and foldhash do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folding {
    state: u64,
    factor: u64,
}

impl Folding {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.state ^ word).wrapping_mul(u128::from(self.factor));
        // Both halves carry the word into the state, and the word itself keeps a zero from sticking there.
        self.state = (wide as u64 ^ (wide >> 64) as u64).rotate_left(23) ^ word;
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = [0_u8; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.fold(u64::from_le_bytes(last) ^ (bytes.len() as u64).rotate_left(56));
    }

    fn write_u8(&mut self, byte: u8) {
        self.fold(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.state ^ self.state >> 32
    }
}
