//! The condition keys of a call, as far as its event shows them
//!
//! Three answers (`policy::context::Fact`): *values*, *absent*, *unknown*. Absent is said only where the event would
//! show the key if the request had it: a VPC endpoint's id, a source identity, tags in a request that is shown. All else
//! that is not shown is unknown. What AWS itself adds to an event (`eventContext`) goes before what is derived here.
//!
//! The keys: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>

mod added;
mod request;

use chrono::{DateTime, SecondsFormat};
use ingest::agent::MCP_HOST;

use super::facts::Facts;
use super::{Call, Needed};
use crate::reference;
use policy::arn::{Arn, partition_of};
use policy::context::{Context, Fact};
pub(super) use request::is_geography;

/// Every key whose value hangs on the caller, the network or the time, and on nothing that is asked for. In order.
pub const CALLER_KEYS: &[&str] = &[
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalServiceName",
    "aws:PrincipalType",
    "aws:RequestedRegion",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:ViaAWSMCPService",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:userid",
    "aws:username",
];

/// What is known of a call's condition keys, of the named ones only: a policy's statements say which they ask for.
#[must_use]
pub fn context_for(call: &Call<'_>, needed: &Needed, keys: &[&str]) -> Context {
    Facts::new(call.clone()).context(needed, keys)
}

