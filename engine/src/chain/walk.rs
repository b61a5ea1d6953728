//! A chain followed back, one question at a time

use std::collections::HashSet;

use compact_str::CompactString;

use super::{Asked, Chain, Cut, SESSION_MAX, SKEW, STEPS_MAX, Step, holder_of, is_key};
use crate::time::HOUR;

/// One chain on its way back from a call. Whoever holds the links answers what [`Walk::ask`] asks, until it asks no more.
#[derive(Debug)]
pub struct Walk {
    steps: Vec<Step>,
    seen: HashSet<CompactString>,
    /// Whose credentials are looked for
    holder: CompactString,
    session: Option<CompactString>,
    request_id: Option<CompactString>,
    /// When they were used
    when: i64,
    /// The request has been asked for
    is_past_request: bool,
    cut: Option<Cut>,
    is_over: bool,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// `key` or `request`
    pub kind: &'static str,
    /// The access key's id, or the request's
    pub target: &'a str,
    /// To whom it was given
    pub holder: &'a str,
}

impl Walk {
    /// Begins at a call. `session`: the key that it carried; `request_id`: its own request.
    #[must_use]
    pub fn from(call: Step, session: Option<&str>, request_id: Option<&str>) -> Walk {
        Walk {
            seen: HashSet::from([call.event.clone()]),
            holder: holder_of(&call.actor).into(),
            session: session.map(CompactString::from),
            request_id: request_id.map(CompactString::from),
            when: call.at,
            is_past_request: false,
            cut: None,
            is_over: false,
            steps: vec![call],
        }
    }

    /// What to look for next; `None` at the end.
    #[must_use]
    pub fn ask(&self) -> Option<Ask<'_>> {
        if self.is_over {
            return None;
        }
        let holder = self.holder.as_str();
        let request = self.request_id.as_deref().filter(|_| !self.is_past_request);
        let session = self.session.as_deref();
        request
            .map(|target| Ask { kind: "request", target, holder })
            .or_else(|| session.map(|target| Ask { kind: "key", target, holder }))
    }

    /// Takes the answer to what was asked.
    pub fn answer(&mut self, found: Option<Asked>) {
        let of_request = self.request_id.is_some() && !self.is_past_request;
        self.is_past_request = true;
        let Some(found) = found.filter(|found| self.fits(found, of_request)) else {
            // What was no tool's doing may still carry credentials that were given.
            self.is_over = !of_request;
            return;
        };
        if !self.seen.insert(found.step.event.clone()) {
            self.cut = Some(Cut::Cycle);
            self.is_over = true;
            return;
        }
        if self.steps.len() >= STEPS_MAX {
            self.cut = Some(Cut::TooLong);
            self.is_over = true;
            return;
        }
        self.holder = holder_of(&found.step.actor).into();
        self.when = found.step.at;
        let own = self.session.take().filter(|_| of_request);
        // A tool call is logged without its key at times; the calls that it leads to carry the same session's.
        let key = found.session.clone().filter(|session| is_key(session));
        self.session = key.or(own).or(found.session);
        self.request_id = found.request_id;
        self.is_past_request = false;
        self.steps.push(found.step);
    }

    /// Credentials are given before they are used, and end.
    fn fits(&self, found: &Asked, of_request: bool) -> bool {
        let age = self.when.saturating_sub(found.step.at);
        if of_request { age.abs() <= HOUR } else { (-SKEW..=SESSION_MAX + SKEW).contains(&age) }
    }

    /// Keys that end were given by somebody, and whoever is known by an id alone called from another account: where the
    /// chain ends with either, its beginning is in no log that was read.
    fn is_cut(&self) -> bool {
        let of_session = self.session.as_deref().is_some_and(|session| session.starts_with("ASIA"));
        of_session || self.steps.last().is_some_and(|step| step.actor.starts_with("AROA"))
    }

    /// The chain as far as it could be followed.
    #[must_use]
    pub fn chain(mut self) -> Chain {
        if self.steps.len() < 2 {
            return Chain::default();
        }
        let cut = self.cut.or(self.is_cut().then_some(Cut::NotLogged));
        self.steps.reverse();
        Chain { steps: self.steps, cut }
    }
}
