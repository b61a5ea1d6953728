//! Notes of many tasks in one transaction
//!
//! A receiver that answers again has hundreds of alerts waiting, each noted twice, and every commit is a sync of the
//! disk. So whoever comes first writes what all of them have ready by then; nobody waits on purpose.

use super::{DeliveryKey, Store, StoreError};
use sqlx::{Sqlite, Transaction};
use std::sync::PoisonError;
use tokio::sync::oneshot;

/// What happened to a message.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// A send begins.
    Sending,
    /// It is over.
    Ended {
        /// `delivered`, `dead`, `summarized`
        state: &'static str,
        error: Option<String>,
        now: i64,
    },
    /// It is put back.
    Retry { at: i64, error: String, ambiguous: bool },
}

/// A note, and whom to tell that it is kept.
type Waiting = (DeliveryKey, Note, oneshot::Sender<()>);

/// Notes that wait for the next transaction.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: std::sync::Mutex<Vec<Waiting>>,
    /// Held by whoever writes.
    turn: tokio::sync::Mutex<()>,
}

impl Notes {
    fn add(&self, key: &DeliveryKey, note: &Note) -> oneshot::Receiver<()> {
        let (kept, is_kept) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push((key.clone(), note.clone(), kept));
        is_kept
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// Keeps a note: it is in the file when this is back.
    pub(super) async fn note_delivery(&self, key: &DeliveryKey, note: Note) -> Result<(), StoreError> {
        loop {
            let mut is_kept = self.notes.add(key, &note);
            let _turn = self.notes.turn.lock().await;
            match is_kept.try_recv() {
                Ok(()) => return Ok(()),
                // Whoever wrote failed, or was given up: it is tried once more, and fails for itself.
                Err(oneshot::error::TryRecvError::Closed) => continue,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let waiting = self.notes.take();
            let mut tx = self.begin().await?;
            for (key, note, _) in &waiting {
                write(&mut tx, key, note).await?;
            }
            tx.commit().await?;
            for (.., kept) in waiting {
                // Whoever waits no longer has no use for it.
                let _ = kept.send(());
            }
            return Ok(());
        }
    }
}

async fn write(
    tx: &mut Transaction<'static, Sqlite>,
    key: &DeliveryKey,
    note: &Note,
) -> Result<(), StoreError> {
    let query = match note {
        Note::Sending => sqlx::query(
            "UPDATE deliveries SET resends = resends + CASE WHEN state = 'sending' THEN 1 ELSE 0 END,
                    state = 'sending', attempts = attempts + 1
             WHERE incident = $1 AND revision = $2 AND receiver = $3",
        ),
        Note::Ended { .. } => sqlx::query(
            "UPDATE deliveries SET state = $4, ended_at = $5, last_error = coalesce($6, last_error)
             WHERE incident = $1 AND revision = $2 AND receiver = $3",
        ),
        Note::Retry { .. } => sqlx::query(
            "UPDATE deliveries SET state = $4, next_attempt = $5, last_error = $6
             WHERE incident = $1 AND revision = $2 AND receiver = $3",
        ),
    };
    let query = query.bind(&key.incident).bind(key.revision).bind(&key.receiver);
    let query = match note {
        Note::Sending => query,
        Note::Ended { state, error, now } => query.bind(*state).bind(now).bind(error.as_deref()),
        Note::Retry { at, error, ambiguous } => {
            query.bind(if *ambiguous { "sending" } else { "pending" }).bind(at).bind(error.as_str())
        }
    };
    query.execute(&mut **tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::*;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_many_note_at_once_is_kept_though_some_give_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("remit.db"), Durability::Full).await.unwrap();
        let key = |receiver: usize| DeliveryKey {
            incident: "i".to_owned(),
            revision: 1,
            receiver: format!("r{receiver:03}"),
        };
        let mut tx = store.begin().await.unwrap();
        for receiver in 0..100 {
            sqlx::query(
                "INSERT INTO deliveries (incident, revision, receiver, kind, state, next_attempt)
                 VALUES ('i', 1, $1, 'trigger', 'pending', 0)",
            )
            .bind(key(receiver).receiver)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|receiver| {
                let store = store.clone();
                tokio::spawn(async move {
                    let noted = async {
                        store.note_delivery(&key(receiver), Note::Sending).await?;
                        let ended = Note::Ended { state: "delivered", error: None, now: 7 };
                        store.note_delivery(&key(receiver), ended).await
                    };
                    // Every fourth gives up at some moment, perhaps while it writes for others.
                    let patience = if receiver % 4 == 0 { receiver as u64 } else { 60_000 };
                    tokio::time::timeout(Duration::from_millis(patience), noted)
                        .await
                        .is_ok_and(|kept| kept.is_ok())
                })
            })
            .collect();
        let mut kept = 0;
        for (receiver, task) in tasks.into_iter().enumerate() {
            let is_kept = task.await.unwrap();
            assert!(is_kept || receiver % 4 == 0, "{receiver}");
            kept += i64::from(is_kept);
        }
        let query =
            "SELECT count(*) FROM deliveries WHERE state = 'delivered' AND ended_at = 7 AND attempts = 1";
        let written: i64 = sqlx::query_scalar(query).fetch_one(&store.reader).await.unwrap();
        assert!(kept >= 75 && written >= kept, "{written} of {kept}");
    }
}
