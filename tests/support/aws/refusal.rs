//! What S3 refuses on command, by the beginning of the key.

use super::{Aws, Cloud};
use axum::http::StatusCode;

/// Refusals in force, the latest first.
pub type Refusals = Vec<(String, StatusCode, &'static str)>;

impl Aws {
    /// Every read of a key that begins so is refused.
    pub fn refuse(&self, key: &str, status: u16, code: &'static str) {
        let status = StatusCode::from_u16(status).unwrap();
        self.cloud.refusals.lock().unwrap().insert(0, (key.to_owned(), status, code));
    }

    /// Nothing is refused any more.
    pub fn allow(&self) {
        self.cloud.refusals.lock().unwrap().clear();
    }

    /// How often a key was asked for, or all keys that begin so.
    pub fn reads(&self, place: &str) -> usize {
        self.log().iter().filter(|access| access.action == "GET" && access.what.starts_with(place)).count()
    }
}

/// The refusal of a read, if there is one.
pub fn of(cloud: &Cloud, key: &str) -> Result<(), (StatusCode, &'static str)> {
    let refusals = cloud.refusals.lock().unwrap();
    let refusal = refusals.iter().find(|(beginning, ..)| key.starts_with(beginning));
    refusal.map_or(Ok(()), |(_, status, code)| Err((*status, *code)))
}
