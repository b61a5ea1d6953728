//! What the providers write.

pub mod cloudtrail;
pub(crate) mod frames;
