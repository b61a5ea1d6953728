//! A hash for ids that others choose

use std::hash::{BuildHasher, Hasher, RandomState};

/// A hash whose collisions nobody can plan who does not know the secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret {
    pub(super) words: [u64; 3],
    // All ones; tests make collisions with less.
    pub(super) mask: u64,
}

impl Secret {
    pub(super) fn random() -> Secret {
        let word = |n: u64| RandomState::new().hash_one(n) | 1;
        Secret { words: [word(0), word(1), word(2)], mask: u64::MAX }
    }

    #[inline]
    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        let [a, b, c] = self.words;
        let mut hash = fold(bytes.len() as u64 ^ a, b);
        let (chunks, rest) = bytes.as_chunks::<16>();
        for chunk in chunks {
            hash = mixed(u128::from_le_bytes(*chunk), hash, b);
        }
        // Nearly all that is hashed are a UUID and its account's number.
        let last = match rest.as_array::<4>() {
            Some(number) => u128::from(u32::from_le_bytes(*number)),
            None => {
                let mut last = [0; 16];
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                u128::from_le_bytes(last)
            }
        };
        fold(mixed(last, hash, c), a) & self.mask
    }
}

#[inline]
fn mixed(word: u128, hash: u64, secret: u64) -> u64 {
    fold(word as u64 ^ secret, (word >> 64) as u64 ^ hash)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl BuildHasher for Secret {
    type Hasher = Once;

    fn build_hasher(&self) -> Once {
        Once { secret: *self, hash: 0 }
    }
}

/// Hashes the one slice that tables write.
pub(super) struct Once {
    secret: Secret,
    hash: u64,
}

impl Hasher for Once {
    fn write(&mut self, bytes: &[u8]) {
        self.hash = self.secret.hash(bytes);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
