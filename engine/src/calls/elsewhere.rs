//! Rows of Azure and Google Cloud, held against what is declared, granted and usual as AWS's are

use std::sync::Arc;

use super::event::{Annotated, bound_facts, outcome_of};
use super::table::CallRow;
use super::walked::Walked;
use super::{Answer, Answers, CallFacts, Rules};
use crate::baseline::{ANY_PERMISSION, POSSIBLE};
use crate::cloud::Cloud;
use crate::grant::{Grant, GrantVerdict, Grants};
use crate::manifest::{Agent, Caller, Shown};
use crate::measure::Observed;
use crate::permission::{self, AccessLevel, Elsewhere, Needed};
use crate::scope::{Broken, Scope, ScopeVerdict, Verdict};
use crate::time::{day_of, rfc3339};
use ingest::event::EventView;
use policy::context::{Context, Fact};

/// One event of another cloud, with a row for each permission that it needed.
pub(super) struct Found<'e> {
    outcome: &'e str,
    bounds: Vec<Broken>,
    rows: Vec<Row>,
}

struct Row {
    facts: CallFacts,
    level: Option<AccessLevel>,
    first_use: bool,
    is_expected_denial: bool,
}

/// Decides one event by itself; `None`: it is AWS's. `first`: the number of its first row.
pub(super) fn found<'e>(
    view: &EventView<'e>,
    event: usize,
    first: usize,
    rules: &Rules,
    answers: &mut Answers,
) -> Option<Found<'e>> {
    let mut told = permission::elsewhere(view, event)?;
    let actor: Arc<str> = view.actor(event).unwrap_or("unknown").into();
    let time = view.time(event).unwrap_or_default();
    let outcome = outcome_of(view, event);
    let agent = agent(&told, view, event, rules, answers, time);
    let mut context = Context::partial();
    context.set("aws:CurrentTime", Fact::one(rfc3339(time)));
    let bounds = match &agent {
        Some(agent) if !agent.bounds.is_empty() => agent.bounds.broken(&bound_facts(view, event, time)),
        _ => Vec::new(),
    };
    // An event that needs no permission is still an event: detections may ask for it.
    let needed = std::mem::take(&mut told.needed);
    let needed: Vec<Option<Needed>> =
        if needed.is_empty() { vec![None] } else { needed.into_iter().map(Some).collect() };
    let mut rows = Vec::with_capacity(needed.len());
    for (place, needed) in needed.into_iter().enumerate() {
        let mut facts = CallFacts {
            call: (first + place) as i64,
            event,
            time,
            agent: agent.clone(),
            actor: Arc::clone(&actor),
            needed,
            answer: None,
            active_days: 0,
        };
        let (mut level, mut first_use, mut is_expected_denial) = (None, false, false);
        if let Some(needed) = &facts.needed {
            level = permission::level(&needed.permission);
            let novelty = rules.baseline.novelty(&actor, &needed.permission, day_of(time));
            first_use = novelty.first_use;
            facts.active_days = novelty.active_days;
            let grant = granted(&told, needed, &rules.grants, &context);
            let scope = agent.as_ref().map(|agent| declared(&agent.scope, &told, needed, &context));
            if scope.is_some() || grant.is_some() {
                let grant = grant.unwrap_or_else(GrantVerdict::no_policies_known);
                is_expected_denial = outcome == "denied"
                    && agent.as_ref().is_some_and(|agent| expects(&agent.scope, &told, needed, &context));
                facts.answer = Some(Arc::new(Answer { scope, grant }));
            }
        }
        rows.push(Row { facts, level, first_use, is_expected_denial });
    }
    Some(Found { outcome, bounds, rows })
}

