//! What `aws iam get-account-authorization-details` prints

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Grants, Holder};
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

/// Takes an export's users and roles in. Its groups and managed policies are known to it alone.
pub(super) fn read(export: &Value, file: &str, grants: &mut Grants) {
    let mut reading = Reading { file, managed: HashMap::new(), groups: HashMap::new(), grants };
    for policy in list(export, "Policies") {
        reading.managed(policy);
    }
    for group in list(export, "GroupDetailList") {
        let mut holder = Holder::default();
        let name = text(group, "GroupName");
        reading.hold(&mut holder, group, "GroupPolicyList", name);
        reading.groups.insert(name.to_owned(), holder);
    }
    for user in list(export, "UserDetailList") {
        let mut holder = Holder::default();
        let arn = text(user, "Arn");
        reading.hold(&mut holder, user, "UserPolicyList", arn);
        for group in list(user, "GroupList").iter().filter_map(Value::as_str) {
            match reading.groups.get(group) {
                Some(held) => {
                    holder.policies.extend(held.policies.iter().cloned());
                    holder.unread.extend(held.unread.iter().cloned());
                }
                None => reading.unread(
                    &mut holder,
                    arn,
                    &format!("group {group}"),
                    "the export does not hold the group".into(),
                ),
            }
        }
        reading.bound(&mut holder, user, arn);
        reading.grants.holders.insert(arn.to_owned(), holder);
    }
    for role in list(export, "RoleDetailList") {
        let mut holder = Holder::default();
        let arn = text(role, "Arn");
        reading.hold(&mut holder, role, "RolePolicyList", arn);
        reading.bound(&mut holder, role, arn);
        reading.grants.holders.insert(arn.to_owned(), holder);
    }
}

struct Reading<'a> {
    file: &'a str,
    managed: HashMap<String, Result<Arc<Policy>, String>>,
    groups: HashMap<String, Holder>,
    grants: &'a mut Grants,
}

impl Reading<'_> {
    /// The default version of a managed policy.
    fn managed(&mut self, policy: &Value) {
        let arn = text(policy, "Arn");
        let wanted = text(policy, "DefaultVersionId");
        let versions = list(policy, "PolicyVersionList");
        let default =
            versions.iter().find(|version| version.get("IsDefaultVersion") == Some(&Value::Bool(true)));
        let default =
            default.or_else(|| versions.iter().find(|version| text(version, "VersionId") == wanted));
        let read = match default.and_then(|version| version.get("Document")) {
            Some(written) => document(arn, written)
                .map(Arc::new)
                .map_err(|error| format!("{}: {}", error.place, error.reason)),
            None => Err("the export does not hold its default version".into()),
        };
        self.managed.insert(arn.to_owned(), read);
    }

    /// Inline and attached policies.
    fn hold(&mut self, holder: &mut Holder, detail: &Value, inline: &str, subject: &str) {
        for policy in list(detail, inline) {
            let name = text(policy, "PolicyName");
            match document(name, policy.get("PolicyDocument").unwrap_or(&Value::Null)) {
                Ok(policy) => holder.policies.push(Arc::new(policy)),
                Err(error) => {
                    self.unread(holder, subject, name, format!("{}: {}", error.place, error.reason))
                }
            }
        }
        for attached in list(detail, "AttachedManagedPolicies") {
            let arn = text(attached, "PolicyArn");
            match self.attached(arn) {
                Ok(policy) => holder.policies.push(policy),
                Err(reason) => self.unread(holder, subject, arn, reason),
            }
        }
    }

    fn bound(&mut self, holder: &mut Holder, detail: &Value, subject: &str) {
        let Some(boundary) = detail.get("PermissionsBoundary") else { return };
        let arn = text(boundary, "PermissionsBoundaryArn");
        match self.attached(arn) {
            Ok(policy) => holder.boundary = Some(vec![policy]),
            Err(reason) => self.unread(holder, subject, arn, reason),
        }
    }

    fn attached(&self, arn: &str) -> Result<Arc<Policy>, String> {
        self.managed
            .get(arn)
            .cloned()
            .unwrap_or_else(|| Err("the export does not hold the policy: print it without `--filter`".into()))
    }

    fn unread(&mut self, holder: &mut Holder, subject: &str, policy: &str, reason: String) {
        holder.unread.push(policy.to_owned());
        let reason = format!("policy `{policy}`: {reason}");
        self.grants.unparsed.push(UnparsedPolicy {
            subject: subject.to_owned(),
            file: self.file.to_owned(),
            reason,
        });
    }
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
