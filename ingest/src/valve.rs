//! Whether more may come in.

use std::sync::Arc;

use tokio::sync::watch;

/// A valve, open at first. Clones are one valve.
#[derive(Debug, Clone)]
pub struct Valve(Arc<watch::Sender<bool>>);

impl Default for Valve {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Valve {
    /// Opens or closes it.
    pub fn set(&self, is_open: bool) {
        self.0.send_if_modified(|was_open| std::mem::replace(was_open, is_open) != is_open);
    }

    /// Whether it is open now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    /// Back when it is open.
    pub async fn open(&self) {
        // An error would mean that the sender is gone, which is held here.
        let _ = self.0.subscribe().wait_for(|is_open| *is_open).await;
    }
}
