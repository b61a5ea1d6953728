//! A clock that does not jump with the machine's.
//!
//! Somebody sets the date, a virtual machine is moved, a time server is wrong: leases, waits and ages must not end or
//! begin by that. So time goes on as it passes; small corrections are followed at once, and a jump is believed when the
//! machine's clock has stayed with it for an hour.

use super::{HOUR, MINUTE};

/// Differences up to this (µs) are corrections, not jumps.
const CORRECTION_MAX: i64 = 2 * MINUTE;

/// How long (µs) a clock must stay where it jumped to.
const BELIEVED_AFTER: i64 = HOUR;

/// The last time that the machine's clock and passing time agreed, and what was seen since. All in µs.
#[derive(Debug)]
pub(super) struct Steady {
    wall: i64,
    passed: i64,
    jump: Option<Jump>,
}

#[derive(Debug, Clone, Copy)]
struct Jump {
    since: i64,
    by: i64,
}

impl Steady {
    /// `wall`: what the machine's clock says; `passed`: time that passed since any fixed moment.
    pub(super) fn new(wall: i64, passed: i64) -> Steady {
        Steady { wall, passed, jump: None }
    }

    pub(super) fn now(&mut self, wall: i64, passed: i64) -> i64 {
        let steady = self.wall.saturating_add(passed.saturating_sub(self.passed));
        let off = wall.saturating_sub(steady);
        if off.saturating_abs() <= CORRECTION_MAX {
            *self = Steady::new(wall, passed);
            return wall;
        }
        match self.jump {
            Some(jump) if jump.by.saturating_sub(off).saturating_abs() <= CORRECTION_MAX => {
                if passed.saturating_sub(jump.since) >= BELIEVED_AFTER {
                    *self = Steady::new(wall, passed);
                    return wall;
                }
            }
            _ => self.jump = Some(Jump { since: passed, by: off }),
        }
        steady
    }

    /// How far the machine's clock is off, while that is not believed.
    pub(super) fn jump(&self) -> Option<i64> {
        self.jump.map(|jump| jump.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY, SECOND};

    const START: i64 = 20_000 * DAY;

    #[test]
    fn small_corrections_are_followed_at_once() {
        let mut clock = Steady::new(START, 0);
        assert_eq!(clock.now(START + SECOND, SECOND), START + SECOND);
        assert_eq!(clock.now(START - 30 * SECOND, 2 * SECOND), START - 30 * SECOND, "a time server");
        assert_eq!(clock.now(START + 60 * SECOND, 3 * SECOND), START + 60 * SECOND);
        assert_eq!(clock.jump(), None);
    }

    #[test]
    fn a_jump_and_the_way_back_change_nothing() {
        for jump in [DAY, -DAY, 3_650 * DAY, -1_825 * DAY, i64::MAX - START - DAY, i64::MIN + START] {
            let mut clock = Steady::new(START, 0);
            for minute in 1..50 {
                let passed = minute * MINUTE;
                let wall = (START + passed).saturating_add(jump);
                assert_eq!(clock.now(wall, passed), START + passed, "{jump}");
                assert!(clock.jump().is_some());
            }
            assert_eq!(clock.now(START + HOUR, HOUR), START + HOUR);
            assert_eq!(clock.jump(), None, "it is right again");
        }
    }

    #[test]
    fn a_clock_that_stays_where_it_went_is_believed() {
        let mut clock = Steady::new(START, 0);
        let wall = |minutes: i64| START + DAY + minutes * MINUTE;
        for minute in 1..=60 {
            assert_eq!(clock.now(wall(minute), minute * MINUTE), START + minute * MINUTE);
        }
        assert_eq!(clock.now(wall(61), 61 * MINUTE), wall(61), "a machine that slept for a day");
        assert_eq!(clock.jump(), None);
    }

    #[test]
    fn a_clock_that_jumps_about_is_not_believed() {
        let mut clock = Steady::new(START, 0);
        for minute in 1..600 {
            let wall = START + minute * MINUTE + (minute % 2 + 1) * DAY;
            assert_eq!(clock.now(wall, minute * MINUTE), START + minute * MINUTE);
        }
    }
}
