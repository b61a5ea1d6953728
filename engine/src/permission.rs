//! From a call in the log to the permissions that it needed, and on which resources

mod azure;
mod denial;
mod foreign;
mod gcp;
mod request;
mod resource;

use serde_json::Value;

use crate::reference::{self, Mapped};
pub use crate::reference::{AccessLevel, Logged};
pub use foreign::{Cloud, Foreign, foreign};
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
}

/// The permissions that a call needed, certain ones first. Empty where AWS asks for none: service events,
/// sign-ins, the console's own bookkeeping.
///
/// The name comes from the hand table of exceptions, else from the operation itself with its date stripped.
/// A denial's own text names the true permission and overrules both.
#[must_use]
pub fn needed(call: &Call<'_>) -> Vec<Needed> {
    if matches!(call.event_type, Some("AwsServiceEvent" | "AwsConsoleSignIn" | "AwsCloudTrailInsight")) {
        return Vec::new();
    }
    let service = reference::prefix_of(call.service);
    if service.is_empty() || call.operation.is_empty() {
        return Vec::new();
    }
    let facts = resource::Facts::new(call);
    let mut found: Vec<Needed> = Vec::new();
    for one in names(service, call.operation, &facts) {
        push(&mut found, one.resolve(&facts));
    }
    if let Some(denial) = call.error_message.and_then(denial::parse) {
        overrule(&mut found, &denial, &facts);
    }
    found.sort_by_key(|one| !one.certain);
    found
}

/// A permission before its resources are known.
struct Name {
    permission: String,
    certain: bool,
    /// The resource is a copy's source
    source: bool,
}

impl Name {
    fn resolve(self, facts: &resource::Facts<'_>) -> Needed {
        let (resources, resources_known) = facts.resources(&self.permission, self.source);
        Needed { permission: self.permission, certain: self.certain, resources, resources_known }
    }
}

fn names(service: &str, operation: &str, facts: &resource::Facts<'_>) -> Vec<Name> {
    let plain = without_date(operation);
    for spelled in [operation, plain] {
        for variant in reference::mapped(service, spelled) {
            if variant.field.is_none_or(|field| facts.has_field(field)) {
                return variant.needs.iter().map(Name::from).collect();
            }
        }
    }
    if service == "apigateway"
        && let Some((verb, _)) = reference::gateway(plain)
    {
        return vec![Name { permission: format!("apigateway:{verb}"), certain: true, source: false }];
    }
    // The older APIs carry their date (`CreateFunction20150331v2`); a name that is known as it stands keeps it.
    for spelled in [operation, plain] {
        if let Some(known) = reference::permission(&format!("{service}:{spelled}")) {
            let mut names = vec![Name { permission: known.name.clone(), certain: true, source: false }];
            if known.passes_role && facts.names_a_role() {
                names.push(Name { permission: "iam:PassRole".into(), certain: false, source: false });
            }
            return names;
        }
    }
    // Newer than our table: AWS spells most permissions like the operation, save where it is known to rename.
    let certain =
        reference::knows_service(service) && !reference::renames(service) && service != "apigateway";
    vec![Name { permission: format!("{service}:{plain}"), certain, source: false }]
}

impl From<&Mapped> for Name {
    fn from(mapped: &Mapped) -> Name {
        Name { permission: mapped.permission.to_owned(), certain: mapped.certain, source: mapped.source }
    }
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
            for resource in one.resources {
                if !other.resources.contains(&resource) {
                    other.resources.push(resource);
                }
            }
        }
        None => found.push(one),
    }
}

/// A denial tells the permission that was missing, and often the resource.
fn overrule(found: &mut Vec<Needed>, denial: &denial::Denial<'_>, facts: &resource::Facts<'_>) {
    let spelled =
        reference::permission(denial.permission).map_or(denial.permission, |known| known.name.as_str());
    let at = found.iter().position(|one| one.permission.eq_ignore_ascii_case(spelled));
    let named = denial.resource.map(|resource| (vec![resource.to_owned()], !resource.contains('*')));
    match at.and_then(|at| found.get_mut(at)) {
        Some(one) => {
            one.certain = true;
            // Weaker than what the request says, stronger than nothing.
            if let Some((resources, known)) = named
                && !one.resources_known
                && one.resources.is_empty()
            {
                (one.resources, one.resources_known) = (resources, known);
            }
        }
        None => {
            // A guess at the name was wrong.
            found.retain(|one| one.certain || reference::permission(&one.permission).is_some());
            let (resources, resources_known) = named.unwrap_or_else(|| facts.resources(spelled, false));
            found.push(Needed { permission: spelled.to_owned(), certain: true, resources, resources_known });
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
mod tests;
