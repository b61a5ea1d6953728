//! Which cloud a file of the folder was exported from, where it is not AWS

use serde_json::Value;

use super::azure::{self, AzureGrants};
use super::gcp::GcpGrants;
use crate::manifest::UnparsedPolicy;

/// A file of either cloud holds one of these; so AWS documents are not parsed for nothing.
const WORDS: &[&str] = &[
    "roleDefinition",
    "assignableScopes",
    "AssignableScopes",
    "denyAssignment",
    "managementGroups",
    "displayName",
    "bindings",
    "includedPermissions",
    "denyRule",
    "denypolicies",
    "iamPolicy",
    "roles/",
    "projectId",
    "preferredMemberKey",
    "organization",
    "folders/",
    "etag",
    "\"principalId\"",
    "\"value\"",
];

/// Takes the file in where it is an export of Azure or Google Cloud, and says whether it was one.
pub(super) fn offer(
    text: &str,
    file: &str,
    azure_grants: &mut AzureGrants,
    gcp_grants: &mut GcpGrants,
    unparsed: &mut Vec<UnparsedPolicy>,
) -> bool {
    let lists_a_group = file.rsplit(['/', '\\']).next().is_some_and(|name| name.starts_with("group-"));
    if text.trim() == "[]" && !lists_a_group {
        return true;
    }
    if text.contains("\"Statement\"") || !(lists_a_group || WORDS.iter().any(|word| text.contains(word))) {
        return false;
    }
    let Ok(export) = serde_json::from_str::<Value>(text) else { return false };
    // No deny assignment, no binding: nothing was found, and that is no fault.
    if !lists_a_group && azure::items(&export).is_empty() {
        return true;
    }
    let taken = azure_grants.offer(file, &export).or_else(|| gcp_grants.offer(file, &export));
    match taken {
        None => false,
        Some(Ok(())) => true,
        Some(Err(reason)) => {
            unparsed.push(UnparsedPolicy { subject: file.to_owned(), file: file.to_owned(), reason });
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grant, Grants};
    use policy::azure::Plane;
    use policy::context::Context;

    #[test]
    fn one_folder_may_hold_three_clouds() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            (
                "OrderProcessor.json",
                r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#,
            ),
            (
                "azure/roles.json",
                r#"[{"name": "r1", "roleName": "Reader", "assignableScopes": ["/"], "permissions": [{"actions": ["*/read"]}]}]"#,
            ),
            (
                "azure/assigned.json",
                r#"[{"principalId": "ann", "principalType": "User", "roleDefinitionId": "r1", "scope": "/subscriptions/s"}]"#,
            ),
            ("azure/denied.json", r#"{"value": []}"#),
            (
                "gcp/project-shop.json",
                r#"{"bindings": [{"role": "roles/x", "members": ["user:ann@x.io"]}], "etag": "e"}"#,
            ),
            ("gcp/roles.json", r#"[{"name": "roles/x", "includedPermissions": ["a.b.get"]}]"#),
            ("gcp/policy.json", r#"{"bindings": [{"role": "roles/x"}]}"#),
            ("gcp/nothing.json", "[]"),
        ];
        for (file, text) in files {
            std::fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let grants = Grants::load(dir.path()).unwrap();
        assert_eq!(grants.identities(), ["OrderProcessor"]);
        let context = Context::partial();
        let azure = grants.azure.verdict(
            "ann",
            None,
            "N/t/read",
            Plane::Control,
            "/subscriptions/s/resourceGroups/r",
            &context,
        );
        assert_eq!(azure.grant, Grant::Allowed);
        // Whose the last policy is, nobody says: so nothing of this cloud is sure.
        let gcp = grants.gcp.verdict("ann@x.io", "a.b.get", "projects/shop", &[], &context);
        assert_eq!(gcp.grant, Grant::Unknown);
        assert!(
            gcp.why.starts_with("policy_unparsed: ") && gcp.why.ends_with("gcp/policy.json"),
            "{}",
            gcp.why
        );
        let unparsed: Vec<&str> = grants.unparsed.iter().map(|one| one.file.as_str()).collect();
        assert!(matches!(unparsed.as_slice(), [file] if file.ends_with("gcp/policy.json")), "{unparsed:?}");
    }
}
