//! Whether the resources of a statement can be touched by a permission at all

use policy::aws::Resources;
use policy::wildcard::{ArnPattern, Match, Target};

use crate::reference::{self, ResourceType};

/// Whether they can be touched by the permission at all: `s3:ListAllMyBuckets` knows none, so a statement that
/// names a bucket says nothing about it.
#[must_use]
pub(crate) fn concerns(resources: &Resources, permission: &str) -> bool {
    concerns_within(resources, permission, false)
}

/// The same; with `own_service` only things of the permission's own service count. A verb on a thing means that:
/// to write an instance is not to run commands on it by SSM.
pub(crate) fn concerns_within(resources: &Resources, permission: &str, own_service: bool) -> bool {
    if resources.not || resources.is_any() {
        return true;
    }
    let service = permission.split_once(':').map_or(permission, |(service, _)| service);
    let mut patterns = resources
        .patterns
        .iter()
        .filter(|pattern| !own_service || pattern.service().is_none_or(|of| of == service));
    // Of what our table does not know in full, nothing is ruled out.
    let Some(known) = reference::permission(permission).filter(|known| known.service != "apigateway") else {
        return patterns.next().is_some();
    };
    let types: Vec<&ResourceType> =
        known.types.iter().filter_map(|kind| reference::resource_type(known.service, kind.name)).collect();
    if types.is_empty() && !known.types.is_empty() {
        return patterns.next().is_some();
    }
    patterns.any(|pattern| types.iter().any(|kind| is_about(pattern, kind, known.service)))
}

/// Whether a resource pattern means this type, and not only a closer one of the service: `bucket/*` is objects, though
/// a bucket's `*` would take a slash.
fn is_about(pattern: &ArnPattern, kind: &ResourceType, service: &str) -> bool {
    let closer = |other: &ResourceType| {
        other.literal > kind.literal
            && ArnPattern::new(&other.pattern).matches(Target::Within(pattern.as_str())) == Match::Yes
    };
    pattern.may_share(&kind.pattern) && !reference::types_of(service).iter().any(closer)
}
