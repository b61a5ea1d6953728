//! Within what every call of an agent must stay, whatever it does

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Hours, Network};
use crate::time::{SECOND, rfc3339};

/// `spec.bounds`. An empty list bounds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// `eu-west-1`, `westeurope`, `eu-*`
    pub regions: Vec<String>,
    /// Any of them
    pub hours: Vec<Hours>,
    /// Any of them
    pub networks: Vec<Network>,
    /// How old a session may get
    pub session_max: Option<Duration>,
    /// Not judged: a count needs every call of the minute, and calls arrive in parts and late
    pub calls_per_minute: Option<u32>,
}

/// Which bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bound {
    /// The gravest: somebody else may hold the credentials
    Networks,
    /// Another region
    Regions,
    /// Another hour
    Hours,
    /// A session that is too old
    SessionMax,
}

impl Bound {
    /// `networks`, `regions`, `hours`, `session_max`: as the manifest writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Bound::Networks => "networks",
            Bound::Regions => "regions",
            Bound::Hours => "hours",
            Bound::SessionMax => "session_max",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the bounds ask of a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct BoundFacts<'a> {
    /// µs UTC
    pub time: i64,
    /// As logged: `iam.amazonaws.com`
    pub service: &'a str,
    /// As logged: `ListBuckets`
    pub operation: &'a str,
    /// The region of the call
    pub region: Option<&'a str>,
    /// The address, or the service, that the call came from
    pub source_ip: Option<&'a str>,
    /// The VPC endpoint that it went through
    pub vpc_endpoint: Option<&'a str>,
    /// The service that called on the caller's behalf
    pub invoked_by: Option<&'a str>,
    /// When the session began, µs UTC
    pub session_started: Option<i64>,
    /// `long_lived`, `temporary`, ...
    pub credential_kind: Option<&'a str>,
}

/// A bound that does not hold, or of which it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which
    pub bound: Bound,
    /// False: the log does not show enough to tell
    pub certain: bool,
    /// Far beyond the bound: another network, or a session of more than half a day
    pub is_grave: bool,
    /// `from 203.0.113.7, outside 10.20.0.0/16`
    pub seen: String,
}

/// Services with one endpoint for the whole world: where it stands is not the caller's choice, so a bound on regions
/// says nothing of them. From AWS's own example of a policy that denies regions:
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_examples_general.html>
const GLOBAL: &[&str] = &[
    "account",
    "artifact",
    "aws-marketplace",
    "billing",
    "budgets",
    "ce",
    "chime",
    "cloudfront",
    "consoleapp",
    "cur",
    "globalaccelerator",
    "health",
    "iam",
    "importexport",
    "networkmanager",
    "organizations",
    "pricing",
    "route53",
    "route53domains",
    "shield",
    "signin",
    "support",
    "tax",
    "trustedadvisor",
    "waf",
    "wellarchitected",
];
/// Calls of other services that one region answers for all: STS's first endpoint, and the list of all buckets.
const GLOBAL_CALLS: &[(&str, &str)] = &[("sts", ""), ("s3", "ListBuckets"), ("ec2", "DescribeRegions")];
/// Where the global endpoints log, in each partition.
const GLOBAL_REGIONS: &[&str] = &["us-east-1", "us-gov-west-1", "cn-north-1", "cn-northwest-1"];

/// A session of more than this is one that nobody meant.
const GRAVE_AGE_SECONDS: i64 = 12 * 3_600;

