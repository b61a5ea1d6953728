//! Which objects are open at this moment, told to the next process if this one ends in the middle.
//!
//! A file beside the store has a place for each object that is being judged. It is written without a sync: it must
//! survive the process, not the power, for a power cut is no object's fault. So only what was really open when the process
//! ended is suspected, not the hundreds that were merely claimed.

use super::{Store, StoreError};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::debug;

/// Objects open at once that can be told.
const PLACES: u16 = 128;

/// A place: an object's id of 32 digits and a line's end.
const PLACE_BYTES: usize = 33;

#[derive(Debug)]
pub(super) struct Opened {
    // None: it cannot be made, and nothing is suspected.
    file: Option<File>,
    free: Mutex<Vec<u16>>,
    suspects: Vec<String>,
}

/// An object is open as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct Mark {
    of: Option<(Arc<Opened>, u16)>,
}

impl Opened {
    pub(super) fn beside(store: &Path) -> Opened {
        let path = store.with_extension("open");
        let mut text = String::new();
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file =
            file.inspect_err(|cause| debug!(%cause, path = %path.display(), "no list of open objects")).ok();
        if let Some(file) = &mut file {
            // Of a length that we wrote: no more is read of whatever lies there.
            let _ = file.take(PLACES as u64 * PLACE_BYTES as u64).read_to_string(&mut text);
        }
        let is_id =
            |line: &&str| line.len() == PLACE_BYTES - 1 && line.bytes().all(|b| b.is_ascii_hexdigit());
        let suspects: BTreeSet<String> = text.lines().filter(is_id).map(str::to_owned).collect();
        Opened { file, free: Mutex::new((0..PLACES).collect()), suspects: suspects.into_iter().collect() }
    }

    fn clear(&self) {
        (0..PLACES).for_each(|place| self.write(place, ""));
    }

    fn write(&self, place: u16, id: &str) {
        let line = format!("{id:<width$}\n", width = PLACE_BYTES - 1);
        let Some(file) = &self.file else { return };
        if let Err(cause) = file.write_all_at(line.as_bytes(), u64::from(place) * PLACE_BYTES as u64) {
            debug!(%cause, "an open object is not noted");
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some((opened, place)) = &self.of {
            opened.write(*place, "");
            opened.free.lock().unwrap_or_else(PoisonError::into_inner).push(*place);
        }
    }
}

impl Store {
    /// Notes that an object is open: if the process ends before the mark is dropped, that counts against the object.
    pub fn mark_open(&self, object: &str) -> Mark {
        let taken = self.opened.as_ref().and_then(|opened| {
            let place = opened.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            opened.write(place, object);
            Some((Arc::clone(opened), place))
        });
        Mark { of: taken }
    }

    /// Ends the leases that a killed process left behind. Only for the process that owns the file.
    ///
    /// An object that was open at that moment keeps this attempt; for any other it does not count.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn end_stale_leases(&self) -> Result<u64, StoreError> {
        let suspects = self.opened.as_ref().map(|opened| opened.suspects.as_slice()).unwrap_or_default();
        let mut tx = self.begin().await?;
        let mut spared = 0;
        for suspect in suspects {
            spared += sqlx::query("UPDATE objects SET lease_until = 0 WHERE id = $1 AND state = 'claimed'")
                .bind(suspect)
                .execute(&mut *tx)
                .await?
                .rows_affected();
        }
        let ended = sqlx::query(
            "UPDATE objects SET lease_until = 0, attempts = attempts - 1
             WHERE state = 'claimed' AND lease_until > 0",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if let Some(opened) = &self.opened {
            opened.clear();
        }
        Ok(ended.rows_affected() + spared)
    }

    /// Ends the claim of an object on which a worker failed in a way that no worker should: the attempt counts.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn lapse(&self, claim: &super::ClaimToken) -> Result<(), StoreError> {
        sqlx::query("UPDATE objects SET lease_until = 0 WHERE id = $1 AND token = $2 AND state = 'claimed'")
            .bind(&claim.object)
            .bind(claim.token)
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Claim, Durability};

    async fn open(folder: &Path) -> Store {
        let store = Store::open(&folder.join("remit.db"), Durability::None).await.unwrap();
        store.end_stale_leases().await.unwrap();
        store
    }

    /// As a crash would: the marks stay, the leases too.
    async fn crash(store: Store, marks: Vec<Mark>) {
        let opened = Arc::downgrade(store.opened.as_ref().unwrap());
        marks.into_iter().for_each(std::mem::forget);
        store.close().await;
        drop(store);
        // What was forgotten holds the file still; the next process has its own.
        assert!(opened.upgrade().is_some());
    }

    fn id(letter: &str) -> String {
        letter.repeat(32)
    }

    #[tokio::test]
    async fn what_was_open_when_the_process_ended_twice_is_not_opened_a_third_time() {
        let folder = tempfile::tempdir().unwrap();
        let (poison, waiting) = (id("a"), id("b"));
        for crashes in 0..2 {
            let store = open(folder.path()).await;
            let claim = store.claim(&poison, "s", "place", 1_000, 10).await.unwrap();
            assert_eq!(matches!(claim, Claim::Suspect(_)), crashes > 0, "{claim:?}");
            // Merely claimed each time, and so never suspected.
            assert!(matches!(store.claim(&waiting, "s", "place", 1_000, 10).await.unwrap(), Claim::Mine(_)));
            let mark = store.mark_open(&poison);
            // Its judging ended before the crash.
            drop(store.mark_open(&waiting));
            crash(store, vec![mark]).await;
        }
        let store = open(folder.path()).await;
        assert!(matches!(store.claim(&poison, "s", "place", 1_000, 10).await.unwrap(), Claim::Poison(_)));
        assert!(matches!(store.claim(&waiting, "s", "place", 1_000, 10).await.unwrap(), Claim::Mine(_)));
    }

    #[tokio::test]
    async fn a_worker_that_panics_counts_as_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        for _ in 0..2 {
            let (Claim::Mine(claim) | Claim::Suspect(claim)) =
                store.claim(&id("c"), "s", "place", 1_000, 10).await.unwrap()
            else {
                panic!()
            };
            store.lapse(&claim).await.unwrap();
        }
        assert!(matches!(store.claim(&id("c"), "s", "place", 1_000, 10).await.unwrap(), Claim::Poison(_)));
    }

    #[test]
    fn a_list_that_is_none_suspects_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("remit.db");
        std::fs::write(store.with_extension("open"), "no list\n".repeat(100_000)).unwrap();
        assert_eq!(Opened::beside(&store).suspects, Vec::<String>::new());
        let opened = Opened::beside(&folder.path().join("not/there/remit.db"));
        opened.clear();
        assert!(opened.file.is_none());
    }
}
