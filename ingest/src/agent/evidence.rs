//! What tells that an agent made a call: graded, never a yes or no

use serde_json::{Map, Value};

use crate::formats::cloudtrail::record::Record;
use crate::formats::cloudtrail::row::Row;

use super::spiffe_id;

/// The host by which the cloud's own MCP server calls, and its kind of event.
/// <https://docs.aws.amazon.com/agent-toolkit/latest/userguide/logging-using-cloudtrail.html>
pub const MCP_HOST: &str = "aws-mcp.amazonaws.com";
const MCP_EVENT: &str = "AwsMcpEvent";

/// Longest addition to an event that is read, and its tags that are looked at.
const ADDED_BYTES_MAX: usize = 128 * 1024;
const TAGS_MAX: usize = 64;

/// Tags by which people tell that a session is an agent's, in lower case, letters and digits only.
const AGENT_TAGS: &[&str] =
    &["agent", "agentid", "agentname", "agenttype", "aiagent", "aiagentid", "aiagentname"];

/// What makes a call look like an agent's: (hint, evidence), the strongest evidence first.
///
/// `cloud` is the provider's own mark, `workload` what the credentials were issued to, `session` what whoever began the
/// session fixed for all of it, `name` and `client` the caller's own words and easily forged: a reason to look, never a
/// proof.
pub(crate) fn agent_hint(row: &Row<'_>) -> Option<(&'static str, &'static str)> {
    let added = Added::of(row.record());
    let invoked_by = row.invoked_by().unwrap_or_default();
    if invoked_by == MCP_HOST || row.event_type() == Some(MCP_EVENT) || added.via_mcp {
        return Some(("mcp", "cloud"));
    }
    match invoked_by {
        "bedrock-agentcore.amazonaws.com" => return Some(("bedrock-agentcore", "cloud")),
        "bedrock.amazonaws.com" => return Some(("bedrock", "cloud")),
        _ => {}
    }
    let issued_to_agentcore =
        |text: &str| text.contains("bedrock-agentcore") || text.contains("BedrockAgentCore");
    let workloads = [row.workload(), row.actor(), row.source_ip()];
    if workloads.into_iter().flatten().any(issued_to_agentcore) {
        return Some(("bedrock-agentcore", "workload"));
    }
    if let Some(hint) = added.tagged.or_else(|| row.source_identity().and_then(client)) {
        return Some((hint, "session"));
    }
    if let Some(hint) = row.session_name().and_then(client) {
        return Some((hint, "name"));
    }
    row.user_agent().and_then(client).map(|hint| (hint, "client"))
}

/// What the trail was told to add to its events, as far as it tells who acts.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-context-events.html>
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// The cloud's own MCP server made the call.
    pub via_mcp: bool,
    /// A tag of the caller's tells an agent.
    pub tagged: Option<&'static str>,
}

/// What the trail added to an event, if its text is of interest.
fn told(record: &Record<'_>, is_of_interest: impl Fn(&str) -> bool) -> Option<Map<String, Value>> {
    let told = record.event_context().filter(|told| told.len() <= ADDED_BYTES_MAX && is_of_interest(told))?;
    serde_json::from_str(told).ok()
}

