//! The stories: what remit promises, told through the built binary. One story a file; `tests/run` runs all.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a story that meets what it did not expect must stop and say where"
)]

mod actors;
mod cli;
mod clouds;
mod corpus;
mod dashboards;
mod demo;
mod digest;
mod fakes;
mod faults;
mod grants;
mod kill;
mod order;
mod others_bugs;
mod receivers;
mod report;
mod rubbish;
mod s3_sqs;
mod sameness;
mod scope;
mod support;
mod usage;
mod web;
