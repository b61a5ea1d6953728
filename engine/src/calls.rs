//! The table `calls`: one row per (event, permission), with everything that a detection may ask.
//!
//! What needs memory or a policy is computed here, in Rust, so that a detection is plain SQL.

mod answers;
mod brought;
mod callers;
mod columns;
mod elsewhere;
mod event;
mod kind;
mod kinds;
mod looked;
mod operations;
mod shown;
mod signature;
mod table;
mod walked;
mod weighing;
mod words;

pub use answers::{Answer, Answers, Asker};
pub(crate) use brought::{Brought, Parameters};
pub use columns::BUILT;
pub(crate) use kinds::Kinds;
pub(crate) use signature::{Hearers, Read, Reads};
pub use table::schema;
pub(crate) use walked::Walked;

use crate::attribution::{Attribution, Grade};
use crate::baseline::{Baseline, BaselineDelta};
use crate::chain::Issued;
use crate::finding::Sample;
use crate::grant::{Grants, PolicyChange, Touch};
use crate::manifest::{Agent, Caller, Shown, Versions};
use crate::measure::Measures;
use crate::permission::{Call, Needed};
use ingest::event::{Columns, EventView};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The columns of events that judging reads; the others need not be built for it. Conditions of policies may ask for
/// any part of a call, and a change in the log may bring such a policy at any time, so they do not hang on the manifests.
pub const COLUMNS: Columns = Columns {
    shared_event_id: false,
    received: false,
    api_version: false,
    read_only: false,
    object: false,
    row: false,
    ..Columns::ALL
};

/// Resource ARNs that a finding shows of one call.
const SAMPLE_RESOURCES_MAX: usize = 8;

/// What every call is held against.
#[derive(Debug)]
pub struct Rules {
    /// The declared agents, as they stood at each moment.
    pub manifests: Versions,
    /// What policies give.
    pub grants: Grants,
    /// What is usual.
    pub baseline: Baseline,
}

/// One batch, annotated.
#[derive(Debug)]
pub struct Calls {
    /// What rows show to people: those that some detection asked to see, or all where that was wished, in order.
    pub rows: Vec<CallFacts>,
    /// What the batch adds to the baseline.
    pub baseline: BaselineDelta,
    /// How the answers about agents' calls fell out.
    pub measures: Measures,
    /// Changes of policies that the batch brought, by anybody.
    pub changes: Vec<PolicyChange>,
    /// What the events gave to later ones: keys, and tasks.
    pub issued: Vec<Issued>,
    /// The revision of the grants that it was held against.
    pub grants_revision: u64,
    /// Events that were held against grants or a scope.
    judged: Vec<u32>,
}

/// One row of `calls`, as a finding keeps it.
#[derive(Debug, Clone)]
pub struct CallFacts {
    /// Its number in the whole table of the batch, where every event has a row for each permission.
    pub call: i64,
    /// The event's row in its batch.
    pub event: usize,
    /// Event time, µs UTC.
    pub time: i64,
    /// The declared agent behind it.
    pub agent: Option<Arc<Agent>>,
    /// Canonical identity; `unknown` where the log names none.
    pub actor: Arc<str>,
    /// What it needed; none for events that need no permission.
    pub needed: Option<Needed>,
    /// What scope and grants say; `None` for a caller of whom neither a manifest nor a policy tells.
    pub answer: Option<Arc<Answer>>,
    /// Earlier days on which the identity was active.
    pub active_days: u32,
}

impl Calls {
    pub(crate) fn new(rows: Vec<CallFacts>, walked: Walked, brought: Brought, grants_revision: u64) -> Calls {
        Calls {
            rows,
            baseline: walked.baseline,
            measures: walked.measures,
            changes: brought.changes,
            issued: brought.issued,
            grants_revision,
            judged: walked.judged,
        }
    }

    /// The row of a number, where it is among [`Calls::rows`].
    #[must_use]
    pub fn row(&self, call: i64) -> Option<&CallFacts> {
        let at = self.rows.binary_search_by_key(&call, |row| row.call).ok()?;
        self.rows.get(at)
    }

    /// The roles, users and sessions whose calls were held against grants or a scope, as [`Touch::principal`] spells
    /// them; `view` is of the batch that this was annotated from.
    #[must_use]
    pub fn callers(&self, view: &EventView<'_>) -> BTreeSet<String> {
        let judged = || self.judged.iter().map(|event| *event as usize);
        let actors: HashSet<&str> = judged().map(|event| caller_of(view, event).actor).collect();
        let sessions: HashSet<&str> = judged().filter_map(|event| view.session(event)).collect();
        let sessions = sessions.into_iter().map(Touch::session_of);
        actors.into_iter().filter_map(Touch::principal_of).chain(sessions).collect()
    }
}

