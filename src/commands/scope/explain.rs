//! `remit scope explain`: whether an agent may do something, and everything that decided it.

mod text;

use super::Folders;
use crate::cli::{ExplainArgs, Page};
use crate::commands::attach;
use crate::exit::{Exit, Usage};
use crate::screen;
use chrono::{DateTime, Utc};
use engine::cloud::Cloud;
use engine::grant::{Effect, Grant, GrantVerdict, GrantedStatement, Grants};
use engine::manifest::history::{self, HistoryError, Snapshot};
use engine::manifest::{Agent, Caller, Manifests, PrincipalKind, catalog_places};
use engine::permission::{self, Logged};
use engine::posture::identities_of;
use engine::scope::{BoundFacts, Broken, Entry, Plane, Says, ScopeVerdict, Verdict};
use engine::store::Use;
use engine::time::{self, rfc3339};
use policy::aws::Decision;
use policy::context::{Context, Fact};
use policy::wildcard::{ActionPattern, ArnPattern, Match, Target};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Everything there is to say to one question.
struct Explanation {
    agent: Arc<Agent>,
    permission: String,
    /// None: the permission knows no resource
    resource: Option<String>,
    /// Which version of the manifests was asked, where that is not the folder as it is
    version: Option<String>,
    /// Names and verbs of catalogs, and where they stand
    places: BTreeMap<String, String>,
    scope: ScopeVerdict,
    entries: Vec<(Entry, Says)>,
    identities: Vec<IdentityAnswer>,
    /// Bounds of the manifest that such a call breaks for certain
    broken: Vec<Broken>,
    /// Keys that were given and that nothing asks for
    unasked: Vec<String>,
}

/// What the policies of one identity say.
struct IdentityAnswer {
    arn: String,
    /// The manifest's identity that matches, as written
    matched: String,
    /// Another agent that its calls are taken for
    taken_by: Option<String>,
    grant: GrantVerdict,
    decision: Option<Decision>,
    statements: Vec<Told>,
    used: Option<Use>,
}

/// A statement about the permission.
struct Told {
    statement: GrantedStatement,
    covers: Match,
}

pub async fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let cloud = cloud_of(&args.permission, &args.resource)?;
    let folders = Folders::named(&args.scope)?;
    let (Snapshot { manifests, .. }, version) = manifests(&folders.agents, args.at)?;
    let grants = match &folders.policies {
        Some(dir) => Grants::load(dir).map_err(Usage::error)?,
        None => Grants::default(),
    };
    let Some(agent) = manifests.named(&args.agent).cloned() else {
        let known: Vec<&str> = manifests.agents.iter().map(|a| a.name.as_str()).collect();
        let known = known.join(", ");
        return Err(Usage::error(format!("no manifest declares `{}`. Known: {known}", args.agent)));
    };
    let used = match &folders.config {
        Some(config) if config.store.path.exists() => attach(&config.store.path).await?.uses().await?,
        _ => BTreeMap::new(),
    };
    let explanation = Explanation {
        places: catalog_places(&folders.agents),
        version,
        ..match cloud {
            Cloud::Aws => explain(args, agent, &manifests, &grants, &used),
            cloud => explain_elsewhere(args, cloud, agent, &manifests, &grants),
        }
    };
    match args.output {
        Page::Table => screen::out(&text::page(&explanation))?,
        Page::Json => screen::out_json(&explanation.to_json(), true)?,
    }
    Ok(if explanation.scope.verdict == Verdict::Out { Exit::Findings } else { Exit::Done })
}

/// The cloud that spells like this; what fits none is a slip.
fn cloud_of(permission: &str, resource: &str) -> anyhow::Result<Cloud> {
    let is_aws = permission.split_once(':').is_some_and(|(service, action)| {
        !service.is_empty() && !action.is_empty() && !permission.contains('/')
    });
    let is_azure = permission.contains('/') && !permission.contains(':');
    let is_gcp = permission.contains('.') && !permission.contains(['/', ':']);
    if !(is_aws || is_azure || is_gcp) {
        return Err(Usage::error(format!(
            "`{permission}` is no permission; write service:Action, for instance s3:GetObject \
             (Azure: Microsoft.Storage/storageAccounts/read, Google Cloud: storage.objects.get)"
        )));
    }
    if is_aws && resource != "*" && !resource.starts_with("arn:") {
        return Err(Usage::error(format!(
            "`{resource}` is no ARN; write arn:..., or * for a permission that knows no resource"
        )));
    }
    if is_azure && resource != "*" && !resource.starts_with('/') {
        return Err(Usage::error(format!(
            "`{resource}` is no Azure resource; write its id, /subscriptions/..., or *"
        )));
    }
    Ok(match (is_aws, is_azure) {
        (true, _) => Cloud::Aws,
        (_, true) => Cloud::Azure,
        _ => Cloud::Gcp,
    })
}

