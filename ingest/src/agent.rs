//! Who acted: the canonical identity behind a CloudTrail record, and what tells that an agent used it.
//!
//! Fields and their meaning:
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>

use std::borrow::Cow;

use crate::formats::cloudtrail::record::{Record, UserIdentity};

/// What a record says about its caller.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller<'a> {
    /// The role, user or service; never a session, whose name is the caller's to choose.
    pub actor: Option<Cow<'a, str>>,
    /// The unique id: `AROA...`, `AIDA...`.
    pub actor_id: Option<&'a str>,
    pub actor_account: Option<&'a str>,
    pub session: Option<&'a str>,
    pub session_name: Option<&'a str>,
    pub credential_kind: Option<&'static str>,
    pub workload: Option<&'a str>,
}

/// The caller of `record`.
pub(crate) fn caller<'a>(record: &'a Record<'a>) -> Caller<'a> {
    let Some(identity) = &record.user_identity else { return Caller::default() };
    let kind = identity.kind();
    let principal = identity.principal_id();
    let (id, principal_session) = id_and_session(kind, principal);
    let session = identity.access_key_id().filter(|key| key.starts_with("ASIA"));
    let session_name = match kind {
        "AssumedRole" | "Role" | "FederatedUser" => {
            identity.arn().and_then(session_of_arn).or(principal_session)
        }
        // A caller of another account, known by its id alone.
        "AWSAccount" => principal_session,
        _ => None,
    };
    let issuer = identity.issuer();
    Caller {
        actor: actor(identity),
        actor_id: issuer.and_then(|issuer| issuer.principal_id()).or(id),
        actor_account: issuer.and_then(|issuer| issuer.account_id()).or(account(identity)),
        session,
        session_name,
        credential_kind: credential_kind(record, identity),
        workload: identity.workload(),
    }
}

/// The account that the caller belongs to; the word for an anonymous one is no account.
pub(crate) fn account<'a>(identity: &'a UserIdentity<'a>) -> Option<&'a str> {
    identity.account_id().filter(|account| !is_anonymous(account))
}

fn is_anonymous(account: &str) -> bool {
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-understanding-s3-entries.html
    account.eq_ignore_ascii_case("ANONYMOUS_PRINCIPAL")
}

fn actor<'a>(identity: &'a UserIdentity<'a>) -> Option<Cow<'a, str>> {
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
            .or_else(|| id().or(identity.on_behalf_of()).or(identity.user_name()).map(Cow::Borrowed))
            .or_else(|| identity.account_id().map(Cow::Borrowed)),
    }
}

/// `AROA...:session` in two; ids of web and SAML identities have colons of their own and stay whole.
fn id_and_session<'a>(kind: &str, principal: Option<&'a str>) -> (Option<&'a str>, Option<&'a str>) {
    let Some(principal) = principal else { return (None, None) };
    if matches!(kind, "WebIdentityUser" | "SAMLUser" | "IdentityCenterUser" | "FederatedUser" | "Unknown") {
        return (Some(principal), None);
    }
    match principal.split_once(':') {
        Some((id, session)) => (some(id), some(session)),
        None => (Some(principal), None),
    }
}

/// `arn:aws:iam::ACCOUNT:role/NAME` for `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`. The role's path, which a
/// session does not tell, is left out.
pub fn role_of_session(arn: &str) -> Option<String> {
    let (head, name) = arn.split_once(":assumed-role/")?;
    let name = name.split('/').next().filter(|name| !name.is_empty())?;
    let (partition, account) = head.strip_prefix("arn:")?.split_once(":sts::")?;
    Some(format!("arn:{partition}:iam::{account}:role/{name}"))
}

/// The session's name in the ARN of an assumed role or a federated user.
fn session_of_arn(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    if let Some(rest) = resource.strip_prefix("assumed-role/") {
        return rest.split_once('/').and_then(|(_, session)| some(session));
    }
    resource.strip_prefix("federated-user/").and_then(some)
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn credential_kind(record: &Record<'_>, identity: &UserIdentity<'_>) -> Option<&'static str> {
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
        Some("AKIA") => Some("long_lived"),
        Some("ASIA") => Some("temporary"),
        _ if matches!(kind, "WebIdentityUser" | "SAMLUser" | "IdentityCenterUser") => Some("federated"),
        _ => None,
    }
}

