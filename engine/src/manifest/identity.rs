//! One way to recognise an agent

use std::fmt;

use super::reader::Reader;
use super::yaml::{Entry, Node};
use super::{Identity, Signs};
use policy::arn::Arn;

/// An identity of an agent that is no role or user of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// What it is the id of
    pub kind: PrincipalKind,
    /// Ids of Azure and e-mail addresses in lower case, all else as written
    pub id: String,
}

/// What a principal's id is the id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// The object id of an Entra agent identity
    AzureAgent,
    /// The application (client) id of an app registration
    AzureApp,
    /// The object id of a service principal, managed identity or user
    AzurePrincipal,
    /// The e-mail address of a service account in Google Cloud
    ServiceAccount,
    /// A SPIFFE id: of the certificate or the token by which a session began
    Spiffe,
}

impl PrincipalKind {
    /// The manifest's key: `azure.agent_identity`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            PrincipalKind::AzureAgent => "azure.agent_identity",
            PrincipalKind::AzureApp => "azure.app",
            PrincipalKind::AzurePrincipal => "azure.principal",
            PrincipalKind::ServiceAccount => "gcp.service_account",
            PrincipalKind::Spiffe => "spiffe",
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.key(), self.id)
    }
}

/// The id that a log's actor is compared by: logs write a service account as `serviceAccount:a@b`, and behind workload
/// identity as the last part of `principal://...`.
/// <https://cloud.google.com/iam/docs/principal-identifiers>
pub(super) fn id_of(actor: &str) -> String {
    let bare = actor.strip_prefix("serviceAccount:").unwrap_or(actor);
    let bare = bare.rsplit_once("/serviceAccounts/").map_or(bare, |(_, email)| email);
    bare.to_ascii_lowercase()
}

const PRINCIPALS: [PrincipalKind; 5] = [
    PrincipalKind::AzureAgent,
    PrincipalKind::AzureApp,
    PrincipalKind::AzurePrincipal,
    PrincipalKind::ServiceAccount,
    PrincipalKind::Spiffe,
];

const IDENTITY: &[&str] = &[
    "aws.role",
    "aws.user",
    "session",
    "accounts",
    "workload",
    "source_identity",
    "client",
    "via",
    "azure.agent_identity",
    "azure.app",
    "azure.principal",
    "blueprint",
    "gcp.service_account",
    "spiffe",
];

/// One entry of `identities`: what it says of AWS, and of the rest. Neither where it is wrong.
pub(super) fn identity(reader: &mut Reader<'_>, item: &Node) -> (Option<Identity>, Vec<Principal>) {
    let place = "spec.identities";
    let (mut arn, mut session, mut accounts, mut user) = (None, None, Vec::new(), false);
    let mut signs = Signs::default();
    let mut principals = Vec::new();
    let faults = reader.errors.len();
    for field in reader.map(item, place, IDENTITY) {
        match field.key.as_str() {
            "aws.role" | "aws.user" => {
                let Some(text) = reader.text(&field.value, &field.key) else { continue };
                user = field.key == "aws.user";
                let kind = if user { "user/" } else { "role/" };
                let fits = Arn::parse(&text)
                    .is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with(kind));
                if !fits {
                    let help = if user {
                        "arn:aws:iam::111122223333:user/NAME"
                    } else {
                        "arn:aws:iam::111122223333:role/NAME"
                    };
                    reader.error(field.value.line, format!("`{text}` is no {} ARN. Write it like `{help}`, with its path; sessions go into `session`", kind.trim_end_matches('/')));
                    continue;
                }
                if arn.replace(text).is_some() {
                    reader.error(field.line, "one identity names one role or one user: make it two entries");
                }
            }
            "session" => session = reader.text(&field.value, "session"),
            "accounts" => {
                accounts = reader
                    .texts(&field.value, "accounts")
                    .into_iter()
                    .map(|(line, text)| account(reader, line, text))
                    .collect()
            }
            "workload" => signs.workload = reader.text(&field.value, "workload"),
            "source_identity" => signs.source_identity = reader.text(&field.value, "source_identity"),
            "client" => signs.client = known_client(reader, field),
            "via" => signs.via_mcp = is_mcp(reader, field),
            "blueprint" => {
                reader.text(&field.value, &field.key);
            }
            key => principals.extend(principal(reader, field, key)),
        }
    }
    let Some(arn) = arn else {
        if principals.is_empty() && reader.errors.len() == faults {
            let keys: Vec<String> = PRINCIPALS.iter().map(|kind| format!("`{}`", kind.key())).collect();
            reader
                .error(item.line, format!("an identity needs `aws.role`, `aws.user`, {}", keys.join(" or ")));
        } else if session.is_some() || !accounts.is_empty() {
            reader.error(item.line, "`session` and `accounts` go with `aws.role` and `aws.user` only");
        } else if signs != Signs::default() {
            let keys = "`workload`, `source_identity`, `client` and `via`";
            reader.error(item.line, format!("{keys} go with `aws.role` and `aws.user` only"));
        }
        return (None, principals);
    };
    if user && session.is_some() {
        reader.error(item.line, "a user has no session name: `session` goes with `aws.role`");
    }
    (Some(Identity { arn, session, accounts, tag: None, signs }), principals)
}

