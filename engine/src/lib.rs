//! Judgement: scope, grants, baseline, detections, and the memory they need.

pub mod attribution;
pub mod baseline;
pub mod calls;
pub mod chain;
pub mod cloud;
pub mod detection;
pub mod draft;
pub mod finding;
pub mod grant;
pub mod incident;
pub mod integrity;
mod json;
pub mod judge;
pub mod lake;
pub mod ledger;
pub mod lint;
pub mod log_text;
pub mod manifest;
pub mod measure;
pub mod permission;
pub mod posture;
pub mod reference;
pub mod right_size;
#[cfg(test)]
mod rubbish;
pub mod scope;
pub mod seen;
pub mod standing;
pub mod store;
pub mod time;
pub mod usage;
