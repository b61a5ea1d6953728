//! The company itself: its accounts, its regions, and the words for who acts in it and how often.

use super::target::On;

/// The account that customers depend on.
pub const PROD: &str = "111122223333";
/// The account where changes are tried.
pub const STAGING: &str = "444455556666";
/// The account that holds the lake and the bills.
pub const DATA: &str = "777788889999";
/// Every account, with its name.
pub const ACCOUNTS: &[(&str, &str)] = &[(PROD, "acme-prod"), (STAGING, "acme-staging"), (DATA, "acme-data")];

/// The home region.
pub const IRELAND: &str = "eu-west-1";
/// The second region, where global services log too.
pub const VIRGINIA: &str = "us-east-1";
/// The bucket of the organisation's trail.
pub const LOG_BUCKET: &str = "acme-cloudtrail-logs";
/// The key that protects tickets and the agents' hand-over.
pub const SHARED_KEY: &str = "5f0c7b52-6d1e-4a3f-9b60-0d8d3a4f7e11";

/// Where a call is made: the account and region it is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The account id.
    pub account: &'static str,
    /// The region's name.
    pub region: &'static str,
}

/// What kind of caller somebody is, which decides the shape of `userIdentity`.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An assumed role; the text is the role's path and name.
    Role(&'static str),
    /// An IAM user with a long-lived key; the text is the user's path and name.
    User(&'static str),
    /// A service's own call; the text is its host name.
    Service(&'static str),
    /// A role that a service assumes for its work in the account: host name, then path and name.
    Linked(&'static str, &'static str),
}

/// How a session begins, which decides the event logged before its first call.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// Nothing is logged.
    Silent,
    /// A service assumes the role for its task.
    Service(&'static str),
    /// A build's token is exchanged for the role.
    Build,
    /// Another agent of the company assumes the role.
    Agent(&'static str),
    /// A person signs in to the console.
    Console,
}

/// When somebody works.
#[derive(Clone, Copy, Debug)]
pub enum Hours {
    /// At any hour, more by day.
    Always,
    /// From eight to six, Monday to Friday.
    Office,
    /// By the clock, evenly over the day.
    Clock,
    /// Only when a scene calls for it.
    Never,
}

/// How often somebody works, and how much at a time.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// When.
    pub hours: Hours,
    /// Sessions in a working day.
    pub sessions: u32,
    /// Calls in a session, least and most.
    pub calls: (u32, u32),
    /// Seconds between two calls, least and most.
    pub pace: (u32, u32),
}

/// One kind of call and what it is made on.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// Event source and name as CloudTrail spells them, `dynamodb:GetItem`.
    pub call: &'static str,
    /// What the call is made on.
    pub on: On,
    /// How common it is beside its siblings.
    pub weight: u32,
}

impl Act {
    /// A row of a vocabulary.
    pub const fn new(call: &'static str, on: On, weight: u32) -> Self {
        Self { call, on, weight }
    }

    /// The permission that this call needs.
    pub fn permission(&self) -> String {
        let (service, operation) = self.call.split_once(':').unwrap_or((self.call, ""));
        permission(service, operation)
    }
}

/// The permission that a call needs, from its event source and name.
pub fn permission(service: &str, operation: &str) -> String {
    let service = if service == "monitoring" { "cloudwatch" } else { service };
    let action = match (service, undated(operation)) {
        ("s3", "HeadObject") => "GetObject",
        ("s3", "ListObjects" | "ListObjectsV2" | "HeadBucket") => "ListBucket",
        ("s3", "ListBuckets") => "ListAllMyBuckets",
        ("lambda", "Invoke") => "InvokeFunction",
        ("bedrock", "Converse") => "InvokeModel",
        (_, same) => same,
    };
    format!("{service}:{action}")
}

/// Lambda logs its operations with the date of the API: `GetFunction20150331v2` is `GetFunction`.
fn undated(operation: &str) -> &str {
    operation.find("20").map_or(operation, |at| operation.get(..at).unwrap_or(operation))
}

/// What an agent's manifest says.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// One sentence for people.
    pub description: &'static str,
    /// `prod` or `staging`.
    pub environment: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Who answers for it.
    pub team: &'static str,
    /// The lines under `allow`.
    pub allow: &'static [&'static str],
    /// The lines under `deny`.
    pub deny: &'static [&'static str],
}

/// One policy of a role beyond the one that its work needs.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// The policy's name.
    pub policy: &'static str,
    /// Attached as a managed policy, else written into the role.
    pub managed: bool,
    /// Its actions.
    pub actions: &'static [&'static str],
    /// Its resources.
    pub resources: &'static [&'static str],
    /// Its condition as JSON.
    pub condition: Option<&'static str>,
}

/// Somebody who calls the cloud.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// The agent's name, or the person's or service's.
    pub name: &'static str,
    /// The agent this identity belongs to, if any.
    pub agent: Option<&'static str>,
    /// What kind of caller.
    pub kind: Kind,
    /// Where it works.
    pub home: Place,
    /// How often it works.
    pub rhythm: Rhythm,
    /// How its sessions begin.
    pub start: Start,
    /// Its sessions' names; `#` stands for a digit.
    pub session: &'static str,
    /// What it says it is.
    pub user_agents: &'static [&'static str],
    /// The first three parts of its addresses.
    pub network: &'static str,
    /// What it does.
    pub acts: &'static [Act],
    /// What it does once in thirty days.
    pub monthly: &'static [Act],
    /// How many days before the last one it was made, if it was not there from the beginning.
    pub born: Option<u32>,
    /// What its manifest says, if this is the agent's first identity.
    pub declares: Option<Declaration>,
    /// What it was granted beyond its work.
    pub grants: &'static [Grant],
    /// The policy that bounds its grants.
    pub boundary: Option<&'static str>,
}

impl Actor {
    /// The ARN that stands for this caller whatever its session; a service's host name.
    pub fn identity(&self) -> String {
        let account = self.home.account;
        match self.kind {
            Kind::Role(role) | Kind::Linked(_, role) => format!("arn:aws:iam::{account}:role/{role}"),
            Kind::User(user) => format!("arn:aws:iam::{account}:user/{user}"),
            Kind::Service(host) => host.to_owned(),
        }
    }

    /// The role's or user's name without its path.
    pub fn short_name(&self) -> &'static str {
        match self.kind {
            Kind::Role(path) | Kind::Linked(_, path) | Kind::User(path) => {
                path.rsplit('/').next().unwrap_or(path)
            }
            Kind::Service(host) => host,
        }
    }
}