/// What makes a call look like an agent's: (hint, evidence), the strongest evidence first.
///
/// `cloud` is the provider's own word, `workload` what the credentials were issued to, `name` and `client` are the
/// caller's own words and easily forged: a reason to look, never a proof.
pub(crate) fn agent_hint(record: &Record<'_>, caller: &Caller<'_>) -> Option<(&'static str, &'static str)> {
    let invoked_by =
        record.user_identity.as_ref().and_then(|identity| identity.invoked_by()).unwrap_or_default();
    if invoked_by == "aws-mcp.amazonaws.com" || record.event_type() == Some("AwsMcpEvent") {
        return Some(("mcp", "cloud"));
    }
    match invoked_by {
        "bedrock-agentcore.amazonaws.com" => return Some(("bedrock-agentcore", "cloud")),
        "bedrock.amazonaws.com" => return Some(("bedrock", "cloud")),
        _ => {}
    }
    let issued_to_agentcore =
        |text: &str| text.contains("bedrock-agentcore") || text.contains("BedrockAgentCore");
    let workloads = [caller.workload, caller.actor.as_deref(), record.source_ip()];
    if workloads.into_iter().flatten().any(issued_to_agentcore) {
        return Some(("bedrock-agentcore", "workload"));
    }
    let source_identity = record.user_identity.as_ref().and_then(|identity| identity.source_identity());
    if let Some(hint) = source_identity.and_then(client) {
        return Some((hint, "session"));
    }
    if let Some(hint) = caller.session_name.and_then(client) {
        return Some((hint, "name"));
    }
    record.user_agent().and_then(client).map(|hint| (hint, "client"))
}

/// Words by which agent clients name themselves, as whole words: `cursor` but not `precursor`. [`client`] and
/// [`may_name_client`] know their first letters.
const CLIENTS: &[(&str, &str)] = &[
    ("claude-code", "claude-code"),
    ("claude_code", "claude-code"),
    ("claudecode", "claude-code"),
    ("kiro", "kiro"),
    ("amazon-q", "amazon-q"),
    ("amazonq", "amazon-q"),
    ("cursor", "cursor"),
    ("mcp", "mcp"),
];

/// The first of [`CLIENTS`] that stands in `text`, in any case, with no letter or digit next to it.
fn client(text: &str) -> Option<&'static str> {
    let text = text.as_bytes();
    if !may_name_client(text) {
        return None;
    }
    let letter = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let mut before = false;
    for (at, byte) in text.iter().enumerate() {
        // Asked for every event: most bytes are passed over without a comparison.
        let starts = !before && matches!(byte | 0x20, b'a' | b'c' | b'k' | b'm');
        before = byte.is_ascii_alphanumeric();
        if !starts {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let stands = |word: &str| {
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
                && !letter(at + word.len())
        };
        if let Some((_, hint)) = CLIENTS.iter().find(|(word, _)| stands(word)) {
            return Some(hint);
        }
    }
    None
}

/// Whether three characters in a row are of the first or the last of one of [`CLIENTS`]. Asked for every event: no
/// branches, so that the compiler takes many bytes at a time.
fn may_name_client(text: &[u8]) -> bool {
    let (second, third) = (text.get(1..).unwrap_or_default(), text.get(2..).unwrap_or_default());
    let found = text.iter().zip(second).zip(third).fold(0, |found, ((a, b), c)| {
        let three = [a | 0x20, b | 0x20, c | 0x20];
        let is = |word: &[u8; 3]| {
            u8::from(three[0] == word[0]) & u8::from(three[1] == word[1]) & u8::from(three[2] == word[2])
        };
        found | is(b"cla") | is(b"cur") | is(b"kir") | is(b"mcp") | is(b"n-q") | is(b"onq")
    });
    found != 0
}

#[cfg(test)]
mod tests;
