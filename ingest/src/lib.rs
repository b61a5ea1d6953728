//! Facts come in: where bytes wait, what a record says, one Arrow table for three clouds.
//!
//! [`source`] names objects and hands out their bytes, [`read_object`] turns the bytes of one object into an
//! [`EventBatch`] and the records that could not be read.

pub mod agent;
mod deletions;
pub mod denial;
pub mod digest;
pub mod duration;
pub mod envelope;
pub mod escapes;
pub mod event;
pub mod fingerprint;
pub mod formats;
pub mod inflate;
mod jitter;
pub mod keys;
mod lease;
pub mod lookup_events;
pub mod object;
pub mod planted;
pub mod public_keys;
pub mod quarantine;
pub mod redact;
pub mod source;
pub mod sources;
mod time;
pub mod token;
mod valve;

pub use envelope::{Notification, NotificationError, NotifiedObject, notification};
pub use event::{Columns, EventBatch};
pub use fingerprint::fingerprint;
pub use inflate::{Limits, ObjectError, inflate};
pub use object::{
    ObjectReader, ReadObject, ReadOptions, Room, Slice, Summary, read_object, read_object_with, read_record,
};
pub use quarantine::Quarantined;
pub use redact::Redaction;
pub use source::{Delivery, FetchError, Fetcher, Next, ObjectRef, Source, SourceConfig, SourceError, Ticket};
