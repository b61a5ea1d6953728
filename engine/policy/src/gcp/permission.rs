//! Permission names: `storage.objects.get` in roles and logs, `storage.googleapis.com/objects.get` in deny policies
//!
//! <https://cloud.google.com/iam/docs/deny-permissions-support>

/// A permission taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts<'a> {
    /// `storage`
    service: &'a str,
    /// `objects`
    resource: &'a str,
    /// `get`
    verb: &'a str,
}

/// Services whose host and whose permissions are called differently.
const RENAMED: &[(&str, &str)] = &[("cloudresourcemanager", "resourcemanager")];

fn parts(permission: &str) -> Option<Parts<'_>> {
    let (service, rest) = match permission.split_once('/') {
        Some((host, rest)) => (host.split('.').next()?, rest),
        None => permission.split_once('.')?,
    };
    let (resource, verb) = rest.rsplit_once('.')?;
    let renamed = RENAMED.iter().find(|(host, _)| *host == service).map_or(service, |(_, own)| own);
    Some(Parts { service: renamed, resource, verb })
}

/// The form of roles and logs, whichever is given.
pub(super) fn plain(permission: &str) -> String {
    match parts(permission) {
        Some(parts) if permission.contains('/') => {
            format!("{}.{}.{}", parts.service, parts.resource, parts.verb)
        }
        _ => permission.to_owned(),
    }
}

/// Whether a deny policy's entry is about a permission. `*` stands for a whole part: `iam.googleapis.com/roles.*`.
/// <https://cloud.google.com/iam/docs/deny-overview#permission-groups>
pub(super) fn denies(entry: &str, permission: &str) -> bool {
    let (Some(entry), Some(asked)) = (parts(entry), parts(permission)) else { return entry == permission };
    let fits = |entry: &str, asked: &str| entry == "*" || entry == asked;
    entry.service == asked.service && fits(entry.resource, asked.resource) && fits(entry.verb, asked.verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_permission() {
        assert!(denies("storage.googleapis.com/objects.get", "storage.objects.get"));
        assert!(denies(
            "cloudresourcemanager.googleapis.com/projects.delete",
            "resourcemanager.projects.delete"
        ));
        assert!(!denies("storage.googleapis.com/objects.get", "storage.objects.getIamPolicy"));
        assert!(!denies("storage.googleapis.com/objects.get", "compute.objects.get"));
        assert_eq!(plain("iam.googleapis.com/roles.create"), "iam.roles.create");
    }

    #[test]
    fn a_star_is_a_whole_part() {
        assert!(denies("iam.googleapis.com/roles.*", "iam.roles.create"));
        assert!(denies("iam.googleapis.com/*.*", "iam.serviceAccountKeys.create"));
        assert!(denies("iam.googleapis.com/*.create", "iam.roles.create"));
        assert!(!denies("iam.googleapis.com/*.create", "iam.roles.delete"));
        assert!(!denies("iam.googleapis.com/roles.cre*", "iam.roles.create"));
    }
}
