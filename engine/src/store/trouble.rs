//! What a failure of the store means for whoever works with it.

use super::StoreError;

/// The kinds of failures of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The disk is full: nothing was changed, and it works again when there is room.
    Full,
    /// It does not work now; nothing was changed.
    Passing,
    /// What the system says it wrote may not be on the disk, or the file is damaged: only a start from what is really
    /// there is safe.
    Untrustworthy,
}

// <https://www.sqlite.org/rescode.html>
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const NOTADB: u32 = 26;

/// Codes of failed syncs: IOERR_FSYNC, IOERR_DIR_FSYNC. After one the system may have dropped what it could not write, and
/// say that all is well when it is asked again (<https://www.usenix.org/conference/atc20/presentation/rebello>). SQLite
/// fails the transaction and tries no sync again; what it read before is still in its memory, so the process must end.
const SYNC_FAILED: [u32; 2] = [IOERR | 4 << 8, IOERR | 5 << 8];

impl StoreError {
    /// Whether whatever is written next may fail in the same way. One row that is damaged says nothing of others.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        matches!(self, StoreError::Sql(_) | StoreError::Seen(_))
    }

    /// What to do about it.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            StoreError::Sql(error) | StoreError::Open { cause: error, .. } => trouble_of(error),
            _ => Trouble::Passing,
        }
    }
}

fn trouble_of(error: &sqlx::Error) -> Trouble {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse().ok()).map_or(Trouble::Passing, meaning)
}

fn meaning(code: u32) -> Trouble {
    match code & 0xff {
        FULL => Trouble::Full,
        CORRUPT | NOTADB => Trouble::Untrustworthy,
        IOERR if SYNC_FAILED.contains(&code) => Trouble::Untrustworthy,
        _ => Trouble::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store};

    #[tokio::test]
    async fn a_full_disk_is_told_from_other_troubles_and_passes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("remit.db"), Durability::Full).await.unwrap();
        // As a disk without room: the file may not have more pages.
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&store.writer).await.unwrap();
        let limit =
            |pages: i64| sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")));
        limit(pages + 2).execute(&store.writer).await.unwrap();
        let full = store.probe().await.unwrap_err();
        assert_eq!(full.trouble(), Trouble::Full, "{full}");
        let filled: i64 =
            sqlx::query_scalar("SELECT count(*) FROM probe").fetch_one(&store.writer).await.unwrap();
        assert_eq!(filled, 0, "wholly or not at all");
        limit(pages + 1000).execute(&store.writer).await.unwrap();
        store.probe().await.unwrap();

        let wrong = sqlx::query("SELECT nothing FROM nowhere").execute(&store.writer).await.unwrap_err();
        assert_eq!(StoreError::from(wrong).trouble(), Trouble::Passing);
        assert_eq!(StoreError::from(sqlx::Error::PoolTimedOut).trouble(), Trouble::Passing);
    }

    #[test]
    fn after_a_sync_that_failed_only_a_restart_is_safe() {
        // IOERR_FSYNC, IOERR_DIR_FSYNC, and for comparison IOERR_WRITE, IOERR_SHMSIZE, BUSY.
        assert_eq!([1034, 1290].map(meaning), [Trouble::Untrustworthy; 2]);
        assert_eq!([778, 4874, 5].map(meaning), [Trouble::Passing; 3]);
        assert_eq!([13, 11].map(meaning), [Trouble::Full, Trouble::Untrustworthy]);
    }

    #[tokio::test]
    async fn a_damaged_file_is_not_worked_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remit.db");
        std::fs::write(&path, "this is no database, and long enough to be looked at as one".repeat(100))
            .unwrap();
        let error = Store::open(&path, Durability::Full).await.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Untrustworthy, "{error}");
    }
}
