//! Where objects wait: what a source hands out, and what it wants back.

use crate::envelope::NotifiedObject;
use crate::fingerprint::fingerprint;
use crate::inflate::Limits;
use crate::lease::Share;
use crate::quarantine::reason;
use crate::sources::s3_sqs::memory::Room;
pub use crate::sources::{DirectoryConfig, S3SqsConfig, SourceConfig};
use crate::sources::{directory, s3_sqs};
pub use crate::valve::Valve;
use std::ops::Deref;
use std::time::Duration;

/// A place that objects come from.
///
/// ```no_run
/// # async fn read() -> Result<(), Box<dyn std::error::Error>> {
/// use ingest::source::{DirectoryConfig, Next, Source, SourceConfig};
///
/// let config = SourceConfig::Directory(DirectoryConfig::once("/var/log/cloudtrail"));
/// let mut source = Source::open(&config, &ingest::Limits::default()).await?;
/// let fetcher = source.fetcher();
/// while let Some(next) = source.next().await? {
///     if let Next::Object(delivery) = next {
///         let _bytes = fetcher.fetch(&delivery.object).await?;
///         delivery.ticket.acknowledge().await?;
///     }
/// }
/// # Ok(()) }
/// ```
pub enum Source {
    /// A folder.
    Directory(directory::Directory),
    /// A bucket whose new objects are told through a queue.
    S3Sqs(s3_sqs::S3Sqs),
}

/// What a source has next.
pub enum Next {
    /// An object to read.
    Object(Delivery),
    /// Something that names no readable object: quarantine it durably, then acknowledge its ticket.
    Unreadable(Unreadable),
    /// A message that asked for nothing, with the reason; already deleted, to be counted only.
    Ignored(&'static str),
}

/// An object, and the duty to say what became of it.
pub struct Delivery {
    /// Which object.
    pub object: ObjectRef,
    /// To be given back.
    pub ticket: Ticket,
    /// How often it was delivered, this time included.
    pub attempt: u32,
}

/// A notification that cannot be understood or must not be followed, or a file that cannot be opened.
pub struct Unreadable {
    /// The object, where one was named.
    pub object: Option<ObjectRef>,
    /// One of [`reason::ALL`].
    pub reason: &'static str,
    /// What was wrong, for a person.
    pub detail: String,
    /// How it begins, redacted.
    pub head: String,
    /// To be acknowledged once it is in quarantine, or released to see it again.
    pub ticket: Ticket,
    /// How often it was delivered, this time included.
    pub attempt: u32,
}

/// The duty to say what became of a delivery. Dropped without a word, the object comes back: a message when its time
/// ends, a file after a pause.
pub struct Ticket(Held);

enum Held {
    Message(Share),
    File(directory::Loan),
    Nothing,
}

impl Ticket {
    /// Of an object that was found, not told of: there is nobody to answer to.
    pub(crate) fn unasked() -> Self {
        Self(Held::Nothing)
    }

    /// Whether somebody told of the object.
    pub fn is_message(&self) -> bool {
        matches!(self.0, Held::Message(_))
    }

    pub(crate) fn of_message(share: Share) -> Self {
        Self(Held::Message(share))
    }

    pub(crate) fn of_file(loan: directory::Loan) -> Self {
        Self(Held::File(loan))
    }

    /// Everything about the object is durable. A message is deleted when all of its objects were acknowledged.
    ///
    /// # Errors
    /// The message could not be deleted. It comes back and its objects are duplicates then: harmless, but worth a
    /// warning.
    pub async fn acknowledge(self) -> Result<(), SourceError> {
        match self.0 {
            Held::Message(share) => share.acknowledge().await,
            Held::File(loan) => {
                loan.acknowledge();
                Ok(())
            }
            Held::Nothing => Ok(()),
        }
    }

    /// It failed: the object comes back, at once the first time, later after each further attempt.
    pub async fn release(self) {
        match self.0 {
            Held::Message(share) => share.release().await,
            Held::File(loan) => drop(loan),
            Held::Nothing => {}
        }
    }

    /// We stop: the object comes back at once, so that another may take it.
    pub async fn give_back(self) {
        self.come_back(Duration::ZERO).await;
    }

    /// Not tried: the object comes back after `pause` (a file after the pause of its own).
    pub async fn come_back(self, pause: Duration) {
        match self.0 {
            Held::Message(share) => share.come_back(pause).await,
            Held::File(loan) => drop(loan),
            Held::Nothing => {}
        }
    }

