//! Permissions of Azure and Google Cloud by what they do, told by their words
//!
//! Neither cloud publishes a grade for each permission as AWS does, but both build them of a thing and a verb:
//! <https://learn.microsoft.com/azure/role-based-access-control/role-definitions#actions-format>,
//! <https://cloud.google.com/iam/docs/permissions-reference>

use super::AccessLevel;

/// What a permission does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Graded {
    pub(super) level: AccessLevel,
    pub(super) is_destructive: bool,
    pub(super) is_credential_minting: bool,
    pub(super) is_logging_tamper: bool,
}

/// The grade of an Azure operation or a Google Cloud permission; `None` for AWS's, which alone have a colon.
pub(super) fn of(permission: &str) -> Option<Graded> {
    if permission.contains(':') {
        return None;
    }
    let lower = permission.to_ascii_lowercase();
    if lower.contains('/') {
        return Some(azure(&lower));
    }
    lower.contains('.').then(|| gcp(&lower))
}

/// Things whose deletion loses no data and takes no service away.
const AZURE_HARMLESS: &[&str] =
    &["microsoft.resources/deployments/", "microsoft.resources/tags/", "microsoft.insights/alertrules/"];

/// What may blind those who watch, once it is deleted.
const AZURE_WATCHING: &[&str] = &[
    "microsoft.insights/diagnosticsettings/",
    "microsoft.insights/logprofiles/",
    "microsoft.insights/activitylogalerts/",
    "microsoft.insights/datacollectionrules/",
    "microsoft.network/networkwatchers/",
    "microsoft.operationalinsights/workspaces/",
    "microsoft.securityinsights/",
    "microsoft.eventhub/namespaces/",
];

/// Actions that hand out what stands for the account.
const AZURE_KEYS: &[&str] = &[
    "listkeys",
    "listkey",
    "listaccountsas",
    "listservicesas",
    "regeneratekey",
    "listcredentials",
    "listclusteradmincredential",
    "listclusterusercredential",
    "listconnectionstrings",
    "listsecrets",
    "generateuserdelegationkey",
    "publishxml",
    "listadminkeys",
    "createquerykey",
];

fn azure(operation: &str) -> Graded {
    let (head, verb) = operation.rsplit_once('/').unwrap_or(("", operation));
    let action = head.rsplit('/').next().unwrap_or_default();
    let begins = |starts: &[&str]| starts.iter().any(|start| operation.starts_with(start));
    let about_rights = operation.starts_with("microsoft.authorization/")
        || head.ends_with("/accesspolicies")
        || operation.starts_with("microsoft.keyvault/") && head.ends_with("/accesspolicies");
    let is_key = verb == "action" && AZURE_KEYS.contains(&action)
        || verb == "write" && head.ends_with("/federatedidentitycredentials");
    let reads = verb == "read"
        || verb == "action"
            && !is_key
            && ["list", "get", "read", "check", "validate", "query", "search", "whatif"]
                .iter()
                .any(|word| action.starts_with(word));
    let level = if reads {
        AccessLevel::Read
    } else if about_rights {
        AccessLevel::Permissions
    } else if operation.starts_with("microsoft.resources/tags/") || head.ends_with("/tags") {
        AccessLevel::Tagging
    } else {
        AccessLevel::Write
    };
    let deletes = verb == "delete" || verb == "action" && matches!(action, "purge" | "delete" | "wipe");
    Graded {
        level,
        is_destructive: deletes && level == AccessLevel::Write && !begins(AZURE_HARMLESS),
        is_credential_minting: is_key,
        is_logging_tamper: verb == "delete" && begins(AZURE_WATCHING),
    }
}

/// Whoever gets one of these holds a credential of somebody.
const GCP_KEYS: &[&str] = &[
    "iam.serviceaccountkeys.create",
    "iam.serviceaccountkeys.upload",
    "iam.serviceaccounts.getaccesstoken",
    "iam.serviceaccounts.getopenidtoken",
    "iam.serviceaccounts.signblob",
    "iam.serviceaccounts.signjwt",
    "storage.hmackeys.create",
    "apikeys.keys.create",
    "apikeys.keys.getkeystring",
    "container.clusters.getcredentials",
];

