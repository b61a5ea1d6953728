//! What was read, what of it counted, and what could not be read.

use alerts::text::plain;
use ingest::Quarantined;
use std::collections::BTreeMap;

const DETAIL_MAX: usize = 300;

/// `read = unique + duplicates + quarantined`, always.
#[derive(Debug, Default)]
pub struct Totals {
    pub files: u64,
    pub read: u64,
    pub unique: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    faults: BTreeMap<&'static str, Fault>,
}

/// How often something could not be read for one reason, and the first of it, by file and row.
#[derive(Debug)]
struct Fault {
    count: u64,
    first: (String, Option<u32>, String),
}

impl Totals {
    /// Counts records that could not be read. `object`: their file's name.
    pub fn quarantine(&mut self, object: &str, quarantined: &[Quarantined]) {
        self.quarantined += quarantined.len() as u64;
        for one in quarantined {
            self.fault(one.reason, 1, (object, one.row, &one.detail));
        }
    }

    /// Counts a file that could not be read at all: as one record, since nobody knows how many it has.
    pub fn refuse(&mut self, object: &str, reason: &'static str, detail: &str) {
        self.read += 1;
        self.quarantined += 1;
        self.fault(reason, 1, (object, None, detail));
    }

    pub fn merge(&mut self, other: Totals) {
        self.files += other.files;
        self.read += other.read;
        self.unique += other.unique;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
        for (reason, fault) in other.faults {
            let (object, row, detail) = &fault.first;
            self.fault(reason, fault.count, (object, *row, detail));
        }
    }

    fn fault(&mut self, reason: &'static str, count: u64, first: (&str, Option<u32>, &str)) {
        let own = || (first.0.to_owned(), first.1, first.2.to_owned());
        let fault = self.faults.entry(reason).or_insert_with(|| Fault { count: 0, first: own() });
        fault.count += count;
        // The first by name, so that threads change no word.
        if (first.0, first.1) < (fault.first.0.as_str(), fault.first.1) {
            fault.first = own();
        }
    }

    /// Tells the faults, then all that was read, on standard error.
    pub fn tell(&self, quiet: bool) {
        for (reason, Fault { count, first: (object, row, detail) }) in &self.faults {
            let row = row.map(|row| format!(", record {row}")).unwrap_or_default();
            eprintln!(
                "remit: {count} quarantined as {reason}, first in `{}`{row}: {}",
                plain(object, DETAIL_MAX),
                plain(detail, DETAIL_MAX)
            );
        }
        if !quiet || self.quarantined > 0 {
            eprintln!(
                "remit: {} read = {} unique + {} duplicates + {} quarantined, in {} files",
                self.read, self.unique, self.duplicates, self.quarantined, self.files
            );
        }
    }
}
