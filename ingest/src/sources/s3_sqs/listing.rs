//! What lies in the buckets of a source, whether or not anybody told of it.
//!
//! CloudTrail's folders are found through delimiters, account by account and region by region, and of each only the
//! last days are listed. So a sweep costs a request for each folder and day, however much the bucket holds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bucket::Bucket;
use crate::digest::{DIGEST_BYTES_MAX, Metadata, Place, is_account, is_organization, is_region};
use crate::source::{Delivery, FetchError, Loaded, Next, ObjectRef, SourceError, Ticket};
use crate::sources::S3SqsConfig;

/// Most requests of one sweep: a hundred accounts in every region for a week need a tenth of it.
const REQUESTS_MAX: u64 = 200_000;

/// Longest wait for one answer, its retries included.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The buckets of a source, to be listed and read outside of the queue.
#[derive(Clone)]
pub struct Listing {
    bucket: Bucket,
    name: String,
    buckets: Arc<Vec<String>>,
    prefixes: Arc<Vec<String>>,
    // The source ends when its poller does: this does not keep it up.
    out: mpsc::WeakSender<Result<Next, SourceError>>,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub place: Place,
    /// When it was put there, by the bucket's clock.
    pub modified: Option<DateTime<Utc>>,
}

/// A sweep under way.
pub struct Sweep {
    listing: Listing,
    days: Vec<NaiveDate>,
    steps: VecDeque<Step>,
    requests: u64,
}

struct Step {
    bucket: String,
    prefix: String,
    level: Level,
    page: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// `AWSLogs/`: accounts and organizations.
    Accounts,
    /// `AWSLogs/o-.../`: accounts.
    OfOrganization,
    /// `.../CloudTrail/` and `.../CloudTrail-Digest/`: regions.
    Regions,
    /// A folder of a day: objects.
    Objects,
}

impl Listing {
    pub(super) fn new(
        bucket: Bucket,
        config: &S3SqsConfig,
        out: mpsc::WeakSender<Result<Next, SourceError>>,
    ) -> Self {
        Self {
            bucket,
            name: config.name.clone(),
            buckets: Arc::new(config.buckets.clone()),
            prefixes: Arc::new(config.sweep_prefixes.clone()),
            out,
        }
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins to list what `days` brought, bucket by bucket.
    pub fn sweep(&self, days: Vec<NaiveDate>) -> Sweep {
        let mut steps = VecDeque::new();
        for bucket in self.buckets.iter() {
            for prefix in self.prefixes.iter() {
                let step = |prefix, level| Step { bucket: bucket.clone(), prefix, level, page: None };
                if prefix.contains('%') {
                    let of_day = |day: &NaiveDate| step(dated(prefix, *day), Level::Objects);
                    steps.extend(days.iter().map(of_day));
                } else {
                    steps.push_back(step(format!("{prefix}AWSLogs/"), Level::Accounts));
                }
            }
        }
        Sweep { listing: self.clone(), days, steps, requests: 0 }
    }

    /// The object that lies there now, named as a notification of it would.
    ///
    /// # Errors
    /// [`FetchError::Missing`] where there is none, [`FetchError::Forbidden`] where nobody may ask.
    pub async fn find(&self, place: &Place) -> Result<ObjectRef, FetchError> {
        let mut object = self.object(place);
        if !self.buckets.contains(&place.bucket) {
            return Err(FetchError::Forbidden(place.bucket.clone()));
        }
        let version = timeout(ANSWER_MAX, self.bucket.version(&object)).await;
        object.version = version.unwrap_or_else(|_| Err(FetchError::Retry("it took too long".to_owned())))?;
        Ok(object)
    }

    fn object(&self, place: &Place) -> ObjectRef {
        let Place { bucket, key } = place.clone();
        ObjectRef { source: self.name.clone(), bucket, key, version: String::new() }
    }

    /// Whether an object may be asked for, as a notification of it might be believed.
    fn is_ours(&self, place: &Place) -> bool {
        self.bucket.check(&self.object(place)).is_ok()
    }

    /// Hands an object to whoever reads the source, as if it had been told of. False where nobody reads any more.
    pub async fn deliver(&self, object: ObjectRef, attempt: u32) -> bool {
        let delivery = Delivery { object, ticket: Ticket::unasked(), attempt };
        match self.out.upgrade() {
            Some(out) => out.send(Ok(Next::Object(delivery))).await.is_ok(),
            None => false,
        }
    }

    /// A digest's bytes as stored, and what is signed beside it.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch_digest(&self, object: &ObjectRef) -> Result<(Loaded, Metadata), FetchError> {
        let (bytes, mut beside) = self.bucket.load_with(object, DIGEST_BYTES_MAX).await?;
        let metadata = Metadata {
            signature: beside.remove("signature"),
            algorithm: beside.remove("signature-algorithm"),
            backfill_generated: beside.remove("backfill-generation-timestamp"),
        };
        Ok((bytes, metadata))
    }

