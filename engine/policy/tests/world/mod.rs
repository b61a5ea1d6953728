//! Small accounts made up at random: their policies, and what is asked of them

use std::sync::Arc;

use policy::aws::{Kind, Layers, OnResource, Policy, Principal};
use policy::context::{Context, Fact};
use serde_json::{Map, Value, json};

/// Splitmix64: <https://prng.di.unimi.it/splitmix64.c>
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What a world is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Family {
    Bucket,
    Key,
    Role,
    Queue,
}

pub fn family_of(question: &Value) -> Family {
    match question["family"].as_str().unwrap() {
        "Bucket" => Family::Bucket,
        "Key" => Family::Key,
        "Role" => Family::Role,
        _ => Family::Queue,
    }
}

/// Whether the statements of a list say whom they mean.
pub fn names_principals(list: &str) -> Whom {
    match list {
        "resource_policy" | "endpoint_policies" => Whom::Some,
        "rcps" => Whom::Everyone,
        _ => Whom::Unsaid,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Whom {
    Some,
    Everyone,
    Unsaid,
}

const PRINCIPALS: [&str; 9] = [
    "arn:aws:iam::111122223333:user/ann",
    "arn:aws:iam::111122223333:user/team/bob",
    "arn:aws:sts::111122223333:assumed-role/app/one",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:iam::111122223333:root",
    "arn:aws:sts::111122223333:federated-user/fay",
    "arn:aws:sts::444455556666:assumed-role/app/one",
    "arn:aws:iam::444455556666:user/ann",
    "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForX/x",
];

const NAMED: [&str; 12] = [
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/ann",
    "arn:aws:iam::111122223333:user/team/bob",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:iam::111122223333:role/team/app",
    "arn:aws:sts::111122223333:assumed-role/app/one",
    "arn:aws:sts::111122223333:assumed-role/app/two",
    "arn:aws:sts::111122223333:federated-user/fay",
    "arn:aws:iam::444455556666:role/app",
];

const ACTIONS: [(&[&str], &[&str]); 4] = [
    (
        &["s3:GetObject", "s3:PutObject", "S3:getobject"],
        &["s3:*", "s3:Get*", "s3:?utObject", "S3:GETOBJECT", "*"],
    ),
    (&["kms:Decrypt"], &["kms:*", "kms:Decrypt", "*"]),
    (&["sts:AssumeRole"], &["sts:*", "sts:AssumeRole*", "sts:AssumeRole", "*"]),
    (&["sqs:SendMessage", "sqs:ReceiveMessage"], &["sqs:*", "sqs:Send*", "sqs:*Message", "*"]),
];

const RESOURCES: [(&[&str], &[&str]); 4] = [
    (
        &["arn:aws:s3:::a/k", "arn:aws:s3:::a/ann/k", "arn:aws:s3:::b", "arn:aws:s3:::a/red/k"],
        &[
            "*",
            "arn:aws:s3:::a/*",
            "arn:aws:s3:::*",
            "arn:*:s3:::a/?",
            "arn:aws:s3:::a/${aws:username}/*",
            "arn:aws:s3:::a/${aws:PrincipalTag/team, 'red'}/*",
            "arn:aws:s3:::b",
            "arn:aws:s3:::a/k",
            "arn:aws:s3:::a/*/k",
        ],
    ),
    (
        &["arn:aws:kms:eu-west-1:111122223333:key/1", "arn:aws:kms:eu-west-1:444455556666:key/1"],
        &["*", "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:*:*:key/?", "arn:aws:kms:us-*:*:*"],
    ),
    (
        &["arn:aws:iam::111122223333:role/deploy", "arn:aws:iam::444455556666:role/deploy"],
        &["*", "arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/dep*", "arn:aws:iam::*:role/other"],
    ),
    (
        &["arn:aws:sqs:eu-west-1:111122223333:q", "arn:aws:sqs:eu-west-1:444455556666:q"],
        &[
            "*",
            "arn:aws:sqs:*:*:q",
            "arn:aws:sqs:eu-*:111122223333:*",
            "arn:aws:sqs:*:${aws:PrincipalAccount}:q",
        ],
    ),
];

const KEYS: [&str; 6] = [
    "aws:TagKeys",
    "aws:username",
    "aws:PrincipalTag/team",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalArn",
    "aws:ResourceAccount",
];

const VALUES: [&str; 8] = [
    "ann",
    "red",
    "blue",
    "true",
    "false",
    "111122223333",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:iam::111122223333:user/ann",
];

const OPERATORS: [&str; 12] = [
    "StringEquals",
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringNotEqualsIfExists",
    "ForAnyValue:StringEquals",
    "ForAllValues:StringLike",
    "ForAnyValue:StringNotEquals",
    "Null",
    "Bool",
];

/// Some of a few, in a list, or alone without one.
fn some(random: &mut Random, choices: &[&str]) -> Value {
    if random.one_in(3) {
        return json!([random.of(choices), random.of(choices)]);
    }
    json!(random.of(choices))
}

/// What a request carries of a key that has one value.
pub fn value(random: &mut Random) -> Value {
    json!(random.of(&VALUES))
}

fn condition(random: &mut Random) -> Value {
    let mut operators = Map::new();
    for _ in 0..1 + random.below(2) {
        let operator = *random.of(&OPERATORS);
        // Only the operators of sets are asked of a key with several values.
        let is_set = operator.starts_with("For") || operator == "Null";
        let key = if is_set { *random.of(&KEYS) } else { *random.of(&KEYS[1..]) };
        let wanted = match operator {
            "Null" | "Bool" => json!(random.of(&["true", "false"])),
            _ if random.one_in(4) => json!(random.of(&["*", "?ed", "arn:aws:iam::*:role/*", "a*"])),
            _ => some(random, &VALUES),
        };
        operators.insert(operator.to_owned(), json!({key: wanted}));
    }
    Value::Object(operators)
}

fn principals(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!("*"),
        1 => json!({"Service": some(random, &["sns.amazonaws.com", "ecs.amazonaws.com"])}),
        2 => json!({"AWS": some(random, &NAMED), "Service": "sns.amazonaws.com"}),
        _ => json!({"AWS": some(random, &NAMED)}),
    }
}

pub fn statement(family: Family, whom: Whom, random: &mut Random) -> Value {
    let mut statement = json!({"Effect": if random.one_in(9) { "Deny" } else { "Allow" }});
    let foreign = random.one_in(8);
    let about = if foreign { random.below(4) } else { family as usize };
    let action = if random.one_in(10) { "NotAction" } else { "Action" };
    statement[action] = some(random, ACTIONS[about].1);
    // A trust policy names no resource.
    if !(family == Family::Role && whom == Whom::Some) {
        let resource = if random.one_in(10) { "NotResource" } else { "Resource" };
        statement[resource] = some(random, RESOURCES[about].1);
    }
    if whom == Whom::Everyone {
        statement["Principal"] = json!("*");
    } else if whom == Whom::Some {
        let element = if random.one_in(8) { "NotPrincipal" } else { "Principal" };
        statement[element] = principals(random);
    }
    if random.one_in(2) {
        statement["Condition"] = condition(random);
    }
    statement
}

pub fn document(family: Family, whom: Whom, random: &mut Random) -> Value {
    let count = 1 + random.below(3);
    let statements: Vec<Value> = (0..count).map(|_| statement(family, whom, random)).collect();
    let mut document = json!({"Statement": statements});
    match random.below(10) {
        0 => {}
        1 => document["Version"] = json!("2008-10-17"),
        _ => document["Version"] = json!("2012-10-17"),
    }
    document
}

/// Every layer that a question can have, and the question.
pub struct World {
    pub question: Value,
    family: Family,
}

impl World {
    pub fn new(random: &mut Random) -> World {
        let family = *random.of(&[Family::Bucket, Family::Key, Family::Role, Family::Queue]);
        // The endpoint's statements name resources; a role's world has trust policies only.
        let list = |chance: usize, whom: Whom, random: &mut Random| -> Value {
            let family = if whom == Whom::Some && family == Family::Role { Family::Queue } else { family };
            let count = if random.one_in(chance) { 1 + random.below(2) } else { 0 };
            (0..count).map(|_| document(family, whom, random)).collect()
        };
        let levels = |whom: Whom, random: &mut Random| -> Value {
            let count = if random.one_in(4) { 1 + random.below(2) } else { 0 };
            (0..count).map(|_| list(1, whom, random)).collect()
        };
        let question = json!({
            "family": format!("{family:?}"),
            "identity_policies": list(1, Whom::Unsaid, random),
            "boundaries": list(4, Whom::Unsaid, random),
            "session_policies": list(4, Whom::Unsaid, random),
            "scps": levels(Whom::Unsaid, random),
            "rcps": levels(Whom::Everyone, random),
            "resource_policy": if random.one_in(4) { Value::Null } else { document(family, Whom::Some, random) },
            "endpoint_policies": list(8, Whom::Some, random),
        });
        World { question, family }
    }

    /// Puts another request.
    pub fn ask(&mut self, principal: &Value, random: &mut Random) {
        let about = self.family as usize;
        let mut resource = json!({"arn": random.of(RESOURCES[about].0)});
        if random.one_in(4) {
            resource["account"] = json!(random.of(&["111122223333", "444455556666"]));
        }
        let mut context = Map::new();
        let mut unknown = Vec::new();
        for key in KEYS {
            match random.below(8) {
                0 | 1 => {
                    let value = if key == KEYS[0] { some(random, &VALUES) } else { value(random) };
                    context.insert(key.to_owned(), value);
                }
                2 | 3 => unknown.push(if random.one_in(4) { "aws:PrincipalTag/*" } else { key }),
                _ => {}
            }
        }
        if random.one_in(10) {
            context.insert("aws:TagKeys".to_owned(), json!([]));
        }
        unknown.retain(|key| !context.contains_key(*key));
        self.question["request"] = json!({
            "principal": principal,
            "action": random.of(ACTIONS[about].0),
            "resource": resource,
            "context": context,
            "unknown_keys": unknown,
        });
    }
}

pub fn principal(random: &mut Random) -> Value {
    match random.below(12) {
        0 => json!({"service": "sns.amazonaws.com"}),
        1 => json!({"anonymous": true}),
        2 => Value::Null,
        _ => json!(random.of(&PRINCIPALS)),
    }
}

/// What a request carries, with what AWS adds.
pub fn context(request: &Value, principal: Option<&Principal>) -> Context {
    let mut context = Context::complete();
    if let Some(principal) = principal {
        principal.tell(&mut context);
    }
    let told = request["resource"]["account"].as_str();
    let arn = request["resource"]["arn"].as_str().unwrap();
    if let Some(owner) = told.or_else(|| policy::aws::account_of(arn)) {
        context.set("aws:ResourceAccount", Fact::one(owner));
    }
    for (key, value) in request["context"].as_object().unwrap() {
        let values = match value {
            Value::Array(values) => values.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap().to_owned()],
        };
        context.set(key, Fact::Values(values));
    }
    for key in request["unknown_keys"].as_array().unwrap() {
        context.set(key.as_str().unwrap(), Fact::Unknown);
    }
    context
}

