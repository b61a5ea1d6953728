//! Which resources a call touched: `resources[]`, then the request's own fields, then the response

use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::request::{find, is_empty, same, strings};
use super::{Call, json, percent_decoded};
use crate::reference::{self, Permission, ResourceType};
use policy::arn::{Arn, partition_of};
use policy::wildcard::{ArnPattern, Match, Target};

/// Resources of one permission that we name at most; a call with more is known in part only.
const RESOURCES_MAX: usize = 100;
/// Longest name or ARN that we take from a request.
const NAME_MAX: usize = 2_048;

/// A call's text, parsed when first asked for.
pub(super) struct Facts<'a> {
    call: &'a Call<'a>,
    request: OnceCell<Value>,
    response: OnceCell<Value>,
}

/// A name out of a request, and whether it is the whole of it.
struct Named {
    texts: Vec<String>,
    exact: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(call: &'a Call<'a>) -> Facts<'a> {
        Facts { call, request: OnceCell::new(), response: OnceCell::new() }
    }

    fn request(&self) -> &Value {
        self.request.get_or_init(|| json(self.call.request))
    }

    fn response(&self) -> &Value {
        self.response.get_or_init(|| json(self.call.response))
    }

    /// Whether the request has a field of this name, with something in it.
    pub(super) fn has_field(&self, name: &str) -> bool {
        let Some(request) = self.request().as_object() else { return false };
        request.iter().any(|(key, value)| same(key, name) && !is_empty(value))
    }

    /// Whether the request hands a role to the service.
    pub(super) fn names_a_role(&self) -> bool {
        self.call.request.is_some_and(|text| text.contains(":role/")) && !self.roles().is_empty()
    }

    fn roles(&self) -> Vec<String> {
        let role = |text: &str| {
            Arn::parse(text).is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"))
        };
        strings(self.request())
            .filter(|text| role(text))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The resources of one permission, and whether they are all.
    pub(super) fn resources(&self, permission: &str, source: bool) -> (Vec<String>, bool) {
        if permission == "iam:PassRole" {
            let roles = self.roles();
            let known = !roles.is_empty();
            return (roles, known);
        }
        if source {
            return self.copy_source();
        }
        if permission.starts_with("apigateway:") {
            return self.gateway_path();
        }
        // Tags given on creation are put on what is created: it has no name yet.
        if permission == "ec2:CreateTags" && self.call.operation != "CreateTags" {
            return (Vec::new(), false);
        }
        if permission == "s3:DeleteObject" || permission == "s3:DeleteObjectVersion" {
            return self.deleted_objects();
        }
        if permission.starts_with("bedrock:InvokeModel") {
            return self.model();
        }
        let Some(known) = reference::permission(permission) else {
            return (Vec::new(), false);
        };
        if known.types.is_empty() {
            return (Vec::new(), true);
        }
        self.of_types(known)
    }

    /// By the permission's own resource types: every required one, else any one of them.
    fn of_types(&self, permission: &Permission) -> (Vec<String>, bool) {
        let mut whole: Vec<String> = Vec::new();
        let mut bounds: Vec<String> = Vec::new();
        let mut missing = false;
        let add = |list: &mut Vec<String>, found: Vec<String>| {
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
            match self.of_type(permission, known) {
                (found, true) if !found.is_empty() => add(&mut whole, found),
                (found, _) if kind.required => {
                    missing = true;
                    add(&mut whole, found);
                }
                (found, _) => add(&mut bounds, found),
            }
        }
        // A type that the call may touch bounds it only where nothing better is known: `GetObject` has either a
        // bucket's object or an access point's.
        let known = !missing && !whole.is_empty() && whole.len() <= RESOURCES_MAX;
        let mut all = if whole.is_empty() { bounds } else { whole };
        all.truncate(RESOURCES_MAX);
        (all, known)
    }

    fn of_type(&self, permission: &Permission, kind: &ResourceType) -> (Vec<String>, bool) {
        let pattern = ArnPattern::new(&kind.pattern);
        let is_kind = |arn: &str| {
            arn.len() <= NAME_MAX
                && pattern.matches(Target::Exact(arn)) == Match::Yes
                && !is_closer(permission.service, arn, kind)
        };
        let listed: Vec<String> =
            self.call.resources.iter().filter(|arn| is_kind(arn)).map(|arn| (*arn).to_owned()).collect();
        if !listed.is_empty() {
            return (listed, true);
        }
        let (found, exact) = self.requested(permission.service, kind, &is_kind);
        if exact && !found.is_empty() {
            return (found, true);
        }
        // The response is AWS's own: it names what was made, and a role's path. What it says beside the request is not
        // this call's resource.
        let bounds: Vec<ArnPattern> = found.iter().map(|bound| ArnPattern::new(bound)).collect();
        let within = |arn: &str| {
            bounds.is_empty() || bounds.iter().any(|bound| bound.matches(Target::Exact(arn)) == Match::Yes)
        };
        let told: BTreeSet<&str> =
            strings(self.response()).filter(|text| is_kind(text) && within(text)).collect();
        if told.is_empty() {
            return (found, false);
        }
        (told.into_iter().map(str::to_owned).collect(), true)
    }

    /// An ARN that the request gives whole, else the type's ARN with its variables filled in.
    fn requested(
        &self,
        service: &str,
        kind: &ResourceType,
        is_kind: &dyn Fn(&str) -> bool,
    ) -> (Vec<String>, bool) {
        let Some(request) = self.request().as_object() else { return (Vec::new(), false) };
        let mut arns: Vec<String> = Vec::new();
        for value in request.values() {
            let texts: Vec<&str> = match value {
                Value::String(text) => vec![text],
                Value::Array(list) => list.iter().filter_map(Value::as_str).take(RESOURCES_MAX).collect(),
                _ => continue,
            };
            arns.extend(
                texts.into_iter().filter(|text| text.starts_with("arn:") && is_kind(text)).map(str::to_owned),
            );
        }
        if !arns.is_empty() {
            return (arns, true);
        }
        self.fill(service, kind)
    }

    /// Fills a type's ARN. A variable that the request does not tell becomes `*`, and the ARN a bound.
    fn fill(&self, service: &str, kind: &ResourceType) -> (Vec<String>, bool) {
        let mut arns = vec![String::new()];
        let (mut exact, mut named) = (true, false);
        let mut rest = kind.arn;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((variable, tail)) = after.split_once('}') else { break };
            rest = tail;
            let value = match variable {
                "Partition" => Named { texts: vec![self.partition().to_owned()], exact: true },
                "Region" => one_or_any(self.call.region),
                "Account" => one_or_any(self.account(service)),
                name => {
                    let value = self.name(service, name);
                    named |= value.exact || value.texts.iter().any(|text| text != "*");
                    value
                }
            };
            exact &= value.exact;
            let mut longer = Vec::new();
            for arn in &arns {
                for text in value.texts.iter().take(RESOURCES_MAX) {
                    longer.push(format!("{arn}{before}{text}"));
                }
            }
            longer.truncate(RESOURCES_MAX + 1);
            arns = longer;
        }
        // Without a name it would bound nothing worth the mention, save where the type has none to give.
        if !named
            && kind.arn.matches("${").count()
                > kind.arn.matches("${Partition}").count()
                    + kind.arn.matches("${Region}").count()
                    + kind.arn.matches("${Account}").count()
        {
            return (Vec::new(), false);
        }
        for arn in &mut arns {
            arn.push_str(rest);
            // Every permission but those on tags sees a log group with this ending.
            // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
            if service == "logs" && kind.name == "log-group" && !arn.ends_with(":*") {
                arn.push_str(":*");
            }
        }
        (arns, exact)
    }

    /// What the request calls one variable of an ARN.
    fn name(&self, service: &str, variable: &str) -> Named {
        let own = [(variable.strip_suffix("WithPath").unwrap_or(variable), "")];
        let fields = reference::fields(service, variable).iter().map(|field| (field.name, field.form));
        for (field, form) in fields.chain(own) {
            let mut values = find(self.request(), field);
            values.retain(|value| !value.is_empty() && value.len() <= NAME_MAX);
            if values.is_empty() {
                continue;
            }
            return spelled(&values, form);
        }
        Named { texts: vec!["*".into()], exact: false }
    }

    fn partition(&self) -> &'a str {
        let listed = self.call.resources.iter().find_map(|arn| Arn::parse(arn)).map(|arn| arn.partition);
        listed.unwrap_or_else(|| self.call.region.map_or("aws", partition_of))
    }

    fn account(&self, service: &str) -> Option<&'a str> {
        // A queue's URL carries its own account: https://sqs.eu-west-1.amazonaws.com/111122223333/orders
        if service == "sqs"
            && let Some(text) = self.call.request
            && let Some((_, path)) = text.split_once(".amazonaws.com/")
            && let Some(account) = path.get(..12)
            && account.bytes().all(|b| b.is_ascii_digit())
        {
            return Some(account);
        }
        self.call.account
    }

    /// `x-amz-copy-source`: `bucket/key`, with or without a leading slash, percent-encoded, maybe with a version.
    fn copy_source(&self) -> (Vec<String>, bool) {
        let value = find(self.request(), "x-amz-copy-source")
            .into_iter()
            .chain(find(self.request(), "copySource"))
            .next();
        let Some(value) = value else { return (Vec::new(), false) };
        let value = value.split_once('?').map_or(value, |(path, _)| path);
        let path = percent_decoded(value.trim_start_matches('/'));
        if path.starts_with("arn:") {
            return (vec![path], true);
        }
        if !path.contains('/') {
            return (Vec::new(), false);
        }
        (vec![format!("arn:{}:s3:::{path}", self.partition())], true)
    }

    /// DeleteObjects names its keys in the body, which CloudTrail leaves out of the request.
    fn deleted_objects(&self) -> (Vec<String>, bool) {
        let Some(permission) = reference::permission("s3:DeleteObject") else { return (Vec::new(), false) };
        let (found, known) = self.of_types(permission);
        if self.call.operation != "DeleteObjects" || self.has_field("key") {
            return (found, known);
        }
        if !found.is_empty() && self.call.resources.iter().any(|arn| found.iter().any(|one| one == arn)) {
            return (found, known);
        }
        match find(self.request(), "bucketName").first() {
            Some(bucket) => (vec![format!("arn:{}:s3:::{bucket}/*", self.partition())], false),
            None => (Vec::new(), false),
        }
    }

    /// A model by id, or an inference profile that sends the call to a model in some region.
    fn model(&self) -> (Vec<String>, bool) {
        let listed: Vec<String> = self
            .call
            .resources
            .iter()
            .filter(|arn| Arn::parse(arn).is_some_and(|arn| arn.service == "bedrock"))
            .map(|arn| (*arn).to_owned())
            .collect();
        if !listed.is_empty() {
            return (listed, true);
        }
        let values = find(self.request(), "modelId");
        let Some(model) = values.first().filter(|model| model.len() <= NAME_MAX && !model.is_empty()) else {
            return (Vec::new(), false);
        };
        if model.starts_with("arn:") {
            return (vec![(*model).to_owned()], true);
        }
        let (partition, region) = (self.partition(), self.call.region.unwrap_or("*"));
        let geography = model.split_once('.').filter(|(head, _)| {
            matches!(*head, "us" | "eu" | "apac" | "ap" | "jp" | "au" | "ca" | "global" | "us-gov")
        });
        match geography {
            Some((_, id)) => {
                let account = self.call.account.unwrap_or("*");
                let profile = format!("arn:{partition}:bedrock:{region}:{account}:inference-profile/{model}");
                (vec![profile, format!("arn:{partition}:bedrock:*::foundation-model/{id}")], false)
            }
            None => {
                (vec![format!("arn:{partition}:bedrock:{region}::foundation-model/{model}")], region != "*")
            }
        }
    }

    /// API Gateway's resources are the paths of its own API.
    fn gateway_path(&self) -> (Vec<String>, bool) {
        let operation = self.call.operation;
        let Some((_, template)) = reference::gateway(operation) else { return (Vec::new(), false) };
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
        (vec![format!("arn:{}:apigateway:{region}::{path}", self.partition())], known && region != "*")
    }
}

