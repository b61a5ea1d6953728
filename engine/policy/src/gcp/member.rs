//! Who a binding or a deny rule names
//!
//! <https://cloud.google.com/iam/docs/principal-identifiers>

use std::collections::{BTreeMap, BTreeSet};

use crate::belief::Belief;

const GROUPS_MAX: usize = 10_000;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principal {
    /// By e-mail address, folded
    User(String),
    /// By e-mail address, or a Kubernetes account: `project.svc.id.goog[namespace/account]`
    ServiceAccount(String),
    /// A workforce or workload identity, without `principal://`
    Federated(String),
    /// Nobody is signed in
    Anonymous,
}

const SUBJECT: &str = "//goog/subject/";
const SERVICE_ACCOUNT: &str = "//iam.googleapis.com/projects/-/serviceAccounts/";

impl Principal {
    /// Takes `user:`, `serviceAccount:`, `principal://`, and bare addresses as logs have them.
    pub(super) fn new(text: &str) -> Principal {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("principal:") {
            return Principal::of_uri(rest);
        }
        if let Some(address) = text.strip_prefix("user:") {
            return Principal::User(address.to_ascii_lowercase());
        }
        if let Some(address) = text.strip_prefix("serviceAccount:") {
            return Principal::ServiceAccount(address.to_ascii_lowercase());
        }
        if text.is_empty() || text == "allUsers" || text == "anonymous" {
            return Principal::Anonymous;
        }
        let folded = text.to_ascii_lowercase();
        if folded.ends_with(".gserviceaccount.com") || folded.contains(".svc.id.goog[") {
            return Principal::ServiceAccount(folded);
        }
        Principal::User(folded)
    }

    fn of_uri(uri: &str) -> Principal {
        if let Some(address) = uri.strip_prefix(SUBJECT) {
            return Principal::User(address.to_ascii_lowercase());
        }
        if let Some(address) = uri.strip_prefix(SERVICE_ACCOUNT) {
            return Principal::ServiceAccount(address.to_ascii_lowercase());
        }
        Principal::Federated(uri.to_owned())
    }

    /// As a group lists it.
    fn member(&self) -> String {
        match self {
            Principal::User(address) => format!("user:{address}"),
            Principal::ServiceAccount(address) => format!("serviceaccount:{address}"),
            Principal::Federated(uri) => format!("principal:{uri}"),
            Principal::Anonymous => String::new(),
        }
    }
}

/// Members by group address, folded. A group that is not here has unknown members.
#[derive(Debug, Default, Clone)]
pub(super) struct Groups(BTreeMap<String, BTreeSet<String>>);

impl Groups {
    /// Members as `user:`, `serviceAccount:`, `group:`, or bare addresses.
    pub(super) fn set<'a>(&mut self, group: &str, members: impl IntoIterator<Item = &'a str>) {
        let group = group.trim_start_matches("group:").to_ascii_lowercase();
        let members = members.into_iter().map(|member| match member.strip_prefix("group:") {
            Some(nested) => format!("group:{}", nested.to_ascii_lowercase()),
            None => Principal::new(member).member(),
        });
        self.0.entry(group).or_default().extend(members);
    }

    fn hold(&self, group: &str, who: &Principal) -> Belief {
        if *who == Principal::Anonymous {
            return Belief::FALSE;
        }
        let wanted = who.member();
        let mut seen = BTreeSet::new();
        let mut open = vec![group.to_ascii_lowercase()];
        let mut unknown = Vec::new();
        while let Some(group) = open.pop() {
            if seen.len() >= GROUPS_MAX {
                unknown.push(format!("group:{group}"));
                break;
            }
            match self.0.get(&group) {
                Some(members) if members.contains(&wanted) => return Belief::TRUE,
                Some(members) => {
                    for member in members {
                        // Bare addresses in a list may be groups as well.
                        let nested = member.strip_prefix("group:").or_else(|| {
                            member.strip_prefix("user:").filter(|address| self.0.contains_key(*address))
                        });
                        if let Some(nested) = nested
                            && !seen.contains(nested)
                        {
                            open.push(nested.to_owned());
                        }
                    }
                }
                None => unknown.push(format!("group:{group}")),
            }
            seen.insert(group);
        }
        if unknown.is_empty() { Belief::FALSE } else { Belief::unknown_of(unknown) }
    }
}

/// Whether `member` names `who`. `projectOwner:` and its like are asked of `project_role(project, role)`.
pub(super) fn names(
    member: &str,
    who: &Principal,
    groups: &Groups,
    project_role: &dyn Fn(&str, &str) -> Belief,
) -> Belief {
    let (kind, name) = member.split_once(':').unwrap_or((member, ""));
    match kind {
        "allUsers" => Belief::TRUE,
        // Federated identities are not among them.
        "allAuthenticatedUsers" => matches!(who, Principal::User(_) | Principal::ServiceAccount(_)).into(),
        "user" => matches!(who, Principal::User(own) if own.eq_ignore_ascii_case(name)).into(),
        "serviceAccount" => {
            matches!(who, Principal::ServiceAccount(own) if own.eq_ignore_ascii_case(name)).into()
        }
        "group" => groups.hold(name, who),
        "domain" => match who {
            Principal::User(address) => {
                address.rsplit_once('@').is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(name)).into()
            }
            _ => Belief::FALSE,
        },
        // A deleted account matches nobody; the same address made anew is another account.
        "deleted" => Belief::FALSE,
        "principal" => (*who == Principal::of_uri(name)).into(),
        "principalSet" => set(member, name, who, groups),
        "projectOwner" => project_role(name, "roles/owner"),
        "projectEditor" => project_role(name, "roles/editor"),
        "projectViewer" => project_role(name, "roles/viewer"),
        _ => Belief::unknown(member),
    }
}

