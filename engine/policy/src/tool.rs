//! Questions as JSON: one in, one answer out. The parts are those that judge logs.

mod decide;

pub use decide::decide as decide_aws;
