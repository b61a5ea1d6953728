//! From a call in the log to the permissions that it needed, and on which resources

mod arn;
mod azure;
mod context;
mod facts;
mod foreign;
mod gcp;
mod request;
mod resource;
mod tags;

use ingest::denial;
use serde_json::Value;

use crate::reference::{self, Need, Operation, When};
pub use crate::reference::{AccessLevel, Logged};
pub use context::{CALLER_KEYS, context_for};
pub use facts::Facts;
pub use foreign::{Foreign, foreign};
pub(crate) use request::percent_decoded;

/// One API call as the log tells it. Every field is the log's own text, unchecked.
#[derive(Debug, Clone, Default)]
pub struct Call<'a> {
    /// `eventSource`: `s3.amazonaws.com`
    pub service: &'a str,
    /// `eventName`: `GetObject`
    pub operation: &'a str,
    /// `eventType`: a service event or a sign-in needs no permission at all
    pub event_type: Option<&'a str>,
    /// `awsRegion`
    pub region: Option<&'a str>,
    /// The account whose resources are named: `recipientAccountId`
    pub account: Option<&'a str>,
    /// `requestParameters` as JSON
    pub request: Option<&'a str>,
    /// `responseElements` as JSON
    pub response: Option<&'a str>,
    /// The ARNs of `resources[]`
    pub resources: Vec<&'a str>,
    /// `errorMessage`: a denial names the true permission and resource
    pub error_message: Option<&'a str>,
    /// `additionalEventData` as JSON
    pub additional: Option<&'a str>,
    /// `eventContext` as JSON
    pub event_context: Option<&'a str>,
    /// When the call was made, µs UTC
    pub time: Option<i64>,
    /// The canonical identity: the role, never its session
    pub actor: Option<&'a str>,
    /// `userIdentity.type`: `AssumedRole`
    pub actor_type: Option<&'a str>,
    /// The identity's unique id: `AROA...`
    pub actor_id: Option<&'a str>,
    /// The account that owns the identity
    pub actor_account: Option<&'a str>,
    /// The session's name
    pub session_name: Option<&'a str>,
    /// When the session began, µs UTC
    pub session_started: Option<i64>,
    /// `long_lived`, `temporary`, ...
    pub credential_kind: Option<&'a str>,
    /// Whether a second factor was shown
    pub mfa: Option<bool>,
    /// The session's source identity
    pub source_identity: Option<&'a str>,
    /// The service that called on the caller's behalf
    pub invoked_by: Option<&'a str>,
    /// The address, or the service, that the call came from
    pub source_ip: Option<&'a str>,
    /// `ip`, `service` or `vpce`
    pub source_kind: Option<&'a str>,
    /// The VPC endpoint that the call went through
    pub vpc_endpoint: Option<&'a str>,
    /// The client's own words about itself
    pub user_agent: Option<&'a str>,
    /// The TLS version
    pub tls: Option<&'a str>,
    /// Who knows the ARN of what a request only names
    pub directory: Option<&'a dyn Directory>,
}

/// Looks up what a request only names: a snapshot of the account.
pub trait Directory: std::fmt::Debug + Sync {
    /// The ARN of an IAM resource: `role`, `user`, `group`, `policy` or `instance-profile`, by its name without path.
    fn arn(&self, account: &str, kind: &str, name: &str) -> Option<String>;
}

/// One permission that a call needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// `s3:GetObject`
    pub permission: String,
    /// False: the call may have needed it (tags given on creation, a role passed along), or its name is a guess
    pub certain: bool,
    /// ARNs of this permission's own resource types. Where `resources_known` is false they only bound
    /// it: `arn:aws:s3:::bucket/*` for a call whose keys the log leaves out. Empty and known: the
    /// permission knows no resource (`s3:ListAllMyBuckets`).
    pub resources: Vec<String>,
    /// Whether `resources` is the whole truth
    pub resources_known: bool,
    /// The call touched one resource, and `resources` lists what it may be: a role whose path the log does not tell.
    /// Otherwise it touched something of each. Never where `resources_known`. See [`Needed::alternatives`].
    pub one_of: bool,
}

impl Needed {
    /// The resources to judge together. Several where only one of them is the truth: a verdict holds if all agree, and
    /// is unknown otherwise.
    pub fn alternatives(&self) -> impl Iterator<Item = &[String]> {
        let size = if self.one_of { 1 } else { self.resources.len().max(1) };
        let empty: &[String] = &[];
        self.resources.chunks(size).chain(self.resources.is_empty().then_some(empty))
    }
}

