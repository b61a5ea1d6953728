//! Posture: per agent and identity, what is declared, granted and used, and what follows from it.

use crate::baseline::{ANY_PERMISSION, Denials, POSSIBLE};
use crate::grant::Grants;
use crate::manifest::{Agent, Manifests};
use crate::measure::Trust;
use crate::permission::{self, AccessLevel, Logged};
use crate::right_size::right_size;
use crate::store::{Store, StoreError, Use};
use crate::time::day_of;
use policy::wildcard::{ArnPattern, Match, Target};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// What a row of the three-way table means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Used with success.
    Used,
    /// Granted, observable in the logs, and not used in the time covered.
    Unused,
    /// Granted and not seen, but the logs cannot show its use: never a reason to remove it.
    Unknowable,
    /// Granted under a condition or a resource limit that is not judged: look before removing it.
    Conditional,
    /// Declared, but no policy that we know grants it.
    NotGranted,
    /// Only ever denied.
    Denied,
}

impl Mark {
    /// Every mark, as reports list them.
    pub const ALL: [Mark; 6] =
        [Mark::Used, Mark::Unused, Mark::Unknowable, Mark::Conditional, Mark::NotGranted, Mark::Denied];

    /// The snake_case name, as in JSON and CSV.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::Used => "used",
            Mark::Unused => "unused",
            Mark::Unknowable => "unknowable",
            Mark::Conditional => "conditional",
            Mark::NotGranted => "not_granted",
            Mark::Denied => "denied",
        }
    }
}

/// One permission of one identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PermissionPosture {
    /// `s3:GetObject`.
    pub permission: String,
    /// Its access level, where AWS publishes one.
    #[serde(serialize_with = "level_name")]
    pub level: Option<AccessLevel>,
    /// Whether the manifest declares it (for at least some resource).
    pub declared: bool,
    /// Whether a policy grants it; none where no policy of the identity is known.
    pub granted: Option<bool>,
    /// The policies and statements that grant it.
    pub granted_by: Vec<String>,
    /// Successful calls.
    pub uses: i64,
    /// Days on which it was used; of one that is unknowable, days on which it may have been.
    pub days_used: u32,
    /// Earliest use, µs UTC.
    pub first_used: Option<i64>,
    /// Latest use, µs UTC.
    pub last_used: Option<i64>,
    /// Denied calls.
    pub denied: i64,
    /// What follows.
    pub mark: Mark,
    /// Why, in a few words.
    pub why: String,
}

/// One identity of an agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdentityPosture {
    /// Canonical ARN.
    pub identity: String,
    /// Days on which it used anything.
    pub active_days: u32,
    /// Earliest use of anything, µs UTC.
    pub first_used: Option<i64>,
    /// Latest use of anything, µs UTC.
    pub last_used: Option<i64>,
    /// Every permission that is declared by name, granted, used or was denied, by name.
    pub permissions: Vec<PermissionPosture>,
    /// The policy that keeps what is used and what cannot be known, where grants are known.
    pub right_sized: Option<RightSized>,
}

/// A proposed IAM policy at action level. Never wider than what it replaces.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RightSized {
    /// The IAM policy document.
    pub policy: serde_json::Value,
    /// Why each permission stays.
    pub kept: BTreeMap<String, String>,
    /// Why each permission goes.
    pub removed: BTreeMap<String, String>,
    /// What a person should know before using it.
    pub notes: Vec<String>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentPosture {
    /// The manifest's name.
    pub agent: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its environment.
    pub environment: Option<String>,
    /// The manifest's file and line.
    pub manifest: String,
    /// Known permissions that it declares on some resource.
    pub declared: usize,
    /// Its identities that were seen or are granted something.
    pub identities: Vec<IdentityPosture>,
}

impl AgentPosture {
    /// Rows of all identities that bear a mark.
    #[must_use]
    pub fn count(&self, mark: Mark) -> usize {
        self.identities.iter().flat_map(|i| &i.permissions).filter(|p| p.mark == mark).count()
    }
}

/// An identity that acts but that no manifest claims.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unclaimed {
    /// Canonical ARN.
    pub identity: String,
    /// Permissions it used.
    pub permissions: usize,
    /// Successful calls.
    pub uses: i64,
    /// Latest, µs UTC.
    pub last_used: i64,
}

