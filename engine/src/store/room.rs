//! Whether there is room for what is to be written.

use super::{Store, StoreError};
use std::path::Path;

/// Less room than this (bytes) is none: a transaction of many objects could end in the middle of it.
pub const ROOM_BYTES_MIN: u64 = 4 << 20;

/// What a probe writes: more than the room that a file has left over in its last pages.
const PROBE_BYTES: i64 = 256 << 10;

impl Store {
    /// Writes something, and takes it away again: whether commits work.
    ///
    /// # Errors
    /// [`StoreError::Sql`], as a commit would have it.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO probe (id, filler) VALUES (1, zeroblob($1)) ON CONFLICT (id) DO NOTHING")
            .bind(PROBE_BYTES)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        sqlx::query("DELETE FROM probe").execute(&self.writer).await?;
        Ok(())
    }

    /// Bytes that may still be written beside the store; none where the system does not say.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let space = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))).ok()?;
        space.f_bavail.checked_mul(space.f_frsize)
    }
}
