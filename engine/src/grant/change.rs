//! Changes of policies, as the log tells them
//!
//! A change holds from its event's own time on. Changes are told apart by their event's id and ordered by
//! (time, id), so the same changes in any order give the same grants.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use ingest::event::EventView;

use crate::calls::Parameters;
use crate::chain::access_key;
use crate::json::Json;

use super::account::{PrincipalKind, PrincipalName};
use super::tags::Tags;

/// Policy documents of one event that are kept. AWS takes ten managed and one inline session policy.
const SESSION_POLICIES_MAX: usize = 16;
/// AWS takes 50 session tags.
const TAGS_MAX: usize = 64;
/// Longest name, ARN or tag that is kept.
const NAME_BYTES_MAX: usize = 2_048;
/// Longest document that is kept: more than any policy is.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// What narrows a session that is asked for.
const NARROWING: [&str; 3] = ["policy", "policyArns", "tags"];

/// One change. Cheap to clone: who keeps it shares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// Event time, µs UTC
    pub time: i64,
    /// The event's id
    pub event_id: Arc<str>,
    /// What changed
    pub what: Arc<Change>,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// A role, user or group was made, with nothing in it
    Create {
        /// Which
        holder: PrincipalName,
        /// Its ARN, path included
        arn: Option<String>,
        /// Its permissions boundary's ARN
        boundary: Option<String>,
        /// Its tags
        tags: Tags,
    },
    /// It was deleted
    Delete {
        /// Which
        holder: PrincipalName,
    },
    /// An inline policy was written
    Put {
        /// Whose
        holder: PrincipalName,
        /// The policy's name
        policy: String,
        /// Its document; `None` where the log leaves it out
        document: Option<Arc<str>>,
    },
    /// An inline policy was deleted
    Remove {
        /// Whose
        holder: PrincipalName,
        /// The policy's name
        policy: String,
    },
    /// A managed policy was attached
    Attach {
        /// To whom
        holder: PrincipalName,
        /// The policy's ARN
        policy: String,
    },
    /// A managed policy was detached
    Detach {
        /// From whom
        holder: PrincipalName,
        /// The policy's ARN
        policy: String,
    },
    /// The permissions boundary was set, or with `None` taken away
    Bound {
        /// Whose
        holder: PrincipalName,
        /// The policy's ARN
        policy: Option<String>,
    },
    /// A user joined a group
    Join {
        /// The user
        user: PrincipalName,
        /// The group's name
        group: String,
    },
    /// A user left a group
    Leave {
        /// The user
        user: PrincipalName,
        /// The group's name
        group: String,
    },
    /// Tags were set
    Tag {
        /// Whose
        holder: PrincipalName,
        /// What was set
        tags: Tags,
    },
    /// Tags were taken away
    Untag {
        /// Whose
        holder: PrincipalName,
        /// Their keys
        keys: Vec<String>,
    },
    /// A managed policy got a version
    Version {
        /// The policy's ARN
        policy: String,
        /// `v3`
        version: String,
        /// Its document; `None` where the log leaves it out
        document: Option<Arc<str>>,
        /// It counts from now on
        is_default: bool,
    },
    /// Another version counts
    Default {
        /// The policy's ARN
        policy: String,
        /// `v2`
        version: String,
    },
    /// A managed policy was deleted
    DeletePolicy {
        /// Its ARN
        policy: String,
    },
    /// A session began that its policies or tags narrow
    Session {
        /// The access key id that its calls carry
        session: CompactString,
        /// Documents given with it; `None` where the log leaves one out
        documents: Vec<Option<Arc<str>>>,
        /// ARNs of managed policies given with it
        policies: Vec<String>,
        /// Session tags
        tags: Tags,
    },
}

impl Change {
    /// The role, user or group that it is about; `None` for a managed policy and for a session.
    #[must_use]
    pub fn holder(&self) -> Option<&PrincipalName> {
        match self {
            Change::Create { holder, .. }
            | Change::Delete { holder }
            | Change::Put { holder, .. }
            | Change::Remove { holder, .. }
            | Change::Attach { holder, .. }
            | Change::Detach { holder, .. }
            | Change::Bound { holder, .. }
            | Change::Tag { holder, .. }
            | Change::Untag { holder, .. }
            | Change::Join { user: holder, .. }
            | Change::Leave { user: holder, .. } => Some(holder),
            Change::Version { .. }
            | Change::Default { .. }
            | Change::DeletePolicy { .. }
            | Change::Session { .. } => None,
        }
    }

