//! Seeded chance: every choice of the company comes from a stream named after what it is for, so that
//! a change in one agent's habits leaves all the others byte for byte as they were.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

const KEY_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const NAME_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX_LETTERS: &[u8] = b"0123456789abcdef";

/// One stream of choices.
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream that belongs to this seed and label, always the same.
    pub fn new(seed: u64, label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(label.as_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// A number under `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product, so that the result does not hang on a library's way of sampling.
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        low.saturating_add(u32::try_from(self.below(span)).unwrap_or(0))
    }

    /// True in `n` of a thousand cases.
    pub fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// One of `items`, all equally likely.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(u64::try_from(items.len()).unwrap_or(0));
        items.get(usize::try_from(at).unwrap_or(0))
    }

    /// One of `items`, each as likely as its weight says.
    pub fn weighted<'a, T>(&mut self, items: &'a [T], weight: impl Fn(&T) -> u32) -> Option<&'a T> {
        let total: u64 = items.iter().map(|item| u64::from(weight(item))).sum();
        let mut left = self.below(total);
        for item in items {
            let own = u64::from(weight(item));
            if left < own {
                return Some(item);
            }
            left -= own;
        }
        None
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let mut bits = (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64());
        bits = (bits & !(0xf_u128 << 76)) | (0x4_u128 << 76);
        bits = (bits & !(0x3_u128 << 62)) | (0x2_u128 << 62);
        let hex = format!("{bits:032x}");
        let mut text = String::with_capacity(36);
        for (at, letter) in hex.char_indices() {
            if matches!(at, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(letter);
        }
        text
    }

    /// An identifier as AWS makes them: `prefix` (`ASIA`, `AKIA`, `AROA`, `AIDA`) and 16 letters.
    pub fn aws_id(&mut self, prefix: &str) -> String {
        self.letters(prefix, KEY_LETTERS, 16)
    }

    /// `length` letters and digits, as CloudTrail ends its file names.
    pub fn name(&mut self, length: usize) -> String {
        self.letters("", NAME_LETTERS, length)
    }

    /// `length` lower-case hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        self.letters("", HEX_LETTERS, length)
    }

    /// `pattern` with every `#` replaced by a digit.
    pub fn digits(&mut self, pattern: &str) -> String {
        pattern.chars().map(|c| if c == '#' { self.digit() } else { c }).collect()
    }

    fn digit(&mut self) -> char {
        char::from_digit(u32::try_from(self.below(10)).unwrap_or(0), 10).unwrap_or('0')
    }

    fn letters(&mut self, prefix: &str, alphabet: &[u8], length: usize) -> String {
        let mut text = String::with_capacity(prefix.len() + length);
        text.push_str(prefix);
        for _ in 0..length {
            text.push(self.pick(alphabet).copied().map_or('A', char::from));
        }
        text
    }
}
