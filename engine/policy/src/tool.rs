//! Questions as JSON: one in, one answer out. The parts are those that judge logs.

mod azure;
mod decide;
mod gcp;
mod line;
mod matching;

pub use azure::decide as decide_azure;
pub use decide::decide as decide_aws;
pub use gcp::decide as decide_gcp;
pub use matching::{match_operator, match_resource};