/// Everything that the report and the page show of agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Posture {
    /// Event time covered, µs UTC; none when nothing was read yet.
    pub covered: Option<(i64, i64)>,
    /// Agents by name.
    pub agents: Vec<AgentPosture>,
    /// Acting identities without a manifest, busiest first.
    pub unclaimed: Vec<Unclaimed>,
    /// Policies and manifests that could not be read, so that what they decide is unknown.
    pub unparsed: Vec<String>,
    /// Services whose data events are logged in full, as configured.
    pub data_events: Vec<String>,
    /// How far verdicts can be trusted, over everything that was judged.
    pub trust: Trust,
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn level_name<S: Serializer>(level: &Option<AccessLevel>, serializer: S) -> Result<S::Ok, S::Error> {
    level.map(AccessLevel::as_str).serialize(serializer)
}

type Uses = BTreeMap<String, Use>;

impl Posture {
    /// Reads the store and holds it against manifests and grants.
    ///
    /// `data_events`: services (`s3`, `dynamodb`) whose data events are logged in full, so that a permission
    /// that was not seen was not used.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn read(
        store: &Store,
        manifests: &Manifests,
        grants: &Grants,
        data_events: &[String],
    ) -> Result<Posture, StoreError> {
        let uses = store.uses().await?;
        let denials = store.denials().await?;
        let covered = store.covered().await?;
        let none = Uses::new();
        let undenied = BTreeMap::new();
        let days = covered_days(covered);

        let mut claimed = BTreeSet::new();
        let mut agents = Vec::new();
        for agent in &manifests.agents {
            let identities = identities_of(agent, grants, uses.keys().chain(denials.keys()));
            let identities = identities
                .iter()
                .map(|identity| {
                    let facts = IdentityFacts {
                        uses: uses.get(identity).unwrap_or(&none),
                        denials: denials.get(identity).unwrap_or(&undenied),
                        data_events,
                        days,
                    };
                    identity_posture(agent, identity, grants, &facts)
                })
                .collect::<Vec<_>>();
            claimed.extend(identities.iter().map(|i| i.identity.clone()));
            agents.push(AgentPosture {
                agent: agent.name.clone(),
                description: agent.description.clone(),
                owner: agent.owner.team.clone(),
                environment: agent.environment.clone(),
                manifest: format!("{}:{}", agent.file, agent.line),
                declared: agent.scope.permissions().len(),
                identities,
            });
        }
        let mut unclaimed: Vec<Unclaimed> = uses
            .iter()
            .filter(|(identity, _)| !claimed.contains(*identity))
            .filter_map(|(identity, uses)| {
                let any = uses.get(ANY_PERMISSION)?;
                let permissions = uses.keys().filter(|p| is_permission(p)).count();
                Some(Unclaimed {
                    identity: identity.clone(),
                    permissions,
                    uses: any.uses,
                    last_used: any.last,
                })
            })
            .collect();
        unclaimed.sort_by(|a, b| b.uses.cmp(&a.uses).then_with(|| a.identity.cmp(&b.identity)));
        let unparsed = manifests.unparsed.iter().chain(&grants.unparsed);
        Ok(Posture {
            covered,
            agents,
            unclaimed,
            unparsed: unparsed.map(|u| format!("{}: {} ({})", u.file, u.reason, u.subject)).collect(),
            data_events: data_events.to_vec(),
            trust: store.trust(i64::MIN).await?,
        })
    }

    /// Days that the logs cover, both ends counted.
    #[must_use]
    pub fn days(&self) -> i64 {
        covered_days(self.covered)
    }
}

struct IdentityFacts<'a> {
    uses: &'a Uses,
    denials: &'a BTreeMap<String, Denials>,
    data_events: &'a [String],
    days: i64,
}

impl IdentityFacts<'_> {
    /// Successful calls that may have needed it.
    fn possible(&self, permission: &str) -> Option<&Use> {
        self.uses.get(&format!("{POSSIBLE}{permission}"))
    }
}

fn covered_days(covered: Option<(i64, i64)>) -> i64 {
    covered.map_or(0, |(first, last)| day_of(last) - day_of(first) + 1)
}

fn is_permission(key: &str) -> bool {
    key != ANY_PERMISSION && !key.starts_with(POSSIBLE)
}

/// Identities of an agent: those of `acted`, those with policies, and those that its manifest names in full.
#[must_use]
pub fn identities_of<'a>(
    agent: &Agent,
    grants: &Grants,
    acted: impl Iterator<Item = &'a String>,
) -> BTreeSet<String> {
    let mut identities: BTreeSet<String> = acted.filter(|arn| claims(agent, grants, arn)).cloned().collect();
    identities.extend(grants.identities().into_iter().filter(|arn| claims(agent, grants, arn)));
    let whole = agent.identities.iter().map(|i| &i.arn).filter(|arn| !arn.contains(['*', '?']));
    identities.extend(whole.cloned());
    identities
}

