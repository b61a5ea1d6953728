//! The newest posture, worked out at most once in a while however many people look.

use engine::posture::Posture;
use engine::store::StoreError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

type Working = Pin<Box<dyn Future<Output = Result<Posture, StoreError>> + Send>>;

/// Where pages get the posture from. Cheap to clone; all clones share one answer.
#[derive(Clone)]
pub struct Postures {
    inner: Arc<Inner>,
}

struct Inner {
    age_max: Duration,
    work_out: Box<dyn Fn() -> Working + Send + Sync>,
    // Held while it is worked out: who asks meanwhile waits for that answer instead of starting another.
    newest: Mutex<Option<(Instant, Arc<Posture>)>>,
}

impl fmt::Debug for Postures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postures").field("age_max", &self.inner.age_max).finish_non_exhaustive()
    }
}

impl Postures {
    /// Answers from `work_out`, kept for `age_max`.
    pub fn new<F, W>(age_max: Duration, work_out: F) -> Postures
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = Result<Posture, StoreError>> + Send + 'static,
    {
        let work_out = Box::new(move || -> Working { Box::pin(work_out()) });
        Postures { inner: Arc::new(Inner { age_max, work_out, newest: Mutex::new(None) }) }
    }

    /// The posture, at most `age_max` old.
    ///
    /// # Errors
    /// What working it out gave; nothing of it is kept.
    pub async fn newest(&self) -> Result<Arc<Posture>, StoreError> {
        let mut newest = self.inner.newest.lock().await;
        if let Some((at, posture)) = newest.as_ref()
            && at.elapsed() < self.inner.age_max
        {
            return Ok(posture.clone());
        }
        let posture = Arc::new((self.inner.work_out)().await?);
        *newest = Some((Instant::now(), posture.clone()));
        Ok(posture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn counted(age_max: Duration) -> (Postures, Arc<AtomicUsize>) {
        let worked = Arc::new(AtomicUsize::new(0));
        let count = worked.clone();
        let postures = Postures::new(age_max, move || {
            count.fetch_add(1, Ordering::Relaxed);
            async {
                Ok(Posture {
                    covered: None,
                    agents: vec![],
                    unclaimed: vec![],
                    unparsed: vec![],
                    data_events: vec![],
                    trust: engine::measure::Trust::default(),
                })
            }
        });
        (postures, worked)
    }

    #[tokio::test]
    async fn one_answer_serves_all_who_ask_within_its_age() {
        let (postures, worked) = counted(Duration::from_secs(60));
        let (first, second) = tokio::join!(postures.newest(), postures.newest());
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
        assert_eq!(worked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_old_answer_is_worked_out_again() {
        let (postures, worked) = counted(Duration::ZERO);
        postures.newest().await.unwrap();
        postures.newest().await.unwrap();
        assert_eq!(worked.load(Ordering::Relaxed), 2);
    }
}
