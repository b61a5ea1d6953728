//! The table `calls`: one row per (event, permission), with everything that a detection may ask.
//!
//! What needs memory or a policy is computed here, in Rust, so that a detection is plain SQL.

mod answers;
mod table;

pub use answers::{Answer, Answers};
pub use table::schema;

use crate::baseline::{ANY_PERMISSION, Baseline, BaselineDelta, POSSIBLE};
use crate::finding::Sample;
use crate::grant::Grants;
use crate::manifest::{Agent, Caller, Manifests};
use crate::permission::{self, AccessLevel, Call, Needed};
use crate::scope::Verdict;
use crate::time::day_of;
use arrow::array::RecordBatch;
use ingest::event::{EventBatch, EventView};
use std::sync::Arc;
use table::CallRow;

/// Resource ARNs that a finding shows of one call.
const SAMPLE_RESOURCES_MAX: usize = 8;

/// What every call is held against.
#[derive(Debug)]
pub struct Rules {
    /// The declared agents.
    pub manifests: Manifests,
    /// What policies give.
    pub grants: Grants,
    /// What is usual.
    pub baseline: Baseline,
}

/// Answers about the calls of one batch, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Declared.
    pub inside: u64,
    /// Not declared.
    pub outside: u64,
    /// Cannot be known.
    pub unknown: u64,
}

/// One batch, annotated.
#[derive(Debug)]
pub struct Calls {
    /// The table `calls`.
    pub table: RecordBatch,
    /// What each row shows to people, by row of the table.
    pub rows: Vec<CallFacts>,
    /// What the batch adds to the baseline.
    pub baseline: BaselineDelta,
    /// Verdicts on agents' calls.
    pub verdicts: VerdictCounts,
}

/// One row of `calls`, as a finding keeps it.
#[derive(Debug, Clone)]
pub struct CallFacts {
    /// The event's row in its batch.
    pub event: usize,
    /// Event time, µs UTC.
    pub time: i64,
    /// The declared agent behind it.
    pub agent: Option<Arc<Agent>>,
    /// Canonical identity; `unknown` where the log names none.
    pub actor: String,
    /// What it needed; none for events that need no permission.
    pub needed: Option<Needed>,
    /// What scope and grants say; agents only.
    pub answer: Option<Arc<Answer>>,
    /// Earlier days on which the identity was active.
    pub active_days: u32,
}

impl Calls {
    /// Annotates a batch. Reads only: the same batch and rules give the same table.
    ///
    /// Decides who acted and what was needed for each event, and what scope, grant and baseline say to each
    /// permission. Only successful calls add to the baseline as uses; denied ones are counted apart. `answers`
    /// remembers decisions from batch to batch and changes none.
    #[must_use]
    pub fn annotate(batch: &EventBatch, rules: &Rules, answers: &mut Answers) -> Calls {
        let view = batch.view();
        let mut builder = table::CallsBuilder::with_capacity(batch.rows());
        let mut calls = Calls {
            table: RecordBatch::new_empty(schema()),
            rows: Vec::with_capacity(batch.rows()),
            baseline: BaselineDelta::default(),
            verdicts: VerdictCounts::default(),
        };
        for event in 0..batch.rows() {
            annotate_event(&view, event, rules, answers, &mut builder, &mut calls);
        }
        calls.table = builder.finish();
        calls
    }
}

impl CallFacts {
    /// What the row shows to people; `view` is of the batch that it was annotated from.
    #[must_use]
    pub fn sample(&self, view: &EventView<'_>) -> Sample {
        let event = self.event;
        let text = |value: Option<&str>| value.map(str::to_owned);
        let answer = self.answer.as_deref();
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
            scope: answer.map(|a| a.verdict.as_str().to_owned()),
            scope_why: answer.zip(self.agent.as_ref()).map(|(answer, agent)| match &answer.statement {
                Some(statement) => format!("{}: {statement}", answer.reason),
                // Nothing decided it: then the manifest as a whole is what to look at.
                None => format!("{} by {}:{}", answer.reason, agent.file, agent.line),
            }),
            grant: answer.map(|a| a.grant.as_str().to_owned()),
            grant_why: answer.map(|a| a.grant_why.clone()),
            // Hangs on what arrived before: settled when the batch is committed.
            active_days: 0,
        }
    }
}