/// The documents of a question, read once for many requests.
pub struct Read {
    identity: Vec<Arc<Policy>>,
    boundary: Vec<Arc<Policy>>,
    session: Vec<Arc<Policy>>,
    scps: Vec<Vec<Arc<Policy>>>,
    rcps: Vec<Vec<Arc<Policy>>>,
    resource: Option<Arc<Policy>>,
    endpoint: Vec<Arc<Policy>>,
}

impl Read {
    pub fn new(question: &Value) -> Read {
        let one = |kind: Kind, name: &str, document: &Value| {
            Arc::new(
                Policy::from_json_as(kind, name, document)
                    .unwrap_or_else(|error| panic!("{error}: {document}")),
            )
        };
        let list = |kind: Kind, name: &str, list: &Value| -> Vec<Arc<Policy>> {
            list.as_array().unwrap().iter().map(|document| one(kind, name, document)).collect()
        };
        let levels = |kind: Kind, name: &str| -> Vec<Vec<Arc<Policy>>> {
            question[name].as_array().unwrap().iter().map(|level| list(kind, name, level)).collect()
        };
        let kind = if family_of(question) == Family::Role { Kind::Trust } else { Kind::Resource };
        let own = &question["resource_policy"];
        Read {
            identity: list(Kind::Identity, "identity", &question["identity_policies"]),
            boundary: list(Kind::Identity, "boundary", &question["boundaries"]),
            session: list(Kind::Session, "session", &question["session_policies"]),
            scps: levels(Kind::ServiceControl, "scps"),
            rcps: levels(Kind::ResourceControl, "rcps"),
            resource: (!own.is_null()).then(|| one(kind, "resource", own)),
            endpoint: list(Kind::Endpoint, "endpoint", &question["endpoint_policies"]),
        }
    }

    pub fn layers(&self) -> Layers<'_> {
        Layers {
            identity: &self.identity,
            boundary: (!self.boundary.is_empty()).then_some(&self.boundary),
            session: (!self.session.is_empty()).then_some(&self.session),
            scps: &self.scps,
            rcps: &self.rcps,
            resource: self.resource.as_ref().map_or(OnResource::None, OnResource::Policy),
            endpoint: &self.endpoint,
            unjudged: &[],
        }
    }

    pub fn principal(&self, principal: &Value) -> Option<Principal> {
        if let Some(service) = principal["service"].as_str() {
            return Some(Principal::service(service));
        }
        if principal["anonymous"] == true {
            return Some(Principal::anonymous());
        }
        principal.as_str().map(|arn| Principal::parse(arn).unwrap())
    }
}
