//! How long an object is waited for that cannot be fetched.

use rand::Rng;
use std::time::Duration;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is left of the patience with one object.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
    tries: u32,
}

impl Patience {
    /// Patience for so long.
    pub fn of(most: Duration) -> Patience {
        Patience { left: most, tries: 0 }
    }

    /// The pause before the next try; none when there is no more patience. Time in which nothing at all can be read from
    /// the source (`is_everything`) is not the object's.
    pub fn pause(&mut self, is_everything: bool) -> Option<Duration> {
        let longest = Duration::from_secs(1 << self.tries.min(10)).min(PAUSE_MAX);
        self.tries = self.tries.saturating_add(1);
        let pause = longest.mul_f64(rand::rng().random_range(0.75..=1.0));
        if is_everything {
            return Some(pause);
        }
        if self.left.is_zero() {
            return None;
        }
        let pause = pause.min(self.left);
        self.left -= pause;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_tried_ever_less_until_its_time_is_over() {
        let mut patience = Patience::of(Duration::from_secs(300));
        let pauses: Vec<Duration> = std::iter::from_fn(|| patience.pause(false)).collect();
        assert_eq!(pauses.iter().sum::<Duration>(), Duration::from_secs(300));
        assert!((12..=22).contains(&pauses.len()), "{pauses:?}");
        assert!(pauses[0] <= Duration::from_secs(1) && pauses.iter().all(|pause| *pause <= PAUSE_MAX));
    }

    #[test]
    fn an_outage_of_everything_costs_no_patience() {
        let mut patience = Patience::of(Duration::from_secs(2));
        assert!((0..1000).all(|_| patience.pause(true).is_some_and(|pause| pause <= PAUSE_MAX)));
        assert!(patience.pause(false).is_some());
    }
}
