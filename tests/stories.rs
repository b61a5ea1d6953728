//! The stories: what remit promises, told through the built binary. One story a file; `tests/run` runs all.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a story that meets what it did not expect must stop and say where"
)]

mod actors;
mod any_order;
mod cli;
mod clouds;
mod completeness;
mod corpus;
mod dashboards;
mod demo;
mod digest;
mod disk_full;
mod fakes;
mod faults;
mod forged;
mod grants;
mod kill;
mod lake;
mod latency;
mod ledger;
mod order;
mod others_bugs;
mod outage;
mod planted;
mod quarantine;
mod receivers;
mod report;
mod rubbish;
mod s3_sqs;
mod sameness;
mod scope;
mod support;
mod usage;
mod watch;
mod web;
