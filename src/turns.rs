//! One delivery of an object at a time: what comes twice waits until the first has ended, instead of coming back again and
//! again and using up its receives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by the object's id.
#[derive(Debug, Default)]
pub struct Turns {
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// The turn, as long as it lives.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    id: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of an object. None when somebody waits already: more than one would learn nothing new.
    pub async fn of(self: &Arc<Self>, id: &str) -> Option<Turn> {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let lock = held.entry(id.to_owned()).or_default();
            // The map's own, the holder's, and that of whoever waits.
            if Arc::strong_count(lock) > 2 {
                return None;
            }
            Arc::clone(lock)
        };
        // Made before the wait: an entry is cleared up though the wait is given up.
        let mut turn = Turn { turns: Arc::clone(self), id: id.to_owned(), held: None };
        turn.held = Some(lock.lock_owned().await);
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut held = self.turns.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            held.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_and_the_third_goes() {
        let turns = Arc::new(Turns::default());
        let first = turns.of("a").await.unwrap();
        assert!(turns.of("b").await.is_some(), "another object is another turn");
        let waiting = turns.clone();
        let second = tokio::spawn(async move { waiting.of("a").await.is_some() });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        assert!(turns.of("a").await.is_none());
        drop(first);
        assert!(second.await.unwrap());
        assert!(turns.held.lock().unwrap().is_empty(), "nothing is left behind");
        assert!(turns.of("a").await.is_some());
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let turns = Arc::new(Turns::default());
        let first = turns.of("a").await.unwrap();
        let waiting = turns.clone();
        let second = tokio::spawn(async move { waiting.of("a").await.is_some() });
        tokio::task::yield_now().await;
        second.abort();
        let _ = second.await;
        drop(first);
        assert!(turns.of("a").await.is_some());
        assert!(turns.held.lock().unwrap().is_empty());
    }
}
