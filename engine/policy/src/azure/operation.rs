//! `*` in Azure's operations: any text, slashes included, whatever the case

use crate::judgement::Malformed;

/// The longest published operation has some two hundred bytes.
const PATTERN_BYTES_MAX: usize = 1_024;
/// A longer operation matches nothing but `*`.
pub(super) const OPERATION_BYTES_MAX: usize = 2_048;

/// An operation of the request, folded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation(String);

impl Operation {
    pub(super) fn new(text: &str) -> Operation {
        Operation(text.trim().to_ascii_lowercase())
    }

    pub(super) fn is_overlong(&self) -> bool {
        self.0.len() > OPERATION_BYTES_MAX
    }
}

/// A pattern such as `Microsoft.Compute/*/read`. Only `*` is a wildcard.
/// <https://learn.microsoft.com/azure/role-based-access-control/role-definitions#actions-format>
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OperationPattern {
    /// What stands between the wildcards, folded; one piece: no wildcard
    pieces: Box<[Box<str>]>,
}

impl OperationPattern {
    pub(super) fn parse(text: &str) -> Result<OperationPattern, Malformed> {
        // Published roles have entries with a blank at the end.
        let text = text.trim();
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            let reason = format!("an operation has 1 to {PATTERN_BYTES_MAX} bytes");
            return Err(Malformed::new("operation", reason));
        }
        let folded = text.to_ascii_lowercase();
        Ok(OperationPattern { pieces: folded.split('*').map(Box::from).collect() })
    }

    /// Each piece is taken where it first fits: with `*` alone, a later place never helps.
    pub(super) fn matches(&self, operation: &Operation) -> bool {
        let text = operation.0.as_str();
        let Some((first, rest)) = self.pieces.split_first() else { return false };
        let Some((last, between)) = rest.split_last() else { return **first == *text };
        if operation.is_overlong() && self.pieces.iter().any(|piece| !piece.is_empty()) {
            return false;
        }
        let Some(mut left) = text.strip_prefix(&**first) else { return false };
        for piece in between {
            let Some((_, after)) = left.split_once(&**piece) else { return false };
            left = after;
        }
        left.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, operation: &str) -> bool {
        OperationPattern::parse(pattern).unwrap().matches(&Operation::new(operation))
    }

    #[test]
    fn a_star_crosses_slashes_and_case_is_nothing() {
        assert!(matches("*/read", "Microsoft.Compute/virtualMachines/read"));
        assert!(matches("microsoft.compute/*/ACTION", "Microsoft.Compute/virtualMachines/start/action"));
        assert!(matches("Microsoft.Compute/*", "Microsoft.Compute/virtualMachines/extensions/write"));
        assert!(matches("*", "Microsoft.Compute/virtualMachines/read"));
    }

    #[test]
    fn what_stands_around_the_star_must_be_there() {
        assert!(!matches("*/read", "Microsoft.Compute/virtualMachines/write"));
        assert!(!matches("Microsoft.Compute/*/action", "Microsoft.Compute/virtualMachines/start"));
        assert!(!matches("Microsoft.Comput/*", "Microsoft.Compute/virtualMachines/read"));
        // One slash cannot be both the one before the star and the one after it.
        assert!(!matches("Microsoft.Compute/*/read", "Microsoft.Compute/read"));
        // A question mark is no wildcard here.
        assert!(!matches("Microsoft.Compute/virtualMachine?/read", "Microsoft.Compute/virtualMachines/read"));
    }

    #[test]
    fn a_blank_at_the_end_of_a_published_pattern_is_not_meant() {
        assert!(matches("Microsoft.Network/virtualNetworks/read ", "Microsoft.Network/virtualNetworks/read"));
    }

    #[test]
    fn an_overlong_operation_is_only_what_anything_is() {
        let long = format!("a/{}", "x".repeat(OPERATION_BYTES_MAX));
        assert!(matches("*", &long));
        assert!(!matches("a/*", &long));
    }

    /// Slow and obvious: tries every length for a star.
    fn oracle(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
            Some((byte, rest)) => {
                text.first().is_some_and(|found| found.eq_ignore_ascii_case(byte)) && oracle(rest, &text[1..])
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn the_fast_matcher_agrees_with_the_obvious_one(pattern in "[aAb/*]{1,9}", text in "[aBb/]{0,9}") {
            prop_assert_eq!(matches(&pattern, &text), oracle(pattern.as_bytes(), text.as_bytes()), "{} {}", pattern, text);
        }
    }
}
