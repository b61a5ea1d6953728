//! Which resources a call touched: `resources[]`, then the request's own fields, then the response

use std::collections::BTreeSet;

use super::arn::{Filled, is_closer};
use super::facts::{Facts, Handed};
use super::request::{find, strings};
use super::{Needed, percent_decoded};
use crate::json::{Json, Kind};
use crate::reference::{self, Permission, ResourceType};
use policy::arn::Arn;
use policy::wildcard::{ArnPattern, Match, Target};

/// Resources of one permission that we name at most; a call with more is known in part only.
pub(super) const RESOURCES_MAX: usize = 100;
/// Longest name or ARN that we take from a request.
pub(super) const NAME_MAX: usize = 2_048;

/// Which of a call's resources a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// What the operation is about
    Whole,
    /// The source of a copy
    Source,
    /// What is made, and tagged at once
    Created,
}

/// The resources of one permission.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) resources: Vec<String>,
    /// They are all, and exact.
    pub(super) known: bool,
    /// One of them is the truth.
    pub(super) one_of: bool,
}

impl Named {
    fn nothing() -> Named {
        Named::default()
    }

    pub(super) fn new(resources: Vec<String>, known: bool) -> Named {
        Named { resources, known, one_of: false }
    }

    /// What a denial names.
    pub(super) fn told(resource: &str) -> Named {
        Named::new(vec![resource.to_owned()], !resource.contains('*'))
    }

    pub(super) fn of(self, permission: String, certain: bool) -> Needed {
        let one_of = self.one_of && !self.known && self.resources.len() > 1;
        Needed { permission, certain, resources: self.resources, resources_known: self.known, one_of }
    }
}