/// Who makes an event's call, as far as the event alone tells.
fn caller_of<'a>(view: &EventView<'a>, event: usize) -> Caller<'a> {
    Caller {
        actor: view.actor(event).unwrap_or("unknown"),
        session_name: view.session_name(event),
        account: view.account(event),
        tags: None,
        shown: Shown::of(view, event),
    }
}

impl CallFacts {
    /// How a manifest knows the agent, if one declares it; `view` is of the batch that it was annotated from.
    #[must_use]
    pub fn declared(&self, view: &EventView<'_>) -> Option<Grade> {
        let caller = caller_of(view, self.event);
        self.agent.as_ref().map(|agent| agent.grade(&caller))
    }

    /// What the row shows to people; `view` is of the batch that it was annotated from.
    #[must_use]
    pub fn sample(&self, view: &EventView<'_>) -> Sample {
        let event = self.event;
        let text = |value: Option<&str>| value.map(str::to_owned);
        let answer = self.answer.as_deref();
        let scope = answer.and_then(|answer| answer.scope.as_ref());
        let needed = self.needed.as_ref();
        let resources = needed.map(|n| n.resources.as_slice()).unwrap_or_default();
        Sample {
            permission: needed.map(|n| n.permission.clone()),
            service: view.service(event).unwrap_or_default().to_owned(),
            operation: view.operation(event).unwrap_or_default().to_owned(),
            resources: resources.iter().take(SAMPLE_RESOURCES_MAX).cloned().collect(),
            outcome: view.outcome(event).unwrap_or_default().to_owned(),
            account: text(view.recipient_account(event).or(view.account(event))),
            region: text(view.region(event)),
            session_name: text(view.session_name(event)),
            source_ip: text(view.source_ip(event)),
            user_agent: text(view.user_agent(event)),
            environment: self.agent.as_ref().and_then(|a| a.environment.clone()),
            scope: scope.map(|scope| scope.verdict.as_str().to_owned()),
            scope_why: scope.zip(self.agent.as_ref()).map(|(scope, agent)| match &scope.statement {
                Some(statement) => format!("{}: {statement}", scope.reason),
                // Nothing decided it: then the manifest as a whole is what to look at.
                None => format!("{} by {}:{}", scope.reason, agent.file, agent.line),
            }),
            grant: answer.map(|a| a.grant.grant.as_str().to_owned()),
            grant_why: answer.map(|a| a.grant.why.clone()),
            // Hangs on what arrived before: settled when the batch is committed.
            active_days: 0,
            caller: Attribution::of(view, event, self.declared(view)),
        }
    }
}

impl<'a> Call<'a> {
    /// The call of one row.
    #[must_use]
    pub fn of(view: &EventView<'a>, event: usize) -> Call<'a> {
        Call { resources: view.resources(event), ..Call::unlisted(view, event) }
    }

    /// The same without what the log lists as resources.
    pub(crate) fn unlisted(view: &EventView<'a>, event: usize) -> Call<'a> {
        Call {
            service: view.service(event).unwrap_or_default(),
            operation: view.operation(event).unwrap_or_default(),
            event_type: view.event_type(event),
            region: view.region(event),
            account: view.recipient_account(event).or(view.account(event)),
            request: view.request(event),
            request_keys: view.request_keys(event),
            response: view.response(event),
            resources: Vec::new(),
            error_message: view.error_message(event),
            additional: view.additional(event),
            event_context: view.event_context(event),
            time: view.time(event),
            actor: view.actor(event),
            actor_type: view.actor_type(event),
            actor_id: view.actor_id(event),
            actor_account: view.actor_account(event),
            session_name: view.session_name(event),
            session_started: view.session_started(event),
            credential_kind: view.credential_kind(event),
            mfa: view.mfa(event),
            source_identity: view.source_identity(event),
            invoked_by: view.invoked_by(event),
            source_ip: view.source_ip(event),
            source_kind: view.source_kind(event),
            vpc_endpoint: view.vpc_endpoint(event),
            user_agent: view.user_agent(event),
            tls: view.tls(event),
            directory: None,
        }
    }
}
