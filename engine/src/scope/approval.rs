//! Windows in which an approved entry holds

use policy::context::{Context, Fact};
use policy::truth::Truth;

use crate::time::parse_rfc3339;

/// What may carry a ticket's id: the source identity, the session's name, which ends `aws:userid`
/// (`AROAEXAMPLE:run-CHG12`), and the session's tag. Names of tags ignore case.
const TICKET_KEYS: [&str; 3] = ["aws:SourceIdentity", "aws:userid", "aws:PrincipalTag/Ticket"];
/// The name of a session that is asked for. Only STS knows the key, so that it says nothing where it is missing.
const ASKED_KEY: &str = "sts:RoleSessionName";
const TIME_KEY: &str = "aws:CurrentTime";

/// What an entry of `approvals` asks for, and the windows that were approved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Approval {
    /// The call must carry the window's ticket
    pub(crate) ticket: bool,
    pub(crate) windows: Vec<Window>,
}

/// One approved stretch of time.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// µs UTC
    pub(crate) start: i64,
    /// µs UTC; not part of it
    pub(crate) end: i64,
    pub(crate) ticket: Option<String>,
    /// `agents/approvals.yaml:3, a.lee@example.com, CHG0012345`
    pub(crate) origin: String,
}

impl Approval {
    /// Whether a window is open, and for which call: by its time, and by the ticket that it carries.
    pub(super) fn open(&self, context: &Context) -> (Truth, Vec<String>) {
        let mut open = Truth::False;
        let mut keys = Vec::new();
        for window in &self.windows {
            let truth = self.holds(window, context, &mut keys);
            open = open.or(truth);
        }
        (open, if open == Truth::Unknown { keys } else { Vec::new() })
    }

    /// The window that is open.
    pub(super) fn opened(&self, context: &Context) -> Option<&Window> {
        self.windows.iter().find(|window| self.holds(window, context, &mut Vec::new()) == Truth::True)
    }

    /// The keys that it asks for.
    pub(super) fn keys(&self) -> Vec<&'static str> {
        if self.windows.is_empty() {
            return Vec::new();
        }
        let tickets = TICKET_KEYS.into_iter().chain([ASKED_KEY]).filter(|_| self.ticket);
        std::iter::once(TIME_KEY).chain(tickets).collect()
    }

    fn holds(&self, window: &Window, context: &Context, keys: &mut Vec<String>) -> Truth {
        let time = match time_of(context) {
            Some(time) => Truth::from((window.start..window.end).contains(&time)),
            None => {
                keys.push(TIME_KEY.to_owned());
                Truth::Unknown
            }
        };
        let ticket = match &window.ticket {
            Some(ticket) if self.ticket && time != Truth::False => carries(ticket, context, keys),
            _ => Truth::True,
        };
        time.and(ticket)
    }
}

/// The call's time, µs UTC.
pub(super) fn time_of(context: &Context) -> Option<i64> {
    match context.fact(TIME_KEY) {
        Fact::Values(values) => values.first().and_then(|text| parse_rfc3339(text)),
        Fact::Absent | Fact::Unknown => None,
    }
}

/// Whether a call carries the ticket: in the source identity, the session's name or the session's tag.
fn carries(ticket: &str, context: &Context, keys: &mut Vec<String>) -> Truth {
    let named = |values: &[String]| values.iter().any(|value| holds_word(value, ticket));
    if matches!(context.fact(ASKED_KEY), Fact::Values(values) if named(values)) {
        return Truth::True;
    }
    let mut carried = Truth::False;
    let mut unknown = Vec::new();
    for key in TICKET_KEYS {
        carried = carried.or(match context.fact(key) {
            Fact::Values(values) => Truth::from(named(values)),
            Fact::Absent => Truth::False,
            Fact::Unknown => {
                unknown.push(key.to_owned());
                Truth::Unknown
            }
        });
    }
    if carried == Truth::Unknown {
        keys.append(&mut unknown);
    }
    carried
}

/// `run-CHG12-nightly` holds `CHG12`, and not `CHG1`.
fn holds_word(text: &str, word: &str) -> bool {
    let inner = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
            !inner(before) && !inner(after)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR, MINUTE};

    fn approval(ticket: Option<&str>) -> Approval {
        let start = parse_rfc3339("2026-11-20T10:00:00Z").unwrap();
        let window =
            Window { start, end: start + HOUR, ticket: ticket.map(str::to_owned), origin: String::new() };
        Approval { ticket: ticket.is_some(), windows: vec![window] }
    }

    fn at(minutes: i64) -> Context {
        let time = parse_rfc3339("2026-11-20T10:00:00Z").unwrap() + minutes * MINUTE;
        let mut context = Context::complete();
        context.set(TIME_KEY, Fact::one(crate::time::rfc3339(time)));
        context
    }

    #[test]
    fn a_window_holds_from_its_start_until_just_before_its_end() {
        let approval = approval(None);
        assert_eq!(approval.open(&at(-1)).0, Truth::False);
        assert_eq!(approval.open(&at(0)).0, Truth::True);
        assert_eq!(approval.open(&at(59)).0, Truth::True);
        assert_eq!(approval.open(&at(60)).0, Truth::False);
    }

    #[test]
    fn without_a_time_it_cannot_be_told() {
        let (truth, keys) = approval(None).open(&Context::partial());
        assert_eq!((truth, keys), (Truth::Unknown, vec![TIME_KEY.to_owned()]));
        assert_eq!(Approval::default().open(&Context::partial()).0, Truth::False, "no window, no doubt");
    }

    #[test]
    fn the_call_must_carry_the_ticket_as_a_word() {
        let approval = approval(Some("CHG12"));
        for (key, value, open) in [
            ("aws:SourceIdentity", "CHG12", Truth::True),
            ("aws:userid", "AROAEXAMPLE:run-CHG12-nightly", Truth::True),
            ("aws:userid", "AROAEXAMPLE:run-CHG123", Truth::False),
            ("sts:RoleSessionName", "run-CHG12-nightly", Truth::True),
            ("aws:PrincipalTag/ticket", "CHG12", Truth::True),
            ("aws:SourceIdentity", "CHG1", Truth::False),
            ("aws:SourceIdentity", "CHG123", Truth::False),
            ("aws:UserAgent", "CHG12", Truth::False),
        ] {
            let mut context = at(1);
            context.set(key, Fact::one(value));
            assert_eq!(approval.open(&context).0, open, "{key} {value}");
        }
    }

    #[test]
    fn where_the_ticket_may_stand_unseen_it_is_named() {
        let mut context = Context::partial();
        context.set(TIME_KEY, Fact::one("2026-11-20T10:30:00Z"));
        context.set("aws:userid", Fact::one("AROAEXAMPLE:run-1"));
        context.set("aws:SourceIdentity", Fact::Absent);
        let (truth, keys) = approval(Some("CHG12")).open(&context);
        assert_eq!((truth, keys), (Truth::Unknown, vec!["aws:PrincipalTag/Ticket".to_owned()]));
        // near-miss: outside the window the ticket does not matter
        context.set(TIME_KEY, Fact::one("2026-11-20T12:30:00Z"));
        assert_eq!(approval(Some("CHG12")).open(&context), (Truth::False, Vec::new()));
    }
}
