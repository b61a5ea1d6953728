//! Numbers of numeric conditions

use std::cmp::Ordering;

/// An integer or decimal. Whole numbers are compared exactly, others as doubles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    whole: Option<i128>,
    double: f64,
}

impl Number {
    /// `10`, `-2.5`, `1e3`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Number> {
        // Rust would read `inf` and `nan` too.
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
            return None;
        }
        let double: f64 = text.parse().ok()?;
        double.is_finite().then(|| Number { whole: text.parse().ok(), double })
    }

    /// Both as whole numbers where they are, else as doubles.
    pub(super) fn order(self, other: Number) -> Option<Ordering> {
        match (self.whole, other.whole) {
            (Some(this), Some(other)) => Some(this.cmp(&other)),
            _ => self.double.partial_cmp(&other.double),
        }
    }
}