/// The manifests that count at a time: those of the revision that held then, where the folder has revisions.
fn manifests(dir: &Path, at: Option<i64>) -> anyhow::Result<(Snapshot, Option<String>)> {
    let present = || history::snapshot_of(dir, Utc::now()).map_err(Usage::error);
    let Some(at) = at.filter(|at| *at < time::now()) else { return Ok((present()?, None)) };
    let revisions = match history::revisions(dir, at) {
        Ok(revisions) => revisions,
        Err(HistoryError::NoRepository(_) | HistoryError::NoGit(_)) => {
            let version = "as the folder is: it has no history in git".to_owned();
            return Ok((present()?, Some(version)));
        }
        Err(error) => return Err(error.into()),
    };
    let held = revisions.iter().rev().find(|one| one.time <= at);
    let Some(revision) = held.or(revisions.first()) else {
        return Ok((present()?, Some("as the folder is: nothing of it is committed".to_owned())));
    };
    let now = DateTime::from_timestamp_micros(at).unwrap_or_default();
    let snapshot = history::snapshot_at(dir, &revision.id, now).map_err(Usage::error)?;
    let short = revision.id.get(..12).unwrap_or(&revision.id);
    let version = if held.is_some() {
        format!("revision {short} of {}, which held at {}", rfc3339(revision.time), rfc3339(at))
    } else {
        format!("revision {short}, the oldest: none held at {} yet", rfc3339(at))
    };
    Ok((snapshot, Some(version)))
}

fn explain(
    args: &ExplainArgs,
    agent: Arc<Agent>,
    manifests: &Manifests,
    grants: &Grants,
    used: &BTreeMap<String, BTreeMap<String, Use>>,
) -> Explanation {
    let context = context(args);
    let permission = args.permission.clone();
    let resource = (args.resource != "*").then(|| args.resource.clone());
    let resources: Vec<String> = resource.iter().cloned().collect();
    let scope = agent.scope.verdict(&permission, &resources, true, &context);
    let entries = agent.scope.considered(&permission, resource.as_deref(), &context);

    let mut asked: BTreeSet<String> = entries.iter().flat_map(|(entry, _)| entry.hangs_on.clone()).collect();
    let mut identities = Vec::new();
    for arn in identities_of(&agent, grants, used.keys()) {
        let holder = grants.at(&arn, args.at.unwrap_or(i64::MAX)).or_else(|| grants.at(&arn, i64::MAX));
        let target = Target::Exact(resource.as_deref().unwrap_or("*"));
        let (grant, decision) = match &holder {
            Some(holder) => {
                asked.extend(holder.keys(&permission));
                (
                    holder.verdict(&permission, &resources, true, &context, None),
                    Some(holder.decision(&permission, target, &context, None)),
                )
            }
            None => (grants.verdict(&arn, &permission, &resources, true, &context), None),
        };
        let statements = holder.iter().flat_map(|holder| holder.granted_statements());
        let tags = holder.as_ref().and_then(|holder| holder.tags.as_ref());
        let caller = Caller { actor: &arn, tags, ..Caller::default() };
        identities.push(IdentityAnswer {
            matched: matched(&agent, &arn),
            taken_by: manifests
                .agent(&caller)
                .filter(|one| one.name != agent.name)
                .map(|one| one.name.clone()),
            grant,
            decision,
            statements: statements.filter_map(|one| told(one, &permission, target)).collect(),
            used: used.get(&arn).and_then(|uses| uses.get(&permission)).cloned(),
            arn,
        });
    }
    let bounds = agent.bounds.entries().into_iter().filter_map(|(bound, _)| match bound {
        "regions" => Some(&["aws:RequestedRegion"][..]),
        "networks" => Some(&["aws:SourceIp", "aws:SourceVpce"][..]),
        _ => None,
    });
    asked.extend(bounds.flatten().map(|key| (*key).to_owned()));
    let broken = broken(&agent, args, &context);
    let asked: BTreeSet<String> = asked.iter().map(|key| key.to_ascii_lowercase()).collect();
    let unasked = args.context.iter().map(|(key, _)| key.clone());
    let unasked = unasked.filter(|key| !asked.contains(&key.to_ascii_lowercase())).collect();
    Explanation {
        agent,
        permission,
        resource,
        version: None,
        places: BTreeMap::new(),
        scope,
        entries,
        identities,
        broken,
        unasked,
    }
}

