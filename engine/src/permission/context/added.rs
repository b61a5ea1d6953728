//! Condition keys and tags that CloudTrail was told to add to its events
//!
//! `eventContext: {requestContext: {"aws:PrincipalOrgID": ...}, tagContext: {principalTags: {...}, resourceTags: [{arn,
//! tags}]}}`. Only selected keys are added, and of those only the ones that AWS looked at, so what is not there proves
//! nothing. <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-context-events.html>

use super::super::Needed;
use super::super::facts::Facts;
use crate::json::{Json, Kind};
use policy::context::Fact;

/// Values of one key that we take.
const VALUES_MAX: usize = 100;

impl Facts<'_> {
    /// What the event was told to say of a key, in lower case.
    pub(super) fn added(&self, needed: &Needed, key: &str) -> Option<Fact> {
        let context = self.event_context();
        if let Some(told) = context.get("requestContext").and_then(|told| of_key(told, key)) {
            return Some(told);
        }
        let tags = context.get("tagContext")?;
        let (family, tag) = key.split_once('/')?;
        match family.split_once(':')? {
            ("aws", "principaltag") => of_key(tags.get("principalTags")?, tag),
            (_, "resourcetag") => resource_tag(tags.get("resourceTags")?, needed, tag),
            _ => None,
        }
    }
}

/// A tag that every resource of the call carries alike.
fn resource_tag(told: Json<'_>, needed: &Needed, tag: &str) -> Option<Fact> {
    if !needed.resources_known || needed.resources.is_empty() {
        return None;
    }
    let mut found: Option<Fact> = None;
    for arn in &needed.resources {
        let same = |one: &Json<'_>| {
            one.members().any(|(key, value)| key.eq_ignore_ascii_case("arn") && value.text() == Some(arn))
        };
        let one = told.items().find(same)?;
        let value = of_key(one.get("tags")?, tag)?;
        if found.as_ref().is_some_and(|other| *other != value) {
            return None;
        }
        found = Some(value);
    }
    found
}

/// A value by its key, in any case, out of a map or a list of `{key, value}`.
fn of_key(told: Json<'_>, key: &str) -> Option<Fact> {
    match told.kind() {
        Kind::Map => {
            let mut members = told.members();
            members.find(|(name, _)| name.eq_ignore_ascii_case(key)).and_then(|(_, value)| fact(value))
        }
        Kind::List => told.items().find_map(|one| {
            let part = |wanted: &str| {
                one.members().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
            };
            let name = part("key").and_then(Json::text)?;
            name.eq_ignore_ascii_case(key).then(|| part("value").and_then(fact)).flatten()
        }),
        _ => None,
    }
}

/// One value or several. Null is AWS's word for none.
pub(super) fn fact(value: Json<'_>) -> Option<Fact> {
    match value.kind() {
        Kind::Null => Some(Fact::Absent),
        Kind::List if value.items().count() <= VALUES_MAX => {
            value.items().map(Json::scalar).collect::<Option<Vec<String>>>().map(Fact::Values)
        }
        _ => value.scalar().map(Fact::one),
    }
}
