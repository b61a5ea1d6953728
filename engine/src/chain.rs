//! Who gave a call its credentials, or its task: links from one event to a later one.
//!
//! `AssumeRole` answers with the id of the key that the new session's calls carry; a tool call lists the requests that
//! it led to. Kept as they come, and followed back only when something is shown, so that the order of arrival does not
//! matter. Nothing is judged by them.

mod walk;

use std::borrow::Cow;

use compact_str::{CompactString, format_compact};
use ingest::agent::{client, role_of_session};
use ingest::event::EventView;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::calls::Parameters;
use crate::json::{Json, Tape};
use crate::time::{HOUR, MINUTE};

pub use walk::{Ask, Walk};

/// Longest that credentials live: those of `GetSessionToken`.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html>
pub const SESSION_MAX: i64 = 36 * HOUR;
/// Clocks of two services may differ, and a tool call is logged when it ends, after the requests it made.
pub const SKEW: i64 = 15 * MINUTE;
/// Steps of a chain that are followed, the call included.
pub const STEPS_MAX: usize = 8;

/// The services that give credentials.
const STS: &str = "sts.amazonaws.com";
const ROLES_ANYWHERE: &str = "rolesanywhere.amazonaws.com";

/// Where a tool call lists the requests that it led to.
const REQUESTS: &str = "downstreamRequests";

/// Requests of one tool call that are kept; a script may make many.
const REQUESTS_MAX: usize = 64;
/// Longest identity that is kept: a role's path has 512 characters, a token's issuer, audience and subject 255 each.
const ACTOR_BYTES_MAX: usize = 1_024;
/// Longest of every other text that is kept: no id or name is longer.
const TEXT_BYTES_MAX: usize = 256;
/// Longest response that is read for a key.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// Longest list of requests that is read.
const ADDITIONAL_BYTES_MAX: usize = 256 * 1024;

/// What an event gave to later ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// What later events show of it
    pub given: Given,
    /// To whom: the caller's identity as later events show it, without a role's path
    pub holder: CompactString,
    /// Whether the log leaves out who asked, as it does to the other account's reader
    pub is_half_told: bool,
    /// Who asked
    pub by: Asked,
}

/// How later events show what they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// They carry this access key
    Key(CompactString),
    /// They are these requests
    Requests(Vec<CompactString>),
}

/// Who asked for what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The step as it is shown
    pub step: Step,
    /// The key that the asker itself called with, or the sign-in it did so by
    pub session: Option<CompactString>,
    /// Its own request
    pub request_id: Option<CompactString>,
}

/// One step of a chain: who did what next. Every text in it is a log's; account numbers and the like take no room of
/// their own, since a tenth of all calls may be steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was done
    pub kind: StepKind,
    /// Canonical identity of who did it
    pub actor: CompactString,
    /// Its session's name
    #[serde(default)]
    pub session_name: Option<CompactString>,
    /// Its account
    #[serde(default)]
    pub account: Option<CompactString>,
    /// Event time, µs UTC
    pub at: i64,
    /// The event's id
    pub event: CompactString,
    /// The tool that was called, without its arguments
    #[serde(default)]
    pub tool: Option<CompactString>,
    /// The agent client that called it, by its own words
    #[serde(default)]
    pub client: Option<CompactString>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Took a role
    AssumeRole,
    /// Took a role by a provider's assertion
    AssumeRoleWithSaml,
    /// Took a role by a provider's token
    AssumeRoleWithWebIdentity,
    /// Took the root user's place in a member account
    AssumeRoot,
    /// Made temporary credentials of a user's own
    GetSessionToken,
    /// Made credentials for somebody that it vouches for
    GetFederationToken,
    /// Took a role by a certificate
    CreateSession,
    /// Called a tool of an agent's tool server
    Mcp,
    /// Made the call itself: always the last step
    Call,
}

impl StepKind {
    /// The name in JSON: `assume_role`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::AssumeRole => "assume_role",
            StepKind::AssumeRoleWithSaml => "assume_role_with_saml",
            StepKind::AssumeRoleWithWebIdentity => "assume_role_with_web_identity",
            StepKind::AssumeRoot => "assume_root",
            StepKind::GetSessionToken => "get_session_token",
            StepKind::GetFederationToken => "get_federation_token",
            StepKind::CreateSession => "create_session",
            StepKind::Mcp => "mcp",
            StepKind::Call => "call",
        }
    }

    /// What it did, in words that fit after a name.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            StepKind::AssumeRole => "took a role",
            StepKind::AssumeRoleWithSaml => "took a role by SAML",
            StepKind::AssumeRoleWithWebIdentity => "took a role by a web identity",
            StepKind::AssumeRoot => "became root",
            StepKind::GetSessionToken => "made a session",
            StepKind::GetFederationToken => "federated a user",
            StepKind::CreateSession => "took a role by a certificate",
            StepKind::Mcp => "called a tool",
            StepKind::Call => "made the call",
        }
    }
}