/// The bounds that a call like this would break, as far as the question tells of it.
fn broken(agent: &Agent, args: &ExplainArgs, context: &Context) -> Vec<Broken> {
    let given = |key: &str| match context.fact(key) {
        Fact::Values(values) => values.first().map(String::as_str),
        _ => None,
    };
    let in_arn = args.resource.split(':').nth(3).filter(|region| !region.is_empty() && !region.contains('*'));
    let (service, operation) = args.permission.split_once(':').unwrap_or_default();
    let facts = BoundFacts {
        time: args.at.unwrap_or_else(time::now),
        service: &format!("{service}.amazonaws.com"),
        operation,
        region: given("aws:RequestedRegion").or(in_arn),
        source_ip: given("aws:SourceIp"),
        vpc_endpoint: given("aws:SourceVpce"),
        ..BoundFacts::default()
    };
    let mut broken = agent.bounds.broken(&facts);
    // Without a time nothing is asked of the hour.
    broken.retain(|one| one.certain && (args.at.is_some() || one.bound != engine::scope::Bound::Hours));
    broken
}

/// The same for Azure and Google Cloud: what the manifest declares there, and what the exports grant to the identities
/// that it names there.
fn explain_elsewhere(
    args: &ExplainArgs,
    cloud: Cloud,
    agent: Arc<Agent>,
    manifests: &Manifests,
    grants: &Grants,
) -> Explanation {
    let context = context(args);
    let resource = (args.resource != "*").then(|| args.resource.clone());
    let place = resource.as_deref();
    // Which plane an operation is on only its role says: what either declares or grants counts.
    let scope = agent.scope.verdict_elsewhere(cloud, &args.permission, None, place, &context);
    let entries = agent.scope.considered_elsewhere(cloud, &args.permission, None, place, &context);
    let answer = |kind: PrincipalKind, id: &str| match (cloud, kind) {
        // Roles are assigned to objects; an export names an app's by another id.
        (Cloud::Azure, PrincipalKind::AzureApp) => None,
        (Cloud::Azure, PrincipalKind::AzureAgent | PrincipalKind::AzurePrincipal) => {
            let on =
                |plane| grants.azure.verdict(id, None, &args.permission, plane, &args.resource, &context);
            let (control, data) = (on(Plane::Control), on(Plane::Data));
            Some(if data.grant == Grant::Allowed { data } else { control })
        }
        (Cloud::Gcp, PrincipalKind::ServiceAccount) => {
            Some(grants.gcp.verdict(id, &args.permission, &args.resource, &[], &context))
        }
        _ => None,
    };
    let mut identities = Vec::new();
    for principal in &agent.principals {
        let Some(grant) = answer(principal.kind, &principal.id) else { continue };
        let caller = Caller { actor: &principal.id, ..Caller::default() };
        let rival = manifests.agent(&caller).filter(|one| one.name != agent.name);
        identities.push(IdentityAnswer {
            arn: principal.id.clone(),
            matched: principal.to_string(),
            taken_by: rival.map(|one| one.name.clone()),
            grant,
            decision: None,
            statements: Vec::new(),
            used: None,
        });
    }
    let asked: BTreeSet<String> = scope
        .missing
        .iter()
        .chain(entries.iter().flat_map(|(entry, _)| &entry.hangs_on))
        .map(|key| key.to_ascii_lowercase())
        .collect();
    // Conditions of assignments and bindings are written in their own languages: what they ask for is not listed.
    let unasked = args.context.iter().map(|(key, _)| key.clone());
    let unasked =
        unasked.filter(|key| identities.is_empty() && !asked.contains(&key.to_ascii_lowercase())).collect();
    Explanation {
        identities,
        permission: args.permission.clone(),
        resource,
        version: None,
        places: BTreeMap::new(),
        broken: Vec::new(),
        scope,
        entries,
        unasked,
        agent,
    }
}

/// What the question tells of the call; all else is unknown.
fn context(args: &ExplainArgs) -> Context {
    let mut context = Context::partial();
    if let Some(at) = args.at {
        context.set("aws:CurrentTime", Fact::one(rfc3339(at)));
        context.set("aws:EpochTime", Fact::one((at / time::SECOND).to_string()));
    }
    let mut given: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, value) in &args.context {
        given.entry(key).or_default().push(value.clone());
    }
    for (key, values) in given {
        context.set(key, Fact::Values(values));
    }
    context
}

fn matched(agent: &Agent, arn: &str) -> String {
    let matching = agent.identities.iter().find(|identity| {
        identity.arn == arn || ArnPattern::new(&identity.arn).matches(Target::Exact(arn)) == Match::Yes
    });
    let Some(identity) = matching else { return "a policy of that name".to_owned() };
    let kind = if identity.arn.contains(":user/") { "aws.user" } else { "aws.role" };
    let mut written = format!("{kind}: {}", identity.arn);
    if let Some(session) = &identity.session {
        written += &format!(", session: {session}");
    }
    if !identity.accounts.is_empty() {
        written += &format!(", accounts: {}", identity.accounts.join(", "));
    }
    if let Some((key, value)) = &identity.tag {
        written += &format!(", tag: {key}={value}");
    }
    written
}