    /// The policy that is written, by its name or ARN, with its document where the log has it.
    pub(super) fn written(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Change::Put { policy, document, .. } | Change::Version { policy, document, .. } => {
                Some((policy, document.as_deref()))
            }
            _ => None,
        }
    }

    /// The policy documents in it.
    pub(super) fn documents(&self) -> impl Iterator<Item = &Arc<str>> {
        let (one, several) = match self {
            Change::Put { document, .. } | Change::Version { document, .. } => (Some(document), None),
            Change::Session { documents, .. } => (None, Some(documents)),
            _ => (None, None),
        };
        one.into_iter().chain(several.into_iter().flatten()).flatten()
    }

    /// The same, to be exchanged.
    pub(super) fn documents_mut(&mut self) -> impl Iterator<Item = &mut Arc<str>> {
        let (one, several) = match self {
            Change::Put { document, .. } | Change::Version { document, .. } => (Some(document), None),
            Change::Session { documents, .. } => (None, Some(documents)),
            _ => (None, None),
        };
        one.into_iter().chain(several.into_iter().flatten()).flatten()
    }
}

impl PolicyChange {
    /// The services whose calls can change a policy, as events name them.
    pub(crate) const SERVICES: [&str; 2] = ["iam.amazonaws.com", "sts.amazonaws.com"];

    /// Whether the text of a log file may tell of a change: a quick look that spares most files a reading.
    #[must_use]
    pub fn may_be_in(log: &[u8]) -> bool {
        let has = |word: &str| memchr::memmem::find(log, word.as_bytes()).is_some();
        has("iam.amazonaws.com") || (has("AssumeRole") && (has("\"policy") || has("\"tags\"")))
    }

    /// When it counts, and what orders it among those of the same moment.
    pub(super) fn moment(&self) -> (i64, &str) {
        (self.time, &self.event_id)
    }

    /// Whether it is about one session alone: then it can be forgotten once the session is over.
    #[must_use]
    pub fn is_of_a_session(&self) -> bool {
        matches!(*self.what, Change::Session { .. })
    }

    /// The change that an event made, if it made one. Calls that failed change nothing.
    #[must_use]
    pub fn of(view: &EventView<'_>, row: usize) -> Option<PolicyChange> {
        PolicyChange::told_by(&Parameters::new(view, row))
    }

    /// The same. Most operations only look, and few tell anything in the response.
    pub(crate) fn told_by(call: &Parameters<'_, '_>) -> Option<PolicyChange> {
        let (view, row) = (call.view, call.row);
        if view.outcome(row) != Some("success") {
            return None;
        }
        let operation = view.operation(row)?;
        let what = match view.service(row)? {
            "iam.amazonaws.com" => {
                let account = view.recipient_account(row).or(view.account(row))?;
                iam(operation, account, call)?
            }
            "sts.amazonaws.com" if operation.starts_with("AssumeRole") => {
                // Most sessions carry neither, and are told apart without reading the JSON.
                let keys = view.request_keys(row);
                if keys.is_some_and(|keys| !NARROWING.iter().any(|field| keys.may_be(field))) {
                    return None;
                }
                session(call)?
            }
            _ => return None,
        };
        Some(PolicyChange { time: view.time(row)?, event_id: view.event_id(row).into(), what: what.into() })
    }
}

