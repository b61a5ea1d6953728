//! The table `calls`: one row per (event, permission), with everything that a detection may ask.
//!
//! What needs memory or a policy is computed here, in Rust, so that a detection is plain SQL.

mod answers;
mod elsewhere;
mod table;

pub use answers::{Answer, Answers, Asker};
pub use table::schema;

use crate::attribution::{Attribution, Grade, caused_by};
use crate::baseline::{ANY_PERMISSION, Baseline, BaselineDelta, POSSIBLE};
use crate::chain::Issued;
use crate::finding::Sample;
use crate::grant::{Grants, PolicyChange, Touch};
use crate::manifest::{Agent, Caller, Shown, Versions};
use crate::measure::{Measures, Observed};
use crate::permission::{self, AccessLevel, Call, Needed};
use crate::scope::{BoundFacts, HOPS};
use crate::time::day_of;
use arrow::array::RecordBatch;
use ingest::event::{EventBatch, EventView};
use policy::context::Fact;
use policy::wildcard::{ArnPattern, Match, Target};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use table::CallRow;

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
    /// The table `calls`.
    pub table: RecordBatch,
    /// What each row shows to people, by row of the table.
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
    /// What scope and grants say; `None` for a caller of whom neither a manifest nor a policy tells.
    pub answer: Option<Arc<Answer>>,
    /// Earlier days on which the identity was active.
    pub active_days: u32,
}

impl Calls {
    /// Annotates a batch. The same batch and rules give the same table; changes of policies in the batch are taken
    /// into the rules' grants first, so that it does not matter where in it they stand.
    ///
    /// Decides who acted and what was needed for each event, and what scope, grant and baseline say to each
    /// permission. Only successful calls add to the baseline as uses; denied ones are counted apart. `answers`
    /// remembers decisions from batch to batch and changes none.
    #[must_use]
    pub fn annotate(batch: &EventBatch, rules: &Rules, answers: &mut Answers) -> Calls {
        let view = batch.view();
        let mut changes: Vec<PolicyChange> = Vec::new();
        let mut faults: HashMap<usize, String> = HashMap::new();
        for row in 0..batch.rows() {
            let Some(change) = PolicyChange::of(&view, row) else { continue };
            faults.extend(change.fault().map(|fault| (row, fault)));
            changes.push(change);
        }
        rules.grants.apply(&changes);
        let mut builder = table::CallsBuilder::with_capacity(batch.rows());
        let mut calls = Calls {
            table: RecordBatch::new_empty(schema()),
            rows: Vec::with_capacity(batch.rows()),
            baseline: BaselineDelta::default(),
            measures: Measures::default(),
            grants_revision: rules.grants.revision(),
            issued: (0..batch.rows()).filter_map(|row| Issued::of(&view, row)).collect(),
            changes,
        };
        for event in 0..batch.rows() {
            let fault = faults.get(&event).map(String::as_str);
            annotate_event(&view, event, fault, rules, answers, &mut builder, &mut calls);
        }
        calls.table = builder.finish();
        calls
    }

    /// The roles, users and sessions whose calls were held against grants or a scope, as [`Touch::principal`] spells
    /// them; `view` is of the batch that this was annotated from.
    #[must_use]
    pub fn callers(&self, view: &EventView<'_>) -> BTreeSet<String> {
        let judged = || self.rows.iter().filter(|row| row.answer.is_some());
        let actors: BTreeSet<&str> = judged().map(|row| row.actor.as_str()).collect();
        let sessions: BTreeSet<&str> = judged().filter_map(|row| view.session(row.event)).collect();
        let sessions = sessions.into_iter().map(Touch::session_of);
        actors.into_iter().filter_map(Touch::principal_of).chain(sessions).collect()
    }
}