const GCP_WATCHING: &[&str] = &[
    "logging.sinks.delete",
    "logging.sinks.update",
    "logging.buckets.delete",
    "logging.buckets.update",
    "logging.exclusions.create",
    "logging.exclusions.update",
    "logging.logs.delete",
    "logging.views.delete",
    "monitoring.alertpolicies.delete",
    "securitycenter.muteconfigs.create",
    "pubsub.topics.detachsubscription",
];

fn gcp(permission: &str) -> Graded {
    let (thing, verb) = permission.rsplit_once('.').unwrap_or(("", permission));
    let is_key = GCP_KEYS.contains(&permission);
    let reads =
        ["get", "list", "search", "aggregatedlist", "query", "check", "test", "read", "export", "watch"]
            .iter()
            .any(|word| verb.starts_with(word));
    let about_rights = verb.contains("iampolicy")
        || matches!(thing, "iam.roles" | "iam.denypolicies" | "orgpolicy.policy" | "orgpolicy.policies")
        || thing.starts_with("accesscontextmanager.");
    let level = if is_key {
        AccessLevel::Write
    } else if verb.starts_with("list") || verb == "aggregatedlist" {
        AccessLevel::List
    } else if reads {
        AccessLevel::Read
    } else if about_rights {
        AccessLevel::Permissions
    } else if verb.contains("tagbinding") || verb == "setlabels" {
        AccessLevel::Tagging
    } else {
        AccessLevel::Write
    };
    let deletes = ["delete", "destroy", "purge"].iter().any(|word| verb.starts_with(word));
    Graded {
        level,
        is_destructive: deletes && level == AccessLevel::Write,
        is_credential_minting: is_key,
        is_logging_tamper: GCP_WATCHING.contains(&permission),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destroys(permission: &str) -> bool {
        of(permission).is_some_and(|graded| graded.is_destructive)
    }

    fn level(permission: &str) -> Option<AccessLevel> {
        of(permission).map(|graded| graded.level)
    }

    #[test]
    fn what_is_deleted_is_gone_but_for_rights_tags_and_history() {
        for permission in [
            "Microsoft.Compute/virtualMachines/delete",
            "MICROSOFT.STORAGE/STORAGEACCOUNTS/BLOBSERVICES/CONTAINERS/BLOBS/DELETE",
            "Microsoft.KeyVault/vaults/secrets/purge/action",
            "storage.objects.delete",
            "cloudkms.cryptoKeyVersions.destroy",
        ] {
            assert!(destroys(permission), "{permission}");
        }
        for permission in [
            "Microsoft.Compute/virtualMachines/start/action",
            "Microsoft.Resources/deployments/delete",
            "Microsoft.Authorization/roleAssignments/delete",
            "iam.roles.delete",
            "storage.objects.get",
            "s3:DeleteObject",
        ] {
            assert!(!destroys(permission), "{permission}");
        }
    }

    #[test]
    fn levels_follow_the_verb() {
        assert_eq!(level("Microsoft.Compute/virtualMachines/read"), Some(AccessLevel::Read));
        assert_eq!(level("Microsoft.Authorization/roleAssignments/write"), Some(AccessLevel::Permissions));
        assert_eq!(level("Microsoft.Compute/virtualMachines/write"), Some(AccessLevel::Write));
        assert_eq!(level("compute.instances.list"), Some(AccessLevel::List));
        assert_eq!(level("resourcemanager.projects.setIamPolicy"), Some(AccessLevel::Permissions));
        assert_eq!(level("resourcemanager.projects.getIamPolicy"), Some(AccessLevel::Read));
        assert_eq!(level("s3:GetObject"), None);
    }

    #[test]
    fn credentials_and_watching_are_known_by_name() {
        let is = |permission: &str| {
            let graded = of(permission).unwrap();
            (graded.is_credential_minting, graded.is_logging_tamper)
        };
        assert_eq!(is("Microsoft.Storage/storageAccounts/listKeys/action"), (true, false));
        assert_eq!(is("iam.serviceAccountKeys.create"), (true, false));
        assert_eq!(is("iam.serviceAccountKeys.get"), (false, false));
        assert_eq!(is("Microsoft.Insights/diagnosticSettings/delete"), (false, true));
        assert_eq!(is("logging.sinks.delete"), (false, true));
        assert_eq!(is("logging.sinks.get"), (false, false));
    }
}