/// An agent client that user agents name.
fn known_client(reader: &mut Reader<'_>, field: &Entry) -> Option<String> {
    let text = reader.text(&field.value, "client")?;
    if ingest::agent::client(&text) == Some(text.as_str()) {
        return Some(text);
    }
    let known = ingest::agent::clients().join(", ");
    reader.error(field.value.line, format!("unknown client `{text}`. Known clients: {known}"));
    None
}

fn is_mcp(reader: &mut Reader<'_>, field: &Entry) -> bool {
    let text = reader.text(&field.value, "via");
    let is_mcp = text.as_deref() == Some("mcp");
    if let Some(text) = text.filter(|_| !is_mcp) {
        reader.error(field.value.line, format!("unknown way `{text}` in `via`. Known: mcp"));
    }
    is_mcp
}

fn principal(reader: &mut Reader<'_>, field: &Entry, key: &str) -> Option<Principal> {
    let kind = PRINCIPALS.into_iter().find(|kind| kind.key() == key)?;
    let id = reader.text(&field.value, key)?;
    let line = field.value.line;
    match kind {
        PrincipalKind::Spiffe if !id.starts_with("spiffe://") => {
            reader.error(line, format!("`{id}` is no SPIFFE id. Write it like `spiffe://example.org/agent`"));
            return None;
        }
        PrincipalKind::Spiffe => return Some(Principal { kind, id }),
        PrincipalKind::ServiceAccount if !is_email(&id) => {
            let help = "Write it in full, like `agent@project.iam.gserviceaccount.com`";
            reader.error(line, format!("`{id}` in `{key}` is no service account's e-mail address. {help}"));
            return None;
        }
        PrincipalKind::AzureAgent | PrincipalKind::AzureApp | PrincipalKind::AzurePrincipal
            if !is_uuid(&id) =>
        {
            let help = "Write it like `6f1d2c3b-0000-4000-8000-5a5a5a5a5a5a`";
            reader.error(line, format!("`{id}` in `{key}` is no id of Entra. {help}"));
            return None;
        }
        _ => {}
    }
    Some(Principal { kind, id: id.to_ascii_lowercase() })
}

fn is_email(text: &str) -> bool {
    let plain = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'+' | b':'))
    };
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && plain(name) && plain(host) && host.contains('.') && !host.starts_with('.')
    })
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Twelve digits; YAML takes the zeros from the front of a number.
fn account(reader: &mut Reader<'_>, line: u64, text: String) -> String {
    if text.is_empty() || text.len() > 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
        reader.error(line, format!("`{text}` is no account id: it has twelve digits"));
    }
    format!("{text:0>12}")
}

#[cfg(test)]
mod tests;
