//! Facts that AWS publishes, in compact tables
//!
//! Where each comes from and how it is refreshed: `engine/reference/SOURCES.md`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use policy::wildcard::{ActionPattern, Match};

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
}

/// What the hand table says of a call: permissions that are not spelled like the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) permission: &'static str,
    pub(crate) certain: bool,
    /// Its resource is the source of a copy
    pub(crate) source: bool,
}

/// What a call needs, where the request has `field`.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) field: Option<&'static str>,
    pub(crate) needs: Vec<Mapped>,
}

/// Where a request keeps a name, and what is to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) form: &'static str,
}

#[derive(Default)]
struct Tables {
    permissions: Vec<Permission>,
    services: HashMap<&'static str, std::ops::Range<usize>>,
    types: HashMap<&'static str, Vec<ResourceType>>,
    sources: HashMap<&'static str, &'static str>,
    gateway: HashMap<&'static str, (&'static str, &'static str)>,
    calls: HashMap<&'static str, HashMap<&'static str, Vec<Variant>>>,
    fields: HashMap<&'static str, HashMap<&'static str, Vec<Field>>>,
    sets: HashMap<&'static str, Set>,
}

/// Patterns that name one service, by it, and those that name any.
#[derive(Default)]
struct Set {
    by_service: HashMap<String, Vec<ActionPattern>>,
    any: Vec<ActionPattern>,
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

impl Tables {
    fn read() -> Tables {
        let mut tables = Tables::default();
        tables.read_calls();
        let answered: HashSet<&str> = tables
            .calls
            .values()
            .flat_map(HashMap::values)
            .flatten()
            .flat_map(|variant| &variant.needs)
            .map(|one| one.permission)
            .collect();
        tables.read_permissions(&answered);
        tables.read_types();
        for line in rows(include_str!("../reference/aws_event_sources.tsv")) {
            if let Some((source, prefix)) = line.split_once('\t') {
                tables.sources.insert(source, prefix);
            }
        }
        for line in rows(include_str!("../reference/aws_apigateway.tsv")) {
            let mut cells = line.split('\t');
            if let (Some(operation), Some(verb), Some(path)) = (cells.next(), cells.next(), cells.next()) {
                tables.gateway.insert(operation, (verb, path));
            }
        }
        for line in rows(include_str!("../reference/aws_fields.tsv")) {
            let mut cells = line.split('\t');
            if let (Some(service), Some(variable), Some(fields)) = (cells.next(), cells.next(), cells.next())
            {
                let fields = fields.split(',').map(|field| {
                    let (name, form) = field.split_once(':').unwrap_or((field, ""));
                    Field { name, form }
                });
                tables.fields.entry(service).or_default().insert(variable, fields.collect());
            }
        }
        for line in rows(include_str!("../reference/aws_sets.tsv")) {
            let mut cells = line.split('\t');
            if let (Some(set), Some(pattern)) = (cells.next(), cells.next()) {
                let set = tables.sets.entry(set).or_default();
                let pattern = ActionPattern::new(pattern);
                match pattern.service() {
                    Some(service) => set.by_service.entry(service.to_owned()).or_default().push(pattern),
                    None => set.any.push(pattern),
                }
            }
        }
        tables
    }

    fn read_calls(&mut self) {
        for line in rows(include_str!("../reference/aws_calls.tsv")) {
            let mut cells = line.split('\t');
            let (Some(service), Some(operation), Some(list)) = (cells.next(), cells.next(), cells.next())
            else {
                continue;
            };
            let (operation, field) = match operation.split_once('[') {
                Some((operation, field)) => (operation, Some(field.trim_end_matches(']'))),
                None => (operation, None),
            };
            let mut mapped = Vec::new();
            for one in list.split(',').filter(|one| *one != "-") {
                let (one, source) = one.strip_suffix("@source").map_or((one, false), |one| (one, true));
                let (permission, certain) = one.strip_suffix('?').map_or((one, true), |one| (one, false));
                mapped.push(Mapped { permission, certain, source });
            }
            let variants = self.calls.entry(service).or_default().entry(operation).or_default();
            // Rows that ask for a field come before the plain one.
            let at = if field.is_some() { 0 } else { variants.len() };
            variants.insert(at, Variant { field, needs: mapped });
        }
    }

