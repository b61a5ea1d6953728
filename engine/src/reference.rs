//! Facts that AWS publishes, in compact tables
//!
//! Where each comes from and how it is refreshed: `engine/reference/SOURCES.md`.

mod fields;
mod operations;
mod tables;

use std::sync::{LazyLock, OnceLock};

pub(crate) use fields::{Field, Part, folded, letters};
pub(crate) use operations::{Need, Operation, When};
use policy::wildcard::{ActionPattern, ArnPattern, Match};
use tables::{Tables, Types};

/// How AWS grades a permission in its Service Authorization Reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessLevel {
    /// Names what exists
    List,
    /// Reads content
    Read,
    /// Creates, changes or deletes
    Write,
    /// Changes only tags
    Tagging,
    /// Changes who may do what
    Permissions,
}

impl AccessLevel {
    /// `list`, `read`, `write`, `tagging`, `permissions`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AccessLevel::List => "list",
            AccessLevel::Read => "read",
            AccessLevel::Write => "write",
            AccessLevel::Tagging => "tagging",
            AccessLevel::Permissions => "permissions",
        }
    }

    fn of(letter: &str) -> Option<AccessLevel> {
        Some(match letter {
            "L" => AccessLevel::List,
            "R" => AccessLevel::Read,
            "W" => AccessLevel::Write,
            "T" => AccessLevel::Tagging,
            "P" => AccessLevel::Permissions,
            _ => return None,
        })
    }
}

/// Whether CloudTrail can show the use of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logged {
    /// As a management event: always, on every trail
    Management,
    /// As a data event: only where somebody switched that on
    Data,
    /// In no event: it is no API call, or AWS does not log it
    Never,
}

impl Logged {
    /// `management`, `data`, `never`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Logged::Management => "management",
            Logged::Data => "data",
            Logged::Never => "never",
        }
    }
}

/// A permission that AWS publishes.
#[derive(Debug)]
pub struct Permission {
    /// `s3:GetObject`
    pub name: String,
    /// `s3`
    pub service: &'static str,
    /// List to Permissions
    pub level: AccessLevel,
    /// The resource types that a policy can name for it; none: only `*`
    pub types: Vec<TypeRef>,
    /// It is an API operation as well, under its own name or another
    pub operation: bool,
    /// AWS says that the call may need `iam:PassRole` too
    pub passes_role: bool,
}

/// A resource type that a permission concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRef {
    /// `object`
    pub name: &'static str,
    /// The call always touches one
    pub required: bool,
}

/// A resource type and its ARN.
#[derive(Debug)]
pub struct ResourceType {
    /// `object`
    pub name: &'static str,
    /// `arn:${Partition}:s3:::${BucketName}/${ObjectName}`
    pub arn: &'static str,
    /// The same with `*` for each variable
    pub pattern: String,
    /// Characters that are not variable: the more, the more specific
    pub literal: usize,
    /// The ARN in pieces, with where a request keeps each
    pub(crate) parts: Vec<Part>,
    /// The pattern, ready to match
    pub(crate) compiled: ArnPattern,
    /// Which types of the service are described more closely, by their place there
    pub(crate) closer: OnceLock<Box<[usize]>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);

fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Rows below `= prefix` headings, with their prefix.
fn sections(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut service = "";
    rows(text).filter_map(move |line| match line.strip_prefix("= ") {
        Some(prefix) => {
            service = prefix;
            None
        }
        None => Some((service, line)),
    })
}

/// Looks a permission up, whatever its case.
#[must_use]
pub fn permission(name: &str) -> Option<&'static Permission> {
    let (service, _) = name.split_once(':')?;
    let of_service = permissions_of(service);
    if let Ok(at) = of_service.binary_search_by(|known| known.name.as_str().cmp(name)) {
        return of_service.get(at);
    }
    // Policies are written in any case; logs are not, so this way is the rare one.
    let of_service =
        if of_service.is_empty() { permissions_of(&service.to_ascii_lowercase()) } else { of_service };
    of_service.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

/// Every permission, by service and name.
pub fn permissions() -> impl Iterator<Item = &'static Permission> {
    TABLES.services.keys().flat_map(|service| permissions_of(service))
}

/// The permissions of one service (`s3`), by name.
#[must_use]
pub fn permissions_of(service: &str) -> &'static [Permission] {
    TABLES.permissions_of(service)
}

/// The known permissions that an action pattern matches.
pub fn matching(pattern: &ActionPattern) -> impl Iterator<Item = &'static Permission> {
    let service = pattern.service().map(str::to_ascii_lowercase);
    let of_one = service.as_deref().map(permissions_of).unwrap_or_default();
    let of_all = service.is_none().then(permissions);
    let candidates = of_one.iter().chain(of_all.into_iter().flatten());
    candidates.filter(move |permission| pattern.matches(&permission.name) == Match::Yes)
}

/// The resource types of one service.
#[must_use]
pub fn types_of(service: &str) -> &'static [ResourceType] {
    TABLES.types.get(service).map_or(&[], Types::read)
}

/// A resource type by service and name.
#[must_use]
pub fn resource_type(service: &str, name: &str) -> Option<&'static ResourceType> {
    types_of(service).iter().find(|kind| kind.name == name)
}

/// The IAM prefix of an `eventSource`: `monitoring.amazonaws.com` is `cloudwatch`.
#[must_use]
pub fn prefix_of(event_source: &str) -> &str {
    let name = event_source.split_once(".amazonaws.").map_or(event_source, |(name, _)| name);
    // Some services are called like the prefix of another: the table of renames speaks first.
    TABLES.sources.get(name).copied().unwrap_or(name)
}

