//! The clouds' own policy languages: what a document says, and how it is weighed
//!
//! Knows no log, agent or store. A request comes with what is known of it; what is not known is named in the answer.

pub mod arn;
pub mod aws;
pub mod azure;
mod belief;
pub mod context;
pub mod gcp;
pub mod judgement;
pub mod tool;
pub mod truth;
pub mod wildcard;
