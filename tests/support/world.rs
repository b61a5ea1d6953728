//! Calls of made-up agents, by the million: small enough to hold, written as CloudTrail files when they are needed.
//!
//! [`super::oracle`] says which findings they must come to.

use super::folder::Folder;
use super::records::{self, ACCOUNT};
use chrono::{DateTime, SecondsFormat};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One thing that an agent may do.
#[derive(Debug)]
pub struct Deed {
    /// `s3:GetObject`: service and operation, and the permission too.
    pub permission: &'static str,
    /// How it is declared in every agent's manifest.
    pub declared: Declared,
    /// What AWS says that it needs.
    pub level: Level,
    /// Whether it destroys, makes credentials, or stops the logs.
    pub harm: Harm,
    /// How often it is done, against the others.
    weight: u32,
}

/// What the manifest says of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    No,
    /// On objects of `acme-tickets` alone.
    OnTickets,
    Everywhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    List,
    Read,
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    None,
    Destroys,
    Mints,
    Blinds,
}

const fn deed(permission: &'static str, declared: Declared, level: Level, harm: Harm, weight: u32) -> Deed {
    Deed { permission, declared, level, harm, weight }
}

/// Everything that agents do.
pub const DEEDS: [Deed; 9] = [
    deed("s3:GetObject", Declared::OnTickets, Level::Read, Harm::None, 400),
    deed("s3:PutObject", Declared::OnTickets, Level::Write, Harm::None, 200),
    deed("dynamodb:GetItem", Declared::Everywhere, Level::Read, Harm::None, 300),
    deed("kms:Decrypt", Declared::Everywhere, Level::Write, Harm::None, 40),
    deed("dynamodb:ListTables", Declared::No, Level::List, Harm::None, 10),
    deed("s3:DeleteObject", Declared::No, Level::Write, Harm::Destroys, 10),
    deed("ec2:TerminateInstances", Declared::No, Level::Write, Harm::Destroys, 5),
    deed("iam:CreateAccessKey", Declared::No, Level::Write, Harm::Mints, 3),
    deed("cloudtrail:StopLogging", Declared::No, Level::Write, Harm::Blinds, 2),
];

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Success,
    /// By a guardrail, in words.
    Denied,
    /// For a reason of its own.
    Failed,
}

/// One call, and so one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub number: u32,
    pub agent: u16,
    pub deed: u8,
    /// Of an object: in `acme-invoices`, not in `acme-tickets`.
    pub elsewhere: bool,
    pub end: End,
    /// Seconds since 1970.
    pub at: i64,
}

/// All calls of a company, in no order.
#[derive(Debug, Clone)]
pub struct World {
    pub seed: u64,
    pub agents: u16,
    pub calls: Vec<Call>,
}

/// What a world is made by.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub agents: u16,
    /// Calls of the last half hour.
    pub burst: u32,
    /// Calls of each agent on each of the ten days that end the day before yesterday, at noon.
    pub each_day: u32,
    /// When it is, in seconds since 1970.
    pub now: i64,
}

const DAY: i64 = 86_400;

impl World {
    /// The world of a seed.
    pub fn of(seed: u64, shape: Shape) -> World {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let Shape { agents, burst, each_day, now } = shape;
        let mut calls = Vec::with_capacity((burst + 10 * each_day * u32::from(agents)) as usize);
        let weights: u32 = DEEDS.iter().map(|deed| deed.weight).sum();
        let mut call = |agent: u16, at: i64, harmless: bool, dice: &mut ChaCha8Rng| {
            let deed = if harmless {
                // What is usual; the rest of the deeds is new in the burst.
                [0u8, 1, 2][dice.random_range(0..3)]
            } else {
                let mut left = dice.random_range(0..weights);
                let at = DEEDS.iter().position(|deed| {
                    let is_it = left < deed.weight;
                    left = left.saturating_sub(deed.weight);
                    is_it
                });
                at.unwrap() as u8
            };
            let end = match dice.random_range(0..40) {
                0 if !harmless => End::Denied,
                1 => End::Failed,
                _ => End::Success,
            };
            let elsewhere = !harmless && dice.random_bool(0.01);
            calls.push(Call { number: calls.len() as u32, agent, deed, elsewhere, end, at });
        };
        let noon = now.div_euclid(DAY) * DAY + DAY / 2;
        for day in 2..12 {
            for agent in 0..agents {
                for _ in 0..each_day {
                    let at = noon - day * DAY + dice.random_range(0..3000);
                    call(agent, at, true, &mut dice);
                }
            }
        }
        for number in 0..burst {
            let agent = if number < u32::from(agents) { number as u16 } else { dice.random_range(0..agents) };
            // Within half an hour: one incident for each agent, in whatever order the files come.
            let at = now - dice.random_range(5 * 60..35 * 60);
            call(agent, at, false, &mut dice);
        }
        World { seed, agents, calls }
    }