/// A statement, where it is about the permission.
fn told(statement: GrantedStatement, permission: &str, target: Target<'_>) -> Option<Told> {
    let named = statement.actions.iter().map(|text| ActionPattern::new(text).matches(permission));
    let named = named.fold(Match::No, Match::or);
    let about = if statement.not_action { named.negate() } else { named };
    if about == Match::No {
        return None;
    }
    let resources = statement.resources.iter();
    let covers =
        resources.map(|text| ArnPattern::with_variables(text).matches(target)).fold(Match::No, Match::or);
    let covers = if statement.not_resource { covers.negate() } else { covers };
    Some(Told { statement, covers })
}

impl Told {
    /// `meant`, `other_resource`, `depends`
    fn says(&self) -> &'static str {
        match self.covers {
            Match::No => "other_resource",
            Match::Yes if !self.statement.has_condition => "meant",
            _ => "depends",
        }
    }

    fn name(&self) -> String {
        format!("{}#{}", self.statement.policy, self.statement.statement)
    }

    fn condition(&self) -> Option<&Value> {
        self.statement.raw.get("Condition")
    }
}

impl Explanation {
    /// The entry that decided.
    fn decisive(&self) -> Option<&Entry> {
        let origin = self.scope.statement.as_deref()?;
        let is_it = |entry: &&Entry| {
            let rest = origin.strip_prefix(&format!("{}:{} {}", entry.file, entry.line, entry.text));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", approved by "))
        };
        self.entries.iter().map(|(entry, _)| entry).find(is_it)
    }

    fn to_json(&self) -> Value {
        let entries = self.entries.iter().map(|(entry, says)| {
            let keys = match says {
                Says::Depends(keys) => keys.clone(),
                _ => Vec::new(),
            };
            let catalog = entry.name.as_ref().and_then(|name| self.places.get(name));
            json!({ "entry": entry, "says": says.as_str(), "missing": keys, "catalog": catalog })
        });
        let identities = self.identities.iter().map(|one| {
            let statements = one.statements.iter().map(|told| {
                json!({
                    "policy": told.statement.policy,
                    "statement": told.statement.statement,
                    "effect": told.statement.effect.as_str(),
                    "layer": if told.statement.boundary { "boundary" } else { "identity" },
                    "resources": told.statement.resources,
                    "not_resources": told.statement.not_resource,
                    "condition": told.condition(),
                    "says": told.says(),
                })
            });
            json!({
                "identity": one.arn,
                "matched_by": one.matched,
                "taken_by": one.taken_by,
                "grant": one.grant.grant.as_str(),
                "why": one.grant.why,
                "decision": one.decision.as_ref().map(decision_json),
                "statements": statements.collect::<Vec<_>>(),
                "used": one.used.as_ref().map(|used| json!({
                    "calls": used.uses, "days": used.days, "first": rfc3339(used.first), "last": rfc3339(used.last),
                })),
            })
        });
        json!({
            "schema_version": 1,
            "agent": self.agent.name,
            "manifest": format!("{}:{}", self.agent.file, self.agent.line),
            "version": self.version,
            "permission": self.permission,
            "resource": self.resource,
            "level": permission::level(&self.permission).map(|level| level.as_str()),
            "logged": logged(&self.permission),
            "answer": text::answer(self),
            "scope": {
                "verdict": self.scope.verdict.as_str(),
                "reason": self.scope.reason.as_str(),
                "decided_by": self.decisive(),
                "statement": self.scope.statement,
                "missing": self.scope.missing,
            },
            "bounds": self.agent.bounds.entries().into_iter().collect::<BTreeMap<_, _>>(),
            "broken": self.broken.iter().map(|one| json!({ "bound": one.bound.as_str(), "seen": one.seen })).collect::<Vec<_>>(),
            "entries": entries.collect::<Vec<_>>(),
            "identities": identities.collect::<Vec<_>>(),
            "context_not_asked": self.unasked,
        })
    }
}

fn decision_json(decision: &Decision) -> Value {
    let decisive = decision
        .decisive
        .iter()
        .map(|one| json!({ "layer": one.layer, "policy": one.policy, "statement": one.statement }));
    json!({
        "decision": decision.effect.as_str(),
        "blocked_by": decision.blocked_by,
        "decisive": decisive.collect::<Vec<_>>(),
        "missing_keys": decision.missing_keys,
    })
}

fn logged(permission: &str) -> &'static str {
    permission::logged(permission).as_str()
}

/// What the log shows of a permission's use, in words.
fn shown_in_log(permission: &str) -> &'static str {
    match permission::logged(permission) {
        Logged::Management => "a management event: always in the log",
        Logged::Data => "a data event: in the log where data events are on",
        Logged::Never => "CloudTrail has no event for it",
    }
}

fn is_allow(statement: &GrantedStatement) -> bool {
    statement.effect == Effect::Allow
}
