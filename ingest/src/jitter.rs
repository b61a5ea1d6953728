//! Pauses that differ, so that many workers do not come back at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Some time up to `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0u8);
    most.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64)
}
