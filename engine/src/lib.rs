//! Judgement: scope, grants, baseline, detections, and the memory they need

pub mod arn;
pub mod grant;
pub mod manifest;
pub mod permission;
pub mod reference;
pub mod scope;