    /// The manifests of its agents.
    pub fn declare(&self, folder: &Folder) {
        for agent in 0..self.agents {
            let allow = [
                ("s3:GetObject, s3:PutObject", "arn:aws:s3:::acme-tickets/*"),
                ("dynamodb:GetItem, kms:Decrypt", "*"),
            ];
            folder.agent(&name(agent), &allow);
        }
    }

    /// Its calls in `files` files and in any order; one of `again_of` calls comes a second time, in any file.
    pub fn dealt(&self, files: usize, again_of: u32, dice: &mut impl Rng) -> Vec<Vec<Call>> {
        let mut order = self.calls.clone();
        let again: Vec<Call> = order.iter().filter(|_| dice.random_ratio(1, again_of)).copied().collect();
        order.extend(again);
        order.shuffle(dice);
        order.chunks(order.len().div_ceil(files.max(1)).max(1)).map(<[Call]>::to_vec).collect()
    }

    /// A log file of some of its calls.
    pub fn file(&self, calls: &[Call]) -> Vec<u8> {
        records::gzip(&self.text(calls))
    }

    /// As [`World::file`], not compressed.
    pub fn text(&self, calls: &[Call]) -> Vec<u8> {
        let records: Vec<String> = calls.iter().map(|call| self.record(call)).collect();
        format!("{{\"Records\":[{}]}}", records.join(",")).into_bytes()
    }

    /// The id of a call's event.
    pub fn event_id(&self, number: u32) -> String {
        format!("{:08x}-0000-4000-8000-{number:012x}", self.seed as u32)
    }

    // Written by hand: a million of them, and the test profile is slow.
    fn record(&self, call: &Call) -> String {
        let deed = &DEEDS[call.deed as usize];
        let (service, operation) = deed.permission.split_once(':').unwrap();
        let (agent, id) = (name(call.agent), self.event_id(call.number));
        let time = DateTime::from_timestamp(call.at, 0).unwrap().to_rfc3339_opts(SecondsFormat::Secs, true);
        let is_data = operation.ends_with("Object") || operation.ends_with("Item");
        let reads = deed.level != Level::Write;
        let bucket = call.bucket();
        let (request, resources) = match operation {
            "GetObject" | "PutObject" | "DeleteObject" => (
                format!("{{\"bucketName\":\"{bucket}\",\"key\":\"k\"}}"),
                format!(
                    "[{{\"type\":\"AWS::S3::Object\",\"ARN\":\"arn:aws:s3:::{bucket}/k\"}},\
                      {{\"type\":\"AWS::S3::Bucket\",\"ARN\":\"arn:aws:s3:::{bucket}\",\"accountId\":\"{ACCOUNT}\"}}]"
                ),
            ),
            // Not its own key: that would be a detection of its own.
            "CreateAccessKey" => ("{\"userName\":\"deploy-bot\"}".to_owned(), "null".to_owned()),
            _ => ("null".to_owned(), "null".to_owned()),
        };
        let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{agent}/run-1");
        let error = match call.end {
            End::Success => String::new(),
            End::Failed => {
                ",\"errorCode\":\"ThrottlingException\",\"errorMessage\":\"Rate exceeded\"".to_owned()
            }
            End::Denied => format!(
                ",\"errorCode\":\"AccessDenied\",\"errorMessage\":\"User: {session} is not authorized to perform: \
                 {} with an explicit deny in a service control policy\"",
                deed.permission
            ),
        };
        let principal = format!("AROAEXAMPLE{:010}", call.agent);
        format!(
            "{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"principalId\":\
             \"{principal}:run-1\",\"arn\":\"{session}\",\"accountId\":\"{ACCOUNT}\",\"accessKeyId\":\
             \"ASIAEXAMPLE000000001\",\"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\
             \"{principal}\",\"arn\":\"{role}\",\"accountId\":\"{ACCOUNT}\",\"userName\":\"{agent}\"}},\"attributes\":\
             {{\"creationDate\":\"{time}\",\"mfaAuthenticated\":\"false\"}}}}}},\"eventTime\":\"{time}\",\
             \"eventSource\":\"{service}.amazonaws.com\",\"eventName\":\"{operation}\",\"awsRegion\":\"eu-west-1\",\
             \"sourceIPAddress\":\"203.0.113.24\",\"userAgent\":\"Boto3/1.40 agent-runtime\",\"requestParameters\":\
             {request},\"responseElements\":null,\"requestID\":\"R0000000000000001\",\"eventID\":\"{id}\",\
             \"readOnly\":{reads},\"resources\":{resources},\"eventType\":\"AwsApiCall\",\"managementEvent\":{},\
             \"recipientAccountId\":\"{ACCOUNT}\",\"eventCategory\":\"{}\"{error}}}",
            !is_data,
            if is_data { "Data" } else { "Management" },
            role = records::role(&agent),
        )
    }
}

impl Call {
    /// The bucket that it is about, where it is about one.
    pub fn bucket(&self) -> &'static str {
        if self.elsewhere { "acme-invoices" } else { "acme-tickets" }
    }
}

/// What an agent is called.
pub fn name(agent: u16) -> String {
    format!("agent-{agent:04}")
}
