//! What `aws iam get-account-authorization-details` prints

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::account::{Principal, PrincipalKind, PrincipalName, Written};
use super::history::History;
use crate::manifest::UnparsedPolicy;
use crate::permission::percent_decoded;
use policy::aws::{Policy, PolicyError};

/// The file's JSON, if it is such an export.
pub(super) fn parse(text: &str) -> Option<Value> {
    // A plain document has none of these words; so most files are parsed once only.
    const LISTS: [&str; 4] = ["UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"];
    if !LISTS.iter().any(|list| text.contains(list)) {
        return None;
    }
    let export: Value = serde_json::from_str(text).ok()?;
    LISTS.iter().any(|list| export.get(list).is_some_and(Value::is_array)).then_some(export)
}

/// Takes an export's users, groups, roles and managed policies in.
pub(super) fn read(export: &Value, file: &str, history: &mut History, unparsed: &mut Vec<UnparsedPolicy>) {
    let mut reading = Reading { file, history, unparsed };
    for policy in list(export, "Policies") {
        reading.managed(policy);
    }
    // A group's ARN tells its account; older exports of parts leave it out, and then its users' account is taken.
    let account = list(export, "UserDetailList")
        .first()
        .and_then(|user| PrincipalName::of(text(user, "Arn")))
        .map(|user| user.account)
        .unwrap_or_default();
    for group in list(export, "GroupDetailList") {
        let name = PrincipalName::of(text(group, "Arn")).unwrap_or_else(|| PrincipalName {
            account: account.clone(),
            kind: PrincipalKind::Group,
            name: text(group, "GroupName").to_owned(),
        });
        reading.hold(name, group, "GroupPolicyList", text(group, "GroupName"));
    }
    for (kind, inline) in [("UserDetailList", "UserPolicyList"), ("RoleDetailList", "RolePolicyList")] {
        for detail in list(export, kind) {
            let arn = text(detail, "Arn");
            let Some(name) = PrincipalName::of(arn) else { continue };
            reading.hold(name, detail, inline, arn);
        }
    }
}

struct Reading<'a> {
    file: &'a str,
    history: &'a mut History,
    unparsed: &'a mut Vec<UnparsedPolicy>,
}

impl Reading<'_> {
    fn managed(&mut self, detail: &Value) {
        let arn = text(detail, "Arn");
        let versions = list(detail, "PolicyVersionList");
        let is_default = |version: &&Value| version.get("IsDefaultVersion") == Some(&Value::Bool(true));
        let default = versions.iter().find(is_default).map(|version| text(version, "VersionId"));
        let policy = self.history.managed(arn);
        policy.default = Some(default.unwrap_or_else(|| text(detail, "DefaultVersionId")).to_owned());
        for version in versions {
            let read = match version.get("Document") {
                Some(written) => told(document(arn, written)),
                None => Err("the export does not hold the document".into()),
            };
            policy.versions.insert(text(version, "VersionId").to_owned(), read);
        }
    }

    /// One user, group or role.
    fn hold(&mut self, name: PrincipalName, detail: &Value, inline: &str, subject: &str) {
        let mut principal = Principal {
            arn: Some(text(detail, "Arn").to_owned()).filter(|arn| !arn.is_empty()),
            tags: detail.get("Tags").and_then(Value::as_array).map(|tags| pairs(tags)),
            boundary: detail
                .get("PermissionsBoundary")
                .map(|boundary| text(boundary, "PermissionsBoundaryArn").to_owned()),
            ..Principal::default()
        };
        for policy in list(detail, inline) {
            let name = text(policy, "PolicyName");
            let read = told(document(name, policy.get("PolicyDocument").unwrap_or(&Value::Null)));
            if let Err(reason) = &read {
                self.unread(subject, name, reason);
            }
            principal.inline.insert(name.to_owned(), read);
        }
        for attached in list(detail, "AttachedManagedPolicies") {
            principal.attached.insert(text(attached, "PolicyArn").to_owned());
        }
        for arn in principal.attached.iter().chain(&principal.boundary) {
            if !self.history.has_managed(arn) {
                self.unread(subject, arn, "the export does not hold the policy: print it without `--filter`");
            } else if let Err(reason) = self.history.managed(arn).document() {
                self.unread(subject, arn, &reason);
            }
        }
        for group in list(detail, "GroupList").iter().filter_map(Value::as_str) {
            principal.groups.insert(group.to_owned());
            let known = PrincipalName {
                account: name.account.clone(),
                kind: PrincipalKind::Group,
                name: group.to_owned(),
            };
            if !self.history.has_principal(&known) {
                self.unread(subject, &format!("group {group}"), "the export does not hold the group");
            }
        }
        *self.history.principal(name) = principal;
    }

    fn unread(&mut self, subject: &str, policy: &str, reason: &str) {
        let reason = format!("policy `{policy}`: {reason}");
        self.unparsed.push(UnparsedPolicy {
            subject: subject.to_owned(),
            file: self.file.to_owned(),
            reason,
        });
    }
}

fn told(read: Result<Policy, PolicyError>) -> Written {
    read.map(Arc::new).map_err(|error| format!("{}: {}", error.place, error.reason))
}

fn pairs(tags: &[Value]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (text(tag, "Key").to_owned(), text(tag, "Value").to_owned())).collect()
}

/// The CLI prints documents as objects, SDKs as text, the API percent-encoded.
fn document(name: &str, written: &Value) -> Result<Policy, PolicyError> {
    match written {
        Value::String(text) if text.trim_start().starts_with('{') => Policy::parse(name, text),
        Value::String(text) => Policy::parse(name, &percent_decoded(text)),
        object => Policy::from_json(name, object),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