pub(crate) fn knows_service(service: &str) -> bool {
    TABLES.services.contains_key(service)
}

/// What an operation asks for, where that is not only the permission of its own name.
pub(crate) fn operation(service: &str, operation: &str) -> Option<&'static Operation> {
    TABLES.operations.of(service, operation)
}

/// Whether the service has operations whose permission is called otherwise, so that an unknown name proves nothing.
pub(crate) fn renames(service: &str) -> bool {
    TABLES.operations.renames(service)
}

/// HTTP verb and path of an API Gateway operation.
pub(crate) fn gateway(operation: &str) -> Option<(&'static str, &'static str)> {
    TABLES.gateway.get(operation).copied()
}

/// The first pattern of a set that matches.
fn in_set(set: &str, permission: &str) -> Option<&'static ActionPattern> {
    let set = TABLES.sets.get(set)?;
    let service = permission.split_once(':')?.0;
    let own = set.by_service.get(service).map_or(&[][..], Vec::as_slice);
    own.iter().chain(&set.any).find(|pattern| pattern.matches(permission) == Match::Yes)
}

pub(crate) fn is_destructive(name: &str) -> bool {
    let Some(pattern) = in_set("destructive", name) else { return false };
    // A tag's or a policy's deletion loses no data; those are graded otherwise. A name that AWS has not graded
    // yet is taken at its word.
    let writes = permission(name).is_none_or(|known| known.level == AccessLevel::Write);
    (pattern.is_exact() || writes) && in_set("harmless", name).is_none()
}

pub(crate) fn is_credential_minting(permission: &str) -> bool {
    in_set("credential", permission).is_some()
}

pub(crate) fn is_logging_tamper(permission: &str) -> bool {
    in_set("logging", permission).is_some()
}

pub(crate) fn is_read_like(permission: &str) -> bool {
    in_set("read_like", permission).is_some()
}

pub(crate) fn is_implicit(permission: &str) -> bool {
    in_set("implicit", permission).is_some()
}

pub(crate) fn logged(name: &str) -> Logged {
    if in_set("never", name).is_some() {
        return Logged::Never;
    }
    if in_set("data", name).is_some() {
        return Logged::Data;
    }
    match permission(name) {
        Some(known) if !known.operation && known.service != "apigateway" => Logged::Never,
        _ => Logged::Management,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_found_in_any_case() {
        let known = permission("S3:getobject").unwrap();
        assert_eq!((known.name.as_str(), known.level), ("s3:GetObject", AccessLevel::Read));
        assert!(known.types.iter().any(|kind| kind.name == "object"));
        assert!(permission("s3:GetObjekt").is_none());
        assert!(permission("GetObject").is_none());
    }

    #[test]
    fn every_exact_name_in_the_hand_tables_is_known() {
        let mut unknown: Vec<&str> =
            TABLES.operations.named().filter(|name| permission(name).is_none()).collect();
        for set in TABLES.sets.values() {
            for pattern in set.by_service.values().flatten() {
                if matching(pattern).next().is_none() {
                    unknown.push(pattern.as_str());
                }
            }
        }
        assert_eq!(unknown, Vec::<&str>::new());
    }

    #[test]
    fn every_type_that_a_permission_names_has_an_arn() {
        let missing = permissions().flat_map(|one| one.types.iter().map(move |kind| (one, kind)));
        let missing = missing.filter(|(one, kind)| resource_type(one.service, kind.name).is_none()).count();
        assert!(missing < permissions().count() / 500, "{missing} resource types without an ARN");
    }

    #[test]
    fn deleting_data_is_destructive_and_acknowledging_a_message_is_not() {
        for name in [
            "s3:DeleteObject",
            "ec2:TerminateInstances",
            "kms:ScheduleKeyDeletion",
            "sqs:PurgeQueue",
            "newservice:DeleteThing",
        ] {
            assert!(is_destructive(name), "{name}");
        }
        for name in [
            "sqs:DeleteMessage",
            "ec2:DeleteTags",
            "iam:DeleteRolePolicy",
            "s3:GetObject",
            "ssm:TerminateSession",
        ] {
            assert!(!is_destructive(name), "{name}");
        }
    }

    #[test]
    fn sets_hold_their_members_and_not_the_neighbours() {
        assert!(is_credential_minting("iam:CreateAccessKey") && !is_credential_minting("iam:ListAccessKeys"));
        assert!(is_logging_tamper("cloudtrail:StopLogging") && !is_logging_tamper("cloudtrail:StartLogging"));
        assert!(is_read_like("kms:GenerateDataKey") && !is_read_like("kms:CreateKey"));
        assert!(is_implicit("sts:GetCallerIdentity") && !is_implicit("sts:AssumeRole"));
    }

    #[test]
    fn what_the_logs_cannot_show_is_told_apart() {
        assert_eq!(logged("iam:PassRole"), Logged::Never);
        assert_eq!(logged("s3:GetObject"), Logged::Data);
        assert_eq!(logged("s3:ListAllMyBuckets"), Logged::Management);
        assert_eq!(logged("s3:PutEncryptionConfiguration"), Logged::Management);
        assert_eq!(logged("ec2:RunInstances"), Logged::Management);
    }

    #[test]
    fn event_sources_become_iam_prefixes() {
        assert_eq!(prefix_of("monitoring.amazonaws.com"), "cloudwatch");
        assert_eq!(prefix_of("s3.amazonaws.com.cn"), "s3");
        assert_eq!(prefix_of("bedrock-agentcore.amazonaws.com"), "bedrock-agentcore");
        assert_eq!(prefix_of("nonesuch.amazonaws.com"), "nonesuch");
    }
}
