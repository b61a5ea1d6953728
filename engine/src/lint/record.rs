//! What a manifest says of itself: who owns it, and until when it holds

use chrono::NaiveDate;

use super::{EXPIRED, Level, Lint, NO_IDENTITY, NO_ON_CALL, NO_OWNER};
use crate::manifest::{Agent, Manifests};

pub(super) fn lints(agent: &Agent, manifests: &Manifests, today: NaiveDate) -> Vec<Lint> {
    let line_of = |key: &str| {
        let told = manifests.warnings.iter().find(|one| one.file == agent.file && one.key == key);
        told.filter(|one| one.line >= agent.line).map_or(0, |one| one.line)
    };
    let mut found = Vec::new();
    let expires = agent.expires.as_deref().and_then(|date| date.parse::<NaiveDate>().ok());
    if let Some(date) = expires.filter(|date| *date < today) {
        let message = format!("the manifest of `{}` expired on {date}", agent.name);
        let fix = "review it and set a new date, or retire the agent";
        found.push(Lint::of(EXPIRED, agent, line_of("spec.expires"), message, fix));
    }
    if agent.owner.team.is_none() {
        let message = format!("`{}` has no owner", agent.name);
        let fix = "name the team: `owner: {team: ..., slack: \"#...\", oncall: pagerduty:...}`";
        found.push(Lint::of(NO_OWNER, agent, 0, message, fix));
    }
    if agent.owner.oncall.is_none() {
        let message = format!("nobody is on call for `{}`", agent.name);
        let lint =
            Lint::of(NO_ON_CALL, agent, 0, message, "add `owner.oncall`, for instance `pagerduty:PSUPP01`");
        found.push(lint.level(if is_production(agent) { Level::Warning } else { Level::Note }));
    }
    if !agent.is_recognisable() {
        let message = format!("`{}` has no identity that is judged, so no call is its own", agent.name);
        let fix = "add `aws.role` or `aws.user` to `identities`";
        found.push(Lint::of(NO_IDENTITY, agent, line_of("spec.identities"), message, fix));
    }
    found
}

/// Whether the manifest says so.
pub(super) fn is_production(agent: &Agent) -> bool {
    agent.environment.as_deref().is_some_and(|name| {
        ["prod", "production", "live"].iter().any(|known| known.eq_ignore_ascii_case(name))
    })
}