    /// The object waits for something else than work. Its message stays hidden, and another is received in its place.
    pub fn stand_aside(&self) {
        if let Held::Message(share) = &self.0 {
            share.stand_aside();
        }
    }
}

impl Source {
    /// Opens a source.
    ///
    /// # Errors
    /// The path is not there, or the configuration names no usable address. Whether the cloud answers shows only in
    /// [`Source::next`].
    pub async fn open(config: &SourceConfig, limits: &Limits) -> Result<Self, SourceError> {
        match config {
            SourceConfig::Directory(config) => {
                Ok(Self::Directory(directory::Directory::open(config, limits)?))
            }
            SourceConfig::S3Sqs(config) => Ok(Self::S3Sqs(s3_sqs::S3Sqs::open(config, limits).await?)),
        }
    }

    /// Whether a source could be read, without taking anything from it.
    ///
    /// # Errors
    /// The folder cannot be read, or the queue does not answer or does not let us.
    pub async fn probe(config: &SourceConfig, limits: &Limits) -> Result<(), SourceError> {
        match config {
            SourceConfig::Directory(config) => directory::Directory::open(config, limits).map(|_| ()),
            SourceConfig::S3Sqs(config) => s3_sqs::S3Sqs::probe(config).await,
        }
    }

    /// The next thing to do; none when a folder that is read once has nothing left right now (what is released
    /// later makes a further call answer again). May be cancelled at any time without losing anything.
    ///
    /// # Errors
    /// The source does not answer at the moment. Calling again is right: it waits longer after each failure.
    pub async fn next(&mut self) -> Result<Option<Next>, SourceError> {
        match self {
            Self::Directory(source) => source.next().await,
            Self::S3Sqs(source) => source.next().await.map(Some),
        }
    }

    /// How long an object is tried that cannot be fetched; none where it comes back by itself instead.
    pub fn retry_for(&self) -> Option<Duration> {
        match self {
            Self::Directory(_) => None,
            Self::S3Sqs(source) => Some(source.retry_for()),
        }
    }

    /// How often what nobody understands is received before it is put into quarantine.
    pub fn receives_max(&self) -> u32 {
        match self {
            Self::Directory(_) => 1,
            Self::S3Sqs(source) => source.receives_max(),
        }
    }

    /// Closes and opens the way in; what was received stays.
    pub fn valve(&self) -> Valve {
        match self {
            // Nothing is taken from a folder that is not asked for.
            Self::Directory(_) => Valve::default(),
            Self::S3Sqs(source) => source.valve(),
        }
    }

    /// Fetches objects of this source; cheap to clone, so that many can fetch while one waits in [`Source::next`].
    pub fn fetcher(&self) -> Fetcher {
        match self {
            Self::Directory(source) => Fetcher::Directory(source.files()),
            Self::S3Sqs(source) => Fetcher::S3(source.bucket()),
        }
    }

    /// What lies where the source's objects do, where that can be asked.
    pub fn listing(&self) -> Option<s3_sqs::Listing> {
        match self {
            Self::Directory(_) => None,
            Self::S3Sqs(source) => source.listing(),
        }
    }

    /// Fetches one object, as [`Fetcher::fetch`] does.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, FetchError> {
        self.fetcher().fetch(object).await
    }

    /// Gives back what was received and not handed out yet. Tickets that are out stay valid.
    pub async fn close(self) {
        if let Self::S3Sqs(source) = self {
            source.close().await;
        }
    }
}

/// Fetches the bytes of objects.
#[derive(Clone)]
pub enum Fetcher {
    /// From a folder.
    Directory(directory::Files),
    /// From S3.
    S3(s3_sqs::Bucket),
}

impl Fetcher {
    /// Fetches objects of a source, and takes nothing from its queue.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub async fn open(config: &SourceConfig, limits: &Limits) -> Result<Self, SourceError> {
        match config {
            SourceConfig::Directory(config) => {
                Ok(Self::Directory(directory::Directory::open(config, limits)?.files()))
            }
            SourceConfig::S3Sqs(config) => Ok(Self::S3(s3_sqs::S3Sqs::bucket_of(config, limits).await?)),
        }
    }

    /// The bytes of `object`, as stored, of exactly the version that it names. Never more than the limits allow.
    ///
    /// # Errors
    /// See [`FetchError`]; what may pass was already tried several times.
    pub async fn fetch(&self, object: &ObjectRef) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::Directory(files) => files.fetch(object).await,
            Self::S3(bucket) => bucket.fetch(object).await,
        }
    }

    /// As [`Fetcher::fetch`], within the memory that the source may use, and not as long as nothing can be read from it:
    /// waits then. May be cancelled at any time.
    ///
    /// # Errors
    /// See [`FetchError`]; what may pass was already tried several times.
    pub async fn load(&self, object: &ObjectRef) -> Result<Loaded, FetchError> {
        match self {
            Self::Directory(files) => Ok(Loaded { bytes: files.fetch(object).await?, room: None }),
            Self::S3(bucket) => bucket.load(object).await,
        }
    }

    /// Why nothing can be read from the source now, where that is so.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Directory(_) => None,
            Self::S3(bucket) => bucket.trouble(),
        }
    }
}