/// Whether some session of this identity may be the agent's.
fn claims(agent: &Agent, grants: &Grants, arn: &str) -> bool {
    // Tags of now: one that was marked later is the agent's all the same.
    let has = |(key, value): &(String, String)| {
        let holder = grants.at(arn, i64::MAX);
        let tags = holder.as_ref().and_then(|holder| holder.tags.as_ref());
        tags.and_then(|tags| tags.get(key)) == Some(value)
    };
    let account = arn.split(':').nth(4).unwrap_or_default();
    agent.identities.iter().any(|identity| {
        (identity.accounts.is_empty() || identity.accounts.iter().any(|a| a == account))
            && ArnPattern::new(&identity.arn).matches(Target::Exact(arn)) == Match::Yes
            && identity.tag.as_ref().is_none_or(has)
    })
}

fn identity_posture(
    agent: &Agent,
    identity: &str,
    grants: &Grants,
    facts: &IdentityFacts<'_>,
) -> IdentityPosture {
    let known = grants.knows(identity);
    let granted: BTreeMap<String, _> = grants
        .granted_permissions(identity)
        .into_iter()
        .map(|granted| (granted.permission.clone(), granted))
        .collect();
    let mut names: BTreeSet<&str> = granted.keys().map(String::as_str).collect();
    names.extend(facts.uses.keys().map(String::as_str).filter(|p| is_permission(p)));
    names.extend(facts.denials.keys().map(String::as_str));

    let permissions: Vec<PermissionPosture> = names
        .into_iter()
        .map(|name| {
            let used = facts.uses.get(name);
            let grant = granted.get(name);
            let denied = facts.denials.get(name).map_or(0, |d| d.count);
            let declared = agent.scope.declares(name);
            let (mark, why) = mark(name, used, grant.map(|g| g.conditional), known, denied, facts);
            PermissionPosture {
                permission: name.to_owned(),
                level: permission::level(name),
                declared,
                granted: known.then_some(grant.is_some()),
                granted_by: grant.map(|g| vec![g.by.clone()]).unwrap_or_default(),
                uses: used.map_or(0, |u| u.uses),
                days_used: used.or_else(|| facts.possible(name)).map_or(0, |u| u.days),
                first_used: used.map(|u| u.first),
                last_used: used.map(|u| u.last),
                denied,
                mark,
                why,
            }
        })
        .collect();
    let any = facts.uses.get(ANY_PERMISSION);
    let right_sized = known.then(|| right_size(&grants.statements_of(identity), &permissions, facts.days));
    IdentityPosture {
        identity: identity.to_owned(),
        active_days: any.map_or(0, |u| u.days),
        first_used: any.map(|u| u.first),
        last_used: any.map(|u| u.last),
        permissions,
        right_sized,
    }
}

/// What one row means. `conditional`: none where nothing grants it.
fn mark(
    name: &str,
    used: Option<&Use>,
    conditional: Option<bool>,
    known: bool,
    denied: i64,
    facts: &IdentityFacts<'_>,
) -> (Mark, String) {
    if let Some(used) = used {
        let why = format!("used on {} of {} days", used.days, facts.days);
        let undocumented = known && conditional.is_none();
        let aside = if undocumented { ", though no policy that we know grants it" } else { "" };
        return (Mark::Used, why + aside);
    }
    let Some(conditional) = conditional else {
        if denied > 0 {
            return (Mark::Denied, format!("denied {denied} times, never allowed"));
        }
        return (Mark::NotGranted, "no policy that we know grants it".to_owned());
    };
    if facts.possible(name).is_some() {
        return (
            Mark::Unknowable,
            "a call, or a service called by one, that may have needed it succeeded".to_owned(),
        );
    }
    let service = name.split_once(':').map_or(name, |(service, _)| service);
    match permission::logged(name) {
        Logged::Never => return (Mark::Unknowable, "CloudTrail has no event for it".to_owned()),
        Logged::Data if !facts.data_events.iter().any(|s| s == service) => {
            let why = format!("a data event, and those of `{service}` are not known to be logged in full");
            return (Mark::Unknowable, why);
        }
        Logged::Data | Logged::Management => {}
    }
    if conditional {
        return (Mark::Conditional, "granted under a condition that is not judged".to_owned());
    }
    (Mark::Unused, format!("not used in the {} days covered", facts.days))
}
