//! The receivers, one a file.

pub(crate) mod http;
pub(crate) mod ndjson;
pub(crate) mod pagerduty;
pub(crate) mod record;
pub(crate) mod slack;
pub(crate) mod webhook;

#[cfg(test)]
pub(crate) mod fake;