/// The bytes of an object, which count as its source's memory until they are dropped.
#[derive(Debug)]
pub struct Loaded {
    bytes: Vec<u8>,
    room: Option<Room>,
}

impl Loaded {
    pub(crate) fn within(bytes: Vec<u8>, room: Room) -> Self {
        Self { bytes, room: Some(room) }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        drop(self.room);
        self.bytes
    }
}

impl Deref for Loaded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why an object cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It is not there.
    #[error("the object is not there")]
    Missing,
    /// It may not be read.
    #[error("the object may not be read: {0}")]
    Denied(String),
    /// It is none of those that the configuration allows; nothing was asked.
    #[error("{0}; add it to the source if these logs are yours")]
    Forbidden(String),
    /// It lies in an archive tier.
    #[error("the object is archived; restore it to have it read")]
    Archived,
    /// It has more bytes than the limit.
    #[error("the object has more bytes than the limit of {limit}")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// It was overwritten since.
    #[error("the object is no longer the version that was announced")]
    Changed,
    /// It may work later: release the ticket.
    #[error("the object could not be fetched: {0}")]
    Retry(String),
}

impl FetchError {
    /// The reason to quarantine the object under; none where it should be tried again.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Missing => Some(reason::MISSING_OBJECT),
            Self::Denied(_) => Some(reason::ACCESS_DENIED),
            Self::Forbidden(_) => Some(reason::FORBIDDEN_BUCKET),
            Self::Archived => Some(reason::ARCHIVED),
            Self::TooLarge { .. } => Some(reason::COMPRESSED_TOO_BIG),
            Self::Changed => Some(reason::CHANGED_OBJECT),
            Self::Retry(_) => None,
        }
    }
}

/// Why a source does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The queue refuses or does not answer.
    #[error("cannot {what} at the queue {queue}: {cause}")]
    Queue {
        /// What was tried.
        what: &'static str,
        /// The queue's URL.
        queue: String,
        /// What came back.
        cause: String,
    },
    /// A path cannot be read.
    #[error("cannot read {path}: {cause}; check that it exists and that remit may read it")]
    Path {
        /// Which.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// More files than can be watched.
    #[error("more than {limit} files under {path}; split it into several sources")]
    TooManyFiles {
        /// Where.
        path: String,
        /// What is allowed.
        limit: usize,
    },
    /// A setting that cannot work.
    #[error("`{key}`: {problem}")]
    Setting {
        /// Which key.
        key: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// The name of the source that it came from.
    pub source: String,
    /// The bucket; for a directory its absolute path.
    pub bucket: String,
    /// The key; for a directory the path below it.
    pub key: String,
    /// What tells this version from others of the same key. S3: the version's id, else the ETag in its quotes, else
    /// empty. Directory: SHA-256 of the bytes.
    pub version: String,
}

impl ObjectRef {
    /// The object that a notification to a source names.
    pub fn notified(source: &str, notified: NotifiedObject) -> ObjectRef {
        let NotifiedObject { bucket, key, version, etag } = notified;
        // An ETag in its quotes, as HTTP writes it, cannot be taken for a version's id.
        let version = version.or(etag.map(|etag| format!("\"{etag}\""))).unwrap_or_default();
        ObjectRef { source: source.to_owned(), bucket, key, version }
    }

    /// 32 hexadecimal digits that stand for bucket, key and version; the source's name may change.
    pub fn id(&self) -> String {
        fingerprint(&[&self.bucket, &self.key, &self.version], 32)
    }

    /// Where it is, for people: `s3://bucket/key` or a path.
    pub fn display(&self) -> String {
        // A bucket's name has no slash, an absolute path has nothing without one.
        if self.bucket.contains(['/', '\\']) {
            format!("{}/{}", self.bucket.trim_end_matches('/'), self.key)
        } else {
            format!("s3://{}/{}", self.bucket, self.key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bucket: &str, key: &str, version: &str) -> ObjectRef {
        let [source, bucket, key, version] = ["s", bucket, key, version].map(str::to_owned);
        ObjectRef { source, bucket, key, version }
    }

    #[test]
    fn an_id_is_of_bucket_key_and_version() {
        let id = object("b", "k", "v").id();
        assert_eq!(id.len(), 32);
        assert_eq!(ObjectRef { source: "renamed".into(), ..object("b", "k", "v") }.id(), id);
        for other in [object("bk", "", "v"), object("b", "kv", ""), object("b", "k", "w")] {
            assert_ne!(other.id(), id, "{other:?}");
        }
    }

    #[test]
    fn a_place_is_shown_as_people_write_it() {
        assert_eq!(object("logs", "a/b.json.gz", "").display(), "s3://logs/a/b.json.gz");
        assert_eq!(object("/var/logs", "a/b.json", "").display(), "/var/logs/a/b.json");
        assert_eq!(object("/", "b.json", "").display(), "/b.json");
    }
}