/// A chain from the first credentials that are known to the call. Empty where only the call itself is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Earliest first; the last is the call
    pub steps: Vec<Step>,
    /// Why it does not begin at the beginning
    #[serde(default)]
    pub cut: Option<Cut>,
}

/// Why a chain does not reach its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// The first session known came from credentials whose giving no log shows
    NotLogged,
    /// It leads back into itself
    Cycle,
    /// It is longer than we follow
    TooLong,
}

impl Cut {
    /// The name in JSON: `not_logged`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Cut::NotLogged => "not_logged",
            Cut::Cycle => "cycle",
            Cut::TooLong => "too_long",
        }
    }

    /// What is missing before the first step, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Cut::NotLogged => "who gave the first credentials is in no log that was read",
            Cut::Cycle => "the chain leads back into itself",
            Cut::TooLong => "the chain is longer than is followed",
        }
    }
}

impl Chain {
    /// Whether there is nothing to show beyond the call itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps as JSON has them: `[{kind, actor, session_name, account, at, event, tool, client}]`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let step = |step: &Step| {
            let mut value = serde_json::json!({
                "kind": step.kind,
                "actor": step.actor,
                "session_name": step.session_name,
                "account": step.account,
                "at": crate::time::rfc3339(step.at),
                "event": step.event,
            });
            if let (StepKind::Mcp, Some(object)) = (step.kind, value.as_object_mut()) {
                object.insert("tool".to_owned(), serde_json::json!(step.tool));
                object.insert("client".to_owned(), serde_json::json!(step.client));
            }
            value
        };
        self.steps.iter().map(step).collect()
    }
}

impl Issued {
    /// The services that give credentials, as events name them.
    pub(crate) const SERVICES: [&str; 2] = [STS, ROLES_ANYWHERE];

    /// What an event gave to later ones, if it did.
    #[must_use]
    pub fn of(view: &EventView<'_>, row: usize) -> Option<Issued> {
        Issued::told_by(&Parameters::new(view, row))
    }

    /// The same. Most events are told apart by service and operation alone.
    pub(crate) fn told_by(call: &Parameters<'_, '_>) -> Option<Issued> {
        let (view, row) = (call.view, call.row);
        let kind = match (view.service(row)?, view.operation(row)?) {
            (STS, operation) => of_sts(operation),
            (ROLES_ANYWHERE, "CreateSession") => Some(StepKind::CreateSession),
            _ => None,
        };
        match kind {
            Some(kind) if view.outcome(row) == Some("success") => credentials(call, kind),
            Some(_) => None,
            None if Issued::may_list_requests(view, row) => requests(call),
            None => None,
        }
    }

    /// Whether an event may list the requests that it led to: a quick look that spares most events more.
    pub(crate) fn may_list_requests(view: &EventView<'_>, row: usize) -> bool {
        view.additional_keys(row).is_none_or(|keys| keys.may_be(REQUESTS))
            && view
                .additional(row)
                .is_some_and(|told| memchr::memmem::find(told.as_bytes(), REQUESTS.as_bytes()).is_some())
    }

    /// The rows that it is kept as: what is looked for, and what it is.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (kind, all) = match &self.given {
            Given::Key(key) => ("key", std::slice::from_ref(key)),
            Given::Requests(requests) => ("request", requests.as_slice()),
        };
        all.iter().map(move |target| (kind, target.as_str()))
    }

    /// Of two tellings of one thing the least counts, whichever arrives first: the fuller, then the earlier. A role that
    /// another account's caller takes is told in both accounts' logs, under one `sharedEventID`, with one new key.
    #[must_use]
    pub fn order(&self) -> (bool, i64, &str) {
        (self.is_half_told, self.by.step.at, &self.by.step.event)
    }
}

fn of_sts(operation: &str) -> Option<StepKind> {
    Some(match operation {
        "AssumeRole" => StepKind::AssumeRole,
        "AssumeRoleWithSAML" => StepKind::AssumeRoleWithSaml,
        "AssumeRoleWithWebIdentity" => StepKind::AssumeRoleWithWebIdentity,
        "AssumeRoot" => StepKind::AssumeRoot,
        "GetSessionToken" => StepKind::GetSessionToken,
        "GetFederationToken" => StepKind::GetFederationToken,
        _ => return None,
    })
}

