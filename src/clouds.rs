//! Whose log an object's events came from: one file may hold those of several clouds.

use ingest::EventBatch;

/// What nothing readable tells of is counted as AWS's, whose logs are most.
const USUAL: &str = "aws";

/// An object's events by cloud.
#[derive(Debug, Default)]
pub struct Clouds {
    found: Vec<Cloud>,
}

/// The events of one cloud.
#[derive(Debug)]
pub struct Cloud {
    /// `aws`, `azure` or `gcp`.
    pub name: String,
    /// Events that were judged.
    pub events: u64,
    /// Events left out because they were seen before.
    pub duplicates: u64,
    /// When the latest was made, µs UTC.
    pub latest: Option<i64>,
}

impl Clouds {
    /// Adds a slice. `read`: all that was in it; `judged`: what of it was not seen before.
    pub fn add(&mut self, read: &EventBatch, judged: &EventBatch) {
        let (all, new) = (read.view(), judged.view());
        for row in 0..read.rows() {
            self.cloud(all.provider(row).unwrap_or(USUAL)).duplicates += 1;
        }
        for row in 0..judged.rows() {
            let cloud = self.cloud(new.provider(row).unwrap_or(USUAL));
            cloud.duplicates = cloud.duplicates.saturating_sub(1);
            cloud.events += 1;
            cloud.latest = cloud.latest.max(new.time(row));
        }
    }

    /// When the latest event was made, µs UTC.
    pub fn latest(&self) -> Option<i64> {
        self.found.iter().filter_map(|cloud| cloud.latest).max()
    }

    /// Each cloud that there were events of.
    pub fn iter(&self) -> impl Iterator<Item = &Cloud> {
        self.found.iter()
    }

    /// The cloud that unreadable records are counted for: the one of most of their neighbours.
    pub fn main(&self) -> &str {
        let most = self.found.iter().max_by_key(|cloud| cloud.events + cloud.duplicates);
        most.map_or(USUAL, |cloud| &cloud.name)
    }

    fn cloud(&mut self, name: &str) -> &mut Cloud {
        // Nearly always the first.
        let at = self.found.iter().position(|cloud| cloud.name == name).unwrap_or_else(|| {
            self.found.push(Cloud { name: name.to_owned(), events: 0, duplicates: 0, latest: None });
            self.found.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the position was found, or is that of what was pushed")]
        &mut self.found[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest::event::{Event, EventBuilder};

    fn batch(providers: &[(&str, i64)]) -> EventBatch {
        let mut builder = EventBuilder::with_capacity(providers.len());
        for (provider, time) in providers {
            builder.append(&Event { provider, time: *time, ..Event::default() });
        }
        builder.finish()
    }

    #[test]
    fn each_cloud_is_counted_for_itself() {
        let mut clouds = Clouds::default();
        clouds.add(&batch(&[("azure", 1), ("gcp", 2)]), &batch(&[("azure", 1), ("gcp", 2)]));
        clouds.add(&batch(&[("azure", 3)]), &batch(&[]));
        let counts: Vec<_> = clouds
            .iter()
            .map(|cloud| (cloud.name.as_str(), cloud.events, cloud.duplicates, cloud.latest))
            .collect();
        assert_eq!(counts, [("azure", 1, 1, Some(1)), ("gcp", 1, 0, Some(2))]);
        assert_eq!((clouds.main(), clouds.latest()), ("azure", Some(2)));
        assert_eq!(Clouds::default().main(), "aws");
    }
}