impl Found<'_> {
    /// Adds what it means to baseline and measures, and its rows.
    pub(super) fn count(&self, view: &EventView<'_>, event: usize, walked: &mut Walked) {
        let Some(CallFacts { actor, time, .. }) = self.rows.first().map(|row| &row.facts) else { return };
        let (outcome, time) = (self.outcome, *time);
        if outcome == "success" {
            walked.baseline.used(actor, ANY_PERMISSION, time);
        }
        if self.rows.iter().any(|row| row.facts.answer.is_some()) {
            walked.judged.push(u32::try_from(event).unwrap_or(u32::MAX));
        }
        for row in &self.rows {
            walked.push_apart(event);
            let Some(needed) = &row.facts.needed else { continue };
            let permission = &needed.permission;
            match outcome {
                "success" if needed.certain => walked.baseline.used(actor, permission, time),
                "success" => walked.baseline.used(actor, &format!("{POSSIBLE}{permission}"), time),
                "denied" if needed.certain => walked.baseline.denied(actor, permission, time),
                _ => {}
            }
            let answer = row.facts.answer.as_ref().filter(|_| needed.certain);
            if let Some((scope, grant)) =
                answer.and_then(|answer| Some((answer.scope.as_ref()?, &answer.grant)))
            {
                let denied_by = view.denied_by(event);
                walked.measures.count(scope, grant, &Observed { time, outcome, denied_by, permission });
            }
        }
    }

    /// Writes those of its rows that are wanted.
    pub(super) fn write(
        self,
        view: &EventView<'_>,
        is_wanted: &dyn Fn(usize) -> bool,
        annotated: &mut Annotated,
    ) {
        let Found { outcome, bounds, rows } = self;
        let rows = rows.into_iter().enumerate().filter(|(place, _)| is_wanted(*place));
        for (_, row) in rows {
            let told = CallRow {
                outcome,
                own_iam: false,
                policy_fault: None,
                is_expected_denial: row.is_expected_denial,
                bounds: &bounds,
                hop_into: None,
                first_use: row.first_use,
                level: row.level,
            };
            annotated.push(view, row.facts, &told);
        }
    }
}

/// The declared agent behind a call, by any of its caller's names.
fn agent(
    told: &Elsewhere<'_>,
    view: &EventView<'_>,
    event: usize,
    rules: &Rules,
    answers: &mut Answers,
    time: i64,
) -> Option<Arc<Agent>> {
    let (session_name, account) = (view.session_name(event), view.account(event));
    let shown = Shown::of(view, event);
    told.names.iter().find_map(|actor| {
        let caller = Caller { actor, session_name, account, tags: None, shown };
        answers.asker(&rules.manifests, &rules.grants, &caller, None, time).agent
    })
}

/// Each resource on its own, or none where the log names none.
fn places(needed: &Needed) -> Vec<Option<&str>> {
    if needed.resources.is_empty() {
        return vec![None];
    }
    needed.resources.iter().map(|resource| Some(resource.as_str())).collect()
}

/// What the manifest says of all resources together: one that is outside decides, then one of which it cannot be told.
fn declared(scope: &Scope, told: &Elsewhere<'_>, needed: &Needed, context: &Context) -> ScopeVerdict {
    let verdict = |place: Option<&str>| match told.cloud {
        Cloud::Azure => scope.verdict_azure(&needed.permission, told.plane, place, context),
        _ => scope.verdict_gcp(&needed.permission, place, context),
    };
    let weight = |verdict: &ScopeVerdict| match verdict.verdict {
        Verdict::Out => 2,
        Verdict::Unknown => 1,
        Verdict::In => 0,
    };
    let mut worst = verdict(None);
    for (index, place) in places(needed).into_iter().enumerate() {
        let next = verdict(place);
        if index == 0 || weight(&next) > weight(&worst) {
            worst = next;
        }
    }
    worst
}

fn expects(scope: &Scope, told: &Elsewhere<'_>, needed: &Needed, context: &Context) -> bool {
    scope.expects_denials()
        && places(needed).into_iter().all(|place| {
            let plane = (told.cloud == Cloud::Azure).then_some(told.plane);
            scope.expects_denial_elsewhere(told.cloud, &needed.permission, plane, place, context)
        })
}

/// What the cloud's exports say of all resources together; `None` where there are none of that cloud.
fn granted(
    told: &Elsewhere<'_>,
    needed: &Needed,
    grants: &Grants,
    context: &Context,
) -> Option<GrantVerdict> {
    let known = match told.cloud {
        Cloud::Azure => !grants.azure.is_empty(),
        _ => !grants.gcp.is_empty(),
    };
    let principal = told.principal.filter(|_| known)?;
    let verdict = |place: Option<&str>| {
        let place = place.unwrap_or_default();
        match told.cloud {
            Cloud::Azure => {
                grants.azure.verdict(principal, None, &needed.permission, told.plane, place, context)
            }
            _ => grants.gcp.verdict(principal, &needed.permission, place, &told.within, context),
        }
    };
    let weight = |verdict: &GrantVerdict| match verdict.grant {
        Grant::Denied => 2,
        Grant::Unknown => 1,
        Grant::Allowed => 0,
    };
    places(needed).into_iter().map(verdict).reduce(
        |worst, next| {
            if weight(&next) > weight(&worst) { next } else { worst }
        },
    )
}

#[cfg(test)]
mod tests;