/// The parts of a response that tell what was given to whom.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>
fn credentials(call: &Parameters<'_, '_>, kind: StepKind) -> Option<Issued> {
    let (view, row) = (call.view, call.row);
    view.response(row).filter(|text| text.len() <= RESPONSE_BYTES_MAX)?;
    let response = call.response();
    let given = match response.get("credentials").filter(|told| !told.is_null()) {
        Some(_) => response,
        // Roles Anywhere gives a list of one.
        // https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
        None => response.get("credentialSet")?.items().next()?,
    };
    let key = access_key(given).filter(|key| is_key(key))?;
    let holder = match given.get("assumedRoleUser").and_then(|user| user.get("arn")?.text()) {
        Some(arn) => role_of_session(arn)?.into(),
        None => match kind {
            // A user's own credentials, and those of whom it vouches for, act as the user.
            StepKind::GetSessionToken | StepKind::GetFederationToken => holder_of(view.actor(row)?).into(),
            StepKind::AssumeRoot => root_of(call.request())?,
            _ => return None,
        },
    };
    Some(issued(view, row, asked(view, row, kind)?, Given::Key(key.into()), holder))
}

/// The id of the key that a response of STS gives.
pub(crate) fn access_key(response: Json<'_>) -> Option<&str> {
    response.get("credentials")?.get("accessKeyId")?.text()
}

/// The requests that a tool call led to.
/// <https://docs.aws.amazon.com/agent-toolkit/latest/userguide/logging-using-cloudtrail.html>
fn requests(call: &Parameters<'_, '_>) -> Option<Issued> {
    let (view, row) = (call.view, call.row);
    let tape = Tape::read(view.additional(row).filter(|text| text.len() <= ADDITIONAL_BYTES_MAX));
    let ids = tape.root().get(REQUESTS)?.items().take(REQUESTS_MAX);
    let ids = ids.filter_map(|one| one.get("requestId")?.text());
    let mut ids: Vec<CompactString> = ids.filter_map(|id| kept(Some(id))).collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return None;
    }
    let mut by = asked(view, row, StepKind::Mcp)?;
    let holder = holder_of(&by.step.actor).into();
    // What the tool was called with is nobody's business here.
    by.step.tool = kept(call.request().get("params").and_then(|params| params.get("name")?.text()));
    by.step.client = view.user_agent(row).and_then(client).map(CompactString::from);
    Some(issued(view, row, by, Given::Requests(ids), holder))
}

/// The account's root, by its number or its ARN.
fn root_of(request: Json<'_>) -> Option<CompactString> {
    let target = request.get("targetPrincipal")?.text()?;
    let is_account = target.len() == 12 && target.bytes().all(|b| b.is_ascii_digit());
    if is_account { Some(format_compact!("arn:aws:iam::{target}:root")) } else { kept(Some(target)) }
}

fn asked(view: &EventView<'_>, row: usize, kind: StepKind) -> Option<Asked> {
    let step = Step {
        kind,
        actor: view.actor(row).filter(|actor| actor.len() <= ACTOR_BYTES_MAX)?.into(),
        session_name: kept(view.session_name(row)),
        account: kept(view.actor_account(row).or(view.account(row))),
        at: view.time(row)?,
        event: kept(Some(view.event_id(row)))?,
        tool: None,
        client: None,
    };
    let session = kept(view.session(row).or(view.credential(row)));
    Some(Asked { step, session, request_id: kept(view.request_id(row)) })
}

fn issued(view: &EventView<'_>, row: usize, by: Asked, given: Given, holder: CompactString) -> Issued {
    // The account that owns the role learns the caller's ids only.
    Issued { given, holder, is_half_told: view.actor_type(row) == Some("AWSAccount"), by }
}

/// The identity as a response spells it: a role without its path.
#[must_use]
pub fn holder_of(actor: &str) -> Cow<'_, str> {
    let role = actor.split_once('/').filter(|(head, _)| head.ends_with(":role"));
    match role.and_then(|(head, path)| Some((head, path.rsplit_once('/')?.1))) {
        Some((head, name)) => Cow::Owned([head, "/", name].concat()),
        None => Cow::Borrowed(actor),
    }
}

fn is_key(key: &str) -> bool {
    (16..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn kept(text: Option<&str>) -> Option<CompactString> {
    text.filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX).map(CompactString::from)
}

#[cfg(test)]
mod tests;