fn iam(operation: &str, account: &str, call: &Parameters<'_, '_>) -> Option<Change> {
    let asked = |field: &str| text(call.request(), field);
    let name =
        |kind, field: &str| Some(PrincipalName { account: account.to_owned(), kind, name: asked(field)? });
    let holder = || {
        name(PrincipalKind::Role, "roleName")
            .or_else(|| name(PrincipalKind::User, "userName"))
            .or_else(|| name(PrincipalKind::Group, "groupName"))
    };
    Some(match operation {
        "CreateRole" | "CreateUser" | "CreateGroup" => Change::Create {
            holder: holder()?,
            arn: ["role", "user", "group"]
                .into_iter()
                .find_map(|kind| text(call.response().get(kind)?, "arn")),
            boundary: asked("permissionsBoundary"),
            tags: tags(call.request()),
        },
        "DeleteRole" | "DeleteUser" | "DeleteGroup" => Change::Delete { holder: holder()? },
        "PutRolePolicy" | "PutUserPolicy" | "PutGroupPolicy" => Change::Put {
            holder: holder()?,
            policy: asked("policyName")?,
            document: document(call.request(), "policyDocument"),
        },
        "DeleteRolePolicy" | "DeleteUserPolicy" | "DeleteGroupPolicy" => {
            Change::Remove { holder: holder()?, policy: asked("policyName")? }
        }
        "AttachRolePolicy" | "AttachUserPolicy" | "AttachGroupPolicy" => {
            Change::Attach { holder: holder()?, policy: asked("policyArn")? }
        }
        "DetachRolePolicy" | "DetachUserPolicy" | "DetachGroupPolicy" => {
            Change::Detach { holder: holder()?, policy: asked("policyArn")? }
        }
        "PutRolePermissionsBoundary" | "PutUserPermissionsBoundary" => {
            Change::Bound { holder: holder()?, policy: Some(asked("permissionsBoundary")?) }
        }
        "DeleteRolePermissionsBoundary" | "DeleteUserPermissionsBoundary" => {
            Change::Bound { holder: holder()?, policy: None }
        }
        "AddUserToGroup" => {
            Change::Join { user: name(PrincipalKind::User, "userName")?, group: asked("groupName")? }
        }
        "RemoveUserFromGroup" => {
            Change::Leave { user: name(PrincipalKind::User, "userName")?, group: asked("groupName")? }
        }
        "TagRole" | "TagUser" => Change::Tag { holder: holder()?, tags: tags(call.request()) },
        "UntagRole" | "UntagUser" => Change::Untag {
            holder: holder()?,
            keys: call
                .request()
                .get("tagKeys")
                .filter(|keys| keys.is_list())?
                .items()
                .filter_map(Json::text)
                .take(TAGS_MAX)
                .map(str::to_owned)
                .collect(),
        },
        "CreatePolicy" => {
            let made = call.response().get("policy")?;
            Change::Version {
                policy: text(made, "arn")?,
                version: text(made, "defaultVersionId").unwrap_or_else(|| "v1".into()),
                document: document(call.request(), "policyDocument"),
                is_default: true,
            }
        }
        "CreatePolicyVersion" => {
            let made = call.response().get("policyVersion");
            Change::Version {
                policy: asked("policyArn")?,
                version: text(made?, "versionId")?,
                document: document(call.request(), "policyDocument"),
                is_default: call
                    .request()
                    .get("setAsDefault")
                    .or_else(|| made?.get("isDefaultVersion"))
                    .and_then(Json::flag)
                    == Some(true),
            }
        }
        "SetDefaultPolicyVersion" => {
            Change::Default { policy: asked("policyArn")?, version: asked("versionId")? }
        }
        "DeletePolicy" => Change::DeletePolicy { policy: asked("policyArn")? },
        _ => return None,
    })
}

fn session(call: &Parameters<'_, '_>) -> Option<Change> {
    let request = call.request();
    if !NARROWING.iter().any(|field| request.get(field).is_some()) {
        return None;
    }
    let documents = match request.get("policy").filter(|told| !told.is_null()) {
        None => Vec::new(),
        Some(_) => vec![document(request, "policy")],
    };
    let arns = request.get("policyArns").into_iter().flat_map(Json::items);
    let arn = |one: Json<'_>| one.text().map(str::to_owned).or_else(|| text(one, "arn"));
    let policies = arns.take(SESSION_POLICIES_MAX).filter_map(arn).collect();
    let session = access_key(call.response()).filter(|key| is_name(key))?.into();
    Some(Change::Session { session, documents, policies, tags: tags(request) })
}

/// `[{key, value}]`, or a map.
fn tags(request: Json<'_>) -> Tags {
    let Some(tags) = request.get("tags") else { return Tags::default() };
    let listed = tags.items().take(TAGS_MAX);
    let listed = listed.filter_map(|tag| Some((name(tag, "key")?, name(tag, "value").unwrap_or_default())));
    let mapped = tags.members().take(TAGS_MAX);
    listed.chain(mapped.filter_map(|(key, value)| Some((key, value.text()?)))).collect()
}

fn text(value: Json<'_>, field: &str) -> Option<String> {
    name(value, field).map(str::to_owned)
}

fn name<'a>(value: Json<'a>, field: &str) -> Option<&'a str> {
    value.get(field)?.text().filter(|text| is_name(text))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX
}

fn document(value: Json<'_>, field: &str) -> Option<Arc<str>> {
    let told = value.get(field)?;
    match told.text() {
        Some(text) => (text.len() <= DOCUMENT_BYTES_MAX).then(|| text.into()),
        // Spelled in one way, so that the same one is known again.
        None if told.is_map() => {
            serde_json::from_str::<Value>(told.written()).ok().map(|object| object.to_string().into())
        }
        None => None,
    }
}

#[cfg(test)]
mod tests;
