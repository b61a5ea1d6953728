//! Commands that ask and answer, one file each.

pub mod backfill;
pub mod completeness;
pub mod digest;
pub mod findings;
pub mod quarantine;
pub mod query;
pub mod report;
pub mod schema;
pub mod scope;
pub mod silence;
pub mod status;
pub mod synth;
pub mod tool;
pub mod usage;
pub mod validate;

use crate::exit::Usage;
use engine::store::{Store, StoreError};
use std::path::Path;

/// Opens the store of a configuration for reading and for a person's decisions.
async fn attach(path: &Path) -> anyhow::Result<Store> {
    Ok(Store::attach(path).await?)
}

/// An id that nothing has is the user's to mend.
fn usage_if_not_found<T>(result: Result<T, StoreError>) -> anyhow::Result<T> {
    result.map_err(|error| match error {
        StoreError::NotFound { .. } => Usage::error(error),
        other => other.into(),
    })
}
