//! Questions as JSON: one in, one answer out. The parts are those that judge logs.

mod decide;
mod matching;

pub use decide::decide as decide_aws;
pub use matching::{match_operator, match_resource};