/// The permissions that a call needed, certain ones first. Empty where AWS asks for none: service events,
/// sign-ins, the console's own bookkeeping.
///
/// The name comes from the tables of what AWS publishes, else from the operation itself with its date stripped.
/// A denial's own text names the true permission and overrules all.
#[must_use]
pub fn needed(call: &Call<'_>) -> Vec<Needed> {
    Facts::new(call).needed()
}

impl Facts<'_> {
    /// As [`needed`].
    #[must_use]
    pub fn needed(&self) -> Vec<Needed> {
        let call = self.call;
        if matches!(call.event_type, Some("AwsServiceEvent" | "AwsConsoleSignIn" | "AwsCloudTrailInsight")) {
            return Vec::new();
        }
        let service = reference::prefix_of(call.service);
        if service.is_empty() || call.operation.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<Needed> = Vec::new();
        for one in self.names(service) {
            let named = self.resources(&one.permission, one.role);
            push(&mut found, named.of(one.permission, one.certain));
        }
        if let Some(denial) = call.error_message.and_then(denial::parse) {
            self.overrule(&mut found, &denial);
        }
        found.sort_by_key(|one| !one.certain);
        found
    }
}

/// A permission before its resources are known.
struct Name {
    permission: String,
    certain: bool,
    role: resource::Part,
}

impl Name {
    fn own(permission: String, certain: bool) -> Name {
        Name { permission, certain, role: resource::Part::Whole }
    }
}

impl Facts<'_> {
    fn names(&self, service: &str) -> Vec<Name> {
        let operation = self.call.operation;
        let plain = without_date(operation);
        // The older APIs carry their date (`CreateFunction20150331v2`); a name that is known as it stands keeps it.
        for spelled in [operation, plain] {
            if let Some(known) = reference::operation(service, spelled) {
                return self.known_names(service, spelled, known);
            }
            if spelled == plain {
                break;
            }
        }
        if let Some(name) = own_name(service, operation).or_else(|| own_name(service, plain)) {
            return vec![Name::own(name, true)];
        }
        // Newer than our table: AWS spells most permissions like the operation, save where it is known to rename.
        let certain =
            reference::knows_service(service) && !reference::renames(service) && service != "apigateway";
        vec![Name::own(format!("{service}:{plain}"), certain)]
    }

    fn known_names(&self, service: &str, operation: &str, known: &'static Operation) -> Vec<Name> {
        let variant =
            known.variants.iter().find(|variant| variant.field.is_none_or(|field| self.has_field(field)));
        let mut names: Vec<Name> = Vec::new();
        match (variant, &known.renamed) {
            (Some(variant), _) => names.extend(variant.needs.iter().filter_map(|need| self.name(need))),
            (None, Some(renamed)) => names.extend(renamed.iter().filter_map(|need| self.name(need))),
            (None, None) => {
                let own = own_name(service, operation).unwrap_or_else(|| format!("{service}:{operation}"));
                names.push(Name::own(own, true));
            }
        }
        // A row by hand is the whole of it where we see what it asks of the request, save for tags and roles.
        let is_whole = variant.is_some() && self.is_visible();
        let listed = |permission: &str| {
            let by_hand =
                variant.is_some_and(|one| one.needs.iter().any(|need| &*need.permission == permission));
            by_hand || names.iter().any(|name| name.permission.eq_ignore_ascii_case(permission))
        };
        let more: Vec<Name> = known
            .more
            .iter()
            .filter(|need| !(is_whole && need.when == When::Maybe || listed(&need.permission)))
            .filter_map(|need| self.name(need))
            .collect();
        names.extend(more);
        names
    }

    /// A permission that the call needs, or may need.
    fn name(&self, need: &Need) -> Option<Name> {
        let certain = match need.when {
            When::Maybe if need.permission.ends_with(":CallWithBearerToken") => {
                self.tells(self.holds("@bearer"), true)?
            }
            When::Always => true,
            When::Maybe => false,
            When::Tagged { listed } => {
                let tagged = self.is_visible().then(|| !self.tags().is_empty());
                self.tells(tagged, listed)?
            }
            When::Passing { listed } => {
                let handed = self.handed();
                // A service-linked role belongs to its service already.
                let passed = handed.iter().any(
                    |one| !matches!(one, facts::Handed::Role(arn) if arn.contains("/aws-service-role/")),
                );
                self.tells(self.is_visible().then_some(!handed.is_empty()), listed && passed)?
            }
            When::Field { name, absent: true, certain } => match self.holds(name) {
                Some(true) => return None,
                // Not told: most calls do not have it.
                Some(false) | None => certain,
            },
            When::Field { name, absent: false, certain } => self.tells(self.holds(name), certain)?,
        };
        let role = match need.when {
            _ if need.source => resource::Part::Source,
            When::Tagged { .. } => resource::Part::Created,
            _ if &*need.permission == "ec2:CreateTags" => resource::Part::Created,
            _ => resource::Part::Whole,
        };
        Some(Name { permission: need.permission.to_string(), certain, role })
    }

    /// Needed, and how certainly, by a condition that the log may not tell.
    #[expect(clippy::unused_self, reason = "reads as a question to the facts")]
    fn tells(&self, holds: Option<bool>, certain: bool) -> Option<bool> {
        match holds {
            Some(true) => Some(certain),
            Some(false) => None,
            None => Some(false),
        }
    }
}

