//! A resource type's ARN, filled with what the call names

use super::facts::Facts;
use super::request::{find_folded, find_told, keys_of};
use super::resource::{NAME_MAX, RESOURCES_MAX};
use crate::reference::{self, Field, Part, Permission, ResourceType};
use policy::arn::{Arn, partition_of};
use policy::wildcard::{Match, Target};

/// What came of filling an ARN.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) resources: Vec<String>,
    pub(super) exact: bool,
    /// One of them is the truth.
    pub(super) one_of: bool,
}

/// A name out of a request, and whether it is the whole of it.
struct Named {
    texts: Vec<String>,
    exact: bool,
    one_of: bool,
}

/// Room for most ARNs.
const ARN_BYTES: usize = 96;

impl Facts<'_> {
    /// Fills a type's ARN. A variable that the call does not tell becomes `*`, and the ARN a bound.
    pub(super) fn fill(&self, permission: &Permission, kind: &ResourceType) -> Filled {
        let service = permission.service;
        let last = kind.parts.iter().rposition(|part| matches!(part, Part::Name(_)));
        let mut called: Vec<(usize, Named)> = Vec::new();
        for (at, part) in kind.parts.iter().enumerate() {
            if let Part::Name(fields) = part
                && let Some(name) = self.called(permission, kind, fields, last == Some(at))
            {
                called.push((at, name));
            }
        }
        // Without a name it would bound nothing worth the mention, save where the type has none to give, and where AWS
        // itself asks for `instance/*`, the instance being not yet there.
        // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html
        let yet_to_come = service == "ec2"
            && self.call.operation == "RunInstances"
            && matches!(kind.name, "instance" | "volume" | "network-interface");
        let named = called.iter().any(|(_, name)| name.exact || name.texts.iter().any(|text| text != "*"));
        if !named && last.is_some() && !yet_to_come {
            return Filled::default();
        }
        let mut arns = vec![String::with_capacity(ARN_BYTES)];
        let (mut exact, mut one_of) = (true, false);
        let mut append = |arns: &mut Vec<String>, text: Option<&str>| {
            let text = text.filter(|text| !text.is_empty());
            exact &= text.is_some();
            arns.iter_mut().for_each(|arn| arn.push_str(text.unwrap_or("*")));
        };
        let mut is_exact = true;
        for (at, part) in kind.parts.iter().enumerate() {
            match part {
                Part::Text(text) => arns.iter_mut().for_each(|arn| arn.push_str(text)),
                Part::Partition => append(&mut arns, Some(self.partition())),
                Part::Region => append(&mut arns, self.call.region),
                Part::Account => append(&mut arns, self.account(service)),
                Part::Name(_) => {
                    let Some((_, name)) = called.iter().find(|(of, _)| *of == at) else {
                        append(&mut arns, None);
                        continue;
                    };
                    is_exact &= name.exact;
                    one_of |= name.one_of;
                    if let [text] = name.texts.as_slice() {
                        arns.iter_mut().for_each(|arn| arn.push_str(text));
                        continue;
                    }
                    let texts = name.texts.iter().take(RESOURCES_MAX);
                    let longer =
                        arns.iter().flat_map(|arn| texts.clone().map(move |text| format!("{arn}{text}")));
                    arns = longer.take(RESOURCES_MAX + 1).collect();
                }
            }
        }
        exact &= is_exact;
        for arn in &mut arns {
            // Every permission but those on tags sees a log group with this ending.
            // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
            if service == "logs" && kind.name == "log-group" && !arn.ends_with(":*") {
                arn.push_str(":*");
            }
        }
        Filled { resources: arns, exact, one_of }
    }

    /// What the call names one variable of an ARN: in its request, or in the response if it made the thing.
    fn called(
        &self,
        permission: &Permission,
        kind: &ResourceType,
        fields: &[Field],
        last: bool,
    ) -> Option<Named> {
        let alone = permission.types.len() == 1;
        for field in fields {
            if field.vague && !(last && (alone || self.is_about(kind.name))) {
                continue;
            }
            let mut values = match field.form {
                "keys" => keys_of(self.request(), &field.name),
                _ => find_folded(self.request(), &field.name),
            };
            values.retain(|value| !value.is_empty() && value.len() <= NAME_MAX);
            if values.is_empty() {
                continue;
            }
            return Some(self.spelled(&values, field.form, kind));
        }
        // EC2 makes more than the operation is called after: instances, their volumes, their interfaces.
        if last
            && !self.response().is_null()
            && (self.is_about(kind.name) || self.call.operation == "RunInstances")
        {
            for field in fields.iter().filter(|field| !field.vague) {
                let mut values = find_told(self.response(), &field.name);
                values.retain(|value| {
                    !value.is_empty() && value.len() <= NAME_MAX && !value.starts_with("arn:")
                });
                if !values.is_empty() {
                    return Some(self.spelled(&values, field.form, kind));
                }
            }
        }
        None
    }

    /// Applies a field's form to what the request gives.
    fn spelled(&self, values: &[&str], form: &str, kind: &ResourceType) -> Named {
        let mut found = Named { texts: Vec::new(), exact: true, one_of: false };
        for value in values {
            if let Some(name) = self.name_within(value, kind, form) {
                found.texts.push(name);
                continue;
            }
            // An ARN of another type, or a pattern, names nothing here.
            if value.starts_with("arn:") || value.contains('*') || value.contains('$') {
                found.exact = false;
                found.texts.push("*".to_owned());
                continue;
            }
            match form {
                "url" => found.texts.push(value.rsplit('/').next().unwrap_or(value).to_owned()),
                // A name, `name:alias`, or `account:function:name`.
                "function" => {
                    let name = value.split_once("function:").map_or(*value, |(_, name)| name);
                    found.texts.push(name.split_once(':').map_or(name, |(name, _)| name).to_owned());
                }
                // Which key an alias stands for is not in the call.
                "key" if value.starts_with("alias/") => {
                    found.exact = false;
                    found.texts.push("*".to_owned());
                }
                // `family`, or `family:revision`.
                "revision" => {
                    found.texts.push(value.split_once(':').map_or(*value, |(name, _)| name).to_owned())
                }
                // Below a first path segment, or `/hostedzone/Z1`.
                "last" => found.texts.push(value.rsplit('/').next().unwrap_or(value).to_owned()),
                "noslash" => found.texts.push(value.trim_start_matches('/').to_owned()),
                "random" => {
                    found.exact = false;
                    found.texts.push(format!("{value}-??????"));
                }
                "path" => self.with_path(value, kind, values.len() == 1, &mut found),
                _ => found.texts.push((*value).to_owned()),
            }
        }
        found
    }

    /// IAM's names may stand below a path that requests leave out; a creation gives it.
    fn with_path(&self, name: &str, kind: &ResourceType, alone: bool, found: &mut Named) {
        let head = kind.name;
        if let Some(arn) = self.looked_up(head, name)
            && let Some(known) =
                Arn::parse(&arn).and_then(|arn| arn.resource.split_once('/').map(|(_, rest)| rest.to_owned()))
        {
            found.texts.push(known);
            return;
        }
        let path = find_folded(self.request(), "path").first().copied();
        if let Some(path) = path.filter(|path| {
            self.call.operation.starts_with("Create") && path.starts_with('/') && path.ends_with('/')
        }) {
            found.texts.push(format!("{}{name}", path.trim_start_matches('/')));
            return;
        }
        // Left out on creation, it is the root's.
        // https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
        if path.is_none() && self.call.operation.starts_with("Create") && self.is_about(head) {
            found.texts.push(name.to_owned());
            return;
        }
        found.exact = false;
        found.one_of = alone;
        found.texts.push(name.to_owned());
        found.texts.push(format!("*/{name}"));
    }

    /// The name in an ARN of what lies below: the function of a version's ARN, the table of an index's.
    fn name_within(&self, value: &str, kind: &ResourceType, form: &str) -> Option<String> {
        let arn = Arn::parse(value)?;
        let here = |account: &str| account.is_empty() || self.call.account.is_none_or(|own| own == account);
        if kind.pattern.split(':').nth(2) != Some(arn.service) || !here(arn.account) {
            return None;
        }
        if form == "function" {
            let (_, name) = value.split_once(":function:")?;
            return Some(name.split_once(':').map_or(name, |(name, _)| name).to_owned());
        }
        let head = kind.pattern.rsplit(':').next()?.split('*').next().filter(|head| !head.is_empty())?;
        let name = arn.resource.strip_prefix(head)?.split(['/', ':']).next()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    pub(super) fn partition(&self) -> &str {
        let listed = self.listed().iter().find_map(|arn| Arn::parse(arn)).map(|arn| arn.partition);
        listed.unwrap_or_else(|| self.call.region.map_or("aws", partition_of))
    }

    fn account(&self, service: &str) -> Option<&str> {
        // A queue's URL carries its own account: https://sqs.eu-west-1.amazonaws.com/111122223333/orders
        if service == "sqs"
            && let Some(url) = find_folded(self.request(), "queueurl").first()
            && let Some((_, path)) =
                url.split_once(".amazonaws.com").and_then(|(_, rest)| rest.split_once('/'))
            && let Some(account) = path.split('/').next()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
        {
            return Some(account);
        }
        self.call.account
    }
}

/// Whether another type of the service describes the ARN more closely: `bucket/key` is an object, not a bucket.
pub(super) fn is_closer(service: &str, arn: &str, kind: &ResourceType) -> bool {
    let all = reference::types_of(service);
    let closer = kind.closer.get_or_init(|| {
        let is_closer = |other: &ResourceType| {
            other.literal > kind.literal
                && kind.compiled.matches(Target::Within(&other.pattern)) == Match::Yes
        };
        all.iter().enumerate().filter(|(_, other)| is_closer(other)).map(|(at, _)| at).collect()
    });
    let mut closer = closer.iter().filter_map(|at| all.get(*at));
    closer.any(|other| other.compiled.matches(Target::Exact(arn)) == Match::Yes)
}
