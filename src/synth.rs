//! A company made from a seed: its audit logs as CloudTrail delivers them, its agents' manifests, what
//! IAM grants, and the answer key of what was planted in it.
//!
//! | path | what |
//! |---|---|
//! | `logs/<bucket>/AWSLogs/...` | gzipped CloudTrail files, one per account, region and few hours |
//! | `agents/*.yaml` | a manifest per agent, and `resources.yaml`, the catalogue of names |
//! | `iam/*.json` | the IAM policy that a manifest refers to |
//! | `policies/<account>.json` | an `aws iam get-account-authorization-details` export per account |
//! | `truth.jsonl` | one line per finding that must come, and no other may |
//! | `near_misses.jsonl` | what looks like a finding and is none, a file that comes twice, a record to quarantine |
//!
//! The same plan gives the same bytes: chance comes from the seed alone, and no file carries a clock.

mod archetypes;
mod chance;
mod company;
mod customers;
mod grants;
mod incidents;
mod live;
mod load;
mod manifests;
mod month;
mod operations;
mod people;
mod record;
mod session;
mod target;
#[cfg(test)]
mod tests;
mod truth;
mod write;

use anyhow::ensure;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

pub use live::LiveStream;
pub use load::{Load, write as write_load};
pub use write::write;

/// Days that a history may have at most: ten years.
const DAYS_MAX: u32 = 3660;

/// Which company to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// All chance comes from here.
    pub seed: u64,
    /// Days of history, 1 to 3660. From 11 on every incident is there, from 28 on the monthly job; new
    /// permissions tell something after seven active days, so 20 and more show everything.
    pub days: u32,
    /// The history's end: nothing in it is as late as this. At midnight the day before is the last one; at another time the day
    /// that it lies in, cut short.
    pub end: DateTime<Utc>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Readable events, each counted once.
    pub events: usize,
    /// Log files, the repeated one included.
    pub files: usize,
    /// Agents with a manifest.
    pub agents: usize,
    /// Records that come a second time: records in all = events + duplicates + unreadable.
    pub duplicates: usize,
    /// Records that cannot be read.
    pub unreadable: usize,
}

impl Plan {
    fn calendar(&self) -> anyhow::Result<month::Calendar> {
        ensure!(
            (1..=DAYS_MAX).contains(&self.days),
            "`days` is {}. A history has 1 to {DAYS_MAX} days",
            self.days
        );
        let last = self.end - TimeDelta::seconds(1);
        let midnight = last.date_naive().and_time(NaiveTime::MIN).and_utc();
        let start = midnight - TimeDelta::days(i64::from(self.days) - 1);
        Ok(month::Calendar {
            seed: self.seed,
            start: start.timestamp(),
            days: self.days,
            end: self.end.timestamp(),
        })
    }
}
