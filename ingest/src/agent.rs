//! Who acted: the canonical identity behind a CloudTrail record, and what tells that an agent used it.
//!
//! Fields and their meaning:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>

mod evidence;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::event::Columns;
use crate::formats::cloudtrail::record::{Record, UserIdentity};

pub(crate) use evidence::agent_hint;
pub use evidence::{MCP_HOST, client, clients};

/// Longest account of an identity provider that is read; a provider's claims are short.
const FEDERATION_BYTES_MAX: usize = 16 * 1024;

/// What stands nowhere in a record as it is meant, with the identity that it is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub actor: Option<String>,
    pub on_behalf_of: Option<String>,
    pub workload: Option<String>,
}

impl Made {
    /// Made for the columns that are asked for; a workload also for those that tell an agent by it.
    pub(crate) fn of(record: &Record<'_>, asked: &Columns) -> Made {
        let Some(identity) = record.user_identity() else { return Made::default() };
        let is_hinted = asked.agent_hint || asked.agent_evidence;
        let owned = |text: Option<Cow<'_, str>>| match text {
            Some(Cow::Owned(text)) => Some(text),
            Some(Cow::Borrowed(_)) | None => None,
        };
        let added = || evidence::spiffe_of_certificate(record);
        Made {
            actor: (asked.actor || is_hinted).then(|| owned(actor(&identity))).flatten(),
            on_behalf_of: asked.on_behalf_of.then(|| owned(on_behalf_of(&identity))).flatten(),
            workload: (asked.workload || is_hinted).then(|| owned(workload(&identity, &added))).flatten(),
        }
    }
}

/// The unique id: `AROA...`, `AIDA...`.
pub(crate) fn actor_id<'a>(identity: &UserIdentity<'a>) -> Option<&'a str> {
    let issuer = identity.issuer().and_then(|issuer| issuer.principal_id());
    issuer.or_else(|| id_and_session(identity.kind(), identity.principal_id()).0)
}

pub(crate) fn actor_account<'a>(identity: &UserIdentity<'a>) -> Option<&'a str> {
    identity.issuer().and_then(|issuer| issuer.account_id()).or_else(|| account(identity))
}

/// The temporary key. What a client does by a sign-in is logged without one at times, but under the sign-in's session.
pub(crate) fn session<'a>(identity: &UserIdentity<'a>) -> Option<&'a str> {
    identity.access_key_id().filter(|key| key.starts_with("ASIA")).or_else(|| identity.sign_in_session())
}

pub(crate) fn session_name<'a>(identity: &UserIdentity<'a>) -> Option<&'a str> {
    let kind = identity.kind();
    let by_principal = || id_and_session(kind, identity.principal_id()).1;
    match kind {
        "AssumedRole" | "Role" | "FederatedUser" => {
            identity.arn().and_then(session_of_arn).or_else(by_principal)
        }
        // A caller of another account, known by its id alone.
        "AWSAccount" => by_principal(),
        _ => None,
    }
}

/// The account that the caller belongs to; the word for an anonymous one is no account.
pub(crate) fn account<'a>(identity: &UserIdentity<'a>) -> Option<&'a str> {
    identity.account_id().filter(|account| !is_anonymous(account))
}

fn is_anonymous(account: &str) -> bool {
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-understanding-s3-entries.html
    // https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/understanding-gateway-cloudtrail-log-entries.html
    account.eq_ignore_ascii_case("ANONYMOUS_PRINCIPAL") || account.eq_ignore_ascii_case("anonymous")
}

/// The role, user or service; never a session, whose name is the caller's to choose.
pub(crate) fn actor<'a>(identity: &UserIdentity<'a>) -> Option<Cow<'a, str>> {
    let issuer = identity.issuer().and_then(|issuer| issuer.arn());
    let arn = identity.arn();
    let id = || id_and_session(identity.kind(), identity.principal_id()).0;
    match identity.kind() {
        "AWSService" => identity.invoked_by().or(arn).or(id()).map(Cow::Borrowed),
        "Root" => match (arn, account(identity)) {
            (Some(arn), _) => Some(Cow::Borrowed(arn)),
            (None, Some(account)) => Some(Cow::Owned(format!("arn:aws:iam::{account}:root"))),
            (None, None) => id().map(Cow::Borrowed),
        },
        "AWSAccount" if identity.account_id().is_some_and(is_anonymous) => Some(Cow::Borrowed("anonymous")),
        _ => issuer
            .map(Cow::Borrowed)
            .or_else(|| arn.map(|arn| role_of_session(arn).map_or(Cow::Borrowed(arn), Cow::Owned)))
            .or_else(|| id().map(Cow::Borrowed))
            .or_else(|| federated(identity))
            .or_else(|| identity.on_behalf_of().or(identity.user_name()).map(Cow::Borrowed))
            .or_else(|| identity.account_id().map(Cow::Borrowed)),
    }
}

/// Provider and subject of a federated caller whose id, which holds both, is left out.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html#STS-API-SAML-WIF>
fn federated<'a>(identity: &UserIdentity<'a>) -> Option<Cow<'a, str>> {
    let (provider, subject) = (identity.identity_provider()?, identity.user_name()?);
    Some(Cow::Owned(format!("{provider}:{subject}")))
}

