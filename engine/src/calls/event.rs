//! One event annotated: a row for each permission that it needed, with everything that a detection may ask

use arrow::array::RecordBatch;
use ingest::event::EventView;
use policy::context::Fact;
use policy::wildcard::{ArnPattern, Match, Target};

use super::answers::{Answers, Asker};
use super::looked::Looked;
use super::table::{CallRow, CallsBuilder};
use super::{CallFacts, Rules, caller_of};
use crate::manifest::{Caller, Versions};
use crate::permission::{self, AccessLevel, Needed};
use crate::scope::{BoundFacts, HOPS};
use crate::time::day_of;

/// Rows of `calls`.
pub(crate) struct Annotated {
    builder: CallsBuilder,
    rows: Vec<CallFacts>,
}

impl Annotated {
    pub(super) fn with_capacity(rows: usize) -> Annotated {
        Annotated { builder: CallsBuilder::with_capacity(rows), rows: Vec::with_capacity(rows) }
    }

    pub(super) fn push(&mut self, view: &EventView<'_>, facts: CallFacts, row: &CallRow<'_>) {
        self.builder.append(view, &facts, row);
        self.rows.push(facts);
    }

    /// The table, and what each of its rows shows to people.
    pub(crate) fn finish(self) -> (RecordBatch, Vec<CallFacts>) {
        (self.builder.finish(), self.rows)
    }
}

/// Annotates one event by itself, and writes those of its rows that are wanted.
///
/// `first`: the number of its first row.
#[expect(clippy::too_many_arguments, reason = "the event, what it is held against, and where it is written")]
pub(super) fn annotate<'a>(
    view: &EventView<'a>,
    event: usize,
    first: usize,
    is_wanted: &dyn Fn(usize) -> bool,
    policy_fault: Option<&str>,
    rules: &'a Rules,
    answers: &mut Answers,
    annotated: &mut Annotated,
) {
    let caller = caller_of(view, event);
    let actor = caller.actor;
    let time = view.time(event).unwrap_or_default();
    let outcome = outcome_of(view, event);
    let asker = answers.asker(&rules.manifests, &rules.grants, &caller, view.session(event), time);
    let looked = Looked::new(view, event, &rules.grants);
    let call_facts = looked.listed();
    let needed = call_facts.needed();
    let bounds = match &asker.agent {
        Some(agent) if !agent.bounds.is_empty() => agent.bounds.broken(&bound_facts(view, event, time)),
        _ => Vec::new(),
    };
    // An event that needs no permission is still an event: detections may ask for it.
    let rows: Vec<Option<Needed>> =
        if needed.is_empty() { vec![None] } else { needed.into_iter().map(Some).collect() };
    for (place, needed) in rows.into_iter().enumerate().filter(|(place, _)| is_wanted(*place)) {
        let mut facts = CallFacts {
            call: (first + place) as i64,
            event,
            time,
            agent: asker.agent.clone(),
            actor: actor.into(),
            needed,
            answer: None,
            active_days: 0,
        };
        let mut row = CallRow {
            outcome,
            own_iam: false,
            policy_fault,
            is_expected_denial: false,
            bounds: &bounds,
            hop_into: None,
            first_use: false,
            level: None,
        };
        if let Some(needed) = &facts.needed {
            row.level = permission::level(&needed.permission);
            row.own_iam = asker.agent.is_some() && acts_on_own_iam(needed, row.level, actor, &asker);
            let novelty = rules.baseline.novelty(actor, &needed.permission, day_of(time));
            row.first_use = novelty.first_use;
            facts.active_days = novelty.active_days;
            row.hop_into = hop_into(call_facts, needed, &caller, &asker, &rules.manifests);
            if asker.agent.is_some() || asker.holder.is_some() {
                let context = |keys: &[&str]| call_facts.context(needed, keys);
                facts.answer = Some(answers.of(&asker, needed, context).answer);
                row.is_expected_denial = outcome == "denied"
                    && asker.agent.as_ref().is_some_and(|agent| agent.scope.expects_denials())
                    && answers.expects_denial(&asker, needed, context);
            }
        }
        annotated.push(view, facts, &row);
    }
}

pub(super) fn bound_facts<'a>(view: &EventView<'a>, event: usize, time: i64) -> BoundFacts<'a> {
    BoundFacts {
        time,
        service: view.service(event).unwrap_or_default(),
        operation: view.operation(event).unwrap_or_default(),
        region: view.region(event),
        source_ip: view.source_ip(event),
        vpc_endpoint: view.vpc_endpoint(event),
        invoked_by: view.invoked_by(event),
        session_started: view.session_started(event),
        credential_kind: view.credential_kind(event),
    }
}

/// The agent that the caller becomes, where its manifest lists who may and the caller is not among them.
pub(super) fn hop_into<'a>(
    call: &permission::Facts<'_>,
    needed: &Needed,
    caller: &Caller<'_>,
    asker: &Asker,
    manifests: &'a Versions,
) -> Option<&'a str> {
    if !needed.certain || !HOPS.iter().any(|hop| hop.eq_ignore_ascii_case(&needed.permission)) {
        return None;
    }
    let (_, manifests) = manifests.at(asker.when);
    let role = needed.resources.first()?;
    let name = call.context(needed, &["sts:rolesessionname"]);
    let name = match name.fact("sts:RoleSessionName") {
        Fact::Values(values) => values.first().map(String::as_str),
        Fact::Absent | Fact::Unknown => None,
    };
    let taken = manifests.agent_of_role(role, name)?;
    let listed = taken.assume.from.as_ref()?;
    let is_caller = |pattern: &String| {
        pattern == "*"
            || pattern == caller.actor
            || ArnPattern::new(pattern).matches(Target::Exact(caller.actor)) == Match::Yes
    };
    // One agent may go on from one of its own roles to another.
    let is_itself = asker.agent.as_ref().is_some_and(|agent| agent.name == taken.name);
    (!is_itself && !listed.iter().any(is_caller)).then_some(taken.name.as_str())
}

/// The event's outcome, but `dry_run` for a call that only asked whether it would be allowed: nothing happened,
/// so it is neither a use nor a trespass.
pub(super) fn outcome_of<'a>(view: &EventView<'a>, event: usize) -> &'a str {
    if is_dry_run(view, event) { "dry_run" } else { view.outcome(event).unwrap_or("unknown") }
}

pub(super) fn is_dry_run(view: &EventView<'_>, event: usize) -> bool {
    view.error_code(event).is_some_and(|code| code.ends_with("DryRunOperation"))
}

/// Whether the call changes the caller's own role or user, or a policy attached to it.
pub(super) fn acts_on_own_iam(
    needed: &Needed,
    level: Option<AccessLevel>,
    actor: &str,
    asker: &Asker,
) -> bool {
    let changes = matches!(level, Some(AccessLevel::Write | AccessLevel::Permissions));
    if !changes || !needed.permission.starts_with("iam:") {
        return false;
    }
    let is_own = |resource: &str| {
        resource == actor
            || is_same_principal(resource, actor)
            || asker.holder.as_ref().is_some_and(|holder| holder.has_attached(resource))
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