impl<'a> Call<'a> {
    /// The call of one row.
    #[must_use]
    pub fn of(view: &EventView<'a>, event: usize) -> Call<'a> {
        Call {
            service: view.service(event).unwrap_or_default(),
            operation: view.operation(event).unwrap_or_default(),
            event_type: view.event_type(event),
            region: view.region(event),
            account: view.recipient_account(event).or(view.account(event)),
            request: view.request(event),
            response: view.response(event),
            resources: view.resources(event),
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

fn annotate_event(
    view: &EventView<'_>,
    event: usize,
    rules: &Rules,
    answers: &mut Answers,
    builder: &mut table::CallsBuilder,
    calls: &mut Calls,
) {
    let actor = view.actor(event).unwrap_or("unknown");
    let time = view.time(event).unwrap_or_default();
    let outcome = outcome_of(view, event);
    let caller = Caller { actor, session_name: view.session_name(event), account: view.account(event) };
    let agent = answers.agent(&rules.manifests, &caller);
    let agent = agent.as_ref();
    let call = Call::of(view, event);
    let needed = permission::needed(&call);

    if outcome == "success" {
        calls.baseline.used(actor, ANY_PERMISSION, time);
    }
    // An event that needs no permission is still an event: detections may ask for it.
    let rows: Vec<Option<Needed>> =
        if needed.is_empty() { vec![None] } else { needed.into_iter().map(Some).collect() };
    for needed in rows {
        let mut facts = CallFacts {
            event,
            time,
            agent: agent.cloned(),
            actor: actor.to_owned(),
            needed,
            answer: None,
            active_days: 0,
        };
        let mut row = CallRow { outcome, own_iam: false, first_use: false, level: None };
        if let Some(needed) = &facts.needed {
            let is_own = needed.certain && view.invoked_by(event).is_none();
            judge_permission(needed, is_own, actor, agent, outcome, time, rules, &mut row, calls);
            let novelty = rules.baseline.novelty(actor, &needed.permission, day_of(time));
            row.first_use = novelty.first_use;
            facts.active_days = novelty.active_days;
            if let Some(agent) = agent {
                let answer = answers.of(agent, &rules.grants, actor, needed);
                match answer.verdict {
                    Verdict::In => calls.verdicts.inside += 1,
                    Verdict::Out => calls.verdicts.outside += 1,
                    Verdict::Unknown => calls.verdicts.unknown += 1,
                }
                facts.answer = Some(answer);
            }
        }
        builder.append(view, &facts, &row);
        calls.rows.push(facts);
    }
}

/// The event's outcome, but `dry_run` for a call that only asked whether it would be allowed: nothing happened,
/// so it is neither a use nor a trespass.
fn outcome_of<'a>(view: &EventView<'a>, event: usize) -> &'a str {
    let is_dry = view.error_code(event).is_some_and(|code| code.ends_with("DryRunOperation"));
    if is_dry { "dry_run" } else { view.outcome(event).unwrap_or("unknown") }
}

#[expect(clippy::too_many_arguments, reason = "the facts of one row, known to one caller")]
fn judge_permission(
    needed: &Needed,
    is_own: bool,
    actor: &str,
    agent: Option<&Arc<Agent>>,
    outcome: &str,
    time: i64,
    rules: &Rules,
    row: &mut CallRow<'_>,
    calls: &mut Calls,
) {
    row.level = permission::level(&needed.permission);
    row.own_iam = agent.is_some() && acts_on_own_iam(needed, row.level, actor, &rules.grants);
    // What a service did on the caller's behalf took the caller's rights, but the caller did not ask for it by name.
    if !is_own {
        if outcome == "success" {
            calls.baseline.used(actor, &format!("{POSSIBLE}{}", needed.permission), time);
        }
        return;
    }
    match outcome {
        "success" => calls.baseline.used(actor, &needed.permission, time),
        "denied" => calls.baseline.denied(actor, &needed.permission, time),
        _ => {}
    }
}

/// Whether the call changes the caller's own role or user, or a policy attached to it.
fn acts_on_own_iam(needed: &Needed, level: Option<AccessLevel>, actor: &str, grants: &Grants) -> bool {
    let changes = matches!(level, Some(AccessLevel::Write | AccessLevel::Permissions));
    if !changes || !needed.permission.starts_with("iam:") {
        return false;
    }
    let is_own = |resource: &str| {
        resource == actor
            || is_same_principal(resource, actor)
            || grants.policies_of(actor).iter().any(|policy| policy == resource)
    };
    needed.resources.iter().any(|resource| is_own(resource))
}

// A request names a role without its path (`roleName`), while the actor's ARN has it.
fn is_same_principal(resource: &str, actor: &str) -> bool {
    let parts = |arn: &str| -> Option<(String, String, String)> {
        let mut pieces = arn.splitn(6, ':');
        let account = pieces.nth(4)?.to_owned();
        let (kind, path) = pieces.next()?.split_once('/')?;
        let name = path.rsplit('/').next()?.to_owned();
        Some((account, kind.to_owned(), name))
    };
    match (parts(resource), parts(actor)) {
        (Some(resource), Some(actor)) => resource == actor && matches!(resource.1.as_str(), "role" | "user"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_again_without_its_path() {
        let own = "arn:aws:iam::111122223333:role/agents/support-bot";
        assert!(is_same_principal("arn:aws:iam::111122223333:role/support-bot", own));
        assert!(!is_same_principal("arn:aws:iam::444455556666:role/support-bot", own), "another account's");
        assert!(!is_same_principal("arn:aws:iam::111122223333:user/support-bot", own), "a user of that name");
        assert!(
            !is_same_principal("arn:aws:iam::111122223333:policy/support-bot", own),
            "a policy of that name"
        );
    }
}