/// The caller's tags among what was added.
fn tags(told: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let tags = told.get("tagContext").and_then(|tags| tags.get("principalTags")?.as_object());
    let tags = tags.into_iter().flatten().take(TAGS_MAX);
    tags.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// The SPIFFE id of the certificate that began the session. Roles Anywhere gives the certificate's names as tags:
/// `x509SAN/URI`.
/// <https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html>
pub(super) fn spiffe_of_certificate(record: &Record<'_>) -> Option<String> {
    const CERTIFICATE: &str = "x509";
    let told = told(record, |told| told.contains(CERTIFICATE))?;
    let mut names = tags(&told).filter(|(key, _)| key.contains(CERTIFICATE));
    names.find_map(|(_, value)| spiffe_id(value)).map(str::to_owned)
}

impl Added {
    pub(super) fn of(record: &Record<'_>) -> Added {
        let told = told(record, |told| told.contains("MCP") || told.contains("rincipalTags"));
        let Some(told) = told else { return Added::default() };
        let agents = tags(&told).filter(|(key, value)| is_agent_tag(key) && !value.is_empty());
        Added {
            via_mcp: told.get("requestContext").and_then(Value::as_object).is_some_and(is_via_mcp),
            tagged: agents.last().map(|(_, value)| client(value).unwrap_or("tagged")),
        }
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
fn is_via_mcp(context: &Map<String, Value>) -> bool {
    let is = |value: &Value, wanted: &str| match value {
        Value::String(text) => text.eq_ignore_ascii_case(wanted),
        Value::Array(all) => all.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    };
    context.iter().any(|(key, value)| match key.as_str() {
        "aws:ViaAWSMCPService" => value.as_bool() == Some(true) || is(value, "true"),
        "aws:CalledViaAWSMCP" => is(value, MCP_HOST),
        _ => false,
    })
}

fn is_agent_tag(key: &str) -> bool {
    let key = key.strip_prefix("aws:PrincipalTag/").unwrap_or(key);
    let plain: String =
        key.bytes().filter(u8::is_ascii_alphanumeric).map(|b| char::from(b.to_ascii_lowercase())).collect();
    AGENT_TAGS.contains(&plain.as_str())
}

/// Words by which agent clients name themselves, as whole words: `cursor` but not `precursor`. [`client`] and
/// [`may_name_client`] know their first letters.
pub(super) const CLIENTS: &[(&str, &str)] = &[
    ("claude-code", "claude-code"),
    ("claude_code", "claude-code"),
    ("claudecode", "claude-code"),
    ("kiro", "kiro"),
    ("amazon-q", "amazon-q"),
    ("amazonq", "amazon-q"),
    ("cursor", "cursor"),
    ("codex", "codex"),
    ("gemini-cli", "gemini-cli"),
    ("windsurf", "windsurf"),
    ("mcp", "mcp"),
];

/// Every client that [`client`] knows, each once.
#[must_use]
pub fn clients() -> Vec<&'static str> {
    let mut known: Vec<&str> = CLIENTS.iter().map(|(_, client)| *client).collect();
    known.dedup();
    known
}

/// The agent client that `text` names, in any case, with no letter or digit next to the name: `claude-code`. What only
/// says that tools are called (`mcp`) gives way to a client that stands beside it.
#[must_use]
pub fn client(text: &str) -> Option<&'static str> {
    let text = text.as_bytes();
    if !may_name_client(text) {
        return None;
    }
    let letter = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let mut before = false;
    let mut vague = None;
    for (at, byte) in text.iter().enumerate() {
        // Asked for every event: most bytes are passed over without a comparison.
        let starts = !before && matches!(byte | 0x20, b'a' | b'c' | b'g' | b'k' | b'm' | b'w');
        before = byte.is_ascii_alphanumeric();
        if !starts {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let stands = |word: &str| {
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
                && !letter(at + word.len())
        };
        match CLIENTS.iter().find(|(word, _)| stands(word)) {
            Some((_, "mcp")) => vague = Some("mcp"),
            Some((_, hint)) => return Some(hint),
            None => {}
        }
    }
    vague
}

/// Whether three characters in a row are of one of [`CLIENTS`]. Asked for every event: no branches, so that the compiler
/// takes many bytes at a time.
fn may_name_client(text: &[u8]) -> bool {
    let (second, third) = (text.get(1..).unwrap_or_default(), text.get(2..).unwrap_or_default());
    let found = text.iter().zip(second).zip(third).fold(0, |found, ((a, b), c)| {
        let three = [a | 0x20, b | 0x20, c | 0x20];
        let is = |word: &[u8; 3]| {
            u8::from(three[0] == word[0]) & u8::from(three[1] == word[1]) & u8::from(three[2] == word[2])
        };
        found
            | is(b"cla")
            | is(b"cur")
            | is(b"dex")
            | is(b"dsu")
            | is(b"gem")
            | is(b"kir")
            | is(b"mcp")
            | is(b"n-q")
            | is(b"onq")
    });
    found != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_is_passed_over() {
        for (word, known) in CLIENTS {
            assert_eq!(client(&format!("x {} y", word.to_uppercase())), Some(*known));
        }
    }
}