/// The person: a user of Identity Center, else the subject that a web identity's provider vouched for, behind the
/// provider's name: `accounts.google.com:1093`.
pub(crate) fn on_behalf_of<'a>(identity: &UserIdentity<'a>) -> Option<Cow<'a, str>> {
    if let Some(user) = identity.on_behalf_of() {
        return Some(Cow::Borrowed(user));
    }
    let told = identity.federation().filter(|told| told.len() > 2 && told.len() <= FEDERATION_BYTES_MAX)?;
    let told: Map<String, Value> = serde_json::from_str(told).ok()?;
    let claims = told.get("attributes")?.as_object()?;
    let subject = |(claim, value): (&String, &Value)| {
        let (provider, claim) = claim.rsplit_once(':')?;
        let value = value.as_str().filter(|value| !value.is_empty())?;
        matches!(claim, "sub" | "user_id" | "id").then(|| format!("{provider}:{value}"))
    };
    claims.iter().find_map(subject).map(Cow::Owned)
}

/// What the credentials were issued to: a function's ARN, a runtime's; else the SPIFFE id that a certificate or a token
/// named. `added`: the one that the trail added.
pub(crate) fn workload<'a>(
    identity: &UserIdentity<'a>,
    added: &dyn Fn() -> Option<String>,
) -> Option<Cow<'a, str>> {
    let named = identity
        .workload()
        .or_else(|| identity.source_identity().and_then(spiffe_id))
        .or_else(|| identity.user_name().and_then(spiffe_id));
    named.map(Cow::Borrowed).or_else(|| added().map(Cow::Owned))
}

/// The SPIFFE id in a text: Roles Anywhere takes it from the certificate, as `URI=spiffe://example.org/agent` or alone.
/// <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>
pub fn spiffe_id(text: &str) -> Option<&str> {
    const SCHEME: &str = "spiffe://";
    // The standard's own bound.
    const BYTES_MAX: usize = 2_048;
    let id = text.get(text.find(SCHEME)?..)?;
    let end = id.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'')).unwrap_or(id.len());
    id.get(..end).filter(|id| id.len() > SCHEME.len() && id.len() <= BYTES_MAX)
}

/// `AROA...:session` in two; ids of web and SAML identities have colons of their own and stay whole.
fn id_and_session<'a>(kind: &str, principal: Option<&'a str>) -> (Option<&'a str>, Option<&'a str>) {
    let Some(principal) = principal else { return (None, None) };
    if matches!(
        kind,
        "WebIdentityUser" | "SAMLUser" | "IdentityCenterUser" | "FederatedUser" | "Directory" | "Unknown"
    ) {
        return (Some(principal), None);
    }
    let colon = memchr::memchr(b':', principal.as_bytes());
    match colon.and_then(|at| principal.split_at_checked(at)) {
        Some((id, session)) => (some(id), session.get(1..).and_then(some)),
        None => (Some(principal), None),
    }
}

/// `arn:aws:iam::ACCOUNT:role/NAME` for `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`. The role's path, which a
/// session does not tell, is left out.
pub fn role_of_session(arn: &str) -> Option<String> {
    // Asked of every user's call: one look for its colons says that it is none.
    let (head, resource) = arn.split_at_checked(memchr::memchr_iter(b':', arn.as_bytes()).nth(4)?)?;
    let name = resource.strip_prefix(":assumed-role/")?;
    let name = name.split('/').next().filter(|name| !name.is_empty())?;
    let mut parts = head.strip_prefix("arn:")?.split(':');
    let (Some(partition), Some("sts"), Some(""), Some(account), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some(["arn:", partition, ":iam::", account, ":role/", name].concat())
}

/// The session's name in the ARN of an assumed role or a federated user.
fn session_of_arn(arn: &str) -> Option<&str> {
    let resource = arn.get(memchr::memchr_iter(b':', arn.as_bytes()).nth(4)? + 1..)?;
    if let Some(rest) = resource.strip_prefix("assumed-role/") {
        return rest.split_once('/').and_then(|(_, session)| some(session));
    }
    resource.strip_prefix("federated-user/").and_then(some)
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub(crate) fn credential_kind(record: &Record<'_>, identity: &UserIdentity<'_>) -> Option<&'static str> {
    let kind = identity.kind();
    let key = identity.access_key_id().unwrap_or_default();
    if kind == "AWSService" {
        return Some("service");
    }
    if identity.account_id().is_some_and(is_anonymous) {
        return Some("anonymous");
    }
    let console =
        record.is_from_console() || record.event_type().is_some_and(|event| event.starts_with("AwsConsole"));
    if console {
        return Some("console");
    }
    match key.get(..4) {
        // A short-lived one is made of a session's credentials, and logged with the session's key.
        kind if kind != Some("ASIA") && (kind == Some("ABSK") || is_bearer_of_bedrock(record)) => {
            Some("bedrock_api_key")
        }
        Some("AKIA") => Some("long_lived"),
        Some("ASIA") => Some("temporary"),
        _ if matches!(kind, "WebIdentityUser" | "SAMLUser" | "IdentityCenterUser") => Some("federated"),
        _ => None,
    }
}

/// Whether the call carried an API key of Bedrock in the place of a signature.
/// <https://aws.amazon.com/blogs/security/securing-amazon-bedrock-api-keys-best-practices-for-implementation-and-management/>
fn is_bearer_of_bedrock(record: &Record<'_>) -> bool {
    const BEARER: &str = "callWithBearerToken";
    if !record.event_source().is_some_and(|service| service.starts_with("bedrock")) {
        return false;
    }
    let Some(told) = record.additional().filter(|told| told.contains(BEARER)) else { return false };
    let told: Option<Value> = serde_json::from_str(told).ok();
    told.and_then(|told| match told.get(BEARER)? {
        Value::Bool(is) => Some(*is),
        Value::String(is) => Some(is.eq_ignore_ascii_case("true")),
        _ => None,
    }) == Some(true)
}

#[cfg(test)]
mod tests;