impl Facts<'_> {
    /// The resources of one permission, and whether they are all.
    pub(super) fn resources(&self, permission: &str, part: Part) -> Named {
        if permission == "iam:PassRole" {
            return self.passed();
        }
        if part == Part::Source {
            return self.copy_source();
        }
        if permission.starts_with("apigateway:") && reference::gateway(self.call.operation).is_some() {
            return self.gateway_path();
        }
        if permission == "s3:DeleteObject" || permission == "s3:DeleteObjectVersion" {
            return self.deleted_objects();
        }
        if permission.starts_with("bedrock:InvokeModel") {
            return self.model();
        }
        let Some(known) = reference::permission(permission) else {
            return Named::nothing();
        };
        // Tags given on creation are put on what is created: what else the request names is not tagged.
        let own = permission.strip_prefix(known.service).and_then(|rest| rest.strip_prefix(':'));
        if part == Part::Created && own != Some(self.call.operation) {
            return self.created(known);
        }
        if known.types.is_empty() {
            return Named::new(Vec::new(), true);
        }
        self.of_types(known)
    }

    /// The roles that the request hands over.
    fn passed(&self) -> Named {
        let handed = self.handed();
        let mut named = Named::new(Vec::new(), !handed.is_empty());
        let account = self.call.account.unwrap_or("*");
        let alone = handed.len() == 1;
        for one in handed {
            match one {
                Handed::Role(arn) => named.resources.push(arn),
                Handed::RoleName(name) => match self.looked_up("role", &name) {
                    Some(arn) => named.resources.push(arn),
                    None => {
                        named.known = false;
                        named.one_of = alone;
                        let head = format!("arn:{}:iam::{account}:role/", self.partition());
                        named.resources.extend([format!("{head}{name}"), format!("{head}*/{name}")]);
                    }
                },
                Handed::Profile => named.known = false,
            }
        }
        named
    }

    pub(super) fn looked_up(&self, kind: &str, name: &str) -> Option<String> {
        self.call.directory?.arn(self.call.account?, kind, name)
    }

    fn created(&self, permission: &Permission) -> Named {
        let mut whole = Vec::new();
        for kind in permission.types.iter().filter(|kind| self.is_about(kind.name)) {
            if let Some(known) = reference::resource_type(permission.service, kind.name) {
                let found = self.of_type(permission, known);
                if found.known {
                    whole.extend(found.resources);
                }
            }
        }
        let known = !whole.is_empty() && whole.len() <= RESOURCES_MAX;
        whole.truncate(RESOURCES_MAX);
        Named::new(whole, known)
    }

    /// Whether the operation is called after a resource type: `DeleteTable` is about a `table`.
    pub(super) fn is_about(&self, kind: &str) -> bool {
        let operation = reference::letters(super::naming::without_date(self.call.operation));
        let kind = reference::letters(kind);
        let plural = operation.strip_suffix('s').unwrap_or(&operation);
        !kind.is_empty() && (operation.ends_with(&kind) || plural.ends_with(&kind))
    }

    /// By the permission's own resource types: every required one, else any one of them.
    fn of_types(&self, permission: &Permission) -> Named {
        let mut whole: Vec<String> = Vec::new();
        let mut bounds: Vec<String> = Vec::new();
        let mut missing = false;
        let mut one_of = 0;
        let mut complete = 0;
        let add = |list: &mut Vec<String>, found: Vec<String>| {
            if list.is_empty() && found.len() == 1 {
                *list = found;
                return;
            }
            for arn in found {
                if !list.contains(&arn) {
                    list.push(arn);
                }
            }
        };
        for kind in &permission.types {
            let Some(known) = reference::resource_type(permission.service, kind.name) else {
                missing |= kind.required;
                continue;
            };
            let found = self.of_type(permission, known);
            one_of += usize::from(found.one_of);
            if found.known && !found.resources.is_empty() {
                complete += 1;
                add(&mut whole, found.resources);
            } else if kind.required {
                missing = true;
                add(&mut whole, found.resources);
            } else {
                add(&mut bounds, found.resources);
            }
        }
        // A type that the call may touch bounds it only where nothing better is known: `GetObject` has either a
        // bucket's object or an access point's.
        let known = !missing && !whole.is_empty() && whole.len() <= RESOURCES_MAX;
        let mut all = if whole.is_empty() { bounds } else { whole };
        all.truncate(RESOURCES_MAX);
        Named { resources: all, known, one_of: one_of == 1 && complete == 0 }
    }

    fn of_type(&self, permission: &Permission, kind: &ResourceType) -> Named {
        let is_kind = |arn: &str| {
            arn.len() <= NAME_MAX
                && kind.compiled.matches(Target::Exact(arn)) == Match::Yes
                && !is_closer(permission.service, arn, kind)
        };
        let listed: Vec<String> =
            self.listed().iter().filter(|arn| is_kind(arn)).map(|arn| (*arn).to_owned()).collect();
        if !listed.is_empty() {
            return Named::new(listed, true);
        }
        let found = self.requested(permission, kind, &is_kind);
        if found.known && !found.resources.is_empty() {
            return found;
        }
        if self.response().is_null() {
            return found;
        }
        // The response is AWS's own: it names what was made, and a role's path. What it says beside the request is not
        // this call's resource.
        let bounds: Vec<ArnPattern> = found.resources.iter().map(|bound| ArnPattern::new(bound)).collect();
        let within = |arn: &str| {
            bounds.is_empty() || bounds.iter().any(|bound| bound.matches(Target::Exact(arn)) == Match::Yes)
        };
        let told: BTreeSet<&str> =
            strings(self.response()).filter(|text| is_kind(text) && within(text)).collect();
        if told.is_empty() {
            return found;
        }
        Named::new(told.into_iter().map(str::to_owned).collect(), true)
    }

    /// An ARN that the request gives whole, else the type's ARN with its variables filled in.
    fn requested(
        &self,
        permission: &Permission,
        kind: &ResourceType,
        is_kind: &dyn Fn(&str) -> bool,
    ) -> Named {
        let request = self.request();
        if !request.is_map() {
            return Named::nothing();
        }
        let mut arns: Vec<String> = Vec::new();
        let is_meant = |text: &&str| text.starts_with("arn:") && is_kind(text);
        for (_, value) in request.members() {
            match value.kind() {
                Kind::Text => arns.extend(value.text().filter(is_meant).map(str::to_owned)),
                Kind::List => {
                    let texts = value.items().filter_map(Json::text).take(RESOURCES_MAX);
                    arns.extend(texts.filter(is_meant).map(str::to_owned));
                }
                _ => {}
            }
        }
        if !arns.is_empty() {
            return whole_secrets(permission.service, arns);
        }
        let Filled { resources, exact, one_of } = self.fill(permission, kind);
        Named { resources, known: exact, one_of }
    }

    /// `x-amz-copy-source`: `bucket/key`, with or without a leading slash, percent-encoded, maybe with a version.
    fn copy_source(&self) -> Named {
        let Some(value) = self.copy_source_text() else { return Named::nothing() };
        let value = value.split_once('?').map_or(value, |(path, _)| path);
        let path = percent_decoded(value.trim_start_matches('/'));
        if path.starts_with("arn:") {
            return Named::new(vec![path], true);
        }
        if !path.contains('/') {
            return Named::nothing();
        }
        Named::new(vec![format!("arn:{}:s3:::{path}", self.partition())], true)
    }

    /// DeleteObjects names its keys in the body, which CloudTrail leaves out of the request.
    fn deleted_objects(&self) -> Named {
        let Some(permission) = reference::permission("s3:DeleteObject") else { return Named::nothing() };
        let named = self.of_types(permission);
        if self.call.operation != "DeleteObjects" || self.has_field("key") {
            return named;
        }
        if !named.resources.is_empty()
            && self.listed().iter().any(|arn| named.resources.iter().any(|one| one == arn))
        {
            return named;
        }
        match find(self.request(), "bucketName").first() {
            Some(bucket) => Named::new(vec![format!("arn:{}:s3:::{bucket}/*", self.partition())], false),
            None => Named::nothing(),
        }
    }

    /// A model by id, or an inference profile that sends the call to a model in some region.
    fn model(&self) -> Named {
        let listed: Vec<String> = self
            .listed()
            .iter()
            .filter(|arn| Arn::parse(arn).is_some_and(|arn| arn.service == "bedrock"))
            .map(|arn| (*arn).to_owned())
            .collect();
        if !listed.is_empty() {
            return Named::new(listed, true);
        }
        let values = find(self.request(), "modelId");
        let Some(model) = values.first().filter(|model| model.len() <= NAME_MAX && !model.is_empty()) else {
            return Named::nothing();
        };
        if model.starts_with("arn:") {
            return Named::new(vec![(*model).to_owned()], true);
        }
        let (partition, region) = (self.partition(), self.call.region.unwrap_or("*"));
        let geography = model.split_once('.').filter(|(head, _)| super::context::is_geography(head));
        match geography {
            Some((_, id)) => {
                let account = self.call.account.unwrap_or("*");
                let profile = format!("arn:{partition}:bedrock:{region}:{account}:inference-profile/{model}");
                Named::new(vec![profile, format!("arn:{partition}:bedrock:*::foundation-model/{id}")], false)
            }
            None => Named::new(
                vec![format!("arn:{partition}:bedrock:{region}::foundation-model/{model}")],
                region != "*",
            ),
        }
    }

    /// API Gateway's resources are the paths of its own API.
    fn gateway_path(&self) -> Named {
        let operation = self.call.operation;
        let Some((_, template)) = reference::gateway(operation) else { return Named::nothing() };
        let mut path = String::new();
        let mut known = true;
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((field, tail)) = after.split_once('}') else { break };
            path.push_str(before);
            match find(self.request(), field.trim_end_matches('+')).first() {
                Some(value) if value.len() <= NAME_MAX => path.push_str(value),
                _ => {
                    path.push('*');
                    known = false;
                }
            }
            rest = tail;
        }
        path.push_str(rest.split_once('?').map_or(rest, |(path, _)| path));
        let region = self.call.region.unwrap_or("*");
        Named::new(
            vec![format!("arn:{}:apigateway:{region}::{path}", self.partition())],
            known && region != "*",
        )
    }
}

/// A secret's ARN may be given without the six characters that AWS adds.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen>
fn whole_secrets(service: &str, arns: Vec<String>) -> Named {
    let is_whole = |arn: &String| {
        let end = arn.rsplit_once('-').map_or("", |(_, end)| end);
        end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if service != "secretsmanager" || arns.iter().all(is_whole) {
        return Named::new(arns, true);
    }
    let bound = |arn: String| if is_whole(&arn) { arn } else { format!("{arn}-??????") };
    Named::new(arns.into_iter().map(bound).collect(), false)
}