    /// A log file's bytes as stored, of exactly that version.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch_log(&self, object: &ObjectRef) -> Result<Loaded, FetchError> {
        self.bucket.load(object).await
    }
}

impl Sweep {
    /// The next objects, perhaps none; nothing at the end. After an error the sweep goes on with the next folder.
    ///
    /// # Errors
    /// A folder cannot be listed, or the sweep needs more requests than one may.
    pub async fn next(&mut self) -> Result<Option<Vec<Listed>>, SourceError> {
        let Some(step) = self.steps.pop_front() else { return Ok(None) };
        if self.requests >= REQUESTS_MAX {
            self.steps.clear();
            let problem = format!(
                "a sweep needs more than {REQUESTS_MAX} requests; set `sweep_days` lower, or split the source"
            );
            return Err(SourceError::Setting { key: "sweep", problem });
        }
        self.requests += 1;
        let problem = |cause: String| SourceError::Path {
            path: format!("s3://{}/{}", step.bucket, step.prefix),
            cause: format!("{cause} (s3:ListBucket is needed to sweep)"),
        };
        let Step { bucket, prefix, level, page } = &step;
        let question = self.listing.bucket.list(bucket, prefix, *level != Level::Objects, page.clone());
        let answer = question.await.map_err(problem)?;
        let page = answer.next_continuation_token().map(str::to_owned);
        if page.is_some() && page != step.page {
            let Step { bucket, prefix, level, .. } = &step;
            let next = Step { bucket: bucket.clone(), prefix: prefix.clone(), level: *level, page };
            self.steps.push_front(next);
        }
        if step.level != Level::Objects {
            let found = answer.common_prefixes().iter().filter_map(|found| found.prefix());
            let found: Vec<String> = found.map(str::to_owned).collect();
            for prefix in found.iter().rev() {
                self.below(&step, prefix);
            }
        }
        let listed = answer.contents().iter().filter(|_| step.level == Level::Objects);
        let listed = listed.filter_map(|object| {
            let modified = object.last_modified();
            Some(Listed {
                place: Place::new(&step.bucket, object.key()?),
                modified: modified.and_then(|at| DateTime::from_timestamp(at.secs(), 0)),
            })
        });
        // What a notification might not ask for is not there for a sweep either.
        Ok(Some(listed.filter(|listed| self.listing.is_ours(&listed.place)).collect()))
    }

    /// How many requests it took so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// What is to be listed below a folder that was found.
    fn below(&mut self, above: &Step, prefix: &str) {
        let Some(name) = prefix.strip_prefix(&above.prefix).and_then(|name| name.strip_suffix('/')) else {
            return;
        };
        let mut step = |prefix: String, level| {
            self.steps.push_front(Step { bucket: above.bucket.clone(), prefix, level, page: None });
        };
        match above.level {
            Level::Accounts if is_organization(name) => step(prefix.to_owned(), Level::OfOrganization),
            Level::Accounts | Level::OfOrganization
                if is_account(name) && !self.listing.bucket.is_foreign(name) =>
            {
                for kind in ["CloudTrail", "CloudTrail-Digest"] {
                    step(format!("{prefix}{kind}/"), Level::Regions);
                }
            }
            Level::Regions if is_region(name) => {
                for day in &self.days {
                    step(format!("{prefix}{}/", day.format("%Y/%m/%d")), Level::Objects);
                }
            }
            Level::Accounts | Level::OfOrganization | Level::Regions | Level::Objects => {}
        }
    }
}

/// `%Y`, `%m` and `%d` of a prefix filled in; other signs stay as they are.
fn dated(prefix: &str, day: NaiveDate) -> String {
    ["%Y", "%m", "%d"]
        .into_iter()
        .fold(prefix.to_owned(), |text, sign| text.replace(sign, &day.format(sign).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_may_have_the_day_in_it() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 5).unwrap();
        assert_eq!(dated("gcp/%Y/%m/%d/", day), "gcp/2026/01/05/");
        assert_eq!(dated("100%/x/", day), "100%/x/");
    }
}
