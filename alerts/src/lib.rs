//! Judgements go out: receivers, outbox, reports, and findings told to people.

pub mod alert;
pub mod heartbeat;
pub mod outbox;
pub mod receiver;
mod receivers;
pub mod report;
mod reports;
mod secret;
pub mod summary;
pub mod terminal;
pub mod text;

#[cfg(test)]
mod samples;

pub use alert::Message;
pub use outbox::{DispatchConfig, Dispatcher, Drained, Observer, Outcome};
pub use receiver::{Receiver, ReceiverConfig, ReceiverError, SendError};
pub use report::{Format, Report, ReportError};
pub use secret::Secret;
pub use summary::Summary;
