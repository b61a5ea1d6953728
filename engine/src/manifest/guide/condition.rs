//! The two conditions of a rule that are read: what made an identity, and how old it is

/// What must be so of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// `identity.type == "ai-generated"`
    MadeByAi,
    /// `identity.age > 30 days`
    OlderThan { days: u32 },
}

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Condition, String> {
        let fault = |why: &str| {
            Err(format!(
                "`{text}` in `rules.condition` {why}. Two forms are read: `identity.type == \"ai-generated\"` and `identity.age > 30 days`"
            ))
        };
        let text = text.trim();
        let end = text.find(|c: char| c.is_whitespace() || "=<>!".contains(c)).unwrap_or(text.len());
        let Some((subject, rest)) = text.split_at_checked(end) else { return fault("is no condition") };
        let rest = rest.trim_start();
        let end = rest.find(|c: char| !"=<>!".contains(c)).unwrap_or(rest.len());
        let Some((operator, value)) = rest.split_at_checked(end) else { return fault("is no condition") };
        let value = value.trim();
        match (subject, operator) {
            ("identity.type", "==" | "=") => match unquoted(value) {
                Some("ai-generated") => Ok(Condition::MadeByAi),
                _ => fault("asks for another type than `ai-generated`"),
            },
            ("identity.age", ">") => match days(value) {
                Some(days) => Ok(Condition::OlderThan { days }),
                None => fault("has no number of days"),
            },
            ("identity.type" | "identity.age", _) => fault("compares in a way that is not read"),
            _ => fault("is about something else"),
        }
    }
}

fn unquoted(text: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.strip_suffix(quote);
        }
    }
    Some(text)
}

/// `30 days`, `30d`, `4 weeks`.
fn days(text: &str) -> Option<u32> {
    let text = unquoted(text)?;
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let number: u32 = number.parse().ok()?;
    match unit.trim() {
        "day" | "days" | "d" => Some(number),
        "week" | "weeks" | "w" => number.checked_mul(7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ai_made_is_told_however_it_is_quoted() {
        for text in [
            "identity.type == \"ai-generated\"",
            "identity.type == 'ai-generated'",
            "identity.type==ai-generated",
            "  identity.type  =  \"ai-generated\"  ",
        ] {
            assert_eq!(Condition::parse(text), Ok(Condition::MadeByAi), "{text}");
        }
    }

    #[test]
    fn age_is_counted_in_days() {
        for (text, days) in [
            ("identity.age > 30 days", 30),
            ("identity.age>1 day", 1),
            ("identity.age > 90d", 90),
            ("identity.age > 4 weeks", 28),
        ] {
            assert_eq!(Condition::parse(text), Ok(Condition::OlderThan { days }), "{text}");
        }
    }

    #[test]
    fn anything_else_says_which_are_read() {
        for text in [
            "",
            "identity",
            "identity.type != \"ai-generated\"",
            "identity.type == \"human\"",
            "identity.type == \"ai-generated",
            "identity.type == \"ai-generated\" && identity.age > 30 days",
            "identity.age < 30 days",
            "identity.age >= 30 days",
            "identity.age > days",
            "identity.age > 30",
            "identity.age > 30 months",
            "identity.age > 99999999999 days",
            "identity.owner == \"x\"",
            "é > 1",
        ] {
            let fault = Condition::parse(text).unwrap_err();
            assert!(fault.contains("Two forms are read"), "{fault}");
        }
    }
}