fn set(member: &str, uri: &str, who: &Principal, groups: &Groups) -> Belief {
    if uri == "//goog/public:all" {
        return Belief::TRUE;
    }
    if let Some(group) = uri.strip_prefix("//goog/group/") {
        return groups.hold(group, who);
    }
    match who {
        Principal::Anonymous => return Belief::FALSE,
        // A customer has users and groups; service accounts belong to projects.
        Principal::ServiceAccount(_) if uri.starts_with("//goog/cloudIdentityCustomerId/") => {
            return Belief::FALSE;
        }
        // A project's own accounts and pools; users belong to organizations.
        Principal::User(_) if uri.starts_with("//cloudresourcemanager.googleapis.com/projects/") => {
            return Belief::FALSE;
        }
        _ => {}
    }
    if let Some((pool, rest)) = pool(uri) {
        let Principal::Federated(own) = who else { return Belief::FALSE };
        let Some((own_pool, _)) = self::pool(own) else { return Belief::FALSE };
        if pool != own_pool {
            return Belief::FALSE;
        }
        if rest == "*" {
            return Belief::TRUE;
        }
    }
    Belief::unknown(member)
}

/// `//iam.googleapis.com/.../workloadIdentityPools/pool` and what follows it.
fn pool(uri: &str) -> Option<(&str, &str)> {
    let kinds = ["/workloadIdentityPools/", "/workforcePools/"];
    let start = kinds.iter().find_map(|kind| uri.find(kind).map(|at| at + kind.len()))?;
    let end = start + uri.get(start..)?.find('/')?;
    Some((uri.get(..end)?, uri.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Truth;

    fn ask(member: &str, who: &str) -> Truth {
        let mut groups = Groups::default();
        groups.set("ops@acme.com", ["ann@acme.com", "group:oncall@acme.com"]);
        groups.set("oncall@acme.com", ["serviceAccount:bot@p.iam.gserviceaccount.com"]);
        groups.set("open@acme.com", ["group:elsewhere@acme.com"]);
        names(member, &Principal::new(who), &groups, &|_, _| Belief::unknown("project")).truth
    }

    const BOT: &str = "serviceAccount:bot@p.iam.gserviceaccount.com";
    const POOL: &str = "//iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/ci";

    #[test]
    fn people_and_accounts_are_told_apart() {
        assert_eq!(ask("user:Ann@acme.com", "ann@ACME.com"), Truth::True);
        assert_eq!(ask("user:ann@acme.com", "user:bob@acme.com"), Truth::False);
        assert_eq!(ask(BOT, "bot@p.iam.gserviceaccount.com"), Truth::True);
        assert_eq!(ask("user:bot@p.iam.gserviceaccount.com", BOT), Truth::False);
        assert_eq!(ask("principal://goog/subject/ann@acme.com", "user:ann@acme.com"), Truth::True);
        let uri = "principal://iam.googleapis.com/projects/-/serviceAccounts/bot@p.iam.gserviceaccount.com";
        assert_eq!(ask(uri, BOT), Truth::True);
        assert_eq!(ask("deleted:user:ann@acme.com?uid=1", "user:ann@acme.com"), Truth::False);
    }

    #[test]
    fn groups_are_followed_and_unlisted_ones_are_unknown() {
        assert_eq!(ask("group:ops@acme.com", "ann@acme.com"), Truth::True);
        assert_eq!(ask("group:ops@acme.com", BOT), Truth::True);
        assert_eq!(ask("principalSet://goog/group/ops@acme.com", BOT), Truth::True);
        assert_eq!(ask("group:ops@acme.com", "eve@acme.com"), Truth::False);
        assert_eq!(ask("group:other@acme.com", "ann@acme.com"), Truth::Unknown);
        assert_eq!(ask("group:open@acme.com", "ann@acme.com"), Truth::Unknown);
    }

    #[test]
    fn everybody_is_not_every_signed_in_user() {
        assert_eq!(ask("allUsers", "anonymous"), Truth::True);
        assert_eq!(ask("allAuthenticatedUsers", "anonymous"), Truth::False);
        assert_eq!(ask("allAuthenticatedUsers", BOT), Truth::True);
        assert_eq!(ask("allAuthenticatedUsers", &format!("principal:{POOL}/subject/x")), Truth::False);
        assert_eq!(ask("principalSet://goog/public:all", "anonymous"), Truth::True);
        assert_eq!(ask("domain:acme.com", "ann@acme.com"), Truth::True);
        assert_eq!(ask("domain:acme.com", "ann@acme.com.evil.io"), Truth::False);
        assert_eq!(ask("domain:p.iam.gserviceaccount.com", BOT), Truth::False);
    }

    #[test]
    fn a_pool_holds_its_own_subjects() {
        let who = format!("principal:{POOL}/subject/repo-1");
        assert_eq!(ask(&who, &who), Truth::True);
        assert_eq!(ask(&format!("principal:{POOL}/subject/repo-2"), &who), Truth::False);
        assert_eq!(ask(&format!("principalSet:{POOL}/*"), &who), Truth::True);
        assert_eq!(ask(&format!("principalSet:{POOL}2/*"), &who), Truth::False);
        assert_eq!(ask(&format!("principalSet:{POOL}/attribute.repo/acme"), &who), Truth::Unknown);
        assert_eq!(ask(&format!("principalSet:{POOL}/attribute.repo/acme"), BOT), Truth::False);
    }

    #[test]
    fn a_kind_of_member_that_is_not_known_is_unknown() {
        assert_eq!(ask("principalHierarchy:x", "ann@acme.com"), Truth::Unknown);
        assert_eq!(ask("projectOwner:p", "ann@acme.com"), Truth::Unknown);
    }
}