fn one_or_any(text: Option<&str>) -> Named {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Named { texts: vec![text.to_owned()], exact: true },
        None => Named { texts: vec!["*".into()], exact: false },
    }
}

/// Applies a field's form to what the request gives.
fn spelled(values: &[&str], form: &str) -> Named {
    let mut texts = Vec::new();
    let mut exact = true;
    for value in values {
        // An ARN of another type, or a pattern, names nothing here.
        if value.starts_with("arn:") || value.contains('*') {
            exact = false;
            texts.push("*".to_owned());
            continue;
        }
        match form {
            "url" => texts.push(value.rsplit('/').next().unwrap_or(value).to_owned()),
            // A name, `name:alias`, or `account:function:name`.
            "function" => {
                let name = value.split_once("function:").map_or(*value, |(_, name)| name);
                texts.push(name.split_once(':').map_or(name, |(name, _)| name).to_owned());
            }
            "noslash" => texts.push(value.trim_start_matches('/').to_owned()),
            "random" => {
                exact = false;
                texts.push(format!("{value}-??????"));
            }
            "path" => {
                exact = false;
                texts.push((*value).to_owned());
                texts.push(format!("*/{value}"));
            }
            _ => texts.push((*value).to_owned()),
        }
    }
    Named { texts, exact }
}

/// Whether another type of the service describes the ARN more closely: `bucket/key` is an object, not a bucket.
fn is_closer(service: &str, arn: &str, kind: &ResourceType) -> bool {
    let others = reference::types_of(service).iter().filter(|other| other.literal > kind.literal);
    others
        .filter(|other| is_narrower(&other.pattern, &kind.pattern))
        .any(|other| ArnPattern::new(&other.pattern).matches(Target::Exact(arn)) == Match::Yes)
}

fn is_narrower(inner: &str, outer: &str) -> bool {
    ArnPattern::new(outer).matches(Target::Within(inner)) == Match::Yes
}