impl Facts<'_> {
    /// As [`context_for`], for a call that is parsed already. A key that is not named is unknown.
    #[must_use]
    pub fn context(&self, needed: &Needed, keys: &[&str]) -> Context {
        let mut context = Context::partial();
        for key in keys {
            let fact = self.fact(needed, key);
            // Unknown is what a partial context says anyway.
            if fact != Fact::Unknown {
                context.set(key, fact);
            }
        }
        context
    }

    /// What the event shows of one key, whatever its case.
    #[must_use]
    pub fn fact(&self, needed: &Needed, key: &str) -> Fact {
        let key = key.to_ascii_lowercase();
        if let Some(fact) = self.added(needed, &key) {
            return fact;
        }
        match key.split_once(':') {
            Some(("aws", name)) => match name.split_once('/') {
                Some(("requesttag", tag)) => self.request_tag(needed, tag),
                Some(("principaltag", _)) if self.is_service() => Fact::Absent,
                Some(_) => Fact::Unknown,
                None => self.global(needed, name),
            },
            Some(_) => self.of_service(needed, &key),
            None => Fact::Unknown,
        }
    }

    /// `aws:` keys without a part of their own.
    fn global(&self, needed: &Needed, name: &str) -> Fact {
        let call = &self.call;
        match name {
            "principalarn" => self.principal_arn(),
            "principalaccount" => match call.actor_account {
                Some(account) => Fact::one(account),
                None if self.is_service() => Fact::Absent,
                None => Fact::Unknown,
            },
            "principaltype" => match call.actor_type {
                Some("AssumedRole") => Fact::one("AssumedRole"),
                Some("IAMUser") => Fact::one("User"),
                Some("Root") => Fact::one("Account"),
                Some("FederatedUser") => Fact::one("FederatedUser"),
                _ if self.is_anonymous() => Fact::one("Anonymous"),
                _ => Fact::Unknown,
            },
            "userid" => self.user_id(),
            "username" => match (call.actor_type, call.actor) {
                (Some("IAMUser"), Some(actor)) => {
                    Arn::parse(actor).map_or(Fact::Unknown, |arn| Fact::one(arn.name()))
                }
                // A role's session has no user name; of another account's caller the log tells too little.
                (Some("AssumedRole" | "Root" | "FederatedUser" | "AWSService"), _) => Fact::Absent,
                _ => Fact::Unknown,
            },
            "currenttime" => text(call.time.and_then(iso)),
            "epochtime" => text(call.time.map(|time| time.div_euclid(1_000_000).to_string())),
            "requestedregion" => told(call.region),
            "sourceip" => self.source_ip(),
            "vpcsourceip" => match (call.vpc_endpoint, call.source_kind) {
                (Some(_), Some("vpce")) => {
                    told(call.source_ip.filter(|ip| ip.parse::<std::net::IpAddr>().is_ok()))
                }
                (None, Some("ip")) => Fact::Absent,
                _ => Fact::Unknown,
            },
            "sourcevpce" => match (call.vpc_endpoint, call.source_kind) {
                (Some(endpoint), _) => Fact::one(endpoint),
                (None, Some("ip")) => Fact::Absent,
                _ => Fact::Unknown,
            },
            // Which VPC an endpoint belongs to is not logged.
            "sourcevpc" if call.vpc_endpoint.is_none() && call.source_kind == Some("ip") => Fact::Absent,
            "useragent" => self.user_agent(),
            "securetransport" if call.tls.is_some_and(|tls| !tls.is_empty()) => Fact::one("true"),
            "multifactorauthpresent" => self.mfa(),
            "multifactorauthage" => match self.mfa() {
                Fact::Values(values) if values.iter().any(|value| value == "true") => Fact::Unknown,
                Fact::Values(_) | Fact::Absent => Fact::Absent,
                Fact::Unknown => Fact::Unknown,
            },
            "tokenissuetime" => match (call.session_started, call.credential_kind) {
                (Some(started), _) => text(iso(started)),
                (None, Some("long_lived" | "anonymous")) => Fact::Absent,
                _ => Fact::Unknown,
            },
            "sourceidentity" => match (call.source_identity, call.actor_type) {
                (Some(identity), _) if !identity.is_empty() => Fact::one(identity),
                // The session's context names it where there is one; who has no session has none.
                (_, Some("AssumedRole" | "IAMUser" | "Root" | "AWSService")) => Fact::Absent,
                _ => Fact::Unknown,
            },
            "viaawsservice" => match call.invoked_by {
                _ if self.is_service() => Fact::one("false"),
                Some(service) if is_service_name(service) => Fact::one("true"),
                Some(_) => Fact::Unknown,
                None => Fact::one("false"),
            },
            "calledvia" | "calledviafirst" | "calledvialast" => match call.invoked_by {
                _ if self.is_service() => Fact::Absent,
                Some(service) if is_service_name(service) => Fact::one(service),
                Some(_) => Fact::Unknown,
                None => Fact::Absent,
            },
            "viaawsmcpservice" => match call.invoked_by {
                Some(MCP_HOST) => Fact::one("true"),
                _ => Fact::Unknown,
            },
            "principalisawsservice" => match call.actor_type {
                Some("AWSService") => Fact::one("true"),
                Some(_) => Fact::one("false"),
                None => Fact::Unknown,
            },
            "principalservicename" => match (call.actor_type, call.actor) {
                (Some("AWSService"), Some(service)) if is_service_name(service) => Fact::one(service),
                (Some("AWSService") | None, _) => Fact::Unknown,
                (Some(_), _) => Fact::Absent,
            },
            // In requests that a service makes of its own accord only.
            "sourcearn" | "sourceaccount" | "sourceorgid" | "sourceorgpaths"
                if !self.is_service() && call.actor_type.is_some() && call.invoked_by.is_none() =>
            {
                Fact::Absent
            }
            "federatedprovider" => match (call.actor_type, call.credential_kind) {
                (Some("IAMUser" | "Root" | "AWSService"), _) | (_, Some("long_lived")) => Fact::Absent,
                _ => Fact::Unknown,
            },
            "tagkeys" => self.tag_keys(needed),
            "resourceaccount" => self.resource_account(needed),
            _ => Fact::Unknown,
        }
    }

    fn is_service(&self) -> bool {
        self.call.actor_type == Some("AWSService")
    }

    fn is_anonymous(&self) -> bool {
        self.call.credential_kind == Some("anonymous")
    }

    /// The role's ARN for a session, never the session's.
    fn principal_arn(&self) -> Fact {
        let call = &self.call;
        match (call.actor_type, call.actor) {
            (Some("AssumedRole" | "Role" | "IAMUser" | "Root"), Some(actor)) if actor.starts_with("arn:") => {
                Fact::one(actor)
            }
            (Some("FederatedUser"), _) => match (call.actor_account, call.session_name) {
                (Some(account), Some(name)) => {
                    let partition = call.region.map_or("aws", partition_of);
                    Fact::one(format!("arn:{partition}:sts::{account}:federated-user/{name}"))
                }
                _ => Fact::Unknown,
            },
            _ if self.is_service() || self.is_anonymous() => Fact::Absent,
            _ => Fact::Unknown,
        }
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-infotouse>
    fn user_id(&self) -> Fact {
        let call = &self.call;
        match (call.actor_type, call.actor_id, call.session_name) {
            (Some("AssumedRole"), Some(id), Some(session)) => Fact::one(format!("{id}:{session}")),
            (Some("IAMUser"), Some(id), _) => Fact::one(id),
            (Some("Root"), ..) => told(call.actor_account),
            (Some("FederatedUser"), _, Some(name)) => {
                text(call.actor_account.map(|account| format!("{account}:{name}")))
            }
            _ if self.is_anonymous() => Fact::one("anonymous"),
            _ => Fact::Unknown,
        }
    }

    /// Absent through a VPC endpoint. Of a call that a service makes the log names the service, not the address.
    fn source_ip(&self) -> Fact {
        match (self.call.vpc_endpoint, self.call.source_kind) {
            (Some(_), Some("vpce")) => Fact::Absent,
            (None, Some("ip")) => told(self.call.source_ip),
            _ => Fact::Unknown,
        }
    }

    fn user_agent(&self) -> Fact {
        let Some(agent) = self.call.user_agent else { return Fact::Unknown };
        // S3 and EC2 log it in brackets; CloudTrail cuts it at one kilobyte.
        let agent = agent.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(agent);
        if agent.is_empty() || is_service_name(agent) || agent == "AWS Internal" || agent.len() >= 1_000 {
            return Fact::Unknown;
        }
        Fact::one(agent)
    }

    /// Long-lived keys never carry it, not even as false.
    fn mfa(&self) -> Fact {
        match (self.call.credential_kind, self.call.mfa) {
            (Some("long_lived" | "anonymous"), _) => Fact::Absent,
            (Some("temporary" | "console"), Some(mfa)) => Fact::one(if mfa { "true" } else { "false" }),
            _ => Fact::Unknown,
        }
    }

    /// A tag that the request gives. A hidden one, or a request that is not shown, tells nothing.
    pub(super) fn request_tag(&self, needed: &Needed, wanted: &str) -> Fact {
        match self.tags_told(needed) {
            Told::Nothing => Fact::Absent,
            Told::Unknown => Fact::Unknown,
            Told::Given => {
                let tags = self.tags();
                // Condition keys ignore case, a tag's name included.
                match tags.given.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)) {
                    Some((_, Some(value))) => Fact::one(value),
                    Some((_, None)) | None if !tags.hidden => Fact::Absent,
                    _ => Fact::Unknown,
                }
            }
        }
    }

    fn tag_keys(&self, needed: &Needed) -> Fact {
        match self.tags_told(needed) {
            Told::Nothing => Fact::Absent,
            Told::Given if !self.tags().hidden => {
                Fact::Values(self.tags().given.iter().map(|(key, _)| key.clone()).collect())
            }
            Told::Given | Told::Unknown => Fact::Unknown,
        }
    }

    fn tags_told(&self, needed: &Needed) -> Told {
        // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
        if needed.permission == "iam:PassRole" {
            return Told::Nothing;
        }
        if self.is_visible() {
            // A launch template has tags of its own.
            let elsewhere = self.has_field("launchTemplate");
            return match (self.tags().is_empty(), elsewhere) {
                (false, _) => Told::Given,
                (true, true) => Told::Unknown,
                (true, false) => Told::Nothing,
            };
        }
        let service = reference::prefix_of(self.call.service);
        let plain = super::naming::without_date(self.call.operation);
        let takes = reference::operation(service, plain).map(|known| known.takes_tags);
        let is_known =
            reference::permission(&format!("{service}:{plain}")).is_some_and(|known| known.operation);
        match takes {
            Some(true) => Told::Unknown,
            Some(false) => Told::Nothing,
            None if is_known => Told::Nothing,
            None => Told::Unknown,
        }
    }

    /// The owner of what was touched. A bucket's ARN has none, and an event about it comes to the caller and the owner.
    fn resource_account(&self, needed: &Needed) -> Fact {
        let mut found: Option<&str> = None;
        for arn in &needed.resources {
            let Some(arn) = Arn::parse(arn) else { return Fact::Unknown };
            if arn.account.is_empty()
                || arn.account.contains('*')
                || found.is_some_and(|other| other != arn.account)
            {
                return Fact::Unknown;
            }
            found = Some(arn.account);
        }
        match found {
            Some(account) => Fact::one(account),
            None => Fact::Unknown,
        }
    }
}

enum Told {
    /// There are tags, some maybe hidden.
    Given,
    /// There are none.
    Nothing,
    Unknown,
}

fn told(value: Option<&str>) -> Fact {
    value.filter(|value| !value.is_empty()).map_or(Fact::Unknown, Fact::one)
}

fn text(value: Option<String>) -> Fact {
    value.map_or(Fact::Unknown, Fact::one)
}

fn iso(micros: i64) -> Option<String> {
    Some(DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn is_service_name(name: &str) -> bool {
    name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn")
}