/// The permission that is called like the operation, or the verb that API Gateway grants for it.
fn own_name(service: &str, operation: &str) -> Option<String> {
    if service == "apigateway"
        && let Some((verb, _)) = reference::gateway(operation)
    {
        return Some(format!("apigateway:{verb}"));
    }
    reference::permission(&format!("{service}:{operation}")).map(|known| known.name.clone())
}

/// `CreateFunction20150331v2` without `20150331v2`.
fn without_date(operation: &str) -> &str {
    let undated = match operation.rsplit_once('v') {
        Some((head, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => operation,
    };
    // Lambda's dates have eight digits, CloudFront's look like `2020_05_31`.
    let digits =
        |text: &str, n: usize| text.len() >= n && text.bytes().rev().take(n).all(|b| b.is_ascii_digit());
    if let Some(head) = undated.len().checked_sub(10).and_then(|at| undated.split_at_checked(at))
        && let [year, month, day] = head.1.split('_').collect::<Vec<_>>().as_slice()
        && digits(year, 4)
        && digits(month, 2)
        && digits(day, 2)
    {
        return head.0;
    }
    if digits(undated, 8) {
        return undated.len().checked_sub(8).and_then(|at| undated.get(..at)).unwrap_or(operation);
    }
    operation
}

/// Adds a permission; one that is there already becomes certain, and known, if either is.
fn push(found: &mut Vec<Needed>, one: Needed) {
    match found.iter_mut().find(|other| other.permission == one.permission) {
        Some(other) => {
            other.certain |= one.certain;
            other.resources_known &= one.resources_known;
            other.one_of = false;
            for resource in one.resources {
                if !other.resources.contains(&resource) {
                    other.resources.push(resource);
                }
            }
        }
        None => found.push(one),
    }
}

impl Facts<'_> {
    /// A denial tells the permission that was missing, and often the resource.
    fn overrule(&self, found: &mut Vec<Needed>, denial: &denial::Denial<'_>) {
        for permission in &denial.permissions {
            let spelled = reference::permission(permission).map_or(*permission, |known| known.name.as_str());
            let told = denial.resource.map(resource::Named::told);
            match found.iter_mut().find(|one| one.permission.eq_ignore_ascii_case(spelled)) {
                Some(one) => {
                    one.certain = true;
                    // Weaker than what the request says, stronger than nothing. Of two that a role may be, it tells which.
                    if let Some(told) = told
                        && !one.resources_known
                        && (one.resources.is_empty() || one.one_of)
                    {
                        *one = told.of(std::mem::take(&mut one.permission), true);
                    }
                }
                None => {
                    // A guess at the name was wrong.
                    found.retain(|one| one.certain || reference::permission(&one.permission).is_some());
                    let named = told.unwrap_or_else(|| self.resources(spelled, resource::Part::Whole));
                    found.push(named.of(spelled.to_owned(), true));
                }
            }
        }
    }
}

/// How AWS grades a permission; `None` where our table does not know it.
#[must_use]
pub fn level(permission: &str) -> Option<AccessLevel> {
    reference::permission(permission).map(|known| known.level)
}

/// Whether, and how, CloudTrail can show the use of a permission.
#[must_use]
pub fn logged(permission: &str) -> Logged {
    reference::logged(permission)
}

/// Whether it destroys data or takes a service away (DS01).
#[must_use]
pub fn is_destructive(permission: &str) -> bool {
    reference::is_destructive(permission)
}

/// Whether it makes a credential that outlives or leaves the caller's session (PR02).
#[must_use]
pub fn is_credential_minting(permission: &str) -> bool {
    reference::is_credential_minting(permission)
}

/// Whether it can blind or thin the logs (LG01).
#[must_use]
pub fn is_logging_tamper(permission: &str) -> bool {
    reference::is_logging_tamper(permission)
}

/// Graded Write by AWS, yet it only reads: a query started, a data key handed out (SC08).
#[must_use]
pub fn is_read_like(permission: &str) -> bool {
    reference::is_read_like(permission)
}

/// Calls that need no permission, or that SDKs make by themselves: never out of scope.
#[must_use]
pub fn is_implicit(permission: &str) -> bool {
    reference::is_implicit(permission)
}

/// JSON of a log's field, or null. Nesting is bounded by serde_json.
fn json(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