impl CallFacts {
    /// How a manifest knows the agent, if one declares it; `view` is of the batch that it was annotated from.
    #[must_use]
    pub fn declared(&self, view: &EventView<'_>) -> Option<Grade> {
        let caller = Caller {
            actor: &self.actor,
            session_name: view.session_name(self.event),
            account: view.account(self.event),
            tags: None,
            shown: Shown::of(view, self.event),
        };
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
    policy_fault: Option<&str>,
    rules: &Rules,
    answers: &mut Answers,
    builder: &mut table::CallsBuilder,
    calls: &mut Calls,
) {
    if elsewhere::annotate(view, event, rules, answers, builder, calls) {
        return;
    }
    let actor = view.actor(event).unwrap_or("unknown");
    let time = view.time(event).unwrap_or_default();
    let outcome = outcome_of(view, event);
    let (session_name, account) = (view.session_name(event), view.account(event));
    let caller = Caller { actor, session_name, account, tags: None, shown: Shown::of(view, event) };
    let asker = answers.asker(&rules.manifests, &rules.grants, &caller, view.session(event), time);
    let call = Call { directory: Some(&rules.grants), ..Call::of(view, event) };
    let call_facts = permission::Facts::new(&call);
    let needed = call_facts.needed();

    if outcome == "success" {
        calls.baseline.used(actor, ANY_PERMISSION, time);
    }
    let bounds = match &asker.agent {
        Some(agent) if !agent.bounds.is_empty() => agent.bounds.broken(&bound_facts(view, event, time)),
        _ => Vec::new(),
    };
    // An event that needs no permission is still an event: detections may ask for it.
    let rows: Vec<Option<Needed>> =
        if needed.is_empty() { vec![None] } else { needed.into_iter().map(Some).collect() };
    for needed in rows {
        let mut facts = CallFacts {
            event,
            time,
            agent: asker.agent.clone(),
            actor: actor.to_owned(),
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
            let is_own = needed.certain && caused_by(view, event).is_none();
            count_use(&mut calls.baseline, needed, is_own, actor, outcome, time);
            let novelty = rules.baseline.novelty(actor, &needed.permission, day_of(time));
            row.first_use = novelty.first_use;
            facts.active_days = novelty.active_days;
            row.hop_into = hop_into(&call_facts, needed, &caller, &asker, &rules.manifests);
            if asker.agent.is_some() || asker.holder.is_some() {
                let answer = answers.of(&asker, needed, |keys| call_facts.context(needed, keys));
                if let Some(scope) = answer.scope.as_ref().filter(|_| needed.certain) {
                    let permission = &needed.permission;
                    let denied_by = view.denied_by(event);
                    let observed = Observed { time, outcome, denied_by, permission };
                    calls.measures.count(scope, &answer.grant, &observed);
                }
                row.is_expected_denial = outcome == "denied"
                    && asker.agent.as_ref().is_some_and(|agent| agent.scope.expects_denials())
                    && answers.expects_denial(&asker, needed, |keys| call_facts.context(needed, keys));
                facts.answer = Some(answer);
            }
        }
        builder.append(view, &facts, &row);
        calls.rows.push(facts);
    }
}

fn bound_facts<'a>(view: &EventView<'a>, event: usize, time: i64) -> BoundFacts<'a> {
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
fn hop_into<'a>(
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
fn outcome_of<'a>(view: &EventView<'a>, event: usize) -> &'a str {
    let is_dry = view.error_code(event).is_some_and(|code| code.ends_with("DryRunOperation"));
    if is_dry { "dry_run" } else { view.outcome(event).unwrap_or("unknown") }
}

/// Adds a call's permission to what its identity uses. Failed calls say nothing.
fn count_use(
    baseline: &mut BaselineDelta,
    needed: &Needed,
    is_own: bool,
    actor: &str,
    outcome: &str,
    time: i64,
) {
    match outcome {
        // What a service did on the caller's behalf took the caller's rights, but the caller did not ask for it by name.
        "success" if !is_own => baseline.used(actor, &format!("{POSSIBLE}{}", needed.permission), time),
        "success" => baseline.used(actor, &needed.permission, time),
        "denied" if is_own => baseline.denied(actor, &needed.permission, time),
        _ => {}
    }
}

/// Whether the call changes the caller's own role or user, or a policy attached to it.
fn acts_on_own_iam(needed: &Needed, level: Option<AccessLevel>, actor: &str, asker: &Asker) -> bool {
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
