//! Events that were met already, by whichever worker

use ingest::EventBatch;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Workers wait for each other only where they meet in one of these.
const SHARDS: usize = 64;

/// Every event that was met, by account and id: exact, and shared by all workers.
#[derive(Debug)]
pub struct Seen {
    shards: Vec<Mutex<HashSet<String>>>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Seen {
    /// Says of each row whether it is met for the first time, into `new`. Returns how many are not.
    pub fn meet(&self, batch: &EventBatch, new: &mut Vec<bool>) -> u64 {
        new.clear();
        let view = batch.view();
        let mut again = 0;
        for row in 0..batch.rows() {
            let account = view.recipient_account(row).or(view.account(row)).unwrap_or_default();
            let id = view.event_id(row);
            let at = id.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            let is_new = self.shards.get(at % SHARDS).is_some_and(|shard| {
                shard.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{account}:{id}"))
            });
            again += u64::from(!is_new);
            new.push(is_new);
        }
        again
    }
}
