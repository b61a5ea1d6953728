//! How many bytes of objects a source may hold at once, whatever their number and size.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT_BYTES: u64 = 1024;

/// A number of bytes, taken and given back. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// Some of the bytes, as long as it lives.
pub(crate) type Room = OwnedSemaphorePermit;

impl Memory {
    pub(super) fn of(bytes: u64) -> Self {
        let units_max = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self { units: Arc::new(Semaphore::new(units_max as usize)), units_max }
    }

    /// Room for an object, if there is some now. One that is larger than all of it needs all of it: it is alone then.
    pub(super) fn try_take(&self, bytes: u64) -> Option<Room> {
        Arc::clone(&self.units).try_acquire_many_owned(self.units(bytes)).ok()
    }

    /// The same; waits until there is. Whoever came first is first, so that a large one is not passed for ever.
    pub(super) async fn take(&self, bytes: u64) -> Option<Room> {
        // It is never closed.
        Arc::clone(&self.units).acquire_many_owned(self.units(bytes)).await.ok()
    }

    fn units(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_object_waits_until_the_others_are_gone() {
        let memory = Memory::of(100 * 1024);
        let first = memory.take(60 * 1024).await;
        assert!(memory.try_take(60 * 1024).is_none());
        assert!(memory.try_take(1).is_some());
        let other = memory.clone();
        let larger = tokio::spawn(async move { other.take(u64::MAX).await.is_some() });
        tokio::task::yield_now().await;
        assert!(!larger.is_finished(), "more than all of it waits for all of it");
        drop(first);
        assert!(larger.await.unwrap());
        assert!(memory.try_take(100 * 1024).is_some());
    }
}