impl Bounds {
    /// Whether nothing is bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Bounds::default()
    }

    /// The bounds that a call breaks, and those of which it cannot be told, gravest first.
    #[must_use]
    pub fn broken(&self, call: &BoundFacts<'_>) -> Vec<Broken> {
        [self.network(call), self.region(call), self.hour(call), self.session(call)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What is bound, as `explain` shows it.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = Vec::new();
        if !self.networks.is_empty() {
            entries.push((Bound::Networks.as_str(), listed(&self.networks)));
        }
        if !self.regions.is_empty() {
            entries.push((Bound::Regions.as_str(), self.regions.join(", ")));
        }
        if !self.hours.is_empty() {
            entries.push((Bound::Hours.as_str(), listed(&self.hours)));
        }
        if let Some(most) = self.session_max {
            entries.push((Bound::SessionMax.as_str(), ingest::duration::text(most)));
        }
        if let Some(calls) = self.calls_per_minute {
            entries.push(("rate", format!("{calls} calls a minute (not judged)")));
        }
        entries
    }

    fn region(&self, call: &BoundFacts<'_>) -> Option<Broken> {
        if self.regions.is_empty() || is_global(call) {
            return None;
        }
        let Some(region) = call.region.filter(|region| !region.is_empty()) else {
            return Some(Broken {
                bound: Bound::Regions,
                certain: false,
                is_grave: false,
                seen: "no region is logged".into(),
            });
        };
        let inside = |pattern: &String| {
            policy::wildcard::ActionPattern::new(pattern).matches(region) == policy::wildcard::Match::Yes
        };
        // Calls to a thing that stands nowhere are logged as `global`.
        if region == "global" || self.regions.iter().any(inside) {
            return None;
        }
        let seen = format!("in {region}, outside {}", self.regions.join(", "));
        Some(Broken { bound: Bound::Regions, certain: true, is_grave: false, seen })
    }

    fn hour(&self, call: &BoundFacts<'_>) -> Option<Broken> {
        let first = self.hours.first()?;
        if self.hours.iter().any(|hours| hours.contains(call.time)) {
            return None;
        }
        let seen = format!("on {}, outside {}", first.clock(call.time), listed(&self.hours));
        Some(Broken { bound: Bound::Hours, certain: true, is_grave: false, seen })
    }

    fn network(&self, call: &BoundFacts<'_>) -> Option<Broken> {
        // What a service calls comes from the service's own network.
        if self.networks.is_empty() || call.invoked_by.is_some() {
            return None;
        }
        let known =
            |seen: String| Some(Broken { bound: Bound::Networks, certain: true, is_grave: true, seen });
        let unknown =
            |seen: String| Some(Broken { bound: Bound::Networks, certain: false, is_grave: false, seen });
        let through = |id: &str| {
            self.networks.iter().any(|network| matches!(network, Network::Endpoint(known) if known == id))
        };
        if call.vpc_endpoint.is_some_and(through) {
            return None;
        }
        let vpcs = self.networks.iter().any(|network| matches!(network, Network::Vpc(_)));
        let place = call.vpc_endpoint.map(|id| format!(" through {id}")).unwrap_or_default();
        let Some(source) = call.source_ip.filter(|source| !source.is_empty()) else {
            return match call.vpc_endpoint {
                Some(id) if !vpcs => known(format!("through {id}, outside {}", listed(&self.networks))),
                _ => unknown("no source address is logged".into()),
            };
        };
        let Ok(address) = source.parse::<IpAddr>() else {
            // A service's name, or `AWS Internal`: a call that a service made.
            return None;
        };
        if self.networks.iter().any(|network| network.holds(address)) {
            return None;
        }
        if vpcs && (call.vpc_endpoint.is_some() || is_private(address)) {
            return unknown(format!("from {source}{place}: the log does not name the VPC"));
        }
        known(format!("from {source}{place}, outside {}", listed(&self.networks)))
    }

    fn session(&self, call: &BoundFacts<'_>) -> Option<Broken> {
        let most = self.session_max?;
        // A key that never expires has no session; that is a finding of its own.
        if matches!(call.credential_kind, Some("long_lived" | "bedrock_api_key")) {
            return None;
        }
        let Some(started) = call.session_started else {
            let seen = "the session's start is not logged".to_owned();
            return Some(Broken { bound: Bound::SessionMax, certain: false, is_grave: false, seen });
        };
        let age = call.time.saturating_sub(started).div_euclid(SECOND);
        if u64::try_from(age).unwrap_or(0) <= most.as_secs() {
            return None;
        }
        let is_grave = age > GRAVE_AGE_SECONDS;
        let age = Duration::from_secs(u64::try_from(age).unwrap_or(0) / 60 * 60);
        let seen = format!(
            "in a session that began {}, {} before, longer than {}",
            rfc3339(started),
            ingest::duration::text(age),
            ingest::duration::text(most)
        );
        Some(Broken { bound: Bound::SessionMax, certain: true, is_grave, seen })
    }
}

fn is_global(call: &BoundFacts<'_>) -> bool {
    let service = call.service.split('.').next().unwrap_or_default();
    GLOBAL.contains(&service)
        || GLOBAL_CALLS.iter().any(|(of, operation)| {
            *of == service
                && (operation.is_empty() || *operation == call.operation)
                && call.region.is_some_and(|region| GLOBAL_REGIONS.contains(&region))
        })
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn listed<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