    fn read_permissions(&mut self, answered: &HashSet<&str>) {
        for (service, line) in sections(include_str!("../reference/aws_permissions.tsv")) {
            let mut cells = line.split('\t');
            let (Some(action), Some(level), Some(flags)) =
                (cells.next(), cells.next().and_then(AccessLevel::of), cells.next())
            else {
                continue;
            };
            let types = cells.next().unwrap_or_default().split(' ').filter(|name| !name.is_empty());
            let types = types.map(|name| match name.strip_suffix('*') {
                Some(name) => TypeRef { name, required: true },
                None => TypeRef { name, required: false },
            });
            let name = format!("{service}:{action}");
            let operation = flags.contains('o') || answered.contains(name.as_str());
            let permission = Permission {
                name,
                service,
                level,
                types: types.collect(),
                operation,
                passes_role: flags.contains('p'),
            };
            let at = self.permissions.len();
            self.services.entry(service).or_insert(at..at).end = at + 1;
            self.permissions.push(permission);
        }
    }

    fn read_types(&mut self) {
        for (service, line) in sections(include_str!("../reference/aws_resources.tsv")) {
            let Some((name, arn)) = line.split_once('\t') else { continue };
            let mut pattern = String::new();
            let mut rest = arn;
            while let Some((before, after)) = rest.split_once("${") {
                pattern.push_str(before);
                pattern.push('*');
                rest = after.split_once('}').map_or("", |(_, tail)| tail);
            }
            pattern.push_str(rest);
            let literal = pattern.bytes().filter(|b| *b != b'*').count();
            self.types.entry(service).or_default().push(ResourceType { name, arn, pattern, literal });
        }
    }
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
#[must_use]
pub fn permissions() -> &'static [Permission] {
    &TABLES.permissions
}

/// The permissions of one service (`s3`), by name.
#[must_use]
pub fn permissions_of(service: &str) -> &'static [Permission] {
    TABLES.services.get(service).and_then(|range| TABLES.permissions.get(range.clone())).unwrap_or_default()
}

/// The known permissions that an action pattern matches.
pub fn matching(pattern: &ActionPattern) -> impl Iterator<Item = &'static Permission> {
    let candidates = match pattern.service() {
        Some(service) => permissions_of(&service.to_ascii_lowercase()),
        None => permissions(),
    };
    candidates.iter().filter(move |permission| pattern.matches(&permission.name) == Match::Yes)
}

/// The resource types of one service.
#[must_use]
pub fn types_of(service: &str) -> &'static [ResourceType] {
    TABLES.types.get(service).map_or(&[], Vec::as_slice)
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
    if TABLES.services.contains_key(name) {
        return name;
    }
    TABLES.sources.get(name).copied().unwrap_or(name)
}

pub(crate) fn knows_service(service: &str) -> bool {
    TABLES.services.contains_key(service)
}

/// What the hand table says of an operation; rows that ask for a field first.
pub(crate) fn mapped(service: &str, operation: &str) -> &'static [Variant] {
    TABLES.calls.get(service).and_then(|calls| calls.get(operation)).map_or(&[], Vec::as_slice)
}

/// Whether the service has operations whose permission is called otherwise, so that an unknown name proves nothing.
pub(crate) fn renames(service: &str) -> bool {
    TABLES.calls.contains_key(service)
}

/// HTTP verb and path of an API Gateway operation.
pub(crate) fn gateway(operation: &str) -> Option<(&'static str, &'static str)> {
    TABLES.gateway.get(operation).copied()
}

/// Where requests of a service keep what an ARN calls `variable`.
pub(crate) fn fields(service: &str, variable: &str) -> &'static [Field] {
    TABLES.fields.get(service).and_then(|fields| fields.get(variable)).map_or(&[], Vec::as_slice)
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
        let mut unknown = Vec::new();
        for variant in TABLES.calls.values().flat_map(HashMap::values).flatten() {
            unknown.extend(
                variant.needs.iter().map(|one| one.permission).filter(|name| permission(name).is_none()),
            );
        }
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
        let missing = permissions().iter().flat_map(|one| one.types.iter().map(move |kind| (one, kind)));
        let missing = missing.filter(|(one, kind)| resource_type(one.service, kind.name).is_none()).count();
        assert!(missing < permissions().len() / 500, "{missing} resource types without an ARN");
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
