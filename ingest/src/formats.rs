//! What the providers write.

pub mod cloudtrail;
