//! Whose log an object's events came from: one file may hold those of several clouds.

use ingest::EventBatch;

/// An event without a provider is CloudTrail's: every other reader names its own.
const USUAL: &str = "aws";

/// CloudTrail's categories of events, as the table has them; older records name none.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-events.html>
const CATEGORIES: [&str; 6] = ["", "management", "data", "network", "insight", "aggregated"];

/// What nothing tells of.
pub const UNKNOWN: &str = "unknown";

/// What keys have in them, as each cloud names its log files.
const PLACES: [(&str, &str); 6] = [
    // <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html>
    ("AWSLogs/", "aws"),
    ("_CloudTrail_", "aws"),
    // <https://learn.microsoft.com/azure/azure-monitor/essentials/resource-logs#send-to-azure-storage>
    ("insights-logs-", "azure"),
    ("insights-activity-logs", "azure"),
    // <https://cloud.google.com/logging/docs/export/storage#gcs-organization>
    ("cloudaudit.googleapis.com", "gcp"),
    ("resourceId=/SUBSCRIPTIONS/", "azure"),
];

/// Whose log an object is by its key, where nothing in it could be read. Only a metric hangs on it.
pub fn of_place(key: &str) -> &'static str {
    PLACES.iter().find(|(part, _)| key.contains(part)).map_or(UNKNOWN, |(_, cloud)| cloud)
}

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
    /// Events judged that are of no category that we know.
    pub unfamiliar: u64,
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
            let category = new.category(row).unwrap_or_default();
            cloud.unfamiliar += u64::from(cloud.name == USUAL && !CATEGORIES.contains(&category));
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
    pub fn main(&self) -> Option<&str> {
        let most = self.found.iter().max_by_key(|cloud| cloud.events + cloud.duplicates);
        most.map(|cloud| cloud.name.as_str())
    }

    fn cloud(&mut self, name: &str) -> &mut Cloud {
        // Nearly always the first.
        let at = self.found.iter().position(|cloud| cloud.name == name).unwrap_or_else(|| {
            self.found.push(Cloud {
                name: name.to_owned(),
                events: 0,
                duplicates: 0,
                unfamiliar: 0,
                latest: None,
            });
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
    fn a_category_that_nobody_knows_is_counted() {
        let mut builder = EventBuilder::with_capacity(3);
        for (provider, category) in [("aws", "data"), ("aws", "telepathy"), ("azure", "Administrative")] {
            builder.append(&Event { provider, category: Some(category), ..Event::default() });
        }
        let (batch, mut clouds) = (builder.finish(), Clouds::default());
        clouds.add(&batch, &batch);
        let counts: Vec<_> = clouds.iter().map(|cloud| (cloud.name.as_str(), cloud.unfamiliar)).collect();
        assert_eq!(counts, [("aws", 1), ("azure", 0)]);
    }

    #[test]
    fn a_key_tells_whose_log_it_is() {
        let aws = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/x.json.gz";
        let azure = "insights-activity-logs/resourceId=/SUBSCRIPTIONS/X/y=2026/m=01/d=05/h=10/m=00/PT1H.json";
        let gcp = "cloudaudit.googleapis.com/activity/2026/01/05/10:00:00_10:59:59_S0.json";
        assert_eq!([aws, azure, gcp, "x.json"].map(of_place), ["aws", "azure", "gcp", UNKNOWN]);
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
        assert_eq!((clouds.main(), clouds.latest()), (Some("azure"), Some(2)));
        assert_eq!(Clouds::default().main(), None);
    }
}
