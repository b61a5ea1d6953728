//! What may come in: rubbish, which no reader may stumble over, and the same records in another guise, which are the
//! same rows.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it did not expect must stop and say where"
)]

mod entries;
mod rubbish;
mod sameness;
mod soup;
